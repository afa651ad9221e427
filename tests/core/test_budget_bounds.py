"""A budget at its bounds: waits, the clock's marks, and a clock that is set in the middle of everything."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from copy import deepcopy

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


def _some(budget: Budget) -> float:
    for at in (1.0, 7.0, 30.0):
        use(budget, MARK + at)
    return MARK + 30


def _all(budget: Budget) -> float:
    for at in range(8):
        use(budget, MARK + at)
    return MARK + 7


def _out(budget: Budget) -> float:
    budget.take(MARK + 20, 3)
    return MARK + 20


def _limited(budget: Budget) -> float:
    use(budget, MARK + 1)
    budget.limited(MARK + 2, 20.0)
    return MARK + 2


def _learned(budget: Budget) -> float:
    for at in range(5):
        use(budget, MARK + at)
    budget.limited(MARK + 5, 1.0)
    use(budget, MARK + 9)
    budget.limited(MARK + 10, 1.0)
    return MARK + 10


def _tried(budget: Budget) -> float:
    _learned(budget)
    for at in range(5):
        use(budget, MARK + 14 + 8 * at)
    return MARK + 46


def _told(budget: Budget) -> float:
    use(budget, MARK + 1)
    budget.shown(MARK + 1, Shown(8, 2))
    return MARK + 1


def _told_more(budget: Budget) -> float:
    _learned(budget)
    use(budget, MARK + 40)
    budget.shown(MARK + 55, Shown(8, 6))
    return MARK + 55


def _barred(budget: Budget) -> float:
    budget.barred(MARK + 90)
    return MARK


# What has happened to a budget of eight a minute before its clock is set, and when.
PASTS: dict[str, Callable[[Budget], float]] = {
    "nothing": lambda _: MARK,
    "some went": _some,
    "all went": _all,
    "some are out": _out,
    "a 429": _limited,
    "two": _learned,
    "two, and tries": _tried,
    "refused credentials": _barred,
    "an answer said what is left": _told,
    "more is left than was thought": _told_more,
}
LATER = (0.0, 0.5, 2.0, 5.0, 7.0, 7.5, 9.0, 20.0, 31.0, 45.0, 61.0, 130.0, 700.0, 2000.0)


def seen(budget: Budget, at: float, step: float, wait: float | None) -> list[object]:
    """All that can be asked, `step` taken off; and then one more that goes, for the next instant, or meets a 429."""
    asked = [budget.next_at(at), budget.next_at(at, 2), budget.spare_at(at)]
    told: list[object] = [budget.remaining(at), budget.room(at), budget.room_until(at, at + 45), budget.is_blocked(at)]
    told += [budget.granted, budget.pace, budget.one_by_one]
    told += [None if one is None else round(one - step, 3) for one in asked]
    went = use(budget, at)
    if went and wait is not None:
        budget.limited(at, wait)
    return [*told, went]


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("step", [3600.0, -3600.0, 86400.0])
@pytest.mark.parametrize("refused", [(), (0, 3), (3, 5), (7,)])
def test_a_clock_that_is_set_moves_all_that_a_budget_knows(past: str, step: float, refused: Collection[int]) -> None:
    """Whatever had happened, and will: each later question has the answer that it would have had, by the new clock."""
    one, other = Budget(8), Budget(8)
    begun = PASTS[past](one)
    PASTS[past](other)
    other.stepped(step)

    instants = [(begun + after, 1.0 if number in refused else None) for number, after in enumerate(LATER)]
    expected = [seen(one, at, 0.0, wait) for at, wait in instants]
    assert expected == [seen(other, at + step, step, wait) for at, wait in instants]


@pytest.mark.parametrize("past", PASTS)
def test_time_may_begin_at_any_instant(past: str) -> None:
    """A budget of which nothing is known yet has no deadline in it."""
    one, other = Budget(8), Budget(8)
    begun = PASTS[past](one)
    other.stepped(MARK)
    PASTS[past](other)
    other.stepped(-MARK)

    expected = [seen(one, begun + after, 0.0, None) for after in LATER]
    assert expected == [seen(other, begun - MARK + after, -MARK, None) for after in LATER]


def test_a_clock_that_is_set_while_requests_are_out_has_marks_that_answers_can_show() -> None:
    """It is known since when they have been out, by the new clock."""
    budget = Budget(8)
    assert budget.take(MARK + 57.9)
    budget.stepped(3600.0)
    mark = MARK + 3660
    budget.spent(mark - 2)
    budget.shown(mark - 2, Shown(60, 10))
    budget.give_back()
    assert budget.take(mark + 1.9)
    budget.spent(mark + 2)
    budget.shown(mark + 2, Shown(60, 59))

    assert budget.by_clock


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


# -- after 429s --------------------------------------------------------------------------------------------------------


def answer(budget: Budget, at: float, requests: int = 1, *, wait: float | None = None) -> None:
    """One that was taken is answered, after so many requests, by a 429 if there is a `wait`."""
    for _ in range(requests):
        budget.spent(at)
    if wait is not None:
        budget.limited(at, wait)
    budget.give_back()


def tried(budget: Budget, at: float, requests: int = 1, *, wait: float | None = None) -> bool:
    """Whether one may go at `at`; it is answered at once."""
    goes = budget.take(at)
    if goes:
        answer(budget, at, requests, wait=wait)
    return goes


def crowd(budget: Budget, at: float) -> int:
    """How many go at once, before any answer."""
    number = 0
    while budget.take(at):
        number += 1
    for _ in range(number):
        answer(budget, at)
    return number


def taught(per_minute: int, passed: int = 1, wait: float = 1.0) -> Budget:
    """A budget that two 429s taught at `MARK` that only `passed` pass in a minute; all of them are spent."""
    budget = Budget(per_minute)
    assert use(budget, MARK - 10, passed)
    assert tried(budget, MARK - 9, wait=1.0)
    assert tried(budget, MARK, wait=wait)
    assert budget.granted == passed
    return budget


def test_as_many_as_are_sure_go_at_once() -> None:
    """Four had passed when the fifth met the 429; what goes beyond goes two at a time."""
    budget = Budget(60)
    assert use(budget, MARK, 5)
    budget.limited(MARK + 1, 64.0)
    assert [1, 2] == [crowd(budget, MARK + 65 + second) for second in (0, 1)]

    assert 4 == crowd(budget, MARK + 200)


def test_the_first_that_goes_when_a_wait_ends_is_proof_that_it_is_over() -> None:
    """Two may go after its answer, though that came in the same instant."""
    budget = Budget(60)
    assert use(budget, MARK, 10)
    budget.limited(MARK + 1, 99.0)

    assert [1, 2] == [crowd(budget, MARK + 100) for _ in range(2)]


@pytest.mark.parametrize(("late", "granted"), [(12.9, 2), (13.0, 60)])
def test_a_429_teaches_within_ten_seconds_of_the_wait_of_another(late: float, granted: int) -> None:
    """Later it is a first one."""
    budget = Budget(60)
    assert tried(budget, MARK, wait=3.0)
    assert tried(budget, MARK + 3)
    assert tried(budget, MARK + 4)
    assert tried(budget, MARK + late, wait=1.0)

    assert granted == budget.granted


def test_what_was_answered_a_whole_minute_ago_has_not_passed_within_it() -> None:
    """Neither counts a 429 of then."""
    budget = Budget(60)
    assert use(budget, MARK - 60, 5)
    assert tried(budget, MARK - 60, wait=55.0)
    for _ in range(3):
        assert tried(budget, MARK - 4)
    assert tried(budget, MARK, wait=1.0)

    assert 3 == budget.granted


def test_what_was_learned_is_never_raised_by_a_429() -> None:
    """Though more had passed one by one in the minute before it."""
    budget = taught(60, 4)
    for second in range(2, 20):
        assert tried(budget, MARK + second)
    assert tried(budget, MARK + 30, wait=1.0)

    assert 4 == budget.granted


@pytest.mark.parametrize(("passed", "pace"), [(4, 30), (5, 60)])
def test_after_five_tries_that_passed_one_that_is_refused_met_others(passed: int, pace: int) -> None:
    """After fewer the pace was too fast; and those of before count no more."""
    budget = taught(60)
    for number in range(passed):
        assert tried(budget, MARK + 5 + number)
    assert tried(budget, MARK + 20, wait=1.0)
    assert pace == budget.pace

    for number in range(4):
        assert tried(budget, MARK + 30 + 5 * number)
    before = budget.pace
    assert tried(budget, MARK + 70, wait=1.0)
    assert before // 2 == budget.pace


def test_only_tries_that_pass_make_the_next_ones_faster() -> None:
    """What is granted proves nothing of more."""
    budget = taught(60)
    assert tried(budget, MARK + 10, wait=1.0)
    assert 30 == budget.pace
    assert tried(budget, MARK + 100)
    assert 30 == budget.pace

    assert tried(budget, MARK + 110)
    assert 37 == budget.pace
    assert tried(budget, MARK + 200)
    assert 37 == budget.pace


@pytest.mark.parametrize("per_minute", [60, 30])
def test_one_that_became_two_takes_the_place_of_two_tries(per_minute: int) -> None:
    """An update that another version has to be asked for: saved tries, and what comes after them."""
    turn = 60 / per_minute
    budgets = [taught(per_minute) for _ in range(2)]
    at = MARK + 40

    assert [True, True, True, False] == [tried(budgets[0], at) for _ in range(4)]
    assert [True, True, False] == [tried(budgets[1], at, requests) for requests in (2, 1, 1)]
    assert [at + turn] * 2 == [budget.next_at(at) for budget in budgets]


@pytest.mark.parametrize("per_minute", [60, 30])
def test_one_that_became_many_holds_up_the_next_for_three_turns_at_most(per_minute: int) -> None:
    """Unless an answer says what is left: then nothing is owed to a leak."""
    turn = 60 / per_minute
    budget = taught(per_minute)
    at = MARK + 40
    assert tried(budget, at, 9)
    assert at + 3 * turn == budget.next_at(at)

    budget.shown(at, Shown(per_minute, 0))
    assert at + turn == budget.next_at(at)


def test_what_ends_during_a_wait_takes_no_tries_place() -> None:
    """It was on its way when the 429 came."""
    budget = taught(60)
    budget.spent(MARK + 0.5)

    assert MARK + 1 == budget.next_at(MARK + 0.5)


@pytest.mark.parametrize(("requests", "goes"), [(1, 2), (2, 1), (3, 0)])
def test_one_that_became_more_takes_more_of_what_is_left(requests: int, goes: int) -> None:
    """Three were left."""
    budget = taught(10)
    budget.shown(MARK + 2, Shown(10, 3))
    assert tried(budget, MARK + 2, requests)

    assert goes == sum(tried(budget, MARK + 2) for _ in range(5))


def test_of_what_is_left_those_that_are_out_may_not_be_counted_yet() -> None:
    """Two are out: the answer to one says that three are left, and the other may be one of them."""
    budget = taught(10)
    budget.shown(MARK + 2, Shown(10, 5))
    assert budget.take(MARK + 2, 2)
    budget.spent(MARK + 2)
    budget.shown(MARK + 2, Shown(10, 3))
    budget.spent(MARK + 2)
    budget.give_back(2)

    assert 2 == sum(tried(budget, MARK + 2) for _ in range(5))


def test_a_429_says_that_nothing_is_left() -> None:
    """Whatever was said before it."""
    budget = taught(10)
    budget.shown(MARK + 2, Shown(10, 5))
    assert tried(budget, MARK + 2, wait=1.0)

    assert not budget.take(MARK + 4)


def test_a_remainder_of_just_what_is_granted_teaches_nothing() -> None:
    """A single 429 afterwards is a first one."""
    budget = Budget(100)
    assert use(budget, MARK, 10)
    budget.shown(MARK, Shown(100, 90))
    budget.limited(MARK + 1, 1.0)

    assert 100 == budget.granted


def test_a_remainder_of_nothing_leaves_what_has_passed() -> None:
    """So much is granted in a minute, and more is tried from a turn later on."""
    budget = Budget(60)
    assert use(budget, MARK, 10)
    budget.shown(MARK, Shown(60, 0))

    assert (10, MARK + 1) == (budget.granted, budget.next_at(MARK))


def test_what_was_refused_is_none_of_what_has_passed() -> None:
    """Six passed and one did not, and nothing is left."""
    budget = Budget(60)
    assert use(budget, MARK, 5)
    assert tried(budget, MARK + 1, wait=1.0)
    assert tried(budget, MARK + 3)
    budget.shown(MARK + 3, Shown(60, 0))

    assert 6 == budget.granted


def test_handing_back_waits_for_the_end_of_the_429s_wait() -> None:
    """Half an hour from then; of one request one more is handed back, of two another."""
    budget = taught(60, wait=100.0)
    begin = MARK + 100

    granted = []
    for at in (1799.9, 1800.0, 3600.0, 5400.0, 7200.0, 9000.0):
        budget.remaining(begin + at)
        granted.append(budget.granted)
    assert [1, 2, 3, 4, 5, 6] == granted


def test_handing_back_is_slower_only_after_it_was_in_vain() -> None:
    """Not with each 429 while nothing was handed back."""
    budget = taught(60)
    waits = []
    at = MARK + 1
    for turn in (0, 1, 2, 3):
        if turn != 2:
            begun = at
            while budget.granted == 1:
                at += 60
                budget.remaining(at)
            waits.append(round((at - begun) / 60))
        assert tried(budget, at)
        assert tried(budget, at + 5, wait=1.0)
        at += 6
        assert budget.granted == 1

    assert [30, 60, 120] == waits


def test_a_budget_that_is_handed_back_whole_is_as_it_was() -> None:
    """A 429 is a first one again."""
    budget = Budget(5)
    budget.shown(MARK, Shown(5, 4))
    assert [4, 5] == [budget.remaining(MARK + at) for at in (599.9, 600.0)]
    assert tried(budget, MARK + 600, wait=1.0)

    assert (5, 5) == (budget.granted, budget.pace)


# -- when the next may go ----------------------------------------------------------------------------------------------


def test_one_that_is_out_counts_when_the_next_may_go() -> None:
    """Two of three are spent and one is out: the next goes when the first of them is a minute ago."""
    budget = Budget(3)
    for after in (0, 10):
        assert use(budget, MARK + after)
    assert budget.take(MARK + 20)

    assert MARK + 61 == budget.next_at(MARK + 20)
    assert (0, 0) == (budget.remaining(MARK + 20), budget.room(MARK + 20))
    assert [0, 1] == [budget.room_until(MARK + 20, MARK + until) for until in (60, 61)]


def test_two_at_once_never_fit_in_a_minute_of_one() -> None:
    """Nor are they tried."""
    budget = Budget(1)
    budget.shown(MARK, Shown(1, 0))

    assert budget.next_at(MARK + 2, 2) is None


def test_what_goes_one_by_one_until_then_is_counted_by_its_pace() -> None:
    """One in two seconds, but not while little is granted for good."""
    assert 10 == taught(30, 2).room_until(MARK + 2, MARK + 22)
    spent = Budget(1)
    assert use(spent, MARK)
    assert 0 == spent.room_until(MARK, MARK + 60)


def test_when_something_is_spare_depends_on_answers_that_are_out() -> None:
    """After a 429 the next has to wait for them; where more goes one by one, half of the pace has to be left."""
    limited = Budget(60)
    limited.limited(MARK, 1.0)
    assert limited.take(MARK + 2)
    assert limited.spare_at(MARK + 2) is None

    budget = taught(60, 40)
    for number in range(6):
        assert tried(budget, MARK + 100 + number)
    assert budget.take(MARK + 200, 29)
    assert MARK + 200 == budget.spare_at(MARK + 200)
    assert budget.take(MARK + 200)
    assert budget.spare_at(MARK + 200) is None


def test_what_is_spare_of_little_is_due_once_enough_is_a_minute_ago() -> None:
    """Of a pace of two one is kept: both that were spent have to be."""
    budget = Budget(2)
    assert tried(budget, MARK - 10, wait=1.0)
    assert tried(budget, MARK, wait=1.0)
    assert (1, 2) == (budget.granted, budget.pace)

    assert MARK + 61 == budget.spare_at(MARK + 2)


def test_next_at_by_the_clock() -> None:
    """The next mark, unless an answer has to come first; a 429 to the last that it grants contradicts it."""
    budget = Budget(2)
    for at, left in ((MARK + 58, 10), (MARK + 62, 59)):
        assert budget.take(at - 0.1)
        budget.spent(at)
        budget.shown(at, Shown(60, left))
        budget.give_back()
    assert budget.by_clock
    contradicted = deepcopy(budget)
    assert tried(contradicted, MARK + 70, wait=1.0)
    assert not contradicted.by_clock
    assert budget.take(MARK + 70)
    assert MARK + 121 == budget.next_at(MARK + 70)
    budget.spent(MARK + 71)
    budget.give_back()
    assert MARK + 121 == budget.next_at(MARK + 71)

    # Others have spent what was left: one is granted, and another is tried.
    assert tried(budget, MARK + 140)
    budget.shown(MARK + 140, Shown(60, 0))
    assert (1, True) == (budget.granted, budget.by_clock)
    assert budget.take(MARK + 175)
    assert budget.next_at(MARK + 175) is None


# -- the clock's minutes -----------------------------------------------------------------------------------------------


def test_near_a_mark_a_request_counts_in_both_minutes() -> None:
    """A second on each side, for the difference of the clocks."""
    minute = ClockMinute()
    spent = deque([MARK - 1.1, MARK - 1.0, MARK, MARK + 30, MARK + 60.9, MARK + 61.0])

    assert [4, 4, 4, 2] == [minute.used(spent, at) for at in (MARK + 1, MARK + 30, MARK + 60.9, MARK + 61.0)]
    earlier = deque([MARK - 40, MARK - 30, MARK + 0.5])
    assert [3, 1] == [minute.used(earlier, at) for at in (MARK + 0.9, MARK + 1.0)]
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


def answered(minute: ClockMinute, *answers: tuple[float, int], limit: int = 60) -> bool:
    """Whether it is known after these answers, each to a request that was sent when it came, so long after `MARK`."""
    for at, left in answers:
        minute.shown(MARK + at, Shown(limit, left), sent=MARK + at)
    return minute.is_known


@pytest.mark.parametrize(("minutes", "known"), [(1, False), (2, True)])
def test_what_stood_still_twice_and_came_back_at_a_mark_is_a_clock_minute(minutes: int, *, known: bool) -> None:
    """So long after the last answer that only a clock's minute explains both, though not by how fast it rose."""
    minute = ClockMinute()
    for begin in range(0, 60 * minutes, 60):
        answered(minute, (begin + 20, 30), (begin + 40, 29))

    assert known == answered(minute, (60 * minutes + 15, 59))


