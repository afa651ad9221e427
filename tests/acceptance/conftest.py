"""A sandbox, and a daemon that is pointed at it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.world import Sandbox
from tests.acceptance.running import Running, free_port

Launch = Callable[..., Awaitable[Running]]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Google and Aircall on loopback."""
    async with Sandbox() as world:
        yield world


@pytest.fixture
async def prepare(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Callable[..., Running]]:
    """Make a daemon for these agents, not started yet; it is stopped at the end."""
    made: list[Running] = []

    def make(
        agents: list[Any], *, push: bool = True, consent: bool = False, app: bool = False, **extra: Any
    ) -> Running:
        public, admin = free_port(), free_port()
        sandbox.deliver_to = f"http://127.0.0.1:{public}"
        config = sandbox.write_config(
            tmp_path,
            agents,
            listen=f"127.0.0.1:{public}",
            admin_listen=f"127.0.0.1:{admin}",
            public_url=PUBLIC_ORIGIN if push else None,
            consent=consent,
            app=app,
            extra=extra,
        )
        made.append(Running(config, f"http://127.0.0.1:{admin}"))
        return made[-1]

    yield make
    for running in made:
        if running.process is not None and running.process.returncode is None:
            await running.stop()


@pytest.fixture
async def launch(prepare: Callable[..., Running]) -> Launch:
    """Make a daemon for these agents and start it."""

    async def start(agents: list[Any], **extra: Any) -> Running:
        running = prepare(agents, **extra)
        await running.start()
        return running

    return start
