"""An alarm of the real daemon: where it shows, to whom it is sent, and that it outlives a restart."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.running import Running, command

SECRET = "T0k3n-in-the-path"


class Receiver:
    """Takes alarms."""

    def __init__(self) -> None:
        self.took: list[dict[str, Any]] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.took.append(await request.json())
        return web.Response(text="ok")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """It listens."""
    made = Receiver()
    app = web.Application()
    app.router.add_post(f"/{SECRET}", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/{SECRET}"
    yield made
    await runner.cleanup()


async def test_a_key_that_aircall_refuses(
    sandbox: Sandbox, prepare: Callable[..., Running], receiver: Receiver, tmp_path: Path
) -> None:
    """Raised at once, in the log, the API and the table, and sent both ways; after a restart it is the same one."""
    sandbox.add_agent("amy@example.com", user_id=456)
    told, program, hook = tmp_path / "told", tmp_path / "tell", tmp_path / "hook"
    program.write_text(f'#!/bin/sh\ncat >> "{told}"\n')
    program.chmod(stat.S_IRWXU)
    hook.write_text(receiver.url)
    hook.chmod(0o600)
    daemon = prepare(["amy@example.com"], push=False, alerts={"url_file": str(hook), "command": [str(program)]})
    (tmp_path / "aircall-token").write_text("a-key-of-nobody\n")
    await daemon.start()

    said = await daemon.logged("alarm_raised", code="aircall_credentials", who="company", owner="operator")

    assert said["level"] == "error"
    (alarm,) = (await daemon.get("alarms"))["alarms"]
    same = ("code", "who", "since", "do", "owner")
    assert {name: alarm[name] for name in same} == {name: said[name] for name in same}
    _, table, _ = await command("status", "--config", str(daemon.config))
    assert table.startswith("ALARM since ")
    assert f"To do (operator): {alarm['do']}. [aircall_credentials]" in table
    async with asyncio.timeout(5):
        while not (receiver.took and told.exists() and told.read_text().endswith("\n")):
            await asyncio.sleep(0.05)
    await daemon.stop()
    kept = json.loads((tmp_path / "state" / "alarms.json").read_text())
    assert [one["message"] for one in kept["alarms"]] == [alarm["message"]]
    assert kept["unsent"] == {"alerts.url_file": [], "alerts.command": []}

    seen = len(daemon.lines)
    await daemon.start()
    await daemon.logged("trouble_raised", since=seen, code="aircall_credentials")
    assert (await daemon.get("alarms"))["alarms"] == [alarm]
    await daemon.stop()

    (sent,) = receiver.took
    assert json.loads(told.read_text()) == sent
    assert {name: sent[name] for name in (*same, "message")} == {name: alarm[name] for name in (*same, "message")}
    assert (sent["kind"], sent["at"]) == ("raised", alarm["raised_at"])
    assert SECRET not in "\n".join(daemon.raw)
