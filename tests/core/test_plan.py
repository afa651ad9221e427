"""The stance table, row by row, and the rules below it; the agent's whole day is in test_days.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calsyncd.core.model import Observation, Setting, Span
from calsyncd.core.plan import (
    FREE,
    Doubt,
    Facts,
    Free,
    Held,
    Look,
    Orders,
    Put,
    Sent,
    Stance,
    StandingBack,
    answered,
    decide,
    lost,
    not_landed,
    restored,
)
from calsyncd.core.timeline import Timeline

from .driver import MINUTE, NOON, Driver, Fate, day, meeting

AVAILABLE = Setting("available")
CUSTOM = Setting("custom")
UNAVAILABLE = Setting("unavailable")
LUNCH = Setting("unavailable", "out_for_lunch")
START = NOON + 10 * MINUTE
END = NOON + 40 * MINUTE
DURING = START + 5 * MINUTE
MEETING = Orders(day(meeting(10, 40)))
NOTHING = Orders(Timeline())


def seen(setting: Setting, at: float, live: str | None = None) -> Facts:
    """The facts after one look."""
    return Facts().looked(Observation(setting, at, live))


def back(setting: Setting, at: float) -> Facts:
    """The facts after looks that showed this for more than five seconds, the last one with the live state."""
    return seen(setting, at - 6).looked(Observation(setting, at, "available"))


def held(*, confirmed: bool = True, back: Setting = AVAILABLE, lost_at: float | None = None) -> Held:
    """The hold of the meeting."""
    return Held(
        put=UNAVAILABLE,
        back=back,
        since=START,
        effective=START,
        until=END,
        event="meeting",
        confirmed_at=START + 1 if confirmed else None,
        lost_at=lost_at,
    )


# -- free ----------------------------------------------------------------------------------------------------------


def test_free_and_nothing_wanted_is_nothing() -> None:
    """Nothing wanted, nothing done, nothing to wait for."""
    decision = decide(FREE, NOTHING, seen(AVAILABLE, DURING), DURING)

    assert (FREE, None, None) == (decision.stance, decision.action, decision.again)


def test_free_and_a_meeting_later_waits_for_shortly_before_it() -> None:
    """The next decision is due 2 s before the start."""
    decision = decide(FREE, MEETING, seen(AVAILABLE, NOON), NOON)

    assert (None, START - 2) == (decision.action, decision.again)


def test_free_shortly_before_a_start_looks_and_waits_for_the_start() -> None:
    """The look serves the start; the PUT is not sent before it."""
    before = decide(FREE, MEETING, Facts(), START - 2)
    after = decide(FREE, MEETING, seen(AVAILABLE, START - 2), START - 1)

    assert (Look(START), None) == (before.action, after.action)
    assert (START, START) == (before.again, after.again)


@pytest.mark.parametrize("facts", [Facts(), seen(AVAILABLE, DURING - 5.1), replace(Facts(), acted_at=START)])
def test_free_and_unavailable_wanted_with_nothing_fresh_looks(facts: Facts) -> None:
    """A hold begins on a fresh look only."""
    decision = decide(FREE, MEETING, facts, DURING)

    assert (FREE, Look(START)) == (decision.stance, decision.action)


def test_free_and_seen_before_our_last_put_ended_looks() -> None:
    """What was seen by the end of our last PUT says nothing about its effect."""
    facts = replace(seen(AVAILABLE, DURING), acted_at=DURING)

    assert Look(START) == decide(FREE, MEETING, facts, DURING + 1).action


def test_free_and_seen_unavailable_without_live_state_asks_for_it() -> None:
    """An `unavailable` is a choice only when the live state says so."""
    decision = decide(FREE, MEETING, seen(UNAVAILABLE, DURING), DURING + 1)

    assert Look(START, live=True) == decision.action


@pytest.mark.parametrize("live", ["do_not_disturb", "offline", "something_new"])
def test_free_and_unavailable_not_in_a_call_is_left_alone_to_the_end_of_the_stretch(live: str) -> None:
    """Who is unavailable by hand is left alone."""
    decision = decide(FREE, MEETING, seen(UNAVAILABLE, DURING, live), DURING + 1)

    assert StandingBack("left_alone", DURING + 1, END) == decision.stance
    assert (None, END) == (decision.action, decision.again)


@pytest.mark.parametrize("live", ["in_call", "after_call_work", "ringing", "available", "unknown"])
@pytest.mark.parametrize("back", [AVAILABLE, CUSTOM])
def test_free_and_doubtful_takes_the_last_undoubted_observation_as_back(live: str, back: Setting) -> None:
    """In a call the setting reads `unavailable`: what it was before is what is put back."""
    facts = seen(back, DURING - 10 * MINUTE).looked(Observation(UNAVAILABLE, DURING, live))

    decision = decide(FREE, MEETING, facts, DURING + 1)

    assert Put(UNAVAILABLE, START, releases=False) == decision.action
    assert isinstance(decision.stance, Held)
    assert back == decision.stance.back


def test_free_and_doubtful_after_an_undoubted_unavailable_is_left_alone() -> None:
    """`back` is never `unavailable`."""
    facts = seen(UNAVAILABLE, DURING - MINUTE, "do_not_disturb").looked(Observation(UNAVAILABLE, DURING, "in_call"))

    assert StandingBack("left_alone", DURING + 1, END) == decide(FREE, MEETING, facts, DURING + 1).stance


def test_free_and_doubtful_with_an_old_observation_does_not_trust_it() -> None:
    """`back` comes from a read at most 15 min old."""
    facts = seen(AVAILABLE, DURING - 15 * MINUTE - 2).looked(Observation(UNAVAILABLE, DURING, "in_call"))

    decision = decide(FREE, MEETING, facts, DURING + 1)

    assert (FREE, None, "in_call") == (decision.stance, decision.action, decision.note)


def test_free_and_doubtful_with_nothing_before_looks_every_30_seconds() -> None:
    """In a call with nothing known: look again in 30 s."""
    facts = seen(UNAVAILABLE, DURING, "in_call")

    waiting = decide(FREE, MEETING, facts, DURING + 1)
    then = decide(FREE, MEETING, facts, DURING + 30)

    assert (None, DURING + 30, "in_call") == (waiting.action, waiting.again, waiting.note)
    assert Look(START, live=True) == then.action


@pytest.mark.parametrize("age", [31.0, 60.0, 89.0])
def test_free_and_doubtful_in_a_crowd_looks_every_30_seconds_too(age: float) -> None:
    """A look may be older in a crowd, but a doubt is asked again: never is the past waited for."""
    orders = replace(MEETING, fresh_seconds=90.0)

    decision = decide(FREE, orders, seen(UNAVAILABLE, DURING, "in_call"), DURING + age)

    assert Look(START, live=True) == decision.action


def test_free_and_doubtful_for_ten_minutes_is_left_alone_with_trouble() -> None:
    """A call that never ends is somebody's trouble, not a reason to look for ever."""
    first = seen(UNAVAILABLE, DURING, "in_call")
    facts = first.looked(Observation(UNAVAILABLE, DURING + 10 * MINUTE, "in_call"))

    decision = decide(FREE, MEETING, facts, DURING + 10 * MINUTE + 1)

    assert StandingBack("left_alone", DURING + 10 * MINUTE + 1, END) == decision.stance
    assert "call_without_end" == decision.note


