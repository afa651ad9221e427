"""Instants as people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calsyncd.core.moments import Moment, clock_in, day_of

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 11, 21, 23, 30, tzinfo=UTC).timestamp()
"""Half past midnight of the 22nd in Paris."""


def read(text: str) -> str:
    """What a text means in Paris, as RFC 3339 UTC."""
    return datetime.fromtimestamp(Moment.parse(text).at(PARIS, NOW), UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-21", "2026-11-20T23:00:00Z"),
        ("2026-11-21T10:00", "2026-11-21T09:00:00Z"),
        ("2026-11-21 10:00:30", "2026-11-21T09:00:30Z"),
        ("10:00", "2026-11-22T09:00:00Z"),
        ("10:00:30", "2026-11-22T09:00:30Z"),
        ("today", "2026-11-21T23:00:00Z"),
        ("yesterday", "2026-11-20T23:00:00Z"),
        ("tomorrow", "2026-11-22T23:00:00Z"),
        ("now", "2026-11-21T23:30:00Z"),
        ("2h", "2026-11-21T21:30:00Z"),
        ("90s", "2026-11-21T23:28:30Z"),
        ("7d", "2026-11-14T23:30:00Z"),
        ("1w", "2026-11-14T23:30:00Z"),
        ("999999999w", "1970-01-01T00:00:00Z"),
        ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z"),
        ("2026-11-21T10:00:00+05:30", "2026-11-21T04:30:00Z"),
        (" 2026-07-01 ", "2026-06-30T22:00:00Z"),
        ("2026-10-25T02:30", "2026-10-25T00:30:00Z"),
        ("2026-10-25T02:30+01:00", "2026-10-25T01:30:00Z"),
        ("2026-03-29T02:30", "2026-03-29T01:30:00Z"),
    ],
)
def test_what_is_written_is_meant_by_the_agents_clock(text: str, meant: str) -> None:
    """Of a time that comes twice the first; a time that is skipped as much later: 03:30 of that day."""
    assert read(text) == meant


@pytest.mark.parametrize(
    "text",
    ["", "soon", "10", "2h30m", "-2h", "25:00", "2026-11-31", "21.11.2026", "0001-01-01", "9999-12-31", "10:00Z", "٢h"],
)
def test_what_cannot_be_understood_is_told(text: str) -> None:
    """In words that say what would be right."""
    with pytest.raises(ValueError, match=r"expected a time such as|the year must be"):
        Moment.parse(text)


@given(st.text(max_size=30))
def test_any_text_is_an_instant_or_refused(text: str) -> None:
    """Nothing else comes of it, whatever it is."""
    try:
        moment = Moment.parse(text)
    except ValueError:
        return
    assert moment.at(PARIS, NOW) >= -86400


@given(st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1)))  # noqa: DTZ001 - what a wall clock shows
def test_what_the_clock_shows_is_found_again(written: datetime) -> None:
    """The instant's own time by the agent's clock is what was written, unless the clock skips that time."""
    at = Moment.parse(written.isoformat()).at(PARIS, NOW)

    shown = datetime.fromtimestamp(at, PARIS).replace(tzinfo=None)

    skipped = written.month == 3 and written.hour == 2
    assert skipped or abs((shown - written).total_seconds()) < 0.001
    assert skipped or day_of(at, PARIS) == written.date()


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("2026-11-21", True),
        ("10:00", True),
        ("today", True),
        ("now", False),
        ("2h", False),
        ("2026-11-21T10:00:00Z", False),
    ],
)
def test_what_depends_on_the_agents_zone(text: str, *, local: bool) -> None:
    """All that has no offset and does not count back from now."""
    assert local == Moment.parse(text).is_local


@pytest.mark.parametrize("text", ["", "2hours", "25:00", "0x10s", "1234567890s", "-2h", "2026-13-01", "10:00:00:00"])
def test_what_is_expected_is_said_with_an_example(text: str) -> None:
    """To the letter: it is shown to whoever typed it."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the words are compared
        Moment.parse(text)

    assert str(refused.value) == (
        "expected a time such as 2026-11-21, 2026-11-21T10:00, 10:00, today, 2026-11-21T10:00:00+01:00,"
        " or 2h for two hours ago"
    )


@pytest.mark.parametrize(("year", "known"), [(1969, False), (1970, True), (9000, True), (9001, False)])
def test_years_that_can_be_asked_for(year: int, *, known: bool) -> None:
    """Those that every zone can write."""
    if known:
        assert Moment.parse(f"{year}-06-01").local == datetime(year, 6, 1)  # noqa: DTZ001 - it has no zone
        return
    with pytest.raises(ValueError, match=r"^the year must be between 1970 and 9000$"):
        Moment.parse(f"{year}-06-01")


def test_what_the_zones_clock_shows() -> None:
    """With the date, unless it is today's."""
    assert clock_in(PARIS, NOW) == "00:30:00 CET"
    assert clock_in(PARIS, NOW, NOW + 3600) == "00:30:00 CET"
    assert clock_in(PARIS, NOW, NOW - 3600) == "2026-11-22 00:30:00 CET"
