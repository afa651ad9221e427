"""The machine's disk: it fills, fails, and the process dies at any of its writes. All is done on real files."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from calsyncd.store import connection

from .loop import LIFE, Killed

GATED = ("write", "pwrite", "fsync", "fdatasync", "ftruncate", "replace")


class Disk:
    """`fuse`: at the write after so many more the process dies; `full` and `failing` are what they say."""

    def __init__(self, die: Callable[[], None], told: Callable[[str], None]) -> None:
        self.fuse: int | None = None
        self.full = False
        self.failing = False
        self.writes = 0
        self._die = die
        self._told = told
        self._real: dict[str, Callable[..., Any]] = {}

    def _dies(self) -> bool:
        self.writes += 1
        if self.fuse is None:
            return False
        self.fuse -= 1
        if self.fuse >= 0:
            return False
        self.fuse = None
        return True

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """While the block runs, what the daemon writes comes to this disk."""
        with contextlib.ExitStack() as stack:
            for name in GATED:
                self._real[name] = getattr(os, name)
                stack.enter_context(mock.patch.object(os, name, self._gated(name)))
            stack.enter_context(mock.patch.object(connection._Transaction, "__init__", self._transaction()))
            yield

    def _gated(self, name: str) -> Callable[..., Any]:
        real = self._real[name]

        def gated(*args: Any, **kwargs: Any) -> Any:
            life = LIFE.get()
            if life is None or life.dead:
                return real(*args, **kwargs)
            if self._dies():
                if name in ("write", "pwrite"):
                    real(args[0], bytes(args[1])[: len(args[1]) // 2], *args[2:])
                self._die()
                raise Killed
            if self.full and name in ("write", "pwrite"):
                real(args[0], bytes(args[1])[: len(args[1]) // 3], *args[2:])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self.failing and name in ("fsync", "fdatasync"):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*args, **kwargs)

        return gated

    def _transaction(self) -> Callable[..., None]:
        real = connection._Transaction.__init__

        def made(job: connection._Transaction, work: connection.Work) -> None:
            def gated(db: sqlite3.Connection) -> None:
                life = LIFE.get()
                if life is None or life.dead:
                    work(db)
                    return
                self._point()
                before = db.total_changes
                work(db)
                if self.full and db.total_changes > before:
                    raise sqlite3.OperationalError("database or disk is full")
                if self.failing:
                    raise sqlite3.OperationalError("disk I/O error")
                self._point()
                self._told(f"db {db.total_changes}")

            real(job, gated)

        return made

    def _point(self) -> None:
        if self._dies():
            self._die()
            raise Killed
