"""An event loop whose time passes only when nobody has anything to do: a day in seconds, the same each time."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from collections.abc import Coroutine
from typing import Any

RESOLUTION_SECONDS = 1e-6


class _Idle(selectors.SelectSelector):
    """Instead of sleeping it lets the loop's time pass."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now: nothing outside of this process ever is."""
        if timeout is None:
            raise RuntimeError("everybody waits, and for nothing that time brings")
        self.loop.passed += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; `passed` is its time."""

    def __init__(self) -> None:
        idle = _Idle()
        super().__init__(idle)
        idle.loop = self
        self.passed = 0.0
        self._clock_resolution = RESOLUTION_SECONDS

    def time(self) -> float:
        """Seconds since it began."""
        return self.passed


class VirtualClock:
    """A `calsyncd.clock.Clock` of such a loop, which begins at `opened`, epoch seconds."""

    def __init__(self, loop: VirtualLoop, opened: float) -> None:
        self._loop = loop
        self._opened = opened

    def now(self) -> float:
        """Epoch seconds."""
        return self._opened + self._loop.passed

    def monotonic(self) -> float:
        """Seconds since it began."""
        return self._loop.passed

    def step(self) -> float:
        """It never jumps."""
        return 0.0

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this time."""
        await asyncio.sleep(seconds)

    async def wait(self, until: float | None, wake: asyncio.Event) -> None:
        """Return at `until`, or when `wake` is set."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if until is None else max(0.0, until - self.now())):
                await wake.wait()


def play(loop: VirtualLoop, work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end, and nothing after it."""
    try:
        loop.run_until_complete(work)
    finally:
        loop.run_until_complete(_cancel_all())
        loop.close()


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
