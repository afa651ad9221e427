"""From Google's pages to changes: what is asked, what is believed, and what is thrown away."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calsyncd.core.model import Event
from calsyncd.core.sync import (
    MAX_BASELINE_PAGES,
    MAX_DELTA_PAGES,
    BaselineNeededError,
    Bookmark,
    Changes,
    Fetch,
    MalformedAnswerError,
    Skipped,
    constant_parameters,
    fingerprint,
    next_baseline,
    parse_event,
    rfc3339,
)

# 2026-05-16T00:00:00Z
NOW = 1_778_889_600.0
DAY = 86400.0
HOUR = 3600.0
HORIZON = 14 * DAY
BERLIN = "Europe/Berlin"
MARK = Bookmark("token-1", "print", BERLIN, NOW - HOUR)

STANDUP: dict[str, Any] = {
    "id": "evt1",
    "status": "confirmed",
    "start": {"dateTime": "2026-05-16T09:00:00+02:00", "timeZone": BERLIN},
    "end": {"dateTime": "2026-05-16T09:30:00+02:00", "timeZone": BERLIN},
    "eventType": "default",
    "transparency": "opaque",
    "attendees": [{"self": True, "responseStatus": "accepted"}],
    "updated": "2026-05-15T00:00:00.000Z",
}
CANCELLED_INSTANCE = {
    "id": "evt1_20260516T070000Z",
    "status": "cancelled",
    "recurringEventId": "evt1",
    "originalStartTime": {"dateTime": "2026-05-16T09:00:00+02:00", "timeZone": BERLIN},
}


def page(*items: Any, following: str | None = None, **more: Any) -> dict[str, Any]:
    """One page of an answer; the last one unless it has a following."""
    ends = {"nextPageToken": following} if following is not None else {"nextSyncToken": "token-2"}
    return {"timeZone": BERLIN, "accessRole": "owner", "items": list(items), **ends, **more}


def item(name: str, start: str = "2026-05-16T10:00:00Z", end: str = "2026-05-16T11:00:00Z", **more: Any) -> Any:
    """An item of one hour."""
    return {"id": name, "status": "confirmed", "start": {"dateTime": start}, "end": {"dateTime": end}, **more}


def baseline() -> Fetch:
    """A fetch of the whole window."""
    return Fetch(NOW, HORIZON, "user")


def delta() -> Fetch:
    """A fetch of what changed."""
    return Fetch(NOW, HORIZON, "user", MARK)


def read(fetch: Fetch, *pages: Any) -> Changes:
    """The changes after the last of `pages`."""
    changes = None
    for each in pages:
        assert changes is None
        changes = fetch.feed(each)
    assert changes is not None
    return changes


# -- what is asked -----------------------------------------------------------------------------------------------------


def test_a_baseline_asks_for_the_window() -> None:
    """From a day ago to the horizon, expanded to instances."""
    query = baseline().request()

    assert ("2026-05-15T00:00:00Z", "2026-05-30T00:00:00Z") == (query["timeMin"], query["timeMax"])
    assert ("true", "2500", "1", "user") == (
        query["singleEvents"],
        query["maxResults"],
        query["maxAttendees"],
        query["quotaUser"],
    )
    assert "syncToken" not in query


def test_a_delta_asks_by_its_token_and_never_for_a_window() -> None:
    """A token excludes timeMin and timeMax; all else is as in the baseline."""
    query = delta().request()

    assert "token-1" == query.pop("syncToken")
    assert constant_parameters("user") == query


@pytest.mark.parametrize("fetch", [baseline(), delta()])
def test_no_request_ever_holds_what_a_token_excludes(fetch: Fetch) -> None:
    """With orderBy there would be no token at all."""
    fetch.feed(page(following="p2"))
    excluded = {"orderBy", "q", "iCalUID", "updatedMin", "privateExtendedProperty", "sharedExtendedProperty"}

    assert set() == excluded & set(fetch.request())
    assert "p2" == fetch.request()["pageToken"]


def test_the_pages_of_a_fetch_differ_by_their_page_token_only() -> None:
    """All other parameters stay the same."""
    fetch = baseline()
    first = fetch.request()
    fetch.feed(page(following="p2"))

    assert {**first, "pageToken": "p2"} == fetch.request()


def test_the_fields_hold_what_the_envelope_needs_and_no_title() -> None:
    """Titles are not even asked for."""
    fields = constant_parameters("amy")["fields"]

    assert {"nextPageToken", "nextSyncToken", "timeZone"} <= set(fields.split(","))
    assert not {"summary", "description", "location"} & set(re.split(r"[^A-Za-z]", fields))


# -- a baseline --------------------------------------------------------------------------------------------------------


def test_a_baseline_collects_all_pages_and_counts_at_the_last() -> None:
    """A page may be empty and still have a successor; `items` may be missing."""
    fetch = baseline()
    empty = {"timeZone": BERLIN, "nextPageToken": "p3"}

    assert fetch.feed(page(item("a"), following="p2")) is None
    assert fetch.feed(empty) is None
    changes = fetch.feed(page(item("b")))

    assert changes is not None
    assert (True, ["a", "b"]) == (changes.baseline, [event.id for event in changes.events])
    assert Bookmark("token-2", fingerprint("user", HORIZON), BERLIN, NOW) == changes.bookmark


def test_a_baseline_of_an_empty_calendar_is_empty() -> None:
    """It is the caller who does not believe it at once."""
    changes = read(baseline(), {"timeZone": BERLIN, "nextSyncToken": "t"})

    assert (True, (), frozenset()) == (changes.empty, changes.events, changes.gone)


@pytest.mark.parametrize(
    ("start", "end", "inside"),
    [
        ("2026-05-14T23:00:00Z", "2026-05-15T00:00:00Z", False),
        ("2026-05-14T23:00:00Z", "2026-05-15T00:00:01Z", True),
        ("2026-05-29T23:59:59Z", "2026-05-30T01:00:00Z", True),
        ("2026-05-30T00:00:00Z", "2026-05-30T01:00:00Z", False),
        ("2026-01-01T00:00:00Z", "2026-12-31T00:00:00Z", True),
        ("2099-01-01T00:00:00Z", "2099-01-02T00:00:00Z", False),
    ],
)
def test_the_window_filters_baselines_and_deltas(start: str, end: str, *, inside: bool) -> None:
    """Whether Google's window sticks to the token is not established: ours holds, and what left it is gone."""
    whole = read(baseline(), page(item("a", start, end)))
    changed = read(delta(), page(item("a", start, end)))

    assert ([inside], [inside]) == ([bool(whole.events)], [bool(changed.events)])
    assert (frozenset(), frozenset() if inside else frozenset({"a"})) == (whole.gone, changed.gone)


