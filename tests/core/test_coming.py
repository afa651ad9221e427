"""The known queue: an agent's boundaries against a walk through time, and everybody's against a recount."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from calsyncd.core.coming import NEVER, Boundary, Coming, boundaries, group_of
from calsyncd.core.model import Event, Setting, Span
from calsyncd.core.prices import Group, minute_of
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import Timeline, build

UNAVAILABLE = Setting("unavailable")
TRAINING = Setting("unavailable", "in_training")

MEETINGS = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 40)), max_size=8)


def of(meetings: list[tuple[int, int]], bridge: float = 0.0) -> Timeline:
    """A timeline of meetings: when each begins and how long it is."""
    events = [Event(f"m{index}", start, start + length) for index, (start, length) in enumerate(meetings)]
    return build(events, Rules(lead=0, lag=0, bridge=bridge))


def walked(timeline: Timeline, after: int, before: int) -> list[Boundary]:
    """The boundaries by asking at every second what is wanted, and half a second before."""
    found: list[tuple[int, bool]] = []
    for at in range(after + 1, 400):
        inside, was = timeline.span_at(at) is not None, timeline.span_at(at - 0.5) is not None
        if inside != was:
            found.append((at, inside))
    return [
        Boundary(at, "amy", starts, found[index + 1][0] if index + 1 < len(found) else NEVER)
        for index, (at, starts) in enumerate(found)
        if at < before
    ]


@settings(deadline=None, max_examples=150)
@given(meetings=MEETINGS, bridge=st.sampled_from([0.0, 5.0]), after=st.integers(-5, 260), length=st.integers(0, 300))
def test_boundaries_are_those_of_a_walk_through_time(
    meetings: list[tuple[int, int]], bridge: float, after: int, length: int
) -> None:
    """Meetings that touch, overlap or are bridged are one stretch; what is at either end is not between."""
    timeline = of(meetings, bridge)

    assert walked(timeline, after, after + length) == boundaries("amy", timeline, after, after + length)


def test_a_change_of_reason_within_a_stretch_is_no_boundary() -> None:
    """It lets nobody come back, and takes nobody away."""
    spans = Timeline((Span(10, 20, UNAVAILABLE, "one"), Span(20, 30, TRAINING, "two")))

    assert [Boundary(10, "amy", starts=True, until=30), Boundary(30, "amy", starts=False)] == boundaries(
        "amy", spans, 0, 100
    )


@pytest.mark.parametrize(
    ("at", "until", "expected"),
    [
        (60.0, 120.0, Group(1, 2, starts=True)),
        (60.1, 120.1, Group(2, 3, starts=True)),
        (60.0, None, Group(1, None, starts=True)),
        (60.0, NEVER, Group(1, None, starts=True)),
    ],
)
def test_whom_an_update_is_counted_with(at: float, until: float | None, expected: Group) -> None:
    """Those of its minute whose opposite is due in the same minute."""
    assert expected == group_of(at, until, starts=True)


def boundary(at: float, agent: str = "amy", *, starts: bool = True) -> Boundary:
    """One whose opposite is due half an hour later."""
    return Boundary(at, agent, starts, at + 1800)


def test_what_is_ahead_is_counted_by_minute_and_by_group() -> None:
    """In order of time within a minute."""
    coming = Coming()
    coming.replace("amy", [boundary(59), boundary(1859, starts=False)])
    coming.replace("bob", [boundary(60, "bob"), boundary(61, "bob", starts=False)])

    assert {1: 2, 2: 1, 31: 1} == coming.numbers()
    assert {
        Group(1, 31, starts=True): 2,
        Group(2, 32, starts=False): 1,
        Group(31, 61, starts=False): 1,
    } == coming.groups()
    assert [boundary(59), boundary(60, "bob")] == coming.in_minute(1)
    assert [2, 3, 3, 4] == [coming.number_before(at) for at in (60, 61, 1800, 1801)]
    assert [0, 1, 2, 2, 3, 3, 4] == [coming.number_until(at) for at in (58.9, 59, 60, 60.9, 61, 1858, 1859)]
    assert ["amy", "bob"] == sorted(coming.agents_in(1))


def test_the_version_changes_when_somebodys_boundaries_do() -> None:
    """And not when the same ones are told again."""
    coming = Coming()
    versions = [coming.version]
    for told in ([boundary(60)], [boundary(60)], [boundary(61)], []):
        coming.replace("amy", told)
        versions.append(coming.version)

    assert versions[0] < versions[1] == versions[2] < versions[3] < versions[4]


def test_what_is_told_again_after_the_clock_was_set_back_is_ahead_again() -> None:
    """What had passed has not."""
    coming = Coming()
    coming.replace("amy", [boundary(60), boundary(1860, starts=False)])
    coming.passed(100)

    coming.passed(10)
    coming.replace("amy", [boundary(60), boundary(1860, starts=False)])

    assert {1: 1, 31: 1} == coming.numbers()


AGENTS = st.sampled_from(["amy", "bob", "eve"])
TIMES = st.lists(st.integers(1, 600), max_size=6, unique=True)


class Recounted(RuleBasedStateMachine):
    """Boundaries are replaced, served and passed in any order; what is told is compared with a recount."""

    def __init__(self) -> None:
        super().__init__()
        self.coming = Coming()
        self.own: dict[str, list[Boundary]] = {}
        self.now = 0.0

    @rule(agent=AGENTS, times=TIMES)
    def replace(self, agent: str, times: list[int]) -> None:
        """These are the agent's boundaries from now on."""
        fresh = [boundary(self.now + ahead, agent, starts=ahead % 2 > 0) for ahead in sorted(times)]
        self.own[agent] = fresh
        self.coming.replace(agent, fresh)

    @rule(agent=AGENTS, data=st.data())
    def served(self, agent: str, data: st.DataObject) -> None:
        """One of them is served early."""
        if ahead := self.own.get(agent):
            one = data.draw(st.sampled_from(ahead))
            ahead.remove(one)
            self.coming.served(one)

    @rule(seconds=st.sampled_from([0.0, 0.5, 20.0, 60.0, 200.0]))
    def passed(self, seconds: float) -> None:
        """Time goes."""
        self.now += seconds
        self.coming.passed(self.now)
        self.own = {agent: [one for one in own if one.at > self.now] for agent, own in self.own.items()}

    @invariant()
    def is_as_recounted(self) -> None:
        """By whatever is asked."""
        ahead = [one for own in self.own.values() for one in own]
        minutes = Counter(minute_of(one.at) for one in ahead)
        assert Counter(one.group for one in ahead) == self.coming.groups()
        assert minutes == {minute: number for minute, number in self.coming.numbers().items() if number}
        for minute in range(minute_of(self.now), minute_of(self.now) + 12):
            assert minutes[minute] == self.coming.number_in(minute)
            assert sorted(one for one in ahead if minute_of(one.at) == minute) == self.coming.in_minute(minute)
        at = self.now + 150
        assert sum(minute_of(one.at) <= minute_of(at) for one in ahead) == self.coming.number_before(at)
        assert sum(one.at <= at for one in ahead) == self.coming.number_until(at)


