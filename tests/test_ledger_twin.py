"""The ledger's twin: one of the two files may be lost or damaged in any way, and nothing that is owed is."""

from __future__ import annotations

import asyncio
import errno
import json
import math
import os
import random
import stat
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from calsyncd.core.plan import FREE, Pause
from calsyncd.ledger import COMPACT_BEYOND_LINES
from tests.test_ledger import entry, reopened, twin, written

Damage = Callable[[Path], object]


def scribbled(path: Path) -> None:
    """Bytes all over it."""
    raw = bytearray(path.read_bytes())
    chance = random.Random(len(raw))
    for _ in range(max(3, len(raw) // 20)):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    path.write_bytes(raw)


def halved(path: Path) -> None:
    """Cut in the middle."""
    os.truncate(path, path.stat().st_size // 2)


def foldered(path: Path) -> None:
    """A folder in its place."""
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Damage] = {
    "deleted": Path.unlink,
    "empty": lambda path: os.truncate(path, 0),
    "halved": halved,
    "scribbled": scribbled,
    "nulls": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "a line less": lambda path: path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1])),
    "folder": foldered,
}


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "folder"])
async def test_the_twin_has_what_the_ledger_lacks(tmp_path: Path, damage: str) -> None:
    """Debts, pauses, and what ended since: all of it; afterwards the ledger alone has it again."""
    path = tmp_path / "ledger"
    await written(path, entry(1), entry(2), Pause("amy@x", 5.0), entry(1, FREE), entry(3))
    DAMAGES[damage](path)

    ledger = reopened(path)
    await ledger.record(entry(4))
    await ledger.close()
    twin(path).unlink()
    again = reopened(path)

    assert ledger.mended
    for one in (ledger, again):
        assert one.entries[2] == entry(2)
        assert one.entries[3] == entry(3)
        assert one.entries.get(1, entry(1, FREE)) == entry(1, FREE)
        assert one.pauses == {"amy@x": Pause("amy@x", 5.0)}
    assert again.entries[4] == entry(4)


@pytest.mark.parametrize("damage", DAMAGES)
async def test_the_twin_may_be_lost(tmp_path: Path, damage: str) -> None:
    """The ledger has all of it, nobody is told of anything, and the twin is made anew."""
    path = tmp_path / "ledger"
    await written(path, entry(1), entry(2), entry(1, FREE))
    DAMAGES[damage](twin(path))

    ledger = reopened(path)
    await ledger.close()

    assert (ledger.entries, ledger.damaged, ledger.mended) == ({1: entry(1, FREE), 2: entry(2)}, 0, False)
    if damage != "folder":
        assert twin(path).read_bytes() == path.read_bytes()
        assert stat.S_IMODE(twin(path).stat().st_mode) == 0o600


async def test_each_may_have_what_the_other_has_not(tmp_path: Path) -> None:
    """Both are damaged, in different lines."""
    path = tmp_path / "ledger"
    await written(path, *(entry(user) for user in range(1, 5)))
    for file, user in ((path, 2), (twin(path), 3)):
        raw = file.read_bytes()
        file.write_bytes(raw.replace(f"agent{user}@".encode(), b"agentX@"))

    ledger = reopened(path)

    assert (set(ledger.entries), ledger.damaged) == ({1, 2, 3, 4}, 1)


async def test_an_older_copy_in_its_place_counts_for_what_is_newest(tmp_path: Path) -> None:
    """Somebody copied yesterday's ledger back: who was let go of since is not held, and who is held since is."""
    path = tmp_path / "ledger"
    await written(path, entry(1))
    yesterday = path.read_bytes()
    await written(path, entry(1, FREE), entry(2))
    path.write_bytes(yesterday)

    ledger = reopened(path)

    assert ledger.entries == {1: entry(1, FREE), 2: entry(2)}
    assert ledger.mended


async def test_numbers_count_and_not_times(tmp_path: Path) -> None:
    """The clock was set back between two lines: the later line counts, in whichever file it is found."""
    path = tmp_path / "ledger"
    await written(path, replace(entry(1), at=2000.0), replace(entry(1, FREE), at=1000.0))
    path.unlink()

    assert reopened(path).entries == {1: replace(entry(1, FREE), at=1000.0)}


