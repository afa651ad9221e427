"""The journal: nobody waits for the database, and what it could not take is not lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from calsyncd.clock import SystemClock
from calsyncd.core.model import HistoryRow, Observation, Setting
from calsyncd.core.past import Cursor, Filter
from calsyncd.errors import Unavailable
from calsyncd.journal import MAX_WAITING, Journal
from calsyncd.store import Store

KEEP = 90 * 86400.0


class HastyClock(SystemClock):
    """A clock whose sleeps are noted and short."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0.001)


@pytest.fixture
def clock() -> HastyClock:
    """A clock without long sleeps."""
    made = HastyClock()
    made.close()
    return made


@dataclass
class Shelf:
    """A database that can be out of order at each of its parts."""

    broken: set[str] = field(default_factory=set)
    observed: list[dict[int, Observation]] = field(default_factory=list)
    rows: list[HistoryRow] = field(default_factory=list)
    directories: list[dict[int, str]] = field(default_factory=list)
    zones: list[dict[int, str]] = field(default_factory=list)
    writes: int = 0
    gate: asyncio.Event | None = None

    async def observe(self, seen: Sequence[tuple[int, Observation]]) -> None:
        await self._answer("observe")
        self.observed.append(dict(seen))

    async def record(self, rows: Sequence[HistoryRow], forget_before: float) -> None:
        assert forget_before > 0
        await self._answer("record")
        self.rows += rows

    async def tidy(self, forget_before: float) -> bool:
        await self._answer("tidy")
        old = [row for row in self.rows if row.at < forget_before]
        if old:
            self.rows.remove(old[0])
        return len(old) > 1

    async def history(self, agent: str | None = None, since: float = 0.0) -> list[HistoryRow]:
        return [row for row in self.rows if agent in {None, row.agent} and row.at >= since]

    async def page(self, which: Filter, limit: int) -> list[HistoryRow]:
        return [row for row in self.rows if which.takes(row)][:limit]

    async def save_directory(self, emails: dict[int, str], zones: dict[int, str]) -> None:
        await self._answer("directory")
        self.directories.append(dict(emails))
        self.zones.append(dict(zones))

    async def let_go(self, flush: asyncio.Task[None]) -> None:
        """The write that the gate holds up comes to its end, and so does the flush that waits for it."""
        assert self.gate is not None
        self.gate.set()
        await flush

    async def _answer(self, part: str) -> None:
        self.writes += 1
        if self.gate is not None:
            await self.gate.wait()
        if part in self.broken:
            raise Unavailable("locked", service="store", code="store", landed=False)


def row(number: int) -> HistoryRow:
    """A row that can be told from the others."""
    return HistoryRow(
        float(number), "amy@example.com", "available", "unavailable", "done", "", None, number, "calsyncd"
    )


def seen(status: str, at: float = 1.0) -> Observation:
    """A look's answer."""
    return Observation(Setting(status), at)


async def written(shelf: Shelf, rows: int) -> None:
    """Wait for the background task."""
    async with asyncio.timeout(5):
        while len(shelf.rows) < rows:
            await asyncio.sleep(0.002)


async def test_what_comes_in_a_moment_is_one_batch(clock: HastyClock) -> None:
    """Many observations and rows cost one write of each kind; of an agent's observations the last one counts."""
    shelf = Shelf()
    journal = Journal(shelf, clock, KEEP)
    for number in range(200):
        journal.observed(number % 7, seen("available", number))
        journal.done(row(number))
    journal.listed({1: "amy@example.com"}, {1: "Europe/Paris"})

    writing = asyncio.create_task(journal.run())
    await written(shelf, 200)
    writing.cancel()

    assert shelf.writes == 3
    assert shelf.rows == [row(number) for number in range(200)]
    assert [{number % 7: seen("available", number) for number in range(193, 200)}] == shelf.observed
    assert shelf.directories == [{1: "amy@example.com"}]
    assert shelf.zones == [{1: "Europe/Paris"}]


async def test_history_holds_what_is_still_to_be_written(clock: HastyClock) -> None:
    """Before, while and after it is written, each row once, in order; for one agent, and from an instant on."""
    shelf = Shelf(gate=asyncio.Event())
    journal = Journal(shelf, clock, KEEP)
    for number in (1, 2):
        journal.done(row(number))
    assert await journal.history() == [row(1), row(2)]

    flushing = asyncio.create_task(journal.flush())
    await asyncio.sleep(0)
    journal.done(row(3))
    assert await journal.history() == [row(1), row(2), row(3)]
    assert shelf.gate is not None
    shelf.gate.set()
    await flushing
    assert await journal.history() == [row(1), row(2), row(3)]
    assert await journal.history("amy@example.com", 2.0) == [row(2), row(3)]
    assert await journal.history("nobody@example.com") == []


