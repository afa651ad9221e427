"""The store's methods, each against the real database."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from calsyncd.core.channels import Channel
from calsyncd.core.model import Event, HistoryRow, Observation, Setting
from calsyncd.core.past import Filter
from calsyncd.core.sync import Bookmark, Changes
from calsyncd.errors import Unavailable
from calsyncd.store import Store

AMY = "amy@example.com"
KEY = "amy@example.com primary"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "calsyncd.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    """A new database, open."""
    async with Store.open(path) as made:
        yield made


def event(name: str, start: float = 100.0, end: float = 200.0, **more: object) -> Event:
    """An event; all its fields can be given."""
    return replace(Event(name, start, end), **more)  # type: ignore[arg-type]


def bookmark(mark: str = "mark1") -> Bookmark:
    """A bookmark that can be told from others by its token."""
    return Bookmark(mark, "fingerprint", "Europe/Paris", 50.5)


def baseline(*events: Event, mark: str = "mark1") -> Changes:
    """The whole window."""
    return Changes(baseline=True, events=events, gone=frozenset(), skipped=(), bookmark=bookmark(mark))


def delta(*events: Event, gone: tuple[str, ...] = (), mark: str = "mark2") -> Changes:
    """What changed."""
    return Changes(baseline=False, events=events, gone=frozenset(gone), skipped=(), bookmark=bookmark(mark))


async def names(store: Store, key: str = KEY, agent: str = AMY) -> set[str]:
    """The ids of a calendar's events."""
    return {found.id for found in await store.events(agent, [key], -1e12, 1e12)}


async def test_an_event_is_read_as_it_was_written(store: Store) -> None:
    """Every field survives, also an all-day event's and one without an answer."""
    full = event("a", 1.25, 2.75, series="s", all_day=True, kind="focusTime", response="accepted", updated="2026")
    plain = event("b", -5.0, 1e10, transparent=True)

    await store.apply(KEY, AMY, baseline(full, plain), 60.5)

    assert sorted(await store.events(AMY, [KEY], -1e12, 1e12), key=lambda found: found.id) == [full, plain]


async def test_a_baseline_replaces_the_whole_window(store: Store) -> None:
    """What a baseline does not name is gone; other calendars are not touched."""
    await store.apply(KEY, AMY, baseline(event("a"), event("b")), 1.0)
    await store.apply("other", AMY, baseline(event("a"), event("z")), 1.0)

    await store.apply(KEY, AMY, baseline(event("b", 7.0, 8.0), event("c")), 2.0)

    assert await names(store) == {"b", "c"}
    assert await names(store, "other") == {"a", "z"}


async def test_an_empty_baseline_empties_the_calendar(store: Store) -> None:
    """Nothing is a window's content too."""
    await store.apply(KEY, AMY, baseline(event("a")), 1.0)

    await store.apply(KEY, AMY, baseline(), 2.0)

    assert await names(store) == set()


async def test_a_delta_changes_what_it_names(store: Store) -> None:
    """A moved event is moved, a new one added, a cancelled one gone, an unknown one ignored; the rest stays."""
    await store.apply(KEY, AMY, baseline(event("a"), event("b"), event("c")), 1.0)

    await store.apply(KEY, AMY, delta(event("a", 300.0, 400.0), event("d"), gone=("b", "never seen")), 2.0)

    found = {each.id: each for each in await store.events(AMY, [KEY], -1e12, 1e12)}
    assert set(found) == {"a", "c", "d"}
    assert (found["a"].start, found["c"].start) == (300.0, 100.0)


async def test_a_deleted_series_takes_its_instances_along(store: Store) -> None:
    """Google names the master only; an instance that the same delta names stays."""
    instances = [event(f"master_{number}", series="master") for number in range(3)]
    await store.apply(KEY, AMY, baseline(*instances, event("x", series="other"), event("y")), 1.0)

    await store.apply(KEY, AMY, delta(event("master_9", series="master"), gone=("master",)), 2.0)

    assert await names(store) == {"x", "y", "master_9"}


async def test_the_bookmark_changes_with_the_events(store: Store) -> None:
    """What is read at a start is what the last finished fetch left."""
    await store.apply(KEY, AMY, baseline(event("a")), 60.5)
    await store.apply(KEY, AMY, delta(event("b"), mark="mark2"), 61.5)

    (found,) = (await store.calendars()).items()

    assert found[0] == KEY
    assert (found[1].bookmark, found[1].synced_at) == (bookmark("mark2"), 61.5)


async def test_a_touch_moves_token_and_time_only(store: Store) -> None:
    """A delta without changes leaves the events alone."""
    await store.apply(KEY, AMY, baseline(event("a")), 60.5)

    await store.touch_calendar(KEY, bookmark("mark3"), 99.5)

    row = (await store.calendars())[KEY]
    assert (row.bookmark.token, row.synced_at) == ("mark3", 99.5)
    assert await names(store) == {"a"}


