"""Whether the public URL leads here: what is seen of each way in which it does not, and how it comes back."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from calsyncd import reach as reach_module
from calsyncd.clock import SystemClock
from calsyncd.reach import EVERY_SECONDS, Reach, Seen, look
from calsyncd.scheduler import Scheduler
from calsyncd.state import nonce_proof
from tests.acceptance.running import free_port
from tests.authority import Authority
from tests.test_http import Proxy, listening

KEY, OTHER = b"k" * 32, b"o" * 32
prove = partial(nonce_proof, KEY)


@dataclass
class Outside:
    """What stands behind a port of this machine; `answer` may be replaced."""

    port: int
    answer: Callable[[web.Request], Awaitable[web.Response]]
    paths: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        return await self.answer(request)


def proof(key: bytes, status: int = 200) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A daemon with this key."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, text=nonce_proof(key, request.query["nonce"]))

    return answer


def always(status: int, text: str = "", **headers: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Something else, that answers this to everybody."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(
            status=status, text=text, headers={name.replace("_", "-"): headers[name] for name in headers}
        )

    return answer


@contextlib.asynccontextmanager
async def outside(port: int | None = None, context: ssl.SSLContext | None = None) -> AsyncIterator[Outside]:
    """A server on this port, or on a free one."""
    there = Outside(port or free_port(), proof(KEY))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", there.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", there.port, ssl_context=context).start()
    yield there
    await runner.cleanup()


@pytest.mark.parametrize("status", [200, 503])
async def test_only_we_answer_so(status: int) -> None:
    """The nonce's answer proves it, also while we are not well."""
    async with outside() as there:
        there.answer = proof(KEY, status)

        assert await look(there.url, prove, {}) == Seen(ours=True, status=status)


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (proof(OTHER), "leads to another calsyncd"),
        (always(200), "does not lead to this daemon: 200 from something else"),
        (always(200, "x" * 10_000_000), "200 from something else"),
        (always(404, "no such page"), "404 from something else"),
        (always(301, Location="/elsewhere"), "301, a redirect, from something else"),
        (always(502), "502 from a proxy that does not reach calsyncd"),
        (always(401), "401 from something that wants a login"),
        (always(404, Ngrok_Error_Code="ERR_NGROK_3200"), "404 (ERR_NGROK_3200) from something else"),
        (always(404, Ngrok_Error_Code="<script>"), "404 from something else"),
    ],
)
async def test_who_answers_instead(answer: Callable[[web.Request], Awaitable[web.Response]], seen: str) -> None:
    """Another program, another calsyncd, a proxy with nobody behind it: none is taken for us."""
    async with outside() as there:
        there.answer = answer

        found = await look(there.url, prove, {})

        assert (found.ours, found.answered, found.refused) == (False, True, False)
        assert seen in found.what
        assert found.do
        assert there.paths == ["/healthz"]


async def test_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed port, a name that is not known, certificates that are not trusted: each is told by its name."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))

    async def seen(url: str) -> str:
        found = await look(url, prove, {})
        assert (found.ours, found.answered) == (False, False)
        assert found.do
        return found.what

    async with (
        outside(context=authority.context("localhost")) as good,
        outside(context=authority.context("localhost", days=-1)) as expired,
        outside(context=authority.context("other.test")) as other,
        outside(context=authority.context("localhost", self_signed=True)) as own,
    ):
        urls = [f"https://localhost:{there.port}" for there in (expired, other, own)]
        assert (await look(f"https://localhost:{good.port}", prove, {})).ours
        reasons = [await seen(url) for url in urls]
        plain = await seen(f"http://localhost:{good.port}")
    closed = await seen(f"http://127.0.0.1:{free_port()}")
    nameless = await seen("https://nobody.invalid")

    assert [
        part in reason
        for part, reason in zip(("expired", "not valid for 'localhost'", "self-signed"), reasons, strict=True)
    ] == [True] * 3
    assert all("its certificate is not trusted" in reason for reason in reasons)
    assert "cannot be reached" in plain
    assert closed == "cannot be reached: Connection refused"
    assert nameless == "cannot be reached: its name is not known to DNS"


