"""The cookies of flows: one for each that is under way, so that no tab's answer touches what another tab has begun.

With a navigation of a whole tab to GET a browser takes and sends cookies that are `SameSite=Lax`; `Strict` would be
withheld on the way back from Google or Aircall, and `None` would be sent with what another site embeds.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

FLOW_SECONDS = 600
"""How long a flow that was begun can be finished. A code of Aircall's lives no longer."""

MAX_FLOWS = 3
"""So many flows of a kind can be under way in one browser; an older one is forgotten."""

_VALUE = re.compile(r"[A-Za-z0-9_-]{1,2048}")


@dataclass(frozen=True, slots=True)
class Started:
    """A flow has begun: the browser goes to `url`, and keeps `cookie`, which is base64url, under `state`."""

    url: str
    state: str = field(repr=False)
    cookie: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Cookies:
    """Those of one kind of flow, such as "calsyncd"; `secure`: browsers come by https."""

    kind: str
    secure: bool

    def read(self, request: web.Request, state: str) -> str:
        """What this browser keeps under `state`; "" where that is missing, sent twice, or not of our characters."""
        found = [value for name, value in _sent(request) if name == self._name(state)]
        return found[0] if len(found) == 1 and _VALUE.fullmatch(found[0]) else ""

    def keep(self, request: web.Request, response: web.Response, started: Started) -> None:
        """Have the browser that sent `request` keep this, and forget the oldest of what it sent if it is too much."""
        ours = re.compile(re.escape(f"{self._prefix}-") + "[0-9a-f]{16}")
        # The oldest come first: RFC 6265, 5.4.
        names = list(dict.fromkeys(name for name, _ in _sent(request) if ours.fullmatch(name)))
        for name in names[: max(0, len(names) + 1 - MAX_FLOWS)]:
            self._set(response, name, "")
        self._set(response, self._name(started.state), started.cookie)

    def drop(self, response: web.Response, state: str) -> None:
        """Have the browser forget what it keeps under `state`."""
        self._set(response, self._name(state), "")

    @property
    def _prefix(self) -> str:
        # With `__Host-`, no neighbour under the same domain can set it.
        return f"__Host-{self.kind}" if self.secure else self.kind

    def _name(self, state: str) -> str:
        return f"{self._prefix}-{hashlib.sha256(state.encode(errors='replace')).hexdigest()[:16]}"

    def _set(self, response: web.Response, name: str, value: str) -> None:
        life = FLOW_SECONDS if value else 0
        secure = "; Secure" if self.secure else ""
        response.headers.add("Set-Cookie", f"{name}={value}; Path=/; Max-Age={life}; HttpOnly; SameSite=Lax{secure}")


def _sent(request: web.Request) -> list[tuple[str, str]]:
    return [
        (name.strip(), value.strip())
        for header in request.headers.getall("Cookie", [])
        for part in header.split(";")
        for name, _, value in [part.partition("=")]
    ]
