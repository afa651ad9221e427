"""What to do about one agent: the stance table.

Rules of this file: it compares what is wanted with where we stand and what was seen, and says what to record,
what to send and when to look again. It does not know how a request is made, how many are allowed, or what
time it is.

Theory. A stance is a debt book. `Held` is written down, with `lost_at` set as if the answer were lost already,
*before* its PUT leaves; the answer takes `lost_at` back. So a crash at any instant leaves the state in which
the PUT may or may not have landed, and only looking settles that. A PUT without an answer may still land: a
hold that has one closes only after a look 5 s and a look 60 s after it.

"Ours" means that the `availability_status` is the one that we put. The sub-status is never compared: what is
read back differs from what was written.

A read may lag behind an update, and an update of somebody in a call may wait for the call's end. So for five seconds
after an update nothing that is read is the agent's own choice; whoever is seen as before a hold is believed at the
second look, five seconds after the first and with a live state that is no call; and a hold that was accepted ends with
its way back even then, which changes nothing for whoever came back by hand.

Where an agent's own change is not to stand (`Orders.enforce`), it is put again once a second look has shown it, at most
once in `ENFORCE_SECONDS`, and never in a call. What is owed stays what was there before the hold.

A hint (a webhook told of a change) chooses nothing: it makes what was seen stale, so that no update relies on it, and
asks for a look that nobody waits for, where no other is due.

An `unavailable` that is not ours is somebody's choice only where the live state says that no call is behind it. Where
it was not asked for, nobody waits for the look that does.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from calsyncd.core.byhand import EXTENSION, ByHand
from calsyncd.core.hints import Hints
from calsyncd.core.model import AVAILABLE, CUSTOM, UNAVAILABLE, Observation, Setting, Span
from calsyncd.core.timeline import Timeline

LOOK_AHEAD_SECONDS = 2.0
FRESH_SECONDS = 5.0
SETTLE_SECONDS = 5.0
LOST_FIRST_LOOK_SECONDS = 5.0
LOST_LAST_LOOK_SECONDS = 60.0
BLIND_RELEASE_SECONDS = 60.0
BACK_AGE_SECONDS = 15 * 60.0
DOUBT_LOOK_SECONDS = 30.0
DOUBT_LIMIT_SECONDS = 10 * 60.0
CALL_LOOK_SECONDS = 2 * 60.0
EARLIEST_SECONDS = 5 * 60.0
ENFORCE_SECONDS = 60.0
MISMATCH_LIMIT = 2
MISMATCH_SLOW_SECONDS = 5 * 60.0

LIVE_UNKNOWN = "unknown"
"""A live state that was asked for and could not be read: as doubtful as a call."""

CALL_LIVE_STATES = frozenset({"in_call", "after_call_work", "ringing"})
"""In a call a read may be wrong, and an update may wait for its end."""

DOUBTFUL_LIVE_STATES = CALL_LIVE_STATES | {"available", LIVE_UNKNOWN}
"""Live states that an agent who chose `unavailable` does not have: they would show `do_not_disturb` or `offline`."""

WRITABLE_SUBSTATUSES = frozenset({"out_for_lunch", "on_a_break", "in_training", "doing_back_office", "other"})


@dataclass(frozen=True, slots=True)
class Free:
    """We owe nothing."""


@dataclass(frozen=True, slots=True)
class Held:
    """We put `put` and owe `back`.

    `effective` is the boundary that the hold serves, `until` the end that we expect; `confirmed_at` is when a
    200 or a look showed that the PUT landed; `lost_at` is when a PUT went out whose answer is missing.
    """

    put: Setting
    back: Setting
    since: float
    effective: float
    until: float
    event: str | None = None
    confirmed_at: float | None = None
    lost_at: float | None = None

    @property
    def statuses(self) -> tuple[str, str]:
        """The two that our own updates of this hold write."""
        return self.put.availability_status, self.back.availability_status


Why = Literal["override", "left_alone", "early_end"]


@dataclass(frozen=True, slots=True)
class StandingBack:
    """We leave the agent alone until `until`.

    They changed the setting (`override`) or had it so (`left_alone`), or they came back a little before the end of
    their meeting, because the requests of a crowded minute do not suffice (`early_end`).
    `unextended`: where an extension by hand covered the change, the end without it.
    """

    why: Why
    since: float
    until: float
    unextended: float | None = None


Stance = Free | Held | StandingBack

FREE = Free()


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger holds of one Aircall user."""

    user: int
    email: str
    stance: Stance = FREE
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Pause:
    """That an agent is paused until `until` (infinite: until resumed), or no more (None)."""

    email: str
    until: float | None
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Said:
    """What was said by hand of an agent's meetings: all of it, in the place of what was said before."""

    email: str
    by_hand: ByHand
    at: float = 0.0


