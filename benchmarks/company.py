"""A company of a thousand: memory, and how soon after a start the first decision is made."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Bench, Figure, Goal, Measured
from benchmarks.filled import DAYS, EVENTS_A_DAY, HOUR, put_days
from benchmarks.processes import Daemon, daemon, free_addresses, helper, memory_of, told, until
from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.limits import Window
from calsyncd.sandbox.world import Sandbox

FILL_SECONDS = 300.0
SETTLE_SECONDS = 2.0

HOW = f"""\
Each agent has {DAYS} days of {EVENTS_A_DAY} events. A first start reads every calendar and opens every push channel,
so that the store is what the daemon itself has left there. Then, while it is down, three agents (the first, the middle
and the last of the settings) get a meeting that runs already. From the start of the process it is timed until Aircall
has received the update for one of them: that takes the settings, the store's check, Google's answer, the plan, a look
and a debt on disk. Memory is what the process holds resident when every calendar was read again. The limit is an
interpreter that loads the same libraries and does nothing. What counts is the median of the starts."""


@dataclass(frozen=True, slots=True)
class Start:
    """One start from a filled store: seconds after it, and MB."""

    first: float
    last: float
    all_read: float
    resident: float
    highest: float


async def measure(bench: Bench) -> Measured:
    """Fill a store by a first start, then start from it a few times."""
    emails = [f"agent{number:04}@example.com" for number in range(bench.scale.agents)]
    async with Sandbox() as sandbox:
        sandbox.aircall.switches.budget = Window(10_000)
        sandbox.google.quotas.per_project = Window(1_000_000)
        users = {email: sandbox.add_agent(email).id for email in emails}
        began = time.time()
        for number, email in enumerate(emails):
            put_days(sandbox, email, began + (1 + number % 30 / 30) * HOUR)
        listen, admin = free_addresses(2)
        config = sandbox.write_config(bench.folder, emails, listen=listen, admin_listen=admin)
        filled = await first_start(sandbox, config, emails)
        starts, loads, bare = [], [], []
        for number in range(bench.scale.starts):
            late = [emails[number], emails[len(emails) // 2 + number], emails[-1 - number]]
            starts.append(await _start(sandbox, config, len(emails), [users[email] for email in late], late))
            seconds, megabytes = await libraries()
            loads.append(seconds)
            bare.append(megabytes)
    size = (bench.folder / "state" / "calsyncd.db").stat().st_size / 1e6
    note = (
        f"The first start, from an empty store, had read {len(emails):,} calendars and opened as many channels after"
        f" {filled:.1f} s; the database then has {size:.0f} MB. The highest resident memory was"
        f" {max(start.highest for start in starts):.0f} MB."
    )
    title = f"A company of {len(emails):,} agents"
    return Measured("company", title, HOW, _figures(starts, loads, bare), notes=(note,))


def _figures(starts: Sequence[Start], loads: Sequence[float], bare: Sequence[float]) -> tuple[Figure, ...]:
    limit = "the libraries alone"
    least = statistics.median(loads)
    return (
        Figure(
            "resident memory, all read",
            "memory",
            statistics.median(start.resident for start in starts),
            "MB",
            statistics.median(bare),
            limit,
            Goal("value", "at most", 150.0),
        ),
        Figure(
            "start to first decision",
            "first decision",
            statistics.median(start.first for start in starts),
            "s",
            least,
            limit,
            Goal("value", "at most", 3.0),
        ),
        Figure(
            "start to all calendars read",
            "all read",
            statistics.median(start.all_read for start in starts),
            "s",
            least,
            limit,
        ),
        Figure(
            "start to the last of the three",
            "last decision",
            statistics.median(start.last for start in starts),
            "s",
            least,
            limit,
        ),
    )


async def first_start(sandbox: Sandbox, config: Path, emails: Sequence[str]) -> float:
    """Seconds until the daemon has read every calendar and opened a channel for each."""
    async with daemon(config) as running:
        await running.started()
        await until(lambda: len(sandbox.google.push.live()) == len(emails), "a channel for each calendar", FILL_SECONDS)
        took = time.time() - running.began
        await sandbox.settle()
        await asyncio.sleep(SETTLE_SECONDS)
    return took


async def _start(sandbox: Sandbox, config: Path, agents: int, users: Sequence[int], late: Sequence[str]) -> Start:
    """Start from the filled store, with news for the agents `late`, whose Aircall users are `users`."""
    sandbox.google.requests.clear()
    sandbox.aircall.requests.clear()
    now = time.time()
    for email in late:
        times = {"start": {"dateTime": second(now - 60)}, "end": {"dateTime": second(now + HOUR / 2)}}
        sandbox.google.insert(email, times)
    # What Google tells while nobody listens is lost: the start has to find out by itself.
    await sandbox.settle()
    paths = {f"/v2/users/{user}" for user in users}

    def updates() -> list[float]:
        return [one.at for one in sandbox.aircall.requests if one.method == "PUT" and one.path in paths]

    def reads() -> list[float]:
        return [one.at for one in sandbox.google.requests if one.path.endswith("/events")]

    async with daemon(config) as running:
        await until(lambda: len(updates()) == len(paths), "an update for each whose meeting runs", FILL_SECONDS)
        await until(lambda: len(reads()) >= agents, "a read of each calendar", FILL_SECONDS)
        await asyncio.sleep(SETTLE_SECONDS)
        return _seen(running, updates(), reads()[agents - 1])


def _seen(running: Daemon, updates: Sequence[float], all_read: float) -> Start:
    return Start(
        first=min(updates) - running.began,
        last=max(updates) - running.began,
        all_read=all_read - running.began,
        resident=running.memory(),
        highest=running.memory("VmHWM"),
    )


async def libraries() -> tuple[float, float]:
    """(seconds until the libraries are loaded, MB resident then)."""
    began = time.time()
    async with helper("benchmarks.libraries") as process:
        await told(process)
        return time.time() - began, memory_of(process.pid)
