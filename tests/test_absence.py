"""Since when nobody was there: by the last mark, by a sleep of the machine; and a disk that takes no marks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from calsyncd.absence import MARK_SECONDS, Absence
from calsyncd.clock import NOT_BEFORE, SystemClock
from calsyncd.state import Alive

NOW = 1_795_000_000.0


class Hands:
    """A clock that a test sets. It sleeps for no time at all, so often as `naps` says, and then for ever."""

    def __init__(self) -> None:
        self.t = NOW
        self.slept = 0.0
        self.naps = 0

    def now(self) -> float:
        return self.t

    def credible(self) -> bool:
        return self.t >= NOT_BEFORE

    def asleep(self) -> float:
        return self.slept

    async def sleep(self, seconds: float) -> None:
        self.t += seconds
        self.naps -= 1
        if self.naps < 0:
            await asyncio.get_running_loop().create_future()


class Told:
    """What was told of absences."""

    def __init__(self) -> None:
        self.absences: list[tuple[str, float, float]] = []
        self.backs: list[float] = []

    def began(self, cause: str, away_from: float, away_to: float) -> None:
        self.absences.append((cause, away_from, away_to))

    def set_back(self, now: float) -> None:
        self.backs.append(now)


@pytest.fixture
def clock() -> Hands:
    """The time."""
    return Hands()


@pytest.fixture
def told() -> Told:
    """What was told."""
    return Told()


@pytest.fixture
def absence(clock: Hands, told: Told, tmp_path: Path) -> Absence:
    """The daemon's, in a state directory of its own."""
    return Absence(clock, Alive(tmp_path), told)


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    """What is logged."""
    with capture_logs() as captured:
        yield captured


async def lives(absence: Absence, clock: Hands, marks: int) -> None:
    """Let the daemon mark so often that it lives."""
    clock.naps = marks - 1
    living = asyncio.create_task(absence.live())
    async with asyncio.timeout(10):
        while clock.naps >= 0:
            await asyncio.sleep(0.001)
    living.cancel()
    await asyncio.gather(living, return_exceptions=True)


def test_a_first_start_is_no_absence(absence: Absence, told: Told, logs: list[EventDict]) -> None:
    """Nothing is told where there was nothing before."""
    absence.look_back([NOW - 100])

    assert (told.absences, logs) == ([], [])


async def test_an_absence_is_from_the_last_mark_to_now(absence: Absence, clock: Hands, told: Told) -> None:
    """After a crash from the last pulse on, or from what the ledger shows later; after a stop from its end on."""
    await lives(absence, clock, 3)
    last_pulse = NOW + 2 * MARK_SECONDS
    clock.t = NOW + 500
    absence.look_back([])
    absence.look_back([last_pulse + 2, NOW + 501])
    await absence.end()
    clock.t = NOW + 700
    absence.look_back([last_pulse + 2])

    assert told.absences == [
        ("stopped", last_pulse, NOW + 500),
        ("stopped", last_pulse + 2, NOW + 500),
        ("stopped", NOW + 500, NOW + 700),
    ]


async def test_a_clock_that_was_set_back(absence: Absence, clock: Hands, told: Told, logs: list[EventDict]) -> None:
    """Nobody knows how long it was; that is said, and the next start knows again."""
    await lives(absence, clock, 1)
    clock.t = NOW - 3600
    absence.look_back([])
    await lives(absence, clock, 1)
    clock.t = NOW - 3000
    absence.look_back([])

    assert [line["action"] for line in logs] == ["outage_unknown"]
    assert "last alive at 2026-11-18T11:06:40Z, and now it is 2026-11-18T10:06:40Z" in logs[0]["event"]
    assert told.absences == [("stopped", NOW - 3600, NOW - 3000)]


async def test_a_clock_without_the_time_marks_nothing(absence: Absence, clock: Hands, tmp_path: Path) -> None:
    """A machine that begins in 1970 does not forget when it was last alive."""
    await lives(absence, clock, 1)
    clock.t = 100.0
    await lives(absence, clock, 2)

    assert Alive(tmp_path).last() == NOW


async def test_a_disk_that_takes_no_marks_is_told_once(
    absence: Absence, clock: Hands, told: Told, tmp_path: Path, logs: list[EventDict]
) -> None:
    """And again when it fails anew; nothing stops for it, the end neither."""
    (tmp_path / "alive").mkdir()
    absence.look_back([])
    await lives(absence, clock, 4)
    await absence.end()
    assert [line["action"] for line in logs] == ["outage_unknown", "alive_failed"]
    (tmp_path / "alive").rmdir()
    await lives(absence, clock, 1)

    assert Alive(tmp_path).last() is not None
    assert told.absences == []


def test_a_sleep_and_a_set_clock_are_told_apart(absence: Absence, clock: Hands, told: Told) -> None:
    """By how long the machine has slept, not by how far the time jumped; a nap is nothing."""
    absence.stepped(NOW + 3600, 3600.0)
    assert told.absences == []
    clock.slept = 300.0
    absence.stepped(NOW + 4000, 300.0)
    assert told.absences == [("slept", NOW + 3700, NOW + 4000)]
    clock.slept = 350.0
    absence.stepped(NOW + 4100, 50.0)
    absence.stepped(NOW, -4100.0)

    assert len(told.absences) == 1
    assert told.backs == [NOW]


def test_the_machine_tells_how_long_it_slept() -> None:
    """It never decreases, and does not count while the machine is awake."""
    clock = SystemClock()
    try:
        first, second = clock.asleep(), clock.asleep()
    finally:
        clock.close()

    assert first >= 0.0
    assert abs(second - first) < 0.1