# -- a delta -----------------------------------------------------------------------------------------------------------


def test_a_delta_says_what_changed_and_what_is_gone() -> None:
    """And keeps when the baseline was taken."""
    changes = read(delta(), page(STANDUP, CANCELLED_INSTANCE))

    assert not changes.baseline
    assert (["evt1"], frozenset({"evt1_20260516T070000Z"})) == ([event.id for event in changes.events], changes.gone)
    assert Bookmark("token-2", fingerprint("user", HORIZON), BERLIN, MARK.baseline_at) == changes.bookmark


def test_a_delta_without_changes_is_empty() -> None:
    """What was skipped is no change."""
    changes = read(delta(), page({"id": "odd", "status": "confirmed"}))

    assert changes.empty
    assert (Skipped("odd", "has no start"),) == changes.skipped


def test_a_cancelled_item_needs_nothing_but_its_id() -> None:
    """Status is looked at before start."""
    assert {"gone"} == read(delta(), page({"id": "gone", "status": "cancelled"})).gone


def test_a_cancelled_series_takes_the_instances_of_earlier_pages_with_it() -> None:
    """The series was changed, then deleted, while we read: only its master may be named."""
    instance = item("s_1", recurringEventId="s", updated="2026-05-15T10:00:00.000Z")
    single = item("other")
    master = {"id": "s", "status": "cancelled", "updated": "2026-05-15T10:05:00.000Z"}

    changes = read(delta(), page(instance, single, following="p2"), page(master))

    assert (["other"], frozenset({"s"})) == ([event.id for event in changes.events], changes.gone)


