"""Aircall's public API as a strict server on loopback."""

from __future__ import annotations

import base64
import binascii
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Literal, TypeVar

from aiohttp import web

from calsyncd.sandbox.aircall_oauth import OAUTH_PATHS, Install, add_pages
from calsyncd.sandbox.aircall_users import (
    CALL_STATES,
    STATUSES,
    SUBSTATUSES,
    ReasonField,
    Setting,
    Update,
    User,
    Users,
    live_state,
    show_user,
)
from calsyncd.sandbox.aircall_webhooks import MOST_WEBHOOKS, Webhook, Webhooks, WebhookSwitches, show_webhook
from calsyncd.sandbox.delivery import Postman
from calsyncd.sandbox.faults import Json
from calsyncd.sandbox.limits import Window
from calsyncd.sandbox.server import Refusal, SandboxServer

_Row = TypeVar("_Row")

RateSignal = Literal["retry_after", "retry_after_date", "reset_seconds", "reset_milliseconds", "none"]
RateBody = Literal["error", "message", "html", "empty"]
InCall = Literal["taken", "refused", "deferred"]
ListMeta = Literal["full", "without_links", "none"]

OWN_COMPANY = 1
"""The id of the company whose users and webhooks these are."""

_RATE_BODIES: dict[RateBody, tuple[str, str]] = {
    "error": ('{"error": "Too Many Requests"}', "application/json"),
    "message": ('{"message": "Too Many Requests"}', "application/json"),
    "html": ("<html><body>429 Too Many Requests</body></html>", "text/html"),
    "empty": ("", "text/plain"),
}

_OTHER_USER_FIELDS = frozenset(
    {"name", "first_name", "last_name", "time_zone", "language", "wrap_up_time", "extension", "default_number_id"}
)


@dataclass(slots=True)
class AircallSwitches:
    """What is not established about Aircall, or differs from company to company.

    Attributes:
        v2_update: the status with which `PUT /v2/users/:id` is refused: 404, 405 or 410 for the verb, 400 or 422 for
            `availability_status`; None: it works.
        v2_ignores: `PUT /v2/users/:id` is answered 200 and leaves availability alone, as what takes no such parameter
            does.
        v1_users: the status with which the v1 user calls are gone; None: they are still there.
        state_errors: so many of the next updates are refused with 405 for the user's state, by a verb that is known.
        refusal_status: 400 or 422, for bodies that are not taken.
        substatus_refused: refuse every sub-status with `refusal_status`.
        old_substatus_stays: a user who is available again still shows the last reason.
        reason_in: the field that shows the reason.
        custom_live: the live state of users on `custom`: outside their hours it is not known.
        list_meta: how much of `meta` a list brings.
        substatuses_on: going unavailable sends two `user.closed`.
        echo: updates through the API raise webhooks as changes by hand do.
        calls_read_unavailable: a user in a call reads as `unavailable`.
        in_call: what becomes of an update of a user in a call: it is taken at once, refused with 405, or answered 200
            and done when the call has ended.
        read_lag: seconds before reads show an update.
        answers_lag: the answer to an update shows the user as before it.
        disobey: so many of the next updates are answered 200 but change nothing.
        budget: the company's request window.
        rate_signal: what a 429 tells about the wait.
        rate_body: what a 429 holds.
        rate_headers: put `X-AircallApi-*` on every answer, not only on a 429.
    """

    v2_update: int | None = None
    v2_ignores: bool = False
    v1_users: int | None = 404
    state_errors: int = 0
    refusal_status: int = 422
    substatus_refused: bool = False
    old_substatus_stays: bool = False
    reason_in: ReasonField = "substatus"
    custom_live: str = "available"
    list_meta: ListMeta = "full"
    substatuses_on: bool = False
    echo: bool = True
    calls_read_unavailable: bool = False
    in_call: InCall = "taken"
    read_lag: float = 0.0
    answers_lag: bool = False
    disobey: int = 0
    budget: Window = field(default_factory=lambda: Window(120))
    rate_signal: RateSignal = "reset_seconds"
    rate_body: RateBody = "error"
    rate_headers: bool = False


