"""What all schedulers of the bench share: the sandbox's Aircall on one clock, and how a day is judged.

Everything is taken from the sandbox: which setting was in force when, and when each request was counted. Scheduling
takes no time of its own; a request takes as long as the rate of requests says, or none.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from benchmarks.dispatch.days import COUNTED_FROM, COUNTED_TO, MINUTE, Day, united
from calsyncd.sandbox.aircall import AircallSandbox
from calsyncd.sandbox.aircall_users import Setting, User
from calsyncd.sandbox.limits import Kind, Window

MIDNIGHT = 1_800_057_600.0
"""The day's first second, as epoch seconds: a whole number of days."""

TOLERANCE_SECONDS = 0.01
LONGEST_WAY_SECONDS = 6.0
UNAVAILABLE, AVAILABLE = "unavailable", "available"


class VoidError(Exception):
    """The run broke a rule, so that its figures mean nothing."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a day is played with.

    `per_minute` is what Aircall grants, `kind` how it counts; `others` of it another integration takes, evenly.
    `margin` is added to the minute by us, for safety. `a_second` is how fast requests go, None for at once. `told`:
    webhooks tell of changes; `headers`: every answer says what is left.
    """

    per_minute: int
    early: float = MINUTE
    margin: float = 0.0
    a_second: float | None = None
    told: bool = True
    headers: bool = False
    kind: Kind = "sliding"
    burst: int | None = None
    others: int = 0


@dataclass(slots=True)
class Played:
    """What became of a day: weighted seconds, and requests by kind."""

    ringing: float = 0.0
    unreachable: float = 0.0
    updates: int = 0
    reads: int = 0
    refused: int = 0
    windows: int = 0
    astray: int = 0
    """Whose setting at the end is not what the calendar says."""

    @property
    def wrong(self) -> float:
        """W."""
        return 2 * self.ringing + self.unreachable


@dataclass(slots=True)
class Counted:
    """A request that Aircall has counted."""

    at: float
    user: int | None
    status: str | None


@dataclass(slots=True)
class World:
    """The sandbox's Aircall for one day: user n + 1 is agent n."""

    day: Day
    terms: Terms
    aircall: AircallSandbox
    counted: list[Counted] = field(default_factory=list)
    refused: int = 0
    _others: deque[float] = field(default_factory=deque)

    def hire(self) -> None:
        """Everybody begins available."""
        for number in range(self.day.agents):
            self.aircall.add_user(f"a{number}@example.com", user_id=number + 1)
        terms = self.terms
        self.aircall.switches.budget = Window(terms.per_minute, kind=terms.kind, burst=terms.burst)
        if terms.others:
            gap = MINUTE / terms.others
            steps = int((COUNTED_TO - COUNTED_FROM + 30 * MINUTE) / gap)
            first = MIDNIGHT + COUNTED_FROM - 20 * MINUTE
            self._others.extend(first + gap * (step + 0.5) for step in range(steps))

    def passes(self, now: float, user: int | None = None, status: str | None = None) -> bool:
        """Whether Aircall takes a request, after what others have asked for until then."""
        while self._others and self._others[0] <= now:
            self.aircall.switches.budget.take(self._others.popleft())
        if not self.aircall.switches.budget.take(now):
            self.refused += 1
            return False
        self.counted.append(Counted(now, user, status))
        return True

    def put(self, user: int, status: str) -> None:
        """The update of a request that has passed."""
        self.aircall.users.put(self.aircall.users.by_id[user], Setting(status), "api")

    def judge(self, *, strict: bool = True) -> Played:
        """The day's figures; VoidError if a rule was broken. Not `strict`: updates may be early, or for nothing."""
        if self.terms.kind == "sliding":
            self._check_minutes()
        busy = self.day.busy()
        played = Played(refused=self.refused, windows=sum(map(len, busy)))
        played.updates = sum(one.user is not None for one in self.counted)
        played.reads = len(self.counted) - played.updates
        played.astray = sum(map(self._is_astray, range(self.day.agents)))
        for number, spans in enumerate(busy):
            user = self.aircall.users.by_id[number + 1]
            if strict:
                self._check_early(number, user)
            ringing, unreachable = _wrong(spans, _off(user))
            played.ringing += ringing
            played.unreachable += unreachable
        return played

    def _check_minutes(self) -> None:
        times = [one.at for one in self.counted]
        for first, beyond in zip(times, times[self.terms.per_minute :], strict=False):
            if beyond - first < MINUTE - TOLERANCE_SECONDS:
                raise VoidError(f"more than {self.terms.per_minute} requests in the minute after {first - MIDNIGHT}")

    def _is_astray(self, number: int) -> bool:
        off = self.aircall.setting(number + 1).status == UNAVAILABLE
        return off != self.day.is_busy(number, COUNTED_TO)

    def _check_early(self, number: int, user: User) -> None:
        """Each turn is what the calendar, as it was known when its update was sent, says within `early` of then."""
        early = self.terms.early + TOLERANCE_SECONDS
        # What became known at the very instant was not known yet, and a request that takes its time was sent before.
        sent_before = TOLERANCE_SECONDS if self.terms.a_second is None else LONGEST_WAY_SECONDS
        for at, after in _turns(user):
            sent = (at, at - sent_before)
            if not any(self._is_wanted(number, when, when + early, busy=after == UNAVAILABLE) for when in sent):
                raise VoidError(f"agent {number} became {after} at {at}, too early or for nothing")

    def _is_wanted(self, number: int, since: float, until: float, *, busy: bool) -> bool:
        """Whether the calendar, as it is known at `since`, says so at some instant of these."""
        spans = united(self.day.known(number, since))
        if busy:
            return any(start <= until and since < end for start, end in spans)
        return not any(start <= since and until < end for start, end in spans)


def _turns(user: User) -> list[tuple[float, str]]:
    """When a phone changed, and to what."""
    return [
        (at - MIDNIGHT, after.status)
        for at, before, after in zip(user.since[1:], user.settings, user.settings[1:], strict=False)
        if before.status != after.status
    ]


def _off(user: User) -> list[tuple[float, float]]:
    """When the phone was unavailable."""
    ends = [*user.since[1:], MIDNIGHT + COUNTED_TO]
    return [
        (since - MIDNIGHT, until - MIDNIGHT)
        for since, until, setting in zip(user.since, ends, user.settings, strict=True)
        if setting.status == UNAVAILABLE
    ]


def _wrong(busy: list[tuple[float, float]], off: list[tuple[float, float]]) -> tuple[float, float]:
    """Seconds of a phone that rings in a meeting, and of one that does not outside of one."""
    both = sum(_common(span, other) for span in busy for other in off)
    whole = (COUNTED_FROM, COUNTED_TO)
    return sum(_common(span, whole) for span in busy) - both, sum(_common(span, whole) for span in off) - both


def _common(one: tuple[float, float], other: tuple[float, float]) -> float:
    return max(0.0, min(one[1], other[1], COUNTED_TO) - max(one[0], other[0], COUNTED_FROM))
