"""iCalendar files, as if Google had listed their events: answers, series across changes of the clock, and faults."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from calsyncd.core.model import Event
from calsyncd.core.rules import Rules, judge
from calsyncd.core.sync import parse_event
from calsyncd.errors import UserError
from calsyncd.exports import ExportError, Pages, read, series

AMY = "amy@example.com"
OCTOBER = (datetime(2026, 10, 20, tzinfo=UTC).timestamp(), datetime(2026, 10, 31, tzinfo=UTC).timestamp())


def event(*lines: str, uid: str = "one") -> str:
    """An event with these lines."""
    return "\n".join(["BEGIN:VEVENT", f"UID:{uid}", *lines, "END:VEVENT"])


MEETING = ("DTSTART:20261026T090000Z", "DTEND:20261026T100000Z", "SUMMARY:PLANTED")


def pages(folder: Path, *parts: str, agent: str | None = AMY, zone: str = "UTC") -> Pages:
    """What a calendar of these parts holds of the window."""
    file = folder / "calendar.ics"
    file.write_text("\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *parts, "END:VCALENDAR", ""]))
    return read(file).pages(OCTOBER, zone, agent)


def events(folder: Path, *parts: str, agent: str | None = AMY, zone: str = "UTC") -> list[Event]:
    """The same, as the daemon reads it."""
    found = pages(folder, *parts, agent=agent, zone=zone)
    assert not found.unreadable
    reads = Rules(minimum_guests=1, only_with_conference=True).reads
    return [
        parse_event(item, name, reads) for name, items in found.pages for item in items if item["status"] != "cancelled"
    ]


def starts(found: list[Event]) -> list[str]:
    """When each begins, UTC."""
    return sorted(datetime.fromtimestamp(one.start, UTC).strftime("%d %H:%M") for one in found)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("TRANSP:TRANSPARENT", "shown as free"),
        ("TRANSP:OPAQUE", "busy"),
        ("X-MICROSOFT-CDO-BUSYSTATUS:FREE", "shown as free"),
        ("X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE", "answered maybe"),
        ("X-MICROSOFT-CDO-BUSYSTATUS:OOF", "out of office"),
        ("X-MICROSOFT-CDO-BUSYSTATUS:BUSY", "busy"),
        ("ATTENDEE;PARTSTAT=DECLINED:mailto:Amy@Example.com", "declined"),
        ("ATTENDEE;PARTSTAT=TENTATIVE:MAILTO:amy@example.com", "answered maybe"),
        ("ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:amy@example.com", "not answered"),
        ("ATTENDEE:mailto:amy@example.com", "not answered"),
        ("ATTENDEE;PARTSTAT=ACCEPTED:mailto:amy@example.com", "busy"),
        ("ATTENDEE;PARTSTAT=DECLINED:mailto:bob@example.com", "busy"),
        ("STATUS:TENTATIVE", "busy"),
    ],
)
def test_what_an_event_says_of_itself(tmp_path: Path, line: str, words: str) -> None:
    """Its lines mean what the same would mean in Google's answer."""
    (found,) = events(tmp_path, event(*MEETING, line))

    assert words == judge(found, Rules(tentative=False, unanswered=False, out_of_office=False)).words


def test_whose_answer_counts(tmp_path: Path) -> None:
    """Without an agent it is the calendar's owner, by whose address Google calls it; else nobody's."""
    declined = event(*MEETING, "ATTENDEE;PARTSTAT=DECLINED:mailto:amy@example.com")

    assert [None] == [one.response for one in events(tmp_path, declined, agent=None)]
    assert ["declined"] == [
        one.response for one in events(tmp_path, "X-WR-CALNAME:Amy@example.com", declined, agent=None)
    ]


def test_guests_and_links(tmp_path: Path) -> None:
    """Rooms and the agent are no guests; a link is one by the name that Google, Outlook or RFC 7986 gives it."""
    (found,) = events(
        tmp_path,
        event(
            *MEETING,
            "ATTENDEE;PARTSTAT=ACCEPTED:mailto:amy@example.com",
            "ATTENDEE;CUTYPE=RESOURCE:mailto:room@example.com",
            "ATTENDEE:mailto:bob@example.com",
            "X-GOOGLE-CONFERENCE:https://meet.google.com/abc",
        ),
    )

    assert (1, True) == (found.guests, found.conference)


def test_cancelled_events_are_gone(tmp_path: Path) -> None:
    """Also one meeting of a series."""
    series = event("DTSTART:20261026T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3")
    cancelled = event("RECURRENCE-ID:20261027T090000Z", "DTSTART:20261027T090000Z", "DURATION:PT1H", "STATUS:CANCELLED")

    assert ["26 09:00", "28 09:00"] == starts(events(tmp_path, series, cancelled))
    assert [] == events(tmp_path, event(*MEETING, "STATUS:CANCELLED"))