def test_a_series_that_is_back_keeps_its_instances() -> None:
    """Deleted and restored: the instances are newer than the end of their series."""
    instance = item("s_1", recurringEventId="s", updated="2026-05-15T10:05:00.000Z")
    master = {"id": "s", "status": "cancelled", "updated": "2026-05-15T10:00:00.000Z"}

    changes = read(delta(), page(master, instance))

    assert ["s_1"] == [event.id for event in changes.events]


OLD, NEW = "2026-05-15T00:00:00.000Z", "2026-05-15T00:00:01.000Z"


@pytest.mark.parametrize("stamps", [(OLD, NEW), (NEW, OLD), (NEW, NEW)])
def test_of_one_id_on_two_pages_the_newest_wins(stamps: tuple[str, str]) -> None:
    """Whatever their order; of two alike the later read one."""
    first = item("a", end="2026-05-16T11:00:00Z", updated=stamps[0])
    second = item("a", end="2026-05-16T12:00:00Z", updated=stamps[1])

    changes = read(delta(), page(first, following="p2"), page(second))

    hours = 1 if stamps[0] > stamps[1] else 2
    assert [hours * HOUR] == [event.end - event.start for event in changes.events]


@pytest.mark.parametrize(
    ("first", "second", "there"),
    [
        (item("a", updated=OLD), {"id": "a", "status": "cancelled", "updated": NEW}, False),
        (item("a", updated=NEW), {"id": "a", "status": "cancelled", "updated": OLD}, True),
        ({"id": "a", "status": "cancelled", "updated": OLD}, item("a", updated=NEW), True),
        ({"id": "a", "status": "cancelled", "updated": NEW}, item("a", updated=OLD), False),
        (item("a", updated=OLD), {"id": "a", "status": "cancelled"}, False),
        ({"id": "a", "status": "cancelled", "updated": NEW}, item("a"), True),
        (item("a"), {"id": "a", "status": "cancelled"}, False),
        ({"id": "a", "status": "cancelled"}, item("a"), True),
    ],
)
def test_of_one_id_there_and_cancelled_the_newest_wins(first: Any, second: Any, *, there: bool) -> None:
    """Where no time of change is told, the later read one."""
    changes = read(delta(), page(first, following="p2"), page(second))

    assert (there, not there) == (bool(changes.events), "a" in changes.gone)


# -- what must not be believed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fetch", [baseline, delta])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="nothing"),
        pytest.param([], id="a list"),
        pytest.param("<html>", id="HTML"),
        pytest.param({"error": {"code": 500}}, id="a 200 with an error inside"),
        pytest.param({**page(item("a")), "error": {}}, id="items and an error"),
        pytest.param({**page(), "items": {}}, id="items that are no list"),
        pytest.param({**page(), "items": None}, id="null items"),
        pytest.param({**page(), "nextPageToken": 7}, id="a page token that is no text"),
        pytest.param({**page(), "nextPageToken": ""}, id="an empty page token"),
    ],
)
def test_a_malformed_page_spoils_the_fetch(fetch: Any, answer: Any) -> None:
    """Unknown is not free: nothing of it counts."""
    with pytest.raises(MalformedAnswerError):
        fetch().feed(answer)


@pytest.mark.parametrize("token", [None, "", 7])
def test_a_last_page_without_a_token_ends_a_delta_in_a_baseline_and_spoils_a_baseline(token: Any) -> None:
    """Without a token nothing could follow."""
    with pytest.raises(BaselineNeededError):
        delta().feed({**page(STANDUP), "nextSyncToken": token})
    with pytest.raises(MalformedAnswerError):
        baseline().feed({**page(STANDUP), "nextSyncToken": token})


