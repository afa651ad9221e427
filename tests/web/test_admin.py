from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from calsyncd.errors import Refused, Unavailable, UserError
from calsyncd.metrics import Metrics
from calsyncd.web.admin import admin_app
from calsyncd.web.gate import Gate
from calsyncd.web.public import Health
from calsyncd.web.server import serve
from calsyncd.web.stream import Feed

from .wire import body, request, send, status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from pathlib import Path

    from calsyncd.core.moments import Moment
    from calsyncd.core.past import Query

NOW = 1_795_000_000.0
AMY = "amy@example.com"


@dataclass
class Desk:
    """An operator over two agents in memory."""

    known: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {name: {"email": name, "state": "idle"} for name in (AMY, "bob@example.com")}
    )
    done: list[tuple[object, ...]] = field(default_factory=list)
    error: Exception | None = None
    well: bool = True
    turns: bool = True
    absence: dict[str, Any] | None = None
    days: dict[str, Any] = field(default_factory=lambda: {"spans": []})
    raised: list[dict[str, Any]] = field(default_factory=list)
    owed: int = 0
    unmatched: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])

    def overview(self) -> dict[str, Any]:
        return {"now": "2026-11-18T11:06:40.000Z", "owed": {"count": self.owed}}

    def emails(self) -> list[str]:
        return list(self.known)

    def agents(self) -> list[dict[str, Any]]:
        return list(self.known.values())

    def agent(self, email: str) -> dict[str, Any] | None:
        return self.known.get(email)

    def channels(self, email: str) -> list[dict[str, Any]]:
        return [{"calendar": email, "health": "off"}]

    async def timelines(
        self, emails: Collection[str] | None, window: tuple[float, float] | date | None
    ) -> list[dict[str, Any]]:
        self._do("timelines", emails, window)
        return [{"email": name, **self.days} for name in self.known if emails is None or name in emails]

    async def history(self, query: Query, most: int) -> dict[str, Any] | None:
        self._do("history", query, most)
        return None

    async def settings(self, email: str, since: Moment | None, until: Moment | None) -> dict[str, Any] | None:
        self._do("settings", email, since, until)
        return None

    async def sync(self, email: str | None) -> None:
        self._do("sync", email)

    async def pause(self, email: str, until: float | None, actor: str, reason: str) -> None:
        self._do("pause", email, until, actor, reason)
        self.known[email]["state"] = "paused"

    async def resume(self, email: str, actor: str, reason: str) -> None:
        self._do("resume", email, actor, reason)

    async def skip(self, email: str, until: float | None, actor: str, reason: str) -> None:
        self._do("skip", email, until, actor, reason)

    async def extend(self, email: str, length: float | None, until: float | None, actor: str, reason: str) -> None:
        self._do("extend", email, length, until, actor, reason)

    async def pause_all(self, until: float | None, actor: str, reason: str) -> None:
        self._do("pause", None, until, actor, reason)
        for agent in self.known.values():
            agent["state"] = "paused"

    async def resume_all(self, actor: str, reason: str) -> list[str]:
        self._do("resume", None, actor, reason)
        return list(self.known)

    async def release_all(self, actor: str, reason: str) -> dict[str, Any]:
        self._do("release", actor, reason)
        return {"released": 2}

    async def forget(self, email: str, actor: str, reason: str) -> dict[str, Any]:
        self._do("forget", email, actor, reason)
        return {"email": email, "erased": {"events": 2}, "left": []}

    def outage(self) -> dict[str, Any] | None:
        return self.absence

    def alarms(self) -> list[dict[str, Any]]:
        return self.raised

    def matching(self) -> dict[str, Any]:
        users, accounts = self.unmatched
        return {"users": users, "accounts": accounts, "untried": 3}

    async def explain(self, email: str, at: float | None) -> dict[str, Any]:
        self._do("explain", email, at)
        return {"email": email, "sentences": ["Auto."]}

    def health(self, *, of_loop: bool = False) -> Health:
        well = self.turns if of_loop else self.well
        return Health(well, "" if well else "the loop stands still")

    def ready(self) -> tuple[bool, list[str]]:
        return self.well, [] if self.well else ["2 updates are owed"]

    def _do(self, *what: object) -> None:
        if self.error is not None:
            raise self.error
        self.done.append(what)


def feed(desk: Desk) -> Feed:
    """What is told of changes at a desk."""
    return Feed(desk, lambda: NOW, "1.2.3")


