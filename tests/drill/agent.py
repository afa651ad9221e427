"""What the guest runs to be told what to do: needs only Debian's Python.

A line of JSON comes in by TCP, a line goes out; each connection has a thread of its own, so that one may wait while
another asks. Nothing else reaches this port: the guest's only network is the virtual one of its QEMU.
"""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

PORT = 8769


def run(command: str, seconds: float) -> dict[str, Any]:
    """The exit status and the output of a shell's command; 124 where it took longer than `seconds`."""
    try:
        done = subprocess.run(
            ["/bin/bash", "-c", command],
            capture_output=True,
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        return {"status": 124, "out": (error.stdout or b"").decode(errors="replace"), "err": "took too long"}
    return {
        "status": done.returncode,
        "out": done.stdout.decode(errors="replace"),
        "err": done.stderr.decode(errors="replace"),
    }


def put(path: str, text: str, mode: int) -> dict[str, Any]:
    """Write a file, whole, with these permissions."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    target.chmod(mode)
    return {"status": 0}


def set_clock(to: float | None, by: float | None) -> dict[str, Any]:
    """Set the clock to an instant, or by so many seconds: one call of the kernel, as a time daemon's step is."""
    before = time.time()
    time.clock_settime(time.CLOCK_REALTIME, before + by if by is not None else float(to or 0.0))
    return {"status": 0, "before": before, "after": time.time()}


def suspend(state: str, after: float) -> dict[str, Any]:
    """Suspend once this answer is out; `state` as in /sys/power/state."""

    def fall_asleep() -> None:
        time.sleep(after)
        Path("/sys/power/state").write_text(state, encoding="ascii")

    threading.Thread(target=fall_asleep, daemon=True).start()
    return {"status": 0}


def get(url: str) -> dict[str, Any]:
    """What an address of the guest's loopback answers to a GET; status 0 where nobody does."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - an http address of the drill's
            return {"status": answer.status, "out": answer.read().decode()}
    except urllib.error.HTTPError as error:
        return {"status": error.code, "out": error.read().decode()}
    except OSError as error:
        return {"status": 0, "out": repr(error)}


def now() -> dict[str, Any]:
    """What the guest's clocks show."""
    return {
        "status": 0,
        "now": time.time(),
        "boottime": time.clock_gettime(time.CLOCK_BOOTTIME),
        "monotonic": time.monotonic(),
        "pid": os.getpid(),
    }


DEEDS: dict[str, Callable[..., dict[str, Any]]] = {
    "run": run,
    "put": put,
    "set_clock": set_clock,
    "suspend": suspend,
    "get": get,
    "now": now,
}


class Asked(socketserver.StreamRequestHandler):
    """One connection: questions until it closes."""

    def handle(self) -> None:
        """Answer each line by a line."""
        for line in self.rfile:
            asked = json.loads(line)
            try:
                answer = DEEDS[asked.pop("do")](**asked)
            except (OSError, ValueError, TypeError) as error:
                answer = {"status": 1, "out": "", "err": repr(error)}
            self.wfile.write(json.dumps(answer).encode() + b"\n")


class Server(socketserver.ThreadingTCPServer):
    """A thread for each connection, none of which keeps the process."""

    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    with Server(("0.0.0.0", PORT), Asked) as server:  # noqa: S104 - the guest's own network
        server.serve_forever()