def test_free_and_doubtful_stays_so_through_a_look_without_live_state() -> None:
    """A list of everybody shows `unavailable` and no live state: that ends no doubt."""
    facts = seen(UNAVAILABLE, DURING, "in_call")
    facts = facts.looked(Observation(UNAVAILABLE, DURING + 5 * MINUTE))
    facts = facts.looked(Observation(UNAVAILABLE, DURING + 10 * MINUTE, "in_call"))

    assert "call_without_end" == decide(FREE, MEETING, facts, DURING + 10 * MINUTE + 1).note


def test_free_and_the_doubt_ends_with_the_call() -> None:
    """The next call has ten minutes of its own."""
    facts = seen(UNAVAILABLE, DURING, "in_call").looked(Observation(AVAILABLE, DURING + MINUTE))

    assert facts.doubtful_since is None
    assert facts.undoubted == Observation(AVAILABLE, DURING + MINUTE)


@pytest.mark.parametrize("back", [AVAILABLE, CUSTOM])
def test_free_and_available_or_custom_is_written_down_as_lost_and_put(back: Setting) -> None:
    """The debt is on record, as unconfirmed and possibly lost, before the PUT leaves; `custom` stays `custom`."""
    decision = decide(FREE, MEETING, seen(back, DURING), DURING + 1)

    expected = Held(
        put=UNAVAILABLE,
        back=back,
        since=DURING + 1,
        effective=START,
        until=END,
        event="meeting",
        confirmed_at=None,
        lost_at=DURING + 1,
    )
    assert expected == decision.stance
    assert Put(UNAVAILABLE, START, releases=False) == decision.action


def test_free_and_back_has_no_reason() -> None:
    """A sub-status goes only with `unavailable`."""
    decision = decide(FREE, MEETING, seen(Setting("available", "always_open"), DURING), DURING)

    assert isinstance(decision.stance, Held)
    assert AVAILABLE == decision.stance.back


@pytest.mark.parametrize("status", ["do_not_disturb", "", "busy", "AVAILABLE"])
def test_free_and_an_unknown_status_is_left_alone(status: str) -> None:
    """A status that nobody knows is the agent's own: it could not be put back."""
    decision = decide(FREE, MEETING, seen(Setting(status), DURING), DURING + 1)

    assert StandingBack("left_alone", DURING + 1, END) == decision.stance


@pytest.mark.parametrize(
    "orders",
    [Orders(None), replace(MEETING, may_begin=False), replace(MEETING, paused_until=float("inf"))],
    ids=["no calendar read", "no hold may begin", "paused"],
)
def test_free_and_not_allowed_begins_nothing(orders: Orders) -> None:
    """A calendar never read is never acted on; nor is anybody whose hold may not begin."""
    decision = decide(FREE, orders, seen(AVAILABLE, DURING), DURING)

    assert (FREE, None) == (decision.stance, decision.action)


# -- held and unconfirmed ------------------------------------------------------------------------------------------


def test_held_unconfirmed_and_not_looked_at_looks() -> None:
    """Only looking settles whether the PUT landed."""
    assert Look(START) == decide(held(confirmed=False), MEETING, Facts(), DURING).action


def test_held_unconfirmed_and_seen_as_put_is_confirmed() -> None:
    """It landed."""
    decision = decide(held(confirmed=False), MEETING, seen(UNAVAILABLE, DURING), DURING + 1)

    assert replace(held(), confirmed_at=DURING) == decision.stance
    assert decision.action is None


def test_held_unconfirmed_and_seen_as_back_is_put_again_while_wanted() -> None:
    """It did not land, and the meeting runs."""
    decision = decide(held(confirmed=False), MEETING, seen(AVAILABLE, DURING), DURING + 1)

    assert Put(UNAVAILABLE, START, releases=False) == decision.action
    assert replace(held(confirmed=False), lost_at=DURING + 1) == decision.stance


@pytest.mark.parametrize("status", [AVAILABLE, CUSTOM])
def test_held_unconfirmed_and_seen_otherwise_a_while_ago_looks(status: Setting) -> None:
    """It may have landed since."""
    decision = decide(held(confirmed=False), MEETING, seen(status, DURING), DURING + 6)

    assert isinstance(decision.action, Look)


def test_held_unconfirmed_and_seen_as_back_is_free_when_not_wanted() -> None:
    """It did not land, and the meeting is off."""
    decision = decide(held(confirmed=False), NOTHING, seen(AVAILABLE, DURING), DURING + 1)

    assert (FREE, None) == (decision.stance, decision.action)


def test_held_unconfirmed_and_seen_otherwise_is_an_override() -> None:
    """Neither what we put nor what was there: somebody else did it."""
    decision = decide(held(confirmed=False), MEETING, seen(CUSTOM, DURING), DURING + 1)

    assert StandingBack("override", DURING, END) == decision.stance
    assert "override" == decision.note


