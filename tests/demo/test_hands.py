"""What the buttons do to calendars and phones."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from calsyncd.demo.hands import MEETING_SECONDS, MOVE_SECONDS, Hands, NotPossible
from calsyncd.sandbox.world import Sandbox
from tests.sandbox.clients import meeting

AMY = "amy@example.com"


@pytest.fixture
async def world() -> AsyncIterator[Sandbox]:
    """Amy, with no meeting."""
    async with Sandbox() as sandbox:
        sandbox.add_agent(AMY, user_id=456)
        yield sandbox


@pytest.fixture
def now() -> float:
    """The time, in whole seconds."""
    return float(int(time.time()))


def busy(world: Sandbox) -> list[tuple[float, float]]:
    """What Amy's calendar has her busy with."""
    latest = {revision.event: revision.busy for revision in world.google.calendars[AMY].revisions}
    return sorted(span for spans in latest.values() for span in spans)


def test_a_meeting_starts_now_and_can_be_moved_declined_and_cancelled(world: Sandbox, now: float) -> None:
    """Each acts on the meeting that runs."""
    hands = Hands(world)
    hands.act(AMY, "meet", now)
    assert busy(world) == [(now, now + MEETING_SECONDS)]

    hands.act(AMY, "move", now)
    assert busy(world) == [(now + MOVE_SECONDS, now + MEETING_SECONDS + MOVE_SECONDS)]

    hands.act(AMY, "decline", now)
    assert busy(world) == []

    hands.act(AMY, "meet", now)
    hands.act(AMY, "cancel", now)
    assert busy(world) == []


def test_the_next_meeting_is_acted_on_when_none_runs(world: Sandbox, now: float) -> None:
    """The nearest of those ahead, and none that is over."""
    for start, end in ((-60, -30), (300, 400), (100, 200)):
        world.google.insert(AMY, meeting(now + start, now + end))
    hands = Hands(world)
    target = hands.target(AMY, now)

    assert target is not None
    assert (target.start, target.end) == (now + 100, now + 200)


@pytest.mark.parametrize("what", ["move", "cancel", "decline"])
def test_what_needs_a_meeting_says_that_there_is_none(world: Sandbox, now: float, what: str) -> None:
    """In words for the spectator; nothing is written down as done."""
    hands = Hands(world)
    with pytest.raises(NotPossible, match="no meeting ahead"):
        hands.act(AMY, what, now)

    assert hands.echo(AMY) is None


def test_the_agent_changes_the_setting_by_hand(world: Sandbox, now: float) -> None:
    """It is in Aircall's log as the agent's own doing."""
    hands = Hands(world)
    for status in ("unavailable", "custom", "available"):
        hands.act(AMY, status, now)
        assert hands.status(AMY) == status

    assert [update.by for update in world.aircall.log] == ["hand"] * 3
    echo = hands.echo(AMY)
    assert echo is not None
    assert (echo.what, echo.told, echo.updated) == ("available", None, None)
