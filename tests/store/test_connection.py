"""A transaction in one journey to the connection's thread."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from calsyncd.store.connection import Connection, insert


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    """A database with one table."""
    async with Connection(tmp_path / "x.db") as made:
        await made.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
        yield made


async def rows(connection: Connection) -> list[tuple[int, str]]:
    """What the table holds."""
    return [tuple(row) for row in await connection.execute_fetchall("SELECT a, b FROM t ORDER BY a")]


async def test_a_transaction_is_committed(connection: Connection, tmp_path: Path) -> None:
    """Another connection sees all of it."""
    await connection.transaction(lambda db: insert(db, "INSERT INTO t", [(1, "x"), (2, "y")]))

    async with Connection(tmp_path / "x.db") as other:
        assert await rows(other) == [(1, "x"), (2, "y")]


async def test_what_fails_is_taken_back(connection: Connection) -> None:
    """The error is the work's own, and the connection is ready for the next."""

    def work(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO t VALUES (1, 'x')")
        raise LookupError

    with pytest.raises(LookupError):
        await connection.transaction(work)

    assert not connection.in_transaction
    assert await rows(connection) == []


@pytest.mark.parametrize("fails", [False, True])
async def test_what_is_cancelled_under_way_is_taken_back(connection: Connection, *, fails: bool) -> None:
    """However often it is cancelled, its task ends when the transaction has."""
    began, go_on = threading.Event(), threading.Event()

    def work(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO t VALUES (1, 'x')")
        began.set()
        go_on.wait(10)
        if fails:
            raise LookupError

    task = asyncio.create_task(connection.transaction(work))
    await asyncio.to_thread(began.wait, 10)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.01)
    assert not task.done()

    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not connection.in_transaction
    assert await rows(connection) == []


async def test_what_is_cancelled_before_it_began_never_begins(connection: Connection) -> None:
    """It waits for the one before it, and does nothing."""
    go_on = threading.Event()
    begun: list[str] = []

    def slow(_: sqlite3.Connection) -> None:
        begun.append("first")
        go_on.wait(10)

    first = asyncio.create_task(connection.transaction(slow))
    second = asyncio.create_task(connection.transaction(lambda _: begun.append("second")))
    await asyncio.sleep(0.02)

    second.cancel()
    await asyncio.sleep(0.02)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await second

    await first
    assert begun == ["first"]


@pytest.mark.parametrize("number", [0, 1, 3, 4, 31, 33, 255, 256, 5000])
async def test_any_number_of_rows_in_few_statements(connection: Connection, number: int) -> None:
    """All of them arrive, in order; a statement holds many."""
    wanted = [(n, f"row {n}") for n in range(number)]
    statements: list[str] = []
    await connection.set_trace_callback(statements.append)

    await connection.transaction(lambda db: insert(db, "INSERT INTO t", wanted))

    await connection.set_trace_callback(None)  # type: ignore[arg-type]
    assert await rows(connection) == wanted
    assert len([one for one in statements if one.startswith("INSERT")]) <= number / 100 + 16
    assert len({one.count("(") for one in statements if one.startswith("INSERT")}) <= 4


async def test_the_loop_turns_while_a_transaction_runs(connection: Connection) -> None:
    """What takes long takes long elsewhere."""
    turns = 0
    go_on = threading.Event()

    def slow(_: sqlite3.Connection) -> None:
        go_on.wait(10)

    task = asyncio.create_task(connection.transaction(slow))
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
        if turns == 100:
            go_on.set()

    assert turns >= 100
