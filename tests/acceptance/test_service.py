"""The promises to systemd and to supervisors, kept by the real process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import aiohttp

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.running import Running

AMY = "amy@example.com"


async def told(listener: socket.socket, start: str) -> list[str]:
    """The lines of the notifications up to one that begins with `start`."""
    lines: list[str] = []
    async with asyncio.timeout(20):
        while not any(line.startswith(start) for line in lines):
            data = await asyncio.get_running_loop().sock_recv(listener, 4096)
            lines += data.decode().splitlines()
    return lines


async def status(session: aiohttp.ClientSession, url: str) -> int:
    """The status of an answer."""
    async with session.get(url) as answer:
        return answer.status


async def test_notify_and_watchdog(sandbox: Sandbox, prepare: Callable[..., Running], tmp_path: Path) -> None:
    """READY=1 once it listens, WATCHDOG=1 while the loop turns, RELOADING=1 on SIGHUP, STOPPING=1 at the end."""
    sandbox.add_agent(AMY, user_id=1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        path = tmp_path / "notify"
        listener.bind(str(path))
        listener.setblocking(False)  # noqa: FBT003 - the library's own name
        daemon = prepare([AMY])
        daemon.environ = {**os.environ, "NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "2000000"}
        await daemon.start()
        ready = await told(listener, "READY=1")
        fed = [await told(listener, "WATCHDOG=1") for _ in range(3)]
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGHUP)
        reloading = await told(listener, "RELOADING=1")
        await told(listener, "READY=1")
        daemon.process.send_signal(signal.SIGTERM)
        stopping = await told(listener, "STOPPING=1")

        assert "READY=1" in ready
        assert any(line.startswith("STATUS=1 agents") for line in ready)
        assert len(fed) == 3
        assert "RELOADING=1" in reloading
        assert "STOPPING=1" in stopping
        assert await daemon.stop() == 0


async def test_health_and_readiness(sandbox: Sandbox, prepare: Callable[..., Running]) -> None:
    """Both listeners answer /healthz, the admin's /readyz says ready, and an outage of Aircall does not turn it red."""
    sandbox.add_agent(AMY, user_id=1)
    sandbox.aircall.fail(times=None, status=503, body="")
    daemon = prepare([AMY])
    await daemon.start()

    async with aiohttp.ClientSession() as session:
        healthy = [await status(session, f"{base}/healthz") for base in (sandbox.deliver_to, daemon.admin)]
        async with asyncio.timeout(10):
            while await status(session, f"{daemon.admin}/readyz") != 200:
                await asyncio.sleep(0.05)

    assert healthy == [200, 200]
