"""A calendar at a time: fetch when it is dirty or its poll is due, apply, and tell whose timeline changed.

A notification only sets a flag. The first fetch goes at once, the next at least two seconds after it began, and
what arrives during a fetch leads to another. Push never counts as truth: its health only sets the pace of the
poll behind it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Literal, Protocol

from calsyncd.core import channels as push
from calsyncd.core.channels import Channel, Opened
from calsyncd.core.model import Event, Trouble
from calsyncd.core.retry import backoff, spread
from calsyncd.core.rules import Rules
from calsyncd.core.sync import (
    BaselineNeededError,
    Bookmark,
    Changes,
    Fetch,
    MalformedAnswerError,
    fingerprint,
    next_baseline,
)
from calsyncd.core.timeline import build
from calsyncd.core.troubles import needs_human, trouble
from calsyncd.errors import (
    BAD_REQUEST,
    CHANNEL_ID_TAKEN,
    PUSH_NOT_SUPPORTED,
    SYNC_TOKEN_GONE,
    Refused,
    ServiceError,
    Unavailable,
)
from calsyncd.logs import get_logger
from calsyncd.metrics import Metrics
from calsyncd.scheduler import Scheduler
from calsyncd.store import CalendarRow
from calsyncd.web.public import Notification, Verdict

AT_ONCE = 8
DEBOUNCE_SECONDS = 2.0
GRACE_SECONDS = 5.0
STALE_SECONDS = 24 * 3600.0
PLAN_BEFORE_SECONDS = 86400.0
PLAN_AHEAD_SECONDS = 3 * 86400.0
RELOAD_SECONDS = 6 * 3600.0
CONFIRM_EMPTY_SECONDS = 60.0
REFUSED_CAP_SECONDS = 15 * 60.0
PUSH_RETRY_SECONDS = 60 * 60.0
ORPHAN_SECONDS = 60.0
ORPHANS_KEPT = 1000
SUSPEND_AFTER_FAILURES = 3

log = get_logger(__name__)

Cause = Literal["start", "push", "poll", "hand"]


class Calendars(Protocol):
    """What is asked of Google."""

    async def list_events(self, subject: str, calendar: str, query: Mapping[str, str]) -> Any:
        """One page of events."""
        ...

    async def watch(self, subject: str, calendar: str, *, channel: str, token: str, address: str) -> Opened:
        """Open a channel."""
        ...

    async def stop(self, subject: str, *, channel: str, resource: str) -> None:
        """Close a channel."""
        ...


class Cache(Protocol):
    """What is kept of calendars."""

    async def apply(self, key: str, agent: str, changes: Changes, now: float) -> None:
        """Put a finished fetch in force."""
        ...

    async def touch_calendar(self, key: str, bookmark: Bookmark, now: float) -> None:
        """Nothing changed."""
        ...

    async def events(self, agent: str, calendars: Iterable[str], after: float, before: float) -> list[Event]:
        """The agent's events of these calendars."""
        ...

    async def count_events(self, key: str, after: float) -> int:
        """How many events are known."""
        ...

    async def save_channel(self, channel: Channel) -> None:
        """Keep a channel."""
        ...

    async def forget_channel(self, channel_id: str) -> None:
        """Forget a channel."""
        ...


class Told(Protocol):
    """Who is told what an agent's calendars say."""

    def __call__(self, email: str, timeline: Any, now: float, *, complete: bool) -> None:
        """The agent's timeline is this now."""
        ...


@dataclass(slots=True)
class Calendar:
    """One calendar of one agent as this process knows it."""

    key: str
    agent: str
    id: str
    bookmark: Bookmark | None = None
    synced_at: float | None = None
    fresh: bool = False
    tried: bool = False
    dirty: bool = True
    running: bool = False
    cause: Cause = "start"
    began_at: float = 0.0
    failures: int = 0
    failing_since: float | None = None
    empty_at: float | None = None
    trouble: Trouble | None = None
    channels: dict[str, Channel] = field(default_factory=dict)
    keeping: bool = False
    push_refused: bool = False
    push_trouble: Trouble | None = None
    push_failures: int = 0
    heard_at: float = 0.0
    missed_at: float | None = None
    removed: bool = False
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def suspended(self) -> bool:
        """Whether only a human can bring it back."""
        return self.trouble is not None and needs_human(self.trouble.code) and self.failures >= SUSPEND_AFTER_FAILURES


