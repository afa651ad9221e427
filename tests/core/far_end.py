"""Requests that go through a budget to a service's window: no clock and no wire, hours in milliseconds."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from calsyncd.core.budget import Budget, Shown, wait_after_429
from calsyncd.sandbox.limits import Window

JITTER_SECONDS = 0.5


def most_in_a_minute(times: Iterable[float]) -> int:
    """The most that any sixty seconds have seen."""
    ordered, first, most = sorted(times), 0, 0
    for index, at in enumerate(ordered):
        while ordered[first] <= at - 60:
            first += 1
        most = max(most, index - first + 1)
    return most


@dataclass(frozen=True, slots=True)
class Way:
    """How long a request is under way, and after which part of that the service counts it."""

    seconds: float = 0.05
    counted: float = 0.5


@dataclass
class FarEnd:
    """Whoever wants requests, from `now` on: each goes as soon as `budget` lets it, and again if it is refused.

    With `headers` each answer that is no 429 shows what is left. What was asked of the budget is checked on the way.
    """

    budget: Budget
    window: Window
    now: float
    ways: list[Way] = field(default_factory=lambda: [Way()])
    headers: bool = False
    waiting: int = 0
    sent: list[float] = field(default_factory=list)
    counted: list[float] = field(default_factory=list)
    passed: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    waits: list[tuple[float, float]] = field(default_factory=list)
    _out: int = 0
    _number: int = 0
    _coming: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)

    def want(self, at: float, number: int = 1) -> None:
        """From `at` on so many more are wanted."""
        self._at(at, lambda: self._wanted(number))

    def others(self, at: float, number: int) -> None:
        """At `at` others take so many, or what is left."""
        self._at(at, lambda: self._spent_by_others(number))

    def run(self, until: float = float("inf")) -> None:
        """Let time pass until `until`, or until nothing is wanted any more."""
        while True:
            self._send()
            may_go = self.budget.next_at(self.now) if self.waiting else None
            assert may_go is None or may_go > self.now, "it may go now, and may not"
            assert not self.waiting or may_go is not None or self._out, "nothing will ever go"
            happens = self._coming[0][0] if self._coming else None
            if (at := min((at for at in (may_go, happens) if at is not None), default=None)) is None or at > until:
                return
            self.now = at
            if at == happens:
                heapq.heappop(self._coming)[2]()

    def _at(self, at: float, happens: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._coming, (at, self._number, happens))

    def _spent_by_others(self, number: int) -> None:
        for _ in range(number):
            self.window.take(self.now)

    def _wanted(self, number: int) -> None:
        self.waiting += number

    def _send(self) -> None:
        while self.waiting and self.budget.take(self.now):
            self.waiting -= 1
            self._out += 1
            way = self.ways[len(self.sent) % len(self.ways)]
            self.sent.append(self.now)
            self._at(self.now + way.seconds * way.counted, lambda way=way: self._arrives(way))  # type: ignore[misc]

    def _arrives(self, way: Way) -> None:
        self.counted.append(self.now)
        passes = self.window.take(self.now)
        left, reset = self.window.remaining(self.now), self.window.reset_at(self.now)
        answered = self.now + way.seconds * (1 - way.counted)
        self._at(answered, lambda: self._answered(reset, left, passes=passes))

    def _answered(self, reset: float, left: int, *, passes: bool) -> None:
        budget, now = self.budget, self.now
        budget.spent(now)
        if passes:
            self.passed.append(now)
            if self.headers:
                budget.shown(now, Shown(self.window.limit, left))
        else:
            wait = wait_after_429(None, reset, now, JITTER_SECONDS)
            self.refused.append(now)
            self.waits.append((now, now + wait))
            budget.limited(now, wait)
            self.waiting += 1
        budget.give_back()
        self._out -= 1
