"""From Google's notification to the plan on disk, Google's own answer taken out."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from benchmarks.figures import Bench, Figure, Goal, Measured, MeasureError, percentile
from benchmarks.processes import ask, daemon, free_addresses, helper, told, until
from calsyncd.calendars import key_of
from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.limits import Window
from calsyncd.sandbox.world import Sandbox

APART_SECONDS = 2.4
"""Between two changes of one calendar: it is read at most every two seconds."""

PATIENCE_SECONDS = 1.0
WRITE_BYTES = 4096
DAY, HOUR = 86400.0, 3600.0

TITLE = "Notification to plan on disk"
HOW = """\
An event enters a calendar, Google notifies, the daemon asks what changed, takes it in, and commits it. What counts is
from the change to the request for it, plus from Google's answer to the commit as another process sees it in the
database (SQLite in WAL mode with `synchronous=FULL` shows nothing that is not synced): Google's own time is taken out.
The limit is one write of 4 kB with an fsync on the same file system, in turns with the changes. At the end each
calendar gets a meeting that runs already, which is timed until the look that it asks for is received at Aircall: that
takes the plan in memory, too."""


@dataclass(frozen=True, slots=True)
class Read:
    """A list request, from its arrival to its answer."""

    path: str
    arrived: float
    answered: float


async def measure(bench: Bench) -> Measured:
    """Change calendars one after the other, and watch the database."""
    emails = [f"agent{number:02}@example.com" for number in range(bench.scale.calendars)]
    sandbox = Sandbox()
    reads = timed(sandbox)
    commits: list[tuple[float, str]] = []
    async with sandbox:
        sandbox.aircall.switches.budget = Window(10_000)
        users = {email: sandbox.add_agent(email).id for email in emails}
        listen, admin = free_addresses(2)
        agents = [{"email": email, "calendars": [email]} for email in emails]
        # At the end everybody gets a meeting within seconds: that is no bad import.
        calm = {"dispatch": {"storm_guard": {"share": 1.0, "at_least": 10 * len(agents)}}}
        config = sandbox.write_config(bench.folder, agents, listen=listen, admin_listen=admin, extra=calm)
        async with daemon(config) as running:
            await running.started()
            await until(lambda: len(sandbox.google.push.live()) == len(emails), "a channel for each calendar")
            await sandbox.settle()
            # A channel's first message has each calendar read once more, and that read holds back the next.
            await asyncio.sleep(2 * APART_SECONDS)
            async with watched(bench.folder / "state" / "calsyncd.db", commits) as note:
                with one_write(bench.folder) as write:
                    changed, writes = await _changes(sandbox, emails, bench.scale.notifications, write, note)
                begun = await _meetings(sandbox, emails)
        looks = {
            email: [one.at for one in sandbox.aircall.requests if one.path.endswith(f"/users/{user}")]
            for email, user in users.items()
        }
    kept = {email: [at for at, key in commits if key == key_of(email, email)] for email in emails}
    planned = [beyond(at, email, reads, kept) for email, at in changed]
    felt = [beyond(at, email, reads, looks) for email, at in begun]
    samples = {"calsyncd": planned, "one write with fsync": writes}
    return Measured("notifications", TITLE, HOW, _figures(planned, writes, felt), samples)


def _figures(planned: list[float], writes: list[float], felt: list[float]) -> tuple[Figure, ...]:
    limit = "one write with fsync"
    least = {percent: percentile(writes, percent) * 1e3 for percent in (50, 99)}
    at_most = Goal("value", "at most", 50.0)
    return (
        Figure("p50", "p50", percentile(planned, 50) * 1e3, "ms", least[50], limit),
        Figure("p99", "p99", percentile(planned, 99) * 1e3, "ms", least[99], limit, at_most),
        Figure("to the look it asks for, p50", "look", percentile(felt, 50) * 1e3, "ms", least[50], limit),
    )


def timed(sandbox: Sandbox) -> list[Read]:
    """Note every list request of the sandbox's Google, around all that the sandbox does about it."""
    reads: list[Read] = []

    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        arrived = time.time()
        response = await handler(request)
        if request.method == "GET":
            reads.append(Read(request.path, arrived, time.time()))
        return response

    sandbox.google.app.middlewares.insert(0, note)
    return reads


@asynccontextmanager
async def watched(database: Path, commits: list[tuple[float, str]]) -> AsyncIterator[Callable[[str, float], None]]:
    """Note in `commits` when which calendar's transaction became visible; it is to be called with what has changed."""

    async def collect() -> None:
        while True:
            at, key = await told(watcher)
            commits.append((float(at), str(key)))

    async with helper("benchmarks.watcher", str(database)) as watcher:
        await told(watcher)
        reader = asyncio.create_task(collect())
        try:
            yield lambda email, at: ask(watcher, [key_of(email, email), at])
            await asyncio.sleep(PATIENCE_SECONDS)
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)


@contextmanager
def one_write(folder: Path) -> Iterator[Callable[[], float]]:
    """A function that appends and syncs, and says how many seconds that took."""
    descriptor = os.open(folder / "synced", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    data = bytes(WRITE_BYTES)

    def write() -> float:
        began = time.perf_counter()
        os.write(descriptor, data)
        os.fsync(descriptor)
        return time.perf_counter() - began

    try:
        yield write
    finally:
        os.close(descriptor)


async def _changes(
    sandbox: Sandbox,
    emails: Sequence[str],
    count: int,
    write: Callable[[], float],
    note: Callable[[str, float], None],
) -> tuple[list[tuple[str, float]], list[float]]:
    """Change one calendar after the other, with a bare write between two of them: (which and when, the writes)."""
    pause = APART_SECONDS / len(emails) / 2
    changed, writes = [], []
    tomorrow = time.time() + DAY
    for number in range(count):
        email = emails[number % len(emails)]
        changed.append((email, time.time()))
        note(*changed[-1])
        _insert(sandbox, email, tomorrow + number * HOUR / 2, HOUR / 3)
        await asyncio.sleep(pause)
        writes.append(await asyncio.to_thread(write))
        await asyncio.sleep(pause)
    return changed, writes


async def _meetings(sandbox: Sandbox, emails: Sequence[str]) -> list[tuple[str, float]]:
    """Give each agent a meeting that runs: who, and when they got it."""
    await asyncio.sleep(APART_SECONDS)
    begun = []
    for email in emails:
        begun.append((email, time.time()))
        _insert(sandbox, email, time.time() - 60.0, HOUR)
        await asyncio.sleep(APART_SECONDS / len(emails))
    return begun


def _insert(sandbox: Sandbox, email: str, start: float, seconds: float) -> None:
    times = {"start": {"dateTime": second(start)}, "end": {"dateTime": second(start + seconds)}}
    sandbox.google.insert(email, times)


def beyond(at: float, email: str, reads: Sequence[Read], seen: Mapping[str, Sequence[float]]) -> float:
    """Seconds from a change at `at` to the first of `seen` after the read that it led to, less Google's own."""
    read = next((one for one in reads if one.arrived >= at and one.path.endswith(f"/{email}/events")), None)
    if read is None:
        raise MeasureError("a change was not asked for")
    done = next((one for one in seen[email] if one >= read.answered), None)
    if done is None:
        raise MeasureError("a change was asked for, and nothing came of it")
    return done - at - (read.answered - read.arrived)