# -- held and wanted -----------------------------------------------------------------------------------------------


def test_held_wanted_for_the_same_reason_and_ours_is_nothing() -> None:
    """Nothing to do until shortly before the end."""
    decision = decide(held(), MEETING, seen(UNAVAILABLE, DURING), DURING + 1)

    assert (held(), None, END - 2) == (decision.stance, decision.action, decision.again)


@pytest.mark.parametrize("substatus", ["always_closed", "something_new", None])
def test_held_and_ours_means_the_status_only(substatus: str | None) -> None:
    """Read-backs show all sorts of sub-statuses."""
    stance = replace(held(), put=LUNCH)
    orders = Orders(Timeline((replace_setting(LUNCH),), (replace_setting(LUNCH),)))

    decision = decide(stance, orders, seen(Setting("unavailable", substatus), DURING), DURING + 1)

    assert (stance, None) == (decision.stance, decision.action)


def replace_setting(setting: Setting) -> Span:
    """The meeting's span with another setting."""
    return replace(day(meeting(10, 40)).spans[0], setting=setting)


def test_held_wanted_for_another_reason_and_ours_puts_the_new_reason_and_keeps_back() -> None:
    """The reason changes; the debt does not."""
    span = replace_setting(LUNCH)
    stance = replace(held(), back=CUSTOM)

    decision = decide(stance, Orders(Timeline((span,), (span,))), seen(UNAVAILABLE, DURING), DURING + 1)

    assert Put(LUNCH, DURING + 1, releases=False) == decision.action
    assert replace(stance, put=LUNCH, confirmed_at=None, lost_at=DURING + 1) == decision.stance


def test_held_wanted_for_another_reason_looks_first() -> None:
    """Whether it is ours is seen freshly before the new reason is put."""
    span = replace_setting(LUNCH)

    decision = decide(held(), Orders(Timeline((span,), (span,))), seen(UNAVAILABLE, DURING), DURING + 6)

    assert Look(DURING + 6) == decision.action


def test_held_with_a_reason_by_hand_writes_no_more_reasons() -> None:
    """A reason that was changed by hand stays ours and stays as it is."""
    span = replace_setting(LUNCH)
    facts = seen(Setting("unavailable", "on_a_break"), DURING)

    decision = decide(held(), Orders(Timeline((span,), (span,))), facts, DURING + 1)

    assert (held(), None) == (decision.stance, decision.action)


@pytest.mark.parametrize("status", ["available", "custom", "something_new"])
def test_held_wanted_and_not_ours_stands_back(status: str) -> None:
    """The agent's own change is respected."""
    decision = decide(held(), MEETING, back(Setting(status), DURING), DURING + 1)

    assert StandingBack("override", DURING, END) == decision.stance
    assert (None, END, "override") == (decision.action, decision.again, decision.note)


def test_held_wanted_and_not_ours_stands_back_to_the_last_end_of_what_runs_then() -> None:
    """Of what runs at the change, the last end counts; the meeting that follows it does not."""
    timeline = day(meeting(10, 20, "a"), meeting(12, 30, "b"), meeting(30, 40, "next"))

    decision = decide(held(), Orders(timeline), back(AVAILABLE, DURING), DURING + 1)

    assert StandingBack("override", DURING, NOON + 30 * MINUTE) == decision.stance


def test_held_and_not_ours_as_its_event_ends_is_judged_anew() -> None:
    """The change was seen as the first meeting ended: the next one, back to back, counts anew."""
    timeline = day(meeting(10, 20, "a"), meeting(20, 40, "b"))
    end = NOON + 20 * MINUTE

    decision = decide(held(), Orders(timeline), back(AVAILABLE, end - 0.5), end + 0.5)

    assert Put(UNAVAILABLE, end, releases=False) == decision.action


def test_override_of_a_bridged_meeting_lasts_through_the_gap() -> None:
    """In the gap no meeting runs, so nobody is made unavailable there."""
    timeline = day(meeting(10, 20, "a"), meeting(25, 40, "b"), bridge=600.0)

    decision = decide(held(), Orders(timeline), back(AVAILABLE, DURING), DURING + 1)

    assert StandingBack("override", DURING, NOON + 25 * MINUTE) == decision.stance


def test_override_is_fixed_at_the_change() -> None:
    """That the meeting is prolonged afterwards does not prolong the override."""
    stance = StandingBack("override", DURING, END)
    orders = Orders(day(meeting(10, 60)))

    during = decide(stance, orders, seen(AVAILABLE, DURING), END - 1)
    after = decide(stance, orders, seen(AVAILABLE, END), END + 1)

    assert stance == during.stance
    assert Put(UNAVAILABLE, START, releases=False) == after.action


# -- held and not wanted -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [AVAILABLE, CUSTOM])
def test_held_nothing_wanted_and_ours_puts_back_what_was_there(back: Setting) -> None:
    """The end of a meeting is the product."""
    decision = decide(held(back=back), MEETING, seen(UNAVAILABLE, END - 1), END)

    assert Put(back, END, releases=True) == decision.action
    assert replace(held(back=back), confirmed_at=None, lost_at=END) == decision.stance


def test_held_nothing_wanted_puts_back_in_a_call_too() -> None:
    """A call at the end of a meeting is no reason to wait."""
    decision = decide(held(), MEETING, seen(UNAVAILABLE, END - 1, "in_call"), END)

    assert Put(AVAILABLE, END, releases=True) == decision.action


def test_held_shortly_before_the_end_looks() -> None:
    """The way back relies on a look of its own."""
    decision = decide(held(), MEETING, seen(UNAVAILABLE, DURING), END - 2)

    assert (Look(END), END) == (decision.action, decision.again)


def test_held_nothing_wanted_and_nothing_fresh_looks() -> None:
    """What was seen a while ago may have changed."""
    decision = decide(held(), NOTHING, seen(UNAVAILABLE, DURING), DURING + 6)

    assert Look(DURING + 6) == decision.action


def test_held_in_a_crowd_an_older_look_will_do() -> None:
    """In a crowd a look up to 90 s old serves."""
    orders = replace(NOTHING, fresh_seconds=90.0)

    decision = decide(held(), orders, seen(UNAVAILABLE, DURING), DURING + 80)

    assert Put(AVAILABLE, DURING + 80, releases=True) == decision.action


