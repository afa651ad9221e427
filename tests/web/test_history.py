"""What was done and what was set, over the wire: a real chronicle of a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from calsyncd.chronicle import PIECE, Chronicle
from calsyncd.clock import SystemClock
from calsyncd.core.model import HistoryRow
from calsyncd.core.moments import Moment
from calsyncd.core.past import Query
from calsyncd.journal import Journal
from calsyncd.metrics import Metrics
from calsyncd.store import Store
from calsyncd.web import history as web_history
from calsyncd.web.admin import admin_app
from calsyncd.web.gate import Gate
from calsyncd.web.server import serve
from calsyncd.web.stream import Feed

from .test_admin import Desk

AMY, BEN, ZOE = "amy@example.com", "ben@example.com", "zoe@example.com"
ZONES = {AMY: ZoneInfo("Europe/Paris"), BEN: ZoneInfo("America/New_York")}
NOW = datetime(2026, 11, 21, 15, tzinfo=UTC).timestamp()


def at(text: str, day: str = "2026-11-21") -> float:
    """That time of UTC."""
    return datetime.fromisoformat(f"{day}T{text}Z").timestamp()


def row(when: float, who: str, before: str | None, after: str | None, outcome: str = "done", **more: Any) -> HistoryRow:
    """A record."""
    actor = "aircall" if outcome == "seen" else "calsyncd"
    return HistoryRow(when, who, before, after, outcome, more.get("why", "a meeting"), more.get("event"), None, actor)


class Stopped(SystemClock):
    """A clock that stands still."""

    def now(self) -> float:
        return NOW


class Past(Desk):
    """An operator who knows the past."""

    def __init__(self, chronicle: Chronicle) -> None:
        super().__init__()
        self.chronicle = chronicle

    async def history(self, query: Query, most: int) -> dict[str, Any] | None:
        return await self.chronicle.history(query, most)

    async def settings(self, email: str, since: Moment | None, until: Moment | None) -> dict[str, Any] | None:
        return await self.chronicle.settings(email, since, until)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[tuple[Journal, Store]]:
    """A journal in a database."""
    async with Store.open(tmp_path / "calsyncd.db") as store:
        clock = Stopped()
        clock.close()
        yield Journal(store, clock, 90 * 86400.0), store


@pytest.fixture
async def session(journal: tuple[Journal, Store]) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the API."""
    clock = Stopped()
    clock.close()

    def zone(email: str | None) -> tzinfo:
        return ZONES.get(email or "", UTC)

    chronicle = Chronicle(clock, journal[1], journal[0], zone=zone, settings=lambda: {AMY: "custom", BEN: "available"})
    past = Past(chronicle)
    feed = Feed(past, lambda: NOW, "1.2.3")
    app = admin_app(
        operator=past, registry=Metrics("1.2.3").registry, now=lambda: NOW, feed=feed, gate=Gate(), version="1.2.3"
    )
    async with (
        serve(app, "127.0.0.1:0", life_seconds=60) as (address,),
        aiohttp.ClientSession(f"http://{address}") as session,
    ):
        yield session


async def ask(session: aiohttp.ClientSession, path: str, status: int = 200, **query: Any) -> Any:
    """The answer's JSON."""
    async with session.get(path, params=query) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def test_a_record_is_as_the_contract_says(session: aiohttp.ClientSession, journal: tuple[Journal, Store]) -> None:
    """Every field, UTC, and the zone of each agent who is told of."""
    journal[0].done(
        HistoryRow(at("09:00:00.213"), AMY, "custom", "unavailable", "done", "a meeting", "x7f", 213, "calsyncd")
    )

    assert await ask(session, "/api/v1/history") == {
        "history": [
            {
                "at": "2026-11-21T09:00:00.213Z",
                "agent": AMY,
                "from": "custom",
                "to": "unavailable",
                "outcome": "done",
                "why": "a meeting",
                "event": "x7f",
                "late_ms": 213,
                "actor": "calsyncd",
            }
        ],
        "now": "2026-11-21T15:00:00.000Z",
        "zones": {AMY: "Europe/Paris"},
        "cursor": None,
    }


async def test_records_are_asked_for_by_agent_time_outcome_and_actor(
    session: aiohttp.ClientSession, journal: tuple[Journal, Store]
) -> None:
    """A day without an offset is each agent's own; who has left the settings is told of too, by UTC."""
    paris_midnight, york_midnight = at("23:00", "2026-11-20"), at("05:00")
    for when in (paris_midnight - 1, paris_midnight, york_midnight - 1, york_midnight):
        journal[0].done(row(when, AMY, "custom", "unavailable"))
        journal[0].done(row(when, BEN, None, "available", "seen"))
        await journal[0].flush()
    journal[0].done(row(at("06:00"), ZOE, "available", None, "left_alone"))

    async def told(**query: Any) -> list[tuple[str, float]]:
        records = (await ask(session, "/api/v1/history", **query))["history"]
        return [(one["agent"], datetime.fromisoformat(one["at"]).timestamp()) for one in records]

    everything = await told()
    assert len(everything) == 9
    assert await told(since="today") == [
        (AMY, paris_midnight),
        (AMY, york_midnight - 1),
        (AMY, york_midnight),
        (BEN, york_midnight),
        (ZOE, at("06:00")),
    ]
    assert await told(agent=BEN, until="today") == [(BEN, when) for who, when in everything if who == BEN][:3]
    assert await told(agent=AMY, since="2026-11-21T05:00:00Z") == [(AMY, york_midnight)]
    assert await told(since="10h", until="2026-11-21T05:30:00Z") == [(AMY, york_midnight), (BEN, york_midnight)]
    assert await told(outcome="left_alone") == [(ZOE, at("06:00"))]
    assert len(await told(actor="aircall")) == 4
    async with session.get("/api/v1/history?outcome=left_alone&outcome=seen") as answer:
        assert len((await answer.json())["history"]) == 5


