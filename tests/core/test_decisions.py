"""What is decided at each bound: of ages, of waits, of what serves a boundary early, and when it is asked again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calsyncd.core.byhand import EXTENSION, ByHand, Extension
from calsyncd.core.model import Observation, Setting
from calsyncd.core.plan import FREE, Facts, Held, Look, Orders, Put, StandingBack, decide
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import build

from .driver import MINUTE, NOON, day, meeting

AVAILABLE = Setting("available")
CUSTOM = Setting("custom")
UNAVAILABLE = Setting("unavailable")
START = NOON + 10 * MINUTE
END = NOON + 40 * MINUTE
DURING = START + 5 * MINUTE
MEETING = Orders(day(meeting(10, 40)))
FREE_DAY = Orders(day(meeting(100, 140)))
HOLD = Held(UNAVAILABLE, AVAILABLE, START, START, END, "meeting", START + 1)
UNCONFIRMED = replace(HOLD, confirmed_at=None)


def facts(*looks: tuple[Setting, float, str | None], **more: object) -> Facts:
    """After these looks, one after another."""
    found = Facts()
    for setting, at, live in looks:
        found = found.looked(Observation(setting, at, live))
    return replace(found, **more)  # type: ignore[arg-type]


# -- what begins a hold ------------------------------------------------------------------------------------------------


def test_a_way_back_that_a_read_lags_behind_is_what_the_next_hold_owes() -> None:
    """To the end of the meeting, from now on."""
    known = facts((UNAVAILABLE, DURING, None), acted_at=DURING - 1, asked="custom")
    decision = decide(FREE, MEETING, known, DURING + 1)

    assert decision.stance == Held(
        UNAVAILABLE, CUSTOM, since=DURING + 1, effective=START, until=END, event="meeting", lost_at=DURING + 1
    )
    assert decision.action == Put(UNAVAILABLE, START, releases=False)


@pytest.mark.parametrize(("age", "held"), [(900.0, True), (900.1, False)])
def test_what_was_sure_is_owed_for_a_quarter_of_an_hour(age: float, *, held: bool) -> None:
    """In a call that began before the meeting; what is older nobody knows, and the agent is asked for again."""
    known = facts((CUSTOM, DURING - age, "available"), (UNAVAILABLE, DURING, "in_call"))
    decision = decide(FREE, MEETING, known, DURING)

    if held:
        assert decision.stance == Held(UNAVAILABLE, CUSTOM, DURING, START, END, "meeting", lost_at=DURING)
    else:
        assert (FREE, DURING + 30, "in_call") == (decision.stance, decision.again, decision.note)


@pytest.mark.parametrize(
    ("before", "now", "note"),
    [
        ((UNAVAILABLE, START - 60, "offline"), DURING, None),
        ((AVAILABLE, START - 3600, None), START - 2 + 600, "call_without_end"),
    ],
)
def test_whoever_is_left_alone_is_asked_for_again_at_the_end(
    before: tuple[Setting, float, str | None], now: float, note: str | None
) -> None:
    """By choice, or in a call without an end: ten minutes of the meeting, and of the look ahead of it."""
    known = facts(before, (UNAVAILABLE, START - 60, "in_call"), (UNAVAILABLE, now, "in_call"))
    decision = decide(FREE, MEETING, known, now)

    assert (StandingBack("left_alone", now, END), END, note) == (decision.stance, decision.again, decision.note)


def test_a_call_is_waited_for_up_to_ten_minutes() -> None:
    """Counted from two seconds before the meeting."""
    known = facts((UNAVAILABLE, START - 60, "in_call"), (UNAVAILABLE, START + 597, "in_call"))

    assert decide(FREE, MEETING, known, START + 597.9).note == "in_call"
    assert decide(FREE, MEETING, known, START + 598).note == "call_without_end"


@pytest.mark.parametrize("status", ["unavailable", "something_new"])
def test_what_was_chosen_is_left_alone_to_the_end(status: str) -> None:
    """As what nobody knows is: calsyncd could not put it back."""
    decision = decide(FREE, MEETING, facts((Setting(status), DURING, "offline")), DURING)

    assert (StandingBack("left_alone", DURING, END), END) == (decision.stance, decision.again)


def test_an_unknown_status_in_a_call_is_no_doubtful_unavailable() -> None:
    """Only `unavailable` may be a call's."""
    decision = decide(FREE, MEETING, facts((Setting("something_new"), DURING, "in_call")), DURING)

    assert (StandingBack("left_alone", DURING, END), None) == (decision.stance, decision.note)


@pytest.mark.parametrize(("age", "looks"), [(5.0, False), (5.1, True)])
def test_a_look_is_fresh_for_five_seconds(age: float, *, looks: bool) -> None:
    """To begin a hold, and to end one."""
    begins = decide(FREE, MEETING, facts((AVAILABLE, DURING - age, None)), DURING)
    ends = decide(HOLD, FREE_DAY, facts((UNAVAILABLE, DURING - age, None)), DURING)

    assert [looks, looks] == [isinstance(one.action, Look) for one in (begins, ends)]


