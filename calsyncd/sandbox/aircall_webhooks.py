"""Aircall's webhooks: their registry, and the delivery of `user.*` events."""

from __future__ import annotations

import asyncio
import json
import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from calsyncd.sandbox.delivery import Postman
from calsyncd.sandbox.google_times import stamp

MOST_WEBHOOKS = 100
_USER = ("created", "deleted", "connected", "disconnected", "opened", "closed", "wut_start", "wut_end")
_CALL = (
    *("created", "ringing_on_agent", "agent_declined", "answered", "transferred", "external_transferred"),
    *("unsuccessful_transfer", "hungup", "ended", "hold", "unhold", "ivr_option_selected", "comm_assets_generated"),
    *("voicemail_left", "assigned", "archived", "tagged", "untagged", "commented"),
)
REMOVED = "integration.deleted"
EVENTS = (
    *(f"user.{name}.v2" for name in _USER),
    *(f"user.{name}" for name in _USER),
    *(f"call.{name}" for name in _CALL),
    REMOVED,
)
"""Every event that a webhook can name; all of them are subscribed when none is named."""


@dataclass(slots=True)
class Webhook:
    """One registered webhook; the token is shown in clear by Aircall, and hidden from reprs here.

    `app` is the company at which an installed app made it; None: somebody with an API key did.
    """

    id: str
    url: str
    name: str
    events: tuple[str, ...]
    created_at: str
    active: bool = True
    token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    app: int | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to deliver an event; `status` is None when nobody answered. `user` is 0 for those of no user."""

    at: float
    webhook: str
    event: str
    user: int
    attempt: int
    status: int | None


@dataclass(slots=True)
class WebhookSwitches:
    """How events travel.

    Attributes:
        delay: seconds before an event is sent.
        drop: so many of the next events are lost.
        duplicate: so many of the next events are sent twice.
        retry_delays: the pauses before further attempts after anything but 2xx; then the webhook is disabled.
        seconds: how long an answer may take.
    """

    delay: float = 0.0
    drop: int = 0
    duplicate: int = 0
    retry_delays: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    seconds: float = 5.0


class Webhooks:
    """The company's webhooks, and the deliveries under way."""

    def __init__(self, postman: Postman, now: Callable[[], float]) -> None:
        self.switches = WebhookSwitches()
        self.by_id: dict[str, Webhook] = {}
        self.deliveries: list[Delivery] = []
        self._postman = postman
        self._now = now
        self._tasks: set[asyncio.Task[None]] = set()

    def problem(self, body: Mapping[str, Any]) -> str | None:
        """What is wrong with a request to make or change a webhook."""
        url = body.get("url")
        if "url" in body and (not isinstance(url, str) or urlsplit(url).scheme != "https" or not urlsplit(url).netloc):
            return "url must be a valid https URL"
        events = body.get("events")
        if events is not None and (not isinstance(events, list) or not set(events) <= set(EVENTS)):
            return "events must be a list of known events"
        if set(body) - {"custom_name", "url", "events", "active"}:
            return "unknown parameter"
        return None

    def add(self, body: Mapping[str, Any], app: int | None = None) -> Webhook:
        """Register a webhook; without `events` it gets all of them."""
        webhook = Webhook(
            id=str(uuid.uuid4()),
            url=str(body["url"]),
            name=str(body.get("custom_name", "Webhook")),
            events=tuple(body.get("events") or EVENTS),
            created_at=stamp(self._now()),
            app=app,
        )
        self.by_id[webhook.id] = webhook
        return webhook

    def change(self, webhook: Webhook, body: Mapping[str, Any]) -> None:
        """Change a webhook; leaving `events` out subscribes it to all."""
        webhook.url = str(body.get("url", webhook.url))
        webhook.active = bool(body.get("active", webhook.active))
        webhook.name = str(body.get("custom_name", webhook.name))
        webhook.events = tuple(body.get("events") or EVENTS)

    def emit(self, event: str, user: int, data: Mapping[str, Any], at: float | None = None) -> None:
        """Send a `user.*` event, named without `.v2`, to every active webhook that wants it."""
        for webhook in self.by_id.values():
            for name in (f"{event}.v2", event):
                if webhook.active and name in webhook.events:
                    self._start(webhook, name, user, data, self._now() if at is None else at)

    def emit_removal(self, app: int, data: Mapping[str, Any]) -> None:
        """Tell the app's webhooks that it is removed; what the message's `data` holds is a guess."""
        for webhook in self.by_id.values():
            if webhook.active and webhook.app == app and REMOVED in webhook.events:
                self._start(webhook, REMOVED, 0, data, self._now())

    def drop(self, app: int) -> None:
        """The app's webhooks go with it."""
        self.by_id = {name: webhook for name, webhook in self.by_id.items() if webhook.app != app}

    async def settle(self) -> None:
        """Wait until nothing is being delivered."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Give up all deliveries."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, webhook: Webhook, name: str, user: int, data: Mapping[str, Any], at: float) -> None:
        envelope = {
            "resource": name.partition(".")[0],
            "event": name,
            "timestamp": int(at),
            "token": webhook.token,
            "data": dict(data),
        }
        task = asyncio.create_task(self._deliver(webhook, name, user, json.dumps(envelope).encode()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, webhook: Webhook, name: str, user: int, body: bytes) -> None:
        if self.switches.drop > 0:
            self.switches.drop -= 1
            return
        await asyncio.sleep(self.switches.delay)
        if self.switches.duplicate > 0:
            self.switches.duplicate -= 1
            await self._send(webhook, name, user, body)
        await self._send(webhook, name, user, body)

    async def _send(self, webhook: Webhook, name: str, user: int, body: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        for attempt, pause in enumerate((0.0, *self.switches.retry_delays), start=1):
            await asyncio.sleep(pause)
            status = await self._postman.post(webhook.url, headers, body, self.switches.seconds)
            self.deliveries.append(Delivery(self._now(), webhook.id, name, user, attempt, status))
            if status is not None and 200 <= status < 300:
                return
        webhook.active = False


def show_webhook(webhook: Webhook, origin: str) -> dict[str, Any]:
    """A webhook as the API shows it."""
    return {
        "webhook_id": webhook.id,
        "direct_link": f"{origin}/v1/webhooks/{webhook.id}",
        "created_at": webhook.created_at,
        "custom_name": webhook.name,
        "url": webhook.url,
        "active": webhook.active,
        "events": list(webhook.events),
        "token": webhook.token,
    }
