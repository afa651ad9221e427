"""Reads that may lag behind our own updates, answers that do not show them, and calls that hold them up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calsyncd.core.model import Observation, Setting
from calsyncd.core.plan import (
    FREE,
    Facts,
    Held,
    Look,
    Orders,
    Put,
    Sent,
    Stance,
    StandingBack,
    answered,
    decide,
)
from calsyncd.core.timeline import Timeline

from .driver import MINUTE, NOON, day, meeting

AVAILABLE, CUSTOM, UNAVAILABLE = Setting("available"), Setting("custom"), Setting("unavailable")
START, END = NOON + 10 * MINUTE, NOON + 40 * MINUTE
DURING = START + 5 * MINUTE
MEETING = Orders(day(meeting(10, 40)))
NOTHING = Orders(Timeline())
NEXT = END + 3.0
THEN_NEXT = Orders(day(meeting(10, 40), meeting(40.05, 60, "next")))


def held(back: Setting = AVAILABLE, confirmed_at: float | None = START) -> Held:
    """The hold of the first meeting."""
    return Held(UNAVAILABLE, back, START, START, END, "meeting", confirmed_at=confirmed_at)


def put(stance: Held, orders: Orders, facts: Facts, now: float) -> Sent:
    """What is sent now."""
    decision = decide(stance, orders, facts, now)
    assert isinstance(decision.action, Put)
    return Sent(stance, decision.stance, decision.action)


def put_back(back: Setting, shown: Setting) -> tuple[Stance, Facts]:
    """Stance and facts after the way back was sent at the end of the first meeting, and this was its answer."""
    facts = Facts().looked(Observation(UNAVAILABLE, END - 1))
    return answered(put(held(back), THEN_NEXT, facts, END), shown, facts, END)


@pytest.mark.parametrize("back", [AVAILABLE, CUSTOM])
@pytest.mark.parametrize("live", [None, "do_not_disturb", "available"])
def test_a_look_that_lags_behind_the_way_back_hides_no_agent_from_the_next_meeting(
    back: Setting, live: str | None
) -> None:
    """What it shows is our own hold, not the agent's choice: the next meeting begins on time, with its way back."""
    stance, facts = put_back(back, back)
    facts = facts.looked(Observation(UNAVAILABLE, END + 1, live))

    decision = decide(FREE, THEN_NEXT, facts, NEXT)

    assert FREE == stance
    assert Put(UNAVAILABLE, NEXT, releases=False) == decision.action
    assert isinstance(decision.stance, Held)
    assert back == decision.stance.back


@pytest.mark.parametrize(("after", "own"), [(-2.0, False), (0.0, False), (1.0, True), (3600.0, False)])
def test_a_webhook_tells_the_agents_own_choice_from_a_look_that_lags(after: float, *, own: bool) -> None:
    """Unavailable again by hand at once after the way back: left alone in the meeting that begins at once, too.

    What happened before the way back was answered, or has not happened yet by our clock, says nothing.
    """
    _, facts = put_back(AVAILABLE, AVAILABLE)
    facts = facts.hinted("unavailable", END + 1.5, putting=False, at=END + after)
    facts = facts.looked(Observation(UNAVAILABLE, END + 2, "do_not_disturb"))

    decision = decide(FREE, THEN_NEXT, facts, NEXT)

    assert (StandingBack("left_alone", NEXT, NOON + 60 * MINUTE) == decision.stance) is own
    assert isinstance(decision.action, Put) is not own


def test_a_look_long_after_the_way_back_is_believed() -> None:
    """Five seconds later it is the agent who is unavailable."""
    _, facts = put_back(AVAILABLE, AVAILABLE)
    orders = Orders(day(meeting(10, 40), meeting(40.2, 60, "next")))
    facts = facts.looked(Observation(UNAVAILABLE, END + 10, "do_not_disturb"))

    assert StandingBack("left_alone", END + 12, NOON + 60 * MINUTE) == decide(FREE, orders, facts, END + 12).stance


