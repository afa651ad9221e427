"""Who is not logged in, which the coverage floor needs to know: a setting alone does not tell it.

Aircall lists the live states of up to fifty users for one request. They are read while a floor is set, more often while
somebody is kept for it, and paid for from what is spare of the budget. They decide nothing but who covers: while they
cannot be read, whoever is set so covers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from calsyncd.core.budget import Budget, wait_after_429
from calsyncd.core.guard import COVER_AGE_SECONDS
from calsyncd.core.retry import backoff, spread
from calsyncd.errors import RateLimited, ServiceError
from calsyncd.logs import get_logger
from calsyncd.scheduler import Scheduler

CALM_SECONDS = 5 * 60.0
NEEDED_SECONDS = 60.0
RETRY_CAP_SECONDS = 5 * 60.0
BUDGET_RETRY_SECONDS = 5.0
MAX_PAGES = 400
OFFLINE = "offline"

log = get_logger(__name__)


class Aircall(Protocol):
    """What is asked of Aircall."""

    async def page_of_live_states(self, page: int) -> tuple[dict[int, str], bool]:
        """One page of live states, by user, and whether another follows."""
        ...


class Presence:
    """The live states as last listed whole."""

    def __init__(self, scheduler: Scheduler, *, aircall: Aircall, budget: Budget, chance: Callable[[], float]) -> None:
        self._scheduler = scheduler
        self._clock = scheduler.clock
        self._aircall = aircall
        self._budget = budget
        self._chance = chance
        self._on = self._running = False
        self._needed = False
        self._failures = 0
        self._page = 1
        self._coming: dict[int, str] = {}
        self._states: dict[int, str] = {}
        self._read_at = float("-inf")
        scheduler.handle("presence", lambda *_: self._due())
        scheduler.when_stepped(lambda now, _: self._stepped(now))

    def keep(self, *, on: bool) -> None:
        """See to it from now on, or no more."""
        if on != self._on:
            self._on = on
            self._scheduler.at("presence", "", self._clock.now() if on else None)

    def need(self, *, needed: bool) -> None:
        """Whether somebody waits for others to be there."""
        if needed and not self._needed and self._on and not self._running and not self._failures:
            self._scheduler.at("presence", "", max(self._clock.now(), self._read_at + NEEDED_SECONDS))
        self._needed = needed

    def is_offline(self, user: int, now: float) -> bool:
        """Whether the user is known not to be logged in."""
        return self._states.get(user) == OFFLINE and now - self._read_at <= COVER_AGE_SECONDS

    def _stepped(self, now: float) -> None:
        self._read_at = float("-inf")
        if self._on:
            self._scheduler.at("presence", "", now)

    def _due(self) -> None:
        if not self._on or self._running:
            return
        now = self._clock.now()
        if not self._budget.take_spare(now):
            self._scheduler.at("presence", "", max(self._budget.spare_at(now) or 0.0, now + BUDGET_RETRY_SECONDS))
            return
        self._running = True
        self._scheduler.start(self._read(), "presence")

    async def _read(self) -> None:
        """One page; the next one is due at once, as far as the budget goes."""
        began = self._clock.now()
        try:
            listed, more = await self._aircall.page_of_live_states(self._page)
        except ServiceError as error:
            wait = self._failed(error)
        else:
            self._failures = 0
            self._coming |= listed
            self._page += 1
            wait = 0.0
            if not more or self._page > MAX_PAGES:
                self._states, self._coming, self._page = self._coming, {}, 1
                self._read_at = began
                wait = spread(NEEDED_SECONDS if self._needed else CALM_SECONDS, self._chance())
        finally:
            self._running = False
            self._budget.give_back()
        self._scheduler.at("presence", "", self._clock.now() + wait if self._on else None)
        self._scheduler.touch()

    def _failed(self, error: ServiceError) -> float:
        """Seconds until the next try, which begins anew."""
        now = self._clock.now()
        self._failures, self._coming, self._page = self._failures + 1, {}, 1
        wait = backoff(self._failures, self._chance(), first=NEEDED_SECONDS, cap=RETRY_CAP_SECONDS)
        if isinstance(error, RateLimited):
            self._budget.limited(now, wait_after_429(error.retry_after, error.reset, now, self._chance()))
        log.warning(
            "It could not be read who is logged in: whoever is set so counts as being there",
            action="presence_failed",
            code=error.code,
            why=str(error),
            retry_seconds=round(wait, 1),
        )
        return wait
