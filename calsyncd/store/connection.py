"""aiosqlite's connection, with a whole transaction as one piece of work for its thread.

Two costs are kept down. A journey to the thread and back takes as long as a small statement, so a transaction makes
one. And sqlite3 lets go of the interpreter for every statement: beside a busy event loop it waits up to 5 ms to get
it back, so rows are written many at a time.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterable
from itertools import islice
from pathlib import Path
from typing import Any, Self

import aiosqlite

ROWS_AT_A_TIME = (256, 32)
"""Few sizes, and below them all that is left, so that each statement is prepared once and kept; 256 rows of 19 columns
are 4,864 variables, of which SQLite takes 32,766."""

KEPT_STATEMENTS = 256

Work = Callable[[sqlite3.Connection], None]


class Connection(aiosqlite.Connection):
    """A connection in autocommit; only `transaction` writes."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(
            lambda: sqlite3.connect(path, isolation_level=None, cached_statements=KEPT_STATEMENTS), iter_chunk_size=64
        )

    async def __aenter__(self) -> Self:
        """Open it."""
        await super().__aenter__()
        return self

    async def transaction(self, work: Work) -> None:
        """Do `work` between BEGIN IMMEDIATE and COMMIT: all of it, or nothing.

        One that is cancelled is taken back unless it was committed already; either way it is over when this ends.
        Raises what `work` raised, or sqlite3's errors.
        """
        job = _Transaction(work)
        try:
            await self._in_thread(lambda: job(self._conn))
        except asyncio.CancelledError:
            job.given_up = True
            # The thread takes one thing after the other: behind this, the transaction is over.
            await _to_the_end(self._in_thread(_nothing))
            raise

    async def probe(self) -> None:
        """Return once the file was read with the right to write to it, which another process may hold; changes nothing.

        Who is cancelled waits no longer, and leaves no transaction behind. Raises sqlite3's errors.
        """
        await self._in_thread(lambda: _probe(self._conn))

    async def _in_thread(self, function: Callable[[], None]) -> None:
        await self._execute(function)  # type: ignore[no-untyped-call]


class _Transaction:
    """A transaction from begin to end, for one thread. `given_up` may be set by another."""

    def __init__(self, work: Work) -> None:
        self.given_up = False
        self._work = work

    def __call__(self, db: sqlite3.Connection) -> None:
        if self.given_up:
            return
        try:
            db.execute("BEGIN IMMEDIATE")
            self._work(db)
            if not self.given_up:
                db.commit()
        finally:
            if db.in_transaction:
                db.rollback()


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
