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

from calsyncd.web.frame import STYLE_SOURCE
from calsyncd.web.pages import CONNECT, DISCONNECT, Facts, Page, render
from calsyncd.web.peer import peer_of
from calsyncd.web.server import SERVER
from calsyncd.web.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from calsyncd.web.allowance import Allowance

PAGE_PATH = "/google/connect"
CALLBACK_PATH = "/google/callback"
FLOW_SECONDS = 600
"""How long a flow that was begun can be finished."""

MAX_FORM = 2048
FORM_SECONDS = 4.0
MAX_AT_ONCE = 100
"""So many of these requests are worked at: the other places of the listener are for Google's and Aircall's messages."""

MAX_EMAIL = 254
_EMAIL = re.compile(r"[^\s@<>\"'\\]{1,64}@[^\s@<>\"'\\]{1,189}")
_BOX = re.compile(r"[A-Za-z0-9_-]{1,3900}")
_ANSWER = ("state", "code", "error", "iss")
"""What is read of a callback; each may be there once."""

_MAX_VALUE = 2048

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Started:
    """A flow has begun: the browser goes to `url` and keeps `cookie`, of the characters of base64url."""

    url: str
    cookie: str


@dataclass(frozen=True, slots=True)
class Shown:
    """How a flow ended. `cookie` is what the browser keeps from now on: "" nothing, None what it has."""

    status: int
    page: Page
    facts: Facts
    cookie: str | None = None


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
    def secure(self) -> bool:
        """Whether browsers come by https."""
        return self.public_url.startswith("https:")

    @property
    def cookie(self) -> str:
        """The cookie's name. With `__Host-`, no neighbour under the same domain can set it."""
        return "__Host-calsyncd" if self.secure else "calsyncd"

    @property
    def headers(self) -> dict[str, str]:
        """What every answer carries.

        Chromium applies `form-action` to each redirect of the answer to a form: to Google, and from there perhaps to
        the company's own sign-in, wherever that is.
        """
        parts = urlsplit(self.auth_uri)
        policy = (
            f"default-src 'none'; style-src {STYLE_SOURCE}; base-uri 'none'; "
            f"form-action 'self' https: {parts.scheme}://{parts.netloc}; frame-ancestors 'none'"
        )
        return {
            "Server": SERVER,
            "Cache-Control": "no-store",
            "Content-Security-Policy": policy,
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }


class Ways(Protocol):
    """Who begins and ends flows. Both promise never to raise for anything that a stranger can send."""

    @property
    def place(self) -> Place:
        """Where the pages stand."""
        ...

    def start(self, what: str, email: str, cookie: str) -> Started:
        """Begin to connect or disconnect; `email` may be "", and so may `cookie`, what an earlier flow left."""
        ...

    async def finish(self, cookie: str, query: Mapping[str, str]) -> Shown:
        """End the flow that this browser began and this answer belongs to, if there is such a one."""
        ...


def add_ways(
    app: web.Application,
    ways: Ways,
    allowance: Allowance,
    *,
    expect: Callable[[web.Request], Awaitable[None]],
) -> None:
    """Add the pages' routes to the public application; `expect` answers an `Expect` header."""
    place = ways.place
    limited = Tally(_log.warning, "Too many asked for the pages to connect", action="pages_limited")
    working = 0

    def shown(status: int, page: Page, facts: Facts) -> web.Response:
        body = render(page, facts, place.site)
        return web.Response(status=status, text=body, content_type="text/html", headers=place.headers)

    def guarded(
        handler: Callable[[web.Request], Awaitable[web.Response]],
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            nonlocal working
            peer = peer_of(request)
            if working >= MAX_AT_ONCE or not allowance.take(peer, asyncio.get_running_loop().time()):
                limited.add()
                response = shown(503, Page.BUSY, Facts())
                response.headers["Retry-After"] = "3"
                if request.method == "GET":
                    # A browser comes again by itself: what Google sent with it counts for minutes.
                    response.headers["Refresh"] = "3"
                return response
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
        started = ways.start(what[0], email, _cookie(request, place.cookie))
        headers = {**place.headers, "Location": started.url, "Set-Cookie": _set_cookie(place, started.cookie)}
        return web.Response(status=303, headers=headers)

    async def end(request: web.Request) -> web.Response:
        query: dict[str, str] = {}
        for name in _ANSWER:
            values = request.query.getall(name, [])
            if len(values) > 1 or any(len(value) > _MAX_VALUE for value in values):
                return shown(400, Page.EXPIRED, Facts())
            if values:
                query[name] = values[0]
        result = await ways.finish(_cookie(request, place.cookie), query)
        response = shown(result.status, result.page, result.facts)
        if result.cookie is not None:
            response.headers["Set-Cookie"] = _set_cookie(place, result.cookie)
        return response

    app.router.add_get(PAGE_PATH, guarded(show), allow_head=False, expect_handler=expect)
    app.router.add_post(PAGE_PATH, guarded(begin), expect_handler=expect)
    app.router.add_get(CALLBACK_PATH, guarded(end), allow_head=False, expect_handler=expect)


def _set_cookie(place: Place, value: str) -> str:
    life = FLOW_SECONDS if value else 0
    secure = "; Secure" if place.secure else ""
    return f"{place.cookie}={value}; Path=/; Max-Age={life}; HttpOnly; SameSite=Lax{secure}"


def _cookie(request: web.Request, name: str) -> str:
    """Our cookie's value; "" where it is missing, sent twice, or not of our characters."""
    found = [
        value.strip()
        for header in request.headers.getall("Cookie", [])
        for part in header.split(";")
        for key, _, value in [part.partition("=")]
        if key.strip() == name
    ]
    return found[0] if len(found) == 1 and _BOX.fullmatch(found[0]) else ""


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
