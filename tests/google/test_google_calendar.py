"""List, watch and stop against the sandbox, and what each of Google's errors means."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from google.auth import crypt

from calsyncd.core.sync import Changes, Fetch
from calsyncd.errors import (
    BAD_REQUEST,
    CHANNEL_ID_TAKEN,
    PUSH_NOT_SUPPORTED,
    SYNC_TOKEN_GONE,
    Refused,
    ServiceError,
    Unavailable,
)
from calsyncd.google.auth import LIST_SCOPE, ServiceAccountTokens
from calsyncd.google.calendar import CalendarApi
from calsyncd.google.tokens import SCOPE
from calsyncd.http import Http
from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.world import Sandbox
from tests.sandbox.discovery import check_recorded

AMY = "amy@example.com"
ADDRESS = "https://demo.calsyncd.test/webhooks/google/notifications"
STRANGE = "team/phones+a b@group.calendar.google.com#ü%2F?x=1&y"


@pytest.fixture
async def api(http: Http, sandbox: Sandbox) -> AsyncIterator[CalendarApi]:
    """The API on behalf of the sandbox's users; every request of the test is judged by Google's own description."""
    key: dict[str, Any] = dict(sandbox.google.key_file())
    tokens, list_tokens = (
        ServiceAccountTokens(
            http,
            client_email=key["client_email"],
            token_uri=key["token_uri"],
            signer=crypt.RSASigner.from_service_account_info(key),  # type: ignore[no-untyped-call]
            now=time.time,
            learned=lambda _: None,
            scope=scope,
        )
        for scope in (SCOPE, LIST_SCOPE)
    )
    yield CalendarApi(http, tokens, sandbox.google_url, list_tokens)
    check_recorded(sandbox.google.requests, refused=True)


def meeting(sandbox: Sandbox, calendar: str = AMY, start: float = 3600.0) -> str:
    """A meeting of an hour; its id."""
    now = time.time()
    times = {"start": {"dateTime": second(now + start)}, "end": {"dateTime": second(now + start + 3600)}}
    return str(sandbox.google.insert(calendar, {"summary": "private", **times})["id"])


async def fetched(api: CalendarApi, calendar: str = "primary", *, last: Changes | None = None) -> Changes:
    """All the pages of a baseline, or of the delta since `last`."""
    fetch = Fetch(time.time(), 14 * 86400.0, "amy", last.bookmark if last is not None else None)
    while True:
        changes = fetch.feed(await api.list_events(AMY, calendar, fetch.request()))
        if changes is not None:
            return changes


async def watch(api: CalendarApi, channel: str = "c1", calendar: str = "primary", address: str = ADDRESS) -> Any:
    """Open a channel."""
    return await api.watch(AMY, calendar, channel=channel, token="of-the-channel", address=address)


async def failure(api: CalendarApi, how: str = "list") -> ServiceError:
    """The error of a call that must fail."""
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "list": lambda: api.list_events(AMY, "primary", {"singleEvents": "true"}),
        "watch": lambda: watch(api),
        "stop": lambda: api.stop(AMY, channel="c1", resource="r1"),
    }
    with pytest.raises(ServiceError) as caught:
        await calls[how]()
    assert caught.value.service == "google"
    return caught.value


async def test_baselines_and_deltas_are_read(api: CalendarApi, sandbox: Sandbox) -> None:
    """Over several pages, with what a token says has changed since."""
    ids = {meeting(sandbox, start=3600.0 * number) for number in range(1, 8)}
    sandbox.google.lists.most_per_page = 3

    first = await fetched(api)
    added = meeting(sandbox)
    second_one = await fetched(api, last=first)

    assert {event.id for event in first.events} == ids
    assert {event.id for event in second_one.events} == {added}


@pytest.mark.parametrize("calendar", [STRANGE, "a/../b", "c%40d"])
async def test_a_calendars_id_is_one_part_of_the_path(api: CalendarApi, sandbox: Sandbox, calendar: str) -> None:
    """Slashes, at-signs, hashes, blanks, percent signs: encoded once, for lists and watches."""
    sandbox.google.add_calendar(calendar, owner=AMY)
    found = meeting(sandbox, calendar)

    changes = await fetched(api, calendar)
    await watch(api, calendar=calendar)

    assert [event.id for event in changes.events] == [found]
    assert [channel.calendar for channel in sandbox.google.push.live()] == [calendar]


async def test_a_watch_brings_what_google_says_of_it(api: CalendarApi, sandbox: Sandbox) -> None:
    """The resource and the expiration of the answer, whatever life was asked for."""
    sandbox.google.notify.most_life = 3600.0

    opened = await watch(api)

    (channel,) = sandbox.google.push.live()
    assert (opened.resource, channel.token, channel.address) == (channel.resource_id, "of-the-channel", ADDRESS)
    assert opened.expires_at == pytest.approx(time.time() + 3600, abs=60)
    assert opened.expires_at == pytest.approx(channel.expires, abs=1)


async def test_a_channel_is_stopped_and_may_be_stopped_twice(api: CalendarApi, sandbox: Sandbox) -> None:
    """One that is already gone is closed."""
    opened = await watch(api)

    for _ in range(2):
        await api.stop(AMY, channel="c1", resource=opened.resource)

    assert sandbox.google.push.live() == []
    assert next(request.status for request in sandbox.google.requests if "stop" in request.path) == 204


async def test_each_request_is_charged_to_its_agent(api: CalendarApi, sandbox: Sandbox) -> None:
    """Google allows each user so many requests a minute, and one service account speaks for all of them."""
    sandbox.add_agent("bob@example.com")
    sandbox.google.quotas.per_user_limit = 2

    opened = [
        await api.watch(email, "primary", channel=channel, token="t", address=ADDRESS)
        for email, channel in ((AMY, "c1"), ("bob@example.com", "c2"))
    ]
    for (email, channel), one in zip(((AMY, "c1"), ("bob@example.com", "c2")), opened, strict=True):
        await api.stop(email, channel=channel, resource=one.resource)

    assert sandbox.google.push.live() == []


async def test_a_channel_id_is_used_once(api: CalendarApi) -> None:
    """The sandbox refuses it as Google does."""
    await watch(api)

    error = await failure(api, "watch")

    assert (type(error), error.code) == (Refused, CHANNEL_ID_TAKEN)


async def test_an_address_without_tls_is_refused(api: CalendarApi) -> None:
    """A setting to mend, not a token to renew."""
    with pytest.raises(Refused) as caught:
        await watch(api, address="http://demo.calsyncd.test/")

    assert caught.value.code == "push_address"


async def test_an_expired_sync_token_asks_for_a_baseline(api: CalendarApi, sandbox: Sandbox) -> None:
    """410 is told apart from all else."""
    first = await fetched(api)
    sandbox.google.expire_sync_tokens()

    with pytest.raises(Refused) as caught:
        await fetched(api, last=first)

    assert caught.value.code == SYNC_TOKEN_GONE


async def test_a_refused_token_is_renewed_once(api: CalendarApi, sandbox: Sandbox) -> None:
    """401: a fresh token and the same request again; the caller sees nothing of it."""
    await fetched(api)
    sandbox.google.revoke_tokens()
    before = len(sandbox.google.requests)

    await fetched(api)

    statuses = [(request.path == "/token", request.status) for request in sandbox.google.requests[before:]]
    assert statuses == [(False, 401), (True, 200), (False, 200)]


async def test_a_token_that_is_refused_again_is_not_renewed_for_ever(api: CalendarApi, sandbox: Sandbox) -> None:
    """Two attempts, then it is somebody else's turn."""
    sandbox.google.fail("calendars", times=None, status=401)

    error = await failure(api)

    assert (type(error), error.code, error.status) == (Unavailable, "token_refused", 401)
    assert sum("calendars" in request.path for request in sandbox.google.requests) == 2


