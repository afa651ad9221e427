"""Every way in, in a real browser, to a real process: how agents connect, and how an admin installs the app."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import Page

from calsyncd.sandbox.aircall_users import User
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.world import Sandbox
from tests.acceptance.browsing import Front, chromium, front, heading, secrets_of, told, written
from tests.acceptance.conftest import Launch
from tests.acceptance.running import Running, command
from tests.acceptance.test_life import AMY, BOB, meeting, statuses

EVE = "eve@example.com"
BOX = "View events on all your calendars"
CONNECT_URL = f"{PUBLIC_ORIGIN}/google/connect"
LASTING = ("4/", "1//", "ya29.", "GOCSPX-", "sandbox-client-secret", "gAAAA", "https://127.0.0.1:9/")
"""How Google's codes, refresh and access tokens, both clients' secrets, our cookies, and where alarms go begin."""

INSTALL_URL = f"{PUBLIC_ORIGIN}/aircall/oauth/install"


def credentials(daemon: Running) -> list[str]:
    """The names of the vault's files."""
    folder = daemon.config.parent / "state" / "credentials"
    return [path.name for path in folder.iterdir() if path.name != "lock"]


def alerts_to(folder: Path) -> tuple[str, dict[str, str]]:
    """A secret address that takes no alarms, and the settings that name it."""
    url = "https://127.0.0.1:9/services/T0PLANTED/alerts-are-secret"
    path = folder / "alerts-url"
    path.touch(mode=0o600)
    path.write_text(url + "\n", encoding="utf-8")
    return url, {"url_file": "./alerts-url"}


async def grant(page: Page, email: str, *, tick: bool = True) -> None:
    """Choose the account on Google's page, tick the box, continue."""
    await page.get_by_role("radio", name=email).check()
    if tick:
        await page.get_by_role("checkbox", name=BOX).check()
    await page.get_by_role("button", name="Continue").click()


def told_of(what: str, asked: asyncio.Event) -> Callable[[str], bool]:
    """Matches the first request of this kind, and tells of it."""

    def matches(line: str) -> bool:
        if what in line:
            asked.set()
        return what in line

    return matches


async def becomes(user: User, status: str) -> None:
    """Wait until the phone is set so: what a crash has left is shown as held until a last look, a minute later."""
    async with asyncio.timeout(10):
        while user.setting.status != status:
            await asyncio.sleep(0.05)


def assert_none_told(where: dict[str, bytes], secrets: set[str], before: Front) -> None:
    """No secret of any kind stands anywhere; and of those that go by the browser's address, none but the state."""
    lasting = {one for one in secrets if one.startswith(LASTING)}
    assert {kind for kind in LASTING for one in lasting if one.startswith(kind)} == set(LASTING)
    assert told({"all": "\n".join(secrets).encode()}, secrets) == ["all"]
    assert told(where, secrets) == []
    assert before.sent()
    assert told({"sent": before.sent()}, lasting) == []


async def disconnect(page: Page, email: str) -> None:
    """Press the button, and sign in at Google."""
    await page.goto(CONNECT_URL)
    await page.get_by_role("button", name="Disconnect my calendar").click()
    await grant(page, email, tick=False)


