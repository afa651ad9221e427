"""A disk that fails, is full, or hangs, under a daemon that goes on: by its system calls.

Amy's meeting ends and Bob's begins at the same instant, which is known before the disk fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.nursery import Nursery
from tests.acceptance.running import Running, free_port
from tests.acceptance.test_life import AMY, BOB, meeting
from tests.faults.depth import rounds
from tests.faults.killing import integrity, owed
from tests.faults.tampering import tampered

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEDGER = ("ledger",)
DATABASE = ("calsyncd.db", "calsyncd.db-wal")

AHEAD_SECONDS = 3.0
"""So long before the boundary its meetings are made; calendars are read every two seconds at most."""


@dataclass
class Scene:
    """A daemon that holds Amy and knows of Bob's meeting; both of them change at `at`, epoch seconds."""

    sandbox: Sandbox
    daemon: Running
    at: float

    @property
    def state(self) -> Path:
        """The state directory."""
        return scene_state(self.daemon)

    async def shows(self, user: int, status: str, within: float) -> float:
        """Wait until a phone shows this; how long after the boundary it did."""
        try:
            async with asyncio.timeout(max(0.0, self.at - time.time()) + within):
                while self.sandbox.aircall.setting(user).status != status:
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"user {user} does not show {status}:\n{''.join(self.daemon.raw)}") from None
        return self.sandbox.aircall.users.by_id[user].since[-1] - self.at

    async def stays(self, user: int, status: str, seconds: float) -> None:
        """See that nothing becomes of it until so long after the boundary."""
        await asyncio.sleep(max(0.0, self.at + seconds - time.time()))
        assert self.sandbox.aircall.setting(user).status == status


@contextlib.asynccontextmanager
async def scene(folder: Path, nursery: Nursery) -> AsyncIterator[Scene]:
    """Amy is held and Bob is idle; the boundary is near."""
    folder.mkdir()  # noqa: ASYNC240 - nothing waits for it
    public, admin = free_port(), free_port()
    async with Sandbox() as sandbox:
        for number, who in enumerate((AMY, BOB), 1):
            sandbox.add_agent(who, user_id=number, status="custom")
        config = sandbox.write_config(
            folder, [AMY, BOB], listen=f"127.0.0.1:{public}", admin_listen=f"127.0.0.1:{admin}"
        )
        daemon = Running(config, f"http://127.0.0.1:{admin}", nursery=nursery)
        try:
            await daemon.start()
            for who in (AMY, BOB):
                await daemon.logged("channel_opened", calendar=f"{who}/primary")
            at = float(math.ceil(time.time() + AHEAD_SECONDS))
            meeting(sandbox, AMY, -60, at - time.time())
            meeting(sandbox, BOB, at - time.time(), 3600)
            await daemon.until(AMY, state="held")
            while (await daemon.agents())[BOB]["until"] is None:
                await asyncio.sleep(0.02)
            yield Scene(sandbox, daemon, at)
            assert daemon.process is not None
            assert daemon.process.returncode is None
            await daemon.kill()
            assert integrity(scene_state(daemon) / "calsyncd.db") == ["ok"]
            await daemon.start()
            await daemon.until(BOB, state="held")
            said = {line.get("action") for line in daemon.lines}
            assert not {None, "ledger_damaged", "database_moved_aside"} & said
            assert not [line for line in daemon.lines if "exception" in line]
        finally:
            if daemon.process is not None and daemon.process.returncode is None:
                await daemon.kill()


def scene_state(daemon: Running) -> Path:
    """A daemon's state directory."""
    return daemon.config.parent / "state"


