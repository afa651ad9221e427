"""The table of what one process costs."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from benchmarks.agents import BEGIN, END, PAGE, Cost, highest, page, put

COST = Cost(3000, 41.2, 2.04, 9.96, 201.6, 230.0, 88.0, "≤ 25 ms", "≤ 5 ms")


def test_the_least_bound_that_holds_all() -> None:
    """A histogram tells no maximum: the bound below which everything was."""
    assert highest({0.001: 7.0, 0.005: 9.0, 0.025: 9.0, float("inf"): 9.0}) == "≤ 5 ms"
    assert highest({0.001: 7.0, 1.0: 8.0, float("inf"): 9.0}) == "over the highest bound"
    assert highest({0.001: 0.0, float("inf"): 0.0}) == "too short to tell"


def test_the_manual_has_a_place_for_it(tmp_path: Path) -> None:
    """It is put between the marks, over what was there; the rest of the page stays."""
    table = page([COST], {"processor": "a processor"}, "2026-11-21")
    assert "| 3,000 | 2.0 s | 10.0 s | 41 s | 202 MB | 230 MB | 88 MB | ≤ 25 ms | ≤ 5 ms |" in table
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    copy = tmp_path / "living.md"
    copy.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")

    put(copy, table)
    put(copy, table)

    assert copy.read_text(encoding="utf-8") == f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}"
    copy.write_text("no marks")
    with pytest.raises(click.ClickException, match="has no place"):
        put(copy, table)
