"""Google's push channels: which to open and close, how far each is to be trusted, and who may speak for one.

Facts are from the guides: a channel's id is never reused; only the returned expiration counts; the first
message is `sync`; messages may come after a stop; no call lists channels.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal
from urllib.parse import unquote, urlsplit

Health = Literal["healthy", "unverified", "expired", "silent", "off"]

ANSWER_SECONDS = 60.0
VERIFY_SECONDS = 10 * 60.0
RENEW_FROM = 0.5
RENEW_SPREAD = 0.25
ANNOUNCED_BEFORE_SECONDS = 60.0
ANNOUNCED_AFTER_SECONDS = 30.0


class Verdict(Enum):
    """What became of a notification."""

    GENUINE = "genuine"
    UNKNOWN = "unknown"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Notification:
    """What Google's headers said, well formed but not yet believed.

    `expiration` is epoch seconds; it, `message_number` and the resource are None when absent or unreadable: nothing
    hangs on them.
    """

    channel_id: str
    token: str = field(repr=False)
    state: str
    resource_id: str | None = None
    resource_uri: str | None = None
    message_number: int | None = None
    expiration: float | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a calendar. `resource` and `expires_at` are None until Google has answered.

    `address` is where it delivers; `verified_at` is when its first message came; `renew_at` is when its
    successor is due.
    """

    id: str
    calendar: str
    address: str
    created_at: float
    resource: str | None = None
    expires_at: float | None = None
    renew_at: float | None = None
    verified_at: float | None = None

    def lives(self, now: float) -> bool:
        """Whether it may still deliver: not expired, and if unanswered, young."""
        if self.expires_at is not None:
            return now < self.expires_at
        return self.verified_at is not None or now < self.created_at + ANSWER_SECONDS

    @property
    def successor_due(self) -> float | None:
        """When another is to be opened; None while this one's answer is waited for."""
        if self.verified_at is None:
            if self.expires_at is None:
                return None
            unverified = self.created_at + VERIFY_SECONDS
            return unverified if self.renew_at is None else min(self.renew_at, unverified)
        if self.renew_at is not None:
            return self.renew_at
        # Its answer was lost. A message may have told its end; if none did, one with a known end is to follow it.
        if self.expires_at is not None:
            return renew_at(self.created_at, self.expires_at, 0.0)
        return self.created_at + VERIFY_SECONDS


@dataclass(frozen=True, slots=True)
class Opened:
    """What Google says of a channel that it opened."""

    resource: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What a calendar's channels need: whether to open one, which to stop or forget, and when to look again."""

    create: bool
    stop: tuple[Channel, ...]
    forget: tuple[Channel, ...]
    again: float | None


def upkeep(channels: Iterable[Channel], address: str | None, now: float) -> Upkeep:
    """What to do about one calendar's channels; `address` is None when there is to be no push.

    A successor opens well before the end; both stay until the new one is verified, then the old one is
    stopped. There are never more than two: a successor that is never verified goes before an old one that works.
    """
    rows = sorted(channels, key=lambda channel: channel.created_at)
    forget = tuple(channel for channel in rows if not channel.lives(now))
    living = [channel for channel in rows if channel.lives(now)]
    if address is None:
        return Upkeep(create=False, stop=tuple(living), forget=forget, again=None)
    misplaced = tuple(channel for channel in living if channel.address != address)
    placed = [channel for channel in living if channel.address == address]
    if not placed:
        return Upkeep(create=True, stop=misplaced, forget=forget, again=None)
    newest, older = placed[-1], placed[:-1]
    beside: Channel | None = None
    if newest.verified_at is None and older:
        beside = next((channel for channel in reversed(older) if channel.verified_at is not None), older[-1])
    stop = [*misplaced, *(channel for channel in older if channel is not beside)]
    due = newest.successor_due
    create = due is not None and now >= due
    if create and beside is not None:
        stop.append(beside if beside.verified_at is None else newest)
    ends = [channel.expires_at for channel in placed if channel.expires_at is not None]
    unanswered = [channel.created_at + ANSWER_SECONDS for channel in placed if channel.expires_at is None]
    later = [at for at in (*ends, *unanswered, due) if at is not None and at > now]
    return Upkeep(create=create, stop=tuple(stop), forget=forget, again=min(later, default=None))


def renew_at(created_at: float, expires_at: float, chance: float) -> float:
    """When the successor of a channel is due: between a half and three quarters of its life."""
    return created_at + (expires_at - created_at) * (RENEW_FROM + RENEW_SPREAD * chance)


def health(
    channels: Iterable[Channel],
    *,
    wanted: bool,
    heard_at: float,
    missed_at: float | None,
    now: float,
    unreachable: bool = False,
) -> Health:
    """How far push is to be trusted. `missed_at` is when a poll found what no message had told.

    `heard_at` is when the last genuine message came. A poll may overtake its message, so a miss counts only
    when no message came shortly before or after. Where we are `unreachable`, whatever is open is silent.
    """
    if not wanted:
        return "off"
    rows = list(channels)
    living = [channel for channel in rows if channel.lives(now)]
    if not living:
        return "expired" if rows else "unverified"
    if not any(channel.verified_at is not None for channel in living):
        return "unverified"
    if unreachable:
        return "silent"
    if missed_at is not None and heard_at < missed_at - ANNOUNCED_BEFORE_SECONDS:
        return "silent" if now >= missed_at + ANNOUNCED_AFTER_SECONDS else "healthy"
    return "healthy"


def poll_interval(
    push: Health, *, with_push: float | None, without_push: float, calendars: int, requests_per_day: int
) -> float:
    """Seconds between polls of a calendar; `with_push` None means automatic.

    Stretched, to an hour at most, so that all calendars together keep the daily allowance. A tenth of it is left for
    baselines, channels and what notifications ask for.
    """
    chosen = (with_push or 300.0) if push == "healthy" else without_push
    if push == "healthy" and with_push is not None:
        return chosen
    affordable = calendars * 86400.0 / max(1.0, requests_per_day * 0.9)
    return max(chosen, min(affordable, 3600.0))


def token_of(key: bytes, channel_id: str) -> str:
    """The token that proves a message to be ours by `key` alone, even after the database was lost."""
    digest = hmac.new(key, b"calsyncd channel " + channel_id.encode("utf-8", "replace"), hashlib.sha256).digest()
    return "c1." + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def is_genuine(key: bytes, channel_id: str, token: str) -> bool:
    """Whether `token` belongs to `channel_id`; takes the same time whatever is wrong with it."""
    presented = hashlib.sha256(token.encode("utf-8", "replace")).digest()
    expected = hashlib.sha256(token_of(key, channel_id).encode()).digest()
    return hmac.compare_digest(presented, expected)


def calendar_in_uri(resource_uri: str) -> str | None:
    """The calendar id that a message's resource URI names."""
    try:
        parts = urlsplit(resource_uri).path.split("/")
    except ValueError:
        return None
    if "calendars" in parts[:-1]:
        return unquote(parts[parts.index("calendars") + 1]) or None
    return None
