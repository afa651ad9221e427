"""Time that can be stopped and sped up."""

from __future__ import annotations

import asyncio
import time

import pytest

from calsyncd.demo.pace import NOTICE_SECONDS, Pace, PacedClock, Stretch


def test_it_is_the_wall_clock_at_first() -> None:
    """To the bit: nothing is early or late by rounding."""
    pace = Pace()

    for wall in (1_795_000_000.123456, time.time()):
        assert (pace.story(wall), pace.wall(wall)) == (wall, wall)


def test_a_change_holds_from_its_instant_on_and_never_jumps() -> None:
    """Before it the story goes on as before; from it on at the new rate, from where it was."""
    pace = Pace()
    pace.learn(Stretch(100.0, 100.0, 10.0))

    assert [pace.story(wall) for wall in (99.0, 100.0, 102.0)] == [99.0, 100.0, 120.0]
    assert pace.wall(120.0) == 102.0
    assert pace.wall(100.0) == 100.0

    pace.learn(Stretch(102.0, 120.0, 0.0))
    assert [pace.story(wall) for wall in (101.0, 102.0, 500.0)] == [110.0, 120.0, 120.0]
    assert pace.wall(121.0) is None


def test_two_processes_read_the_same_time() -> None:
    """What is told as a line is learned without loss."""
    ours, theirs = Pace(), Pace()
    for rate in (3.0, 0.0, 10.0):
        theirs.learn(Stretch.from_line(ours.change(rate).to_line()))
        for wall in (time.time() + ahead for ahead in (0.0, NOTICE_SECONDS, 1.7, 33.3)):
            assert ours.story(wall) == theirs.story(wall)
    assert ours.rate == 10.0


async def test_a_sleep_is_as_long_as_the_story_says() -> None:
    """Ten seconds at a thousand times the pace; and a sleep goes on when time does."""
    pace = Pace()
    pace.change(0.0)
    sleeper = asyncio.create_task(pace.sleep(1000.0))
    await asyncio.sleep(NOTICE_SECONDS * 3)
    assert not sleeper.done()

    pace.change(100_000.0)
    async with asyncio.timeout(5):
        await sleeper


async def test_the_daemons_clock_waits_by_the_story() -> None:
    """Not at all while time stands still, and no longer than it should when it goes fast; never a jump."""
    pace = Pace()
    clock = PacedClock(pace)
    wake = asyncio.Event()
    pace.learn(Stretch(time.time() - 1, 1_795_000_000.0, 0.0))
    waiting = asyncio.create_task(clock.wait(clock.now() + 1, wake))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    wake.set()
    await waiting

    pace.learn(Stretch(time.time(), 1_795_000_000.0, 1000.0))
    target = clock.now() + 100
    async with asyncio.timeout(5):
        while clock.now() < target:
            await clock.wait(target, asyncio.Event())
    assert clock.step() == 0.0
    clock.observe_date("google", 0.0)
    assert clock.skew.correction == 0.0
    clock.close()


@pytest.mark.parametrize("line", ["", "1 2", "1 2 three", "1 2 3 4"])
def test_what_is_no_pace_is_refused(line: str) -> None:
    """A line of something else is an error, not a wrong time."""
    with pytest.raises(ValueError, match=r".+"):
        Stretch.from_line(line)