@pytest.mark.parametrize(
    ("after", "before", "found"),
    [
        (0.0, 1000.0, {"a"}),
        (150.0, 160.0, {"a"}),
        (200.0, 300.0, set()),
        (199.9, 300.0, {"a"}),
        (0.0, 100.0, set()),
        (0.0, 100.1, {"a"}),
    ],
)
async def test_a_window_is_open_at_both_ends(store: Store, after: float, before: float, found: set[str]) -> None:
    """Events that end later than `after` and start earlier than `before`."""
    await store.apply(KEY, AMY, baseline(event("a")), 1.0)

    assert {each.id for each in await store.events(AMY, [KEY], after, before)} == found


async def test_only_the_calendars_asked_for_are_read(store: Store) -> None:
    """A calendar that left the settings decides nothing, nor does another agent's."""
    await store.apply(KEY, AMY, baseline(event("a")), 1.0)
    await store.apply("old", AMY, baseline(event("b")), 1.0)
    await store.apply("bob", "bob@example.com", baseline(event("c")), 1.0)

    assert await names(store) == {"a"}
    assert await names(store, "bob", AMY) == set()


async def test_all_events_come_by_agent_with_their_calendars(store: Store) -> None:
    """In order, for everybody or for one, and only those that touch the window."""
    early, long, late = event("a", 0.0, 10.0), event("b", 5.0, 50.0), event("c", 30.0, 40.0)
    await store.apply(KEY, AMY, baseline(late, long, early), 1.0)
    await store.apply("bob/primary", "bob@example.com", baseline(early), 1.0)

    assert await store.all_events(0.0, 100.0) == {
        AMY: [(KEY, early), (KEY, long), (KEY, late)],
        "bob@example.com": [("bob/primary", early)],
    }
    assert await store.all_events(10.0, 30.0, AMY) == {AMY: [(KEY, long)]}
    assert await store.all_events(0.0, 100.0, "nobody") == {}


async def test_events_are_counted_from_an_instant_on(store: Store) -> None:
    """Those that have ended do not count."""
    await store.apply(KEY, AMY, baseline(event("a", 0.0, 10.0), event("b", 0.0, 20.0), event("c", 30.0, 40.0)), 1.0)

    assert [await store.count_events(KEY, after) for after in (-1.0, 10.0, 39.0, 40.0)] == [3, 2, 1, 0]
    assert await store.count_events("unknown", 0.0) == 0


async def test_calendars_that_left_the_settings_are_forgotten(store: Store) -> None:
    """With their events; those kept stay whole."""
    for key in (KEY, "old", "older"):
        await store.apply(key, AMY, baseline(event("a")), 1.0)

    await store.forget_calendars([KEY, "never seen"])

    assert set(await store.calendars()) == {KEY}
    assert [await store.count_events(key, 0.0) for key in (KEY, "old", "older")] == [1, 0, 0]


async def test_a_channel_is_kept_as_it_now_is(store: Store) -> None:
    """Before its answer, after it, and until it is forgotten."""
    asked = Channel("c1", KEY, "https://x/hook", 1.5)
    opened = Channel("c1", KEY, "https://x/hook", 1.5, "resource", 9.5, 7.5, 2.5)
    other = Channel("c2", KEY, "https://x/hook", 1.5)
    await store.save_channel(asked)
    await store.save_channel(other)
    await store.save_channel(opened)
    assert sorted(await store.channels(), key=lambda channel: channel.id) == [opened, other]

    await store.forget_channel("c1")
    await store.forget_channel("c1")

    assert await store.channels() == [other]


async def test_the_last_observation_counts(store: Store) -> None:
    """Of each user, with or without sub-status and live state."""
    first = Observation(Setting("available"), 1.0)
    last = Observation(Setting("unavailable", "on_a_break"), 2.5, "in_call")
    await store.observe([(1, first), (2, first)])

    await store.observe([(1, last)])

    assert await store.observations() == {1: last, 2: first}


async def test_the_directory_is_replaced_whole(store: Store) -> None:
    """Who has left the company is not found any more."""
    await store.save_directory({1: "a", 2: "b"}, {2: "Asia/Tokyo"})

    await store.save_directory({2: "b2", 3: "c"}, {3: "Europe/Paris"})

    assert await store.directory() == {2: "b2", 3: "c"}
    assert await store.zones() == {3: "Europe/Paris"}


