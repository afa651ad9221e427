"""Who has signed in, as Google's id_token tells it: OpenID Connect's claims in a JWT signed with the sandbox's key."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from calsyncd.sandbox.google_tokens import make_key

ISSUER = "https://accounts.google.com"
ID_TOKEN_SECONDS = 3600
KEY_ID = "c8ab71530972bba20b49f78a09c9852c43ff9118"

OPENID = "openid"
EMAIL = "https://www.googleapis.com/auth/userinfo.email"
ALIASES = {"email": EMAIL, "profile": "https://www.googleapis.com/auth/userinfo.profile"}
"""Short names of scopes: requests may use either, token answers only the long one."""

SIGN_IN = frozenset({OPENID, *ALIASES.values()})
"""Scopes that the consent page does not let one choose."""


def claims_of(user: str, client: str, scope: str, now: float, access_token: str) -> dict[str, Any]:
    """The claims about a user of a Workspace domain; the address only where its scope was granted."""
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "azp": client,
        "aud": client,
        "sub": str(10**20 + int.from_bytes(hashlib.sha256(user.encode()).digest()[:8])),
        "hd": user.rpartition("@")[2],
        "at_hash": _encoded(hashlib.sha256(access_token.encode()).digest()[:16]),
        "iat": int(now),
        "exp": int(now) + ID_TOKEN_SECONDS,
    }
    return {**claims, "email": user, "email_verified": True} if EMAIL in scope.split() else claims


def id_token(claims: Mapping[str, Any]) -> str:
    """The claims, signed with RS256; one that is None is left out."""
    header = {"alg": "RS256", "kid": KEY_ID, "typ": "JWT"}
    kept = {name: value for name, value in claims.items() if value is not None}
    signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, kept))
    return f"{signed}.{_encoded(make_key().sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
