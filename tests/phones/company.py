"""A company on one virtual clock: the real rooms of `calsyncd.phones`, a model Aircall, a ledger that can fail."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Literal, Self, get_args

from calsyncd.core.budget import Budget, Shown
from calsyncd.core.model import Event, HistoryRow, Observation, Setting, User
from calsyncd.core.plan import Entry, Held, Line, Pause, Said
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import Timeline, build
from calsyncd.errors import CREDENTIALS, USER_GONE, RateLimited, Refused, ServiceError, Unavailable
from calsyncd.metrics import Metrics
from calsyncd.phones import Agent, Calls, Phones, Presence, Record, Roster
from calsyncd.sandbox.limits import Window
from calsyncd.scheduler import Scheduler

from .virtual import VirtualClock

MINUTE = 60.0
HOUR = 3600.0
FIRST_OPENED = 1_800_000_000.0
Kind = Literal["list", "look", "live", "lives", "update"]


def down() -> Unavailable:
    """A 503."""
    return Unavailable("503", service="aircall", code="server", status=503)


def gone() -> Refused:
    """A 404 that names no such user."""
    return Refused("404", service="aircall", code=USER_GONE, status=404)


def bad_key() -> Refused:
    """A 401."""
    return Refused("401", service="aircall", code=CREDENTIALS, status=401)


class Request:
    """One request that Aircall has seen: times in seconds since the office opened."""

    def __init__(self, kind: Kind, at: float, user: int | None = None, status: str | None = None) -> None:
        self.kind, self.at, self.user, self.status = kind, at, user, status
        self.ended: float | None = None

    def __repr__(self) -> str:
        return f"{self.kind}({self.user}, {self.status}) {self.at:.1f}"


class ModelAircall:
    """Users and their settings; every kind of request has a latency and may be made to fail.

    `unlisted` users are there, but the list lacks them; `removed` are gone: 404, and not in the list.
    `limit` answers 429 to what goes beyond so many requests in sixty seconds; what goes beyond a `window` is answered
    so too, and every other answer then says what is left of it. `tell` is told of each change to or from
    `unavailable`, as its webhooks do; of our own too. So many `lagging` looks show what was before the last change.
    """

    def __init__(self) -> None:
        self.settings: dict[int, Setting] = {}
        self.emails: dict[int, str] = {}
        self.live: dict[int, str] = {}
        self.latency: dict[Kind, float] = dict.fromkeys(get_args(Kind), 0.05)
        self.errors: dict[Kind, ServiceError | None] = dict.fromkeys(get_args(Kind))
        self.unlisted: set[int] = set()
        self.removed: set[int] = set()
        self.per_page = 50
        self.empty_pages = 0
        self.endless = False
        self.limit: int | None = None
        self.window: Window | None = None
        self.requests: list[Request] = []
        self.tell: Callable[[int, str], None] = lambda *_: None
        self.lagging = 0
        self.office: Office
        self._before: dict[int, Setting] = {}

    def all_latencies(self, seconds: float) -> None:
        """Each answer takes so long."""
        for kind in self.latency:
            self.latency[kind] = seconds

    def all_fail(self, error: ServiceError | None) -> None:
        """Each request fails so, or none any more."""
        for kind in self.errors:
            self.errors[kind] = error

    def by_hand(self, user: int, status: str) -> None:
        """The agent changes the setting themselves."""
        self._set(user, Setting(status))

    def _set(self, user: int, setting: Setting) -> None:
        before = self._before[user] = self.settings.get(user, setting)
        self.settings[user] = setting
        if before != setting and "unavailable" in (before.availability_status, setting.availability_status):
            self.tell(user, setting.availability_status)

    def of(self, kind: Kind, since: float = float("-inf")) -> list[Request]:
        """The requests of one kind that were sent since `since`."""
        return [request for request in self.requests if request.kind == kind and request.at >= since]

    def status(self, user: int) -> str:
        """What the user is set to."""
        return self.settings[user].availability_status

    async def page_of_users(self, page: int) -> tuple[list[User], bool]:
        """One page of users, and whether another follows."""
        at = self.office.clock.now()
        async with _Asked(self, Request("list", self.office.time)):
            shown = sorted(self.settings.keys() - self.unlisted - self.removed)
            if self.endless:
                return self._users(shown[: self.per_page], at), True
            start = (page - 1) * self.per_page
            last = max(1, -(-len(shown) // self.per_page)) + self.empty_pages
            return self._users(shown[start : start + self.per_page], at), page < last

    def _users(self, ids: Iterable[int], at: float) -> list[User]:
        return [User(user, self.emails.get(user, ""), Observation(self.settings[user], at)) for user in ids]

    async def look(self, user: int) -> Observation:
        """The user's setting."""
        at = self.office.clock.now()
        async with _Asked(self, Request("look", self.office.time, user)):
            self.lagging -= 1
            shown = self._before[user] if self.lagging >= 0 else self.settings[user]
            return Observation(shown, at)

    async def live_state(self, user: int) -> str:
        """The user's live state."""
        async with _Asked(self, Request("live", self.office.time, user)):
            return self.live.get(user, "do_not_disturb")

    async def page_of_live_states(self, page: int) -> tuple[dict[int, str], bool]:
        """One page of live states, and whether another follows."""
        async with _Asked(self, Request("lives", self.office.time)):
            shown = sorted(self.settings.keys() - self.removed)
            start = (page - 1) * self.per_page
            states = {user: self.live.get(user, "available") for user in shown[start : start + self.per_page]}
            return states, start + self.per_page < len(shown)

    async def update(self, user: int, setting: Setting) -> Setting:
        """Write a setting."""
        async with _Asked(self, Request("update", self.office.time, user, setting.availability_status)):
            self._set(user, setting)
            return setting


