from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from calsyncd.errors import UserError
from calsyncd.web.server import serve

from .wire import GOOGLE, NOTIFY, Google, body, connect, request, send, status, until_closed


async def idle(stack: AsyncExitStack, address: str, number: int) -> list[asyncio.StreamReader]:
    """So many connections that say nothing, until the stack ends."""
    readers = []
    for _ in range(number):
        reader, writer = await connect(address)
        stack.callback(writer.close)
        readers.append(reader)
    return readers


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /webhooks/goo",
        request()[:-2],
        b"POST /webhooks/google/notifications HTTP/1.1\r\nHost: localhost\r\n",
    ],
)
async def test_request_that_is_not_completed_is_cut(sent: bytes) -> None:
    """An idle connection and half a header are cut when their time is over."""
    async with serve(Google().app(), "127.0.0.1:0", life_seconds=0.4) as (address,):
        began = time.monotonic()
        answer = await send(address, sent)

    assert answer == b""
    assert 0.3 < time.monotonic() - began < 2


async def test_byte_a_moment_is_cut() -> None:
    """Progress of a byte at a time does not prolong a connection's life."""
    async with serve(Google().app(), "127.0.0.1:0", life_seconds=0.5) as (address,):
        reader, writer = await connect(address)
        began = time.monotonic()
        closed = asyncio.create_task(until_closed(reader))
        for byte in request():
            if closed.done():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)
        answer = await closed
        writer.close()

    assert answer == b""
    assert 0.4 < time.monotonic() - began < 2