@pytest.mark.timeout(120)
async def test_an_agent_comes_and_goes(sandbox: Sandbox, launch: Launch, tmp_path: Path) -> None:
    """Cancel, an unticked box, consent, two tabs, disconnecting, a crash within: each leaves what it should."""
    user = sandbox.add_agent(AMY, user_id=1)
    sandbox.add_agent(BOB, user_id=2)
    meeting(sandbox, AMY, -60, 3600)
    url, alerts = alerts_to(tmp_path)
    daemon = await launch([AMY, BOB], consent=True, alerts=alerts, log={"level": "debug", "format": "json"})
    consent, push = sandbox.google.consent, sandbox.google.push
    async with front(sandbox, tmp_path) as before, chromium(before) as context:
        page = await context.new_page()
        await page.goto(f"{CONNECT_URL}?email={AMY}")
        await page.get_by_role("button", name="Continue with Google").click()
        await page.get_by_role("button", name="Cancel").click()
        await heading(page, "Nothing has changed")
        await page.get_by_role("button", name="Try again").click()
        await grant(page, AMY, tick=False)
        await heading(page, "One box was not ticked")
        assert credentials(daemon) == []

        # From two tabs at once.
        await page.get_by_role("button", name="Try again").click()
        tab = await context.new_page()
        await tab.goto(f"{CONNECT_URL}?email={AMY}")
        await tab.get_by_role("button", name="Continue with Google").click()
        for one in (page, tab):
            await one.get_by_role("radio", name=AMY).check()
            await one.get_by_role("checkbox", name=BOX).check()
        await asyncio.gather(*(one.get_by_role("button", name="Continue").click() for one in (page, tab)))
        for one in (page, tab):
            await heading(one, "Your calendar is being read now")
        await daemon.until(AMY, state="held", within=5)
        await daemon.logged("channel_opened", calendar=f"{AMY}/primary")
        await sandbox.settle()
        assert len(credentials(daemon)) == 1
        assert [channel.calendar for channel in push.live()] == [AMY]
        assert statuses(sandbox, 1) == [("api", "unavailable")]
        assert await context.cookies() == []

        # Disconnected, and still shown with the reason and the way back.
        sandbox.google.fail("POST /revoke", status=503, times=None)
        await disconnect(tab, AMY)
        await heading(tab, "Your calendar is being disconnected")
        await daemon.logged("released", agent=AMY)
        leaving = await daemon.until(AMY, state="suspended", within=1)
        assert leaving["trouble"]["code"] == "not_connected"
        assert push.live() == []
        sandbox.google.faults.clear()
        await disconnect(tab, AMY)
        await heading(tab, "Your calendar is disconnected")
        assert credentials(daemon) == []
        assert push.live() == []
        assert not consent.has_grant(AMY)
        assert statuses(sandbox, 1)[1:] == [("api", "available")]
        gone = await daemon.until(AMY, state="suspended", within=5)
        assert gone["trouble"]["code"] == "not_connected"
        status, table, _ = await command("status", "--config", str(daemon.config))
        assert status == 0
        assert AMY in table

        # Connected again, and a crash in the middle of disconnecting: before the channel is stopped, and after.
        for where in ("/channels/stop", "POST /revoke"):
            await page.goto(CONNECT_URL)
            await page.get_by_role("button", name="Continue with Google").click()
            await grant(page, AMY)
            await heading(page, "Your calendar is being read now")
            await becomes(user, "unavailable")
            await sandbox.settle()
            asked = asyncio.Event()
            sandbox.google.fail(told_of(where, asked), delay=1.0, cut=True)
            clicking = asyncio.create_task(disconnect(tab, AMY))
            async with asyncio.timeout(10):
                await asked.wait()
            await daemon.kill()
            await asyncio.gather(clicking, return_exceptions=True)
            # Chromium would ask again on its own, and end the flow that the other tab begins.
            await tab.close()
            tab = await context.new_page()
            assert len(credentials(daemon)) == 1
            assert consent.has_grant(AMY)
            seen = len(daemon.lines)
            await daemon.start()
            await daemon.logged("agent_disconnected", since=seen, agent=AMY)
            calendar = f"{AMY}/primary"
            await daemon.logged("sync_failed", since=seen, calendar=calendar, code="not_connected")
            await becomes(user, "available")
            await sandbox.settle()
            assert credentials(daemon) == []
            assert not consent.has_grant(AMY)
            assert push.live() == []
            trouble = (await daemon.agents())[AMY]["trouble"]
            assert trouble["code"] == "not_connected"
            assert sum(line.get("action") == "sync_done" for line in daemon.lines[seen:]) == 0

        secrets = secrets_of(sandbox, before) | {url}
        assert_none_told(await written(daemon, before, table), secrets, before)


