"""Many agents, long lists, a small budget: who waits for what, and how much it costs."""

from __future__ import annotations

import itertools

import pytest

from calsyncd.core.timeline import Timeline
from calsyncd.phones import Spending
from calsyncd.sandbox.limits import Kind, Window

from .company import HOUR, MINUTE, ModelAircall, Office, amy, most_in_a_minute, team


def company_of(users: int) -> ModelAircall:
    """Aircall with so many users, few of whom are followed."""
    aircall = ModelAircall()
    for user in range(1, users + 1):
        aircall.by_hand(user, "available")
    return aircall


async def test_a_list_of_twenty_pages_keeps_a_team_waiting_for_seconds() -> None:
    """Twenty-five meetings that begin and end together are all served within half a minute."""
    async with Office(team(25), aircall=company_of(1000)) as office:
        office.aircall.latency["list"] = 0.4
        for agent in team(25):
            office.meet(agent.email, (400, 1000))
        await office.until(430)
        assert [office.aircall.status(number) for number in range(1, 26)] == ["unavailable"] * 25
        await office.until(1030)
        assert [office.aircall.status(number) for number in range(1, 26)] == ["available"] * 25


async def test_a_boundary_never_waits_for_the_periodic_list() -> None:
    """While a list of a hundred seconds is read, one agent's meeting begins and ends on time."""
    async with Office([amy()], aircall=company_of(500)) as office:
        office.aircall.latency["list"] = 10.0
        office.meet("amy@x", (50, 80))
        await office.until(110)
        begun = office.aircall.of("update")
        assert [(one.user, one.status) for one in begun] == [(1, "unavailable"), (1, "available")]
        assert [one.ended for one in begun] == [pytest.approx(50, abs=2), pytest.approx(80, abs=2)]


async def test_each_page_of_the_list_costs_one_request() -> None:
    """A list of seven pages takes seven from the minute's budget, no more and no less, once it was read."""
    async with Office([amy()], aircall=company_of(350)) as office:
        await office.until(20)
        assert len(office.aircall.of("list")) == 7
        assert office.budget.remaining(office.clock.now()) == 93
        await office.until(90)
        assert office.budget.remaining(office.clock.now()) == 100


async def test_a_list_that_never_ends_is_refused() -> None:
    """Pages without new users are no whole list: nobody is bound by it, and it is asked for once in a while."""
    async with Office([amy(), *team(3)]) as office:
        office.aircall.endless = True
        await office.until(HOUR)
        assert office.journal.lists == []
        assert not office.roster.listed
        assert len(office.aircall.of("list")) <= 2 * HOUR / 30


async def test_the_budget_is_kept_in_a_busy_hour_with_429s() -> None:
    """Lists, looks, updates and refusals together never pass the budget in any sixty seconds; all end well."""
    async with Office(team(40), per_minute=30, aircall=company_of(120)) as office:
        office.aircall.limit = 25
        for number, agent in enumerate(team(40)):
            begins = [120.0 + 900.0 * turn + number for turn in range(4)]
            office.meet(agent.email, *((begin, begin + 500.0) for begin in begins))
        await office.until(HOUR)
        assert most_in_a_minute(office.aircall.requests) <= 30
        assert most_in_a_minute(office.aircall.requests, at_end=False) <= 31
        office.aircall.limit = None
        await office.until(HOUR + 20 * MINUTE)
        assert {setting.availability_status for setting in office.aircall.settings.values()} == {"available"}


class Counting(Timeline):
    """A timeline that counts how often it decides anything."""

    decided = itertools.count()

    def next_change(self, at: float) -> float | None:
        next(Counting.decided)
        return super().next_change(at)


def decided() -> int:
    """How many decisions were made since this was last asked."""
    count = next(Counting.decided)
    Counting.decided = itertools.count()
    return count


async def test_doubled_touches_are_one_decision() -> None:
    """A thousand agents touched ten times each are judged once each."""
    agents = team(1000)
    async with Office(agents) as office:
        quiet = office.timeline((HOUR, 2 * HOUR))
        for agent in agents:
            office.phones.known(agent.email, Counting(quiet.spans, quiet.padded), office.clock.now(), complete=True)
        await office.until(30)
        decided()
        for agent, _ in itertools.product(agents, range(10)):
            office.phones.touch(agent.email)
        await office.a_while(0.001)
        assert 1000 <= decided() <= 1001
        await office.a_while(MINUTE)
        assert decided() <= 100


async def test_a_thousand_who_wait_for_the_budget_are_not_judged_at_every_turn() -> None:
    """What waits costs nothing: ten minutes of a thousand needy agents take a bounded number of decisions."""
    agents = team(1000)
    async with Office(agents, per_minute=60) as office:
        busy = office.timeline((60, HOUR))
        for agent in agents:
            office.phones.known(agent.email, Counting(busy.spans, busy.padded), office.clock.now(), complete=True)
        await office.until(50)
        decided()
        turns = office.scheduler.turns
        await office.until(650)
        assert office.scheduler.turns - turns < 5000
        assert decided() < 100_000
        assert sum(setting.availability_status == "unavailable" for setting in office.aircall.settings.values()) > 250


def begun_after(office: Office, boundary: float, status: str | None = None) -> list[float]:
    """When the updates of a boundary left, in seconds after it, as the daemon's clock counts; some are before it."""
    left = (office.opened + one.at for one in office.aircall.of("update") if status in (None, one.status))
    return [at - (office.opened + boundary) for at in left if abs(at - office.opened - boundary) < 20 * MINUTE]


