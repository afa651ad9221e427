"""The promises to systemd and to supervisors, kept by the real process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from yarl import URL

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
    """READY=1 once it listens, STATUS= kept current, WATCHDOG=1 at half the interval, then a reload and the end."""
    sandbox.add_agent(AMY, user_id=1)
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    times = {"start": start, "end": start + timedelta(hours=1)}
    sandbox.google.insert(AMY, {"summary": "x"} | {name: {"dateTime": at.isoformat()} for name, at in times.items()})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        path = tmp_path / "notify"
        listener.bind(str(path))
        listener.setblocking(False)  # noqa: FBT003 - the library's own name
        daemon = prepare([AMY])
        daemon.environ = {**os.environ, "NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "1000000"}
        starting = asyncio.create_task(daemon.start())
        ready = await told(listener, "READY=1")
        for base in (daemon.admin, sandbox.deliver_to):
            socket.create_connection(("127.0.0.1", URL(base or "").port), timeout=1).close()
        await starting
        meeting = await told(listener, "STATUS=1 agents: 1 idle; 0 owed; next boundary")
        await told(listener, "WATCHDOG=1")
        began = time.monotonic()
        for _ in range(2):
            await told(listener, "WATCHDOG=1")
        assert 0.8 < time.monotonic() - began < 1.5

        assert daemon.process is not None
        before = time.monotonic()
        daemon.process.send_signal(signal.SIGHUP)
        reloading = await told(listener, "RELOADING=1")
        await told(listener, "READY=1")
        daemon.process.send_signal(signal.SIGTERM)
        stopping = await told(listener, "STOPPING=1")

        assert ready[0] == "READY=1"
        assert ready[1].startswith("STATUS=1 agents: 1 unsynced; 0 owed")
        assert meeting[-1].endswith(f"{start:%H:%M:%S}Z")
        (at,) = (int(line.partition("=")[2]) for line in reloading if line.startswith("MONOTONIC_USEC="))
        assert before * 1e6 <= at <= time.monotonic() * 1e6
        assert stopping[-1] == "STATUS=stopping"
        assert await daemon.stop() == 0


async def asked(session: aiohttp.ClientSession, urls: list[str], until: asyncio.Event) -> list[int]:
    """The statuses of requests one after another, each with a connection of its own."""
    found = []
    while not until.is_set():
        for url in urls:
            found.append(await status(session, url))
            await asyncio.sleep(0.003)
    return found


async def test_a_restart_refuses_nobody(sandbox: Sandbox, prepare: Callable[..., Running], tmp_path: Path) -> None:
    """Sockets and credentials are the supervisor's: who asks while the daemon restarts, or is killed, is answered."""
    sandbox.add_agent(AMY, user_id=1)
    daemon = prepare([AMY], google={"service_account_file": "google.json"}, aircall={"api_token_file": "aircall-token"})
    credentials = tmp_path / "credentials"
    credentials.mkdir(mode=0o700)
    for name in ("google.json", "aircall-token"):
        (tmp_path / name).rename(credentials / name)
    bases = {"public": URL(sandbox.deliver_to or ""), "admin": URL(daemon.admin)}
    addresses = {name: ("127.0.0.1", base.port) for name, base in bases.items()}
    urls = [f"{base}/healthz" for base in bases.values()]
    daemon.environ = {**os.environ, "CREDENTIALS_DIRECTORY": str(credentials)}
    with contextlib.ExitStack() as stack:
        daemon.sockets = {
            name: stack.enter_context(socket.create_server(address)) for name, address in addresses.items()
        }
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(20)) as session:
            over = asyncio.Event()
            early = asyncio.gather(*(status(session, url) for url in urls))
            await daemon.start()
            assert await early == [200, 200]
            asking = asyncio.gather(*(asked(session, urls, over) for _ in range(4)))
            await asyncio.sleep(0.2)
            assert await daemon.stop() == 0
            await daemon.start()
            over.set()
            answers = [one for many in await asking for one in many]
            assert len(answers) > 50
            assert set(answers) == {200}

            await daemon.kill()
            waiting = asyncio.gather(*(status(session, url) for url in urls * 10))
            await asyncio.sleep(0.1)
            await daemon.start()
            assert set(await waiting) == {200}
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
