"""Aircall's webhooks against the sandbox: what is sent, and what of the answers is believed."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calsyncd.aircall.authorization import ApiKey
from calsyncd.aircall.client import AircallApi, read_webhook
from calsyncd.core.webhooks import EVENTS, Webhook
from calsyncd.errors import CREDENTIALS, USER_GONE, RateLimited, Refused, ServiceError, Unavailable
from calsyncd.http import Http
from calsyncd.sandbox.aircall import AircallSandbox
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.world import Sandbox

URL = PUBLIC_ORIGIN + "/webhooks/aircall"
SHOWN: dict[str, Any] = {
    "webhook_id": "c2501111-8a69-4342-bb34-bcd6cfe564ab",
    "direct_link": "https://api.aircall.io/v1/webhooks/26316",
    "created_at": "2020-03-24T19:51:24.000Z",
    "url": "https://my-server.example.com/webhooks/aircall",
    "active": True,
    "events": ["call.created", "call.answered", "call.ended"],
    "token": "df76g76dpziygs567f0",
}


@pytest.fixture
def aircall(sandbox: Sandbox) -> AircallSandbox:
    """The company's Aircall."""
    return sandbox.aircall


@pytest.fixture
def api(http: Http, aircall: AircallSandbox) -> AircallApi:
    """A client with the company's key."""
    return AircallApi(
        http,
        api_url=aircall.origin,
        authorization=ApiKey(aircall.api_id, aircall.api_token),
        users_api="auto",
        now=time.time,
        say=lambda _: None,
    )


async def everything(api: AircallApi) -> list[Webhook]:
    """All webhooks, page by page."""
    found: list[Webhook] = []
    page, more = 1, True
    while more:
        listed, more = await api.page_of_webhooks(page)
        found += listed
        page += 1
    return found


async def test_a_webhook_lives(api: AircallApi, aircall: AircallSandbox) -> None:
    """Made with exactly our events, listed with its token, changed, removed."""
    made = await api.create_webhook(URL, EVENTS)
    listed = await everything(api)
    aircall.webhooks.by_id[made.id].active = False
    off = (await everything(api))[0]
    on = await api.update_webhook(made.id, URL, EVENTS)
    await api.delete_webhook(made.id)

    assert Webhook(made.id, URL, active=True, events=frozenset(EVENTS), token=made.token) == made
    assert aircall.requests[0].json["custom_name"] == "calsyncd"
    assert ([made], False, made) == (listed, off.active, on)
    assert made.token
    assert await everything(api) == []


async def test_events_are_named_each_time(api: AircallApi, aircall: AircallSandbox) -> None:
    """Left out, they would all be subscribed to, on PUT too."""
    made = await api.create_webhook(URL, EVENTS[:1])
    changed = await api.update_webhook(made.id, URL, EVENTS[1:])

    assert (frozenset(EVENTS[:1]), frozenset(EVENTS[1:])) == (made.events, changed.events)
    assert all(request.json["events"] for request in aircall.requests)
    assert {request.headers["Content-Type"] for request in aircall.requests} == {"application/json"}


async def test_the_list_has_pages(api: AircallApi, aircall: AircallSandbox) -> None:
    """A hundred at most, fifty a page."""
    ids = {aircall.webhooks.add({"url": URL}).id for _ in range(100)}

    assert ids == {webhook.id for webhook in await everything(api)}
    assert [request.param("page") for request in aircall.requests] == ["1", "2"]


async def test_removing_what_is_gone_is_no_error(api: AircallApi) -> None:
    """Somebody else was faster; changing it is one."""
    await api.delete_webhook("c2501111-8a69-4342-bb34-bcd6cfe564ab")

    with pytest.raises(Refused) as caught:
        await api.update_webhook("c2501111-8a69-4342-bb34-bcd6cfe564ab", URL, EVENTS)

    assert caught.value.code == USER_GONE


async def test_refusals(api: AircallApi, aircall: AircallSandbox) -> None:
    """A key that may not, an address without TLS, a company that has a hundred."""
    aircall.fail("webhooks", status=403)
    codes = []
    for url in (URL, "http://127.0.0.1/webhooks/aircall", URL):
        with pytest.raises(Refused) as caught:
            await api.create_webhook(url, EVENTS)
        codes.append((caught.value.code, caught.value.status))
        for _ in range(50):
            aircall.webhooks.add({"url": URL})

    assert [(CREDENTIALS, 403), ("refused", 400), ("refused", 400)] == codes


