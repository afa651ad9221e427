"""What operators ask of the running daemon, whichever way they ask it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Protocol, TypeVar

from calsyncd.calendars import Others, Push, Syncer
from calsyncd.chronicle import Annals, Archive, Chronicle
from calsyncd.clock import SystemClock
from calsyncd.core.alarms import OWED_SECONDS
from calsyncd.core.budget import Budget
from calsyncd.core.hours import zone_of
from calsyncd.core.lateness import Latenesses
from calsyncd.core.matching import Matching
from calsyncd.core.model import HistoryRow, Trouble
from calsyncd.core.moments import Moment
from calsyncd.core.past import Query
from calsyncd.errors import UserError
from calsyncd.explainer import Explainer, Origin
from calsyncd.forgetting import Forgetting
from calsyncd.logs import get_logger
from calsyncd.overview import Overview
from calsyncd.phones import Agent, Outages, Phones, Roster, Webhooks, Wishes
from calsyncd.view import (
    Diary,
    agent_state,
    agent_view,
    channels_view,
    matching_view,
    outage_view,
    time_out,
    timeline_view,
    worst_trouble,
)
from calsyncd.web.public import Health

RELEASE_SECONDS = 90.0
RELEASE_LOOK_SECONDS = 0.1
AT_ONCE = 5
NEIGHBOURS_SECONDS = 86400.0
"""So far beyond a window events may decide what is wanted in it."""

T = TypeVar("T")

log = get_logger(__name__)


Window = tuple[float, float] | date | None
"""Two instants, or a day in the agent's zone; None is today."""


class Well(Protocol):
    """What is wrong with the loop or the database, or `of_loop` alone; nothing if all is well."""

    def __call__(self, *, of_loop: bool = False) -> str:
        """In a sentence."""
        ...


