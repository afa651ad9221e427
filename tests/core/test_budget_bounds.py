"""A budget at its bounds: waits, the clock's marks, and a clock that is set in the middle of everything."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest

from calsyncd.core.budget import Budget, ClockMinute, Shown, wait_after_429

MARK = 1_800_000_000.0
"""A mark of the clock's minutes."""


def use(budget: Budget, at: float, requests: int = 1) -> bool:
    """Take and use so many, if they may go."""
    if not budget.take(at, requests):
        return False
    for _ in range(requests):
        budget.spent(at)
    budget.give_back(requests)
    return True


def _some(budget: Budget) -> None:
    for at in (1.0, 7.0, 30.0):
        use(budget, MARK + at)


def _all(budget: Budget) -> None:
    for at in range(8):
        use(budget, MARK + at)


def _limited(budget: Budget) -> None:
    use(budget, MARK + 1)
    budget.limited(MARK + 2, 20.0)


def _learned(budget: Budget) -> None:
    for at in range(5):
        use(budget, MARK + at)
    budget.limited(MARK + 5, 1.0)
    use(budget, MARK + 9)
    budget.limited(MARK + 10, 1.0)


def _tried(budget: Budget) -> None:
    _learned(budget)
    for at in range(5):
        use(budget, MARK + 14 + 8 * at)


def _told(budget: Budget) -> None:
    use(budget, MARK + 1)
    budget.shown(MARK + 1, Shown(8, 2))


def _told_more(budget: Budget) -> None:
    _learned(budget)
    use(budget, MARK + 40)
    budget.shown(MARK + 55, Shown(8, 6))


def _barred(budget: Budget) -> None:
    budget.barred(MARK + 90)


# What has happened to a budget of eight a minute before its clock is set.
PASTS: dict[str, Callable[[Budget], object]] = {
    "nothing": lambda _: None,
    "some went": _some,
    "all went": _all,
    "some are out": lambda budget: budget.take(MARK + 20, 3),
    "a 429": _limited,
    "two": _learned,
    "two, and tries": _tried,
    "refused credentials": _barred,
    "an answer said what is left": _told,
    "more is left than was thought": _told_more,
}


def seen(budget: Budget, at: float, step: float) -> list[object]:
    """All that can be asked, `step` taken off; and then one more that goes, for the next instant."""
    asked = [budget.next_at(at), budget.next_at(at, 2), budget.spare_at(at)]
    told: list[object] = [budget.remaining(at), budget.room(at), budget.room_until(at, at + 45), budget.is_blocked(at)]
    told += [budget.granted, budget.pace, budget.one_by_one]
    told += [None if one is None else round(one - step, 3) for one in asked]
    return [*told, use(budget, at)]


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("step", [3600.0, -3600.0, 86400.0])
def test_a_clock_that_is_set_moves_all_that_a_budget_knows(past: str, step: float) -> None:
    """Whatever had happened: each later question has the answer that it would have had, by the new clock."""
    one, other = Budget(8), Budget(8)
    for budget in (one, other):
        PASTS[past](budget)
    other.stepped(step)

    instants = [MARK + 60 + after for after in (0.0, 0.5, 2.0, 5.0, 9.0, 20.0, 31.0, 45.0, 61.0, 130.0, 700.0, 2000.0)]
    assert [seen(one, at, 0.0) for at in instants] == [seen(other, at + step, step) for at in instants]


def test_a_budget_that_is_new_grants_all_and_waits_for_nothing() -> None:
    """Of one request, of many, and of those that nobody waits for."""
    budget = Budget(8)

    assert (8, 8, 8, False, False) == (
        *(budget.granted, budget.pace, budget.remaining(MARK)),
        *(budget.one_by_one, budget.by_clock),
    )
    assert [MARK, MARK, None] == [budget.next_at(MARK, requests) for requests in (1, 8, 9)]
    assert (MARK, False, 8) == (budget.spare_at(MARK), budget.is_blocked(MARK), budget.room_until(MARK, MARK + 60))
    assert [True, False] == [use(budget, MARK, 8), budget.take(MARK)]
    assert MARK + 61 == budget.next_at(MARK) == budget.next_at(MARK, 8)
    assert [False, True] == [use(budget, MARK + 61 + late, 8) for late in (-0.001, 0.0)]


def test_a_wait_is_over_at_its_end() -> None:
    """And not before; it is never made shorter."""
    budget = Budget(8)
    budget.refused(MARK + 10)
    budget.refused(MARK + 5)

    assert [True, True, False] == [budget.is_blocked(at) for at in (MARK, MARK + 9.9, MARK + 10)]
    assert [False, True] == [budget.take(at) for at in (MARK + 9.9, MARK + 10)]


