"""The daemon's own requests, before the judge of Google's API."""

from __future__ import annotations

import time
from pathlib import Path

from calsyncd.sandbox.world import Sandbox
from tests.demo.running import command, line_with

from .clients import AMY, meeting
from .discovery import check_recorded


async def test_the_daemons_own_requests_are_ones_that_google_describes(sandbox: Sandbox, tmp_path: Path) -> None:
    """Everything that it asks from its start to its first update passes the discovery document, refusals included."""
    sandbox.google.insert(AMY, meeting(time.time() - 60, time.time() + 600))
    config = sandbox.write_config(tmp_path, [AMY], listen="127.0.0.1:0", admin_listen="127.0.0.1:0")
    async with command("run", "--config", str(config), folder=tmp_path) as process:
        await line_with(process, "is unavailable until")

    assert check_recorded(sandbox.google.requests) >= 2
    assert sandbox.aircall.setting(456).status == "unavailable"