class Control:
    """Answers and obeys operators.

    `alarms` tells those that are raised; `matching` tells who has no counterpart, in the API's shape.
    """

    def __init__(
        self,
        clock: SystemClock,
        *,
        roster: Roster,
        phones: Phones,
        syncer: Syncer,
        push: Push,
        webhooks: Webhooks,
        wishes: Wishes,
        archive: Archive,
        past: Annals,
        outages: Outages,
        budget: Budget,
        lateness: Latenesses,
        version: str,
        well: Well,
        alarms: Callable[[], list[dict[str, Any]]],
        origin: Origin,
        horizon: float,
        others: Others | None = None,
        matching: Callable[[], dict[str, Any]] = lambda: matching_view(Matching(), everybody=False, untried=0),
        forgetting: Forgetting,
    ) -> None:
        self._forgetting = forgetting
        self._others = others
        self.matching = matching
        self._clock = clock
        self._roster = roster
        self._phones = phones
        self._syncer = syncer
        self._push = push
        self._webhooks = webhooks
        self._wishes = wishes
        self._archive = archive
        self._past = past
        self._outages = outages
        self._well = well
        self._alarms = alarms
        self._overview = Overview(
            clock,
            version=version,
            roster=roster,
            syncer=syncer,
            push=push,
            budget=budget,
            lateness=lateness,
            alarms=alarms,
            ready=self.ready,
            ill=well,
        )
        self._chronicle = Chronicle(clock, archive, past, zone=self._zone, settings=self._settings)
        self._explainer = Explainer(
            clock,
            syncer=syncer,
            past=past,
            zone=self._zone,
            trouble=self._trouble,
            origin=origin,
            horizon=horizon,
        )

    def emails(self) -> list[str]:
        """Every agent that the settings name, by address."""
        return [agent.email for agent in self._roster.agents.values() if agent.configured]

    def overview(self) -> dict[str, Any]:
        """The company at a glance."""
        return self._overview.view()

    def states(self) -> Iterator[str]:
        """The state of every agent that the settings name."""
        now = self._clock.now()
        for agent in self._roster.agents.values():
            if agent.configured:
                yield agent_state(agent, self._syncer.of_agent(agent.email), self._trouble_beside(agent), now)

    def agent(self, email: str) -> dict[str, Any] | None:
        """One agent."""
        agent = self._roster.agents.get(email)
        return self._view(agent) if agent is not None and agent.configured else None

    def _view(self, agent: Agent) -> dict[str, Any]:
        calendars = [(one, self._push.health(one, self._clock.now())) for one in self._syncer.of_agent(agent.email)]
        zone = self._zone(agent.email)
        names = [calendar.id for calendar, _ in calendars]
        others = self._others.of(agent.email, names) if self._others is not None else None
        why_not = self._others.why_not(agent.email) if self._others is not None else None
        return agent_view(
            agent,
            calendars,
            self._trouble_beside(agent),
            self._clock.now(),
            zone,
            others=others,
            others_why_not=why_not,
        )

    def channels(self, email: str) -> list[dict[str, Any]]:
        """The push channels of an agent's calendars; a calendar without one is told too."""
        now = self._clock.now()
        return [
            row
            for calendar in self._syncer.of_agent(email)
            for row in channels_view(calendar, self._push.health(calendar, now))
        ]

    def _trouble_beside(self, agent: Agent) -> Trouble | None:
        """What troubles an agent whatever their calendars say."""
        email = agent.email
        return self._roster.company_trouble or self._syncer.parted(email) or self._syncer.storm.alarm_of(email)

    def _trouble(self, agent: Agent) -> Trouble | None:
        return worst_trouble(agent, self._syncer.of_agent(agent.email), self._trouble_beside(agent))

    async def timelines(self, emails: Collection[str] | None, window: Window) -> list[dict[str, Any]]:
        """What was and will be between two instants, or on a day of each agent's own zone, for these agents or all."""
        names = set(self.emails() if emails is None else emails)
        agents = [agent for agent in self._roster.agents.values() if agent.configured and agent.email in names]
        email = agents[0].email if len(agents) == 1 else None
        windows = {agent.email: self._window(agent.email, window) for agent in agents}
        if not windows:
            return []
        low, high = min(one[0] for one in windows.values()), max(one[1] for one in windows.values())
        events = await self._syncer.all_events(low - NEIGHBOURS_SECONDS, high + NEIGHBOURS_SECONDS, email)
        past: dict[str, list[HistoryRow]] = {}
        for row in [*await self._archive.changes_before(email, low), *await self._past.history(email, low)]:
            past.setdefault(row.agent, []).append(row)
        found = []
        for number, agent in enumerate(agents):
            if number % AT_ONCE == AT_ONCE - 1:
                # Who watches a big company must not make its boundaries late.
                await self._clock.sleep(0)
            low, high = windows[agent.email]
            followed = {calendar.key for calendar in self._syncer.of_agent(agent.email)}
            own = tuple(one for one in events.get(agent.email, ()) if one[0] in followed)
            rules = self._syncer.rules(agent.email) or agent.rules
            diary = Diary(own, rules, self._roster.by_hand(agent.email), self._syncer.untold(agent.email))
            view = timeline_view(agent, diary, past.get(agent.email, ()), (low, high), self._clock.now())
            found.append({**view, "zone": str(self._zone(agent.email))})
        return found

    async def history(self, query: Query, most: int) -> dict[str, Any] | None:
        """At most so many of the records that are asked for; as `Chronicle` says."""
        return await self._chronicle.history(query, most)

    async def settings(self, email: str, since: Moment | None, until: Moment | None) -> dict[str, Any] | None:
        """What was really set; as `Chronicle` says."""
        return await self._chronicle.settings(email, since, until)

    def _zone(self, email: str | None) -> tzinfo:
        """The zone of the agent's first calendar, which they see their days in; else of the Aircall user, else UTC."""
        if email is None:
            return UTC
        marks = (one.bookmark for one in self._syncer.of_agent(email))
        names = [*(mark.time_zone for mark in marks if mark is not None), self._roster.zone(email)]
        return next((zone for zone in map(zone_of, names) if zone is not None), UTC)

    def _settings(self) -> dict[str, str | None]:
        return {agent.email: agent.status for agent in self._roster.agents.values() if agent.configured}

    def _window(self, email: str, window: Window) -> tuple[float, float]:
        if isinstance(window, tuple):
            return window
        zone = self._zone(email)
        day = window or datetime.fromtimestamp(self._clock.now(), zone).date()
        midnights = (datetime.combine(one, time(), zone) for one in (day, day + timedelta(days=1)))
        low, high = (midnight.timestamp() for midnight in midnights)
        return low, high

    async def sync(self, email: str | None) -> None:
        """Fetch an agent's calendars, or all, and return when that is done."""
        await self._syncer.sync(email)

    async def pause(self, email: str, until: float | None, actor: str, reason: str) -> None:
        """Release an agent and leave them alone."""
        ends = time_out(until) or "resumed"
        log.info(f"{email} is paused", action="paused", agent=email, until=ends, actor=actor, why=reason)
        await _written(self._phones.pause(email, until, actor, reason))

    async def resume(self, email: str, actor: str, reason: str) -> None:
        """Follow an agent again, and nothing but their calendar: what was skipped or extended is taken back."""
        log.info(f"{email} is followed again", action="resumed", agent=email, actor=actor, why=reason)
        self._webhooks.keep()
        resumed, back = self._phones.resume(email, actor, reason), self._wishes.take_back(email, actor, reason)
        await _written(asyncio.gather(resumed, back))

    async def skip(self, email: str, until: float | None, actor: str, reason: str) -> None:
        """Leave an agent available in the meeting that runs, else in the next one, or in all until `until`."""
        await _written(self._wishes.skip(email, until, actor, reason, zone=self._zone(email)))

    async def extend(self, email: str, length: float | None, until: float | None, actor: str, reason: str) -> None:
        """Keep an agent unavailable for longer than their calendar says."""
        await _written(self._wishes.extend(email, length, until, actor, reason, zone=self._zone(email)))

    async def pause_all(self, until: float | None, actor: str, reason: str) -> None:
        """Release everybody and leave them alone: the incident switch."""
        log.warning("Everybody is paused", action="paused", until=time_out(until) or "resumed", actor=actor, why=reason)
        await _written(self._phones.pause_all(until, actor, reason))

    async def resume_all(self, actor: str, reason: str) -> list[str]:
        """Follow everybody again; says who was paused. What was said of single agents' meetings before stays."""
        log.warning("Everybody is followed again", action="resumed", actor=actor, why=reason)
        self._webhooks.keep()
        return await _written(self._phones.resume_all(actor, reason))

    async def release_all(self, actor: str = "command line", reason: str = "") -> dict[str, Any]:
        """Put everybody back, leave them paused, and say who is still held after a while."""
        owed = self._phones.held()
        unwritten = ""
        try:
            await self._phones.pause_all(None, actor, reason)
        except OSError as error:
            # Whoever is held goes back all the same; only the pauses will not outlive this process.
            unwritten = error.strerror or "the ledger cannot be written"
        log.warning("Everybody is released and paused", action="release_all", owed=len(owed), actor=actor, why=reason)
        deadline = self._clock.monotonic() + RELEASE_SECONDS
        while (left := self._phones.held()) and self._clock.monotonic() < deadline:
            await self._clock.sleep(RELEASE_LOOK_SECONDS)
        if not left:
            await self._webhooks.remove()
        released = [email for email in owed if email not in left]
        return {"released": released, "still_held": left, **({"unwritten": unwritten} if unwritten else {})}

    async def forget(self, email: str, actor: str, reason: str) -> dict[str, Any]:
        """Erase all that is kept of somebody who is no agent any more; UserError as `Forgetting.forget`."""
        return await self._forgetting.forget(email, actor, reason)

    def alarms(self) -> list[dict[str, Any]]:
        """The alarms that are raised."""
        return self._alarms()

    def outage(self) -> dict[str, Any] | None:
        """The daemon's last absence, and what it meant; None if there was none."""
        outage = self._outages.outage
        return None if outage is None else outage_view(outage)

    async def explain(self, email: str, at: float | None) -> dict[str, Any]:
        """Why an agent is, was or will be set as they are at an instant, now if None; ServiceError without database."""
        return await self._explainer.explain(self._roster.agents[email], at)

    def health(self, *, of_loop: bool = False) -> Health:
        """Whether the loop turns and the database answers; `of_loop`: only the former."""
        reason = self._well(of_loop=of_loop)
        return Health(ok=not reason, reason=reason)

    def ready(self) -> tuple[bool, list[str]]:
        """Whether each calendar was tried, nothing is owed for long, and the clock is credible; else why not."""
        reasons = []
        if not self._syncer.began:
            reasons.append("it is starting: nobody's calendars are followed yet")
        untried = self._syncer.untried()
        if untried:
            reasons.append(f"{len(untried)} calendars have not been read yet")
        late = self._phones.owed_since(self._clock.now() - OWED_SECONDS)
        if late:
            reasons.append(f"updates are owed for over {OWED_SECONDS:.0f} s: {', '.join(sorted(late)[:10])}")
        if not self._clock.credible():
            reasons.append("the clock is not credible")
        return not reasons, reasons


async def _written(work: Awaitable[T]) -> T:
    try:
        return await work
    except OSError as error:
        raise UserError(
            f"done, but not for longer than this process lives: the ledger cannot be written ({error.strerror});"
            " free disk space, and ask again"
        ) from error
