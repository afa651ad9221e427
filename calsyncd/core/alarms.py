"""When what is wrong becomes an alarm, and when that is over.

Level, not edge: one shows what is wrong now, every few seconds, and gets the difference to what was raised. So an alarm
needs no counterpart in the rooms that find troubles, and one that ended while nobody looked is cleared all the same.

1. A trouble has to last, so that a blip pages nobody: its presence is added up, and forgotten once it was away for
   AWAY_SECONDS. What keeps the whole company from being held at all is raised at once.
2. An alarm is cleared once its trouble was away for AWAY_SECONDS, so that one that comes and goes is one alarm. Time in
   which it cannot be known, as when nothing was read since a start, is not time away.
3. One cause is one alarm. A trouble that is everybody's by its nature has no agents. Any other one that more than half
   of the agents have, or more than SINGLES, is the company's from then on; those that were raised before stay, no more
   are. It falls apart into single ones again only when far fewer have it.

Presence is counted by what passes between two shows, at most LONGEST_STEP_SECONDS: a clock that is set raises nothing.
What has to last for hours would never be told of where restarts come as often: that presence outlives the process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from calsyncd.core.names import naming
from calsyncd.core.troubles import KINDS, LASTS_SECONDS, trouble

COMPANY = "company"

OWED_SECONDS = 300.0
"""The alarm age of an update. What deserves an alarm makes the daemon unready: it is the same age. A request that fails
is tried again after 1, 2, 4 … 64 s, so that eight tries were in vain; and in a company of 1,000 whose half is due at
one instant, the 100 requests of a minute have served the last one: what is later than that is late by more than the
crowd."""

AWAY_SECONDS = 120.0
LONGEST_STEP_SECONDS = 30.0
PENDING_SECONDS = 3600.0
"""The presence of what has to last so long, or longer, is to be kept through restarts."""

SINGLES = 10
"""So many alarms of a code are read one by one; more are one of the company's."""

TOGETHER = 3
"""Fewer are told one by one, however small the company."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something that is wrong now: with whom (an agent's e-mail, a calendar's key or COMPANY) and since when.

    `agent` is the agent whom it concerns, None for everybody. `detail` is what the code's words cannot know, such as
    which file or what was seen, and `do` what to do about just that; both are told when the alarm is raised.
    """

    code: str
    who: str
    since: float
    agent: str | None = None
    detail: str = ""
    do: str = ""


@dataclass(frozen=True, slots=True)
class Alarm:
    """What somebody was told is wrong, when it began and when it was told; in words that name no meeting."""

    code: str
    who: str
    since: float
    message: str
    do: str
    owner: str
    raised_at: float

    @property
    def key(self) -> tuple[str, str]:
        """One alarm of a code at a time for each."""
        return self.code, self.who


@dataclass(frozen=True, slots=True)
class Pending:
    """What is wrong and no alarm yet: it was there for so many `seconds`."""

    code: str
    who: str
    seconds: float

    @property
    def key(self) -> tuple[str, str]:
        """As that of the alarm which it may become."""
        return self.code, self.who


@dataclass(frozen=True, slots=True)
class Change:
    """An alarm was raised or cleared at `at`."""

    kind: Literal["raised", "cleared"]
    alarm: Alarm
    at: float


def is_everybodys(code: str) -> bool:
    """Whether the trouble is the company's by its nature."""
    return KINDS[code].reach == "company" if code in KINDS else False


def lasts(code: str) -> float:
    """Seconds for which a trouble must be there before it is an alarm; some have their age when they are told."""
    return KINDS[code].wait if code in KINDS else LASTS_SECONDS


@dataclass(slots=True)
class _Presence:
    present: float = 0.0
    away: float = 0.0


@dataclass(slots=True)
class _Level:
    """What is there of one alarm's trouble now: since when, and how many agents have it."""

    since: float
    agents: set[str] = field(default_factory=set)
    detail: str = ""
    do: str = ""

    def add(self, one: Wrong) -> None:
        self.since = min(self.since, one.since)
        if not (self.detail or self.do):
            self.detail, self.do = one.detail, one.do
        if one.agent is not None:
            self.agents.add(one.agent)