def test_a_way_back_that_its_answer_did_not_show_keeps_nobody_from_the_next_meeting() -> None:
    """Whether they are back or not, the next hold is right, and owes the same."""
    stance, facts = put_back(AVAILABLE, UNAVAILABLE)

    assert isinstance(stance, Held)
    assert (None, None) == (decide(stance, THEN_NEXT, facts, END + 1).action, stance.confirmed_at)
    decision = decide(stance, THEN_NEXT, facts, NEXT)
    assert Put(UNAVAILABLE, NEXT, releases=False) == decision.action
    assert isinstance(decision.stance, Held)
    assert AVAILABLE == decision.stance.back


def test_a_hold_that_its_answer_did_not_show_is_put_back_when_its_meeting_ends() -> None:
    """Nobody waits five seconds to look whether they are held."""
    facts = Facts().looked(Observation(AVAILABLE, START - 1))
    begun = decide(FREE, MEETING, facts, START)
    assert isinstance(begun.action, Put)
    stance, facts = answered(Sent(FREE, begun.stance, begun.action), AVAILABLE, facts, START)

    assert Put(AVAILABLE, START + 2, releases=True) == decide(stance, NOTHING, facts, START + 2).action


def test_a_way_back_that_its_answer_did_not_show_is_looked_after() -> None:
    """It is not sent again at once: five seconds later a look says what became of it."""
    stance, facts = put_back(AVAILABLE, UNAVAILABLE)

    waiting = decide(stance, NOTHING, facts, END + 1)
    look = decide(stance, NOTHING, facts, END + 5)

    assert (None, END + 5) == (waiting.action, waiting.again)
    assert isinstance(look.action, Look)


def test_a_call_that_reads_as_unavailable_confirms_no_hold_that_was_not_shown() -> None:
    """Whether the hold is there is asked of the live state; in a call it is put again."""
    stance, facts = put_back(AVAILABLE, UNAVAILABLE)
    facts = facts.looked(Observation(UNAVAILABLE, NEXT + 6))

    asked = decide(stance, THEN_NEXT, facts, NEXT + 6)
    in_call = decide(stance, THEN_NEXT, facts.looked(Observation(UNAVAILABLE, NEXT + 7, "in_call")), NEXT + 7)
    by_us = decide(stance, THEN_NEXT, facts.looked(Observation(UNAVAILABLE, NEXT + 7, "do_not_disturb")), NEXT + 7)

    assert Look(NEXT + 6, live=True) == asked.action
    assert Put(UNAVAILABLE, NEXT + 7, releases=False) == in_call.action
    assert by_us.action is None
    assert isinstance(by_us.stance, Held)
    assert NEXT + 7 == by_us.stance.confirmed_at


@pytest.mark.parametrize("lost_at", [NEXT, NEXT - 90])
def test_a_call_that_reads_as_unavailable_confirms_no_hold_whose_answer_was_lost(lost_at: float) -> None:
    """Nor one whose way back may have landed: else the phone would ring from the call's end to the meeting's."""
    stance = replace(held(confirmed_at=None), lost_at=lost_at)
    facts = Facts(acted_at=lost_at).looked(Observation(UNAVAILABLE, NEXT + 6))

    asked = decide(stance, THEN_NEXT, facts, NEXT + 6)
    in_call = decide(stance, THEN_NEXT, facts.looked(Observation(UNAVAILABLE, NEXT + 7, "in_call")), NEXT + 7)
    by_us = decide(stance, THEN_NEXT, facts.looked(Observation(UNAVAILABLE, NEXT + 7, "do_not_disturb")), NEXT + 7)

    assert Look(NEXT + 6, live=True) == asked.action
    assert Put(UNAVAILABLE, NEXT + 7, releases=False) == in_call.action
    assert by_us.action is None
    assert isinstance(by_us.stance, Held)
    assert NEXT + 7 == by_us.stance.confirmed_at


