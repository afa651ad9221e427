"""`calsyncd demo` and `calsyncd sandbox` as processes."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest


@asynccontextmanager
async def command(*arguments: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command with its output piped; ended with the block at the latest."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "calsyncd", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


async def line_with(process: asyncio.subprocess.Process, pattern: str) -> re.Match[str]:
    """The first line of output with this in it; fails with all the output if it ends before."""
    assert process.stdout is not None
    seen = []
    while line := (await process.stdout.readline()).decode():
        seen.append(line)
        if found := re.search(pattern, line):
            return found
    pytest.fail("".join(seen))
