"""The ten-event script: a real process, real HTTP, and a `kill -9` in the middle."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from calsyncd.sandbox.doubts import usual_ways
from calsyncd.sandbox.world import Sandbox
from tests.acceptance.running import Running
from tests.acceptance.script import DORA, Script, Trouble, populate
from tests.sandbox import discovery


@pytest.mark.timeout(240)
async def test_ten_events(sandbox: Sandbox, prepare: Callable[..., Running]) -> None:
    """Nobody is wrong for longer than half a second beyond the down time, with two updates a true window."""
    script = Script(sandbox, prepare(populate(sandbox, usual_ways(), Trouble())))

    await script.play()

    down = script.down[1] - script.down[0]
    print(f"down {down:.2f} s; fetches of a burst of 13 edits: {sum(22 <= at < 27 for at in script.fetches(DORA))}")
    for who in script.agents:
        print(who, [(round(start, 3), round(end - start, 3), how) for start, end, how in script.wrong_times(who)])
    assert [] == script.faults()
    assert [] == script.waits()
    assert discovery.check_recorded(sandbox.google.requests) >= 20
