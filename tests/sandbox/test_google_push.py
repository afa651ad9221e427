"""Watch channels and notifications."""

from __future__ import annotations

import json
import time
import uuid
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.world import Sandbox

from .clients import AMY, Answer, GoogleClient, Receiver, meeting

NOW = float(int(time.time()))
HOOK = PUBLIC_ORIGIN + "/webhooks/google/notifications"
PATH = "/calendars/primary/events/watch"


def channel(**changes: Any) -> dict[str, Any]:
    """A right watch request; a field given as None is left out."""
    body = {
        "id": str(uuid.uuid4()),
        "type": "web_hook",
        "address": HOOK,
        "token": "k1.secret",
        "params": {"ttl": "604800"},
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


async def watch(google: GoogleClient, **changes: Any) -> Answer:
    """Ask for a channel."""
    return await google.call("POST", PATH, body=channel(**changes))


async def test_a_channel_is_announced_and_notified(sandbox: Sandbox, google: GoogleClient, receiver: Receiver) -> None:
    """`sync` with number 1, then `exists` with larger numbers; headers and empty body as Google's."""
    answer = (await watch(google, id="c1")).json
    await sandbox.settle()
    sandbox.google.insert(AMY, meeting(NOW, NOW + 60))
    await sandbox.settle()
    first, change = receiver.posted
    expected = {
        "Content-Type": "application/json; utf-8",
        "Content-Length": "0",
        "User-Agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
        "X-Goog-Channel-ID": "c1",
        "X-Goog-Channel-Token": "k1.secret",
        "X-Goog-Resource-ID": answer["resourceId"],
        "X-Goog-Resource-URI": "https://www.googleapis.com/calendar/v3/calendars/amy%40example.com/events?alt=json",
        "X-Goog-Resource-State": "sync",
        "X-Goog-Message-Number": "1",
    }

    assert set(answer) == {"kind", "id", "resourceId", "resourceUri", "token", "expiration"}
    assert {name: first.headers[name] for name in expected} == expected
    assert (first.body, first.path) == (b"", "/webhooks/google/notifications")
    assert change.headers["X-Goog-Resource-State"] == "exists"
    assert int(change.headers["X-Goog-Message-Number"]) > 1
    expires = parsedate_to_datetime(change.headers["X-Goog-Channel-Expiration"]).timestamp()
    assert expires == pytest.approx(int(answer["expiration"]) / 1000, abs=1.0)


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"address": "http://demo.calsyncd.test/x"}, 400, "push.webhookUrlNotHttps"),
        ({"address": None}, 400, "required"),
        ({"id": None}, 400, "channelIdInvalid"),
        ({"id": "a" * 65}, 400, "channelIdInvalid"),
        ({"id": "a b"}, 400, "channelIdInvalid"),
        ({"type": "email"}, 400, "channelUnknown"),
        ({"token": "a" * 257}, 400, "invalid"),
        ({"params": {"ttl": 60}}, 400, "parseError"),
        ({"params": {"ttl": "soon"}}, 400, "invalid"),
        ({"params": None, "expiration": 1426325213000}, 400, "channelExpirationInvalid"),
        ({"callback": "x"}, 400, "parseError"),
        ({"address": "https://other.example.com/x"}, 401, "push.webhookUrlUnauthorized"),
    ],
)
async def test_wrong_channels_are_refused(
    sandbox: Sandbox, google: GoogleClient, changes: dict[str, Any], status: int, reason: str
) -> None:
    """Each rule of a watch request is checked."""
    sandbox.google.notify.unauthorized.add("https://other.example.com")
    answer = await watch(google, **changes)

    assert (answer.status, answer.reason) == (status, reason)


async def test_an_id_is_never_used_again(google: GoogleClient) -> None:
    """Not even after the channel was stopped."""
    made = (await watch(google, id="c1")).json
    stop = {"id": "c1", "resourceId": made["resourceId"]}
    await google.call("POST", "/channels/stop", body=stop)
    answer = await watch(google, id="c1")

    assert (answer.status, answer.reason) == (400, "channelIdNotUnique")


async def test_push_can_be_unsupported(sandbox: Sandbox, google: GoogleClient) -> None:
    """400 pushNotSupportedForRequestedResource."""
    sandbox.google.notify.unsupported.add(AMY)
    answer = await watch(google)

    assert (answer.status, answer.reason) == (400, "pushNotSupportedForRequestedResource")


@pytest.mark.parametrize(
    ("changes", "days"),
    [({"params": None}, 7), ({"params": {"ttl": "86400"}}, 1), ({"params": {"ttl": "99999999"}}, 30)],
)
async def test_a_channel_lives_as_long_as_google_grants(
    google: GoogleClient, changes: dict[str, Any], days: int
) -> None:
    """Seven days by default, what was asked for, and never more than the most; in milliseconds as text."""
    answer = (await watch(google, **changes)).json

    assert isinstance(answer["expiration"], str)
    assert int(answer["expiration"]) / 1000 - time.time() == pytest.approx(days * 86_400, abs=5)


