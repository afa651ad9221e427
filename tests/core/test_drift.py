"""Where Aircall differs from what we believe: what is ours, what is not, what says nothing yet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calsyncd.core.drift import Kind, Left, found, left_behind, taken_up
from calsyncd.core.model import HistoryRow, Observation, Setting
from calsyncd.core.plan import FREE, Facts, Held, Orders, Put, Stance, StandingBack, decide
from calsyncd.core.timeline import Timeline

from .driver import NOON, day, meeting

AVAILABLE, UNAVAILABLE = Setting("available"), Setting("unavailable")
HELD = Held(UNAVAILABLE, AVAILABLE, NOON - 600, NOON - 600, NOON + 600, "meeting", confirmed_at=NOON - 599)
LEFT = Left(1, "custom", NOON - 600, "meeting")
OURS = HistoryRow(NOON - 600, "amy@x", "custom", "unavailable", "done", "a meeting", "meeting", 3, "calsyncd")


def seen(status: str, at: float = NOON, live: str | None = None) -> Observation:
    """What a look showed."""
    return Observation(Setting(status), at, live)


@pytest.mark.parametrize(
    ("stance", "left", "known", "shown", "wanted", "kind"),
    [
        (HELD, None, "unavailable", "unavailable", True, None),
        (HELD, None, "unavailable", "available", True, "hold_missing"),
        (HELD, None, "unavailable", "custom", True, "hold_missing"),
        (replace(HELD, confirmed_at=None, lost_at=NOON - 70), None, "available", "available", True, "hold_missing"),
        (HELD, None, "unavailable", "available", False, None),
        (FREE, LEFT, "unavailable", "unavailable", False, "hold_left"),
        (StandingBack("left_alone", NOON - 9, NOON + 9), LEFT, "unavailable", "unavailable", True, "hold_left"),
        (FREE, LEFT, "unavailable", "available", False, "changed"),
        (FREE, None, "unavailable", "unavailable", False, None),
        (FREE, None, None, "unavailable", False, None),
        (FREE, None, None, "custom", False, None),
        (FREE, None, "custom", "custom", False, None),
        (FREE, None, "available", "custom", False, "changed"),
        (FREE, None, "available", "unavailable", False, None),
        (FREE, None, "available", "something_new", False, "changed"),
        (StandingBack("override", NOON - 9, NOON + 9), None, "available", "custom", True, "changed"),
    ],
)
def test_what_differs(
    stance: Stance, left: Left | None, known: str | None, shown: str, *, wanted: bool, kind: Kind | None
) -> None:
    """By where we stand, what history tells of, and what is shown."""
    assert kind == found(stance, Facts(), left, known, seen(shown), wanted=wanted)


def test_a_read_that_may_lag_behind_our_own_update_says_nothing() -> None:
    """Until it has settled."""
    facts = Facts(acted_at=NOON - 4.9)

    assert found(HELD, facts, None, "unavailable", seen("available"), wanted=True) is None
    assert found(FREE, facts, LEFT, "unavailable", seen("unavailable"), wanted=False) is None
    assert found(HELD, Facts(acted_at=NOON - 5), None, "unavailable", seen("available"), wanted=True) == "hold_missing"


def test_a_call_may_read_as_unavailable() -> None:
    """That is nobody's change; it is one where the live state shows no call."""
    call, choice = seen("unavailable", NOON, "in_call"), seen("unavailable", NOON, "do_not_disturb")

    assert found(FREE, Facts(), None, "available", call, wanted=False) is None
    assert found(FREE, Facts(), None, "available", choice, wanted=False) == "changed"


@pytest.mark.parametrize(
    ("changes", "written_at", "shown", "left"),
    [
        ({}, None, seen("unavailable", NOON - 10), True),
        ({}, None, seen("custom", NOON - 602), True),
        ({}, NOON - 700, seen("unavailable", NOON - 10), True),
        # The ledger was told of the user since: what it says counts.
        ({}, NOON - 500, seen("unavailable", NOON - 10), False),
        # Another user may have been the agent's then.
        ({}, None, None, False),
        ({}, None, seen("unavailable", NOON - 602), False),
        ({}, None, seen("custom", NOON - 7200), False),
        ({}, None, seen("available", NOON - 10), False),
        # It was not ours, or is undone.
        ({"actor": "aircall", "outcome": "seen"}, None, seen("unavailable", NOON - 10), False),
        ({"to": "custom", "from_": "unavailable"}, None, seen("unavailable", NOON - 10), False),
        # What to put back is not known.
        ({"from_": "unavailable"}, None, seen("unavailable", NOON - 10), False),
        ({"from_": None}, None, seen("unavailable", NOON - 10), False),
    ],
)
def test_what_was_left_behind(
    changes: dict[str, str], written_at: float | None, shown: Observation | None, *, left: bool
) -> None:
    """Only what nothing shows undone, and for a user whom it surely was."""
    last = replace(OURS, **changes)  # type: ignore[arg-type]

    assert (LEFT if left else None) == left_behind(1, last, written_at, shown)


def test_a_debt_that_is_taken_up_ends_as_any_other() -> None:
    """At once where nothing is wanted, and at the end of a meeting that runs."""
    held = taken_up(LEFT, seen("unavailable"))
    facts = Facts().looked(seen("unavailable"))

    now = decide(held, Orders(Timeline()), facts, NOON + 1)
    later = decide(held, Orders(day(meeting(-5, 20))), facts, NOON + 1)

    assert isinstance(now.action, Put)
    assert (Setting("custom"), True) == (now.action.setting, now.action.releases)
    assert later.action is None
    assert isinstance(later.stance, Held)
    assert NOON + 20 * 60 == later.stance.until


def _last(at: float) -> HistoryRow:
    """That we made the user unavailable for an event."""
    return HistoryRow(at, "amy@example.com", "custom", "unavailable", "done", "a meeting", "event", 0, "calsyncd")


def test_what_was_left_is_told_by_the_ledger_and_the_look_at_their_bounds() -> None:
    """What the ledger was told at the change counts; a look may be a quarter of an hour older than the change."""
    at = 1_800_000_000.0
    gone = Observation(Setting("unavailable"), at)

    assert [False, True] == [left_behind(7, _last(at), told, gone) is not None for told in (at, at - 0.1)]
    before = [Observation(Setting("custom"), at - age) for age in (900.0, 900.1)]
    assert [True, False] == [left_behind(7, _last(at), None, seen) is not None for seen in before]
    assert left_behind(7, _last(at), None, Observation(Setting("custom"), at)) is None


def test_the_debt_that_is_taken_up_is_as_if_this_look_had_confirmed_it() -> None:
    """It began with the change, for its event, and is to end now."""
    left = Left(7, "custom", 100.0, "event")
    seen = Observation(Setting("unavailable"), 200.0, "offline", answered_at=201.0)

    assert taken_up(left, seen) == Held(
        Setting("unavailable"), Setting("custom"), 100.0, 100.0, 201.0, "event", confirmed_at=200.0
    )
