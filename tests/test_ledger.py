"""The ledger: whatever happens to the machine, what was acknowledged is found again."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calsyncd import ledger as ledger_module
from calsyncd.core.byhand import NOTHING, ByHand, Extension
from calsyncd.core.model import Setting
from calsyncd.core.plan import FREE, Entry, Held, Line, Pause, Said, Stance, StandingBack
from calsyncd.ledger import COMPACT_BEYOND_LINES, Ledger, parse

UNAVAILABLE = Setting("unavailable", "in_training")

WRITER = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
from calsyncd.core.plan import Entry, StandingBack
from calsyncd.ledger import Ledger

async def one(ledger, user):
    number = 0
    while True:
        number += 1
        await ledger.record(Entry(user, f"{user}@example.com", StandingBack("override", number, number)))
        sys.stdout.write(f"{user} {number}\\n")
        sys.stdout.flush()

async def main():
    ledger = Ledger(Path(sys.argv[1]))
    ledger.load()
    await asyncio.gather(*(one(ledger, user) for user in range(1, 6)))

asyncio.run(main())
"""


def held(until: float = 1000.0) -> Held:
    """A hold with a value in every kind of field."""
    return Held(UNAVAILABLE, Setting("custom"), 1.0, 2.5, until, "event1", None, 3.25)


def entry(user: int, stance: Stance | None = None, at: float = 7.0) -> Entry:
    """A user's line."""
    return Entry(user, f"agent{user}@example.com", held() if stance is None else stance, at)


def reopened(path: Path) -> Ledger:
    """What the next process would read."""
    ledger = Ledger(path)
    ledger.load()
    return ledger


def twin(path: Path) -> Path:
    """The ledger's twin."""
    return path.with_name("ledger.twin")


async def written(path: Path, *lines: Line) -> None:
    """A ledger that a process wrote and closed."""
    ledger = reopened(path)
    for line in lines:
        await ledger.record(line)
    await ledger.close()


@pytest.mark.parametrize(
    "stance",
    [
        FREE,
        held(),
        Held(UNAVAILABLE, Setting("available", "x"), 0.1, 0.2, 0.3, None, 5.5, None),
        StandingBack("override", 1.5, 2.5),
        StandingBack("override", 1.5, 2.5, 1.75),
        StandingBack("left_alone", 0.0, 1e10),
        StandingBack("early_end", 1.25, 61.25),
    ],
)
async def test_every_stance_is_read_as_it_was_written(tmp_path: Path, stance: Stance) -> None:
    """Nothing of a stance is lost or rounded."""
    path = tmp_path / "ledger"

    await written(path, entry(456, stance, 12345.678))

    assert reopened(path).entries == {456: entry(456, stance, 12345.678)}


@pytest.mark.parametrize("until", [None, 1234.5, float("inf")])
async def test_every_pause_is_read_as_it_was_written(tmp_path: Path, until: float | None) -> None:
    """Paused for a time, for ever, or no more."""
    path = tmp_path / "ledger"

    await written(path, Pause("amy@example.com", until, 9.0))

    assert reopened(path).pauses == {"amy@example.com": Pause("amy@example.com", until, 9.0)}


@pytest.mark.parametrize(
    "by_hand",
    [
        NOTHING,
        ByHand((("event1", 1234.5), ("event2", 2.0))),
        ByHand((("event1", 1234.5),), Extension(1.25, 99.5, "in_training")),
        ByHand(extension=Extension(1.25, 99.5)),
    ],
)
async def test_what_was_said_by_hand_is_read_as_it_was_written(tmp_path: Path, by_hand: ByHand) -> None:
    """Skipped events and an extension, beside a pause of the same agent, also after the file was compacted."""
    path = tmp_path / "ledger"
    said = Said("amy@example.com", by_hand, 9.0)

    await written(path, Pause("amy@example.com", 5.0), said, entry(1))
    first = reopened(path)
    first._rewrite()
    again = reopened(path)

    assert (first.said, first.damaged) == ({"amy@example.com": said}, 0)
    assert again.said == ({} if by_hand == NOTHING else {"amy@example.com": said})
    assert (set(again.pauses), set(again.entries)) == ({"amy@example.com"}, {1})


