"""Aircall's users: list, look, update; and its webhooks.

Facts that shape it: users live on v2, but what v2's update accepts was never seen in print. It may not know the verb,
refuse `availability_status`, or say 200 and leave it alone: then v1 is tried, and what worked is remembered. Live
states stayed on v1; every request, a GET too, carries a Content-Type; a 404 body tells an unknown user from an unknown
route; 405 is a state error as well. Webhooks are v1's; `events` stands on each POST and PUT, since leaving it out
subscribes to everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from calsyncd.aircall.authorization import Authorization
from calsyncd.core.budget import Shown
from calsyncd.core.model import UNAVAILABLE, Observation, Setting, User
from calsyncd.core.plan import LIVE_UNKNOWN
from calsyncd.core.webhooks import NAME, Webhook
from calsyncd.errors import USER_GONE, RateLimited, Refused, ServiceError, Unavailable
from calsyncd.http import Answer, Http

PER_PAGE = 50
MAX_NAME = 200
VERB_UNKNOWN = frozenset({404, 405, 410})
BODY_REFUSED = frozenset({400, 422})
CREDENTIALS_REFUSED = frozenset({401, 403})
STATE_ERROR = 405
OTHER_AGAIN_SECONDS = 10 * 60.0
GO_ON_SECONDS = 30.0
"""So long after a 429 an update goes on from where it stopped: later another update may have come between."""


_WEBHOOK_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,256}")

Version = Literal["v1", "v2"]
UsersApi = Literal["auto", "v2", "v1"]


class AircallApi:
    """Aircall on behalf of the company.

    `now` is asked when a look is sent; `say` is told of version changes, `granted` of what headers say of the budget.
    `blocked` says that a 429 for somebody else has to be waited for: then what takes several requests does not go on.
    """

    def __init__(
        self,
        http: Http,
        *,
        api_url: str,
        authorization: Authorization,
        users_api: UsersApi,
        now: Callable[[], float],
        say: Callable[[str], None],
        granted: Callable[[Shown], None] = lambda _: None,
        blocked: Callable[[], bool] = lambda: False,
    ) -> None:
        self._http = http
        self._blocked = blocked
        self._granted = granted
        self._api_url = api_url.rstrip("/")
        self._authorization = authorization
        self._now = now
        self._say = say
        self._pinned = users_api != "auto"
        self._read_version: Version = "v1" if users_api == "v1" else "v2"
        self._write_version: Version = self._read_version
        self._proven: set[Version] = set()
        self._shown: dict[int, str] = {}
        self._to_prove: dict[int, tuple[Version, str]] = {}
        # What a proven version, and what both, have said 200 to for a user, and nothing has shown since.
        self._unshown: dict[int, str] = {}
        self._unshown_by_both: dict[int, str] = {}
        self._useless_at: dict[Version, float] = {}
        self._refused_by: dict[int, tuple[Version, Refused, bool, float]] = {}
        self._ignored_next: dict[int, Version] = {}
        self._left_out: set[int] = set()
        self._refused_substatuses: set[str] = set()

    async def ping(self) -> None:
        """Return if the credentials are good."""
        await self._call("ping", "GET", "/v1/ping")

    async def page_of_users(self, page: int) -> tuple[list[User], bool]:
        """(one page of the company's users, whether another follows). Users that cannot be read are left out."""
        at = self._now()
        answer = await self._read("users.list", f"/users?page={page}&per_page={PER_PAGE}")
        items, more = _page(answer, "users", "users.list")
        users = [user for item in items if (user := read_user(item, at)) is not None]
        self._shown |= {user.id: user.observation.status for user in users if user.observation is not None}
        return users, more

    async def look(self, user: int) -> Observation:
        """The user's setting."""
        at = self._now()
        answer = await self._read("users.get", f"/users/{user}")
        found = read_user(_inner(answer), at)
        if found is None or found.id != user or found.observation is None:
            raise _malformed("users.get")
        self._note_shown(user, found.observation.status)
        version, status = self._to_prove.pop(user, (None, ""))
        if version is not None and status == found.observation.status:
            self._proven.add(version)
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

    async def page_of_live_states(self, page: int) -> tuple[dict[int, str], bool]:
        """(one page of the users' live states, whether another follows). Those that cannot be read are left out.

        They stayed on v1 and have no twin on v2.
        """
        path = f"/v1/users/availabilities?page={page}&per_page={PER_PAGE}"
        answer = await self._call("users.availabilities", "GET", path)
        items, more = _page(answer, "users", "users.availabilities")
        states: dict[int, str] = {}
        for item in items:
            user, state = (item.get("id"), item.get("availability")) if isinstance(item, dict) else (None, None)
            if isinstance(user, int) and not isinstance(user, bool) and isinstance(state, str):
                states[user] = state
        return states, more

    async def update(self, user: int, setting: Setting) -> Setting:
        """Write a setting; what the answer shows of it. One attempt, but for a refused sub-status or version."""
        bare = Setting(setting.availability_status)
        substatus = setting.substatus
        if substatus is None or substatus in self._refused_substatuses:
            return await self._write(user, bare)
        version = self._write_version
        if user in self._left_out:
            self._left_out.discard(user)
        else:
            try:
                return await self._write(user, setting)
            except Refused as error:
                if error.status not in BODY_REFUSED:
                    raise
        try:
            self._await_turn()
            shown = await self._write(user, bare)
        except RateLimited:
            self._left_out.add(user)
            raise
        if self._write_version == version:
            self._refused_substatuses.add(substatus)
            self._say(f"Aircall refuses the sub-status {substatus}; it is left out from now on")
        return shown

    async def page_of_webhooks(self, page: int) -> tuple[list[Webhook], bool]:
        """(one page of the company's webhooks, whether another follows). Those that cannot be read are left out."""
        answer = await self._call("webhooks.list", "GET", f"/v1/webhooks?page={page}&per_page={PER_PAGE}")
        items, more = _page(answer, "webhooks", "webhooks.list")
        return [webhook for item in items if (webhook := read_webhook(item)) is not None], more

    async def create_webhook(self, url: str, events: Iterable[str]) -> Webhook:
        """Make a webhook. Not idempotent: where the answer was lost, the list says whether it was made."""
        body = {"custom_name": NAME, "url": url, "events": list(events)}
        return _webhook(await self._call("webhooks.create", "POST", "/v1/webhooks", body=body), "webhooks.create")

    async def update_webhook(self, webhook_id: str, url: str, events: Iterable[str]) -> Webhook:
        """Let a webhook be active, lead to `url` and tell of exactly these events."""
        body = {"active": True, "url": url, "events": list(events)}
        answer = await self._call("webhooks.update", "PUT", f"/v1/webhooks/{webhook_id}", body=body)
        return _webhook(answer, "webhooks.update")

    async def delete_webhook(self, webhook_id: str) -> None:
        """Remove a webhook; one that is gone already is no error."""
        try:
            await self._call("webhooks.delete", "DELETE", f"/v1/webhooks/{webhook_id}")
        except Refused as error:
            if error.code != USER_GONE:
                raise

    async def _read(self, route: str, path: str) -> Answer:
        """Read by the version that works."""
        version = self._read_version
        try:
            return await self._call(route, "GET", f"/{version}{path}")
        except Refused as error:
            if self._pinned or error.status not in VERB_UNKNOWN or error.code == USER_GONE:
                raise
            other = _other(version)
            self._await_turn()
            try:
                answer = await self._call(route, "GET", f"/{other}{path}")
            except Refused:
                raise error from None
        self._read_version = other
        self._say(f"Aircall's {version} does not know {route}; {other} does and is used from now on")
        return answer

    async def _write(self, user: int, setting: Setting) -> Setting:
        """Write by the version that works, which until one is proven is the one that shows what was asked."""
        # So far an earlier attempt came before the requests were used up: from its beginning it might never end.
        refused = self._refused_by.pop(user, None)
        if refused is not None and 0.0 <= self._now() - refused[3] < GO_ON_SECONDS:
            return await self._write_refused(refused[0], user, setting, refused[1], exists=refused[2])
        version, before = self._ignored_next.pop(user, self._write_version), self._shown.get(user)
        asked, pending = setting.availability_status, self._unshown_by_both.get(user)
        try:
            shown = await self._put(version, user, setting)
        except Refused as error:
            return await self._write_refused(version, user, setting, error)
        if shown.availability_status != asked:
            doubted = self._is_doubted(version, user, asked)
        else:
            # What was so before, and what may be the other's work, proves nothing.
            self._proven |= {version} if before not in (None, asked) and asked != pending else set()
            if version != self._write_version:
                self._write_by(version)
            # What both were asked before this may still land, by the other.
            doubted = version not in self._proven and pending not in (None, asked)
        if doubted and not self._pinned and not self._is_useless(_other(version)):
            return await self._write_ignored(version, user, setting, shown)
        return shown

    def _is_doubted(self, version: Version, user: int, asked: str) -> bool:
        """Whether a 200 that shows something else may mean that this version takes no updates."""
        if version not in self._proven:
            return True
        # In a call, or where answers lag behind, once is no sign; the second time, nothing has shown it since.
        again = self._unshown.get(user) == asked
        self._unshown[user] = asked
        if again:
            self._proven.discard(version)
        return again

    def _note_shown(self, user: int, status: str) -> None:
        self._shown[user] = status
        for unshown in (self._unshown, self._unshown_by_both):
            if unshown.get(user) == status:
                del unshown[user]

    async def _write_refused(
        self, version: Version, user: int, setting: Setting, error: Refused, *, exists: bool = False
    ) -> Setting:
        """By the other version, where this one may not know the verb or the parameter; else as it was refused."""
        verb = error.status in VERB_UNKNOWN
        parameter = error.status in BODY_REFUSED and version not in self._proven and setting.substatus is None
        if self._pinned or not (verb or parameter):
            raise error
        other = _other(version)
        # 405 is said of a user's state too: then a version that takes no updates is not asked again and again.
        if error.status not in (404, 410) and self._is_useless(other):
            raise _state_refused(error) if verb else error
        try:
            self._await_turn()
            exists = exists or not verb or await self._exists(f"/users/{user}")
        except RateLimited:
            self._refused_by[user] = version, error, False, self._now()
            raise
        if not exists:
            raise error
        try:
            self._await_turn()
            shown = await self._put(other, user, setting)
        except RateLimited:
            self._refused_by[user] = version, error, True, self._now()
            raise
        except Refused as second:
            self._note_useless(other, setting, second)
            body = second.status in BODY_REFUSED
            if verb and body and (setting.substatus is not None or error.status != STATE_ERROR):
                raise
            if second.status == STATE_ERROR:
                raise _state_refused(second) from None
            raise _state_refused(error) if verb else error from None
        self._write_by(other)
        self._note_useless(version, setting, error)
        return shown

    async def _write_ignored(self, version: Version, user: int, setting: Setting, shown: Setting) -> Setting:
        """By the other version as well, since this one said 200 and shows something else."""
        other = _other(version)
        try:
            self._await_turn()
            second = await self._put(other, user, setting)
        except Refused as error:
            self._note_useless(other, setting, error)
            if setting.availability_status != UNAVAILABLE:
                # A look that shows it proves this version; in a call unavailable proves nothing.
                self._to_prove[user] = version, setting.availability_status
            return shown
        except Unavailable as error:
            # The first one may have been taken all the same: a look settles it.
            error.landed = True
            if isinstance(error, RateLimited):
                self._ignored_next[user] = other
            else:
                self._unshown_by_both[user] = setting.availability_status
            raise
        if second.availability_status != setting.availability_status:
            self._unshown_by_both[user] = setting.availability_status
            return shown
        self._unshown_by_both.pop(user, None)
        if shown.availability_status != setting.availability_status:
            self._write_by(other)
        return second

    def _await_turn(self) -> None:
        """Raise RateLimited where what comes next has to wait as if it had been refused itself."""
        if self._blocked():
            raise RateLimited("a 429 for another request is waited for", service="aircall", retry_after=1.0)

    def _write_by(self, version: Version) -> None:
        """This version takes updates: others of them may have found that out meanwhile."""
        self._useless_at.pop(version, None)
        self._proven.discard(_other(version))
        if self._write_version != version:
            self._write_version = version
            self._say(f"Aircall's {_other(version)} takes no updates of users; {version} does and is used from now on")

    def _note_useless(self, version: Version, setting: Setting, error: Refused) -> None:
        """This version takes no updates, if its answer about a user who exists can mean nothing else."""
        parameter = error.status in BODY_REFUSED and setting.substatus is None and version not in self._proven
        if error.status in (404, 410) or parameter:
            self._useless_at[version] = self._now()

    def _is_useless(self, version: Version) -> bool:
        """Whether this version was found to take no updates, a short while ago."""
        at = self._useless_at.get(version)
        return at is not None and 0.0 <= self._now() - at < OTHER_AGAIN_SECONDS

    async def _put(self, version: Version, user: int, setting: Setting) -> Setting:
        body = {"availability_status": setting.availability_status}
        if setting.substatus is not None:
            body["substatus"] = setting.substatus
        answer = await self._call("users.update", "PUT", f"/{version}/users/{user}", body=body)
        found = read_user(_inner(answer), self._now())
        if found is None or found.id != user or found.observation is None:
            # It may have been taken all the same: a look settles it.
            raise _malformed("users.update")
        self._note_shown(user, found.observation.status)
        return found.observation.setting

    async def _exists(self, path: str) -> bool:
        try:
            await self._call("users.get", "GET", f"/{self._read_version}{path}")
        except Refused as error:
            if error.status not in VERB_UNKNOWN:
                raise
            return False
        return True

    async def _call(self, route: str, method: str, path: str, *, body: Any = None) -> Answer:
        authorization = self._authorization.header()
        if authorization is None:
            refused = self._authorization.refused
            raise Refused(f"{route} was not asked: there is no token of an app", service="aircall", code=refused)
        answer = await self._http.request(
            "aircall",
            route,
            method,
            self._api_url + path,
            headers={"Authorization": authorization, "Content-Type": "application/json"},
            body=body,
        )
        if not answer.ok:
            if answer.status in CREDENTIALS_REFUSED and authorization != self._authorization.header():
                # That says nothing of the credentials which have taken their place meanwhile.
                raise Unavailable(
                    "the credentials were replaced meanwhile", service="aircall", code="replaced", landed=False
                )
            raise classified(answer, route, self._authorization.refused)
        self._granted(_budget_shown(answer))
        return answer


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
    zone, name = item.get("time_zone"), item.get("name")
    return User(
        user,
        email.lower() if isinstance(email, str) else "",
        observation,
        zone if isinstance(zone, str) else None,
        name[:MAX_NAME] if isinstance(name, str) else "",
    )


def read_webhook(item: object) -> Webhook | None:
    """A webhook of an answer; None when its id or address cannot be read. Its id becomes part of a path: no slash."""
    if not isinstance(item, dict):
        return None
    webhook, url, events, token = (item.get(name) for name in ("webhook_id", "url", "events", "token"))
    if not isinstance(webhook, str) or not _WEBHOOK_ID.fullmatch(webhook) or not isinstance(url, str):
        return None
    return Webhook(
        webhook,
        url,
        active=item.get("active", True) is True,
        events=frozenset(str(event) for event in events) if isinstance(events, list) else None,
        token=token if isinstance(token, str) and _TOKEN.fullmatch(token) else None,
    )


def _webhook(answer: Answer, route: str) -> Webhook:
    webhook = read_webhook(answer.data.get("webhook") if isinstance(answer.data, dict) else None)
    if webhook is None:
        raise _malformed(route)
    return webhook


def _page(answer: Answer, name: str, route: str) -> tuple[list[object], bool]:
    """(the items of one page, whether another follows). Links are not followed: what is asked next is ours to say."""
    data = answer.data if isinstance(answer.data, dict) else {}
    items = data.get(name)
    if not isinstance(items, list):
        raise _malformed(route)
    meta = data.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    link, per_page = meta.get("next_page_link", ...), meta.get("per_page")
    size = per_page if isinstance(per_page, int) and 0 < per_page < PER_PAGE else PER_PAGE
    more = len(items) >= size if link is ... else link is not None and bool(items)
    return items, more


def _inner(answer: Answer) -> object:
    return answer.data.get("user") if isinstance(answer.data, dict) else None


def _malformed(route: str) -> Unavailable:
    return Unavailable(f"Aircall's answer to {route} is malformed", service="aircall", code="malformed", status=200)


def _other(version: Version) -> Version:
    return "v1" if version == "v2" else "v2"


def _state_refused(error: Refused) -> Refused:
    """What it means when a user who exists can be written by neither version: never that the user is gone."""
    return Refused(
        f"Aircall answered {error.status} to users.update, though the user exists",
        service="aircall",
        code="refused",
        status=error.status,
    )


def classified(answer: Answer, route: str, refused: str) -> ServiceError:
    """What an answer that is no success means; `refused` is the code of one that refuses the credentials."""
    status = answer.status
    named = f"Aircall answered {status} to {route}"
    if status == 429:
        return RateLimited(
            "Aircall's requests of this minute are used up",
            service="aircall",
            retry_after=_seconds(answer),
            reset=_number(answer.headers.get("x-aircallapi-reset")),
        )
    if status in CREDENTIALS_REFUSED:
        return Refused(named, service="aircall", code=refused, status=status)
    if status == 404 and isinstance(answer.data, dict) and "error" in answer.data:
        return Refused(named, service="aircall", code=USER_GONE, status=status)
    if 400 <= status < 500:
        return Refused(named, service="aircall", code="refused", status=status)
    return Unavailable(named, service="aircall", code="server", status=status, retry_after=_seconds(answer))


def _budget_shown(answer: Answer) -> Shown:
    """What `X-AircallApi-Limit` and `-Remaining` say, where an answer has them and they can be so."""
    limit, remaining = (_number(answer.headers.get(f"x-aircallapi-{name}")) for name in ("limit", "remaining"))
    if limit is None or remaining is None or not 0 <= remaining <= limit or limit < 1:
        return Shown()
    return Shown(int(limit), int(remaining))


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
