"""Who is not logged in, which the coverage floor needs to know: a setting alone does not tell it.

Aircall lists the live states of up to fifty users for one request. They are read while a floor is set, more often while
somebody is kept for it; dispatch says when a page goes, which nobody waits for. They decide nothing but who covers:
while they cannot be read, whoever is set so covers.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from calsyncd.core.budget import Budget, wait_after_429
from calsyncd.core.plan import Look
from calsyncd.core.retry import backoff, spread
from calsyncd.errors import RateLimited, ServiceError
from calsyncd.logs import get_logger
from calsyncd.scheduler import Scheduler

CALM_SECONDS = 5 * 60.0
NEEDED_SECONDS = 60.0
RETRY_CAP_SECONDS = 5 * 60.0
STATES_AGE_SECONDS = 30 * 60.0
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
        self._on = self._reading = False
        self._at = float("inf")
        self._needed = False
        self._failures = 0
        self._next = 1
        self._coming: dict[int, str] = {}
        self._states: dict[int, str] = {}
        self._read_at = float("-inf")
        # That it is due is enough: the turn's dispatch asks for the page.
        scheduler.handle("presence", lambda *_: None)
        scheduler.when_stepped(lambda now, _: self._stepped(now))

    def keep(self, *, on: bool) -> None:
        """See to it from now on, or no more."""
        if on != self._on:
            self._on = on
            self._plan(self._clock.now())

    def need(self, *, needed: bool) -> None:
        """Whether somebody waits for others to be there."""
        if needed and not self._needed and self._on and not self._reading and not self._failures:
            self._plan(max(self._clock.now(), self._read_at + NEEDED_SECONDS))
        self._needed = needed

    def is_offline(self, user: int, now: float) -> bool:
        """Whether the user is known not to be logged in."""
        return self._states.get(user) == OFFLINE and now - self._read_at <= STATES_AGE_SECONDS

    def _stepped(self, now: float) -> None:
        self._read_at = float("-inf")
        self._plan(now)

    def _plan(self, at: float) -> None:
        self._at = at
        self._scheduler.at("presence", "", at if self._on else None)

    def page(self, now: float) -> Look | None:
        """The look that the next page is, if one is wanted now: one at a time."""
        wanted = self._on and not self._reading and now >= self._at
        return Look(self._at, "presence") if wanted else None

    def read(self) -> Coroutine[Any, Any, None]:
        """Read the next page; the one after it is wanted at once."""
        self._reading = True
        return self._read()

    async def _read(self) -> None:
        began = self._clock.now()
        try:
            listed, more = await self._aircall.page_of_live_states(self._next)
        except ServiceError as error:
            wait = self._failed(error)
        else:
            self._failures = 0
            self._coming |= listed
            self._next += 1
            wait = 0.0
            if not more or self._next > MAX_PAGES:
                self._states, self._coming, self._next = self._coming, {}, 1
                self._read_at = began
                wait = spread(NEEDED_SECONDS if self._needed else CALM_SECONDS, self._chance())
        finally:
            self._reading = False
        self._plan(self._clock.now() + wait)

    def _failed(self, error: ServiceError) -> float:
        """Seconds until the next try, which begins anew."""
        now = self._clock.now()
        self._failures, self._coming, self._next = self._failures + 1, {}, 1
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
