"""Others who write the same users: a second calsyncd, and a tool that knows better."""

from __future__ import annotations

import random
from collections.abc import Iterable
from contextlib import AsyncExitStack

import pytest

from calsyncd.core.rules import Rules
from calsyncd.phones import Agent
from tests.faults.depth import rounds
from tests.phones.company import HOUR, MINUTE, Office, amy, down, team

SEEDS = range(rounds(3, 100))
AGENTS = 3


class Pair:
    """Two calsyncds at one Aircall, each with a ledger of its own, on one time."""

    def __init__(self, agents: Iterable[Agent], others: Iterable[Agent]) -> None:
        self.one, self.two = Office(agents), Office(others)
        # Each has its own wire; whom it leads to is the same.
        self.two.aircall.settings, self.two.aircall.emails = self.one.aircall.settings, self.one.aircall.emails

    async def until(self, time: float) -> None:
        """Time passes for both, half a second at a time."""
        while self.one.time < time:
            for office in (self.one, self.two):
                await office.a_while(0.5)


@pytest.mark.parametrize("seed", SEEDS)
async def test_two_of_us_do_not_fight(seed: int) -> None:
    """With the same calendars or with others: nobody is left unavailable.

    Neither sends more for a meeting than its beginning and its end.
    """
    chance = random.Random(seed)
    same = chance.random() < 0.5
    pair = Pair(team(AGENTS), team(AGENTS))
    meetings = 0
    async with AsyncExitStack() as stack:
        for office in (pair.one, pair.two):
            await stack.enter_async_context(office)
        for number in range(1, AGENTS + 1):
            spans: list[list[tuple[float, float]]] = []
            for _ in (pair.one, pair.two):
                starts = [60.0, 400.0, 900.0] if same else sorted(chance.uniform(30, 1200) for _ in range(3))
                spans.append([(at, at + chance.choice([60.0, 200.0, 330.0])) for at in starts])
            if same:
                spans[1] = spans[0]
            for office, mine in zip((pair.one, pair.two), spans, strict=True):
                office.meet(f"a{number}@x", *mine)
            meetings += sum(map(len, spans))
        await pair.until(HOUR)

        sent = [len(office.aircall.of("update")) for office in (pair.one, pair.two)]
        assert {setting.availability_status for setting in pair.one.aircall.settings.values()} == {"available"}
        assert pair.one.phones.held() == pair.two.phones.held() == []
        assert sum(sent) <= 2 * meetings, (same, sent)


async def test_half_an_hour_of_503() -> None:
    """Meetings begin and end in it: all are right within half a minute after it, each by one update."""
    agents = team(6)
    async with Office(agents) as office:
        for number, agent in enumerate(agents):
            office.meet(agent.email, (60, HOUR) if number < 3 else (60, 20 * MINUTE))
        await office.until(70)
        assert len(office.phones.held()) == 6
        for number in range(3):
            office.meet(agents[number].email, (60, 15 * MINUTE), (20 * MINUTE, HOUR))
        office.aircall.all_fail(down())
        await office.until(35 * MINUTE)
        office.aircall.all_fail(None)
        sent = len(office.aircall.of("update"))
        await office.a_while(40)

        assert [office.aircall.status(user) for user in range(1, 7)] == ["unavailable"] * 3 + ["available"] * 3
        assert len(office.aircall.of("update")) - sent <= 6
        assert office.phones.owed_since(office.clock.now() - 60) == []


@pytest.mark.parametrize("enforce", [False, True])
async def test_a_tool_that_sets_everybody_available(*, enforce: bool) -> None:
    """Every ten seconds, in a meeting: left to it, or put again once a minute at most; the end is as it was before."""
    async with Office([Agent("amy@x", 1, Rules(enforce=enforce))] if enforce else [amy()]) as office:
        office.aircall.tell = office.phones.told
        office.meet("amy@x", (MINUTE, HOUR))
        await office.until(MINUTE + 5)
        while office.time < HOUR + 5 * MINUTE:
            office.aircall.by_hand(1, "available")
            await office.a_while(10)

        holds = [request for request in office.aircall.of("update") if request.status == "unavailable"]
        assert len(holds) <= (61 if enforce else 1)
        assert office.aircall.status(1) == "available"
        assert office.phones.held() == []
