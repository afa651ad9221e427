"""What a run at full depth has reached: gathered from the tests, told at the end, kept for docs/reliability.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

PATH = Path(__file__).with_name("figures.json")


@dataclass(frozen=True, slots=True)
class Figure:
    """`reached` of `of`, by a test that ran on the day `at`; numbers are counts, words are what they say."""

    figure: str
    reached: int | str
    of: int | str
    at: str


def made(figure: str, reached: int | str, of: int | str) -> Figure:
    """A figure of today."""
    return Figure(figure, reached, of, f"{datetime.now(UTC):%Y-%m-%d}")


def keep(found: Sequence[Figure]) -> None:
    """Put these in the place of older ones of the same name; others stay, in the order of their names."""
    known = json.loads(PATH.read_text(encoding="utf-8")) if PATH.exists() else []
    by_name = {one["figure"]: one for one in known} | {one.figure: asdict(one) for one in found}
    PATH.write_text(json.dumps([by_name[name] for name in sorted(by_name)], indent=1) + "\n", encoding="utf-8")


def table(found: Sequence[Figure]) -> list[str]:
    """Figures as lines of a table."""
    rows = [("figure", "reached", "of"), *((one.figure, str(one.reached), str(one.of)) for one in found)]
    wide = [max(len(row[column]) for row in rows) for column in range(3)]
    return [" | ".join(cell.ljust(width) for cell, width in zip(row, wide, strict=True)).rstrip() for row in rows]
