"""The list of everybody against what we believe: what is ours is mended, what is not is told, and both are counted."""

from __future__ import annotations

from itertools import pairwise

import pytest

from calsyncd.core.model import Setting
from calsyncd.core.plan import FREE, StandingBack
from calsyncd.errors import Unavailable

from .company import HOUR, Office, amy, down, team

AMY = "amy@x"


def counted(office: Office, kind: str) -> float:
    """How often this kind of drift was found."""
    return office.metrics.registry.get_sample_value("calsyncd_drift_total", {"kind": kind}) or 0.0


def age(office: Office) -> float:
    """How long the oldest drift has lasted."""
    office.phones.measure()
    return office.metrics.registry.get_sample_value("calsyncd_drift_age_seconds") or 0.0


def recall(restarted: Office, former: Office, *, ledger: bool = False) -> None:
    """A restart that has the former database, and its ledger or none."""
    roster = restarted.roster
    entries = former.ledger.entries.values() if ledger else ()
    seen = {agent.user: agent.facts.seen for agent in former.roster.agents.values() if agent.user and agent.facts.seen}
    roster.restore(entries, (), seen)
    last = {row.agent: row for row in former.journal.rows if row.outcome in ("done", "seen")}
    roster.recall(last.values())


async def test_a_quiet_day_has_none() -> None:
    """Meetings, their ends and the lists between them agree."""
    async with Office(team(2)) as office:
        office.meet("a1@x", (60, 900), (1500, 1600))
        await office.until(2 * HOUR)

        assert [counted(office, kind) for kind in ("hold_missing", "hold_left", "changed")] == [0, 0, 0]
        assert age(office) == 0


async def test_a_hold_that_did_not_stick_is_found_by_the_list_and_put_again() -> None:
    """The update's answer was lost, it was never done, and looking at one user fails: the next list shows it."""
    async with Office([amy()]) as office:
        office.meet(AMY, (60, HOUR))
        await office.until(59.5)
        office.aircall.errors["look"] = down()
        office.aircall.errors["update"] = Unavailable("lost", service="aircall", code="timeout", landed=True)
        await office.until(61)
        office.aircall.errors["update"] = None
        await office.until(500)
        before = office.aircall.status(1)
        await office.until(900)

        assert (before, office.aircall.status(1)) == ("available", "unavailable")
        assert counted(office, "hold_missing") == 1
        assert age(office) == 0


async def test_a_change_in_a_meeting_is_found_by_the_list_told_and_left() -> None:
    """Nobody told of it: it lasts until a second look has made it the agent's own."""
    async with Office([amy()]) as office:
        office.meet(AMY, (60, HOUR))
        await office.until(400)
        office.aircall.by_hand(1, "available")
        ages = []
        while not isinstance(office[AMY].stance, StandingBack):
            await office.a_while(1)
            ages.append(age(office))
        await office.until(HOUR + 60)

        assert counted(office, "hold_missing") == 1
        assert 4 <= max(ages) < 30
        assert age(office) == 0
        assert [row.outcome for row in office.journal.rows if row.outcome in ("drift", "override")] == [
            "drift",
            "override",
        ]
        assert [one.status for one in office.aircall.of("update")] == ["unavailable"]


async def test_somebody_elses_change_is_counted_once_and_stays() -> None:
    """Nothing is wanted and nothing owed."""
    async with Office([amy()]) as office:
        office.meet(AMY)
        await office.until(100)
        office.aircall.by_hand(1, "unavailable")
        await office.until(HOUR)

        assert counted(office, "changed") == 1
        assert office.aircall.of("update") == []
        assert len(office.aircall.of("look")) == len(office.aircall.of("live")) == 1


@pytest.mark.parametrize("hooked", [False, True], ids=["listed", "told"])
async def test_a_call_that_reads_as_unavailable_is_nobodys_change(*, hooked: bool) -> None:
    """Neither while it lasts nor when it ends is it told, counted, or a reason to distrust the webhook."""
    async with Office([amy()]) as office:
        untold: list[float] = []
        office.phones.listen(untold.append, lambda: hooked)
        office.meet(AMY)
        await office.until(500)
        office.aircall.tell = office.phones.told if hooked else office.aircall.tell
        office.aircall.live[1] = "in_call"
        office.aircall.by_hand(1, "unavailable")
        await office.until(700)
        looked = len(office.aircall.of("live"))
        office.aircall.live.clear()
        office.aircall.by_hand(1, "available")
        await office.until(HOUR)

        assert looked == 1
        assert [(row.outcome, row.to) for row in office.journal.rows] == [("seen", "available")]
        assert (counted(office, "changed"), untold) == (0, [])


