"""The same world through real sockets: aiohttp's client and servers on loopback, in the world's one loop.

Time passes only when nothing is on its way: each request carries a number, which is on its way from when it is sent to
when its handler has read it, and from when that has answered to when the client has read the answer.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from calsyncd.http import Answer, Http
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN, Postman
from calsyncd.sandbox.server import SandboxServer
from calsyncd.web.server import serve

from .loop import LIFE, Life
from .weather import FaultyServer
from .world import PUBLIC_LISTEN, World

NUMBER = "X-On-Its-Way"


class SocketWorld(World):
    """As `World`, in which requests and messages go through sockets."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.loop.on_sockets = True
        self._open: set[str] = set()
        self._of_life: set[str] = set()
        self._numbers = map(str, itertools.count(1))
        self._real_serve = serve
        self._address: str | None = None
        self._post = Postman()
        services: dict[str, SandboxServer] = {"google": self.google, "aircall": self.aircall}
        for name, server in services.items():
            server._port = 0
            server.app.middlewares.insert(0, self._arrives(name))
            server.faults = FaultyServer(name, self.weather, self.loop.time)  # type: ignore[assignment]

    def _http(self) -> type[Http]:
        return type("Traced", (Traced,), {"world": self})

    async def _begin(self) -> None:
        await self._post.__aenter__()
        await self.google.start()
        await self.aircall.start()

    async def _close(self) -> None:
        await self._post.__aexit__(None, None, None)
        await self.google.stop()
        await self.aircall.stop()

    def _arrives(self, service: str) -> Any:
        @web.middleware
        async def arrives(request: web.Request, handler: Handler) -> web.StreamResponse:
            path = request.path
            await request.read()
            number = request.headers.get(NUMBER, "")
            self.loop.transit.discard(number)
            if service == "google" and path.endswith("/events") and "pageToken" not in request.query:
                person = self._person_of(request.headers)
                if person is not None:
                    self._listing[person.email] = person.meetings
            try:
                return await handler(request)
            finally:
                self._note_updates()
                if number in self._open:
                    self.loop.transit.add(number)

        return arrives

    def sends(self) -> str:
        """The number of a request that leaves now."""
        number = next(self._numbers)
        self._open.add(number)
        self.loop.transit.add(number)
        return number

    def life_sends(self) -> str:
        """The same for a request of the daemon's, which nobody waits for any more once it is killed."""
        number = self.sends()
        self._of_life.add(number)
        return number

    def has(self, number: str) -> None:
        """Its answer is here, or nobody waits for it any more."""
        self._of_life.discard(number)
        self._open.discard(number)
        self.loop.transit.discard(number)

    @asynccontextmanager
    async def _serve(
        self,
        app: web.Application,
        listen: str,
        **options: Any,
    ) -> AsyncIterator[tuple[str, ...]]:
        life = LIFE.get()
        assert life is not None
        is_public = listen == PUBLIC_LISTEN
        life.apps[listen] = app
        if is_public:
            app.middlewares.insert(0, self._message_arrives())
        # A free port is taken.
        async with self._real_serve(app, "127.0.0.1:0", **options) as addresses:
            if is_public:
                self._post.map(PUBLIC_ORIGIN, f"http://{addresses[0]}")
            try:
                yield addresses
            finally:
                del life.apps[listen]
                if is_public and not life.dead:
                    self._post.map(PUBLIC_ORIGIN, None)

    def _message_arrives(self) -> Any:
        @web.middleware
        async def arrives(request: web.Request, handler: Handler) -> web.StreamResponse:
            number = request.headers.get(NUMBER, "")
            try:
                # Its body is of one piece with its header, and is read by the handler itself.
                return await handler(request)
            finally:
                if number in self._open:
                    self.loop.transit.add(number)

        return arrives

    async def _hand_in(self, path: str, headers: Mapping[str, str], body: bytes, seconds: float) -> int | None:
        number = self.sends()
        try:
            status = await self._post.post(PUBLIC_ORIGIN + path, {**headers, NUMBER: number}, body, seconds)
        finally:
            self.has(number)
        self.count("messages to the daemon")
        self.note(f"  message {path}: {status}")
        return status

    def kill(self, down: float | None = -1.0) -> None:
        """All connections end with the process."""
        alive = self.life is not None
        super().kill(down)
        if alive:
            for number in list(self._of_life):
                self.has(number)
            self._post.map(PUBLIC_ORIGIN, None)
            for transport in list(self.loop._transports.values()):  # type: ignore[attr-defined]
                if getattr(transport.get_protocol(), "transport", transport) is None:
                    # aiohttp's server does not bear a connection that ends before it has begun.
                    self.loop.call_soon(self.loop.call_soon, transport.abort)
                else:
                    transport.abort()


class Traced(Http):
    """The real `Http`; its requests are noted, and carry a number."""

    world: SocketWorld

    def __init__(self, observer: Any, environ: Mapping[str, str]) -> None:
        super().__init__(observer, environ)
        self._life: Life | None = LIFE.get()

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
        """As the real one."""
        if self._life is not None and self._life.dead:
            raise asyncio.CancelledError
        world, path = self.world, urlsplit(url).path
        parts = urlsplit(url)
        text = "&".join(part for part in (parts.query, urlencode(query, quote_via=quote) if query else "") if part)
        world.sent(service, method, path, text, body)
        number = world.life_sends()
        status: int | None = None
        try:
            answer = await super().request(
                service,
                route,
                method,
                url,
                headers={**(headers or {}), NUMBER: number},
                query=query,
                body=body,
                form=form,
            )
            status = answer.status
        finally:
            world.has(number)
            if self._life is None or not self._life.dead:
                world.ended(service, method, path, status)
        world.told(service, path, headers or {}, answer.data)
        return answer
