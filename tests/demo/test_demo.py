"""`calsyncd demo` and `calsyncd sandbox`, as processes and as functions."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import aiohttp
import pytest
import yaml

from calsyncd.demo.show import demo
from tests.demo.running import command, line_with


async def status_of(url: str) -> int:
    """What a GET of the URL is answered with."""
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_demo_runs_the_daemon_until_it_is_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    """The first URL is the dashboard's, it answers, and a signal ends all with a summary and status 0."""
    async with command("demo", folder=tmp_path) as process:
        first = await line_with(process, r"http\S+/")
        await line_with(process, "calendar was read")
        status = await status_of(first[0])
        process.send_signal(number)
        rest, _ = await process.communicate()

    assert status == 200
    assert process.returncode == 0, rest.decode()
    assert "What the agents saw" in rest.decode()


async def test_the_daemon_ends_with_the_demo(tmp_path: Path) -> None:
    """Also when the demo is killed: nobody would be left to watch it."""
    async with command("demo", folder=tmp_path) as process:
        await line_with(process, "calendar was read")
        process.kill()
        # The daemon holds the other end of this pipe: it has ended when there is no more to read.
        rest, _ = await asyncio.wait_for(process.communicate(), 10)

    assert "Stopped; whoever is held stays written down" in rest.decode()


async def test_the_demo_fails_when_the_daemon_dies(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It ends at once, with a status of its own."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    code = await demo(30)

    assert code == 1
    assert "exit status 1" in capfd.readouterr().out


async def test_the_sandbox_runs_alone(tmp_path: Path) -> None:
    """It writes settings that lead to it, answers, and ends on SIGINT with status 0."""
    async with command("sandbox", "--dir", str(tmp_path / "box"), folder=tmp_path) as process:
        await line_with(process, "Ctrl-C")
        config = yaml.safe_load((tmp_path / "box" / "config.yaml").read_text())
        status = await status_of(config["aircall"]["api_url"] + "/v1/ping")
        process.send_signal(signal.SIGINT)
        await process.communicate()

    assert (status, process.returncode) == (401, 0)
    files = {"config.yaml", "google.json", "client.json", "aircall-token", "aircall-secret"}
    assert {path.name for path in (tmp_path / "box").iterdir()} == files


async def test_the_sandbox_turns_out_as_it_is_told(tmp_path: Path) -> None:
    """A doubtful point that is not known is refused with those that are; one that is known is so."""
    async with command("sandbox", "--doubt", "v1_user=410", folder=tmp_path) as process:
        refused, _ = await process.communicate()
    async with command("sandbox", "--dir", str(tmp_path / "box"), "--doubt", "v1_users=410", folder=tmp_path) as other:
        await line_with(other, "Ctrl-C")
        aircall = yaml.safe_load((tmp_path / "box" / "config.yaml").read_text())["aircall"]
        token = (tmp_path / "box" / "aircall-token").read_text().strip()
        authorization = aiohttp.encode_basic_auth(aircall["api_id"], token)
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        url = aircall["api_url"] + "/v1/users"
        async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as answer:
            status = answer.status

    assert (process.returncode, "v1_users" in refused.decode()) == (2, True)
    assert status == 410
