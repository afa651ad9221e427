"""What would be held of an agent who is only observed: as long as a hold would be that nobody touches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calsyncd.core.model import Event, Setting
from calsyncd.core.observe import carried_on
from calsyncd.core.plan import Held, Orders
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import Timeline, build

RULES = Rules(substatus_by_title=(("lunch", "out_for_lunch"),))
DAY = build([Event("a", 100.0, 200.0), Event("b", 200.0, 300.0, titles=("lunch",))], RULES)
WOULD = Held(Setting("unavailable"), Setting("custom"), 100.0, 100.0, 300.0, "a")


@pytest.mark.parametrize(("now", "substatus"), [(150.0, None), (200.0, "out_for_lunch"), (299.9, "out_for_lunch")])
def test_it_is_what_the_meeting_wants_until_the_last_one_ends(now: float, substatus: str | None) -> None:
    """Back to back, with the reason of each."""
    expected = replace(WOULD, put=Setting("unavailable", substatus))

    assert expected == carried_on(WOULD, Orders(DAY), now) == carried_on(replace(WOULD, until=0.0), Orders(DAY), now)


def test_its_end_is_not_told_sooner_while_not_all_calendars_are_read() -> None:
    """A meeting of one that is not may go on."""
    later = replace(WOULD, until=400.0)

    assert [400.0, 300.0] == [
        found.until
        for complete in (False, True)
        if (found := carried_on(later, Orders(DAY, complete=complete), 150.0)) is not None
    ]


def test_it_ends_with_the_last_meeting_or_with_a_pause() -> None:
    """Where all calendars are read; else it may still be wanted until it was to end."""
    assert carried_on(WOULD, Orders(DAY), 300.0) is None
    assert carried_on(WOULD, Orders(DAY, paused_until=160.0), 150.0) is None
    assert carried_on(WOULD, Orders(DAY, paused_until=150.0), 150.0) is not None
    assert WOULD == carried_on(WOULD, Orders(Timeline(), complete=False), 150.0)
    assert WOULD == carried_on(WOULD, Orders(None, complete=False), 150.0)
