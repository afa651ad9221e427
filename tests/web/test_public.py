from __future__ import annotations

import asyncio
import logging
import re
import time
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calsyncd.core.channels import Notification
from calsyncd.web.public import read_notification

from .wire import GOOGLE, NOTIFY, Google, body, connect, request, send, status, until_closed


async def test_genuine_notification_is_200_and_empty(address: str, google: Google) -> None:
    """Google's body-less POST with its odd Content-Type is taken, and every header arrives."""
    headers = GOOGLE | {"Content-Type": "application/json; utf-8"}

    async with aiohttp.ClientSession() as session, session.post(f"http://{address}{NOTIFY}", headers=headers) as answer:
        assert answer.status == 200
        assert await answer.read() == b""

    assert google.seen == [
        Notification(
            channel_id=GOOGLE["X-Goog-Channel-ID"],
            token=GOOGLE["X-Goog-Channel-Token"],
            state="exists",
            resource_id=GOOGLE["X-Goog-Resource-ID"],
            resource_uri=GOOGLE["X-Goog-Resource-URI"],
            message_number=10,
            expiration=1795770000.0,
        )
    ]
    assert google.counts == ["genuine"]


async def test_wrong_token_is_404(address: str, google: Google) -> None:
    """A forged notification is answered with nothing and 404."""
    answer = await send(address, request(headers=GOOGLE | {"X-Goog-Channel-Token": "guess"}))

    assert (status(answer), body(answer)) == (404, b"")
    assert google.counts == ["unknown"]


async def test_busy_is_503(address: str, google: Google) -> None:
    """What cannot be taken now is 503, which Google retries; never 429."""
    google.busy = True

    answer = await send(address, request())

    assert (status(answer), body(answer)) == (503, b"")
    assert google.counts == ["busy"]


@pytest.mark.parametrize(
    ("headers", "more"),
    [
        *(
            ({name: value for name, value in GOOGLE.items() if name != missing}, "")
            for missing in ("X-Goog-Channel-ID", "X-Goog-Channel-Token", "X-Goog-Resource-State")
        ),
        *((GOOGLE, f"{name}: {value}\r\n") for name, value in GOOGLE.items()),
        *((GOOGLE, f"{name.lower()}: other\r\n") for name in GOOGLE),
        (GOOGLE, "X_Goog_Channel_Token: other\r\n"),
        (GOOGLE, "X-Goog_Channel-ID: other\r\n"),
        (GOOGLE | {"X-Goog-Channel-ID": "x" * 65}, ""),
        (GOOGLE | {"X-Goog-Channel-ID": "with space"}, ""),
        (GOOGLE | {"X-Goog-Channel-ID": ""}, ""),
        (GOOGLE | {"X-Goog-Channel-Token": "x" * 257}, ""),
        (GOOGLE | {"X-Goog-Channel-Token": "tökén"}, ""),
        (GOOGLE | {"X-Goog-Channel-Token": "\udcff\udcfe"}, ""),
        (GOOGLE | {"X-Goog-Channel-Token": "\u0660"}, ""),
        (GOOGLE | {"X-Goog-Resource-URI": "x" * 1025}, ""),
    ],
)
async def test_malformed_notification_is_404(address: str, google: Google, headers: dict[str, str], more: str) -> None:
    """Missing, repeated, disguised, oversized and non-ASCII headers never reach the owner of the channels."""
    answer = await send(address, request(headers=headers, more=more))

    assert (status(answer), body(answer)) == (404, b"")
    assert google.seen == []
    assert google.counts == ["malformed"]


@pytest.mark.parametrize(("name", "value"), [("X-Goog-Message-Number", "ten"), ("X-Goog-Channel-Expiration", "soon")])
async def test_what_nothing_hangs_on_may_be_unreadable(address: str, google: Google, name: str, value: str) -> None:
    """An odd message number or expiration does not cost the notification."""
    answer = await send(address, request(headers=GOOGLE | {name: value}))

    assert status(answer) == 200
    assert (google.seen[0].message_number is None) == (name == "X-Goog-Message-Number")
    assert (google.seen[0].expiration is None) == (name == "X-Goog-Channel-Expiration")


