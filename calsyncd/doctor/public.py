"""The public URL: whether what is sent there arrives at this daemon, and no other program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp

from calsyncd.doctor.checks import Check, Finding, failed, good, note
from calsyncd.doctor.examined import Examined
from calsyncd.reach import is_for_tests, look
from calsyncd.state import nonce_proof

SECONDS = aiohttp.ClientTimeout(total=10.0, connect=5.0)
MOST_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Heard:
    """What came back: a status, None without an answer, and the beginning of a text."""

    status: int | None
    text: str = ""


async def reached(examined: Examined) -> list[Finding]:
    """Send a nonce to the public URL: only the daemon of this state directory knows its HMAC."""
    base = examined.settings.server.public_url
    if base is None:
        return [note("server.public_url is not set: no push and no webhooks, calendars are polled")]
    if is_for_tests(base):
        return [note(f"{base} is no address: no name under .test leads anywhere, so it is not tried")]
    try:
        key = (examined.state_dir / "push.key").read_bytes()
    except FileNotFoundError:
        return [note("no daemon ever ran with this state directory", "start calsyncd, then look again")]
    except OSError as error:
        return [
            failed(f"{examined.state_dir / 'push.key'}: {error.strerror}", "run this as the daemon's user, or root")
        ]
    seen = await look(base, partial(nonce_proof, key), examined.environ)
    if seen.ours:
        if seen.status == 200:
            return [good(f"{base} leads to this daemon")]
        return [failed(f"{base} leads to this daemon, which is not well", "look at /readyz and its log")]
    if not seen.refused and not await daemon_answers(examined):
        said = f"it answers {seen.status}" if seen.answered else f"it {seen.what}"
        return [
            note(
                f"no daemon runs (nobody answers at {examined.settings.server.admin_listen}), so that {base} cannot be"
                f" tried; now {said}",
                "start calsyncd, then look again",
            )
        ]
    if await _messages_arrive(examined):
        return [note(f"from here {base} {seen.what}; yet Google's messages arrive at the running daemon")]
    return [failed(f"{base} {seen.what}", seen.do)]


async def _messages_arrive(examined: Examined) -> bool:
    """Whether the running daemon trusts push: a network may not reach its own public address."""
    overview = await asked_of_daemon(examined, "/api/v1/overview") or {}
    return bool(overview.get("push", {}).get("healthy"))


async def daemon_answers(examined: Examined) -> bool:
    """Whether a daemon answers at `server.admin_listen`."""
    return (await _of_daemon(examined, "/healthz")).status in (200, 503)


async def asked_of_daemon(examined: Examined, path: str) -> dict[str, Any] | None:
    """What a running daemon's admin API answers; None where none runs, or it answers something else."""
    heard = await _of_daemon(examined, path)
    try:
        said = json.loads(heard.text)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


async def _of_daemon(examined: Examined, path: str) -> _Heard:
    where = str(examined.settings.server.admin_listen)
    connector: aiohttp.BaseConnector | None = None
    base = f"http://{where}"
    if where.startswith("unix:"):
        connector, base = aiohttp.UnixConnector(where.removeprefix("unix:")), "http://localhost"
    token = examined.settings.server.admin_token
    headers = {} if token is None else {"Authorization": f"Bearer {token.reveal()}"}
    return await _get(f"{base}{path}", connector, headers)


async def _get(url: str, connector: aiohttp.BaseConnector | None, headers: Mapping[str, str]) -> _Heard:
    async with aiohttp.ClientSession(connector=connector, timeout=SECONDS, trust_env=False) as session:
        try:
            async with session.get(url, allow_redirects=False, headers=headers) as answer:
                raw = b""
                async for piece in answer.content.iter_chunked(4096):
                    raw += piece
                    if len(raw) > MOST_BYTES:
                        break
                return _Heard(answer.status, raw.decode("utf-8", "replace"))
        except (aiohttp.ClientError, OSError, ValueError):
            return _Heard(None)


CHECKS = (Check("public_url", "the public URL", reached),)
