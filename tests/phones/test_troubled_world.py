"""Aircall, the ledger or an agent's data fail: nobody stays stranded, and nobody else waits."""

from __future__ import annotations

from typing import Any, cast

import pytest

from calsyncd.core.plan import Held
from calsyncd.core.timeline import Timeline

from .company import HOUR, MINUTE, Office, amy, bad_key, down, team

# -- users who seem to be gone -------------------------------------------------------------------------------------


async def test_another_companys_key_closes_no_debt() -> None:
    """Most users are unknown: nobody is let go, nobody begins, and the right key puts everybody back."""
    agents = team(4)
    async with Office(agents) as former:
        for agent in agents:
            former.meet(agent.email, (60, 300))
        await former.until(200)
    theirs = former.aircall.settings
    async with Office(team(4)) as office:
        office.restore(former)
        office.aircall.settings, office.aircall.emails = {77: theirs[1]}, {77: "zoe@elsewhere"}
        for agent in agents:
            office.meet(agent.email, (10, 300))
        await office.until(HOUR)
        assert office.roster.company_trouble is not None
        assert office.roster.company_trouble.code == "aircall_company"
        assert [office.held(agent.email) for agent in agents] == [True] * 4
        assert all(isinstance(office[agent.email].stance, Held) for agent in agents)
        office.aircall.settings = theirs
        await office.a_while(30 * MINUTE)
        assert {setting.availability_status for setting in theirs.values()} == {"available"}
        assert office.phones.held() == []


async def test_missing_from_one_list_unbinds_nobody() -> None:
    """Pages shift while they are read: one list without the user changes nothing, two in a row do."""
    async with Office([amy(7), *team(3)]) as office:
        await office.until(5)
        office.meet("amy@x", (3 * HOUR, 4 * HOUR))
        lists = len(office.journal.lists)
        office.aircall.unlisted.add(7)
        while len(office.journal.lists) == lists:
            await office.a_while(1)
        assert (office["amy@x"].user, office.trouble("amy@x")) == (7, None)
        office.aircall.unlisted.clear()
        await office.a_while(HOUR)
        assert (office["amy@x"].user, office.trouble("amy@x")) == (7, None)
        office.aircall.unlisted.add(7)
        await office.a_while(HOUR)
        assert office["amy@x"].user is None
        assert office.trouble("amy@x") == "aircall_user_unknown"


# -- Aircall is slow or down ---------------------------------------------------------------------------------------


async def test_a_hold_owed_through_503_begins_when_aircall_is_back() -> None:
    """A start that could not be made is owed too, and made late rather than not at all."""
    async with Office([amy()]) as office:
        office.meet("amy@x", (60, HOUR))
        await office.until(50)
        office.aircall.all_fail(down())
        await office.until(60 + 5 * MINUTE)
        assert office.phones.owed_since(office.clock.now() - 120) == ["amy@x"]
        office.aircall.all_fail(None)
        await office.a_while(MINUTE)
        assert office.aircall.status(1) == "unavailable"


async def test_updates_that_fail_are_tried_less_and_less_however_many_looks_are_answered() -> None:
    """A release that gets nothing but 503 while looks work: doubling waits, one trouble, and done once it works."""
    async with Office([amy()]) as office:
        office.meet("amy@x", (60, 120))
        await office.until(100)
        office.aircall.errors["update"] = down()
        seen = set()
        while office.time < 120 + 5 * MINUTE:
            await office.a_while(1)
            if office.time > 150:
                seen.add(office.trouble("amy@x"))

        assert len(office.aircall.of("update", since=110)) <= 20
        assert seen == {"server"}
        office.aircall.errors["update"] = None
        await office.a_while(MINUTE)
        assert office.aircall.status(1) == "available"
        assert office.trouble("amy@x") is None


async def test_a_refused_key_is_probed_and_pays_its_debts_when_it_is_good_again() -> None:
    """A 401 is the company's trouble: few requests, no debt closed, the release goes when the key works."""
    async with Office(team(5)) as office:
        for agent in team(5):
            office.meet(agent.email, (60, 360))
        await office.until(300)
        office.aircall.all_fail(bad_key())
        before = len(office.aircall.requests)
        await office.until(360 + 10 * MINUTE)
        assert office.roster.company_trouble is not None
        assert office.roster.company_trouble.code == "aircall_credentials"
        assert len(office.phones.held()) == 5
        assert len(office.aircall.requests) - before <= 30
        office.aircall.all_fail(None)
        await office.a_while(3 * MINUTE)
        assert office.phones.held() == []
        assert office.roster.company_trouble is None


