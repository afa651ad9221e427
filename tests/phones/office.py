"""An office on virtual time: the real phones, roster and calls; a model of Aircall and of the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from calsyncd.core.budget import Budget
from calsyncd.core.model import Event, HistoryRow, Observation, Setting, User
from calsyncd.core.plan import Entry, Held, Line
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import build
from calsyncd.errors import ServiceError
from calsyncd.metrics import Metrics
from calsyncd.phones import Agent, Calls, Phones, Record, Roster
from calsyncd.scheduler import Scheduler

START = 1_800_000_000.0
SETTLE_ROUNDS = 12


class VirtualClock:
    """Time that moves only when the office says so."""

    def __init__(self) -> None:
        self.t = START
        self.jump = 0.0
        self.sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self.t

    def monotonic(self) -> float:
        return self.t

    def step(self) -> float:
        jump, self.jump = self.jump, 0.0
        return jump

    async def wait(self, until: float | None, wake: asyncio.Event) -> None:
        del until, wake
        raise AssertionError("the office turns by itself")

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sleepers.append((self.t + seconds, future))
        await future

    def wake_due(self) -> None:
        for at, future in self.sleepers:
            if at <= self.t and not future.done():
                future.set_result(None)
        self.sleepers = [(at, future) for at, future in self.sleepers if not future.done()]


class ModelAircall:
    """Users and their settings. `slow` seconds pass before each answer; `fault` may raise instead of one."""

    def __init__(self, clock: VirtualClock) -> None:
        self.settings: dict[int, str] = {}
        self.emails: dict[int, str] = {}
        self.per_page = 50
        self.slow = 0.0
        self.fault: Callable[[str, int], ServiceError | None] = lambda _kind, _user: None
        self.endless = False
        self.requests: list[tuple[float, str, int]] = []
        self.counted: Callable[[], None] = lambda: None
        self._clock = clock

    @property
    def puts(self) -> list[tuple[int, str]]:
        return [(user, kind.removeprefix("put ")) for _, kind, user in self.requests if kind.startswith("put ")]

    def count(self, kind: str) -> int:
        return sum(known == kind for _, known, _ in self.requests)

    async def page_of_users(self, page: int) -> tuple[list[User], bool]:
        sent = await self._ask("list", page)
        users = sorted(self.settings)[(page - 1) * self.per_page : page * self.per_page]
        if self.endless:
            return [User(1, "", Observation(Setting(self.settings[1]), sent))], True
        shown = [
            User(user, self.emails.get(user, ""), Observation(Setting(self.settings[user]), sent)) for user in users
        ]
        return shown, page * self.per_page < len(self.settings)

    async def look(self, user: int) -> Observation:
        sent = await self._ask("look", user)
        return Observation(Setting(self.settings[user]), sent)

    async def live_state(self, user: int) -> str:
        await self._ask("live", user)
        return "do_not_disturb"

    async def update(self, user: int, setting: Setting) -> Setting:
        await self._ask(f"put {setting.availability_status}", user)
        self.settings[user] = setting.availability_status
        return setting

    async def _ask(self, kind: str, user: int) -> float:
        sent = self._clock.now()
        self.requests.append((sent, kind, user))
        await self._clock.sleep(self.slow)
        self.counted()
        error = self.fault(kind, user)
        if error is not None:
            raise error
        return sent


@dataclass
class ModelDisk:
    """The ledger's disk: it may be full, hang, or take so many seconds of `clock`."""

    clock: VirtualClock
    full: bool = False
    hangs: bool = False
    seconds: float = 0.0
    lines: list[Line] = field(default_factory=list)

    async def record(self, *lines: Line) -> None:
        if self.hangs:
            await asyncio.get_running_loop().create_future()
        if self.seconds:
            await self.clock.sleep(self.seconds)
        if self.full:
            raise OSError(28, "No space left on device")
        self.lines.extend(lines)

    def owed(self) -> dict[int, bool]:
        """By user, whether a restart would find a debt."""
        return {line.user: isinstance(line.stance, Held) for line in self.lines if isinstance(line, Entry)}


class Notes:
    """The journal: what was done, kept in a list."""

    def __init__(self) -> None:
        self.rows: list[HistoryRow] = []

    def observed(self, user: int, observation: Observation) -> None: ...

    def done(self, row: HistoryRow) -> None:
        self.rows.append(row)

    def listed(self, emails: dict[int, str], zones: dict[int, str]) -> None: ...


class Office:
    """The phones of a company whose Aircall grants `per_minute` requests."""

    def __init__(self, agents: list[Agent], per_minute: int = 100) -> None:
        self.clock = VirtualClock()
        self.aircall = ModelAircall(self.clock)
        self.disk = ModelDisk(self.clock)
        self.budget = Budget(per_minute)
        self.aircall.counted = lambda: self.budget.spent(self.clock.now())
        self.scheduler = Scheduler(self.clock)
        self.roster = Roster(self.clock.now)
        metrics = Metrics("test")
        self.notes = Notes()
        record = Record(self.disk, self.notes, self.clock)
        self.phones = Phones(
            self.scheduler,
            roster=self.roster,
            calls=Calls(
                self.clock,
                aircall=self.aircall,
                record=record,
                roster=self.roster,
                budget=self.budget,
                metrics=metrics,
                chance=lambda: 0.5,
            ),
            record=record,
            budget=self.budget,
            metrics=metrics,
            credible=lambda: True,
            chance=lambda: 0.5,
        )
        for agent in agents:
            if isinstance(agent.bound_to, int):
                self.aircall.settings[agent.bound_to] = "available"
        self.phones.follow(agents)

    def meetings(self, email: str, *spans: tuple[float, float]) -> None:
        """The agent's calendar says exactly this from now on; seconds from the start."""
        events = [Event(f"e{number}", START + a, START + b) for number, (a, b) in enumerate(spans)]
        self.phones.known(email, build(events, Rules()), self.clock.now(), complete=True)

    async def until(self, seconds: float) -> None:
        """Let the time pass to so many seconds from the start."""
        target = START + seconds
        turns = 0
        while True:
            await self._settle()
            due = self.scheduler._agenda.next_due()
            if self.scheduler._wake.is_set() or (due is not None and due <= self.clock.t):
                turns += 1
                assert turns < 100_000, "the loop spins"
                self.scheduler._wake.clear()
                self.scheduler._turn()
                continue
            nexts = [at for at in (due, *(at for at, _ in self.clock.sleepers)) if at is not None]
            following = min(nexts, default=target)
            if following > target:
                self.clock.t = target
                return
            # The clock's own floor: a wait is never shorter than a millisecond.
            self.clock.t = max(following, self.clock.t + 0.001)
            self.clock.wake_due()

    async def _settle(self) -> None:
        for _ in range(SETTLE_ROUNDS):
            await asyncio.sleep(0)

    async def close(self) -> None:
        """End what is under way."""
        await self.scheduler.finish(0.0)