async def test_many_who_seem_to_be_in_a_call_make_no_storm_of_looks() -> None:
    """A list shows fifty: they are looked into one after the other, each once, and those in no call are told."""
    async with Office(team(50)) as office:
        for agent in team(50):
            office.meet(agent.email)
        await office.until(100)
        for user in range(1, 51):
            office.aircall.settings[user] = Setting("unavailable")
        office.aircall.live = dict.fromkeys(range(1, 11), "after_call_work")
        await office.until(HOUR)
        looks = office.aircall.of("look")

        assert all(later.at - sooner.at > 9.9 for sooner, later in pairwise(looks))
        assert {one.user for one in looks} == set(range(1, 51))
        assert len([one for one in looks if one.user is not None and one.user > 10]) == 40
        told = [row.agent for row in office.journal.rows if row.why == "changed in Aircall"]
        assert sorted(told) == sorted(f"a{user}@x" for user in range(11, 51))
        assert counted(office, "changed") == 40


async def test_where_one_request_a_minute_is_granted_nobody_looks_into_a_call() -> None:
    """It takes two. Then the setting and the live state are asked for at the boundary, and not before."""
    async with Office([amy()], per_minute=1) as office:
        office.meet(AMY, (HOUR, 2 * HOUR))
        await office.until(100)
        office.aircall.by_hand(1, "unavailable")
        await office.until(HOUR - 120)
        before = len(office.aircall.of("live"))
        await office.until(HOUR + 300)

        assert before == 0
        assert office.aircall.of("update") == []
        assert counted(office, "changed") == 1


@pytest.mark.parametrize("meeting", [False, True])
async def test_a_lost_ledger_strands_nobody_whom_history_tells_of(*, meeting: bool) -> None:
    """They are put back to what history says was there: at once, or when the meeting that runs is over."""
    async with Office([amy()]) as office:
        office.aircall.settings[1] = Setting("custom")
        office.meet(AMY, (60, HOUR))
        await office.until(800)

    async with Office([amy()], aircall=office.aircall, after=900) as restarted:
        recall(restarted, office)
        restarted.meet(AMY, *([(0, 600)] if meeting else []))
        await restarted.until(300)
        during = restarted.aircall.status(1)
        debt = restarted.ledger.entries[1].stance
        await restarted.until(700)

        assert during == ("unavailable" if meeting else "custom")
        assert (debt == FREE) is not meeting
        assert restarted.aircall.status(1) == "custom"
        assert counted(restarted, "hold_left") == 1
        assert restarted[AMY].stance == restarted.ledger.entries[1].stance == FREE


async def test_with_its_ledger_history_decides_nothing() -> None:
    """Who was put back, and then chose to be unavailable while nothing ran, is left alone."""
    async with Office([amy()]) as office:
        office.meet(AMY, (60, 600))
        await office.until(500)
        rows = list(office.journal.rows)
        await office.until(700)
    office.journal.rows = rows
    office.aircall.by_hand(1, "unavailable")

    async with Office([amy()], aircall=office.aircall, after=900) as restarted:
        recall(restarted, office, ledger=True)
        restarted.meet(AMY)
        await restarted.until(HOUR)

        assert restarted.aircall.status(1) == "unavailable"
        assert counted(restarted, "hold_left") == 0


async def test_another_user_for_the_same_agent_is_owed_nothing() -> None:
    """The ledger is lost and the settings name another user meanwhile, who is unavailable by their own choice."""
    async with Office([amy()]) as office:
        office.meet(AMY, (60, HOUR))
        await office.until(800)
    office.aircall.settings[2] = Setting("unavailable")

    async with Office([amy(2)], aircall=office.aircall, after=900) as restarted:
        recall(restarted, office)
        restarted.meet(AMY)
        await restarted.until(HOUR)

        assert restarted.aircall.status(2) == "unavailable"


async def test_a_user_who_vanished_in_a_meeting_and_comes_back_is_put_back() -> None:
    """Their debt was closed with them; they come back as they were."""
    async with Office(team(3)) as office:
        for number in (1, 2, 3):
            office.meet(f"a{number}@x", *([(60, 2 * HOUR)] if number == 1 else []))
        await office.until(100)
        office.aircall.removed.add(1)
        await office.until(HOUR)
        closed = office["a1@x"].stance
        office.meet("a1@x")
        office.aircall.removed.clear()
        await office.until(2 * HOUR)

        assert closed == FREE
        assert office.aircall.status(1) == "available"
        assert counted(office, "hold_left") == 1


async def test_what_is_seen_after_a_hold_was_left_behind_counts() -> None:
    """Seen as available once, an unavailable that follows is the agent's own."""
    async with Office([amy()]) as office:
        office.meet(AMY, (60, HOUR))
        await office.until(800)
    office.aircall.by_hand(1, "available")

    async with Office([amy()], aircall=office.aircall, after=900) as restarted:
        recall(restarted, office)
        restarted.meet(AMY)
        await restarted.until(60)
        restarted.aircall.by_hand(1, "unavailable")
        await restarted.until(HOUR)

        assert restarted.aircall.status(1) == "unavailable"
        assert restarted.aircall.of("update", 0.0)[1:] == []
