"""`on_manual_change: enforce`: an agent's own change in a meeting is put again; gently, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from calsyncd.core.model import Observation, Setting
from calsyncd.core.plan import ENFORCE_SECONDS, FREE, Facts, Held, Look, Orders, Put, StandingBack, decide

from .driver import MINUTE, NOON, Driver, Fate, day, meeting

AVAILABLE, CUSTOM, UNAVAILABLE = Setting("available"), Setting("custom"), Setting("unavailable")
START, END = NOON + 10 * MINUTE, NOON + 40 * MINUTE
DURING = START + 5 * MINUTE
MEETING = Orders(day(meeting(10, 40)), enforce=True)
HELD = Held(UNAVAILABLE, AVAILABLE, START, START, END, "meeting", confirmed_at=START + 1)


def seen(status: str, at: float, live: str | None = None, facts: Facts | None = None) -> Facts:
    """The facts after one more look."""
    return (facts or Facts()).looked(Observation(Setting(status), at, live))


@pytest.mark.parametrize("status", ["available", "custom", "something_new"])
def test_a_change_is_looked_at_once_more_and_then_put_again(status: str) -> None:
    """Whatever it was changed to; what is owed stays what was there before the meeting."""
    once = seen(status, DURING)
    twice = seen(status, DURING + 6, "available", once)

    first = decide(HELD, MEETING, once, DURING + 1)
    look = decide(HELD, MEETING, once, DURING + 6)
    put = decide(HELD, MEETING, twice, DURING + 7)

    assert (None, DURING + 5) == (first.action, first.again)
    assert isinstance(look.action, Look)
    assert look.action.live
    assert Put(UNAVAILABLE, DURING, releases=False, enforces=True) == put.action
    assert replace(HELD, confirmed_at=None, lost_at=DURING + 7) == put.stance


@pytest.mark.parametrize("live", ["in_call", "after_call_work", "ringing"])
def test_a_call_is_never_interfered_with(live: str) -> None:
    """What is read in one may be wrong, and who is in one does not ring."""
    facts = seen("available", DURING + 6, live, seen("available", DURING))

    decision = decide(HELD, MEETING, facts, DURING + 7)

    assert (HELD, None) == (decision.stance, decision.action)


def test_who_was_unavailable_before_is_left_alone() -> None:
    """That is no change in a meeting."""
    facts = seen("unavailable", START - 1, "do_not_disturb")

    assert StandingBack("left_alone", START, END) == decide(FREE, MEETING, facts, START).stance


def test_a_change_seen_at_the_end_stays() -> None:
    """Nothing is wanted any more, so nothing is put but the way back that changes nothing."""
    facts = seen("custom", END - 1, "available", seen("custom", END - 7))

    decision = decide(HELD, MEETING, facts, END + 1)

    assert (FREE, None) == (decision.stance, decision.action)


@pytest.mark.parametrize("again", [1.0, 20.0, 59.0, 61.0, 300.0])
@pytest.mark.parametrize("chosen", ["available", "custom"])
def test_an_agent_who_insists_is_put_back_once_a_minute(again: float, chosen: str) -> None:
    """However often they change it; and the end is as it was before the meeting."""
    world = Driver(timeline=day(meeting(10, 40)), enforce=True)
    world.run(START + 30)
    while world.now < END - 5 * MINUTE:
        if world.status == "unavailable":
            world.choose(chosen)
        world.observe()
        world.run(world.now + again)
    world.run(END + 5 * MINUTE)

    puts = [sending.at for sending in world.sendings if not sending.releases][1:]
    assert len(puts) >= 5 if again < MINUTE else puts
    assert all(later - earlier >= ENFORCE_SECONDS for earlier, later in pairwise(puts))
    assert world.status == ("available" if world.sendings[-1].releases else chosen)
    assert FREE == world.stance
    assert world.notes == []


def test_a_change_in_the_seconds_around_our_update_waits_until_reads_have_settled() -> None:
    """A read that lags is no change, so nothing is put again for it."""
    world = Driver(timeline=day(meeting(10, 40)), enforce=True)
    world.run(START + 1)
    world.reads_lag = 1
    world.observe()
    world.run(END + MINUTE)

    assert [sending.releases for sending in world.sendings] == [False, True]


@pytest.mark.parametrize("fate", [Fate.LOST, Fate.LOST_BUT_LANDED, Fate.REFUSED, Fate.CRASH_BEFORE, Fate.CRASH_AFTER])
def test_what_becomes_of_the_update_makes_no_difference(fate: Fate) -> None:
    """Lost, refused or in a crash: the agent is unavailable again within a minute, and back at the end."""
    world = Driver(timeline=day(meeting(10, 40)), enforce=True)
    world.run(START + 30)
    world.choose("available")
    world.fates.append((fate, 0.0))
    world.observe()
    world.run(START + 3 * MINUTE)
    during = world.status
    world.run(END + 5 * MINUTE)

    assert (during, world.status) == ("unavailable", "available")
    assert FREE == world.stance


def test_a_setting_that_is_changed_to_enforce_leaves_an_override_standing() -> None:
    """Who was told that their change stands keeps it until its meeting ends."""
    stance = StandingBack("override", DURING, END)

    decision = decide(stance, MEETING, seen("available", DURING + 10), DURING + 11)

    assert (stance, None) == (decision.stance, decision.action)
