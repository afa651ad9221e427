"""Losing access: how far a cause reaches, when it is believed, and how often it is asked whether it is over.

One refusal may be a mistake, so it is asked again a few times before anything is given up; then only now and then. A
cause that reaches many is asked about for all of them together: what answers one of them answers everybody.
"""

from __future__ import annotations

from calsyncd.core.retry import backoff, spread
from calsyncd.core.troubles import KINDS, Reach

CONFIRM_FIRST_SECONDS = 30.0
CONFIRM_CAP_SECONDS = 4 * 60.0
CONFIRM_REFUSALS = 3
CONFIRM_SECONDS = 10 * 60.0
PROBE_SECONDS = 15 * 60.0
REREAD_SECONDS = 0.02
"""What is readable again is read at once, but not a thousand in one second."""

REACH: dict[str, Reach] = {code: kind.reach for code, kind in KINDS.items() if kind.lost and kind.told_by == "google"}
"""Whom a loss of access to Google concerns, by its code."""

SHARED = tuple(code for code, reach in REACH.items() if reach in ("company", "domain"))
"""Those that calendars of several agents have in common."""

TOKENS_COUNT = frozenset(code for code in SHARED if KINDS[code].token)
"""Refused when a token is asked for: whoever still has one is answered, for an hour at most, and proves nothing."""

OF_AIRCALL = frozenset(
    code for code, kind in KINDS.items() if kind.lost and kind.told_by == "aircall" and kind.reach == "company"
)
"""Losses of access to Aircall that are the whole company's."""

_BELIEVED_FROM: dict[Reach, int] = {"company": 3, "domain": 10}
"""So many refused calendars say that it is everybody's: two or three agents of a domain may each be shut out alone."""

NEVER_HAD = "not_connected"
"""No loss: access that was never given. It is known without asking."""


def ground(code: str, agent: str, calendar: str, *, alone: bool = False) -> str:
    """What one answer is enough for: two calendars with the same ground have lost access together.

    `agent` is an e-mail address, `calendar` its key. `alone` where others of the cause were found to be well.
    """
    reach = REACH[code]
    if reach == "calendar" or (alone and reach != "company"):
        return f"{code} {calendar}"
    if reach == "agent":
        return f"{code} {agent}"
    return f"{code} {agent.rpartition('@')[2]}" if reach == "domain" else code


def is_everybodys(code: str, refused: int) -> bool:
    """Whether so many refused calendars are enough not to ask for the others at all."""
    least = _BELIEVED_FROM.get(REACH[code])
    return least is not None and refused >= least


def may_differ(code: str, *, alone: bool, read: bool) -> bool:
    """Whether one of those whom the cause reaches may be answered all the same.

    `alone` where the cause was over for others, `read` where this process has read the calendar: it may have a token.
    """
    return (alone and REACH[code] != "company") or (read and code in TOKENS_COUNT)


def is_confirmed(code: str, refusals: int, lasted: float, *, known: bool) -> bool:
    """Whether the loss is believed after so many refusals one after another and so many seconds.

    Where nothing was ever read (`known` false) a mistake takes nothing away, and no time has to pass.
    """
    return code == NEVER_HAD or (refusals >= CONFIRM_REFUSALS and (lasted >= CONFIRM_SECONDS or not known))


def next_probe(refusals: int, chance: float, *, confirmed: bool) -> float:
    """Seconds until it is asked again whether the cause is over."""
    if confirmed:
        return spread(PROBE_SECONDS, chance)
    return backoff(refusals, chance, first=CONFIRM_FIRST_SECONDS, cap=CONFIRM_CAP_SECONDS)
