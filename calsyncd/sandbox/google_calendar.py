"""One calendar's state: events, series with their exceptions, and what changed when."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from calsyncd.sandbox.google_errors import refusal
from calsyncd.sandbox.google_events import Resource, check_event, is_busy, merged
from calsyncd.sandbox.google_series import instances
from calsyncd.sandbox.google_times import instant, stamp, with_offset

SIX_MONTHS = 183 * 86_400.0

DeletedSeries = Literal["master", "instances", "both"]
"""What a delta names of a deleted series: the master's id, six months of instances, or both."""


@dataclass(frozen=True, slots=True)
class Item:
    """An event as a list could give it: with the version at which it last changed."""

    version: int
    resource: Resource
    before: Resource | None = None

    @property
    def is_cancelled(self) -> bool:
        """Whether it is a tombstone."""
        return bool(self.resource.get("status") == "cancelled")


@dataclass(frozen=True, slots=True)
class Revision:
    """At `at`, the busy spans of one event became these; the truth that checkers count by."""

    at: float
    event: str
    busy: tuple[tuple[float, float], ...]


@dataclass(slots=True)
class Series:
    """A master with the instances that differ from its rule or are gone."""

    exceptions: dict[str, Item] = field(default_factory=dict)
    vanished: dict[str, Item] = field(default_factory=dict)


