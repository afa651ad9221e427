"""What a day of events would do under given rules: the spans, the updates, and what each rule keeps out.

Everything is asked of the day `[low, high)`: what runs over its ends is shown whole, and counted only inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import pairwise

from calsyncd.core.model import Event, Setting, Span
from calsyncd.core.rules import Reads, Rules, Verdict
from calsyncd.core.timeline import Timeline, build, verdict

NEIGHBOURS_SECONDS = 3 * 86400.0
"""So far beyond the day events may decide what is wanted in it, by lead, lag, bridges and runs of meetings."""

OUTSIDE = Verdict(counts=False, words="outside of the working hours", rule="working_hours")

WORDS = {"today": 0, "tomorrow": 1, "yesterday": -1}


@dataclass(frozen=True, slots=True)
class Judged:
    """An event of the day, and what the rules say of it."""

    event: Event
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class KeptOut:
    """How many events a rule kept out, and how long they last within the day; without a rule it is for the `words`."""

    rule: str | None
    words: str
    events: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Simulated:
    """The day `[low, high)` under one set of rules. `judged` are its events in order, `spans` those that touch it."""

    low: float
    high: float
    spans: tuple[Span, ...]
    judged: tuple[Judged, ...]
    updates: int

    @property
    def unavailable_seconds(self) -> float:
        """How much of the day is spent unavailable."""
        return sum(min(span.end, self.high) - max(span.start, self.low) for span in self.spans)

    @property
    def kept_out(self) -> tuple[KeptOut, ...]:
        """What each rule kept out, in the order in which they first did."""
        found: dict[str, KeptOut] = {}
        for one in self.judged:
            said = one.verdict
            if said.counts:
                continue
            known = found.get(said.rule or said.words, KeptOut(said.rule, said.words, 0, 0.0))
            seconds = max(0.0, min(one.event.end, self.high) - max(one.event.start, self.low))
            found[said.rule or said.words] = replace(known, events=known.events + 1, seconds=known.seconds + seconds)
        return tuple(found.values())

    @property
    def holds(self) -> tuple[Span, ...]:
        """The spans with those joined between which nothing is sent, since what is wanted stays."""
        found: list[Span] = []
        for span in self.spans:
            if found and found[-1].end == span.start and found[-1].setting == span.setting:
                found[-1] = replace(found[-1], end=span.end)
            else:
                found.append(span)
        return tuple(found)

    def setting_at(self, at: float) -> Setting | None:
        """What is wanted at an instant of the day."""
        return next((span.setting for span in self.spans if span.start <= at < span.end), None)


@dataclass(frozen=True, slots=True)
class Difference:
    """`[start, end)` in which two sets of rules want different things; None is nothing."""

    start: float
    end: float
    first: Setting | None
    second: Setting | None


def simulate(events: Iterable[Event], rules: Rules, window: tuple[float, float]) -> Simulated:
    """What `events`, those of the neighbouring days included, make of the day `window`."""
    low, high = window
    known = list(events)
    timeline = build(known, rules)
    judged = [Judged(event, _verdict(event, rules, timeline)) for event in known if _in_day(event, low, high)]
    judged.sort(key=lambda one: (one.event.start, one.event.end, one.event.id))
    spans = tuple(span for span in timeline.spans if span.start < high and span.end > low)
    return Simulated(low, high, spans, tuple(judged), sum(low <= at < high for at in _updates(timeline)))


def differences(first: Simulated, second: Simulated) -> tuple[Difference, ...]:
    """Where in the day the two want different things, each as long as it can be."""
    bounds = {at for day in (first, second) for span in day.spans for at in (span.start, span.end)}
    inside = sorted({first.low, first.high, *(at for at in bounds if first.low < at < first.high)})
    found: list[Difference] = []
    for start, end in pairwise(inside):
        one, other = first.setting_at(start), second.setting_at(start)
        if one == other:
            continue
        if found and found[-1].end == start and (found[-1].first, found[-1].second) == (one, other):
            found[-1] = replace(found[-1], end=end)
        else:
            found.append(Difference(start, end, one, other))
    return tuple(found)


def otherwise(first: Simulated, second: Simulated) -> tuple[tuple[Event, Verdict, Verdict], ...]:
    """The events that count under one of the two and not under the other."""
    pairs = zip(first.judged, second.judged, strict=True)
    return tuple(
        (one.event, one.verdict, two.verdict) for one, two in pairs if one.verdict.counts != two.verdict.counts
    )


def reads_of(sets: Iterable[Rules]) -> Reads:
    """What has to be read of events so that each of these sets can be judged by."""
    needs = [rules.reads for rules in sets]
    return Reads(
        titles=tuple(sorted({pattern for one in needs for pattern in one.titles})),
        guests=any(one.guests for one in needs),
        conference=any(one.conference for one in needs),
        colors=any(one.colors for one in needs),
        labels=any(one.labels for one in needs),
    )


def day_named(text: str, zone: tzinfo, now: float) -> date:
    """The day that is meant: a date, today, tomorrow or yesterday; ValueError says what is expected."""
    if text in WORDS:
        return datetime.fromtimestamp(now, zone).date() + timedelta(days=WORDS[text])
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not date.min.year < day.year < date.max.year:
        raise ValueError("expected a date such as 2026-11-23, today, tomorrow or yesterday")
    return day


def bounds(day: date, zone: tzinfo) -> tuple[float, float]:
    """When the day begins and ends by the clocks of `zone`: 23 to 25 hours, mostly."""
    low, high = (datetime.combine(one, time(), zone).timestamp() for one in (day, day + timedelta(days=1)))
    return low, high


def _verdict(event: Event, rules: Rules, timeline: Timeline) -> Verdict:
    said = verdict(event, rules)
    return OUTSIDE if said.counts and event.id in timeline.outside else said


def _in_day(event: Event, low: float, high: float) -> bool:
    return event.start < high and (event.end > low or low <= event.start)


def _updates(timeline: Timeline) -> Iterator[float]:
    """When an update is due: where a hold begins or ends, and where its reason changes."""
    end: float | None = None
    setting: Setting | None = None
    for span in timeline.spans:
        if span.start != end:
            if end is not None:
                yield end
            yield span.start
        elif span.setting != setting:
            yield span.start
        end, setting = span.end, span.setting
    if end is not None:
        yield end
