"""What each agent's setting may be, by what was done by hand, what the calendar says, and what Aircall has seen.

It knows nothing of stances, plans or the ledger. Of each person it keeps `own`: what the agent may be set to while no
meeting of theirs is on. That is one status, their last choice, except where the table in the design lets either of two
stand: a change by hand within the settling seconds of an update of ours, or while one may still land; a change that no
answer could have shown before our next update went; a return by hand from a meeting, taken back before it was seen; a
change during a meeting where changes are not to stand, until it is undone: then what was there before is owed again.

In a meeting it is `unavailable`, except: to the last end among what ran when a choice was seen; to the end of the
stretch for who was shown as unavailable by their own choice, or in a call for ten minutes, at its start or in it; and
while no answer has shown the choice.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from calsyncd.core import looks
from calsyncd.core.plan import FRESH_SECONDS
from calsyncd.core.prices import minute_of
from calsyncd.sandbox.aircall_users import Update

from .person import EARLIEST_SECONDS, MINUTE, SETTLING_SECONDS, WRITING_SECONDS, Person, busy, running_until

LOST_SECONDS = 75.0
PATIENCE_SECONDS = 11.0
REFUSALS = (400, 404, 405, 410, 422)
DOUBT_SECONDS = 30.0
LONGEST_DOUBT_SECONDS = 10 * MINUTE - DOUBT_SECONDS - 10.0
BLIND_SECONDS = 60.0
BUDGET_SECONDS = 61.0
BEFORE_CROWD_SECONDS = 2.0
LONGEST_WAY_SECONDS = 3.0
SECOND_LOOK_SECONDS = 5.0
HINT_SECONDS = 5.0
UNREAD_SECONDS = 6.0
CALLS = ("in_call", "after_call_work", "ringing")

_USER = re.compile(r"/v[12]/users/(\d+)$")
_LIVE = re.compile(r"/v1/users/(\d+)/availability$")


class Oracle:
    """Watches the wire and the settings; `faults` are what must never be.

    The list of everybody has so many `pages`; `told` says whether webhooks are in order, as far as the daemon can know.
    """

    def __init__(
        self,
        now: Callable[[], float],
        per_minute: int,
        users: Mapping[str, int],
        *,
        pages: int,
        told: Callable[[], bool],
    ) -> None:
        self._now = now
        self._per_minute = per_minute
        self._pages = pages
        self._told = told
        self._told_at = float("-inf")
        self._limited = False
        self._began_at = now()
        self._out = 0
        self._ended: deque[float] = deque()
        self._people = {email: Person(email, user, now()) for email, user in users.items()}
        self._by_user = {person.user: person for person in self._people.values()}
        self._arrivals: deque[float] = deque()
        self._wait_until = 0.0
        self._pardoned_until = 0.0
        self.grace = PATIENCE_SECONDS
        self.faults: list[str] = []
        self.story: list[str] = []

    def person(self, email: str) -> Person:
        """One of them."""
        return self._people[email]

    @property
    def people(self) -> list[Person]:
        """All of them."""
        return list(self._people.values())

    def tell(self, what: str) -> None:
        """For whoever reads a failure."""
        self.story.append(f"{self._now() - 1_800_000_000:10.2f} {what}")

    def wrong(self, what: str) -> None:
        """Something that must never be."""
        if what not in self.faults:
            self.tell(f"WRONG: {what}")
            self.faults.append(what)

    # -- the daemon's life -----------------------------------------------------------------------------------------

    def died(self) -> None:
        """The daemon died: what was under way may land, and what it had counted is forgotten."""
        self.tell("the daemon dies")
        for person in self.people:
            person.shown_at = 0.0
            if not person.ours and not person.has_been_shown(person.status, person.chosen_at):
                # A hold may be in the ledger that was decided before the choice could be seen.
                person.own = person.own | person.before_choice
            person.unseen_since = None
            person.told_at = None
            if person.judged_at is not None and person.judged_at > self._now() - WRITING_SECONDS:
                # It was not written down yet that it was judged.
                person.judged_at = None
            person.counted_at = None
        self._arrivals.clear()
        self._wait_until = 0.0
        self._ended.clear()
        self._out, self._limited, self._told_at = 0, False, float("-inf")

    def began(self) -> None:
        """The daemon was started again: for a minute the ledger's word has to be looked at."""
        self.tell("the daemon begins")
        self._began_at = self._now()
        for person in self.people:
            person.open_puts = 0
            self._doubt(person, LOST_SECONDS)

    def stepped(self, seconds: float) -> None:
        """The clock jumped: what is under way takes as long as before by another clock."""
        self._arrivals.clear()
        self._ended = deque(at + seconds for at in self._ended)
        for person in self.people:
            person.shown_at = 0.0
            person.told_at = person.counted_at = None
            self._doubt(person, LOST_SECONDS)

    def _doubt(self, person: Person, seconds: float) -> None:
        person.doubtful_until = max(person.doubtful_until, self._now() + seconds)

    # -- the wire --------------------------------------------------------------------------------------------------

    def arrived(self) -> None:
        """A request reached Aircall as it should."""
        now = self._now()
        self._arrivals.append(now)
        while self._arrivals[0] <= now - MINUTE:
            self._arrivals.popleft()
        if len(self._arrivals) > self._per_minute and now > self._pardoned_until:
            self.wrong(f"{len(self._arrivals)} requests in a minute of {self._per_minute}")

    def sent(self, method: str, path: str, body: Any) -> None:
        """A request leaves the daemon."""
        now = self._now()
        self._out += 1
        self.is_told()
        self.tell(f"{method} {path} {body or ''}")
        if now < self._wait_until - 0.01:
            self.wrong(f"{method} {path} {self._wait_until - now:.2f} s before the end of a 429's wait")
        person = self._person(_USER, path)
        if method != "PUT" or person is None:
            return
        person.open_puts += 1
        person.asked = body["availability_status"]
        self._relies_on_what_was_told(person)
        if body["availability_status"] == "unavailable":
            self._takes_off(person)
            person.may_be_open = True
            if not person.is_touchable(now) and now > person.touchable_until + self.grace:
                self.wrong(f"{person.email} is not ours to take off the phones")
            if not person.was_wanted(now, EARLIEST_SECONDS + 0.01, self.grace):
                self.wrong(f"{person.email} is taken off the phones for nothing")
        elif not self._may_be_blind(person):
            self._relies_on_a_look(person, "put back")

    def _takes_off(self, person: Person) -> None:
        """What the last answer showed is what was taken as their choice; it may have been something else since."""
        if person.ours:
            return
        # What is shown while an update is written down comes too late for it.
        if not person.has_been_shown(person.status, person.chosen_at, self._now() - WRITING_SECONDS):
            person.own = person.own | person.before_choice
        elif person.own == {"unavailable"}:
            self.wrong(f"{person.email} was unavailable by their own choice, and is put so")
        self._relies_on_a_look(person, "taken off the phones")

    # -- how old a look may be -------------------------------------------------------------------------------------

    def _relies_on_a_look(self, person: Person, what: str) -> None:
        """Whoever is to be updated was seen: as lately as the company's size, its webhooks and a crowd ask for."""
        now = self._now()
        crowded, told = self._may_be_crowded(), self.is_told()
        allowed = looks.fresh_seconds(self._pages, told=told, crowded=crowded)
        # Where each boundary has a look of its own, an update's answer is none.
        seen_at = person.seen_at if allowed <= FRESH_SECONDS else max(person.seen_at, person.answer_at)
        age = now - seen_at - WRITING_SECONDS
        if age > (max(allowed, DOUBT_SECONDS) if self._was_doubtful(person) else allowed):
            world = f"{self._pages} pages, {told=}, {crowded=}"
            self.wrong(f"{person.email} is {what} unseen for {age:.1f} s ({world})")

    def heard(self, user: int, status: str | None) -> None:
        """The daemon was told by a webhook that a user is set to `status`."""
        person = self._by_user.get(user)
        if person is None or status is None or person.open_puts or person.known in (None, status):
            # Nobody can compare it, or it may tell of our own update.
            return
        self.tell(f"  told: {person.email} is {status}")
        if person.told_at is None:
            person.told_at, person.told = self._now(), status

    def _relies_on_what_was_told(self, person: Person) -> None:
        """Whoever is said to have changed is looked at before an update; but what was just seen counts for a while."""
        now = self._now()
        if person.told_at is None or self._may_be_blind(person) or (person.ours and person.asked == "unavailable"):
            return
        # While a read may lag behind an update of ours, nobody looks for the sake of a message.
        since = max(person.told_at + HINT_SECONDS, person.put_at + SETTLING_SECONDS)
        if now > since + WRITING_SECONDS:
            self.wrong(f"{person.email} is updated {now - person.told_at:.1f} s after a change was told, and not seen")

    def _was_doubtful(self, person: Person) -> bool:
        """Whether what was seen last may have been a call's doing: then it is looked at again only after a while."""
        return bool(person.seen) and person.seen[-1][1] == "unavailable"

    def _may_be_blind(self, person: Person) -> bool:
        """Whether looks have failed for so long that an end goes without one."""
        return person.unseen_since is not None and self._now() >= person.unseen_since + BLIND_SECONDS

    def is_told(self) -> bool:
        """Whether webhooks are in order, or were when what is sent now was decided."""
        now = self._now()
        if self._told():
            self._told_at = now
        return now <= self._told_at + WRITING_SECONDS

    def _may_be_crowded(self) -> bool:
        """Whether requests may not suffice for all, as far as the calendars, the wire and the company's size tell."""
        now = self._now()
        if self._limited or len(self.people) + self._out + self._ended_within(BUDGET_SECONDS) >= self._per_minute:
            return True
        ahead = (2 + self._pages // self._per_minute) * MINUTE + BEFORE_CROWD_SECONDS
        minutes: Counter[int] = Counter()
        for person in self.people:
            known = [person.meetings, *(before for until, before in person.calendars if until >= now - self.grace)]
            due = {at for meetings in known for pair in busy(meetings, person.bridge) for at in pair}
            minutes.update(minute_of(at) for at in due)
        return any(
            number > self._per_minute and now - WRITING_SECONDS < minute * MINUTE <= now + ahead
            for minute, number in minutes.items()
        )

    def _ended_within(self, seconds: float) -> int:
        return sum(at > self._now() - seconds - WRITING_SECONDS for at in self._ended)

    def _has_ended(self, method: str, path: str, *, seen: bool) -> None:
        """A request has ended, for the daemon; a look has shown the agent, or failed."""
        now = self._now()
        self._out = max(0, self._out - 1)
        self._ended.append(now)
        while self._ended[0] < now - 2 * MINUTE:
            self._ended.popleft()
        person = self._person(_USER, path) or self._person(_LIVE, path)
        if method == "GET" and person is not None:
            person.unseen_since = None if seen else person.unseen_since or now

    def unanswered(self, method: str, path: str, *, may_land: bool) -> None:
        """A request got no answer."""
        self.tell(f"  no answer: {path}")
        self._has_ended(method, path, seen=False)
        person = self._person(_USER, path)
        if method == "PUT" and person is not None:
            person.open_puts = max(0, person.open_puts - 1)
            person.known = None
            self._doubt(person, LOST_SECONDS if may_land else 0.0)

    def answered(self, method: str, path: str, status: int, headers: Mapping[str, str], data: Any) -> None:
        """A request was answered."""
        now = self._now()
        self.tell(f"  {status}: {method} {path}")
        self.is_told()
        self._has_ended(method, path, seen=status == 200)
        remaining = headers.get("x-aircallapi-remaining")
        left = int(remaining) if remaining is not None else self._per_minute
        # What is granted is learned from refusals, and from headers that tell that others spend.
        self._limited |= status == 429 or self._ended_within(MINUTE) + self._out + left < self._per_minute
        if status in REFUSALS:
            # The other version is asked too, and whether the user exists: only a fault makes so many of one update.
            self._pardoned_until = now + MINUTE + SETTLING_SECONDS
        if status == 429:
            self._wait_until = max(self._wait_until, now + _wait(headers, now))
        person, live = self._person(_USER, path), self._person(_LIVE, path)
        if method == "PUT" and person is not None:
            person.open_puts = max(0, person.open_puts - 1)
            if status == 200:
                person.put_at = now
                person.known = data["user"]["availability_status"]
                if person.known == person.told:
                    # A message of a moment ago may have told of this update.
                    person.told_at = None
                self._leave(person, left=False)
                if person.known == person.asked:
                    person.answer_at = now
                    if person.asked != "unavailable" and now >= person.doubtful_until:
                        person.may_be_open = False
            elif status >= 500:
                self._doubt(person, LOST_SECONDS)
        elif status == 200 and person is not None:
            self._read(person, data["user"]["availability_status"])
        elif status == 200 and live is not None:
            live.seen_live.append((now, data["availability"]))
            if not live.ours and live.counted_at is not None and now >= live.counted_at + SECOND_LOOK_SECONDS:
                self._judge(live, live=data["availability"])
        elif status == 200 and re.match(r"/v[12]/users\?", path):
            for user in data["users"]:
                self._read(self._by_user[user["id"]], user["availability_status"])

    def _read(self, person: Person, status: str) -> None:
        now = self._now()
        person.seen = [*person.seen[-20:], (now, status)]
        if status == "unavailable" != person.status:
            person.misread_since = now if person.misread_since is None else person.misread_since
            if now >= person.misread_since + LONGEST_DOUBT_SECONDS:
                person.doubted_at = now
        elif status != "unavailable":
            person.misread_since = None
        person.known, person.told_at = status, None
        if not person.ours and status == person.status and person.shown_at < person.chosen_at:
            person.shown_at = now
        self._leave(person, left=status == "unavailable" == person.status and not person.ours)
        if status != "unavailable":
            self._spare(person, status)

    def _leave(self, person: Person, *, left: bool) -> None:
        """What was shown last is the agent's own `unavailable`, or is not: by this they are left alone."""
        now = self._now()
        if person.left and person.left[-1][1] is None:
            if not left:
                person.left[-1] = (person.left[-1][0], now)
        elif left:
            person.left.append((now, None))

    def _spare(self, person: Person, status: str) -> None:
        """Whoever is seen to have come back in a meeting is left alone until the last end of what runs now."""
        now = self._now()
        if person.enforce or not person.may_be_open or person.judged_at is not None:
            return
        known = [person.meetings, *(before for until, before in person.calendars if until >= now - WRITING_SECONDS)]
        ends = [running_until(meetings, person.bridge, now) for meetings in known]
        if now < self._began_at + UNREAD_SECONDS:
            # Whoever has not read the calendar yet knows only when the hold was to end.
            ends.append(person.latest_end)
        person.spared_at.append(now)
        person.spared_until = max([person.spared_until, *ends])
        if person.ours or status != person.status or person.is_doubtful(now):
            return
        if person.counted_at is None:
            person.counted_at = now
        if status not in person.backs:
            # Nothing of ours can have done it: no second look is needed.
            self._judge(person)

    def _judge(self, person: Person, live: str | None = None) -> None:
        """The choice was seen, beyond doubt: until when it is to stand is written down now. Not while in a call."""
        if live in CALLS:
            return
        person.judged_at, person.spared_at, person.may_be_open = self._now(), [], False

    def _person(self, pattern: re.Pattern[str], path: str) -> Person | None:
        found = pattern.match(path)
        return self._by_user[int(found[1])] if found is not None else None

    # -- the settings ----------------------------------------------------------------------------------------------

    def changed(self, update: Update) -> None:
        """Aircall has taken an update, ours or by hand."""
        person, status = self._by_user[update.user], update.after.status
        self.tell(f"  {person.email} is {status} by {update.by} (was {update.before.status}, own {sorted(person.own)})")
        if update.by == "hand":
            self._by_hand(person, status)
        elif status == "unavailable":
            self._taken_off(person)
        else:
            self._put_back(person, status)
        person.status = status

    def _by_hand(self, person: Person, status: str) -> None:
        now = self._now()
        open_hold = person.returned_at is not None
        if status == person.status:
            # It was so already: nobody can tell.
            return
        was_shown = person.ours or person.has_been_shown(person.status, person.chosen_at)
        person.before_choice = person.own if was_shown else person.own | person.before_choice
        person.judged_at = person.counted_at = None
        person.spared_at = []
        in_meeting = person.ours or person.was_wanted(now, EARLIEST_SECONDS, 0.0)
        if person.ours:
            person.backs = set(person.own)
            if person.enforce and person.owed is None and person.is_same_hold(now):
                person.owed = set(person.own)
        if person.is_doubtful(now) or (in_meeting and person.enforce):
            person.own = person.own | {status}
        elif person.ours:
            person.before_return = person.own
            person.own = {status}
        elif open_hold and status == "unavailable":
            person.own = person.own | person.before_return | {status}
        else:
            person.own = {status}
        if status == "unavailable" and person.live in CALLS:
            # In a call it proves nothing: what was there before may be put back.
            person.own |= {person.status}
        if person.ours:
            person.returned_at = now
        person.ours = False
        person.chosen_at = now

    def _taken_off(self, person: Person) -> None:
        now = self._now()
        if not person.is_same_hold(now):
            person.held_at = now
        elif person.owed is not None:
            # Put again: what is owed is what was there before the hold.
            person.own = person.owed
        person.owed = None
        person.ours = True
        person.returned_at = None

    def _put_back(self, person: Person, status: str) -> None:
        now = self._now()
        if not person.ours and person.status != status:
            if not person.has_been_shown(person.status, person.chosen_at, now - WRITING_SECONDS - LONGEST_WAY_SECONDS):
                person.own = person.own | person.before_choice | person.before_return
            elif person.own == {person.status}:
                self.wrong(f"{person.email}'s own {person.status} is overwritten by {status}")
        if status not in person.own:
            self.wrong(f"{person.email} is put back to {status}, not {' or '.join(sorted(person.own))}")
        person.ours = False
        person.returned_at = None

    # -- once all is quiet -----------------------------------------------------------------------------------------

    def allowed(self, person: Person, *, still: float) -> set[str] | None:
        """What the setting may be now, if the calendar was still and steady for `still` seconds; None: not settled."""
        now = self._now()
        changes = [at for at in person.boundaries() if now - still <= at <= now + 2 * EARLIEST_SECONDS]
        if changes or person.changed_at > now - still:
            return None
        if not person.in_meeting(now) or not person.is_touchable(now):
            return person.own
        if person.own == {"unavailable"}:
            return person.own
        begun = person.begun_at(now)
        if person.was_left(begun - EARLIEST_SECONDS - WRITING_SECONDS):
            # Whoever was unavailable by their own choice is left alone to the end of the stretch, whatever they choose.
            return person.own | {"unavailable"}
        if not person.ours and person.shown_at < person.chosen_at:
            # Nobody can know of it yet.
            return person.own | {"unavailable"}
        if now < (person.shown_at if person.enforce else person.spared_until) + 2 * LOST_SECONDS:
            # Where a change is to stand, it does to the last end among what ran when it was seen.
            return person.own | {"unavailable"}
        if person.doubted_at >= begun + LONGEST_DOUBT_SECONDS:
            # Whoever reads as unavailable in a call for ten minutes of a meeting is left alone in it.
            return person.own | {"unavailable"}
        return {"unavailable"}


def _wait(headers: Mapping[str, str], now: float) -> float:
    """How long a 429 asks us to wait."""
    after, reset = headers.get("retry-after"), headers.get("x-aircallapi-reset")
    if after is not None:
        try:
            wait = float(after)
        except ValueError:
            wait = (parsedate_to_datetime(after) - parsedate_to_datetime(headers["date"])).total_seconds()
    elif reset is not None:
        wait = float(reset) / (1000 if float(reset) >= 1e12 else 1) - now
    else:
        wait = MINUTE
    return min(max(wait, 1.0), 2 * MINUTE)