@pytest.mark.parametrize(("age", "goes"), [(0.0, True), (9.9, True), (10.0, False)])
def test_what_an_answer_says_is_left_is_believed_for_ten_seconds(age: float, *, goes: bool) -> None:
    """No more than the settings' number in any case."""
    budget = Budget(8)
    assert use(budget, MARK, 4)
    budget.limited(MARK + 1, 1.0)
    assert use(budget, MARK + 4)
    budget.limited(MARK + 5, 1.0)
    budget.shown(MARK + 10, Shown(8, 3))

    assert goes == budget.take(MARK + 10 + age, 3)


@pytest.mark.parametrize(
    ("retry_after", "reset", "wait"),
    [
        (None, None, 60.0),
        (0.0, None, 60.0),
        (0.1, None, 1.0),
        (30.0, MARK + 50, 30.0),
        (86400.0, MARK + 50, 120.0),
        (86400.1, MARK + 50, 50.0),
        (None, 0.0, 60.0),
        (None, 0.5, 1.0),
        (None, MARK + 50, 50.0),
        (None, (MARK + 50) * 1000, 50.0),
        (None, 1e12, 1.0),
        (None, 1e12 - 1, 120.0),
        (None, MARK + 300, 120.0),
    ],
)
def test_how_long_a_429_stops_everything(retry_after: float | None, reset: float | None, wait: float) -> None:
    """By what is said, if it makes sense: a second at least, two minutes at most, and chance on top."""
    assert wait == wait_after_429(retry_after, reset, MARK, 0.0)
    assert wait + 0.5 == wait_after_429(retry_after, reset, MARK, 0.5)


# -- the clock's minutes -----------------------------------------------------------------------------------------------


def test_near_a_mark_a_request_counts_in_both_minutes() -> None:
    """A second on each side, for the difference of the clocks."""
    minute = ClockMinute()
    spent = deque([MARK - 1.1, MARK - 1.0, MARK, MARK + 30, MARK + 60.9, MARK + 61.0])

    assert [4, 4, 4, 2] == [minute.used(spent, at) for at in (MARK + 1, MARK + 30, MARK + 58.9, MARK + 61.0)]
    assert [MARK + 1, MARK + 61, MARK + 61] == [minute.next_at(at) for at in (MARK + 0.9, MARK + 1, MARK + 60.9)]


def test_what_is_left_rises_at_a_mark() -> None:
    """More than leaks within seconds: that is a proof, once. Refused within what it grants, it is none any more."""
    minute = ClockMinute()
    assert not minute.may_be_tried(MARK)
    minute.shown(MARK + 58.0, Shown(60, 10), sent=MARK + 57.9)
    assert (False, True) == (minute.is_known, minute.may_be_tried(MARK + 58))
    minute.shown(MARK + 62.0, Shown(60, 59), sent=MARK + 61.9)
    assert (True, False) == (minute.is_known, minute.may_be_tried(MARK + 62))

    known = []
    for within in (False, True):
        minute.refused(MARK + 63, within=within)
        known.append(minute.is_known)
    again = MARK + 63 + 4 * 3600
    assert [True, False] == known
    assert [False, True] == [minute.may_be_tried(at) for at in (again - 0.1, again)]


def test_what_rises_within_a_minute_shows_that_it_is_not_the_clocks() -> None:
    """Nor is it believed for four hours, whatever is shown."""
    minute = ClockMinute()
    minute.shown(MARK + 10, Shown(60, 10), sent=MARK + 9.9)
    minute.shown(MARK + 20, Shown(60, 10), sent=MARK + 19.9)
    minute.shown(MARK + 58, Shown(60, 5), sent=MARK + 57.9)
    minute.shown(MARK + 62, Shown(60, 59), sent=MARK + 61.9)

    assert (False, False) == (minute.is_known, minute.may_be_tried(MARK + 3600))
    assert minute.may_be_tried(MARK + 20 + 4 * 3600)


@pytest.mark.parametrize("shown", [Shown(None, 10), Shown(60, None), Shown()])
def test_an_answer_that_does_not_say_both_says_nothing(shown: Shown) -> None:
    """Neither is one of which nobody knows since when it was out."""
    minute = ClockMinute()
    minute.shown(MARK + 10, shown, sent=MARK + 9)
    minute.shown(MARK + 11, Shown(60, 10), sent=None)

    assert not minute.may_be_tried(MARK + 11)
