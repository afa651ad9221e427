"""nginx and Caddy as shipped, in front of a real daemon: what passes, what does not, and what is told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import ssl
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from calsyncd.core.channels import token_of
from calsyncd.sandbox.world import Sandbox
from calsyncd.state import nonce_proof
from tests.acceptance.proxying import HOST, NOBODY, Front, bridge, connect, exchange, request
from tests.acceptance.running import Running, free_port
from tests.acceptance.test_life import AMY, meeting
from tests.authority import Authority
from tests.test_http import Proxy, listening

pytestmark = pytest.mark.asyncio(loop_scope="module")

PUBLIC = f"https://{HOST}"
NOTIFY = "POST /webhooks/google/notifications"
FRONTS = ("nginx", "caddy", "nginx-unix", "caddy-unix")
IS_ROOT = os.geteuid() == 0


@dataclass
class Street:
    """Two daemons, at a port and at a Unix socket, with both proxies in front of each; of root's, they are nobody's."""

    sandbox: Sandbox
    authority: Authority
    folder: Path
    fronts: dict[str, Front] = field(default_factory=dict)
    daemons: dict[str, Running] = field(default_factory=dict)
    ways_out: dict[str, Proxy] = field(default_factory=lambda: {"tcp": Proxy(), "unix": Proxy()})
    port: int = 0
    leads_to: list[int] = field(default_factory=lambda: [0])
    slow: dict[str, asyncio.Task[tuple[float, bytes]]] = field(default_factory=dict)

    def key(self, name: str) -> bytes:
        """The push key of the daemon behind a front."""
        return (self.folder / ("unix" if "unix" in name else "tcp") / "state" / "push.key").read_bytes()

    async def ask(self, name: str, raw: bytes, sni: str | None = HOST) -> tuple[int, bytes]:
        """(status, all of the answer) through a front, with TLS; 0 where none came."""
        answer = await exchange(self.fronts[name].tls, self.authority, raw, sni)
        return (int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else 0), answer


SLOW = {
    "half a header": f"GET /healthz HTTP/1.1\r\nHost: {HOST}\r\nX-A: ".encode(),
    "half a body": request("POST /webhooks/aircall", "Content-Type: application/json", "Content-Length: 9", body=b"{"),
}


async def lingering(street: Street, name: str, raw: bytes) -> tuple[float, bytes]:
    """How long somebody is borne who sends this and no more, and what they are told."""
    reader, writer = await connect(street.fronts[name].tls, street.authority)
    began = time.monotonic()
    writer.write(raw)
    answer = b""
    with contextlib.suppress(ConnectionError):
        while part := await reader.read(65536):
            answer += part
    writer.close()
    return time.monotonic() - began, answer


@contextlib.asynccontextmanager
async def echoing(path: Path) -> AsyncIterator[Path]:
    """A Unix socket where the bytes that arrive are answered, as the body of one answer a connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                while part := await reader.read(65536):
                    raw += part
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw)
        writer.close()

    server = await asyncio.start_unix_server(answer, path)
    await asyncio.to_thread(path.chmod, 0o777)
    yield path
    server.close()


def _open_folder() -> Path:
    """A folder that every user may enter: pytest's own may be entered by ours alone."""
    folder = Path(tempfile.mkdtemp(prefix="calsyncd-proxies-"))
    folder.chmod(0o755)
    return folder


