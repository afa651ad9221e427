"""The outward requests: one attempt, bounded in time and size, to nobody else, and silent about secrets."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import gzip
import json
import os
import socket
import struct
import sys
import traceback
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aioresponses.core
import pytest
from aiohttp import ClientResponse, ClientTimeout
from aioresponses import aioresponses as recorded

from calsyncd import http as http_module
from calsyncd.errors import ServiceError, Unavailable
from calsyncd.http import MAX_BODY_BYTES, TIMEOUT, Answer, Http, proxy_for, proxy_secrets
from tests.authority import Authority

SECRET = "s3cret-t0ken"
SENT = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}

Reply = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Witness:
    """Is told of requests."""

    requests: list[tuple[str, str, int | None]] = field(default_factory=list)
    dates: list[tuple[str, float]] = field(default_factory=list)

    def request_done(self, service: str, route: str, status: int | None, seconds: float) -> None:
        assert seconds >= 0
        self.requests.append((service, route, status))

    def date_seen(self, service: str, date: float) -> None:
        self.dates.append((service, date))


class Far:
    """The other end of a wire, which says what it is told to, byte for byte."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.replies: list[Reply] = []
        self.connections = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/path"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        head += await reader.readexactly(int(line.partition(b":")[2]))
                self.heads.append(head)
                reply = self.replies.pop(0)
                if callable(reply):
                    await reply(writer)
                else:
                    writer.write(reply)
                    await writer.drain()
        writer.close()


def ok(body: bytes = b"{}", *headers: str) -> bytes:
    """A whole answer of status 200."""
    lines = ["HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection as a crashed or forgetful neighbour does."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def after(begun: bytes, then: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> Reply:
    """Begin an answer, then do something else."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(begun)
        await writer.drain()
        await asyncio.sleep(0.02)
        await then(writer)

    return reply


async def close(writer: asyncio.StreamWriter) -> None:
    """End the connection in good order."""
    writer.close()


async def hang(_: asyncio.StreamWriter) -> None:
    """Say nothing more."""
    await asyncio.sleep(30)


async def drip(writer: asyncio.StreamWriter) -> None:
    """A byte now and then."""
    for _ in range(1000):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def listening(handler: Any, **more: Any) -> AsyncIterator[int]:
    """A server on a free port; its connections end with it."""
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handler(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, **more)
    yield int(server.sockets[0].getsockname()[1])
    server.close()
    for task in list(tasks):
        task.cancel()
    await asyncio.sleep(0)


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    """A far end."""
    made = Far()
    async with listening(made.serve) as made.port:
        yield made


@pytest.fixture
def witness() -> Witness:
    """Who is told."""
    return Witness()


@pytest.fixture
async def client(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Http]:
    """A client as the daemon has it, but less patient."""
    monkeypatch.setattr(http_module, "TIMEOUT", ClientTimeout(total=0.6, connect=0.3, sock_read=0.4))
    async with Http(witness, {}) as made:
        yield made


async def get(client: Http, url: str) -> Answer:
    """A read."""
    return await client.request("google", "events.list", "GET", url, headers=SENT)


async def put(client: Http, url: str) -> Answer:
    """A write."""
    return await client.request("aircall", "users.update", "PUT", url, headers=SENT, body={"a": 1})


async def failure(request: Awaitable[Answer]) -> Unavailable:
    """The error of a request that must fail, which must not show what was sent."""
    with pytest.raises(Unavailable) as caught:
        await request
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(vars(caught.value))
    assert SECRET not in shown
    return caught.value


# -- answers ---------------------------------------------------------------------------------------------------------


async def test_an_answer_is_taken_whole(client: Http, far: Far, witness: Witness) -> None:
    """Status, JSON, headers under lower-case names; and who wants to know is told."""
    far.replies = [ok(b'{"a": [1, "\xc3\xa9"]}', "X-One: 1", "Date: Fri, 20 Nov 2026 10:00:00 GMT")]

    answer = await get(client, far.url)

    assert (answer.status, answer.ok, answer.data, answer.headers["x-one"]) == (200, True, {"a": [1, "é"]}, "1")
    assert witness.requests == [("google", "events.list", 200)]
    assert witness.dates == [("google", dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC).timestamp())]
    assert SECRET.encode() in far.heads[0]
    assert "é" not in repr(answer)


async def test_what_is_sent_is_what_was_asked(client: Http, far: Far) -> None:
    """JSON and form bodies, a query beside a percent-encoded path, no cookies, no other host's credentials."""
    far.replies = [ok(b"{}", "Set-Cookie: a=b; Path=/")] * 3
    path = f"http://127.0.0.1:{far.port}/calendars/a%2Fb%40c%23d%20e/events"

    await client.request("google", "r", "GET", path, query={"fields": "items(id,start)", "q": "a/b c&d+e"})
    await client.request("google", "r", "POST", far.url, body={"é": None})
    await client.request("google", "r", "POST", far.url, form={"a": "b&c"})

    line, _, _ = far.heads[0].partition(b"\r\n")
    assert line.startswith(b"GET /calendars/a%2Fb%40c%23d%20e/events?fields=items(id,start)&q=")
    assert line.endswith(b"q=a/b+c%26d%2Be HTTP/1.1")
    assert json.loads(far.heads[1].partition(b"\r\n\r\n")[2]) == {"é": None}
    assert far.heads[2].endswith(b"\r\n\r\na=b%26c")
    assert not any(b"cookie" in head.lower() for head in far.heads)


@pytest.mark.parametrize(
    ("status", "body", "data"),
    [
        (204, b"", None),
        (200, b"  \n", None),
        (200, b"\xef\xbb\xbf{}", {}),
        (200, b'{"a": 1, "a": 2}', {"a": 2}),
        (404, b"<html>", None),
        (500, b'{"error": "x"}', {"error": "x"}),
        (502, b"\xff\xfe\x00", None),
        (429, b"[" * 100_000, None),
    ],
)
async def test_bodies_that_are_taken(client: Http, status: int, body: bytes, data: Any) -> None:
    """Empty ones, a BOM, doubled keys; and on an error whatever is there, for the status says enough."""
    with recorded() as fake:
        fake.get("http://far/", status=status, body=body)

        answer = await get(client, "http://far/")

    assert (answer.status, answer.data) == (status, data)


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><title>Welcome to the hotel's network</title>",
        b'{"items": [',
        b"[" * 100_000,
        b'{"a":' * 12_000,
        b"NaN",
        b'{"expires_in": NaN}',
        b'{"expires_in": -Infinity}',
        b"{} {}",
        b"\xff\xfe\x00",
        b'{"a": "\xff"}',
        b"9" * 5000,
    ],
    ids=lambda body: repr(body[:12]),
)
async def test_a_success_without_json_is_no_success(client: Http, body: bytes) -> None:
    """Captive portals, broken and bottomless bodies: no answer that counts, and the body is not repeated."""
    with recorded() as fake:
        fake.get("http://far/", status=200, body=body, content_type="text/html; charset=UTF-8")

        error = await failure(get(client, "http://far/"))

    assert (error.code, error.status, error.landed) == ("malformed", 200, True)
    assert "text/html" in str(error)
    assert "hotel" not in str(error)


