"""What must hold at every step, whatever happens; it knows the world's truth and nothing of the daemon's thoughts."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calsyncd.core.plan import Entry, Held
from calsyncd.ledger import parse
from calsyncd.sandbox.aircall_users import Update

EARLY_SECONDS = 61.0
MINUTE = 60.0
LAST_KNOWN_SECONDS = 25 * 3600.0
"""What was read counts for a day (`calendars/syncer.STALE_SECONDS`), and a timeline is worked out anew in this time."""

UNSEEN_SECONDS = 91 * MINUTE
"""So old may be what the daemon knows of a setting (`core/looks.OLDEST_SECONDS`), which it then takes as the choice."""

GRACE_SECONDS = 12.0
LANDS_SECONDS = 76.0
TITLE = "Zq7confidential"
"""Each meeting's title begins so, and nothing else does."""

_USER = re.compile(r"/v[12]/users/(\d+)$")

Spans = tuple[tuple[float, float], ...]

INVARIANTS = (
    "owed",
    "foreign",
    "inside",
    "right",
    "budget",
    "secret",
    "choice",
    "alive",
)
"""What may be broken: see docs/simulation.md."""


@dataclass
class Person:
    """An Aircall user: what they are set to, what they may have chosen, and when they are in meetings.

    `spans` is what the rules of now make of their `meetings`; `former` and `known` are meetings.
    """

    email: str
    user: int
    is_agent: bool
    status: str = "available"
    own: set[str] = field(default_factory=lambda: {"available"})
    chosen: list[tuple[float, str]] = field(default_factory=list)
    ours: bool = False
    chosen_at: float = -1e18
    chosen_until: float = -1e18
    put_at: float = -1e18
    touchable: bool = True
    touchable_until: float = -1e18
    released_at: float = -1e18
    called_at: float = -1e18
    meetings: Spans = ()
    spans: Spans = ()
    former: deque[tuple[float, Spans]] = field(default_factory=deque)
    known: Spans = ()
    known_before: Spans = ()
    known_at: float = -1e18
    confirmed_at: float = -1e18

    def in_span(self, at: float) -> bool:
        """Whether a meeting is on."""
        return _covers(self.spans, at, at)


