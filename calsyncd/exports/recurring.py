"""Google's recurring events as they are listed without singleEvents: a rule, and the meetings that differ from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from functools import partial
from typing import Any

import icalendar

from calsyncd.core.hours import zone_of
from calsyncd.exports.series import STUMBLES, Series, moment, spelled_out

_LINE = re.compile(r"(RRULE|RDATE|EXDATE)[;:][^\r\n]*")


def is_recurring(item: object) -> bool:
    """Whether the item stands for a series."""
    return isinstance(item, Mapping) and bool(item.get("recurrence")) and item.get("status") != "cancelled"


def single_events(
    items: Iterable[Any], window: tuple[float, float], zone: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """The items with each series spelled out for the window, but where a meeting of it is listed itself; and faults.

    Raises:
        ExportError: how a series repeats cannot be worked out in reasonable time.
    """
    known = list(items)
    single = [item for item in known if not is_recurring(item)]
    differing: dict[str, list[Any]] = {}
    for item in single:
        if isinstance(item, Mapping) and "originalStartTime" in item:
            differing.setdefault(str(item.get("recurringEventId")), []).append(item["originalStartTime"])
    series: list[Series] = []
    unreadable: list[str] = []
    for item in known:
        if is_recurring(item):
            name = f"event {item.get('id')}"
            try:
                event = _event(item, differing.get(str(item.get("id")), []), zone)
            except STUMBLES:
                unreadable.append(f"{name}: its times, or how it repeats, cannot be read")
                continue
            series.append(Series(str(item.get("id")), name, [event], partial(_meeting, item)))
    meetings, more = spelled_out(series, window, zone_of(zone))
    return [*single, *meetings], [*unreadable, *more]


def _meeting(item: Mapping[str, Any], name: str, event: Any) -> dict[str, Any]:
    own = {key: value for key, value in item.items() if key != "recurrence"}
    times = {"start": moment(event.start), "end": moment(event.end)}
    return own | times | {"id": name, "recurringEventId": item.get("id")}


def _event(item: Mapping[str, Any], differing: Iterable[Any], zone: str) -> Any:
    """The series as a VEVENT, without the meetings that are listed themselves."""
    home = str(item["start"].get("timeZone") or zone)
    lines = [
        _line("DTSTART", item["start"], home),
        _line("DTEND", item["end"], home),
        *_recurrence(item["recurrence"]),
        *(_line("EXDATE", at, home) for at in differing),
    ]
    return icalendar.Event.from_ical("\r\n".join(["BEGIN:VEVENT", *lines, "END:VEVENT", ""]))


def _recurrence(lines: Any) -> Iterator[str]:
    for line in lines:
        if not _LINE.fullmatch(line):
            raise ValueError(line)
        yield line


def _line(name: str, at: Mapping[str, Any], home: str) -> str:
    """A time as RFC 5545 writes it: by the clock of the zone in which the series repeats."""
    if "date" in at:
        return f"{name};VALUE=DATE:{date.fromisoformat(at['date']):%Y%m%d}"
    zone = zone_of(home)
    if zone is None:
        raise ValueError(home)
    told = datetime.fromisoformat(at["dateTime"])
    own = zone_of(at.get("timeZone")) or zone
    local = (told if told.tzinfo is not None else told.replace(tzinfo=own)).astimezone(zone)
    return f"{name};TZID={home}:{local:%Y%m%dT%H%M%S}"
