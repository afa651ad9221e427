"""From history to what was set when."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from calsyncd.core.model import HistoryRow
from calsyncd.core.past import Stretch, stretches


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
