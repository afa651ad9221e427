"""What was seen and done, on its way into the database: collected, and written a little later in one batch.

The database is a cache, so nobody waits for it; while it does not answer, what is to be written waits in memory,
the newest of it at least.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from calsyncd.clock import Clock
from calsyncd.core.model import HistoryRow, Observation
from calsyncd.core.past import Cursor, Filter
from calsyncd.errors import ServiceError
from calsyncd.logs import get_logger

MAX_WAITING = 10_000
BATCH_SECONDS = 0.25
RETRY_SECONDS = 5.0
TIDY_PAUSE_SECONDS = 0.1

log = get_logger(__name__)


class Book(Protocol):
    """Where it is written."""

    async def observe(self, seen: Sequence[tuple[int, Observation]]) -> None:
        """Keep what looks showed."""
        ...

    async def record(self, rows: Sequence[HistoryRow], forget_before: float) -> None:
        """Add to the history."""
        ...

    async def tidy(self, forget_before: float) -> bool:
        """Let go of a piece of what is older; whether there is more."""
        ...

    async def history(self, agent: str | None = None, since: float = 0.0) -> list[HistoryRow]:
        """What was done since `since`, in order, for one agent or for all."""
        ...

    async def page(self, which: Filter, limit: int) -> list[HistoryRow]:
        """The first `limit` records that are asked for, in order."""
        ...

    async def save_directory(self, emails: dict[int, str], zones: dict[int, str]) -> None:
        """Keep the company's users, and their zone, "" for none."""
        ...


class Journal:
    """Takes what was seen and done at any time; `run` writes it. `told` is called with each record as it comes."""

    def __init__(self, book: Book, clock: Clock, keep: float) -> None:
        self._book = book
        self._clock = clock
        self._keep = keep
        self._seen: dict[int, Observation] = {}
        self._rows: deque[HistoryRow] = deque(maxlen=MAX_WAITING)
        self._writing: list[HistoryRow] = []
        self._users: tuple[dict[int, str], dict[int, str]] | None = None
        self._news = asyncio.Event()
        self.told: Callable[[HistoryRow], None] = lambda _row: None

    def observed(self, user: int, observation: Observation) -> None:
        """A look was answered."""
        self._seen[user] = observation
        self._news.set()

    def done(self, row: HistoryRow) -> None:
        """A change was made, or left alone."""
        self._rows.append(row)
        self._news.set()
        self.told(row)

    def listed(self, emails: dict[int, str], zones: dict[int, str]) -> None:
        """The company's users were listed: e-mail by user, and their zone, "" for none."""
        self._users = emails, zones
        self._news.set()

    async def history(self, agent: str | None = None, since: float = 0.0) -> list[HistoryRow]:
        """What was done since `since`, in order, for one agent or for all; also what is still to be written."""
        waiting = [row for row in [*self._writing, *self._rows] if agent in (None, row.agent) and row.at >= since]
        rows = await self._book.history(agent, since)
        written = {row for row in rows if waiting and row.at >= waiting[0].at}
        return [*rows, *(row for row in waiting if row not in written)]

    async def page(self, which: Filter, cursor: Cursor, limit: int) -> list[HistoryRow]:
        """The next records that are asked for, in order, `limit` at most; also what is still to be written."""
        which = replace(which, since=max(which.since, cursor.at))
        waiting = [row for row in [*self._writing, *self._rows] if which.takes(row)]
        rows = await self._book.page(which, limit + cursor.told)
        written = set(rows) if waiting else set()
        merged = sorted([*rows, *(row for row in waiting if row not in written)], key=lambda row: row.at)
        return cursor.rest(merged)[:limit]

    async def run(self) -> None:
        """Write what comes, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self._clock.sleep(BATCH_SECONDS)
            try:
                await self.flush()
            except ServiceError as error:
                log.warning("The database does not answer", action="store_failed", why=str(error))
                await self._clock.sleep(RETRY_SECONDS)
                self._news.set()

    async def tidy(self) -> None:
        """Let go of what is kept for long enough, in pieces; `Unavailable` if the database does not answer."""
        while await self._book.tidy(self._clock.now() - self._keep):
            await self._clock.sleep(TIDY_PAUSE_SECONDS)

    async def flush(self) -> None:
        """Write what has come so far; `Unavailable` if the database does not answer: then it is kept."""
        seen, self._seen = self._seen, {}
        rows = self._writing = list(self._rows)
        self._rows.clear()
        users, self._users = self._users, None
        try:
            if users is not None:
                await self._book.save_directory(*users)
                users = None
            if seen:
                await self._book.observe(list(seen.items()))
                seen = {}
            if rows:
                await self._book.record(rows, self._clock.now() - self._keep)
        except ServiceError:
            self._seen = {**seen, **self._seen}
            self._rows = deque([*rows, *self._rows], maxlen=MAX_WAITING)
            self._users = self._users or users
            raise
        finally:
            self._writing = []