def error_body(status: int, reason: str | None = None) -> Json:
    """The application's error body; the edge's 401 and 403 have a message only."""
    if status in {401, 403}:
        return {"message": reason or {401: "Unauthorized", 403: "Forbidden"}[status]}
    usual = {
        400: "Bad Request",
        404: "Not Found",
        405: "Method Not Allowed",
        410: "Gone",
        422: "Unprocessable Entity",
        429: "Too Many Requests",
        500: "Internal Server Error",
        502: "Bad Gateway",
        503: "Service Unavailable",
    }.get(status, "Error")
    return {"error": usual} if reason is None else {"error": usual, "troubleshoot": reason, "success": False}


class _Limited(Refusal):
    """A 429 with one of the bodies that it may have."""

    def __init__(self, body: RateBody, headers: dict[str, str]) -> None:
        super().__init__(429, None, headers)
        self._text, self._kind = _RATE_BODIES[body]

    def response(self) -> web.Response:
        return web.Response(status=429, text=self._text, content_type=self._kind, headers=self.headers)


class AircallSandbox(SandboxServer):
    """Aircall for one company, as the api/aircall facts have it; see `AircallSwitches` for what varies."""

    def __init__(self, now: Callable[[], float] = time.time, postman: Postman | None = None) -> None:
        super().__init__(now, error_body)
        self.api_id = "sandbox-api-id"
        self.api_token = "sandbox-api-token"  # noqa: S105 - known only to this sandbox
        self.company = "Sandbox Ltd."
        self.install = Install(now)
        self.switches = AircallSwitches()
        self.postman = postman or Postman()
        self.users = Users(now, self._announce)
        self.webhooks = Webhooks(self.postman, now)
        self._route()

    @property
    def log(self) -> list[Update]:
        """Every accepted update, oldest first."""
        return self.users.log

    @property
    def notify(self) -> WebhookSwitches:
        """How webhook events travel."""
        return self.webhooks.switches

    async def stop(self) -> None:
        """Stop listening and give up deliveries."""
        await self.webhooks.close()
        await super().stop()

    def add_user(
        self,
        email: str,
        *,
        user_id: int | None = None,
        name: str | None = None,
        status: str = "available",
        substatus: str | None = None,
        time_zone: str = "Etc/UTC",
        live: str | None = None,
    ) -> User:
        """A new user with this setting."""
        user = self.users.add(
            email, user_id=user_id, name=name, status=status, substatus=substatus, time_zone=time_zone, live=live
        )
        self.webhooks.emit("user.created", user.id, self._show(user))
        return user

    def remove_user(self, user_id: int) -> None:
        """Delete a user: 404 from now on."""
        user = self.users.by_id.pop(user_id)
        self.webhooks.emit("user.deleted", user_id, self._show(user))

    def uninstall(self, *, told: bool = True, gone: bool = True) -> None:
        """An administrator removes the app in the dashboard: its webhooks are told, and go; its tokens get 403.

        Not `told`: no message is sent. Not `gone`: the token works on for a while; call it again for its end.
        """
        if told:
            self.webhooks.emit_removal(OWN_COMPANY, self.install.show(self.company))
        if gone:
            self.webhooks.drop(OWN_COMPANY)
            self.install.uninstall(OWN_COMPANY)

    def set_by_hand(self, user_id: int, status: str, substatus: str | None = None) -> None:
        """The agent changes the setting in Aircall's own app."""
        self.users.put(self.users.by_id[user_id], Setting(status, substatus), "hand")

    def set_live(self, user_id: int, state: str | None) -> None:
        """Set the live state: offline, in_call, after_call_work ...; None: as the setting has it."""
        user = self.users.by_id[user_id]
        before, user.live = user.live, state
        if user.pending is not None and state not in CALL_STATES:
            pending, user.pending = user.pending, None
            self.users.put(user, pending, "api")
        if before == state:
            return
        if "offline" in {before, state}:
            self._emit(user, "user.disconnected" if state == "offline" else "user.connected")
        if "after_call_work" in {before, state}:
            self._emit(user, "user.wut_start" if state == "after_call_work" else "user.wut_end")

    def state_at(self, user_id: int, at: float) -> Setting:
        """The setting that was in force at an instant."""
        return self.users.by_id[user_id].setting_at(at)

    def setting(self, user_id: int) -> Setting:
        """The setting now."""
        return self.users.by_id[user_id].setting

    def history(self, user_id: int) -> list[tuple[float, Setting]]:
        """Every setting of a user with the instant from which it held."""
        user = self.users.by_id[user_id]
        return list(zip(user.since, user.settings, strict=True))

    def unrouted(self, status: int) -> web.Response:
        """The edge's answer to unknown paths; a wrong verb is an unknown route there."""
        return web.json_response({"message": "Not Found"}, status=404 if status == 405 else status)

    def before(self, request: web.Request) -> None:
        """Credentials, Content-Type and budget: in this order, and only for routes that exist."""
        if request.match_info.http_exception is not None:
            return
        if request.path in OAUTH_PATHS:
            return
        self._check_credentials(request.headers.get("Authorization"), request.path)
        if request.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            raise Refusal(400, {"error": "InvalidContentType", "troubleshoot": "Use Content-Type: application/json"})
        if not self.switches.budget.take(self.now()):
            raise _Limited(self.switches.rate_body, self._rate_headers(limited=True))

    def decorate(self, response: web.Response) -> None:
        """The budget's headers, where the switch puts them on every answer."""
        if self.switches.rate_headers:
            for name, value in self._rate_headers(limited=False).items():
                response.headers.setdefault(name, value)

    def _check_credentials(self, header: str | None, path: str) -> None:
        if header is None:
            raise Refusal(401, {"message": "Unauthorized"})
        kind, _, value = header.partition(" ")
        if kind == "Bearer" and self.install.is_token(value):
            if self.install.company_of(value) != OWN_COMPANY and not path.startswith("/v1/integrations/"):
                # Nothing of another company is modelled but its installation.
                raise Refusal(403, {"message": "Forbidden"})
            return
        try:
            given = base64.b64decode(value, validate=True).decode() if kind == "Basic" else ""
        except (binascii.Error, ValueError):
            given = ""
        if given != f"{self.api_id}:{self.api_token}":
            raise Refusal(403, {"message": "Forbidden"})

    def _rate_headers(self, *, limited: bool) -> dict[str, str]:
        now, budget, signal = self.now(), self.switches.budget, self.switches.rate_signal
        if limited and signal == "none":
            return {}
        reset = budget.reset_at(now)
        if limited and signal == "retry_after":
            return {"Retry-After": str(max(1, round(reset - now + 0.5)))}
        if limited and signal == "retry_after_date":
            return {"Retry-After": formatdate(math.ceil(reset) + self.clock_skew, usegmt=True)}
        scale = 1000 if signal == "reset_milliseconds" else 1
        return {
            "X-AircallApi-Limit": str(budget.limit),
            "X-AircallApi-Remaining": str(max(budget.remaining(now), 0)),
            "X-AircallApi-Reset": str(round((reset + 0.5) * scale)),
        }

    def _route(self) -> None:
        add = self.app.router.add_route
        add("GET", "/v1/ping", self._ping)
        add("GET", "/v1/company", self._company)
        add_pages(self.app, self.install, lambda: self.company)
        add("POST", "/v1/oauth/token", self._token)
        add("GET", "/v1/integrations/me", self._integration)
        add("POST", "/v1/integrations/{verb:enable|disable}", self._integration_switch)
        add("GET", "/v1/users/availabilities", self._live_list)
        add("GET", "/v1/users/{user}/availability", self._live)
        for version in ("v1", "v2"):
            add("GET", f"/{version}/users", self._list)
            add("GET", f"/{version}/users/{{user}}", self._get)
            add("PUT", f"/{version}/users/{{user}}", self._put)
        add("GET", "/v1/webhooks", self._webhook_list)
        add("POST", "/v1/webhooks", self._webhook_add)
        add("GET", "/v1/webhooks/{webhook}", self._webhook_get)
        add("PUT", "/v1/webhooks/{webhook}", self._webhook_change)
        add("DELETE", "/v1/webhooks/{webhook}", self._webhook_remove)

    async def _ping(self, _: web.Request) -> web.Response:
        return web.json_response({"ping": "pong"})

    async def _company(self, _: web.Request) -> web.Response:
        company = {"name": self.company, "users_count": len(self.users.by_id), "numbers_count": 1}
        return web.json_response({"company": company})

    async def _token(self, request: web.Request) -> web.Response:
        return web.json_response(self.install.exchange(await _json(request)))

    async def _integration(self, request: web.Request) -> web.Response:
        company = self._company_of(request)
        if company is None:
            raise Refusal(403, {"message": "Forbidden"})
        return web.json_response({"integration": self.install.show(self.company, company)})

    async def _integration_switch(self, request: web.Request) -> web.Response:
        if self._company_of(request) is None:
            raise Refusal(403, {"message": "Forbidden"})
        self.install.active = request.match_info["verb"] == "enable"
        for webhook in self._webhooks_of(request):
            webhook.active = self.install.active
        body = self.install.enable_body
        return web.Response(status=204) if body is None else web.Response(text=body)

    def _company_of(self, request: web.Request) -> int | None:
        """At which company the app asks; None for an API key."""
        kind, _, value = request.headers["Authorization"].partition(" ")
        return self.install.company_of(value) if kind == "Bearer" else None

    def _webhooks_of(self, request: web.Request) -> list[Webhook]:
        """An app sees the webhooks that it made; an API key sees all."""
        company = self._company_of(request)
        return [one for one in self.webhooks.by_id.values() if company in (None, one.app)]

    async def _list(self, request: web.Request) -> web.Response:
        self._check_version(request)
        return self._paged(request, "users", self._ordered(request), self._show)

    async def _live_list(self, request: web.Request) -> web.Response:
        return self._paged(request, "users", self._ordered(request), self._show_live)

    async def _live(self, request: web.Request) -> web.Response:
        return web.json_response({"availability": self._live_state(self._user(request, by_email=False))})

    async def _get(self, request: web.Request) -> web.Response:
        self._check_version(request)
        return web.json_response({"user": self._show(self._user(request, by_email=True))})

    async def _put(self, request: web.Request) -> web.Response:
        self._check_version(request)
        is_v2, refused = request.path.startswith("/v2"), self.switches.v2_update
        if is_v2 and refused is not None:
            raise Refusal(refused, {"message": "Not Found"} if refused == 404 else error_body(refused))
        user = self._user(request, by_email=False)
        setting = self._asked(await _json(request), user)
        in_call = self.switches.in_call if user.live in CALL_STATES else "taken"
        if in_call == "refused":
            raise Refusal(405, error_body(405, "The user is currently unavailable"))
        if self.switches.state_errors > 0:
            self.switches.state_errors -= 1
            raise Refusal(405, error_body(405, "The user is currently unavailable"))
        before = self._show_as(user, user.setting)
        if is_v2 and self.switches.v2_ignores:
            return web.json_response({"user": before})
        if self.switches.disobey > 0:
            self.switches.disobey -= 1
            return web.json_response({"user": before})
        if in_call == "deferred":
            user.pending = setting
        else:
            self.users.put(user, setting, "api")
        return web.json_response({"user": before if self.switches.answers_lag else self._show_as(user, setting)})

    def _asked(self, body: dict[str, Any], user: User) -> Setting:
        if not body or set(body) - _OTHER_USER_FIELDS - {"availability_status", "substatus"}:
            raise self._refused("Unknown or missing parameters")
        status, substatus = body.get("availability_status", user.setting.status), body.get("substatus")
        if status not in STATUSES:
            raise self._refused("availability_status is invalid")
        if "substatus" in body and (body.get("availability_status") != "unavailable" or substatus not in SUBSTATUSES):
            raise self._refused("substatus is invalid")
        if "substatus" in body and self.switches.substatus_refused:
            raise self._refused("substatus is not enabled")
        return Setting(status, substatus)

    def _refused(self, why: str) -> Refusal:
        status = self.switches.refusal_status
        return Refusal(status, error_body(status, why))

    def _check_version(self, request: web.Request) -> None:
        gone = self.switches.v1_users
        if request.path.startswith("/v1") and gone is not None:
            raise Refusal(gone, {"message": "Not Found"} if gone == 404 else error_body(gone))

    def _user(self, request: web.Request, *, by_email: bool) -> User:
        user = self.users.find(request.match_info["user"], by_email=by_email)
        if user is None:
            raise Refusal(404, {"error": "Not Found"})
        return user

    def _ordered(self, request: web.Request) -> list[User]:
        order = request.query.get("order", "asc")
        if order not in {"asc", "desc"}:
            raise Refusal(400, error_body(400, "order must be asc or desc"))
        return [self.users.by_id[key] for key in sorted(self.users.by_id, reverse=order == "desc")]

    def _paged(
        self, request: web.Request, name: str, rows: Sequence[_Row], show: Callable[[_Row], Json]
    ) -> web.Response:
        page, size = _number(request, "page", 1, None), _number(request, "per_page", 20, 50)
        shown = [show(row) for row in rows[(page - 1) * size : page * size]]
        link = f"{self.origin}{request.path}?per_page={size}&page="
        meta = {
            "count": len(shown),
            "total": len(rows),
            "current_page": page,
            "per_page": size,
            "next_page_link": f"{link}{page + 1}" if page * size < len(rows) else None,
            "previous_page_link": f"{link}{page - 1}" if page > 1 else None,
        }
        if self.switches.list_meta == "none":
            return web.json_response({name: shown})
        if self.switches.list_meta == "without_links":
            del meta["next_page_link"], meta["previous_page_link"]
        return web.json_response({"meta": meta, name: shown})

    def _show(self, user: User) -> Json:
        setting = user.setting_at(self.now() - self.switches.read_lag)
        if self.switches.calls_read_unavailable and user.live in CALL_STATES:
            setting = Setting("unavailable")
        return self._show_as(user, setting)

    def _show_as(self, user: User, setting: Setting) -> Json:
        old = user.reason_at(self.now()) if self.switches.old_substatus_stays else None
        return show_user(user, setting, self.origin, reason=setting.substatus or old, reason_in=self.switches.reason_in)

    def _show_live(self, user: User) -> Json:
        return {"id": user.id, "availability": self._live_state(user)}

    def _live_state(self, user: User) -> str:
        setting = user.setting_at(self.now() - self.switches.read_lag)
        return live_state(user, setting, on_custom=self.switches.custom_live)

    def _announce(self, user: User, update: Update) -> None:
        if update.by == "api" and not self.switches.echo:
            return
        if update.after.status != "unavailable":
            if update.before.status == "unavailable":
                self._emit(user, "user.opened")
            return
        if self.switches.substatuses_on:
            self._emit(user, "user.closed", Setting("unavailable"))
        self._emit(user, "user.closed")

    def _emit(self, user: User, event: str, setting: Setting | None = None) -> None:
        self.webhooks.emit(event, user.id, self._show_as(user, setting or user.setting))

    async def _webhook_list(self, request: web.Request) -> web.Response:
        webhooks = self._webhooks_of(request)
        return self._paged(request, "webhooks", webhooks, lambda webhook: show_webhook(webhook, self.origin))

    async def _webhook_add(self, request: web.Request) -> web.Response:
        body = await _json(request)
        problem = "url is missing" if "url" not in body else self.webhooks.problem(body)
        if len(self.webhooks.by_id) >= MOST_WEBHOOKS:
            problem = f"Maximum of {MOST_WEBHOOKS} webhooks"
        if problem is not None:
            raise Refusal(400, error_body(400, problem))
        made = self.webhooks.add(body, self._company_of(request))
        return web.json_response({"webhook": show_webhook(made, self.origin)}, status=201)

    async def _webhook_get(self, request: web.Request) -> web.Response:
        return web.json_response({"webhook": show_webhook(self._webhook(request), self.origin)})

    async def _webhook_change(self, request: web.Request) -> web.Response:
        webhook, body = self._webhook(request), await _json(request)
        problem = self.webhooks.problem(body)
        if problem is not None:
            raise Refusal(400, error_body(400, problem))
        self.webhooks.change(webhook, body)
        return web.json_response({"webhook": show_webhook(webhook, self.origin)})

    async def _webhook_remove(self, request: web.Request) -> web.Response:
        del self.webhooks.by_id[self._webhook(request).id]
        return web.Response(status=204)

    def _webhook(self, request: web.Request) -> Webhook:
        webhook = self.webhooks.by_id.get(request.match_info["webhook"])
        if webhook is None or webhook not in self._webhooks_of(request):
            raise Refusal(404, {"error": "Not Found"})
        return webhook


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refusal(400, error_body(400, "The body must be a JSON object"))
    return body


def _number(request: web.Request, name: str, default: int, most: int | None) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit()) or int(text) < 1 or (most is not None and int(text) > most):
        raise Refusal(400, error_body(400, f"{name} is invalid"))
    return int(text)
