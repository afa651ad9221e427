"""What stands between the plan and dispatch for the company as a whole: the coverage floor and the storm guard.

The floor. A calendar does not take the last few agents, of all or of a team, off the phones. Whoever would go is asked
about together with everybody else who would, and they go in this order: who is out of the office, whatever the floor;
then by when their meeting began; and of those whose meetings began at the same instant, by lot. The lot is drawn from
the instant and the address, so that it is another at each instant, the same after a restart, and anybody's to check.
Who is not among those that cover takes nothing from the floor by going, and goes. The floor ends no hold.

The storm guard. A delta that changes what is wanted of an agent at this moment is a flip. More flips in a minute than a
share of the company, and than a number, are a storm: a bad import, or a wrong zone. What a storm says is acted on only
when a baseline says it too. A baseline is its own confirmation, and a boundary is no flip.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from calsyncd.core.looks import OLDEST_SECONDS
from calsyncd.core.model import AVAILABLE, CUSTOM, Setting
from calsyncd.core.plan import Facts, Held, Stance
from calsyncd.core.timeline import Timeline

COVER_AGE_SECONDS = OLDEST_SECONDS
"""Whoever was seen longer ago is unknown. Whom an update may take off the phones by what was seen is known by that too:
else the floor would take them for somebody who covers nothing by staying."""

STORM_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Floor:
    """At least `least` of `members` stay; without members, of all agents."""

    name: str
    least: int
    members: frozenset[str] | None = None

    def __str__(self) -> str:
        return f"at least {self.least} of {'all agents' if self.members is None else f'the team {self.name}'}"

    def concerns(self, email: str) -> bool:
        """Whether this agent counts for it."""
        return self.members is None or email in self.members


@dataclass(frozen=True, slots=True)
class Kept:
    """Why an agent is kept, and since when a calendar would have taken them off."""

    since: float
    floor: Floor


@dataclass(frozen=True, slots=True)
class Member:
    """One agent as the floor sees them.

    `begins` is when the hold began that a calendar would begin now, None where none would; `exempt` whether the agent
    is out of the office.
    """

    email: str
    covers: bool
    begins: float | None = None
    exempt: bool = False


def covers(stance: Stance, facts: Facts, now: float) -> bool:
    """Whether the agent takes calls, as far as is known.

    Nobody covers whom we hold, from when that is written down to the answer that puts them back, nor anybody whose
    setting is not known: never seen, seen too long ago, or told to have changed since.
    """
    seen = facts.known
    if isinstance(stance, Held) or seen is None or now - seen.as_of > COVER_AGE_SECONDS or facts.is_stale(now):
        return False
    return seen.status in (AVAILABLE, CUSTOM) and seen.live != "offline"


def kept(members: Iterable[Member], floors: Iterable[Floor]) -> dict[str, Floor]:
    """Whom the floors keep of those who would go, each with the first floor that does."""
    everybody, floors = list(members), list(floors)
    left = Counter({floor.name: sum(one.covers for one in everybody if floor.concerns(one.email)) for floor in floors})
    waiting: list[Member] = []
    going = [(_turn(one, one.begins), one) for one in everybody if one.begins is not None and one.covers]
    for _, one in sorted(going, key=lambda pair: pair[0]):
        mine = [floor for floor in floors if floor.concerns(one.email)]
        if not one.exempt and any(left[floor.name] <= floor.least for floor in mine):
            waiting.append(one)
            continue
        left.subtract(floor.name for floor in mine)
    # Named once all have gone who go: settled again, it is the same floor.
    binding = [floor for floor in floors if left[floor.name] <= floor.least]
    return {one.email: next(floor for floor in binding if floor.concerns(one.email)) for one in waiting}


def _turn(one: Member, begins: float) -> tuple[bool, float, bytes]:
    lot = hashlib.sha256(f"{begins!r} {one.email}".encode()).digest()
    return not one.exempt, begins, lot


@dataclass(frozen=True, slots=True)
class StormLimits:
    """A storm is more than `share` of the agents and at least `at_least` of them within a minute."""

    share: float = 0.5
    at_least: int = 10

    def exceeded(self, flips: int, agents: int) -> bool:
        """Whether so many flips in a company of so many are a storm."""
        return flips >= self.at_least and flips > self.share * agents


@dataclass(slots=True)
class Flip:
    """That deltas of `calendars` changed what is wanted of an agent; `before` is what was in force until then."""

    at: float
    before: Timeline | None
    calendars: set[str]
    confirming: bool = False


class Flips:
    """The flips of the last minute, by agent: of each the first, with every calendar that had a part in it."""

    def __init__(self) -> None:
        self._flips: dict[str, Flip] = {}

    def add(self, email: str, before: Timeline | None, calendars: set[str], now: float) -> None:
        """Deltas of these calendars changed what is wanted of an agent."""
        self._forget(now)
        known = self._flips.setdefault(email, Flip(now, before, set()))
        if not known.calendars >= calendars:
            known.calendars |= calendars
            known.confirming = False

    def recent(self, now: float) -> dict[str, Flip]:
        """Those of the last minute."""
        self._forget(now)
        return self._flips

    def drop(self, email: str) -> None:
        """Forget one agent's."""
        self._flips.pop(email, None)

    def clear(self) -> None:
        """Forget all."""
        self._flips.clear()

    def _forget(self, now: float) -> None:
        self._flips = {email: flip for email, flip in self._flips.items() if now - STORM_SECONDS < flip.at <= now}


def is_flip(before: Timeline | None, after: Timeline | None, now: float) -> bool:
    """Whether another setting is wanted at `now` by the one timeline than by the other."""
    return _wanted(before, now) != _wanted(after, now)


def _wanted(timeline: Timeline | None, now: float) -> Setting | None:
    span = timeline.span_at(now) if timeline is not None else None
    return span.setting if span is not None else None
