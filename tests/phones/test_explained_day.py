"""A recorded day, asked about second by second: what is told to be set, and by whom, is what Aircall really had."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import pytest

from calsyncd.core.explain import Explanation, Story, Then, stance_then
from calsyncd.core.guard import Floor
from calsyncd.core.model import HistoryRow
from calsyncd.core.rules import Rules
from calsyncd.core.wording import sentences, status_word
from calsyncd.phones import Agent
from calsyncd.sandbox.aircall_users import Update

from .firm import Firm, Memory
from .person import Meetings, busy

HOUR = 3600.0
HOURS = 9
TEAM = ("amy@x", "ben@x", "cat@x", "dan@x", "eve@x")
AMY, BEN, CAT, DAN, EVE = TEAM
GRACE_SECONDS = 3
"""Near a boundary or a change of the calendar it is not yet known, or not yet acted on."""


_busy = lru_cache(lambda meetings: busy(meetings, 0.0))


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
    lost: list[float] = field(default_factory=list)

    def meetings(self, email: str, at: float) -> Meetings:
        """What the agent's calendar said at `at`."""
        return next((one for since, one in reversed(self.calendars.get(email, ())) if since <= at), ())

    def near(self, email: str) -> set[int]:
        """The seconds in which something has to be acted on, or has just had to be."""
        calendars = self.calendars.get(email, [])
        spans = [*(pair for _, one in calendars for pair in one), *self.paused.get(email, ())]
        edges = [*(since for since, _ in calendars), *(edge for pair in spans for edge in pair)]
        return {int(edge + offset) for edge in edges for offset in range(-GRACE_SECONDS, GRACE_SECONDS + 1)}

    def meeting(self, email: str, at: float) -> tuple[float, float] | None:
        """From when to when the agent meets without a break, at `at`."""
        return next((pair for pair in _busy(self.meetings(email, at)) if pair[0] <= at < pair[1]), None)


class Day:
    """The company's day, and the pens of those who watch it."""

    def __init__(self, folder: Path, *, hooked: bool) -> None:
        people = [Agent(email, 500 + n, Rules(enforce=email == EVE)) for n, email in enumerate(TEAM)]
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
        await self.until(1.3)
        firm.by_hand(EVE, "available")
        await self.until(1.9)
        firm.by_hand(BEN, "unavailable")
        await self.until(2.3)
        firm.by_hand(AMY, "custom")
        self.meet(CAT, (0.5, 1.0), (2.0, 2.4), (4.0, 5.0), (6.0, 6.5))
        await self.until(3.2)
        firm.by_hand(BEN, "custom")
        await self.until(4.0 - 0.5 / 3600)
        self.lose("landed", "late", "lost")
        await self.until(4.2)
        await self.pause(BEN, 0.4)
        await self.until(4.5 - 0.05 / 3600)
        self.lose("landed", "lost", "lost")
        await self.until(5.2)
        self.meet(AMY, (0.5, 1.0), (0.6, 0.8), (1.0, 1.5), (2.0, 3.0), (4.0, 4.5), (5.0, 5.5), (7.0, 7.5))
        await self.until(5.3)
        await firm.die()
        await self.until(5.35)
        firm.by_hand(DAN, "custom")
        await self.until(5.4)
        firm.start()
        firm.oracle.began()
        await self.until(6.1)
        self.name(CAT, named=False)
        await self.until(6.2)
        self.name(CAT, named=True)
        await self.until(6.9)
        self.keep(5)
        await self.until(7.2)
        self.keep(3)
        await self.until(7.3)
        self.meet(BEN, (0.5, 1.0), (2.0, 3.0), (4.0, 5.0))
        await self.until(7.5)
        self.observe(EVE)
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
    """Nested and adjacent meetings, changes by hand, lost answers, pause, crash, reload and floor: all are told."""
    day = Day(tmp_path, hooked=hooked)
    await day.live()
    stances = set()
    for email in TEAM:
        truth = Truth([one for one in day.firm.sandbox.log if one.email == email])
        story = Story(day.rows(email))
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
        assert unsure < (900 if hooked else 3600), email
    assert stances == {"free", "held", "paused", "override", "left_alone", "kept", "observed", "unfollowed"}
    await day.firm.close()


def _said(email: str, then: Then, at: float, now: float) -> None:
    """The first sentence names what is sure, and what may be where it is not."""
    explanation = Explanation(
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
    first = sentences(explanation)[0]
    words = {status_word(one) for one in then.possible}
    if then.sure:
        assert first.startswith(f"At {datetime.fromtimestamp(at, UTC):%H:%M:%S}: {words.pop()} since"), first
    else:
        assert all(word in first for word in words), (first, words)


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
        assert then.hold.event in {f"m{start}" for start, _ in diary.meetings(email, at)}
    if then.stance in ("override", "left_alone", "kept", "observed") and then.sure:
        assert meeting is not None, (email, at, then)
    if paused:
        assert then.owed_since(at) is None, (email, at, then)
    if then.stance == "free" and then.sure and not any(abs(at - one) < 120 for one in diary.lost):
        assert meeting is None or at - meeting[0] < 10, (email, at, then)
