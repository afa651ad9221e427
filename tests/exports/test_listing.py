"""What events.list answered, in the forms in which it is saved, and what is none of them."""

from __future__ import annotations

import json
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
        pytest.param(
            [ONE, TWO | {"summary": "PLANTED", "recurrence": ["RRULE:FREQ=DAILY"]}],
            ": event 2 is a series, of which only the first meeting is told: list the events with singleEvents=true",
            id="a series",
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
