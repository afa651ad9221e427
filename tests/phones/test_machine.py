"""Everything at once, in any order: once the world is quiet, each agent is set to what the table says.

A stateful machine against the sandbox's Aircall on a virtual clock: agents change their settings, calendars change,
the daemon dies at any turn of its event loop, others use the budget up, requests and webhooks are lost, late, doubled.

CI plays the same short days each time. For longer ones, each time others:

    CALSYNCD_MACHINE_EXAMPLES=2000 pytest tests/phones/test_machine.py --timeout=0
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import tempfile
from collections.abc import Coroutine, MutableMapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import structlog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from calsyncd.aircall import client
from calsyncd.core.rules import Rules
from calsyncd.phones import Agent
from calsyncd.sandbox.aircall import RateSignal

from .firm import Fate, Firm, MailFate
from .person import MINUTE, Meetings

MORE = os.environ.get("CALSYNCD_MACHINE_EXAMPLES")
SETTLED_SECONDS = 16 * MINUTE
MOST_AGENTS = 8
MEMORY = Path("/dev/shm")  # noqa: S108 - a name of its own is made in it

who = st.integers(0, MOST_AGENTS - 1)
evenings = st.sampled_from(["comes back", "comes back", "is in a call", "leaves", "nothing"])
statuses = st.sampled_from(["available", "custom", "unavailable"])
moments = st.sampled_from([0.3, 2.0, 4.0, 6.0, 20.0, 61.0, 180.0, 600.0])
beside_boundary = st.sampled_from([-62.0, -59.0, -2.1, -1.9, -0.15, -0.05, 0.0, 0.02, 0.2, 1.0, 4.0, 6.0, 61.0])


class Machine(RuleBasedStateMachine):
    """A company's bad day."""

    alarms: ClassVar[list[str]] = []

    def __init__(self) -> None:
        super().__init__()
        # In memory, where that is possible: who syncs to a disk waits for it longer than all the rest takes.
        self.folder = Path(tempfile.mkdtemp(prefix="calsyncd-machine-", dir=MEMORY if MEMORY.is_dir() else None))
        self.runner = asyncio.Runner()
        self.firm: Firm
        self.per_page = client.PER_PAGE

    @initialize(
        team=st.integers(3, MOST_AGENTS),
        per_minute=st.integers(6, 20),
        enforced=st.integers(0, 2),
        bridge=st.sampled_from([0.0, 120.0]),
        disk=st.sampled_from([0.0, 0.02, 0.5]),
        hooked=st.booleans(),
        signal=st.sampled_from(["reset_seconds", "reset_milliseconds", "retry_after", "retry_after_date", "none"]),
        rate_headers=st.booleans(),
        lag=st.sampled_from([0.0, 0.0, 1.0, 3.0]),
        echo=st.booleans(),
        calls_read_unavailable=st.booleans(),
        small_pages=st.booleans(),
        second=st.sampled_from([0.0, 0.5, 17.0, 59.9]),
        evening=st.lists(evenings, min_size=MOST_AGENTS, max_size=MOST_AGENTS),
        back_to=st.sampled_from(["available", "custom"]),
        leaves=st.sampled_from([-55.0, -20.0, 0.5]),
    )
    def open(
        self,
        *,
        team: int,
        per_minute: int,
        enforced: int,
        bridge: float,
        disk: float,
        hooked: bool,
        signal: RateSignal,
        rate_headers: bool,
        lag: float,
        echo: bool,
        calls_read_unavailable: bool,
        small_pages: bool,
        second: float,
        evening: list[str],
        back_to: str,
        leaves: float,
    ) -> None:
        self.evening, self.back_to, self.leaves = evening, back_to, leaves
        agents = [Agent(f"a{n}@x", 500 + n, Rules(bridge=bridge, enforce=n < enforced)) for n in range(team)]
        client.PER_PAGE = 2 if small_pages else self.per_page
        self.firm = Firm(
            self.folder / "ledger",
            agents,
            per_minute=per_minute,
            disk_seconds=disk,
            hooked=hooked,
            opened=1_800_000_000.0 + second,
        )
        switches = self.firm.sandbox.switches
        switches.rate_signal, switches.rate_headers = signal, rate_headers
        switches.read_lag, switches.echo = lag, echo
        switches.calls_read_unavailable = calls_read_unavailable
        self.run(self._open())

    async def _open(self) -> None:
        self.firm.start()
        await self.firm.pass_time(5.0)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something, and see that nothing that must not be has been."""
        try:
            self.runner.run(work)
        except Exception as error:
            error.add_note(self._story())
            raise
        self._see()

    def _see(self) -> None:
        while self.alarms:
            self.firm.oracle.wrong(self.alarms.pop())
        assert not self.firm.oracle.faults, self._story()

    def _story(self) -> str:
        return "\n".join([*self.firm.oracle.story[-400:], *self.firm.oracle.faults])

    def email(self, number: int) -> str:
        emails = list(self.firm.people)
        return emails[number % len(emails)]

    # -- time ------------------------------------------------------------------------------------------------------

    @rule(seconds=moments)
    def wait(self, seconds: float) -> None:
        self.run(self.firm.pass_time(seconds))

    @rule(offset=beside_boundary)
    def wait_for_boundary(self, offset: float) -> None:
        """Be just before or after something that the calendars have in store."""
        now = self.firm.clock.now()
        ahead = [at + offset for one in self.firm.oracle.people for at in one.boundaries() if at + offset > now]
        self.run(self.firm.pass_time(min(ahead, default=now + 1.0) - now))

    @rule(
        turns=st.integers(0, 400),
        seconds=st.sampled_from([0.2, 6.0, 61.0, 400.0]),
        downtime=st.sampled_from([0.3, 3.0, 40.0, 400.0]),
        unread=st.sampled_from([0.0, 0.5, 5.0]),
        forgets=st.booleans(),
    )
    def die(self, turns: int, seconds: float, downtime: float, unread: float, forgets: bool) -> None:
        """The daemon dies at some turn from now, and what is not in the ledger may be forgotten."""
        firm = self.firm
        firm.clock.fuse, firm.downtime, firm.unread_seconds, firm.forgets = turns, downtime, unread, forgets
        self.run(firm.pass_time(seconds))

    # -- people ----------------------------------------------------------------------------------------------------

    @rule(number=who, status=statuses, reason=st.booleans())
    def choose(self, number: int, status: str, reason: bool) -> None:
        """An agent changes the setting in the app."""
        substatus = "on_a_break" if reason and status == "unavailable" else None
        self.run(self._choose(self.email(number), status, substatus))

    @rule(number=who, status=statuses, wait=st.sampled_from([0.0, 0.1, 1.0, 6.0, 20.0]))
    def choose_in_meeting(self, number: int, status: str, wait: float) -> None:
        """Somebody who is held changes the setting, and perhaps nothing happens for a moment."""
        held = [one.email for one in self.firm.oracle.people if one.ours]
        if held:
            self.run(self._choose(held[number % len(held)], status, None))
            self.run(self.firm.pass_time(wait))

    async def _choose(self, email: str, status: str, substatus: str | None) -> None:
        self.firm.by_hand(email, status, substatus)

    @rule(number=who, state=st.sampled_from([None, None, "in_call", "after_call_work", "offline"]))
    def live(self, number: int, state: str | None) -> None:
        """A call, or somebody logs out."""
        self.run(self._live(self.email(number), state))

    async def _live(self, email: str, state: str | None) -> None:
        self.firm.set_live(email, state)

    # -- calendars -------------------------------------------------------------------------------------------------

    @rule(
        numbers=st.sets(who, min_size=1),
        start=st.integers(-5, 20),
        minutes=st.sampled_from([0.5, 1.0, 2.0, 5.0, 15.0, 30.0]),
        snapped=st.booleans(),
    )
    def meet(self, numbers: set[int], start: int, minutes: float, snapped: bool) -> None:
        """A meeting for some of them."""
        at = self.firm.clock.now() + start * MINUTE
        at = at // 300 * 300 if snapped else float(round(at))
        for email in sorted({self.email(number) for number in numbers}):
            self._calendar(email, (*self.firm.oracle.person(email).meetings, (at, at + minutes * MINUTE)))
        self.run(self.firm.pass_time(0.0))

    @rule(
        start=st.sampled_from([0.0, 1.0, 2.0, 5.0, 12.0]),
        minutes=st.sampled_from([0.5, 3.0, 10.0, 30.0]),
        stagger=st.sampled_from([0.0, 0.0, 5.0, 60.0]),
        absent=who,
    )
    def all_hands(self, start: float, minutes: float, stagger: float, absent: int) -> None:
        """A meeting of all but one: a crowd for the budget."""
        at = float(round(self.firm.clock.now() + start * MINUTE))
        for number, email in enumerate(self.firm.people):
            if number != absent:
                end = at + minutes * MINUTE + stagger * number
                self._calendar(email, (*self.firm.oracle.person(email).meetings, (at, end)))
        self.run(self.firm.pass_time(0.0))

    @rule(number=who, which=st.integers(0, 3), change=st.sampled_from(["cancel", "extend", "end", "move", "clear"]))
    def edit(self, number: int, which: int, change: str) -> None:
        """A meeting changes, perhaps while it runs."""
        email, now = self.email(number), self.firm.clock.now()
        meetings = list(self.firm.oracle.person(email).meetings)
        if not meetings:
            return
        start, end = meetings.pop(which % len(meetings))
        if change == "clear":
            meetings.clear()
        elif change == "extend":
            meetings.append((start, end + 7 * MINUTE))
        elif change == "end" and now > start:
            meetings.append((start, min(end, now)))
        elif change == "move":
            meetings.append((start + 4 * MINUTE, end + 4 * MINUTE))
        self._calendar(email, tuple(meetings))
        self.run(self.firm.pass_time(0.0))

    def _calendar(self, email: str, meetings: Meetings) -> None:
        now = self.firm.clock.now()
        kept = tuple(one for one in meetings if one[1] > now - 10 * MINUTE)
        if kept == self.firm.oracle.person(email).meetings:
            return
        self.firm.oracle.person(email).meet(kept, now)
        shown = [(round(start - 1_800_000_000, 2), round(end - 1_800_000_000, 2)) for start, end in kept]
        self.firm.oracle.tell(f"{email} meets {shown}")
        self.firm.tell(email)

    # -- the world -------------------------------------------------------------------------------------------------

    @rule(
        fates=st.lists(st.sampled_from(["answered", "unreachable", "lost", "landed", "late"]), max_size=6),
        lateness=st.sampled_from([1.0, 9.0, 13.0, 40.0, 65.0]),
    )
    def wire(self, fates: list[Fate], lateness: float) -> None:
        """What becomes of the next requests."""
        self.firm.fates.extend(fates)
        self.firm.lateness = lateness

    @rule(
        number=who,
        begins=st.booleans(),
        minutes=st.sampled_from([0.2, 0.5, 2.0]),
        fate=st.sampled_from(["lost", "landed", "late"]),
        lateness=st.sampled_from([13.0, 40.0, 58.0]),
        wait=st.sampled_from([0.0, 1.0, 3.0, 12.0]),
        dies=st.booleans(),
    )
    def update_late(
        self, *, number: int, begins: bool, minutes: float, fate: Fate, lateness: float, wait: float, dies: bool
    ) -> None:
        """A meeting begins or ends now and the opposite is wanted soon; perhaps by then the update has not landed yet.

        What was under way when the daemon died lands within a minute of being sent: for so long the ledger's word is
        doubted.
        """
        firm, email, now = self.firm, self.email(number), self.firm.clock.now()
        meetings = self.firm.oracle.person(email).meetings
        if begins:
            meetings = (*meetings, (now, now + minutes * MINUTE))
        else:
            later = tuple(one for one in meetings if one[0] > now)
            meetings = (*later, (now + minutes * MINUTE, now + minutes * MINUTE + 10 * MINUTE))
        firm.update_fates.append(fate)
        firm.lateness = lateness
        self._calendar(email, meetings)
        self.run(firm.pass_time(wait))
        if dies:
            firm.clock.fuse, firm.downtime, firm.unread_seconds = 0, 0.3, 0.5
            self.run(firm.pass_time(0.0))

    @rule(
        fate=st.sampled_from(["prompt", "lost", "twice", "late"]),
        delay=st.sampled_from([2.0, 8.0, 300.0]),
        latency=st.sampled_from([0.02, 0.1, 1.0, 6.0]),
        asleep=st.sampled_from([0.0, 0.0, 40.0, 700.0]),
    )
    def weather(self, fate: MailFate, delay: float, latency: float, asleep: float) -> None:
        """The post, the net, and perhaps the machine sleeps."""
        firm = self.firm
        firm.post.fate, firm.post.delay, firm.latency = fate, delay, latency
        if asleep:
            firm.oracle.tell(f"asleep for {asleep}")
            firm.clock.jump(asleep)
            firm.oracle.stepped(asleep)
        self.run(firm.pass_time(0.0))

    @rule(
        status=st.sampled_from([500, 503, 405, 401]),
        times=st.integers(1, 4),
        match=st.sampled_from(["PUT", "GET", "availability", ""]),
        landed=st.booleans(),
    )
    def fail(self, status: int, times: int, match: str, landed: bool) -> None:
        self.firm.sandbox.fail(match, times=times, status=status, landed=landed and status >= 500)

    @rule(seconds=st.sampled_from([3.0, 50.0, 130.0]))
    def others_spend(self, seconds: float) -> None:
        """Somebody else uses the company's requests up."""
        self.firm.sandbox.switches.budget.fill(self.firm.clock.now() + seconds)

    # -- the operator ----------------------------------------------------------------------------------------------

    @rule(
        number=who,
        what=st.sampled_from(["pause", "pause briefly", "resume", "leave", "join", "observe", "act"]),
        again=st.booleans(),
    )
    def operate(self, number: int, what: str, again: bool) -> None:
        """A command or other settings; mostly they are what they were a little later."""
        self._operate(self.email(number), what)
        opposite = {"pause": "resume", "leave": "join", "observe": "act"}.get(what)
        if again and opposite is not None:
            self.run(self.firm.pass_time(20.0))
            self._operate(self.email(number), opposite)

    def _operate(self, email: str, what: str) -> None:
        person, now = self.firm.oracle.person(email), self.firm.clock.now()
        if person.is_touchable(now):
            person.touchable_until = now
        self.firm.oracle.tell(f"{person.email}: {what}")
        if what in ("pause", "pause briefly", "resume"):
            until = None if what == "pause" else now + 8 * MINUTE if what == "pause briefly" else 0.0
            self.run(self._pause(email, until))
        else:
            person.configured = {"leave": False, "join": True}.get(what, person.configured)
            person.observed = {"observe": True, "act": False}.get(what, person.observed)
            self.run(self._follow())

    async def _pause(self, email: str, until: float | None) -> None:
        person = self.firm.oracle.person(email)
        person.paused_until = None if until == 0.0 else float("inf") if until is None else until
        await self.firm.command(lambda phones: phones.resume(email) if until == 0.0 else phones.pause(email, until))

    async def _follow(self) -> None:
        daemon = self.firm.daemon
        assert daemon is not None
        daemon.phones.follow(self.firm.named())
        for email in self.firm.people:
            self.firm.tell(email)

    # -- quiet -----------------------------------------------------------------------------------------------------

    async def _quiet(self) -> None:
        """The world is well again, and everybody's hands are still: each is what the table says, and stays so."""
        firm = self.firm
        firm.oracle.tell("all is quiet")
        firm.clock.fuse = None
        firm.fates.clear()
        firm.update_fates.clear()
        firm.sandbox.faults.clear()
        firm.sandbox.switches.budget.fill(0.0)
        firm.latency, firm.post.fate = 0.1, "prompt"
        for email in firm.people:
            firm.set_live(email, None)
        ends = [at for one in firm.oracle.people for at in one.boundaries()]
        end = max(firm.clock.now(), *ends, 0.0) + SETTLED_SECONDS + 4 * MINUTE
        began = firm.clock.now()
        while firm.clock.now() < end:
            await firm.pass_time(MINUTE)
            if firm.clock.now() - began >= SETTLED_SECONDS:
                self._compare()

    def _compare(self) -> None:
        oracle = self.firm.oracle
        for person in oracle.people:
            allowed = oracle.allowed(person, still=SETTLED_SECONDS)
            status = self.firm.status(person.email)
            if allowed is not None and status not in allowed:
                oracle.wrong(f"{person.email} is {status}, not {' or '.join(sorted(allowed))}")

    async def _owes_nobody(self) -> None:
        """Two last meetings for everybody, the second right after the first, and then nothing is owed."""
        firm = self.firm
        start = firm.clock.now() + 3 * MINUTE
        for email in firm.people:
            self._calendar(email, ((start, start + 5 * MINUTE), (start + 5 * MINUTE, start + 24 * MINUTE)))
        firm.oracle.tell(f"the evening: {self.evening}")
        for email in await self._in_the_evening("is in a call", start - 10.0 if self.leaves >= 0 else start - 60.0):
            firm.set_live(email, "in_call")
        for email in await self._in_the_evening("leaves", start + self.leaves):
            firm.by_hand(email, "unavailable")
        early = [email for email in self._those_who("comes back") if firm.oracle.person(email).ours]
        for email in early:
            firm.by_hand(email, self.back_to)
        for email in await self._in_the_evening("comes back", start + 2 * MINUTE):
            if email not in early:
                firm.by_hand(email, self.back_to)
        for email in await self._in_the_evening("is in a call", start + 3 * MINUTE):
            firm.set_live(email, None)
        while firm.clock.now() < start + 24 * MINUTE + SETTLED_SECONDS + MINUTE:
            await firm.pass_time(MINUTE)
            self._compare()
        daemon = firm.daemon
        assert daemon is not None
        if daemon.phones.held():
            firm.oracle.wrong(f"{daemon.phones.held()} are owed a way back")
        owed = [entry.email for entry in daemon.disk.ledger.entries.values() if hasattr(entry.stance, "back")]
        if owed:
            firm.oracle.wrong(f"the ledger says that {owed} are owed a way back")

    async def _in_the_evening(self, what: str, at: float) -> list[str]:
        """At that time, those of whom the evening's plan says this."""
        await self.firm.pass_time(at - self.firm.clock.now())
        return self._those_who(what)

    def _those_who(self, what: str) -> list[str]:
        return [email for email, one in zip(self.firm.people, self.evening, strict=False) if one == what]

    def teardown(self) -> None:
        """At the end of each day."""
        try:
            if hasattr(self, "firm") and not self.firm.oracle.faults:
                self.run(self._quiet())
                self.run(self._owes_nobody())
        finally:
            client.PER_PAGE = self.per_page
            if hasattr(self, "firm"):
                self.runner.run(self.firm.close())
            self.runner.close()
            shutil.rmtree(self.folder)


def only_alarms(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Writing all that is logged would take longer than the rest; a traceback must not be in it."""
    if "exc_info" in event:
        Machine.alarms.append(str(event))
    raise structlog.DropEvent


@pytest.fixture(autouse=True)
def _hardly_logged() -> None:
    structlog.configure(processors=[only_alarms])


@pytest.mark.timeout(0 if MORE else 300)
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # who dies before a task's first step leaves it so
def test_once_all_is_quiet_every_phone_is_as_the_table_says() -> None:
    """Whatever happened before, in whatever order."""
    run_state_machine_as_test(
        Machine,
        settings=settings(
            deadline=None,
            max_examples=int(MORE) if MORE else 200,
            derandomize=not MORE,
            database=None,
            stateful_step_count=40,
            suppress_health_check=list(HealthCheck),
        ),
    )
    # What was left so is found here, and not in the middle of another test.
    gc.collect()
