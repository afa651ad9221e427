"""An absence of the real daemon, and what is told of it."""

from __future__ import annotations

import asyncio
import math
import time
from datetime import datetime

import pytest
from playwright.async_api import async_playwright, expect

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.conftest import Launch
from tests.acceptance.test_life import AMY, BOB, meeting
from tests.demo.test_page import CHROMIUM, SOON


def second_of(text: str) -> float:
    """An instant of the API as epoch seconds."""
    return datetime.fromisoformat(text).timestamp()


async def is_shown(url: str) -> None:
    """The page shows the report, with whom it concerned; Escape closes it, for this browser and this absence."""
    if CHROMIUM is None:
        pytest.skip("THE REPORT'S PAGE IS NOT TESTED: no Chromium; it is in Debian's package chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(locale="en-GB")
        await page.goto(url)
        report = page.locator("#outage")
        await expect(report).to_contain_text("calsyncd was away from", timeout=SOON)
        await expect(report).to_contain_text("It concerned 1 of 2 agents; everybody was right again after")
        await page.locator("#outage summary").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#outage-list li")).to_contain_text(AMY)
        await page.keyboard.press("Escape")
        await expect(report).to_be_hidden()
        async with page.expect_response("**/api/v1/outage"):
            await page.reload()
        await expect(page.locator("tbody")).to_have_count(2, timeout=SOON)
        await expect(report).to_be_hidden()
        await browser.close()


async def test_killed_over_a_boundary(sandbox: Sandbox, launch: Launch) -> None:
    """The next start tells since when it was away, though the database is lost, and when each agent was right again.

    In the log, by the API and on the page.
    """
    sandbox.add_agent(AMY, user_id=1)
    sandbox.add_agent(BOB, user_id=2)
    daemon = await launch([AMY, BOB])
    await daemon.logged("channel_opened", calendar=f"{AMY}/primary")
    end = math.ceil(time.time() + 2)
    meeting(sandbox, AMY, -60, end - time.time())
    await daemon.until(AMY, state="held")
    nothing = await daemon.get("outage")
    await daemon.kill()
    killed = time.time()
    assert killed < end
    for file in (daemon.config.parent / "state").glob("calsyncd.db*"):
        file.unlink()
    await asyncio.sleep(end + 0.1 - killed)

    seen = len(daemon.lines)
    await daemon.start()
    over = await daemon.logged("outage_over", since=seen)
    right = await daemon.logged("outage_right", since=seen, agent=AMY)
    told = (await daemon.get("outage"))["outage"]
    (amy,) = told["agents"]
    away_from, away_to, right_at = (second_of(at) for at in (told["from"], told["to"], amy["right_at"]))
    back = next(entry.at for entry in sandbox.aircall.log if entry.user == 1 and entry.after.status == "available")

    assert nothing == {"outage": None}
    assert killed - 6 < away_from <= killed
    assert end < away_to < right_at
    assert abs(right_at - back) < 0.25
    assert [second_of(at) for at in amy["boundaries"]] == [end]
    assert (amy["email"], amy["updated"], told["unconcerned"], told["over"]) == (AMY, True, 1, True)
    assert f"{AMY}: 1 boundary fell into it, right again " in right["event"]
    assert (over["concerned"], over["updated"], over["unconcerned"]) == (1, 1, 1)
    await is_shown(f"{daemon.admin}/")
