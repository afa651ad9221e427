"""A recorded day, asked about second by second: what is told to be set, and by whom, is what Aircall really had."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path

import pytest

from calsyncd.core.byhand import EXTENSION, NOTHING, ByHand
from calsyncd.core.explain import Explanation, Story, Then, parts_of, stance_then
from calsyncd.core.guard import Floor
from calsyncd.core.model import Event, HistoryRow
from calsyncd.core.plan import StandingBack
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import build
from calsyncd.core.wording import sentences, status_word
from calsyncd.phones import Agent, Record, Wishes
from calsyncd.sandbox.aircall_users import Update

from .firm import Firm, Memory
from .person import Meetings, busy

HOUR = 3600.0
HOURS = 9
TEAM = ("amy@x", "ben@x", "cat@x", "dan@x", "eve@x", "fay@x", "gil@x")
AMY, BEN, CAT, DAN, EVE, FAY, GIL = TEAM
RULES = {EVE: Rules(enforce=True), FAY: Rules(lead=60, lag=120, bridge=600)}
ORIGINS = {"lag": "team fays", "bridge": "company"}
GRACE_SECONDS = 3
"""Near a boundary or a change of the calendar it is not yet known, or not yet acted on."""


class Pages(Memory):
    """Keeps the whole history."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[HistoryRow] = []

    def done(self, row: HistoryRow) -> None:
        """A change was made, or left alone."""
        super().done(row)
        self.rows.append(row)


@dataclass
class Diary:
    """What was done to the world, written down beside the daemon: calendars, pauses and settings, each with when."""

    calendars: dict[str, list[tuple[float, Meetings]]] = field(default_factory=dict)
    paused: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    removed: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    floors: list[tuple[float, float]] = field(default_factory=list)
    words: dict[str, list[tuple[float, ByHand]]] = field(default_factory=dict)
    by_hand: dict[str, list[float]] = field(default_factory=dict)
    lost: list[float] = field(default_factory=list)
    runs: dict[tuple[str, int, int], list[tuple[float, float]]] = field(default_factory=dict)

    def meetings(self, email: str, at: float) -> Meetings:
        """What the agent's calendar said at `at`."""
        return next((one for since, one in reversed(self.calendars.get(email, ())) if since <= at), ())

    def near(self, email: str) -> set[int]:
        """The seconds in which something has to be acted on, or has just had to be."""
        changes = [*(since for since, _ in self.calendars.get(email, [])), *(at for at, _ in self.words.get(email, ()))]
        spans = [*(pair for at in changes for pair in self.wanted(email, at)), *self.paused.get(email, ())]
        edges = [*changes, *(edge for pair in spans for edge in pair)]
        return {int(edge + offset) for edge in edges for offset in range(-GRACE_SECONDS, GRACE_SECONDS + 1)}

    def word(self, email: str, at: float) -> ByHand:
        """What had been said by hand of the agent's meetings by `at`."""
        return next((one for since, one in reversed(self.words.get(email, ())) if since <= at), NOTHING)

    def extension(self, email: str, at: float) -> tuple[float, float] | None:
        """From when to when the agent is extended by hand, at `at`."""
        one = self.word(email, at).extension
        return (one.since, one.until) if one is not None and one.since <= at < one.until else None

    def skipped(self, email: str, at: float) -> Meetings:
        """The meetings that were skipped by hand by `at`."""
        names = {name for name, _ in self.word(email, at).skipped}
        return tuple(one for one in self.meetings(email, at) if f"m{one[0]}" in names)

    def wanted(self, email: str, at: float) -> Meetings:
        """The meetings that count at `at`, with lead and lag, and the extension."""
        rules, skipped, extension = RULES.get(email, Rules()), self.skipped(email, at), self.word(email, at).extension
        counted = tuple(
            (start - rules.lead, end + rules.lag)
            for start, end in self.meetings(email, at)
            if (start, end) not in skipped
        )
        return counted if extension is None else (*counted, (extension.since, extension.until))

    def meeting(self, email: str, at: float) -> tuple[float, float] | None:
        """From when to when the agent is wanted off the phones without a break, at `at`."""
        told = bisect_right(self.calendars.get(email, ()), at, key=itemgetter(0))
        key = email, told, bisect_right(self.words.get(email, ()), at, key=itemgetter(0))
        if key not in self.runs:
            self.runs[key] = busy(self.wanted(email, at), RULES.get(email, Rules()).bridge)
        return next((pair for pair in self.runs[key] if pair[0] <= at < pair[1]), None)


