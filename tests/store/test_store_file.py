# ruff: noqa: ASYNC221, ASYNC240 - the file itself is what is tested, and nothing runs beside it
"""The database's file: made, migrated, refused, moved aside; and a disk or a neighbour that stands in the way."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from calsyncd.core.channels import Channel
from calsyncd.core.model import Event, HistoryRow, Observation, Setting
from calsyncd.core.sync import Bookmark, Changes
from calsyncd.errors import Unavailable, UserError
from calsyncd.store import Ahead, Store
from calsyncd.store import store as store_module
from calsyncd.store.migrations import MIGRATIONS
from calsyncd.store.store import BUSY_TIMEOUT_MS

ROW = HistoryRow(1.8e9, "agent1", "available", "unavailable", "done", "why", None, 1, "calsyncd")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "calsyncd.db"


def changes(count: int, text: str = "2026-01-01T00:00:00Z") -> Changes:
    """A baseline of so many events."""
    events = tuple(
        Event(f"e{number}", 1.8e9 + 60 * number, 1.8e9 + 60 * number + 30, series=f"s{number % 7}", updated=text)
        for number in range(count)
    )
    mark = Bookmark("mark", "fingerprint", "UTC", 1.8e9)
    return Changes(baseline=True, events=events, gone=frozenset(), skipped=(), bookmark=mark)


async def fill(path: Path) -> None:
    """Something in every table."""
    async with Store.open(path) as store:
        for number in range(4):
            await store.apply(f"k{number}", f"agent{number}", changes(120), 1.8e9)
        await store.save_channel(Channel("c1", "k1", "https://x", 1.8e9, "r", 1.9e9, 1.85e9, 1.8e9))
        await store.observe([(1, Observation(Setting("available"), 1.8e9))])
        await store.save_directory({1: "amy@example.com"}, {})
        await store.record([ROW] * 50, 0.0)


async def use(path: Path) -> Path | None:
    """Open the database as the program does, read and write it; where a damaged one was moved to."""
    async with Store.open(path, Ahead(path).is_sound) as store:
        await store.calendars()
        await store.channels()
        await store.observations()
        await store.directory()
        await store.history()
        for number in range(4):
            for event in await store.events(f"agent{number}", [f"k{number}"], -1e18, 1e18):
                assert -1e11 < event.start < 3e11
                assert -1e11 < event.end < 3e11
        await store.apply("k1", "agent1", changes(3), 1.8e9)
        await store.record([ROW], 0.0)
        assert await store.count_events("k1", 0.0) == 3
        return store.moved_aside


async def test_an_empty_file_becomes_a_database(path: Path) -> None:
    """Missing or of no length: the newest shape, private, and nothing was moved aside."""
    for _ in range(2):
        path.write_bytes(b"")
        path.chmod(0o644)
        assert await use(path) is None
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_it_syncs_every_commit(path: Path) -> None:
    """A power cut loses nothing acknowledged: `synchronous` is FULL, and foreign keys are on."""
    async with Store.open(path) as store:
        found = [
            [tuple(row) for row in await store._connection.execute_fetchall(f"PRAGMA {name}")]
            for name in ("synchronous", "foreign_keys")
        ]

    assert found == [[(2,)], [(1,)]]


async def test_rows_edited_by_hand_are_refused(path: Path) -> None:
    """The tables are strict: a word where a time belongs does not get in."""
    await fill(path)

    with contextlib.closing(sqlite3.connect(path)) as db:
        for wrong in ("start = 'noon'", "all_day = 2", "id = ''", "agent = NULL", "transparent = 'yes'"):
            with pytest.raises(sqlite3.IntegrityError):
                db.execute(f"UPDATE events SET {wrong}")  # noqa: S608 - our own words


@pytest.mark.parametrize("version", [len(MIGRATIONS) + 1, 999])
async def test_a_newer_database_is_refused_and_not_touched(path: Path, version: int) -> None:
    """Exit status 78, both versions named, what to do; not a byte of the file changes."""
    await fill(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {version}")
    before = hashlib.sha256(path.read_bytes()).digest()

    with pytest.raises(UserError, match=rf"is version {version}, this calsyncd knows {len(MIGRATIONS)}") as caught:
        await use(path)

    assert caught.value.exit_code == 78
    assert hashlib.sha256(path.read_bytes()).digest() == before
    assert list(path.parent.iterdir()) == [path]


# -- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"hello, this is my shopping list\n" * 10,
        b"\0" * 100,
        b"\0" * 8192,
        b"SQLite format 3\0",
        b"SQLite format 3\0" * 99,
    ],
    ids=["text", "zeros", "many zeros", "magic", "much magic"],
)
async def test_what_is_no_database_is_moved_aside(path: Path, content: bytes) -> None:
    """The program starts with an empty one, and the file that stood there is kept as it was."""
    path.write_bytes(content)

    aside = await use(path)

    assert aside is not None
    assert (aside.name, aside.read_bytes()) == ("calsyncd.db.corrupt-0001", content)
    assert await use(path) is None


async def test_random_damage_never_stops_the_program(path: Path) -> None:
    """Fifty garbled bytes, a hundred times over: used, or moved aside; never a traceback, never an answer owed."""
    await fill(path)
    whole = path.read_bytes()
    chance = random.Random(1)
    moved = 0
    for turn in range(120):
        raw = bytearray(whole)
        for _ in range((50, 1, 3)[turn % 3]):
            raw[chance.randrange(100, len(raw))] = chance.randrange(256)
        moved += await _survives(path, bytes(raw))
    assert 30 < moved < 120


@pytest.mark.parametrize("start", range(0, 100, 20))
async def test_a_damaged_header_never_stops_the_program(path: Path, start: int) -> None:
    """Each byte of the header set to other values: used, moved aside, or taken for a newer version and refused."""
    await fill(path)
    whole = path.read_bytes()
    for at in range(start, start + 20):
        for value in (0, 3, 0x7F, 0xFF):
            raw = bytearray(whole)
            raw[at] = value
            if 60 <= at <= 63 and 0 <= int.from_bytes(raw[60:64], "big") <= 999:
                continue
            await _survives(path, bytes(raw))


async def test_a_damaged_schema_never_stops_the_program(path: Path) -> None:
    """Bytes that are no text in the words that make the tables."""
    await fill(path)
    whole = path.read_bytes()
    begins = whole.index(b"CREATE")
    chance = random.Random(2)
    for _ in range(60):
        raw = bytearray(whole)
        raw[chance.randrange(begins, 4096)] = chance.randrange(128, 256)
        await _survives(path, bytes(raw))


async def test_truncation_never_stops_the_program(path: Path) -> None:
    """A file cut anywhere, also within a page."""
    await fill(path)
    whole = path.read_bytes()
    chance = random.Random(4)
    for size in (1, 50, 99, 100, 512, 4095, 4096, 8192, *(chance.randrange(len(whole)) for _ in range(25))):
        await _survives(path, whole[:size])


async def _survives(path: Path, raw: bytes) -> bool:
    for old in path.parent.glob("calsyncd.db*"):
        old.unlink()
    path.write_bytes(raw)
    aside = await use(path)
    if aside is not None:
        assert aside.read_bytes()[100:] == raw[100:]
    assert await use(path) is None
    return aside is not None


async def test_tables_of_somebody_else_are_moved_aside(path: Path) -> None:
    """A sound database with another program's tables, or without one of ours, is not used."""
    for statement in ("CREATE TABLE events (x)", "DROP TABLE history", "ALTER TABLE events DROP COLUMN kind"):
        if statement.startswith(("DROP", "ALTER")):
            path.unlink(missing_ok=True)
            await fill(path)
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute(statement)
        assert await use(path) is not None


