"""One agent against a model phone: what the shell does with the plan's decisions, played without a network.

Time is virtual and moves to what the plan says (`again`), by what a request takes, and to nothing else. The agent's
clock may be off by `skew`. Faults are scripted: one fate for each PUT, one for each look; none left means all is well.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from enum import Enum

from calsyncd.core.model import AVAILABLE, UNAVAILABLE, Event, Observation, Setting
from calsyncd.core.plan import (
    FREE,
    Decision,
    Facts,
    Look,
    Orders,
    Put,
    Sent,
    Stance,
    StandingBack,
    answered,
    decide,
    lost,
    not_landed,
    restored,
    stepped,
)
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import Timeline, build

NOON = 1_800_000_000.0
MINUTE = 60.0
ANSWER_SECONDS = 0.25
TIMEOUT_SECONDS = 15.0
RETRY_CAP_SECONDS = 30.0
DECISIONS_AT_ONE_INSTANT = 5


class Fate(Enum):
    """What becomes of a PUT."""

    DONE = "it lands and is answered"
    REFUSED = "it has no effect and the answer says so"
    IGNORED = "it is answered with 200 and has no effect"
    LOST = "it never lands, and nobody answers"
    LOST_BUT_LANDED = "it lands at once, and nobody answers"
    LOST_AND_LATE = "nobody answers, and it lands later"
    CRASH_BEFORE = "we die when it is written down, before it leaves"
    CRASH_AFTER = "we die when it has landed, before its answer"
    CRASH_AND_LATE = "we die when it has left, and it lands later"


@dataclass(frozen=True)
class Sending:
    """A PUT that left, or was about to: when, its setting, whether it begins a hold, whether it was the way back."""

    at: float
    setting: Setting
    begins: bool
    releases: bool
    over_own_choice: bool


@dataclass
class Driver:
    """The agent, their phone and the world, at `now`."""

    now: float = NOON
    skew: float = 0.0
    timeline: Timeline | None = field(default_factory=Timeline)
    complete: bool = True
    enforce: bool = False
    paused_until: float | None = None
    status: str = AVAILABLE
    chosen: str = AVAILABLE
    chosen_at: float = 0.0
    by_hand: bool = True
    live: str = "do_not_disturb"
    stance: Stance = FREE
    ledger: Stance = FREE
    facts: Facts = field(default_factory=Facts)
    fates: deque[tuple[Fate, float]] = field(default_factory=deque)
    failing_looks: int = 0
    reads_lag: int = 0
    before_last: str = AVAILABLE
    coming: list[tuple[float, str, bool]] = field(default_factory=list)
    sendings: list[Sending] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    crash_at_decision: int | None = None
    decisions: int = 0
    _failures: int = 0
    _instant: tuple[float, int] = (0.0, 0)

    @property
    def clock(self) -> float:
        """What the agent's clock shows."""
        return self.now + self.skew

    @property
    def statuses_sent(self) -> list[str]:
        """What was put, in order."""
        return [sending.setting.availability_status for sending in self.sendings]

    def choose(self, status: str, at: float | None = None) -> None:
        """The agent changes the setting by hand, now or at `at`."""
        self.coming.append((self.now if at is None else at, status, True))
        self._pass(self.now)

    def crash(self, downtime: float = 0.0) -> None:
        """The process dies and comes back: what it had in memory is gone."""
        self._pass(self.now + downtime)
        self.facts = Facts()
        self._failures = 0
        self.stance = restored(self.ledger, self.clock)

    def set_clock(self, skew: float = 0.0) -> None:
        """The agent's clock is set, and the loop notices."""
        self.skew = skew
        self.stance, self.facts = stepped(self.stance, self.facts, self.clock)

    def observe(self) -> None:
        """A list of everybody, asked for by somebody else, shows the agent too."""
        self.facts = self.facts.looked(Observation(Setting(self.status), self.clock))

    def hint(self, status: str | None, at: float | None = None) -> None:
        """A webhook names a status of the agent, true or not, as of `at`."""
        self.facts = self.facts.hinted(status, self.clock, putting=False, at=at)

    def run(self, until: float) -> None:
        """Decide and do until `until`, as the loop would."""
        while self.step(until):
            pass

    def step(self, until: float) -> bool:
        """Decide once and do it; False when nothing is left to do before `until`."""
        decision = self._decide()
        if decision.note is not None:
            self.notes.append(decision.note)
        if self.decisions == self.crash_at_decision:
            self.crash(1.0)
            return True
        if isinstance(decision.action, Look):
            if decision.stance != self.stance:
                self._record(decision.stance)
            self._look(decision.action)
            return self.now < until
        if isinstance(decision.action, Put):
            self._put(decision, decision.action)
            return self.now < until
        self._record(decision.stance)
        still = decide(self.stance, self._orders(), self.facts, self.clock)
        assert (decision.stance, None) == (still.stance, still.action), "what was decided does not stand"
        wake = until if decision.again is None else min(until, decision.again - self.skew)
        self._pass(max(wake, self.now))
        return self.now < until

    def _orders(self) -> Orders:
        return Orders(self.timeline, complete=self.complete, paused_until=self.paused_until, enforce=self.enforce)

    def _decide(self) -> Decision:
        self.decisions += 1
        instant, times = self._instant
        self._instant = (self.now, times + 1 if instant == self.now else 1)
        assert self._instant[1] <= DECISIONS_AT_ONE_INSTANT, "the plan runs in a circle"
        decision = decide(self.stance, self._orders(), self.facts, self.clock)
        assert decision.again is None or decision.again > self.clock, "the plan asks for the past"
        return decision

    def _record(self, stance: Stance) -> None:
        self.ledger = self.stance = stance

    def _pass(self, to: float) -> None:
        """Let time pass; what the world has in store until then happens."""
        self.now = to
        due = sorted(happening for happening in self.coming if happening[0] <= to)
        self.coming = [happening for happening in self.coming if happening[0] > to]
        for at, status, by_hand in due:
            self.before_last = self.status
            self.status, self.by_hand = status, by_hand
            if by_hand:
                self.chosen, self.chosen_at = status, at

    def _look(self, look: Look) -> None:
        sent = self.clock
        self.looks.append(self.now)
        if self.failing_looks:
            self.failing_looks -= 1
            self._pass(self.now + TIMEOUT_SECONDS)
            if look.why != "hint":
                self.facts = self.facts.look_failed(self.clock)
            self._failed()
            return
        self._pass(self.now + ANSWER_SECONDS)
        self._succeeded()
        shown = self.status if self.reads_lag <= 0 else self.before_last
        self.reads_lag -= 1
        seen = Observation(Setting(shown), sent, self.live if look.live else None)
        self.facts = self.facts.looked(seen)

    def _put(self, decision: Decision, put: Put) -> None:
        sent = Sent(self.stance, decision.stance, put)
        own_choice = self.by_hand and self.status == UNAVAILABLE and self.chosen_at < self.now - 10
        begins = not put.releases and (self.stance == FREE or isinstance(self.stance, StandingBack))
        self.sendings.append(Sending(self.now, put.setting, begins, put.releases, own_choice))
        self._record(sent.written)
        fate, late = self.fates.popleft() if self.fates else (Fate.DONE, 0.0)
        landing = (self.now, put.setting.availability_status, False)
        match fate:
            case Fate.DONE:
                self.coming.append(landing)
                self._pass(self.now + ANSWER_SECONDS)
                self._succeeded()
                self._settle(answered(sent, put.setting, self.facts, self.clock))
            case Fate.IGNORED:
                self._pass(self.now + ANSWER_SECONDS)
                self._settle(answered(sent, Setting(self.status), self.facts, self.clock))
            case Fate.REFUSED:
                self._pass(self.now + ANSWER_SECONDS)
                self._settle(not_landed(sent, self.facts))
                self._failed()
            case Fate.LOST | Fate.LOST_BUT_LANDED | Fate.LOST_AND_LATE:
                if fate is Fate.LOST_BUT_LANDED:
                    self.coming.append(landing)
                if fate is Fate.LOST_AND_LATE:
                    self.coming.append((self.now + TIMEOUT_SECONDS + late, *landing[1:]))
                self._pass(self.now + TIMEOUT_SECONDS)
                self._settle(lost(sent, self.facts, self.clock))
                self._failed()
            case Fate.CRASH_BEFORE:
                self.crash(1.0)
            case Fate.CRASH_AFTER:
                self.coming.append(landing)
                self.crash(1.0)
            case Fate.CRASH_AND_LATE:
                self.coming.append((self.now + late, *landing[1:]))
                self.crash(1.0)

    def _settle(self, known: tuple[Stance, Facts]) -> None:
        stance, self.facts = known
        self._record(stance)

    def _succeeded(self) -> None:
        self._failures = 0
        self.facts = replace(self.facts, retry_at=0.0)

    def _failed(self) -> None:
        self._failures += 1
        wait = min(RETRY_CAP_SECONDS, 2.0 ** (self._failures - 1))
        self.facts = replace(self.facts, retry_at=self.clock + wait)


def meeting(start: float, end: float, name: str = "meeting") -> Event:
    """An event that counts, from minute `start` to minute `end` of the afternoon."""
    return Event(name, NOON + start * MINUTE, NOON + end * MINUTE)


def day(*events: Event, lead: float = 0.0, lag: float = 0.0, bridge: float = 0.0) -> Timeline:
    """The timeline of `events`, under rules in seconds."""
    return build(events, Rules(lead=lead, lag=lag, bridge=bridge))
