"""The operators' page in a real browser, before a real daemon: by mouse, by keyboard, on a phone and over a restart."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from playwright.async_api import BrowserContext, Locator, Page, ViewportSize, async_playwright, expect

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.browsing import CHROMIUM
from tests.acceptance.conftest import Launch
from tests.acceptance.running import Running
from tests.acceptance.test_life import AMY, BOB, meeting

SOON = 10_000.0
NARROW: ViewportSize = {"width": 360, "height": 740}
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
AXE = Path(__file__).parent.parent.parent / "node_modules" / "axe-core" / "axe.min.js"
MARKUP = "<img src=x onerror=\"document.title='run'\">"
ODD = "o'neil&lt%3cb%3e#@example.com"
GRAVE = {"serious", "critical"}


@pytest.fixture
async def context() -> AsyncIterator[BrowserContext]:
    """Somebody's browser; skips loudly where there is none. An error of the page's own fails the test."""
    if CHROMIUM is None:
        pytest.skip("THE PAGE IS NOT TESTED: no Chromium; it is in Debian's package chromium")
    wrong: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        made = await browser.new_context(viewport={"width": 1400, "height": 1000}, locale="en-GB")
        made.set_default_timeout(SOON)
        made.on("weberror", lambda error: wrong.append(str(error.error)))
        made.on("console", lambda said: wrong.append(said.text) if "Policy" in said.text else None)
        yield made
        await browser.close()
    assert wrong == []


async def opened(context: BrowserContext, daemon: Running, where: str = "") -> Page:
    """The page, once it is live."""
    page = await context.new_page()
    await page.goto(f"{daemon.admin}/{where}")
    await expect(page.locator("#link-text")).to_have_text("live", timeout=SOON)
    return page


def row(page: Page, email: str) -> Locator:
    """The agent's row."""
    return page.locator(f'tbody[data-email="{email}"]')


async def state(page: Page, email: str, word: str) -> None:
    """Wait until the agent's row says so."""
    await expect(row(page, email).locator(".state")).to_have_text(word, timeout=SOON)


async def said(page: Page, words: str) -> None:
    """Wait until the panel says what became of it."""
    await expect(page.locator("#panel-result")).to_contain_text(words, timeout=SOON)


async def chosen(page: Page, act: str, choice: str, reason: str = "") -> None:
    """By the panel's form."""
    await page.click(f'[data-act="{act}"]')
    await page.get_by_label(choice, exact=True).check()
    await page.fill("#act-reason", reason)
    await page.click("#act-yes")


async def fits(page: Page) -> None:
    """Nothing is wider than the screen."""
    assert await page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
    assert (
        await page.evaluate(
            "() => { const it = document.getElementById('panel'); return it.scrollWidth - it.clientWidth }"
        )
        <= 0
    )


async def test_every_button_of_an_agent(sandbox: Sandbox, launch: Launch, context: BrowserContext) -> None:
    """Each does what it says and says so, or why not; and whatever an agent, a person or Google says stands as text."""
    for user, email in ((1, AMY), (2, BOB), (3, ODD)):
        sandbox.add_agent(email, user_id=user)
    meeting(sandbox, AMY, -60, 1200)
    gone = f"{MARKUP.replace(' ', '')}@group.calendar.google.com"
    odd = {"email": ODD, "aircall_user": 3, "calendars": ["primary", gone]}
    daemon = await launch([AMY, BOB, odd])
    await daemon.until(AMY, state="held")
    page = await opened(context, daemon)

    await row(page, AMY).locator(".why").click()
    await expect(page).to_have_url(f"{daemon.admin}/#{AMY}")
    await expect(page.locator("#panel-why li").first).to_contain_text("Unavailable since")
    await expect(page.locator("#panel-calendars")).to_contain_text("channel: verified")
    await expect(page.locator("#panel-history li").first).to_contain_text("set available → unavailable")
    await expect(page.locator("#panel-strip rect.set.ours")).to_have_count(1)
    await page.click("#panel-events summary")
    await expect(page.locator("#panel-events-list li")).to_contain_text("counts")
    meeting_end = (await daemon.agents())[AMY]["until"]
    await page.click('[data-act="sync"]')
    await said(page, "The calendars were read just now.")
    await chosen(page, "extend", "by 5 min")
    await said(page, "Unavailable until")
    assert (await daemon.agents())[AMY]["until"] > meeting_end
    await chosen(page, "skip", "the meeting that runs, else the next one")
    await said(page, "Skipped: ")
    await state(page, AMY, "idle")
    await chosen(page, "pause", "for 1 h", MARKUP)
    await said(page, "Paused until")
    await state(page, AMY, "paused")
    await expect(page.locator("#panel-history li").first).to_contain_text(MARKUP)
    await page.click('[data-act="resume"]')
    await said(page, "Resumed")
    await expect(page.locator('[data-act="resume"]')).to_be_hidden()
    assert (await daemon.agents())[AMY]["paused_until"] is None

    await row(page, BOB).locator(".state").click()
    await expect(page.locator("#panel-name")).to_have_text("bob")
    await expect(page.locator("#panel-result")).to_be_empty()
    await chosen(page, "skip", "the meeting that runs, else the next one")
    await said(page, "Not done: ")
    await page.click("#act-no")
    await expect(page.locator("#act-form")).to_be_hidden()
    async with aiohttp.ClientSession() as session:
        for number in range(25):
            body = {"reason": f"number {number}"}
            async with session.post(
                f"{daemon.admin}/api/v1/agents/{BOB}/{'pause' if number % 2 == 0 else 'resume'}", json=body
            ) as answer:
                assert answer.status == 200
    await expect(page.locator("#panel-history li").first).to_contain_text("number 24")
    await expect(page.locator("#panel-history li")).to_have_count(20)
    await page.click("#panel-more")
    await expect(page.locator("#panel-history li").last).to_contain_text("seen for the first time")
    await expect(page.locator("#panel-more")).to_be_hidden()

    await row(page, ODD).locator(".state").click()
    await page.reload()
    await expect(page.locator("#panel-name")).to_have_text(ODD.partition("@")[0])
    await expect(page.locator("#panel-calendars")).to_contain_text(gone)
    await page.click('[data-act="sync"]')
    await expect(page.locator("#panel-result")).not_to_contain_text("asked")
    await page.goto(f"{daemon.admin}/#nobody@example.com")
    await expect(page.locator("#panel-unknown")).to_be_visible()
    await page.click("#panel-close")
    await expect(page.locator("#panel")).to_be_hidden()
    assert await page.evaluate("() => [document.images.length, location.hash]") == [2, ""]


