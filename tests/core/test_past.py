"""From history to what was set when."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calsyncd.core.model import HistoryRow
from calsyncd.core.past import Cursor, Filter, Stretch, stretches, unbroken


def row(at: float, before: str | None, after: str | None, outcome: str = "done", actor: str = "calsyncd") -> HistoryRow:
    """A line of Amy's history."""
    return HistoryRow(at, "amy@example.com", before, after, outcome, "", None, None, actor)


def test_a_hold_is_three_stretches() -> None:
    """Before it, it, and after it; who had set the first is not known."""
    rows = [row(10, "custom", "unavailable"), row(20, "unavailable", "custom")]

    assert stretches(rows, "custom", 0, 30) == [
        Stretch(0, 10, "custom", None),
        Stretch(10, 20, "unavailable", "calsyncd"),
        Stretch(20, 30, "custom", "calsyncd"),
    ]


def test_what_never_changed_is_one_stretch() -> None:
    """What is set now was set all the time; unknown where nothing was seen."""
    assert stretches([], "available", 0, 30) == [Stretch(0, 30, "available", None)]
    assert stretches([], None, 0, 30) == [Stretch(0, 30, None, None)]


def test_what_began_before_the_window_keeps_its_author() -> None:
    """A hold that is older than what is shown is still calsyncd's."""
    rows = [row(-50, "available", "unavailable"), row(20, "unavailable", "available")]

    assert stretches(rows, "available", 0, 30) == [
        Stretch(0, 20, "unavailable", "calsyncd"),
        Stretch(20, 30, "available", "calsyncd"),
    ]
    assert stretches(rows[:1], "unavailable", 0, 30) == [Stretch(0, 30, "unavailable", "calsyncd")]


def test_what_was_left_alone_changes_nothing() -> None:
    """Only updates and what was seen are changes."""
    rows = [row(5, "unavailable", None, "left_alone"), row(10, None, "available", "seen", "aircall")]

    assert stretches(rows, "available", 0, 30) == [Stretch(0, 10, None, None), Stretch(10, 30, "available", "aircall")]


@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from(["available", "unavailable"])), max_size=9))
def test_the_stretches_are_without_gap_and_overlap(changes: list[tuple[float, str]]) -> None:
    """They cover the whole window, in order."""
    rows = [row(at, None, after) for at, after in sorted(changes)]

    found = stretches(rows, "custom", 20, 80)

    edges = [20.0, *(one.end for one in found)]
    assert [(one.start, one.end) for one in found] == list(pairwise(edges))
    assert edges[-1] == 80


def test_a_stretch_says_why() -> None:
    """In the words of the change that began it, also of one before the window; before the first change in none."""
    rows = [
        replace(row(10, "custom", "unavailable"), why="a meeting"),
        replace(row(20, "unavailable", "custom"), why="over"),
    ]

    assert [one.why for one in stretches(rows, "custom", 0, 30)] == ["", "a meeting", "over"]
    assert [one.why for one in stretches(rows, "custom", 15, 30)] == ["a meeting", "over"]


def test_neighbours_of_one_setting_are_one() -> None:
    """The first of them says who and why."""
    found = [
        Stretch(0, 10, "unavailable", "aircall", "changed in Aircall"),
        Stretch(10, 20, "unavailable", "calsyncd", "a meeting"),
        Stretch(20, 30, "custom", "calsyncd", "the meeting is over"),
        Stretch(40, 50, "custom", "calsyncd", "later"),
    ]

    assert unbroken(found) == [replace(found[0], end=20), *found[2:]]


def test_a_filter_takes_what_is_all_of_it() -> None:
    """Half-open in time; what is left out is any."""
    one = row(10, None, "available", "seen", "aircall")

    assert Filter().takes(one)
    assert Filter("amy@example.com", 10, 11, frozenset({"seen", "done"}), "aircall").takes(one)
    assert not Filter(since=10.5).takes(one)
    assert not Filter(until=10).takes(one)
    assert not Filter("ben@example.com").takes(one)
    assert not Filter(outcomes=frozenset({"done"})).takes(one)
    assert not Filter(actor="calsyncd").takes(one)


@given(st.lists(st.sampled_from([1.0, 2.5, 1_795_000_000.123456])), st.integers(1, 4))
def test_pages_tell_each_record_once(instants: list[float], size: int) -> None:
    """Also where many records are of one instant, and through the cursor's text."""
    rows = [replace(row(at, None, "available"), late_ms=number) for number, at in enumerate(sorted(instants))]
    told: list[HistoryRow] = []
    cursor = Cursor()
    while page := cursor.rest(rows)[:size]:
        for one in page:
            cursor = cursor.past(one)
        told += page
        cursor = Cursor.parse(str(cursor))

    assert told == rows


@pytest.mark.parametrize("text", ["", "7", "a-1", "1.0", "1.0--1", "1e9-1", "nan-1", "1.0-1 "])
def test_another_cursor_is_refused(text: str) -> None:
    """In words."""
    with pytest.raises(ValueError, match="none that was given out"):
        Cursor.parse(text)