def _covers(spans: Spans, low: float, high: float) -> bool:
    return any(start <= high and low < end for start, end in spans)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say of meetings: how long they are at least, what is kept free around and between them; s."""

    minimum: float = 0.0
    lead: float = 0.0
    lag: float = 0.0
    bridge: float = 0.0

    def held(self, meetings: Iterable[tuple[float, float]]) -> Spans:
        """When somebody with these is in meetings: overlapping ones together, and short gaps closed."""
        merged: list[tuple[float, float]] = []
        for start, end in sorted(
            (start - self.lead, end + self.lag) for start, end in meetings if end - start >= self.minimum
        ):
            if merged and (start <= merged[-1][1] or start - merged[-1][1] < self.bridge):
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            else:
                merged.append((start, end))
        return tuple(merged)


class BrokenError(Exception):
    """An invariant does not hold."""

    def __init__(self, which: str, what: str) -> None:
        super().__init__(f"{which}: {what}")
        self.which = which


class Watch:
    """The invariants; `checked` counts how often each was looked at."""

    def __init__(
        self, people: Iterable[Person], ledger: Path, now: Callable[[], float], *, per_minute: int, floor: int
    ) -> None:
        self.people = {person.user: person for person in people}
        self.floor = floor
        self.by_email = {person.email: person for person in self.people.values()}
        self.checked = dict.fromkeys(INVARIANTS, 0)
        self.broken: list[BrokenError] = []
        self.clock_right: Callable[[], bool] = lambda: True
        self._clock_wrong_at = -1e18
        self._ledger = ledger
        self._now = now
        self._per_minute = per_minute
        self._sends: deque[float] = deque()
        self._offset = 0.0
        self._read: tuple[int, int] = (0, 0)
        self._held: set[int] = set()
        self.secrets: list[str] = []
        self.rules = Rules()
        self._former_rules: list[tuple[float, Rules]] = []

    def wrong(self, which: str, what: str) -> None:
        """It is broken."""
        if len(self.broken) < 20:
            self.broken.append(BrokenError(which, what))

    # -- what is owed ----------------------------------------------------------------------------------------------

    def ledger_written(self) -> None:
        """The ledger's file may be another: everybody whom we set unavailable is in it until put back."""
        try:
            stat = self._ledger.stat()
        except FileNotFoundError:
            self._held, self._read = set(), (0, 0)
        else:
            inode, size = self._read
            begin = size if stat.st_ino == inode and stat.st_size >= size else 0
            if begin == 0:
                self._held = set()
            with self._ledger.open("rb") as file:
                file.seek(begin)
                raw = file.read()
            # A torn tail is no line: it counts when it is whole.
            whole = raw[: raw.rfind(b"\n") + 1]
            for line in parse(whole)[0]:
                if isinstance(line, Entry):
                    (self._held.add if isinstance(line.stance, Held) else self._held.discard)(line.user)
            self._read = (stat.st_ino, begin + len(whole))
        for person in self.people.values():
            if person.ours:
                self._owed(person)

    def _owed(self, person: Person) -> None:
        self.checked["owed"] += 1
        if person.user not in self._held:
            self.wrong("owed", f"{person.email} is set unavailable by us, and the ledger does not say so")

    # -- the wire --------------------------------------------------------------------------------------------------

    def began(self, per_minute: int) -> None:
        """A new process, granted so many requests: what the last one had sent it cannot know, and refusals tell it."""
        self._sends.clear()
        self._per_minute = per_minute

    def sent(self, method: str, path: str, body: Any, offset: float) -> None:
        """The daemon sends Aircall a request; `offset` is that of its clock, by which it counts."""
        now = self._now()
        if abs(offset - self._offset) > 1.0:
            # By a clock that was set, a minute is another one: refusals tell.
            self._sends.clear()
        self._offset = offset
        self._sends.append(now)
        while self._sends[0] <= now - MINUTE:
            self._sends.popleft()
        self.checked["budget"] += 1
        if len(self._sends) > self._per_minute:
            self.wrong("budget", f"{len(self._sends)} requests within a minute of {self._per_minute}")
        found = _USER.match(path)
        if method != "PUT" or found is None:
            return
        person = self.people[int(found[1])]
        self.checked["foreign"] += 1
        if not person.is_agent:
            self.wrong("foreign", f"{person.email} is nobody's agent, and is set {body}")
            return
        if body["availability_status"] == "unavailable":
            self._takes(person)
        else:
            self._puts_back(person, body["availability_status"])
        person.put_at = now

    def _takes(self, person: Person) -> None:
        now = self._now()
        if not person.touchable and now > person.touchable_until + GRACE_SECONDS:
            self.wrong("foreign", f"{person.email} is not to be touched, and is taken off the phones")
        if not self._knows_time():
            return
        while person.former and person.former[0][0] < now - LAST_KNOWN_SECONDS:
            person.former.popleft()
        # What the daemon knows may be as old as a day.
        versions = [person.meetings, *(meetings for _, meetings in person.former)]
        held = (rules.held(meetings) for rules in self._rules_in_force() for meetings in versions)
        if not any(_covers(spans, now - GRACE_SECONDS, now + EARLY_SECONDS) for spans in held):
            self.wrong("foreign", f"{person.email} has no meeting, and is taken off the phones")

    def _puts_back(self, person: Person, status: str) -> None:
        now = self._now()
        self.checked["inside"] += 1
        if not self._knows_time() or not person.touchable or now < person.released_at + GRACE_SECONDS:
            return
        if now - person.known_at > LAST_KNOWN_SECONDS - 2 * 3600.0:
            # What was read a day ago counts no more.
            return
        low, high = now - GRACE_SECONDS, now + EARLY_SECONDS
        versions = (person.meetings, person.known, person.known_before)
        held = (rules.held(meetings) for rules in self._rules_in_force() for meetings in versions)
        if all(any(start <= low and high < end for start, end in spans) for spans in held):
            self.wrong("inside", f"{person.email} is set {status} in a meeting that every read has shown")

    def _knows_time(self) -> bool:
        if not self.clock_right():
            self._clock_wrong_at = self._now()
        return self._now() > self._clock_wrong_at + LANDS_SECONDS

    # -- the settings ----------------------------------------------------------------------------------------------

    def updated(self, update: Update) -> None:
        """Aircall has taken an update."""
        person, status, now = self.people[update.user], update.after.status, self._now()
        if update.by == "hand":
            self._by_hand(person, status)
        elif status == "unavailable":
            if person.status != "unavailable" or person.ours:
                person.ours = True
                self._owed(person)
        else:
            self.checked["choice"] += 1
            if status not in self._may_be_own(person):
                self.wrong("choice", f"{person.email} is put back to {status}, not to one of {sorted(person.own)}")
            person.ours = False
        if update.by != "hand":
            person.put_at = now
        person.status = status

    def _may_be_own(self, person: Person) -> set[str]:
        return person.own

    def _by_hand(self, person: Person, status: str) -> None:
        now = self._now()
        person.chosen.append((now, status))
        unseen = [one for at, one in person.chosen if at > now - UNSEEN_SECONDS]
        # Any of them may be what was last seen, or what a hold of ours was given as the way back.
        before = (
            person.own if person.ours or now < person.put_at + LANDS_SECONDS or len(unseen) > 1 else set(person.own)
        )
        person.own = before | {status}
        person.chosen = [one for one in person.chosen if one[0] > now - UNSEEN_SECONDS]
        person.ours = False
        person.chosen_at = now
        # What is chosen in a meeting counts to its end as it was then, whatever becomes of the meeting.
        versions = (person.spans, self.rules.held(person.known))
        running = [end for spans in versions for start, end in spans if start <= now < end]
        person.chosen_until = max([person.chosen_until, *running])

    # -- calendars -------------------------------------------------------------------------------------------------

    def meets(self, person: Person, meetings: Spans) -> None:
        """The calendar says exactly this from now on."""
        if meetings != person.meetings:
            person.former.append((self._now(), person.meetings))
            person.meetings, person.spans = meetings, self.rules.held(meetings)

    def ruled(self, rules: Rules) -> None:
        """The settings say this of meetings from now on."""
        self._former_rules = [one for one in self._former_rules if one[0] > self._now() - GRACE_SECONDS]
        self._former_rules.append((self._now(), self.rules))
        self.rules = rules
        for person in self.people.values():
            person.spans = rules.held(person.meetings)

    def _rules_in_force(self) -> list[Rules]:
        """Those of now, and those by which something may still be on its way."""
        return [self.rules, *(rules for at, rules in self._former_rules if self._now() <= at + GRACE_SECONDS)]

    def read(self, person: Person, meetings: Spans) -> None:
        """A list of the calendar, as it was when these were its meetings, is on its way to the daemon."""
        person.known_before, person.known, person.known_at = person.known, meetings, self._now()

    # -- once all is quiet -----------------------------------------------------------------------------------------

    def all_right(self, *, quiet_since: float) -> None:
        """Everybody is what they should be: asked when nothing has happened for as long as it may take."""
        now = self._now()
        for person in self.people.values():
            if not person.is_agent:
                continue
            edges = [at for span in person.spans for at in span]
            if any(now - LANDS_SECONDS - MINUTE <= at <= now + EARLY_SECONDS + MINUTE for at in edges):
                continue
            self.checked["right"] += 1
            if not person.in_span(now) or not person.touchable:
                if person.status not in person.own or person.ours:
                    self.wrong("right", f"{person.email} is {person.status}, not {' or '.join(sorted(person.own))}")
                elif person.chosen_at < quiet_since - UNSEEN_SECONDS:
                    person.own = {person.status}
            elif person.status != "unavailable" and not self._may_stand_back(person) and not self._is_kept():
                self.wrong("right", f"{person.email} is {person.status} in a meeting")

    def _may_stand_back(self, person: Person) -> bool:
        """Whether something was done by hand or by phone that lets somebody be as they are to the end of a meeting."""
        now = self._now()
        begun = max((start for start, _ in person.spans if start <= now), default=0.0)
        return now < person.chosen_until or max(person.chosen_at, person.called_at) > begun - UNSEEN_SECONDS

    def _is_kept(self) -> bool:
        """Whether so few are left on the phones that nobody more may be taken off."""
        left = sum(one.is_agent and one.touchable and one.status == "available" for one in self.people.values())
        return left <= self.floor

    def owes_nobody(self, held: Iterable[str]) -> None:
        """Whoever is free and quiet is owed nothing."""
        now = self._now()
        for email in held:
            person = self.by_email.get(email)
            if person is None or person.status == "unavailable":
                continue
            if not _covers(person.spans, now - LANDS_SECONDS - MINUTE, now + EARLY_SECONDS + MINUTE):
                self.wrong("right", f"{email} is {person.status} and free, and is still owed a way back")

    # -- what is written -------------------------------------------------------------------------------------------

    def logged(self, line: str) -> None:
        """A line of the log."""
        self.checked["secret"] += 1
        if TITLE in line:
            self.wrong("secret", f"a title is in the log: {line[:300]}")
        if "ya29." in line:
            self.wrong("secret", f"an access token is in the log: {line[:300]}")
        for secret in self.secrets:
            if secret in line:
                self.wrong("secret", f"a secret is in the log: {line[:300]}")