async def test_a_renewal_that_is_refused_says_why(api: CalendarApi, sandbox: Sandbox) -> None:
    """A user who was suspended in the middle."""
    await fetched(api)
    sandbox.google.revoke_tokens()
    sandbox.google.tokens.suspended.add(AMY)

    assert (await failure(api)).code == "invalid_grant"


TABLE: list[tuple[int, str | None, type[ServiceError], str]] = [
    (400, "timeRangeEmpty", Refused, BAD_REQUEST),
    (400, "invalidParameter", Refused, BAD_REQUEST),
    (400, "channelIdNotUnique", Refused, CHANNEL_ID_TAKEN),
    (400, "pushNotSupportedForRequestedResource", Refused, PUSH_NOT_SUPPORTED),
    (400, "push.webhookUrlNotHttps", Refused, "push_address"),
    (401, "push.webhookUrlUnauthorized", Refused, "push_address"),
    (403, "rateLimitExceeded", Unavailable, "rate_limited"),
    (429, "rateLimitExceeded", Unavailable, "rate_limited"),
    (403, "userRateLimitExceeded", Unavailable, "rate_limited"),
    (429, "userRateLimitExceeded", Unavailable, "rate_limited"),
    (429, "somethingNew", Unavailable, "rate_limited"),
    (403, "quotaExceeded", Unavailable, "quota"),
    (403, "dailyLimitExceeded", Unavailable, "quota"),
    (403, "insufficientPermissions", Refused, "scope_missing"),
    (403, "domainPolicy", Refused, "domain_policy"),
    (403, "forbidden", Refused, "no_access"),
    (403, "notACalendarUser", Refused, "no_access"),
    (403, "accessNotConfigured", Refused, "api_disabled"),
    (403, "somethingNew", Unavailable, "server"),
    (404, "notFound", Refused, "calendar_gone"),
    (410, "fullSyncRequired", Refused, SYNC_TOKEN_GONE),
    (410, "updatedMinTooLongAgo", Refused, SYNC_TOKEN_GONE),
    (409, "conflict", Unavailable, "server"),
    (500, "backendError", Unavailable, "server"),
    (502, None, Unavailable, "server"),
    (503, "backendError", Unavailable, "server"),
]


