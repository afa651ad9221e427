"""THE loop: one agenda, one sleep, one turn at a time.

Theory. Everything that happens (a boundary, a notification, an answer, a command) ends in one of two calls:
`at` puts a key on the agenda, `touch` asks for a turn now. A turn takes what is due, hands each key to the room
that knows its kind, and lets the rooms act on what they were handed. Handlers run to their end without awaiting
anything: they read memory and start tasks; a task's answer comes back as a touch. When the time itself has jumped,
the rooms are told first: what they remember by the clock must not outlive it. The wake flag is cleared
before the agenda is read, so that nothing that arrives meanwhile is lost; and after every wait the clock is read
again, so that a wait that ended early or late needs no code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from calsyncd.clock import Clock
from calsyncd.core.agenda import Agenda

Handler = Callable[[str, float], None]


class Scheduler:
    """The loop, its agenda, and the tasks that it started."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.turns = 0
        self.turned_at = clock.monotonic()
        self._agenda: Agenda[tuple[str, str]] = Agenda()
        self._handlers: dict[str, Handler] = {}
        self._after: list[Callable[[float], None]] = []
        self._stepped: list[Callable[[float, float], None]] = []
        self._wake = asyncio.Event()
        self._turning = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._died: asyncio.Future[None] | None = None

    def handle(self, kind: str, handler: Handler) -> None:
        """Hand every key of `kind` that is due to `handler(name, now)`."""
        self._handlers[kind] = handler

    def after_turn(self, act: Callable[[float], None]) -> None:
        """Call `act(now)` at the end of every turn."""
        self._after.append(act)

    def when_stepped(self, act: Callable[[float, float], None]) -> None:
        """Call `act(now, seconds)` before the first turn after the time has jumped by so many seconds."""
        self._stepped.append(act)

    def at(self, kind: str, name: str, due: float | None) -> None:
        """Make (kind, name) due at `due` and at no other time; None takes it off."""
        self._agenda.set((kind, name), due)
        if not self._turning:
            self._wake.set()

    def due_at(self, kind: str, name: str) -> float | None:
        """When (kind, name) is due, if at all."""
        return self._agenda.due_at((kind, name))

    def touch(self) -> None:
        """Ask for a turn now."""
        self._wake.set()

    def start(self, work: Coroutine[Any, Any, object], name: str) -> None:
        """Run `work` beside the loop. Its failure is the process's failure: work answers for its own errors."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or self._died is None or self._died.done():
            return
        error = task.exception()
        if error is not None:
            self._died.set_exception(error)

    async def run(self) -> None:
        """Turn until cancelled; raises what a task died of."""
        self._died = asyncio.get_running_loop().create_future()
        self._died.add_done_callback(lambda _: self._wake.set())
        while True:
            self._wake.clear()
            self._turn()
            if self._died.done():
                self._died.result()
            if self._tasks:
                # What the turn has started is more urgent than to prepare the next wait.
                await asyncio.sleep(0)
            await self.clock.wait(self._agenda.next_due(), self._wake)

    def _turn(self) -> None:
        self._turning = True
        try:
            # In this order: a step voids the correction by which the clock was read until then.
            seconds, now = self.clock.step(), self.clock.now()
            if seconds:
                for adjust in self._stepped:
                    adjust(now, seconds)
            for kind, name in self._agenda.pop_due(now):
                self._handlers[kind](name, now)
            for act in self._after:
                act(now)
        finally:
            self._turning = False
        self.turns += 1
        self.turned_at = self.clock.monotonic()

    async def finish(self, seconds: float) -> None:
        """Let the tasks that are under way end, for at most `seconds`; then cancel them."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