@pytest.mark.parametrize(("pause", "known"), [(3.0, True), (2.9, False)])
def test_it_stands_still_where_a_leak_would_have_given_three_back(pause: float, *, known: bool) -> None:
    """Of sixty a minute in three seconds."""
    minute = ClockMinute()
    for begin in (0, 60):
        answered(minute, (begin + 40, 30), (begin + 40 + pause, 29))

    assert known == answered(minute, (135, 59))


def test_what_was_answered_in_between_is_taken_off_what_stands_still() -> None:
    """Others that were answered and did not say what is left."""
    minute = ClockMinute()
    for begin in (0, 60):
        answered(minute, (begin + 20, 30))
        for second in (22, 24):
            minute.shown(MARK + begin + second, Shown(), sent=MARK + begin + second)
        answered(minute, (begin + 40, 27))

    assert answered(minute, (135, 59))


@pytest.mark.parametrize(("before", "left", "known"), [(10.0, 31, True), (10.0, 30, False), (10.1, 40, False)])
def test_what_rises_by_more_than_leaks_within_ten_seconds_is_a_proof(before: float, left: int, *, known: bool) -> None:
    """Of sixty a minute ten in ten seconds; but only what no sliding minute can have left."""
    minute = ClockMinute()
    sent = MARK + 65 - before
    minute.shown(sent, Shown(60, 20), sent=sent)
    for _ in range(60):
        minute.shown(sent, Shown(), sent=sent)

    assert known == answered(minute, (65, left))


