"""Recurring series: instances, exceptions, and deletion."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from calsyncd.sandbox.google_series import instances
from calsyncd.sandbox.world import Sandbox

from .clients import AMY, GoogleClient

TOMORROW = datetime.fromtimestamp(time.time(), UTC).replace(hour=9, minute=0, second=0, microsecond=0) + timedelta(1)


def series(rule: str, start: datetime = TOMORROW, zone: str = "UTC") -> dict[str, Any]:
    """An hour's meeting that recurs."""
    naive = [(start + timedelta(hours=i)).replace(tzinfo=None).isoformat() for i in (0, 1)]
    return {
        "id": "series00",
        "summary": "Daily",
        "start": {"dateTime": naive[0], "timeZone": zone},
        "end": {"dateTime": naive[1], "timeZone": zone},
        "recurrence": [f"RRULE:{rule}"],
    }


def instance_id(day: int) -> str:
    """The id of the instance so many days after the first."""
    return f"series00_{TOMORROW + timedelta(day):%Y%m%dT%H%M%SZ}"


async def test_instances_are_listed(sandbox: Sandbox, google: GoogleClient) -> None:
    """With singleEvents each instance names its series and its original time; without, the master comes."""
    sandbox.google.insert(AMY, series("FREQ=DAILY;COUNT=3"))
    items, _ = await google.sync()
    masters, _ = await google.sync(())

    assert [item["id"] for item in items] == [instance_id(i) for i in range(3)]
    assert {item["recurringEventId"] for item in items} == {"series00"}
    assert items[0]["originalStartTime"] == items[0]["start"]
    assert "recurrence" not in items[0]
    assert [(item["id"], item["recurrence"]) for item in masters] == [("series00", ["RRULE:FREQ=DAILY;COUNT=3"])]


async def test_an_instance_can_be_cancelled(sandbox: Sandbox, google: GoogleClient) -> None:
    """The delta names the one instance, with its series and original time."""
    sandbox.google.insert(AMY, series("FREQ=DAILY;COUNT=3"))
    _, token = await google.sync()
    sandbox.google.delete(AMY, instance_id(1))
    [item] = await google.delta(token)
    rest, _ = await google.sync()

    assert (item["id"], item["status"], item["recurringEventId"]) == (instance_id(1), "cancelled", "series00")
    assert "dateTime" in item["originalStartTime"]
    assert len(rest) == 2


async def test_an_instance_can_be_moved_and_declined(sandbox: Sandbox, google: GoogleClient) -> None:
    """It keeps its id and original time, and only it is in the delta."""
    sandbox.google.insert(AMY, series("FREQ=DAILY;COUNT=3"))
    _, token = await google.sync()
    sandbox.google.patch(AMY, instance_id(0), {"start": {"dateTime": TOMORROW.replace(minute=30).isoformat()}})
    sandbox.google.respond(AMY, instance_id(0), "declined")
    [item] = await google.delta(token)

    assert item["id"] == instance_id(0)
    assert item["start"]["dateTime"] != item["originalStartTime"]["dateTime"]
    assert item["attendees"][0]["responseStatus"] == "declined"


async def test_a_changed_series_is_in_the_delta_whole(sandbox: Sandbox, google: GoogleClient) -> None:
    """Every instance comes, moved ones with their exception."""
    sandbox.google.insert(AMY, series("FREQ=DAILY;COUNT=40"))
    sandbox.google.patch(AMY, instance_id(5), {"summary": "Special"})
    _, token = await google.sync()
    sandbox.google.patch(AMY, "series00", {"summary": "Renamed"})
    items = await google.delta(token)

    assert len(items) == 40
    assert {item["summary"] for item in items} == {"Renamed", "Special"}


async def test_instances_that_a_change_takes_away_are_cancelled(sandbox: Sandbox, google: GoogleClient) -> None:
    """A shorter rule cancels the instances beyond its end."""
    sandbox.google.insert(AMY, series("FREQ=DAILY;COUNT=3"))
    _, token = await google.sync()
    sandbox.google.patch(AMY, "series00", {"recurrence": ["RRULE:FREQ=DAILY;COUNT=2"]})
    items = await google.delta(token)

    assert {item["id"]: item["status"] for item in items} == {
        instance_id(0): "confirmed",
        instance_id(1): "confirmed",
        instance_id(2): "cancelled",
    }


@pytest.mark.parametrize(("named", "master", "others"), [("master", 1, 0), ("instances", 0, 183), ("both", 1, 183)])
async def test_a_deleted_series_is_named(
    sandbox: Sandbox, google: GoogleClient, named: Any, master: int, others: int
) -> None:
    """By its id, by about six months of instances, or both: nothing else of it is in any list."""
    sandbox.google.lists.deleted_series = named
    sandbox.google.insert(AMY, series("FREQ=DAILY"))
    _, token = await google.sync()
    sandbox.google.delete(AMY, "series00")
    items = await google.delta(token)
    rest, _ = await google.sync()

    assert {item["status"] for item in items} == {"cancelled"}
    assert sum(item["id"] == "series00" for item in items) == master
    assert sum(item.get("recurringEventId") == "series00" for item in items) in {others, max(others - 1, 0)}
    assert rest == []


async def test_the_truth_follows_the_series(sandbox: Sandbox) -> None:
    """The calendar's revisions hold the busy spans of the remaining instances."""
    sandbox.google.insert(AMY, series("FREQ=DAILY;COUNT=3"))
    sandbox.google.delete(AMY, instance_id(1))
    revisions = sandbox.google.calendars[AMY].revisions

    assert [len(revision.busy) for revision in revisions] == [3, 2]


def test_wall_clock_time_survives_a_change_of_offset() -> None:
    """09:00 in Paris stays 09:00 when summer time ends."""
    found = instances(series("FREQ=DAILY;COUNT=2", datetime(2026, 10, 24, 9, tzinfo=UTC), "Europe/Paris"), "UTC")

    assert [item.start["dateTime"] for item in found] == ["2026-10-24T09:00:00+02:00", "2026-10-25T09:00:00+01:00"]
    assert [item.id for item in found] == ["series00_20261024T070000Z", "series00_20261025T080000Z"]


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("FREQ=DAILY;INTERVAL=2;COUNT=3", [0, 2, 4]),
        ("FREQ=WEEKLY;COUNT=2", [0, 7]),
        ("FREQ=WEEKLY;BYDAY=MO,WE;COUNT=4", [0, 2, 7, 9]),
        ("FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR;COUNT=6", [0, 1, 2, 3, 4, 7]),
        ("FREQ=DAILY;UNTIL=20261104T080000Z", [0, 1]),
        ("FREQ=DAILY;UNTIL=20261104", [0, 1, 2]),
    ],
)
def test_rules_are_expanded(rule: str, days: list[int]) -> None:
    """Daily and weekly rules with interval, count, until and weekdays."""
    monday = datetime(2026, 11, 2, 9, tzinfo=UTC)
    found = instances(series(rule, monday), "UTC")

    assert [item.id[9:17] for item in found] == [f"{monday + timedelta(day):%Y%m%d}" for day in days]


def test_all_day_series_have_dates_in_their_ids() -> None:
    """An all-day instance is named by its date and lasts to the next."""
    master = {"id": "s", "start": {"date": "2026-11-02"}, "end": {"date": "2026-11-03"}}
    found = instances({**master, "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=2"]}, "Europe/Paris")

    assert [(item.id, item.end) for item in found] == [
        ("s_20261102", {"date": "2026-11-03"}),
        ("s_20261109", {"date": "2026-11-10"}),
    ]
