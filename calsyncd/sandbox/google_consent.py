"""Google's consent and the tokens that come of it: the web flow of one user at a time.

A browser, which says `text/html` in its Accept header, gets the page at which its user chooses. Every other caller is
sent back at once, as `Consent.user`, `Consent.answer` and `Consent.unticked` have it.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.faults import Json
from calsyncd.sandbox.google_consent_page import consent_page
from calsyncd.sandbox.google_identity import ALIASES, ISSUER, OPENID, SIGN_IN, claims_of, id_token
from calsyncd.sandbox.google_tokens import Tokens, oauth_error

AUTH_PATH = "/o/oauth2/v2/auth"

CODE_SECONDS = 600.0
"""How long a code can be exchanged."""

MOST_REFRESH_TOKENS = 100
"""How many refresh tokens of an account work at once with one client: one more, and the oldest stops."""


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
                "auth_uri": origin + AUTH_PATH,
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
    nonce: str | None
    offline: bool
    until: float


@dataclass(slots=True)
class Issued:
    """What came of one code."""

    user: str
    scope: str
    refresh: str | None = None
    access: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Consent:
    """The consent page, and the refresh tokens that users granted.

    Attributes:
        client: the one OAuth client of the project.
        user: who is signed in at the browser; None: whom `login_hint` names.
        answer: what the user does, where no browser is: grant, or deny.
        unticked: scopes that the user unticks, where no browser is.
        ticked: whether the page's boxes are ticked before the user has seen them. They are not on the real page, if
            an address was asked for too: observed since 2021.
        is_deleted: whether the OAuth client was deleted in the console.
        names_issuer: whether the way back carries `iss` (RFC 9207). Google sends it without announcing it: observed
            since February 2026.
        replay_revokes: whether a second use of a code ends what came of the first. RFC 6749 4.1.2 asks for it; of
            Google it is only known that the second use is refused.
        claims: claims of the id_token that differ from what is right; None: left out.
    """

    tokens: Tokens
    now: Callable[[], float]
    users: Collection[str]
    client: Client = field(default_factory=Client)
    user: str | None = None
    answer: str = "grant"
    unticked: set[str] = field(default_factory=set)
    ticked: bool = False
    is_deleted: bool = False
    names_issuer: bool = True
    replay_revokes: bool = False
    claims: dict[str, Any] = field(default_factory=dict)
    _codes: dict[str, Code] = field(default_factory=dict)
    _spent: dict[str, Issued] = field(default_factory=dict)
    _refresh: dict[str, Issued] = field(default_factory=dict)
    _granted: dict[str, dict[str, None]] = field(default_factory=dict)

    def lead_back_to(self, *redirect_uris: str) -> None:
        """Register these addresses with the client, and no others."""
        self.client = replace(self.client, redirect_uris=redirect_uris)

    def redirect(self, query: Mapping[str, str]) -> str:
        """Where a caller is sent that is no browser; refuses what Google shows an error page for."""
        self._check(query)
        if self.answer != "grant":
            return self._denied(query)
        return self._decided(query, self.user or query.get("login_hint", ""), self.unticked)

    def page(self, query: Mapping[str, str]) -> str:
        """The page for a browser; refuses like `redirect`."""
        self._check(query)
        accounts = [user for user in self.users if user not in self.tokens.suspended]
        boxes = dict.fromkeys(_boxes(query), self.ticked)
        return consent_page(AUTH_PATH, query, accounts, self.user or query.get("login_hint", ""), boxes)

    def answered(self, query: Mapping[str, str], form: Mapping[str, str], ticked: Collection[str]) -> str:
        """Where the page's form leads: `ticked` are its boxes."""
        self._check(query)
        if form.get("answer") != "continue":
            return self._denied(query)
        return self._decided(query, form.get("account", ""), {name for name in _boxes(query) if name not in ticked})

    def exchange(self, form: Mapping[str, str]) -> Json:
        """The answer to the grant types `authorization_code` and `refresh_token`."""
        self._check_client(form.get("client_id"))
        if form.get("client_secret") != self.client.secret:
            raise oauth_error(401, "invalid_client", "Unauthorized")
        if form["grant_type"] == "refresh_token":
            issued = self._refresh.get(form.get("refresh_token", ""))
            if issued is None or issued.user in self.tokens.suspended:
                raise oauth_error(400, "invalid_grant", "Token has been expired or revoked.")
            return self._answer(issued, {})
        name = form.get("code", "")
        code = self._codes.pop(name, None)
        if code is None or code.until <= self.now():
            self._replayed(name)
            raise oauth_error(400, "invalid_grant", "Malformed auth code.")
        if form.get("redirect_uri") != code.redirect_uri:
            raise oauth_error(400, "redirect_uri_mismatch", "Bad Request")
        _check_verifier(code.challenge, form.get("code_verifier"))
        issued = self._spent[name] = Issued(code.user, code.scope)
        answer = self._answer(issued, {"nonce": code.nonce})
        if code.offline:
            answer["refresh_token"] = issued.refresh = self._keep(issued)
        return answer

    def revoke(self, token: str) -> None:
        """End the whole grant of the user whose refresh or access token this is; 400 for an unknown one."""
        found = self.tokens.find(token) or self._refresh.get(token)
        if found is None:
            raise oauth_error(400, "invalid_token", "Token expired or revoked")
        self.withdraw(found.user)

    def has_grant(self, user: str) -> bool:
        """Whether a refresh token of the user works."""
        return any(issued.user == user for issued in self._refresh.values())

    def withdraw(self, user: str) -> None:
        """The user takes the consent back in the account's settings."""
        self._codes = {name: code for name, code in self._codes.items() if code.user != user}
        self._refresh = {token: issued for token, issued in self._refresh.items() if issued.user != user}
        self._granted.pop(user, None)
        self.tokens.revoke(user)

    def _check(self, query: Mapping[str, str]) -> None:
        self._check_client(query.get("client_id"))
        if query.get("redirect_uri") not in self.client.redirect_uris:
            raise oauth_error(400, "redirect_uri_mismatch")
        if query.get("response_type") != "code" or not query.get("scope"):
            raise oauth_error(400, "invalid_request", "Required parameter is missing")
        # Without a method the challenge would be the verifier itself, for everybody on the way to read.
        if "code_challenge" in query and query.get("code_challenge_method") != "S256":
            raise oauth_error(400, "invalid_request", "Only S256 is supported here")

    def _check_client(self, name: str | None) -> None:
        if name != self.client.id:
            raise oauth_error(401, "invalid_client", "The OAuth client was not found.")
        if self.is_deleted:
            raise oauth_error(401, "deleted_client", "The OAuth client was deleted.")

    def _decided(self, query: Mapping[str, str], user: str, unticked: Collection[str]) -> str:
        asked = [name for name in query["scope"].split() if name not in unticked]
        if user not in self.users or not asked:
            return self._denied(query)
        before = self._granted.setdefault(user, {})
        scope = dict.fromkeys(ALIASES.get(name, name) for name in asked)
        # The consent is asked for, and a refresh token given, the first time; then only where `prompt` says so.
        is_asked = "consent" in query.get("prompt", "").split() or not scope.keys() <= before.keys()
        if query.get("include_granted_scopes") == "true":
            scope |= before
        before |= scope
        code = "4/" + secrets.token_urlsafe(24)
        self._codes[code] = Code(
            user=user,
            scope=" ".join(scope),
            redirect_uri=query["redirect_uri"],
            challenge=query.get("code_challenge"),
            nonce=query.get("nonce"),
            offline=is_asked and query.get("access_type") == "offline",
            until=self.now() + CODE_SECONDS,
        )
        shown = " ".join({**dict.fromkeys(name for name in asked if name in ALIASES), **scope})
        about = {"authuser": "0", "hd": user.rpartition("@")[2], "prompt": "consent" if is_asked else "none"}
        return self._back(query, code=code, scope=shown, **about)

    def _denied(self, query: Mapping[str, str]) -> str:
        return self._back(query, error="access_denied")

    def _back(self, query: Mapping[str, str], **answer: str) -> str:
        state = {"state": query["state"]} if "state" in query else {}
        issuer = {"iss": ISSUER} if self.names_issuer else {}
        return f"{query['redirect_uri']}?{urlencode({**state, **issuer, **answer})}"

    def _keep(self, issued: Issued) -> str:
        token = "1//" + secrets.token_urlsafe(32)
        self._refresh[token] = issued
        mine = [name for name, one in self._refresh.items() if one.user == issued.user]
        for oldest in mine[:-MOST_REFRESH_TOKENS]:
            del self._refresh[oldest]
        return token

    def _replayed(self, code: str) -> None:
        issued = self._spent.get(code) if self.replay_revokes else None
        if issued is not None:
            self._refresh.pop(issued.refresh or "", None)
            for token in issued.access:
                self.tokens.revoke_token(token)

    def _answer(self, issued: Issued, more_claims: Mapping[str, Any]) -> Json:
        scope = issued.scope
        token = self.tokens.issue(issued.user, frozenset(scope.split()), issued.user, "ya29.a0")
        issued.access.append(token)
        answer: Json = {"access_token": token, "expires_in": self.tokens.life, "scope": scope, "token_type": "Bearer"}
        if OPENID in scope.split():
            claims = claims_of(issued.user, self.client.id, scope, self.now(), token)
            answer["id_token"] = id_token({**claims, **more_claims, **self.claims})
        return answer


def _boxes(query: Mapping[str, str]) -> list[str]:
    return [name for name in query["scope"].split() if ALIASES.get(name, name) not in SIGN_IN]


def _check_verifier(challenge: str | None, verifier: str | None) -> None:
    if challenge is None and verifier is not None:
        raise oauth_error(400, "invalid_grant", "code_verifier or verifier is not needed.")
    if challenge is not None and verifier is None:
        raise oauth_error(400, "invalid_grant", "Missing code verifier.")
    if verifier is not None and _challenge(verifier) != challenge:
        raise oauth_error(400, "invalid_grant", "Invalid code verifier.")


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
