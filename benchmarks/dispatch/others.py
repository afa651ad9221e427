"""The same days by simpler programs, which know no prices and read nothing."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.dispatch.days import COUNTED_TO, Change, Day
from benchmarks.dispatch.world import AVAILABLE, MIDNIGHT, UNAVAILABLE, Played, Terms, World
from calsyncd.sandbox.aircall import AircallSandbox


@dataclass(frozen=True, slots=True)
class Wish:
    """An update that is due."""

    at: float
    starts: bool
    agent: int

    @property
    def status(self) -> str:
        """What it sets."""
        return UNAVAILABLE if self.starts else AVAILABLE


Tie = Callable[[Wish], float]
"""What is due at the same instant goes in ascending order of this, then agent by agent."""


def by_agent(_: Wish) -> float:
    """Ends and starts alike, as the list of agents is gone through."""
    return 0.0


def ends_first(wish: Wish) -> float:
    """An end before a start: spans are half-open."""
    return 1.0 if wish.starts else 0.0


def starts_first(wish: Wish) -> float:
    """A start before an end."""
    return 0.0 if wish.starts else 1.0


def at_random(wish: Wish) -> float:
    """Ends and starts alike, in an order without any pattern; the same in each run."""
    return random.Random(f"{wish.at} {wish.agent} {wish.starts}").random()  # noqa: S311 - an order by its seed


def plain_order(day: Day, terms: Terms, tie: Tie = at_random) -> Played:
    """Each true boundary in its order, whenever a request is left; what changes nothing any more is dropped."""
    wishes = [Wish(at, starts, n) for n, spans in enumerate(day.busy()) for span in spans for at, starts in _ends(span)]
    return _serve(day, terms, _ordered(wishes, tie), only_needed=True)


def tutorial(day: Day, terms: Terms) -> Played:
    """Each event's own start and end, ends first, as the vendor's tutorial has it: whatever else is on."""
    versions: dict[tuple[int, str], list[Change]] = defaultdict(list)
    for change in day.changes:
        versions[change.agent, change.meeting].append(change)
    wishes: list[Wish] = []
    for (agent, _), known in versions.items():
        for one, until in zip(known, [*(later.at for later in known[1:]), COUNTED_TO], strict=True):
            if one.span is not None:
                start, end = max(one.span[0], one.at), min(one.span[1], until)
                wishes += [Wish(at, starts, agent) for at, starts in _ends((start, end)) if start < end]
    return _serve(day, terms, _ordered(wishes, ends_first), only_needed=False)


def _ends(span: tuple[float, float]) -> tuple[tuple[float, bool], tuple[float, bool]]:
    return (span[0], True), (span[1], False)


def _ordered(wishes: Iterable[Wish], tie: Tie) -> list[Wish]:
    return sorted(wishes, key=lambda wish: (wish.at, tie(wish), wish.agent))


def _serve(day: Day, terms: Terms, wishes: Iterable[Wish], *, only_needed: bool) -> Played:
    now = MIDNIGHT
    world = World(day, terms, AircallSandbox(lambda: now))
    world.hire()
    for wish in wishes:
        now = max(now, MIDNIGHT + wish.at)
        now = max(now, world.aircall.switches.budget.reset_at(now))
        if now >= MIDNIGHT + COUNTED_TO:
            break
        status = wish.status
        if only_needed:
            # By the time that its turn comes something else may be wanted.
            status = UNAVAILABLE if day.is_busy(wish.agent, now - MIDNIGHT) else AVAILABLE
            if world.aircall.setting(wish.agent + 1).status == status:
                continue
        if world.passes(now, wish.agent + 1, status):
            world.put(wish.agent + 1, status)
    return world.judge(strict=False)
