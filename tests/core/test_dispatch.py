"""Spending Aircall's requests: how many may go, which goes first, how long a 429 lasts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calsyncd.core.budget import Budget, Shown, wait_after_429
from calsyncd.core.dispatch import Candidate, order
from calsyncd.core.model import Setting
from calsyncd.core.plan import Look, Put
from calsyncd.core.prices import Weights
from calsyncd.sandbox.limits import Kind, Window

NOW = 1_800_000_000.0
YEAR = 365 * 86400.0
AVAILABLE = Setting("available")
UNAVAILABLE = Setting("unavailable")


def spend(budget: Budget, at: float, requests: int = 1) -> bool:
    """Take and use `requests` at once, if they may go."""
    if not budget.take(at, requests):
        return False
    for _ in range(requests):
        budget.spent(at)
    budget.give_back(requests)
    return True


# -- the budget --------------------------------------------------------------------------------------------------------


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


def test_nothing_is_spare_while_a_429_lasts() -> None:
    """Nor is it then that something is."""
    budget = Budget(10)
    budget.refused(NOW + 30)

    assert not budget.take_spare(NOW)
    assert NOW + 30 == budget.spare_at(NOW)


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

    assert [NOW + 2, None] == [one.next_at(NOW + 2, 2) for one in (budget, other)]
    assert [True, False] == [one.take(NOW + 2, 2) for one in (budget, other)]


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
        for count, second in enumerate((4, 12, 36, 44, 52), 1):
            budget.spent(at + 60 * minute + second)
            budget.shown(at + 60 * minute + second, Shown(7, 7 - count))

    assert budget.by_clock


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


# -- who goes first ----------------------------------------------------------------------------------------------------


def put(agent: str, ago: float, *, releases: bool = False) -> Candidate:
    """An update that has been due for `ago` seconds."""
    setting = AVAILABLE if releases else UNAVAILABLE
    return Candidate(agent, Put(setting, NOW - ago, releases=releases), releases)


def look(agent: str, ago: float, *, holding: bool = False) -> Candidate:
    """A look that has been due for `ago` seconds."""
    return Candidate(agent, Look(NOW - ago), holding)


def hinted(agent: str, ago: float) -> Candidate:
    """A look that only a hint has asked for, so long ago."""
    return Candidate(agent, Look(NOW - ago, "hint"), holding=True)


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        pytest.param([], "", id="nobody"),
        pytest.param([hinted("b", 500), look("a", -2)], "ab", id="what nobody waits for goes last, however long"),
        pytest.param([hinted("b", 1), hinted("a", 5)], "ab", id="of those the longest due"),
        pytest.param(
            [put("b", 5, releases=True), put("a", 1)], "ab", id="ringing in a meeting costs more than unreachable"
        ),
        pytest.param([put("b", 1), put("a", 5)], "ab", id="of two alike the longest due"),
        pytest.param([look("b", 5, holding=True), look("a", 1)], "ab", id="a look costs what it stands for"),
        pytest.param([put("b", 1), look("a", 5)], "ab", id="looks stand in the same queue"),
        pytest.param([put("b", 899), put("a", 900, releases=True)], "ab", id="who waited a minute goes before all"),
        pytest.param(
            [put("b", 910), put("a", 920, releases=True)], "ab", id="of those who waited a minute the longest due"
        ),
        pytest.param([put("b", -2), put("a", 1)], "ab", id="what is not due yet comes later"),
        pytest.param([put("a", 1), put("b", 1)], "ab", id="of two equal the first"),
    ],
)
def test_order(candidates: list[Candidate], expected: str) -> None:
    """Those first whose wrong state costs most; nobody waits for ever."""
    assert list(expected) == [candidate.agent for candidate in order(candidates, NOW, Weights())]


# -- a minute that lets requests through bit by bit ------------------------------------------------------------------


def test_one_429_is_waited_for_and_no_more() -> None:
    """Others have used the minute up: after the wait all goes as before."""
    budget = Budget(60)

    budget.limited(NOW, 3.0)

    assert [False, True, True] == [spend(budget, NOW + at) for at in (2.9, 3.0, 3.0)]


def test_a_second_429_soon_after_the_wait_makes_requests_go_evenly_for_a_minute() -> None:
    """One a second for a budget of sixty; the same crowd's second 429 is not a second one."""
    budget = Budget(60)
    budget.limited(NOW, 3.0)
    budget.limited(NOW + 0.1, 2.9)
    at_once = [spend(budget, NOW + 3) for _ in range(2)]

    budget.limited(NOW + 4, 2.0)
    evenly = [spend(budget, NOW + at) for at in (5.9, 6.0, 6.1, 6.9, 7.0, 7.5, 8.0)]
    turn = budget.next_at(NOW + 8.1)
    after = [spend(budget, NOW + 66) for _ in range(2)]

    assert [True, True] == at_once
    assert [False, True, False, False, True, False, True] == evenly
    assert NOW + 9 == turn
    assert [True, True] == after


def test_a_429_long_after_another_is_a_first_one() -> None:
    """Ten seconds without one, and the minute was as it should be."""
    budget = Budget(60)
    budget.limited(NOW, 3.0)
    budget.limited(NOW + 13.1, 3.0)

    assert [True, True] == [spend(budget, NOW + 17) for _ in range(2)]


@pytest.mark.parametrize("kind", ["sliding", "fixed", "leaky"])
def test_a_crowd_in_a_minute_that_leaks_is_served_without_a_storm_of_429s(kind: Kind) -> None:
    """Sixty requests, ninety a minute, a few at once or many used by others: a handful is refused."""
    window, budget = Window(90, kind=kind, burst=8), Budget(75)
    now, waiting, refused = NOW, 60, 0
    for _ in range(40):
        window.take(now)
    while waiting:
        assert now < NOW + 130
        if not budget.take(now):
            now = budget.next_at(now) or now
            continue
        now += 0.005
        budget.spent(now)
        budget.give_back()
        if window.take(now):
            waiting -= 1
        else:
            refused += 1
            budget.limited(now, wait_after_429(None, window.reset_at(now), now, 0.5))

    assert refused <= 3


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
