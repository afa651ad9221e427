"""Clocks that lie, zones that move, days of 25 hours: what is planned, and what is sent."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from calsyncd.sandbox.world import Sandbox
from tests.calendars.diary import AMY, Diary
from tests.phones.company import HOUR, Office, amy

DAY = 24 * HOUR


def instant(text: str) -> float:
    """Epoch seconds of an ISO 8601 time, UTC where it says no other."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.fixture
def host_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The machine stands in this zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


async def planned(
    folder: Path, zone: str, *days: tuple[str, str], before: float = 2 * DAY
) -> list[tuple[float, float]]:
    """The spans in which an agent is busy by all-day events of these dates in a calendar of this zone."""
    async with Diary(folder) as diary:
        diary.clock.jump(instant(days[0][0]) - before - diary.clock.now())
        diary.google.zone = zone
        for first, last in days:
            diary.google.events.setdefault("primary", {})[first] = {
                "id": first,
                "status": "confirmed",
                "start": {"date": first},
                "end": {"date": last},
            }
        diary.follow(AMY)
        await diary.a_while(60)
        return spans(diary)


def spans(diary: Diary) -> list[tuple[float, float]]:
    """When the agent is busy, by what was last said of them."""
    timeline, _ = diary.told[AMY]
    assert timeline is not None
    return [(span.start, span.end) for span in timeline.spans]


@pytest.mark.parametrize(
    ("zone", "day", "after", "hours"),
    [
        ("Europe/Paris", "2027-03-28", "2027-03-29", 23),
        ("Europe/Paris", "2027-10-31", "2027-11-01", 25),
        ("America/New_York", "2027-11-07", "2027-11-08", 25),
        ("Australia/Lord_Howe", "2027-04-04", "2027-04-05", 24.5),
    ],
)
async def test_a_day_that_is_put_forward_or_back_is_held_whole(
    tmp_path: Path, zone: str, day: str, after: str, hours: float
) -> None:
    """An all-day event holds from midnight to midnight of its calendar, however many hours that is."""
    ((start, end),) = await planned(tmp_path, zone, (day, after))

    assert (end - start) / HOUR == hours


@pytest.mark.parametrize("host_zone", ["Pacific/Apia", "America/St_Johns", "Asia/Kathmandu"], indirect=True)
async def test_the_machines_zone_changes_no_plan(tmp_path: Path, host_zone: str) -> None:
    """All-day events are where their calendar is, wherever the machine stands."""
    ((start, end),) = await planned(tmp_path, "Europe/Paris", ("2027-05-16", "2027-05-17"))

    assert time.strftime("%z", time.localtime(start)) != "+0000"
    assert (start, end) == (instant("2027-05-15T22:00:00"), instant("2027-05-16T22:00:00"))


async def test_a_calendar_that_moves_takes_its_days_with_it(tmp_path: Path) -> None:
    """Its zone is read with every poll; all-day events are planned anew, without anybody's doing."""
    async with Diary(tmp_path) as diary:
        diary.clock.jump(instant("2027-05-15T00:00:00") - diary.clock.now())
        event = {"id": "e", "status": "confirmed", "start": {"date": "2027-05-16"}, "end": {"date": "2027-05-17"}}
        diary.google.events["primary"] = {"e": event}
        diary.follow(AMY)
        await diary.a_while(60)
        before = spans(diary)

        diary.google.zone = "Asia/Tokyo"
        await diary.a_while(300)

        assert before == [(instant("2027-05-16T00:00:00"), instant("2027-05-17T00:00:00"))]
        assert spans(diary) == [(start - 9 * HOUR, end - 9 * HOUR) for start, end in before]


_CHECK = """
import sys
if {bare}:
    sys.modules["tzdata"] = None
from calsyncd.cli import main
sys.argv = ["calsyncd", "check", "--config", {config!r}]
main()
"""


@pytest.mark.parametrize(
    ("bare", "status", "said"),
    [(False, 0, "good, 1 agent"), (True, 78, "rules.working_hours.timezone: no such zone")],
)
async def test_without_the_systems_zones_their_package_will_do_and_without_both_it_says_so(
    sandbox: Sandbox, tmp_path: Path, bare: bool, status: int, said: str
) -> None:
    """A slim container has no /usr/share/zoneinfo; a zone of the settings that cannot be known is a fault of them."""
    hours = {"timezone": "Europe/Paris", "days": "mon-fri", "from": "09:00", "to": "18:00"}
    config = sandbox.write_config(tmp_path, [AMY], extra={"rules": {"working_hours": hours}})

    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _CHECK.format(bare=bare, config=str(config))],
        env={**os.environ, "PYTHONTZPATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == status, done.stderr
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize("due", [False, True])
async def test_a_clock_that_flaps_is_no_storm(due: bool) -> None:
    """Every minute an hour forward or back: an update where another state is due, else none; and right in the end."""
    flaps = 20
    async with Office([amy()]) as office:
        if due:
            office.meet("amy@x", (HOUR - 600, 2 * HOUR))
        await office.until(30)
        before = len(office.aircall.requests)
        for number in range(flaps):
            office.clock.jump(HOUR if number % 2 == 0 else -HOUR)
            await office.a_while(60)
            wanted = "unavailable" if due and number % 2 == 0 else "available"
            assert office.aircall.status(1) == wanted
        updates = office.aircall.of("update")

        assert len(updates) == (flaps if due else 0)
        assert len(office.aircall.requests) - before <= 8 * flaps
