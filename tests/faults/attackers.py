"""Strangers at both listeners, as a process of their own: floods at a pace, slow clients, and what is no HTTP.

In: one line, the order. Out: one line, how many were answered what, and how many slow clients were cut.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import cycle
from typing import Any

WORD = "strangers-word"
"""Stands in all that they send, and must stand in no log."""

PATIENCE_SECONDS = 10.0
AT_ONCE = 150
"""So many requests of a flood are under way at most: as many as can have places."""

_POST = f"POST /webhooks/aircall HTTP/1.1\r\nHost: {WORD}\r\nContent-Type: application/json\r\n".encode()

SLOW: dict[str, bytes] = {
    "idle": b"",
    "half a header": b"POST /webhooks/google/notifications HTTP/1.1\r\nHost: " + WORD.encode(),
    "half a body": _POST + b"Content-Length: 1000\r\n\r\n{",
    "endless chunks": _POST + b"Transfer-Encoding: chunked\r\n\r\n",
    "never reads": b"GET /google/connect HTTP/1.1\r\nHost: a\r\n\r\n",
}
TRICKLED = ("half a header", "endless chunks")
"""These go on: a byte a second, and a chunk."""

_NAMED = {
    "CR LF in a value": b"X-Goog-Channel-ID: a\r\n\rX-Injected: 1\r\n",
    "ANSI": b"X-Goog-Channel-Token: \x1b[31m" + WORD.encode() + b"\x1b[0m\r\n",
    "8 KB": b"X-Goog-Resource-URI: " + WORD.encode() * 600 + b"\r\n",
    "invalid UTF-8": b"X-Goog-Channel-Token: \xff\xfe" + WORD.encode() + b"\r\n",
    "NUL": b"X-Goog-Channel-Token: a\0" + WORD.encode() + b"\r\n",
    "underscores": b"X_Goog_Channel_Token: " + WORD.encode() + b"\r\n",
    "twice": b"X-Goog-Channel-Token: a\r\nX-Goog-Channel-Token: " + WORD.encode() + b"\r\n",
    "a header for ever": b"".join(b"X-%d: %s\r\n" % (n, WORD.encode() * 500) for n in range(60)),
}

ODD: dict[str, bytes] = {
    **{
        what: b"POST /webhooks/google/notifications HTTP/1.1\r\nHost: localhost\r\n" + line + b"\r\n"
        for what, line in _NAMED.items()
    },
    "10 GB announced": _POST + b"Content-Length: 10000000000\r\n\r\n" + b"x" * 2000,
    "a gzip bomb": _POST
    + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s"
    % (len(bomb := gzip.compress(b'{"a": "' + bytes(20_000_000) + b'"}', 9)), bomb),
    "deep JSON": _POST + b"Content-Length: 60000\r\n\r\n" + b"[" * 60_000,
    "both lengths": _POST
    + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another path": f"GET /{WORD}/.env HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    "a nonce": f"GET /healthz?nonce=%0d%0a{WORD} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    "an address": f"GET /google/connect?email=%00{WORD} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    "a callback": f"GET /google/callback?state={WORD}&code={WORD} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    "an origin": b"POST /api/v1/pause HTTP/1.1\r\nHost: localhost\r\nOrigin: http://[\r\nContent-Length: 0\r\n\r\n",
}


async def flood(
    port: int, requests: Sequence[bytes], per_second: float, seconds: float, *, whole: bool
) -> Counter[str]:
    """Send these in turn at this pace, each on a connection of its own: what they were answered.

    Where the machine is too slow for that pace, the rest is left out, or with `whole` takes longer.
    """
    loop = asyncio.get_running_loop()
    told: Counter[str] = Counter()
    under_way: set[asyncio.Task[None]] = set()
    began, following = loop.time(), cycle(requests)
    for number in range(int(per_second * seconds)):
        await asyncio.sleep(max(0.0, began + number / per_second - loop.time()))
        if loop.time() > began + seconds and not whole:
            break
        while len(under_way) >= AT_ONCE:
            await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(_count(port, next(following), told))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)
    return told


async def _count(port: int, raw: bytes, told: Counter[str]) -> None:
    told[await exchange(port, raw)] += 1


async def exchange(port: int, raw: bytes) -> str:
    """The status that comes back for these bytes; "none" for no answer."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(raw)
                head = await reader.read(64)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return "none"
    return head.split(b" ", 2)[1].decode() if head.startswith(b"HTTP/") else "none"


async def linger(port: int, how: str, ends: float) -> int:
    """Be slow in this way until `ends`, by the loop's clock, coming again whenever cut: how often that was."""
    loop = asyncio.get_running_loop()
    cuts = 0
    while loop.time() < ends:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        try:
            writer.write(SLOW[how])
            if how == "never reads":
                writer.transport.pause_reading()  # type: ignore[attr-defined]
            while loop.time() < ends and not reader.at_eof() and not writer.is_closing():
                await asyncio.sleep(0.5)
                if how in TRICKLED:
                    writer.write(b"x" if how == "half a header" else b"1\r\nx\r\n")
        except OSError:
            pass
        finally:
            writer.transport.abort()
        cuts += loop.time() < ends
        await asyncio.sleep(0.05)
    return cuts


async def attack(order: dict[str, Any]) -> dict[str, Any]:
    """All at once for `seconds`: `floods` of [port, requests, per second], and `slow` clients at each of `ports`."""
    ends = asyncio.get_running_loop().time() + order["seconds"]
    ways = cycle(SLOW)
    lingering = [
        asyncio.create_task(linger(port, next(ways), ends)) for port in order["ports"] for _ in range(order["slow"])
    ]
    floods = await asyncio.gather(
        *(
            flood(
                port,
                [text.encode("latin-1") for text in requests],
                per_second,
                order["seconds"],
                whole=order["whole"],
            )
            for port, requests, per_second in order["floods"]
        )
    )
    return {"floods": [dict(one) for one in floods], "cuts": sum(await asyncio.gather(*lingering))}


def main() -> None:
    """Attack once, as ordered."""
    order = json.loads(sys.stdin.readline())
    sys.stdout.write(json.dumps(asyncio.run(attack(order))) + "\n")


if __name__ == "__main__":
    main()
