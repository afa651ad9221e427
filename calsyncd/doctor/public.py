"""The public URL: whether what is sent there arrives at this daemon, and no other program."""

from __future__ import annotations

import hmac
import json
import re
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from calsyncd.doctor.checks import Check, Finding, failed, good, note
from calsyncd.doctor.examined import Examined
from calsyncd.http import proxy_for
from calsyncd.state import nonce_proof

SECONDS = aiohttp.ClientTimeout(total=10.0, connect=5.0)
MOST_BYTES = 256 * 1024
_PROOF = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class _Heard:
    """What came back: a status and the beginning of a text; or, without an answer, why not."""

    status: int | None
    text: str = ""
    why: str = ""
    passing: bool = True


async def reached(examined: Examined) -> list[Finding]:
    """Send a nonce to the public URL: only the daemon of this state directory knows its HMAC."""
    base = examined.settings.server.public_url
    if base is None:
        return [note("server.public_url is not set: no push and no webhooks, calendars are polled")]
    try:
        key = (examined.state_dir / "push.key").read_bytes()
    except FileNotFoundError:
        return [note("no daemon ever ran with this state directory", "start calsyncd, then look again")]
    except OSError as error:
        return [
            failed(f"{examined.state_dir / 'push.key'}: {error.strerror}", "run this as the daemon's user, or root")
        ]
    nonce = secrets.token_hex(16)
    heard = await _fetch(f"{base}/healthz?nonce={nonce}", examined)
    if heard.status is not None and hmac.compare_digest(heard.text.strip().encode(), nonce_proof(key, nonce).encode()):
        if heard.status == 200:
            return [good(f"{base} leads to this daemon")]
        return [failed(f"{base} leads to this daemon, which is not well", "look at /readyz and its log")]
    if heard.passing and not await daemon_answers(examined):
        said = f"it answers {heard.status}" if heard.status is not None else heard.why
        return [
            note(
                f"no daemon runs (nobody answers at {examined.settings.server.admin_listen}), so that {base} cannot be"
                f" tried; now {said}",
                "start calsyncd, then look again",
            )
        ]
    if heard.status is None:
        return [
            failed(f"{base} cannot be reached: {heard.why}", "mend its DNS entry, certificate, reverse proxy or ngrok")
        ]
    if _PROOF.fullmatch(heard.text.strip()):
        return [failed(f"{base} leads to another calsyncd", "let it lead to server.listen of this one")]
    return [
        failed(
            f"{base} does not lead to this daemon: {heard.status} from something else",
            "let the reverse proxy pass /healthz, /webhooks, /google and /aircall to"
            f" {examined.settings.server.listen}",
        )
    ]


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
    return await _get(f"{base}{path}", connector, None, headers)


async def _fetch(url: str, examined: Examined) -> _Heard:
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context())
    return await _get(url, connector, proxy_for(url, examined.environ))


async def _get(
    url: str, connector: aiohttp.BaseConnector | None, proxy: str | None, headers: Mapping[str, str] | None = None
) -> _Heard:
    async with aiohttp.ClientSession(connector=connector, timeout=SECONDS, trust_env=False) as session:
        try:
            async with session.get(url, allow_redirects=False, proxy=proxy, headers=headers) as answer:
                raw = b""
                async for piece in answer.content.iter_chunked(4096):
                    raw += piece
                    if len(raw) > MOST_BYTES:
                        break
                return _Heard(answer.status, raw.decode("utf-8", "replace"))
        except aiohttp.ClientConnectorCertificateError:
            return _Heard(None, why="its certificate is not trusted", passing=False)
        except aiohttp.ClientConnectorDNSError:
            return _Heard(None, why="its name is not known to DNS", passing=False)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _Heard(None, why=getattr(error, "strerror", None) or "no answer")


CHECKS = (Check("public_url", "the public URL", reached),)
