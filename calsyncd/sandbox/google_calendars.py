"""`calendarList.list`: the calendars that a user sees, in pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from calsyncd.sandbox.google_calendar import Calendar
from calsyncd.sandbox.google_errors import bad, refusal

LISTED = frozenset(
    {"maxResults", "minAccessRole", "pageToken", "showDeleted", "showHidden", "showOwnOrganizationOnly", "syncToken"}
)
_ROLES = ("freeBusyReader", "reader", "writerWithoutPrivateAccess", "writer", "owner")
_BOOLEAN = ("showDeleted", "showHidden", "showOwnOrganizationOnly")
_BEGINS = "after:"


def calendar_list(calendars: Iterable[Calendar], user: str, query: Mapping[str, str]) -> dict[str, Any]:
    """The page that a request gets, before the `fields` mask. Every sync token has expired: 410."""
    for name in _BOOLEAN:
        if query.get(name, "true") not in {"true", "false"}:
            raise bad(name, f"Invalid value for {name}")
    least = query.get("minAccessRole", _ROLES[0])
    if least not in _ROLES:
        raise bad("minAccessRole", "Invalid value for minAccessRole")
    if "syncToken" in query:
        raise refusal(410, "fullSyncRequired", location="syncToken")
    seen = sorted(
        (one for one in calendars if one.access.get(user) in _ROLES[_ROLES.index(least) :]), key=lambda one: one.id
    )
    token = query.get("pageToken", _BEGINS)
    if not token.startswith(_BEGINS):
        raise bad("pageToken", "Invalid page token value.")
    seen = [one for one in seen if one.id > token.removeprefix(_BEGINS)]
    most = min(int(query.get("maxResults", "100")), 250)
    shown = [_entry(one, user) for one in seen[:most]]
    more = {"nextPageToken": _BEGINS + seen[most - 1].id} if len(seen) > most else {"nextSyncToken": "s"}
    return {"kind": "calendar#calendarList", "etag": '"0"', **more, "items": shown}


def _entry(calendar: Calendar, user: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "kind": "calendar#calendarListEntry",
        "etag": f'"{calendar.version}"',
        "id": calendar.id,
        "summary": f"Private title of {calendar.id}",
        "timeZone": calendar.zone,
        "accessRole": calendar.access[user],
        "defaultReminders": [],
        "selected": True,
    }
    if calendar.id == user:
        return {**entry, "primary": True}
    return {**entry, "dataOwner": calendar.owner}
