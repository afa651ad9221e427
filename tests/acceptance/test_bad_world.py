"""What the services and strangers do wrong, and that nobody else suffers for it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.conftest import Launch
from tests.acceptance.running import command
from tests.acceptance.test_life import AMY, BOB, meeting, statuses

HTML = "<html>Sorry</html>"


async def test_one_agents_trouble_is_their_own(sandbox: Sandbox, launch: Launch) -> None:
    """An unknown Aircall user, a calendar without access, an unknown person: each has trouble, the others go on."""
    for number in range(1, 5):
        sandbox.add_agent(f"ok{number}@example.com", user_id=number)
    sandbox.google.add_user("ghost@example.com")
    sandbox.aircall.add_user("stranger@example.com", user_id=21)
    sandbox.add_agent("locked@example.com", user_id=22)
    sandbox.google.add_calendar("team@group.example.com", owner="ok1@example.com")
    meeting(sandbox, "ok1@example.com", -60, 3600)
    agents: list[Any] = [f"ok{number}@example.com" for number in range(1, 5)]
    agents += ["ghost@example.com", "stranger@example.com"]
    agents.append({"email": "locked@example.com", "calendars": ["primary", "team@group.example.com"]})

    daemon = await launch(agents)
    await daemon.until("ok1@example.com", state="held")
    await daemon.logged("sync_failed", calendar="locked@example.com/team@group.example.com")
    ghost = await daemon.until("ghost@example.com", state="suspended")
    seen = await daemon.agents()
    status, out, _ = await command("status", "--config", str(daemon.config))

    assert ghost["trouble"]["code"] == "aircall_user_unknown"
    assert seen["stranger@example.com"]["trouble"]["code"] == "invalid_grant"
    locked = {calendar["id"]: calendar["trouble"] for calendar in seen["locked@example.com"]["calendars"]}
    assert locked["primary"] is None
    assert locked["team@group.example.com"]["code"] == "calendar_gone"
    assert {"idle"} == {seen[f"ok{number}@example.com"]["state"] for number in (2, 3, 4)}
    assert status == 0
    assert "there is no such Aircall user" in out


async def test_delegation_revoked(sandbox: Sandbox, launch: Launch) -> None:
    """Without delegation each calendar says so and what to do; what is held runs to its known end."""
    sandbox.add_agent(AMY, user_id=1)
    meeting(sandbox, AMY, -60, 6)
    daemon = await launch([AMY])
    await daemon.until(AMY, state="held")
    sandbox.google.tokens.delegated = False
    sandbox.google.revoke_tokens()

    status, _, _ = await command("sync", AMY, "--config", str(daemon.config))
    troubled = (await daemon.agents())[AMY]
    await daemon.logged("released")

    assert status == 1
    assert (troubled["state"], troubled["trouble"]["code"]) == ("held", "delegation")
    assert "domain-wide delegation" in troubled["trouble"]["do"]
    assert [("api", "unavailable"), ("api", "available")] == statuses(sandbox, 1)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 200, "body": HTML, "content_type": "text/html"},
        {"status": 200, "body": '{"items": [{"id": "x", "sta'},
        {"status": 200, "body": {"error": {"code": 500}}},
        {"status": 200, "body": {"items": "many", "nextSyncToken": "t"}},
        {"status": 200, "body": {"items": [], "nextPageToken": "again"}},
        {"status": 503, "body": HTML},
        {"status": 403, "reason": "rateLimitExceeded"},
        {"status": 404, "reason": "notFound"},
    ],
    ids=["html", "torn", "error-in-200", "wrong-type", "page-loop", "503", "rate", "404"],
)
async def test_malformed_answers_of_google(sandbox: Sandbox, launch: Launch, fault: dict[str, Any]) -> None:
    """Whatever Google answers instead of events, what is stored stays in force, and it is named."""
    sandbox.add_agent(AMY, user_id=1)
    meeting(sandbox, AMY, -60, 3600)
    daemon = await launch([AMY])
    await daemon.until(AMY, state="held")
    sandbox.google.fail("GET .*/events", times=None, **fault)

    status, _, _ = await command("sync", AMY, "--config", str(daemon.config))
    await command("sync", AMY, "--config", str(daemon.config))
    agent = (await daemon.agents())[AMY]

    assert status in (0, 1)
    assert agent["state"] == "held"
    assert agent["calendars"][0]["trouble"] is not None
    assert [("api", "unavailable")] == statuses(sandbox, 1)


async def test_lost_token_in_a_meeting(sandbox: Sandbox, launch: Launch) -> None:
    """410 in a meeting: the old set stays in force, a baseline follows, and nobody notices."""
    sandbox.add_agent(AMY, user_id=1)
    event = meeting(sandbox, AMY, -60, 3600)
    daemon = await launch([AMY])
    await daemon.until(AMY, state="held")

    sandbox.google.expire_sync_tokens()
    status, _, _ = await command("sync", AMY, "--config", str(daemon.config))
    await daemon.logged("sync_done", kind="baseline", cause="hand")
    before = statuses(sandbox, 1)
    sandbox.google.delete(AMY, event)
    await daemon.logged("released")

    assert status == 0
    assert [("api", "unavailable")] == before


async def test_empty_baseline_is_doubted(sandbox: Sandbox, launch: Launch) -> None:
    """A baseline that comes back empty where events were known changes nobody at first."""
    sandbox.add_agent(AMY, user_id=1)
    meeting(sandbox, AMY, -60, 3600)
    daemon = await launch([AMY])
    await daemon.until(AMY, state="held")
    sandbox.google.expire_sync_tokens()
    sandbox.google.fail(
        "GET .*timeMin", times=None, status=200, body={"items": [], "timeZone": "UTC", "nextSyncToken": "t"}
    )

    await command("sync", AMY, "--config", str(daemon.config))
    await daemon.logged("sync_doubted")
    await command("sync", AMY, "--config", str(daemon.config))

    assert (await daemon.agents())[AMY]["state"] == "held"
    assert [("api", "unavailable")] == statuses(sandbox, 1)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503, "body": HTML},
        {"status": 500, "body": ""},
        {"cut": True, "times": 2},
        {"cut": True, "times": 2, "landed": True},
        {"status": 429, "body": {"error": "Too Many Requests"}, "headers": {"Retry-After": "1"}},
        {"status": 200, "body": HTML, "content_type": "text/html", "landed": True},
    ],
    ids=["503", "500", "reset", "lost-answer", "429", "html-200"],
)
async def test_updates_that_fail(sandbox: Sandbox, launch: Launch, fault: dict[str, Any]) -> None:
    """An update that fails, or whose answer is lost, is settled within seconds, at both ends of a meeting."""
    sandbox.add_agent(AMY, user_id=1, status="custom")
    daemon = await launch([AMY])
    await daemon.until(AMY, state="idle")
    sandbox.aircall.fail("PUT", **fault)
    meeting(sandbox, AMY, 1, 7)
    await asyncio.sleep(5)
    in_meeting = sandbox.aircall.setting(1).status
    sandbox.aircall.fail("PUT", **fault)
    async with asyncio.timeout(15):
        while sandbox.aircall.setting(1).status != "custom":
            await asyncio.sleep(0.05)

    assert in_meeting == "unavailable"
    assert [("api", "unavailable"), ("api", "custom")] == [
        (entry.by, entry.after.status) for entry in sandbox.aircall.log if entry.is_change
    ]


async def test_aircall_accepts_and_does_nothing(sandbox: Sandbox, launch: Launch) -> None:
    """A 200 with another status than asked is looked at after five seconds and sent again."""
    sandbox.add_agent(AMY, user_id=1)
    daemon = await launch([AMY])
    await daemon.until(AMY, state="idle")
    sandbox.aircall.switches.disobey = 1
    meeting(sandbox, AMY, 1, 3600)

    await daemon.logged("update_not_taken")
    await daemon.until(AMY, state="held")
    await daemon.logged("held")

    assert sandbox.aircall.setting(1).status == "unavailable"


async def test_old_users_api(sandbox: Sandbox, launch: Launch) -> None:
    """Where v2 does not know the update and v1 does, v1 is used and said loudly."""
    sandbox.add_agent(AMY, user_id=1)
    sandbox.aircall.switches.v2_update = 405
    sandbox.aircall.switches.v1_users = None
    meeting(sandbox, AMY, -60, 3600)

    daemon = await launch([AMY])
    await daemon.until(AMY, state="held")

    assert "v1" in (await daemon.logged("aircall_api"))["event"]
    assert sandbox.aircall.setting(1).status == "unavailable"


async def test_in_a_call_is_not_by_hand(sandbox: Sandbox, launch: Launch) -> None:
    """An agent who reads as unavailable because of a call is held, and comes back to what they had before it."""
    sandbox.add_agent(AMY, user_id=1, status="custom")
    daemon = await launch([AMY])
    await daemon.until(AMY, state="idle")
    sandbox.aircall.switches.calls_read_unavailable = True
    sandbox.aircall.set_live(1, "in_call")

    meeting(sandbox, AMY, 1, 5)
    held = await daemon.until(AMY, state="held")
    await daemon.logged("released")

    assert held["hold"]["back"]["availability_status"] == "custom"
    sandbox.aircall.set_live(1, None)
    assert sandbox.aircall.setting(1).status == "custom"


async def test_crowd_keeps_the_budget(sandbox: Sandbox, launch: Launch) -> None:
    """More updates than the minute allows: never more than the budget in any sixty seconds, and no 429."""
    emails = [f"a{number:02}@example.com" for number in range(30)]
    for number, email in enumerate(emails, 1):
        sandbox.add_agent(email, user_id=number)
    daemon = await launch(emails, aircall={"requests_per_minute": 20})
    now = time.time()
    for email in emails:
        meeting(sandbox, email, 8, 3600)
    await asyncio.sleep(max(0.0, now + 14 - time.time()))

    sent = [request.at for request in sandbox.aircall.requests]
    done = {entry.user for entry in sandbox.aircall.log if entry.by == "api"}
    assert len(sent) <= 20
    assert 429 not in {request.status for request in sandbox.aircall.requests}
    assert 15 <= len(done) <= 20
    assert "pending" in {agent["state"] for agent in (await daemon.agents()).values()}


async def post(daemon_url: str, headers: dict[str, str], body: bytes = b"") -> int:
    """The status of a notification."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{daemon_url}/webhooks/google/notifications", headers=headers, data=body) as answer,
    ):
        assert await answer.read() == b""
        return answer.status


