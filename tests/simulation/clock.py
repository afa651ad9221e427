"""The machine's clock as the daemon sees it: what passes is the loop's time; it may be set, drift, and sleep."""

from __future__ import annotations

import asyncio

from calsyncd.clock import DATE_TOLERANCE_SECONDS, Skew, SystemClock

from .loop import Loop


class Machine:
    """The clocks of the world and of the machine, epoch seconds: `true` is the world's."""

    def __init__(self, loop: Loop, opened: float) -> None:
        self._loop = loop
        self._opened = opened
        self.slept = 0.0
        self.off = 0.0
        self.drift = 0.0
        self._drift_since = 0.0
        self.waiting: dict[asyncio.Event, None] = {}

    def true(self) -> float:
        """What time it is."""
        return self._opened + self._loop.passed + self.slept

    def shown(self) -> float:
        """What the machine's clock shows."""
        drifted = self.drift * (self._loop.passed - self._drift_since) if self.drift else 0.0
        return self._opened + self._loop.passed + self.slept + self.off + drifted

    @property
    def error(self) -> float:
        """By how much the machine's clock is ahead."""
        return self.shown() - self.true()

    def set_clock(self, off: float) -> None:
        """Somebody sets the clock: it is ahead by `off` seconds now, and goes right."""
        self.off, self.drift = off, 0.0
        self._jumped()

    def go_wrong(self, rate: float) -> None:
        """From now on it gains so many seconds a second."""
        self.off, self.drift, self._drift_since = self.error, rate, self._loop.passed

    def sleep(self, seconds: float) -> None:
        """The machine is suspended and wakes again."""
        self.slept += seconds
        self._jumped()

    def _jumped(self) -> None:
        for event in list(self.waiting):
            event.set()


class SimulatedClock(SystemClock):
    """A `SystemClock` of such a machine; its waits end at the instant, at a step, and after `slice_seconds`."""

    def __init__(self, loop: Loop, machine: Machine, slice_seconds: float) -> None:
        self.skew = Skew()
        self._loop = loop
        self._machine = machine
        self._slice = slice_seconds
        self._offset = self._raw_offset()
        self._asked = self.now() - self.monotonic()
        self._timer = None

    def now(self) -> float:
        """Epoch seconds, UTC."""
        return self._machine.shown() + self.skew.correction

    def monotonic(self) -> float:
        """Seconds that never jump."""
        return self._loop.passed

    def asleep(self) -> float:
        """Seconds that the machine has slept."""
        return self._machine.slept

    def step(self) -> float:
        """As the system's, of these clocks."""
        offset = self._raw_offset()
        if abs(offset - self._offset) > DATE_TOLERANCE_SECONDS:
            self.skew.forget()
        self._offset = offset
        asked, self._asked = self._asked, self.now() - self.monotonic()
        jump = self._asked - asked
        return jump if abs(jump) > DATE_TOLERANCE_SECONDS else 0.0

    def _raw_offset(self) -> float:
        return self._machine.shown() - self._loop.passed

    def observe_date(self, service: str, date: float) -> None:
        """A service's answer carried `date`."""
        self.skew.observe(service, date, self._machine.shown(), self._loop.passed)

    async def wait_raw(self, until: float | None, wake: asyncio.Event) -> None:
        """Until the machine's own clock shows `until`, it jumps, or `wake` is set."""
        if wake.is_set():
            return
        shown = self._machine.shown()
        seconds = self._slice if until is None else min(max(until - shown, 0.001), self._slice)
        # Whoever waits for nothing but this event is woken by it alone: a jump sets it.
        timer = self._loop.call_later(seconds, wake.set)
        self._machine.waiting[wake] = None
        try:
            await wake.wait()
        finally:
            timer.cancel()
            self._machine.waiting.pop(wake, None)

    def close(self) -> None:
        """Nothing is to be given back."""
