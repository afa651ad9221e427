"""Access tokens of a service account with domain-wide delegation.

google-auth signs (`crypt.RSASigner` and `jwt.encode` are its public pieces); the exchange is a request of our own.
Facts: claims iss, sub, scope, aud, iat and exp of at most an hour, header kid; 401 `unauthorized_client` or
`access_denied` when the delegation or its scope is missing. 400 `invalid_grant` is said of an unknown or suspended
user, of a wrong clock and of a deleted key alike: only its description tells them apart, in words that Google documents
("Using OAuth 2.0 for Server to Server Applications", error codes). Of one that is not known the user is the reason.
"""

from __future__ import annotations

from collections.abc import Callable

from google.auth import crypt, jwt

from calsyncd.google.tokens import SCOPE, KeptTokens, Token, ask, token_error, token_of
from calsyncd.http import Answer, Http

LIST_SCOPE = "https://www.googleapis.com/auth/calendar.calendarlist.readonly"
"""May be delegated beside the other: then agents' further calendars are shown."""

ASSERTION_SECONDS = 3600
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"

_NOT_DELEGATED = ("delegation", "Google does not let the service account speak for this user")
_MEANINGS = {"unauthorized_client": _NOT_DELEGATED, "access_denied": _NOT_DELEGATED}
_OTHERWISE = ("service_account", "Google refused the service account")


class ServiceAccountTokens(KeptTokens):
    """Access tokens by the user they speak for; at most one exchange at a time for each."""

    def __init__(
        self,
        http: Http,
        *,
        client_email: str,
        token_uri: str,
        signer: crypt.RSASigner,
        now: Callable[[], float],
        learned: Callable[[str], None],
        scope: str = SCOPE,
    ) -> None:
        super().__init__(http, now=now, learned=learned)
        self._scope = scope
        self._client_email = client_email
        self._token_uri = token_uri
        self._signer = signer

    async def _exchange(self, subject: str) -> Token:
        now = self._now()
        claims = {
            "iss": self._client_email,
            "sub": subject,
            "scope": self._scope,
            "aud": self._token_uri,
            "iat": int(now),
            "exp": int(now) + ASSERTION_SECONDS,
        }
        assertion = str(jwt.encode(self._signer, claims), "ascii")  # type: ignore[no-untyped-call]
        self._learned(assertion)
        answer = await ask(self._http, self._token_uri, {"grant_type": GRANT, "assertion": assertion})
        if not answer.ok:
            raise token_error(answer, _MEANINGS | {"invalid_grant": _grant_refused(answer)}, _OTHERWISE)
        token = token_of(answer.data, now)
        self._learned(token.value)
        return token


def _grant_refused(answer: Answer) -> tuple[str, str]:
    description = answer.data.get("error_description") if isinstance(answer.data, dict) else None
    words = description.lower() if isinstance(description, str) else ""
    if "reasonable timeframe" in words:
        return "clock", "Google does not take our clock's time"
    if "invalid jwt" in words or "account not found" in words:
        return "service_account", "Google knows neither this service account nor what it signs"
    return "invalid_grant", "Google does not know this user, or has suspended them"
