"""What the next boundary needs is on disk before it comes; what does not come as foreseen is taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from calsyncd.core.model import Span
from calsyncd.core.plan import FREE, Entry, Held
from calsyncd.core.timeline import Timeline
from calsyncd.phones import Agent
from tests.phones.office import START, Office

AMY = "amy@example.com"


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    """Amy alone, with a disk that takes 30 ms."""
    made = Office([Agent(AMY, 1)])
    made.disk.seconds = 0.03
    yield made
    await made.close()


def puts(office: Office) -> list[tuple[float, str]]:
    """(seconds from the start, setting) of each update."""
    found = ((at, kind.partition("put ")[2]) for at, kind, _ in office.aircall.requests)
    return [(round(at - START, 2), setting) for at, setting in found if setting]


def held_on_disk(office: Office) -> bool:
    """What a restart would find."""
    return office.disk.owed().get(1, False)


async def test_an_update_does_not_wait_for_the_disk(office: Office) -> None:
    """At both ends of a meeting it leaves at the boundary itself, and the ledger has known of it since before."""
    office.meetings(AMY, (100, 200))
    await office.until(99.95)
    assert held_on_disk(office)
    assert office.roster.agents[AMY].stance == FREE
    assert puts(office) == []

    await office.until(300)
    assert puts(office) == [(100.0, "unavailable"), (200.0, "available")]
    assert not held_on_disk(office)
    held = [line.stance for line in office.disk.lines if isinstance(line, Entry) and isinstance(line.stance, Held)]
    assert [stance.confirmed_at is None for stance in held] == [True, False, True]


@pytest.mark.parametrize("at", [99.91, 99.95, 99.99])
async def test_a_meeting_that_is_cancelled_at_the_last_moment_leaves_no_debt(office: Office, at: float) -> None:
    """What was foreseen is taken back, also when it was not on disk yet."""
    office.meetings(AMY, (100, 200))
    await office.until(at)
    office.meetings(AMY)
    await office.until(102)

    assert puts(office) == []
    assert not held_on_disk(office)
    assert office.roster.agents[AMY].foreseen is None


async def test_a_meeting_that_grows_at_the_last_moment_is_foreseen_anew(office: Office) -> None:
    """What counts is where it stands at the boundary; the debt on disk is the whole meeting's."""
    office.meetings(AMY, (100, 200))
    await office.until(99.95)
    office.meetings(AMY, (100, 250))
    await office.until(110)

    assert [setting for _, setting in puts(office)] == ["unavailable"]
    last = office.disk.lines[-1]
    assert isinstance(last, Entry)
    assert isinstance(last.stance, Held)
    assert last.stance.until == START + 250


async def test_a_disk_that_fails_before_the_boundary_is_asked_again_at_it(office: Office) -> None:
    """Nobody is made unavailable without a debt on disk, and nobody rings because of a moment's failure."""
    office.disk.full = True
    office.meetings(AMY, (100, 200))
    await office.until(99.99)
    assert not office.disk.lines
    office.disk.full = False
    await office.until(150)

    assert puts(office) == [(100.03, "unavailable")]
    assert held_on_disk(office)


async def test_what_waits_for_the_budget_is_not_foreseen_for_long(office: Office) -> None:
    """A debt that is not one yet must not stand in the ledger for minutes."""
    office.meetings(AMY, (100, 200))
    await office.until(99.95)
    assert held_on_disk(office)
    office.budget.refused(START + 130)
    await office.until(101)
    assert not held_on_disk(office)

    await office.until(140)
    assert [setting for _, setting in puts(office)] == ["unavailable"]
    assert held_on_disk(office)


async def test_a_stop_leaves_no_debt_that_is_not_one(office: Office) -> None:
    """Nothing was sent: the next start is to find nobody held."""
    office.disk.seconds = 0.0
    office.meetings(AMY, (100, 200))
    await office.until(99.95)
    assert held_on_disk(office)
    office.phones.stop()
    await office.scheduler.finish(4.0)

    assert not held_on_disk(office)
    assert [type(line) for line in office.disk.lines] == [Entry, Entry]


async def test_a_line_that_was_asked_for_earlier_stands_earlier(office: Office) -> None:
    """A stance that is written again in the same turn does not come behind what is foreseen."""
    office.meetings(AMY, (100, 200))
    await office.until(99)
    office.roster.agents[AMY].unwritten = True
    office.scheduler.at("ledger", AMY, START + 99.9)
    await office.until(100.05)

    assert [setting for _, setting in puts(office)] == ["unavailable"]
    assert held_on_disk(office)


async def test_another_user_at_the_last_moment_leaves_no_debt_to_the_old_one(office: Office) -> None:
    """By the settings: the old user is owed nothing, and the new one is asked at the boundary as usual."""
    office.meetings(AMY, (100, 200))
    await office.until(99.95)
    office.aircall.settings[2] = "available"
    office.phones.follow([Agent(AMY, 2)])
    await office.until(150)

    assert office.disk.owed() == {1: False, 2: True}
    assert {user for user, _ in office.aircall.puts} == {2}


@pytest.mark.parametrize("then", [{2: AMY}, {}])
async def test_another_user_by_the_list_leaves_no_debt_to_the_old_one(then: dict[int, str]) -> None:
    """The address moved to another Aircall user, or to none, at the last moment."""
    office = Office([Agent(AMY, AMY)])
    office.aircall.settings = {1: "available", 2: "available"}
    office.aircall.emails = {1: AMY}
    office.meetings(AMY, (100, 200))
    await office.until(99.95)
    assert office.disk.owed() == {1: True}
    office.aircall.emails = then
    for _ in range(2):
        office.roster.list_users(then)
    office.phones.touch(AMY)
    await office.until(150)

    assert not office.disk.owed()[1]
    assert office.disk.owed().get(2, False) == (then != {})
    await office.close()


async def test_what_cannot_be_decided_ahead_sets_one_agent_aside(office: Office) -> None:
    """Data that fail only at the boundary's instant do not end the daemon."""
    office.meetings(AMY, (100, 200))
    timeline = office.roster.agents[AMY].timeline
    assert timeline is not None

    class Broken(Timeline):
        def span_at(self, at: float) -> Span | None:
            if at >= START + 100:
                raise ZeroDivisionError
            return super().span_at(at)

    office.phones.known(AMY, Broken(timeline.spans, timeline.padded), office.clock.now(), complete=True)
    await office.until(120)

    trouble = office.roster.agents[AMY].trouble
    assert trouble is not None
    assert trouble.code == "internal"


async def test_who_is_left_out_of_the_settings_at_the_last_moment_owes_nothing(office: Office) -> None:
    """The ledger does not name them any more."""
    office.meetings(AMY, (100, 200))
    await office.until(99.95)
    office.phones.follow([])
    await office.until(105)

    assert puts(office) == []
    assert not held_on_disk(office)
    assert AMY not in office.roster.agents
