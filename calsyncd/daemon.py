"""The composition root: every room is built here, started in order, and stopped in order.

Order: lock, ledger, store, outward requests, listeners, then the loop; each calendar is read, and each agent is
judged once theirs have been. Stopping takes no more work, lets what is in flight end, and keeps every stance.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import platform
import random
import resource
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from pathlib import Path

from calsyncd import __version__, config, limits, logs, services
from calsyncd.absence import Absence
from calsyncd.aircall.authorization import ApiKey, Installed
from calsyncd.alarms import Command, Kept, Looking, Outbox, Post, Watch, dead
from calsyncd.calendars import Others, Push, Syncer
from calsyncd.clock import SystemClock
from calsyncd.config import ConfigError, Settings
from calsyncd.connections import Connections, file_of, forget_grant
from calsyncd.control import Control
from calsyncd.core.budget import Budget
from calsyncd.core.lateness import Latenesses
from calsyncd.core.plan import Held
from calsyncd.errors import ServiceError, Unavailable, UserError, exit_code_of
from calsyncd.files import replace_file
from calsyncd.following import Following
from calsyncd.forgetting import Forgetting
from calsyncd.garbage import Garbage
from calsyncd.google.calendar import CalendarApi
from calsyncd.google.granted import ConsentTokens
from calsyncd.grants import Grants
from calsyncd.http import Http, proxy_secrets
from calsyncd.installation import AppInstaller
from calsyncd.journal import Journal
from calsyncd.ledger import Ledger
from calsyncd.metrics import Metrics
from calsyncd.phones import Calls, Outages, Phones, Presence, Record, Roster, Webhooks, Wishes
from calsyncd.reach import Reach, is_for_tests
from calsyncd.routes import AIRCALL_WEBHOOK, GOOGLE_WEBHOOK
from calsyncd.scheduler import Scheduler
from calsyncd.state import Alive, is_invitation, locked, nonce_proof, push_key
from calsyncd.store import DATABASE, Store, StoreUnavailableError
from calsyncd.supervised import Supervised, status_line
from calsyncd.vault import Vault
from calsyncd.vitals import PULSE_SECONDS, Vitals
from calsyncd.web.admin import MALFORMED, admin_app
from calsyncd.web.connect import Place
from calsyncd.web.gate import Gate, check_private
from calsyncd.web.public import public_app
from calsyncd.web.server import serve
from calsyncd.web.stream import Feed

STOP_SECONDS = 4.0
PUBLIC_CONNECTIONS, ADMIN_CONNECTIONS = 200, 100
"""The most of each listener; fewer where the process may have few files: those that it needs itself come first."""

TIDY_SECONDS = 3600.0
LONG_LOG_BYTES = 64_000_000

log = logs.get_logger(__name__)


class Observer:
    """Is told of every request: counts it, spends the budget, and compares the clocks."""

    def __init__(self, metrics: Metrics, clock: SystemClock, budget: Budget, corrected: Callable[[], None]) -> None:
        self._metrics = metrics
        self._clock = clock
        self._budget = budget
        self._corrected = corrected
        self._correction = 0.0

    def request_done(self, service: str, route: str, status: int | None, seconds: float) -> None:
        """A request ended."""
        self._metrics.http_request(service, route, status, seconds)
        if service == "aircall":
            self._budget.spent(self._clock.now())

    def date_seen(self, service: str, date: float) -> None:
        """An answer carried this `Date`; whoever takes alarms is none of the two services that may correct us."""
        if service == "alerts":
            return
        self._clock.observe_date(service, date)
        self._metrics.clock_skew(self._clock.skew.agreed)
        correction = self._clock.skew.correction
        if correction != self._correction:
            self._correction = correction
            self._corrected()
            if correction:
                log.error(
                    "Our clock is wrong by what two services agree on: decisions use the corrected time."
                    " Set the machine's clock (timedatectl set-ntp true)",
                    action="clock_skewed",
                    seconds=round(correction, 1),
                )
            else:
                log.info("Our clock agrees with the services' again", action="clock_agrees")


class Daemon:
    """One company's calsyncd; it lives by `clock`, the machine's unless another is given, and draws lots by `chance`.

    `only_releases`: it puts people back and reads no calendar, so that what agents have granted need not be readable.
    `dead_since`: the daemon whose place it takes for a moment has been dead since then, which is all that is told as
    wrong; of its debts those are taken up that are over. `is_sound`: see `Store.open`. `alone`: the process is this
    daemon's, and so is its garbage.
    """

    def __init__(
        self,
        settings: Settings,
        path: Path,
        environ: Mapping[str, str],
        clock: SystemClock | None = None,
        *,
        chance: Callable[[], float] = random.random,
        only_releases: bool = False,
        dead_since: float | None = None,
        is_sound: Callable[[], bool] = lambda: False,
        alone: bool = False,
    ) -> None:
        self._only_releases = only_releases
        self._is_sound = is_sound
        self._alone = alone
        self._dead_since = dead_since
        self.settings = settings
        self._begun_with = settings
        self._path = path
        self._environ = environ
        self._chance = chance
        self.clock = clock or SystemClock()
        self.metrics = Metrics(__version__)
        self.metrics.push_configured(configured=settings.server.public_url is not None)
        self.metrics.registry.measure = self._measure
        self.scheduler = Scheduler(self.clock)
        self.budget = Budget(settings.aircall.requests_per_minute)
        self.gate = Gate(_admin_token(settings))
        self.lateness = Latenesses()
        self.metrics.late = lambda seconds: self.lateness.add(self.clock.now(), seconds)
        self.roster = Roster(self.clock.now)
        self.phones: Phones
        self.webhooks: Webhooks
        self.push: Push
        self.syncer: Syncer
        self.control: Control
        self.feed: Feed
        self.outages: Outages
        self.absence: Absence
        self.store: Store
        self.ledger: Ledger
        self.alarms: Watch
        self._posted = Outbox("alerts.url_file", self.clock, chance)
        self._commanded = Outbox("alerts.command", self.clock, chance)
        self._http: Http
        self._google: CalendarApi
        self._authorization: ApiKey | Installed
        self._vault: Vault | None = None
        self.connections: Connections | None = None
        self.installer: AppInstaller | None = None
        self.grants: Grants | None = None
        self.following: Following
        self.reach: Reach | None = None
        self._stop = asyncio.Event()
        self._reload_asked = asyncio.Event()
        self._keeping = asyncio.Lock()
        self._supervised = Supervised(environ, self.clock, self.scheduler, self._status_line)
        # The store is opened later.
        self.vitals = Vitals(self.clock, self.scheduler, self.metrics, lambda: self.store.ping())  # noqa: PLW0108

    # -- building --------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def built(self) -> AsyncIterator[Journal]:
        """Everything but the listeners and the loop, with the debts of the ledger taken up."""
        settings = self.settings
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self.clock.close)
            stack.enter_context(locked(settings.state_dir))
            ledger = self.ledger = _open_ledger(settings.state_dir / "ledger")
            stack.push_async_callback(ledger.close)
            key = self._push_key = push_key(settings.state_dir)
            vault = self._vault = self._open_vault()
            self.store = await self._open_store(stack)
            if self.store.moved_aside is not None:
                log.error(
                    "The database was damaged and is made anew; the old one is kept beside it",
                    action="database_moved_aside",
                    file=self.store.moved_aside.name,
                )
            self._hide(proxy_secrets(self._environ))
            http = await stack.enter_async_context(
                Http(Observer(self.metrics, self.clock, self.budget, self.scheduler.touch), self._environ)
            )
            self._http = http
            self._send_alarms(settings)
            journal = Journal(self.store, self.clock, settings.history.keep)
            record = Record(ledger, journal, self.clock)
            self._authorization = services.authorization(settings, vault)
            aircall = services.aircall_api(settings, self._authorization, http, self.clock.now, self.budget)
            self.phones = Phones(
                self.scheduler,
                roster=self.roster,
                calls=Calls(
                    self.clock,
                    aircall=aircall,
                    record=record,
                    roster=self.roster,
                    budget=self.budget,
                    metrics=self.metrics,
                    chance=self._chance,
                ),
                record=record,
                budget=self.budget,
                metrics=self.metrics,
                credible=self.clock.credible,
                chance=self._chance,
                presence=Presence(self.scheduler, aircall=aircall, budget=self.budget, chance=self._chance),
            )
            google = self._google = services.google_api(settings, http, self.clock, vault)
            public_url = settings.server.public_url
            hooked = public_url is not None and settings.aircall.webhooks
            self.webhooks = Webhooks(
                self.scheduler,
                aircall=aircall,
                phones=self.phones,
                address=f"{public_url}{AIRCALL_WEBHOOK}" if hooked else None,
                budget=self.budget,
                learned=logs.add_secret,
                chance=self._chance,
                removed=self._app_removed if settings.aircall.oauth is not None else None,
            )
            self.phones.listen(self.webhooks.untold, lambda: self.webhooks.alive, self.webhooks.retry)
            self.push = Push(
                self.scheduler,
                google=google,
                cache=self.store,
                address=f"{public_url}{GOOGLE_WEBHOOK}" if public_url is not None else None,
                key=key,
                chance=self._chance,
            )
            self.syncer = Syncer(
                self.scheduler,
                google=google,
                cache=self.store,
                push=self.push,
                metrics=self.metrics,
                told=self.phones.known,
                pace=limits.pace(settings),
                chance=self._chance,
                withdraw=self.phones.withdraw,
                zone=self.roster.zone,
                by_hand=self.roster.by_hand,
            )
            self.roster.moved = self.syncer.retell
            others = Others(self.scheduler, google, alike=settings.google.service_account is not None)
            self.following = Following(
                self.scheduler,
                settings,
                roster=self.roster,
                phones=self.phones,
                syncer=self.syncer,
                others=others,
                accounts=self._accounts if settings.google.oauth_client is not None else None,
                leaving=self._leaving,
                forget=self._forget_token,
                knows=google.knows,
                connected=lambda: self.connections.connected() if self.connections is not None else (),
            )
            self._take_grants(settings, http)
            self.syncer.storm.limits = limits.storm_limits(settings)
            self.outages = Outages(self.roster, is_read=self.syncer.is_read, touch=self.phones.touch)
            self.absence = Absence(self.clock, Alive(settings.state_dir), self.outages)
            self.scheduler.when_stepped(self.absence.stepped)
            self.alarms = self._watch()
            forgetting = Forgetting(
                self.clock,
                settings.state_dir,
                roster=self.roster,
                touch=self.phones.touch,
                ledger=ledger,
                cache=self.store,
                google=google,
                flush=journal.flush,
                quiet=self.alarms.forget,
                ungrant=self._ungrant,
                everybody=lambda: self.settings.everybody,
            )
            self.control = Control(
                self.clock,
                roster=self.roster,
                phones=self.phones,
                syncer=self.syncer,
                push=self.push,
                webhooks=self.webhooks,
                wishes=Wishes(self.clock, roster=self.roster, record=record, retell=self.syncer.retold),
                archive=self.store,
                past=journal,
                outages=self.outages,
                budget=self.budget,
                lateness=self.lateness,
                version=__version__,
                well=self.vitals.ill,
                alarms=self.alarms.alarms,
                origin=self._origin,
                horizon=settings.google.horizon,
                others=others,
                matching=self.following.matching,
                forgetting=forgetting,
            )
            self._tell_of_changes(journal)
            if self._dead_since is None:
                await self._take_up(ledger)
            else:
                await self._take_up_what_is_over(ledger)
            yield journal

    async def _take_up(self, ledger: Ledger) -> None:
        """Go on where the last process ended: with its debts, and with what it knew."""
        self._acts = _acts(ledger)
        self.roster.directory, self.roster.zones = await self.store.directory(), await self.store.zones()
        self.phones.keep_available(limits.floors(self.settings))
        self.phones.spend(limits.spending(self.settings))
        held = {one.user: one.email for one in ledger.entries.values() if isinstance(one.stance, Held)}
        self.following.recall(held, await self.store.calendars())
        self.following.follow(self.settings)
        self.roster.restore(
            ledger.entries.values(),
            ledger.pauses.values(),
            await self.store.observations(),
            ledger.said.values(),
        )
        self.roster.recall(await self.store.changes_before(None, math.inf))

    async def _take_up_what_is_over(self, ledger: Ledger) -> None:
        """Take up the debts of whose hold the end has come, by its time or by a pause, and know nobody else."""
        now = self.clock.now()
        pauses = {name: pause.until or 0.0 for name, pause in ledger.pauses.items()}
        over = [
            entry
            for entry in ledger.entries.values()
            if isinstance(entry.stance, Held) and (entry.stance.until <= now or pauses.get(entry.email, 0.0) > now)
        ]
        self.roster.restore(over, ledger.pauses.values(), await self.store.observations())
        for agent in self.roster.agents.values():
            # The settings are not asked who they are: whoever is held was an agent when the daemon died.
            agent.configured = True
        for email in self.roster.agents:
            self.phones.touch(email)

    def _tell_of_changes(self, journal: Journal) -> None:
        """Have those who watch told of what changes."""
        feed = self.feed = Feed(self.control, self.clock.now, __version__)

        def judged(emails: Collection[str], now: float) -> None:
            self.outages.judged(emails, now)
            feed.changed(emails)

        def read(email: str) -> None:
            self.outages.read(email)
            feed.changed((email,))

        self.phones.watch(judged)
        self.syncer.listen(read, feed.timeline_changed)
        journal.told = lambda row: feed.timeline_changed(row.agent)

    def _take_grants(self, settings: Settings, http: Http) -> None:
        """What agents and Aircall's admin are asked for in a browser, where the settings have them asked."""
        client, app, public_url = services.consent_client(settings), services.app(settings), settings.server.public_url
        if client is not None and self._vault is not None and public_url is not None:
            self.connections = Connections(
                self._vault,
                http,
                client,
                self.clock,
                Place(public_url, client.auth_uri),
                is_agent=self.following.is_agent,
                followed=self.following.connected,
                let_go=self.following.let_go,
                left=self.following.left,
            )
        if app is not None and self._vault is not None and isinstance(self._authorization, Installed):
            self.installer = AppInstaller(
                self.scheduler,
                http=http,
                app=app,
                authorization=self._authorization,
                boxes=self._vault,
                invited=lambda key: is_invitation(self._push_key, key, self.clock.now()),
                installed=self._aircall_regained,
                doubted=self.phones.doubt_credentials,
                learned=logs.add_secret,
                chance=self._chance,
            )

        if self._vault is not None:
            self.grants = Grants(
                self.clock,
                self._vault,
                connections=self.connections,
                installed=self._authorization if isinstance(self._authorization, Installed) else None,
                mended=self.following.connected,
                changed=self.following.regranted,
                regained=self._aircall_regained,
            )

    def unsent(self) -> int:
        """How many alarms wait to be sent."""
        return len(self._posted.waiting) + len(self._commanded.waiting)

    def _reach(self) -> Reach | None:
        """Who looks whether messages can arrive."""
        public_url = self.settings.server.public_url
        if public_url is None or is_for_tests(public_url):
            return None
        reach = Reach(
            self.scheduler,
            public_url=public_url,
            environ=self._environ,
            prove=self._prove,
            heard_at=lambda: self.push.heard_at,
            changed=self.syncer.hasten,
            measure=self.metrics.public_url_reachable,
            chance=self._chance,
        )
        self.push.unreachable = lambda: reach.fault() is not None
        return reach

    def _watch(self) -> Watch:
        """Who raises alarms."""
        looking = Looking(
            self.clock,
            roster=self.roster,
            syncer=self.syncer,
            push=self.push,
            webhooks=self.webhooks,
            facts=_Facts(self),
            granted=self.grants.wrong if self.grants is not None else lambda _: (),
        )
        dead_since = self._dead_since
        return Watch(
            self.clock,
            look=looking.look if dead_since is None else lambda: dead(dead_since),
            metrics=self.metrics,
            kept=Kept(self.settings.state_dir),
            outboxes=(self._posted, self._commanded),
            company=self.settings.server.public_url or platform.node(),
        )

    def _open_vault(self) -> Vault | None:
        settings = self.settings
        try:
            return services.open_vault(settings, self.clock.now)
        except UserError as error:
            # By an API key people are put back all the same: nobody stays unavailable for a key that is lost.
            if not self._only_releases or settings.aircall.oauth is not None:
                raise
            log.warning(str(error), action="vault_damaged")
            return Vault.shut(settings.credentials, settings.vault_key_file, self.clock.now)

    async def _open_store(self, stack: contextlib.AsyncExitStack) -> Store:
        """The database, or one in memory while its disk fails: whoever is held must not wait for a disk."""
        try:
            path = self.settings.state_dir / DATABASE
            return await stack.enter_async_context(Store.open(path, self._is_sound))
        except StoreUnavailableError as error:
            log.error(str(error), action="store_in_memory")  # noqa: TRY400 - it says what to do
            return await stack.enter_async_context(Store.in_memory())

    async def _forget_left_calendars(self) -> None:
        """Drop what is stored of calendars that nobody follows; with a full disk that waits for another start."""
        try:
            await self.store.forget_calendars(self.syncer.calendars)
        except ServiceError as error:
            # Nobody who is held must wait for it.
            log.warning("The database does not answer", action="store_failed", why=str(error))

    def _hide(self, secrets: Collection[str]) -> None:
        """Keep these out of the log."""
        for secret in secrets:
            logs.keep_secret(secret)

    async def run(self) -> None:
        """Serve until told to stop."""
        settings = self.settings
        self._signals()
        sockets = self._supervised.sockets()
        async with contextlib.AsyncExitStack() as stack:
            journal = await stack.enter_async_context(self.built())
            await self.keep_settings()
            listening = await stack.enter_async_context(contextlib.AsyncExitStack())
            public = public_app(
                notify=self.push.notify,
                told=self.webhooks.take,
                health=self.control.health,
                prove=self._prove,
                count=self.metrics.notification,
                installer=self.installer,
                ways=self.connections,
                trusted=settings.server.trusted_proxies,
            )
            admin = admin_app(
                operator=self.control,
                registry=self.metrics.registry,
                now=self.clock.now,
                feed=self.feed,
                gate=self.gate,
                version=__version__,
            )
            if self.gate.digest is None:
                check_private(sockets.get("admin") or ())
            await listening.enter_async_context(
                serve(
                    admin,
                    sockets.get("admin") or str(settings.server.admin_listen),
                    connections=_places(ADMIN_CONNECTIONS, 8),
                    life_seconds=600.0,
                    malformed=MALFORMED,
                )
            )
            self.following.serve()
            self.syncer.restore(await self.store.calendars(), await self.store.channels())
            await self._forget_left_calendars()
            # Whoever has waited for this process is heard, and not told to come again.
            self.push.accepting = True
            await listening.enter_async_context(
                serve(
                    public,
                    sockets.get("public") or str(settings.server.listen),
                    connections=_places(PUBLIC_CONNECTIONS, 4),
                )
            )
            self.reach = self._reach()
            if self.reach is not None:
                self.reach.keep()
            self.webhooks.keep()
            self.following.begin()
            if self.installer is not None:
                self.installer.keep()
            log.info(
                f"calsyncd {__version__} follows {len(self.following.who)} agents",
                action="started",
                agents=len(self.following.who),
                owed=len(self.phones.held()),
            )
            self.absence.look_back(self._acts)
            await self._serve(journal, listening.aclose if sockets else None)

    async def _serve(self, journal: Journal, leave: Callable[[], Awaitable[None]] | None) -> None:
        """Act until told to stop; `leave` hands the listeners back to the supervisor."""
        self._supervised.ready()
        work = [
            asyncio.create_task(self.scheduler.run(), name="loop"),
            asyncio.create_task(journal.run(), name="journal"),
            asyncio.create_task(self._reloads(), name="reloads"),
            asyncio.create_task(self.vitals.ask_database(), name="database"),
            asyncio.create_task(self._tidy(journal), name="tidy"),
            asyncio.create_task(self._pulse(), name="pulse"),
            asyncio.create_task(self._keep_ledger(), name="ledger's files"),
            asyncio.create_task(self.alarms.run(), name="alarms"),
            asyncio.create_task(self.absence.live(), name="alive"),
            asyncio.create_task(self.vitals.watch_lag(), name="lag"),
        ]
        if self.connections is not None:
            work.append(asyncio.create_task(self.connections.keep(), name="connections"))
        if self.grants is not None:
            work.append(asyncio.create_task(self.grants.keep(), name="grants"))
        if self._alone:
            work.append(asyncio.create_task(Garbage(self.clock).keep(), name="garbage"))
        if self._supervised.watched is not None:
            work.append(asyncio.create_task(self._supervised.feed(self._supervised.watched), name="watchdog"))
        if self._supervised.is_told:
            work.append(asyncio.create_task(self._supervised.tell(), name="status"))
        stop = asyncio.create_task(self._stop.wait(), name="stop")
        damaged = asyncio.create_task(self.store.damaged.wait(), name="damage")
        try:
            done, _ = await asyncio.wait([*work, stop, damaged], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            damaged.cancel()
            for task in work:
                task.cancel()
            results = await asyncio.gather(*work, return_exceptions=True)
        ended = asyncio.create_task(self.absence.end(), name="last mark")
        self._supervised.stopping()
        log.info("Stopping: what is in flight may end", action="stopping")
        self.feed.end()
        self.phones.stop()
        if self.reach is not None:
            self.reach.end()
        # Whoever asks from now on is answered by the next start, where the supervisor keeps the sockets. Until then
        # notifications are taken, for that start reads every calendar.
        await asyncio.gather(*([leave()] if leave is not None else []), self.scheduler.finish(STOP_SECONDS))
        self.push.accepting = False
        with contextlib.suppress(ServiceError):
            await journal.flush()
        await ended
        died = [result for result in results if isinstance(result, Exception)]
        if died:
            raise died[0]
        if damaged in done:
            what = f"{self._begun_with.state_dir / DATABASE}: the database is damaged: the next start makes it anew"
            log.error(what, action="database_damaged")
            raise UserError(what, exit_code=1)
        if stop not in done:
            raise RuntimeError("a part of the daemon ended by itself")
        log.info(
            "Stopped; whoever is held stays written down for the next start",
            action="stopped",
            owed=len(self.phones.held()),
        )

    def _signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload)

    def _prove(self, nonce: str) -> str:
        return nonce_proof(self._push_key, nonce)

    # -- beside the loop -------------------------------------------------------------------------------------------

    async def _keep_ledger(self) -> None:
        """Have the ledger where it belongs, whoever deletes, replaces or cuts it meanwhile."""
        while True:
            with contextlib.suppress(OSError):
                # What cannot be written is said where somebody is owed it.
                if await self.ledger.keep():
                    log.warning(
                        "The ledger was deleted, replaced or cut while it was in use: it is written anew from memory",
                        action="ledger_mended",
                        lines=0,
                    )
            await self.clock.sleep(PULSE_SECONDS)

    async def _pulse(self) -> None:
        """Bring the gauges up to date, scraped or not."""
        while True:
            self._measure()
            await self.clock.sleep(PULSE_SECONDS)

    def _measure(self) -> None:
        self.syncer.measure(self.clock.now())
        self.phones.measure()
        self.metrics.database_log(self.store.log_bytes)
        self.metrics.healthy(ok=not self.vitals.ill())

    async def _tidy(self, journal: Journal) -> None:
        """Let go of what `history.keep` no longer keeps, also where nothing new is written."""
        while True:
            try:
                # By a clock that is years ahead all would be old.
                if self.clock.credible():
                    await journal.tidy()
                    await self.ledger.compact(self.clock.now() - self.settings.history.keep)
            except ServiceError as error:
                log.warning("The database does not answer", action="store_failed", why=str(error))
            except OSError as error:
                log.warning("The ledger cannot be written", action="ledger_failed", why=error.strerror)
            await self.clock.sleep(TIDY_SECONDS)

    def _origin(self, email: str, key: str) -> str:
        """Where the rule of this key stands that holds for an agent."""
        agent = next((one for one in self.following.who if one.email == email), None)
        return self.settings.origin(agent, key) if agent is not None else "default"

    # -- what was granted --------------------------------------------------------------------------------------------

    def _accounts(self, addresses: Collection[str]) -> list[str]:
        return self.connections.accounts(addresses) if self.connections is not None else []

    def _leaving(self) -> list[str]:
        return self.connections.leaving() if self.connections is not None else []

    def _forget_token(self, email: str) -> None:
        if isinstance(self._google.tokens, ConsentTokens):
            self._google.tokens.forget(email)

    async def _ungrant(self, email: str) -> int:
        """End what this account has granted, at Google too where we can; how many grants that were."""
        known = {*self.connections.connected(), *self.connections.leaving()} if self.connections is not None else set()
        if self._vault is not None and file_of(email) in self._vault.faults():
            known.clear()
        if self.connections is not None and email in known:
            if not await self.connections.disconnect(email):
                raise Unavailable(
                    "Google could not be told that the grant is over", service="google", code="revoke", landed=False
                )
            return 1
        # Of another way in, or unreadable: here it ends with its file.
        return forget_grant(self._vault, email) if self._vault is not None else 0

    def _app_removed(self) -> None:
        if self.installer is not None:
            self.installer.removed()

    async def _aircall_regained(self) -> None:
        """Aircall knows us by other credentials: they are tried at once, and the webhook is seen to with them."""
        self.phones.credentials_replaced()
        await self.webhooks.renew()

    def _status_line(self) -> str:
        now = self.clock.now()
        agents = [agent for agent in self.roster.agents.values() if agent.configured]
        changes = (one.timeline.next_change(now) for one in agents if one.timeline is not None)
        return status_line(
            self.control.states(),
            sum(agent.owed for agent in self.roster.agents.values()),
            min((at for at in changes if at is not None), default=None),
            (one["code"] for one in self.alarms.alarms()),
            now,
        )

    def reload(self) -> None:
        """Have the settings read again; a faulty file changes nothing."""
        self._reload_asked.set()

    async def _reloads(self) -> None:
        """Read the settings again whenever that is asked for: by a thread, for a large company's take half a second."""
        while True:
            await self._reload_asked.wait()
            self._reload_asked.clear()
            self._supervised.reloading()
            try:
                fresh = await asyncio.to_thread(config.load, self._path, self._environ)
            except ConfigError as error:
                for line in str(error).splitlines():
                    log.error(line, action="reload_refused")  # noqa: TRY400 - the user's fault needs no traceback
            except UserError as error:
                log.error(str(error), action="reload_refused")  # noqa: TRY400 - the user's fault needs no traceback
            else:
                self._follow(fresh)
                self.scheduler.start(self.keep_settings(), "copy of the settings")
            self._supervised.ready()

    async def keep_settings(self) -> None:
        """Leave a copy of the settings, for a release while the daemon is dead of faulty ones."""
        copy = self._begun_with.state_dir / config.KEPT
        async with self._keeping:
            try:
                await asyncio.to_thread(replace_file, copy, self.settings.text)
            except OSError as error:
                log.warning("No copy of the settings can be kept", action="settings_not_kept", why=error.strerror)

    def _send_alarms(self, settings: Settings) -> None:
        """Send alarms where these settings say."""
        url, command = settings.alerts.url, settings.alerts.command
        if url is not None:
            logs.add_secret(url.reveal())
        self._posted.send_by(Post(self._http, url.reveal()) if url is not None else None)
        self._commanded.send_by(Command(command, self._environ) if command else None)

    def _follow(self, fresh: Settings) -> None:
        self._send_alarms(fresh)
        fixed = config.restart_needed(self._begun_with, fresh)
        logs.set_level(fresh.log.level)
        renewed = self._take_credentials(fresh)
        self.settings = fresh
        self.phones.keep_available(limits.floors(fresh))
        self.phones.spend(limits.spending(fresh))
        self.syncer.storm.limits = limits.storm_limits(fresh)
        self.following.follow(fresh)
        # Somebody has seen to something: whatever is lost is asked about now, with the new credentials or the old.
        self.syncer.losses.probe()
        self.phones.probe()
        if self.grants is not None:
            self.grants.look_soon()
        if self.reach is not None:
            self.reach.keep()
        log.info(
            f"The settings are in force: {len(self.following.who)} agents",
            action="reloaded",
            agents=len(self.following.who),
            **({"needs_restart": ", ".join(fixed)} if fixed else {}),
            **({"credentials": ", ".join(renewed)} if renewed else {}),
        )

    def _take_credentials(self, fresh: Settings) -> list[str]:
        """Use what the credentials' files hold now; which of them are others than before."""
        before, renewed = self.settings, []
        self._hide([secret.reveal() for secret in fresh.secrets])
        account, consent = fresh.google.service_account, fresh.google.oauth_client
        # Of the kind that was chosen at the start: another one needs what is built there.
        same_kind = (account is None) == (self._begun_with.google.service_account is None)
        if same_kind and (account, consent) != (before.google.service_account, before.google.oauth_client):
            self._google.use(*services.google_tokens(fresh, self._http, self.clock, self._vault))
            client = services.consent_client(fresh)
            if self.connections is not None and client is not None:
                self.connections.use(client)
            renewed.append("google")
        if fresh.server.admin_token is not None and before.server.admin_token is not None:
            self.gate.use(fresh.server.admin_token.reveal())
            if fresh.server.admin_token != before.server.admin_token:
                renewed.append("admin")
        api_id, token, app = fresh.aircall.api_id, fresh.aircall.api_token, services.app(fresh)
        if isinstance(self._authorization, ApiKey) and api_id is not None and token is not None:
            if self._authorization.replace(api_id, token.reveal()):
                self.scheduler.start(self._aircall_regained(), "credentials")
                renewed.append("aircall")
        elif self.installer is not None and app is not None and app != self.installer.app:
            self.installer.app = app
            renewed.append("aircall")
        return renewed


