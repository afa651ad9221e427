"""Aircall tells of changes made by hand: seen at once, told once, and right without it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from calsyncd.core.webhooks import EVENTS
from calsyncd.sandbox.aircall_webhooks import Webhook
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.world import Sandbox
from tests.acceptance.conftest import Launch
from tests.acceptance.running import Running, command
from tests.acceptance.test_life import AMY, BOB, meeting, statuses

URL = f"{PUBLIC_ORIGIN}/webhooks/aircall"
SETTLE_SECONDS = 5.2
AT_ONCE_SECONDS = 1.0


def hooks(sandbox: Sandbox) -> list[Webhook]:
    """The webhooks that lead to the daemon."""
    return [webhook for webhook in sandbox.aircall.webhooks.by_id.values() if webhook.url == URL]


def asked(sandbox: Sandbox, method: str, part: str, since: float = 0.0) -> int:
    """How many requests of this kind Aircall has had."""
    requests = sandbox.aircall.requests
    return sum(one.method == method and part in one.path and one.at >= since for one in requests)


async def shown(daemon: Running, status: str) -> float:
    """How long it takes until the page shows this setting of Amy's."""
    began = time.monotonic()
    async with asyncio.timeout(20):
        while ((await daemon.agents())[AMY]["setting"] or {}).get("availability_status") != status:
            await asyncio.sleep(0.02)
    return time.monotonic() - began


async def test_changes_by_hand_are_seen_at_once(sandbox: Sandbox, launch: Launch) -> None:
    """Before a meeting and in one, each for one look; our own updates' echoes cost none."""
    sandbox.add_agent(AMY, user_id=1)
    daemon = await launch([AMY])
    await daemon.logged("webhook_ready", how="made")
    await daemon.until(AMY, state="idle")
    sandbox.aircall.set_by_hand(1, "unavailable")
    before = await shown(daemon, "unavailable")
    sandbox.aircall.set_by_hand(1, "custom")
    await shown(daemon, "custom")
    looks_before = asked(sandbox, "GET", "/users/1")
    await sandbox.settle()
    delivered = len(sandbox.aircall.webhooks.deliveries)

    meeting(sandbox, AMY, -60, 3600)
    await daemon.until(AMY, state="held")
    held_at = time.time()
    await asyncio.sleep(SETTLE_SECONDS)
    await sandbox.settle()
    echoes = [(one.event, one.status) for one in sandbox.aircall.webhooks.deliveries[delivered:]]
    looks_for_echo = asked(sandbox, "GET", "/users/1", held_at)
    began = time.monotonic()
    sandbox.aircall.set_by_hand(1, "available")
    overridden = await daemon.until(AMY, state="overridden")
    took = time.monotonic() - began
    await asyncio.sleep(6)

    assert before < AT_ONCE_SECONDS
    assert took < AT_ONCE_SECONDS
    assert looks_before == 2
    assert (echoes, looks_for_echo) == ([("user.closed.v2", 200)], 0)
    assert asked(sandbox, "GET", "/users/1", held_at) == 1
    assert overridden["override"]["until"] is not None
    assert [one for one in statuses(sandbox, 1) if one[0] == "api"] == [("api", "unavailable")]
    assert not any(hooks(sandbox)[0].token in line for line in daemon.raw)


async def test_doubled_and_late_messages_change_nothing(sandbox: Sandbox, launch: Launch) -> None:
    """Two closings for each, everything delivered twice, and late: two updates for the meeting, and no other."""
    sandbox.add_agent(AMY, user_id=1)
    sandbox.aircall.switches.substatuses_on = True
    sandbox.aircall.notify.duplicate = 1000
    sandbox.aircall.notify.delay = 0.8
    daemon = await launch([AMY])
    await daemon.logged("webhook_ready")
    meeting(sandbox, AMY, 1, 8)
    await daemon.logged("released")
    await asyncio.sleep(3)

    assert [("api", "unavailable"), ("api", "available")] == statuses(sandbox, 1)
    assert len(sandbox.aircall.webhooks.deliveries) >= 6
    assert asked(sandbox, "GET", "/users/1") <= 4


