"""An agent in a real browser, at the company's pages and at Google's."""

from __future__ import annotations

import dataclasses
import shutil
import socket
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from calsyncd.http import Http
from calsyncd.sandbox.world import Sandbox
from tests.connections.company import AMY, BOB, EVE, company_of, visited

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SOON = 10_000.0


async def heading(page: Page, words: str) -> None:
    """Wait until the page says so."""
    await expect(page.locator("h1")).to_have_text(words, timeout=SOON)


async def fits(page: Page) -> None:
    """Nothing is wider than the screen."""
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.timeout(120)
async def test_an_agent_connects_and_disconnects(sandbox: Sandbox, http: Http, tmp_path: Path) -> None:
    """Cancel, an unticked box, a stranger, two tabs, disconnecting: each page leads on, on a small dark screen."""
    if CHROMIUM is None:
        pytest.skip("THE PAGES ARE NOT TESTED: no Chromium; it is in Debian's package chromium")
    for email in (BOB, EVE):
        sandbox.google.add_user(email)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        consent = sandbox.google.consent
        consent.client = dataclasses.replace(consent.client, redirect_uris=(f"{url}/google/callback",))
        company = company_of(sandbox, http, tmp_path, public_url=url)
        async with visited(company, listen=[sock]), async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            context = await browser.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark")
            page = await context.new_page()
            wrong: list[str] = []
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda said: wrong.append(said.text) if "Policy" in said.text else None)

            await page.goto(f"{url}/google/connect?email={AMY}")
            await heading(page, "Connect your calendar")
            await fits(page)
            ground = await page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
            assert sum(ground[:3]) < 200
            await expect(page.get_by_label("Your e-mail at work")).to_have_value(AMY)
            await page.get_by_role("button", name="Continue with Google").click()
            await page.get_by_role("button", name="Cancel").click()
            await heading(page, "Nothing has changed")

            await page.get_by_role("button", name="Try again").click()
            await expect(page.get_by_role("radio", name=AMY)).to_be_checked()
            await page.get_by_role("button", name="Continue").click()
            await heading(page, "One box was not ticked")
            await fits(page)

            await page.get_by_role("button", name="Try again").click()
            await page.get_by_role("checkbox", name="View events on all your calendars").check()
            await page.get_by_role("radio", name=EVE).check()
            await page.get_by_role("button", name="Continue").click()
            await heading(page, "Not an agent of this company")
            assert company.vault.contexts() == []

            await page.get_by_role("button", name="Choose another account").click()
            tab = await context.new_page()
            await tab.goto(f"{url}/google/connect?email={AMY}")
            await tab.keyboard.press("Tab")
            await expect(tab.get_by_label("Your e-mail at work")).to_be_focused()
            await tab.keyboard.press("Enter")
            for one in (page, tab):
                await one.get_by_role("radio", name=AMY).check()
                await one.get_by_role("checkbox").check()
                await one.get_by_role("button", name="Continue").click()
                await heading(one, "Your calendar is being read now")
                await fits(one)
            assert company.vault.contexts() == [f"google:{AMY}"]
            assert await company.can_read(AMY)
            assert await context.cookies() == []
            await page.reload()
            await heading(page, "Please start again")

            await page.get_by_role("link", name="Start again").click()
            await page.get_by_role("button", name="Disconnect my calendar").click()
            await page.get_by_role("radio", name=AMY).check()
            await page.get_by_role("button", name="Continue").click()
            await heading(page, "Your calendar is disconnected")
            assert company.happened[-1] == ("let go", AMY)
            assert company.vault.contexts() == []
            assert wrong == []
            await browser.close()
