"""What operators ask: the page, the API, metrics, readiness.

It listens on loopback, where every web page that the operator's browser shows can send requests too. So the Host must
be a name of this machine (a page elsewhere may have its name resolve to 127.0.0.1), and what changes something must not
come from another origin and must carry JSON or nothing. With a token, the token says who may ask, and the Host is free.
"""

from __future__ import annotations

import asyncio
import json
from datetime import date
from importlib import resources
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from calsyncd.web.asked import (
    MAX_TEXT,
    Fault,
    instant_of,
    read_body,
    seconds_of,
    time_out,
    until_of,
    who_asks,
    window_of,
)
from calsyncd.web.gate import dressed, guarded
from calsyncd.web.history import MAX_WHOLE, history_query, window_query

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from calsyncd.core.moments import Moment
    from calsyncd.core.past import Query
    from calsyncd.web.public import Health
    from calsyncd.web.stream import Feed

MAX_BODY = 16 * 1024
AT_ONCE = 20
"""So many of a long list's entries are written before others have their turn."""
MAX_BY_HAND_SECONDS = 12 * 3600.0

_PAGE = "index.html"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Operator(Protocol):
    """What the daemon does for operators; agents are dictionaries of the API's shape."""

    def overview(self) -> dict[str, Any]:
        """The company at a glance, from memory."""

    def emails(self) -> list[str]:
        """Every agent's address, from memory."""

    def agents(self) -> list[dict[str, Any]]:
        """Every agent, from memory."""

    def agent(self, email: str) -> dict[str, Any] | None:
        """One agent, from memory; None if there is none of that name."""

    async def timelines(self, email: str | None, window: tuple[float, float] | date | None) -> list[dict[str, Any]]:
        """Events, what is wanted and what was set: between two instants, or on a day of the agent's zone, or today."""

    async def history(self, query: Query, most: int) -> dict[str, Any] | None:
        """At most so many of the records asked for, each agent's `zones`, and the `cursor` of what is left or None.

        None if an agent is asked for of whom nothing is known; ValueError if no time is.
        """

    async def settings(self, email: str, since: Moment | None, until: Moment | None) -> dict[str, Any] | None:
        """What was really set in the agent's Aircall, in unbroken intervals; None if nothing is known of the agent.

        ValueError if no time is asked for.
        """

    async def sync(self, email: str | None) -> None:
        """Read the agent's calendars, or everybody's, and act on them; returns when that is done."""

    async def pause(self, email: str, until: float | None, actor: str, reason: str) -> None:
        """Release the agent and leave it alone until then, or until resumed."""

    async def resume(self, email: str, actor: str, reason: str) -> None:
        """End the agent's pause."""

    async def skip(self, email: str, until: float | None, actor: str, reason: str) -> None:
        """Leave the agent available in the meeting that runs, else in the next one, or in all until then."""

    async def extend(self, email: str, length: float | None, until: float | None, actor: str, reason: str) -> None:
        """Keep the agent unavailable so many seconds longer than the meeting that runs, or than now; or until then."""

    async def pause_all(self, until: float | None, actor: str, reason: str) -> None:
        """Release everybody and leave them alone until then, or until resumed."""

    async def resume_all(self, actor: str, reason: str) -> list[str]:
        """End every pause, and say whose."""

    async def release_all(self, actor: str, reason: str) -> dict[str, Any]:
        """Put everybody back and leave them paused; says how that went."""

    def outage(self) -> dict[str, Any] | None:
        """The daemon's last absence and what it meant, from memory; None if there was none."""

    def alarms(self) -> list[dict[str, Any]]:
        """The alarms that are raised, from memory."""

    async def explain(self, email: str, at: float | None) -> dict[str, Any]:
        """Why the agent is set as they are, were or will be at an instant, now if None."""

    def matching(self) -> dict[str, Any]:
        """Who of Aircall's users and of the Google accounts has no counterpart, and why, from memory."""

    def health(self) -> Health:
        """Whether the loop turns and the database answers."""

    def ready(self) -> tuple[bool, list[str]]:
        """Whether all is done that should be; if not, why, in sentences."""