def _shared_folder(folder: Path) -> Path:
    """A folder whose sockets belong to the proxy's group, as docs/proxies.md makes one."""
    path = folder / "run"
    path.mkdir()
    if IS_ROOT:
        os.chown(path, 0, NOBODY)
    path.chmod(0o2750)
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def street() -> AsyncIterator[Street]:
    """Everything runs: the daemon at the port looks at its public URL through a proxy that leads out, to nginx."""
    for program in ("nginx", "caddy"):
        if shutil.which(program) is None:
            pytest.skip(f"THE SHIPPED PROXIES ARE NOT TESTED: there is no {program} here")
    folder = _open_folder()
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        sandbox = await stack.enter_async_context(Sandbox())
        sandbox.add_agent(AMY, user_id=1)
        there = Street(sandbox, Authority(folder), folder)
        pair = there.authority.pair(HOST)
        for one in (pair, there.authority.file):
            one.chmod(0o644)
        for kind in ("tcp", "unix"):
            (folder / kind).mkdir()
            there.port = free_port() if kind == "tcp" else there.port
            listen = f"127.0.0.1:{there.port}" if kind == "tcp" else f"unix:{_shared_folder(folder)}/s"
            for program in ("nginx", "caddy"):
                name = program if kind == "tcp" else f"{program}-unix"
                there.fronts[name] = Front(program, listen, folder / name, pair, NOBODY if IS_ROOT else None)
            admin = free_port()
            config = sandbox.write_config(
                folder / kind,
                [AMY],
                listen=listen,
                admin_listen=f"127.0.0.1:{admin}",
                public_url=PUBLIC,
                consent=kind == "tcp",
                app=kind == "tcp",
                extra={"server": {"trusted_proxies": ["127.0.0.1", "unix"]}},
            )
            way_out = await stack.enter_async_context(listening(there.ways_out[kind].serve))
            environ = {
                **os.environ,
                "HTTPS_PROXY": f"http://127.0.0.1:{way_out}",
                "SSL_CERT_FILE": str(there.authority.file),
            }
            there.daemons[kind] = Running(config, f"http://127.0.0.1:{admin}", environ)
        # To begin with, each leads to the same daemon.
        there.leads_to[0] = there.fronts["nginx-unix"].tls
        for way in there.ways_out.values():
            way.places[HOST] = there.leads_to[0]
        leads = await stack.enter_async_context(bridge(there.authority, there.leads_to))
        sandbox.postman.map(PUBLIC, f"http://127.0.0.1:{leads}")
        for daemon in there.daemons.values():
            stack.push_async_callback(daemon.stop)
        echo = await stack.enter_async_context(echoing(folder / "echo"))
        for program in ("nginx", "caddy"):
            where = folder / f"{program}-echo"
            there.fronts[f"{program}-echo"] = Front(program, f"unix:{echo}", where, pair, NOBODY if IS_ROOT else None)
        for front in there.fronts.values():
            stack.push_async_callback(front.stop)
        await asyncio.gather(
            *(daemon.start() for daemon in there.daemons.values()), *(front.start() for front in there.fronts.values())
        )
        for name in ("nginx", "caddy"):
            for how, raw in SLOW.items():
                there.slow[f"{name}, {how}"] = asyncio.create_task(lingering(there, name, raw))
        yield there
        for task in there.slow.values():
            task.cancel()


@pytest.mark.parametrize("name", FRONTS)
async def test_the_shipped_file_is_valid(street: Street, name: str) -> None:
    """`nginx -t` and `caddy validate` take it."""
    front = street.fronts[name]
    process = await front.run(*front.check())

    assert await asyncio.wait_for(process.wait(), 20) == 0, front.logs
    assert "[warn]" not in front.logs


