"""The coverage floor on virtual time: nobody who is needed is taken off, and everybody else is, at once."""

from __future__ import annotations

import random

import pytest

from calsyncd.core.guard import Floor
from calsyncd.core.model import Event, Setting
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import build
from calsyncd.phones import Agent
from calsyncd.view import agent_view

from .company import HOUR, MINUTE, Office, down, team

ALL_1 = Floor("all", 1)
ALL_2 = Floor("all", 2)


def off(office: Office) -> set[int]:
    """Who is unavailable in Aircall."""
    return {user for user in office.aircall.settings if office.aircall.status(user) == "unavailable"}


def kept(office: Office) -> set[str]:
    """Whom the floor keeps."""
    return {agent.email for agent in office.roster.agents.values() if agent.kept is not None}


def listening(office: Office) -> Office:
    """Aircall's webhooks tell of each change, so that looks may be old."""
    office.phones.listen(lambda _: None, lambda: True)
    office.aircall.tell = office.phones.told
    return office


async def test_the_last_two_stay_and_go_when_others_are_back() -> None:
    """All four meet at once: two go, two stay; when the two are back, the others go, during the same meeting."""
    async with Office(team(4)) as office:
        office.phones.keep_available([ALL_2])
        await office.until(10)
        for number, end in zip(range(1, 5), (600, 600, 1200, 1200), strict=True):
            office.meet(f"a{number}@x", (60, end))
        await office.until(61)
        first = off(office)
        stayed = kept(office)
        assert len(first) == len(stayed) == 2
        assert {f"a{user}@x" for user in first} | stayed == {f"a{number}@x" for number in range(1, 5)}
        assert office.phones.owed_since(office.clock.now()) == []
        shown = agent_view(office[min(stayed)], [], None, office.clock.now())
        assert (shown["state"], shown["hold"]) == ("kept", None)
        assert "kept available: at least 2 of all agents are to stay" in shown["reason"]
        rows = [row for row in office.journal.rows if row.outcome == "kept"]
        assert {row.agent for row in rows} == stayed
        looks = len(office.aircall.of("look"))
        await office.until(500)
        assert off(office) == first
        assert len(office.aircall.of("look")) == looks
        await office.until(1300)
        assert off(office) == set()
        puts = office.aircall.of("update")
        assert all(one.status == "available" for one in puts if one.user in first and one.at > 599)
        assert kept(office) == set()


@pytest.mark.parametrize("seed", range(12))
async def test_the_floor_holds_at_every_instant(seed: int) -> None:
    """Whatever meets when, and however slow or broken Aircall is, our updates leave enough on the phones."""
    dice = random.Random(seed)
    support = Floor("support", 1, frozenset({"a1@x", "a2@x", "a3@x"}))
    async with Office(team(6), per_minute=dice.choice([20, 100])) as office:
        office.phones.keep_available([ALL_2, support])
        await office.until(10)
        for number in range(1, 7):
            starts = sorted(dice.sample(range(60, 1800, 60), 6))
            office.meet(f"a{number}@x", *zip(starts[::2], starts[1::2], strict=True))
        while office.time < 1900:
            office.aircall.all_latencies(dice.choice([0.05, 0.5, 3.0]))
            office.aircall.all_fail(down() if dice.random() < 0.05 else None)
            await office.a_while(dice.choice([0.3, 1.0, 7.0]))
            assert len(off(office)) <= 4
            assert len(off(office) & {1, 2, 3}) <= 2
        office.aircall.all_fail(None)
        await office.a_while(200)
        assert off(office) == set()


async def test_out_of_office_goes_and_holds_are_not_ended() -> None:
    """Who is out of the office goes though nobody is left; and whoever is held stays so, as few as there are then."""
    async with Office(team(2)) as office:
        office.phones.keep_available([ALL_1])
        await office.until(10)
        office.meet("a1@x", (60, HOUR))
        away = Event("away", office.opened + 120, office.opened + HOUR, kind="outOfOffice")
        talk = Event("talk", office.opened + 90, office.opened + HOUR)
        office.phones.known("a2@x", build([talk, away], Rules()), office.clock.now(), complete=True)
        await office.until(100)
        assert (off(office), kept(office)) == ({1}, {"a2@x"})
        await office.until(121)
        assert (off(office), kept(office)) == ({1, 2}, set())
        await office.until(HOUR - 10)
        assert off(office) == {1, 2}


async def test_who_is_unknown_or_off_does_not_cover_and_who_is_paused_does() -> None:
    """Of four, one is unavailable by choice and one has no Aircall user; a paused one stands in for the other."""
    async with Office([*team(3), Agent("a4@x", "nobody@x")]) as office:
        office.aircall.settings[2] = Setting("unavailable")
        office.phones.keep_available([ALL_1])
        await office.phones.pause("a3@x", None)
        await office.until(30)
        office.meet("a1@x", (60, HOUR))
        await office.until(70)
        assert off(office) == {1, 2}
        office.meet("a1@x", (60, 90))
        await office.until(100)
        office.aircall.by_hand(3, "unavailable")
        await office.until(12 * MINUTE)
        office.meet("a1@x", (780, HOUR))
        await office.until(800)
        assert (off(office), kept(office)) == ({2, 3}, {"a1@x"})


