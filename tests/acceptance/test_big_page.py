"""The operators' page for a thousand agents: how soon it is of use, what it carries, and how soon a change shows."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.limits import Window
from calsyncd.sandbox.world import Sandbox
from tests.acceptance.browsing import CHROMIUM
from tests.acceptance.conftest import Launch
from tests.acceptance.running import Running

AGENTS, EVENTS = 1000, 8
LOADS = 3
USABLE_SECONDS, MOST_BYTES, CHANGE_SECONDS = 1.0, 300_000, 1.0
LONGEST_TASK_MS = 200
IDS = "0123456789abcdefghijklmnopqrstuv"

WATCH = """
window.tasks = [];
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) tasks.push(one.duration);
}).observe({ type: "longtask" });
new MutationObserver((_, watcher) => {
  // Who is in sight is told in words and as a strip, and all can be filtered.
  const there = (what) => document.querySelector(what) !== null;
  if (!there("tbody:nth-of-type(8) rect.event") || !there('[data-filter="all"]')) return;
  window.usable = performance.now();
  watcher.disconnect();
}).observe(document, { subtree: true, childList: true });
"""


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Headless Chromium; skips loudly where there is none."""
    if CHROMIUM is None:
        pytest.skip("A BIG COMPANY'S PAGE IS NOT TESTED: no Chromium; it is in Debian's package chromium")
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        await made.close()


def fill(sandbox: Sandbox, emails: list[str]) -> None:
    """Each agent's working day: half an hour of every hour, none of which begins or ends within the test."""
    sandbox.aircall.switches.budget = Window(10_000)
    sandbox.google.quotas.per_project = Window(1_000_000)
    chance = random.Random(1000)
    first = time.time() // 300 * 300 - (EVENTS // 2) * 3600 + 900
    for number, email in enumerate(emails):
        sandbox.add_agent(email, user_id=number + 1)
        for event in range(EVENTS):
            start = first + event * 3600 + number % 4 * 300
            sandbox.google.put_raw(
                email,
                {
                    "id": "".join(chance.choices(IDS, k=26)),
                    "status": "confirmed",
                    "eventType": "default",
                    "start": {"dateTime": second(start)},
                    "end": {"dateTime": second(start + 1800)},
                    "updated": "2026-01-01T00:00:00.000Z",
                },
            )


async def all_read(daemon: Running) -> None:
    """Return once every agent's calendar was read."""
    async with asyncio.timeout(60):
        while any(agent["state"] == "unsynced" for agent in (await daemon.agents()).values()):
            await asyncio.sleep(0.5)


async def load(browser: Browser, url: str) -> tuple[Page, float, int]:
    """The page in a fresh browser: (itself, seconds until it was of use, bytes carried until all rows stood)."""
    context = await browser.new_context(viewport={"width": 1400, "height": 1000}, locale="en-GB")
    await context.add_init_script(WATCH)
    page = await context.new_page()
    watch = await context.new_cdp_session(page)
    await watch.send("Network.enable")
    carried: list[float] = []
    watch.on("Network.loadingFinished", lambda told: carried.append(told["encodedDataLength"]))
    async with page.expect_response(lambda answer: "cursor=" in answer.url) as rest:
        await page.goto(url)
    await (await rest.value).finished()
    await expect(page.locator("tbody .state")).to_have_count(AGENTS)
    return page, await page.evaluate("() => usable") / 1000, int(sum(carried))


@pytest.mark.alone
async def test_a_thousand_agents(sandbox: Sandbox, launch: Launch, browser: Browser) -> None:
    """Of use within a second, at most 300 kB; a change shows within a second; scrolling and searching never stick."""
    emails = [f"agent{number:04}@example.com" for number in range(AGENTS)]
    fill(sandbox, emails)
    daemon = await launch(emails, push=False)
    await all_read(daemon)

    loads = []
    for number in range(LOADS):
        page, seconds, carried = await load(browser, daemon.admin)
        loads.append((seconds, carried))
        if number < LOADS - 1:
            await page.context.close()
    print(loads)
    assert min(seconds for seconds, _ in loads) <= USABLE_SECONDS
    assert max(carried for _, carried in loads) <= MOST_BYTES

    await page.evaluate("() => tasks.splice(0)")
    shown = page.locator(f'tbody[data-email="{emails[5]}"] .state')
    async with aiohttp.ClientSession() as session:
        url = f"{daemon.admin}/api/v1/agents/{emails[5]}/pause"
        took = []
        for _ in range(LOADS):
            async with session.post(url, json={}) as answer:
                assert answer.status == 200
            began = time.monotonic()
            await expect(shown).to_have_text("paused")
            took.append(time.monotonic() - began)
            async with session.post(url.replace("/pause", "/resume"), json={}) as answer:
                assert answer.status == 200
            await expect(shown).not_to_have_text("paused")
    assert min(took) <= CHANGE_SECONDS

    for _ in range(20):
        await page.mouse.wheel(0, 1500)
        await page.wait_for_timeout(30)
    await expect(page.locator(f'tbody[data-email="{emails[300]}"] svg.strip')).to_have_count(1)
    await page.evaluate("() => scrollTo(0, 1e6)")
    await expect(page.locator(f'tbody[data-email="{emails[-1]}"] rect.event')).not_to_have_count(0)
    await page.fill("#search", "agent07")
    await expect(page.locator("tbody:not([hidden])")).to_have_count(100)
    assert max(await page.evaluate("() => tasks"), default=0) <= LONGEST_TASK_MS
