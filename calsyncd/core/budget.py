"""How many requests Aircall grants, and when: what the settings allow, less what refusals and headers teach.

Facts (all of Aircall's budget): 120 requests a minute for the whole company; whether the minute is fixed, sliding or
leaky is not established; `X-AircallApi-Limit`, `-Remaining` and `-Reset` come with a 429, perhaps with every answer.

Theory. A request is counted from before it is sent until a minute after its answer, so that no sixty seconds ever see
more than is granted, wherever in between the server counts it. That is right under a sliding and a fixed minute. After
the wait of a 429 requests begin one by one and double while they pass. A second 429 soon after it means that others
spend too, or that the bucket is smaller or leaks: what passed in the minute before is what is granted from then on.
It is handed back step by step, more slowly each time that it was in vain, and what goes beyond what is sure goes two
at a time, so that a wrong guess costs two refusals. Meanwhile more is tried one by one, as evenly as the number of the
settings would go: so a minute that leaks is used. A few such tries may be saved up, since a leak has a bucket, until a
refusal shows that it has none; the more of them are refused, the
rarer they become. Where answers say what is left, so much
may go.

A clock minute lets a burst end at :59 and another begin at :00. It is believed only when answers have shown it: what is
left rose at a mark as it can under no sliding and no leaking minute. It is not believed for hours once an answer has
shown the opposite.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

MINUTE_SECONDS = 60.0
MARGIN_SECONDS = 1.0
MARK_MARGIN_SECONDS = 1.0
SOON_SECONDS = 10.0
PROBE_FASTER = 0.8
SLOWEST_PROBE_SECONDS = 60.0
HAND_BACK_SECONDS = 30 * 60.0
SHOWN_HAND_BACK_SECONDS = 10 * 60.0
SLOWEST_HAND_BACK_SECONDS = 4 * 3600.0
UNSURE_AT_ONCE = 2
PROBE_REQUESTS = 2
PROBES_SAVED = 3
"""So many tries that were not needed may be made later at once: as many as an update may take."""

PASSED_IN_A_ROW = 5
"""After so many tries that passed one that is refused met others who spend, not a pace that is too fast."""

SHOWN_SECONDS = 10.0
"""So long what an answer said of what is left is relied on: others spend too."""

FEWEST_READS, LEAK_SECONDS = 2, 3.0
"""More reads are needed than a leak gives back from just before a mark until just after it, and one on either side."""

STILL_NEEDED = 2
"""A leaking minute may seem to stand still once."""

RISE_SECONDS = 10.0
"""Longer before a mark than this nothing tells that what is left rose there, and not at an instant of its own."""

DISPROVED_SECONDS = TRY_AGAIN_SECONDS = 4 * 3600.0
STILL_REQUESTS = 3
SLOWEST_ANSWER_SECONDS = 15.0
"""So long after it was counted an answer comes at the latest."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the headers of an answer said: the company's limit, what is left of it, when it is whole again."""

    limit: int | None = None
    remaining: int | None = None


