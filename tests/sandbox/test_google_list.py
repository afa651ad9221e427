"""`events.list`: parameters, windows, pages, masks, access."""

from __future__ import annotations

import time

import pytest

from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.world import Sandbox

from .clients import AMY, GoogleClient, meeting

NOW = float(int(time.time()))
HOUR = 3600.0


async def test_an_event_has_googles_fields(sandbox: Sandbox, google: GoogleClient) -> None:
    """A list gives the event with the fields that Google adds, and the envelope's."""
    sandbox.google.insert(AMY, meeting(NOW, NOW + HOUR))
    page = (await google.events({"singleEvents": "true"})).json

    assert (page["kind"], page["timeZone"], page["accessRole"]) == ("calendar#events", "UTC", "owner")
    assert set(page["items"][0]) == {
        *("kind", "etag", "id", "status", "htmlLink", "created", "updated", "summary", "creator", "organizer"),
        *("start", "end", "iCalUID", "sequence", "reminders", "eventType"),
    }
    assert "nextSyncToken" in page


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [(0, 1, True), (-2, 0, False), (-2, 0.5, True), (1, 2, False), (0.5, 2, True), (-9, 9, True)],
)
async def test_the_window_excludes_its_bounds(
    sandbox: Sandbox, google: GoogleClient, low: float, high: float, *, found: bool
) -> None:
    """TimeMin bounds the end, timeMax the start, both exclusively."""
    sandbox.google.insert(AMY, meeting(NOW, NOW + HOUR))
    page = (await google.events({"timeMin": second(NOW + low * HOUR), "timeMax": second(NOW + high * HOUR)})).json

    assert ("items" in page) == found


@pytest.mark.parametrize(
    "query",
    [
        [("single", "true")],
        [("singleEvents", "True")],
        [("singleEvents", "true"), ("singleEvents", "true")],
        [("maxResults", "0")],
        [("maxResults", "many")],
        [("maxAttendees", "-1")],
        [("timeMin", "2026-11-21")],
        [("timeMin", "2026-11-21T09:00:00")],
        [("eventTypes", "meeting")],
        [("orderBy", "end")],
        [("orderBy", "startTime")],
        [("quotaUser", "a" * 41)],
        [("pageToken", "unknown")],
        [("fields", "items(id,begin)")],
        [("fields", "items(id")],
        [("fields", "items/id/x")],
        [("fields", "")],
    ],
)
async def test_wrong_parameters_are_refused(google: GoogleClient, query: list[tuple[str, str]]) -> None:
    """Unknown, repeated and ill-typed parameters get 400."""
    answer = await google.events(query)

    assert answer.status == 400


async def test_an_empty_window_is_refused(google: GoogleClient) -> None:
    """TimeMin at or after timeMax is `timeRangeEmpty`."""
    answer = await google.events({"timeMin": second(NOW), "timeMax": second(NOW)})

    assert (answer.status, answer.reason) == (400, "timeRangeEmpty")


async def test_pages_hold_everything_once(sandbox: Sandbox, google: GoogleClient) -> None:
    """Only the last page has a sync token, none of the others."""
    names = [sandbox.google.insert(AMY, meeting(NOW + i, NOW + i + HOUR))["id"] for i in range(5)]
    first = (await google.events({"maxResults": "2"})).json
    items, _ = await google.sync({"maxResults": "2"})

    assert "nextSyncToken" not in first
    assert [item["id"] for item in items] == names


async def test_a_page_token_binds_the_other_parameters(sandbox: Sandbox, google: GoogleClient) -> None:
    """Other parameters with the token are refused; `fields` and `quotaUser` may change."""
    for i in range(3):
        sandbox.google.insert(AMY, meeting(NOW + i, NOW + i + HOUR))
    token = (await google.events({"maxResults": "1"})).json["nextPageToken"]
    changed = await google.events({"maxResults": "2", "pageToken": token})
    masked = await google.events({"maxResults": "1", "pageToken": token, "fields": "items(id)", "quotaUser": "a"})

    assert changed.status == 400
    assert masked.status == 200


