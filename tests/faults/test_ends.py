"""How the process ends: told to, refused at its start, signalled, or not run for a while."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
import yaml

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.nursery import Nursery
from tests.acceptance.running import Running
from tests.acceptance.test_life import AMY, BOB, meeting, statuses
from tests.faults.conftest import Prepare
from tests.faults.depth import rounds
from tests.faults.killing import owed

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROMPT_SECONDS = 5.0
"""Whatever happens: no supervisor has to kill it."""


async def stopped(daemon: Running) -> tuple[int, float]:
    """SIGTERM: the exit status, and how long it took."""
    began = time.monotonic()
    status = await daemon.stop()
    return status, time.monotonic() - began


def led_to(pid: int) -> list[Path]:
    """Where a process's standard streams lead."""
    return [Path(f"/proc/{pid}/fd/{number}").readlink() for number in range(3)]


@pytest.mark.parametrize("seconds", [30.0, 2.0][: rounds(1, 2)])
async def test_told_to_stop_in_an_update(sandbox: Sandbox, prepare: Prepare, seconds: float) -> None:
    """An answer of two seconds is waited for; one of thirty stays unknown: written down, and settled by the next."""
    sandbox.add_agent(AMY, user_id=1, status="custom")
    meeting(sandbox, AMY, -60, 3600)
    sandbox.aircall.fail("PUT", delay=seconds)
    daemon = prepare([AMY])
    state = daemon.config.parent / "state"
    await daemon.start()
    await daemon.until(AMY, state="pending")
    async with asyncio.timeout(5):
        while 1 not in owed(state):
            await asyncio.sleep(0.01)

    status, took = await stopped(daemon)
    *_, last = (state / "ledger").read_text().splitlines()
    shown = sandbox.aircall.setting(1).status
    await daemon.start()
    async with asyncio.timeout(15):
        # A look that shows no sign of the update is believed at the second time.
        while sandbox.aircall.setting(1).status != "unavailable":
            await asyncio.sleep(0.05)

    assert status == 0
    assert took < PROMPT_SECONDS
    assert owed(state)[1].availability_status == "custom"
    assert ('"lost_at":null' in last, shown) == (
        (True, "unavailable") if seconds < PROMPT_SECONDS else (False, "custom")
    )


async def test_told_to_stop_in_the_middle_of_pages(sandbox: Sandbox, prepare: Prepare) -> None:
    """At the third page of nine of a new baseline: what was stored before stays in force, and nothing is half there."""
    sandbox.add_agent(AMY, user_id=1)
    sandbox.google.lists.most_per_page = 10
    for number in range(85):
        meeting(sandbox, AMY, 86400 + number * 600, 86400 + number * 600 + 300)
    daemon = prepare([AMY])
    database = daemon.config.parent / "state" / "calsyncd.db"
    await daemon.start()
    await daemon.until(AMY, state="idle")
    await daemon.stop()
    with sqlite3.connect(database) as db:
        before = sorted(db.execute("SELECT id FROM events").fetchall())
    db.close()
    sandbox.google.expire_sync_tokens()
    pages = 0

    def third(line: str) -> bool:
        nonlocal pages
        pages += line.startswith("GET") and "/events?" in line
        return pages >= 5

    sandbox.google.fail(third, times=None, delay=8.0)
    meeting(sandbox, AMY, 86400, 86401)
    await daemon.start()
    async with asyncio.timeout(10):
        while pages < 5:
            await asyncio.sleep(0.01)

    status, took = await stopped(daemon)
    with sqlite3.connect(database) as db:
        after = sorted(db.execute("SELECT id FROM events").fetchall())
    db.close()

    assert len(before) == 85
    assert (status, after) == (0, before)
    assert took < PROMPT_SECONDS


def _unknown_key(config: Path) -> None:
    config.write_text(config.read_text() + "surprise: 1\n")


def _no_yaml(config: Path) -> None:
    config.write_bytes(b"\xff\xfe\x00: [")


def _set(*keys: str, value: object) -> Callable[[Path], None]:
    def change(config: Path) -> None:
        settings = yaml.safe_load(config.read_text())
        place = settings
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        place[keys[-1]] = value
        config.write_text(yaml.safe_dump(settings))

    return change


def _bad_key(config: Path) -> None:
    (config.parent / "google.json").write_text("{}")


def _open_key(config: Path) -> None:
    (config.parent / "google.json").chmod(0o644)


def _no_token(config: Path) -> None:
    (config.parent / "aircall-token").unlink()


def _state_is_a_file(config: Path) -> None:
    (config.parent / "state").write_text("")


def _is_a_folder(name: str) -> Callable[[Path], None]:
    def make(config: Path) -> None:
        (config.parent / "state" / name).mkdir(parents=True)

    return make


