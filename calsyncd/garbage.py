"""When Python looks for garbage that only its collector finds: never for so long that the loop would stand still.

A collection looks at everything that lives, and of a large company that takes a good part of a second. So nothing is
collected while the program starts, which throws nothing away; and what a long collection has looked at is not looked
at again before the next hour, when everything is. By itself Python begins when much more was made than was let go of:
of ten thousand agents each of whom is told anew nothing is too much, and all of it is looked at at once some time. So
what is new is looked at every second. What is no part of a cycle is freed at once in any case.
"""

from __future__ import annotations

import gc
import itertools
from typing import Any

from calsyncd.clock import Clock

NEW_SECONDS = 1.0
YOUNG_TURNS = 10
ALL_SECONDS, AFTER_SECONDS = 3600.0, 150.0
"""All of it every hour, two and a half minutes past: meetings begin and end at round minutes, which must not wait."""

LONG_SECONDS = 0.02
_NEW, _YOUNG, _OLD = range(3)


def hold() -> None:
    """Collect nothing until `Garbage` is kept."""
    gc.disable()


class Garbage:
    """The process's collections; there is one for each process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_at = 0.0

    async def keep(self) -> None:
        """Collect from now on, until cancelled."""
        gc.freeze()
        gc.callbacks.append(self._collects)
        gc.enable()
        hour = self._hour()
        try:
            for turn in itertools.count(1):
                await self._clock.sleep(NEW_SECONDS)
                if hour == self._hour():
                    gc.collect(_NEW if turn % YOUNG_TURNS else _YOUNG)
                else:
                    hour = self._hour()
                    gc.unfreeze()
                    gc.collect()
        finally:
            gc.callbacks.remove(self._collects)

    def _hour(self) -> float:
        return (self._clock.now() - AFTER_SECONDS) // ALL_SECONDS

    def _collects(self, phase: str, info: dict[str, Any]) -> None:
        if info["generation"] != _OLD:
            return
        if phase == "start":
            self._began_at = self._clock.monotonic()
        elif self._clock.monotonic() - self._began_at >= LONG_SECONDS:
            # What was worth a long look lives on, nearly all of it.
            gc.freeze()
