"""Too little of what a process lives on: room on the disk, the right to write, file descriptors, sense in its data."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.nursery import Nursery
from tests.acceptance.running import Running
from tests.acceptance.test_life import AMY, BOB, fill, meeting, statuses
from tests.faults.conftest import Prepare
from tests.faults.killing import integrity, owed

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def shows(sandbox: Sandbox, user: int, status: str, within: float = 20.0) -> None:
    """Wait until a user's phone shows this."""
    async with asyncio.timeout(within):
        while sandbox.aircall.setting(user).status != status:
            await asyncio.sleep(0.01)


async def test_room_that_comes_back(sandbox: Sandbox, prepare: Prepare, tiny_disk: Path) -> None:
    """A disk that is full: a meeting that is cancelled holds nobody; once there is room the process goes on as ever."""
    for number, who in enumerate((AMY, BOB), 1):
        sandbox.add_agent(who, user_id=number, status="custom")
    event = meeting(sandbox, AMY, -60, 3600)
    daemon = prepare([AMY, BOB], state_dir=str(tiny_disk))
    await daemon.start()
    await daemon.until(AMY, state="held")
    fill(tiny_disk)
    sandbox.google.delete(AMY, event)
    meeting(sandbox, BOB, -60, 3600)
    await daemon.logged("store_failed")
    await shows(sandbox, 1, "custom")
    known = sandbox.aircall.setting(2).status == "custom" or 2 in owed(tiny_disk)
    (tiny_disk / "ballast").unlink()
    await shows(sandbox, 2, "unavailable")
    await daemon.until(BOB, state="held")
    assert daemon.process is not None

    assert known
    assert daemon.process.returncode is None
    assert list(owed(tiny_disk)) == [2]
    await daemon.kill()
    assert integrity(tiny_disk / "calsyncd.db") == ["ok"]


async def test_a_database_that_is_damaged_while_it_is_used(sandbox: Sandbox, prepare: Prepare) -> None:
    """The process ends by itself, so that the next start makes it anew; who is held goes back, with nobody's help."""
    sandbox.add_agent(AMY, user_id=1, status="custom")
    event = meeting(sandbox, AMY, -60, 3600)
    daemon = prepare([AMY])
    await daemon.start()
    await daemon.until(AMY, state="held")
    state = daemon.config.parent / "state"
    with contextlib.closing(sqlite3.connect(state / "calsyncd.db", isolation_level=None)) as neighbour:
        # Whoever has pages in memory reads them anew after another's write.
        neighbour.execute("UPDATE calendars SET agent = agent")
        neighbour.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw = (state / "calsyncd.db").read_bytes()
    with (state / "calsyncd.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (len(raw) - 4096))
    assert daemon.process is not None
    sandbox.google.delete(AMY, event)
    async with asyncio.timeout(30):
        ended = await daemon.process.wait()
    await daemon.start()
    await shows(sandbox, 1, "custom")
    await daemon.until(AMY, state="idle")

    assert ended == 1
    assert "calsyncd.db: the database is damaged: the next start makes it anew" in "".join(daemon.raw)
    assert "Traceback" not in "".join(daemon.raw)
    assert [file.name for file in state.glob("*.corrupt-*")] == ["calsyncd.db.corrupt-0001"]
    assert integrity(state / "calsyncd.db") == ["ok"]


def _mount(*options: str) -> None:
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, *options], check=False, capture_output=True).returncode:
        pytest.skip("A READ-ONLY DISK IS NOT TESTED: this user cannot mount a tmpfs")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which can be made read-only; skips loudly where none can be mounted."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", "size=8m", "calsyncd-test", str(folder))
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_disk_that_may_only_be_read(sandbox: Sandbox, prepare: Prepare, nursery: Nursery, disk: Path) -> None:
    """The start is refused with 78 and the folder's name, first or not; whoever is held goes back once it can be."""
    sandbox.add_agent(AMY, user_id=1, status="custom")
    daemon = prepare([AMY], state_dir=str(disk))
    _turn(disk, "ro")
    first, told = await _refused(nursery, daemon.config)
    _turn(disk, "rw")
    event = meeting(sandbox, AMY, -60, 3600)
    await daemon.start()
    await daemon.until(AMY, state="held")
    await daemon.kill()
    _turn(disk, "ro")
    second, said = await _refused(nursery, daemon.config)
    _turn(disk, "rw")
    sandbox.google.delete(AMY, event)
    await daemon.start()
    await shows(sandbox, 1, "custom")

    assert (first, second) == (78, 78)
    for words in (told, said):
        assert str(disk) in words
        assert "Traceback" not in words


