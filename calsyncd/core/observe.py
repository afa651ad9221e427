"""What would be held of an agent who is only observed.

Nothing is put, so nothing is owed, and the agent's real setting does not follow: what would be is carried beside the
stance, which stays free. It lasts as a hold would that nobody touches: from when the plan would have begun it to when
the calendars, or an operator's pause, would have ended it.
"""

from __future__ import annotations

from dataclasses import replace

from calsyncd.core.plan import Held, Orders


def carried_on(would: Held, orders: Orders, now: float) -> Held | None:
    """The hold as it would be at `now`, or None once the agent would have been put back."""
    if orders.paused(now):
        return None
    timeline = orders.timeline
    span = timeline.span_at(now) if timeline is not None else None
    if timeline is None or span is None:
        return would if orders.outlasts(would, now) else None
    until = timeline.stretch_end(now) or span.end
    return replace(would, put=span.setting, until=until if orders.complete else max(until, would.until))