async def test_damage_while_running_is_an_error_of_the_store(path: Path) -> None:
    """Pages that are garbled under an open database make it unavailable; once it is closed it is moved aside."""
    await fill(path)
    async with Store.open(path) as store:
        raw = path.read_bytes()
        path.write_bytes(raw[:4096] + b"\xa5" * (len(raw) - 4096))
        with pytest.raises(Unavailable) as caught:
            await store.events("agent1", ["k1"], 0.0, 1e12)
        assert caught.value.service == "store"
        assert store.damaged.is_set()

    assert [file.name for file in path.parent.glob("*.corrupt-*")] == ["calsyncd.db.corrupt-0001"]
    assert await use(path) is None


async def test_a_garbled_write_ahead_log_is_survived(path: Path) -> None:
    """What a crash left in the log may be lost with it; nothing else happens."""
    script = (
        "import asyncio, os, sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]);"
        "from test_store_file import changes; from calsyncd.store import Store\n"
        "async def main():\n"
        "    async with Store.open(Path(sys.argv[1])) as store:\n"
        "        for number in range(20): await store.apply(f'k{number}', 'a', changes(20), 1.0)\n"
        "        os._exit(0)\n"
        "asyncio.run(main())"
    )
    chance = random.Random(6)
    for _ in range(5):
        subprocess.run([sys.executable, "-c", script, str(path), str(Path(__file__).parent)], check=True, timeout=30)
        log = path.with_name("calsyncd.db-wal")
        raw = bytearray(log.read_bytes())
        for _ in range(64):
            raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        log.write_bytes(raw)
        await use(path)


