"""What Google has told and the database could not take in: it counts all the same, and is written later.

A full disk, or somebody who locks the database, may last for hours in which meetings are moved, extended and cancelled.
What is written again is all that came since the last write of the calendar, as one change: a process that dies before
reads it from Google anew, since the database's bookmark is that of the last write, too. Where the database cannot even
be read, as when it was damaged, a calendar that was read whole needs nothing of it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from calsyncd.core.model import Event
from calsyncd.core.sync import Bookmark, Changes
from calsyncd.errors import ServiceError
from calsyncd.logs import get_logger

TRY_AGAIN_SECONDS = 30.0
"""A locked database keeps whoever writes waiting, and with them the calendars behind."""

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


class Overlay:
    """Stands before the database, and remembers for each calendar what it cannot be asked for."""

    def __init__(self, cache: Cache, monotonic: Callable[[], float]) -> None:
        self._cache = cache
        self._monotonic = monotonic
        self._waiting: dict[str, tuple[str, Changes]] = {}
        self._unread: set[str] = set()
        self._again_at: float | None = None

    @property
    def failing(self) -> bool:
        """Whether the last write failed."""
        return self._again_at is not None

    def lacks(self, key: str) -> bool:
        """Whether the calendar's events cannot be told before it is read whole from Google."""
        waiting = self._waits(key)
        return key in self._unread and (waiting is None or not waiting.baseline)

    async def apply(self, key: str, agent: str, changes: Changes, now: float) -> None:
        """Put a finished fetch in force, whether or not it can be written."""
        before, whole = self._waits(key), changes
        if before is not None:
            whole = _after(before, changes)
            self._waiting[key] = agent, whole
        if self._again_at is not None and self._monotonic() < self._again_at:
            self._waiting[key] = agent, whole
            return
        try:
            if before is None and whole.empty and not whole.baseline:
                await self._cache.touch_calendar(key, whole.bookmark, now)
            else:
                await self._cache.apply(key, agent, whole, now)
        except ServiceError as error:
            self._again_at = self._monotonic() + TRY_AGAIN_SECONDS
            self._waiting[key] = agent, whole
            log.warning(
                "The database does not answer: what calendars say counts, and is written later",
                action="store_failed",
                agent=agent,
                why=str(error),
            )
        else:
            self._again_at = None
            if await self._is_readable(key, agent):
                self._waiting.pop(key, None)
            else:
                self._waiting[key] = agent, whole

    async def events(self, agent: str, calendars: Iterable[str], after: float, before: float) -> list[Event]:
        """The agent's events of these calendars that end later than `after` and start earlier than `before`."""
        wanted = set(calendars)
        found = []
        for key in wanted & self._waiting.keys():
            waiting = self._waits(key)
            if waiting is None:
                continue
            kept = [] if waiting.baseline else await self._read(agent, {key}, after, before)
            found += _events_after(kept, waiting, after, before)
            wanted.discard(key)
        return [*found, *(await self._read(agent, wanted, after, before) if wanted else ())]

    async def all_events(
        self, after: float, before: float, agent: str | None = None
    ) -> dict[str, list[tuple[str, Event]]]:
        """By agent, each event of that time with its calendar, in their order."""
        found = await self._cache.all_events(after, before, agent)
        for key, (email, waiting) in self._waiting.items():
            if agent is None or agent == email:
                rows = found.get(email, [])
                kept = [] if waiting.baseline else [event for calendar, event in rows if calendar == key]
                told = [(key, event) for event in _events_after(kept, waiting, after, before)]
                found[email] = sorted([*(row for row in rows if row[0] != key), *told], key=_in_order)
        return found

    async def count_events(self, key: str, after: float) -> int:
        """How many events are known that end later than `after`; one that changed may count twice.

        Where that cannot be told, as if there were one.
        """
        waiting, count = self._waits(key), 0
        if waiting is None or not waiting.baseline:
            try:
                count = await self._cache.count_events(key, after)
            except ServiceError:
                return 1
        return count + sum(event.end > after for event in waiting.events) if waiting is not None else count

    def drop(self, key: str) -> None:
        """The calendar is not followed any more."""
        self._waiting.pop(key, None)
        self._unread.discard(key)

    def _waits(self, key: str) -> Changes | None:
        found = self._waiting.get(key)
        return found[1] if found is not None else None

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
