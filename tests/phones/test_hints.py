"""What a webhook is worth: a change by hand is seen at once, for a look or two, and never at a boundary's cost."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from calsyncd.core.model import Observation, Setting
from calsyncd.core.plan import StandingBack
from calsyncd.phones import Agent

from .company import HOUR, Kind, ModelAircall, Office, amy, counted, down, most_in_a_minute, team

AMY = "amy@x"


def hooked(office: Office) -> Office:
    """Aircall's webhooks arrive, each at once."""
    office.aircall.tell = office.phones.told
    return office


def stands_back(office: Office) -> bool:
    """Whether Amy's change in a meeting was seen."""
    stance = office[AMY].stance
    return isinstance(stance, StandingBack) and stance.why == "override"


def shown(office: Office, email: str = AMY) -> str | None:
    """What the page shows of the agent."""
    seen = office[email].facts.seen
    return seen.status if seen is not None else None


async def test_an_override_is_seen_within_seconds_for_two_looks() -> None:
    """In the middle of a meeting, where nothing looks: the second one says that it lasts, and no call is behind it."""
    async with hooked(Office([amy()])) as office:
        office.meet(AMY, (60, 3000))
        await office.until(400)
        office.aircall.by_hand(1, "available")
        await office.until(400.2)
        shows = shown(office)
        await office.until(405.5)
        seen = stands_back(office)
        await office.until(590)

        assert (shows, seen) == ("available", True)
        assert len(office.aircall.of("look", 399)) == 2
        await office.until(3100)
        assert [one.status for one in office.aircall.of("update")] == ["unavailable"]


async def test_without_a_webhook_it_is_seen_at_the_next_list() -> None:
    """Silent webhooks cost nothing but time."""
    async with Office([amy()]) as office:
        office.meet(AMY, (60, 3000))
        await office.until(400)
        office.aircall.by_hand(1, "available")
        await office.until(401)
        before = stands_back(office)
        await office.until(1300)

        assert (before, stands_back(office)) == (False, True)


async def test_a_change_of_somebody_who_is_free_is_seen_at_once() -> None:
    """No meeting is near; and the meeting then leaves them alone."""
    async with hooked(Office([amy()])) as office:
        office.meet(AMY, (1000, 2000))
        await office.until(400)
        office.aircall.by_hand(1, "unavailable")
        await office.until(400.2)
        seen = shown(office)
        await office.until(2100)

        assert seen == "unavailable"
        assert office.aircall.of("update") == []


async def test_our_own_updates_cost_no_look() -> None:
    """Their echoes come before the answers, while they are written down, and after that, singly and doubled."""

    def disk(office: Office) -> Callable[[], Awaitable[None]]:
        return lambda: office.clock.sleep(0.5)

    async with Office([amy()]) as quiet:
        quiet.ledger.slow = disk(quiet)
        quiet.meet(AMY, (60, 300), (600, 900))
        await quiet.until(1000)
        expected = [(one.kind, round(one.at, 1)) for one in quiet.aircall.requests]
    for delay, times in itertools.product((0.0, 0.03, 0.3, 2.0, 20.0), (1, 2)):
        async with Office([amy()]) as office:
            office.ledger.slow = disk(office)

            def echo(user: int, status: str, office: Office = office, delay: float = delay, times: int = times) -> None:
                async def later() -> None:
                    await office.clock.sleep(delay)
                    for _ in range(times):
                        office.phones.told(user, status)

                office.scheduler.start(later(), "echo")

            office.aircall.tell = echo
            office.aircall.latency["update"] = 0.05
            office.meet(AMY, (60, 300), (600, 900))
            await office.until(1000)

            assert [(one.kind, round(one.at, 1)) for one in office.aircall.requests] == expected


async def test_an_override_just_after_our_update_waits_for_its_time() -> None:
    """A look before that could show what was there before our update: the first comes five seconds after it."""
    async with hooked(Office([amy()])) as office:
        office.meet(AMY, (60, 3000))
        await office.until(61)
        office.aircall.by_hand(1, "available")
        await office.until(64)
        looked = len(office.aircall.of("look", 61))
        await office.until(71)

        assert (looked, len(office.aircall.of("look", 61)), stands_back(office)) == (0, 2, True)


