"""What a request costs the others: queues reckoned by hand and by a slow oracle, and what goes early."""

from __future__ import annotations

import time
from collections import Counter
from itertools import zip_longest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calsyncd.core.prices import Counts, Early, Grant, Group, Prices, Weights, minute_of, run_ahead

PLAIN = Weights()
BACK_FIRST = Weights(ringing=1.0, unreachable=2.0)
NO_EARLY = Grant(10, 10, early=0)


def starts(minute: int, until: int | None = None) -> Group:
    """Updates that make somebody unavailable."""
    return Group(minute, until, starts=True)


def ends(minute: int, until: int | None = None) -> Group:
    """Updates that let somebody come back."""
    return Group(minute, until, starts=False)


def prices_of(
    groups: dict[Group, int], grant: Grant = NO_EARLY, weights: Weights = PLAIN, first: int = 0
) -> list[float]:
    """The prices of the minutes from `first` on."""
    return list(run_ahead(first, grant, groups, weights).prices)


def early(groups: dict[Group, int], grant: Grant, first: int, weights: Weights = PLAIN) -> dict[int, list[Early]]:
    """What goes early in which minute."""
    return {minute: list(planned) for minute, planned in run_ahead(first, grant, groups, weights).early.items()}


@pytest.mark.parametrize(("at", "expected"), [(0.0, 0), (0.1, 1), (59.9, 1), (60.0, 1), (60.1, 2)])
def test_what_is_due_at_a_mark_belongs_to_the_minute_that_ends_there(at: float, expected: int) -> None:
    """So that a boundary at 12:00:00 and the burst that serves it are counted together."""
    assert expected == minute_of(at)


@pytest.mark.parametrize(
    ("groups", "grant", "weights", "expected"),
    [
        pytest.param({}, NO_EARLY, PLAIN, [0], id="nobody"),
        pytest.param({starts(0): 10}, NO_EARLY, PLAIN, [0], id="as many as go"),
        pytest.param({starts(0): 11}, NO_EARLY, PLAIN, [120, 0], id="one too many"),
        pytest.param({starts(0): 25}, NO_EARLY, PLAIN, [240, 120, 0], id="two minutes of starts"),
        pytest.param({ends(0): 25}, NO_EARLY, PLAIN, [120, 60, 0], id="two minutes of ends"),
        pytest.param({starts(0): 12, ends(0): 9}, NO_EARLY, PLAIN, [180, 60, 0], id="starts go first"),
        pytest.param({starts(0): 12, ends(0): 9}, NO_EARLY, BACK_FIRST, [120, 60, 0], id="ends go first"),
        pytest.param({starts(0): 12, ends(0): 8}, NO_EARLY, PLAIN, [120, 0], id="both fit in the second"),
        pytest.param({starts(0): 10}, Grant(10, 3, early=0), PLAIN, [120, 0], id="little is left of the first"),
        pytest.param({starts(0): 8, starts(2): 15}, NO_EARLY, PLAIN, [0, 0, 120, 0], id="a crowd to come"),
        pytest.param({starts(0): 15, starts(1): 8}, NO_EARLY, PLAIN, [240, 120, 0], id="one queue runs into the next"),
        pytest.param({ends(0): 15, starts(1): 8}, NO_EARLY, PLAIN, [120, 60, 0], id="ends wait for the next starts"),
    ],
)
def test_the_price_of_a_minute_is_what_its_queue_costs(
    groups: dict[Group, int], grant: Grant, weights: Weights, expected: list[float]
) -> None:
    """Sixty seconds of the heaviest who wait, for each minute until nobody waits."""
    assert expected == prices_of(groups, grant, weights)


def test_prices_are_asked_by_minute_and_by_time() -> None:
    """What is past costs what the first minute costs, and nothing waits beyond the last."""
    prices = Prices(100, (240.0, 120.0), {})

    assert [240, 240, 120, 0] == [prices.of(minute) for minute in (99, 100, 101, 102)]
    assert [240, 120, 120, 0] == [prices.at(at) for at in (6000, 6001, 6060, 6061)]
    assert 240 == prices.current


# -- against an oracle -------------------------------------------------------------------------------------------------

COMING = st.dictionaries(st.builds(Group, st.integers(0, 12), st.none(), st.booleans()), st.integers(1, 60), max_size=8)
WEIGHTS = st.sampled_from([PLAIN, BACK_FIRST, Weights(1.0, 1.0), Weights(0.5, 8.0)])


