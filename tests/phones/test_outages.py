"""An office that opens again after an absence: whom it concerned, and when each was right again, to the instant."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from structlog.testing import capture_logs

from calsyncd.core.guard import Floor
from calsyncd.core.model import Setting
from calsyncd.core.outage import Concerned, Outage
from calsyncd.phones import Agent, Outages

from .company import HOUR, Office, amy, bad_key, down, team

AMY = "amy@x"
AWAY = 1000.0
"""The first office dies 70 s after it opened; the second one opens so long after the first."""


class Reopened(Office):
    """An office that opens `AWAY` seconds after `former`, which was last alive at 70. `unread` calendars wait."""

    def __init__(self, agents: Iterable[Agent], former: Office | None = None) -> None:
        super().__init__(agents, after=AWAY, aircall=former.aircall if former is not None else None)
        self.former = former
        self.unread: set[str] = set()
        self.outages = Outages(self.roster, is_read=lambda email, _: email not in self.unread, touch=self.phones.touch)
        self.phones.watch(self.outages.judged)

    async def opens(self) -> None:
        """Take up what the former one left."""
        if self.former is not None:
            self.restore(self.former)
        self.outages.began("stopped", self.opened - AWAY + 70, self.opened)

    def says(self, email: str, *meetings: tuple[float, float]) -> None:
        """The agent's calendars, in seconds after the former office had opened."""
        self.meet(email, *((start - AWAY, end - AWAY) for start, end in meetings))

    @property
    def report(self) -> Outage:
        """The report as it is now."""
        outage = self.outages.outage
        assert outage is not None
        return outage

    def of(self, email: str) -> Concerned | None:
        """One agent's part of it, in seconds after the former office had opened."""
        base = self.opened - AWAY
        for one in self.report.agents:
            if one.email == email:
                right_at = None if one.right_at is None else round(one.right_at - base - AWAY, 3)
                return Concerned(email, tuple(at - base for at in one.boundaries), right_at, one.updated)
        return None


async def held(*agents: Agent, meeting: tuple[float, float] = (60, 600)) -> Office:
    """An office that died while these were held."""
    async with Office(agents) as office:
        await office.until(10)
        for agent in agents:
            office.meet(agent.email, meeting)
        await office.until(70)
        assert all(office.held(agent.email) for agent in agents)
    return office


async def test_each_is_right_at_the_instant_of_what_made_them_so() -> None:
    """A way back and a start by the answers of their updates, whatever the disk takes; the others as they were read."""
    former = await held(*team(1))
    with capture_logs() as logs:
        async with Reopened(team(5), former) as office:
            await office.opens()
            office.ledger.slow = lambda: office.clock.sleep(0.4)
            await office.until(0.5)
            assert (office.report.waiting, office.report.agents, office.report.over) == (5, (), False)
            office.says("a1@x", (60, 600))
            office.says("a2@x", (500, 2000))
            office.says("a3@x", (300, 400))
            office.says("a4@x")
            await office.until(0.55)
            assert office.of("a1@x") == Concerned("a1@x", (600,))
            assert office.report.waiting == 1
            await office.until(5)
            office.says("a5@x", (2000, 3000))
            await office.until(6)

            released, taken = (office.put_at(1, "available"), office.put_at(2, "unavailable"))
            assert released is not None
            assert taken is not None
            assert office.of("a1@x") == Concerned("a1@x", (600,), round(released, 3), updated=True)
            assert office.of("a2@x") == Concerned("a2@x", (500,), round(taken, 3), updated=True)
            assert office.of("a3@x") == Concerned("a3@x", (300, 400), 0.5)
            assert (office.report.unconcerned, office.report.waiting, office.report.over) == (2, 0, True)
            assert office.report.seconds == AWAY - 70

    said = [line for line in logs if str(line.get("action")).startswith("outage")]
    assert [line["action"] for line in said] == ["outage", *["outage_right"] * 3, "outage_over"]
    assert said[0]["event"] == "calsyncd was away from 2027-01-15T08:01:10Z to 2027-01-15T08:16:40Z (930 s)"
    by_agent = {line["agent"]: line["event"] for line in said[1:-1]}
    assert by_agent["a3@x"] == "a3@x: 2 boundaries fell into it, found right 0.50 s after the start"
    assert by_agent["a1@x"] == f"a1@x: 1 boundary fell into it, right again {released:.2f} s after the start"
    assert said[-1]["event"] == (
        f"Everybody is right again, {max(released, taken):.2f} s after the start: 3 of 5 agents concerned, 2 updated"
    )


