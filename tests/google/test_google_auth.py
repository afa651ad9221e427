"""Access tokens, exchanged with the sandbox's token endpoint."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt

from calsyncd.errors import Refused, ServiceError, Unavailable
from calsyncd.google.auth import ServiceAccountTokens
from calsyncd.google.tokens import SCOPE
from calsyncd.http import Http
from calsyncd.sandbox.world import Sandbox

from .clock import Time

AMY = "amy@example.com"


@pytest.fixture
def tokens(http: Http, sandbox: Sandbox, clock: Time, learned: list[str]) -> ServiceAccountTokens:
    """Tokens of the sandbox's service account."""
    key: dict[str, Any] = dict(sandbox.google.key_file())
    return ServiceAccountTokens(
        http,
        client_email=key["client_email"],
        token_uri=key["token_uri"],
        signer=crypt.RSASigner.from_service_account_info(key),  # type: ignore[no-untyped-call]
        now=clock,
        learned=learned.append,
    )


def exchanges(sandbox: Sandbox) -> int:
    """How many times the token endpoint was asked."""
    return sum(request.path == "/token" for request in sandbox.google.requests)


async def failure(tokens: ServiceAccountTokens) -> ServiceError:
    """The error of an exchange that must fail, which shows no secret."""
    with pytest.raises(ServiceError) as caught:
        await tokens.token(AMY)
    assert "ey" not in str(caught.value)
    assert caught.value.service == "google"
    return caught.value


async def test_the_claims_are_what_google_wants(tokens: ServiceAccountTokens, sandbox: Sandbox) -> None:
    """The sandbox checks signature, issuer, audience and times; here: the least scope, the subject, the key's id."""
    token = await tokens.token(AMY)

    grant = sandbox.google.tokens.find(token)
    assert grant is not None
    assert (grant.user, grant.scopes) == (AMY, frozenset({SCOPE}))
    header, claims, _ = _form(sandbox)["assertion"][0].split(".")
    assert _part(header)["kid"] == sandbox.google.tokens.account.key_id
    assert set(_part(claims)) == {"iss", "sub", "scope", "aud", "iat", "exp"}
    assert _part(claims)["exp"] - _part(claims)["iat"] == 3600


def _form(sandbox: Sandbox) -> dict[str, list[str]]:
    return parse_qs(sandbox.google.requests[-1].body.decode())