class _Facts:
    """What the process knows of itself, as alarms ask for it."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def ledger_writable(self) -> bool | None:
        return self._daemon.ledger.writable

    def database_lasts(self) -> bool:
        return self._daemon.store.lasts

    def database_answers(self) -> bool:
        return self._daemon.vitals.database_answers() and not self._daemon.syncer.unwritten

    def database_log_grows(self) -> bool:
        return self._daemon.store.log_bytes > LONG_LOG_BYTES

    def clock_skew(self) -> float | None:
        skew = self._daemon.clock.skew
        return skew.correction if skew.judged else None

    def clock_credible(self) -> bool:
        return self._daemon.clock.credible()

    def loop_lags(self) -> bool:
        return self._daemon.vitals.loop_lags()

    def public_url(self) -> tuple[str, str] | None:
        reach = self._daemon.reach
        if reach is not None and not reach.tried:
            return None
        fault = reach.fault() if reach is not None else None
        return (f"{self._daemon.settings.server.public_url} {fault.what}", fault.do) if fault is not None else ("", "")


async def run(
    settings: Settings, path: Path, environ: Mapping[str, str], is_sound: Callable[[], bool] = lambda: False
) -> None:
    """Run the daemon, alone in its process, until SIGTERM or SIGINT; UserError for what the user can mend.

    `is_sound` tells whether the whole database was just found sound.
    """
    await Daemon(settings, path, environ, is_sound=is_sound, alone=True).run()


def _places(most: int, share: int) -> int:
    """How many connections a listener takes: `most`, or one in `share` of the files that the process may have."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if files == resource.RLIM_INFINITY else min(most, files // share)


