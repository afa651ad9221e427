"""Access tokens of a service account with domain-wide delegation.

google-auth signs (`crypt.RSASigner` and `jwt.encode` are its public pieces); the exchange is a request of our own.
Facts: claims iss, sub, scope, aud, iat and exp of at most an hour, header kid; 401 `unauthorized_client` when the
delegation is missing, 400 `invalid_grant` for an unknown or suspended user or a wrong clock.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeGuard

from google.auth import crypt, jwt

from calsyncd.errors import Refused, Unavailable
from calsyncd.http import Answer, Http

SCOPE = "https://www.googleapis.com/auth/calendar.events.readonly"
LIST_SCOPE = "https://www.googleapis.com/auth/calendar.calendarlist.readonly"
"""May be delegated beside the other: then agents' further calendars are shown."""
ASSERTION_SECONDS = 3600
SKEW_SECONDS = 300.0
LONGEST_LIFE_SECONDS = 86400.0
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    good_until: float
    ends_at: float


class ServiceAccountTokens:
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
        self._http = http
        self._scope = scope
        self._client_email = client_email
        self._token_uri = token_uri
        self._signer = signer
        self._now = now
        self._learned = learned
        self._tokens: dict[str, _Token] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def token(self, subject: str, *, refused: str | None = None) -> str:
        """A token for `subject`, other than the one that was just `refused`."""
        async with self._locks[subject]:
            known = self._tokens.get(subject)
            if known is not None and known.value == refused:
                known = None
            if known is not None and self._now() < known.good_until:
                return known.value
            try:
                fresh = await self._exchange(subject)
            except Unavailable:
                if known is None or self._now() >= known.ends_at:
                    raise
                return known.value
            self._tokens[subject] = fresh
            return fresh.value

    async def _exchange(self, subject: str) -> _Token:
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
        answer = await self._http.request(
            "google",
            "token",
            "POST",
            self._token_uri,
            form={"grant_type": GRANT, "assertion": assertion},
        )
        return self._read(answer, now)

    def _read(self, answer: Answer, now: float) -> _Token:
        if not answer.ok:
            raise _token_error(answer)
        data = answer.data
        value = data.get("access_token") if isinstance(data, dict) else None
        seconds = data.get("expires_in") if isinstance(data, dict) else None
        if not isinstance(value, str) or not value or not _is_life(seconds):
            raise Unavailable(
                "Google's token answer is not what it promises", service="google", code="malformed", status=200
            )
        self._learned(value)
        # A life shorter than the skew is still a life: use half of it.
        return _Token(value, now + max(seconds - SKEW_SECONDS, seconds / 2), now + seconds)


def _is_life(seconds: object) -> TypeGuard[float]:
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds <= LONGEST_LIFE_SECONDS


def _token_error(answer: Answer) -> Refused | Unavailable:
    code = answer.data.get("error") if isinstance(answer.data, dict) else None
    if answer.status == 429 or answer.status >= 500 or not isinstance(code, str):
        return Unavailable(
            f"Google's token endpoint answered {answer.status}",
            service="google",
            code="token_endpoint",
            status=answer.status,
        )
    if code == "unauthorized_client":
        return Refused(
            "Google does not let the service account speak for this user",
            service="google",
            code="delegation",
            status=answer.status,
        )
    if code == "invalid_grant":
        return Refused(
            "Google does not know this user, or has suspended them, or our clock is wrong",
            service="google",
            code="invalid_grant",
            status=answer.status,
        )
    return Refused("Google refused the service account", service="google", code="service_account", status=answer.status)
