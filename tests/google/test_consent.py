"""The web flow: where the browser is sent, what it may bring back, whose account it was."""

from __future__ import annotations

import base64
import json
import logging
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from calsyncd.errors import Refused, ServiceError, Unavailable
from calsyncd.google.consent import (
    Client,
    Granted,
    account_of,
    authorization_url,
    challenge_of,
    code_of,
    exchange,
    grant_of,
    revoke,
)
from calsyncd.google.tokens import SCOPE
from calsyncd.http import Http
from calsyncd.sandbox.world import Sandbox

from .clock import Time
from .web_flow import AMY, NONCE, VERIFIER, client_of, connected, consented

CLIENT = Client(
    "c1", "planted-secret", "https://g.example/auth", "https://g.example/token", "", "https://us.example/cb"
)
NOW = 1_800_000_000.0
CLAIMS: dict[str, Any] = {
    "iss": "https://accounts.google.com",
    "aud": "c1",
    "azp": "c1",
    "email": "Amy@Example.com",
    "email_verified": True,
    "nonce": NONCE,
    "exp": NOW + 3600,
}


def signed(claims: object) -> str:
    """An id_token with these claims."""
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


def test_a_challenge_is_that_of_the_standard() -> None:
    """RFC 7636, appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_consent_is_asked_for_what_is_read_and_no_more() -> None:
    """The least scope, lasting access, and nothing that the account has granted elsewhere."""
    url = authorization_url(CLIENT, state="s1", challenge="ch", nonce="n1", login_hint="a+b@example.com", offline=True)
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query, strict_parsing=True).items()}

    assert url.startswith("https://g.example/auth?")
    assert query == {
        "client_id": "c1",
        "redirect_uri": "https://us.example/cb",
        "response_type": "code",
        "scope": f"openid email {SCOPE}",
        "access_type": "offline",
        "prompt": "consent",
        "state": "s1",
        "nonce": "n1",
        "code_challenge": "ch",
        "code_challenge_method": "S256",
        "login_hint": "a+b@example.com",
    }


def test_signing_in_asks_for_the_address_only() -> None:
    """No calendar, no lasting access; without a hint, Google's page asks for the account."""
    url = authorization_url(CLIENT, state="s1", challenge="ch", nonce="n1", login_hint="", offline=False)
    query = parse_qs(urlsplit(url).query)

    assert (query["scope"], query["access_type"]) == (["openid email"], ["online"])
    assert "login_hint" not in query


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"state": "s1"}, "code_refused"),
        ({"code": "", "state": "s1"}, "code_refused"),
        ({"code": "4/x", "state": "s1", "iss": "https://login.example.com"}, "code_refused"),
        ({"code": "4/x", "state": "s1", "iss": ""}, "code_refused"),
        ({"error": "access_denied", "state": "s1"}, "consent_denied"),
        ({"error": "access_denied", "state": "s1", "iss": "https://login.example.com"}, "code_refused"),
        ({"error": "<b>planted</b>", "code": "4/x", "state": "s1"}, "consent_denied"),
    ],
)
def test_only_googles_answer_is_taken(query: dict[str, str], code: str) -> None:
    """The issuer first; nothing of what came is repeated."""
    with pytest.raises(Refused) as caught:
        code_of(query)

    assert caught.value.code == code
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("issuer", [{}, {"iss": "https://accounts.google.com"}])
def test_the_issuer_may_be_named(issuer: dict[str, str]) -> None:
    """Google names itself now, and did not always."""
    assert code_of({"code": "4/x", "state": "s1", **issuer}) == "4/x"