@pytest.mark.parametrize(
    "raw",
    [
        request(more="X-Nul: a\0b\r\n"),
        request(more="Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", body=b"0\r\n\r\n"),
        request(more="Content-Length: 4\r\nContent-Length: 5\r\n", body=b"abcde"),
        request(more="Transfer-Encoding: xchunked\r\n", body=b"0\r\n\r\n"),
        request(more="X-Spaced : a\r\n"),
        request(more="Content-Length: -1\r\n"),
        request(more="X-Folded: a\r\n b\r\n"),
        request(more="X-Long: " + "x" * 9000 + "\r\n"),
        request(path="/" + "x" * 9000),
        request(more="".join(f"X-Many-{n}: a\r\n" for n in range(200))),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64,
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_refused_in_silence(
    address: str, google: Google, caplog: pytest.LogCaptureFixture, raw: bytes
) -> None:
    """Smuggling and garbage are 400 with an empty body, quoted neither to the peer nor to aiohttp's log."""
    caplog.set_level(logging.DEBUG)

    answer = await send(address, raw)

    assert status(answer) == 400
    assert body(answer) == b""
    assert google.seen == []
    assert not [record for record in caplog.records if record.name.startswith("aiohttp")]


@pytest.mark.parametrize(
    "raw",
    [
        request(more="Content-Length: 10000000000\r\n", body=b"x" * 2000),
        request(more="Content-Length: 10000000000\r\nContent-Type: application/json\r\n"),
        request(more="Content-Length: 10000000000\r\nExpect: 100-continue\r\n"),
        request(more="Transfer-Encoding: chunked\r\n", body=b"ff\r\n" + b"x" * 255 + b"\r\n"),
        request(more="Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n", body=b"ff\r\n" + b"x" * 255 + b"\r\n"),
    ],
)
async def test_body_is_never_waited_for(address: str, raw: bytes) -> None:
    """However much is announced, the answer comes at once and the connection ends."""
    began = time.monotonic()

    answer = await send(address, raw)

    assert status(answer) == 200
    assert answer.count(b"HTTP/1.1") == 1
    assert time.monotonic() - began < 3


async def test_endless_body_is_cut(address: str) -> None:
    """Somebody who never stops sending is cut off, though answered."""
    reader, writer = await connect(address)
    writer.write(request(more="Transfer-Encoding: chunked\r\n"))
    answering = asyncio.create_task(until_closed(reader, seconds=8))
    began = time.monotonic()
    while not answering.done() and time.monotonic() - began < 8:
        writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
        await asyncio.sleep(0.01)
    answer = await answering
    writer.close()

    assert status(answer) == 200
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "HEAD", "BREW"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/.env",
        "//",
        "//healthz",
        "/healthz/",
        "/%68ealthz",
        "/x/../healthz",
        "/admin",
        "/metrics",
        "/readyz",
        "/api/v1/agents",
        "/static/page.js",
        "/robots.txt",
        "/webhooks/google",
        "/webhooks/google/notifications/",
        "/WEBHOOKS/GOOGLE/NOTIFICATIONS",
        "http://localhost/healthz",
        "*",
    ],
)
async def test_everything_else_is_404_and_empty(address: str, google: Google, method: str, path: str) -> None:
    """Any other spelling, path and method finds nothing, and nothing says what there is."""
    answer = await send(address, request(path, method=method))

    assert (status(answer), body(answer)) in {(404, b""), (400, b"")}
    assert b"aiohttp" not in answer
    assert b"Python" not in answer
    assert google.seen == []


PROBED = Path(__file__).with_name("probed.txt").read_text(encoding="ascii").split()
"""What scanners ask for, and what might be ours by another spelling."""


async def test_nothing_can_be_told_apart_by_probing(address: str) -> None:
    """What is nowhere, what is on the other listener and what is not switched on get the same answer to the letter."""
    answers = {path: await send(address, request(f"/{path}", {}, method="GET")) for path in (*PROBED, "nowhere")}
    told = {path: re.sub(rb"Date: [^\r]*", b"", answer) for path, answer in answers.items()}

    assert {path: answer for path, answer in told.items() if answer != told["nowhere"]} == {}
    assert (status(answers["nowhere"]), body(answers["nowhere"])) == (404, b"")