@pytest.mark.parametrize("fetch", [baseline(), delta()])
@pytest.mark.parametrize("tokens", [("p2", "p2"), ("p2", "p3", "p2")])
def test_pages_that_run_in_a_circle_spoil_the_fetch(fetch: Fetch, tokens: tuple[str, ...]) -> None:
    """A page token that came before never ends."""
    fresh = Fetch(fetch.now, fetch.horizon, fetch.quota_user, fetch.bookmark)

    for token in tokens[:-1]:
        fresh.feed(page(following=token))
    with pytest.raises(MalformedAnswerError, match="circle"):
        fresh.feed(page(following=tokens[-1]))


def test_a_delta_of_too_many_pages_ends_in_a_baseline() -> None:
    """A delta so long is dearer than the window."""
    fetch = delta()
    for number in range(1, MAX_DELTA_PAGES):
        fetch.feed(page(following=f"p{number}"))

    with pytest.raises(BaselineNeededError, match="pages"):
        fetch.feed(page(following="one more"))


def test_a_baseline_that_does_not_end_is_malformed() -> None:
    """But hundreds of pages are not."""
    fetch = baseline()
    for number in range(1, MAX_BASELINE_PAGES):
        fetch.feed(page(following=f"p{number}"))

    with pytest.raises(MalformedAnswerError, match="do not end"):
        fetch.feed(page(following="one more"))


def test_a_calendar_that_changed_its_zone_needs_a_baseline() -> None:
    """Its all-day events are elsewhere now, and no delta names them."""
    with pytest.raises(BaselineNeededError, match="zone"):
        delta().feed(page(timeZone="Europe/Lisbon"))


def test_a_delta_that_tells_no_zone_keeps_the_one_that_is_known() -> None:
    """Fields may be missing."""
    changes = read(delta(), {"items": [], "nextSyncToken": "t"})

    assert BERLIN == changes.bookmark.time_zone


def test_a_page_that_tells_no_zone_keeps_the_one_of_the_page_before() -> None:
    """An all-day event on the second page is read as on the first."""
    fetch = baseline()
    fetch.feed(page(following="p2"))

    changes = fetch.feed(
        {"items": [{"id": "a", "start": {"date": "2026-05-17"}, "end": {"date": "2026-05-18"}}], "nextSyncToken": "t"}
    )

    assert changes is not None
    assert ["2026-05-16T22:00:00Z"] == [rfc3339(event.start) for event in changes.events]


@pytest.mark.parametrize("broken", [None, 7, "x", [], {}, {"id": None}, {"id": 7}, {"id": ""}])
def test_an_item_without_an_id_is_skipped_and_the_page_counts(broken: Any) -> None:
    """One item's trouble is that item's."""
    changes = read(baseline(), page(broken, item("a")))

    assert (["a"], (Skipped("", "has no id"),)) == ([event.id for event in changes.events], changes.skipped)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({}, "has no start"),
        ({"start": None, "end": None}, "has no start"),
        ({"start": {"dateTime": "2026-05-16T10:00:00Z"}}, "has no end"),
        ({"start": {"timeZone": "Europe/Madrid"}, "end": {"timeZone": "Europe/Madrid"}}, "its start has no time"),
        ({"start": {"dateTime": 7}, "end": {}}, "its start has no time"),
        ({"start": {"dateTime": "soon"}, "end": {}}, "its start is not a time"),
        ({"start": {"dateTime": "2026-05-16T10:00:60Z"}, "end": {}}, "its start is not a time"),
        ({"start": {"dateTime": "2026-02-30T10:00:00Z"}, "end": {}}, "its start is not a time"),
        ({"start": {"date": "2026-02-30"}, "end": {"date": "2026-03-01"}}, "its start is not a date"),
        (
            {"start": {"dateTime": "2026-05-16T10:00:00", "timeZone": "Mars/Phobos"}, "end": {}},
            "the zone of its start is not known",
        ),
        (
            {"start": {"dateTime": "2026-05-16T10:00:00", "timeZone": "../../etc/passwd"}, "end": {}},
            "the zone of its start is not known",
        ),
        (
            {"start": {"dateTime": "2026-05-16T10:00:00", "timeZone": "Europe"}, "end": {}},
            "the zone of its start is not known",
        ),
    ],
)
def test_an_item_that_cannot_be_read_is_skipped_with_a_reason_that_quotes_nothing(
    broken: dict[str, Any], why: str
) -> None:
    """Set aside by id, loudly; all others count."""
    changes = read(baseline(), page({"id": "odd", **broken}, item("a")))

    assert (["a"], (Skipped("odd", why),)) == ([event.id for event in changes.events], changes.skipped)