async def spoil_ledger(strace: str, folder: Path, nursery: Nursery, calls: str, fault: str) -> None:
    """Amy goes back all the same; Bob is not held without a debt on disk, and is once it can be written."""
    async with scene(folder, nursery) as it:
        assert it.daemon.process is not None
        async with tampered(strace, it.daemon.process.pid, calls, fault, [it.state / name for name in LEDGER]):
            assert await it.shows(1, "custom", 5) < 1.5
            await it.daemon.logged("ledger_failed")
            await it.stays(2, "custom", 1.0)
            assert 2 not in owed(it.state)
        await it.shows(2, "unavailable", 15)
        assert owed(it.state)[2].availability_status == "custom"


async def spoil_database(strace: str, folder: Path, nursery: Nursery, calls: str, fault: str) -> None:
    """The boundary is kept from memory, by both; what was to be stored is, once it can be."""
    async with scene(folder, nursery) as it:
        assert it.daemon.process is not None
        async with tampered(strace, it.daemon.process.pid, calls, fault, [it.state / name for name in DATABASE]):
            assert await it.shows(1, "custom", 5) < 0.5
            assert await it.shows(2, "unavailable", 5) < 0.5
            await it.daemon.logged("store_failed")
        seen = len(it.daemon.lines)
        again = meeting(it.sandbox, AMY, -60, 3600)
        await it.shows(1, "unavailable", 20)
        it.sandbox.google.delete(AMY, again)
        await it.shows(1, "custom", 20)
        await it.daemon.logged("sync_done", since=seen)


async def test_eio_on_fsync(strace: str, tmp_path: Path, nursery: Nursery) -> None:
    """The disk takes what is written and cannot keep it: what was acknowledged before stands, the boundary is kept."""
    await asyncio.gather(
        spoil_ledger(strace, tmp_path / "1", nursery, "fdatasync,fsync", "error=EIO"),
        spoil_database(strace, tmp_path / "2", nursery, "fdatasync,fsync", "error=EIO"),
    )


async def test_enospc_on_write(strace: str, tmp_path: Path, nursery: Nursery) -> None:
    """The disk has no room: as with one that fails."""
    await asyncio.gather(
        spoil_ledger(strace, tmp_path / "1", nursery, "write", "error=ENOSPC"),
        spoil_database(strace, tmp_path / "2", nursery, "pwrite64", "error=ENOSPC"),
    )


async def test_erofs_on_write(strace: str, tmp_path: Path, nursery: Nursery) -> None:
    """The kernel has given the disk up and lets it only be read: as with one that fails."""
    await asyncio.gather(
        spoil_ledger(strace, tmp_path / "1", nursery, "write", "error=EROFS"),
        spoil_database(strace, tmp_path / "2", nursery, "pwrite64", "error=EROFS"),
    )


@pytest.mark.parametrize("seconds", [2, 30][: rounds(1, 2)])
async def test_slow_fsync(strace: str, tmp_path: Path, nursery: Nursery, seconds: int) -> None:
    """No boundary waits for a disk that takes so long: neither for the database's, nor a way back for the ledger's."""
    slow = f"delay_enter={seconds}s"

    async def ledger() -> None:
        async with scene(tmp_path / "1", nursery) as it:
            assert it.daemon.process is not None
            pid = it.daemon.process.pid
            async with tampered(strace, pid, "fdatasync,fsync", slow, [it.state / name for name in LEDGER]):
                assert await it.shows(1, "custom", 5) < 1.5
                if seconds < 10:
                    # Within its patience a hold waits until its debt is on disk.
                    assert await it.shows(2, "unavailable", 3.5 * seconds) > 0.5
                else:
                    await it.stays(2, "custom", 12)
            await it.shows(2, "unavailable", 60)

    async def database() -> None:
        async with scene(tmp_path / "2", nursery) as it:
            assert it.daemon.process is not None
            pid = it.daemon.process.pid
            async with tampered(strace, pid, "fdatasync,fsync", slow, [it.state / name for name in DATABASE]):
                assert await it.shows(1, "custom", 5) < 0.5
                assert await it.shows(2, "unavailable", 5) < 0.5

    await asyncio.gather(ledger(), database())