async def test_silent_webhooks_cost_only_time(sandbox: Sandbox, launch: Launch) -> None:
    """Every message is lost: the looks before the boundaries see what the agent chose.

    Two seconds before the end a read that lags cannot be ruled out: the way back is sent, and changes nothing.
    """
    sandbox.add_agent(AMY, user_id=1)
    sandbox.add_agent(BOB, user_id=2)
    sandbox.aircall.notify.drop = 1000
    daemon = await launch([AMY, BOB])
    await daemon.logged("webhook_ready")
    meeting(sandbox, AMY, -60, 12)
    meeting(sandbox, BOB, 8, 3600)
    await daemon.until(AMY, state="held")
    sandbox.aircall.set_by_hand(2, "unavailable")
    await asyncio.sleep(SETTLE_SECONDS)
    sandbox.aircall.set_by_hand(1, "available")
    left = await daemon.until(BOB, state="left_alone")
    await daemon.logged("changed_in_aircall", agent=AMY)
    await daemon.until(AMY, state="idle")

    assert left["setting"]["availability_status"] == "unavailable"
    assert [("api", "unavailable"), ("hand", "available"), ("api", "available")] == statuses(sandbox, 1)
    assert [("hand", "unavailable")] == statuses(sandbox, 2)


async def test_registered_once_over_restarts(sandbox: Sandbox, launch: Launch) -> None:
    """The second start finds it; one that Aircall has switched off meanwhile is switched on again."""
    sandbox.add_agent(AMY, user_id=1)
    daemon = await launch([AMY])
    await daemon.logged("webhook_ready", how="made")
    [made] = hooks(sandbox)
    await daemon.kill()
    seen = len(daemon.lines)
    await daemon.start()
    await daemon.logged("webhook_ready", since=seen, how="found")
    await daemon.stop()
    made.active = False
    seen = len(daemon.lines)
    await daemon.start()
    await daemon.logged("webhook_ready", since=seen, how="switched on")
    sandbox.aircall.set_by_hand(1, "unavailable")
    took = await shown(daemon, "unavailable")

    assert hooks(sandbox) == [made]
    assert (made.active, set(made.events), asked(sandbox, "POST", "/webhooks")) == (True, set(EVENTS), 1)
    assert took < AT_ONCE_SECONDS


async def test_taken_over_and_removed(sandbox: Sandbox, prepare: Callable[..., Running], launch: Launch) -> None:
    """Ours is what leads to us: one stays, with our events; `release --all` removes it, `resume` brings it back."""
    sandbox.add_agent(AMY, user_id=1)
    everything = sandbox.aircall.webhooks.add({"url": URL, "custom_name": "by hand"})
    sandbox.aircall.webhooks.add({"url": URL, "events": ["user.closed"]})
    other = sandbox.aircall.webhooks.add({"url": "https://crm.example.com/hook"})
    meeting(sandbox, AMY, -60, 3600)
    daemon = await launch([AMY])
    ready = await daemon.logged("webhook_ready", how="mended")
    await daemon.until(AMY, state="held")
    async with asyncio.timeout(5):
        while len(hooks(sandbox)) > 1:
            await asyncio.sleep(0.02)
    kept = [(one.id, set(one.events)) for one in hooks(sandbox)]

    status, _, _ = await command("release", "--all", "--config", str(daemon.config))
    after_release = hooks(sandbox)
    released = sandbox.aircall.setting(1).status
    await command("resume", "--all", "--config", str(daemon.config))
    await daemon.logged("webhook_ready", how="made")
    brought_back = len(hooks(sandbox))
    await daemon.until(AMY, state="held")
    await daemon.kill()
    alone, _, _ = await command("release", "--all", "--config", str(daemon.config))

    assert kept == [(ready["webhook"], set(EVENTS))]
    assert ready["webhook"] == everything.id
    assert (status, after_release, released) == (0, [], "available")
    assert (brought_back, alone, hooks(sandbox)) == (1, 0, [])
    assert sandbox.aircall.setting(1).status == "available"
    assert list(sandbox.aircall.webhooks.by_id) == [other.id]