async def test_times_are_told_once_and_by_24_hours(sandbox: Sandbox, launch: Launch, context: BrowserContext) -> None:
    """To an American abroad: by the viewer's clock, then by the agent's, and not again in the sentence."""
    sandbox.add_agent(AMY, user_id=1)
    meeting(sandbox, AMY, -60, 1200)
    daemon = await launch([AMY])
    await daemon.until(AMY, state="held")
    amy = (await daemon.agents())[AMY]
    end = datetime.fromisoformat(amy["until"])
    here, there = (f"{end.astimezone(ZoneInfo(zone)):%H:%M}" for zone in ("America/New_York", amy["zone"]))
    assert context.browser is not None
    abroad = await context.browser.new_context(locale="en-US", timezone_id="America/New_York")
    page = await opened(abroad, daemon)

    why = rf"(\w+,? )?{here}(:\d\d)? in \d+ min \((\w+,? )?{there}(:\d\d)? \w+\)In a meeting; then back to available\."
    await expect(row(page, AMY).locator(".why")).to_have_text(re.compile(f"^{why}$"))
    await row(page, AMY).locator(".why").click()
    await expect(page.locator("#panel-why-word")).to_have_text(f"Why, by the clock of {amy['zone']}")


async def test_everybody_at_once_and_by_keyboard_alone(
    sandbox: Sandbox, launch: Launch, context: BrowserContext
) -> None:
    """Rows, an agent's pause, filters and the incident's switch need no mouse; Escape leads back where one was."""
    people = [AMY, BOB, "cleo@example.com"]
    for user, email in enumerate(people, 1):
        sandbox.add_agent(email, user_id=user)
    meeting(sandbox, AMY, -60, 1200)
    daemon = await launch(people)
    await daemon.until(AMY, state="held")
    page = await opened(context, daemon)
    await expect(page.locator("a.to-agent")).to_have_count(3)
    press = page.keyboard.press

    async def at() -> str:
        return str(
            await page.evaluate(
                "() => { const it = document.activeElement; return it.id || it.dataset.act || it.getAttribute('href') }"
            )
        )

    await press("Tab")
    await press("Enter")
    places = [await at()]
    for key in ("ArrowDown", "End", "ArrowDown", "ArrowUp", "Home"):
        await press(key)
        places.append(await at())
    assert places == [f"#{email}" for email in (AMY, BOB, people[2], people[2], BOB, AMY)]

    await press("ArrowDown")
    await press("Enter")
    await expect(page.locator("#panel-name")).to_be_focused()
    while await at() != "pause":
        await press("Tab")
    await press("Enter")
    for key in ("ArrowRight", "Tab"):
        await press(key)
    await page.keyboard.type("the lift is stuck")
    await press("Enter")
    await said(page, "Paused until")
    assert await at() == "pause"
    paused = (await daemon.agents())[BOB]
    assert paused["state"] == "paused"
    await expect(page.locator("#panel-history li").first).to_contain_text("the lift is stuck")
    await press("Enter")
    await press("Escape")
    await expect(page.locator("#act-form")).to_be_hidden()
    await press("Escape")
    await expect(page.locator("#panel")).to_be_hidden()
    assert await at() == f"#{BOB}"

    await page.focus("#pause-all")
    await press("Enter")
    await expect(page.locator("#everybody")).to_contain_text("Pause all 3 agents?")
    await press("Escape")
    await expect(page.locator("#everybody")).to_be_hidden()
    assert await at() == "pause-all"
    assert (await daemon.agents())[AMY]["state"] == "held"
    await press("Enter")
    while await at() != "everybody-yes":
        await press("Tab")
    await press("Enter")
    await expect(page.locator("#everybody-done")).to_have_text("Everybody is paused.")
    await expect(page.locator("#paused")).to_be_visible()
    for email in people:
        await state(page, email, "paused")
    assert sandbox.aircall.setting(1).status == "available"
    await page.focus('[data-filter="paused"]')
    await press("Space")
    await expect(page.locator('[data-filter="paused"]')).to_have_attribute("aria-pressed", "true")
    await press("Space")
    await page.click("#paused-resume")
    await page.click("#everybody-yes")
    await state(page, AMY, "held")
    await expect(page.locator("#paused")).to_be_hidden()
    await expect(page.locator("#resume-all")).to_be_hidden()