def oracle(groups: dict[Group, int], grant: Grant, weights: Weights) -> list[float]:
    """The prices, with everybody who waits in a list."""
    waiting: list[float] = []
    heaviest, minute, room = [], 0, grant.room
    while waiting or minute <= max((group.minute for group in groups), default=0):
        for group, number in groups.items():
            if group.minute == minute:
                waiting += [weights.ringing if group.starts else weights.unreachable] * number
        waiting = sorted(waiting, reverse=True)[room:]
        heaviest.append(max(waiting, default=0.0))
        room, minute = grant.per_minute, minute + 1
    prices = []
    for index in range(len(heaviest)):
        until_empty = heaviest[index:].index(0.0)
        prices.append(60 * sum(heaviest[index : index + until_empty]))
    return prices


@settings(deadline=None, max_examples=150)
@given(groups=COMING, per_minute=st.integers(1, 30), room=st.integers(0, 30), weights=WEIGHTS)
def test_prices_are_those_of_a_queue_of_persons(
    groups: dict[Group, int], per_minute: int, room: int, weights: Weights
) -> None:
    """Counted or one by one."""
    grant = Grant(per_minute, min(room, per_minute), early=0)

    assert oracle(groups, grant, weights) == prices_of(groups, grant, weights)


@settings(deadline=None, max_examples=100)
@given(groups=COMING, more=COMING, per_minute=st.integers(1, 30), weights=WEIGHTS)
def test_more_who_wait_make_no_minute_cheaper_and_more_room_none_dearer(
    groups: dict[Group, int], more: dict[Group, int], per_minute: int, weights: Weights
) -> None:
    """In any minute."""
    both = {group: groups.get(group, 0) + more.get(group, 0) for group in {*groups, *more}}

    one = run_ahead(0, Grant(per_minute, per_minute, early=0), groups, weights)
    fuller = run_ahead(0, Grant(per_minute, per_minute, early=0), both, weights)
    wider = run_ahead(0, Grant(per_minute + 3, per_minute + 3, early=0), groups, weights)

    for minute in range(len(fuller.prices) + 1):
        assert wider.of(minute) <= one.of(minute) <= fuller.of(minute)


# -- what goes early ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "room", "expected"),
    [
        pytest.param({starts(5): 10}, 10, {}, id="nobody would wait"),
        pytest.param({starts(5): 15}, 10, {4: [Early(5, Counts(5, 0))]}, id="who would wait"),
        pytest.param({starts(5): 25}, 10, {4: [Early(5, Counts(10, 0))]}, id="as many as there is room for"),
        pytest.param({starts(5): 25}, 4, {4: [Early(5, Counts(4, 0))]}, id="little room is left"),
        pytest.param({starts(5): 25}, 0, {}, id="none is left"),
        pytest.param({starts(4): 7, starts(5): 25}, 10, {4: [Early(5, Counts(3, 0))]}, id="after what is due now"),
        pytest.param({ends(5): 15}, 10, {}, id="to ring in a meeting costs more than a minute of waiting"),
        pytest.param({ends(5): 30}, 10, {}, id="and as much as two"),
        pytest.param({ends(5): 35}, 10, {4: [Early(5, Counts(0, 5))]}, id="but less than three"),
        pytest.param({ends(5): 15, ends(6): 10}, 10, {}, id="what runs into the next minute costs there too"),
        pytest.param(
            {ends(5): 15, ends(6): 10, ends(7): 10}, 10, {4: [Early(5, Counts(0, 5))]}, id="and into the one after"
        ),
        pytest.param({starts(5): 3, ends(5): 12}, 10, {}, id="starts that only make room for ends gain no more"),
        pytest.param({starts(5): 3, ends(5): 22}, 10, {4: [Early(5, Counts(3, 0))]}, id="the cheaper way first"),
        pytest.param({starts(6): 25}, 10, {5: [Early(6, Counts(10, 0))]}, id="not two windows early"),
    ],
)
def test_who_goes_a_window_early(groups: dict[Group, int], room: int, expected: dict[int, list[Early]]) -> None:
    """Those whose sixty seconds of the other wrong state are less than the price of their boundary; of either kind."""
    assert expected == early(groups, Grant(10, room), 4)

    mirrored = {Group(group.minute, None, not group.starts): number for group, number in groups.items()}
    assert early(mirrored, Grant(10, room), 4, BACK_FIRST) == {
        minute: [Early(one.due, Counts(one.counts.ends, one.counts.starts)) for one in planned]
        for minute, planned in expected.items()
    }


def test_a_crowd_behind_a_minute_that_is_just_full_is_still_a_crowd() -> None:
    """It goes around what is due in between."""
    assert {4: [Early(6, Counts(10, 0))]} == early({starts(5): 10, starts(6): 45}, Grant(10, 10, early=2), 4)


