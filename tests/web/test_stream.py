"""The stream of changes, over the wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from calsyncd.metrics import Metrics
from calsyncd.web import stream
from calsyncd.web.admin import admin_app
from calsyncd.web.gate import Gate
from calsyncd.web.server import serve
from calsyncd.web.stream import Feed

from .test_admin import AMY, NOW, Desk
from .wire import connect, send, status

BOB = "bob@example.com"
Event = tuple[str, dict[str, Any]]


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a second turn."""
    monkeypatch.setattr(stream, "PACE_SECONDS", 0.1)
    monkeypatch.setattr(stream, "SWEEP_SECONDS", 0.2)


class Watched:
    """A desk, its feed, and where it listens."""

    def __init__(self) -> None:
        self.time = NOW
        self.desk = Desk()
        self.feed = Feed(self.desk, lambda: self.time, "1.2.3")
        self.address = ""

    @asynccontextmanager
    async def serving(
        self, listen: str = "127.0.0.1:0", *, life_seconds: float = 60.0, token: str | None = None
    ) -> AsyncIterator[None]:
        """It listens."""
        app = admin_app(
            operator=self.desk,
            registry=Metrics("1").registry,
            now=lambda: self.time,
            feed=self.feed,
            gate=Gate(token),
            version="1.2.3",
        )
        async with serve(app, listen, life_seconds=life_seconds) as (self.address,):
            yield

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[AsyncIterator[Event]]:
        """A listener's events, from the first change on."""
        async with (
            aiohttp.ClientSession(f"http://{self.address}", read_bufsize=2**22) as session,
            session.get("/api/v1/stream") as answer,
        ):
            assert answer.status == 200
            assert answer.content_type == "text/event-stream"
            heard = events(answer)
            assert (await anext(heard))[0] == "hello"
            yield heard

    def becomes(self, email: str, state: str) -> None:
        """An agent is judged to be in another state."""
        self.desk.known[email] = {"email": email, "state": state}
        self.feed.changed((email,))


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """The events of a stream."""
    name = ""
    async for line in answer.content:
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


async def soon(heard: AsyncIterator[Event]) -> Event:
    """The next event, which comes within a second."""
    async with asyncio.timeout(1.0):
        return await anext(heard)


async def until(is_so: Callable[[], bool]) -> None:
    """Return when it is so."""
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.01)


async def test_what_has_changed_is_told_whole() -> None:
    """Who is judged and as before is not told; who is not followed any more is gone, and a newcomer comes."""
    watched = Watched()
    async with watched.serving(), watched.listening() as heard:
        watched.becomes(AMY, "held")
        watched.feed.changed((BOB,))
        changed = await soon(heard)
        del watched.desk.known[BOB]
        watched.desk.known["zoe@example.com"] = {"email": "zoe@example.com", "state": "idle"}
        watched.feed.changed(("zoe@example.com", BOB))
        came = await soon(heard)

    now = "2026-11-18T11:06:40.000Z"
    assert changed == ("agents", {"now": now, "agents": [{"email": AMY, "state": "held"}], "gone": []})
    newcomer = {"email": "zoe@example.com", "state": "idle"}
    assert came == ("agents", {"now": now, "agents": [newcomer], "gone": [BOB]})


async def test_timelines_are_named_unless_they_are_many() -> None:
    """Only of those who are followed."""
    watched = Watched()
    many = [f"a{number}@example.com" for number in range(stream.MAX_NAMED + 1)]
    watched.desk.known |= {email: {"email": email} for email in many}
    async with watched.serving(), watched.listening() as heard:
        for email in (BOB, AMY, "stranger@example.com"):
            watched.feed.timeline_changed(email)
        few = await soon(heard)
        for email in many:
            watched.feed.timeline_changed(email)
        everybody = await soon(heard)

    assert (few[0], few[1]["emails"], few[1]["all"]) == ("timelines", [AMY, BOB], False)
    assert (everybody[0], everybody[1]["emails"], everybody[1]["all"]) == ("timelines", [], True)


async def test_what_depends_on_the_time_alone_is_told() -> None:
    """The overview is compared in each sweep, every agent in ten of them; days begin at each one's midnight."""
    watched = Watched()
    watched.desk.known = {AMY: {"email": AMY, "zone": "UTC"}, BOB: {"email": BOB, "zone": "Asia/Tokyo"}}
    async with watched.serving(), watched.listening() as heard:
        watched.desk.owed = 3
        overview = await asyncio.wait_for(anext(heard), 2.5)
        watched.desk.known[BOB]["state"] = "held"
        agents = await asyncio.wait_for(anext(heard), 12)
        watched.time += 4 * 3600  # 15:06 UTC is past midnight in Tokyo
        timelines = await asyncio.wait_for(anext(heard), 2.5)

    assert (overview[0], overview[1]["owed"]) == ("overview", {"count": 3})
    assert (agents[0], [one["email"] for one in agents[1]["agents"]]) == ("agents", [BOB])
    assert (timelines[0], timelines[1]["emails"]) == ("timelines", [BOB])


async def test_whoever_changes_back_at_once_is_told_if_somebody_has_seen_it() -> None:
    """A list that was read between two turns shows what was so then: it must not stay on a page."""
    watched = Watched()
    async with watched.serving(), watched.listening() as heard, aiohttp.ClientSession() as session:
        watched.becomes(AMY, "held")
        await soon(heard)
        watched.becomes(AMY, "idle")
        async with session.get(f"http://{watched.address}/api/v1/agents") as answer:
            seen = (await answer.json())["agents"][0]["state"]
        watched.becomes(AMY, "held")
        told = await soon(heard)

    assert seen == "idle"
    assert told[1]["agents"] == [{"email": AMY, "state": "held"}]


