"""The agents' phones: judge each touched agent, spend the budget on what they need, and do it.

An agent's one task looks or updates; while it runs the agent is not judged. What the plan wants is written into
the ledger before a PUT leaves and after its answer came; the answer touches the agent, who is judged anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from calsyncd.core import dispatch, plan
from calsyncd.core.model import HistoryRow, Observation, Setting, Trouble, User
from calsyncd.core.plan import FREE, Decision, Entry, Facts, Held, Look, Orders, Pause, Put, Sent, Stance, StandingBack
from calsyncd.core.retry import backoff, spread
from calsyncd.core.rules import Rules
from calsyncd.core.sync import rfc3339
from calsyncd.core.timeline import Timeline
from calsyncd.core.troubles import trouble
from calsyncd.errors import CREDENTIALS, USER_GONE, RateLimited, Refused, ServiceError, Unavailable
from calsyncd.logs import get_logger
from calsyncd.metrics import Metrics, StanceName
from calsyncd.scheduler import Scheduler

SWEEP_SECONDS = 10 * 60.0
SWEEP_RETRY_SECONDS = 30.0
CROWD_FRESH_SECONDS = 90.0
RETRY_CAP_SECONDS = 30.0
REFUSED_RETRY_SECONDS = 5 * 60.0
GONE_RETRY_SECONDS = 60 * 60.0
CREDENTIALS_PROBE_SECONDS = 60.0
QUARANTINE_SECONDS = 60.0
LEDGER_RETRY_SECONDS = 5.0
FOREVER = float("inf")

log = get_logger(__name__)


class Aircall(Protocol):
    """What is asked of Aircall."""

    async def page_of_users(self, page: int) -> tuple[list[User], bool]:
        """One page of users, and whether another follows."""
        ...

    async def look(self, user: int) -> Observation:
        """The user's setting."""
        ...

    async def live_state(self, user: int) -> str:
        """The user's live state."""
        ...

    async def update(self, user: int, setting: Setting) -> Setting:
        """Write a setting."""
        ...


class Ledger(Protocol):
    """Where debts are written down."""

    async def record(self, entry: Entry | Pause) -> None:
        """Return once `entry` is on disk."""
        ...


class Journal(Protocol):
    """What is told of what was seen and done; it answers for its own failures."""

    def observed(self, user: int, observation: Observation) -> None:
        """A look was answered."""
        ...

    def done(self, row: HistoryRow) -> None:
        """A change was made, or left alone."""
        ...

    def listed(self, emails: dict[int, str]) -> None:
        """The company's users were listed."""
        ...


@dataclass(slots=True)
class Agent:
    """One agent as this process knows them. `bound_to` is what the settings say: an Aircall id or an e-mail."""

    email: str
    bound_to: int | str
    rules: Rules = field(default_factory=Rules)
    configured: bool = True
    user: int | None = None
    stance: Stance = FREE
    facts: Facts = field(default_factory=Facts)
    paused_until: float | None = None
    timeline: Timeline | None = None
    complete: bool = False
    ready: bool = False
    known_at: float = 0.0
    busy: bool = False
    failures: int = 0
    waiting: Decision | None = None
    sweep_missed: bool = False
    trouble: Trouble | None = None
    unwritten: bool = False

    @property
    def owed(self) -> bool:
        """Whether an update is owed to this agent now."""
        return self.waiting is not None and isinstance(self.waiting.action, Put)


