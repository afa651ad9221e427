"""Access tokens of agents who have consented, refreshed at the sandbox's token endpoint."""

from __future__ import annotations

import asyncio
import time

import pytest

from calsyncd.errors import Refused, ServiceError, Unavailable
from calsyncd.google.calendar import CalendarApi
from calsyncd.google.consent import grant_of, revoke
from calsyncd.google.granted import ConsentTokens
from calsyncd.http import Http
from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.world import Sandbox

from .clock import Time
from .web_flow import AMY, client_of, connected


@pytest.fixture
def grants() -> dict[str, str]:
    """The refresh tokens that are kept."""
    return {}


@pytest.fixture
async def tokens(
    http: Http, sandbox: Sandbox, clock: Time, grants: dict[str, str], learned: list[str]
) -> ConsentTokens:
    """Tokens of Amy, who has connected."""
    grants[AMY] = grant_of(await connected(http, sandbox, clock))
    sandbox.google.requests.clear()
    return ConsentTokens(http, client_of(sandbox), grants.get, now=clock, learned=learned.append)


def exchanges(sandbox: Sandbox) -> int:
    """How many times the token endpoint was asked."""
    return sum(request.path == "/token" for request in sandbox.google.requests)


async def failure(tokens: ConsentTokens, grants: dict[str, str], *, refused: str | None = None) -> ServiceError:
    """The error of an exchange that must fail, which shows no secret."""
    with pytest.raises(ServiceError) as caught:
        await tokens.token(AMY, refused=refused)
    assert not [secret for secret in (*grants.values(), "GOCSPX", "ya29") if secret in repr(caught.value)]
    assert caught.value.service == "google"
    return caught.value


async def test_a_consent_reads_the_calendar(http: Http, tokens: ConsentTokens, sandbox: Sandbox) -> None:
    """List, watch and stop with the agent's own token; after a revocation elsewhere the consent is gone."""
    start, end = (second(time.time() + ahead) for ahead in (600, 1200))
    sandbox.google.insert(AMY, {"summary": "private", "start": {"dateTime": start}, "end": {"dateTime": end}})
    api = CalendarApi(http, tokens, sandbox.google_url)

    listed = await api.list_events(AMY, "primary", {"singleEvents": "true"})
    opened = await api.watch(AMY, "primary", channel="c1", token="t", address="https://demo.calsyncd.test/w")
    await api.stop(AMY, channel="c1", resource=opened.resource)
    sandbox.google.consent.withdraw(AMY)
    with pytest.raises(Refused) as caught:
        await api.list_events(AMY, "primary", {"singleEvents": "true"})

    assert [event["summary"] for event in listed["items"]] == ["private"]
    assert caught.value.code == "consent_withdrawn"


async def test_five_callers_cost_one_exchange(tokens: ConsentTokens, sandbox: Sandbox) -> None:
    """They wait for the same token."""
    sandbox.google.fail("/token", delay=0.05)

    found = await asyncio.gather(*(tokens.token(AMY) for _ in range(5)))

    assert len(set(found)) == 1
    assert exchanges(sandbox) == 1


async def test_secrets_are_told_to_the_log(tokens: ConsentTokens, grants: dict[str, str], learned: list[str]) -> None:
    """The refresh token and what came of it, before either could be logged."""
    token = await tokens.token(AMY)

    assert learned == [grants[AMY], token]


async def test_nobody_is_asked_for_an_agent_without_a_consent(
    tokens: ConsentTokens, grants: dict[str, str], sandbox: Sandbox
) -> None:
    """Whose turn it is needs no request; a consent counts from the next call on."""
    grant = grants.pop(AMY)
    error = await failure(tokens, grants)
    asked = exchanges(sandbox)
    grants[AMY] = grant

    assert (type(error), error.code, asked) == (Refused, "not_connected", 0)
    assert sandbox.google.tokens.find(await tokens.token(AMY)) is not None


async def test_a_withdrawn_consent_comes_back_with_a_new_one(
    http: Http, tokens: ConsentTokens, grants: dict[str, str], sandbox: Sandbox, clock: Time
) -> None:
    """No restart, no waiting for the old token's end."""
    first = await tokens.token(AMY)
    sandbox.google.consent.withdraw(AMY)
    error = await failure(tokens, grants, refused=first)
    grants[AMY] = grant_of(await connected(http, sandbox, clock))

    assert (type(error), error.code, error.status) == (Refused, "consent_withdrawn", 400)
    assert sandbox.google.tokens.find(await tokens.token(AMY, refused=first)) is not None


async def test_disconnecting_leaves_no_token_behind(
    http: Http, tokens: ConsentTokens, grants: dict[str, str], sandbox: Sandbox
) -> None:
    """Once forgotten, the agent has not connected."""
    await tokens.token(AMY)
    await revoke(http, client_of(sandbox), grants.pop(AMY))
    tokens.forget(AMY)
    tokens.forget(AMY)

    assert (await failure(tokens, grants)).code == "not_connected"


async def test_an_outage_does_not_matter_while_the_token_lives(
    tokens: ConsentTokens, grants: dict[str, str], sandbox: Sandbox, clock: Time
) -> None:
    """The old one is used to its end, and replaced as soon as that works again."""
    first = await tokens.token(AMY)
    clock.ahead = sandbox.google.tokens.life - 100
    sandbox.google.fail("/token", times=None, status=503, body="<html>")

    assert await tokens.token(AMY) == first
    clock.ahead = sandbox.google.tokens.life + 1
    error = await failure(tokens, grants)
    sandbox.google.faults.clear()
    assert (type(error), error.code) == (Unavailable, "token_endpoint")
    assert await tokens.token(AMY) != first


async def test_a_refusal_counts_though_the_token_lives(
    tokens: ConsentTokens, grants: dict[str, str], sandbox: Sandbox, clock: Time
) -> None:
    """What Google says of the consent is not hidden for the token's last minutes."""
    await tokens.token(AMY)
    clock.ahead = sandbox.google.tokens.life - 100
    sandbox.google.tokens.suspended.add(AMY)

    assert (await failure(tokens, grants)).code == "consent_withdrawn"


@pytest.mark.parametrize("answer", ["deleted_client", "invalid_client", "disabled_client", "unauthorized_client"])
async def test_a_refused_client_is_the_operators(
    tokens: ConsentTokens, grants: dict[str, str], sandbox: Sandbox, answer: str
) -> None:
    """It is the same for everybody; no agent can mend it."""
    sandbox.google.fail("/token", status=401, body={"error": answer, "error_description": grants[AMY]})

    error = await failure(tokens, grants)

    assert (type(error), error.code, error.status) == (Refused, "oauth_client", 401)


async def test_a_deleted_client_is_seen(tokens: ConsentTokens, grants: dict[str, str], sandbox: Sandbox) -> None:
    """As the sandbox has it."""
    sandbox.google.consent.is_deleted = True

    assert (await failure(tokens, grants)).code == "oauth_client"


@pytest.mark.parametrize(("scope", "code"), [("openid", "scope_missing"), ("", "scope_missing"), (None, None)])
async def test_a_scope_that_was_taken_away(
    tokens: ConsentTokens, grants: dict[str, str], sandbox: Sandbox, scope: str | None, code: str | None
) -> None:
    """An answer may leave the scopes out where they are as before (RFC 6749 5.1)."""
    said = {} if scope is None else {"scope": scope}
    sandbox.google.fail("/token", status=200, body={"access_token": "ya29.x", "expires_in": 3599, **said})

    if code is None:
        assert await tokens.token(AMY) == "ya29.x"
    else:
        assert (await failure(tokens, grants)).code == code
