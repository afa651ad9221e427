"""What the strips are drawn from: what was, what will be, and what was really set, from the running daemon."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp

from calsyncd.core.plan import SETTLE_SECONDS
from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.world import Sandbox
from tests.acceptance.conftest import Launch
from tests.acceptance.running import Running, command

AMY, BEN = "amy@example.com", "ben@example.com"
TITLE = "Nobody may read this"


async def ask(daemon: Running, path: str) -> Any:
    """The answer's JSON."""
    async with aiohttp.ClientSession() as session, session.get(daemon.admin + path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


def put(sandbox: Sandbox, who: str, start: float, end: float, **more: Any) -> str:
    """An event's id."""
    times = {"start": {"dateTime": second(start)}, "end": {"dateTime": second(end)}}
    return str(sandbox.google.insert(who, {"summary": TITLE, **times, **more})["id"])


async def test_a_timeline_tells_events_spans_and_settings(sandbox: Sandbox, launch: Launch) -> None:
    """Which events count and why not, the union of those that do, and each setting with who had made it."""
    for who, user in ((AMY, 1), (BEN, 2)):
        sandbox.add_agent(who, user_id=user, zone="America/New_York" if who == BEN else "UTC")
    now = float(int(time.time()))
    counted = put(sandbox, AMY, now - 600, now + 5)
    free = put(sandbox, AMY, now - 60, now + 900, transparency="transparent")
    declined = put(sandbox, AMY, now + 60, now + 120, attendees=[{"email": AMY, "responseStatus": "declined"}])
    daemon = await launch([AMY, BEN])
    await daemon.until(AMY, state="held")
    await daemon.until(AMY, state="idle")

    amy = await ask(daemon, f"/api/v1/agents/{AMY}/timeline?from={second(now - 3600)}&to={second(now + 3600)}")

    assert {one["id"]: one["why_not"] for one in amy["events"]} == {
        counted: None,
        free: "shown as free",
        declined: "declined",
    }
    assert {one["calendar"] for one in amy["events"]} == {"primary"}
    assert [(one["event"], one["wanted"]["availability_status"]) for one in amy["spans"]] == [(counted, "unavailable")]
    assert [(one["availability_status"], one["actor"]) for one in amy["set"]] == [
        (None, None),
        ("available", "aircall"),
        ("unavailable", "calsyncd"),
        ("available", "calsyncd"),
    ]
    assert amy["set"][-1]["end"] <= amy["now"]
    inside = amy["set"][2]
    window = f"from={inside['end'].replace('Z', '%2B00:00')}&to={second(now + 3600)}"
    assert (await ask(daemon, f"/api/v1/agents/{AMY}/timeline?{window}"))["set"][0]["actor"] == "calsyncd"
    assert TITLE not in str(amy)
    await why(daemon, now, (counted, free, declined))

    await asyncio.sleep(SETTLE_SECONDS)
    sandbox.aircall.set_by_hand(1, "unavailable")
    await daemon.until(AMY, setting={"availability_status": "unavailable", "substatus": "always_closed"})
    await daemon.logged("changed_in_aircall")
    everybody = await ask(daemon, "/api/v1/timelines")
    days = {one["email"]: one for one in everybody["timelines"]}
    assert (days[AMY]["set"][-1]["availability_status"], days[AMY]["set"][-1]["actor"]) == ("unavailable", "aircall")
    for who, zone in ((AMY, "UTC"), (BEN, "America/New_York")):
        begins = datetime.fromisoformat(days[who]["from"]).astimezone(ZoneInfo(zone))
        assert (begins.hour, begins.minute) == (0, 0)
        assert begins <= datetime.now(UTC)

    day = await ask(daemon, f"/api/v1/agents/{BEN}/timeline?day=2026-11-01")
    assert (day["from"], day["to"]) == ("2026-11-01T04:00:00.000Z", "2026-11-02T05:00:00.000Z")
    assert day["zone"] == "America/New_York"


async def why(daemon: Running, began: float, events: tuple[str, str, str]) -> None:
    """The answer to "why?" about a second in the meeting, about now and about later; nothing in it tells a title."""
    counted, free, declined = events
    where = f"/api/v1/agents/{AMY}/explain"
    now = await ask(daemon, where)
    ahead = await ask(daemon, f"{where}?at={second(began + 90)}")
    made = now["setting"]["made"]
    held = await ask(daemon, f"{where}?at={made['after']}")
    status, printed, _ = await command("explain", AMY, "--at", made["after"], "--config", str(daemon.config))

    assert (now["tense"], now["stance"]["name"], now["setting"]["sure"]) == ("now", "free", True)
    assert now["sentences"][0].startswith("Available since ")
    assert {one["id"]: (one["counts"], one["why"]) for one in now["events"]} == {
        counted: (True, "busy"),
        free: (False, "shown as free"),
        declined: (False, "declined"),
    }
    assert (held["tense"], held["setting"]["availability_status"], held["stance"]["name"]) == (
        "past",
        "unavailable",
        "held",
    )
    assert (held["setting"]["made"]["event"], held["stance"]["back"]) == (counted, "available")
    assert held["setting"]["next"]["outcome"] == "done"
    assert "Before: available." in held["sentences"][1]
    assert (ahead["tense"], ahead["wanted"]) == ("future", None)
    assert (status, printed.splitlines()) == (0, held["sentences"])
    assert TITLE not in f"{now} {held} {ahead}"


async def test_the_past_survives_a_restart(sandbox: Sandbox, launch: Launch) -> None:
    """The history is in the database; what changed while the daemon was down is told as somebody's doing."""
    sandbox.add_agent(AMY, user_id=1)
    now = float(int(time.time()))
    put(sandbox, AMY, now - 60, now + 5)
    daemon = await launch([AMY])
    await daemon.until(AMY, state="held")
    await daemon.until(AMY, state="idle")
    await asyncio.sleep(0.5)
    assert await daemon.stop() == 0
    sandbox.aircall.set_by_hand(1, "unavailable")
    await daemon.start()
    # Once a second look has shown that no call is behind it.
    await daemon.logged("changed_in_aircall")

    told = await ask(daemon, f"/api/v1/agents/{AMY}/timeline?from={second(now - 60)}&to={second(now + 60)}")

    assert [(one["availability_status"], one["actor"]) for one in told["set"]] == [
        (None, None),
        ("available", "aircall"),
        ("unavailable", "calsyncd"),
        ("available", "calsyncd"),
        ("unavailable", "aircall"),
    ]
