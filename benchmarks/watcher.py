"""Sees a database from outside: says when another process's transaction became visible, and for which calendars.

Run by `benchmarks.notifications` with the database's path. SQLite in WAL mode with synchronous=FULL lets nobody see a
transaction before it is synced, so what is seen here is on disk. It is told which calendars have changed, and looks at
no others: to look at all of a large company's at each commit would take longer than the commit.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.processes import say

PAUSE_SECONDS = 0.0001


def main() -> None:
    """Say `[seen at, calendar]` for each calendar that was named and whose last read changed, until killed."""
    path = Path(sys.argv[1]).resolve()
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)) as db:
        known: dict[str, float] = dict(db.execute("SELECT key, synced_at FROM calendars"))
        changed: dict[str, float] = {}
        version = None
        say("ready")
        names = told(sys.stdin.fileno())
        while True:
            changed |= next(names)
            now = db.execute("PRAGMA data_version").fetchone()
            if now != version:
                version = now
                for key, at in list(changed.items()):
                    (synced_at,) = db.execute("SELECT synced_at FROM calendars WHERE key = ?", (key,)).fetchone()
                    if synced_at != known[key]:
                        say([time.time(), key])
                        known[key] = synced_at
                    # A read that began before the change is followed by another.
                    if synced_at >= at:
                        del changed[key]
            time.sleep(PAUSE_SECONDS)


def told(descriptor: int) -> Iterator[dict[str, float]]:
    """What was said since it was last asked: which calendar has changed, and when."""
    os.set_blocking(descriptor, False)
    rest = b""
    while True:
        try:
            rest += os.read(descriptor, 1 << 16)
        except BlockingIOError:
            yield {}
            continue
        *lines, rest = rest.split(b"\n")
        yield dict(json.loads(line) for line in lines)


if __name__ == "__main__":
    main()
