"""The only place that asks what time it is, or sleeps.

Theory. `asyncio.sleep` counts time during which the machine ran; a suspended machine's sleepers wake late by the
length of the suspend, and a stepped clock moves no deadline. A timerfd on the wall clock with
TFD_TIMER_CANCEL_ON_SET wakes just before the instant, and at once after a step or a resume. Behind it stand slices
of at most 30 s: after every wait the caller looks at the clock again, so a wait that was short or long by any
cause costs nothing but a look.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import math
import os
import struct
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Protocol

SLICE_SECONDS = 30.0
SHORTEST_WAIT_SECONDS = 0.001
ATTENTION_SECONDS = 0.0015
"""So long before its target a wait ends its sleep and turns the event loop: who sleeps until the very instant is late
by what it takes a machine to wake, and then works with cold caches."""

NOT_BEFORE = 1_790_000_000.0
"""A clock that shows less than this (September 2026) has lost its time."""

DATE_TOLERANCE_SECONDS = 2.0
CORRECT_FROM_SECONDS = 30.0
SAMPLE_LIFE_SECONDS = 15 * 60.0

_CLOCK_REALTIME = 0
_TFD_NONBLOCK = os.O_NONBLOCK
_TFD_CLOEXEC = os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1
_TFD_TIMER_CANCEL_ON_SET = 2


class Clock(Protocol):
    """The time, as decisions see it."""

    def now(self) -> float:
        """Epoch seconds, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump, for durations."""
        ...

    def step(self) -> float:
        """By how many seconds `now` has jumped since this was last asked.

        0 unless the clock was set or corrected, or the machine slept.
        """
        ...

    async def wait(self, until: float | None, wake: asyncio.Event) -> None:
        """Return at `until`, when `wake` is set, or earlier: the caller looks again."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after about `seconds`."""
        ...


@dataclass(slots=True)
class Skew:
    """How far our clock is off, by the `Date` of the services' answers.

    Only two services that agree within 2 s are believed, and only beyond 30 s is the clock corrected: `Date` has
    whole seconds, and a cache may replay it.
    """

    _offsets: dict[str, tuple[float, float]] = field(default_factory=dict)
    correction: float = 0.0
    agreed: float = 0.0
    """By how many seconds two services last agreed that our clock is behind, whether it is corrected or not."""

    def observe(self, service: str, date: float, raw_now: float, monotonic: float) -> None:
        """A service's answer said `date` at our `raw_now`."""
        self._offsets[service] = (date + 0.5 - raw_now, monotonic)
        fresh = [offset for offset, at in self._offsets.values() if monotonic - at <= SAMPLE_LIFE_SECONDS]
        if len(fresh) < 2:
            return
        if max(fresh) - min(fresh) <= DATE_TOLERANCE_SECONDS:
            agreed = self.agreed = sum(offset / len(fresh) for offset in fresh)
            wanted = agreed if abs(agreed) > CORRECT_FROM_SECONDS else 0.0
            # Whole seconds make `Date` tremble: a correction that is about right stays as it is.
            if abs(wanted - self.correction) > DATE_TOLERANCE_SECONDS:
                self.correction = wanted

    @property
    def judged(self) -> bool:
        """Whether two services have told the time since the clock was last stepped."""
        return len(self._offsets) > 1

    def forget(self) -> None:
        """The clock was stepped: what was known of it is void."""
        self._offsets.clear()
        self.correction = self.agreed = 0.0