@pytest.mark.parametrize(
    "body",
    [
        '{"by_hand":"amy@example.com","at":1.0,"skipped":[],"extension":[1.0]}',
        '{"by_hand":"amy@example.com","at":1.0,"skipped":[["e1"]],"extension":null}',
        '{"by_hand":"amy@example.com","at":1.0,"skipped":[["e1","soon"]],"extension":null}',
        '{"by_hand":"amy@example.com","at":1.0,"skipped":null,"extension":null}',
        '{"by_hand":"amy@example.com","at":1.0}',
    ],
)
async def test_a_word_by_hand_that_cannot_be_read_is_passed_over(tmp_path: Path, body: str) -> None:
    """What was said before it stands, and the debts do."""
    path = tmp_path / "ledger"
    said = Said("amy@example.com", ByHand((("e1", 5.0),)), 1.0)
    await written(path, entry(1), said)
    with path.open("ab") as file:
        file.write(b"%08x %s\n" % (zlib.crc32(body.encode()), body.encode()))

    ledger = reopened(path)

    assert (ledger.damaged, ledger.said, set(ledger.entries)) == (1, {"amy@example.com": said}, {1})


async def test_the_last_line_counts(tmp_path: Path) -> None:
    """A later line of the same user or agent takes the earlier one's place; others stay."""
    path = tmp_path / "ledger"

    said = [Said("a", ByHand((("e1", end),))) for end in (5.0, 6.0)]

    await written(path, entry(1), entry(2), Pause("a", 5.0), said[0], entry(1, FREE), Pause("a", None), said[1])

    ledger = reopened(path)
    assert {"a": said[1]} == ledger.said
    assert {1: entry(1, FREE), 2: entry(2)} == ledger.entries
    assert {"a": Pause("a", None)} == ledger.pauses


async def test_what_was_recorded_is_known_at_once(tmp_path: Path) -> None:
    """The open ledger shows its entries without being read again."""
    ledger = reopened(tmp_path / "ledger")

    await ledger.record(entry(1))

    assert ledger.entries == {1: entry(1)}
    await ledger.close()


async def test_the_file_is_private_and_readable_by_eye(tmp_path: Path) -> None:
    """Mode 0600; a line is a checksum and JSON that names what it holds."""
    path = tmp_path / "ledger"

    await written(path, entry(456))

    _, _, body = path.read_text(encoding="ascii").rstrip("\n").partition(" ")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(body)["email"] == "agent456@example.com"
    assert json.loads(body)["stance"]["back"] == ["custom", None]


async def test_a_tail_torn_at_any_byte_loses_only_its_own_line(tmp_path: Path) -> None:
    """Whatever part of the last line reached the disk, the lines before it stand and the next one is readable."""
    path = tmp_path / "ledger"
    await written(path, entry(1), entry(2), Pause("amy@example.com", 5.0))
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, len(whole) - 1) + 1

    for size in range(last, len(whole)):
        path.write_bytes(whole[:size])
        # It is told after the ledger: in the middle of a write it has nothing of it.
        twin(path).write_bytes(whole[:last])
        ledger = reopened(path)
        assert ({1: entry(1), 2: entry(2)}, {}, 0) == (ledger.entries, ledger.pauses, ledger.damaged)
        await ledger.record(entry(3))
        await ledger.close()
        assert set(reopened(path).entries) == {1, 2, 3}


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damage_anywhere_costs_no_more_than_the_lines_it_touches(data: st.DataObject) -> None:
    """Random bytes over a ledger: nothing is raised, nothing is made up, the lines that were not touched stand."""
    clean = b"".join(_line(entry(user)) for user in range(1, 8))
    at = data.draw(st.integers(0, len(clean) - 1))
    garbage = data.draw(st.binary(min_size=1, max_size=20))
    raw = clean[:at] + garbage + clean[at + len(garbage) :]

    lines, damaged, torn = parse(raw)

    assert set(lines) <= {entry(user) for user in range(1, 8)}
    assert len(lines) >= 4
    assert raw == clean or len(lines) == 7 or damaged or torn


