"""Google's push channels of all calendars: taking messages, opening, renewing and stopping.

A message is genuine by its channel's id and its token alone, both of which survive the loss of the database. Taking
one sets flags in memory and nothing else, so that it is answered in a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from calsyncd.calendars.calendar import Calendar
from calsyncd.core import channels
from calsyncd.core.channels import Channel, Health, Notification, Opened, Verdict
from calsyncd.core.retry import backoff
from calsyncd.core.troubles import trouble
from calsyncd.errors import CHANNEL_ID_TAKEN, PUSH_NOT_SUPPORTED, Refused, ServiceError, Unavailable
from calsyncd.logs import get_logger
from calsyncd.scheduler import Scheduler

AT_ONCE = 4
RETRY_SECONDS = 60 * 60.0
FIRST_RETRY_SECONDS = 5.0
RETRY_CAP_SECONDS = 10 * 60.0
AFTER_END_SECONDS = 1.0
ORPHAN_SECONDS = 60.0
ORPHANS_KEPT = 1000

log = get_logger(__name__)


class Google(Protocol):
    """What is asked of Google."""

    async def watch(self, subject: str, calendar: str, *, channel: str, token: str, address: str) -> Opened:
        """Open a channel."""
        ...

    async def stop(self, subject: str, *, channel: str, resource: str) -> None:
        """Close a channel."""
        ...


class Cache(Protocol):
    """Where channels are kept."""

    async def save_channel(self, channel: Channel) -> None:
        """Keep a channel."""
        ...

    async def forget_channel(self, channel_id: str) -> None:
        """Forget a channel."""
        ...


class Push:
    """All push channels. `address` is where messages are to go, None for no push; `key` proves them ours.

    `heard_at` is when the last genuine message came, epoch seconds. `unreachable` may be replaced: while it says so,
    messages cannot arrive.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        google: Google,
        cache: Cache,
        address: str | None,
        key: bytes,
        chance: Callable[[], float],
    ) -> None:
        self.accepting = False
        self.heard_at = 0.0
        self.unreachable: Callable[[], bool] = _never
        self._scheduler = scheduler
        self._clock = scheduler.clock
        self._google = google
        self._cache = cache
        self._address = address
        self._key = key
        self._chance = chance
        self._calendars: dict[str, Calendar] = {}
        self._of_channel: dict[str, Calendar] = {}
        self._orphans: dict[str, float] = {}
        self._changed: Callable[[Calendar], None] = _nobody
        self._gate = asyncio.Semaphore(AT_ONCE)
        scheduler.handle("push", lambda key, _: self._due(key))

    def listen(self, changed: Callable[[Calendar], None]) -> None:
        """Call `changed(calendar)` for each message that tells of a change."""
        self._changed = changed

    # -- whose channels --------------------------------------------------------------------------------------------

    def restore(self, known: Iterable[Channel], calendars: dict[str, Calendar]) -> None:
        """Take up stored channels."""
        for channel in known:
            calendar = calendars.get(channel.calendar)
            if calendar is not None:
                calendar.channels[channel.id] = channel
                self._of_channel[channel.id] = calendar

    def keep(self, calendar: Calendar) -> None:
        """See to the calendar's channels now, and from now on."""
        self._calendars[calendar.key] = calendar
        if self._address is not None or calendar.channels:
            self._scheduler.at("push", calendar.key, self._clock.now())

    def drop(self, calendar: Calendar) -> None:
        """Stop the channels of a calendar that is not followed any more."""
        self._scheduler.start(self.stop(calendar), f"stop {calendar.key}")

    async def end(self, calendar: Calendar) -> None:
        """As `drop` for good: a channel is forgotten once Google was told, since soon nobody can stop it any more.

        Unavailable: Google could not be told; it is to be called again.
        """
        self._let_be(calendar)
        for channel in list(calendar.channels.values()):
            await self._ask_to_stop(calendar, channel)
            await self._let_go(calendar, channel)

    def _let_be(self, calendar: Calendar) -> None:
        self._calendars.pop(calendar.key, None)
        self._scheduler.at("push", calendar.key, None)

    async def stop(self, calendar: Calendar) -> None:
        """As `drop`, and return when Google was told."""
        self._let_be(calendar)
        await asyncio.gather(*(self._stop(calendar, channel) for channel in list(calendar.channels.values())))

    def health(self, calendar: Calendar, now: float) -> Health:
        """How far push is to be trusted for a calendar."""
        return channels.health(
            calendar.channels.values(),
            wanted=self._address is not None and not calendar.push_refused,
            heard_at=calendar.heard_at,
            missed_at=calendar.missed_at,
            now=now,
            unreachable=self.unreachable(),
        )

    # -- what arrives ----------------------------------------------------------------------------------------------

    def notify(self, notification: Notification) -> Verdict:
        """Take one message."""
        if not channels.is_genuine(self._key, notification.channel_id, notification.token):
            return Verdict.UNKNOWN
        if not self.accepting:
            return Verdict.BUSY
        now = self.heard_at = self._clock.now()
        calendar = self._of_channel.get(notification.channel_id)
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
            self._scheduler.start(self._save_current(calendar, known.id), f"channel {calendar.key}")
            self._scheduler.at("push", calendar.key, now)
        calendar.heard_at = now
        self._changed(calendar)
        return Verdict.GENUINE

    def _orphan(self, notification: Notification, now: float) -> None:
        """A message that is ours by its token, of a channel that was lost: stop it with what the message says."""
        name = channels.calendar_in_uri(notification.resource_uri or "")
        owner = next((one for one in self._calendars.values() if name in (one.id, one.agent)), None)
        if owner is None or notification.resource_id is None:
            return
        self._changed(owner)
        if owner.loss is not None:
            # It could not be stopped now; should it speak again later, it is.
            return
        if now - self._orphans.get(notification.channel_id, 0.0) < ORPHAN_SECONDS:
            return
        if len(self._orphans) >= ORPHANS_KEPT:
            self._orphans.pop(next(iter(self._orphans)))
        self._orphans[notification.channel_id] = now
        log.info("A channel that is not known any more is stopped", action="orphan_stopped", calendar=owner.key)
        orphan = Channel(notification.channel_id, owner.key, "", now, resource=notification.resource_id)
        self._scheduler.start(self._stop(owner, orphan), f"stop {owner.key}")

    # -- upkeep ----------------------------------------------------------------------------------------------------

    def _due(self, key: str) -> None:
        calendar = self._calendars.get(key)
        # Of what cannot be read nothing can be watched: `keep` is called as soon as it is read again.
        if calendar is not None and not calendar.keeping and calendar.loss is None:
            calendar.keeping = True
            self._scheduler.start(self._upkeep(calendar), f"push {key}")

    async def _upkeep(self, calendar: Calendar) -> None:
        async with self._gate:
            if calendar.loss is not None:
                calendar.keeping = False
                return
            now = self._clock.now()
            address = None if calendar.push_refused else self._address
            needed = channels.upkeep(calendar.channels.values(), address, now)
            again = needed.again
            for channel in needed.forget:
                await self._let_go(calendar, channel)
                # What kept another from being opened may have been this one.
                calendar.push_failures = 0
            for channel in needed.stop:
                await self._stop(calendar, channel)
            if needed.create and address is not None:
                again = await self._open(calendar, address, now)
            calendar.keeping = False
        if not calendar.removed:
            self._scheduler.at("push", calendar.key, again)

    async def _open(self, calendar: Calendar, address: str, now: float) -> float:
        """Open a channel; when its upkeep is due next. The row is stored first: the first message may overtake."""
        channel = Channel(str(uuid.uuid4()), calendar.key, address, now)
        calendar.channels[channel.id] = channel
        self._of_channel[channel.id] = calendar
        await self._save(channel)
        token = channels.token_of(self._key, channel.id)
        try:
            opened = await self._google.watch(
                calendar.agent, calendar.id, channel=channel.id, token=token, address=address
            )
        except ServiceError as error:
            if not (isinstance(error, Unavailable) and error.landed):
                await self._let_go(calendar, channel)
            return self._open_failed(calendar, error)
        calendar.push_failures, calendar.push_trouble = 0, None
        # The first message may have come meanwhile: what it told is kept.
        known = replace(
            calendar.channels.get(channel.id, channel),
            resource=opened.resource,
            expires_at=opened.expires_at,
            renew_at=channels.renew_at(now, opened.expires_at, self._chance()),
        )
        if calendar.removed:
            # Dropped while the answer was on its way: nobody is left who would stop it.
            await self._stop(calendar, known)
            return now
        calendar.channels[channel.id] = known
        await self._save(known)
        log.info("A push channel is open", action="channel_opened", calendar=calendar.key, channel=channel.id)
        return channels.upkeep(calendar.channels.values(), address, self._clock.now()).again or now

    def _open_failed(self, calendar: Calendar, error: ServiceError) -> float:
        """When to try again."""
        calendar.push_failures += 1
        log.warning(
            "A push channel could not be opened: the calendar is polled",
            action="channel_failed",
            calendar=calendar.key,
            code=error.code,
            why=str(error),
        )
        now = self._clock.now()
        if error.code == PUSH_NOT_SUPPORTED:
            calendar.push_refused = True
            return now + RETRY_SECONDS
        if isinstance(error, Refused) and error.code != CHANNEL_ID_TAKEN:
            known = calendar.push_trouble
            since = known.since if known is not None and known.code == error.code else now
            calendar.push_trouble = trouble(error.code, since, str(error))
            wait = RETRY_SECONDS
        else:
            wait = backoff(calendar.push_failures, self._chance(), first=FIRST_RETRY_SECONDS, cap=RETRY_CAP_SECONDS)
        # How many channels a calendar may have is not established: with the end of one there is room for another.
        ends = [one.expires_at + AFTER_END_SECONDS for one in calendar.channels.values() if one.expires_at is not None]
        return min([now + wait, *(end for end in ends if end > now)])

    async def _stop(self, calendar: Calendar, channel: Channel) -> None:
        await self._let_go(calendar, channel)
        # It expires by itself; should it speak again, its token proves it ours and it is stopped then.
        with contextlib.suppress(Unavailable):
            await self._ask_to_stop(calendar, channel)

    async def _ask_to_stop(self, calendar: Calendar, channel: Channel) -> None:
        if channel.resource is None:
            return
        try:
            await self._google.stop(calendar.agent, channel=channel.id, resource=channel.resource)
        except ServiceError as error:
            log.info("A channel could not be stopped", action="stop_failed", calendar=calendar.key, why=str(error))
            if isinstance(error, Unavailable):
                raise

    async def _save_current(self, calendar: Calendar, channel_id: str) -> None:
        """Save what is known by now: Google's answer may have come since this was asked for."""
        channel = calendar.channels.get(channel_id)
        if channel is not None:
            await self._save(channel)

    async def _save(self, channel: Channel) -> None:
        try:
            await self._cache.save_channel(channel)
        except ServiceError as error:
            # A channel that is not stored is, after a restart, an orphan that can be proved ours.
            log.warning("The database does not answer", action="store_failed", why=str(error))

    async def _let_go(self, calendar: Calendar, channel: Channel) -> None:
        calendar.channels.pop(channel.id, None)
        self._of_channel.pop(channel.id, None)
        try:
            await self._cache.forget_channel(channel.id)
        except ServiceError as error:
            log.warning("The database does not answer", action="store_failed", why=str(error))


def _never() -> bool:
    return False


def _nobody(calendar: Calendar) -> None:
    """Nobody listens yet."""
