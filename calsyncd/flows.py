"""Flows through a browser: whoever brings an answer must have begun, in the same browser, and each answer counts once.

What was begun stands, encrypted and dated, in that browser's cookie and nowhere else: strangers who begin cost no
memory. What of it has been used is remembered for as long as the cookie counts.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from calsyncd.web.cookies import FLOW_SECONDS

MAX_USED = 20_000


class Boxes(Protocol):
    """What is asked of the vault."""

    def box(self, content: bytes) -> bytes:
        """Encrypt and date."""
        ...

    def unbox(self, boxed: bytes, seconds: float) -> bytes | None:
        """What was boxed at most so many seconds ago."""
        ...


class Flows:
    """Those that one kind of caller begins and ends; `monotonic` gives seconds.

    A `purpose` says what a flow is for, by which client and at which address: one that was begun for another counts
    for nothing.
    """

    def __init__(self, boxes: Boxes, monotonic: Callable[[], float]) -> None:
        self._boxes = boxes
        self._monotonic = monotonic
        self._used: OrderedDict[str, float] = OrderedDict()

    def begin(self, purpose: str, **facts: str) -> tuple[str, str]:
        """(state, cookie) of a flow to which these facts belong."""
        state = unguessable()
        content = json.dumps({"for": _short(purpose), "state": state, "facts": facts}, separators=(",", ":"))
        return state, self._boxes.box(content.encode()).decode().rstrip("=")

    def find(self, purpose: str, cookie: str, state: str) -> dict[str, str] | None:
        """The facts of the flow that began with this state in the browser that has this cookie; None: it did not."""
        content = self._boxes.unbox(cookie.encode() + b"=" * (-len(cookie) % 4), FLOW_SECONDS) if cookie else None
        kept = json.loads(content) if content is not None else {}
        if not isinstance(kept, dict) or kept.get("for") != _short(purpose):
            # Only we can have made it, but perhaps for something else, or for another client before.
            return None
        is_it = hmac.compare_digest(str(kept.get("state")).encode(), state.encode(errors="replace"))
        return dict(kept["facts"]) if is_it else None

    def is_used(self, state: str) -> bool:
        """Whether an answer to the flow with this state has counted."""
        return state in self._used

    def use(self, state: str) -> None:
        """An answer to the flow with this state counts; none does again."""
        now = self._monotonic()
        self._used[state] = now
        while len(self._used) > MAX_USED or now - next(iter(self._used.values())) > 2 * FLOW_SECONDS:
            self._used.popitem(last=False)


def _short(purpose: str) -> str:
    # All cookies together must fit into one header.
    return hashlib.sha256(purpose.encode()).hexdigest()[:16]


def unguessable() -> str:
    """A state, nonce or PKCE verifier: 32 random bytes as 43 characters, as RFC 7636 4.1 recommends."""
    return secrets.token_urlsafe(32)
