"""A day by the daemon's own rooms: `calsyncd.phones` and `calsyncd.core` on virtual time, against the sandbox.

The webhook is part of it: made at the start, looked after, and told of each update by the sandbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from benchmarks.dispatch.days import COUNTED_FROM, COUNTED_TO, MINUTE, Day
from benchmarks.dispatch.virtual import VirtualClock, VirtualLoop, play
from benchmarks.dispatch.world import MIDNIGHT, Played, Terms, World
from calsyncd import logs
from calsyncd.aircall.client import read_webhook
from calsyncd.core.budget import Budget, Shown
from calsyncd.core.model import Event, HistoryRow, Observation, Setting, User
from calsyncd.core.plan import Line
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import build
from calsyncd.core.webhooks import NAME, Delivery, Webhook
from calsyncd.errors import RateLimited
from calsyncd.metrics import Metrics
from calsyncd.phones import Agent, Calls, Phones, Record, Roster, Spending, Webhooks
from calsyncd.sandbox.aircall import AircallSandbox
from calsyncd.sandbox.aircall_webhooks import show_webhook
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN, Postman
from calsyncd.scheduler import Scheduler
from calsyncd.web.public import read_delivery

PER_PAGE = 50
OPENED = COUNTED_FROM - 20 * MINUTE
CHANCE = 0.5
WEBHOOK_URL = f"{PUBLIC_ORIGIN}/webhooks/aircall"


class _Post(Postman):
    """Brings the sandbox's messages to the webhook in no time."""

    def __init__(self) -> None:
        super().__init__()
        self.take: Callable[[Delivery], bool] = lambda _: False

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> int | None:  # noqa: ARG002 - its form
        """200 if it is genuine."""
        delivery = read_delivery(body)
        return 200 if delivery is not None and self.take(delivery) else 404


class _Wire:
    """The requests of `phones.Calls` and `phones.Webhooks`, as the sandbox's Aircall answers them."""

    def __init__(self, world: World, clock: VirtualClock, budget: Budget, scheduler: Scheduler) -> None:
        self._world = world
        self._clock = clock
        self._budget = budget
        self._scheduler = scheduler
        self._hooks = world.aircall.webhooks
        self._next = 0.0

    async def page_of_users(self, page: int) -> tuple[list[User], bool]:
        """One page of users, and whether another follows."""
        at = await self._ask()
        ids = sorted(self._world.aircall.users.by_id)
        shown = ids[(page - 1) * PER_PAGE : page * PER_PAGE]
        return [self._user(user, at) for user in shown], page * PER_PAGE < len(ids)

    async def look(self, user: int) -> Observation:
        """The user's setting."""
        found = self._user(user, await self._ask()).observation
        assert found is not None  # noqa: S101 - it was given just now
        return found

    async def live_state(self, user: int) -> str:
        """The user's live state."""
        await self._ask()
        return "do_not_disturb" if self._world.aircall.setting(user).status == "unavailable" else "available"

    async def update(self, user: int, setting: Setting) -> Setting:
        """Write a setting."""
        await self._ask(user, setting.availability_status)
        self._world.put(user, setting.availability_status)
        return setting

    async def page_of_webhooks(self, page: int) -> tuple[list[Webhook], bool]:  # noqa: ARG002 - its form
        """The company's webhooks, all on one page."""
        await self._ask()
        return [self._webhook(known) for known in self._hooks.by_id], False

    async def create_webhook(self, url: str, events: Iterable[str]) -> Webhook:
        """Make one."""
        await self._ask()
        return self._webhook(self._hooks.add({"custom_name": NAME, "url": url, "events": list(events)}).id)

    async def update_webhook(self, webhook_id: str, url: str, events: Iterable[str]) -> Webhook:
        """Switch one on."""
        await self._ask()
        body = {"active": True, "url": url, "events": list(events)}
        self._hooks.change(self._hooks.by_id[webhook_id], body)
        return self._webhook(webhook_id)

    async def delete_webhook(self, webhook_id: str) -> None:
        """Remove one."""
        await self._ask()
        del self._hooks.by_id[webhook_id]

    def _webhook(self, webhook_id: str) -> Webhook:
        shown = read_webhook(show_webhook(self._hooks.by_id[webhook_id], PUBLIC_ORIGIN))
        assert shown is not None  # noqa: S101 - the sandbox shows whole ones
        return shown

    def _user(self, user: int, at: float) -> User:
        known = self._world.aircall.users.by_id[user]
        return User(user, known.email, Observation(Setting(known.setting.status, known.setting.substatus), at))

    async def _ask(self, user: int | None = None, status: str | None = None) -> float:
        """One request; when it was sent."""
        sent = self._clock.now()
        if self._world.terms.a_second is not None:
            self._next = max(self._next, sent) + 1 / self._world.terms.a_second
            await self._clock.sleep(self._next - sent)
        now = self._clock.now()
        passed = self._world.passes(now, user, status)
        self._budget.spent(now)
        self._scheduler.touch()
        window = self._world.aircall.switches.budget
        if not passed:
            raise RateLimited("429", service="aircall", reset=window.reset_at(now) + CHANCE)
        if self._world.terms.headers:
            self._budget.shown(now, Shown(window.limit, window.remaining(now)))
        return sent