@pytest.mark.parametrize("status", ["custom", "something_new"])
def test_held_nothing_wanted_and_not_ours_is_free(status: str) -> None:
    """What the agent chose stays."""
    decision = decide(held(), MEETING, seen(Setting(status), END), END + 1)

    assert (FREE, None) == (decision.stance, decision.action)


def test_held_answered_way_back_is_free() -> None:
    """Its 200 ends the debt."""
    decision = decide(held(), MEETING, seen(UNAVAILABLE, END - 1), END)
    assert isinstance(decision.action, Put)

    stance, facts = answered(Sent(held(), decision.stance, decision.action), AVAILABLE, Facts(), END + 1)

    assert (FREE, END + 1) == (stance, facts.acted_at)


# -- standing back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["override", "left_alone"])
def test_standing_back_does_nothing_until_its_time_is_over(why: str) -> None:
    """Whatever is seen meanwhile."""
    stance = StandingBack("override" if why == "override" else "left_alone", START, END)

    decision = decide(stance, MEETING, seen(AVAILABLE, DURING), DURING + 1)

    assert (stance, None) == (decision.stance, decision.action)


def test_standing_back_over_is_judged_anew() -> None:
    """The next meeting counts anew."""
    stance = StandingBack("override", START, DURING)

    decision = decide(stance, MEETING, seen(AVAILABLE, DURING), DURING)

    assert Put(UNAVAILABLE, START, releases=False) == decision.action


def test_standing_back_over_is_free() -> None:
    """With nothing wanted."""
    decision = decide(StandingBack("override", START, END), MEETING, Facts(), END)

    assert (FREE, None, None) == (decision.stance, decision.action, decision.again)


def test_left_alone_ends_when_the_meeting_is_called_off() -> None:
    """Being left alone is about the meeting; an override is about its time."""
    left_alone = decide(StandingBack("left_alone", START, END), NOTHING, Facts(), DURING)
    override = decide(StandingBack("override", START, END), NOTHING, Facts(), DURING)

    assert FREE == left_alone.stance
    assert StandingBack("override", START, END) == override.stance


# -- settling ------------------------------------------------------------------------------------------------------


def test_a_difference_within_5_seconds_of_our_200_is_looked_at_again() -> None:
    """Aircall may take a moment to show what it took."""
    stance = replace(held(), confirmed_at=START)

    waiting = decide(stance, MEETING, seen(AVAILABLE, START + 3), START + 4)
    then = decide(stance, MEETING, seen(AVAILABLE, START + 3), START + 5)
    human = decide(stance, MEETING, back(AVAILABLE, START + 9), START + 10)

    assert (stance, None, START + 5) == (waiting.stance, waiting.action, waiting.again)
    assert Look(START + 5) == then.action
    assert StandingBack("override", START + 9, END) == human.stance


def test_a_difference_within_5_seconds_closes_no_hold_when_nothing_is_wanted_too() -> None:
    """It may be none: the way back is sent where it would change nothing, else it is looked at again."""
    stance = replace(held(), confirmed_at=START)

    as_before = decide(stance, NOTHING, seen(AVAILABLE, START + 3), START + 4)
    waiting = decide(stance, NOTHING, seen(CUSTOM, START + 3), START + 4)

    assert Put(AVAILABLE, START + 4, releases=True) == as_before.action
    assert (stance, None, START + 5) == (waiting.stance, waiting.action, waiting.again)


# -- answers that are missing --------------------------------------------------------------------------------------


def test_a_put_without_an_answer_keeps_the_hold_until_a_look_60_seconds_later() -> None:
    """It may land yet: one look after 5 s, one after 60 s, and only then is it closed."""
    stance, facts = held(confirmed=False, lost_at=DURING), Facts()

    at_once = decide(stance, NOTHING, facts, DURING + 0.1)
    facts = facts.looked(Observation(AVAILABLE, DURING + 0.2))
    waiting = decide(stance, NOTHING, facts, DURING + 0.3)
    first = decide(stance, NOTHING, facts, DURING + 5)
    facts = facts.looked(Observation(AVAILABLE, DURING + 5))
    between = decide(stance, NOTHING, facts, DURING + 6)
    last = decide(stance, NOTHING, facts, DURING + 60)
    facts = facts.looked(Observation(AVAILABLE, DURING + 60, "available"))
    closed = decide(stance, NOTHING, facts, DURING + 60.1)

    assert [True] * 3 == [isinstance(decision.action, Look) for decision in (at_once, first, last)]
    assert [DURING + 5, DURING + 60] == [waiting.again, between.again]
    assert [stance] * 5 == [decision.stance for decision in (at_once, waiting, first, between, last)]
    assert FREE == closed.stance


def test_a_hold_with_a_lost_put_is_looked_at_after_5_and_60_seconds_while_wanted() -> None:
    """A way back that was lost may land in the next meeting."""
    stance = replace(held(), lost_at=DURING)

    first = decide(stance, MEETING, seen(UNAVAILABLE, DURING + 1), DURING + 2)
    then = decide(stance, MEETING, seen(UNAVAILABLE, DURING + 1), DURING + 5)
    last = decide(stance, MEETING, seen(UNAVAILABLE, DURING + 5), DURING + 6)
    finally_ = decide(stance, MEETING, seen(UNAVAILABLE, DURING + 5), DURING + 60)
    settled = decide(stance, MEETING, seen(UNAVAILABLE, DURING + 60), DURING + 61)

    assert [DURING + 5, DURING + 60] == [first.again, last.again]
    assert [Look(DURING + 5), Look(DURING + 60)] == [then.action, finally_.action]
    assert (held(), None) == (settled.stance, settled.action)


def test_a_lost_hold_that_lands_late_is_put_back() -> None:
    """The meeting was called off while the PUT was on its way."""
    stance = held(confirmed=False, lost_at=DURING)

    decision = decide(stance, NOTHING, seen(UNAVAILABLE, DURING + 60), DURING + 61)

    assert Put(AVAILABLE, DURING + 61, releases=True) == decision.action


