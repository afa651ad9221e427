"""Days of a company by seed: who meets when, and what is changed at short notice.

From 9 to 17 h each agent has about five meetings of 15 to 60 minutes, half an hour or an hour most often. A quarter of
them begins on the hour, two fifths at :00 or :30, the others at any multiple of five minutes, and not while another one
is on. But a tenth follows directly on the one before, and about a seventh is a quarter of an hour within another one.
12 % are made, moved or cancelled while the day runs, from half an hour before they begin until their middle; nobody
knows of a change before its instant. `benchmarks.dispatch.calibrate` says where these shares come from.
"""

from __future__ import annotations

import functools
import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

MINUTE = 60.0
HOUR = 3600.0
BEGIN = 9 * HOUR
END = 17 * HOUR
COUNTED_FROM = BEGIN - 5 * MINUTE
COUNTED_TO = END + 30 * MINUTE
KNOWN_BEFORE = 0.0
"""What stands in the calendars since before the day."""

MEETINGS = (4, 5, 5, 5, 6, 6)
LENGTHS = (15, 30, 30, 30, 45, 60, 60)
STEPS = ((0.25, HOUR), (0.65, 30 * MINUTE), (1.0, 5 * MINUTE))
"""Up to this chance meetings begin at multiples of this."""

BACK_TO_BACK = 0.1
NESTED = 0.15
NESTED_SECONDS = 15 * MINUTE
NESTED_STEP = 5 * MINUTE
CHANGED = 0.12
NOTICE_SECONDS = 30 * 60
SHIFTS = (-30, -15, 15, 30, 60)
"""Minutes by which a meeting is moved."""


@dataclass(frozen=True, slots=True)
class Change:
    """From `at` on this meeting of an agent lasts from `start` to `end`, seconds of the day; None: it is cancelled."""

    at: float
    agent: int
    meeting: str
    span: tuple[float, float] | None


@dataclass(frozen=True)
class Day:
    """What becomes known when, in order; agents are numbered from 0."""

    seed: int
    agents: int
    changes: tuple[Change, ...]

    def of(self, agent: int) -> list[Change]:
        """What becomes known of one agent."""
        return self._by_agent[agent]

    def is_busy(self, agent: int, at: float) -> bool:
        """Whether the calendar, as edited by `at`, says busy then."""
        return any(start <= at < end for start, end in self.known(agent, at))

    def known(self, agent: int, at: float) -> list[tuple[float, float]]:
        """The meetings of the calendar as edited by `at`."""
        known = {change.meeting: change.span for change in self.of(agent) if change.at <= at}
        return [span for span in known.values() if span is not None]

    @functools.cached_property
    def _by_agent(self) -> list[list[Change]]:
        own: list[list[Change]] = [[] for _ in range(self.agents)]
        for change in self.changes:
            own[change.agent].append(change)
        return own

    def busy(self) -> list[list[tuple[float, float]]]:
        """For each agent the disjoint spans in which the calendar, as edited by then, says busy."""
        versions: dict[tuple[int, str], list[Change]] = defaultdict(list)
        for change in self.changes:
            versions[change.agent, change.meeting].append(change)
        spans: list[list[tuple[float, float]]] = [[] for _ in range(self.agents)]
        for (agent, _), known in versions.items():
            for one, following in zip(known, [*(later.at for later in known[1:]), COUNTED_TO], strict=True):
                if one.span is not None:
                    start, end = max(one.span[0], one.at), min(one.span[1], following)
                    if start < end:
                        spans[agent].append((start, end))
        return [united(own) for own in spans]


def company_day(seed: int, agents: int) -> Day:
    """The day of this seed for so many agents."""
    rng = random.Random(f"{seed} {agents}")  # noqa: S311 - a day by its seed
    changes = [change for agent in range(agents) for change in _agent_day(rng, agent)]
    return Day(seed, agents, tuple(sorted(changes, key=lambda one: one.at)))


def _agent_day(rng: random.Random, agent: int) -> list[Change]:
    meetings: list[tuple[float, float]] = []
    for _ in range(rng.choice(MEETINGS)):
        meeting = _meeting(rng, meetings)
        if meeting is not None:
            meetings.append(meeting)
    changes = []
    for number, span in enumerate(meetings):
        name = f"m{number}"
        if rng.random() >= CHANGED:
            changes.append(Change(KNOWN_BEFORE, agent, name, span))
            continue
        changes += _changed(rng, agent, name, span)
    return changes


def _meeting(rng: random.Random, before: list[tuple[float, float]]) -> tuple[float, float] | None:
    length = rng.choice(LENGTHS) * MINUTE
    chance = rng.random()
    if before and chance < BACK_TO_BACK:
        start = before[-1][1]
    elif before and chance < BACK_TO_BACK + NESTED:
        outer = rng.choice(before)
        length = NESTED_SECONDS
        start = outer[0] + NESTED_STEP * rng.randrange(int((outer[1] - outer[0] - length) // NESTED_STEP) + 1)
    else:
        for _ in range(8):
            place = rng.random()
            step = next(step for most, step in STEPS if place < most)
            start = BEGIN + step * rng.randrange(int((END - BEGIN - length) // step) + 1)
            if all(start + length <= low or start >= high for low, high in before):
                break
        else:
            return None
    return (start, start + length) if start + length <= END else None


def _changed(rng: random.Random, agent: int, name: str, span: tuple[float, float]) -> Iterable[Change]:
    """Made, moved or cancelled, from some minutes before its start until it has run for a while."""
    start, end = span
    at = max(BEGIN - MINUTE, start + rng.randrange(-NOTICE_SECONDS, int(end - start) // 2))
    kind = rng.choice(("made", "moved", "cancelled"))
    if kind == "made":
        return [Change(at, agent, name, span)]
    first = Change(KNOWN_BEFORE, agent, name, span)
    if kind == "cancelled":
        return [first, Change(at, agent, name, None)]
    within = [shift * MINUTE for shift in SHIFTS if start + shift * MINUTE >= BEGIN and end + shift * MINUTE <= END]
    shift = rng.choice(within)
    return [first, Change(at, agent, name, (start + shift, end + shift))]


def united(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same instants as disjoint spans in order; spans that touch are one."""
    joined: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined
