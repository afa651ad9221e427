"""From Google's pages to changes of a calendar: baseline, delta, and what must never be believed.

Theory. A `Fetch` is asked for the parameters of its next request and fed the answer; nothing that it collects
counts until its last page. A baseline replaces the window; a delta changes it. Whatever spoils a delta (410,
400, no token on the last page, too many pages) ends in a baseline, with the old set in force meanwhile.

Facts are from the Calendar API's guides: `syncToken` excludes timeMin and timeMax and demands that all other
parameters stay equal; a page may be empty and still have a successor; only the last page has `nextSyncToken`;
a cancelled event is sure to have nothing but its id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from calsyncd.core.model import Event
from calsyncd.core.rules import BUSY, IGNORE, MOST_GUESTS, Reads
from calsyncd.core.titles import matched

WINDOW_BEFORE_SECONDS = 86400.0
MAX_DELTA_PAGES = 20
MAX_BASELINE_PAGES = 200
DAY_SECONDS = 86400.0
EARLIEST, LATEST = -62_135_000_000.0, 253_402_000_000.0
"""Instants that every zone can write, with days to spare for lead and lag: years 1 to 9999."""
ENVELOPE = "nextPageToken,nextSyncToken,timeZone,accessRole"
ITEM = (
    "id,status,start,end,transparency,eventType,recurringEventId,updated"
    ",focusTimeProperties/chatStatus,extendedProperties/private"
)
FREE_BUSY_ONLY = "freeBusyReader"
"""The `accessRole` of who sees when somebody is busy, and nothing else."""

MARK = "calsyncd"
"""The private extended property by which a program may say whether an event counts."""


class MalformedAnswerError(Exception):
    """Google's answer is not what the API promises; the message says what was wrong, never what it held."""


class BaselineNeededError(Exception):
    """The delta cannot be trusted: throw it away, keep the old set in force, take a baseline."""


NOTHING_MORE = Reads()


@dataclass(frozen=True, slots=True)
class Bookmark:
    """How far a calendar was read: its token, and under which parameters, zone and window it holds."""

    token: str
    fingerprint: str
    time_zone: str
    baseline_at: float


@dataclass(frozen=True, slots=True)
class Stored:
    """How far a calendar had been read when the process began, and when Google last answered about it."""

    bookmark: Bookmark
    synced_at: float