def test_a_way_back_answered_while_an_older_put_is_lost_stays_a_debt() -> None:
    """The older PUT may land after the way back."""
    before = held(confirmed=False, lost_at=DURING)
    written = replace(before, lost_at=DURING + 10)
    sent = Sent(before, written, Put(AVAILABLE, DURING, releases=True))

    stance, _ = answered(sent, AVAILABLE, Facts(), DURING + 11)

    assert before == stance


def way_back_that_a_read_lags_behind() -> tuple[Stance, Facts]:
    """Accepted at `DURING`, while the answer to an older PUT is missing; a look right after it shows the hold."""
    before = held(confirmed=False, lost_at=DURING - 120)
    sent = Sent(before, replace(before, lost_at=DURING), Put(AVAILABLE, DURING, releases=True))
    stance, facts = answered(sent, AVAILABLE, Facts(), DURING)
    return stance, facts.looked(Observation(UNAVAILABLE, DURING + 0.1))


def test_a_read_that_lags_behind_a_way_back_asks_for_no_second_one() -> None:
    """Nor for a third: the next look comes when reads have settled."""
    stance, facts = way_back_that_a_read_lags_behind()

    waiting = decide(stance, NOTHING, facts, DURING + 0.2)
    look = decide(stance, NOTHING, facts, DURING + 5)
    still = decide(stance, NOTHING, facts.looked(Observation(UNAVAILABLE, DURING + 5)), DURING + 5.1)

    assert (None, DURING + 5) == (waiting.action, waiting.again)
    assert Look(DURING + 5) == look.action
    assert Put(AVAILABLE, DURING + 5.1, releases=True) == still.action


def test_a_read_that_lags_behind_a_way_back_confirms_no_hold() -> None:
    """The next meeting takes the agent off the phones again: who is seen available then has not chosen it."""
    stance, facts = way_back_that_a_read_lags_behind()

    at_once = decide(stance, MEETING, facts, DURING + 0.2)
    later = decide(stance, MEETING, facts, DURING + 55)

    assert Put(UNAVAILABLE, START, releases=False) == at_once.action
    assert isinstance(later.action, Look)


@pytest.mark.parametrize("ago", [30, 61, 600])
def test_a_lost_way_back_that_lands_in_the_next_meeting_is_put_right(ago: float) -> None:
    """What we lost ourselves is no override, however late the first look comes that can show it."""
    stance = replace(held(), lost_at=DURING - ago)

    decision = decide(stance, MEETING, seen(AVAILABLE, DURING), DURING + 1)

    assert Put(UNAVAILABLE, START, releases=False) == decision.action


def test_an_override_waits_until_nothing_of_ours_can_land() -> None:
    """Else our late PUT would go unnoticed, and nobody would put it back."""
    stance = held(confirmed=False, lost_at=DURING)

    waiting = decide(stance, MEETING, seen(CUSTOM, DURING + 6), DURING + 7)
    settled = decide(stance, MEETING, seen(CUSTOM, DURING + 60), DURING + 61)

    assert (stance, None, DURING + 60) == (waiting.stance, waiting.action, waiting.again)
    assert StandingBack("override", DURING + 60, END) == settled.stance


def test_waiting_for_a_lost_way_back_does_not_miss_the_next_meeting() -> None:
    """A meeting that starts within that minute is served on time."""
    stance = replace(held(confirmed=False, lost_at=END), until=END)
    orders = Orders(day(meeting(10, 40), meeting(40.5, 60, "next")))

    decision = decide(stance, orders, seen(AVAILABLE, END + 6), END + 7)

    assert decision.again is not None
    assert decision.again <= NOON + 40.5 * MINUTE


def test_the_next_meeting_is_due_when_it_begins() -> None:
    """Also while the debt of the one before is not settled: nobody has been waiting since that one's start."""
    stance = replace(held(confirmed=False, lost_at=END), until=END)
    begins = NOON + 40.5 * MINUTE
    orders = Orders(day(meeting(10, 40), meeting(40.5, 60, "next")))

    decision = decide(stance, orders, seen(AVAILABLE, begins - 1), begins)

    assert Put(UNAVAILABLE, begins, releases=False) == decision.action
    assert isinstance(decision.stance, Held)
    assert (decision.stance.effective, decision.stance.until) == (begins, NOON + 60 * MINUTE)


def test_lost_and_not_landed_and_restored() -> None:
    """An answer that says no effect undoes the entry; a missing one dates it; a restart dates it to now."""
    put = Put(UNAVAILABLE, START, releases=False)
    written = held(confirmed=False, lost_at=DURING)
    sent = Sent(FREE, written, put)

    assert (FREE, Facts()) == not_landed(sent, Facts())
    assert (replace(written, lost_at=DURING + 15), Facts(acted_at=DURING + 15)) == lost(sent, Facts(), DURING + 15)
    assert replace(written, lost_at=END) == restored(written, END)
    assert [held(), FREE] == [restored(held(), END), restored(FREE, END)]


# -- answers that show something else --------------------------------------------------------------------------------


def test_a_mismatch_is_looked_at_after_5_seconds_and_put_twice_more_then_it_is_trouble() -> None:
    """Aircall says yes and does nothing: three PUTs at once is enough."""
    world = Driver(timeline=day(meeting(10, 40)))
    world.fates.extend([(Fate.IGNORED, 0.0)] * 3)

    world.run(START + 4 * MINUTE)

    puts = [round(sending.at - START) for sending in world.sendings]
    looks = [round(at - START) for at in world.looks]
    assert [0, 6, 11] == puts
    assert [-2, 5, 11, 16] == looks
    assert {"not_taken"} == set(world.notes)


def test_a_mismatch_is_tried_again_slowly_and_ends_with_the_meeting() -> None:
    """Every five minutes, and the way back in case one of them took all the same; then nothing is owed."""
    world = Driver(timeline=day(meeting(10, 40)))
    world.fates.extend([(Fate.IGNORED, 0.0)] * 30)

    world.run(END + 20 * MINUTE)

    assert 2 + 6 + 1 == len(world.sendings)
    assert ("available", FREE) == (world.status, world.stance)


