"""`python -m benchmarks.dispatch`: play the days, print the tables, write the page; 1 if a goal is missed."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks.dispatch import report
from benchmarks.dispatch.bound import Terms as BoundTerms
from benchmarks.dispatch.bound import agents_of, check, lower_bound
from benchmarks.dispatch.calibrate import calibrate
from benchmarks.dispatch.cases import CASES, Case, Results
from benchmarks.dispatch.days import company_day
from benchmarks.dispatch.others import plain_order, tutorial
from benchmarks.dispatch.ours import ours
from benchmarks.dispatch.world import Played, Terms
from benchmarks.machine import describe
from benchmarks.processes import ROOT

Key = tuple[int, int, int]
"""A day's seed, its agents, and the N of its bound."""

PRICES = "dispatch-prices.json"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--only", multiple=True, help="Play the cases whose name contains this; writes no page.")
@click.option("--days", type=int, help="So many days instead of the usual number; writes no page.")
@click.option(
    "--docs",
    type=click.Path(path_type=Path, file_okay=False),
    default=ROOT / "docs",
    help="Where the page, its picture and the prices go; default: docs/.",
)
@click.option("--check", "only_check", is_flag=True, help="Only prove the published bounds again, from their prices.")
@click.option("--calibrate", "only_calibrate", is_flag=True, help="Only compare the days with the study's, on others.")
def main(only: tuple[str, ...], days: int | None, docs: Path, *, only_check: bool, only_calibrate: bool) -> None:
    """How well the company's requests are spent, beside the best that anybody could do with as many."""
    console = Console()
    if only_check:
        sys.exit(0 if _check(docs, console) else 1)
    if only_calibrate:
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            calibrate(pool, console)
        return
    wanted = [case for case in CASES if not only or any(part in case.name for part in only)]
    began = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found, prices = _play(wanted, days, pool, console)
    for case in wanted:
        report.on_terminal(case, found[case.name], console)
    console.print(f"[dim]{time.monotonic() - began:.0f} s[/]")
    if not only and days is None:
        machine = describe(docs)
        date = datetime.now(UTC).strftime("%Y-%m-%d")
        (docs / "dispatch.md").write_text(report.page(wanted, found, machine, date), encoding="utf-8")
        (docs / "dispatch.svg").write_text(report.draw(found), encoding="utf-8")
        (docs / PRICES).write_text(json.dumps(prices, separators=(",", ":")) + "\n", encoding="utf-8")
        console.print(f"Written: dispatch.md, dispatch.svg and {PRICES} in {docs}")
    missed = [
        f"{case.name}: {goal.words}" for case in wanted for goal in case.goals if not goal.reached(found[case.name])
    ]
    for words in missed:
        console.print(f"[bold red]The goal is missed:[/] {words}")
    sys.exit(1 if missed else 0)


def _play(
    cases: Sequence[Case], days: int | None, pool: ProcessPoolExecutor, console: Console
) -> tuple[dict[str, Results], dict[str, dict[str, float]]]:
    """Each case's results, and each bound's prices by its key; the long days first."""
    played: dict[tuple[str, str, int], Future[Played]] = {}
    bounds: dict[Key, Future[tuple[float, dict[str, float]]]] = {}
    for case in sorted(cases, key=lambda one: -one.agents):
        for seed in range(1, (days or case.days) + 1):
            played["ours", case.name, seed] = pool.submit(_ours, seed, case.agents, case.terms)
            key = _key(case, seed)
            if key not in bounds:
                bounds[key] = pool.submit(_bound, key)
            if case.others:
                played["plain", case.name, seed] = pool.submit(_plain, seed, case.agents, case.terms)
                played["tutorial", case.name, seed] = pool.submit(_tutorial, seed, case.agents, case.terms)
    found: dict[str, Results] = {}
    with console.status("") as status:
        for case in cases:
            seeds = range(1, (days or case.days) + 1)
            for seed in seeds:
                status.update(f"{case.name}, day {seed}")
                played["ours", case.name, seed].result()
            found[case.name] = Results(
                case.agents,
                [played["ours", case.name, seed].result() for seed in seeds],
                [bounds[_key(case, seed)].result()[0] for seed in seeds],
                [played["plain", case.name, seed].result() for seed in seeds] if case.others else (),
                [played["tutorial", case.name, seed].result() for seed in seeds] if case.others else (),
                found[case.beside].ours if case.beside in found else (),
            )
    return found, {json.dumps(key): bound.result()[1] for key, bound in sorted(bounds.items())}


def _key(case: Case, seed: int) -> Key:
    return seed, case.agents, case.bound_by or case.terms.per_minute


def _ours(seed: int, agents: int, terms: Terms) -> Played:
    return ours(company_day(seed, agents), terms)


def _plain(seed: int, agents: int, terms: Terms) -> Played:
    return plain_order(company_day(seed, agents), terms)


def _tutorial(seed: int, agents: int, terms: Terms) -> Played:
    return tutorial(company_day(seed, agents), terms)


def _bound(key: Key) -> tuple[float, dict[str, float]]:
    """The bound and its prices that are not nothing, by the number of their minute."""
    seed, agents, per_minute = key
    terms = BoundTerms(per_minute)
    found = lower_bound(agents_of(company_day(seed, agents), terms), terms)
    return found.value, {"": len(found.prices)} | {str(n): price for n, price in enumerate(found.prices) if price}


def _check(docs: Path, console: Console) -> bool:
    """Whether the published prices prove what the page says; each bound is printed."""
    published: dict[str, dict[str, float]] = json.loads((docs / PRICES).read_text(encoding="utf-8"))
    sums: dict[tuple[int, int], float] = {}
    for name, sparse in published.items():
        seed, agents, per_minute = json.loads(name)
        prices = [0.0] * int(sparse.pop(""))
        for minute, price in sparse.items():
            prices[int(minute)] = price
        proven = check(company_day(seed, agents), prices, BoundTerms(per_minute))
        sums[agents, per_minute] = sums.get((agents, per_minute), 0.0) + proven
    page = (docs / "dispatch.md").read_text(encoding="utf-8")
    table = Table("agents", "N", "bound of all days", "on the page", box=None)
    good = True
    for (agents, per_minute), value in sorted(sums.items()):
        there = report.thousands(value) in page
        good = good and there
        table.add_row(f"{agents:,}", str(per_minute), report.thousands(value), "yes" if there else "no")
    console.print(table)
    return good


if __name__ == "__main__":
    main()
