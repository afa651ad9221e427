"""Google Calendar v3 and its token endpoint as a strict server on loopback."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from aiohttp import web

from calsyncd.sandbox.delivery import Postman
from calsyncd.sandbox.faults import Json
from calsyncd.sandbox.google_calendar import Calendar
from calsyncd.sandbox.google_calendars import LISTED, calendar_list
from calsyncd.sandbox.google_consent import AUTH_PATH, Consent
from calsyncd.sandbox.google_consent_page import error_page
from calsyncd.sandbox.google_errors import error_body, refusal
from calsyncd.sandbox.google_events import ID, Resource, seen_by
from calsyncd.sandbox.google_fields import CALENDARS, CHANNEL, EVENT, EVENTS, Tree, apply_mask, parse_mask
from calsyncd.sandbox.google_list import LIST, Lists, ListSwitches, check_parameters
from calsyncd.sandbox.google_push import Push, PushSwitches
from calsyncd.sandbox.google_tokens import (
    JWT_BEARER,
    LIST_SCOPES,
    READ_SCOPES,
    WRITE_SCOPES,
    Grant,
    ServiceAccount,
    Tokens,
    oauth_error,
)
from calsyncd.sandbox.limits import Window
from calsyncd.sandbox.server import Refusal, SandboxServer

Role = Literal["none", "freeBusyReader", "reader", "writerWithoutPrivateAccess", "writer", "owner"]

API = "/calendar/v3"
_GET = frozenset({"alwaysIncludeEmail", "maxAttendees", "timeZone"})
_NOTIFY = frozenset({"sendNotifications", "sendUpdates"})
_CHANGE = _NOTIFY | {"conferenceDataVersion", "eventLabelVersion", "maxAttendees", "supportsAttachments"}
_WRITERS = frozenset({"writerWithoutPrivateAccess", "writer", "owner"})


@dataclass(slots=True)
class Quotas:
    """The project's request quotas; `status` is what a refused request gets (403 or 429)."""

    per_project: Window = field(default_factory=lambda: Window(10_000))
    per_user_limit: int = 600
    per_user: dict[str, Window] = field(default_factory=dict)
    per_day: Window | None = None
    status: int = 403

    def check(self, user: str, now: float) -> None:
        """Count a request of this user, or refuse it."""
        mine = self.per_user.setdefault(user, Window(self.per_user_limit))
        if self.per_day is not None and not self.per_day.take(now):
            raise refusal(403, "dailyLimitExceeded")
        if not self.per_project.take(now):
            raise refusal(self.status, "rateLimitExceeded")
        if not mine.take(now):
            raise refusal(self.status, "userRateLimitExceeded" if self.status == 403 else "rateLimitExceeded")