async def test_not_right_while_aircall_is_down() -> None:
    """However often it is tried: the instant of the answer counts."""
    async with Reopened([amy()], await held(amy())) as office:
        await office.opens()
        office.aircall.all_fail(down())
        office.says(AMY, (60, 600))
        await office.until(40)
        assert office.of(AMY) == Concerned(AMY, (600,))
        office.aircall.all_fail(None)
        await office.until(120)
        back = office.put_at(1, "available")

        assert back is not None
        assert back > 40
        assert office.of(AMY) == Concerned(AMY, (600,), round(back, 3), updated=True)


async def test_an_earlier_answer_that_is_missing_keeps_nobody_from_being_right() -> None:
    """A debt that is kept for its sake for a minute is no wrong: the answer of the update that came counts."""
    async with Reopened([amy()], await held(amy())) as office:
        await office.opens()
        office.aircall.errors["update"] = down()
        office.says(AMY, (60, 600))
        await office.until(5)
        office.aircall.errors["update"] = None
        await office.until(15)
        back = office.put_at(1, "available", since=5)

        assert office.held(AMY)
        assert back is not None
        assert office.of(AMY) == Concerned(AMY, (600,), round(back, 3), updated=True)


async def test_a_key_that_is_refused_makes_nobody_right() -> None:
    """While nothing may begin nothing is owed either, and the agent in a meeting is as wrong as before."""
    async with Reopened([amy()]) as office:
        await office.opens()
        office.aircall.all_fail(bad_key())
        office.says(AMY, (500, 5000))
        await office.until(90)
        assert office[AMY].owed is False
        assert office.of(AMY) == Concerned(AMY, (500,))
        office.aircall.all_fail(None)
        await office.until(400)

        taken = office.put_at(1, "unavailable")
        assert taken is not None
        assert office.of(AMY) == Concerned(AMY, (500,), round(taken, 3), updated=True)


async def test_a_call_that_is_waited_for() -> None:
    """Whoever reads as unavailable in a call is not right before it is known whose choice that was."""
    async with Reopened([amy()]) as office:
        await office.opens()
        office.aircall.settings[1] = Setting("unavailable")
        office.aircall.live[1] = "in_call"
        office.says(AMY, (500, 5000))
        await office.until(20)
        assert office.of(AMY) == Concerned(AMY, (500,))
        office.aircall.live[1] = "do_not_disturb"
        await office.until(120)
        found = office.of(AMY)

        assert found is not None
        assert found.right_at is not None
        assert (20 < found.right_at < 120, found.updated) == (True, False)


async def test_a_calendar_that_could_not_be_read_leaves_the_report_open() -> None:
    """What it would say is not known; its next reading settles that though it changes nothing."""
    async with Reopened([amy()], await held(amy())) as office:
        await office.opens()
        office.unread = {AMY}
        office.says(AMY, (60, 600))
        await office.until(30)
        assert office.aircall.status(1) == "available"
        assert (office.report.waiting, office.report.over) == (1, False)
        office.unread = set()
        office.outages.read(AMY)
        await office.until(31)

        assert office.of(AMY) == Concerned(AMY, (600,), 30.0, updated=True)


async def test_a_meeting_that_was_cancelled_meanwhile() -> None:
    """No boundary is left of it, and yet the agent had to be put back."""
    with capture_logs() as logs:
        async with Reopened([amy()], await held(amy(), meeting=(60, 5000))) as office:
            await office.opens()
            office.says(AMY)
            await office.until(10)
            found = office.of(AMY)

    assert found is not None
    assert (found.boundaries, found.updated) == ((), True)
    (line,) = [line for line in logs if line.get("action") == "outage_right"]
    assert line["event"].startswith("amy@x: something was owed, right again ")


async def test_an_update_whose_answer_was_still_out() -> None:
    """It landed: nothing was wrong, and what shows that are looks.

    The first does not tell a call, the second asks for the live state, and the third is due since an answer is missing.
    """
    async with Office([amy()]) as former:
        former.aircall.latency["update"] = 60.0
        await former.until(10)
        former.meet(AMY, (60, 5000))
        await former.until(70)
    former.aircall.settings[1] = Setting("unavailable")
    former.aircall.latency["look"] = 3.0
    async with Reopened([amy()], former) as office:
        await office.opens()
        office.says(AMY, (60, 5000))
        await office.until(2.9)
        assert office.of(AMY) == Concerned(AMY)
        await office.until(10)

        assert office.of(AMY) == Concerned(AMY, right_at=9.05)


