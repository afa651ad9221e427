"""What is played, and what is to be reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.dispatch.world import Played, Terms

DAYS = 10
BIG = 2500
BIG_DAYS = 4
"""Each takes about a minute."""

LARGEST = 10_000
LARGEST_DAYS = 1
"""It takes ten minutes."""

OURS, PLAIN, TUTORIAL, BOUND = "calsyncd", "plain order", "the tutorial's way", "lower bound"


@dataclass(frozen=True, slots=True)
class Results:
    """What became of each day of a case, in the order of the seeds; the bounds are the terms' own."""

    agents: int
    ours: Sequence[Played]
    bounds: Sequence[float]
    plain: Sequence[Played] = ()
    tutorial: Sequence[Played] = ()
    beside: Sequence[Played] = ()

    @property
    def wrong(self) -> float:
        """W of all days."""
        return sum(one.wrong for one in self.ours)

    @property
    def bound(self) -> float:
        """The bound of all days."""
        return sum(self.bounds)

    @property
    def ratio(self) -> float:
        """W beside the bound, over all days."""
        return self.wrong / self.bound if self.bound else 1.0 if not self.wrong else float("inf")

    @property
    def worst(self) -> float:
        """The same of the worst day."""
        return max(
            (one.wrong / bound if bound else 1.0 if not one.wrong else float("inf"))
            for one, bound in zip(self.ours, self.bounds, strict=True)
        )

    @property
    def gain(self) -> float:
        """How many times W the plain order costs."""
        plain = sum(one.wrong for one in self.plain)
        return plain / self.wrong if self.wrong else float("inf")

    @property
    def updates(self) -> float:
        """Updates for each true window."""
        return sum(one.updates for one in self.ours) / sum(one.windows for one in self.ours)

    @property
    def reads(self) -> float:
        """Reads for each true window."""
        return sum(one.reads for one in self.ours) / sum(one.windows for one in self.ours)

    @property
    def requests(self) -> float:
        """Requests used in a day: updates, reads and refused ones."""
        return sum(one.updates + one.reads + one.refused for one in self.ours) / len(self.ours)

    @property
    def astray(self) -> int:
        """At the ends of all days, agents whose setting is not what the calendar says."""
        return sum(one.astray for one in self.ours)

    @property
    def refused(self) -> float:
        """Refused requests in a day."""
        return sum(one.refused for one in self.ours) / len(self.ours)


@dataclass(frozen=True, slots=True)
class Goal:
    """A promise: its words, the figure, and whether it is kept."""

    words: str
    figure: Callable[[Results], str]
    reached: Callable[[Results], bool]


def _ratio(most: float) -> Goal:
    return Goal(f"W / bound ≤ {most:g}", lambda r: f"{r.ratio:.3f}", lambda r: r.ratio <= most)


def _worst(most: float) -> Goal:
    return Goal(f"W / bound ≤ {most:g} on any day", lambda r: f"{r.worst:.3f}", lambda r: r.worst <= most)


def _gain(least: float) -> Goal:
    return Goal(f"plain order ≥ {least:g} times W", lambda r: f"{r.gain:.2f}", lambda r: r.gain >= least)


def _reads(most: float) -> Goal:
    return Goal(f"reads a window ≤ {most:g}", lambda r: f"{r.reads:.3f}", lambda r: r.reads <= most)


def _near(seconds: float) -> Goal:
    def far(results: Results) -> float:
        return (results.wrong - results.bound) / (results.agents * len(results.ours))

    return Goal(
        f"within {seconds:g} s an agent-day of the bound", lambda r: f"{far(r):.2f} s", lambda r: far(r) <= seconds
    )


def _share(most: float, words: str) -> Goal:
    """W beside that of the case which it is compared with."""

    def share(results: Results) -> float:
        return results.wrong / max(sum(one.wrong for one in results.beside), 1.0)

    return Goal(words, lambda r: f"{share(r):.3f}", lambda r: share(r) <= most)


def _refused(most: float) -> Goal:
    return Goal(f"refused requests a day ≤ {most:g}", lambda r: f"{r.refused:.1f}", lambda r: r.refused <= most)


