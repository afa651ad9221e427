"""The history tells of every setting that was really there, and who had made it."""

from __future__ import annotations

import pytest

from calsyncd.core.plan import SETTLE_SECONDS
from calsyncd.phones import Agent
from tests.phones.office import START, Office

AMY = "amy@example.com"


def told(office: Office) -> list[tuple[float, str | None, str | None, str, str]]:
    """(seconds from the start, from, to, outcome, actor) of what changed a setting."""
    return [
        (round(row.at - START, 1), row.from_, row.to, row.outcome, row.actor)
        for row in office.notes.rows
        if row.outcome in {"done", "seen"}
    ]


@pytest.fixture
def office() -> Office:
    """Amy alone."""
    return Office([Agent(AMY, 1)])


async def test_first_sight_and_updates_are_written_down(office: Office) -> None:
    """What was there at first, then a hold and its end; later looks that show the same add nothing."""
    office.meetings(AMY, (100, 200))
    await office.until(2000)

    assert [row[1:] for row in told(office)] == [
        (None, "available", "seen", "aircall"),
        ("available", "unavailable", "done", "calsyncd"),
        ("unavailable", "available", "done", "calsyncd"),
    ]
    await office.close()


async def test_a_change_by_hand_is_written_down_once(office: Office) -> None:
    """As somebody's in Aircall, at the look that shows it."""
    office.meetings(AMY, (100, 200))
    await office.until(150)
    office.aircall.settings[1] = "custom"
    await office.until(2000)

    changes = told(office)
    assert [row[1:] for row in changes[2:]] == [("unavailable", "custom", "seen", "aircall")]
    assert 150 <= changes[2][0] <= 200
    await office.close()


async def test_a_read_that_lags_is_no_change(office: Office) -> None:
    """What is seen right after our update may be what was there before it."""
    office.meetings(AMY, (100, 200))
    await office.until(101)
    agent = office.roster.agents[AMY]
    seen = agent.facts.seen
    assert seen is not None
    office.phones._calls._observed(agent, type(seen)(type(seen.setting)("available"), office.clock.now()))
    assert office.clock.now() < agent.facts.acted_at + SETTLE_SECONDS
    await office.until(300)

    assert [row[2] for row in told(office)] == ["available", "unavailable", "available"]
    await office.close()