def test_a_mismatch_that_takes_late_does_not_outlast_the_meeting() -> None:
    """It is shown after all, a minute before the end: the end is served on time."""
    world = Driver(timeline=day(meeting(10, 13)))
    world.fates.extend([(Fate.IGNORED, 0.0)] * 3)
    world.coming.append((NOON + 12 * MINUTE, "unavailable", False))

    world.run(NOON + 13 * MINUTE + 2)

    assert "available" == world.status


def test_a_mismatch_of_the_hold_is_not_counted_against_the_way_back() -> None:
    """The way back has two more PUTs of its own before it goes slowly."""
    world = Driver(timeline=day(meeting(10, 13)))
    world.fates.extend([(Fate.IGNORED, 0.0)] * 4)
    world.coming.append((NOON + 12 * MINUTE, "unavailable", False))

    world.run(NOON + 13 * MINUTE + 10)

    assert ("available", FREE) == (world.status, world.stance)


# -- what else is known ----------------------------------------------------------------------------------------------


def test_pause_releases() -> None:
    """Paused by hand: released now, in a meeting too."""
    orders = replace(MEETING, paused_until=END)

    decision = decide(held(), orders, seen(UNAVAILABLE, DURING), DURING + 1)

    assert Put(AVAILABLE, DURING + 1, releases=True) == decision.action


def test_pause_releases_whatever_is_unknown() -> None:
    """A calendar that cannot be read keeps nobody from being paused."""
    orders = replace(MEETING, paused_until=END, complete=False)

    decision = decide(held(), orders, seen(UNAVAILABLE, DURING), DURING + 1)

    assert Put(AVAILABLE, DURING + 1, releases=True) == decision.action


def test_a_pause_that_ends_lets_the_meeting_count_again() -> None:
    """While it lasts the agent is free, and the end of it is waited for."""
    orders = replace(MEETING, paused_until=DURING + MINUTE)

    during = decide(FREE, orders, seen(AVAILABLE, DURING), DURING)
    after = decide(FREE, orders, seen(AVAILABLE, DURING + MINUTE), DURING + MINUTE)

    assert (None, DURING + MINUTE) == (during.action, during.again)
    assert isinstance(after.action, Put)


@pytest.mark.parametrize("timeline", [None, Timeline()], ids=["no calendar", "nothing in those that are read"])
def test_an_incomplete_timeline_keeps_a_hold_to_its_known_end(timeline: Timeline | None) -> None:
    """Unknown is not free, and it is not for ever either."""
    orders = Orders(timeline, complete=False)

    during = decide(held(), orders, seen(UNAVAILABLE, DURING), DURING + 1)
    after = decide(held(), orders, seen(UNAVAILABLE, END), END)

    assert (held(), None, END - 2) == (during.stance, during.action, during.again)
    assert Put(AVAILABLE, END, releases=True) == after.action


def test_an_incomplete_timeline_with_a_shorter_meeting_keeps_the_hold_to_its_known_end() -> None:
    """A meeting on the calendar that can be read does not shorten the one on the calendar that cannot."""
    orders = Orders(day(meeting(12, 20)), complete=False)
    later = NOON + 20 * MINUTE

    during = decide(held(), orders, seen(UNAVAILABLE, DURING), DURING + 1)
    after = decide(during.stance, orders, seen(UNAVAILABLE, later), later)

    assert isinstance(during.stance, Held)
    assert END == during.stance.until
    assert after.action is None


def test_an_incomplete_timeline_with_a_longer_meeting_prolongs_the_hold() -> None:
    """What is known to run counts."""
    orders = Orders(day(meeting(12, 60)), complete=False)

    decision = decide(held(), orders, seen(UNAVAILABLE, DURING), DURING + 1)

    assert isinstance(decision.stance, Held)
    assert NOON + 60 * MINUTE == decision.stance.until


def test_a_replan_rewrites_the_end_that_is_expected() -> None:
    """The meeting was prolonged, or another follows it at once."""
    decision = decide(held(), Orders(day(meeting(10, 40), meeting(40, 50, "b"))), seen(UNAVAILABLE, DURING), DURING)

    assert isinstance(decision.stance, Held)
    assert NOON + 50 * MINUTE == decision.stance.until


def test_sixty_seconds_of_failed_looks_release_blindly() -> None:
    """A hold last seen ours is put back unobserved when looking has failed for a minute."""
    facts = seen(UNAVAILABLE, DURING).look_failed(END).look_failed(END + 30)

    before = decide(held(), MEETING, facts, END + 59)
    after = decide(held(), MEETING, facts, END + 60)

    assert Look(END) == before.action
    assert Put(AVAILABLE, END, releases=True) == after.action


def test_failed_looks_release_nothing_that_was_not_ours() -> None:
    """Who had changed the setting is not touched unseen."""
    facts = seen(AVAILABLE, DURING).look_failed(END)

    assert Look(END) == decide(held(), MEETING, facts, END + 120).action


def test_a_look_that_is_answered_ends_a_row_of_failures() -> None:
    """The minute of failed looks begins anew with the next failure."""
    facts = Facts().look_failed(START).looked(Observation(UNAVAILABLE, DURING)).look_failed(END)

    assert END == facts.looks_fail_since


def test_failed_looks_begin_nothing() -> None:
    """Unseen nobody is made unavailable."""
    facts = Facts().look_failed(START)

    assert Look(START) == decide(FREE, MEETING, facts, DURING).action


def test_retry_at_holds_every_request_back() -> None:
    """A look and a PUT alike; what needs no request is decided all the same."""
    facts = replace(seen(AVAILABLE, DURING), retry_at=DURING + 10)
    begin = decide(FREE, MEETING, facts, DURING + 1)
    end = decide(held(), NOTHING, replace(facts, seen=None), DURING + 1)
    over = decide(StandingBack("override", START, DURING), NOTHING, facts, DURING + 1)

    assert [(FREE, None, DURING + 10), (held(), None, DURING + 10)] == [
        (decision.stance, decision.action, decision.again) for decision in (begin, end)
    ]
    assert FREE == over.stance