@pytest.mark.parametrize(("status", "reason", "kind", "code"), TABLE)
@pytest.mark.parametrize("how", ["list", "watch"])
async def test_every_error_has_its_class(  # noqa: PLR0917 - a table's columns
    api: CalendarApi, sandbox: Sandbox, how: str, status: int, reason: str | None, kind: type[ServiceError], code: str
) -> None:
    """By status and first reason, never by the message; only what can pass is tried again."""
    sandbox.google.fail("calendars", status=status, reason=reason)

    error = await failure(api, how)

    assert (type(error), error.code, error.status) == (kind, code, status)


@pytest.mark.parametrize(("status", "landed"), [(403, False), (429, False), (408, False), (500, True), (503, True)])
async def test_what_was_refused_has_no_effect(api: CalendarApi, sandbox: Sandbox, status: int, landed: bool) -> None:
    """A channel that was refused for now does not exist; one that ended in a 500 may."""
    sandbox.google.fail("watch", status=status, reason="rateLimitExceeded" if status < 500 else "backendError")

    error = await failure(api, "watch")

    assert isinstance(error, Unavailable)
    assert error.landed == landed


async def test_the_projects_and_the_users_states_are_told_apart(api: CalendarApi, sandbox: Sandbox) -> None:
    """The API switched off, no calendar, no access: as the sandbox really answers them."""
    sandbox.google.api_enabled = False
    assert (await failure(api)).code == "api_disabled"
    sandbox.google.api_enabled = True
    sandbox.google.users[AMY] = False
    assert (await failure(api)).code == "no_access"
    sandbox.google.users[AMY] = True
    sandbox.google.share(AMY, AMY, "none")
    assert (await failure(api)).code == "calendar_gone"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, ""),
        (403, "<html>Forbidden"),
        (403, "[]"),
        (403, {"error": "x"}),
        (403, {"error": {"errors": []}}),
        (403, {"error": {"errors": "rateLimitExceeded"}}),
        (403, {"error": {"errors": [5]}}),
        (403, {"error": {"errors": [{"reason": 5}]}}),
        (500, "<html>"),
        (408, ""),
    ],
)
async def test_errors_without_a_reason_pass(
    api: CalendarApi, sandbox: Sandbox, status: int, body: str | dict[str, object]
) -> None:
    """A front end's page is no verdict on anybody's access."""
    sandbox.google.fail("calendars", status=status, body=body)

    error = await failure(api)

    assert (type(error), error.code) == (Unavailable, "server")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("99999999", 3600.0),
        ("9" * 400, 3600.0),
        ("-5", None),
        ("soon", None),
        ("¹", None),
        ("", None),
    ],
)
async def test_a_wait_that_google_asks_for_is_kept_within_reason(
    api: CalendarApi, sandbox: Sandbox, value: str, seconds: float | None
) -> None:
    """Seconds, an hour at most; anything else is no number."""
    sandbox.google.fail("calendars", status=503, headers={"Retry-After": value})

    error = await failure(api)

    assert isinstance(error, Unavailable)
    assert error.retry_after == seconds


