"""Days of 25 and of 23 hours, and a machine whose zone is another one: by a process whose clock is set elsewhere."""

from __future__ import annotations

import asyncio
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

BEFORE_SECONDS = (6.0, 20.0, 60.0)
"""So long before the midnight at which the day ends the process starts, by its clock; longer where that took longer."""

DAYS: Mapping[str, tuple[date, Mapping[str, str]]] = {
    "long": (date(2026, 10, 25), {}),
    "short": (date(2027, 3, 28), {}),
    "elsewhere": (date(2026, 11, 24), {"TZ": "Pacific/Apia"}),
}
"""Each with the environment of its process."""

PARIS = ZoneInfo("Europe/Paris")


def library() -> Path:
    """What sets a process's clock; skips loudly without it."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.skip("DAYS OF 25 HOURS ARE NOT TESTED IN A PROCESS: libfaketime is missing (Debian's package faketime)")
    return found[0]


async def all_day(folder: Path, day: date, environ: Mapping[str, str]) -> tuple[datetime, datetime, datetime]:
    """Let the daemon live through the end of an all-day event in Paris: (held, released, the day's end), in Paris."""
    for before in BEFORE_SECONDS:
        own = folder / f"{before:.0f}"
        own.mkdir()
        held = await _live(own, day, _end(day) - before - time.time(), before, environ)
        if held:
            break
    began, over = held
    return began, over, datetime.fromtimestamp(_end(day), PARIS)


async def _live(
    folder: Path, day: date, offset: float, before: float, environ: Mapping[str, str]
) -> tuple[datetime, ...]:
    """When the agent was held and released, by a process whose clock is off by so much; nothing if it came too late."""
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
            async with asyncio.timeout(before + 5):
                while len(sandbox.aircall.log) < 2 and (sandbox.aircall.log or sandbox.aircall.now() < _end(day)):
                    await asyncio.sleep(0.05)
        finally:
            if daemon.process is not None and daemon.process.returncode is None:
                await daemon.stop()
        return tuple(datetime.fromtimestamp(entry.at, PARIS) for entry in sandbox.aircall.log if entry.by == "api")


def _end(day: date) -> float:
    return datetime.combine(day + timedelta(days=1), hour(), PARIS).timestamp()


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[datetime, datetime, datetime]]:
    """All of these days, at the same time."""

    async def live() -> dict[str, tuple[datetime, datetime, datetime]]:
        ends = await asyncio.gather(
            *(all_day(tmp_path_factory.mktemp(name), day, environ) for name, (day, environ) in DAYS.items())
        )
        return dict(zip(DAYS, ends, strict=True))

    return asyncio.run(live())


def hours_of(day: date) -> float:
    """How long a day in Paris is."""
    begins, ends = (datetime.combine(one, hour(), PARIS).astimezone(UTC) for one in (day, day + timedelta(days=1)))
    return (ends - begins) / timedelta(hours=1)


def test_a_day_of_25_hours(lived: dict[str, tuple[datetime, datetime, datetime]]) -> None:
    """The clock was put back in the morning: an all-day event ends at midnight, 25 hours after it began."""
    held, released, ends = lived["long"]

    assert hours_of(DAYS["long"][0]) == 25
    assert held < ends
    assert timedelta() <= released - ends < timedelta(seconds=1.5)


def test_a_day_of_23_hours(lived: dict[str, tuple[datetime, datetime, datetime]]) -> None:
    """The clock was put forward in the morning: it ends at midnight, 23 hours after it began."""
    held, released, ends = lived["short"]

    assert hours_of(DAYS["short"][0]) == 23
    assert held < ends
    assert timedelta() <= released - ends < timedelta(seconds=1.5)


def test_the_machines_zone_does_not_matter(lived: dict[str, tuple[datetime, datetime, datetime]]) -> None:
    """A day in Paris ends when it does there, whatever day it is in Apia, where the machine thinks it is."""
    held, released, ends = lived["elsewhere"]

    assert hours_of(DAYS["elsewhere"][0]) == 24
    assert held < ends
    assert timedelta() <= released - ends < timedelta(seconds=1.5)