class Day:
    """The company's day, and the pens of those who watch it."""

    def __init__(self, folder: Path, *, hooked: bool) -> None:
        people = [Agent(email, 500 + n, RULES.get(email, Rules())) for n, email in enumerate(TEAM)]
        self.firm = Firm(folder / "ledger", people, per_minute=100, disk_seconds=0.01, hooked=hooked)
        self.pages = Pages()
        self.firm.memory = self.pages
        self.diary = Diary()
        self.opened = self.firm.clock.now()

    def at(self, hours: float) -> float:
        """An instant of the day."""
        return self.opened + hours * HOUR

    async def until(self, hours: float) -> None:
        """Let time pass."""
        await self.firm.pass_time(self.at(hours) - self.firm.clock.now())

    def meet(self, email: str, *hours: tuple[float, float]) -> None:
        """The agent's calendar says exactly this from now on."""
        meetings = tuple((self.at(start), self.at(end)) for start, end in hours)
        now = self.firm.clock.now()
        self.diary.calendars.setdefault(email, []).append((now, meetings))
        self.firm.oracle.person(email).meet(meetings, now)
        self.firm.tell(email)

    async def pause(self, email: str, hours: float) -> None:
        """An operator leaves the agent alone for so long."""
        now = self.firm.clock.now()
        until = now + hours * HOUR
        self.diary.paused.setdefault(email, []).append((now, until))
        self.firm.oracle.person(email).paused_until = until
        await self.firm.command(lambda phones: phones.pause(email, until, "Dana", "training"))

    def change(self, email: str, status: str) -> None:
        """The agent changes the setting in Aircall's app."""
        self.diary.by_hand.setdefault(email, []).append(self.firm.clock.now())
        self.firm.by_hand(email, status)

    async def say(self, email: str, what: str, hours: float = 0.0) -> None:
        """An operator says something of the agent's meetings: skip, extend, or take back what was said."""
        firm = self.firm
        daemon, now = firm.daemon, firm.clock.now()
        assert daemon is not None

        async def retell(one: str) -> bool:
            firm.tell(one)
            return True

        wishes = Wishes(
            firm.clock, roster=daemon.roster, record=Record(daemon.disk, self.pages, firm.clock), retell=retell
        )
        match what:
            case "skip":
                deed = wishes.skip(email, None, "Dana", "client")
            case "extend":
                deed = wishes.extend(email, hours * HOUR, None, "Dana", "client")
            case _:
                deed = wishes.take_back(email, "Dana", "client")
        task = firm.beside(deed)
        await firm.pass_time(0.2)
        task.result()
        self.diary.words.setdefault(email, []).append((now, daemon.roster.by_hand(email)))

    def name(self, email: str, *, named: bool) -> None:
        """The settings name the agent, or do not."""
        now = self.firm.clock.now()
        if named:
            since, _ = self.diary.removed[email][-1]
            self.diary.removed[email][-1] = (since, now)
        else:
            self.diary.removed.setdefault(email, []).append((now, float("inf")))
        self.firm.oracle.person(email).configured = named
        assert self.firm.daemon is not None
        self.firm.daemon.phones.follow(self.firm.named())
        for one in TEAM:
            self.firm.tell(one)

    def observe(self, email: str) -> None:
        """The agent is only observed from now on."""
        self.firm.oracle.person(email).observed = True
        assert self.firm.daemon is not None
        self.firm.daemon.phones.follow(self.firm.named())

    def lose(self, *fates: str) -> None:
        """The next requests fare so."""
        self.diary.lost.append(self.firm.clock.now())
        self.firm.fates.extend(fates)  # type: ignore[arg-type]

    async def live(self) -> None:
        """Everything that may happen to an agent, in nine hours."""
        firm = self.firm
        firm.start()
        await self.until(0.01)
        quarters = [(hour + 0.5, hour + 0.75) for hour in range(HOURS - 1)]
        self.meet(AMY, (0.5, 1.0), (0.6, 0.8), (1.0, 1.5), (2.0, 3.0), (4.0, 4.5), (5.0, 6.0), (7.0, 7.5))
        self.meet(BEN, (0.5, 1.0), (2.0, 3.0), (4.0, 5.0), (7.0, 7.5))
        self.meet(CAT, (0.5, 1.0), (2.0, 3.0), (4.0, 5.0), (6.0, 6.5))
        self.meet(DAN, *quarters)
        self.meet(EVE, (1.0, 2.0), (4.0, 5.0), (6.5, 7.0), (8.1, 8.2))
        self.meet(FAY, (1.0, 1.5), (1.6, 2.0), (3.0, 3.5), (5.9, 6.4), (8.0, 8.3))
        gils: Meetings = ((0.5, 1.0), (1.5, 2.0), (3.0, 3.5), (4.65, 5.0), (5.6, 7.3), (8.3, 8.5))
        self.meet(GIL, *gils)
        await self.until(0.7)
        await self.say(GIL, "skip")
        await self.until(1.3)
        firm.by_hand(EVE, "available")
        await self.until(1.7)
        await self.say(GIL, "extend", 0.5)
        await self.until(1.9)
        firm.by_hand(BEN, "unavailable")
        await self.until(2.2)
        await self.say(GIL, "extend", 0.2)
        await self.until(2.3)
        firm.by_hand(AMY, "custom")
        self.meet(CAT, (0.5, 1.0), (2.0, 2.4), (4.0, 5.0), (6.0, 6.5))
        await self.until(3.2)
        firm.by_hand(BEN, "custom")
        gils = tuple(one for one in gils if one[0] != 3.0)
        self.meet(GIL, *gils)
        await self.until(4.0 - 0.5 / 3600)
        self.lose("landed", "late", "lost")
        await self.until(4.2)
        await self.pause(BEN, 0.4)
        await self.until(4.5 - 0.05 / 3600)
        self.lose("landed", "lost", "lost")
        await self.until(4.8)
        gils = tuple((start, 4.75 if start == 4.65 else end) for start, end in gils)
        self.meet(GIL, *gils)
        await self.until(5.2)
        self.meet(AMY, (0.5, 1.0), (0.6, 0.8), (1.0, 1.5), (2.0, 3.0), (4.0, 4.5), (5.0, 5.5), (7.0, 7.5))
        await self.until(5.3)
        await firm.die()
        await self.until(5.35)
        firm.by_hand(DAN, "custom")
        await self.until(5.4)
        firm.start()
        firm.oracle.began()
        await self.until(5.8)
        self.change(GIL, "available")
        await self.until(6.1)
        self.meet(FAY, (1.0, 1.5), (1.6, 2.0), (3.0, 3.5), (5.9, 6.6), (8.0, 8.3))
        self.name(CAT, named=False)
        await self.until(6.2)
        self.name(CAT, named=True)
        await self.until(6.7)
        assert firm.daemon is not None
        assert isinstance(firm.daemon.roster.agents[GIL].stance, StandingBack)
        await self.say(GIL, "extend", 0.2)
        await self.until(6.9)
        self.keep(7)
        await self.until(7.2)
        self.keep(5)
        await self.until(7.3)
        self.meet(BEN, (0.5, 1.0), (2.0, 3.0), (4.0, 5.0))
        await self.until(7.4)
        await self.say(GIL, "take back")
        await self.until(7.5)
        self.observe(EVE)
        await self.until(7.8)
        await self.say(GIL, "extend", 0.3)
        await self.until(8.0)
        await self.say(GIL, "skip")
        await self.until(HOURS)

    def keep(self, least: int) -> None:
        """So many are to stay on the phones."""
        assert self.firm.daemon is not None
        self.diary.floors.append((self.firm.clock.now(), least))
        self.firm.daemon.phones.keep_available([Floor("all", least)])

    def rows(self, email: str) -> list[HistoryRow]:
        """One agent's history."""
        return [row for row in self.pages.rows if row.agent == email]


