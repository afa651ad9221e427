"""What is written down about agents: stances into the ledger, changes into the history."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from calsyncd.clock import Clock
from calsyncd.core.byhand import EXTENSION, ByHand
from calsyncd.core.model import HistoryRow, Observation
from calsyncd.core.plan import FREE, Entry, Line, Pause, Said
from calsyncd.logs import get_logger
from calsyncd.phones.agent import Agent, Foreseen

log = get_logger(__name__)


class Ledger(Protocol):
    """Where debts are written down."""

    async def record(self, *lines: Line) -> None:
        """Return once all of `lines` are on disk."""
        ...


class Journal(Protocol):
    """What is told of what was seen and done; it answers for its own failures."""

    def observed(self, user: int, observation: Observation) -> None:
        """A look was answered."""
        ...

    def done(self, row: HistoryRow) -> None:
        """A change was made, or left alone."""
        ...

    def listed(self, emails: dict[int, str], zones: dict[int, str]) -> None:
        """The company's users were listed: e-mail by user, and their zone, "" for none."""
        ...


class Record:
    """The pen: ledger and journal behind one room's need."""

    def __init__(self, ledger: Ledger, journal: Journal, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self.journal = journal

    async def stance(self, agent: Agent, patience: float) -> bool:
        """Whether the agent's stance is on disk within `patience` seconds; if not, it is said.

        `agent.unwritten` until it is. A write that hangs is not taken back: it may still land.
        """
        foreseen, agent.foreseen = agent.foreseen, None
        now = self._clock.now()
        lines = [Entry(agent.user, agent.email, agent.stance, now)] if agent.user is not None else []
        if foreseen is not None and foreseen.user != agent.user:
            lines.append(Entry(foreseen.user, agent.email, FREE, now))
        writing = asyncio.ensure_future(self._ledger.record(*lines))
        if not await self._ends(writing, patience):
            agent.unwritten = True
            log.error("The ledger does not answer", action="ledger_failed", agent=agent.email, why="it hangs")
            return False
        try:
            writing.result()
        except OSError as error:
            agent.unwritten = True
            if foreseen is not None and foreseen.user != agent.user:
                agent.foreseen = foreseen
            log.error(  # noqa: TRY400 - the errno says it all
                "The ledger cannot be written", action="ledger_failed", agent=agent.email, why=error.strerror
            )
            return False
        agent.unwritten = False
        return True

    async def _ends(self, writing: asyncio.Future[None], patience: float) -> bool:
        """Whether a write ends within `patience` seconds; one that does not is left to itself."""
        limit = asyncio.ensure_future(self._clock.sleep(patience))
        await asyncio.wait((writing, limit), return_when=asyncio.FIRST_COMPLETED)
        limit.cancel()
        if not writing.done():
            writing.add_done_callback(_forget_failure)
            return False
        return True

    async def ahead(self, email: str, foreseen: Foreseen) -> None:
        """Write down what the next boundary needs; what fails is tried anew, and told of, at the boundary."""
        entry = Entry(foreseen.user, email, foreseen.stance, self._clock.now())
        with contextlib.suppress(OSError):
            # As `stance` does it: lines stand in the ledger in the order in which they were asked for.
            await asyncio.ensure_future(self._ledger.record(entry))
            foreseen.on_disk = True

    async def pause(self, emails: Iterable[str], until: float | None, patience: float) -> None:
        """Return once these agents' pause, or its end (None), is on disk; OSError if it is not within `patience`."""
        now = self._clock.now()
        lines = [Pause(email, until, now) for email in emails]
        if lines:
            await self._within(patience, *lines)

    async def said(self, email: str, by_hand: ByHand, patience: float) -> None:
        """Return once what was said of the agent's meetings is on disk; OSError if it is not within `patience`."""
        await self._within(patience, Said(email, by_hand, self._clock.now()))

    async def _within(self, patience: float, *lines: Line) -> None:
        writing = asyncio.ensure_future(self._ledger.record(*lines))
        if not await self._ends(writing, patience):
            raise OSError(errno.ETIMEDOUT, "the disk does not answer")
        writing.result()

    def history(
        self,
        agent: Agent,
        *,
        outcome: str,
        why: str,
        from_: str | None = None,
        to: str | None = None,
        event: str | None = None,
        late_ms: int | None = None,
        actor: str = "calsyncd",
        after: float | None = None,
        until: float | None = None,
        substatus: str | None = None,
    ) -> None:
        """Add to the history what was done, or left alone, just now; the event with its times, as they are known."""
        at = self._clock.now()
        begins, ends = _times_of(agent, event)
        row = HistoryRow(at, agent.email, from_, to, outcome, why, event, late_ms, actor)
        self.journal.done(replace(row, after=after, until=until, begins=begins, ends=ends, substatus=substatus))


def _times_of(agent: Agent, event: str | None) -> tuple[float | None, float | None]:
    """When an event of the agent's timeline begins and ends, without lead and lag."""
    if event is None or agent.timeline is None:
        return None, None
    span = next((one for one in agent.timeline.padded if one.event == event), None)
    if span is None:
        return None, None
    if event == EXTENSION:
        return span.start, span.end
    return span.start + agent.rules.lead, span.end - agent.rules.lag


def _forget_failure(writing: asyncio.Future[None]) -> None:
    """What is read here is not reported as never retrieved; the next write says it again."""
    if not writing.cancelled():
        writing.exception()
