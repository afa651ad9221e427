"""The limit of a boundary: a timerfd, and one request on an open connection. Nothing is decided or written down.

Run by `benchmarks.boundaries`, which sends what it needs in one line and gets, in one, how late each wake was.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import socket
import struct
import sys
import time
from typing import Any

from benchmarks.processes import say

_CLOCK_REALTIME = 0
_TFD_TIMER_ABSTIME = 1


def main() -> None:
    """Wake at each instant and send its request at once; then say how late each wake was, in seconds."""
    order: Any = json.loads(sys.stdin.readline())
    libc = ctypes.CDLL(None, use_errno=True)
    timer = libc.timerfd_create(_CLOCK_REALTIME, os.O_CLOEXEC)
    late = []
    with socket.create_connection(("127.0.0.1", order["port"])) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at, request in zip(order["instants"], order["requests"], strict=True):
            raw = request.encode()
            whole = math.floor(at)
            value = struct.pack("@qqqq", 0, 0, whole, round((at - whole) * 1e9))
            if libc.timerfd_settime(timer, _TFD_TIMER_ABSTIME, value, None):
                raise OSError(ctypes.get_errno(), "timerfd_settime")
            os.read(timer, 8)
            late.append(time.time() - at)
            connection.sendall(raw)
            connection.recv(65536)
    say(late)


if __name__ == "__main__":
    main()
