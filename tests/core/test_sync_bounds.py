"""What is said of an answer that cannot be believed, to the letter; and the bounds of what is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from calsyncd.core.model import Event
from calsyncd.core.rules import Reads
from calsyncd.core.sync import (
    BaselineNeededError,
    Bookmark,
    Changes,
    Fetch,
    MalformedAnswerError,
    fingerprint,
    next_baseline,
    parse_event,
    quota_user,
    tells,
)

NOW = 1_778_889_600.0
DAY = 86400.0
MARK = Bookmark("token-1", "print", "Europe/Berlin", NOW - 3600)
LAST = {"nextSyncToken": "token-2", "timeZone": "Europe/Berlin"}


def item(name: str, **more: Any) -> dict[str, Any]:
    """An hour of the day."""
    times = {"start": {"dateTime": "2026-05-16T10:00:00Z"}, "end": {"dateTime": "2026-05-16T11:00:00Z"}}
    return {"id": name, "status": "confirmed", **times, **more}


def fetch(bookmark: Bookmark | None = None) -> Fetch:
    """A baseline, or a delta."""
    return Fetch(NOW, 14 * DAY, "user", bookmark)


def circle(bookmark: Bookmark | None = None) -> Fetch:
    """One that was sent to page 2 already."""
    begun = fetch(bookmark)
    begun.feed({"nextPageToken": "2"})
    return begun


def long(pages: int, bookmark: Bookmark | None = None) -> Fetch:
    """One that has had so many pages."""
    begun = fetch(bookmark)
    for number in range(pages):
        begun.feed({"nextPageToken": f"p{number}"})
    return begun


@pytest.mark.parametrize(
    ("begun", "page", "error", "words"),
    [
        (fetch(), [], MalformedAnswerError, "the answer is not a JSON object"),
        (fetch(), {**LAST, "error": {}}, MalformedAnswerError, "a 200 holds an error"),
        (fetch(), {**LAST, "items": None}, MalformedAnswerError, "items is not a list"),
        (fetch(MARK), {}, BaselineNeededError, "the last page has no sync token"),
        (fetch(), {"nextSyncToken": ""}, MalformedAnswerError, "the last page has no sync token"),
        (fetch(MARK), {**LAST, "timeZone": "UTC"}, BaselineNeededError, "the calendar's time zone changed"),
        (fetch(), {"nextPageToken": 7}, MalformedAnswerError, "nextPageToken is not a text"),
        (circle(), {"nextPageToken": "2"}, MalformedAnswerError, "the pages run in a circle"),
        (long(19, MARK), {"nextPageToken": "x"}, BaselineNeededError, "the delta has too many pages"),
        (long(199), {"nextPageToken": "x"}, MalformedAnswerError, "the pages do not end"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(begun: Fetch, page: Any, error: type[Exception], words: str) -> None:
    """Never what it held."""
    with pytest.raises(error) as refused:
        begun.feed(page)

    assert str(refused.value) == words


def test_so_many_pages_and_no_more_are_read() -> None:
    """Twenty of a delta, two hundred of a baseline, the last among them."""
    assert long(19, MARK).feed(LAST) is not None
    assert long(199).feed(LAST) is not None


def test_changes_are_empty_where_nothing_came_and_nothing_went() -> None:
    """Either is a change."""
    none = Changes(False, (), frozenset(), (), MARK)  # noqa: FBT003 - a delta

    assert none.empty
    assert not replace(none, events=(Event("a", 0, 1),)).empty
    assert not replace(none, gone=frozenset({"a"})).empty


@pytest.mark.parametrize(
    ("updated", "gone_at", "there"),
    [
        ("2026-05-15T09:00:00.000Z", "2026-05-15T10:00:00.000Z", False),
        ("2026-05-15T10:00:00.000Z", "2026-05-15T10:00:00.000Z", False),
        ("2026-05-15T11:00:00.000Z", "2026-05-15T10:00:00.000Z", True),
        ("2026-05-15T11:00:00.000Z", 7, False),
        (7, "2026-05-15T10:00:00.000Z", False),
    ],
)
def test_an_instance_counts_if_it_is_newer_than_the_end_of_its_series(
    updated: Any, gone_at: Any, *, there: bool
) -> None:
    """By what Google says of both; where one of them says nothing, the series is gone."""
    series = {"id": "series", "status": "cancelled", "updated": gone_at}
    changes = fetch(MARK).feed({**LAST, "items": [series, item("one", recurringEventId="series", updated=updated)]})

    assert changes is not None
    assert there == bool(changes.events)
    assert "series" in changes.gone


def test_an_event_that_left_the_window_is_gone_and_may_come_back_only_later() -> None:
    """Of one id the newest word counts."""
    past = item("a", start={"date": "2020-01-01"}, end={"date": "2020-01-02"}, updated="2026-05-15T10:00:00.000Z")
    older = item("a", updated="2026-05-15T09:00:00.000Z")
    changes = fetch(MARK).feed({**LAST, "items": [past, older]})

    assert changes is not None
    assert (changes.events, changes.gone) == ((), frozenset({"a"}))


def test_who_may_see_no_more_than_free_and_busy_is_told_no_more() -> None:
    """By the page's word; a later page without one keeps it."""
    for role, told in (("freeBusyReader", False), ("reader", True)):
        begun = fetch()
        assert begun.feed({"nextPageToken": "2", "accessRole": role}) is None
        changes = begun.feed({**LAST, "items": [item("a")]})
        assert changes is not None
        assert [one.told for one in changes.events] == [told]


