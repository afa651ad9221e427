"""The ten-event script: what happens to five agents in 82 seconds, and what must hold afterwards.

The daemon is a real process that is killed in the middle. What the services do is the sandbox's, so that the same
script can be played under every way in which a doubtful point of theirs may turn out.
"""

from __future__ import annotations

import asyncio
import hashlib
import operator
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any

from calsyncd.sandbox.doubts import usual_ways
from calsyncd.sandbox.google_times import second, stamp
from calsyncd.sandbox.server import Request
from calsyncd.sandbox.world import Sandbox
from tests.acceptance.running import Running

WRONG_SECONDS = 0.5
"""How long a phone may be wrong at a time, beyond what is excused."""

JITTER_SECONDS = 1.0
"""What the daemon may wait on top of what a 429 says."""

DATE_SECONDS = 1.0
"""Where it says a date, that and the answer's own are in whole seconds: how long it is may be so much too long."""

IN_FLIGHT_SECONDS = 0.25
"""A request that left before the answer to another came may arrive so much after that answer."""

DEBOUNCE_SECONDS = 2.0
"""Between two fetches of a calendar."""

REQUESTS_OF_AN_UPDATE = 3
"""By one version, a look whether the user exists at all, and by the other."""

ROOM_SECONDS = 0.02
"""So often it is seen how much room a minute that leaks has."""

SOON_SECONDS = 10.0
"""A 429 so soon after the wait for another is a second one."""

SILENT_429_SECONDS = 60.0
"""The wait after a 429 that says nothing."""

PRELUDE_SECONDS = 70.0
TITLE = "Merger with Initech, do not tell"

AMY, BOB, CLEO, DORA, EVE, FAY, GUS = (
    f"{name}@example.com" for name in ("amy", "bob", "cleo", "dora", "eve", "fay", "gus")
)
USERS = {AMY: 1, BOB: 2, CLEO: 3, DORA: 4, EVE: 5, FAY: 6, GUS: 7}
STATUSES = {BOB: "unavailable", CLEO: "custom"}
REASON = "in_training"

Span = tuple[float, float]


@dataclass(frozen=True)
class Trouble:
    """What is done to the daemon beside the events.

    `calls`: agents are in calls over the boundaries of their meetings. `used_up`: somebody else uses up the company's
    requests at moments when the daemon needs them. `others`: requests a minute of another integration, and `ours` what
    the settings grant the daemon.
    """

    calls: bool = False
    used_up: bool = False
    others: int = 0
    ours: int = 100


