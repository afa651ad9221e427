"""Aircall's webhook of ours: which of those that Aircall lists is ours, what it needs, and who may speak for it.

Facts: making one is not idempotent, so they are listed first; leaving the events out subscribes to all of them, on
POST and on PUT; the list shows each one's token in clear; after too many failed deliveries Aircall switches one off.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

NAME = "calsyncd"
OPENED, CLOSED = "user.opened.v2", "user.closed.v2"
CONNECTED, DISCONNECTED = "user.connected.v2", "user.disconnected.v2"
CREATED, DELETED = "user.created.v2", "user.deleted.v2"

REMOVED = "integration.deleted"
"""An app was removed from the company. What its `data` holds was never seen in print."""

EVENTS = (OPENED, CLOSED, CREATED, DELETED, CONNECTED, DISCONNECTED)
"""What is subscribed to, of users. The names without `.v2` are deprecated, and doubling them doubles the traffic."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one message said, well formed but not yet believed; None what it did not say, or not readably.

    `at` is when it happened, by Aircall's clock and in whole seconds: a delivery that is tried again keeps it.
    """

    token: str = field(repr=False)
    event: str
    user: int | None = None
    status: str | None = None
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook as Aircall shows it; `events` or `token` are None where the answer lacks them."""

    id: str
    url: str
    active: bool
    events: frozenset[str] | None
    token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What is to be done: `keep` is the one that stays, None to make one; `change` that it needs a PUT."""

    ours: tuple[Webhook, ...]
    keep: Webhook | None
    change: bool
    remove: tuple[Webhook, ...]


def upkeep(
    listed: Iterable[Webhook], address: str, known: Container[str] = (), events: Iterable[str] = EVENTS
) -> Upkeep:
    """What our webhook needs to tell of `events`. Whichever leads to `address` is ours, whoever made it; one is enough.

    So is whose id is `known` to be ours, however its address is shown: else each check might make another one.
    """
    ours = tuple(one for one in listed if one.id in known or _place(one.url) == _place(address))
    wanted = frozenset(events)
    ranked = sorted(ours, key=lambda one: _needs_change(one, wanted))
    keep = ranked[0] if ranked else None
    return Upkeep(ours, keep, keep is not None and _needs_change(keep, wanted), tuple(ranked[1:]))


def _needs_change(webhook: Webhook, wanted: frozenset[str]) -> bool:
    other_events = webhook.events is not None and webhook.events != wanted
    return not webhook.active or other_events or webhook.token is None


def _place(url: str) -> tuple[str, str, str, str] | None:
    """What a URL leads to; None for what is no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts.scheme.lower(), parts.netloc.lower(), parts.path.rstrip("/"), parts.query


class Tokens:
    """The tokens by which messages are known to be genuine, by webhook; only their digests are kept."""

    def __init__(self) -> None:
        self._digests: dict[str, bytes] = {}

    def replace(self, webhooks: Iterable[Webhook]) -> None:
        """Believe exactly these webhooks."""
        self._digests = {one.id: _digest(one.token) for one in webhooks if one.token is not None}

    @property
    def ids(self) -> Container[str]:
        """The ids of the webhooks that are believed."""
        return self._digests.keys()

    def add(self, webhook: Webhook) -> None:
        """Believe this one too."""
        if webhook.token is not None:
            self._digests[webhook.id] = _digest(webhook.token)

    def forget(self, webhook_id: str) -> None:
        """Believe this one no more."""
        self._digests.pop(webhook_id, None)

    def __bool__(self) -> bool:
        """Whether any is believed."""
        return bool(self._digests)

    def includes(self, token: str) -> bool:
        """Whether `token` is one of them; how long that takes tells nothing of them."""
        presented = _digest(token)
        return sum(hmac.compare_digest(presented, known) for known in self._digests.values()) > 0


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
