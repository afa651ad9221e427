"""A calendar at a time: fetch when it is dirty or its poll is due, apply, and tell whose timeline changed.

A notification only sets a flag. The first fetch goes at once, the next at least two seconds after it began, and
what arrives during a fetch leads to another. Push never counts as truth: its health only sets the pace of the
poll behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from calsyncd.calendars.calendar import Calendar, Cause, key_of
from calsyncd.calendars.losses import Losses
from calsyncd.calendars.overlay import Cache, Overlay
from calsyncd.calendars.push import Push
from calsyncd.calendars.retries import Retries
from calsyncd.calendars.storm import StormGuard, Told, Withdraw
from calsyncd.core import access, channels, wishes
from calsyncd.core.byhand import NOTHING, ByHand
from calsyncd.core.channels import Channel, Health
from calsyncd.core.model import Event, Trouble
from calsyncd.core.retry import backoff, spread
from calsyncd.core.rules import Reads, Rules
from calsyncd.core.sync import (
    NOTHING_MORE,
    BaselineNeededError,
    Bookmark,
    Changes,
    Fetch,
    MalformedAnswerError,
    Stored,
    fingerprint,
    next_baseline,
    quota_user,
    tells,
)
from calsyncd.core.timeline import Timeline, build
from calsyncd.core.troubles import trouble
from calsyncd.errors import BAD_REQUEST, SYNC_TOKEN_GONE, Refused, ServiceError, Unavailable
from calsyncd.logs import get_logger
from calsyncd.metrics import Metrics, SyncKind
from calsyncd.scheduler import Scheduler

AT_ONCE = 8
DEBOUNCE_SECONDS = 2.0
GRACE_SECONDS = 5.0
STALE_SECONDS = 24 * 3600.0
PLAN_BEFORE_SECONDS = 86400.0
PLAN_AHEAD_SECONDS = 3 * 86400.0
RELOAD_SECONDS = 6 * 3600.0
CONFIRM_EMPTY_SECONDS = 60.0
REFUSED_FIRST_SECONDS = 30.0
REFUSED_CAP_SECONDS = 15 * 60.0

log = get_logger(__name__)


class Google(Protocol):
    """What is asked of Google."""

    async def list_events(self, subject: str, calendar: str, query: Mapping[str, str]) -> Any:
        """One page of events."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How often Google is asked, and how far ahead; seconds. `with_push` None means automatic."""

    horizon: float
    with_push: float | None
    without_push: float
    requests_per_day: int


