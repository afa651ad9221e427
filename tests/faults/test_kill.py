"""The process killed without a word: at random instants, and at the worst ones."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
from pathlib import Path

import pytest

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.nursery import Nursery
from tests.acceptance.running import Running, free_port
from tests.faults.busy import REQUESTS_PER_MINUTE, Company
from tests.faults.conftest import Reached
from tests.faults.depth import rounds
from tests.faults.killing import Killing

pytestmark = pytest.mark.asyncio(loop_scope="module")

COMPANIES = 4
"""Side by side: a daemon that starts, or is killed, waits more than it works."""


@pytest.mark.timeout(2400)
async def test_at_random_instants_of_a_busy_minute(tmp_path: Path, nursery: Nursery, reached: Reached) -> None:
    """Boundaries every second, changes and notifications: each time nothing is lost and everybody becomes right."""
    kills = rounds(8, 500)
    seed = int(os.environ.get("CALSYNCD_KILL_SEED") or secrets.randbelow(10**6))
    print(f"CALSYNCD_KILL_SEED={seed}")

    async def company(number: int) -> Killing:
        folder = tmp_path / str(number)
        folder.mkdir()
        async with Sandbox() as sandbox:
            busy = Company(sandbox, random.Random(f"{seed} {number}"))
            agents = busy.populate()
            public, admin = free_port(), free_port()
            config = sandbox.write_config(
                folder,
                agents,
                listen=f"127.0.0.1:{public}",
                admin_listen=f"127.0.0.1:{admin}",
                extra={"aircall": {"requests_per_minute": REQUESTS_PER_MINUTE}},
            )
            killing = Killing(busy, Running(config, f"http://127.0.0.1:{admin}", nursery=nursery))
            try:
                await killing.kill_often(kills // COMPANIES)
            finally:
                (folder / "log").write_text("".join(killing.daemon.raw))
                if killing.daemon.process is not None and killing.daemon.process.returncode is None:
                    await killing.daemon.kill()
            return killing

    done = await asyncio.gather(*(company(number) for number in range(COMPANIES)))
    faults = [f"company {number}: {fault}" for number, one in enumerate(done) for fault in one.faults]
    recovered = sum(one.recovered for one in done)
    reached("kill -9 at a random instant of a busy minute, recovered with nothing lost", recovered, kills)
    print(f"everybody right after a start, at the latest: {max(one.worst for one in done):.2f} s")

    assert not faults, "\n".join((f"seed {seed}, {tmp_path}", *faults))
    assert recovered == kills
