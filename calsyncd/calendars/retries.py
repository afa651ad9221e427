"""When a calendar is asked again whose request Google left unanswered.

Alone it is asked every minute. While nobody is answered, all who fail share the requests that a day may cost, so that
an outage of hours uses up no day; of many one is asked every moment all the same, and the first answer frees the
others.
"""

from __future__ import annotations

from calsyncd.core.retry import spread
from calsyncd.scheduler import Scheduler

DAY_SECONDS = 86400.0


class Retries:
    """The calendars that wait for an answer, by key, and when each would be asked if it were alone."""

    def __init__(self, scheduler: Scheduler, *, requests_per_day: int) -> None:
        self._scheduler = scheduler
        self._between = DAY_SECONDS / requests_per_day
        self._alone: dict[str, float] = {}

    def unanswered(self, key: str, alone: float, chance: float) -> float:
        """Seconds until this calendar is asked again, which alone would be asked after `alone`."""
        self._alone[key] = self._scheduler.clock.now() + alone
        return max(alone, spread(len(self._alone) * self._between, chance))

    def answered(self, key: str) -> None:
        """Google has answered: nobody waits for the others any more."""
        self._alone.pop(key, None)
        for other, due in self._alone.items():
            planned = self._scheduler.due_at("sync", other)
            if planned is not None and due < planned:
                self._scheduler.at("sync", other, due)
        self._alone.clear()

    def drop(self, key: str) -> None:
        """The calendar is followed no more."""
        self._alone.pop(key, None)
