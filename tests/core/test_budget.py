"""How many requests may go, and when: in every kind of minute, with others, and whatever is answered."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from calsyncd.core.budget import Budget, ClockMinute, Shown, wait_after_429
from calsyncd.sandbox.limits import Kind, Window

from .far_end import FarEnd, Way, most_in_a_minute

NOW = 1_800_000_000.0
YEAR = 365 * 86400.0


def spend(budget: Budget, at: float, requests: int = 1) -> bool:
    """Take and use `requests` at once, if they may go."""
    if not budget.take(at, requests):
        return False
    for _ in range(requests):
        budget.spent(at)
    budget.give_back(requests)
    return True


# -- in every kind of minute -------------------------------------------------------------------------------------------

KINDS = st.sampled_from(["sliding", "fixed", "leaky", "leaky, a small burst"])
WAYS = st.lists(
    st.builds(Way, st.sampled_from([0.0, 0.05, 0.4, 3.0, 14.0]), st.sampled_from([0.0, 0.5, 1.0])),
    min_size=1,
    max_size=4,
)


def window_of(kind: str, limit: int) -> Window:
    """A service that grants `limit` a minute."""
    if kind == "leaky, a small burst":
        return Window(limit, kind="leaky", burst=max(1, limit // 8))
    plain: dict[str, Kind] = {"sliding": "sliding", "fixed": "fixed", "leaky": "leaky"}
    return Window(limit, kind=plain[kind])


CROWDS = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, 7.0, 29.0, 58.0, 60.0, 61.0, 400.0]), st.integers(1, 25)),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=300)
@given(
    kind=KINDS,
    per_minute=st.integers(1, 16),
    limit=st.integers(2, 20),
    crowds=CROWDS,
    others=CROWDS,
    ways=WAYS,
    headers=st.booleans(),
)
@example(
    kind="leaky",
    per_minute=2,
    limit=3,
    crowds=[(0.0, 11)],
    others=[(0.0, 1)],
    ways=[Way(0.0, 0.0), Way(0.4, 0.0)],
    headers=True,
)
@example(
    kind="sliding",
    per_minute=5,
    limit=10,
    crowds=[(29.0, 1), (0.0, 1), (0.0, 9)],
    others=[(0.0, 10)],
    ways=[Way(14.0, 0.0), Way(0.0, 0.0), Way(0.0, 0.0), Way(14.0, 0.0)],
    headers=True,
)
def test_whatever_the_minute_is(
    kind: str,
    per_minute: int,
    limit: int,
    crowds: list[tuple[float, int]],
    others: list[tuple[float, int]],
    *,
    ways: list[Way],
    headers: bool,
) -> None:
    """No sixty seconds see more than the settings allow, nothing goes during a wait, and everything goes in the end."""
    far = FarEnd(Budget(per_minute), window_of(kind, limit), NOW, ways, headers=headers)
    for at, (_, number) in zip(_sums(crowds), crowds, strict=True):
        far.want(at, number)
    for at, (_, number) in zip(_sums(others), others, strict=True):
        far.others(at, number)
    wanted = sum(number for _, number in crowds)

    far.run(NOW + 24 * 3600)

    if far.budget.by_clock:
        assert kind == "fixed"
    if kind != "fixed":
        assert most_in_a_minute(far.counted) <= per_minute
    assert max(Counter(at // 60 for at in far.counted).values()) <= per_minute
    assert not [at for at in far.sent for begin, end in far.waits if begin < at < end]
    assert wanted == len(far.passed)


def _sums(pauses: list[tuple[float, int]]) -> list[float]:
    at, found = NOW, []
    for pause, _ in pauses:
        at += pause
        found.append(at)
    return found


@pytest.mark.parametrize("headers", [False, True])
@pytest.mark.parametrize("kind", ["sliding", "fixed", "leaky"])
def test_a_minute_as_the_settings_say_refuses_nothing(kind: Kind, *, headers: bool) -> None:
    """Whatever an answer shows while others of ours are out, and however long answers take."""
    far = FarEnd(Budget(100), Window(120, kind=kind), NOW, [Way(0.4, 0.5), Way(0.05), Way(6.0, 0.1)], headers=headers)
    for minute in range(20):
        far.want(NOW + 60 * minute, 97)

    far.run()

    assert ([], 20 * 97) == (far.refused, len(far.passed))
    assert far.budget.granted >= 97


@pytest.mark.parametrize("burst", [1, 5, 40])
@pytest.mark.parametrize("per_minute", [60, 100])
def test_a_strict_leak_is_used_at_its_pace_with_few_refusals(burst: int, per_minute: int) -> None:
    """Beyond what went before the first answer six are refused at most; from the second minute on the pace is kept."""
    far = FarEnd(Budget(per_minute), Window(120, kind="leaky", burst=burst), NOW)
    far.want(NOW, 6 * per_minute)

    far.run(NOW + 61)
    first = len(far.refused)
    far.run()

    assert first <= per_minute - burst
    assert len(far.refused) - first <= 6
    assert far.now - NOW <= 60 * (1 + 6 * 1.05)


@pytest.mark.parametrize("kind", ["sliding", "fixed", "leaky"])
def test_others_who_take_half_are_borne(kind: Kind) -> None:
    """For hours: what is left is used, and ever fewer are refused."""
    far = FarEnd(Budget(100), Window(50, kind=kind), NOW)
    for minute in range(4 * 60):
        far.want(NOW + 60 * minute, 70)

    far.run(NOW + 4 * 3600)

    hours = [sum(NOW + 3600 * hour <= at < NOW + 3600 * (hour + 1) for at in far.refused) for hour in range(4)]
    assert 48 <= len(far.passed) / 240 <= 51
    assert hours[0] <= 50 + 50
    assert sum(hours[1:]) <= 30
    assert hours[3] <= hours[1]


# -- what may go ------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=200)
@given(
    per_minute=st.integers(1, 12),
    wishes=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.5, 5.0, 30.0, 59.0, 60.0, 61.0]),
            st.integers(1, 4),
            st.sampled_from([0.0, 0.2, 15.0, 70.0]),
        ),
        max_size=60,
    ),
    counted=st.floats(0, 1),
)
def test_no_sixty_seconds_ever_see_more_than_the_budget(
    per_minute: int, wishes: list[tuple[float, int, float]], counted: float
) -> None:
    """Wherever between sending and answer the server counts a request."""
    budget = Budget(per_minute)
    now = NOW
    out: list[tuple[float, int]] = []
    seen_by_server: list[float] = []
    for pause, requests, latency in wishes:
        for answered, number in sorted(out):
            if answered <= now + pause:
                for _ in range(number):
                    budget.spent(answered)
                budget.give_back(number)
        out = [each for each in out if each[0] > now + pause]
        now += pause
        if budget.take(now, requests):
            out.append((now + latency, requests))
            seen_by_server += [now + latency * counted] * requests

    for at in seen_by_server:
        assert sum(at - 60 < other <= at for other in seen_by_server) <= per_minute


def test_the_budget_is_whole_again_after_a_minute() -> None:
    """A second of margin stands for the clocks' difference."""
    budget = Budget(2)
    assert spend(budget, NOW)
    assert spend(budget, NOW + 1)

    assert not budget.take(NOW + 60.9)
    assert NOW + 61 == budget.next_at(NOW + 2)
    assert budget.take(NOW + 61)


