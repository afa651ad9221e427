"""How answers are told: in pages, with tags, compressed; and what is refused before anything is asked."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from calsyncd.metrics import Metrics
from calsyncd.web.admin import MALFORMED, admin_app
from calsyncd.web.gate import Gate
from calsyncd.web.server import serve

from .test_admin import AMY, NOW, Desk, feed
from .wire import body, send, status


class Clocked:
    """A desk and its time."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.time = NOW


@pytest.fixture
def clocked() -> Clocked:
    """Fifty agents."""
    found = Clocked()
    found.desk.known = {f"a{number:02}@example.com": {"email": f"a{number:02}@example.com"} for number in range(50)}
    return found


@pytest.fixture
async def session(clocked: Clocked) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that sees answers as they are on the wire."""
    app = admin_app(
        operator=clocked.desk,
        registry=Metrics("1").registry,
        now=lambda: clocked.time,
        feed=feed(clocked.desk),
        gate=Gate(),
        version="1",
    )
    async with (
        serve(app, "127.0.0.1:0", malformed=MALFORMED) as (address,),
        aiohttp.ClientSession(
            f"http://{address}", auto_decompress=False, skip_auto_headers=["Accept-Encoding"]
        ) as client,
    ):
        yield client


async def ask(session: aiohttp.ClientSession, path: str, **headers: str) -> tuple[int, Any, bytes]:
    """Status, headers and body."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    async with session.get(path, headers=named) as answer:
        return answer.status, answer.headers, await answer.read()


@pytest.mark.parametrize(
    "path", ["/api/v1/agents", "/api/v1/timelines", "/", "/static/page.js", "/api/v1/openapi.json"]
)
async def test_what_is_known_already_is_not_sent_again(
    session: aiohttp.ClientSession, clocked: Clocked, path: str
) -> None:
    """While all but `now` is the same; for both ways of sending it, among other tags, and with a star."""
    _, plain, _ = await ask(session, path)
    clocked.time += 60
    _, packed, _ = await ask(session, path, Accept_Encoding="gzip")

    assert plain["ETag"] == packed["ETag"]
    assert plain["Vary"] == "Accept-Encoding"
    for tags in (plain["ETag"], f'"other", {plain["ETag"]}', plain["ETag"].removeprefix("W/"), "*"):
        answer = await ask(session, path, If_None_Match=tags)
        assert (answer[0], answer[1]["ETag"], answer[2]) == (304, plain["ETag"], b"")
    for tags in ('"other"', "W/", "nonsense"):
        assert (await ask(session, path, If_None_Match=tags))[0] == 200


async def test_a_change_has_another_tag(session: aiohttp.ClientSession, clocked: Clocked) -> None:
    """And deeds have none."""
    _, before, _ = await ask(session, "/api/v1/agents")
    clocked.desk.known["a07@example.com"]["state"] = "held"
    answer = await ask(session, "/api/v1/agents", If_None_Match=before["ETag"])
    async with session.post("/api/v1/sync", headers={"If-None-Match": "*"}) as done:
        assert (done.status, "ETag" in done.headers) == (200, False)

    assert answer[0] == 200
    assert answer[1]["ETag"] != before["ETag"]


