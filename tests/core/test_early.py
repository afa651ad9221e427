"""Updates that are sent before their boundary: held, put back, stood back from, and none the worse for a crash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from calsyncd.core.model import AVAILABLE, UNAVAILABLE
from calsyncd.core.plan import FREE, Decision, Held, Orders, Put, StandingBack, decide

from .driver import MINUTE, NOON, Driver, Fate, day, meeting

START = NOON + 10 * MINUTE
END = NOON + 40 * MINUTE
CROWD_FRESH_SECONDS = 45 * MINUTE


def send_early(driver: Driver, boundary: float, fate: Fate = Fate.DONE) -> Decision:
    """Send now what this boundary needs; what becomes of it is `fate`."""
    orders = Orders(driver.timeline, fresh_seconds=CROWD_FRESH_SECONDS, early=boundary)
    decision = decide(driver.stance, orders, driver.facts, driver.clock)
    assert isinstance(decision.action, Put)
    assert boundary == decision.action.due
    driver.fates.append((fate, 0.0))
    driver._put(decision, decision.action)
    return decision


def started_early(fate: Fate = Fate.DONE) -> Driver:
    """An agent whose meeting's start was sent a minute before it."""
    driver = Driver(now=START - 3 * MINUTE, timeline=day(meeting(10, 40)))
    driver.observe()
    driver.facts = replace(driver.facts, undoubted=driver.facts.seen)
    driver.now = START - MINUTE
    send_early(driver, START, fate)
    return driver


def ended_early(fate: Fate = Fate.DONE) -> Driver:
    """An agent whose meeting's end was sent a minute before it."""
    driver = Driver(timeline=day(meeting(10, 40)))
    driver.run(END - 3 * MINUTE)
    driver.observe()
    driver.now = END - MINUTE
    send_early(driver, END, fate)
    return driver


def releases(driver: Driver) -> list[float]:
    """When the way back was sent, in seconds after the meeting's end."""
    return [sending.at - END for sending in driver.sendings if sending.releases]


def test_a_start_sent_early_is_held_from_its_boundary_on() -> None:
    """What is written down serves the boundary, and says when it was sent."""
    stance = started_early().stance

    assert isinstance(stance, Held)
    assert (START - MINUTE, START, END) == (stance.since, stance.effective, stance.until)
    assert stance.lost_at is None


def test_a_start_sent_early_is_not_released_before_its_boundary() -> None:
    """Nor sent again; the end comes in its time."""
    driver = started_early()

    driver.run(START + MINUTE)
    during = driver.statuses_sent[:]
    driver.run(END + 2 * MINUTE)

    assert [UNAVAILABLE] == during
    assert [UNAVAILABLE, AVAILABLE] == driver.statuses_sent
    assert 0 <= releases(driver)[0] <= 1


@pytest.mark.parametrize("later", [None, 20, 90])
def test_a_meeting_that_is_cancelled_or_moved_after_its_early_start_is_put_back(later: int | None) -> None:
    """At once, and held again when its new time comes."""
    driver = started_early()
    driver.run(START - 30)
    driver.timeline = day() if later is None else day(meeting(later, later + 30))

    driver.run(START)
    put_back = driver.status, driver.stance
    driver.run(NOON + 200 * MINUTE)

    assert (AVAILABLE, FREE) == put_back
    assert [UNAVAILABLE, AVAILABLE] * (1 if later is None else 2) == driver.statuses_sent
    if later is not None:
        assert 0 <= driver.sendings[2].at - (NOON + later * MINUTE) <= 1


def test_who_comes_back_before_an_early_starts_boundary_is_left_alone_in_that_meeting_only() -> None:
    """The hold serves the meeting that is about to begin, so the change is about that one: the next counts anew."""
    driver = started_early()
    driver.timeline = day(meeting(10, 20, "a"), meeting(20, 40, "b"))
    driver.choose("custom", START - 40)
    driver.run(START - 39)
    driver.hint("custom")
    driver.run(START)
    stance = driver.stance

    driver.run(END - MINUTE)

    assert isinstance(stance, StandingBack)
    assert ("override", NOON + 20 * MINUTE) == (stance.why, stance.until)
    assert "unavailable" == driver.status


