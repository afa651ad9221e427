"""Where an Aircall admin's browser comes by when the app is installed: on the way to Aircall's consent, and back.

Aircall opens the first page from its dashboard, and the second by a redirect: both are navigations of a whole tab or
window to GET. With those a browser takes and sends cookies that are `SameSite=Lax`; `Strict` would be withheld on the
way back, and `None` would be sent with what another site embeds. In a frame neither works, which the page says.

Nothing of a request is ever shown or logged, and nobody is sent to an address that came with one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Protocol

import structlog
from aiohttp import web

from calsyncd.web.frame import STYLE_SOURCE, frame
from calsyncd.web.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

START_PATH = "/aircall/oauth/install"
CALLBACK_PATH = "/aircall/oauth/callback"
COOKIE_SECONDS = 10 * 60
"""A code of Aircall's lives no longer."""

INSTALLED = "installed"
DENIED = "denied"
NOT_GRANTED = "not_granted"
STATE = "state"
USED = "used"
BUSY = "busy"
CODE_REFUSED = "code_refused"
CLIENT_REFUSED = "client_refused"
OTHER_COMPANY = "other_company"
UNAVAILABLE = "unavailable"
NOT_KEPT = "not_kept"

_AGAIN = "Start again"
_PAGES: dict[str, tuple[int, str, str, str]] = {
    DENIED: (200, "Not installed", "The installation was declined in Aircall. Nothing was changed.", _AGAIN),
    NOT_GRANTED: (
        200,
        "Not installed",
        "Aircall did not grant access. Only an admin of the company can install calsyncd. Nothing was changed.",
        _AGAIN,
    ),
    STATE: (
        400,
        "This installation was not begun here",
        (
            "What Aircall sent back does not belong to an installation that this browser began in the last ten minutes."
            " Cookies must be allowed for this site, and the page must have a tab or window of its own."
            " Nothing was changed."
        ),
        _AGAIN,
    ),
    USED: (
        400,
        "This page was used already",
        "Each answer of Aircall counts once. If Aircall shows calsyncd as installed, there is nothing to do.",
        "",
    ),
    BUSY: (503, "One moment", "Too many installations are tried at once. Wait a minute, then reload this page.", ""),
    CODE_REFUSED: (
        400,
        "Not installed",
        "Aircall did not accept its own code: it is good once, and for ten minutes. Nothing was changed.",
        _AGAIN,
    ),
    CLIENT_REFUSED: (
        502,
        "Not installed",
        (
            "Aircall does not accept the app's credentials. Whoever runs calsyncd has to check client_id and the"
            " client secret under aircall.oauth, and the redirect address that Aircall knows."
        ),
        "",
    ),
    OTHER_COMPANY: (
        409,
        "calsyncd is installed at another company",
        (
            "This calsyncd serves one company, and Aircall says that it is not this one, or does not say which."
            " To move it, whoever runs calsyncd deletes what the other company granted. Nothing was changed."
        ),
        "",
    ),
    UNAVAILABLE: (
        503,
        "Not installed",
        "Aircall could not be asked just now. Nothing was changed; please try again in a few minutes.",
        _AGAIN,
    ),
    NOT_KEPT: (
        500,
        "Not installed",
        "calsyncd could not keep what Aircall granted. Whoever runs it finds the reason in its log.",
        _AGAIN,
    ),
}

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src {STYLE_SOURCE}"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}
_COOKIE_STAYS = frozenset({STATE, DENIED, NOT_GRANTED, BUSY})
"""What anybody's link can bring about, or a reload can mend: an installation that is under way goes on."""

_VALUE = re.compile(r"[\x21-\x7e]{1,1024}")
_COOKIE = re.compile(r"[A-Za-z0-9_-]{1,2048}")

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Started:
    """Where the browser goes, and what it keeps meanwhile: text of letters, digits, `-` and `_`."""

    url: str
    cookie: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Back:
    """What came back with the browser; None what did not, or not once and in bounds."""

    state: str | None = field(repr=False)
    code: str | None = field(repr=False)
    error: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Finished:
    """How it ended: `code` is one of the words above; `to` is where the browser goes, if it is not shown a page."""

    code: str
    to: str | None = None


class Installer(Protocol):
    """Who installs. `secure`: the public address is https."""

    @property
    def secure(self) -> bool:
        """Whether browsers reach us by https."""
        ...

    def start(self) -> Started:
        """Begin an installation; nothing is remembered of it but the cookie."""
        ...

    async def finish(self, cookie: str | None, back: Back) -> Finished:
        """End the one that this cookie began."""
        ...


def add_install(
    app: web.Application, installer: Installer, expect_handler: Callable[[web.Request], Awaitable[None]]
) -> None:
    """Add the two pages to the public application. They answer GET only: HEAD must change nothing."""
    name = "__Host-calsyncd-aircall" if installer.secure else "calsyncd-aircall"
    refused = Tally(_log.warning, "Installations of the Aircall app came to nothing", action="install_refused")

    async def start(request: web.Request) -> web.Response:  # noqa: ARG001 - a handler's signature
        started = installer.start()
        response = web.Response(status=303, headers={**_HEADERS, "Location": started.url})
        response.set_cookie(
            name,
            started.cookie,
            max_age=COOKIE_SECONDS,
            path="/",
            secure=installer.secure,
            httponly=True,
            samesite="Lax",
        )
        return response

    async def finish(request: web.Request) -> web.Response:
        cookie = request.cookies.get(name, "")
        back = Back(*(_once(request, key) for key in ("state", "code", "error")))
        finished = await installer.finish(cookie if _COOKIE.fullmatch(cookie) else None, back)
        if finished.to is not None:
            response = web.Response(status=303, headers={**_HEADERS, "Location": finished.to})
        else:
            refused.add(why=finished.code)
            response = _page(finished.code)
        if finished.code not in _COOKIE_STAYS:
            response.del_cookie(name, path="/", secure=installer.secure, httponly=True, samesite="Lax")
        return response

    app.router.add_get(START_PATH, start, allow_head=False, expect_handler=expect_handler)
    app.router.add_get(CALLBACK_PATH, finish, allow_head=False, expect_handler=expect_handler)


def _once(request: web.Request, key: str) -> str | None:
    values = request.query.getall(key, [])
    return values[0] if len(values) == 1 and _VALUE.fullmatch(values[0]) else None


def _page(code: str) -> web.Response:
    status, title, sentence, again = _PAGES[code]
    link = f'<p><a href="{START_PATH}">{escape(again)}</a></p>' if again else ""
    html = frame(escape(title), "bad", f'<p id="{code}">{escape(sentence)}</p>{link}', "")
    headers = {**_HEADERS, "Retry-After": "60"} if code == BUSY else _HEADERS
    return web.Response(status=status, text=html, content_type="text/html", charset="utf-8", headers=headers)