def _admin_token(settings: Settings) -> str | None:
    token = settings.server.admin_token
    return token.reveal() if token is not None else None


def _open_ledger(path: Path) -> Ledger:
    ledger = Ledger(path)
    try:
        ledger.load()
    except OSError as error:
        raise UserError(
            f"{path}: the ledger cannot be used ({error.strerror}): check the state directory's owner and its space",
            exit_code=exit_code_of(error),
        ) from error
    if ledger.newer:
        log.error(
            "The ledger has lines of a newer calsyncd, which do not count here; a copy is kept beside it. Compare it"
            " with Aircall's dashboard, or run the newer calsyncd",
            action="ledger_newer",
            lines=ledger.newer,
        )
    if ledger.mended:
        log.warning(
            "The ledger was lost, cut or damaged: its twin had what it lacked, and it is whole again",
            action="ledger_mended",
            lines=ledger.damaged - ledger.newer,
        )
    elif ledger.damaged > ledger.newer:
        log.error(
            "The ledger had damaged lines; a copy is kept beside it. Compare it with Aircall's dashboard",
            action="ledger_damaged",
            lines=ledger.damaged - ledger.newer,
        )
    owed = sum(isinstance(entry.stance, Held) for entry in ledger.entries.values())
    log.info("The ledger was read", action="ledger_read", owed=owed)
    return ledger


def _acts(ledger: Ledger) -> list[float]:
    """When the ledger was written to, but for lines that were to be followed by another."""
    entries = ledger.entries.values()
    settled = [entry.at for entry in entries if not (isinstance(entry.stance, Held) and entry.stance.lost_at)]
    return [*settled, *(pause.at for pause in ledger.pauses.values()), *(said.at for said in ledger.said.values())]
