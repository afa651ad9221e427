"""What Google accepts as an event, and the fields that it adds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from calsyncd.sandbox.google_errors import bad, refusal
from calsyncd.sandbox.google_fields import EVENT
from calsyncd.sandbox.google_series import UnsupportedRuleError, parse_rule
from calsyncd.sandbox.google_times import instant, is_zone, moment

Resource = dict[str, Any]

ID = re.compile(r"[a-v0-9]{5,1024}")
"""Ids that clients may choose: base32hex."""

_TYPES = frozenset({"default", "outOfOffice", "focusTime", "workingLocation", "birthday", "fromGmail"})
_CHOICES = {
    "status": frozenset({"confirmed", "tentative", "cancelled"}),
    "transparency": frozenset({"opaque", "transparent"}),
    "visibility": frozenset({"default", "public", "private", "confidential"}),
    "eventType": _TYPES,
}
_ANSWERS = frozenset({"needsAction", "declined", "tentative", "accepted"})
_NEVER_BUSY = frozenset({"workingLocation", "birthday"})


def check_event(event: Mapping[str, Any], zone: str) -> None:
    """Refuse, with a 400, an event that Google would not take."""
    for name in event:
        if name not in EVENT:
            raise refusal(400, "parseError", f"Unknown name {name}")
    for name, allowed in _CHOICES.items():
        if name in event and event[name] not in allowed:
            raise bad(name, f"Invalid {name} value.", "invalid")
    for name in ("start", "end"):
        _check_time(event, name, zone)
    if ("date" in event["start"]) != ("date" in event["end"]):
        raise bad("end", "Start and end times must either both be date or both be dateTime.", "invalid")
    start, end = instant(event["start"], zone), instant(event["end"], zone)
    if start is None or end is None or end < start or ("date" in event["end"] and end == start):
        raise refusal(400, "timeRangeEmpty", location="end")
    if event.get("eventType") in {"outOfOffice", "focusTime"} and "date" in event["start"]:
        raise refusal(400, "malformedOutOfOfficeEvent", "This type of event must be timed.")
    if event.get("eventType") == "fromGmail":
        raise refusal(400, "eventTypeRestriction", "Events from Gmail cannot be created by the API.")
    for guest in event.get("attendees", []):
        if not isinstance(guest, dict) or "email" not in guest:
            raise bad("attendees", "Missing attendee email.", "required")
        if guest.get("responseStatus", "needsAction") not in _ANSWERS:
            raise bad("attendees", "Invalid attendee response.", "invalid")
    if event.get("recurrence"):
        _check_recurrence(event)


def _check_time(event: Mapping[str, Any], name: str, zone: str) -> None:
    value = event.get(name)
    if not isinstance(value, dict) or not {"date", "dateTime"} & set(value):
        raise bad(name, f"Missing {name} time.", "required")
    if {"date", "dateTime"} <= set(value) or set(value) - {"date", "dateTime", "timeZone"}:
        raise bad(name, f"Invalid {name} time.", "invalid")
    if "timeZone" in value and not is_zone(value["timeZone"]):
        raise bad(name, f"Invalid time zone in {name}.", "invalid")
    if moment(value, zone) is None:
        raise bad(name, f"Invalid {name} time.", "invalid")


def _check_recurrence(event: Mapping[str, Any]) -> None:
    if "dateTime" in event["start"] and "timeZone" not in event["start"]:
        raise bad("start", "Missing time zone definition for start time.", "required")
    try:
        parse_rule(event["recurrence"])
    except UnsupportedRuleError as err:
        raise bad("recurrence", str(err), "invalid") from err


def merged(event: Mapping[str, Any], changes: Mapping[str, Any]) -> Resource:
    """The event after a patch: objects merge, arrays are replaced, null removes."""
    result: Resource = dict(event)
    for name, value in changes.items():
        if value is None:
            result.pop(name, None)
        elif name in {"start", "end"} and isinstance(value, dict) and {"date", "dateTime"} & set(value):
            result[name] = value
        elif isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name] = merged(result[name], value)
        else:
            result[name] = value
    return result


def is_busy(event: Mapping[str, Any], owner: str) -> bool:
    """Whether Google shows the calendar's owner as busy because of this event."""
    if event.get("status") == "cancelled" or event.get("transparency") == "transparent":
        return False
    if event.get("eventType") in _NEVER_BUSY:
        return False
    own = [guest for guest in event.get("attendees", []) if guest.get("email") == owner or guest.get("self")]
    return all(guest.get("responseStatus") != "declined" for guest in own)


def seen_by(event: Resource, role: str, owner: str, most_attendees: int | None) -> Resource:
    """The event as a reader with this role gets it from the calendar of `owner`."""
    if event.get("status") == "cancelled":
        return dict(event)
    is_private = event.get("visibility") in {"private", "confidential"}
    if role == "freeBusyReader" or (is_private and role in {"reader", "writerWithoutPrivateAccess"}):
        kept = ("id", "status", "start", "end", "recurringEventId", "originalStartTime")
        names = kept if role != "freeBusyReader" else kept[:4]
        return {**{name: event[name] for name in names if name in event}, "visibility": "private"}
    result = dict(event)
    guests = [{**guest, "self": True} if guest.get("email") == owner else guest for guest in event.get("attendees", [])]
    if most_attendees is not None and len(guests) > most_attendees:
        guests = [guest for guest in guests if guest.get("self")]
        result["attendeesOmitted"] = True
    result.pop("attendees", None)
    if guests:
        result["attendees"] = guests
    return result
