"""What concerns the company as a whole, with a real process: only observing, and keeping somebody on the phones."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from playwright.async_api import async_playwright, expect

from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.world import Sandbox
from tests.acceptance.conftest import Launch
from tests.acceptance.running import command

AMY, BOB = "amy@example.com", "bob@example.com"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def changed(config: Path, **settings: Any) -> None:
    """Lay these settings over those of the file."""
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | settings))


async def page_says(url: str, email: str, *words: str) -> None:
    """The page shows these words in the agent's row."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.goto(url)
        for word in words:
            await expect(page.locator(f'tbody[data-email="{email}"]')).to_contain_text(word, timeout=10_000)
        await browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian's package chromium)")
async def test_observed_then_acted_on_with_a_floor(sandbox: Sandbox, launch: Launch) -> None:
    """Observed: all is told and nothing put. After a reload that acts: one of the two goes, and the other is kept."""
    now = time.time()
    event = {"start": {"dateTime": second(now - 60)}, "end": {"dateTime": second(now + 3600)}}
    for number, email in enumerate((AMY, BOB), 1):
        sandbox.add_agent(email, user_id=number)
        sandbox.google.insert(email, {"summary": "Talk", **event})
    daemon = await launch([AMY, BOB], mode="observe")
    for email in (AMY, BOB):
        await daemon.logged("observed", agent=email)
    watched = (await daemon.agents())[AMY]
    async with aiohttp.ClientSession() as session, session.get(f"{daemon.admin}/metrics") as answer:
        metrics = await answer.text()
    _, table, _ = await command("status", "--config", str(daemon.config))
    await page_says(daemon.admin, AMY, "only observed", "Only observed: would be unavailable")

    assert (watched["mode"], watched["state"], watched["hold"]) == ("observe", "idle", None)
    assert watched["wanted"] == {"availability_status": "unavailable", "substatus": None}
    assert watched["reason"].startswith("Only observed: would be unavailable until")
    assert 'calsyncd_updates_total{result="observed"} 2.0' in metrics
    assert "idle (observed)" in table
    assert sandbox.aircall.log == []
    assert "held" not in (daemon.config.parent / "state" / "ledger").read_text()

    assert daemon.process is not None
    changed(
        daemon.config,
        mode="act",
        teams={"desk": {"agents": [AMY, BOB]}},
        dispatch={"keep_available": {"desk": 1}},
    )
    daemon.process.send_signal(signal.SIGHUP)
    reloaded = await daemon.logged("reloaded")
    kept = (await daemon.logged("kept"))["agent"]
    gone = ({AMY, BOB} - {kept}).pop()
    held = await daemon.until(gone, state="held")
    await daemon.until(kept, state="kept", mode="act")
    await asyncio.sleep(0.5)

    assert "needs_restart" not in reloaded
    assert [entry.user for entry in sandbox.aircall.log] == [held["aircall_user"]]
    changed(daemon.config, dispatch={})
    daemon.process.send_signal(signal.SIGHUP)
    await daemon.until(kept, state="held")
