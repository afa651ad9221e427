"""Timelines as the API tells them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

PARIS = "Europe/Paris"
DAY = date(2026, 11, 21)


def timeline(
    *,
    now: str,
    events: list[dict[str, Any]] | None = None,
    spans: list[tuple[str, str]] | None = None,
    settings: list[tuple[str, str, str | None, str | None]] | None = None,
    zone: str = PARIS,
    day: date = DAY,
) -> dict[str, Any]:
    """A day of Amy's; times are by her clock, `22:00-1` of the day before, `01:00+1` of the next.

    `02:30*` is the second of two.
    """
    first, last = (told(when, zone, day) for when in ("00:00", "00:00+1"))
    return {
        "now": told(now, zone, day),
        "email": "amy@example.com",
        "zone": zone,
        "from": first,
        "to": last,
        "events": [one | {key: told(one[key], zone, day) for key in ("start", "end")} for one in events or []],
        "spans": [
            {
                "start": told(start, zone, day),
                "end": told(end, zone, day),
                "wanted": {"availability_status": "unavailable", "substatus": None},
                "event": "x",
            }
            for start, end in spans or []
        ],
        "set": [
            {
                "start": told(start, zone, day),
                "end": told(end, zone, day),
                "availability_status": status,
                "actor": actor,
                "why": "a meeting" if actor == "calsyncd" else "",
            }
            for start, end, status, actor in settings or []
        ],
    }


def event(start: str, end: str, why_not: str | None = None, *, all_day: bool = False) -> dict[str, Any]:
    """An event."""
    return {"id": "x7f", "calendar": "primary", "start": start, "end": end, "all_day": all_day, "why_not": why_not}


def told(when: str, zone: str, day: date) -> str:
    """A time by the agent's clock, as RFC 3339 UTC."""
    fold = int(when.endswith("*"))
    clock, days = when.rstrip("*"), 0
    if clock[-2] in "+-":
        clock, days = clock[:-2], int(clock[-2:])
    local = datetime.combine(day + timedelta(days=days), time.fromisoformat(clock), ZoneInfo(zone)).replace(fold=fold)
    return local.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
