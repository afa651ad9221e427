"""Titles are private: a planted one is looked for wherever a daemon writes, answers, or falls."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from pathlib import Path
from typing import Any

import aiohttp

from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.world import Sandbox
from tests.acceptance.conftest import Launch
from tests.acceptance.running import Running, command

AMY = "amy@example.com"
PLANTED = "Zqxvorm-merger-with-Initech"
COMMANDS = (
    ("status",),
    ("status", "--json"),
    ("sync", AMY),
    ("timeline", AMY),
    ("timeline", AMY, "--json"),
    ("explain", AMY),
    ("explain", AMY, "--json"),
    ("history", AMY),
    ("history", AMY, "--json"),
    ("history", AMY, "--csv"),
)
PAGES = ("/", "/api/v1/agents", "/api/v1/timelines", "/api/v1/history", "/api/v1/outage", "/metrics", "/readyz")
OF_AGENT = ("", "/timeline", "/explain")


def finds(where: dict[str, bytes]) -> list[str]:
    """Where a part of the title stands, whatever its case.

    No part is so short that it may stand by chance in the random names of channels and tokens.
    """
    parts = [word.encode() for word in ("zqxvorm", "merger", "initech")]
    return [name for name, content in where.items() if any(part in content.lower() for part in parts)]


async def answers(daemon: Running, window: str) -> dict[str, bytes]:
    """What the admin server says, by path; of timelines, that of this window too."""
    found = {}
    async with aiohttp.ClientSession() as session:
        for path in [*PAGES, *(f"/api/v1/agents/{AMY}{part}" for part in (*OF_AGENT, window))]:
            async with session.get(daemon.admin + path) as answer:
                assert answer.status == 200, path
                found[path] = await answer.read()
    return found


def files(folder: Path) -> dict[str, bytes]:
    """Every file that the daemon keeps."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_a_title_is_nowhere(sandbox: Sandbox, launch: Launch, tmp_path: Path) -> None:
    """Not in database, ledger, log at its most talkative, API, page, metrics, commands, nor in what a crash leaves.

    It is read, since rules need it: one meeting is left out by it, the other gets its reason by it.
    """
    now = time.time()

    def meeting(title: str, start: float, end: float) -> dict[str, Any]:
        times = {"start": {"dateTime": second(now + start)}, "end": {"dateTime": second(now + end)}}
        hidden = {"description": PLANTED, "location": PLANTED, "attendees": [{"email": f"{PLANTED}@example.com"}]}
        return {"summary": title, **times, **hidden}

    user = sandbox.add_agent(AMY)
    sandbox.google.insert(AMY, meeting(f"Kickoff {PLANTED}", -60, 3600))
    sandbox.google.insert(AMY, meeting(f"#phone {PLANTED}", 3700, 3800))
    unreadable = {
        "items": [{"id": "x", "summary": PLANTED, "start": PLANTED}],
        "summary": PLANTED,
        "nextSyncToken": "t",
    }
    sandbox.google.faults.fail("/events", times=1, body=json.dumps({"error": PLANTED, **unreadable}).encode())
    sandbox.google.faults.fail("/events", times=1, truncate=True)
    sandbox.google.faults.fail("/events", times=1, status=403, body=f'{{"error": "{PLANTED}"}}'.encode())
    rules = {"ignore_titles": ["#phone"], "substatus_by_title": {"/^kickoff/i": "in_training"}, "minimum_guests": 1}
    daemon = await launch([AMY], rules=rules, log={"level": "debug", "format": "json"})
    held = await daemon.until(AMY, state="held", within=60)
    outputs = {}
    for arguments in COMMANDS:
        status, out, err = await command(*arguments, "--config", str(daemon.config))
        assert status == 0, (arguments, err)
        outputs[" ".join(arguments)] = (out + err).encode()
    window = f"/timeline?from={second(now - 3600)}&to={second(now + 7200)}"
    said = await answers(daemon, window)
    sandbox.google.insert(AMY, meeting(f"Another {PLANTED}", 5000, 6000))
    await daemon.logged("sync_done", kind="delta", changed=1)

    assert held["hold"]["put"]["substatus"] == "in_training"
    events = json.loads(said[f"/api/v1/agents/{AMY}{window}"])["events"]
    assert [event["why_not"] for event in events if event["rule"] == "ignore_titles"] == ["its title matches #phone"]
    assert user.setting.substatus == "in_training"
    assert finds(said) == []
    assert finds(outputs) == []
    assert any(name.startswith("calsyncd.db") for name in files(tmp_path / "state"))

    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGABRT)
    async with asyncio.timeout(10):
        await daemon.process.wait()
    await asyncio.sleep(0.2)

    assert "Fatal Python error" in "".join(daemon.raw)
    assert finds(files(tmp_path / "state")) == []
    assert finds({"log": "".join(daemon.raw).encode()}) == []
