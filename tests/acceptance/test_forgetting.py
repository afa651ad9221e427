"""`calsyncd forget`: nothing is left of somebody, not in any byte of the state directory."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import yaml

from calsyncd.google.tokens import SCOPE
from calsyncd.sandbox.world import Sandbox
from calsyncd.vault import Vault
from tests.acceptance.conftest import Launch
from tests.acceptance.running import Running, command
from tests.acceptance.test_life import AMY, BOB, meeting


def naming(state: Path, email: str) -> list[str]:
    """The files of the state directory that hold this address, in small letters or others."""
    return [path.name for path in state.rglob("*") if path.is_file() and email.encode() in path.read_bytes().lower()]


def without_amy(daemon: Running) -> None:
    """Take Amy out of the settings."""
    settings = yaml.safe_load(daemon.config.read_text())
    settings["agents"] = [agent for agent in settings["agents"] if agent["email"] != AMY]
    daemon.config.write_text(yaml.safe_dump(settings))


async def post(daemon: Running, deed: str, body: dict[str, str]) -> None:
    """Do this to an agent."""
    url = f"{daemon.admin}/api/v1/agents/{deed}"
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        assert answer.status == 200, await answer.text()


async def test_beside_a_daemon(sandbox: Sandbox, launch: Launch) -> None:
    """Refused while she is in the settings; then nothing is left of her, and all of Bob."""
    for user, email in ((1, AMY), (2, BOB)):
        sandbox.add_agent(email, user_id=user)
        meeting(sandbox, email, -60, 3600)
    daemon = await launch([AMY, BOB])
    state = daemon.config.parent / "state"
    where = ("--config", str(daemon.config))
    for email in (AMY, BOB):
        await daemon.until(email, state="held")
        await daemon.logged("channel_opened", calendar=f"{email}/primary")
    await post(daemon, f"{AMY}/extend", {"for": "1h"})
    await post(daemon, f"{BOB}/pause", {"for": "1h", "reason": f"as {AMY.upper()} asked", "actor": AMY})
    (state / "ledger.damaged").write_text(f"xxxxxxxx {AMY}\n")
    before = naming(state, AMY)

    refused = await command("forget", AMY, *where)
    without_amy(daemon)
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)
    await daemon.logged("released", agent=AMY)
    sandbox.aircall.remove_user(1)
    status, out, err = await command("forget", AMY.upper(), "--actor", "lena", *where)
    again = await command("forget", AMY, *where)
    await sandbox.settle()

    assert {"ledger", "ledger.damaged"} < set(before)
    assert refused[0] == 1
    assert "is in the settings: take them out" in refused[2]
    assert (status, err) == (0, "")
    assert f"{AMY}: erased: " in out
    assert "records of history" in out
    assert "1 copy of damaged files" in out
    assert "Not erased: the log (journald) and backups" in out
    assert f"{AMY}: nothing is kept of them here." in again[1]
    assert naming(state, AMY) == []
    assert not (state / "ledger.damaged").exists()
    assert [channel.calendar for channel in sandbox.google.push.live()] == [BOB]
    assert (await daemon.agents())[BOB]["state"] == "paused"
    forgotten = await daemon.logged("forgotten")
    assert forgotten["actor"] == "lena"
    assert AMY not in str(forgotten)
    with sqlite3.connect(state / "calsyncd.db") as db:
        said = db.execute("SELECT actor, why FROM history WHERE agent = ? AND outcome = 'paused'", (BOB,)).fetchone()
    assert said[0] == "somebody"
    assert said[1].endswith(": as somebody asked")


async def test_without_a_daemon(sandbox: Sandbox, launch: Launch) -> None:
    """Held when the daemon was killed, and out of the settings since: put back, her channel stopped, erased."""
    sandbox.add_agent(AMY, user_id=1)
    sandbox.add_agent(BOB, user_id=2)
    meeting(sandbox, AMY, -60, 3600)
    daemon = await launch([AMY, BOB])
    state = daemon.config.parent / "state"
    await daemon.until(AMY, state="held")
    await daemon.logged("channel_opened", calendar=f"{AMY}/primary")
    await asyncio.sleep(0.6)
    await daemon.kill()
    without_amy(daemon)
    assert "ledger" in naming(state, AMY)

    status, out, err = await command("forget", AMY, "--config", str(daemon.config))

    assert (status, err) == (0, "")
    assert "1 push channel," in out
    assert "Aircall has a user with this address (1)" in out
    assert sandbox.aircall.setting(1).status == "available"
    assert AMY not in [channel.calendar for channel in sandbox.google.push.live()]
    # Only the list of Aircall's users can have her still.
    assert set(naming(state, AMY)) <= {"calsyncd.db", "calsyncd.db-wal"}


async def test_a_grant_is_ended_at_google(sandbox: Sandbox, prepare: Callable[..., Running]) -> None:
    """Of whoever was taken out of the settings; while Google cannot be told they are not forgotten: it says so."""
    for user, email in ((1, AMY), (2, BOB)):
        sandbox.add_agent(email, user_id=user)
    daemon = prepare([BOB], consent=True)
    state = daemon.config.parent / "state"
    state.mkdir()
    (state / "ledger").touch()
    vault = Vault.open(state / "credentials", daemon.config.parent / "state-key" / "vault.key")
    for email in (AMY, BOB):
        vault.put(f"google:{email}", {"refresh_token": granted(sandbox, email), "connected_at": 1})
    consent = sandbox.google.consent
    sandbox.google.fail("POST /revoke", status=503, times=None)

    waits = await command("forget", AMY, "--config", str(daemon.config))
    still = consent.has_grant(AMY)
    sandbox.google.faults.clear()
    status, out, err = await command("forget", AMY, "--config", str(daemon.config))

    assert (waits[0], still) == (1, True)
    assert f"{AMY} is not forgotten yet: Google could not be told that the grant is over; run this again" in waits[2]
    assert (status, err) == (0, "")
    assert "1 grant" in out
    assert (consent.has_grant(AMY), consent.has_grant(BOB)) == (False, True)
    assert vault.contexts() == [f"google:{BOB}"]


def granted(sandbox: Sandbox, email: str) -> str:
    """A refresh token of this account."""
    consent = sandbox.google.consent
    ours = {"client_id": consent.client.id, "redirect_uri": consent.client.redirect_uris[0]}
    asked = {**ours, "response_type": "code", "scope": f"openid email {SCOPE}", "access_type": "offline"}
    back = urlsplit(consent.redirect({**asked, "prompt": "consent", "state": "s", "login_hint": email}))
    code = {"grant_type": "authorization_code", "code": parse_qs(back.query)["code"][0]}
    return str(consent.exchange({**ours, **code, "client_secret": consent.client.secret})["refresh_token"])
