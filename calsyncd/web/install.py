"""Where an Aircall admin's browser comes by when the app is installed: on the way to Aircall's consent, and back.

Aircall opens the first page from its dashboard, and the second by a redirect: both are navigations of a whole tab or
window to GET. In a frame neither works, as browsers then withhold the cookie, which the page says.

Nothing of a request is ever shown or logged, and nobody is sent to an address that came with one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Protocol

import structlog
from aiohttp import web

from calsyncd.routes import AIRCALL_CALLBACK, AIRCALL_INSTALL
from calsyncd.web.cookies import Cookies, Started
from calsyncd.web.frame import frame, headers
from calsyncd.web.peer import peer_of
from calsyncd.web.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

INSTALLED = "installed"
WAITING = "waiting"
LINK_REFUSED = "link_refused"
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
BLOCKED = "blocked"

_HOW = (
    " Whoever runs calsyncd prints a link with `calsyncd connect --aircall` and sends it to you, or puts your"
    " company's id at Aircall into the settings, as aircall.oauth.company, and reloads."
)
_PAGES: dict[str, tuple[int, str, str, bool]] = {
    WAITING: (
        403,
        "This calsyncd waits for its own company",
        "It belongs to one company, and does not know yet whether that is yours." + _HOW,
        False,
    ),
    LINK_REFUSED: (
        403,
        "This link does not count any more",
        "It is older than seven days, was not copied as a whole, or is another calsyncd's." + _HOW,
        False,
    ),
    DENIED: (200, "Not installed", "The installation was declined in Aircall. Nothing was changed.", True),
    NOT_GRANTED: (
        200,
        "Not installed",
        "Aircall did not grant access. Only an admin of the company can install calsyncd. Nothing was changed.",
        True,
    ),
    STATE: (
        400,
        "This installation was not begun here",
        (
            "What Aircall sent back does not belong to an installation that this browser began in the last ten minutes."
            " Cookies must be allowed for this site, and the page must have a tab or window of its own."
            " Nothing was changed."
        ),
        True,
    ),
    USED: (
        400,
        "This page was used already",
        "Each answer of Aircall counts once. If Aircall shows calsyncd as installed, there is nothing to do.",
        False,
    ),
    BUSY: (503, "One moment", "Too many installations are tried at once. This page tries again by itself.", False),
    CODE_REFUSED: (
        400,
        "Not installed",
        "Aircall did not accept its own code: it is good once, and for ten minutes. Nothing was changed.",
        True,
    ),
    CLIENT_REFUSED: (
        502,
        "Not installed",
        (
            "Aircall does not accept the app's credentials. Whoever runs calsyncd has to check client_id and the"
            " client secret under aircall.oauth, and the redirect address that Aircall knows."
        ),
        False,
    ),
    OTHER_COMPANY: (
        409,
        "calsyncd is installed at another company",
        (
            "This calsyncd serves one company, and Aircall says that it is not this one, or does not say which."
            " To move it, whoever runs calsyncd deletes what the other company granted. Nothing was changed."
        ),
        False,
    ),
    UNAVAILABLE: (
        503,
        "Not installed",
        "Aircall could not be asked just now. Nothing was changed; please try again in a few minutes.",
        True,
    ),
    BLOCKED: (
        503,
        "calsyncd cannot be installed just now",
        (
            "It cannot read what Aircall granted it before, and does not overwrite that. Whoever runs calsyncd finds in"
            " its log which file to put back, or to delete. Aircall was not asked, and nothing was changed."
        ),
        True,
    ),
    NOT_KEPT: (
        500,
        "Not installed",
        "calsyncd could not keep what Aircall granted. Whoever runs it finds the reason in its log.",
        True,
    ),
}

"""Of each: the status, the title, what is said, and whether to begin again may help."""

_HEADERS = headers("'none'")
_AGAIN_SECONDS = 10
_COOKIE_STAYS = frozenset({STATE, BUSY})
"""What may be another answer than Aircall's, or a reload can mend: an installation that is under way goes on."""

_VALUE = re.compile(r"[\x21-\x7e]{1,1024}")

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


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

    @property
    def is_open(self) -> bool:
        """Whether an installation begins without an operator's link."""
        ...

    def start(self, key: str | None) -> Started | Finished:
        """Begin an installation, by the key of an operator's link if there is one; nothing is remembered of it."""
        ...

    async def finish(self, cookie: str, back: Back, peer: str) -> Finished:
        """End the one that began in the browser which keeps `cookie` for this state; `peer` is who asks."""
        ...


def add_install(
    app: web.Application, installer: Installer, expect_handler: Callable[[web.Request], Awaitable[None]]
) -> None:
    """Add the two pages to the public application. They answer GET only: HEAD must change nothing."""
    cookies = Cookies("calsyncd-aircall", installer.secure)
    refused = Tally(_log.warning, "Installations of the Aircall app came to nothing", action="install_refused")

    def shown(finished: Finished) -> web.Response:
        if finished.to is not None:
            return web.Response(status=303, headers={**_HEADERS, "Location": finished.to})
        refused.add(why=finished.code)
        return _page(finished.code, is_open=installer.is_open)

    async def start(request: web.Request) -> web.Response:
        started = installer.start(_once(request, "key"))
        if isinstance(started, Finished):
            return shown(started)
        response = web.Response(status=303, headers={**_HEADERS, "Location": started.url})
        cookies.keep(request, response, started)
        return response

    async def finish(request: web.Request) -> web.Response:
        back = Back(*(_once(request, key) for key in ("state", "code", "error")))
        state = back.state or ""
        finished = await installer.finish(cookies.read(request, state), back, peer_of(request))
        response = shown(finished)
        if finished.code not in _COOKIE_STAYS:
            cookies.drop(response, state)
        return response

    app.router.add_get(AIRCALL_INSTALL, start, allow_head=False, expect_handler=expect_handler)
    app.router.add_get(AIRCALL_CALLBACK, finish, allow_head=False, expect_handler=expect_handler)


def _once(request: web.Request, key: str) -> str | None:
    values = request.query.getall(key, [])
    return values[0] if len(values) == 1 and _VALUE.fullmatch(values[0]) else None


def _page(code: str, *, is_open: bool) -> web.Response:
    status, title, sentence, helps = _PAGES[code]
    again = f'<a href="{AIRCALL_INSTALL}">Start again</a>' if is_open else "To start again, open your link once more."
    more = f"<p>{again}</p>" if helps else ""
    html = frame(escape(title), "bad", f'<p id="{code}">{escape(sentence)}</p>{more}', "")
    again_soon = {"Retry-After": str(_AGAIN_SECONDS), "Refresh": str(_AGAIN_SECONDS)} if code == BUSY else {}
    return web.Response(status=status, text=html, content_type="text/html", headers={**_HEADERS, **again_soon})