@dataclass(frozen=True, slots=True)
class Skipped:
    """An item that could not be read, and why."""

    id: str
    why: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What a finished fetch says. A baseline's `events` are the whole window; a delta's replace those they name.

    `gone` are ids of events or of series whose every instance is gone.
    """

    baseline: bool
    events: tuple[Event, ...]
    gone: frozenset[str]
    skipped: tuple[Skipped, ...]
    bookmark: Bookmark

    @property
    def empty(self) -> bool:
        """Whether nothing was said to have changed."""
        return not self.events and not self.gone


@dataclass(slots=True)
class Fetch:
    """One baseline (`bookmark` is None) or delta of one calendar, page by page."""

    now: float
    horizon: float
    quota_user: str
    bookmark: Bookmark | None = None
    reads: Reads = NOTHING_MORE
    _page_token: str | None = None
    _pages: int = 0
    _seen_tokens: set[str] = field(default_factory=set)
    _events: dict[str, Event] = field(default_factory=dict)
    _gone: dict[str, str] = field(default_factory=dict)
    _skipped: list[Skipped] = field(default_factory=list)
    _zone_name: str = ""
    _access_role: str = ""

    def request(self) -> dict[str, str]:
        """The query of the next request."""
        query = constant_parameters(self.quota_user, self.reads)
        if self.bookmark is None:
            query["timeMin"] = rfc3339(self.now - WINDOW_BEFORE_SECONDS)
            query["timeMax"] = rfc3339(self.now + self.horizon)
        else:
            query["syncToken"] = self.bookmark.token
        if self._page_token is not None:
            query["pageToken"] = self._page_token
        return query

    def feed(self, page: object) -> Changes | None:
        """Take one page; the changes after the last one, else None.

        Raises `MalformedAnswerError` or `BaselineNeededError`; then nothing that was collected counts.
        """
        if not isinstance(page, Mapping):
            raise MalformedAnswerError("the answer is not a JSON object")
        if "error" in page:
            raise MalformedAnswerError("a 200 holds an error")
        items = page.get("items", [])
        if not isinstance(items, list):
            raise MalformedAnswerError("items is not a list")
        self._pages += 1
        self._take_zone(page)
        for item in items:
            self._take(item)
        following = page.get("nextPageToken")
        if following is not None:
            self._turn(following)
            return None
        token = page.get("nextSyncToken")
        if not isinstance(token, str) or not token:
            if self.bookmark is not None:
                raise BaselineNeededError("the last page has no sync token")
            raise MalformedAnswerError("the last page has no sync token")
        return self._changes(token)

    def _take_zone(self, page: Mapping[str, Any]) -> None:
        self._access_role = _text_in(page, "accessRole") or self._access_role
        name = page.get("timeZone")
        zone_name = name if isinstance(name, str) else ""
        if self.bookmark is not None and zone_name and zone_name != self.bookmark.time_zone:
            raise BaselineNeededError("the calendar's time zone changed")
        self._zone_name = zone_name or self._zone_name or (self.bookmark.time_zone if self.bookmark else "")

    def _turn(self, following: object) -> None:
        if not isinstance(following, str) or not following:
            raise MalformedAnswerError("nextPageToken is not a text")
        if following in self._seen_tokens:
            raise MalformedAnswerError("the pages run in a circle")
        if self.bookmark is not None and self._pages >= MAX_DELTA_PAGES:
            raise BaselineNeededError("the delta has too many pages")
        if self._pages >= MAX_BASELINE_PAGES:
            raise MalformedAnswerError("the pages do not end")
        self._seen_tokens.add(following)
        self._page_token = following

    def _take(self, item: object) -> None:
        if not isinstance(item, Mapping) or not isinstance(item.get("id"), str) or not item["id"]:
            self._skipped.append(Skipped("", "has no id"))
            return
        event_id: str = item["id"]
        updated = item.get("updated")
        stamp = updated if isinstance(updated, str) else ""
        known = self._events.get(event_id)
        if _is_older(stamp, known.updated if known is not None else self._gone.get(event_id, "")):
            return
        self._events.pop(event_id, None)
        self._gone.pop(event_id, None)
        if item.get("status") == "cancelled":
            self._gone[event_id] = stamp
            return
        try:
            event = parse_event(item, self._zone_name, self.reads, self._access_role)
        except (ValueError, OverflowError) as error:
            self._skipped.append(Skipped(event_id, str(error)))
            return
        inside = event.end > self.now - WINDOW_BEFORE_SECONDS and event.start < self.now + self.horizon
        if inside:
            self._events[event_id] = event
        elif self.bookmark is not None:
            self._gone[event_id] = stamp

    def _is_of_gone_series(self, event: Event) -> bool:
        """Whether its series is gone, and not come back since."""
        stamp = self._gone.get(event.series) if event.series is not None else None
        return stamp is not None and not _is_older(stamp, event.updated)

    def _changes(self, token: str) -> Changes:
        return Changes(
            baseline=self.bookmark is None,
            events=tuple(event for event in self._events.values() if not self._is_of_gone_series(event)),
            gone=frozenset(self._gone),
            skipped=tuple(self._skipped),
            bookmark=Bookmark(
                token=token,
                fingerprint=fingerprint(self.quota_user, self.horizon, self.reads),
                time_zone=self._zone_name,
                baseline_at=self.now if self.bookmark is None else self.bookmark.baseline_at,
            ),
        )


def _is_older(stamp: str, other: str) -> bool:
    """Whether `stamp` is told to be before `other`; where one of them is missing, the later read counts."""
    return bool(stamp) and stamp < other


def quota_user(email: str) -> str:
    """Whom Google is to charge for an agent's requests, in at most 40 characters.

    Without it the service account is charged for everybody, and it has one user's allowance.
    """
    return hashlib.sha256(email.encode()).hexdigest()[:40]


def constant_parameters(quota_user: str, reads: Reads = NOTHING_MORE) -> dict[str, str]:
    """The parameters that every request of a calendar shares; a sync token holds only under the same ones.

    No more is asked for than `reads` needs.
    """
    return {
        "singleEvents": "true",
        "maxResults": "2500",
        "maxAttendees": str(MOST_GUESTS) if reads.guests else "1",
        "quotaUser": quota_user,
        "fields": f"{ENVELOPE},items({_item_fields(reads)})",
    }


def _item_fields(reads: Reads) -> str:
    more = [
        (not reads.guests, "attendees(self,responseStatus)"),
        (reads.guests, "attendees(self,responseStatus,resource),attendeesOmitted"),
        (bool(reads.titles), "summary"),
        (reads.conference, "hangoutLink,conferenceData/entryPoints/entryPointType"),
        (reads.colors, "colorId"),
        (reads.labels, "eventLabelId"),
    ]
    return ",".join([ITEM, *(names for needed, names in more if needed)])


def fingerprint(quota_user: str, horizon: float, reads: Reads = NOTHING_MORE) -> str:
    """What a stored sync token depends on; when it changes, the token is thrown away.

    Its tail tells what was read of events: see `tells`.
    """
    text = json.dumps([constant_parameters(quota_user, reads), horizon, "events-2"], sort_keys=True)
    return f"{hashlib.sha256(text.encode()).hexdigest()[:16]}-{'.'.join(sorted(reads.parts))}"


def tells(fingerprint: str, reads: Reads) -> bool:
    """Whether what was read under `fingerprint` tells all that `reads` needs."""
    return reads.parts <= set(fingerprint.partition("-")[2].split("."))


def next_baseline(calendar: str, baseline_at: float) -> float:
    """The calendar's own time of day, spread evenly over the day by its name, next after the last baseline."""
    digest = hashlib.sha256(calendar.encode()).digest()
    own_time = int.from_bytes(digest[:4], "big") / 2**32 * DAY_SECONDS
    days = (baseline_at - own_time) // DAY_SECONDS + 1
    return own_time + days * DAY_SECONDS


