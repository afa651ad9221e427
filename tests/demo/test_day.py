"""The scripted day, and the judge of what a program made of it."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from calsyncd.demo.day import MINUTES, PEOPLE, STEPS, Day, Meeting, add_people
from calsyncd.demo.day_check import Report, check, clipped, length, minus, true_busy, union
from calsyncd.sandbox.world import Sandbox
from tests.sandbox.clients import AMY, meeting

ZERO = 1_800_000_000.0


class Clock:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.at = ZERO

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> Clock:
    """At a fixed instant."""
    return Clock()


@pytest.fixture
def still(clock: Clock) -> Sandbox:
    """A sandbox that was not started: its Python side is enough here."""
    sandbox = Sandbox(now=clock.now)
    sandbox.add_agent(AMY, user_id=456)
    return sandbox


def report(sandbox: Sandbox, high: float) -> Report:
    """Amy's, from the start."""
    return check(sandbox, ZERO, ZERO + high)[0]


def test_a_perfect_program_is_never_wrong(still: Sandbox, clock: Clock) -> None:
    """Updates at the boundaries themselves: nothing late, nothing wrong."""
    still.google.insert(AMY, meeting(ZERO + 10, ZERO + 20))
    for at, status in ((10, "unavailable"), (20, "available")):
        clock.at = ZERO + at
        still.aircall.users.put(still.aircall.users.by_id[456], type(still.aircall.setting(456))(status), "api")
    found = report(still, 30)

    assert [(b.at - ZERO, b.busy, b.late) for b in found.boundaries] == [(10, True, 0.0), (20, False, 0.0)]
    assert (found.ringing, found.unreachable, len(found.updates)) == (0, 0, 2)


def test_late_and_missing_updates_are_counted(still: Sandbox, clock: Clock) -> None:
    """Three seconds of ringing, ten of being unreachable, and a boundary that was never met."""
    still.google.insert(AMY, meeting(ZERO + 10, ZERO + 20))
    clock.at = ZERO + 13
    still.aircall.users.put(still.aircall.users.by_id[456], type(still.aircall.setting(456))("unavailable"), "api")
    found = report(still, 30)

    assert (found.ringing, found.unreachable) == (3, 10)
    assert [b.late for b in found.boundaries] == [3.0, None]
    assert (found.worst_lateness, found.missed) == (3.0, 1)


def test_an_event_counts_from_when_it_is_known(still: Sandbox, clock: Clock) -> None:
    """Created while it runs, moved, declined: each from its own instant."""
    clock.at = ZERO + 15
    event = still.google.insert(AMY, meeting(ZERO + 10, ZERO + 40, attendees=[{"email": AMY}]))
    clock.at = ZERO + 20
    still.google.respond(AMY, event["id"], "declined")
    clock.at = ZERO + 25
    still.google.respond(AMY, event["id"], "accepted")
    clock.at = ZERO + 30
    still.google.delete(AMY, event["id"])

    assert report(still, 60).busy == ((ZERO + 15, ZERO + 20), (ZERO + 25, ZERO + 30))


def test_free_and_declined_events_and_places_are_not_busy(still: Sandbox) -> None:
    """Neither are events without length."""
    still.google.insert(AMY, meeting(ZERO, ZERO + 9, transparency="transparent"))
    still.google.insert(AMY, meeting(ZERO, ZERO + 9, eventType="workingLocation"))
    still.google.insert(AMY, meeting(ZERO, ZERO))

    assert report(still, 60).busy == ()


def test_back_to_back_and_nested_meetings_are_one_stretch(still: Sandbox) -> None:
    """No boundary between them."""
    for start, end in ((10, 20), (20, 30), (22, 25)):
        still.google.insert(AMY, meeting(ZERO + start, ZERO + end))

    assert [b.at - ZERO for b in report(still, 60).boundaries] == [10, 30]