async def test_history_is_in_order_and_ends_at_its_age(store: Store) -> None:
    """By time, then as it was recorded; for one agent or all; what is older than kept goes with the next record."""
    first = HistoryRow(10.0, AMY, "available", "unavailable", "done", "why", "event1", 12, "calsyncd")
    second = replace(first, at=20.0, from_=None, to=None, event=None, late_ms=None)
    third = replace(second, agent="bob@example.com", why="later")
    await store.record([second, third, first], 0.0)
    assert await store.history() == [first, second, third]
    assert await store.history(AMY) == [first, second]
    assert await store.history(since=20.0) == [second, third]
    assert await store.history("nobody") == []

    await store.record([], 20.0)

    assert await store.history() == [second, third]


async def test_history_keeps_its_bounds(store: Store) -> None:
    """Also those of a pause without an end."""
    held = HistoryRow(10.0, AMY, "custom", "unavailable", "done", "a meeting", "event1", 1, "calsyncd")
    held = replace(held, after=9.5, until=20.0, begins=10.0, ends=20.0, substatus="in_training")
    paused = HistoryRow(11.0, AMY, None, None, "paused", "why", None, None, "lena", until=float("inf"))
    await store.record([held, paused], 0.0)

    assert await store.history() == [held, paused]


async def test_the_last_change_of_each_agent_is_recalled(store: Store) -> None:
    """What was left alone is no change; an agent without a change has none."""
    held = HistoryRow(10.0, AMY, "custom", "unavailable", "done", "a meeting", None, 1, "calsyncd")
    seen = replace(held, at=12.0, from_="unavailable", to="available", outcome="seen", actor="aircall")
    left = replace(held, at=13.0, from_="unavailable", to=None, outcome="left_alone")
    await store.record([held, seen, left, replace(left, agent="bob@example.com")], 0.0)

    assert await store.changes_before(None, float("inf")) == [seen]
    assert await store.changes_before(None, 13.0) == [seen]
    assert await store.changes_before(AMY, 12.0) == [held]
    assert await store.changes_before("bob@example.com", 99.0) == []


async def test_everything_is_there_again_after_a_restart(path: Path) -> None:
    """Closing and opening loses nothing."""
    async with Store.open(path) as store:
        await store.apply(KEY, AMY, baseline(event("a")), 1.0)
        await store.ping()

    async with Store.open(path) as store:
        assert store.moved_aside is None
        assert await names(store) == {"a"}


# -- all or nothing --------------------------------------------------------------------------------------------------


async def test_a_fetch_that_cannot_be_kept_leaves_the_old_set_in_force(store: Store) -> None:
    """A refused row takes the whole transaction back, and the next one is not in it."""
    await store.apply(KEY, AMY, baseline(event("a")), 1.0)

    with pytest.raises(Unavailable, match="the database does not answer") as caught:
        await store.apply(KEY, AMY, baseline(event("b"), event(""), mark="mark9"), 2.0)

    assert (caught.value.service, caught.value.code, caught.value.landed) == ("store", "store", False)
    assert await names(store) == {"a"}
    assert (await store.calendars())[KEY].bookmark.token == "mark1"
    await store.apply("other", AMY, baseline(event("c")), 3.0)
    assert await names(store, "other") == {"c"}


@pytest.mark.parametrize("bad", ["\ud800", 2**70])
async def test_what_sqlite_cannot_hold_is_an_error_of_the_store(store: Store, bad: str | int) -> None:
    """Half a character or a huge number from outside breaks one write, not the program."""
    row = HistoryRow(1.0, AMY, None, None, "done", str(bad) if isinstance(bad, str) else "", None, 1, "calsyncd")

    with pytest.raises(Unavailable):
        await store.record([row if isinstance(bad, str) else replace(row, late_ms=bad)], 0.0)

    await store.apply(KEY, AMY, baseline(event("a")), 1.0)
    assert await names(store) == {"a"}


async def test_cancellation_at_any_await_leaves_all_or_nothing(store: Store, path: Path) -> None:
    """Two writers, two hundred cancellations: no half fetch, no open transaction, no writer that hurts the other."""
    chance = random.Random(3)
    done = {"a": "", "b": ""}

    async def write(key: str, token: str) -> None:
        rows = [event(f"{key}{number}", updated=token) for number in range(chance.randrange(1, 30))]
        await store.apply(key, AMY, baseline(*rows, mark=token), 1.0)
        done[key] = token

    cancelled = 0
    for turn in range(400):
        tasks = {key: asyncio.create_task(write(key, f"{turn:04}")) for key in done}
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0)
        if chance.random() < 0.5:
            await asyncio.sleep(chance.random() * 0.002)
        for key in chance.choice([["a"], ["b"], ["a", "b"]]):
            tasks[key].cancel()
        results = await asyncio.gather(*tasks.values(), return_exceptions=True)
        cancelled += sum(isinstance(result, asyncio.CancelledError) for result in results)
        assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
        assert not store._connection.in_transaction
        for key, token in done.items():
            _check_whole(path, key, at_least=token)

    assert cancelled >= 200