async def _refused(nursery: Nursery, config: Path) -> tuple[int, str]:
    """A start that is refused: the exit status and what was said."""
    process = await nursery.run(config)
    assert process.stdout is not None
    said = (await process.stdout.read()).decode()
    return await process.wait(), said


def _turn(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)


async def test_no_descriptor_is_left(sandbox: Sandbox, prepare: Prepare, nursery: Nursery) -> None:
    """200 idle clients at a process that may have 64 files: boundaries go out on time, and it listens again after."""
    sandbox.add_agent(AMY, user_id=1)
    daemon = prepare([AMY])
    with nursery.files(64):
        await daemon.start()
    await daemon.until(AMY, state="idle")
    assert daemon.process is not None
    start = round(time.time()) + 3
    meeting(sandbox, AMY, start - time.time(), start + 2 - time.time())
    await asyncio.sleep(0.5)
    async with contextlib.AsyncExitStack() as stack:
        host, port = "127.0.0.1", int((sandbox.deliver_to or "").rpartition(":")[2])
        for _ in range(200):
            with contextlib.suppress(OSError, TimeoutError):
                _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 1.0)
                stack.callback(writer.close)
        await shows(sandbox, 1, "unavailable")
        await shows(sandbox, 1, "available")
    late = [entry.at - at for entry, at in zip(sandbox.aircall.log, (start, start + 2), strict=True)]
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{sandbox.deliver_to}/healthz") as answer:
                    if answer.status == 200:
                        break
                    # The places of who has just gone are still taken: it says so, and when to come again.
                    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            await asyncio.sleep(0.1)

    assert max(late) < 1.0
    assert statuses(sandbox, 1) == [("api", "unavailable"), ("api", "available")]
    assert daemon.process.returncode is None
    assert not [line for line in daemon.lines if line.get("action") is None]


POISON = {"all of time": (-1e308, 1e308), "after the year 9999": (253402300800.0, 1e300), "overflow": (-9e18, 9e18)}
"""Starts and ends that no calendar can hold."""


async def test_poisoned_rows(sandbox: Sandbox, prepare: Prepare) -> None:
    """Stored events that nobody can have: they count for nothing, nobody is the worse for it, and nothing crashes."""
    agents = [BOB, *(f"agent{number}@example.com" for number in range(len(POISON)))]
    for number, who in enumerate(agents, 1):
        sandbox.add_agent(who, user_id=number)
        meeting(sandbox, who, 86400, 86500)
    daemon = prepare(agents)
    await daemon.start()
    await _stored(daemon, len(agents))
    await daemon.stop()
    with sqlite3.connect(daemon.config.parent / "state" / "calsyncd.db") as db:
        for who, (start, end) in zip(agents[1:], POISON.values(), strict=True):
            db.execute('UPDATE events SET start = ?, "end" = ? WHERE agent = ?', (start, end, who))
    db.close()

    for _ in range(2):
        await daemon.start()
        meeting(sandbox, BOB, -60, 3600)
        await daemon.until(BOB, state="held")
        for who in agents[1:]:
            await daemon.until(who, state="idle")
        assert await daemon.stop() == 0
    # What is made after it counts.
    await daemon.start()
    meeting(sandbox, agents[1], -60, 3600)
    await daemon.until(agents[1], state="held")


async def _stored(daemon: Running, number: int) -> None:
    """Wait until so many events are in the database."""
    async with asyncio.timeout(10):
        while True:
            with contextlib.closing(sqlite3.connect(daemon.config.parent / "state" / "calsyncd.db")) as db:
                if db.execute("SELECT count(*) FROM events").fetchone() == (number,):
                    return
            await asyncio.sleep(0.05)