def test_a_broken_item_in_a_delta_changes_nothing() -> None:
    """What was known of it stays in force."""
    changes = read(delta(), page({"id": "evt1", "status": "confirmed", "start": {}}))

    assert ((), frozenset()) == (changes.events, changes.gone)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
times = st.fixed_dictionaries(
    {},
    optional={
        "date": st.dates().map(str) | json_values,
        "dateTime": st.datetimes().map(lambda at: at.isoformat())
        | st.datetimes().map(lambda at: f"{at}Z")
        | json_values,
        "timeZone": st.sampled_from([BERLIN, "UTC", "Nowhere", ""]) | json_values,
    },
)
items = json_values | st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b"]) | json_values},
    optional={
        "status": st.sampled_from(["confirmed", "cancelled"]) | json_values,
        "start": times | json_values,
        "end": times | json_values,
        "eventType": json_values,
        "transparency": json_values,
        "recurringEventId": json_values,
        "updated": json_values,
        "attendees": json_values | st.lists(st.fixed_dictionaries({"self": json_values}), max_size=2),
    },
)


@settings(deadline=None, max_examples=200)
@given(drawn=st.lists(items, max_size=5), zone=st.sampled_from([BERLIN, "Nowhere", None, 7]), whole=st.booleans())
def test_whatever_the_items_are_the_page_is_read(drawn: list[Any], zone: Any, *, whole: bool) -> None:
    """No item can break the page that it stands on, and no id counts twice."""
    fetch = baseline() if whole else Fetch(NOW, HORIZON, "user", Bookmark("t", "p", "", NOW))

    try:
        changes = fetch.feed({**page(*drawn), "timeZone": zone})
    except BaselineNeededError:
        assert not whole
        return

    assert changes is not None
    ids = [event.id for event in changes.events]
    assert len(ids) == len(set(ids))
    assert not set(ids) & changes.gone


# -- items -------------------------------------------------------------------------------------------------------------


def test_an_item_is_read() -> None:
    """Everything that a decision may need."""
    expected = Event(
        id="evt1",
        start=NOW + 7 * HOUR,
        end=NOW + 7.5 * HOUR,
        series="series",
        all_day=False,
        kind="focusTime",
        transparent=True,
        response="tentative",
        updated="2026-05-15T00:00:00.000Z",
    )
    attendees = [{"self": True, "responseStatus": "tentative"}]

    event = parse_event(
        {
            **STANDUP,
            "recurringEventId": "series",
            "eventType": "focusTime",
            "transparency": "transparent",
            "attendees": attendees,
        },
        BERLIN,
    )

    assert expected == event


