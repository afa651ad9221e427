"""Whether the process is well: its loop turns and is not blocked, its database answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from calsyncd import logs
from calsyncd.alarms import Lag
from calsyncd.clock import Clock
from calsyncd.errors import ServiceError
from calsyncd.metrics import Metrics
from calsyncd.scheduler import Scheduler

PULSE_SECONDS = 5.0
PING_SECONDS = 10.0
"""Longer than SQLite itself waits for a lock, so that its own words are heard."""

LOOP_STALL_SECONDS = 45.0
DATABASE_STALL_SECONDS = 30.0

log = logs.get_logger(__name__)


class Vitals:
    """Asks and measures, and says what is wrong; `ping` asks the database (ServiceError if it does not answer)."""

    def __init__(
        self, clock: Clock, scheduler: Scheduler, metrics: Metrics, ping: Callable[[], Awaitable[None]]
    ) -> None:
        self._clock = clock
        self._scheduler = scheduler
        self._metrics = metrics
        self._ping = ping
        self._lag = Lag()
        self._database_at = clock.monotonic()

    async def ask_database(self) -> None:
        """Ask the database again and again whether it lives."""
        while True:
            try:
                async with asyncio.timeout(PING_SECONDS):
                    await self._ping()
                self._database_at = self._clock.monotonic()
            except (ServiceError, TimeoutError) as error:
                why = str(error) or f"no answer within {PING_SECONDS:.0f} s"
                log.warning("The database does not answer", action="store_failed", why=why)
            await self._clock.sleep(PULSE_SECONDS)

    async def watch_lag(self) -> None:
        """Measure again and again how late a timer runs."""
        while True:
            began = self._clock.monotonic()
            await self._clock.sleep(1.0)
            lag = max(0.0, self._clock.monotonic() - began - 1.0)
            self._metrics.loop_lag(lag)
            self._lag.late(self._clock.monotonic(), lag)
            if lag > 1.0:
                log.warning("The event loop was blocked", action="loop_lagged", seconds=round(lag, 2))

    def database_answers(self) -> bool:
        """Whether the database has answered lately."""
        return self._clock.monotonic() - self._database_at <= DATABASE_STALL_SECONDS

    def loop_lags(self) -> bool:
        """Whether the loop is blocked again and again."""
        return self._lag.lasts()

    def ill(self, *, of_loop: bool = False) -> str:
        """What is wrong with the loop or the database, or `of_loop` alone; nothing if all is well."""
        if self._clock.monotonic() - self._scheduler.turned_at > LOOP_STALL_SECONDS:
            return "the loop does not turn"
        if not of_loop and not self.database_answers():
            return "the database does not answer"
        return ""
