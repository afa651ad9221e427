"""aiosqlite's connection, with a whole transaction as one piece of work for its thread.

Three costs are kept down. A journey to the thread and back takes as long as a small statement, so a transaction makes
one. sqlite3 lets go of the interpreter for every statement: beside a busy event loop it waits up to 5 ms to get it
back, so rows are written many at a time. And a commit waits for the disk, so what waits for the thread at the same
time is committed together.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeVar

import aiosqlite

ROWS_AT_A_TIME = (256, 32)
"""Few sizes, and below them all that is left, so that each statement is prepared once and kept; 256 rows of 19 columns
are 4,864 variables, of which SQLite takes 32,766."""

KEPT_STATEMENTS = 256

MOST_TOGETHER = 16
"""So many transactions share a commit: the first of them is not to wait for long."""

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], None]
"""What a transaction does. It may be done twice, the first time in vain."""


class Connection(aiosqlite.Connection):
    """A connection in autocommit; only `transaction` writes."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(
            lambda: sqlite3.connect(path, isolation_level=None, cached_statements=KEPT_STATEMENTS), iter_chunk_size=64
        )
        self._waiting: deque[_Transaction] = deque()

    async def __aenter__(self) -> Self:
        """Open it."""
        await super().__aenter__()
        return self

    async def transaction(self, work: Work) -> None:
        """Do `work` between BEGIN IMMEDIATE and COMMIT: all of it, or nothing.

        Those that wait for the thread share a commit; where one of them fails, each is done by itself. One that is
        cancelled is taken back unless it was committed already; either way it is over when this ends. Raises what
        `work` raised, or sqlite3's errors.
        """
        job = _Transaction(work)
        self._waiting.append(job)
        try:
            await self._in_thread(lambda: self._commit(job))
        except asyncio.CancelledError:
            job.given_up = True
            if job.begun:
                # The thread takes one thing after the other: behind this, the transaction is over.
                await _to_the_end(self._in_thread(_nothing))
            raise

    def _commit(self, job: _Transaction) -> None:
        """In the thread: `job` and what waits behind it, unless one before it took it along."""
        if not job.over:
            group = [job]
            while self._waiting and len(group) < MOST_TOGETHER:
                behind = self._waiting.popleft()
                if behind is not job:
                    group.append(behind)
            _commit_all(self._conn, group)
        if job.error is not None:
            raise job.error

    async def probe(self) -> None:
        """Return once the file was read with the right to write to it, which another process may hold; changes nothing.

        Who is cancelled waits no longer, and leaves no transaction behind. Raises sqlite3's errors.
        """
        await self.do(_probe)

    async def do(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """What `job` returns, with nothing of others between its statements, outside of a transaction.

        Who is cancelled waits no longer, and it is done nevertheless. Raises what `job` raised, or sqlite3's errors.
        """
        return await self._in_thread(lambda: job(self._conn))

    async def _in_thread(self, function: Callable[[], T]) -> T:
        result: T = await self._execute(function)  # type: ignore[no-untyped-call]
        return result


class _Transaction:
    """A transaction, for one thread. Another may set `given_up`: one that has not `begun` then changes nothing."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.given_up = False
        self.begun = False
        self.over = False
        self.error: Exception | None = None


class _GivenUpError(Exception):
    """Somebody does not want theirs any more."""


def _commit_all(db: sqlite3.Connection, jobs: Sequence[_Transaction]) -> None:
    """Each of `jobs` is over then: committed, given up, or with its error."""
    try:
        _in_one(db, jobs)
    except Exception as error:  # noqa: BLE001 - whoever waits gets it
        if len(jobs) > 1 and not _is_locked(error):
            # By itself, each shows whether anything is wrong with it.
            for job in jobs:
                _commit_all(db, [job])
            return
        for job in jobs:
            job.error = error
    for job in jobs:
        job.over = True


def _in_one(db: sqlite3.Connection, jobs: Sequence[_Transaction]) -> None:
    for job in jobs:
        job.begun = True
    done = []
    try:
        db.execute("BEGIN IMMEDIATE")
        for job in jobs:
            if not job.given_up:
                job.work(db)
                done.append(job)
        if any(job.given_up for job in done):
            raise _GivenUpError
        db.commit()
    finally:
        if db.in_transaction:
            db.rollback()


def _is_locked(error: Exception) -> bool:
    """Whether another process kept BEGIN waiting in vain: as long it would keep each that asked again."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF == sqlite3.SQLITE_BUSY


def insert(db: sqlite3.Connection, into: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write `rows`, all equally wide, by the beginning of an INSERT statement that `into` is.

    They are asked for as they are written, so that the loop has its turns between two statements.
    """
    coming = iter(rows)
    while batch := list(islice(coming, ROWS_AT_A_TIME[0])):
        marks = f"({', '.join('?' * len(batch[0]))})"
        done = 0
        while left := len(batch) - done:
            size = next((size for size in ROWS_AT_A_TIME if size <= left), left)
            values = [value for row in batch[done : done + size] for value in row]
            db.execute(f"{into} VALUES {', '.join([marks] * size)}", values)
            done += size


def _probe(db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    finally:
        db.rollback()


def _nothing() -> None:
    """Nothing is to be done."""


async def _to_the_end(work: Coroutine[None, None, None]) -> None:
    """Wait until `work` is done, however often the waiting itself is cancelled, and be cancelled only then."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    task.result()
    if cancelled:
        raise asyncio.CancelledError
