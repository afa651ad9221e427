"""Garbage is collected, and nothing that lives is looked at again and again."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator, Iterator

import pytest

from calsyncd import garbage
from calsyncd.clock import SystemClock
from calsyncd.garbage import LONG_SECONDS, Garbage


class Cycle:
    """What only a collection frees."""

    def __init__(self) -> None:
        self.itself = self


class TurningClock(SystemClock):
    """A clock on which a second is a turn of the loop, and a collection takes `took` seconds; it begins at an hour."""

    seconds = 0
    took = 0.0
    _passed = 0.0

    def monotonic(self) -> float:
        """Later by `took` whenever it is asked."""
        self._passed += self.took
        return self._passed

    def now(self) -> float:
        """Of no day."""
        return 3600.0 * 1000 + self.seconds

    async def sleep(self, seconds: float) -> None:
        """Pass at once."""
        self.seconds += int(seconds)
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """What these tests do to the process is undone."""
    yield
    gc.enable()
    gc.unfreeze()
    gc.collect()


@contextlib.asynccontextmanager
async def kept() -> AsyncIterator[TurningClock]:
    """A process whose garbage is kept."""
    clock = TurningClock()
    task = asyncio.create_task(Garbage(clock).keep())
    await asyncio.sleep(0)
    try:
        yield clock
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        clock.close()


async def pass_seconds(clock: TurningClock, seconds: int) -> None:
    """Return when so many have passed."""
    until = clock.seconds + seconds
    while clock.seconds < until:
        await asyncio.sleep(0)


async def test_nothing_is_collected_before_the_start_is_over() -> None:
    """Neither by itself nor what was made until then: that lives."""
    garbage.hold()
    assert not gc.isenabled()

    async with kept():
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    assert not [one for one in gc.callbacks if isinstance(getattr(one, "__self__", None), Garbage)]


async def test_what_is_new_is_looked_at_every_second() -> None:
    """As many things let go of as are made count as nothing for Python: they must not pile up all the same."""
    agents = [Cycle() for _ in range(2000)]
    async with kept() as clock:
        gc.disable()
        for number in range(len(agents)):
            agents[number] = Cycle()
        piled = len(gc.get_objects(0))
        await pass_seconds(clock, 2)

        assert piled > len(agents)
        assert len(gc.get_objects(0)) < len(agents)


async def test_garbage_goes_within_seconds_and_all_of_it_within_an_hour() -> None:
    """Also what was frozen while it lived."""
    new, old = Cycle(), Cycle()
    async with kept() as clock:
        gone = weakref.ref(new)
        del new
        other = Cycle()
        other_gone = weakref.ref(other)
        del other
        await pass_seconds(clock, 2)
        assert other_gone() is None
        # It is a part of what the start has left.
        assert gone() is not None

        old_gone = weakref.ref(old)
        del old
        await pass_seconds(clock, 140)
        assert old_gone() is not None
        await pass_seconds(clock, 10)
        assert gone() is None
        assert old_gone() is None


async def test_what_took_long_to_look_at_is_not_looked_at_again() -> None:
    """It is out of the way after one collection; what is looked at in no time is not worth it."""
    async with kept() as clock:
        before = gc.get_freeze_count()
        living = [Cycle() for _ in range(1000)]
        gc.collect()
        assert gc.get_freeze_count() == before

        clock.took = 2 * LONG_SECONDS
        gc.collect()
        assert gc.get_freeze_count() >= before + len(living)