def test_a_meeting_that_is_moved_a_little_forward_stays_held() -> None:
    """It begins in a few seconds instead of half a minute."""
    driver = started_early()
    driver.run(START - 30)
    driver.timeline = day(meeting(9.75, 40))

    driver.run(END + 2 * MINUTE)

    assert [UNAVAILABLE, AVAILABLE] == driver.statuses_sent


def test_an_end_sent_early_stands_back_until_its_boundary() -> None:
    """The meeting still runs, and the agent is not held again."""
    driver = ended_early()

    stance = driver.stance
    driver.run(END - 1)
    during = driver.statuses_sent[:]
    driver.run(END + 5 * MINUTE)

    assert isinstance(stance, StandingBack)
    assert ("early_end", END) == (stance.why, stance.until)
    assert [UNAVAILABLE, AVAILABLE] == during == driver.statuses_sent
    assert (FREE, AVAILABLE) == (driver.stance, driver.status)


def test_a_meeting_that_is_extended_after_its_early_end_is_held_again() -> None:
    """Until its new end."""
    driver = ended_early()
    driver.run(END - 30)
    driver.timeline = day(meeting(10, 60))

    driver.run(END)
    again = driver.status
    driver.run(NOON + 65 * MINUTE)

    assert UNAVAILABLE == again
    assert [UNAVAILABLE, AVAILABLE] * 2 == driver.statuses_sent
    assert 20 * MINUTE <= releases(driver)[-1] <= 20 * MINUTE + 1


def test_a_meeting_that_is_shortened_after_its_early_end_is_over() -> None:
    """Nothing is left to do."""
    driver = ended_early()
    driver.timeline = day(meeting(10, 39.5))

    driver.run(END + MINUTE)

    assert [UNAVAILABLE, AVAILABLE] == driver.statuses_sent


def test_the_next_meeting_after_an_early_end_is_held() -> None:
    """Though it begins a minute after the boundary."""
    driver = ended_early()
    driver.timeline = day(meeting(10, 40), meeting(41, 50, "next"))

    driver.run(NOON + 45 * MINUTE)

    assert [UNAVAILABLE, AVAILABLE, UNAVAILABLE] == driver.statuses_sent


@pytest.mark.parametrize("sent", [started_early, ended_early])
def test_a_crash_after_an_early_update_changes_nothing(sent: Callable[[], Driver]) -> None:
    """What was written down is enough."""
    driver = sent()

    driver.crash(1.0)
    driver.run(END + 3 * MINUTE)

    assert [UNAVAILABLE, AVAILABLE] == driver.statuses_sent
    assert (FREE, AVAILABLE) == (driver.stance, driver.status)


@pytest.mark.parametrize("fate", [Fate.CRASH_BEFORE, Fate.CRASH_AFTER, Fate.LOST, Fate.LOST_BUT_LANDED])
def test_an_early_start_without_an_answer_is_settled_before_its_boundary(fate: Fate) -> None:
    """The agent is held in the meeting, and back after it."""
    driver = started_early(fate)

    driver.run(START + 1)
    during = driver.status
    driver.run(END + 3 * MINUTE)

    assert (UNAVAILABLE, AVAILABLE, FREE) == (during, driver.status, driver.stance)
    assert releases(driver)[0] >= 0


@pytest.mark.parametrize("fate", [Fate.CRASH_BEFORE, Fate.CRASH_AFTER, Fate.LOST, Fate.LOST_BUT_LANDED])
def test_an_early_end_without_an_answer_is_settled_after_its_boundary(fate: Fate) -> None:
    """The agent is back at last."""
    driver = ended_early(fate)

    driver.run(END + 3 * MINUTE)

    assert (FREE, AVAILABLE) == (driver.stance, driver.status)
