"""Aircall's webhooks: the registry, and what is delivered."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from calsyncd.sandbox.aircall_webhooks import EVENTS
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.world import Sandbox

from .clients import AMY, AircallClient, Receiver

URL = PUBLIC_ORIGIN + "/webhooks/aircall"
OFF = {"availability_status": "unavailable"}
SOME = ["user.opened.v2", "user.closed.v2"]


async def register(aircall: AircallClient, **changes: Any) -> dict[str, Any]:
    """Register a webhook and return it as Aircall shows it."""
    body = {"custom_name": "calsyncd", "url": URL, "events": SOME, **changes}
    answer = await aircall.call("POST", "/v1/webhooks", body)
    assert answer.status == 201
    found: dict[str, Any] = answer.json["webhook"]
    return found


def events(receiver: Receiver) -> list[dict[str, Any]]:
    """The envelopes that arrived."""
    return [json.loads(posted.body) for posted in receiver.posted]


async def test_a_webhook_lives(aircall: AircallClient) -> None:
    """Create, list, read, change, delete."""
    made = await register(aircall)
    path = f"/v1/webhooks/{made['webhook_id']}"
    listed = (await aircall.call("GET", "/v1/webhooks")).json
    changed = (await aircall.call("PUT", path, {"active": False, "events": ["user.closed.v2"]})).json["webhook"]
    deleted = await aircall.call("DELETE", path)

    assert {"webhook_id", "direct_link", "created_at", "url", "active", "events", "token"} <= set(made)
    assert (listed["webhooks"], listed["meta"]["total"]) == ([made], 1)
    assert changed == {**made, "active": False, "events": ["user.closed.v2"]}
    assert (deleted.status, deleted.text) == (204, "")
    assert (await aircall.call("GET", path)).status == 404


async def test_leaving_events_out_subscribes_to_everything(aircall: AircallClient) -> None:
    """On POST and on PUT alike."""
    made = await register(aircall, events=None)
    few = await register(aircall)
    changed = (await aircall.call("PUT", f"/v1/webhooks/{few['webhook_id']}", {"active": True})).json["webhook"]

    assert made["events"] == changed["events"] == list(EVENTS)


@pytest.mark.parametrize(
    "body",
    [
        {"events": SOME},
        {"url": "http://demo.calsyncd.test/x"},
        {"url": "https://"},
        {"url": URL, "events": ["user.moved"]},
        {"url": URL, "events": "user.closed.v2"},
        {"url": URL, "name": "x"},
    ],
)
async def test_wrong_webhooks_are_refused(aircall: AircallClient, body: dict[str, Any]) -> None:
    """400, in the application's shape."""
    answer = await aircall.call("POST", "/v1/webhooks", body)

    assert (answer.status, answer.json["error"]) == (400, "Bad Request")


async def test_a_company_has_100_webhooks_at_most(sandbox: Sandbox, aircall: AircallClient) -> None:
    """The next one is refused."""
    for _ in range(100):
        sandbox.aircall.webhooks.add({"url": URL})

    assert (await aircall.call("POST", "/v1/webhooks", {"url": URL})).status == 400


async def test_a_change_by_hand_is_announced(sandbox: Sandbox, aircall: AircallClient, receiver: Receiver) -> None:
    """An envelope with the webhook's token; the data is the user."""
    made = await register(aircall)
    sandbox.aircall.set_by_hand(456, "unavailable", "out_for_lunch")
    await sandbox.settle()
    [event] = events(receiver)

    assert set(event) == {"resource", "event", "timestamp", "token", "data"}
    assert (event["resource"], event["event"], event["token"]) == ("user", "user.closed.v2", made["token"])
    assert (event["data"]["email"], event["data"]["substatus"]) == (AMY, "out_for_lunch")
    assert abs(event["timestamp"] - time.time()) < 5
    assert receiver.posted[0].path == "/webhooks/aircall"
    assert receiver.posted[0].headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(("echo", "count"), [(True, 2), (False, 0)])
async def test_our_own_updates_echo_or_do_not(
    sandbox: Sandbox, aircall: AircallClient, receiver: Receiver, *, echo: bool, count: int
) -> None:
    """As the switch has it; an update that changes nothing never does."""
    await register(aircall)
    sandbox.aircall.switches.echo = echo
    for status in ("unavailable", "unavailable", "available", "custom"):
        await aircall.put(456, {"availability_status": status})
    await sandbox.settle()

    assert len(receiver.posted) == count
    assert {event["event"] for event in events(receiver)} == (set(SOME) if echo else set())


async def test_substatuses_double_the_closing(sandbox: Sandbox, aircall: AircallClient, receiver: Receiver) -> None:
    """First without, then with the reason."""
    await register(aircall)
    sandbox.aircall.switches.substatuses_on = True
    await aircall.put(456, {**OFF, "substatus": "other"})
    await sandbox.settle()

    assert sorted(event["data"]["substatus"] for event in events(receiver)) == ["always_closed", "other"]


async def test_live_states_raise_their_events(sandbox: Sandbox, aircall: AircallClient, receiver: Receiver) -> None:
    """Logging out and in, wrap-up; old names only for those who ask for them."""
    names = ["user.connected", "user.disconnected.v2", "user.wut_start.v2", "user.wut_end.v2"]
    await register(aircall, events=names)
    for state in ("offline", None, "in_call", "after_call_work", None):
        sandbox.aircall.set_live(456, state)
        await sandbox.settle()

    assert [event["event"] for event in events(receiver)] == [
        "user.disconnected.v2",
        "user.connected",
        "user.wut_start.v2",
        "user.wut_end.v2",
    ]


async def test_users_come_and_go(sandbox: Sandbox, aircall: AircallClient, receiver: Receiver) -> None:
    """Creation and deletion are announced."""
    await register(aircall, events=["user.created.v2", "user.deleted.v2"])
    sandbox.aircall.remove_user(sandbox.aircall.add_user("ben@example.com").id)
    await sandbox.settle()

    assert {event["event"] for event in events(receiver)} == {"user.created.v2", "user.deleted.v2"}


async def test_failed_deliveries_are_repeated_then_disabled(
    sandbox: Sandbox, aircall: AircallClient, receiver: Receiver
) -> None:
    """Retries keep their timestamp; after the last the webhook is inactive."""
    made = await register(aircall)
    sandbox.aircall.notify.retry_delays = (0.01, 0.01)
    receiver.answers = [404, 500, 503]
    sandbox.aircall.set_by_hand(456, "unavailable")
    await sandbox.settle()
    sandbox.aircall.set_by_hand(456, "available")
    await sandbox.settle()

    assert len(receiver.posted) == 3
    assert len({event["timestamp"] for event in events(receiver)}) == 1
    assert sandbox.aircall.webhooks.by_id[made["webhook_id"]].active is False
    assert [delivery.status for delivery in sandbox.aircall.webhooks.deliveries] == [404, 500, 503]


async def test_events_can_be_lost_and_doubled(sandbox: Sandbox, aircall: AircallClient, receiver: Receiver) -> None:
    """At least once is a promise with exceptions."""
    await register(aircall)
    sandbox.aircall.notify.drop = 1
    sandbox.aircall.set_by_hand(456, "unavailable")
    await sandbox.settle()
    sandbox.aircall.notify.duplicate = 1
    sandbox.aircall.set_by_hand(456, "available")
    await sandbox.settle()

    assert [event["event"] for event in events(receiver)] == ["user.opened.v2", "user.opened.v2"]