# -- calls ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("live", ["in_call", "after_call_work", "ringing"])
def test_in_a_call_nobody_is_taken_to_have_come_back(live: str) -> None:
    """Our update may be done when the call ends: the hold stays, is looked after, and is put back at its end."""
    facts = Facts().looked(Observation(AVAILABLE, DURING, live))

    kept = decide(held(), MEETING, facts, DURING + 1)
    again = decide(held(), MEETING, facts, DURING + 120)
    over = decide(held(), NOTHING, facts, DURING + 1)

    assert (held(), None, DURING + 120) == (kept.stance, kept.action, kept.again)
    assert Look(DURING + 120, live=True) == again.action
    assert Put(AVAILABLE, DURING + 1, releases=True) == over.action


def test_whoever_was_seen_as_before_is_asked_again_whether_they_are_in_a_call() -> None:
    """Only if it lasts for five seconds, and no call is behind it, is it their own change."""
    facts = Facts().looked(Observation(AVAILABLE, DURING))

    waiting = decide(held(), MEETING, facts, DURING + 1)
    asked = decide(held(), MEETING, facts, DURING + 5)
    early = decide(held(), MEETING, facts.looked(Observation(AVAILABLE, DURING + 2, "available")), DURING + 3)
    late = decide(held(), MEETING, facts.looked(Observation(AVAILABLE, DURING + 5, "available")), DURING + 6)

    assert (held(), None, DURING + 5) == (waiting.stance, waiting.action, waiting.again)
    assert Look(DURING + 5, live=True) == asked.action
    assert (held(), None, DURING + 5) == (early.stance, early.action, early.again)
    assert StandingBack("override", DURING + 5, END) == late.stance


def test_whoever_is_seen_as_before_when_the_meeting_ends_is_put_back_all_the_same() -> None:
    """If they came back themselves, it changes nothing; if what was seen is old, or a call's doing, it is needed."""
    for live in (None, "available", "in_call"):
        facts = Facts().looked(Observation(AVAILABLE, DURING, live))

        assert Put(AVAILABLE, DURING + 1, releases=True) == decide(held(), NOTHING, facts, DURING + 1).action


@pytest.mark.parametrize("live", [None, "in_call"])
def test_a_choice_of_something_else_is_the_agents_in_a_call_too(live: str | None) -> None:
    """No update of ours leads there."""
    facts = Facts().looked(Observation(CUSTOM, DURING, live))

    assert StandingBack("override", DURING, END) == decide(held(), MEETING, facts, DURING + 1).stance
    assert FREE == decide(held(), NOTHING, facts, DURING + 1).stance


def test_after_the_call_the_hold_is_seen_to_have_landed() -> None:
    """Then all is as it would have been."""
    facts = Facts().looked(Observation(AVAILABLE, DURING, "in_call")).looked(Observation(UNAVAILABLE, DURING + 120))

    decision = decide(held(), MEETING, facts, DURING + 121)

    assert (held(), None, END - 2) == (decision.stance, decision.action, decision.again)


def test_a_call_that_began_long_before_the_meeting_is_looked_after_for_ten_minutes_of_it() -> None:
    """The doubt is as old as the call, but only what lasts into the meeting is anybody's trouble: most calls end."""
    facts = Facts().looked(Observation(UNAVAILABLE, START - 20 * MINUTE, "in_call"))
    at_start = facts.looked(Observation(UNAVAILABLE, START - 2, "in_call"))
    later = at_start.looked(Observation(UNAVAILABLE, START + 10 * MINUTE - 2, "in_call"))

    waiting = decide(FREE, MEETING, at_start, START)
    after_it = decide(FREE, MEETING, at_start.looked(Observation(AVAILABLE, START + 28)), START + 28.5)
    given_up = decide(FREE, MEETING, later, START + 10 * MINUTE)

    assert (FREE, None, "in_call") == (waiting.stance, waiting.action, waiting.note)
    assert Put(UNAVAILABLE, START, releases=False) == after_it.action
    assert "call_without_end" == given_up.note