class Budget:
    """At most `per_minute` requests in any minute, and the waits that 429s demand.

    `margin` seconds are added to the minute, for the difference between the clocks' rates and the server's rounding.
    """

    def __init__(self, per_minute: int, *, margin: float = MARGIN_SECONDS) -> None:
        self.per_minute = per_minute
        self._margin = margin
        self._spent: deque[float] = deque()
        self._refusals: deque[float] = deque()
        self._out = 0
        self._began_at: float | None = None
        self._expected = 0
        self._wait_until = self._barred_until = self._soon_until = -math.inf
        self._at_once = per_minute
        self._learned: int | None = None
        self._sure = per_minute
        self._hand_back_after = HAND_BACK_SECONDS
        self._hand_back_at = -math.inf
        self._handed_back = False
        self._probe_gap = MINUTE_SECONDS / per_minute
        self._probe_at = math.inf
        self._saved = PROBES_SAVED
        self._probed_at = -math.inf
        self._tries = self._hurried = False
        self._passed_tries = 0
        self._left = 0
        self._left_at = -math.inf
        self._minute = ClockMinute()

    # -- what may go -----------------------------------------------------------------------------------------------

    @property
    def granted(self) -> int:
        """How many requests a minute are known to pass: the settings' number, or less."""
        return self.per_minute if self._learned is None else max(1, min(self.per_minute, self._learned))

    @property
    def pace(self) -> int:
        """How many requests a minute pass, whether at once or one by one."""
        if self._learned is None:
            return self.per_minute
        return min(self.per_minute, max(self.granted, int(MINUTE_SECONDS / self._probe_gap)))

    @property
    def one_by_one(self) -> bool:
        """Whether more passes one by one than at once: then who waits is late by moments, not by a minute."""
        return self.pace > self.granted

    @property
    def by_clock(self) -> bool:
        """Whether Aircall is known to count by the clock's minutes."""
        return self._minute.is_known

    def may_show_minute(self, now: float, reads: int) -> bool:
        """Whether so many reads, of which the last follows a mark and the others precede it, would tell if it does.

        False where that is known, or was tried in vain of late, and while answers do not say what is left.
        """
        return self._minute.may_be_tried(now) and reads > FEWEST_READS + LEAK_SECONDS * self.per_minute / MINUTE_SECONDS

    def shows_minute(self, now: float) -> None:
        """Such reads are made now."""
        self._minute.tried(now)

    def take(self, now: float, requests: int = 1) -> bool:
        """Reserve `requests` if they may go at `now`; all or none."""
        if now < self._blocked_until or self._waits_for_answers(now, requests):
            return False
        if self.remaining(now) < requests:
            if not self._is_left(now, requests) and (not self._may_probe(now, requests) or now < self._probe_at):
                return False
            self._tries = True
        self._left -= requests
        self._use_probe(now, requests, now + requests * self._probe_gap)
        if not self._out:
            self._began_at = now
        self._out += requests
        self._expected += requests
        return True

    def is_blocked(self, now: float) -> bool:
        """Whether nothing may go at `now`: what was reserved before has to wait too."""
        return now < self._blocked_until

    def _waits_for_answers(self, now: float, requests: int) -> bool:
        """Whether those that are out have to be answered first: after a 429, and beyond what is sure."""
        at_once = self._at_once
        if self._used(now) + self._out + requests > self._sure:
            at_once = min(at_once, UNSURE_AT_ONCE)
        return self._out > 0 and self._out + requests > at_once

    def _is_left(self, now: float, requests: int) -> bool:
        """Whether an answer has just said that so many are left."""
        shown = 0.0 <= now - self._left_at < SHOWN_SECONDS and requests <= self._left
        return shown and self._used(now) + self._out + requests <= self.per_minute

    def _use_probe(self, now: float, requests: int, most: float) -> None:
        """What goes takes the place of what may be tried; the next may be tried at `most` at the latest."""
        if self._learned is None or now < self._blocked_until:
            return
        saved = max(self._probe_at, now - (self._saved - 1) * self._probe_gap)
        self._probe_at = max(self._probe_at, min(saved + requests * self._probe_gap, most))
        self._hurried = now < self._probed_at + self._probe_gap
        self._probed_at = now

    def _may_probe(self, now: float, requests: int) -> bool:
        """Whether one request beyond what is granted may be tried, once its time has come, or two that go together."""
        return requests <= PROBE_REQUESTS and not self._out and self._used(now) + requests <= self.per_minute

    def take_spare(self, now: float) -> bool:
        """Reserve a request that nobody waits for: half of the minute is left to what is owed."""
        return self.room(now) > self._kept and self.take(now)

    def spare_at(self, now: float) -> float | None:
        """When a request may go that nobody waits for; None while that depends on answers that are still out."""
        requests = self._kept + 1
        if self.one_by_one:
            at, short = self.next_at(now), requests - self.room(now)
            if at is None or short > len(self._spent):
                return None
            return max(at, self._spent[short - 1] + MINUTE_SECONDS + self._margin) if short > 0 else at
        at = None if self._waits_for_answers(now, requests) else self._granted_at(now, requests)
        return None if at is None else max(at, self._blocked_until)

    @property
    def _kept(self) -> int:
        return self.pace // 2

    def room(self, now: float) -> int:
        """How many requests of this minute are left, whether they may go at once or one by one."""
        self._hand_back(now)
        return max(0, self.pace - self._used(now) - self._out)

    def remaining(self, now: float) -> int:
        """How many requests may go at `now`, waits apart."""
        self._hand_back(now)
        return max(0, self.granted - self._used(now) - self._out)

    def next_at(self, now: float, requests: int = 1) -> float | None:
        """When `requests` may go; None while that depends on answers that are still out."""
        if self._waits_for_answers(now, requests):
            return None
        at = self._granted_at(now, requests)
        if self._is_left(now, requests):
            at = now
        elif requests <= PROBE_REQUESTS and not self._out:
            at = min(math.inf if at is None else at, self._next_probe_at(now, requests))
        return None if at is None or math.isinf(at) else max(at, now, self._blocked_until)

    def _granted_at(self, now: float, requests: int) -> float | None:
        """When so many are granted, waits apart; None while that depends on answers that are still out."""
        if self.remaining(now) >= requests:
            return now
        if self.by_clock:
            return self._minute.next_at(now) if self._out + requests <= self.granted else None
        short = len(self._spent) + self._out + requests - self.granted
        return self._spent[short - 1] + MINUTE_SECONDS + self._margin if short <= len(self._spent) else None

    def _next_probe_at(self, now: float, requests: int) -> float:
        """When so many beyond what is granted may be tried."""
        beyond = self._used(now) + requests - 1 - self.per_minute
        if beyond < 0:
            return self._probe_at
        known = not self.by_clock and beyond < len(self._spent)
        return max(self._probe_at, self._spent[beyond] + MINUTE_SECONDS + self._margin) if known else math.inf

    def room_until(self, now: float, until: float) -> int:
        """How many requests may go from `now` to `until`, each counted once."""
        if self.by_clock:
            return self.granted * (1 + int(until / MINUTE_SECONDS) - int(now / MINUTE_SECONDS)) - self._used(now)
        self._forget(now)
        kept = sum(at > until - MINUTE_SECONDS - self._margin for at in self._spent)
        one_by_one = 0 if self._learned is None else int((until - now) / self._probe_gap)
        return max(one_by_one, self.granted - kept - self._out)

    def _used(self, now: float) -> int:
        self._forget(now)
        return self._minute.used(self._spent, now) if self.by_clock else len(self._spent)

    # -- what happened ---------------------------------------------------------------------------------------------

    def give_back(self, requests: int = 1) -> None:
        """What was reserved has ended; what was really sent of it is counted by `spent`."""
        self._out -= requests
        self._expected = min(self._expected, self._out)
        if self._tries and not self._out:
            # No 429 came: it passed.
            self._tries = False
            self._passed_tries += 1
            self._probe_gap = max(self._probe_gap * PROBE_FASTER, MINUTE_SECONDS / self.per_minute)

    def spent(self, now: float) -> None:
        """A request has ended, answered or not."""
        self._forget(now)
        self._spent.append(now)
        extra = self._expected == 0
        self._expected = max(0, self._expected - 1)
        if extra:
            # One that was taken became two, such as an update that another version has to be asked for.
            self._left -= 1
            self._use_probe(now, 1, now + PROBES_SAVED * self._probe_gap)
        passed = self._passed(now)
        if passed <= self.granted:
            self._sure, self._tries = max(self._sure, passed), False
        if now >= self._blocked_until:
            self._at_once = min(2 * self._at_once, self.per_minute)

    def shown(self, now: float, shown: Shown) -> None:
        """The headers of the answer that has just come said this."""
        if shown.remaining is None:
            return
        self._forget(now)
        others_out = max(0, self._out - 1)
        self._minute.shown(now, shown, sent=self._began_at)
        self._left, self._left_at = shown.remaining - others_out, now
        if not math.isinf(self._probe_at):
            # Nothing is owed to a leak: one more is there soon.
            self._probe_at = min(self._probe_at, max(self._blocked_until, now + self._probe_gap))
        # What is out may be counted already, and what was answered a minute ago may be counted still.
        grant = len(self._spent) - len(self._refusals) + others_out + max(shown.remaining, 0)
        if grant < self.granted:
            # Others spend too.
            self._sure = self._learned = max(1, grant)
            self._hand_back_at = now + SHOWN_HAND_BACK_SECONDS
            if math.isinf(self._probe_at):
                self._probe_at = now + self._probe_gap

    def limited(self, now: float, wait: float) -> None:
        """A 429 came: nothing goes for `wait` seconds, and then one by one."""
        self._forget(now)
        self._refusals.append(now)
        if now < self._blocked_until:
            # Of the same crowd as one before.
            self.refused(now + wait)
            return
        passed = self._passed(now)
        self._minute.refused(now, within=self._used(now) <= self.granted)
        if now < self._soon_until or self._learned is not None:
            self._learn(passed)
        self._sure = min(passed, self._sure)
        self._soon_until = now + wait + SOON_SECONDS
        self._at_once = 1
        self._left, self._tries = 0, False
        self._hand_back_at = now + wait + self._hand_back_after
        self._probe_at = now + max(wait, self._probe_gap)
        self.refused(now + wait)

    def _learn(self, passed: int) -> None:
        """The second 429 in a row."""
        if self._learned is not None and passed >= self._learned:
            # It was one of those that were only tried.
            if self._hurried:
                # It came too soon after another: that says nothing of the pace.
                self._saved = 1
            else:
                if self._passed_tries < PASSED_IN_A_ROW:
                    self._probe_gap = min(2 * self._probe_gap, SLOWEST_PROBE_SECONDS)
                self._passed_tries = 0
        if self._handed_back:
            self._hand_back_after = min(2 * self._hand_back_after, SLOWEST_HAND_BACK_SECONDS)
        self._handed_back = False
        self._sure = self._learned = max(1, passed if self._learned is None else min(passed, self._learned))

    def refused(self, until: float) -> None:
        """Nothing goes before `until`."""
        self._wait_until = max(self._wait_until, until)

    def barred(self, until: float) -> None:
        """The credentials were refused: nothing goes before `until`, unless others are `admitted` before."""
        self._barred_until = max(self._barred_until, until)

    def admitted(self) -> None:
        """Other credentials have taken the place of those that were refused."""
        self._barred_until = -math.inf

    @property
    def _blocked_until(self) -> float:
        return max(self._wait_until, self._barred_until)

    def stepped(self, seconds: float) -> None:
        """The clock jumped by so many seconds: what was spent stays as long ago as it was."""
        self._spent = deque(at + seconds for at in self._spent)
        self._refusals = deque(at + seconds for at in self._refusals)
        self._wait_until += seconds
        self._barred_until += seconds
        self._soon_until += seconds
        self._hand_back_at += seconds
        self._probe_at += seconds
        self._probed_at += seconds
        self._left_at += seconds
        if self._began_at is not None:
            self._began_at += seconds
        self._minute = ClockMinute()

    def _passed(self, now: float) -> int:
        """How many requests passed in the last minute."""
        recent = sum(at > now - MINUTE_SECONDS for at in self._spent)
        return max(0, recent - sum(at > now - MINUTE_SECONDS for at in self._refusals))

    def _hand_back(self, now: float) -> None:
        if self._learned is None or now < self._hand_back_at:
            return
        self._learned += max(1, self._learned // 4)
        self._saved = PROBES_SAVED
        self._hand_back_at, self._handed_back = now + self._hand_back_after, True
        if self._learned >= self.per_minute:
            self._learned, self._probe_at = None, math.inf

    def _forget(self, now: float) -> None:
        for times in (self._spent, self._refusals):
            while times and times[0] <= now - MINUTE_SECONDS - self._margin:
                times.popleft()
            while times and times[-1] > now + MINUTE_SECONDS:
                times.pop()


@dataclass(slots=True)
class _Stretch:
    """Answers to requests of which the first was sent at `began`, when nothing else was out; the last came at `ended`.

    `left` is the least that they showed. Of two stretches the earlier was counted whole before anything of the later.
    """

    began: float
    ended: float = math.inf
    answers: int = 0
    left: float = math.inf


class ClockMinute:
    """Whether Aircall counts by the clock's minutes, as far as answers have shown it.

    Only stretches are compared, since answers overtake each other. What is left rises a lot at a mark of the clock:
    more than a sliding minute can give, which still counts all of the last sixty seconds, and more than leaks within
    those few seconds. That is a proof. Or it is more than a sliding minute can give, and stands still in between, where
    a leak would give some of it back: others who spend may make that seem so, so it has to be shown more than once.
    """

    def __init__(self) -> None:
        self._stood_still = 0
        self._recovered = self._rose = False
        self._disproved_until = self._try_at = -math.inf
        self._says_what_is_left = False
        self._stretches: list[_Stretch] = []

    @property
    def is_known(self) -> bool:
        """Whether it does: shown often enough, and not contradicted since."""
        return self._rose or (self._recovered and self._stood_still >= STILL_NEEDED)

    def may_be_tried(self, now: float) -> bool:
        """Whether reads on both sides of a mark might show it: answers say what is left, and no such try was in vain.

        Nor has an answer shown the opposite of late.
        """
        return self._says_what_is_left and not self.is_known and now >= max(self._try_at, self._disproved_until)

    def tried(self, now: float) -> None:
        """Such reads were made: others, if these were in vain, not soon."""
        self._try_at = now + TRY_AGAIN_SECONDS

    def used(self, spent: deque[float], now: float) -> int:
        """How much of the minute at `now` is used; just after a mark, of the one before: it may last, and is fuller."""
        return _within(spent, math.floor((now - MARK_MARGIN_SECONDS) / MINUTE_SECONDS))

    def next_at(self, now: float) -> float:
        """When the next minute has begun for sure."""
        return (math.floor((now - MARK_MARGIN_SECONDS) / MINUTE_SECONDS) + 1) * MINUTE_SECONDS + MARK_MARGIN_SECONDS

    def shown(self, now: float, shown: Shown, *, sent: float | None) -> None:
        """An answer showed so much as remaining.

        Only what was answered so counts against a sliding minute: what broke off may never have been counted there.
        `sent` is since when requests have been out without a pause: this one was sent no earlier. Where nobody knows
        that it is not compared with other answers, and counted as much earlier as an answer may be late.
        """
        own = self._join(now, now - SLOWEST_ANSWER_SECONDS if sent is None else sent)
        remaining, limit = shown.remaining, shown.limit
        if sent is None or remaining is None or limit is None:
            return
        self._says_what_is_left = True
        if now >= self._disproved_until:
            before = [one for one in self._stretches if one.began < sent and one.ended <= sent]
            self._compare(before, own, now, remaining, limit)
        own.left = min(own.left, remaining)

    def _join(self, now: float, began: float) -> _Stretch:
        """Count an answer to its stretch, and forget those of which a request may be older than a minute."""
        self._stretches = [one for one in self._stretches if now - MINUTE_SECONDS < one.began and one.ended <= now]
        own = next((one for one in self._stretches if one.began == began), None)
        if own is None:
            own = _Stretch(began)
            self._stretches.append(own)
        own.ended = now
        own.answers += 1
        return own

    def _compare(self, before: list[_Stretch], own: _Stretch, now: float, remaining: int, limit: int) -> None:
        """Compare what is left with what earlier stretches showed."""
        known = [one for one in before if not math.isinf(one.left)]
        if any(_same_minute(one.began, now) and remaining >= one.left for one in known):
            self._disprove(now)
            return
        if not known:
            return
        last = known[-1]
        if _same_minute(last.began, now):
            since = own.answers + sum(one.answers for one in before if one.began > last.began)
            # A minute that leaks would have got so many back; others who spend leave less.
            waited = own.began - last.ended >= STILL_REQUESTS * MINUTE_SECONDS / limit
            self._stood_still += waited and remaining == last.left - since
        if _same_minute(known[0].began, now) or remaining + 1 + sum(one.answers for one in before) <= limit:
            return
        # A sliding minute could not have so much left.
        self._recovered = True
        leaks = limit / MINUTE_SECONDS
        near = (one for one in known if now - one.began <= RISE_SECONDS)
        self._rose = self._rose or any(remaining > one.left + leaks * (now - one.began) for one in near)

    def refused(self, now: float, *, within: bool) -> None:
        """A 429 came, `within` what was thought to be granted."""
        if within and self.is_known:
            self._disprove(now)

    def _disprove(self, now: float) -> None:
        self._stood_still, self._recovered, self._rose = 0, False, False
        self._disproved_until = now + DISPROVED_SECONDS


def _within(spent: deque[float], minute: int) -> int:
    """How many may have been counted in this minute of the clock."""
    begin = minute * MINUTE_SECONDS
    return sum(begin - MARK_MARGIN_SECONDS <= at < begin + MINUTE_SECONDS + MARK_MARGIN_SECONDS for at in spent)


def _same_minute(one: float, other: float) -> bool:
    """Whether no mark of the clock lies between two instants, by whichever of two clocks."""
    first, last = one - MARK_MARGIN_SECONDS, other + MARK_MARGIN_SECONDS
    return math.floor(first / MINUTE_SECONDS) == math.floor(last / MINUTE_SECONDS)


def wait_after_429(retry_after: float | None, reset: float | None, now: float, chance: float) -> float:
    """Seconds to wait: Retry-After if sane, else until Reset (seconds, or milliseconds above 1e12), else a minute.

    Clamped to 1..120 s, with jitter on top.
    """
    if retry_after is not None and 0 < retry_after <= 86400:
        wait = retry_after
    elif reset is not None and reset > 0:
        wait = (reset / 1000 if reset >= 1e12 else reset) - now
    else:
        wait = MINUTE_SECONDS
    return min(max(wait, 1.0), 120.0) + chance