async def test_through_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy that leads out is asked to lead back in; where it does not, it is the one that is told of."""
    authority, way_out = Authority(tmp_path), Proxy()
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    async with outside(context=authority.context("calsync.test")) as there, listening(way_out.serve) as port:
        way_out.places["calsync.test"] = there.port
        environ = {"HTTPS_PROXY": f"http://me:s3cret-t0ken@127.0.0.1:{port}"}
        through = await look("https://calsync.test", prove, environ)
        way_out.refuses = True
        refused = await look("https://calsync.test", prove, environ)
    closed = await look("https://calsync.test", prove, environ)
    broken = await look("https://calsync.test", prove, {"HTTPS_PROXY": "http://me:s3cret-t0ken@here:there"})

    assert through.ours
    assert "HTTPS_PROXY wants a user and password, or others than ours (407)" in refused.what
    assert "the proxy in HTTPS_PROXY: Connection refused" in closed.what
    assert "HTTPS_PROXY is no address" in broken.what
    assert "s3cret" not in repr((refused, closed, broken))


@dataclass
class World:
    """A daemon's reach, and what it has told the others."""

    scheduler: Scheduler
    url: str
    heard_at: float = 0.0
    changed: int = 0
    measured: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reach = Reach(
            self.scheduler,
            public_url=self.url,
            environ={},
            prove=prove,
            heard_at=lambda: self.heard_at,
            changed=self.change,
            measure=self.measured.append,
            chance=lambda: 0.0,
        )

    def change(self) -> None:
        self.changed += 1

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not what():
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def watching(url: str) -> AsyncIterator[World]:
    """Look at the URL until the block ends."""
    clock = SystemClock()
    world = World(Scheduler(clock), url)
    turning = asyncio.create_task(world.scheduler.run())
    world.reach.keep()
    yield world
    turning.cancel()
    await asyncio.gather(turning, return_exceptions=True)
    await world.scheduler.finish(1.0)
    clock.close()


async def test_a_proxy_that_starts_later_is_no_fault() -> None:
    """Failures of the first seconds raise nothing; then it is looked again in an hour."""
    port = free_port()
    with capture_logs() as lines:
        async with watching(f"http://127.0.0.1:{port}") as world:
            await world.until(lambda: world.reach._failures >= 1)
            assert not world.reach.tried
            assert world.reach.fault() is None
            async with outside(port):
                await world.until(lambda: world.reach.tried)
            due = world.scheduler.due_at("reach", "")
            assert due is not None
            assert 0.7 * EVERY_SECONDS < due - world.scheduler.clock.now() < 1.3 * EVERY_SECONDS

    assert [line["action"] for line in lines] == ["public_url_reached"]
    assert (world.measured, world.changed) == ([True], 0)


async def test_it_fails_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it has lasted it is told with what was seen; soon after it leads here again, that is told."""
    monkeypatch.setattr(reach_module, "SETTLE_SECONDS", 0.2)
    async with outside() as there:
        there.answer = always(502)
        with capture_logs() as lines:
            async with watching(there.url) as world:
                await world.until(lambda: bool(world.measured))
                fault = world.reach.fault()
                there.answer = proof(KEY, 503)
                await world.until(lambda: len(world.measured) == 2)
                assert world.reach.fault() is None

    assert fault is not None
    assert fault.what == "does not lead to this daemon: 502 from a proxy that does not reach calsyncd"
    assert [(line["action"], line["log_level"]) for line in lines] == [
        ("public_url_failed", "error"),
        ("public_url_reached", "info"),
    ]
    assert f"{there.url} {fault.what}" in lines[0]["event"]
    assert lines[0]["do"] == fault.do
    assert (world.measured, world.changed) == ([False, True], 2)


async def test_a_stop_does_not_wait_for_an_answer() -> None:
    """Who never answers holds nobody up."""
    asked, never = asyncio.Event(), asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        asked.set()
        await never.wait()
        raise AssertionError

    async with outside() as there:
        there.answer = hang
        async with watching(there.url) as world:
            await asyncio.wait_for(asked.wait(), 5)
            world.reach.end()
            began = world.scheduler.clock.monotonic()
            await world.scheduler.finish(5.0)
            assert world.scheduler.clock.monotonic() - began < 1
            never.set()
        assert world.measured == []


async def test_what_arrives_proves_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network without a way to its own address: a genuine message since the first failure, for an hour."""
    monkeypatch.setattr(reach_module, "SETTLE_SECONDS", 0.0)
    async with watching(f"http://127.0.0.1:{free_port()}") as world:
        before = world.scheduler.clock.now()
        await world.until(lambda: world.reach.fault() is not None)
        world.heard_at = before
        assert world.reach.fault() is not None
        world.heard_at = world.scheduler.clock.now()
        assert world.reach.fault() is None
        monkeypatch.setattr(reach_module, "EVERY_SECONDS", 0.0)
        assert world.reach.fault() is not None