async def test_an_expired_channel_is_silent(sandbox: Sandbox, google: GoogleClient, receiver: Receiver) -> None:
    """No notification after its expiration."""
    await watch(google)
    await sandbox.settle()
    [made] = sandbox.google.push.live(AMY)
    made.expires = time.time()
    sandbox.google.push.changed(AMY)
    await sandbox.settle()

    assert len(receiver.posted) == 1
    assert sandbox.google.push.live() == []


async def test_the_resource_id_is_the_calendars(google: GoogleClient, sandbox: Sandbox) -> None:
    """All channels of a calendar share it; another calendar's is another."""
    sandbox.google.add_calendar("second@example.com", owner=AMY)
    same = [(await watch(google)).json["resourceId"] for _ in range(2)]
    other = (await google.call("POST", "/calendars/second%40example.com/events/watch", body=channel())).json

    assert same[0] == same[1] != other["resourceId"]


async def test_stop_ends_a_channel_once(sandbox: Sandbox, google: GoogleClient, receiver: Receiver) -> None:
    """204, then 404; nothing is sent any more, but for stragglers on demand."""
    made = (await watch(google)).json
    await sandbox.settle()
    body = {"id": made["id"], "resourceId": made["resourceId"]}
    answers = [await google.call("POST", "/channels/stop", body=body) for _ in range(2)]
    sandbox.google.push.changed(AMY)
    sandbox.google.notify.after_stop = 1
    sandbox.google.push.changed(AMY)
    await sandbox.settle()

    assert [answer.status for answer in answers] == [204, 404]
    assert answers[1].reason == "notFound"
    assert len(receiver.posted) == 2


async def test_only_its_maker_can_stop_a_channel(sandbox: Sandbox, google: GoogleClient) -> None:
    """Other credentials, a wrong resource id and an unknown id are all 404."""
    sandbox.add_agent("ben@example.com")
    made = (await watch(google)).json
    right = {"id": made["id"], "resourceId": made["resourceId"]}
    others = [
        await google.call("POST", "/channels/stop", body=right, token=await google.token("ben@example.com")),
        await google.call("POST", "/channels/stop", body={**right, "resourceId": "x"}),
        await google.call("POST", "/channels/stop", body={**right, "id": "x"}),
    ]
    missing = await google.call("POST", "/channels/stop", body={"id": made["id"]})

    assert [answer.status for answer in others] == [404, 404, 404]
    assert missing.status == 400


@pytest.mark.parametrize(("status", "attempts"), [(500, 2), (502, 2), (503, 2), (504, 2), (429, 1), (404, 1)])
async def test_only_some_answers_are_retried(
    sandbox: Sandbox, google: GoogleClient, receiver: Receiver, status: int, attempts: int
) -> None:
    """500, 502, 503 and 504 are tried again with the same number; anything else is lost."""
    sandbox.google.notify.retry_delays = (0.01, 0.01)
    receiver.answers = [status]
    await watch(google)
    await sandbox.settle()

    assert len(receiver.posted) == attempts
    assert {posted.headers["X-Goog-Message-Number"] for posted in receiver.posted} == {"1"}


async def test_notifications_can_be_lost_doubled_and_late(
    sandbox: Sandbox, google: GoogleClient, receiver: Receiver
) -> None:
    """The knobs for the next ones."""
    await watch(google)
    await sandbox.settle()
    knobs = sandbox.google.notify
    knobs.drop = 1
    sandbox.google.push.changed(AMY)
    await sandbox.settle()
    dropped = len(receiver.posted)
    knobs.duplicate, knobs.delay, begun = 1, 0.05, time.time()
    sandbox.google.push.changed(AMY)
    await sandbox.settle()

    assert dropped == 1
    assert len(receiver.posted) == 3
    assert receiver.posted[1].headers["X-Goog-Message-Number"] == receiver.posted[2].headers["X-Goog-Message-Number"]
    assert receiver.posted[1].at - begun >= 0.05
    assert [note.dropped for note in sandbox.google.push.notifications] == [False, True, False, False]


async def test_sync_can_come_before_the_answer(sandbox: Sandbox, google: GoogleClient, receiver: Receiver) -> None:
    """The daemon must know its channel by then."""
    sandbox.google.notify.sync_first = True
    await watch(google)

    assert len(receiver.posted) == 1


async def test_other_origins_are_undeliverable(sandbox: Sandbox, google: GoogleClient) -> None:
    """Nothing but loopback is ever contacted."""
    await watch(google, address="https://elsewhere.example.com/hook")
    await sandbox.settle()

    assert sandbox.postman.undeliverable == ["https://elsewhere.example.com/hook"]
    with pytest.raises(ValueError, match="loopback"):
        sandbox.deliver_to = "http://192.0.2.1:80"


async def test_tokens_are_not_in_reprs(sandbox: Sandbox, google: GoogleClient) -> None:
    """What tests print holds no secrets."""
    await watch(google)

    assert "k1.secret" not in repr(sandbox.google.push.channels)
    assert "k1.secret" not in repr(sandbox.google.requests)
    assert "k1.secret" in json.dumps(sandbox.google.requests[-1].json)
