"""Lines that a thread writes, into real pipes that are read, full, or gone."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from calsyncd import logs
from calsyncd.logwriter import WAITING_LINES, LogWriter


@pytest.fixture
def full_pipe() -> Iterator[tuple[int, TextIO]]:
    """The end to read of a pipe that takes nothing more, and the one to write."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    os.write(write, b"\n" * 4096)
    with os.fdopen(write, "w") as stream:
        yield read, stream
    os.close(read)


def read_lines(descriptor: int, until: str) -> list[str]:
    """The lines that come, but for empty ones, to the first in which this stands."""
    data = b""
    while until.encode() not in data or not data.endswith(b"\n"):
        data += os.read(descriptor, 65536)
    return [line for line in data.decode().splitlines() if line]


def test_lines_come_in_their_order() -> None:
    """Each is written once, and all that wait are written when draining returns."""
    written: list[str] = []
    writer = LogWriter(written.append)

    assert all(writer.put(str(number)) for number in range(5000))
    writer.drain(10.0)

    assert written == [str(number) for number in range(5000)]


def test_no_more_wait_than_there_is_room_for() -> None:
    """Who stands still is waited for by so many lines, and draining gives up; later they are written."""
    written, free = list[str](), threading.Event()

    def write(line: str) -> None:
        free.wait()
        written.append(line)

    writer = LogWriter(write)
    taken = sum(writer.put(str(number)) for number in range(2 * WAITING_LINES))
    writer.drain(0.1)
    before = len(written)
    free.set()
    writer.drain(10.0)

    # The thread may have had one in hand.
    assert taken - WAITING_LINES in (0, 1)
    assert (before, len(written)) == (0, taken)


def test_lost_lines_are_told(full_pipe: tuple[int, TextIO]) -> None:
    """What a full pipe could not take is counted, and told before the next line once there is room."""
    read, stream = full_pipe
    logs.configure("info", stream=stream, waits=False)
    log = logs.get_logger("calsyncd.test")
    for _ in range(WAITING_LINES + 100):
        log.info("one of many", action="held")
    reader, lines = threading.Event(), list[str]()

    def reading() -> None:
        lines.extend(read_lines(read, "the last"))
        reader.set()

    threading.Thread(target=reading, daemon=True).start()
    handler = next(one for one in logging.getLogger().handlers if isinstance(one, logs._Pipe))
    assert handler._writer is not None
    handler._writer.drain(10.0)
    log.info("the last", action="held")
    assert reader.wait(10.0)
    logs.configure()

    actions = [json.loads(line)["action"] for line in lines]
    told = json.loads(lines[-2])
    assert actions[-2:] == ["log_lost", "held"]
    assert told["level"] == "warning"
    assert told["lines"] + actions.count("held") - 1 == WAITING_LINES + 100


def test_who_reads_no_more_is_written_to_no_more() -> None:
    """A pipe without a reader: what follows goes nowhere, and nothing fails."""
    read, write = os.pipe()
    with os.fdopen(write, "w") as stream:
        logs.configure("info", stream=stream, waits=False)
        os.close(read)
        for _ in range(3):
            logs.get_logger("calsyncd.test").info("to nobody", action="held")
        logs.configure()

        assert Path(f"/proc/self/fd/{stream.fileno()}").readlink() == Path("/dev/null")
