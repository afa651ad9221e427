"""Partial responses: the `fields` mask, checked against the API's own field names and applied."""

from __future__ import annotations

from typing import Any

from calsyncd.sandbox.google_errors import bad

Tree = dict[str, "Tree | None"]
"""Field names with what is below them; None where nothing is, or where any name is allowed."""


def _leaves(names: str) -> Tree:
    return dict.fromkeys(names.split())


_TIME = _leaves("date dateTime timeZone")

EVENT: Tree = {
    **_leaves(
        "anyoneCanAddSelf attendeesOmitted colorId created description endTimeUnspecified etag eventLabelId eventType "
        "guestsCanInviteOthers guestsCanModify guestsCanSeeOtherGuests hangoutLink htmlLink iCalUID id kind location "
        "locked privateCopy recurrence recurringEventId sequence status summary transparency updated visibility "
        "attachments birthdayProperties conferenceData gadget workingLocationProperties"
    ),
    "attendees": _leaves(
        "additionalGuests asyncOperation comment displayName email id optional organizer resource responseStatus self"
    ),
    "creator": _leaves("displayName email id self"),
    "end": _TIME,
    "extendedProperties": {"private": None, "shared": None},
    "focusTimeProperties": _leaves("autoDeclineMode chatStatus declineMessage"),
    "organizer": _leaves("displayName email id self"),
    "originalStartTime": _TIME,
    "outOfOfficeProperties": _leaves("autoDeclineMode declineMessage"),
    "reminders": {"overrides": _leaves("method minutes"), "useDefault": None},
    "source": _leaves("title url"),
    "start": _TIME,
}

EVENTS: Tree = {
    **_leaves("accessRole description etag kind nextPageToken nextSyncToken summary timeZone updated"),
    "defaultReminders": _leaves("method minutes"),
    "items": EVENT,
}

CALENDARS: Tree = {
    **_leaves("etag kind nextPageToken nextSyncToken"),
    "items": {
        **_leaves(
            "accessRole autoAcceptInvitations backgroundColor colorId dataOwner deleted description etag "
            "foregroundColor hidden id kind location primary selected summary summaryOverride timeZone"
        ),
        "conferenceProperties": _leaves("allowedConferenceSolutionTypes"),
        "defaultReminders": _leaves("method minutes"),
        "notificationSettings": {"notifications": _leaves("method type")},
    },
}

CHANNEL: Tree = _leaves("address expiration id kind params payload resourceId resourceUri token type")

_OPEN_BELOW = frozenset({"private", "shared", "params", "attachments", "conferenceData", "gadget"}) | {
    "birthdayProperties",
    "workingLocationProperties",
}


def parse_mask(text: str, known: Tree) -> Tree:
    """The mask as a tree; a 400 for wrong grammar or an unknown field."""
    reader = _Reader(text)
    mask = reader.selections(known)
    if reader.rest:
        raise _wrong(text)
    return mask


def apply_mask(mask: Tree, value: Any) -> Any:
    """What the mask leaves of a value; lists are masked item by item."""
    if isinstance(value, list):
        return [apply_mask(mask, item) for item in value]
    if not isinstance(value, dict) or "*" in mask:
        return value
    return {
        name: value[name] if below is None else apply_mask(below, value[name])
        for name, below in mask.items()
        if name in value
    }


class _Reader:
    """Reads `a,b(c,d/e),f/*` from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.rest = text

    def selections(self, known: Tree | None) -> Tree:
        mask: Tree = {}
        while True:
            name, below = self._selection(known)
            earlier = mask.get(name)
            mask[name] = {**earlier, **below} if earlier and below else below
            if not self.rest.startswith(","):
                return mask
            self.rest = self.rest[1:]

    def _selection(self, known: Tree | None) -> tuple[str, Tree | None]:
        name = ""
        while self.rest and (self.rest[0].isalnum() or self.rest[0] in "_-*"):
            name, self.rest = name + self.rest[0], self.rest[1:]
        if not name or (name != "*" and known is not None and name not in known):
            raise _wrong(name or self.text)
        inner = known.get(name) if known is not None else None
        is_closed = inner is None and known is not None and name not in _OPEN_BELOW
        if self.rest[:1] in {"(", "/"} and is_closed:
            raise _wrong(name + self.rest)
        if self.rest.startswith("/"):
            self.rest = self.rest[1:]
            child, below = self._selection(inner)
            return name, {child: below}
        if self.rest.startswith("("):
            self.rest = self.rest[1:]
            tree = self.selections(inner)
            if not self.rest.startswith(")"):
                raise _wrong(self.text)
            self.rest = self.rest[1:]
            return name, tree
        return name, None


def _wrong(what: str) -> Exception:
    return bad("fields", f"Invalid field selection {what}")