def test_retry_at_does_not_hide_the_next_boundary() -> None:
    """What needs no request is decided when it is due."""
    facts = replace(Facts(), retry_at=END + 30 * MINUTE)

    decision = decide(FREE, MEETING, facts, DURING)

    assert (None, END) == (decision.action, decision.again)


def test_an_older_look_than_the_newest_changes_nothing() -> None:
    """Answers may overtake each other."""
    facts = seen(AVAILABLE, DURING)

    assert facts == facts.looked(Observation(UNAVAILABLE, DURING - 1, "do_not_disturb"))


# -- hints -----------------------------------------------------------------------------------------------------------


def hinted(facts: Facts, status: str | None, at: float) -> Facts:
    """The facts after a webhook named a status."""
    return facts.hinted(status, at, putting=False)


CONFIRMED = replace(seen(UNAVAILABLE, START + 1), acted_at=START + 1)
"""What is known since our own PUT was answered."""


@pytest.mark.parametrize(
    ("stance", "orders", "facts"),
    [
        (FREE, NOTHING, seen(AVAILABLE, DURING - 600)),
        (FREE, replace(MEETING, paused_until=END), seen(AVAILABLE, DURING - 600)),
        (FREE, Orders(None), Facts()),
        (held(), MEETING, replace(CONFIRMED, seen=Observation(UNAVAILABLE, START + 60))),
        (StandingBack("override", START, END), MEETING, seen(UNAVAILABLE, DURING - 600)),
    ],
    ids=["free", "paused", "unsynced", "held", "standing back"],
)
def test_a_hint_asks_for_a_look_that_serves_no_boundary(
    stance: Free | Held | StandingBack, orders: Orders, facts: Facts
) -> None:
    """At once, whatever the stance, which stays as it is; nothing is owed for it."""
    before = decide(stance, orders, facts, DURING)
    after = decide(stance, orders, hinted(facts, "custom", DURING), DURING)

    assert (before.action, Look(DURING, "hint")) == (None, after.action)
    assert (stance, None) == (after.stance, after.owes)
    assert before.again == after.again


def test_a_hint_of_what_is_known_asks_for_nothing() -> None:
    """An echo of our own PUT, within the settle time and after it."""
    for at in (START + 1.2, START + 4, DURING):
        facts = hinted(CONFIRMED, "unavailable", at)

        assert (CONFIRMED, None) == (facts, decide(held(), MEETING, facts, at).action)


def test_a_hint_just_after_our_own_put_waits_until_reads_show_it() -> None:
    """A look within the settle time could show the time before our PUT."""
    facts = hinted(CONFIRMED, "available", START + 2)

    waiting = decide(held(), MEETING, facts, START + 2)
    then = decide(held(), MEETING, facts, START + 6)

    assert (None, START + 6) == (waiting.action, waiting.again)
    assert Look(START + 6, "hint") == then.action


def test_a_hint_never_chooses() -> None:
    """What the webhook named is no observation: only looks make an override."""
    facts = hinted(CONFIRMED, "available", DURING)

    told = decide(held(), MEETING, facts, DURING)
    denied = decide(held(), MEETING, facts.looked(Observation(UNAVAILABLE, DURING)), DURING + 0.1)
    shown = facts.looked(Observation(AVAILABLE, DURING))
    first = decide(held(), MEETING, shown, DURING + 0.1)
    second = decide(held(), MEETING, shown.looked(Observation(AVAILABLE, DURING + 5, "available")), DURING + 5.1)

    assert (held(), held(), held()) == (told.stance, denied.stance, first.stance)
    assert (None, DURING + 5) == (denied.action, denied.again)
    assert StandingBack("override", DURING + 5, END) == second.stance


def test_a_read_that_lags_behind_the_hint_is_repeated_once() -> None:
    """The second look shows the change, and a third that it lasts, and that no call is behind it."""
    world = Driver(timeline=day(meeting(10, 40)))
    world.run(DURING)
    world.choose("available")
    world.reads_lag, looks = 1, len(world.looks)

    world.hint("available")
    world.run(DURING + 4)
    before = world.stance
    world.run(DURING + 11)

    assert isinstance(before, Held)
    assert isinstance(world.stance, StandingBack)
    assert DURING + 10 <= world.stance.since < DURING + 11
    assert 3 == len(world.looks) - looks


def test_what_was_seen_before_a_hint_is_not_relied_on_to_begin() -> None:
    """The agent went unavailable between the look before the start and the start: they are left alone."""
    facts = hinted(seen(AVAILABLE, START - 2), "unavailable", START - 1)
    after = facts.looked(Observation(UNAVAILABLE, START, "do_not_disturb"))

    assert Look(START) == decide(FREE, MEETING, facts, START).action
    assert StandingBack("left_alone", START, END) == decide(FREE, MEETING, after, START).stance


def test_what_was_seen_before_a_hint_is_not_relied_on_to_end() -> None:
    """The look that it asks for serves the end, and is as urgent."""
    facts = hinted(replace(CONFIRMED, seen=Observation(UNAVAILABLE, END - 2)), "custom", END - 1)

    assert Look(END) == decide(held(), MEETING, facts, END).action


def test_a_flood_of_hints_delays_a_boundary_by_one_look_at_most() -> None:
    """More messages come than answers: what was seen a moment ago will do."""
    facts = hinted(seen(AVAILABLE, START - 2), "unavailable", START)
    facts = hinted(facts, "custom", START + 0.1).looked(Observation(AVAILABLE, START, answered_at=START + 0.2))
    facts = hinted(facts, "unavailable", START + 0.2)

    assert isinstance(decide(FREE, MEETING, facts, START + 0.2).action, Put)


def test_a_hint_waits_for_retry_at() -> None:
    """A look that failed is not repeated at once."""
    facts = replace(hinted(seen(AVAILABLE, DURING - 600), "custom", DURING), retry_at=DURING + 30)

    decision = decide(FREE, NOTHING, facts, DURING)

    assert (None, DURING + 30) == (decision.action, decision.again)


