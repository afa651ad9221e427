"""What operators see of an agent: the shape of the admin API, made from what the process knows now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Any

from calsyncd.calendars import Calendar
from calsyncd.core.access import OF_AIRCALL
from calsyncd.core.byhand import EXTENSION, NOTHING, ByHand
from calsyncd.core.channels import Health
from calsyncd.core.matching import Matching, Reason
from calsyncd.core.model import Event, HistoryRow, Listed, Setting, Trouble
from calsyncd.core.moments import clock_in
from calsyncd.core.outage import Outage
from calsyncd.core.past import Stretch, stretches, unbroken
from calsyncd.core.plan import Held, StandingBack
from calsyncd.core.rules import Rules, Verdict
from calsyncd.core.timeline import Timeline, build, verdict
from calsyncd.core.wording import status_word
from calsyncd.phones import FOREVER, Agent


def agent_view(
    agent: Agent,
    with_push: list[tuple[Calendar, Health]],
    company_trouble: Trouble | None,
    now: float,
    zone: tzinfo = UTC,
    *,
    others: Iterable[Listed] | None = None,
    others_why_not: str | None = None,
) -> dict[str, Any]:
    """One agent as `GET /api/v1/agents` shows them; each calendar comes with its push health.

    The reason tells times by the clock of `zone`, the agent's. `others` are calendars of theirs that do not count,
    `others_why_not` why they are not known.
    """
    calendars = [calendar for calendar, _ in with_push]
    span = agent.timeline.span_at(now) if agent.timeline is not None else None
    paused = agent.paused_until is not None and now < agent.paused_until
    wanted = span.setting if span is not None and not paused else None
    trouble = worst_trouble(agent, calendars, company_trouble)
    stance = agent.stance
    state = _state(agent, calendars, trouble, paused=paused)
    return {
        "email": agent.email,
        "zone": str(zone),
        "aircall_user": agent.user,
        "state": state,
        "setting": _setting(agent.facts.seen.setting) if agent.facts.seen is not None else None,
        "wanted": _setting(wanted),
        "until": time_out(agent.timeline.next_change(now) if agent.timeline is not None else None),
        "mode": "observe" if agent.observe else "act",
        "reason": _reason(agent, state, trouble, now, zone),
        "hold": {
            "put": _setting(stance.put),
            "back": _setting(stance.back),
            "since": time_out(stance.since),
            "until": time_out(stance.until),
            "confirmed": stance.confirmed_at is not None,
        }
        if isinstance(stance, Held)
        else None,
        "override": {"since": time_out(stance.since), "until": time_out(stance.until)}
        if isinstance(stance, StandingBack) and stance.why == "override"
        else None,
        "paused_until": time_out(agent.paused_until) if paused else None,
        "skipped": [
            {"event": one.event, "start": time_out(one.start), "end": time_out(one.end)}
            for one in (agent.timeline.skipped if agent.timeline is not None else ())
            if now < one.end
        ],
        "extended_until": time_out(_extended_until(agent, now)),
        "observed_at": time_out(agent.facts.seen.at) if agent.facts.seen is not None else None,
        "calendars": [
            {
                "id": calendar.id,
                "synced_at": time_out(calendar.synced_at),
                "push": health,
                "trouble": trouble_view(calendar.trouble or calendar.push_trouble),
            }
            for calendar, health in with_push
        ],
        "other_calendars": None
        if others is None
        else [{"id": one.id, "primary": one.primary, "access": one.access} for one in others],
        "other_calendars_why_not": others_why_not,
        "trouble": trouble_view(trouble),
    }


def agent_state(agent: Agent, calendars: list[Calendar], company_trouble: Trouble | None, now: float) -> str:
    """One agent's state, as `agent_view` tells it."""
    trouble = worst_trouble(agent, calendars, company_trouble)
    return _state(agent, calendars, trouble, paused=agent.paused_until is not None and now < agent.paused_until)