def test_a_series_across_a_change_of_the_clock(tmp_path: Path) -> None:
    """It keeps to the clock of its zone; what is left out, moved or added is so; the window bounds it."""
    series = event(
        "DTSTART;TZID=Europe/Paris:20200106T090000",
        "DTEND;TZID=Europe/Paris:20200106T093000",
        "RRULE:FREQ=DAILY",
        "EXDATE;TZID=Europe/Paris:20261022T090000,20261023T090000",
        "RDATE;TZID=Europe/Paris:20261024T150000",
    )
    moved = event(
        "RECURRENCE-ID;TZID=Europe/Paris:20261026T090000",
        "DTSTART;TZID=Europe/Paris:20261026T110000",
        "DTEND;TZID=Europe/Paris:20261026T120000",
    )

    found = starts(events(tmp_path, series, moved))

    assert ["20 07:00", "21 07:00", "24 07:00", "24 13:00", "25 08:00", "26 10:00", "27 08:00"] == found[:7]
    assert [] == [start for start in found[7:] if start[-5:] != "08:00"]
    assert len(found) <= 12


def test_zones(tmp_path: Path) -> None:
    """Windows' names and zones that the file itself describes are known; what floats is read in the calendar's zone."""
    described = """BEGIN:VTIMEZONE
TZID:Our Office
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:+0300
TZOFFSETTO:+0300
END:STANDARD
END:VTIMEZONE"""
    parts = [
        event("DTSTART;TZID=Our Office:20261026T090000", "DURATION:PT1H", uid="a"),
        event("DTSTART;TZID=W. Europe Standard Time:20261026T090000", "DURATION:PT1H", uid="b"),
        event("DTSTART:20261026T090000", "DURATION:PT1H", uid="c"),
        event("DTSTART;VALUE=DATE:20261026", uid="d"),
    ]

    found = events(tmp_path, described, *parts, zone="Asia/Tokyo")
    told = events(tmp_path, "X-WR-TIMEZONE:America/New_York", described, *parts, zone="Asia/Tokyo")

    assert ["25 15:00", "26 00:00", "26 06:00", "26 08:00"] == starts(found)
    assert ["26 04:00", "26 06:00", "26 08:00", "26 13:00"] == starts(told)
    assert [86400.0] == [one.end - one.start for one in found if one.all_day]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["SUMMARY:PLANTED"], "has no DTSTART"),
        (["DTSTART:PLANTED"], "its DTSTART cannot be read"),
        (["DTSTART;TZID=PLANTED:20261026T090000", "DURATION:PT1H"], "the zone of its DTSTART is not known"),
        (["DTSTART:20261026T090000Z", "DURATION:PLANTED"], "its DURATION cannot be read"),
        (["DTSTART:20261026T090000Z", "RRULE:FREQ=PLANTED"], "its RRULE cannot be read"),
        (["DTSTART:20261026T090000Z", "RRULE:FREQ=SECONDLY"], "repeats more often than every day"),
        (["DTSTART;VALUE=DATE:20261026", "DTEND:20261026T090000Z"], "its times cannot be read"),
    ],
)
def test_events_that_cannot_be_read(tmp_path: Path, lines: list[str], words: str) -> None:
    """They are told, with why, and nothing of their text; the others are read."""
    found = pages(tmp_path, event(*lines, uid="odd"), event(*MEETING))

    (told,) = found.unreadable
    assert f"the event with UID odd: {words}" in told
    assert "PLANTED" not in told
    assert ["one"] == [item["id"] for _, items in found.pages for item in items]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:PLANTED\n", ":3: is cut off: END:VCALENDAR is missing"),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR\n", ":3: an END that fits no BEGIN"),
        (
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;TZID=Europe:20261026T090000\nEND:VEVENT\nEND:VCALENDAR\n",
            ": is not the iCalendar that RFC 5545 describes",
        ),
        ("BEGIN:VCALENDAR\nPLANTED\nEND:VCALENDAR\n", ":2: a line without `:`"),
    ],
)
def test_faults(tmp_path: Path, text: str, message: str) -> None:
    """A file that is not whole is refused, at its line."""
    file = tmp_path / "calendar.ics"
    file.write_text(text)

    with pytest.raises(UserError) as raised:
        read(file)

    assert str(raised.value).startswith(f"{file}{message}")
    assert "PLANTED" not in str(raised.value)


def test_a_rule_that_never_comes_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it: the series is named."""
    monkeypatch.setattr(series, "EXPANSION_SECONDS", 0.1)
    never = event("DTSTART:20200101T090000Z", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;BYMONTH=2;BYMONTHDAY=30", uid="never")
    began = time.monotonic()

    with pytest.raises(ExportError, match="the event with UID never: how it repeats cannot be spelled out"):
        pages(tmp_path, never)

    assert time.monotonic() - began < 5.0


def test_a_long_series_is_bounded_to_the_window(tmp_path: Path) -> None:
    """A meeting of each day since 1970 leads to those of the window alone."""
    found: list[Any] = events(tmp_path, event("DTSTART:19700101T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY"))

    assert 10 <= len(found) <= 12