@pytest.fixture
def desk() -> Desk:
    """The operator behind the API."""
    return Desk()


@pytest.fixture
async def address(desk: Desk) -> AsyncIterator[str]:
    """Where the operator's API listens."""
    app = admin_app(
        operator=desk,
        registry=Metrics("1.2.3").registry,
        now=lambda: NOW,
        feed=feed(desk),
        gate=Gate(),
        version="1.2.3",
    )
    async with serve(app, "127.0.0.1:0", life_seconds=60) as (address,):
        yield address


@pytest.fixture
async def session(address: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the API."""
    async with aiohttp.ClientSession(f"http://{address}") as session:
        yield session


async def test_agents_are_told_as_they_are(session: aiohttp.ClientSession, desk: Desk) -> None:
    """The list and one agent are the operator's own dictionaries."""
    async with session.get("/api/v1/agents") as answer:
        assert await answer.json() == {"agents": desk.agents()}
    async with session.get("/api/v1/agents/amy%40example.com") as answer:
        assert await answer.json() == desk.agent(AMY)


async def test_alarms_are_told(session: aiohttp.ClientSession, desk: Desk) -> None:
    """And that there are none."""
    for desk.raised in ([], [{"code": "storm", "who": "company"}]):
        async with session.get("/api/v1/alarms") as answer:
            assert (answer.status, await answer.json()) == (200, {"alarms": desk.raised})


async def test_who_is_not_matched_is_told(session: aiohttp.ClientSession, desk: Desk) -> None:
    """As the operator has it."""
    async with session.get("/api/v1/matching") as answer:
        assert (answer.status, await answer.json()) == (200, desk.matching())


async def test_the_last_absence_is_told(session: aiohttp.ClientSession, desk: Desk) -> None:
    """And that there was none."""
    for desk.absence in (None, {"seconds": 12.0, "over": False}):
        async with session.get("/api/v1/outage") as answer:
            assert (answer.status, await answer.json()) == (200, {"outage": desk.absence})


async def test_timelines_are_told_for_one_and_all(session: aiohttp.ClientSession, desk: Desk) -> None:
    """With the time that it is, for a window, a day, or today."""
    now = "2026-11-18T11:06:40.000Z"
    async with session.get("/api/v1/timelines?from=2026-11-18T00:00:00Z&to=2026-11-18T02:00:00%2B01:00") as answer:
        told = await answer.json()
        assert told["now"] == now
        assert [one["email"] for one in told["timelines"]] == [AMY, "bob@example.com"]
    async with session.get(f"/api/v1/agents/{AMY}/timeline?day=2026-11-18") as answer:
        assert await answer.json() == {"now": now, "email": AMY, "spans": []}
    async with session.get(f"/api/v1/agents/{AMY}/timeline") as answer:
        assert answer.status == 200

    midnight = 1_794_960_000.0
    assert desk.done == [
        ("timelines", None, (midnight, midnight + 3600)),
        ("timelines", (AMY,), date(2026, 11, 18)),
        ("timelines", (AMY,), None),
    ]


async def test_timelines_in_brief_have_no_ids(session: aiohttp.ClientSession, desk: Desk) -> None:
    """What a picture needs is told as ever; what is random, and so costs most to carry, is not."""
    times = {"start": "2026-11-18T10:00:00.000Z", "end": "2026-11-18T11:00:00.000Z"}
    wanted = {"availability_status": "unavailable", "substatus": None}
    desk.days = {
        "events": [{"id": "e1", "calendar": "primary", **times, "all_day": False, "why_not": None, "rule": None}],
        "spans": [{**times, "wanted": wanted, "event": "e1"}],
        "set": [{**times, "availability_status": "unavailable", "actor": "calsyncd", "why": "a meeting"}],
    }
    async with session.get("/api/v1/timelines?brief=true") as answer:
        brief = (await answer.json())["timelines"][0]
    async with session.get("/api/v1/timelines?brief=false") as answer:
        whole = (await answer.json())["timelines"][0]
    async with session.get("/api/v1/timelines?brief=yes") as answer:
        refused = answer.status

    assert brief == {
        "email": AMY,
        "events": [{**times, "why_not": None}],
        "spans": [{**times, "wanted": wanted}],
        "set": [{**times, "availability_status": "unavailable", "actor": "calsyncd"}],
    }
    assert whole == {"email": AMY, **desk.days}
    assert refused == 400


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-11-18T00:00:00Z",
        "from=2026-11-18T00:00:00Z&to=2026-11-18T00:00:00Z",
        "from=2026-11-18T00:00:00Z&to=2026-12-20T00:00:00Z",
        "from=2026-11-18T00:00:00&to=2026-11-19T00:00:00",
        "from=yesterday&to=2026-11-19T00:00:00Z",
        "from=0001-01-01T00:00:00%2B14:00&to=0001-01-02T00:00:00Z",
        "from=9999-12-30T00:00:00Z&to=9999-12-31T23:59:59-14:00",
        "day=2026-11-31",
        "day=0001-01-01",
        "day=9999-12-31",
        "day=2026-11-18&from=2026-11-18T00:00:00Z&to=2026-11-18T02:00:00Z",
        "days=2026-11-18",
    ],
)
async def test_an_impossible_window_is_refused_in_words(session: aiohttp.ClientSession, desk: Desk, query: str) -> None:
    """Nobody is asked for it."""
    async with session.get(f"/api/v1/timelines?{query}") as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["message"]
    assert desk.done == []