def channels_view(calendar: Calendar, health: Health) -> list[dict[str, Any]]:
    """A calendar's push channels as `GET /api/v1/agents/{email}/channels` shows them, the oldest first."""
    known = {
        "calendar": calendar.id,
        "health": health,
        "heard_at": time_out(calendar.heard_at) if calendar.heard_at else None,
    }
    rows = sorted(calendar.channels.values(), key=lambda one: one.created_at)
    return [
        {**known, "verified_at": time_out(one.verified_at), "expires_at": time_out(one.expires_at)} for one in rows
    ] or [{**known, "verified_at": None, "expires_at": None}]


USER_GONE = "aircall_user_gone"


def matching_view(matching: Matching, *, everybody: bool, untried: int, unlisted: Iterable[str] = ()) -> dict[str, Any]:
    """Who has no counterpart, as `GET /api/v1/matching` shows it."""
    return {
        "everybody": everybody,
        "followed": len(matching.followed),
        "untried": untried,
        "missed": len(matching.missed),
        "users": [
            {"id": one.id, "email": one.email or None, "name": one.name or None, **_reason_view(why)}
            for one, why in matching.users
        ],
        "accounts": [
            {"email": one.email, "aircall_user": one.user, **_reason_view(why)} for one, why in matching.accounts
        ],
        "unlisted": [
            {
                "email": email,
                "reason": "connected, and Aircall has no such user" if everybody else "connected, and not listed",
                "do": f"`calsyncd forget {email}` takes the permission back; or"
                + (" invite them to Aircall again" if everybody else " list the agent again"),
            }
            for email in unlisted
        ],
    }


def _reason_view(why: Reason) -> dict[str, Any]:
    return {
        "code": why.code,
        "reason": why.words,
        "do": why.do,
        "suggestion": why.suggestion,
        "ties": list(why.ties),
    }


@dataclass(frozen=True, slots=True)
class Diary:
    """An agent's events, each with its calendar's key, and the rules and words by hand under which they count.

    What the rules ask of events is not known of those whose calendar is in `untold`.

    There are events from before and after what is shown: what a hold is depends on its neighbours.
    """

    events: tuple[tuple[str, Event], ...]
    rules: Rules
    by_hand: ByHand = NOTHING
    untold: frozenset[str] = frozenset()

    @property
    def timeline(self) -> Timeline:
        """What is wanted for them."""
        return build((self._as_told(*one) for one in self.events), self.rules, self.by_hand)

    def _as_told(self, calendar: str, event: Event) -> Event:
        return replace(event, told=False) if calendar in self.untold else event

    def verdict(self, calendar: str, event: Event, timeline: Timeline) -> Verdict:
        """Why one of the events counts or does not; on each calendar that it stands in an event is judged apart."""
        judged = verdict(self._as_told(calendar, event), self.rules, self.by_hand)
        return OUTSIDE if judged.counts and event.id in timeline.outside else judged


OUTSIDE = Verdict(counts=False, words="outside of the working hours", rule="working_hours")


def outage_view(outage: Outage) -> dict[str, Any]:
    """An absence as `GET /api/v1/outage` shows it."""
    return {
        "cause": outage.cause,
        "from": time_out(outage.away_from),
        "to": time_out(outage.away_to),
        "seconds": round(outage.seconds, 3),
        "agents": [
            {
                "email": agent.email,
                "boundaries": [time_out(at) for at in agent.boundaries],
                "right_at": time_out(agent.right_at),
                "updated": agent.updated,
            }
            for agent in outage.agents
        ],
        "unconcerned": outage.unconcerned,
        "waiting": outage.waiting,
        "over": outage.over,
    }


