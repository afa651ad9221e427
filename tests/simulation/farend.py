"""Both services without sockets: `Http` cut at its one function, and the daemon's public side called as aiohttp would.

Real are the sandboxes' handlers and the daemon's; made up are the wire between them and aiohttp's parsing of it.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable, Mapping
from typing import Any, Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from aiohttp import web
from multidict import CIMultiDict, MultiDict

from calsyncd.http import Answer, Http, _answer, _unavailable
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN, Postman
from calsyncd.sandbox.server import Refusal, SandboxServer
from tests.handed_in import hand_in

from .loop import LIFE, WORLD, Life, Loop
from .weather import Fate, false_answer

TOTAL_SECONDS = 15.0
READ_SECONDS = 10.0


class Asked:
    """A request as the sandboxes' handlers read it."""

    def __init__(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method = method
        self.raw_path = f"{path}?{query}" if query else path
        self.path = unquote(path)
        self.query = MultiDict(pair for part in query.split("&") for pair in _pairs(part))
        self.headers = CIMultiDict(headers)
        self.content_type = self.headers.get("Content-Type", "application/octet-stream").partition(";")[0].strip()
        self.match_info: Any = _NoMatch()
        self.transport = None
        self._body = body

    async def read(self) -> bytes:
        """The body."""
        return self._body

    async def post(self) -> MultiDict[str]:
        """The body, as a form."""
        return MultiDict(parse_qsl(self._body.decode(), keep_blank_values=True))


@functools.lru_cache(10_000)
def _pairs(part: str) -> list[tuple[str, str]]:
    return parse_qsl(part, keep_blank_values=True)


@functools.lru_cache(10_000)
def _quoted(value: str | bytes, safe: str, encoding: str, errors: str) -> str:
    # The daemon asks for the same fields again and again.
    return quote(value, safe, encoding, errors) if isinstance(value, str) else quote(value, safe)


class _NoMatch(dict[str, str]):
    http_exception: web.HTTPException | None = None


class FarEnd:
    """A service in memory; `answer` is what it says to a request at this instant."""

    def __init__(self, server: SandboxServer) -> None:
        self.server = server
        self._routes: dict[tuple[str, str], Any] = {}
        self._resources = list(server.app.router.resources())

    def answer(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> web.Response:
        """Handled to the end; nothing of these handlers waits."""
        asked = Asked(method, path, query, headers, body)
        handler = self._find(asked, method, path)
        return _at_once(self.server._answer(asked, handler, None))  # type: ignore[arg-type]

    def _find(self, asked: Asked, method: str, path: str) -> Any:
        found = self._routes.get((method, path))
        if found is None:
            found = self._routes[method, path] = self._resolve(method, path)
        handler, info, wrong = found
        asked.match_info = _NoMatch(info)
        asked.match_info.http_exception = wrong
        return handler

    def _resolve(self, method: str, path: str) -> Any:
        for resource in self._resources:
            matched = resource._match(path)  # type: ignore[attr-defined]
            if matched is None:
                continue
            for route in resource:
                if route.method in (method, "*"):
                    return route.handler, matched, None
        wrong = web.HTTPNotFound()

        async def missing(_: web.Request) -> web.Response:
            raise wrong

        return missing, {}, wrong


def _at_once(work: Any) -> web.Response:
    try:
        work.send(None)
    except StopIteration as end:
        response: web.Response = end.value
        return response
    except Refusal as refusal:  # pragma: no cover - the server answers these itself
        return refusal.response()
    raise AssertionError("a service's handler waits")


class Wire(Http):
    """In place of `calsyncd.http.Http`: the same promises, and no socket. `world` says who answers, and how."""

    world: Any

    def __init__(self, observer: Any, environ: Mapping[str, str]) -> None:
        super().__init__(observer, environ)
        self._life: Life | None = LIFE.get()

    async def __aenter__(self) -> Self:
        """Nothing is to be opened."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is to be closed."""

    async def request(
        self,
        service: str,
        route: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send once and read the whole answer, as the real one does."""
        world = self.world
        loop: Loop = world.loop
        if self._life is not None and self._life.dead:
            raise asyncio.CancelledError
        sent = dict(headers or {})
        raw = b""
        if form is not None:
            raw = urlencode(form).encode()
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        elif body is not None:
            raw = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        parts = urlsplit(url)
        text = "&".join(p for p in (parts.query, urlencode(query, quote_via=_quoted) if query else "") if p)
        began, status = loop.passed, None
        world.sent(service, method, parts.path, text, body)
        try:
            answered: asyncio.Future[tuple[int, Mapping[str, str], bytes]] = loop.create_future()
            fate = world.weather.fate(service, loop.passed, writes=method != "GET")
            send = _Sent(world, self._life, service, fate, answered, (method, parts.path, text, sent, raw))
            loop.call_later(fate.there, send.arrive, context=WORLD.copy())
            patience = loop.call_later(READ_SECONDS, send.give_up, context=WORLD.copy())
            try:
                status, answer_headers, payload = await answered
            finally:
                patience.cancel()
                send.gone = True
        finally:
            self._observer.request_done(service, route, status, loop.passed - began)
            if self._life is None or not self._life.dead:
                world.ended(service, method, parts.path, status)
        self._tell_date(service, answer_headers.get("date"))
        answer = _answer(service, status, answer_headers, payload)
        world.told(service, parts.path, sent, answer.data)
        return answer


class _Sent:
    """A request on its way."""

    __slots__ = ("_answered", "_asked", "_fate", "_life", "_service", "_world", "gone")

    def __init__(  # noqa: PLR0917 - a request is what it is
        self,
        world: Any,
        life: Life | None,
        service: str,
        fate: Fate,
        answered: asyncio.Future[tuple[int, Mapping[str, str], bytes]],
        asked: tuple[str, str, str, Mapping[str, str], bytes],
    ) -> None:
        self._world, self._life, self._service, self._fate = world, life, service, fate
        self._answered, self._asked = answered, asked
        self.gone = False

    def _fails(self, code: str, message: str, *, landed: bool = True) -> None:
        if not self._answered.done():
            self._answered.set_exception(_unavailable(self._service, code, message, landed=landed))

    def give_up(self) -> None:
        """Nothing was answered in time."""
        self._fails("timeout", f"{self._service} did not answer in time")

    def arrive(self) -> None:
        """What the service makes of it, whether or not anybody waits for that."""
        kind = self._fate.kind
        if kind == "unreachable":
            self._fails("unreachable", f"{self._service} cannot be reached: Connection refused", landed=False)
            return
        if kind == "lost":
            return
        if kind in ("fine", "slow", "landed", "late", "cut", "half", "503 landed"):
            response = self._world.handle(self._service, *self._asked)
            status, raw = response.status, response.body if isinstance(response.body, bytes) else b""
            headers = {name.lower(): value for name, value in response.headers.items()}
        else:
            status, raw, extra = false_answer(kind)
            headers = {name.lower(): value for name, value in extra.items()}
        if kind in ("landed", "late") or self.gone:
            return
        if kind == "cut":
            self._fails("broken", f"{self._service}'s answer broke off: ServerDisconnectedError")
            return
        if kind == "half":
            self._fails("broken", f"{self._service}'s answer broke off: ClientPayloadError")
            return
        if kind == "503 landed":
            status, raw = 503, b"{}"
        loop: Loop = self._world.loop
        loop.call_later(self._fate.back, self._come_back, (status, headers, raw), context=WORLD.copy())

    def _come_back(self, answer: tuple[int, Mapping[str, str], bytes]) -> None:
        if not self._answered.done():
            self._answered.set_result(answer)


class Post(Postman):
    """Both services' messages to the daemon; `fates` are drawn by the world."""

    def __init__(self, deliver: Callable[[str, Mapping[str, str], bytes, float], Any]) -> None:
        super().__init__()
        self._deliver = deliver

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> int | None:
        """Send it on its way."""
        assert url.startswith(PUBLIC_ORIGIN)
        status: int | None = await self._deliver(url.removeprefix(PUBLIC_ORIGIN), headers, body, seconds)
        return status


async def ask_app(app: web.Application, method: str, path: str, headers: Mapping[str, str], body: bytes) -> int:
    """What an application answers, as if its server had parsed the request."""
    fields = {"Host": "demo.calsyncd.test", "Content-Length": str(len(body)), **headers}
    return (await hand_in(app, method, path, fields, body)).status