# -- while it holds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ahead", "held"), [(0.0, True), (299.9, True), (300.0, True), (300.1, False)])
def test_what_was_put_early_serves_its_boundary(ahead: float, *, held: bool) -> None:
    """Up to five minutes before it; a hold that is further ahead is not wanted yet."""
    now = START - ahead
    decision = decide(replace(HOLD, confirmed_at=now - 9), MEETING, facts((UNAVAILABLE, now, None)), now)

    assert held == (decision.action is None)
    if not held:
        assert decision.action == Put(AVAILABLE, now, releases=True)


def test_the_hold_takes_its_end_and_its_event_from_the_calendar() -> None:
    """As it is now; and it is looked at before each change of what is wanted."""
    moved = Orders(day(meeting(10, 30, "another")))
    decision = decide(HOLD, moved, facts((UNAVAILABLE, DURING, None)), DURING)

    assert replace(HOLD, until=NOON + 30 * MINUTE, event="another") == decision.stance
    assert NOON + 30 * MINUTE - 2 == decision.again


def test_shortly_before_the_end_a_look_is_wanted_and_at_the_end_it_is_asked_again() -> None:
    """Two seconds; a look that is fresh serves."""
    stale = facts((UNAVAILABLE, DURING, None))
    assert decide(HOLD, MEETING, stale, END - 2.1).action is None
    before = decide(HOLD, MEETING, stale, END - 2)
    assert (Look(END), END) == (before.action, before.again)
    served = decide(HOLD, MEETING, facts((UNAVAILABLE, END - 2, None)), END - 1)
    assert (None, END) == (served.action, served.again)


@pytest.mark.parametrize(("after", "looks"), [(4.9, False), (5.0, True)])
def test_a_difference_just_after_it_was_confirmed_is_looked_at_again(after: float, *, looks: bool) -> None:
    """A read may lag behind for five seconds: whether the hold is wanted or not."""
    confirmed = replace(HOLD, confirmed_at=DURING)
    known = facts((CUSTOM, DURING + after, "available"), acted_at=DURING - 1)
    wanted = decide(confirmed, MEETING, known, DURING + after)
    ended = decide(confirmed, FREE_DAY, known, DURING + after)

    if looks:
        assert StandingBack("override", DURING + 5, END) == wanted.stance
        assert ended.stance == FREE
    else:
        assert [(None, DURING + 5)] * 2 == [(one.action, one.again) for one in (wanted, ended)]


@pytest.mark.parametrize(
    ("lost_at", "looked", "now", "action"),
    [
        (DURING, DURING - 1, DURING + 4.9, None),
        (DURING, DURING - 1, DURING + 5, Look(DURING + 5)),
        (DURING, DURING + 5, DURING + 59.9, None),
        (DURING, DURING + 5, DURING + 60, Look(DURING + 60)),
        (DURING, DURING - 1, DURING + 60, Look(DURING + 60)),
    ],
)
def test_a_lost_answer_is_looked_for_twice(lost_at: float, looked: float, now: float, action: Look | None) -> None:
    """Five seconds after the update left, and once more after a minute, when nothing can land any more."""
    decision = decide(replace(HOLD, lost_at=lost_at), MEETING, facts((UNAVAILABLE, looked, None)), now)

    assert action == decision.action


def test_a_hold_that_was_not_taken_three_times_waits_five_minutes_and_owes_its_last_try() -> None:
    """And so does a way back."""
    wanted = facts((AVAILABLE, DURING, None), acted_at=DURING - 9, asked="unavailable", mismatches=3)
    decision = decide(UNCONFIRMED, MEETING, wanted, DURING)
    assert (None, "not_taken", DURING - 9 + 300) == (decision.action, decision.note, decision.again)
    assert decision.owes == DURING - 9

    unwanted = facts((UNAVAILABLE, DURING, None), acted_at=DURING - 9, asked="available", mismatches=3)
    decision = decide(HOLD, FREE_DAY, unwanted, DURING)
    assert (None, "not_taken", DURING - 9 + 300) == (decision.action, decision.note, decision.again)
    assert decision.owes == DURING - 9


@pytest.mark.parametrize(
    ("mismatches", "acted_at", "put"),
    [(2, DURING - 9, True), (3, DURING - 299.9, False), (3, DURING - 300, True)],
)
def test_when_what_was_not_taken_is_tried_again(mismatches: int, acted_at: float, *, put: bool) -> None:
    """Twice more at once, then every five minutes."""
    known = facts((UNAVAILABLE, DURING, None), acted_at=acted_at, asked="available", mismatches=mismatches)

    assert put == (decide(HOLD, FREE_DAY, known, DURING).action == Put(AVAILABLE, DURING, releases=True))


def test_who_came_back_stays_so_once_the_meeting_is_over() -> None:
    """What they chose is fresh, so it counts for the next meeting too; else it is looked at, for the end."""
    confirmed = replace(HOLD, until=DURING - 9)
    known = facts((CUSTOM, DURING, None), acted_at=START)
    assert decide(confirmed, FREE_DAY, known, DURING + 5).stance == FREE
    stale = decide(confirmed, FREE_DAY, known, DURING + 5.1)
    assert (confirmed, Look(DURING - 9)) == (stale.stance, stale.action)