async def test_why_is_asked_for_now_or_an_instant(session: aiohttp.ClientSession, desk: Desk) -> None:
    """With any offset; what has none, or is not known here, is refused in words."""
    where = f"/api/v1/agents/{AMY}/explain"
    async with session.get(where) as answer:
        assert await answer.json() == {"email": AMY, "sentences": ["Auto."]}
    async with session.get(f"{where}?at=2026-11-18T01:00:00%2B01:00") as answer:
        assert answer.status == 200
    for query in ("at=2026-11-18T01:00:00", "at=10:15", "at=", "when=now"):
        async with session.get(f"{where}?{query}") as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]["message"]

    assert desk.done == [("explain", AMY, None), ("explain", AMY, 1_794_960_000.0)]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/agents/nobody@example.com"),
        ("GET", "/api/v1/agents/nobody@example.com/timeline"),
        ("GET", "/api/v1/agents/nobody@example.com/explain"),
        ("POST", "/api/v1/agents/nobody@example.com/sync"),
        ("POST", "/api/v1/agents/nobody@example.com/pause"),
        ("POST", "/api/v1/agents/nobody@example.com/resume"),
        ("GET", "/nothing"),
        ("GET", "/static/../admin.py"),
        ("GET", "/static/%2e%2e/admin.py"),
        ("POST", "/api/v1/agents/nobody@example.com/skip"),
        ("POST", "/api/v1/agents/nobody@example.com/extend"),
        ("POST", "/api/v1/agents/amy@example.com/shorten"),
    ],
)
async def test_what_is_not_there_is_404_in_json(
    session: aiohttp.ClientSession, desk: Desk, method: str, path: str
) -> None:
    """An unknown agent or path is an error in words, and nothing is done."""
    async with session.request(method, path) as answer:
        assert answer.status == 404
        error = (await answer.json())["error"]

    assert error["code"] in {"not_found", "unknown_agent"}
    assert error["message"]
    assert desk.done == []


async def test_wrong_method_says_which_is_right(session: aiohttp.ClientSession) -> None:
    """405 names the methods there are."""
    async with session.get("/api/v1/release") as answer:
        assert answer.status == 405
        assert answer.headers["Allow"] == "POST"
        assert (await answer.json())["error"]["code"] == "method_not_allowed"


async def test_deeds_are_done_and_answered(session: aiohttp.ClientSession, desk: Desk) -> None:
    """Each command reaches the operator once; the answer is what is so afterwards."""
    amy = f"/api/v1/agents/{AMY}"
    async with session.post(f"{amy}/pause", json={"for": "15m", "actor": "lena", "reason": "headset"}) as answer:
        assert await answer.json() == {"email": AMY, "state": "paused"}
    async with session.post(f"{amy}/resume", json={"actor": "lena"}) as answer:
        assert answer.status == 200
    async with session.post(f"{amy}/sync") as answer:
        assert (await answer.json())["email"] == AMY
    async with session.post("/api/v1/sync") as answer:
        assert len((await answer.json())["agents"]) == 2
    async with session.post("/api/v1/pause", json={"for": "1h", "actor": "lena", "reason": "outage"}) as answer:
        assert {one["state"] for one in (await answer.json())["agents"]} == {"paused"}
    async with session.post("/api/v1/resume", json={"actor": "lena"}) as answer:
        assert (await answer.json())["resumed"] == [AMY, "bob@example.com"]
    async with session.post("/api/v1/release", json={}) as answer:
        assert await answer.json() == {"released": 2}

    assert desk.done == [
        ("pause", AMY, NOW + 900, "lena", "headset"),
        ("resume", AMY, "lena", ""),
        ("sync", AMY),
        ("sync", None),
        ("pause", None, NOW + 3600, "lena", "outage"),
        ("resume", None, "lena", ""),
        ("release", "operator", ""),
    ]


