"""Each version of the database that there ever was is opened, and what was in it is there; also the way back.

`schemas/N.sql` is what `sqlite3 calsyncd.db .dump` printed of version N, with its user_version. Whoever adds a
migration adds the dump of a database that it made.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from calsyncd.core.channels import Channel
from calsyncd.core.model import Event, HistoryRow, Observation, Setting
from calsyncd.core.sync import Bookmark, Stored
from calsyncd.errors import UserError
from calsyncd.store import Store
from calsyncd.store import store as store_module
from calsyncd.store.migrations import MIGRATIONS
from tests.faults.depth import rounds

DUMPS = {int(path.stem): path for path in (Path(__file__).parent / "schemas").iterdir()}
AMY, KEY, T = "amy@example.com", "amy@example.com/primary", 1.8e9
ADDRESS = "https://calsync.example.com/webhooks/google/notifications"


def made(path: Path, version: int) -> Path:
    """A database of this version, with something in each table."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(DUMPS[version].read_text())
    return path


def away(folder: Path) -> None:
    """Move each file out of the way, as `mv` does it."""
    for path in sorted(folder.iterdir()):
        path.rename(path.with_name(f"away-{path.name}"))


def event(version: int) -> Event:
    """The event that is in it, as far as that version knew events."""
    known = Event("e1", T, T + 1800, series="s1", response="accepted", updated="2027-01-15T08:00:00Z")
    if version < 2:
        return known
    return Event(
        "e1",
        T,
        T + 1800,
        series="s1",
        response="accepted",
        updated="2027-01-15T08:00:00Z",
        chat="doNotDisturb",
        mark="busy",
        titles=("lunch", "training"),
        color="5",
        label="sales",
        guests=3,
        conference=True,
    )


def record(version: int) -> HistoryRow:
    """The record of history that is in it."""
    row = HistoryRow(T + 5, AMY, "custom", "unavailable", "done", "a meeting", "e1", 7, "calsyncd")
    if version < 3:
        return row
    return HistoryRow(
        *(row.at, row.agent, row.from_, row.to, row.outcome, row.why, row.event, row.late_ms, row.actor),
        after=T + 4,
        until=T + 1800,
        begins=T + 5,
        ends=T + 1800,
        substatus="in_training",
    )


def test_each_version_has_a_dump() -> None:
    """None is left out."""
    assert sorted(DUMPS) == list(range(1, len(MIGRATIONS) + 1))


@pytest.mark.parametrize("version", sorted(DUMPS))
async def test_an_older_database_opens_with_all_that_is_in_it(tmp_path: Path, version: int) -> None:
    """Calendars, events, channels, observations, users, history; it is not moved aside, and the file can shrink."""
    path = made(tmp_path / "calsyncd.db", version)
    async with Store.open(path) as store:
        assert store.moved_aside is None
        assert await store.calendars() == {KEY: Stored(Bookmark("token-1", "fingerprint-1", "Europe/Paris", T), T + 60)}
        assert await store.events(AMY, [KEY], T - 1, T + 3600) == [event(version)]
        assert await store.channels() == [Channel("c1", KEY, ADDRESS, T, "r1", T + 604800, T + 500000, T + 1)]
        assert await store.observations() == {456: Observation(Setting("custom"), T, "available")}
        assert await store.directory() == {456: AMY}
        assert await store.history() == [record(version)]
        await store.record([record(version)], 0.0)
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert db.execute("PRAGMA auto_vacuum").fetchone() == (2,)


@pytest.mark.parametrize("version", [version for version in sorted(DUMPS) if version < len(MIGRATIONS)])
def test_killed_at_any_statement_of_the_way_up(tmp_path: Path, version: int) -> None:
    """`kill -9` before each statement, or every third: the file is of one version or another, and all is in it."""
    made(tmp_path / "before.db", version)
    path = tmp_path / "calsyncd.db"
    killed, versions = 0, set()
    for statement in itertools.count(1, rounds(3, 1)):
        for old in tmp_path.glob("calsyncd.db*"):
            old.unlink()
        shutil.copyfile(tmp_path / "before.db", path)
        if not _dies_at(path, statement):
            break
        killed += 1
        with contextlib.closing(sqlite3.connect(path)) as db:
            versions.add(db.execute("PRAGMA user_version").fetchone()[0])
        assert asyncio.run(_opened(path)) == ([event(version)], [record(version)])

    assert killed > rounds(3, 12)
    assert {version, len(MIGRATIONS)} <= versions <= set(range(version, len(MIGRATIONS) + 1))


def _dies_at(path: Path, statement: int) -> bool:
    """Whether a process that brings the database up to date was killed before its n-th statement."""
    child = os.fork()
    if child == 0:
        counted = 0

        def count(_: str) -> None:
            nonlocal counted
            counted += 1
            if counted == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        def traced(*arguments: Any, **named: Any) -> sqlite3.Connection:
            db: sqlite3.Connection = connect(*arguments, **named)
            if arguments[0] == path:
                db.set_trace_callback(count)
            return db

        connect, sqlite3.connect = sqlite3.connect, traced  # type: ignore[assignment]
        store_module._prepare(path)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


async def _opened(path: Path) -> tuple[list[Event], list[HistoryRow]]:
    async with Store.open(path) as store:
        assert store.moved_aside is None
        return await store.events(AMY, [KEY], T - 1, T + 3600), await store.history()


async def test_the_way_back(tmp_path: Path) -> None:
    """A newer calsyncd's database is refused, and the words say what to do; done so, an empty one takes its place."""
    path = made(tmp_path / "calsyncd.db", len(MIGRATIONS))
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(f"ALTER TABLE events ADD COLUMN mood TEXT; PRAGMA user_version = {len(MIGRATIONS) + 1};")
    with pytest.raises(UserError) as refused:
        async with Store.open(path):
            pass
    assert "the history is lost, and nobody who is held, since that is in the ledger" in str(refused.value)
    assert refused.value.exit_code == 78

    away(tmp_path)
    async with Store.open(path) as store:
        assert await store.history() == []
        assert store.moved_aside is None


# -- history.keep ----------------------------------------------------------------------------------------------------


async def test_history_ends_at_its_boundary(tmp_path: Path) -> None:
    """What is exactly as old as is kept stays, what is a moment older goes, also where nothing new is written."""
    async with Store.open(tmp_path / "calsyncd.db") as store:
        rows = [HistoryRow(at, AMY, None, None, "seen", "w", None, None, "x") for at in (T - 0.001, T, T + 1)]
        await store.record(rows, 0.0)
        while await store.tidy(T):
            pass

        assert [row.at for row in await store.history()] == [T, T + 1]


async def test_the_file_shrinks_piece_by_piece(tmp_path: Path) -> None:
    """Of 6,000 old records each transaction drops a thousand; at the end their space is given back."""
    path = tmp_path / "calsyncd.db"
    why = "because of a meeting " * 5
    async with Store.open(path) as store:
        rows = [HistoryRow(T + number, AMY, None, None, "seen", why, None, None, "x") for number in range(6_000)]
        await store.record(rows, 0.0)
        await store._connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        full = path.stat().st_size
        left, pieces = len(rows), 0
        while await store.tidy(T + 5_990):
            pieces += 1
            now = len(await store.history())
            assert left - now <= 1000
            left = now
        await store._connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")

        assert left == 10
        assert pieces >= 6
        assert path.stat().st_size < full / 10
