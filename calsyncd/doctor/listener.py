"""A webhook of the probe's own, for as long as it runs: what Aircall tells of the test user's changes, and when."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import web

from calsyncd.core.webhooks import CLOSED, OPENED, Webhook
from calsyncd.doctor.aircall import all_webhooks
from calsyncd.doctor.examined import Examined
from calsyncd.doctor.public import daemon_answers
from calsyncd.doctor.wire import Clock
from calsyncd.errors import ServiceError
from calsyncd.routes import AIRCALL_WEBHOOK
from calsyncd.web.server import serve

MAX_BODY = 64 * 1024
_OURS = f"{AIRCALL_WEBHOOK}/probe-"
"""Before the word that is each probe's own."""


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery: when it came, and what it tells."""

    at: float
    event: str


@dataclass(slots=True)
class Heard:
    """The deliveries so far; `why_not` says why none can come."""

    why_not: str = ""
    messages: list[Message] = field(default_factory=list)


@contextlib.asynccontextmanager
async def listening(examined: Examined, user: int, clock: Clock) -> AsyncIterator[Heard]:
    """Listen where the daemon would, with a webhook that is deleted at the end, however that comes."""
    heard = Heard()
    base = examined.settings.server.public_url
    if base is None:
        heard.why_not = "server.public_url is not set"
    elif await daemon_answers(examined):
        heard.why_not = "a daemon listens at server.listen: stop it to try this too"
    if base is None or heard.why_not:
        yield heard
        return
    path, token = f"{_OURS}{secrets.token_hex(8)}", ""

    async def take(request: web.Request) -> web.Response:
        try:
            said = json.loads(await request.read())
            genuine = hmac.compare_digest(str(said["token"]).encode(), token.encode())
            if genuine and said["data"]["id"] == user:
                heard.messages.append(Message(clock.now(), str(said["event"])))
        except (ValueError, KeyError, TypeError):
            return web.Response(status=404)
        return web.Response(status=200 if genuine else 404)

    app = web.Application(client_max_size=MAX_BODY)
    app.router.add_post(path, take)
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(serve(app, str(examined.settings.server.listen)))
            await sweep(examined)
            made = await _make(examined, base + path)
        except OSError as error:
            heard.why_not = f"server.listen cannot be listened at: {error.strerror}"
        except ServiceError as error:
            heard.why_not = f"Aircall makes no webhook: {error.code}"
        else:
            token = made.token or ""
            stack.push_async_callback(_delete, examined, made.id)
        yield heard


async def sweep(examined: Examined) -> None:
    """Delete the webhooks that probes which were killed have left, as far as Aircall answers; none is under way."""
    base = examined.settings.server.public_url
    with contextlib.suppress(ServiceError):
        for webhook in await all_webhooks(examined) if base is not None else ():
            if webhook.url.startswith(f"{base}{_OURS}"):
                await _delete(examined, webhook.id)


async def _make(examined: Examined, address: str) -> Webhook:
    """A webhook; one whose answer comes after an interruption is deleted."""
    making = asyncio.ensure_future(examined.aircall.create_webhook(address, (OPENED, CLOSED)))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        with contextlib.suppress(ServiceError):
            await _delete(examined, (await making).id)
        raise


async def _delete(examined: Examined, webhook: str) -> None:
    with contextlib.suppress(ServiceError):
        await examined.aircall.delete_webhook(webhook)
