"""What a running daemon tells of itself at /metrics."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import aiohttp

from benchmarks.figures import MeasureError


@dataclass(frozen=True, slots=True)
class Lags:
    """How many timers were at most so many seconds late, by that bound; `seconds` is how late they were in all."""

    counts: dict[float, float]
    seconds: float

    def less(self, before: Lags) -> Lags:
        """Those that came after `before`."""
        counts = {bound: number - before.counts.get(bound, 0.0) for bound, number in self.counts.items()}
        return Lags(counts, self.seconds - before.seconds)

    @property
    def mean(self) -> float:
        """Seconds; 0 where there was none."""
        return self.seconds / max([1.0, *self.counts.values()])

    def bound(self, part: float) -> float:
        """The least bound that this part of all timers was not later than; infinite beyond the last one."""
        total = max(self.counts.values(), default=0.0)
        return min((bound for bound, number in self.counts.items() if number >= part * total), default=float("inf"))


def as_told(late: Sequence[float], bounds: Iterable[float]) -> Lags:
    """The same of other timers, by the same bounds."""
    return Lags({bound: float(sum(one <= bound for one in late)) for bound in bounds}, sum(late))


async def lags(admin: str) -> Lags:
    """How late the daemon's timers have been since its start."""
    text = await told(admin)
    found = re.findall(r'^calsyncd_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)$', text, re.MULTILINE)
    seconds = re.findall(r"^calsyncd_loop_lag_seconds_sum (\S+)$", text, re.MULTILINE)
    return Lags({float(bound): float(number) for bound, number in found}, sum(map(float, seconds)))


async def number(admin: str, pattern: str) -> float:
    """The one number that follows the text of this pattern at the beginning of a line."""
    found = re.search(rf"^{pattern} (\S+)$", await told(admin), re.MULTILINE)
    if found is None:
        raise MeasureError(f"the daemon's metrics do not tell of {pattern}")
    return float(found[1])


async def told(admin: str) -> str:
    """All of it."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{admin}/metrics") as answer:
        return await answer.text()
