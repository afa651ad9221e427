"""The storm guard: changes of too many agents' calendars at once are acted on only when a second read says them too.

It stands between what the calendars say and whoever is told. Below the limits everything passes at once. When a flip
goes beyond them, it is held back, and so is every other one of the last minute that was not acted on yet: what was told
of those agents before stays in force. Each calendar that had a part in a flip, acted on or not, is read whole; what
comes then counts, whether it says the same or not. While that read fails, it is tried again and nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from calsyncd.core.guard import Flips, StormLimits, is_flip
from calsyncd.core.model import Trouble
from calsyncd.core.timeline import Timeline
from calsyncd.core.troubles import trouble
from calsyncd.logs import get_logger
from calsyncd.metrics import Metrics

log = get_logger(__name__)


class Told(Protocol):
    """Who is told what an agent's calendars say."""

    def __call__(self, email: str, timeline: Timeline | None, now: float, *, complete: bool) -> None:
        """The agent's timeline is this now; not `complete` while a calendar is unread or was read too long ago."""
        ...


class Withdraw(Protocol):
    """Takes back what was told."""

    def __call__(self, email: str, timeline: Timeline | None) -> bool:
        """This timeline is in force again; False, and nothing is taken back, where it was acted on already."""
        ...


class StormGuard:
    """Tells on what calendars say, or holds it back. `confirm` asks for a whole read of a calendar, by its key."""

    def __init__(self, told: Told, withdraw: Withdraw, metrics: Metrics) -> None:
        self.limits = StormLimits()
        self.confirm: Callable[[str], None] = lambda _: None
        self._tell_on = told
        self._withdraw = withdraw
        self._metrics = metrics
        self._agents = 0
        self._in_force: dict[str, Timeline | None] = {}
        self._changed: dict[str, set[str]] = {}
        self._flips = Flips()
        self._waiting: dict[str, set[str]] = {}
        self._since = 0.0
        self.began_at: float | None = None

    def follow(self, emails: Iterable[str]) -> None:
        """Exactly these agents are followed now."""
        followed = set(emails)
        self._agents = len(followed)
        self._in_force = {email: known for email, known in self._in_force.items() if email in followed}
        self._changed = {email: keys for email, keys in self._changed.items() if email in followed}
        for email in self._waiting.keys() - followed:
            del self._waiting[email]
            self._flips.drop(email)
        self._count()

    def dropped(self, email: str, calendar: str) -> None:
        """A calendar is not followed any more: nothing waits for it."""
        self._changed.get(email, set()).discard(calendar)
        self.confirmed(email, calendar)

    def knows(self, email: str) -> bool:
        """Whether it is known what was in force for this agent."""
        return email in self._in_force

    def remember(self, email: str, timeline: Timeline | None) -> None:
        """This was in force for the agent when the process began."""
        self._in_force.setdefault(email, timeline)

    def changed(self, email: str, calendar: str) -> None:
        """A delta of this calendar was taken in; the next telling of the agent is its doing."""
        self._changed.setdefault(email, set()).add(calendar)

    def confirmed(self, email: str, calendar: str) -> None:
        """A baseline of this calendar was taken in: what comes of it counts."""
        self._changed.get(email, set()).discard(calendar)
        waiting = self._waiting.get(email)
        if waiting is None or calendar not in waiting:
            return
        waiting.discard(calendar)
        if not waiting:
            del self._waiting[email]
            self._count()

    def stepped(self) -> None:
        """The clock jumped: what was counted by it is forgotten."""
        self._flips.clear()

    def told(self, email: str, timeline: Timeline | None, now: float, *, complete: bool) -> None:
        """The agent's calendars say this now: tell it on, unless it is to be confirmed first."""
        calendars = self._changed.pop(email, set())
        waiting = self._waiting.get(email)
        if waiting is not None:
            self._ask(waiting, calendars)
            self._tell_on(email, self._in_force.get(email), now, complete=complete)
            return
        known = email in self._in_force
        before = self._in_force.get(email)
        if calendars and known and is_flip(before, timeline, now):
            self._flips.add(email, before, calendars, now)
            if self.limits.exceeded(len(self._flips.recent(now)), self._agents):
                self._hold_back(email, now)
                self._tell_on(email, before, now, complete=complete)
                return
        if timeline == before:
            # The one that is known already: what is the same stays the same, and nobody works it out anew.
            timeline = before
        self._in_force[email] = timeline
        self._tell_on(email, timeline, now, complete=complete)

    @property
    def waiting(self) -> bool:
        """Whether changes are held back."""
        return bool(self._waiting)

    def alarm_of(self, email: str) -> Trouble | None:
        """That the agent's changes are held back, in words."""
        return trouble("storm", self._since) if email in self._waiting else None

    def _hold_back(self, latest: str, now: float) -> None:
        """Hold back the flips of the last minute that were not acted on; have all of them confirmed."""
        began = not self._waiting
        for email, flip in self._flips.recent(now).items():
            if flip.confirming and email != latest:
                continue
            flip.confirming = True
            if email == latest:
                self._ask(self._waiting.setdefault(email, set()), flip.calendars)
            elif email in self._waiting:
                self._ask(self._waiting[email], flip.calendars)
            elif self._withdraw(email, flip.before):
                self._in_force[email] = flip.before
                self._ask(self._waiting.setdefault(email, set()), flip.calendars)
            else:
                self._ask(set(), flip.calendars)
        if began and self._waiting:
            self._since = self.began_at = now
            log.error(
                f"Calendars changed what is wanted of {len(self._flips.recent(now))} agents within a minute:"
                " each is read again before anybody else is changed for it",
                action="storm_held_back",
                agents=len(self._flips.recent(now)),
            )
        self._metrics.storm_held_back(len(self._waiting))

    def _ask(self, waiting: set[str], calendars: set[str]) -> None:
        waiting |= calendars
        for key in sorted(calendars):
            self.confirm(key)

    def _count(self) -> None:
        self._metrics.storm_held_back(len(self._waiting))
        if self._since and not self._waiting:
            self._since = 0.0
            log.info("The calendars that changed at once were read again", action="storm_over")
