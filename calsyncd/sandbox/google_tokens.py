"""Google's token endpoint: service accounts with domain-wide delegation, and the bearer tokens it issues."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from calsyncd.sandbox.faults import Json
from calsyncd.sandbox.server import Refusal

READ_SCOPES = frozenset(
    f"https://www.googleapis.com/auth/calendar{rest}"
    for rest in (
        "",
        ".app.created",
        ".events",
        ".events.freebusy",
        ".events.owned",
        ".events.owned.readonly",
        ".events.public.readonly",
        ".events.readonly",
        ".readonly",
    )
)
"""Scopes that may list and watch events, from the discovery document."""

LIST_SCOPES = frozenset(
    f"https://www.googleapis.com/auth/calendar{rest}"
    for rest in ("", ".calendarlist", ".calendarlist.readonly", ".readonly")
)
"""Scopes that may read the list of a user's calendars, from the discovery document."""

WRITE_SCOPES = frozenset(
    f"https://www.googleapis.com/auth/calendar{rest}" for rest in ("", ".app.created", ".events", ".events.owned")
)
"""Scopes that may change events, from the discovery document."""

CLOCK_SKEW = 300.0
"""How far a JWT's `iat` may lie ahead of Google's clock."""

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@cache
def make_key() -> rsa.RSAPrivateKey:
    """The one private key of this process: generating it takes a tenth of a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account with the key that it was issued."""

    email: str = "calsyncd@sandbox-project.iam.gserviceaccount.com"
    client_id: str = "104000000000000000001"
    key_id: str = "5a4db0c5e0c0ffee5a4db0c5e0c0ffee5a4db0c5"
    key: rsa.RSAPrivateKey = field(default_factory=make_key, repr=False)

    def key_file(self, token_uri: str) -> Json:
        """The content of the JSON key file that an administrator downloads."""
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "project_id": "sandbox-project",
            "private_key_id": self.key_id,
            "private_key": pem.decode(),
            "client_email": self.email,
            "client_id": self.client_id,
            "auth_uri": token_uri.rpartition("/")[0] + "/o/oauth2/v2/auth",
            "token_uri": token_uri,
            "universe_domain": "googleapis.com",
        }


@dataclass(frozen=True, slots=True)
class Grant:
    """What a bearer token stands for; `maker` is the identity that requests are charged to."""

    user: str
    scopes: frozenset[str]
    expires: float
    maker: str


def oauth_error(status: int, error: str, description: str | None = None) -> Refusal:
    """A refusal in the shape of the OAuth endpoint."""
    body: Json = {"error": error}
    if description is not None:
        body["error_description"] = description
    return Refusal(status, body)


class Tokens:
    """Issues, knows and revokes access tokens.

    `delegated` switches domain-wide delegation, `also_delegated` are scopes that it has beside those for events;
    `suspended` users get `invalid_grant`; `life` is `expires_in`.
    """

    def __init__(self, account: ServiceAccount, now: Callable[[], float], is_user: Callable[[str], bool]) -> None:
        self.account = account
        self.delegated = True
        self.also_delegated: set[str] = set()
        self.suspended: set[str] = set()
        self.life = 3599
        self._now = now
        self._is_user = is_user
        self._grants: dict[str, Grant] = {}

    def issue(self, user: str, scopes: frozenset[str], maker: str, prefix: str = "ya29.c.") -> str:
        """A fresh access token."""
        token = prefix + secrets.token_urlsafe(32)
        self._grants[token] = Grant(user, scopes, self._now() + self.life, maker)
        return token

    def find(self, token: str) -> Grant | None:
        """What a token stands for; None if it is unknown, expired or revoked."""
        grant = self._grants.get(token)
        if grant is None or grant.expires <= self._now() or grant.user in self.suspended:
            return None
        return grant

    def revoke(self, user: str | None = None) -> None:
        """Revoke the access tokens of a user, or all."""
        self._grants = {
            token: grant for token, grant in self._grants.items() if user is not None and grant.user != user
        }

    def revoke_token(self, token: str) -> bool:
        """Revoke one access token; says whether it was known."""
        return self._grants.pop(token, None) is not None

    def exchange(self, form: Mapping[str, str], token_uri: str) -> Json:
        """The answer to a jwt-bearer grant; refuses as Google's endpoint does."""
        if not form.get("assertion"):
            raise oauth_error(400, "invalid_request", "Missing required parameter: assertion")
        claims = self._verified(form["assertion"], token_uri)
        scopes = frozenset(str(claims.get("scope", "")).split())
        if not scopes:
            raise oauth_error(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        user = claims.get("sub")
        if not self.delegated or not scopes <= READ_SCOPES | self.also_delegated or not isinstance(user, str):
            raise oauth_error(
                401,
                "unauthorized_client",
                "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any "
                "of the scopes requested.",
            )
        if user in self.suspended or not self._is_user(user):
            raise oauth_error(400, "invalid_grant", "Invalid email or User ID")
        token = self.issue(user, scopes, self.account.email)
        return {"access_token": token, "expires_in": self.life, "token_type": "Bearer"}

    def _verified(self, assertion: str, token_uri: str) -> dict[str, Any]:
        header, claims, signature, signed = _parts(assertion)
        if header.get("alg") != "RS256" or header.get("typ", "JWT") != "JWT":
            raise oauth_error(400, "invalid_grant", "Invalid JWT: unsupported algorithm")
        if header.get("kid") != self.account.key_id or claims.get("iss") != self.account.email:
            raise oauth_error(400, "invalid_grant", "Invalid grant: account not found")
        try:
            self.account.key.public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise oauth_error(400, "invalid_grant", "Invalid JWT Signature.") from None
        if claims.get("aud") != token_uri:
            raise oauth_error(400, "invalid_grant", "Invalid JWT: Failed audience check.")
        issued, expires, now = claims.get("iat"), claims.get("exp"), self._now()
        if not isinstance(issued, int) or not isinstance(expires, int) or not _is_timely(issued, expires, now):
            raise oauth_error(
                400,
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your "
                "iat and exp values in the JWT claim.",
            )
        return claims


def _is_timely(issued: int, expires: int, now: float) -> bool:
    return 0 < expires - issued <= 3600 and issued <= now + CLOCK_SKEW and expires > now


def _parts(assertion: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    try:
        head, middle, tail = assertion.split(".")
        header, claims = json.loads(_decode(head)), json.loads(_decode(middle))
        signature = _decode(tail)
    except (ValueError, binascii.Error):
        raise oauth_error(400, "invalid_grant", "Invalid JWT: not a JSON Web Token") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise oauth_error(400, "invalid_grant", "Invalid JWT: not a JSON Web Token")
    return header, claims, signature, f"{head}.{middle}".encode()


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
