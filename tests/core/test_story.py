"""What a history tells of an instant, row by row: the whole of it, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from calsyncd.core.byhand import EXTENSION, ByHand, Extension
from calsyncd.core.explain import Part, Stance, Story, Then, near, parts_of, stance_then
from calsyncd.core.model import Event, HistoryRow
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import build

from .explaining import FIRST, MINUTE, TEN, held, released, row

LATER = TEN + 86400 - 1
PAUSED = row(TEN - 60, "paused", until=float("inf"), actor="Dana", why="paused until resumed")
SAID = row(TEN - 50, "extended", until=TEN, actor="Dana", why="extended")
HELD = held()
LOST = row(
    TEN + 600, "lost", "custom", "unavailable", after=TEN + 599, event="e", until=TEN + 900, begins=TEN, ends=TEN + 900
)
LOST = replace(LOST, substatus="other")
SEEN = row(TEN + 700, "seen", "custom", "unavailable", why="ours", after=TEN + 590)
CHANGED = row(TEN + 700, "seen", "unavailable", "available", why="changed", actor="aircall", after=TEN + 650)
FAILED = row(TEN + 5, "failed", "custom", "unavailable", why="503")
KEPT = row(TEN + 5, "kept", why="kept")
OVERRIDE = row(TEN + 300, "override", "available", until=LATER + 9)
WOULD = row(TEN + 5, "observed", "custom", "unavailable", until=LATER + 9)
GONE = row(TEN + 900, "removed")
BACK = released()
KEPT_LATER = replace(KEPT, at=TEN + 400)
SKIPPED = replace(SAID, outcome="skipped")
REBOUND = replace(GONE, outcome="rebound")
AS_LOST = replace(SEEN, event="e", until=TEN + 900, begins=TEN, ends=TEN + 900, substatus="other")
WAY_BACK = replace(LOST, from_="unavailable", to="custom")
SEEN_BACK = replace(SEEN, from_="unavailable", to="custom")


@pytest.mark.parametrize(
    ("rows", "then"),
    [
        pytest.param([], Then(), id="nothing"),
        pytest.param([FIRST], Then(change=FIRST), id="seen first"),
        pytest.param(
            [FIRST, PAUSED, SAID, HELD],
            Then(change=HELD, hold=HELD, back="custom", until=HELD.until, paused=PAUSED, said=SAID),
            id="held: what was said and the pause stay",
        ),
        pytest.param(
            [FIRST, FAILED, KEPT, HELD, replace(HELD, at=TEN + 9, from_="unavailable", until=TEN + 60)],
            Then(
                change=replace(HELD, at=TEN + 9, from_="unavailable", until=TEN + 60),
                hold=replace(HELD, at=TEN + 9, from_="unavailable", until=TEN + 60),
                back="custom",
                until=TEN + 60,
            ),
            id="held again, for another reason: back to what was before the first",
        ),
        pytest.param([FIRST, HELD, BACK], Then(change=BACK), id="released at its end"),
        pytest.param(
            [PAUSED, SAID, HELD, replace(BACK, until=LATER + 9)],
            Then(
                change=replace(BACK, until=LATER + 9),
                standing=replace(BACK, until=LATER + 9),
                paused=PAUSED,
                said=SAID,
            ),
            id="released early",
        ),
        pytest.param([FIRST, replace(BACK, until=None)], Then(change=replace(BACK, until=None)), id="released, old"),
        pytest.param([HELD, GONE, BACK], Then(change=BACK, gone=GONE), id="released after it was removed"),
        pytest.param(
            [FIRST, FAILED, LOST, replace(LOST, at=TEN + 660)], Then(change=FIRST, lost=LOST), id="lost: the first"
        ),
        pytest.param([FIRST, FAILED], Then(change=FIRST, failed=FAILED), id="failed"),
        pytest.param(
            [FIRST, LOST, SEEN],
            Then(change=AS_LOST, hold=AS_LOST, back="custom", until=TEN + 900),
            id="lost, and seen to have landed",
        ),
        pytest.param(
            [FIRST, HELD, OVERRIDE, LOST, SEEN],
            Then(change=AS_LOST, hold=AS_LOST, back="custom", until=TEN + 900),
            id="lost in an override, and landed",
        ),
        pytest.param(
            [FIRST, KEPT, replace(LOST, from_="available"), SEEN],
            Then(change=AS_LOST, hold=AS_LOST, back="available", until=TEN + 900),
            id="lost while kept, and landed: back to what was before it",
        ),
        pytest.param(
            [FIRST, HELD, LOST, SEEN],
            Then(change=AS_LOST, hold=AS_LOST, back="custom", until=TEN + 900),
            id="lost while held",
        ),
        pytest.param(
            [replace(FIRST, to="available"), replace(HELD, from_="available"), LOST, SEEN],
            Then(change=AS_LOST, hold=AS_LOST, back="available", until=TEN + 900),
            id="lost while held: back to what was before the hold",
        ),
        pytest.param(
            [FIRST, HELD, WAY_BACK, SEEN_BACK],
            Then(change=replace(AS_LOST, from_="unavailable", to="custom"), until=HELD.until),
            id="a lost way back that landed",
        ),
        pytest.param(
            [FIRST, HELD, LOST, CHANGED],
            Then(change=CHANGED, hold=HELD, back="custom", until=HELD.until),
            id="lost, and another's change was seen",
        ),
        pytest.param(
            [FIRST, LOST, replace(SEEN, actor="aircall")],
            Then(change=replace(SEEN, actor="aircall")),
            id="lost, and somebody did the same",
        ),
        pytest.param([FIRST, FAILED, GONE, CHANGED], Then(change=CHANGED), id="seen: what failed and went is over"),
        pytest.param(
            [PAUSED, SAID, FIRST, HELD, OVERRIDE],
            Then(change=HELD, standing=OVERRIDE, said=SAID, paused=PAUSED),
            id="an override",
        ),
        pytest.param(
            [FIRST, HELD, replace(LOST, at=TEN + 2), FAILED, row(TEN + 9, "closed")],
            Then(change=HELD, until=HELD.until),
            id="closed",
        ),
        pytest.param(
            [HELD, row(TEN + 9, "moved", until=LATER + 9)],
            Then(change=HELD, hold=HELD, back="custom", until=LATER + 9),
            id="moved while held",
        ),
        pytest.param(
            [FIRST, WOULD, row(TEN + 9, "moved", until=LATER + 99)],
            Then(change=FIRST, would=replace(WOULD, until=LATER + 99)),
            id="moved while observed",
        ),
        pytest.param([FIRST, row(TEN + 9, "moved", until=LATER)], Then(change=FIRST), id="moved for nothing"),
        pytest.param(
            [FIRST, OVERRIDE, replace(KEPT, at=TEN + 400)],
            Then(change=FIRST, kept=replace(KEPT, at=TEN + 400)),
            id="kept",
        ),
        pytest.param([FIRST, KEPT, OVERRIDE, row(TEN + 400, "over")], Then(change=FIRST), id="over"),
        pytest.param([FIRST, KEPT, row(TEN + 400, "over")], Then(change=FIRST), id="kept, and over"),
        pytest.param([FIRST, PAUSED, SAID, row(TEN, "resumed")], Then(change=FIRST), id="resumed"),
        pytest.param(
            [FIRST, replace(SAID, outcome="skipped")],
            Then(change=FIRST, said=replace(SAID, outcome="skipped")),
            id="skipped",
        ),
        pytest.param(
            [FIRST, WOULD, replace(WOULD, at=TEN + 9, to="custom")], Then(change=FIRST), id="observed to its end"
        ),
        pytest.param(
            [FIRST, PAUSED, HELD, GONE],
            Then(change=HELD, hold=HELD, back="custom", gone=GONE),
            id="removed while held",
        ),
        pytest.param([FIRST, REBOUND], Then(change=FIRST, gone=REBOUND), id="rebound"),
        pytest.param([FIRST, GONE, row(TEN + 950, "followed")], Then(change=FIRST), id="followed again"),
    ],
)
def test_what_is_told_after_a_row(rows: list[HistoryRow], then: Then) -> None:
    """Each of what it tells stays until a later row says otherwise."""
    told = Story(rows).at(TEN + 3000)
    sure = then.change is not None and then.gone is None and then.lost is None

    assert replace(then, sure=sure) == told


@pytest.mark.parametrize("field", ["standing", "paused", "kept", "would", "failed"])
def test_what_has_an_end_is_told_up_to_it(field: str) -> None:
    """And not at it; without one, for good."""
    outcome = {"standing": "override", "would": "observed"}.get(field, field)
    ends = row(TEN, outcome, "custom", "unavailable", until=TEN + 60)

    assert [True, False] == [getattr(Story([ends]).at(at), field) is not None for at in (TEN + 59.9, TEN + 60)]
    assert getattr(Story([replace(ends, until=None)]).at(LATER), field) is not None


def test_what_was_said_is_told_for_a_day() -> None:
    """Of the agent's meetings, by a person."""
    story = Story([SAID])

    assert [SAID, None] == [story.at(SAID.at + age).said for age in (86399.9, 86400.0)]


