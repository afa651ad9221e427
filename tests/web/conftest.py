"""A public listener on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from calsyncd.web.server import serve

from .apps import Site, app_site
from .wire import Google

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from calsyncd.http import Http
    from calsyncd.sandbox.world import Sandbox


@pytest.fixture
def google() -> Google:
    """The owner of the channels and of the webhook."""
    return Google()


@pytest.fixture
async def address(google: Google) -> AsyncIterator[str]:
    """Where notifications and deliveries are taken."""
    async with serve(google.app(), "127.0.0.1:0") as addresses:
        yield addresses[0]


@pytest.fixture
async def site(http: Http, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Site]:
    """A site of `https://calsyncd.example.com`, on loopback behind a proxy that does TLS."""
    async with app_site(http, sandbox, tmp_path, "https://calsyncd.example.com") as made:
        yield made
