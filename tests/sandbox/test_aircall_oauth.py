"""Aircall's OAuth: consent, code, token, integration."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.world import Sandbox

from .clients import AircallClient, Answer

CALLBACK = PUBLIC_ORIGIN + "/aircall/oauth/callback"


async def authorize(
    sandbox: Sandbox, session: aiohttp.ClientSession, **changes: str
) -> tuple[int, dict[str, list[str]]]:
    """An administrator's browser at the consent page."""
    query = {
        "client_id": sandbox.aircall.install.client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "public_api",
        "state": "s1",
        **changes,
    }
    url = sandbox.aircall_url + "/oauth/authorize"
    async with session.get(url, params=query, allow_redirects=False) as answer:
        return answer.status, parse_qs(urlsplit(answer.headers.get("Location", "")).query)


async def exchange(sandbox: Sandbox, session: aiohttp.ClientSession, code: str, **changes: Any) -> Answer:
    """The app's request for the token."""
    install = sandbox.aircall.install
    body = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "client_id": install.client_id,
        "client_secret": install.client_secret,
        **changes,
    }
    async with session.post(sandbox.aircall_url + "/v1/oauth/token", json=body) as answer:
        return Answer(answer.status, await answer.text(), answer.headers)


async def test_an_installation_gets_a_permanent_token(
    sandbox: Sandbox, session: aiohttp.ClientSession, aircall: AircallClient
) -> None:
    """No expiry, no refresh token; it works as a bearer, until the app is removed."""
    _, back = await authorize(sandbox, session)
    answer = await exchange(sandbox, session, back["code"][0])
    headers = {"Authorization": f"Bearer {answer.json['access_token']}", "Content-Type": "application/json"}
    enabled = await aircall.call("POST", "/v1/integrations/enable", headers=headers)
    me = await aircall.call("GET", "/v1/integrations/me", headers=headers)
    sandbox.aircall.install.uninstall()
    removed = await aircall.call("GET", "/v1/ping", headers=headers)

    assert back["state"] == ["s1"]
    assert set(answer.json) == {"access_token", "token_type", "created_at"}
    assert (enabled.status, me.json["integration"]["active"], removed.status) == (204, True, 403)


@pytest.mark.parametrize(
    "changes",
    [
        {"code": "x"},
        {"client_secret": "x"},
        {"grant_type": "refresh_token"},
        {"redirect_uri": PUBLIC_ORIGIN},
    ],
)
async def test_wrong_exchanges_are_400(
    sandbox: Sandbox, session: aiohttp.ClientSession, changes: dict[str, str]
) -> None:
    """With an `error`."""
    _, back = await authorize(sandbox, session)
    answer = await exchange(sandbox, session, **{"code": back["code"][0], **changes})

    assert answer.status == 400
    assert set(answer.json) == {"error"}


async def test_consent_is_an_administrators(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    """Others are refused; a denial comes back as an error; wrong requests stay on the page."""
    sandbox.aircall.install.consents = False
    denied = await authorize(sandbox, session)
    sandbox.aircall.install.is_admin = False
    refused = await authorize(sandbox, session)
    wrong = await authorize(sandbox, session, scope="read:calls")

    assert denied == (302, {"error": ["access_denied"], "state": ["s1"]})
    assert (refused[0], wrong[0]) == (403, 400)


async def test_integrations_are_for_oauth_only(aircall: AircallClient) -> None:
    """An API key gets 403."""
    assert (await aircall.call("GET", "/v1/integrations/me")).status == 403
    assert (await aircall.call("POST", "/v1/integrations/disable")).status == 403
