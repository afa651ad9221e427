"""Aircall's OAuth for technology partners: consent, code, a token that never expires, the integration."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.faults import Json
from calsyncd.sandbox.server import Refusal

CODE_SECONDS = 600.0
"""How long a code can be exchanged."""


@dataclass(slots=True)
class Install:
    """The app's installation at one company.

    `is_admin` and `consents` say who stands before the consent page, and what they do.
    """

    now: Callable[[], float]
    client_id: str = "sandbox-client-id"
    client_secret: str = field(default="sandbox-client-secret", repr=False)
    redirect_uris: tuple[str, ...] = (PUBLIC_ORIGIN + "/aircall/oauth/callback",)
    is_admin: bool = True
    consents: bool = True
    active: bool = False
    _codes: dict[str, tuple[str, float]] = field(default_factory=dict)
    _tokens: set[str] = field(default_factory=set)

    def redirect(self, query: Mapping[str, str]) -> str:
        """Where the browser is sent after the consent page."""
        redirect_uri = query.get("redirect_uri", "")
        is_right = query.get("client_id") == self.client_id and redirect_uri in self.redirect_uris
        if not is_right or query.get("response_type") != "code" or query.get("scope") != "public_api":
            raise Refusal(400, {"error": "invalid_request"})
        if not self.is_admin:
            raise Refusal(403, {"error": "access_denied"})
        state = {"state": query["state"]} if "state" in query else {}
        if not self.consents:
            return f"{redirect_uri}?{urlencode({'error': 'access_denied', **state})}"
        code = secrets.token_hex(16)
        self._codes[code] = (redirect_uri, self.now() + CODE_SECONDS)
        return f"{redirect_uri}?{urlencode({'code': code, **state})}"

    def exchange(self, body: Mapping[str, Any]) -> Json:
        """The permanent token for a code; 400 with an `error` for anything else."""
        if body.get("client_id") != self.client_id or body.get("client_secret") != self.client_secret:
            raise Refusal(400, {"error": "invalid_client"})
        if body.get("grant_type") != "authorization_code":
            raise Refusal(400, {"error": "unsupported_grant_type"})
        redirect_uri, until = self._codes.pop(str(body.get("code")), ("", 0.0))
        if until <= self.now() or body.get("redirect_uri") != redirect_uri:
            raise Refusal(400, {"error": "invalid_grant"})
        token = secrets.token_hex(20)
        self._tokens.add(token)
        return {"access_token": token, "token_type": "Bearer", "created_at": int(self.now())}

    def is_token(self, token: str) -> bool:
        """Whether this is a token of an installation that was not removed."""
        return token in self._tokens

    def uninstall(self) -> None:
        """The company removes the app: its tokens get 403."""
        self._tokens.clear()
        self.active = False

    def show(self, company: str) -> Json:
        """The integration, as `GET /v1/integrations/me` shows it."""
        return {
            "name": "calsyncd",
            "custom_name": company,
            "logo": "https://example.com/logo.png",
            "company_id": 1,
            "status": "installed",
            "active": self.active,
            "number_ids": [],
            "numbers_count": 0,
            "user": {"id": 456, "name": "John Doe"},
        }