Line = Entry | Pause | Said
"""What the ledger holds, line by line."""


Cause = Literal["boundary", "hint", "several", "crowd", "key", "sweep", "joined", "overdue", "presence"]


@dataclass(frozen=True, slots=True)
class Look:
    """Read an agent's setting, and the live state too if `live`; or a page of everybody's.

    `deadline` is by when it is wanted: what waits for it longest goes first. `why` says whether anything does:

    - `boundary`: an update at the deadline needs to know; `hint`: a webhook told of something, and nobody waits.
    - Of everybody: `several` need a look, a `crowd` is ahead, or it shows whether the `key` is good again: those are
      waited for. A `sweep`, or somebody `joined` or left: nobody waits, until past the deadline it is `overdue`. Nor
      does anybody for `presence`: who is logged in.
    """

    deadline: float
    why: Cause = "boundary"
    live: bool = False


@dataclass(frozen=True, slots=True)
class Put:
    """Write `setting`. `releases` says that it is the way back; `due` is the boundary that it serves.

    `enforces` says that it undoes the agent's own change, which was first seen at `due`.
    """

    setting: Setting
    due: float
    releases: bool
    enforces: bool = False


Action = Look | Put


def due_of(action: Action) -> float:
    """Since when, or by when, it is wanted."""
    return action.deadline if isinstance(action, Look) else action.due


