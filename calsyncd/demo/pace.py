"""Time that can be stopped and sped up, told alike to two processes.

Theory. The story's time is a line through (wall, story) with a slope. A change of the slope is announced a moment
before it holds, so that both processes know of it when it does, and read the same time from the same wall clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Self

from calsyncd.clock import SystemClock

NOTICE_SECONDS = 0.05
"""How long before it holds a change is announced."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `wall` on, the story goes on from `story`, `rate` times as fast as the wall clock; 0: it stands still."""

    wall: float
    story: float
    rate: float

    def to_line(self) -> str:
        """As text, to be told to another process."""
        return f"{self.wall!r} {self.story!r} {self.rate!r}\n"

    @classmethod
    def from_line(cls, line: str) -> Self:
        """What `to_line` wrote; ValueError if it is something else."""
        wall, story, rate = (float(word) for word in line.split())
        return cls(wall, story, rate)


class Pace:
    """The story's time. It is the wall clock's until something else is said."""

    def __init__(self) -> None:
        self._stretches = [Stretch(0.0, 0.0, 1.0)]
        self._changed = asyncio.Event()

    def story(self, wall: float) -> float:
        """What time it is in the story when the wall clock shows `wall`."""
        current = self._current(wall)
        return current.story + (wall - current.wall) * current.rate

    def _current(self, wall: float) -> Stretch:
        return next((one for one in reversed(self._stretches) if one.wall <= wall), self._stretches[0])

    def wall(self, story: float) -> float | None:
        """When the story reaches `story`, as far as is known; None while it stands still before that."""
        last = self._stretches[-1]
        if story <= last.story:
            return last.wall
        return last.wall + (story - last.story) / last.rate if last.rate else None

    def now(self) -> float:
        """What time it is in the story: epoch seconds."""
        return self.story(time.time())

    @property
    def rate(self) -> float:
        """How fast the story goes, or is about to go."""
        return self._stretches[-1].rate

    def change(self, rate: float) -> Stretch:
        """Go on at `rate` in a moment; what is to be told to the other process."""
        at = time.time() + NOTICE_SECONDS
        found = Stretch(at, self.story(at), rate)
        self.learn(found)
        return found

    def learn(self, stretch: Stretch) -> None:
        """Take over what another process has said."""
        current = self._current(time.time())
        self._stretches = [*self._stretches[self._stretches.index(current) :], stretch]
        self._changed.set()

    async def sleep(self, seconds: float) -> None:
        """Return when the story has gone on by so many seconds."""
        until = self.now() + seconds
        while self.now() < until:
            self._changed.clear()
            wall = self.wall(until)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), None if wall is None else wall - time.time())


class PacedClock(SystemClock):
    """The daemon's clock in the demo. `touch` whatever waits when the pace has changed."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        super().__init__()

    def now(self) -> float:
        """The story's time."""
        return self._pace.now()

    def step(self) -> float:
        """The story never jumps; that it goes at another pace than the machine's clock is no jump."""
        return 0.0

    def observe_date(self, service: str, date: float) -> None:
        """The sandbox lives by the same story: there is nothing to compare."""

    async def wait(self, until: float | None, wake: asyncio.Event) -> None:
        """Return when the story reaches `until`, when `wake` is set, or after 30 s at most."""
        await self.wait_raw(None if until is None else self._pace.wall(until), wake)
