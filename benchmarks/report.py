"""The figures as a table on the terminal and as a page of the manual."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks import growth_picture
from benchmarks.figures import Figure, Measured

COLUMNS = ("", "measured", "limit in the same run", "share", "goal", "reached")
NUMBERS = COLUMNS[1:4]

PAGE = """\
<!-- Written by `make bench`: what is changed here by hand is lost. -->
# Performance

Each figure stands beside its limit: the least that could do the same job on the same machine, measured in the same run
and in turns with it. `make bench` measures anew, writes this page and its picture, and fails if a goal is missed.
`make bench ONLY=writes` measures one thing alone and writes nothing.

Measured on {date} with:

{machine}

![{alt}](performance.svg)

{table}

*Share* is the figure as a share of its limit: of times and memory less is better, of rates more.

{explained}

{growth}

## The largest costs, removed

What profiles of 10,000 agents showed. `make flame` draws where the busiest minute goes now.

- *Keeping access tokens out of the log*: all begin alike, and each new one was compared with all others.
- *What every agent has of their own*: the settings were parsed and laid over each other one by one, each span and
  setting was kept twice.
- *Looking for garbage*: each full collection stood in the way for as long as there are agents; and of agents who were
  told anew, one by one, Python looked at all at once. Now nothing is collected during a start, what is new is looked at
  every second, and everything once an hour.
- *The check of the database*: the start waited for it; now it goes on while the program is loaded.
"""

GROWTH = """\
## Growth

Each figure by the number of agents, and the power of that number with which it grows: fitted over all, and from the
last but one company to the largest. n log n is 1.125 there, and nothing may grow faster.

![{alt}](growth.svg)

{table}
"""


def spelt(value: float, unit: str) -> str:
    """The number with its unit, to about three digits."""
    if unit == "/s":
        return f"{value:,.0f}/s"
    digits = 0 if abs(value) >= 100 or unit == "MB" else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def goal_of(figure: Figure) -> str:
    """What the figure is to be, in words; empty without a goal."""
    if figure.goal is None:
        return ""
    sign = "≤" if figure.goal.kind == "at most" else "≥"
    if figure.goal.of == "share":
        return f"share {sign} {figure.goal.bound:g}"
    return f"{sign} {figure.goal.bound:g} {figure.unit}".rstrip()


def cells(figure: Figure) -> tuple[str, ...]:
    """A figure's row of the table, below `COLUMNS`."""
    return (
        figure.name,
        spelt(figure.value, figure.unit),
        f"{spelt(figure.limit, figure.unit)}, {figure.beside}",
        f"{figure.share:.2f}",
        goal_of(figure),
        {None: "", True: "yes", False: "no"}[figure.reached],
    )


def missed(measured: Sequence[Measured]) -> list[str]:
    """The goals that were not reached."""
    return [f"{one.title}: {figure.name}" for one in measured for figure in one.figures if figure.reached is False]


def on_terminal(one: Measured, console: Console) -> None:
    """Print the table of one measure for people at a terminal."""
    console.print(f"\n[bold]{one.title}[/], beside {'; '.join(dict.fromkeys(figure.beside for figure in one.figures))}")
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for column, width in zip(COLUMNS, (30, 10, 10, 6, 11, 3), strict=True):
        table.add_column(column, min_width=width, justify="right" if column in NUMBERS else "left")
    table.add_row("", "measured", "limit", "share", "goal", "", style="dim")
    for figure in one.figures:
        name, value, _, share, goal, reached = cells(figure)
        colour = {None: "", True: "green", False: "bold red"}[figure.reached]
        table.add_row(name, value, spelt(figure.limit, figure.unit), share, goal, Text(reached, colour))
    console.print(table)


def page(measured: Sequence[Measured], machine: Mapping[str, str], date: str, alt: str) -> str:
    """docs/performance.md; `alt` says in words what its picture shows."""
    return (
        PAGE.format(
            date=date,
            machine=_markdown(("", ""), list(machine.items())),
            alt=alt,
            table=_markdown(COLUMNS, [row for one in measured for row in _rows(one)]),
            explained="\n\n".join(
                "\n\n".join((f"## {one.title}", *(textwrap.fill(text, 120) for text in (one.how, *one.notes))))
                for one in measured
            ),
            growth=_growth(growth_picture.together(measured)) if any(one.growth for one in measured) else "",
        ).rstrip("\n")
        + "\n"
    )


def _growth(growth: Mapping[str, Mapping[int, float]]) -> str:
    sizes = sorted({agents for values in growth.values() for agents in values})
    rows = [
        (
            name.rpartition(", ")[0],
            *(spelt(values[agents], name.rpartition(", ")[2]) for agents in sizes),
            f"{growth_picture.fitted(values):.2f}",
            f"{growth_picture.power(values):.2f}",
        )
        for name, values in growth.items()
    ]
    head = ("", *(f"{agents:,} agents" for agents in sizes), "n to the power of", "at last")
    return GROWTH.format(alt=growth_picture.in_words(growth), table=_markdown(head, rows))


def _rows(one: Measured) -> list[tuple[str, ...]]:
    return [(f"**{one.title}**", *("" for _ in COLUMNS[1:])), *(cells(figure) for figure in one.figures)]


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