def _newer_database(config: Path) -> None:
    (config.parent / "state").mkdir(mode=0o700)
    with sqlite3.connect(config.parent / "state" / "calsyncd.db") as db:
        db.execute("CREATE TABLE t (x)")
        db.execute("PRAGMA user_version = 99")
    db.close()


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        pytest.param(_unknown_key, 78, id="unknown key"),
        pytest.param(_no_yaml, 78, id="no YAML"),
        pytest.param(_bad_key, 78, id="bad key of Google's"),
        pytest.param(_open_key, 78, id="key that others can read"),
        pytest.param(_no_token, 78, id="no token of Aircall's"),
        pytest.param(_set("google", "api_url", value="http://google.example.com"), 78, id="no https"),
        pytest.param(_set("server", "admin_listen", value="192.0.2.7:8771"), 78, id="open admin"),
        pytest.param(_set("server", "listen", value="192.0.2.7:8770"), 78, id="no address of this machine"),
        pytest.param(None, 1, id="port taken"),
        pytest.param(_state_is_a_file, 78, id="state is a file"),
        pytest.param(_is_a_folder("ledger"), 78, id="ledger is a folder"),
        pytest.param(_is_a_folder("calsyncd.db"), 78, id="database is a folder"),
        pytest.param(_is_a_folder("push.key"), 78, id="key is a folder"),
        pytest.param(_newer_database, 78, id="newer database"),
    ],
)
async def test_a_start_that_cannot_be(
    sandbox: Sandbox, prepare: Prepare, nursery: Nursery, spoil: Callable[[Path], None] | None, status: int
) -> None:
    """It ends at once, by the status that tells a supervisor what to do, in sentences; no thread keeps it."""
    sandbox.add_agent(AMY, user_id=1)
    daemon = prepare([AMY])
    with socket.socket() as taken:
        if spoil is not None:
            spoil(daemon.config)
        else:
            taken.bind(("127.0.0.1", int(daemon.admin.rpartition(":")[2])))
            taken.listen()
        began = time.monotonic()
        process = await nursery.run(daemon.config)
        assert process.stdout is not None
        async with asyncio.timeout(PROMPT_SECONDS + 5):
            said = (await process.stdout.read()).decode()
            ended = await process.wait()
        took = time.monotonic() - began

    assert (ended, took < PROMPT_SECONDS) == (status, True), said
    assert said
    assert "Traceback" not in said
    assert not sandbox.aircall.requests


async def test_a_second_one(sandbox: Sandbox, prepare: Prepare, nursery: Nursery) -> None:
    """It exits 75, names the first and changes nothing; as soon as the first is killed there is room."""
    sandbox.add_agent(AMY, user_id=1)
    meeting(sandbox, AMY, -60, 3600)
    daemon = prepare([AMY])
    await daemon.start()
    await daemon.until(AMY, state="held")
    await daemon.logged("channel_opened")
    state = daemon.config.parent / "state"
    kept = {file.name: file.read_bytes() for file in (state / "ledger", state / "lock", state / "push.key")}
    updates = len(sandbox.aircall.log)

    second = await nursery.run(daemon.config)
    assert second.stdout is not None
    said = (await second.stdout.read()).decode()
    refused = await second.wait()
    still = {name: (state / name).read_bytes() for name in kept}
    updated = len(sandbox.aircall.log) - updates
    assert daemon.process is not None
    first = daemon.process.pid
    await daemon.kill()
    began = time.monotonic()
    await daemon.start()
    took = time.monotonic() - began

    assert (refused, still, updated) == (75, kept, 0)
    assert str(first) in said
    assert took < PROMPT_SECONDS


async def test_signals_that_end_nothing(sandbox: Sandbox, prepare: Prepare) -> None:
    """SIGHUP and SIGPIPE a hundred times, and nobody who reads its output: it goes on, and the boundary is kept."""
    sandbox.add_agent(AMY, user_id=1)
    daemon = prepare([AMY])
    await daemon.start()
    await daemon.until(AMY, state="idle")
    assert daemon.process is not None
    for number in (signal.SIGHUP, signal.SIGPIPE) * 50:
        daemon.process.send_signal(number)
        await asyncio.sleep(0.001)
    await daemon.logged("reloaded")
    # As the journal's restart does it.
    assert daemon._reader is not None
    daemon._reader.cancel()
    daemon._reader = asyncio.create_task(asyncio.sleep(0))
    stream = daemon.process.stdout
    assert stream is not None
    stream._transport.close()  # type: ignore[attr-defined]
    # Of fifty reloads some are still to be done.
    meeting(sandbox, AMY, 3, 5)
    daemon.process.send_signal(signal.SIGHUP)
    for _ in range(400):
        if len(statuses(sandbox, 1)) >= 2:
            break
        await asyncio.sleep(0.05)

    assert await daemon.stop() == 0
    assert [("api", "unavailable"), ("api", "available")] == statuses(sandbox, 1)