def test_whoever_went_early_waits_for_nothing() -> None:
    """The minute of their boundary costs what is left of it."""
    some = run_ahead(4, Grant(10, 10), {starts(5): 25, ends(5): 1}, PLAIN)
    back = run_ahead(4, Grant(10, 10), {ends(5): 25, starts(5): 1}, BACK_FIRST)
    all_of_them = run_ahead(4, Grant(10, 10), {starts(5): 15}, PLAIN)

    for prices in (some, back):
        assert [60, 120, 0] == [prices.of(minute) for minute in (4, 5, 6)]
    assert [0, 0] == [all_of_them.of(minute) for minute in (4, 5)]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (10, {}),
        (25, {5: [Early(6, Counts(10, 0))]}),
        (30, {5: [Early(6, Counts(10, 0))]}),
        (31, {5: [Early(6, Counts(10, 0))], 4: [Early(6, Counts(1, 0))]}),
        (45, {5: [Early(6, Counts(10, 0))], 4: [Early(6, Counts(10, 0))]}),
    ],
)
def test_who_goes_two_windows_early(number: int, expected: dict[int, list[Early]]) -> None:
    """Those for whom even a hundred and twenty seconds are less, once the nearer minute is full."""
    assert expected == early({starts(6): number}, Grant(10, 10, early=2), 4)


def test_what_is_due_between_keeps_its_room() -> None:
    """Seven are due in the minute before the crowd."""
    planned = early({starts(5): 7, starts(6): 45}, Grant(10, 10, early=2), 4)

    assert {5: [Early(6, Counts(3, 0))], 4: [Early(6, Counts(10, 0))]} == planned


def test_a_window_of_a_moment_costs_a_moment() -> None:
    """Where the clock's minute counts, who goes before the mark waits next to nothing."""
    assert {4: [Early(5, Counts(0, 5))]} == early({ends(5): 15}, Grant(10, 10, window=2.0), 4)


def test_what_is_spared_in_a_minute_before_a_crowd_has_its_price() -> None:
    """A request there takes the place of one that would go early; where all go early that gain, there is none."""
    full = run_ahead(4, Grant(10, 10), {starts(5): 25}, PLAIN)
    ahead = run_ahead(2, Grant(10, 10), {starts(5): 25}, PLAIN)
    roomy = run_ahead(4, Grant(10, 10), {starts(5): 15}, PLAIN)

    assert 120 - 60 == full.of(4) == ahead.of(4)
    assert 0 == ahead.of(3)
    assert 0 == roomy.of(4)


@settings(deadline=None, max_examples=150)
@given(
    groups=COMING,
    per_minute=st.integers(1, 30),
    room=st.integers(0, 30),
    ahead=st.integers(0, 4),
    weights=WEIGHTS,
)
def test_early_plans_keep_to_the_room_and_to_what_is_due(
    groups: dict[Group, int], per_minute: int, room: int, ahead: int, weights: Weights
) -> None:
    """Never more than a minute has left, never more than are due, never earlier than is allowed."""
    grant = Grant(per_minute, min(room, per_minute), early=ahead)

    planned = early(groups, grant, 0, weights)

    moved: dict[Group, int] = {}
    for minute, plan in ((minute, plan) for minute, plans in planned.items() for plan in plans):
        assert 0 < plan.due - minute <= ahead
        for group, number in ((starts(plan.due), plan.counts.starts), (ends(plan.due), plan.counts.ends)):
            moved[group] = moved.get(group, 0) + number
    assert all(number <= groups.get(group, 0) for group, number in moved.items())
    for minute, plans in planned.items():
        due = sum(number - moved.get(group, 0) for group, number in groups.items() if group.minute == minute)
        here = sum(plan.counts.starts + plan.counts.ends for plan in plans)
        assert 0 < here <= (grant.room if minute == 0 else per_minute) - due


# -- what is not worth its prices --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (starts(0), True),
        (starts(0, 2), False),
        (starts(0, 3), True),
        (ends(0, 4), False),
        (ends(0, 5), True),
        (starts(2, 3), True),
        (starts(1, 2), True),
        (ends(1, 2), False),
        (ends(1), True),
    ],
)
def test_an_update_is_worth_what_it_and_its_opposite_cost(group: Group, expected: bool) -> None:
    """In minutes that cost 300, 120 and nothing."""
    prices = Prices(0, (300.0, 120.0, 0.0), {})
    group_prices = prices if group.until != 3 else Prices(0, (300.0, 120.0, 0.0, 60.0), {})

    assert expected == group.is_worth(group_prices, PLAIN)