async def test_somebody_who_is_being_put_back_does_not_cover_yet() -> None:
    """The other goes when the answer has come, not when the update has left."""
    async with Office(team(2)) as office:
        office.phones.keep_available([ALL_1])
        await office.until(10)
        office.meet("a1@x", (60, 300))
        office.meet("a2@x", (120, HOUR))
        await office.until(297)
        assert (off(office), kept(office)) == ({1}, {"a2@x"})
        office.aircall.latency["update"] = 4.0
        await office.until(303.9)
        assert len(office.aircall.of("update")) == 2
        office.aircall.all_latencies(0.05)
        await office.until(306)
        assert off(office) == {2}


async def test_a_restart_settles_anew() -> None:
    """Who was kept is kept, and who is held is held, after a crash in the meeting; nothing of it is in the ledger."""
    async with Office(team(3)) as office:
        office.phones.keep_available([ALL_2])
        await office.until(10)
        for number in range(1, 4):
            office.meet(f"a{number}@x", (60, HOUR))
        await office.until(70)
        before = off(office), kept(office)
        assert len(before[0]) == 1
    async with Office(team(3), aircall=office.aircall) as restarted:
        restarted.restore(office)
        restarted.phones.keep_available([ALL_2])
        for number in range(1, 4):
            restarted.meet(f"a{number}@x", (-10, HOUR))
        await restarted.until(120)
        assert (off(restarted), kept(restarted)) == before
        restarted.phones.keep_available([])
        await restarted.until(130)
        assert off(restarted) == {1, 2, 3}


async def test_the_same_go_however_they_are_named() -> None:
    """The lot depends on nothing but the instant and the names."""
    found = []
    for order in (team(5), team(5)[::-1]):
        async with Office(order) as office:
            office.phones.keep_available([ALL_2])
            await office.until(10)
            for agent in order:
                office.meet(agent.email, (60, HOUR))
            await office.until(70)
            found.append(off(office))
    assert found[0] == found[1]
    assert len(found[0]) == 3


async def test_who_is_not_logged_in_does_not_cover() -> None:
    """Set available is not enough; who logs in is noticed within a minute while somebody waits for it."""
    async with Office(team(3)) as office:
        office.aircall.live = {2: "offline", 3: "offline"}
        office.aircall.per_page = 2
        office.phones.keep_available([ALL_1])
        await office.until(10)
        office.meet("a1@x", (60, HOUR))
        office.meet("a2@x", (90, HOUR))
        await office.until(100)
        assert (off(office), kept(office)) == ({2}, {"a1@x"}), "who is not there takes nothing by going"
        office.aircall.live = {}
        await office.until(200)
        assert off(office) == {1, 2}
        office.phones.keep_available([])
        seen = len(office.aircall.of("lives"))
        await office.until(HOUR / 2)
        assert seen <= 10
        assert len(office.aircall.of("lives")) == seen


async def test_while_nobody_knows_who_is_logged_in() -> None:
    """Whoever is set available covers, and the limit of requests is kept to."""
    async with Office(team(2)) as office:
        office.aircall.errors["lives"] = down()
        office.aircall.live = {2: "offline"}
        office.phones.keep_available([ALL_1])
        await office.until(10)
        office.meet("a1@x", (60, HOUR))
        await office.until(70)
        assert off(office) == {1}
        await office.until(HOUR / 2)
        assert len(office.aircall.of("lives")) < 15


async def test_old_looks_of_a_big_company_empty_no_phones() -> None:
    """Thirty pages, webhooks, one meeting for all 37 minutes after the list that each update relies on."""
    support = Floor("support", 3, frozenset(f"a{number}@x" for number in range(1, 6)))
    async with listening(Office(team(60))) as office:
        office.aircall.per_page = 2
        office.phones.keep_available([Floor("all", 5), support])
        await office.until(10)
        for agent in team(60):
            office.meet(agent.email, (37 * MINUTE, 40 * MINUTE))
        await office.until(37 * MINUTE + 30)

        assert max(one.at for one in office.aircall.of("list")) < 6 * MINUTE
        assert (len(off(office)), len(kept(office))) == (55, 5)
        assert len(off(office) & {1, 2, 3, 4, 5}) == 2
        await office.until(41 * MINUTE)
        assert off(office) == set()


async def test_old_looks_of_the_others_keep_nobody() -> None:
    """Four pages, webhooks, a lone meeting 37 minutes after the last list: one look, and the agent goes at once."""
    async with listening(Office(team(40))) as office:
        office.aircall.per_page = 10
        office.phones.keep_available([ALL_1])
        await office.until(10)
        for agent in team(40):
            office.meet(agent.email, *([(37 * MINUTE, 40 * MINUTE)] if agent.email == "a1@x" else []))
        await office.until(37 * MINUTE + 1)

        assert max(one.at for one in office.aircall.of("list")) < 6 * MINUTE
        assert (off(office), kept(office)) == ({1}, set())