async def test_a_change_while_our_update_is_under_way() -> None:
    """The answer shows our update, and the agent has changed it meanwhile: seen once reads are sure to show it."""
    async with hooked(Office([amy()])) as office:
        office.aircall.latency["update"] = 3.0
        office.meet(AMY, (60, 3000))
        await office.until(62)
        office.phones.told(1, "unavailable")
        office.phones.told(1, "available")
        office.phones.told(1, "unavailable")
        await office.until(63.5)
        office.aircall.settings[1] = office.aircall.settings[1].__class__("available")
        await office.until(74)

        assert stands_back(office)
        assert len(office.aircall.of("look", 61)) == 2


async def test_a_read_that_lags_is_repeated_once() -> None:
    """The first look still shows the old setting, the second shows the change, the third that no call is behind it."""
    async with hooked(Office([amy()])) as office:
        office.meet(AMY, (60, 3000))
        await office.until(400)
        office.aircall.lagging = 1
        office.aircall.by_hand(1, "available")
        await office.until(403)
        before = stands_back(office)
        await office.until(411)

        assert (before, stands_back(office)) == (False, True)
        assert len(office.aircall.of("look", 399)) == 3


async def test_a_flood_of_messages_costs_a_look_in_a_while() -> None:
    """A thousand in ten seconds: one at once, then one in three seconds, and the last tells the truth."""
    async with Office([amy()]) as office:
        office.meet(AMY, (HOUR, 2 * HOUR))
        await office.until(100)
        for turn in range(1000):
            office.aircall.settings[1] = office.aircall.settings[1].__class__("custom" if turn % 2 else "unavailable")
            office.phones.told(1, "custom" if turn % 2 else "unavailable")
            await office.a_while(0.01)
        await office.until(130)

        assert 3 <= len(office.aircall.of("look", 99)) <= 6
        assert shown(office) == "custom"


@pytest.mark.parametrize("status", ["available", None])
async def test_messages_that_say_nothing_new_or_nothing_at_all(status: str | None) -> None:
    """Somebody logs in: no look when their setting is named and known, two at the most when it is not."""
    async with Office([amy()]) as office:
        office.meet(AMY, (HOUR, 2 * HOUR))
        await office.until(100)
        for _ in range(2):
            office.phones.told(1, status)
        await office.until(130)

        assert len(office.aircall.of("look", 99)) == (0 if status else 2)


async def test_unknown_and_unconfigured_users_cost_nothing() -> None:
    """Whoever is not followed is not looked at."""
    async with Office(team(3)) as office:
        await office.until(100)
        office.phones.follow(team(2))
        await office.until(200)
        before = len(office.aircall.requests)
        for user in (3, 77):
            office.phones.told(user, "unavailable")
        await office.until(300)

        assert len(office.aircall.requests) == before


async def test_many_changes_share_a_list() -> None:
    """One list shows thirty agents for the price of one request."""
    async with hooked(Office(team(30))) as office:
        for agent in team(30):
            office.meet(agent.email, (HOUR, 2 * HOUR))
        await office.until(100)
        for number in range(1, 31):
            office.aircall.by_hand(number, "unavailable")
        await office.until(101)

        assert len([one for one in office.aircall.requests if one.at >= 100]) <= 2
        assert {shown(office, agent.email) for agent in team(30)} == {"unavailable"}


async def test_a_tight_budget_serves_boundaries_first() -> None:
    """With less than half of the minute left no hint is looked at; the boundary is, and the hint when there is room."""
    async with hooked(Office(team(2), per_minute=20)) as office:
        office.meet("a1@x", (100, 2000))
        office.meet("a2@x", (HOUR, 2 * HOUR))
        await office.until(95)
        now = office.clock.now()
        for _ in range(11):
            office.budget.take(now)
            office.budget.spent(now)
            office.budget.give_back()
        office.aircall.by_hand(2, "unavailable")
        await office.until(110)
        early = [one.user for one in office.aircall.of("look", 95)]
        held = office.aircall.status(1)
        await office.until(170)

        assert (early, held) == ([1], "unavailable")
        assert shown(office, "a2@x") == "unavailable"


async def test_hints_that_wait_make_no_crowd() -> None:
    """In a crowd older looks will do; those that nobody waits for make none: the agent is looked at before the PUT."""
    async with hooked(Office(team(30), per_minute=40)) as office:
        office.meet("a1@x", (650, 2000))
        for agent in team(30)[1:]:
            office.meet(agent.email, (HOUR, 2 * HOUR))
        await office.until(640)
        for _ in range(22):
            office.budget.take(office.clock.now())
            office.budget.spent(office.clock.now())
            office.budget.give_back()
        for number in range(2, 31):
            office.aircall.by_hand(number, "unavailable")
        await office.until(655)

        assert [round(one.at) for one in office.aircall.of("look", 640)] == [648]
        assert office.aircall.status(1) == "unavailable"