@pytest.mark.timeout(120)
async def test_the_app_and_everybody(sandbox: Sandbox, launch: Launch, tmp_path: Path) -> None:
    """An admin installs the app, everybody may connect; the app is removed, installed again, and a restart lives."""
    sandbox.add_agent(AMY, user_id=1)
    bob = sandbox.add_agent(BOB, user_id=2)
    sandbox.google.add_user(EVE)
    meeting(sandbox, AMY, -60, 3600)
    url, alerts = alerts_to(tmp_path)
    daemon = await launch("all", consent=True, app=True, alerts=alerts, log={"level": "debug", "format": "json"})
    async with front(sandbox, tmp_path) as before, chromium(before) as context:
        page = await context.new_page()
        install = sandbox.aircall.install
        # Whoever is first has to be invited.
        await page.goto(INSTALL_URL)
        await heading(page, "This calsyncd waits for its own company")
        _, link, _ = await command("connect", "--aircall", "--config", str(daemon.config))
        assert link.startswith(f"{INSTALL_URL}?key=")
        await page.goto(link.strip())
        await page.get_by_role("button", name="Deny").click()
        await heading(page, "Not installed")
        install.is_admin = False
        await page.goto(link.strip())
        await heading(page, "Something went wrong")
        install.is_admin = True
        await page.goto(link.strip())
        await page.get_by_role("button", name="Authorize").click()
        await heading(page, "All set")
        assert install.active
        await daemon.logged("unmatched")

        for email, end in ((EVE, "Not an agent of this company"), (AMY, "Your calendar is being read now")):
            await page.goto(f"{CONNECT_URL}?email={email}")
            await page.get_by_role("button", name="Continue with Google").click()
            await grant(page, email)
            await heading(page, end)
        await daemon.logged("held", agent=AMY)
        assert (await daemon.agents()).keys() == {AMY}
        assert [one["email"] for one in (await daemon.get("matching"))["users"]] == [BOB]
        await page.goto(f"{CONNECT_URL}?email={BOB}")
        await page.get_by_role("button", name="Continue with Google").click()
        await grant(page, BOB)
        await heading(page, "Your calendar is being read now")
        await daemon.logged("channel_opened", calendar=f"{BOB}/primary")

        sandbox.aircall.uninstall()
        lost = await daemon.until(BOB, state="suspended", within=10)
        meeting(sandbox, BOB, -60, 3600)
        await daemon.logged("alarm_raised", code="aircall_uninstalled")
        alarms = await daemon.get("alarms")
        await page.goto(INSTALL_URL)
        await page.get_by_role("button", name="Authorize").click()
        await heading(page, "All set")
        await daemon.until(BOB, state="held", trouble=None, within=10)

        await daemon.stop()
        seen = len(daemon.lines)
        await daemon.start()
        await daemon.logged("sync_done", since=seen, calendar=f"{BOB}/primary")
        for email in (AMY, BOB):
            await daemon.until(email, state="held", trouble=None, within=10)
        assert len(sandbox.google.push.live()) == 2
        # Nobody follows Bob any more when the process dies before his channel is stopped.
        asked = asyncio.Event()
        sandbox.google.fail(told_of("/channels/stop", asked), delay=1.0, cut=True)
        clicking = asyncio.create_task(disconnect(page, BOB))
        async with asyncio.timeout(10):
            await asked.wait()
        await daemon.kill()
        await asyncio.gather(clicking, return_exceptions=True)
        await page.close()
        seen = len(daemon.lines)
        await daemon.start()
        await daemon.logged("agent_disconnected", since=seen, agent=BOB)
        await becomes(bob, "available")
        assert (await daemon.agents()).keys() == {AMY}
        left = (await daemon.get("matching"))["users"]
        assert [channel.calendar for channel in sandbox.google.push.live()] == [AMY]
        secrets = secrets_of(sandbox, before) | {url, link.strip().partition("?key=")[2]}
        assert_none_told(await written(daemon, before), secrets, before)
    assert lost["trouble"]["code"] == "aircall_uninstalled"
    assert "aircall_uninstalled" in [alarm["code"] for alarm in alarms["alarms"]]
    assert [(one["email"], one["code"]) for one in left] == [(BOB, "not_connected")]
    assert [status for _, status in statuses(sandbox, 2)] == ["unavailable", "available"]
