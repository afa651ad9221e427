"""What is said to the supervisor, and what it hands over: systemd, or whatever speaks its protocol."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from calsyncd import systemd
from calsyncd.clock import Clock
from calsyncd.errors import UserError
from calsyncd.scheduler import Scheduler

STATUS_SECONDS = 1.0
STATUS_SHARE = 0.01
"""What working out the status may cost, as a share of the time."""

LISTENERS = ("public", "admin")
MOST_ALARMS = 3

Sockets = Mapping[str, tuple[socket.socket, ...]]


class Supervised:
    """The supervisor's side of the process; without one, all of it does nothing. `status` works out the status."""

    def __init__(
        self, environ: Mapping[str, str], clock: Clock, scheduler: Scheduler, status: Callable[[], str]
    ) -> None:
        self._environ = environ
        self._clock = clock
        self._scheduler = scheduler
        self._status = status
        self._said = ""
        self.is_told = bool(environ.get("NOTIFY_SOCKET"))
        self.watched = systemd.watchdog_interval(environ, os.getpid())
        """How often it wants to hear that the loop turns, in seconds; None where it does not."""

    def sockets(self) -> Sockets:
        """The listening sockets handed over, by listener. To be asked once.

        UserError for those that nobody here would listen on.
        """
        handed = systemd.listen_fds(self._environ, os.getpid())
        foreign = sorted(handed.keys() - set(LISTENERS))
        if foreign:
            for one in (one for sockets in handed.values() for one in sockets):
                one.close()
            raise UserError(
                f"a listening socket named {foreign[0]} was handed over: FileDescriptorName= in its socket unit must be"
                f" one of {', '.join(LISTENERS)}"
            )
        return handed

    def ready(self) -> None:
        """All listeners listen; or the settings were read again."""
        self._said = self._status()
        systemd.notify(self._environ, READY="1", STATUS=self._said)

    def reloading(self) -> None:
        """The settings are being read again; to be followed by `ready`."""
        systemd.reloading(self._environ, int(self._clock.monotonic() * 1e6))

    def stopping(self) -> None:
        """No work is taken any more."""
        systemd.notify(self._environ, STOPPING="1", STATUS="stopping")

    async def feed(self, interval: float) -> None:
        """Every `interval` seconds say that the loop turns, if it has turned since it was asked to."""
        while True:
            turns = self._scheduler.turns
            self._scheduler.touch()
            await self._clock.sleep(interval)
            if self._scheduler.turns != turns:
                systemd.notify(self._environ, WATCHDOG="1")

    async def tell(self) -> None:
        """Keep the status current: to the second, or less often where it costs too much for so many agents."""
        while True:
            began = self._clock.monotonic()
            status = self._status()
            if status != self._said and systemd.notify(self._environ, STATUS=status):
                self._said = status
            spent = self._clock.monotonic() - began
            await self._clock.sleep(max(STATUS_SECONDS, spent / STATUS_SHARE))


def status_line(states: Iterable[str], owed: int, boundary: float | None, alarms: Iterable[str], now: float) -> str:
    """How it is, in a line: agents by state, updates that are owed, the next boundary (UTC), alarms by their codes."""
    counts = Counter(states)
    by_state = ", ".join(f"{counts[state]} {state}" for state in sorted(counts, key=lambda one: (one == "idle", one)))
    parts = [f"{counts.total()} agents{f': {by_state}' if by_state else ''}", f"{owed} owed"]
    if boundary is not None:
        at, today = datetime.fromtimestamp(boundary, UTC), datetime.fromtimestamp(now, UTC).date()
        parts.append(f"next boundary {'' if at.date() == today else f'{at.date()} '}{at:%H:%M:%S}Z")
    codes = sorted(set(alarms))
    if codes:
        more = ", …" if len(codes) > MOST_ALARMS else ""
        parts.append(f"alarms: {', '.join(codes[:MOST_ALARMS])}{more}")
    return "; ".join(parts)
