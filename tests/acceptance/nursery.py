"""Daemons that are forked from a process which has imported the program already.

An interpreter takes most of a second of a processor to start. Where dozens of daemons start and restart beside others
whose lateness is measured, that would be what is measured. Each is a process of its own all the same, with its own
settings, state and end; `test_ten_events` starts them in the usual way.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import itertools
import json
import os
import resource
import select
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

FOLDER = Path(__file__).parent.parent.parent


class Born:
    """A daemon's process, as far as `asyncio.subprocess.Process` is used of it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.stdout: asyncio.StreamReader | None = None
        self.returncode: int | None = None
        self._gone = asyncio.Event()

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it is gone."""
        if self.returncode is None:
            os.kill(self.pid, number)

    async def wait(self) -> int:
        """Wait for its end; its exit status, negative for a signal's number."""
        await self._gone.wait()
        assert self.returncode is not None
        return self.returncode

    def ended(self, status: int) -> None:
        """It is gone, and reaped."""
        self.returncode = status
        self._gone.set()


class Nursery:
    """Where daemons are forked. Use as an async context manager; what is left at the end is killed."""

    def __init__(self) -> None:
        self._mother: asyncio.subprocess.Process | None = None
        self._children: dict[int, Born] = {}
        self._births: asyncio.Queue[Born] = asyncio.Queue()
        self._one = asyncio.Lock()
        self._count = itertools.count(1)

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Nursery]:
        """With its process running."""
        self._mother = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.acceptance.nursery",
            cwd=FOLDER,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        listener = asyncio.create_task(self._listen(self._mother))
        try:
            yield self
        finally:
            for child in self._children.values():
                child.send_signal(signal.SIGKILL)
            assert self._mother.stdin is not None
            self._mother.stdin.close()
            await listener
            await self._mother.wait()

    @contextlib.contextmanager
    def files(self, most: int) -> Iterator[None]:
        """Whoever is born in this block may have so many files open."""
        assert self._mother is not None
        usual = resource.prlimit(self._mother.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self._mother.pid, resource.RLIMIT_NOFILE, (most, usual[1]))
        try:
            yield
        finally:
            resource.prlimit(self._mother.pid, resource.RLIMIT_NOFILE, usual)

    async def run(self, config: Path) -> Born:
        """`calsyncd run` with these settings; what it writes to standard output and error is the process's `stdout`."""
        assert self._mother is not None
        assert self._mother.stdin is not None
        pipe = config.parent / f"output-{next(self._count)}"
        os.mkfifo(pipe)
        reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", 0)
        )
        async with self._one:
            self._mother.stdin.write(json.dumps([str(config), str(pipe)]).encode() + b"\n")
            child = await self._births.get()
        child.stdout = reader
        return child

    async def _listen(self, mother: asyncio.subprocess.Process) -> None:
        assert mother.stdout is not None
        async for line in mother.stdout:
            pid, status = json.loads(line)
            if status is None:
                self._children[pid] = Born(pid)
                self._births.put_nowait(self._children[pid])
            else:
                self._children[pid].ended(status)


def _mother() -> None:
    """Fork a daemon for each line of standard input; tell of each birth and end on standard output."""
    # What a daemon needs is imported once: here.
    importlib.import_module("calsyncd.daemon")
    importlib.import_module("calsyncd.cli")
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    living: set[int] = set()
    lines = b""
    is_open = True
    while is_open or living:
        ready, _, _ = select.select([wake, *([0] if is_open else [])], [], [])
        if 0 in ready:
            read = os.read(0, 65536)
            is_open = bool(read)
            *whole, lines = (lines + read).split(b"\n")
            for line in whole:
                config, pipe = json.loads(line)
                # Before the fork, so that whoever reads it sees the end of a child that is killed at once.
                output = os.open(pipe, os.O_WRONLY)
                pid = os.fork()
                if pid == 0:
                    _child(config, output, wake, waker)
                os.close(output)
                living.add(pid)
                _say(pid, None)
        if wake in ready:
            os.read(wake, 65536)
        for pid in list(living):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                living.discard(pid)
                _say(pid, os.waitstatus_to_exitcode(status))


def _say(pid: int, status: int | None) -> None:
    os.write(1, json.dumps([pid, status]).encode() + b"\n")


def _child(config: str, output: int, *inherited: int) -> None:
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        for number in (*inherited, output, nothing):
            os.close(number)
        sys.argv = ["calsyncd", "run", "--config", config]
        importlib.import_module("calsyncd.cli").main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(status)


if __name__ == "__main__":
    _mother()
