"""The demo's page in a real browser, through every button."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.demo.running import command, line_with

DAN, GRACE = "dan@example.com", "grace@example.com"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SOON = 10_000.0
SETTLED = 18_000.0
"""A change by hand right after an update is believed once neither can be a read that lags."""


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """A running demo: the page's URL, and its process."""
    async with command("demo", folder=tmp_path) as process:
        url = (await line_with(process, r"http\S+/"))[0]
        await line_with(process, "dan.*: a calendar was read")
        assert process.stdout is not None
        reading = asyncio.create_task(process.stdout.read())
        yield url, process
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await reading


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Headless Chromium; skips loudly where there is none."""
    if CHROMIUM is None:
        pytest.skip("THE PAGE IS NOT TESTED: no Chromium; it is in Debian's package chromium")
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        await made.close()


async def opened(browser: Browser, url: str, *, width: int = 1400, height: int = 1200, dark: bool = False) -> Page:
    """The page, once the agents and their buttons are there."""
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", locale="en-GB"
    )
    page = await context.new_page()
    await page.goto(url)
    await expect(page.locator("tbody tr.hands")).to_have_count(8, timeout=SOON)
    return page


async def state_is(page: Page, email: str, word: str) -> None:
    """Wait until the agent's row says so."""
    await expect(page.locator(f'tbody[data-email="{email}"] .state')).to_have_text(word, timeout=SETTLED)


async def press(page: Page, email: str, what: str) -> None:
    """Press a button of the agent's row."""
    await page.click(f'tbody[data-email="{email}"] [data-do="{what}"]')


@pytest.mark.timeout(180)
async def test_every_button_does_what_it_says(demo: tuple[str, asyncio.subprocess.Process], browser: Browser) -> None:
    """Calendars, phones, time, strips, filters and search; and nothing goes wrong in the browser meanwhile."""
    url, process = demo
    page = await opened(browser, url)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type in {"error", "warning"} else None)

    for undo in ("cancel", "decline", "move"):
        await press(page, DAN, "meet")
        await state_is(page, DAN, "held")
        row = page.locator(f'tbody[data-email="{DAN}"]')
        await expect(row.locator(".echo")).to_contain_text("phone set", timeout=SOON)
        await expect(row.locator("rect.set.ours")).not_to_have_count(0)
        await press(page, DAN, undo)
        await state_is(page, DAN, "idle")
    await press(page, DAN, "cancel")

    await press(page, DAN, "meet")
    await state_is(page, DAN, "held")
    await press(page, DAN, "available")
    await state_is(page, DAN, "overridden")
    for what, word in (("custom", "Auto"), ("unavailable", "unavailable"), ("available", "available")):
        await press(page, GRACE, what)
        await expect(page.locator(f'tbody[data-email="{GRACE}"] .setting')).to_have_text(word, timeout=SOON)
        await expect(page.locator(f'tbody[data-email="{GRACE}"] [data-do="{what}"]')).to_have_attribute(
            "aria-pressed", "true"
        )

    now = page.locator("#scale text.now")
    await page.click('.paces [data-rate="0"]')
    await expect(page.locator('.paces [data-rate="0"]')).to_have_text("let time run")
    await page.wait_for_timeout(500)
    still = await now.text_content()
    await page.wait_for_timeout(2500)
    assert await now.text_content() == still
    await page.click('.paces [data-rate="0"]')
    await expect(now).not_to_have_text(still or "", timeout=SOON)
    for rate in ("10", "3", "1"):
        await page.click(f'.paces [data-rate="{rate}"]')
        await expect(page.locator(f'.paces [data-rate="{rate}"]')).to_have_attribute("aria-pressed", "true")

    zooms = page.locator("#zoom button")
    assert await zooms.all_text_contents() == ["day", "8 h", "1 h", "10 min", "3 min"]
    for index in range(await zooms.count()):
        await zooms.nth(index).click()
        await expect(zooms.nth(index)).to_have_attribute("aria-pressed", "true")
        await expect(page.locator("tbody svg.strip")).to_have_count(8)
        assert await zooms.nth(index).evaluate("it => it === document.activeElement")

    await page.fill("#search", "dan")
    await expect(page.locator("tbody:visible")).to_have_count(1)
    await page.fill("#search", "nobody")
    await page.click("#show-all")
    await expect(page.locator("tbody:visible")).to_have_count(8)
    idle = page.locator('[data-filter="idle"]')
    await idle.click()
    # The day goes on meanwhile, and their number with it.
    async with asyncio.timeout(SOON / 1000):
        while await page.locator("tbody:visible").count() != int(await idle.locator("b").text_content() or 0):
            await asyncio.sleep(0.05)
    await page.click('[data-filter="all"]')
    assert wrong == []

    process.terminate()
    await expect(page.locator("#link-text")).to_have_text("not reachable", timeout=SOON)
    await expect(page.locator("#alarm-title")).to_contain_text("does not answer")


@pytest.mark.timeout(120)
async def test_it_fits_and_can_be_read(demo: tuple[str, asyncio.subprocess.Process], browser: Browser) -> None:
    """On a desk and on a phone nothing is wider than the screen; in the dark the ground is dark; keys reach all."""
    url, _ = demo
    for width in (1400, 1056, 700, 360):
        page = await opened(browser, url, width=width)
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, width
        # A day is drawn once its row comes into sight.
        await expect(page.locator("svg.strip").first).to_be_visible(timeout=SOON)
        narrow = await page.evaluate("[...document.querySelectorAll('svg.strip')].map(it => it.clientWidth)")
        assert min(narrow) > 250
        await page.close()
    grounds = []
    for dark in (False, True):
        page = await opened(browser, url, dark=dark)
        colour = await page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
        grounds.append(sum(colour[:3]))
    light_ground, dark_ground = grounds
    assert light_ground > 600
    assert dark_ground < 200
    reached = set()
    for _ in range(30):
        await page.keyboard.press("Tab")
        reached.add(await page.evaluate("document.activeElement.dataset.do ?? document.activeElement.id"))
    assert {"search", "meet", "move", "cancel", "decline", "available", "custom", "unavailable"} <= reached
    labels = await page.evaluate("[...document.querySelectorAll('svg.strip')].map(it => it.getAttribute('aria-label'))")
    assert len(labels) == 8
    assert all("events count" in label for label in labels)
