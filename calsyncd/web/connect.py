"""Where agents connect and disconnect their calendars: the routes, the cookie, and what every page carries.

Whoever finishes a flow must have begun it in the same browser: what was begun stands, encrypted, in a cookie, and
`Ways` compares. Nothing that a request names is ever redirected to or shown before it is escaped, and no page is
remembered by the browser or a proxy, shown in another site's frame, or named to another site as the referrer.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl, urlsplit

import structlog
from aiohttp import web

from calsyncd.routes import GOOGLE_CALLBACK, GOOGLE_CONNECT
from calsyncd.web.allowance import Failures
from calsyncd.web.cookies import Cookies, Started
from calsyncd.web.frame import headers
from calsyncd.web.pages import CONNECT, DISCONNECT, Facts, Page, render
from calsyncd.web.peer import peer_of
from calsyncd.web.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from calsyncd.web.allowance import Allowance

    Handler = Callable[[web.Request], Awaitable[web.Response]]

MAX_FORM = 2048
FORM_SECONDS = 4.0
MAX_AT_ONCE = 60
"""So many forms are read at a time, and so many flows ended: the listener's other places are for messages."""

MAX_EMAIL = 254
_EMAIL = re.compile(r"[^\s@<>\"'\\]{1,64}@[^\s@<>\"'\\]{1,189}")
_ANSWER = ("state", "code", "error", "iss")
"""What is read of a callback; each may be there once."""

_MAX_VALUE = 2048
_MADE_UP = frozenset({400, 502})
"""How flows end whose answer was not Google's, or that Google would not end: a request or a line of the log each."""

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """What has come of a flow. `ended`: no answer to it counts any more."""

    status: int
    page: Page
    facts: Facts
    ended: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """Where the pages stand: `public_url` is ours, `auth_uri` where Google's consent page is."""

    public_url: str
    auth_uri: str

    @property
    def site(self) -> str:
        """Our name, as the browser shows it."""
        return urlsplit(self.public_url).netloc

    @property
    def cookies(self) -> Cookies:
        """The cookies of flows."""
        return Cookies("calsyncd", self.public_url.startswith("https:"))

    @property
    def headers(self) -> dict[str, str]:
        """What every answer carries.

        Chromium applies `form-action` to each redirect of the answer to a form: to Google, and from there perhaps to
        the company's own sign-in, wherever that is.
        """
        parts = urlsplit(self.auth_uri)
        return {
            **headers(f"'self' https: {parts.scheme}://{parts.netloc}"),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
        }


class Ways(Protocol):
    """Who begins and ends flows. Both promise never to raise for anything that a stranger can send."""

    @property
    def place(self) -> Place:
        """Where the pages stand."""
        ...

    def start(self, what: str, email: str) -> Started:
        """Begin to connect or disconnect; `email` may be ""."""
        ...

    async def finish(self, cookie: str, query: Mapping[str, str]) -> Shown:
        """End the flow that began in the browser which keeps `cookie` for this answer's state, if there is one."""
        ...


def add_ways(
    app: web.Application,
    ways: Ways,
    *,
    opening: Allowance,
    finishing: Allowance,
    expect: Callable[[web.Request], Awaitable[None]],
) -> None:
    """Add the pages' routes to the public application; `expect` answers an `Expect` header.

    `opening` grants the page and its form, `finishing` the way back: a crowd that opens the page keeps nobody from
    ending what they have begun, and so it is with the places in which requests are worked at. Whoever brings one
    made-up answer after the other is soon told to wait: each may cost a request to Google in our name.
    """
    place, cookies = ways.place, ways.place.cookies
    failures = Failures()
    limited = Tally(_log.warning, "Too many asked for the pages to connect", action="pages_limited")

    def shown(status: int, page: Page, facts: Facts) -> web.Response:
        body = render(page, facts, place.site)
        return web.Response(status=status, text=body, content_type="text/html", headers=place.headers)

    def busy(request: web.Request) -> web.Response:
        limited.add()
        return _later(request, shown(503, Page.BUSY, Facts()))

    def guarded(handler: Handler, allowance: Allowance) -> Handler:
        working = 0

        async def handle(request: web.Request) -> web.Response:
            nonlocal working
            if working >= MAX_AT_ONCE or not allowance.take(peer_of(request), asyncio.get_running_loop().time()):
                return busy(request)
            working += 1
            try:
                return await handler(request)
            finally:
                working -= 1

        return handle

    async def show(request: web.Request) -> web.Response:
        return shown(200, Page.START, Facts(asked=_email(request.query.getall("email", []))))

    async def begin(request: web.Request) -> web.Response:
        raw = await _form(request)
        if raw is None:
            return shown(400, Page.START, Facts())
        fields = parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True)
        email = _email([value for name, value in fields if name == "email"])
        what = [value for name, value in fields if name == "what"]
        if len(what) != 1 or what[0] not in {CONNECT, DISCONNECT}:
            return shown(400, Page.START, Facts(asked=email))
        if request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
            # Another site's page has pressed the button: its visitor shall see what it does, and press it here.
            return shown(403, Page.START, Facts(asked=email))
        started = ways.start(what[0], email)
        response = web.Response(status=303, headers={**place.headers, "Location": started.url})
        cookies.keep(request, response, started)
        return response

    async def end(request: web.Request) -> web.Response:
        query: dict[str, str] = {}
        for name in _ANSWER:
            values = request.query.getall(name, [])
            if len(values) > 1 or any(len(value) > _MAX_VALUE for value in values):
                return shown(400, Page.EXPIRED, Facts())
            if values:
                query[name] = values[0]
        state, peer, now = query.get("state", ""), peer_of(request), asyncio.get_running_loop().time
        if not failures.may(peer, now()):
            return busy(request)
        result = await ways.finish(cookies.read(request, state), query)
        response = shown(result.status, result.page, result.facts)
        if result.ended and result.status in _MADE_UP:
            failures.add(peer, now())
        if result.ended:
            cookies.drop(response, state)
        return response

    app.router.add_get(GOOGLE_CONNECT, guarded(show, opening), allow_head=False, expect_handler=expect)
    app.router.add_post(GOOGLE_CONNECT, guarded(begin, opening), expect_handler=expect)
    app.router.add_get(GOOGLE_CALLBACK, guarded(end, finishing), allow_head=False, expect_handler=expect)


def _later(request: web.Request, response: web.Response) -> web.Response:
    """Ask whoever is answered so to come again."""
    response.headers["Retry-After"] = "3"
    if request.method == "GET":
        # A browser does by itself: what Google sent with it counts for minutes.
        response.headers["Refresh"] = "3"
    return response


def _email(values: list[str]) -> str:
    """The one address given, in lower case; "" for anything else."""
    email = values[0].strip().lower() if len(values) == 1 else ""
    return email if len(email) <= MAX_EMAIL and email.isprintable() and _EMAIL.fullmatch(email) else ""


async def _form(request: web.Request) -> bytes | None:
    """The form's bytes; None when it is another kind of body, too long, broken, or not there in time."""
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded" or (request.content_length or 0) > MAX_FORM:
        return None
    raw = bytearray()
    try:
        async with asyncio.timeout(FORM_SECONDS):
            async for part in request.content.iter_any():
                raw += part
                if len(raw) > MAX_FORM:
                    return None
    except (TimeoutError, OSError, web.RequestPayloadError):
        return None
    return bytes(raw)
