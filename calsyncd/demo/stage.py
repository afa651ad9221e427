"""The demo's page: the daemon's own, with a row of buttons for each agent, and time in the spectator's hand.

It listens on loopback, passes everything on to the daemon but `/demo/`, and adds its style and script to the page.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from importlib import resources
from typing import Any

import aiohttp
from aiohttp import web

from calsyncd.demo.day import Person
from calsyncd.demo.hands import ACTS, Hands, NotPossible
from calsyncd.demo.pace import Pace

RATES = (0.0, 1.0, 3.0, 10.0)
WINDOW_SECONDS = 180
SILENT = 502
"""What is answered while the daemon is not."""

_WAITING = '<!doctype html><meta http-equiv="refresh" content="1"><title>calsyncd</title><p>The daemon is starting…'

_TYPES = {".css": "text/css", ".js": "text/javascript"}
_STREAM = "/api/v1/stream"
_PATIENCE, _NO_LIMIT = aiohttp.ClientTimeout(total=90), aiohttp.ClientTimeout(total=None)
_LOOPBACK = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_HOP_BY_HOP = frozenset({"connection", "content-length", "keep-alive", "server", "transfer-encoding"})
_PASSED = frozenset({"accept", "accept-encoding", "content-type", "if-none-match", "origin", "sec-fetch-site"})


class Stage:
    """The page's requests. `set_rate` makes time go at another pace, in all processes."""

    def __init__(
        self, daemon: str, people: tuple[Person, ...], hands: Hands, pace: Pace, set_rate: Callable[[float], None]
    ) -> None:
        self._daemon = daemon
        self._people = {person.email: person for person in people}
        self._hands = hands
        self._pace = pace
        self._set_rate = set_rate
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Answer on a free port of loopback until the block ends; yields the URL."""
        app = web.Application(middlewares=[_guard])
        app.router.add_get("/demo/state", self._state)
        app.router.add_post("/demo/pace", self._change_pace)
        app.router.add_post("/demo/act", self._act)
        for file in (resources.files("calsyncd.demo") / "static").iterdir():
            suffix = file.name[file.name.rfind(".") :]
            if suffix in _TYPES:
                app.router.add_get(f"/demo/{file.name}", _file(file.read_bytes(), _TYPES[suffix]))
        app.router.add_get("/", self._page)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        async with aiohttp.ClientSession(trust_env=False, auto_decompress=False) as self._session:
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
            finally:
                await runner.cleanup()

    async def _page(self, request: web.Request) -> web.StreamResponse:
        # Not compressed, and whole: it is added to.
        answer = await self._pass_on(request, {"Accept-Encoding": "identity"}, without=frozenset({"if-none-match"}))
        if answer.status == SILENT:
            return web.Response(status=503, text=_WAITING, content_type="text/html")
        if answer.status == 200 and isinstance(answer, web.Response) and isinstance(answer.body, bytes):
            answer.headers.popall("ETag", None)
            extra = b'<link rel="stylesheet" href="/demo/demo.css"><script type="module" src="/demo/demo.js"></script>'
            body = answer.body.replace(b"</head>", extra + b"</head>", 1)
            answer.body = body.replace(b"<body", f'<body data-window="{WINDOW_SECONDS}"'.encode(), 1)
        return answer

    async def _pass_on(
        self, request: web.Request, more: Mapping[str, str] | None = None, without: frozenset[str] = frozenset()
    ) -> web.StreamResponse:
        assert self._session is not None  # noqa: S101 - nothing is asked before `listening`
        headers = {name: value for name, value in request.headers.items() if name.lower() in _PASSED - without}
        headers.update(more or {})
        if "Origin" in headers:
            # Ours was compared by the guard; the daemon compares it with its own address.
            headers["Origin"] = self._daemon
        try:
            async with self._session.request(
                request.method,
                self._daemon + request.raw_path,
                headers=headers,
                data=await request.read(),
                allow_redirects=False,
                timeout=_NO_LIMIT if request.path == _STREAM else _PATIENCE,
            ) as answer:
                kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
                if answer.content_type == "text/event-stream":
                    return await self._carry(request, answer, kept)
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)
        except aiohttp.ClientError:
            return web.Response(status=SILENT, text="The daemon does not answer yet, or not any more.\n")

    async def _carry(
        self, request: web.Request, answer: aiohttp.ClientResponse, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """Hand on what the daemon tells when it tells it, until one of both is gone."""
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            async for piece in answer.content.iter_any():
                await response.write(piece)
        return response

    async def _state(self, _: web.Request) -> web.Response:
        return self._told()

    def _told(self) -> web.Response:
        now = self._pace.now()
        people = []
        for person in self._people.values():
            target, echo = self._hands.target(person.email, now), self._hands.echo(person.email)
            people.append(
                {
                    "email": person.email,
                    "name": person.name,
                    "case": person.case,
                    "status": self._hands.status(person.email),
                    "echo": None if echo is None else asdict(echo),
                    "target": None if target is None else {**asdict(target), "running": target.start <= now},
                }
            )
        return web.json_response({"now": now, "rate": self._pace.rate, "rates": RATES, "people": people})

    async def _change_pace(self, request: web.Request) -> web.Response:
        rate = (await _json(request)).get("rate")
        if rate not in RATES:
            return _refused(400, f"the pace must be one of {RATES}")
        self._set_rate(float(rate))
        return self._told()

    async def _act(self, request: web.Request) -> web.Response:
        body = await _json(request)
        email = str(body.get("email"))
        if email not in self._people:
            return _refused(404, "there is no such agent")
        what = body.get("do")
        if what not in ACTS:
            return _refused(400, f"what can be done is {', '.join(ACTS)}")
        if not self._pace.rate:
            # Nothing could come of it while time stands still.
            self._set_rate(1.0)
        try:
            self._hands.act(email, what, self._pace.now())
        except NotPossible as reason:
            return _refused(409, str(reason))
        return self._told()


@web.middleware
async def _guard(request: web.Request, handler: Any) -> web.StreamResponse:
    """For pages of this machine's browser only, and no page but our own may change anything."""
    host = request.headers.get("Host", "")
    origin = request.headers.get("Origin", f"http://{host}")
    if not _LOOPBACK.fullmatch(host) or (request.method != "GET" and origin != f"http://{host}"):
        return _refused(403, "this page listens for this machine only")
    response: web.StreamResponse = await handler(request)
    return response


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {}


def _refused(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status)


def _file(content: bytes, content_type: str) -> Callable[[web.Request], Any]:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(body=content, content_type=content_type, charset="utf-8")

    return handle
