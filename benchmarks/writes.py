"""Batches of events into the database: the store beside sqlite3 itself."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path

from benchmarks.figures import Bench, Figure, Goal, Measured, percentile
from calsyncd.core.model import Event
from calsyncd.core.sync import Bookmark, Changes
from calsyncd.store import Store
from calsyncd.store.connection import insert
from calsyncd.store.store import event_row

SIZES = (10, 100, 1000, 5000)
BATCH = 100
BATCH_SHARE = 0.7
ONE_SHARE = 0.6
"""A single event is no batch: of its write the way to the thread and back is a good part."""

AT_LEAST = 5
CALENDARS = 4
TICK_SECONDS = 0.001

Way = Callable[[sqlite3.Connection, list[tuple[object, ...]]], None]

TITLE = "Batched event writes"
HOW = f"""\
A calendar's whole window is put in force: the old events go, the new ones come, with the bookmark, all or nothing. The
store does it from the event loop through one journey to its thread. Calendars come one after the other, or
{CALENDARS} at once, as their answers do when many are read: the store commits together what waits for its thread. The
limit is sqlite3 itself without a thread, with the same tables, pragmas and statements, and the same calendars to a
commit; rows are written once by `executemany` and once many to a statement, and the faster of the two counts. Both
sides write in turns; what counts is the median of the shares. Of one event's write, and of ten events', the way to the
thread and back is a good part: the goal for batches is for those of a hundred and more. Beside it stands how late the
event loop's turns are while batches of 5,000 are written one after the other, and while nothing is."""


async def measure(bench: Bench) -> Measured:
    """Write batches of each size."""
    async with Store.open(bench.folder / "ours.db") as store, Store.open(bench.folder / "bare.db"):
        with contextlib.closing(_bare(bench.folder / "bare.db")) as db:
            figures = [
                await _compare(store, db, _baseline(size), bench.scale.writes, at_once)
                for at_once, sizes in ((1, (1, *SIZES)), (CALENDARS, SIZES))
                for size in sizes
            ]
        stall = await _stall(store, _baseline(SIZES[-1]), bench.scale.writes)
    return Measured("writes", TITLE, HOW, (*figures, stall))


async def _compare(store: Store, db: sqlite3.Connection, changes: Changes, seconds: float, at_once: int) -> Figure:
    size = len(changes.events)
    ours: list[float] = []
    bares: dict[Way, list[float]] = {_one_by_one: [], _many_at_a_time: []}
    names = cycle(f"agent{number}@example.com/primary" for number in range(CALENDARS))
    until = time.perf_counter() + seconds
    while len(ours) < AT_LEAST or time.perf_counter() < until:
        keys = list(islice(names, at_once))
        began = time.perf_counter()
        await asyncio.gather(*(store.apply(key, "agent@example.com", changes, 1.0) for key in keys))
        ours.append(time.perf_counter() - began)
        for way, times in bares.items():
            times.append(_direct(db, keys, changes, way))
    least = min(bares.values(), key=statistics.median)
    what = f"{size:,} event{'s' if size > 1 else ''}"
    together = f", {at_once} at once" if at_once > 1 else ""
    return Figure(
        f"{what} a batch{together}",
        f"{what}{together}",
        at_once * size / statistics.median(ours),
        "/s",
        at_once * size / statistics.median(least),
        "sqlite3 itself",
        _goal(size),
        statistics.median(bare / our for bare, our in zip(least, ours, strict=True)),
    )


def _goal(size: int) -> Goal | None:
    if size == 1:
        return Goal("share", "at least", ONE_SHARE)
    return Goal("share", "at least", BATCH_SHARE) if size >= BATCH else None


async def _stall(store: Store, changes: Changes, seconds: float) -> Figure:
    """How late the loop's turns are while a batch is written, and while none is."""
    idle = await _late_turns(asyncio.create_task(asyncio.sleep(seconds / 2)))

    async def write() -> None:
        until = time.perf_counter() + seconds / 2
        while time.perf_counter() < until:
            await store.apply("stalled/primary", "agent@example.com", changes, 1.0)

    busy = await _late_turns(asyncio.create_task(write()))
    return Figure(
        "the loop's turns late, p99",
        "turns",
        percentile(busy, 99) * 1e3,
        "ms",
        percentile(idle, 99) * 1e3,
        "the same loop with nothing to do",
    )


async def _late_turns(beside_it: asyncio.Task[None]) -> list[float]:
    late = []
    while not beside_it.done():
        began = time.perf_counter()
        await asyncio.sleep(TICK_SECONDS)
        late.append(time.perf_counter() - began - TICK_SECONDS)
    await beside_it
    return late


def _baseline(size: int) -> Changes:
    """A calendar's window as Google's answer would be taken in."""
    events = tuple(
        Event(
            f"{number:06}0q7lr5h2jkb8c9d6e1f3g",
            1.8e9 + number * 1800,
            1.8e9 + number * 1800 + 1500,
            response="accepted",
            updated="2026-01-01T00:00:00.000Z",
        )
        for number in range(size)
    )
    return Changes(
        baseline=True, events=events, gone=frozenset(), skipped=(), bookmark=Bookmark("t" * 40, "f" * 16, "UTC", 1.0)
    )


def _bare(path: Path) -> sqlite3.Connection:
    """sqlite3 itself on a database with the same tables and pragmas as the store's."""
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in ("synchronous = FULL", "foreign_keys = ON", "temp_store = MEMORY"):
        db.execute(f"PRAGMA {pragma}")
    return db


def _direct(db: sqlite3.Connection, keys: Sequence[str], changes: Changes, way: Way) -> float:
    """Seconds for the same transaction as the store's."""
    began = time.perf_counter()
    mark = changes.bookmark
    db.execute("BEGIN IMMEDIATE")
    for key in keys:
        db.execute(
            "INSERT INTO calendars VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET"
            " agent = excluded.agent, token = excluded.token, fingerprint = excluded.fingerprint,"
            " time_zone = excluded.time_zone, baseline_at = excluded.baseline_at, synced_at = excluded.synced_at",
            (key, "agent@example.com", mark.token, mark.fingerprint, mark.time_zone, mark.baseline_at, 1.0),
        )
        db.execute("DELETE FROM events WHERE calendar = ?", (key,))
        way(db, [event_row(key, "agent@example.com", event) for event in changes.events])
    db.execute("COMMIT")
    return time.perf_counter() - began


def _one_by_one(db: sqlite3.Connection, rows: list[tuple[object, ...]]) -> None:
    marks = ", ".join("?" * len(rows[0]))
    db.executemany(f"INSERT OR REPLACE INTO events VALUES ({marks})", rows)  # noqa: S608 - marks only


def _many_at_a_time(db: sqlite3.Connection, rows: list[tuple[object, ...]]) -> None:
    insert(db, "INSERT OR REPLACE INTO events", rows)
