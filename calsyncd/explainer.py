"""Gathers what the answer to "why?" is made of, and gives it the API's shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import tzinfo
from typing import Any, Protocol

from calsyncd.calendars import Syncer
from calsyncd.calendars.syncer import PLAN_AHEAD_SECONDS, PLAN_BEFORE_SECONDS
from calsyncd.clock import Clock
from calsyncd.core import wording
from calsyncd.core.explain import (
    Considered,
    Explanation,
    Stance,
    Story,
    Tense,
    Then,
    near,
    parts_of,
    run_start,
    stance_then,
)
from calsyncd.core.model import AVAILABLE, CUSTOM, Event, HistoryRow, Setting, Trouble
from calsyncd.core.plan import Held, StandingBack
from calsyncd.core.rules import COLOURS, Rules
from calsyncd.phones import Agent
from calsyncd.view import Diary, time_out, trouble_view

NEIGHBOURS_SECONDS = 86400.0
"""So far around the instant events may decide what is wanted at it."""

Origin = Callable[[str, str], str]
"""Where the rule of this key stands that holds for this agent."""


class Past(Protocol):
    """What is known of what was done."""

    async def history(self, agent: str | None = None, since: float = 0.0) -> list[HistoryRow]:
        """What was done since `since`, in order."""
        ...


class Explainer:
    """Says why an agent is, was or will be set as they are.

    `zone` is the agent's, `trouble` their worst now, `origin` where a rule stands; events are read so far ahead
    (`horizon`, seconds).
    """

    def __init__(
        self,
        clock: Clock,
        *,
        syncer: Syncer,
        past: Past,
        zone: Callable[[str], tzinfo],
        trouble: Callable[[Agent], Trouble | None],
        origin: Origin,
        horizon: float,
    ) -> None:
        self._clock = clock
        self._syncer = syncer
        self._past = past
        self._zone = zone
        self._trouble = trouble
        self._origin = origin
        self._horizon = horizon

    async def explain(self, agent: Agent, at: float | None) -> dict[str, Any]:
        """The answer for an agent and an instant, now if None; ServiceError if the database does not answer."""
        email = agent.email
        asked = self._clock.now() if at is None else at
        events = await self._syncer.all_events(asked - NEIGHBOURS_SECONDS, asked + NEIGHBOURS_SECONDS, email)
        followed = {calendar.key for calendar in self._syncer.of_agent(email)}
        own = [one for one in events.get(email, ()) if one[0] in followed]
        rows = await self._past.history(email)
        now = self._clock.now()
        return explanation_view(self._explained(agent, now if at is None else at, now, rows, own))

    def _explained(
        self, agent: Agent, at: float, now: float, rows: list[HistoryRow], events: list[tuple[str, Event]]
    ) -> Explanation:
        tense: Tense = "now" if at == now else "past" if at < now else "future"
        email = agent.email
        diary = Diary(
            tuple(events),
            self._syncer.rules(email) or agent.rules,
            self._syncer.by_hand(email),
            self._syncer.untold(email),
        )
        planned_until = now + PLAN_AHEAD_SECONDS
        stored = diary.timeline
        in_force = agent.timeline is not None and now - PLAN_BEFORE_SECONDS <= at <= planned_until
        timeline = agent.timeline if in_force and agent.timeline is not None else stored
        then = Story(rows).at(min(at, now))
        if agent.putting and tense == "now":
            then = replace(then, sure=False)
        span = timeline.span_at(at)
        next_start = timeline.next_start(at) if span is None else None
        ahead = timeline.span_at(next_start) if next_start is not None else None
        if ahead is not None:
            ahead = replace(ahead, end=timeline.stretch_end(ahead.start) or ahead.end)
        considered = []
        for calendar, event in near(events, timeline, at):
            verdict = diary.verdict(calendar, event, timeline)
            origin = self._origin(email, verdict.rule) if verdict.rule and verdict.rule not in _NO_SETTING else None
            considered.append(Considered(event, calendar.removeprefix(f"{email}/"), verdict, origin))
        stance = stance_then(then) if tense == "past" else _stance(agent, then, now, at)
        return Explanation(
            email=email,
            at=at,
            now=now,
            tense=tense,
            zone=self._zone(email),
            then=then,
            stance=stance,
            considered=tuple(considered),
            span=span,
            run_starts=run_start(timeline, at) if span is not None else None,
            run_ends=timeline.stretch_end(at),
            ahead=ahead,
            kept_since=now - PLAN_BEFORE_SECONDS,
            planned_until=planned_until,
            read_until=self._read_until(email, now),
            seen=agent.facts.seen,
            owed_since=then.owed_since(at) if tense == "past" else agent.owes_since,
            under_way=tense == "now" and agent.putting,
            observe=agent.observe,
            trouble=self._trouble(agent) if tense != "past" else None,
            parts=parts_of(timeline, diary.rules, ahead.start if ahead is not None else at) if tense != "past" else (),
            rules=diary.rules,
            origins={key: self._origin(email, key) for key in rules_view(diary.rules)},
        )

    def _read_until(self, email: str, now: float) -> float:
        """How far ahead the agent's calendars were read; a calendar that never was says nothing of it."""
        marks = (one.bookmark for one in self._syncer.of_agent(email))
        return min((mark.baseline_at for mark in marks if mark is not None), default=now) + self._horizon


_NO_SETTING = frozenset({"skip", "extendedProperties.private.calsyncd"})
"""Rules that stand in no settings: what was said by hand, and a mark on the event."""