class _Asked:
    """One request under way: it takes its time, may fail, and is counted at its end."""

    def __init__(self, aircall: ModelAircall, request: Request) -> None:
        self._aircall = aircall
        self._request = request

    async def __aenter__(self) -> None:
        aircall, request = self._aircall, self._request
        recent = sum(1 for one in aircall.requests if one.at > request.at - MINUTE)
        aircall.requests.append(request)
        await aircall.office.clock.sleep(aircall.latency[request.kind])
        error = aircall.errors[request.kind]
        if aircall.limit is not None and recent >= aircall.limit:
            error = RateLimited("429", service="aircall", retry_after=20.0)
        if aircall.window is not None and not aircall.window.take(aircall.office.clock.now()):
            error = RateLimited("429", service="aircall", retry_after=20.0)
        if request.user is not None and (request.user in aircall.removed or request.user not in aircall.settings):
            error = error or gone()
        if error is not None:
            self._count()
            raise error

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._count()
        office, window = self._aircall.office, self._aircall.window
        if window is not None:
            now = office.clock.now()
            office.budget.shown(now, Shown(window.limit, window.remaining(now)))

    def _count(self) -> None:
        office = self._aircall.office
        self._request.ended = office.time
        office.budget.spent(office.clock.now())
        office.scheduler.touch()


class ModelLedger:
    """A file that is full (`full`), or on a disk that is `slow`, or does not answer until `answers` (`hangs`)."""

    def __init__(self) -> None:
        self.rows: list[Line] = []
        self.full = False
        self.hangs = False
        self.slow: Callable[[], Awaitable[None]] | None = None
        self.asked = 0
        self._hung: list[asyncio.Future[None]] = []

    async def record(self, *lines: Line) -> None:
        """Return once all of `lines` are on disk."""
        self.asked += 1
        if self.hangs:
            self._hung.append(asyncio.get_running_loop().create_future())
            await self._hung[-1]
        if self.slow is not None:
            await self.slow()
        if self.full:
            raise OSError(28, "No space left on device")
        self.rows.extend(lines)

    def answers(self) -> None:
        """The disk is well: what hung lands, in the order in which it came."""
        self.full = self.hangs = False
        hung, self._hung = self._hung, []
        for future in hung:
            if not future.done():
                future.set_result(None)

    @property
    def entries(self) -> dict[int, Entry]:
        """The last entry of each user."""
        return {row.user: row for row in self.rows if isinstance(row, Entry)}

    @property
    def pauses(self) -> dict[str, Pause]:
        """The last pause of each agent."""
        return {row.email: row for row in self.rows if isinstance(row, Pause)}

    @property
    def said(self) -> dict[str, Said]:
        """What was last said by hand of each agent's meetings."""
        return {row.email: row for row in self.rows if isinstance(row, Said)}


class ModelJournal:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.rows: list[HistoryRow] = []
        self.lists: list[dict[int, str]] = []
        self.zones: dict[int, str] = {}

    def observed(self, user: int, observation: Observation) -> None:
        """A look was answered."""

    def done(self, row: HistoryRow) -> None:
        """A change was made, or left alone."""
        self.rows.append(row)

    def listed(self, emails: dict[int, str], zones: dict[int, str]) -> None:
        """The company's users were listed."""
        self.lists.append(emails)
        self.zones = zones


