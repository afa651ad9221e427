"""A site at which an Aircall app is installed: the real pages, installer and vault, on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from calsyncd import logs
from calsyncd.aircall.authorization import Installed
from calsyncd.aircall.install import App
from calsyncd.clock import SystemClock
from calsyncd.http import Http
from calsyncd.installation import AppInstaller
from calsyncd.routes import AIRCALL_CALLBACK, AIRCALL_INSTALL
from calsyncd.sandbox.world import Sandbox
from calsyncd.scheduler import Scheduler
from calsyncd.state import invitation, is_invitation, push_key
from calsyncd.vault import Vault
from calsyncd.web.peer import Trusted
from calsyncd.web.public import public_app
from calsyncd.web.server import serve

from .wire import Google


@dataclass
class Site:
    """A calsyncd whose public address is `public_url`, and what it did."""

    origin: str
    vault: Vault
    app: Installed
    installer: AppInstaller
    doubts: list[str]
    folder: Path
    installs: int = 0

    @property
    def link(self) -> str:
        """Where the operator sends an admin: path and query."""
        return f"{AIRCALL_INSTALL}?key={invitation(self.folder, SystemClock().now())}"

    @property
    def token(self) -> str | None:
        """What is kept."""
        return self.app.current.token if self.app.current is not None else None


@asynccontextmanager
async def app_site(
    http: Http,
    sandbox: Sandbox,
    folder: Path,
    public_url: str,
    trusted: Sequence[Trusted] = (),
    *,
    life_seconds: float = 15.0,
) -> AsyncIterator[Site]:
    """A running one, on loopback behind a proxy that does TLS."""
    key = push_key(folder)
    callback = public_url + AIRCALL_CALLBACK
    known = sandbox.aircall.install
    known.redirect_uris = (callback,)
    vault = Vault.open(folder / "credentials", folder / "key")
    app, clock = Installed(vault, logs.add_secret), SystemClock()
    scheduler = Scheduler(clock)
    doubts: list[str] = []
    made: Site

    async def installed() -> None:
        made.installs += 1

    installer = AppInstaller(
        scheduler,
        http=http,
        app=App(known.client_id, known.client_secret, callback, sandbox.aircall_url, sandbox.aircall_url),
        authorization=app,
        boxes=vault,
        invited=lambda word: is_invitation(key, word, clock.now()),
        installed=installed,
        doubted=doubts.append,
        learned=logs.add_secret,
        chance=lambda: 0.5,
    )
    google = Google()
    public = public_app(
        notify=google.notify,
        told=google.take,
        health=google.health,
        prove=google.prove,
        installer=installer,
        trusted=trusted,
    )
    loop = asyncio.create_task(scheduler.run())
    async with serve(public, "127.0.0.1:0", life_seconds=life_seconds) as addresses:
        made = Site(f"http://{addresses[0]}", vault, app, installer, doubts, folder)
        yield made
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    await scheduler.finish(1.0)
    clock.close()
