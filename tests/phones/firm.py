"""A company against the sandbox's Aircall on one virtual clock, without sockets; the daemon may die at any await.

Real are the sandbox, `AircallApi`, the ledger's file, and every room from the scheduler to the webhook's messages. Made
up are the wire between the two, which loses, delays and cuts, and the post, which loses, doubles and re-orders.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aiohttp.web import Response

from calsyncd.aircall import client
from calsyncd.aircall.authorization import ApiKey, Authorization
from calsyncd.aircall.client import AircallApi
from calsyncd.core.budget import Budget
from calsyncd.core.model import HistoryRow, Observation
from calsyncd.core.plan import Line
from calsyncd.core.webhooks import EVENTS
from calsyncd.errors import Unavailable
from calsyncd.http import Answer, _answer
from calsyncd.ledger import Ledger
from calsyncd.metrics import Metrics
from calsyncd.phones import Agent, Calls, Phones, Presence, Record, Roster, Webhooks
from calsyncd.sandbox.aircall import AircallSandbox
from calsyncd.sandbox.aircall_users import Update
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN, Postman
from calsyncd.scheduler import Scheduler
from calsyncd.web.public import read_delivery
from tests.handed_in import hand_in

from .oracle import Oracle
from .virtual import TURNS_IN_NO_TIME, VirtualClock

ANSWER_PATIENCE_SECONDS = 10.0
ORIGIN = "https://aircall.test"

Fate = Literal["answered", "unreachable", "lost", "landed", "late"]
"""What the wire makes of a request: `landed` and `late` reach Aircall, and only the answer is lost."""

MailFate = Literal["prompt", "lost", "twice", "late"]


class FuseBlown(Exception):
    """The daemon is to die at this turn of the event loop."""


class FusedClock(VirtualClock):
    """A virtual clock that counts the turns of the event loop: at the last of `fuse` the daemon is to die."""

    fuse: int | None = None

    async def settle(self) -> None:
        """Let everything run that needs no time to pass; raises `FuseBlown`."""
        ready = getattr(asyncio.get_running_loop(), "_ready")  # noqa: B009 - nothing public says it
        for _ in range(TURNS_IN_NO_TIME):
            if self.fuse is not None:
                if self.fuse <= 0:
                    self.fuse = None
                    raise FuseBlown
                self.fuse -= 1
            await asyncio.sleep(0)
            if not ready:
                return
        raise AssertionError("the loop runs without end while no time passes")


class Inline(ThreadPoolExecutor):
    """The ledger's thread, on the loop's own: the same every time."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do it now."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except OSError as error:
            future.set_exception(error)
        return future


class Disk:
    """The ledger on a disk that takes its time, until the process is dead."""

    def __init__(self, ledger: Ledger, clock: VirtualClock, seconds: float) -> None:
        self.ledger = ledger
        self.dead = False
        self._clock = clock
        self._seconds = seconds

    async def record(self, *lines: Line) -> None:
        """Return once all of `lines` are on disk."""
        await self._clock.sleep(self._seconds / 2)
        if self.dead:
            await _for_ever()
        await self.ledger.record(*lines)
        await self._clock.sleep(self._seconds / 2)


class Memory:
    """What the database would remember: it is told at once, and may be gone after a crash."""

    def __init__(self) -> None:
        self.observations: dict[int, Observation] = {}
        self.changes: dict[str, HistoryRow] = {}

    def observed(self, user: int, observation: Observation) -> None:
        """A look was answered."""
        self.observations[user] = observation

    def done(self, row: HistoryRow) -> None:
        """A change was made, or left alone."""
        if row.outcome in ("done", "seen"):
            self.changes[row.agent] = row

    def listed(self, emails: dict[int, str], zones: dict[int, str]) -> None:
        """The company's users were listed."""


