"""What the internet may ask: Google's and Aircall's messages, and whether we are well. All else is 404 and nothing.

A message only says that something may have changed, so it is answered before anything is done about it. Whether it is
genuine is for its owner to say. Of Google's, the body is never read; here it is only made sure that each header was
sent once, in bounds, in ASCII. Aircall's is a small JSON object: it must come whole, soon and unambiguous, and only so
many are waited for at a time, so that slow strangers take no places from Google.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web

from calsyncd.core.channels import Notification, Verdict
from calsyncd.core.webhooks import Delivery
from calsyncd.routes import AIRCALL_WEBHOOK, GOOGLE_WEBHOOK
from calsyncd.web.allowance import Allowance
from calsyncd.web.connect import Ways, add_ways
from calsyncd.web.install import Installer, add_install
from calsyncd.web.peer import TRUSTED, Trusted
from calsyncd.web.server import SERVER
from calsyncd.web.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from aiohttp.typedefs import Handler

MAX_BODY = 1024
MAX_DELIVERY = 64 * 1024
DELIVERY_SECONDS = 4.0
"""Aircall gives a delivery up after five."""

MAX_READING = 50

_STATUS = {Verdict.GENUINE: 200, Verdict.UNKNOWN: 404, Verdict.BUSY: 503}
_PREFIX = "x-goog-"
_PREFIXES = ("x-goog", "x_goog")
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
_NONCE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ID = re.compile(r"[A-Za-z0-9_+/=-]{1,64}")
_NO_SECONDS = 10**11
"""A later instant is no number of seconds."""
_NUMBER = re.compile(r"[0-9]{1,18}")
_WORD = re.compile(r"[a-z0-9_.]{1,64}")
_AIRCALL_TOKEN = re.compile(r"[\x21-\x7e]{1,256}")

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
    told: Callable[[Delivery], bool],
    count: Callable[[str], None] | None = None,
    installer: Installer | None = None,
    ways: Ways | None = None,
    allowance: Allowance | None = None,
    trusted: Sequence[Trusted] = (),
) -> web.Application:
    """The application behind `server.listen`.

    `notify`, `told` and `health` answer from memory; `told` says whether one of Aircall's messages is genuine. `prove`
    signs a nonce that anybody may choose: its key must sign nothing else. `count` is told the result of each
    notification: a verdict's value, or "malformed". `installer` installs the Aircall app; None: there is none. With
    `ways`, agents connect their calendars here, and open the page as often as `allowance` grants. `trusted` are
    proxies that say who came to them.
    """
    counted = count or (lambda _: None)
    reading = 0
    foreign = Tally(_log.warning, "Aircall's messages were refused", action="webhooks_refused")
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

    async def take_delivery(request: web.Request) -> web.Response:
        nonlocal reading
        delivery = None
        if reading < MAX_READING:
            reading += 1
            try:
                raw = await _body(request)
            finally:
                reading -= 1
            delivery = read_delivery(raw) if raw is not None else None
        if delivery is None or not told(delivery):
            foreign.add(why="malformed" if delivery is None else "wrong token")
            return web.Response(status=404)
        return web.Response(status=200)

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
    app[TRUSTED] = trusted
    app.router.add_post(GOOGLE_WEBHOOK, take_notification, expect_handler=_never_mind)
    app.router.add_post(AIRCALL_WEBHOOK, take_delivery, expect_handler=_go_on)
    if installer is not None:
        add_install(app, installer, _never_mind)
    app.router.add_get("/healthz", tell_health, expect_handler=_never_mind)
    if ways is not None:
        add_ways(app, ways, opening=allowance or Allowance(), finishing=Allowance(), expect=_go_on)
    app.router.add_route("*", "/{path:.*}", _nothing, expect_handler=_never_mind)
    return app


def read_notification(headers: Iterable[tuple[str, str]]) -> Notification | None:
    """The notification in `headers`, or None when one is missing, repeated, too long or not printable ASCII.

    A name with underscores is refused too: what passes for the same header at a proxy must not come in by another name.
    """
    found: dict[str, str] = {}
    for raw, value in headers:
        name = raw.lower()
        if not name.startswith(_PREFIXES) or not name.replace("_", "-").startswith(_PREFIX):
            continue
        if "_" in name or name in found or len(value) > _MAX_OTHER or not _is_text(value):
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


def read_delivery(raw: bytes) -> Delivery | None:
    """The message in a body; None when it is no JSON object, names something twice, or lacks its event or token.

    Of what it says of a user, nothing has to be there: messages of other kinds are taken too, and nothing hangs on it.
    """
    try:
        data = json.loads(raw.decode(), object_pairs_hook=_distinct, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    event, token, about = data.get("event"), data.get("token"), data.get("data")
    if not isinstance(event, str) or not _WORD.fullmatch(event):
        return None
    if not isinstance(token, str) or not _AIRCALL_TOKEN.fullmatch(token):
        return None
    about = about if isinstance(about, dict) else {}
    user, status, at = about.get("id"), about.get("availability_status"), data.get("timestamp")
    return Delivery(
        token,
        event,
        user if isinstance(user, int) and not isinstance(user, bool) and 0 < user < 2**63 else None,
        status if isinstance(status, str) and _WORD.fullmatch(status) else None,
        float(at) if isinstance(at, int) and not isinstance(at, bool) and 0 < at < _NO_SECONDS else None,
    )


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_number(name: str) -> None:
    raise ValueError(name)


async def _body(request: web.Request) -> bytes | None:
    """The whole body, or None when it is too long, broken, or not there in time."""
    if (request.content_length or 0) > MAX_DELIVERY:
        return None
    raw = bytearray()
    try:
        async with asyncio.timeout(DELIVERY_SECONDS):
            async for part in request.content.iter_any():
                raw += part
                if len(raw) > MAX_DELIVERY:
                    return None
    except (TimeoutError, OSError, web.RequestPayloadError):
        return None
    return bytes(raw)


def _is_text(value: str) -> bool:
    """Whether it is something, and all of it printable ASCII."""
    return bool(value) and value.isascii() and value.isprintable()


@lru_cache(maxsize=1024)
def _instant(date: str | None) -> float | None:
    # A channel says the same date with each of its messages.
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


async def _go_on(request: web.Request) -> None:
    """Ask for the body that somebody announces; any other expectation is ignored."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # That was no part of the answer.
        request.writer.output_size = 0


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
