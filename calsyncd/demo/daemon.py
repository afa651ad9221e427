"""The daemon as the demo runs it: `python -m calsyncd.demo.daemon CONFIG`, with the pace on standard input.

It is `calsyncd run` but for the clock, and does not look where its public URL leads: only the sandbox knows that one.
When standard input ends, so does the daemon: nobody is left to watch it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from calsyncd import config, logs
from calsyncd.daemon import Daemon
from calsyncd.demo.pace import Pace, PacedClock, Stretch


async def run(path: Path) -> None:
    """Run the daemon on these settings until it is told to stop."""
    settings = config.load(path, os.environ)
    secrets = [secret.reveal() for secret in settings.secrets]
    logs.configure(settings.log.level, settings.log.format, secrets, waits=False)
    pace = Pace()
    daemon = Daemon(settings, path, os.environ, PacedClock(pace))
    listening = asyncio.create_task(_listen(pace, daemon))
    try:
        await daemon.run()
    finally:
        listening.cancel()


async def _listen(pace: Pace, daemon: Daemon) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        pace.learn(Stretch.from_line(line.decode()))
        daemon.scheduler.touch()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
