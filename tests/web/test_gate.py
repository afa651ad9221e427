"""Who may ask: what a page of another site can send, and what a token opens."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from calsyncd.cli.api import Admin
from calsyncd.cli.api import send as command_sends
from calsyncd.errors import UserError
from calsyncd.metrics import Metrics
from calsyncd.web.admin import admin_app
from calsyncd.web.gate import Gate, check_private
from calsyncd.web.server import serve

from .test_admin import AMY, NOW, Desk, feed
from .wire import request, send, status

TOKEN = "0123456789abcdef0123456789abcdef"
PAUSE = f"/api/v1/agents/{AMY}/pause"
JSON = b'{"for": "1h"}'


@asynccontextmanager
async def listening(desk: Desk, listen: str, gate: Gate) -> AsyncIterator[str]:
    """Where the API of a desk listens."""
    app = admin_app(
        operator=desk, registry=Metrics("1").registry, now=lambda: NOW, feed=feed(desk), gate=gate, version="1"
    )
    async with serve(app, listen) as (address,):
        yield address


def posted(host: str, kind: str, **headers: str) -> bytes:
    """A pause as a page or a program would send it."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    lines = f"Content-Length: {len(JSON)}\r\nContent-Type: {kind}\r\n"
    raw = request(PAUSE, {**named, "Connection": "close"}, more=lines, body=JSON)
    return raw.replace(b"Host: localhost", f"Host: {host}".encode())


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0"])
@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (posted("evil.example", "application/json"), 403),
        (posted("evil.example", "application/json", Origin="http://evil.example"), 403),
        (posted("localhost", "application/json", Origin="http://evil.example"), 403),
        (posted("localhost", "application/json", Origin="http://["), 403),
        (posted("localhost", "text/plain"), 415),
        (posted("localhost", "text/plain", Origin="http://evil.example"), 403),
        (posted("localhost", "application/x-www-form-urlencoded"), 415),
        (posted("localhost", "application/json", Sec_Fetch_Site="cross-site"), 403),
        (posted("[::1]:8771", "application/json", Origin="http://[::1]:8771"), 200),
        (posted("localhost", "application/json"), 200),
    ],
)
async def test_a_page_of_another_site_changes_nothing(listen: str, sent: bytes, expected: int) -> None:
    """Not by a name of its own that resolves to loopback, nor by a form, by IPv4 and IPv6."""
    desk = Desk()
    async with listening(desk, listen, Gate()) as address:
        assert status(await send(address, sent)) == expected
    assert bool(desk.done) == (expected == 200)


@pytest.mark.parametrize("kind", ["application/json" + ";" * 8000, "text/plain" + "(" * 300, "(" * 8000])
async def test_what_a_body_is_called_keeps_nobody_waiting(kind: str) -> None:
    """However long it is and however deep it nests: it is read in a moment, and is no fault of ours."""
    async with listening(Desk(), "127.0.0.1:0", Gate()) as address:
        began = time.process_time()
        answer = await send(address, posted("localhost", kind))
        took = time.process_time() - began

    assert status(answer) == (200 if "json" in kind else 415)
    assert took < 0.3


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (posted("10.0.0.5:8771", "application/json"), 401),
        (posted("10.0.0.5:8771", "application/json", Authorization=f"Bearer {TOKEN}"), 200),
        (posted("evil.example", "application/json", Origin="http://evil.example"), 401),
        # A browser sends what it was given for the page's own origin alone; and if it did not:
        (posted("calsync", "application/json", Authorization=f"Bearer {TOKEN}", Origin="http://evil.example"), 403),
        (posted("calsync", "text/plain", Authorization=f"Bearer {TOKEN}"), 415),
    ],
)
async def test_beyond_loopback_the_token_decides(sent: bytes, expected: int) -> None:
    """Every name will do, and no page of another site."""
    desk = Desk()
    async with listening(desk, "0.0.0.0:0", Gate(TOKEN)) as address:
        port = address.rpartition(":")[2]
        assert status(await send(f"127.0.0.1:{port}", sent)) == expected
    assert bool(desk.done) == (expected == 200)


async def test_another_token_counts_at_once() -> None:
    """And the one before no more."""
    gate = Gate(TOKEN)
    async with listening(Desk(), "127.0.0.1:0", gate) as address, aiohttp.ClientSession(f"http://{address}") as session:
        gate.use(TOKEN[::-1])
        for token, expected in ((TOKEN, 401), (TOKEN[::-1], 200)):
            async with session.get("/api/v1/agents", headers={"Authorization": f"Bearer {token}"}) as answer:
                assert answer.status == expected


@pytest.mark.parametrize("token", [None, TOKEN])
async def test_commands_ask_by_a_unix_socket(tmp_path: Path, token: str | None) -> None:
    """Whatever its name is to them; with a token where there is one."""
    desk = Desk()
    async with listening(desk, f"unix:{tmp_path}/admin.sock", Gate(token)) as address:
        said = await asyncio.to_thread(command_sends, Admin(address, token), "POST", PAUSE, {"for": "1h"})
        if token is not None:
            with pytest.raises(UserError, match=r"wants a token.*admin_token_file"):
                await asyncio.to_thread(command_sends, Admin(address), "GET", "/api/v1/agents")

    assert said["state"] == "paused"
    assert len(desk.done) == 1


def test_sockets_that_are_handed_over_are_private_without_a_token(tmp_path: Path) -> None:
    """What a socket unit opens to the network is refused in words."""
    with (
        socket.socket() as loopback,
        socket.socket(socket.AF_INET6) as six,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket() as wide,
    ):
        loopback.bind(("127.0.0.1", 0))
        six.bind(("::1", 0))
        unix.bind(str(tmp_path / "socket"))
        wide.bind(("0.0.0.0", 0))  # noqa: S104 - the point
        check_private([loopback, six, unix])
        with pytest.raises(UserError, match=r"0\.0\.0\.0.*admin_token_file"):
            check_private([loopback, wide])
