"""System calls that fail, hang or kill, by strace."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

ATTACHED_SECONDS = 10.0


def arguments(strace: str, calls: str, inject: str, paths: Sequence[Path] = ()) -> list[str]:
    """How strace is told to do `inject` (`error=EIO:when=2`) to these calls, of all threads; on `paths` alone if any.

    With `when` each thread has a count of its own.
    """
    only = [word for path in paths for word in ("-P", str(path))]
    # What is not traced is not tampered with.
    return [strace, "-f", "-qq", "-o", "/dev/null", *only, "-e", f"trace={calls}", "-e", f"inject={calls}:{inject}"]


@contextlib.asynccontextmanager
async def tampered(
    strace: str, pid: int, calls: str, inject: str, paths: Sequence[Path] = ()
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Tamper with the calls of a running process until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *arguments(strace, calls, inject, paths),
        "-p",
        str(pid),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(ATTACHED_SECONDS):
            while not _all_attached(pid):
                if process.returncode is not None:
                    assert process.stderr is not None
                    raise AssertionError(f"strace ended: {(await process.stderr.read()).decode()}")
                await asyncio.sleep(0.01)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            # Lets go of its threads; one that hangs in a call is let go of when that has ended.
            process.send_signal(signal.SIGTERM)
        await process.wait()


def _all_attached(pid: int) -> bool:
    # Whoever is killed as soon as it is attached to is gone by now.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return all("TracerPid:\t0\n" not in (thread / "status").read_text() for thread in threads)
    return True
