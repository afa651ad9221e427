"""Keys that were revoked, in a real process: what an operator sees, and what new files and a reload mend."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.conftest import Launch
from tests.acceptance.running import Running, command
from tests.acceptance.test_life import AMY, BOB, meeting, statuses

SHUT_OUT = "carol@example.com"


async def test_new_keys_on_a_reload(sandbox: Sandbox, launch: Launch) -> None:
    """Google's key and Aircall's are revoked; the files are replaced, SIGHUP: everybody is right within seconds."""
    sandbox.add_agent(AMY, user_id=1)
    sandbox.add_agent(BOB, user_id=2)
    sandbox.add_agent(SHUT_OUT, user_id=3)
    sandbox.google.add_calendar("team@group.example.com", owner=AMY)
    meeting(sandbox, AMY, -60, 3600)
    daemon = await launch([AMY, BOB, {"email": SHUT_OUT, "calendars": ["team@group.example.com"]}])
    await daemon.until(AMY, state="held")
    await daemon.logged("channel_opened", calendar=f"{BOB}/primary")
    await sandbox.settle()
    meeting(sandbox, BOB, 6, 3600)
    async with aiohttp.ClientSession() as session:

        async def sync(email: str) -> None:
            async with session.post(f"{daemon.admin}/api/v1/agents/{email}/sync", json={}) as answer:
                assert answer.status == 200

        await sync(BOB)
        # Nothing was ever read of it, so that a few refusals are enough.
        for _ in range(3):
            await sync(SHUT_OUT)
        alone = await daemon.until(SHUT_OUT, state="suspended")

        account = sandbox.google.tokens.account
        sandbox.google.tokens.account = replace(account, key_id="f" * 40, key=rsa.generate_private_key(65537, 2048))
        sandbox.google.revoke_tokens()
        sandbox.aircall.api_token = "another-token-of-aircalls"
        await sync(AMY)
        google = (await daemon.agents())[AMY]
        await daemon.logged("trouble_raised", code="aircall_credentials")
        aircall = await daemon.until(SHUT_OUT, state="suspended")
        _, table, _ = await command("status", "--config", str(daemon.config))

        sandbox.google.share("team@group.example.com", SHUT_OUT, "reader")
        sandbox.write_credentials(daemon.config.parent)
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGHUP)
        reloaded = await daemon.logged("reloaded")
        await daemon.logged("held", agent=BOB)
        for email in (AMY, BOB, SHUT_OUT):
            await daemon.until(email, trouble=None, within=8)
        async with session.get(f"{daemon.admin}/metrics") as answer:
            metrics = await answer.text()

    assert alone["trouble"]["code"] == "calendar_gone"
    assert "shares it" in alone["trouble"]["do"]
    assert (google["state"], google["calendars"][0]["trouble"]["code"]) == ("held", "service_account")
    assert aircall["trouble"]["code"] == "aircall_credentials"
    assert "Aircall refuses the API key" in table
    assert reloaded["credentials"] == "google, aircall"
    assert "needs_restart" not in reloaded
    assert [("api", "unavailable")] == statuses(sandbox, 2)
    assert 'calsyncd_suspended_calendars{code="service_account"} 0.0' in metrics
    shown = "".join(daemon.raw)
    assert "another-token-of-aircalls" not in shown
    assert "PRIVATE KEY" not in shown


async def test_new_credentials_of_systemd(sandbox: Sandbox, prepare: Callable[..., Running], tmp_path: Path) -> None:
    """They change with a restart; what ended and began while no daemon ran is made good right after it."""
    sandbox.add_agent(AMY, user_id=1)
    sandbox.add_agent(BOB, user_id=2)
    event = meeting(sandbox, AMY, -60, 3600)
    given = tmp_path / "given"
    given.mkdir()
    daemon = prepare(
        [AMY, BOB], google={"service_account_file": "google.json"}, aircall={"api_token_file": "aircall-token"}
    )
    sandbox.write_credentials(given)
    for name in ("google.json", "aircall-token"):
        (daemon.config.parent / name).unlink()
    daemon.environ = {**os.environ, "CREDENTIALS_DIRECTORY": str(given)}
    await daemon.start()
    await daemon.until(AMY, state="held")

    sandbox.aircall.api_token = "another-token-of-aircalls"
    assert await daemon.stop() == 0
    held = statuses(sandbox, 1)
    # Over while no daemon runs, as is the beginning of this one.
    sandbox.google.delete(AMY, event)
    meeting(sandbox, BOB, -1, 3600)
    sandbox.write_credentials(given)
    await daemon.start()
    await daemon.until(AMY, state="idle", trouble=None)
    await daemon.until(BOB, state="held", trouble=None)

    assert held == [("api", "unavailable")]
    assert statuses(sandbox, 1) == [*held, ("api", "available")]
    assert statuses(sandbox, 2) == [("api", "unavailable")]


async def test_another_way_in_waits_for_a_restart(sandbox: Sandbox, launch: Launch) -> None:
    """From the service account to the agents' own consent on a reload: said so, and the rest is in force."""
    sandbox.add_agent(AMY, user_id=1)
    daemon = await launch([AMY])
    settings = yaml.safe_load(daemon.config.read_text())
    del settings["google"]["service_account_file"]
    settings["google"]["oauth_client_file"] = "./client.json"
    daemon.config.write_text(yaml.safe_dump(settings | {"mode": "observe"}))
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)
    reloaded = await daemon.logged("reloaded")

    assert reloaded["needs_restart"] == "google.service_account_file, google.oauth_client_file"
    assert "credentials" not in reloaded
    assert (await daemon.agents())[AMY]["mode"] == "observe"
