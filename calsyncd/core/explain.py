"""Why an agent is set as they are at an instant: what the history, the calendars and the plan say of it, put together.

The history decides about the past: what was done, when, by whom, how late and for what. It says of each change of a
setting between which two instants it came (`HistoryRow.after`, `at`): outside of those what was set is sure, inside it
is one of two. An update whose answer was lost makes it unsure until the next look. Events are told as they are stored
now, which may be another thing than what they were.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from itertools import accumulate
from typing import Literal

from calsyncd.core.byhand import EXTENSION
from calsyncd.core.model import UNAVAILABLE, Event, HistoryRow, Observation, Span, Trouble
from calsyncd.core.past import CHANGES
from calsyncd.core.rules import Rules, Verdict
from calsyncd.core.timeline import Timeline

AROUND_SECONDS = 3600.0
"""Events so near to the instant are told of, whether or not they touch what was set then."""

SAID_SECONDS = 86400.0
"""So long after it is told what a person said of the agent's meetings."""

Tense = Literal["past", "now", "future"]
StanceName = Literal["held", "paused", "override", "left_alone", "early_end", "kept", "observed", "unfollowed", "free"]


@dataclass(frozen=True, slots=True)
class Then:
    """What the history tells of one instant; each of the rows is the last that tells of it, None where none does.

    `change` made what is set, `hold` the hold, and `back` is what was there before it. `until` is when the hold was to
    end, as known then. `standing` is why the agent is left alone, `kept` why they are kept available, `paused` the
    pause, `would` what would be held of who is only observed. `lost` is an update whose answer is missing, `failed` one
    that was not taken, `said` what a person said of their meetings, and `gone` says that the agent was followed no
    more. `following` is the next change.
    """

    change: HistoryRow | None = None
    hold: HistoryRow | None = None
    back: str | None = None
    until: float | None = None
    standing: HistoryRow | None = None
    kept: HistoryRow | None = None
    paused: HistoryRow | None = None
    would: HistoryRow | None = None
    lost: HistoryRow | None = None
    failed: HistoryRow | None = None
    said: HistoryRow | None = None
    gone: HistoryRow | None = None
    following: HistoryRow | None = None
    sure: bool = False

    @property
    def status(self) -> str | None:
        """The `availability_status` that was known to be set; None where it is not sure."""
        return self.change.to if self.change is not None and self.sure else None

    @property
    def possible(self) -> frozenset[str | None]:
        """What may have been set; with None where nobody looked."""
        known = self.change.to if self.change is not None and self.gone is None else None
        if self.sure:
            return frozenset({known})
        others = [row.to for row in (self.lost, self.following) if row is not None]
        before = self.following.from_ if self.following is not None and known is None else known
        return frozenset({before, *others})

    @property
    def stance(self) -> StanceName:
        """Where calsyncd stood with the agent."""
        if self.gone is not None:
            return "unfollowed"
        if self.hold is not None:
            return "held"
        if self.paused is not None:
            return "paused"
        if self.standing is not None:
            outcome = self.standing.outcome
            return "override" if outcome == "override" else "left_alone" if outcome == "left_alone" else "early_end"
        if self.kept is not None:
            return "kept"
        return "observed" if self.would is not None else "free"

    def owed_since(self, at: float) -> float | None:
        """Since when an update was due at `at` that was made later, by what the next change says of itself."""
        row = self.following
        if row is None or row.outcome != "done" or not row.late_ms:
            return None
        due = row.at - row.late_ms / 1000
        return due if due <= at < row.at else None


class Story:
    """One agent's history, to be asked about any instant."""

    def __init__(self, rows: Iterable[HistoryRow]) -> None:
        self._rows = list(rows)
        self._times = [row.at for row in self._rows]
        self._states = list(accumulate(self._rows, _after, initial=Then()))
        self._following = _next_of(self._rows, CHANGES)
        self._lost = _next_of(self._rows, CHANGES | {"lost"})

    def at(self, at: float) -> Then:
        """What it tells of the instant `at`."""
        index = bisect_right(self._times, at)
        then, following, lost = self._states[index], self._following[index], self._lost[index]
        unanswered = then.lost
        if unanswered is None and lost is not None and lost.outcome == "lost" and (lost.after or lost.at) < at:
            # It was under way, and its answer was lost later.
            unanswered = lost
        return replace(
            then,
            following=following,
            lost=unanswered,
            standing=None if _is_over(then.standing, at) else then.standing,
            paused=None if _is_over(then.paused, at) else then.paused,
            kept=None if _is_over(then.kept, at) else then.kept,
            would=None if _is_over(then.would, at) else then.would,
            failed=None if _is_over(then.failed, at) else then.failed,
            said=then.said if then.said is not None and at - then.said.at < SAID_SECONDS else None,
            sure=then.change is not None
            and then.gone is None
            and unanswered is None
            and (following is None or _is_before(at, following)),
        )


