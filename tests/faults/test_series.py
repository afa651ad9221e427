"""Series that are edited in every way, and months that pass: what is stored is what a whole read would show."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.auth import crypt

from calsyncd.core.model import Event
from calsyncd.core.sync import BaselineNeededError, Bookmark, Changes, Fetch, next_baseline
from calsyncd.errors import Refused
from calsyncd.google.auth import ServiceAccountTokens
from calsyncd.google.calendar import CalendarApi
from calsyncd.http import Http
from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.server import Refusal
from calsyncd.sandbox.world import Sandbox
from calsyncd.store import Store
from tests.faults.depth import rounds
from tests.google.clock import Time

AMY = "amy@example.com"
KEY = f"{AMY}/primary"
HOUR, DAY = 3600.0, 86400.0
HORIZON = 14 * DAY
SEEDS = range(rounds(2, 200))
STEPS = 12
MOST_AT_ONCE = 4


class Year:
    """Amy's calendar at the sandbox, her events in a store, and a year that passes in leaps."""

    def __init__(self, sandbox: Sandbox, api: CalendarApi, store: Store, clock: Time, seed: int = 0) -> None:
        self.google = sandbox.google
        self.api = api
        self.store = store
        self.clock = clock
        self.chance = random.Random(seed)
        self.bookmark: Bookmark | None = None
        self.known: set[str] = set()
        self.told: list[str] = []
        self.shown: list[Event] = []

    # -- what people do --------------------------------------------------------------------------------------------

    def edit(self) -> None:
        """Somebody changes something."""
        deeds = [self.invite, self.invite, self.move_one, self.cancel_one, self.shift_all, self.end_it, self.delete_it]
        deed = self.chance.choice(deeds)
        self.told.append(deed.__name__)
        with contextlib.suppress(Refusal):
            deed()

    def _times(self, start: float) -> dict[str, Any]:
        end = start + self.chance.choice([900.0, HOUR, 3 * HOUR])
        return {name: {"dateTime": second(at), "timeZone": "UTC"} for name, at in (("start", start), ("end", end))}

    def _soon(self, most_days: float = 20.0) -> float:
        return self.clock.right() // 900 * 900 + self.chance.uniform(-1.0, most_days) * DAY // 900 * 900

    def invite(self) -> None:
        """A meeting, once or again and again, with an end or without."""
        if len(self.known) >= MOST_AT_ONCE:
            return
        rule = self.chance.choice(["", "FREQ=DAILY;COUNT=30", "FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=MO,WE;COUNT=12"])
        event = {"summary": "x", **self._times(self._soon())}
        made = self.google.insert(AMY, event | ({"recurrence": [f"RRULE:{rule}"]} if rule else {}))
        self.known.add(str(made["id"]))

    def _one(self) -> str | None:
        return self.chance.choice(sorted(self.known)) if self.known else None

    def _instance(self) -> str | None:
        """One meeting, also one of a series."""
        known = [event for event in self.shown if event.id.partition("_")[0] in self.known]
        return self.chance.choice(known).id if known else None

    def move_one(self) -> None:
        """One meeting of a series goes elsewhere: perhaps to a month in which nobody looks yet."""
        if (instance := self._instance()) is not None:
            self.google.patch(AMY, instance, self._times(self._soon(40.0)))

    def cancel_one(self) -> None:
        """One meeting of a series is called off."""
        if (instance := self._instance()) is not None:
            self.google.delete(AMY, instance)
            self.known.discard(instance)

    def shift_all(self) -> None:
        """The whole series, or the meeting, is at another time."""
        if (name := self._one()) is not None:
            self.google.patch(AMY, name, self._times(self._soon(3.0)))

    def end_it(self) -> None:
        """This and all that follow: the series ends, and another begins, as Google's own page does it."""
        if (name := self._one()) is None:
            return
        master = self.google.get(AMY, name)
        if "recurrence" not in master:
            return
        until = self.clock.right() + self.chance.uniform(-1.0, 10.0) * DAY
        ended = dt.datetime.fromtimestamp(until, dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        self.google.patch(AMY, name, {"recurrence": [f"RRULE:FREQ=DAILY;UNTIL={ended}"]})
        self.invite()

    def delete_it(self) -> None:
        """The whole series is deleted."""
        if (name := self._one()) is not None and self.chance.random() < 0.5:
            self.google.delete(AMY, name)
            self.known.discard(name)

    # -- what calsyncd does ----------------------------------------------------------------------------------------

    async def sync(self) -> None:
        """A delta, or a baseline where it is its time, into the store, as the syncer does it."""
        now = self.clock.right()
        if self.bookmark is not None and now >= next_baseline(KEY, self.bookmark.baseline_at):
            self.bookmark = None
        try:
            changes = await self._read(self.bookmark)
        except (BaselineNeededError, Refused):
            assert self.bookmark is not None
            changes = await self._read(None)
        await self.store.apply(KEY, AMY, changes, now)
        self.bookmark = changes.bookmark

    async def _read(self, bookmark: Bookmark | None) -> Changes:
        fetch = Fetch(self.clock.right(), HORIZON, "amy", bookmark)
        while True:
            changes = fetch.feed(await self.api.list_events(AMY, "primary", fetch.request()))
            if changes is not None:
                return changes

    async def stored(self, days: float) -> set[tuple[str, float, float]]:
        """What the store says of the days ahead."""
        now = self.clock.right()
        found = await self.store.events(AMY, [KEY], now, now + days * DAY)
        return {(event.id, event.start, event.end) for event in found}

    async def true(self, days: float) -> set[tuple[str, float, float]]:
        """What a whole read shows of them."""
        now = self.clock.right()
        self.shown = list((await self._read(None)).events)
        return {(one.id, one.start, one.end) for one in self.shown if one.end > now and one.start < now + days * DAY}


@pytest.fixture
def clock() -> Time:
    """The time that all have."""
    return Time()


@pytest.fixture
async def make(clock: Time, http: Http) -> AsyncIterator[Any]:
    """Make a year: its calendar, its store."""
    async with Sandbox(now=clock.right) as sandbox, Store.in_memory() as store:
        sandbox.google.add_user(AMY)
        key: dict[str, Any] = dict(sandbox.google.key_file())
        tokens = ServiceAccountTokens(
            http,
            client_email=key["client_email"],
            token_uri=key["token_uri"],
            signer=crypt.RSASigner.from_service_account_info(key),  # type: ignore[no-untyped-call]
            now=clock.right,
            learned=lambda _: None,
        )
        api = CalendarApi(http, tokens, sandbox.google_url)

        def made(seed: int = 0) -> Year:
            sandbox.google.quotas.per_user_limit = 1_000_000
            return Year(sandbox, api, store, clock, seed)

        yield made


@pytest.mark.parametrize("seed", SEEDS)
async def test_deltas_of_series_are_what_a_whole_read_shows(make: Any, clock: Time, seed: int) -> None:
    """Whatever is edited, however Google's deltas name it, and however many days pass between."""
    year = make(seed)
    year.google.lists.deleted_series = year.chance.choice(["master", "instances", "both"])
    year.google.lists.window_sticks = year.chance.random() < 0.5
    year.google.lists.most_per_page = year.chance.choice([None, 7])
    for _ in range(STEPS):
        # Of an event that left a sticking window and changed again, the sandbox knows the last change only.
        for _ in range(year.chance.randint(0, 1 if year.google.lists.window_sticks else 3)):
            year.edit()
        await year.sync()
        assert await year.stored(2.0) == await year.true(2.0), year.told
        clock.ahead += year.chance.choice([1.0, HOUR, 8 * HOUR, 26 * HOUR])


async def test_the_end_of_what_was_asked_for_is_never_reached(make: Any, clock: Time) -> None:
    """A daily meeting that nobody edits for ninety days: two days ahead are always known."""
    year = make()
    now = clock.right() // 900 * 900
    times = {
        name: {"dateTime": second(now + at), "timeZone": "UTC"} for name, at in (("start", HOUR), ("end", 2 * HOUR))
    }
    year.google.insert(AMY, {"summary": "daily", **times, "recurrence": ["RRULE:FREQ=DAILY;COUNT=95"]})
    baselines = 0
    for _ in range(90 * 3):
        before = year.bookmark
        await year.sync()
        assert year.bookmark is not None
        baselines += before is None or year.bookmark.baseline_at != before.baseline_at
        assert len(await year.stored(2.0)) in (2, 3)
        clock.ahead += 8 * HOUR

    assert 90 <= baselines <= 92
