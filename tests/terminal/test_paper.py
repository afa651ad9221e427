"""What an output can show."""

from __future__ import annotations

import io
from datetime import UTC, date

import pytest

from calsyncd.terminal.paper import Paper
from calsyncd.terminal.times import asked_day, clock, local, parse_day, zone_of


class Output(io.TextIOWrapper):
    """An output of some encoding, on a terminal or not."""

    def __init__(self, encoding: str, *, terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize(
    ("environ", "terminal", "colour"),
    [
        ({"TERM": "xterm-256color"}, True, True),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, True, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({}, True, False),
        ({"TERM": "xterm-256color"}, False, False),
    ],
)
def test_colours_are_for_terminals(environ: dict[str, str], terminal: bool, colour: bool) -> None:
    """And not where the user wants none."""
    paper = Paper.of(Output("utf-8", terminal=terminal), environ)

    assert (paper.terminal, paper.colour) == (terminal, colour)
    assert paper.ink("now", "red") == ("\x1b[31mnow\x1b[0m" if colour else "now")


@pytest.mark.parametrize(("encoding", "unicode"), [("utf-8", True), ("ascii", False), ("latin-1", False)])
def test_blocks_are_drawn_where_they_can_be_shown(encoding: str, unicode: bool) -> None:
    """By the output's encoding."""
    paper = Paper.of(Output(encoding, terminal=True), {})

    assert paper.unicode == unicode
    assert paper.text("é\x1b") == ("é " if unicode else "? ")


def test_the_width_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below sixty columns nothing can be read, above two hundred nothing is gained."""
    for columns, width in (("20", 60), ("100", 100), ("500", 200)):
        monkeypatch.setenv("COLUMNS", columns)
        assert Paper.of(Output("utf-8", terminal=True), {}).width == width


def test_days_are_named_or_dated() -> None:
    """By the agent's calendar."""
    today = date(2026, 12, 31)

    assert [asked_day(parse_day(text), today) for text in ("today", "tomorrow", "yesterday", "2026-03-29")] == [
        today,
        date(2027, 1, 1),
        date(2026, 12, 30),
        date(2026, 3, 29),
    ]
    with pytest.raises(ValueError, match="expected a date such as"):
        parse_day("2026-11-31")


def test_a_time_is_rounded_to_the_second() -> None:
    """By the zone's clock; the end of a pause without an end stays in its year."""
    paris = zone_of("Europe/Paris")

    assert clock(local("2026-11-21T08:59:59.600Z", paris)) == "10:00"
    assert clock(local("2026-11-21T09:00:07.400Z", paris)) == "10:00:07"
    assert local("9999-12-31T23:59:59Z", paris).year == 9999


def test_an_unknown_zone_is_utc() -> None:
    """Another machine may know zones that this one does not."""
    assert zone_of("Mars/Olympus") is UTC
    assert zone_of("../etc/passwd") is UTC