@dataclass(frozen=True, slots=True)
class Doubt:
    """That a look showed an `unavailable` which may be a call's: from `due` on one with the live state is wanted.

    `listed` says that the list of everybody showed it, `untold` that no message had told of it.
    """

    due: float
    listed: bool
    untold: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What this process remembers of one agent beside the stance; all of it can be learned again by looking.

    `acted_at` is when our last PUT ended: what was seen by then says nothing about its effect.
    `retry_at` holds every request for this agent back until then. `mismatches` counts the 200s in a row that showed
    another status than `asked`. `looks_fail_since` is the first of the looks in a row that failed, `back_since` the
    first of those in a row that showed the agent as not unavailable since our last PUT. `enforced_at` is when an update
    that undid the agent's own change ended last, `closed_at` when a webhook says that the agent turned `unavailable`
    last, by Aircall's clock. `doubt` is an `unavailable` that nothing has shown to be somebody's choice yet.
    """

    seen: Observation | None = None
    undoubted: Observation | None = None
    doubtful_since: float | None = None
    acted_at: float = 0.0
    retry_at: float = 0.0
    mismatches: int = 0
    asked: str | None = None
    looks_fail_since: float | None = None
    back_since: float | None = None
    enforced_at: float | None = None
    closed_at: float = 0.0
    hints: Hints = field(default_factory=Hints)
    doubt: Doubt | None = None

    @property
    def known(self) -> Observation | None:
        """What was seen last, or shown by our last PUT's answer; None while that PUT's answer is missing."""
        return self.seen if self.seen is not None and self.seen.at >= self.acted_at else None

    @property
    def hint_due(self) -> float | None:
        """From when on a hint wants a look: not while a read may not show our own PUT yet. None where none does.

        An `unavailable` that a webhook says to be later than our PUT is looked at without that wait.
        """
        due = self.hints.due
        if due is None or self.closed_at > self.acted_at:
            return due
        return max(due, self.acted_at + SETTLE_SECONDS)

    def is_stale(self, now: float) -> bool:
        """Whether what was seen is not to be relied on, because a hint's look is due."""
        return self.hint_due is not None and now >= self.hint_due

    def hinted(self, status: str | None, now: float, *, putting: bool, at: float | None = None) -> Facts:
        """These facts after a webhook named `status`, or none, as of `at`; while we are `putting`, nothing is known."""
        closed = at is not None and status == UNAVAILABLE and self.closed_at < at <= now
        hints = self.hints.told(status, None if putting else self.known, now)
        return replace(self, hints=hints, closed_at=at if closed and at is not None else self.closed_at)

    @property
    def way_back(self) -> Setting | None:
        """What we put back a moment ago, where a look shows the hold before it: a read may lag behind an update.

        Not where a webhook says that the agent turned unavailable since.
        """
        if self.seen is None or self.asked not in (AVAILABLE, CUSTOM) or self.mismatches:
            return None
        if self.closed_at > self.acted_at:
            return None
        unseen = self.seen.status == UNAVAILABLE and self.seen.at < self.acted_at + SETTLE_SECONDS
        return Setting(self.asked) if unseen else None

    def is_looked_at(self, orders: Orders) -> bool:
        """Whether a look was answered since our last PUT; where looks may be older than a moment, its answer is one."""
        if self.seen is None:
            return False
        answer = orders.fresh_seconds > FRESH_SECONDS and not self.mismatches and self.asked == self.seen.status
        return self.seen.at > self.acted_at or (answer and self.seen.at == self.acted_at)

    def may_differ(self, setting: Setting, now: float) -> bool:
        """Whether our last PUT asked for something else than `setting`, and its answer did not show it just now."""
        recent = self.mismatches > 0 and now < self.acted_at + SETTLE_SECONDS
        return recent and self.asked != setting.availability_status

    def looked(self, observation: Observation) -> Facts:
        """These facts after a look that was answered; an older look than the newest changes nothing."""
        if self.seen is not None and observation.at < self.seen.at:
            return self
        doubtful = is_doubtful(observation)
        since = self.doubtful_since
        return replace(
            self,
            seen=observation,
            undoubted=self.undoubted if observation.status == UNAVAILABLE and doubtful is not False else observation,
            doubtful_since=None if doubtful is False else since or (observation.at if doubtful else None),
            looks_fail_since=None,
            back_since=self._back_since(observation),
            hints=self.hints.looked(self.known, observation),
            doubt=self.doubt if doubtful is None else None,
        )

    def _back_since(self, observation: Observation) -> float | None:
        if observation.status == UNAVAILABLE or observation.at <= self.acted_at:
            return None
        earlier = self.back_since
        return observation.at if earlier is None or earlier <= self.acted_at else earlier

    def look_failed(self, now: float) -> Facts:
        """These facts after a look that nobody answered."""
        return replace(self, looks_fail_since=self.looks_fail_since or now)


@dataclass(frozen=True, slots=True)
class Orders:
    """What the company wants of this agent now.

    `timeline` is None while no calendar is known: then nothing begins. While it is not `complete` (a calendar is
    unread, or was read too long ago) a hold runs to its known end at least. `may_begin` false lets no hold
    begin. `fresh_seconds` is how old a look may be that a PUT relies on: more in a crowd. `early` is the next boundary
    if it is to be served now already. `enforce` lets an agent's own change in a meeting not stand.
    """

    timeline: Timeline | None
    complete: bool = True
    may_begin: bool = True
    paused_until: float | None = None
    fresh_seconds: float = FRESH_SECONDS
    early: float | None = None
    enforce: bool = False

    def asked_at(self, now: float) -> float:
        """The instant at which it is asked what is wanted: now, or the boundary that is served early."""
        return now if self.early is None else max(now, self.early)

    def paused(self, now: float) -> bool:
        """Whether the agent is paused at `now`."""
        return self.paused_until is not None and now < self.paused_until

    def outlasts(self, held: Held, now: float) -> bool:
        """Whether a hold for which nothing is known to be wanted at `now` goes on: what is unread may want it.

        Not when a person has ended it: by a pause, by a skip, or by taking back an extension.
        """
        if self.complete or self.paused(now) or now >= held.until or held.event == EXTENSION:
            return False
        return self.timeline is None or not self.timeline.is_skipped(now)


