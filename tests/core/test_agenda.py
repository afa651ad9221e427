"""The agenda against the simplest thing that does the same: a dict."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calsyncd.core.agenda import Agenda

keys = st.sampled_from("abcdefg")
dues = st.none() | st.integers(0, 12).map(float)
deeds = st.lists(st.tuples(st.just("set"), keys, dues) | st.tuples(st.just("pop"), st.just(""), dues), max_size=80)


@settings(deadline=None, max_examples=300)
@given(drawn=deeds)
def test_an_agenda_is_a_dict_that_knows_its_earliest(drawn: list[tuple[str, str, float | None]]) -> None:
    """Set, replaced, taken off, popped: each key is due once, at the time set last."""
    agenda: Agenda[str] = Agenda()
    model: dict[str, float] = {}

    for deed, key, due in drawn:
        if deed == "set":
            agenda.set(key, due)
            if due is None:
                model.pop(key, None)
            else:
                model[key] = due
        elif due is not None:
            popped = agenda.pop_due(due)
            times = [model.pop(name) for name in popped]
            assert sorted(times) == times
            assert all(time <= due for time in times)
            assert all(time > due for time in model.values())
        assert min(model.values(), default=None) == agenda.next_due()
        assert [model.get(name) for name in "abcdefg"] == [agenda.due_at(name) for name in "abcdefg"]


def test_keys_that_are_due_at_once_come_in_the_order_they_were_set() -> None:
    """First come, first served."""
    agenda: Agenda[str] = Agenda()
    for key in "cab":
        agenda.set(key, 5.0)

    assert ["c", "a", "b"] == agenda.pop_due(5.0)
    assert [] == agenda.pop_due(5.0)


@pytest.mark.parametrize("keys", [1, 50])
def test_a_key_that_is_set_again_and_again_takes_no_room(keys: int) -> None:
    """A loop that runs for months sets the same keys millions of times; sweeping up is dear and comes seldom."""
    agenda: Agenda[int] = Agenda()
    for key in range(keys):
        agenda.set(key, 20_000.0 + key)
    sizes = []
    for turn in range(10_000):
        agenda.set(0, float(turn))
        sizes.append(len(agenda._heap))

    assert 64 + 4 * keys == max(sizes)
    assert 10_000 // (64 + 3 * keys) >= sum(later < sooner for sooner, later in pairwise(sizes))
    assert list(range(keys)) == agenda.pop_due(30_000.0)


def test_a_key_that_is_set_to_the_same_time_again_and_again_takes_no_room_at_all() -> None:
    """Most looks at an agent change nothing."""
    agenda: Agenda[str] = Agenda()
    for _ in range(10):
        agenda.set("a", 5.0)

    assert 1 == len(agenda._heap)


def test_what_is_taken_off_is_not_due() -> None:
    """Whether it was there or not; and it may be set again, to the same time."""
    agenda: Agenda[str] = Agenda()
    agenda.set("a", 5.0)
    agenda.set("b", 6.0)
    agenda.set("a", None)
    agenda.set("nobody", None)

    assert (None, 6.0, 6.0) == (agenda.due_at("a"), agenda.due_at("b"), agenda.next_due())
    agenda.set("a", 5.0)
    assert ["a", "b"] == agenda.pop_due(6.0)
    assert (None, None) == (agenda.due_at("b"), agenda.next_due())


def test_a_key_that_is_set_to_the_time_it_has_keeps_its_place() -> None:
    """Who came first goes first."""
    agenda: Agenda[str] = Agenda()
    for key in ("a", "b", "a"):
        agenda.set(key, 5.0)

    assert ["a", "b"] == agenda.pop_due(5.0)


def test_many_keys_that_are_set_anew_are_all_kept_once() -> None:
    """What is swept up is what is not due any more, and nothing else."""
    agenda: Agenda[int] = Agenda()
    for turn in range(20):
        for key in range(50):
            agenda.set(key, float(turn * 100 + key))

    assert len(agenda._heap) <= 64 + 4 * 50
    assert [float(1900 + key) for key in range(50)] == [agenda.due_at(key) for key in range(50)]
    assert list(range(50)) == agenda.pop_due(2000.0)
