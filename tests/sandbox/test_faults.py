"""Faults on demand, and records, of both servers."""

from __future__ import annotations

import asyncio
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp
import pytest

from calsyncd.sandbox.world import Sandbox

from .clients import AMY, AircallClient, GoogleClient

LIST = "GET /calendar/v3/calendars/primary/events"


async def test_a_fault_has_the_services_shape(sandbox: Sandbox, google: GoogleClient, aircall: AircallClient) -> None:
    """Status and reason become each service's own error body; then the real answers come again."""
    sandbox.google.fail(LIST, status=403, reason="quotaExceeded")
    sandbox.aircall.fail("PUT /v2/users/456", status=405, reason="The user is currently unavailable")
    answers = [await google.events() for _ in range(2)]
    refused = await aircall.put(456, {"availability_status": "custom"})

    assert answers[0].json["error"]["errors"][0] == {
        "domain": "usageLimits",
        "reason": "quotaExceeded",
        "message": "Calendar usage limits exceeded.",
    }
    assert answers[1].status == 200
    assert refused.status == 405
    assert refused.json == {
        "error": "Method Not Allowed",
        "troubleshoot": "The user is currently unavailable",
        "success": False,
    }


@pytest.mark.parametrize(
    ("body", "kind"),
    [("<html>bad gateway</html>", "text/html"), ("", "application/json"), ('{"items": [', "application/json")],
)
async def test_answers_can_be_hostile(sandbox: Sandbox, google: GoogleClient, body: str, kind: str) -> None:
    """HTML, nothing, and JSON that ends early."""
    sandbox.google.fail(LIST, status=502, body=body, headers={"Retry-After": "7"})
    answer = await google.events()

    assert (answer.status, answer.text, answer.headers["Retry-After"]) == (502, body, "7")
    assert answer.headers["Content-Type"].startswith(kind)


async def test_connections_can_be_reset_and_answers_cut(sandbox: Sandbox, aircall: AircallClient) -> None:
    """A reset is recorded without status; aiohttp's client tries a second time by itself. Half an answer is none."""
    sandbox.aircall.fail("/v1/ping", cut=True, times=2)
    with pytest.raises(aiohttp.ClientConnectionError):
        await aircall.call("GET", "/v1/ping")
    sandbox.aircall.fail("/v1/ping", truncate=True)
    with pytest.raises(aiohttp.ClientPayloadError):
        await aircall.call("GET", "/v1/ping")

    assert [request.status for request in sandbox.aircall.requests] == [None, None, 200]


async def test_half_an_answer_to_nobody(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asked is gone before it is given: that is no trouble of the server's."""
    sandbox.aircall.fail("/v1/ping", truncate=True, delay=0.1)
    address = urlsplit(sandbox.aircall.origin)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"GET /v1/ping HTTP/1.1\r\nHost: aircall.test\r\n\r\n")
    await asyncio.sleep(0.02)
    writer.transport.abort()
    async with asyncio.timeout(5):
        while not sandbox.aircall.requests:
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.05)

    assert "Error handling request" not in caplog.text


async def test_a_write_can_land_though_its_answer_is_lost(sandbox: Sandbox, aircall: AircallClient) -> None:
    """`landed` lets the request take effect first; without it nothing happens."""
    body = {"availability_status": "unavailable"}
    sandbox.aircall.fail("PUT", status=504)
    await aircall.put(456, body)
    before = sandbox.aircall.setting(456).status
    sandbox.aircall.fail("PUT", status=504, landed=True)
    answer = await aircall.put(456, body)

    assert (before, answer.status) == ("available", 504)
    assert sandbox.aircall.setting(456).status == "unavailable"


async def test_answers_can_be_slow(sandbox: Sandbox, aircall: AircallClient) -> None:
    """A delay alone gives the real answer later."""
    sandbox.aircall.fail(lambda line: line.endswith("/ping"), delay=0.05, times=None)
    begun = time.monotonic()
    answer = await aircall.call("GET", "/v1/ping")

    assert answer.json == {"ping": "pong"}
    assert time.monotonic() - begun >= 0.05


async def test_rules_can_last_and_be_cleared(sandbox: Sandbox, google: GoogleClient) -> None:
    """`times=None` fails until `clear`."""
    sandbox.google.fail(LIST, times=None, status=500)
    failed = [(await google.events()).status for _ in range(3)]
    sandbox.google.faults.clear()

    assert failed == [500, 500, 500]
    assert (await google.events()).status == 200


async def test_requests_are_recorded_whole(sandbox: Sandbox, google: GoogleClient) -> None:
    """Method, raw path, query, status and answer; credentials are not kept."""
    token = await google.token()
    await google.events({"singleEvents": "true"}, calendar=AMY, token=token)
    recorded = sandbox.google.requests[-1]

    assert (recorded.method, recorded.status, recorded.query) == ("GET", 200, (("singleEvents", "true"),))
    assert recorded.path == "/calendar/v3/calendars/amy%40example.com/events"
    assert recorded.answer_json["kind"] == "calendar#events"
    assert token not in str(recorded.headers)


async def test_the_date_header_can_be_wrong(sandbox: Sandbox, aircall: AircallClient) -> None:
    """`clock_skew` shifts the service's clock as seen from outside."""
    sandbox.aircall.clock_skew = 120.0
    answer = await aircall.call("GET", "/v1/ping")

    assert parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time() == pytest.approx(120, abs=2)


async def test_a_stopped_server_comes_back_on_its_port(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    """An outage: connections are refused, then served again with the same state."""
    url = sandbox.aircall_url
    await sandbox.aircall.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await session.get(url + "/v1/ping")
    await sandbox.aircall.start()

    assert sandbox.aircall_url == url
    async with session.get(url + "/v1/ping") as answer:
        assert answer.status == 401
