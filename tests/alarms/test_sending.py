"""Alarms on their way out: to a real receiver and a real program."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from calsyncd.alarms import Command, Outbox, Post, sending
from calsyncd.http import Http

URL_SECRET = "T0k3n-in-the-path"


class Quick:
    """Waits are noted, and short."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0.001)


class Receiver:
    """Takes alarms, and answers as it is told to; else with a word, as many do."""

    def __init__(self) -> None:
        self.took: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        status = self.answers.pop(0) if self.answers else 200
        if status == 200:
            assert request.content_type == "application/json"
            self.took.append(await request.json())
        headers = {"Location": "/elsewhere"} if status == 302 else {}
        return web.Response(status=status, text="ok", headers=headers)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """It listens."""
    made = Receiver()
    app = web.Application()
    app.router.add_post(f"/{URL_SECRET}", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/{URL_SECRET}"
    yield made
    await runner.cleanup()


def message(number: int) -> dict[str, Any]:
    """One alarm of many."""
    return {"kind": "raised", "code": "delegation", "who": f"a{number}@example.com"}


@contextlib.asynccontextmanager
async def running(outbox: Outbox) -> AsyncIterator[None]:
    """Until all is sent."""
    task = asyncio.create_task(outbox.run())
    yield
    async with asyncio.timeout(5):
        while outbox.waiting:
            await asyncio.sleep(0.005)
            assert not task.done()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_messages_go_in_order_and_are_tried_again(receiver: Receiver, http: Http) -> None:
    """A receiver that is down for a while takes all of them, each once, in order; and nobody tells its URL."""
    clock = Quick()
    receiver.answers = [503, 429, 500]
    outbox = Outbox("alerts.url_file", clock, lambda: 1.0, Post(http, receiver.url))

    outbox.put(map(message, range(5)))
    with capture_logs() as logs:
        async with running(outbox):
            pass

    assert receiver.took == [message(number) for number in range(5)]
    assert clock.waits == [1.0, 2.0, 4.0]
    assert [one["why"] for one in logs] == [f"alerts answered {status}" for status in (503, 429, 500)]
    assert URL_SECRET not in str(logs)


async def test_an_unreachable_receiver_names_no_url(http: Http, unused_tcp_port: int) -> None:
    """What is said of it is what the system says."""
    with pytest.raises(sending.NotSentError, match=r"^alerts cannot be reached: Connection refused$") as raised:
        await Post(http, f"http://127.0.0.1:{unused_tcp_port}/{URL_SECRET}")(message(1))

    assert raised.value.passing


@pytest.mark.parametrize("status", [400, 403, 404, 302])
async def test_what_is_refused_does_not_keep_the_others(receiver: Receiver, http: Http, status: int) -> None:
    """It is tried three times, then given up."""
    clock = Quick()
    receiver.answers = [status] * 3
    outbox = Outbox("alerts.url_file", clock, lambda: 1.0, Post(http, receiver.url))

    outbox.put([message(1), message(2)])
    async with running(outbox):
        pass

    assert receiver.took == [message(2)]
    assert clock.waits == [1.0, 2.0]


async def test_a_full_queue_drops_its_oldest(receiver: Receiver, http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not what is under way, when that is another one by then."""
    monkeypatch.setattr(sending, "MOST_WAITING", 3)
    receiver.answers = [503]
    outbox = Outbox("alerts.url_file", Quick(), lambda: 1.0, Post(http, receiver.url))

    outbox.put(map(message, range(5)))
    assert outbox.waiting == [message(2), message(3), message(4)]
    async with running(outbox):
        pass

    assert receiver.took == [message(2), message(3), message(4)]


async def test_another_receiver_gets_what_waits_at_once(receiver: Receiver, http: Http, unused_tcp_port: int) -> None:
    """New settings are not to wait for the next try of the old ones; without any, what waits is let go."""

    class Slow(Quick):
        async def sleep(self, seconds: float) -> None:
            self.waits.append(seconds)
            await asyncio.sleep(60)

    clock = Slow()
    outbox = Outbox("alerts.url_file", clock, lambda: 1.0, Post(http, f"http://127.0.0.1:{unused_tcp_port}/"))
    outbox.put([message(1)])
    async with running(outbox):
        while not clock.waits:
            await asyncio.sleep(0.005)
        outbox.send_by(Post(http, receiver.url))
    assert receiver.took == [message(1)]

    outbox.send_by(None)
    outbox.put([message(2)])
    assert outbox.waiting == []


# -- a program ---------------------------------------------------------------------------------------------------------


def script(folder: Path, text: str) -> str:
    """A program that runs this."""
    path = folder / "tell me"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(stat.S_IRWXU)
    return str(path)


async def test_a_command_reads_the_alarm(tmp_path: Path) -> None:
    """Its arguments are what the settings say, letter by letter; what is systemd's and ours it does not get."""
    program = script(
        tmp_path, f'echo "$1 [$NOTIFY_SOCKET$CREDENTIALS_DIRECTORY$KEPT]" > "{tmp_path}/said"; cat >> "{tmp_path}/said"'
    )
    environ = {**os.environ, "NOTIFY_SOCKET": "/run/x", "CREDENTIALS_DIRECTORY": "/run/y", "KEPT": "kept"}

    await Command([program, "$(id); a 'b'"], environ)(message(1))

    first, second = (tmp_path / "said").read_text().splitlines()
    assert first == "$(id); a 'b' [kept]"
    assert json.loads(second) == message(1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("exit 3", "the command ended with status 3"),
        ("kill -9 $$", "the command ended with status -9"),
        ("exit 0", None),
    ],
)
async def test_a_command_may_fail_or_not_listen(tmp_path: Path, text: str, why: str | None) -> None:
    """It is said how it ended."""
    command = Command([script(tmp_path, text)], os.environ)
    long = {**message(1), "message": "x" * 200_000}

    if why is None:
        await command(long)
    else:
        with pytest.raises(sending.NotSentError, match=f"^{why}$"):
            await command(long)


async def test_a_command_that_is_not_there() -> None:
    """Is named by nothing but the reason."""
    with pytest.raises(sending.NotSentError, match=r"^the command cannot be started: No such file or directory$"):
        await Command(["/nowhere/tell"], {})(message(1))


async def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    """Nothing that it started is left."""
    program = script(tmp_path, f'sleep 60 & echo $! > "{tmp_path}/child"; wait')

    with pytest.raises(sending.NotSentError, match=r"over 0\.3 s"):
        await Command([program], os.environ, seconds=0.3)(message(1))

    assert not alive(int((tmp_path / "child").read_text()))


async def test_a_command_is_killed_at_the_stop(tmp_path: Path) -> None:
    """A stop does not wait for it, and leaves nothing behind."""
    program = script(tmp_path, f'echo $$ > "{tmp_path}/pid.new"; mv "{tmp_path}/pid.new" "{tmp_path}/pid"; sleep 60')
    outbox = Outbox("alerts.command", Quick(), lambda: 1.0, Command([program], os.environ))
    outbox.put([message(1)])
    task = asyncio.create_task(outbox.run())
    async with asyncio.timeout(5):
        while not (tmp_path / "pid").exists():
            await asyncio.sleep(0.01)

    task.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(asyncio.CancelledError):
            await task

    assert not alive(int((tmp_path / "pid").read_text()))
    assert outbox.waiting == [message(1)]


def alive(pid: int) -> bool:
    """Whether the process runs, zombies aside."""
    try:
        os.kill(pid, 0)
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