def test_what_may_have_been_set_while_a_change_was_under_way() -> None:
    """What the change found, where nothing is known of before; and what was there, where it is."""
    change = row(TEN, "seen", "available", "custom", after=TEN - 60)
    known = Then(change=FIRST, following=change)

    assert known.possible == {"custom"}
    assert Then(following=change).possible == {"available", "custom"}
    assert Then(change=FIRST, gone=GONE, following=change).possible == {"available", "custom"}
    assert Then(change=FIRST, gone=GONE).possible == {None}
    assert Then(change=FIRST, lost=LOST).possible == {"custom", "unavailable"}


@pytest.mark.parametrize(
    ("change", "owed"),
    [
        (held(TEN + 300, late_ms=300_000), [None, TEN, TEN, None]),
        (held(TEN + 300, late_ms=0), [None] * 4),
        (held(TEN + 300, late_ms=None), [None] * 4),
        (row(TEN + 300, "seen", "custom", "unavailable", late_ms=300_000), [None] * 4),
    ],
)
def test_since_when_an_update_was_owed(change: HistoryRow, owed: list[float | None]) -> None:
    """From its boundary to its answer; by what was done late, and by nothing else."""
    then = Then(following=change)

    assert owed == [then.owed_since(at) for at in (TEN - 0.1, TEN, TEN + 299.9, TEN + 300)]


