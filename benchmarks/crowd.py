"""A company of some size, from a start to a burst of notifications and a crowd at one boundary."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.boundaries import port, update
from benchmarks.figures import MeasureError
from benchmarks.filled import DAY, HOUR, addresses, entries, fill
from benchmarks.metrics import as_told, lags
from benchmarks.notifications import Read, beyond, timed, watched
from benchmarks.processes import Daemon, ask, daemon, free_addresses, helper, sleep_until, told, until
from calsyncd.calendars import key_of
from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.limits import Window
from calsyncd.sandbox.world import Sandbox

PATIENCE_SECONDS = 900.0
NOTIFICATIONS_A_SECOND = 100
BOUNDARIES = 200
BARE_SECONDS = 3.0
"""Until then a bare client has its connections."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much a company of `agents` is burdened with: seconds of notifications, and boundaries at one instant.

    Before the one and before the other it has `settle` seconds.
    """

    agents: int
    seconds: float
    boundaries: int
    settle: float = 8.0


@dataclass(frozen=True, slots=True)
class Crowd:
    """What it took: seconds and MB. `lag` is a bound that no turn was later than, while everything of this went on.

    `bare_out` is the last of as many updates that a bare client sends at once, and `bare_lag_p99` is of a bare loop.
    """

    agents: int
    first: float
    all_read: float
    resident: float
    highest: float
    database: float
    plans: Sequence[float]
    last_out: float
    bare_out: float
    lag: float
    lag_mean: float
    lag_p99: float
    bare_lag_p99: float


async def meet(load: Load, folder: Path) -> Crowd:
    """Start from a filled store, then let notifications come, then a boundary of many."""
    emails = addresses(load.agents)
    sandbox = Sandbox()
    reads = timed(sandbox)
    async with sandbox:
        sandbox.aircall.switches.budget = Window(1_000_000)
        sandbox.google.quotas.per_project = Window(10_000_000)
        # Everybody's own days begin when all this is over.
        first = time.time() + HOUR
        begins = [first + number % 30 * HOUR / 30 for number in range(load.agents)]
        await fill(sandbox, folder / "state", emails, begins)
        listen, admin = free_addresses(2)
        config = sandbox.write_config(
            folder,
            entries(emails),
            listen=listen,
            admin_listen=admin,
            extra={
                # The most that settings may say: what is timed is the program, and not what Aircall grants.
                "aircall": {"requests_per_minute": 600},
                "dispatch": {"storm_guard": {"share": 1.0, "at_least": 10 * load.agents}},
            },
        )
        late = [emails[0], emails[len(emails) // 2], emails[-1]]
        for email in late:
            _meeting(sandbox, email, time.time() - 60.0, 2 * DAY)
        await sandbox.settle()
        # To look through all of the far end for garbage would stand between a change and its notification.
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        _drop_from_memory(folder / "state" / "calsyncd.db")
        async with daemon(config) as running:
            began = await _decided(sandbox, running)
            await until(lambda: len({one.path for one in reads}) >= load.agents, "a read of each", PATIENCE_SECONDS)
            all_read = max(one.answered for one in reads) - running.began
            await until(lambda: len(_updates(sandbox)) >= len(late), "an update for each", PATIENCE_SECONDS)
            await asyncio.sleep(load.settle)
            resident = running.memory()
            free = [email for email in emails if email not in late]
            commits: list[tuple[float, str]] = []
            async with helper("benchmarks.bare_loop") as loop:
                at_rest = await lags(admin)
                async with watched(folder / "state" / "calsyncd.db", commits) as note:
                    changed = await _changes(sandbox, free, load.seconds, note)
                    wanted = {key_of(email, email) for email, _ in changed}
                    await until(
                        lambda: wanted <= {key for _, key in commits}, "a commit of each change", PATIENCE_SECONDS
                    )
                kept: defaultdict[str, list[float]] = defaultdict(list)
                for at, key in commits:
                    kept[key.partition("/")[0]].append(at)
                plans = _plans(changed, reads, kept)
                out = await _crowd(sandbox, free[: load.boundaries], load.settle)
                after = await lags(admin)
                ask(loop, "enough")
                bare = as_told(await told(loop), after.counts)
            highest = running.memory("VmHWM")
        return Crowd(
            agents=load.agents,
            first=began,
            all_read=all_read,
            resident=resident,
            highest=highest,
            database=(folder / "state" / "calsyncd.db").stat().st_size / 1e6,
            plans=plans,
            last_out=max(out),
            bare_out=await _bare_crowd(sandbox, free[: load.boundaries]),
            lag=after.bound(1.0),
            lag_mean=after.less(at_rest).mean,
            lag_p99=after.less(at_rest).bound(0.99),
            bare_lag_p99=bare.bound(0.99),
        )


def _drop_from_memory(path: Path) -> None:
    """Nothing of the file is in memory, as after a boot."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)


