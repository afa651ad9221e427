"""Aircall's deliveries at the public listener: what is taken, what is not, and what slow strangers cost."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calsyncd.core.webhooks import Delivery
from calsyncd.web.public import MAX_DELIVERY, MAX_READING, read_delivery

from .wire import HOOK, HOOK_TOKEN, MESSAGE, Google, body, connect, message, request, send, status, until_closed


async def test_a_genuine_delivery_is_200_and_empty(address: str, google: Google) -> None:
    """Of the user, the id and the status arrive, and nothing else."""
    async with aiohttp.ClientSession() as session, session.post(f"http://{address}{HOOK}", json=MESSAGE) as answer:
        assert (answer.status, await answer.read()) == (200, b"")

    assert google.told == [Delivery(HOOK_TOKEN, "user.closed.v2", 456, "unavailable", 1763683200.0)]
    assert google.counts == []


async def test_a_wrong_token_is_404(address: str, google: Google) -> None:
    """Forged: nothing, and 404."""
    answer = await send(address, message(token="guess"))

    assert (status(answer), body(answer)) == (404, b"")
    assert len(google.told) == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"event": "call.created", "data": {"id": 812}}, ("call.created", 812, None)),
        ({"data": None}, ("user.closed.v2", None, None)),
        ({"data": []}, ("user.closed.v2", None, None)),
        ({"data": {"id": "456", "availability_status": 7}}, ("user.closed.v2", None, None)),
        ({"data": {"id": True}}, ("user.closed.v2", None, None)),
        ({"data": {"id": 2**63}}, ("user.closed.v2", None, None)),
        ({"data": {"id": -1, "availability_status": "x" * 65}}, ("user.closed.v2", None, None)),
        ({"data": {"id": 7, "availability_status": "do_not_disturb"}}, ("user.closed.v2", 7, "do_not_disturb")),
        ({"timestamp": None, "resource": {}}, ("user.closed.v2", 456, "unavailable")),
        ({"timestamp": 1763683200000}, ("user.closed.v2", 456, "unavailable")),
        ({"timestamp": "soon"}, ("user.closed.v2", 456, "unavailable")),
        ({"timestamp": -1}, ("user.closed.v2", 456, "unavailable")),
    ],
)
async def test_what_nothing_hangs_on_may_be_anything(
    address: str, google: Google, changes: dict[str, Any], expected: tuple[str, int | None, str | None]
) -> None:
    """Other kinds of messages, and users that cannot be read, are taken too: no reason to be switched off."""
    assert status(await send(address, message(**changes))) == 200

    assert [(told.event, told.user, told.status) for told in google.told] == [expected]


ODD: tuple[object, ...] = (None, 7, "", [], "x" * 257, "a b", "tökén", "\ud800", "A\nB")
TWICE = json.dumps(MESSAGE)[:-1] + ', "token": "other"}'
TWICE_BELOW = json.dumps(MESSAGE).replace('"id": 456', '"id": 456, "id": 457')


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"token"',
        b"\xff\xfe{",
        json.dumps(MESSAGE).encode("utf-16"),
        TWICE.encode(),
        TWICE_BELOW.encode(),
        json.dumps(MESSAGE).replace("1763683200", "NaN").encode(),
        json.dumps(MESSAGE).replace("1763683200", "9" * 5000).encode(),
        b'{"a":' * 20_000,
        b"token=45XXYYZZa08&event=user.closed.v2",
        *(json.dumps(MESSAGE | {name: value}).encode() for name in ("token", "event") for value in ODD),
    ],
    ids=lambda raw: raw[-40:].decode(errors="replace"),
)
async def test_a_malformed_delivery_is_404(address: str, google: Google, raw: bytes) -> None:
    """What is no JSON object, says something twice, or lacks a token or an event, never reaches the owner."""
    answer = await send(address, message(raw))

    assert (status(answer), body(answer)) == (404, b"")
    assert google.told == []


def padded(size: int) -> bytes:
    """A genuine message of so many bytes."""
    bare = len(json.dumps(MESSAGE | {"padding": ""}))
    return json.dumps(MESSAGE | {"padding": "x" * (size - bare)}).encode()


@pytest.mark.parametrize(("size", "expected"), [(MAX_DELIVERY, 200), (MAX_DELIVERY + 1, 404), (2_000_000, 404)])
async def test_the_size_of_a_delivery_is_bounded(address: str, google: Google, size: int, expected: int) -> None:
    """As announced, or as it comes in chunks."""
    raw = padded(size)
    parts = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (raw[:1000], raw[1000:])) + b"0\r\n\r\n"
    chunked = request(HOOK, {}, more="Transfer-Encoding: chunked\r\n", body=parts)

    answers = [status(await send(address, one)) for one in (message(raw), chunked)]

    assert answers == [expected, expected]
    assert len(google.told) == (2 if expected == 200 else 0)


async def test_an_oversized_delivery_is_answered_before_it_comes(address: str) -> None:
    """However much is announced, nothing is waited for."""
    began = time.monotonic()

    answer = await send(address, request(HOOK, {}, more="Content-Length: 10000000000\r\n"))

    assert status(answer) == 404
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "raw",
    [
        request(HOOK, {}, more="Transfer-Encoding: chunked\r\n", body=b"zz\r\n{}\r\n0\r\n\r\n"),
        request(HOOK, {}, more="Content-Encoding: gzip\r\nContent-Length: 20\r\n", body=b"\x1f\x8b" + b"\0" * 18),
        request(HOOK, {}),
        request(HOOK, {}, more="Content-Length: 2\r\n", body=b"{}"),
    ],
    ids=["broken chunks", "compressed", "no body", "empty object"],
)
async def test_a_broken_body_is_refused(address: str, google: Google, raw: bytes) -> None:
    """Not with a traceback, and never taken."""
    assert status(await send(address, raw)) in (400, 404)

    assert google.told == []


async def test_a_body_that_does_not_come_is_not_waited_for(address: str, google: Google) -> None:
    """Whoever announces a body and sends it byte by byte is told 404 before Aircall would give up."""
    reader, writer = await connect(address)
    began = time.monotonic()
    writer.write(message(padded(5000))[:-4000])
    answering = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
    while not answering.done() and time.monotonic() - began < 8:
        await asyncio.sleep(0.2)
        writer.write(b" ")
    answered = time.monotonic()
    answer = await answering
    writer.close()

    assert status(answer) == 404
    assert 3 < answered - began < 5
    assert google.told == []


async def test_slow_strangers_take_no_places(address: str, google: Google) -> None:
    """So many bodies are waited for and no more; Google's notifications get through all the same."""
    slow = [await connect(address) for _ in range(MAX_READING)]
    for _, writer in slow:
        writer.write(message()[:-5])
    await asyncio.sleep(0.2)

    refused = status(await send(address, message()))
    notified = status(await send(address, request()))
    for _, writer in slow:
        writer.close()
    await asyncio.sleep(0.2)
    taken = status(await send(address, message()))

    assert (refused, notified, taken) == (404, 200, 200)
    assert len(google.told) == 1


