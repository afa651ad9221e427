"""`calsyncd demo` and `calsyncd sandbox`, as processes and as functions."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import yaml

from calsyncd.sandbox.demo import demo
from calsyncd.sandbox.world import Sandbox

from .clients import AMY, meeting
from .discovery import check_recorded


@asynccontextmanager
async def command(*arguments: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command with its output piped; ended with the block at the latest."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "calsyncd", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


async def line_with(process: asyncio.subprocess.Process, pattern: str) -> re.Match[str]:
    """The first line of output with this in it; fails with all the output if it ends before."""
    assert process.stdout is not None
    seen = []
    while line := (await process.stdout.readline()).decode():
        seen.append(line)
        if found := re.search(pattern, line):
            return found
    pytest.fail("".join(seen))


async def status_of(url: str) -> int:
    """What a GET of the URL is answered with."""
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_demo_runs_the_daemon_until_it_is_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    """The first URL is the dashboard's, it answers, and a signal ends all with a summary and status 0."""
    async with command("demo", folder=tmp_path) as process:
        first = await line_with(process, r"http\S+/")
        await line_with(process, "calendar of .* was read")
        status = await status_of(first[0])
        process.send_signal(number)
        rest, _ = await process.communicate()

    assert status == 200
    assert process.returncode == 0, rest.decode()
    assert "What the agents saw" in rest.decode()


async def test_the_demo_fails_when_the_daemon_dies(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It ends at once, with a status of its own."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    code = await demo(30)

    assert code == 1
    assert "exit status 1" in capfd.readouterr().out


async def test_the_daemons_own_requests_are_ones_that_google_describes(sandbox: Sandbox, tmp_path: Path) -> None:
    """Everything that it asks from its start to its first update passes the discovery document, refusals included."""
    sandbox.google.insert(AMY, meeting(time.time() - 60, time.time() + 600))
    config = sandbox.write_config(tmp_path, [AMY], listen="127.0.0.1:0", admin_listen="127.0.0.1:0")
    async with command("run", "--config", str(config), folder=tmp_path) as process:
        await line_with(process, "is unavailable until")

    assert check_recorded(sandbox.google.requests) >= 2
    assert sandbox.aircall.setting(456).status == "unavailable"


async def test_the_sandbox_runs_alone(tmp_path: Path) -> None:
    """It writes settings that lead to it, answers, and ends on SIGINT with status 0."""
    async with command("sandbox", "--dir", str(tmp_path / "box"), folder=tmp_path) as process:
        await line_with(process, "Ctrl-C")
        config = yaml.safe_load((tmp_path / "box" / "config.yaml").read_text())
        status = await status_of(config["aircall"]["api_url"] + "/v1/ping")
        process.send_signal(signal.SIGINT)
        await process.communicate()

    assert (status, process.returncode) == (401, 0)
    assert {path.name for path in (tmp_path / "box").iterdir()} == {"config.yaml", "google.json", "aircall-token"}