@pytest.mark.parametrize("changes", [{}, {"iss": "accounts.google.com"}, {"azp": None}, {"exp": NOW - 299}])
def test_an_id_token_proves_an_account(changes: dict[str, Any]) -> None:
    """In lower case, as the settings have it; a clock that is minutes wrong does no harm."""
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}

    assert account_of(signed(claims), "c1", NONCE, NOW) == AMY


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"iss": "https://login.example.com"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"aud": "c2"}, "another program"),
        ({"aud": ["c1", "c2"]}, "another program"),
        ({"azp": "c2"}, "another program"),
        ({"nonce": "m" * 43}, "another sign-in"),
        ({"nonce": None}, "another sign-in"),
        ({"nonce": "\ud800"}, "another sign-in"),
        ({"exp": NOW - 300}, "expired"),
        ({"exp": None}, "expired"),
        ({"exp": "tomorrow"}, "expired"),
        ({"exp": float("nan")}, "expired"),
        ({"exp": True}, "expired"),
        ({"email_verified": False}, "not verified"),
        ({"email_verified": "true"}, "not verified"),
        ({"email_verified": None}, "not verified"),
        ({"email": None}, "names no e-mail"),
        ({"email": 5}, "names no e-mail"),
        ({"email": "amy"}, "names no e-mail"),
        ({"email": "amy\ud800@example.com"}, "names no e-mail"),
    ],
)
def test_an_id_token_that_proves_nothing(changes: dict[str, Any], words: str) -> None:
    """Says which proof is missing, and shows no claim."""
    with pytest.raises(Refused, match=words) as caught:
        account_of(signed({**CLAIMS, **changes}), "c1", NONCE, NOW)

    assert caught.value.code == "account_unverified"
    assert NONCE not in str(caught.value)


@pytest.mark.parametrize("token", [None, "", 5, "a.b", "a.!.c", "a.e.c", "a.bnVsbA.c", signed([]), signed({})])
def test_what_is_no_id_token_proves_nothing(token: object) -> None:
    """Whatever it is."""
    with pytest.raises(Refused, match="holds no id_token"):
        account_of(token, "c1", NONCE, NOW)


async def test_a_consent_ends_with_a_grant(
    http: Http, sandbox: Sandbox, clock: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """Whose account it is, what it allows, and a refresh token that shows itself nowhere."""
    caplog.set_level(logging.DEBUG)
    granted = await connected(http, sandbox, clock)
    client = client_of(sandbox)
    secrets = {granted.access_token, str(granted.refresh_token), client.client_secret, VERIFIER, NONCE}

    assert (granted.email, SCOPE in granted.scope) == (AMY, True)
    assert grant_of(granted) == granted.refresh_token
    assert sandbox.google.tokens.find(granted.access_token) is not None
    assert not [one for one in secrets if one in f"{granted!r} {client!r} {caplog.text}"]


async def test_signing_in_grants_nothing(http: Http, sandbox: Sandbox, clock: Time) -> None:
    """Not even where the account has consented before."""
    await connected(http, sandbox, clock)
    granted = await connected(http, sandbox, clock, offline=False)

    assert (granted.email, granted.refresh_token, SCOPE in granted.scope) == (AMY, None, False)


async def test_an_unticked_box_is_named(http: Http, sandbox: Sandbox, clock: Time) -> None:
    """So that people know what to tick when they try again."""
    sandbox.google.consent.unticked.add(SCOPE)
    granted = await connected(http, sandbox, clock)

    with pytest.raises(Refused, match="the box “View events on all your calendars” was not ticked") as caught:
        grant_of(granted)
    assert caught.value.code == "scope_missing"


def test_a_grant_that_does_not_last_is_none() -> None:
    """Google gives a refresh token with each consent; without it nothing could be read in an hour."""
    with pytest.raises(Refused) as caught:
        grant_of(Granted(AMY, frozenset({SCOPE}), None, "t"))

    assert caught.value.code == "code_refused"


async def test_a_denial_comes_back(sandbox: Sandbox) -> None:
    """Cancel on Google's page."""
    sandbox.google.consent.answer = "deny"

    with pytest.raises(Refused) as caught:
        code_of(await consented(client_of(sandbox)))
    assert caught.value.code == "consent_denied"


async def failure(
    http: Http, client: Client, clock: Time, *, code: str, verifier: str = VERIFIER, nonce: str = NONCE
) -> ServiceError:
    """The error of an exchange that must fail, which shows no secret."""
    with pytest.raises(ServiceError) as caught:
        await exchange(http, client, code=code, verifier=verifier, nonce=nonce, now=clock())
    assert not [secret for secret in (code, verifier, nonce, client.client_secret) if secret in repr(caught.value)]
    assert caught.value.service == "google"
    return caught.value


async def test_a_code_is_good_once_and_for_its_own_flow(http: Http, sandbox: Sandbox, clock: Time) -> None:
    """A used one, an old one, one of another browser's flow, one that Google never gave."""
    client = client_of(sandbox)
    used, old, others = [(await consented(client))["code"] for _ in range(3)]
    await exchange(http, client, code=used, verifier=VERIFIER, nonce=NONCE, now=clock())
    replayed = await failure(http, client, clock, code=used)
    foreign = await failure(http, client, clock, code=others, verifier="w" * 43)
    clock.ahead = 601
    late = await failure(http, client, clock, code=old)
    made_up = await failure(http, client, clock, code="4/planted")

    assert {(type(error), error.code) for error in (replayed, foreign, late, made_up)} == {(Refused, "code_refused")}


@pytest.mark.parametrize(
    "changes", [{"client_secret": "planted"}, {"client_id": "other"}, {"redirect_uri": "https://elsewhere.example/"}]
)
async def test_a_refused_client_is_the_operators(
    http: Http, sandbox: Sandbox, clock: Time, changes: dict[str, str]
) -> None:
    """No user can mend it."""
    code = (await consented(client_of(sandbox)))["code"]
    error = await failure(http, client_of(sandbox, **changes), clock, code=code)

    assert (type(error), error.code) == (Refused, "oauth_client")


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"iss": "https://login.example.com"}, "another issuer"),
        ({"aud": "other"}, "another program"),
        ({"nonce": "other"}, "another sign-in"),
        ({"exp": 1}, "expired"),
        ({"email_verified": False}, "not verified"),
    ],
)
async def test_an_answer_must_prove_the_account(
    http: Http, sandbox: Sandbox, clock: Time, claims: dict[str, Any], words: str
) -> None:
    """Before anything of it is used."""
    sandbox.google.consent.claims = claims
    error = await failure(http, client_of(sandbox), clock, code=(await consented(client_of(sandbox)))["code"])

    assert (type(error), error.code, words in str(error)) == (Refused, "account_unverified", True)


