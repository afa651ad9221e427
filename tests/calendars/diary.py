"""Calendars on virtual time: the real syncer, push and store; a model Google that pages, fails and takes its time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from calsyncd.calendars import Pace, Push, Syncer
from calsyncd.core.byhand import NOTHING, ByHand
from calsyncd.core.channels import Channel, Notification, Opened, token_of
from calsyncd.core.model import Event
from calsyncd.core.rules import Rules
from calsyncd.core.sync import Bookmark, Changes, rfc3339
from calsyncd.core.timeline import Timeline
from calsyncd.errors import ServiceError, Unavailable
from calsyncd.metrics import Metrics
from calsyncd.scheduler import Scheduler
from calsyncd.store import Store
from tests.phones.virtual import VirtualClock

AMY, BOB = "amy@example.com", "bob@example.com"
KEY = b"k" * 32
ADDRESS = "https://demo.calsyncd.test/webhooks/google/notifications"
WEEK = 7 * 86400.0


def lost() -> Unavailable:
    """An answer that never came: it may have been done all the same."""
    return Unavailable("lost", service="google", code="timeout", landed=True)


class ModelGoogle:
    """Calendars by id, in pages of `page_size`; what `fault` or `shut_out` returns is raised after `seconds`."""

    def __init__(self, clock: VirtualClock) -> None:
        self.events: dict[str, dict[str, dict[str, Any]]] = {}
        self.zone = "UTC"
        self.page_size = 100
        self.seconds = 0.1
        self.fault: Callable[[str, Mapping[str, str]], ServiceError | None] = lambda _calendar, _query: None
        self.shut_out: Callable[[str], ServiceError | None] = lambda _subject: None
        self.asked: list[str] = []
        self.watch_fault: ServiceError | None = None
        self.stop_fault: ServiceError | None = None
        self.lists: list[tuple[float, str, dict[str, str]]] = []
        self.watches: list[tuple[float, str]] = []
        self.living: dict[str, tuple[str, float]] = {}
        self.most_living = 0
        self.most_channels: int | None = None
        self.stopped: list[tuple[float, str]] = []
        self._clock = clock

    async def list_events(self, subject: str, calendar: str, query: Mapping[str, str]) -> Any:
        """A page of the calendar as it is now; a delta names everything again, which is allowed."""
        self.lists.append((self._clock.monotonic(), calendar, dict(query)))
        self.asked.append(subject)
        await self._clock.sleep(self.seconds)
        error = self.fault(calendar, query) or self.shut_out(subject)
        if error is not None:
            raise error
        items = list(self.events.get(calendar, {}).values())
        start = int(query.get("pageToken", "0"))
        page: dict[str, Any] = {"items": items[start : start + self.page_size], "timeZone": self.zone}
        if start + self.page_size < len(items):
            return page | {"nextPageToken": str(start + self.page_size)}
        return page | {"nextSyncToken": f"t{len(self.lists)}"}

    async def watch(self, subject: str, calendar: str, *, channel: str, token: str, address: str) -> Opened:
        """Open a channel; it lives even when the answer is lost."""
        del token, address
        now = self._clock.now()
        self.watches.append((self._clock.monotonic(), subject))
        self.living = {name: known for name, known in self.living.items() if known[1] > now}
        if self.most_channels is not None and len(self.living) >= self.most_channels:
            raise Unavailable("too many channels", service="google", code="rate_limited", status=403, landed=False)
        self.living[channel] = (calendar, now + WEEK)
        self.most_living = max(self.most_living, len(self.living))
        await self._clock.sleep(self.seconds)
        if self.watch_fault is not None:
            raise self.watch_fault
        return Opened(f"resource of {calendar}", now + WEEK)

    async def stop(self, subject: str, *, channel: str, resource: str) -> None:
        """Close a channel."""
        del subject, resource
        self.stopped.append((self._clock.monotonic(), channel))
        await self._clock.sleep(self.seconds)
        if self.stop_fault is not None:
            raise self.stop_fault
        self.living.pop(channel, None)


class Shelf:
    """The real store, which knows whether its thread is at work: then no virtual time may pass."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.at_work = 0
        self.poison: Event | None = None

    async def apply(self, key: str, agent: str, changes: Changes, now: float) -> None:
        with _Working(self):
            await self.store.apply(key, agent, changes, now)

    async def touch_calendar(self, key: str, bookmark: Bookmark, now: float) -> None:
        with _Working(self):
            await self.store.touch_calendar(key, bookmark, now)

    async def events(self, agent: str, calendars: Iterable[str], after: float, before: float) -> list[Event]:
        with _Working(self):
            found = await self.store.events(agent, calendars, after, before)
        return [*found, self.poison] if self.poison is not None and agent == AMY else found

    async def all_events(
        self, after: float, before: float, agent: str | None = None
    ) -> dict[str, list[tuple[str, Event]]]:
        with _Working(self):
            return await self.store.all_events(after, before, agent)

    async def count_events(self, key: str, after: float) -> int:
        with _Working(self):
            return await self.store.count_events(key, after)

    async def forget_calendars(self, keep: Iterable[str]) -> None:
        with _Working(self):
            await self.store.forget_calendars(keep)

    async def save_channel(self, channel: Channel) -> None:
        with _Working(self):
            await self.store.save_channel(channel)

    async def forget_channel(self, channel_id: str) -> None:
        with _Working(self):
            await self.store.forget_channel(channel_id)