# -- what an agent changed in a meeting --------------------------------------------------------------------------------


def test_an_override_is_dated_by_the_look_that_showed_it() -> None:
    """And lasts to the end of what runs then, and in an extension to that; without it, to the meeting's end."""
    known = facts((CUSTOM, DURING, "available"), acted_at=START)
    plain = decide(HOLD, MEETING, known, DURING + 1)
    assert (StandingBack("override", DURING, END), END, "override") == (plain.stance, plain.again, plain.note)

    late = NOON + 50 * MINUTE
    extended = Orders(build([meeting(10, 40)], Rules(), ByHand(extension=Extension(START, late))))
    assert decide(HOLD, extended, known, DURING + 1).stance == StandingBack("override", DURING, late, END)


@pytest.mark.parametrize(("before", "until"), [(300.0, END), (300.1, START + 60)])
def test_who_comes_back_before_the_boundary_that_was_served_early_means_that_meeting(
    before: float, until: float
) -> None:
    """Up to five minutes before it."""
    first = meeting(-10, 11, "first")
    orders = Orders(day(first, meeting(10, 40)))
    early = replace(HOLD, confirmed_at=START - 600, event="first")
    at = START - before
    decision = decide(early, orders, facts((CUSTOM, at, "available"), acted_at=START - 500), at)

    assert StandingBack("override", at, until) == decision.stance


def test_an_override_without_a_calendar_lasts_to_the_end_that_was_known() -> None:
    """And one whose end is past is none."""
    unread = Orders(None, complete=False)
    known = facts((CUSTOM, DURING, "available"), acted_at=START)

    assert decide(HOLD, unread, known, DURING + 1).stance == StandingBack("override", DURING, END)


ENFORCED = replace(MEETING, enforce=True)


@pytest.mark.parametrize(
    ("live", "looked", "now", "action", "again"),
    [
        ("available", DURING + 5, DURING + 5, Put(UNAVAILABLE, DURING, releases=False, enforces=True), None),
        (None, DURING + 5, DURING + 5, Look(DURING + 5, live=True), None),
        ("available", DURING + 4.9, DURING + 5, Look(DURING + 5, live=True), None),
        ("available", DURING + 4.9, DURING + 4.9, None, DURING + 5),
        ("available", DURING + 5, DURING + 10.1, Look(DURING + 5, live=True), None),
        ("in_call", DURING + 5, DURING + 5, None, DURING + 125),
        ("in_call", DURING + 5, DURING + 125, Look(DURING + 125, live=True), None),
    ],
)
def test_a_change_is_undone_once_it_was_seen_twice_and_not_in_a_call(
    live: str | None, looked: float, now: float, action: Look | Put | None, again: float | None
) -> None:
    """Five seconds apart, the last with the live state and fresh; a call is asked after every two minutes."""
    known = facts((CUSTOM, DURING, None), (CUSTOM, looked, live), acted_at=START)
    decision = decide(HOLD, ENFORCED, known, now)

    assert action == decision.action
    if again is not None:
        assert again == decision.again


@pytest.mark.parametrize(("ago", "puts"), [(59.9, False), (60.0, True)])
def test_a_change_is_undone_once_a_minute(ago: float, *, puts: bool) -> None:
    """Counted from when the last such update ended; and it is asked again by then, or at the end."""
    known = facts((CUSTOM, DURING, None), (CUSTOM, DURING + 9, "available"), acted_at=START)
    known = replace(known, enforced_at=DURING + 9 - ago)
    decision = decide(HOLD, ENFORCED, known, DURING + 9)

    assert puts == isinstance(decision.action, Put)
    if not puts:
        assert decision.again == pytest.approx(DURING + 9.1)
    ends = decide(HOLD, ENFORCED, replace(known, enforced_at=END - 30), DURING + 9)
    assert (None, END) == (ends.action, ends.again)


# -- the reason --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("substatus", "puts"), [(None, True), ("always_opened", True), ("on_a_break", False), ("in_training", True)]
)
def test_a_reason_that_is_not_the_agents_own_is_put(substatus: str | None, *, puts: bool) -> None:
    """One that Aircall lets be written, and that is not what we put, is the agent's."""
    ours = replace(HOLD, put=Setting("unavailable", "in_training"))
    decision = decide(ours, MEETING, facts((Setting("unavailable", substatus), DURING, None)), DURING)

    assert puts == (decision.action == Put(UNAVAILABLE, DURING, releases=False))


def test_an_extension_that_is_taken_back_ends_the_hold_though_a_calendar_is_unread() -> None:
    """What a person asked for and takes back is not kept for what is unread."""
    extended = replace(HOLD, event=EXTENSION)
    unread = replace(FREE_DAY, complete=False)
    known = facts((UNAVAILABLE, DURING, None))

    assert decide(extended, unread, known, DURING).action == Put(AVAILABLE, DURING, releases=True)
    assert decide(HOLD, unread, known, DURING).action is None
