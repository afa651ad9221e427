"""What is owed to agents, as the metrics tell it: for how long each is wrong, and how much of it the budget explains.

What is wrong is counted while it lasts, not only once it is over: an outage shows while it is there. It is counted as
far as it is known: an agent who has to be looked at first counts as wrong until the look has told otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable

from calsyncd.core.plan import Put
from calsyncd.metrics import Metrics, Wrong
from calsyncd.phones.agent import Agent

EXPLAINED_SECONDS = 2.0
"""Whoever waited for the budget for all but so long was left out because of it."""


class Owed:
    """Counts what is owed."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def judged(self, agent: Agent, before: float | None, now: float) -> None:
        """An agent was judged, who had been owed something since `before`, if not None."""
        if agent.owes_since is None:
            if before is not None and agent.owes_kind not in (None, kind_of(agent, now)):
                # Its time has passed: the meeting is over that was to be held, or the next one has begun.
                self._count(agent, before, now)
                waited = _waited(agent, now)
                explained = waited > 0 and now - before - waited <= EXPLAINED_SECONDS
                self._metrics.update("left_out" if explained else "dropped")
            forget(agent)
        elif before is None:
            agent.owes_kind = kind_of(agent, now)

    def measure(self, agents: Iterable[Agent], now: float) -> None:
        """Bring the gauges and what is being counted up to date."""
        number, oldest = 0, now
        for agent in agents:
            number += agent.owed
            if agent.owes_since is not None:
                oldest = min(oldest, agent.owes_since)
                if not agent.updating:
                    self._count(agent, agent.owes_since, now)
        self._metrics.owed_updates(number)
        self._metrics.owed_age(now - oldest)

    def _count(self, agent: Agent, since: float, now: float) -> None:
        if agent.owes_kind is not None and agent.ready and agent.user is not None:
            self._metrics.wrong_state(agent.owes_kind, now - max(since, agent.known_at, agent.wrong_until))
            agent.wrong_until = now


def served(agent: Agent, put: Put, now: float, metrics: Metrics) -> None:
    """An update was made."""
    late = max(0.0, now - max(put.due, agent.known_at))
    if not put.enforces:
        metrics.lateness_beyond_budget(late - _waited(agent, now))
    metrics.wrong_state("unreachable" if put.releases else "ringing", min(late, now - agent.wrong_until))
    agent.owes_since = None
    forget(agent)


def waits_for_budget(agent: Agent, now: float) -> None:
    """What an agent is owed would be done now, if the budget let it."""
    if agent.rationed_at is None:
        agent.rationed_at = now


def goes_on(agent: Agent, now: float) -> None:
    """Whatever an agent waits for from now on, it is not the budget."""
    agent.rationed, agent.rationed_at = _waited(agent, now), None


def forget(agent: Agent) -> None:
    """Nothing is owed, or the clock was set: what was counted is void."""
    agent.owes_kind, agent.rationed, agent.rationed_at, agent.wrong_until = None, 0.0, None, 0.0


def _waited(agent: Agent, now: float) -> float:
    return agent.rationed + (max(0.0, now - agent.rationed_at) if agent.rationed_at is not None else 0.0)


def kind_of(agent: Agent, now: float) -> Wrong:
    """How an agent is wrong to whom something is owed."""
    follows = agent.configured and agent.paused_until is None and agent.timeline is not None
    wanted = follows and agent.timeline is not None and agent.timeline.span_at(now) is not None
    return "ringing" if wanted else "unreachable"
