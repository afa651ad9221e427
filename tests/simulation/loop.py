"""An event loop whose time passes only when nobody has anything to do, and in which lives of a process can end.

A turn of the loop is an instant of the machine: work for threads is done in it, in the order in which it was handed
over, so that no callback runs and no second passes while a call is out. Where real sockets are used, time passes only
when nothing is on its way between them.
"""

from __future__ import annotations

import asyncio
import contextvars
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

RESOLUTION_SECONDS = 1e-6
REAL_PATIENCE_SECONDS = 0.05
REAL_TRIES = 400
MOST_TURNS_IN_NO_TIME = 200_000


class Life:
    """One life of the process: its tasks and callbacks carry it in their context; `dead` ones do nothing any more."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.dead = False
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.signals: dict[int, Callable[[], object]] = {}
        self.apps: dict[str, Any] = {}
        self.daemon: Any = None
        self.context = contextvars.copy_context()
        self.context.run(LIFE.set, self)


LIFE: contextvars.ContextVar[Life | None] = contextvars.ContextVar("LIFE", default=None)
WORLD = contextvars.Context()
"""The context of what outlives the process."""


class Killed(BaseException):
    """The process dies in the middle of what it does."""


class _Idle(selectors.EpollSelector):
    loop: Loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return self.loop.idle(timeout, super().select)


class Loop(asyncio.SelectorEventLoop):
    """The loop; `passed` is its time, in seconds. `each_turn` is called before every turn."""

    def __init__(self) -> None:
        idle = _Idle()
        idle.loop = self
        self.passed = 0.0
        self.turns = 0
        self.each_turn: Callable[[], None] = _nothing
        self.work: Callable[[Callable[[], Any]], Any] = _just_do
        self.disk_seconds: Callable[[], float] = _no_time
        self.transit: set[object] = set()
        self.on_sockets = False
        self._in_no_time = 0
        self._busy_until: dict[int, float] = {}
        super().__init__(idle)
        self._clock_resolution = RESOLUTION_SECONDS
        self.set_task_factory(_make_task)

    def time(self) -> float:
        """Seconds since it began."""
        return self.passed

    def idle(
        self, timeout: float | None, really: Callable[[float | None], list[tuple[selectors.SelectorKey, int]]]
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """Instead of sleeping, let time pass."""
        self.turns += 1
        self.each_turn()
        events = really(0) if self.on_sockets else []
        if timeout is not None and timeout <= 0:
            self._in_no_time += 1
            if self._in_no_time > MOST_TURNS_IN_NO_TIME:
                raise RuntimeError("the loop turns without end while no time passes")
            return _in_order(events)
        for _ in range(REAL_TRIES):
            if events or not self.transit:
                break
            events = really(REAL_PATIENCE_SECONDS)
        else:
            raise RuntimeError(f"nothing comes of what is on its way: {self.transit}")
        if events:
            return _in_order(events)
        if timeout is None:
            raise RuntimeError("everybody waits, and for nothing that time brings")
        self._in_no_time = 0
        self.passed += timeout
        return []

    # -- threads ---------------------------------------------------------------------------------------------------

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Do it at once, or when the disk comes to it; the answer comes in a later turn."""
        future: asyncio.Future[Any] = self.create_future()
        self.hand_over(id(executor) if executor is not None else 0, future, lambda: func(*args))
        return future

    def hand_over(self, thread: int, future: asyncio.Future[Any] | None, job: Callable[[], Any]) -> None:
        """As a thread does that takes one job after the other."""
        life = LIFE.get()
        if life is not None and life.dead:
            if future is not None:
                future.cancel()
            return
        seconds = self.disk_seconds()
        starts = max(self.passed + seconds / 2, self._busy_until.get(thread, 0.0))
        if seconds or starts > self.passed:
            self._busy_until[thread] = starts + seconds / 2
            self.call_at(starts, self._do, life, future, job, seconds / 2)
        else:
            self._do(life, future, job, 0.0)

    def _do(self, life: Life | None, future: asyncio.Future[Any] | None, job: Callable[[], Any], after: float) -> None:
        if life is not None and life.dead:
            if future is not None:
                future.cancel()
            return
        result: Any = None
        error: BaseException | None = None
        try:
            result = self.work(job)
        except Killed:
            error = asyncio.CancelledError()
        except BaseException as problem:  # noqa: BLE001 - a thread hands over whatever it was
            error = problem
        if future is not None:
            self.call_later(after, _settle, future, result, error) if after else self.call_soon(
                _settle, future, result, error
            )

    # -- the process -----------------------------------------------------------------------------------------------

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:  # type: ignore[override]
        """A signal of the process that lives now."""
        life = LIFE.get()
        assert life is not None
        life.signals[int(sig)] = lambda: callback(*args)

    def remove_signal_handler(self, sig: int) -> bool:
        """As the loop's own."""
        life = LIFE.get()
        return life is not None and life.signals.pop(int(sig), None) is not None

    def beside(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start something of the world's."""
        return self.create_task(work, context=WORLD)


class JobQueue:
    """Stands for the queue of a database's thread."""

    def put_nowait(self, item: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        """Hand a job over."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        loop.hand_over(id(self), *item)


class NoThread:
    """Stands for the thread that would take from such a queue."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Nothing is to be prepared."""

    def start(self) -> None:
        """Nothing is to be started."""


def _make_task(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
    context = options.get("context")
    life = context.get(LIFE) if context is not None else LIFE.get()
    if life is not None:
        life.tasks[task] = None
        task.add_done_callback(life.tasks.pop)
    return task


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if isinstance(error, asyncio.CancelledError):
        future.cancel()
    elif error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)


def _in_order(events: list[tuple[selectors.SelectorKey, int]]) -> list[tuple[selectors.SelectorKey, int]]:
    return sorted(events, key=lambda event: event[0].fd)


def _nothing() -> None:
    pass


def _no_time() -> float:
    return 0.0


def _just_do(job: Callable[[], Any]) -> Any:
    return job()
