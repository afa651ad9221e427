"""Google with one agent, Amy, and the clock that both sides share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from calsyncd.sandbox.world import Sandbox

from .clock import Time


@pytest.fixture
def clock() -> Time:
    """The time that the tokens see."""
    return Time()


@pytest.fixture
async def sandbox(clock: Time) -> AsyncIterator[Sandbox]:
    """Google, on the right time."""
    async with Sandbox(now=clock.right) as running:
        running.add_agent("amy@example.com")
        yield running
        assert running.google.crashes == []


@pytest.fixture
def learned() -> list[str]:
    """Secrets that the log must know."""
    return []
