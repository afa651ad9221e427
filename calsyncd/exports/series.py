"""Series of meetings, spelled out for a window: RRULE, RDATE, EXDATE and RECURRENCE-ID of RFC 5545.

Theory. A rule may come true never, or a billion times, and the libraries look until they are done; so the work is done
in a thread that is left to itself when it takes too long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any

import icalendar
import recurring_ical_events

from calsyncd.exports.export import ExportError

EXPANSION_SECONDS = 30.0
"""For all series of a file together; thousands take seconds."""

STUMBLES = (ValueError, LookupError, ArithmeticError, TypeError, AttributeError, OSError, RecursionError)
"""What the libraries raise over dates, zones and rules that are none; their words may quote the file."""

_OFTEN = frozenset({"SECONDLY", "MINUTELY", "HOURLY"})
_REPEATS = ("RRULE", "RDATE")
_NEEDED = ("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID")


@dataclass(frozen=True, slots=True)
class Series:
    """The VEVENTs that belong together, maybe one; `item` makes one of Google's of an id and a meeting."""

    id: str
    name: str
    events: list[Any]
    item: Callable[[str, Any], dict[str, Any]]


def spelled_out(
    series: Iterable[Series], window: tuple[float, float], zone: tzinfo | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Every meeting, of series those that touch the window; and of what cannot be read, why. `zone` has what floats.

    Raises:
        ExportError: how a series repeats cannot be worked out in `EXPANSION_SECONDS`.
    """
    work = _Expansion(window, zone)
    thread = threading.Thread(target=work.run, args=(list(series),), daemon=True)
    thread.start()
    thread.join(EXPANSION_SECONDS)
    if thread.is_alive():
        raise ExportError(f"{work.at}: how it repeats cannot be spelled out: its RRULE comes true never or too often")
    if work.failure is not None:
        raise work.failure
    return work.items, work.unreadable


def listed(holder: Any, key: str) -> list[Any]:
    """The values of a property that may be there several times."""
    value = holder.get(key, [])
    return list(value) if isinstance(value, list) else [value]


def moment(at: date) -> dict[str, str]:
    """A date or a time as Google writes it."""
    return {"dateTime": at.isoformat()} if isinstance(at, datetime) else {"date": at.isoformat()}


class _Expansion:
    """`at` is the series that it is at."""

    def __init__(self, window: tuple[float, float], zone: tzinfo | None) -> None:
        self.items: list[dict[str, Any]] = []
        self.unreadable: list[str] = []
        self.failure: BaseException | None = None
        self.at = ""
        self._low, self._high = (datetime.fromtimestamp(at, zone) for at in window)

    def run(self, series: list[Series]) -> None:
        """Work it out."""
        try:
            for one in series:
                self.at = one.name
                self._take(one)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self.failure = error

    def _take(self, one: Series) -> None:
        wrong = next((words for event in one.events if (words := _fault(event))), None)
        if wrong is not None:
            self.unreadable.append(f"{one.name}: {wrong}")
            return
        first = next((event for event in one.events if "RECURRENCE-ID" not in event), one.events[0])
        try:
            if any(key in first for key in _REPEATS):
                self.items += [one.item(f"{one.id}_{_stamp(event)}", event) for event in self._meetings(one.events)]
            else:
                self.items += [
                    one.item(one.id if event is first else f"{one.id}_{_stamp(event)}", event) for event in one.events
                ]
        except STUMBLES:
            self.unreadable.append(f"{one.name}: its times cannot be read")

    def _meetings(self, events: list[Any]) -> list[Any]:
        calendar = icalendar.Calendar()
        for event in events:
            calendar.add_component(event)
        found: list[Any] = recurring_ical_events.of(calendar).between(self._low, self._high)
        return found


def _fault(event: Any) -> str | None:
    """What of an event's times cannot be believed."""
    if "DTSTART" not in event:
        return "has no DTSTART"
    broken = {name for name, _ in event.errors}
    for name in _NEEDED:
        if name in broken:
            return f"its {name} cannot be read"
        for value in listed(event, name):
            at = getattr(value, "dt", None)
            if isinstance(at, datetime) and at.tzinfo is None and "TZID" in value.params:
                return f"the zone of its {name} is not known"
    for rule in listed(event, "RRULE"):
        if {str(frequency).upper() for frequency in listed(rule, "FREQ")} & _OFTEN:
            return "repeats more often than every day, as no event of Google's does"
    return None


def _stamp(event: Any) -> str:
    told = event.get("RECURRENCE-ID")
    return str((told.dt if told is not None else event.start).isoformat())