async def test_strangers_at_the_webhook(sandbox: Sandbox, launch: Launch) -> None:
    """Forged, malformed and replayed messages change nothing, are counted, and keep no boundary waiting."""
    sandbox.add_agent(AMY, user_id=1)
    sandbox.add_agent(BOB, user_id=2)
    daemon = await launch([AMY, BOB])
    await daemon.logged("channel_opened", calendar=f"{AMY}/primary")
    await sandbox.settle()
    channel = sandbox.google.push.live(AMY)[0]
    public = str(sandbox.deliver_to)
    await asyncio.sleep(2.5)
    fetches = len([r for r in sandbox.google.requests if r.path.endswith("/events")])
    genuine = {
        "X-Goog-Channel-ID": channel.id,
        "X-Goog-Channel-Token": channel.token or "",
        "X-Goog-Resource-State": "exists",
        "X-Goog-Resource-ID": channel.resource_id,
        "X-Goog-Message-Number": "99",
    }
    meeting(sandbox, BOB, 3, 3600)

    forged = [await post(public, {**genuine, "X-Goog-Channel-Token": f"c1.{n}"}) for n in range(300)]
    unknown = await post(public, {**genuine, "X-Goog-Channel-ID": "nobody"})
    bare = await post(public, {})
    replayed = [await post(public, genuine) for _ in range(100)]
    held = await daemon.logged("held", agent=BOB)
    await asyncio.sleep(2.5)
    async with aiohttp.ClientSession() as session, session.get(f"{daemon.admin}/metrics") as answer:
        metrics = await answer.text()

    assert {404} == {*forged, unknown, bare}
    assert {200} == set(replayed)
    of_amy = [
        r
        for r in sandbox.google.requests
        if r.path.endswith("/events") and r.param("quotaUser") == sandbox.google.requests[-1].param("quotaUser")
    ]
    assert len([r for r in sandbox.google.requests if r.path.endswith("/events")]) - fetches <= 5, of_amy
    assert held["late_ms"] < 500
    assert 'calsyncd_notifications_total{result="unknown"} 301.0' in metrics
    assert 'calsyncd_notifications_total{result="malformed"} 1.0' in metrics


