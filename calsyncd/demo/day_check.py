"""How right the phones were: the sandbox's own history of both sides, compared.

True is what Google showed at the time: an event counts from the instant at which it was known. A setting made by
hand is the agent's wish: `unavailable` until the next one by hand, others until the end of the meeting they fell in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from calsyncd.sandbox.aircall_users import Update, User
from calsyncd.sandbox.google_calendar import Calendar
from calsyncd.sandbox.world import Sandbox

Spans = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Boundary:
    """An instant at which the right state changed; `late` is None if it never became right before the next one."""

    at: float
    busy: bool
    late: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """One agent between two instants; `ringing` and `unreachable` are seconds in the wrong state."""

    email: str
    busy: tuple[tuple[float, float], ...]
    updates: tuple[Update, ...]
    boundaries: tuple[Boundary, ...]
    ringing: float
    unreachable: float

    @property
    def worst_lateness(self) -> float | None:
        """The latest of the boundaries that were met; None if there were none."""
        return max((boundary.late for boundary in self.boundaries if boundary.late is not None), default=None)

    @property
    def missed(self) -> int:
        """How many boundaries were never met."""
        return sum(boundary.late is None for boundary in self.boundaries)


def check(sandbox: Sandbox, low: float, high: float) -> list[Report]:
    """A report for every Aircall user who has a calendar under the same address."""
    return [
        check_agent([calendar], user, sandbox.aircall.log, low, high)
        for user in sandbox.aircall.users.by_id.values()
        if (calendar := sandbox.google.calendars.get(user.email)) is not None
    ]


def check_agent(calendars: Iterable[Calendar], user: User, log: Sequence[Update], low: float, high: float) -> Report:
    """What one agent's calendars asked for, and what the phone did."""
    busy = union(span for calendar in calendars for span in true_busy(calendar))
    own = [update for update in log if update.user == user.id]
    right = clipped(_wished(busy, user, own), low, high)
    off = clipped(_unavailable(user, high), low, high)
    return Report(
        email=user.email,
        busy=tuple(clipped(busy, low, high)),
        updates=tuple(update for update in own if update.by == "api" and low <= update.at < high),
        boundaries=tuple(_boundaries(right, off, low, high)),
        ringing=length(minus(right, off)),
        unreachable=length(minus(off, right)),
    )


def true_busy(calendar: Calendar) -> Spans:
    """When the calendar's owner was busy, as far as the calendar knew it at each instant."""
    revisions: dict[str, list[tuple[float, Spans]]] = {}
    for revision in calendar.revisions:
        revisions.setdefault(revision.event, []).append((revision.at, list(revision.busy)))
    found: Spans = []
    for history in revisions.values():
        untils = [at for at, _ in history[1:]] + [float("inf")]
        for (since, spans), until in zip(history, untils, strict=True):
            found += clipped(spans, since, until)
    return union(found)


def union(spans: Iterable[tuple[float, float]]) -> Spans:
    """The same instants as ordered, disjoint spans."""
    result: Spans = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        elif start < end:
            result.append((start, end))
    return result


def minus(spans: Spans, others: Spans) -> Spans:
    """What is in `spans` and not in `others`; both ordered and disjoint."""
    result: Spans = []
    for start, end in spans:
        begin = start
        for low, high in others:
            if high <= begin or low >= end:
                continue
            if low > begin:
                result.append((begin, low))
            begin = max(begin, high)
        if begin < end:
            result.append((begin, end))
    return result


def clipped(spans: Spans, low: float, high: float) -> Spans:
    """The part between two instants."""
    return [(max(start, low), min(end, high)) for start, end in spans if max(start, low) < min(end, high)]


def length(spans: Spans) -> float:
    """The sum of the spans' seconds."""
    return sum(end - start for start, end in spans)


def _wished(busy: Spans, user: User, log: Sequence[Update]) -> Spans:
    choices = [(user.since[0], user.settings[0].status)]
    choices += [(update.at, update.after.status) for update in log if update.by == "hand"]
    untils = [at for at, _ in choices[1:]] + [float("inf")]
    off = [(at, until) for (at, status), until in zip(choices, untils, strict=True) if status == "unavailable"]
    on = [
        (at, min(end, until))
        for (at, status), until in zip(choices[1:], untils[1:], strict=True)
        for start, end in busy
        if status != "unavailable" and start <= at < end
    ]
    return union([*minus(busy, union(on)), *off])


def _unavailable(user: User, high: float) -> Spans:
    untils = [*user.since[1:], max(high, user.since[-1])]
    return union(
        (since, until)
        for since, until, setting in zip(user.since, untils, user.settings, strict=True)
        if setting.status == "unavailable"
    )


def _boundaries(right: Spans, off: Spans, low: float, high: float) -> list[Boundary]:
    instants = sorted({at for span in right for at in span if low < at < high})
    changes = sorted({at for span in off for at in span})
    found = []
    for at, until in zip(instants, [*instants[1:], high], strict=False):
        busy = any(start <= at < end for start, end in right)
        candidates = [at, *(change for change in changes if at < change < until)]
        met = next((c for c in candidates if any(start <= c < end for start, end in off) == busy), None)
        found.append(Boundary(at, busy, None if met is None else met - at))
    return found
