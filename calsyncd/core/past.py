"""What was really set when: an agent's history as stretches of time, each with one setting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from calsyncd.core.model import HistoryRow

CHANGES = frozenset({"done", "seen"})
"""The outcomes of history that tell of another setting than before; the others tell of what was left alone."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """`[start, end)` during which Aircall had this `availability_status`; None where it is not known.

    `actor` is who had set it: calsyncd, or somebody in Aircall; None where that is not known.
    """

    start: float
    end: float
    status: str | None
    actor: str | None


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
    for row in changes:
        at = min(row.at, high)
        if at > start:
            found.append(Stretch(start, at, status, actor))
        start, status, actor = max(at, low), row.to, row.actor
    if high > start:
        found.append(Stretch(start, high, status, actor))
    return found
