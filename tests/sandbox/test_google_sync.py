"""Sync tokens: what a delta holds, and what ends a token."""

from __future__ import annotations

import time

import pytest

from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.world import Sandbox

from .clients import AMY, GoogleClient, meeting

NOW = float(int(time.time()))
HOUR = 3600.0


async def test_a_delta_holds_what_changed(sandbox: Sandbox, google: GoogleClient) -> None:
    """New, changed and cancelled events, each once; of a cancelled one the id and status are all that is sure."""
    kept, gone, changed = (sandbox.google.insert(AMY, meeting(NOW, NOW + HOUR))["id"] for _ in range(3))
    _, token = await google.sync()
    sandbox.google.delete(AMY, gone)
    sandbox.google.patch(AMY, changed, {"summary": "Other"})
    sandbox.google.patch(AMY, changed, {"summary": "Another"})
    new = sandbox.google.insert(AMY, meeting(NOW, NOW + HOUR))["id"]
    items = await google.delta(token)

    assert [item["id"] for item in items] == [gone, changed, new]
    assert items[0] == {"kind": "calendar#event", "id": gone, "status": "cancelled"}
    assert items[1]["summary"] == "Another"
    assert kept not in {item["id"] for item in items}


async def test_an_empty_delta_brings_a_token(google: GoogleClient) -> None:
    """Nothing changed: no items, and a token that works."""
    _, token = await google.sync()
    page = (await google.events({"singleEvents": "true", "syncToken": token})).json

    assert "items" not in page
    assert await google.delta(page["nextSyncToken"]) == []


async def test_what_changes_between_pages_is_in_the_next_delta(sandbox: Sandbox, google: GoogleClient) -> None:
    """The token on the last page is as old as the first page."""
    events = [sandbox.google.insert(AMY, meeting(NOW + i, NOW + HOUR)) for i in range(3)]
    query = {"singleEvents": "true", "maxResults": "2"}
    first = (await google.events(query)).json
    sandbox.google.patch(AMY, events[0]["id"], {"summary": "Changed"})
    last = (await google.events({**query, "pageToken": first["nextPageToken"]})).json
    delta = (await google.events({**query, "syncToken": last["nextSyncToken"]})).json

    assert [item["id"] for item in delta["items"]] == [events[0]["id"]]


async def test_a_decline_is_not_a_cancellation(sandbox: Sandbox, google: GoogleClient) -> None:
    """The event stays confirmed, with the own entry declined."""
    event = sandbox.google.insert(AMY, meeting(NOW, NOW + HOUR, attendees=[{"email": AMY}]))
    _, token = await google.sync()
    sandbox.google.respond(AMY, event["id"], "declined")
    [item] = await google.delta(token)

    assert item["status"] == "confirmed"
    assert item["attendees"] == [{"email": AMY, "responseStatus": "declined", "self": True}]


@pytest.mark.parametrize(("sticks", "found"), [(False, 2), (True, 1)])
async def test_the_window_may_or_may_not_stick(
    sandbox: Sandbox, google: GoogleClient, *, sticks: bool, found: int
) -> None:
    """By default a delta reaches beyond the baseline's window."""
    sandbox.google.lists.window_sticks = sticks
    window = {"timeMin": second(NOW), "timeMax": second(NOW + 24 * HOUR)}
    _, token = await google.sync({"singleEvents": "true", **window})
    sandbox.google.insert(AMY, meeting(NOW + HOUR, NOW + 2 * HOUR))
    sandbox.google.insert(AMY, meeting(NOW + 1000 * HOUR, NOW + 1001 * HOUR))

    assert len(await google.delta(token)) == found


async def test_a_sticking_window_names_what_left_it(sandbox: Sandbox, google: GoogleClient) -> None:
    """An event moved out of the window is in the delta with its new times."""
    sandbox.google.lists.window_sticks = True
    event = sandbox.google.insert(AMY, meeting(NOW, NOW + HOUR))
    window = {"timeMin": second(NOW), "timeMax": second(NOW + 24 * HOUR)}
    _, token = await google.sync({"singleEvents": "true", **window})
    sandbox.google.patch(AMY, event["id"], meeting(NOW + 90 * HOUR, NOW + 91 * HOUR))

    assert [item["start"]["dateTime"] for item in await google.delta(token)] == [second(NOW + 90 * HOUR)]


@pytest.mark.parametrize(
    "extra",
    [
        {"timeMin": second(NOW)},
        {"timeMax": second(NOW)},
        {"updatedMin": second(NOW)},
        {"orderBy": "updated"},
        {"q": "x"},
        {"iCalUID": "x"},
        {"privateExtendedProperty": "a=b"},
        {"sharedExtendedProperty": "a=b"},
        {"showDeleted": "false"},
    ],
)
async def test_incompatible_parameters_are_refused(google: GoogleClient, extra: dict[str, str]) -> None:
    """A sync token with any of them is 400."""
    _, token = await google.sync()
    answer = await google.events({"singleEvents": "true", "syncToken": token, **extra})

    assert answer.status == 400


@pytest.mark.parametrize("other", [{}, {"singleEvents": "true", "maxResults": "10"}])
async def test_a_sync_token_binds_the_first_parameters(google: GoogleClient, other: dict[str, str]) -> None:
    """Other constant parameters than the first request's are 400."""
    _, token = await google.sync()
    answer = await google.events({"syncToken": token, **other})

    assert answer.status == 400


async def test_unknown_and_expired_tokens_need_a_full_sync(sandbox: Sandbox, google: GoogleClient) -> None:
    """410 fullSyncRequired, in Google's words."""
    _, token = await google.sync()
    sandbox.google.expire_sync_tokens(AMY)

    for dead in (token, "never-issued"):
        answer = await google.events({"singleEvents": "true", "syncToken": dead})
        assert (answer.status, answer.reason) == (410, "fullSyncRequired")


async def test_sync_tokens_can_have_a_life(sandbox: Sandbox, google: GoogleClient) -> None:
    """An old one gets 410."""
    _, token = await google.sync()
    sandbox.google.lists.sync_token_life = -1.0

    assert (await google.events({"singleEvents": "true", "syncToken": token})).status == 410


async def test_a_token_is_for_one_calendar(sandbox: Sandbox, google: GoogleClient) -> None:
    """With another calendar it is unknown."""
    sandbox.google.add_calendar("second@example.com", owner=AMY)
    _, token = await google.sync()
    answer = await google.events({"singleEvents": "true", "syncToken": token}, calendar="second@example.com")

    assert answer.status == 410


async def test_a_baseline_leaves_cancelled_events_out(sandbox: Sandbox, google: GoogleClient) -> None:
    """Unless showDeleted asks for them."""
    event = sandbox.google.insert(AMY, meeting(NOW, NOW + HOUR))
    sandbox.google.delete(AMY, event["id"])
    plain, _ = await google.sync()
    deleted, _ = await google.sync({"singleEvents": "true", "showDeleted": "true"})

    assert plain == []
    assert [item["status"] for item in deleted] == ["cancelled"]
