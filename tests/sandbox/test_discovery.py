"""The judge itself: it knows the real API and refuses what is not in it."""

from __future__ import annotations

from typing import Any

import pytest

from calsyncd.sandbox.google_calendars import LISTED
from calsyncd.sandbox.google_fields import CALENDARS, CHANNEL, EVENT, EVENTS, Tree
from calsyncd.sandbox.google_list import LIST
from calsyncd.sandbox.google_tokens import LIST_SCOPES, READ_SCOPES, WRITE_SCOPES

from .discovery import check_answer, check_request, document

EVENTS_PATH = "/calendar/v3/calendars/primary/events"


def test_a_known_request_has_its_method_id() -> None:
    """A right request is named as the API names it."""
    name = check_request("GET", EVENTS_PATH, [("singleEvents", "true"), ("quotaUser", "a")])

    assert name == "calendar.events.list"


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("GET", EVENTS_PATH, [("single_events", "true")], None),
        ("GET", EVENTS_PATH, [("singleEvents", "yes")], None),
        ("GET", EVENTS_PATH, [("maxResults", "0")], None),
        ("GET", EVENTS_PATH, [("timeMin", "2026-01-01T00:00:00")], None),
        ("GET", EVENTS_PATH, [("eventTypes", "meeting")], None),
        ("GET", EVENTS_PATH, [("maxResults", "1"), ("maxResults", "2")], None),
        ("GET", EVENTS_PATH, [], {}),
        ("GET", "/calendar/v3/calendar/primary", [], None),
        ("POST", EVENTS_PATH + "/watch", [], None),
        ("POST", EVENTS_PATH + "/watch", [], {"id": "a", "callback": "https://x"}),
        ("POST", EVENTS_PATH + "/watch", [], {"id": "a", "params": {"ttl": 60}}),
    ],
)
def test_a_wrong_request_is_refused(method: str, path: str, query: list[tuple[str, str]], body: Any) -> None:
    """Unknown names, wrong types and wrong paths do not pass."""
    with pytest.raises(AssertionError):
        check_request(method, path, query, body)


def test_a_wrong_answer_is_refused() -> None:
    """Unknown properties and wrong types do not pass."""
    with pytest.raises(AssertionError):
        check_answer("calendar.events.list", {"items": [{"id": "a", "begin": {}}]})
    with pytest.raises(AssertionError):
        check_answer("calendar.events.watch", {"expiration": 1426325213000})


@pytest.mark.parametrize(
    ("name", "tree"), [("Event", EVENT), ("Events", EVENTS), ("Channel", CHANNEL), ("CalendarList", CALENDARS)]
)
def test_the_fields_mask_knows_the_real_names(name: str, tree: Tree) -> None:
    """The names that a mask may hold are those of the API's schemas, at every level that is spelt out."""
    _compare(document()["schemas"][name], tree)


def _compare(schema: dict[str, Any], tree: Tree) -> None:
    properties = schema["properties"]
    assert set(properties) == set(tree)
    for name, below in tree.items():
        part = properties[name].get("items", properties[name])
        part = document()["schemas"][part["$ref"]] if "$ref" in part else part
        if below is not None:
            _compare(part, below)


def test_the_lists_parameters_are_the_real_ones() -> None:
    """`events.list` takes exactly the API's query parameters."""
    parameters = document()["resources"]["events"]["methods"]["list"]["parameters"]

    assert set(parameters) - {"calendarId"} == LIST
    assert set(document()["resources"]["calendarList"]["methods"]["list"]["parameters"]) == LISTED


def test_the_scopes_are_the_real_ones() -> None:
    """Reading and writing are allowed by exactly the API's scopes."""
    found = document()["resources"]["events"]["methods"]

    assert set(found["list"]["scopes"]) == READ_SCOPES
    assert set(found["insert"]["scopes"]) == WRITE_SCOPES
    assert set(document()["resources"]["calendarList"]["methods"]["list"]["scopes"]) == LIST_SCOPES
