"""`calsyncd demo`: the daemon, the sandbox and the page together; `calsyncd sandbox`: the sandbox alone."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

from rich import box
from rich.console import Console
from rich.table import Table

from calsyncd.demo.day import DEFAULT_SECONDS, PEOPLE, Day, add_people
from calsyncd.demo.day_check import Report, check
from calsyncd.demo.hands import Hands
from calsyncd.demo.pace import Pace
from calsyncd.demo.stage import Stage
from calsyncd.sandbox.doubts import read_ways, turn_out
from calsyncd.sandbox.world import Sandbox

_STOP_SECONDS = 10.0


async def demo(seconds: float | None, day_seconds: float = DEFAULT_SECONDS) -> int:
    """Run the daemon through scripted days until SIGINT, SIGTERM or `seconds`; 0 if it lived and stopped cleanly."""
    console = Console()
    pace = Pace()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="calsyncd-demo-")))
        sandbox = await stack.enter_async_context(Sandbox(now=pace.now))
        stop = stack.enter_context(_Stop())
        add_people(sandbox)
        listen, admin_listen = _free_addresses(2)
        config = sandbox.write_config(
            folder,
            [person.email for person in PEOPLE],
            listen=listen,
            admin_listen=admin_listen,
            extra={"log": {"format": "console"}},
        )
        daemon = await stack.enter_async_context(_daemon(config))

        def set_rate(rate: float) -> None:
            assert daemon.stdin is not None  # noqa: S101 - it was started with a pipe
            daemon.stdin.write(pace.change(rate).to_line().encode())

        stage = Stage(f"http://{admin_listen}", PEOPLE, Hands(sandbox), pace, set_rate)
        url = await stack.enter_async_context(stage.listening())
        _greet(console, url, day_seconds, seconds)
        opened = pace.now()
        first = Day(sandbox, opened, day_seconds)
        first.perform_early()
        died = await _until_over(stop.event, daemon, _days(first, pace), seconds)
        reports = check(sandbox, opened, pace.now())
        code = daemon.returncode if died else await _terminate(daemon)
        console.print(summary(reports))
        console.print(totals(reports), highlight=False)
    if died or code:
        console.print(f"[red]The daemon ended by itself or badly: exit status {code}.[/]")
        return 1
    return 0


async def serve(
    directory: Path | None = None,
    *,
    google_port: int = 0,
    aircall_port: int = 0,
    listen: str = "127.0.0.1:8770",
    admin_listen: str = "127.0.0.1:8771",
    day_seconds: float | None = DEFAULT_SECONDS,
    doubts: Iterable[str] = (),
) -> int:
    """Run the sandbox alone until SIGINT or SIGTERM, with the scripted day over and over unless that is None.

    `doubts` such as `v1_users=410` let doubtful points turn out so; ValueError says which there are.
    """
    console = Console()
    async with AsyncExitStack() as stack:
        folder = directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="calsyncd-sandbox-")))
        folder.mkdir(parents=True, exist_ok=True)
        sandbox = await stack.enter_async_context(Sandbox(google_port=google_port, aircall_port=aircall_port))
        turn_out(sandbox, read_ways(doubts))
        stop = stack.enter_context(_Stop())
        add_people(sandbox)
        people = [person.email for person in PEOPLE]
        config = sandbox.write_config(folder, people, listen=listen, admin_listen=admin_listen)
        console.print(f"Google Calendar  {sandbox.google_url}")
        console.print(f"Google tokens    {sandbox.token_uri}")
        console.print(f"Aircall          {sandbox.aircall_url}")
        console.print(f"Settings for a daemon: {config}")
        console.print(f"Notifications go to http://{listen}. Ctrl-C ends this.")
        if day_seconds is not None:
            first = Day(sandbox, time.time(), day_seconds)
            first.perform_early()
            days = asyncio.create_task(_days(first, Pace()))
            stack.push_async_callback(_cancelled, days)
        await stop.event.wait()
    return 0


def summary(reports: Sequence[Report]) -> Table:
    """A table of what each agent saw."""
    table = Table(title="What the agents saw", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    cases = {person.email: (person.name, person.case) for person in PEOPLE}
    table.add_column("agent", no_wrap=True)
    table.add_column("case", no_wrap=True)
    for title in ("windows", "updates", "latest", "missed", "ringing", "unreachable"):
        table.add_column(title, justify="right", no_wrap=True)
    for report in reports:
        name, case = cases.get(report.email, (report.email, ""))
        late = report.worst_lateness
        table.add_row(
            name,
            case,
            str(len(report.busy)),
            str(len(report.updates)),
            "" if late is None else f"{late:.2f}s",
            str(report.missed),
            f"{report.ringing:.1f}s",
            f"{report.unreachable:.1f}s",
        )
    return table


def totals(reports: Sequence[Report]) -> str:
    """All agents in one sentence, and what the table's words mean."""
    late = [boundary.late for report in reports for boundary in report.boundaries if boundary.late is not None]
    lateness = ""
    if late:
        lateness = f"{statistics.median(late) * 1000:.0f} ms late at the median, {max(late) * 1000:.0f} ms at most, "
    return (
        f"{sum(len(report.busy) for report in reports)} windows (stretches of meetings), "
        f"{sum(len(report.updates) for report in reports)} updates, "
        f"{lateness}"
        f"{sum(report.ringing + report.unreachable for report in reports):.1f} s wrong in all "
        "(ringing in a meeting, or unreachable after it)."
    )


class _Stop:
    """Sets `event` on SIGINT and SIGTERM for as long as it is entered."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self.event.set)
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)


def _greet(console: Console, url: str, day_seconds: float, seconds: float | None) -> None:
    console.print(f"[bold]Dashboard: {url}[/]", highlight=False)
    console.print(
        f"{len(PEOPLE)} agents live through a working day in {day_seconds:.0f} seconds, over and over. Google Calendar "
        "and Aircall are strict stand-ins on this machine; the daemon is the real one, and its log follows. "
        "Watch Amy: her first meeting begins in a few seconds. The buttons on the page change calendars and phones."
    )
    console.print("Ctrl-C ends it." if seconds is None else f"It ends by itself after {seconds:.0f} seconds.")


async def _until_over(
    stop: asyncio.Event, daemon: asyncio.subprocess.Process, story: Coroutine[Any, Any, None], seconds: float | None
) -> bool:
    """Wait for the end, whatever brings it; says whether that was the daemon's."""
    days = asyncio.create_task(story, name="days")
    told = asyncio.create_task(stop.wait(), name="stop")
    death = asyncio.create_task(daemon.wait(), name="daemon")
    try:
        await asyncio.wait({days, told, death}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if days.done():
            days.result()
        return death.done()
    finally:
        for task in (days, told, death):
            await _cancelled(task)


async def _days(day: Day, pace: Pace) -> None:
    while True:
        day = await day.run(pace.now, pace.sleep)


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def _daemon(config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The daemon, in a process group of its own so that Ctrl-C reaches it through us alone."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "calsyncd.demo.daemon", str(config)),
        env={**os.environ, "NO_PROXY": "127.0.0.1,localhost"},
        stdin=asyncio.subprocess.PIPE,
        process_group=0,
    )
    try:
        yield process
    finally:
        await _terminate(process)


async def _terminate(process: asyncio.subprocess.Process) -> int:
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            process.kill()
    return await process.wait()


def _free_addresses(count: int) -> list[str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [f"127.0.0.1:{found.getsockname()[1]}" for found in sockets]
    finally:
        for found in sockets:
            found.close()
