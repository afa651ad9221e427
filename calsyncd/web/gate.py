"""Who may ask the admin server, and what every answer of it carries."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import re
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web

from calsyncd.errors import Refused, Unavailable, UserError
from calsyncd.web.asked import Fault
from calsyncd.web.server import SERVER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp.typedefs import Handler, Middleware

_HEADERS = {
    "Server": SERVER,
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_SAFE = frozenset({"GET", "HEAD"})
_LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|\[::1\]", re.IGNORECASE)
_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


@web.middleware
async def dressed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as JSON, and the headers that every answer carries."""
    response: web.StreamResponse
    try:
        response = await handler(request)
    except Fault as fault:
        response = _error(fault.status, fault.code, str(fault))
        response.headers.update(fault.headers or {})
    except web.HTTPException as answer:
        response = _error(answer.status, _CODES.get(answer.status, "error"), answer.reason)
        if "Allow" in answer.headers:
            response.headers["Allow"] = answer.headers["Allow"]
    except UserError as err:
        response = _error(409, "conflict", str(err))
    except (Refused, Unavailable) as err:
        response = _error(502 if isinstance(err, Refused) else 503, err.code, str(err))
    if not response.prepared:
        dress(response)
    return response


def dress(response: web.StreamResponse) -> None:
    """Give an answer the headers that every one carries."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = SERVER


class Gate:
    """The token that operators must carry, if there is one: as a bearer, or as the password of Basic authentication."""

    def __init__(self, token: str | None = None) -> None:
        self.digest: bytes | None = None
        self.use(token)

    def use(self, token: str | None) -> None:
        """This is demanded from now on."""
        self.digest = None if token is None else hashlib.sha256(token.encode()).digest()


def guarded(gate: Gate) -> Middleware:
    """Lets those pass who carry the token, or, without one, those of this machine who are no other site's page."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        digest = gate.digest
        if digest is None:
            _check_host(request)
        elif request.path != "/healthz" and not _carries(request, digest):
            raise Fault(
                401,
                "unauthorized",
                "the admin token is needed, as a bearer or as a password",
                {"WWW-Authenticate": 'Basic realm="calsyncd", charset="UTF-8"'},
            )
        if request.method not in _SAFE:
            check_origin(request)
        return await handler(request)

    return guard


def _check_host(request: web.Request) -> None:
    transport = request.transport
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is not None and sock.family == socket.AF_UNIX:
        return
    hosts = request.headers.getall("Host", [])
    if len(hosts) != 1 or not _LOOPBACK.fullmatch(_without_port(hosts[0])):
        raise Fault(403, "foreign_host", "this listens for this machine only: ask for localhost, or set an admin token")


def _without_port(host: str) -> str:
    return re.sub(r":[0-9]{1,5}\Z", "", host)


def check_private(sockets: Iterable[socket.socket]) -> None:
    """UserError if others than this machine's programs can reach one of these, which were handed over at the start.

    They are listened at whatever the settings say of addresses, and without a token.
    """
    for one in sockets:
        if one.family != socket.AF_UNIX and not ipaddress.ip_address(one.getsockname()[0]).is_loopback:
            raise UserError(
                f"the socket of the admin API that was handed over listens at {one.getsockname()[0]}, which is no"
                " loopback address: set server.admin_token_file, or ListenStream= of the socket unit to a loopback"
                " address"
            )


def check_origin(request: web.Request) -> None:
    """Refuse what another site's page sends; programs send neither header."""
    if request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
        raise Fault(403, "foreign_origin", "this was sent by another site's page")
    origin = request.headers.get("Origin")
    if origin is not None and (_host_of(origin) or None) != request.headers.get("Host", "").lower():
        raise Fault(403, "foreign_origin", "this was sent by another site's page")


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        # Such as `http://[`: nobody's.
        return ""


def _carries(request: web.Request, digest: bytes) -> bool:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    given = value.strip()
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            given = ""
    elif scheme.lower() != "bearer":
        given = ""
    return hmac.compare_digest(hashlib.sha256(given.encode(errors="surrogateescape")).digest(), digest)


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