async def test_half_a_character_does_not_get_in(client: Http) -> None:
    """An unpaired surrogate cannot be stored or shown: it is replaced, and the rest of the answer stands."""
    with recorded() as fake:
        fake.get("http://far/", body=rb'{"id": "a\ud800b", "face": "\ud83d\ude00", "\uDFFF": 1}')

        answer = await get(client, "http://far/")

    assert answer.data == {"id": "a?b", "face": "\N{GRINNING FACE}", "?": 1}


@pytest.mark.parametrize(
    ("value", "dates"),
    [
        ("Fri, 20 Nov 2026 10:00:00 GMT", [1795168800.0]),
        ("Fri, 20 Nov 2026 10:00:00 +0000", [1795168800.0]),
        ("Fri, 20 Nov 2026 10:00:00", [1795168800.0]),
        ("Fri, 20 Nov 2026 10:00:00 -0000", [1795168800.0]),
        ("", []),
        ("yesterday", []),
        ("Fri, 20 Nov 99999999999 10:00:00 GMT", []),
        ("Fri, 99 Nov 2026 99:00:00 GMT", []),
        ("1795168800", []),
    ],
)
async def test_only_a_date_is_a_date(
    client: Http, witness: Witness, monkeypatch: pytest.MonkeyPatch, value: str, dates: list[float]
) -> None:
    """A date without a zone is UTC wherever the machine stands; garbage is nobody's clock."""
    monkeypatch.setenv("TZ", "Pacific/Apia")
    http_module_time_zone()
    with recorded() as fake:
        fake.get("http://far/", body="{}", headers={"Date": value})
        await get(client, "http://far/")
    monkeypatch.undo()
    http_module_time_zone()

    assert [date for _, date in witness.dates] == dates


