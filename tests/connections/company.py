"""A company whose agents connect by consent: its vault, its pages on a socket, and browsers that visit them."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiohttp

from calsyncd.clock import SystemClock
from calsyncd.connections import Connections
from calsyncd.errors import Refused
from calsyncd.google.consent import Client
from calsyncd.google.granted import ConsentTokens
from calsyncd.http import Http
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.world import Sandbox
from calsyncd.vault import Vault
from calsyncd.web.allowance import Allowance
from calsyncd.web.connect import Place
from calsyncd.web.peer import Trusted
from calsyncd.web.public import public_app
from calsyncd.web.server import serve
from tests.web.wire import Google

AMY, BOB, EVE = "amy@example.com", "bob@example.com", "eve@example.com"
"""Amy and Bob are agents; Eve has a Google account and is none."""


class MovedClock(SystemClock):
    """The machine's clock, and how far it is ahead of that."""

    ahead = 0.0

    def now(self) -> float:
        """Epoch seconds."""
        return super().now() + self.ahead


@dataclass
class Company:
    """One daemon's part in it; `happened` is what the rest of the daemon was told to do."""

    sandbox: Sandbox
    http: Http
    folder: Path
    place: Place
    clock: MovedClock = field(default_factory=MovedClock)
    agents: set[str] = field(default_factory=lambda: {AMY, BOB})
    happened: list[tuple[str, str]] = field(default_factory=list)
    letting_go: Callable[[str], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin as after a crash: all that is known is on disk."""
        self.vault = Vault.open(self.folder / "credentials", self.folder / "vault.key", self.clock.now)
        self.client = self.client_of()
        self.connections = Connections(
            self.vault,
            self.http,
            self.client,
            self.clock,
            self.place,
            is_agent=self.agents.__contains__,
            followed=self._followed,
            let_go=self._let_go,
        )

    def client_of(self) -> Client:
        """The OAuth client, as the settings have it."""
        web = self.sandbox.google.client_file()["web"]
        assert isinstance(web, dict)
        return Client(
            client_id=web["client_id"],
            client_secret=web["client_secret"],
            auth_uri=web["auth_uri"],
            token_uri=web["token_uri"],
            revoke_url=self.sandbox.google.revoke_url,
            redirect_uri=f"{self.place.public_url}/google/callback",
        )

    @property
    def is_untouched(self) -> bool:
        """Nothing has happened: neither in the vault nor in the daemon."""
        return self.happened == [] and self.vault.contexts() == [] and self.connections.connected() == []

    async def can_read(self, email: str) -> bool:
        """Whether the grant in the vault is good at Google."""
        tokens = ConsentTokens(
            self.http, self.client, self.connections.grant, now=self.clock.now, learned=lambda _: None
        )
        try:
            return bool(await tokens.token(email))
        except Refused as error:
            if error.code not in {"not_connected", "consent_withdrawn"}:
                raise
            return False

    async def _followed(self, email: str) -> None:
        assert await self.can_read(email)
        self.happened.append(("followed", email))

    async def _let_go(self, email: str) -> None:
        self.happened.append(("let go", email))
        if self.letting_go is not None:
            await self.letting_go(email)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def title(self) -> str:
        """The page's heading."""
        found = re.search(r"<h1>(.*?)</h1>", self.text)
        return found[1] if found else ""


class Browser:
    """Keeps the company's cookies and goes nowhere by itself."""

    def __init__(self, address: str) -> None:
        self.cookies: dict[str, str] = {}
        self._address = address

    async def __aenter__(self) -> Self:
        """Open it."""
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self._session.close()

    async def send(
        self, method: str, path: str, form: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request to the company, with its cookies; redirects are not followed."""
        sent = dict(headers or {})
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        url = f"http://{self._address}{path}"
        async with self._session.request(method, url, data=form, headers=sent, allow_redirects=False) as answer:
            for cookie in answer.headers.getall("Set-Cookie", []):
                name, _, value = cookie.partition(";")[0].partition("=")
                self.cookies.pop(name, None)
                if "Max-Age=0" not in cookie:
                    self.cookies[name] = value
            return Answer(answer.status, dict(answer.headers), await answer.text())

    async def begin(self, email: str = AMY, what: str = "connect") -> str:
        """Press the button; returns where Google's page is."""
        answer = await self.send("POST", "/google/connect", {"email": email, "what": what})
        assert answer.status == 303
        return answer.headers["Location"]

    async def consent(self, url: str) -> str:
        """Do at Google what the sandbox's switches say; returns the callback's path and query."""
        async with self._session.get(url, allow_redirects=False) as answer:
            assert answer.status == 302
            parts = urlsplit(answer.headers["Location"])
            return f"{parts.path}?{parts.query}"

    async def through(self, email: str = AMY, what: str = "connect") -> Answer:
        """The whole way."""
        return await self.send("GET", await self.consent(await self.begin(email, what)))


def company_of(sandbox: Sandbox, http: Http, folder: Path, *, public_url: str = PUBLIC_ORIGIN) -> Company:
    """A company that keeps its credentials in this folder."""
    web = sandbox.google.client_file()["web"]
    assert isinstance(web, dict)
    return Company(sandbox, http, folder, Place(public_url, web["auth_uri"]))


@contextlib.asynccontextmanager
async def visited(
    company: Company,
    allowance: Allowance | None = None,
    *,
    listen: str | list[socket.socket] = "127.0.0.1:0",
    trusted: Sequence[Trusted] = (),
    life_seconds: float = 15.0,
) -> AsyncIterator[str]:
    """The company's pages on a socket: yields its address."""
    owner = Google()
    app = public_app(
        notify=owner.notify,
        told=owner.take,
        health=owner.health,
        prove=owner.prove,
        ways=company.connections,
        allowance=allowance,
        trusted=trusted,
    )
    async with serve(app, listen, life_seconds=life_seconds) as addresses:
        yield addresses[0]