def test_many_requests_are_taken_all_or_none() -> None:
    """Half of a look is no look."""
    budget = Budget(3)

    assert spend(budget, NOW, 2)
    assert not budget.take(NOW, 2)
    assert 1 == budget.remaining(NOW)
    assert budget.take(NOW, 1)


def test_what_is_taken_and_not_used_comes_back() -> None:
    """A look that failed before its second request spent one."""
    budget = Budget(2)
    budget.take(NOW, 2)
    budget.spent(NOW)
    budget.give_back(2)

    assert 1 == budget.remaining(NOW)


def test_while_answers_are_out_nobody_knows_when_the_next_may_go() -> None:
    """The answer wakes the loop."""
    budget = Budget(1)
    budget.take(NOW)

    assert budget.next_at(NOW) is None
    assert not budget.take(NOW + 3600)


def test_a_429_stops_everything_until_its_time_is_over() -> None:
    """An earlier end does not shorten a later one."""
    budget = Budget(10)
    budget.refused(NOW + 30)
    budget.refused(NOW + 10)

    assert not budget.take(NOW + 29)
    assert NOW + 30 == budget.next_at(NOW)
    assert budget.take(NOW + 30)


def test_other_credentials_end_the_wait_of_refused_ones_and_no_other() -> None:
    """A 429 is the company's, whatever it is asked with."""
    budget = Budget(10)
    budget.barred(NOW + 60)
    barred = budget.is_blocked(NOW), budget.next_at(NOW)
    budget.stepped(5)
    later = budget.next_at(NOW)
    budget.refused(NOW + 30)
    budget.admitted()

    assert (barred, later) == ((True, NOW + 60), NOW + 65)
    assert NOW + 30 == budget.next_at(NOW)


def test_next_at_is_now_when_requests_may_go() -> None:
    """Nothing is waited for."""
    assert NOW == Budget(1).next_at(NOW)


@pytest.mark.parametrize(("per_minute", "spare"), [(1, 1), (2, 1), (3, 2), (10, 5), (100, 50)])
def test_half_of_the_minute_is_left_to_what_is_owed(per_minute: int, spare: int) -> None:
    """What nobody waits for may have the other half, and something in any case."""
    budget = Budget(per_minute)
    taken = 0
    while budget.take_spare(NOW):
        taken += 1
    out = budget.spare_at(NOW)
    for _ in range(taken):
        budget.spent(NOW + taken)
        budget.give_back()

    assert (spare, None) == (taken, out)
    assert NOW + taken + 61 == budget.spare_at(NOW + taken)
    assert per_minute - spare == budget.remaining(NOW + taken)
    assert budget.take_spare(NOW + taken + 61)


