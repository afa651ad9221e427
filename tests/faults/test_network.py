"""The network between us and both services fails in ways that no far end could tell of."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import sys
import warnings
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from calsyncd import http as http_module
from calsyncd.http import MAX_BODY_BYTES, Http
from tests.authority import Authority
from tests.faults.wire import vanish
from tests.test_http import ASK, Far, ask, failure, get, listening, ok, put

MIB = 1024 * 1024


class Vanishing(Far):
    """A far end whose connections can vanish."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[socket.socket] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.ends.append(writer.get_extra_info("socket"))
        await super().serve(reader, writer)

    def vanish(self) -> None:
        """Every connection that there is."""
        for end in self.ends:
            vanish(end)


@pytest.fixture
async def far() -> AsyncIterator[Vanishing]:
    """A far end."""
    made = Vanishing()
    async with listening(made.serve) as made.port:
        yield made


async def test_a_connection_that_has_vanished_costs_a_read_a_moment(
    http: Http, far: Vanishing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a sleep, or behind a NAT that forgot it: what nobody acknowledges is sent on another connection."""
    monkeypatch.setattr(http_module, "GONE_SECONDS", 0.5)
    far.replies = [ok(), ok(b'{"a": 1}')]
    await get(http, far.url)
    far.vanish()
    began = asyncio.get_running_loop().time()

    answer = await get(http, far.url)

    assert answer.data == {"a": 1}
    assert asyncio.get_running_loop().time() - began < 3
    assert far.connections == 2


async def test_a_write_on_a_vanished_connection_may_have_landed(
    http: Http, far: Vanishing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not sent again behind its caller's back."""
    monkeypatch.setattr(http_module, "GONE_SECONDS", 0.5)
    far.replies = [ok(), ok()]
    await get(http, far.url)
    far.vanish()
    began = asyncio.get_running_loop().time()

    error = await failure(put(http, far.url))

    assert (error.code, error.landed) == ("broken", True)
    assert asyncio.get_running_loop().time() - began < 3
    assert far.connections == 1


async def test_a_network_that_swallows_large_packets(
    http: Http, far: Vanishing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is made, a small request passes, a large one does not: that is known in a moment, too."""
    monkeypatch.setattr(http_module, "GONE_SECONDS", 0.5)
    far.replies = [ok(), ok()]
    await get(http, far.url)
    vanish(far.ends[0], larger_than=1000)
    await get(http, far.url)
    began = asyncio.get_running_loop().time()

    error = await failure(http.request("aircall", "r", "PUT", far.url, body={"a": "x" * 5000}))

    assert (error.code, error.landed) == ("broken", True)
    assert asyncio.get_running_loop().time() - began < 3


async def test_ipv6_that_leads_nowhere_costs_a_moment(
    http: Http, far: Vanishing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host's first address never answers: the other one is tried beside it (RFC 8305)."""
    far.replies = [ok(b'{"a": 1}')]
    with socket.create_server(("::1", far.port), family=socket.AF_INET6) as nowhere:
        vanish(nowhere)
        found = [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", far.port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", far.port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        began = asyncio.get_running_loop().time()

        answer = await get(http, f"http://api.test:{far.port}/")

    assert answer.data == {"a": 1}
    assert asyncio.get_running_loop().time() - began < 1


MEASURED = (
    ASK
    + """
import resource
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))
"""
)


def bomb(mebibytes: int) -> bytes:
    """So much of nothing, packed a thousandfold."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    one = packer.compress(b" " * MIB) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + one * mebibytes


async def test_a_gigabyte_in_a_megabyte_is_not_unpacked(far: Vanishing) -> None:
    """Nor are 500 MB read that are not packed: memory grows by a few times what an answer may have, and no more."""
    packed = bomb(1024)
    assert len(packed) < 1.2 * MIB

    async def plain(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500000000\r\n\r\n")
        for _ in range(500):
            writer.write(b" " * 1_000_000)
            await writer.drain()

    far.replies = [ok(b"{}"), ok(packed, "Content-Encoding: gzip"), plain]

    async def run(*urls: str) -> list[Any]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", MEASURED, *urls, stdout=asyncio.subprocess.PIPE, env={"NO_PROXY": "*"}
        )
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        return [json.loads(line) for line in out.splitlines()]

    (_, before), (packed_answer, plain_answer, after) = await run(far.url), await run(far.url, far.url)

    assert (packed_answer[0], plain_answer[0]) == ("too_large", "too_large")
    assert after - before < 8 * MAX_BODY_BYTES // MIB, (before, after)


async def test_old_tls_is_refused(tmp_path: Path) -> None:
    """Whoever speaks nothing newer than TLS 1.1 is not spoken to; nothing is sent, and it is said why."""
    authority = Authority(tmp_path)
    context = authority.context("localhost")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    seen = []

    def serve(listener: socket.socket) -> None:
        end, _ = listener.accept()
        with end:
            try:
                context.wrap_socket(end, server_side=True)
            except ssl.SSLError as error:
                seen.append(error.reason)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://localhost:{listener.getsockname()[1]}/"
        _, (answer,) = await asyncio.gather(
            asyncio.to_thread(serve, listener), ask(url, SSL_CERT_FILE=str(authority.file), NO_PROXY="*")
        )

    assert (answer[0], answer[2], answer[3]) == ("unreachable", False, False)
    assert "protocol version" in answer[1]
    assert seen == ["UNSUPPORTED_PROTOCOL"]