class _Working:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def __enter__(self) -> None:
        self._shelf.at_work += 1

    def __exit__(self, *_: object) -> None:
        self._shelf.at_work -= 1


class Diary:
    """A running syncer: `told` is what it last said of each agent, `time` seconds since it began."""

    def __init__(
        self, folder: Path, *, push: bool = False, requests_per_day: int = 500_000, horizon: float = 14 * 86400.0
    ) -> None:
        self._path = folder / "calsyncd.db"
        self._with_push = push
        self._requests_per_day, self._horizon = requests_per_day, horizon
        self.clock = VirtualClock()
        self.scheduler = Scheduler(self.clock)
        self.metrics = Metrics("test")
        self.google = ModelGoogle(self.clock)
        self.told: dict[str, tuple[Timeline | None, bool]] = {}
        self.tellings = 0
        self.said: dict[str, ByHand] = {}
        self.zones: dict[str, str | None] = {}

    async def __aenter__(self) -> Self:
        self._opened = Store.open(self._path)
        self.shelf = Shelf(await self._opened.__aenter__())
        self.clock.elsewhere = lambda: self.shelf.at_work > 0
        self.push = Push(
            self.scheduler,
            google=self.google,
            cache=self.shelf,
            address=ADDRESS if self._with_push else None,
            key=KEY,
            chance=lambda: 0.5,
        )
        self.push.accepting = True
        self.syncer = Syncer(
            self.scheduler,
            google=self.google,
            cache=self.shelf,
            push=self.push,
            metrics=self.metrics,
            told=self._told,
            pace=Pace(
                horizon=self._horizon, with_push=None, without_push=120.0, requests_per_day=self._requests_per_day
            ),
            chance=lambda: 0.5,
            withdraw=self._withdraw,
            by_hand=lambda email: self.said.get(email, NOTHING),
            zone=lambda email: self.zones.get(email, ""),
        )
        self._loop = asyncio.create_task(self.scheduler.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.cancel()
        await asyncio.gather(self._loop, return_exceptions=True)
        await self.scheduler.finish(0.0)
        await self._opened.__aexit__(kind, error, trace)

    def _told(self, email: str, timeline: Timeline | None, now: float, *, complete: bool) -> None:
        del now
        self.told[email] = (timeline, complete)
        self.tellings += 1

    def _withdraw(self, email: str, timeline: Timeline | None) -> bool:
        self.told[email] = (timeline, True)
        return True

    @property
    def time(self) -> float:
        """Seconds since it began."""
        return self.clock.monotonic()

    async def a_while(self, seconds: float) -> None:
        """Let time pass; what kills the loop is raised here."""
        await self.clock.advance(seconds)
        if self._loop.done():
            self._loop.result()

    def follow(self, *agents: str, calendars: Iterable[str] = ("primary",)) -> None:
        """Follow these agents, each with these calendars."""
        names = list(calendars)
        self.syncer.follow({email: (names, Rules()) for email in agents})

    def event(self, calendar: str, name: str, start: float, end: float) -> None:
        """An event from and to so many seconds from now."""
        now = self.clock.now()
        self.google.events.setdefault(calendar, {})[name] = {
            "id": name,
            "start": {"dateTime": rfc3339(now + start)},
            "end": {"dateTime": rfc3339(now + end)},
            "updated": rfc3339(now),
        }

    def cancel(self, calendar: str, name: str) -> None:
        """The event is cancelled."""
        self.google.events[calendar][name] = {"id": name, "status": "cancelled", "updated": rfc3339(self.clock.now())}

    def busy(self, email: str = AMY) -> bool:
        """Whether the agent is in a meeting now, by what was told last."""
        timeline = self.told[email][0]
        return timeline is not None and timeline.span_at(self.clock.now()) is not None

    def message(self, channel: str, calendar: str = AMY) -> Notification:
        """A genuine message of a channel."""
        uri = f"https://www.googleapis.com/calendar/v3/calendars/{calendar.replace('@', '%40')}/events?alt=json"
        return Notification(channel, token_of(KEY, channel), "exists", resource_id="resource", resource_uri=uri)
