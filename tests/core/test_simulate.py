"""A day under rules: spans, updates, what was kept out, and the differences; beside an oracle that walks by minutes."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calsyncd.core.hours import WorkingHours
from calsyncd.core.model import UNAVAILABLE, Event, Setting, Span
from calsyncd.core.rules import COUNTS, Reads, Rules, Verdict
from calsyncd.core.simulate import (
    Difference,
    Judged,
    KeptOut,
    Simulated,
    bounds,
    day_named,
    differences,
    otherwise,
    reads_of,
    simulate,
)
from calsyncd.core.timeline import build

HOUR = 3600.0
DAY = (0.0, 24 * HOUR)
BUSY = Setting(UNAVAILABLE)
LUNCH = Setting(UNAVAILABLE, "out_for_lunch")


def at(hours: float, until: float, name: str = "", titles: tuple[str, ...] = (), response: str | None = None) -> Event:
    """An event from one hour of the day to another."""
    return Event(name or f"e{hours}", hours * HOUR, until * HOUR, titles=titles, response=response)


@pytest.mark.parametrize(
    ("events", "rules", "updates", "hours"),
    [
        pytest.param([], Rules(), 0, 0.0, id="nothing"),
        pytest.param([at(9, 10)], Rules(), 2, 1.0, id="a start and an end"),
        pytest.param([at(9, 10), at(10, 11)], Rules(), 2, 2.0, id="nothing at a seam"),
        pytest.param([at(9, 10), at(11, 12)], Rules(), 4, 2.0, id="two meetings"),
        pytest.param([at(9, 10), at(11, 12)], Rules(bridge=2 * HOUR), 2, 3.0, id="a bridged gap costs nothing"),
        pytest.param(
            [at(9, 10), at(10, 11, titles=("lunch",)), at(11, 12)],
            Rules(substatus_by_title=(("lunch", "out_for_lunch"),)),
            4,
            3.0,
            id="each change of the reason",
        ),
        pytest.param([at(-2, 9)], Rules(), 1, 9.0, id="began the day before"),
        pytest.param([at(22, 26)], Rules(), 1, 2.0, id="ends the day after"),
        pytest.param([at(-30, 30)], Rules(), 0, 24.0, id="runs all through"),
        pytest.param([at(0, 24)], Rules(), 1, 24.0, id="ends as the next day begins, whose update that is"),
        pytest.param([at(24, 25)], Rules(lead=HOUR), 1, 1.0, id="the next day's meeting leads into this one"),
        pytest.param([at(9, 10, response="declined")], Rules(), 0, 0.0, id="declined"),
    ],
)
def test_what_a_day_costs(events: list[Event], rules: Rules, updates: int, hours: float) -> None:
    """One update for each start, each end and each change of the reason within the day."""
    day = simulate(events, rules, DAY)

    assert (updates, hours * HOUR) == (day.updates, day.unavailable_seconds)


def test_what_each_rule_kept_out() -> None:
    """By rule, the number and the hours within the day; Google's own reasons by their words."""
    events = [
        at(9, 10, "a", response="declined"),
        at(9.5, 10, "b", response="declined"),
        at(11, 12, "c", ("#phone",)),
        at(23, 26, "d", ("#phone",)),
        at(3, 4, "e"),
        at(14, 15, "f"),
        at(16, 16, "g"),
        at(26, 27, "h", response="declined"),
    ]
    rules = Rules(
        ignore_titles=("#phone",), working_hours=WorkingHours(frozenset(range(7)), 8 * 3600, 18 * 3600, "UTC")
    )

    day = simulate(events, rules, DAY)

    assert (
        KeptOut("working_hours", "outside of the working hours", 1, HOUR),
        KeptOut(None, "declined", 2, 1.5 * HOUR),
        KeptOut("ignore_titles", "its title matches #phone", 2, 2 * HOUR),
        KeptOut(None, "has no length", 1, 0.0),
    ) == day.kept_out
    assert ["e", "a", "b", "c", "f", "g", "d"] == [one.event.id for one in day.judged]


def test_two_sets_of_rules_beside_each_other() -> None:
    """Each difference is as long as it can be, and says what either wants; an event that one of them counts is told."""
    events = [at(9, 10, "a", ("#phone",)), at(10, 11, "b", ("#phone",)), at(12, 13, "c", ("lunch",)), at(15, 16, "d")]
    first = simulate(events, Rules(), DAY)
    second = simulate(
        events, Rules(ignore_titles=("#phone",), substatus_by_title=(("lunch", "out_for_lunch"),), lag=60), DAY
    )

    assert (
        Difference(9 * HOUR, 11 * HOUR, BUSY, None),
        Difference(12 * HOUR, 13 * HOUR, BUSY, LUNCH),
        Difference(13 * HOUR, 13 * HOUR + 60, None, LUNCH),
        Difference(16 * HOUR, 16 * HOUR + 60, None, BUSY),
    ) == differences(first, second)
    assert [("a", True, False), ("b", True, False)] == [
        (event.id, one.counts, two.counts) for event, one, two in otherwise(first, second)
    ]


def test_two_sets_read_what_either_needs() -> None:
    """Events are read once, for both."""
    sets = [Rules(ignore_titles=("b", "a"), only_with_conference=True), Rules(only_titles=("a",), minimum_guests=2)]

    assert Reads(titles=("a", "b"), guests=True, conference=True) == reads_of(sets)


