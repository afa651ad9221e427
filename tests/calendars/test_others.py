"""The further calendars of agents, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from calsyncd.calendars import Others
from calsyncd.core.model import Listed
from calsyncd.errors import ServiceError, Unavailable
from calsyncd.scheduler import Scheduler
from tests.phones.virtual import VirtualClock

AMY, BOB = "amy@example.com", "bob@example.com"
HOUR = 3600.0
DAY = 24 * HOUR
OWN = Listed(AMY, primary=True, access="owner")
TEAM = Listed("team@group.calendar.google.com", primary=False, access="reader")


class World:
    """A running scheduler, and a Google with lists of calendars; None: they may not be read."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.scheduler = Scheduler(self.clock)
        self.lists: dict[str, tuple[Listed, ...] | None] = {AMY: (OWN, TEAM), BOB: ()}
        self.fault: ServiceError | None = None
        self.asked: list[str] = []

    async def calendars(self, subject: str) -> tuple[Listed, ...] | None:
        """The list of this user."""
        self.asked.append(subject)
        if self.fault is not None:
            raise self.fault
        return self.lists[subject]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Turning."""
    made = World()
    loop = asyncio.create_task(made.scheduler.run())
    yield made
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


async def test_what_is_not_followed_is_shown(world: World) -> None:
    """Read within the first hour and then daily; the primary calendar goes by two names."""
    others = Others(world.scheduler, world, alike=False)
    others.follow([AMY, BOB])
    assert others.of(AMY, ["primary"]) is None

    await world.clock.advance(2 * HOUR)
    assert others.of(AMY, ["primary"]) == others.of(AMY, [AMY]) == (TEAM,)
    assert others.of(AMY, [TEAM.id]) == (OWN,)
    assert others.of(BOB, ["primary"]) == ()

    world.lists[BOB] = (TEAM,)
    await world.clock.advance(DAY)
    assert others.of(BOB, ["primary"]) == (TEAM,)
    assert world.asked.count(AMY) == 2

    others.follow([BOB])
    await world.clock.advance(3 * DAY)
    assert world.asked.count(AMY) == 2


async def test_what_was_known_stays_while_google_fails(world: World) -> None:
    """It decides nothing."""
    others = Others(world.scheduler, world, alike=False)
    others.follow([AMY])
    await world.clock.advance(2 * HOUR)

    world.fault = Unavailable("503", service="google", code="server")
    await world.clock.advance(2 * DAY)

    assert others.of(AMY, ["primary"]) == (TEAM,)
    assert len(world.asked) >= 3


@pytest.mark.parametrize(("alike", "requests"), [(True, 1), (False, 2)])
async def test_where_the_scope_was_not_granted(world: World, *, alike: bool, requests: int) -> None:
    """Nothing is shown; a service account asks for one of all in a day, and agents' own grants each."""
    world.lists = {AMY: None, BOB: None}
    others = Others(world.scheduler, world, alike=alike)
    others.follow([AMY, BOB])
    await world.clock.advance(10 * HOUR)

    assert len(world.asked) == requests
    assert others.of(AMY, ["primary"]) is None

    world.lists = {AMY: (OWN, TEAM), BOB: ()}
    await world.clock.advance(3 * DAY)
    assert others.of(AMY, ["primary"]) == (TEAM,)


@pytest.mark.parametrize(
    ("alike", "why"), [(True, "at domain-wide delegation"), (False, "consent to their events alone")]
)
async def test_why_a_list_is_not_known(world: World, why: str, *, alike: bool) -> None:
    """Not read yet, or not granted; nothing once it was."""
    world.lists[AMY] = world.lists[BOB] = None
    others = Others(world.scheduler, world, alike=alike)
    others.follow([AMY, BOB])
    assert others.why_not(AMY) == "not read yet"

    await world.clock.advance(2 * HOUR)
    assert [why in (others.why_not(email) or "") for email in (AMY, BOB)] == [True, True]

    world.lists[AMY] = (TEAM,)
    await world.clock.advance(2 * DAY)
    assert others.why_not(AMY) is None