async def test_a_ledger_of_an_older_calsyncd_counts_alone(tmp_path: Path) -> None:
    """It wrote lines without numbers, and left the twin as it was: what that says may be over."""
    path = tmp_path / "ledger"
    await written(path, entry(1), entry(2))
    body = {"user": 1, "email": "agent1@example.com", "at": 9.0, "stance": {"is": "free"}}
    text = json.dumps(body).encode()
    path.write_bytes(b"%08x %s\n" % (zlib.crc32(text), text))

    ledger = reopened(path)
    await ledger.record(entry(3))
    await ledger.close()

    assert set(ledger.entries) == {1, 3}
    assert ledger.entries[1].stance == FREE
    assert b'"n":' in path.read_bytes()
    assert set(reopened(path).entries) == {3}


async def test_compaction_makes_both_short(tmp_path: Path) -> None:
    """They stay alike, and what was let go of long ago does not come back from either."""
    path = tmp_path / "ledger"
    ledger = reopened(path)
    for number in range(COMPACT_BEYOND_LINES // 500 + 3):
        await ledger.record(*(entry(1, FREE if (number + one) % 2 else None) for one in range(500)))
    await ledger.record(entry(1, FREE))
    await ledger.close()

    assert path.read_bytes() == twin(path).read_bytes()
    assert len(path.read_bytes().splitlines()) < COMPACT_BEYOND_LINES
    path.unlink()
    assert reopened(path).entries.get(1, entry(1, FREE)) == entry(1, FREE)


async def test_whoever_is_forgotten_is_in_neither(tmp_path: Path) -> None:
    """A twin that cannot be written anew is dropped, and made with the next line."""
    path = tmp_path / "ledger"
    ledger = reopened(path)
    await ledger.record(Pause("amy@x", 5.0), entry(2))
    assert b"amy@x" in twin(path).read_bytes()
    assert await ledger.forget("amy@x") == 1
    assert b"amy@x" not in twin(path).read_bytes()

    await ledger.record(Pause("amy@x", 6.0))
    blocker = tmp_path / "ledger.twin.new"
    blocker.mkdir()
    assert await ledger.forget("amy@x") == 1
    assert not twin(path).exists()
    blocker.rmdir()
    await ledger.record(entry(3))
    await ledger.close()

    assert b"amy@x" not in path.read_bytes()
    assert twin(path).read_bytes() == path.read_bytes()


async def test_a_full_disk_costs_the_twin_nothing_that_is_acknowledged(tiny_disk: Path) -> None:
    """While there is no room nothing is acknowledged; what is after that stands in both."""
    path = tiny_disk / "ledger"
    ledger = reopened(path)
    await ledger.record(entry(1))
    filler = tiny_disk / "filler"
    size = os.statvfs(tiny_disk).f_bavail * os.statvfs(tiny_disk).f_frsize
    filler.write_bytes(bytes(size))
    refused = await asyncio.gather(*(ledger.record(entry(user)) for user in range(2, 400)), return_exceptions=True)
    filler.unlink()
    await ledger.record(entry(500))
    await ledger.close()

    assert any(isinstance(one, OSError) and one.errno == errno.ENOSPC for one in refused)
    assert {1, 500} <= set(reopened(path).entries)
    assert twin(path).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("damage", ["deleted", "empty", "halved"])
@pytest.mark.parametrize("both", [False, True], ids=["ledger", "both"])
async def test_a_file_that_is_taken_away_while_it_is_open_is_made_again(
    tmp_path: Path, damage: str, *, both: bool
) -> None:
    """A crash afterwards loses nothing: what is in memory is on disk again."""
    path = tmp_path / "ledger"
    ledger = reopened(path)
    await ledger.record(entry(1), entry(2))
    assert not await ledger.keep()
    for file in (path, twin(path)) if both else (path,):
        DAMAGES[damage](file)

    assert await ledger.keep()
    assert not await ledger.keep()
    await ledger.record(entry(3))

    crashed = reopened(path)
    assert set(crashed.entries) == {1, 2, 3}
    assert not crashed.mended
    await ledger.close()


async def test_a_twin_that_cannot_be_renewed_is_dropped(tmp_path: Path) -> None:
    """An old one would still hold whomever the ledger, written anew, says nothing of."""
    path = tmp_path / "ledger"
    await written(path, entry(1), entry(1, FREE), entry(2))
    twin(path).write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    (tmp_path / "ledger.twin.new").mkdir()

    ledger = reopened(path)
    await ledger.compact(math.inf)
    await ledger.close()
    again = reopened(path)

    assert 1 not in again.entries
    assert again.entries[2] == entry(2)
    await again.close()
