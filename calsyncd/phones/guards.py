"""Between the plan and dispatch: who is only observed, and whom the coverage floor keeps.

Who may go is settled for all agents of a turn together, so that it makes no difference who was judged first. Until
then an agent who would be taken off is undecided, and what was settled in one turn counts in that turn only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from calsyncd.core import guard, plan
from calsyncd.core.guard import Floor, Kept, Member
from calsyncd.core.model import Setting
from calsyncd.core.observe import carried_on
from calsyncd.core.plan import FREE, Decision, Held, Look, Orders, Put
from calsyncd.core.sync import rfc3339
from calsyncd.core.timeline import Timeline
from calsyncd.logs import get_logger
from calsyncd.metrics import Metrics
from calsyncd.phones.agent import Agent
from calsyncd.phones.presence import Presence
from calsyncd.phones.record import Record
from calsyncd.phones.roster import Roster

log = get_logger(__name__)


class Guards:
    """The plan's decisions, after what the company wants of them. Without a `presence` all are logged in."""

    def __init__(self, roster: Roster, record: Record, metrics: Metrics, presence: Presence | None = None) -> None:
        self._roster = roster
        self._presence = presence
        self._record = record
        self._metrics = metrics
        self._floors: tuple[Floor, ...] = ()
        self._going: dict[str, float] = {}
        self._allowed: frozenset[str] = frozenset()
        self._kept: dict[str, Floor] = {}

    def keep_available(self, floors: Iterable[Floor]) -> bool:
        """These floors hold from now on; whether they are others than before."""
        before, self._floors = self._floors, tuple(floors)
        if self._presence is not None:
            self._presence.keep(on=bool(self._floors))
        return self._floors != before

    def decide(self, agent: Agent, orders: Orders, now: float) -> Decision | None:
        """What to do about the agent; None while it is not settled who may go: then `settle` names the agent."""
        self._going.pop(agent.email, None)
        decision = self._plan(agent, orders, now)
        since = self._begins(agent, decision, orders, now)
        if since is None:
            return decision
        if self._floors:
            self._going[agent.email] = since
            if agent.email in self._kept:
                return _stay(agent, decision, orders, now, since)
            if agent.email not in self._allowed:
                return None
        if agent.kept is not None:
            # Let go: what is wanted of them is wanted from now on.
            agent.known_at, decision = now, replace(decision, owes=None)
            agent.kept = agent.kept if self._floors and isinstance(decision.action, Look) else None
        if agent.observe and isinstance(decision.stance, Held):
            return self._would_begin(agent, decision.stance, decision)
        return decision

    def may_go_early(self, agent: Agent, *, starts: bool) -> bool:
        """Whether an update may go before its boundary; who may be taken off is settled at the boundary only."""
        return not starts or not (self._floors or agent.observe)

    def foresee(self, agent: Agent, orders: Orders, boundary: float) -> Decision:
        """What the boundary will need of the agent, as far as that is known now."""
        if agent.observe and not isinstance(agent.stance, Held):
            return Decision(agent.stance)
        return plan.decide(agent.stance, _orders(agent, orders), agent.facts, boundary)

    def settle(self, now: float) -> list[str]:
        """Settle who may go and who is kept; names those who are to be judged again for it, in no order."""
        agents = self._roster.agents
        self._going = {email: since for email, since in self._going.items() if email in agents}
        before, known = self._kept, self._allowed
        self._kept = self._whom_to_keep(now) if self._going and self._floors else {}
        self._allowed = frozenset(self._going.keys() - self._kept.keys()) if self._floors else frozenset()
        if self._presence is not None:
            self._presence.need(needed=bool(self._kept))
        for email, floor in self._kept.items():
            self._keep(agents[email], floor, now)
        news = (self._kept.keys() - before.keys()) | (self._allowed - known) | (before.keys() - self._kept.keys())
        return [email for email in news if email in agents]

    def measure(self) -> None:
        """Bring the gauges up to date."""
        self._metrics.kept_agents(sum(agent.kept is not None for agent in self._roster.agents.values()))

    # -- the floor -------------------------------------------------------------------------------------------------

    def _begins(self, agent: Agent, decision: Decision, orders: Orders, now: float) -> float | None:
        """When the hold begins that this decision begins, or begins to look for; None where it does neither."""
        put = decision.action
        if isinstance(put, Put) and not put.releases and not isinstance(agent.stance, Held):
            assert isinstance(decision.stance, Held)  # noqa: S101 - every PUT serves a hold
            begins = decision.stance.effective
            return begins if agent.kept is None else min(begins, agent.kept.since)
        if agent.kept is None:
            return None
        at = max(now, agent.kept.since)
        timeline = orders.timeline
        wanted = timeline is not None and timeline.span_at(at) is not None and not orders.paused(now)
        if decision.stance != FREE or not wanted or not orders.may_begin:
            agent.kept = None
            if decision.stance == FREE:
                self._record.history(agent, outcome="over", why="nothing would take the agent off the phones any more")
            return None
        looks = isinstance(decision.action, Look) and decision.action.why != "hint"
        return agent.kept.since if looks else None

    def _whom_to_keep(self, now: float) -> dict[str, Floor]:
        """Whom to keep. Who is only observed is asked about as if what would be held were."""
        really = guard.kept((self._member(agent, now) for agent in self._followed()), self._floors)
        if not any(agent.observe for agent in self._followed()):
            return really
        as_if = guard.kept((self._member(agent, now, as_if=True) for agent in self._followed()), self._floors)
        observed = {agent.email for agent in self._followed() if agent.observe}
        return {email: floor for email, floor in really.items() if email not in observed} | {
            email: floor for email, floor in as_if.items() if email in observed
        }

    def _followed(self) -> list[Agent]:
        return [agent for agent in self._roster.agents.values() if agent.configured]

    def _member(self, agent: Agent, now: float, *, as_if: bool = False) -> Member:
        offline = self._presence is not None and agent.user is not None and self._presence.is_offline(agent.user, now)
        there = agent.user is not None and not agent.updating and not offline
        covers = there and guard.covers(agent.stance, agent.facts, now)
        begins = self._going.get(agent.email)
        if agent.updating or (agent.observe and not as_if):
            begins = None
        away = agent.timeline is not None and begins is not None and agent.timeline.is_away(max(now, begins))
        return Member(agent.email, covers and not (as_if and agent.would is not None), begins, away)

    def _keep(self, agent: Agent, floor: Floor, now: float) -> None:
        new = agent.kept is None
        agent.kept = Kept(self._going[agent.email], floor)
        if not new:
            return
        sentence = f"{agent.email} is kept available: {floor} are to stay (dispatch.keep_available)"
        seen = agent.facts.known
        log.info(sentence, action="kept", agent=agent.email, floor=floor.name, least=floor.least)
        at = max(now, self._going[agent.email])
        self._record.history(
            agent,
            outcome="kept",
            why=sentence,
            from_=seen.status if seen is not None else None,
            until=agent.timeline.stretch_end(at) if agent.timeline is not None else None,
        )

    # -- who is only observed --------------------------------------------------------------------------------------

    def _plan(self, agent: Agent, orders: Orders, now: float) -> Decision:
        if not agent.observe:
            agent.would = None
        if agent.would is None:
            return plan.decide(agent.stance, _orders(agent, orders), agent.facts, now)
        before, agent.would = agent.would, carried_on(agent.would, orders, now)
        if agent.would is None:
            self._observed(agent, before, before.put, before.back, "would be put back")
        elif agent.would.put != before.put:
            self._observed(agent, agent.would, before.put, agent.would.put, "would have another reason")
        elif agent.would.until != before.until:
            why = agent.why_moved(before, agent.would, now)
            self._record.history(agent, outcome="moved", why=why, event=agent.would.event, until=agent.would.until)
        decision = plan.decide(agent.stance, replace(orders, may_begin=False), agent.facts, now)
        ends = agent.would.until if agent.would is not None else None
        again = min((at for at in (decision.again, ends) if at is not None and at > now), default=None)
        return replace(decision, again=again)

    def _would_begin(self, agent: Agent, held: Held, decision: Decision) -> Decision:
        agent.would = replace(held, lost_at=None)
        self._observed(agent, held, held.back, held.put, f"would be unavailable until {rfc3339(held.until)}")
        return Decision(FREE, again=decision.change, change=decision.change)

    def _observed(self, agent: Agent, held: Held, from_: Setting, to: Setting, what: str) -> None:
        sentence = f"{agent.email} {what}, and is only observed"
        self._metrics.update("observed")
        log.info(sentence, action="observed", agent=agent.email, event_id=held.event)
        self._record.history(
            agent,
            outcome="observed",
            why=sentence,
            from_=from_.availability_status,
            to=to.availability_status,
            event=held.event,
            until=held.until,
            substatus=to.substatus,
        )


def _orders(agent: Agent, orders: Orders) -> Orders:
    """Nothing but the way back is wanted of somebody who is held and only observed."""
    if agent.observe and isinstance(agent.stance, Held):
        return replace(orders, timeline=Timeline(), complete=True)
    return orders


def _stay(agent: Agent, decision: Decision, orders: Orders, now: float, since: float) -> Decision:
    """Kept: nothing is owed; only a hint is still looked into, since it may tell that the agent does not cover."""
    changes = [decision.change]
    if orders.timeline is not None:
        changes.append(orders.timeline.next_away(max(now, since)))
    look = decision.action
    hinted = replace(look, why="hint") if isinstance(look, Look) and agent.facts.is_stale(now) else None
    again = min((at for at in changes if at is not None and at > now), default=None)
    return Decision(FREE, hinted, again=again, change=decision.change)
