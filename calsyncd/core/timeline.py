"""From events to an agent's timeline: padded by lead and lag, united, bridged, ordered, disjoint.

Of overlapping events the one that started first gives the reason, but a meeting's body beats another's lead
and lag. What is wanted is always asked of the whole union: an event that ends clears nothing by itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from calsyncd.core.model import Event, Setting, Span
from calsyncd.core.rules import OUT_OF_OFFICE, Rules, why_not


@dataclass(frozen=True, slots=True)
class Timeline:
    """`spans` are disjoint and ordered; `padded` are the events that count, each with its lead and lag.

    `away` are those of `padded` in which the agent is out of the office.
    """

    spans: tuple[Span, ...] = ()
    padded: tuple[Span, ...] = ()
    away: tuple[Span, ...] = ()

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
        """Whether the agent is out of the office at `at`."""
        return any(span.start <= at < span.end for span in self.away)

    def next_away(self, after: float) -> float | None:
        """When the agent next leaves the office, later than `after`."""
        return min((span.start for span in self.away if span.start > after), default=None)

    def running_until(self, at: float) -> float | None:
        """The last end among the events that run at `at`, and of the bridge behind it, where no meeting runs."""
        running = [span.end for span in self.padded if span.start <= at < span.end]
        end = max(running, default=at)
        if any(span.start <= end < span.end for span in self.padded):
            return end
        bridge = self.span_at(end)
        if bridge is not None:
            return bridge.end
        return end if running else None


def build(events: Iterable[Event], rules: Rules) -> Timeline:
    """The timeline of `events` under `rules`."""
    counted = sorted((event for event in events if why_not(event) is None), key=lambda e: (e.start, e.end, e.id))
    setting = rules.setting
    padded = tuple(Span(e.start - rules.lead, e.end + rules.lag, setting, e.id) for e in counted)
    if not padded:
        return Timeline()
    away = tuple(span for event, span in zip(counted, padded, strict=True) if event.kind == OUT_OF_OFFICE)
    return Timeline(_bridge(_unite(counted, padded), rules.bridge), padded, away)


def _unite(counted: list[Event], padded: tuple[Span, ...]) -> list[Span]:
    """Cut time at every start and end; in each piece the strongest of the events that cover it gives the reason."""
    cuts = sorted({t for e, p in zip(counted, padded, strict=True) for t in (e.start, e.end, p.start, p.end)})
    united: list[Span] = []
    first = 0
    longest = max(p.end - p.start for p in padded)
    for start, end in pairwise(cuts):
        while first < len(padded) and padded[first].start + longest <= start:
            first += 1
        winner: tuple[tuple[bool, float, float, str], Setting, str] | None = None
        for event, span in zip(counted[first:], padded[first:], strict=True):
            if span.start > start:
                break
            if span.end <= start:
                continue
            outside_body = not event.start <= start < event.end
            rank = (outside_body, event.start, event.end, event.id)
            if winner is None or rank < winner[0]:
                winner = (rank, span.setting, event.id)
        if winner is None:
            continue
        if united and united[-1].end == start and (united[-1].setting, united[-1].event) == winner[1:]:
            united[-1] = replace(united[-1], end=end)
        else:
            united.append(Span(start, end, winner[1], winner[2]))
    return united


def _bridge(spans: list[Span], bridge: float) -> tuple[Span, ...]:
    bridged: list[Span] = []
    for span in spans:
        if bridged and 0 < span.start - bridged[-1].end < bridge:
            bridged[-1] = replace(bridged[-1], end=span.start)
        bridged.append(span)
    return tuple(bridged)


def _start(span: Span) -> float:
    return span.start