@dataclass(frozen=True, slots=True)
class Pace:
    """How often Google is asked, and how far ahead; seconds."""

    horizon: float
    with_push: float | None
    without_push: float
    requests_per_day: int


class Syncer:
    """All calendars. `address` is where Google's messages are to go, None for no push."""

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        google: Calendars,
        cache: Cache,
        metrics: Metrics,
        told: Told,
        pace: Pace,
        address: str | None,
        push_key: bytes,
        chance: Callable[[], float],
    ) -> None:
        self.calendars: dict[str, Calendar] = {}
        self.accepting = False
        self.pace = pace
        self._scheduler = scheduler
        self._clock = scheduler.clock
        self._google = google
        self._cache = cache
        self._metrics = metrics
        self._told = told
        self._address = address
        self._push_key = push_key
        self._chance = chance
        self._rules: dict[str, Rules] = {}
        self._of_agent: dict[str, list[Calendar]] = {}
        self._by_channel: dict[str, Calendar] = {}
        self._orphans: dict[str, float] = {}
        self._loaded_at: dict[str, float] = {}
        self._started_at = 0.0
        self._gate = asyncio.Semaphore(AT_ONCE)
        scheduler.handle("sync", self._due)
        scheduler.handle("push", self._push_due)
        scheduler.handle("grace", self._grace_over)

    # -- who is followed -------------------------------------------------------------------------------------------

    def configure(
        self,
        agents: Mapping[str, tuple[tuple[str, ...], Rules]],
        rows: Mapping[str, CalendarRow],
        channels: Iterable[Channel],
    ) -> None:
        """Follow exactly these agents' calendars; `rows` and `channels` are what is stored of them."""
        now = self._clock.now()
        if not self._started_at:
            self._started_at = now
            self._scheduler.at("grace", "", now + GRACE_SECONDS)
        wanted = {key_of(email, name): (email, name) for email, (names, _) in agents.items() for name in names}
        for key in [key for key in self.calendars if key not in wanted]:
            self._drop(self.calendars.pop(key))
        changed = {email for email, (_, rules) in agents.items() if self._rules.get(email) != rules}
        self._rules = {email: rules for email, (_, rules) in agents.items()}
        for key, (email, name) in wanted.items():
            if key not in self.calendars:
                self._add(key, email, name, rows.get(key), now)
        self._of_agent = {}
        for calendar in self.calendars.values():
            self._of_agent.setdefault(calendar.agent, []).append(calendar)
        for channel in channels:
            owner = self.calendars.get(channel.calendar)
            if owner is not None:
                owner.channels[channel.id] = channel
                self._by_channel[channel.id] = owner
        for email in changed & self._loaded_at.keys():
            self._scheduler.start(self._tell(email), f"timeline {email}")

    def _add(self, key: str, email: str, name: str, row: CalendarRow | None, now: float) -> None:
        calendar = Calendar(key, email, name)
        if row is not None:
            calendar.bookmark, calendar.synced_at = row.bookmark, row.synced_at
        self.calendars[key] = calendar
        self._scheduler.at("sync", key, now)

    def _drop(self, calendar: Calendar) -> None:
        calendar.removed = True
        self._scheduler.at("sync", calendar.key, None)
        self._scheduler.at("push", calendar.key, None)
        for channel in calendar.channels.values():
            self._by_channel.pop(channel.id, None)
            self._scheduler.start(self._stop(calendar, channel), f"stop {calendar.key}")

    # -- what arrives ----------------------------------------------------------------------------------------------

    def notify(self, notification: Notification) -> Verdict:
        """Take one message of Google's: nothing but flags are set here."""
        if not push.is_genuine(self._push_key, notification.channel_id, notification.token):
            return Verdict.UNKNOWN
        if not self.accepting:
            return Verdict.BUSY
        now = self._clock.now()
        calendar = self._by_channel.get(notification.channel_id)
        if calendar is None:
            self._orphan(notification, now)
            return Verdict.GENUINE
        channel = calendar.channels[notification.channel_id]
        if channel.verified_at is None or channel.resource is None:
            known = replace(
                channel,
                verified_at=channel.verified_at or now,
                resource=channel.resource or notification.resource_id,
                expires_at=channel.expires_at or notification.expiration,
            )
            calendar.channels[channel.id] = known
            self._scheduler.start(self._save(known), f"channel {calendar.key}")
            self._scheduler.at("push", calendar.key, now)
        calendar.heard_at = now
        self._mark(calendar, "push", now)
        return Verdict.GENUINE

    def _orphan(self, notification: Notification, now: float) -> None:
        """A message that is ours by its token, of a channel that we have lost: stop it, with what it says itself."""
        name = push.calendar_in_uri(notification.resource_uri or "")
        owner = next(
            (
                calendar
                for calendar in self.calendars.values()
                if name is not None and name in (calendar.id, calendar.agent)
            ),
            None,
        )
        if owner is None or notification.resource_id is None:
            return
        self._mark(owner, "push", now)
        if now - self._orphans.get(notification.channel_id, 0.0) < ORPHAN_SECONDS:
            return
        if len(self._orphans) >= ORPHANS_KEPT:
            self._orphans.pop(next(iter(self._orphans)))
        self._orphans[notification.channel_id] = now
        log.info("A channel that is not known any more is stopped", action="orphan_stopped", calendar=owner.key)
        orphan = Channel(notification.channel_id, owner.key, "", now, resource=notification.resource_id)
        self._scheduler.start(self._stop(owner, orphan), f"stop {owner.key}")

    def _mark(self, calendar: Calendar, cause: Cause, now: float) -> None:
        calendar.dirty, calendar.cause = True, cause
        if calendar.running:
            return
        due = max(now, calendar.began_at + DEBOUNCE_SECONDS) if cause != "hand" else now
        retry = self._scheduler.due_at("sync", calendar.key)
        if calendar.failures and cause == "push" and retry is not None:
            # A calendar that fails is not asked faster because it changes.
            due = max(due, min(retry, calendar.began_at + backoff(calendar.failures, 1.0)))
        self._scheduler.at("sync", calendar.key, due if retry is None else min(due, retry))

    async def sync(self, email: str | None) -> None:
        """Fetch now, by hand, and return when it is done; None means everybody."""
        wanted = [c for c in self.calendars.values() if email is None or c.agent == email]
        waits = []
        for calendar in wanted:
            calendar.done = asyncio.Event()
            self._mark(calendar, "hand", self._clock.now())
            waits.append(calendar.done.wait())
        await asyncio.gather(*waits)

    # -- fetching --------------------------------------------------------------------------------------------------

    def _due(self, key: str, now: float) -> None:
        calendar = self.calendars.get(key)
        if calendar is None or calendar.running:
            return
        if not calendar.dirty:
            calendar.cause = "poll"
        calendar.running = True
        self._scheduler.start(self._fetch(calendar), f"sync {key}")

    async def _fetch(self, calendar: Calendar) -> None:
        async with self._gate:
            now = self._clock.now()
            waited, calendar.done = calendar.done, asyncio.Event()
            calendar.dirty, calendar.began_at = False, now
            cause = calendar.cause
            try:
                wait = await self._fetch_and_apply(calendar, cause, now)
            except ServiceError as error:
                wait = self._failed(calendar, error, now)
            except MalformedAnswerError as error:
                broken = Unavailable(str(error), service="google", code="malformed")
                wait = self._failed(calendar, broken, now)
            calendar.running = False
            calendar.tried = True
            waited.set()
        if calendar.removed:
            return
        now = self._clock.now()
        if calendar.dirty and not calendar.failures:
            wait = 0.0
        self._scheduler.at("sync", calendar.key, max(now + wait, calendar.began_at + DEBOUNCE_SECONDS))
        self._scheduler.at("push", calendar.key, self._scheduler.due_at("push", calendar.key) or now)
        if not calendar.fresh or (self._judgeable(calendar.agent) and calendar.agent not in self._loaded_at):
            await self._tell(calendar.agent)

    async def _fetch_and_apply(self, calendar: Calendar, cause: Cause, now: float) -> float:
        """Seconds until the next poll. Everything is applied, or nothing."""
        quota_user = sha256(calendar.agent.encode()).hexdigest()[:40]
        bookmark = calendar.bookmark
        if bookmark is not None and (
            bookmark.fingerprint != fingerprint(quota_user, self.pace.horizon)
            or now >= next_baseline(calendar.key, bookmark.baseline_at)
        ):
            bookmark = None
        try:
            changes = await self._read(calendar, Fetch(now, self.pace.horizon, quota_user, bookmark))
        except (BaselineNeededError, Refused) as error:
            if bookmark is None or (isinstance(error, Refused) and error.code not in (SYNC_TOKEN_GONE, BAD_REQUEST)):
                raise
            log.info("A baseline is taken", action="baseline_needed", calendar=calendar.key, why=str(error))
            self._metrics.sync("delta", "gone")
            changes = await self._read(calendar, Fetch(now, self.pace.horizon, quota_user, None))
        if await self._is_suspicious(calendar, changes, now):
            return CONFIRM_EMPTY_SECONDS
        await self._apply(calendar, changes, now)
        if cause == "poll" and not changes.baseline and not changes.empty:
            self._missed(calendar, now)
        return self._until_poll(calendar, changes.bookmark)

    async def _read(self, calendar: Calendar, fetch: Fetch) -> Changes:
        while True:
            page = await self._google.list_events(calendar.agent, calendar.id, fetch.request())
            changes = fetch.feed(page)
            if changes is not None:
                return changes

    async def _is_suspicious(self, calendar: Calendar, changes: Changes, now: float) -> bool:
        """An empty baseline where events were known changes nobody until a second one confirms it."""
        if not changes.baseline or changes.events or calendar.bookmark is None:
            calendar.empty_at = None
            return False
        if calendar.empty_at is not None and now - calendar.empty_at >= CONFIRM_EMPTY_SECONDS - 1:
            calendar.empty_at = None
            return False
        if not await self._cache.count_events(calendar.key, now):
            return False
        if calendar.empty_at is None:
            calendar.empty_at = now
            log.warning(
                "Google says that a calendar is empty where events were known: asked again before it counts",
                action="empty_baseline",
                calendar=calendar.key,
            )
        calendar.bookmark = replace(calendar.bookmark, fingerprint="")
        return True

    async def _apply(self, calendar: Calendar, changes: Changes, now: float) -> None:
        quiet = changes.empty and not changes.baseline
        if calendar.removed:
            return
        if quiet:
            await self._cache.touch_calendar(calendar.key, changes.bookmark, now)
        else:
            await self._cache.apply(calendar.key, calendar.agent, changes, now)
        for skipped in changes.skipped:
            log.warning(
                "An event cannot be read and is left out",
                action="event_skipped",
                calendar=calendar.key,
                event_id=skipped.id,
                why=skipped.why,
            )
        first = not calendar.fresh
        calendar.bookmark, calendar.synced_at, calendar.fresh = changes.bookmark, now, True
        if calendar.trouble is not None:
            log.info("A calendar is read again", action="calendar_recovered", calendar=calendar.key)
        calendar.trouble, calendar.failures, calendar.failing_since = None, 0, None
        kind: Literal["baseline", "delta"] = "baseline" if changes.baseline else "delta"
        self._metrics.sync(kind, "unchanged" if quiet else "changed")
        log.info(
            f"A calendar of {calendar.agent} was read",
            action="synced",
            calendar=calendar.key,
            kind=kind,
            cause=calendar.cause,
            changed=len(changes.events),
            gone=len(changes.gone),
        )
        loaded = self._loaded_at.get(calendar.agent)
        if first or not quiet or loaded is None or now - loaded > RELOAD_SECONDS:
            calendar.tried = True
            await self._tell(calendar.agent)

    def _failed(self, calendar: Calendar, error: ServiceError, now: float) -> float:
        """Seconds until the next try; stored data stay in force."""
        calendar.failures += 1
        calendar.failing_since = calendar.failing_since or now
        if isinstance(error, Refused) or calendar.failures > 1:
            code = error.code
            if calendar.trouble is None or calendar.trouble.code != code:
                calendar.trouble = trouble(code, calendar.failing_since, str(error))
        if isinstance(error, Refused):
            wait = backoff(calendar.failures, self._chance(), first=30.0, cap=REFUSED_CAP_SECONDS)
        else:
            retry_after = error.retry_after if isinstance(error, Unavailable) else None
            wait = max(backoff(calendar.failures, self._chance()), retry_after or 0.0)
        self._metrics.sync(
            "delta" if calendar.bookmark else "baseline", "refused" if isinstance(error, Refused) else "unavailable"
        )
        log.warning(
            f"A calendar of {calendar.agent} could not be read",
            action="sync_failed",
            calendar=calendar.key,
            code=error.code,
            why=str(error),
            retry_seconds=round(wait, 1),
        )
        return wait

    def _missed(self, calendar: Calendar, now: float) -> None:
        """A poll found what push had not told."""
        before = self.health(calendar, now)
        calendar.missed_at = now
        if before == "healthy" and calendar.heard_at < now - push.ANNOUNCED_BEFORE_SECONDS:
            self._metrics.push_missed()
            log.warning("A poll found a change that push had not told", action="push_missed", calendar=calendar.key)

    def _until_poll(self, calendar: Calendar, bookmark: Bookmark) -> float:
        now = self._clock.now()
        interval = push.poll_interval(
            self.health(calendar, now),
            with_push=self.pace.with_push,
            without_push=self.pace.without_push,
            calendars=len(self.calendars),
            requests_per_day=self.pace.requests_per_day,
        )
        baseline = next_baseline(calendar.key, bookmark.baseline_at)
        return max(0.0, min(spread(interval, self._chance()), baseline - now))

    # -- what it means for the agent -------------------------------------------------------------------------------

    def _judgeable(self, email: str) -> bool:
        """An agent is judged once each calendar was read, or was tried and the grace is over."""
        mine = self._of_agent.get(email, [])
        if all(calendar.fresh for calendar in mine):
            return True
        return self._clock.now() >= self._started_at + GRACE_SECONDS

    def _grace_over(self, name: str, now: float) -> None:
        del name, now
        for email in self._of_agent:
            if email not in self._loaded_at:
                self._scheduler.start(self._tell(email), f"timeline {email}")

    async def _tell(self, email: str) -> None:
        """Work out the agent's timeline from what is stored, and tell it."""
        if not self._judgeable(email) or email not in self._rules:
            return
        now = self._clock.now()
        mine = self._of_agent.get(email, [])
        usable = [
            calendar.key
            for calendar in mine
            if calendar.bookmark is not None
            and calendar.synced_at is not None
            and now - calendar.synced_at <= STALE_SECONDS
        ]
        self._loaded_at[email] = now
        try:
            events = await self._cache.events(email, usable, now - PLAN_BEFORE_SECONDS, now + PLAN_AHEAD_SECONDS)
        except ServiceError as error:
            self._loaded_at.pop(email, None)
            log.error("The database does not answer", action="store_failed", agent=email, why=str(error))  # noqa: TRY400 - said in a sentence
            return
        timeline = build(events, self._rules[email]) if usable else None
        self._told(email, timeline, self._clock.now(), complete=len(usable) == len(mine))

    # -- channels --------------------------------------------------------------------------------------------------

    def health(self, calendar: Calendar, now: float) -> push.Health:
        """How far push is to be trusted for a calendar."""
        return push.health(
            calendar.channels.values(),
            wanted=self._address is not None and not calendar.push_refused,
            heard_at=calendar.heard_at,
            missed_at=calendar.missed_at,
            now=now,
        )

    def _push_due(self, key: str, now: float) -> None:
        del now
        calendar = self.calendars.get(key)
        if calendar is None or calendar.keeping:
            return
        if self._address is None and not calendar.channels:
            return
        calendar.keeping = True
        self._scheduler.start(self._keep_channels(calendar), f"push {key}")

    async def _keep_channels(self, calendar: Calendar) -> None:
        async with self._gate:
            now = self._clock.now()
            address = None if calendar.push_refused else self._address
            plan = push.upkeep(calendar.channels.values(), address, now)
            again = plan.again
            for channel in plan.forget:
                await self._let_go(calendar, channel)
            if plan.create and calendar.fresh:
                again = await self._open(calendar, now)
            for channel in plan.stop:
                await self._stop(calendar, channel)
            calendar.keeping = False
        if not calendar.removed:
            self._scheduler.at("push", calendar.key, again)

    async def _open(self, calendar: Calendar, now: float) -> float:
        """Open a channel; when its upkeep is due next. The row is stored first: the first message may overtake."""
        assert self._address is not None  # noqa: S101 - upkeep creates only for an address
        channel = Channel(str(uuid.uuid4()), calendar.key, self._address, now)
        calendar.channels[channel.id] = channel
        self._by_channel[channel.id] = calendar
        await self._save(channel)
        token = push.token_of(self._push_key, channel.id)
        try:
            opened = await self._google.watch(
                calendar.agent, calendar.id, channel=channel.id, token=token, address=self._address
            )
        except ServiceError as error:
            if isinstance(error, Refused) or not (isinstance(error, Unavailable) and error.landed):
                await self._let_go(calendar, channel)
            return self._open_failed(calendar, error)
        calendar.push_failures, calendar.push_trouble = 0, None
        # The first message may have come meanwhile: what it told is kept.
        known = replace(
            calendar.channels.get(channel.id, channel),
            resource=opened.resource,
            expires_at=opened.expires_at,
            renew_at=push.renew_at(now, opened.expires_at, self._chance()),
        )
        calendar.channels[channel.id] = known
        await self._save(known)
        log.info("A push channel is open", action="channel_opened", calendar=calendar.key, channel=channel.id)
        return push.upkeep(calendar.channels.values(), self._address, self._clock.now()).again or now

    def _open_failed(self, calendar: Calendar, error: ServiceError) -> float:
        calendar.push_failures += 1
        log.warning(
            "A push channel could not be opened: the calendar is polled",
            action="channel_failed",
            calendar=calendar.key,
            code=error.code,
            why=str(error),
        )
        now = self._clock.now()
        if error.code == CHANNEL_ID_TAKEN:
            return now
        if error.code == PUSH_NOT_SUPPORTED:
            calendar.push_refused = True
            return now + PUSH_RETRY_SECONDS
        if isinstance(error, Refused):
            calendar.push_trouble = trouble(error.code, now, str(error))
            return now + PUSH_RETRY_SECONDS
        return now + backoff(calendar.push_failures, self._chance(), first=5.0, cap=600.0)

    async def _stop(self, calendar: Calendar, channel: Channel) -> None:
        await self._let_go(calendar, channel)
        if channel.resource is None:
            return
        try:
            await self._google.stop(calendar.agent, channel=channel.id, resource=channel.resource)
        except ServiceError as error:
            # It expires by itself; should it speak again, its token proves it ours and it is stopped then.
            log.info("A channel could not be stopped", action="stop_failed", calendar=calendar.key, why=str(error))

    async def _save(self, channel: Channel) -> None:
        try:
            await self._cache.save_channel(channel)
        except ServiceError as error:
            log.error("The database does not answer", action="store_failed", why=str(error))  # noqa: TRY400 - said in a sentence

    async def _let_go(self, calendar: Calendar, channel: Channel) -> None:
        calendar.channels.pop(channel.id, None)
        self._by_channel.pop(channel.id, None)
        try:
            await self._cache.forget_channel(channel.id)
        except ServiceError as error:
            log.error("The database does not answer", action="store_failed", why=str(error))  # noqa: TRY400 - said in a sentence

    # -- what is shown ---------------------------------------------------------------------------------------------

    def of_agent(self, email: str) -> list[Calendar]:
        """The calendars of an agent."""
        return self._of_agent.get(email, [])

    def unready(self) -> list[str]:
        """Which calendars have not been tried, within the grace of the start."""
        if self._started_at and self._clock.now() >= self._started_at + GRACE_SECONDS:
            return []
        return [calendar.key for calendar in self.calendars.values() if not calendar.tried]

    def measure(self, now: float) -> None:
        """Bring the gauges up to date."""
        ages = [now - c.synced_at for c in self.calendars.values() if c.synced_at is not None]
        self._metrics.calendar_age(max(ages, default=0.0))
        counts: dict[push.Health, int] = dict.fromkeys(("healthy", "unverified", "expired", "silent", "off"), 0)
        for calendar in self.calendars.values():
            counts[self.health(calendar, now)] += 1
        self._metrics.channels(counts)


def key_of(email: str, calendar: str) -> str:
    """The name of an agent's calendar in the store and the logs."""
    return f"{email}/{calendar}"