@pytest.mark.parametrize("name", FRONTS)
async def test_what_passes_and_what_does_not(street: Street, name: str) -> None:
    """The nonce is answered, genuine messages are taken with a body of no length, and nothing else is there."""
    key = street.key(name)
    token = token_of(key, "channel")
    said = ("X-Goog-Channel-ID: channel", "X-Goog-Resource-State: exists")
    genuine = (*said, f"X-Goog-Channel-Token: {token}")
    if "unix" not in name:
        # The other daemon hears of nobody: what it says of its URL is what it saw itself.
        genuine = (*said, "X-Goog-Channel-Token: c1.forged")
    asked = {
        "nonce": request("GET /healthz?nonce=abc"),
        "genuine": request(NOTIFY, *genuine),
        "genuine, empty": request(NOTIFY, *genuine, "Content-Length: 0"),
        "genuine, 1.0": request(NOTIFY, *genuine).replace(b"HTTP/1.1", b"HTTP/1.0"),
        "forged": request(NOTIFY, *said, "X-Goog-Channel-Token: c1.forged", "Content-Length: 0"),
        "underscores": request(NOTIFY, *said, f"X_Goog_Channel_Token: {token}"),
        "twice": request(NOTIFY, *genuine, "X-Goog-Channel-Token: c1.forged"),
        "another path": request("POST /webhooks/google/other", *genuine),
        "robots": request("GET /robots.txt"),
        "api": request("GET /api/v1/agents"),
        "metrics": request("GET /metrics"),
        "ready": request("GET /readyz"),
        "root": request("GET /"),
        "dots": request("GET /healthz/../api/v1/agents"),
        "hidden dots": request("GET /google/%2e%2e/metrics"),
        "slashes": request("GET //metrics"),
        "absolute": request(f"GET https://{HOST}/metrics"),
        "too long": request(
            "POST /webhooks/aircall", "Content-Type: application/json", "Content-Length: 70000", body=b"x" * 70_000
        ),
        "long": request(
            "POST /webhooks/aircall", "Content-Type: application/json", "Content-Length: 60000", body=b"x" * 60_000
        ),
    }
    answers = dict(zip(asked, await asyncio.gather(*(street.ask(name, raw) for raw in asked.values())), strict=True))
    statuses = {what: status for what, (status, _) in answers.items()}

    expected = dict.fromkeys(asked, 404) | {
        "nonce": 200, "too long": statuses["too long"],
        **(dict.fromkeys(("genuine", "genuine, empty", "genuine, 1.0"), 200) if "unix" in name else {}),
    }  # fmt: skip
    assert statuses == expected
    # Caddy passes the body on while it comes: calsyncd may have answered before it is too long, and what then breaks
    # off is Caddy's own failure.
    assert statuses["too long"] in ((413,) if "nginx" in name else (404, 413, 502))
    assert nonce_proof(key, "abc").encode() in answers["nonce"][1]
    assert b"strict-transport-security: max-age=31536000\r\n" in answers["nonce"][1].lower()
    assert b"isallow" not in answers["robots"][1]


@pytest.mark.parametrize("name", ["nginx", "caddy"])
async def test_another_host_is_refused(street: Street, name: str) -> None:
    """Neither by TLS's name nor by HTTP's, neither with TLS nor without, is anybody answered as if they were known."""
    front = street.fronts[name]
    raw = request("GET /healthz?nonce=abc")
    foreign = request("GET /healthz?nonce=abc", host="other.test")
    tls_other, _ = await street.ask(name, raw, "other.test")
    tls_none, _ = await street.ask(name, foreign, None)
    http_other, _ = await street.ask(name, foreign)
    http_none, _ = await street.ask(name, b"GET /healthz HTTP/1.0\r\n\r\n")
    plain_other = await exchange(front.plain, None, foreign)
    plain_none = await exchange(front.plain, None, b"GET / HTTP/1.0\r\n\r\n")
    plain = await exchange(front.plain, None, request("GET /google/connect"))

    assert (tls_other, tls_none) == (0, 0)
    assert http_other in (0, 421)
    assert http_none in (0, 400, 421)
    assert (plain_other, plain_none) == (b"", b"")
    assert plain.split(b" ", 2)[1] in (b"301", b"308")
    assert f"location: https://{HOST}".encode() in plain.lower()


