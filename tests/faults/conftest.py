"""Daemons that start in a fifth of a second, and what has been reached, told at the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from benchmarks import machine
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.world import Sandbox
from tests.acceptance.nursery import Nursery
from tests.acceptance.running import Running, free_port
from tests.faults import figures

GATHERED = pytest.StashKey[list[figures.Figure]]()

Prepare = Callable[..., Running]
Reached = Callable[[str, int | str, int | str], None]


def pytest_configure(config: pytest.Config) -> None:
    """Nothing has been reached yet."""
    config.stash[GATHERED] = []


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The figures and the machine that reached them; what was reached at full depth is kept."""
    found = config.stash[GATHERED]
    if not found:
        return
    terminalreporter.section("faults")
    for line in figures.table(found):
        terminalreporter.write_line(line)
    for name, value in machine.describe(Path.cwd()).items():
        terminalreporter.write_line(f"{name}: {value}")
    if os.environ.get("CALSYNCD_FULL"):
        figures.keep(found)


@pytest.fixture(scope="session")
def reached(request: pytest.FixtureRequest) -> Reached:
    """Tell what a test has reached: the figure's name, how many, of how many."""

    def tell(figure: str, count: int | str, of: int | str) -> None:
        request.config.stash[GATHERED].append(figures.made(figure, count, of))

    return tell


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nursery() -> AsyncIterator[Nursery]:
    """Where daemons are forked, one for all tests of a module."""
    async with Nursery().opened() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """Google and Aircall on loopback."""
    async with Sandbox() as world:
        yield world


@pytest_asyncio.fixture(loop_scope="module")
async def prepare(sandbox: Sandbox, tmp_path: Path, nursery: Nursery) -> AsyncIterator[Prepare]:
    """Make a daemon for these agents, not started yet; it is killed at the end. `forked`: by the nursery."""
    made: list[Running] = []

    def make(agents: list[Any], *, push: bool = True, forked: bool = True, **extra: Any) -> Running:
        public, admin = free_port(), free_port()
        sandbox.deliver_to = f"http://127.0.0.1:{public}"
        config = sandbox.write_config(
            tmp_path,
            agents,
            listen=f"127.0.0.1:{public}",
            admin_listen=f"127.0.0.1:{admin}",
            public_url=PUBLIC_ORIGIN if push else None,
            extra=extra,
        )
        made.append(Running(config, f"http://127.0.0.1:{admin}", nursery=nursery if forked else None))
        return made[-1]

    yield make
    for running in made:
        if running.process is not None and running.process.returncode is None:
            await running.kill()


@pytest.fixture
def strace() -> str:
    """The program that spoils system calls; skips loudly without it."""
    found = shutil.which("strace")
    if found is None:
        pytest.skip("FAULTS OF SYSTEM CALLS ARE NOT TESTED: strace is missing")
    return found