async def test_of_a_crowd_those_go_early_for_whom_the_minute_has_no_request() -> None:
    """A hundred and fifty meetings that begin together, a hundred requests a minute: fifty go a minute before."""
    agents = team(150)
    async with Office(agents, aircall=company_of(150)) as office:
        for agent in agents:
            office.meet(agent.email, (15 * MINUTE, 60 * MINUTE))
        await office.until(20 * MINUTE)
        begun = begun_after(office, 15 * MINUTE)
        assert len(begun) == 150
        assert [at for at in begun if at < 0] == [-60] * 50
        assert max(begun) <= 1.1
        assert most_in_a_minute(office.aircall.requests) <= 100


async def test_a_burst_of_starts_begins_before_its_boundary_by_two_thirds_of_what_it_takes() -> None:
    """Where no whole minute may be used before: never before a burst has shown what it takes, nor without a crowd."""
    agents = team(150)
    async with Office(agents, aircall=company_of(150)) as office:
        office.aircall.all_latencies(1.0)
        office.phones.spend(Spending(early=30))
        for number, agent in enumerate(agents):
            crowds = [(hour * HOUR, hour * HOUR + 30 * MINUTE) for hour in (1, 2)]
            office.meet(agent.email, *crowds, *([(3 * HOUR, 4 * HOUR)] if number < 80 else []))
        await office.until(3.5 * HOUR)

        first, second, no_crowd = (begun_after(office, hour * HOUR, "unavailable") for hour in (1, 2, 3))
        each = 0.0
        for flying in [*range(1, 101), *range(1, 51)] * 2:
            # The first crowd's starts and ends: of how much time is gone for each, a fifth of the last one counts.
            each += (1.0 / flying - each) / 5 if flying >= 10 else 0.0
        assert (len(first), min(first)) == (150, 0)
        assert [at for at in second if at < 0] == [pytest.approx(-100 * each * 2 / 3, abs=1e-5)] * (
            100 - 3
        )  # three pages still count
        assert no_crowd == [0] * 80


async def test_a_crowd_is_looked_at_before_it_in_the_quiet() -> None:
    """One list, in time for its requests to be there again, and no look in the crowd."""
    agents = team(150)
    async with Office(agents, aircall=company_of(150)) as office:
        for agent in agents:
            office.meet(agent.email, (HOUR, 2 * HOUR))
        await office.until(HOUR + 5 * MINUTE)
        read = [one.at - HOUR for one in office.aircall.of("list", HOUR - 3 * MINUTE)]
        assert len(read) == 3
        assert [at for at in read if not -125 <= at <= -121] == []
        assert office.aircall.of("look", HOUR - 5 * MINUTE) == []
        assert len(office.aircall.of("update")) == 150


async def test_a_minute_that_a_list_would_make_crowded_is_looked_at_before_it() -> None:
    """Ninety-eight at once have enough of a hundred requests, but not beside three pages."""
    agents, begin = team(98), 66 * MINUTE
    async with Office(agents, aircall=company_of(150)) as office:
        for agent in agents:
            office.meet(agent.email, (begin, 2 * HOUR))
        await office.until(begin - 3 * MINUTE)
        before = len(office.aircall.requests)
        await office.until(begin + 5 * MINUTE)
        asked = [(one.kind, round(one.at - begin, 3)) for one in office.aircall.requests[before:]]
        assert [kind for kind, at in asked if at < -MINUTE] == ["list"] * 3
        assert [(kind, at) for kind, at in asked if at >= -MINUTE] == [("update", 0)] * 98


MORE_THAN_A_MINUTE = 50


async def crowds_of(kind: Kind | None, crowds: int = 1) -> Office:
    """Six hundred who meet together at full hours, where Aircall counts so and says what is left, or says nothing."""
    agents = team(600)
    async with Office(agents, aircall=company_of(600)) as office:
        office.aircall.window = Window(120, kind=kind) if kind is not None else None
        for agent in agents[: 100 + MORE_THAN_A_MINUTE]:
            hours = (hour * HOUR for hour in range(1, crowds + 1))
            office.meet(agent.email, *((hour, hour + 30 * MINUTE) for hour in hours))
        await office.until(crowds * HOUR + 10 * MINUTE)
        return office


def read_across(office: Office, mark: float) -> tuple[int, int]:
    """How many pages were read in the seconds before a mark, and after it."""
    ats = [one.at - mark for one in office.aircall.of("list")]
    return sum(-2 <= at < 0 for at in ats), sum(0 <= at < 2 for at in ats)


async def test_a_list_across_a_mark_shows_a_clock_minute_before_a_crowd() -> None:
    """So that those who go early do so by seconds, in this crowd already."""
    office = await crowds_of("fixed")

    assert read_across(office, HOUR - 3 * MINUTE) == (11, 1)
    assert office.budget.by_clock
    begun = begun_after(office, HOUR)
    assert len(begun) == 100 + MORE_THAN_A_MINUTE
    assert [at for at in begun if not -4 <= at <= 2] == []


@pytest.mark.parametrize(("kind", "first"), [("sliding", (11, 1)), ("leaky", (0, 0))])
async def test_a_list_across_a_mark_shows_no_other_minute_and_is_not_read_so_again_for_hours(
    kind: Kind, first: tuple[int, int]
) -> None:
    """It costs twelve requests in the quiet; a leak has shown itself in the first list, and needs none."""
    office = await crowds_of(kind, crowds=3)

    tries = [read_across(office, hour * HOUR - 3 * MINUTE) for hour in (1, 2, 3)]
    assert tries == [first, (0, 0), (0, 0)]
    assert not office.budget.by_clock
    assert most_in_a_minute(office.aircall.requests) <= 100


async def test_no_list_is_read_across_a_mark_where_answers_say_nothing_of_what_is_left() -> None:
    """It would show nothing."""
    office = await crowds_of(None)

    assert read_across(office, HOUR - 3 * MINUTE) == (0, 0)
