"""An agent's own change around a meeting, from the phones' side: what is left, what is put again, what is told."""

from __future__ import annotations

from itertools import pairwise

import pytest

from calsyncd.core.plan import StandingBack
from calsyncd.core.rules import Rules
from calsyncd.phones import Agent
from calsyncd.view import agent_view

from .company import HOUR, Office, amy, down, team

AMY = "amy@x"


def strict() -> Agent:
    """Amy, whose changes in a meeting do not stand."""
    return Agent(AMY, 1, Rules(enforce=True))


def counted(office: Office, name: str, **labels: str) -> float:
    """One series' value."""
    return office.metrics.registry.get_sample_value(name, labels) or 0.0


async def test_a_change_in_a_meeting_stands_and_nothing_is_touched_at_its_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Neither at the end of the meeting, nor because another begins in it; the one after it counts anew.

    The log calls the setting as Aircall's app does.
    """
    async with Office([amy()]) as office:
        office.meet(AMY, (60, 2000), (2400, 3000))
        await office.until(400)
        office.aircall.by_hand(1, "custom")
        await office.until(1300)
        stance = office[AMY].stance
        await office.until(2399)
        before = [one.status for one in office.aircall.of("update")]
        await office.until(HOUR)

        assert isinstance(stance, StandingBack)
        assert before == ["unavailable"]
        assert [one.status for one in office.aircall.of("update")] == ["unavailable", "unavailable", "custom"]
        assert [row.outcome for row in office.journal.rows if row.outcome == "override"] == ["override"]
    told = capsys.readouterr().out
    assert f"{AMY} changed the setting to Auto: we stand back" in told
    assert f"{AMY} is back to Auto" in told
    assert "to custom" not in told


async def test_unavailable_by_hand_before_a_meeting_is_left_alone_at_both_ends() -> None:
    """Also where changes in a meeting do not stand."""
    async with Office([strict()]) as office:
        office.aircall.settings[1] = office.aircall.settings[1].__class__("unavailable")
        office.meet(AMY, (60, 600))
        await office.until(HOUR)

        assert office.aircall.of("update") == []
        assert office.aircall.status(1) == "unavailable"


async def test_a_change_that_does_not_stand_is_put_again_and_told() -> None:
    """In the history with both changes, in the metrics, and for whoever asks why; then back to what was there."""
    async with Office([strict()]) as office:
        office.aircall.tell = office.phones.told
        office.meet(AMY, (60, 2000))
        await office.until(400)
        office.aircall.by_hand(1, "available")
        await office.until(415)
        again = office.aircall.status(1)
        reason = agent_view(office[AMY], [], None, office.clock.now())["reason"]
        await office.until(2100)

        assert "Put again after a change by hand, at 08:06:45 UTC." in reason
        assert (again, office.aircall.status(1)) == ("unavailable", "available")
        rows = [
            (row.outcome, row.actor, row.from_, row.to) for row in office.journal.rows if row.at > office.opened + 100
        ]
        assert rows == [
            ("seen", "aircall", "unavailable", "available"),
            ("done", "calsyncd", "available", "unavailable"),
            ("done", "calsyncd", "unavailable", "available"),
        ]
        assert "do not let stand" in office.journal.rows[-2].why
        assert counted(office, "calsyncd_enforced_total") == 1
        assert counted(office, "calsyncd_overrides_total") == 0
        assert counted(office, "calsyncd_boundary_lateness_seconds_count") == 2


async def test_an_agent_who_insists_has_one_update_a_minute() -> None:
    """Whoever changes it each five seconds, and is told of each time."""
    async with Office([strict()]) as office:
        office.aircall.tell = office.phones.told
        office.meet(AMY, (60, 900))
        await office.until(100)
        while office.time < 700:
            office.aircall.by_hand(1, "available")
            await office.a_while(5)
        await office.until(1000)

        puts = [one.at for one in office.aircall.of("update") if one.status == "unavailable"]
        assert 8 <= len(puts) <= 12
        assert all(later - earlier >= 60 for earlier, later in pairwise(puts[1:]))
        assert office.aircall.status(1) == "available"


async def test_what_one_agent_may_another_may_not() -> None:
    """The rule is each agent's own, and a reload changes it."""
    async with Office([strict(), *team(2)[1:]]) as office:
        office.aircall.tell = office.phones.told
        for email in (AMY, "a2@x"):
            office.meet(email, (60, HOUR))
        await office.until(100)
        for user in (1, 2):
            office.aircall.by_hand(user, "available")
        await office.until(150)
        statuses = [office.aircall.status(user) for user in (1, 2)]
        office.phones.follow([amy(), *team(2)[1:]])
        office.aircall.by_hand(1, "available")
        await office.until(400)

        assert statuses == ["unavailable", "available"]
        assert office.aircall.status(1) == "available"


async def test_an_update_that_fails_is_owed_until_it_is_done() -> None:
    """What does not stand is put again once Aircall answers, and one agent's change delays nobody."""
    async with Office([strict(), *team(2)[1:]]) as office:
        office.aircall.tell = office.phones.told
        office.meet(AMY, (60, 900))
        office.meet("a2@x", (60, 300))
        await office.until(100)
        office.aircall.by_hand(1, "available")
        office.aircall.errors["update"] = down()
        await office.until(200)
        office.aircall.errors["update"] = None
        await office.until(301)

        assert office.aircall.status(1) == "unavailable"
        assert office.put_at(2, "available") is not None


async def test_removed_or_paused_in_a_meeting_is_released_first() -> None:
    """Also where changes do not stand; and then nothing more is done."""
    for how in ("removed", "paused"):
        async with Office([strict(), *team(2)[1:]]) as office:
            office.meet(AMY, (60, HOUR))
            await office.until(100)
            if how == "removed":
                office.phones.follow(team(2)[1:])
            else:
                await office.phones.pause(AMY, None)
            await office.until(105)
            released = office.aircall.status(1)
            office.aircall.by_hand(1, "custom")
            await office.until(1000)

            assert (released, office.aircall.status(1)) == ("available", "custom")
            assert office.ledger.entries[1].stance == office["a2@x"].stance


async def test_an_own_choice_right_after_the_way_back_is_left_alone_in_the_next_meeting() -> None:
    """A webhook says that it is later than our way back, so that the look before the meeting is no read that lags."""
    async with Office([amy()]) as office:
        office.aircall.tell = lambda user, status: office.phones.told(user, status, float(int(office.clock.now())))
        office.meet(AMY, (60, 300), (303, 600))
        await office.until(301.5)
        back = office.aircall.status(1)
        office.aircall.by_hand(1, "unavailable")
        await office.until(HOUR)

        assert back == "available"
        assert office.aircall.status(1) == "unavailable"
        assert [one.status for one in office.aircall.of("update")] == ["unavailable", "available"]


async def test_webhooks_of_our_own_hold_that_come_late_hide_no_agent_from_the_next_meeting() -> None:
    """They keep the time at which it was made: the look that lags behind our way back is known as such."""
    async with Office([amy()]) as office:
        office.aircall.tell = lambda *_: None
        office.meet(AMY, (60, 300), (303, 600))
        await office.until(300.5)
        office.aircall.lagging = 1
        office.phones.told(1, "unavailable", office.opened + 60)
        await office.until(305)
        during = office.aircall.status(1)
        await office.until(HOUR)

        assert (during, office.aircall.status(1)) == ("unavailable", "available")