def _stance(agent: Agent, then: Then, now: float, at: float) -> Stance:
    """Where we stand with the agent now, as far as that will still hold at `at`; the reasons are the history's."""
    stance = agent.stance
    if isinstance(stance, Held) and (at == now or at < stance.until):
        ends = "paused" if agent.paused_until is not None else "only observed from now on" if agent.observe else ""
        back = stance.back.availability_status
        return Stance("held", stance.since, stance.until, back, stance.event, ends=ends)
    if agent.paused_until is not None and at < agent.paused_until:
        row = then.paused
        if row is None:
            return Stance("paused", until=agent.paused_until)
        return Stance("paused", row.at, agent.paused_until, why=row.why, actor=row.actor)
    if isinstance(stance, StandingBack) and at < stance.until:
        return Stance(stance.why, stance.since, stance.until)
    if at > now:
        seen = agent.facts.known
        if isinstance(stance, Held):
            return Stance("free", back=stance.back.availability_status)
        comes_back = seen is not None and seen.status in (AVAILABLE, CUSTOM)
        return Stance("free", back=seen.status if seen is not None and comes_back else None)
    if agent.kept is not None:
        end = agent.timeline.stretch_end(now) if agent.timeline is not None else None
        return Stance("kept", agent.kept.since, end, why=f"{agent.kept.floor} are to stay (dispatch.keep_available)")
    if agent.would is not None:
        would = agent.would
        return Stance("observed", would.since, would.until, would.back.availability_status, would.event)
    return Stance("free")


def explanation_view(it: Explanation) -> dict[str, Any]:
    """The API's shape: times in UTC, ids whole, and the sentences as the command prints them."""
    then, stance = it.then, it.stance
    change = then.change
    return {
        "email": it.email,
        "at": time_out(it.at),
        "now": time_out(it.now),
        "zone": str(it.zone),
        "tense": it.tense,
        "sentences": list(wording.sentences(it)),
        "setting": None
        if it.tense == "future"
        else {
            "availability_status": then.status,
            "sure": then.sure,
            "possible": sorted(then.possible, key=lambda one: one or ""),
            "made": _row(change),
            "next": _row(then.following),
            "lost": _row(then.lost),
        },
        "stance": {
            "name": stance.name,
            "since": time_out(stance.since),
            "until": time_out(stance.until),
            "back": stance.back,
            "event": stance.event,
            "why": stance.why,
            "actor": stance.actor,
        },
        "wanted": _setting(it.span.setting) if it.span is not None else None,
        "because": it.span.event if it.span is not None else None,
        "wanted_since": time_out(it.run_starts),
        "wanted_until": time_out(it.run_ends),
        "ahead": {"start": time_out(it.ahead.start), "end": time_out(it.ahead.end), "event": it.ahead.event}
        if it.ahead is not None
        else None,
        "owed_since": time_out(it.owed_since),
        "mode": "observe" if it.observe else "act",
        "seen": {"availability_status": it.seen.status, "at": time_out(it.seen.at)}
        if it.seen is not None and it.tense != "past"
        else None,
        "events": [_event(one) for one in it.considered],
        "events_kept_since": time_out(it.kept_since),
        "planned_until": time_out(it.planned_until),
        "until_by": [
            {"kind": part.kind, "start": time_out(part.start), "until": time_out(part.until), "event": part.event}
            for part in it.parts
        ],
        "rules": {key: {"value": value, "origin": it.origins.get(key)} for key, value in rules_view(it.rules).items()},
        "trouble": trouble_view(it.trouble),
    }


def rules_view(rules: Rules) -> dict[str, Any]:
    """The rules by the keys and in the words of the settings; durations in seconds."""
    found = {one.name: getattr(rules, one.name) for one in fields(rules)}
    for key, value in found.items():
        if key.startswith("substatus_by_"):
            found[key] = dict(value)
        elif key.endswith("_colors"):
            found[key] = [name for name, number in COLOURS.items() if number in value]
        elif isinstance(value, tuple):
            found[key] = list(value)
    hours = rules.working_hours
    if hours is not None:
        found["working_hours"] = {
            "timezone": hours.zone,
            "days": [name for day, name in enumerate(_DAYS) if day in hours.days],
            "from": _clock_time(hours.opens),
            "to": _clock_time(hours.closes),
        }
    return found | {"on_manual_change": "enforce" if found.pop("enforce") else "respect"}


_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _clock_time(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}"


def _event(one: Considered) -> dict[str, Any]:
    return {
        "id": one.event.id,
        "calendar": one.calendar,
        "start": time_out(one.event.start),
        "end": time_out(one.event.end),
        "all_day": one.event.all_day,
        "counts": one.verdict.counts,
        "why": one.verdict.words,
        "rule": one.verdict.rule,
        "origin": one.origin,
    }


def _row(row: HistoryRow | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "at": time_out(row.at),
        "after": time_out(row.after),
        "from": row.from_,
        "to": row.to,
        "substatus": row.substatus,
        "outcome": row.outcome,
        "why": row.why,
        "event": row.event,
        "event_start": time_out(row.begins),
        "event_end": time_out(row.ends),
        "until": time_out(row.until),
        "late_ms": row.late_ms,
        "actor": row.actor,
    }


def _setting(setting: Setting) -> dict[str, str | None]:
    return {"availability_status": setting.availability_status, "substatus": setting.substatus}