class Calendar:
    """The events of one calendar; every change gets the next number of `count`."""

    def __init__(self, name: str, owner: str, zone: str, count: Callable[[], int], now: Callable[[], float]) -> None:
        self.id = name
        self.owner = owner
        self.zone = zone
        self.access: dict[str, str] = {owner: "owner"}
        self.version = 0
        self.revisions: list[Revision] = []
        self._count = count
        self._now = now
        self._items: dict[str, Item] = {}
        self._series: dict[str, Series] = {}

    def insert(self, event: Mapping[str, Any]) -> Resource:
        """Add an event as Google would; returns it with the fields that Google adds."""
        check_event(event, self.zone)
        name = str(event.get("id") or f"e{self._count():08x}0")
        if name in self._items:
            raise refusal(409, "duplicate")
        return self._put(name, {**self._defaults(name), **event})

    def put_raw(self, event: Mapping[str, Any]) -> Resource:
        """Add or replace an event exactly as given, checks and defaults left out."""
        return self._store(str(event["id"]), dict(event))

    def get(self, name: str) -> Resource:
        """The event or instance; 404 if there never was one."""
        if name in self._items:
            return dict(self._items[name].resource)
        master = self._master_of(name)
        found = {} if master is None else {item.resource["id"]: item for item in self._expand(master)}
        if name not in found:
            raise refusal(404)
        return dict(found[name].resource)

    def patch(self, name: str, changes: Mapping[str, Any]) -> Resource:
        """Change an event, a series or one instance of it."""
        old = self.get(name)
        if "eventType" in changes and changes["eventType"] != old.get("eventType"):
            raise refusal(400, "eventTypeRestriction", "Event type cannot be changed.")
        new = merged(old, changes)
        if new.get("status") == "cancelled":
            return self._cancel(name, old)
        check_event(new, self.zone)
        if any(new.get(part) != old.get(part) for part in ("start", "end", "recurrence")):
            new["sequence"] = int(new.get("sequence", 0)) + 1
        return self._put(name, new)

    def delete(self, name: str) -> None:
        """Cancel an event, a series or one instance of it; 410 when it is already gone."""
        old = self.get(name)
        if old.get("status") == "cancelled":
            raise refusal(410, "deleted")
        self._cancel(name, old)

    def respond(self, name: str, email: str, answer: str) -> Resource:
        """Record a guest's answer; a guest who is not on the list is added to it."""
        guests = [dict(guest) for guest in self.get(name).get("attendees", [])]
        for guest in guests:
            if guest.get("email") == email:
                guest["responseStatus"] = answer
                break
        else:
            guests.append({"email": email, "responseStatus": answer})
        return self.patch(name, {"attendees": guests})

    def clear(self) -> None:
        """Hold nothing of what there was: a list that goes on from now is the same without it."""
        self._items.clear()
        self._series.clear()
        self.revisions.clear()

    def items(self, *, single: bool, deleted_series: DeletedSeries) -> list[Item]:
        """Everything there is and was, oldest change first: what lists and deltas select from."""
        found: list[Item] = []
        for name, item in self._items.items():
            series = self._series.get(name)
            if series is None:
                found.append(item)
            elif not single:
                found += [item, *series.exceptions.values()]
            elif item.is_cancelled:
                found += self._tombstones(item, deleted_series)
            else:
                found += [*self._expand(name), *series.vanished.values()]
        return sorted(found, key=lambda item: (item.version, str(item.resource["id"])))

    def span(self, resource: Mapping[str, Any]) -> tuple[float, float] | None:
        """The instants of an event on this calendar; None where it has none."""
        start, end = instant(resource.get("start"), self.zone), instant(resource.get("end"), self.zone)
        return None if start is None or end is None else (start, end)

    def _put(self, name: str, resource: Resource) -> Resource:
        master = self._master_of(name)
        times = {part: with_offset(resource[part]) for part in ("start", "end")}
        stamped = {**resource, **times, "updated": stamp(self._now()), "etag": f'"{self._count()}"'}
        if master is not None:
            return self._except(master, name, stamped)
        gone = self._before_change(name)
        result = self._store(name, stamped)
        if gone:
            self._vanish(name, gone)
        return result

    def _store(self, name: str, resource: Resource) -> Resource:
        old = self._items.get(name)
        self.version = self._count()
        self._items[name] = Item(self.version, resource, old.resource if old is not None else None)
        if resource.get("recurrence"):
            self._series.setdefault(name, Series())
        self._revise(name)
        return dict(resource)

    def _except(self, master: str, name: str, resource: Resource) -> Resource:
        old = self.get(name)
        self.version = self._count()
        self._series[master].exceptions[name] = Item(self.version, resource, old)
        self._revise(master)
        return dict(resource)

    def _cancel(self, name: str, old: Resource) -> Resource:
        kept = ("kind", "id", "recurringEventId", "originalStartTime")
        tombstone = {**{part: old[part] for part in kept if part in old}, "status": "cancelled"}
        master = self._master_of(name)
        if master is not None:
            return self._except(master, name, tombstone)
        return self._store(name, tombstone)

    def _master_of(self, name: str) -> str | None:
        if name in self._items:
            return None
        master = name.rpartition("_")[0]
        return master if master in self._series else None

    def _expand(self, master: str) -> Iterator[Item]:
        item, series = self._items[master], self._series[master]
        for instance in instances(item.resource, self.zone):
            exception = series.exceptions.get(instance.id)
            if exception is None:
                yield Item(item.version, self._instance(item.resource, instance.id, instance.original, instance.end))
            else:
                version = max(exception.version, item.version)
                yield Item(version, exception.resource, exception.before)

    def _instance(self, master: Resource, name: str, start: Resource, end: Resource) -> Resource:
        plain = {key: value for key, value in master.items() if key != "recurrence"}
        return {
            **plain,
            "id": name,
            "start": start,
            "end": end,
            "recurringEventId": master["id"],
            "originalStartTime": start,
        }

    def _before_change(self, name: str) -> dict[str, Resource]:
        if name not in self._series or self._items[name].is_cancelled:
            return {}
        return {str(item.resource["id"]): item.resource for item in self._expand(name)}

    def _vanish(self, master: str, earlier: Mapping[str, Resource]) -> None:
        series = self._series[master]
        present = {str(item.resource["id"]) for item in self._expand(master)}
        for name in present:
            series.vanished.pop(name, None)
        for name in set(earlier) - present:
            series.exceptions.pop(name, None)
            series.vanished[name] = Item(self.version, _gone(earlier[name]), earlier[name])

    def _tombstones(self, item: Item, deleted_series: DeletedSeries) -> Iterator[Item]:
        if deleted_series != "instances":
            yield item
        if deleted_series == "master" or item.before is None:
            return
        for instance in instances(item.before, self.zone):
            start = instant(instance.start, self.zone)
            if start is not None and abs(start - self._now()) <= SIX_MONTHS:
                whole = self._instance(item.before, instance.id, instance.original, instance.end)
                yield Item(item.version, _gone(whole), whole)

    def _revise(self, name: str) -> None:
        item = self._items[name]
        whole = self._expand(name) if name in self._series and not item.is_cancelled else iter([item])
        spans = [self.span(part.resource) for part in whole if is_busy(part.resource, self.owner)]
        busy = tuple(sorted(span for span in spans if span is not None and span[0] < span[1]))
        self.revisions.append(Revision(self._now(), name, busy))

    def _defaults(self, name: str) -> Resource:
        person = {"email": self.owner, "self": True}
        code = base64.urlsafe_b64encode(f"{name} {self.id}".encode()).decode().rstrip("=")
        return {
            "kind": "calendar#event",
            "id": name,
            "status": "confirmed",
            "htmlLink": f"https://www.google.com/calendar/event?eid={code}",
            "created": stamp(self._now()),
            "creator": person,
            "organizer": person,
            "iCalUID": f"{name}@google.com",
            "sequence": 0,
            "reminders": {"useDefault": True},
            "eventType": "default",
        }


def _gone(resource: Resource) -> Resource:
    kept = ("kind", "id", "recurringEventId", "originalStartTime")
    return {**{part: resource[part] for part in kept if part in resource}, "status": "cancelled"}