async def test_a_hold_that_goes_on_and_a_boundary_after_the_start_are_no_part_of_it() -> None:
    """Nothing fell into it, though an update goes out right after the start."""
    async with Reopened(team(2), await held(*team(1), meeting=(60, 5000))) as office:
        await office.opens()
        await office.until(0.5)
        office.says("a1@x", (60, 5000))
        office.says("a2@x", (1000.2, 2000))
        await office.until(10)

        assert office.aircall.status(2) == "unavailable"
        assert (office.report.agents, office.report.unconcerned, office.report.over) == ((), 2, True)


async def test_who_is_paused_observed_kept_or_unknown() -> None:
    """A pause has no boundaries; who is only observed or kept is owed nothing; who has no phone keeps nothing open."""
    agents = [*team(3), Agent("nobody@x", "nobody@x")]
    agents[1].observe = True
    async with Office(team(1)) as former:
        await former.phones.pause("a1@x", None)
    async with Reopened(agents, former) as office:
        await office.opens()
        office.phones.keep_available([Floor("all", 3, None)])
        for agent in agents:
            office.says(agent.email, (500, 5000))
        await office.until(30)

        assert office.of("a1@x") is None
        assert office.of("a2@x") == Concerned("a2@x", (500,), 0.0)
        assert office.aircall.status(3) == "available"
        kept = office.of("a3@x")
        assert kept is not None
        assert (kept.boundaries, kept.updated, kept.right_at is not None) == ((500,), False, True)
        assert office.of("nobody@x") is None
        assert (office.report.unconcerned, office.report.over) == (2, True)


async def test_who_was_removed_from_the_settings_or_from_aircall() -> None:
    """Whoever is held and not named any more is put back, and that is told; whoever is gone keeps nothing open."""
    former = await held(*team(2))
    async with Reopened(team(1), former) as office:
        await office.opens()
        office.says("a1@x", (60, 600))
        office.aircall.removed.add(1)
        await office.until(HOUR)
        removed = office.of("a2@x")

        assert office.aircall.status(2) == "available"
        assert removed is not None
        assert (removed.boundaries, removed.updated) == ((), True)
        assert office.report.over


@pytest.mark.parametrize("seconds", [3600.0, 90.0])
async def test_a_sleep_of_the_machine(seconds: float) -> None:
    """It is an absence too: known by the calendars that are read after it."""
    async with Reopened(team(2)) as office:
        office.scheduler.when_stepped(lambda now, jump: office.outages.began("slept", now - jump, now))
        office.says("a1@x", (1050, 1120), (9000, 9100))
        office.says("a2@x")
        await office.until(60)
        assert office.held("a1@x")
        office.unread = {"a1@x", "a2@x"}
        office.clock.jump(seconds)
        await office.a_while(3)
        assert office.report.waiting == 2
        office.unread = set()
        office.outages.read("a1@x")
        office.outages.read("a2@x")
        await office.a_while(10)
        found = office.of("a1@x")

        assert found is not None
        assert (found.boundaries, found.updated) == ((1120,), True)
        assert office.report.cause == "slept"
        assert office.report.seconds == pytest.approx(seconds)
        assert office.report.over


async def test_a_short_restart_is_told_only_if_it_concerned_somebody() -> None:
    """Three seconds and nobody in them are not worth a line."""
    with capture_logs() as logs:
        async with Reopened([amy()]) as office:
            office.outages.began("stopped", office.opened - 3, office.opened)
            office.says(AMY, (2000, 3000))
            await office.until(10)
            assert office.report.over
    assert not [line for line in logs if str(line.get("action")).startswith("outage")]

    with capture_logs() as logs:
        async with Reopened([amy()]) as office:
            office.outages.began("stopped", office.opened - 3, office.opened)
            office.says(AMY, (999, 3000))
            await office.until(10)
    told = [line["action"] for line in logs if str(line.get("action")).startswith("outage")]
    assert told == ["outage", "outage_right", "outage_over"]