def timeline_view(
    agent: Agent, diary: Diary, past: Iterable[HistoryRow], window: tuple[float, float], now: float
) -> dict[str, Any]:
    """What an agent's calendars hold between two instants, what is wanted for it, and what was really set until now.

    `past` is the agent's history since the window began, and the last change before it.
    """
    low, high = window
    timeline = diary.timeline
    verdicts = [diary.verdict(*one, timeline) for one in diary.events]
    spans = timeline.spans
    until = min(high, now)
    return {
        "email": agent.email,
        "from": time_out(low),
        "to": time_out(high),
        "events": [
            {
                "id": event.id,
                "calendar": calendar.removeprefix(f"{agent.email}/"),
                "start": time_out(event.start),
                "end": time_out(event.end),
                "all_day": event.all_day,
                "why_not": None if judged.counts else judged.words,
                "rule": judged.rule,
            }
            for (calendar, event), judged in zip(diary.events, verdicts, strict=True)
            if event.start < high and event.end > low
        ],
        "spans": [
            {
                "start": time_out(span.start),
                "end": time_out(span.end),
                "wanted": _setting(span.setting),
                "event": span.event,
            }
            for span in spans
            if span.start < high and span.end > low
        ],
        "set": [
            {
                "start": time_out(one.start),
                "end": time_out(one.end),
                "availability_status": one.status,
                "actor": one.actor,
                "why": one.why,
            }
            for one in (stretches(past, agent.status, low, until) if until > low else ())
        ],
    }


def settings_view(found: Iterable[Stretch]) -> list[dict[str, Any]]:
    """What was set when, as unbroken intervals of one setting each; without those in which it is not known."""
    return [
        {
            "start": time_out(one.start),
            "end": time_out(one.end),
            "availability_status": one.status,
            "actor": one.actor,
            "why": one.why,
        }
        for one in unbroken(found)
        if one.status is not None
    ]


def history_view(row: HistoryRow) -> dict[str, Any]:
    """One record of the history."""
    return {
        "at": time_out(row.at),
        "agent": row.agent,
        "from": row.from_,
        "to": row.to,
        "outcome": row.outcome,
        "why": row.why,
        "event": row.event,
        "late_ms": row.late_ms,
        "actor": row.actor,
    }


def time_out(at: float | None) -> str | None:
    """An instant as RFC 3339 UTC with milliseconds; a pause without an end ends in the year 9999."""
    if at is None:
        return None
    if at == FOREVER:
        return "9999-12-31T23:59:59Z"
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _state(agent: Agent, calendars: list[Calendar], trouble: Trouble | None, *, paused: bool) -> str:
    if agent.owed:
        return "pending"
    if isinstance(agent.stance, Held):
        return "held"
    if paused:
        return "paused"
    if _is_suspended(agent, calendars, trouble):
        return "suspended"
    if not agent.ready or agent.timeline is None or agent.user is None:
        return "unsynced"
    if isinstance(agent.stance, StandingBack) and agent.stance.why != "early_end":
        return "overridden" if agent.stance.why == "override" else "left_alone"
    if agent.kept is not None:
        return "kept"
    return "idle"


def _is_suspended(agent: Agent, calendars: list[Calendar], trouble: Trouble | None) -> bool:
    """Whether nothing can be done for the agent until a human acts: their calendars or their phone are out of reach."""
    if trouble is not None and (agent.user is None or trouble.code in OF_AIRCALL or trouble.code == USER_GONE):
        return True
    if trouble is not None and not calendars:
        return True
    return bool(calendars) and all(calendar.suspended for calendar in calendars)


def _reason(agent: Agent, state: str, trouble: Trouble | None, now: float, zone: tzinfo) -> str:
    if not agent.observe:
        return _why(agent, state, trouble, now, zone)
    if isinstance(agent.stance, Held):
        return f"Only observed from now on: going back to {_word(agent.stance.back)}."
    would = agent.would
    if would is not None:
        until = clock_in(zone, would.until)
        return f"Only observed: would be unavailable until {until}, then back to {_word(would.back)}."
    return f"Only observed: nothing is changed. {_why(agent, state, trouble, now, zone)}"


