"""Somebody sets the clock by an hour at a bad moment: right within seconds, and no storm."""

from __future__ import annotations

from pathlib import Path

import pytest

from calsyncd.phones import Agent

from .company import HOUR, Office, amy, down
from .firm import Firm

WANTED_FROM, WANTED_TO = 60.0, 1800.0


async def followed_up(office: Office, jump: float) -> None:
    """After the jump the agent is as the clock now says, later too, for a few requests."""
    before = len(office.aircall.requests)
    office.clock.jump(jump)
    await office.a_while(20)
    assert office.aircall.status(1) == "available"
    assert not office.held("amy@x")
    await office.a_while(60)
    assert len(office.aircall.requests) - before <= 15
    assert office.aircall.status(1) == "available"
    if jump < 0:
        await office.a_while(HOUR)
        assert office.aircall.status(1) == "unavailable"
        await office.a_while(WANTED_TO)
        assert office.aircall.status(1) == "available"


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
@pytest.mark.parametrize("moment", [59.0, 60.5, 61.5, 65.0, 100.0])
async def test_the_clock_is_set_while_looking_putting_or_held(moment: float, jump: float) -> None:
    """A look out, a PUT out, or a hold: what is wanted by the new time holds within seconds."""
    async with Office([amy()]) as office:
        await office.until(20)
        office.aircall.all_latencies(1.0)
        office.meet("amy@x", (WANTED_FROM, WANTED_TO))
        await office.until(moment)
        await followed_up(office, jump)


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
async def test_the_clock_is_set_while_waiting_for_the_budget(jump: float) -> None:
    """The wait that a 429 asked for is as long as it was: no hour more and no request early."""
    async with Office([amy()]) as office:
        office.meet("amy@x", (WANTED_FROM, WANTED_TO))
        await office.until(57)
        office.budget.refused(office.clock.now() + 30)
        await office.until(65)
        office.clock.jump(jump)
        await office.a_while(20)
        assert office.aircall.requests[-1].at < 57
        await office.a_while(10)
        await followed_up(office, 0.0)


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
async def test_the_clock_is_set_while_backing_off(jump: float) -> None:
    """A release that failed for a while is not put off for an hour by a clock set back."""
    async with Office([amy()]) as office:
        office.meet("amy@x", (WANTED_FROM, WANTED_TO))
        await office.until(100)
        office.aircall.all_fail(down())
        office.meet("amy@x")
        await office.until(160)
        office.clock.jump(jump)
        await office.a_while(10)
        office.aircall.all_fail(None)
        await office.a_while(60)
        assert office.aircall.status(1) == "available"
        assert not office.held("amy@x")


async def test_the_machine_sleeps_while_the_way_back_is_out_and_a_lost_hold_lands_after_that(tmp_path: Path) -> None:
    """The sleep makes the hold's lost update no older: it may land yet, so the debt stays."""
    firm = Firm(tmp_path / "ledger", [Agent("amy@x", 500)], per_minute=20, hooked=False)
    person, opened = firm.oracle.person("amy@x"), firm.clock.now()
    firm.start()
    await firm.pass_time(5.0)
    firm.update_fates.append("late")
    firm.lateness = 40.0
    person.meet(((opened + 5.0, opened + 17.0),), opened + 5.0)
    firm.tell("amy@x")
    await firm.pass_time(12.0)
    firm.latency = 6.0
    await firm.pass_time(1.0)
    while person.open_puts == 0 or person.asked == "unavailable":
        await firm.pass_time(0.5)
    firm.clock.jump(700.0)
    firm.oracle.stepped(700.0)
    await firm.pass_time(300.0)
    status = firm.status("amy@x")
    await firm.close()

    assert status == "available"