@pytest.mark.parametrize("bit", range(8))
async def test_a_flipped_bit_is_counted_and_a_copy_is_kept(tmp_path: Path, bit: int) -> None:
    """Without its twin: the damaged line is passed over, its neighbours stand, and the file as it was is kept."""
    path = tmp_path / "ledger"
    await written(path, entry(1), entry(2), entry(3))
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"agent2") + 3] ^= 1 << bit
    path.write_bytes(raw)
    twin(path).unlink()

    ledger = reopened(path)

    assert (set(ledger.entries), ledger.damaged, ledger.mended) == ({1, 3}, 1, False)
    copy = tmp_path / "ledger.damaged"
    assert copy.read_bytes() == raw
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    again = reopened(path)
    assert (set(again.entries), again.damaged) == ({1, 3}, 0)


async def test_many_callers_share_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred agents that turn at the same instant cost a few syncs, not a hundred."""
    ledger = reopened(tmp_path / "ledger")
    syncs: list[int] = []
    real = os.fdatasync

    def counted(fd: int) -> None:
        syncs.append(fd)
        real(fd)

    monkeypatch.setattr(os, "fdatasync", counted)

    await asyncio.gather(*(ledger.record(entry(user)) for user in range(100)))

    assert 1 <= len(syncs) <= 5
    await ledger.close()
    assert set(reopened(tmp_path / "ledger").entries) == set(range(100))


async def test_many_lines_at_once_are_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pausing a thousand agents is one write and one sync."""
    ledger = reopened(tmp_path / "ledger")
    calls: list[str] = []
    real_write, real_sync = os.write, os.fdatasync

    def write(fd: int, data: memoryview) -> int:
        calls.append("write")
        return real_write(fd, data)

    def sync(fd: int) -> None:
        calls.append("sync")
        real_sync(fd)

    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "fdatasync", sync)

    await ledger.record(*(Pause(f"{number}@example.com", float("inf")) for number in range(900)))

    # The second is the twin's.
    assert calls == ["write", "sync", "write"]
    await ledger.close()
    assert len(reopened(tmp_path / "ledger").pauses) == 900


async def test_a_record_returns_only_after_its_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is acknowledged was synced, with all its bytes in the file."""
    path = tmp_path / "ledger"
    ledger = reopened(path)
    synced: list[bytes] = []
    real = os.fdatasync

    def witnessed(fd: int) -> None:
        real(fd)
        synced.append(path.read_bytes())

    monkeypatch.setattr(os, "fdatasync", witnessed)

    for user in range(5):
        await ledger.record(entry(user))
        assert f"agent{user}@".encode() in synced[-1]

    await ledger.close()


async def test_a_cancelled_caller_does_not_hurt_the_others(tmp_path: Path) -> None:
    """Who stops waiting takes nobody's line away."""
    ledger = reopened(tmp_path / "ledger")
    tasks = [asyncio.create_task(ledger.record(entry(user))) for user in range(20)]
    await asyncio.sleep(0)

    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    await ledger.close()
    assert set(reopened(tmp_path / "ledger").entries) >= set(range(1, 20, 2))


async def test_a_record_after_the_end_fails_rather_than_hangs(tmp_path: Path) -> None:
    """A task that is late at a shutdown is told so."""
    ledger = reopened(tmp_path / "ledger")
    await ledger.close()

    with pytest.raises(OSError, match="closed"):
        await asyncio.wait_for(ledger.record(entry(1)), 2)


async def test_compaction_keeps_what_counts(tmp_path: Path) -> None:
    """A long history of the same agents becomes short; debts, stances and pauses in force stay, nothing else."""
    path = tmp_path / "ledger"
    ledger = reopened(path)
    await asyncio.gather(*(ledger.record(entry(9, held(until))) for until in range(COMPACT_BEYOND_LINES + 50)))
    await ledger.record(Pause("amy@example.com", float("inf")))
    await ledger.record(Pause("bob@example.com", None))
    await ledger.record(entry(1, StandingBack("override", 1.0, 2.0)))
    await ledger.record(entry(2, FREE))
    await asyncio.gather(*(ledger.record(entry(7, held(until))) for until in range(COMPACT_BEYOND_LINES + 50)))
    await ledger.record(entry(3))
    await ledger.close()

    after = reopened(path)

    assert path.read_bytes().count(b"\n") < COMPACT_BEYOND_LINES
    assert {user: e.stance for user, e in after.entries.items() if e.stance != FREE} == {
        9: held(COMPACT_BEYOND_LINES + 49),
        7: held(COMPACT_BEYOND_LINES + 49),
        1: StandingBack("override", 1.0, 2.0),
        3: held(),
    }
    assert {p.email for p in after.pauses.values() if p.until is not None} == {"amy@example.com"}


