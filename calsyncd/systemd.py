"""What systemd is told and asks: readiness, the watchdog, sockets handed over. Without systemd all of it does nothing.

The environment is handed in; the pid too, so that a child which inherited our variables does not take them for its own.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIRST_FD = 3


def notify(environ: Mapping[str, str], **state: str) -> bool:
    """Tell systemd, e.g. `READY="1"`, `STATUS="…"`, `STOPPING="1"`, `WATCHDOG="1"`; whether it was told.

    It never fails and never waits: what is lost here is said again with the next turn, or does not matter.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in {"/", "@"}:
        return False
    if address[0] == "@":
        address = "\0" + address[1:]
    # A line break would let a status line say other things to systemd.
    lines = (f"{name}={' '.join(value.splitlines())}\n" for name, value in state.items())
    message = "".join(lines).encode(errors="backslashreplace")
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0)
        sock.sendto(message, address)
        return True
    return False


def reloading(environ: Mapping[str, str], monotonic_usec: int) -> bool:
    """Tell systemd that the settings are being re-read; `READY="1"` says that this is over."""
    return notify(environ, RELOADING="1", MONOTONIC_USEC=str(monotonic_usec))


def watchdog_interval(environ: Mapping[str, str], pid: int) -> float | None:
    """How often `WATCHDOG="1"` should be sent, in seconds: twice as often as it must; None when nobody watches us."""
    usec = _number(environ, "WATCHDOG_USEC")
    if not usec or _number(environ, "WATCHDOG_PID", pid) != pid:
        return None
    return usec / 2_000_000


def listen_fds(environ: Mapping[str, str], pid: int) -> dict[str, tuple[socket.socket, ...]]:
    """The sockets handed over, by their `FileDescriptorName=`; to be asked once, for they are the caller's to close."""
    count = _number(environ, "LISTEN_FDS")
    if not count or _number(environ, "LISTEN_PID") != pid:
        return {}
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    sockets: dict[str, tuple[socket.socket, ...]] = {}
    for offset in range(count):
        fd = _FIRST_FD + offset
        name = names[offset] if offset < len(names) and names[offset] else "unknown"
        os.set_inheritable(fd, False)  # noqa: FBT003 - it takes no names
        sock = socket.socket(fileno=fd)
        sock.settimeout(0)
        sockets[name] = (*sockets.get(name, ()), sock)
    return sockets


def _number(environ: Mapping[str, str], name: str, default: int | None = None) -> int | None:
    text = environ.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() else default