async def test_notification_during_a_fetch(sandbox: Sandbox, launch: Launch) -> None:
    """A change that is told while a fetch is under way leads to another fetch."""
    sandbox.add_agent(AMY, user_id=1)
    daemon = await launch([AMY])
    await daemon.logged("channel_opened")
    await asyncio.sleep(3)
    sandbox.google.fail("GET .*/events", times=1, delay=1.5)
    meeting(sandbox, AMY, 3600, 3700)
    await asyncio.sleep(0.5)

    meeting(sandbox, AMY, -60, 3600)
    await daemon.until(AMY, state="held")

    assert sandbox.aircall.setting(1).status == "unavailable"


async def test_without_push(sandbox: Sandbox, launch: Launch) -> None:
    """Without a public URL no channel is opened, calendars say that push is off, and `sync` finds changes."""
    sandbox.add_agent(AMY, user_id=1)
    daemon = await launch([AMY], push=False)
    await daemon.until(AMY, state="idle")
    meeting(sandbox, AMY, -60, 3600)

    status, out, _ = await command("sync", AMY, "--config", str(daemon.config))
    agent = await daemon.until(AMY, state="held")

    assert status == 0
    assert AMY in out
    assert agent["calendars"][0]["push"] == "off"
    assert not [request for request in sandbox.google.requests if "watch" in request.path]


