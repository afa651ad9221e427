"""Whom we follow: the agents of the settings, those of the ledger, and each one's Aircall user."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from calsyncd.core import plan, wishes
from calsyncd.core.byhand import NOTHING, ByHand
from calsyncd.core.drift import Left, left_behind
from calsyncd.core.model import HistoryRow, Observation, Trouble
from calsyncd.core.plan import FREE, Entry, Held, Pause, Said
from calsyncd.core.timeline import Timeline
from calsyncd.core.troubles import trouble
from calsyncd.logs import get_logger
from calsyncd.phones.agent import Agent

_BINDING_TROUBLES = frozenset({"aircall_user_unknown", "aircall_user_taken"})

_UPDATE_TROUBLES = frozenset({"ledger", "not_taken", "update_refused", "call_without_end"})

log = get_logger(__name__)


class Roster:
    """The agents by e-mail. `directory` is Aircall's users, e-mail by id; `listed` once it was read whole.

    `zones` are the users' own zones, "" for none, as far as they are known; `names` are of the last list. `moved` is
    called with each agent whose zone has changed, `heard` when the list was read whole.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.agents: dict[str, Agent] = {}
        self.directory: dict[int, str] = {}
        self.zones: dict[int, str] = {}
        self.names: dict[int, str] = {}
        self.moved: Callable[[str], None] = lambda _email: None
        self.heard: Callable[[], None] = lambda: None
        self.listed = False
        self.company_trouble: Trouble | None = None
        self._pauses: dict[str, float] = {}
        self._said: dict[str, ByHand] = {}
        self._written: dict[int, float] = {}
        self._now = now

    def restore(
        self,
        entries: Iterable[Entry],
        pauses: Iterable[Pause],
        observations: Mapping[int, Observation],
        said: Iterable[Said] = (),
    ) -> None:
        """Take up the debts and words of the ledger, whoever the settings name, and what was last seen."""
        now = self._now()
        self._said = {one.email: one.by_hand for one in said}
        entries = list(entries)
        self._written = {entry.user: entry.at for entry in entries}
        bound = {agent.bound_to: agent for agent in reversed(self.agents.values())}
        for entry in entries:
            agent = bound.get(entry.user) or self._namesake(entry) or self._add_unlisted(entry)
            agent.user = entry.user
            agent.stance = plan.restored(entry.stance, now)
        self._pauses = {pause.email: pause.until for pause in pauses if pause.until is not None}
        for email, agent in self.agents.items():
            agent.paused_until = self._paused_until(email)
        for agent in self.agents.values():
            seen = observations.get(agent.user) if agent.user is not None else None
            # What was seen by a clock that was ahead would hide all looks until then.
            if seen is not None and seen.at <= now:
                agent.facts = agent.facts.looked(seen)

    def recall(self, changes: Iterable[HistoryRow]) -> None:
        """Take up what the history last tells of each agent's setting: also what we left behind without a debt."""
        for row in changes:
            agent = self.agents.get(row.agent)
            if agent is None:
                continue
            agent.status, agent.status_at = row.to, row.at
            seen = agent.facts.seen
            if seen is not None and seen.status == row.to:
                agent.status_at = max(row.at, seen.at)
            if agent.user is not None and not isinstance(agent.stance, Held):
                agent.left = left_behind(agent.user, row, self._written.get(agent.user), agent.facts.seen)

    def configure(self, agents: Iterable[Agent]) -> list[str]:
        """Follow exactly these agents, and tell for whom that makes a difference.

        Nothing but the way back is wanted of who is not named any more.
        """
        before = {email: (agent, _terms(agent)) for email, agent in self.agents.items()}
        named = {agent.email: agent for agent in agents}
        by_email = self._by_email()
        for email, agent in self.agents.items():
            if email not in named:
                self._unlist(agent)
        for email, wanted in named.items():
            known = self.agents.get(email)
            if known is None:
                self.agents[email] = wanted
            elif known.bound_to != wanted.bound_to and _bound_user(wanted, by_email) != known.user:
                self._rebind(known, wanted)
            else:
                if wanted.observe != known.observe:
                    known.known_at = self._now()
                known.bound_to, known.rules, known.configured = wanted.bound_to, wanted.rules, True
                known.observe = wanted.observe
            self.agents[email].paused_until = self._paused_until(email)
        self.bind()
        return [
            email
            for email, agent in self.agents.items()
            if email not in before or before[email][0] is not agent or before[email][1] != _terms(agent)
        ]

    def pause(self, email: str, until: float | None) -> None:
        """Leave the agent alone until `until`, or no longer (None); it is remembered by the e-mail address."""
        agent = self.agents.get(email)
        if agent is not None:
            agent.paused_until, agent.known_at = until, self._now()
        self._pauses.pop(email, None)
        if until is not None:
            self._pauses[email] = until

    def forget(self, email: str) -> None:
        """Drop what was said by hand of somebody who is not followed any more."""
        self._pauses.pop(email, None)
        self._said.pop(email, None)

    def say(self, email: str, by_hand: ByHand) -> None:
        """This is said by hand of the agent's meetings; it is remembered by the e-mail address."""
        before, agent = self._said.pop(email, NOTHING), self.agents.get(email)
        if agent is not None:
            agent.unextended = before.extension.until if before.extension is not None else None
        if by_hand != NOTHING:
            self._said[email] = by_hand

    def by_hand(self, email: str) -> ByHand:
        """What is said by hand of the agent's meetings, without what is long over."""
        return wishes.remembered(self._said.get(email, NOTHING), self._now())

    def pauses(self) -> dict[str, float]:
        """Until when each agent is paused, or was paused last if nobody resumed them before."""
        return dict(self._pauses)

    def paused(self) -> list[str]:
        """Who is paused now, also of those whom the settings do not name any more."""
        return [email for email in self._pauses if self._paused_until(email) is not None]

    def _paused_until(self, email: str) -> float | None:
        until = self._pauses.get(email)
        return until if until is not None and until > self._now() else None

    def zone(self, email: str) -> str | None:
        """The zone of the agent's Aircall user, "" for none; None while that is not known."""
        agent = self.agents.get(email)
        return self.zones.get(agent.user) if agent is not None and agent.user is not None else None

    def list_users(
        self,
        directory: dict[int, str],
        zones: Mapping[int, str] = MappingProxyType({}),
        names: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        """Aircall's users were listed whole."""
        before = {email: self.zone(email) for email in self.agents}
        self.directory, self.zones, self.names, self.listed = directory, dict(zones), dict(names), True
        by_email = self._by_email()
        for agent in self.agents.values():
            user = agent.user if agent.user is not None else _bound_user(agent, by_email)
            agent.missing = 0 if user in directory else agent.missing + 1
        # Who is followed by this list alone is not in trouble for not being in it.
        self.heard()
        self.bind()
        if self.company_trouble is None:
            self._close_what_nobody_is_owed()
        for email in self.agents:
            if self.zone(email) != before.get(email):
                self.moved(email)

    def bind(self) -> None:
        """Find each agent's Aircall user; say who has none, and who shares one."""
        by_email = self._by_email()
        taken: dict[int, str] = {}
        unknown = 0
        followed = [agent for agent in self.agents.values() if agent.configured]
        formers: defaultdict[int | None, list[tuple[str, Agent]]] = defaultdict(list)
        for name, agent in self.agents.items():
            if not agent.configured:
                formers[agent.user].append((name, agent))
        for agent in followed:
            user = self._user_of(agent, by_email)
            if user is None or self._is_gone(agent, user):
                if self.listed:
                    unknown += 1
                    self.trouble(agent, "aircall_user_unknown")
                user = user if isinstance(agent.stance, Held) else None
            elif taken.setdefault(user, agent.email) != agent.email:
                self.trouble(agent, "aircall_user_taken")
                user = None
            elif agent.trouble is not None and agent.trouble.code in _BINDING_TROUBLES:
                agent.trouble = None
            agent.user = self._take_over(agent, user, formers.get(user, ()))
        self.company("aircall_company", on=self.listed and unknown >= 2 and unknown * 2 > len(followed))

    def trouble(self, agent: Agent, code: str, message: str | None = None) -> None:
        """Something keeps this agent from being right: say so once."""
        if agent.trouble is not None and agent.trouble.code == code:
            return
        agent.trouble = trouble(code, self._now(), message)
        log.warning(
            f"{agent.email}: {agent.trouble.message}",
            action="trouble_raised",
            agent=agent.email,
            code=code,
            do=agent.trouble.do,
        )

    def trouble_over(self, agent: Agent, *, by_update: bool) -> None:
        """A request for this agent worked: what it had troubled is over. A look mends nothing that an update failed."""
        if agent.trouble is None or agent.trouble.code in _BINDING_TROUBLES:
            return
        if (agent.failed_updates or agent.trouble.code in _UPDATE_TROUBLES) and not by_update:
            return
        self._clear(agent)

    def nothing_owed(self, agent: Agent) -> None:
        """Nothing is to be sent and all is written down: what an update had troubled is over with it."""
        failed, agent.failed_updates = agent.failed_updates > 0, 0
        code = agent.trouble.code if agent.trouble is not None else None
        if code in _UPDATE_TROUBLES or (failed and code is not None and code not in _BINDING_TROUBLES):
            self._clear(agent)

    def _clear(self, agent: Agent) -> None:
        log.info(f"{agent.email}: the trouble is over", action="trouble_cleared", agent=agent.email)
        agent.trouble = None

    def company(self, code: str, *, on: bool) -> None:
        """A trouble of everybody begins or is over."""
        current = self.company_trouble
        if on and (current is None or current.code != code):
            self.company_trouble = trouble(code, self._now())
            log.error(self.company_trouble.message, action="trouble_raised", code=code, do=self.company_trouble.do)
        elif not on and current is not None and current.code == code:
            self.company_trouble = None
            log.info("A trouble of the whole company is over", action="trouble_cleared", code=code)

    def _is_gone(self, agent: Agent, user: int) -> bool:
        """Whether the list says that there is no such user.

        Pages shift while they are read: who was there is believed gone only at the second list that lacks them.
        """
        if not self.listed or user in self.directory:
            return False
        return agent.user != user or agent.missing > 1

    def _close_what_nobody_is_owed(self) -> None:
        """Two whole lists in a row lacked the user: nobody is left to whom anything could be owed."""
        for agent in self.agents.values():
            if agent.missing > 1 and not agent.busy and agent.stance != FREE:
                log.warning(
                    f"{agent.email}: the Aircall user is gone, and with them what was owed",
                    action="hold_closed",
                    agent=agent.email,
                )
                held = agent.stance
                if isinstance(held, Held) and agent.user is not None:
                    # Should they come back as they were, it is owed after all.
                    agent.left = Left(agent.user, held.back.availability_status, held.since, held.event)
                agent.stance, agent.unwritten = FREE, True

    def _by_email(self) -> dict[str, int]:
        """Aircall's users, as far as the directory knows."""
        return {email: user for user, email in self.directory.items()}

    def _user_of(self, agent: Agent, by_email: Mapping[str, int]) -> int | None:
        if isinstance(agent.stance, Held) and agent.user is not None:
            # The debt is to this user, whoever has the e-mail address now.
            return agent.user
        if isinstance(agent.bound_to, int):
            return agent.bound_to
        return by_email.get(agent.bound_to, None if self.listed else agent.user)

    def _take_over(self, agent: Agent, user: int | None, formers: Iterable[tuple[str, Agent]]) -> int | None:
        """The user, once nobody else here acts for them: a debt that was left to a former name is taken along.

        `formers` are those who act for this user and are not followed.
        """
        for name, former in formers:
            if user is None or self.agents.get(name) is not former:
                continue
            if former.busy or agent.busy or agent.stance != FREE:
                return None
            agent.stance, agent.facts, agent.unwritten = former.stance, former.facts, True
            del self.agents[name]
        return user

    def _namesake(self, entry: Entry) -> Agent | None:
        """Who is followed by the address alone, and takes up the debt of the user who had it."""
        namesake = self.agents.get(entry.email)
        if namesake is None or isinstance(namesake.bound_to, int) or namesake.stance != FREE:
            return None
        return namesake

    def _add_unlisted(self, entry: Entry) -> Agent:
        """A debt to somebody whom the settings do not name: nothing is wanted of them but the way back."""
        agent = Agent(self._free_name(entry.email, entry.user), entry.user)
        self._unlist(agent)
        self.agents[agent.email] = agent
        return agent

    def _unlist(self, agent: Agent) -> None:
        agent.configured, agent.ready, agent.complete = False, True, True
        agent.timeline, agent.known_at = Timeline(), self._now()

    def _rebind(self, known: Agent, wanted: Agent) -> None:
        """Another Aircall user for the same person: the old one's debt stays with the old one."""
        self.agents[wanted.email] = replace(
            wanted,
            timeline=known.timeline,
            complete=known.complete,
            ready=known.ready,
            paused_until=known.paused_until,
            known_at=self._now(),
        )
        if isinstance(known.stance, Held) or known.busy or known.foreseen is not None:
            # The same object under another name: a request of theirs may be under way.
            known.email = self._free_name(known.email, known.user)
            self._unlist(known)
            self.agents[known.email] = known

    def _free_name(self, email: str, user: int | None) -> str:
        return email if email not in self.agents else f"{email} (Aircall user {user})"


def _bound_user(agent: Agent, by_email: Mapping[str, int]) -> int | None:
    """The user that the settings name, as far as it is known."""
    return agent.bound_to if isinstance(agent.bound_to, int) else by_email.get(agent.bound_to)


def _terms(agent: Agent) -> tuple[object, ...]:
    """By what an agent is judged, of all that the settings and the binding to a user may change."""
    return agent.configured, agent.user, agent.stance, agent.rules, agent.observe, agent.paused_until
