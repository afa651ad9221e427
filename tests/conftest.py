"""What many tests share: a client, both services on loopback, and the repair of aioresponses."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aioresponses.core
import pytest
import structlog
from aiohttp import ClientResponse

from calsyncd.http import Http
from calsyncd.sandbox.world import Sandbox


class Nobody:
    """Is told of requests and does not care."""

    def request_done(self, service: str, route: str, status: int | None, seconds: float) -> None:
        """A request ended."""

    def date_seen(self, service: str, date: float) -> None:
        """An answer carried a date."""


LONGEST = ("simulation", "acceptance", "demo", "faults")
"""Folders of tests that live through days or wait for real processes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: workers side by side end together, and none is left with a long file."""
    folders = Path(__file__).parent
    ranks = {folders / name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: min((ranks[one] for one in item.path.parents if one in ranks), default=len(ranks)))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """CI has everything that a test needs: there, a skipped one is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CALSYNCD_FORBID_SKIPS") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


class RepairedResponse(ClientResponse):
    """aioresponses 0.7.9 makes responses without the `stream_writer` that aiohttp 3.14 asks for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", _Unwritten())
        super().__init__(*args, **kwargs)


class _Unwritten:
    output_size = 0


@pytest.fixture(autouse=True)
def _repaired_aioresponses(monkeypatch: pytest.MonkeyPatch) -> None:
    # tests/test_http.py says when this can go.
    monkeypatch.setattr(aioresponses.core, "ClientResponse", RepairedResponse)


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """A command that ran in this process leaves no log behind: the tests after it see what they would see alone."""
    root, ours = logging.getLogger(), logging.getLogger("calsyncd")
    handlers, levels, configured = root.handlers[:], (root.level, ours.level), structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    logging.captureWarnings(capture=False)
    structlog.configure(**configured)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 kB; skips loudly where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=400k", "calsyncd-test", str(folder)]
    if mount is None or umount is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("A FULL DISK IS NOT TESTED: this user cannot mount a tmpfs")
    yield folder
    subprocess.run([umount, "--lazy", str(folder)], check=True)


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    """A client as the daemon has it, without a proxy."""
    async with Http(Nobody(), {}) as made:
        yield made


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Google and Aircall with one agent: Amy, user 456."""
    async with Sandbox() as running:
        running.add_agent("amy@example.com", user_id=456)
        yield running