def _part(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


async def test_five_callers_cost_one_exchange(tokens: ServiceAccountTokens, sandbox: Sandbox) -> None:
    """They wait for the same token."""
    sandbox.google.fail("/token", delay=0.05)

    found = await asyncio.gather(*(tokens.token(AMY) for _ in range(5)))

    assert len(set(found)) == 1
    assert exchanges(sandbox) == 1


async def test_agents_do_not_wait_for_each_other(tokens: ServiceAccountTokens, sandbox: Sandbox) -> None:
    """Each has a token of their own, and a slow exchange holds nobody else up."""
    sandbox.add_agent("bob@example.com")
    sandbox.google.fail("/token", delay=1.5)
    slow = asyncio.create_task(tokens.token(AMY))
    await asyncio.sleep(0.05)

    bobs = await asyncio.wait_for(tokens.token("bob@example.com"), 1.2)

    assert await slow != bobs


async def test_secrets_are_told_to_the_log(tokens: ServiceAccountTokens, learned: list[str], sandbox: Sandbox) -> None:
    """The assertion and the token, before either could be logged."""
    token = await tokens.token(AMY)

    assert learned == [_form(sandbox)["assertion"][0], token]


async def test_a_token_is_replaced_five_minutes_before_its_end(
    tokens: ServiceAccountTokens, sandbox: Sandbox, clock: Time
) -> None:
    """Never used up to the last second."""
    first = await tokens.token(AMY)
    clock.ahead = sandbox.google.tokens.life - 310
    assert await tokens.token(AMY) == first

    clock.ahead = sandbox.google.tokens.life - 290
    second = await tokens.token(AMY)

    assert second != first
    assert exchanges(sandbox) == 2


async def test_a_short_life_is_used_by_half(tokens: ServiceAccountTokens, sandbox: Sandbox, clock: Time) -> None:
    """A token that lives shorter than the five minutes is no reason to ask each time."""
    sandbox.google.tokens.life = 100
    first = await tokens.token(AMY)

    clock.ahead = 45
    assert await tokens.token(AMY) == first
    clock.ahead = 55
    assert await tokens.token(AMY) != first


async def test_an_endpoint_that_is_down_costs_nothing_while_the_token_lives(
    tokens: ServiceAccountTokens, sandbox: Sandbox, clock: Time
) -> None:
    """The old token serves to its end; then the error comes through, and afterwards all is well again."""
    first = await tokens.token(AMY)
    sandbox.google.fail("/token", times=None, status=503, body="")

    clock.ahead = sandbox.google.tokens.life - 200
    assert await tokens.token(AMY) == first
    with pytest.raises(Unavailable):
        await tokens.token(AMY, refused=first)
    clock.ahead = sandbox.google.tokens.life + 1
    assert (await failure(tokens)).code == "token_endpoint"

    sandbox.google.faults.clear()
    assert await tokens.token(AMY) != first


async def test_a_refused_token_is_replaced_once(tokens: ServiceAccountTokens, sandbox: Sandbox) -> None:
    """Many callers that were refused with the same token share the next one."""
    first = await tokens.token(AMY)

    found = await asyncio.gather(*(tokens.token(AMY, refused=first) for _ in range(5)))

    assert len(set(found)) == 1
    assert found[0] != first
    assert exchanges(sandbox) == 2


async def test_a_caller_that_gives_up_does_not_spoil_the_exchange(
    tokens: ServiceAccountTokens, sandbox: Sandbox
) -> None:
    """The next in line takes over."""
    sandbox.google.fail("/token", delay=0.05)
    first, second = (asyncio.create_task(tokens.token(AMY)) for _ in range(2))
    await asyncio.sleep(0.01)

    first.cancel()

    assert sandbox.google.tokens.find(await second) is not None


async def test_a_missing_delegation_is_named(tokens: ServiceAccountTokens, sandbox: Sandbox) -> None:
    """401 unauthorized_client: nobody of the domain can be read until an administrator acts."""
    sandbox.google.tokens.delegated = False

    error = await failure(tokens)

    assert (type(error), error.code, error.status) == (Refused, "delegation", 401)


async def test_a_suspended_user_is_named(tokens: ServiceAccountTokens, sandbox: Sandbox) -> None:
    """400 invalid_grant: this user only."""
    sandbox.google.tokens.suspended.add(AMY)

    error = await failure(tokens)

    assert (type(error), error.code, error.status) == (Refused, "invalid_grant", 400)


async def test_a_wrong_clock_is_told_apart(tokens: ServiceAccountTokens, clock: Time) -> None:
    """Google does not take an assertion from the future: that is said as invalid_grant too, and is everybody's."""
    clock.wrong = 4000

    error = await failure(tokens)

    assert (type(error), error.code, error.status) == (Refused, "clock", 400)


async def test_a_deleted_key_is_told_apart(tokens: ServiceAccountTokens, sandbox: Sandbox) -> None:
    """Whose key it was is known, and the signature is nobody's: the service account's trouble, not the user's."""
    sandbox.google.tokens.account = replace(sandbox.google.tokens.account, key=rsa.generate_private_key(65537, 2048))

    error = await failure(tokens)

    assert (type(error), error.code, error.status) == (Refused, "service_account", 400)


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, {"error": "invalid_scope"}, Refused, "service_account"),
        (400, {"error": "invalid_grant", "error_description": "Not a valid email."}, Refused, "invalid_grant"),
        (400, {"error": "invalid_grant", "error_description": "Bad Request"}, Refused, "invalid_grant"),
        (400, {"error": "invalid_grant", "error_description": ["Invalid JWT"]}, Refused, "invalid_grant"),
        (400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, Refused, "service_account"),
        (401, {"error": "access_denied"}, Refused, "delegation"),
        (401, {"error": "disabled_client"}, Refused, "service_account"),
        (401, {"error": "invalid_client"}, Refused, "service_account"),
        (403, {"error": {"code": 403, "message": "disabled"}}, Unavailable, "token_endpoint"),
        (400, "", Unavailable, "token_endpoint"),
        (404, "<html>", Unavailable, "token_endpoint"),
        (429, {"error": "invalid_grant"}, Unavailable, "token_endpoint"),
        (500, {"error": "internal_failure"}, Unavailable, "token_endpoint"),
        (503, "<html>", Unavailable, "token_endpoint"),
        (200, "<html>", Unavailable, "malformed"),
        (200, "", Unavailable, "malformed"),
        (200, {}, Unavailable, "malformed"),
        (200, "[]", Unavailable, "malformed"),
        (200, {"access_token": "t"}, Unavailable, "malformed"),
        (200, {"access_token": "", "expires_in": 3600}, Unavailable, "malformed"),
        (200, {"access_token": 5, "expires_in": 3600}, Unavailable, "malformed"),
        (200, {"access_token": "t", "expires_in": "soon"}, Unavailable, "malformed"),
        (200, {"access_token": "t", "expires_in": True}, Unavailable, "malformed"),
        (200, {"access_token": "t", "expires_in": 0}, Unavailable, "malformed"),
        (200, {"access_token": "t", "expires_in": -5}, Unavailable, "malformed"),
        (200, '{"access_token": "t", "expires_in": 1e999}', Unavailable, "malformed"),
        (200, '{"access_token": "t", "expires_in": NaN}', Unavailable, "malformed"),
        (302, "", Unavailable, "redirect"),
    ],
)
async def test_what_an_answer_means(  # noqa: PLR0917 - a table's columns
    tokens: ServiceAccountTokens,
    sandbox: Sandbox,
    status: int,
    body: str | dict[str, object],
    kind: type[ServiceError],
    code: str,
) -> None:
    """Only a clear no is final; the next caller asks again."""
    sandbox.google.fail("/token", status=status, body=body)

    error = await failure(tokens)

    assert (type(error), error.code) == (kind, code)
    assert sandbox.google.tokens.find(await tokens.token(AMY)) is not None


async def test_a_cut_connection_is_not_an_answer(tokens: ServiceAccountTokens, sandbox: Sandbox) -> None:
    """Nor is half of one."""
    sandbox.google.fail("/token", cut=True)
    assert (await failure(tokens)).code == "broken"
    sandbox.google.fail("/token", truncate=True)
    assert (await failure(tokens)).code == "broken"

    assert sandbox.google.tokens.find(await tokens.token(AMY)) is not None