def test_the_agents_own_choice_is_right(still: Sandbox, clock: Clock) -> None:
    """Unavailable by hand is wanted until the next choice; available by hand until the meeting's end."""
    still.google.insert(AMY, meeting(ZERO + 10, ZERO + 20))
    for at, status in ((2, "unavailable"), (15, "available")):
        clock.at = ZERO + at
        still.aircall.set_by_hand(456, status)
    found = report(still, 30)

    assert (found.ringing, found.unreachable) == (0, 0)


def test_spans_are_a_small_algebra() -> None:
    """Union, difference, clipping and measure."""
    spans = union([(5, 7), (1, 3), (3, 4), (6, 9), (2, 2)])

    assert spans == [(1, 4), (5, 9)]
    assert minus(spans, [(0, 2), (3, 6), (8, 8.5)]) == [(2, 3), (6, 8), (8.5, 9)]
    assert clipped(spans, 2, 6) == [(2, 4), (5, 6)]
    assert length(spans) == 7


async def test_the_whole_day_runs(clock: Clock) -> None:
    """Every step is done at its time, and the day's cases are what they promise."""
    sandbox = Sandbox(now=clock.now)
    add_people(sandbox)
    day = Day(sandbox, ZERO, MINUTES)
    day.perform_early()
    await day.run(clock.now, clock.sleep)
    found = {item.email.partition("@")[0]: item for item in check(sandbox, ZERO, day.closed)}
    busy = {name: [(a - ZERO, b - ZERO) for a, b in item.busy] for name, item in found.items()}

    assert clock.at == day.closed
    assert busy == {
        "amy": [(24, 80), (280, 400)],
        "ben": [(64, 200), (436, 472)],
        "chloe": [(160, 220), (300, 360)],
        "dan": [(180, 240), (408, 448)],
        "eve": [(110, 290)],
        "finn": [(110, 240), (320, 380)],
        "grace": [(100, 160)],
        "henri": [(130, 210), (424, 462)],
    }
    assert (found["grace"].ringing, found["grace"].unreachable) == (0, 0)


async def test_somebody_changes_all_the_time_and_a_meeting_is_always_ahead(clock: Clock) -> None:
    """Round after round: no two changes are more than 45 minutes apart, and the next day is known before this ends."""
    sandbox = Sandbox(now=clock.now)
    add_people(sandbox)
    day = Day(sandbox, ZERO, MINUTES)
    day.perform_early()
    ahead: list[bool] = []

    async def sleep(seconds: float) -> None:
        calendars = sandbox.google.calendars.values()
        ahead.append(any(start > clock.at for calendar in calendars for start, _ in true_busy(calendar)))
        await clock.sleep(seconds)

    following = await day.run(clock.now, sleep)
    await following.run(clock.now, sleep)
    changes = sorted({b.at for one in check(sandbox, ZERO, following.closed) for b in one.boundaries})

    assert following.opened == day.closed
    assert max(later - at for at, later in pairwise([ZERO, *changes, following.closed])) <= 45
    assert all(ahead)


async def test_the_day_goes_on_when_a_spectator_interferes(clock: Clock) -> None:
    """Everything that the script will change is cancelled before: nothing breaks, nothing comes back."""
    sandbox = Sandbox(now=clock.now)
    add_people(sandbox)
    day = Day(sandbox, ZERO, MINUTES)
    day.perform_early()
    for (agent, _), event in day.ids.items():
        sandbox.google.delete(agent, event)
    await day.run(clock.now, clock.sleep)

    busy = {item.email.partition("@")[0]: item.busy for item in check(sandbox, ZERO, day.closed)}
    assert {name for name, spans in busy.items() if spans} == {"finn"}


def test_the_first_agent_comes_back_within_a_minute() -> None:
    """At the default pace the first stretch ends 30 seconds after the start; each person has a step."""
    first = [step for step in STEPS if isinstance(step, Meeting) and step.agent == PEOPLE[0].email][:2]

    assert max(step.end for step in first) / MINUTES * 180 <= 45
    assert {step.agent for step in STEPS} == {person.email for person in PEOPLE}