async def test_a_used_up_day_is_waited_for_longer(api: CalendarApi, sandbox: Sandbox) -> None:
    """A daily quota does not come back in seconds."""
    sandbox.google.fail("calendars", status=403, reason="dailyLimitExceeded")

    error = await failure(api)

    assert isinstance(error, Unavailable)
    assert error.retry_after == 900.0


async def test_a_hostile_reason_is_not_repeated(api: CalendarApi, sandbox: Sandbox) -> None:
    """What stands in the message is a plain word, or nothing."""
    for reason in ("a\nb", "<script>", "x" * 100_000):
        sandbox.google.fail("calendars", status=403, reason=reason)
        assert len(str(await failure(api))) < 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        "[]",
        "",
        {"resourceId": "r"},
        {"resourceId": "", "expiration": "1900000000000"},
        {"resourceId": 5, "expiration": "1900000000000"},
        {"resourceId": "r", "expiration": "soon"},
        {"resourceId": "r", "expiration": "0"},
        {"resourceId": "r", "expiration": "-1"},
        {"resourceId": "r", "expiration": None},
        {"resourceId": "r", "expiration": True},
        {"resourceId": "r", "expiration": "9" * 30},
        {"resourceId": "r", "expiration": "9" * 400},
    ],
)
async def test_a_malformed_watch_may_have_landed(
    api: CalendarApi, sandbox: Sandbox, body: str | dict[str, object]
) -> None:
    """A 200 that does not say what was opened, or names an instant that does not exist."""
    sandbox.google.fail("watch", status=200, body=body)

    error = await failure(api, "watch")

    assert isinstance(error, Unavailable)
    assert (error.code, error.landed) == ("malformed", True)


@pytest.mark.parametrize("status", [404, 410])
async def test_stopping_what_is_gone_is_done(api: CalendarApi, sandbox: Sandbox, status: int) -> None:
    """Either answer means closed."""
    sandbox.google.fail("stop", status=status)

    await api.stop(AMY, channel="c1", resource="r1")


@pytest.mark.parametrize(("status", "kind"), [(400, Refused), (403, Refused), (500, Unavailable)])
async def test_other_answers_to_a_stop_are_errors(
    api: CalendarApi, sandbox: Sandbox, status: int, kind: type[ServiceError]
) -> None:
    """A channel that was not stopped may still speak."""
    sandbox.google.fail("stop", status=status)

    assert type(await failure(api, "stop")) is kind


async def test_half_a_page_is_no_page(api: CalendarApi, sandbox: Sandbox) -> None:
    """A list that was cut is not applied."""
    meeting(sandbox)
    sandbox.google.fail("calendars", truncate=True)

    assert (await failure(api)).code == "broken"


async def test_whom_google_knows(api: CalendarApi, sandbox: Sandbox) -> None:
    """No such user, or one without Calendar, is told apart from what concerns everybody; nothing of events is asked."""
    meeting(sandbox)
    sandbox.google.add_user("bob@example.com", has_calendar=False)

    assert await api.knows(AMY)
    assert sandbox.google.requests[-1].answer_json == {"kind": "calendar#events"}
    assert not await api.knows("bob@example.com")
    assert not await api.knows("eve@example.com")
    sandbox.google.tokens.delegated = False
    with pytest.raises(Refused) as caught:
        await api.knows("zoe@example.com")
    assert caught.value.code == "delegation"


async def test_the_list_of_calendars(api: CalendarApi, sandbox: Sandbox) -> None:
    """None until the scope is delegated; then ids and roles, and no titles on the wire."""
    for number in range(120):
        sandbox.google.add_calendar(f"c{number:03}@group.calendar.google.com", owner=AMY)
    assert await api.calendars(AMY) is None

    sandbox.google.tokens.also_delegated.add(LIST_SCOPE)
    found = await api.calendars(AMY)

    assert found is not None
    assert [(one.id, one.access) for one in found if one.primary] == [(AMY, "owner")]
    assert len(found) == 121
    assert not [one for one in sandbox.google.requests if b"Private title" in one.answer]


async def test_a_list_that_the_consent_does_not_show(api: CalendarApi, sandbox: Sandbox) -> None:
    """Google's 403 to a token of fewer scopes says that there is no list for us, not that something failed."""
    sandbox.google.tokens.also_delegated.add(LIST_SCOPE)
    sandbox.google.fail("calendarList", status=403, reason="insufficientPermissions")

    assert await api.calendars(AMY) is None