async def test_pages_can_be_short_or_empty(sandbox: Sandbox, google: GoogleClient) -> None:
    """An empty page has a nextPageToken and no `items` at all; nothing is lost."""
    for i in range(3):
        sandbox.google.insert(AMY, meeting(NOW + i, NOW + i + HOUR))
    sandbox.google.lists.empty_pages = 1
    sandbox.google.lists.most_per_page = 2
    first = (await google.events()).json
    second_page = (await google.events({"pageToken": first["nextPageToken"]})).json
    third = (await google.events({"pageToken": second_page["nextPageToken"]})).json

    assert "items" not in first
    assert (len(second_page["items"]), len(third["items"])) == (2, 1)
    assert "nextSyncToken" in third


async def test_the_same_id_can_stand_on_two_pages(sandbox: Sandbox, google: GoogleClient) -> None:
    """On demand a page repeats an older state of the page before's last item."""
    event = sandbox.google.insert(AMY, meeting(NOW, NOW + HOUR))
    sandbox.google.patch(AMY, event["id"], meeting(NOW + 1, NOW + HOUR))
    sandbox.google.insert(AMY, meeting(NOW + 2, NOW + HOUR))
    sandbox.google.lists.repeat_over_pages = True
    items, _ = await google.sync({"maxResults": "1"})

    assert [item["start"]["dateTime"] for item in items] == [second(NOW + i) for i in (1, 0, 2)]


@pytest.mark.parametrize(
    "query",
    [{"orderBy": "updated"}, {"singleEvents": "true", "orderBy": "startTime"}, {"q": "x"}, {"iCalUID": "x"}],
)
async def test_some_lists_give_no_sync_token(google: GoogleClient, query: dict[str, str]) -> None:
    """An ordered or searched list ends without one."""
    page = (await google.events(query)).json

    assert "nextSyncToken" not in page


async def test_the_mask_is_applied(sandbox: Sandbox, google: GoogleClient) -> None:
    """Only what the mask names comes back, at every level."""
    guests = [{"email": AMY}, {"email": "ben@example.com"}]
    sandbox.google.insert(AMY, meeting(NOW, NOW + HOUR, attendees=guests))
    fields = "nextSyncToken,timeZone,items(id,start/dateTime,attendees(self,responseStatus))"
    page = (await google.events({"fields": fields, "maxAttendees": "1"})).json

    assert set(page) == {"nextSyncToken", "timeZone", "items"}
    assert set(page["items"][0]) == {"id", "start", "attendees"}
    assert page["items"][0]["start"] == {"dateTime": second(NOW)}
    assert page["items"][0]["attendees"] == [{"self": True}]


async def test_max_attendees_leaves_the_participant(sandbox: Sandbox, google: GoogleClient) -> None:
    """With more guests than asked for, only the calendar's own entry comes."""
    sandbox.google.insert(AMY, meeting(NOW, NOW + HOUR, attendees=[{"email": "b@x.com"}, {"email": AMY}]))
    sandbox.google.insert(AMY, meeting(NOW, NOW + HOUR, attendees=[{"email": "b@x.com"}, {"email": "c@x.com"}]))
    items, _ = await google.sync({"maxAttendees": "1"})

    assert [guest["email"] for guest in items[0]["attendees"]] == [AMY]
    assert "attendees" not in items[1]
    assert items[1]["attendeesOmitted"] is True


async def test_event_types_are_selected(sandbox: Sandbox, google: GoogleClient) -> None:
    """`eventTypes` may be repeated; unset it means all."""
    sandbox.google.insert(AMY, meeting(NOW, NOW + HOUR))
    for kind in ("outOfOffice", "focusTime"):
        sandbox.google.insert(AMY, meeting(NOW, NOW + HOUR, eventType=kind))
    some, _ = await google.sync([("eventTypes", "outOfOffice"), ("eventTypes", "focusTime")])
    all_of_them, _ = await google.sync(())

    assert [item["eventType"] for item in some] == ["outOfOffice", "focusTime"]
    assert len(all_of_them) == 3