@pytest.mark.parametrize(
    ("sent", "until"),
    [
        (None, None),
        ({}, None),
        ({"for": None}, None),
        ({"for": "90s"}, NOW + 90),
        ({"for": "2h"}, NOW + 7200),
        ({"for": "7d"}, NOW + 604800),
        ({"for": 60}, NOW + 60),
        ({"for": "60"}, NOW + 60),
        ({"until": "2026-11-18T12:00:00Z"}, 1_795_003_200.0),
        ({"until": "2026-11-18T13:00:00+01:00"}, 1_795_003_200.0),
    ],
)
async def test_pause_ends_when_it_was_said(
    session: aiohttp.ClientSession, desk: Desk, sent: dict[str, Any] | None, until: float | None
) -> None:
    """A pause is for a duration, until an instant, or until resumed."""
    async with session.post(f"/api/v1/agents/{AMY}/pause", json=sent if sent is not None else None) as answer:
        assert answer.status == 200

    assert desk.done == [("pause", AMY, until, "operator", "")]


@pytest.mark.parametrize(
    ("deed", "sent", "done"),
    [
        ("skip", None, (None, "operator", "")),
        ("skip", {"reason": "all hands", "actor": "lena"}, (None, "lena", "all hands")),
        ("skip", {"for": "2h"}, (NOW + 7200, "operator", "")),
        ("skip", {"until": "2026-11-18T12:00:00Z"}, (1_795_003_200.0, "operator", "")),
        ("extend", {"for": "15m", "actor": "lena"}, (900.0, None, "lena", "")),
        ("extend", {"for": 90}, (90.0, None, "operator", "")),
        ("extend", {"for": "12h"}, (43_200.0, None, "operator", "")),
        ("extend", {"until": "2026-11-18T13:00:00+01:00"}, (None, 1_795_003_200.0, "operator", "")),
    ],
)
async def test_a_meeting_is_skipped_or_extended(
    session: aiohttp.ClientSession, desk: Desk, deed: str, sent: dict[str, Any] | None, done: tuple[object, ...]
) -> None:
    """What was said reaches the operator once, and the agent is answered."""
    async with session.post(f"/api/v1/agents/{AMY}/{deed}", json=sent) as answer:
        assert (answer.status, await answer.json()) == (200, desk.agent(AMY))

    assert desk.done == [(deed, AMY, *done)]


@pytest.mark.parametrize(
    ("deed", "sent", "words"),
    [
        ("skip", {"for": "13h"}, "12 hours"),
        ("skip", {"for": 43200.00000000001}, "12 hours"),
        ("skip", {"until": "2026-11-20T12:00:00Z"}, "12 hours"),
        ("extend", {"for": "13h"}, "12 hours"),
        ("extend", {"for": "15m", "until": "2026-11-18T12:00:00Z"}, "not both"),
        ("extend", {}, "for how much longer"),
        ("extend", {"for": "soon"}, "duration"),
        ("extend", {"until": "2020-01-01T00:00:00Z"}, "future"),
    ],
)
async def test_what_cannot_be_skipped_or_extended(
    session: aiohttp.ClientSession, desk: Desk, deed: str, sent: dict[str, Any], words: str
) -> None:
    """It is refused in words, and nothing is done."""
    async with session.post(f"/api/v1/agents/{AMY}/{deed}", json=sent) as answer:
        assert (answer.status, words in (await answer.json())["error"]["message"]) == (400, True)

    assert desk.done == []