async def test_a_hints_failed_look_puts_nobody_back_unseen() -> None:
    """It failed long before the meeting is called off; then the agent is looked at, and their change stands."""
    async with hooked(Office([amy()], per_minute=20)) as office:
        office.meet(AMY, (60, 2000))
        await office.until(400)
        office.aircall.errors["look"] = down()
        office.aircall.by_hand(1, "custom")
        await office.until(400.5)
        office.aircall.errors["look"] = None
        for _ in range(15):
            office.budget.take(office.clock.now())
            office.budget.spent(office.clock.now())
            office.budget.give_back()
        await office.until(461)
        before = len(office.aircall.of("look", 401))
        office.meet(AMY)
        await office.until(470)

        assert before == 0
        assert office.aircall.status(1) == "custom"
        assert [one.status for one in office.aircall.of("update")] == ["unavailable"]


async def crowd_of_150(tell: Callable[[Office], None]) -> tuple[list[float], Counter[Kind]]:
    """How late each of 150 agents is held whose meetings begin at once, while `tell` runs each second.

    And which requests are sent from when the first go early until the last is served in time.
    """
    agents = team(150)
    async with Office(agents, per_minute=100, aircall=ModelAircall()) as office:
        for agent in agents:
            office.meet(agent.email, (600, 2400))
        for second in range(500, 800):
            await office.until(second)
            tell(office)
        assert most_in_a_minute(office.aircall.requests) <= 100
        put = [office.put_at(number, "unavailable") or 0.0 for number in range(1, 151)]
        sent = counted(one for one in office.aircall.requests if 540 <= one.at <= 602)
    # To the millisecond: seconds since 1970 have hardly more.
    return sorted(round(at - 600, 3) for at in put), sent


async def test_messages_of_a_quiet_minute_delay_no_meeting() -> None:
    """All phones tell of anything until shortly before the first go early: looks use what nobody needs."""
    chance = random.Random(9)

    def storm(office: Office) -> None:
        if office.time < 525:
            for user in range(1, 151):
                office.phones.told(user, chance.choice(["available", "custom", "unavailable", None]))

    assert (await crowd_of_150(storm))[0] == (await crowd_of_150(lambda _: None))[0]


@pytest.mark.parametrize("a_second", [1, 10, 150])
async def test_a_storm_of_messages_delays_no_meeting(a_second: int) -> None:
    """So many phones tell of anything each second around a crowded nine o'clock: it costs what must be looked at.

    Whoever was told of must not be taken off the phones unseen, so that the list is read once right before the
    boundary: three pages in the place of three updates, which go a minute early instead, and as many more go once the
    early ones' requests are there again. A look is needed beside it only for whoever is first told of after the list,
    in the last three seconds; in its place an update comes a minute late. Nothing else is late.
    """
    chance = random.Random(9)

    def storm(office: Office) -> None:
        for user in chance.sample(range(1, 151), a_second):
            office.phones.told(user, chance.choice(["available", "custom", "unavailable", None]))

    calm, _ = await crowd_of_150(lambda _: None)
    stormy, sent = await crowd_of_150(storm)

    def cost(starts: list[float]) -> float:
        return sum(2 * late if late > 0 else -late for late in starts)

    assert sent["list"] == 3
    assert sent["look"] <= 1
    again = 2 * calm[-1]
    assert cost(stormy) <= cost(calm) + sent["list"] * (60 + again) + sent["look"] * 2 * 60
    assert sum(late > calm[-1] for late in stormy) == sent["look"]
    assert min(stormy) >= min(calm)


async def test_looks_for_hints_fail_without_harm() -> None:
    """They back off, and at the meeting's end the way back is not put unseen because of them."""
    async with hooked(Office([amy()])) as office:
        office.meet(AMY, (60, 700))
        await office.until(400)
        office.aircall.errors["look"] = down()
        office.aircall.by_hand(1, "custom")
        await office.until(500)
        tried = len(office.aircall.of("look", 399))
        office.aircall.errors["look"] = None
        await office.until(540)

        assert 3 <= tried <= 12
        assert stands_back(office)
        await office.until(800)
        assert office.aircall.status(1) == "custom"