@dataclass
class Truth:
    """What Aircall's own record says of one user."""

    updates: list[Update]
    times: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.times = [update.at for update in self.updates]

    def at(self, at: float) -> tuple[str, str]:
        """What was set, and who had set it last."""
        index = bisect_right(self.times, at)
        if index == 0:
            return "available", "aircall"
        update = self.updates[index - 1]
        return update.after.status, "calsyncd" if update.by == "api" else "aircall"

    def between(self, low: float, high: float) -> bool:
        """Whether anything was set between two instants."""
        return bisect_right(self.times, high) > bisect_right(self.times, low)


@pytest.mark.parametrize("hooked", [True, False])
async def test_every_second_of_a_day(tmp_path: Path, *, hooked: bool) -> None:
    """What is set, what caused it, and until when it is to last.

    Nested, adjacent and bridged meetings, moved and cancelled; lead and lag; changes by hand, skip and extension; lost
    answers, pause, crash, reload and floor.
    """
    day = Day(tmp_path, hooked=hooked)
    await day.live()
    stances = set()
    for email in TEAM:
        truth = Truth([one for one in day.firm.sandbox.log if one.email == email])
        story = Story(day.rows(email))
        _causes(day.diary, email, day.rows(email))
        unsure, near = 0, day.diary.near(email)
        first = int(day.at(0.01))
        for second in range(first, int(day.at(HOURS))):
            then = story.at(float(second))
            stances.add(then.stance)
            status, author = truth.at(float(second))
            if then.sure:
                assert then.change is not None
                assert (then.status, then.change.actor) == (status, author), (email, second - day.opened, then)
            else:
                unsure += 1
                assert status in then.possible, (email, second - day.opened, then)
                assert _may_be_unsure(then, truth, day.diary, float(second)), (email, second - day.opened, then)
            removed = any(since <= second < until for since, until in day.diary.removed.get(email, ()))
            assert (then.stance == "unfollowed") is removed, (email, second)
            if second not in near and not removed:
                _stands(day.diary, email, then, float(second))
            if second % 60 == 0:
                _said(email, then, float(second), day.at(HOURS))
                if second not in near and not removed:
                    _says_until_when(day.diary, email, then, float(second))
        assert unsure < (900 if hooked else 3600), email
    assert stances == {"free", "held", "paused", "override", "left_alone", "kept", "observed", "unfollowed"}
    await day.firm.close()


