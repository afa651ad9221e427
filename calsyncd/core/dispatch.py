"""Spending Aircall's requests: how many may go now, and which goes first.

The company's limit is per minute; whether the minute is fixed, sliding or leaky is not established, so no sixty
seconds ever see more than the budget, which is safe under the first two. A minute that leaks, or one that others have
filled, lets requests through bit by bit: that shows by a second 429 soon after the wait for a first.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from calsyncd.core.plan import Action, Look, Put

MINUTE_SECONDS = 60.0
MARGIN_SECONDS = 1.0
SOON_SECONDS = 10.0
RINGING_WEIGHT = 2.0
UNREACHABLE_WEIGHT = 1.0
PATIENCE_SECONDS = 60.0


class Budget:
    """A sliding minute of at most `per_minute` requests, and the pauses that a 429 demands.

    A request is taken before it is sent and counted when its answer came: the server may have counted it
    anywhere in between.
    """

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._spent: deque[float] = deque()
        self._out = 0
        self._blocked_until = 0.0
        self._limited_until = 0.0
        self._paced_until = 0.0
        self._took_at = 0.0

    def take(self, now: float, requests: int = 1) -> bool:
        """Reserve `requests` if they may go at `now`; all or none."""
        if now < max(self._blocked_until, self._turn(now)) or self.remaining(now) < requests:
            return False
        self._out += requests
        self._took_at = now
        return True

    def take_spare(self, now: float) -> bool:
        """Reserve a request that nobody waits for: half of the minute is left to what is owed."""
        return self.remaining(now) > self._kept and self.take(now)

    def spare_at(self, now: float) -> float | None:
        """When a request may go that nobody waits for; None while that depends on answers that are still out."""
        return self.next_at(now, self._kept + 1)

    @property
    def _kept(self) -> int:
        return self.per_minute // 2

    def give_back(self, requests: int = 1) -> None:
        """What was reserved has ended; what was really sent of it is counted by `spent`."""
        self._out -= requests

    def spent(self, now: float) -> None:
        """A request has ended, answered or not."""
        self._spent.append(now)

    def limited(self, now: float, wait: float) -> None:
        """A 429 came: nothing goes for `wait` seconds. If another came just before, requests go evenly for a minute."""
        if self._limited_until <= now < self._limited_until + SOON_SECONDS:
            self._paced_until = now + wait + MINUTE_SECONDS
        self._limited_until = max(self._limited_until, now + wait)
        self.refused(now + wait)

    def refused(self, until: float) -> None:
        """Nothing goes before `until`."""
        self._blocked_until = max(self._blocked_until, until)

    def stepped(self, seconds: float) -> None:
        """The clock jumped by so many seconds: what was spent stays as long ago as it was."""
        self._spent = deque(at + seconds for at in self._spent)
        self._blocked_until += seconds
        self._limited_until += seconds
        self._paced_until += seconds
        self._took_at += seconds

    def remaining(self, now: float) -> int:
        """How many requests may go at `now`, pauses apart."""
        self._forget(now)
        return max(0, self.per_minute - len(self._spent) - self._out)

    def next_at(self, now: float, requests: int = 1) -> float | None:
        """When `requests` may go; None while that depends on answers that are still out."""
        self._forget(now)
        short = len(self._spent) + self._out + requests - self.per_minute
        free = now if short <= 0 else None
        if 0 < short <= len(self._spent):
            free = self._spent[short - 1] + MINUTE_SECONDS + MARGIN_SECONDS
        return None if free is None else max(free, self._blocked_until, self._turn(now))

    def _turn(self, now: float) -> float:
        """When the next request's turn is, while they go evenly."""
        return self._took_at + MINUTE_SECONDS / self.per_minute if now < self._paced_until else 0.0

    def _forget(self, now: float) -> None:
        while self._spent and self._spent[0] <= now - MINUTE_SECONDS - MARGIN_SECONDS:
            self._spent.popleft()
        while self._spent and self._spent[-1] > now + MINUTE_SECONDS:
            self._spent.pop()


@dataclass(frozen=True, slots=True)
class Candidate:
    """What an agent needs of the budget; `holding` says that we owe them a way back."""

    agent: str
    action: Action
    holding: bool


def order(candidates: list[Candidate], now: float) -> list[Candidate]:
    """Those first whose wrong state costs most, then the longest due; whoever waited a minute goes before all.

    A look that only a hint asks for goes last, however long it waits.
    """

    def rank(candidate: Candidate) -> tuple[bool, bool, float, float]:
        due = candidate.action.due
        patient = now - due < PATIENCE_SECONDS
        return is_spare(candidate.action), patient, -_weight(candidate) if patient else 0.0, due

    return sorted(candidates, key=rank)


def is_spare(action: Action | None) -> bool:
    """Whether nobody waits for it: a look that only a hint asks for."""
    return isinstance(action, Look) and action.hinted


def _weight(candidate: Candidate) -> float:
    match candidate.action:
        case Put(releases=releases):
            return UNREACHABLE_WEIGHT if releases else RINGING_WEIGHT
        case Look():
            return UNREACHABLE_WEIGHT if candidate.holding else RINGING_WEIGHT


def wait_after_429(retry_after: float | None, reset: float | None, now: float, chance: float) -> float:
    """Seconds to wait: Retry-After if sane, else until Reset (seconds, or milliseconds above 1e12), else a minute.

    Clamped to 1..120 s, with jitter on top.
    """
    if retry_after is not None and 0 < retry_after <= 86400:
        wait = retry_after
    elif reset is not None and reset > 0:
        wait = (reset / 1000 if reset >= 1e12 else reset) - now
    else:
        wait = MINUTE_SECONDS
    return min(max(wait, 1.0), 120.0) + chance