async def test_whoever_joins_or_leaves_is_listed_soon() -> None:
    """At once, then not all the time."""
    async with Office([Agent("new@x", "new@x"), *team(3)]) as office:
        await office.until(100)
        unknown = office.trouble("new@x")
        office.aircall.settings[9] = office.aircall.settings[1]
        office.aircall.emails[9] = "new@x"
        office.phones.users_changed()
        await office.until(101)
        bound = office["new@x"].user
        for _ in range(100):
            office.phones.users_changed()
            await office.a_while(0.5)
        await office.until(200)

        assert (unknown, bound, office.trouble("new@x")) == ("aircall_user_unknown", 9, None)
        assert 5 <= len(office.aircall.of("list", 99)) <= 8


async def test_whoever_joins_while_the_list_is_read_is_not_missed() -> None:
    """Its page may have been read already: the list is read once more."""
    async with Office([Agent("new@x", "new@x"), *team(3)]) as office:
        office.aircall.latency["list"] = 4.0
        await office.until(700)
        start = office.aircall.of("list")[-1].at
        while office.aircall.of("list")[-1].at == start:
            await office.a_while(1)
        office.phones.users_changed()
        office.aircall.unlisted.clear()
        office.aircall.settings[9] = office.aircall.settings[1]
        begun = office.aircall.of("list")[-1].at
        await office.until(begun + 20)

        assert len(office.aircall.of("list", begun)) == 2


async def test_a_change_that_nobody_told_of_is_said() -> None:
    """Whoever listens for it hears of it once, and not of what was told or was our own."""
    async with Office([amy()]) as office:
        said: list[float] = []
        office.phones.listen(said.append, lambda: False)
        office.meet(AMY, (60, 3000))
        await office.until(400)
        office.aircall.by_hand(1, "available")
        office.phones.told(1, "available")
        await office.until(500)
        told = list(said)
        office.aircall.by_hand(1, "unavailable")
        await office.until(5 * HOUR)

        assert told == []
        assert len(said) == 1


@pytest.mark.parametrize(
    ("before", "after", "untold"),
    [
        ("available", "unavailable", True),
        ("unavailable", "custom", True),
        ("available", "custom", False),
        ("available", "available", False),
    ],
)
@pytest.mark.parametrize("told", [False, True])
async def test_which_changes_a_webhook_should_have_told_of(
    before: str, after: str, *, untold: bool, told: bool
) -> None:
    """Those to or from `unavailable`, and not where it did."""
    async with Office([amy()]) as office:
        said: list[float] = []
        office.phones.listen(said.append, lambda: False)
        office.aircall.settings[1] = Setting(before)
        office.meet(AMY, (HOUR, 2 * HOUR))
        await office.until(100)
        office.aircall.by_hand(1, after)
        if told:
            office.phones.told(1, after)
        await office.until(HOUR - 10)

        assert len(said) == (untold and not told)


@pytest.mark.parametrize(("after", "untold"), [(2.0, False), (60.0, True)])
async def test_a_look_that_may_lag_behind_our_own_update_shows_nothing_untold(after: float, *, untold: bool) -> None:
    """What was there before the update is nobody's change."""
    async with Office([amy()]) as office:
        said: list[float] = []
        office.phones.listen(said.append, lambda: False)
        office.meet(AMY, (60, HOUR))
        await office.until(60.1 + after)
        office.calls._observed(office[AMY], Observation(Setting("available"), office.clock.now()))
        await office.until(200)

        assert len(said) == untold


@pytest.mark.parametrize("waits", [False, True], ids=["under way", "waits for the budget"])
async def test_a_new_meeting_while_a_hint_is_looked_at_counts_from_when_it_was_known(*, waits: bool) -> None:
    """A look that nobody waits for is no reason to say that an update was late."""
    async with hooked(Office([amy()], per_minute=20)) as office:
        await office.until(10)
        office.meet(AMY, (5000, 5100))
        await office.until(400)
        office.aircall.latency["look"] = 2.0
        for _ in range(15 if waits else 0):
            office.budget.take(office.clock.now())
            office.budget.spent(office.clock.now())
            office.budget.give_back()
        office.phones.told(1, "custom")
        await office.until(401)
        busy = office[AMY].busy
        office.meet(AMY, (100, 5100))
        await office.until(410)
        late = [row.late_ms for row in office.journal.rows if row.outcome == "done"]

        assert busy != waits
        assert late
        assert all(ms is not None and ms < 10_000 for ms in late)
