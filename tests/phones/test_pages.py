"""Pages of everybody among the looks and updates of the agents: which request goes first, and which waits."""

from __future__ import annotations

from itertools import pairwise

from calsyncd.core.guard import Floor

from .company import HOUR, MINUTE, ModelAircall, Office, Request, amy, bad_key, team

PAUSE = 61.0
"""The minute of the budget, with its margin."""


def company_of(users: int) -> ModelAircall:
    """Aircall with so many users, few of whom are followed."""
    aircall = ModelAircall()
    for user in range(1, users + 1):
        aircall.by_hand(user, "available")
    return aircall


def kinds(requests: list[Request], since: float) -> list[str]:
    """What was asked for since then, in order."""
    return [request.kind for request in requests if request.at >= since]


async def test_an_update_that_is_due_goes_before_the_page_of_a_sweep() -> None:
    """With one request a minute the way back has it, and the list the next."""
    async with Office([amy()], per_minute=1) as office:
        office.meet("amy@x", (3 * MINUTE, 10 * MINUTE))
        await office.until(10 * MINUTE - 0.5)
        office.phones.users_changed()
        office.budget.refused(office.clock.now() + 1)
        await office.until(13 * MINUTE)

        assert kinds(office.aircall.requests, 10 * MINUTE) == ["update", "list"]


async def test_an_update_that_is_due_goes_before_who_is_logged_in() -> None:
    """A floor is new, and its pages wait."""
    async with Office([amy()], per_minute=1) as office:
        office.meet("amy@x", (3 * MINUTE, 8 * MINUTE))
        await office.until(8 * MINUTE - 0.5)
        office.phones.keep_available([Floor("sales", 1, frozenset({"amy@x"}))])
        office.budget.refused(office.clock.now() + 1)
        await office.until(8 * MINUTE + PAUSE + 2)

        assert kinds(office.aircall.requests, 8 * MINUTE) == ["update", "lives"]


async def test_a_page_that_a_crowd_waits_for_goes_before_a_spare_look() -> None:
    """It shows the one of whom a hint was given, too."""
    crowd = HOUR
    async with Office(team(5), per_minute=4) as office:
        for agent in team(5):
            office.meet(agent.email, (crowd, 2 * HOUR))
        await office.until(crowd - 124)
        office.budget.limited(office.clock.now(), 3.0)
        office.aircall.by_hand(1, "unavailable")
        office.phones.told(1, "unavailable")
        await office.until(crowd - 115)

        assert kinds(office.aircall.requests, crowd - 124) == ["list"]
        seen = office["a1@x"].facts.seen
        assert seen is not None
        assert seen.status == "unavailable"


async def test_what_is_left_of_a_sweep_goes_at_once_when_a_crowd_waits_for_it() -> None:
    """Its second page would have left half of the minute to what is owed."""
    crowd = HOUR
    async with Office(team(7), per_minute=6, aircall=company_of(100)) as office:
        for agent in team(7):
            office.meet(agent.email, (crowd, 2 * HOUR))
        await office.until(crowd - 151)
        for _ in range(2):
            office.budget.spent(office.clock.now())
        office.phones.users_changed()
        await office.until(crowd - 110)

        assert [round(one.at - crowd) for one in office.aircall.of("list", crowd - 151)] == [-151, -122]


async def test_a_sweep_leaves_half_of_the_budget_and_is_overdue_after_an_hour() -> None:
    """While others spend half of every minute, the list is read an hour after the last one, and again an hour later."""
    async with Office([amy()], per_minute=4) as office:
        while office.time < 2.1 * HOUR:
            await office.a_while(25)
            office.budget.spent(office.clock.now())

        read = [one.at for one in office.aircall.of("list")]
        assert [HOUR <= later - earlier < HOUR + MINUTE for earlier, later in pairwise(read)] == [True, True]


async def test_the_list_that_several_wait_for_takes_their_place_in_the_queue() -> None:
    """One page before the update of whoever comes back, as the looks of those who ring would go."""
    async with Office(team(4), per_minute=6) as office:
        office.meet("a1@x", (5 * MINUTE, 20 * MINUTE))
        await office.until(20 * MINUTE - 3)
        office.budget.refused(office.clock.now() + 8)
        for email in ("a2@x", "a3@x", "a4@x"):
            office.meet(email, (20 * MINUTE, HOUR))
        await office.until(20 * MINUTE + 3)
        assert kinds(office.aircall.requests, 20 * MINUTE - 3) == []
        await office.until(21 * MINUTE)

        asked = kinds(office.aircall.requests, 20 * MINUTE)
        assert asked[:1] == ["list"]
        assert sorted(asked[1:]) == ["update"] * 4


async def test_a_refused_key_is_tried_by_the_list_whoever_waits() -> None:
    """Whose key a new one is, the list tells before anything is done with it."""
    async with Office(team(3), per_minute=20) as office:
        for agent in team(3):
            office.meet(agent.email, (20 * MINUTE, HOUR))
        await office.until(20 * MINUTE - 10)
        office.aircall.all_fail(bad_key())
        await office.until(20 * MINUTE + 30)
        refused = office.time
        await office.until(24 * MINUTE + 30)
        assert kinds(office.aircall.requests, refused) == ["list"] * 4
        office.aircall.all_fail(None)
        await office.until(27 * MINUTE)

        assert [office.aircall.status(user) for user in (1, 2, 3)] == ["unavailable"] * 3