@pytest.mark.parametrize(
    ("sample", "start", "hours", "kind", "response"),
    [
        pytest.param(STANDUP, "2026-05-16T07:00:00Z", 0.5, "default", "accepted", id="default, self attending"),
        pytest.param(
            {
                "id": "birthday-series_20260819",
                "eventType": "birthday",
                "recurringEventId": "birthday-series",
                "start": {"date": "2026-08-19"},
                "end": {"date": "2026-08-20"},
            },
            "2026-08-18T22:00:00Z",
            24,
            "birthday",
            None,
            id="birthday",
        ),
        pytest.param(
            {
                "id": "event",
                "eventType": "fromGmail",
                "endTimeUnspecified": True,
                "start": {"dateTime": "2026-09-04T12:00:00Z"},
                "end": {"dateTime": "2026-09-04T13:00:00Z"},
            },
            "2026-09-04T12:00:00Z",
            1,
            "fromGmail",
            None,
            id="end unspecified",
        ),
        pytest.param(
            {
                "id": "focus1",
                "start": {"dateTime": "2026-05-16T14:00:00+02:00", "timeZone": BERLIN},
                "end": {"dateTime": "2026-05-16T16:00:00+02:00", "timeZone": BERLIN},
                "eventType": "focusTime",
                "focusTimeProperties": {"chatStatus": "doNotDisturb"},
            },
            "2026-05-16T12:00:00Z",
            2,
            "focusTime",
            None,
            id="focus time",
        ),
        pytest.param(
            {
                "id": "evt-from-gmail",
                "start": {"dateTime": "2026-05-01T08:00:00Z"},
                "end": {"dateTime": "2026-05-01T11:00:00Z"},
                "eventType": "fromGmail",
                "locked": True,
            },
            "2026-05-01T08:00:00Z",
            3,
            "fromGmail",
            None,
            id="from Gmail",
        ),
        pytest.param(
            {
                "id": "series_20260917T133000Z",
                "recurringEventId": "series",
                "originalStartTime": {"dateTime": "2026-09-17T09:30:00-04:00"},
                "start": {"dateTime": "2026-09-17T10:00:00-04:00"},
                "end": {"dateTime": "2026-09-17T10:30:00-04:00"},
            },
            "2026-09-17T14:00:00Z",
            0.5,
            "default",
            None,
            id="moved instance",
        ),
        pytest.param(
            {
                "id": "weekly_20260713T170000Z",
                "recurringEventId": "weekly-declined",
                "start": {"dateTime": "2026-07-13T10:00:00-07:00"},
                "end": {"dateTime": "2026-07-13T10:30:00-07:00"},
                "attendees": [{"self": True, "responseStatus": "declined"}],
            },
            "2026-07-13T17:00:00Z",
            0.5,
            "default",
            "declined",
            id="declined instance",
        ),
        pytest.param(
            {
                "id": "future1",
                "start": {"dateTime": "2026-05-16T09:00:00+02:00", "timeZone": BERLIN},
                "end": {"dateTime": "2026-05-16T10:00:00+02:00", "timeZone": BERLIN},
                "eventType": "newGoogleType2027",
            },
            "2026-05-16T07:00:00Z",
            1,
            "newGoogleType2027",
            None,
            id="unknown type",
        ),
    ],
)
def test_every_sample_is_read(
    sample: dict[str, Any], start: str, hours: float, kind: str, response: str | None
) -> None:
    """Items as they were seen on the real service."""
    event = parse_event(sample, BERLIN)

    assert (start, hours * HOUR) == (rfc3339(event.start), event.end - event.start)
    assert (kind, response) == (event.kind, event.response)


@pytest.mark.parametrize(
    ("zone", "first", "last", "start", "hours"),
    [
        ("Europe/Paris", "2026-03-29", "2026-03-30", "2026-03-28T23:00:00Z", 23),
        ("Europe/Paris", "2026-10-25", "2026-10-26", "2026-10-24T22:00:00Z", 25),
        ("Europe/Paris", "2026-10-24", "2026-10-27", "2026-10-23T22:00:00Z", 73),
        ("America/New_York", "2026-03-08", "2026-03-09", "2026-03-08T05:00:00Z", 23),
        ("America/New_York", "2026-11-01", "2026-11-02", "2026-11-01T04:00:00Z", 25),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-06", "2026-04-04T13:00:00Z", 24.5),
        ("Africa/Cairo", "2026-04-24", "2026-04-25", "2026-04-23T22:00:00Z", 23),
        ("Pacific/Apia", "2026-05-16", "2026-05-17", "2026-05-15T11:00:00Z", 24),
        ("UTC", "2026-05-16", "2026-05-17", "2026-05-16T00:00:00Z", 24),
    ],
)
def test_an_all_day_event_floats_in_the_calendars_zone(
    zone: str, first: str, last: str, start: str, hours: float
) -> None:
    """A day may have 23 hours or 25, and may begin at one o'clock."""
    event = parse_event({"id": "a", "start": {"date": first}, "end": {"date": last}}, zone)

    assert (True, start, hours * HOUR) == (event.all_day, rfc3339(event.start), event.end - event.start)