@dataclass(frozen=True, slots=True)
class Decision:
    """The stance to record *before* `action` is done, what to do, and when to decide again at the latest.

    `owes` is the boundary that is due and not served: by what is to be done, or by what has to wait. `change` is the
    next boundary.
    """

    stance: Stance
    action: Action | None = None
    again: float | None = None
    note: str | None = None
    owes: float | None = None
    change: float | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """A PUT that was decided: the stance before it, the stance written down for it, and the PUT."""

    before: Stance
    written: Stance
    put: Put


def answered(sent: Sent, shown: Setting, facts: Facts, now: float) -> tuple[Stance, Facts]:
    """The stance after a 200 whose body showed `shown`, which settles what is known but is no look."""
    asked = sent.put.setting.availability_status
    taken = shown.availability_status == asked
    before = facts.mismatches if facts.asked == asked else 0
    facts = replace(
        facts,
        seen=Observation(shown, now),
        acted_at=now,
        asked=asked,
        mismatches=0 if taken else before + 1,
        enforced_at=now if sent.put.enforces else facts.enforced_at,
        hints=facts.hints.answered(shown.availability_status),
        doubt=None,
    )
    before_lost = sent.before.lost_at if isinstance(sent.before, Held) else None
    if not isinstance(sent.written, Held):
        return sent.written, facts
    if sent.put.releases:
        if taken and before_lost is None:
            return StandingBack("early_end", now, sent.put.due) if sent.put.due > now else FREE, facts
        return replace(sent.written, lost_at=before_lost), facts
    return replace(sent.written, lost_at=before_lost, confirmed_at=now if taken else None), facts


def not_landed(sent: Sent, facts: Facts) -> tuple[Stance, Facts]:
    """The stance after an answer that says that the PUT had no effect: as before it."""
    return sent.before, facts


def lost(sent: Sent, facts: Facts, now: float) -> tuple[Stance, Facts]:
    """The stance after a PUT without an answer: it may have landed, and it may land yet."""
    stance = replace(sent.written, lost_at=now) if isinstance(sent.written, Held) else sent.written
    enforced_at = now if sent.put.enforces else facts.enforced_at
    return stance, replace(facts, acted_at=now, enforced_at=enforced_at, doubt=None)


def restored(stance: Stance, now: float) -> Stance:
    """A stance read from the ledger: a PUT that was under way may have left as late as just now."""
    return _timed_anew(stance, now)


def stepped(stance: Stance, facts: Facts, now: float) -> tuple[Stance, Facts]:
    """The clock jumped: what was timed by it is forgotten, and looked at again."""
    return _timed_anew(stance, now), replace(Facts(), mismatches=facts.mismatches, asked=facts.asked)


def _timed_anew(stance: Stance, now: float) -> Stance:
    """A stance whose times may be another clock's: nothing in it was later than now, and a lost PUT was just now."""
    if not isinstance(stance, Held):
        return stance
    return replace(
        stance,
        confirmed_at=None if stance.confirmed_at is None else min(stance.confirmed_at, now),
        lost_at=None if stance.lost_at is None else now,
    )


def under_way_at_step(sent: Sent, now: float) -> Sent:
    """A PUT that was under way when the clock jumped: what it leaves behind is timed anew like the stance."""
    return replace(sent, before=_timed_anew(sent.before, now), written=_timed_anew(sent.written, now))


def is_doubtful(observation: Observation) -> bool | None:
    """Whether an observed `unavailable` may be a call's doing; None when the live state was not asked for."""
    if observation.status != UNAVAILABLE:
        return False
    if observation.live is None:
        return None
    return observation.live in DOUBTFUL_LIVE_STATES


