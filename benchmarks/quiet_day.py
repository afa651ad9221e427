"""Requests to Google on a quiet day behind healthy push: the daemon's own rooms for calendars on a virtual clock."""

# ruff: noqa: ARG002 - what is taken is what the rooms hand over

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.dispatch.virtual import VirtualClock, VirtualLoop, play
from benchmarks.filled import ADDRESS, CHANNEL_SECONDS, DAY, DAYS, addresses
from calsyncd import logs
from calsyncd.calendars import Pace, Push, Syncer, key_of
from calsyncd.core import channels
from calsyncd.core.channels import Channel, Notification, Opened
from calsyncd.core.model import Event
from calsyncd.core.rules import Rules
from calsyncd.core.sync import Bookmark, Changes, Stored, fingerprint, quota_user
from calsyncd.metrics import Metrics
from calsyncd.scheduler import Scheduler

OPENED = 1_800_000_000.0
WARM_SECONDS = 3600.0
"""After a start everybody is read at once; a day is counted when that is over."""

REQUESTS_PER_DAY = 500_000
"""The default of `google.requests_per_day`."""

_KEY = bytes(32)


class _Google:
    """Where nothing ever changes: counts what it is asked, and opens channels, which say so."""

    def __init__(self, clock: VirtualClock) -> None:
        self.asked: Counter[str] = Counter()
        self.push: Push
        self._clock = clock

    async def list_events(self, subject: str, calendar: str, query: Mapping[str, str]) -> Any:
        """A page without news."""
        self.asked["deltas" if "syncToken" in query else "baselines"] += 1
        await asyncio.sleep(0)
        return {"timeZone": "UTC", "nextSyncToken": "token", "accessRole": "owner"}

    async def watch(self, subject: str, calendar: str, *, channel: str, token: str, address: str) -> Opened:
        """Open a channel for a week; its first message comes at once."""
        self.asked["channels"] += 1
        asyncio.get_running_loop().call_soon(self.push.notify, Notification(channel, token, "sync", "resource"))
        await asyncio.sleep(0)
        return Opened("resource", self._clock.now() + CHANNEL_SECONDS)

    async def stop(self, subject: str, *, channel: str, resource: str) -> None:
        """Close a channel."""
        self.asked["channels"] += 1


class _Nothing:
    """A store where there is nothing to keep: how often Google is asked does not hang on what events there are."""

    async def apply(self, key: str, agent: str, changes: Changes, now: float) -> None:
        """Taken in."""

    async def touch_calendar(self, key: str, bookmark: Bookmark, now: float) -> None:
        """Nothing changed."""

    async def events(self, agent: str, calendars: Iterable[str], after: float, before: float) -> list[Event]:
        """None."""
        return []

    async def all_events(
        self, after: float, before: float, agent: str | None = None
    ) -> dict[str, list[tuple[str, Event]]]:
        """None."""
        return {}

    async def count_events(self, key: str, after: float) -> int:
        """None."""
        return 0

    async def forget_calendars(self, keep: Iterable[str]) -> None:
        """Forgotten."""

    async def save_channel(self, channel: Channel) -> None:
        """Kept."""

    async def forget_channel(self, channel_id: str) -> None:
        """Forgotten."""


def requests(agents: int, seconds: float) -> Counter[str]:
    """What Google is asked in so many seconds, by kind."""
    logs.configure("error")
    loop = VirtualLoop()
    found: Counter[str] = Counter()
    play(loop, _live(VirtualClock(loop, OPENED), addresses(agents), seconds, found))
    return found


async def _live(clock: VirtualClock, emails: Sequence[str], seconds: float, found: Counter[str]) -> None:
    chance = random.Random(1).random  # noqa: S311 - spreads polls
    scheduler, google, cache = Scheduler(clock), _Google(clock), _Nothing()
    push = Push(scheduler, google=google, cache=cache, address=ADDRESS, key=_KEY, chance=chance)
    google.push = push
    syncer = Syncer(
        scheduler,
        google=google,
        cache=cache,
        push=push,
        metrics=Metrics("bench"),
        told=lambda *_, **__: None,
        pace=Pace(DAYS * DAY, with_push=None, without_push=120.0, requests_per_day=REQUESTS_PER_DAY),
        chance=chance,
    )
    now, rules = clock.now(), Rules()
    syncer.follow({email: ((email,), rules) for email in emails})
    mark = {email: Bookmark("token", fingerprint(quota_user(email), DAYS * DAY), "UTC", now) for email in emails}
    syncer.restore(
        {key_of(email, email): Stored(mark[email], now) for email in emails},
        [_open(email, number / len(emails), now, chance()) for number, email in enumerate(emails)],
    )
    push.accepting = True
    turning = asyncio.ensure_future(scheduler.run())
    await clock.sleep(WARM_SECONDS)
    before = Counter(google.asked)
    await clock.sleep(seconds)
    found.update(google.asked - before)
    turning.cancel()


def _open(email: str, part: float, now: float, chance: float) -> Channel:
    """A channel that has been open for some part of the time after which another is opened."""
    life = channels.renew_at(0.0, CHANNEL_SECONDS, chance)
    opened = now - part * life
    return Channel(
        *(f"of-{email}", key_of(email, email), ADDRESS, opened, "resource", opened + CHANNEL_SECONDS),
        *(opened + life, opened),
    )
