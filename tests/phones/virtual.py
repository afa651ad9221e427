"""Time that passes only when a test lets it: hours in milliseconds, and the same every time."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

SLICE_SECONDS = 30.0
SHORTEST_WAIT_SECONDS = 0.001
TURNS_IN_NO_TIME = 5_000


class VirtualClock:
    """A `calsyncd.clock.Clock` that a test moves."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._passed = 0.0
        self._offset = now
        self._jump = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0
        self._waits: set[asyncio.Future[None]] = set()
        self.elsewhere: Callable[[], bool] = lambda: False

    def now(self) -> float:
        """Epoch seconds."""
        return self._offset + self._passed

    def monotonic(self) -> float:
        """Seconds that never jump."""
        return self._passed

    def step(self) -> float:
        """By how much the time has jumped since this was last asked."""
        jump, self._jump = self._jump, 0.0
        return jump

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this time."""
        await self._sleeper(seconds)

    async def wait(self, until: float | None, wake: asyncio.Event) -> None:
        """Return at `until`, when `wake` is set, at a jump, or after a slice."""
        if wake.is_set():
            return
        seconds = SLICE_SECONDS if until is None else min(until - self.now(), SLICE_SECONDS)
        timer = self._sleeper(max(seconds, SHORTEST_WAIT_SECONDS))
        self._waits.add(timer)
        woken = asyncio.ensure_future(wake.wait())
        try:
            await asyncio.wait((timer, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waits.discard(timer)
            timer.cancel()
            woken.cancel()

    def _sleeper(self, seconds: float) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._passed + max(seconds, 0.0), self._count, future))
        return future

    # -- for tests -------------------------------------------------------------------------------------------------

    def jump(self, seconds: float) -> None:
        """Somebody sets the clock."""
        self._offset += seconds
        self._jump += seconds
        for timer in self._waits:
            if not timer.done():
                timer.set_result(None)

    async def settle(self) -> None:
        """Let everything run that needs no time to pass."""
        ready = getattr(asyncio.get_running_loop(), "_ready")  # noqa: B009 - nothing public says it
        for _ in range(TURNS_IN_NO_TIME):
            await asyncio.sleep(0)
            if self.elsewhere():
                await asyncio.sleep(0.0002)
            elif not ready:
                return
        raise AssertionError("the loop runs without end while no time passes")

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        end = self._passed + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, future = heapq.heappop(self._sleepers)
            if future.done():
                continue
            self._passed = max(self._passed, at)
            future.set_result(None)
            await self.settle()
        self._passed = end
