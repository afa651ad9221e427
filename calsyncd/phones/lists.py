"""The list of everybody: when it is wanted, by when and for whom.

It is wanted now and then, before a crowd, and where it is cheaper than to look at each alone. The page that comes next
is a look like any other: dispatch says when it goes, and then it is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any

from calsyncd.core import looks
from calsyncd.core.dispatch import is_spare
from calsyncd.core.plan import Look
from calsyncd.core.retry import spread
from calsyncd.errors import ServiceError
from calsyncd.phones.calls import Calls
from calsyncd.phones.roster import Roster
from calsyncd.scheduler import Scheduler

RETRY_SECONDS = 30.0
HINTED_PAUSE_SECONDS = 10.0
LONGEST_DELAY_SECONDS = 60 * 60.0
"""So long after the last list the next one is waited for, whatever it was wanted for."""

BEFORE_ALL = float("-inf")
"""The deadline of what everybody waits for."""


class Lists:
    """Reads the list. `serves` are the agents who wait for it; `told` says whether webhooks tell of changes."""

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        calls: Calls,
        roster: Roster,
        seen: Callable[[Iterable[str]], None],
        chance: Callable[[], float],
    ) -> None:
        self.serves: set[str] = set()
        self.told: Callable[[], bool] = lambda: False
        self.read_at = BEFORE_ALL
        self._scheduler = scheduler
        self._clock = scheduler.clock
        self._calls = calls
        self._roster = roster
        self._seen = seen
        self._chance = chance
        self._look = self._sweep
        self._at = float("inf")
        self._reading = self._again = False
        self._last_page_at = BEFORE_ALL
        self._read_pages = 0
        # That it is due is enough: the turn's dispatch asks for the page.
        scheduler.handle("list", lambda *_: None)

    @property
    def pages(self) -> int:
        """How many requests the list takes."""
        return self._calls.pages

    @property
    def running(self) -> bool:
        """Whether some of its pages are out, or are to follow."""
        return self._reading or self._calls.listing

    def page(self, now: float) -> Look | None:
        """The look that its next page is, if one is wanted now: one at a time."""
        if self._reading or now < self._at:
            return None
        overdue = is_spare(self._look) and now >= self._look.deadline
        return replace(self._look, why="overdue") if overdue else self._look

    # -- when it is wanted -----------------------------------------------------------------------------------------

    def want(self, look: Look, at: float) -> None:
        """Read it from `at` on, for this; of all that it is wanted for, the most urgent counts."""
        self._look = min(self._look, look, key=lambda one: (is_spare(one), one.deadline))
        if at < self._at:
            self._plan(at)

    def sweep(self, now: float) -> None:
        """Read it now, though nobody waits for it."""
        self.want(self._sweep, now)

    def across(self, now: float, mark: float) -> None:
        """Read it now, though nobody waits for it, but its last page not before `mark`."""
        self._last_page_at = mark
        self.sweep(now)

    def for_those(self, emails: set[str], deadline: float, now: float) -> None:
        """Read it now, for these, the first of whom waits since, or until, `deadline`."""
        self.serves = emails
        self.want(Look(deadline, "several"), now)

    def probe(self, at: float) -> None:
        """Read it from `at` on before all else: whether our key is good again, and whose it is."""
        self.want(Look(BEFORE_ALL, "key"), at)

    def changed(self) -> None:
        """Somebody joined or left the company: read it soon, but not all the time."""
        if self.running:
            # Its pages may be past whoever it was.
            self._again = True
            return
        self.want(replace(self._sweep, why="joined"), max(self._clock.now(), self.read_at + self._pause))

    def stepped(self, now: float) -> None:
        """The clock jumped."""
        self.read_at = min(self.read_at, now)
        self.sweep(now)

    @property
    def _sweep(self) -> Look:
        """Before the first list there is nothing to go by: it is overdue from the start."""
        return Look(self.read_at + LONGEST_DELAY_SECONDS, "sweep")

    def _plan(self, at: float) -> None:
        self._at = at
        self._scheduler.at("list", "", at)

    # -- reading it ------------------------------------------------------------------------------------------------

    def read(self) -> Coroutine[Any, Any, None]:
        """Read the next page; the one after it is wanted at once."""
        self._reading = True
        if not self._calls.listing:
            self._again = False
            self._read_pages = 0
        return self._read()

    async def _read(self) -> None:
        wait, more = RETRY_SECONDS, False
        try:
            more = await self._calls.list_page()
            self._read_pages += 1
            wait = 0.0 if more else self._until_next()
        except ServiceError:
            # Said where it happened; whoever waits for the list looks alone.
            pass
        finally:
            self._reading = False
        if more and self._read_pages == self.pages - 1 and self._clock.now() < self._last_page_at:
            self._plan(self._last_page_at)
        if not more:
            self.serves, self.read_at = set(), self._clock.now()
            self._look = replace(self._sweep, why="joined") if self._again else self._sweep
            self._plan(self.read_at + (min(wait, self._pause) if self._again else wait))
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