async def test_it_costs_nothing_while_nobody_listens() -> None:
    """Nothing is marked, nobody is looked at, no task runs; also when the last listener has gone."""
    watched = Watched()
    tasks = len(asyncio.all_tasks())
    watched.becomes(AMY, "held")
    assert not watched.feed._marked
    assert len(asyncio.all_tasks()) == tasks
    async with watched.serving():
        async with watched.listening() as heard:
            watched.becomes(AMY, "idle")
            await soon(heard)
        await until(lambda: watched.feed._watching is None)
        watched.becomes(AMY, "held")
        watched.feed.timeline_changed(AMY)

        assert not watched.feed._marked
        assert not watched.feed._timelines


async def test_a_stream_outlives_the_life_of_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cut is a connection that waits; a sign of life comes now and then."""
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.2)
    watched = Watched()
    async with watched.serving(life_seconds=0.3):
        reader, writer = await connect(watched.address)
        writer.write(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        heard = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.2):
                while True:
                    piece = await reader.read(4096)
                    assert piece, heard
                    heard += piece
        writer.close()

    assert heard.count(b": still here\n\n") >= 3


async def test_no_more_than_its_places() -> None:
    """The next one is told to come again; whoever leaves makes room at once."""
    watched = Watched()
    async with watched.serving(), contextlib.AsyncExitStack() as stack:
        for _ in range(stream.MAX_LISTENERS - 1):
            await stack.enter_async_context(watched.listening())
        async with aiohttp.ClientSession(f"http://{watched.address}") as session:
            async with watched.listening(), session.get("/api/v1/stream") as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
                assert (await answer.json())["error"]["code"] == "too_many_streams"
            await until(lambda: watched.feed._places < stream.MAX_LISTENERS)
            async with watched.listening():
                pass


async def test_whoever_does_not_read_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are told on; what waits for a slow one is bounded."""
    monkeypatch.setattr(stream, "PACE_SECONDS", 0.0)
    monkeypatch.setattr(stream, "GATHER_SECONDS", 0.0)
    monkeypatch.setattr(stream, "SLOW_SECONDS", 0.5)
    watched = Watched()
    async with watched.serving(), watched.listening() as heard:
        host, _, port = watched.address.rpartition(":")
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect((host, int(port)))
            deaf.send(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await until(lambda: watched.feed._places == 2)
            told = 0
            async with asyncio.timeout(10):
                while watched.feed._places == 2:
                    told += 1
                    watched.becomes(AMY, f"{told}" + "x" * 1_000_000)
                    await anext(heard)
        watched.becomes(AMY, "idle")
        last = await soon(heard)

    assert told < 40
    assert last[1]["agents"] == [{"email": AMY, "state": "idle"}]


async def test_the_end_ends_all_at_once() -> None:
    """And none begins any more."""
    watched = Watched()
    async with watched.serving(), watched.listening() as heard, aiohttp.ClientSession() as session:
        watched.feed.end()
        assert await asyncio.wait_for(anext(heard, None), 1.0) is None
        async with session.get(f"http://{watched.address}/api/v1/stream") as answer:
            assert answer.status == 503


async def test_a_fault_of_ours_ends_the_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that hears nothing would show what was; the next stream is a new beginning."""
    watched = Watched()
    overview = watched.desk.overview
    async with watched.serving():
        async with watched.listening() as heard:
            monkeypatch.setattr(watched.desk, "overview", lambda: 1 / 0)
            with pytest.raises(aiohttp.ClientPayloadError):
                await asyncio.wait_for(anext(heard), 3.0)
        monkeypatch.setattr(watched.desk, "overview", overview)
        async with watched.listening() as heard:
            watched.becomes(AMY, "held")
            assert (await soon(heard))[0] == "agents"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ("Host: evil.example", 403),
        ("Host: localhost.evil.example:8771", 403),
        ("Host: [::1]:8771", 200),
        ("Host: localhost\r\nOrigin: https://evil.example", 403),
        ("Host: localhost\r\nSec-Fetch-Site: cross-site", 403),
        ("Host: localhost:8771\r\nOrigin: http://localhost:8771\r\nSec-Fetch-Site: same-origin", 200),
    ],
)
@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0"])
async def test_other_sites_pages_hear_nothing(listen: str, headers: str, expected: int) -> None:
    """By a name that resolves to loopback, or from another origin, by IPv4 and IPv6."""
    watched = Watched()
    async with watched.serving(listen):
        reader, writer = await connect(watched.address)
        writer.write(f"GET /api/v1/stream HTTP/1.1\r\n{headers}\r\n\r\n".encode())
        line = await asyncio.wait_for(reader.readline(), 5)
        writer.close()

    assert int(line.split()[1]) == expected


async def test_a_stream_is_read_with_get_and_without_a_query() -> None:
    """There is nothing to ask for."""
    watched = Watched()
    async with watched.serving():
        for line, expected in (("HEAD /api/v1/stream", 405), ("GET /api/v1/stream?since=1", 400)):
            raw = f"{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            assert status(await send(watched.address, raw)) == expected


async def test_a_stream_wants_the_token() -> None:
    """Where there is one, whatever the Host is."""
    watched = Watched()
    async with watched.serving(token="s3cret-admin-token"):
        for sent, expected in (("", 401), ("Authorization: Bearer s3cret-admin-token\r\n", 200)):
            reader, writer = await connect(watched.address)
            writer.write(f"GET /api/v1/stream HTTP/1.1\r\nHost: calsync.example.com\r\n{sent}\r\n".encode())
            line = await asyncio.wait_for(reader.readline(), 5)
            writer.close()
            assert int(line.split()[1]) == expected