def _why(agent: Agent, state: str, trouble: Trouble | None, now: float, zone: tzinfo) -> str:
    stance = agent.stance
    timeline = agent.timeline
    if state == "pending":
        return "An update is waiting for its turn."
    if isinstance(stance, Held):
        if timeline is not None and timeline.span_at(now) is not None:
            enforced = agent.facts.enforced_at
            overruled = enforced is not None and enforced >= stance.since
            again = f" Put again after a change by hand, at {clock_in(zone, enforced or 0.0)}." if overruled else ""
            extended = _extended_until(agent, now)
            what = "In a meeting" if stance.event != EXTENSION else "Unavailable by an operator's word"
            by_hand = ", extended by hand" if extended is not None and stance.event != EXTENSION else ""
            return f"{what} until {clock_in(zone, stance.until)}{by_hand}; then back to {_word(stance.back)}.{again}"
        return f"The meeting is over; going back to {_word(stance.back)}."
    if state == "paused":
        return "Paused: the calendar is not followed."
    if state == "suspended" and trouble is not None:
        return f"Not followed: {trouble.message}."
    if state == "unsynced":
        return "The calendar has not been read yet."
    if isinstance(stance, StandingBack):
        if stance.why == "early_end":
            return f"Back a little before the meeting ends at {clock_in(zone, stance.until)}: many end at once."
        if stance.why == "override":
            return f"Changed by hand during a meeting: left alone until {clock_in(zone, stance.until)}."
        return f"Unavailable by their own choice: left alone until {clock_in(zone, stance.until)}."
    if agent.kept is not None:
        end = timeline.stretch_end(now) if timeline is not None else None
        until = f" until {clock_in(zone, end)}" if end is not None else ""
        return f"In a meeting{until}, and kept available: {agent.kept.floor} are to stay. Goes when another is back."
    start = timeline.next_start(now) if timeline is not None else None
    if timeline is not None and timeline.span_at(now) is not None:
        return "In a meeting; their setting is being looked at."
    skipped = _skipped(timeline, now, zone)
    if start is None:
        return f"{skipped}No meeting ahead."
    return f"{skipped}No {'other ' if skipped else ''}meeting until {clock_in(zone, start)}."


def _skipped(timeline: Timeline | None, now: float, zone: tzinfo) -> str:
    """Which meeting is skipped: the one that runs, else the next."""
    one = next((one for one in timeline.skipped if now < one.end), None) if timeline is not None else None
    if one is None:
        return ""
    when = f"at {clock_in(zone, one.start)}" if now < one.start else f"until {clock_in(zone, one.end)}"
    return f"The meeting {when} is skipped by hand. "


def _extended_until(agent: Agent, now: float) -> float | None:
    extension = agent.timeline.extension_at(now) if agent.timeline is not None else None
    return extension.end if extension is not None else None


def worst_trouble(agent: Agent, calendars: list[Calendar], company_trouble: Trouble | None) -> Trouble | None:
    """What is told of all that troubles an agent."""
    troubles = [company_trouble, agent.trouble]
    troubles += [calendar.trouble for calendar in calendars]
    troubles += [calendar.push_trouble for calendar in calendars]
    return next((trouble for trouble in troubles if trouble is not None), None)


def trouble_view(trouble: Trouble | None) -> dict[str, Any] | None:
    """A trouble as the API shows it."""
    if trouble is None:
        return None
    return {
        "code": trouble.code,
        "message": trouble.message,
        "do": trouble.do,
        "owner": trouble.owner,
        "since": time_out(trouble.since),
    }


def _setting(setting: Setting | None) -> dict[str, str | None] | None:
    if setting is None:
        return None
    return {"availability_status": setting.availability_status, "substatus": setting.substatus}


def _word(setting: Setting) -> str:
    return status_word(setting.availability_status)