def test_what_goes_one_by_one_is_spare_while_half_of_its_pace_is_left() -> None:
    """A look that nobody waits for need not be overdue where little is granted at once and much passes in a minute."""
    budget = learned(per_minute=60, passed=2)
    taken, at = 0, NOW + 1
    for second in range(60):
        at = NOW + 1 + second
        due = budget.spare_at(at)
        if budget.take_spare(at):
            assert due == at
            answer(budget, at)
            taken += 1
        else:
            assert due is None or due > at

    assert (2, True, 30) == (budget.granted, budget.one_by_one, taken + 1)
    assert 30 <= budget.room(at)


def test_nothing_is_spare_while_a_429_lasts() -> None:
    """Nor is it then that something is."""
    budget = Budget(10)
    budget.refused(NOW + 30)

    assert not budget.take_spare(NOW)
    assert NOW + 30 == budget.spare_at(NOW)


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_a_clock_that_is_set_leaves_the_budget_as_it_was(step: float) -> None:
    """What was spent stays as long ago as it was."""
    budget = Budget(1)
    spend(budget, NOW)
    budget.refused(NOW + 30)

    budget.stepped(step)

    assert not budget.take(NOW + step + 60)
    assert NOW + step + 61 == budget.next_at(NOW + step)
    assert budget.take(NOW + step + 61)


# -- after a 429 -------------------------------------------------------------------------------------------------------


def answer(budget: Budget, at: float, *, wait: float | None = None) -> None:
    """One request that was taken is answered, by a 429 if there is a `wait`."""
    budget.spent(at)
    if wait is not None:
        budget.limited(at, wait)
    budget.give_back()


def burst(budget: Budget, at: float) -> int:
    """How many go at once."""
    number = 0
    while budget.take(at):
        number += 1
    return number


def test_after_a_429_requests_begin_one_by_one_and_go_two_at_a_time_beyond_what_is_sure() -> None:
    """Nothing had passed in the minute before the 429."""
    budget = Budget(60)
    assert spend(budget, NOW - 70, 40)
    budget.take(NOW)
    answer(budget, NOW, wait=3.0)
    assert 0 == burst(budget, NOW + 2.9)

    bursts = []
    for step in range(4):
        at = NOW + 3 + step
        bursts.append(burst(budget, at))
        for _ in range(bursts[-1]):
            answer(budget, at + 0.5)

    assert [1, 2, 2, 2] == bursts


def test_requests_double_while_they_pass() -> None:
    """Thirty had passed in the minute before the 429: so many are sure."""
    budget = Budget(60)
    assert spend(budget, NOW, 30)
    budget.take(NOW + 1)
    answer(budget, NOW + 1, wait=60.5)

    bursts = []
    for step in range(7):
        at = NOW + 62 + step
        bursts.append(burst(budget, at))
        for _ in range(bursts[-1]):
            answer(budget, at + 0.5)

    assert [1, 2] == bursts[:2]
    assert max(bursts) > 8


def test_one_429_costs_its_wait_and_no_more() -> None:
    """Others have used the minute up: everything is granted as before."""
    budget = Budget(60)
    budget.take(NOW)
    answer(budget, NOW, wait=3.0)

    assert (60, 60) == (budget.granted, budget.pace)
    assert NOW + 3 == budget.next_at(NOW)


def test_the_429s_of_one_crowd_are_one() -> None:
    """They teach nothing; the longest wait counts."""
    budget = Budget(60)
    assert budget.take(NOW, 3)
    for wait in (3.0, 9.0, 5.0):
        answer(budget, NOW, wait=wait)

    assert (60, NOW + 9) == (budget.granted, budget.next_at(NOW))


def learned(per_minute: int = 60, passed: int = 24) -> Budget:
    """A budget that two 429s in a row have taught: `passed` went in the minute before the second, at `NOW`."""
    budget = Budget(per_minute)
    assert spend(budget, NOW - 30, passed - 1)
    assert budget.take(NOW - 2)
    answer(budget, NOW - 2, wait=1.0)
    assert budget.take(NOW - 1)
    answer(budget, NOW - 1)
    assert budget.take(NOW)
    answer(budget, NOW, wait=1.0)
    return budget


def test_a_second_429_soon_after_teaches_what_passes() -> None:
    """What passed in the minute before is granted from then on, and more is tried one by one."""
    budget = learned(passed=24)

    assert (24, 60) == (budget.granted, budget.pace)
    assert not budget.take(NOW + 0.9)
    assert NOW + 1 == budget.next_at(NOW)


