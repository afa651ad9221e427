"""Aircall's OAuth for apps: where an admin consents, the code's exchange for a token, and the integration.

Facts (Aircall's own text, unless said otherwise): the scope is `public_api`; a code lives ten minutes (two
transcriptions); the exchange is JSON and fails with 400 and `error`; the token is permanent, without a refresh token
(two transcriptions); enabling answers 204 and lets the app's webhooks work. What `integrations/me` shows was seen in
one source only. Redirect addresses are compared as they stand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlencode

from calsyncd.aircall.authorization import bearer
from calsyncd.aircall.client import classified
from calsyncd.errors import UNINSTALLED, Refused, Unavailable
from calsyncd.http import Answer, Http

SCOPE = "public_api"
CODE_REFUSED = "code_refused"
CLIENT_REFUSED = "aircall_client"
"""Aircall does not know the app's client id, secret or redirect address."""

_TOKEN = re.compile(r"[\x21-\x7e]{8,512}")
_CLIENT_ERRORS = frozenset({"invalid_client", "unauthorized_client"})
_GONE = frozenset({"deleted", "uninstalled", "removed"})


@dataclass(frozen=True, slots=True)
class App:
    """The app as Aircall knows it. `redirect_uri` is our callback; `dashboard_url` and `api_url` are Aircall's.

    `company` is the only company that may install it, by Aircall's id; None: the settings do not say.
    """

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    dashboard_url: str
    api_url: str
    company: int | None = None

    @property
    def success_url(self) -> str:
        """Where the admin's browser ends."""
        return self.dashboard_url.rstrip("/") + "/oauth/success"


@dataclass(frozen=True, slots=True)
class Integration:
    """What Aircall shows of the installed app; None what it does not say. `gone`: it says that it was removed."""

    company: int | None
    active: bool | None
    gone: bool


def authorization_url(app: App, state: str) -> str:
    """Aircall's consent page; it sends the browser back to `redirect_uri` with this `state`."""
    query = {
        "client_id": app.client_id,
        "redirect_uri": app.redirect_uri,
        "response_type": "code",
        "scope": SCOPE,
        "state": state,
    }
    return f"{app.dashboard_url.rstrip('/')}/oauth/authorize?{urlencode(query)}"


async def exchange(http: Http, app: App, code: str) -> str:
    """The token for a code, which is good once.

    Refused `code_refused`: it is wrong, used or too old; `aircall_client`: it is not the code that is wrong.
    Unavailable: it may be used up all the same, so that only a new consent helps.
    """
    body = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": app.redirect_uri,
        "client_id": app.client_id,
        "client_secret": app.client_secret,
    }
    answer = await http.request(
        "aircall",
        "oauth.token",
        "POST",
        app.api_url.rstrip("/") + "/v1/oauth/token",
        headers={"Content-Type": "application/json"},
        body=body,
    )
    data = answer.data if isinstance(answer.data, dict) else {}
    if answer.status in (400, 401, 403, 422):
        # Only known words of the answer go on: it may quote what was sent.
        error = str(data.get("error"))
        is_client = answer.status in (401, 403) or error in _CLIENT_ERRORS
        named = f" ({error})" if error in _CLIENT_ERRORS or error == "invalid_grant" else ""
        raise Refused(
            f"Aircall answered {answer.status} to oauth.token{named}",
            service="aircall",
            code=CLIENT_REFUSED if is_client else CODE_REFUSED,
            status=answer.status,
        )
    if not answer.ok:
        raise classified(answer, "oauth.token", CLIENT_REFUSED)
    token = data.get("access_token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise Unavailable("Aircall's answer to oauth.token is malformed", service="aircall", code="malformed")
    return token


async def enable(http: Http, app: App, token: str) -> None:
    """Tell Aircall that the installation is complete; it lets the app's webhooks work. Idempotent."""
    try:
        await _ask(http, app, token, "integrations.enable", method="POST", path="/v1/integrations/enable")
    except Unavailable as error:
        # Done, with a body that is no JSON: nothing was expected in it.
        if error.code != "malformed" or error.status is None or not 200 <= error.status < 300:
            raise


async def integration(http: Http, app: App, token: str) -> Integration:
    """The installed app. Refused `aircall_uninstalled`: Aircall does not know the token (any more)."""
    answer = await _ask(http, app, token, "integrations.me", method="GET", path="/v1/integrations/me")
    inner = answer.data.get("integration") if isinstance(answer.data, dict) else None
    shown = inner if isinstance(inner, dict) else {}
    company, active, status = (shown.get(name) for name in ("company_id", "active", "status"))
    return Integration(
        _number(company),
        active if isinstance(active, bool) else None,
        gone=isinstance(status, str) and status.lower() in _GONE,
    )


def _number(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:18])
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


async def _ask(http: Http, app: App, token: str, route: str, *, method: str, path: str) -> Answer:
    answer = await http.request(
        "aircall",
        route,
        method,
        app.api_url.rstrip("/") + path,
        headers={"Authorization": bearer(token), "Content-Type": "application/json"},
    )
    if not answer.ok:
        raise classified(answer, route, UNINSTALLED)
    return answer
