"""A real daemon process beside the sandbox, and what its log says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.acceptance.nursery import Born, Nursery

START_SECONDS = 20.0
STOP_SECONDS = 10.0


PORTS = range(10_000, 32_000)
"""Below those from which the system gives outgoing connections theirs: a daemon that restarts gets its own again."""


def free_port() -> int:
    """A port of loopback that nobody listens on just now."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


HAND_OVER = """
import fcntl, os, sys
names, fds, *arguments = sys.argv[1:]
far = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in fds.split(",")]
for number, fd in enumerate(far, 3):
    os.dup2(fd, number)
    os.close(fd)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(far)), "LISTEN_FDNAMES": names}
os.execv(sys.executable, [sys.executable, *arguments])
"""
"""Starts a program as systemd does that has sockets for it: the same process, the sockets from descriptor 3 on."""


@dataclass
class Running:
    """`calsyncd run` as a process. `lines` is its log so far, parsed; with a `nursery` it is forked there.

    `sockets` are handed over at each start, by name; they stay open here. `within` is what it is started by, such as
    `unshare --mount`.
    """

    config: Path
    admin: str
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    lines: list[dict[str, Any]] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    process: asyncio.subprocess.Process | Born | None = None
    nursery: Nursery | None = None
    sockets: Mapping[str, socket.socket] = field(default_factory=dict)
    within: tuple[str, ...] = ()
    _reader: asyncio.Task[None] | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Start it, and return when it says that it acts."""
        seen = len(self.lines)
        if self.nursery is not None:
            self.process = await self.nursery.run(self.config)
        else:
            fds = [sock.fileno() for sock in self.sockets.values()]
            handing_over = ["-c", HAND_OVER, ":".join(self.sockets), ",".join(map(str, fds))] if fds else []
            self.process = await asyncio.create_subprocess_exec(
                *self.within,
                sys.executable,
                *handing_over,
                "-m",
                "calsyncd",
                "run",
                "--config",
                str(self.config),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=dict(self.environ),
                pass_fds=fds,
            )
        self._reader = asyncio.create_task(self._read(self.process))
        await self.logged("started", since=seen)

    async def kill(self) -> None:
        """`kill -9`, at once."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        await self._gone()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; its exit status."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self._gone()

    async def _gone(self) -> int:
        assert self.process is not None
        assert self._reader is not None
        async with asyncio.timeout(STOP_SECONDS):
            status = await self.process.wait()
            await self._reader
        return status

    async def logged(self, action: str, *, since: int = 0, **fields: Any) -> dict[str, Any]:
        """The first line from `since` on with this action and these fields; waits for it."""
        try:
            async with asyncio.timeout(START_SECONDS):
                while True:
                    self._news.clear()
                    for line in self.lines[since:]:
                        if line.get("action") == action and fields.items() <= line.items():
                            return line
                    if self.process is not None and self.process.returncode is not None:
                        raise AssertionError("the daemon ended: " + "".join(self.raw))
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{action} was not logged:\n" + "".join(self.raw)) from None

    async def answers(self) -> None:
        """Return when the admin API answers."""
        async with asyncio.timeout(START_SECONDS), aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"{self.admin}/healthz"):
                        return
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.1)

    async def agents(self) -> dict[str, dict[str, Any]]:
        """What the admin API says, by e-mail."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.admin}/api/v1/agents") as answer:
            body = await answer.json()
        return {agent["email"]: agent for agent in body["agents"]}

    async def get(self, what: str) -> dict[str, Any]:
        """What the admin API says of something."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.admin}/api/v1/{what}") as answer:
            return dict(await answer.json())

    async def until(self, email: str, *, within: float = START_SECONDS, **wanted: Any) -> dict[str, Any]:
        """The agent, as soon as these fields of theirs have these values."""
        async with asyncio.timeout(within):
            while True:
                agent = (await self.agents())[email]
                if wanted.items() <= agent.items():
                    return agent
                await asyncio.sleep(0.05)

    async def _read(self, process: asyncio.subprocess.Process | Born) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            text = line.decode()
            self.raw.append(text)
            try:
                self.lines.append(json.loads(text))
            except ValueError:
                self.lines.append({"action": None, "text": text})
            self._news.set()
        self._news.set()


async def command(*arguments: str, environ: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Run `calsyncd` with these arguments: (exit status, standard output, standard error)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "calsyncd",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(os.environ if environ is None else environ),
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()
