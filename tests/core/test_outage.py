"""What an absence meant: since when, which boundaries fell into it, and who is right."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calsyncd.core.model import UNAVAILABLE, Event, Setting
from calsyncd.core.outage import (
    WINDOW_SECONDS,
    Concerned,
    Outage,
    boundaries,
    is_as_wanted,
    last_alive,
    right_at,
)
from calsyncd.core.plan import FREE, Held, StandingBack
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import Timeline, build

HELD = Held(Setting(UNAVAILABLE), Setting("custom"), since=10.0, effective=20.0, until=30.0)


def timeline(*meetings: tuple[float, float]) -> Timeline:
    """Meetings from and to these instants."""
    return build([Event(f"m{start}-{end}", start, end) for start, end in meetings], Rules())


@pytest.mark.parametrize(
    ("mark", "acts", "now", "expected"),
    [
        pytest.param(100.0, [], 160.0, 100.0, id="by the mark"),
        pytest.param(100.0, [90.0, 103.0], 160.0, 103.0, id="by what was written after it"),
        pytest.param(100.0, [170.0], 160.0, 100.0, id="what is yet to come says nothing"),
        pytest.param(100.0, [160.0], 160.0, 160.0, id="it acts now"),
        pytest.param(162.0, [90.0], 160.0, 90.0, id="the clock was adjusted by the most"),
        pytest.param(162.1, [90.0], 160.0, None, id="the clock was set back by more than that"),
        pytest.param(163.0, [90.0], 160.0, None, id="the clock was set back"),
        pytest.param(161.0, [], 160.0, 160.0, id="the clock was adjusted"),
    ],
)
def test_last_alive(mark: float, acts: list[float], now: float, expected: float | None) -> None:
    """The latest proof of life counts, unless the clock cannot be believed."""
    assert last_alive(mark, acts, now) == expected


@pytest.mark.parametrize(
    ("meetings", "pause", "expected"),
    [
        pytest.param([], None, (), id="no meeting"),
        pytest.param([(150, 160)], None, (150, 160), id="a meeting in it"),
        pytest.param([(50, 150), (180, 300)], None, (150, 180), id="an end and a start"),
        pytest.param([(50, 300)], None, (), id="a meeting throughout"),
        pytest.param([(50, 150), (150, 300)], None, (), id="back to back: nothing changes"),
        pytest.param([(50, 150), (140, 170)], None, (170,), id="overlapping: only the end of both"),
        pytest.param([(100, 200)], None, (200,), id="what fell on its first instant was served, on its last not"),
        pytest.param([(150, 160)], math.inf, (), id="paused until resumed"),
        pytest.param([(150, 160), (170, 180)], 165.0, (170, 180), id="a pause that ended in it"),
        pytest.param([(150, 180)], 165.0, (165, 180), id="a pause that ended in a meeting in it"),
        pytest.param([(90, 150)], 100.0, (150,), id="a pause that was over at its first instant"),
        pytest.param([(150, 250)], 200.0, (200,), id="a pause that ended in a meeting, at its last instant"),
        pytest.param([(150, 250)], 200.1, (), id="and a moment after it"),
        pytest.param([(150, 180)], 90.0, (150, 180), id="a pause that was over before"),
    ],
)
def test_boundaries(meetings: list[tuple[float, float]], pause: float | None, expected: tuple[float, ...]) -> None:
    """Those of an absence from 100 to 200."""
    assert boundaries(timeline(*meetings), 100.0, 200.0, pause) == expected


def test_of_a_long_absence_the_last_day_is_told() -> None:
    """Calendars go no further back: half of what came before would be no answer."""
    end = 5 * WINDOW_SECONDS
    early, late = (3 * WINDOW_SECONDS, 3 * WINDOW_SECONDS + 60), (end - 100, end - 50)

    assert boundaries(timeline(early, late), 0.0, end) == late


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=6), st.integers(0, 40), st.integers(0, 30))
def test_boundaries_against_a_walk(starts: list[tuple[int, int]], after: int, length: int) -> None:
    """Second by second: where what is wanted differs from the second before."""
    line = timeline(*((start, start + seconds) for start, seconds in starts))
    until = after + length
    wanted = [line.span_at(at) is not None for at in range(until + 1)]
    walked = tuple(at for at in range(after + 1, until + 1) if wanted[at] != wanted[at - 1])

    assert boundaries(line, after, until) == walked


@pytest.mark.parametrize(
    ("stance", "shown", "wanted", "expected"),
    [
        pytest.param(FREE, None, False, True, id="free, and nothing is wanted"),
        pytest.param(FREE, UNAVAILABLE, True, False, id="free in a meeting: something is waited for"),
        pytest.param(HELD, UNAVAILABLE, True, True, id="held in a meeting"),
        pytest.param(HELD, UNAVAILABLE, False, False, id="held after it"),
        pytest.param(HELD, None, False, False, id="held after it, and nothing was seen"),
        pytest.param(HELD, "custom", False, True, id="back already, whatever an earlier update may yet do"),
        pytest.param(StandingBack("left_alone", 1.0, 90.0), UNAVAILABLE, True, True, id="left alone"),
    ],
)
def test_is_as_wanted(stance: Held | StandingBack, shown: str | None, *, wanted: bool, expected: bool) -> None:
    """Nothing owed is not enough: an agent in a call or without a key that works is only waited for."""
    assert is_as_wanted(stance, shown, wanted=wanted, now=25.0) is expected


def test_a_hold_that_began_early_is_as_wanted() -> None:
    """In a crowd some are taken off the phones a little before their boundary; from that on it has to be wanted."""
    assert [True, False] == [is_as_wanted(HELD, UNAVAILABLE, wanted=False, now=at) for at in (19.9, 20.0)]


def test_right_by_what_came_last() -> None:
    """The reading of the calendars, the update's answer, or a look later than both."""
    assert right_at(10.0, 0.0, None) == 10.0
    assert right_at(10.0, 12.0, 11.0) == 12.0
    assert right_at(10.0, 0.0, 13.0) == 13.0
    assert right_at(10.0, 0.0, 9.0) == 10.0


def test_over_when_all_are_right() -> None:
    """Not while one is not, nor while it is not known of one whether anything concerns them."""
    right, wrong = Concerned("amy@x", (5.0,), 9.0), Concerned("bob@x", (5.0,))

    assert Outage("stopped", 0.0, 8.0, (right,), unconcerned=3).over
    assert not Outage("stopped", 0.0, 8.0, (right, wrong)).over
    assert not Outage("stopped", 0.0, 8.0, (right,), waiting=1).over
    assert Outage("stopped", 2.0, 8.0).seconds == 6.0