async def test_an_answer_without_an_id_token_proves_nothing(http: Http, sandbox: Sandbox, clock: Time) -> None:
    """Google leaves it out where `openid` was not granted."""
    sandbox.google.consent.unticked.add("openid")
    error = await failure(http, client_of(sandbox), clock, code=(await consented(client_of(sandbox)))["code"])

    assert error.code == "account_unverified"


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (503, "<html>", "token_endpoint"),
        (429, {"error": "invalid_grant"}, "token_endpoint"),
        (200, {}, "malformed"),
        (200, {"access_token": "t", "expires_in": 3599}, "malformed"),
        (200, {"access_token": "t", "expires_in": 3599, "scope": "openid", "refresh_token": 5}, "malformed"),
    ],
)
async def test_what_is_no_answer_can_be_tried_again(  # noqa: PLR0917 - a table's columns
    http: Http, sandbox: Sandbox, clock: Time, status: int, body: Any, code: str
) -> None:
    """It is nobody's refusal."""
    used = (await consented(client_of(sandbox)))["code"]
    sandbox.google.fail("/token", status=status, body=body)
    error = await failure(http, client_of(sandbox), clock, code=used)

    assert (type(error), error.code) == (Unavailable, code)


async def test_revoking_ends_the_grant_once(http: Http, sandbox: Sandbox, clock: Time) -> None:
    """A second time it has ended already; an endpoint that is down says so."""
    granted = await connected(http, sandbox, clock)
    client = client_of(sandbox)
    for _ in range(2):
        await revoke(http, client, grant_of(granted))
    sandbox.google.fail("/revoke", status=503, body="<html>")

    assert sandbox.google.tokens.find(granted.access_token) is None
    with pytest.raises(Unavailable) as caught:
        await revoke(http, client, grant_of(granted))
    assert grant_of(granted) not in repr(caught.value)
