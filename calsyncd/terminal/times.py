"""Times as an agent's own clock shows them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from calsyncd.core.moments import DAYS

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def zone_of(name: str) -> tzinfo:
    """The zone of that name; UTC where this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return UTC


def local(text: str, zone: tzinfo) -> datetime:
    """One of the API's times, by the zone's clock, to the second; those of the year 9999 stay as they are."""
    at = datetime.fromisoformat(text)
    if at.microsecond and at.year < 9999:
        at = (at + timedelta(seconds=round(at.microsecond / 1e6))).replace(microsecond=0)
    try:
        return at.astimezone(zone)
    except OverflowError:
        return at


def clock(at: datetime) -> str:
    """`10:30`, or `10:30:07`; with its offset where the clock shows the time twice in that day."""
    text = f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"
    return text + offset(at) if is_twice(at) else text


def is_twice(at: datetime) -> bool:
    """Whether the clock shows this time twice in that day."""
    return at.replace(fold=0).utcoffset() != at.replace(fold=1).utcoffset()


def offset(at: datetime) -> str:
    """`+01:00`."""
    return at.replace(microsecond=0).isoformat()[19:]


def spelt(day: date) -> str:
    """`Saturday, 21 November 2026`."""
    return f"{_WEEKDAYS[day.weekday()]}, {day.day} {_MONTHS[day.month - 1]} {day.year}"


def parse_day(text: str) -> date | int:
    """What `--day` names: a date, or how many days from today; ValueError if it is neither."""
    if text in DAYS:
        return DAYS[text]
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("expected a date such as 2026-11-21, or today, tomorrow, yesterday") from None


def asked_day(asked: date | int, today: date) -> date:
    """The date that `--day` names, `today` being by the agent's clock."""
    return asked if isinstance(asked, date) else today + timedelta(days=asked)