def admin_app(
    *,
    operator: Operator,
    registry: CollectorRegistry,
    now: Callable[[], float],
    feed: Feed,
    token: str | None = None,
) -> web.Application:
    """The application behind `server.admin_listen`; `now` is epoch seconds.

    With a `token`, every request but `/healthz` must carry it: as a bearer, or as the password of Basic authentication.
    """
    api = _Api(operator, now, feed)
    app = web.Application(client_max_size=MAX_BODY, middlewares=[dressed, guarded(token)])
    page = resources.files("calsyncd.web") / "static"
    for file in page.iterdir():
        suffix = file.name[file.name.rfind(".") :]
        if suffix in _TYPES:
            path = "/" if file.name == _PAGE else f"/static/{file.name}"
            app.router.add_get(path, _file(file.read_bytes(), _TYPES[suffix]))

    async def expose(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app.router.add_get("/metrics", expose)
    app.router.add_get("/healthz", api.healthz)
    app.router.add_get("/readyz", api.readyz)
    app.router.add_get("/api/v1/overview", api.overview)
    app.router.add_get("/api/v1/stream", feed.serve, allow_head=False)
    app.router.add_get("/api/v1/outage", api.outage)
    app.router.add_get("/api/v1/alarms", api.alarms)
    app.router.add_get("/api/v1/matching", api.matching)
    app.router.add_get("/api/v1/agents", api.agents)
    app.router.add_get("/api/v1/agents/{email}", api.agent)
    app.router.add_get("/api/v1/agents/{email}/timeline", api.timeline)
    app.router.add_get("/api/v1/agents/{email}/settings", api.settings)
    app.router.add_get("/api/v1/timelines", api.timelines)
    app.router.add_get("/api/v1/history", api.history)
    app.router.add_post("/api/v1/agents/{email}/sync", api.sync)
    app.router.add_post("/api/v1/agents/{email}/pause", api.pause)
    app.router.add_post("/api/v1/agents/{email}/resume", api.resume)
    app.router.add_post("/api/v1/agents/{email}/skip", api.skip)
    app.router.add_post("/api/v1/agents/{email}/extend", api.extend)
    app.router.add_post("/api/v1/sync", api.sync_all)
    app.router.add_post("/api/v1/pause", api.pause_all)
    app.router.add_post("/api/v1/resume", api.resume_all)
    app.router.add_post("/api/v1/release", api.release)
    app.router.add_get("/api/v1/agents/{email}/explain", api.explain)
    return app


class _Api:
    """The handlers: read the request, ask the operator, answer what is so afterwards."""

    def __init__(self, operator: Operator, now: Callable[[], float], feed: Feed) -> None:
        self._operator = operator
        self._now = now
        self._feed = feed

    async def healthz(self, _: web.Request) -> web.Response:
        health = self._operator.health()
        return _json({"ok": health.ok, "reason": health.reason}, 200 if health.ok else 503)

    async def readyz(self, _: web.Request) -> web.Response:
        ready, reasons = self._operator.ready()
        return _json({"ready": ready, "reasons": reasons}, 200 if ready else 503)

    async def overview(self, _: web.Request) -> web.Response:
        return _json(self._operator.overview())

    async def outage(self, _: web.Request) -> web.Response:
        return _json({"outage": self._operator.outage()})

    async def alarms(self, _: web.Request) -> web.Response:
        return _json({"alarms": self._operator.alarms()})

    async def matching(self, _: web.Request) -> web.Response:
        return _json(self._operator.matching())

    async def agents(self, _: web.Request) -> web.Response:
        self._feed.read()
        return _json({"agents": self._operator.agents()})

    async def agent(self, request: web.Request) -> web.Response:
        return _json(self._known(_email(request)))

    async def timeline(self, request: web.Request) -> web.Response:
        email = _email(request)
        self._known(email)
        (timeline,) = await self._operator.timelines(email, window_of(request.query))
        return _json({"now": time_out(self._now()), **timeline})

    async def timelines(self, request: web.Request) -> web.Response:
        timelines = await self._operator.timelines(None, window_of(request.query))
        text = f'{{"now": "{time_out(self._now())}", "timelines": [{await _pieces(timelines)}]}}'
        return web.Response(text=text, content_type="application/json")

    async def history(self, request: web.Request) -> web.Response:
        try:
            query = history_query(request.query)
            told = await self._operator.history(query, query.limit or MAX_WHOLE)
        except ValueError as error:
            raise Fault(400, "bad_request", str(error)) from None
        if told is None:
            raise _unknown(query.agent or "")
        if query.limit is None and told["cursor"] is not None:
            raise Fault(
                400, "too_long", f"these are over {MAX_WHOLE} records: ask for pages (limit, cursor) or a shorter time"
            )
        pieces = await _pieces(told.pop("history"))
        rest = json.dumps({"now": time_out(self._now()), **told})[1:]
        return web.Response(text=f'{{"history": [{pieces}], {rest}', content_type="application/json")

    async def settings(self, request: web.Request) -> web.Response:
        email = _email(request)
        try:
            settings = await self._operator.settings(email, *window_query(request.query))
        except ValueError as error:
            raise Fault(400, "bad_request", str(error)) from None
        if settings is None:
            raise _unknown(email)
        return _json({"now": time_out(self._now()), **settings})

    async def sync(self, request: web.Request) -> web.Response:
        email = _email(request)
        self._known(email)
        await read_body(request, frozenset({"actor", "reason"}))
        await self._operator.sync(email)
        return _json(self._known(email))

    async def sync_all(self, request: web.Request) -> web.Response:
        await read_body(request, frozenset({"actor", "reason"}))
        await self._operator.sync(None)
        return _json({"agents": self._operator.agents()})

    async def pause(self, request: web.Request) -> web.Response:
        email = _email(request)
        self._known(email)
        body = await read_body(request, frozenset({"for", "until", "reason", "actor"}))
        actor, reason = who_asks(body)
        await self._operator.pause(email, until_of(body, self._now()), actor, reason)
        return _json(self._known(email))

    async def pause_all(self, request: web.Request) -> web.Response:
        body = await read_body(request, frozenset({"for", "until", "reason", "actor"}))
        actor, reason = who_asks(body)
        await self._operator.pause_all(until_of(body, self._now()), actor, reason)
        return _json({"agents": self._operator.agents()})

    async def resume(self, request: web.Request) -> web.Response:
        email = _email(request)
        self._known(email)
        actor, reason = who_asks(await read_body(request, frozenset({"reason", "actor"})))
        await self._operator.resume(email, actor, reason)
        return _json(self._known(email))

    async def skip(self, request: web.Request) -> web.Response:
        email = _email(request)
        self._known(email)
        body = await read_body(request, frozenset({"for", "until", "reason", "actor"}))
        actor, reason = who_asks(body)
        until = until_of(body, self._now())
        if until is not None and until > self._now() + MAX_BY_HAND_SECONDS:
            raise Fault(400, "bad_request", "a skip reaches 12 hours ahead at most: pause the agent for longer")
        await self._operator.skip(email, until, actor, reason)
        return _json(self._known(email))

    async def extend(self, request: web.Request) -> web.Response:
        email = _email(request)
        self._known(email)
        body = await read_body(request, frozenset({"for", "until", "reason", "actor"}))
        actor, reason = who_asks(body)
        until = until_of(body, self._now())
        if until is None:
            raise Fault(400, "bad_request", 'say for how much longer: give for, such as "15m", or until')
        length = None if body.get("for") is None else seconds_of(body["for"])
        if length is not None and length > MAX_BY_HAND_SECONDS:
            raise Fault(400, "bad_request", "for is 12 hours at most")
        await self._operator.extend(email, length, until if length is None else None, actor, reason)
        return _json(self._known(email))

    async def resume_all(self, request: web.Request) -> web.Response:
        actor, reason = who_asks(await read_body(request, frozenset({"reason", "actor"})))
        resumed = await self._operator.resume_all(actor, reason)
        return _json({"resumed": resumed, "agents": self._operator.agents()})

    async def release(self, request: web.Request) -> web.Response:
        actor, reason = who_asks(await read_body(request, frozenset({"actor", "reason"})))
        return _json(await self._operator.release_all(actor, reason))

    async def explain(self, request: web.Request) -> web.Response:
        for name in request.query:
            if name != "at":
                raise Fault(400, "bad_request", f"{name[:MAX_TEXT]!r} is not known here; known: at")
        at = instant_of(request.query["at"], "at") if "at" in request.query else None
        email = _email(request)
        self._known(email)
        return _json(await self._operator.explain(email, at))

    def _known(self, email: str) -> dict[str, Any]:
        agent = self._operator.agent(email)
        if agent is None:
            raise _unknown(email)
        return agent


def _unknown(email: str) -> Fault:
    return Fault(404, "unknown_agent", f"there is no agent {email[:MAX_TEXT]}")


async def _pieces(entries: list[dict[str, Any]]) -> str:
    """A long list's entries as JSON, between which others have their turn."""
    pieces = []
    for number, entry in enumerate(entries):
        if number % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
        pieces.append(json.dumps(entry))
    return ", ".join(pieces)


def _email(request: web.Request) -> str:
    """The agent's address as the settings have it: in small letters."""
    return request.match_info["email"].lower()


def _file(content: bytes, content_type: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(body=content, content_type=content_type, charset="utf-8")

    return handle


def _json(value: object, status: int = 200) -> web.Response:
    return web.json_response(value, status=status)


def _error(status: int, code: str, message: str) -> web.Response:
    return _json({"error": {"code": code, "message": message}}, status)