def decide(stance: Stance, orders: Orders, facts: Facts, now: float) -> Decision:
    """What to do about the agent at `now`; never later than at the next boundary it is asked again."""
    decision = _decide(stance, orders, facts, now)
    change = _next_change(orders, now)
    again = _earliest(decision.again, change)
    doubt_due = facts.doubt.due if facts.doubt is not None and not isinstance(stance, Held) else None
    for wanted, live in ((facts.hint_due, False), (doubt_due, True)):
        if wanted is None:
            continue
        due = max(wanted, facts.retry_at)
        if decision.action is None and now >= due:
            decision = replace(decision, action=Look(due, "hint", live=live))
        again = _earliest(again, due, after=now)
    return replace(decision, again=again, change=change)


def _decide(stance: Stance, orders: Orders, facts: Facts, now: float) -> Decision:
    if isinstance(stance, StandingBack):
        stance = _unextended(stance, orders)
        if now < stance.until and not _is_moot(stance, orders, now):
            return Decision(stance, again=stance.until)
        stance = FREE
    decision = _free(orders, facts, now) if isinstance(stance, Free) else _held(stance, orders, facts, now)
    due = due_of(decision.action) if decision.action is not None else decision.owes
    owes = due if due is not None and due <= now else None
    if decision.action is not None and now < facts.retry_at:
        return Decision(stance, again=facts.retry_at, owes=owes)
    return replace(decision, owes=owes)


def _unextended(stance: StandingBack, orders: Orders) -> StandingBack:
    """The same with the end that it has once the extension by hand that covered the change is taken back."""
    timeline, end = orders.timeline, stance.unextended
    if end is None or timeline is None or any(one.event == EXTENSION for one in timeline.padded):
        return stance
    # The bridge behind the meetings that ran shows only without the extension.
    end = max(end, timeline.running_until(stance.since) or end)
    return replace(stance, until=min(stance.until, end), unextended=None)


def _is_moot(stance: StandingBack, orders: Orders, now: float) -> bool:
    """Whether the calendar has changed so that there is nothing to stand back from, or a later word counts."""
    if orders.timeline is None:
        return False
    if stance.why == "override":
        extension = orders.timeline.extension_at(now)
        return extension is not None and extension.start > stance.since
    if stance.why == "early_end":
        return orders.timeline.span_at(stance.until) is not None
    return stance.why == "left_alone" and orders.timeline.span_at(now) is None


def _free(orders: Orders, facts: Facts, now: float) -> Decision:
    if orders.paused(now):
        return Decision(FREE, again=orders.paused_until)
    timeline = orders.timeline
    if timeline is None or not orders.may_begin:
        return Decision(FREE)
    at = orders.asked_at(now)
    span = timeline.span_at(at)
    if span is None:
        start = timeline.next_start(now)
        if start is None:
            return Decision(FREE)
        if now < start - LOOK_AHEAD_SECONDS:
            return Decision(FREE, again=start - LOOK_AHEAD_SECONDS)
        look = _look_to_begin(orders, facts, now, start)
        return Decision(FREE, look, again=start)
    look = _look_to_begin(orders, facts, now, span.start)
    if look is not None:
        return Decision(FREE, look)
    seen = facts.seen
    assert seen is not None  # noqa: S101 - _look_to_begin asks for a look where there is none
    until = timeline.stretch_end(at) or span.end
    if facts.way_back is not None:
        return _begin(span, facts.way_back, until, now)
    if seen.status in (AVAILABLE, CUSTOM):
        return _begin(span, Setting(seen.status), until, now)
    if seen.status == UNAVAILABLE and is_doubtful(seen):
        back = facts.undoubted
        if back is not None and now - back.at <= BACK_AGE_SECONDS:
            if back.status in (AVAILABLE, CUSTOM):
                return _begin(span, Setting(back.status), until, now)
            return Decision(StandingBack("left_alone", now, until), again=until)
        # A call that began before the meeting may end in it like any other.
        since = max(facts.doubtful_since or seen.at, span.start - LOOK_AHEAD_SECONDS)
        if now < since + DOUBT_LIMIT_SECONDS:
            return Decision(FREE, again=min(seen.at + DOUBT_LOOK_SECONDS, until), note="in_call")
        return Decision(StandingBack("left_alone", now, until), again=until, note="call_without_end")
    return Decision(StandingBack("left_alone", now, until), again=until)


