"""From a boundary to its request received: one idle agent, one boundary a second."""

from __future__ import annotations

import math
import time
from itertools import cycle

from benchmarks.figures import Bench, Figure, Goal, Measured, MeasureError, percentile
from benchmarks.processes import ask, daemon, free_addresses, helper, sleep_until, told
from calsyncd.aircall.authorization import ApiKey
from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.limits import Window
from calsyncd.sandbox.world import Sandbox

LEAD_SECONDS = 6.0
AMY, BARE = "amy@example.com", "bare@example.com"
STATUSES = ("unavailable", "available")

TITLE = "Boundary to request received"
HOW = """\
One agent has a meeting of a second every two seconds, so that each second is a boundary. What counts is from the
boundary itself to the instant at which the far end has the update, whatever has to happen in between. The limit is a
process that does nothing but wait on a timerfd and send the same request on an open connection to the same far end,
half a second after each boundary. *Early* would be an agent made unavailable before the meeting: it must not happen at
all."""


async def measure(bench: Bench) -> Measured:
    """Let boundaries pass, and compare with the far end's records."""
    count = bench.scale.boundaries
    async with Sandbox() as sandbox:
        sandbox.aircall.switches.budget = Window(10_000)
        amy, bare = sandbox.add_agent(AMY), sandbox.add_agent(BARE)
        listen, admin = free_addresses(2)
        config = sandbox.write_config(
            bench.folder,
            [AMY],
            listen=listen,
            admin_listen=admin,
            # A boundary takes a look and an update: two requests a second.
            extra={"aircall": {"requests_per_minute": 600}},
        )
        zero = math.ceil(time.time() + LEAD_SECONDS)
        for start in range(zero, zero + count, 2):
            meeting = {"start": {"dateTime": second(start)}, "end": {"dateTime": second(start + 1)}}
            sandbox.google.insert(AMY, meeting)
        async with daemon(config) as running, helper("benchmarks.bare_timer") as timer:
            await running.started()
            ask(timer, _order(sandbox, bare.id, [zero + 0.5 + number for number in range(count)]))
            await sleep_until(zero + count + 0.5)
            wakes: list[float] = await told(timer)
        ours = _lateness(sandbox, amy.id, zero, count)
        bares = _lateness(sandbox, bare.id, zero + 0.5, count)
    return Measured("boundaries", TITLE, HOW, _figures(ours, bares, wakes), _samples(ours, bares, wakes))


def _figures(ours: list[float], bares: list[float], wakes: list[float]) -> tuple[Figure, ...]:
    limit = "a bare timerfd and request"
    return (
        *(
            Figure(
                f"p{percent}",
                f"p{percent}",
                percentile(ours, percent) * 1e3,
                "ms",
                percentile(bares, percent) * 1e3,
                limit,
                Goal("value", "at most", most),
            )
            for percent, most in ((50, 2.0), (99, 10.0))
        ),
        Figure(
            "the earliest",
            "earliest",
            min(ours) * 1e3,
            "ms",
            min(wakes) * 1e3,
            "a bare timerfd alone",
            Goal("value", "at least", 0.0),
        ),
    )


def _samples(ours: list[float], bares: list[float], wakes: list[float]) -> dict[str, list[float]]:
    return {"calsyncd": ours, "a bare timerfd and request": bares, "a bare timerfd alone": wakes}


def _order(sandbox: Sandbox, user: int, instants: list[float]) -> dict[str, object]:
    requests = [update(sandbox, user, status) for _, status in zip(instants, cycle(STATUSES), strict=False)]
    return {"port": port(sandbox), "instants": instants, "requests": requests}


def port(sandbox: Sandbox) -> int:
    """Where the far end's Aircall listens."""
    return int(sandbox.aircall_url.rpartition(":")[2])


def update(sandbox: Sandbox, user: int, status: str) -> str:
    """The bytes of an update, as calsyncd sends it."""
    authorization = ApiKey(sandbox.aircall.api_id, sandbox.aircall.api_token).header()
    body = f'{{"availability_status": "{status}"}}'
    return (
        f"PUT /v2/users/{user} HTTP/1.1\r\nHost: {sandbox.aircall_url.removeprefix('http://')}\r\n"
        f"Authorization: {authorization}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )


def _lateness(sandbox: Sandbox, user: int, zero: float, count: int) -> list[float]:
    """How late each of `count` updates came, one a second from `zero` on, unavailable first."""
    updates = [
        request
        for request in sandbox.aircall.requests
        if request.method == "PUT" and request.path.endswith(f"/users/{user}")
    ]
    asked = [request.json["availability_status"] for request in updates]
    if asked != [status for _, status in zip(range(count), cycle(STATUSES), strict=False)]:
        raise MeasureError(f"{len(asked)} updates came for {count} boundaries, or in another order: {asked}")
    return [request.at - (zero + number) for number, request in enumerate(updates)]
