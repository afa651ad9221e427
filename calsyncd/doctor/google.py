"""Google: our credentials, and each agent's calendars as the daemon will read them."""

from __future__ import annotations

import asyncio

from calsyncd.core.access import REACH
from calsyncd.core.troubles import KINDS
from calsyncd.doctor.checks import Check, Finding, Outcome, failed, good, note, refused
from calsyncd.doctor.examined import Examined
from calsyncd.errors import Refused, ServiceError, Unavailable

AT_ONCE = 8
MOST_ASKED = 5
OF_ONE = frozenset({"invalid_grant", "not_connected"})
"""What is no fault where everybody is followed: somebody has no Google calendar, or has not connected it yet."""

_NOBODY_KNOWN = "not tried: Aircall's users, whose calendars they would be, are not known"
_LEAST = {"maxResults": "1", "fields": "kind"}


async def credentials(examined: Examined) -> list[Finding]:
    """Whether Google takes our credentials: any agent's answer tells, even a refusal that is about the agent."""
    if examined.everybody and examined.users is None:
        return [note(_NOBODY_KNOWN)]
    unclear: ServiceError | None = None
    known = False
    for email, calendars in _agents(examined)[:MOST_ASKED]:
        try:
            await examined.google.list_events(email, calendars[0], _LEAST)
        except Refused as error:
            if REACH.get(error.code) == "company":
                return [refused(error)]
            if error.code in KINDS and KINDS[error.code].token:
                # No calendar was asked for. Without a grant, Google was not even asked.
                known = known or error.code != "not_connected"
                continue
        except Unavailable as error:
            unclear = error
            continue
        return [good("Google knows them, and the Calendar API is on")]
    if known:
        return [good("Google knows them; whether the Calendar API is on shows when a calendar can be read")]
    if unclear is not None:
        return [refused(unclear)]
    return [note("no agent to try them with", "list agents in the settings, or let one connect")]


async def agents(examined: Examined) -> list[Finding]:
    """Whether each calendar of each agent can be read: delegation or consent, scope, sharing."""
    if examined.everybody and examined.users is None:
        return [note(_NOBODY_KNOWN)]
    turn = asyncio.Semaphore(AT_ONCE)

    async def read(email: str, calendar: str) -> Finding:
        async with turn:
            try:
                await examined.google.list_events(email, calendar, _LEAST)
            except ServiceError as error:
                found = refused(error, email)
                if examined.everybody and error.code in OF_ONE:
                    return note(f"{email} is not followed: {found.what}", found.do, found.owner)
                where = "" if calendar == "primary" else f" ({calendar})"
                return Finding(found.outcome, found.what + where, found.do, found.owner, email, found.code)
        return good(f"{calendar} can be read", email)

    asked = [(email, calendar) for email, calendars in _agents(examined) for calendar in calendars]
    found = list(await asyncio.gather(*(read(email, calendar) for email, calendar in asked)))
    wrong = {one.code for one in found if one.outcome is Outcome.FAILED}
    if len(found) > 1 and len(wrong) == 1 and all(one.outcome is Outcome.FAILED for one in found):
        first = found[0]
        return [failed(f"for all {len(found)} calendars: {first.what}", first.do, first.owner, code=first.code)]
    return found


def _agents(examined: Examined) -> list[tuple[str, tuple[str, ...]]]:
    """Each agent's account and calendars; where everybody is followed, those who have an Aircall user."""
    if examined.everybody:
        return [(user.email, ("primary",)) for user in examined.users or () if user.email]
    return [(agent.email, tuple(agent.calendars)) for agent in examined.settings.agents]


CHECKS = (
    Check("google", "Google's credentials", credentials),
    Check("calendars", "each agent's calendars", agents, "{} calendars can be read", needs="google"),
)