def _look_to_begin(orders: Orders, facts: Facts, now: float, due: float) -> Look | None:
    """The look that a hold needs before it may begin, or None when what was seen will do."""
    seen = facts.seen
    if seen is None or not facts.is_looked_at(orders):
        return Look(due)
    if facts.is_stale(now):
        return Look(due)
    doubtful = is_doubtful(seen)
    stale = now - seen.as_of > orders.fresh_seconds
    if facts.way_back is not None and not stale:
        return None
    if doubtful:
        return Look(due, live=True) if now - seen.at >= DOUBT_LOOK_SECONDS else None
    if stale:
        return Look(due)
    return Look(due, live=True) if doubtful is None else None


def _begin(span: Span, back: Setting, until: float, now: float) -> Decision:
    held = Held(
        put=span.setting, back=back, since=now, effective=span.start, until=until, event=span.event, lost_at=now
    )
    return Decision(held, Put(span.setting, max(span.start, 0.0), releases=False))


@dataclass(frozen=True, slots=True)
class _Case:
    """One held agent at `now`. `seen` is what a look showed since our last PUT ended, if any."""

    held: Held
    orders: Orders
    facts: Facts
    now: float
    seen: Observation | None

    @property
    def ours(self) -> bool:
        return self.seen is not None and self.seen.status == self.held.put.availability_status

    @property
    def fresh(self) -> bool:
        if self.seen is None or self.facts.is_stale(self.now):
            return False
        return self.now - self.seen.as_of <= self.orders.fresh_seconds

    def not_taken(self, setting: Setting) -> bool:
        """Whether Aircall has said yes to `setting` and done nothing too often to ask again soon."""
        facts = self.facts
        in_vain = facts.asked == setting.availability_status and facts.mismatches > MISMATCH_LIMIT
        return in_vain and self.now < facts.acted_at + MISMATCH_SLOW_SECONDS

    @property
    def lost_look(self) -> float | None:
        """When the next look is due that a lost answer calls for; None when there is nothing to settle."""
        if self.held.lost_at is None:
            return None
        first = self.held.lost_at + LOST_FIRST_LOOK_SECONDS
        last = self.held.lost_at + LOST_LAST_LOOK_SECONDS
        looked = self.seen.at if self.seen is not None else 0.0
        return first if looked < first and self.now < last else last

    def wait(self, until: float, note: str | None = None) -> Decision:
        owes = self.facts.acted_at if note is not None else None
        return Decision(self.held, again=until, note=note, owes=owes)

    @property
    def shows_back(self) -> bool:
        """Whether the agent was seen as before the hold."""
        return self.seen is not None and self.seen.status == self.held.back.availability_status

    @property
    def settled_at(self) -> float:
        """From when on a look that shows the agent as before the hold is believed."""
        since = self.facts.back_since
        return 0.0 if since is None else since + SETTLE_SECONDS

    def look(self, due: float, *, live: bool = False) -> Decision:
        """Look now, unless Aircall has said yes and shown something else: that takes time to settle."""
        settled = self.facts.acted_at + SETTLE_SECONDS if self.facts.mismatches else 0.0
        return self.wait(settled) if self.now < settled else Decision(self.held, Look(due, live=live))

    def look_at(self, at: float) -> Decision:
        return self.wait(at) if self.now < at else self.look(at)

    def put(self, setting: Setting, due: float, *, releases: bool, enforces: bool = False) -> Decision:
        """A PUT is written down with nothing confirmed and its answer missing."""
        put = self.held.put if releases else setting
        written = replace(self.held, put=put, confirmed_at=None, lost_at=self.now)
        return Decision(written, Put(setting, due, releases=releases, enforces=enforces))


