"""Alarms on their way out: each way has its own queue, and neither holds anything up.

Messages go in order, one at a time: what comes first is tried until it is taken, or refused for good. When it is
full, a queue drops its oldest. What was taken in the instant of a crash may be sent once more.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from calsyncd.core.names import naming
from calsyncd.core.retry import backoff
from calsyncd.errors import Unavailable
from calsyncd.http import Answer
from calsyncd.logs import get_logger

MOST_WAITING = 1000
FIRST_RETRY_SECONDS = 1.0
RETRY_CAP_SECONDS = 300.0
TRIES_IF_REFUSED = 3
"""A refusal may be a receiver that restarts; a message that is refused again must not keep the others waiting."""

COMMAND_SECONDS = 30.0
_TRY_AGAIN = frozenset({408, 425, 429})
_SYSTEMDS = ("NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "CREDENTIALS_DIRECTORY")

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]

log = get_logger(__name__)


class NotSentError(Exception):
    """A message was not taken; `passing` unless it was refused."""

    def __init__(self, why: str, *, passing: bool) -> None:
        super().__init__(why)
        self.passing = passing


class Sleeper(Protocol):
    """Who waits."""

    async def sleep(self, seconds: float) -> None:
        """Return after about `seconds`."""
        ...


class Outbox:
    """One way of sending, named after its setting. `changed` is called when a message is gone.

    `send` takes a message or raises NotSentError; None where nothing is to be sent this way.
    """

    def __init__(self, name: str, clock: Sleeper, chance: Callable[[], float], send: Send | None = None) -> None:
        self.name = name
        self.changed: Callable[[], None] = lambda: None
        self._clock = clock
        self._chance = chance
        self._send = send
        self._queue: deque[Message] = deque()
        self._arrived = asyncio.Event()
        self._redirected = asyncio.Event()

    def send_by(self, send: Send | None) -> None:
        """From now on send by this, and what waits at once; None: by nothing, and what waits is let go."""
        self._send = send
        if send is None:
            self._queue.clear()
            self.changed()
        self._redirected.set()

    def put(self, messages: Iterable[Message]) -> None:
        """Send these, after all others."""
        if self._send is None:
            return
        self._queue.extend(messages)
        dropped = 0
        while len(self._queue) > MOST_WAITING:
            self._queue.popleft()
            dropped += 1
        if dropped:
            log.error(
                f"Alarms wait for {self.name} in vain: the oldest are not sent",
                action="alert_given_up",
                to=self.name,
                alarms=dropped,
            )
        if self._queue:
            self._arrived.set()

    def forget(self, who: str) -> None:
        """Drop what names them and has not gone yet."""
        name = naming(who)
        kept = [message for message in self._queue if not any(name.search(str(one)) for one in message.values())]
        self._queue.clear()
        self._queue.extend(kept)

    @property
    def waiting(self) -> list[Message]:
        """What was not sent yet, oldest first."""
        return list(self._queue)

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._arrived.wait()
            failures = 0
            while self._queue and self._send is not None:
                message = self._queue[0]
                self._redirected.clear()
                try:
                    await self._send(message)
                except NotSentError as error:
                    failures += 1
                    if error.passing or failures < TRIES_IF_REFUSED:
                        await self._wait(failures, error)
                        continue
                    self._say_given_up(message, error)
                except Exception:
                    # One message, or one way of sending, is not worth the process.
                    log.exception("An alarm could not be sent", action="alert_given_up", to=self.name)
                failures = 0
                self._gone(message)
            self._arrived.clear()

    def _gone(self, message: Message) -> None:
        # It may have been dropped meanwhile, and another be the oldest.
        if self._queue and self._queue[0] is message:
            self._queue.popleft()
        self.changed()

    async def _wait(self, failures: int, error: NotSentError) -> None:
        wait = backoff(failures, self._chance(), first=FIRST_RETRY_SECONDS, cap=RETRY_CAP_SECONDS)
        log.warning(
            f"An alarm could not be sent by {self.name}",
            action="alert_failed",
            to=self.name,
            why=str(error),
            waiting=len(self._queue),
            retry_seconds=round(wait, 1),
        )
        waits = {asyncio.ensure_future(self._clock.sleep(wait)), asyncio.ensure_future(self._redirected.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    def _say_given_up(self, message: Message, error: NotSentError) -> None:
        log.error(
            f"An alarm is not sent by {self.name}: it was refused",
            action="alert_given_up",
            to=self.name,
            why=str(error),
            code=message.get("code"),
            who=message.get("who"),
        )


class Requests(Protocol):
    """The outward requests."""

    async def request(
        self, service: str, route: str, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: Any
    ) -> Answer:
        """Send once."""
        ...


class Post:
    """POSTs each message as JSON to a URL, which is a secret: nothing that is said of it names it."""

    def __init__(self, http: Requests, url: str) -> None:
        self._http = http
        self._url = url

    async def __call__(self, message: Message) -> None:
        """Send one; NotSentError if that fails."""
        try:
            answer = await self._http.request("alerts", "alert", "POST", self._url, body=message)
        except Unavailable as error:
            if error.code == "malformed" and error.status is not None:
                # It was taken: many receivers answer with a word.
                return
            # What is said of a certificate names the host.
            why = str(error) if error.code != "certificate" else "the certificate of alerts is not trusted"
            raise NotSentError(why, passing=error.code != "redirect") from None
        if not answer.ok:
            passing = answer.status >= 500 or answer.status in _TRY_AGAIN
            raise NotSentError(f"alerts answered {answer.status}", passing=passing)


class Command:
    """Runs a program for each message, which is JSON on its standard input; no shell reads it.

    What it prints on standard error goes where calsyncd's own goes. It fails by a status other than 0, and after
    `seconds`, when it is killed with all that it started.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], seconds: float = COMMAND_SECONDS) -> None:
        self._command = tuple(command)
        self._environ = {name: value for name, value in environ.items() if not name.startswith(_SYSTEMDS)}
        self._seconds = seconds

    async def __call__(self, message: Message) -> None:
        """Run it once; NotSentError if that fails."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                env=self._environ,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else None
            raise NotSentError(f"the command cannot be started: {why or error}", passing=False) from None
        try:
            async with asyncio.timeout(self._seconds):
                await process.communicate(json.dumps(message).encode() + b"\n")
        except TimeoutError:
            raise NotSentError(f"the command took over {self._seconds:g} s", passing=False) from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode:
            raise NotSentError(f"the command ended with status {process.returncode}", passing=False)