class Phones:
    """All agents' phones. `pages` of Aircall's list are needed to see everybody."""

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        aircall: Aircall,
        ledger: Ledger,
        journal: Journal,
        metrics: Metrics,
        budget: dispatch.Budget,
        credible: Callable[[], bool],
        chance: Callable[[], float],
    ) -> None:
        self.agents: dict[str, Agent] = {}
        self.directory: dict[int, str] = {}
        self.company_trouble: Trouble | None = None
        self._scheduler = scheduler
        self._clock = scheduler.clock
        self._aircall = aircall
        self._ledger = ledger
        self._journal = journal
        self._metrics = metrics
        self._budget = budget
        self._credible = credible
        self._chance = chance
        self._touched: set[str] = set()
        self._needy: set[str] = set()
        self._pages = 1
        self._listed = False
        self._sweeping = False
        self._credentials_bad = False
        self._in_flight = 0
        scheduler.handle("agent", self._due)
        scheduler.handle("dispatch", self._nothing)
        scheduler.handle("sweep", self._sweep_due)
        scheduler.after_turn(self._turn)

    # -- what others tell ----------------------------------------------------------------------------------------

    def restore(
        self,
        entries: Iterable[Entry],
        pauses: Iterable[Pause],
        observations: Mapping[int, Observation],
        now: float,
    ) -> None:
        """Take up the debts of the ledger, whoever the settings name, and what was last seen."""
        for entry in entries:
            agent = self._agent_of(entry) or self._add_unlisted(entry)
            agent.user = entry.user
            agent.stance = plan.restored(entry.stance, now)
        for pause in pauses:
            if pause.email in self.agents:
                self.agents[pause.email].paused_until = pause.until
        for agent in self.agents.values():
            seen = observations.get(agent.user) if agent.user is not None else None
            if seen is not None:
                agent.facts = agent.facts.looked(seen)

    def configure(self, agents: Iterable[Agent], now: float) -> None:
        """Follow exactly these agents; who is not named any more is released."""
        named = {agent.email: agent for agent in agents}
        for email, agent in self.agents.items():
            if email not in named:
                self._unlist(agent, now)
        for email, wanted in named.items():
            known = self.agents.get(email)
            if known is None:
                self.agents[email] = wanted
            elif known.bound_to != wanted.bound_to:
                self._rebind(known, wanted, now)
            else:
                known.rules, known.configured = wanted.rules, True
        self._bind()
        self._touch_all()

    def known(self, email: str, timeline: Timeline | None, now: float, *, complete: bool) -> None:
        """The agent's calendars say this now; from the first call on the agent is judged."""
        agent = self.agents.get(email)
        if agent is None or not agent.configured:
            return
        if agent.timeline != timeline and not agent.busy and agent.waiting is None:
            agent.known_at = now
        agent.timeline, agent.complete, agent.ready = timeline, complete, True
        self.touch(email)

    def touch(self, email: str) -> None:
        """Judge this agent in the next turn."""
        self._touched.add(email)
        self._scheduler.touch()

    async def pause(self, email: str, until: float | None) -> None:
        """Release the agent and leave them alone until `until` (None: until resumed); OSError if not written."""
        agent = self.agents[email]
        await self._pause(agent, FOREVER if until is None else until)

    async def resume(self, email: str) -> None:
        """Follow the agent's calendars again; OSError if not written."""
        agent = self.agents[email]
        await self._pause(agent, None)

    async def _pause(self, agent: Agent, until: float | None) -> None:
        now = self._clock.now()
        agent.paused_until, agent.known_at = until, now
        self.touch(agent.email)
        await self._ledger.record(Pause(agent.email, until, now))

    def held(self) -> list[str]:
        """Who is owed a way back."""
        return [email for email, agent in self.agents.items() if isinstance(agent.stance, Held)]

    def owed_since(self, before: float) -> list[str]:
        """Whose update was due before `before` and has not been taken."""
        return [
            email
            for email, agent in self.agents.items()
            if agent.waiting is not None and agent.waiting.action is not None and agent.waiting.action.due < before
        ]

    def measure(self) -> None:
        """Bring the gauges up to date."""
        counts: dict[StanceName, int] = {"free": 0, "held": 0, "standing_back": 0}
        for agent in self.agents.values():
            name: StanceName = "held" if isinstance(agent.stance, Held) else "free"
            counts["standing_back" if isinstance(agent.stance, StandingBack) else name] += 1
        self._metrics.stances(counts)

    def sweep_soon(self) -> None:
        """List the company's users as soon as the budget allows."""
        self._scheduler.at("sweep", "", self._clock.now())

    # -- binding agents to Aircall users ---------------------------------------------------------------------------

    def _agent_of(self, entry: Entry) -> Agent | None:
        for agent in self.agents.values():
            if agent.bound_to == entry.user:
                return agent
        namesake = self.agents.get(entry.email)
        if namesake is not None and isinstance(namesake.bound_to, int):
            return None
        return namesake

    def _add_unlisted(self, entry: Entry) -> Agent:
        """A debt to somebody whom the settings do not name: nothing is wanted of them but the way back."""
        name = entry.email if entry.email not in self.agents else f"{entry.email} (Aircall user {entry.user})"
        agent = Agent(name, entry.user)
        self._unlist(agent, 0.0)
        self.agents[name] = agent
        return agent

    def _unlist(self, agent: Agent, now: float) -> None:
        agent.configured, agent.ready, agent.complete = False, True, True
        agent.timeline, agent.known_at = Timeline(), now
        self._touched.add(agent.email)

    def _rebind(self, known: Agent, wanted: Agent, now: float) -> None:
        """Another Aircall user for the same person: the old one's debt stays with the old one."""
        if isinstance(known.stance, Held):
            old = replace(known, email=f"{known.email} (Aircall user {known.user})")
            self._unlist(old, now)
            self.agents[old.email] = old
        self.agents[wanted.email] = replace(
            wanted, timeline=known.timeline, complete=known.complete, ready=known.ready, known_at=now
        )

    def _bind(self) -> None:
        """Find each agent's Aircall user; say who has none, and who shares one."""
        now = self._clock.now()
        by_email = {email: user for user, email in self.directory.items()}
        taken: dict[int, str] = {}
        unknown = 0
        followed = [agent for agent in self.agents.values() if agent.configured]
        for agent in followed:
            user = agent.bound_to if isinstance(agent.bound_to, int) else by_email.get(agent.bound_to, agent.user)
            if self._listed and user not in self.directory:
                unknown += 1
                self._trouble(agent, "aircall_user_unknown")
                if not isinstance(agent.stance, Held):
                    user = None
            elif user is not None and taken.setdefault(user, agent.email) != agent.email:
                self._trouble(agent, "aircall_user_taken")
                user = None
            elif agent.trouble is not None and agent.trouble.code.startswith("aircall_user"):
                agent.trouble = None
            agent.user = user
        suspicious = self._listed and unknown >= 2 and unknown * 2 > len(followed)
        self._company("aircall_company", now, on=suspicious)

    # -- the turn ------------------------------------------------------------------------------------------------

    def _due(self, email: str, now: float) -> None:
        del now
        self._touched.add(email)

    def _nothing(self, name: str, now: float) -> None:
        """The end of the turn does what is to be done."""

    def _touch_all(self) -> None:
        self._touched.update(self.agents)
        self._scheduler.touch()

    def _turn(self, now: float) -> None:
        touched, self._touched = self._touched, set()
        for email in touched:
            agent = self.agents.get(email)
            if agent is not None:
                self._judge(agent, now)
        if self._needy:
            self._dispatch(now)

    def _judge(self, agent: Agent, now: float) -> None:
        if agent.busy or not agent.ready:
            return
        if not agent.configured and not isinstance(agent.stance, Held):
            self._forget(agent)
            return
        if agent.user is None and not isinstance(agent.stance, Held):
            self._needs(agent, None)
            return
        if agent.paused_until is not None and now >= agent.paused_until:
            agent.paused_until = None
        try:
            decision = plan.decide(agent.stance, self._orders(agent, now), agent.facts, now)
        except Exception:
            # One agent's data must not stop the others: set aside, loudly, and tried again.
            log.exception("An agent could not be judged", action="agent_quarantined", agent=agent.email)
            self._trouble(agent, "internal")
            self._needs(agent, None)
            self._scheduler.at("agent", agent.email, now + QUARANTINE_SECONDS)
            return
        if not isinstance(decision.action, Put) and decision.stance != agent.stance:
            self._moved(agent, decision, now)
        self._note(agent, decision)
        self._needs(agent, decision if decision.action is not None else None)
        self._scheduler.at("agent", agent.email, decision.again)

    def _orders(self, agent: Agent, now: float) -> Orders:
        crowded = len(self._needy) > self._budget.remaining(now)
        return Orders(
            timeline=agent.timeline,
            complete=agent.complete,
            may_begin=self.company_trouble is None and self._credible(),
            paused_until=agent.paused_until,
            fresh_seconds=CROWD_FRESH_SECONDS if crowded else plan.FRESH_SECONDS,
        )

    def _needs(self, agent: Agent, decision: Decision | None) -> None:
        agent.waiting = decision
        if decision is None:
            self._needy.discard(agent.email)
        else:
            self._needy.add(agent.email)

    def _forget(self, agent: Agent) -> None:
        self._needs(agent, None)
        self._scheduler.at("agent", agent.email, None)
        if not agent.configured:
            self.agents.pop(agent.email, None)

    def _moved(self, agent: Agent, decision: Decision, now: float) -> None:
        """The stance changed without an update: write it down, and say so where a person would ask."""
        before, after = agent.stance, decision.stance
        agent.stance = after
        self._scheduler.start(self._note_down(agent), f"ledger {agent.email}")
        if isinstance(after, StandingBack) and not isinstance(before, StandingBack):
            seen = agent.facts.seen.status if agent.facts.seen is not None else "unknown"
            if after.why == "override":
                self._metrics.override()
                sentence = f"{agent.email} changed the setting to {seen}: we stand back until the meeting ends"
            else:
                sentence = f"{agent.email} is {seen} by their own choice: left alone"
            log.info(sentence, action=after.why, agent=agent.email, until=_iso(after.until))
            self._history(agent, now, from_=seen, outcome=after.why, why=sentence)
        elif isinstance(before, Held) and after == FREE:
            log.info(f"{agent.email} is not held any more", action="hold_closed", agent=agent.email)
            self._history(agent, now, outcome="closed", why="the agent's own choice stands", event=before.event)

    def _note(self, agent: Agent, decision: Decision) -> None:
        if decision.note in ("not_taken", "call_without_end"):
            self._trouble(agent, decision.note)

    # -- dispatch ------------------------------------------------------------------------------------------------

    def _dispatch(self, now: float) -> None:
        candidates = [
            dispatch.Candidate(email, waiting.action, isinstance(agent.stance, Held))
            for email in self._needy
            if (agent := self.agents[email]) is not None
            and (waiting := agent.waiting) is not None
            and waiting.action is not None
        ]
        plain_looks = [
            candidate
            for candidate in candidates
            if isinstance(candidate.action, Look)
            and not candidate.action.live
            and not self.agents[candidate.agent].sweep_missed
        ]
        listed = {candidate.agent for candidate in plain_looks}
        by_list = self._sweeping or len(plain_looks) > self._pages
        if by_list and not self._sweeping:
            self._sweep_due("", now)
        for candidate in dispatch.order(candidates, now):
            agent = self.agents[candidate.agent]
            if by_list and candidate.agent in listed:
                continue
            if self._credentials_bad and self._in_flight:
                break
            # What was true when it queued may not be true any more.
            self._judge(agent, now)
            if agent.waiting is None or agent.waiting.action is None:
                continue
            requests = 2 if isinstance(agent.waiting.action, Look) and agent.waiting.action.live else 1
            if not self._budget.take(now, requests):
                break
            self._launch(agent, agent.waiting, requests)
        if self._needy and not (self._credentials_bad and self._in_flight):
            self._scheduler.at("dispatch", "", self._budget.next_at(now))
        self._metrics.owed_updates(sum(self.agents[email].owed for email in self._needy))
        self._metrics.budget_remaining(self._budget.remaining(now))

    def _launch(self, agent: Agent, decision: Decision, requests: int) -> None:
        agent.busy = True
        self._needs(agent, None)
        self._in_flight += 1
        work = (
            self._look(agent, decision.action) if isinstance(decision.action, Look) else self._update(agent, decision)
        )
        self._scheduler.start(self._perform(agent, work, requests), f"agent {agent.email}")

    async def _perform(self, agent: Agent, work: Awaitable[None], requests: int) -> None:
        try:
            await work
        finally:
            self._in_flight -= 1
            self._budget.give_back(requests)
            agent.busy = False
            self.touch(agent.email)

    # -- looks ---------------------------------------------------------------------------------------------------

    async def _look(self, agent: Agent, look: Look) -> None:
        assert agent.user is not None  # noqa: S101 - only bound agents are judged
        try:
            observation = await self._aircall.look(agent.user)
            if look.live:
                observation = replace(observation, live=await self._aircall.live_state(agent.user))
        except ServiceError as error:
            agent.facts = agent.facts.look_failed(self._clock.now())
            await self._failed(agent, error, "look")
            return
        self._succeeded(agent)
        agent.sweep_missed = False
        self._observed(agent, observation)

    def _observed(self, agent: Agent, observation: Observation) -> None:
        agent.facts = agent.facts.looked(observation)
        if agent.user is not None:
            self._journal.observed(agent.user, observation)
        self.touch(agent.email)

    def _sweep_due(self, name: str, now: float) -> None:
        del name
        if self._sweeping:
            return
        if not self._budget.take(now, self._pages):
            self._scheduler.at("sweep", "", self._budget.next_at(now, self._pages) or now + SWEEP_RETRY_SECONDS)
            return
        self._sweeping = True
        self._in_flight += 1
        self._scheduler.start(self._sweep(self._pages), "sweep")

    async def _sweep(self, reserved: int) -> None:
        """List everybody: bind agents to users, and look at all of them for the price of a few requests."""
        found: list[User] = []
        try:
            page, more = 0, True
            while more:
                page += 1
                users, more = await self._aircall.page_of_users(page)
                found += users
        except ServiceError as error:
            await self._company_failed(error)
            log.warning("Aircall's users could not be listed", action="sweep_failed", code=error.code, why=str(error))
            self._sweep_failed()
            self._scheduler.at("sweep", "", self._clock.now() + SWEEP_RETRY_SECONDS)
        else:
            self._credentials_good()
            self._listed, self._pages = True, max(page, 1)
            self.directory = {user.id: user.email for user in found}
            self._journal.listed(self.directory)
            self._bind()
            self._swept({user.id: user.observation for user in found})
            self._scheduler.at("sweep", "", self._clock.now() + spread(SWEEP_SECONDS, self._chance()))
        finally:
            self._sweeping = False
            self._in_flight -= 1
            self._budget.give_back(reserved)
            self._touch_all()

    def _swept(self, seen: Mapping[int, Observation]) -> None:
        for agent in self.agents.values():
            observation = seen.get(agent.user) if agent.user is not None else None
            if observation is None:
                agent.sweep_missed = True
            elif not agent.busy:
                agent.sweep_missed = False
                self._observed(agent, observation)

    def _sweep_failed(self) -> None:
        """Whoever waited for the list looks alone: a broken list must not keep anybody from the way back."""
        now = self._clock.now()
        for email in self._needy:
            agent = self.agents[email]
            agent.sweep_missed = True
            agent.facts = agent.facts.look_failed(now)

    # -- updates -------------------------------------------------------------------------------------------------

    async def _update(self, agent: Agent, decision: Decision) -> None:
        put = decision.action
        assert isinstance(put, Put)  # noqa: S101 - _launch tells looks from updates
        assert agent.user is not None  # noqa: S101 - only bound agents are judged
        sent = Sent(agent.stance, decision.stance, put)
        agent.stance = sent.written
        if not await self._write_quietly(agent) and not put.releases:
            agent.stance = sent.before
            agent.facts = replace(agent.facts, retry_at=self._clock.now() + LEDGER_RETRY_SECONDS)
            self._trouble(agent, "ledger")
            return
        try:
            shown = await self._aircall.update(agent.user, put.setting)
        except ServiceError as error:
            await self._update_failed(agent, sent, error)
            return
        except asyncio.CancelledError:
            agent.stance, agent.facts = plan.lost(sent, agent.facts, self._clock.now())
            raise
        now = self._clock.now()
        agent.stance, agent.facts = plan.answered(sent, shown, agent.facts, now)
        taken = agent.facts.mismatches == 0
        self._told(agent, sent, now, taken=taken, shown=shown)
        if taken:
            self._succeeded(agent)
        await self._write_quietly(agent)

    def _told(self, agent: Agent, sent: Sent, now: float, *, taken: bool, shown: Setting) -> None:
        """Say what an answered update did: to the log, the metrics and the history."""
        put = sent.put
        held = sent.written if isinstance(sent.written, Held) else None
        late = max(0.0, now - max(put.due, agent.known_at))
        event = held.event if held is not None else None
        before = held.put.availability_status if held is not None and put.releases else _seen_status(agent)
        self._metrics.update("done" if taken else "mismatch")
        if not taken:
            log.warning(
                f"Aircall accepted {put.setting.availability_status} for {agent.email}"
                f" and shows {shown.availability_status}",
                action="update_not_taken",
                agent=agent.email,
            )
            return
        self._metrics.boundary_lateness(late)
        self._metrics.wrong_state("unreachable" if put.releases else "ringing", late)
        late_ms = round(late * 1000)
        if put.releases:
            sentence = f"{agent.email} is back to {put.setting.availability_status}"
            action, why = "released", "the meeting is over"
        else:
            until = held.until if held is not None else now
            sentence = f"{agent.email} is unavailable until {_iso(until)}"
            action, why = "held", "a meeting"
        log.info(sentence, action=action, agent=agent.email, event_id=event, late_ms=late_ms)
        self._history(
            agent,
            now,
            from_=before,
            to=put.setting.availability_status,
            outcome="done",
            why=why,
            event=event,
            late_ms=late_ms,
        )

    async def _update_failed(self, agent: Agent, sent: Sent, error: ServiceError) -> None:
        now = self._clock.now()
        landed = isinstance(error, Unavailable) and error.landed
        if landed:
            agent.stance, agent.facts = plan.lost(sent, agent.facts, now)
        else:
            agent.stance, agent.facts = plan.not_landed(sent, agent.facts)
        self._metrics.update("unknown" if landed else "refused" if isinstance(error, Refused) else "unavailable")
        await self._failed(agent, error, "update")
        await self._write_quietly(agent)

    # -- failures ------------------------------------------------------------------------------------------------

    async def _failed(self, agent: Agent, error: ServiceError, doing: str) -> None:
        """Decide when this agent is tried again, and whose trouble it is."""
        now = self._clock.now()
        if await self._company_failed(error):
            return
        agent.failures += 1
        if isinstance(error, Refused) and error.code == USER_GONE:
            self._trouble(agent, "aircall_user_gone")
            if isinstance(agent.stance, Held):
                self._history(agent, now, outcome="closed", why="the Aircall user is gone", event=agent.stance.event)
            agent.stance = FREE
            wait = GONE_RETRY_SECONDS
        elif isinstance(error, Refused):
            self._trouble(agent, "update_refused", str(error))
            wait = REFUSED_RETRY_SECONDS if agent.stance == FREE else 2 * RETRY_CAP_SECONDS
        else:
            if agent.failures > 2:
                self._trouble(agent, error.code, str(error))
            retry_after = error.retry_after if isinstance(error, Unavailable) else None
            wait = backoff(agent.failures, self._chance(), cap=RETRY_CAP_SECONDS)
            wait = min(max(wait, retry_after or 0.0), 120.0)
        agent.facts = replace(agent.facts, retry_at=now + wait)
        log.warning(
            f"Aircall did not take the {doing} for {agent.email}",
            action=f"{doing}_failed",
            agent=agent.email,
            code=error.code,
            why=str(error),
            retry_seconds=round(wait, 1),
        )

    async def _company_failed(self, error: ServiceError) -> bool:
        """Whether the failure is the whole company's: then the budget waits, not the agent."""
        now = self._clock.now()
        if isinstance(error, RateLimited):
            wait = dispatch.wait_after_429(error.retry_after, error.reset, now, self._chance())
            self._budget.refused(now + wait)
            log.warning("Aircall's requests are used up", action="rate_limited", retry_seconds=round(wait, 1))
            return True
        if error.code == CREDENTIALS:
            self._credentials_bad = True
            self._budget.refused(now + CREDENTIALS_PROBE_SECONDS)
            self._company("aircall_credentials", now, on=True)
            return True
        return False

    def _succeeded(self, agent: Agent) -> None:
        self._credentials_good()
        agent.failures = 0
        agent.facts = replace(agent.facts, retry_at=0.0)
        if agent.trouble is not None and agent.trouble.code != "call_without_end":
            agent.trouble = None

    def _credentials_good(self) -> None:
        if self._credentials_bad:
            self._credentials_bad = False
            self._company("aircall_credentials", self._clock.now(), on=False)

    def _trouble(self, agent: Agent, code: str, message: str | None = None) -> None:
        if agent.trouble is not None and agent.trouble.code == code:
            return
        agent.trouble = trouble(code, self._clock.now(), message)
        log.warning(
            f"{agent.email}: {agent.trouble.message}",
            action="trouble",
            agent=agent.email,
            code=code,
            do=agent.trouble.do,
        )

    def _company(self, code: str, now: float, *, on: bool) -> None:
        current = self.company_trouble
        if on and (current is None or current.code != code):
            self.company_trouble = trouble(code, now)
            log.error(self.company_trouble.message, action="trouble", code=code, do=self.company_trouble.do)
        elif not on and current is not None and current.code == code:
            self.company_trouble = None
            log.info("A trouble of the whole company is over", action="trouble_over", code=code)

    # -- writing down --------------------------------------------------------------------------------------------

    async def _write(self, agent: Agent) -> None:
        if agent.user is None:
            return
        entry = Entry(agent.user, agent.email, agent.stance, self._clock.now())
        await self._ledger.record(entry)

    async def _note_down(self, agent: Agent) -> None:
        await self._write_quietly(agent)

    async def _write_quietly(self, agent: Agent) -> bool:
        """Whether the agent's stance is on disk; if not, it is said, and tried again with the next change."""
        try:
            await self._write(agent)
        except OSError as error:
            agent.unwritten = True
            log.error(  # noqa: TRY400 - the errno says it all
                "The ledger cannot be written", action="ledger_failed", agent=agent.email, why=error.strerror
            )
            return False
        agent.unwritten = False
        return True

    def _history(
        self,
        agent: Agent,
        at: float,
        *,
        outcome: str,
        why: str,
        from_: str | None = None,
        to: str | None = None,
        event: str | None = None,
        late_ms: int | None = None,
    ) -> None:
        self._journal.done(HistoryRow(at, agent.email, from_, to, outcome, why, event, late_ms, "calsyncd"))


def _seen_status(agent: Agent) -> str | None:
    return agent.facts.seen.status if agent.facts.seen is not None else None


def _iso(at: float) -> str:
    return "resumed" if at == FOREVER else rfc3339(at)
