"""The settings change while something is under way: debts go along, nobody is lost, nobody stays held."""

from __future__ import annotations

import pytest

from calsyncd.core.guard import Floor
from calsyncd.core.model import Setting
from calsyncd.core.plan import StandingBack
from calsyncd.core.rules import Rules
from calsyncd.phones import Agent

from .company import HOUR, MINUTE, Office, amy, team

TURN = 0.01
"""Seconds, in which the loop turns and no request is answered."""


@pytest.mark.parametrize("moment", [298.1, 298.9, 299.9, 300.0, 300.9, 301.1, 301.9, 302.5, 305.0])
async def test_renamed_while_a_release_is_under_way(moment: float) -> None:
    """At whatever moment the new name comes, it is judged at once: held again within seconds, and only one agent."""
    async with Office([amy()]) as office:
        office.meet("amy@x", (60, 300))
        await office.until(200)
        office.aircall.all_latencies(1.0)
        await office.until(moment)
        office.phones.follow([Agent("amy.new@x", 1)])
        office.meet("amy.new@x", (60, HOUR))
        await office.a_while(15)
        assert office.aircall.status(1) == "unavailable"
        assert list(office.roster.agents) == ["amy.new@x"]
        await office.until(HOUR + 15)
        assert office.aircall.status(1) == "available"


async def test_renamed_while_waiting_after_a_429() -> None:
    """A debt that waits for the budget goes along to the new name, and is paid when the budget is back."""
    async with Office([amy()]) as office:
        office.meet("amy@x", (60, 360))
        await office.until(357)
        office.budget.refused(office.clock.now() + 60)
        await office.until(365)
        office.phones.follow([Agent("amy.new@x", 1)])
        office.meet("amy.new@x")
        await office.until(430)
        assert office.aircall.status(1) == "available"
        assert office.phones.held() == []
        assert list(office.roster.agents) == ["amy.new@x"]


async def test_from_an_address_to_the_id_of_the_same_user_while_held() -> None:
    """The hold stays as it is: nothing is sent, and the meeting's end puts the agent back."""
    async with Office([amy("amy@x")]) as office:
        office.aircall.settings[1], office.aircall.emails[1] = Setting("available"), "amy@x"
        await office.until(10)
        office.meet("amy@x", (60, 300))
        await office.until(100)
        before, stance = len(office.aircall.of("update")), office["amy@x"].stance
        office.phones.follow([amy(1)])
        office.meet("amy@x", (60, 300))
        await office.until(200)
        assert len(office.aircall.of("update")) == before
        assert office["amy@x"].stance == stance
        await office.until(310)
        assert office.aircall.status(1) == "available"


@pytest.mark.parametrize("moment", [58.5, 59.5, 60.5, 61.5, 63.0, 100.0, 299.0, 300.5, 301.5])
async def test_another_user_at_any_moment(moment: float) -> None:
    """The former user is released and the new one held, whatever request was under way."""
    async with Office([amy(1)]) as office:
        office.aircall.settings[2] = Setting("available")
        office.aircall.all_latencies(1.0)
        await office.until(20)
        office.meet("amy@x", (60, 300))
        await office.until(moment)
        office.phones.follow([amy(2)])
        office.meet("amy@x", (60, HOUR))
        await office.until(max(moment, 60) + 90)
        assert (office.aircall.status(1), office.aircall.status(2)) == ("available", "unavailable")
        assert list(office.roster.agents) == ["amy@x"]
        await office.until(HOUR + 15)
        assert (office.aircall.status(1), office.aircall.status(2)) == ("available", "available")


async def test_two_agents_swap_their_users_while_held() -> None:
    """Each is held under the user that the settings name now, and both users come back."""
    async with Office(team(2)) as office:
        for email in ("a1@x", "a2@x"):
            office.meet(email, (60, 600))
        await office.until(100)
        office.phones.follow([Agent("a1@x", 2), Agent("a2@x", 1)])
        await office.until(300)
        assert (office.aircall.status(1), office.aircall.status(2)) == ("unavailable", "unavailable")
        assert sorted(office.roster.agents) == ["a1@x", "a2@x"]
        await office.until(700)
        assert (office.aircall.status(1), office.aircall.status(2)) == ("available", "available")
        assert office.phones.held() == []


@pytest.mark.parametrize("moment", [58.5, 59.5, 60.5, 61.5, 100.0])
async def test_removed_at_any_moment(moment: float) -> None:
    """Whoever is not named any more is put back and forgotten."""
    async with Office(team(2)) as office:
        office.aircall.all_latencies(1.0)
        await office.until(20)
        office.meet("a1@x", (60, HOUR))
        await office.until(moment)
        office.phones.follow([Agent("a2@x", 2)])
        await office.a_while(90)
        assert office.aircall.status(1) == "available"
        assert list(office.roster.agents) == ["a2@x"]


async def test_an_override_outlives_removal_of_nobody_else() -> None:
    """A reload that changes nothing for an agent leaves their stance alone."""
    async with Office(team(2)) as office:
        office.meet("a1@x", (60, HOUR))
        await office.until(100)
        office.aircall.by_hand(1, "available")
        await office.until(15 * MINUTE)
        assert isinstance(office["a1@x"].stance, StandingBack)
        office.phones.follow([Agent("a1@x", 1)])
        await office.until(20 * MINUTE)
        assert isinstance(office["a1@x"].stance, StandingBack)
        assert office.aircall.status(1) == "available"


async def test_a_reload_and_a_restart_say_the_same_of_a_pause() -> None:
    """Paused, removed, resumed for those who are left, named again: as a restart on the same ledger would have it."""
    async with Office(team(2)) as office:
        await office.phones.pause("a2@x", None)
        office.phones.follow([Agent("a1@x", 1)])
        await office.until(20)
        office.phones.follow(team(2))
        office.meet("a2@x", (60, HOUR))
        await office.until(100)
        again = office.aircall.status(2)
    async with Office(team(2), aircall=office.aircall) as restarted:
        restarted.restore(office)
        restarted.meet("a2@x", (60, HOUR))
        await restarted.until(100)
        assert (again, restarted.aircall.status(2)) == ("available", "available")
        assert restarted["a2@x"].paused_until == office["a2@x"].paused_until


async def test_only_whom_a_reload_concerns_is_judged() -> None:
    """To judge ten thousand takes long enough to be late elsewhere: who is named as before is left as they are."""
    async with Office(team(5)) as office:
        everybody = set(office.roster.agents)
        for email in everybody:
            office.meet(email, (60, 300))
        await office.until(100)
        judged: set[str] = set()
        office.phones.watch(lambda emails, _: judged.update(emails))
        named = team(5)
        office.phones.follow(named)
        await office.a_while(TURN)
        assert judged == set()
        named[0].rules = Rules(lead=60.0)
        named[1].observe = True
        left = named.pop()
        office.phones.follow([*named, Agent("new@x", 77)])
        await office.a_while(TURN)
        assert judged == {named[0].email, named[1].email, left.email, "new@x"}
        office.phones.keep_available([Floor("everybody", 1)])
        await office.a_while(TURN)
        assert judged >= everybody
