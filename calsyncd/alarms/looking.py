"""What is wrong now, gathered from everywhere where it is known; and of what it is not known.

It is not known of whom nothing was read since the start, nor where a service that does not answer stands before it: a
calendar that Google refused yesterday is not mended by an outage of Google.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from calsyncd.calendars import Calendar, Push, Syncer
from calsyncd.clock import Clock
from calsyncd.core.access import OF_AIRCALL
from calsyncd.core.alarms import COMPANY, OWED_SECONDS, Wrong, is_everybodys
from calsyncd.core.plan import Held
from calsyncd.core.troubles import KINDS, needs_human
from calsyncd.phones import Agent, Roster, Webhooks

LAG_WINDOW_SECONDS = 60.0
LAG_SHARE = 0.1
STORM_SECONDS = 60.0
"""A storm is settled within seconds, often between two looks: it is told for so long after it began."""

_OF_A_CALENDAR = frozenset(code for code, kind in KINDS.items() if kind.reach == "calendar")
"""The other troubles of calendars are their agent's: one alarm, however many calendars he has."""

_TOLD_ELSEWHERE = frozenset({"store", "vault"})
"""The database tells of itself, and of the vault's files whoever looks through all of them, by name."""

_OF_AIRCALL = frozenset(code for code, kind in KINDS.items() if kind.reach == "agent" and kind.told_by == "aircall")
_OF_GOOGLE = frozenset(
    code
    for code, kind in KINDS.items()
    if kind.reach == "company" and kind.told_by == "google" and code != "push_address"
)
"""What one calendar that is read shows to be over, for the company; our address Google takes or not by itself."""


class Lag:
    """How long the loop was blocked lately; told every second or so."""

    def __init__(self) -> None:
        self._late: deque[tuple[float, float]] = deque()

    def late(self, at: float, seconds: float) -> None:
        """A timer of `at`, by a clock that never jumps, was so late."""
        self._late.append((at, seconds))
        while self._late[0][0] < at - LAG_WINDOW_SECONDS:
            self._late.popleft()

    def lasts(self) -> bool:
        """Whether a good part of the last minute was lost."""
        return sum(seconds for _, seconds in self._late) >= LAG_WINDOW_SECONDS * LAG_SHARE


class Facts(Protocol):
    """What the process knows of itself."""

    def ledger_writable(self) -> bool | None:
        """Whether debts can be written down; None while that is not known."""
        ...

    def database_lasts(self) -> bool:
        """Whether the database outlives the process."""
        ...

    def database_answers(self) -> bool:
        """Whether it has answered lately."""
        ...

    def database_log_grows(self) -> bool:
        """Whether its write-ahead log is far longer than it should be."""
        ...

    def clock_skew(self) -> float | None:
        """By how many seconds our clock was found wrong; None while that is not known."""
        ...

    def clock_credible(self) -> bool:
        """Whether decisions may rely on it."""
        ...

    def loop_lags(self) -> bool:
        """Whether the loop is blocked again and again."""
        ...

    def public_url(self) -> tuple[str, str] | None:
        """What was seen of the public URL's fault and what to do, "" both if it has none; None: not known yet."""
        ...


@dataclass(slots=True)
class Seen:
    """What is wrong, among how many agents, and of whom it is not known."""

    agents: int = 0
    wrong: list[Wrong] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)
    unread_of: set[str] = field(default_factory=set)
    unseen: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    def doubted(self, code: str) -> Collection[str]:
        """Of whom it is not known whether they have this trouble."""
        if is_everybodys(code):
            return (COMPANY,) if code in self.unknown else ()
        if code == "internal":
            return self.unread | self.unseen
        if code in _OF_A_CALENDAR:
            return self.unread
        return self.unseen if code in _OF_AIRCALL else self.unread_of


