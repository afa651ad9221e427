"""The requests to Aircall: one look, one update, or one list of everybody; and what their failures mean.

An answer changes the agent's stance and facts here; what is done next is decided in the next turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from calsyncd.clock import Clock
from calsyncd.core import dispatch, drift, plan
from calsyncd.core.budget import Budget, wait_after_429
from calsyncd.core.byhand import EXTENSION
from calsyncd.core.model import UNAVAILABLE, Observation, Setting, User
from calsyncd.core.plan import DOUBT_LIMIT_SECONDS, SETTLE_SECONDS, Decision, Doubt, Held, Look, Put, Sent, is_doubtful
from calsyncd.core.retry import backoff
from calsyncd.core.sync import rfc3339
from calsyncd.core.timeline import Timeline
from calsyncd.core.wording import status_word
from calsyncd.errors import (
    CREDENTIALS,
    NOT_INSTALLED,
    UNINSTALLED,
    UNREADABLE,
    USER_GONE,
    RateLimited,
    Refused,
    ServiceError,
    Unavailable,
)
from calsyncd.logs import get_logger
from calsyncd.metrics import Metrics
from calsyncd.phones import owed
from calsyncd.phones.agent import Agent
from calsyncd.phones.record import Record
from calsyncd.phones.roster import Roster

RETRY_CAP_SECONDS = 30.0
RETRY_AFTER_CAP_SECONDS = 120.0
REFUSED_RETRY_SECONDS = 5 * 60.0
REFUSED_RELEASE_RETRY_SECONDS = 60.0
FORBIDDEN = 403
STATE_ERROR = 405
GONE_RETRY_SECONDS = 2 * 60.0
MAX_PAGES = 400
CREDENTIALS_PROBE_SECONDS = 60.0
ACCESS_TROUBLES = {
    CREDENTIALS: "aircall_credentials",
    NOT_INSTALLED: NOT_INSTALLED,
    UNINSTALLED: UNINSTALLED,
    UNREADABLE: UNREADABLE,
}
"""What the whole company's trouble is, by the code of a request that was refused for its credentials."""

LEDGER_RETRY_SECONDS = 5.0
LEDGER_PATIENCE_SECONDS = 10.0
RELEASE_PATIENCE_SECONDS = 1.0
STALE_DECISION_SECONDS = LEDGER_PATIENCE_SECONDS + 1.0
"""Longer than the ledger is waited for: only a machine that slept, or a clock that was set, makes a decision that old,
or from the future, before it is sent."""

PASSING_FAILURES = 2

DOUBT_SECONDS = 5.0
"""A call that has just ended, or a change that is taken back, needs no second look."""

log = get_logger(__name__)


class Aircall(Protocol):
    """What is asked of Aircall."""

    async def page_of_users(self, page: int) -> tuple[list[User], bool]:
        """One page of users, and whether another follows."""
        ...

    async def look(self, user: int) -> Observation:
        """The user's setting."""
        ...

    async def live_state(self, user: int) -> str:
        """The user's live state."""
        ...

    async def update(self, user: int, setting: Setting) -> Setting:
        """Write a setting."""
        ...


