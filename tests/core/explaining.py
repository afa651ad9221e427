"""One agent's history around a meeting, and what there is to say of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from calsyncd.core.explain import Considered, Explanation, Story, near, run_start, stance_then
from calsyncd.core.model import Event, HistoryRow
from calsyncd.core.rules import Rules, judge
from calsyncd.core.timeline import build
from calsyncd.core.wording import sentences

AMY = "amy@example.com"
PARIS = ZoneInfo("Europe/Paris")
TEN = datetime(2026, 11, 23, 9, tzinfo=UTC).timestamp()
"""10:00 in Paris."""

MINUTE = 60.0
MEETING = "abcdefx7f"


def row(at: float, outcome: str, before: str | None = None, to: str | None = None, **more: Any) -> HistoryRow:
    """A line of Amy's history."""
    told = {"why": "", "event": None, "late_ms": None, "actor": "calsyncd"} | more
    return HistoryRow(at, AMY, before, to, outcome, **told)


def held(at: float = TEN + 0.2, **more: Any) -> HistoryRow:
    """Made unavailable for the meeting from 10:00 to 10:30."""
    told: dict[str, Any] = {"why": "a meeting", "event": MEETING, "late_ms": 200, "after": at - 0.1}
    told |= {"until": TEN + 30 * MINUTE, "begins": TEN, "ends": TEN + 30 * MINUTE}
    return row(at, "done", "custom", "unavailable", **(told | more))


def released(at: float = TEN + 30 * MINUTE + 0.1, **more: Any) -> HistoryRow:
    """Put back after it."""
    told: dict[str, Any] = {"why": "the meeting is over", "event": MEETING, "late_ms": 100, "after": at - 0.1}
    return row(at, "done", "unavailable", "custom", **(told | {"until": at} | more))


FIRST = row(TEN - 3600, "seen", None, "custom", why="seen for the first time", actor="aircall")


def explained(rows: list[HistoryRow], at: float, now: float | None = None, **more: Any) -> Explanation:
    """What there is to say of an instant, by this history and one declined event and one shown as free."""
    now = at if now is None else now
    then = Story(rows).at(min(at, now))
    midnight = TEN - 10 * 3600
    events = [
        Event(MEETING, TEN, TEN + 30 * MINUTE),
        Event("declined1", TEN + 15 * MINUTE, TEN + 45 * MINUTE, response="declined"),
        Event("free1", midnight, midnight + 86400, all_day=True, transparent=True),
    ]
    timeline = build(events, Rules())
    near_by = near([("primary", event) for event in events], timeline, at)
    found = Explanation(
        email=AMY,
        at=at,
        now=now,
        tense="now" if at == now else "past" if at < now else "future",
        zone=PARIS,
        then=then,
        stance=stance_then(then),
        considered=tuple(Considered(event, calendar, judge(event, Rules())) for calendar, event in near_by),
        span=timeline.span_at(at),
        run_starts=run_start(timeline, at),
        run_ends=timeline.stretch_end(at),
        ahead=None,
        kept_since=now - 86400,
        planned_until=now + 3 * 86400,
        read_until=now + 14 * 86400,
    )
    return replace(found, **more)


def said(*arguments: Any, **more: Any) -> str:
    """The same in words."""
    return "\n".join(sentences(explained(*arguments, **more)))
