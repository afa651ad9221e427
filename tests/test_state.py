"""The state directory: one process at a time, and a key that is made once."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from calsyncd.errors import UserError
from calsyncd.state import KEY_BYTES, Alive, locked, push_key

HOLDER = """
import sys, time
from pathlib import Path
from calsyncd.state import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the folder."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            yield process
        finally:
            process.kill()


def fill(folder: Path) -> None:
    """Leave no room for another byte."""
    with (folder / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while filler.write(b"x" * 4096):
            pass


def test_a_second_process_is_turned_away_by_name(tmp_path: Path) -> None:
    """Exit status 75, and the message names the process that holds the directory."""
    with holder(tmp_path) as process:
        with pytest.raises(UserError, match=rf"another calsyncd .*process {process.pid}\b") as caught, locked(tmp_path):
            pass

        assert caught.value.exit_code == 75
        assert (tmp_path / "lock").read_text(encoding="ascii") == f"{process.pid}\n"


def test_kill_9_frees_the_directory_at_once(tmp_path: Path) -> None:
    """The kernel lets go of the lock with the process; no stale file stands in the way."""
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()

    with locked(tmp_path):
        assert (tmp_path / "lock").read_text(encoding="ascii") == f"{os.getpid()}\n"


def test_leaving_frees_the_directory(tmp_path: Path) -> None:
    """The same process can hold it again, and a name shorter than the last one leaves nothing of it."""
    (tmp_path / "lock").write_text("12345678901234567890\n", encoding="ascii")

    for _ in range(2):
        with locked(tmp_path):
            assert (tmp_path / "lock").read_text(encoding="ascii") == f"{os.getpid()}\n"


def test_the_directory_is_made_and_private(tmp_path: Path) -> None:
    """A missing directory is made with its parents, readable by its owner only, like all that is in it."""
    folder = tmp_path / "var" / "calsyncd"

    with locked(folder):
        push_key(folder)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()] == [0o600, 0o600]


@pytest.mark.parametrize("folder", ["/proc/calsyncd", "/dev/null", "/dev/null/state"])
def test_a_directory_that_cannot_be_used_is_the_users_to_mend(folder: str) -> None:
    """Exit status 78, with the directory's name; never a traceback."""
    with pytest.raises(UserError, match=folder) as caught, locked(Path(folder)):
        pass

    assert caught.value.exit_code == 78


def test_a_full_disk_does_not_keep_the_daemon_from_starting(tiny_disk: Path) -> None:
    """The lock needs no room: only the note of who holds it is missing."""
    (tiny_disk / "lock").touch()
    fill(tiny_disk)

    with locked(tiny_disk):
        with pytest.raises(UserError) as caught, locked(tiny_disk):
            pass
        assert caught.value.exit_code == 75


def test_a_key_that_cannot_be_written_is_the_users_to_mend(tiny_disk: Path) -> None:
    """A full disk at the first start is said in a sentence, and no half key stays behind."""
    fill(tiny_disk)

    with pytest.raises(UserError, match=r"push\.key: cannot be read or made"):
        push_key(tiny_disk)

    assert not (tiny_disk / "push.key").exists()


def test_the_key_is_made_once(tmp_path: Path) -> None:
    """Two starts have the same key, of full length, in a file of its owner's."""
    first = push_key(tmp_path)

    assert push_key(tmp_path) == first
    assert len(first) == KEY_BYTES
    assert stat.S_IMODE((tmp_path / "push.key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["push.key"]


@pytest.mark.parametrize("size", [0, 1, KEY_BYTES - 1])
def test_a_truncated_key_is_replaced(tmp_path: Path, size: int) -> None:
    """A key that a crash cut short proves nothing: a new one takes its place."""
    old = push_key(tmp_path)
    (tmp_path / "push.key").write_bytes(old[:size])

    fresh = push_key(tmp_path)

    assert (len(fresh), fresh != old) == (KEY_BYTES, True)
    assert push_key(tmp_path) == fresh


def test_keys_differ_between_installations(tmp_path: Path) -> None:
    """A key is random."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    assert push_key(tmp_path / "a") != push_key(tmp_path / "b")


def test_the_last_mark_is_found(tmp_path: Path) -> None:
    """By another process's life, to the millisecond; none before the first one, and each in the place of the last."""
    alive = Alive(tmp_path)
    assert alive.last() is None

    for at in (1_795_000_000.0, 1_795_000_005.0004, 1_795_000_010.123):
        alive.mark(at)

    assert Alive(tmp_path).last() == 1_795_000_010.123
    assert (tmp_path / "alive").read_text(encoding="ascii") == "2026-11-18T11:06:50.123+00:00\n"
    assert stat.S_IMODE((tmp_path / "alive").stat().st_mode) == 0o600


def test_a_mark_takes_the_place_of_a_longer_line(tmp_path: Path) -> None:
    """Whatever was in the file: after a mark, nothing of it is left."""
    (tmp_path / "alive").write_text("x" * 100, encoding="ascii")

    Alive(tmp_path).mark(1_795_000_000.0)

    assert Alive(tmp_path).last() == 1_795_000_000.0


@pytest.mark.parametrize("content", [b"\0" * 30, b"soon\n", b"\xff\xfe", b"2026-11-18T11:06:50\n"])
def test_a_damaged_mark_is_no_mark(tmp_path: Path, content: bytes) -> None:
    """What a power cut or a hand has left is told from a first start."""
    (tmp_path / "alive").write_bytes(content)

    with pytest.raises(ValueError, match=r"."):
        Alive(tmp_path).last()


def test_a_full_disk_takes_marks(tiny_disk: Path) -> None:
    """A mark needs no room but its first."""
    alive = Alive(tiny_disk)
    alive.mark(1_795_000_000.0)
    fill(tiny_disk)

    alive.mark(1_795_000_005.0)

    assert alive.last() == 1_795_000_005.0


def test_a_disk_without_room_for_the_first_mark(tiny_disk: Path) -> None:
    """It is an OSError each time, and nothing that would be taken for a mark stays behind."""
    fill(tiny_disk)
    alive = Alive(tiny_disk)

    with pytest.raises(OSError, match="No space left"):
        alive.mark(1_795_000_000.0)

    assert alive.last() is None