class Post(Postman):
    """Aircall's messages: `fate` says what becomes of the next ones, `delay` how late a late one comes."""

    def __init__(self, firm: Firm) -> None:
        super().__init__()
        self.fate: MailFate = "prompt"
        self.delay = 5.0
        self._firm = firm

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> int | None:
        """Send it on its way; to be sent again tells the daemon nothing new, so that all is taken."""
        del headers, seconds
        assert url.startswith(PUBLIC_ORIGIN)
        copies = {"lost": 0, "twice": 2}.get(self.fate, 1)
        for copy in range(copies):
            delay = self.delay * (1 + copy) if self.fate in ("late", "twice") else 0.0
            self._firm.beside(self._deliver(body, delay))
        return 200

    async def _deliver(self, body: bytes, delay: float) -> None:
        await self._firm.clock.sleep(delay)
        delivery = read_delivery(body)
        assert delivery is not None
        daemon = self._firm.daemon
        if daemon is not None and daemon.webhooks.take(delivery) and delivery.event in EVENTS and delivery.user:
            self._firm.oracle.heard(delivery.user, delivery.status)


@dataclass
class Wire:
    """The way of one life of the daemon to Aircall, in place of `calsyncd.http.Http`."""

    firm: Firm
    budget: Budget
    scheduler: Scheduler
    dead: bool = False

    async def request(
        self,
        service: str,
        route: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send once; raises as `Http.request` does."""
        assert (service, query, form) == ("aircall", None, None), route
        if self.dead:
            await _for_ever()
        firm = self.firm
        path = url.removeprefix(ORIGIN)
        firm.oracle.sent(method, path, body)
        try:
            answer = await self._attempt(method, path, headers or {}, body)
        except Unavailable as error:
            firm.oracle.unanswered(method, path, may_land=error.landed)
            raise
        finally:
            self.budget.spent(firm.clock.now())
            self.scheduler.touch()
        firm.oracle.answered(method, path, answer.status, answer.headers, answer.data)
        return answer

    async def _attempt(self, method: str, path: str, headers: Mapping[str, str], body: Any) -> Answer:
        firm = self.firm
        fates = firm.update_fates if method == "PUT" and "/users/" in path and firm.update_fates else firm.fates
        fate = fates.popleft() if fates else "answered"
        seconds = firm.latency
        if fate == "unreachable":
            await firm.clock.sleep(seconds)
            raise Unavailable("no connection", service="aircall", code="unreachable", landed=False)
        if fate == "lost":
            await firm.clock.sleep(ANSWER_PATIENCE_SECONDS)
            raise Unavailable("timeout", service="aircall", code="timeout")
        if fate in ("landed", "late"):
            uplink = seconds / 2 if fate == "landed" else firm.lateness
            firm.beside(self._arrive(uplink, method, path, headers, body, late=True))
            await firm.clock.sleep(ANSWER_PATIENCE_SECONDS)
            raise Unavailable("timeout", service="aircall", code="timeout")
        response = await asyncio.shield(firm.beside(self._arrive(seconds / 2, method, path, headers, body)))
        await firm.clock.sleep(seconds / 2)
        raw = response.body if isinstance(response.body, bytes) else b""
        return _answer("aircall", response.status, {k.lower(): v for k, v in response.headers.items()}, raw)

    async def _arrive(
        self, uplink: float, method: str, path: str, headers: Mapping[str, str], body: Any, *, late: bool = False
    ) -> Response:
        """What Aircall makes of it, whether or not anybody waits for that."""
        firm = self.firm
        await firm.clock.sleep(uplink)
        if not late and not self.dead:
            firm.oracle.arrived()
        response = await firm.handle(method, path, headers, b"" if body is None else json.dumps(body).encode())
        firm.note_changes()
        return response


class Daemon:
    """One life of the daemon, from the ledger on."""

    def __init__(self, firm: Firm, *, remembers: bool) -> None:
        clock, chance = firm.clock, firm.chance.random
        ledger = Ledger(firm.path, _writer=Inline(1))
        ledger.load()
        assert not ledger.damaged
        self.disk = Disk(ledger, clock, firm.disk_seconds)
        self.scheduler = Scheduler(clock)
        self.budget = Budget(firm.per_minute)
        self.roster = Roster(clock.now)
        self.wire = Wire(firm, self.budget, self.scheduler)
        aircall = AircallApi(
            self.wire,  # type: ignore[arg-type]
            api_url=ORIGIN,
            authorization=firm.authorization,
            users_api="auto",
            now=clock.now,
            say=lambda _: None,
            granted=lambda shown: self.budget.shown(clock.now(), shown),
            blocked=lambda: self.budget.is_blocked(clock.now()),
        )
        record = Record(self.disk, firm.memory, clock)
        metrics = Metrics("test")
        calls = Calls(
            clock,
            aircall=aircall,
            record=record,
            roster=self.roster,
            budget=self.budget,
            metrics=metrics,
            chance=chance,
        )
        self.phones = Phones(
            self.scheduler,
            roster=self.roster,
            calls=calls,
            record=record,
            budget=self.budget,
            metrics=metrics,
            credible=lambda: True,
            chance=chance,
            presence=Presence(self.scheduler, aircall=aircall, budget=self.budget, chance=chance),
        )
        self.webhooks = Webhooks(
            self.scheduler,
            aircall=aircall,
            phones=self.phones,
            address=f"{PUBLIC_ORIGIN}/webhooks/aircall" if firm.hooked else None,
            budget=self.budget,
            learned=lambda _: None,
            chance=chance,
            removed=firm.removed,
        )
        self.phones.listen(self.webhooks.untold, lambda: self.webhooks.alive)
        self.phones.follow(firm.named())
        self.roster.restore(
            ledger.entries.values(), ledger.pauses.values(), firm.memory.observations if remembers else {}
        )
        self.roster.recall(firm.memory.changes.values() if remembers else ())
        self.webhooks.keep()
        self.loop = asyncio.create_task(self.scheduler.run())


class Firm:
    """The company: `people` by e-mail are what the settings name; the rest is how the world is just now.

    `fates` are those of the next requests, `update_fates` those of the next updates, whatever else is sent before.
    """

    def __init__(
        self,
        path: Path,
        people: Iterable[Agent],
        *,
        per_minute: int,
        disk_seconds: float = 0.0,
        hooked: bool = True,
        seed: int = 0,
        opened: float = 1_800_000_000.0,
    ) -> None:
        self.path = path
        self.clock = FusedClock(opened)
        self.chance = random.Random(seed)
        self.per_minute = per_minute
        self.disk_seconds = disk_seconds
        self.hooked = hooked
        self.latency = 0.1
        self.lateness = 20.0
        self.fates: deque[Fate] = deque()
        self.update_fates: deque[Fate] = deque()
        self.memory = Memory()
        self.post = Post(self)
        self.sandbox = AircallSandbox(self.clock.now, self.post)
        self.sandbox.switches.budget.limit = per_minute
        self.sandbox.app.freeze()
        self.authorization: Authorization = ApiKey(self.sandbox.api_id, self.sandbox.api_token)
        self.removed: Callable[[], None] | None = None
        self.people = {agent.email: agent for agent in people}
        for agent in self.people.values():
            assert isinstance(agent.bound_to, int)
            self.sandbox.add_user(agent.email, user_id=agent.bound_to)
        self.oracle = Oracle(
            self.clock.now,
            per_minute,
            {agent.email: self.user(agent.email) for agent in self.people.values()},
            pages=-(-len(self.people) // client.PER_PAGE),
            told=lambda: self.hooked and self.daemon is not None and self.daemon.webhooks.alive,
        )
        for agent in self.people.values():
            self.oracle.person(agent.email).enforce = agent.rules.enforce
            self.oracle.person(agent.email).bridge = agent.rules.bridge
        self.daemon: Daemon | None = None
        self.downtime = 1.0
        self.unread_seconds = 0.5
        self.forgets = False
        self._beside: set[asyncio.Task[Any]] = set()
        self._noted = 0

    def user(self, email: str) -> int:
        """The agent's Aircall id."""
        bound_to = self.people[email].bound_to
        assert isinstance(bound_to, int)
        return bound_to

    def named(self) -> list[Agent]:
        """What the settings say."""
        return [
            Agent(agent.email, agent.bound_to, agent.rules, observe=self.oracle.person(agent.email).observed)
            for agent in self.people.values()
            if self.oracle.person(agent.email).configured
        ]

    def beside(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Something that outlives the daemon."""
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
        return task

    # -- life and death --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A new life; what the calendars say is known a little later."""
        self.daemon = Daemon(self, remembers=not self.forgets)
        self.beside(self._read_calendars(self.daemon, self.unread_seconds))

    async def _read_calendars(self, daemon: Daemon, seconds: float) -> None:
        await self.clock.sleep(seconds)
        if daemon is self.daemon:
            for email in self.people:
                self.tell(email)

    def tell(self, email: str) -> None:
        """The agent's calendars say what they say."""
        person = self.oracle.person(email)
        if self.daemon is not None and person.configured:
            timeline = person.timeline(self.people[email].rules, self.daemon.roster.by_hand(email))
            self.daemon.phones.known(email, timeline, self.clock.now(), complete=True)

    async def die(self) -> None:
        """As `kill -9` does: nothing of this life acts any more."""
        daemon, self.daemon = self.daemon, None
        assert daemon is not None
        daemon.wire.dead = daemon.disk.dead = True
        await _end(asyncio.all_tasks() - {asyncio.current_task()} - self._beside - self.sandbox.webhooks._tasks)
        daemon.disk.ledger._let_go()
        self.oracle.died()

    async def close(self) -> None:
        """All is over."""
        await _end(asyncio.all_tasks() - {asyncio.current_task()})
        if self.daemon is not None:
            self.daemon.disk.ledger._let_go()

    async def pass_time(self, seconds: float) -> None:
        """Let time pass; where the fuse blows, the daemon dies and is started again."""
        end = self.clock.monotonic() + seconds
        while True:
            try:
                await self.clock.advance(max(0.0, end - self.clock.monotonic()))
            except FuseBlown:
                await self.die()
                end = max(end, self.clock.monotonic() + self.downtime)
                await self.clock.advance(self.downtime)
                self.start()
                self.oracle.began()
            else:
                break
        if self.daemon is not None and self.daemon.loop.done():
            self.daemon.loop.result()

    async def command(self, give: Callable[[Phones], Coroutine[Any, Any, None]]) -> None:
        """An operator's command, given again to the next life where one dies of it."""
        while True:
            daemon = self.daemon
            assert daemon is not None
            task = asyncio.create_task(give(daemon.phones))
            while not task.done():
                await self.pass_time(0.2)
            if daemon is self.daemon and not task.cancelled():
                task.result()
                return

    # -- Aircall ---------------------------------------------------------------------------------------------------

    async def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
        """What the sandbox answers to one request."""
        response = await hand_in(self.sandbox.app, method, path, {"Host": "aircall.test", **headers}, body)
        assert not self.sandbox.crashes
        assert isinstance(response, Response)
        return response

    def note_changes(self) -> None:
        """Tell the oracle what has become of the settings."""
        news: list[Update] = self.sandbox.log[self._noted :]
        self._noted += len(news)
        for update in news:
            self.oracle.changed(update)

    def by_hand(self, email: str, status: str, substatus: str | None = None) -> None:
        """The agent changes the setting in Aircall's app."""
        self.sandbox.set_by_hand(self.user(email), status, substatus)
        self.note_changes()

    def set_live(self, email: str, state: str | None) -> None:
        """A call begins or ends, or the agent logs out."""
        self.sandbox.set_live(self.user(email), state)
        self.oracle.person(email).live = state
        self.note_changes()

    def status(self, email: str) -> str:
        """What the agent is set to."""
        return self.sandbox.setting(self.user(email)).status


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()


async def _end(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    ending = [task for task in tasks if task is not None]
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
