"""Access to Aircall is lost and comes back: one asks for all, nothing that is owed is forgotten."""

from __future__ import annotations

import pytest

from calsyncd.core.troubles import trouble
from calsyncd.errors import CREDENTIALS, Refused
from calsyncd.phones.calls import ACCESS_TROUBLES

from .company import HOUR, MINUTE, Office, amy, team


@pytest.mark.parametrize("told", [False, True], ids=["by-itself", "after-a-reload"])
@pytest.mark.parametrize("error", sorted(ACCESS_TROUBLES))
async def test_the_company_is_shut_out(error: str, *, told: bool) -> None:
    """One request a minute, everybody's trouble; who is held stays so, and all is made good when it is over."""
    code = ACCESS_TROUBLES[error]
    async with Office(team(30)) as office:
        regained: list[float] = []
        office.phones.listen(lambda _: None, lambda: False, lambda: regained.append(office.time))
        for agent in team(15):
            office.meet(agent.email, (MINUTE, 30 * MINUTE))
        await office.until(20 * MINUTE)
        assert len(office.phones.held()) == 15
        office.aircall.all_fail(Refused("no", service="aircall", code=error, status=401))
        began = office.time
        for agent in team(30)[15:]:
            office.meet(agent.email, (30 * MINUTE, 5 * HOUR))
        await office.until(2 * HOUR)

        asked = [one for one in office.aircall.requests if one.at >= began]
        assert 60 <= len(asked) <= 100
        found = office.roster.company_trouble
        assert found is not None
        assert found == trouble(code, found.since)
        assert len(office.phones.held()) == 15
        assert {office.aircall.status(number) for number in range(1, 16)} == {"unavailable"}

        office.aircall.all_fail(None)
        if told:
            office.phones.probe()
        await office.a_while(10 if told else MINUTE + 10)
        assert office.roster.company_trouble is None
        assert {office.aircall.status(number) for number in range(1, 16)} == {"available"}
        assert {office.aircall.status(number) for number in range(16, 31)} == {"unavailable"}
        assert len(regained) == 1


async def test_a_probe_of_a_good_key_asks_for_nothing() -> None:
    """Nothing was lost: a reload costs no request."""
    async with Office(team(3)) as office:
        await office.until(5)
        asked = len(office.aircall.requests)
        office.phones.probe()
        await office.a_while(2)

        assert len(office.aircall.requests) == asked


async def test_a_probe_waits_for_the_end_of_a_429() -> None:
    """A reload lifts what a refused key has stopped, and nothing else."""
    async with Office(team(3)) as office:
        await office.until(5)
        office.aircall.all_fail(Refused("no", service="aircall", code=CREDENTIALS, status=401))
        office.meet("a1@x", (0, HOUR))
        await office.a_while(2)
        now = office.clock.now()
        office.budget.limited(now, 300.0)
        office.aircall.all_fail(None)
        office.phones.probe()
        await office.a_while(200)
        assert not office.held("a1@x")
        await office.a_while(200)

        assert office.held("a1@x")


async def test_a_user_who_is_gone_and_comes_back() -> None:
    """A 404, then two lists without them: nothing is asked of them any more; they are followed again when back."""
    async with Office([amy(7), *team(3)]) as office:
        office.meet("amy@x", (MINUTE, HOUR), (4 * HOUR, 5 * HOUR))
        await office.until(10 * MINUTE)
        assert office.held("amy@x")
        office.aircall.removed.add(7)
        await office.until(HOUR + 5 * MINUTE)
        assert office.trouble("amy@x") in ("aircall_user_gone", "aircall_user_unknown")
        await office.until(3 * HOUR)
        assert (office.trouble("amy@x"), office["amy@x"].user) == ("aircall_user_unknown", None)
        assert not office.held("amy@x")
        last = [one for one in office.aircall.requests if one.user == 7 and one.at > 2 * HOUR]
        assert last == []

        office.aircall.removed.clear()
        office.aircall.by_hand(7, "available")
        await office.until(4 * HOUR + MINUTE)
        assert office.trouble("amy@x") is None
        assert office.held("amy@x")


async def test_a_key_that_may_read_and_not_write_is_not_taken_for_a_bad_one() -> None:
    """403 to updates alone: after one look at the company it is the agents' trouble, and stays so till it is over."""
    async with Office(team(5)) as office:
        office.meet("a1@x", (MINUTE, 2 * HOUR))
        await office.until(30)
        office.aircall.errors["update"] = Refused("no", service="aircall", code=CREDENTIALS, status=403)
        seen: list[str | None] = []
        while office.time < HOUR:
            await office.a_while(10)
            company = office.roster.company_trouble
            if not seen or seen[-1] != (company.code if company is not None else None):
                seen.append(company.code if company is not None else None)
        assert seen == [None, "aircall_credentials", None]
        assert office.trouble("a1@x") == "update_refused"
        assert len(office.aircall.of("update")) <= 20

        office.aircall.errors["update"] = None
        await office.a_while(6 * MINUTE)
        assert office.held("a1@x")
        assert office.trouble("a1@x") is None
