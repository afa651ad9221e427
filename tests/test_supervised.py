"""What the supervisor is told, by a real socket and a real loop, and what it may hand over."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from calsyncd.clock import SystemClock
from calsyncd.scheduler import Scheduler
from calsyncd.supervised import Supervised, status_line

NOON = 1795262400.0
"""2026-11-21T12:00:00Z."""


def received(manager: socket.socket) -> list[str]:
    """What has been said."""
    said = []
    while True:
        try:
            said.append(manager.recv(4096).decode())
        except BlockingIOError:
            return said


async def test_the_watchdog_is_fed_only_while_the_loop_turns(tmp_path: Path) -> None:
    """Where the loop hangs, the rest of the process goes on and nothing is said; nor is it before a turn."""
    clock = SystemClock()
    scheduler = Scheduler(clock)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)  # noqa: FBT003 - the library's own name
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000"}
        supervised = Supervised(environ, clock, scheduler, lambda: "")
        assert supervised.watched == 0.05
        feeding = asyncio.create_task(supervised.feed(supervised.watched))
        await asyncio.sleep(0.2)
        before = received(manager)
        turning = asyncio.create_task(scheduler.run())
        await asyncio.sleep(0.28)
        while_turning = received(manager)
        turning.cancel()
        await asyncio.sleep(0.06)
        received(manager)
        await asyncio.sleep(0.2)
        after = received(manager)
        feeding.cancel()
        await asyncio.gather(feeding, turning, return_exceptions=True)
        clock.close()

    assert before == []
    assert 2 <= len(while_turning) <= 6
    assert set(while_turning) == {"WATCHDOG=1\n"}
    assert after == []


async def test_the_status_is_said_again_only_when_it_changes(tmp_path: Path) -> None:
    """Within a second; what was lost because nobody read is said the next time."""
    clock = SystemClock()
    status = ["8 agents"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)  # noqa: FBT003 - the library's own name
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        supervised = Supervised(environ, clock, Scheduler(clock), lambda: status[0])
        supervised.ready()
        telling = asyncio.create_task(supervised.tell())
        await asyncio.sleep(0.05)
        status[0] = "8 agents: 1 held"
        await asyncio.sleep(1.1)
        telling.cancel()
        said = received(manager)
        clock.close()

    assert supervised.is_told
    assert said == ["READY=1\nSTATUS=8 agents\n", "STATUS=8 agents: 1 held\n"]


@pytest.mark.parametrize(
    ("states", "owed", "boundary", "alarms", "line"),
    [
        ([], 0, None, [], "0 agents; 0 owed"),
        (
            ["idle"] * 5 + ["held"] * 3,
            0,
            NOON + 9000,
            [],
            "8 agents: 3 held, 5 idle; 0 owed; next boundary 14:30:00Z",
        ),
        (
            ["pending", "idle", "paused"],
            1,
            NOON + 86400,
            ["updates_owed"],
            "3 agents: 1 paused, 1 pending, 1 idle; 1 owed; next boundary 2026-11-22 12:00:00Z; alarms: updates_owed",
        ),
        (["held"], 0, None, ["d", "a", "b", "c", "a"], "1 agents: 1 held; 0 owed; alarms: a, b, c, …"),
    ],
)
def test_the_status_says_how_it_is(
    states: list[str], owed: int, boundary: float | None, alarms: list[str], line: str
) -> None:
    """Agents by state, the idle last; what is owed; what comes next; what needs somebody."""
    assert status_line(states, owed, boundary, alarms, NOON) == line


PROGRAM = """
import os, socket, sys
from calsyncd.clock import SystemClock
from calsyncd.errors import UserError
from calsyncd.scheduler import Scheduler
from calsyncd.supervised import Supervised
clock = SystemClock()
listening = [socket.create_server((host, 0)) for host in ("127.0.0.1", "0.0.0.0")]
path = socket.socket(socket.AF_UNIX)
path.bind(sys.argv[1])
far = [os.dup2(one.fileno(), 50 + number) for number, one in enumerate([*listening, path])]
for names, chosen in (("public", far[1:2]), ("admin", far[:1]), ("admin", far[2:]),
                      ("calsyncd.socket", far[:1]), ("public:admin", far[:2])):
    for number, fd in enumerate(chosen, 3):
        os.dup2(fd, number)
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(chosen)), "LISTEN_FDNAMES": names}
    try:
        print(sorted(Supervised(environ, clock, Scheduler(clock), str).sockets()))
    except UserError as error:
        print(error.exit_code, error)
"""


def test_sockets_that_nobody_should_listen_on_are_refused(tmp_path: Path) -> None:
    """One of no listener's name would be lost without a word."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "sock"],
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    *good, nameless, mixed = done.stdout.splitlines()
    assert good == ["['public']", "['admin']", "['admin']"]
    assert mixed == "['admin', 'public']"
    assert nameless.startswith("78 a listening socket named calsyncd.socket was handed over: FileDescriptorName=")