class _Anybody(Collection[str]):
    """So many that nothing is known to be over."""

    def __contains__(self, _: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 1_000_000


class _Blind(Seen):
    """All that is not shown may be there or not."""

    def doubted(self, code: str) -> Collection[str]:
        """Of whom it is not known whether they have this trouble: everybody."""
        del code
        return _Anybody()


def dead(since: float) -> Seen:
    """What is wrong for whoever knows only that the daemon has been dead since then."""
    return _Blind(wrong=[Wrong("daemon_dead", COMPANY, since)])


class Looking:
    """Looks at everything; `granted` says of these agents what is wrong with what they have granted."""

    def __init__(
        self,
        clock: Clock,
        *,
        roster: Roster,
        syncer: Syncer,
        push: Push,
        webhooks: Webhooks,
        facts: Facts,
        granted: Callable[[Iterable[str]], Iterable[Wrong]] = lambda _: (),
    ) -> None:
        self._clock = clock
        self._roster = roster
        self._syncer = syncer
        self._push = push
        self._webhooks = webhooks
        self._facts = facts
        self._granted = granted
        self._began_at = clock.now()
        self._since: dict[str, float] = {}

    def look(self) -> Seen:
        """What is wrong now, from memory."""
        now = self._clock.now()
        everybody = self._roster.agents.values()
        agents = [agent for agent in everybody if agent.configured or isinstance(agent.stance, Held)]
        seen = Seen(len(agents))
        seen.wrong += self._of_company(now)
        for agent in agents:
            self._look_at_agent(agent, seen, now)
        for calendar in self._syncer.calendars.values():
            self._look_at_calendar(calendar, seen)
        seen.wrong += self._granted(agent.email for agent in agents)
        seen.unknown.update(self._unknown(now))
        return seen

    # -- agents and calendars --------------------------------------------------------------------------------------

    def _look_at_agent(self, agent: Agent, seen: Seen, now: float) -> None:
        trouble = agent.trouble
        company = self._roster.company_trouble is not None
        if trouble is not None:
            code = trouble.code if trouble.code in KINDS else "aircall_failing"
            seen.wrong.append(Wrong(code, agent.email, trouble.since, agent.email))
        # Who has a trouble, or whose company has one, is owed something because of it.
        owes_since = agent.owes_since if trouble is None and not company else None
        if owes_since is not None and now - owes_since >= OWED_SECONDS:
            seen.wrong.append(Wrong("updates_owed", agent.email, owes_since, agent.email))
        looked = agent.facts.seen is not None and agent.facts.seen.as_of >= self._began_at
        well = trouble is None and not company and not agent.owed and agent.ready and looked
        if not well and (trouble is None or not needs_human(trouble.code)):
            seen.unseen.add(agent.email)

    def _look_at_calendar(self, calendar: Calendar, seen: Seen) -> None:
        trouble = calendar.trouble
        if trouble is not None and trouble.code not in _TOLD_ELSEWHERE:
            code = trouble.code if trouble.code in KINDS else "google_failing"
            seen.wrong.append(_of_calendar(code, calendar, trouble.since))
        push = calendar.push_trouble
        # Unknown ones pass: the calendar is polled.
        if push is not None and push.code in KINDS and (trouble is None or push.code != trouble.code):
            seen.wrong.append(_of_calendar(push.code, calendar, push.since))
        read = calendar.fresh if trouble is None else needs_human(trouble.code)
        if not read:
            seen.unread.add(calendar.key)
            seen.unread_of.add(calendar.agent)

    # -- everybody's -----------------------------------------------------------------------------------------------

    def _of_company(self, now: float) -> Iterator[Wrong]:
        company = self._roster.company_trouble
        if company is not None:
            yield Wrong(company.code, COMPANY, company.since)
        storm = self._syncer.storm
        if storm.began_at is not None and (storm.waiting or now < storm.began_at + STORM_SECONDS):
            yield Wrong("storm", COMPANY, storm.began_at)
        if self._webhooks.failing_since is not None and company is None:
            yield Wrong("aircall_webhook", COMPANY, self._webhooks.failing_since)
        facts = self._facts
        public_url = facts.public_url() or ("", "")
        found = {
            # A disk that hangs fails no write: that shows in the agents for whom nothing could be written down.
            "ledger": facts.ledger_writable() is False,
            "database": not facts.database_answers(),
            "database_in_memory": not facts.database_lasts(),
            "database_log": facts.database_log_grows(),
            "clock_skewed": bool(facts.clock_skew()),
            "clock_not_credible": not facts.clock_credible(),
            "loop_lag": facts.loop_lags(),
            "public_url": any(public_url),
        }
        told = {"public_url": public_url}
        for code, wrong in found.items():
            if wrong:
                yield Wrong(code, COMPANY, self._since.setdefault(code, now), *(None, *told.get(code, ())))
            else:
                self._since.pop(code, None)

    def _unknown(self, now: float) -> Iterator[str]:
        """Everybody's troubles of which it is not known whether they are there."""
        calendars = self._syncer.calendars.values()
        if self._facts.ledger_writable() is None:
            yield "ledger"
        if self._facts.clock_skew() is None:
            yield "clock_skewed"
        if self._facts.public_url() is None:
            yield "public_url"
        if not self._webhooks.checked or self._roster.company_trouble is not None:
            yield "aircall_webhook"
        if not self._roster.listed or self._roster.company_trouble is not None:
            yield from OF_AIRCALL
        if calendars and not any(one.fresh and one.trouble is None for one in calendars):
            yield from _OF_GOOGLE
        if calendars and not any(self._accepted(one, now) for one in calendars):
            yield "push_address"

    def _accepted(self, calendar: Calendar, now: float) -> bool:
        """Whether Google has taken our address for this calendar, or need not."""
        opened = any(channel.resource is not None for channel in calendar.channels.values())
        return opened or self._push.health(calendar, now) == "off"


def _of_calendar(code: str, calendar: Calendar, since: float) -> Wrong:
    who = calendar.key if code in _OF_A_CALENDAR else calendar.agent
    return Wrong(code, who, since, calendar.agent)
