"""Health and readiness of a whole daemon, each broken by what breaks it: real listeners, real SQLite, the sandbox.

The daemon lives in the test's loop, by a clock that can be put forward and whose waits can be made endless.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from calsyncd import config
from calsyncd.clock import NOT_BEFORE, SystemClock
from calsyncd.core.alarms import OWED_SECONDS
from calsyncd.daemon import Daemon
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.world import Sandbox
from calsyncd.vitals import DATABASE_STALL_SECONDS, LOOP_STALL_SECONDS
from tests.acceptance.running import free_port

AMY = "amy@example.com"


class LeapingClock(SystemClock):
    """The machine's clock, put forward by `leap`; pauses are short, and with `stuck` no wait ends."""

    def __init__(self) -> None:
        self.leap = 0.0
        self.free = asyncio.Event()
        self.free.set()
        super().__init__()

    def now(self) -> float:
        return super().now() + self.leap

    def monotonic(self) -> float:
        return super().monotonic() + self.leap

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.05))

    async def wait(self, until: float | None, wake: asyncio.Event) -> None:
        await self.free.wait()
        await super().wait(None if until is None else until - self.leap, wake)


@dataclass
class Life:
    """A daemon that runs, and what it says of itself."""

    daemon: Daemon
    clock: LeapingClock
    session: aiohttp.ClientSession
    public: str
    admin: str
    state: Path
    systemd: socket.socket

    async def leap(self, seconds: float) -> None:
        """Let so much time pass at once, and the loop turn and the database be asked, if they can."""
        self.clock.leap += seconds
        self.daemon.scheduler.touch()
        await asyncio.sleep(0.1)

    async def asked(self, path: str) -> tuple[int, dict[str, Any]]:
        """What the admin listener answers."""
        async with self.session.get(f"{self.admin}{path}") as answer:
            return answer.status, await answer.json()

    async def health(self) -> tuple[int, int, str]:
        """The statuses of both listeners' /healthz, and the reason."""
        async with self.session.get(f"{self.public}/healthz") as answer:
            public = answer.status
        admin, told = await self.asked("/healthz")
        return public, admin, told["reason"]

    async def until(self, path: str, wanted: Callable[[int, dict[str, Any]], bool]) -> tuple[int, dict[str, Any]]:
        """The first answer that is as wanted."""
        async with asyncio.timeout(10):
            while not wanted(*(answer := await self.asked(path))):
                await asyncio.sleep(0.02)
        return answer

    async def value(self, name: str, **labels: str) -> float:
        """A metric, as Prometheus reads it."""
        async with self.session.get(f"{self.admin}/metrics") as answer:
            families = list(text_string_to_metric_families(await answer.text()))
        samples = [sample for family in families for sample in family.samples]
        return next(one.value for one in samples if one.name == name and one.labels == labels)

    async def fed(self) -> bool:
        """Whether systemd's watchdog is fed, from now on."""
        with contextlib.suppress(BlockingIOError):
            while self.systemd.recv(4096):
                pass
        await asyncio.sleep(0.3)
        told = b""
        with contextlib.suppress(BlockingIOError):
            while data := self.systemd.recv(4096):
                told += data + b"\n"
        return b"WATCHDOG=1" in told


@pytest.fixture
def push() -> bool:
    """Whether Google is told where the daemon listens."""
    return False


@pytest.fixture
async def life(sandbox: Sandbox, tmp_path: Path, push: bool) -> AsyncIterator[Life]:
    """A daemon for Amy that listens; systemd watches it."""
    public, admin = free_port(), free_port()
    path = sandbox.write_config(
        tmp_path,
        [AMY],
        listen=f"127.0.0.1:{public}",
        admin_listen=f"127.0.0.1:{admin}",
        public_url=PUBLIC_ORIGIN if push else None,
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)  # noqa: FBT003 - the library's own name
        environ = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        clock = LeapingClock()
        daemon = Daemon(config.load(path, environ), path, environ, clock)
        running = asyncio.create_task(daemon.run())
        async with aiohttp.ClientSession() as session:
            urls = f"http://127.0.0.1:{public}", f"http://127.0.0.1:{admin}"
            made = Life(daemon, clock, session, *urls, tmp_path / "state", systemd)
            async with asyncio.timeout(10):
                while not running.done():
                    with contextlib.suppress(aiohttp.ClientConnectionError):
                        await made.health()
                        break
                    await asyncio.sleep(0.02)
            yield made
        clock.free.set()
        daemon._stop.set()
        async with asyncio.timeout(20):
            await running