async def test_free_busy_access_shows_times_only(sandbox: Sandbox, google: GoogleClient) -> None:
    """A freeBusyReader gets id, status, start, end and `visibility: private`."""
    sandbox.google.insert(AMY, meeting(NOW, NOW + HOUR))
    sandbox.google.share(AMY, AMY, "freeBusyReader")
    page = (await google.events()).json

    assert page["accessRole"] == "freeBusyReader"
    assert set(page["items"][0]) == {"id", "status", "start", "end", "visibility"}


async def test_private_details_are_hidden_from_readers(sandbox: Sandbox, google: GoogleClient) -> None:
    """A reader sees a private event without its title, other events whole."""
    sandbox.google.insert(AMY, meeting(NOW, NOW + HOUR, visibility="private"))
    sandbox.google.insert(AMY, meeting(NOW, NOW + HOUR))
    sandbox.google.share(AMY, AMY, "reader")
    items, _ = await google.sync(())

    assert ["summary" in item for item in items] == [False, True]


async def test_calendars_are_named_percent_encoded(sandbox: Sandbox, google: GoogleClient) -> None:
    """Ids with `@` and `#` reach their calendar; an unknown id gets 404."""
    sandbox.google.add_calendar("team#shifts@group.calendar.google.com", owner=AMY, zone="Europe/Paris")
    found = await google.events(calendar="team#shifts@group.calendar.google.com")
    unknown = await google.events(calendar="other@group.calendar.google.com")

    assert found.json["timeZone"] == "Europe/Paris"
    assert (unknown.status, unknown.reason) == (404, "notFound")


async def test_a_calendar_can_be_taken_away(sandbox: Sandbox, google: GoogleClient) -> None:
    """No access and no calendar look the same."""
    sandbox.google.share(AMY, AMY, "none")

    assert (await google.events()).status == 404


async def test_a_user_without_calendar_is_named(sandbox: Sandbox, google: GoogleClient) -> None:
    """403 notACalendarUser."""
    sandbox.google.add_user("new@example.com", has_calendar=False)
    answer = await google.events(token=await google.token("new@example.com"))

    assert (answer.status, answer.reason) == (403, "notACalendarUser")


async def test_the_api_can_be_off(sandbox: Sandbox, google: GoogleClient) -> None:
    """403 accessNotConfigured."""
    sandbox.google.api_enabled = False
    answer = await google.events()

    assert (answer.status, answer.reason) == (403, "accessNotConfigured")
    assert answer.json["error"]["errors"][0]["domain"] == "usageLimits"


@pytest.mark.parametrize(("status", "reason"), [(403, "userRateLimitExceeded"), (429, "rateLimitExceeded")])
async def test_the_quota_is_per_quota_user(sandbox: Sandbox, google: GoogleClient, status: int, reason: str) -> None:
    """One `quotaUser` over the limit does not stop another; without it the service account pays."""
    sandbox.google.quotas.per_user_limit = 2
    sandbox.google.quotas.status = status
    answers = [await google.events({"quotaUser": "amy"}) for _ in range(3)]
    others = [await google.events({"quotaUser": "ben"}), await google.events()]

    assert [answer.status for answer in answers] == [200, 200, status]
    assert answers[-1].reason == reason
    assert [answer.status for answer in others] == [200, 200]


async def test_the_project_has_a_quota(sandbox: Sandbox, google: GoogleClient) -> None:
    """The project's window counts everybody."""
    sandbox.google.quotas.per_project.limit = 1
    answers = [await google.events({"quotaUser": str(i)}) for i in range(2)]

    assert answers[1].reason == "rateLimitExceeded"