async def test_key_is_rejected(sandbox: Sandbox, launch: Launch) -> None:
    """A rejected key is everybody's visible trouble and is not hammered on; who is held stays written down."""
    sandbox.add_agent(AMY, user_id=1)
    sandbox.add_agent(BOB, user_id=2)
    daemon = await launch([AMY, BOB])
    await daemon.until(AMY, state="idle")
    sandbox.aircall.fail(times=None, status=403, body={"message": "Forbidden"})
    before = len(sandbox.aircall.requests)

    meeting(sandbox, AMY, 1, 3600)
    meeting(sandbox, BOB, 1, 3600)
    await daemon.logged("trouble_raised", code="aircall_credentials")
    await asyncio.sleep(4)
    agents = await daemon.agents()

    assert {agent["trouble"]["code"] for agent in agents.values()} == {"aircall_credentials"}
    assert "aircall.api_id" in agents[AMY]["trouble"]["do"]
    assert len(sandbox.aircall.requests) - before <= 3


async def test_error_in_a_200(sandbox: Sandbox, launch: Launch) -> None:
    """A 200 to an update that holds an error is no answer: the setting is looked at, and sent again."""
    sandbox.add_agent(AMY, user_id=1)
    daemon = await launch([AMY])
    await daemon.until(AMY, state="idle")
    sandbox.aircall.fail("PUT", status=200, body={"error": "Something went wrong"})
    meeting(sandbox, AMY, -60, 3600)

    await daemon.logged("update_failed", code="malformed")
    await daemon.logged("held")

    assert statuses(sandbox, 1) == [("api", "unavailable")]
