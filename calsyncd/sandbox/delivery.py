"""How the sandbox reaches the daemon's webhooks: its own ngrok, on loopback only."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiohttp

PUBLIC_ORIGIN = "https://demo.calsyncd.test"
"""The https origin that stands for the daemon; what is sent there goes to `deliver_to`."""

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Postman:
    """Delivers what is posted to a public https origin to the loopback address mapped to it."""

    def __init__(self) -> None:
        self._routes: dict[str, str] = {}
        self._session: aiohttp.ClientSession | None = None
        self.undeliverable: list[str] = []

    @property
    def deliver_to(self) -> str | None:
        """The base URL behind `PUBLIC_ORIGIN`; None while nothing is there."""
        return self._routes.get(PUBLIC_ORIGIN)

    @deliver_to.setter
    def deliver_to(self, base: str | None) -> None:
        self.map(PUBLIC_ORIGIN, base)

    def map(self, origin: str, base: str | None) -> None:
        """Deliver what is sent to `origin` to `base`, an http URL on loopback; None: no more."""
        if base is None:
            self._routes.pop(origin.rstrip("/"), None)
            return
        if urlsplit(base).scheme != "http" or urlsplit(base).hostname not in _LOOPBACK:
            raise ValueError(f"only http addresses on loopback are contacted, not {base}")
        self._routes[origin.rstrip("/")] = base.rstrip("/")

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> int | None:
        """POST and return the status; None where nobody is mapped or nobody answered in time."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        base = self._routes.get(origin)
        if base is None or self._session is None:
            self.undeliverable.append(url)
            return None
        target = base + url[len(origin) :]
        limit = aiohttp.ClientTimeout(total=seconds)
        try:
            async with self._session.post(
                target,
                data=body,
                headers={"Host": parts.netloc, "X-Forwarded-Proto": "https", **headers},
                timeout=limit,
                allow_redirects=False,
            ) as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
