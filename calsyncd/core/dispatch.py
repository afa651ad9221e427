"""Which request goes now, which waits, which goes early, and which is not worth what it costs the others.

Theory. Whatever is due is sent at its boundary while requests last. In a queue the heavier weight goes first, then the
longest due. The prices of the minutes (`core.prices`) say what a request costs those behind it: what is gained by less
is left for later, and mostly drops out by itself: a meeting that is over, a gap that is closed. A part of a crowd goes
a window before its boundary when that costs less than the crowd's price. A look stands in the same queue as an update,
whether it is of one agent or a page of everybody's. Looks that nobody waits for are spare: they go last, and only
where the price is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from calsyncd.core.coming import Boundary, Coming
from calsyncd.core.plan import Action, Look, Put, due_of
from calsyncd.core.prices import MINUTE_SECONDS, Counts, Group, Prices, Weights, minute_of

PATIENCE_SECONDS = 30 * 60.0
"""Whoever has waited so long goes before all, and whatever it costs: nobody starves."""

JITTER_SECONDS = 5.0
"""What is sent so soon after a mark belongs to the minute that ends there: a burst takes some seconds."""

BURST = 10
"""So many requests at once are a burst; of how long it took, this share of the last one counts:"""
BURST_SHARE = 0.2

BURST_A_SECOND = 40.0
"""So many requests go in a second at least, while nothing but the network limits them."""


EVERYBODY = ""
"""Whose look a page is."""

SPARE = frozenset({"hint", "sweep", "joined", "presence"})
"""Why there are looks that nobody waits for."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What an agent needs of the budget, or `EVERYBODY`; `holding` says that we owe them a way back.

    `change` is when the opposite will be wanted, if it is known.
    """

    agent: str
    action: Action
    holding: bool
    change: float | None = None

    @property
    def ends(self) -> bool:
        """Whether it lets somebody come back."""
        return self.action.releases if isinstance(self.action, Put) else self.holding

    def weight(self, weights: Weights) -> float:
        """What each second costs that it waits: a page stands for whoever waits for it, so for the heaviest."""
        if self.agent == EVERYBODY:
            return max(weights.ringing, weights.unreachable)
        return weights.unreachable if self.ends else weights.ringing


def order(candidates: Iterable[Candidate], now: float, weights: Weights) -> list[Candidate]:
    """Those first whose wrong state costs most, then the longest due; whoever waited too long goes before all.

    Of those due at once whoever has to be looked at goes last: by then one list serves many. Spare looks go last of
    all, however long they wait.
    """

    def rank(candidate: Candidate) -> tuple[bool, bool, float, float, bool, str]:
        due = due_of(candidate.action)
        patient = _is_patient(candidate, now)
        weight = -candidate.weight(weights) if patient else 0.0
        look = isinstance(candidate.action, Look)
        return is_spare(candidate.action), patient, weight, due, look, candidate.agent

    return sorted(candidates, key=rank)


def is_worth(candidate: Candidate, prices: Prices, now: float, weights: Weights) -> bool:
    """Whether it gains more, until the opposite is wanted, than it and the way back cost the others."""
    if candidate.change is None or not _is_patient(candidate, now):
        return True
    gain = candidate.weight(weights) * (candidate.change - now)
    return gain >= prices.current + prices.at(candidate.change)


def is_worth_early(candidate: Candidate, prices: Prices, weights: Weights, window: float) -> bool:
    """The same of an update before its boundary, which costs its agent the other wrong state until then."""
    if candidate.change is None:
        return True
    gain = candidate.weight(weights) * (candidate.change - due_of(candidate.action))
    way = window * (weights.ringing if candidate.ends else weights.unreachable)
    return gain >= way + prices.at(candidate.change)


def is_spare(action: Action | None) -> bool:
    """Whether nobody waits for it: an update or another look would miss nothing by it."""
    return isinstance(action, Look) and action.why in SPARE


def queue(candidates: Iterable[Candidate], coming: Coming, minute: int) -> dict[Group, int]:
    """Everybody who waits, as of `minute`, and everybody ahead."""
    groups = coming.groups()
    for candidate in candidates:
        if not is_spare(candidate.action):
            until = minute_of(candidate.change) if candidate.change is not None else None
            group = Group(minute, until, starts=not candidate.ends)
            groups[group] = groups.get(group, 0) + 1
    return groups


class Quota:
    """How many boundaries of each kind are still to be served early."""

    def __init__(self, counts: Counts) -> None:
        self._starts, self._ends = counts.starts, counts.ends

    def wants(self, boundary: Boundary) -> bool:
        """Whether one of this kind is still wanted."""
        return (self._starts if boundary.starts else self._ends) > 0

    def took(self, boundary: Boundary) -> None:
        """This one is served."""
        self._starts -= boundary.starts
        self._ends -= not boundary.starts


def next_crowd(coming: Coming, after: float, per_minute: int) -> int | None:
    """The first minute later than `after` in which more is due than a minute grants."""
    crowds = (
        minute for minute, number in coming.numbers().items() if number > per_minute and minute * MINUTE_SECONDS > after
    )
    return min(crowds, default=None)


def burst_seconds(number: int) -> float:
    """How long so many requests may take."""
    return number / BURST_A_SECOND


def head_start(seconds: float, weights: Weights) -> float:
    """How much of a burst of starts that takes `seconds` is best sent before their boundary.

    Whoever is early costs the lighter wrong state, whoever is late the heavier: the least is where both ends weigh the
    same.
    """
    return seconds * weights.ringing / (weights.ringing + weights.unreachable)


def _is_patient(candidate: Candidate, now: float) -> bool:
    return now - due_of(candidate.action) < PATIENCE_SECONDS
