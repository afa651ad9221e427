"""Working hours: what the clock of their zone shows decides. The walk of test_rules_walked.py asks far more of them."""

from __future__ import annotations

from datetime import datetime

import pytest

from calsyncd.core.hours import WorkingHours

HOUR, DAY = 3600, 86400
EVERY_DAY = frozenset(range(7))


def at(text: str) -> float:
    """The instant."""
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        ("2026-05-18T08:59:59.999+02:00", False),
        ("2026-05-18T09:00:00+02:00", True),
        ("2026-05-18T17:59:59.999+02:00", True),
        ("2026-05-18T18:00:00+02:00", False),
        ("2026-05-17T12:00:00+02:00", False),
    ],
)
def test_the_hours_are_half_open(instant: str, expected: bool) -> None:
    """From is inside, to is not."""
    hours = WorkingHours(frozenset({0}), 9 * HOUR, 18 * HOUR, "Europe/Berlin")

    assert expected == hours.inside(at(instant))


@pytest.mark.parametrize(
    ("opens", "start", "end", "expected"),
    [
        pytest.param(9, "2026-05-18T10:00Z", "2026-05-18T11:00Z", "2026-05-18T10:00Z", id="inside"),
        pytest.param(9, "2026-05-18T08:00Z", "2026-05-18T09:00Z", None, id="what ends as they open"),
        pytest.param(9, "2026-05-18T10:00Z", "2026-05-18T10:00Z", None, id="nothing"),
        pytest.param(9, "2026-05-18T11:00Z", "2026-05-18T10:00Z", None, id="less than nothing"),
        pytest.param(9, "2026-05-18T12:00Z", "2027-05-18T12:00Z", "2026-05-19T09:00Z", id="a year"),
        pytest.param(9, "0001-01-09T12:00Z", "0001-01-20T12:00Z", "0001-01-10T09:00Z", id="the first year"),
        pytest.param(9, "9999-12-30T12:00Z", "9999-12-31T09:00Z", None, id="the last year"),
    ],
)
def test_the_first_instant_inside(opens: int, start: str, end: str, expected: str | None) -> None:
    """Within what is asked for, and at its start if that is inside."""
    hours = WorkingHours(EVERY_DAY, opens * HOUR, (opens + 2) * HOUR, "UTC")

    assert (None if expected is None else at(expected)) == hours.first_inside(at(start), at(end))


def test_an_opening_that_the_clock_skips_comes_a_week_later() -> None:
    """For two weeks nothing was inside."""
    hours = WorkingHours(frozenset({6}), 2 * HOUR, 3 * HOUR, "Europe/Berlin")

    assert at("2026-04-05T02:00+02:00") == hours.first_inside(
        at("2026-03-22T03:00+01:00"), at("2026-05-01T00:00+02:00")
    )


def test_a_change_of_the_clock_just_after_a_fraction_of_a_second_is_seen() -> None:
    """Before 1970 too, where instants are below nought: New York went to summer time at 02:00 on 27 April 1969."""
    hours = WorkingHours(EVERY_DAY, 2 * HOUR + 1800, 4 * HOUR, "America/New_York")
    change = at("1969-04-27T07:00Z")

    assert change == hours.first_inside(change - 0.5, change + HOUR)


def test_hours_of_a_whole_day_open_on_each_of_their_days() -> None:
    """Where they close when they open, it is on the day after."""
    hours = WorkingHours(frozenset({0}), 9 * HOUR, 9 * HOUR, "UTC")

    found = [
        hours.inside(at(text))
        for text in ("2026-05-18T08:59Z", "2026-05-18T09:00Z", "2026-05-19T08:59Z", "2026-05-19T09:00Z")
    ]

    assert [False, True, True, False] == found


def test_the_seconds_of_the_clock_count() -> None:
    """Hours may open and close at any of them."""
    hours = WorkingHours(EVERY_DAY, 9 * HOUR + 61, 9 * HOUR + 3 * 60 + 5, "UTC")
    asked = ("09:01:00.999", "09:01:01", "09:03:04.999", "09:03:05")

    assert [False, True, True, False] == [hours.inside(at(f"2026-05-18T{clock}Z")) for clock in asked]
    opens = hours.first_inside(at("2026-05-18T00:00Z"), at("2026-05-19T00:00Z"))
    assert at("2026-05-18T09:01:01Z") == opens


def test_an_opening_counts_within_the_time_that_is_asked_about() -> None:
    """Not at its end, and a time of no length has none."""
    hours = WorkingHours(EVERY_DAY, 9 * HOUR, 18 * HOUR, "Europe/Berlin")
    early, opens = at("2026-05-18T08:00+02:00"), at("2026-05-18T09:00+02:00")

    assert [None, opens] == [hours.first_inside(early, end) for end in (opens, opens + 1)]
    assert hours.first_inside(opens, opens) is None


def test_hours_that_the_change_of_the_clock_opens() -> None:
    """Where 02:30 is skipped, hours from 02:30 to 02:45 do not open; those that run then open at the change."""
    skipped = WorkingHours(EVERY_DAY, 2 * HOUR + 1800, 4 * HOUR, "Europe/Berlin")
    start = at("2026-03-29T00:00+01:00")

    assert at("2026-03-29T03:00+02:00") == skipped.first_inside(start, start + DAY)


def test_without_a_known_zone_hours_are_by_utc() -> None:
    """As without a zone."""
    for zone in (None, "", "Nowhere/Else"):
        hours = WorkingHours(EVERY_DAY, 9 * HOUR, 18 * HOUR, zone)
        assert [False, True] == [hours.inside(at(f"2026-05-18T{clock}Z")) for clock in ("08:59", "09:00")]
