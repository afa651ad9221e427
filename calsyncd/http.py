"""One request, one attempt: time-outs, size limits, no redirects, no netrc, and errors that leak nothing.

Credentials travel in headers that the caller gives, never in aiohttp's `auth`, which follows redirects to other
hosts. aiohttp's own exceptions hold request headers in their representation: they end here.

aiohttp itself sends an idempotent request a second time when its connection breaks before the answer. For a read
that is left so: a connection that went stale while idle costs nothing. A write is never repeated: whether the first
one landed is for the caller to find out.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from calsyncd.errors import Unavailable
from calsyncd.resolver import Resolver

MAX_BODY_BYTES = 10 * 1024 * 1024
TIMEOUT = aiohttp.ClientTimeout(total=15.0, connect=5.0, sock_read=10.0)
KEEPALIVE_SECONDS = 45.0
GONE_SECONDS = 5.0
"""What was sent is acknowledged by then, or its connection is gone: a machine that slept, a NAT that forgot it."""


class Observer(Protocol):
    """Who is told of each request: the metrics, and the clock's check against the services' clocks."""

    def request_done(self, service: str, route: str, status: int | None, seconds: float) -> None:
        """A request ended, with a status or without an answer."""
        ...

    def date_seen(self, service: str, date: float) -> None:
        """An answer carried this `Date`."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `data` is its JSON, or None when it held none."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    data: Any = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status is a success."""
        return 200 <= self.status < 300


class Http:
    """All outward requests of the process. Use as an async context manager."""

    def __init__(self, observer: Observer, environ: Mapping[str, str]) -> None:
        self._observer = observer
        self._environ = {name: value for name, value in environ.items() if name.lower().endswith("_proxy")}
        self._resolver = Resolver()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the connections."""
        connector = aiohttp.TCPConnector(
            limit=100,
            keepalive_timeout=KEEPALIVE_SECONDS,
            resolver=self._resolver,
            socket_factory=_socket,
            use_dns_cache=False,
            ssl=tls_context(),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=TIMEOUT,
            trust_env=False,
            auto_decompress=True,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "calsyncd"},
            middlewares=(_writes_once,),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close them."""
        if self._session is not None:
            await self._session.close()

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
        """Send once and read the whole answer, whatever its status.

        `route` names the kind of request for metrics. Raises `Unavailable` when no whole answer came, when it was
        a redirect, or when a success held something else than JSON.
        """
        assert self._session is not None  # noqa: S101 - used inside `async with`
        loop = asyncio.get_running_loop()
        began = loop.time()
        status: int | None = None
        try:
            async with self._session.request(
                method,
                _with_query(url, query),
                headers=headers,
                json=body,
                data=form,
                allow_redirects=False,
                proxy=proxy_for(url, self._environ),
            ) as response:
                status = response.status
                raw = await _read(response, service)
                answer_headers = {name.lower(): value for name, value in response.headers.items()}
        except aiohttp.ClientConnectorCertificateError as error:
            self._resolver.doubt()
            raise _unavailable(
                service,
                "certificate",
                f"{service}'s certificate is not trusted ({error.host}): {reason_of(error)}",
                landed=False,
            ) from None
        except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError, ProxyFault) as error:
            self._resolver.doubt()
            raise _unavailable(
                service, "unreachable", f"{service} cannot be reached: {reason_of(error)}", landed=False
            ) from None
        except aiohttp.ConnectionTimeoutError:
            self._resolver.doubt()
            raise _unavailable(
                service, "unreachable", f"{service} cannot be reached: no connection in time", landed=False
            ) from None
        except TimeoutError:
            raise _unavailable(service, "timeout", f"{service} did not answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _unavailable(service, "broken", f"{service}'s answer broke off: {type(error).__name__}") from None
        finally:
            self._observer.request_done(service, route, status, loop.time() - began)
        self._tell_date(service, answer_headers.get("date"))
        return _answer(service, status, answer_headers, raw)

    def _tell_date(self, service: str, value: str | None) -> None:
        if value is None:
            return
        try:
            date = parsedate_to_datetime(value)
            date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
        except (ValueError, TypeError, OverflowError):
            return
        self._observer.date_seen(service, date.timestamp())


def tls_context() -> ssl.SSLContext:
    """Whom the system trusts, by TLS 1.2 or newer: some builds of Python leave that to OpenSSL's settings."""
    context = ssl.create_default_context()
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    return context


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(GONE_SECONDS * 1000))
    return made