@pytest.mark.parametrize(
    "sent",
    [
        b"{",
        b"[]",
        b"\xff",
        b"null",
        b"[" * 10_000,
        b'{"for": "soon"}',
        b'{"for": "15m", "until": "2026-11-18T12:00:00Z"}',
        b'{"for": 31622400.000000004}',
        b'{"for": 0.5}',
        b'{"for": NaN}',
        b'{"for": "0s"}',
        b'{"for": -5}',
        b'{"for": true}',
        b'{"for": 1e400}',
        b'{"for": ' + b"9" * 400 + b"}",
        b'{"for": "999999999w"}',
        b'{"until": "2026-11-18T12:00:00"}',
        b'{"until": "yesterday"}',
        b'{"until": "2020-01-01T00:00:00Z"}',
        b'{"until": "0001-01-01T00:00:00+23:59"}',
        b'{"until": 5}',
        b'{"reason": 5}',
        b'{"actor": "' + b"x" * 201 + b'"}',
        b'{"minutes": 5}',
    ],
)
async def test_body_that_cannot_be_meant_is_400(session: aiohttp.ClientSession, desk: Desk, sent: bytes) -> None:
    """A body that is not understood to its end does nothing, and the answer says why; for one agent as for all."""
    headers = {"Content-Type": "application/json"}
    paths = [f"/api/v1/agents/{AMY}/{deed}" for deed in ("pause", "skip", "extend")]
    for path in (*paths, "/api/v1/pause"):
        async with session.post(path, data=sent, headers=headers) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]["code"] == "bad_request"

    assert desk.done == []


async def test_huge_body_is_413(session: aiohttp.ClientSession, desk: Desk) -> None:
    """More than any command needs is not read."""
    headers = {"Content-Type": "application/json"}
    async with session.post("/api/v1/release", data=b" " * 100_000, headers=headers) as answer:
        assert answer.status == 413
        assert (await answer.json())["error"]["code"] == "too_large"

    assert desk.done == []


@pytest.mark.parametrize(
    ("error", "expected", "code"),
    [
        (UserError("a reload is under way"), 409, "conflict"),
        (Unavailable("no answer", service="google", code="timeout"), 503, "timeout"),
        (Refused("no such user", service="aircall", code="user_gone"), 502, "user_gone"),
    ],
)
async def test_failure_says_whose_fault(
    session: aiohttp.ClientSession, desk: Desk, error: Exception, expected: int, code: str
) -> None:
    """What the operator could not do is told with its stable name."""
    desk.error = error

    async with session.post(f"/api/v1/agents/{AMY}/sync") as answer:
        assert answer.status == expected
        assert await answer.json() == {"error": {"code": code, "message": str(error)}}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8:80", "LOCALHOST:8771", "[::1]:8771"])
async def test_names_of_this_machine_are_answered(address: str, host: str) -> None:
    """Every way to say loopback is ours."""
    answer = await send(address, f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())

    assert status(answer) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:8771",
        "localhost:1:2",
        "::1",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/v1/agents", "/metrics", "/healthz"])
async def test_foreign_host_is_refused(address: str, host: str, path: str) -> None:
    """A page whose name resolves to 127.0.0.1 reads nothing."""
    answer = await send(address, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())

    assert status(answer) in {400, 403}
    assert b"amy@" not in answer


async def test_host_sent_twice_is_refused(address: str) -> None:
    """Two hosts are no host."""
    answer = await send(address, b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    assert status(answer) in {400, 403}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example", "Content-Type": "application/json"},
    ],
)
async def test_other_pages_change_nothing(session: aiohttp.ClientSession, desk: Desk, headers: dict[str, str]) -> None:
    """What a browser sends for another site's page is refused."""
    async with session.post("/api/v1/release", headers=headers) as answer:
        assert answer.status == 403
        assert (await answer.json())["error"]["code"] == "foreign_origin"

    assert desk.done == []


async def test_own_page_may(session: aiohttp.ClientSession, desk: Desk, address: str) -> None:
    """Our own page's requests pass."""
    headers = {"Origin": f"http://{address}", "Sec-Fetch-Site": "same-origin"}
    async with session.post("/api/v1/release", headers=headers) as answer:
        assert answer.status == 200

    assert desk.done == [("release", "operator", "")]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_form_is_refused(session: aiohttp.ClientSession, desk: Desk, kind: str) -> None:
    """What a page may send without asking first is not JSON, and is not taken."""
    async with session.post("/api/v1/release", data=b"{}", headers={"Content-Type": kind}) as answer:
        assert answer.status == 415

    assert desk.done == []


async def test_page_comes_with_a_strict_policy(session: aiohttp.ClientSession) -> None:
    """The page and all it needs come from here, and nothing else may run or be shown."""
    async with session.get("/") as answer:
        page = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
        assert answer.content_type == "text/html"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Server"] == "calsyncd"
    needed = re.findall(r'(?:src|href)="([^"]+)"', page)

    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert not re.search(r"<style|style=|<script(?! type=\"module\" src=)|\son\w+=", page)
    assert needed
    for path in needed:
        assert path.startswith("/")
        async with session.get(path) as answer:
            assert answer.status == 200, path
            text = await answer.text()
        if path.startswith("/static/"):
            assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path
            assert "innerHTML" not in text


