"""Spending what is granted: who goes first, what is worth a request, who is ahead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calsyncd.core.coming import Boundary, Coming
from calsyncd.core.dispatch import (
    EVERYBODY,
    PATIENCE_SECONDS,
    Candidate,
    Quota,
    burst_seconds,
    head_start,
    is_spare,
    is_worth,
    is_worth_early,
    next_crowd,
    order,
    queue,
)
from calsyncd.core.model import Setting
from calsyncd.core.plan import Action, Cause, Look, Put
from calsyncd.core.prices import Counts, Group, Prices, Weights, minute_of

NOW = 1_800_000_000.0
AVAILABLE = Setting("available")
UNAVAILABLE = Setting("unavailable")


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
        pytest.param(
            [put("b", 1799), put("a", 1800, releases=True)], "ab", id="who waited half an hour goes before all"
        ),
        pytest.param(
            [put("b", 1810), put("a", 1820, releases=True)],
            "ab",
            id="of those who waited half an hour the longest due",
        ),
        pytest.param([put("b", -2), put("a", 1)], "ab", id="what is not due yet comes later"),
        pytest.param([put("a", 1), put("b", 1)], "ab", id="of two equal the first"),
    ],
)
def test_order(candidates: list[Candidate], expected: str) -> None:
    """Those first whose wrong state costs most; nobody waits for ever."""
    assert list(expected) == [candidate.agent for candidate in order(candidates, NOW, Weights())]


def page(why: Cause, ago: float) -> Candidate:
    """A page of everybody's that has been wanted for `ago` seconds."""
    return Candidate(EVERYBODY, Look(NOW - ago, why), holding=False)


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        pytest.param([page("sweep", 5000), put("a", 1, releases=True)], "a sweep", id="a sweep goes after what is due"),
        pytest.param([page("joined", 90), look("a", -1)], "a joined", id="and after what is due in a moment"),
        pytest.param([page("presence", 90), look("a", 1)], "a presence", id="as does who is logged in"),
        pytest.param([hinted("b", 500), page("crowd", -60)], "crowd b", id="nobody waits for a hint, but for a crowd"),
        pytest.param([page("sweep", 2), hinted("a", 1)], "sweep a", id="of what is spare the longest due"),
        pytest.param([page("sweep", 2), page("overdue", 0)], "overdue sweep", id="past its deadline it is waited for"),
        pytest.param([look("a", 1), page("several", 2)], "several a", id="several have waited longer"),
        pytest.param([page("several", 1), put("a", 2)], "a several", id="one has waited longer than the several"),
        pytest.param(
            [put("a", 99, releases=True), page("several", 1)], "several a", id="for whom a page is for is not known"
        ),
        pytest.param(
            [put("a", PATIENCE_SECONDS, releases=True), page("several", 1)], "a several", id="half an hour is enough"
        ),
    ],
)
def test_pages_stand_in_the_same_queue(candidates: list[Candidate], expected: str) -> None:
    """One place decides between an update, a look at one agent, and a page of all."""
    ordered = order(candidates, NOW, Weights())

    found = [
        one.action.why if one.agent == EVERYBODY and isinstance(one.action, Look) else one.agent for one in ordered
    ]
    assert expected.split() == found


@pytest.mark.parametrize(("ringing", "unreachable"), [(2.0, 1.0), (1.0, 3.0)])
def test_a_page_weighs_what_the_heaviest_does(ringing: float, unreachable: float) -> None:
    """Whatever the settings say that this is."""
    weights = Weights(ringing, unreachable)

    assert max(ringing, unreachable) == page("crowd", 0).weight(weights)


# -- what is worth a request -------------------------------------------------------------------------------------------

MARK = NOW
"""A minute of the clock ends here: what is due a minute later costs what the second of `PRICES` says."""

PRICES = Prices(minute_of(MARK), (240.0, 120.0, 60.0, 0.0), {})


def begins(ago: float, until: float | None) -> Candidate:
    """The update that begins a hold, due for `ago` seconds; it ends so many seconds after `NOW`."""
    change = None if until is None else NOW + until
    return Candidate("amy", Put(UNAVAILABLE, NOW - ago, releases=False), holding=False, change=change)


def comes_back(ago: float, until: float | None) -> Candidate:
    """The way back, due for `ago` seconds; the next meeting begins so many seconds after `NOW`."""
    change = None if until is None else NOW + until
    return Candidate("amy", Put(AVAILABLE, NOW - ago, releases=True), holding=True, change=change)


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        pytest.param(begins(5, None), True, id="nothing known will undo it"),
        pytest.param(begins(5, 121), True, id="what it gains is what the two cost"),
        pytest.param(begins(5, 120), False, id="a second less, in a minute whose requests cost something"),
        pytest.param(comes_back(5, 240), True, id="a gap that is worth it"),
        pytest.param(comes_back(5, 239), False, id="and one a second shorter"),
        pytest.param(begins(5, -10), False, id="it is over"),
        pytest.param(begins(PATIENCE_SECONDS, 10), True, id="who has waited long enough"),
        pytest.param(begins(PATIENCE_SECONDS - 1, 10), False, id="and who nearly has"),
    ],
)
def test_an_update_is_worth_what_it_gains(candidate: Candidate, *, expected: bool) -> None:
    """Until its opposite is due, against what the two requests cost the others."""
    assert expected == is_worth(candidate, PRICES, NOW, Weights())


def test_everything_is_worth_its_request_while_nobody_waits() -> None:
    """A meeting of a second too."""
    assert is_worth(begins(0, 1), Prices(0, (), {}), NOW, Weights())


