"""Files that are replaced whole or not at all, read with care, and locked; errors name the file and say what to do."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from calsyncd.errors import UserError, exit_code_of
from calsyncd.files import sync_folder

MAX_FILE_BYTES = 64 * 1024
UNCHANGED = "nothing was overwritten"


def is_there(path: Path) -> bool:
    """Whether there is anything of this name; UserError if that cannot be seen."""
    with said_of(path, "cannot be looked at", "run this as root, or as the user as whom calsyncd runs"):
        try:
            os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
    return True


def bytes_of(path: Path) -> bytes:
    """FileNotFoundError if it is not there; UserError if it is there and cannot be read."""
    try:
        # O_NONBLOCK: a FIFO without a writer would block the open.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UserError(f"{path}: not a regular file: move it away; {UNCHANGED}")
            raw = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}): check its owner and mode; {UNCHANGED}",
            exit_code=exit_code_of(error),
        ) from error
    if len(raw) > MAX_FILE_BYTES:
        raise UserError(f"{path}: larger than {MAX_FILE_BYTES // 1024} KB: not a file of calsyncd; {UNCHANGED}")
    return raw


def replace(path: Path, raw: bytes, like: os.stat_result, mode: int) -> None:
    """Put `raw` in the place of what `path` holds, on disk when this returns; OSError if not."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        write_synced(fresh, raw, like, mode)
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_synced(path: Path, raw: bytes, like: os.stat_result, mode: int) -> None:
    """A new file with this content, on disk, that belongs to whom `like` belongs, as far as this user may say so."""
    # One that a crash has left is nobody's any more.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)
        file.flush()
        if (os.geteuid(), os.getegid()) != (like.st_uid, like.st_gid):
            # Made by root for the service, which must be able to read it.
            os.fchown(descriptor, like.st_uid if os.geteuid() == 0 else -1, like.st_gid)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)


def give(path: Path | int, like: os.stat_result) -> None:
    """What root has made for the service belongs to whom `like` belongs to."""
    if os.geteuid() == 0:
        os.chown(path, like.st_uid, like.st_gid)


@contextlib.contextmanager
def locked(folder: Path, name: str = "lock", *, wait: bool = True) -> Iterator[None]:
    """Hold this lock in the folder against other processes and vaults; the kernel lets go when the process ends."""
    path = folder / name
    with said_of(path, "cannot be used"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with said_of(path, "cannot be given to the folder's owner"):
            give(descriptor, folder.stat())
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{path}: another process is rotating the key: wait for its end", exit_code=75) from None
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def said_of(path: Path, what: str, do: str = "check its owner, its mode and the space") -> Iterator[None]:
    """OSError becomes UserError that names the file."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: {what} ({error.strerror}): {do}; {UNCHANGED}", exit_code=exit_code_of(error)
        ) from error