@pytest.mark.parametrize(
    ("then", "stance"),
    [
        (Then(change=FIRST), Stance("free")),
        (Then(gone=GONE), Stance("unfollowed", GONE.at, None, None, None, "", "calsyncd")),
        (
            Then(hold=HELD, back="custom", until=TEN + 60),
            Stance("held", HELD.at, TEN + 60, "custom", HELD.event, "a meeting", "calsyncd"),
        ),
        (Then(paused=PAUSED), Stance("paused", PAUSED.at, PAUSED.until, None, None, PAUSED.why, "Dana")),
        (Then(standing=OVERRIDE), Stance("override", OVERRIDE.at, LATER + 9, None, None, "", "calsyncd")),
        (Then(kept=KEPT), Stance("kept", KEPT.at, None, None, None, "kept", "calsyncd")),
        (Then(would=WOULD), Stance("observed", WOULD.at, LATER + 9, "custom", None, "", "calsyncd")),
    ],
)
def test_where_calsyncd_stood(then: Then, stance: Stance) -> None:
    """Since and until when, why, by whom, and what was to be put back."""
    assert stance == stance_then(then)


# -- events near by ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "more", "told"),
    [
        (-90.0, -59.9, {}, True),
        (-90.0, -60.0, {}, False),
        (59.9, 90.0, {}, True),
        (60.0, 90.0, {}, False),
        (-30.0, 0.0, {"all_day": True}, False),
        (-30.0, 0.1, {"all_day": True}, True),
        (0.0, 30.0, {"all_day": True}, True),
        (0.1, 30.0, {"all_day": True}, False),
    ],
)
def test_events_within_an_hour_are_told_and_all_day_ones_of_the_day(
    start: float, end: float, more: dict[str, Any], *, told: bool
) -> None:
    """In minutes from the instant that is asked about."""
    event = Event("a", TEN + start * MINUTE, TEN + end * MINUTE, **more)

    assert told == bool(near([("primary", event)], build([], Rules()), TEN))


def test_events_of_the_run_that_holds_are_told_however_long_it_is() -> None:
    """To its end; all-day ones first, then by their start."""
    events = [Event(f"e{n}", TEN + n * 3600, TEN + (n + 1) * 3600) for n in range(-3, 4)]
    whole_day = Event("day", TEN - 36000, TEN + 50400, all_day=True, transparent=True)
    apart = Event("apart", TEN + 5 * 3600, TEN + 6 * 3600)
    everything = [apart, *events, whole_day]
    found = near([("primary", event) for event in everything], build(everything, Rules()), TEN)

    assert [event.id for _, event in found] == ["day", *(f"e{n}" for n in range(-3, 4))]


# -- what makes the end ------------------------------------------------------------------------------------------------


def test_of_meetings_that_end_together_the_one_that_began_first_is_told() -> None:
    """It holds for longest."""
    timeline = build([Event("late", 20, 60), Event("early", 10, 60)], Rules())

    assert parts_of(timeline, Rules(), 30) == (Part("meeting", 10, 60, "early"),)
    assert parts_of(timeline, Rules(), 60) == ()


def test_each_part_reaches_to_the_next() -> None:
    """The meeting, its lag, the bridge, the next one in its lead, and the extension behind it all."""
    rules = Rules(lead=5, lag=10, bridge=100)
    by_hand = ByHand(extension=Extension(50, 400))
    timeline = build([Event("a", 0, 100), Event("b", 200, 300)], rules, by_hand)
    plain = build([Event("a", 0, 100), Event("b", 200, 300)], rules)

    assert parts_of(plain, rules, 50) == (
        Part("meeting", 0, 100, "a"),
        Part("lag", 100, 110, "a"),
        Part("bridge", 110, 195),
        Part("meeting", 200, 300, "b"),
        Part("lag", 300, 310, "b"),
    )
    assert parts_of(plain, rules, 305) == (Part("meeting", 200, 300, "b"), Part("lag", 300, 310, "b"))
    assert parts_of(timeline, rules, 60)[-1] == Part("extension", 50, 400, EXTENSION)


def test_of_a_lag_and_an_extension_that_end_together_the_extension_is_told() -> None:
    """It was asked for."""
    rules = Rules(lag=10)
    timeline = build([Event("a", 0, 100)], rules, ByHand(extension=Extension(50, 110)))

    assert parts_of(timeline, rules, 105) == (Part("extension", 50, 110, EXTENSION),)