@pytest.mark.parametrize("broken", ["fsync", "replace", "folder"])
async def test_a_compaction_that_fails_at_any_step_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Before, at or after the swap of the files: what is acknowledged, then and later, is found."""
    path = tmp_path / "ledger"
    ledger = reopened(path)
    many = COMPACT_BEYOND_LINES + 200
    if broken == "folder":
        with monkeypatch.context() as patch:
            _break_compaction(patch, "folder")
            await asyncio.gather(*(ledger.record(entry(1, held(until))) for until in range(many)))
            await ledger.record(entry(1, held(many - 1)))
        broken = "fsync"
    with monkeypatch.context() as patch:
        _break_compaction(patch, broken)
        await asyncio.gather(*(ledger.record(entry(1, held(until))) for until in range(many)))
        await ledger.record(entry(2))
        assert reopened_entries(path) == {1: entry(1, held(many - 1)), 2: entry(2)}

    await ledger.record(entry(3))

    assert set(reopened_entries(path)) == {1, 2, 3}
    await ledger.close()


def _break_compaction(patch: pytest.MonkeyPatch, broken: str) -> None:
    real_open, real_sync, real_replace = os.open, os.fsync, Path.replace

    def no_open(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_DIRECTORY:
            raise OSError(errno.EMFILE, "Too many open files")
        return real_open(path, flags, mode)

    def no_sync(fd: int) -> None:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        real_sync(fd)

    def no_replace(self: Path, target: Path) -> Path:
        if self.name.endswith(".new"):
            raise OSError(errno.EROFS, "Read-only file system")
        return real_replace(self, target)

    if broken == "folder":
        patch.setattr(os, "open", no_open)
    elif broken == "fsync":
        patch.setattr(os, "fsync", no_sync)
    else:
        patch.setattr(Path, "replace", no_replace)


def reopened_entries(path: Path) -> dict[int, Entry]:
    """What a reader sees, without touching the file."""
    lines, damaged, torn = parse(path.read_bytes())
    assert (damaged, torn) == (0, False)
    return {line.user: line for line in lines if isinstance(line, Entry)}


def _no_sync(_: int) -> None:
    raise OSError(errno.EIO, "Input/output error")


def _no_space(_: int, __: bytes) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def _some_space(real: Callable[[int, bytes], int]) -> Callable[[int, bytes], int]:
    left = [17]

    def write(fd: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        size = min(left[0], len(data))
        left[0] -= size
        return real(fd, data[:size])

    return write


@pytest.mark.parametrize("earlier", [0, 2])
@pytest.mark.parametrize("truncates", [True, False])
@pytest.mark.parametrize("fault", ["sync", "no space", "half a line"])
async def test_a_disk_that_fails_and_recovers_loses_nothing_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, earlier: int, *, truncates: bool
) -> None:
    """A failed record raises OSError; earlier lines stand, and those after the recovery are readable."""
    path = tmp_path / "ledger"
    ledger = reopened(path)
    for user in range(earlier):
        await ledger.record(entry(user))

    with monkeypatch.context() as patch:
        if fault == "sync":
            patch.setattr(os, "fdatasync", _no_sync)
        else:
            patch.setattr(os, "write", _no_space if fault == "no space" else _some_space(os.write))
        if not truncates:
            patch.setattr(os, "ftruncate", lambda fd, _: _no_sync(fd))
        for _ in range(3):
            with pytest.raises(OSError, match=r"error|space"):
                await ledger.record(entry(8))
    assert set(ledger.entries) == set(range(earlier))

    await ledger.record(entry(9))

    assert set(reopened_entries(path)) == {*range(earlier), 9}
    await ledger.close()


async def test_a_full_device_is_an_os_error(tmp_path: Path) -> None:
    """A real ENOSPC reaches the caller of `record`."""
    path = tmp_path / "ledger"
    ledger = reopened(path)
    path.unlink()
    path.symlink_to("/dev/full")
    ledger._open(0)

    writable = [ledger.writable]
    with pytest.raises(OSError, match="No space left"):
        await ledger.record(entry(1))
    writable.append(ledger.writable)

    path.unlink()
    await ledger.record(entry(2))
    assert [*writable, ledger.writable] == [None, False, True]
    assert set(reopened_entries(path)) == {2}
    await ledger.close()


def test_a_ledger_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    """A folder in the ledger's place is found at the start."""
    (tmp_path / "ledger").mkdir()

    with pytest.raises(OSError, match="directory"):
        Ledger(tmp_path / "ledger").load()


