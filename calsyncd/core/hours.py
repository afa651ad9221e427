"""Working hours: when a hold may begin.

The wall clock of their zone decides, at each instant for itself: it is inside while the clock shows a time of the
hours. So a clock that is put forward may open them late, and one that is put back may open them twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAY_SECONDS = 86400
DAYS_AHEAD = 16
"""Two weeks, for a change of the zone may skip the only opening of a week; and a day on each side for what it moves."""


@lru_cache(maxsize=1024)
def zone_of(name: str | None) -> tzinfo | None:
    """The zone of this name; None where there is none."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """From `opens` to `closes`, seconds of the day by the wall clock, on `days` (0 is Monday).

    Where `closes` is not later, they close on the day after. `zone` is a zone's name, None where the agent's own is
    meant.
    """

    days: frozenset[int]
    opens: int
    closes: int
    zone: str | None = None

    def inside(self, at: float) -> bool:
        """Whether the clock shows working hours at `at`."""
        local = datetime.fromtimestamp(at, self._zone)
        clock = local.hour * 3600 + local.minute * 60 + local.second + local.microsecond / 1e6
        if self.opens < self.closes:
            return local.weekday() in self.days and self.opens <= clock < self.closes
        if clock < self.closes:
            return (local.weekday() - 1) % 7 in self.days
        return local.weekday() in self.days and clock >= self.opens

    def first_inside(self, start: float, end: float) -> float | None:
        """The first instant of `[start, end)` that is inside, if one is."""
        if start >= end:
            return None
        if self.inside(start):
            return start
        end = min(end, start + DAYS_AHEAD * DAY_SECONDS)
        return min((at for at in self._openings(start, end) if start < at < end and self.inside(at)), default=None)

    @property
    def _zone(self) -> tzinfo:
        return zone_of(self.zone) or UTC

    def _openings(self, start: float, end: float) -> Iterator[float]:
        """Every instant at which it may become inside: when the hours open, and when the clock is changed."""
        zone = self._zone
        first = datetime.fromtimestamp(start, zone).date()
        hour, rest = divmod(self.opens, 3600)
        opens = time(hour, rest // 60, rest % 60)
        for day in _days(first, DAYS_AHEAD + 1):
            for fold in (0, 1):
                yield datetime.combine(day, opens.replace(fold=fold), zone).timestamp()
        yield from _changes(zone, start, end)


def _days(first: date, count: int) -> Iterator[date]:
    """The day before `first`, and `count` from it on; a calendar has a first and a last day."""
    low, high = first.toordinal() - 1, first.toordinal() + count
    for number in range(max(low, date.min.toordinal()), min(high, date.max.toordinal() + 1)):
        yield date.fromordinal(number)


def _changes(zone: tzinfo, start: float, end: float) -> Iterator[float]:
    """When the zone's distance from UTC changes, to the second; one change at most in six hours."""
    low = math.floor(start)
    while low < end:
        high = low + DAY_SECONDS // 4
        if _offset(zone, low) != _offset(zone, high):
            before, after = low, high
            while after - before > 1:
                middle = (before + after) // 2
                if _offset(zone, middle) == _offset(zone, low):
                    before = middle
                else:
                    after = middle
            yield float(after)
        low = high


def _offset(zone: tzinfo, at: int) -> timedelta | None:
    return datetime.fromtimestamp(at, zone).utcoffset()
