"""Instants as people write them: of an agent's own day, of any day, with an offset, or so long ago.

What is written without an offset is meant by the clock on the agent's wall. Where that clock is set back, a time that
comes twice means the first; the second can be given with its offset. Where it is set forward, a time that it skips is
as much later as the clock is set forward: 02:30 means what the clock shows as 03:30.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

YEARS = range(1970, 9001)
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}

_AGO = re.compile(r"([0-9]{1,9})([smhdw])")
_CLOCK = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?")
_EXPECTED = (
    "expected a time such as 2026-11-21, 2026-11-21T10:00, 10:00, today, 2026-11-21T10:00:00+01:00,"
    " or 2h for two hours ago"
)


@dataclass(frozen=True, slots=True)
class Moment:
    """What was written, understood: exactly one of the first four.

    `instant` is epoch seconds; `ago` seconds before now; `local` a time without an offset; `days` from today on, at
    `clock`.
    """

    instant: float | None = None
    ago: float | None = None
    local: datetime | None = None
    days: int | None = None
    clock: time = time()

    @classmethod
    def parse(cls, text: str) -> Moment:
        """A date, a date and time, a time of today, `today`, a time with its offset, or a duration back from now.

        ValueError says what is expected.
        """
        text = text.strip()
        if text == "now":
            return cls(ago=0.0)
        if text in DAYS:
            return cls(days=DAYS[text])
        if match := _AGO.fullmatch(text):
            return cls(ago=int(match[1]) * UNITS[match[2]])
        try:
            if _CLOCK.fullmatch(text):
                return cls(days=0, clock=time.fromisoformat(text))
            at = datetime.fromisoformat(text)
            instant = at.astimezone(UTC) if at.tzinfo is not None else at
        except (ValueError, OverflowError):
            raise ValueError(_EXPECTED) from None
        if instant.year not in YEARS:
            raise ValueError(f"the year must be between {YEARS[0]} and {YEARS[-1]}")
        return cls(instant=instant.timestamp()) if at.tzinfo is not None else cls(local=at)

    @property
    def is_local(self) -> bool:
        """Whether it depends on the agent's zone."""
        return self.local is not None or self.days is not None

    def at(self, zone: tzinfo, now: float) -> float:
        """The instant, in epoch seconds, for an agent of this zone."""
        if self.instant is not None:
            return self.instant
        if self.ago is not None:
            return max(0.0, now - self.ago)
        local = self.local
        if local is None:
            local = datetime.combine(day_of(now, zone) + timedelta(days=self.days or 0), self.clock)
        return local.replace(tzinfo=zone).timestamp()


def clock_in(zone: tzinfo, at: float, today: float | None = None) -> str:
    """What the zone's clock shows, such as `10:30:00 CET`; with the date unless `today` is of that day."""
    local = datetime.fromtimestamp(at, zone)
    other = today is not None and local.date() != day_of(today, zone)
    return local.strftime(f"{'%Y-%m-%d ' if other else ''}%H:%M:%S %Z")


def day_of(at: float, zone: tzinfo) -> date:
    """The day that the zone's calendar shows at an instant."""
    return datetime.fromtimestamp(at, zone).date()
