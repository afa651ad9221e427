"""The limit of an event loop's lag: a loop with nothing to do, whose timers run once a second as the daemon's.

Run by `benchmarks.crowd`; told to end by a line, it says how late each timer was, in seconds.
"""

from __future__ import annotations

import asyncio
import sys
import time

from benchmarks.processes import say


async def measure() -> list[float]:
    """Measure until there is a line."""
    end = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), end.set)
    late = []
    while not end.is_set():
        began = time.monotonic()
        await asyncio.sleep(1.0)
        late.append(max(0.0, time.monotonic() - began - 1.0))
    return late


if __name__ == "__main__":
    say(asyncio.run(measure()))