async def test_what_passes_by_itself(api: AircallApi, aircall: AircallSandbox) -> None:
    """429 and 5xx."""
    aircall.fail("webhooks", status=429, headers={"Retry-After": "7"})
    with pytest.raises(RateLimited) as limited:
        await api.page_of_webhooks(1)
    aircall.fail("webhooks", status=503, body="<html>")
    with pytest.raises(Unavailable):
        await api.create_webhook(URL, EVENTS)

    assert limited.value.retry_after == 7


@pytest.mark.parametrize(
    "body",
    ["", "[]", "null", '{"webhook": null}', '{"webhook": []}', '{"webhook": {"webhook_id": 26316, "url": "x"}}']
    + [f'{{"webhook": {{"webhook_id": "{name}", "url": "x"}}}}' for name in ("", "../users/456", "a/b", "a?b", "é")],
)
async def test_a_malformed_answer_is_no_answer(api: AircallApi, aircall: AircallSandbox, body: str) -> None:
    """An id that would lead elsewhere least of all."""
    aircall.fail("POST", status=201, body=body)

    with pytest.raises(ServiceError):
        await api.create_webhook(URL, EVENTS)


@pytest.mark.parametrize("body", ["", "[]", {"webhooks": None}, {"webhooks": {}}, {"users": []}])
async def test_a_malformed_list_is_no_list(
    api: AircallApi, aircall: AircallSandbox, body: str | dict[str, object]
) -> None:
    """It must not look as if there were none."""
    aircall.fail("webhooks", status=200, body=body)

    with pytest.raises(Unavailable):
        await api.page_of_webhooks(1)


async def test_what_cannot_be_read_of_a_list_is_left_out(api: AircallApi, aircall: AircallSandbox) -> None:
    """The others count; a link to another host is not followed."""
    link = "https://evil.example.com/v1/webhooks?page=2"
    aircall.fail(
        "page=1",
        status=200,
        body={"webhooks": [None, 5, {}, SHOWN, {"webhook_id": "../x", "url": "y"}], "meta": {"next_page_link": link}},
    )

    found, more = await api.page_of_webhooks(1)

    assert ([SHOWN["webhook_id"]], True) == ([webhook.id for webhook in found], more)


def test_the_documented_shape() -> None:
    """As Aircall's own documentation shows it."""
    webhook = read_webhook(SHOWN)

    assert webhook == Webhook(
        SHOWN["webhook_id"],
        SHOWN["url"],
        active=True,
        events=frozenset(SHOWN["events"]),
        token=SHOWN["token"],
    )
    assert SHOWN["token"] not in repr(webhook)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"active": None}, (False, 3, True)),
        ({"active": "true"}, (False, 3, True)),
        ({"events": None}, (True, None, True)),
        ({"events": [1, "call.created"]}, (True, 2, True)),
        ({"token": None}, (True, 3, False)),
        ({"token": ""}, (True, 3, False)),
        ({"token": "a b"}, (True, 3, False)),
        ({"token": "x" * 257}, (True, 3, False)),
        ({"token": 5}, (True, 3, False)),
    ],
)
def test_what_else_an_answer_may_hold(changes: dict[str, Any], expected: tuple[bool, int | None, bool]) -> None:
    """Whether it is active, how many events it has, whether its token can be read."""
    webhook = read_webhook(SHOWN | changes)

    assert webhook is not None
    events = None if webhook.events is None else len(webhook.events)
    assert expected == (webhook.active, events, webhook.token is not None)


def test_an_answer_without_these_fields() -> None:
    """What is not shown is not held against it."""
    assert read_webhook({"webhook_id": "a", "url": "b"}) == Webhook("a", "b", active=True, events=None, token=None)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*SHOWN, "x"]), _json | st.sampled_from(list(SHOWN.values()))) | _json)
def test_anything_is_read_or_left_out(item: object) -> None:
    """Nothing raises, and an id is safe in a path."""
    webhook = read_webhook(item)

    assert webhook is None or not set(webhook.id) & set("/.?#% \\")
