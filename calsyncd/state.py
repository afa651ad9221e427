"""The state directory: its lock, the key that proves messages ours, and when the daemon was last alive.

All are made at the first start.
"""

from __future__ import annotations

import contextlib
import fcntl
import hmac
import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from calsyncd.errors import UserError, exit_code_of
from calsyncd.files import replace_file

KEY_BYTES = 32
INVITATION_SECONDS = 7 * 86400.0


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` against every other process; the kernel lets go when this process ends, however it ends.

    UserError: 78 when it cannot be used, 75 when another process holds it.
    """
    path = folder / "lock"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UserError(
            f"{folder}: the state directory cannot be used ({error.strerror}): it must be a folder that this user"
            " can write to; set state_dir, or change its owner",
            exit_code=exit_code_of(error),
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            raise UserError(
                f"{folder}: another calsyncd holds the state directory"
                f"{f' (process {holder})' if holder else ''}: stop it first, or use another state_dir",
                exit_code=75,
            ) from error
        # The name is a help to people; the lock holds on a full disk too.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def give_to_owner(folder: Path) -> None:
    """Make what root has left in `folder` belong to the folder's owner, as whom the service runs."""
    if os.geteuid() != 0 or not folder.is_dir():
        return
    owner = folder.stat()
    for file in folder.rglob("*"):
        os.chown(file, owner.st_uid, owner.st_gid, follow_symlinks=False)


def push_key(folder: Path) -> bytes:
    """The key of the push tokens; made once, outside the database, which may be lost at any time."""
    path = folder / "push.key"
    try:
        key = path.read_bytes() if path.exists() else b""
        if len(key) >= KEY_BYTES:
            return key
        key = secrets.token_bytes(KEY_BYTES)
        replace_file(path, key)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read or made ({error.strerror}): check its owner and mode",
            exit_code=exit_code_of(error),
        ) from error
    return key


def nonce_proof(key: bytes, nonce: str) -> str:
    """What only the holder of the push key answers to a nonce; the key that signs it signs nothing else."""
    return hmac.new(hmac.digest(key, b"calsyncd nonce", "sha256"), nonce.encode(), "sha256").hexdigest()


def invitation(folder: Path, now: float) -> str:
    """The key of a link by which an Aircall admin may install the app, INVITATION_SECONDS long from `now`, in seconds.

    UserError: no daemon has run with this state directory, whose key signs it, or it cannot be read.
    """
    path = folder / "push.key"
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file: start calsyncd first; if the service has another state directory, name it as"
            " state_dir in the settings, or in $STATE_DIRECTORY"
        ) from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}): run this as root, or as the user as whom calsyncd runs",
            exit_code=exit_code_of(error),
        ) from error
    until = str(int(now + INVITATION_SECONDS))
    return f"{until}.{_signature(key, until)}"


def is_invitation(key: bytes, invited: str, now: float) -> bool:
    """Whether `invited` is what `invitation` has made by this key, and still counts."""
    until, _, signature = invited.partition(".")
    is_ours = hmac.compare_digest(signature.encode(errors="replace"), _signature(key, until).encode())
    return is_ours and now < int(until)


def _signature(key: bytes, until: str) -> str:
    derived = hmac.digest(key, b"calsyncd install link", "sha256")
    return hmac.new(derived, until.encode(errors="replace"), "sha256").hexdigest()


class Alive:
    """When the daemon was last alive: one line in `folder`/alive, overwritten in place.

    It is not synced at each mark: a crash of the process loses nothing, and a power cut what the kernel had not yet
    written, some tens of seconds.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "alive"

    def last(self) -> float | None:
        """The last mark, epoch seconds; None before the first one. OSError or ValueError if it cannot be read."""
        try:
            line = self._path.read_text(encoding="ascii")
        except FileNotFoundError:
            return None
        if not line:
            # Its first mark had no room, or never came to the disk.
            return None
        at = datetime.fromisoformat(line.strip())
        if at.tzinfo is None:
            raise ValueError("it has no offset")
        return at.timestamp()

    def mark(self, now: float) -> None:
        """The daemon is alive at `now`. OSError if that cannot be written."""
        line = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds") + "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # In place, and of the same length each time: no instant without a mark, and no room needed on a full disk.
            os.pwrite(descriptor, line.encode(), 0)
            os.ftruncate(descriptor, len(line))
        finally:
            os.close(descriptor)