def _held(held: Held, orders: Orders, facts: Facts, now: float) -> Decision:
    seen = facts.seen if facts.is_looked_at(orders) else None
    # What was lost may have been the way back: where it landed, the look that settles it is no word of the agent's. Nor
    # does a look settle it that may show a call.
    open_hold = held
    if held.lost_at is not None and seen is not None and seen.at >= held.lost_at + LOST_LAST_LOOK_SECONDS:
        held = replace(held, lost_at=None)
    unsure = seen is not None and held.confirmed_at is None and is_doubtful(seen) is not False
    if seen is None or (seen.status != held.back.availability_status and not unsure):
        open_hold = held
    timeline = orders.timeline
    at = orders.asked_at(now)
    if now < held.effective <= now + EARLIEST_SECONDS:
        # What was sent early serves a boundary that is still ahead.
        at = max(at, held.effective)
    span = timeline.span_at(at) if timeline is not None and not orders.paused(now) else None
    if timeline is None or span is None:
        case = _Case(held, orders, facts, now, seen)
        if orders.outlasts(held, now):
            return _keep(replace(case, held=open_hold), held.put, held.until)
        return _end(case)
    until = timeline.stretch_end(at) or span.end
    if not orders.complete:
        until = max(until, held.until)
    # What is not settled of a hold whose end has passed is written on in the next meeting's, which is due by itself.
    is_next = held.confirmed_at is None and span.start >= held.until
    effective = span.start if is_next else held.effective
    case = _Case(replace(open_hold, until=until, event=span.event, effective=effective), orders, facts, now, seen)
    return _keep(case, span.setting, timeline.next_change(at) or until)


def _keep(case: _Case, wanted: Setting, change: float) -> Decision:
    """A hold that is still wanted, at least until `change`."""
    held, seen, now = case.held, case.seen, case.now
    if held.confirmed_at is None:
        if seen is None and case.facts.may_differ(held.put, now):
            return case.put(held.put, now, releases=False)
        if seen is not None and case.facts.way_back is not None:
            # A read that lags shows the hold before our way back: it confirms nothing.
            return case.put(held.put, held.effective, releases=False) if case.fresh else case.look(held.effective)
        if seen is None or not (case.ours or case.fresh):
            return case.look(max(held.effective, case.facts.acted_at))
        if seen.status == held.back.availability_status:
            if case.not_taken(held.put):
                return case.wait(case.facts.acted_at + MISMATCH_SLOW_SECONDS, note="not_taken")
            return case.put(held.put, held.effective, releases=False)
        if not case.ours:
            return _by_hand(case, seen, change)
        if (case.facts.mismatches or held.lost_at is not None) and is_doubtful(seen) is not False:
            # A call may read as unavailable, and then our update is still to be made.
            return case.put(held.put, now, releases=False) if is_doubtful(seen) else case.look(now, live=True)
        case = replace(case, held=replace(held, confirmed_at=seen.at))
    elif seen is not None and not case.ours:
        settled = held.confirmed_at + SETTLE_SECONDS
        if seen.at < settled:
            return case.look_at(settled)
        if held.lost_at is not None and case.shows_back:
            return case.put(held.put, held.effective, releases=False) if case.fresh else case.look(now)
        if case.shows_back:
            # Our update may be on its way still, or wait for the end of a call: the debt stays.
            again = case.settled_at if seen.live not in CALL_LIVE_STATES else seen.at + CALL_LOOK_SECONDS
            if seen.live is None or seen.at < again:
                return case.look(again, live=True) if now >= again else case.wait(min(again, change))
        return _by_hand(case, seen, change)
    if wanted != held.put and not _reason_is_by_hand(held, seen):
        if not (case.ours and case.fresh):
            return case.look(now)
        return case.put(wanted, now, releases=False)
    if now >= change - LOOK_AHEAD_SECONDS and not case.fresh:
        return Decision(case.held, Look(change), again=change)
    settles = case.lost_look
    if settles is not None and now >= settles:
        return case.look(settles)
    return Decision(case.held, again=_earliest(change - LOOK_AHEAD_SECONDS, change, settles, after=now))