class _Paper:
    """Takes what is written down; nobody reads it."""

    async def record(self, *lines: Line) -> None:
        """They are on disk."""

    def observed(self, user: int, observation: Observation) -> None:
        """A look was answered."""

    def done(self, row: HistoryRow) -> None:
        """A change was made, or left alone."""

    def listed(self, emails: dict[int, str], zones: dict[int, str]) -> None:
        """The company's users were listed."""


def ours(day: Day, terms: Terms) -> Played:
    """The day as the daemon plays it."""
    logs.configure("error")
    loop = VirtualLoop()
    clock = VirtualClock(loop, MIDNIGHT + OPENED)
    post = _Post()
    world = World(day, terms, AircallSandbox(clock.now, post))
    world.hire()
    play(loop, _play(world, clock, post))
    return world.judge()


async def _play(world: World, clock: VirtualClock, post: _Post) -> None:
    day, terms = world.day, world.terms
    scheduler = Scheduler(clock)
    roster = Roster(clock.now)
    budget = Budget(terms.per_minute, margin=terms.margin)
    metrics = Metrics("benchmarks")
    paper = _Paper()
    record = Record(paper, paper, clock)
    wire = _Wire(world, clock, budget, scheduler)
    calls = Calls(
        clock,
        aircall=wire,
        record=record,
        roster=roster,
        budget=budget,
        metrics=metrics,
        chance=lambda: CHANCE,
    )
    phones = Phones(
        scheduler,
        roster=roster,
        calls=calls,
        record=record,
        budget=budget,
        metrics=metrics,
        credible=lambda: True,
        chance=lambda: CHANCE,
        spending=Spending(early=terms.early),
    )
    webhooks = Webhooks(
        scheduler,
        aircall=wire,
        phones=phones,
        address=WEBHOOK_URL if terms.told else None,
        budget=budget,
        learned=lambda _: None,
        chance=lambda: CHANCE,
    )
    post.take = webhooks.take
    phones.listen(webhooks.untold, lambda: webhooks.alive)
    phones.follow(Agent(f"a{number}@example.com", number + 1) for number in range(day.agents))
    webhooks.keep()
    loop = asyncio.create_task(scheduler.run())
    calendars: list[dict[str, tuple[float, float]]] = [{} for _ in range(day.agents)]
    changes = list(day.changes)
    fresh = set(range(day.agents))
    while True:
        at = max(changes[0].at if changes else COUNTED_TO, OPENED)
        await clock.sleep(MIDNIGHT + min(at, COUNTED_TO) - clock.now())
        while changes and changes[0].at <= at:
            change = changes.pop(0)
            fresh.add(change.agent)
            if change.span is None:
                calendars[change.agent].pop(change.meeting, None)
            else:
                calendars[change.agent][change.meeting] = change.span
        for number in sorted(fresh):
            events = (Event(name, MIDNIGHT + span[0], MIDNIGHT + span[1]) for name, span in calendars[number].items())
            phones.known(f"a{number}@example.com", build(events, Rules()), clock.now(), complete=True)
        fresh = set()
        if at >= COUNTED_TO:
            break
    loop.cancel()