def test_a_429_long_after_another_is_a_first_one() -> None:
    """More than ten seconds after the wait."""
    budget = Budget(60)
    for at in (NOW, NOW + 13.1):
        assert budget.take(at)
        answer(budget, at, wait=3.0)

    assert 60 == budget.granted


def test_more_than_what_was_learned_is_tried_as_evenly_as_the_settings_number_goes() -> None:
    """One a second for sixty a minute, and never two at once."""
    budget = learned(per_minute=60, passed=24)
    sent = []
    now = NOW
    while now < NOW + 21:
        at = budget.next_at(now)
        assert at is not None
        now = at
        assert 1 == burst(budget, now)
        answer(budget, now)
        sent.append(now)

    assert [pytest.approx(1.0)] * 19 == [later - at for at, later in pairwise(sent[:20])]


def test_a_try_that_is_refused_makes_the_next_ones_rarer_and_those_that_pass_faster() -> None:
    """Up to the settings' number."""
    budget = learned(per_minute=60, passed=2)
    paces, now = [budget.pace], NOW + 1
    for wait in (1.0, 1.0, *[None] * 6):
        at = budget.next_at(now)
        assert at is not None
        assert budget.take(at)
        answer(budget, at, wait=wait)
        paces.append(budget.pace)
        now = at

    assert paces[0] > paces[1] > paces[2] < paces[5] < paces[8] <= 60


def tried(budget: Budget, at: float, *, wait: float | None = None) -> bool:
    """Whether one more may be tried at `at`, which passes if there is no `wait`."""
    took = budget.take(at)
    if took:
        answer(budget, at, wait=wait)
    return took


def test_tries_that_were_not_needed_are_saved_up() -> None:
    """Three: a leak has a bucket. The next is due a turn later."""
    budget = learned(per_minute=60, passed=1)
    at = NOW + 20

    assert [True, True, True, False] == [tried(budget, at) for _ in range(4)]
    assert at + 1 == pytest.approx(budget.next_at(at))


def test_where_saved_tries_are_refused_they_go_one_by_one_as_fast_as_before() -> None:
    """One that came right after another says nothing of the pace."""
    budget = learned(per_minute=60, passed=1)
    at, pace = NOW + 20, budget.pace
    assert tried(budget, at)
    assert tried(budget, at, wait=1.0)

    assert [True, False] == [tried(budget, at + 15) for _ in range(2)]
    assert budget.pace == pace == 60


def test_one_that_is_refused_after_many_that_passed_met_others() -> None:
    """The pace stays; when the next is refused as well it falls."""
    budget = learned(per_minute=60, passed=1)
    for number in range(8):
        assert tried(budget, NOW + 5 + number)
    assert tried(budget, NOW + 20, wait=1.0)
    after_one = budget.pace
    assert tried(budget, NOW + 40, wait=1.0)

    assert (60, 30) == (after_one, budget.pace)


def test_what_an_answer_says_is_left_may_go() -> None:
    """Without a turn between, however little has passed in the minute; two at a time, and not for long."""
    budget = Budget(60)
    assert spend(budget, NOW)
    budget.shown(NOW, Shown(limit=90, remaining=6))
    assert budget.granted == 7
    assert spend(budget, NOW + 5, requests=6)
    budget.shown(NOW + 5, Shown(limit=90, remaining=3))

    assert [2, 1, 0] == [_answered(budget, NOW + 6, burst(budget, NOW + 6)) for _ in range(3)]
    budget.shown(NOW + 6, Shown(limit=90, remaining=2))
    assert burst(budget, NOW + 17) <= 1


def _answered(budget: Budget, at: float, number: int) -> int:
    for _ in range(number):
        answer(budget, at)
    return number


def test_what_was_learned_is_handed_back_step_by_step() -> None:
    """A quarter every half hour, until the settings' number is granted."""
    budget = learned(per_minute=60, passed=24)

    granted = []
    for minutes in range(0, 181, 30):
        budget.remaining(NOW + 1 + 60 * minutes)
        granted.append(budget.granted)

    assert [24, 30, 37, 46, 57, 60, 60] == granted


def test_it_is_handed_back_more_slowly_each_time_that_it_was_in_vain() -> None:
    """Twice as slowly, up to four hours."""
    budget = learned(per_minute=60, passed=24)
    waits, now = [], NOW + 1
    for _ in range(6):
        begun = now
        while budget.granted == 24:
            now += 60
            budget.remaining(now)
        waits.append((now - begun) / 60)
        assert spend(budget, now, 23)
        assert budget.take(now + 0.1)
        answer(budget, now + 0.1)
        assert budget.take(now + 0.3)
        answer(budget, now + 0.3, wait=1.0)
        assert 24 == budget.granted
        now += 0.3 + 1.0

    assert [pytest.approx(minutes, abs=1) for minutes in (30, 60, 120, 240, 240, 240)] == waits


# -- what headers show -------------------------------------------------------------------------------------------------


