"""The history as a table, and intervals as CSV."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest

from calsyncd.terminal import intervals
from calsyncd.terminal.history import table
from calsyncd.terminal.paper import Paper

AMY, BEN = "amy@example.com", "ben@example.com"
ZONES = {AMY: "Europe/Paris", BEN: "America/New_York"}
TERMINAL = Paper(terminal=True, width=109)


def record(at: str, agent: str = AMY, /, **changes: Any) -> dict[str, Any]:
    """One record of the API's."""
    return {
        "at": f"2026-11-21T{at}Z",
        "agent": agent,
        "from": "custom",
        "to": "unavailable",
        "outcome": "done",
        "why": "a meeting",
        "event": "x7f",
        "late_ms": 213,
        "actor": "calsyncd",
        **changes,
    }


ASIDE: dict[str, Any] = {
    "to": None,
    "outcome": "override",
    "late_ms": None,
    "why": "Amy changed it: we stand back until it ends",
}


def test_one_agents_table_needs_neither_name_nor_offset() -> None:
    """Times are by the agent's clock, which the heading names; the reason is wrapped into what is left."""
    told = table([record("09:00:00.213"), record("09:10:00.600", **ASIDE)], ZONES, TERMINAL)

    assert told == [
        "TIME (Europe/Paris)  CHANGE              OUTCOME   LATE    BY        WHY",
        "2026-11-21 10:00:00  Auto → unavailable  done      213 ms  calsyncd  a meeting",
        "2026-11-21 10:10:01  Auto                override  -       calsyncd  Amy changed it: we stand back until it",
        "                                                                     ends",
    ]


def test_several_agents_have_their_own_clocks() -> None:
    """Each time has its offset; where little is left of the line the reason stands below."""
    told = table([record("09:00:00"), record("09:00:00", BEN, late_ms=-61_500)], ZONES, Paper(terminal=True, width=100))

    assert [re.split(r"  +", line.strip()) for line in told] == [
        ["TIME", "AGENT", "CHANGE", "OUTCOME", "LATE", "BY"],
        ["2026-11-21 10:00:00+01:00", AMY, "Auto → unavailable", "done", "213 ms", "calsyncd"],
        ["a meeting"],
        ["2026-11-21 04:00:00-05:00", BEN, "Auto → unavailable", "done", "-61.5 s", "calsyncd"],
        ["a meeting"],
    ]


def test_the_reason_does_not_repeat_whose_it_is() -> None:
    """The address has a column of its own; somebody else's stays."""
    for why, shown in ((f"{AMY} is unavailable", "is unavailable"), (f"{BEN} is unavailable", f"{BEN} is unavailable")):
        assert table([record("09:00:00", why=why)], ZONES, Paper())[1].endswith(f"calsyncd  {shown}")


def test_a_time_that_comes_twice_says_which_it_is() -> None:
    """On the day on which the clock is set back."""
    told = table([record("00:30:00") | {"at": "2026-10-25T01:30:00Z"}], ZONES, TERMINAL)

    assert told[1].startswith("2026-10-25 02:30:00+01:00")


def test_elsewhere_a_record_is_a_line() -> None:
    """With everything, whatever the width; and nothing that a terminal would obey."""
    told = table(
        [record("09:00:00", why="paused:\x1b[2J\nlunch"), record("09:10:00", BEN, **ASIDE)], ZONES, Paper(width=60)
    )

    assert [re.split(r"  +", line) for line in told] == [
        ["TIME", "AGENT", "CHANGE", "OUTCOME", "LATE", "BY", "WHY"],
        ["2026-11-21T10:00:00+01:00", AMY, "Auto → unavailable", "done", "213 ms", "calsyncd", "paused: [2J lunch"],
        ["2026-11-21T04:10:00-05:00", BEN, "Auto", "override", "-", "calsyncd", ASIDE["why"]],
    ]


def test_colours_and_signs_are_the_outputs() -> None:
    """In colour the table says the same; in ASCII too."""
    records = [record("09:00:00"), record("09:10:00", outcome="seen") | {"from": None}]
    coloured = table(records, ZONES, Paper(terminal=True, width=109, colour=True))

    assert "\x1b[32mdone\x1b[0m" in coloured[1]
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in coloured] == table(records, ZONES, TERMINAL)
    assert "? -> unavailable" in table(records, ZONES, Paper(terminal=True, width=109, unicode=False))[2]
    assert table([], ZONES, TERMINAL) == ["Nothing in this time."]


def settings(*found: tuple[str, str, str, str], email: str = AMY) -> dict[str, Any]:
    """An agent's settings as the API tells them."""
    return {
        "email": email,
        "zone": "Europe/Paris",
        "set": [
            {"start": start, "end": end, "availability_status": state, "actor": None, "why": why}
            for start, end, state, why in found
        ],
    }


def test_intervals_are_by_the_agents_clock() -> None:
    """A heading, and a line for each; offsets change where the clock is set."""
    told = settings(
        ("2026-10-25T00:30:00.000Z", "2026-10-25T01:30:00.213Z", "unavailable", "a meeting"),
        ("2026-10-25T01:30:00.213Z", "2026-10-25T09:00:00.000Z", "custom", "the meeting is over"),
    )

    assert [intervals.header(), *intervals.rows(told)] == [
        "agent,from,to,state,reason",
        f"{AMY},2026-10-25T02:30:00.000+02:00,2026-10-25T02:30:00.213+01:00,unavailable,a meeting",
        f"{AMY},2026-10-25T02:30:00.213+01:00,2026-10-25T10:00:00.000+01:00,custom,the meeting is over",
    ]


def test_an_interval_that_is_too_short_for_a_stamp_is_left_out() -> None:
    """What begins and ends in one millisecond is refused by programs that read intervals; the others still touch."""
    told = settings(
        ("2026-11-21T09:00:00.000Z", "2026-11-21T09:30:00.213Z", "unavailable", "a meeting"),
        ("2026-11-21T09:30:00.213Z", "2026-11-21T09:30:00.213Z", "available", "the meeting is over"),
        ("2026-11-21T09:30:00.213Z", "2026-11-21T10:00:00.000Z", "unavailable", "a meeting"),
        ("2026-10-25T00:45:00.000Z", "2026-10-25T01:15:00.000Z", "unavailable", "while the clock is put back"),
    )

    assert [line.split(",")[1:3] for line in intervals.rows(told)] == [
        ["2026-11-21T10:00:00.000+01:00", "2026-11-21T10:30:00.213+01:00"],
        ["2026-11-21T10:30:00.213+01:00", "2026-11-21T11:00:00.000+01:00"],
        ["2026-10-25T02:45:00.000+02:00", "2026-10-25T02:15:00.000+01:00"],
    ]


@pytest.mark.parametrize(
    ("why", "cell"),
    [
        ('paused: "lunch", then back', 'paused: "lunch", then back'),
        ("two\r\nlines", "two lines"),
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("\t=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("＝1", "'＝1"),  # noqa: RUF001 - that is the point
        ("a = b", "a = b"),
        ("", ""),
    ],
)
def test_a_reason_stays_a_text_in_one_cell(why: str, cell: str) -> None:
    """Whoever wrote it, and whichever program reads the file."""
    told = settings(
        ("2026-11-21T09:00:00.000Z", "2026-11-21T09:30:00.000Z", "unavailable", why), email="=amy@example.com"
    )
    (line,) = intervals.rows(told)

    assert "\n" not in line
    (cells,) = csv.reader(io.StringIO(line))
    assert (cells[0], cells[3], cells[4]) == ("'=amy@example.com", "unavailable", cell)
