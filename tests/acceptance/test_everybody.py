"""`agents: all`, as a process."""

from __future__ import annotations

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.conftest import Launch
from tests.acceptance.running import command
from tests.acceptance.test_life import AMY, BOB, meeting, statuses


async def test_everybody_is_followed_and_stays_so(sandbox: Sandbox, launch: Launch) -> None:
    """Whoever has a calendar, over a restart that has lost the database; who has none is named."""
    sandbox.add_agent(AMY, user_id=1)
    sandbox.add_agent(BOB, user_id=2)
    sandbox.aircall.add_user("eve@exmaple.com", user_id=3)
    meeting(sandbox, AMY, -60, 600)
    daemon = await launch("all")
    await daemon.logged("held", agent=AMY)
    await daemon.logged("unmatched", users=1)
    assert (await daemon.agents()).keys() == {AMY, BOB}
    matching = await daemon.get("matching")
    assert [(one["id"], one["suggestion"]) for one in matching["users"]] == [(3, "eve@example.com")]

    await daemon.stop()
    state = daemon.config.parent / "state"
    for file in state.glob("calsyncd.db*"):
        file.unlink()
    seen = len(daemon.lines)
    await daemon.start()
    await daemon.logged("unmatched", since=seen)

    assert (await daemon.agents())[AMY]["state"] == "held"
    assert statuses(sandbox, 1) == [("api", "unavailable")]
    status, out, _ = await command("status", "--config", str(daemon.config))
    assert status == 0
    assert "\n1 Aircall user has no Google calendar here: eve@exmaple.com (eve@example.com?)\n" in out
