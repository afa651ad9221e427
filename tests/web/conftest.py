"""A public listener on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from calsyncd.web.server import serve

from .wire import Google

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def google() -> Google:
    """The owner of the channels and of the webhook."""
    return Google()


@pytest.fixture
async def address(google: Google) -> AsyncIterator[str]:
    """Where notifications and deliveries are taken."""
    async with serve(google.app(), "127.0.0.1:0") as addresses:
        yield addresses[0]