def test_whatever_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    """At thirty random instants: every acknowledged line is found, at most one later one, and the file is whole."""
    path = tmp_path / "ledger"
    chance = random.Random(9)
    for _ in range(30):
        path.unlink(missing_ok=True)
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            acknowledged = [process.stdout.readline()]
            time.sleep(chance.uniform(0, 0.15))
            process.send_signal(signal.SIGKILL)
            acknowledged += process.stdout.read().splitlines(keepends=True)

        ledger = reopened(path)

        assert ledger.damaged == 0
        last = {int(user): float(number) for user, number in map(bytes.split, _whole(acknowledged))}
        for user, number in last.items():
            stance = ledger.entries[user].stance
            assert isinstance(stance, StandingBack)
            assert number <= stance.until <= number + 1
        asyncio.run(ledger.close())


def _whole(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if line.endswith(b"\n")]


def _line(line: Entry) -> bytes:
    return ledger_module._line_out(line, 1)


# -- forgetting, and what is old -------------------------------------------------------------------------------------


async def test_whoever_is_forgotten_is_in_no_line(tmp_path: Path) -> None:
    """Old lines too, also of a former Aircall user; all others stand; whoever is held is not forgotten."""
    path = tmp_path / "ledger"
    amy = replace(entry(1), email="amy@x")
    former = replace(entry(3), email="amy@x (Aircall user 3)", stance=FREE)
    await written(path, amy, former, entry(2), Pause("amy@x", 5.0, 1.0), Said("amy@x", ByHand(), 1.0))
    ledger = reopened(path)
    with pytest.raises(ValueError, match="held"):
        await ledger.forget("amy@x")
    await ledger.record(replace(amy, stance=FREE))

    coming = asyncio.create_task(ledger.record(entry(4)))
    assert await ledger.forget("amy@x") == 5
    await coming
    assert await ledger.forget("amy@x") == 0
    await ledger.close()

    assert b"amy@x" not in path.read_bytes()
    assert set(reopened(path).entries) == {2, 4}


async def test_what_is_old_and_does_not_count_goes(tmp_path: Path) -> None:
    """Once the oldest line is older than what is kept; a line that counts stays, however old it is."""
    path = tmp_path / "ledger"
    await written(path, replace(entry(1), at=10.0), replace(entry(1), at=20.0), replace(entry(2), at=30.0))
    ledger = reopened(path)
    await ledger.compact(10.0)
    before = len(path.read_bytes().splitlines())
    await ledger.compact(10.5)
    await ledger.compact(1000.0)
    await ledger.record(entry(3))
    await ledger.close()

    assert (before, len(path.read_bytes().splitlines())) == (3, 3)
    assert {user: one.at for user, one in reopened(path).entries.items() if user < 3} == {1: 20.0, 2: 30.0}


async def test_a_line_of_a_newer_calsyncd(tmp_path: Path) -> None:
    """Told apart from damage: it is whole. It does not count here, the others do, and the file is kept as it was."""
    path = tmp_path / "ledger"
    await written(path, entry(1))
    body = b'{"user":2,"email":"b@x","at":1.0,"stance":{"is":"hypnotised"}}'
    raw = path.read_bytes() + b"%08x %s\n" % (zlib.crc32(body), body) + b"00000000 {}\n"
    path.write_bytes(raw)

    ledger = reopened(path)

    assert (ledger.damaged, ledger.newer, set(ledger.entries)) == (2, 1, {1})
    assert (tmp_path / "ledger.damaged").read_bytes() == raw
