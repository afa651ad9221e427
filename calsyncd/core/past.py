"""What was done, page by page; and what was really set when: history as stretches of time, each with one setting."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from calsyncd.core.model import HistoryRow
from calsyncd.core.moments import Moment

CHANGES = frozenset({"done", "seen"})
"""The outcomes of history that tell of another setting than before; the others tell of what was left alone."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """`[start, end)` during which Aircall had this `availability_status`; None where it is not known.

    `actor` is who had set it: calsyncd, or somebody in Aircall; None where that is not known. `why` is the history's.
    """

    start: float
    end: float
    status: str | None
    actor: str | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records of the history are asked for: those of `[since, until)` that are all of this; empty is any."""

    agent: str | None = None
    since: float = 0.0
    until: float = math.inf
    outcomes: frozenset[str] = frozenset()
    actor: str | None = None

    def takes(self, row: HistoryRow) -> bool:
        """Whether a record is among them."""
        return (
            self.agent in (None, row.agent)
            and self.since <= row.at < self.until
            and (not self.outcomes or row.outcome in self.outcomes)
            and self.actor in (None, row.actor)
        )


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the history was told: up to `at`, and of the records of that instant the first `told`.

    It stays good while records are added, which is at the end, and forgotten, which is from the start.
    """

    at: float = 0.0
    told: int = 0

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """What `str` gave; ValueError if it is something else."""
        match = re.fullmatch(r"([0-9]{1,12}\.[0-9]{1,20})-([0-9]{1,9})", text)
        if match is None:
            raise ValueError("the cursor is none that was given out")
        return cls(float(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.at!r}-{self.told}"

    def past(self, row: HistoryRow) -> Cursor:
        """The cursor once `row`, the next one, was told too."""
        return Cursor(row.at, self.told + 1 if row.at == self.at else 1)

    def rest(self, rows: Iterable[HistoryRow]) -> list[HistoryRow]:
        """What is still to be told of these, in order."""
        found = [row for row in rows if row.at >= self.at]
        skipped = 0
        while skipped < min(self.told, len(found)) and found[skipped].at == self.at:
            skipped += 1
        return found[skipped:]


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of the history: times as they were written, and how far it was told already."""

    agent: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    outcomes: frozenset[str] = frozenset()
    actor: str | None = None
    cursor: Cursor = Cursor()
    limit: int | None = None


def stretches(rows: Iterable[HistoryRow], current: str | None, low: float, high: float) -> list[Stretch]:
    """What was set between `low` and `high`, by one agent's `rows`, in order, until now.

    Of the rows before `low` the last change is enough: it says who had made what was set then. `current` is what is set
    now, for an agent without a change.
    """
    found: list[Stretch] = []
    changes = [row for row in rows if row.outcome in CHANGES]
    start = low
    actor: str | None = None
    status = changes[0].from_ if changes else current
    why = ""
    for row in changes:
        at = min(row.at, high)
        if at > start:
            found.append(Stretch(start, at, status, actor, why))
        start, status, actor, why = max(at, low), row.to, row.actor, row.why
    if high > start:
        found.append(Stretch(start, high, status, actor, why))
    return found


def unbroken(found: Iterable[Stretch]) -> list[Stretch]:
    """The same with neighbours of one setting joined; the first says who had made it and why."""
    joined: list[Stretch] = []
    for one in found:
        if joined and joined[-1].end == one.start and joined[-1].status == one.status:
            joined[-1] = replace(joined[-1], end=one.end)
        else:
            joined.append(one)
    return joined
