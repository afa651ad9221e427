"""What a probe leaves behind if it is killed: a note of whom it has changed, by which the next run puts them back.

The note is written before the first update, and anew before each further one; it is deleted when the user is back. As
long as the probe lives it holds a lock on it, which the kernel ends with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from calsyncd.core.model import Setting
from calsyncd.errors import UserError
from calsyncd.files import replace_file

NAME = "probe-left.json"

_AS_WHOM = "run this as root, or as the user as whom calsyncd runs"


@dataclass(frozen=True, slots=True)
class Left:
    """The Aircall user `user` was set to `before` until `at` (epoch seconds); `written` are the last two updates."""

    email: str
    user: int
    before: Setting
    at: float
    written: tuple[Setting, ...] = ()

    @property
    def since(self) -> str:
        """When the probe began, for people."""
        return datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%d %H:%M UTC")


class Note:
    """The note in a folder; `held` keeps other probes and doctors off."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / NAME
        self._left: Left | None = None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold it against every other process. UserError 75: another one does."""
        try:
            descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise UserError(f"{self._folder}: cannot be used ({error.strerror}): {_AS_WHOM}") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise UserError("another probe is under way: wait for its end", exit_code=75) from error
            yield
        finally:
            os.close(descriptor)

    def read(self) -> Left | None:
        """What is left; None if nothing is. UserError if it cannot be read."""
        try:
            body = json.loads(self._path.read_bytes())
            return Left(
                str(body["email"]),
                int(body["user"]),
                _setting(body["before"]),
                float(body["at"]),
                tuple(_setting(one) for one in body["written"]),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{self._path}: cannot be read: a probe was killed; see in Aircall whether its test user is as before,"
                " and delete this file"
            ) from error

    def begin(self, left: Left) -> None:
        """This user is about to be changed."""
        self._left = left

    def about_to_write(self, setting: Setting) -> None:
        """Write down, before an update leaves, that it may have come to be. UserError if that cannot be written."""
        if self._left is None:
            return
        # The one before may still be what is seen, where this one was lost on its way.
        self._left = replace(self._left, written=(*self._left.written[-1:], setting))
        try:
            replace_file(self._path, json.dumps(asdict(self._left)).encode())
            if os.geteuid() == 0:
                # The service's user is to be able to end what root began.
                owner = self._folder.stat()
                os.chown(self._path, owner.st_uid, owner.st_gid)
        except OSError as error:
            raise UserError(
                f"{self._path}: cannot be written ({error.strerror}), so that a probe that is killed could not be"
                f" undone: {_AS_WHOM}"
            ) from error

    def end(self) -> None:
        """The user is back."""
        for path in (self._path, self._path.with_name(f"{NAME}.new")):
            # Half-written, where it was killed just then.
            path.unlink(missing_ok=True)


def _setting(body: dict[str, Any]) -> Setting:
    substatus = body.get("substatus")
    return Setting(str(body["availability_status"]), substatus if isinstance(substatus, str) else None)


def notes(state_dir: Path) -> tuple[Note, ...]:
    """Where a note may be; the first is where one is made: in the state directory, before there is one in this one."""
    return tuple(Note(folder) for folder in (state_dir, Path.cwd()) if os.access(folder, os.X_OK))
