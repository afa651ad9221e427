"""iCalendar files (RFC 5545), as Google, Outlook and others export them, read as if Google had listed their events.

What they tell is less than what Google tells: no event types, colours and labels. Outlook's own word for how an
event is shown (X-MICROSOFT-CDO-BUSYSTATUS) is taken for free, out of office, and answered maybe.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import icalendar

from calsyncd.core.hours import zone_of
from calsyncd.core.rules import OUT_OF_OFFICE
from calsyncd.exports.export import ExportError, Pages
from calsyncd.exports.series import STUMBLES, Series, listed, moment, spelled_out

_ANSWERS = {
    "ACCEPTED": "accepted",
    "DECLINED": "declined",
    "TENTATIVE": "tentative",
    "NEEDS-ACTION": "needsAction",
}
_LINKS = ("X-GOOGLE-CONFERENCE", "CONFERENCE", "X-MICROSOFT-SKYPETEAMSMEETINGURL")
_STEP = re.compile(r"(BEGIN|END):(.*)", re.IGNORECASE)


class Calendar:
    """The calendars of one file, as one."""

    def __init__(self, text: str) -> None:
        _check(text)
        try:
            self._calendars = icalendar.Calendar.from_ical(text, multiple=True)
        except STUMBLES:
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
        """Every meeting, those of series that touch the window each for itself.

        Raises:
            ExportError: the rule of a series cannot be spelled out in reasonable time.
        """
        told = self.zone
        known = told if told is not None and zone_of(told) is not None else zone
        items, unreadable = spelled_out(self._series((agent or self.owner or "").lower()), window, zone_of(known))
        return Pages(((known, tuple(items)),), tuple(unreadable))

    def _series(self, agent: str) -> list[Series]:
        item = partial(_item, agent)
        series: dict[str, Series] = {}
        events = [event for calendar in self._calendars for event in calendar.walk("VEVENT")]
        for number, event in enumerate(events, 1):
            uid = str(event.get("UID", f"event {number}"))
            known = series.setdefault(uid, Series(uid, f"the event with UID {uid[:80]}", [], item))
            known.events.append(event)
        return list(series.values())


def _item(agent: str, name: str, event: Any) -> dict[str, Any]:
    """The event as Google would list it for `agent`."""
    shown = str(event.get("X-MICROSOFT-CDO-BUSYSTATUS", "")).upper()
    attendees = [_attendee(one, agent) for one in listed(event, "ATTENDEE")]
    if shown == "TENTATIVE" and not any(one["self"] for one in attendees):
        attendees.append({"self": True, "responseStatus": "tentative"})
    free = shown == "FREE" or str(event.get("TRANSP", "")).upper() == "TRANSPARENT"
    return {
        "id": name,
        "status": str(event.get("STATUS", "CONFIRMED")).lower(),
        "summary": str(event.get("SUMMARY", "")),
        "start": moment(event.start),
        "end": moment(event.end),
        "transparency": "transparent" if free else "opaque",
        "eventType": OUT_OF_OFFICE if shown == "OOF" else "default",
        "attendees": attendees,
        "hangoutLink": "yes" if any(event.get(key) for key in _LINKS) else "",
    }


def _attendee(address: Any, agent: str) -> dict[str, Any]:
    params = getattr(address, "params", {})
    email = str(address).lower().removeprefix("mailto:").strip()
    return {
        "self": bool(agent) and email == agent,
        "responseStatus": _ANSWERS.get(str(params.get("PARTSTAT", "NEEDS-ACTION")).upper(), "needsAction"),
        "resource": str(params.get("CUTYPE", "")).upper() in {"RESOURCE", "ROOM"},
    }


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
