"""A server on 127.0.0.1 that records what it is asked and fails when told to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from calsyncd.sandbox.faults import Fault, Faults, Json

_KEPT = 50_000
_NOT_RECORDED = frozenset({"authorization"})

Handler = Callable[[web.Request], Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One request and its answer; `status` is None where the connection was cut.

    `path` is as it came, percent-encoded. The Authorization header is not kept. `answer_headers` have lower-case names.
    """

    at: float
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    status: int | None
    answer: bytes = field(repr=False)
    faulty: bool = False
    answer_headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def param(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return next((value for key, value in self.query if key == name), None)

    @property
    def json(self) -> Any:
        """The request's body, parsed; None where it is empty."""
        return json.loads(self.body) if self.body else None

    @property
    def answer_json(self) -> Any:
        """The answer's body, parsed; None where it is empty."""
        return json.loads(self.answer) if self.answer else None


class Refusal(Exception):
    """An answer that ends the handling of a request at once."""

    def __init__(self, status: int, body: Json | None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"refused with {status}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})

    def response(self) -> web.Response:
        """The answer itself."""
        if self.body is None:
            return web.Response(status=self.status, headers=self.headers)
        return web.json_response(self.body, status=self.status, headers=self.headers)


class SandboxServer:
    """What the two services share: loopback, records, faults, the Date header.

    `clock_skew` is added to the Date header of every answer; `crashes` holds this program's own faults, which should
    be none. Only 127.0.0.1 is ever bound.
    """

    def __init__(self, now: Callable[[], float], shape: Callable[[int, str | None], Json]) -> None:
        self.now = now
        self.requests: list[Request] = []
        self.crashes: list[Exception] = []
        self.faults = Faults(shape)
        self.fail = self.faults.fail
        self.clock_skew = 0.0
        self.app = web.Application(middlewares=[self._around], client_max_size=1 << 20)
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def origin(self) -> str:
        """Where the server listens, as `http://127.0.0.1:port`."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self, port: int = 0) -> None:
        """Listen on the port, or on a free one; a second start uses the first one's port again."""
        self._runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port or self._port)
        await site.start()
        self._port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def before(self, request: web.Request) -> None:
        """What is checked before the faults, for every request; refuses by raising."""

    def decorate(self, response: web.Response) -> None:
        """Headers which a service puts on all its answers."""

    @web.middleware
    async def _around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        at = self.now()
        body = await request.read()
        fault = self.faults.take(f"{request.method} {request.raw_path}")
        if fault is not None and fault.delay:
            await asyncio.sleep(fault.delay)
        response = await self._answer(request, handler, fault)
        cut = fault is not None and fault.cut
        self._record(request, body, at, None if cut else response, faulty=fault is not None)
        if cut:
            _reset(request)
        if fault is not None and fault.truncate:
            return await _half(request, response)
        return response

    async def _answer(self, request: web.Request, handler: Handler, fault: Fault | None) -> web.Response:
        response = web.Response()
        if fault is None or fault.handles:
            try:
                self.before(request)
                response = await handler(request)
            except Refusal as refusal:
                response = refusal.response()
            except web.HTTPException as problem:
                response = self.unrouted(problem.status)
            except Exception as err:
                self.crashes.append(err)
                raise
        if fault is not None and fault.answers:
            response = web.Response(
                status=fault.status or response.status,
                body=fault.body,
                headers={"Content-Type": fault.content_type},
            )
        if fault is not None:
            response.headers.update(fault.headers)
        response.headers.setdefault("Date", formatdate(self.now() + self.clock_skew, usegmt=True))
        self.decorate(response)
        return response

    def unrouted(self, status: int) -> web.Response:
        """The answer to a path or verb that the service does not have."""
        return web.Response(status=status)

    def _record(
        self, request: web.Request, body: bytes, at: float, response: web.Response | None, *, faulty: bool
    ) -> None:
        path, _, query = request.raw_path.partition("?")
        answer = response.body if response is not None else b""
        self.requests.append(
            Request(
                at=at,
                method=request.method,
                path=path,
                query=tuple(parse_qsl(query, keep_blank_values=True)),
                headers={k: v for k, v in request.headers.items() if k.lower() not in _NOT_RECORDED},
                body=body,
                status=None if response is None else response.status,
                answer=answer if isinstance(answer, bytes) else b"",
                faulty=faulty,
                answer_headers={} if response is None else {k.lower(): v for k, v in response.headers.items()},
            )
        )
        if len(self.requests) > _KEPT:
            del self.requests[: _KEPT // 2]


def _reset(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _half(request: web.Request, response: web.Response) -> web.StreamResponse:
    body = response.body if isinstance(response.body, bytes) else b""
    partial = web.StreamResponse(status=response.status, headers=response.headers)
    partial.content_length = max(len(body), 2)
    # Whoever asked may be gone.
    with contextlib.suppress(ConnectionError):
        await partial.prepare(request)
        await partial.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return partial