def test_a_bookmark_holds_for_what_was_read() -> None:
    """Other rules read more, and the token is thrown away; its tail says what was read."""
    with_titles = Reads(titles=("x",), guests=True)
    begun = Fetch(NOW, 14 * DAY, "user", None, with_titles)
    changes = begun.feed(LAST)

    assert changes is not None
    assert changes.bookmark == Bookmark("token-2", fingerprint("user", 14 * DAY, with_titles), "Europe/Berlin", NOW)
    assert fingerprint("user", 14 * DAY) != fingerprint("user", 14 * DAY, with_titles)
    assert tells(changes.bookmark.fingerprint, with_titles)
    assert tells(changes.bookmark.fingerprint, Reads())
    assert not tells(fingerprint("user", 14 * DAY), with_titles)


def test_what_is_stored_under_a_fingerprint_is_found_again_by_the_next_version() -> None:
    """It, the time of a baseline, and whom Google is to charge are the same in each process: they are written down."""
    assert fingerprint("user", 14 * DAY) == "c5ddabf149f56d2c-"
    assert quota_user("amy@example.com") == "2869db370ff7c68b3752d21544dc7398ba49fda9"
    assert round(next_baseline("amy primary", NOW), 3) == 1_778_922_597.116


@pytest.mark.parametrize(
    ("start", "end", "read"),
    [
        ("0001-01-08T00:00:00", "2026-05-16T11:00:00", True),
        ("0001-01-01T00:00:00", "2026-05-16T11:00:00", False),
        ("2026-05-16T11:00:00", "9999-12-31T23:00:00", False),
        ("0001-01-01T00:00:00", "9999-12-31T23:00:00", False),
        ("9999-12-31T23:00:00", "9999-12-31T23:30:00", False),
    ],
)
def test_years_that_can_be_written(start: str, end: str, *, read: bool) -> None:
    """Both the start and the end."""
    given = item("a", start={"dateTime": start + "Z"}, end={"dateTime": end + "Z"})
    if read:
        assert parse_event(given, "UTC").id == "a"
        return
    with pytest.raises(ValueError, match=r"^is beyond the years that can be written$"):
        parse_event(given, "UTC")


@pytest.mark.parametrize("field", ["recurringEventId", "updated", "eventType", "colorId", "eventLabelId", "summary"])
def test_a_field_of_another_type_than_promised_is_as_none(field: str) -> None:
    """None of them is believed."""
    reads = Reads(titles=("x",), colors=True, labels=True)

    assert parse_event(item("a"), "UTC", reads) == parse_event(item("a", **{field: 7}), "UTC", reads)


def test_an_event_without_a_kind_is_a_plain_one_without_a_stamp() -> None:
    """What no rule asks for is not read."""
    plain = parse_event(item("a"), "UTC")
    more = item("a", colorId="1", eventLabelId="2", summary="x", hangoutLink="https://x", attendees=[{"email": "b"}])

    start = plain.start
    assert plain == Event("a", start, start + 3600)
    assert (plain.kind, plain.updated, plain.mark, plain.series) == ("default", "", None, None)
    assert plain == parse_event(more, "UTC")
    told = parse_event(more, "UTC", Reads(titles=("x",), colors=True, labels=True, guests=True, conference=True))
    assert (told.color, told.label, told.titles, told.guests, told.conference) == ("1", "2", ("x",), 1, True)


@pytest.mark.parametrize("mark", ["ignore", "busy", "other", 7, None])
def test_only_the_words_of_a_mark_are_taken(mark: Any) -> None:
    """Whatever else a program may have written there."""
    event = parse_event(item("a", extendedProperties={"private": {"calsyncd": mark}}), "UTC")

    assert event.mark == (mark if mark in ("ignore", "busy") else None)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("soon", "has no start"),
        ({"dateTime": "2026-05-16T10:00:00", "timeZone": "Nowhere"}, "the zone of its start is not known"),
        ({"date": "soon"}, "its start is not a date"),
        ({"dateTime": "soon"}, "its start is not a time"),
        ({"timeZone": "UTC"}, "its start has no time"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_name(given: Any, words: str) -> None:
    """To the letter."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the words are compared
        parse_event(item("a", start=given), "UTC")

    assert str(refused.value) == words


def test_a_date_in_a_calendar_of_an_unknown_zone_says_whose() -> None:
    """The end's, where the start has a zone of its own."""
    with pytest.raises(ValueError, match=r"^the zone of its end is not known$"):
        parse_event(item("a", end={"date": "2026-05-17"}), "Nowhere")
