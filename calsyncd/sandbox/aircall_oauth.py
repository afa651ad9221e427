"""Aircall's OAuth for technology partners: consent, code, a token that never expires, the integration.

A browser (whoever accepts text/html) sees the consent page and decides by its buttons; a program is answered at once,
as the switches say.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.faults import Json
from calsyncd.sandbox.server import Refusal

CODE_SECONDS = 600.0
"""How long a code can be exchanged."""

OAUTH_PATHS = frozenset({"/oauth/authorize", "/oauth/success", "/v1/oauth/token"})
"""What needs no credentials."""


@dataclass(frozen=True, slots=True)
class Code:
    """What a code was given out for."""

    redirect_uri: str
    company: int
    until: float


@dataclass(slots=True)
class Install:
    """The app's installation at a company.

    Attributes:
        is_admin: whether who stands before the consent page is an administrator.
        consents: what they do where nobody sees a page.
        company_id: of which company they are; the sandbox's own is 1, and of another the API shows nothing.
        tells_company: the integration shows its `company_id`.
        enable_body: what `enable` is answered with; None: 204 and nothing.
        active: whether the installation is enabled.
    """

    now: Callable[[], float]
    client_id: str = "sandbox-client-id"
    client_secret: str = field(default="sandbox-client-secret", repr=False)
    redirect_uris: tuple[str, ...] = (PUBLIC_ORIGIN + "/aircall/oauth/callback",)
    is_admin: bool = True
    consents: bool = True
    company_id: int = 1
    tells_company: bool = True
    enable_body: str | None = None
    active: bool = False
    _codes: dict[str, Code] = field(default_factory=dict)
    _tokens: dict[str, int] = field(default_factory=dict)

    def check(self, query: Mapping[str, str]) -> None:
        """Refuse what Aircall shows no consent page for."""
        is_right = query.get("client_id") == self.client_id and query.get("redirect_uri") in self.redirect_uris
        if not is_right or query.get("response_type") != "code" or query.get("scope") != "public_api":
            raise Refusal(400, {"error": "invalid_request"})
        if not self.is_admin:
            raise Refusal(403, {"error": "access_denied"})

    def redirect(self, query: Mapping[str, str], *, consents: bool | None = None) -> str:
        """Where the browser is sent after the consent page; `consents` is the button that was pressed."""
        self.check(query)
        redirect_uri = query["redirect_uri"]
        state = {"state": query["state"]} if "state" in query else {}
        if not (self.consents if consents is None else consents):
            return f"{redirect_uri}?{urlencode({'error': 'access_denied', **state})}"
        code = secrets.token_hex(16)
        self._codes[code] = Code(redirect_uri, self.company_id, self.now() + CODE_SECONDS)
        return f"{redirect_uri}?{urlencode({'code': code, **state})}"

    def exchange(self, body: Mapping[str, Any]) -> Json:
        """The permanent token for a code; 400 with an `error` for anything else."""
        if body.get("client_id") != self.client_id or body.get("client_secret") != self.client_secret:
            raise Refusal(400, {"error": "invalid_client"})
        if body.get("grant_type") != "authorization_code":
            raise Refusal(400, {"error": "unsupported_grant_type"})
        code = self._codes.pop(str(body.get("code")), None)
        if code is None or code.until <= self.now() or body.get("redirect_uri") != code.redirect_uri:
            raise Refusal(400, {"error": "invalid_grant"})
        token = secrets.token_hex(20)
        self._tokens[token] = code.company
        return {"access_token": token, "token_type": "Bearer", "created_at": int(self.now())}

    def company_of(self, token: str) -> int | None:
        """At which company this token is one of an installation that was not removed."""
        return self._tokens.get(token)

    def is_token(self, token: str) -> bool:
        """Whether this is a token of an installation that was not removed."""
        return token in self._tokens

    def uninstall(self, company: int | None = None) -> None:
        """A company, or each, removes the app: its tokens get 403."""
        self._tokens = {token: of for token, of in self._tokens.items() if company not in (None, of)}
        self.active = False

    def show(self, company: str, company_id: int = 1) -> Json:
        """The integration, as `GET /v1/integrations/me` shows it."""
        shown = {
            "name": "calsyncd",
            "custom_name": company,
            "logo": "https://example.com/logo.png",
            "company_id": company_id,
            "status": "installed",
            "active": self.active,
            "number_ids": [],
            "numbers_count": 0,
            "user": {"id": 456, "name": "John Doe"},
        }
        return shown if self.tells_company else {name: shown[name] for name in shown if name != "company_id"}


def add_pages(app: web.Application, install: Install, company: Callable[[], str]) -> None:
    """What the dashboard shows of an installation."""

    async def ask(request: web.Request) -> web.Response:
        if "text/html" not in request.headers.get("Accept", ""):
            return web.Response(status=302, headers={"Location": install.redirect(request.query)})
        try:
            install.check(request.query)
        except Refusal as refusal:
            return _refused(refusal)
        return _page("Authorize calsyncd", _question(request.query, company()))

    async def decide(request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        try:
            target = install.redirect(form, consents=form.get("decision") == "authorize")
        except Refusal as refusal:
            return _refused(refusal)
        return web.Response(status=302, headers={"Location": target})

    async def succeed(_: web.Request) -> web.Response:
        return _page("All set", '<p id="success">calsyncd was installed. You can close this window.</p>')

    app.router.add_get("/oauth/authorize", ask)
    app.router.add_post("/oauth/authorize", decide)
    app.router.add_get("/oauth/success", succeed)


def _question(query: Mapping[str, str], company: str) -> str:
    kept = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in query.items()
        if name in {"client_id", "redirect_uri", "response_type", "scope", "state"}
    )
    return (
        f"<p><b>calsyncd</b> wants to access your Aircall account <b>{escape(company)}</b>:</p>"
        "<ul><li>users, numbers, teams, calls and contacts (public_api)</li></ul>"
        f'<form method="post" action="/oauth/authorize">{kept}'
        '<button name="decision" value="authorize">Authorize</button> '
        '<button name="decision" value="deny">Deny</button></form>'
    )


def _refused(refusal: Refusal) -> web.Response:
    error = str((refusal.body or {}).get("error"))
    words = {
        "access_denied": "Only admins can install apps. Ask an admin of your company.",
        "invalid_request": "This app asks wrongly: an unknown client, another redirect address or scope.",
    }
    return _page("Something went wrong", f'<p id="{error}">{words[error]}</p>', refusal.status)


def _page(title: str, body: str, status: int = 200) -> web.Response:
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)} · Aircall (sandbox)</title></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return web.Response(status=status, text=html, content_type="text/html")
