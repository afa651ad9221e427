"""What events.list answered, in the forms in which it is saved, and what is none of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from calsyncd.errors import UserError
from calsyncd.exports import read

ONE = {"id": "a", "start": {"date": "2026-11-18"}, "end": {"date": "2026-11-19"}}
TWO = {"id": "b", "start": {"date": "2026-11-20"}, "end": {"date": "2026-11-21"}}
PARIS = "Europe/Paris"


def saved(folder: Path, content: object) -> Path:
    """A file that holds the JSON, or just the bytes."""
    file = folder / "events"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return file


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param({"timeZone": PARIS, "items": [ONE, TWO]}, [(PARIS, (ONE, TWO))], id="a page"),
        pytest.param(
            [{"timeZone": PARIS, "items": [ONE]}, {"timeZone": PARIS, "items": [TWO]}],
            [(PARIS, (ONE, TWO))],
            id="pages",
        ),
        pytest.param(
            [{"timeZone": PARIS, "items": [ONE]}, {"timeZone": "Asia/Tokyo", "items": [TWO]}],
            [(PARIS, (ONE,)), ("Asia/Tokyo", (TWO,))],
            id="pages of two calendars",
        ),
        pytest.param([ONE, TWO], [("UTC", (ONE, TWO))], id="items alone: in the zone that is meant"),
        pytest.param(ONE, [("UTC", (ONE,))], id="one event"),
        pytest.param({"items": []}, [], id="a day without events"),
        pytest.param(b"\xef\xbb\xbf  []", [], id="a byte order mark"),
    ],
)
def test_forms(tmp_path: Path, content: object, expected: list[Any]) -> None:
    """Each form leads to the items, each with the zone in which its dates are read."""
    pages = read(saved(tmp_path, content)).pages((0.0, 1.0), "UTC", None)

    assert expected == list(pages.pages)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", ": is empty: save the calendar again", id="empty"),
        pytest.param(b" \n", ": is empty: save the calendar again", id="blank"),
        pytest.param(
            b"<!DOCTYPE html><title>PLANTED</title>", ": is a web page or XML, and no export", id="a web page"
        ),
        pytest.param(b"PK\x03\x04rest", ": is a zip archive: unpack it", id="Google's own archive"),
        pytest.param(b'{\n"items": [PLANTED]}', ":2:11: is neither JSON nor iCalendar here", id="no JSON"),
        pytest.param(b'{"items": [', ":1:12: is neither JSON nor iCalendar here", id="cut off"),
        pytest.param(b'{}\n"PLANTED\xff"', ":2: is not UTF-8 text", id="another encoding"),
        pytest.param(b"[" * 100_000, ": holds numbers or nested lists", id="nested without end"),
        pytest.param(
            {"summary": "PLANTED"}, ": the file has no list `items`: expected what events.list", id="no items"
        ),
        pytest.param({"items": {"a": ONE}}, ": the file has no list `items`", id="items that are no list"),
        pytest.param([{"items": []}, {"kind": 3}], ": page 2 has no list `items`", id="a page that is none"),
        pytest.param([1, 2], ": a list whose parts are no events", id="a list of something"),
        pytest.param("PLANTED", ": the file has no list `items`", id="a text"),
        pytest.param(
            {"error": {"message": "PLANTED"}}, ": the file holds an error that Google answered", id="an error"
        ),
    ],
)
def test_faults(tmp_path: Path, content: object, message: str) -> None:
    """What is wrong and where, in words that say what to do, and nothing of the file's text."""
    file = saved(tmp_path, content)

    with pytest.raises(UserError) as raised:
        read(file)

    assert str(raised.value).startswith(f"{file}{message}")
    assert "PLANTED" not in str(raised.value)
    assert raised.value.exit_code == 1


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there, or that is a folder, is named."""
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(UserError, match="cannot be read: ") as raised:
            read(path)
        assert raised.value.exit_code == 1


SERIES: dict[str, Any] = {
    "id": "daily",
    "summary": "PLANTED",
    "start": {"dateTime": "2026-10-20T09:00:00+02:00", "timeZone": PARIS},
    "end": {"dateTime": "2026-10-20T10:00:00+02:00", "timeZone": PARIS},
    "recurrence": ["EXDATE;TZID=Europe/Paris:20261022T090000", "RRULE:FREQ=DAILY"],
}
MOVED = {
    "id": "daily_20261024T070000Z",
    "recurringEventId": "daily",
    "originalStartTime": {"dateTime": "2026-10-24T09:00:00+02:00"},
    "start": {"dateTime": "2026-10-24T15:00:00+02:00"},
    "end": {"dateTime": "2026-10-24T16:00:00+02:00"},
}
CANCELLED = {
    "id": "daily_20261026T080000Z",
    "status": "cancelled",
    "recurringEventId": "daily",
    "originalStartTime": {"dateTime": "2026-10-26T08:00:00Z"},
}
OCTOBER = tuple(datetime(2026, 10, day, tzinfo=UTC).timestamp() for day in (21, 28))


def listed(folder: Path, *items: Any) -> tuple[list[Any], tuple[str, ...]]:
    """The items of a list over a week in October, and what cannot be read."""
    pages = read(saved(folder, {"timeZone": PARIS, "items": items})).pages((OCTOBER[0], OCTOBER[1]), PARIS, None)
    return [item for _, page in pages.pages for item in page], pages.unreadable


def test_series_are_spelled_out(tmp_path: Path) -> None:
    """A list that was made without singleEvents leads to the same meetings, moved and cancelled ones included."""
    items, unreadable = listed(tmp_path, SERIES, MOVED, CANCELLED, ONE)

    meetings = [item for item in items if item.get("status") != "cancelled" and item["id"] != "a"]
    assert [
        "2026-10-21T09:00:00+02:00",
        "2026-10-23T09:00:00+02:00",
        "2026-10-24T15:00:00+02:00",
        "2026-10-25T09:00:00+01:00",
        "2026-10-27T09:00:00+01:00",
    ] == sorted(item["start"]["dateTime"] for item in meetings)
    assert {"daily"} == {item["recurringEventId"] for item in meetings}
    assert len(items) == len({item["id"] for item in items})
    assert () == unreadable


def test_all_day_series(tmp_path: Path) -> None:
    """Dates stay dates."""
    weekly = {"id": "w", "start": {"date": "2026-10-01"}, "end": {"date": "2026-10-03"}}

    items, _ = listed(tmp_path, weekly | {"recurrence": ["RRULE:FREQ=WEEKLY"]})

    assert [("2026-10-22", "2026-10-24")] == [(item["start"]["date"], item["end"]["date"]) for item in items]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"recurrence": ["RRULE:FREQ=PLANTED"]}, "event daily: its RRULE cannot be read"),
        ({"recurrence": ["RRULE:FREQ=HOURLY"]}, "event daily: repeats more often than every day"),
        ({"recurrence": ["PLANTED"]}, "event daily: its times, or how it repeats, cannot be read"),
        ({"recurrence": ["RRULE:FREQ=DAILY\nSUMMARY:PLANTED"]}, "event daily: its times, or how it repeats"),
        ({"recurrence": 7}, "event daily: its times, or how it repeats"),
        ({"start": {"dateTime": "PLANTED"}}, "event daily: its times, or how it repeats"),
        ({"start": {}}, "event daily: its times, or how it repeats"),
        ({"start": 3}, "event daily: its times, or how it repeats"),
    ],
)
def test_series_that_cannot_be_read(tmp_path: Path, fields: dict[str, Any], words: str) -> None:
    """They are told, and the others are read."""
    items, unreadable = listed(tmp_path, SERIES | fields, ONE)

    (told,) = unreadable
    assert told.startswith(words)
    assert "PLANTED" not in told
    assert [ONE] == items