HIDE = """() => {
  window.away = true;
  Object.defineProperty(document, "hidden", { get: () => away, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
SHOW = '() => { away = false; document.dispatchEvent(new Event("visibilitychange")); }'


async def test_it_outlives_the_daemon(sandbox: Sandbox, launch: Launch, context: BrowserContext) -> None:
    """Without it the page says since when; with it again all is shown as it is then. Without a free stream it asks.

    A page that nobody looks at lets the stream go, and does not call what it shows live; nor does one that slept.
    """
    for user, email in ((1, AMY), (2, BOB)):
        sandbox.add_agent(email, user_id=user)
    daemon = await launch([AMY, BOB])
    page = await opened(context, daemon, f"#{BOB}")
    await state(page, AMY, "idle")

    await daemon.stop()
    await expect(page.locator("#link-text")).to_have_text("not reachable")
    await expect(page.locator("#alarm-title")).to_contain_text("not connected since")
    assert "stale" in (await page.get_attribute("body", "class") or "")
    await page.click('[data-act="sync"]')
    await said(page, "Not done: calsyncd does not answer.")
    meeting(sandbox, AMY, -60, 1200)
    await daemon.start()
    await expect(page.locator("#link-text")).to_have_text("live")
    await expect(page.locator("#link-news")).to_contain_text("restarted, version")
    await expect(page.locator("#alarm")).to_be_hidden()
    await state(page, AMY, "held")
    await expect(page.locator("#panel-name")).to_have_text("bob")
    meeting(sandbox, BOB, -60, 1200)
    await expect(page.locator("#panel-state")).to_contain_text("held")
    await expect(page.locator("#panel-strip rect.event")).to_have_count(1)

    # The clock is the browser's: of all its pages.
    await page.close()
    rested = await context.new_page()
    await rested.clock.install()
    await rested.goto(daemon.admin)
    await rested.clock.resume()
    await expect(rested.locator("#link-text")).to_have_text("live")
    await rested.evaluate(HIDE)
    await rested.clock.fast_forward(61_000)
    await expect(rested.locator("#link-text")).to_have_text("not live: connecting")
    await rested.evaluate(SHOW)
    await expect(rested.locator("#link-text")).to_have_text("live")

    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        while (answer := await stack.enter_async_context(session.get(f"{daemon.admin}/api/v1/stream"))).status == 200:
            pass
        assert answer.status == 503
        late = await context.new_page()
        await late.goto(daemon.admin)
        await expect(late.locator("#link-text")).to_contain_text("not live")
        await state(late, AMY, "held")

    # The machine sleeps with the page in sight, and wakes before the silence of a dead stream would have told.
    async with rested.expect_response("**/api/v1/stream"):
        await rested.clock.fast_forward(13_000)
    await expect(rested.locator("#link-text")).to_have_text("live")


async def test_it_can_be_read_by_everybody(sandbox: Sandbox, launch: Launch, context: BrowserContext) -> None:
    """Light, dark and on a phone, with an agent and a question open: nothing overflows, and axe is content."""
    if not AXE.exists():
        pytest.skip("WHO CANNOT SEE IS NOT TESTED: no axe-core; `npm ci` gets it")
    for user, email in ((1, AMY), (2, BOB)):
        sandbox.add_agent(email, user_id=user)
    meeting(sandbox, AMY, -60, 1200)
    daemon = await launch([{"email": AMY, "calendars": ["primary", "gone@group.calendar.google.com"]}, BOB])
    await daemon.until(AMY, state="held")
    await context.add_init_script(path=AXE)
    page = await opened(context, daemon)
    await expect(row(page, AMY).locator(".trouble-box")).to_be_visible()

    async def content() -> None:
        found: list[dict[str, Any]] = await page.evaluate("async () => (await axe.run()).violations")
        assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in GRAVE] == []
        await fits(page)

    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await content()
    await page.goto(f"{daemon.admin}/#{AMY}")
    await page.click('[data-act="pause"]')
    await content()
    await page.set_viewport_size(NARROW)
    await content()
    await page.click("#panel-close")
    await content()
    await page.emulate_media(color_scheme="light")
    await page.click("#pause-all")
    await content()
    await page.keyboard.press("Escape")
    await daemon.stop()
    await expect(page.locator("#alarm-title")).to_contain_text("not connected since")
    await content()