@pytest.mark.parametrize("name", ["nginx-echo", "caddy-echo"])
async def test_what_calsyncd_is_told(street: Street, name: str) -> None:
    """One request a connection, of one length; and who came, which a stranger cannot say himself."""
    forged = (
        "X-Forwarded-For: 192.0.2.7",
        "X-Forwarded-Host: evil",
        "X-Forwarded-Proto: http",
        "Forwarded: for=1.2.3.4",
    )
    _, answer = await street.ask(name, request(NOTIFY, *forged, "X-Goog-Channel-ID: one"))
    head = answer.partition(b"\r\n\r\n")[2].lower()

    assert b"x-forwarded-for: 127.0.0.1\r\n" in head
    assert b"192.0.2.7" not in head
    assert b"evil" not in head
    assert b"1.2.3.4" not in head
    assert f"host: {HOST}\r\n".encode() in head
    assert b"x-goog-channel-id: one\r\n" in head
    assert b"connection: close\r\n" in head


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
AMBIGUOUS = {
    "two lengths": (("Content-Length: 4", f"Content-Length: {len(SMUGGLED)}"), SMUGGLED),
    "length and chunks": (
        (f"Content-Length: {len(SMUGGLED) + 5}", "Transfer-Encoding: chunked"),
        b"0\r\n\r\n" + SMUGGLED,
    ),
    "chunks misspelt": (("Transfer-Encoding: xchunked", "Content-Length: 4"), b"0\r\n\r\n" + SMUGGLED),
    "chunks twice": (("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), b"0\r\n\r\n" + SMUGGLED),
    "space before the colon": ((f"Content-Length : {len(SMUGGLED)}",), SMUGGLED),
    "a folded line": (("X-A: 1", f" Content-Length: {len(SMUGGLED)}"), SMUGGLED),
    "two hosts": (("Host: other.test",), b""),
}


@pytest.mark.parametrize("name", ["nginx-echo", "caddy-echo"])
async def test_no_request_hides_in_another(street: Street, name: str) -> None:
    """Where lengths disagree, it is refused, or one request arrives whose length is beyond doubt, and no second one."""
    raw = {what: request("POST /webhooks/aircall", *headers, body=body) for what, (headers, body) in AMBIGUOUS.items()}
    answers = dict(zip(raw, await asyncio.gather(*(street.ask(name, one) for one in raw.values())), strict=True))

    for what, (status, answer) in answers.items():
        if status != 200:
            assert status in (0, 400, 501), what
            continue
        arrived = answer.partition(b"\r\n\r\n")[2]
        head, _, body = arrived.partition(b"\r\n\r\n")
        fields = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]]
        assert sum(fields.count(name) for name in (b"content-length", b"transfer-encoding")) <= 1, what
        assert fields.count(b"host") == 1, what
        assert b"smuggled" not in body, what


async def test_a_message_through_each_is_believed(street: Street) -> None:
    """Google's first message makes push healthy, the next brings a meeting at once: by nginx, then by Caddy."""
    daemon = street.daemons["unix"]
    await daemon.until(AMY, state="idle")
    async with asyncio.timeout(10):
        while (await daemon.agents())[AMY]["calendars"][0]["push"] != "healthy":
            await asyncio.sleep(0.05)
    began = time.monotonic()
    event = meeting(street.sandbox, AMY, -60, 3600)
    await daemon.until(AMY, state="held")
    street.leads_to[0] = street.fronts["caddy-unix"].tls
    street.sandbox.google.delete(AMY, event)
    await daemon.until(AMY, state="idle")

    assert time.monotonic() - began < 20
    assert street.sandbox.postman.undeliverable == []


async def test_more_than_the_rate_is_told_503(street: Street) -> None:
    """nginx: beyond a thousand at once and a hundred a second; each gets 200 or 503, never 429, and then 200 again."""
    front = street.fronts["nginx"]
    one = f"GET /healthz HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()

    async def flood() -> list[bytes]:
        reader, writer = await connect(front.tls, street.authority)
        writer.write(one * 399 + request("GET /healthz"))
        answer = b""
        with contextlib.suppress(ConnectionError):
            while part := await reader.read(1 << 20):
                answer += part
        writer.close()
        return [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]

    told = [status for statuses in await asyncio.gather(*(flood() for _ in range(4))) for status in statuses]
    await asyncio.sleep(0.1)

    assert set(told) == {b"200", b"503"}
    assert told.count(b"200") >= 1000
    assert (await street.ask("nginx", request("GET /healthz")))[0] == 200


async def test_calsyncd_s_own_cap_is_told_503(street: Street) -> None:
    """Caddy has no limit of its own: what calsyncd has no place for is told 503 through it, and 200 again after."""
    told: set[int] = set()
    async with asyncio.timeout(20):
        while 503 not in told:
            # Whoever is idle for a second gives way: on a busy machine that may be before all of them are there.
            pairs = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", street.port) for _ in range(200)))
            told.add((await street.ask("caddy", request("GET /healthz")))[0])
            for _, writer in pairs:
                writer.transport.abort()
            await asyncio.sleep(0.1)

    assert told <= {200, 503}
    assert (await street.ask("caddy", request("GET /healthz")))[0] == 200


