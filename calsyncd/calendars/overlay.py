"""What Google has told and the database could not take in: it counts all the same, and is written later.

A full disk, or somebody who locks the database, may last for hours in which meetings are moved, extended and cancelled.
What is written again is all that came since the last write of the calendar, as one change: a process that dies before
reads it from Google anew, since the database's bookmark is that of the last write, too. Where the database cannot even
be read, as when it was damaged, a calendar that was read whole needs nothing of it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from calsyncd.core.model import Event
from calsyncd.core.sync import Bookmark, Changes
from calsyncd.errors import ServiceError
from calsyncd.logs import get_logger
from calsyncd.scheduler import Scheduler

TRY_AGAIN_SECONDS = 30.0
"""A locked database keeps whoever writes waiting."""

log = get_logger(__name__)


class Cache(Protocol):
    """What is kept of calendars."""

    async def apply(self, key: str, agent: str, changes: Changes, now: float) -> None:
        """Put a finished fetch in force."""
        ...

    async def touch_calendar(self, key: str, bookmark: Bookmark, now: float) -> None:
        """Nothing changed."""
        ...

    async def events(self, agent: str, calendars: Iterable[str], after: float, before: float) -> list[Event]:
        """The agent's events of these calendars that end later than `after` and start earlier than `before`."""
        ...

    async def all_events(
        self, after: float, before: float, agent: str | None = None
    ) -> dict[str, list[tuple[str, Event]]]:
        """By agent, each event of that time with its calendar, in their order."""
        ...

    async def count_events(self, key: str, after: float) -> int:
        """How many events are known that end later than `after`."""
        ...

    async def forget_calendars(self, keep: Iterable[str]) -> None:
        """Forget every calendar, with its events, but those of `keep`."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What Google had told of a calendar by `at`, and is to be written."""

    agent: str
    changes: Changes
    at: float


class Overlay:
    """Stands before the database, and remembers for each calendar what it cannot be asked for.

    `failing` while nothing can be written: then that is tried again, and not by whoever has read a calendar.
    """

    def __init__(self, scheduler: Scheduler, cache: Cache) -> None:
        self._scheduler = scheduler
        self._cache = cache
        self._waiting: dict[str, _Waiting] = {}
        self._unread: set[str] = set()
        self.failing = False
        scheduler.handle("unwritten", lambda *_: scheduler.start(self._write_all(), "what calendars said"))
        scheduler.when_stepped(lambda now, _: self._again_at(now))

    def lacks(self, key: str) -> bool:
        """Whether the calendar's events cannot be told before it is read whole from Google."""
        waiting = self._waiting.get(key)
        return key in self._unread and (waiting is None or not waiting.changes.baseline)

    async def apply(self, key: str, agent: str, changes: Changes, now: float) -> None:
        """Put a finished fetch in force, whether or not it can be written."""
        before = self._waiting.get(key)
        whole = changes if before is None else _after(before.changes, changes)
        self._waiting[key] = _Waiting(agent, whole, now)
        if not self.failing:
            await self._write(key)

    def _again_at(self, due: float) -> None:
        if self.failing:
            self._scheduler.at("unwritten", "", due)

    async def _write_all(self) -> None:
        """Write what waits, one calendar after the other, as long as that can be done."""
        for key in list(self._waiting):
            if key in self._waiting and not await self._write(key):
                return

    async def _write(self, key: str) -> bool:
        """Write what waits of a calendar; False, and again later, if that cannot be done."""
        mine = self._waiting[key]
        changes = mine.changes
        try:
            if changes.empty and not changes.baseline:
                await self._cache.touch_calendar(key, changes.bookmark, mine.at)
            else:
                await self._cache.apply(key, mine.agent, changes, mine.at)
        except ServiceError as error:
            self.failing = True
            self._again_at(self._scheduler.clock.now() + TRY_AGAIN_SECONDS)
            log.warning(
                "The database does not answer: what calendars say counts, and is written later",
                action="store_failed",
                agent=mine.agent,
                why=str(error),
            )
            return False
        self.failing = False
        # More may have been told meanwhile, or the calendar is followed no more.
        if await self._is_readable(key, mine.agent) and self._waiting.get(key) is mine:
            del self._waiting[key]
        return True

    async def events(self, agent: str, calendars: Iterable[str], after: float, before: float) -> list[Event]:
        """The agent's events of these calendars that end later than `after` and start earlier than `before`."""
        rest, found = set(calendars), []
        for key, changes in self._waits(rest).items():
            rest.discard(key)
            kept = [] if changes.baseline else await self._read(agent, {key}, after, before)
            found += _events_after(kept, changes, after, before)
        return [*found, *(await self._read(agent, rest, after, before) if rest else ())]

    async def all_events(
        self, after: float, before: float, agent: str | None = None
    ) -> dict[str, list[tuple[str, Event]]]:
        """By agent, each event of that time with its calendar, in their order."""
        waiting = {key: one for key, one in self._waiting.items() if agent in (None, one.agent)}
        found = await self._cache.all_events(after, before, agent)
        for key, one in waiting.items():
            rows = found.get(one.agent, [])
            kept = [] if one.changes.baseline else [event for calendar, event in rows if calendar == key]
            told = [(key, event) for event in _events_after(kept, one.changes, after, before)]
            found[one.agent] = sorted([*(row for row in rows if row[0] != key), *told], key=_in_order)
        return found

    async def count_events(self, key: str, after: float) -> int:
        """How many events are known that end later than `after`; one that changed may count twice.

        Where that cannot be told, as if there were one.
        """
        changes, count = self._waits({key}).get(key), 0
        if changes is None or not changes.baseline:
            try:
                count = await self._cache.count_events(key, after)
            except ServiceError:
                return 1
        return count + sum(event.end > after for event in changes.events) if changes is not None else count

    def drop(self, key: str) -> None:
        """The calendar is not followed any more."""
        self._waiting.pop(key, None)
        self._unread.discard(key)

    def _waits(self, keys: Iterable[str]) -> dict[str, Changes]:
        """What waits of these calendars now: while the database is asked, it may be written, and more be told."""
        return {key: self._waiting[key].changes for key in keys if key in self._waiting}

    async def _read(self, agent: str, keys: set[str], after: float, before: float) -> list[Event]:
        try:
            found = await self._cache.events(agent, keys, after, before)
        except ServiceError:
            self._unread |= keys
            raise
        self._unread -= keys
        return found

    async def _is_readable(self, key: str, agent: str) -> bool:
        """Whether all that was written of a calendar can be read, as far as there was a doubt."""
        if key in self._unread:
            with contextlib.suppress(ServiceError):
                await self._read(agent, {key}, -math.inf, math.inf)
        return key not in self._unread


def _after(before: Changes, changes: Changes) -> Changes:
    """Both, one after the other, as one."""
    if changes.baseline:
        return changes
    return replace(
        changes,
        baseline=before.baseline,
        events=tuple(_events_after(before.events, changes)),
        gone=before.gone | changes.gone,
    )


def _events_after(
    events: Iterable[Event], changes: Changes, after: float = -math.inf, before: float = math.inf
) -> list[Event]:
    replaced = {event.id for event in changes.events}
    left = (one for one in events if one.id not in replaced and not {one.id, one.series} & changes.gone)
    return [event for event in (*left, *changes.events) if event.start < before and event.end > after]


def _in_order(row: tuple[str, Event]) -> tuple[float, float, str]:
    return row[1].start, row[1].end, row[1].id