def _end(case: _Case) -> Decision:
    """A hold that is not wanted any more: put back what was there, unless the agent chose something since."""
    held, seen, now = case.held, case.seen, case.now
    due = min(held.until, case.orders.asked_at(now))
    if seen is None and case.facts.may_differ(held.back, now):
        return case.put(held.back, due, releases=True)
    if seen is not None and case.facts.way_back is not None:
        # Accepted, and kept as a debt for the sake of an older answer that is missing: a read may lag behind it.
        return case.look_at(case.facts.acted_at + SETTLE_SECONDS)
    if seen is not None and not case.ours:
        settled = held.confirmed_at + SETTLE_SECONDS if held.confirmed_at is not None else 0.0
        accepted = held.confirmed_at is not None or case.facts.mismatches
        if case.shows_back and accepted and held.lost_at is None:
            # A read may lag behind our update, or a call hold it up. If neither, the way back changes nothing.
            return case.put(held.back, due, releases=True) if case.fresh else case.look(due)
        if seen.at < settled:
            return case.look_at(settled)
        settles = case.lost_look
        if settles is not None:
            return case.look_at(settles)
        return _decide(FREE, case.orders, case.facts, now) if case.fresh else case.look(due)
    if case.fresh:
        if case.not_taken(held.back):
            return case.wait(case.facts.acted_at + MISMATCH_SLOW_SECONDS, note="not_taken")
        return case.put(held.back, due, releases=True)
    failing = case.facts.looks_fail_since
    if failing is not None and now - max(failing, case.facts.acted_at) >= BLIND_RELEASE_SECONDS:
        return case.put(held.back, due, releases=True)
    return case.look(due)


def _by_hand(case: _Case, seen: Observation, change: float) -> Decision:
    """The agent changed the setting while held: their word stands, unless the settings say otherwise."""
    return _enforce(case, seen, change) if case.orders.enforce else _override(case, seen)


def _enforce(case: _Case, seen: Observation, change: float) -> Decision:
    """Put again what the agent changed, once it was seen twice; not in a call, and at most once in a while."""
    facts, now = case.facts, case.now
    due = case.settled_at if facts.enforced_at is None else max(case.settled_at, facts.enforced_at + ENFORCE_SECONDS)
    if seen.live in CALL_LIVE_STATES:
        due = max(due, seen.at + CALL_LOOK_SECONDS)
    if now < due:
        return case.wait(min(due, change))
    if seen.live is None or seen.at < due or not case.fresh:
        return case.look(due, live=True)
    return case.put(case.held.put, facts.back_since or seen.at, releases=False, enforces=True)


def _override(case: _Case, seen: Observation) -> Decision:
    """The agent changed the setting while held: stand back, once no lost PUT of ours can land any more."""
    settles = case.lost_look
    if settles is not None:
        return case.look_at(settles)
    timeline = case.orders.timeline
    # Who comes back between an early update and its boundary does so in the meeting that is about to begin.
    is_ahead = seen.at < case.held.effective <= seen.at + EARLIEST_SECONDS
    changed_at = case.held.effective if is_ahead else seen.at
    running = timeline.running_until(changed_at) if timeline is not None else None
    until = running or case.held.until
    if until <= case.now:
        return _decide(FREE, case.orders, case.facts, case.now)
    unextended = timeline.unextended_at(changed_at) if timeline is not None else None
    stance = StandingBack("override", seen.at, until, unextended)
    return Decision(stance, again=until, note="override")


def _reason_is_by_hand(held: Held, seen: Observation | None) -> bool:
    substatus = seen.setting.substatus if seen is not None else None
    return substatus in WRITABLE_SUBSTATUSES and substatus != held.put.substatus


def _next_change(orders: Orders, now: float) -> float | None:
    return orders.timeline.next_change(now) if orders.timeline is not None else None


def _earliest(*instants: float | None, after: float = float("-inf")) -> float | None:
    return min((at for at in instants if at is not None and at > after), default=None)