@pytest.mark.parametrize("name", ["", "b"])
async def test_who_is_cancelled_while_waiting_for_a_lock_has_written_nothing(
    store: Store, path: Path, name: str
) -> None:
    """The write is over when its task is, and the task ends cancelled, as a shutdown needs it; a failing one too."""
    await store.apply(KEY, AMY, baseline(event("a")), 1.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(store.apply(KEY, AMY, baseline(event(name)), 2.0))
        await asyncio.sleep(0.05)

        task.cancel()
        await asyncio.sleep(0.05)
        held_up = not task.done()
        other.execute("ROLLBACK")

        with pytest.raises(asyncio.CancelledError):
            await task
    assert held_up
    assert not store._connection.in_transaction
    assert await names(store) == {"a"}


def _check_whole(path: Path, key: str, *, at_least: str) -> None:
    """What another process sees of a calendar was written by one transaction."""
    with closing(sqlite3.connect(path, timeout=10)) as db:
        rows = db.execute("SELECT DISTINCT updated FROM events WHERE calendar = ?", (key,)).fetchall()
        token = db.execute("SELECT token FROM calendars WHERE key = ?", (key,)).fetchall()
    assert rows == token
    assert not at_least or token[0][0] >= at_least


async def test_concurrent_calls_do_not_share_a_transaction(store: Store) -> None:
    """Fifty calls at once, every third one refused: the others' work stands whole."""

    async def one(number: int) -> None:
        rows = [event("a"), event("" if number % 3 == 0 else "b")]
        with suppress(Unavailable):
            await store.apply(f"k{number}", AMY, baseline(*rows), 1.0)

    await asyncio.gather(*(one(number) for number in range(50)))

    assert set(await store.calendars()) == {f"k{number}" for number in range(50) if number % 3}


WRITER = """
import asyncio, sys
from pathlib import Path
from calsyncd.core.model import Event
from calsyncd.core.sync import Bookmark, Changes
from calsyncd.store import Store

async def main():
    async with Store.open(Path(sys.argv[1])) as store:
        for number in range(1, 100000):
            token = f"{number:06}"
            events = tuple(Event(f"e{row}", 1.0, 2.0, updated=token) for row in range(40))
            changes = Changes(True, events, frozenset(), (), Bookmark(token, "f", "UTC", 1.0))
            await store.apply("key", "agent", changes, 1.0)
            print(token, flush=True)

asyncio.run(main())
"""


def test_kill_9_loses_nothing_acknowledged(path: Path) -> None:
    """At fifteen random instants of writing: integrity is ok, no fetch is half there, the acknowledged one is."""
    chance = random.Random(5)
    for _ in range(15):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline()]
            lines += [process.stdout.readline() for _ in range(chance.randrange(60))]
            process.kill()
            lines += [line for line in process.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")]

        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        _check_whole(path, "key", at_least=lines[-1].strip().decode())


@pytest.mark.parametrize(
    "body",
    [
        "raise RuntimeError",
        "raise SystemExit(3)",
        "await store.apply('k', 'a', None, 1.0)",
        "await store._connection.execute('no sql')",
        "asyncio.get_running_loop().call_soon(asyncio.current_task().cancel); await asyncio.sleep(9)",
    ],
)
def test_leaving_by_an_exception_lets_the_process_end(path: Path, body: str) -> None:
    """The database's thread keeps no process alive, whatever ended its use."""
    script = f"""
import asyncio, sys
from pathlib import Path
from calsyncd.store import Store
async def main():
    async with Store.open(Path(sys.argv[1])) as store:
        {body}
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script, str(path)], timeout=20, check=False, capture_output=True)

    assert done.returncode in {1, 3}


async def test_the_history_is_read_by_page(store: Store) -> None:
    """In order, by agent, time, outcome and actor, and so many at most."""
    held = HistoryRow(10.0, AMY, "custom", "unavailable", "done", "a meeting", None, 1, "calsyncd")
    seen = replace(held, at=12.0, from_="unavailable", to="available", outcome="seen", actor="aircall")
    left = replace(held, at=13.0, from_="unavailable", to=None, outcome="left_alone")
    other = replace(seen, at=13.0, agent="bob@example.com")
    await store.record([left, other, held, seen], 0.0)

    assert await store.page(Filter(), 9) == [held, seen, left, other]
    assert await store.page(Filter(), 2) == [held, seen]
    assert await store.page(Filter(AMY, since=12.0, until=13.0), 9) == [seen]
    assert await store.page(Filter(outcomes=frozenset({"seen", "left_alone"})), 9) == [seen, left, other]
    assert await store.page(Filter(AMY, outcomes=frozenset({"seen"}), actor="aircall"), 9) == [seen]
    assert await store.page(Filter(actor="'"), 9) == []
