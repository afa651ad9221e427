"""The storm guard, with the real syncer, store and phones: a bad import changes nobody, a real one everybody, soon."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from calsyncd.core.guard import StormLimits
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import Timeline
from calsyncd.errors import ServiceError, Unavailable
from calsyncd.phones import Agent
from tests.phones.company import Office

from .diary import Diary, ModelGoogle

COMPANY = [f"a{number}@x" for number in range(1, 21)]
HOUR = 3600.0


class Firm(Diary):
    """Twenty agents whose calendars are read by the real syncer and whose phones are the real ones."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.office = Office([Agent(email, number) for number, email in enumerate(COMPANY, 1)], per_minute=600)
        self.clock, self.scheduler = self.office.clock, self.office.scheduler
        self.google = ModelGoogle(self.clock)
        self.down = False
        self.google.fault = self._fault

    def _fault(self, calendar: str, query: Mapping[str, str]) -> ServiceError | None:
        del calendar
        bad = self.down and "syncToken" not in query
        return Unavailable("503", service="google", code="server", status=503) if bad else None

    def _told(self, email: str, timeline: Timeline | None, now: float, *, complete: bool) -> None:
        super()._told(email, timeline, now, complete=complete)
        self.office.phones.known(email, timeline, now, complete=complete)

    def _withdraw(self, email: str, timeline: Timeline | None) -> bool:
        return self.office.phones.withdraw(email, timeline)

    async def begin(self) -> None:
        """Follow everybody, each with a calendar of their own, and let the first reads pass."""
        self.office.phones.follow(self.office._agents)
        self.syncer.follow({email: ((email,), Rules()) for email in COMPANY})
        await self.a_while(20)

    async def begin_after(self, former: Firm) -> None:
        """A restart: Google's calendars are as they were left, and what the store knows of them is taken up."""
        self.google.events = former.google.events
        self.syncer.follow({email: ((email,), Rules()) for email in COMPANY})
        self.syncer.restore(await self.shelf.store.calendars(), [])
        await self.begin()

    def hold_up(self) -> None:
        """Aircall is slow, and no calendar can be read whole: what changes is neither acted on nor confirmed."""
        self.office.aircall.all_latencies(3.0)
        self.google.seconds = 0.01
        self.down = True

    def everybody(self, name: str, start: float, end: float, *, cancel: bool = False) -> None:
        """An event in each calendar, and push tells of each."""
        for email in COMPANY:
            if cancel:
                self.cancel(email, name)
            else:
                self.event(email, name, start, end)
        self.tell(*COMPANY)

    def tell(self, *emails: str) -> None:
        """Push tells that these agents' calendars changed."""
        for email in emails:
            self.syncer._mark(self.syncer.of_agent(email)[0], "push")

    @property
    def off(self) -> int:
        """How many are unavailable."""
        return sum(setting.availability_status == "unavailable" for setting in self.office.aircall.settings.values())

    @property
    def alarms(self) -> int:
        """How many agents show the trouble."""
        return sum(self.syncer.storm.alarm_of(email) is not None for email in COMPANY)

    def baselines(self, since: float) -> set[str]:
        """Which calendars were read whole since then."""
        return {calendar for at, calendar, query in self.google.lists if at >= since and "syncToken" not in query}


async def test_a_first_start_is_exempt(tmp_path: Path) -> None:
    """Twenty calendars in which a meeting runs are believed at once: they were read whole."""
    async with Firm(tmp_path) as firm:
        for email in COMPANY:
            firm.event(email, "m", -60, HOUR)
        await firm.begin()
        assert (firm.off, firm.alarms) == (20, 0)


async def test_the_same_again_is_the_same_timeline(tmp_path: Path) -> None:
    """What says nothing new takes the place of nothing: whoever works with the timeline sees that nothing changed."""
    async with Firm(tmp_path) as firm:
        await firm.begin()
        agent = firm.office.phones._roster.agents[COMPANY[0]]
        before = agent.timeline

        assert before is not None
        assert await firm.syncer.retold(COMPANY[0])
        assert agent.timeline is before


async def test_edits_below_the_limits_are_not_held_back(tmp_path: Path) -> None:
    """Ten of twenty change within a minute: each is told at once, and none is read twice."""
    async with Firm(tmp_path) as firm:
        await firm.begin()
        for email in COMPANY[:10]:
            firm.event(email, "m", -60, HOUR)
        began = firm.time
        firm.tell(*COMPANY[:10])
        await firm.a_while(1)
        assert (firm.off, firm.alarms, firm.baselines(began)) == (10, 0, set())


async def test_a_real_storm_is_acted_on_once_it_is_confirmed(tmp_path: Path) -> None:
    """All twenty change at once: nobody beyond the limit goes before every calendar was read whole; then all do."""
    async with Firm(tmp_path) as firm:
        await firm.begin()
        firm.google.seconds = 0.5
        began = firm.time
        firm.everybody("m", -60, HOUR)
        await firm.a_while(1.6)
        assert firm.alarms >= 10
        assert firm.off <= 10
        await firm.a_while(15)
        assert (firm.off, firm.alarms) == (20, 0)
        assert len(firm.baselines(began)) == 20