MINUTES = st.integers(-300, 1800)
EVENTS = st.lists(
    st.builds(
        lambda start, length, title: Event(f"{start}+{length}", start * 60.0, (start + length) * 60.0, titles=title),
        MINUTES,
        st.integers(0, 400),
        st.sampled_from([(), ("lunch",), ("#phone",)]),
    ),
    max_size=6,
    unique_by=lambda event: event.id,
)
RULES = st.builds(
    Rules,
    lead=st.sampled_from([0.0, 300.0]),
    lag=st.sampled_from([0.0, 600.0]),
    bridge=st.sampled_from([0.0, 900.0]),
    ignore_titles=st.sampled_from([(), ("#phone",)]),
    substatus_by_title=st.sampled_from([(), (("lunch", "out_for_lunch"),)]),
    working_hours=st.sampled_from([None, WorkingHours(frozenset(range(7)), 8 * 3600, 18 * 3600, "UTC")]),
)


def by_minutes(events: list[Event], rules: Rules) -> list[Setting | None]:
    """What is wanted in the last minute before the day and in each of its own."""
    timeline = build(events, rules)
    spans = (timeline.span_at(minute * 60.0) for minute in range(-1, 24 * 60))
    return [span.setting if span is not None else None for span in spans]


@settings(deadline=None)
@given(EVENTS, RULES, RULES)
def test_as_one_who_walks_by_minutes_sees_it(events: list[Event], one: Rules, other: Rules) -> None:
    """Updates, time and differences are those that show minute by minute."""
    walked = [by_minutes(events, rules) for rules in (one, other)]

    days = [simulate(events, rules, DAY) for rules in (one, other)]

    for wanted, day in zip(walked, days, strict=True):
        assert sum(before != after for before, after in pairwise(wanted)) == day.updates
        assert 60.0 * sum(setting is not None for setting in wanted[1:]) == day.unavailable_seconds
        assert all(before.end < after.start or before.setting != after.setting for before, after in pairwise(day.holds))
    assert {minute for minute in range(24 * 60) if walked[0][minute + 1] != walked[1][minute + 1]} == {
        minute for found in differences(*days) for minute in range(int(found.start) // 60, int(found.end) // 60)
    }


PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        ("2026-03-29", "Europe/Paris", 23),
        ("2026-10-25", "Europe/Paris", 25),
        ("2026-11-18", "Europe/Paris", 24),
        ("2026-04-05", "Australia/Lord_Howe", 24.5),
        ("2018-11-04", "America/Sao_Paulo", 23),
    ],
)
def test_days_have_as_many_hours_as_they_have(day: str, zone: str, hours: float) -> None:
    """Also where the clock is changed, at midnight too."""
    low, high = bounds(date.fromisoformat(day), ZoneInfo(zone))

    assert hours * HOUR == high - low


def test_days_by_name() -> None:
    """Today is the day that the clocks of the zone show."""
    now = 1_795_390_200.0  # 2026-11-22 23:30 UTC

    assert date(2026, 11, 23) == day_named("today", PARIS, now)
    assert date(2026, 11, 22) == day_named("yesterday", PARIS, now)
    assert date(2026, 11, 24) == day_named("tomorrow", PARIS, now)
    assert date(2026, 2, 28) == day_named("2026-02-28", PARIS, now)


@pytest.mark.parametrize("text", ["", "18.11.2026", "2026-02-30", "0001-01-01", "9999-12-31", "monday"])
def test_no_days(text: str) -> None:
    """What is no day, or one whose neighbours cannot be written, is told."""
    with pytest.raises(ValueError, match="expected a date such as"):
        day_named(text, PARIS, 0.0)


def test_what_follows_with_the_same_setting_is_one_hold() -> None:
    """Nothing is sent between them; another setting is another hold, as is one behind a gap."""
    day = Simulated(
        *DAY,
        spans=(Span(0, 10, BUSY, "a"), Span(10, 20, BUSY, "b"), Span(20, 30, LUNCH, "c"), Span(40, 50, LUNCH, "d")),
        judged=(),
        updates=0,
    )

    assert day.holds == (Span(0, 20, BUSY, "a"), Span(20, 30, LUNCH, "c"), Span(40, 50, LUNCH, "d"))


def test_what_each_rule_kept_out_is_counted_within_the_day() -> None:
    """By the rule, or by the words where none did; in the order in which they first did."""
    declined, short = Verdict(counts=False, words="declined"), Verdict(counts=False, words="5 min", rule="min_duration")
    longer = Verdict(counts=False, words="6 min", rule="min_duration")
    events = [at(-1, 2, "a"), at(3, 4, "b"), at(22, 30, "c"), at(30, 31, "d"), at(5, 6, "e")]
    verdicts = [short, declined, longer, declined, COUNTS]
    judged = tuple(Judged(event, verdict) for event, verdict in zip(events, verdicts, strict=True))

    assert Simulated(*DAY, spans=(), judged=judged, updates=0).kept_out == (
        KeptOut("min_duration", "5 min", 2, 4 * HOUR),
        KeptOut(None, "declined", 2, HOUR),
    )
