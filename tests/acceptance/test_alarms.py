"""An alarm of the real daemon: where it shows, and that it outlives a restart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.running import Running, command


async def test_a_key_that_aircall_refuses(sandbox: Sandbox, prepare: Callable[..., Running], tmp_path: Path) -> None:
    """Raised at once, in the log, the API and the table; after a restart it is the same one."""
    sandbox.add_agent("amy@example.com", user_id=456)
    daemon = prepare(["amy@example.com"], push=False)
    (tmp_path / "aircall-token").write_text("a-key-of-nobody\n")
    await daemon.start()

    said = await daemon.logged("alarm_raised", code="aircall_credentials", who="company", owner="operator")

    assert said["level"] == "error"
    (alarm,) = (await daemon.get("alarms"))["alarms"]
    assert {alarm[name] for name in ("code", "who", "since")} == {said[name] for name in ("code", "who", "since")}
    _, table, _ = await command("status", "--config", str(daemon.config))
    assert table.startswith("ALARM since ")
    assert f"To do (operator): {alarm['do']}. [aircall_credentials]" in table
    await daemon.stop()
    (kept,) = json.loads((tmp_path / "state" / "alarms.json").read_text())["alarms"]
    assert kept["message"] == alarm["message"]

    await daemon.start()
    assert (await daemon.get("alarms"))["alarms"] == [alarm]
