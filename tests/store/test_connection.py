"""A transaction in one journey to the connection's thread."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from calsyncd.store.connection import MOST_TOGETHER, Connection, Work, insert


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


def written(number: int) -> Work:
    """A transaction that adds a row."""
    return lambda db: insert(db, "INSERT INTO t", [(number, "x")])


async def busy(connection: Connection, go_on: threading.Event) -> asyncio.Task[None]:
    """The connection's thread has something to do, until it may go on."""
    task = asyncio.create_task(connection.do(lambda _: _wait(go_on)))
    await asyncio.sleep(0)
    return task


def _wait(go_on: threading.Event) -> None:
    assert go_on.wait(10)


async def test_those_that_wait_share_a_commit_and_not_too_many(connection: Connection) -> None:
    """Each is there; the disk was waited for as often as groups of them need."""
    statements: list[str] = []
    go_on = threading.Event()
    await connection.set_trace_callback(statements.append)
    before = await busy(connection, go_on)
    tasks = [asyncio.create_task(connection.transaction(written(number))) for number in range(2 * MOST_TOGETHER + 1)]
    await asyncio.sleep(0)

    go_on.set()
    await asyncio.gather(before, *tasks)

    await connection.set_trace_callback(None)  # type: ignore[arg-type]
    assert statements.count("COMMIT") == 3
    assert [number for number, _ in await rows(connection)] == list(range(2 * MOST_TOGETHER + 1))


async def test_one_that_fails_takes_nobody_along(connection: Connection) -> None:
    """The error is its own; the others are committed."""
    go_on = threading.Event()

    def fails(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO t VALUES (7, 'x')")
        raise LookupError

    before = await busy(connection, go_on)
    works: list[Work] = [written(1), fails, written(2), fails, written(3)]
    tasks = [asyncio.create_task(connection.transaction(work)) for work in works]
    await asyncio.sleep(0)

    go_on.set()
    await before
    ends = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(end) for end in ends] == [type(None), LookupError, type(None), LookupError, type(None)]
    assert [number for number, _ in await rows(connection)] == [1, 2, 3]


async def test_one_that_is_cancelled_among_others_is_taken_back_alone(connection: Connection) -> None:
    """While the group is under way: the others are done anew without it."""
    go_on, under_way = threading.Event(), threading.Event()

    def last(db: sqlite3.Connection) -> None:
        under_way.set()
        go_on.wait(10)
        db.execute("INSERT OR REPLACE INTO t VALUES (3, 'x')")

    first = threading.Event()
    before = await busy(connection, first)
    works: list[Work] = [written(1), written(2), last]
    tasks = [asyncio.create_task(connection.transaction(work)) for work in works]
    await asyncio.sleep(0)
    first.set()
    await asyncio.to_thread(under_way.wait, 10)

    tasks[1].cancel()
    await asyncio.sleep(0.01)
    assert not tasks[1].done()
    go_on.set()

    await before
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ends] == [type(None), asyncio.CancelledError, type(None)]
    assert [number for number, _ in await rows(connection)] == [1, 3]


async def test_a_neighbours_lock_is_waited_for_once_by_all_who_wait(connection: Connection, tmp_path: Path) -> None:
    """All of them are told, after as long as one would wait."""
    go_on = threading.Event()
    statements: list[str] = []
    await connection.execute("PRAGMA busy_timeout = 50")
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as neighbour:
        neighbour.execute("BEGIN IMMEDIATE")
        await connection.set_trace_callback(statements.append)
        before = await busy(connection, go_on)
        tasks = [asyncio.create_task(connection.transaction(written(number))) for number in range(5)]
        await asyncio.sleep(0)
        go_on.set()
        await before
        ends = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(end) for end in ends] == [sqlite3.OperationalError] * 5
    assert statements.count("BEGIN IMMEDIATE") == 1
    await connection.transaction(written(1))
    assert [number for number, _ in await rows(connection)] == [1]


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
