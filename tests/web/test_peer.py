"""Who asks: a peer's address, or whom a trusted proxy names in its place."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from calsyncd.web.allowance import Allowance
from calsyncd.web.connect import Place, Shown
from calsyncd.web.cookies import Started
from calsyncd.web.peer import TRUSTED, UNIX, Trusted, peer_of
from calsyncd.web.public import public_app
from calsyncd.web.server import serve

from .wire import Google, request, send, status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LOCAL = ip_network("127.0.0.1")
INNER = ip_network("10.0.0.0/8")
INNER6 = ip_network("fd00::/8")


class _Wire:
    """A connection of this other end: what the loop tells of one, and nothing else."""

    def __init__(self, peer: tuple[str, int] | str) -> None:
        self.peer = peer

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self.peer if name == "peername" else default

    def is_closing(self) -> bool:
        return False


def asked(peer: str, trusted: Sequence[Trusted], *said: str) -> str:
    """Who asks, by a peer that sends these X-Forwarded-For headers."""
    app = web.Application()
    app[TRUSTED] = trusted
    headers = [("X-Forwarded-For", one) for one in said]
    where = peer if peer in ("", "@") else (peer, 4711)
    return peer_of(make_mocked_request("GET", "/", headers=headers, app=app, transport=_Wire(where)))


@pytest.mark.parametrize(
    ("peer", "trusted", "said", "expected"),
    [
        # Nobody is believed unless the settings say so.
        ("203.0.113.9", (), ["198.51.100.1"], "203.0.113.9"),
        ("127.0.0.1", (), ["198.51.100.1"], "127.0.0.1"),
        ("203.0.113.9", (LOCAL,), ["198.51.100.1"], "203.0.113.9"),
        ("", (LOCAL,), ["198.51.100.1"], UNIX),
        ("127.0.0.1", ("unix",), ["198.51.100.1"], "127.0.0.1"),
        # A trusted proxy names who came to it.
        ("127.0.0.1", (LOCAL,), ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:127.0.0.1", (LOCAL,), ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("", ("unix",), ["198.51.100.1"], "198.51.100.1"),
        ("", ("unix",), ["2001:DB8:0::7"], "2001:db8::7"),
        ("fd00::1%eth0", (INNER6,), ["2001:db8::7"], "2001:db8::7"),
        # Left of the first stranger everything is the stranger's.
        ("127.0.0.1", (LOCAL,), ["192.0.2.1, 127.0.0.1, 198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", (LOCAL, INNER), ["192.0.2.1, 198.51.100.1, 10.1.2.3"], "198.51.100.1"),
        ("127.0.0.1", (LOCAL, INNER), ["192.0.2.1", "198.51.100.1", "10.1.2.3"], "198.51.100.1"),
        ("127.0.0.1", (LOCAL,), ["nonsense, 198.51.100.1"], "198.51.100.1"),
        # All are trusted: the farthest of them.
        ("127.0.0.1", (LOCAL, INNER), ["10.9.9.9, 10.1.2.3"], "10.9.9.9"),
        # What is no address is nobody: the proxy counts.
        ("127.0.0.1", (LOCAL,), [], "127.0.0.1"),
        ("127.0.0.1", (LOCAL,), [""], "127.0.0.1"),
        ("127.0.0.1", (LOCAL,), ["198.51.100.1,"], "127.0.0.1"),
        ("127.0.0.1", (LOCAL,), ["unknown"], "127.0.0.1"),
        ("127.0.0.1", (LOCAL,), ["198.51.100.1:80"], "127.0.0.1"),
        ("10.0.0.1", (INNER,), ["198.51.100.1, <script>, 10.0.0.2"], "10.0.0.1"),
        ("", ("unix",), ["unix"], UNIX),
        # An IPv4 address is in no IPv6 network.
        ("127.0.0.1", (INNER6,), ["198.51.100.1"], "127.0.0.1"),
    ],
)
def test_who_asks(peer: str, trusted: Sequence[Trusted], said: list[str], expected: str) -> None:
    """The last hop that is not a trusted proxy."""
    assert asked(peer, trusted, *said) == expected


async def test_a_real_socket(tmp_path: Path) -> None:
    """At a Unix socket a peer has no address, and is believed when `unix` is."""
    app = web.Application()
    trusted: Sequence[Trusted] = ("unix",)
    app[TRUSTED] = trusted

    async def tell(request: web.Request) -> web.Response:
        return web.Response(text=peer_of(request))

    app.router.add_get("/", tell)
    path = tmp_path / "s"
    async with serve(app, f"unix:{path}"):
        said = [await _ask(path, line) for line in ("", "X-Forwarded-For: 198.51.100.7\r\n")]

    assert said == [UNIX, "198.51.100.7"]


async def _ask(path: Path, line: str) -> str:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(f"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{line}\r\n".encode())
    raw = await reader.read()
    writer.close()
    await writer.wait_closed()
    return raw.decode().rpartition("\r\n\r\n")[2]


class _Ways:
    """Pages that nobody gets beyond."""

    place = Place("http://127.0.0.1", "https://accounts.google.com/o/oauth2/auth")

    def start(self, what: str, email: str) -> Started:
        raise AssertionError((what, email))

    async def finish(self, cookie: str, query: Mapping[str, str]) -> Shown:
        raise AssertionError((cookie, query))


@pytest.mark.parametrize(("trusted", "granted"), [((LOCAL,), [200, 503, 200]), ((), [200, 200, 200])])
async def test_the_pages_count_by_who_asks(trusted: Sequence[Trusted], granted: list[int]) -> None:
    """Behind a trusted proxy each address has its own share; what a stranger says of himself counts for nothing."""
    google = Google()
    app = public_app(
        notify=google.notify,
        told=google.take,
        health=google.health,
        prove=google.prove,
        ways=_Ways(),
        allowance=Allowance(peer_burst=1, peer_per_second=0.0),
        trusted=trusted,
    )
    async with serve(app, "127.0.0.1:0") as (address,):
        answers = [
            await send(address, request("/google/connect", {"X-Forwarded-For": said}, method="GET"))
            for said in ("198.51.100.1", "192.0.2.1, 198.51.100.1", "198.51.100.2")
        ]

    assert [status(answer) for answer in answers] == granted