class Calls:
    """Makes the requests. `credentials_bad` while Aircall refuses our credentials: then one request at a time probes.

    `pages` is how many the list of everybody last had, `shown` whom its last page has told something about. `untold` is
    called with when a look found that somebody had turned to or from `unavailable`, and no webhook had told of it,
    `regained` when our credentials are good again.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        aircall: Aircall,
        record: Record,
        roster: Roster,
        budget: Budget,
        metrics: Metrics,
        chance: Callable[[], float],
    ) -> None:
        self.pages = 1
        self.credentials_bad = False
        self.shown: set[str] = set()
        self.untold: Callable[[float], None] = lambda _: None
        self.regained: Callable[[], None] = lambda: None
        self._forbidden_update = False
        self._listed: dict[int, User] = {}
        self._page = 0
        self._clock = clock
        self._aircall = aircall
        self._record = record
        self._roster = roster
        self._budget = budget
        self._metrics = metrics
        self._chance = chance

    # -- looks -----------------------------------------------------------------------------------------------------

    async def look(self, agent: Agent, look: Look) -> None:
        """Read one agent's setting, and their live state if it is asked for."""
        assert agent.user is not None  # noqa: S101 - only bound agents are judged
        try:
            observation = await self._aircall.look(agent.user)
            if look.live and not self._budget.is_blocked(self._clock.now()):
                observation = replace(observation, live=await self._aircall.live_state(agent.user))
        except ServiceError as error:
            if not dispatch.is_spare(look):
                # No boundary waits for it, so it says nothing of how long one has been waiting.
                agent.facts = agent.facts.look_failed(self._clock.now())
            await self._failed(agent, error, "look")
            return
        self._succeeded(agent, by_update=False)
        observation = _arrived(observation, self._clock.now())
        if observation.at == agent.facts.acted_at:
            # It was sent after our last PUT had ended, within one tick of the clock.
            observation = replace(observation, at=math.nextafter(observation.at, math.inf))
        self._observed(agent, observation)

    async def list_page(self) -> bool:
        """Read the next page of the list of everybody, which shows many for the price of one request.

        True while another page follows, or the same one again after a 429. What a page shows counts at once; who is a
        user at all counts once the list was read whole. Raises ServiceError when it cannot be: the list then begins
        anew.
        """
        listed, self._listed = self._listed, {}
        self.shown = set()
        page = self._page + 1
        self._page = 0
        try:
            users, more = await self._aircall.page_of_users(page)
            fresh = {user.id: user for user in users if user.id not in listed}
            if page > MAX_PAGES or (users and not fresh):
                raise Unavailable("Aircall's list does not end", service="aircall", code="malformed")
        except RateLimited as error:
            self._company_failed(error)
            self._listed, self._page = listed, page - 1
            return True
        except ServiceError as error:
            # While nobody lets us in it is tried every minute, for weeks perhaps: the trouble was said once.
            say = log.debug if self.credentials_bad and error.code in ACCESS_TROUBLES else log.warning
            self._company_failed(error)
            say("Aircall's users could not be listed", action="sweep_failed", code=error.code, why=str(error))
            raise
        self._credentials_good()
        now = self._clock.now()
        listed |= {
            user.id: replace(user, observation=_arrived(user.observation, now) if user.observation else None)
            for user in fresh.values()
        }
        self._shown(listed)
        if more:
            self._listed, self._page = listed, page
            return True
        self.pages = page
        directory = {user.id: user.email for user in listed.values()}
        zones = {user.id: user.time_zone or "" for user in listed.values()}
        self._roster.list_users(directory, zones, {user.id: user.name for user in listed.values()})
        self._record.journal.listed(directory, zones)
        # Whoever was bound only now has been seen too.
        self._shown(listed)
        return False

    @property
    def listing(self) -> bool:
        """Whether some pages of the list were read, and others are to follow."""
        return self._page > 0

    def _shown(self, listed: Mapping[int, User]) -> None:
        for agent in self._roster.agents.values():
            user = listed.get(agent.user) if agent.user is not None else None
            observation = user.observation if user is not None else None
            newest = agent.facts.seen
            if observation is not None and not agent.busy and (newest is None or newest.at < observation.at):
                if agent.trouble is not None and agent.trouble.code == "aircall_user_gone":
                    # They are there after all: nothing is to wait for the next try.
                    self._succeeded(agent, by_update=False)
                self._observed(agent, observation, listed=True)
                self.shown.add(agent.email)

    def _observed(self, agent: Agent, observation: Observation, *, listed: bool = False) -> None:
        doubt = agent.facts.doubt
        self._compare(agent, observation, listed=listed or (doubt is not None and doubt.listed))
        self._note_change(agent, observation, listed=listed)
        agent.facts = agent.facts.looked(observation)
        if agent.user is not None:
            self._record.journal.observed(agent.user, observation)

    def _compare(self, agent: Agent, seen: Observation, *, listed: bool) -> None:
        """Tell what the list shows otherwise than we believe, and take up a debt that was left behind."""
        now = self._clock.now()
        wanted = agent.timeline is not None and agent.timeline.span_at(now) is not None and agent.paused_until is None
        left = agent.left if agent.left is not None and agent.left.user == agent.user else None
        kind = drift.found(agent.stance, agent.facts, left, agent.status, seen, wanted=wanted)
        if kind is None or (agent.drift is not None and agent.drift.kind != kind):
            agent.drift = None
        if (listed or kind == "hold_left") and kind is not None and agent.drift is None:
            self._metrics.drift(kind)
            if kind != "changed":
                agent.drift = drift.Drift(kind, now)
                self._say_drift(agent, kind, seen.status)
        if kind == "hold_left" and left is not None:
            agent.stance = drift.taken_up(left, seen)
            agent.unwritten = True
        if kind is not None or seen.status != UNAVAILABLE:
            agent.left = None

    def _say_drift(self, agent: Agent, kind: drift.Kind, shown: str) -> None:
        sentence = (
            f"{agent.email} is still unavailable by calsyncd's doing, and no debt was written down: it is put back"
            if kind == "hold_left"
            else f"{agent.email} should be unavailable and is {status_word(shown)}: it is looked at again"
        )
        log.warning(sentence, action="drift_found", agent=agent.email, kind=kind)
        self._record.history(agent, outcome="drift", why=sentence, from_=shown)

    def _note_change(self, agent: Agent, seen: Observation, *, listed: bool) -> None:
        """Write down that somebody else changed the setting, once that is sure.

        A read may lag behind an update, and an `unavailable` that is not ours may be a call's: then it is looked at
        again.
        """
        known, facts, stance = agent.status, agent.facts, agent.stance
        if seen.status == known:
            agent.status_at = max(seen.at, agent.status_at or seen.at)
            return
        if seen.as_of < facts.acted_at + SETTLE_SECONDS or is_doubtful(seen):
            return
        turned = facts.known is not None and facts.known.status != seen.status
        untold = facts.doubt.untold if facts.doubt is not None else turned and facts.hints.open is None
        if is_doubtful(seen) is None and not isinstance(stance, Held):
            if facts.doubt is None:
                # One who was in a call a while ago may be still.
                call_over = facts.doubtful_since + DOUBT_LIMIT_SECONDS if facts.doubtful_since is not None else 0.0
                due = max(seen.as_of + DOUBT_SECONDS, call_over)
                agent.facts = replace(facts, doubt=Doubt(due, listed, untold))
            return
        after, agent.status, agent.status_at = agent.status_at, seen.status, seen.at
        if known is None:
            why, actor = "seen for the first time", "aircall"
        elif isinstance(stance, Held) and stance.lost_at is not None and seen.status in stance.statuses:
            why, actor = "an update of ours whose answer was lost", "calsyncd"
        else:
            why, actor = "changed in Aircall", "aircall"
            log.info(
                f"{agent.email} is {status_word(seen.status)} now: that was not calsyncd's doing",
                action="changed_in_aircall",
                agent=agent.email,
                was=known,
            )
            if untold and UNAVAILABLE in (known, seen.status):
                self.untold(seen.as_of)
        self._record.history(agent, outcome="seen", why=why, from_=known, to=seen.status, actor=actor, after=after)

    # -- updates ---------------------------------------------------------------------------------------------------

    async def update(self, agent: Agent, decision: Decision) -> None:
        """Write the stance down, send the PUT, and write down what became of it."""
        put = decision.action
        assert isinstance(put, Put)  # noqa: S101 - the caller tells looks from updates
        assert agent.user is not None  # noqa: S101 - only bound agents are judged
        sent = Sent(agent.stance, decision.stance, put)
        agent.stance = sent.written
        decided_at = self._clock.now()
        patience = RELEASE_PATIENCE_SECONDS if put.releases else LEDGER_PATIENCE_SECONDS
        if not await self._written(agent, patience) and not put.releases:
            # Without a debt on disk nobody is made unreachable; the way back goes all the same.
            agent.stance = sent.before
            agent.facts = replace(agent.facts, retry_at=self._clock.now() + LEDGER_RETRY_SECONDS)
            self._roster.trouble(agent, "ledger")
            return
        now = self._clock.now()
        outdated = abs(now - decided_at) > STALE_DECISION_SECONDS
        if outdated or self._budget.is_blocked(now):
            # While it was written down the machine slept, or a 429 came for another: it is decided anew.
            agent.stance, agent.facts = plan.not_landed(sent, agent.facts)
            if outdated:
                # Nor is what was seen before to be relied on, for a way back as little as for a hold.
                agent.stance, agent.facts = plan.stepped(agent.stance, agent.facts, now)
            await self._record.stance(agent, RELEASE_PATIENCE_SECONDS)
            return
        agent.putting, agent.sent = True, sent
        sent_at = self._clock.now()
        try:
            shown = await self._aircall.update(agent.user, put.setting)
        except ServiceError as error:
            sent = self._ended(agent, sent)
            await self._update_failed(agent, sent, error, sent_at)
            return
        sent = self._ended(agent, sent)
        now = self._clock.now()
        agent.failed_updates = 0
        agent.stance, agent.facts = plan.answered(sent, shown, agent.facts, now)
        if agent.facts.mismatches:
            self._not_taken(agent, put, shown)
        else:
            self._succeeded(agent, by_update=True)
            self._done(agent, sent, now, sent_at)
        await self._record.stance(agent, RELEASE_PATIENCE_SECONDS)

    @staticmethod
    def _ended(agent: Agent, sent: Sent) -> Sent:
        """The request is over: what was sent, timed anew where the clock jumped meanwhile."""
        sent, agent.sent, agent.putting = agent.sent or sent, None, False
        return sent

    async def _written(self, agent: Agent, patience: float) -> bool:
        """Whether the agent's stance is on disk; often it was put there before the boundary came."""
        foreseen = agent.foreseen
        known = foreseen is not None and foreseen.on_disk and not foreseen.over
        if foreseen is not None and known and foreseen.user == agent.user and foreseen.is_for(agent.stance):
            agent.foreseen = None
            return True
        return await self._record.stance(agent, patience)

    def _not_taken(self, agent: Agent, put: Put, shown: Setting) -> None:
        self._metrics.update("mismatch")
        log.warning(
            f"Aircall accepted {status_word(put.setting.availability_status)} for {agent.email}"
            f" and shows {status_word(shown.availability_status)}",
            action="update_not_taken",
            agent=agent.email,
        )

    def _done(self, agent: Agent, sent: Sent, now: float, sent_at: float) -> None:
        """Say what an update did: to the log, the metrics and the history."""
        put, held = sent.put, sent.written
        assert isinstance(held, Held)  # noqa: S101 - every PUT serves a hold
        event = held.event
        early, late = max(0.0, put.due - now), max(0.0, now - max(put.due, agent.known_at))
        self._metrics.update("done")
        if put.enforces:
            self._metrics.enforced()
        else:
            self._metrics.boundary_lateness(late)
        owed.served(agent, put, now, self._metrics)
        self._metrics.wrong_state("ringing" if put.releases else "unreachable", early)
        if put.releases:
            action, from_, why = "released", held.put, _why_released(agent, put, held, now)
            sentence = f"{agent.email} is back to {status_word(put.setting.availability_status)}"
        elif put.enforces:
            changed = Setting(agent.status) if agent.status is not None else held.back
            action, from_, why = (
                "enforced",
                changed,
                "changed by hand in a meeting, which the settings do not let stand",
            )
            sentence = (
                f"{agent.email} changed the setting to {status_word(changed.availability_status)} in a meeting:"
                f" unavailable again until {rfc3339(held.until)}"
            )
        else:
            action, from_ = "held", held.back
            event = EXTENSION if _is_by_extension(agent, sent, now) else held.event
            why = "extended by hand" if event == EXTENSION else "a meeting"
            sentence = f"{agent.email} is unavailable until {rfc3339(held.until)}"
        agent.status, agent.left, agent.drift = put.setting.availability_status, None, None
        agent.status_at = now
        late_ms = round((late - early) * 1000)
        log.info(sentence, action=action, agent=agent.email, event_id=held.event, late_ms=late_ms)
        self._record.history(
            agent,
            outcome="done",
            why=why,
            from_=from_.availability_status,
            to=put.setting.availability_status,
            event=event,
            late_ms=late_ms,
            after=sent_at,
            until=max(put.due, now) if put.releases else held.until,
            substatus=put.setting.substatus,
        )

    def _not_done(self, agent: Agent, sent: Sent, error: ServiceError, sent_at: float) -> None:
        """Write down that an update may have been made, or was not; of several in a row that were not, the first."""
        put, held = sent.put, sent.written
        assert isinstance(held, Held)  # noqa: S101 - every PUT serves a hold
        may_land = isinstance(error, Unavailable) and error.landed
        if not may_land and (agent.failures or isinstance(error, RateLimited) or error.code in ACCESS_TROUBLES):
            return
        self._record.history(
            agent,
            outcome="lost" if may_land else "failed",
            why="the answer to an update was lost" if may_land else f"Aircall did not take an update: {error}",
            from_=held.put.availability_status if put.releases else held.back.availability_status,
            to=put.setting.availability_status,
            event=held.event,
            after=sent_at,
            until=None if put.releases else held.until,
            substatus=put.setting.substatus,
        )

    async def _update_failed(self, agent: Agent, sent: Sent, error: ServiceError, sent_at: float) -> None:
        self._not_done(agent, sent, error, sent_at)
        if isinstance(error, Unavailable) and error.landed:
            self._metrics.update("unknown")
            agent.stance, agent.facts = plan.lost(sent, agent.facts, self._clock.now())
        else:
            self._metrics.update("refused" if isinstance(error, Refused) else "unavailable")
            agent.stance, agent.facts = plan.not_landed(sent, agent.facts)
        await self._failed(agent, error, "update")
        await self._record.stance(agent, RELEASE_PATIENCE_SECONDS)

    # -- failures --------------------------------------------------------------------------------------------------

    async def _failed(self, agent: Agent, error: ServiceError, doing: str) -> None:
        """Decide when this agent is tried again, and whose trouble it is."""
        if not self._concerns_updates_alone(error, doing) and self._company_failed(error):
            return
        if doing == "update":
            failures = agent.failed_updates = agent.failed_updates + 1
        else:
            failures = agent.failures = agent.failures + 1
        if isinstance(error, Refused) and error.code == USER_GONE:
            # One 404 closes no debt: only the list of everybody can say that nobody is left to owe it to.
            wait = GONE_RETRY_SECONDS
            self._roster.trouble(agent, "aircall_user_gone")
        elif isinstance(error, Refused):
            wait = REFUSED_RELEASE_RETRY_SECONDS if isinstance(agent.stance, Held) else REFUSED_RETRY_SECONDS
            passes = doing == "update" and error.status == STATE_ERROR
            if passes:
                # The user's state refuses it, such as a call, and that passes.
                wait = backoff(failures, self._chance(), cap=REFUSED_RELEASE_RETRY_SECONDS)
            if not passes or failures > PASSING_FAILURES:
                self._roster.trouble(agent, "update_refused", str(error))
        else:
            retry_after = error.retry_after if isinstance(error, Unavailable) else None
            wait = backoff(failures, self._chance(), cap=RETRY_CAP_SECONDS)
            wait = min(max(wait, retry_after or 0.0), RETRY_AFTER_CAP_SECONDS)
            if failures > PASSING_FAILURES:
                self._roster.trouble(agent, error.code, str(error))
        agent.facts = replace(agent.facts, retry_at=self._clock.now() + wait)
        log.warning(
            f"Aircall did not take the {doing} for {agent.email}",
            action=f"{doing}_failed",
            agent=agent.email,
            code=error.code,
            why=str(error),
            retry_seconds=round(wait, 1),
        )

    def _company_failed(self, error: ServiceError) -> bool:
        """Whether the failure is the whole company's: then the budget waits, not the agent."""
        now = self._clock.now()
        if isinstance(error, RateLimited):
            wait = wait_after_429(error.retry_after, error.reset, now, self._chance())
            self._budget.limited(now, wait)
            log.warning("Aircall's requests are used up", action="rate_limited", retry_seconds=round(wait, 1))
            return True
        if error.code in ACCESS_TROUBLES:
            self._budget.barred(now + CREDENTIALS_PROBE_SECONDS)
            self.doubt_credentials(error.code)
            return True
        return False

    def doubt_credentials(self, code: str) -> None:
        """Nothing begins until a request has shown that Aircall takes our credentials; `code` says what is wrong."""
        self.credentials_bad = True
        self._roster.company(ACCESS_TROUBLES[code], on=True)

    def _concerns_updates_alone(self, error: ServiceError, doing: str) -> bool:
        """Whether a 403 tells that our credentials are good for reads and not for this update.

        They are asked for the company once: an update that is refused with 403 again, after a read was answered, is no
        reason to stop the reads.
        """
        forbidden = doing == "update" and error.code in ACCESS_TROUBLES and error.status == FORBIDDEN
        known, self._forbidden_update = forbidden and self._forbidden_update, forbidden
        return known and not self.credentials_bad

    def _succeeded(self, agent: Agent, *, by_update: bool) -> None:
        self._credentials_good()
        self._forbidden_update = self._forbidden_update and not by_update
        agent.failures = 0
        agent.facts = replace(agent.facts, retry_at=0.0)
        self._roster.trouble_over(agent, by_update=by_update)

    def _credentials_good(self) -> None:
        regained, self.credentials_bad = self.credentials_bad, False
        for code in ACCESS_TROUBLES.values():
            self._roster.company(code, on=False)
        if regained:
            self.regained()