async def test_pages_tell_everything_once(session: aiohttp.ClientSession, journal: tuple[Journal, Store]) -> None:
    """Also while more is written; without `limit` the list is whole."""
    rows = [
        row(at("08:00") + number // 3, AMY, None, "available", event=str(number)) for number in range(2 * PIECE + 7)
    ]
    for one in rows[:-3]:
        journal[0].done(one)
    await journal[0].flush()
    told: list[str] = []
    page = await ask(session, "/api/v1/history", limit=100)
    for one in rows[-3:]:
        journal[0].done(one)
    pages = 1
    while True:
        assert len(page["history"]) <= 100
        told += [one["event"] for one in page["history"]]
        if page["cursor"] is None:
            break
        page = await ask(session, "/api/v1/history", limit=100, cursor=page["cursor"])
        pages += 1

    assert told == [one.event for one in rows]
    assert pages == 6
    assert [one["event"] for one in (await ask(session, "/api/v1/history"))["history"]] == told


async def test_what_is_too_long_is_asked_for_in_pages(
    session: aiohttp.ClientSession, journal: tuple[Journal, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list is whole or refused, never cut."""
    monkeypatch.setattr("calsyncd.web.admin.MAX_WHOLE", 3)
    for number in range(4):
        journal[0].done(row(at("08:00") + number, AMY, None, "available"))

    assert "pages" in (await ask(session, "/api/v1/history", 400))["error"]["message"]
    assert len((await ask(session, "/api/v1/history", limit=4))["history"]) == 4
    assert web_history.MAX_WHOLE > 10_000


@pytest.mark.parametrize(
    "query",
    [
        "since=soon",
        "until=2026-11-31",
        "since=2h&until=3h",
        "since=tomorrow&until=today",
        "limit=0",
        "limit=1001",
        "limit=%D9%A2",
        "limit=",
        "cursor=7",
        "agents=amy@example.com",
        "agent=amy@example.com&agent=ben@example.com",
        "agent=" + "a" * 300,
        "&".join(f"outcome={number}" for number in range(31)),
    ],
)
async def test_what_cannot_be_understood_is_refused_in_words(session: aiohttp.ClientSession, query: str) -> None:
    """400 with a message."""
    assert (await ask(session, f"/api/v1/history?{query}", 400))["error"]["message"]


async def test_an_unknown_agent_is_told(session: aiohttp.ClientSession) -> None:
    """Whom neither the settings nor the history know; whoever is followed has an empty history."""
    for path in (f"/api/v1/history?agent={ZOE}", f"/api/v1/agents/{ZOE}/settings"):
        assert (await ask(session, path, 404))["error"]["code"] == "unknown_agent"
    assert (await ask(session, f"/api/v1/history?agent={AMY}"))["history"] == []


async def test_an_address_is_the_same_in_capitals(session: aiohttp.ClientSession) -> None:
    """As in the settings, wherever it stands."""
    for path in ("/api/v1/history?agent=AMY@Example.com", "/api/v1/agents/AMY@Example.com/settings"):
        await ask(session, path)
    assert (await ask(session, "/api/v1/agents/AMY@Example.com"))["email"] == AMY


async def test_settings_are_unbroken_intervals(session: aiohttp.ClientSession, journal: tuple[Journal, Store]) -> None:
    """They cover what was asked for until now, begin with what was set before, and join neighbours of one setting."""
    for one in (
        row(at("07:00"), AMY, None, "custom", "seen", why="seen for the first time"),
        row(at("08:00"), AMY, "custom", "unavailable"),
        row(at("08:10"), AMY, "unavailable", None, "left_alone", why="left alone"),
        row(at("08:20"), AMY, "unavailable", "unavailable", why="again"),
        row(at("09:00"), AMY, "unavailable", "custom", why="the meeting is over"),
    ):
        journal[0].done(one)
    await journal[0].flush()

    async def told(**query: Any) -> list[tuple[str, str, str, str]]:
        answer = await ask(session, f"/api/v1/agents/{AMY}/settings", **query)
        assert (answer["email"], answer["zone"]) == (AMY, "Europe/Paris")
        return [
            (one["start"][11:16], one["end"][11:16], one["availability_status"], one["why"]) for one in answer["set"]
        ]

    whole = [
        ("07:00", "08:00", "custom", "seen for the first time"),
        ("08:00", "09:00", "unavailable", "a meeting"),
        ("09:00", "15:00", "custom", "the meeting is over"),
    ]
    assert await told() == whole
    assert await told(since="2026-11-01") == whole
    assert await told(since="09:30", until="09:45") == [("08:30", "08:45", "unavailable", "again")]
    assert await told(until="2026-11-21T07:30:00Z") == [("07:00", "07:30", "custom", "seen for the first time")]
    assert await told(until="2026-11-21T06:30:00Z") == []
    assert await told(since="tomorrow", until="2027-01-01") == []
    assert "later" in (await ask(session, f"/api/v1/agents/{AMY}/settings?since=1h&until=2h", 400))["error"]["message"]
    assert "since" in (await ask(session, f"/api/v1/agents/{AMY}/settings?since=x", 400))["error"]["message"]


async def test_who_never_changed_is_as_now(session: aiohttp.ClientSession) -> None:
    """All the time that was asked for; why is not known."""
    answer = await ask(session, f"/api/v1/agents/{BEN}/settings", since="2h")

    assert answer["set"] == [
        {
            "start": "2026-11-21T13:00:00.000Z",
            "end": "2026-11-21T15:00:00.000Z",
            "availability_status": "available",
            "actor": None,
            "why": "",
        }
    ]
