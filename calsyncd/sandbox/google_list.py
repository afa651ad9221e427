"""`events.list`: which parameters are taken, what a page holds, and what its tokens promise."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from calsyncd.sandbox.google_calendar import Calendar, DeletedSeries, Item
from calsyncd.sandbox.google_errors import bad, bad_value, refusal
from calsyncd.sandbox.google_events import Resource, seen_by
from calsyncd.sandbox.google_times import parse_rfc3339, stamp

Query = Sequence[tuple[str, str]]

SYSTEM = frozenset({"alt", "fields", "key", "prettyPrint", "quotaUser", "userIp"})
"""Parameters of every method; not part of what a token binds."""

LIST = frozenset(
    {
        *("alwaysIncludeEmail", "eventTypes", "iCalUID", "maxAttendees", "maxResults", "orderBy", "pageToken"),
        *("privateExtendedProperty", "q", "sharedExtendedProperty", "showDeleted", "showHiddenInvitations"),
        *("singleEvents", "syncToken", "timeMax", "timeMin", "timeZone", "updatedMin"),
    }
)

_NOT_WITH_SYNC_TOKEN = (
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "timeMin",
    "timeMax",
    "updatedMin",
)
_NO_SYNC_TOKEN_AFTER = frozenset(_NOT_WITH_SYNC_TOKEN) - {"timeMin", "timeMax"}
_REPEATED = frozenset({"eventTypes", "privateExtendedProperty", "sharedExtendedProperty"})
_BOOLEAN = ("alwaysIncludeEmail", "showDeleted", "showHiddenInvitations", "singleEvents", "prettyPrint")
_TYPES = frozenset(["birthday", "default", "focusTime", "fromGmail", "outOfOffice", "workingLocation"])

Window = tuple[float | None, float | None]


@dataclass(slots=True)
class ListSwitches:
    """What is not established about lists, or differs from time to time.

    Attributes:
        window_sticks: whether a delta is limited to the baseline's timeMin and timeMax.
        deleted_series: what a delta names of a deleted series.
        omit_empty_items: leave `items` out of a page that has none.
        most_per_page: give shorter pages than asked for; None for as asked.
        empty_pages: so many of the next pages come empty, with a nextPageToken.
        empty_first: every list that holds anything begins with an empty page.
        repeat_over_pages: a page begins with the state before its last change of the previous page's last item.
        sync_token_life: seconds after which a sync token gets 410; None for never.
        opaque_instance_ids: an instance's id tells nothing of its series and its time.
    """

    window_sticks: bool = False
    deleted_series: DeletedSeries = "both"
    omit_empty_items: bool = True
    most_per_page: int | None = None
    empty_pages: int = 0
    empty_first: bool = False
    repeat_over_pages: bool = False
    sync_token_life: float | None = None
    opaque_instance_ids: bool = False


@dataclass(frozen=True, slots=True)
class _Sync:
    calendar: str
    user: str
    constant: frozenset[tuple[str, str]]
    version: int
    window: Window
    issued: float


@dataclass(frozen=True, slots=True)
class _Page:
    calendar: str
    user: str
    parameters: frozenset[tuple[str, str]]
    items: tuple[Item, ...]
    sync: _Sync | None
    last: Item | None


class Lists:
    """Answers list requests and keeps what its tokens stand for."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.switches = ListSwitches()
        self._now = now
        self._pages: dict[str, _Page] = {}
        self._syncs: dict[str, _Sync] = {}

    def expire_sync_tokens(self, calendar: str | None = None) -> None:
        """Forget the sync tokens of a calendar, or all: they get 410 from now on."""
        self._syncs = {
            token: sync for token, sync in self._syncs.items() if calendar is not None and sync.calendar != calendar
        }

    def answer(self, calendar: Calendar, user: str, role: str, query: Query) -> Resource:
        """The page that a request gets, before the `fields` mask."""
        check_parameters(query, LIST)
        values = dict(query)
        binding = frozenset(pair for pair in query if pair[0] not in SYSTEM and pair[0] != "pageToken")
        most = min(int(values.get("maxResults", "250")), 2500)
        page = self._page(calendar, user, values, binding)
        return self._render(calendar, role, values, page, min(most, self.switches.most_per_page or most))

    def _page(
        self, calendar: Calendar, user: str, values: dict[str, str], binding: frozenset[tuple[str, str]]
    ) -> _Page:
        window = _window(values)
        constant = frozenset(pair for pair in binding if pair[0] not in {"syncToken", "timeMin", "timeMax"})
        types = {value for name, value in binding if name == "eventTypes"}
        since = None
        if "syncToken" in values:
            since = self._since(calendar, user, values, constant)
            window = since.window if self.switches.window_sticks else (None, None)
        if "pageToken" in values:
            page = self._pages.get(values["pageToken"])
            if page is None or (page.calendar, page.user) != (calendar.id, user):
                raise bad_value("pageToken", values["pageToken"])
            if page.parameters != binding:
                raise bad("pageToken", "The page token was issued for other parameters.")
            return page
        items = self._select(calendar, values, types, since, window)
        first = since.window if since is not None else window
        sync = _Sync(calendar.id, user, constant, calendar.version, first, self._now())
        gives_token = not _NO_SYNC_TOKEN_AFTER & set(values)
        return _Page(calendar.id, user, binding, tuple(items), sync if gives_token else None, None)

    def _since(
        self, calendar: Calendar, user: str, values: dict[str, str], constant: frozenset[tuple[str, str]]
    ) -> _Sync:
        for name in _NOT_WITH_SYNC_TOKEN:
            if name in values:
                raise bad(name, f"Sync token cannot be used with {name}.", "invalid")
        if values.get("showDeleted") == "false":
            raise bad("showDeleted", "Sync token cannot be used with showDeleted=false.", "invalid")
        sync = self._syncs.get(values["syncToken"])
        life = self.switches.sync_token_life
        is_old = sync is not None and life is not None and self._now() - sync.issued > life
        if sync is None or is_old or (sync.calendar, sync.user) != (calendar.id, user):
            raise refusal(410, "fullSyncRequired", location="syncToken")
        if sync.constant != constant:
            raise bad("syncToken", "The sync token was issued for other parameters.", "invalid")
        return sync

    def _select(
        self, calendar: Calendar, values: dict[str, str], types: set[str], since: _Sync | None, window: Window
    ) -> list[Item]:
        single = values.get("singleEvents") == "true"
        wants_deleted = since is not None or values.get("showDeleted") == "true"
        items = [
            item
            for item in calendar.items(single=single, deleted_series=self.switches.deleted_series)
            if (since is None or item.version > since.version)
            and (wants_deleted or not item.is_cancelled)
            and _is_inside(calendar, item, window, either=since is not None)
        ]
        if types:
            items = [item for item in items if item.resource.get("eventType", "default") in types or item.is_cancelled]
        return _ordered(calendar, _filtered(items, values), values.get("orderBy"))

    def _render(self, calendar: Calendar, role: str, values: dict[str, str], page: _Page, most: int) -> Resource:
        items, rest = list(page.items[:most]), page.items[most:]
        if self.switches.empty_pages > 0:
            self.switches.empty_pages -= 1
            items, rest = [], page.items
        elif self.switches.empty_first and "pageToken" not in values:
            items, rest = [], page.items
        attendees = int(values["maxAttendees"]) if "maxAttendees" in values else None
        last = items[-1] if items else page.last
        if self.switches.repeat_over_pages and page.last is not None and page.last.before is not None:
            items.insert(0, Item(page.last.version, page.last.before))
        answer: Resource = {
            "kind": "calendar#events",
            "etag": f'"p{calendar.version}"',
            "summary": calendar.id,
            "description": "",
            "updated": stamp(self._now()),
            "timeZone": values.get("timeZone", calendar.zone),
            "accessRole": role,
            "defaultReminders": [],
        }
        if items or not self.switches.omit_empty_items:
            answer["items"] = [self._shown(seen_by(item.resource, role, calendar.owner, attendees)) for item in items]
        if rest or (not items and page.items):
            token = secrets.token_urlsafe(24)
            self._pages[token] = _Page(page.calendar, page.user, page.parameters, tuple(rest), page.sync, last)
            answer["nextPageToken"] = token
        elif page.sync is not None:
            token = secrets.token_urlsafe(24) + "="
            self._syncs[token] = page.sync
            answer["nextSyncToken"] = token
        return answer

    def _shown(self, resource: Resource) -> Resource:
        if not self.switches.opaque_instance_ids or "recurringEventId" not in resource:
            return resource
        return resource | {"id": hashlib.sha256(str(resource["id"]).encode()).hexdigest()[:26]}


