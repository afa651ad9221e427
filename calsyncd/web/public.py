"""What the internet may ask: Google's notifications, and whether we are well. Anything else is 404 and nothing.

A notification only says that a calendar may have changed, so it is answered before anything is done about it. Its body
is never read. Whether it is genuine is for `notify` to say; here it is only made sure that each header was sent once,
in bounds, in ASCII.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from calsyncd.core.channels import Notification, Verdict
from calsyncd.web.server import SERVER
from calsyncd.web.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aiohttp.typedefs import Handler

MAX_BODY = 1024

_STATUS = {Verdict.GENUINE: 200, Verdict.UNKNOWN: 404, Verdict.BUSY: 503}
_PREFIX = "x-goog-"
_CHANNEL_ID = "x-goog-channel-id"
_TOKEN = "x-goog-channel-token"  # noqa: S105 - the header's name
_STATE = "x-goog-resource-state"
_RESOURCE_ID = "x-goog-resource-id"
_RESOURCE_URI = "x-goog-resource-uri"
_MESSAGE_NUMBER = "x-goog-message-number"
_EXPIRATION = "x-goog-channel-expiration"

_REQUIRED = (_CHANNEL_ID, _TOKEN, _STATE)
_MAX_TOKEN = 256
_MAX_OTHER = 1024
_PRINTABLE = re.compile(r"[\x20-\x7e]+")
_NONCE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ID = re.compile(r"[A-Za-z0-9_+/=-]{1,64}")
_NUMBER = re.compile(r"[0-9]{1,18}")

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the loop turns and the database answers; if not, `reason` is a sentence."""

    ok: bool
    reason: str = ""


def public_app(
    *,
    notify: Callable[[Notification], Verdict],
    health: Callable[[], Health],
    prove: Callable[[str], str],
    count: Callable[[str], None] | None = None,
) -> web.Application:
    """The application behind `server.listen`.

    `notify` and `health` answer from memory. `prove` signs a nonce that anybody may choose: its key must sign nothing
    else. `count` is told the result of each notification: a verdict's value, or "malformed".
    """
    counted = count or (lambda _: None)
    refused = Tally(_log.warning, "Notifications were refused", action="notifications_refused")
    busy = Tally(_log.warning, "Notifications were put off", action="notifications_busy")

    async def take_notification(request: web.Request) -> web.Response:
        notification = read_notification(request.headers.items())
        if notification is None:
            counted("malformed")
            refused.add(why="malformed")
            return web.Response(status=404)
        verdict = notify(notification)
        counted(verdict.value)
        if verdict is Verdict.UNKNOWN:
            refused.add(why="unknown channel or wrong token", channel=notification.channel_id)
        elif verdict is Verdict.BUSY:
            busy.add(channel=notification.channel_id)
        return web.Response(status=_STATUS[verdict])

    async def tell_health(request: web.Request) -> web.Response:
        status = 200 if health().ok else 503
        nonces = request.query.getall("nonce", [])
        if not nonces:
            # Why it is not well is the operators' business.
            return web.Response(status=status, text="ok\n" if status == 200 else "not well\n")
        if len(nonces) > 1 or not _NONCE.fullmatch(nonces[0]):
            return web.Response(status=404)
        return web.Response(status=status, text=prove(nonces[0]))

    app = web.Application(client_max_size=MAX_BODY, middlewares=[_plain])
    app.router.add_post("/webhooks/google/notifications", take_notification, expect_handler=_never_mind)
    app.router.add_get("/healthz", tell_health, expect_handler=_never_mind)
    app.router.add_route("*", "/{path:.*}", _nothing, expect_handler=_never_mind)
    return app


def read_notification(headers: Iterable[tuple[str, str]]) -> Notification | None:
    """The notification in `headers`, or None when one is missing, repeated, too long or not printable ASCII.

    A name with underscores is refused too: what passes for the same header at a proxy must not come in by another name.
    """
    found: dict[str, str] = {}
    for raw, value in headers:
        name = raw.lower()
        if not name.replace("_", "-").startswith(_PREFIX):
            continue
        if "_" in name or name in found or len(value) > _MAX_OTHER or not _PRINTABLE.fullmatch(value):
            return None
        found[name] = value
    if not all(name in found for name in _REQUIRED):
        return None
    if not _ID.fullmatch(found[_CHANNEL_ID]) or len(found[_TOKEN]) > _MAX_TOKEN:
        return None
    number = found.get(_MESSAGE_NUMBER, "")
    return Notification(
        channel_id=found[_CHANNEL_ID],
        token=found[_TOKEN],
        state=found[_STATE],
        resource_id=found.get(_RESOURCE_ID),
        resource_uri=found.get(_RESOURCE_URI),
        message_number=int(number) if _NUMBER.fullmatch(number) else None,
        expiration=_instant(found.get(_EXPIRATION)),
    )


def _instant(date: str | None) -> float | None:
    if date is None:
        return None
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None


async def _nothing(request: web.Request) -> web.Response:  # noqa: ARG001 - a handler's signature
    return web.Response(status=404)


async def _never_mind(request: web.Request) -> None:
    """Ignore `Expect`: no body is wanted, and nobody is told to send one."""


@web.middleware
async def _plain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """One request a connection, no versions, and 404 for any spelling of a path but the exact one."""
    exact = request.raw_path.partition("?")[0] == request.path
    try:
        response = await handler(request) if exact else web.Response(status=404)
    except web.HTTPException as answer:
        response = web.Response(status=404 if answer.status == 405 else answer.status)
    response.headers["Server"] = SERVER
    # A proxy's kept connection that we cut as a notification comes would cost that notification.
    response.force_close()
    return response
