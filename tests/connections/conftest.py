"""A company with a vault, its pages on a socket, and two browsers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from calsyncd.http import Http
from calsyncd.sandbox.world import Sandbox

from .company import AMY, BOB, EVE, Browser, Company, company_of, visited


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Google with two agents and a stranger."""
    async with Sandbox() as running:
        for email in (AMY, BOB, EVE):
            running.google.add_user(email)
        yield running
        assert running.google.crashes == []


@pytest.fixture
def company(sandbox: Sandbox, http: Http, tmp_path: Path) -> Company:
    """One company."""
    return company_of(sandbox, http, tmp_path)


@pytest.fixture
async def address(company: Company) -> AsyncIterator[str]:
    """Where its pages are."""
    async with visited(company) as found:
        yield found


@pytest.fixture
async def browser(address: str) -> AsyncIterator[Browser]:
    """Amy's."""
    async with Browser(address) as made:
        yield made


@pytest.fixture
async def other(address: str) -> AsyncIterator[Browser]:
    """Somebody else's, on another machine."""
    async with Browser(address) as made:
        yield made
