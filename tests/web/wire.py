"""Raw sockets and small owners of the callables, for talking to the listeners as strangers would."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from calsyncd.core.channels import Notification, Verdict
from calsyncd.core.webhooks import Delivery
from calsyncd.web.public import Health, public_app

if TYPE_CHECKING:
    from aiohttp import web

NOTIFY = "/webhooks/google/notifications"
HOOK = "/webhooks/aircall"
TOKEN = "t0ken-of-the-channel"
HOOK_TOKEN = "45XXYYZZa08"
GOOGLE = {
    "X-Goog-Channel-ID": "4ba78bf0-6a47-11e2-bcfd-0800200c9a66",
    "X-Goog-Channel-Token": TOKEN,
    "X-Goog-Channel-Expiration": "Fri, 27 Nov 2026 09:00:00 GMT",
    "X-Goog-Resource-ID": "o3hgv1538sdjfh",
    "X-Goog-Resource-URI": "https://www.googleapis.com/calendar/v3/calendars/primary/events?alt=json",
    "X-Goog-Resource-State": "exists",
    "X-Goog-Message-Number": "10",
}


MESSAGE: dict[str, Any] = {
    "event": "user.closed.v2",
    "resource": "user",
    "timestamp": 1763683200,
    "token": HOOK_TOKEN,
    "data": {
        "id": 456,
        "direct_link": "https://api.aircall.io/v2/users/456",
        "name": "John Doe",
        "email": "john.doe@example.com",
        "available": False,
        "availability_status": "unavailable",
        "created_at": "2019-12-29T10:03:18.000Z",
        "time_zone": "America/New_York",
        "language": "en-US",
        "substatus": "out_for_lunch",
        "wrap_up_time": 0,
        "extension": "001",
    },
}


@dataclass
class Google:
    """An owner of channels and of a webhook: believes one token of each, remembers what it was told."""

    busy: bool = False
    well: bool = True
    seen: list[Notification] = field(default_factory=list)
    counts: list[str] = field(default_factory=list)
    told: list[Delivery] = field(default_factory=list)

    def notify(self, notification: Notification) -> Verdict:
        self.seen.append(notification)
        if self.busy:
            return Verdict.BUSY
        return Verdict.GENUINE if notification.token == TOKEN else Verdict.UNKNOWN

    def take(self, delivery: Delivery) -> bool:
        self.told.append(delivery)
        return delivery.token == HOOK_TOKEN

    def health(self) -> Health:
        return Health(self.well, "" if self.well else "the database does not answer")

    def prove(self, nonce: str) -> str:
        return f"proof of {nonce}"

    def app(self) -> web.Application:
        return public_app(
            notify=self.notify, told=self.take, health=self.health, prove=self.prove, count=self.counts.append
        )


def request(
    path: str = NOTIFY,
    headers: dict[str, str] | None = None,
    *,
    method: str = "POST",
    more: str = "",
    body: bytes = b"",
) -> bytes:
    """The bytes of one request; `more` are further header lines, as they should stand on the wire."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in (GOOGLE if headers is None else headers).items())
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{lines}{more}\r\n".encode("utf-8", "surrogateescape") + body


def message(raw: bytes | None = None, **changes: Any) -> bytes:
    """The bytes of one of Aircall's deliveries, with other fields or another body."""
    raw = json.dumps(MESSAGE | changes).encode() if raw is None else raw
    return request(HOOK, {"Content-Type": "application/json"}, more=f"Content-Length: {len(raw)}\r\n", body=raw)


async def connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A plain connection to an address that `serve` gave."""
    if address.startswith("unix:"):
        return await asyncio.open_unix_connection(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host.strip("[]"), int(port))


async def send(address: str, raw: bytes, *, seconds: float = 5.0) -> bytes:
    """Everything that comes back for `raw` until the other side closes."""
    reader, writer = await connect(address)
    try:
        writer.write(raw)
        return await until_closed(reader, seconds=seconds)
    finally:
        writer.close()


async def until_closed(reader: asyncio.StreamReader, *, seconds: float = 5.0) -> bytes:
    """Everything that still comes; a reset is an end too."""
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(seconds):
            while part := await reader.read(65536):
                parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def status(answer: bytes) -> int:
    """The status of a raw answer; 0 when there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else 0


def body(answer: bytes) -> bytes:
    """What follows the headers of a raw answer."""
    return answer.partition(b"\r\n\r\n")[2]
