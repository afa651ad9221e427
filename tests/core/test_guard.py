"""The coverage floor and the storm guard: who is kept, and what is too much at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calsyncd.core.guard import COVER_AGE_SECONDS, Flips, Floor, Member, StormLimits, covers, is_flip, kept
from calsyncd.core.looks import fresh_seconds
from calsyncd.core.model import Event, Observation, Setting
from calsyncd.core.observe import carried_on
from calsyncd.core.plan import FREE, Facts, Held, Orders, StandingBack
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import Timeline, build

NOW = 1_800_000_000.0
HOUR = 3600.0
EVERYBODY = [f"a{number}@x" for number in range(8)]
ALL_3 = Floor("all", 3)

companies = st.lists(
    st.builds(
        Member,
        email=st.sampled_from(EVERYBODY),
        covers=st.booleans(),
        begins=st.none() | st.sampled_from([NOW, NOW + 60, NOW + 120]),
        exempt=st.booleans(),
    ),
    unique_by=lambda member: member.email,
)
floors = st.lists(
    st.builds(
        Floor,
        name=st.sampled_from(["all", "support", "sales"]),
        least=st.integers(1, 5),
        members=st.none() | st.frozensets(st.sampled_from(EVERYBODY)),
    ),
    unique_by=lambda floor: floor.name,
)


def going(number: int, begins: float = NOW, *, exempt: bool = False) -> Member:
    """An agent who covers and whom a meeting would take off."""
    return Member(EVERYBODY[number], covers=True, begins=begins, exempt=exempt)


def left(members: list[Member], floor: Floor, found: dict[str, Floor]) -> int:
    """How many cover once those who are not kept have gone."""
    return sum(
        one.covers and (one.begins is None or one.email in found) for one in members if floor.concerns(one.email)
    )


@given(companies, floors)
def test_no_calendar_breaks_a_floor(members: list[Member], limits: list[Floor]) -> None:
    """Going takes no floor below its least, but for who is out of the office, and for what was too few before."""
    found = kept(members, limits)

    for floor in limits:
        mine = [one for one in members if floor.concerns(one.email) and one.covers]
        away = sum(one.begins is not None and one.exempt for one in mine)
        assert left(members, floor, found) >= min(floor.least, len(mine) - away)
    assert not [one for one in members if one.email in found and (one.exempt or one.begins is None or not one.covers)]


@given(companies, floors)
def test_nobody_is_kept_in_vain(members: list[Member], limits: list[Floor]) -> None:
    """Whoever is kept is kept by a floor of theirs that has nobody to spare."""
    for email, floor in kept(members, limits).items():
        assert floor.concerns(email)
        assert left(members, floor, kept(members, limits)) <= floor.least


@given(companies, floors, st.randoms())
def test_the_order_of_asking_makes_no_difference(members: list[Member], limits: list[Floor], dice: object) -> None:
    """The same company is settled in the same way, however it is listed."""
    shuffled = list(members)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]

    assert kept(shuffled, limits) == kept(members, limits)


@given(companies, floors)
def test_settling_again_after_some_went_keeps_the_same(members: list[Member], limits: list[Floor]) -> None:
    """Whoever was let go and has gone meanwhile changes nothing for those who wait."""
    found = kept(members, limits)
    gone = [
        replace(one, covers=False, begins=None) if one.begins is not None and one.email not in found else one
        for one in members
    ]

    assert kept(gone, limits) == found


def test_the_longest_in_the_meeting_goes_first() -> None:
    """One of four may go: the one whose meeting began first, whoever was named first."""
    members = [going(0, NOW + 60), going(1, NOW), going(2, NOW + 30), Member(EVERYBODY[3], covers=True)]

    assert set(kept(members, [ALL_3])) == {EVERYBODY[0], EVERYBODY[2]}


def test_the_lot_is_another_at_each_instant() -> None:
    """At the same hour every day it is not always the same agent who goes."""
    days = [NOW + day * 86400 for day in range(40)]

    gone = [set(EVERYBODY[:4]) - set(kept([going(one, day) for one in range(4)], [ALL_3])) for day in days]

    assert all(len(one) == 1 for one in gone)
    counts = [sum(EVERYBODY[one] in who for who in gone) for one in range(4)]
    assert min(counts) >= 4


def test_out_of_office_wins_and_counts() -> None:
    """Who is out of the office goes, whatever the floor, and leaves one fewer for the others to go."""
    members = [going(0, NOW + 60, exempt=True), going(1), going(2), Member(EVERYBODY[3], covers=True)]

    assert set(kept(members, [Floor("all", 2)])) & set(EVERYBODY[:1]) == set()
    assert len(kept(members, [Floor("all", 2)])) == 1
    assert set(kept([replace(one, exempt=True) for one in members], [ALL_3])) == set()


def test_a_teams_floor_is_the_teams() -> None:
    """The last of a team stays though many others are there; others go."""
    support = Floor("support", 1, frozenset(EVERYBODY[:1]))

    assert kept([going(0), going(1), *(Member(one, covers=True) for one in EVERYBODY[2:])], [support]) == {
        EVERYBODY[0]: support
    }
    assert str(support) == "at least 1 of the team support"


@pytest.mark.parametrize(
    ("status", "live", "expected"),
    [
        ("available", None, True),
        ("custom", None, True),
        ("available", "in_call", True),
        ("available", "offline", False),
        ("unavailable", None, False),
        ("unknown_word", None, False),
    ],
)
def test_who_covers(status: str, live: str | None, *, expected: bool) -> None:
    """Who takes calls, by the last look."""
    facts = Facts().looked(Observation(Setting(status), NOW - 60, live))

    assert covers(FREE, facts, NOW) is expected
    assert covers(StandingBack("override", NOW - 60, NOW + HOUR), facts, NOW) is expected


def test_who_does_not_cover() -> None:
    """Not who was never seen, or long ago, or before our own update, or was told to have changed, or is held."""
    seen = Facts().looked(Observation(Setting("available"), NOW - 60))
    held = Held(Setting("unavailable"), Setting("available"), NOW - 90, NOW - 90, NOW + HOUR)

    assert covers(FREE, seen, NOW)
    assert not covers(FREE, Facts(), NOW)
    assert not covers(FREE, seen, NOW - 59 + COVER_AGE_SECONDS)
    assert not covers(FREE, replace(seen, acted_at=NOW - 30), NOW)
    assert not covers(FREE, seen.hinted("unavailable", NOW - 10, putting=False), NOW)
    assert not covers(held, seen, NOW)


@pytest.mark.parametrize("crowded", [False, True])
@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("pages", [1, 4, 30, 400])
def test_what_an_update_may_rely_on_says_who_covers(pages: int, *, told: bool, crowded: bool) -> None:
    """Whoever may be taken off the phones by an old look counts for the floor by the same look."""
    oldest = fresh_seconds(pages, told=told, crowded=crowded)

    assert covers(FREE, Facts().looked(Observation(Setting("available"), NOW - oldest)), NOW)


def test_what_is_a_storm() -> None:
    """More than the share, and at least the number; a share of one is never exceeded."""
    limits = StormLimits()

    assert [limits.exceeded(flips, 20) for flips in (9, 10, 11)] == [False, False, True]
    assert [limits.exceeded(flips, 4) for flips in (3, 4)] == [False, False]
    assert not StormLimits(share=1.0, at_least=1).exceeded(500, 500)


def meeting(start: float, end: float) -> Timeline:
    """One meeting, from and to so many seconds from now."""
    return build([Event("m", NOW + start, NOW + end)], Rules())


def test_what_is_a_flip() -> None:
    """Only what is wanted at this moment counts."""
    running, later = meeting(-60, 60), meeting(60, 120)

    assert is_flip(None, running, NOW)
    assert is_flip(running, later, NOW)
    assert not is_flip(None, later, NOW)
    assert not is_flip(running, meeting(-600, 30), NOW)


def test_flips_are_counted_for_a_minute() -> None:
    """Of each agent the first flip of a minute counts, with what was before it and every calendar since."""
    flips = Flips()
    flips.add("a@x", None, {"one"}, NOW)
    flips.add("a@x", meeting(0, 60), {"two"}, NOW + 30)
    flips.add("b@x", None, {"three"}, NOW + 50)

    assert flips.recent(NOW + 59).keys() == {"a@x", "b@x"}
    assert (flips.recent(NOW + 59)["a@x"].before, flips.recent(NOW + 59)["a@x"].calendars) == (None, {"one", "two"})
    assert flips.recent(NOW + 61).keys() == {"b@x"}
    assert not flips.recent(NOW - 1)


def test_what_would_be_held() -> None:
    """It moves with the meeting's end, ends with it or a pause, and outlasts an unread calendar to its known end."""
    would = Held(Setting("unavailable"), Setting("custom"), NOW - 60, NOW - 60, NOW + 60)

    def on(timeline: Timeline | None, *, complete: bool = True, paused: float | None = None) -> float | None:
        orders = Orders(timeline, complete=complete, paused_until=paused)
        later = carried_on(would, orders, NOW)
        return None if later is None else later.until - NOW

    assert on(meeting(-60, 600)) == 600
    assert on(meeting(-60, 30)) == 30
    assert on(meeting(-60, 30), complete=False) == 60
    assert on(meeting(60, 90)) is None
    assert on(None, complete=False) == 60
    assert on(meeting(-60, 600), paused=NOW + HOUR) is None