def _causes(diary: Diary, email: str, rows: list[HistoryRow]) -> None:
    """Each update tells of what was done to the world that made it."""
    for row in rows:
        if row.outcome != "done" or row.late_ms is None:
            continue
        if row.to == "unavailable":
            _cause_of_hold(diary, email, row)
        else:
            assert row.why == _why_back(diary, email, row), (email, row)


def _cause_of_hold(diary: Diary, email: str, row: HistoryRow) -> None:
    if row.why.startswith("changed by hand"):
        assert email == EVE
        return
    rules, extension = RULES.get(email, Rules()), diary.extension(email, row.at)
    skipped = diary.skipped(email, row.at)
    running = {
        f"m{start}": (start, end)
        for start, end in diary.meetings(email, row.at)
        if start - rules.lead <= row.at < end + rules.lag and (start, end) not in skipped
    }
    changed = any(
        start <= at < extension[0]
        for at in diary.by_hand.get(email, ())
        for start, _ in running.values()
        if extension is not None
    )
    if extension is not None and (changed or not running):
        assert (row.why, row.event) == ("extended by hand", EXTENSION), row
        assert (row.begins, row.ends) == pytest.approx(extension, abs=0.001)
    else:
        assert row.why == "a meeting", row
        assert row.event in running, row
        assert (row.begins, row.ends) == pytest.approx(running[row.event], abs=0.001)


def _why_back(diary: Diary, email: str, row: HistoryRow) -> str:
    """What ended the hold: a person, the calendar, or the time."""
    assert row.late_ms is not None
    due, rules = row.at - row.late_ms / 1000, RULES.get(email, Rules())
    if any(since <= row.at < until for since, until in diary.removed.get(email, ())):
        return "no longer in the settings"
    if any(since <= row.at < until for since, until in diary.paused.get(email, ())):
        return "paused"
    if any(start <= row.at < end for start, end in diary.skipped(email, row.at)):
        return "skipped by hand"
    run, extension = diary.meeting(email, due - GRACE_SECONDS), diary.extension(email, due - GRACE_SECONDS)
    assert run is not None, row
    if extension is not None and extension[1] == run[1]:
        return "the extension is over" if due >= run[1] - 0.001 else "the extension was taken back"
    if due >= run[1] - 0.001:
        return "the meeting is over"
    was = next(start for start, end in diary.meetings(email, due - GRACE_SECONDS) if end + rules.lag == run[1])
    kept = any(start == was for start, _ in diary.meetings(email, row.at))
    return "the calendar says an earlier end now" if kept else "the meeting was cancelled or does not count any more"


