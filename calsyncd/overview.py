"""All of the company at a glance, from memory: what stands at the top of the operators' page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, get_args

from calsyncd.calendars import Push, Syncer
from calsyncd.clock import Clock
from calsyncd.core.budget import Budget
from calsyncd.core.channels import Health
from calsyncd.core.lateness import Lateness, Latenesses
from calsyncd.phones import Roster
from calsyncd.view import time_out

PUSH_SECONDS = 5.0
"""So long the count of calendars by push health is good: it takes a look at each."""


class Overview:
    """`alarms` tells those that are raised; `ready` and `ill` why the daemon is not as it should be, if so."""

    def __init__(
        self,
        clock: Clock,
        *,
        version: str,
        roster: Roster,
        syncer: Syncer,
        push: Push,
        budget: Budget,
        lateness: Latenesses,
        alarms: Callable[[], list[dict[str, Any]]],
        ready: Callable[[], tuple[bool, list[str]]],
        ill: Callable[[], str],
    ) -> None:
        self._clock = clock
        self._version = version
        self._roster = roster
        self._syncer = syncer
        self._push = push
        self._budget = budget
        self._lateness = lateness
        self._alarms = alarms
        self._ready = ready
        self._ill = ill
        self._started_at = clock.now()
        self._counted_at: float | None = None
        self._counts: Counter[Health] = Counter()

    def view(self) -> dict[str, Any]:
        """As `GET /api/v1/overview` shows it."""
        now = self._clock.now()
        agents = self._roster.agents.values()
        followed = [agent for agent in agents if agent.configured]
        owed = [now if agent.owes_since is None else agent.owes_since for agent in agents if agent.owed]
        ill, (ready, reasons) = self._ill(), self._ready()
        hour = self._lateness.hour(now)
        return {
            "now": time_out(now),
            "version": self._version,
            "started_at": time_out(self._started_at),
            "budget": {"limit": self._budget.per_minute, "remaining": self._budget.remaining(now)},
            "owed": {"count": len(owed), "oldest_seconds": round(max(0.0, now - min(owed)), 1) if owed else None},
            "lateness": {
                "minutes": [_minute(one) for one in self._lateness.minutes(now)],
                "count": hour.count if hour is not None else 0,
                "p50_ms": _ms(hour.p50) if hour is not None else None,
                "p99_ms": _ms(hour.p99) if hour is not None else None,
                "max_ms": _ms(hour.max) if hour is not None else None,
            },
            "push": {health: self._push_counts(now)[health] for health in get_args(Health)},
            "alarms": self._alarms(),
            "healthy": not ill,
            "ready": ready,
            "reasons": [*([ill] if ill else []), *reasons],
            "paused_all": bool(followed)
            and all(agent.paused_until is not None and now < agent.paused_until for agent in followed),
        }

    def _push_counts(self, now: float) -> Counter[Health]:
        at = self._clock.monotonic()
        if self._counted_at is None or at - self._counted_at >= PUSH_SECONDS:
            self._counted_at = at
            self._counts = Counter(self._push.health(one, now) for one in self._syncer.calendars.values())
        return self._counts


def _minute(one: Lateness) -> dict[str, Any]:
    return {"at": time_out(one.at), "count": one.count, "p50_ms": _ms(one.p50), "max_ms": _ms(one.max)}


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
