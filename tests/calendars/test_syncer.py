"""The syncer with the real store and clock, and a model of Google."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from calsyncd.calendars import Pace, Push, Syncer
from calsyncd.clock import SystemClock
from calsyncd.core.channels import Notification, Opened, Verdict, token_of
from calsyncd.core.rules import Rules
from calsyncd.core.sync import rfc3339
from calsyncd.core.timeline import Timeline
from calsyncd.errors import Refused, ServiceError, Unavailable
from calsyncd.metrics import Metrics
from calsyncd.scheduler import Scheduler
from calsyncd.store import Store

AMY, TEAM = "amy@example.com", "team@group.example.com"
KEY = b"k" * 32
ADDRESS = "https://demo.calsyncd.test/webhooks/google/notifications"


class ModelGoogle:
    """Calendars by id: the events of the next answer. `fault` may raise instead of one; `gate` holds answers up."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.fault: Callable[[str], ServiceError | None] = lambda _calendar: None
        self.gate = asyncio.Event()
        self.gate.set()
        self.lists: list[tuple[float, str, dict[str, str]]] = []
        self.watched: list[str] = []
        self.stopped: list[str] = []
        self.before_watch: Callable[[str], None] = lambda _channel: None
        self._now = now

    async def list_events(self, subject: str, calendar: str, query: Mapping[str, str]) -> Any:
        del subject
        self.lists.append((self._now(), calendar, dict(query)))
        items = list(self.events.get(calendar, []))
        await self.gate.wait()
        error = self.fault(calendar)
        if error is not None:
            raise error
        return {"items": items, "timeZone": "UTC", "nextSyncToken": f"t{len(self.lists)}"}

    async def watch(self, subject: str, calendar: str, *, channel: str, token: str, address: str) -> Opened:
        del subject, calendar, address
        assert token == token_of(KEY, channel)
        self.before_watch(channel)
        self.watched.append(channel)
        return Opened("resource", self._now() + 7 * 86400)

    async def stop(self, subject: str, *, channel: str, resource: str) -> None:
        del subject, resource
        self.stopped.append(channel)


class Room:
    """A running syncer, and what it told."""

    def __init__(self, store: Store, address: str | None) -> None:
        self.clock = SystemClock()
        self.scheduler = Scheduler(self.clock)
        self.google = ModelGoogle(self.clock.now)
        self.store = store
        self.told: dict[str, tuple[Timeline | None, bool]] = {}
        self.news = asyncio.Event()
        self.push = Push(self.scheduler, google=self.google, cache=store, address=address, key=KEY, chance=lambda: 0.5)
        self.push.accepting = True
        self.syncer = Syncer(
            self.scheduler,
            google=self.google,
            cache=store,
            push=self.push,
            metrics=Metrics("test"),
            told=self._told,
            pace=Pace(horizon=14 * 86400.0, with_push=None, without_push=120.0, requests_per_day=500_000),
            chance=lambda: 0.5,
        )

    def _told(self, email: str, timeline: Timeline | None, now: float, *, complete: bool) -> None:
        del now
        self.told[email] = (timeline, complete)
        self.news.set()

    def event(self, name: str, start: float, end: float) -> dict[str, Any]:
        """An event from `start` to `end` seconds from now."""
        now = self.clock.now()
        return {"id": name, "start": {"dateTime": rfc3339(now + start)}, "end": {"dateTime": rfc3339(now + end)}}

    def busy(self) -> bool:
        """Whether Amy is in a meeting now, by what was told last."""
        timeline = self.told[AMY][0]
        return timeline is not None and timeline.span_at(self.clock.now()) is not None

    async def until(self, what: Callable[[], bool]) -> None:
        """Wait for something to be so."""
        async with asyncio.timeout(10):
            while not what():
                await asyncio.sleep(0.01)

    def notification(self, channel: str) -> Notification:
        """A genuine message of a channel."""
        uri = f"https://www.googleapis.com/calendar/v3/calendars/{AMY.replace('@', '%40')}/events?alt=json"
        return Notification(channel, token_of(KEY, channel), "exists", resource_id="resource", resource_uri=uri)


@pytest.fixture(params=[ADDRESS])
async def room(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Room]:
    """A syncer on a real store, turning."""
    async with Store.open(tmp_path / "calsyncd.db") as store:
        made = Room(store, request.param)
        loop = asyncio.create_task(made.scheduler.run())
        yield made
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        await made.scheduler.finish(1.0)
        made.clock.close()


def gone(calendar: str) -> Callable[[str], ServiceError | None]:
    """404 for one calendar."""
    return lambda asked: (
        Refused("404", service="google", code="calendar_gone", status=404) if asked == calendar else None
    )