@dataclass
class Script:
    """Events are placed in whole seconds after `zero`, and each edit is noted as the truth from its instant on.

    `zero` itself is so much of a second after a whole one as `fraction` says: Google writes whole seconds, but where
    many scripts are played side by side, all would come to all of their events in the same instants.
    """

    sandbox: Sandbox
    daemon: Running
    ways: Mapping[str, str] = field(default_factory=usual_ways)
    trouble: Trouble = field(default_factory=Trouble)
    fraction: float = 0.0
    zero: float = 0.0
    busy: dict[str, list[Span]] = field(default_factory=dict)
    edits: list[tuple[str, float]] = field(default_factory=list)
    calls: list[tuple[str, float, float]] = field(default_factory=list)
    down: Span = (0.0, 0.0)
    begun: float = 0.0
    ended: float = 0.0
    no_room: list[Span] = field(default_factory=list)
    exit_status: int | None = None

    @property
    def has_prelude(self) -> bool:
        """A 429 that says nothing costs a minute: it is met before the events."""
        return has_prelude(self.ways, self.trouble)

    @property
    def agents(self) -> list[str]:
        """Who is followed."""
        return followed(self.ways, self.trouble)

    @property
    def now(self) -> float:
        """Seconds after zero."""
        return time.time() - self.zero

    async def at(self, offset: float) -> None:
        """Wait until `offset`."""
        await asyncio.sleep(max(0.0, offset - self.now))

    def times(self, start: float, end: float) -> dict[str, Any]:
        """The fields of an event from `start` to `end`."""
        return {
            name: {"dateTime": stamp(self.zero + at) if self.fraction else second(self.zero + at), "timeZone": "UTC"}
            for name, at in (("start", start), ("end", end))
        }

    def add(self, who: str, start: float, end: float, *, counts: bool = True, **more: Any) -> str:
        """Put an event into the calendar; one that counts makes the agent busy, from now on at the earliest."""
        event = self.sandbox.google.insert(who, {"summary": TITLE, **self.times(start, end), **more})
        if counts:
            self.busy.setdefault(who, []).append((start, end))
        return str(event["id"])

    def cancel(self, who: str, event: str, start: float) -> None:
        """Delete an event that has made the agent busy since `start`."""
        self.sandbox.google.delete(who, event)
        self.busy.setdefault(who, []).append((start, self.now))
        self.edits.append((who, self.now))

    # -- what is played --------------------------------------------------------------------------------------------

    async def play(self) -> None:
        """Everything, from the start of the daemon to its end."""
        await self.daemon.start()
        self.zero = float(int(time.time()) + 2) + self.fraction + (PRELUDE_SECONDS if self.has_prelude else 0.0)
        self.begun = self.now
        beside = [asyncio.create_task(self._others())]
        if self.ways["minute"].startswith("leaky"):
            beside.append(asyncio.create_task(self._see_room()))
        if self.trouble.calls:
            beside.append(asyncio.create_task(self._calls()))
        if self.trouble.used_up:
            beside.append(asyncio.create_task(self._use_up()))
        try:
            await self._ten_events()
        finally:
            for task in beside:
                task.cancel()
            results = await asyncio.gather(*beside, return_exceptions=True)
        broken = [result for result in results if isinstance(result, Exception)]
        if broken:
            raise broken[0]

    async def _ten_events(self) -> None:
        if self.has_prelude:
            self.add(FAY, -66, -58)
            self.add(GUS, -62, 4)
            self.begun = -64.5
            await self.at(-3)
        # 1 starts and ends · 2, 3 back-to-back · 4, 5 nested · 6 declined · 7 free
        self.add(AMY, 6, 10)
        self.add(AMY, 13, 17)
        self.add(AMY, 17, 21)
        self.add(AMY, 24, 34)
        self.add(AMY, 26, 29)
        refused = self.add(AMY, 36, 40, counts=False, attendees=[{"email": AMY}])
        # Of two states of an event the one that was updated later counts: not in the same millisecond.
        await asyncio.sleep(0.01)
        self.sandbox.google.respond(AMY, refused, "declined")
        self.add(AMY, 36, 40, counts=False, transparency="transparent")
        # By hand: unavailable before the meeting, and after it. Cleo is on Auto.
        self.add(BOB, 13, 17)
        self.add(CLEO, 14, 19)
        # Eve is invited as one of a group; a series for seven months; an event without length; one beyond the window.
        self.add(EVE, 8, 12, attendees=[{"email": "team@example.com"}])
        # A recurrence rule knows whole seconds only.
        first = 28 - self.fraction
        series = self.add(EVE, first, 46 - self.fraction, counts=False, recurrence=["RRULE:FREQ=WEEKLY;COUNT=30"])
        self.add(EVE, 48, 48, counts=False)
        far = self.add(EVE, 20 * 86400, 20 * 86400 + 60, counts=False)

        await self.at(22)
        later = self.add(DORA, 3000, 3060, counts=False)
        for minutes in range(12):
            self.sandbox.google.patch(DORA, later, self.times(3000, 3120 + 60 * minutes))
            await asyncio.sleep(0.03)
        await self.at(36)
        self.cancel(EVE, series, first)

        # 8 created five seconds before its start; Eve's far one moved as late
        await self.at(41)
        self.add(AMY, 46, 50)
        # 9 cancelled in the middle
        cancelled = self.add(AMY, 53, 63, counts=False)
        await self.at(44)
        self.sandbox.google.patch(EVE, far, self.times(49, 54))
        self.busy[EVE].append((49, 54))
        await self.at(57)
        self.cancel(AMY, cancelled, 53)
        # 10 killed during a meeting, restarted after its end · 11, 12 created while it was down
        self.add(AMY, 62, 66)
        self.add(CLEO, 62, 66)
        await self.at(64)
        killed = self.now
        await self.daemon.kill()
        await self.at(65)
        self.add(DORA, 67, 76)
        self.add(AMY, 74, 78)
        await self.at(70)
        await self.daemon.start()
        self.down = (killed, self.now)
        await self.at(82)
        # Whoever waits for a 429's end now is to be right when it has come.
        while (last := max((until for _, until in self.waits()), default=0.0) + JITTER_SECONDS + 1.0) > self.now:
            await self.at(last)
        self.ended = self.now
        self.exit_status = await self.daemon.stop()

    async def _others(self) -> None:
        """Another integration spends its share, evenly."""
        while self.trouble.others:
            self.sandbox.aircall.switches.budget.take(time.time())
            await asyncio.sleep(60.0 / self.trouble.others)

    async def _calls(self) -> None:
        """Calls that begin before, in and after a boundary, and one over the restart."""
        self.calls = [(BOB, 11, 18), (CLEO, 11.5, 20.5), (AMY, 23, 35.5), (EVE, 33, 38.5), (DORA, 66, 73)]
        changes: list[tuple[float, str, str | None]] = [(72.0, DORA, "after_call_work")]
        for who, start, end in self.calls:
            changes += [(start, who, "in_call"), (end, who, None)]
        for offset, who, state in sorted(changes, key=lambda change: change[0]):
            await self.at(offset)
            self.sandbox.aircall.set_live(USERS[who], state)

    async def _use_up(self) -> None:
        """The company's requests are gone when one is needed: for a start, and for two ends."""
        spans = [(-64.5, -61.5)] if self.has_prelude else [(33.5, 36.5), (52.5, 55.0)]
        for start, end in spans:
            await self.at(start)
            self.sandbox.aircall.switches.budget.fill(self.zero + end)

    async def _see_room(self) -> None:
        """When Aircall itself would not have taken all requests of an update at once."""
        budget, before = self.sandbox.aircall.switches.budget, self.now
        while True:
            await asyncio.sleep(ROOM_SECONDS)
            now = self.now
            if budget.remaining(time.time()) < REQUESTS_OF_AN_UPDATE:
                self.no_room.append((before, now))
            before = now

    # -- what is excused -------------------------------------------------------------------------------------------

    def waits(self) -> list[Span]:
        """Each 429, with the end of the wait that it signalled."""
        refused = [request for request in self.sandbox.aircall.requests if request.status == 429]
        return [(request.at - self.zero, signalled(request) - self.zero) for request in refused]

    def excuses(self, who: str) -> list[Span]:
        """When this agent may have been wrong, and by no fault of the daemon's.

        While it was down · while a 429 made it wait, its rounding and the jitter · in the minute after a second 429
        that came soon after such a wait, from one request to the next where that waits its turn · for the pause of 1,
        2, 4 ... seconds after each of the refusals in a row of their updates · while the requests of the last minute
        are all that the settings grant · while a minute that leaks has less room than an update takes · until a delayed
        notification of an edit came, and for what was left of the two seconds after the fetch before it · in a call,
        where updates are done only when it ends.
        """
        found = [self.down, *self._turns(), *self._spent(), *united(self.no_room)]
        rounded = DATE_SECONDS if self.ways["rate_signal"] == "retry_after_date" else 0.0
        found += [(at, until + rounded + JITTER_SECONDS) for at, until in self.waits()]
        pause = 1.0
        for request in self._puts(who):
            if request.status == 405 and b"currently" in request.answer:
                found.append((request.at - self.zero, request.at - self.zero + pause))
                pause = min(pause * 2, 60.0)
            elif request.status == 200:
                pause = 1.0
        for at in (at for edited, at in self.edits if edited == who):
            told = at + self.sandbox.google.notify.delay
            earlier = [fetch for fetch in self.fetches(who) if told - DEBOUNCE_SECONDS < fetch < told]
            found.append((at, max([told, *(fetch + DEBOUNCE_SECONDS for fetch in earlier)])))
        if self.sandbox.aircall.switches.in_call == "deferred":
            found += [(start, end) for caller, start, end in self.calls if caller == who]
        return found

    def _turns(self) -> list[Span]:
        """The turns after each request, where a second 429 made them go evenly: each of an update takes one.

        A turn is twice as long after each one that was refused, and a fifth shorter after each that passed. What is
        late beyond its turn is late.
        """
        pace = gap = 60.0 / self.trouble.ours
        minutes = [
            (at, end + JITTER_SECONDS + 60.0)
            for (_, until), (at, end) in pairwise(self.waits())
            if until <= at + IN_FLIGHT_SECONDS and at < until + JITTER_SECONDS + SOON_SECONDS
        ]
        sent: list[tuple[float, float]] = []
        for request in sorted(self.sandbox.aircall.requests, key=lambda one: one.at):
            at = request.at - self.zero
            # With the turn as it was before this one.
            sent.append((at, gap))
            refused = request.status == 429 and any(start < at < end for start, end in minutes)
            gap = 2 * gap if refused else max(pace, 0.8 * gap)
        turns = [
            (earlier, sum(turn for at, turn in sent if earlier - IN_FLIGHT_SECONDS < at <= earlier), later)
            for (earlier, _), (later, _) in pairwise(sent)
            if any(start <= later < end for start, end in minutes)
        ]
        return [(earlier, min(later, earlier + turn)) for earlier, turn, later in turns]

    def _spent(self) -> list[Span]:
        """When a process has sent in a minute all that its settings grant."""
        sent = sorted(r.at - self.zero for r in self.sandbox.aircall.requests)
        lives = [[at for at in sent if at < self.down[1]], [at for at in sent if at >= self.down[1]]]
        return [
            (last, first + 61.0 + IN_FLIGHT_SECONDS)
            for life in lives
            for first, last in zip(life, life[self.trouble.ours - 1 :], strict=False)
        ]

    def _puts(self, who: str) -> list[Request]:
        path = f"/users/{USERS[who]}"
        return [r for r in self.sandbox.aircall.requests if r.method == "PUT" and r.path.endswith(path)]

    # -- what must hold --------------------------------------------------------------------------------------------

    def wrong_times(self, who: str) -> list[tuple[float, float, str]]:
        """When the phone differed from the calendar: (from, to, how)."""
        user, spans = USERS[who], self.busy.get(who, [])
        history = self.sandbox.aircall.history(user)
        cuts = {t for span in spans for t in span} | {at - self.zero for at, _ in history} | {self.begun, self.ended}
        found: list[tuple[float, float, str]] = []
        for start, end in pairwise(sorted(cut for cut in cuts if self.begun <= cut <= self.ended)):
            middle = (start + end) / 2
            truly = any(a <= middle < b for a, b in spans)
            shown = self.sandbox.aircall.state_at(user, self.zero + middle)
            if truly == (shown.status == "unavailable"):
                continue
            how = "ringing" if truly else "unreachable"
            if found and found[-1][1:] == (start, how):
                found[-1] = (found[-1][0], end, how)
            else:
                found.append((start, end, how))
        return found

    def faults(self) -> list[str]:
        """Everything that was wrong, in sentences."""
        self.busy[BOB] = [(self.begun, self.ended)]
        return [
            *(fault for who in self.agents for fault in self._wrong_phones(who)),
            *(fault for who in self.agents for fault in self._wrong_updates(who)),
            *self._wrong_waits(),
            *self._wrong_requests(),
            *self._wrong_log(),
        ]

    def worst(self) -> float:
        """The longest time that a phone was wrong without an excuse."""
        return max(
            (
                unexcused((start, end), self.excuses(who))
                for who in self.agents
                for start, end, _ in self.wrong_times(who)
            ),
            default=0.0,
        )

    def _wrong_phones(self, who: str) -> list[str]:
        excuses = self.excuses(who)
        return [
            f"{who} was {how} from {start:.2f} to {end:.2f}, {seconds:.2f} s of it without an excuse"
            for start, end, how in self.wrong_times(who)
            if (seconds := unexcused((start, end), excuses)) > WRONG_SECONDS
        ]

    def _wrong_updates(self, who: str) -> list[str]:
        """Two updates for each stretch of meetings: to unavailable, and to what was before. None changes nothing."""
        log = [one for one in self.sandbox.aircall.log if one.user == USERS[who] and one.by == "api"]
        changes = [(one.before.status, one.after.status) for one in log if one.is_change]
        usual = STATUSES.get(who, "available")
        pair = [(usual, "unavailable"), ("unavailable", usual)]
        stretches = [] if who == BOB else united(self.busy.get(who, []))
        excuses = self.excuses(who)
        # Where nothing could be done from one stretch to the next, they are one.
        apart = united(stretches, lambda start, end: unexcused((start, end), excuses) <= WRONG_SECONDS)
        needed = sum(unexcused(stretch, excuses) > WRONG_SECONDS for stretch in apart)
        found = []
        if changes != pair * (len(changes) // 2):
            found.append(f"{who} was changed {changes}")
        if not 2 * needed <= len(changes) <= 2 * len(stretches):
            found.append(f"{who} was changed {len(changes)} times in {len(stretches)} stretches, {needed} unexcused")
        idle = [round(one.at - self.zero, 2) for one in log if not one.is_change]
        # Where an answer does not show what was done, or it is done later, another update may say the same again.
        if idle and self.ways["read_lag"] != "answers" and self.ways["in_call"] != "deferred":
            found.append(f"{who} was updated without a change at {idle}")
        if who == EVE:
            wanted = REASON if self.ways["substatus"] == "taken" else None
            reasons = {one.after.substatus for one in log if one.after.status == "unavailable"}
            found += [f"{who} was given the reasons {reasons}"] * bool(reasons - {wanted})
        return found

    def _wrong_waits(self) -> list[str]:
        """Nothing is asked of Aircall while a 429 makes us wait, by the process that was told."""
        found = []
        for at, until in self.waits():
            told_until = self.down[0] if at < self.down[0] else self.ended
            early = [
                f"{r.method} {r.path} at {r.at - self.zero:.2f}"
                for r in self.sandbox.aircall.requests
                if at + IN_FLIGHT_SECONDS < r.at - self.zero < min(until, told_until)
            ]
            found += [f"a 429 at {at:.2f} asked to wait until {until:.2f}, but then came {', '.join(early)}"] * bool(
                early
            )
        if self.trouble.used_up and not self.waits():
            found.append("nobody met a 429")
        return found

    def _wrong_requests(self) -> list[str]:
        found = []
        seam = [
            f"{r.method} {r.path} at {r.at - self.zero:.2f}"
            for r in self.sandbox.aircall.requests
            if r.path.endswith(f"/users/{USERS[AMY]}") and abs(r.at - self.zero - 17) < 1.5
        ]
        # What an answer did not show is looked after five seconds later, and so is what a webhook tells too late to be
        # known for our own doing; what a 429 put off comes when it may.
        if self.ways["read_lag"] == "answers" or self.ways["webhooks"] == "late":
            seam = [line for line in seam if line.startswith("PUT")]
        if not self.waits():
            found += [f"at the seam of two meetings: {', '.join(seam)}"] * bool(seam)
        burst = sum(22 <= at < 27 for at in self.fetches(DORA))
        # A new channel's first message asks for a fetch too.
        most = 4 if self.sandbox.google.notify.most_life < 60 else 2
        if not 1 <= burst <= most:
            found.append(f"13 edits led to {burst} fetches")
        crashes = [*self.sandbox.google.crashes, *self.sandbox.aircall.crashes]
        return found + [f"the sandbox crashed: {crash!r}" for crash in crashes]

    def fetches(self, who: str) -> list[float]:
        """When an agent's calendar was read, however many pages that took."""
        quota_user = hashlib.sha256(who.encode()).hexdigest()[:40]
        return [
            r.at - self.zero
            for r in self.sandbox.google.requests
            if (r.method, r.status, r.param("quotaUser")) == ("GET", 200, quota_user) and r.param("pageToken") is None
        ]

    def requests(self) -> str:
        """Every request of the daemon with its answer, a line each."""
        asked = sorted([*self.sandbox.google.requests, *self.sandbox.aircall.requests], key=lambda r: r.at)
        return "".join(
            f"{r.at - self.zero:9.3f} {r.method} {r.path} {dict(r.query)} {r.body!r} {r.status} {r.answer[:500]!r}\n"
            for r in asked
        )

    def _wrong_log(self) -> list[str]:
        found = [f"the daemon ended with {self.exit_status}"] * (self.exit_status != 0)
        found += ["a title is in the log"] * any(TITLE[:12] in line for line in self.daemon.raw)
        found += [
            f"the log has an error: {line.get('action')}: {line.get('event')}"
            for line in self.daemon.lines
            if line.get("level") in {"error", "critical"} or line.get("action") is None
        ]
        return found


def unexcused(span: Span, excuses: Sequence[Span]) -> float:
    """Seconds of a span that no excuse covers."""
    start, end = span
    cuts = sorted({start, end, *(t for excuse in excuses for t in excuse if start < t < end)})
    return sum(b - a for a, b in pairwise(cuts) if not any(x <= a and b <= y for x, y in excuses))


def united(spans: Sequence[Span], seamless: Callable[[float, float], bool] = operator.ge) -> list[Span]:
    """Spans in order, as one where the way from the end of one to the start of the next is `seamless`."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and (start <= found[-1][1] or seamless(found[-1][1], start)):
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def signalled(request: Request) -> float:
    """Until when an answer of 429 says to wait, in epoch seconds: a second at least, a minute where it says nothing."""
    return max(request.at + 1.0, _told(request))


def _told(request: Request) -> float:
    headers = request.answer_headers
    if "retry-after" in headers:
        value = headers["retry-after"]
        return request.at + float(value) if value.isdigit() else parsedate_to_datetime(value).timestamp()
    if "x-aircallapi-reset" in headers:
        reset = float(headers["x-aircallapi-reset"])
        return reset / 1000 if reset >= 1e12 else reset
    return request.at + SILENT_429_SECONDS


def has_prelude(ways: Mapping[str, str], trouble: Trouble) -> bool:
    """Whether something happens before the events."""
    return trouble.used_up and ways["rate_signal"] == "none"


def followed(ways: Mapping[str, str], trouble: Trouble) -> list[str]:
    """The agents."""
    return list(USERS) if has_prelude(ways, trouble) else list(USERS)[:5]


def populate(sandbox: Sandbox, ways: Mapping[str, str], trouble: Trouble) -> list[Any]:
    """Give the agents their accounts and users; returns the settings' agents."""
    agents = followed(ways, trouble)
    for who in agents:
        sandbox.add_agent(who, user_id=USERS[who], status=STATUSES.get(who, "available"))
    # A reason of long ago, which may still be shown.
    sandbox.aircall.set_by_hand(USERS[EVE], "unavailable", "out_for_lunch")
    sandbox.aircall.set_by_hand(USERS[EVE], "available")
    if ways["list_meta"] != "full":
        for number in range(60):
            sandbox.aircall.add_user(f"other{number}@example.com", user_id=1000 + number)
    return [
        {"email": who, "calendars": ["primary"], **({"rules": {"substatus": REASON}} if who == EVE else {})}
        for who in agents
    ]