class GoogleSandbox(SandboxServer):
    """Google Calendar for the users of one domain, as api/google-calendar facts have it.

    Switches: `lists` (see `ListSwitches`), `push.switches` (see `PushSwitches`), `quotas`, `tokens.delegated`,
    `tokens.suspended`, `tokens.life`, `consent` (see `Consent`), `api_enabled`, `clock_skew`. Changes are made by
    `insert`, `patch`, `delete` and `respond`, or by the same calls over HTTP with a token that may write.
    """

    def __init__(self, now: Callable[[], float] = time.time, postman: Postman | None = None) -> None:
        super().__init__(now, error_body)
        self.postman = postman or Postman()
        self.calendars: dict[str, Calendar] = {}
        self.users: dict[str, bool] = {}
        self.api_enabled = True
        self.quotas = Quotas()
        self.tokens = Tokens(ServiceAccount(), now, self.users.__contains__)
        self.consent = Consent(self.tokens, now, self.users)
        self.push = Push(self.postman, now)
        self._lists = Lists(now)
        self._count = itertools.count(1)
        self._route()

    @property
    def lists(self) -> ListSwitches:
        """What lists do where Google's behaviour varies or is not established."""
        return self._lists.switches

    @property
    def notify(self) -> PushSwitches:
        """How notifications travel."""
        return self.push.switches

    @property
    def api_url(self) -> str:
        """The base URL of the Calendar API."""
        return self.origin + API

    @property
    def token_uri(self) -> str:
        """The token endpoint, and the audience that a JWT must name."""
        return self.origin + "/token"

    async def stop(self) -> None:
        """Stop listening and give up deliveries."""
        await self.push.close()
        await super().stop()

    def add_user(self, email: str, *, zone: str = "UTC", has_calendar: bool = True) -> Calendar:
        """A user of the domain, with a primary calendar that has the user's address as its id."""
        self.users[email] = has_calendar
        return self.add_calendar(email, owner=email, zone=zone)

    def add_calendar(self, calendar: str, *, owner: str, zone: str = "UTC") -> Calendar:
        """A further calendar of a user."""
        self.calendars[calendar] = Calendar(calendar, owner, zone, self._count.__next__, self.now)
        return self.calendars[calendar]

    def share(self, calendar: str, user: str, role: Role) -> None:
        """Give a user a role on a calendar; `none` takes it away, the owner's too."""
        self.calendars[calendar].access[user] = role

    def remove_calendar(self, calendar: str) -> None:
        """Delete a calendar: it answers 404 from now on."""
        del self.calendars[calendar]

    def insert(self, calendar: str, event: Mapping[str, Any]) -> Resource:
        """Add an event; the calendar's channels are notified."""
        return self._notified(calendar, self.calendars[calendar].insert(event))

    def put_raw(self, calendar: str, event: Mapping[str, Any]) -> Resource:
        """Add or replace an event exactly as given, whatever it holds."""
        return self._notified(calendar, self.calendars[calendar].put_raw(event))

    def patch(self, calendar: str, event: str, changes: Mapping[str, Any]) -> Resource:
        """Change an event, a series or an instance."""
        return self._notified(calendar, self.calendars[calendar].patch(event, changes))

    def delete(self, calendar: str, event: str) -> None:
        """Cancel an event, a series or an instance."""
        self.calendars[calendar].delete(event)
        self._notified(calendar, {})

    def respond(self, calendar: str, event: str, answer: str, *, email: str | None = None) -> Resource:
        """Record the answer of the calendar's owner, or of another guest."""
        guest = email or self.calendars[calendar].owner
        return self._notified(calendar, self.calendars[calendar].respond(event, guest, answer))

    def get(self, calendar: str, event: str) -> Resource:
        """An event or instance as it is stored."""
        return self.calendars[calendar].get(event)

    def page(self, calendar: str, query: Mapping[str, str]) -> Resource:
        """What the calendar's owner would get for a list request with these parameters, with every field."""
        found = self.calendars[calendar]
        return self._lists.answer(found, found.owner, "owner", [*query.items()])

    def expire_sync_tokens(self, calendar: str | None = None) -> None:
        """Let the sync tokens of a calendar, or all, be answered with 410."""
        self._lists.expire_sync_tokens(calendar)

    def revoke_tokens(self, user: str | None = None) -> None:
        """Let the access tokens of a user, or all, be answered with 401."""
        self.tokens.revoke(user)

    def key_file(self) -> Json:
        """The service account's key file."""
        return self.tokens.account.key_file(self.token_uri)

    def client_file(self) -> Json:
        """The OAuth client's file."""
        return self.consent.client.file(self.origin)

    @property
    def revoke_url(self) -> str:
        """The setting `google.revoke_url`."""
        return self.origin + "/revoke"

    def unrouted(self, status: int) -> web.Response:
        """Google's front end answers unknown paths with HTML."""
        page = f"<!DOCTYPE html><title>Error {status} (Not Found)!!1</title>"
        return web.Response(status=status, text=page, content_type="text/html")

    def _notified(self, calendar: str, result: Resource) -> Resource:
        self.push.changed(calendar)
        return result

    def _route(self) -> None:
        events = API + "/calendars/{calendar}/events"
        self.app.router.add_post("/token", self._token)
        self.app.router.add_post("/revoke", self._revoke)
        self.app.router.add_get(AUTH_PATH, self._consent, allow_head=False)
        self.app.router.add_post(AUTH_PATH, self._consented)
        self.app.router.add_get(events, self._list, allow_head=False)
        self.app.router.add_post(events, self._insert)
        self.app.router.add_post(events + "/watch", self._watch)
        self.app.router.add_get(events + "/{event}", self._get, allow_head=False)
        self.app.router.add_patch(events + "/{event}", self._patch)
        self.app.router.add_delete(events + "/{event}", self._delete)
        self.app.router.add_post(API + "/channels/stop", self._stop)
        self.app.router.add_get(API + "/users/me/calendarList", self._list_calendars, allow_head=False)

    async def _token(self, request: web.Request) -> web.Response:
        form = await _form(request)
        grant = form.get("grant_type", "")
        if grant == JWT_BEARER:
            return web.json_response(self.tokens.exchange(form, self.token_uri))
        if grant in {"authorization_code", "refresh_token"}:
            return web.json_response(self.consent.exchange(form))
        raise oauth_error(400, "unsupported_grant_type", f"Invalid grant_type: {grant}")

    async def _revoke(self, request: web.Request) -> web.Response:
        token = (await _form(request)).get("token") or request.query.get("token", "")
        self.consent.revoke(token)
        return web.json_response({})

    async def _consent(self, request: web.Request) -> web.Response:
        if not _is_browser(request):
            return _found(self.consent.redirect(request.query))
        try:
            return web.Response(text=self.consent.page(request.query), content_type="text/html")
        except Refusal as refused:
            return _error_page(refused)

    async def _consented(self, request: web.Request) -> web.Response:
        ticked = [str(scope) for scope in (await request.post()).getall("scope", [])]
        try:
            return _found(self.consent.answered(request.query, await _form(request), ticked))
        except Refusal as refused:
            return _error_page(refused)

    async def _list(self, request: web.Request) -> web.Response:
        grant, mask = self._admitted(request, READ_SCOPES, EVENTS, LIST)
        calendar, role = self._visible(request, grant)
        query = list(request.query.items())
        return _masked(self._lists.answer(calendar, grant.user, role, query), mask)

    async def _list_calendars(self, request: web.Request) -> web.Response:
        grant, mask = self._admitted(request, LIST_SCOPES, CALENDARS, LISTED)
        if not self.users.get(grant.user, False):
            raise refusal(403, "notACalendarUser")
        return _masked(calendar_list(self.calendars.values(), grant.user, dict(request.query)), mask)

    async def _insert(self, request: web.Request) -> web.Response:
        grant, mask = self._admitted(request, WRITE_SCOPES, EVENT, _CHANGE)
        calendar, role = self._visible(request, grant, writes=True)
        event = await _json(request)
        if "id" in event and not ID.fullmatch(str(event["id"])):
            raise refusal(400, "invalid", "Invalid resource id value.")
        return _masked(seen_by(self.insert(calendar.id, event), role, calendar.owner, None), mask)

    async def _get(self, request: web.Request) -> web.Response:
        grant, mask = self._admitted(request, READ_SCOPES, EVENT, _GET)
        calendar, role = self._visible(request, grant)
        most = int(request.query["maxAttendees"]) if "maxAttendees" in request.query else None
        return _masked(seen_by(calendar.get(request.match_info["event"]), role, calendar.owner, most), mask)

    async def _patch(self, request: web.Request) -> web.Response:
        grant, mask = self._admitted(request, WRITE_SCOPES, EVENT, _CHANGE | {"alwaysIncludeEmail"})
        calendar, role = self._visible(request, grant, writes=True)
        name = request.match_info["event"]
        if request.headers.get("If-Match", "*") not in {"*", calendar.get(name).get("etag")}:
            raise refusal(412, "conditionNotMet", None, "If-Match", "header")
        changed = self.patch(calendar.id, name, await _json(request))
        return _masked(seen_by(changed, role, calendar.owner, None), mask)

    async def _delete(self, request: web.Request) -> web.Response:
        grant, _ = self._admitted(request, WRITE_SCOPES, EVENT, _NOTIFY)
        calendar, _ = self._visible(request, grant, writes=True)
        self.delete(calendar.id, request.match_info["event"])
        return web.Response(status=204)

    async def _watch(self, request: web.Request) -> web.Response:
        grant, mask = self._admitted(request, READ_SCOPES, CHANNEL, LIST)
        calendar, _ = self._visible(request, grant)
        uri = f"https://www.googleapis.com{API}/calendars/{quote(calendar.id, safe='')}/events?alt=json"
        body = await _json(request)
        return _masked(await self.push.watch(calendar.id, uri, grant.user, grant.maker, body), mask)

    async def _stop(self, request: web.Request) -> web.Response:
        grant, _ = self._admitted(request, READ_SCOPES, CHANNEL, frozenset())
        self.push.stop(grant.user, grant.maker, await _json(request))
        return web.Response(status=204)

    def _admitted(
        self, request: web.Request, scopes: frozenset[str], known: Tree, parameters: frozenset[str]
    ) -> tuple[Grant, Tree | None]:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if not token:
            raise refusal(401, "required", None, "Authorization", "header")
        grant = self.tokens.find(token) if kind == "Bearer" else None
        if grant is None:
            raise refusal(401, "authError", None, "Authorization", "header")
        if not self.api_enabled:
            raise refusal(403, "accessNotConfigured")
        if not grant.scopes & scopes:
            raise refusal(403, "insufficientPermissions")
        check_parameters(list(request.query.items()), parameters)
        mask = parse_mask(request.query["fields"], known) if "fields" in request.query else None
        self.quotas.check(request.query.get("quotaUser", grant.maker), self.now())
        return grant, mask

    def _visible(self, request: web.Request, grant: Grant, *, writes: bool = False) -> tuple[Calendar, str]:
        if not self.users.get(grant.user, False):
            raise refusal(403, "notACalendarUser")
        named = request.match_info["calendar"]
        calendar = self.calendars.get(grant.user if named == "primary" else named)
        role = "none" if calendar is None else calendar.access.get(grant.user, "none")
        if calendar is None or role == "none":
            raise refusal(404, "notFound")
        if writes and role not in _WRITERS:
            raise refusal(403, "requiredAccessLevel", "You need to have writer access to this calendar.")
        return calendar, role


def _is_browser(request: web.Request) -> bool:
    return "text/html" in request.headers.get("Accept", "")


def _found(location: str) -> web.Response:
    return web.Response(status=302, headers={"Location": location})


def _error_page(refused: Refusal) -> web.Response:
    return web.Response(
        status=refused.status, text=error_page(refused.status, refused.body or {}), content_type="text/html"
    )


def _masked(value: Resource, mask: Tree | None) -> web.Response:
    return web.json_response(value if mask is None else apply_mask(mask, value))


async def _form(request: web.Request) -> dict[str, str]:
    if request.content_type != "application/x-www-form-urlencoded":
        raise oauth_error(400, "invalid_request", "Required content type is application/x-www-form-urlencoded")
    return {name: str(value) for name, value in (await request.post()).items()}


async def _json(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise refusal(400, "parseError", "This API does not support parsing form-encoded input.")
    try:
        body = json.loads(await request.read())
    except ValueError:
        raise refusal(400, "parseError", "Parse Error") from None
    if not isinstance(body, dict):
        raise refusal(400, "parseError", "Parse Error")
    return body
