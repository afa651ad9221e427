"""From a hundred agents to ten thousand: what each costs, beside its limit, and how fast that grows."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import quiet_day
from benchmarks.company import libraries
from benchmarks.crowd import BOUNDARIES, NOTIFICATIONS_A_SECOND, Crowd, Load, meet
from benchmarks.figures import Bench, Figure, Goal, Measured, MeasureError, percentile
from benchmarks.filled import DAYS, EVENTS_A_DAY, addresses, entries
from benchmarks.growth_picture import power
from benchmarks.notifications import one_write
from benchmarks.processes import ask, daemon, free_addresses, helper, sleep_until, told, until
from benchmarks.webhooks import request_of
from calsyncd.sandbox.world import Sandbox

DAY = 86400.0
N_LOG_N = 1.125
"""The exponent of n log n from 1,000 to 10,000: log(13.33) by log(10)."""

RESIDENT_MB, START_SECONDS, LAST_MS, PLAN_MS = 350.0, 5.0, 1000.0, 100.0
WRITES = 100
REQUESTS_A_DAY = {100: 31_000.0, 10_000: 500_000.0}
THRESHOLD = "Google's daily threshold, by the settings"
FLOOD_A_SECOND, FETCHES = 1000, 7.0

HOW = f"""\
Companies of several sizes, each with {DAYS} days of {EVENTS_A_DAY} events and one open push channel an agent. Their
databases are not read page by page from a far end, which would take many minutes: the same store is filled with what
the daemon itself takes in from one calendar, and everybody else's is that one moved in time. The sandbox, a process of
its own on the same cores, knows the sync tokens and channels that stand there. Three agents have got a meeting
meanwhile that runs already; from the start of the process, with nothing of the database in memory, as after a boot, it
is timed until Aircall has received an update for one of them. Memory is what is resident when every calendar was read.
Then {NOTIFICATIONS_A_SECOND} calendars a second change, each at most once in three seconds, and are timed as above,
from the change to the commit that another process sees, less Google's own answer. At last {BOUNDARIES} agents get a
meeting at one instant; with the largest budget that the settings take, it is timed until the last of their updates has
been received. The limit is a client that has all these requests and connections ready, and sends them at that instant.
The loop's lag is told by the steps of a histogram; the limit is a loop with nothing to do beside it, by the same
steps."""

HOW_FAST = """\
How fast a figure grows is the power of the number of agents that leads from the last but one company to the largest:
1 is in proportion, and n log n is 1.125 from 1,000 to 10,000. In the smallest company fifty boundaries come at once, in
the others two hundred."""

HOW_QUIET = """\
The daemon's own rooms for calendars and channels live on a virtual clock beside a Google where nothing changes and
push is healthy. Counted is what is asked of the Calendar API: deltas of the poll behind push, each calendar's whole
read once a day, and channels that are opened and closed in time. The limit is what the settings allow in a day
(`google.requests_per_day`, by default Google's threshold): behind push each calendar is polled every five minutes, and
less often where so many calendars would ask for more. At last a running daemon gets a flood: 10,000 genuine
notifications of one calendar in ten seconds."""


async def measure(bench: Bench) -> Measured:
    """Burden companies of each size."""
    crowds = []
    for agents in bench.scale.sizes:
        load = Load(agents, bench.scale.burdened, min(BOUNDARIES, agents // 2), bench.scale.settle)
        crowds.append(await meet(load, _made(bench.folder / str(agents))))
    most = crowds[-1]
    title = f"The largest company, of {most.agents:,} agents"
    note = (
        f"The highest resident memory was {most.highest:.0f} MB. Of all timers of the loop, one a second, none was more"
        f" than {most.lag:g} s late from the start on."
    )
    growth = _growth(crowds)
    figures = (*await _figures(most, bench.folder), *_powers(growth))
    return Measured("growth", title, HOW, figures, notes=(note, HOW_FAST), growth=growth)


async def _figures(most: Crowd, folder: Path) -> tuple[Figure, ...]:
    seconds, megabytes = await libraries()
    with one_write(folder) as write:
        writes = [write() * 1e3 for _ in range(WRITES)]
    alone, late = "the libraries alone", [one * 1e3 for one in most.plans]
    data = _data(folder / str(most.agents) / "state" / "calsyncd.db")
    last, bare = most.last_out * 1e3, most.bare_out * 1e3
    lag, bare_lag = (min(one, 60.0) * 1e3 for one in (most.lag_p99, most.bare_lag_p99))
    plan = f"plan on disk, p99, {NOTIFICATIONS_A_SECOND} changes a second"
    return (
        Figure("resident memory", "memory", most.resident, "MB", megabytes, alone, _at_most(RESIDENT_MB)),
        Figure("start to first decision", "first", most.first, "s", seconds, alone, _at_most(START_SECONDS)),
        Figure("start to all calendars read", "all read", most.all_read, "s", seconds, alone),
        Figure("database", "database", most.database, "MB", data, "its texts and numbers alone"),
        Figure(
            *(plan, "plan on disk", percentile(late, 99), "ms", percentile(writes, 99), "one write with fsync"),
            goal=_at_most(PLAN_MS),
        ),
        Figure(
            *(
                "the last of a boundary's updates",
                "last update",
                last,
                "ms",
                bare,
                "a bare client's that sends all at once",
            ),
            goal=_at_most(LAST_MS),
        ),
        Figure("the loop's lag meanwhile, p99", "lag", lag, "ms", bare_lag, "a loop with nothing to do"),
    )


async def measure_quiet(bench: Bench) -> Measured:
    """Let days pass, and then a flood."""
    seconds = bench.scale.quiet_hours * 3600.0
    found: dict[int, Counter[str]] = {}
    days: dict[int, float] = {}
    figures = []
    for agents in bench.scale.sizes:
        found[agents] = await asyncio.to_thread(quiet_day.requests, agents, seconds)
        a_day = days[agents] = sum(found[agents].values()) * DAY / seconds
        most = REQUESTS_A_DAY.get(agents)
        figures.append(
            Figure(
                f"requests a day of {agents:,} agents",
                f"{agents:,} agents",
                a_day,
                "",
                quiet_day.REQUESTS_PER_DAY,
                THRESHOLD,
                _at_most(most) if most is not None else None,
            )
        )
    fetches = await _flood(bench, bench.scale.flood_seconds)
    figures.append(
        Figure(
            "fetches in a flood of one calendar's notifications",
            "a flood's fetches",
            fetches,
            "",
            1 + bench.scale.flood_seconds / 2,
            "one at once and then one in two seconds",
            _at_most(FETCHES),
        )
    )
    kinds = found[bench.scale.sizes[-1]]
    of = ", ".join(f"{number * DAY / seconds:,.0f} {kind}" for kind, number in sorted(kinds.items()))
    note = f"Of {bench.scale.sizes[-1]:,} agents' a day: {of}; {bench.scale.quiet_hours:g} hours of it were counted."
    growth = {"requests to Google, ": days}
    return Measured(
        "google", "Requests to Google", HOW_QUIET, (*figures, *_powers(growth)), notes=(note,), growth=growth
    )


async def _flood(bench: Bench, seconds: int) -> float:
    """How often one calendar is read while thousands of genuine notifications of it come in some seconds."""
    (email,) = emails = addresses(1)
    async with Sandbox() as sandbox:
        sandbox.add_agent(email)
        listen, admin = free_addresses(2)
        config = sandbox.write_config(bench.folder, entries(emails), listen=listen, admin_listen=admin)
        async with daemon(config) as running, helper("benchmarks.load") as load:
            await running.started()
            await until(lambda: len(sandbox.google.push.live()) == 1, "a channel")
            await sandbox.settle()
            await asyncio.sleep(2 * bench.scale.settle)
            ask(load, [request_of(channel) for channel in sandbox.google.push.live()])
            sandbox.google.requests.clear()
            began, good = time.time(), 0
            for second in range(seconds):
                await sleep_until(began + second)
                ask(load, {"port": int(listen.rpartition(":")[2]), "seconds": 10.0, "most": FLOOD_A_SECOND})
                result = await told(load)
                good += int(result["good"])
            took = time.time() - began
            await asyncio.sleep(bench.scale.settle)
            if good < seconds * FLOOD_A_SECOND:
                raise MeasureError(f"of {seconds * FLOOD_A_SECOND} genuine notifications {good} were taken")
            fetches = sum(one.path.endswith("/events") for one in sandbox.google.requests)
            # A slower machine takes longer to send them: then more is due by the same rule.
            return fetches * seconds / max(took, float(seconds))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _at_most(bound: float) -> Goal:
    return Goal("value", "at most", bound)


def _data(database: Path) -> float:
    """MB of what a database's events say, without keys, indices and pages."""
    with contextlib.closing(sqlite3.connect(database)) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(events)")]
        texts = " + ".join(f'coalesce(length("{name}"), 0)' for name in columns if name not in ("start", "end"))
        total = db.execute(f"SELECT sum({texts} + 16) FROM events").fetchone()[0]  # noqa: S608 - our own columns
    return float(total) / 1e6


def _growth(crowds: Sequence[Crowd]) -> dict[str, dict[int, float]]:
    """By what it is, and by the number of agents."""
    return {
        "resident memory, MB": {one.agents: one.resident for one in crowds},
        "database, MB": {one.agents: one.database for one in crowds},
        "first decision, s": {one.agents: one.first for one in crowds},
        "all read, s": {one.agents: one.all_read for one in crowds},
        "plan on disk, ms": {one.agents: percentile([plan * 1e3 for plan in one.plans], 99) for one in crowds},
        "last update, ms": {one.agents: one.last_out * 1e3 for one in crowds},
        "loop's lag on average, ms": {one.agents: one.lag_mean * 1e3 for one in crowds},
    }


def _powers(growth: Mapping[str, Mapping[int, float]]) -> list[Figure]:
    return [
        Figure(f"growth of: {name}", f"growth of {name}", power(values), "", N_LOG_N, "n log n", _at_most(N_LOG_N))
        for (name, _), values in ((name.split(", "), values) for name, values in growth.items())
    ]
