"""What a request of an operator asks for, read from its body and query; what is wrong with it is a `Fault`."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from aiohttp import web
from multidict import MultiMapping

BODY_SECONDS = 10.0
MAX_TEXT = 200
MAX_CURSOR = 1000
WINDOW = ("day", "from", "to")
MAX_PAUSE_SECONDS = 366 * 86400.0
MAX_BY_HAND_SECONDS = 12 * 3600.0
MAX_WINDOW_SECONDS = 31 * 86400.0

_YEARS = (1970, 9000)
_DURATION = re.compile(r"([1-9][0-9]{0,8})(s|m|h|d|w)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNITS = {None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


class Fault(Exception):
    """A request that is answered with an error; the message is for the person who sent it."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Order:
    """What an operator says of a deed: who asks, why, and until when, or for how many seconds, if that is said."""

    actor: str
    reason: str
    until: float | None = None
    length: float | None = None


async def read_order(request: web.Request, now: float, *, timed: bool = False) -> Order:
    """The order in a request's body; only a `timed` one may say `for` or `until`."""
    check_query(request.query, ())
    body = await read_body(request, frozenset({"actor", "reason"} | ({"for", "until"} if timed else set())))
    actor, reason = _text(body, "actor", "operator") or "operator", _text(body, "reason", "")
    until = until_of(body, now)
    return Order(actor, reason, until, None if body.get("for") is None else seconds_of(body["for"]))


def check_query(query: MultiMapping[str], known: Collection[str], several: Collection[str] = ()) -> None:
    """Refuse what is not known here, too long, or given twice; `several` may come more often."""
    for name, value in query.items():
        if name not in known:
            raise _bad(f"{name[:MAX_TEXT]!r} is not known here; known: {', '.join(known) or 'nothing'}")
        most = MAX_CURSOR if name == "cursor" else MAX_TEXT
        if len(value) > most:
            raise _bad(f"{name} must be a text of at most {most} characters")
        if name not in several and len(query.getall(name)) > 1:
            raise _bad(f"{name} is given twice")


def _bad(message: str) -> Fault:
    return Fault(400, "bad_request", message)


async def read_body(request: web.Request, keys: frozenset[str]) -> dict[str, Any]:
    """The JSON object sent, or an empty one when nothing was."""
    if not request.body_exists:
        return {}
    # Not `request.content_type`: that parses all of the header as an e-mail's, and nests as deep as a stranger wants.
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        raise Fault(415, "unsupported_media_type", "the body must be application/json")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = await request.read()
    except TimeoutError:
        raise Fault(408, "timeout", "the body did not come in time") from None
    except web.RequestPayloadError:
        raise _bad("the body is not what its headers say") from None
    if not raw:
        return {}
    try:
        body = json.loads(raw.decode())
    except (ValueError, RecursionError):
        raise _bad("the body is not JSON") from None
    if not isinstance(body, dict):
        raise _bad("the body must be a JSON object")
    for key in body:
        if key not in keys:
            allowed = ", ".join(sorted(keys))
            raise _bad(f"{key[:MAX_TEXT]!r} is not known here; known: {allowed}")
    return body


def _text(body: dict[str, Any], key: str, default: str) -> str:
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise _bad(f"{key} must be a text of at most {MAX_TEXT} characters")
    line = value.strip()
    if _CONTROL.search(line):
        raise _bad(f"{key} must be one line, without control characters")
    return line


def until_of(body: dict[str, Any], now: float) -> float | None:
    """The instant that `for` or `until` mean; None when neither is given."""
    length, at = body.get("for"), body.get("until")
    if length is not None and at is not None:
        raise _bad("give either for or until, not both")
    if length is not None:
        seconds = seconds_of(length)
        # A little more may be no more in the sum.
        until = now + seconds if seconds <= MAX_PAUSE_SECONDS else math.inf
    elif at is not None:
        until = instant_of(at)
    else:
        return None
    if not now < until <= now + MAX_PAUSE_SECONDS:
        raise _bad("it must end in the future, within a year")
    return until


def seconds_of(value: object) -> float:
    """The length that `for` names."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 1:
        return float(min(value, 2 * MAX_PAUSE_SECONDS))
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise _bad('for must be a duration such as "90s", "15m", "2h" or "7d", or seconds, 1 at least')
    return int(match[1]) * _UNITS[match[2]]


def window_of(query: Mapping[str, str]) -> tuple[float, float] | date | None:
    """What `from` and `to`, or `day`, ask for; None when nothing is given."""
    if ("from" in query) != ("to" in query) or ("from" in query and "day" in query):
        raise _bad("give from and to, or day, or nothing for today")
    if "from" in query:
        low, high = instant_of(query["from"], "from"), instant_of(query["to"], "to")
        if not low < high <= low + MAX_WINDOW_SECONDS:
            raise _bad("to must be later than from, by 31 days at most")
        return low, high
    if "day" not in query:
        return None
    try:
        day = date.fromisoformat(query["day"])
    except ValueError:
        day = None
    if day is None or not _YEARS[0] <= day.year <= _YEARS[1]:
        raise _bad('day must be a date such as "2026-11-23"')
    return day


def flag_of(query: Mapping[str, str], name: str) -> bool:
    """Whether the query says `true` to this; not, where it says nothing."""
    if query.get(name, "false") not in {"true", "false"}:
        raise _bad(f"{name} must be true or false")
    return query.get(name) == "true"


def instant_of(value: object, name: str = "until") -> float:
    """The instant of a time with its offset; `name` is what it is called in the request."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise _bad(f'{name} must be a time with its offset such as "2026-11-23T10:30:00Z"')
    try:
        instant = at.astimezone(UTC)
    except OverflowError:
        instant = None
    if instant is None or not _YEARS[0] <= instant.year <= _YEARS[1]:
        raise _bad(f"{name} is out of bounds")
    return instant.timestamp()


def time_out(at: float) -> str:
    """An instant as RFC 3339 UTC with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
