"""The limit of a boundary of many: as many requests, each ready on a connection that is open, sent at one instant.

Run by `benchmarks.crowd`, which sends what it needs in one line, and is told when all are answered.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import time
from typing import Any

from benchmarks.processes import say


def main() -> None:
    """Send them all, and wait for the answers."""
    order: Any = json.loads(sys.stdin.readline())
    with contextlib.ExitStack() as stack:
        ready = []
        for request in order["requests"]:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", order["port"])))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ready.append((connection, request.encode()))
        time.sleep(max(0.0, order["at"] - time.time()))
        for connection, raw in ready:
            connection.sendall(raw)
        for connection, _ in ready:
            connection.recv(65536)
    say("answered")


if __name__ == "__main__":
    main()