class Office:
    """Everything that `Phones` needs, running: `time` is in seconds since it opened, so many after the first could."""

    def __init__(
        self,
        agents: Iterable[Agent],
        *,
        per_minute: int = 100,
        aircall: ModelAircall | None = None,
        after: float = 0.0,
    ) -> None:
        self.clock = VirtualClock(FIRST_OPENED + after)
        self.opened = self.clock.now()
        self.scheduler = Scheduler(self.clock)
        self.roster = Roster(self.clock.now)
        self.budget = Budget(per_minute)
        self.ledger = ModelLedger()
        self.journal = ModelJournal()
        self.aircall = aircall if aircall is not None else ModelAircall()
        self.aircall.office = self
        metrics = self.metrics = Metrics("test")
        record = Record(self.ledger, self.journal, self.clock)
        self.calls = Calls(
            self.clock,
            aircall=self.aircall,
            record=record,
            roster=self.roster,
            budget=self.budget,
            metrics=metrics,
            chance=lambda: 0.5,
        )
        self.phones = Phones(
            self.scheduler,
            roster=self.roster,
            calls=self.calls,
            record=record,
            budget=self.budget,
            metrics=metrics,
            credible=lambda: True,
            chance=lambda: 0.5,
            presence=Presence(self.scheduler, aircall=self.aircall, budget=self.budget, chance=lambda: 0.5),
        )
        self._agents = list(agents)
        for agent in self._agents:
            self.hire(agent)
        self._loop: asyncio.Task[None] | None = None

    def hire(self, agent: Agent) -> None:
        """Give the agent an Aircall user, if the settings name it by its id."""
        if isinstance(agent.bound_to, int):
            self.aircall.settings.setdefault(agent.bound_to, Setting("available"))
            self.aircall.emails.setdefault(agent.bound_to, agent.email)

    async def __aenter__(self) -> Self:
        self.phones.follow(self._agents)
        self._loop = asyncio.create_task(self.scheduler.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def restore(self, former: Office) -> None:
        """Take up the ledger of an office that died."""
        ledger = former.ledger
        self.roster.restore(ledger.entries.values(), ledger.pauses.values(), {}, ledger.said.values())

    # -- time ------------------------------------------------------------------------------------------------------

    @property
    def time(self) -> float:
        """Seconds since it opened, whatever the clock says."""
        return self.clock.monotonic()

    async def until(self, time: float) -> None:
        """Let time pass; what kills the loop is raised here."""
        assert self._loop is not None
        await self.clock.advance(max(0.0, time - self.time))
        if self._loop.done():
            self._loop.result()

    async def a_while(self, seconds: float) -> None:
        """Let so many seconds pass."""
        await self.until(self.time + seconds)

    # -- what agents have ------------------------------------------------------------------------------------------

    def __getitem__(self, email: str) -> Agent:
        return self.roster.agents[email]

    def timeline(self, *meetings: tuple[float, float]) -> Timeline:
        """Meetings from and to so many seconds after the opening."""
        events = [
            Event(f"m{index}", self.opened + start, self.opened + end) for index, (start, end) in enumerate(meetings)
        ]
        return build(events, Rules())

    def meet(self, email: str, *meetings: tuple[float, float], complete: bool = True) -> None:
        """The agent's calendars say exactly these meetings now."""
        self.phones.known(email, self.timeline(*meetings), self.clock.now(), complete=complete)

    def held(self, email: str) -> bool:
        """Whether we owe the agent a way back."""
        return isinstance(self[email].stance, Held)

    def trouble(self, email: str) -> str | None:
        """The code of the agent's trouble."""
        trouble = self[email].trouble
        return trouble.code if trouble is not None else None

    def put_at(self, user: int, status: str, since: float = 0.0) -> float | None:
        """When the first answered PUT of `status` to the user came to its end."""
        done = (one.ended for one in self.aircall.of("update", since) if (one.user, one.status) == (user, status))
        return next((at for at in done if at is not None and self.aircall.status(user) == status), None)


def most_in_a_minute(requests: Iterable[Request], *, at_end: bool = True) -> int:
    """The most requests that any sixty seconds have seen."""
    times = sorted((one.ended if at_end and one.ended is not None else one.at) for one in requests)
    most, first = 0, 0
    for index, at in enumerate(times):
        while times[first] <= at - MINUTE:
            first += 1
        most = max(most, index - first + 1)
    return most


def team(count: int) -> list[Agent]:
    """So many agents: a1@x is bound to user 1, and so on."""
    return [Agent(f"a{number}@x", number) for number in range(1, count + 1)]


def amy(bound_to: int | str = 1) -> Agent:
    """Amy, by default bound to user 1."""
    return Agent("amy@x", bound_to)


def counted(requests: Iterable[Request]) -> Counter[Kind]:
    """How many of each kind."""
    return Counter(request.kind for request in requests)
