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

from calsyncd.web.answers import AT_ONCE, file, packed, tell
from calsyncd.web.asked import (
    MAX_BY_HAND_SECONDS,
    MAX_TEXT,
    WINDOW,
    Fault,
    Order,
    check_query,
    flag_of,
    instant_of,
    read_order,
    time_out,
    window_of,
)
from calsyncd.web.gate import Gate, dressed, guarded
from calsyncd.web.history import MAX_WHOLE, history_query, window_query
from calsyncd.web.openapi import document
from calsyncd.web.paging import PAGING, Key, Page
from calsyncd.web.server import MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable

    from calsyncd.core.moments import Moment
    from calsyncd.core.past import Query
    from calsyncd.web.public import Health
    from calsyncd.web.stream import Feed

MAX_BODY = 16 * 1024
MAX_EMAIL = 254
"""The longest address there can be (RFC 5321, 4.5.3.1.3)."""

MALFORMED = json.dumps(
    {
        "error": {
            "code": "malformed",
            "message": f"this is not HTTP, or a line of it is longer than {MAX_LINE} bytes or comes too often",
        }
    }
)
"""What is answered to what never reaches the application."""

_PAGE = "index.html"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Operator(Protocol):
    """What the daemon does for operators; agents are dictionaries of the API's shape."""

    def overview(self) -> dict[str, Any]:
        """The company at a glance, from memory."""

    def emails(self) -> list[str]:
        """Every agent's address, from memory."""

    def agent(self, email: str) -> dict[str, Any] | None:
        """One agent, from memory; None if there is none of that name."""

    def channels(self, email: str) -> list[dict[str, Any]]:
        """The push channels of an agent's calendars, from memory."""

    async def timelines(
        self, emails: Collection[str] | None, window: tuple[float, float] | date | None
    ) -> list[dict[str, Any]]:
        """Events, what is wanted and what was set, of these agents or all.

        Between two instants, or on a day of the agent's zone, or today.
        """

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

    async def forget(self, email: str, actor: str, reason: str) -> dict[str, Any]:
        """Erase all that is kept of somebody who is no agent any more; says what, and what is left."""

    def outage(self) -> dict[str, Any] | None:
        """The daemon's last absence and what it meant, from memory; None if there was none."""

    def alarms(self) -> list[dict[str, Any]]:
        """The alarms that are raised, from memory."""

    async def explain(self, email: str, at: float | None) -> dict[str, Any]:
        """Why the agent is set as they are, were or will be at an instant, now if None."""

    def matching(self) -> dict[str, Any]:
        """Who of Aircall's users and of the Google accounts has no counterpart, and why, from memory."""

    def health(self, *, of_loop: bool = False) -> Health:
        """Whether the loop turns and the database answers; `of_loop`: only the former."""

    def ready(self) -> tuple[bool, list[str]]:
        """Whether all is done that should be; if not, why, in sentences."""


