"""iCalendar files (RFC 5545), as Google, Outlook and others export them, read as if Google had listed their events.

What they tell is less than what Google tells: no event types, colours and labels. Outlook's own word for how an
event is shown (X-MICROSOFT-CDO-BUSYSTATUS) is taken for free, out of office, and answered maybe.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from datetime import date, datetime, tzinfo
from typing import Any

import icalendar
import recurring_ical_events

from calsyncd.core.hours import zone_of
from calsyncd.core.rules import OUT_OF_OFFICE
from calsyncd.exports.export import ExportError, Pages

EXPANSION_SECONDS = 20.0
"""So long series are spelled out; a rule that cannot come true takes for ever."""

_OFTEN = frozenset({"SECONDLY", "MINUTELY", "HOURLY"})
_REPEATS = ("RRULE", "RDATE")
_NEEDED = ("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID")
_ANSWERS = {
    "ACCEPTED": "accepted",
    "DECLINED": "declined",
    "TENTATIVE": "tentative",
    "NEEDS-ACTION": "needsAction",
}
_STEP = re.compile(r"(BEGIN|END):(.*)", re.IGNORECASE)


class Calendar:
    """The calendars of one file, as one."""

    def __init__(self, text: str) -> None:
        _check(text)
        try:
            self._calendars = icalendar.Calendar.from_ical(text, multiple=True)
        except (ValueError, LookupError, RecursionError):
            # What the library says may quote the file.
            raise ExportError("is not the iCalendar that RFC 5545 describes: save the calendar again") from None

    @property
    def zone(self) -> str | None:
        """What X-WR-TIMEZONE says."""
        return next((str(one["X-WR-TIMEZONE"]) for one in self._calendars if "X-WR-TIMEZONE" in one), None)

    @property
    def owner(self) -> str | None:
        """Whose calendar it is: Google calls a person's own calendar by their e-mail address."""
        names = [str(one.get("X-WR-CALNAME", "")).strip().lower() for one in self._calendars]
        return next((name for name in names if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", name)), None)

    def pages(self, window: tuple[float, float], zone: str, agent: str | None) -> Pages:
        """Every meeting that touches the window, those of series each for itself.

        Raises:
            ExportError: the rule of a series cannot be spelled out in reasonable time.
        """
        known = self.zone if zone_of(self.zone) is not None else zone
        work = _Expansion(self._calendars, window, zone_of(known), (agent or self.owner or "").lower())
        # The libraries are not to be stopped; a thread can be left to itself.
        thread = threading.Thread(target=work.run, daemon=True)
        thread.start()
        thread.join(EXPANSION_SECONDS)
        if thread.is_alive():
            raise ExportError(
                f"{work.at}: how it repeats cannot be spelled out: its RRULE comes true never or too often"
            )
        if work.failure is not None:
            raise work.failure
        return Pages(((known or zone, tuple(work.items)),), tuple(work.unreadable))


class _Expansion:
    """The meetings of a window, worked out in a thread of its own; `at` is the series that it is at."""

    def __init__(self, calendars: Iterable[Any], window: tuple[float, float], zone: tzinfo | None, agent: str) -> None:
        self.items: list[dict[str, Any]] = []
        self.unreadable: list[str] = []
        self.failure: BaseException | None = None
        self.at = ""
        self._calendars = calendars
        self._low, self._high = (datetime.fromtimestamp(at, zone) for at in window)
        self._agent = agent

    def run(self) -> None:
        """Work it out."""
        try:
            for uid, events in self._series():
                self._take(uid, events)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self.failure = error

    def _series(self) -> Iterator[tuple[str, list[Any]]]:
        series: dict[str, list[Any]] = {}
        for calendar in self._calendars:
            for number, event in enumerate(calendar.walk("VEVENT"), 1):
                series.setdefault(str(event.get("UID", f"event {number}")), []).append(event)
        yield from series.items()

    def _take(self, uid: str, events: list[Any]) -> None:
        first = next((one for one in events if "RECURRENCE-ID" not in one), events[0])
        self.at = f"the event with UID {uid[:80]}"
        wrong = next((words for one in events if (words := _fault(one))), None)
        if wrong is not None:
            self.unreadable.append(f"{self.at}: {wrong}")
            return
        try:
            if any(key in first for key in _REPEATS):
                self.items += [self._item(f"{uid}_{_stamp(one)}", one) for one in self._spelled_out(events)]
            else:
                self.items += [self._item(uid if one is first else f"{uid}_{_stamp(one)}", one) for one in events]
        except (ValueError, LookupError, ArithmeticError, TypeError, AttributeError):
            # The libraries stumble in many ways over dates that are none.
            self.unreadable.append(f"{self.at}: its times cannot be read")

    def _spelled_out(self, events: list[Any]) -> list[Any]:
        calendar = icalendar.Calendar()
        for event in events:
            calendar.add_component(event)
        found: list[Any] = recurring_ical_events.of(calendar).between(self._low, self._high)
        return found

    def _item(self, name: str, event: Any) -> dict[str, Any]:
        """The event as Google would list it."""
        shown = str(event.get("X-MICROSOFT-CDO-BUSYSTATUS", "")).upper()
        attendees = [self._attendee(one) for one in _listed(event, "ATTENDEE")]
        if shown == "TENTATIVE" and not any(one["self"] for one in attendees):
            attendees.append({"self": True, "responseStatus": "tentative"})
        free = shown == "FREE" or str(event.get("TRANSP", "")).upper() == "TRANSPARENT"
        link = (
            event.get("X-GOOGLE-CONFERENCE") or event.get("CONFERENCE") or event.get("X-MICROSOFT-SKYPETEAMSMEETINGURL")
        )
        return {
            "id": name,
            "status": str(event.get("STATUS", "CONFIRMED")).lower(),
            "summary": str(event.get("SUMMARY", "")),
            "start": _moment(event.start),
            "end": _moment(event.end),
            "transparency": "transparent" if free else "opaque",
            "eventType": OUT_OF_OFFICE if shown == "OOF" else "default",
            "attendees": attendees,
            "hangoutLink": "yes" if link else "",
        }

    def _attendee(self, address: Any) -> dict[str, Any]:
        params = getattr(address, "params", {})
        email = str(address).lower().removeprefix("mailto:").strip()
        return {
            "self": bool(self._agent) and email == self._agent,
            "responseStatus": _ANSWERS.get(str(params.get("PARTSTAT", "NEEDS-ACTION")).upper(), "needsAction"),
            "resource": str(params.get("CUTYPE", "")).upper() in {"RESOURCE", "ROOM"},
        }


def _fault(event: Any) -> str | None:
    """What of an event's times cannot be believed."""
    if "DTSTART" not in event:
        return "has no DTSTART"
    broken = {name for name, _ in event.errors}
    for name in _NEEDED:
        if name in broken:
            return f"its {name} cannot be read"
        for value in _listed(event, name):
            moment = getattr(value, "dt", None)
            if isinstance(moment, datetime) and moment.tzinfo is None and "TZID" in value.params:
                return f"the zone of its {name} is not known"
    for rule in _listed(event, "RRULE"):
        if {str(frequency).upper() for frequency in _listed(rule, "FREQ")} & _OFTEN:
            return "repeats more often than every day, as no event of Google's does"
    return None


def _listed(holder: Any, key: str) -> list[Any]:
    value = holder.get(key, [])
    return list(value) if isinstance(value, list) else [value]


def _stamp(event: Any) -> str:
    told = event.get("RECURRENCE-ID")
    return str((told.dt if told is not None else event.start).isoformat())


def _moment(at: date) -> dict[str, str]:
    return {"dateTime": at.isoformat()} if isinstance(at, datetime) else {"date": at.isoformat()}


def _check(text: str) -> None:
    """That every BEGIN has its END, and the calendar no line that is none."""
    opened: list[str] = []
    number = 0
    for number, line in enumerate(text.splitlines(), 1):
        step = _STEP.match(line)
        if step is None:
            if len(opened) == 1 and line.strip() and not line.startswith((" ", "\t")) and ":" not in line:
                raise ExportError("a line without `:`, which is no iCalendar", line=number)
            continue
        name = step[2].strip().upper()
        if step[1].upper() == "BEGIN":
            opened.append(name)
        elif not opened or opened.pop() != name:
            raise ExportError("an END that fits no BEGIN: save the calendar again", line=number)
    if opened:
        raise ExportError("is cut off: END:VCALENDAR is missing; save the calendar again", line=number)
