"""A probe from its beginning to its report, for the command: signals, hands, and what must not be in the report."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator

from calsyncd.core.model import User
from calsyncd.doctor.checks import Outcome
from calsyncd.doctor.examined import Examined
from calsyncd.doctor.left import notes
from calsyncd.doctor.probe import Hands, Probe, Result
from calsyncd.doctor.undoing import undo
from calsyncd.errors import UserError

SHORTEST = 6
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def probed(
    examined: Examined, user: User, say: Callable[[str], None], hands: Hands, *, spend: bool
) -> tuple[Result, str]:
    """The result and its report. A signal ends the asking, and the user is put back all the same."""
    for one in await undo(examined):
        say(one.what)
        if one.outcome is Outcome.FAILED:
            raise UserError(f"{one.what}: {one.do}", exit_code=1)
    note = notes(examined.state_dir)[0]
    probe = Probe(examined, user.id, say, hands, note=note, email=user.email)
    with note.held(), _signals_lead_to(probe.interrupt):
        result = await probe.run(spend=spend)
    settings = examined.settings
    forbidden = [
        *(user.email, str(user.id), settings.server.public_url or "", settings.aircall.api_id or ""),
        *(examined.authorization, *(secret.reveal() for secret in settings.secrets)),
    ]
    # Nothing of these is in it anyway; a text as short as "v1" would only spoil its words.
    return result, result.report([text for text in forbidden if len(text) >= SHORTEST])


@contextlib.contextmanager
def _signals_lead_to(interrupt: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, interrupt)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


def of_a_terminal(ask: Callable[[str], None]) -> Hands:
    """Somebody at a terminal who makes a call when asked, and presses Enter; any letter before that leaves it out."""
    return Hands(
        _entered(ask, "Call the test user now and let them answer. Enter when they talk; s Enter to leave this out:"),
        _entered(ask, "Hang up now, and let the time after the call end. Enter when it is over:"),
    )


def _entered(ask: Callable[[str], None], sentence: str) -> Callable[[], Awaitable[bool]]:
    async def wait() -> bool:
        ask(sentence)
        loop, line = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

        def read() -> None:
            if not line.done():
                # The event loop reads, not a thread: an interruption must not have to wait for Enter.
                line.set_result(os.read(sys.stdin.fileno(), 1024))

        loop.add_reader(sys.stdin.fileno(), read)
        try:
            return bool((await line) == b"\n")
        finally:
            loop.remove_reader(sys.stdin.fileno())

    return wait
