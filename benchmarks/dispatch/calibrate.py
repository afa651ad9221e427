"""Where the days and the tie of plain order come from: the figures of a study of such days, and how near they come.

The study gives the bound, the vendor tutorial's way and plain order for five sizes of a company. Everything about a day
that is not fixed beforehand, and what goes first in plain order at the same instant, was chosen so that these three
come near to the study's, on days that the benchmark does not publish. The daemon plays none of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.dispatch.bound import Terms as BoundTerms
from benchmarks.dispatch.bound import agents_of, lower_bound
from benchmarks.dispatch.days import company_day
from benchmarks.dispatch.others import Tie, at_random, by_agent, ends_first, plain_order, starts_first, tutorial
from benchmarks.dispatch.world import Terms

SEEDS = range(1001, 1009)
ROUNDS = 100
"""Of the bound's climb: within a hundredth of what the usual number finds."""

TIES: Mapping[str, Tie] = {
    "by agent": by_agent,
    "at random": at_random,
    "ends first": ends_first,
    "starts first": starts_first,
}


@dataclass(frozen=True, slots=True)
class Studied:
    """The study's W of a company's day, in thousands."""

    agents: int
    per_minute: int
    bound: float
    tutorial: float
    plain: float


STUDY = (
    Studied(200, 60, 0.87, 193, 1.53),
    Studied(500, 120, 13.6, 505, 24.1),
    Studied(500, 60, 66.7, 759, 133.4),
    Studied(1000, 120, 136.4, 1548, 272.0),
    Studied(2500, 120, 1348, 7663, 2410),
)

Found = dict[str, float]
"""W of one or more days in thousands: `bound`, `tutorial`, and plain order by the name of its tie."""


def played(seed: int, agents: int, per_minute: int) -> Found:
    """One day."""
    day = company_day(seed, agents)
    terms, bound_terms = Terms(per_minute), BoundTerms(per_minute)
    found = {
        "bound": lower_bound(agents_of(day, bound_terms), bound_terms, rounds=ROUNDS).value,
        "tutorial": tutorial(day, terms).wrong,
    }
    found |= {name: plain_order(day, terms, tie).wrong for name, tie in TIES.items()}
    return {name: value / 1000 for name, value in found.items()}


def calibrate(pool: Executor, console: Console) -> None:
    """Print the study's figures and ours, the mean of the days, and how far they are apart for each tie."""
    days = {row: [pool.submit(played, seed, row.agents, row.per_minute) for seed in SEEDS] for row in STUDY}
    found: dict[Studied, Found] = {}
    for row, futures in days.items():
        each = [future.result() for future in futures]
        found[row] = {name: sum(one[name] for one in each) / len(each) for name in each[0]}
    table = Table("agents @ N", "", "bound", "tutorial", *(f"plain, {name}" for name in TIES), box=None)
    for row, ours in found.items():
        table.add_row(
            f"{row.agents:,} @ {row.per_minute}",
            "study",
            *(f"{value:,}" for value in (row.bound, row.tutorial)),
            *(f"{row.plain:,}" for _ in TIES),
        )
        table.add_row("", "here", *(f"{value:,.4g}" if value < 1000 else f"{value:,.0f}" for value in ours.values()))
    console.print(table)
    for name in TIES:
        console.print(f"plain order {name}: all figures together are {misfit(found, name):.1%} off")


def misfit(found: Mapping[Studied, Found], tie: str) -> float:
    """The root of the mean square of the log-ratios of the three figures of all sizes."""
    ratios = [
        (ours["bound"] / row.bound, ours["tutorial"] / row.tutorial, ours[tie] / row.plain)
        for row, ours in found.items()
    ]
    squares = [math.log(ratio) ** 2 if ratio > 0 else math.inf for one in ratios for ratio in one]
    return math.sqrt(sum(squares) / len(squares))
