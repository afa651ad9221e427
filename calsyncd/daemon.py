"""The composition root: every room is built here, started in order, and stopped in order.

Order: lock, ledger, store, outward requests, listeners, then the loop; each calendar is read, and each agent is
judged once theirs have been. Stopping takes no more work, lets what is in flight end, and keeps every stance.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import platform
import random
import signal
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from calsyncd import __version__, config, logs, services, systemd
from calsyncd.absence import Absence
from calsyncd.aircall.authorization import ApiKey, Installed
from calsyncd.alarms import Command, Kept, Lag, Looking, Outbox, Post, Watch
from calsyncd.calendars import Others, Pace, Push, Syncer
from calsyncd.clock import SystemClock
from calsyncd.config import ConfigError, Settings
from calsyncd.connections import Connections
from calsyncd.control import Control
from calsyncd.core.budget import Budget
from calsyncd.core.guard import Floor, StormLimits
from calsyncd.core.lateness import Latenesses
from calsyncd.core.plan import Held
from calsyncd.core.prices import Weights
from calsyncd.errors import ServiceError, UserError, exit_code_of
from calsyncd.following import Following
from calsyncd.google.calendar import CalendarApi
from calsyncd.google.granted import ConsentTokens
from calsyncd.http import Http
from calsyncd.installation import AppInstaller
from calsyncd.journal import Journal
from calsyncd.ledger import Ledger
from calsyncd.metrics import Metrics
from calsyncd.phones import Calls, Outages, Phones, Presence, Record, Roster, Spending, Webhooks, Wishes
from calsyncd.scheduler import Scheduler
from calsyncd.state import Alive, give_to_owner, locked, nonce_proof, push_key
from calsyncd.store import Store, StoreUnavailableError
from calsyncd.vault import Vault
from calsyncd.web.admin import MALFORMED, admin_app
from calsyncd.web.connect import Place
from calsyncd.web.gate import Gate, check_private
from calsyncd.web.public import public_app
from calsyncd.web.server import serve
from calsyncd.web.stream import Feed

WEBHOOK_PATH = "/webhooks/google/notifications"
AIRCALL_WEBHOOK_PATH = "/webhooks/aircall"
STOP_SECONDS = 4.0
PULSE_SECONDS = 5.0
LOOP_STALL_SECONDS = 45.0
DATABASE_STALL_SECONDS = 30.0

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
        correction = self._clock.skew.correction
        self._metrics.clock_skew(correction)
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
    """One company's calsyncd; it lives by `clock`, the machine's unless another is given."""

    def __init__(
        self, settings: Settings, path: Path, environ: Mapping[str, str], clock: SystemClock | None = None
    ) -> None:
        self.settings = settings
        self._begun_with = settings
        self._path = path
        self._environ = environ
        self.clock = clock or SystemClock()
        self.metrics = Metrics(__version__)
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
        self._lag = Lag()
        self._posted = Outbox("alerts.url_file", self.clock, random.random)
        self._commanded = Outbox("alerts.command", self.clock, random.random)
        self._http: Http
        self._google: CalendarApi
        self._authorization: ApiKey | Installed
        self._vault: Vault | None = None
        self.connections: Connections | None = None
        self.installer: AppInstaller | None = None
        self.following: Following
        self._stop = asyncio.Event()
        self._database_at = self.clock.monotonic()

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
            vault = self._vault = services.open_vault(settings, self.clock.now)
            self.store = await self._open_store(stack)
            if self.store.moved_aside is not None:
                log.error(
                    "The database was damaged and is made anew; the old one is kept beside it",
                    action="database_moved_aside",
                    file=self.store.moved_aside.name,
                )
            http = await stack.enter_async_context(
                Http(Observer(self.metrics, self.clock, self.budget, self.scheduler.touch), self._environ)
            )
            self._http = http
            self._send_alarms(settings)
            journal = Journal(self.store, self.clock, settings.history.keep)
            record = Record(ledger, journal, self.clock)
            self._authorization = services.authorization(settings, vault)
            aircall = services.aircall_api(settings, self._authorization, http, self.clock, self.budget)
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
                    chance=random.random,
                ),
                record=record,
                budget=self.budget,
                metrics=self.metrics,
                credible=self.clock.credible,
                chance=random.random,
                presence=Presence(self.scheduler, aircall=aircall, budget=self.budget, chance=random.random),
            )
            google = self._google = services.google_api(settings, http, self.clock, vault)
            public_url = settings.server.public_url
            hooked = public_url is not None and settings.aircall.webhooks
            self.webhooks = Webhooks(
                self.scheduler,
                aircall=aircall,
                phones=self.phones,
                address=f"{public_url}{AIRCALL_WEBHOOK_PATH}" if hooked else None,
                budget=self.budget,
                learned=logs.add_secret,
                chance=random.random,
                removed=self._app_removed if settings.aircall.oauth is not None else None,
            )
            self.phones.listen(self.webhooks.untold, lambda: self.webhooks.alive, self.webhooks.retry)
            self.push = Push(
                self.scheduler,
                google=google,
                cache=self.store,
                address=f"{public_url}{WEBHOOK_PATH}" if public_url is not None else None,
                key=key,
                chance=random.random,
            )
            self.syncer = Syncer(
                self.scheduler,
                google=google,
                cache=self.store,
                push=self.push,
                metrics=self.metrics,
                told=self.phones.known,
                pace=_pace(settings),
                chance=random.random,
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
            )
            self._take_grants(settings, http)
            self.syncer.storm.limits = _storm_limits(settings)
            self.outages = Outages(self.roster, is_read=self.syncer.is_read, touch=self.phones.touch)
            self.absence = Absence(self.clock, Alive(settings.state_dir), self.outages)
            self.scheduler.when_stepped(self.absence.stepped)
            self.alarms = self._watch()
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
                well=self._ill,
                alarms=self.alarms.alarms,
                origin=self._origin,
                horizon=settings.google.horizon,
                others=others,
                matching=self.following.matching,
            )
            self._tell_of_changes(journal)
            self._acts = _acts(ledger)
            self.roster.directory, self.roster.zones = await self.store.directory(), await self.store.zones()
            self.phones.keep_available(_floors(settings))
            self.phones.spend(_spending(settings))
            held = {one.user: one.email for one in ledger.entries.values() if isinstance(one.stance, Held)}
            self.following.recall(held, await self.store.calendars())
            self.following.follow(settings)
            self.roster.restore(
                ledger.entries.values(),
                ledger.pauses.values(),
                await self.store.observations(),
                ledger.said.values(),
            )
            self.roster.recall(await self.store.changes_before(None, math.inf))
            yield journal

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
                installed=self._aircall_regained,
                doubted=self.phones.doubt_credentials,
                learned=logs.add_secret,
                chance=random.random,
            )

    def _watch(self) -> Watch:
        """Who raises alarms."""
        looking = Looking(
            self.clock,
            roster=self.roster,
            syncer=self.syncer,
            push=self.push,
            webhooks=self.webhooks,
            facts=_Facts(self),
        )
        return Watch(
            self.clock,
            look=looking.look,
            metrics=self.metrics,
            kept=Kept(self.settings.state_dir),
            outboxes=(self._posted, self._commanded),
            company=self.settings.server.public_url or platform.node(),
        )

    async def _open_store(self, stack: contextlib.AsyncExitStack) -> Store:
        """The database, or one in memory while its disk fails: whoever is held must not wait for a disk."""
        try:
            return await stack.enter_async_context(Store.open(self.settings.state_dir / "calsyncd.db"))
        except StoreUnavailableError as error:
            log.error(str(error), action="store_in_memory")  # noqa: TRY400 - it says what to do
            return await stack.enter_async_context(Store.in_memory())

    async def run(self) -> None:
        """Serve until told to stop."""
        settings = self.settings
        self._signals()
        async with contextlib.AsyncExitStack() as stack:
            journal = await stack.enter_async_context(self.built())
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.reload)
            sockets = systemd.listen_fds(self._environ, os.getpid())
            public = public_app(
                notify=self.push.notify,
                told=self.webhooks.take,
                health=self.control.health,
                prove=self._prove,
                count=self.metrics.notification,
                installer=self.installer,
                ways=self.connections,
            )
            await stack.enter_async_context(serve(public, sockets.get("public") or str(settings.server.listen)))
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
            await stack.enter_async_context(
                serve(
                    admin,
                    sockets.get("admin") or str(settings.server.admin_listen),
                    connections=100,
                    life_seconds=600.0,
                    malformed=MALFORMED,
                )
            )
            self.following.serve()
            self.syncer.restore(await self.store.calendars(), await self.store.channels())
            await self.store.forget_calendars(self.syncer.calendars)
            self.push.accepting = True
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
            await self._serve(journal)

    async def _serve(self, journal: Journal) -> None:
        systemd.notify(self._environ, READY="1", STATUS=self._status_line())
        work = [
            asyncio.create_task(self.scheduler.run(), name="loop"),
            asyncio.create_task(journal.run(), name="journal"),
            asyncio.create_task(self._pulse(), name="pulse"),
            asyncio.create_task(self.alarms.run(), name="alarms"),
            asyncio.create_task(self.absence.live(), name="alive"),
            asyncio.create_task(self._watch_lag(), name="lag"),
        ]
        if self.connections is not None:
            work.append(asyncio.create_task(self.connections.keep(), name="connections"))
        watchdog = systemd.watchdog_interval(self._environ, os.getpid())
        if watchdog is not None:
            work.append(asyncio.create_task(self._feed(watchdog), name="watchdog"))
        stop = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            done, _ = await asyncio.wait([*work, stop], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.push.accepting = False
            stop.cancel()
            for task in work:
                task.cancel()
            results = await asyncio.gather(*work, return_exceptions=True)
        ended = asyncio.create_task(self.absence.end(), name="last mark")
        systemd.notify(self._environ, STOPPING="1", STATUS="stopping")
        log.info("Stopping: what is in flight may end", action="stopping")
        self.feed.end()
        self.phones.stop()
        await self.scheduler.finish(STOP_SECONDS)
        with contextlib.suppress(ServiceError):
            await journal.flush()
        await ended
        died = [result for result in results if isinstance(result, Exception)]
        if died:
            raise died[0]
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
        # Until the settings can be followed, a reload has nothing to do: they have only just been read.
        loop.add_signal_handler(signal.SIGHUP, lambda: None)

    def _prove(self, nonce: str) -> str:
        return nonce_proof(self._push_key, nonce)

    # -- beside the loop -------------------------------------------------------------------------------------------

    async def _pulse(self) -> None:
        """Ask the database whether it lives, and bring the gauges up to date."""
        while True:
            try:
                async with asyncio.timeout(PULSE_SECONDS):
                    await self.store.ping()
                self._database_at = self.clock.monotonic()
            except (ServiceError, TimeoutError) as error:
                log.warning("The database does not answer", action="store_failed", why=str(error))
            now = self.clock.now()
            self.syncer.measure(now)
            self.phones.measure()
            systemd.notify(self._environ, STATUS=self._status_line())
            await self.clock.sleep(PULSE_SECONDS)

    async def _watch_lag(self) -> None:
        while True:
            began = self.clock.monotonic()
            await self.clock.sleep(1.0)
            lag = max(0.0, self.clock.monotonic() - began - 1.0)
            self.metrics.loop_lag(lag)
            self._lag.late(self.clock.monotonic(), lag)
            if lag > 1.0:
                log.warning("The event loop was blocked", action="loop_lagged", seconds=round(lag, 2))

    async def _feed(self, interval: float) -> None:
        """Tell systemd's watchdog that the loop turns: only a real turn counts."""
        while True:
            if self.clock.monotonic() - self.scheduler.turned_at < LOOP_STALL_SECONDS:
                systemd.notify(self._environ, WATCHDOG="1")
            self.scheduler.touch()
            await self.clock.sleep(interval)

    def database_answers(self) -> bool:
        """Whether the database has answered lately."""
        return self.clock.monotonic() - self._database_at <= DATABASE_STALL_SECONDS

    def loop_lags(self) -> bool:
        """Whether the loop is blocked again and again."""
        return self._lag.lasts()

    def _ill(self) -> str:
        """What is wrong with the loop or the database; nothing if both are well."""
        now = self.clock.monotonic()
        if now - self.scheduler.turned_at > LOOP_STALL_SECONDS:
            return "the loop does not turn"
        if not self.database_answers():
            return "the database does not answer"
        return ""

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

    def _app_removed(self) -> None:
        if self.installer is not None:
            self.installer.removed()

    async def _aircall_regained(self) -> None:
        """Aircall knows us by other credentials: they are tried at once, and the webhook is seen to with them."""
        self.phones.credentials_replaced()
        await self.webhooks.renew()

    def _status_line(self) -> str:
        held = len(self.phones.held())
        return f"{len(self.following.who)} agents, {held} in a meeting"

    def reload(self) -> None:
        """Read the settings again; a faulty file changes nothing."""
        systemd.reloading(self._environ, int(self.clock.monotonic() * 1e6))
        try:
            fresh = config.load(self._path, self._environ)
        except ConfigError as error:
            for line in str(error).splitlines():
                log.error(line, action="reload_refused")  # noqa: TRY400 - the user's fault needs no traceback
        except UserError as error:
            log.error(str(error), action="reload_refused")  # noqa: TRY400 - the user's fault needs no traceback
        else:
            self._follow(fresh)
        systemd.notify(self._environ, READY="1", STATUS=self._status_line())

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
        self.phones.keep_available(_floors(fresh))
        self.phones.spend(_spending(fresh))
        self.syncer.storm.limits = _storm_limits(fresh)
        self.following.follow(fresh)
        # Somebody has seen to something: whatever is lost is asked about now, with the new credentials or the old.
        self.syncer.losses.probe()
        self.phones.probe()
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
        for secret in fresh.secrets:
            logs.keep_secret(secret.reveal())
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
        return self._daemon.database_answers()

    def clock_skew(self) -> float | None:
        skew = self._daemon.clock.skew
        return skew.correction if skew.judged else None

    def clock_credible(self) -> bool:
        return self._daemon.clock.credible()

    def loop_lags(self) -> bool:
        return self._daemon.loop_lags()


