"""The web flow: consent, code, refresh token, revocation."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.world import Sandbox

from .clients import AMY, READONLY, Answer, GoogleClient

CALLBACK = PUBLIC_ORIGIN + "/google/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


class Browser:
    """A user at the consent page, and the program that exchanges the code."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.client: dict[str, Any] = sandbox.google.client_file()["web"]  # type: ignore[assignment]
        self.revoke_url = sandbox.google.revoke_url
        self.session = session

    async def consent(self, **changes: str) -> tuple[int, dict[str, str]]:
        query = {
            "client_id": self.client["client_id"],
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": READONLY,
            "access_type": "offline",
            "prompt": "consent",
            "state": "s1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "login_hint": AMY,
            **changes,
        }
        async with self.session.get(self.client["auth_uri"], params=query, allow_redirects=False) as answer:
            query_back = urlsplit(answer.headers.get("Location", "")).query
            return answer.status, {name: values[0] for name, values in parse_qs(query_back).items()}

    async def token(self, **form: str) -> Answer:
        whole = {"client_id": self.client["client_id"], "client_secret": self.client["client_secret"], **form}
        async with self.session.post(self.client["token_uri"], data=whole) as answer:
            return Answer(answer.status, await answer.text(), answer.headers)

    async def exchange(self, code: str, **changes: str) -> Answer:
        form = {"code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER, **changes}
        return await self.token(grant_type="authorization_code", **form)

    async def refresh(self, token: str) -> Answer:
        return await self.token(grant_type="refresh_token", refresh_token=token)

    async def revoke(self, token: str) -> int:
        async with self.session.post(self.revoke_url, data={"token": token}) as answer:
            return answer.status


@pytest.fixture
def browser(sandbox: Sandbox, session: aiohttp.ClientSession) -> Browser:
    """Amy's."""
    return Browser(sandbox, session)


async def test_the_flow_ends_with_a_token_that_reads(browser: Browser, google: GoogleClient) -> None:
    """Code and state come back; the code gives both tokens once, the refresh token new access tokens."""
    status, back = await browser.consent()
    first, second = await browser.exchange(back["code"]), await browser.exchange(back["code"])
    again = await browser.refresh(first.json["refresh_token"])
    listed = await google.events(token=again.json["access_token"])

    assert (status, back["state"], back["scope"]) == (302, "s1", READONLY)
    assert set(first.json) == {"access_token", "expires_in", "refresh_token", "scope", "token_type"}
    assert (second.status, second.json["error"]) == (400, "invalid_grant")
    assert set(again.json) == {"access_token", "expires_in", "scope", "token_type"}
    assert listed.status == 200


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"client_id": "other"}, 401),
        ({"redirect_uri": "https://elsewhere.example.com/"}, 400),
        ({"response_type": "token"}, 400),
        ({"scope": ""}, 400),
        ({"code_challenge_method": "plain"}, 400),
    ],
)
async def test_wrong_requests_never_leave_the_page(browser: Browser, changes: dict[str, str], status: int) -> None:
    """An error page, not a redirect."""
    answer, back = await browser.consent(**changes)

    assert (answer, back) == (status, {})


@pytest.mark.parametrize("changes", [{"code_verifier": "x" * 43}, {"redirect_uri": PUBLIC_ORIGIN}, {"code": "4/x"}])
async def test_a_code_is_bound_to_its_request(browser: Browser, changes: dict[str, str]) -> None:
    """Verifier and redirect address must be those of the request."""
    _, back = await browser.consent()
    answer = await browser.exchange(**{"code": back["code"], **changes})

    assert answer.status == 400


async def test_the_client_is_checked(browser: Browser) -> None:
    """A wrong secret is 401 invalid_client."""
    _, back = await browser.consent()
    answer = await browser.exchange(back["code"], client_secret="wrong")

    assert (answer.status, answer.json["error"]) == (401, "invalid_client")


async def test_users_can_deny_and_untick(sandbox: Sandbox, browser: Browser) -> None:
    """A denial comes back as an error; an unticked scope is missing from the answer's."""
    sandbox.google.consent.answer = "deny"
    _, denied = await browser.consent()
    sandbox.google.consent.answer = "grant"
    sandbox.google.consent.unticked.add(READONLY)
    _, back = await browser.consent(scope=f"{READONLY} openid")

    assert denied == {"error": "access_denied", "state": "s1"}
    assert (await browser.exchange(back["code"])).json["scope"] == "openid"


async def test_revoking_ends_the_whole_grant(browser: Browser, google: GoogleClient) -> None:
    """Refresh and access tokens of the user, in one go; a second time the token is unknown."""
    _, back = await browser.consent()
    tokens = (await browser.exchange(back["code"])).json
    statuses = [await browser.revoke(tokens["refresh_token"]) for _ in range(2)]
    refreshed = await browser.refresh(tokens["refresh_token"])
    listed = await google.events(token=tokens["access_token"])

    assert statuses == [200, 400]
    assert (refreshed.status, refreshed.json["error"]) == (400, "invalid_grant")
    assert listed.status == 401
