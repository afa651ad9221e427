"""Clients that speak to the sandbox over HTTP as a program of somebody else would."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

import aiohttp
from aiohttp import web
from google.auth import crypt
from google.auth import jwt as google_jwt
from yarl import URL

from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.world import Sandbox

AMY = "amy@example.com"
READONLY = "https://www.googleapis.com/auth/calendar.events.readonly"
READ_WRITE = "https://www.googleapis.com/auth/calendar.events"

Query = Sequence[tuple[str, str]] | Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def reason(self) -> str:
        """The first reason of a Google error."""
        return str(self.json["error"]["errors"][0]["reason"])


class GoogleClient:
    """Speaks to Google's side with service-account tokens."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session

    def assertion(self, *, key_id: str | None = None, **claims: object) -> str:
        """A signed JWT; a claim given as None is left out."""
        key = dict(self.sandbox.google.key_file())
        key["private_key_id"] = key_id or key["private_key_id"]
        now = int(time.time())
        payload: dict[str, object] = {
            "iss": key["client_email"],
            "sub": AMY,
            "scope": READONLY,
            "aud": self.sandbox.token_uri,
            "iat": now,
            "exp": now + 3600,
            **claims,
        }
        signer = cast("Any", crypt.RSASigner).from_service_account_info(key)
        kept = {name: value for name, value in payload.items() if value is not None}
        return str(cast("Any", google_jwt).encode(signer, kept), "ascii")

    async def ask_token(self, assertion: str, grant: str = "urn:ietf:params:oauth:grant-type:jwt-bearer") -> Answer:
        form = {"grant_type": grant, "assertion": assertion}
        async with self.session.post(self.sandbox.token_uri, data=form) as answer:
            return Answer(answer.status, await answer.text(), answer.headers)

    async def token(self, user: str = AMY, scope: str = READONLY) -> str:
        answer = await self.ask_token(self.assertion(sub=user, scope=scope))
        return str(answer.json["access_token"])

    async def call(
        self,
        method: str,
        path: str,
        query: Query = (),
        *,
        token: str | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = {"Authorization": f"Bearer {token or await self.token()}", **(headers or {})}
        url = URL(self.sandbox.google_url + path, encoded=True).with_query(query)
        async with self.session.request(method, url, json=body, headers=sent) as answer:
            return Answer(answer.status, await answer.text(), answer.headers)

    async def events(self, query: Query = (), *, calendar: str = "primary", token: str | None = None) -> Answer:
        return await self.call("GET", f"/calendars/{quote(calendar, safe='')}/events", query, token=token)

    async def sync(self, query: Query = (("singleEvents", "true"),)) -> tuple[list[dict[str, Any]], str]:
        """All the pages of a list, and the sync token on the last of them."""
        items: list[dict[str, Any]] = []
        token = await self.token()
        pairs = list(query.items()) if isinstance(query, Mapping) else list(query)
        more: list[tuple[str, str]] = []
        while True:
            page = (await self.events([*pairs, *more], token=token)).json
            items += page.get("items", [])
            if "nextPageToken" not in page:
                return items, str(page["nextSyncToken"])
            more = [("pageToken", page["nextPageToken"])]

    async def delta(self, sync_token: str) -> list[dict[str, Any]]:
        return (await self.sync([("singleEvents", "true"), ("syncToken", sync_token)]))[0]


class AircallClient:
    """Speaks to Aircall's side with the company's key."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session

    async def call(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        aircall = self.sandbox.aircall
        usual = {
            "Authorization": aiohttp.encode_basic_auth(aircall.api_id, aircall.api_token),
            "Content-Type": "application/json",
        }
        sent = usual if headers is None else headers
        data = None if body is None else json.dumps(body).encode()
        async with self.session.request(
            method, self.sandbox.aircall_url + path, data=data, headers=sent, skip_auto_headers=["Content-Type"]
        ) as answer:
            return Answer(answer.status, await answer.text(), answer.headers)

    async def put(self, user: int, body: Any, *, version: str = "v2") -> Answer:
        return await self.call("PUT", f"/{version}/users/{user}", body)


@dataclass(frozen=True, slots=True)
class Posted:
    """What arrived at a webhook."""

    at: float
    path: str
    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """A webhook's receiving end: answers the statuses in `answers`, then 200."""

    def __init__(self) -> None:
        self.posted: list[Posted] = []
        self.answers: list[int] = []

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.posted.append(Posted(time.time(), request.path, request.headers.copy(), body))
        return web.Response(status=self.answers.pop(0) if self.answers else 200)


def meeting(start: float, end: float, **extra: Any) -> dict[str, Any]:
    """An event between two instants."""
    return {"summary": "Meeting", "start": {"dateTime": second(start)}, "end": {"dateTime": second(end)}, **extra}