# -- the ledger ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 120])
async def test_a_key_that_was_refused_once_keeps_nobody_waiting_for_the_next_list(count: int) -> None:
    """Whether anybody is held or not, and however seldom everybody is listed."""
    async with Office(team(count)) as office:
        await office.until(2 * MINUTE)
        office.phones.listen(lambda _: None, lambda: True)
        office.aircall.all_fail(bad_key())
        office.meet("a1@x", (2 * MINUTE, 20 * MINUTE))
        await office.a_while(10)
        office.aircall.all_fail(None)

        await office.a_while(2 * MINUTE)

        assert office.held("a1@x")


async def test_a_full_ledger_makes_no_storm() -> None:
    """Twenty starts that wait for the disk cost Aircall no more than its budget, and no release waits for them."""
    async with Office(team(21)) as office:
        office.meet("a21@x", (60, 300))
        await office.until(100)
        office.ledger.full = True
        for agent in team(20):
            office.meet(agent.email, (120, 2 * HOUR))
        await office.until(HOUR)
        at = office.put_at(21, "available")
        assert at == pytest.approx(300, abs=10)
        assert all(office.aircall.status(number) == "available" for number in range(1, 21))


async def test_a_hanging_ledger_lets_nobody_begin() -> None:
    """Without a debt on disk nobody is made unreachable; it is tried again until the disk answers."""
    async with Office([amy()]) as office:
        await office.until(30)
        office.ledger.hangs = True
        office.meet("amy@x", (60, HOUR))
        await office.until(180)
        assert office.aircall.of("update") == []
        assert office.trouble("amy@x") == "ledger"
        assert office.ledger.asked > 1
        office.ledger.answers()
        await office.a_while(30)
        assert office.aircall.status(1) == "unavailable"


async def test_a_full_ledger_and_an_empty_budget_do_not_spin() -> None:
    """What cannot be written is tried again every few seconds, also while its agent waits for the budget."""
    async with Office([amy()]) as office:
        office.ledger.full = True
        office.meet("amy@x", (60, HOUR))
        await office.until(61)
        assert office.trouble("amy@x") == "ledger"
        office.budget.refused(office.clock.now() + 60)
        asked = office.ledger.asked
        await office.until(121)
        assert office.ledger.asked - asked <= 30


async def test_the_ledgers_trouble_is_over_when_it_can_be_written_again() -> None:
    """A meeting that never began on a full disk leaves no trouble behind once the disk has room again."""
    async with Office([amy()]) as office:
        office.ledger.full = True
        office.meet("amy@x", (60, 120))
        await office.until(150)
        assert office.trouble("amy@x") == "ledger"
        office.ledger.answers()
        await office.a_while(MINUTE)
        assert office.trouble("amy@x") is None


async def test_a_hanging_ledger_is_not_given_more_and_more_to_write() -> None:
    """While one write of an agent hangs, no other is begun every turn."""
    async with Office([amy()]) as office:
        office.meet("amy@x", (60, 300))
        await office.until(100)
        office.ledger.hangs = True
        asked = office.ledger.asked
        await office.until(310)
        for _ in range(100):
            office.phones.touch("amy@x")
            await office.a_while(0.1)
        assert office.ledger.asked - asked <= 10


# -- an agent's data -----------------------------------------------------------------------------------------------


class Broken:
    """A timeline that cannot be read."""

    def __getattr__(self, name: str) -> Any:
        raise ZeroDivisionError(name)


async def test_an_agent_who_cannot_be_judged_is_set_aside_and_others_go_on() -> None:
    """One agent's data that make a decision raise cost that agent alone, and are taken up again when mended."""
    async with Office(team(2)) as office:
        office.meet("a1@x", (10, HOUR))
        await office.until(20)
        office.phones.known("a1@x", cast("Timeline", Broken()), office.clock.now(), complete=True)
        office.meet("a2@x", (60, 300))
        await office.until(100)
        assert office.trouble("a1@x") == "internal"
        assert office.aircall.status(2) == "unavailable"
        await office.until(310)
        assert office.aircall.status(2) == "available"
        assert office.held("a1@x")
        office.meet("a1@x")
        await office.a_while(2 * MINUTE)
        assert office.aircall.status(1) == "available"
        assert office.trouble("a1@x") is None