async def test_what_was_not_acted_on_is_taken_back(tmp_path: Path) -> None:
    """While Aircall is slow, the flips of the same minute that came before the limit was reached go nowhere either."""
    async with Firm(tmp_path) as firm:
        await firm.begin()
        firm.hold_up()
        firm.everybody("m", -60, HOUR)
        await firm.a_while(60)
        assert (firm.off, firm.alarms) == (0, 20)
        assert firm.office.aircall.of("update") == []


async def test_a_bad_import_that_is_corrected_changes_nobody(tmp_path: Path) -> None:
    """Baselines fail for five minutes and then come corrected: the alarm stays until then, and nothing happened."""
    async with Firm(tmp_path) as firm:
        await firm.begin()
        firm.office.aircall.all_latencies(3.0)
        firm.google.seconds = 0.01
        firm.event("a1@x", "known", 120, 240)
        firm.tell("a1@x")
        await firm.a_while(5)
        firm.down = True
        firm.everybody("m", -60, HOUR)
        await firm.a_while(180)
        assert (firm.off, firm.alarms) == (1, 20), "the meeting that was known goes on as usual"
        assert firm.office["a1@x"].stance != firm.office["a2@x"].stance
        for email in COMPANY:
            del firm.google.events[email]["m"]
        await firm.a_while(120)
        firm.down = False
        await firm.a_while(120)
        assert (firm.off, firm.alarms) == (0, 0)
        assert {one.user for one in firm.office.aircall.of("update")} == {1}


async def test_cancelled_for_all_at_once(tmp_path: Path) -> None:
    """The other way round: nobody is put back into a meeting's call before the calendars were read whole."""
    async with Firm(tmp_path) as firm:
        for email in COMPANY:
            firm.event(email, "m", -60, HOUR)
            firm.event(email, "later", 2 * HOUR, 3 * HOUR)
        await firm.begin()
        firm.hold_up()
        firm.everybody("m", 0, 0, cancel=True)
        await firm.a_while(30)
        assert (firm.off, firm.alarms) == (20, 20)
        firm.down = False
        await firm.a_while(60)
        assert (firm.off, firm.alarms) == (0, 0)


async def test_a_restart_in_a_storm_believes_nothing_of_it(tmp_path: Path) -> None:
    """What was taken in and not confirmed counts as unread after a crash: nobody is taken off for it."""
    async with Firm(tmp_path) as firm:
        await firm.begin()
        firm.hold_up()
        firm.everybody("m", -60, HOUR)
        await firm.a_while(10)
        stored = await firm.shelf.store.calendars()
        assert {row.bookmark.token for row in stored.values()} == {""}
    async with Firm(tmp_path) as again:
        again.down = True
        await again.begin_after(firm)
        assert again.off == 0
        again.down = False
        await again.a_while(60)
        assert again.off == 20


async def test_a_storm_while_the_daemon_was_down(tmp_path: Path) -> None:
    """What changed for all meanwhile comes as deltas after a restart: it is compared with what was in force before."""
    async with Firm(tmp_path) as firm:
        await firm.begin()
    async with Firm(tmp_path) as again:
        for email in COMPANY:
            firm.event(email, "m", -60, HOUR)
        again.hold_up()
        await again.begin_after(firm)
        assert (again.off, again.alarms) == (0, 20)
        again.down = False
        await again.a_while(60)
        assert (again.off, again.alarms) == (20, 0)


async def test_an_agent_who_is_removed_ends_the_wait_for_them(tmp_path: Path) -> None:
    """Nobody waits for a calendar that is not followed any more; the limits change live."""
    async with Firm(tmp_path) as firm:
        await firm.begin()
        firm.hold_up()
        firm.everybody("m", -60, HOUR)
        await firm.a_while(5)
        assert firm.alarms == 20
        firm.syncer.storm.limits = StormLimits(share=1.0)
        firm.syncer.follow({email: ((email,), Rules()) for email in COMPANY[:3]})
        await firm.a_while(5)
        assert firm.alarms == 3
        firm.down = False
        await firm.a_while(60)
        assert firm.alarms == 0


async def test_who_flips_again_while_the_storm_lasts_waits_too(tmp_path: Path) -> None:
    """Who was taken off before the limit was reached is not put back by the next delta, but by a whole read."""
    async with Firm(tmp_path) as firm:
        await firm.begin()
        firm.event("a1@x", "m", -60, HOUR)
        firm.tell("a1@x")
        await firm.a_while(5)
        assert firm.off == 1
        firm.hold_up()
        firm.everybody("m", -60, HOUR)
        await firm.a_while(5)
        assert (firm.off, firm.alarms) == (1, 19)
        firm.down = False
        firm.google.fault = lambda calendar, query: (
            Unavailable("503", service="google", code="server", status=503)
            if "syncToken" not in query and calendar != "a1@x"
            else None
        )
        await firm.a_while(5)
        firm.google.fault = firm._fault
        firm.down = True
        firm.cancel("a1@x", "m")
        firm.tell("a1@x")
        await firm.a_while(5)
        assert (firm.off, firm.alarms) == (1, 20)
        firm.down = False
        await firm.a_while(60)
        assert (firm.off, firm.alarms) == (19, 0)
