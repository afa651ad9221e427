"""Which lines of a stream are shown, and how."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calsyncd.story import Story
from calsyncd.terminal.tail import LONGEST_LINE, Tail, Wanted, parsed

AMY, BEN = "amy@example.com", "ben@example.com"
TEN = 1795255200.0
"""2026-11-21T10:00:00Z."""


def line(event: str, at: str = "10:00:00.000", level: str = "info", **fields: Any) -> str:
    """A line of the daemon's."""
    head = {"timestamp": f"2026-11-21T{at}Z", "level": level, "event": event, "action": "held"}
    return json.dumps(head | fields) + "\n"


def shown(text: str | bytes, *, as_json: bool = False, **wanted: Any) -> list[str]:
    """What is written, without the times."""
    tail = Tail(Wanted(**wanted), Story(utc=True), as_json)
    stream = io.BytesIO(text if isinstance(text, bytes) else text.encode())
    told = [raw.decode().rstrip("\n") for raw, _ in tail.read(stream)]
    return told if as_json else [one.removeprefix("10:00:00.000Z   ") for one in told]


BOTH = line("held", agent=AMY) + line("a push channel", calendar=f"{BEN}/primary")


def test_lines_are_told_like_the_console_tells_them() -> None:
    """The time, the sentence, the details."""
    assert shown(line("held", late_ms=3, level="error", at="10:00:00.500")) == [
        "10:00:00.500Z ✗ held" + " " * 52 + "3 ms late",
    ]


def test_agents_lines_are_theirs_and_their_calendars() -> None:
    """By agent, calendar, and whom an alarm is about."""
    alarm = line("raised", who=f"{AMY}/primary") + line("lost", agents=[BEN, AMY], lost=2) + line("2 agents", agents=2)
    assert shown(BOTH, agents=frozenset({AMY})) == [f"{AMY}: held"]
    assert shown(BOTH, agents=frozenset({BEN})) == [f"{BEN}: a push channel" + " " * 25 + "calendar=primary"]
    assert len(shown(alarm, agents=frozenset({AMY}))) == 2
    assert len(shown(BOTH, agents=frozenset({AMY, BEN}))) == 2


def test_actions_and_levels() -> None:
    """The named actions; at least as grave, whatever the level of a later version is called."""
    some = (
        line("a", action="released") + line("b", level="warning") + line("c", level="fatal") + line("d", level="debug")
    )

    assert [one[0] for one in shown(some, actions=frozenset({"released"}))] == ["a"]
    assert [one.split(" ")[-1] for one in shown(some, level="warning")] == ["b", "c"]
    assert len(shown(some, level="info")) == 3


def test_time_that_is_asked_for() -> None:
    """From `since` on, and before `until`."""
    some = "".join(line(name, at=f"10:0{number}:00.000") for number, name in enumerate("abc"))

    assert [one[-1] for one in shown(some, since=TEN + 60)] == ["b", "c"]
    assert [one[-1] for one in shown(some, until=TEN + 60)] == ["a"]
    assert [one[-1] for one in shown(some, since=TEN + 60, until=TEN + 120)] == ["b"]


CRASH = 'Traceback (most recent call last):\n  File "x.py", line 1\n\tboom\n\nsystemd[1]: calsyncd.service: Failed\n'


def test_what_is_not_the_daemons_is_never_swallowed() -> None:
    """A traceback is shown as it is, also where grave lines are asked for; it is no agent's."""
    told = CRASH.expandtabs().splitlines()

    assert shown(CRASH) == told
    assert shown(CRASH, level="error") == told
    assert shown(CRASH, agents=frozenset({AMY})) == []
    assert shown(CRASH, actions=frozenset({"held"})) == []


def test_a_traceback_belongs_to_the_time_of_the_line_before() -> None:
    """It has no time of its own; before the first line it is shown."""
    some = "begin\n" + line("a") + "early\n" + line("b", at="11:00:00.000") + "late\n"

    assert shown(some, since=TEN + 60) == ["begin", "11:00:00.000Z   b", "late"]


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[1]",
        '{"a": 1}',
        '{"timestamp": "soon", "event": "x"}',
        '{"timestamp": "2026-11-21T10:00:00", "event": "x"}',
        '{"timestamp": "9999-12-31T23:59:59Z", "event": "x"}',
        '{"timestamp": 5, "event": "x"}',
        '{"timestamp": "2026-11-21T10:00:00Z"}',
        '{"timestamp": "2026-11-21T10:00:00Z", "event": ',
        '{"timestamp": ' + "[" * 100_000,
    ],
)
def test_other_json_is_a_plain_line(text: str) -> None:
    """What another program wrote is not told like ours."""
    assert parsed(text) is None
    assert shown(text) == [text]


def test_what_a_collector_puts_before_is_left_out() -> None:
    """A journal without `-o cat`, docker compose and kubectl put their own before the line."""
    assert shown("Nov 21 10:00:00 host calsyncd[7]: " + line("held")) == ["held"]
    assert shown("calsyncd-1  | " + line("held")) == ["held"]


def test_json_passes_unchanged() -> None:
    """Byte for byte, an order, spacing and a missing end of line included."""
    odd = '{"timestamp":"2026-11-21T10:00:00Z",  "event":"caf\u00e9","z":1,"level":"info"}'

    assert shown(line("a", agent=AMY) + odd, as_json=True) == [line("a", agent=AMY).rstrip("\n"), odd]
    assert shown(BOTH, as_json=True, agents=frozenset({AMY})) == [BOTH.splitlines()[0]]


def test_nothing_moves_the_terminal() -> None:
    """Neither a plain line nor a field."""
    assert shown(b"\x1b[2J \x9b \xff \x07\r\n") == [r"\x1b[2J \x9b \xff \x07"]
    assert shown(line("\x1b]0;title\x07", agent="a\nb@c")) == [r"a\nb@c: \x1b]0;title\x07"]


def test_endless_line_is_shown_in_pieces() -> None:
    """It is not kept in memory as a whole."""
    told = shown(b"x" * (2 * LONGEST_LINE + 5))

    assert [len(one) for one in told] == [LONGEST_LINE, LONGEST_LINE, 5]


@given(st.binary())
def test_any_bytes_are_printable_lines(raw: bytes) -> None:
    """Nothing that comes fails."""
    told = [one for one, _ in Tail(Wanted(), Story()).read(io.BytesIO(raw))]

    assert all(one.decode()[:-1].isprintable() and one.endswith(b"\n") for one in told)
    assert len(told) == len(io.BytesIO(raw).readlines())