class ProxyFault(ValueError):
    """The proxy that the environment names is none that can be used; the message does not quote it."""


class _BrokenOffError(aiohttp.ClientError):
    """The connection of a write broke: an error that aiohttp does not take as a reason to send it again."""


async def _writes_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await send(request)
    except (aiohttp.ClientConnectorError, aiohttp.ClientConnectorCertificateError, aiohttp.ServerTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if request.method == "GET":
            raise
        raise _BrokenOffError(type(error).__name__) from None


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name for `url`, if any. ProxyFault: no address."""
    parts = urlsplit(url)
    lowered = {name.lower(): value for name, value in environ.items()}
    proxy = lowered.get(f"{parts.scheme}_proxy")
    if not proxy:
        return None
    no = {"no": lowered.get("no_proxy", "")}
    bypass: bool = urllib.request.proxy_bypass_environment(parts.netloc, no)  # type: ignore[attr-defined]
    if bypass:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        address = URL(proxy)
        fit = address.scheme in {"http", "https"} and bool(address.host)
    except ValueError:
        fit = False
    if not fit:
        raise ProxyFault(f"{parts.scheme.upper()}_PROXY is no address such as http://proxy.example.com:3128")
    return proxy


def proxy_secrets(environ: Mapping[str, str]) -> set[str]:
    """The passwords in the addresses of the environment's proxies, as they stand there and as they are sent."""
    found = set[str]()
    for name, value in environ.items():
        userinfo, at, _ = value.rpartition("@")
        if name.lower().endswith("_proxy") and at:
            password = userinfo.rpartition("//")[2].partition(":")[2]
            found |= {password, urllib.parse.unquote(password)}
    return found - {""}


def _with_query(url: str, query: Mapping[str, str] | None) -> URL:
    # encoded=True keeps the percent-encoding of calendar ids in the path.
    whole = URL(url, encoded=True)
    return whole.update_query(query) if query else whole


async def _read(response: aiohttp.ClientResponse, service: str) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(65536):
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            response.close()
            raise _unavailable(service, "too_large", f"{service}'s answer is larger than {MAX_BODY_BYTES} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _answer(service: str, status: int, headers: Mapping[str, str], raw: bytes) -> Answer:
    if 300 <= status < 400:
        raise _unavailable(service, "redirect", f"{service} answered with a redirect ({status})", status=status)
    data: Any = None
    if raw.strip():
        try:
            data = _whole_characters(raw, json.loads(raw, parse_constant=_no_number))
        except (ValueError, RecursionError):
            if 200 <= status < 300:
                kind = headers.get("content-type", "no content type")[:60]
                raise _unavailable(
                    service, "malformed", f"{service} answered {status} without JSON ({kind})", status=status
                ) from None
    return Answer(status, headers, data)


def _no_number(name: str) -> None:
    raise ValueError(name)


def _whole_characters(raw: bytes, data: Any) -> Any:
    """Parsed JSON without unpaired surrogates, which can neither be stored nor shown."""
    if b"\\ud" not in raw and b"\\uD" not in raw:
        return data
    return json.loads(json.dumps(data, ensure_ascii=False).encode(errors="replace"))


def reason_of(error: Exception) -> str:
    """Why no answer came, in a few words without anything of the request; which proxy is at fault is told."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        if error.status == 407:
            return "the proxy in HTTPS_PROXY wants a user and password, or others than ours (407)"
        return f"the proxy in HTTPS_PROXY does not lead there ({error.status})"
    if isinstance(error, ProxyFault):
        return str(error)
    why = _cause(error)
    return f"the proxy in HTTPS_PROXY: {why}" if isinstance(error, aiohttp.ClientProxyConnectionError) else why


def _cause(error: Exception) -> str:
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
    if isinstance(cause, ConnectionError) and cause.errno:
        return os.strerror(cause.errno)
    if isinstance(cause, OSError | ssl.CertificateError) and cause.strerror:
        return str(cause.strerror)
    return getattr(cause, "verify_message", None) or type(cause or error).__name__


def _unavailable(
    service: str, code: str, message: str, *, status: int | None = None, landed: bool = True
) -> Unavailable:
    return Unavailable(message, service=service, code=code, status=status, landed=landed)
