"""What calendars say while the database takes nothing in: it counts at once, and is written as soon as it can be."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from calsyncd.calendars.overlay import TRY_AGAIN_SECONDS, Overlay
from calsyncd.core.model import Event
from calsyncd.core.sync import Bookmark, Changes
from calsyncd.errors import Unavailable
from calsyncd.scheduler import Scheduler
from calsyncd.store import Store
from tests.phones.virtual import VirtualClock

from .diary import AMY, Diary, Shelf

HOUR, DAY = 3600.0, 86400.0
NOW = 1.8e9


@contextlib.asynccontextmanager
async def turning(store: Store, clock: VirtualClock) -> AsyncIterator[Overlay]:
    """What stands before `store`, with a loop whose time is that of `clock`."""
    shelf, scheduler = Shelf(store), Scheduler(clock)
    clock.elsewhere = lambda: shelf.at_work > 0
    overlay = Overlay(scheduler, shelf)
    loop = asyncio.create_task(scheduler.run())
    yield overlay
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Somebody else writes to the database: it may be read, and not written."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as neighbour:
        neighbour.execute("BEGIN IMMEDIATE")
        yield


async def impatient(store: Store) -> None:
    """Have it wait for no lock."""
    await store._connection.execute("PRAGMA busy_timeout = 0")


def drawn(chance: Random, number: int) -> Changes:
    """A delta with changes, one without, or a baseline."""
    baseline = chance.random() < 0.1
    count = chance.choice((0, 1, 3)) if not baseline else 8
    names = chance.sample(range(12), count)
    events = tuple(
        Event(f"e{name}", NOW + 60 * name, NOW + 60 * name + 30, f"s{name % 3}", updated=f"{number}") for name in names
    )
    gone = frozenset() if baseline else frozenset(chance.sample(["e1", "e2", "e3", "s1", "s2", "never"], count // 2))
    return Changes(baseline, events, gone, (), Bookmark(f"mark {number}", "fingerprint", "UTC", NOW))


def taken_in(known: dict[str, Event], changes: Changes) -> dict[str, Event]:
    """The events of a calendar after these changes."""
    if changes.baseline:
        known = {}
    left = {name: event for name, event in known.items() if not {name, event.series} & changes.gone}
    return left | {event.id: event for event in changes.events}


@pytest.mark.parametrize("seed", range(6))
async def test_what_was_told_is_known_whenever_it_can_be_written(tmp_path: Path, seed: int) -> None:
    """However deltas, baselines and locks follow one another, the events are those that Google has told."""
    chance, path, clock = Random(seed), tmp_path / "calsyncd.db", VirtualClock()
    keys = ("amy/one", "amy/two")
    told: dict[str, dict[str, Event]] = {key: {} for key in keys}
    async with Store.open(path) as store, turning(store, clock) as overlay:
        await impatient(store)

        async def known() -> list[tuple[str, str]]:
            found = await overlay.events("amy", keys, 0.0, 3e9)
            return sorted((event.id, event.updated) for event in found)

        def expected() -> list[tuple[str, str]]:
            return sorted((event.id, event.updated) for events in told.values() for event in events.values())

        def of_that_time() -> list[tuple[str, str, str]]:
            found = [(name, event) for name, events in told.items() for event in events.values()]
            return [
                (name, event.id, event.updated)
                for name, event in found
                if event.start < NOW + 600 and event.end > NOW + 120
            ]

        for number in range(150):
            with locked(path) if chance.random() < 0.6 else contextlib.nullcontext():
                key, changes = chance.choice(keys), drawn(chance, number)
                await clock.advance(chance.choice((1.0, TRY_AGAIN_SECONDS)))
                await overlay.apply(key, "amy", changes, NOW)
                told[key] = taken_in(told[key], changes)
                assert await known() == expected()
                rows = (await overlay.all_events(NOW + 120, NOW + 600)).get("amy", [])
                assert sorted(rows, key=lambda row: row[1].start) == rows
                assert sorted((key, event.id, event.updated) for key, event in rows) == sorted(of_that_time())
                for name, events in told.items():
                    assert bool(await overlay.count_events(name, 0.0)) >= bool(events)

        await clock.advance(TRY_AGAIN_SECONDS)
        assert not overlay.failing
        for key in keys:
            mark = Bookmark(f"last of {key}", "fingerprint", "UTC", NOW)
            last = Changes(baseline=False, events=(), gone=frozenset(), skipped=(), bookmark=mark)
            await overlay.apply(key, "amy", last, NOW + 1)
        written = await store.events("amy", keys, 0.0, 3e9)
        assert not overlay.failing
        assert sorted((event.id, event.updated) for event in written) == expected()
        assert {key: row.bookmark.token for key, row in (await store.calendars()).items()} == {
            key: f"last of {key}" for key in keys
        }


async def test_a_locked_database_is_tried_twice_a_minute(tmp_path: Path) -> None:
    """Each write that waits for a lock would keep the calendars behind it waiting; all is written once it is open."""
    path, clock = tmp_path / "calsyncd.db", VirtualClock()
    async with Store.open(path) as store, turning(store, clock) as overlay:
        await impatient(store)
        with locked(path), capture_logs() as said:
            for second in range(61):
                await overlay.apply(f"k{second}", "amy", drawn(Random(3), 0), NOW)
                await clock.advance(1.0)
        tried = [line for line in said if line["action"] == "store_failed"]
        await clock.advance(TRY_AGAIN_SECONDS)

        assert len(tried) == 3
        assert {key: row.synced_at for key, row in (await store.calendars()).items()} == {
            f"k{second}": NOW for second in range(61)
        }


async def test_a_clock_that_is_set_back_delays_no_write(tmp_path: Path) -> None:
    """What waits is tried again at once."""
    path, clock = tmp_path / "calsyncd.db", VirtualClock()
    async with Store.open(path) as store, turning(store, clock) as overlay:
        await impatient(store)
        with locked(path):
            await overlay.apply("k1", "amy", drawn(Random(3), 0), NOW)
        clock.jump(-8 * HOUR)
        await clock.advance(1.0)

        assert list(await store.calendars()) == ["k1"]


async def test_what_is_dropped_while_it_is_written_is_kept_no_longer(tmp_path: Path) -> None:
    """Somebody may be forgotten in that very moment: their meetings stay neither in memory nor for a later write."""
    path, clock = tmp_path / "calsyncd.db", VirtualClock()
    async with Store.open(path) as store, turning(store, clock) as overlay:
        with locked(path):
            await store._connection.execute("PRAGMA busy_timeout = 200")
            writing = asyncio.create_task(overlay.apply("k1", "amy", drawn(Random(3), 0), NOW))
            await asyncio.sleep(0.05)
            overlay.drop("k1")
            await writing
            assert overlay.failing
        await clock.advance(TRY_AGAIN_SECONDS)

        assert await overlay.all_events(0.0, 3e9) == {}
        assert await store.calendars() == {}


async def test_what_is_told_while_the_former_is_written_is_written_too(tmp_path: Path) -> None:
    """A write that ends takes nothing away that came after it had begun."""
    path, clock = tmp_path / "calsyncd.db", VirtualClock()
    first, second = (
        replace(drawn(Random(3), 0), baseline=False, events=(Event(name, NOW, NOW + 60, "s"),), gone=frozenset())
        for name in ("one", "two")
    )
    async with Store.open(path) as store, turning(store, clock) as overlay:
        await asyncio.gather(overlay.apply("k1", "amy", first, NOW), overlay.apply("k1", "amy", second, NOW + 1))

        assert [event.id for event in await store.events("amy", ["k1"], 0.0, 3e9)] == ["one", "two"]
        assert (await store.calendars())["k1"].synced_at == NOW + 1


async def test_a_meeting_that_is_extended_while_nothing_can_be_written(tmp_path: Path) -> None:
    """It counts in seconds; the next process knows it, too, once it could be written."""
    path = tmp_path / "calsyncd.db"
    async with Diary(tmp_path) as diary:
        await impatient(diary.shelf.store)
        diary.event("primary", "m1", -60, 600)
        diary.event("primary", "m2", 1200, 2400)
        diary.follow(AMY)
        await diary.a_while(5)
        with locked(path):
            diary.event("primary", "m1", -60, HOUR)
            diary.cancel("primary", "m2")
            await diary.a_while(900)
            extended = diary.busy()
            diary.event("primary", "m3", HOUR, 2 * HOUR)
            await diary.a_while(HOUR + 300)
            added = diary.busy()
            trouble = diary.syncer.of_agent(AMY)[0].trouble
        await diary.a_while(600)

        assert (extended, added, trouble) == (True, True, None)
        written = await diary.shelf.store.events(AMY, [f"{AMY}/primary"], 0.0, 3e9)
        assert sorted(event.id for event in written) == ["m1", "m3"]


async def test_who_is_followed_no_more_is_not_written_later(tmp_path: Path) -> None:
    """What was kept in memory goes with the calendar."""
    path = tmp_path / "calsyncd.db"
    async with Diary(tmp_path) as diary:
        await impatient(diary.shelf.store)
        with locked(path):
            diary.event("primary", "m1", -60, 600)
            diary.follow(AMY)
            await diary.a_while(5)
            assert diary.busy()
            diary.follow()
            await diary.a_while(5)
        diary.google.events.clear()
        diary.follow(AMY)
        await diary.a_while(600)

        assert await diary.shelf.store.events(AMY, [f"{AMY}/primary"], 0.0, 3e9) == []
        assert not diary.busy()


@pytest.mark.parametrize(("horizon", "whole"), [(14 * DAY, False), (4 * DAY, True)])
async def test_calendars_are_not_read_whole_while_all_of_it_would_stay_in_memory(
    tmp_path: Path, horizon: float, *, whole: bool
) -> None:
    """Unless what is known would not reach far enough any more."""
    async with Diary(tmp_path, horizon=horizon) as diary:
        await impatient(diary.shelf.store)
        diary.follow(AMY)
        await diary.a_while(5)
        with locked(tmp_path / "calsyncd.db"):
            before = len(diary.google.lists)
            await diary.a_while(2 * DAY)
            baselines = [query for _, _, query in diary.google.lists[before:] if "timeMin" in query]
            reads = len(diary.google.lists) - before
        assert bool(baselines) is whole
        assert reads < 2 * DAY / 100
        before = len(diary.google.lists)
        await diary.a_while(DAY)
        assert [query for _, _, query in diary.google.lists[before:] if "timeMin" in query]


async def test_a_database_that_is_damaged_while_it_is_used(tmp_path: Path) -> None:
    """Nothing can be read of it, nor written: what Google tells is read whole, and counts in seconds."""
    path = tmp_path / "calsyncd.db"
    async with Diary(tmp_path) as diary:
        diary.event("primary", "m1", -60, 600)
        diary.event("team", "t1", 1200, 1800)
        diary.follow(AMY, calendars=("primary", "team"))
        await diary.a_while(5)
        for what in ("wal_checkpoint(TRUNCATE)", "shrink_memory", "cache_size = 1"):
            await diary.shelf.store._connection.execute(f"PRAGMA {what}")
        raw = path.read_bytes()
        path.write_bytes(raw[:4096] + b"\xa5" * (len(raw) - 4096))
        diary.event("primary", "m1", -60, HOUR)
        diary.cancel("team", "t1")
        diary.event("team", "t2", HOUR, 2 * HOUR)
        await diary.a_while(1500)
        extended, reads = diary.busy(), len(diary.google.lists)
        await diary.a_while(HOUR)

        with pytest.raises(Unavailable):
            await diary.shelf.store.events(AMY, [f"{AMY}/team"], 0.0, 3e9)
        assert (extended, diary.busy(), diary.told[AMY][1]) == (True, True, True)
        assert len(diary.google.lists) - reads <= 2 * HOUR / 100, "no oftener than ever"


async def test_a_database_that_can_be_written_and_not_be_read(tmp_path: Path) -> None:
    """All is kept in memory while it lasts, without asking Google any oftener; then deltas will do again."""
    async with Diary(tmp_path) as diary:
        diary.event("primary", "m1", -60, 600)
        diary.follow(AMY)
        await diary.a_while(5)
        events = diary.shelf.events

        async def fails(*_: object) -> list[Event]:
            raise Unavailable("malformed", service="store", code="store")

        diary.shelf.events = fails  # type: ignore[assignment]
        before = len(diary.google.lists)
        diary.event("primary", "m1", -60, HOUR)
        await diary.a_while(1800)
        extended, reads = diary.busy(), len(diary.google.lists) - before
        diary.shelf.events = events  # type: ignore[method-assign]
        diary.event("primary", "m1", -1800, 2 * HOUR)
        await diary.a_while(300)
        before = len(diary.google.lists)
        await diary.a_while(HOUR)

        assert (extended, diary.busy()) == (True, True)
        assert reads <= 1800 / 100 + 1
        assert [query for _, _, query in diary.google.lists[before:] if "timeMin" in query] == []


async def test_an_empty_calendar_while_nothing_can_be_read(tmp_path: Path) -> None:
    """Whether events were known in it cannot be told: that it is empty counts once Google has said it twice."""
    async with Diary(tmp_path) as diary:
        diary.event("primary", "m1", -60, 600)
        diary.follow(AMY, calendars=("primary", "team"))
        await diary.a_while(5)

        async def fails(*_: object) -> Any:
            raise Unavailable("malformed", service="store", code="store")

        diary.shelf.events = diary.shelf.count_events = fails  # type: ignore[method-assign,assignment]
        diary.event("primary", "m1", -60, HOUR)
        await diary.a_while(900)
        asked = [query for _, calendar, query in diary.google.lists if calendar == "team" and "timeMin" in query]

        assert diary.busy()
        assert len(asked) <= 4, "at the start, and until it was said twice"


async def test_what_was_read_before_does_not_come_after_what_was_read_later(tmp_path: Path) -> None:
    """One answer of the database takes a minute; a meeting is cancelled meanwhile, and stays so."""
    async with Diary(tmp_path) as diary:
        diary.event("primary", "m1", -60, HOUR)
        diary.follow(AMY)
        await diary.a_while(5)
        events, slow = diary.shelf.events, [60.0]

        async def slowly(*what: Any) -> list[Event]:
            found = await events(*what)
            if slow:
                await diary.clock.sleep(slow.pop())
            return found

        diary.shelf.events = slowly  # type: ignore[method-assign,assignment]
        before = asyncio.create_task(diary.syncer.retold(AMY))
        await diary.a_while(1)
        diary.cancel("primary", "m1")
        diary.syncer.fetch(AMY)
        await diary.a_while(30)
        cancelled = diary.busy()
        await diary.a_while(40)

        assert before.done()
        assert (cancelled, diary.busy()) == (False, False)
