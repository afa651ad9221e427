"""Request quotas: sliding, fixed and leaky windows."""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

Kind = Literal["sliding", "fixed", "leaky"]


class Window:
    """Lets at most `limit` requests pass in `seconds`; a refused request does not count.

    A leaky window lets `burst` requests pass at once (as many as `limit` unless given) and then `limit` in `seconds`.
    """

    def __init__(self, limit: int, seconds: float = 60.0, kind: Kind = "sliding", *, burst: int | None = None) -> None:
        self.limit = limit
        self.seconds = seconds
        self.kind: Kind = kind
        self._burst = burst or limit
        self._passed: deque[float] = deque()
        self._level = 0.0
        self._level_at = 0.0
        self._full_until = 0.0

    def fill(self, until: float) -> None:
        """Somebody else uses whatever is left, up to `until`."""
        self._full_until = until

    def take(self, now: float) -> bool:
        """Count a request and say whether it passes."""
        if self.remaining(now) < 1:
            return False
        if self.kind == "leaky":
            self._level = self._level_now(now) + 1.0
            self._level_at = now
        else:
            self._passed.append(now)
        return True

    def remaining(self, now: float) -> int:
        """How many more requests would pass at `now`."""
        if now < self._full_until:
            return 0
        if self.kind == "leaky":
            return math.floor(self._burst - self._level_now(now) + 1e-9)
        # What is counted at a mark belongs to the minute that begins there.
        edge = now - self.seconds if self.kind == "sliding" else math.nextafter(self._opened(now), -math.inf)
        while self._passed and self._passed[0] <= edge:
            self._passed.popleft()
        return self.limit - len(self._passed)

    def reset_at(self, now: float) -> float:
        """The first instant at which a request would pass again."""
        if self.remaining(now) >= 1:
            return now
        if now < self._full_until:
            return self.reset_at(self._full_until)
        if self.kind == "fixed":
            return self._opened(now) + self.seconds
        if self.kind == "leaky":
            return now + (self._level_now(now) + 1.0 - self._burst) * self.seconds / max(self.limit, 1)
        return (self._passed[0] if self._passed else now) + self.seconds

    def _opened(self, now: float) -> float:
        return math.floor(now / self.seconds) * self.seconds

    def _level_now(self, now: float) -> float:
        return max(0.0, self._level - (now - self._level_at) * self.limit / self.seconds)
