"""Requests to Aircall as they are, without the daemon's ways around what is in doubt; and what of them may be shown.

A trace holds no address, id, name, token or text of an answer: only statuses, times, and words of known kinds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Protocol

from calsyncd.core.model import Setting
from calsyncd.errors import ServiceError
from calsyncd.http import Http

LONGEST_WAIT_SECONDS = 61.0
MILLISECONDS_FROM = 1e12
MOST_WAITS = 3

_WORD = re.compile(r"[a-z_]{1,32}")
_FIELD = re.compile(r"[a-z][a-z_0-9]{0,31}")


class Clock(Protocol):
    """The time, as the probe sees it."""

    def now(self) -> float:
        """Epoch seconds, UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after about `seconds`."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; `status` is None where nothing did. `at` is when it came."""

    status: int | None
    at: float
    data: Any = field(repr=False, default=None)
    headers: dict[str, str] = field(repr=False, default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether it is a success."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def user(self) -> dict[str, Any]:
        """The user that it shows; empty if none."""
        user = self.data.get("user") if isinstance(self.data, dict) else None
        return user if isinstance(user, dict) else {}

    @property
    def setting(self) -> Setting | None:
        """The setting that it shows."""
        status = self.user.get("availability_status")
        reason = self.user.get("substatus", self.user.get("state"))
        return Setting(status, reason if isinstance(reason, str) else None) if isinstance(status, str) else None

    @property
    def body(self) -> str:
        """The kind of what it holds."""
        if isinstance(self.data, dict):
            return next((name for name in ("error", "message", "user", "users") if name in self.data), "json")
        if "html" in self.headers.get("content-type", ""):
            return "html"
        return "empty" if self.headers.get("content-length") == "0" else "other"


class Wire:
    """Aircall, for one user; every exchange is kept in `trace` as it may be shown."""

    def __init__(self, http: Http, api_url: str, authorization: str, clock: Clock) -> None:
        self._http = http
        self._api_url = api_url.rstrip("/")
        self._authorization = authorization
        self._clock = clock
        self._began = clock.now()
        self.trace: list[dict[str, Any]] = []
        self.headers_seen: set[str] = set()

    async def ask(self, method: str, path: str, *, named: str, body: dict[str, str] | None = None) -> Reply:
        """Send, and wait where Aircall says that its requests are used up. `named` is the path as it may be shown."""
        for _ in range(MOST_WAITS):
            reply = await self.once(method, path, named=named, body=body)
            if reply.status != 429:
                break
            await self._clock.sleep(waiting(reply, self._clock.now()))
        return reply

    async def once(self, method: str, path: str, *, named: str, body: dict[str, str] | None = None) -> Reply:
        """Send once."""
        asked = self._clock.now()
        try:
            answer = await self._http.request(
                "aircall",
                "probe",
                method,
                self._api_url + path,
                headers={"Authorization": self._authorization, "Content-Type": "application/json"},
                body=body,
            )
        except ServiceError as error:
            reply = Reply(error.status, self._clock.now())
        else:
            reply = Reply(answer.status, self._clock.now(), answer.data, dict(answer.headers))
            if reply.ok:
                self.headers_seen |= {name for name in reply.headers if name.startswith("x-aircallapi-")}
        shown = reply.setting
        self.trace.append(
            {
                "at": round(asked - self._began, 3),
                "took_ms": round((reply.at - asked) * 1000),
                "request": f"{method} {named}",
                "sent": body,
                "status": reply.status,
                "body": reply.body,
                "shown": None if shown is None else [word(shown.availability_status), word(shown.substatus)],
            }
        )
        return reply


def word(text: object) -> str | None:
    """A word of one of Aircall's vocabularies; of anything else only that it is something else."""
    if text is None:
        return None
    return text if isinstance(text, str) and _WORD.fullmatch(text) else "(something else)"


def fields(data: dict[str, Any]) -> list[str]:
    """The names of the fields, without what they hold."""
    return sorted(name for name in data if isinstance(name, str) and _FIELD.fullmatch(name))


def waiting(reply: Reply, now: float) -> float:
    """For how many seconds a 429 asks to wait."""
    reset = _number(reply.headers.get("x-aircallapi-reset"))
    after = _number(reply.headers.get("retry-after"))
    if after is None and reset is not None:
        after = (reset / 1000 if reset >= MILLISECONDS_FROM else reset) - now
    return min(max(after, 1.0), LONGEST_WAIT_SECONDS) if after is not None else LONGEST_WAIT_SECONDS


def signal_of(reply: Reply) -> str:
    """In which way a 429 tells the wait."""
    after, reset = reply.headers.get("retry-after"), _number(reply.headers.get("x-aircallapi-reset"))
    if after is not None:
        return "retry_after" if _number(after) is not None else "retry_after_date"
    if reset is not None:
        return "reset_milliseconds" if reset >= MILLISECONDS_FROM else "reset_seconds"
    return "none"


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
