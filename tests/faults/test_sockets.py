"""Notifications while the process dies and comes back, on sockets that its supervisor keeps."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import Counter

import pytest
from yarl import URL

from calsyncd.routes import GOOGLE_WEBHOOK
from calsyncd.sandbox.world import Sandbox
from tests.acceptance.test_life import AMY
from tests.faults.conftest import Prepare, Reached

pytestmark = pytest.mark.asyncio(loop_scope="module")

SENDERS = 4
WAITING = 300
"""More than a process takes in at a time."""


def genuine(sandbox: Sandbox) -> bytes:
    """A notification of Amy's channel."""
    (channel, *_) = sandbox.google.push.live(AMY)
    headers = sandbox.google.push._headers(channel, "exists", 9)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {GOOGLE_WEBHOOK} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: 0\r\n\r\n".encode()


async def send(port: int, request: bytes, told: Counter[str]) -> None:
    """A notification on a connection of its own: heard, told to come again, cut off by a dying process, or refused."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        told["refused"] += 1
        return
    try:
        writer.write(request)
        answer = await reader.readline()
        told[{b"200": "heard", b"": "cut"}.get(answer[9:12], "put off")] += 1
    except OSError:
        told["cut"] += 1
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.mark.parametrize("killed", [False, True])
async def test_no_notification_is_refused(sandbox: Sandbox, prepare: Prepare, reached: Reached, killed: bool) -> None:
    """Told to stop or killed under a stream of them: those who come meanwhile wait, and the next process answers."""
    sandbox.add_agent(AMY, user_id=1)
    daemon = prepare([AMY], forked=False)
    ports = {
        name: URL(base or "").port or 0 for name, base in (("public", sandbox.deliver_to), ("admin", daemon.admin))
    }
    daemon.environ = dict(os.environ)
    with contextlib.ExitStack() as stack:
        daemon.sockets = {
            name: stack.enter_context(socket.create_server(("127.0.0.1", port))) for name, port in ports.items()
        }
        told, over = Counter[str](), asyncio.Event()

        async def stream() -> None:
            while not over.is_set():
                await send(ports["public"], genuine(sandbox), told)
                await asyncio.sleep(0.002)

        await daemon.start()
        await _channel(sandbox)
        senders = asyncio.gather(*(stream() for _ in range(SENDERS)))
        await _grows(told, SENDERS)
        before = told["heard"]
        await (daemon.kill() if killed else daemon.stop())
        await daemon.start()
        await _grows(told, before + SENDERS)
        over.set()
        await senders
        assert await daemon.stop() == 0

    how = "a kill -9" if killed else "a restart"
    sent = told["heard"] + told["refused"] + told["put off"]
    reached(f"notifications over {how} with socket activation, not refused", told["heard"], sent)
    assert told["refused"] == told["put off"] == 0
    # One of each sender may be in the hands of a process that is killed.
    assert told["cut"] <= (SENDERS if killed else 0)


async def _grows(told: Counter[str], beyond: int) -> None:
    """Wait until more than so many were answered."""
    async with asyncio.timeout(20):
        while told["heard"] <= beyond:
            await asyncio.sleep(0.01)


async def test_who_waited_is_heard_by_the_next_process(sandbox: Sandbox, prepare: Prepare) -> None:
    """Genuine notifications that came between two processes are all taken, and none is told to come again."""
    sandbox.add_agent(AMY, user_id=1)
    daemon = prepare([AMY], forked=False)
    daemon.environ = dict(os.environ)
    with contextlib.ExitStack() as stack:
        daemon.sockets = {
            name: stack.enter_context(socket.create_server(("127.0.0.1", URL(base or "").port or 0), backlog=500))
            for name, base in (("public", sandbox.deliver_to), ("admin", daemon.admin))
        }
        await daemon.start()
        await _channel(sandbox)
        await daemon.stop()
        waiting = []
        for _ in range(WAITING):
            waiting.append(
                await asyncio.open_connection(sock=socket.create_connection(daemon.sockets["public"].getsockname()))
            )
            waiting[-1][1].write(genuine(sandbox))
        await daemon.start()
        answers = Counter([(await reader.readline()).split()[1] for reader, _ in waiting])
        for _, writer in waiting:
            writer.close()
        assert await daemon.stop() == 0

    assert answers == {b"200": WAITING}


async def _channel(sandbox: Sandbox) -> None:
    """Wait until Amy's calendar has one."""
    async with asyncio.timeout(20):
        while not sandbox.google.push.live(AMY):
            await asyncio.sleep(0.01)
