"""What changes, told to whoever listens as server-sent events.

Theory. The daemon says which agents it has judged and whose timeline is another; that marks names and does nothing
else, and nothing at all while nobody listens. A moment later, and at most about once a second, one turn makes the
marked agents' views, tells those that are others than before, and hands the same bytes to every listener. Each second
a few of the other agents are compared too: what depends on the time alone is seen by that. Nobody is told what they
missed: whoever connects is greeted once everything from then on is watched, and loads the rest afresh. A listener who
does not take what is sent is cut, and will connect anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web

from calsyncd.core.hours import zone_of
from calsyncd.web.asked import Fault, check_query, time_out
from calsyncd.web.gate import check_origin, dress
from calsyncd.web.server import keep_open

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import date

MAX_LISTENERS = 32
RETRY_AFTER_SECONDS = 10
HEARTBEAT_SECONDS = 10.0
SLOW_SECONDS = 10.0
MAX_WAITING = 8
"""So many events may wait for a listener who is slow to take them."""

GATHER_SECONDS = 0.05
"""What belongs together comes together: so long after the first of it is waited for the others."""
PACE_SECONDS = 0.8
"""At most once in this time changes are told: what has come right after is seen within the second."""
SWEEP_SECONDS = 1.0
SWEEPS = 10
"""In so many sweeps every agent is compared."""
AT_ONCE = 20
"""So many agents are looked at before others have their turn."""
MAX_NAMED = 100
"""Where more timelines have changed at once, they are not named one by one."""

_HEARTBEAT = b": still here\n\n"


class Source(Protocol):
    """What is told; all of it from memory, in the API's shapes."""

    def emails(self) -> list[str]:
        """Who is followed."""

    def agent(self, email: str) -> dict[str, Any] | None:
        """One agent."""

    def overview(self) -> dict[str, Any]:
        """The company at a glance; all but its `now` is compared."""


