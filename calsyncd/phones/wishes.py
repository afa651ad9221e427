"""What people say of one agent's meetings: this one is skipped, that one goes on.

It changes only what the agent's timeline is. Like a pause it is a fact about the agent: it is remembered by the e-mail
address, stands in the ledger before it is answered, and counts from when it is said, written or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, tzinfo

from calsyncd.clock import Clock
from calsyncd.core import wishes
from calsyncd.core.byhand import NOTHING, ByHand
from calsyncd.core.moments import clock_in
from calsyncd.core.sync import rfc3339
from calsyncd.core.wishes import WishError
from calsyncd.errors import UserError
from calsyncd.logs import get_logger
from calsyncd.phones.calls import LEDGER_PATIENCE_SECONDS
from calsyncd.phones.record import Record
from calsyncd.phones.roster import Roster

log = get_logger(__name__)


class Wishes:
    """Takes the words by hand. `retell(email)` works the agent's timeline out anew; false where that failed."""

    def __init__(
        self, clock: Clock, *, roster: Roster, record: Record, retell: Callable[[str], Awaitable[bool]]
    ) -> None:
        self._clock = clock
        self._roster = roster
        self._record = record
        self._retell = retell

    async def skip(self, email: str, until: float | None, actor: str, reason: str, zone: tzinfo = UTC) -> None:
        """Leave the agent available in the meetings that run, else in the next ones, or in all until `until`.

        It ends an extension. UserError if there is nothing to skip; OSError if it is not written, and counts all the
        same. What is said of it tells times by the clock of `zone`, the agent's.
        """
        agent = self._roster.agents[email]
        before, now = self._roster.by_hand(email), self._clock.now()
        try:
            by_hand, meetings = wishes.skip(before, agent.timeline, now, until, zone)
        except WishError as error:
            raise UserError(f"{email}: {error}") from None
        which = ", ".join(f"{rfc3339(one.start)} to {rfc3339(one.end)}" for one in meetings)
        shown = ", ".join(f"{clock_in(zone, one.start, now)} to {clock_in(zone, one.end, now)}" for one in meetings)
        said = f"skipped: {shown}" if meetings else "the extension is over"
        log.info(f"{email} stays available", action="skipped", agent=email, meetings=which, actor=actor, why=reason)
        event = meetings[0].event if len(meetings) == 1 else None
        self._record.history(agent, outcome="skipped", why=_why(said, reason), event=event, actor=actor)
        await self._say(email, by_hand)

    async def extend(
        self, email: str, length: float | None, until: float | None, actor: str, reason: str, *, zone: tzinfo = UTC
    ) -> None:
        """Keep the agent unavailable `length` seconds longer than what runs, or than now; or until `until`.

        Whoever had changed the setting by hand before is asked about anew. UserError if that changes nothing or lasts
        too long; OSError if it is not written, and counts all the same. Times are told as by `skip`.
        """
        agent = self._roster.agents[email]
        before, now = self._roster.by_hand(email), self._clock.now()
        try:
            by_hand = wishes.extend(
                before, agent.timeline, now, length=length, until=until, substatus=agent.rules.substatus, zone=zone
            )
        except WishError as error:
            raise UserError(f"{email}: {error}") from None
        assert by_hand.extension is not None  # noqa: S101 - extend has made it
        ends = by_hand.extension.until
        log.info(
            f"{email} stays unavailable",
            action="extended",
            agent=email,
            until=rfc3339(ends),
            actor=actor,
            why=reason,
        )
        why = _why(f"extended until {clock_in(zone, ends, now)}", reason)
        self._record.history(agent, outcome="extended", why=why, until=ends, actor=actor)
        await self._say(email, by_hand)

    async def take_back(self, email: str, actor: str, reason: str) -> None:
        """Let the agent's calendar alone count again; OSError if that is not written, and counts all the same."""
        before = self._roster.by_hand(email)
        if before == NOTHING:
            return
        agent = self._roster.agents.get(email)
        if agent is not None and wishes.in_force(before, self._clock.now()):
            said = "what was skipped or extended is taken back"
            self._record.history(agent, outcome="resumed", why=_why(said, reason), actor=actor)
        await self._say(email, NOTHING)

    async def _say(self, email: str, by_hand: ByHand) -> None:
        self._roster.say(email, by_hand)
        written, told = await asyncio.gather(
            self._record.said(email, by_hand, LEDGER_PATIENCE_SECONDS), self._retell(email), return_exceptions=True
        )
        for outcome in (written, told):
            if isinstance(outcome, BaseException):
                raise outcome
        if not told:
            raise UserError(f"{email}: it is written down, and counts as soon as the database answers: see the log")


def _why(said: str, reason: str) -> str:
    return f"{said}: {reason}" if reason else said
