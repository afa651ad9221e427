"""The calls of the Calendar API that calsyncd makes: list, watch, stop, and the list of calendars.

Errors are told apart by (status, first reason), never by their message; the table is in `_classify`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from calsyncd.core.channels import Opened
from calsyncd.core.model import Listed
from calsyncd.core.sync import quota_user
from calsyncd.errors import (
    BAD_REQUEST,
    CHANNEL_ID_TAKEN,
    PUSH_NOT_SUPPORTED,
    SYNC_TOKEN_GONE,
    Refused,
    Unavailable,
)
from calsyncd.google.tokens import AccessTokens
from calsyncd.http import Answer, Http

MAX_LIST_PAGES = 10
MAX_ID = 254
CHANNEL_TTL_SECONDS = 7 * 86400
LONG_WAIT_SECONDS = 15 * 60.0
END_OF_TIME = 253402300800.0
"""The year 10000: what lies beyond is no instant that can be written down."""


class CalendarApi:
    """The Calendar API on behalf of each agent; `list_tokens` are for the list of their calendars, if other ones."""

    def __init__(self, http: Http, tokens: AccessTokens, api_url: str, list_tokens: AccessTokens | None = None) -> None:
        self._http = http
        self._tokens = tokens
        self._list_tokens = list_tokens or tokens
        self._api_url = api_url.rstrip("/")

    @property
    def tokens(self) -> AccessTokens:
        """Where access tokens come from."""
        return self._tokens

    def use(self, tokens: AccessTokens, list_tokens: AccessTokens | None = None) -> None:
        """Take access tokens from there from now on."""
        self._tokens, self._list_tokens = tokens, list_tokens or tokens

    async def list_events(self, subject: str, calendar: str, query: Mapping[str, str]) -> Any:
        """One page of a calendar's events, as parsed JSON."""
        answer = await self._call(subject, "events.list", "GET", f"{_path(calendar)}/events", query=query)
        return answer.data

    async def knows(self, subject: str) -> bool:
        """Whether Google knows this user, and a calendar of theirs; ServiceError where that cannot be told."""
        query = {"maxResults": "1", "fields": "kind", "quotaUser": quota_user(subject)}
        try:
            await self.list_events(subject, "primary", query)
        except Refused as error:
            # With the primary calendar, these concern the user alone; with everybody's, the credentials.
            if error.code in ("invalid_grant", "no_access", "calendar_gone"):
                return False
            raise
        return True

    async def calendars(self, subject: str) -> tuple[Listed, ...] | None:
        """The user's list of calendars, without their titles; None where the granted scopes do not let us read it."""
        query = {"fields": "items(id,primary,accessRole),nextPageToken", "quotaUser": quota_user(subject)}
        found: list[Listed] = []
        for _ in range(MAX_LIST_PAGES):
            try:
                answer = await self._call(
                    subject, "calendarList.list", "GET", "/users/me/calendarList", query=query, tokens=self._list_tokens
                )
            except Refused as error:
                if error.code in ("delegation", "no_access", "scope_missing"):
                    return None
                raise
            data = answer.data if isinstance(answer.data, dict) else {}
            items = data.get("items", [])
            found += [one for item in (items if isinstance(items, list) else []) if (one := _listed(item)) is not None]
            if not isinstance(page := data.get("nextPageToken"), str):
                break
            query |= {"pageToken": page}
        return tuple(found)

    async def watch(self, subject: str, calendar: str, *, channel: str, token: str, address: str) -> Opened:
        """Open a push channel of a calendar."""
        answer = await self._call(
            subject,
            "events.watch",
            "POST",
            f"{_path(calendar)}/events/watch",
            query={"quotaUser": quota_user(subject)},
            body={
                "id": channel,
                "type": "web_hook",
                "address": address,
                "token": token,
                "params": {"ttl": str(CHANNEL_TTL_SECONDS)},
            },
        )
        data = answer.data if isinstance(answer.data, dict) else {}
        resource, expiration = data.get("resourceId"), data.get("expiration")
        try:
            expires_at = int(str(expiration)) / 1000
        except (ValueError, OverflowError):
            expires_at = 0.0
        if not isinstance(resource, str) or not resource or not 0 < expires_at < END_OF_TIME:
            raise Unavailable("Google's answer to a watch is malformed", service="google", code="malformed")
        return Opened(resource, expires_at)

    async def stop(self, subject: str, *, channel: str, resource: str) -> None:
        """Close a push channel; one that is already gone is closed."""
        try:
            await self._call(
                subject,
                "channels.stop",
                "POST",
                "/channels/stop",
                query={"quotaUser": quota_user(subject)},
                body={"id": channel, "resourceId": resource},
            )
        except Refused as error:
            if error.status not in (404, 410):
                raise

    async def _call(
        self,
        subject: str,
        route: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        tokens: AccessTokens | None = None,
    ) -> Answer:
        tokens = tokens or self._tokens
        token = await tokens.token(subject)
        answer = await self._send(token, route, method, path, query=query, body=body)
        if answer.status == 401 and _reason(answer) != "push.webhookUrlUnauthorized":
            token = await tokens.token(subject, refused=token)
            answer = await self._send(token, route, method, path, query=query, body=body)
        if not answer.ok:
            raise _classify(answer, route)
        return answer

    async def _send(
        self, token: str, route: str, method: str, path: str, *, query: Mapping[str, str] | None, body: Any
    ) -> Answer:
        return await self._http.request(
            "google",
            route,
            method,
            self._api_url + path,
            headers={"Authorization": f"Bearer {token}"},
            query=query,
            body=body,
        )


