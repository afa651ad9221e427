"""How long nobody was there: the daemon marks that it lives, and at a start, or when the machine wakes, looks back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Protocol

from calsyncd.core.outage import Cause, last_alive
from calsyncd.core.sync import rfc3339
from calsyncd.logs import get_logger
from calsyncd.state import Alive

MARK_SECONDS = 5.0
SLEPT_SECONDS = 60.0
LAST_MARK_SECONDS = 1.0

log = get_logger(__name__)


class Clock(Protocol):
    """The time, and how much of it the machine has slept."""

    def now(self) -> float:
        """Epoch seconds, UTC."""
        ...

    def credible(self) -> bool:
        """Whether `now` can be relied on."""
        ...

    def asleep(self) -> float:
        """Seconds that the machine has slept since it booted."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after about `seconds`."""
        ...


class Report(Protocol):
    """Who is told of an absence."""

    def began(self, cause: Cause, away_from: float, away_to: float) -> None:
        """It was from then to then."""
        ...

    def set_back(self, now: float) -> None:
        """The clock was set back, to `now`."""
        ...


class Absence:
    """Marks that the daemon lives, and tells `report` when it did not."""

    def __init__(self, clock: Clock, alive: Alive, report: Report) -> None:
        self._clock = clock
        self._alive = alive
        self._report = report
        self._asleep = clock.asleep()

    def look_back(self, acts: Iterable[float]) -> None:
        """Tell since when the daemon was away: by its last mark, or the last of its `acts` if that was later.

        To be called once, before the first mark of this process.
        """
        now = self._clock.now()
        try:
            mark = self._alive.last()
        except (OSError, ValueError) as error:
            log.warning(f"Since when calsyncd was away is not known: {error}", action="outage_unknown")
            return
        if mark is None:
            return
        since = last_alive(mark, acts, now)
        if since is None:
            log.warning(
                f"Since when calsyncd was away is not known: it was last alive at {rfc3339(mark)}, and now it is"
                f" {rfc3339(now)}. Was the clock set back?",
                action="outage_unknown",
            )
            return
        self._report.began("stopped", since, now)

    def stepped(self, now: float, seconds: float) -> None:
        """The time has jumped by so much: a machine that slept was as little there as one that was off."""
        before, self._asleep = self._asleep, self._clock.asleep()
        slept = self._asleep - before
        if slept > SLEPT_SECONDS:
            self._report.began("slept", now - slept, now)
        elif seconds < 0:
            self._report.set_back(now)

    async def live(self) -> None:
        """Mark again and again that the daemon lives. Where the disk hangs this does, and nothing else must."""
        failing = False
        while True:
            try:
                await self._mark()
                failing = False
            except OSError as error:
                if not failing:
                    log.warning(
                        "That calsyncd is alive cannot be written down", action="alive_failed", why=error.strerror
                    )
                failing = True
            await self._clock.sleep(MARK_SECONDS)

    async def end(self) -> None:
        """Mark that the daemon acts no more from now on."""
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._mark(), LAST_MARK_SECONDS)

    async def _mark(self) -> None:
        if self._clock.credible():
            await asyncio.to_thread(self._alive.mark, self._clock.now())
