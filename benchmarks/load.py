"""Posts prepared requests as fast as they are answered, each on a connection of its own.

Run by `benchmarks.webhooks`. In: a line with the requests, then a line for each burst. Out: a line for each burst, with
how many were answered 200, how many otherwise, the seconds that it took, and the part of them that this process
computed.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections.abc import Sequence
from itertools import cycle, islice

from benchmarks.processes import say

CONNECTIONS = 16


def main() -> None:
    """Serve bursts until the input ends."""
    requests = [text.encode() for text in json.loads(sys.stdin.readline())]
    for line in sys.stdin:
        order = json.loads(line)
        say(burst(order["port"], requests, order["seconds"], order.get("most")))


def burst(port: int, requests: Sequence[bytes], seconds: float, most: int | None = None) -> dict[str, float]:
    """Keep `CONNECTIONS` requests under way for `seconds`, and send at most so many."""
    with selectors.DefaultSelector() as selector:
        following = cycle(requests)
        began, computed = time.perf_counter(), time.process_time()
        for request in islice(following, CONNECTIONS):
            _open(selector, port, request)
        good = bad = 0
        under_way = begun = CONNECTIONS
        while under_way:
            for key, _ in selector.select(5.0):
                connection: socket.socket = key.fileobj  # type: ignore[assignment]
                if key.events == selectors.EVENT_WRITE:
                    connection.send(key.data)
                    selector.modify(connection, selectors.EVENT_READ, b"")
                    continue
                if part := _received(connection):
                    selector.modify(connection, selectors.EVENT_READ, key.data + part)
                    continue
                selector.unregister(connection)
                connection.close()
                if key.data.startswith(b"HTTP/1.1 200 "):
                    good += 1
                else:
                    bad += 1
                if time.perf_counter() - began < seconds and (most is None or begun < most):
                    _open(selector, port, next(following))
                    begun += 1
                else:
                    under_way -= 1
        took = time.perf_counter() - began
        return {"good": good, "bad": bad, "seconds": took, "computed": (time.process_time() - computed) / took}


def _open(selector: selectors.BaseSelector, port: int, request: bytes) -> None:
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.setblocking(False)  # noqa: FBT003 - a socket's own
    connection.connect_ex(("127.0.0.1", port))
    selector.register(connection, selectors.EVENT_WRITE, request)


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except ConnectionError:
        return b""


if __name__ == "__main__":
    main()
