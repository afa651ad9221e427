"""From events to a timeline: table cases, and every question against an oracle that walks second by second."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calsyncd.core.byhand import ByHand, Extension
from calsyncd.core.model import UNAVAILABLE, Event, Setting, Span
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import Timeline, build

BUSY = Setting(UNAVAILABLE)
LUNCH = Setting(UNAVAILABLE, "out_for_lunch")


def pieces(timeline: Timeline) -> list[tuple[float, float, str]]:
    """(start, end, event) of each span."""
    return [(span.start, span.end, span.event) for span in timeline.spans]


def event(name: str, start: float, end: float) -> Event:
    """An event that counts."""
    return Event(name, start, end)


@pytest.mark.parametrize(
    ("events", "rules", "expected"),
    [
        pytest.param([], Rules(), [], id="none"),
        pytest.param([("a", 10, 20)], Rules(), [(10, 20, "a")], id="one"),
        pytest.param([("a", 10, 20), ("b", 20, 30)], Rules(), [(10, 20, "a"), (20, 30, "b")], id="back to back"),
        pytest.param(
            [("a", 10, 40), ("b", 20, 30)], Rules(), [(10, 40, "a")], id="nested: the earlier start gives the reason"
        ),
        pytest.param([("a", 10, 25), ("b", 20, 30)], Rules(), [(10, 25, "a"), (25, 30, "b")], id="overlapping"),
        pytest.param([("b", 10, 25), ("a", 10, 30)], Rules(), [(10, 25, "b"), (25, 30, "a")], id="same start"),
        pytest.param([("b", 10, 20), ("a", 10, 20)], Rules(), [(10, 20, "a")], id="same event on two calendars"),
        pytest.param([("b", 30, 40), ("a", 10, 20)], Rules(), [(10, 20, "a"), (30, 40, "b")], id="unordered"),
        pytest.param(
            [("a", 10, 20), ("b", 24, 30)], Rules(bridge=5), [(10, 24, "a"), (24, 30, "b")], id="bridge: shorter gap"
        ),
        pytest.param(
            [("a", 10, 20), ("b", 25, 30)], Rules(bridge=5), [(10, 20, "a"), (25, 30, "b")], id="bridge: equal gap"
        ),
        pytest.param([("a", 10, 20)], Rules(lead=2, lag=3), [(8, 23, "a")], id="lead and lag"),
        pytest.param(
            [("a", 10, 20), ("b", 23, 30)],
            Rules(lead=1, lag=2),
            [(9, 22, "a"), (22, 32, "b")],
            id="lag and lead that meet",
        ),
        pytest.param(
            [("a", 10, 20), ("b", 20, 30)],
            Rules(lead=5, lag=5),
            [(5, 20, "a"), (20, 35, "b")],
            id="a body beats another's lead and lag",
        ),
        pytest.param(
            [("a", 10, 20), ("b", 24, 30)],
            Rules(lead=6, lag=6),
            [(4, 24, "a"), (24, 36, "b")],
            id="between bodies the earlier start gives the reason",
        ),
        pytest.param(
            [("a", 10, 20), ("b", 24, 30)],
            Rules(lead=1, lag=1, bridge=3),
            [(9, 23, "a"), (23, 31, "b")],
            id="what is bridged is the gap after padding",
        ),
    ],
)
def test_events_become_spans(
    events: list[tuple[str, float, float]], rules: Rules, expected: list[tuple[float, float, str]]
) -> None:
    """Padded, united, bridged, ordered, disjoint."""
    timeline = build([event(*each) for each in events], rules)

    assert expected == pieces(timeline)


@pytest.mark.parametrize(
    "not_counted",
    [
        Event("x", 10, 20, response="declined"),
        Event("x", 10, 20, transparent=True),
        Event("x", 10, 10),
        Event("x", 20, 10),
        Event("x", 10, 20, kind="workingLocation"),
        Event("x", 10, 20, kind="birthday"),
    ],
)
def test_what_does_not_count_leaves_no_trace(not_counted: Event) -> None:
    """Neither a span nor its lead and lag."""
    timeline = build([not_counted, event("a", 50, 60)], Rules(lead=5, lag=5))

    assert [(45, 65, "a")] == pieces(timeline)


def test_back_to_back_is_one_stretch_without_a_boundary() -> None:
    """Nothing is asked between two meetings that meet."""
    timeline = build([event("a", 10, 20), event("b", 20, 30)], Rules())

    assert (30, 30) == (timeline.stretch_end(10), timeline.next_change(10))
    assert (30, None) == (timeline.stretch_end(20), timeline.next_start(20))


def test_a_change_of_reason_is_a_boundary_within_a_stretch() -> None:
    """The stretch goes on, what is wanted changes."""
    timeline = Timeline((Span(10, 20, BUSY, "a"), Span(20, 30, LUNCH, "b")))

    assert (30, 20, 30) == (timeline.stretch_end(10), timeline.next_change(10), timeline.next_change(20))


def test_spans_are_half_open() -> None:
    """At its start a meeting runs, at its end it does not."""
    timeline = build([event("a", 10, 20)], Rules())

    found = [timeline.span_at(at) is not None for at in (9.999, 10, 19.999, 20)]

    assert [False, True, True, False] == found


def test_nothing_wanted_is_asked_in_vain() -> None:
    """An empty timeline has no answer to anything."""
    empty = Timeline()

    assert [None] * 5 == [
        ask(15) for ask in (empty.span_at, empty.next_start, empty.next_change, empty.stretch_end, empty.running_until)
    ]


@pytest.mark.parametrize(
    ("at", "expected"),
    [(5, None), (12, 30), (25, 30), (30, 48), (45, 48), (48, 60), (59, 60), (60, None)],
)
def test_running_until_is_the_last_end_of_what_runs_and_of_the_bridge_behind_it(
    at: float, expected: float | None
) -> None:
    """What begins as it ends is another meeting; in a bridge none runs."""
    events = [event("a", 10, 20), event("b", 12, 30), event("c", 30, 40), event("d", 48, 60)]
    timeline = build(events, Rules(bridge=10))

    assert expected == timeline.running_until(at)


# -- against the oracle ------------------------------------------------------------------------------------------------

LAST = 130

drawn_events = st.lists(
    st.builds(
        lambda name, start, length, counted: Event(
            f"e{name}", start, start + length, response="accepted" if counted else "declined"
        ),
        st.integers(0, 50),
        st.integers(20, 80),
        st.integers(0, 25),
        st.booleans(),
    ),
    max_size=7,
    unique_by=lambda e: e.id,
)
drawn_rules = st.builds(
    Rules,
    lead=st.integers(0, 8).map(float),
    lag=st.integers(0, 8).map(float),
    bridge=st.integers(0, 8).map(float),
)


def reasons(events: list[Event], rules: Rules) -> list[str | None]:
    """What is wanted because of which event, second by second, worked out the slow way."""
    counted = [e for e in events if e.response != "declined" and e.end > e.start]
    walked: list[str | None] = []
    for second in range(LAST):
        running = [e for e in counted if e.start - rules.lead <= second < e.end + rules.lag]
        best = min(running, key=lambda e: (not e.start <= second < e.end, e.start, e.end, e.id), default=None)
        walked.append(best.id if best else None)
    busy = [second for second in range(LAST) if walked[second] is not None]
    for before, after in pairwise(busy):
        if 0 < after - before - 1 < rules.bridge:
            for second in range(before + 1, after):
                walked[second] = walked[before]
    return walked


@settings(deadline=None, max_examples=200)
@given(events=drawn_events, rules=drawn_rules)
def test_every_question_is_answered_as_by_walking_second_by_second(events: list[Event], rules: Rules) -> None:
    """span_at, next_start, next_change and stretch_end, at every second."""
    timeline = build(events, rules)
    walked = reasons(events, rules)

    for second in range(LAST):
        span = timeline.span_at(second)
        assert walked[second] == (span.event if span else None)
        free = next((t for t in range(second, LAST) if walked[t] is None), None)
        busy = next((t for t in range(second, LAST) if walked[t] is not None), None)
        inside = walked[second] is not None
        assert (free if inside else None) == timeline.stretch_end(second)
        assert (free if inside else busy) == timeline.next_change(second)
        later = next((t for t in range(second + 1, LAST) if walked[t] is not None and walked[t] != walked[t - 1]), None)
        assert later == timeline.next_start(second)


@settings(deadline=None, max_examples=200)
@given(events=drawn_events, rules=drawn_rules)
def test_spans_are_ordered_disjoint_and_not_empty(events: list[Event], rules: Rules) -> None:
    """And no two neighbours are one."""
    spans = build(events, rules).spans

    assert all(span.start < span.end for span in spans)
    for before, after in pairwise(spans):
        assert before.end <= after.start
        assert before.end < after.start or before.event != after.event


@settings(deadline=None, max_examples=50)
@given(events=drawn_events, rules=drawn_rules, data=st.data())
def test_the_order_of_events_does_not_matter(events: list[Event], rules: Rules, data: st.DataObject) -> None:
    """Calendars are read in any order."""
    shuffled = data.draw(st.permutations(events))

    assert build(events, rules).spans == build(shuffled, rules).spans


AWAY = Setting("unavailable")


def test_when_the_agent_is_next_out_of_the_office() -> None:
    """Later than the instant that is asked about."""
    away = tuple(Span(start, start + 10.0, AWAY, "a") for start in (30.0, 10.0))
    timeline = Timeline(away=away)

    assert [10.0, 30.0, 30.0, None] == [timeline.next_away(at) for at in (9.9, 10.0, 29.9, 30.0)]
    assert [False, True, True, False] == [timeline.is_away(at) for at in (9.9, 10.0, 19.9, 20.0)]


def test_the_end_without_the_extension() -> None:
    """The last end of the meetings that run, and the instant itself where none does; None without an extension."""
    extension = ByHand(extension=Extension(100.0, 500.0))
    events = [Event("a", 50, 200), Event("b", 150, 300)]
    extended, plain = build(events, Rules(), extension), build(events, Rules())

    assert [None, 200, 300, 300, 300, 499.0, None] == [
        extended.unextended_at(at) for at in (99.0, 100.0, 150.0, 200.0, 299.0, 499.0, 500.0)
    ]
    assert plain.unextended_at(150.0) is None
    assert [False, True, True, False] == [extended.extension_at(at) is not None for at in (99.9, 100, 499.9, 500)]


def test_what_is_skipped_would_take_the_agent_off() -> None:
    """From its start on, to its end; what does not count is not skipped."""
    by_hand = ByHand((("a", math.inf), ("declined", math.inf)))
    timeline = build([Event("a", 50, 200), Event("declined", 300, 400, response="declined")], Rules(), by_hand)

    assert [False, True, True, False, False] == [timeline.is_skipped(at) for at in (49.9, 50, 199.9, 200, 350)]


def test_a_bridge_does_not_lead_over_what_is_skipped() -> None:
    """Not if it lies in the gap, even partly; if it only touches the gap, it does not matter."""
    rules = Rules(bridge=100.0)
    events = [Event("a", 0, 100), Event("b", 150, 200)]
    for start, end, bridged in (
        (110, 120, False),
        (90, 101, False),
        (149, 160, False),
        (50, 100, True),
        (150, 160, True),
    ):
        skipped = [*events, Event("c", start, end)]
        timeline = build(skipped, rules, ByHand((("c", math.inf),)))
        assert bridged == (timeline.span_at(125) is not None), (start, end)


def test_an_extension_is_the_weakest_reason() -> None:
    """Whatever reasons the rules know: where a meeting runs, its own is told."""
    rules = Rules(
        substatus_by_title=(("x", "in_training"),), substatus_by_type=(("out_of_office", "other"), ("all_day", "other"))
    )
    timeline = build([Event("a", 100, 200)], rules, ByHand(extension=Extension(50, 300, "on_a_break")))

    assert ["on_a_break", None, "on_a_break"] == [
        (span := timeline.span_at(at)) and span.setting.substatus for at in (75, 150, 250)
    ]
