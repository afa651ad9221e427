"""What a measure finds: figures beside their limits, and the goals set for them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


class MeasureError(Exception):
    """What was to be measured did not happen; the message says what."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    Attributes:
        boundaries: one a second, of which every second one ends a meeting; even.
        notifications: changes that Google tells of.
        calendars: the calendars that they are spread over.
        bursts: bursts of webhooks to each side.
        burst_seconds: how long one lasts.
        writes: seconds for each size of batch.
        agents: the company's.
        starts: how often its daemon is started from a filled store.
        sizes: agents of the companies that are compared, from few to many; at least two.
        burdened: seconds for which notifications come to each of them.
        settle: seconds of rest between two burdens.
        quiet_hours: how much of a quiet day is counted.
        flood_seconds: how long one calendar's notifications flood in.
    """

    boundaries: int
    notifications: int
    calendars: int
    bursts: int
    burst_seconds: float
    writes: float
    agents: int
    starts: int
    sizes: tuple[int, ...]
    burdened: float
    settle: float
    quiet_hours: float
    flood_seconds: int


FULL = Scale(
    boundaries=110,
    notifications=120,
    calendars=12,
    bursts=9,
    burst_seconds=1.0,
    writes=2.0,
    agents=1000,
    starts=3,
    sizes=(100, 1000, 10_000),
    burdened=15.0,
    settle=8.0,
    quiet_hours=6.0,
    flood_seconds=10,
)
QUICK = Scale(
    boundaries=4,
    notifications=6,
    calendars=3,
    bursts=2,
    burst_seconds=0.2,
    writes=0.1,
    agents=20,
    starts=2,
    sizes=(10, 20),
    burdened=0.5,
    settle=1.0,
    quiet_hours=0.5,
    flood_seconds=1,
)


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and how much is measured: `folder` is empty, and lies on the disk that is meant."""

    folder: Path
    scale: Scale


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure is to be, itself or as a share of its limit; at most or at least `bound`."""

    of: Literal["value", "share"]
    kind: Literal["at most", "at least"]
    bound: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One number beside its limit, both in `unit`; `beside` says what the limit is.

    `short` names it where there is little room. `median_share` is the median of the shares of single rounds, where
    figure and limit were taken in turns.
    """

    name: str
    short: str
    value: float
    unit: str
    limit: float
    beside: str
    goal: Goal | None = None
    median_share: float | None = None

    @property
    def share(self) -> float:
        """The figure as a share of its limit."""
        if self.median_share is not None:
            return self.median_share
        return self.value / self.limit if self.limit else math.nan

    @property
    def reached(self) -> bool | None:
        """Whether the goal is; None without one."""
        if self.goal is None:
            return None
        number = self.value if self.goal.of == "value" else self.share
        return number <= self.goal.bound if self.goal.kind == "at most" else number >= self.goal.bound


@dataclass(frozen=True, slots=True)
class Measured:
    """What one measure found. `samples` are for the picture, by what they are of; `notes` are sentences.

    `growth` has figures by their name with its unit, and by the number of agents.
    """

    name: str
    title: str
    how: str
    figures: tuple[Figure, ...]
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    growth: Mapping[str, Mapping[int, float]] = field(default_factory=dict)


def percentile(samples: Sequence[float], percent: int) -> float:
    """The value that `percent` of 100 samples do not exceed, interpolated; of one sample, that one."""
    if len(samples) < 2:
        return samples[0]
    return statistics.quantiles(samples, n=100, method="inclusive")[percent - 1]
