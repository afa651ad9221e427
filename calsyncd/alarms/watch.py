"""The watch over all that can be wrong: what is raised and what is over is said, written down and sent."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from calsyncd.alarms.kept import Kept, Known
from calsyncd.alarms.looking import Seen
from calsyncd.alarms.sending import Message, Outbox
from calsyncd.clock import Clock
from calsyncd.core.alarms import Alarm, Alarms, Change, Pending
from calsyncd.logs import get_logger
from calsyncd.metrics import Metrics
from calsyncd.view import time_out

LOOK_SECONDS = 5.0
WRITE_AGAIN_SECONDS = 30.0
WRITE_PENDING_SECONDS = 3600.0
"""So much of what pends for a day a kill may cost; what begins and ends, and an orderly stop, is written at once."""

log = get_logger(__name__)


class Watch:
    """The company's alarms. `company` names it to those who are told of several; `look` says what is wrong now."""

    def __init__(
        self,
        clock: Clock,
        *,
        look: Callable[[], Seen],
        metrics: Metrics,
        kept: Kept,
        outboxes: Sequence[Outbox],
        company: str,
    ) -> None:
        self._clock = clock
        self._look = look
        self._metrics = metrics
        self._kept = kept
        self._outboxes = outboxes
        self._company = company
        known = kept.load()
        self._alarms = Alarms(known.alarms, known.pending)
        self._pending, self._pending_at = known.pending, clock.monotonic()
        self._changed = asyncio.Event()
        self._unwritten = False
        self._file = asyncio.Lock()
        for outbox in outboxes:
            outbox.put(known.unsent.get(outbox.name, ()))
            outbox.changed = self._changed.set
        self._measure()

    def alarms(self) -> list[dict[str, Any]]:
        """What is raised, as `GET /api/v1/alarms` shows it: oldest first."""
        return [_view(alarm) for alarm in self._alarms.raised.values()]

    async def forget(self, who: str) -> int:
        """Drop every alarm of them, and every message about them that has not gone; how many are not raised any more.

        On disk when this returns, if the disk takes it.
        """
        count = self._alarms.forget(who)
        for outbox in self._outboxes:
            outbox.forget(who)
        self._measure()
        await self._write_once()
        return count

    async def run(self) -> None:
        """Look every few seconds, until cancelled; what is on its way out then is sent after the next start."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(), name="alarms")
            group.create_task(self._write(), name="alarms' file")
            for outbox in self._outboxes:
                group.create_task(outbox.run(), name=f"alarms to {outbox.name}")

    async def _watch(self) -> None:
        while True:
            self.turn()
            await self._clock.sleep(LOOK_SECONDS)

    def turn(self) -> None:
        """Look once, and say what has changed."""
        try:
            seen = self._look()
        except Exception:
            # Who watches the others must not be what stops them.
            log.exception("What is wrong could not be gathered; it is tried again", action="alarms_failed")
            return
        changes = self._alarms.show(seen.wrong, self._clock.now(), agents=seen.agents, doubted=seen.doubted)
        for change in changes:
            _say(change)
            message = self._message(change)
            for outbox in self._outboxes:
                outbox.put([message])
        if changes:
            self._measure()
        if changes or self._pending_is_old():
            self._changed.set()

    def _pending_is_old(self) -> bool:
        """Whether what the file says of what pends should be written anew."""
        pending = self._alarms.pending
        if pending == self._pending:
            return False
        is_due = self._clock.monotonic() - self._pending_at >= WRITE_PENDING_SECONDS
        return is_due or _keys(pending) != _keys(self._pending)

    def _measure(self) -> None:
        raised = Counter(code for code, _ in self._alarms.raised)
        self._metrics.alarms(raised)

    async def _write(self) -> None:
        """Keep the file as it should be; what cannot be written is tried again."""
        try:
            while True:
                await self._changed.wait()
                await self._write_once()
                if self._unwritten:
                    await self._clock.sleep(WRITE_AGAIN_SECONDS)
        finally:
            if self._changed.is_set() or self._alarms.pending != self._pending:
                await self._write_once()

    async def _write_once(self) -> None:
        # Two must not write one file.
        async with self._file:
            await self._write_it()

    async def _write_it(self) -> None:
        self._changed.clear()
        unsent = {outbox.name: outbox.waiting for outbox in self._outboxes}
        known = Known(tuple(self._alarms.raised.values()), unsent, self._alarms.pending)
        writing = asyncio.ensure_future(asyncio.to_thread(self._kept.write, known))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            # A thread cannot be stopped.
            await asyncio.wait([writing])
            writing.exception()
            raise
        except OSError as error:
            if not self._unwritten:
                log.warning(
                    "It cannot be written down which alarms are raised: a restart would raise them again",
                    action="alarms_unwritten",
                    why=error.strerror,
                )
            self._unwritten = True
            self._changed.set()
        else:
            self._unwritten = False
            self._pending, self._pending_at = known.pending, self._clock.monotonic()

    def _message(self, change: Change) -> Message:
        alarm = change.alarm
        return {
            "kind": change.kind,
            "code": alarm.code,
            "who": alarm.who,
            "since": time_out(alarm.since),
            "message": alarm.message,
            "do": alarm.do,
            "owner": alarm.owner,
            "at": time_out(change.at),
            "company": self._company,
        }


def _keys(pending: Sequence[Pending]) -> list[tuple[str, str]]:
    return [one.key for one in pending]


def _view(alarm: Alarm) -> dict[str, Any]:
    return {
        "code": alarm.code,
        "who": alarm.who,
        "since": time_out(alarm.since),
        "message": alarm.message,
        "do": alarm.do,
        "owner": alarm.owner,
        "raised_at": time_out(alarm.raised_at),
    }


def _say(change: Change) -> None:
    alarm, raised = change.alarm, change.kind == "raised"
    say = log.error if raised else log.info
    say(
        f"{alarm.who}: {alarm.message}" if raised else f"{alarm.who}: over: {alarm.message}",
        action=f"alarm_{change.kind}",
        code=alarm.code,
        who=alarm.who,
        since=time_out(alarm.since),
        do=alarm.do,
        owner=alarm.owner,
    )