async def test_slow_body_is_cut_where_a_handler_waits_for_it() -> None:
    """A handler that reads a body is not kept by one that does not come."""

    async def read(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    app = web.Application(client_max_size=1024)
    app.router.add_post("/", read)
    async with serve(app, "127.0.0.1:0", life_seconds=0.4) as (address,):
        answer = await send(address, request("/", {}, more="Content-Length: 10\r\n", body=b"abc"))

    assert answer == b""


@pytest.mark.parametrize("waits", [True, False])
async def test_who_goes_away_in_the_middle_is_no_fault_of_ours(waits: bool) -> None:
    """Neither who is cut while a handler waits for a body nor who leaves is told of as a failure."""

    async def read(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    app = web.Application()
    app.router.add_post("/", read)
    with capture_logs() as lines:
        async with serve(app, "127.0.0.1:0", life_seconds=0.3) as (address,):
            reader, writer = await connect(address)
            writer.write(request("/", {}, more="Content-Length: 10\r\n", body=b"abc"))
            await asyncio.sleep(0.1)
            if waits:
                await until_closed(reader)
            writer.close()
            await asyncio.sleep(0.1)

    assert [line for line in lines if line["action"] != "connections_slow"] == []


async def test_body_beyond_the_limit_is_refused() -> None:
    """More than the application wants to read is 413."""

    async def read(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    app = web.Application(client_max_size=1024)
    app.router.add_post("/", read)
    async with serve(app, "127.0.0.1:0") as (address,):
        answer = await send(address, request("/", {}, more="Content-Length: 10000000000\r\n", body=b"x" * 4096))

    assert (status(answer), body(answer)) == (413, b"")


async def test_kept_connection_lives_anew_after_each_request() -> None:
    """Where connections are kept, one that goes on asking is not cut."""

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    async with serve(app, "127.0.0.1:0", life_seconds=0.5) as (address,):
        reader, writer = await connect(address)
        for _ in range(6):
            writer.write(request("/", {}, method="GET"))
            async with asyncio.timeout(2):
                assert b"hello" in await reader.read(4096)
            await asyncio.sleep(0.2)
        assert await until_closed(reader, seconds=2) == b""
        writer.close()


LONG = b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(
    b"X-%d: %s\r\n" % (number, b"x" * 8000) for number in range(60)
)
"""Half a megabyte of a header, each line of it in bounds."""


async def test_a_header_that_does_not_end_is_refused_when_it_is_long() -> None:
    """Slowly or at once: 431 beyond 32 KB, and what was sent takes no memory any more."""
    app = web.Application()
    async with AsyncExitStack() as stack:
        (address,) = await stack.enter_async_context(serve(app, "127.0.0.1:0", malformed='{"no": 1}'))
        at_once = await send(address, LONG)
        reader, writer = await connect(address)
        stack.callback(writer.close)
        sent = 0
        answering = asyncio.create_task(until_closed(reader))
        for start in range(0, len(LONG), 4096):
            if answering.done():
                break
            writer.write(LONG[start : start + 4096])
            sent += 4096
            await asyncio.sleep(0.01)
        slowly = await answering

    assert (status(at_once), body(at_once)) == (431, b'{"no": 1}')
    assert status(slowly) == 431
    assert sent < 100_000


async def test_many_long_headers_take_little_memory() -> None:
    """Every place taken by somebody who sends half a megabyte of a header: not a tenth of that is kept."""
    app = web.Application()
    async with AsyncExitStack() as stack:
        (address,) = await stack.enter_async_context(serve(app, "127.0.0.1:0"))
        await send(address, LONG)
        before = _resident()
        for _ in range(150):
            _, writer = await connect(address)
            stack.callback(writer.transport.abort)
            writer.write(LONG)
        await asyncio.sleep(0.5)
        grown = _resident() - before

    # Of these, what the senders still have to send is this process's too.
    assert grown < 30e6


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


async def test_a_long_body_is_no_header() -> None:
    """Beside the header's bound a body may be long, however it is cut, and another request follows it."""

    async def size(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    app = web.Application(client_max_size=1 << 20)
    app.router.add_post("/", size)
    app.router.add_post("/unread", _silent)
    raw = b"x" * 200_000
    async with serve(app, "127.0.0.1:0") as (address,):
        reader, writer = await connect(address)
        for path, answer in (("/", b"200000"), ("/unread", b""), ("/", b"200000")):
            writer.write(request(path, {}, more="Content-Length: 200000\r\n"))
            for start in range(0, len(raw), 10_000):
                writer.write(raw[start : start + 10_000])
                await asyncio.sleep(0)
            async with asyncio.timeout(5):
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 ")
                assert await reader.readexactly(len(answer)) == answer
        writer.close()


async def _silent(_: web.Request) -> web.Response:
    return web.Response()


async def test_an_answer_that_is_not_read_is_cut() -> None:
    """Whoever asks and does not read is cut when their time is over, and gives way to newcomers before that."""

    async def much(_: web.Request) -> web.Response:
        return web.Response(body=bytes(32 << 20))

    app = web.Application()
    app.router.add_get("/much", much)
    app.router.add_get("/little", _silent)
    async with AsyncExitStack() as stack:
        (address,) = await stack.enter_async_context(
            serve(app, "127.0.0.1:0", connections=2, life_seconds=1.6, shutdown_seconds=0.1)
        )
        deaf = []
        for _ in range(2):
            reader, writer = await connect(address)
            stack.callback(writer.transport.abort)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(request("/much", {}, method="GET"))
            deaf.append((reader, writer))
            await asyncio.sleep(0.2)
        await asyncio.sleep(1.1)
        later = await send(address, request("/little", {}, method="GET", more="Connection: close\r\n"))
        await asyncio.sleep(1.0)
        rests = []
        for reader, writer in deaf:
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            rests.append(len(await until_closed(reader)))

    assert status(later) == 200
    assert max(rests) < 32 << 20


async def test_newcomer_beyond_the_cap_is_told_503() -> None:
    """While all places are taken by the young, one more is refused at once."""
    async with AsyncExitStack() as stack:
        (address,) = await stack.enter_async_context(serve(Google().app(), "127.0.0.1:0", connections=5))
        await idle(stack, address, 5)
        refused = await send(address, b"")

    assert status(refused) == 503


async def test_notification_comes_through_while_idle_sockets_hold_every_place() -> None:
    """Those who only sit there lose their places to one who asks."""
    google = Google()
    async with AsyncExitStack() as stack:
        (address,) = await stack.enter_async_context(serve(google.app(), "127.0.0.1:0", connections=200))
        await idle(stack, address, 300)
        await asyncio.sleep(1.2)
        began = time.monotonic()
        session = await stack.enter_async_context(aiohttp.ClientSession())
        for _ in range(5):
            async with session.post(f"http://{address}{NOTIFY}", headers=GOOGLE) as answer:
                assert answer.status == 200
        took = time.monotonic() - began

    assert len(google.seen) == 5
    assert took < 1


async def test_notification_comes_through_beside_idle_sockets_under_the_cap() -> None:
    """Three hundred idle sockets under a larger cap disturb nobody."""
    google = Google()
    async with AsyncExitStack() as stack:
        (address,) = await stack.enter_async_context(serve(google.app(), "127.0.0.1:0", connections=400))
        await idle(stack, address, 300)
        answer = await send(address, request())

    assert status(answer) == 200


async def test_places_are_free_again_after_use() -> None:
    """However connections end, their places are given to others."""
    async with serve(Google().app(), "127.0.0.1:0", connections=3, life_seconds=0.2) as (address,):
        for _ in range(10):
            assert status(await send(address, request())) == 200
            _, writer = await connect(address)
            writer.transport.abort()
            await send(address, b"POST")
            await send(address, b"\0\r\n\r\n")
        assert status(await send(address, request())) == 200


@pytest.mark.parametrize("expected", [b"a miracle", b"\xe4", "ä".encode()], ids=["unknown", "no text", "no ASCII"])
async def test_what_nobody_can_meet_is_refused_without_a_word(expected: bytes) -> None:
    """An `Expect` of any bytes is answered 417, repeated nowhere, and is no fault of ours."""

    async def take(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_post("/", take)
    with capture_logs() as logged:
        async with serve(app, "127.0.0.1:0") as (address,):
            answer = await send(address, b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: " + expected + b"\r\n\r\n")
            nowhere = await send(address, b"GET /x HTTP/1.1\r\nHost: localhost\r\nExpect: " + expected + b"\r\n\r\n")

    assert (status(answer), status(nowhere)) == (417, 417)
    assert (body(answer), body(nowhere)) == (b"", b"")
    assert not logged


async def test_fault_of_ours_is_500_and_logged_once() -> None:
    """A handler that fails answers nothing but 500; the log has its traceback, not one for each stranger."""

    async def fail(_: web.Request) -> web.Response:
        raise ZeroDivisionError("ours")

    app = web.Application()
    app.router.add_get("/", fail)
    with capture_logs() as logged:
        async with serve(app, "127.0.0.1:0") as (address,):
            answers = [await send(address, request("/", {}, method="GET")) for _ in range(5)]

    assert [(status(answer), body(answer)) for answer in answers] == [(500, b"")] * 5
    assert [line["action"] for line in logged] == ["request_failed"]
    assert isinstance(logged[0]["exc_info"], ZeroDivisionError)


async def test_slow_and_malformed_are_counted() -> None:
    """What strangers do wrong is a line with a count, and holds none of their bytes."""
    with capture_logs() as logged:
        async with serve(Google().app(), "127.0.0.1:0", life_seconds=0.2) as (address,):
            await asyncio.gather(*(send(address, b"POST /EVIL") for _ in range(5)))
            await asyncio.gather(*(send(address, b"EVIL\x1b[31m: x\r\n\r\n") for _ in range(5)))

    assert sorted((line["action"], line["times"]) for line in logged) == [
        ("connections_slow", 1),
        ("requests_malformed", 1),
    ]
    assert "EVIL" not in str(logged)


async def test_end_waits_for_what_is_in_hand() -> None:
    """A request being answered when the block ends is answered; afterwards nobody listens."""

    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(0.3)
        return web.Response(text="done")

    app = web.Application()
    app.router.add_get("/", slow)
    async with AsyncExitStack() as stack:
        (address,) = await stack.enter_async_context(serve(app, "127.0.0.1:0"))
        asking = asyncio.create_task(send(address, request("/", {}, method="GET")))
        await idle(stack, address, 20)
        await asyncio.sleep(0.1)

    assert body(await asking) == b"done"
    with pytest.raises(OSError, match=r"refused|failed"):
        await connect(address)


async def test_end_takes_five_seconds_at_most() -> None:
    """Handlers that will not end, bodies that do not come and readers that do not read hold nothing up."""

    async def stuck(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async def much(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 20_000_000)

    app = web.Application()
    app.router.add_get("/", stuck)
    app.router.add_get("/much", much)
    async with AsyncExitStack() as stack:
        (address,) = await stack.enter_async_context(serve(app, "127.0.0.1:0"))
        for raw in (
            request("/", {}, method="GET"),
            request("/much", {}, method="GET"),
            request("/", {}, method="GET", more="Content-Length: 9\r\n"),
            b"GET",
        ):
            _, writer = await connect(address)
            stack.callback(writer.close)
            writer.write(raw)
        await asyncio.sleep(0.2)
        began = time.monotonic()
    assert time.monotonic() - began < 5


async def test_unix_socket_serves_and_goes(tmp_path: Path) -> None:
    """A socket in the file system has the mode asked for, answers, and is removed at the end."""
    path = tmp_path / "public.sock"

    async with serve(Google().app(), f"unix:{path}", socket_mode=0o600) as addresses:
        assert addresses == (f"unix:{path}",)
        assert path.stat().st_mode & 0o777 == 0o600
        assert status(await send(addresses[0], request())) == 200

    assert not path.exists()


async def test_stale_socket_file_is_replaced(tmp_path: Path) -> None:
    """What a killed daemon left behind does not keep the next one from starting."""
    path = tmp_path / "public.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async with serve(Google().app(), f"unix:{path}") as (address,):
        assert status(await send(address, request())) == 200


async def test_file_that_is_no_socket_is_refused(tmp_path: Path) -> None:
    """Somebody's file is left as it is."""
    path = tmp_path / "public.sock"
    path.write_text("precious")

    with pytest.raises(UserError, match="not a socket") as refused:
        async with serve(Google().app(), f"unix:{path}"):
            pass

    assert refused.value.exit_code == 78
    assert path.read_text() == "precious"


async def test_socket_in_use_is_refused(tmp_path: Path) -> None:
    """A living listener is not pushed aside, and its end may be waited for."""
    path = tmp_path / "public.sock"
    async with serve(Google().app(), f"unix:{path}") as (address,):
        with pytest.raises(UserError, match="another program") as refused:
            async with serve(Google().app(), f"unix:{path}"):
                pass
        assert refused.value.exit_code == 1
        assert status(await send(address, request())) == 200


async def test_port_in_use_is_refused() -> None:
    """A taken port is told as such, and may be free for the next try."""
    async with serve(Google().app(), "127.0.0.1:0") as (address,):
        with pytest.raises(UserError, match=address) as refused:
            async with serve(Google().app(), address):
                pass
    assert refused.value.exit_code == 1


@pytest.mark.parametrize(
    "listen", ["", "8770", ":8770", "localhost:", "localhost:http", "localhost:99999", "192.0.2.1:80", "unix:", "a b:1"]
)
async def test_address_that_cannot_be_meant_is_refused(listen: str) -> None:
    """A wrong address is a fault of the settings, told without a traceback."""
    with pytest.raises(UserError, match="cannot listen on") as refused:
        async with serve(Google().app(), listen):
            pass
    assert refused.value.exit_code == 78


async def test_ipv6_address_is_written_with_brackets() -> None:
    """An IPv6 address is taken and told in brackets."""
    try:
        async with serve(Google().app(), "[::1]:0") as (address,):
            assert address.startswith("[::1]:")
            assert status(await send(address, request())) == 200
    except UserError as err:
        pytest.skip(f"no IPv6 here: {err}")


async def test_sockets_handed_over_are_served() -> None:
    """Connections that came before the daemon did are answered."""
    with socket.create_server(("127.0.0.1", 0)) as early:
        waiting = asyncio.create_task(send(f"127.0.0.1:{early.getsockname()[1]}", request()))
        await asyncio.sleep(0.05)
        async with serve(Google().app(), [early]):
            assert status(await waiting) == 200


async def test_more_than_there_are_places_for_have_waited_and_are_answered() -> None:
    """What a restart has gathered is taken in no faster than it is answered: nobody finds all places taken."""
    with ExitStack() as stack:
        early = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=500))
        waiting = [stack.enter_context(socket.create_connection(early.getsockname())) for _ in range(500)]
        for one in waiting:
            one.sendall(request())
        async with serve(Google().app(), [early], connections=100):
            answers = await asyncio.gather(*(_answer(one) for one in waiting))

    assert Counter(answers) == {200: 500}


async def _answer(sock: socket.socket) -> int:
    reader, writer = await asyncio.open_connection(sock=sock)
    try:
        return status(await until_closed(reader))
    finally:
        writer.close()


async def test_who_has_just_connected_is_answered_at_the_end() -> None:
    """A connection that was taken before the end gets its answer; those that come later wait for the next process."""
    google = Google()
    with socket.create_server(("127.0.0.1", 0)) as kept:
        async with serve(google.app(), [kept.dup()]) as (address,):
            slow, writer = await connect(address)
            just = socket.create_connection(kept.getsockname())
            just.sendall(request(NOTIFY, GOOGLE))
            asyncio.get_running_loop().call_later(0.2, writer.write, request(NOTIFY, GOOGLE))
            began = time.monotonic()
        took = time.monotonic() - began
        assert status(await until_closed(slow)) == 200
        later = socket.create_connection(kept.getsockname())
        later.sendall(request(NOTIFY, GOOGLE))
        async with serve(google.app(), [kept.dup()]):
            for one in (just, later):
                reader, opened = await asyncio.open_connection(sock=one)
                assert status(await reader.readline()) == 200
                opened.close()
        writer.close()

    assert 0.2 < took < 1.0


async def test_who_says_nothing_does_not_hold_up_the_end() -> None:
    """A second after they came they have had their time."""
    async with AsyncExitStack() as stack:
        (address,) = await stack.enter_async_context(serve(Google().app(), "127.0.0.1:0"))
        await idle(stack, address, 3)
        began = time.monotonic()

    assert time.monotonic() - began < 2.0
