"""The check of a database's every page and row, begun before the settings and the rest of the program are loaded.

It takes as long as the database is large, and leaves the interpreter to others. Nobody holds the state directory yet:
so it counts only for a file that nothing has touched since, and is made again where it cannot be counted on.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from pathlib import Path

DATABASE = "calsyncd.db"
"""Its name in the state directory."""

EARLIEST, LATEST = -62_135_596_800.0, 253_402_300_800.0
"""The years 1 and 10000: a row beyond them, by damage or by hand, is no event that anybody could be told of."""

NONSENSE = """SELECT calendar FROM events WHERE NOT (start <= "end" AND start >= ? AND "end" <= ?)"""

_READ_AT_ONCE = 128 * 1024
"""What Linux reads ahead of a reader by default; of more that is asked for at once it may leave out the rest."""

Stamp = tuple[tuple[int, ...], ...]


class Ahead:
    """The check of the database in `path`, under way in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sound: Stamp | None = None
        # A program that ends before it is asked does not wait for the answer.
        self._thread = threading.Thread(target=self._check, name="database's check", daemon=True)
        self._thread.start()

    def is_sound(self) -> bool:
        """Whether the file was found sound, with no times that no event has, and is what it was then; waits for it."""
        self._thread.join()
        with contextlib.suppress(OSError):
            return self._sound is not None and self._sound == _stamp(self._path)
        return False

    def _check(self) -> None:
        # Whatever is wrong is found again, and said, by whoever may do something about it.
        with contextlib.suppress(sqlite3.Error, UnicodeDecodeError, OSError):
            read_ahead(self._path)
            with contextlib.closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True)) as db:
                sound = is_whole(db) and not has_nonsense(db)
            if sound:
                self._sound = _stamp(self._path)


def read_ahead(path: Path) -> None:
    """Ask the system to read the file into memory from its beginning to its end; return at once.

    The check goes from page to page all over the file. Where nothing of it is in memory, as after a boot, each page
    would be waited for.
    """
    # To close the file would let go of SQLite's locks, were any held yet.
    file = os.open(path, os.O_RDONLY)
    try:
        for begin in range(0, os.fstat(file).st_size, _READ_AT_ONCE):
            os.posix_fadvise(file, begin, _READ_AT_ONCE, os.POSIX_FADV_WILLNEED)
    finally:
        os.close(file)


def is_whole(db: sqlite3.Connection) -> bool:
    """Whether every page, row and index of the file is as it should be."""
    # Not quick_check: it does not compare the tables with their indices.
    return bool(db.execute("PRAGMA integrity_check").fetchone()[0] == "ok")


def has_nonsense(db: sqlite3.Connection) -> bool:
    """Whether a row has times that no event has: somebody has edited it."""
    return bool(db.execute(f"SELECT EXISTS ({NONSENSE})", (EARLIEST, LATEST)).fetchone()[0])


def _stamp(path: Path) -> Stamp:
    """What changes with each change of the database's files."""
    found = []
    for file in (path, path.with_name(f"{path.name}-wal")):
        with contextlib.suppress(FileNotFoundError):
            known = file.stat()
            # SQLite makes an empty log wherever it looks.
            if known.st_size:
                found.append((known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns, known.st_ctime_ns))
    return tuple(found)
