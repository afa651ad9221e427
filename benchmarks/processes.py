"""The processes that a measure starts: the daemon, and the bench's own helpers beside it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.figures import MeasureError

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 10.0
LINE_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class Daemon:
    """`calsyncd run` as a process of its own, started at `began` (epoch seconds)."""

    process: asyncio.subprocess.Process
    began: float
    tail: list[str] = field(default_factory=list)
    _started: asyncio.Event = field(default_factory=asyncio.Event)

    async def started(self) -> None:
        """Return when it says that it acts; MeasureError if it ends instead."""
        async with asyncio.timeout(START_SECONDS):
            await self._started.wait()
        if self.process.returncode is not None:
            raise MeasureError("the daemon ended: " + "".join(self.tail))

    def memory(self, field_name: str = "VmRSS") -> float:
        """Its resident memory in MB (10^6 bytes), now; the highest so far with `VmHWM`."""
        return memory_of(self.process.pid, field_name)

    async def read(self) -> None:
        """Read its log until it ends; the last lines are kept."""
        assert self.process.stdout is not None  # noqa: S101 - it is started with a pipe
        async for line in self.process.stdout:
            text = line.decode(errors="replace")
            self.tail = [*self.tail[-20:], text]
            if '"action": "started"' in text:
                self._started.set()
        await self.process.wait()
        self._started.set()


@asynccontextmanager
async def daemon(config: Path) -> AsyncIterator[Daemon]:
    """A daemon with these settings, stopped in order at the end."""
    began = time.time()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "calsyncd", "run", "--config", str(config)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
        env=_environment(),
    )
    running = Daemon(process, began)
    reader = asyncio.create_task(running.read())
    try:
        yield running
    finally:
        await _end(process)
        await reader


@asynccontextmanager
async def helper(module: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A module of the bench as a process with pipes, killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=_environment(),
        limit=LINE_BYTES,
    )
    try:
        yield process
    finally:
        await _end(process)


async def told(process: asyncio.subprocess.Process) -> Any:
    """The next line of a helper, parsed; MeasureError if it says nothing more."""
    assert process.stdout is not None  # noqa: S101 - helpers are started with pipes
    async with asyncio.timeout(START_SECONDS):
        line = await process.stdout.readline()
    if not line:
        raise MeasureError(f"a process of the bench ended with status {await process.wait()}")
    return json.loads(line)


def ask(process: asyncio.subprocess.Process, what: object) -> None:
    """Send a helper one line."""
    assert process.stdin is not None  # noqa: S101 - helpers are started with pipes
    process.stdin.write(json.dumps(what).encode() + b"\n")


def say(what: object) -> None:
    """A helper's line to whoever started it."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def memory_of(pid: int, field_name: str = "VmRSS") -> float:
    """A process's resident memory in MB (10^6 bytes), as Linux counts it."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(f"{field_name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise MeasureError(f"the system does not tell {field_name} of a process")


def free_addresses(count: int) -> list[str]:
    """Addresses of loopback that nobody listens on just now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [f"127.0.0.1:{found.getsockname()[1]}" for found in sockets]
    finally:
        for found in sockets:
            found.close()


async def until(done: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Return when `done`; MeasureError names `what` if it does not come."""
    try:
        async with asyncio.timeout(seconds):
            while not done():  # noqa: ASYNC110 - what is waited for is another process's doing
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise MeasureError(f"this did not come within {seconds:.0f} s: {what}") from None


async def sleep_until(at: float) -> None:
    """Return at this instant of the wall clock, or a little later."""
    while (left := at - time.time()) > 0:  # noqa: ASYNC110 - the wall clock sets no event
        await asyncio.sleep(left)


def _environment() -> dict[str, str]:
    """Ours, without what would lead a daemon elsewhere than to this machine and its settings.

    It finds its modules compiled, as pip leaves them: whoever comes first leaves them so.
    """
    mine = {
        "PYTHONDONTWRITEBYTECODE",
        "NOTIFY_SOCKET",
        "LISTEN_FDS",
        "LISTEN_PID",
        "STATE_DIRECTORY",
        "CREDENTIALS_DIRECTORY",
        "WATCHDOG_USEC",
    }
    kept = {name: value for name, value in os.environ.items() if name not in mine}
    return {**kept, "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
