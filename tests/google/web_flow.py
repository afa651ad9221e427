"""The web flow against the sandbox: what the daemon does, and the user's part in between."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp

from calsyncd.google.consent import Client, Granted, authorization_url, challenge_of, code_of, exchange
from calsyncd.http import Http
from calsyncd.sandbox.world import Sandbox

from .clock import Time

AMY = "amy@example.com"
STATE, NONCE, VERIFIER = "s" * 43, "n" * 43, "v" * 43


def client_of(sandbox: Sandbox, **changes: str) -> Client:
    """The sandbox's OAuth client, as settings would have it."""
    web: dict[str, Any] = sandbox.google.client_file()["web"]  # type: ignore[assignment]
    shown = {
        "client_id": web["client_id"],
        "client_secret": web["client_secret"],
        "auth_uri": web["auth_uri"],
        "token_uri": web["token_uri"],
        "revoke_url": sandbox.google.revoke_url,
        "redirect_uri": web["redirect_uris"][0],
    }
    return Client(**{**shown, **changes})


async def consented(client: Client, *, offline: bool = True, hint: str = AMY) -> dict[str, str]:
    """What the browser brings back."""
    url = authorization_url(
        client, state=STATE, challenge=challenge_of(VERIFIER), nonce=NONCE, login_hint=hint, offline=offline
    )
    async with aiohttp.ClientSession() as session, session.get(url, allow_redirects=False) as answer:
        return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


async def connected(http: Http, sandbox: Sandbox, clock: Time, *, offline: bool = True, hint: str = AMY) -> Granted:
    """The whole flow."""
    client = client_of(sandbox)
    code = code_of(await consented(client, offline=offline, hint=hint))
    return await exchange(http, client, code=code, verifier=VERIFIER, nonce=NONCE, now=clock())