def _listed(item: object) -> Listed | None:
    name, access = (item.get("id"), item.get("accessRole")) if isinstance(item, dict) else (None, None)
    if not isinstance(item, dict) or not isinstance(name, str) or not isinstance(access, str):
        return None
    return Listed(name[:MAX_ID], primary=item.get("primary") is True, access=access[:MAX_ID])


def _path(calendar: str) -> str:
    return f"/calendars/{quote(calendar, safe='')}"


def _reason(answer: Answer) -> str:
    data = answer.data
    error = data.get("error") if isinstance(data, dict) else None
    errors = error.get("errors") if isinstance(error, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    reason = first.get("reason") if isinstance(first, dict) else None
    return reason if isinstance(reason, str) and len(reason) <= 60 else ""


_RATE = {"rateLimitExceeded", "userRateLimitExceeded"}
_DAILY = {"quotaExceeded", "dailyLimitExceeded"}
_NO_ACCESS = {"forbidden", "notACalendarUser", "requiredAccessLevel"}
_WATCH = {
    "channelIdNotUnique": CHANNEL_ID_TAKEN,
    "pushNotSupportedForRequestedResource": PUSH_NOT_SUPPORTED,
    "push.webhookUrlNotHttps": "push_address",
    "push.webhookUrlUnauthorized": "push_address",
}


def _classify(answer: Answer, route: str) -> Refused | Unavailable:
    status, reason = answer.status, _reason(answer)
    named = f"Google answered {status}{f' {reason}' if reason.replace('.', '').isalnum() else ''} to {route}"

    def refused(code: str) -> Refused:
        return Refused(named, service="google", code=code, status=status)

    def unavailable(code: str, wait: float | None = None) -> Unavailable:
        # What was refused has no effect, however passing the reason.
        return Unavailable(
            named, service="google", code=code, status=status, retry_after=wait, landed=not 400 <= status < 500
        )

    if reason in _WATCH:
        return refused(_WATCH[reason])
    if status == 410:
        return refused(SYNC_TOKEN_GONE)
    if reason in _RATE:
        return unavailable("rate_limited", _retry_after(answer))
    if reason in _DAILY:
        return unavailable("quota", LONG_WAIT_SECONDS)
    if reason == "accessNotConfigured":
        return refused("api_disabled")
    if status == 403 and reason == "insufficientPermissions":
        # The token's scopes; what a user may not see is `forbidden` or a 404.
        return refused("scope_missing")
    if status == 403 and reason == "domainPolicy":
        return refused("domain_policy")
    if status == 403 and reason in _NO_ACCESS:
        return refused("no_access")
    if status == 404:
        return refused("calendar_gone")
    if status == 400:
        return refused(BAD_REQUEST)
    if status == 401:
        return unavailable("token_refused")
    return unavailable("rate_limited" if status == 429 else "server", _retry_after(answer))


def _retry_after(answer: Answer) -> float | None:
    value = answer.headers.get("retry-after", "")
    return min(float(value), 3600.0) if value.isascii() and value.isdigit() else None
