"""Parts of the daemon that fail, hang or spin, in a whole daemon that lives in the test's loop."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from calsyncd import config
from calsyncd.absence import Absence
from calsyncd.alarms import Watch
from calsyncd.calendars import Push, Syncer
from calsyncd.connections import Connections
from calsyncd.daemon import Daemon
from calsyncd.grants import Grants
from calsyncd.journal import Journal
from calsyncd.phones import Phones
from calsyncd.sandbox.world import Sandbox
from calsyncd.scheduler import Scheduler
from calsyncd.supervised import Supervised
from calsyncd.vitals import Vitals
from tests.acceptance.running import free_port
from tests.acceptance.test_life import AMY, meeting

pytestmark = pytest.mark.asyncio(loop_scope="module")

Begin = Callable[..., tuple[Daemon, asyncio.Task[None]]]


@pytest_asyncio.fixture(loop_scope="module")
async def begin(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Begin]:
    """Start a daemon with every part that there is: agents connect by themselves, and systemd watches."""
    running: list[tuple[Daemon, asyncio.Task[None]]] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))

        def start(*, consent: bool = True) -> tuple[Daemon, asyncio.Task[None]]:
            path = sandbox.write_config(
                tmp_path,
                [AMY],
                listen=f"127.0.0.1:{free_port()}",
                admin_listen=f"127.0.0.1:{free_port()}",
                consent=consent,
            )
            environ = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "60000000"}
            daemon = Daemon(config.load(path, environ), path, environ)
            running.append((daemon, asyncio.create_task(daemon.run())))
            return running[-1]

        yield start
        for daemon, task in running:
            if not task.done():
                daemon._stop.set()
                await task


class Injected(Exception):
    """A fault of our own program."""


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Scheduler, "run"),
        (Journal, "run"),
        (Vitals, "ask_database"),
        (Vitals, "watch_lag"),
        (Daemon, "_tidy"),
        (Daemon, "_pulse"),
        (Daemon, "_reloads"),
        (Daemon, "_keep_ledger"),
        (Watch, "run"),
        (Absence, "live"),
        (Connections, "keep"),
        (Grants, "keep"),
        (Supervised, "feed"),
        (Supervised, "tell"),
        # What the loop starts: for an agent, a calendar, a channel.
        (Phones, "_perform"),
        (Syncer, "_fetch"),
        (Push, "_upkeep"),
    ],
)
async def test_a_part_that_dies_takes_the_process_along(
    sandbox: Sandbox, begin: Begin, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    """By an exception that nobody has foreseen: within a second it is the process's own, and nothing hides it."""
    sandbox.add_agent(AMY, user_id=1)
    meeting(sandbox, AMY, -60, 3600)
    died: list[float] = []

    async def die(*_: Any) -> None:
        died.append(time.monotonic())
        raise Injected

    monkeypatch.setattr(owner, name, die)
    _, running = begin(consent=owner in (Connections, Grants))

    with pytest.raises(Injected):
        async with asyncio.timeout(10):
            await running
    assert time.monotonic() - died[0] < 1.0


async def test_a_part_that_ends_takes_the_process_along(
    sandbox: Sandbox, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor may one simply be over."""
    sandbox.add_agent(AMY, user_id=1)

    async def end(_: Watch) -> None:
        """Nothing more to do."""

    monkeypatch.setattr(Watch, "run", end)
    _, running = begin()

    with pytest.raises(RuntimeError, match="ended by itself"):
        async with asyncio.timeout(10):
            await running
