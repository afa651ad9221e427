"""One agent as the oracle knows them: what they chose, what was shown of them, and when they are in meetings."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from calsyncd.core.byhand import NOTHING, ByHand
from calsyncd.core.model import Event
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import Timeline, build

MINUTE = 60.0
SETTLING_SECONDS = 6.5
EARLIEST_SECONDS = 60.0
WRITING_SECONDS = 1.0

Meetings = tuple[tuple[float, float], ...]


def busy(meetings: Meetings, bridge: float) -> list[tuple[float, float]]:
    """When the agent is in meetings: united, and with gaps shorter than `bridge` closed."""
    united: list[tuple[float, float]] = []
    for start, end in sorted(meetings):
        if united and (start <= united[-1][1] or start - united[-1][1] < bridge):
            united[-1] = (united[-1][0], max(united[-1][1], end))
        else:
            united.append((start, end))
    return united


def running_until(meetings: Meetings, bridge: float, at: float) -> float:
    """The last end among the meetings that run at `at`, or begin within a minute; a bridge to the next is none."""
    begins = min((start for start, _ in meetings if at < start <= at + EARLIEST_SECONDS), default=at)
    moments = (at,) if any(start <= at < end for start, end in meetings) else (at, begins)
    running = [end for moment in moments for start, end in meetings if start <= moment < end]
    last = max(running, default=at)
    bridged = [start for start, _ in meetings if last <= start < last + bridge]
    goes_on = any(start <= last < end for start, end in meetings)
    return last if goes_on else min(bridged, default=last)


@dataclass
class Person:
    """One agent. `ours` while what is set is our `unavailable`; `chosen_at` is when they last changed it by hand.

    `answer_at` is when the answer to an update of ours last showed what was `asked`, `unseen_since` the first of the
    looks in a row that failed. `misread_since` is the first of the looks in a row that showed `unavailable` because of
    a call, `doubted_at` the last one of those at which that had lasted as long as a doubt is looked after.

    While a hold of theirs `may_be_open`, a look that shows their choice is a reason to stand back until the last end of
    what runs then: `spared_at` are those looks, `spared_until` is the latest such end. At `judged_at` it must have been
    decided: a choice of what they were before (`backs`) needs a second look, the first one counting from `counted_at`.
    `left` are the times in which what was shown last was their own `unavailable`. `held_at` is when the hold began, and
    `owed` what an agent had then whose changes are not to stand and who has made one. `known` is what was shown last,
    `told_at` when a message first told of something else, `told` what it told.
    """

    email: str
    user: int
    opened: float
    status: str = "available"
    own: set[str] = field(default_factory=lambda: {"available"})
    ours: bool = False
    chosen_at: float = 0.0
    shown_at: float = 0.0
    before_return: set[str] = field(default_factory=set)
    before_choice: set[str] = field(default_factory=set)
    returned_at: float | None = None
    live: str | None = None
    doubtful_until: float = 0.0
    open_puts: int = 0
    put_at: float = 0.0
    seen: list[tuple[float, str]] = field(default_factory=list)
    seen_live: list[tuple[float, str]] = field(default_factory=list)
    asked: str = ""
    answer_at: float = 0.0
    unseen_since: float | None = None
    misread_since: float | None = None
    doubted_at: float = 0.0
    called_at: float = 0.0
    meetings: Meetings = ()
    bridge: float = 0.0
    calendars: deque[tuple[float, Meetings]] = field(default_factory=deque)
    configured: bool = True
    observed: bool = False
    enforce: bool = False
    paused_until: float | None = None
    touchable_until: float = 0.0
    may_be_open: bool = False
    judged_at: float | None = None
    counted_at: float | None = None
    spared_at: list[float] = field(default_factory=list)
    spared_until: float = 0.0
    left: list[tuple[float, float | None]] = field(default_factory=list)
    owed: set[str] | None = None
    held_at: float = 0.0
    backs: set[str] = field(default_factory=set)
    known: str | None = None
    told_at: float | None = None
    told: str | None = None
    latest_end: float = 0.0

    def is_touchable(self, now: float) -> bool:
        """Whether the settings and the operator let us take the agent off the phones."""
        return self.configured and not self.observed and not self.is_paused(now)

    def is_paused(self, now: float) -> bool:
        """Whether the operator's pause is on."""
        return self.paused_until is not None and now < self.paused_until

    def meet(self, meetings: Meetings, now: float) -> None:
        """The calendar says exactly this from now on."""
        self.calendars.append((now, self.meetings))
        while len(self.calendars) > 1 and self.calendars[1][0] < now - 10 * MINUTE:
            self.calendars.popleft()
        self.meetings = meetings
        self.latest_end = max([self.latest_end, *(end for _, end in meetings)])
        for at in self.spared_at:
            # What the look of a moment ago means is decided by the calendar of now.
            self.spared_until = max(self.spared_until, running_until(meetings, self.bridge, at))

    def timeline(self, rules: Rules, by_hand: ByHand = NOTHING) -> Timeline:
        """The same for the daemon, with what was said by hand."""
        return build((Event(f"m{start}", start, end) for start, end in self.meetings), rules, by_hand)

    def in_meeting(self, at: float) -> bool:
        """Whether a meeting is on."""
        return any(start <= at < end for start, end in busy(self.meetings, self.bridge))

    def was_wanted(self, now: float, ahead: float, grace: float) -> bool:
        """Whether a meeting was on, or near, by any calendar that was in force a moment ago."""
        known = [self.meetings, *(before for until, before in self.calendars if until >= now - grace)]
        return any(
            start <= now + ahead and now - grace < end
            for meetings in known
            for start, end in busy(meetings, self.bridge)
        )

    def begun_at(self, now: float) -> float:
        """When the stretch began that is on."""
        return max(start for start, end in busy(self.meetings, self.bridge) if start <= now < end)

    def is_same_hold(self, now: float) -> bool:
        """Whether what holds the agent now must be what held them at `held_at`: nothing has ended it since."""
        if not self.in_meeting(now) or self.held_at < self.begun_at(now) - EARLIEST_SECONDS - WRITING_SECONDS:
            return False
        return max(self.changed_at, self.touchable_until) < self.held_at and self.is_touchable(now)

    def was_left(self, since: float) -> bool:
        """Whether what was shown last was the agent's own `unavailable`, at some time since then."""
        return any(until is None or until >= since for _, until in self.left)

    @property
    def seen_at(self) -> float:
        """When an answer showed them last."""
        return self.seen[-1][0] if self.seen else 0.0

    @property
    def changed_at(self) -> float:
        """When the calendar changed last."""
        return self.calendars[-1][0] if self.calendars else 0.0

    def boundaries(self) -> list[float]:
        """Every start and end."""
        return sorted(at for pair in busy(self.meetings, self.bridge) for at in pair)

    def is_doubtful(self, now: float) -> bool:
        """Whether an update of ours is too near for a change to be surely the agent's own."""
        return self.open_puts > 0 or now < max(self.doubtful_until, self.put_at + SETTLING_SECONDS)

    def has_been_shown(self, status: str, since: float, by: float = float("inf")) -> bool:
        """Whether an answer has shown this choice of `since`, beyond doubt and until `by`."""
        since = max(since, self.put_at + SETTLING_SECONDS, self.doubtful_until)
        shown = any(since <= at <= by and one == status for at, one in self.seen)
        if status != "unavailable":
            return shown
        return shown and any(since <= at <= by and one in ("do_not_disturb", "offline") for at, one in self.seen_live)