def meeting(sandbox: Sandbox, start: float, end: float) -> None:
    """A meeting of Amy's from `start` to `end` seconds from now."""
    now = time.time()
    sandbox.google.insert(
        AMY,
        {"summary": "x", "start": {"dateTime": second(now + start)}, "end": {"dateTime": second(now + end)}},
    )


async def test_a_loop_that_stands_still(life: Life) -> None:
    """A wait that never ends: both listeners and the metric say so, systemd is told nothing; and it passes."""
    await life.until("/readyz", lambda status, _: status == 200)
    assert await life.health() == (200, 200, "")
    assert await life.fed()

    life.clock.free.clear()
    life.daemon.scheduler.touch()
    await asyncio.sleep(0.1)
    await life.leap(LOOP_STALL_SECONDS - 5)
    assert (await life.health())[0] == 200
    await life.leap(6)

    assert await life.health() == (503, 503, "the loop does not turn")
    assert (await life.asked("/healthz?only=loop"))[0] == 503
    assert not await life.fed()
    assert await life.value("calsyncd_healthy") == 0

    life.clock.free.set()
    await life.until("/healthz", lambda status, _: status == 200)
    assert await life.fed()


async def test_a_database_that_does_not_answer(life: Life) -> None:
    """Somebody keeps it locked: red after half a minute, and no sooner; green as soon as they let go."""
    await life.until("/readyz", lambda status, _: status == 200)
    with contextlib.closing(sqlite3.connect(life.state / "calsyncd.db", isolation_level=None)) as neighbour:
        neighbour.execute("BEGIN EXCLUSIVE")
        # A question that was answered just before the lock is over by then.
        await asyncio.sleep(0.2)
        await life.leap(DATABASE_STALL_SECONDS - 5)
        assert await life.health() == (200, 200, "")
        await life.leap(6)

        assert await life.health() == (503, 503, "the database does not answer")
        assert (await life.asked("/healthz?only=loop"))[0] == 200
        assert await life.fed(), "what is in memory stays in force, and a restart would lose the history too"
        assert await life.value("calsyncd_healthy") == 0
        neighbour.execute("ROLLBACK")

    await life.until("/healthz", lambda status, _: status == 200)
    assert await life.fed()


async def test_a_database_that_can_be_read_and_not_be_written(sandbox: Sandbox, life: Life) -> None:
    """There is no room in it: calendars count all the same, and an alarm tells of it until what waits is written."""
    await life.until("/readyz", lambda status, _: status == 200)
    await life.daemon.store._connection.execute("PRAGMA max_page_count = 1")
    for number in range(200):
        meeting(sandbox, 3600 * number, 3600 * number + 1800)

    async def said_within(action: str, seconds: float) -> bool:
        with capture_logs() as said:
            for _ in range(int(seconds / 20)):
                await life.leap(20)
        return any((line["action"], line.get("code")) == (action, "database") for line in said)

    await life.daemon.control.sync(None)
    async with asyncio.timeout(10):
        while not (life.daemon.syncer.unwritten and life.daemon.phones.held()):
            await asyncio.sleep(0.02)
    assert await said_within("alarm_raised", 400)
    await life.daemon.store._connection.execute("PRAGMA max_page_count = 100000")
    assert await said_within("alarm_cleared", 400)

    assert len(await life.daemon.store.events(AMY, [f"{AMY}/primary"], 0.0, 1e12)) == 200


async def test_an_outage_of_both_services(sandbox: Sandbox, life: Life) -> None:
    """Hours without Google and Aircall: no restart would help, so all stays green and systemd is content."""
    for service in (sandbox.google, sandbox.aircall):
        service.fail(times=None, status=503, body="")
    for _ in range(8):
        await life.leap(1800)

    assert await life.health() == (200, 200, "")
    assert await life.fed()


@pytest.fixture
def slow_google(sandbox: Sandbox) -> None:
    """Google takes its time to refuse a calendar."""
    sandbox.google.fail("GET .*/events", times=None, status=503, body="", delay=1.0)


async def test_ready_once_every_calendar_was_tried(slow_google: None, life: Life) -> None:
    """Not before the first read has come to an end, if only in vain."""
    began = time.monotonic()
    _, told = await life.until("/readyz", lambda _, told: bool(told["reasons"]))

    assert told == {"ready": False, "reasons": ["1 calendars have not been read yet"]}
    assert await life.health() == (200, 200, "")

    await life.until("/readyz", lambda status, _: status == 200)
    assert time.monotonic() - began > 0.5