def test_what_is_left_out_lets_prices_fall() -> None:
    """A hundred meetings of a minute are not served, so that those behind them wait for less."""
    all_day = {starts(0): 20}

    alone = prices_of(all_day)[0]
    beside_long = prices_of({**all_day, starts(0, 600): 100})[0]
    beside_short = prices_of({**all_day, starts(0, 1): 100})[0]

    assert 120 == alone
    assert 11 * 120 == beside_long
    assert alone <= beside_short < 2 * alone


def test_however_much_more_is_due_than_granted_some_of_it_is_worth_its_prices() -> None:
    """In a whole day of four times as much: a request that nobody thinks worth while would go to waste."""
    groups: dict[Group, int] = {}
    for begin in range(0, 480, 60):
        groups |= {starts(begin, begin + 50): 240, ends(begin + 50, begin + 60): 240}
    prices = run_ahead(0, Grant(2, 2), groups, PLAIN)
    assert any(group.is_worth(prices, PLAIN) for group in groups if group.starts)


def test_what_is_left_out_takes_its_opposite_with_it() -> None:
    """Who did not go does not come back."""
    groups = {starts(0): 20, starts(0, 2): 100, ends(2): 100}

    prices = run_ahead(0, NO_EARLY, groups, PLAIN)
    without = run_ahead(0, NO_EARLY, {starts(0): 20, ends(2): 100}, PLAIN)

    assert prices.of(2) < without.of(2)


GONE = st.builds(
    lambda minute, length, starts: Group(minute, length and minute + length, starts),
    st.integers(0, 8),
    st.none() | st.integers(1, 6),
    st.booleans(),
)


@settings(deadline=None, max_examples=150)
@given(
    groups=st.dictionaries(GONE, st.integers(1, 40), max_size=6),
    per_minute=st.integers(1, 20),
    first=st.sampled_from([0, 7, 30_000_000]),
    weights=WEIGHTS,
)
def test_prices_with_what_is_left_out_are_those_of_persons_who_leave_the_queue(
    groups: dict[Group, int], per_minute: int, first: int, weights: Weights
) -> None:
    """With their opposites, eight times at most; each time prices go half of the way to those without them."""
    grant = Grant(per_minute, per_minute, early=0)
    found = oracle(groups, grant, weights)
    for _ in range(8):
        left = {group: number for group, number in groups.items() if not group.is_worth(Prices(0, found, {}), weights)}
        if not left:
            break
        waiting = Counter[tuple[int | None, bool]]()
        for group, number in groups.items():
            waiting[group.minute, group.starts] += number
        for group, number in left.items():
            waiting[group.minute, group.starts] -= number
            waiting[group.until, not group.starts] -= number
        again = {Group(minute, None, kind): n for (minute, kind), n in waiting.items() if n > 0 and minute is not None}
        without = oracle(again, grant, weights)
        found = [sum(both) / 2 for both in zip_longest(found, without, fillvalue=0.0)]

    later = {
        Group(group.minute + first, group.until if group.until is None else group.until + first, group.starts): number
        for group, number in groups.items()
    }
    prices = run_ahead(first, grant, later, weights)
    assert found == pytest.approx([prices.of(first + minute) for minute in range(len(found))])


def test_what_is_left_out_makes_no_room_for_what_goes_early() -> None:
    """What is planned early is planned without it."""
    short = {ends(5, 6): 40}
    planned = early({starts(5): 15, **short}, Grant(10, 10), 4)

    assert early({starts(5): 15}, Grant(10, 10), 4) == planned


# -- whatever the numbers are ------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(
    groups=st.dictionaries(
        st.builds(Group, st.integers(-5, 10_000), st.none() | st.integers(-5, 10_000), st.booleans()),
        st.integers(1, 10**9),
        max_size=12,
    ),
    grant=st.builds(Grant, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 5)),
    weights=WEIGHTS,
)
def test_it_ends_for_any_numbers(groups: dict[Group, int], grant: Grant, weights: Weights) -> None:
    """At a day's length at the latest, and no price is less than nothing."""
    prices = run_ahead(0, grant, groups, weights)

    assert len(prices.prices) <= 24 * 60
    assert min(prices.prices, default=0.0) >= 0


def test_a_run_for_thousands_of_agents_takes_a_moment() -> None:
    """As many groups as agents, in crowds: a fraction of what the loop may be held up."""
    groups = {
        Group(30 * (agent % 12), 30 * (agent % 12) + 1 + agent % 97, starts=agent % 3 > 0): 1 + agent % 4
        for agent in range(2500)
    }
    begun = time.process_time()

    run_ahead(0, Grant(100, 100, early=2), groups, PLAIN)

    assert time.process_time() - begun < 0.5