def test_a_hint_while_our_put_is_under_way_is_compared_with_its_answer() -> None:
    """Its echo may overtake the answer; what tells of something else is looked at once reads show the PUT."""
    decision = decide(FREE, MEETING, seen(AVAILABLE, START), START)
    assert isinstance(decision.action, Put)
    sent = Sent(FREE, decision.stance, decision.action)
    echo = seen(AVAILABLE, START).hinted("unavailable", START + 0.1, putting=True)
    both = echo.hinted("available", START + 0.1, putting=True)

    _, after_echo = answered(sent, UNAVAILABLE, echo, START + 1)
    stance, after_both = answered(sent, UNAVAILABLE, both, START + 1)
    later = decide(stance, MEETING, after_both, START + 6)

    assert after_echo.hint_due is None
    assert (START + 6, Look(START + 6, "hint")) == (after_both.hint_due, later.action)


def test_a_hint_after_a_put_without_an_answer_settles_nothing() -> None:
    """What was seen before it is not known any more, whatever a webhook names."""
    decision = decide(FREE, MEETING, seen(AVAILABLE, START), START)
    assert isinstance(decision.action, Put)
    stance, facts = lost(Sent(FREE, decision.stance, decision.action), seen(AVAILABLE, START), START + 15)

    facts = hinted(facts, "available", START + 16)

    assert START + 20 == facts.hint_due
    assert isinstance(stance, Held)


DOUBT = replace(seen(UNAVAILABLE, DURING), doubt=Doubt(DURING + 5, listed=True, untold=True))
"""A list has shown an `unavailable`, and may have shown a call."""


def test_an_unavailable_that_may_be_a_calls_asks_for_the_live_state() -> None:
    """When it is due, and after any other look; not of somebody whom we hold: theirs is ours."""
    before = decide(FREE, NOTHING, DOUBT, DURING + 1)
    due = decide(FREE, NOTHING, DOUBT, DURING + 5)
    hinted_too = decide(FREE, NOTHING, hinted(DOUBT, "available", DURING), DURING + 5)

    assert (before.action, before.again) == (None, DURING + 5)
    assert due.action == Look(DURING + 5, "hint", live=True)
    assert hinted_too.action == Look(DURING, "hint")
    assert decide(held(), MEETING, DOUBT, DURING + 5).action is None


@pytest.mark.parametrize(
    ("status", "live", "left"),
    [
        (UNAVAILABLE, None, True),
        (UNAVAILABLE, "in_call", False),
        (UNAVAILABLE, "offline", False),
        (AVAILABLE, None, False),
    ],
)
def test_what_ends_a_doubt(status: Setting, live: str | None, *, left: bool) -> None:
    """A live state, whatever it is, or another setting."""
    assert (DOUBT.looked(Observation(status, DURING + 6, live)).doubt is not None) is left


def test_an_update_of_ours_ends_a_doubt() -> None:
    """Whether it was answered or not."""
    decision = decide(FREE, MEETING, seen(AVAILABLE, START), START)
    assert isinstance(decision.action, Put)
    sent = Sent(FREE, decision.stance, decision.action)

    assert answered(sent, UNAVAILABLE, DOUBT, START + 1)[1].doubt is None
    assert lost(sent, DOUBT, START + 15)[1].doubt is None


def test_a_failed_look_for_a_hint_hurries_no_blind_release() -> None:
    """How long looks have failed counts from those that a boundary waits for."""
    world = Driver(timeline=day(meeting(10, 40)))
    world.run(DURING)
    world.failing_looks = 1
    world.hint("custom")
    world.run(DURING + 0.5)

    assert world.facts.looks_fail_since is None


# -- the clock -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [-3600.0, -600.0, -20.0, 3600.0])
def test_a_clock_that_is_set_while_held_is_put_right_at_once(step: float) -> None:
    """What was seen and done by the old clock counts for nothing."""
    world = Driver(now=NOON, skew=-step, timeline=day(meeting(-120, -step / 60 + 1), meeting(-step / 60 + 1, 200)))
    world.run(NOON + 5)
    assert "unavailable" == world.status

    world.set_clock()
    world.timeline = Timeline()
    world.looks.clear()
    world.run(NOON + 35)

    assert ("available", FREE) == (world.status, world.stance)
    assert len(world.looks) <= 4


@pytest.mark.parametrize("step", [-3600.0, -20.0, 3600.0])
def test_a_clock_that_is_set_while_we_are_down_hides_no_change(step: float) -> None:
    """The ledger may speak of a time to come: the agent's change is recognised all the same."""
    world = Driver(now=NOON, skew=-step, timeline=day(meeting(-600, 600)))
    world.run(NOON + 5)
    world.skew = 0.0
    world.crash()

    world.choose("custom")
    world.run(NOON + MINUTE)
    world.observe()
    world.run(NOON + 2 * MINUTE)

    assert isinstance(world.stance, StandingBack)
    assert "custom" == world.status


@pytest.mark.parametrize("step", [-3600.0, -600.0, -20.0, 3600.0])
def test_a_clock_that_is_set_while_a_put_is_lost_is_put_right(step: float) -> None:
    """The hour is not waited for a second time."""
    world = Driver(now=NOON, skew=-step, timeline=day(meeting(-600, 600)))
    world.fates.append((Fate.LOST_BUT_LANDED, 0.0))
    world.run(NOON + 16)

    world.set_clock()
    world.timeline = Timeline()
    world.run(NOON + 3 * MINUTE)

    assert ("available", FREE) == (world.status, world.stance)


def test_a_clock_that_is_set_back_lets_the_next_meeting_begin_on_time() -> None:
    """The look before a start is believed, although one by the old clock was there before."""
    world = Driver(now=NOON, skew=3600.0, timeline=day(meeting(-120, 60), meeting(62, 70)))
    world.run(NOON + MINUTE)

    world.set_clock()
    world.timeline = day(meeting(10, 20))
    world.run(START + 1)

    assert "unavailable" == world.status


def test_an_update_of_a_hold_writes_one_of_two_statuses() -> None:
    """What is put, and what is put back: whatever else is seen is somebody else's doing."""
    assert held(back=CUSTOM).statuses == ("unavailable", "custom")