def http_module_time_zone() -> None:
    """Take over the zone that the environment names."""
    import time  # noqa: PLC0415

    time.tzset()


# -- what goes wrong on the way --------------------------------------------------------------------------------------


BROKEN: dict[str, Reply] = {
    "reset before the answer": reset,
    "closed before the answer": close,
    "reset in the head": after(b"HTTP/1.1 200 OK\r\nContent-Le", reset),
    "reset in the body": after(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", reset),
    "closed in the body": after(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", close),
    "closed in a chunk": after(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", close),
    "no HTTP": after(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", close),
    "two lengths": after(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", close),
    "bad gzip": after(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!", close),
    "endless head": after(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000, close),
}
SLOW: dict[str, Reply] = {
    "no answer": hang,
    "half a head": after(b"HTTP/1.1 200 OK\r\n", hang),
    "half a body": after(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", hang),
    "a byte a moment": after(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", drip),
}


@pytest.mark.parametrize("how", BROKEN)
async def test_a_broken_answer_may_have_landed(client: Http, far: Far, witness: Witness, how: str) -> None:
    """Whatever breaks it off: unavailable, and a write may have taken effect."""
    far.replies = [BROKEN[how]]

    error = await failure(put(client, far.url))

    assert (error.code, error.service, error.landed) == ("broken", "aircall", True)
    assert len(far.heads) == 1
    assert [request[:2] for request in witness.requests] == [("aircall", "users.update")]


@pytest.mark.parametrize("how", SLOW)
async def test_a_slow_answer_is_not_waited_for(client: Http, far: Far, how: str) -> None:
    """Silence and slowness both end in time, and a write may have taken effect."""
    far.replies = [SLOW[how]]
    began = asyncio.get_running_loop().time()

    error = await failure(put(client, far.url))

    assert (error.code, error.landed) == ("timeout", True)
    assert asyncio.get_running_loop().time() - began < 5


def test_the_daemon_is_not_too_patient() -> None:
    """15 s in all, 5 s for a connection, 10 s of silence."""
    assert (TIMEOUT.total, TIMEOUT.connect, TIMEOUT.sock_read) == (15.0, 5.0, 10.0)


@pytest.mark.parametrize("kept_alive", [True, False])
async def test_a_write_is_sent_once(client: Http, far: Far, *, kept_alive: bool) -> None:
    """A reset connection is the caller's to judge: the write is not repeated behind its back."""
    far.replies = [ok(), reset, ok()] if kept_alive else [reset, ok()]
    if kept_alive:
        await get(client, far.url)

    error = await failure(put(client, far.url))

    assert (error.code, error.landed) == ("broken", True)
    assert [head.split()[0] for head in far.heads].count(b"PUT") == 1
    assert (await put(client, far.url)).ok


async def test_a_read_survives_a_connection_that_went_stale(client: Http, far: Far) -> None:
    """A server that closed while we were idle costs a read nothing: it changes nothing, so it is asked anew, once."""
    far.replies = [ok(), reset, ok(b'{"a": 1}'), reset, reset, ok()]
    await get(client, far.url)

    assert (await get(client, far.url)).data == {"a": 1}

    assert (await failure(get(client, far.url))).code == "broken"
    assert len(far.heads) == 5


async def test_connections_are_kept(client: Http, far: Far) -> None:
    """A handshake is not paid for each request."""
    far.replies = [ok()] * 5

    for _ in range(5):
        await get(client, far.url)

    assert far.connections == 1


async def test_cancelling_ends_a_request(client: Http, far: Far, witness: Witness) -> None:
    """At once, with its connection; it is counted, without a status."""
    far.replies = [hang]
    task = asyncio.create_task(put(client, far.url))
    await asyncio.sleep(0.05)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert witness.requests == [("aircall", "users.update", None)]


async def test_where_no_connection_was_made_nothing_landed(client: Http, far: Far) -> None:
    """Nobody listens, or nobody answers the handshake: the write had no effect for sure."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        refused = await failure(put(client, f"http://127.0.0.1:{_unused_port()}/"))
        ignored = await failure(put(client, f"https://127.0.0.1:{silent.getsockname()[1]}/"))
    plain = await failure(put(client, f"https://127.0.0.1:{far.port}/"))

    assert [(error.code, error.landed) for error in (refused, ignored)] == [("unreachable", False)] * 2
    assert not plain.landed
    assert "refused" in str(refused).lower()


def _unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@pytest.mark.parametrize("url", ["http://", "http:///path", "nonsense", "http://[::1", "http://far:99999999/"])
async def test_an_impossible_address_is_an_error_like_the_others(client: Http, url: str) -> None:
    """A setting that names no place does not end the program."""
    assert (await failure(get(client, url))).service == "google"


# -- sizes -----------------------------------------------------------------------------------------------------------


async def _endless(writer: asyncio.StreamWriter, head: bytes, chunk: bytes) -> None:
    writer.write(head)
    for _ in range(4 * MAX_BODY_BYTES // len(chunk) + 1):
        writer.write(chunk)
        await writer.drain()


async def test_a_body_as_large_as_allowed_is_taken(http: Http, far: Far) -> None:
    """To the byte."""
    far.replies = [ok(b'"' + b"x" * (MAX_BODY_BYTES - 2) + b'"')]

    assert len((await get(http, far.url)).data) == MAX_BODY_BYTES - 2


@pytest.mark.parametrize("how", ["length", "chunks", "until closed"])
async def test_a_larger_body_is_not_taken(http: Http, far: Far, how: str) -> None:
    """Whether it says its length or not; it is not read to its end either."""
    head = b"HTTP/1.1 200 OK\r\n"
    if how == "length":
        head += b"Content-Length: 500000000\r\n"
    elif how == "chunks":
        head += b"Transfer-Encoding: chunked\r\n"
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n" if how == "chunks" else b" " * 0x10000
    far.replies = [lambda writer: _endless(writer, head + b"\r\n", chunk)]

    error = await failure(get(http, far.url))

    assert (error.code, error.landed) == ("too_large", True)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_bomb_does_not_go_off(http: Http, far: Far, coding: str) -> None:
    """What counts is the size after unpacking."""
    bomb = b" " * (200 * 1024 * 1024)
    packed = gzip.compress(bomb, 1) if coding == "gzip" else zlib.compress(bomb, 1)
    far.replies = [ok(packed, f"Content-Encoding: {coding}")]

    error = await failure(get(http, far.url))

    assert error.code in {"too_large", "broken"}


async def test_a_packed_answer_is_unpacked(http: Http, far: Far) -> None:
    """Google packs its lists."""
    far.replies = [ok(gzip.compress(b'{"a": 1}'), "Content-Encoding: gzip")]

    assert (await get(http, far.url)).data == {"a": 1}


# -- only to whom it was sent ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304])
async def test_a_redirect_is_not_followed(client: Http, far: Far, status: int) -> None:
    """Not to another host, which would be sent our credentials, and not on the same one."""
    other = Far()
    async with listening(other.serve) as other.port:
        for place in (other.url, far.url, "/path"):
            far.replies = [f"HTTP/1.1 {status} Moved\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()]

            error = await failure(get(client, far.url))

            assert (error.code, error.status) == ("redirect", status)
    assert (len(other.heads), len(far.heads)) == (0, 3)


async def test_netrc_is_ignored(far: Far, tmp_path: Path, witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program's passwords are not sent."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login joe password hunter2\n", encoding="ascii")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    far.replies = [ok()]

    async with Http(witness, dict(os.environ)) as client:
        await client.request("google", "r", "GET", far.url)

    assert b"authorization" not in far.heads[0].lower()


HTTPS = {"HTTPS_PROXY": "http://proxy:3128"}


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://a.com/x", {}, None),
        ("https://a.com/x", HTTPS, "http://proxy:3128"),
        ("https://a.com/x", {"https_proxy": "http://p:1"}, "http://p:1"),
        ("https://a.com/x", {"HTTPS_PROXY": ""}, None),
        ("https://a.com/x", {"HTTP_PROXY": "http://p:1"}, None),
        ("http://a.com/x", HTTPS, None),
        ("http://a.com/x", {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        ("https://a.com/x", {"HTTPS_PROXY": "proxy:3128"}, "http://proxy:3128"),
        ("https://a.com/x", {"HTTPS_PROXY": "http://me:pw@p:1"}, "http://me:pw@p:1"),
        ("https://a.com/x", HTTPS | {"NO_PROXY": "a.com"}, None),
        ("https://a.com:8443/x", HTTPS | {"NO_PROXY": "a.com"}, None),
        ("https://api.a.com/x", HTTPS | {"NO_PROXY": "b.com, .a.com"}, None),
        ("https://api.a.com/x", HTTPS | {"no_proxy": "a.com"}, None),
        ("https://ba.com/x", HTTPS | {"NO_PROXY": "a.com"}, "http://proxy:3128"),
        ("https://a.com/x", HTTPS | {"NO_PROXY": "*"}, None),
        ("https://a.com/x", HTTPS | {"NO_PROXY": ""}, "http://proxy:3128"),
        ("https://127.0.0.1:1/x", HTTPS | {"NO_PROXY": "127.0.0.1"}, None),
    ],
)
def test_the_environment_names_the_proxy(url: str, environ: dict[str, str], proxy: str | None) -> None:
    """HTTPS_PROXY, HTTP_PROXY, NO_PROXY as other programs understand them."""
    assert proxy_for(url, environ) == proxy


async def test_a_dead_proxy_lets_nothing_through(witness: Witness, far: Far) -> None:
    """Nothing landed, and its password is not shown."""
    proxy = f"http://me:{SECRET}@127.0.0.1:{_unused_port()}"
    async with Http(witness, {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy}) as client:
        for url in (far.url, "https://calendar.test/"):
            error = await failure(put(client, url))
            assert (error.code, error.landed) == ("unreachable", False)

    assert far.heads == []


# -- certificates, and the way through a proxy -----------------------------------------------------------------------


ASK = """
import asyncio, json, os, sys, traceback
from calsyncd.errors import Unavailable
from calsyncd.http import Http

class Nobody:
    def request_done(self, *_): pass
    def date_seen(self, *_): pass

async def main():
    async with Http(Nobody(), os.environ) as http:
        for url in sys.argv[1:]:
            try:
                answer = await http.request(
                    "google", "r", "PUT", url, headers={"Authorization": "Bearer s3cret-t0ken"}, body={}
                )
                print(json.dumps(["ok", answer.data]))
            except Unavailable as error:
                shown = "".join(traceback.format_exception(error))
                print(json.dumps([error.code, str(error), error.landed, "s3cret" in shown]))

asyncio.run(main())
"""


@dataclass
class Proxy:
    """Connects to what it is asked for, as it knows the names."""

    places: dict[str, int] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)
    refuses: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head)
        if self.refuses:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            writer.close()
            return
        name = head.split()[1].decode().partition(":")[0]
        if name not in self.places:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            writer.close()
            return
        further, back = await asyncio.open_connection("127.0.0.1", self.places[name])
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(_pipe(reader, back), _pipe(further, writer))


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
    finally:
        target.close()


async def ask(*urls: str, **environ: str) -> list[list[Any]]:
    """What a process of its own gets, under this environment."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ASK, *urls, env={"PATH": os.environ["PATH"], **environ}, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
async def hosts(tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    """Hosts with certificates good and bad, and a proxy that leads to them."""
    authority = Authority(tmp_path)
    far = Far()
    contexts = {
        "good.test": authority.context("good.test"),
        "expired.test": authority.context("expired.test", days=-1),
        "other.test": authority.context("good.test"),
        "selfsigned.test": authority.context("selfsigned.test", self_signed=True),
        "localhost": authority.context("localhost"),
    }
    proxy = Proxy()
    async with contextlib.AsyncExitStack() as stack:
        for name, context in contexts.items():
            proxy.places[name] = await stack.enter_async_context(listening(far.serve, ssl=context))
        port = await stack.enter_async_context(listening(proxy.serve))
        yield {"far": far, "proxy": proxy, "url": f"http://127.0.0.1:{port}", "ca": str(authority.file)}


async def test_a_proxy_leads_to_https(hosts: dict[str, Any]) -> None:
    """CONNECT, with the proxy's own password; the far end's certificate is checked, by SSL_CERT_FILE."""
    hosts["far"].replies = [ok(b'{"a": 1}')]
    proxy = hosts["url"].replace("//", "//me:pw@")

    (answer,) = await ask("https://good.test/x", HTTPS_PROXY=proxy, SSL_CERT_FILE=hosts["ca"])

    assert answer == ["ok", {"a": 1}]
    (head,) = hosts["proxy"].asked
    assert head.startswith(b"CONNECT good.test:443 ")
    assert b"Proxy-Authorization: Basic bWU6cHc=" in head
    assert SECRET.encode() not in head
    assert b"Proxy-Authorization" not in hosts["far"].heads[0]


async def test_bad_certificates_are_refused_by_name(hosts: dict[str, Any]) -> None:
    """Expired, another host's, self-signed: the reason is said, nothing is sent, nothing of ours is shown."""
    answers = await ask(
        "https://expired.test/",
        "https://other.test/",
        "https://selfsigned.test/",
        f"https://localhost:{hosts['proxy'].places['expired.test']}/",
        HTTPS_PROXY=hosts["url"],
        SSL_CERT_FILE=hosts["ca"],
        NO_PROXY="localhost",
    )

    assert [answer[0] for answer in answers] == ["certificate"] * 4
    for answer, host, reason in zip(
        answers,
        ("expired.test", "other.test", "selfsigned.test", "localhost"),
        ("expired", "not valid for 'other.test'", "self-signed", "not valid for 'localhost'"),
        strict=True,
    ):
        assert host in answer[1]
        assert reason in answer[1]
        assert answer[2:] == [False, False]
    assert hosts["far"].heads == []


async def test_an_unknown_authority_is_not_trusted(hosts: dict[str, Any]) -> None:
    """Without SSL_CERT_FILE our own authority is nobody."""
    (answer,) = await ask(f"https://localhost:{hosts['proxy'].places['localhost']}/")

    assert (answer[0], answer[2]) == ("certificate", False)


async def test_the_proxy_is_passed_by_where_it_should_be(hosts: dict[str, Any]) -> None:
    """NO_PROXY leads straight to the host."""
    hosts["far"].replies = [ok()]
    url = f"https://localhost:{hosts['proxy'].places['localhost']}/"

    (answer,) = await ask(url, HTTPS_PROXY=hosts["url"], NO_PROXY="localhost", SSL_CERT_FILE=hosts["ca"])

    assert answer == ["ok", {}]
    assert hosts["proxy"].asked == []


async def test_a_proxy_that_refuses_lets_nothing_through(hosts: dict[str, Any]) -> None:
    """A wrong password at the proxy, or a place that it does not lead to: nothing landed, and the proxy is named."""
    hosts["proxy"].refuses = True
    proxy = hosts["url"].replace("//", "//me:s3cret-pw@")

    (answer,) = await ask("https://good.test/", HTTPS_PROXY=proxy, SSL_CERT_FILE=hosts["ca"])
    hosts["proxy"].refuses = False
    (nowhere,) = await ask("https://elsewhere.test/", HTTPS_PROXY=proxy, SSL_CERT_FILE=hosts["ca"])

    assert (answer[0], answer[2], answer[3]) == ("unreachable", False, False)
    assert answer[1] == (
        "google cannot be reached: the proxy in HTTPS_PROXY wants a user and password, or others than ours (407)"
    )
    assert nowhere == [
        "unreachable",
        "google cannot be reached: the proxy in HTTPS_PROXY does not lead there (403)",
        False,
        False,
    ]


@pytest.mark.parametrize("proxy", ["http://me:s3cret@here:there", "socks5://me:s3cret@here:1", "http://", "http://[x"])
async def test_a_proxy_that_is_no_address_is_told_and_not_quoted(witness: Witness, proxy: str) -> None:
    """Nothing is sent past it; its password is not shown."""
    async with Http(witness, {"HTTPS_PROXY": proxy}) as client:
        error = await failure(put(client, "https://calendar.test/"))

    assert (error.code, error.landed) == ("unreachable", False)
    assert "HTTPS_PROXY is no address such as http://proxy.example.com:3128" in str(error)
    assert "s3cret" not in str(error)


def test_the_passwords_of_proxies_are_known() -> None:
    """So that the log can keep them out, in each form in which they may get there."""
    environ = {
        "HTTPS_PROXY": "http://me:p%40ss@p:1",
        "http_proxy": "u:other@p:1",
        "NO_PROXY": "a:b@c",
        "X": "http://a:b@c",
    }

    assert proxy_secrets(environ) == {"p%40ss", "p@ss", "other", "b"}
    assert proxy_secrets({"HTTPS_PROXY": "http://p:1", "https_proxy": "http://me@p:1"}) == set()


# -- the tests' own tools --------------------------------------------------------------------------------------------


async def test_aioresponses_still_needs_its_repair(monkeypatch: pytest.MonkeyPatch, client: Http) -> None:
    """When this fails, aioresponses has learned about aiohttp 3.14: take the repair out of tests/conftest.py."""
    monkeypatch.setattr(aioresponses.core, "ClientResponse", ClientResponse)
    with recorded() as fake:
        fake.get("http://far/", body="{}")

        with pytest.raises(TypeError, match="stream_writer"):
            await get(client, "http://far/")


async def test_an_error_is_one_of_ours(client: Http, far: Far) -> None:
    """Whoever calls needs to know no other library's errors."""
    far.replies = [close]

    with pytest.raises(ServiceError):
        await put(client, far.url)
