"""The history: as a table for a reader, and as a line a record where it is piped."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from calsyncd.core.wording import status_word
from calsyncd.terminal.paper import Paper
from calsyncd.terminal.times import is_twice, local, offset, zone_of

COLOURS = {
    "done": "green",
    "seen": "cyan",
    "paused": "blue",
    "resumed": "blue",
    "skipped": "blue",
    "extended": "blue",
    "override": "magenta",
    "left_alone": "magenta",
    "kept": "cyan",
    "drift": "yellow",
}
LEAST_FOR_WHY = 24


def table(records: Sequence[dict[str, Any]], zones: dict[str, str], paper: Paper) -> list[str]:
    """The records that the API told, oldest first, by each agent's clock.

    On a terminal the reason stands in what is left of the line, or below it where that is too little. Elsewhere each
    record is one line, and its time has its offset.
    """
    if not records:
        return ["Nothing in this time."]
    times = [local(one["at"], zone_of(zones.get(one["agent"], "UTC"))) for one in records]
    alike = len({at.utcoffset() for at in times}) == 1 and len({zones.get(one["agent"]) for one in records}) == 1
    zone = f"TIME ({zones.get(records[0]['agent'], 'UTC')})" if alike and paper.terminal else "TIME"
    rows: list[tuple[str, ...]] = [(zone, "AGENT", "CHANGE", "OUTCOME", "LATE", "BY")]
    rows += [_row(one, at, alike, paper) for one, at in zip(records, times, strict=True)]
    if paper.terminal and len({one["agent"] for one in records}) == 1:
        rows = [(row[0], *row[2:]) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    if not paper.terminal:
        return [f"{line}  {why}".rstrip() for line, why in zip(lines, ["WHY", *map(_why, records)], strict=True)]
    left = sum(widths) + 2 * len(widths)
    beside = paper.width - left >= LEAST_FOR_WHY
    found = [paper.ink(f"{lines[0]}  WHY" if beside else lines[0].rstrip(), bold=True)]
    for one, line in zip(records, lines[1:], strict=True):
        outcome = paper.text(one["outcome"])
        shown = line.replace(f" {outcome} ", f" {paper.ink(outcome, COLOURS.get(outcome))} ", 1)
        why = textwrap.wrap(paper.text(_why(one)), max(paper.width - (left if beside else 4), LEAST_FOR_WHY))
        if beside:
            first, *rest = why or [""]
            found.append(f"{shown}  {paper.ink(first, dim=True)}".rstrip())
            found += [" " * left + paper.ink(more, dim=True) for more in rest]
        else:
            found += [shown.rstrip(), *(f"    {paper.ink(more, dim=True)}" for more in why)]
    return found


def _row(one: dict[str, Any], at: datetime, alike: bool, paper: Paper) -> tuple[str, ...]:
    if not paper.terminal:
        when = at.isoformat(timespec="seconds")
    else:
        when = f"{at:%Y-%m-%d %H:%M:%S}{'' if alike and not is_twice(at) else offset(at)}"
    return (when, *map(paper.text, (one["agent"], _change(one, paper), one["outcome"], _late(one), one["actor"])))


def _change(one: dict[str, Any], paper: Paper) -> str:
    if one["to"] is None:
        return status_word(one["from"]) if one["from"] else "-"
    before = status_word(one["from"]) if one["from"] else "?"
    return f"{before} {paper.sign('→', '->')} {status_word(one['to'])}"


def _late(one: dict[str, Any]) -> str:
    late = one["late_ms"]
    if late is None:
        return "-"
    return f"{late} ms" if abs(late) < 1000 else f"{late / 1000:.1f} s"


def _why(one: dict[str, Any]) -> str:
    """The reason in one line, without the agent's address before it: that stands in a column of its own."""
    why = " ".join("".join(letter if letter.isprintable() else " " for letter in one["why"]).split())
    return why.removeprefix(f"{one['agent']} ")