def admin_app(
    *,
    operator: Operator,
    registry: CollectorRegistry,
    now: Callable[[], float],
    feed: Feed,
    gate: Gate,
    version: str,
) -> web.Application:
    """The application behind `server.admin_listen`; `now` is epoch seconds.

    Where the gate has a token, every request but `/healthz` must carry it.
    """
    api = _Api(operator, now, feed)
    app = web.Application(client_max_size=MAX_BODY, middlewares=[dressed, guarded(gate)])
    page = resources.files("calsyncd.web") / "static"
    files: list[str] = []
    for one in page.iterdir():
        suffix = one.name[one.name.rfind(".") :]
        if suffix in _TYPES:
            path = "/" if one.name == _PAGE else f"/static/{one.name}"
            files += [one.name] if one.name != _PAGE else []
            app.router.add_get(path, file(one.read_bytes(), _TYPES[suffix]))

    async def expose(request: web.Request) -> web.Response:
        return await packed(request, generate_latest(registry), CONTENT_TYPE_LATEST)

    async def describe(request: web.Request) -> web.Response:
        check_query(request.query, ())
        return await tell(request, document(version, files, secured=gate.digest is not None))

    app.router.add_get("/api/v1/openapi.json", describe)
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
    app.router.add_get("/api/v1/agents/{email}/channels", api.channels)
    app.router.add_get("/api/v1/agents/{email}/timeline", api.timeline)
    app.router.add_get("/api/v1/agents/{email}/settings", api.settings)
    app.router.add_get("/api/v1/timelines", api.timelines)
    app.router.add_get("/api/v1/history", api.history)
    app.router.add_post("/api/v1/agents/{email}/sync", api.sync)
    app.router.add_post("/api/v1/agents/{email}/pause", api.pause)
    app.router.add_post("/api/v1/agents/{email}/resume", api.resume)
    app.router.add_post("/api/v1/agents/{email}/skip", api.skip)
    app.router.add_post("/api/v1/agents/{email}/extend", api.extend)
    app.router.add_post("/api/v1/agents/{email}/forget", api.forget)
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

    # -- what is so --------------------------------------------------------------------------------------------------

    async def healthz(self, request: web.Request) -> web.Response:
        check_query(request.query, ("only",))
        only = request.query.get("only")
        if only not in (None, "loop"):
            raise Fault(400, "bad_request", "only can be loop: the database is not asked then")
        health = self._operator.health(of_loop=only is not None)
        return await tell(request, {"ok": health.ok, "reason": health.reason}, 200 if health.ok else 503)

    async def readyz(self, request: web.Request) -> web.Response:
        ready, reasons = self._operator.ready()
        return await tell(request, {"ready": ready, "reasons": reasons}, 200 if ready else 503)

    async def overview(self, request: web.Request) -> web.Response:
        check_query(request.query, ())
        return await tell(request, self._operator.overview())

    async def outage(self, request: web.Request) -> web.Response:
        check_query(request.query, ())
        return await tell(request, {"outage": self._operator.outage()})

    async def alarms(self, request: web.Request) -> web.Response:
        page = _page(request, PAGING, ("", "", ""))
        told, rest = page.take(self._operator.alarms(), lambda one: (one["since"], one["code"], one["who"]))
        return await tell(request, {"alarms": told, **rest})

    async def matching(self, request: web.Request) -> web.Response:
        page = _page(request, PAGING, (0, 0, ""))
        matching = self._operator.matching()
        users: list[tuple[Key, dict[str, Any]]] = [((0, one["id"], ""), one) for one in matching["users"]]
        accounts: list[tuple[Key, dict[str, Any]]] = [((1, 0, one["email"]), one) for one in matching["accounts"]]
        told, rest = page.take([*users, *accounts], lambda one: one[0])
        parts = {"users": [one for key, one in told if not key[0]], "accounts": [one for key, one in told if key[0]]}
        return await tell(request, {**matching, **parts, **rest})

    async def agents(self, request: web.Request) -> web.Response:
        page = _page(request, PAGING, ("",))
        self._feed.read()
        emails, rest = page.take(self._operator.emails(), lambda email: (email,))
        return await tell(request, {"agents": await self._views(emails), **rest})

    async def agent(self, request: web.Request) -> web.Response:
        check_query(request.query, ())
        self._feed.read()
        return await tell(request, self._known(_email(request)))

    async def channels(self, request: web.Request) -> web.Response:
        check_query(request.query, ())
        email = _email(request)
        self._known(email)
        return await tell(request, {"channels": self._operator.channels(email)})

    async def timeline(self, request: web.Request) -> web.Response:
        check_query(request.query, WINDOW)
        email = _email(request)
        self._known(email)
        found = await self._operator.timelines((email,), window_of(request.query))
        if not found:
            raise _unknown(email)
        return await tell(request, {"now": time_out(self._now()), **found[0]})

    async def timelines(self, request: web.Request) -> web.Response:
        page = _page(request, (*WINDOW, "brief", *PAGING), ("",))
        brief = flag_of(request.query, "brief")
        emails, rest = page.take(self._operator.emails(), lambda email: (email,))
        timelines = await self._operator.timelines(None if page.whole else emails, window_of(request.query))
        if brief:
            timelines = [_brief(one) for one in timelines]
        return await tell(request, {"now": time_out(self._now()), "timelines": timelines, **rest})

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
        return await tell(request, {"now": time_out(self._now()), **told})

    async def settings(self, request: web.Request) -> web.Response:
        email = _email(request)
        try:
            settings = await self._operator.settings(email, *window_query(request.query))
        except ValueError as error:
            raise Fault(400, "bad_request", str(error)) from None
        if settings is None:
            raise _unknown(email)
        return await tell(request, {"now": time_out(self._now()), **settings})

    async def explain(self, request: web.Request) -> web.Response:
        check_query(request.query, ("at",))
        at = instant_of(request.query["at"], "at") if "at" in request.query else None
        email = _email(request)
        self._known(email)
        return await tell(request, await self._operator.explain(email, at))

    # -- what is done to one agent -----------------------------------------------------------------------------------

    async def sync(self, request: web.Request) -> web.Response:
        return await self._deed(request, lambda email, _: self._operator.sync(email), timed=False)

    async def pause(self, request: web.Request) -> web.Response:
        return await self._deed(
            request, lambda email, order: self._operator.pause(email, order.until, order.actor, order.reason)
        )

    async def resume(self, request: web.Request) -> web.Response:
        return await self._deed(
            request, lambda email, order: self._operator.resume(email, order.actor, order.reason), timed=False
        )

    async def skip(self, request: web.Request) -> web.Response:
        return await self._deed(request, self._skip)

    async def _skip(self, email: str, order: Order) -> None:
        ahead = order.length if order.until is None or order.length is not None else order.until - self._now()
        if ahead is not None and ahead > MAX_BY_HAND_SECONDS:
            raise Fault(400, "bad_request", "a skip reaches 12 hours ahead at most: pause the agent for longer")
        await self._operator.skip(email, order.until, order.actor, order.reason)

    async def extend(self, request: web.Request) -> web.Response:
        return await self._deed(request, self._extend)

    async def _extend(self, email: str, order: Order) -> None:
        if order.until is None:
            raise Fault(400, "bad_request", 'say for how much longer: give for, such as "15m", or until')
        if order.length is not None and order.length > MAX_BY_HAND_SECONDS:
            raise Fault(400, "bad_request", "for is 12 hours at most")
        until = order.until if order.length is None else None
        await self._operator.extend(email, order.length, until, order.actor, order.reason)

    async def forget(self, request: web.Request) -> web.Response:
        email = _email(request)
        if "@" not in email or len(email) > MAX_EMAIL:
            raise Fault(400, "bad_request", f"{email[:MAX_TEXT]!r} is no e-mail address")
        order = await read_order(request, self._now())
        return await tell(request, await self._operator.forget(email, order.actor, order.reason))

    async def _deed(
        self, request: web.Request, do: Callable[[str, Order], Awaitable[None]], *, timed: bool = True
    ) -> web.Response:
        """Do it to the agent of the path, and answer the agent."""
        email = _email(request)
        self._known(email)
        await do(email, await read_order(request, self._now(), timed=timed))
        return await tell(request, self._known(email))

    # -- what is done to all -----------------------------------------------------------------------------------------

    async def sync_all(self, request: web.Request) -> web.Response:
        await read_order(request, self._now())
        await self._operator.sync(None)
        return await tell(request, {"agents": await self._views(self._operator.emails())})

    async def pause_all(self, request: web.Request) -> web.Response:
        order = await read_order(request, self._now(), timed=True)
        await self._operator.pause_all(order.until, order.actor, order.reason)
        return await tell(request, {"agents": await self._views(self._operator.emails())})

    async def resume_all(self, request: web.Request) -> web.Response:
        order = await read_order(request, self._now())
        resumed = await self._operator.resume_all(order.actor, order.reason)
        return await tell(request, {"resumed": resumed, "agents": await self._views(self._operator.emails())})

    async def release(self, request: web.Request) -> web.Response:
        order = await read_order(request, self._now())
        return await tell(request, await self._operator.release_all(order.actor, order.reason))

    async def _views(self, emails: Iterable[str]) -> list[dict[str, Any]]:
        """These agents; between some of them others have their turn."""
        found = []
        for number, email in enumerate(emails):
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            view = self._operator.agent(email)
            found += [view] if view is not None else []
        return found

    def _known(self, email: str) -> dict[str, Any]:
        agent = self._operator.agent(email)
        if agent is None:
            raise _unknown(email)
        return agent


_BRIEF = {
    "events": ("start", "end", "why_not"),
    "spans": ("start", "end", "wanted"),
    "set": ("start", "end", "availability_status", "actor"),
}


def _brief(timeline: dict[str, Any]) -> dict[str, Any]:
    """What a picture of it needs. Without ids, which are random: they are five sixths of what is left compressed."""
    return timeline | {
        name: [{key: one[key] for key in keys} for one in timeline[name]] for name, keys in _BRIEF.items()
    }


def _unknown(email: str) -> Fault:
    return Fault(404, "unknown_agent", f"there is no agent {email[:MAX_TEXT]}")


def _email(request: web.Request) -> str:
    """The agent's address as the settings have it: in small letters."""
    return request.match_info["email"].lower()


def _page(request: web.Request, known: Collection[str], shape: Key) -> Page:
    check_query(request.query, known)
    return Page.of(request.query, shape)
