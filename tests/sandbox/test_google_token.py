"""Google's token endpoint and bearer tokens."""

from __future__ import annotations

import time
from typing import Any

import aiohttp
import pytest

from calsyncd.sandbox.world import Sandbox

from .clients import AMY, READ_WRITE, GoogleClient


async def test_a_right_assertion_gets_a_token(google: GoogleClient) -> None:
    """The answer has exactly the three fields of the real one."""
    answer = await google.ask_token(google.assertion())

    assert answer.status == 200
    assert set(answer.json) == {"access_token", "expires_in", "token_type"}
    assert (answer.json["expires_in"], answer.json["token_type"]) == (3599, "Bearer")


@pytest.mark.parametrize(
    ("claims", "status", "error"),
    [
        ({"iss": "somebody@else.iam.gserviceaccount.com"}, 400, "invalid_grant"),
        ({"sub": "nobody@example.com"}, 400, "invalid_grant"),
        ({"sub": None}, 401, "unauthorized_client"),
        ({"scope": None}, 400, "invalid_scope"),
        ({"scope": "https://www.googleapis.com/auth/drive"}, 401, "unauthorized_client"),
        ({"aud": "https://oauth2.googleapis.com/token"}, 400, "invalid_grant"),
        ({"exp": +3700}, 400, "invalid_grant"),
        ({"iat": -4000, "exp": -400}, 400, "invalid_grant"),
        ({"iat": +600, "exp": +1200}, 400, "invalid_grant"),
        ({"iat": None}, 400, "invalid_grant"),
    ],
)
async def test_wrong_claims_are_refused(google: GoogleClient, claims: dict[str, Any], status: int, error: str) -> None:
    """Each claim is checked, the clock too; times are given from now."""
    now = int(time.time())
    claims = {name: now + value if isinstance(value, int) else value for name, value in claims.items()}
    answer = await google.ask_token(google.assertion(**claims))

    assert (answer.status, answer.json["error"]) == (status, error)


async def test_a_small_clock_skew_passes(google: GoogleClient) -> None:
    """A clock that is four minutes ahead is forgiven."""
    now = int(time.time()) + 240
    answer = await google.ask_token(google.assertion(iat=now, exp=now + 3600))

    assert answer.status == 200


async def test_a_wrong_key_id_is_refused(google: GoogleClient) -> None:
    """The JWT's `kid` names the key."""
    answer = await google.ask_token(google.assertion(key_id="other"))

    assert (answer.status, answer.json["error"]) == (400, "invalid_grant")


async def test_a_wrong_signature_is_refused(google: GoogleClient) -> None:
    """The signature is really verified."""
    head, _, tail = google.assertion().split(".")
    _, claims, _ = google.assertion(sub="ben@example.com").split(".")
    answer = await google.ask_token(f"{head}.{claims}.{tail}")

    assert answer.json == {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}


@pytest.mark.parametrize("assertion", ["", "x", "a.b.c", "e30.e30"])
async def test_a_broken_assertion_is_refused(google: GoogleClient, assertion: str) -> None:
    """What is no JWT gets 400."""
    answer = await google.ask_token(assertion)

    assert answer.status == 400


async def test_another_grant_is_refused(google: GoogleClient) -> None:
    """The grant type is named in full."""
    answer = await google.ask_token(google.assertion(), "jwt-bearer")

    assert (answer.status, answer.json["error"]) == (400, "unsupported_grant_type")


async def test_json_is_refused(google: GoogleClient, session: aiohttp.ClientSession) -> None:
    """The endpoint takes forms only."""
    async with session.post(google.sandbox.token_uri, json={"assertion": google.assertion()}) as answer:
        assert answer.status == 400


async def test_delegation_can_be_switched_off(google: GoogleClient) -> None:
    """Without delegation nobody of the domain gets a token."""
    google.sandbox.google.tokens.delegated = False
    answer = await google.ask_token(google.assertion())

    assert (answer.status, answer.json["error"]) == (401, "unauthorized_client")


async def test_a_suspended_user_gets_no_token_and_keeps_none(google: GoogleClient) -> None:
    """Suspension ends what was issued, too."""
    token = await google.token()
    google.sandbox.google.tokens.suspended.add(AMY)
    refused, listed = await google.ask_token(google.assertion()), await google.events(token=token)

    assert (refused.status, refused.json["error"]) == (400, "invalid_grant")
    assert listed.status == 401


@pytest.mark.parametrize(
    ("headers", "reason"),
    [({}, "required"), ({"Authorization": "Bearer x"}, "authError"), ({"Authorization": "Basic x"}, "authError")],
)
async def test_requests_need_a_token(
    google: GoogleClient, session: aiohttp.ClientSession, headers: dict[str, str], reason: str
) -> None:
    """No token and a wrong one are both 401."""
    async with session.get(google.sandbox.google_url + "/calendars/primary/events", headers=headers) as answer:
        body = await answer.json()

    assert answer.status == 401
    assert body["error"]["errors"][0]["reason"] == reason


async def test_tokens_expire_and_can_be_revoked(google: GoogleClient) -> None:
    """Both are answered with 401 authError."""
    revoked = await google.token()
    google.sandbox.google.revoke_tokens(AMY)
    google.sandbox.google.tokens.life = 0
    expired = await google.token()

    for token in (revoked, expired):
        answer = await google.events(token=token)
        assert (answer.status, answer.reason) == (401, "authError")


async def test_a_token_is_for_one_user(sandbox: Sandbox, google: GoogleClient) -> None:
    """Another user's calendar is not visible."""
    sandbox.add_agent("ben@example.com")
    answer = await google.events(calendar="ben@example.com", token=await google.token(AMY))

    assert (answer.status, answer.reason) == (404, "notFound")


async def test_writing_needs_a_scope_that_may(google: GoogleClient) -> None:
    """A read-only token gets 403 insufficientPermissions."""
    answer = await google.call("DELETE", "/calendars/primary/events/e1")

    assert (answer.status, answer.reason) == (403, "insufficientPermissions")
    assert (await google.events(token=await google.token(scope=READ_WRITE))).status == 200
