"""How old a look may be that an update relies on, and when everybody is looked at.

Facts: one request reads one user or a page of fifty. Aircall's webhooks tell when a setting turns to or from
`unavailable`, not when it goes from `available` to `custom`.

Theory. In a company of one page a look costs the same for one or for all, and each boundary has its own, a moment
before it. In a bigger one pages cost requests that others need: there a look may be as old as it takes to read all
pages at a polite pace, and older still while webhooks would tell of what matters. In a crowd a look takes the place of
an update, so everybody is looked at before it, in the quiet, and nobody in it.
"""

from __future__ import annotations

from calsyncd.core.plan import BACK_AGE_SECONDS, FRESH_SECONDS
from calsyncd.core.prices import MINUTE_SECONDS

PAGE_SECONDS = 150.0
TOLD_PAGE_SECONDS = 90.0
TOLD_FRESH_SECONDS = 30 * 60.0
OLDEST_SECONDS = 90 * 60.0
CROWD_FRESH_SECONDS = 45 * 60.0
"""Without webhooks; what is put back may then be what an agent had before a change of theirs in that time."""

SWEEP_SECONDS = 10 * 60.0
TOLD_SWEEP_SECONDS = 45 * 60.0
SWEEP_AFTER = 1.5
"""Of the time for which a look is fresh: mostly somebody has asked for a list by then."""

BEFORE_CROWD_SECONDS = 2.0
QUIET_MARGIN_SECONDS = 5 * 60.0
QUEUE_SECONDS = 15 * 60.0


def fresh_seconds(pages: int, *, told: bool, crowded: bool) -> float:
    """How old a look may be, in a company of so many pages; `told` while webhooks tell of changes."""
    if crowded:
        return OLDEST_SECONDS if told else CROWD_FRESH_SECONDS
    if pages <= 1:
        return FRESH_SECONDS
    if told:
        return min(max(TOLD_FRESH_SECONDS, pages * TOLD_PAGE_SECONDS), OLDEST_SECONDS)
    return min(pages * PAGE_SECONDS, BACK_AGE_SECONDS)


def is_due_before_crowd(age: float, pages: int, *, told: bool, quiet: bool) -> bool:
    """Whether everybody is to be looked at before a crowd, when the last list is so old: in the quiet, if there is one.

    What a look may be in a crowd must not pass in the middle of it.
    """
    if not quiet:
        return age > fresh_seconds(pages, told=told, crowded=True) - QUEUE_SECONDS
    return age > (fresh_seconds(pages, told=told, crowded=False) - QUIET_MARGIN_SECONDS if told else FRESH_SECONDS)


def sweep_seconds(pages: int, *, told: bool) -> float:
    """How long after a list of everybody the next one is due, if no look has asked for one before."""
    if told and pages > 1:
        return TOLD_SWEEP_SECONDS
    return max(SWEEP_SECONDS, SWEEP_AFTER * fresh_seconds(pages, told=told, crowded=False))


def saves(wanted: int, coming: int, pages: int, *, outdated: bool) -> bool:
    """Whether the list costs less than to look alone at those for whom a look is `wanted` now.

    `outdated` says that the last list serves nobody any more; then those `coming`, while it would be fresh, count too.
    """
    return pages < wanted + (coming if outdated and wanted else 0)


def list_before(crowd: int, early: int, pages: int, per_minute: int) -> float:
    """When to look at everybody before a crowded minute: so that the requests are there again for what goes early."""
    minutes = early + 1 + pages // per_minute
    return (crowd - minutes) * MINUTE_SECONDS - BEFORE_CROWD_SECONDS
