"""Inserting, reading, changing and deleting events over HTTP."""

from __future__ import annotations

import time
from typing import Any

import pytest

from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.world import Sandbox

from .clients import AMY, READ_WRITE, Answer, GoogleClient, meeting

NOW = float(int(time.time()))
HOUR = 3600.0
PATH = "/calendars/primary/events"


async def write(google: GoogleClient, method: str, path: str, body: Any = None, **more: Any) -> Answer:
    """A request with a token that may write."""
    return await google.call(method, path, token=await google.token(scope=READ_WRITE), body=body, **more)


async def test_an_event_lives_over_http(google: GoogleClient) -> None:
    """Insert, get, patch and delete have the real API's verbs, statuses and shapes."""
    event = (await write(google, "POST", PATH, meeting(NOW, NOW + HOUR))).json
    path = f"{PATH}/{event['id']}"
    read = (await google.call("GET", path)).json
    moved = (await write(google, "PATCH", path, meeting(NOW + HOUR, NOW + 2 * HOUR))).json
    deleted = await write(google, "DELETE", path)
    again = await write(google, "DELETE", path)

    assert read == event
    assert (moved["sequence"], moved["created"]) == (1, event["created"])
    assert moved["etag"] != event["etag"]
    assert (deleted.status, deleted.text) == (204, "")
    assert (again.status, again.reason) == (410, "deleted")
    assert (await google.call("GET", path)).json["status"] == "cancelled"


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"start": {"dateTime": second(NOW)}},
        meeting(NOW, NOW - 1),
        meeting(NOW, NOW + 1, begin="x"),
        meeting(NOW, NOW + 1, status="maybe"),
        meeting(NOW, NOW + 1, eventType="fromGmail"),
        meeting(NOW, NOW + 1, attendees=[{"responseStatus": "accepted"}]),
        meeting(NOW, NOW + 1, attendees=[{"email": AMY, "responseStatus": "yes"}]),
        meeting(NOW, NOW + 1, recurrence=["RRULE:FREQ=DAILY"]),
        meeting(NOW, NOW + 1, id="UPPER"),
        {"start": {"dateTime": "2026-11-21T09:00:00"}, "end": {"dateTime": "2026-11-21T10:00:00"}},
        {"start": {"date": "2026-11-21"}, "end": {"date": "2026-11-21"}},
        {"start": {"date": "2026-11-21"}, "end": {"dateTime": second(NOW)}},
        {"start": {"date": "2026-11-21"}, "end": {"date": "2026-11-22"}, "eventType": "outOfOffice"},
        {"start": {"dateTime": second(NOW), "timeZone": "Mars"}, "end": {"dateTime": second(NOW + 1)}},
    ],
)
async def test_wrong_events_are_refused(google: GoogleClient, event: dict[str, Any]) -> None:
    """400 for what Google would not store."""
    answer = await write(google, "POST", PATH, event)

    assert answer.status == 400


async def test_an_id_is_used_once(google: GoogleClient) -> None:
    """The second insert with an id is 409 duplicate."""
    answers = [await write(google, "POST", PATH, meeting(NOW, NOW + 1, id="mine0")) for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 409]
    assert answers[1].reason == "duplicate"


async def test_if_match_is_honoured(google: GoogleClient) -> None:
    """Another etag is 412 conditionNotMet."""
    event = (await write(google, "POST", PATH, meeting(NOW, NOW + HOUR))).json
    answer = await write(google, "PATCH", f"{PATH}/{event['id']}", {"summary": "x"}, headers={"If-Match": '"0"'})

    assert (answer.status, answer.reason) == (412, "conditionNotMet")


async def test_patch_merges(sandbox: Sandbox, google: GoogleClient) -> None:
    """Null removes, objects merge, the type cannot change."""
    event = sandbox.google.insert(AMY, meeting(NOW, NOW + HOUR, extendedProperties={"private": {"a": "1"}}))
    path = f"{PATH}/{event['id']}"
    changes = {"summary": None, "extendedProperties": {"private": {"b": "2"}}}
    changed = (await write(google, "PATCH", path, changes)).json
    refused = await write(google, "PATCH", path, {"eventType": "focusTime"})

    assert "summary" not in changed
    assert changed["extendedProperties"]["private"] == {"a": "1", "b": "2"}
    assert refused.status == 400


async def test_readers_cannot_write(sandbox: Sandbox, google: GoogleClient) -> None:
    """The role on the calendar counts as well as the scope."""
    sandbox.google.share(AMY, AMY, "reader")
    answer = await write(google, "POST", PATH, meeting(NOW, NOW + HOUR))

    assert (answer.status, answer.reason) == (403, "requiredAccessLevel")


async def test_unknown_events_and_paths(google: GoogleClient) -> None:
    """An unknown event is JSON, an unknown path Google's HTML page."""
    event, path = await google.call("GET", PATH + "/none0"), await google.call("GET", "/calendar/primary")

    assert (event.status, event.reason) == (404, "notFound")
    assert (path.status, path.text[:9]) == (404, "<!DOCTYPE")


async def test_broken_bodies_are_refused(google: GoogleClient) -> None:
    """A list is no event."""
    answer = await write(google, "POST", PATH, [1])

    assert (answer.status, answer.reason) == (400, "parseError")


async def test_odd_items_can_be_put(sandbox: Sandbox, google: GoogleClient) -> None:
    """An item without times, or of a new type, passes through unchanged."""
    odd = {"id": "odd1", "status": "confirmed", "start": {"timeZone": "Europe/Madrid"}, "eventType": "new2027"}
    sandbox.google.put_raw(AMY, odd)
    items, _ = await google.sync()

    assert items == [odd]