def test_a_shown_remainder_lowers_the_grant_at_once() -> None:
    """Others have used eighty of a hundred and twenty."""
    budget = Budget(100)
    assert spend(budget, NOW, 10)

    budget.shown(NOW, Shown(120, 30))

    assert (40, 30) == (budget.granted, budget.remaining(NOW))


def test_a_burst_that_has_just_passed_is_not_taken_for_others() -> None:
    """A request a minute later was quicker on its way, and Aircall still counts the burst when it comes."""
    budget, aircall = Budget(100), Window(120)
    assert budget.take(NOW, 60)
    for number in range(60):
        arrives = NOW + 0.06 + 0.001 * number
        assert aircall.take(arrives)
        budget.spent(arrives + 0.04)
        budget.shown(arrives + 0.04, Shown(120, aircall.remaining(arrives)))
        budget.give_back()

    assert budget.take(NOW + 60)
    assert aircall.take(NOW + 60.03)
    left = aircall.remaining(NOW + 60.03)
    budget.spent(NOW + 60.16)
    budget.shown(NOW + 60.16, Shown(120, left))

    assert (left, budget.granted) == (59, 100)


def test_a_shown_remainder_that_is_enough_changes_nothing() -> None:
    """Nor does one that is missing."""
    budget = Budget(100)
    assert spend(budget, NOW, 10)

    budget.shown(NOW, Shown(120, 110))
    budget.shown(NOW, Shown(120))
    budget.shown(NOW, Shown(None, 90))

    assert 100 == budget.granted


def test_a_shown_remainder_of_nothing_leaves_one() -> None:
    """Else it would never be found out that there is more."""
    budget = Budget(100)

    budget.shown(NOW, Shown(120, -3))

    assert 1 == budget.granted
    assert budget.take(NOW)


def test_what_is_out_is_not_taken_for_what_others_spend() -> None:
    """Fifty went at once and all are counted when the first is answered."""
    budget = Budget(100)
    assert budget.take(NOW, 50)
    budget.spent(NOW + 1)

    budget.shown(NOW + 1, Shown(120, 70))

    assert 100 == budget.granted


def test_what_headers_taught_is_handed_back() -> None:
    """Ten minutes after the last that showed it."""
    budget = Budget(100)
    budget.shown(NOW, Shown(120, 40))

    budget.remaining(NOW + 599)
    before = budget.granted
    budget.remaining(NOW + 600)

    assert (40, 50) == (before, budget.granted)


# -- a minute of the clock ---------------------------------------------------------------------------------------------


CLOCK_LOAD = ((5, 1), (20, 1), (52, 60), (55, 1))


def by_the_clock(
    kind: Kind, minutes: int = 12, *, load: tuple[tuple[float, int], ...] = CLOCK_LOAD, headers: bool = True
) -> FarEnd:
    """So many minutes, each with a few requests before its mark and after, of which the answers show what is left."""
    far = FarEnd(Budget(100), Window(120, kind=kind), NOW - NOW % 60, headers=headers)
    for minute in range(minutes):
        for second, number in load:
            far.want(far.now + 60 * minute + second, number)
    far.run()
    return far


@pytest.mark.parametrize(
    ("kind", "headers", "expected"),
    [("fixed", True, True), ("fixed", False, False), ("sliding", True, False), ("leaky", True, False)],
)
def test_a_clock_minute_is_believed_only_when_shown(kind: Kind, *, headers: bool, expected: bool) -> None:
    """By what is left, not by what passes."""
    far = by_the_clock(kind, headers=headers)

    assert (expected, []) == (far.budget.by_clock, far.refused)


@pytest.mark.parametrize(("leaked", "expected"), [(10, False), (0, True)])
def test_nothing_comes_back_within_a_clock_minute(leaked: int, *, expected: bool) -> None:
    """What leaks has got some of it back after ten seconds; at the mark all is there again."""
    minute = ClockMinute()
    for begin in range(0, 300, 60):
        for second, left in ((5, 119), (15, 118 + leaked), (50, 50 + leaked)):
            at = NOW - NOW % 60 + begin + second
            for _ in range(67 if second == 50 else 0):
                minute.shown(at, Shown(120, left), sent=None)
            minute.shown(at, Shown(120, left), sent=at)

    assert expected == minute.is_known


def test_slow_answers_are_not_taken_for_a_clock_minute() -> None:
    """Sixty were counted fourteen seconds before they were answered: they are forgotten as much earlier."""
    ways = [*[Way(14.0, 0.0)] * 60, *[Way(0.05)] * 3]
    far = FarEnd(Budget(100), Window(120), NOW - NOW % 60, ways, headers=True)
    for turn in range(6):
        for second, number in ((2, 60), (50, 1), (55, 1), (63.5, 1)):
            far.want(far.now + 240 * turn + second, number)

    far.run()

    assert not far.budget.by_clock


