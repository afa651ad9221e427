# ruff: noqa: ASYNC221, ASYNC240 - the file itself is what is tested, and nothing runs beside it
"""The check that begins before the program is loaded: it counts for the file that was checked, and for no other."""

from __future__ import annotations

import contextlib
import ctypes
import math
import mmap
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from calsyncd.store import Ahead, Store
from calsyncd.store.ahead import read_ahead

from .test_store_file import fill

DIES = """\
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.store.test_store_file import changes
from calsyncd.store import Store

async def main():
    async with Store.open(Path(sys.argv[1])) as store:
        await store.apply("k9", "agent9", changes(20), 1.0)
        os._exit(0)

asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "calsyncd.db"


async def test_a_sound_file_is_not_checked_again(path: Path) -> None:
    """It is opened by what was found, with all that is in it, and so is what a crash has left in the log."""
    await fill(path)
    assert Ahead(path).is_sound()
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", DIES, path, root], check=True, timeout=30)

    ahead = Ahead(path)

    assert ahead.is_sound()
    async with Store.open(path, ahead.is_sound) as store:
        assert store.moved_aside is None
        assert len(await store.calendars()) == 5


async def test_what_is_told_sound_is_believed(path: Path) -> None:
    """No page is read twice for it: an index that lacks its rows is seen by nobody, if that is said."""
    await fill(path)
    _empty_an_index(path)

    assert not Ahead(path).is_sound()
    async with Store.open(path, lambda: True) as store:
        assert store.moved_aside is None
    async with Store.open(path, Ahead(path).is_sound) as store:
        assert store.moved_aside is not None


async def test_a_file_that_was_touched_since_is_checked(path: Path) -> None:
    """Damage between the check and the opening, another file in its place, another's write: none is believed."""
    await fill(path)
    other = path.with_name("other.db")
    shutil.copy(path, other)

    damaged = Ahead(path)
    assert damaged.is_sound()
    raw = bytearray(path.read_bytes())
    raw[4096:] = b"\xa5" * (len(raw) - 4096)
    path.write_bytes(raw)
    assert not damaged.is_sound()
    async with Store.open(path, damaged.is_sound) as store:
        assert store.moved_aside is not None

    replaced = Ahead(path)
    assert replaced.is_sound()
    other.replace(path)
    assert not replaced.is_sound()

    written = Ahead(path)
    assert written.is_sound()
    async with Store.open(path) as store:
        await store.forget_channel("c1")
        assert not written.is_sound()


async def test_times_that_no_event_has_are_found(path: Path) -> None:
    """Whoever edited rows by hand has the calendar read anew, as without the check ahead."""
    await fill(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("""UPDATE events SET start = "end" + 1 WHERE calendar = 'k2' AND id = 'e5'""")
        db.commit()

    ahead = Ahead(path)

    assert not ahead.is_sound()
    async with Store.open(path, ahead.is_sound) as store:
        assert set(await store.calendars()) == {"k0", "k1", "k3"}


@pytest.mark.parametrize(
    "content", [None, b"", b"hello, this is my shopping list\n" * 300], ids=["none", "empty", "text"]
)
def test_what_is_no_database_is_not_sound(path: Path, content: bytes | None) -> None:
    """And it is left as it is, for whoever says so."""
    if content is not None:
        path.write_bytes(content)

    assert not Ahead(path).is_sound()

    assert (path.read_bytes() if path.exists() else None) == content


def _empty_an_index(path: Path) -> None:
    """The pages are good, and the index lacks what is in the table: only the whole check compares them."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA writable_schema = ON")
        (sql,) = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'events_by_time'").fetchone()
        db.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'events_by_time'", (f"{sql} WHERE start < 0",))
        db.commit()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("REINDEX events_by_time")
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'events_by_time'", (sql,))
        db.commit()


def in_memory(path: Path) -> float:
    """Which share of the file the system has in memory, 0 to 1."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        pages = (ctypes.c_ubyte * math.ceil(len(mapped) / mmap.PAGESIZE))()
        first = ctypes.c_char.from_buffer(mapped)
        status = ctypes.CDLL(None).mincore(ctypes.byref(first), ctypes.c_size_t(len(mapped)), pages)
        # What is mapped cannot be closed while it is pointed at.
        del first
        assert status == 0
        return sum(page & 1 for page in pages) / len(pages)


def test_the_whole_file_is_asked_for_at_once(tmp_path: Path) -> None:
    """Also what is far more than the system reads ahead by itself, and without waiting for it."""
    path = tmp_path / "large"
    path.write_bytes(b"x" * 64_000_000)
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    before = in_memory(path)

    read_ahead(path)

    until = time.monotonic() + 20
    while in_memory(path) < 1 and time.monotonic() < until:
        time.sleep(0.01)
    # Where files live in memory they cannot be dropped from it.
    assert before < 0.5 or before == 1
    assert in_memory(path) == 1
