"""The kind of Aircall's minute: spent once on purpose, and watched until requests pass again."""

from __future__ import annotations

from typing import Any

from calsyncd.doctor.wire import Clock, Wire, signal_of

MINUTE = 60.0
QUIET_SECONDS = MINUTE + 1.0
BEGIN_AT_SECOND = 20.0
MOST_REQUESTS = 400
SOON_SECONDS = 5.0
NEAR_SECONDS = 4.0
LONGEST_SECONDS = 75.0


async def spend_minute(wire: Wire, clock: Clock, seen: dict[str, Any]) -> dict[str, str]:
    """What a 429 looks like, and by which rule requests pass again; what was `seen` in numbers is added there.

    After a quiet minute, twenty seconds after a mark of the clock: a leak lets the next request pass at once, a minute
    by the clock at the next mark, a sliding one a minute after the first request.
    """
    await clock.sleep(QUIET_SECONDS)
    await clock.sleep((BEGIN_AT_SECOND - clock.now()) % MINUTE)
    began, kept = clock.now(), len(wire.trace)
    passed = 0
    while (reply := await wire.once("GET", "/v1/ping", named="/v1/ping")).status != 429:
        passed += 1
        if passed >= MOST_REQUESTS:
            del wire.trace[kept:]
            return {"minute": f"more than {MOST_REQUESTS}"}
    refused_at = clock.now()
    found = {"rate_signal": signal_of(reply), "rate_body": reply.body}
    del wire.trace[kept:-1]
    kept = len(wire.trace)
    again: float | None = None
    while again is None and clock.now() - refused_at < LONGEST_SECONDS:
        await clock.sleep(0.5)
        if (await wire.once("GET", "/v1/ping", named="/v1/ping")).ok:
            again = clock.now()
    del wire.trace[kept:]
    seen["budget"] = {
        "passed": passed,
        "seconds": round(refused_at - began, 1),
        "again_after": None if again is None else round(again - began, 1),
    }
    found["minute"] = _kind(began, refused_at, again)
    return found


def _kind(began: float, refused_at: float, again: float | None) -> str:
    if again is None:
        return "unknown"
    if again - refused_at <= SOON_SECONDS:
        return "leaky"
    mark = (began // MINUTE + 1) * MINUTE
    if abs(again - mark) <= NEAR_SECONDS:
        return "fixed"
    return "sliding" if abs(again - began - MINUTE) <= NEAR_SECONDS else "unknown"