@pytest.mark.parametrize("path", ["/healthz", "/nothing", NOTIFY])
async def test_unknown_expectation_is_ignored(address: str, path: str) -> None:
    """`Expect` gets neither words of the framework nor an invitation to send a body."""
    for expectation in ("100-continue", "the-spanish-inquisition"):
        answer = await send(address, request(path, method="PUT", more=f"Expect: {expectation}\r\n"))

        assert (status(answer), body(answer)) == (404, b"")


async def test_wrong_method_on_known_path_is_404(address: str) -> None:
    """405 would tell that the path exists."""
    assert status(await send(address, request(NOTIFY, method="GET"))) == 404
    assert status(await send(address, request("/healthz", method="POST"))) == 404


async def test_health_says_only_whether(address: str, google: Google) -> None:
    """200 while well, else 503; why is not for the internet."""
    well = await send(address, request("/healthz", {}, method="GET"))
    google.well = False
    ill = await send(address, request("/healthz", {}, method="GET"))

    assert (status(well), body(well)) == (200, b"ok\n")
    assert (status(ill), body(ill)) == (503, b"not well\n")


async def test_nonce_is_answered_with_its_proof(address: str, google: Google) -> None:
    """The daemon's own test of its public URL learns that it reached itself, well or not."""
    google.well = False

    answer = await send(address, request("/healthz?nonce=a-Z_09", {}, method="GET"))

    assert (status(answer), body(answer)) == (503, b"proof of a-Z_09")


@pytest.mark.parametrize("query", ["nonce=", "nonce=" + "x" * 65, "nonce=a%0d%0ab", "nonce=a&nonce=b", "nonce=%3Cb%3E"])
async def test_unsafe_nonce_is_404(address: str, query: str) -> None:
    """Only one short nonce of safe characters is signed."""
    answer = await send(address, request(f"/healthz?{query}", {}, method="GET"))

    assert (status(answer), body(answer)) == (404, b"")


async def test_one_request_a_connection(address: str, google: Google) -> None:
    """A second request behind the first is not read: no kept connection can be cut under a notification."""
    answer = await send(address, request() + request())

    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in answer
    assert len(google.seen) == 1


async def test_server_header_names_no_version(address: str) -> None:
    """The Server header is a name and no more, on every answer."""
    for raw in (request(), request("/nothing"), b"garbage\r\n\r\n"):
        assert b"Server: calsyncd\r\n" in await send(address, raw)


async def test_thousand_forged_are_few_lines(address: str, google: Google, caplog: pytest.LogCaptureFixture) -> None:
    """A flood of forgeries is answered quickly and fills no log."""
    caplog.set_level(logging.DEBUG)
    forged = request(headers=GOOGLE | {"X-Goog-Channel-Token": "guess"})
    began = time.monotonic()
    for _ in range(20):
        await asyncio.gather(*(send(address, forged) for _ in range(50)))

    assert google.counts == ["unknown"] * 1000
    assert time.monotonic() - began < 20
    assert len(caplog.records) <= 3


def test_repr_of_notification_hides_its_token() -> None:
    """A notification may be shown without giving its token away."""
    assert "t0ken" not in repr(read_notification(GOOGLE.items()))


@given(
    st.lists(
        st.tuples(
            st.one_of(st.sampled_from(list(GOOGLE)), st.text(max_size=30)),
            st.one_of(st.sampled_from(list(GOOGLE.values())), st.text(max_size=300)),
        )
    )
)
def test_any_headers_are_read_or_refused(headers: list[tuple[str, str]]) -> None:
    """No set of headers raises, and what is accepted is in bounds and ASCII."""
    notification = read_notification(headers)

    if notification is not None:
        assert 1 <= len(notification.channel_id) <= 64
        assert 1 <= len(notification.token) <= 256
        assert (notification.channel_id + notification.token + notification.state).isascii()
