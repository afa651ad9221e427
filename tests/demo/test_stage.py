"""The demo's page over HTTP: the daemon's own, with buttons and time added."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.demo.running import command, line_with

DAN = "dan@example.com"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with the page of a demo whose agents are followed; its log is read to the end."""
    async with command("demo", folder=tmp_path) as process:
        url = (await line_with(process, r"http\S+/"))[0]
        await line_with(process, "dan.*: a calendar was read")
        assert process.stdout is not None
        reading = asyncio.create_task(process.stdout.read())
        async with aiohttp.ClientSession(url) as session:
            yield session
        process.terminate()
        await process.wait()
        await reading


async def ask(page: aiohttp.ClientSession, path: str, body: Any = None) -> Any:
    """The answer's JSON; a POST where there is a body."""
    async with page.request("POST" if body else "GET", path, json=body) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def dan(page: aiohttp.ClientSession, **wanted: Any) -> dict[str, Any]:
    """Dan as the daemon has him, once these fields have these values."""
    async with asyncio.timeout(10):
        while True:
            agent: dict[str, Any] = await ask(page, f"/api/v1/agents/{DAN}")
            if wanted.items() <= agent.items():
                return agent
            await asyncio.sleep(0.05)


async def test_everything_is_the_daemons_but_the_demos_own(page: aiohttp.ClientSession) -> None:
    """The page, its files and the API pass through, errors and commands too; the page gets one style and one script."""
    async with page.get("/") as answer:
        text = await answer.text()
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert 'src="/demo/demo.js"' in text
    assert '<body data-window="180"' in text
    for path in ("/static/page.js", "/static/strip.js", "/demo/demo.js", "/demo/demo.css", "/metrics", "/healthz"):
        async with page.get(path) as answer:
            assert (answer.status, bool(await answer.read())) == (200, True), path
    async with page.get("/api/v1/agents/nobody@example.com") as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (404, "unknown_agent")
    origin = {"Origin": str(page._base_url).rstrip("/")}
    async with page.post(f"/api/v1/agents/{DAN}/sync", headers=origin) as answer:
        assert (answer.status, (await answer.json())["email"]) == (200, DAN)


async def test_who_comes_too_early_is_asked_to_wait(tmp_path: Path) -> None:
    """The page loads itself again until the daemon is there."""
    async with command("demo", folder=tmp_path) as process, aiohttp.ClientSession() as session:
        url = (await line_with(process, r"http\S+/"))[0]
        async with session.get(url) as answer:
            assert (answer.status, "refresh" in await answer.text()) == (503, True)
        await line_with(process, "dan.*: a calendar was read")
        async with session.get(url) as answer:
            assert answer.status == 200


async def test_a_meeting_comes_back_by_push(page: aiohttp.ClientSession) -> None:
    """The daemon is told, holds Dan and shows it; cancelled, it lets him go; the page is told how long each took."""
    told = await ask(page, "/demo/act", {"email": DAN, "do": "meet"})
    assert {person["email"]: person["target"] for person in told["people"]}[DAN]["running"]
    await dan(page, state="held")
    state = await ask(page, "/demo/state")
    echo = next(person["echo"] for person in state["people"] if person["email"] == DAN)
    assert echo["what"] == "meet"
    assert 0 <= echo["told"] <= echo["updated"]
    timeline = await ask(page, f"/api/v1/agents/{DAN}/timeline")
    assert timeline["set"][-1]["availability_status"] == "unavailable"

    await ask(page, "/demo/act", {"email": DAN, "do": "cancel"})
    await dan(page, state="idle")


async def test_time_stands_still_and_goes_on_with_the_next_button(page: aiohttp.ClientSession) -> None:
    """The daemon's clock stands with the sandbox's; at ten times the pace both go on together."""
    still = await ask(page, "/demo/pace", {"rate": 0})
    assert still["rate"] == 0
    await asyncio.sleep(0.2)
    first = (await ask(page, "/api/v1/timelines"))["now"], (await ask(page, "/demo/state"))["now"]
    await asyncio.sleep(1.2)
    assert ((await ask(page, "/api/v1/timelines"))["now"], (await ask(page, "/demo/state"))["now"]) == first

    await ask(page, "/demo/act", {"email": DAN, "do": "meet"})
    await dan(page, state="held")
    assert (await ask(page, "/demo/state"))["rate"] == 1
    await ask(page, "/demo/pace", {"rate": 10})
    await asyncio.sleep(0.2)
    before = (await ask(page, "/demo/state"))["now"]
    await asyncio.sleep(0.5)
    assert (await ask(page, "/demo/state"))["now"] - before >= 5
    await dan(page, state="idle", hold=None)


async def test_what_makes_no_sense_is_refused_in_words(page: aiohttp.ClientSession) -> None:
    """With what would be right."""
    refused: list[tuple[str, Any, int]] = [
        ("/demo/act", {"email": "nobody@example.com", "do": "meet"}, 404),
        ("/demo/act", {"email": DAN, "do": "promote"}, 400),
        ("/demo/act", [], 404),
        ("/demo/pace", {"rate": 1000}, 400),
        ("/demo/pace", {"rate": "fast"}, 400),
        ("/demo/pace", {"rate": [1]}, 400),
    ]
    for path, body, status in refused:
        async with page.post(path, json=body) as answer:
            assert (answer.status, path, body) == (status, path, body)
            assert (await answer.json())["error"]["message"]


async def test_other_sites_pages_cannot_use_it(page: aiohttp.ClientSession) -> None:
    """Neither by a name that leads to this machine, nor by a request of their own."""
    async with page.get("/demo/state", headers={"Host": "evil.example"}) as answer:
        assert answer.status == 403
    for origin in ("http://evil.example", "null"):
        async with page.post("/demo/act", json={"email": DAN, "do": "meet"}, headers={"Origin": origin}) as answer:
            assert answer.status == 403
    async with page.post("/api/v1/release", headers={"Origin": "http://evil.example"}) as answer:
        assert answer.status == 403
