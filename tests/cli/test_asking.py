"""Times as they are given to `calsyncd explain`."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import pytest

from calsyncd.cli.asking import _instant, _moment

NOW = "2026-11-23T09:30:00.000Z"
"""10:30 in Paris."""


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("10:15", "2026-11-23T09:15:00"),
        ("yesterday 10:15", "2026-11-22T09:15:00"),
        ("tomorrow 10:15:30", "2026-11-24T09:15:30"),
        ("2026-07-01T10:15", "2026-07-01T08:15:00"),
        ("2026-07-01 10:15", "2026-07-01T08:15:00"),
        ("2h", "2026-11-23T07:30:00"),
        ("2026-11-23T10:15:00+02:00", "2026-11-23T08:15:00"),
    ],
)
def test_times_are_by_the_agents_clock(text: str, utc: str) -> None:
    """Of that day's own offset; a time with an offset is nobody's."""
    at = _instant(_moment(text), "Europe/Paris", NOW)

    assert datetime.fromtimestamp(at, UTC).isoformat() == f"{utc}+00:00"


@pytest.mark.parametrize("text", ["", "soon", "25:00", "yesterday 2h", "yesterday 2026-11-23", "yesterday noon"])
def test_what_is_no_time_is_the_callers_mistake(text: str) -> None:
    """And it is said what is expected."""
    with pytest.raises(click.BadParameter, match="expected a time"):
        _moment(text)