def _is_by_extension(agent: Agent, sent: Sent, now: float) -> bool:
    """Whether a hold begins because of an extension: a meeting that ran before it had not taken the agent off."""
    held = sent.written
    if isinstance(sent.before, Held) or not isinstance(held, Held) or agent.timeline is None:
        return False
    extension = agent.timeline.extension_at(now)
    if held.event == EXTENSION or extension is None:
        return held.event == EXTENSION
    return held.effective < extension.start <= agent.known_at


def _why_released(agent: Agent, put: Put, held: Held, now: float) -> str:
    if not agent.configured:
        return "no longer in the settings"
    if agent.paused_until is not None:
        return "paused"
    timeline = agent.timeline or Timeline()
    if timeline.is_skipped(now):
        return "skipped by hand"
    ends_early = put.due < held.until
    if held.event == EXTENSION:
        return "the extension was taken back" if ends_early else "the extension is over"
    if not ends_early:
        return "the meeting is over"
    meeting = next((one for one in timeline.padded if one.event == held.event), None)
    if meeting is None or meeting.event in timeline.outside:
        return "the meeting was cancelled or does not count any more"
    return "the calendar says an earlier end now" if meeting.end <= put.due else "the meeting was moved"


def _arrived(observation: Observation, now: float) -> Observation:
    """An observation whose answer has just come; a clock set back meanwhile must not leave it in the future."""
    return replace(observation, at=min(observation.at, now), answered_at=now)
