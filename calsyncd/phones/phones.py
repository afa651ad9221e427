"""Judge each touched agent, and spend the budget on what they need.

An agent's one task looks or updates; while it runs the agent is not judged. Its answer touches the agent, who is
judged anew. When more agents need a look than the list of everybody has pages, one list serves them all, once.
Its pages stand in the queue with the looks and updates of the agents. What nobody waits for goes last, and only while
half of the budget is left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol

from calsyncd.core import dispatch, looks, plan, wishes
from calsyncd.core.budget import MARK_MARGIN_SECONDS, Budget
from calsyncd.core.coming import Boundary
from calsyncd.core.guard import Floor
from calsyncd.core.looks import BEFORE_CROWD_SECONDS
from calsyncd.core.plan import FREE, Action, Decision, Held, Look, Orders, Put, StandingBack
from calsyncd.core.prices import MINUTE_SECONDS, Counts, Early, Prices
from calsyncd.core.sync import rfc3339
from calsyncd.core.timeline import Timeline
from calsyncd.core.wording import status_word
from calsyncd.logs import get_logger
from calsyncd.metrics import Metrics, StanceName
from calsyncd.phones.agent import FOREVER, Agent, Foreseen
from calsyncd.phones.calls import CREDENTIALS_PROBE_SECONDS, LEDGER_PATIENCE_SECONDS, LEDGER_RETRY_SECONDS, Calls
from calsyncd.phones.crowds import Crowds, Spending
from calsyncd.phones.guards import Guards
from calsyncd.phones.lists import Lists
from calsyncd.phones.owed import Owed, forget, goes_on, kind_of, waits_for_budget
from calsyncd.phones.presence import Presence
from calsyncd.phones.record import Record
from calsyncd.phones.roster import Roster
from calsyncd.scheduler import Scheduler

SPARE_RETRY_SECONDS = 1.0
REQUESTS_AT_BOUNDARY = 2
"""A look and an update."""

REQUESTS_OF_DOUBT = 2
DOUBTS_PAUSE_SECONDS = 10.0
"""A list may show many who are in a call, or seem to be: of all of them one is looked into at a time."""

FORESEEN_SECONDS = 0.1
"""Long enough for a disk, and short: after a crash in it, a minute of looks has to show that nothing was sent."""

QUARANTINE_SECONDS = 60.0
OPERATOR = "operator"

log = get_logger(__name__)


class Credible(Protocol):
    """Whether the clock can be relied on."""

    def __call__(self) -> bool:
        """Whether it can now."""
        ...


class Phones:
    """All agents' phones. Built on a scheduler, it acts in its turns."""

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        roster: Roster,
        calls: Calls,
        record: Record,
        budget: Budget,
        metrics: Metrics,
        credible: Credible,
        chance: Callable[[], float],
        spending: Spending | None = None,
        presence: Presence | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._clock = scheduler.clock
        self._roster = roster
        self._calls = calls
        self._record = record
        self._budget = budget
        self._metrics = metrics
        self._credible = credible
        self._owed = Owed(metrics)
        self._guards = Guards(roster, record, metrics, presence)
        self._presence = presence
        self._touched: set[str] = set()
        self._by_user: dict[int, Agent] = {}
        self._needy: set[str] = set()
        self._curious: set[str] = set()
        self._crowds = Crowds(budget, spending or Spending())
        self._fresh_seconds = plan.FRESH_SECONDS
        self._near_crowd = False
        self._doubts_at = 0.0
        self._judged: Callable[[Collection[str], float], None] = lambda _emails, _now: None
        self._in_flight = 0
        self.lists = Lists(scheduler, calls=calls, roster=roster, seen=self._seen, chance=chance)
        scheduler.handle("agent", lambda email, _: self._touched.add(email))
        scheduler.handle("dispatch", lambda *_: None)
        scheduler.handle("ledger", lambda email, _: self._write_again(email))
        scheduler.handle("crowd", lambda *_: None)
        scheduler.after_turn(self._turn)
        scheduler.when_stepped(self._stepped)

    # -- what others tell ------------------------------------------------------------------------------------------

    def follow(self, agents: Iterable[Agent], *, listed: bool = False) -> None:
        """Follow exactly these agents, whom the settings name; who is not named any more is released.

        Or they are `listed`: they were matched with the list of everybody, which then is not read again for them.
        """
        before = dict(self._roster.agents)
        followed = {email: agent for email, agent in before.items() if agent.configured}
        self._touched.update(self._roster.configure(agents))
        self._scheduler.touch()
        if before:
            self._note_names(followed, listed=listed)
        if not listed:
            self.lists.sweep(self._clock.now())

    def _note_names(self, before: Mapping[str, Agent], *, listed: bool) -> None:
        """Write down who is followed from now on, who is not any more, and who has another Aircall user."""
        now = {email: agent for email, agent in self._roster.agents.items() if agent.configured}
        for email, agent in before.items():
            if email not in now:
                why = "no Aircall user has this address any more" if listed else "no longer in the settings"
                self._record.history(agent, outcome="removed", why=why)
            elif now[email] is not agent:
                why = "another Aircall user" if listed else "another Aircall user, by the settings"
                self._record.history(now[email], outcome="rebound", why=why)
        for email in now.keys() - before.keys():
            why = "an Aircall user with a Google calendar" if listed else "named in the settings"
            self._record.history(now[email], outcome="followed", why=why)

    def keep_available(self, floors: Iterable[Floor]) -> None:
        """Let no calendar take the last few agents of these floors off the phones."""
        if self._guards.keep_available(floors):
            self._touch_all()

    def spend(self, spending: Spending) -> None:
        """Spend the requests of a crowd by this from now on."""
        before, self._crowds.spending = self._crowds.spending, spending
        if spending != before:
            self._touch_all()

    def known(self, email: str, timeline: Timeline | None, now: float, *, complete: bool) -> None:
        """The agent's calendars say this now; from the first call on the agent is judged."""
        agent = self._roster.agents.get(email)
        if agent is None or not agent.configured:
            return
        if agent.timeline != timeline and not agent.serving:
            agent.known_at = now
        agent.timeline, agent.complete, agent.ready = timeline, complete, True
        self.touch(email)

    def withdraw(self, email: str, timeline: Timeline | None) -> bool:
        """Take back what was told last: `timeline` is in force again. False where that was acted on already."""
        agent = self._roster.agents.get(email)
        if agent is None or not agent.configured or agent.updating:
            return False
        wanted = agent.timeline is not None and agent.timeline.span_at(self._clock.now()) is not None
        if isinstance(agent.stance, Held) == wanted:
            return False
        agent.timeline = timeline
        self.touch(email)
        return True

    def touch(self, email: str) -> None:
        """Judge this agent in the next turn."""
        self._touched.add(email)
        self._scheduler.touch()

    def told(self, user: int, status: str | None, at: float | None = None) -> None:
        """A webhook named this `availability_status` of an Aircall user, or none: look, unless that is known.

        It happened at `at` by Aircall's clock, if it says so.
        """
        agent = self._of_user(user)
        if agent is None:
            return
        facts = agent.facts.hinted(status, self._clock.now(), putting=agent.putting, at=at)
        if facts != agent.facts:
            agent.facts = facts
            self.touch(agent.email)

    def _of_user(self, user: int) -> Agent | None:
        """Who is followed as this Aircall user; each is searched for once."""
        agents, found = self._roster.agents, self._by_user.get(user)
        if found is None or found.user != user or not found.configured or agents.get(found.email) is not found:
            found = next((one for one in agents.values() if one.user == user and one.configured), None)
            self._by_user.pop(user, None)
            if found is not None:
                self._by_user[user] = found
        return found

    def users_changed(self) -> None:
        """Somebody joined or left the company: list everybody soon, but not all the time."""
        self.lists.changed()

    def doubt_credentials(self, code: str) -> None:
        """Aircall is said to have let go of us: nothing begins until it answers the list, asked for at once."""
        self._calls.doubt_credentials(code)
        self.lists.probe(self._clock.now())

    def credentials_replaced(self) -> None:
        """Requests are made with others from now on: those are tried at once, and it is seen whose they are."""
        self._budget.admitted()
        self.lists.probe(self._clock.now())

    def is_quiet(self) -> bool:
        """Whether a request that nobody waits for delays nobody now: its minute has no price, and there is enough."""
        now = self._clock.now()
        return not self._price(now) and self._has_spare(now)

    def listen(
        self,
        untold: Callable[[float], None],
        alive: Callable[[], bool],
        regained: Callable[[], None] = lambda: None,
    ) -> None:
        """Call `untold(at)` when a look of `at` found a change that no webhook had told; `alive` says if they tell.

        `regained` is called when Aircall takes our credentials again.
        """
        self._calls.untold, self.lists.told, self._calls.regained = untold, alive, regained

    def probe(self) -> None:
        """Our credentials may have been put right: if Aircall refused them, ask it now."""
        if self._calls.credentials_bad:
            self.credentials_replaced()

    def watch(self, judged: Callable[[Collection[str], float], None]) -> None:
        """Call `judged(emails, now)` in each turn, once these agents were judged and before anything is sent."""
        self._judged = judged

    async def pause(self, email: str, until: float | None, actor: str = OPERATOR, reason: str = "") -> None:
        """Release the agent and leave them alone until `until` (None: until resumed); OSError if not written."""
        await self._pause([email], FOREVER if until is None else until, actor, reason)

    async def pause_all(self, until: float | None = None, actor: str = OPERATOR, reason: str = "") -> None:
        """Release everybody and leave them alone; OSError, once all are told, if it is not written."""
        await self._pause(list(self._roster.agents), FOREVER if until is None else until, actor, reason)

    async def resume(self, email: str, actor: str = OPERATOR, reason: str = "") -> None:
        """Follow the agent's calendars again; OSError if not written."""
        await self._pause([email], None, actor, reason)

    async def resume_all(self, actor: str = OPERATOR, reason: str = "") -> list[str]:
        """Follow everybody's calendars again, and say who was paused; OSError, once all are told, if not written."""
        paused = self._roster.paused()
        await self._pause(paused, None, actor, reason)
        return paused

    async def _pause(self, emails: list[str], until: float | None, actor: str, reason: str) -> None:
        said = (
            "followed again" if until is None else f"paused until {'resumed' if until == FOREVER else rfc3339(until)}"
        )
        paused, now = self._roster.paused(), self._clock.now()
        for email in emails:
            self._roster.pause(email, until)
            agent = self._roster.agents.get(email)
            # Where only a word by hand is taken back, the history says that, and no pause is over.
            is_told = until is None and email not in paused and wishes.in_force(self._roster.by_hand(email), now)
            if agent is not None:
                self.touch(email)
            if agent is not None and not is_told:
                why = f"{said}: {reason}" if reason else said
                kind = "resumed" if until is None else "paused"
                self._record.history(agent, outcome=kind, why=why, actor=actor, until=until)
        await self._record.pause(emails, until, LEDGER_PATIENCE_SECONDS)

    # -- what others ask -------------------------------------------------------------------------------------------

    def held(self) -> list[str]:
        """Who is owed a way back."""
        return [email for email, agent in self._roster.agents.items() if isinstance(agent.stance, Held)]

    def owed_since(self, before: float) -> list[str]:
        """Who has been owed a look or an update since before `before`."""
        return [
            email
            for email, agent in self._roster.agents.items()
            if agent.owes_since is not None and agent.owes_since < before
        ]

    def measure(self) -> None:
        """Bring the gauges up to date."""
        counts: dict[StanceName, int] = {"free": 0, "held": 0, "standing_back": 0}
        for agent in self._roster.agents.values():
            name: StanceName = "held" if isinstance(agent.stance, Held) else "free"
            counts["standing_back" if isinstance(agent.stance, StandingBack) else name] += 1
        self._metrics.stances(counts)
        now = self._clock.now()
        drifts = (agent.drift.since for agent in self._roster.agents.values() if agent.drift is not None)
        self._metrics.drift_age(now - min(drifts, default=now))
        self._guards.measure()
        self._owed.measure(self._roster.agents.values(), now)
        self._metrics.budget_remaining(self._budget.remaining(now))

    # -- the turn --------------------------------------------------------------------------------------------------

    def _touch_all(self) -> None:
        self._touched.update(self._roster.agents)
        self._scheduler.touch()

    def _stepped(self, now: float, seconds: float) -> None:
        """The clock jumped: everybody is judged by what is wanted now, from fresh looks."""
        log.warning("The clock was set, or the machine slept", action="clock_stepped", seconds=round(seconds, 1))
        self._budget.stepped(seconds)
        for agent in self._roster.agents.values():
            agent.stance, agent.facts = plan.stepped(agent.stance, agent.facts, now)
            if agent.sent is not None:
                agent.sent = plan.under_way_at_step(agent.sent, now)
            agent.known_at, agent.indexed = now, None
            forget(agent)
            if agent.owes_since is not None:
                agent.owes_kind = kind_of(agent, now)
        self._doubts_at = 0.0
        self._touched.update(self._roster.agents)
        self.lists.stepped(now)

    def _seen(self, emails: Iterable[str]) -> None:
        """The list told something about these."""
        self._touched.update(emails)
        self._scheduler.touch()

    def _turn(self, now: float) -> None:
        self._see_crowd(now)
        touched, self._touched = self._touched, set()
        for email in touched:
            agent = self._roster.agents.get(email)
            if agent is not None:
                self._judge(agent, now)
        settled = self._guards.settle(now)
        for email in settled:
            self._judge(self._roster.agents[email], now)
        self._judged({*touched, *settled}, now)
        self._needy &= self._roster.agents.keys()
        self._curious &= self._needy
        self._dispatch(now)

    def _judge(self, agent: Agent, now: float) -> None:
        """Decide what the agent needs; what changes without a request is written down at once."""
        if agent.busy or not agent.ready:
            return
        held = isinstance(agent.stance, Held)
        if not agent.configured and not held and not agent.unwritten and agent.foreseen is None:
            self._forget(agent)
            return
        if agent.user is None and not held:
            self._take_back(agent)
            self._needs(agent, None)
            return
        if agent.unwritten and self._scheduler.due_at("ledger", agent.email) is None:
            self._scheduler.at("ledger", agent.email, now + LEDGER_RETRY_SECONDS)
        if agent.paused_until is not None and now >= agent.paused_until:
            self._pause_ends(agent)
        try:
            decision = self._guards.decide(agent, self._orders(agent), now)
        except Exception as error:  # noqa: BLE001 - said in _quarantine
            self._quarantine(agent, error, now)
            return
        if decision is None:
            # Who may go is settled once everybody of this turn, or of the next one, was heard.
            self._needs(agent, None)
            self._scheduler.touch()
            return
        if decision.note in ("not_taken", "call_without_end"):
            self._roster.trouble(agent, decision.note)
        if not isinstance(decision.action, Put) and decision.stance != agent.stance:
            self._moved(agent, decision)
        if not isinstance(decision.action, Look):
            agent.look_alone = False
        idle = decision.action is None or dispatch.is_spare(decision.action)
        if decision.stance == FREE and idle and decision.owes is None and not agent.unwritten:
            # Nothing is wanted and nothing is owed: what an update had troubled is over with it.
            self._roster.nothing_owed(agent)
        before = agent.owes_since
        earlier = before if before is not None else decision.owes
        agent.owes_since = min(earlier, decision.owes) if decision.owes is not None and earlier is not None else None
        self._owed.judged(agent, before, now)
        self._needs(agent, decision if decision.action is not None else None)
        try:
            again = self._foresee(agent, decision, now)
        except Exception as error:  # noqa: BLE001 - said in _quarantine
            self._quarantine(agent, error, now)
            return
        self._scheduler.at("agent", agent.email, again)
        self._crowds.keep(agent, now)

    def _pause_ends(self, agent: Agent) -> None:
        # What is wanted of them counts from here: nothing was owed while they were paused.
        agent.known_at, agent.paused_until = max(agent.known_at, agent.paused_until or 0.0), None
        log.info(f"{agent.email} is followed again", action="resumed", agent=agent.email, why="the pause is over")
        self._record.history(agent, outcome="resumed", why="the pause is over")

    def _foresee(self, agent: Agent, decision: Decision, now: float) -> float | None:
        """Have what the next boundary needs written down shortly before it; says when to judge the agent again.

        The disk takes longer than all the rest of an update. Until the boundary the ledger then tells of an update
        whose answer is missing, as it would after a crash in it. What does not come as foreseen is taken back.
        """
        boundary, again = decision.change, decision.again
        coming: Decision | None = None
        if isinstance(decision.action, Put):
            until = agent.foreseen.due + FORESEEN_SECONDS if agent.foreseen is not None else now
            if now < until:
                coming, again = decision, until if again is None else min(again, until)
        elif boundary is not None and decision.action is None:
            if now < boundary - FORESEEN_SECONDS:
                again = min(boundary - FORESEEN_SECONDS, again or boundary)
            else:
                coming = self._guards.foresee(agent, self._orders(agent), boundary)
        stance = coming.stance if coming is not None and isinstance(coming.action, Put) else FREE
        if agent.foreseen is not None:
            if agent.foreseen.user != agent.user or not agent.foreseen.is_for(stance):
                self._take_back(agent)
        elif agent.writing or boundary is None or agent.user is None:
            # A line that is on its way would follow; the agent is judged again once it is written.
            pass
        elif isinstance(stance, Held) and coming is not decision:
            agent.foreseen = Foreseen(agent.user, stance, boundary)
            self._scheduler.start(self._record.ahead(agent.email, agent.foreseen), f"ahead {agent.email}")
        return again

    def _take_back(self, agent: Agent) -> None:
        """What was foreseen does not come: write down where we really stand."""
        if agent.foreseen is not None and not agent.foreseen.over:
            agent.foreseen.over = agent.unwritten = True
            self._start_write(agent)

    def stop(self) -> None:
        """No boundary comes any more: what was foreseen is taken back."""
        for agent in self._roster.agents.values():
            self._take_back(agent)

    def _quarantine(self, agent: Agent, error: Exception, now: float) -> None:
        """One agent's data must not stop the others: set aside, loudly, and tried again later."""
        log.error("An agent is set aside", action="agent_quarantined", agent=agent.email, exc_info=error)
        self._roster.trouble(agent, "internal")
        self._needs(agent, None)
        agent.facts = replace(agent.facts, retry_at=now + QUARANTINE_SECONDS)
        self._scheduler.at("agent", agent.email, now + QUARANTINE_SECONDS)

    def _orders(self, agent: Agent, early: float | None = None) -> Orders:
        return Orders(
            timeline=agent.timeline,
            complete=agent.complete,
            may_begin=self._roster.company_trouble is None and self._credible(),
            paused_until=agent.paused_until,
            fresh_seconds=self._fresh_seconds,
            early=early,
            enforce=agent.rules.enforce,
        )

    def _needs(self, agent: Agent, decision: Decision | None) -> None:
        agent.waiting = decision
        self._needy.discard(agent.email)
        self._curious.discard(agent.email)
        if decision is not None:
            self._needy.add(agent.email)
            if dispatch.is_spare(decision.action):
                self._curious.add(agent.email)

    def _forget(self, agent: Agent) -> None:
        """Nothing is owed to somebody whom the settings do not name."""
        self._needs(agent, None)
        self._scheduler.at("agent", agent.email, None)
        self._crowds.forget(agent)
        self._roster.agents.pop(agent.email, None)
        # Somebody may have waited for their Aircall user.
        self._roster.bind()
        self._touch_all()

    def _moved(self, agent: Agent, decision: Decision) -> None:
        """The stance changed without an update: write it down, and say so where a person would ask."""
        before, after = agent.stance, decision.stance
        agent.stance, agent.drift = after, None
        self._start_write(agent)
        if isinstance(before, StandingBack) and isinstance(after, StandingBack) and before.since == after.since:
            sentence = f"{agent.email} is left alone for less long: the extension is taken back"
            self._record.history(agent, outcome=after.why, why=sentence, from_=agent.status, until=after.until)
        elif isinstance(after, StandingBack):
            seen = agent.facts.seen.status if agent.facts.seen is not None else "unknown"
            if after.why == "override":
                self._metrics.override()
                sentence = (
                    f"{agent.email} changed the setting to {status_word(seen)}: we stand back until the meeting ends"
                )
            else:
                sentence = f"{agent.email} is {status_word(seen)} by their own choice: left alone"
            log.info(sentence, action=after.why, agent=agent.email, until=rfc3339(after.until))
            self._record.history(agent, outcome=after.why, why=sentence, from_=seen, until=after.until)
        elif isinstance(before, Held) and after == FREE:
            log.info(f"{agent.email} is not held any more", action="hold_closed", agent=agent.email)
            self._record.history(agent, outcome="closed", why="the agent's own choice stands", event=before.event)
        elif isinstance(before, Held) and isinstance(after, Held) and before.until != after.until:
            why = agent.why_moved(before, after, self._clock.now())
            self._record.history(agent, outcome="moved", why=why, event=after.event, until=after.until)
        elif isinstance(before, StandingBack) and self._clock.now() < before.until:
            self._record.history(agent, outcome="over", why="something else is wanted now: left alone no longer")

    def _write_again(self, email: str) -> None:
        """The ledger lacked an agent's stance; what is to be written is where we stand now."""
        agent = self._roster.agents.get(email)
        if agent is not None and agent.unwritten and not agent.busy:
            self._start_write(agent)

    def _start_write(self, agent: Agent) -> None:
        agent.writing += 1
        self._scheduler.start(self._write(agent), f"ledger {agent.email}")

    async def _write(self, agent: Agent) -> None:
        try:
            await self._record.stance(agent, LEDGER_PATIENCE_SECONDS)
        finally:
            agent.writing -= 1
        self.touch(agent.email)

    # -- crowds ----------------------------------------------------------------------------------------------------

    def _see_crowd(self, now: float) -> None:
        """Be there in time for what the next crowd needs, and say how old a look may be."""
        crowds, pages, pace = self._crowds, self.lists.pages, self._budget.pace
        crowds.see(now, pages)
        near, crowds.looks, crowds.ready = False, 0, 0
        reads_at = []
        if crowds.full is not None:
            look_at = looks.list_before(crowds.full, crowds.early, pages, pace)
            near = now >= look_at
            if near and self.lists.read_at < look_at and self._list_is_due(now):
                self.lists.want(Look(look_at, "crowd"), now)
            reads_at.append(look_at)
        if crowds.next is not None:
            look_at = looks.list_before(crowds.next, crowds.early, pages, pace)
            if now >= look_at:
                self._look_at_hinted(crowds.next, now)
            show_at = look_at - MINUTE_SECONDS
            if show_at <= now < show_at + BEFORE_CROWD_SECONDS:
                self._show_minute(show_at + BEFORE_CROWD_SECONDS, now)
            reads_at += [show_at, look_at]
        self._scheduler.at("crowd", "", crowds.next_step(reads_at, now))
        self._near_crowd = near
        # Where a minute grants less than a look and an update, the look would be stale before the update may go.
        crowded = near or pace < REQUESTS_AT_BOUNDARY
        crowded = crowded or len(self._needy) - len(self._curious) >= self._budget.remaining(now)
        self._fresh_seconds = looks.fresh_seconds(pages, told=self.lists.told(), crowded=crowded)

    def _show_minute(self, mark: float, now: float) -> None:
        """Let a list that goes across a mark of the clock show, before a crowd, whether it might go across it too."""
        if not self.lists.running and self.is_quiet() and self._budget.may_show_minute(now, self.lists.pages):
            self._budget.shows_minute(now)
            self.lists.across(now, mark + MARK_MARGIN_SECONDS)

    def _look_at_hinted(self, crowd: int, now: float) -> None:
        """Of whom messages told, nobody may go unseen: know what looks that takes, and look before some go early."""
        mark = crowd * MINUTE_SECONDS
        hinted = 0
        for email in self._crowds.coming.agents_in(crowd):
            agent = self._roster.agents.get(email)
            if agent is not None and agent.facts.hints.open is not None:
                hinted += agent.facts.is_stale(mark)
        self._crowds.looks = min(hinted, self.lists.pages)
        self._crowds.ready = self._crowds.coming.number_in(crowd) - hinted
        since = self._crowds.looks_since(now)
        if since is not None and self.lists.read_at < since and self._crowds.lacks_ready:
            self.lists.want(Look(since, "crowd"), now)

    def _list_is_due(self, now: float) -> bool:
        age = now - self.lists.read_at
        return looks.is_due_before_crowd(age, self.lists.pages, told=self.lists.told(), quiet=not self._price(now))

    def _price(self, now: float) -> float:
        """What a request costs the others now."""
        return self._crowds.prices([*self._candidates(), *self._pages(now)], now).current

    # -- dispatch --------------------------------------------------------------------------------------------------

    def _dispatch(self, now: float) -> None:
        """Start what the budget allows, the most urgent first."""
        waits = bool(self._needy) or bool(self._pages(now))
        next_at = self._budget.next_at(now) if waits or self._crowds.next is not None else None
        if next_at is None or next_at > now:
            self._scheduler.at("dispatch", "", next_at if waits else None)
            self._ration(now, None)
            return
        candidates = self._candidates()
        prices = self._crowds.prices([*candidates, *self._pages(now)], now)
        weights = self._crowds.spending.weights
        self._use_list(candidates, prices, now)
        again = None
        left_out, all_wait = set[str](), False
        for candidate in dispatch.order([*candidates, *self._pages(now)], now, weights):
            if self._calls.credentials_bad and self._in_flight:
                break
            if not dispatch.is_worth(candidate, prices, now, weights):
                # What it costs the others falls with the queue.
                again = now + MINUTE_SECONDS / 4
                left_out.add(candidate.agent)
                continue
            action = self._still_wanted(candidate, now)
            if action is None:
                continue
            if dispatch.is_spare(action):
                if self.lists.running and candidate.agent != dispatch.EVERYBODY:
                    # It shows them all, in a moment.
                    continue
                live = isinstance(action, Look) and action.live
                if live and self._budget.remaining(now) < REQUESTS_OF_DOUBT:
                    self._doubts_at = max(self._doubts_at, now + DOUBTS_PAUSE_SECONDS)
                if live and now < self._doubts_at:
                    again = _earlier(again, self._doubts_at)
                    continue
                if prices.current or not self._has_spare(now) or not self._budget.take_spare(now):
                    # They come last: nobody is behind them but what goes early.
                    spare_at = self._budget.spare_at(now)
                    again = _earlier(again, max(spare_at or now, now + SPARE_RETRY_SECONDS))
                    self._send_early(prices, now)
                    break
                if live:
                    self._doubts_at = now + DOUBTS_PAUSE_SECONDS
                self._launch(candidate, 1 + (live and self._budget.take(now)))
                continue
            requests = min(2 if isinstance(action, Look) and action.live else 1, self._budget.per_minute)
            if not self._budget.take(now, requests):
                again = _earlier(again, self._budget.next_at(now, requests))
                all_wait = True
                break
            self._launch(candidate, requests)
        else:
            self._send_early(prices, now)
        self._scheduler.at("dispatch", "", again)
        self._ration(now, None if all_wait else left_out)

    def _ration(self, now: float, those: set[str] | None) -> None:
        """Of all who need something that is due, the budget makes those wait; None is everybody."""
        for email in self._needy:
            agent = self._roster.agents.get(email)
            action = agent.waiting.action if agent is not None and agent.waiting is not None else None
            if agent is None or action is None:
                continue
            if (those is None or email in those) and not dispatch.is_spare(action) and plan.due_of(action) <= now:
                waits_for_budget(agent, now)
            else:
                goes_on(agent, now)

    def _still_wanted(self, candidate: dispatch.Candidate, now: float) -> Action | None:
        """What is to be done for the candidate: what was true when it queued may not be true any more."""
        if candidate.agent == dispatch.EVERYBODY:
            return candidate.action
        agent = self._roster.agents.get(candidate.agent)
        if agent is None:
            return None
        self._judge(agent, now)
        action = agent.waiting.action if agent.waiting is not None else None
        return None if agent.email in self.lists.serves and isinstance(action, Look) else action

    def _send_early(self, prices: Prices, now: float) -> None:
        """Nobody waits: send what of a crowd ahead is best sent now."""
        if self._calls.credentials_bad:
            return
        for planned in prices.early.get(prices.first, ()):
            self._send_some(planned, self._crowds.window, prices, now)
        crowd, head = self._crowds.next, self._crowds.head_start
        if crowd is not None and now >= crowd * MINUTE_SECONDS - head:
            self._send_some(Early(crowd, Counts(starts=self._budget.pace)), head, prices, now)

    def _send_some(self, planned: Early, window: float, prices: Prices, now: float) -> None:
        """Send these, as far as requests last, if their boundary is at most `window` seconds ahead."""
        quota = dispatch.Quota(planned.counts)
        early = self._crowds.spending.early
        ahead = min(early, max(window, MINUTE_SECONDS * (planned.due - prices.first)))
        for boundary in self._crowds.coming.in_minute(planned.due):
            if not quota.wants(boundary) or not now < boundary.at <= now + ahead:
                continue
            agent = self._roster.agents.get(boundary.agent)
            decision = self._decide_early(agent, boundary, prices, window) if agent is not None else None
            if agent is None or decision is None:
                continue
            if not self._budget.take(now):
                return
            quota.took(boundary)
            self._crowds.coming.served(boundary)
            agent.indexed = None
            self._launch_for(agent, decision, 1)

    def _decide_early(self, agent: Agent, boundary: Boundary, prices: Prices, window: float) -> Decision | None:
        """The update that serves this boundary, if nothing else has to be known or done before."""
        if agent.busy or not agent.ready or agent.user is None or agent.serving or agent.foreseen is not None:
            return None
        if not self._guards.may_go_early(agent, starts=boundary.starts):
            return None
        now = self._clock.now()
        try:
            decision = plan.decide(agent.stance, self._orders(agent, boundary.at), agent.facts, now)
        except Exception as error:  # noqa: BLE001 - said in _quarantine
            self._quarantine(agent, error, now)
            return None
        put = decision.action
        if not isinstance(put, Put) or put.due != boundary.at or put.releases == boundary.starts:
            return None
        change = agent.timeline.next_change(boundary.at) if agent.timeline is not None else None
        candidate = dispatch.Candidate(agent.email, put, not boundary.starts, change)
        return decision if dispatch.is_worth_early(candidate, prices, self._crowds.spending.weights, window) else None

    def _use_list(self, candidates: list[dispatch.Candidate], prices: Prices, now: float) -> None:
        """Let the list of everybody serve those who need a look, where that is cheaper; nobody waits for it twice."""
        if self.lists.running or self.lists.serves:
            return
        affordable = self._budget.remaining(now) // 2
        if self._crowds.ready + sum(isinstance(c.action, Put) for c in candidates) >= self._budget.remaining(now):
            # They need no look, and go first.
            return
        waited_for = [c for c in candidates if not dispatch.is_spare(c.action)]
        if len(waited_for) == len(candidates) or (not prices.current and self._has_spare(now)):
            waited_for = candidates
        those = {c.agent for c in waited_for if self._may_use_list(c)}
        if self.lists.pages > affordable or not those:
            return
        outdated = self.lists.pages > 1 and now - self.lists.read_at > self._fresh_seconds
        coming = self._crowds.coming.number_before(now + self._fresh_seconds) if outdated else 0
        if looks.saves(len(those), coming, self.lists.pages, outdated=outdated):
            for email in those:
                self._roster.agents[email].look_alone = True
            self.lists.for_those(those, min(plan.due_of(c.action) for c in waited_for if c.agent in those), now)

    def _has_spare(self, now: float) -> bool:
        """Whether the budget is enough for the boundaries of the next minute, and for something beside them."""
        soon = self._crowds.soon(now)
        # Before a crowd everybody was looked at; again, by list, are those of whom messages tell: see _look_at_hinted.
        needed = soon + 2 * self.lists.pages if self._near_crowd else soon * REQUESTS_AT_BOUNDARY
        return self._budget.spare_at(now) == now and self._budget.room(now) > needed

    def _candidates(self) -> list[dispatch.Candidate]:
        """What the agents need."""
        candidates = []
        for email in self._needy:
            agent = self._roster.agents.get(email)
            if agent is not None and agent.waiting is not None and agent.waiting.action is not None:
                held = isinstance(agent.stance, Held)
                # Who is paused or not named any more is released, whatever their calendar says next.
                follows = agent.configured and agent.paused_until is None
                change = agent.waiting.change if follows else None
                candidates.append(dispatch.Candidate(email, agent.waiting.action, held, change))
        return candidates

    def _pages(self, now: float) -> list[dispatch.Candidate]:
        """The looks of everybody that are wanted now."""
        pages = (self.lists.page(now), self._presence.page(now) if self._presence is not None else None)
        return [dispatch.Candidate(dispatch.EVERYBODY, page, holding=False) for page in pages if page is not None]

    def _may_use_list(self, candidate: dispatch.Candidate) -> bool:
        action = candidate.action
        return isinstance(action, Look) and not action.live and not self._roster.agents[candidate.agent].look_alone

    def _launch(self, candidate: dispatch.Candidate, requests: int) -> None:
        """Start what is still wanted for the candidate."""
        if candidate.agent != dispatch.EVERYBODY:
            agent = self._roster.agents[candidate.agent]
            assert agent.waiting is not None  # noqa: S101 - _still_wanted has seen to it
            self._launch_for(agent, agent.waiting, requests)
            return
        of_presence = isinstance(candidate.action, Look) and candidate.action.why == "presence"
        pages = self._presence if of_presence and self._presence is not None else self.lists
        self._in_flight += 1
        self._scheduler.start(self._read_page(pages.read, requests), "page")

    async def _read_page(self, work: Callable[[], Awaitable[None]], requests: int) -> None:
        try:
            await work()
        finally:
            self._ended(requests)
            self._scheduler.touch()

    def _launch_for(self, agent: Agent, decision: Decision, requests: int) -> None:
        goes_on(agent, self._clock.now())
        agent.busy, agent.hinting = True, dispatch.is_spare(decision.action)
        self._needs(agent, None)
        if isinstance(decision.action, Look):
            work = partial(self._calls.look, agent, decision.action)
        else:
            agent.updating = True
            work = partial(self._calls.update, agent, decision)
        self._in_flight += 1
        self._scheduler.start(self._perform(agent, work, requests, self._in_flight), f"agent {agent.email}")

    async def _perform(self, agent: Agent, work: Callable[[], Awaitable[None]], requests: int, flying: int) -> None:
        began = self._clock.monotonic()
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - said in _quarantine
            # A PUT that was written down stays unanswered: a look settles it.
            self._quarantine(agent, error, self._clock.now())
        finally:
            self._ended(requests)
            self._crowds.took(self._clock.monotonic() - began, flying)
            agent.busy = agent.hinting = agent.updating = agent.putting = False
            self.touch(agent.email)

    def _ended(self, requests: int) -> None:
        self._in_flight -= 1
        self._budget.give_back(requests)
        if self._calls.credentials_bad:
            # While they are refused nothing begins, so that nobody else might ask whether it is good again.
            self.lists.probe(self._clock.now() + CREDENTIALS_PROBE_SECONDS)


def _earlier(one: float | None, other: float | None) -> float | None:
    return min((at for at in (one, other) if at is not None), default=None)
