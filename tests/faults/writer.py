"""Writes to a database and a ledger, as a process of its own that may be killed: what it prints is on disk.

Arguments: the folder, and how often it writes to both.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from calsyncd.core.model import Event
from calsyncd.core.plan import Entry, StandingBack
from calsyncd.core.sync import Bookmark, Changes
from calsyncd.ledger import Ledger
from calsyncd.store import Store

EVENTS = 40
KEY, AGENT = "amy@example.com primary", "amy@example.com"


async def write(folder: Path, times: int) -> None:
    """Write so often, each time all events of a calendar and one line of the ledger."""
    ledger = Ledger(folder / "ledger")
    ledger.load()
    async with Store.open(folder / "calsyncd.db") as store:
        known = await store.calendars()
        first = int(known[KEY].bookmark.token or 0) + 1 if KEY in known else 1
        for number in range(first, first + times):
            token = f"{number:06}"
            events = tuple(Event(f"e{row}", 1.0, 2.0, updated=token) for row in range(EVENTS))
            mark = Bookmark(token, "f", "UTC", 1.0)
            changes = Changes(baseline=True, events=events, gone=frozenset(), skipped=(), bookmark=mark)
            await store.apply(KEY, AGENT, changes, 1.0)
            print(f"store {number}", flush=True)
            await ledger.record(Entry(1, AGENT, StandingBack("override", 1.0, float(number)), 1.0))
            print(f"ledger {number}", flush=True)
    await ledger.close()


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2])))
