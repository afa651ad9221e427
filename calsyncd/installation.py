"""The Aircall app's installation at one company: begun and ended in a browser, kept in the vault, and lost.

Anybody may open the install page, and an admin of any company may consent. So which company is ours is the operator's
to say: by its id in the settings, or by a link that they print and send. Once the app was installed, its company may do
so again without either, and another one does not take its place. An answer counts only in the browser that began,
once.

A message that the app was removed makes nothing begin any more, and Aircall is asked with the token: only when that is
refused, too, the token is deleted. One that is refused without a message is kept: it may be Aircall's own fault, and
then it works again. Only the company that it was removed at can install it again, where Aircall tells which that is:
what is owed is owed there. To move, the operator deletes the installation's file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from calsyncd.aircall import install
from calsyncd.aircall.authorization import Installation, Installed
from calsyncd.aircall.install import App
from calsyncd.core.retry import backoff
from calsyncd.errors import UNINSTALLED, Refused, ServiceError, UserError
from calsyncd.flows import Boxes, Flows
from calsyncd.http import Http
from calsyncd.logs import get_logger
from calsyncd.scheduler import Scheduler
from calsyncd.web import install as pages
from calsyncd.web.allowance import Allowance
from calsyncd.web.cookies import Started
from calsyncd.web.install import Back, Finished

ATTEMPTS, ATTEMPTS_OF_ALL = 10, 60
"""So many answers a minute are taken to Aircall for one address, and for all: strangers shall not use its patience up.

Whoever has come by the operator's link is not counted: no stranger keeps them out.
"""

ASK_AGAIN_SECONDS = (10.0, 60.0, 600.0)
"""After a message that the app was removed, a token that works still is asked about again so much later."""

RETRY_FIRST_SECONDS, RETRY_CAP_SECONDS = 10.0, 60 * 60.0

_KIND = "app"
_ASK, _ENABLE = "ask", "enable"

log = get_logger(__name__)


class AppInstaller:
    """Installs the app. `installed` is awaited when it is, `doubted` is called with UNINSTALLED when it may not be.

    `app` may be replaced at any time, with a new client secret, say. `invited` says whether a key is that of a link
    which the operator has printed. `chance` is a float in [0, 1).
    """

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        http: Http,
        app: App,
        authorization: Installed,
        boxes: Boxes,
        invited: Callable[[str], bool],
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
        self._flows = Flows(boxes, self._clock.monotonic)
        self._invited = invited
        self._installed = installed
        self._doubted = doubted
        self._learned = learned
        self._chance = chance
        self._lock = asyncio.Lock()
        self._attempts = Allowance(ATTEMPTS_OF_ALL, ATTEMPTS_OF_ALL / 60, ATTEMPTS, ATTEMPTS / 60)
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
        if current is None or current.token is None:
            return
        if self.app.company is not None and current.company not in {None, self.app.company}:
            log.warning(
                "The app is installed at another company than aircall.oauth.company names, and stays so: to move it,"
                " see docs/operations.md, under The Aircall app",
                action="install_other_company",
                company=current.company,
            )
        if not current.enabled:
            self._at(_ENABLE, 0.0)

    # -- in the browser --------------------------------------------------------------------------------------------

    @property
    def _purpose(self) -> str:
        return f"aircall {self.app.client_id} {self.app.redirect_uri}"

    def start(self, key: str | None) -> Started | Finished:
        """Aircall's consent page, if it can be known whose installation is to be taken."""
        is_invited = key is not None and self._invited(key)
        if not is_invited and not self.is_open:
            return Finished(pages.WAITING if key is None else pages.LINK_REFUSED)
        if self._authorization.blocks():
            # The vault overwrites nothing that it cannot read: a consent would be spent for nothing.
            return Finished(pages.BLOCKED)
        state, cookie = self._flows.begin(self._purpose, by="link" if is_invited else "")
        return Started(install.authorization_url(self.app, state), state, cookie)

    @property
    def is_open(self) -> bool:
        """Whether it is known whose installation is to be taken, so that no link is needed."""
        current = self._authorization.current
        return self.app.company is not None or (current is not None and current.company is not None)

    async def finish(self, cookie: str, back: Back, peer: str) -> Finished:
        """Take what Aircall sent back, if this browser was sent there."""
        if back.error is not None:
            return Finished(pages.DENIED if back.error == "access_denied" else pages.NOT_GRANTED)
        if back.state is None or back.code is None:
            return Finished(pages.STATE)
        flow = self._flows.find(self._purpose, cookie, back.state)
        if flow is None:
            return Finished(pages.STATE)
        if self._flows.is_used(back.state):
            return Finished(pages.USED)
        is_invited = flow["by"] == "link"
        if not is_invited and not self._attempts.take(peer, self._clock.monotonic()):
            return Finished(pages.BUSY)
        self._flows.use(back.state)
        async with self._lock:
            code = await self._install(back.code, is_invited=is_invited)
        if code != pages.INSTALLED:
            return Finished(code)
        await self._installed()
        return Finished(code, self.app.success_url)

    async def _install(self, code: str, *, is_invited: bool) -> str:
        """Exchange the code, and keep the token if it is our company's; how that ended."""
        try:
            token = await install.exchange(self._http, self.app, code)
            # A secret from here on, whatever becomes of it.
            self._learned(token)
            company = await self._company_of(token)
            refusal = await self._refusal(company, is_invited=is_invited)
            if refusal is not None:
                log.warning(
                    "Another company tried to install the app than ours: it is not taken",
                    action="install_other_company",
                    company=company,
                )
                return refusal
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

    async def _refusal(self, company: int | None, *, is_invited: bool) -> str | None:
        """Why an installation at this company is not taken (None: not known which); None: it is. Raises Unavailable."""
        current, pinned = self._authorization.current, self.app.company
        if pinned is not None and company != pinned:
            return pages.OTHER_COMPANY
        if current is not None and company is not None and current.company is not None:
            # Also once it was removed: what is owed is owed there.
            return None if company == current.company else pages.OTHER_COMPANY
        if current is not None and current.token is not None and await self._is_alive(current.token):
            return pages.OTHER_COMPANY
        return None if is_invited or pinned is not None else pages.WAITING

    async def _is_alive(self, token: str) -> bool:
        """Whether the app is still installed where this token is from, as far as Aircall says. Raises Unavailable."""
        try:
            return not (await install.integration(self._http, self.app, token)).gone
        except Refused as error:
            return error.code != UNINSTALLED

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
