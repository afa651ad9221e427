"""The bench's tables for people at a terminal, its page and its picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.dispatch.calibrate import STUDY
from benchmarks.dispatch.cases import BASE, BOUND, OTHERWISE, OURS, PLAIN, TUTORIAL, Case, Results
from benchmarks.dispatch.world import Played
from benchmarks.picture import STYLE

PAGE = """\
<!-- Written by `make bench-dispatch`: what is changed here by hand is lost. -->
# How well the requests are spent

Aircall grants a company so many requests a minute, N; at 9:00 more agents need one than that. Somebody is wrong for a
while, and what can be chosen is who. `make bench-dispatch` plays company days on a virtual clock with the rooms that
the daemon runs (`calsyncd.phones` and `calsyncd.core`) against the sandbox's Aircall, judges them by what the sandbox
saw, and sets the result beside two simpler programs and beside a bound that no scheduler can pass, one that knows the
whole day beforehand included. It fails if a goal is missed, and says so below.

**W** is the sum, over agents and seconds from 08:55 to 17:30, of 2 while a phone rings in a meeting and 1 while it does
not ring outside of one. Each request counts: updates, reads, refused ones. More than N in any 60 s, an update more than
60 s before its boundary, or one for nothing would void the run. A day goes from 9 to 17 h; an agent has about five
meetings of 15 to 60 minutes, most of them at :00 and :30, some back-to-back or nested; 12 % are made, moved or
cancelled at short notice, and nobody knows before. The seed fixes a day (`benchmarks/dispatch/days.py`). Scheduling
takes no time; what real sending costs stands in a line of its own.

Played on {date} with {machine}.

![{alt}](dispatch.svg)

## Against the bound

{base}

W is in thousands of weighted seconds, of all days together; each ratio is of those sums. *Plain order* sends each true
boundary in its turn, at the same instant in an order without any pattern, and drops what changes nothing any more. *The
tutorial's way* sends each event's own start and end, at the same instant ends first. Neither reads anything. Reads are
all requests that are no updates: looks, pages of the list of users, making the webhook, and asking whether it is still
on. While messages come that is asked every fourth hour; here each update raises one, which is not established of
Aircall. In a company where nothing at all is told it is asked once an hour: six requests a day more.

How far plain order is from the bound hangs on the shape of the days and on what goes first at the same instant. Both
were chosen by the figures that a study of such days gives for the bound and for the two simpler programs, on days that
are not played here (`benchmarks/dispatch/calibrate.py`), before the daemon had played any day of that shape and without
regard to its W. They were kept whatever it then reached. The study has, in thousands of weighted seconds a day:

{study}

`python -m benchmarks.dispatch --calibrate` prints the days' own figures beside these. Taken together, all fifteen are
6 % off; with agent by agent in plain order they would be 7 %, with ends first 9 %, with starts first 23 %.

## When Aircall is otherwise

{otherwise}

How Aircall counts its minute is not established. By the clock's minutes a burst may end at :59 and another begin at
:00; that is used once the answers' `X-AircallApi-Remaining` have shown it. Mostly they do before the day's first crowd:
a list of several pages is read across a mark of the clock, and what is left rises there as it can under no other kind
of minute. These reads count here, and so does what it costs where they show it later. `X-AircallApi-Reset` is neither
needed nor used for that: `Remaining` and the clock say the same, whatever `Reset` means. The bound is that of a sliding
minute, and with others who take half of the requests that of the other half. Refusals are a day's.

## Goals

{goals}

## The bound

