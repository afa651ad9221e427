"""Days of 25 and of 23 hours, and a machine whose zone is another one: by a process whose clock is set elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from datetime import time as hour
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.running import Running, free_port
from tests.acceptance.test_life import AMY

BEFORE_SECONDS = 5.0
"""So long before the midnight at which the day ends the process starts, by its clock."""

PARIS = ZoneInfo("Europe/Paris")


def library() -> Path:
    """What sets a process's clock; skips loudly without it."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.skip("DAYS OF 25 HOURS ARE NOT TESTED IN A PROCESS: libfaketime is missing (Debian's package faketime)")
    return found[0]


async def all_day(folder: Path, day: date, environ: Mapping[str, str]) -> tuple[datetime, datetime, datetime]:
    """Let the daemon live through the end of an all-day event in Paris: (held, released, the day's end), in Paris."""
    ends = datetime.combine(day + timedelta(days=1), hour(), PARIS)
    offset = ends.timestamp() - BEFORE_SECONDS - time.time()
    faked = {
        "LD_PRELOAD": str(library()),
        # Relative to the machine's clock, which goes on as ever.
        "FAKETIME": f"{offset:+.3f}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    public, admin = free_port(), free_port()
    async with Sandbox(now=lambda: time.time() + offset) as sandbox:
        sandbox.add_agent(AMY, user_id=1, zone="Europe/Paris")
        days = {"start": {"date": f"{day}"}, "end": {"date": f"{day + timedelta(days=1)}"}}
        sandbox.google.insert(AMY, {"summary": "Away", "eventType": "default", **days})
        config = sandbox.write_config(
            folder,
            [AMY],
            listen=f"127.0.0.1:{public}",
            admin_listen=f"127.0.0.1:{admin}",
        )
        daemon = Running(config, f"http://127.0.0.1:{admin}", {**os.environ, **faked, **environ})
        try:
            await daemon.start()
            await daemon.logged("released")
        finally:
            if daemon.process is not None and daemon.process.returncode is None:
                await daemon.stop()
        held, released = (datetime.fromtimestamp(entry.at, PARIS) for entry in sandbox.aircall.log if entry.by == "api")
    return held, released, ends


def hours_of(day: date) -> float:
    """How long a day in Paris is."""
    begins, ends = (datetime.combine(one, hour(), PARIS).astimezone(UTC) for one in (day, day + timedelta(days=1)))
    return (ends - begins) / timedelta(hours=1)


async def test_a_day_of_25_hours(tmp_path: Path) -> None:
    """The clock was put back in the morning: an all-day event ends at midnight, 25 hours after it began."""
    day = date(2026, 10, 25)

    held, released, ends = await all_day(tmp_path, day, {})

    assert hours_of(day) == 25
    assert held < ends
    assert timedelta() <= released - ends < timedelta(seconds=1.5)


async def test_a_day_of_23_hours(tmp_path: Path) -> None:
    """The clock was put forward in the morning: it ends at midnight, 23 hours after it began."""
    day = date(2027, 3, 28)

    held, released, ends = await all_day(tmp_path, day, {})

    assert hours_of(day) == 23
    assert held < ends
    assert timedelta() <= released - ends < timedelta(seconds=1.5)


async def test_the_machines_zone_does_not_matter(tmp_path: Path) -> None:
    """A day in Paris ends when it does there, whatever day it is in Apia, where the machine thinks it is."""
    held, released, ends = await all_day(tmp_path, date(2026, 11, 24), {"TZ": "Pacific/Apia"})

    assert held < ends
    assert timedelta() <= released - ends < timedelta(seconds=1.5)
