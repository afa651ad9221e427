"""A running sandbox and its clients."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from calsyncd.sandbox.world import Sandbox

from .clients import AMY, AircallClient, GoogleClient, Receiver
from .discovery import check_recorded


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Both services with one agent, Amy, user 456; what Google answered is judged by its own description."""
    async with Sandbox() as running:
        running.add_agent(AMY, name="Amy Rudd", user_id=456)
        yield running
        check_recorded(running.google.requests, refused=True)
        assert [*running.google.crashes, *running.aircall.crashes] == []


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A session of its own for each test."""
    async with aiohttp.ClientSession() as made:
        yield made


@pytest.fixture
def google(sandbox: Sandbox, session: aiohttp.ClientSession) -> GoogleClient:
    """A client of Google's side."""
    return GoogleClient(sandbox, session)


@pytest.fixture
def aircall(sandbox: Sandbox, session: aiohttp.ClientSession) -> AircallClient:
    """A client of Aircall's side."""
    return AircallClient(sandbox, session)


@pytest.fixture
async def receiver(sandbox: Sandbox) -> AsyncIterator[Receiver]:
    """What stands behind https://demo.calsyncd.test."""
    made = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", made.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sandbox.deliver_to = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    sandbox.deliver_to = None
    await runner.cleanup()