def test_what_was_contradicted_has_to_be_shown_anew() -> None:
    """All of it, once the hours are over; from that instant on it may be."""
    minute = ClockMinute()
    for begin in (0, 60):
        answered(minute, (begin + 20, 30), (begin + 40, 29))
    assert answered(minute, (135, 59))
    assert not answered(minute, (140, 59))

    again = 140 + 4 * 3600
    assert not answered(minute, (again, 30), (again + 20, 29), (again + 55, 59))
    assert not answered(ClockMinute(), (58, 10), (62, 9))


@pytest.mark.parametrize(("late", "known"), [(-0.1, False), (0.0, True)])
def test_it_is_believed_again_once_four_hours_are_over(late: float, *, known: bool) -> None:
    """An answer that comes then may show it, by what was left a moment before."""
    minute = ClockMinute()
    assert not answered(minute, (61.5, 10), (62.0, 10))
    again = 62.0 + 4 * 3600

    assert known == answered(minute, (again - 4, 10), (again + late, 59))


@pytest.mark.parametrize(("second", "same"), [(0.9, False), (1.0, True), (58.9, True), (59.0, False)])
def test_only_what_lies_within_a_minute_by_both_clocks_contradicts_it(second: float, *, same: bool) -> None:
    """A second on each side of a mark may be another minute's."""
    minute = ClockMinute()
    first, last = sorted((second, 30.0))
    answered(minute, (first, 30), (last, 31))

    assert same != minute.may_be_tried(MARK + 60)
