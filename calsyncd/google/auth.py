"""Access tokens of a service account with domain-wide delegation.

google-auth signs (`crypt.RSASigner` and `jwt.encode` are its public pieces); the exchange is a request of our own.
Facts: claims iss, sub, scope, aud, iat and exp of at most an hour, header kid; 401 `unauthorized_client` when the
delegation is missing, 400 `invalid_grant` for an unknown or suspended user or a wrong clock.
"""

from __future__ import annotations

from collections.abc import Callable

from google.auth import crypt, jwt

from calsyncd.google.tokens import SCOPE, KeptTokens, Token, ask, token_error, token_of
from calsyncd.http import Http

ASSERTION_SECONDS = 3600
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"

_MEANINGS = {
    "unauthorized_client": ("delegation", "Google does not let the service account speak for this user"),
    "invalid_grant": (
        "invalid_grant",
        "Google does not know this user, or has suspended them, or our clock is wrong",
    ),
}
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
    ) -> None:
        super().__init__(http, now=now, learned=learned)
        self._client_email = client_email
        self._token_uri = token_uri
        self._signer = signer

    async def _exchange(self, subject: str) -> Token:
        now = self._now()
        claims = {
            "iss": self._client_email,
            "sub": subject,
            "scope": SCOPE,
            "aud": self._token_uri,
            "iat": int(now),
            "exp": int(now) + ASSERTION_SECONDS,
        }
        assertion = str(jwt.encode(self._signer, claims), "ascii")  # type: ignore[no-untyped-call]
        self._learned(assertion)
        answer = await ask(self._http, self._token_uri, {"grant_type": GRANT, "assertion": assertion})
        if not answer.ok:
            raise token_error(answer, _MEANINGS, _OTHERWISE)
        token = token_of(answer.data, now)
        self._learned(token.value)
        return token