def test_answers_that_were_overtaken_are_not_taken_for_a_clock_minute() -> None:
    """The first of sixty shows what was left before the others, and comes after all of them."""
    ways = [Way(0.05), Way(0.05), Way(0.05), Way(12.0, 0.0), *[Way(0.05)] * 59]
    far = FarEnd(Budget(100), Window(120), NOW - NOW % 60, ways, headers=True)
    for turn in range(6):
        for second, number in ((5, 1), (20, 1), (50, 1), (102, 60)):
            far.want(far.now + 240 * turn + second, number)

    far.run()

    assert not far.budget.by_clock


def test_a_leak_of_which_others_take_as_much_is_not_taken_for_a_clock_minute() -> None:
    """What is left falls within a minute, though some of it leaks."""
    far = FarEnd(Budget(100), Window(120, kind="leaky"), NOW - NOW % 60, headers=True)
    for minute in range(6):
        for second, number in ((5, 1), (20, 1), (41, 20)):
            far.want(far.now + 60 * minute + second, number)
        far.others(far.now + 60 * minute + 12, 32)
        far.others(far.now + 60 * minute + 30, 48)

    far.run()

    assert not far.budget.by_clock


@pytest.mark.parametrize(("kind", "burst"), [("sliding", None), ("leaky", None), ("leaky", 10)])
def test_no_other_minute_is_ever_taken_for_the_clocks(kind: Kind, burst: int | None) -> None:
    """Whatever is sent when, on both sides of the marks most of all, however long answers take, and whoever spends."""
    for seed in range(14, 24):
        chance = random.Random(f"{seed} {kind}")
        ways = [Way(chance.choice([0.0, 0.2, 0.2, 0.2, 6.0, 14.0]), chance.random()) for _ in range(20)]
        far = FarEnd(Budget(100), Window(120, kind=kind, burst=burst), NOW, ways, headers=True)
        for mark in range(60, 960, 60):
            for _ in range(3):
                at = chance.choice([58 + 4 * chance.random(), 60 * chance.random()])
                far.want(NOW + mark + at, chance.choice([1, 1, 2, 9, 30, 90]))
            if seed % 2:
                far.others(NOW + mark + 60 * chance.random(), chance.choice([1, 5, 30, 60]))
        for second in range(0, 960, 5):
            far.run(NOW + second)
            assert not far.budget.by_clock, (seed, second)


PAGES = ((58.0, 9), (61.0, 1))


@pytest.mark.parametrize(
    ("kind", "expected"), [("fixed", True), ("sliding", False), ("leaky", False), ("leaky, a small burst", False)]
)
@pytest.mark.parametrize("others", [0, 3])
def test_a_few_reads_on_both_sides_of_a_mark_show_a_clock_minute(kind: str, others: int, *, expected: bool) -> None:
    """No sliding minute and no leak has nine requests back after three seconds, whatever others do."""
    far = FarEnd(Budget(100), window_of(kind, 120), NOW - NOW % 60, headers=True)
    for second, number in PAGES:
        far.want(far.now + second, number)
    far.others(far.now + 30, 5 * others)
    far.others(far.now + 59.5, others)
    far.others(far.now + 60.5, others)

    far.run()

    assert (expected, []) == (far.budget.by_clock, far.refused)


def test_a_minute_with_marks_of_its_own_is_not_taken_for_the_clocks() -> None:
    """It is whole again in the middle of one."""
    begin, minute = NOW - NOW % 60, ClockMinute()
    for turn in range(10):
        for second, left in ((20, 111), (25, 119), (40, 118), (55, 117), (64, 116)):
            at = begin + 120 * turn + second
            minute.shown(at, Shown(120, left), sent=at)

    assert not minute.is_known


def test_what_rose_a_while_after_the_last_answer_may_have_risen_at_any_instant() -> None:
    """Nothing tells that it was the mark."""
    minute = ClockMinute()
    for second, left in ((15.0, 110), (65.0, 119)):
        for _ in range(10):
            minute.shown(NOW - NOW % 60 + second, Shown(120, left), sent=NOW - NOW % 60 + second)

    assert not minute.is_known


def test_a_clock_minute_lets_a_burst_end_at_the_mark_and_another_begin() -> None:
    """A second apart on either side, and neither is more than the settings allow."""
    far = by_the_clock("fixed")
    begin = far.now + 60 - far.now % 60
    for _ in range(2):
        far.want(begin + 57, 100)
    far.run()

    burst = [at - begin for at in far.sent if at >= begin]
    assert ([], 200) == (far.refused, len(burst))
    assert 100 == sum(at < 60 for at in burst)
    assert 61 <= burst[100] <= burst[-1] < 62