def test_flips_are_those_of_the_last_minute() -> None:
    """Of each agent the first, with all calendars that had a part; one that is set ahead of the clock is forgotten."""
    flips, before = Flips(), Timeline()
    flips.add("a@x", before, {"one"}, NOW)
    flips.add("b@x", None, {"two"}, NOW + 30)
    flips.add("a@x", None, {"three"}, NOW + 59.9)

    found = flips.recent(NOW + 59.9)
    assert {"a@x": (NOW, {"one", "three"}), "b@x": (NOW + 30, {"two"})} == {
        email: (flip.at, flip.calendars) for email, flip in found.items()
    }
    assert found["a@x"].before is before
    assert ["b@x"] == list(flips.recent(NOW + 60))
    assert [] == list(flips.recent(NOW + 29.9))


def test_a_flip_that_another_calendar_joins_is_confirmed_anew() -> None:
    """What is known already changes nothing."""
    flips = Flips()
    flips.add("a@x", None, {"one", "two"}, NOW)
    flip = flips.recent(NOW)["a@x"]
    assert not flip.confirming
    flip.confirming = True

    flips.add("a@x", None, {"two"}, NOW)
    assert (True, {"one", "two"}) == (flip.confirming, flip.calendars)
    flips.add("a@x", None, {"two", "three"}, NOW)
    assert (False, {"one", "two", "three"}) == (flip.confirming, flip.calendars)


