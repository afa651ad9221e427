"""The dead man's release: where the daemon is dead, whoever it held past the end of their meeting is put back.

It runs every few minutes in a process of its own, on the daemon's parts, and does nothing while the daemon lives: that
is, while its mark is young or somebody holds the state directory. A daemon that starts meanwhile waits for the lock,
so that this takes no longer than it must. Whoever's meeting goes on stays held until a later run.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from calsyncd.clock import SystemClock
from calsyncd.config import Settings
from calsyncd.core.plan import Held
from calsyncd.core.sync import rfc3339
from calsyncd.daemon import STOP_SECONDS, Daemon
from calsyncd.errors import UserError
from calsyncd.ledger import has_run
from calsyncd.logs import get_logger
from calsyncd.offline import without_daemon
from calsyncd.state import Alive, locked

DEAD_SECONDS = 600.0
RELEASE_SECONDS = 90.0
"""A lost answer is settled after a minute; what takes longer is the next run's."""

ALARM_SECONDS = 20.0
LOCK_SECONDS = 10.0
"""So long it tries for the lock: of a daemon that dies again and again it is held most of the time."""

LONGEST_SECONDS = LOCK_SECONDS + RELEASE_SECONDS + ALARM_SECONDS + STOP_SECONDS
LOOK_SECONDS = 0.1

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done. `alive` says why nothing was: a sentence, or None where the daemon is dead.

    `left` were changed by hand since and stay so, `still` could not be put back yet, `held` are in a meeting that goes
    on.
    """

    alive: str | None = None
    since: float = 0.0
    released: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    still: tuple[str, ...] = ()
    held: int = 0


async def release_stale(
    settings: Settings, path: Path, environ: Mapping[str, str], clock: SystemClock | None = None
) -> Outcome:
    """Put back whom a dead daemon held past the end, and raise an alarm, once for each death.

    UserError: the clock shows a time that cannot be, or the state directory cannot be used.
    """
    clock = clock or SystemClock()
    state = settings.state_dir
    if not has_run(state):
        return Outcome(f"no calsyncd ever ran with {state}")
    if not clock.credible():
        raise UserError(
            "this machine's clock shows a time that cannot be, by which nobody can be put back: timedatectl"
            " set-ntp true",
            exit_code=1,
        )
    since = _last_alive(state)
    now = clock.now()
    # A mark of later than now was made by a clock that was set back: then it says nothing, and only the lock does.
    if abs(now - since) < DEAD_SECONDS:
        return Outcome(f"calsyncd was alive {max(0.0, now - since):.0f} s ago")
    if not await _is_free(state, clock):
        return Outcome("a calsyncd holds the state directory, so it lives")
    try:
        daemon = Daemon(settings, path, environ, clock, only_releases=True, dead_since=min(since, now))
        async with without_daemon(daemon):
            if _last_alive(state) != since:
                return Outcome("calsyncd has started and ended again just now")
            return await _released(daemon, min(since, now))
    except UserError as error:
        if error.exit_code != os.EX_TEMPFAIL:
            raise
        return Outcome("a calsyncd has just started")


async def _is_free(state: Path, clock: SystemClock) -> bool:
    """Whether nobody holds the state directory, at some instant of the next seconds."""
    deadline = clock.monotonic() + LOCK_SECONDS
    while True:
        try:
            with locked(state):
                return True
        except UserError as error:
            if error.exit_code != os.EX_TEMPFAIL:
                raise
        if clock.monotonic() >= deadline:
            return False
        await clock.sleep(LOOK_SECONDS)


async def _released(daemon: Daemon, since: float) -> Outcome:
    owed = daemon.phones.held()
    everybody = sum(isinstance(entry.stance, Held) for entry in daemon.ledger.entries.values())
    log.error(
        f"calsyncd does not run, and was last alive at {rfc3339(since)}: whoever it held past the end is put back",
        action="daemon_dead",
        since=rfc3339(since),
        owed=len(owed),
        held=everybody - len(owed),
    )
    daemon.alarms.turn()
    alarms = asyncio.create_task(daemon.alarms.run(), name="alarms")
    try:
        deadline = daemon.clock.monotonic() + RELEASE_SECONDS
        while daemon.phones.held() and daemon.clock.monotonic() < deadline:
            await daemon.clock.sleep(LOOK_SECONDS)
        deadline = daemon.clock.monotonic() + ALARM_SECONDS
        while daemon.unsent() and daemon.clock.monotonic() < deadline:
            await daemon.clock.sleep(LOOK_SECONDS)
    finally:
        # What was not sent is written down, for the next run or the daemon.
        alarms.cancel()
        await asyncio.gather(alarms, return_exceptions=True)
    still = daemon.phones.held()
    done = [email for email in owed if email not in still]
    put_back = {email for email in done if daemon.roster.agents[email].facts.asked is not None}
    return Outcome(
        since=since,
        released=tuple(email for email in done if email in put_back),
        left=tuple(email for email in done if email not in put_back),
        still=tuple(still),
        held=everybody - len(owed),
    )


def _last_alive(state: Path) -> float:
    """When the daemon was last alive: by its mark, and where there is none, when it last wrote to its ledger."""
    try:
        mark = Alive(state).last()
    except (OSError, ValueError):
        mark = None
    if mark is not None:
        return mark
    times = [file.stat().st_mtime for file in (state / "ledger", state / "ledger.twin") if file.exists()]
    return max(times, default=0.0)