async def test_an_announced_body_is_asked_for(address: str, google: Google) -> None:
    """`Expect: 100-continue` is obeyed here, since the body is wanted; any other expectation is ignored."""
    raw = json.dumps(MESSAGE).encode()
    head = request(HOOK, {}, more=f"Content-Length: {len(raw)}\r\nExpect: 100-continue\r\n")
    reader, writer = await connect(address)
    writer.write(head)
    asked = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3)
    writer.write(raw)
    answer = await until_closed(reader)
    writer.close()
    other = await send(address, message().replace(b"Content-Type", b"Expect: nothing\r\nContent-Type", 1))

    assert asked == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (status(answer), status(other)) == (200, 200)
    assert len(google.told) == 2


async def test_other_ways_to_the_same_place_are_404(address: str, google: Google) -> None:
    """Another method, a slash too many, an escape."""
    for path, method in ((HOOK, "GET"), (HOOK, "PUT"), (HOOK + "/", "POST"), ("/webhooks/%61ircall", "POST")):
        assert status(await send(address, request(path, {}, method=method))) == 404

    assert google.told == []


def test_a_deliverys_repr_hides_its_token() -> None:
    """It may be shown without giving its token away."""
    assert HOOK_TOKEN not in repr(read_delivery(json.dumps(MESSAGE).encode()))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "availability_status", "x"]), inner),
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["event", "token", "data", "timestamp"]), _json | st.just("user.closed.v2")))
def test_any_object_is_read_or_refused(data: dict[str, Any]) -> None:
    """No body raises, and what is accepted is in bounds and ASCII."""
    delivery = read_delivery(json.dumps(data).encode())

    if delivery is not None:
        assert 1 <= len(delivery.token) <= 256
        assert (delivery.token + delivery.event + (delivery.status or "")).isascii()
        assert delivery.user is None or 0 < delivery.user < 2**63


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Garbage is nothing."""
    assert read_delivery(raw) is None