def _next_of(rows: Sequence[HistoryRow], outcomes: frozenset[str]) -> list[HistoryRow | None]:
    """For each row and for the end, the first from there on with one of `outcomes`."""
    found: list[HistoryRow | None] = [None]
    for row in reversed(rows):
        found.append(row if row.outcome in outcomes else found[-1])
    return found[::-1]


def _is_over(row: HistoryRow | None, at: float) -> bool:
    return row is not None and row.until is not None and row.until <= at


def _is_before(at: float, change: HistoryRow) -> bool:
    """Whether `at` is surely before a change that the history has later."""
    if change.after is not None:
        return at <= change.after
    # Told of by a history that did not tell it: what was done came with its answer, what was seen at any time.
    return change.outcome == "done"


def _after(then: Then, row: HistoryRow) -> Then:
    """What the history tells once `row` was added to it; what is not known here changes nothing."""
    match row.outcome:
        case "done" if row.to == UNAVAILABLE:
            back = then.back if then.hold is not None else row.from_
            return Then(change=row, hold=row, back=back, until=row.until, paused=then.paused, said=then.said)
        case "done":
            early = row if row.until is not None and row.until > row.at else None
            return Then(change=row, standing=early, paused=then.paused, gone=then.gone, said=then.said)
        case "seen":
            return _seen(then, row)
        case "lost":
            return replace(then, lost=then.lost or row, failed=None)
        case "failed":
            return replace(then, failed=row)
        case "override" | "left_alone":
            return Then(change=then.change, standing=row, paused=then.paused, said=then.said)
        case "closed":
            return replace(then, hold=None, back=None, lost=None, failed=None)
        case "moved":
            if then.hold is not None:
                return replace(then, until=row.until)
            return replace(then, would=replace(then.would, until=row.until)) if then.would is not None else then
        case "kept":
            return replace(then, kept=row, standing=None)
        case "over":
            return replace(then, kept=None, standing=None)
        case "paused":
            return replace(then, paused=row)
        case "resumed":
            return replace(then, paused=None, said=None)
        case "skipped" | "extended":
            return replace(then, said=row)
        case "observed":
            return replace(then, would=row if row.to == UNAVAILABLE else None)
        case "removed" | "rebound":
            return Then(change=then.change, hold=then.hold, back=then.back, gone=row)
        case "followed":
            return replace(then, gone=None)
    return then


def _seen(then: Then, row: HistoryRow) -> Then:
    """A look showed another setting; it may have been an update of ours, whose answer was lost."""
    lost = then.lost
    then = replace(then, change=row, lost=None, failed=None, gone=None)
    if lost is None or lost.to != row.to or row.actor != "calsyncd":
        return then
    told = replace(
        row, event=lost.event, until=lost.until, begins=lost.begins, ends=lost.ends, substatus=lost.substatus
    )
    if row.to != UNAVAILABLE:
        return replace(then, change=told, hold=None, back=None)
    back = then.back if then.hold is not None else lost.from_
    return replace(then, change=told, hold=told, back=back, until=told.until, standing=None, kept=None)


