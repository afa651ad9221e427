"""Instants of an agent's life by name: what is asked for whole sentences of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from calsyncd.core.byhand import EXTENSION
from calsyncd.core.explain import Considered, Explanation, Part, Stance
from calsyncd.core.model import Event, HistoryRow, Observation, Setting, Span, Trouble
from calsyncd.core.rules import Rules, Verdict

from .explaining import FIRST, MEETING, MINUTE, TEN, explained, held, released, row

DAY = 86400.0
HALF = TEN + 30 * MINUTE
AMONG = TEN + 10 * MINUTE
LATER = TEN + 5 * 3600
AFTER = TEN + DAY - 60
"""The next day."""
TAKEN = Setting("unavailable")
ON = Span(TEN, HALF, TAKEN, MEETING)
AHEAD = Span(TEN + 3600, TEN + 5400, TAKEN, "nextevent9")
BY_HAND = Span(TEN, HALF, TAKEN, EXTENSION)
LUNCH = Setting("unavailable", "out_for_lunch")
GONE = row(TEN + 60, "removed", why="removed from the settings")
LOST = row(TEN + 10, "lost", "custom", "unavailable", after=TEN)
SEEN = row(TEN + 600, "seen", "custom", "available", why="changed in Aircall", actor="aircall", after=TEN + 60)
TROUBLE = Trouble("ledger", "the ledger cannot be written", "free disk space", "operator")


def counted(*events: Event) -> tuple[Considered, ...]:
    """That count, of the primary calendar, without a rule."""
    return tuple(Considered(event, "primary", Verdict(counts=True, words="counts")) for event in events)


def ignored(*words: str) -> tuple[Considered, ...]:
    """Events that do not count, by the words of why not."""
    event = Event("ignored1", TEN, HALF)
    return tuple(Considered(event, "primary", Verdict(counts=False, words=one)) for one in words)


def _only(*rows: HistoryRow, at: float, now: float | None = None, **more: Any) -> Explanation:
    """Without an event near by, unless one is given."""
    return explained(list(rows), at, now, **{"considered": (), "span": None, **more})


ALL_DAY = Event("ignored1", TEN, HALF, all_day=True)
HELD = Stance("held", back="custom", until=HALF, event=MEETING)


def _now(*rows: HistoryRow, **more: Any) -> Explanation:
    return _only(*rows, at=AMONG, **more)


def _past(*rows: HistoryRow, at: float = AMONG, **more: Any) -> Explanation:
    return _only(*rows, at=at, now=AFTER, **more)


def _future(*rows: HistoryRow, at: float = AMONG, now: float = TEN - 3600, **more: Any) -> Explanation:
    return _only(*rows, at=at, now=now, **more)


CASES: dict[str, Explanation] = {
    # What is set, and what is not sure.
    "now, nobody looked": _now(),
    "now, looked, not in the history": _now(seen=Observation(LUNCH, AMONG - 5)),
    "past, looked, not in the history": _past(seen=Observation(LUNCH, AMONG - 5)),
    "not followed, nothing before": _past(GONE),
    "not followed, set before": _past(FIRST, GONE),
    "now, not followed": _now(FIRST, GONE),
    "an update is under way": _now(FIRST, held(AMONG + 5, after=AMONG - 1), under_way=True),
    "an update was under way": _past(FIRST, held(AMONG + 5, after=AMONG - 1)),
    "an update of which nothing is known before": _past(replace(held(AMONG + 5, after=AMONG - 1), from_=None)),
    "an answer was lost, from when it left": _now(FIRST, LOST),
    "an answer was lost, from when it was noticed": _past(
        FIRST, row(TEN + 10, "lost", "custom", "unavailable"), at=TEN + 20
    ),
    "between two looks": _past(FIRST, SEEN, at=TEN + 300),
    "between two looks, without the first": _past(
        FIRST, row(TEN + 600, "seen", "custom", "available", why="changed in Aircall", actor="aircall")
    ),
    "before the first look": _past(FIRST, at=TEN - 7200),
    "seen by a look": _past(FIRST, SEEN, at=TEN + 700),
    "seen a second after the last look": _past(
        FIRST, row(TEN + 600, "seen", "custom", "available", why="changed", actor="aircall", after=TEN + 599)
    ),
    "seen two seconds after the last look": _past(
        FIRST, row(TEN + 600, "seen", "custom", "available", why="changed", actor="aircall", after=TEN + 598)
    ),
    "seen first": _now(FIRST),
    "seen, by us": _now(
        FIRST,
        LOST,
        row(TEN + 15, "seen", "custom", "unavailable", why="an update of ours whose answer was lost", after=TEN - 2),
    ),
    # How a hold began, and how it ended.
    "held, without a lateness": _past(FIRST, held(late_ms=None)),
    "held for an extension": _past(FIRST, held(event=EXTENSION, late_ms=0)),
    "held at once": _past(FIRST, held(TEN, late_ms=0)),
    "held before": _past(FIRST, held(TEN - 61, late_ms=-61000)),
    "held late by minutes": _past(FIRST, held(TEN + 300, late_ms=300_000)),
    "held without the event's times": _past(FIRST, held(begins=None, ends=None)),
    "held without the event's end": _past(FIRST, held(ends=None)),
    "held without an event": _past(FIRST, held(event=None)),
    "held in a meeting, behind its start": _past(FIRST, held(TEN + 60.1, late_ms=100)),
    "held with a lead": _past(FIRST, held(TEN - 299.9, late_ms=100)),
    "released, without a lateness": _past(FIRST, held(), released(late_ms=None), at=LATER),
    "released early": _past(FIRST, held(), released(late_ms=-1500), at=LATER),
    "released at once": _past(FIRST, held(), released(HALF, late_ms=0, ends=HALF), at=LATER),
    "released behind": _past(FIRST, held(), released(HALF + 300.1, late_ms=100, ends=HALF), at=LATER),
    "released a moment behind": _past(FIRST, held(), released(HALF + 0.11, late_ms=100, ends=HALF), at=LATER),
    "released, paused": _past(FIRST, held(), released(why="paused", late_ms=20), at=LATER),
    # Where calsyncd stood.
    "past, free in a meeting": _past(FIRST, span=ON, run_starts=TEN, run_ends=HALF),
    "past, free by hand": _past(FIRST, span=BY_HAND, run_starts=TEN, run_ends=HALF),
    "past, free in a meeting that is not kept": _past(FIRST, span=ON, run_starts=TEN, run_ends=HALF, kept_since=AFTER),
    "past, free in a meeting at the oldest": _past(FIRST, span=ON, run_starts=TEN, run_ends=HALF, kept_since=AMONG),
    "past, owed": _past(FIRST, held(TEN + 900, late_ms=900_000), span=ON, run_ends=HALF, owed_since=TEN),
    "past, held, over": _past(FIRST, held(), at=HALF + 60),
    "past, held, at its end": _past(FIRST, held(), at=HALF),
    "past, held, without an end": _past(FIRST, held(until=None)),
    "past, held while paused": _past(
        FIRST, held(), row(TEN + 60, "paused", actor="Dana", why="paused until resumed", until=float("inf"))
    ),
    "past, override": _past(FIRST, row(TEN + 5, "override", until=HALF)),
    "past, override without an end": _past(FIRST, row(TEN + 5, "override")),
    "past, left alone": _past(FIRST, row(TEN + 5, "left_alone", until=float("inf"))),
    "past, early end": _past(FIRST, held(), released(HALF - 5, late_ms=-5000, until=HALF), at=HALF - 2),
    "past, kept": _past(FIRST, row(TEN + 5, "kept", until=HALF, why="amy@example.com is kept available: at least 2")),
    "past, kept without a name": _past(FIRST, row(TEN + 5, "kept", why="at least 2 stay")),
    "past, observed": _past(FIRST, row(TEN + 5, "observed", "custom", "unavailable", until=HALF)),
    "past, paused": _past(FIRST, row(TEN + 5, "paused", actor="Dana", why="paused: headset", until=LATER)),
    # Where it stands.
    "now, ends": _now(FIRST, held(), stance=replace(HELD, ends="paused"), span=ON),
    "now, goes on": _now(FIRST, held(), stance=replace(HELD, back="available"), span=ON),
    "now, enforced": _now(
        FIRST,
        held(),
        stance=HELD,
        span=ON,
        rules=Rules(enforce=True),
    ),
    "now, about to begin": _now(FIRST, held(), stance=replace(HELD, event="nextevent9"), ahead=AHEAD),
    "now, another begins": _now(FIRST, held(), stance=HELD, ahead=AHEAD),
    "now, over": _now(FIRST, held(), stance=replace(HELD, until=AMONG), span=ON),
    "now, parts": _now(
        FIRST,
        held(),
        span=ON,
        stance=HELD,
        parts=(
            Part("meeting", TEN, TEN + 1200, MEETING),
            Part("lag", TEN + 1200, TEN + 1320),
            Part("bridge", TEN + 1320, TEN + 1500),
            Part("extension", TEN + 1500, HALF),
        ),
        origins={"lag": "team support"},
    ),
    "now, parts that do not reach the end": _now(
        FIRST,
        held(),
        span=ON,
        stance=HELD,
        parts=(Part("meeting", TEN, TEN + 1200, MEETING),),
    ),
    "now, the part is another event's": _now(
        FIRST,
        held(),
        span=ON,
        stance=HELD,
        parts=(Part("meeting", TEN, HALF, "otherev12"),),
    ),
    "now, the part without an event": _now(
        FIRST,
        held(),
        span=ON,
        stance=HELD,
        parts=(Part("meeting", TEN - 60, HALF, None),),
    ),
    "now, the part that was named": _now(
        FIRST,
        held(),
        span=ON,
        stance=HELD,
        parts=(Part("meeting", TEN + 0.001, HALF - 0.001, MEETING),),
        considered=counted(Event(MEETING, TEN, HALF)),
    ),
    "now, override": _now(FIRST, stance=Stance("override", until=HALF), ahead=AHEAD),
    "now, left alone": _now(FIRST, stance=Stance("left_alone"), span=ON, run_ends=HALF),
    "now, early end": _now(FIRST, stance=Stance("early_end", until=HALF)),
    "now, early end without an end": _now(FIRST, stance=Stance("early_end")),
    "now, kept": _now(FIRST, stance=Stance("kept", until=HALF, why="amy@example.com is kept: at least 2 are to stay")),
    "now, paused": _now(FIRST, stance=Stance("paused", until=HALF)),
    "now, paused for good": _now(FIRST, stance=Stance("paused", until=float("inf"))),
    "now, paused by somebody": _now(
        FIRST, row(TEN + 5, "paused", actor="Dana", why="paused until x: headset: broken", until=TEN + DAY)
    ),
    "now, observed": _now(FIRST, stance=Stance("observed", back="custom", until=HALF), ahead=AHEAD),
    "now, free": _now(FIRST),
    "now, free and observed": _now(FIRST, observe=True, ahead=AHEAD),
    "now, free in a meeting": _now(FIRST, span=ON, run_ends=HALF),
    "now, free by hand": _now(FIRST, span=BY_HAND, run_ends=HALF),
    "now, by hand ahead": _now(FIRST, ahead=Span(TEN + 3600, TEN + 5400, TAKEN, EXTENSION)),
    "now, beyond the plan": _now(FIRST, planned_until=AMONG - 1),
    "now, at the plan's end": _now(FIRST, planned_until=AMONG),
    "now, owed": _now(FIRST, owed_since=TEN),
    "now, failed": _now(FIRST, row(TEN + 5, "failed", why="Aircall did not take an update: 503", until=HALF)),
    "now, trouble": _now(FIRST, trouble=TROUBLE),
    "now, last seen just now": _now(FIRST, seen=Observation(Setting("available"), AMONG + 1)),
    "now, last seen a while ago": _now(FIRST, seen=Observation(Setting("custom"), AMONG - 3600 * 2 - 61)),
    # What will be.
    "future, too far": _future(FIRST, at=TEN + 20 * DAY),
    "future, at what is read": _future(FIRST, read_until=AMONG),
    "future, not planned": _future(FIRST, at=TEN + 4 * DAY, trouble=TROUBLE),
    "future, at what is planned": _future(FIRST, planned_until=AMONG),
    "future, nothing": _future(FIRST),
    "future, nothing, then one": _future(FIRST, ahead=AHEAD),
    "future, paused": _future(FIRST, stance=Stance("paused", until=LATER), span=ON),
    "future, override": _future(FIRST, stance=Stance("override", until=HALF), span=ON, run_starts=TEN, run_ends=HALF),
    "future, left alone": _future(
        FIRST, stance=Stance("left_alone", until=HALF), span=BY_HAND, run_starts=TEN, run_ends=HALF
    ),
    "future, observed": _future(FIRST, observe=True, span=ON, run_starts=TEN, run_ends=HALF),
    "future, a meeting": _future(
        FIRST,
        stance=Stance("free", back="custom"),
        span=ON,
        run_starts=TEN,
        run_ends=HALF,
        considered=counted(Event(MEETING, TEN, HALF), Event("another77", TEN + 60, HALF)),
    ),
    "future, without a way back": _future(FIRST, span=ON, run_starts=TEN, run_ends=None),
    "future, with a reason": _future(
        FIRST, span=Span(TEN, HALF, LUNCH, MEETING), run_starts=TEN, run_ends=HALF, rules=Rules(enforce=True)
    ),
    "future, by hand": _future(FIRST, span=BY_HAND, run_starts=TEN, run_ends=HALF),
    "future, next year": _future(FIRST, at=TEN + 60 * DAY, read_until=TEN + 90 * DAY, planned_until=TEN + 90 * DAY),
    # Events near by.
    "events, none kept": _past(FIRST, held(), kept_since=AMONG + 1, considered=counted(Event(MEETING, TEN, HALF))),
    "events, kept just so": _past(FIRST, held(), kept_since=AMONG, considered=ignored("declined")),
    "events, counted beside": _past(
        FIRST, held(), considered=counted(Event(MEETING, TEN, HALF), Event("another77", TEN + 90, TEN + DAY))
    ),
    "events, counted alone": _past(
        FIRST, row(TEN + 5, "override"), considered=counted(Event("another77", TEN, TEN + DAY, all_day=True))
    ),
    "events, one not counted": _now(FIRST, considered=ignored("declined")),
    "events, nine not counted": _now(FIRST, considered=ignored(*["declined"] * 9)),
    "events, ten not counted": _now(FIRST, considered=ignored(*["declined"] * 10)),
    "events, six not counted": _now(FIRST, considered=ignored(*["declined"] * 6)),
    "events, one will not": _future(FIRST, considered=ignored("declined")),
    "events, two will not": _future(FIRST, considered=ignored("declined", "shown as free")),
    "events, all day": _now(
        FIRST,
        considered=tuple(
            Considered(
                Event("ignored1", TEN, HALF, all_day=True),
                "primary",
                Verdict(counts=False, words=words, rule=rule),
                origin,
            )
            for words, rule, origin in (
                ("all day, and such do not count", None, ""),
                ("shown as free", None, ""),
                ("its title matches x", "ignore_titles", "company"),
                ("its title matches y", "ignore_titles", ""),
            )
        ),
    ),
    "events, counted by a rule": _now(
        FIRST,
        considered=(
            Considered(
                Event("busy00001", TEN, HALF), "primary", Verdict(counts=True, words="marked busy", rule="mark")
            ),
        ),
    ),
    "events, of which others tell": _now(
        FIRST,
        span=ON,
        ahead=AHEAD,
        run_ends=HALF,
        considered=counted(Event(MEETING, TEN, HALF), Event("nextevent9", TEN + 3600, TEN + 5400)),
    ),
    "events, while kept": _now(
        FIRST, stance=Stance("kept", why="x"), span=ON, considered=counted(Event(MEETING, TEN, HALF))
    ),
    "events, past and free": _past(
        FIRST, span=ON, run_starts=TEN, run_ends=HALF, considered=counted(Event(MEETING, TEN, HALF))
    ),
    # What a person said.
    "said, extended": _now(FIRST, row(TEN + 5, "extended", actor="Dana", why="extended: client", until=HALF)),
    "said, skipped": _now(FIRST, row(TEN + 5, "skipped", actor="Dana", why="skipped: ill", begins=TEN, ends=HALF)),
    # Words.
    "clock with seconds": _past(FIRST, held(TEN + 61, late_ms=0, until=HALF + 5, ends=HALF + 5)),
    "over midnight": _past(FIRST, held(ends=TEN + DAY, until=TEN + DAY)),
    "seen again a moment later": _past(FIRST, SEEN, held(TEN + 900), at=TEN + 600),
    "then seen": _past(
        FIRST, held(), row(LATER, "seen", "unavailable", "available", why="changed", actor="aircall", after=LATER - 10)
    ),
    "then, with a reason": _past(FIRST, held(TEN + 900, substatus="out_for_lunch", late_ms=0), at=TEN + 300),
}
