"""The list of everybody: read now and then, before a crowd, and where it is cheaper than to look at each alone.

Its pages are spare requests, except when somebody waits for them: one page at a time, each as the budget allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from calsyncd.core import looks
from calsyncd.core.budget import Budget
from calsyncd.core.prices import MINUTE_SECONDS
from calsyncd.core.retry import spread
from calsyncd.errors import ServiceError
from calsyncd.phones.calls import Calls
from calsyncd.phones.roster import Roster
from calsyncd.scheduler import Scheduler

RETRY_SECONDS = 30.0
HINTED_PAUSE_SECONDS = 10.0
LONGEST_DELAY_SECONDS = 60 * 60.0


class Price(Protocol):
    """What a request costs the others."""

    def __call__(self, now: float) -> float:
        """Weighted seconds; nothing in a quiet minute."""
        ...


class Lists:
    """Reads the list. `serves` are the agents who wait for it; `told` says whether webhooks tell of changes."""

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        calls: Calls,
        roster: Roster,
        budget: Budget,
        price: Price,
        seen: Callable[[Iterable[str]], None],
        chance: Callable[[], float],
    ) -> None:
        self.serves: set[str] = set()
        self.told: Callable[[], bool] = lambda: False
        self.read_at = float("-inf")
        self.in_flight = False
        self._scheduler = scheduler
        self._clock = scheduler.clock
        self._calls = calls
        self._roster = roster
        self._budget = budget
        self._price = price
        self._seen = seen
        self._chance = chance
        self._again = self._urgent = False
        scheduler.handle("sweep", lambda _, now: self._due(now))

    @property
    def pages(self) -> int:
        """How many requests the list takes."""
        return self._calls.pages

    @property
    def running(self) -> bool:
        """Whether some of its pages are out, or are to follow."""
        return self.in_flight or self._calls.listing

    def at(self, now: float) -> None:
        """Read it at `now`."""
        self._scheduler.at("sweep", "", now)

    def for_those(self, emails: set[str], now: float) -> None:
        """Read it now, for these."""
        self.serves = emails
        self.urgent(now)

    def urgent(self, now: float) -> None:
        """Read it now, whatever the price."""
        self._urgent = True
        self._due(now)

    def by(self, due: float) -> None:
        """Read it at `due` at the latest, whatever the price: what it tells is waited for by everybody."""
        self._urgent = True
        planned = self._scheduler.due_at("sweep", "")
        self.at(due if planned is None else min(due, planned))

    def changed(self) -> None:
        """Somebody joined or left the company: read it soon, but not all the time."""
        if self.running:
            # Its pages may be past whoever it was.
            self._again = True
            return
        due = max(self._clock.now(), self.read_at + self._pause)
        planned = self._scheduler.due_at("sweep", "")
        self.at(due if planned is None else min(due, planned))

    def stepped(self, now: float) -> None:
        """The clock jumped."""
        self.read_at = min(self.read_at, now)
        self.at(now)

    def _due(self, now: float) -> None:
        if self.in_flight:
            return
        waited = now - self.read_at
        if not self._urgent and self._price(now) > 0 and waited < LONGEST_DELAY_SECONDS:
            self.at(now + MINUTE_SECONDS / 2)
            return
        if not self._budget.take(now):
            self.at(max(self._budget.next_at(now) or now + RETRY_SECONDS, now + 0.001))
            return
        self.in_flight = True
        if not self._calls.listing:
            self._again = False
        self._scheduler.start(self._page(), "sweep")

    async def _page(self) -> None:
        """One page; the next one is due at once, as far as the budget goes."""
        wait, more = RETRY_SECONDS, False
        try:
            more = await self._calls.list_page()
            wait = 0.0 if more else self._until_next()
        except ServiceError:
            # Said where it happened; whoever waits for the list looks alone.
            more = False
        finally:
            self.in_flight = False
            self._budget.give_back()
        if not more:
            self.serves, self._urgent = set(), False
            self.read_at = self._clock.now()
            wait = min(wait, self._pause) if self._again else wait
        self.at(self._clock.now() + wait)
        self._seen(self._calls.shown if more else self._roster.agents)

    @property
    def _pause(self) -> float:
        """How long after a list another may be asked for by hints: its pages are a small part of the budget."""
        return HINTED_PAUSE_SECONDS * self._calls.pages

    def _until_next(self) -> float:
        """Seconds until the next list; soon when somebody whom we follow was missing from the last one."""
        if any(agent.missing == 1 for agent in self._roster.agents.values()):
            return RETRY_SECONDS
        return spread(looks.sweep_seconds(self._calls.pages, told=self.told()), self._chance())