@dataclass(frozen=True, slots=True)
class Considered:
    """One event near the instant: whether it counts, and where the rule stands that decided, if one did."""

    event: Event
    calendar: str
    verdict: Verdict
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Stance:
    """Where calsyncd stands with the agent, or will: since and until when, as known, and what it puts back.

    `ends` says why a hold ends now though its meeting goes on.
    """

    name: StanceName
    since: float | None = None
    until: float | None = None
    back: str | None = None
    event: str | None = None
    why: str = ""
    actor: str | None = None
    ends: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One reason for which a hold lasts: `event`, which fills `[start, until)` as known now, or what is behind one."""

    kind: Literal["meeting", "lag", "bridge", "extension"]
    start: float
    until: float
    event: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to "why?" for one agent and instant; `core/wording` says it in sentences.

    `span` is what the calendars want at `at`, as they are stored now, `run_starts` and `run_ends` what the run of
    meetings around it fills, and `ahead` the next run, where none holds. `kept_since` is how far back events are kept,
    `planned_until` and `read_until` how far ahead holds are planned and events are read. `seen` is the last
    observation. `under_way` while the answer to an update is out. `parts` are what makes the end of the run around
    `span`, or of `ahead`, `rules` those in force now, and `origins` tells of each of their keys where its value stands.
    """

    email: str
    at: float
    now: float
    tense: Tense
    zone: tzinfo
    then: Then
    stance: Stance
    considered: tuple[Considered, ...]
    span: Span | None
    run_starts: float | None
    run_ends: float | None
    ahead: Span | None
    kept_since: float
    planned_until: float
    read_until: float
    seen: Observation | None = None
    owed_since: float | None = None
    under_way: bool = False
    observe: bool = False
    trouble: Trouble | None = None
    parts: tuple[Part, ...] = ()
    rules: Rules = field(default_factory=Rules)
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def counted(self) -> list[Considered]:
        """Those that count."""
        return [one for one in self.considered if one.verdict.counts]

    @property
    def not_counted(self) -> list[Considered]:
        """Those that do not."""
        return [one for one in self.considered if not one.verdict.counts]


def stance_then(then: Then) -> Stance:
    """Where calsyncd stood, by the history."""
    name = then.stance
    row = {
        "unfollowed": then.gone,
        "held": then.hold,
        "paused": then.paused,
        "kept": then.kept,
        "observed": then.would,
    }.get(name, then.standing)
    if row is None:
        return Stance("free")
    until = then.until if name == "held" else row.until
    back = then.back if name == "held" else row.from_ if name == "observed" else None
    return Stance(name, row.at, until, back, row.event, row.why, row.actor)


def near(events: Sequence[tuple[str, Event]], timeline: Timeline, at: float) -> list[tuple[str, Event]]:
    """Of an agent's events, each with its calendar, those that an answer about `at` tells of, in order.

    Those of the hour before and after, and of the run of meetings that holds; an event of whole days only if it is on.
    """
    low, high = at - AROUND_SECONDS, at + AROUND_SECONDS
    end = timeline.stretch_end(at)
    if end is not None:
        low, high = min(low, run_start(timeline, at)), max(high, end)
    found = [
        (calendar, event)
        for calendar, event in events
        if (event.start <= at < event.end if event.all_day else event.start < high and event.end > low)
    ]
    return sorted(found, key=lambda pair: (not pair[1].all_day, pair[1].start, pair[1].end, pair[1].id))


def run_start(timeline: Timeline, at: float) -> float:
    """When the unbroken run of spans that holds at `at` begins; `at` itself where none holds."""
    span = timeline.span_at(at)
    if span is None:
        return at
    starts = {one.end: one.start for one in timeline.spans}
    start = span.start
    while start in starts:
        start = starts[start]
    return start


def parts_of(timeline: Timeline, rules: Rules, at: float) -> tuple[Part, ...]:
    """What makes the run of spans that holds at `at` last until its end, in order: each reaches to the next."""
    end, reach = timeline.stretch_end(at), at
    parts: list[Part] = []
    while end is not None and reach < end:
        part = _reaching(timeline, rules, reach)
        if part is None:
            break
        if part.kind == "lag" and not parts:
            parts += [_body(one, rules) for one in timeline.padded if (one.event, one.end) == (part.event, part.until)]
        parts.append(part)
        reach = part.until
    return tuple(parts)


def _body(meeting: Span, rules: Rules) -> Part:
    return Part("meeting", meeting.start + rules.lead, meeting.end - rules.lag, meeting.event)


def _reaching(timeline: Timeline, rules: Rules, at: float) -> Part | None:
    """What reaches the furthest from `at`: a meeting, else an extension or a lag, else the bridge to what is next."""
    running = [one for one in timeline.padded if one.start <= at < one.end]
    meetings = [one for one in running if one.event != EXTENSION and at < one.end - rules.lag]
    if meetings:
        last = max(meetings, key=lambda one: (one.end, -one.start))
        return _body(last, rules)
    if running:
        last = max(running, key=lambda one: (one.end, one.event == EXTENSION))
        if last.event == EXTENSION:
            return Part("extension", last.start, last.end, last.event)
        return Part("lag", last.end - rules.lag, last.end, last.event)
    following = min((one.start for one in timeline.padded if one.start > at), default=None)
    return Part("bridge", at, following) if following is not None else None
