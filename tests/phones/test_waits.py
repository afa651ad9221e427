"""What was decided before a wait is not sent in it: a 429 of somebody else, or a machine that slept."""

from __future__ import annotations

import pytest

from .company import HOUR, MINUTE, Office, amy


async def test_what_is_being_written_down_waits_for_a_429_too() -> None:
    """The 429 came for another request, while the disk was slow."""
    async with Office([amy()]) as office:
        office.ledger.slow = lambda: office.clock.sleep(0.5)
        await office.until(10)
        office.meet("amy@x", (0, 10 * MINUTE))
        await office.until(10.3)
        office.budget.limited(office.clock.now(), 30.0)

        await office.until(9 * MINUTE)
        held = office.aircall.status(1)
        await office.until(11 * MINUTE)

        assert [True, True] == [request.at >= 40.3 for request in office.aircall.of("update")]
        assert ("unavailable", "available") == (held, office.aircall.status(1))
        assert not office.held("amy@x")


async def test_the_way_back_waits_for_a_429_too() -> None:
    """The debt stays on disk meanwhile."""
    async with Office([amy()]) as office:
        office.meet("amy@x", (60, 10 * MINUTE))
        await office.until(5 * MINUTE)
        office.ledger.slow = lambda: office.clock.sleep(0.5)
        office.meet("amy@x")
        await office.a_while(0.3)
        office.budget.limited(office.clock.now(), 30.0)

        await office.a_while(25)
        owed = office.held("amy@x")
        await office.a_while(MINUTE)

        assert owed
        assert [True] == [request.at >= 5 * MINUTE + 30.3 for request in office.aircall.of("update", 2 * MINUTE)]
        assert ("available", False) == (office.aircall.status(1), office.held("amy@x"))


async def test_the_second_half_of_a_look_waits_for_a_429_too() -> None:
    """The live state is asked for once it may be."""
    async with Office([amy()]) as office:
        office.aircall.by_hand(1, "unavailable")
        await office.until(30)
        office.aircall.all_latencies(1.0)
        office.meet("amy@x", (0, 10 * MINUTE))
        await office.until(31.5)
        office.budget.limited(office.clock.now(), 30.0)
        await office.until(5 * MINUTE)

        assert office.aircall.of("live")
        assert all(request.at >= 61.5 for request in office.aircall.of("live"))
        assert office.aircall.of("update") == []


async def test_a_machine_that_sleeps_while_it_writes_takes_nobody_off_the_phones_for_a_meeting_long_over() -> None:
    """Everything has to be decided anew."""
    async with Office([amy()]) as office:
        office.ledger.slow = lambda: office.clock.sleep(0.5)
        await office.until(10)
        office.meet("amy@x", (0, 5 * MINUTE))
        await office.until(10.3)
        office.clock.jump(10 * MINUTE)
        await office.until(5 * MINUTE)

        assert office.aircall.of("update") == []
        assert not office.held("amy@x")


async def test_a_clock_set_back_while_a_start_is_written_takes_nobody_off_the_phones_too_early() -> None:
    """By the new time the meeting is an hour ahead."""
    async with Office([amy()]) as office:
        office.ledger.slow = lambda: office.clock.sleep(0.5)
        await office.until(10)
        office.meet("amy@x", (0, 5 * MINUTE))
        await office.until(10.3)
        office.clock.jump(-HOUR)
        await office.until(HOUR - MINUTE)
        early = office.aircall.of("update")
        await office.until(HOUR + MINUTE)

        assert early == []
        assert office.aircall.status(1) == "unavailable"


@pytest.mark.parametrize("jump", [40.0, 10 * MINUTE, -HOUR])
async def test_a_way_back_that_a_machine_slept_on_does_not_undo_what_was_chosen_meanwhile(jump: float) -> None:
    """What was seen before the sleep is too old to be relied on: the agent is looked at again."""
    async with Office([amy()]) as office:
        office.meet("amy@x", (60, 2 * HOUR))
        await office.until(5 * MINUTE)
        office.ledger.slow = lambda: office.clock.sleep(0.5)
        office.meet("amy@x")
        await office.a_while(0.3)
        office.aircall.by_hand(1, "custom")
        office.clock.jump(jump)
        await office.a_while(20)

        assert ("custom", False) == (office.aircall.status(1), office.held("amy@x"))


@pytest.mark.parametrize("jump", [40.0, 10 * MINUTE, -HOUR])
async def test_a_way_back_that_a_machine_slept_on_goes_once_the_agent_is_looked_at(jump: float) -> None:
    """It is late by a look, no more."""
    async with Office([amy()]) as office:
        office.meet("amy@x", (60, 2 * HOUR))
        await office.until(5 * MINUTE)
        office.ledger.slow = lambda: office.clock.sleep(0.5)
        office.meet("amy@x")
        await office.a_while(0.3)
        office.clock.jump(jump)
        await office.a_while(3)

        last = office.aircall.requests[-2:]
        assert [("look", None), ("update", "available")] == [(one.kind, one.status) for one in last]
        assert ("available", False) == (office.aircall.status(1), office.held("amy@x"))


async def test_one_request_a_minute_is_enough_for_an_agent() -> None:
    """One for the look, and a minute later one for the update, which relies on it: not for looks without end."""
    async with Office([amy()], per_minute=1) as office:
        await office.until(2 * MINUTE)
        office.meet("amy@x", (2 * MINUTE, 20 * MINUTE))
        await office.until(8 * MINUTE)
        held = office.held("amy@x")
        await office.until(30 * MINUTE)

        assert held
        assert ("available", False) == (office.aircall.status(1), office.held("amy@x"))
