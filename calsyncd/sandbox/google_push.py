"""Watch channels: what Google accepts, and the notifications that it sends."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import urlsplit

from calsyncd.sandbox.delivery import Postman
from calsyncd.sandbox.google_errors import bad, refusal
from calsyncd.sandbox.google_fields import CHANNEL

_ID = re.compile(r"[A-Za-z0-9\-_+/=]{1,64}")
_RETRIED = frozenset({500, 502, 503, 504})
AGENT = "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)"


@dataclass(slots=True)
class PushSwitches:
    """How notifications travel.

    Attributes:
        default_life: seconds that a channel lives when the request does not say.
        most_life: longer lives are cut to this.
        delay: seconds before a notification is sent.
        drop: so many of the next notifications are lost.
        duplicate: so many of the next notifications are sent twice.
        copies: notifications for each change.
        sync_first: send the `sync` message before answering the watch request.
        retry_delays: the pauses before further attempts after 500, 502, 503 or 504.
        seconds: how long an answer may take.
        unauthorized: https origins refused with `push.webhookUrlUnauthorized`.
        unsupported: calendars refused with `pushNotSupportedForRequestedResource`.
        after_stop: notifications still sent through a stopped channel.
        most_channels: a calendar that has so many living channels gets no further one; None for no limit.
        nobody_there: the status that stands for no answer at all, as a proxy before the receiver gives it; None: none.
        stop_again: the status with which a channel is stopped that is gone.
    """

    default_life: float = 7 * 86_400.0
    most_life: float = 30 * 86_400.0
    delay: float = 0.0
    drop: int = 0
    duplicate: int = 0
    copies: int = 1
    sync_first: bool = False
    retry_delays: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    seconds: float = 10.0
    unauthorized: set[str] = field(default_factory=set)
    unsupported: set[str] = field(default_factory=set)
    after_stop: int = 0
    most_channels: int | None = None
    nobody_there: int | None = None
    stop_again: int = 404


@dataclass(slots=True)
class Channel:
    """A channel as its maker left it; `number` is that of its last message."""

    id: str
    calendar: str
    resource_id: str
    resource_uri: str
    address: str
    token: str | None = field(repr=False)
    expires: float
    user: str
    maker: str
    number: int = 0
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Notification:
    """One attempt to notify; `status` is None when nobody answered, or it was dropped."""

    at: float
    channel: str
    calendar: str
    state: str
    number: int
    attempt: int
    status: int | None
    dropped: bool = False


class Push:
    """All channels of the project, and the deliveries under way."""

    def __init__(self, postman: Postman, now: Callable[[], float]) -> None:
        self.switches = PushSwitches()
        self.notifications: list[Notification] = []
        self.channels: dict[str, Channel] = {}
        self._of_calendar: dict[str, list[Channel]] = {}
        self._postman = postman
        self._now = now
        self._used: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._random = random.Random(7)  # noqa: S311 - gaps between message numbers

    async def watch(self, calendar: str, uri: str, user: str, maker: str, body: Any) -> dict[str, Any]:
        """Make a channel and announce it; returns the answer to the watch request."""
        channel = self._accepted(calendar, uri, user, maker, body)
        self.add(channel)
        if self.switches.sync_first:
            await self._send(channel, "sync", 1)
        else:
            self._start(channel, "sync")
        answer: dict[str, Any] = {
            "kind": "api#channel",
            "id": channel.id,
            "resourceId": channel.resource_id,
            "resourceUri": channel.resource_uri,
            "expiration": str(round(channel.expires * 1000)),
        }
        if channel.token is not None:
            answer["token"] = channel.token
        return answer

    def add(self, channel: Channel) -> None:
        """Have this channel, however it came to be."""
        self._used.add(channel.id)
        self.channels[channel.id] = channel
        self._of_calendar.setdefault(channel.calendar, []).append(channel)

    def stop(self, user: str, maker: str, body: Any) -> None:
        """Stop a channel; it is refused unless it lives and these credentials made it."""
        if not isinstance(body, dict) or not body.get("id") or not body.get("resourceId"):
            raise bad("id", "Required", "required")
        channel = self.channels.get(str(body["id"]))
        is_known = channel is not None and channel.resource_id == body["resourceId"] and self._is_live(channel)
        if channel is None or not is_known or (channel.user, channel.maker) != (user, maker):
            if self.switches.stop_again == 204:
                return
            message = f"Channel '{body['id']}' not found for project 'sandbox-project'"
            raise refusal(self.switches.stop_again, "notFound", message)
        channel.stopped = True

    def live(self, calendar: str | None = None) -> list[Channel]:
        """The channels that are neither stopped nor expired."""
        return [
            channel
            for channel in (self.channels.values() if calendar is None else self._of_calendar.get(calendar, ()))
            if self._is_live(channel)
        ]

    def changed(self, calendar: str, state: str = "exists") -> None:
        """Tell every channel of the calendar that something changed."""
        for channel in self._of_calendar.get(calendar, ()):
            is_late = channel.stopped and self.switches.after_stop > 0
            if not (self._is_live(channel) or is_late):
                continue
            if is_late:
                self.switches.after_stop -= 1
            for _ in range(self.switches.copies):
                self._start(channel, state)

    async def settle(self) -> None:
        """Wait until nothing is being delivered."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Give up all deliveries."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accepted(self, calendar: str, uri: str, user: str, maker: str, body: Any) -> Channel:
        if not isinstance(body, dict):
            raise refusal(400, "parseError", "Parse Error")
        for name in body:
            if name not in CHANNEL:
                raise refusal(400, "parseError", f"Unknown name {name}")
        name, address, token = body.get("id"), body.get("address"), body.get("token")
        if not isinstance(name, str) or not _ID.fullmatch(name):
            raise bad(
                "id", "Channel id must match [A-Za-z0-9\\-_\\+/=]+ and have at most 64 characters", "channelIdInvalid"
            )
        if body.get("type") not in {"web_hook", "webhook"}:
            raise refusal(400, "channelUnknown", f"Unknown channel type {body.get('type')}")
        if not isinstance(address, str) or not address:
            raise bad("address", "Required", "required")
        if token is not None and (not isinstance(token, str) or len(token) > 256):
            raise bad("token", "Channel token must have at most 256 characters", "invalid")
        if urlsplit(address).scheme != "https" or not urlsplit(address).netloc:
            raise refusal(400, "push.webhookUrlNotHttps", f"WebHook callback must be HTTPS: {address}")
        if f"https://{urlsplit(address).netloc}" in self.switches.unauthorized:
            raise refusal(401, "push.webhookUrlUnauthorized", f"Unauthorized WebHook callback channel: {address}")
        if calendar in self.switches.unsupported:
            raise refusal(
                400, "pushNotSupportedForRequestedResource", "Push notifications are not supported by this resource."
            )
        if name in self._used:
            raise refusal(400, "channelIdNotUnique", f"Channel id {name} not unique")
        most = self.switches.most_channels
        if most is not None and len(self.live(calendar)) >= most:
            raise refusal(403, "rateLimitExceeded", "Too many channels for this resource.")
        return Channel(
            id=name,
            calendar=calendar,
            resource_id=hashlib.sha256(f"events of {calendar}".encode()).hexdigest()[:27],
            resource_uri=uri,
            address=address,
            token=token,
            expires=self._now() + min(self._life(body), self.switches.most_life),
            user=user,
            maker=maker,
        )

    def _life(self, body: Mapping[str, Any]) -> float:
        params = body.get("params", {})
        if not isinstance(params, dict) or not all(isinstance(value, str) for value in params.values()):
            raise refusal(400, "parseError", "params must be a map of strings")
        if "ttl" in params:
            if not params["ttl"].isdigit() or int(params["ttl"]) < 1:
                raise bad("params.ttl", f"Invalid ttl {params['ttl']}", "invalid")
            return float(params["ttl"])
        if "expiration" in body:
            until = str(body["expiration"])
            if not until.isdigit() or int(until) / 1000 <= self._now():
                raise bad("expiration", "Channel expiration must be in the future", "channelExpirationInvalid")
            return int(until) / 1000 - self._now()
        return self.switches.default_life

    def _is_live(self, channel: Channel) -> bool:
        return not channel.stopped and channel.expires > self._now()

    def _start(self, channel: Channel, state: str) -> None:
        task = asyncio.create_task(self._deliver(channel, state, self._next_number(channel)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _next_number(self, channel: Channel) -> int:
        channel.number += 1 if channel.number == 0 else self._random.randint(1, 9)
        return channel.number

    async def _deliver(self, channel: Channel, state: str, number: int) -> None:
        if self.switches.drop > 0:
            self.switches.drop -= 1
            self._note(channel, state, number, 0, None, dropped=True)
            return
        await asyncio.sleep(self.switches.delay)
        if self.switches.duplicate > 0:
            self.switches.duplicate -= 1
            await self._send(channel, state, number)
        await self._send(channel, state, number)

    async def _send(self, channel: Channel, state: str, number: int) -> None:
        channel.number = max(channel.number, number)
        for attempt, pause in enumerate((0.0, *self.switches.retry_delays), start=1):
            await asyncio.sleep(pause)
            headers = self._headers(channel, state, number)
            status = await self._postman.post(channel.address, headers, b"", self.switches.seconds)
            status = status or self.switches.nobody_there
            self._note(channel, state, number, attempt, status)
            if status not in _RETRIED:
                return

    def _headers(self, channel: Channel, state: str, number: int) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json; utf-8",
            "User-Agent": AGENT,
            "Accept": "*/*",
            "X-Goog-Channel-ID": channel.id,
            "X-Goog-Channel-Expiration": formatdate(channel.expires, usegmt=True),
            "X-Goog-Resource-ID": channel.resource_id,
            "X-Goog-Resource-URI": channel.resource_uri,
            "X-Goog-Resource-State": state,
            "X-Goog-Message-Number": str(number),
        }
        if channel.token is not None:
            headers["X-Goog-Channel-Token"] = channel.token
        return headers

    def _note(
        self, channel: Channel, state: str, number: int, attempt: int, status: int | None, *, dropped: bool = False
    ) -> None:
        self.notifications.append(
            Notification(self._now(), channel.id, channel.calendar, state, number, attempt, status, dropped)
        )