Recounted.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=25)
TestRecounted = Recounted.TestCase


def test_starts_are_counted_for_themselves() -> None:
    """Those of a minute that make somebody unavailable; none in a minute of which nothing is known."""
    coming = Coming()
    coming.replace("a", [Boundary(61.0, "a", starts=True), Boundary(90.0, "a", starts=False)])
    coming.replace("b", [Boundary(62.0, "b", starts=True), Boundary(121.0, "b", starts=True)])

    minutes = sorted(coming.numbers())
    assert [2, 1] == [coming.starts_in(minute) for minute in minutes]
    assert [3, 1] == [coming.number_in(minute) for minute in minutes]
    assert (0, 0) == (coming.starts_in(99), coming.number_in(99))


def test_what_the_clock_has_left_behind_is_forgotten_by_the_minute() -> None:
    """Whole minutes at once, and within the current one what is due by now."""
    coming = Coming()
    coming.replace("a", [Boundary(at, "a", starts=True) for at in (61.0, 130.0, 190.0)])
    coming.replace("b", [Boundary(200.0, "b", starts=False)])

    coming.passed(190.0)

    assert [200.0] == [one.at for minute in coming.numbers() for one in coming.in_minute(minute)]
    assert 1 == sum(coming.numbers().values()) == sum(coming.groups().values())
    coming.passed(200.0)
    assert {} == coming.groups()
    coming.replace("a", [Boundary(300.0, "a", starts=True)])
    assert 1 == coming.number_before(300.0)


def test_one_that_is_served_is_not_ahead_any_more() -> None:
    """The agent's others are; whoever is not known has nothing served."""
    coming = Coming()
    first, second = Boundary(61.0, "a", starts=True), Boundary(130.0, "a", starts=False)
    coming.replace("a", [first, second])
    version = coming.version

    coming.served(first)
    assert [second] == [one for minute in sorted(coming.numbers()) for one in coming.in_minute(minute)]
    assert version + 1 == coming.version
    coming.served(first)
    coming.served(Boundary(61.0, "b", starts=True))
    assert version + 1 == coming.version
    coming.replace("a", [second])
    assert version + 1 == coming.version
    coming.replace("a", [])
    assert {} == coming.groups()


def test_of_a_minute_of_which_nothing_is_known_nothing_is_due() -> None:
    """Nobody's, and none until then."""
    coming = Coming()

    assert (0, 0, 0, [], []) == (
        coming.number_in(7),
        coming.number_before(420.0),
        coming.number_until(420.0),
        list(coming.agents_in(7)),
        coming.in_minute(7),
    )


def test_what_is_due_until_an_instant_counts_what_is_due_at_it() -> None:
    """Within its minute; two minutes apart both count."""
    coming = Coming()
    coming.replace("a", [Boundary(at, "a", starts=True) for at in (61.0, 90.0, 100.0, 130.0)])

    assert [0, 1, 2, 3, 4] == [coming.number_until(at) for at in (60.9, 89.9, 90.0, 120.0, 130.0)]
    assert [3, 3, 4] == [coming.number_before(at) for at in (61.0, 120.0, 121.0)]
    assert ["a", "a", "a"] == list(coming.agents_in(2))
