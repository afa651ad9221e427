"""The tests that answers go through: each says what it saw, or raises Problem with what to do."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from typing import Any, TypeVar

from google.auth import crypt

from calsyncd.aircall.authorization import ApiKey
from calsyncd.aircall.client import AircallApi
from calsyncd.clock import SystemClock
from calsyncd.config import Listen, OAuthClient, ServiceAccount, TcpListen
from calsyncd.config.faults import Problem
from calsyncd.config.values import email as address
from calsyncd.core.matching import nearest
from calsyncd.core.troubles import needs_human, trouble
from calsyncd.errors import CREDENTIALS, Refused, ServiceError
from calsyncd.google.auth import ServiceAccountTokens
from calsyncd.google.calendar import CalendarApi
from calsyncd.http import Http
from calsyncd.routes import GOOGLE_CALLBACK

T = TypeVar("T")

MOST_STRANGERS = 5
"""So many Aircall users without a Google account are passed over in search of one with a calendar."""

ANSWER_SECONDS = 2.0
"""So long a listener on this machine has to show that it is a calsyncd."""


class _Nobody:
    """Is told of requests and counts none."""

    def request_done(self, service: str, route: str, status: int | None, seconds: float) -> None:
        """A request ended."""

    def date_seen(self, service: str, date: float) -> None:
        """An answer carried a date."""


class Trials:
    """Asks the services; `environ` names the proxies."""

    def __init__(self, environ: Mapping[str, str], *, google_api_url: str, aircall_api_url: str) -> None:
        self._environ = environ
        self._google_api_url = google_api_url
        self._aircall_api_url = aircall_api_url

    def aircall_users(self, api_id: str, api_token: str) -> list[str]:
        """The e-mail addresses of the company's Aircall users, in order of the alphabet; what is none is left out."""

        async def listed(http: Http, clock: SystemClock) -> list[str]:
            aircall = AircallApi(
                http,
                api_url=self._aircall_api_url,
                authorization=ApiKey(api_id, api_token),
                users_api="auto",
                now=clock.now,
                say=lambda _: None,
            )
            await aircall.ping()
            emails: set[str] = set()
            page, more = 1, True
            while more:
                users, more = await aircall.page_of_users(page)
                emails |= {user.email for user in users if _is_address(user.email)}
                page += 1
            return sorted(emails)

        return self._asked(listed)

    def google_client(self, client: OAuthClient) -> None:
        """Google knows the client and its secret: a code that nobody was given is refused, and not the client."""

        async def exchanged(http: Http, _: SystemClock) -> None:
            form = {
                "grant_type": "authorization_code",
                "code": "calsyncd-init",
                "client_id": client.client_id,
                "client_secret": client.client_secret.reveal(),
                "redirect_uri": client.redirect_uris[0]
                if client.redirect_uris
                else f"https://localhost{GOOGLE_CALLBACK}",
            }
            answer = await http.request("google", "token", "POST", client.token_uri, form=form)
            if isinstance(answer.data, dict) and answer.data.get("error") in ("invalid_client", "deleted_client"):
                raise Problem(
                    f"{client.path}: Google does not know this client or its secret; make a new secret in the Google"
                    " Cloud console, and download the client's JSON again"
                )
            if answer.status >= 500:
                raise Problem(f"Google's token endpoint answered {answer.status}; try again")

        return self._asked(exchanged)

    def calendar(self, account: ServiceAccount, emails: Sequence[str], *, all_must: bool) -> tuple[str, str | None]:
        """(whose primary calendar was read, its zone): the first of `emails`, or unless `all_must` of a few of them."""

        async def read(http: Http, clock: SystemClock) -> tuple[str, str | None]:
            tokens = ServiceAccountTokens(
                http,
                client_email=account.client_email,
                token_uri=account.token_uri,
                signer=crypt.RSASigner.from_string(  # type: ignore[no-untyped-call]
                    account.private_key.reveal(), account.key_id
                ),
                now=clock.now,
                learned=lambda _: None,
            )
            google = CalendarApi(http, tokens, self._google_api_url)
            tried = emails[: 1 if all_must else MOST_STRANGERS]
            for number, email in enumerate(tried, 1):
                try:
                    page = await google.list_events(email, "primary", {"maxResults": "1", "fields": "timeZone"})
                except Refused as error:
                    if error.code == "invalid_grant" and number < len(tried):
                        continue
                    raise Problem(f"{email}: {_said(error)}") from None
                zone = page.get("timeZone") if isinstance(page, dict) else None
                return email, zone if isinstance(zone, str) else None
            raise Problem("nobody's calendar could be read")

        return self._asked(read)

    def _asked(self, ask: Callable[[Http, SystemClock], Coroutine[Any, Any, T]]) -> T:
        async def asked() -> T:
            clock = SystemClock()
            try:
                async with Http(_Nobody(), self._environ) as http:
                    return await ask(http, clock)
            finally:
                clock.close()

        try:
            return asyncio.run(asked())
        except ServiceError as error:
            raise Problem(_said(error)) from None


def _is_address(text: str) -> bool:
    try:
        address(text)
    except Problem:
        return False
    return True


def _said(error: ServiceError) -> str:
    if error.code == CREDENTIALS and error.service == "aircall":
        return (
            "Aircall refuses this API id and token; make an API key in Aircall's dashboard, under Integrations & API,"
            " API keys"
        )
    if needs_human(error.code):
        known = trouble(error.code, 0.0)
        return f"{known.message}; {known.do} (this is up to: {known.owner})"
    return f"{error}; try again"


def free(address: Listen) -> bool:
    """Whether nobody listens at the address of this machine; false where a calsyncd does, which will give way.

    Raises:
        Problem: it is no address of this machine, or somebody else listens there.
    """
    if not isinstance(address, TcpListen):
        return True
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise Problem("this host has no address; 127.0.0.1 is this machine") from None
    for family, kind, protocol, _, place in found:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(place)
                probe.listen(1)
            except OSError as error:
                if error.errno == errno.EADDRINUSE and _is_calsyncd(address):
                    return False
                raise Problem(
                    f"port {address.port} cannot be listened on ({error.strerror}); choose another, or end what listens"
                    " there"
                ) from None
    return True


def _is_calsyncd(address: TcpListen) -> bool:
    """Whether what listens there answers as a calsyncd does, whichever of its listeners that is."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104 - asked, not listened on
    connection = HTTPConnection(host, address.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().headers.get("Server") == "calsyncd"
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def known_users(emails: Sequence[str], users: Sequence[str]) -> None:
    """Each of the addresses is an Aircall user's.

    Raises:
        Problem: names each that is not, with the nearest that is.
    """
    strangers: list[str] = []
    for email in emails:
        if email not in users:
            near = nearest(email, users)
            strangers.append(email + (f" (did you mean {near}?)" if near else ""))
    if strangers:
        raise Problem(f"no Aircall user has the e-mail address {', '.join(strangers)}")