async def _decided(sandbox: Sandbox, running: Daemon) -> float:
    """Seconds from the start of the process until Aircall has an update for one whose meeting runs."""
    await until(lambda: bool(_updates(sandbox)), "an update for one whose meeting runs", PATIENCE_SECONDS)
    return _updates(sandbox)[0] - running.began


def _updates(sandbox: Sandbox) -> list[float]:
    return [one.at for one in sandbox.aircall.requests if one.method == "PUT"]


async def _changes(
    sandbox: Sandbox, emails: Sequence[str], seconds: float, note: Callable[[str, float], None]
) -> list[tuple[str, float]]:
    """Change so many calendars a second, each at most once in three seconds: which, and when."""
    changed = []
    began = time.time()
    rate = min(NOTIFICATIONS_A_SECOND, len(emails) / 3)
    for number in range(round(rate * seconds)):
        await sleep_until(began + number / rate)
        email = emails[number * 7 % len(emails)]
        changed.append((email, time.time()))
        note(*changed[-1])
        _meeting(sandbox, email, began + DAY + number, HOUR / 3)
    await sandbox.settle()
    return changed


def _plans(
    changed: Sequence[tuple[str, float]], reads: Sequence[Read], kept: Mapping[str, Sequence[float]]
) -> list[float]:
    own: dict[str, list[Read]] = {f"/{email}/events": [] for email, _ in changed}
    for read in reads:
        name = "/" + "/".join(read.path.rsplit("/", 2)[1:])
        if name in own:
            own[name].append(read)
    return [beyond(at, email, own[f"/{email}/events"], kept) for email, at in changed]


async def _crowd(sandbox: Sandbox, emails: Sequence[str], settle: float) -> list[float]:
    """Give all of these a meeting at one instant: how late each one's update came."""
    users = _users(sandbox, emails)
    start = math.ceil(time.time() + 1.5 * settle + 2 * len(emails) / NOTIFICATIONS_A_SECOND)
    sandbox.aircall.requests.clear()
    for email in emails:
        _meeting(sandbox, email, start, HOUR / 2)
        await asyncio.sleep(1 / NOTIFICATIONS_A_SECOND)
    if time.time() > start - settle / 2:
        raise MeasureError("the machine was too slow to give everybody a meeting in time")
    await sleep_until(start + 1.0)
    return await _out(sandbox, users, start)


async def _bare_crowd(sandbox: Sandbox, emails: Sequence[str]) -> float:
    """How late the last of their updates comes that a bare client sends all at once."""
    users = _users(sandbox, emails)
    sandbox.aircall.requests.clear()
    async with helper("benchmarks.bare_crowd") as client:
        start = time.time() + BARE_SECONDS
        requests = [update(sandbox, user, "available") for user in users]
        ask(client, {"port": port(sandbox), "at": start, "requests": requests})
        await told(client)
        return max(await _out(sandbox, users, start))


async def _out(sandbox: Sandbox, users: Sequence[int], start: float) -> list[float]:
    """How late each one's update came, once all have come."""
    paths = {f"/v2/users/{user}" for user in users}

    def updates() -> dict[str, float]:
        return {one.path: one.at for one in sandbox.aircall.requests if one.method == "PUT" and one.path in paths}

    await until(lambda: len(updates()) == len(paths), "an update for each boundary", PATIENCE_SECONDS)
    return [at - start for at in updates().values()]


def _users(sandbox: Sandbox, emails: Sequence[str]) -> list[int]:
    wanted = set(emails)
    return [user.id for user in sandbox.aircall.users.by_id.values() if user.email in wanted]


def _meeting(sandbox: Sandbox, email: str, start: float, seconds: float) -> None:
    times = {"start": {"dateTime": second(start)}, "end": {"dateTime": second(start + seconds)}}
    sandbox.google.insert(email, times)