def parse_event(item: Mapping[str, Any], zone_name: str, reads: Reads = NOTHING_MORE, access_role: str = "") -> Event:
    """Read one item that is not cancelled; ValueError says what cannot be read. Its title is compared and let go of.

    Who may see no more than free and busy is told nothing else of it: seen on the real service, not documented.
    """
    start, all_day = _instant(item.get("start"), zone_name, "start")
    end, _ = _instant(item.get("end"), zone_name, "end")
    if not EARLIEST <= start <= LATEST or not EARLIEST <= end <= LATEST:
        raise ValueError("is beyond the years that can be written")
    kind = item.get("eventType", "default")
    series = item.get("recurringEventId")
    updated = item.get("updated")
    return Event(
        id=item["id"],
        start=start,
        end=end,
        series=series if isinstance(series, str) else None,
        all_day=all_day,
        kind=kind if isinstance(kind, str) else "default",
        transparent=item.get("transparency") == "transparent",
        response=_own_response(item.get("attendees")),
        updated=updated if isinstance(updated, str) else "",
        chat=_text_in(item.get("focusTimeProperties"), "chatStatus"),
        mark=_mark(item.get("extendedProperties")),
        titles=matched(reads.titles, _text_in(item, "summary") or "") if reads.titles else (),
        color=_text_in(item, "colorId") if reads.colors else None,
        label=_text_in(item, "eventLabelId") if reads.labels else None,
        guests=_guests(item) if reads.guests else None,
        conference=_has_conference(item) if reads.conference else None,
        told=access_role != FREE_BUSY_ONLY,
    )


def _text_in(holder: object, key: str) -> str | None:
    value = holder.get(key) if isinstance(holder, Mapping) else None
    return value if isinstance(value, str) else None


def _mark(properties: object) -> str | None:
    mark = _text_in(properties.get("private") if isinstance(properties, Mapping) else None, MARK)
    return mark if mark in (IGNORE, BUSY) else None


def _guests(item: Mapping[str, Any]) -> int:
    """How many are invited beside the agent and rooms; Google leaves them out where they are more than asked for."""
    if item.get("attendeesOmitted") is True:
        return MOST_GUESTS
    attendees = item.get("attendees")
    people = [one for one in attendees if isinstance(one, Mapping)] if isinstance(attendees, list) else []
    return sum(one.get("self") is not True and one.get("resource") is not True for one in people)


def _has_conference(item: Mapping[str, Any]) -> bool:
    conference = item.get("conferenceData")
    entries = conference.get("entryPoints") if isinstance(conference, Mapping) else None
    return bool(_text_in(item, "hangoutLink")) or (isinstance(entries, list) and bool(entries))


def rfc3339(at: float) -> str:
    """An instant as RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _own_response(attendees: object) -> str | None:
    if not isinstance(attendees, list):
        return None
    for attendee in attendees:
        if isinstance(attendee, Mapping) and attendee.get("self") is True:
            response = attendee.get("responseStatus")
            return response if isinstance(response, str) else None
    return None


def _instant(value: object, zone_name: str, name: str) -> tuple[float, bool]:
    """(instant, whether it is a date). A `date` floats: it is read in the calendar's zone."""
    moment = value if isinstance(value, Mapping) else {}
    if not moment:
        raise ValueError(f"has no {name}")
    stamp = moment.get("dateTime")
    if isinstance(stamp, str):
        try:
            read = datetime.fromisoformat(stamp)
        except ValueError:
            raise ValueError(f"its {name} is not a time") from None
        if read.tzinfo is None:
            own = moment.get("timeZone")
            read = read.replace(tzinfo=_zone(own if isinstance(own, str) and own else zone_name, name))
        return read.timestamp(), False
    day = moment.get("date")
    if isinstance(day, str):
        try:
            read_day = date.fromisoformat(day)
        except ValueError:
            raise ValueError(f"its {name} is not a date") from None
        return datetime.combine(read_day, time(), _zone(zone_name, name)).timestamp(), True
    raise ValueError(f"its {name} has no time")


def _zone(name: str, what: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"the zone of its {what} is not known") from None