@pytest.mark.parametrize(
    ("stamp", "own_zone", "expected"),
    [
        ("2026-05-16T09:00:00Z", None, "2026-05-16T09:00:00Z"),
        ("2026-05-16T09:00:00.000Z", None, "2026-05-16T09:00:00Z"),
        ("2026-05-16T09:00:00-07:00", "Europe/Berlin", "2026-05-16T16:00:00Z"),
        ("2026-05-16T09:00:00+05:45", "Mars/Phobos", "2026-05-16T03:15:00Z"),
        ("2026-05-16T09:00:00", "America/New_York", "2026-05-16T13:00:00Z"),
        ("2026-05-16T09:00:00", None, "2026-05-16T07:00:00Z"),
        ("2026-05-16T09:00:00", "", "2026-05-16T07:00:00Z"),
        ("2026-03-29T02:30:00", BERLIN, "2026-03-29T01:30:00Z"),
        ("2026-10-25T02:30:00", BERLIN, "2026-10-25T00:30:00Z"),
    ],
)
def test_a_time_is_read_by_its_offset_then_its_zone_then_the_calendars(
    stamp: str, own_zone: str | None, expected: str
) -> None:
    """An hour that the clocks skip or repeat is one instant all the same."""
    start = {"dateTime": stamp} if own_zone is None else {"dateTime": stamp, "timeZone": own_zone}

    event = parse_event({"id": "a", "start": start, "end": {"dateTime": "2026-12-31T00:00:00Z"}}, BERLIN)

    assert expected == rfc3339(event.start)


def test_start_and_end_may_have_different_zones() -> None:
    """A flight."""
    start = {"dateTime": "2026-05-16T10:00:00", "timeZone": "Europe/Paris"}
    end = {"dateTime": "2026-05-16T12:00:00", "timeZone": "America/New_York"}

    event = parse_event({"id": "a", "start": start, "end": end}, "UTC")

    assert 8 * HOUR == event.end - event.start


def test_a_meeting_over_the_change_of_clocks_has_its_true_length() -> None:
    """Three hours pass between one and three o'clock when the clocks go back."""
    start = {"dateTime": "2026-10-25T01:00:00", "timeZone": BERLIN}
    end = {"dateTime": "2026-10-25T03:00:00", "timeZone": BERLIN}

    event = parse_event({"id": "a", "start": start, "end": end}, BERLIN)

    assert 3 * HOUR == event.end - event.start


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
@pytest.mark.parametrize("dates", [("0001-01-01", "0001-01-02"), ("2026-05-16", "9999-12-31")])
def test_the_ends_of_the_calendar_break_nothing(zone: str, dates: tuple[str, str]) -> None:
    """Year 1 and year 9999 are read, or skipped."""
    far = {"id": "far", "start": {"date": dates[0]}, "end": {"date": dates[1]}}
    stamped = {
        "id": "far too",
        "start": {"dateTime": f"{dates[0]}T00:00:00+14:00"},
        "end": {"dateTime": f"{dates[1]}T23:59:59-12:00"},
    }

    changes = read(baseline(), page(far, stamped, item("a"), timeZone=zone))

    assert "a" in [event.id for event in changes.events]


# -- tokens and times --------------------------------------------------------------------------------------------------


def test_a_fingerprint_changes_with_what_a_token_depends_on() -> None:
    """Then the stored token is thrown away."""
    prints = {fingerprint("user", HORIZON), fingerprint("other", HORIZON), fingerprint("user", HORIZON + 1)}

    assert 3 == len(prints)
    assert fingerprint("user", HORIZON) == fingerprint("user", HORIZON)


@settings(deadline=None, max_examples=100)
@given(calendar=st.text(max_size=20), at=st.floats(NOW, NOW + 400 * DAY))
def test_the_next_baseline_is_within_a_day_at_the_calendars_own_time(calendar: str, at: float) -> None:
    """Later than the last, and always at the same time of day."""
    following = next_baseline(calendar, at)

    assert 0 < following - at <= DAY
    assert following + DAY == pytest.approx(next_baseline(calendar, following + 1))


def test_baselines_are_spread_over_the_day() -> None:
    """Not everybody at midnight."""
    hours = {int(next_baseline(f"agent{number}@example.com", NOW) % DAY // HOUR) for number in range(500)}

    assert 24 == len(hours)