@pytest.mark.parametrize(
    ("accepts", "packs"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("br, gzip;q=0.5, *;q=0", True),
        ("*", True),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("br", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/agents", "/static/page.js", "/metrics"])
async def test_compressed_for_whoever_takes_it(
    session: aiohttp.ClientSession, path: str, accepts: str, *, packs: bool
) -> None:
    """The content is the same."""
    _, _, plain = await ask(session, path)
    _, headers, sent = await ask(session, path, Accept_Encoding=accepts)

    assert (headers.get("Content-Encoding") == "gzip") == packs
    if path != "/metrics":
        assert (gzip.decompress(sent) if packs else sent) == plain
    assert not packs or len(sent) < len(plain) / 2


async def test_much_is_compressed_too(session: aiohttp.ClientSession, clocked: Clocked) -> None:
    """Beside the loop."""
    clocked.desk.known = {f"a{n}@example.com": {"email": f"a{n}@example.com", "reason": "x" * 100} for n in range(1000)}
    _, _, sent = await ask(session, "/api/v1/agents", Accept_Encoding="gzip")

    assert json.loads(gzip.decompress(sent)) == {"agents": clocked.desk.agents()}
    assert len(sent) < 10_000


async def test_pages_stay_right_while_agents_come_and_go(session: aiohttp.ClientSession, clocked: Clocked) -> None:
    """Whoever is there all the time is told once, in order, whatever happens around them."""
    known = clocked.desk.known
    stay = sorted(known)[1::2]
    told: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = f"?limit=7{f'&cursor={cursor}' if cursor else ''}"
        _, _, said = await ask(session, f"/api/v1/agents{query}")
        page = json.loads(said)
        told += [one["email"] for one in page["agents"]]
        cursor = page["cursor"]
        leaving = [email for email in sorted(known) if email not in stay][:2]
        for email in leaving:
            del known[email]
        known[f"0{len(told)}@example.com"] = {"email": f"0{len(told)}@example.com"}

    assert [email for email in told if email in stay] == stay
    assert len(set(told)) == len(told)


async def test_the_last_page_says_so(session: aiohttp.ClientSession) -> None:
    """A whole list has no cursor; a cursor without a limit asks for all the rest."""
    whole = json.loads((await ask(session, "/api/v1/timelines"))[2])
    first = json.loads((await ask(session, "/api/v1/timelines?limit=30"))[2])
    rest = json.loads((await ask(session, f"/api/v1/timelines?cursor={first['cursor']}"))[2])

    assert "cursor" not in whole
    assert rest["cursor"] is None
    assert [one["email"] for one in [*first["timelines"], *rest["timelines"]]] == [
        one["email"] for one in whole["timelines"]
    ]


async def test_alarms_and_the_unmatched_come_in_pages(session: aiohttp.ClientSession, clocked: Clocked) -> None:
    """One by one they are all told; the unmatched go through both lists."""
    clocked.desk.raised = [
        {"since": f"2026-11-18T0{n % 3}:00:00.000Z", "code": code, "who": who}
        for n, (code, who) in enumerate((c, w) for c in ("storm", "gone") for w in ("company", AMY))
    ]
    clocked.desk.unmatched = [{"id": 7}, {"id": 12}], [{"email": "zoe@example.com"}, {"email": "ann@example.com"}]
    for path, keys, number in (("/api/v1/alarms", ["alarms"], 4), ("/api/v1/matching", ["users", "accounts"], 4)):
        told: list[Any] = []
        cursor: str | None = ""
        while cursor is not None:
            _, _, said = await ask(session, f"{path}?limit=1{f'&cursor={cursor}' if cursor else ''}")
            page = json.loads(said)
            told += [json.dumps(one) for key in keys for one in page[key]]
            cursor = page["cursor"]
        assert len(set(told)) == len(told) == number


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/agents?limit=0",
        "/api/v1/agents?limit=1001",
        "/api/v1/agents?limit=-1",
        "/api/v1/agents?limit=%D9%A3",
        "/api/v1/agents?limit=1&limit=2",
        "/api/v1/agents?limti=3",
        "/api/v1/agents?cursor=",
        "/api/v1/agents?cursor=%00",
        "/api/v1/agents?cursor=WzFd",
        "/api/v1/agents?cursor=" + "W" * 1001,
        "/api/v1/alarms?cursor=WyJhbXlAZXhhbXBsZS5jb20iXQ",
        "/api/v1/matching?cursor=W251bGwsIDAsICIiXQ",
        "/api/v1/matching?cursor=W3RydWUsIDAsICIiXQ",
        "/api/v1/timelines?day=2026-11-18&day=2026-11-19",
        "/api/v1/overview?x=1",
        "/api/v1/outage?x=1",
        "/api/v1/openapi.json?x=1",
        "/api/v1/agents/a00@example.com?x=1",
        "/api/v1/agents/a00@example.com/channels?x=1",
        "/api/v1/agents/a00@example.com/explain?at=2026-11-18T00:00:00Z&at=2026-11-18T00:00:00Z",
    ],
)
async def test_a_wrong_query_is_refused_in_words(session: aiohttp.ClientSession, path: str) -> None:
    """Never ignored."""
    code, headers, said = await ask(session, path)

    assert (code, headers["Content-Type"]) == (400, "application/json; charset=utf-8")
    assert json.loads(said)["error"]["message"]


async def test_a_deed_takes_no_query(session: aiohttp.ClientSession, clocked: Clocked) -> None:
    """Its words belong into the body."""
    async with session.post("/api/v1/pause?for=2h") as answer:
        assert answer.status == 400
    assert clocked.desk.done == []


@pytest.mark.parametrize("reason", ["a\nb", "\x1b[31mred", "\ud800"])
async def test_what_would_spoil_a_log_is_refused(session: aiohttp.ClientSession, clocked: Clocked, reason: str) -> None:
    """Half a character too; blanks around are left out."""
    async with session.post("/api/v1/sync", json={"reason": reason}) as answer:
        assert answer.status == 400
    async with session.post("/api/v1/resume", json={"actor": " lena\n"}) as answer:
        assert answer.status == 200
    assert clocked.desk.done == [("resume", None, "lena", "")]


@pytest.mark.parametrize(
    "sent", [b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"nonsense\r\n\r\n"]
)
async def test_what_is_no_http_is_told_so_in_json(session: aiohttp.ClientSession, sent: bytes) -> None:
    """Without a word of what was sent."""
    address = str(session._base_url).removeprefix("http://").rstrip("/")
    answer = await send(address, sent)

    assert status(answer) == 400
    assert json.loads(body(answer))["error"]["code"] == "malformed"
    assert b"nonsense" not in answer