class Alarms:
    """What is raised. `raised` and `pending` are what was so when it was last written down."""

    def __init__(self, raised: Iterable[Alarm] = (), pending: Iterable[Pending] = ()) -> None:
        self.raised: dict[tuple[str, str], Alarm] = {alarm.key: alarm for alarm in raised}
        self._pending = {
            one.key: _Presence(one.seconds) for one in pending if _outlives(one.code) and one.key not in self.raised
        }
        self._away: dict[tuple[str, str], float] = {}
        known = (*self.raised, *self._pending)
        self._together = {code for code, who in known if who == COMPANY}
        self._shown_at: float | None = None

    def show(
        self,
        wrong: Iterable[Wrong],
        now: float,
        *,
        agents: int,
        doubted: Callable[[str], Collection[str]] = lambda _code: (),
    ) -> list[Change]:
        """What changes, now that exactly this is wrong among so many agents.

        `doubted(code)` says of whom it is not known whether they have that trouble: their alarms stay as they are.
        """
        passed = 0.0 if self._shown_at is None else min(max(now - self._shown_at, 0.0), LONGEST_STEP_SECONDS)
        self._shown_at = now
        present = self._levels(wrong, agents, doubted)
        changes = [*self._raise(present, passed, now, agents), *self._clear(present, passed, now, doubted)]
        for key in [key for key in self._pending if key not in present and not self._is_doubted(key, doubted)]:
            self._pending[key].away += passed
            if self._pending[key].away >= AWAY_SECONDS:
                del self._pending[key]
        return changes

    @property
    def pending(self) -> tuple[Pending, ...]:
        """What is to be kept through a restart of what is no alarm yet, sorted."""
        return tuple(
            Pending(*key, presence.present) for key, presence in sorted(self._pending.items()) if _outlives(key[0])
        )

    def forget(self, who: str) -> int:
        """Drop what is raised of them and what names them, unsaid; how many that were."""
        name = naming(who)
        gone = [key for key, alarm in self.raised.items() if name.search(f"{alarm.who} {alarm.message} {alarm.do}")]
        for key in gone:
            del self.raised[key]
        for known in (self._pending, self._away):
            for key in [key for key in known if key in gone or name.search(key[1])]:
                del known[key]
        return len(gone)

    # -- whose it is -----------------------------------------------------------------------------------------------

    def _levels(
        self, wrong: Iterable[Wrong], agents: int, doubted: Callable[[str], Collection[str]]
    ) -> dict[tuple[str, str], _Level]:
        by_code: dict[str, dict[str, _Level]] = {}
        for one in wrong:
            who = COMPANY if is_everybodys(one.code) else one.who
            by_code.setdefault(one.code, {}).setdefault(who, _Level(one.since)).add(one)
        for code in self._together - by_code.keys():
            self._is_together(code, 0, agents, doubted)
        levels: dict[tuple[str, str], _Level] = {}
        for code, found in by_code.items():
            troubled = set[str]().union(*(level.agents for level in found.values()))
            shared = COMPANY not in found and self._is_together(code, len(troubled), agents, doubted)
            for who, level in found.items():
                if not shared or (code, who) in self.raised:
                    levels[code, who] = level
            if shared:
                since = min(level.since for level in found.values())
                # What was seen and what to do about just that are one's: never one's words with another's remedy.
                told = ((level.detail, level.do) for level in found.values() if level.detail or level.do)
                levels[code, COMPANY] = _Level(since, troubled, *next(told, ("", "")))
                self._inherit(code, found)
        return levels

    def _is_together(self, code: str, number: int, agents: int, doubted: Callable[[str], Collection[str]]) -> bool:
        if code in self._together:
            number += len(doubted(code))
            if not (number > SINGLES / 2 or (number > 1 and number * 4 > agents)):
                self._together.discard(code)
        elif number > SINGLES or (number >= TOGETHER and number * 2 > agents):
            self._together.add(code)
        return code in self._together

    def _inherit(self, code: str, found: Iterable[str]) -> None:
        """The company's alarm is as old as the oldest of those that it takes in."""
        waited = [self._pending.pop((code, who)).present for who in list(found) if (code, who) in self._pending]
        if waited and (code, COMPANY) not in self._pending:
            self._pending[code, COMPANY] = _Presence(max(waited))

    # -- raised and cleared ----------------------------------------------------------------------------------------

    def _raise(
        self, present: dict[tuple[str, str], _Level], passed: float, now: float, agents: int
    ) -> Iterable[Change]:
        for key, level in present.items():
            self._away.pop(key, None)
            if key in self.raised:
                continue
            pending = self._pending.get(key)
            if pending is None:
                pending = self._pending[key] = _Presence()
            elif not pending.away:
                pending.present += passed
            pending.away = 0.0
            if pending.present >= lasts(key[0]):
                del self._pending[key]
                alarm = self.raised[key] = _alarm(*key, level, now, agents)
                yield Change("raised", alarm, now)

    def _clear(
        self,
        present: dict[tuple[str, str], _Level],
        passed: float,
        now: float,
        doubted: Callable[[str], Collection[str]],
    ) -> Iterable[Change]:
        for key, alarm in list(self.raised.items()):
            if key in present or self._is_doubted(key, doubted):
                continue
            away = self._away[key] = self._away.get(key, -passed) + passed
            if away >= AWAY_SECONDS:
                del self.raised[key], self._away[key]
                yield Change("cleared", alarm, now)

    def _is_doubted(self, key: tuple[str, str], doubted: Callable[[str], Collection[str]]) -> bool:
        """Whether it may be there, though it is not shown."""
        code, who = key
        return (code in self._together and who == COMPANY) or who in doubted(code)


def _outlives(code: str) -> bool:
    """Whether the presence of such a trouble is kept through restarts."""
    return lasts(code) >= PENDING_SECONDS


def _alarm(code: str, who: str, level: _Level, now: float, agents: int) -> Alarm:
    found = trouble(code, level.since)
    message = f"{found.message}: {level.detail}" if level.detail else found.message
    alarm = Alarm(code, who, found.since, message, level.do or found.do, found.owner, now)
    if who != COMPANY or is_everybodys(code):
        return alarm
    return replace(alarm, message=f"{len(level.agents)} of {agents} agents: {message}")