async def test_a_burst_leads_to_two_fetches(room: Room) -> None:
    """One fetch at once, then one after two seconds, however many messages come."""
    room.syncer.follow({AMY: (["primary"], Rules())})
    await room.until(lambda: AMY in room.told and bool(room.google.watched))
    await asyncio.sleep(2.1)
    before = len(room.google.lists)

    began = room.clock.now()
    for _ in range(50):
        assert room.push.notify(room.notification(room.google.watched[0])) is Verdict.GENUINE
        await asyncio.sleep(0.01)
    await asyncio.sleep(2.6)

    times = [at - began for at, _, _ in room.google.lists[before:]]
    assert len(times) == 2
    assert times[0] < 0.2
    assert times[1] - times[0] >= 2.0


async def test_a_message_during_a_fetch_leads_to_another(room: Room) -> None:
    """What changes while a fetch is under way is fetched too."""
    room.syncer.follow({AMY: (["primary"], Rules())})
    await room.until(lambda: AMY in room.told and bool(room.google.watched))
    room.google.gate.clear()
    room.push.notify(room.notification(room.google.watched[0]))
    before = len(room.google.lists)
    await room.until(lambda: len(room.google.lists) > before)
    room.google.events["primary"] = [room.event("late", -60, 600)]
    room.push.notify(room.notification(room.google.watched[0]))

    room.google.gate.set()
    await room.until(room.busy)

    assert len(room.google.lists) == before + 2


async def test_a_calendar_that_is_not_followed_any_more(room: Room) -> None:
    """Its events stop counting at once."""
    room.google.events[TEAM] = [room.event("e", -60, 600)]
    room.syncer.follow({AMY: (["primary", TEAM], Rules())})
    await room.until(lambda: AMY in room.told and room.busy())

    room.syncer.follow({AMY: (["primary"], Rules())})

    await room.until(lambda: not room.busy())


async def test_other_rules_are_told_at_once(room: Room) -> None:
    """A lead that begins now counts now."""
    room.google.events["primary"] = [room.event("e", 100, 600)]
    room.syncer.follow({AMY: (["primary"], Rules())})
    await room.until(lambda: AMY in room.told)
    assert not room.busy()

    room.syncer.follow({AMY: (["primary"], Rules(lead=300.0))})

    await room.until(room.busy)


async def test_a_calendar_that_never_could_be_read(room: Room) -> None:
    """Once only a human can mend it, it keeps nobody in a meeting that the readable one has cancelled."""
    room.google.fault = gone(TEAM)
    room.syncer.follow({AMY: (["primary", TEAM], Rules())})
    await room.until(lambda: room.syncer.calendars[f"{AMY}/{TEAM}"].failures > 0)

    for _ in range(3):
        await asyncio.wait_for(room.syncer.sync(AMY), 10)

    await room.until(lambda: AMY in room.told and room.told[AMY][1])
    assert room.syncer.calendars[f"{AMY}/{TEAM}"].suspended


async def test_sync_by_hand_returns(room: Room) -> None:
    """It waits for the fetch, a failed one too, and not for a calendar that is dropped meanwhile."""
    room.google.fault = lambda _calendar: Unavailable("503", service="google", code="server", status=503)
    room.syncer.follow({AMY: (["primary"], Rules())})
    await asyncio.wait_for(room.syncer.sync(AMY), 10)
    room.google.gate.clear()

    waiting = asyncio.create_task(room.syncer.sync(AMY))
    await asyncio.sleep(0.05)
    room.syncer.follow({})
    room.google.gate.set()

    await asyncio.wait_for(waiting, 10)


async def test_a_channel_is_stored_before_it_is_asked_for(room: Room) -> None:
    """The first message may overtake Google's answer: it finds its channel, and is kept."""
    seen: list[Verdict] = []
    room.google.before_watch = lambda channel: seen.append(room.push.notify(room.notification(channel)))

    room.syncer.follow({AMY: (["primary"], Rules())})
    await room.until(lambda: bool(room.google.watched))
    await asyncio.sleep(0.1)

    (stored,) = await room.store.channels()
    assert seen == [Verdict.GENUINE]
    assert stored.verified_at is not None
    assert stored.expires_at is not None


async def test_messages_of_nobodys_channels(room: Room) -> None:
    """Forged: unknown. Ours by its token though not known any more: taken, and stopped once."""
    room.syncer.follow({AMY: (["primary"], Rules())})
    await room.until(lambda: bool(room.google.watched))
    forged = Notification("orphan", "c1.forged", "exists")

    verdicts = [room.push.notify(forged)]
    verdicts += [room.push.notify(room.notification("orphan")) for _ in range(5)]
    await room.until(lambda: bool(room.google.stopped))
    room.push.accepting = False
    verdicts.append(room.push.notify(room.notification("orphan")))

    assert verdicts == [Verdict.UNKNOWN, *[Verdict.GENUINE] * 5, Verdict.BUSY]
    assert room.google.stopped == ["orphan"]