async def test_pages_hold_what_is_still_to_be_written(clock: HastyClock, tmp_path: Path) -> None:
    """Each record once, in order, whether it is written, being written or waits; only those asked for."""
    async with Store.open(tmp_path / "calsyncd.db") as store:
        journal = Journal(store, clock, KEEP)
        rows = [replace(row(number), at=clock.now() + number // 2) for number in range(7)]
        told: list[HistoryRow] = []
        cursor = Cursor()
        for number, one in enumerate(rows):
            journal.done(one)
            if number in {2, 4}:
                await journal.flush()
        while page := await journal.page(Filter(), cursor, 2):
            told += page
            for one in page:
                cursor = cursor.past(one)

        assert told == rows
        assert await journal.page(Filter(until=rows[4].at), Cursor(), 9) == rows[:4]
        assert await journal.page(Filter("nobody@example.com"), Cursor(), 9) == []


@pytest.mark.parametrize("part", ["observe", "record", "directory"])
async def test_what_could_not_be_written_is_written_later(clock: HastyClock, part: str) -> None:
    """Whichever write fails, nothing is lost, doubled, or out of order once the database answers again."""
    shelf = Shelf(broken={part})
    journal = Journal(shelf, clock, KEEP)
    journal.observed(1, seen("available"))
    journal.observed(2, seen("available"))
    journal.done(row(1))
    journal.listed({1: "old"}, {})
    with pytest.raises(Unavailable):
        await journal.flush()
    journal.observed(1, seen("custom"))
    journal.done(row(2))

    shelf.broken.clear()
    await journal.flush()

    merged = {user: at for batch in shelf.observed for user, at in batch.items()}
    assert merged == {1: seen("custom"), 2: seen("available")}
    assert shelf.rows == [row(1), row(2)]
    assert shelf.directories == [{1: "old"}]


async def test_the_newer_list_wins_over_one_that_could_not_be_written(clock: HastyClock) -> None:
    """A list that came while an older one failed is not overwritten by it."""
    shelf = Shelf(broken={"directory"}, gate=asyncio.Event())
    journal = Journal(shelf, clock, KEEP)
    journal.listed({1: "old"}, {})
    failing = asyncio.create_task(journal.flush())
    await asyncio.sleep(0)
    journal.listed({2: "new"}, {})
    with pytest.raises(Unavailable):
        await shelf.let_go(failing)

    shelf.broken.clear()
    await journal.flush()

    assert shelf.directories == [{2: "new"}]


async def test_an_outage_is_waited_out_without_a_storm(clock: HastyClock) -> None:
    """The task goes on by itself: a pause after each failure, and all the rows at the end."""
    shelf = Shelf(broken={"record"})
    journal = Journal(shelf, clock, KEEP)
    writing = asyncio.create_task(journal.run())
    for number in range(5):
        journal.done(row(number))
        await asyncio.sleep(0.01)
    tried = shelf.writes
    assert clock.slept.count(5.0) >= tried - 1

    shelf.broken.clear()
    await written(shelf, 5)
    writing.cancel()

    assert shelf.rows == [row(number) for number in range(5)]


@pytest.mark.parametrize("during", [0, 500, MAX_WAITING + 10])
async def test_a_long_outage_keeps_the_newest_rows(clock: HastyClock, during: int) -> None:
    """Memory is bounded; when it is full the oldest rows go, also those that a failed write had in hand."""
    shelf = Shelf(broken={"record"}, gate=asyncio.Event())
    journal = Journal(shelf, clock, KEEP)
    for number in range(MAX_WAITING + 100):
        journal.done(row(number))
    failing = asyncio.create_task(journal.flush())
    await asyncio.sleep(0)
    for number in range(MAX_WAITING + 100, MAX_WAITING + 100 + during):
        journal.done(row(number))
    with pytest.raises(Unavailable):
        await shelf.let_go(failing)

    shelf.broken.clear()
    await journal.flush()

    assert shelf.rows == [row(number) for number in range(100 + during, MAX_WAITING + 100 + during)]


async def test_it_writes_into_the_real_database(clock: HastyClock, tmp_path: Path) -> None:
    """What was journalled is found in the store, and history older than is kept is let go."""
    now = clock.now()
    fresh = HistoryRow(now, "amy@example.com", None, None, "done", "why", None, None, "calsyncd")
    old = HistoryRow(now - KEEP - 60, "amy@example.com", None, None, "done", "why", None, None, "calsyncd")
    async with Store.open(tmp_path / "db") as store:
        journal = Journal(store, clock, KEEP)
        journal.observed(456, seen("custom"))
        journal.done(old)
        journal.done(fresh)
        journal.listed({456: "amy@example.com"}, {})

        await journal.flush()

        assert await store.history() == [fresh]
        assert await store.observations() == {456: seen("custom")}
        assert await store.directory() == {456: "amy@example.com"}


async def test_what_is_kept_for_long_enough_goes_without_anything_new(clock: HastyClock) -> None:
    """Piece by piece, until nothing is older."""
    shelf = Shelf()
    journal = Journal(shelf, clock, KEEP)
    shelf.rows = [replace(row(number), at=clock.now() - KEEP - 5 + 2 * number) for number in range(6)]

    await journal.tidy()

    assert [one.at > clock.now() - KEEP - 1 for one in shelf.rows] == [True] * 3
