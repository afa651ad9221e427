"""What operators ask: the page, the API, metrics, readiness.

It listens on loopback, where every web page that the operator's browser shows can send requests too. So the Host must
be a name of this machine (a page elsewhere may have its name resolve to 127.0.0.1), and what changes something must not
come from another origin and must carry JSON or nothing. With a token, the token says who may ask, and the Host is free.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import re
import socket
from datetime import UTC, date, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from calsyncd.errors import Refused, Unavailable, UserError
from calsyncd.web.history import MAX_WHOLE, history_query, window_query
from calsyncd.web.server import SERVER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aiohttp.typedefs import Handler, Middleware

    from calsyncd.core.moments import Moment
    from calsyncd.core.past import Query
    from calsyncd.web.public import Health

MAX_BODY = 16 * 1024
BODY_SECONDS = 10.0
MAX_TEXT = 200
AT_ONCE = 20
"""So many of a long list's entries are written before others have their turn."""
MAX_PAUSE_SECONDS = 366 * 86400.0
MAX_BY_HAND_SECONDS = 12 * 3600.0
MAX_WINDOW_SECONDS = 31 * 86400.0

_PAGE = "index.html"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS = {
    "Server": SERVER,
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_YEARS = (1970, 9000)
_SAFE = frozenset({"GET", "HEAD"})
_LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|\[::1\]", re.IGNORECASE)
_DURATION = re.compile(r"([0-9]{1,9})(s|m|h|d|w)?")
_UNITS = {None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


class Operator(Protocol):
    """What the daemon does for operators; agents are dictionaries of the API's shape."""

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

    async def explain(self, email: str, at: float | None) -> dict[str, Any]:
        """Why the agent is set as they are, were or will be at an instant, now if None."""

    def health(self) -> Health:
        """Whether the loop turns and the database answers."""

    def ready(self) -> tuple[bool, list[str]]:
        """Whether all is done that should be; if not, why, in sentences."""


def admin_app(
    *,
    operator: Operator,
    registry: CollectorRegistry,
    now: Callable[[], float],
    token: str | None = None,
) -> web.Application:
    """The application behind `server.admin_listen`; `now` is epoch seconds.

    With a `token`, every request but `/healthz` must carry it: as a bearer, or as the password of Basic authentication.
    """
    api = _Api(operator, now)
    app = web.Application(client_max_size=MAX_BODY, middlewares=[_dressed, _guarded(token)])
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
    app.router.add_get("/api/v1/outage", api.outage)
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


class _Fault(Exception):
    """A request that is answered with an error; the message is for the person who sent it."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers


class _Api:
    """The handlers: read the request, ask the operator, answer what is so afterwards."""

    def __init__(self, operator: Operator, now: Callable[[], float]) -> None:
        self._operator = operator
        self._now = now

    async def healthz(self, _: web.Request) -> web.Response:
        health = self._operator.health()
        return _json({"ok": health.ok, "reason": health.reason}, 200 if health.ok else 503)

    async def readyz(self, _: web.Request) -> web.Response:
        ready, reasons = self._operator.ready()
        return _json({"ready": ready, "reasons": reasons}, 200 if ready else 503)

    async def outage(self, _: web.Request) -> web.Response:
        return _json({"outage": self._operator.outage()})

    async def agents(self, _: web.Request) -> web.Response:
        return _json({"agents": self._operator.agents()})

    async def agent(self, request: web.Request) -> web.Response:
        return _json(self._known(_email(request)))

    async def timeline(self, request: web.Request) -> web.Response:
        email = _email(request)
        self._known(email)
        (timeline,) = await self._operator.timelines(email, _window(request.query))
        return _json({"now": _time_out(self._now()), **timeline})

    async def timelines(self, request: web.Request) -> web.Response:
        timelines = await self._operator.timelines(None, _window(request.query))
        text = f'{{"now": "{_time_out(self._now())}", "timelines": [{await _pieces(timelines)}]}}'
        return web.Response(text=text, content_type="application/json")

    async def history(self, request: web.Request) -> web.Response:
        try:
            query = history_query(request.query)
            told = await self._operator.history(query, query.limit or MAX_WHOLE)
        except ValueError as error:
            raise _Fault(400, "bad_request", str(error)) from None
        if told is None:
            raise _unknown(query.agent or "")
        if query.limit is None and told["cursor"] is not None:
            raise _Fault(
                400, "too_long", f"these are over {MAX_WHOLE} records: ask for pages (limit, cursor) or a shorter time"
            )
        pieces = await _pieces(told.pop("history"))
        rest = json.dumps({"now": _time_out(self._now()), **told})[1:]
        return web.Response(text=f'{{"history": [{pieces}], {rest}', content_type="application/json")

    async def settings(self, request: web.Request) -> web.Response:
        email = _email(request)
        try:
            settings = await self._operator.settings(email, *window_query(request.query))
        except ValueError as error:
            raise _Fault(400, "bad_request", str(error)) from None
        if settings is None:
            raise _unknown(email)
        return _json({"now": _time_out(self._now()), **settings})

    async def sync(self, request: web.Request) -> web.Response:
        email = _email(request)
        self._known(email)
        await _body(request, frozenset({"actor", "reason"}))
        await self._operator.sync(email)
        return _json(self._known(email))

    async def sync_all(self, request: web.Request) -> web.Response:
        await _body(request, frozenset({"actor", "reason"}))
        await self._operator.sync(None)
        return _json({"agents": self._operator.agents()})

    async def pause(self, request: web.Request) -> web.Response:
        email = _email(request)
        self._known(email)
        body = await _body(request, frozenset({"for", "until", "reason", "actor"}))
        actor, reason = _who(body)
        await self._operator.pause(email, _until(body, self._now()), actor, reason)
        return _json(self._known(email))

    async def pause_all(self, request: web.Request) -> web.Response:
        body = await _body(request, frozenset({"for", "until", "reason", "actor"}))
        actor, reason = _who(body)
        await self._operator.pause_all(_until(body, self._now()), actor, reason)
        return _json({"agents": self._operator.agents()})

    async def resume(self, request: web.Request) -> web.Response:
        email = _email(request)
        self._known(email)
        actor, reason = _who(await _body(request, frozenset({"reason", "actor"})))
        await self._operator.resume(email, actor, reason)
        return _json(self._known(email))

    async def skip(self, request: web.Request) -> web.Response:
        email = _email(request)
        self._known(email)
        body = await _body(request, frozenset({"for", "until", "reason", "actor"}))
        actor, reason = _who(body)
        until = _until(body, self._now())
        if until is not None and until > self._now() + MAX_BY_HAND_SECONDS:
            raise _Fault(400, "bad_request", "a skip reaches 12 hours ahead at most: pause the agent for longer")
        await self._operator.skip(email, until, actor, reason)
        return _json(self._known(email))

    async def extend(self, request: web.Request) -> web.Response:
        email = _email(request)
        self._known(email)
        body = await _body(request, frozenset({"for", "until", "reason", "actor"}))
        actor, reason = _who(body)
        until = _until(body, self._now())
        if until is None:
            raise _Fault(400, "bad_request", 'say for how much longer: give for, such as "15m", or until')
        length = None if body.get("for") is None else _seconds(body["for"])
        if length is not None and length > MAX_BY_HAND_SECONDS:
            raise _Fault(400, "bad_request", "for is 12 hours at most")
        await self._operator.extend(email, length, until if length is None else None, actor, reason)
        return _json(self._known(email))

    async def resume_all(self, request: web.Request) -> web.Response:
        actor, reason = _who(await _body(request, frozenset({"reason", "actor"})))
        resumed = await self._operator.resume_all(actor, reason)
        return _json({"resumed": resumed, "agents": self._operator.agents()})

    async def release(self, request: web.Request) -> web.Response:
        actor, reason = _who(await _body(request, frozenset({"actor", "reason"})))
        return _json(await self._operator.release_all(actor, reason))

    async def explain(self, request: web.Request) -> web.Response:
        for name in request.query:
            if name != "at":
                raise _Fault(400, "bad_request", f"{name[:MAX_TEXT]!r} is not known here; known: at")
        at = _instant(request.query["at"], "at") if "at" in request.query else None
        email = _email(request)
        self._known(email)
        return _json(await self._operator.explain(email, at))

    def _known(self, email: str) -> dict[str, Any]:
        agent = self._operator.agent(email)
        if agent is None:
            raise _unknown(email)
        return agent


def _unknown(email: str) -> _Fault:
    return _Fault(404, "unknown_agent", f"there is no agent {email[:MAX_TEXT]}")


async def _pieces(entries: list[dict[str, Any]]) -> str:
    """A long list's entries as JSON, between which others have their turn."""
    pieces = []
    for number, entry in enumerate(entries):
        if number % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
        pieces.append(json.dumps(entry))
    return ", ".join(pieces)


def _email(request: web.Request) -> str:
    return request.match_info["email"]


async def _body(request: web.Request, keys: frozenset[str]) -> dict[str, Any]:
    """The JSON object sent, or an empty one when nothing was."""
    if not request.body_exists:
        return {}
    if request.content_type != "application/json":
        raise _Fault(415, "unsupported_media_type", "the body must be application/json")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = await request.read()
    except TimeoutError:
        raise _Fault(408, "timeout", "the body did not come in time") from None
    except web.RequestPayloadError:
        raise _Fault(400, "bad_request", "the body is not what its headers say") from None
    if not raw:
        return {}
    try:
        body = json.loads(raw.decode())
    except (ValueError, RecursionError):
        raise _Fault(400, "bad_request", "the body is not JSON") from None
    if not isinstance(body, dict):
        raise _Fault(400, "bad_request", "the body must be a JSON object")
    for key in body:
        if key not in keys:
            allowed = ", ".join(sorted(keys))
            raise _Fault(400, "bad_request", f"{key[:MAX_TEXT]!r} is not known here; known: {allowed}")
    return body


def _text(body: dict[str, Any], key: str, default: str) -> str:
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise _Fault(400, "bad_request", f"{key} must be a text of at most {MAX_TEXT} characters")
    return value


def _who(body: dict[str, Any]) -> tuple[str, str]:
    """Who asks, and why."""
    return _text(body, "actor", "operator") or "operator", _text(body, "reason", "")


def _until(body: dict[str, Any], now: float) -> float | None:
    """The instant that `for` or `until` mean; None when neither is given."""
    length, at = body.get("for"), body.get("until")
    if length is not None and at is not None:
        raise _Fault(400, "bad_request", "give either for or until, not both")
    if length is not None:
        until = now + _seconds(length)
    elif at is not None:
        until = _instant(at)
    else:
        return None
    if not now < until <= now + MAX_PAUSE_SECONDS:
        raise _Fault(400, "bad_request", "it must end in the future, within a year")
    return until


def _seconds(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(min(value, 2 * MAX_PAUSE_SECONDS))
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise _Fault(400, "bad_request", 'for must be a duration such as "90s", "15m", "2h" or "7d", or seconds')
    return int(match[1]) * _UNITS[match[2]]


def _window(query: Mapping[str, str]) -> tuple[float, float] | date | None:
    """What `from` and `to`, or `day`, ask for; None when nothing is given."""
    for name in query:
        if name not in {"day", "from", "to"}:
            raise _Fault(400, "bad_request", f"{name[:MAX_TEXT]!r} is not known here; known: day, from, to")
    if ("from" in query) != ("to" in query) or ("from" in query and "day" in query):
        raise _Fault(400, "bad_request", "give from and to, or day, or nothing for today")
    if "from" in query:
        low, high = _instant(query["from"], "from"), _instant(query["to"], "to")
        if not low < high <= low + MAX_WINDOW_SECONDS:
            raise _Fault(400, "bad_request", "to must be later than from, by 31 days at most")
        return low, high
    if "day" not in query:
        return None
    try:
        day = date.fromisoformat(query["day"])
    except ValueError:
        day = None
    if day is None or not _YEARS[0] <= day.year <= _YEARS[1]:
        raise _Fault(400, "bad_request", 'day must be a date such as "2026-11-23"')
    return day


def _instant(value: object, name: str = "until") -> float:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise _Fault(400, "bad_request", f'{name} must be a time with its offset such as "2026-11-23T10:30:00Z"')
    try:
        instant = at.astimezone(UTC)
    except OverflowError:
        instant = None
    if instant is None or not _YEARS[0] <= instant.year <= _YEARS[1]:
        raise _Fault(400, "bad_request", f"{name} is out of bounds")
    return instant.timestamp()


def _time_out(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _file(content: bytes, content_type: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(body=content, content_type=content_type, charset="utf-8")

    return handle


def _json(value: object, status: int = 200) -> web.Response:
    return web.json_response(value, status=status)


def _error(status: int, code: str, message: str) -> web.Response:
    return _json({"error": {"code": code, "message": message}}, status)


@web.middleware
async def _dressed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as JSON, and the headers that every answer carries."""
    response: web.StreamResponse
    try:
        response = await handler(request)
    except _Fault as fault:
        response = _error(fault.status, fault.code, str(fault))
        response.headers.update(fault.headers or {})
    except web.HTTPException as answer:
        response = _error(answer.status, _CODES.get(answer.status, "error"), answer.reason)
        if "Allow" in answer.headers:
            response.headers["Allow"] = answer.headers["Allow"]
    except UserError as err:
        response = _error(409, "conflict", str(err))
    except (Refused, Unavailable) as err:
        response = _error(502 if isinstance(err, Refused) else 503, err.code, str(err))
    for name, value in _HEADERS.items():
        response.headers[name] = value
    return response


def _guarded(token: str | None) -> Middleware:
    digest = None if token is None else hashlib.sha256(token.encode()).digest()

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if digest is None:
            _check_host(request)
        elif request.path != "/healthz" and not _carries(request, digest):
            raise _Fault(
                401,
                "unauthorized",
                "the admin token is needed, as a bearer or as a password",
                {"WWW-Authenticate": 'Basic realm="calsyncd", charset="UTF-8"'},
            )
        if request.method not in _SAFE:
            _check_origin(request)
        return await handler(request)

    return guard


def _check_host(request: web.Request) -> None:
    transport = request.transport
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is not None and sock.family == socket.AF_UNIX:
        return
    hosts = request.headers.getall("Host", [])
    if len(hosts) != 1 or not _LOOPBACK.fullmatch(_without_port(hosts[0])):
        raise _Fault(
            403, "foreign_host", "this listens for this machine only: ask for localhost, or set an admin token"
        )


def _without_port(host: str) -> str:
    return re.sub(r":[0-9]{1,5}\Z", "", host)


def _check_origin(request: web.Request) -> None:
    """No page but our own may change anything; programs send neither header."""
    if request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
        raise _Fault(403, "foreign_origin", "this was sent by another site's page")
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("Host", "").lower():
        raise _Fault(403, "foreign_origin", "this was sent by another site's page")


def _carries(request: web.Request, digest: bytes) -> bool:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    given = value.strip()
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            given = ""
    elif scheme.lower() != "bearer":
        given = ""
    return hmac.compare_digest(hashlib.sha256(given.encode(errors="surrogateescape")).digest(), digest)
