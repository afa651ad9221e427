"""How a line of the log reads."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calsyncd import logs
from calsyncd.story import DETAILS_AT, Story, about, colours

AMY = "amy@example.com"
TEN = "2026-11-21T10:00:00.012Z"


@pytest.fixture(autouse=True)
def _paris(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine stands in Paris."""
    monkeypatch.setenv("TZ", "Europe/Paris")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def tell(event: str = "said", *, timestamp: str = TEN, utc: bool = False, **fields: Any) -> str:
    """One line, told."""
    line = {"timestamp": timestamp, "level": "info", "event": event, "action": "held"} | fields
    return Story(utc=utc).tell(line)


def split(told: str) -> tuple[str, str]:
    """The sentence, and what else is known."""
    rest = told.partition(" ")[2][2:]
    return rest[:DETAILS_AT].rstrip(), rest[DETAILS_AT:].lstrip()


def test_times_say_their_offset() -> None:
    """By the machine's zone, in summer and in winter; or in UTC."""
    assert tell().startswith("11:00:00.012+01:00   said")
    assert tell(timestamp="2026-07-21T10:00:00.012Z").startswith("12:00:00.012+02:00   said")
    assert tell(utc=True).startswith("10:00:00.012Z   said")


def test_instants_are_told_by_the_same_clock() -> None:
    """In sentences and fields, with the date only where it is another."""
    told = tell("free until 2026-11-21T10:30:00Z, then 2026-11-23T08:00:00Z", until="2026-11-22T23:30:00.500Z")

    assert "free until 11:30:00+01:00, then 2026-11-23 09:00:00+01:00  " in told
    assert told.endswith('  until="2026-11-23 00:30:00+01:00"')
    assert tell("at 2026-13-45T99:00:00Z").endswith("at 2026-13-45T99:00:00Z")


def test_whom_it_is_about_comes_first() -> None:
    """The agent, or whose calendar it is, unless the sentence says so."""
    assert split(tell("A push channel is open", calendar=f"{AMY}/primary")) == (
        f"{AMY}: A push channel is open",
        "calendar=primary",
    )
    assert split(tell(f"{AMY} is back", agent=AMY)) == (f"{AMY} is back", "")
    assert split(tell("set aside", agent=AMY, kind="odd")) == (f"{AMY}: set aside", "kind=odd")
    assert split(tell(f"The calendar of {AMY} is connected", agent=AMY)) == (f"The calendar of {AMY} is connected", "")
    assert about({"calendar": f"{AMY}/team@group.calendar.google.com"}) == AMY
    assert about({"agent": "", "calendar": "primary"}) == ""


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (0, "0 ms late"),
        (12, "12 ms late"),
        (999.4, "999 ms late"),
        (1234, "1.2 s late"),
        (-3000, "3.0 s early"),
        (125_000, "2 min 5 s late"),
        (7_380_000, "2 h 3 min late"),
        (True, "late_ms=true"),
        (10**400, f"late_ms={10**400}"),
        (float("nan"), "late_ms=NaN"),
        ("soon", "late_ms=soon"),
    ],
)
def test_lateness_in_words(ms: object, words: str) -> None:
    """It is what one looks for: first, and readable."""
    assert split(tell(cause="x", late_ms=ms))[1] in {f"{words}  cause=x", f"cause=x  {words}"}


def test_what_the_sentence_tells_is_not_told_twice() -> None:
    """Words and whole numbers; a digit within another number is not told."""
    told = split(tell("1.0.2 follows 8 agents of support", agents=8, owed=0, team="support", minor=2, flag=True))

    assert told == ("1.0.2 follows 8 agents of support", "owed=0  minor=2  flag=true")


def test_values_with_blanks_are_quoted() -> None:
    """Where a value ends can be seen."""
    assert split(tell(why="it is over", empty=None, no='a"b', many=["a", 1]))[1] == (
        r'why="it is over"  no="a\"b"  many=["a", 1]'
    )


def test_a_new_day_is_told() -> None:
    """Where the day changes by the clock that is shown; first against today, if that is given."""
    story = Story(today=date(2026, 11, 22))
    days = ["2026-11-21T22:59:59Z", "2026-11-21T23:00:00Z", "2026-11-22T22:00:00Z"]
    told = [story.tell({"timestamp": at, "level": "info", "event": "said"}) for at in days]

    assert told == [
        "-- Saturday, 21 November 2026 --\n23:59:59.000+01:00   said",
        "-- Sunday, 22 November 2026 --\n00:00:00.000+01:00   said",
        "23:00:00.000+01:00   said",
    ]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_are_for_terminals_that_want_them() -> None:
    """Neither for files, nor with NO_COLOR, nor on a dumb terminal."""
    assert colours(_Terminal(), {"TERM": "xterm"})
    assert colours(_Terminal(), {"NO_COLOR": ""})
    assert not colours(_Terminal(), {"NO_COLOR": "1"})
    assert not colours(_Terminal(), {"TERM": "dumb"})
    assert not colours(io.StringIO(), {"TERM": "xterm"})


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["level", "event", "agent", "calendar", "late_ms"]) | st.text(), anything),
)
def test_nothing_moves_the_terminal(fields: dict[str, Any]) -> None:
    """Whatever a line holds is one printable line; an exception is more of them, indented."""
    told = Story().tell({**fields, "timestamp": TEN, "exception": None})
    more = Story().tell({"timestamp": TEN, "exception": "a\x1b[2J\nb\x9b\x07"}).split("\n")

    assert told.isprintable()
    assert more[1:] == [r"    a\x1b[2J", r"    b\x9b\x07"]


@given(st.text(), st.dictionaries(st.text(min_size=1), anything, max_size=4))
def test_console_and_json_tell_the_same(event: str, fields: dict[str, Any]) -> None:
    """What is written for the console is what the JSON line tells."""
    record = logging.makeLogRecord({"msg": {**fields, "event": event, "action": "held"}, "levelname": "INFO"})
    as_json, console = io.StringIO(), io.StringIO()
    logs._Pipe(as_json, as_json=True).emit(record)
    logs._Pipe(console, as_json=False).emit(record)

    assert console.getvalue() == Story().tell(json.loads(as_json.getvalue())) + "\n"
