"""The Aircall app's installation at one company: begun and ended in a browser, kept in the vault, and lost.

Anybody may open the install page, and an admin of any company may consent. So an answer counts only in the browser
that began it, once; and once the app was installed at one company, that of another does not take its place.

A message that the app was removed makes nothing begin any more, and Aircall is asked with the token: only when that is
refused, too, the token is deleted. One that is refused without a message is kept: it may be Aircall's own fault, and
then it works again. Only the company that it was removed at can install it again, where Aircall tells which that is:
what is owed is owed there. To move, the operator deletes the installation's file.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from calsyncd.aircall import install
from calsyncd.aircall.authorization import Installation, Installed
from calsyncd.aircall.install import App
from calsyncd.core.retry import backoff
from calsyncd.errors import UNINSTALLED, Refused, ServiceError, UserError
from calsyncd.http import Http
from calsyncd.logs import get_logger
from calsyncd.scheduler import Scheduler
from calsyncd.web import install as pages
from calsyncd.web.install import Back, Finished, Started

ATTEMPTS = 10
ATTEMPTS_SECONDS = 60.0
"""So many answers within so many seconds are taken to Aircall: strangers must not use up its patience with us."""

ASK_AGAIN_SECONDS = (10.0, 60.0, 600.0)
"""After a message that the app was removed, a token that works still is asked about again so much later."""

RETRY_FIRST_SECONDS, RETRY_CAP_SECONDS = 10.0, 60 * 60.0

_KIND = "app"
_ASK, _ENABLE = "ask", "enable"
_PURPOSE = "aircall install"

log = get_logger(__name__)


class Boxes(Protocol):
    """What is asked of the vault for cookies."""

    def box(self, content: bytes) -> bytes:
        """Encrypt and date."""
        ...

    def unbox(self, boxed: bytes, seconds: float) -> bytes | None:
        """What was boxed at most so many seconds ago."""
        ...


class AppInstaller:
    """Installs the app. `installed` is awaited when it is, `doubted` is called with UNINSTALLED when it may not be.

    `app` may be replaced at any time, with a new client secret, say. `chance` is a float in [0, 1).
    """

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        http: Http,
        app: App,
        authorization: Installed,
        boxes: Boxes,
        installed: Callable[[], Awaitable[None]],
        doubted: Callable[[str], None],
        learned: Callable[[str], None],
        chance: Callable[[], float],
    ) -> None:
        self.app = app
        self._scheduler = scheduler
        self._clock = scheduler.clock
        self._http = http
        self._authorization = authorization
        self._boxes = boxes
        self._installed = installed
        self._doubted = doubted
        self._learned = learned
        self._chance = chance
        self._lock = asyncio.Lock()
        self._used: dict[str, float] = {}
        self._attempts: deque[float] = deque(maxlen=ATTEMPTS)
        self._asks = self._failures = 0
        self._working: set[str] = set()
        scheduler.handle(_KIND, lambda name, _: self._begin(name))
        scheduler.when_stepped(lambda now, _: self._stepped(now))

    @property
    def secure(self) -> bool:
        """Whether browsers reach us by https."""
        return self.app.redirect_uri.startswith("https:")

    def keep(self) -> None:
        """See to what a former process left undone."""
        current = self._authorization.current
        if current is not None and current.token is not None and not current.enabled:
            self._at(_ENABLE, 0.0)

    # -- in the browser --------------------------------------------------------------------------------------------

    def start(self) -> Started:
        """Aircall's consent page, and a state that only this browser has."""
        state = secrets.token_urlsafe(32)
        boxed = self._boxes.box(json.dumps({"for": _PURPOSE, "state": state}).encode())
        return Started(install.authorization_url(self.app, state), boxed.decode().rstrip("="))

    async def finish(self, cookie: str | None, back: Back) -> Finished:
        """Take what Aircall sent back, if this browser was sent there."""
        if back.error is not None:
            return Finished(pages.DENIED if back.error == "access_denied" else pages.NOT_GRANTED)
        if back.state is None or back.code is None or not self._is_ours(cookie, back.state):
            return Finished(pages.STATE)
        now = self._clock.monotonic()
        self._used = {state: until for state, until in self._used.items() if until > now}
        if back.state in self._used:
            return Finished(pages.USED)
        if len(self._attempts) == ATTEMPTS and self._attempts[0] > now - ATTEMPTS_SECONDS:
            return Finished(pages.BUSY)
        self._attempts.append(now)
        self._used[back.state] = now + 2 * pages.COOKIE_SECONDS
        async with self._lock:
            code = await self._install(back.code)
        if code != pages.INSTALLED:
            return Finished(code)
        await self._installed()
        return Finished(code, self.app.success_url)

    def _is_ours(self, cookie: str | None, state: str) -> bool:
        if cookie is None:
            return False
        content = self._boxes.unbox((cookie + "=" * (-len(cookie) % 4)).encode(), pages.COOKIE_SECONDS)
        if content is None:
            return False
        kept = json.loads(content)
        if not isinstance(kept, dict) or kept.get("for") != _PURPOSE:
            return False
        return hmac.compare_digest(str(kept.get("state")).encode(), state.encode())

    async def _install(self, code: str) -> str:
        """Exchange the code, and keep the token unless it is another company's; how that ended."""
        try:
            token = await install.exchange(self._http, self.app, code)
            # A secret from here on, whatever becomes of it.
            self._learned(token)
            company = await self._company_of(token)
            if await self._is_anothers(company):
                log.warning(
                    "Another company tried to install the app than the one that it was installed at: it is not taken",
                    action="install_other_company",
                    company=company,
                )
                return pages.OTHER_COMPANY
        except Refused as error:
            log.warning("The app was not installed", action="install_failed", code=error.code, why=str(error))
            return pages.CLIENT_REFUSED if error.code == install.CLIENT_REFUSED else pages.CODE_REFUSED
        except ServiceError as error:
            log.warning("The app was not installed", action="install_failed", code=error.code, why=str(error))
            return pages.UNAVAILABLE
        try:
            await self._authorization.keep(Installation(token, company, self._clock.now()))
        except UserError as error:
            log.error("The app was not installed", action="install_failed", code="vault", why=str(error))  # noqa: TRY400 - it says what to do
            return pages.NOT_KEPT
        log.info("The app is installed in Aircall", action="app_installed", company=company)
        self._asks = self._failures = 0
        for name in (_ASK, _ENABLE):
            self._scheduler.at(_KIND, name, None)
        await self._enable()
        return pages.INSTALLED

    async def _company_of(self, token: str) -> int | None:
        """At which company a token is; None if Aircall does not say. Raises Unavailable."""
        try:
            return (await install.integration(self._http, self.app, token)).company
        except Refused:
            return None

    async def _is_anothers(self, company: int | None) -> bool:
        """Whether the app is, or was, installed at another company, as far as that is known. Raises Unavailable."""
        current = self._authorization.current
        if current is None:
            return False
        if company is not None and current.company is not None:
            # Also once it was removed: what is owed is owed there, and whoever comes first may be a stranger.
            return company != current.company
        if current.token is None:
            return False
        try:
            shown = await install.integration(self._http, self.app, current.token)
        except Refused as error:
            return error.code != UNINSTALLED
        return not shown.gone

    # -- afterwards ------------------------------------------------------------------------------------------------

    def removed(self) -> None:
        """A genuine message says that the app was removed: nothing begins until Aircall was asked."""
        current = self._authorization.current
        if current is None or current.token is None:
            return
        log.warning("Aircall says that the app was removed: it is asked", action="app_removal_told")
        self._asks = self._failures = 0
        self._doubted(UNINSTALLED)
        self._at(_ASK, 0.0)

    def _at(self, name: str, seconds: float) -> None:
        self._scheduler.at(_KIND, name, self._clock.now() + seconds)

    def _stepped(self, now: float) -> None:
        """The clock jumped: what was timed by it is done now."""
        for name in (_ASK, _ENABLE):
            if self._scheduler.due_at(_KIND, name) is not None:
                self._scheduler.at(_KIND, name, now)

    def _begin(self, name: str) -> None:
        if name not in self._working:
            self._working.add(name)
            self._scheduler.start(self._work(name), f"app {name}")

    async def _work(self, name: str) -> None:
        try:
            async with self._lock:
                await (self._ask() if name == _ASK else self._enable())
        except Exception:
            # It is not worth the process: a token that does not work is seen at the next request.
            log.exception("The app's installation is not seen to for a while", action="install_failed")
            self._at(name, RETRY_CAP_SECONDS)
        finally:
            self._working.discard(name)

    async def _enable(self) -> None:
        """Tell Aircall that the installation is complete, sooner or later."""
        current = self._authorization.current
        if current is None or current.token is None or current.enabled:
            return
        try:
            await install.enable(self._http, self.app, current.token)
            await self._authorization.keep(replace(current, enabled=True))
        except (ServiceError, UserError) as error:
            log.warning(
                "Aircall was not told that the installation is complete: until then it may send no messages",
                action="install_failed",
                code=error.code if isinstance(error, ServiceError) else "vault",
                why=str(error),
                retry_seconds=self._again(_ENABLE),
            )
        else:
            self._failures = 0

    async def _ask(self) -> None:
        """Whether Aircall still takes the token of an app that was removed, they say."""
        current = self._authorization.current
        if current is None or current.token is None:
            return
        try:
            gone = (await install.integration(self._http, self.app, current.token)).gone
        except Refused as error:
            if error.code != UNINSTALLED:
                log.warning("It is not known whether the app was removed", action="install_failed", why=str(error))
                return
            gone = True
        except ServiceError:
            self._again(_ASK)
            return
        if gone:
            await self._forget(current)
        elif self._asks < len(ASK_AGAIN_SECONDS):
            self._at(_ASK, ASK_AGAIN_SECONDS[self._asks])
            self._asks += 1
        else:
            log.info("The app is still installed: the message was an old one", action="app_not_removed")

    async def _forget(self, current: Installation) -> None:
        """The token is dead: delete it, and remember that there was one."""
        try:
            await self._authorization.keep(replace(current, token=None, enabled=False, removed_at=self._clock.now()))
        except UserError as error:
            log.error(  # noqa: TRY400 - it says what to do
                "The token of the app that was removed could not be deleted",
                action="install_failed",
                code="vault",
                why=str(error),
                retry_seconds=self._again(_ASK),
            )
            return
        log.warning(
            "The app was removed in Aircall: its token is deleted, and nobody is set until it is installed again",
            action="app_removed",
            company=current.company,
        )
        self._doubted(UNINSTALLED)

    def _again(self, name: str) -> float:
        """Try again, less and less often; in so many seconds."""
        self._failures += 1
        wait = backoff(self._failures, self._chance(), first=RETRY_FIRST_SECONDS, cap=RETRY_CAP_SECONDS)
        self._at(name, wait)
        return round(wait, 1)
