"""`make mutate`: run the tests of `core/` against its mutants; docs/mutation.json and docs/mutation.md say what died.

`make mutate ONLY=plan,drift` measures these modules and leaves the others' figures as they were; the page says which
of those were measured of another code, or by other tests, than there are now. What survived is printed as it is found:
each is a change of the program that no test of `core/` would notice.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from benchmarks.machine import describe
from tools.mutation.run import Mutant, Result, Runner

ROOT = Path(__file__).parent.parent.parent
CORE, TESTS = ROOT / "calsyncd" / "core", ROOT / "tests" / "core"
MUTANTS = Path(__file__).with_name("mutants.py")
JSON, PAGE = ROOT / "docs" / "mutation.json", ROOT / "docs" / "mutation.md"
EXAMPLES = 50
GOAL = 0.9

HEAD = """\
<!-- Written by `make mutate`: what is changed here by hand is lost. -->
# What the tests of core/ would notice

A mutant is the program with one small change: `<` for `<=`, a number one higher, an argument left out, a text in other
letters. It is killed when a test of `tests/core` fails, or does not end; it survives when all that pass its line still
pass. `make mutate` tries every mutant that [mutmut](https://mutmut.readthedocs.io) knows in every function of `core/`,
properties among them. Nothing is left out of the count: some survivors
are no faults, since they change nothing that can be seen. Statements of a module itself, such as its constants, are not
mutated. A module is measured at a commit, `+` with what was changed since; where its code or the tests are others by
now that is said, and its figures tell of those of then.

{table}

Goal: {goal:.0%}. Measured on {machine}.
"""


@click.command()
@click.option("--only", default="", help="Modules of core/, by commas; all of them without.")
@click.option("--jobs", default=os.cpu_count() or 1, help="So many at once.")
@click.option("--python", default=".venv-tools/mutation/bin/python", help="That which has mutmut.")
def main(only: str, jobs: int, python: str) -> None:
    """Measure, print what survived, write the page."""
    modules = [name for name in only.split(",") if name] or sorted(path.stem for path in CORE.glob("*.py"))
    unknown = [name for name in modules if not (CORE / f"{name}.py").is_file()]
    if unknown:
        raise click.UsageError(f"core/ has no module {', '.join(unknown)}")
    os.environ["CALSYNCD_EXAMPLES"] = str(EXAMPLES)
    state = _state()
    runner = Runner(CORE, _mutants(python, modules), jobs, _tell)
    # Each test is run bare, in a process that is forked for it: no report, no capture, no timer of another's.
    options = ["-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=", "-o", "timeout=0", "--capture=no"]
    pytest.main([str(TESTS), "--quiet", *options], plugins=[runner])
    if runner.failed or not runner.results:
        sys.exit(f"These fail without a mutant, so nothing can be said: {', '.join(runner.failed) or 'all'}")
    figures = _merged(runner.results, state)
    JSON.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(figures, _state()), encoding="utf-8")
    measured = Counter(result.outcome == "survived" for result in runner.results)
    click.echo(f"{measured[False]} of {measured.total()} killed: {measured[False] / measured.total():.1%}")
    sys.exit(measured[False] < GOAL * measured.total())


def _mutants(python: str, modules: Sequence[str]) -> list[Mutant]:
    """Made where mutmut is, which is not where the tests run."""
    command = [python, str(MUTANTS), *(str(CORE / f"{name}.py") for name in modules)]
    made = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)  # noqa: S603 - our own file
    return [Mutant(**json.loads(line)) for line in made.stdout.splitlines()]


def _tell(result: Result, number: int, total: int) -> None:
    if result.outcome != "killed":
        click.echo(f"{result.outcome}: {result.mutant}")
    if number % 250 == 0:
        click.echo(f"… {number} of {total}", err=True)


@dataclass(frozen=True, slots=True)
class State:
    """What is measured: a commit, with what was changed since, and what tells whether a figure is still of it."""

    revision: str
    code: Mapping[str, str]
    tests: str


def _state() -> State:
    """Of now."""

    def git(*words: str) -> str:
        command = ["git", *words]
        return subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout.strip()  # noqa: S603

    changed = git("status", "--porcelain", "--", str(CORE), str(TESTS))
    tests = sorted(path for path in TESTS.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return State(
        (git("rev-parse", "--short", "HEAD") or "no commit") + ("+" if changed else ""),
        {path.stem: _digest(path) for path in CORE.glob("*.py")},
        _digest(*tests),
    )


def _digest(*paths: Path) -> str:
    found = hashlib.sha256()
    for path in paths:
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


def _merged(results: Iterable[Result], state: State) -> dict[str, dict[str, object]]:
    """The figures by module: those measured now, and those of before for the others that are still there."""
    figures: dict[str, dict[str, object]] = json.loads(JSON.read_text(encoding="utf-8")) if JSON.is_file() else {}
    counts: dict[str, Counter[str]] = {}
    for result in results:
        counts.setdefault(result.mutant.module, Counter())[result.outcome] += 1
    known = describe(ROOT)
    machine = ", ".join(known[name] for name in ("processor", "system", "Python"))
    for module, count in counts.items():
        figures[module] = {
            "mutants": count.total(),
            "killed": count["killed"],
            "timeouts": count["timeout"],
            "survived": count["survived"],
            "score": round(1 - count["survived"] / count.total(), 4),
            "examples": EXAMPLES,
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "revision": state.revision,
            "code": state.code[module],
            "tests": state.tests,
            "machine": machine,
        }
    return {name: figures[name] for name in sorted(figures) if (CORE / f"{name}.py").is_file()}


def page(figures: dict[str, dict[str, object]], state: State) -> str:
    """docs/mutation.md, as far as the figures are still of this state."""
    names = ("mutants", "killed", "timeouts", "survived")
    rows = [
        "| module | mutants | killed | did not end | survived | score | measured |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    total: Counter[str] = Counter()
    for module, one in figures.items():
        total.update({name: int(str(one[name])) for name in names})
        numbers = " | ".join(str(one[name]) for name in names)
        parts = (("code", state.code.get(module)), ("tests", state.tests))
        changed = " and ".join(part for part, now in parts if part in one and one[part] != now)
        measured = str(one.get("revision", "a commit not told")) + (f", {changed} changed since" if changed else "")
        rows.append(f"| {module} | {numbers} | {float(str(one['score'])):.1%} | {measured} |")
    score = 1 - total["survived"] / max(1, total["mutants"])
    rows.append(f"| **all** | {' | '.join(str(total[name]) for name in names)} | **{score:.1%}** | |")
    machines = sorted(
        {f"{one['machine']}, Hypothesis at {one['examples']} examples ({one['date']})" for one in figures.values()}
    )
    return HEAD.format(table="\n".join(rows), goal=GOAL, machine="; ".join(machines))


if __name__ == "__main__":
    main()
