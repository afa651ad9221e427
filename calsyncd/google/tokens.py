"""Access tokens: where they come from, how long they are used, and what the token endpoint's refusals mean."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeGuard

from calsyncd.errors import Refused, Unavailable
from calsyncd.http import Answer, Http

SCOPE = "https://www.googleapis.com/auth/calendar.events.readonly"
SKEW_SECONDS = 300.0
LONGEST_LIFE_SECONDS = 86400.0


class AccessTokens(Protocol):
    """Where access tokens come from."""

    async def token(self, subject: str, *, refused: str | None = None) -> str:
        """A token for `subject`, other than the one that was just `refused`."""
        ...


@dataclass(frozen=True, slots=True)
class Token:
    """An access token; it is replaced after `good_until` and useless after `ends_at` (seconds, UTC)."""

    value: str = field(repr=False)
    good_until: float
    ends_at: float


class KeptTokens(ABC):
    """Access tokens by the user they speak for; at most one exchange at a time for each.

    `learned` is told each secret before it could be logged.
    """

    def __init__(self, http: Http, *, now: Callable[[], float], learned: Callable[[str], None]) -> None:
        self._http = http
        self._now = now
        self._learned = learned
        self._tokens: dict[str, Token] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def token(self, subject: str, *, refused: str | None = None) -> str:
        """A token for `subject`, other than the one that was just `refused`.

        Raises `Refused` where Google says no to the user or to us; `Unavailable` where it gave no answer that counts
        and no token is left that is still good.
        """
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

    @abstractmethod
    async def _exchange(self, subject: str) -> Token:
        """A fresh token from the endpoint."""


async def ask(http: Http, uri: str, form: Mapping[str, str]) -> Answer:
    """What the token endpoint answers."""
    return await http.request("google", "token", "POST", uri, form=form)


def token_of(data: Any, now: float) -> Token:
    """The access token of an endpoint's success, asked for at `now`; `Unavailable` if there is none in it."""
    value = data.get("access_token") if isinstance(data, dict) else None
    seconds = data.get("expires_in") if isinstance(data, dict) else None
    if not isinstance(value, str) or not value or not _is_life(seconds):
        raise malformed()
    # A life shorter than the skew is still a life: use half of it.
    return Token(value, now + max(seconds - SKEW_SECONDS, seconds / 2), now + seconds)


def malformed() -> Unavailable:
    """The error of a success that does not hold what it should."""
    return Unavailable("Google's token answer is not what it promises", service="google", code="malformed", status=200)


def token_error(
    answer: Answer, meanings: Mapping[str, tuple[str, str]], otherwise: tuple[str, str]
) -> Refused | Unavailable:
    """What the endpoint's refusal means: `meanings` has our code and the message by Google's `error`."""
    error = answer.data.get("error") if isinstance(answer.data, dict) else None
    if answer.status == 429 or answer.status >= 500 or not isinstance(error, str):
        return Unavailable(
            f"Google's token endpoint answered {answer.status}",
            service="google",
            code="token_endpoint",
            status=answer.status,
        )
    code, message = meanings.get(error, otherwise)
    return Refused(message, service="google", code=code, status=answer.status)


def _is_life(seconds: object) -> TypeGuard[float]:
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds <= LONGEST_LIFE_SECONDS