def check_parameters(query: Query, known: frozenset[str]) -> None:
    """Refuse unknown or repeated parameters and values of the wrong type or range."""
    seen: set[str] = set()
    for name, value in query:
        if name not in known and name not in SYSTEM:
            raise bad(name, f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter.')
        if name in seen and name not in _REPEATED:
            raise bad(name, f"Parameter {name} was given twice.")
        seen.add(name)
        if name in _BOOLEAN and value not in {"true", "false"}:
            raise bad_value(name, value)
        if name in {"maxResults", "maxAttendees"} and not (value.isascii() and value.isdigit() and int(value) >= 1):
            raise bad_value(name, value)
        if name in {"timeMin", "timeMax", "updatedMin"} and parse_rfc3339(value) is None:
            raise bad_value(name, value)
        if name == "eventTypes" and value not in _TYPES:
            raise bad_value(name, value)
        if name == "orderBy" and value not in {"startTime", "updated"}:
            raise bad_value(name, value)
        if name == "quotaUser" and len(value) > 40:
            raise bad_value(name, value)
    values = dict(query)
    if values.get("orderBy") == "startTime" and values.get("singleEvents") != "true":
        raise bad("orderBy", "The requested ordering is not available for the particular query.")


def _window(values: dict[str, str]) -> Window:
    low = parse_rfc3339(values["timeMin"]) if "timeMin" in values else None
    high = parse_rfc3339(values["timeMax"]) if "timeMax" in values else None
    if low is not None and high is not None and low >= high:
        raise refusal(400, "timeRangeEmpty", location="timeMax")
    return (None if low is None else low.timestamp(), None if high is None else high.timestamp())


def _is_inside(calendar: Calendar, item: Item, window: Window, *, either: bool) -> bool:
    if window == (None, None):
        return True
    states = [item.resource, *([item.before] if either and item.before is not None else [])]
    spans = [span for span in (calendar.span(state) for state in states) if span is not None]
    if not spans:
        return item.is_cancelled
    low, high = window
    return any((low is None or end > low) and (high is None or start < high) for start, end in spans)


def _filtered(items: list[Item], values: dict[str, str]) -> list[Item]:
    if "iCalUID" in values:
        items = [item for item in items if item.resource.get("iCalUID") == values["iCalUID"]]
    if "q" in values:
        wanted = values["q"].casefold()
        items = [item for item in items if wanted in str(item.resource.get("summary", "")).casefold()]
    if "updatedMin" in values:
        since = parse_rfc3339(values["updatedMin"])
        items = [item for item in items if _updated(item, since)]
    return items


def _updated(item: Item, since: Any) -> bool:
    when = parse_rfc3339(str(item.resource.get("updated", "")))
    return when is None or when >= since


def _ordered(calendar: Calendar, items: list[Item], by: str | None) -> list[Item]:
    if by == "startTime":
        return sorted(items, key=lambda item: (calendar.span(item.resource) or (0.0, 0.0))[0])
    return items