async def test_a_key_that_may_not_is_no_trouble(sandbox: Sandbox, launch: Launch) -> None:
    """403 to webhooks alone: said once, nobody has trouble, and meetings are held."""
    sandbox.add_agent(AMY, user_id=1)
    sandbox.aircall.fail("/webhooks", times=None, status=403)
    meeting(sandbox, AMY, -60, 3600)

    daemon = await launch([AMY])
    failed = await daemon.logged("webhook_failed")
    held = await daemon.until(AMY, state="held")
    status, _, _ = await command("release", "--all", "--config", str(daemon.config))

    assert (failed["code"], held["trouble"], status) == ("credentials", None, 0)
    assert sandbox.aircall.setting(1).status == "available"


async def test_none_without_an_address_or_where_it_is_not_wanted(sandbox: Sandbox, launch: Launch) -> None:
    """No public_url, or `webhooks: false`: nothing is asked, and messages are nobody's."""
    sandbox.add_agent(AMY, user_id=1)
    daemon = await launch([AMY], push=False)
    await daemon.until(AMY, state="idle")
    await daemon.stop()
    unwanted = await launch([AMY], aircall={"webhooks": False})
    await unwanted.until(AMY, state="idle")
    sandbox.aircall.webhooks.add({"url": URL, "events": ["user.closed.v2"]})
    sandbox.aircall.notify.retry_delays = ()
    sandbox.aircall.set_by_hand(1, "unavailable")
    await sandbox.settle()

    assert asked(sandbox, "GET", "/webhooks") + asked(sandbox, "POST", "/webhooks") == 0
    assert [one.status for one in sandbox.aircall.webhooks.deliveries] == [404]


async def test_whoever_joins_is_bound_at_once(sandbox: Sandbox, launch: Launch) -> None:
    """An agent without an Aircall user gets one: their meeting is held within moments."""
    sandbox.add_agent(AMY, user_id=1)
    sandbox.google.add_user(BOB)
    meeting(sandbox, BOB, -60, 3600)
    daemon = await launch([AMY, BOB])
    await daemon.logged("webhook_ready")
    await daemon.until(BOB, state="suspended")

    sandbox.aircall.add_user(BOB, user_id=2)
    await daemon.until(BOB, state="held")

    assert [("api", "unavailable")] == statuses(sandbox, 2)


async def test_a_change_that_does_not_stand_is_put_again(sandbox: Sandbox, launch: Launch) -> None:
    """As the company's settings say; for an agent who has another rule, it stands."""
    for user, email in ((1, AMY), (2, BOB)):
        sandbox.add_agent(email, user_id=user)
        meeting(sandbox, email, -60, 3600)
    bob = {"email": BOB, "rules": {"on_manual_change": "respect"}}
    daemon = await launch([AMY, bob], rules={"on_manual_change": "enforce"})
    await daemon.logged("webhook_ready")
    for email in (AMY, BOB):
        await daemon.until(email, state="held")
    await asyncio.sleep(SETTLE_SECONDS)

    for user in (1, 2):
        sandbox.aircall.set_by_hand(user, "available")
    line = await daemon.logged("enforced")
    await daemon.until(BOB, state="overridden")
    amy = await daemon.until(AMY, state="held")

    assert line["agent"] == AMY
    assert [sandbox.aircall.setting(user).status for user in (1, 2)] == ["unavailable", "available"]
    assert "Put again after a change by hand" in amy["reason"]
