"""Lines that a thread writes: whoever reads them slowly, or stands still, holds up nobody.

A full pipe, a journal that hangs and a terminal stopped by Ctrl-S make a write wait for as long as they like. In the
event loop nobody would be put back meanwhile.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

WAITING_LINES = 10_000
"""Some megabytes: the log of hours."""

LAST_SECONDS = 0.5
"""At the end, so long what waits may take."""


class LogWriter:
    """Writes lines by `write`, one after the other, in a thread that keeps no process alive."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._waiting: queue.SimpleQueue[str | threading.Event] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def put(self, line: str) -> bool:
        """Have a line written, soon and in its order; False where too many wait for it to be taken."""
        if self._waiting.qsize() >= WAITING_LINES:
            return False
        self._waiting.put(line)
        return True

    def drain(self, seconds: float = LAST_SECONDS) -> None:
        """Return when what waits now is written, or after so many seconds."""
        written = threading.Event()
        self._waiting.put(written)
        written.wait(seconds)

    def _run(self) -> None:
        while True:
            one = self._waiting.get()
            if isinstance(one, threading.Event):
                one.set()
            else:
                self._write(one)