def taken_back(streams: int) -> bytes:
    """HTTP/2's preface, and so many requests of which each is reset at once (CVE-2023-44487)."""

    def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

    path = b"/healthz"
    # RFC 7541, appendix A: GET, https, and the names of path and authority.
    block = b"\x82\x87\x04" + bytes([len(path)]) + path + b"\x01" + bytes([len(HOST)]) + HOST.encode()
    asked = (frame(1, 5, 2 * n + 1, block) + frame(3, 0, 2 * n + 1, b"\0\0\0\x08") for n in range(streams))
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + b"".join(asked)


@pytest.mark.parametrize("name", ["nginx", "caddy"])
async def test_handshakes_and_streams_that_are_reset_are_borne(street: Street, name: str) -> None:
    """Many who only begin with TLS, and many requests that are taken back at once: an honest one gets through."""
    front = street.fronts[name]
    context = ssl.create_default_context(cafile=str(street.authority.file))
    context.set_alpn_protocols(["h2"])

    async def reset() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", front.tls, ssl=context, server_hostname=HOST)
        writer.write(taken_back(500))
        answer = b""
        with contextlib.suppress(ConnectionError, TimeoutError, ssl.SSLError):
            async with asyncio.timeout(1):
                while part := await reader.read(65536):
                    answer += part
        writer.transport.abort()
        return answer

    async def greet() -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            _, writer = await connect(front.tls, street.authority)
            writer.transport.abort()

    answers = await asyncio.gather(*(reset() for _ in range(3)), *(greet() for _ in range(60)))
    told = 0
    async with asyncio.timeout(20):
        # What was begun for those may be under way still.
        while told != 200:
            told, _ = await street.ask(name, request("GET /healthz"))

    # It was spoken to in its own language: the first frame of an answer is its settings.
    assert any(answer is not None and answer[3:4] == b"\x04" for answer in answers[:3])
    assert front.process is not None
    assert front.process.returncode is None


async def test_slow_clients_are_cut(street: Street) -> None:
    """Half a header and half a body are borne for some seconds."""
    ended = dict(zip(street.slow, await asyncio.gather(*street.slow.values()), strict=True))

    assert {what: seconds for what, (seconds, _) in ended.items() if not 2 < seconds < 13} == {}
    assert all(not answer or answer.split(b" ", 2)[1] in (b"404", b"408", b"400") for _, answer in ended.values())


async def test_a_daemon_finds_its_own_way_back(street: Street) -> None:
    """Its URL leads to another calsyncd: it is said so; then to itself: seen at the next look, here after a reload."""
    daemon = street.daemons["tcp"]
    failed = await daemon.logged("public_url_failed")
    street.ways_out["tcp"].places[HOST] = street.fronts["nginx"].tls
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)
    await daemon.logged("public_url_reached")

    assert f"{PUBLIC} leads to another calsyncd" in failed["event"]
    assert failed["do"] == "let it lead to server.listen of this one"
    # The other was reached all the time.
    assert [line["action"] for line in street.daemons["unix"].lines if "public_url" in str(line["action"])] == [
        "public_url_reached"
    ]


@pytest.mark.parametrize("name", FRONTS)
async def test_no_code_stands_in_a_log(street: Street, name: str) -> None:
    """Neither of a request that went well, nor of one for which nobody was there: the query, the cookie, the token."""
    if name == "nginx-unix":
        # Nothing more is asked of this daemon.
        await street.daemons["unix"].stop()
    secrets = (
        "Cookie: __Host-calsyncd=s3cret-cookie",
        "X-Goog-Channel-Token: s3cret-token",
        "Referer: https://x/?s3cret-r",
    )
    there = [
        await street.ask(name, request(f"{line}?code=s3cret-code&state=s3cret-state", *secrets))
        for line in ("GET /google/callback", "GET /aircall/oauth/callback", "GET /elsewhere")
    ]
    await street.ask(name, request(NOTIFY, *secrets[:2]))
    await asyncio.sleep(0.1)
    logs = street.fronts[name].logs

    assert [status in ((502,) if "unix" in name else (200, 400)) for status, _ in there[:2]] == [True, True]
    assert "/google/callback" in logs
    assert "s3cret" not in logs
