"""A whole company connects at once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import pytest

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.browsing import secrets_of, told, written
from tests.acceptance.conftest import Launch
from tests.connections.company import Answer, Browser

AGENTS = 1000
AT_ONCE = 150
"""So many press the button at the same instant: more than are worked at, so that some are asked to wait."""

SAMPLED = 37
"""Of so many secrets one is looked for: each would be a pass over everything."""


@dataclass
class Crowd:
    """Everybody who connects; `answers` counts what they were answered, `cookies` is what they held."""

    address: str
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    answers: Counter[int] = field(default_factory=Counter)
    cookies: set[str] = field(default_factory=set)

    async def connect(self, email: str) -> None:
        """One person's way; whoever is told to wait does."""
        async with self.gate, Browser(self.address) as browser:
            begun = await self._patiently(browser, "POST", "/google/connect", {"email": email, "what": "connect"})
            self.cookies |= set(browser.cookies.values())
            back = await browser.consent(begun.headers["Location"])
            shown = await self._patiently(browser, "GET", back)
            assert shown.title == "Your calendar is being read now", (email, shown.status, shown.title)

    async def _patiently(self, browser: Browser, method: str, path: str, form: dict[str, str] | None = None) -> Answer:
        while True:
            answer = await browser.send(method, path, form)
            self.answers[answer.status] += 1
            if answer.status != 503 or "Retry-After" not in answer.headers:
                return answer
            await asyncio.sleep(float(answer.headers["Retry-After"]))


@pytest.mark.timeout(150)
async def test_a_thousand_connect_at_once(sandbox: Sandbox, launch: Launch) -> None:
    """Each has one grant and one channel, nobody none and nobody two, and no secret of theirs is anywhere."""
    people = [f"agent{number}@example.com" for number in range(AGENTS)]
    for number, email in enumerate(people, start=1):
        sandbox.add_agent(email, user_id=number)
    daemon = await launch(
        [{"email": email, "aircall_user": number} for number, email in enumerate(people, start=1)], consent=True
    )
    assert sandbox.deliver_to is not None
    crowd = Crowd(sandbox.deliver_to.removeprefix("http://"))
    await asyncio.gather(*map(crowd.connect, people))
    async with asyncio.timeout(60):
        while len(sandbox.google.push.live()) < AGENTS:
            await asyncio.sleep(0.2)
    await sandbox.settle()

    folder = daemon.config.parent / "state" / "credentials"
    assert len([path for path in folder.iterdir() if path.name != "lock"]) == AGENTS
    assert all(sandbox.google.consent.has_grant(email) for email in people)
    opened = Counter(channel.calendar for channel in sandbox.google.push.channels.values())
    assert opened == dict.fromkeys(people, 1)
    forms = [parse_qs(request.body.decode()) for request in sandbox.google.requests if request.path == "/token"]
    assert sum(form["grant_type"] == ["authorization_code"] for form in forms) == AGENTS
    assert sum(line.get("action") == "agent_connected" for line in daemon.lines) == AGENTS
    assert Counter(agent["state"] for agent in (await daemon.agents()).values()) == {"idle": AGENTS}
    secrets = secrets_of(sandbox) | crowd.cookies
    assert len(secrets) > 6 * AGENTS
    assert told(await written(daemon), set(sorted(secrets)[::SAMPLED])) == []

    # What two tabs began does not keep the process from stopping at once.
    await asyncio.gather(*(crowd.connect(people[0]) for _ in range(2)))
    began = time.monotonic()
    assert await daemon.stop() == 0
    assert time.monotonic() - began < 3.0
    assert len(sandbox.google.push.live()) == AGENTS
