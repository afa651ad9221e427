"""Aircall's users: list, look, update.

Facts that shape it: users live on v2, but what v2's update accepts was never seen in print, so v1 is tried once
where v2 does not know the verb, and what worked is remembered; live states stayed on v1; every request, a GET too,
carries a Content-Type; a 404 body tells an unknown user from an unknown route; 405 is a state error as well.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from calsyncd.core.model import Observation, Setting, User
from calsyncd.core.plan import LIVE_UNKNOWN
from calsyncd.errors import CREDENTIALS, USER_GONE, RateLimited, Refused, ServiceError, Unavailable
from calsyncd.http import Answer, Http

PER_PAGE = 50
VERB_UNKNOWN = frozenset({404, 405, 410})

UsersApi = Literal["auto", "v2", "v1"]


class AircallApi:
    """Aircall on behalf of the company. `now` is asked when a look is sent; `say` is told of version changes."""

    def __init__(
        self,
        http: Http,
        *,
        api_url: str,
        authorization: str,
        users_api: UsersApi,
        now: Callable[[], float],
        say: Callable[[str], None],
    ) -> None:
        self._http = http
        self._api_url = api_url.rstrip("/")
        self._authorization = authorization
        self._now = now
        self._say = say
        self._pinned = users_api != "auto"
        self._read_version: Literal["v1", "v2"] = "v1" if users_api == "v1" else "v2"
        self._write_version: Literal["v1", "v2"] = self._read_version
        self._refused_substatuses: set[str] = set()

    async def ping(self) -> None:
        """Return if the credentials are good."""
        await self._call("ping", "GET", "/v1/ping")

    async def page_of_users(self, page: int) -> tuple[list[User], bool]:
        """(one page of the company's users, whether another follows). Users that cannot be read are left out."""
        at = self._now()
        answer = await self._users_call(
            "users.list", "GET", f"/users?page={page}&per_page={PER_PAGE}", body=None, read=True
        )
        data = answer.data if isinstance(answer.data, dict) else {}
        items = data.get("users")
        if not isinstance(items, list):
            raise _malformed("users.list")
        meta = data.get("meta")
        meta = meta if isinstance(meta, dict) else {}
        link, per_page = meta.get("next_page_link", ...), meta.get("per_page")
        size = per_page if isinstance(per_page, int) and 0 < per_page < PER_PAGE else PER_PAGE
        more = len(items) >= size if link is ... else link is not None and bool(items)
        users = [user for item in items if (user := read_user(item, at)) is not None]
        return users, more

    async def look(self, user: int) -> Observation:
        """The user's setting."""
        at = self._now()
        answer = await self._users_call("users.get", "GET", f"/users/{user}", body=None, read=True)
        found = read_user(_inner(answer), at)
        if found is None or found.id != user or found.observation is None:
            raise _malformed("users.get")
        return found.observation

    async def live_state(self, user: int) -> str:
        """The user's live state; `unknown` when Aircall does not say it."""
        try:
            answer = await self._call("users.availability", "GET", f"/v1/users/{user}/availability")
        except RateLimited:
            raise
        except ServiceError:
            return LIVE_UNKNOWN
        data = answer.data if isinstance(answer.data, dict) else {}
        state = data.get("availability")
        return state if isinstance(state, str) else LIVE_UNKNOWN

    async def update(self, user: int, setting: Setting) -> Setting:
        """Write a setting; what the answer shows of it. One attempt, but for a refused sub-status or verb."""
        substatus = None if setting.substatus in self._refused_substatuses else setting.substatus
        body = {"availability_status": setting.availability_status}
        if substatus is not None:
            body["substatus"] = substatus
        try:
            answer = await self._users_call("users.update", "PUT", f"/users/{user}", body=body, read=False)
        except Refused as error:
            if substatus is None or error.status not in (400, 422):
                raise
            shown = await self.update(user, Setting(setting.availability_status))
            self._refused_substatuses.add(substatus)
            self._say(f"Aircall refuses the sub-status {substatus}; it is left out from now on")
            return shown
        found = read_user(_inner(answer), self._now())
        if found is None or found.id != user or found.observation is None:
            # It may have been taken all the same: a look settles it.
            raise _malformed("users.update")
        return found.observation.setting

    async def _users_call(self, route: str, method: str, path: str, *, body: Any, read: bool) -> Answer:
        version = self._read_version if read else self._write_version
        try:
            return await self._call(route, method, f"/{version}{path}", body=body)
        except Refused as error:
            if self._pinned or error.status not in VERB_UNKNOWN or (read and error.code == USER_GONE):
                raise
            if not read and not await self._exists(path):
                raise
            other: Literal["v1", "v2"] = "v1" if version == "v2" else "v2"
            try:
                answer = await self._call(route, method, f"/{other}{path}", body=body)
            except Refused:
                raise error if read else _verb_refused(error, route) from None
        if read:
            self._read_version = other
        else:
            self._write_version = other
        self._say(f"Aircall's {version} does not know {route}; {other} does and is used from now on")
        return answer

    async def _exists(self, path: str) -> bool:
        try:
            await self._call("users.get", "GET", f"/{self._read_version}{path}")
        except Refused as error:
            if error.status not in VERB_UNKNOWN:
                raise
            return False
        return True

    async def _call(self, route: str, method: str, path: str, *, body: Any = None) -> Answer:
        answer = await self._http.request(
            "aircall",
            route,
            method,
            self._api_url + path,
            headers={"Authorization": self._authorization, "Content-Type": "application/json"},
            body=body,
        )
        if not answer.ok:
            raise _classify(answer, route)
        return answer


def basic_authorization(api_id: str, api_token: str) -> str:
    """The header of Basic authentication."""
    return "Basic " + base64.b64encode(f"{api_id}:{api_token}".encode()).decode()


def read_user(item: object, at: float) -> User | None:
    """A user of an answer, with what it shows of the setting; None when even the id cannot be read."""
    if not isinstance(item, dict):
        return None
    user, email, status = item.get("id"), item.get("email"), item.get("availability_status")
    if not isinstance(user, int) or isinstance(user, bool) or not 0 < user < 2**63:
        return None
    observation = None
    if isinstance(status, str) and status:
        substatus = item.get("substatus", item.get("state"))
        observation = Observation(Setting(status, substatus if isinstance(substatus, str) else None), at)
    return User(user, email.lower() if isinstance(email, str) else "", observation)


def _inner(answer: Answer) -> object:
    return answer.data.get("user") if isinstance(answer.data, dict) else None


def _malformed(route: str) -> Unavailable:
    return Unavailable(f"Aircall's answer to {route} is malformed", service="aircall", code="malformed", status=200)


def _verb_refused(error: Refused, route: str) -> Refused:
    """What it means when a user who exists can be written by neither version: never that the user is gone."""
    return Refused(
        f"Aircall answered {error.status} to {route}, though the user exists",
        service="aircall",
        code="refused",
        status=error.status,
    )


def _classify(answer: Answer, route: str) -> ServiceError:
    status = answer.status
    named = f"Aircall answered {status} to {route}"
    if status == 429:
        return RateLimited(
            "Aircall's requests of this minute are used up",
            service="aircall",
            retry_after=_seconds(answer),
            reset=_number(answer.headers.get("x-aircallapi-reset")),
        )
    if status in (401, 403):
        return Refused(named, service="aircall", code=CREDENTIALS, status=status)
    if status == 404 and isinstance(answer.data, dict) and "error" in answer.data:
        return Refused(named, service="aircall", code=USER_GONE, status=status)
    if 400 <= status < 500:
        return Refused(named, service="aircall", code="refused", status=status)
    return Unavailable(named, service="aircall", code="server", status=status, retry_after=_seconds(answer))


def _seconds(answer: Answer) -> float | None:
    """`Retry-After` in seconds, given so or as a date; None when it is neither."""
    value = answer.headers.get("retry-after")
    if value is None:
        return None
    number = _number(value)
    if number is not None:
        return number
    try:
        until = parsedate_to_datetime(value).timestamp()
        sent = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return until - sent


def _number(value: str | None) -> float | None:
    if value is None or not value.strip().isascii():
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if abs(number) < 1e15 else None