NOTHING = Goal("W = 0", lambda r: f"{r.wrong:.0f}", lambda r: r.wrong == 0)
ZERO = Goal(
    "W = 0 where the bound is 0",
    lambda r: f"{sum(one.wrong for one, bound in zip(r.ours, r.bounds, strict=True) if not bound):.0f}",
    lambda r: not any(one.wrong for one, bound in zip(r.ours, r.bounds, strict=True) if not bound),
)
TWO = Goal("updates a window ≤ 2.005", lambda r: f"{r.updates:.3f}", lambda r: r.updates <= 2.005)
NONE_LOST = Goal("updates a window ≥ 1.995", lambda r: f"{r.updates:.3f}", lambda r: r.updates >= 1.995)
SETTLED = Goal("agents not as the calendar says at 17:30: 0", lambda r: str(r.astray), lambda r: r.astray == 0)
NO_REFUSAL = _refused(0)


@dataclass(frozen=True, slots=True)
class Case:
    """So many agents under these terms; `bound_by` is the N of its bound, `beside` the name of another case."""

    name: str
    agents: int
    terms: Terms
    goals: tuple[Goal, ...]
    others: bool = False
    bound_by: int | None = None
    beside: str | None = None

    @property
    def days(self) -> int:
        """How many days it is played."""
        if self.agents >= LARGEST:
            return LARGEST_DAYS
        return BIG_DAYS if self.agents >= BIG else DAYS


def _base(agents: int, per_minute: int, *goals: Goal) -> Case:
    common = (ZERO, TWO, NO_REFUSAL, SETTLED)
    return Case(f"{agents:,} at {per_minute}", agents, Terms(per_minute), (*goals, *common), others=True)


BASE = (
    _base(50, 60, _near(1)),
    _base(50, 120, _near(1)),
    _base(200, 60, _near(1), _reads(0.1)),
    _base(200, 120, _near(1), _reads(0.1)),
    _base(500, 60, _ratio(1.02)),
    _base(500, 120, _ratio(1.03), _worst(1.05), _gain(1.7)),
    _base(1000, 60, _ratio(1.02)),
    _base(1000, 120, _ratio(1.02), _gain(1.9)),
    _base(BIG, 60, _ratio(1.05)),
    _base(BIG, 120, _ratio(1.02)),
    _base(LARGEST, 120, _ratio(1.2)),
)

_FULL = Terms(120)
_THIRD = _share(1 / 3, "W ≤ a third of the sliding minute's")

OTHERWISE = (
    Case("200 at 120, without webhooks", 200, replace(_FULL, told=False), (_reads(0.3), NO_REFUSAL, SETTLED)),
    Case("500 at 120, a minute of 61 s", 500, replace(_FULL, margin=1.0), (_ratio(1.05), NO_REFUSAL, SETTLED)),
    Case("1,000 at 120, a minute of 61 s", 1000, replace(_FULL, margin=1.0), (_ratio(1.05), NO_REFUSAL, SETTLED)),
    Case("500 at 120, 40 requests a second", 500, replace(_FULL, a_second=40.0), (_ratio(1.3), NO_REFUSAL, SETTLED)),
    Case(
        "1,000 at 120, 40 requests a second", 1000, replace(_FULL, a_second=40.0), (_ratio(1.08), NO_REFUSAL, SETTLED)
    ),
    Case(
        "500 at 120, by the clock's minutes",
        500,
        replace(_FULL, kind="fixed", headers=True),
        (_THIRD, NO_REFUSAL, SETTLED),
        beside="500 at 120",
    ),
    Case(
        "1,000 at 120, by the clock's minutes",
        1000,
        replace(_FULL, kind="fixed", headers=True),
        (_THIRD, NO_REFUSAL, SETTLED),
        beside="1,000 at 120",
    ),
    Case(
        "500 at 120, others take half",
        500,
        replace(_FULL, others=60),
        (_ratio(1.1), NONE_LOST, _refused(100), SETTLED),
        bound_by=60,
    ),
    Case("500 at 120, a strict leak", 500, replace(_FULL, kind="leaky", burst=1), (_refused(60), SETTLED)),
    Case(
        "500 at 120, a leak with a bucket of 10", 500, replace(_FULL, kind="leaky", burst=10), (_refused(60), SETTLED)
    ),
    Case("500 at 120, a leak with a bucket of 120", 500, replace(_FULL, kind="leaky"), (NO_REFUSAL, SETTLED)),
)

CASES: tuple[Case, ...] = (*BASE, *OTHERWISE)