async def test_at_most_three_damaged_files_are_kept(path: Path) -> None:
    """The newest ones, under rising numbers; files of other names are the user's and stay."""
    (path.parent / "calsyncd.db.corrupt-0001.mine2").touch()
    (path.parent / "calsyncd.db.corrupt-x9").mkdir()
    for number in range(6):
        path.write_bytes(b"garbage %d" % number)
        assert await use(path) is not None

    kept = sorted(path.parent.glob("calsyncd.db.corrupt-0*[0-9]"))
    assert {old.name: old.read_bytes() for old in kept if old.name != "calsyncd.db.corrupt-0001.mine2"} == {
        f"calsyncd.db.corrupt-{number:04}": b"garbage %d" % (number - 1) for number in (4, 5, 6)
    }
    assert (path.parent / "calsyncd.db.corrupt-0001.mine2").exists()


# -- the disk, and neighbours ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["/proc/calsyncd.db", "/dev/null/calsyncd.db"])
async def test_a_place_that_cannot_be_written_is_the_users_to_mend(place: str) -> None:
    """Exit status 78 with the file's name."""
    with pytest.raises(UserError, match=place) as caught:
        await use(Path(place))

    assert caught.value.exit_code == 78


@pytest.mark.parametrize("damaged", [True, False])
async def test_a_read_only_disk_is_the_users_to_mend(tiny_disk: Path, *, damaged: bool) -> None:
    """Also when the file would have to be moved aside."""
    path = tiny_disk / "calsyncd.db"
    path.write_bytes(b"garbage")
    if not damaged:
        path.unlink()
    mount = str(shutil.which("mount"))
    await asyncio.to_thread(subprocess.run, [mount, "-o", "remount,ro", str(tiny_disk)], check=True)

    with pytest.raises(UserError, match="cannot be used"):
        await use(path)