def _clock(at: float) -> str:
    local = datetime.fromtimestamp(at, UTC)
    return local.strftime("%H:%M:%S" if local.second else "%H:%M")


def _says_until_when(diary: Diary, email: str, then: Then, at: float) -> None:
    """Whoever is held is told until when, by what the calendar says at that time, and what makes it last so long."""
    run, rules = diary.meeting(email, at), RULES.get(email, Rules())
    if then.stance != "held" or not then.sure or then.paused is not None or run is None:
        return
    events = [Event(f"m{start}", start, end) for start, end in diary.meetings(email, at)]
    timeline = build(events, rules, diary.word(email, at))
    found = _explanation(email, then, at, at)
    text = "\n".join(
        sentences(
            replace(
                found,
                tense="now",
                span=timeline.span_at(at),
                run_ends=timeline.stretch_end(at),
                parts=parts_of(timeline, rules, at),
                rules=rules,
                origins=ORIGINS,
            )
        )
    )
    end = run[1]
    again = "; changed before by Eve, it is put again" if rules.enforce else f", unless {email[:3].title()} changes it"
    assert f"Back to {status_word(then.back)} at {_clock(end)}{again}." in text, text
    extension = diary.extension(email, at)
    if extension is not None and extension[1] == end:
        named = then.change is not None and then.change.event == EXTENSION and then.change.ends == end
        assert named or f"extended by hand to {_clock(end)}." in text, text
    else:
        assert f"\N{EN DASH}{_clock(end - rules.lag)}" in text, text
        assert not rules.lag or "lag 2 min (team fays)." in text, text
    united = busy(diary.wanted(email, at), 0.0)
    for start, _ in united:
        assert not max(at, run[0]) < start < end or f"bridged to {_clock(start)} (company)" in text, text


def _said(email: str, then: Then, at: float, now: float) -> None:
    """The first sentence names what is sure, and what may be where it is not."""
    first = sentences(_explanation(email, then, at, now))[0]
    words = {status_word(one) for one in then.possible}
    if then.sure:
        assert first.startswith(f"At {datetime.fromtimestamp(at, UTC):%H:%M:%S}: {words.pop()} since"), first
    else:
        assert all(word in first for word in words), (first, words)


def _explanation(email: str, then: Then, at: float, now: float) -> Explanation:
    """What the history tells of an instant of the past."""
    return Explanation(
        email=email,
        at=at,
        now=now,
        tense="past",
        zone=UTC,
        then=then,
        stance=stance_then(then),
        considered=(),
        span=None,
        run_starts=None,
        run_ends=None,
        ahead=None,
        kept_since=0.0,
        planned_until=now,
        read_until=now,
    )


def _may_be_unsure(then: Then, truth: Truth, diary: Diary, at: float) -> bool:
    """Whether there was something that nobody could know: an answer lost, a change not seen yet, nobody looking."""
    if then.gone is not None or then.lost is not None:
        return then.gone is not None or any(lost <= at for lost in diary.lost)
    row = then.following
    if row is None or row.after is None:
        return row is not None and row.from_ is None
    return truth.between(row.after, row.at)


def _stands(diary: Diary, email: str, then: Then, at: float) -> None:
    """Why it is so agrees with what was done to the world."""
    paused = any(since <= at < until for since, until in diary.paused.get(email, ()))
    if paused and then.sure:
        assert then.paused is not None
        assert (then.paused.actor, then.paused.why.partition(": ")[2]) == ("Dana", "training")
    meeting = diary.meeting(email, at)
    if then.stance == "held" and then.sure and not paused and meeting is None:
        assert then.owed_since(at) == pytest.approx(then.until, abs=0.001), (email, at, then)
    elif then.stance == "held" and then.sure and not paused:
        assert meeting is not None
        assert then.until == meeting[1], (email, at, then)
        assert then.hold is not None
        assert then.hold.event in {EXTENSION, *(f"m{start}" for start, _ in diary.meetings(email, at))}
    if then.stance in ("override", "left_alone", "kept", "observed") and then.sure:
        assert meeting is not None, (email, at, then)
    if paused:
        assert then.owed_since(at) is None, (email, at, then)
    if then.stance == "free" and then.sure and not any(abs(at - one) < 120 for one in diary.lost):
        assert meeting is None or at - meeting[0] < 10, (email, at, then)
