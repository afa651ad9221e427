"""Sees a database from outside: says when another process's transaction became visible, and for which calendars.

Run by `benchmarks.notifications` with the database's path. SQLite in WAL mode with synchronous=FULL lets nobody see a
transaction before it is synced, so what is seen here is on disk.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

from benchmarks.processes import say

PAUSE_SECONDS = 0.0001
OVERLAP_SECONDS = 30.0
"""No read takes longer from its beginning, which is what is written, to its commit."""


def main() -> None:
    """Say `[seen at, calendar]` for each calendar whose last read changed, until killed."""
    path = Path(sys.argv[1]).resolve()
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)) as db:
        known: dict[str, float] = dict(db.execute("SELECT key, synced_at FROM calendars"))
        version = None
        say("ready")
        while True:
            now = db.execute("PRAGMA data_version").fetchone()
            if now != version:
                version = now
                # Of ten thousand calendars only those are looked at that may be new.
                since = max(known.values(), default=0.0) - OVERLAP_SECONDS
                fresh: dict[str, float] = dict(
                    db.execute("SELECT key, synced_at FROM calendars WHERE synced_at > ?", (since,))
                )
                seen = time.time()
                for key, synced_at in fresh.items():
                    if synced_at != known.get(key):
                        say([seen, key])
                known |= fresh
            time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
