"""From events to an agent's timeline: padded by lead and lag, united, bridged, ordered, disjoint.

Of overlapping events the one with the stronger reason, then the one that started first gives the reason, but a
meeting's body beats another's lead and lag. What is wanted is always asked of the whole union: an event that ends
clears nothing by itself.

Working hours say when a hold may begin, never when it ends. So an unbroken run of meetings begins at its first instant
inside them, if it has one; and a run that comes less than `bridge` after one that holds goes on, wherever it lies.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from calsyncd.core.byhand import EXTENSION, NOTHING, ByHand
from calsyncd.core.model import UNAVAILABLE, Event, Setting, Span
from calsyncd.core.rules import OUT_OF_OFFICE, Rules, Verdict, judge, wanted


@dataclass(frozen=True, slots=True)
class Timeline:
    """`spans` are disjoint and ordered; `padded` are the events that count, each with its lead and lag.

    `away` are those of `padded` that no coverage floor keeps: in which the agent is out of the office, or that were
    wanted by hand. `outside` are the ids of events that count and begin no hold, since they lie outside of the working
    hours. `skipped` are the events, with lead and lag, that would count and are skipped by hand.
    """

    spans: tuple[Span, ...] = ()
    padded: tuple[Span, ...] = ()
    away: tuple[Span, ...] = ()
    outside: frozenset[str] = frozenset()
    skipped: tuple[Span, ...] = ()

    def span_at(self, at: float) -> Span | None:
        """What is wanted at `at`, and why."""
        index = bisect_right(self.spans, at, key=_start) - 1
        if index >= 0 and at < self.spans[index].end:
            return self.spans[index]
        return None

    def next_start(self, after: float) -> float | None:
        """When the next span begins, later than `after`."""
        index = bisect_right(self.spans, after, key=_start)
        return self.spans[index].start if index < len(self.spans) else None

    def stretch_end(self, at: float) -> float | None:
        """When the unbroken run of spans that holds at `at` ends."""
        index = bisect_right(self.spans, at, key=_start) - 1
        if index < 0 or at >= self.spans[index].end:
            return None
        while index + 1 < len(self.spans) and self.spans[index + 1].start == self.spans[index].end:
            index += 1
        return self.spans[index].end

    def next_change(self, at: float) -> float | None:
        """The next boundary after `at`: when another setting is wanted, or none."""
        current = self.span_at(at)
        if current is None:
            return self.next_start(at)
        index = bisect_right(self.spans, at, key=_start) - 1
        while index + 1 < len(self.spans) and self.spans[index + 1].start == self.spans[index].end:
            if self.spans[index + 1].setting != current.setting:
                return self.spans[index].end
            index += 1
        return self.spans[index].end

    def is_away(self, at: float) -> bool:
        """Whether the agent is out of the office at `at`, or a person wanted them unavailable."""
        return any(span.start <= at < span.end for span in self.away)

    def next_away(self, after: float) -> float | None:
        """When that next begins, later than `after`."""
        return min((span.start for span in self.away if span.start > after), default=None)

    def extension_at(self, at: float) -> Span | None:
        """The extension by hand that holds at `at`."""
        return next((span for span in self.padded if span.event == EXTENSION and span.start <= at < span.end), None)

    def unextended_at(self, at: float) -> float | None:
        """When the meetings that run at `at` end without the extension that holds then; None where none does."""
        if self.extension_at(at) is None:
            return None
        return max((one.end for one in self.running(at) if one.event != EXTENSION), default=at)

    def running(self, at: float) -> list[Span]:
        """The events that run at `at`, with lead and lag, and the extension; not those that begin no hold."""
        return [one for one in self.padded if one.start <= at < one.end and one.event not in self.outside]

    def is_skipped(self, at: float) -> bool:
        """Whether an event that would take the agent off at `at` is skipped by hand."""
        return any(span.start <= at < span.end for span in self.skipped)

    def running_until(self, at: float) -> float | None:
        """The last end among the events that run at `at`, and of the bridge behind it, where no meeting runs."""
        running = [span.end for span in self.running(at)]
        end = max(running, default=at)
        if self.running(end):
            return end
        bridge = self.span_at(end)
        if bridge is not None:
            return bridge.end
        return end if running else None


def build(events: Iterable[Event], rules: Rules, by_hand: ByHand = NOTHING) -> Timeline:
    """The timeline of `events` under `rules`, and what was said by hand."""
    counted: list[_Counted] = []
    left_out: set[Span] = set()
    for event in events:
        if verdict(event, rules, by_hand).counts:
            counted.append(_of_event(event, rules))
        elif by_hand.skips(event) and judge(event, rules).counts:
            left_out.add(_of_event(event, rules).span)
    skipped = tuple(sorted(left_out, key=lambda span: (span.start, span.end, span.event)))
    spans = _begin(_unite(counted), rules, NOTHING, skipped)
    hours = rules.working_hours is not None
    outside = frozenset(one.span.event for one in counted if not _touches(spans, one.span)) if hours else frozenset()
    if by_hand.extension is not None:
        # It is not bound to hours, and brings no meeting in that is.
        counted.append(_of_extension(by_hand, rules))
        spans = _begin(_unite([one for one in counted if one.span.event not in outside]), rules, by_hand, skipped)
    counted.sort(key=lambda one: (one.start, one.end, one.span.event))
    padded = tuple(one.span for one in counted)
    away = tuple(one.span for one in counted if one.away)
    # Most meetings stand alone: theirs is one span, kept once.
    known = {span: span for span in padded}
    return Timeline(tuple(known.get(span, span) for span in spans), padded, away, outside, skipped)


def verdict(event: Event, rules: Rules, by_hand: ByHand = NOTHING) -> Verdict:
    """Whether `event` counts under `rules` and what was said by hand, and why not."""
    if by_hand.skips(event):
        return Verdict(counts=False, words="skipped by hand", rule="skip")
    return judge(event, rules)


@dataclass(frozen=True, slots=True)
class _Counted:
    """An event that counts: its body, its span with lead and lag, and its rank among those that overlap."""

    start: float
    end: float
    span: Span
    rank: int
    away: bool = False


def _of_event(event: Event, rules: Rules) -> _Counted:
    setting, rank = wanted(event, rules)
    span = Span(event.start - rules.lead, event.end + rules.lag, setting, event.id)
    return _Counted(event.start, event.end, span, rank, away=event.kind == OUT_OF_OFFICE)


def _of_extension(by_hand: ByHand, rules: Rules) -> _Counted:
    extension = by_hand.extension
    assert extension is not None  # noqa: S101 - the caller asks only then
    last = len(rules.substatus_by_title) + len(rules.substatus_by_type) + 1
    span = Span(extension.since, extension.until, Setting(UNAVAILABLE, extension.substatus), EXTENSION)
    return _Counted(extension.since, extension.until, span, last, away=True)


def _unite(counted: list[_Counted]) -> list[Span]:
    """Cut time at every start and end; in each piece the strongest of the events that cover it gives the reason."""
    if not counted:
        return []
    cuts = sorted({t for one in counted for t in (one.start, one.end, one.span.start, one.span.end)})
    by_start = sorted(counted, key=lambda one: one.span.start)
    united: list[Span] = []
    first = 0
    longest = max(one.span.end - one.span.start for one in counted)
    for start, end in pairwise(cuts):
        while first < len(by_start) and by_start[first].span.start + longest <= start:
            first += 1
        winner: tuple[tuple[bool, int, float, float, str], Setting, str] | None = None
        for one in by_start[first:]:
            if one.span.start > start:
                break
            if one.span.end <= start:
                continue
            outside_body = not one.start <= start < one.end
            order = (outside_body, one.rank, one.start, one.end, one.span.event)
            if winner is None or order < winner[0]:
                winner = (order, one.span.setting, one.span.event)
        if winner is None:
            continue
        if united and united[-1].end == start and (united[-1].setting, united[-1].event) == winner[1:]:
            united[-1] = replace(united[-1], end=end)
        else:
            united.append(Span(start, end, winner[1], winner[2]))
    return united


def _begin(spans: list[Span], rules: Rules, by_hand: ByHand, skipped: tuple[Span, ...]) -> tuple[Span, ...]:
    """Each unbroken run of `spans` from where its hold may begin; what is bridged goes on, but not over `skipped`."""
    held: list[Span] = []
    for run in _runs(spans):
        start, end = run[0].start, run[-1].end
        near = bool(held) and start - held[-1].end < rules.bridge
        if near and not any(one.start < start and held[-1].end < one.end for one in skipped):
            held[-1] = replace(held[-1], end=start)
            held += run
            continue
        begin = _begins(start, end, rules, by_hand)
        held += [_from(span, begin) for span in run if begin is not None and span.end > begin]
    return tuple(held)


def _from(span: Span, begin: float) -> Span:
    return span if span.start >= begin else replace(span, start=begin)


def _begins(start: float, end: float, rules: Rules, by_hand: ByHand) -> float | None:
    """When a hold over `[start, end)` may begin; what a person wants is not bound to hours."""
    if rules.working_hours is None:
        return start
    extension = by_hand.extension
    wanted_at = extension.since if extension is not None and start <= extension.since < end else None
    found = [at for at in (rules.working_hours.first_inside(start, end), wanted_at) if at is not None]
    return min(found, default=None)


def _runs(spans: list[Span]) -> list[list[Span]]:
    runs: list[list[Span]] = []
    for span in spans:
        if runs and runs[-1][-1].end == span.start:
            runs[-1].append(span)
        else:
            runs.append([span])
    return runs


def _touches(spans: tuple[Span, ...], one: Span) -> bool:
    index = bisect_right(spans, one.start, key=lambda span: span.end)
    return index < len(spans) and spans[index].start < one.end


def _start(span: Span) -> float:
    return span.start
