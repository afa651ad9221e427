"""Make the manual's pictures: `make pictures`. A demo runs; a headless Chromium looks at its page.

docs/pictures/ gets the page in the light and in the dark, with an agent in full and on a phone; README.md gets what
the terminal showed.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import time
from pathlib import Path

from playwright.async_api import async_playwright

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "pictures"
README = ROOT / "README.md"
BEGIN, END = "<!-- what the terminal shows, by make pictures -->\n", "<!-- end of what the terminal shows -->\n"

SECONDS = 75
MOST_LINES = 8
LOOK_AT_SECONDS = 38.0
"""When the pictures are taken: some are held, one has come back, one is left alone."""

TOLD = re.compile(r"unavailable until|is back to|left alone|stand back")
VIEWS = (
    ("page-light", 1320, 1010, "light", ""),
    ("page-dark", 1320, 1010, "dark", ""),
    ("page-agent", 1320, 1010, "light", "#ben@example.com"),
    ("page-phone", 420, 1240, "light", ""),
)


async def main() -> None:
    """Run the demo once, and look while it runs."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is needed to look at the page: apt-get install chromium")
    PICTURES.mkdir(exist_ok=True)
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "calsyncd", "demo", "--seconds", str(SECONDS)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None  # noqa: S101 - it was asked for
    first = (await process.stdout.readline()).decode()
    reading = asyncio.create_task(process.stdout.read())
    url = first.split()[1]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, width, height, scheme, where in VIEWS:
            context = await browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
                locale="en-GB",
            )
            page = await context.new_page()
            await page.goto(url + where)
            await page.wait_for_selector("tbody tr.hands")
            if name == VIEWS[0][0]:
                await page.wait_for_timeout(max(0.0, LOOK_AT_SECONDS - (time.monotonic() - began)) * 1000)
                await page.click('tbody[data-email="dan@example.com"] [data-do="meet"]')
                await page.click('tbody[data-email="ben@example.com"] [data-do="available"]')
            await page.mouse.move(0, 0)
            # A change by hand right after an update is believed once it has been seen twice.
            await page.wait_for_timeout(7000 if name == VIEWS[0][0] else 2500)
            await page.screenshot(path=PICTURES / f"{name}.png")
        await browser.close()
    shown = first + (await reading).decode()
    if await process.wait():
        sys.exit(shown)
    README.write_text(with_recording(README.read_text(encoding="utf-8"), shown), encoding="utf-8")


def with_recording(readme: str, shown: str) -> str:
    """The manual with what the terminal showed between its two marks; most of the log is left out."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    first, _, told = shown.partition("\n")
    log, _, summary = told.partition("What the agents saw")
    lines = [line.rstrip() for line in log.splitlines() if TOLD.search(line)][:MOST_LINES]
    text = "\n".join(
        [
            f"$ make demo SECONDS={SECONDS}",
            first,
            "...",
            *(re.sub(r"  event_id=\S+", "", line).rstrip() for line in lines),
            "...",
            *[line.rstrip() for line in summary.splitlines() if line.strip()][-2:],
        ]
    )
    return f"{before}{BEGIN}\n```text\n{text}\n```\n\n{END}{after}"


if __name__ == "__main__":
    asyncio.run(main())
