"""Whoever is only observed: everything is done but the updates."""

from __future__ import annotations

import pytest

from calsyncd.core.guard import Floor
from calsyncd.core.model import Setting
from calsyncd.core.plan import Held
from calsyncd.phones import Agent
from calsyncd.view import agent_view

from .company import HOUR, Office, team

ALL_1 = Floor("all", 1)


def watched(count: int) -> list[Agent]:
    """A team that is only observed."""
    return [Agent(agent.email, agent.bound_to, observe=True) for agent in team(count)]


def told(office: Office) -> list[tuple[str, str | None, str | None]]:
    """What the history tells of what would have been."""
    return [(row.agent, row.from_, row.to) for row in office.journal.rows if row.outcome == "observed"]


def reason(office: Office, email: str) -> str:
    """What the API says of an agent."""
    shown = agent_view(office[email], [], None, office.clock.now())
    assert (shown["mode"], shown["hold"]) == ("observe", None)
    return str(shown["reason"])


async def test_all_but_the_updates() -> None:
    """A meeting is told of when it begins and ends; nothing is put, and nothing is owed on disk."""
    async with Office(watched(1)) as office:
        office.aircall.settings[1] = Setting("custom")
        await office.until(10)
        office.meet("a1@x", (60, 600))
        await office.until(59.95)
        assert office.ledger.rows == []
        await office.until(61)
        assert told(office) == [("a1@x", "custom", "unavailable")]
        assert reason(office, "a1@x").startswith("Only observed: would be unavailable until")
        assert reason(office, "a1@x").endswith("then back to Auto.")
        office.meet("a1@x", (60, 300))
        await office.until(301)
        assert told(office)[1:] == [("a1@x", "unavailable", "custom")]
        assert reason(office, "a1@x").startswith("Only observed: nothing is changed. No meeting ahead")
        assert office.aircall.of("look")
        assert office.aircall.of("update") == []
        assert not [row for row in office.ledger.rows if isinstance(getattr(row, "stance", None), Held)]
        assert office["a1@x"].status == "custom"


@pytest.mark.parametrize("moment", [58.5, 59.95, 60.0, 60.02, 60.1, 62.0, 100.0, 299.0, 300.02])
async def test_observed_from_any_moment_on(moment: float) -> None:
    """Whoever is held, or about to be, is put back when a reload makes them observed; then nothing is put."""
    async with Office(team(1)) as office:
        await office.until(10)
        office.meet("a1@x", (60, 300), (400, 500))
        await office.until(moment)
        office.phones.follow(watched(1))
        await office.a_while(70)
        assert office.aircall.status(1) == "available"
        assert not isinstance(office["a1@x"].stance, Held)
        puts = len(office.aircall.of("update"))
        await office.until(600)
        assert len(office.aircall.of("update")) == puts
        assert told(office)[-2:] == [("a1@x", "available", "unavailable"), ("a1@x", "unavailable", "available")]
        assert not isinstance(office.ledger.entries[1].stance, Held) if 1 in office.ledger.entries else True


async def test_back_to_act_in_a_meeting() -> None:
    """What is so now is taken up: a meeting that runs holds at once, and its end puts back."""
    async with Office(watched(1)) as office:
        await office.until(10)
        office.meet("a1@x", (60, 600))
        await office.until(200)
        office.phones.follow(team(1))
        await office.until(203)
        assert office.aircall.status(1) == "unavailable"
        assert agent_view(office["a1@x"], [], None, office.clock.now())["mode"] == "act"
        await office.until(602)
        assert office.aircall.status(1) == "available"
        assert len(told(office)) == 1


async def test_a_restart_with_debts_of_whom_one_only_observes() -> None:
    """Who was held by a daemon that acted is put back by one that observes."""
    async with Office(team(1)) as office:
        await office.until(10)
        office.meet("a1@x", (60, HOUR))
        await office.until(70)
    async with Office(watched(1), aircall=office.aircall) as restarted:
        restarted.restore(office)
        restarted.meet("a1@x", (-10, HOUR))
        await restarted.until(20)
        assert restarted.aircall.status(1) == "available"
        assert restarted.phones.held() == []
        await restarted.until(100)
        assert told(restarted) == [("a1@x", "available", "unavailable")]


async def test_who_is_unavailable_already_would_be_left_alone() -> None:
    """The agent's own choice is seen as such."""
    async with Office(watched(1)) as office:
        office.aircall.settings[1] = Setting("unavailable")
        await office.until(10)
        office.meet("a1@x", (60, 600))
        await office.until(70)
        assert told(office) == []
        assert reason(office, "a1@x").startswith("Only observed: nothing is changed. Unavailable by their own choice")


async def test_the_floor_is_observed_too() -> None:
    """Of two who would go one would be kept; and who is observed still covers for those who are not."""
    async with Office([*watched(2), Agent("a3@x", 3)]) as office:
        office.phones.keep_available([ALL_1, Floor("pair", 1, frozenset({"a1@x", "a2@x"}))])
        await office.until(10)
        for number in range(1, 4):
            office.meet(f"a{number}@x", (60, 600))
        await office.until(70)
        assert len(told(office)) == 1
        kept = {agent.email for agent in office.roster.agents.values() if agent.kept is not None}
        assert kept < {"a1@x", "a2@x"}
        assert office.aircall.status(3) == "unavailable"
        assert {one.user for one in office.aircall.of("update")} == {3}