def test_a_clock_minute_is_dropped_once_contradicted_and_not_believed_for_hours() -> None:
    """`Remaining` rises within one minute: requests are counted by sixty seconds again."""
    far = by_the_clock("fixed")
    now = far.now + 70 - far.now % 60
    assert far.budget.by_clock

    for later, left in ((0, 100), (5, 104)):
        assert far.budget.take(now + later)
        far.budget.spent(now + later)
        far.budget.shown(now + later, Shown(120, left))
        far.budget.give_back()
    dropped = far.budget.by_clock
    far.now = now + 50
    for minute in range(60):
        for second, number in CLOCK_LOAD:
            far.want(now + 50 + 60 * minute + second, number)
    far.run()

    assert (False, False) == (dropped, far.budget.by_clock)


def test_a_429_within_what_a_clock_minute_grants_contradicts_it() -> None:
    """However much passed before the mark."""
    far = by_the_clock("fixed")
    begin = far.now + 60 - far.now % 60
    far.want(begin + 57, 100)
    far.run(begin + 60)
    far.others(begin + 61, 120)
    far.want(begin + 62, 1)

    far.run(begin + 63)

    assert (1, False) == (len(far.refused), far.budget.by_clock)


def test_answers_that_overtake_each_other_contradict_nothing() -> None:
    """Of two that were out together the later answer may show more."""
    far = by_the_clock("fixed")
    now = far.now + 70 - far.now % 60
    assert far.budget.take(now, 2)
    for left in (100, 101):
        far.budget.spent(now + 1)
        far.budget.shown(now + 1, Shown(120, left))
        far.budget.give_back()

    assert far.budget.by_clock


def test_a_clock_that_is_set_has_other_marks() -> None:
    """They have to be shown anew."""
    far = by_the_clock("fixed")

    far.budget.stepped(30.0)

    assert not far.budget.by_clock


def test_nobody_has_shown_anything_to_a_new_clock_minute() -> None:
    """Nor do answers without their numbers."""
    minute = ClockMinute()
    for second in range(0, 600, 7):
        minute.shown(NOW + second, Shown(), sent=NOW + second)

    assert not minute.is_known


# -- the clock is set --------------------------------------------------------------------------------------------------


@given(
    step=st.sampled_from([-7200.0, -61.0, -5.0, 5.0, 61.0, 7200.0]),
    spends=st.lists(st.tuples(st.floats(-70, 0), st.integers(1, 4)), max_size=8),
    wait=st.none() | st.floats(1, 120),
    taught=st.booleans(),
)
def test_a_clock_that_is_set_moves_everything_alike(
    step: float, spends: list[tuple[float, int]], wait: float | None, *, taught: bool
) -> None:
    """What may go, and when, is as long from now as it was."""
    one, other = (learned() if taught else Budget(12) for _ in range(2))
    now = NOW + 120
    for budget in (one, other):
        for ago, number in sorted(spends):
            spend(budget, now + ago, number)
        if wait is not None:
            budget.limited(now, wait)
    other.stepped(step)

    expected = [None if (at := one.next_at(now, number)) is None else at - now for number in (1, 3)]
    found = [None if (at := other.next_at(now + step, number)) is None else at - now - step for number in (1, 3)]

    assert [pytest.approx(at) if at is not None else None for at in expected] == found
    assert one.remaining(now) == other.remaining(now + step)
    assert one.room_until(now, now + 30) == other.room_until(now + step, now + step + 30)
    first = one.next_at(now)
    assert first is not None
    for budget, at in ((one, first), (other, first + step + 0.001)):
        assert budget.take(at)
        answer(budget, at, wait=9.0)
    assert (one.granted, one.pace) == (other.granted, other.pace)


# -- how much will have gone through -----------------------------------------------------------------------------------


def test_room_until_counts_what_comes_back_by_then() -> None:
    """Each request once: what was spent a minute before is there again."""
    budget = Budget(10)
    assert spend(budget, NOW, 4)
    assert spend(budget, NOW + 20, 3)
    assert budget.take(NOW + 30)

    rooms = [budget.room_until(NOW + 30, NOW + at) for at in (30, 60.9, 61, 80.9, 81)]

    assert [2, 2, 6, 6, 9] == rooms


def test_room_until_is_what_goes_one_by_one_where_little_is_granted() -> None:
    """One a second."""
    budget = learned(per_minute=60, passed=2)

    assert 20 == budget.room_until(NOW + 1, NOW + 21)


def test_room_until_counts_a_clock_minute_anew_at_each_mark() -> None:
    """Whatever was spent before it."""
    far = by_the_clock("fixed")
    begin = far.now + 60 - far.now % 60
    far.want(begin + 50, 70)
    far.run()

    assert [30, 30, 130] == [far.budget.room_until(begin + 55, begin + at) for at in (55, 59, 65)]