@pytest.mark.parametrize("reads_again", [True, False])
async def test_a_reader_that_stands_still(sandbox: Sandbox, prepare: Prepare, reads_again: bool) -> None:
    """A full pipe that nobody reads holds up nobody, not even the end; what it could not take is told once it can."""
    sandbox.add_agent(AMY, user_id=1)
    daemon = prepare([AMY])
    await daemon.start()
    await daemon.until(AMY, state="idle")
    assert daemon.process is not None
    assert daemon.process.stdout is not None
    transport, seen = daemon.process.stdout._transport, len(daemon.lines)  # type: ignore[attr-defined]
    transport.pause_reading()
    pipe = os.open(f"/proc/{daemon.process.pid}/fd/1", os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe, b"\n")
    os.close(pipe)

    meeting(sandbox, AMY, 2, 4)
    async with asyncio.timeout(10):
        while len(statuses(sandbox, 1)) < 2:
            await asyncio.sleep(0.05)
    if reads_again:
        transport.resume_reading()
        await daemon.logged("released", since=seen)
        assert await daemon.stop() == 0
        assert [line["action"] for line in daemon.lines[-2:]] == ["stopping", "stopped"]
    else:
        daemon.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PROMPT_SECONDS):
            while daemon.process.returncode is None:
                await asyncio.sleep(0.05)
        transport.resume_reading()
        assert await daemon.stop() == 0

    assert statuses(sandbox, 1) == [("api", "unavailable"), ("api", "available")]


async def test_started_without_standard_streams(sandbox: Sandbox, prepare: Prepare) -> None:
    """With all three closed nothing else gets their numbers, to which what is meant for them would go; it works on."""
    sandbox.add_agent(AMY, user_id=1)
    meeting(sandbox, AMY, -60, 3600)
    daemon = prepare([AMY])
    program = shlex.join([sys.executable, "-m", "calsyncd", "run", "--config", str(daemon.config)])
    process = await asyncio.create_subprocess_shell(f"exec {program} <&- >&- 2>&-", env=dict(daemon.environ))
    async with asyncio.timeout(20):
        while len(statuses(sandbox, 1)) < 1:
            await asyncio.sleep(0.05)
    led = led_to(process.pid)
    process.terminate()

    assert await process.wait() == 0
    assert led == [Path("/dev/null")] * 3


async def test_a_signal_that_nobody_sends_by_mistake(sandbox: Sandbox, prepare: Prepare) -> None:
    """SIGUSR1 is not ours: it ends the process as it ends any, and the next start owes what this one owed."""
    sandbox.add_agent(AMY, user_id=1)
    event = meeting(sandbox, AMY, -60, 3600)
    daemon = prepare([AMY])
    await daemon.start()
    await daemon.until(AMY, state="held")

    status = await daemon.stop(signal.SIGUSR1)
    sandbox.google.delete(AMY, event)
    await daemon.start()
    await daemon.logged("released")

    assert status == -signal.SIGUSR1
    assert sandbox.aircall.setting(1).status == "available"


async def test_stopped_over_boundaries(sandbox: Sandbox, prepare: Prepare) -> None:
    """SIGSTOP over two ends and a start: at SIGCONT each gets what is due then, by one update, and the lag is told."""
    for number, who in enumerate((AMY, BOB), 1):
        sandbox.add_agent(who, user_id=number)
    now = round(time.time())
    for start, end in ((now - 60, now + 2), (now + 3, now + 4), (now + 5, now + 3600)):
        meeting(sandbox, AMY, start - time.time(), end - time.time())
    meeting(sandbox, BOB, now - 60 - time.time(), now + 3 - time.time())
    daemon = prepare([AMY, BOB])
    await daemon.start()
    for who in (AMY, BOB):
        await daemon.until(who, state="held")
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGSTOP)
    before = len(sandbox.aircall.log)
    await asyncio.sleep(now + 5.3 - time.time())
    os.kill(daemon.process.pid, signal.SIGCONT)
    continued = time.time()
    async with asyncio.timeout(5):
        while sandbox.aircall.setting(2).status != "available":
            await asyncio.sleep(0.01)
    lagged = await daemon.logged("loop_lagged")
    async with aiohttp.ClientSession() as session, session.get(f"{daemon.admin}/metrics") as answer:
        metrics = await answer.text()
    log = sandbox.aircall.log[before:]

    assert [(entry.user, entry.after.status) for entry in log if entry.is_change] == [(2, "available")]
    assert len([entry for entry in log if entry.user == 1]) <= 1
    assert log[-1].at - continued < 2.0
    assert lagged["seconds"] > 1.0
    (lag,) = (line for line in metrics.splitlines() if line.startswith("calsyncd_loop_lag_seconds_sum "))
    assert float(lag.split()[1]) > 1.0
    assert sandbox.aircall.setting(1).status == "unavailable"
