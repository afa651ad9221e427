"""Requests that no client sends, a few thousand of them; `make fuzz` tries for as long as it is told to."""

from __future__ import annotations

from tests.faults.depth import rounds
from tests.faults.fuzz import KEPT, Siege

VOLLEYS = 25, 500


def test_whatever_comes_is_answered_and_is_no_fault_of_ours() -> None:
    """No 500, no word of the framework's, no header of a stranger's in an answer, no broken line in the log."""
    with Siege() as siege:
        siege.send(KEPT)
        siege.attack(rounds(*VOLLEYS), always_the_same=True)
        statuses = siege.town.statuses

    # It reaches the handlers, and does not only break HTTP.
    assert {"200", "303", "400", "404", "415"} <= set(statuses)
    assert statuses["200"] > statuses.total() / 20
    assert statuses.total() > 20 * rounds(*VOLLEYS)