class Syncer:
    """All calendars of all agents."""

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        google: Google,
        cache: Cache,
        push: Push,
        metrics: Metrics,
        told: Told,
        pace: Pace,
        chance: Callable[[], float],
        withdraw: Withdraw = lambda _email, _timeline: False,
        zone: Callable[[str], str | None] = lambda _email: "",
        by_hand: Callable[[str], ByHand] = lambda _email: NOTHING,
    ) -> None:
        self.calendars: dict[str, Calendar] = {}
        self.storm = StormGuard(told, withdraw, metrics)
        self.storm.confirm = self._confirm
        self.losses = Losses(
            scheduler,
            chance=chance,
            ask=lambda calendar: self._mark(calendar, "probe"),
            regained=self._regained,
            suspended=lambda calendar: self.retell(calendar.agent),
        )
        self._retries = Retries(scheduler, requests_per_day=pace.requests_per_day)
        self._scheduler = scheduler
        self._clock = scheduler.clock
        self._google = google
        self._cache = cache
        self._overlay = Overlay(scheduler, cache)
        self._push = push
        self._metrics = metrics
        self._pace = pace
        self._chance = chance
        self._zone = zone
        self._by_hand = by_hand
        self._rules: dict[str, Rules] = {}
        self._former_rules: dict[str, Rules] = {}
        self._of_agent: dict[str, list[Calendar]] = {}
        self._told_at: dict[str, float] = {}
        self._told_last: dict[str, int] = {}
        self._numbers = itertools.count(1)
        self._parted: dict[str, float] = {}
        self._began_at: float | None = None
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._read_or_not: Callable[[str], None] = lambda _: None
        self._timeline_changed: Callable[[str], None] = lambda _: None
        push.listen(lambda calendar: self._mark(calendar, "push"))
        scheduler.handle("sync", lambda key, _: self._due(key))
        scheduler.handle("grace", lambda *_: self._grace_over())
        scheduler.handle("stale", lambda key, _: self._grown_old(key))
        scheduler.when_stepped(lambda now, _: self._stepped(now))

    # -- who is followed -------------------------------------------------------------------------------------------

    def restore(self, stored: Mapping[str, Stored], known: Iterable[Channel]) -> None:
        """Take up what the store knows of the calendars that are followed."""
        for key, row in stored.items():
            calendar = self.calendars.get(key)
            # Without a token it was still to be confirmed when the process ended: it counts as unread.
            if calendar is not None and row.bookmark.token:
                calendar.bookmark, calendar.synced_at = row.bookmark, row.synced_at
        self._push.restore(known, self.calendars)

    def follow(self, agents: Mapping[str, tuple[Iterable[str], Rules]]) -> None:
        """Follow exactly these agents' calendars, under these rules."""
        now = self._clock.now()
        self._parted = {email: at for email, at in self._parted.items() if email not in agents}
        if self._began_at is None:
            self._began_at = now
            self._scheduler.at("grace", "", now + GRACE_SECONDS)
        wanted = {key_of(email, name): (email, name) for email, (names, _) in agents.items() for name in names}
        for key in self.calendars.keys() - wanted.keys():
            self._drop(self.calendars.pop(key))
        for key, (email, name) in wanted.items():
            if key not in self.calendars:
                self.calendars[key] = Calendar(key, email, name)
                self._scheduler.at("sync", key, now)
        before, self._of_agent = self._of_agent, {}
        for calendar in self.calendars.values():
            self._of_agent.setdefault(calendar.agent, []).append(calendar)
        rules_before, self._rules = self._rules, {email: rules for email, (_, rules) in agents.items()}
        self._read_for_rules(rules_before)
        self.storm.follow(self._of_agent)
        self._told_at = {email: at for email, at in self._told_at.items() if email in agents}
        self._told_last = {email: number for email, number in self._told_last.items() if email in agents}
        for email in self._told_at:
            fewer = {one.key for one in before.get(email, [])} - {one.key for one in self.of_agent(email)}
            if fewer or rules_before.get(email) != self._rules[email]:
                self.retell(email)

    def _read_for_rules(self, before: Mapping[str, Rules]) -> None:
        """Have those calendars read anew of which the rules now need what was not read of them."""
        self._former_rules = {email: rules for email, rules in self._former_rules.items() if email in self._rules}
        for email, rules in self._rules.items():
            former = before.get(email)
            if former is None or former == rules or former.reads == rules.reads:
                continue
            self._former_rules[email] = self._former_rules.get(email, former)
            for calendar in self.of_agent(email):
                self._mark(calendar, "rules")

    def rules(self, email: str) -> Rules | None:
        """The rules in force for an agent: new ones count once every calendar that can be read was read for them."""
        rules = self._rules.get(email)
        if rules is None:
            return None
        marks = [one.bookmark for one in self.of_agent(email) if one.bookmark is not None]
        if self._untold(email, rules):
            rules = self._former_rules.get(email, rules)
        return rules.at_home_in(self._zone(email), *(mark.time_zone for mark in marks))

    def untold(self, email: str) -> frozenset[str]:
        """The agent's calendars, by key, that were not read for the rules in force: what those ask is unknown there."""
        rules = self.rules(email)
        return self._untold(email, rules) if rules is not None else frozenset()

    def _untold(self, email: str, rules: Rules) -> frozenset[str]:
        read = [one for one in self.of_agent(email) if one.bookmark is not None and not one.suspended]
        return frozenset(
            one.key for one in read if one.bookmark is not None and not tells(one.bookmark.fingerprint, rules.reads)
        )

    def _reads(self, email: str) -> Reads:
        """What is read of an agent's events: also what the former rules need, while those are in force."""
        rules, former = self._rules.get(email), self._former_rules.get(email)
        if rules is None:
            return NOTHING_MORE
        if former is not None and not self._untold(email, rules):
            del self._former_rules[email]
            former = None
        return rules.reads | former.reads if former is not None else rules.reads

    def by_hand(self, email: str) -> ByHand:
        """What was said by hand of an agent's meetings."""
        return self._by_hand(email)

    def retell(self, email: str) -> None:
        """Something beside the calendars changed what an agent's timeline is: work it out anew."""
        if email in self._told_at:
            self._scheduler.start(self._tell(email), f"timeline {email}")

    async def retold(self, email: str) -> bool:
        """As `retell`, and return when it is done; False if the timeline cannot be worked out now, which is logged."""
        return await self._tell(email)

    def _drop(self, calendar: Calendar) -> None:
        calendar.removed = True
        calendar.read.set()
        self._overlay.drop(calendar.key)
        self.storm.dropped(calendar.agent, calendar.key)
        self.losses.drop(calendar)
        self._retries.drop(calendar.key)
        self._scheduler.at("sync", calendar.key, None)
        self._scheduler.at("stale", calendar.key, None)
        self._push.drop(calendar)

    def listen(self, read: Callable[[str], None], changed: Callable[[str], None] = lambda _: None) -> None:
        """Call `read(email)` whenever a calendar of the agent was read, changed or not, or could not be.

        `changed(email)` is called when the agent's events, or what follows from them, may be others than before.
        """
        self._read_or_not, self._timeline_changed = read, changed

    def is_read(self, email: str, since: float) -> bool:
        """Whether each of the agent's calendars was read since then, but for those that only a human can bring back."""
        return all(
            one.loss is not None or (not one.running and one.synced_at is not None and one.synced_at >= since)
            for one in self.of_agent(email)
        )

    def part(self, email: str) -> None:
        """Whoever has granted it takes it back: read nothing more of it, until the agent is followed anew."""
        self._parted.setdefault(email, self._clock.now())

    def parted(self, email: str) -> Trouble | None:
        """That nothing is read of the agent for that reason."""
        at = self._parted.get(email)
        return trouble("not_connected", at) if at is not None else None

    async def let_go(self, email: str) -> None:
        """As `part`, and want nothing of the agent, followed or not; stop the channels, and forget what was read.

        ServiceError where Google cannot be told or the database not be written: it is to be called again.
        """
        self.part(email)
        mine = self.of_agent(email)
        rules = self.rules(email) or Rules()
        self._told_at.pop(email, None)
        for calendar in mine:
            self.storm.dropped(email, calendar.key)
        # Neither Google nor a database that fails keeps anybody held.
        self.storm.told(email, build([], rules, self._by_hand(email)), self._clock.now(), complete=True)
        for calendar in mine:
            await self._push.end(calendar)
        for calendar in mine:
            self.calendars.pop(calendar.key, None)
            self._drop(calendar)
        self._of_agent.pop(email, None)
        await self._cache.forget_calendars(self.calendars)

    def of_agent(self, email: str) -> list[Calendar]:
        """The calendars of an agent."""
        return self._of_agent.get(email, [])

    # -- when to fetch ---------------------------------------------------------------------------------------------

    async def sync(self, email: str | None) -> None:
        """Fetch now, by hand, and return when it is done; None means everybody."""
        wanted = [calendar for calendar in self.calendars.values() if email is None or calendar.agent == email]
        waits = [calendar.read.wait() for calendar in wanted]
        for calendar in wanted:
            self._mark(calendar, "hand")
        await asyncio.gather(*waits)

    def fetch(self, email: str) -> None:
        """As `sync`, without waiting for it."""
        for calendar in self.of_agent(email):
            self._mark(calendar, "hand")

    def _mark(self, calendar: Calendar, cause: Cause) -> None:
        """The calendar may have changed: fetch it, at once unless it was fetched just now."""
        now = self._clock.now()
        calendar.dirty = True
        if calendar.loss is not None and cause not in ("hand", "probe"):
            # What cannot be read is read as soon as it can be, whatever changes meanwhile.
            return
        calendar.cause = cause
        if calendar.running:
            return
        due = now if cause == "hand" else max(now, calendar.began_at + DEBOUNCE_SECONDS)
        if calendar.failures and cause == "push":
            # A calendar that fails is not asked faster because it changes.
            due = max(due, calendar.began_at + backoff(calendar.failures, 1.0))
        planned = self._scheduler.due_at("sync", calendar.key)
        if planned is None or due < planned:
            self._scheduler.at("sync", calendar.key, due)

    def _regained(self, calendar: Calendar, at: float) -> None:
        """What kept the calendar from being read is over: read it at `at`."""
        calendar.dirty, calendar.cause = True, "regained"
        if not calendar.running:
            self._scheduler.at("sync", calendar.key, at)

    def _confirm(self, key: str) -> None:
        """Believe nothing of this calendar until it was read whole."""
        calendar = self.calendars.get(key)
        if calendar is not None:
            calendar.confirm = True
            self._mark(calendar, "confirm")

    def _stepped(self, now: float) -> None:
        """The clock jumped: read every calendar anew, and count from now."""
        self.storm.stepped()
        for calendar in self.calendars.values():
            calendar.began_at = min(calendar.began_at, now)
            calendar.heard_at = min(calendar.heard_at, now)
            calendar.missed_at = calendar.confirm_empty_at = None
            # What is being read was asked for at another time: it is read again.
            calendar.dirty |= calendar.running
            if calendar.loss is None:
                self._scheduler.at("sync", calendar.key, now)
            self._push.keep(calendar)
        self.losses.stepped(now)

    def _due(self, key: str) -> None:
        calendar = self.calendars.get(key)
        if calendar is None or calendar.running or calendar.agent in self._parted:
            return
        if not calendar.dirty:
            calendar.cause = "poll"
        calendar.running = True
        self._scheduler.start(self._fetch(calendar), f"sync {key}")

    def hasten(self) -> None:
        """Push is trusted less than it was: no calendar's poll is later than that allows."""
        for calendar in self.calendars.values():
            due, bookmark = self._scheduler.due_at("sync", calendar.key), calendar.bookmark
            if due is not None and bookmark is not None and not calendar.failures and not calendar.running:
                soon = self._clock.now() + self._until_poll(calendar, bookmark)
                self._scheduler.at("sync", calendar.key, min(due, soon))

    def _until_poll(self, calendar: Calendar, bookmark: Bookmark) -> float:
        now = self._clock.now()
        interval = channels.poll_interval(
            self._push.health(calendar, now),
            with_push=self._pace.with_push,
            without_push=self._pace.without_push,
            calendars=len(self.calendars),
            requests_per_day=self._pace.requests_per_day,
        )
        return max(0.0, min(spread(interval, self._chance()), self._baseline_at(calendar, bookmark) - now))

    def _baseline_at(self, calendar: Calendar, bookmark: Bookmark) -> float:
        """When the calendar is to be read whole again.

        While nothing can be written that waits for as long as what was read reaches far enough: all of it would be kept
        in memory.
        """
        due = next_baseline(calendar.key, bookmark.baseline_at)
        if not self._overlay.failing:
            return due
        return max(due, bookmark.baseline_at + self._pace.horizon - PLAN_AHEAD_SECONDS)

    # -- fetching --------------------------------------------------------------------------------------------------

    async def _fetch(self, calendar: Calendar) -> None:
        async with self._gate:
            now = self._clock.now()
            waited, calendar.read = calendar.read, asyncio.Event()
            calendar.dirty, calendar.began_at = False, now
            asks = calendar.removed or calendar.cause in ("hand", "probe") or not self.losses.concerns(calendar)
            try:
                wait = await self._fetch_and_apply(calendar, calendar.cause, now) if asks else 0.0
            except ServiceError as error:
                wait = self._failed(calendar, error)
            except MalformedAnswerError as error:
                wait = self._failed(calendar, Unavailable(str(error), service="google", code="malformed"))
            except Exception as error:
                # One calendar's data must not stop the others: set aside, loudly, and tried again.
                log.exception("A calendar could not be taken in", action="calendar_quarantined", calendar=calendar.key)
                self.losses.read(calendar)
                wait = self._failed(calendar, Refused(type(error).__name__, service="calsyncd", code="internal"))
            calendar.running, calendar.tried = False, True
        if not calendar.removed:
            now = self._clock.now()
            asked = calendar.dirty and (not calendar.failures or calendar.cause == "hand")
            again = max(now if asked else now + wait, calendar.began_at + DEBOUNCE_SECONDS)
            self._scheduler.at("sync", calendar.key, again if asked or calendar.loss is None else None)
            self.losses.keep_asking(calendar, wait)
            self._watch_age(calendar)
            if (calendar.failures or calendar.loss) and (self._is_stale(calendar, now) or calendar.suspended):
                await self._tell(calendar.agent)
        waited.set()
        self._read_or_not(calendar.agent)

    async def _fetch_and_apply(self, calendar: Calendar, cause: Cause, now: float) -> float:
        """Seconds until the next poll. Everything is applied, or nothing."""
        charged = quota_user(calendar.agent)
        reads = self._reads(calendar.agent)
        bookmark = calendar.bookmark
        if bookmark is not None and calendar.confirm:
            await self._distrust(calendar, bookmark)
        if bookmark is not None and (
            calendar.confirm
            or calendar.confirm_empty_at is not None
            or self._overlay.lacks(calendar.key)
            or bookmark.fingerprint != fingerprint(charged, self._pace.horizon, reads)
            or now >= self._baseline_at(calendar, bookmark)
        ):
            bookmark = None
        try:
            changes = await self._read(calendar, Fetch(now, self._pace.horizon, charged, bookmark, reads))
        except (BaselineNeededError, Refused) as error:
            if bookmark is None or (isinstance(error, Refused) and error.code not in (SYNC_TOKEN_GONE, BAD_REQUEST)):
                raise
            log.info("A baseline is taken", action="sync_restarted", calendar=calendar.key, why=str(error))
            self._metrics.sync("delta", "gone")
            changes = await self._read(calendar, Fetch(now, self._pace.horizon, charged, None, reads))
        if calendar.removed:
            return 0.0
        if await self._is_suspicious(calendar, changes, now):
            return CONFIRM_EMPTY_SECONDS
        await self._apply(calendar, changes, now)
        if cause == "poll" and not changes.baseline and not changes.empty:
            self._missed(calendar, now)
        return self._until_poll(calendar, changes.bookmark)

    async def _distrust(self, calendar: Calendar, bookmark: Bookmark) -> None:
        """Have the next start, too, believe nothing of what was taken in before this calendar is read whole."""
        with contextlib.suppress(ServiceError):
            await self._cache.touch_calendar(calendar.key, replace(bookmark, token=""), calendar.synced_at or 0.0)

    async def _read(self, calendar: Calendar, fetch: Fetch) -> Changes:
        query = fetch.request()
        # What was prepared until here is not a part of the two seconds.
        calendar.began_at = self._clock.now()
        while True:
            page = await self._google.list_events(calendar.agent, calendar.id, query)
            self._retries.answered(calendar.key)
            changes = fetch.feed(page)
            if changes is not None:
                return changes
            query = fetch.request()

    async def _is_suspicious(self, calendar: Calendar, changes: Changes, now: float) -> bool:
        """An empty baseline where events were known changes nobody until a later one confirms it."""
        if not changes.baseline or changes.events or not await self._overlay.count_events(calendar.key, now):
            calendar.confirm_empty_at = None
            return False
        if calendar.confirm_empty_at is None:
            calendar.confirm_empty_at = now + CONFIRM_EMPTY_SECONDS
            self._metrics.sync("baseline", "suspicious")
            log.warning(
                "Google says that a calendar is empty where events were known: asked again before it counts",
                action="sync_doubted",
                calendar=calendar.key,
            )
        elif now >= calendar.confirm_empty_at:
            calendar.confirm_empty_at = None
            return False
        return True

    async def _apply(self, calendar: Calendar, changes: Changes, now: float) -> None:
        quiet = changes.empty and not changes.baseline
        if not changes.baseline and not quiet:
            await self._about_to_change(calendar, now)
        if calendar.removed:
            return
        await self._overlay.apply(calendar.key, calendar.agent, changes, now)
        if not quiet:
            self._timeline_changed(calendar.agent)
        for skipped in changes.skipped:
            log.warning(
                "An event cannot be read and is left out",
                action="event_skipped",
                calendar=calendar.key,
                event_id=skipped.id,
                why=skipped.why,
            )
        if changes.baseline:
            calendar.confirm = False
            self.storm.confirmed(calendar.agent, calendar.key)
        first, lost = not calendar.fresh, calendar.loss is not None or calendar.alone is not None
        calendar.bookmark, calendar.synced_at, calendar.fresh = changes.bookmark, now, True
        self.losses.read(calendar)
        if calendar.trouble is not None:
            log.info("A calendar is read again", action="trouble_cleared", calendar=calendar.key)
        calendar.trouble, calendar.failures, calendar.failing_since = None, 0, None
        kind: SyncKind = "baseline" if changes.baseline else "delta"
        self._metrics.sync(kind, "unchanged" if quiet else "changed")
        say = log.debug if quiet else log.info
        say(
            f"{calendar.agent}: a calendar was read",
            action="sync_done",
            calendar=calendar.key,
            kind=kind,
            cause=calendar.cause,
            changed=len(changes.events),
            gone=len(changes.gone),
        )
        told_at = self._told_at.get(calendar.agent)
        if (first or not quiet or told_at is None or now - told_at > RELOAD_SECONDS) and not await self._tell(
            calendar.agent
        ):
            for one in self.of_agent(calendar.agent):
                if self._overlay.lacks(one.key):
                    self._mark(one, "confirm")
        if first or lost:
            self._push.keep(calendar)

    async def _about_to_change(self, calendar: Calendar, now: float) -> None:
        """A delta is about to be taken in: know what was in force before it, also from before this process."""
        email = calendar.agent
        rules = self.rules(email)
        if rules is not None and not self.storm.knows(email):
            stored = await self._stored(email, rules, now)
            if stored is not None:
                self.storm.remember(email, stored[0])
        self.storm.changed(email, calendar.key)

    def _failed(self, calendar: Calendar, error: ServiceError) -> float:
        """Seconds until the next try; stored data stay in force."""
        calendar.failures += 1
        calendar.failing_since = calendar.failing_since or self._clock.now()
        refused = isinstance(error, Refused)
        if refused:
            self._retries.answered(calendar.key)
        lost = refused and error.code in access.REACH
        known = calendar.trouble is not None and calendar.trouble.code == error.code
        if not lost and calendar.loss is None and (refused or calendar.failures > 1) and not known:
            calendar.trouble = trouble(error.code, calendar.failing_since, str(error))
        if calendar.removed:
            wait = 0.0
        elif lost:
            self.losses.refused(calendar, error.code)
            wait = self.losses.until_probe(calendar)
        elif refused:
            wait = backoff(calendar.failures, self._chance(), first=REFUSED_FIRST_SECONDS, cap=REFUSED_CAP_SECONDS)
        else:
            retry_after = error.retry_after if isinstance(error, Unavailable) else None
            alone = max(backoff(calendar.failures, self._chance()), retry_after or 0.0)
            wait = self._retries.unanswered(calendar.key, alone, self._chance())
        self._metrics.sync(
            "delta" if calendar.bookmark is not None else "baseline", "refused" if refused else "unavailable"
        )
        log.warning(
            f"{calendar.agent}: a calendar could not be read",
            action="sync_failed",
            calendar=calendar.key,
            code=error.code,
            why=str(error),
            retry_seconds=round(wait, 1),
        )
        return wait

    def _missed(self, calendar: Calendar, now: float) -> None:
        """A poll found what push had not told."""
        believed = self._push.health(calendar, now) == "healthy"
        calendar.missed_at = now
        if believed and calendar.heard_at < now - channels.ANNOUNCED_BEFORE_SECONDS:
            self._metrics.push_missed()
            log.warning("A poll found a change that push had not told", action="push_missed", calendar=calendar.key)

    # -- what it means for the agent -------------------------------------------------------------------------------

    def _watch_age(self, calendar: Calendar) -> None:
        """While a calendar is not read, see to it that what was read counts no longer than it may."""
        failing = calendar.synced_at is not None and (calendar.failures or calendar.loss is not None)
        at = calendar.synced_at + STALE_SECONDS if failing and calendar.synced_at is not None else None
        self._scheduler.at("stale", calendar.key, at if at is not None and at > self._clock.now() else None)

    def _grown_old(self, key: str) -> None:
        calendar = self.calendars.get(key)
        if calendar is not None:
            self._scheduler.start(self._tell(calendar.agent), f"timeline {calendar.agent}")

    def _is_stale(self, calendar: Calendar, now: float) -> bool:
        return calendar.synced_at is None or now - calendar.synced_at >= STALE_SECONDS

    def _judgeable(self, email: str) -> bool:
        """An agent is judged once each calendar was read, or when the grace of the start is over."""
        if all(calendar.fresh for calendar in self.of_agent(email)):
            return True
        return self._began_at is not None and self._clock.now() >= self._began_at + GRACE_SECONDS

    def _grace_over(self) -> None:
        for email in self._of_agent:
            if email not in self._told_at:
                self._scheduler.start(self._tell(email), f"timeline {email}")

    async def _tell(self, email: str) -> bool:
        """Work out the agent's timeline from what is stored, and tell it, if it is time; False where that fails."""
        rules = self.rules(email)
        if rules is None or email in self._parted or not self._judgeable(email):
            return True
        now = self._clock.now()
        number = next(self._numbers)
        stored = await self._stored(email, rules, now)
        if stored is None:
            return False
        if email in self._parted or number < self._told_last.get(email, 0):
            return True
        self._told_last[email] = number
        timeline, complete = stored
        self._told_at[email] = now
        self.storm.told(email, timeline, self._clock.now(), complete=complete)
        self._timeline_changed(email)
        return True

    async def _stored(self, email: str, rules: Rules, now: float) -> tuple[Timeline | None, bool] | None:
        """The agent's timeline from what is stored, and whether that is complete; None if it cannot be worked out."""
        # A calendar that never could be read, and only a human can mend, is no reason why anybody is held.
        mine = [one for one in self.of_agent(email) if one.bookmark is not None or not one.suspended]
        usable = [one.key for one in mine if one.bookmark is not None and not self._is_stale(one, now)]
        if rules.working_hours is not None and rules.working_hours.zone is None:
            # They are in a zone that Aircall is to tell.
            usable = []
        untold = self._untold(email, rules)
        low, high = now - PLAN_BEFORE_SECONDS, now + PLAN_AHEAD_SECONDS
        try:
            events = await self._overlay.events(email, set(usable) - untold, low, high)
            if untold:
                silent = await self._overlay.events(email, set(usable) & untold, low, high)
                events += [replace(event, told=False) for event in silent]
        except ServiceError as error:
            # What is in memory stays in force; the next poll tries again.
            self._told_at.pop(email, None)
            log.warning("The database does not answer", action="store_failed", agent=email, why=str(error))
            return None
        try:
            by_hand = self._by_hand(email)
            # Who is to stay unavailable is so whatever is known of the calendars.
            known = usable or wishes.in_force(replace(by_hand, skipped=()), now)
            timeline = build(events, rules, by_hand) if known else None
        except Exception:
            # One agent's data must not stop the others: what is in memory stays in force.
            log.exception("A timeline could not be worked out", action="agent_quarantined", agent=email)
            return None
        return timeline, len(usable) == len(mine)

    # -- what is shown ---------------------------------------------------------------------------------------------

    async def all_events(
        self, after: float, before: float, agent: str | None = None
    ) -> dict[str, list[tuple[str, Event]]]:
        """By agent, the events that are in force, each with its calendar; ServiceError if that cannot be told."""
        return await self._overlay.all_events(after, before, agent)

    @property
    def unwritten(self) -> bool:
        """Whether what calendars say can be written nowhere, and waits."""
        return self._overlay.failing

    @property
    def began(self) -> bool:
        """Whether it was told whose calendars to follow."""
        return self._began_at is not None

    def untried(self) -> list[str]:
        """Which calendars have not been tried, within the grace of the start."""
        if self._began_at is not None and self._clock.now() >= self._began_at + GRACE_SECONDS:
            return []
        return [calendar.key for calendar in self.calendars.values() if not calendar.tried]

    def measure(self, now: float) -> None:
        """Bring the gauges up to date."""
        calendars = self.calendars.values()
        # Those that only a human can bring back are told by number: beside their age no other's would be seen.
        read = [one.synced_at for one in calendars if one.synced_at is not None and not one.suspended]
        self._metrics.calendar_age(now - min(read, default=now))
        counts: dict[Health, int] = dict.fromkeys(("healthy", "unverified", "expired", "silent", "off"), 0)
        for calendar in calendars:
            counts[self._push.health(calendar, now)] += 1
        self._metrics.channels(counts)
        self._metrics.suspended(self.losses.counts())