async def test_a_full_disk_costs_only_what_does_not_fit(tiny_disk: Path) -> None:
    """The write that does not fit is taken back whole; reading goes on, and writing too once there is room."""
    path = tiny_disk / "calsyncd.db"
    async with Store.open(path) as store:
        await store.apply("k1", "agent1", changes(5), 1.8e9)
        with (tiny_disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while filler.write(b"x" * 4096):
                pass
        with pytest.raises(Unavailable) as caught:
            await store.apply("k1", "agent1", changes(2000, "x" * 50), 1.9e9)

        assert caught.value.service == "store"
        assert len(await store.events("agent1", ["k1"], 0.0, 1e12)) == 5
        assert (await store.calendars())["k1"].synced_at == 1.8e9
        (tiny_disk / "filler").unlink()
        await store.apply("k1", "agent1", changes(7), 2e9)
        assert len(await store.events("agent1", ["k1"], 0.0, 1e12)) == 7


async def test_a_full_disk_at_the_start_is_the_users_to_mend(tiny_disk: Path) -> None:
    """A sentence, not a traceback."""
    with (tiny_disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while filler.write(b"x" * 4096):
            pass

    with pytest.raises(UserError, match="disk full"):
        await use(tiny_disk / "calsyncd.db")


async def test_a_neighbours_short_lock_is_waited_out(path: Path) -> None:
    """An operator's shell or a backup delays a write; it does not fail it."""
    async with Store.open(path) as store:
        neighbour = sqlite3.connect(path, isolation_level=None)
        neighbour.execute("BEGIN IMMEDIATE")
        asyncio.get_running_loop().call_later(0.2, neighbour.close)

        await store.apply("k1", "agent1", changes(5), 1.8e9)

        assert await store.count_events("k1", 0.0) == 5


async def test_a_neighbours_long_lock_is_an_error_of_the_store(path: Path) -> None:
    """Reading goes on meanwhile, and afterwards all is as before."""
    async with Store.open(path) as store:
        await store._connection.execute("PRAGMA busy_timeout = 50")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as neighbour:
            neighbour.execute("BEGIN IMMEDIATE")
            with pytest.raises(Unavailable, match="locked"):
                await store.apply("k1", "agent1", changes(5), 1.8e9)
            with pytest.raises(Unavailable, match="locked"):
                await store.ping()
            assert await store.calendars() == {}

        await store.ping()
        await store.apply("k1", "agent1", changes(5), 1.8e9)
        assert await store.count_events("k1", 0.0) == 5


async def test_a_question_given_up_leaves_no_lock_behind(path: Path) -> None:
    """Whoever asks whether the database answers, and stops waiting, keeps no transaction open."""
    async with Store.open(path) as store:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as neighbour:
            neighbour.execute("BEGIN IMMEDIATE")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await store.ping()
            neighbour.execute("ROLLBACK")
            await store.ping()
            neighbour.execute("BEGIN IMMEDIATE")


async def test_a_reader_that_does_not_end_makes_the_log_grow(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is told; nobody waits for the reader, and once it has ended the space is given back."""
    monkeypatch.setattr(store_module, "LOG_BYTES", 100_000)
    await fill(path)
    async with Store.open(path) as store:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM events").fetchone()
            for number in range(60):
                await store.apply("k1", "agent1", changes(400), float(number))
            await store.ping()
            grown = store.log_bytes
            began = time.monotonic()
            await store.tidy(0.0)
            took = time.monotonic() - began
            await store.ping()
            assert store.log_bytes == grown
        await store.tidy(0.0)
        await store.ping()

        assert grown > 1_000_000
        assert took < 3
        assert store.log_bytes == 0
        await store.apply("k1", "agent1", changes(3), 99.0)
        timeout = await store._connection.execute_fetchall("PRAGMA busy_timeout")
        assert [tuple(row) for row in timeout] == [(BUSY_TIMEOUT_MS,)]


async def test_nothing_is_left_open(path: Path) -> None:
    """Fifty openings, failed ones too, keep no file and no thread."""
    before = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))  # noqa: PTH208 - names are enough
    for number in range(50):
        with contextlib.suppress(UserError, Unavailable):
            if number % 2:
                await use(path)
            else:
                await use(Path("/proc/calsyncd.db"))
    await asyncio.sleep(0.05)

    after = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))  # noqa: PTH208 - names are enough
    assert after[0] <= before[0] + 2
    assert after[1] <= before[1] + 8
