"""What becomes of the words by hand when somebody says another: skip, extend, and how long they are remembered.

A skip names meetings, not a time: which are meant is found among those that count and those that are skipped already,
so that saying it twice skips nothing more. An extension is one: the last that was said.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, tzinfo

from calsyncd.core.byhand import EXTENSION, ByHand, Extension
from calsyncd.core.model import Span
from calsyncd.core.moments import clock_in
from calsyncd.core.timeline import Timeline

LONGEST_SECONDS = 12 * 3600.0
REMEMBERED_SECONDS = 86400.0
"""So long after its end a word is kept: what happened today can still be told."""


class WishError(ValueError):
    """It cannot be done; the message tells the person who asked why."""


def skip(
    by_hand: ByHand, timeline: Timeline | None, now: float, until: float | None = None, zone: tzinfo = UTC
) -> tuple[ByHand, list[Span]]:
    """After a skip of the meetings that run, else of the next ones; with `until`, of all that touch `[now, until)`.

    Says which those are, in order. A running extension ends with it. WishError, which tells times by the clock of
    `zone`, if there is nothing to skip.
    """
    if timeline is None:
        raise WishError("the calendar has not been read yet: try again in a moment")
    extended = timeline.extension_at(now) is not None or _runs(by_hand.extension, now)
    known = _meetings(timeline)
    if until is not None:
        meant = [one for one in known if one.start < until and now < one.end]
    else:
        meant = [one for one in known if one.start <= now < one.end]
        if not meant and not extended:
            first = _next_start(timeline, now)
            meant = [one for one in known if first is not None and one.start <= first < one.end]
    if not meant and not extended:
        raise WishError(
            "there is no meeting to skip: none runs, and none is ahead in the next days"
            if until is None
            else f"there is no meeting to skip until {clock_in(zone, until, now)}"
        )
    ends = dict(by_hand.skipped)
    for one in meant:
        ends[one.event] = max(one.end, ends.get(one.event, one.end))
    order = sorted(set(meant), key=lambda one: (one.start, one.end, one.event))
    return ByHand(tuple(ends.items()), None if extended else by_hand.extension), order


def extend(
    by_hand: ByHand,
    timeline: Timeline | None,
    now: float,
    *,
    length: float | None = None,
    until: float | None = None,
    substatus: str | None = None,
    zone: tzinfo = UTC,
) -> ByHand:
    """After an extension by `length` seconds of what runs now, or from now; or else `until` an instant.

    What lies outside of the working hours holds nobody and does not run.
    It has the reason of what runs, else `substatus`, so that nothing has to be sent for it. WishError if meetings run
    until then anyway, or if it goes more than `LONGEST_SECONDS` beyond them.
    """
    timeline = timeline or Timeline()
    running = max((one.end for one in timeline.running(now) if one.event != EXTENSION), default=now)
    if until is None:
        until = (timeline.running_until(now) or now) + (length or 0.0)
    if until <= running:
        raise WishError(f"it would change nothing: meetings run until {clock_in(zone, running, now)} anyway")
    if until > running + LONGEST_SECONDS:
        raise WishError("an extension goes 12 hours beyond the meeting at most")
    span = timeline.span_at(now)
    return replace(by_hand, extension=Extension(now, until, span.setting.substatus if span is not None else substatus))


def remembered(by_hand: ByHand, now: float) -> ByHand:
    """Without what has been over for long."""
    since = now - REMEMBERED_SECONDS
    extension = by_hand.extension
    return ByHand(
        tuple((event, end) for event, end in by_hand.skipped if end > since),
        extension if extension is not None and extension.until > since else None,
    )


def in_force(by_hand: ByHand, now: float) -> bool:
    """Whether anything of it is not over yet."""
    return _runs(by_hand.extension, now) or any(end > now for _, end in by_hand.skipped)


def _runs(extension: Extension | None, now: float) -> bool:
    return extension is not None and extension.until > now


def _meetings(timeline: Timeline) -> list[Span]:
    """Those that begin a hold, or would if they were not skipped, with lead and lag."""
    counted = [one for one in timeline.padded if one.event != EXTENSION and one.event not in timeline.outside]
    return [*counted, *timeline.skipped]


def _next_start(timeline: Timeline, now: float) -> float | None:
    starts = [timeline.next_start(now), *(one.start for one in timeline.skipped if one.start > now)]
    return min((at for at in starts if at is not None), default=None)
