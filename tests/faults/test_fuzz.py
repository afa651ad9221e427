"""Requests that no client sends, a few thousand of them; `make fuzz` tries for as long as it is told to."""

from __future__ import annotations

from tests.faults.depth import rounds
from tests.faults.fuzz import kept, tried

TRIES = 1000, 20_000


async def test_whatever_comes_is_answered_and_is_no_fault_of_ours() -> None:
    """No 500, no word of the framework's, no header of a stranger's in an answer, no broken line in the log."""
    faults, statuses = await tried([*kept(), *range(rounds(*TRIES))])

    assert faults == []
    # It reaches the handlers, and does not only break HTTP.
    assert {"200", "303", "400", "404", "415"} <= set(statuses)
    assert statuses["200"] > sum(statuses.values()) / 20
