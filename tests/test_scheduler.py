"""The loop that turns at each boundary, and by which time it does."""

from __future__ import annotations

import asyncio

from calsyncd.scheduler import Scheduler

HOUR = 3600.0


class Corrected:
    """A clock that is set right while two services have corrected it by an hour: the step voids the correction."""

    def __init__(self) -> None:
        self.correction = -HOUR

    def now(self) -> float:
        """Epoch seconds."""
        return 1_800_000_000.0 + self.correction

    def monotonic(self) -> float:
        """Seconds that never jump."""
        return 0.0

    def step(self) -> float:
        """What was known of the clock is void; all in all it has not jumped."""
        self.correction = 0.0
        return 0.0

    async def wait(self, until: float | None, wake: asyncio.Event) -> None:  # noqa: ARG002 - its form
        """Until somebody asks for a turn."""
        await wake.wait()

    async def sleep(self, seconds: float) -> None:
        """Not used here."""


async def test_a_turn_goes_by_the_clock_as_it_is_after_a_step() -> None:
    """And not by a correction that the step voids: an hour off, meetings would end or begin by it."""
    clock = Corrected()
    scheduler = Scheduler(clock)
    turned: list[float] = []
    scheduler.after_turn(turned.append)
    running = asyncio.create_task(scheduler.run())
    await asyncio.sleep(0)
    running.cancel()
    assert turned == [1_800_000_000.0]
