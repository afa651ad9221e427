"""Pausing and following again, one agent or all: released first, told with who and why, kept over a restart."""

from __future__ import annotations

import asyncio

import pytest

from .company import HOUR, Office, amy, team

AMY = "amy@x"


async def test_a_pause_and_its_end_are_told_with_who_and_why() -> None:
    """In the history, each with its actor; the end by itself too."""
    async with Office([amy()]) as office:
        office.meet(AMY, (60, HOUR))
        await office.until(100)
        await office.phones.pause(AMY, office.clock.now() + 600, "lena", "headset")
        await office.until(200)
        during = office.aircall.status(1)
        await office.until(702)
        await office.phones.pause(AMY, None, "lena")
        await office.phones.resume(AMY, "otto", "new headset")

        rows = [
            (row.outcome, row.actor, row.why) for row in office.journal.rows if row.outcome in ("paused", "resumed")
        ]
        assert during == "available"
        assert office.aircall.status(1) == "unavailable"
        assert rows[0][:2] == ("paused", "lena")
        assert rows[0][2].startswith("paused until 20")
        assert rows[0][2].endswith("Z: headset")
        assert rows[1:] == [
            ("resumed", "calsyncd", "the pause is over"),
            ("paused", "lena", "paused until resumed"),
            ("resumed", "otto", "followed again: new headset"),
        ]
        assert [row.why for row in office.journal.rows if row.to == "available" and row.outcome == "done"] == ["paused"]
        late = [row.late_ms for row in office.journal.rows if row.to == "unavailable" and row.outcome == "done"]
        assert all(ms is not None and ms < 3000 for ms in late), "nothing is owed while they are paused"


async def test_everybody_at_once_and_over_a_restart() -> None:
    """Whoever is held goes back, nobody is held again; a restart keeps it, and resuming ends it for all."""
    async with Office(team(3)) as office:
        for number in (1, 2, 3):
            office.meet(f"a{number}@x", (60, HOUR))
        await office.until(100)
        await office.phones.pause_all(None, "lena", "outage")
        await office.until(110)
        statuses = [office.aircall.status(user) for user in (1, 2, 3)]
        paused = [row.agent for row in office.journal.rows if row.outcome == "paused"]

    async with Office(team(3), aircall=office.aircall) as restarted:
        restarted.restore(office)
        for number in (1, 2, 3):
            restarted.meet(f"a{number}@x", (0, HOUR))
        await restarted.until(60)
        still = [restarted.aircall.status(user) for user in (1, 2, 3)]
        resumed = await restarted.phones.resume_all("lena")
        await restarted.until(90)
        after = [restarted.aircall.status(user) for user in (1, 2, 3)]

    assert statuses == still == ["available"] * 3
    assert paused == resumed == ["a1@x", "a2@x", "a3@x"]
    assert after == ["unavailable"] * 3
    assert restarted.ledger.pauses["a1@x"].until is None


async def test_resuming_all_ends_the_pause_of_who_is_not_named_now() -> None:
    """Named again, they are followed."""
    async with Office(team(2)) as office:
        await office.phones.pause_all()
        office.phones.follow(team(1))
        await office.until(30)
        await office.phones.resume_all()
        office.phones.follow(team(2))
        office.meet("a2@x", (60, HOUR))
        await office.until(70)

        assert office.aircall.status(2) == "unavailable"


async def test_a_pause_that_ended_while_nothing_ran_is_no_news() -> None:
    """A restart follows the agent, and a reload tells nothing of it either."""
    async with Office([amy()]) as office:
        await office.phones.pause(AMY, office.clock.now() + 5)
        await office.until(1)
    async with Office([amy()], aircall=office.aircall) as restarted:
        await restarted.until(30)
        restarted.restore(office)
        restarted.phones.follow([amy()])
        restarted.meet(AMY, (40, HOUR))
        await restarted.until(60)

        assert restarted.aircall.status(1) == "unavailable"
        assert [row for row in restarted.journal.rows if row.outcome == "resumed"] == []


@pytest.mark.parametrize("everybody", [True, False])
async def test_on_a_full_disk_it_holds_as_long_as_the_process(*, everybody: bool) -> None:
    """It is said that it could not be written; whoever is held goes back all the same."""
    async with Office([amy()]) as office:
        office.meet(AMY, (60, HOUR))
        await office.until(100)
        office.ledger.full = True
        with pytest.raises(OSError, match="No space"):
            await (office.phones.pause_all() if everybody else office.phones.pause(AMY, None))
        await office.until(400)

        assert office.aircall.status(1) == "available"


async def test_a_disk_that_hangs_keeps_nobody_waiting() -> None:
    """Whoever is held goes back, and whoever asked is told that it was not written."""
    async with Office([amy()]) as office:
        office.meet(AMY, (60, HOUR))
        await office.until(100)
        office.ledger.hangs = True
        asked = asyncio.create_task(office.phones.pause_all())
        await office.a_while(5)
        released = office.aircall.status(1)
        await office.a_while(10)

        assert released == "available"
        assert isinstance(asked.exception(), OSError)