def test_flips_are_dropped_and_cleared() -> None:
    """One agent's, and everybody's; whoever has none may be dropped too."""
    flips = Flips()
    for email in ("a@x", "b@x", "c@x"):
        flips.add(email, None, {"one"}, NOW)

    flips.drop("a@x")
    flips.drop("nobody@x")
    assert ["b@x", "c@x"] == sorted(flips.recent(NOW))
    flips.clear()
    assert {} == flips.recent(NOW)


@pytest.mark.parametrize(
    ("flips", "agents", "storm"), [(9, 10, False), (10, 20, False), (10, 19, True), (11, 21, True)]
)
def test_a_storm_is_more_than_half_and_ten_at_least(flips: int, agents: int, *, storm: bool) -> None:
    """Of the agents, within a minute."""
    assert storm == StormLimits().exceeded(flips, agents)


def test_a_floor_is_told_in_words() -> None:
    """All agents, or those of a team."""
    assert str(Floor("all", 3)) == "at least 3 of all agents"
    assert str(Floor("support", 2, frozenset({"a@x"}))) == "at least 2 of the team support"


def test_a_floor_binds_its_own_team_only() -> None:
    """Who is of another team goes."""
    members = [Member(email, covers=True, begins=NOW, exempt=False) for email in ("a@x", "b@x")]

    assert ["a@x"] == list(kept(members, [Floor("team", 1, frozenset({"a@x"}))]))