@pytest.mark.parametrize(
    ("candidate", "window", "expected"),
    [
        pytest.param(begins(-60, None), 60.0, True, id="nothing known will undo it"),
        pytest.param(
            begins(-60, 60 + 60), 60.0, True, id="a minute for a minute of not being reached and the way back"
        ),
        pytest.param(begins(-60, 60 + 29), 60.0, False, id="half a minute"),
        pytest.param(begins(-60, 60 + 30), 2.0, False, id="the way back alone costs as much"),
        pytest.param(begins(-60, 60 + 31), 2.0, True, id="a second more, and a window of a moment"),
        pytest.param(comes_back(-60, 60 + 179), 60.0, True, id="three minutes back for one of ringing"),
        pytest.param(comes_back(-60, 60 + 119), 60.0, False, id="less than two"),
    ],
)
def test_an_update_is_worth_going_early(candidate: Candidate, window: float, *, expected: bool) -> None:
    """What it gains from its boundary on, against the window in the other wrong state and the price of its opposite."""
    assert expected == is_worth_early(candidate, PRICES, Weights(), window)


def test_nobody_starves() -> None:
    """Whoever has waited for half an hour goes before all who have not, whatever it weighs, and is worth it."""
    late = comes_back(PATIENCE_SECONDS, 30)
    crowd = [put(f"b{number}", ago) for number, ago in enumerate((0, 60, PATIENCE_SECONDS - 0.1))]

    assert late == order([*crowd, late], NOW, Weights())[0]
    assert is_worth(late, Prices(minute_of(NOW), (1e9,) * 99, {}), NOW, Weights())


# -- the queue ---------------------------------------------------------------------------------------------------------


def ahead(at: float, agent: str = "amy", *, starts: bool = True) -> Boundary:
    """A boundary so many seconds after `NOW`, whose opposite is due half an hour later."""
    return Boundary(NOW + at, agent, starts, NOW + at + 1800)


def coming(*boundaries: Boundary) -> Coming:
    """Each of another agent."""
    known = Coming()
    for index, boundary in enumerate(boundaries):
        known.replace(str(index), [replace(boundary, agent=str(index))])
    return known


def test_the_queue_is_who_waits_and_who_comes() -> None:
    """All who wait are as of this minute, with a page that is waited for; what is spare takes nobody's place."""
    minute = minute_of(NOW)
    known = coming(ahead(60), ahead(60))
    waiting = [begins(70, 120), begins(10, 120), comes_back(5, None), look("eve", 5), hinted("joe", 5)]
    waiting += [page("crowd", 5), page("sweep", 5)]

    found = queue(waiting, known, minute)

    assert {
        Group(minute + 1, minute + 31, starts=True): 2,
        Group(minute, minute + 2, starts=True): 2,
        Group(minute, None, starts=False): 1,
        Group(minute, None, starts=True): 2,
    } == found


def test_who_waits_is_counted_with_who_is_due_in_the_same_minute() -> None:
    """A group is who wants the same until the same minute."""
    minute = minute_of(NOW + 60)

    found = queue([begins(0, 60 + 1800)], coming(ahead(60)), minute)

    assert {Group(minute, minute + 30, starts=True): 2} == found


@pytest.mark.parametrize(
    ("after", "per_minute", "expected"),
    [(0, 2, 1), (0, 3, 5), (59, 2, 1), (60, 2, 5), (299, 2, 5), (300, 2, None), (0, 4, None)],
)
def test_the_next_crowd_is_more_than_a_minute_grants(after: float, per_minute: int, expected: int | None) -> None:
    """Three are due in a minute, four in five: as long as their mark is ahead."""
    known = coming(*[ahead(60)] * 3, *[ahead(120)] * 2, *[ahead(300)] * 4)

    found = next_crowd(known, NOW + after, per_minute)

    assert (None if expected is None else minute_of(NOW) + expected) == found


def test_a_quota_is_served_kind_by_kind() -> None:
    """Two who begin and one who comes back."""
    quota = Quota(Counts(2, 1))
    taken = []
    for boundary in (ahead(1), ahead(2, starts=False), ahead(3, starts=False), ahead(4), ahead(5)):
        taken.append(quota.wants(boundary))
        if taken[-1]:
            quota.took(boundary)

    assert [True, True, False, True, False] == taken


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (None, False),
        (Look(NOW), False),
        (Look(NOW, "hint"), True),
        (Look(NOW, "sweep"), True),
        (Look(NOW, "joined"), True),
        (Look(NOW, "presence"), True),
        (Look(NOW, "overdue"), False),
        (Look(NOW, "several"), False),
        (Look(NOW, "crowd"), False),
        (Look(NOW, "key"), False),
        (Put(AVAILABLE, NOW, releases=True), False),
    ],
)
def test_what_nobody_waits_for(action: Action | None, *, expected: bool) -> None:
    """Hints and sweeps, and who is logged in."""
    assert expected == is_spare(action)


def test_a_burst_takes_its_time() -> None:
    """Forty a second."""
    assert [0, 0.025, 2.5] == [burst_seconds(number) for number in (0, 1, 100)]


@pytest.mark.parametrize(
    ("ringing", "unreachable", "ahead"), [(3.0, 1.0, 7.5), (1.0, 3.0, 2.5), (1.0, 1.0, 5.0), (0.0, 1.0, 0.0)]
)
def test_how_much_of_a_burst_goes_before_its_boundary(ringing: float, unreachable: float, ahead: float) -> None:
    """So that the first, too early, costs as much as the last, too late."""
    assert ahead == head_start(10.0, Weights(ringing, unreachable))
