"""Write docs/reliability.md from the catalogue of faults and from what long runs have counted: `make reliability`.

`make faults` leaves its figures in tests/faults/figures.json, `make soak` each of its runs in
tests/simulation/ledger.jsonl; what has not been run has no figure.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.faults.catalogue import SECTIONS
from tests.faults.catalogue.fault import Fault

ROOT = Path(__file__).parent.parent
PAGE = Path("docs/reliability.md")
FIGURES = Path("tests/faults/figures.json")
LEDGER = Path("tests/simulation/ledger.jsonl")
DEPTHS = {"http": "through real aiohttp", "cut": "with the far end cut"}

INTRO = """\
# What may go wrong

What the world does to calsyncd, what happens then, and the test that proves it; made by `make reliability` from
[tests/faults/catalogue](../tests/faults/catalogue). In each of these, and in any of them together:

- Nothing owed is lost: whoever was made unavailable for a meeting is put back, though the process, the database or
  the machine dies in it.
- Nobody is touched who is not ours, and what a person has chosen has the last word, unless the settings say otherwise.
- Nobody is set available in a meeting because something could not be read.
- Once it is over, everybody is right within one poll and one turn of the budget of requests, and no operator has done
  anything. What only a person can mend is said to them, with what to do.
- Both services are asked no more than is granted, and no log, page or file tells a secret or a meeting's title.

`make test` runs each of these tests at a bounded depth, `make faults` at the full one, `make soak` the simulator, and
`make drill` what needs a machine of its own: its clock is set, it sleeps, its power is cut.
"""


def page() -> str:
    """All of docs/reliability.md."""
    return "\n".join([INTRO, *_figures(), *_sections()])


def _sections() -> Iterator[str]:
    for title, faults in SECTIONS.items():
        yield f"## {title}\n"
        yield "| | fault | what happens | proof |"
        yield "|---|---|---|---|"
        yield from (_row(fault) for fault in faults)
        yield ""


def _row(fault: Fault) -> str:
    cells = (fault.code, fault.fault, fault.what_happens, "<br>".join(_link(proof) for proof in fault.proofs))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _link(proof: str) -> str:
    """The test in words, leading to its file; a drill by its name."""
    if proof.startswith("drill: "):
        return f"`make drill`: {proof.removeprefix('drill: ')}"
    path, _, name = proof.partition("::")
    return f"[{name.rpartition('::')[2].removeprefix('test_').replace('_', ' ')}](../{path})"


def _figures() -> Iterator[str]:
    rows = [*_counted(), *_simulated()]
    if rows:
        yield "## What was run\n"
        yield "| figure | reached | of | last run |"
        yield "|---|---|---|---|"
        yield from rows
        yield ""


def _counted() -> Iterator[str]:
    if (ROOT / FIGURES).exists():
        for told in json.loads((ROOT / FIGURES).read_text(encoding="utf-8")):
            yield _figure(told["figure"], told["reached"], told.get("of", ""), told["at"])


def _simulated() -> Iterator[str]:
    """One row for each depth. A line of the ledger tells a row of seeds, the days that were sound, and which failed."""
    runs = defaultdict[str, list[dict[str, Any]]](list)
    if (ROOT / LEDGER).exists():
        for line in (ROOT / LEDGER).read_text(encoding="utf-8").splitlines():
            run = json.loads(line)
            runs[run["depth"]].append(run)
    for depth, told in runs.items():
        seeds = sum(run["last"] - run["first"] + 1 for run in told)
        failed = sum(len(run["failed"]) for run in told)
        days = int(sum(run["agent_days"] for run in told))
        figure = f"simulated agent-days without an invariant broken, {DEPTHS.get(depth, depth)}"
        yield _figure(figure, days, f"{seeds:,} seeds, {failed} failed", max(run["on"] for run in told))


def _figure(figure: str, reached: Any, of: Any, at: str) -> str:
    numbers = (f"{number:,}" if isinstance(number, int) else str(number) for number in (reached, of))
    return f"| {figure} | {' | '.join(numbers)} | {at} |"


def main() -> None:
    """Write it."""
    (ROOT / PAGE).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
