"""The minutes ahead in which more is due than Aircall grants, and what a request costs until then.

Kept from what each agent's calendar and stance say; what is decided by it stands in `core.dispatch` and `core.prices`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from calsyncd.core import dispatch
from calsyncd.core.budget import MARGIN_SECONDS, MARK_MARGIN_SECONDS, Budget
from calsyncd.core.coming import Coming, boundaries
from calsyncd.core.looks import BEFORE_CROWD_SECONDS
from calsyncd.core.plan import Held, StandingBack
from calsyncd.core.prices import MINUTE_SECONDS, Grant, Group, Prices, Weights, minute_of, run_ahead
from calsyncd.phones.agent import Agent

AHEAD_SECONDS = 6 * 3600.0
"""How far ahead the queue is known: farther than any is long."""

CLOCK_WINDOW_SECONDS = 2 * MARK_MARGIN_SECONDS
NO_PRICES = Prices(0, (), {})


@dataclass(frozen=True, slots=True)
class Spending:
    """What the settings say of a crowd: how many seconds an update may go early, and what the two wrong states cost."""

    early: float = MINUTE_SECONDS
    weights: Weights = field(default_factory=Weights)


class Crowds:
    """The queue ahead; `spending` may change.

    `next` is the first minute in which more is due than is granted, `full` the first in which a list would make it so.
    `looks` is how many requests it takes to look at those of the next crowd of whom a webhook has told, and `ready` how
    many there are beside them.
    """

    def __init__(self, budget: Budget, spending: Spending) -> None:
        self.spending = spending
        self.coming = Coming()
        self.next: int | None = None
        self.full: int | None = None
        self.looks = self.ready = 0
        self._budget = budget
        self._known: tuple[int, int, int, int] | None = None
        self._quiet: tuple[int, Prices] | None = None
        self._each_seconds = 0.0

    def keep(self, agent: Agent, now: float) -> None:
        """Know the boundaries that will take an update of this agent."""
        stance, timeline = agent.stance, agent.timeline
        observed = agent.observe and not isinstance(stance, Held)
        if timeline is None or agent.paused_until is not None or agent.user is None or observed:
            self.forget(agent)
            return
        after = now
        if isinstance(stance, StandingBack):
            after = max(now, stance.until)
        elif isinstance(stance, Held):
            after = max(now, stance.effective)
        known = agent.indexed
        if known is not None and known[0] is timeline and known[1] == stance and now < known[2] - AHEAD_SECONDS / 2:
            return
        agent.indexed = (timeline, stance, now + AHEAD_SECONDS)
        self.coming.replace(agent.email, boundaries(agent.email, timeline, after, now + AHEAD_SECONDS))

    def forget(self, agent: Agent) -> None:
        """Nothing is ahead of this agent."""
        self.coming.replace(agent.email, ())
        agent.indexed = None

    def see(self, now: float, pages: int) -> None:
        """Find the next crowd, where a list of everybody takes so many pages."""
        self.coming.passed(now)
        pace = self._budget.pace
        known = (self.coming.version, int(now // MINUTE_SECONDS), pace, pages)
        if known != self._known:
            self._known = known
            self.next = dispatch.next_crowd(self.coming, now, pace)
            self.full = dispatch.next_crowd(self.coming, now, max(0, pace - pages))

    # -- what goes early -------------------------------------------------------------------------------------------

    @property
    def early(self) -> int:
        """How many minutes before its boundary an update may go."""
        return int(self.spending.early // MINUTE_SECONDS)

    @property
    def window(self) -> float:
        """How many seconds early is a use of a request that the boundary's own minute does not miss."""
        return CLOCK_WINDOW_SECONDS if self._budget.by_clock else MINUTE_SECONDS

    def next_step(self, reads_at: Iterable[float], now: float) -> float | None:
        """When the next thing is to be done about the next crowd: a list, or what goes early."""
        steps = list(reads_at)
        if self.next is not None:
            early = self._early_steps(self.next)
            steps += [*early, *(at - BEFORE_CROWD_SECONDS for at in early)]
            if not self._budget.by_clock:
                steps.append(self.next * MINUTE_SECONDS - self.head_start)
        return min((at for at in steps if at > now), default=None)

    def _early_steps(self, crowd: int) -> list[float]:
        """When what is sent a window early is sent."""
        if self._budget.by_clock:
            return [self._early_by_clock(crowd)]
        return [(crowd - minutes) * MINUTE_SECONDS for minutes in range(self.early, 0, -1)]

    def looks_since(self, now: float) -> float | None:
        """Since when those who go early next are to be looked at, if a message told of them; None if it is not time."""
        if self.next is None:
            return None
        since = (at - BEFORE_CROWD_SECONDS for at in self._early_steps(self.next) if at > now)
        return next((at for at in since if at <= now), None)

    def soon(self, now: float) -> int:
        """How many updates are due, or go early, while a request of now still counts."""
        until = now + MINUTE_SECONDS + MARGIN_SECONDS
        steps = self._early_steps(self.next) if self.next is not None else []
        early = self._go_early if min(steps, default=until) < until else 0
        return early + self.coming.number_until(until)

    @property
    def lacks_ready(self) -> bool:
        """Whether fewer are ready than are to go early."""
        return self.ready < self._go_early

    @property
    def _go_early(self) -> int:
        """How many of the next crowd go a window early."""
        beyond = self.coming.number_in(self.next) - self._budget.pace if self.next is not None else 0
        return max(0, min(beyond, self._budget.pace))

    @property
    def head_start(self) -> float:
        """How much before a crowd's boundary its starts begin to go, since so many at once take their time."""
        if self.next is None or self._budget.by_clock:
            return 0.0
        starts = min(self.coming.starts_in(self.next), self._budget.pace)
        return min(dispatch.head_start(starts * self._each_seconds, self.spending.weights), self.spending.early)

    def took(self, seconds: float, in_flight: int) -> None:
        """A request took so long, while so many were under way."""
        if in_flight >= dispatch.BURST:
            self._each_seconds += (seconds / in_flight - self._each_seconds) * dispatch.BURST_SHARE

    def _early_by_clock(self, crowd: int) -> float:
        """When the requests that a clock minute has left are used for the crowd at its end: just in time."""
        beyond = min(self.coming.number_in(crowd), 2 * self._budget.pace) - self._budget.pace
        early = MARK_MARGIN_SECONDS + dispatch.burst_seconds(beyond)
        return crowd * MINUTE_SECONDS - min(early, self.spending.early)

    # -- what it costs ---------------------------------------------------------------------------------------------

    def prices(self, candidates: list[dispatch.Candidate], now: float) -> Prices:
        """The prices of the minutes; while there is enough for everybody, those of a crowd ahead, as of this minute."""
        crowd, room = self.next, self._budget.remaining(now)
        enough = len(candidates) <= (self._budget.pace if self._budget.one_by_one else room)
        if enough and crowd is None:
            return NO_PRICES
        minute = int(now // MINUTE_SECONDS)
        if enough and crowd is not None and minute < crowd - self.early - 1:
            if self._quiet is None or self._quiet[0] != minute:
                self._quiet = (minute, self._run_ahead(minute, (), room=self._budget.pace, early=self.early))
            return self._quiet[1]
        if self._budget.by_clock:
            near = crowd is not None and now >= self._early_by_clock(crowd)
            early = int(near and self.spending.early >= CLOCK_WINDOW_SECONDS)
            return self._run_ahead(minute, candidates, room=room, early=early)
        if any(not dispatch.is_spare(candidate.action) for candidate in candidates):
            # What is sent just after a mark belongs to the minute that ends there.
            minute = minute_of(now - dispatch.JITTER_SECONDS)
            room = self._budget.room_until(now, minute * MINUTE_SECONDS + dispatch.JITTER_SECONDS)
        return self._run_ahead(minute, candidates, room=room, early=self.early)

    def _run_ahead(
        self, minute: int, candidates: list[dispatch.Candidate] | tuple[()], *, room: int, early: int
    ) -> Prices:
        grant = Grant(self._budget.pace, room, early, self.window)
        groups = dispatch.queue(candidates, self.coming, minute)
        if self.looks and self.next is not None:
            # Right before it they take the place of updates.
            group = Group(self.next, None, starts=True)
            groups[group] = groups.get(group, 0) + self.looks
        return run_ahead(minute, grant, groups, self.spending.weights)