class _Listener:
    """One connection, which `cut` ends, and what is still to be written to it."""

    def __init__(self, cut: Callable[[], None]) -> None:
        self._cut = cut
        self._waiting: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._over = False
        self._failed: BaseException | None = None

    def give(self, event: bytes) -> None:
        """Write this as soon as the others are written; a listener with too many of them is cut."""
        if len(self._waiting) >= MAX_WAITING:
            self.end(ConnectionError("the stream is not read"))
            # A write may be under way, which would wait for its time to be over.
            self._cut()
        if self._over:
            return
        self._waiting.append(event)
        self._news.set()

    def end(self, failed: BaseException | None = None) -> None:
        """Write nothing more; with a failure the connection is cut."""
        self._over, self._failed = True, self._failed or failed
        self._waiting.clear()
        self._news.set()

    async def next(self) -> bytes | None:
        """What is to be written next, a sign of life if there is nothing else for a while; None at the end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await self._news.wait()
        if self._failed is not None:
            raise self._failed
        if self._over:
            return None
        event = self._waiting.popleft() if self._waiting else _HEARTBEAT
        if not self._waiting:
            self._news.clear()
        return event


class Feed:
    """All streams. `boot` is another at each start of the daemon; `now` is epoch seconds."""

    def __init__(self, source: Source, now: Callable[[], float], version: str) -> None:
        self.boot = secrets.token_hex(8)
        self._source = source
        self._now = now
        self._version = version
        self._ended = False
        self._places = 0
        self._listeners: set[_Listener] = set()
        self._watching: asyncio.Task[None] | None = None
        self._begun: asyncio.Future[None] | None = None
        self._wake = asyncio.Event()
        self._marked: set[str] = set()
        self._certain: set[str] = set()
        self._timelines: set[str] = set()
        self._told: dict[str, str] = {}
        self._overview = ""
        self._days: dict[str, date] = {}
        self._zones: dict[str, str] = {}
        self._at = 0

    # -- what the daemon says ----------------------------------------------------------------------------------------

    def changed(self, emails: Iterable[str]) -> None:
        """What is told of these agents may be another now."""
        if self._watching is not None:
            self._marked.update(emails)
            self._wake.set()

    def timeline_changed(self, email: str) -> None:
        """The agent's events, what is wanted of them, or what was set, is another now."""
        if self._watching is not None:
            self._timelines.add(email)
            self._wake.set()

    def read(self) -> None:
        """Agents were just told to somebody as they are: who changes back at once is told again all the same."""
        self._certain |= self._marked

    def end(self) -> None:
        """End every stream now, and begin no other."""
        self._ended = True
        for listener in self._listeners:
            listener.end()

    # -- one listener ------------------------------------------------------------------------------------------------

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer with the stream, until one of both ends it."""
        check_query(request.query, ())
        # Another site's page could not read it, but would take a place.
        check_origin(request)
        if self._ended or self._places >= MAX_LISTENERS:
            why = "calsyncd stops" if self._ended else f"{MAX_LISTENERS} streams are open, and that is the limit"
            raise Fault(503, "too_many_streams", f"{why}: try again later", {"Retry-After": str(RETRY_AFTER_SECONDS)})
        listener = _Listener(lambda: _abort(request))
        self._places += 1
        try:
            keep_open(request, listener.end)
            await self._watched()
            hello = {"now": time_out(self._now()), "boot": self.boot, "version": self._version}
            listener.give(_event("hello", json.dumps(hello)))
            self._listeners.add(listener)
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
            dress(response)
            await response.prepare(request)
            await _write(listener, response, request)
            return response
        finally:
            self._listeners.discard(listener)
            self._places -= 1
            if not self._places and self._watching is not None:
                self._watching.cancel()
                self._watching = self._begun = None

    async def _watched(self) -> None:
        """Return once every change from now on will be told."""
        if self._begun is None:
            self._begun = asyncio.get_running_loop().create_future()
            self._watching = asyncio.create_task(self._watch(self._begun), name="stream")
            self._watching.add_done_callback(self._died)
        await asyncio.shield(self._begun)
        if self._ended:
            raise Fault(503, "too_many_streams", "calsyncd stops: try again later")

    def _died(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is None or task is not self._watching:
            return
        if self._begun is not None and not self._begun.done():
            self._begun.set_exception(error)
        self._watching = self._begun = None
        for listener in self._listeners:
            listener.end(error)

    # -- what is told ------------------------------------------------------------------------------------------------

    async def _watch(self, begun: asyncio.Future[None]) -> None:
        loop = asyncio.get_running_loop()
        self._marked, self._certain, self._timelines, self._told, self._zones = set(), set(), set(), {}, {}
        await self._others(self._source.emails(), certain=set())
        self._overview, self._days = _compared(self._source.overview()), self._today()
        begun.set_result(None)
        told_at, swept_at = -PACE_SECONDS, loop.time()
        while True:
            self._wake.clear()
            if not (self._marked or self._timelines):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(swept_at + SWEEP_SECONDS):
                        await self._wake.wait()
            await asyncio.sleep(max(GATHER_SECONDS, told_at + PACE_SECONDS - loop.time()))
            sweeps = loop.time() >= swept_at + SWEEP_SECONDS
            if sweeps:
                swept_at = loop.time()
            if await self._turn(sweeps=sweeps):
                told_at = loop.time()

    async def _turn(self, *, sweeps: bool) -> bool:
        """Tell what is another now; whether anything was."""
        marked, self._marked = self._marked, set()
        certain, self._certain = self._certain, set()
        emails = self._source.emails()
        marked |= {email for email in emails if email not in self._told}
        if sweeps:
            some = -(-len(emails) // SWEEPS)
            self._at = self._at + some if self._at + some < len(emails) else 0
            marked.update(emails[self._at : self._at + some])
        followed = set(emails)
        gone = [email for email in self._told if email not in followed]
        for email in gone:
            del self._told[email]
            self._zones.pop(email, None)
        others = await self._others(marked & followed, certain=certain)
        timelines, self._timelines = self._timelines & followed, set()
        timelines |= self._whose_day_is_over() if sweeps else set()
        now = f'"now": "{time_out(self._now())}"'
        events = []
        if others or gone:
            events.append(_event("agents", f'{{{now}, "agents": [{", ".join(others)}], "gone": {json.dumps(gone)}}}'))
        if timelines:
            many = len(timelines) > MAX_NAMED
            names = json.dumps([] if many else sorted(timelines))
            events.append(_event("timelines", f'{{{now}, "emails": {names}, "all": {json.dumps(many)}}}'))
        overview = self._source.overview()
        text = _compared(overview)
        if text != self._overview:
            self._overview = text
            events.append(_event("overview", json.dumps(overview)))
        for listener in list(self._listeners):
            for event in events:
                listener.give(event)
        return bool(events)

    async def _others(self, emails: Iterable[str], *, certain: set[str]) -> list[str]:
        """The views of these that are others than they were, as JSON."""
        others = []
        for number, email in enumerate(emails):
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            view = self._source.agent(email)
            if view is None:
                continue
            text = json.dumps(view)
            if self._told.get(email) != text or email in certain:
                self._told[email] = text
                self._zones[email] = str(view.get("zone", "UTC"))
                others.append(text)
        return others

    def _today(self) -> dict[str, date]:
        now = self._now()
        return {name: datetime.fromtimestamp(now, zone_of(name) or UTC).date() for name in {*self._zones.values()}}

    def _whose_day_is_over(self) -> set[str]:
        """At whose midnight today's timeline is another's."""
        before, self._days = self._days, self._today()
        over = {name for name, day in self._days.items() if before.get(name, day) != day}
        return {email for email, zone in self._zones.items() if zone in over} if over else set()


async def _write(listener: _Listener, response: web.StreamResponse, request: web.Request) -> None:
    try:
        while (event := await listener.next()) is not None:
            async with asyncio.timeout(SLOW_SECONDS):
                await response.write(event)
    except (ConnectionError, TimeoutError):
        # Whoever does not read has no use for a decent end, which would wait for them.
        _abort(request)


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _event(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode()


def _compared(overview: dict[str, Any]) -> str:
    return json.dumps({**overview, "now": None})
