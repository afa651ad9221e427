"""Keeps the report of the last absence: whom it concerned, and when each of them was right again.

An agent's part is settled once their calendars were read after it and nothing is owed to them. Nothing is asked or
done for the report: it looks at what each judgement has left, and it costs nothing once everybody is settled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from calsyncd.core import outage
from calsyncd.core.outage import Cause, Concerned, Outage
from calsyncd.core.plan import Held
from calsyncd.core.sync import rfc3339
from calsyncd.core.timeline import Timeline
from calsyncd.logs import get_logger
from calsyncd.phones.agent import Agent
from calsyncd.phones.roster import Roster

SAY_FROM_SECONDS = 5.0
"""A shorter absence is a restart: it is told only if it concerned somebody."""

log = get_logger(__name__)


class IsRead(Protocol):
    """Whether calendars were read."""

    def __call__(self, email: str, since: float) -> bool:
        """Whether each calendar of the agent was read since then, as far as it can be."""
        ...


class Outages:
    """The report of the last absence, if there was one since the process began."""

    def __init__(self, roster: Roster, *, is_read: IsRead, touch: Callable[[str], None]) -> None:
        self._roster = roster
        self._is_read = is_read
        self._touch = touch
        self._outage: Outage | None = None
        self._since = 0.0
        self._said = False
        self._pauses: dict[str, float] = {}
        self._pending: dict[str, Agent] = {}
        self._concerned: dict[str, Concerned] = {}
        self._read_at: dict[str, float] = {}
        self._answered_at: dict[str, float] = {}
        self._unconcerned = 0

    @property
    def outage(self) -> Outage | None:
        """The report as it is now."""
        if self._outage is None:
            return None
        return replace(
            self._outage,
            agents=tuple(self._concerned.values()),
            unconcerned=self._unconcerned,
            waiting=len(self._pending.keys() - self._concerned.keys()),
        )

    def began(self, cause: Cause, away_from: float, away_to: float) -> None:
        """The daemon acts again, after this absence: the report of any earlier one is forgotten."""
        self._outage = Outage(cause, away_from, away_to)
        self._since, self._said = away_to, False
        self._pauses = self._roster.pauses()
        self._pending = dict(self._roster.agents)
        self._concerned, self._unconcerned = {}, 0
        self._read_at, self._answered_at = {}, {}
        if self._outage.seconds > SAY_FROM_SECONDS:
            self._say_began(self._outage)
        if not self._pending:
            self._say_over(self._outage)

    def set_back(self, now: float) -> None:
        """The clock was set: what was read since cannot be told by an instant that is still to come."""
        self._since = min(self._since, now)

    def read(self, email: str) -> None:
        """A calendar of the agent was read, or could not be: what that leaves is judged even if nothing has changed."""
        if email in self._pending:
            self._touch(email)

    def judged(self, emails: Iterable[str], now: float) -> None:
        """These agents were judged in this turn."""
        if self._outage is None or not self._pending:
            return
        for email in emails:
            if email in self._pending:
                self._consider(self._outage, email, now)
        if not self._pending:
            self._say_over(self._outage)

    def _consider(self, report: Outage, email: str, now: float) -> None:
        agent = self._roster.agents.get(email)
        if agent is None:
            # Nothing is owed any more to somebody whom the settings do not name.
            self._settle(report, email, self._pending[email], now)
            return
        self._pending[email] = agent
        held = isinstance(agent.stance, Held)
        if agent.user is None and not held:
            if self._roster.listed:
                # There is no phone to put right; their trouble says so.
                self._concerned.pop(email, None)
                self._settle(report, email, agent, now)
            return
        if not agent.ready or not self._is_read(email, self._since):
            return
        self._read_at.setdefault(email, now)
        facts = agent.facts
        if facts.seen is not None and facts.seen.at == facts.acted_at and not facts.mismatches:
            # Looks may follow for the sake of an earlier answer; this one has said it all.
            self._answered_at[email] = facts.acted_at
        self._note(report, agent, now)
        if agent.observe and not held:
            self._settle(report, email, agent, now)
            return
        if agent.busy or agent.owed or (agent.trouble is not None and agent.trouble.code == "internal"):
            return
        span = agent.timeline.span_at(now) if agent.timeline is not None else None
        wanted = span is not None and agent.paused_until is None and not agent.observe and agent.kept is None
        known = agent.facts.known
        shown = known.status if known is not None else None
        if outage.is_as_wanted(agent.stance, shown, wanted=wanted, now=now):
            self._settle(report, email, agent, now)

    def _note(self, report: Outage, agent: Agent, now: float) -> None:
        """Know which boundaries fell into it, as the calendars say it now, and whether anything is owed for it."""
        timeline = agent.timeline or Timeline()
        missed = outage.boundaries(timeline, report.away_from, report.away_to, self._pauses.get(agent.email))
        since = outage.boundaries(timeline, report.away_to, now)
        owed = agent.owed and not since and not agent.observe
        if missed or owed or agent.email in self._concerned:
            self._concerned[agent.email] = Concerned(agent.email, missed)

    def _settle(self, report: Outage, email: str, agent: Agent, now: float) -> None:
        del self._pending[email]
        known = self._concerned.get(email)
        if known is None:
            self._unconcerned += 1
            return
        seen, acted_at = agent.facts.seen, agent.facts.acted_at
        by_look = seen if self._answered_at.get(email) != acted_at else None
        at = outage.right_at(self._read_at.get(email, now), acted_at, by_look.as_of if by_look is not None else None)
        settled = replace(known, right_at=min(at, now), updated=acted_at >= self._since)
        self._concerned[email] = settled
        self._say_right(report, settled)

    # -- what is said ----------------------------------------------------------------------------------------------

    def _say_began(self, report: Outage) -> None:
        self._said = True
        was = "The machine slept" if report.cause == "slept" else "calsyncd was away"
        log.warning(
            f"{was} from {rfc3339(report.away_from)} to {rfc3339(report.away_to)} ({report.seconds:.0f} s)",
            action="outage",
            seconds=round(report.seconds, 1),
            cause=report.cause,
        )

    def _say_right(self, report: Outage, one: Concerned) -> None:
        if not self._said:
            self._say_began(report)
        assert one.right_at is not None  # noqa: S101 - it is settled
        after = one.right_at - report.away_to
        number = len(one.boundaries)
        what = f"{_number(number, 'boundary', 'boundaries')} fell into it" if number else "something was owed"
        how = "right again" if one.updated else "found right"
        log.info(
            f"{one.email}: {what}, {how} {after:.2f} s after {_end(report)}",
            action="outage_right",
            agent=one.email,
            boundaries=number,
            seconds=round(after, 3),
            updated=one.updated,
        )

    def _say_over(self, report: Outage) -> None:
        if not self._said:
            return
        agents = self._concerned.values()
        last = max((one.right_at for one in agents if one.right_at is not None), default=report.away_to)
        concerned, updated = len(agents), sum(one.updated for one in agents)
        sentence = (
            f"Everybody is right again, {last - report.away_to:.2f} s after {_end(report)}:"
            f" {concerned} of {_number(concerned + self._unconcerned, 'agent', 'agents')} concerned, {updated} updated"
            if concerned
            else "Nobody was concerned: no boundary fell into it, and nothing was owed"
        )
        log.info(
            sentence,
            action="outage_over",
            seconds=round(last - report.away_to, 3),
            concerned=concerned,
            updated=updated,
            unconcerned=self._unconcerned,
        )


def _number(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"


def _end(report: Outage) -> str:
    return "the machine woke" if report.cause == "slept" else "the start"
