"""Intervals as CSV, for workforce tools: who was in which state from when to when, and why."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from calsyncd.terminal.times import zone_of

HEADER = ("agent", "from", "to", "state", "reason")
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001 - some spreadsheets read the wide ones too


def header() -> str:
    """The first line."""
    return _line(HEADER)


def rows(settings: dict[str, Any]) -> Iterable[str]:
    """One agent's intervals, as the API told them, in order and without overlap: a line each.

    One that begins and ends in the same millisecond is left out: whoever reads intervals refuses it.
    Times are RFC 3339, by the agent's clock and with its offset.
    """
    zone = zone_of(settings["zone"])
    for one in settings["set"]:
        if one["start"] == one["end"]:
            continue
        start, end = (datetime.fromisoformat(one[key]).astimezone(zone) for key in ("start", "end"))
        yield _line(
            (
                _cell(settings["email"]),
                start.isoformat(timespec="milliseconds"),
                end.isoformat(timespec="milliseconds"),
                _cell(one["availability_status"]),
                _cell(one["why"]),
            )
        )


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula, in one line."""
    flat = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return f"'{flat}" if flat.startswith(_FORMULA) else flat


def _line(cells: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()
