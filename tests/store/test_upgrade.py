"""Each version of the database that there ever was is opened, and what was in it is there; also the way back.

`schemas/N.sql` is what `sqlite3 calsyncd.db .dump` printed of version N, with its user_version. Whoever adds a
migration adds the dump of a database that it made.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from calsyncd.core.channels import Channel
from calsyncd.core.model import Event, HistoryRow, Observation, Setting
from calsyncd.core.sync import Bookmark, Stored
from calsyncd.errors import UserError
from calsyncd.store import Store
from calsyncd.store.migrations import MIGRATIONS

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