async def test_metrics_can_be_parsed(session: aiohttp.ClientSession) -> None:
    """Prometheus reads what is exposed."""
    async with session.get("/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        families = list(text_string_to_metric_families(await answer.text()))

    assert "calsyncd_build_info" in {family.name for family in families}


async def test_health_and_readiness_give_reasons(session: aiohttp.ClientSession, desk: Desk) -> None:
    """200 while all is well, else 503 with what is not."""
    async with session.get("/healthz") as answer:
        assert (answer.status, await answer.json()) == (200, {"ok": True, "reason": ""})
    async with session.get("/readyz") as answer:
        assert (answer.status, await answer.json()) == (200, {"ready": True, "reasons": []})
    desk.well = False
    async with session.get("/healthz") as answer:
        assert (answer.status, await answer.json()) == (503, {"ok": False, "reason": "the loop stands still"})
    async with session.get("/readyz") as answer:
        assert (answer.status, await answer.json()) == (503, {"ready": False, "reasons": ["2 updates are owed"]})


async def test_health_can_be_the_loops_alone(session: aiohttp.ClientSession, desk: Desk) -> None:
    """What a supervisor asks, for whom a restart is the answer; a word that is not known is refused."""
    desk.well = False
    async with session.get("/healthz?only=loop") as answer:
        assert (answer.status, await answer.json()) == (200, {"ok": True, "reason": ""})
    desk.turns = False
    async with session.get("/healthz?only=loop") as answer:
        assert (answer.status, await answer.json()) == (503, {"ok": False, "reason": "the loop stands still"})
    for query in ("only=database", "only=", "only=loop&only=loop", "loop"):
        async with session.get(f"/healthz?{query}") as answer:
            assert answer.status == 400, query


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (None, 401),
        ("", 401),
        ("Bearer wrong", 401),
        ("Bearer s3cret-admin-token", 200),
        ("bearer s3cret-admin-token", 200),
        ("Digest s3cret-admin-token", 401),
        ("Basic " + base64.b64encode(b"anybody:s3cret-admin-token").decode(), 200),
        ("Basic " + base64.b64encode(b"s3cret-admin-token:").decode(), 401),
        ("Basic s3cret", 401),
        ("Basic \udcff", 401),
    ],
)
async def test_token_is_demanded_where_there_is_one(desk: Desk, authorization: str | None, expected: int) -> None:
    """With a token every name of the machine will do, and without it nothing is told but health."""
    app = admin_app(
        operator=desk,
        registry=Metrics("1").registry,
        now=lambda: NOW,
        feed=feed(desk),
        gate=Gate("s3cret-admin-token"),
        version="1.2.3",
    )
    headers = {"Connection": "close"} | ({} if authorization is None else {"Authorization": authorization})
    async with serve(app, "127.0.0.1:0") as (address,):
        answer = await send(address, request("/api/v1/agents", headers, method="GET"))
        health = await send(address, request("/healthz", {"Connection": "close"}, method="GET"))

    assert status(answer) == expected
    assert (b"amy@" in answer) == (expected == 200)
    assert status(health) == 200


async def test_unix_socket_needs_no_host(desk: Desk, tmp_path: Path) -> None:
    """No web page can reach a unix socket, so any Host will do there."""
    app = admin_app(
        operator=desk, registry=Metrics("1").registry, now=lambda: NOW, feed=feed(desk), gate=Gate(), version="1.2.3"
    )
    async with serve(app, f"unix:{tmp_path}/admin.sock") as (address,):
        raw = b"GET /api/v1/agents HTTP/1.1\r\nHost: calsyncd\r\nConnection: close\r\n\r\n"
        answer = await send(address, raw)

    assert json.loads(body(answer)) == {"agents": desk.agents()}


async def test_page_knows_every_state_of_the_api(session: aiohttp.ClientSession) -> None:
    """Each state that an agent can have has its word, and each health of push too."""
    async with session.get("/static/words.js") as answer:
        script = await answer.text()
    states = "pending held paused suspended unsynced overridden kept left_alone idle"

    for word in f"{states} healthy unverified expired silent off".split():
        assert re.search(rf"^  {word}: ", script, re.MULTILINE), word
