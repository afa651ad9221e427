"""What an absence of the daemon meant: since when, which boundaries fell into it, who is right again.

Rules of this file: it is told when the daemon was last known to act and when it acts again, and compares that with
what is wanted now. A meeting that was made, moved or cancelled meanwhile counts as the calendars say it now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from calsyncd.core.plan import FREE, Held, Stance
from calsyncd.core.timeline import Timeline

WINDOW_SECONDS = 86400.0
"""Calendars are kept so far back: of a longer absence only the boundaries of its last day are known."""

SET_BACK_SECONDS = 2.0
"""A mark that is later than now by no more than this is a clock that was adjusted, not one that was set back."""

Cause = Literal["stopped", "slept"]
"""Whether the daemon did not run, or the machine slept."""


@dataclass(frozen=True, slots=True)
class Concerned:
    """One agent whom the absence concerned.

    `boundaries` fell into it, in order; there are none where what was owed was due before it, or a meeting was
    cancelled in it. `right_at` is when nothing was owed any more, None while something is: the instant of the answer
    that made the agent right, or of the look or the reading of the calendars that showed that nothing was to be done.
    `updated` says that it took an update.
    """

    email: str
    boundaries: tuple[float, ...] = ()
    right_at: float | None = None
    updated: bool = False


@dataclass(frozen=True, slots=True)
class Outage:
    """An absence from `away_from`, when the daemon was last known to act, to `away_to`, when it acted again.

    `unconcerned` counts the agents of whom no boundary fell into it and who were owed nothing, `waiting` those of whom
    that is not known yet: their calendars are still to be read.
    """

    cause: Cause
    away_from: float
    away_to: float
    agents: tuple[Concerned, ...] = ()
    unconcerned: int = 0
    waiting: int = 0

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.away_to - self.away_from

    @property
    def over(self) -> bool:
        """Whether everybody is right again."""
        return self.waiting == 0 and all(agent.right_at is not None for agent in self.agents)


def last_alive(mark: float, acts: Iterable[float], now: float) -> float | None:
    """When the daemon was last known to act: by its last `mark`, or by what it wrote down later (`acts`).

    None if the mark is later than `now`: the clock was set back meanwhile, and nobody knows by how much.
    """
    if mark > now + SET_BACK_SECONDS:
        return None
    return max((at for at in (mark, *acts) if at <= now), default=now)


def boundaries(timeline: Timeline, after: float, until: float, paused_until: float | None = None) -> tuple[float, ...]:
    """The boundaries later than `after` and not later than `until`; a pause until `paused_until` has none.

    Where a meeting runs when the pause ends, that is one.
    """
    found: list[float] = []
    after = max(after, until - WINDOW_SECONDS)
    if paused_until is not None and paused_until > after:
        if paused_until > until:
            return ()
        after = paused_until
        if timeline.span_at(after) is not None:
            found.append(after)
    at = timeline.next_change(after)
    while at is not None and at <= until:
        found.append(at)
        at = timeline.next_change(at)
    return tuple(found)


def is_as_wanted(stance: Stance, shown: str | None, *, wanted: bool, now: float) -> bool:
    """Whether an agent who is owed nothing is as wanted, and not only waited for: for a call's end, or for a new key.

    `shown` is the `availability_status` that the last answer showed. Whoever is left alone by our own decision is as
    wanted.
    """
    if isinstance(stance, Held):
        # What was sent early serves a boundary that is still ahead; and a hold outlives its way back where an earlier
        # answer is missing.
        return wanted or now < stance.effective or shown not in (None, stance.put.availability_status)
    return stance != FREE or not wanted


def right_at(read_at: float, acted_at: float, seen_at: float | None) -> float:
    """When an agent who is found right was made so, or was shown to be.

    `read_at` is when the calendars were first judged after the absence, `acted_at` when our last update ended, and
    `seen_at` when the look was answered that showed it; None where the answer of that update did.
    """
    return max(read_at, acted_at, seen_at if seen_at is not None else read_at)