For any prices λ ≥ 0 of the minutes, W ≥ Σ over agents of (the cheapest on/off path through the day when each send at t
costs p(t)) - N·Σλ, with p interpolated linearly between minutes: each λ spreads evenly over the 60 s windows that hold
its minute, and each window holds at most N sends. `benchmarks/dispatch/bound.py` holds the proof and finds good
prices; they are in [dispatch-prices.json](dispatch-prices.json), and `python -m benchmarks.dispatch --check` proves the
bounds again from them in seconds. An exact integer program checks the bound on small days in the tests
(`benchmarks/dispatch/exact.py`).
"""

WIDTH, HEIGHT = 720, 420
LEFT, TOP, RIGHT, BOTTOM = 70.0, 50.0, 170.0, 50.0
LINES = ((TUTORIAL, "least"), (PLAIN, "limit"), (OURS, "ours"), (BOUND, "bound"))


def on_terminal(case: Case, results: Results, console: Console) -> None:
    """Print one case for people at a terminal."""
    ringing, unreachable = _parts(results.ours)
    console.print(
        f"\n[bold]{case.name}[/]: W {thousands(results.wrong)} (ringing {thousands(ringing)}, unreachable"
        f" {thousands(unreachable)}), bound {thousands(results.bound)}, ratio {results.ratio:.3f}, worst day"
        f" {results.worst:.3f}; updates {results.updates:.3f} and reads {results.reads:.3f} a window;"
        f" {results.requests:,.0f} requests a day, {results.refused:.1f} of them refused"
    )
    if case.others:
        plain, tutorial = _wrong(results.plain), _wrong(results.tutorial)
        console.print(f"  plain order {thousands(plain)}, the tutorial's way {thousands(tutorial)}")
    table = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
    for goal in case.goals:
        good = goal.reached(results)
        table.add_row(goal.words, goal.figure(results), "[green]yes[/]" if good else "[bold red]no[/]")
    console.print(table)


def page(cases: Sequence[Case], found: Mapping[str, Results], machine: Mapping[str, str], date: str) -> str:
    """docs/dispatch.md."""
    wanted = {case.name for case in cases}
    return PAGE.format(
        date=date,
        machine=f"{machine['program']} on {machine['Python']}, {machine['processor']}",
        alt=in_words(found),
        base=_table(
            (
                *("agents at N", "days", "bound", "calsyncd", "of it ringing", "unreachable", "W / bound", "worst day"),
                *("plain order", "the tutorial's way", "updates a window", "reads a window", "requests a day"),
            ),
            [_base_row(case, found[case.name]) for case in BASE if case.name in wanted],
        ),
        study=_table(
            ("agents at N", BOUND, TUTORIAL, PLAIN),
            [
                (
                    f"{row.agents:,} at {row.per_minute}",
                    *(f"{value:,}" for value in (row.bound, row.tutorial, row.plain)),
                )
                for row in STUDY
            ],
        ),
        otherwise=_table(
            (
                *("", "days", "calsyncd", "W / bound", "worst day", "updates a window", "reads a window"),
                *("requests a day", "refused a day"),
            ),
            [_other_row(case, found[case.name]) for case in OTHERWISE if case.name in wanted],
        ),
        goals=_table(
            ("", "goal", "measured", "reached"),
            [
                (
                    case.name,
                    goal.words,
                    goal.figure(found[case.name]),
                    "yes" if goal.reached(found[case.name]) else "no",
                )
                for case in cases
                for goal in case.goals
            ],
        ),
    )


def in_words(found: Mapping[str, Results]) -> str:
    """What the picture shows, for who does not see it."""
    parts = [
        f"{results.agents:,} agents: bound {thousands(results.bound / len(results.ours))}, calsyncd"
        f" {thousands(results.wrong / len(results.ours))}, plain order"
        f" {thousands(_wrong(results.plain) / len(results.ours))}, the tutorial's way"
        f" {thousands(_wrong(results.tutorial) / len(results.ours))}"
        for results in _drawn(found)
    ]
    return f"W of a day in thousands of weighted seconds, at 120 requests a minute. {'; '.join(parts)}."


def draw(found: Mapping[str, Results]) -> str:
    """W of a day over agents at 120 requests a minute, one line for each program; both axes are logarithmic."""
    drawn = _drawn(found)
    curves = {name: [(one.agents, _of(name, one) / len(one.ours)) for one in drawn] for name, _ in LINES}
    values = [max(value, 1.0) for points in curves.values() for _, value in points]
    low, high = 10.0 ** math.floor(math.log10(min(values))), 10.0 ** math.ceil(math.log10(max(values)))
    first, last = drawn[0].agents, drawn[-1].agents

    def x(agents: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(agents / first) / math.log(last / first)

    def y(value: float) -> float:
        height = HEIGHT - TOP - BOTTOM
        return HEIGHT - BOTTOM - height * math.log(max(value, low) / low) / math.log(high / low)

    title = "Thousands of weighted wrong seconds a day, at 120 requests a minute"
    parts = [f'<text class="title" x="{LEFT}" y="24">{title}</text>']
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        at = y(10.0**power)
        parts.append(f'<path class="grid" d="M{LEFT},{at:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{_axis(power)}</text>')
    parts += [
        f'<text x="{x(one.agents):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{one.agents:,}</text>'
        for one in drawn
    ]
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.1f}" y="{HEIGHT - 8}" text-anchor="middle">agents</text>')
    ends: list[float] = []
    for name, style in LINES:
        points = " ".join(f"{x(agents):.1f},{y(value):.1f}" for agents, value in curves[name])
        dashed = ' stroke-dasharray="2 5"' if name == BOUND else ""
        colour = "mark" if style == "bound" else style
        parts.append(f'<polyline class="curve {colour}" points="{points}"{dashed}/>')
        at = y(curves[name][-1][1]) + 4
        while any(abs(at - other) < 14 for other in ends):
            at += 2
        ends.append(at)
        parts.append(f'<text class="value" x="{WIDTH - RIGHT + 10}" y="{at:.1f}">{name}</text>')
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"',
            f'width="{WIDTH}" height="{HEIGHT}" aria-labelledby="title description">',
            '<title id="title">How well the requests are spent</title>',
            f'<desc id="description">{in_words(found)}</desc>',
            f"<style>{STYLE}</style>",
            *parts,
            "</svg>",
            "",
        )
    )


def _axis(power: int) -> str:
    """A power of ten of weighted seconds, in thousands."""
    return f"{10 ** (power - 3):,}" if power >= 3 else f"{10.0 ** (power - 3):g}"


def thousands(value: float) -> str:
    """Weighted seconds, in thousands."""
    return f"{value / 1000:,.2f}" if value < 10_000 else f"{value / 1000:,.1f}"


def _drawn(found: Mapping[str, Results]) -> list[Results]:
    return [found[case.name] for case in BASE if case.terms.per_minute == 120 and case.name in found]


def _of(name: str, results: Results) -> float:
    if name == BOUND:
        return results.bound
    return _wrong({OURS: results.ours, PLAIN: results.plain, TUTORIAL: results.tutorial}[name])


def _wrong(played: Sequence[Played]) -> float:
    return sum(one.wrong for one in played)


def _parts(played: Sequence[Played]) -> tuple[float, float]:
    return 2 * sum(one.ringing for one in played), sum(one.unreachable for one in played)


def _base_row(case: Case, results: Results) -> tuple[str, ...]:
    ringing, unreachable = _parts(results.ours)
    sums = (results.bound, results.wrong, ringing, unreachable)
    others = (_wrong(results.plain), _wrong(results.tutorial))
    return (
        case.name,
        str(len(results.ours)),
        *(thousands(value) for value in sums),
        *(_times(value) for value in (results.ratio, results.worst)),
        *(thousands(value) for value in others),
        f"{results.updates:.3f}",
        f"{results.reads:.3f}",
        f"{results.requests:,.0f}",
    )


def _other_row(case: Case, results: Results) -> tuple[str, ...]:
    return (
        case.name,
        str(len(results.ours)),
        thousands(results.wrong),
        _times(results.ratio),
        _times(results.worst),
        f"{results.updates:.3f}",
        f"{results.reads:.3f}",
        f"{results.requests:,.0f}",
        f"{results.refused:.1f}",
    )


def _times(value: float) -> str:
    return "-" if math.isinf(value) else f"{value:.3f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
