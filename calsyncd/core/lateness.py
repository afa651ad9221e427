"""How late updates were, over the last hour: every one of them, so that percentiles are exact."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass

MINUTE_SECONDS = 60.0
MINUTES = 60
MAX_OF_MINUTE = 1000
"""More than any budget grants in a minute; beyond it nothing is kept, so that no fault fills the memory."""


@dataclass(frozen=True, slots=True)
class Lateness:
    """Of so many updates, seconds; `at` is when the first of them may have been: epoch seconds."""

    at: float
    count: int
    p50: float
    p99: float
    max: float


class Latenesses:
    """The last hour, by minutes of the clock."""

    def __init__(self) -> None:
        self._minutes: dict[int, list[float]] = {}

    def add(self, at: float, seconds: float) -> None:
        """An update was answered at `at`, so much later than it should have been."""
        minute = math.floor(at / MINUTE_SECONDS)
        if minute not in self._minutes:
            self._forget(at)
        values = self._minutes.setdefault(minute, [])
        if len(values) < MAX_OF_MINUTE:
            insort(values, max(0.0, seconds))

    def minutes(self, now: float) -> list[Lateness]:
        """Each of the last 60 minutes that had an update, in order; the one that runs is the last of them."""
        self._forget(now)
        return [_of(minute * MINUTE_SECONDS, values) for minute, values in sorted(self._minutes.items())]

    def hour(self, now: float) -> Lateness | None:
        """Of all these minutes; None without an update."""
        self._forget(now)
        values = sorted(value for _, values in sorted(self._minutes.items()) for value in values)
        return _of(min(self._minutes) * MINUTE_SECONDS, values) if values else None

    def _forget(self, now: float) -> None:
        last = math.floor(now / MINUTE_SECONDS)
        # After the clock was set back, what is ahead of it was never.
        for minute in [one for one in self._minutes if not last - MINUTES < one <= last]:
            del self._minutes[minute]


def _of(at: float, ordered: Sequence[float]) -> Lateness:
    return Lateness(at, len(ordered), percentile(ordered, 0.5), percentile(ordered, 0.99), ordered[-1])


def percentile(ordered: Sequence[float], share: float) -> float:
    """The least of these, in order, than which at least this share of them is no greater: nearest rank."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
