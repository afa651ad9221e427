"""Google's web flow: one user at a time consents, and proves which account is theirs.

Facts: users tick a box for each scope beside signing in, and the boxes come unticked, so what was granted stands in
the answer's `scope`; a refresh token comes with `access_type=offline` and `prompt=consent`; revoking one token ends
the user's whole grant. `include_granted_scopes` is not asked for: the token would read whatever else the user has
granted to the project, and an unticked box would not show. The way back carries `iss` (RFC 9207), which Google sends
without announcing it: a missing one is no fault, another one is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from calsyncd.core.troubles import BOX
from calsyncd.errors import Refused
from calsyncd.google.tokens import SCOPE, SKEW_SECONDS, ask, malformed, token_error, token_of
from calsyncd.http import Http

ISSUER = "https://accounts.google.com"
SIGN_IN = "openid email"

OAUTH_CLIENT = (
    "oauth_client",
    "Google refused the OAuth client: it was deleted or switched off, or its secret or redirect URI is another",
)


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client of type web application."""

    client_id: str
    client_secret: str = field(repr=False)
    auth_uri: str
    token_uri: str
    revoke_url: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Granted:
    """What a user has granted: the account's verified address in lower case, and the tokens."""

    email: str
    scope: frozenset[str]
    refresh_token: str | None = field(repr=False)
    access_token: str = field(repr=False)


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a PKCE verifier (RFC 7636 4.2)."""
    return _base64url(hashlib.sha256(verifier.encode("ascii")).digest())


def authorization_url(client: Client, *, state: str, challenge: str, nonce: str, login_hint: str, offline: bool) -> str:
    """Where to send the browser: to consent to reading the calendar if `offline`, else only to sign in.

    An empty `login_hint` leaves the choice of the account to Google's page.
    """
    query = {
        "client_id": client.client_id,
        "redirect_uri": client.redirect_uri,
        "response_type": "code",
        "scope": f"{SIGN_IN} {SCOPE}" if offline else SIGN_IN,
        "access_type": "offline" if offline else "online",
        "prompt": "consent" if offline else "select_account",
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    hint = {"login_hint": login_hint} if login_hint else {}
    return f"{client.auth_uri}{'&' if '?' in client.auth_uri else '?'}{urlencode({**query, **hint})}"


def code_of(query: Mapping[str, str]) -> str:
    """The code that the browser has brought back to us, whose state the caller has compared.

    Raises `Refused`: `code_refused` for another issuer's answer or none, `consent_denied` where the user or
    their administrator said no.
    """
    if query.get("iss", ISSUER) != ISSUER:
        raise _refused("code_refused", "this answer does not come from Google")
    if "error" in query:
        raise _refused("consent_denied", "Google did not let calsyncd in: the request was cancelled or is not allowed")
    if not query.get("code"):
        raise _refused("code_refused", "Google's answer holds no code")
    return query["code"]


async def exchange(http: Http, client: Client, *, code: str, verifier: str, nonce: str, now: float) -> Granted:
    """What a code is good for, which can be asked once; `now` in seconds, UTC.

    Raises `Refused`: `code_refused` for a code that is spent, too old or of another flow, `account_unverified` where
    the answer does not prove whose account it is, `oauth_client` where Google refuses us; `Unavailable` where it gave
    no answer that counts.
    """
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": verifier,
        "redirect_uri": client.redirect_uri,
        "client_id": client.client_id,
        "client_secret": client.client_secret,
    }
    answer = await ask(http, client.token_uri, form)
    if not answer.ok:
        refused = ("code_refused", "Google does not accept this code: it was used before, or is too old")
        raise token_error(answer, {"invalid_grant": refused}, OAUTH_CLIENT)
    token = token_of(answer.data, now)
    scope, refresh = answer.data.get("scope"), answer.data.get("refresh_token")
    if not isinstance(scope, str) or not isinstance(refresh, str | None):
        raise malformed()
    email = account_of(answer.data.get("id_token"), client.client_id, nonce, now)
    return Granted(email, frozenset(scope.split()), refresh, token.value)


def grant_of(granted: Granted) -> str:
    """The refresh token with which the calendar can be read from now on; `Refused` with `scope_missing` if it cannot.

    A grant that lacks the scope must not be revoked: that would end the one that the account may have given before.
    """
    if SCOPE not in granted.scope:
        raise _refused("scope_missing", f"the box “{BOX}” was not ticked on Google's page")
    if not granted.refresh_token:
        raise _refused("code_refused", "Google gave no lasting access")
    return granted.refresh_token


def account_of(id_token: object, client_id: str, nonce: str, now: float) -> str:
    """The address that an id_token proves; `Refused` with `account_unverified` if it proves none.

    The token came straight from the token endpoint over TLS, so its signature need not be checked (OpenID Connect
    Core 3.1.3.7, 6).
    """
    claims = _claims(id_token)
    email = claims.get("email")
    proofs = {
        "it holds no id_token": bool(claims),
        "another issuer made it": claims.get("iss") in (ISSUER, ISSUER.removeprefix("https://")),  # Google sends either
        "it is meant for another program": claims.get("aud") == claims.get("azp", client_id) == client_id,
        "it is of another sign-in": _is_same(str(claims.get("nonce")), nonce),
        "it has expired: check this machine's clock": _is_after(claims.get("exp"), now - SKEW_SECONDS),
        "the e-mail address is not verified": claims.get("email_verified") is True,
        "it names no e-mail address": isinstance(email, str) and "@" in email and email.isprintable(),
    }
    fault = next((words for words, is_so in proofs.items() if not is_so), None)
    if fault is not None:
        raise _refused("account_unverified", f"Google's answer does not prove whose account this is: {fault}")
    return str(email).lower()


async def revoke(http: Http, client: Client, token: str) -> None:
    """End the whole grant that a refresh or access token belongs to; one that has ended already is no error."""
    answer = await http.request("google", "revoke", "POST", client.revoke_url, form={"token": token})
    if not answer.ok and not (isinstance(answer.data, dict) and answer.data.get("error") == "invalid_token"):
        raise token_error(answer, {}, ("revoke_refused", "Google did not accept the revocation"))


def _claims(id_token: object) -> Mapping[str, Any]:
    try:
        _, claims, _ = str(id_token).split(".")
        found = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def _is_after(value: object, instant: float) -> bool:
    return isinstance(value, int | float) and value > instant


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _refused(code: str, message: str) -> Refused:
    return Refused(message, service="google", code=code)