# -- how long a 429 lasts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("retry_after", "reset", "expected"),
    [
        pytest.param(17.0, None, 17, id="Retry-After"),
        pytest.param(17.0, NOW + 40, 17, id="Retry-After before Reset"),
        pytest.param(0.2, None, 1, id="a second at least"),
        pytest.param(300.0, None, 120, id="two minutes at most"),
        pytest.param(1e9, None, 60, id="Retry-After that is huge"),
        pytest.param(1e9, NOW + 40, 40, id="Retry-After that is huge, and Reset"),
        pytest.param(-5.0, NOW + 40, 40, id="Retry-After that is negative"),
        pytest.param(0.0, None, 60, id="Retry-After of nothing"),
        pytest.param(float("nan"), None, 60, id="Retry-After that is no number"),
        pytest.param(None, NOW + 40, 40, id="Reset in seconds"),
        pytest.param(None, (NOW + 40) * 1000, 40, id="Reset in milliseconds"),
        pytest.param(None, NOW - 40, 1, id="Reset that is past"),
        pytest.param(None, NOW + YEAR, 120, id="Reset a year ahead"),
        pytest.param(None, (NOW + YEAR) * 1000, 120, id="Reset a year ahead in milliseconds"),
        pytest.param(None, float("inf"), 120, id="Reset without end"),
        pytest.param(None, float("nan"), 60, id="Reset that is no number"),
        pytest.param(None, 0.0, 60, id="Reset of nothing"),
        pytest.param(None, -1.0, 60, id="Reset that is negative"),
        pytest.param(None, None, 60, id="neither"),
    ],
)
def test_wait_after_429(retry_after: float | None, reset: float | None, expected: float) -> None:
    """With jitter on top."""
    assert expected == pytest.approx(wait_after_429(retry_after, reset, NOW, 0.0))
    assert expected + 0.5 == pytest.approx(wait_after_429(retry_after, reset, NOW, 0.5))


def learned_one(per_minute: int) -> Budget:
    """A budget of which only one request a minute is sure, and that one is spent."""
    budget = Budget(per_minute)
    spend(budget, NOW)
    budget.limited(NOW, 1.0)
    assert spend(budget, NOW + 1)
    budget.limited(NOW + 1, 1.0)
    assert budget.granted == 1
    return budget


def test_what_is_spare_is_due_only_when_it_may_go() -> None:
    """More than is granted may be tried, but not by what nobody waits for: it would be due all the time."""
    budget = learned_one(10)

    for second in range(2, 60):
        due = budget.spare_at(NOW + second)
        assert due is None or due > NOW + second or budget.take_spare(NOW + second)


def test_two_that_go_together_may_be_tried_where_one_is_granted() -> None:
    """If the minute of the settings has room for both: else the second would be one too many."""
    budget, other = learned_one(4), learned_one(3)

    assert [NOW + 16, NOW + 61] == [one.next_at(NOW + 2, 2) for one in (budget, other)]
    assert [True, False] == [one.take(NOW + 16, 2) for one in (budget, other)]


def test_what_broke_off_is_no_sign_of_a_minute_by_the_clock() -> None:
    """It may never have been counted: so much is left because so little has come."""
    budget, aircall = Budget(10), Window(10)
    for mark in range(0, 1200, 120):
        for second in (5, 15, 25):
            at = NOW // 60 * 60 + mark + second
            assert aircall.take(at)
            budget.spent(at)
            budget.shown(at, Shown(10, aircall.remaining(at)))
        for second in (90, 95, 100, 105, 110):
            budget.spent(NOW // 60 * 60 + mark + second)

    assert not budget.by_clock


def test_a_minute_by_the_clock_is_known_by_its_answers() -> None:
    """What was left did not come back within a minute, and did at its mark."""
    budget, at = Budget(10), NOW // 60 * 60
    for minute in range(8):
        for count, second in enumerate((4, 12, 40, 48, 52), 1):
            assert spend(budget, at + 60 * minute + second)
            budget.shown(at + 60 * minute + second, Shown(7, 7 - count))

    assert budget.by_clock


def test_reads_on_both_sides_of_a_mark_are_tried_only_where_they_would_tell() -> None:
    """More than a leak gives back while they go; answers must say what is left; and none again for four hours."""
    budget = Budget(60)
    assert not budget.may_show_minute(NOW, 1000)
    assert spend(budget, NOW)
    budget.shown(NOW + 0.1, Shown(60, 59))
    # One leaks in a second: three in those around the mark, and it takes more than two beyond.
    most = 6

    assert [False, True] == [budget.may_show_minute(NOW + 1, reads) for reads in (most - 1, most)]
    more = Budget(600)
    assert spend(more, NOW)
    more.shown(NOW + 0.1, Shown(600, 599))
    assert not more.may_show_minute(NOW + 1, most)
    budget.shows_minute(NOW + 1)
    assert [False, True] == [budget.may_show_minute(NOW + 1 + 4 * 3600 + late, most) for late in (-0.1, 0.0)]


def test_what_was_spent_by_a_clock_that_was_ahead_is_forgotten() -> None:
    """Once it is set back without a word, what lies more than a minute ahead of it is no request of this minute."""
    budget = Budget(2)
    assert spend(budget, NOW, 2)
    assert not budget.take(NOW - 59.0)

    assert budget.take(NOW - 61.0)
