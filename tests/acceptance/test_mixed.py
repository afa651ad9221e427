"""The two ways into Google and the two into Aircall, crossed: from the start to a hold and its end, and a loss."""

from __future__ import annotations

import asyncio
import signal
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import yaml

from calsyncd.connections import file_of
from calsyncd.routes import AIRCALL_INSTALL
from calsyncd.sandbox.world import Sandbox
from tests.acceptance.conftest import Launch
from tests.acceptance.running import Running, command
from tests.acceptance.test_life import AMY, BOB, meeting, statuses
from tests.connections.company import Browser


async def sync(daemon: Running, email: str) -> None:
    """Have the agent's calendars read now."""
    url = f"{daemon.admin}/api/v1/agents/{email}/sync"
    async with aiohttp.ClientSession() as session, session.post(url, json={}) as answer:
        assert answer.status == 200


def address(sandbox: Sandbox) -> str:
    """Where the public side listens."""
    assert sandbox.deliver_to is not None
    return sandbox.deliver_to.removeprefix("http://")


def reload(daemon: Running) -> None:
    """As `systemctl reload`."""
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)


async def test_consent_and_a_key(sandbox: Sandbox, launch: Launch) -> None:
    """Held and put back; the consent is withdrawn and given again; who is listed no more is shown.

    A file that was damaged is mended, and one is deleted.
    """
    sandbox.add_agent(AMY, user_id=1)
    sandbox.add_agent(BOB, user_id=2)
    event = meeting(sandbox, AMY, -60, 3600)
    daemon = await launch([AMY, BOB], consent=True)
    waiting = await daemon.until(BOB, state="suspended")
    async with Browser(address(sandbox)) as browser:
        await browser.through(AMY)
        await daemon.until(AMY, state="held", trouble=None)
        await daemon.logged("channel_opened", calendar=f"{AMY}/primary")
        sandbox.google.delete(AMY, event)
        await daemon.until(AMY, state="idle")

        sandbox.google.consent.withdraw(AMY)
        for _ in range(3):
            await sync(daemon, AMY)
        lost = (await daemon.agents())[AMY]
        meeting(sandbox, AMY, -60, 3600)
        await browser.through(AMY)
        await daemon.until(AMY, state="held", trouble=None)
        await browser.through(BOB)
        await daemon.until(BOB, state="idle", trouble=None)

    settings = yaml.safe_load(daemon.config.read_text())
    daemon.config.write_text(yaml.safe_dump(settings | {"agents": [{"email": AMY}]}))
    reload(daemon)
    await daemon.logged("reloaded")
    unlisted = (await daemon.get("matching"))["unlisted"]
    _, table, _ = await command("status", "--config", str(daemon.config))

    folder = daemon.config.parent / "state" / "credentials"
    stray = folder / ("0" * 32)
    stray.write_bytes(b"damaged")
    reload(daemon)
    damaged = await daemon.logged("vault_damaged")
    stray.unlink()
    reload(daemon)
    await daemon.logged("vault_mended", file=stray.name)
    (folder / file_of(AMY)).unlink()
    reload(daemon)
    async with asyncio.timeout(5):
        while (gone := (await daemon.agents())[AMY])["trouble"] is None:
            await asyncio.sleep(0.05)

    assert waiting["trouble"]["code"] == "not_connected"
    assert (lost["trouble"]["code"], lost["trouble"]["owner"]) == ("consent_withdrawn", "the agent")
    assert statuses(sandbox, 1) == [("api", "unavailable"), ("api", "available"), ("api", "unavailable")]
    assert [one["email"] for one in unlisted] == [BOB]
    assert f"1 connected account is no agent: {BOB}; `calsyncd forget EMAIL`" in table
    assert str(stray) in damaged["event"]
    # Not a token's life later; what is known of the meeting goes to its end.
    assert (gone["trouble"]["code"], gone["state"]) == ("not_connected", "held")


async def test_a_lost_vault_key_keeps_nobody_unavailable(sandbox: Sandbox, launch: Launch) -> None:
    """The daemon does not start without it; by Aircall's key everybody can be put back all the same."""
    sandbox.add_agent(AMY, user_id=1)
    meeting(sandbox, AMY, -60, 3600)
    daemon = await launch([AMY], consent=True)
    async with Browser(address(sandbox)) as browser:
        await browser.through(AMY)
        await daemon.until(AMY, state="held", trouble=None)
    await daemon.stop()
    (daemon.config.parent / "state-key" / "vault.key").unlink()
    refused, _, why = await command("run", "--config", str(daemon.config))
    ended, _, _ = await command("release", "--all", "--config", str(daemon.config))

    assert (refused, "vault.key: no such file" in why) == (78, True)
    assert ended == 0
    assert statuses(sandbox, 1) == [("api", "unavailable"), ("api", "available")]
    assert not (daemon.config.parent / "state-key" / "vault.key").exists()


async def install(sandbox: Sandbox, daemon: Running, *, first: bool) -> None:
    """An admin installs the app: the first time by the link that the operator prints."""
    link = AIRCALL_INSTALL
    if first:
        _, printed, _ = await command("connect", "--aircall", "--config", str(daemon.config))
        link = printed.strip()[printed.index(AIRCALL_INSTALL) :]
    async with Browser(address(sandbox)) as browser:
        begun = await browser.send("GET", link)
        query = dict(parse_qsl(urlsplit(begun.headers["Location"]).query))
        back = urlsplit(sandbox.aircall.install.redirect(query))
        assert (await browser.send("GET", f"{back.path}?{back.query}")).status == 303


async def test_a_service_account_and_the_app(sandbox: Sandbox, launch: Launch) -> None:
    """Suspended until the app is installed, then held and put back; delegation is revoked, and the app removed."""
    sandbox.add_agent(AMY, user_id=1)
    event = meeting(sandbox, AMY, -60, 3600)
    daemon = await launch([AMY], app=True)
    before = await daemon.until(AMY, state="suspended")
    await install(sandbox, daemon, first=True)
    await daemon.until(AMY, state="held", trouble=None)
    await daemon.logged("channel_opened", calendar=f"{AMY}/primary")

    sandbox.google.tokens.delegated = False
    sandbox.google.revoke_tokens()
    await sync(daemon, AMY)
    lost = (await daemon.agents())[AMY]
    sandbox.google.tokens.delegated = True
    sandbox.google.delete(AMY, event)
    reload(daemon)
    await daemon.until(AMY, state="idle", trouble=None)

    sandbox.aircall.uninstall()
    removed = await daemon.until(AMY, state="suspended")
    meeting(sandbox, AMY, -60, 3600)
    await install(sandbox, daemon, first=False)
    await daemon.until(AMY, state="held", trouble=None)

    assert before["trouble"]["code"] == "aircall_not_installed"
    assert (lost["state"], lost["calendars"][0]["trouble"]["code"]) == ("held", "delegation")
    assert removed["trouble"]["code"] == "aircall_uninstalled"
    assert statuses(sandbox, 1) == [("api", "unavailable"), ("api", "available"), ("api", "unavailable")]