async def run(settings: Settings, path: Path, environ: Mapping[str, str]) -> None:
    """Run the daemon until SIGTERM or SIGINT; UserError for what the user can mend."""
    await Daemon(settings, path, environ).run()


async def release_without_daemon(
    settings: Settings, path: Path, environ: Mapping[str, str], actor: str = "command line"
) -> dict[str, Any]:
    """Put everybody back who is held and leave all paused, in this process.

    UserError 75 if a daemon runs, 78 where no daemon ever ran: then the debts are in another state directory.
    """
    if not (settings.state_dir / "ledger").exists():
        raise UserError(
            f"{settings.state_dir}: no calsyncd ever ran with this state directory: nobody can be put back from here;"
            " if the service has another one, name it as state_dir in the settings, or in $STATE_DIRECTORY"
        )
    daemon = Daemon(settings, path, environ)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(give_to_owner, settings.state_dir)
        journal = await stack.enter_async_context(daemon.built())
        for agent in daemon.roster.agents.values():
            agent.ready = True
        loop = asyncio.create_task(daemon.scheduler.run(), name="loop")
        try:
            await daemon.clock.sleep(0)
            outcome = await daemon.control.release_all(actor)
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)
            daemon.phones.stop()
            await daemon.scheduler.finish(STOP_SECONDS)
            with contextlib.suppress(ServiceError):
                await journal.flush()
    return outcome


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
    if ledger.damaged:
        log.error(
            "The ledger had damaged lines; a copy is kept beside it. Compare it with Aircall's dashboard",
            action="ledger_damaged",
            lines=ledger.damaged,
        )
    owed = sum(isinstance(entry.stance, Held) for entry in ledger.entries.values())
    log.info("The ledger was read", action="ledger_read", owed=owed)
    return ledger


def _acts(ledger: Ledger) -> list[float]:
    """When the ledger was written to, but for lines that were to be followed by another."""
    entries = ledger.entries.values()
    settled = [entry.at for entry in entries if not (isinstance(entry.stance, Held) and entry.stance.lost_at)]
    return [*settled, *(pause.at for pause in ledger.pauses.values()), *(said.at for said in ledger.said.values())]


def _pace(settings: Settings) -> Pace:
    interval = settings.google.poll_interval
    return Pace(
        horizon=settings.google.horizon,
        with_push=None if interval == "auto" else interval,
        without_push=settings.google.poll_interval_without_push,
        requests_per_day=settings.google.requests_per_day,
    )


def _floors(settings: Settings) -> list[Floor]:
    return [
        Floor(name, least, frozenset(settings.teams[name].agents) if name in settings.teams else None)
        for name, least in settings.dispatch.keep_available.items()
    ]


def _spending(settings: Settings) -> Spending:
    crowd = settings.dispatch
    return Spending(crowd.early, Weights(crowd.cost_ringing, crowd.cost_unreachable))


def _storm_limits(settings: Settings) -> StormLimits:
    limits = settings.dispatch.storm_guard
    return StormLimits(limits.share, limits.at_least)
