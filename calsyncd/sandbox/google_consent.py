"""Google's consent page and the tokens that come of it: the web flow of one user at a time."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.faults import Json
from calsyncd.sandbox.google_tokens import Tokens, oauth_error

CODE_SECONDS = 600.0
"""How long a code can be exchanged."""


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client of type web application."""

    id: str = "104000000000-sandbox.apps.googleusercontent.com"
    secret: str = field(default="GOCSPX-sandbox", repr=False)
    redirect_uris: tuple[str, ...] = (PUBLIC_ORIGIN + "/google/callback",)

    def file(self, origin: str) -> Json:
        """The content of the client file that an administrator downloads."""
        return {
            "web": {
                "client_id": self.id,
                "project_id": "sandbox-project",
                "auth_uri": origin + "/o/oauth2/v2/auth",
                "token_uri": origin + "/token",
                "client_secret": self.secret,
                "redirect_uris": list(self.redirect_uris),
            }
        }


@dataclass(frozen=True, slots=True)
class Code:
    """What a code was given out for."""

    user: str
    scope: str
    redirect_uri: str
    challenge: str | None
    offline: bool
    until: float


@dataclass(slots=True)
class Consent:
    """The consent page, and the refresh tokens that users granted.

    Attributes:
        client: the one OAuth client of the project.
        user: who is signed in at the browser; None: whom `login_hint` names.
        answer: what the user does: grant, or deny.
        unticked: scopes that the user unticks.
    """

    tokens: Tokens
    now: Callable[[], float]
    is_user: Callable[[str], bool]
    client: Client = field(default_factory=Client)
    user: str | None = None
    answer: str = "grant"
    unticked: set[str] = field(default_factory=set)
    _codes: dict[str, Code] = field(default_factory=dict)
    _refresh: dict[str, tuple[str, str]] = field(default_factory=dict)

    def redirect(self, query: Mapping[str, str]) -> str:
        """Where the browser is sent after the page; refuses what Google shows an error page for."""
        if query.get("client_id") != self.client.id:
            raise oauth_error(401, "invalid_client", "The OAuth client was not found.")
        if query.get("redirect_uri") not in self.client.redirect_uris:
            raise oauth_error(400, "redirect_uri_mismatch")
        if query.get("response_type") != "code" or not query.get("scope"):
            raise oauth_error(400, "invalid_request", "Required parameter is missing")
        if query.get("code_challenge_method", "S256") != "S256":
            raise oauth_error(400, "invalid_request", "Only S256 is supported here")
        user = self.user or query.get("login_hint", "")
        state = {"state": query["state"]} if "state" in query else {}
        if self.answer != "grant" or not self.is_user(user):
            return f"{query['redirect_uri']}?{urlencode({'error': 'access_denied', **state})}"
        scope = " ".join(name for name in query["scope"].split() if name not in self.unticked)
        code = "4/" + secrets.token_urlsafe(24)
        self._codes[code] = Code(
            user=user,
            scope=scope,
            redirect_uri=query["redirect_uri"],
            challenge=query.get("code_challenge"),
            offline=query.get("access_type") == "offline",
            until=self.now() + CODE_SECONDS,
        )
        return f"{query['redirect_uri']}?{urlencode({**state, 'code': code, 'scope': scope})}"

    def exchange(self, form: Mapping[str, str]) -> Json:
        """The answer to the grant types `authorization_code` and `refresh_token`."""
        if form.get("client_id") != self.client.id or form.get("client_secret") != self.client.secret:
            raise oauth_error(401, "invalid_client", "The OAuth client was not found.")
        if form["grant_type"] == "refresh_token":
            granted = self._refresh.get(form.get("refresh_token", ""))
            if granted is None or granted[0] in self.tokens.suspended:
                raise oauth_error(400, "invalid_grant", "Token has been expired or revoked.")
            return self._answer(*granted)
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or code.until <= self.now():
            raise oauth_error(400, "invalid_grant", "Malformed auth code.")
        if form.get("redirect_uri") != code.redirect_uri:
            raise oauth_error(400, "redirect_uri_mismatch", "Bad Request")
        if code.challenge is not None and _challenge(form.get("code_verifier", "")) != code.challenge:
            raise oauth_error(400, "invalid_grant", "Invalid code verifier.")
        answer = self._answer(code.user, code.scope)
        if code.offline:
            token = "1//" + secrets.token_urlsafe(32)
            self._refresh[token] = (code.user, code.scope)
            answer["refresh_token"] = token
        return answer

    def revoke(self, token: str) -> None:
        """End the whole grant of the user whose refresh or access token this is; 400 for an unknown one."""
        grant = self.tokens.find(token)
        user = grant.user if grant is not None else self._refresh.get(token, (None,))[0]
        if user is None:
            raise oauth_error(400, "invalid_token", "Token expired or revoked")
        self.withdraw(user)

    def withdraw(self, user: str) -> None:
        """The user takes the consent back in the account's settings."""
        self._refresh = {token: granted for token, granted in self._refresh.items() if granted[0] != user}
        self.tokens.revoke(user)

    def _answer(self, user: str, scope: str) -> Json:
        token = self.tokens.issue(user, frozenset(scope.split()), user, "ya29.a0")
        return {"access_token": token, "expires_in": self.tokens.life, "scope": scope, "token_type": "Bearer"}


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
