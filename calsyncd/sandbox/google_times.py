"""Google's dates and times: RFC 3339 with offset, floating dates, and the instants they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def parse_rfc3339(text: str) -> datetime | None:
    """The instant; None where the text is not RFC 3339 with a mandatory offset."""
    if not _RFC3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        return None


def stamp(at: float) -> str:
    """An instant as Google writes `created` and `updated`: UTC with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def second(at: float, zone: str = "UTC") -> str:
    """An instant as Google writes a `dateTime`: whole seconds with the zone's offset."""
    text = datetime.fromtimestamp(round(at), ZoneInfo(zone)).isoformat(timespec="seconds")
    return text.replace("+00:00", "Z")


def moment(value: Mapping[str, Any] | None, zone: str) -> datetime | None:
    """The aware time that a `start` or `end` means on a calendar in `zone`; None if it means none."""
    if not isinstance(value, Mapping):
        return None
    if isinstance(value.get("dateTime"), str):
        exact = parse_rfc3339(value["dateTime"])
        if exact is not None:
            return exact
        try:
            floating = datetime.fromisoformat(value["dateTime"])
            return floating.replace(tzinfo=ZoneInfo(str(value["timeZone"])))
        except (ValueError, KeyError, OSError):
            return None
    if isinstance(value.get("date"), str):
        try:
            return datetime.combine(date.fromisoformat(value["date"]), time(), ZoneInfo(zone))
        except ValueError:
            return None
    return None


def instant(value: Mapping[str, Any] | None, zone: str) -> float | None:
    """The epoch seconds that a `start` or `end` means; None if it means none."""
    when = moment(value, zone)
    return None if when is None else when.timestamp()


def with_offset(value: Mapping[str, Any]) -> dict[str, Any]:
    """The same `start` or `end`, with the offset that Google adds to a time given in a zone."""
    if not isinstance(value.get("dateTime"), str) or parse_rfc3339(value["dateTime"]) is not None:
        return dict(value)
    when = moment(value, "UTC")
    return {**value, "dateTime": "" if when is None else second(when.timestamp(), str(value["timeZone"]))}


def is_zone(name: object) -> bool:
    """Whether this names a zone of the IANA database."""
    try:
        ZoneInfo(str(name))
    except (KeyError, ValueError, OSError):
        return False
    return True


def shifted(value: Mapping[str, Any], new: datetime, zone: str) -> dict[str, Any]:
    """The same kind of `start` or `end` at another time."""
    if "date" in value:
        return {"date": new.date().isoformat()}
    named = str(value.get("timeZone") or zone)
    text = new.astimezone(ZoneInfo(named)).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"dateTime": text, "timeZone": named}