class SystemClock:
    """The machine's clock, corrected when two services agree that it is wrong."""

    def __init__(self) -> None:
        self.skew = Skew()
        self._timer = _open_timer()
        self._offset = time.time() - time.monotonic()
        self._asked = self.now() - self.monotonic()

    def now(self) -> float:
        """Epoch seconds, UTC."""
        return time.time() + self.skew.correction

    def monotonic(self) -> float:
        """Seconds that never jump."""
        return time.monotonic()

    def asleep(self) -> float:
        """Seconds that the machine has slept since it booted; 0 where the system does not tell."""
        if not sys.platform.startswith("linux"):
            return 0.0
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC))

    def step(self) -> float:
        """By how many seconds `now` has jumped since this was last asked."""
        offset = time.time() - time.monotonic()
        if abs(offset - self._offset) > DATE_TOLERANCE_SECONDS:
            self.skew.forget()
        self._offset = offset
        asked, self._asked = self._asked, self.now() - self.monotonic()
        jump = self._asked - asked
        return jump if abs(jump) > DATE_TOLERANCE_SECONDS else 0.0

    def credible(self) -> bool:
        """Whether decisions may rely on `now`."""
        return self.now() >= NOT_BEFORE

    def observe_date(self, service: str, date: float) -> None:
        """A service's answer, just come, carried `date`."""
        self.skew.observe(service, date, time.time(), time.monotonic())

    async def sleep(self, seconds: float) -> None:
        """Return after about `seconds`."""
        await asyncio.sleep(seconds)

    async def wait(self, until: float | None, wake: asyncio.Event) -> None:
        """Return at `until`, when `wake` is set, on a clock step or a resume, or after 30 s at most."""
        await self.wait_raw(None if until is None else until - self.skew.correction, wake)

    async def wait_raw(self, until: float | None, wake: asyncio.Event) -> None:
        """As `wait`, until the machine's own clock shows `until`."""
        if wake.is_set():
            return
        now = time.time()
        longest = now + SLICE_SECONDS
        target = longest if until is None else min(max(until, now + SHORTEST_WAIT_SECONDS), longest)
        # A target in the past is a mistake, or a clock that was set: no reason to keep the machine busy.
        coarse = target if until is not None and until <= now else target - ATTENTION_SECONDS
        if coarse > now and self._timer is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), coarse - now)
        elif coarse > now and self._timer is not None:
            await self._wait_on_timer(self._timer, coarse, coarse - now, wake)
        while not wake.is_set() and 0 < target - time.time() <= ATTENTION_SECONDS:  # noqa: ASYNC110 - time sets no event
            await asyncio.sleep(0)

    async def _wait_on_timer(self, timer: int, raw_target: float, at_most: float, wake: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        fired = asyncio.Event()
        if not _arm(timer, raw_target):
            await asyncio.sleep(SHORTEST_WAIT_SECONDS)
            return
        loop.add_reader(timer, fired.set)
        waiters = {asyncio.ensure_future(fired.wait()), asyncio.ensure_future(wake.wait())}
        try:
            await asyncio.wait(waiters, timeout=at_most + 1.0, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(timer)
            for waiter in waiters:
                waiter.cancel()
            _drain(timer)

    def close(self) -> None:
        """Give the timer back."""
        if self._timer is not None:
            os.close(self._timer)
            self._timer = None


def booted_at() -> float:
    """When the machine was started, epoch seconds, by its clocks as they are now; 0 where the system does not tell."""
    if not sys.platform.startswith("linux"):
        return 0.0
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def local_time(text: str, zone: tzinfo) -> tuple[datetime, bool]:
    """(an RFC 3339 time by the zone's clock, whether it is today there)."""
    local = datetime.fromisoformat(text).astimezone(zone)
    return local, local.date() == datetime.now(local.tzinfo).date()


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _open_timer() -> int | None:
    """A timerfd on the wall clock, or None where the system has none: then slices alone must do."""
    if not sys.platform.startswith("linux"):
        return None
    timer: int = _libc().timerfd_create(_CLOCK_REALTIME, _TFD_NONBLOCK | _TFD_CLOEXEC)
    return timer if timer >= 0 else None


def _arm(timer: int, raw_target: float) -> bool:
    """Set the timer; false if the clock was stepped since it was last set, which cancels it."""
    seconds = math.floor(max(raw_target, 0.000001))
    # Rounded up: a timer that fires a nanosecond early would only have to be set again.
    nanoseconds = min(math.ceil((max(raw_target, 0.000001) - seconds) * 1e9), 999_999_999)
    value = struct.pack("@qqqq", 0, 0, seconds, nanoseconds)
    flags = _TFD_TIMER_ABSTIME | _TFD_TIMER_CANCEL_ON_SET
    result: int = _libc().timerfd_settime(timer, flags, value, None)
    return result == 0


def _drain(timer: int) -> None:
    # ECANCELED tells of a clock step, EAGAIN that something else ended the wait: either way the caller looks again.
    with contextlib.suppress(OSError):
        os.read(timer, 8)
