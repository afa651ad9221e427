"""The ten-event script: a real process, real HTTP, and a `kill -9` in the middle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.world import Sandbox
from tests.acceptance.running import Running
from tests.sandbox import discovery

WRONG_SECONDS = 0.5
TITLE = "Merger with Initech, do not tell"

AMY, BOB, CLEO, DORA = (f"{name}@example.com" for name in ("amy", "bob", "cleo", "dora"))
USERS = {AMY: 1, BOB: 2, CLEO: 3, DORA: 4}


@dataclass
class Script:
    """Events are placed in whole seconds after `zero`, and each edit is noted as the truth from its instant on."""

    sandbox: Sandbox
    zero: float
    busy: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    async def at(self, offset: float) -> None:
        """Wait until `offset`."""
        await asyncio.sleep(max(0.0, self.zero + offset - time.time()))

    def add(self, who: str, start: float, end: float, *, counts: bool = True, **more: Any) -> str:
        """Put an event into the calendar; one that counts makes the agent busy, from now on at the earliest."""
        event = self.sandbox.google.insert(
            who,
            {
                "summary": TITLE,
                "start": {"dateTime": second(self.zero + start)},
                "end": {"dateTime": second(self.zero + end)},
                **more,
            },
        )
        if counts:
            self.busy.setdefault(who, []).append((start, end))
        return str(event["id"])

    def wrong(self, who: str, down: tuple[float, float]) -> list[tuple[float, float, str]]:
        """When the phone differed from the calendar: (from, seconds not explained by the down time, how)."""
        history = self.sandbox.aircall.history(USERS[who])
        spans = self.busy.get(who, [])
        cuts = sorted({t for span in spans for t in span} | {at - self.zero for at, _ in history} | {0.0, 100.0})
        found = []
        for start, end in pairwise(cuts):
            middle = (start + end) / 2
            if middle < 0 or middle > 100:
                continue
            truly = any(a <= middle < b for a, b in spans)
            shown = self.sandbox.aircall.state_at(USERS[who], self.zero + middle)
            if truly != (shown.status == "unavailable"):
                excused = max(0.0, min(end, down[1]) - max(start, down[0]))
                found.append((start, end - start - excused, "ringing" if truly else "unreachable"))
        return found


def updates(sandbox: Sandbox, who: str) -> list[tuple[float, str, str]]:
    """(when, from, to) of every update that reached the phone by the API."""
    return [
        (entry.at, entry.before.status, entry.after.status)
        for entry in sandbox.aircall.log
        if entry.user == USERS[who] and entry.by == "api"
    ]


@pytest.mark.timeout(240)
async def test_ten_events(sandbox: Sandbox, prepare: Callable[..., Running]) -> None:
    """Nobody is wrong for longer than half a second beyond the down time, with two updates a true window."""
    for who, status in ((AMY, "available"), (BOB, "unavailable"), (CLEO, "custom"), (DORA, "available")):
        sandbox.add_agent(who, user_id=USERS[who], status=status)
    daemon = prepare([AMY, BOB, CLEO, DORA])
    await daemon.start()
    script = Script(sandbox, float(int(time.time()) + 2))
    # 1 starts and ends · 2, 3 back-to-back · 4, 5 nested · 6 declined · 7 free
    script.add(AMY, 6, 10)
    script.add(AMY, 13, 17)
    script.add(AMY, 17, 21)
    script.add(AMY, 24, 34)
    script.add(AMY, 26, 29)
    refused = script.add(AMY, 36, 40, counts=False, attendees=[{"email": AMY}])
    sandbox.google.respond(AMY, refused, "declined")
    script.add(AMY, 36, 40, counts=False, transparency="transparent")
    # By hand: unavailable before the meeting, and after it. Cleo is on Auto.
    script.add(BOB, 13, 17)
    script.add(CLEO, 14, 19)

    await script.at(22)
    fetched = len(_lists(sandbox))
    far = script.add(DORA, 3000, 3060)
    for minutes in range(12):
        sandbox.google.patch(DORA, far, {"end": {"dateTime": second(script.zero + 3120 + 60 * minutes)}})
        await asyncio.sleep(0.03)
    await script.at(27)
    burst = len(_lists(sandbox)) - fetched

    # 8 created five seconds before its start
    await script.at(41)
    script.add(AMY, 46, 50)
    # 9 cancelled in the middle
    cancelled = script.add(AMY, 53, 63, counts=False)
    await script.at(57)
    sandbox.google.delete(AMY, cancelled)
    script.busy[AMY].append((53, time.time() - script.zero))
    # 10 killed during a meeting, restarted after its end · 11, 12 created while it was down
    script.add(AMY, 62, 66)
    script.add(CLEO, 62, 66)
    await script.at(64)
    began = time.time() - script.zero
    await daemon.kill()
    await script.at(65)
    script.add(DORA, 67, 76)
    script.add(AMY, 74, 78)
    await script.at(70)
    await daemon.start()
    down = (began, time.time() - script.zero)
    await script.at(82)
    exit_status = await daemon.stop()

    script.busy[BOB] = [(0.0, 100.0)]
    amys, cleos, doras = updates(sandbox, AMY), updates(sandbox, CLEO), updates(sandbox, DORA)
    print(f"down {down[1] - down[0]:.2f} s; fetches of a burst of 13 edits: {burst}")
    for who in USERS:
        print(who, [(round(at, 3), round(seconds, 3), how) for at, seconds, how in script.wrong(who, down)])
    worst = max((seconds for who in USERS for _, seconds, _ in script.wrong(who, down)), default=0.0)
    seam = script.zero + 17
    at_seam = [r for r in sandbox.aircall.requests if f"/users/{USERS[AMY]}" in r.path and abs(r.at - seam) < 1.5]
    assert worst <= WRONG_SECONDS
    assert [("available", "unavailable"), ("unavailable", "available")] * 7 == [pair[1:] for pair in amys]
    assert [("custom", "unavailable"), ("unavailable", "custom")] * 2 == [pair[1:] for pair in cleos]
    assert [("available", "unavailable"), ("unavailable", "available")] == [pair[1:] for pair in doras]
    assert [] == updates(sandbox, BOB)
    assert [] == at_seam
    assert 1 <= burst <= 2
    assert exit_status == 0
    assert not any(TITLE[:12] in line for line in daemon.raw)
    assert discovery.check_recorded(sandbox.google.requests) >= 20


def _lists(sandbox: Sandbox) -> list[Any]:
    return [r for r in sandbox.google.requests if r.method == "GET" and r.path.endswith("/events")]