async def test_ready_after_five_seconds_in_any_case(slow_google: None, life: Life) -> None:
    """Who waits for Google to answer must not wait for ever."""
    assert (await life.asked("/readyz"))[0] == 503
    await life.leap(6)

    assert (await life.asked("/readyz"))[0] == 200


async def test_not_ready_while_updates_are_owed(sandbox: Sandbox, life: Life) -> None:
    """Aircall refuses updates: beyond the alarm's age it is not ready, says whom, and is well; it recovers."""
    sandbox.aircall.fail("PUT", times=None, status=503, body="")
    meeting(sandbox, -1, 3600)
    await life.daemon.control.sync(AMY)
    await life.until(f"/api/v1/agents/{AMY}", lambda _, agent: agent["state"] == "pending")
    before = await life.value("calsyncd_wrong_state_seconds_total", kind="ringing")
    await life.leap(OWED_SECONDS - 30)
    assert (await life.asked("/readyz"))[0] == 200
    await life.leap(31)

    _, told = await life.until("/readyz", lambda status, _: status == 503)

    assert told["reasons"] == [f"updates are owed for over 300 s: {AMY}"]
    assert await life.health() == (200, 200, "")
    await asyncio.sleep(0.15)
    assert await life.value("calsyncd_owed_updates") == 1
    assert await life.value("calsyncd_owed_age_seconds") > OWED_SECONDS
    # It is counted while it lasts.
    assert await life.value("calsyncd_wrong_state_seconds_total", kind="ringing") > before + OWED_SECONDS - 5

    sandbox.aircall.faults.clear()
    await life.leap(60)
    await life.until("/readyz", lambda status, _: status == 200)
    assert sandbox.aircall.setting(456).status == "unavailable"


async def test_not_ready_with_a_clock_that_cannot_be_right(sandbox: Sandbox, life: Life) -> None:
    """Both services say that it is years ago, before this program was written."""
    for service in (sandbox.google, sandbox.aircall):
        service.clock_skew = NOT_BEFORE - time.time() - 86400
    await life.leap(4000)

    _, told = await life.until("/readyz", lambda status, _: status == 503)

    assert told["reasons"] == ["the clock is not credible"]
    assert await life.health() == (200, 200, "")


@pytest.mark.parametrize("push", [True])
async def test_what_push_has_not_told_is_counted(sandbox: Sandbox, life: Life) -> None:
    """Google loses a notification on a healthy channel: the poll finds the change, and the metrics tell of both."""

    async def channels(health: str) -> float:
        return await life.value("calsyncd_channels", health=health)

    async with asyncio.timeout(10):
        while not await channels("healthy"):
            await asyncio.sleep(0.05)
        # What came before the channel was open is read once it is.
        while not await life.value("calsyncd_syncs_total", kind="delta", result="unchanged"):
            await asyncio.sleep(0.05)
    await sandbox.settle()
    assert await life.value("calsyncd_push_missed_total") == 0
    sandbox.google.push.switches.drop = 1
    meeting(sandbox, 7200, 9000)
    await life.leap(400)

    async with asyncio.timeout(10):
        while not await life.value("calsyncd_push_missed_total"):
            await asyncio.sleep(0.05)
    await life.leap(60)
    assert await channels("silent") == 1
    assert await channels("healthy") == 0


async def test_a_reload_waits_for_no_disk(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """What two reloads leave on disk is written beside the loop, which turns meanwhile, and is the second's."""
    synced, fsync = [], os.fsync

    def slow(descriptor: int) -> None:
        synced.append(threading.current_thread())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    path = life.daemon._path
    first = path.read_bytes()
    for days in (30, 31):
        path.write_bytes(first + f"history: {{keep: {days}d}}\n".encode())
        life.daemon.reload()
    async with asyncio.timeout(10):
        while (life.state / config.KEPT).read_bytes() != path.read_bytes():
            await asyncio.sleep(0.02)

    assert synced
    assert threading.main_thread() not in synced


async def test_the_loop_turns_while_the_settings_of_many_are_read(life: Life) -> None:
    """Whatever is due while a large company's settings are read again is not kept waiting by that."""
    path, turns = life.daemon._path, 0
    many = "".join(f"- {{email: agent{number}@example.com, aircall_user: {number}}}\n" for number in range(1000, 3000))
    path.write_text(path.read_text() + many)
    life.daemon.reload()
    async with asyncio.timeout(30):
        while len(life.daemon.following.who) < 2001:
            await asyncio.sleep(0.001)
            turns += 1

    assert turns > 10
