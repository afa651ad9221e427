"""Skip and extend: which meetings are meant, until when, and what the timeline says then."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calsyncd.core.byhand import EXTENSION, NOTHING, ByHand, Extension
from calsyncd.core.hours import WorkingHours
from calsyncd.core.model import Event, Setting
from calsyncd.core.plan import FREE, Facts, Look, Orders, StandingBack, decide
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import Timeline, build
from calsyncd.core.wishes import LONGEST_SECONDS, REMEMBERED_SECONDS, WishError, extend, in_force, remembered, skip

MINUTE, HOUR = 60.0, 3600.0


def minutes(*events: tuple[str, float, float]) -> list[Event]:
    """Events by name, start and end in minutes."""
    return [Event(name, start * MINUTE, end * MINUTE) for name, start, end in events]


def skipped(events: list[Event], rules: Rules, now: float, until: float | None = None) -> list[str]:
    """The names of what a skip at minute `now` means; the agent is available then."""
    by_hand, meant = skip(NOTHING, build(events, rules), now * MINUTE, None if until is None else until * MINUTE)
    assert [one.event for one in meant] == [event for event, _ in by_hand.skipped] == sorted({o.event for o in meant})
    if any(one.start <= now * MINUTE for one in meant):
        assert build(events, rules, by_hand).span_at(now * MINUTE) is None
    return [one.event for one in meant]


@pytest.mark.parametrize(
    ("events", "rules", "now", "until", "expected"),
    [
        pytest.param([("a", 10, 20), ("b", 20, 30)], Rules(), 15, None, ["a"], id="back to back: only the first"),
        pytest.param([("a", 10, 20), ("b", 20, 30)], Rules(), 20, None, ["b"], id="its end is not in it"),
        pytest.param([("a", 10, 30), ("b", 20, 40)], Rules(), 25, None, ["a", "b"], id="all that run"),
        pytest.param([("a", 10, 30), ("b", 20, 40)], Rules(), 15, None, ["a"], id="what begins later counts"),
        pytest.param([("a", 10, 20), ("b", 30, 40)], Rules(), 5, None, ["a"], id="the next"),
        pytest.param([("a", 10, 20), ("b", 10, 40)], Rules(), 5, None, ["a", "b"], id="all that begin next"),
        pytest.param([("a", 10, 20)], Rules(lead=120.0), 9, None, ["a"], id="in its lead"),
        pytest.param([("a", 10, 20)], Rules(lag=120.0), 21, None, ["a"], id="in its lag"),
        pytest.param([("a", 10, 20), ("b", 20, 30)], Rules(lead=120.0), 19, None, ["a", "b"], id="in the next's lead"),
        pytest.param([("a", 10, 20), ("b", 25, 40)], Rules(bridge=600.0), 22, None, ["b"], id="in a bridge: the next"),
        pytest.param(
            [("a", 0, 8), ("b", 10, 14), ("c", 16, 30)], Rules(bridge=900.0), 12, None, ["b"], id="no bridge over it"
        ),
        pytest.param(
            [("a", 10, 20), ("b", 30, 40), ("c", 60, 70)], Rules(), 15, 60, ["a", "b"], id="all that touch the time"
        ),
        pytest.param([("a", 0, 15), ("b", 30, 40)], Rules(), 15, 31, ["b"], id="what is over is not touched"),
    ],
)
def test_which_meetings_a_skip_means(
    events: list[tuple[str, float, float]], rules: Rules, now: float, until: float | None, expected: list[str]
) -> None:
    """Those that run with lead and lag, else the next; or all until an instant."""
    assert expected == skipped(minutes(*events), rules, now, until)


TEN = datetime(2026, 11, 23, 9, tzinfo=UTC).timestamp()
PARIS = ZoneInfo("Europe/Paris")
"""10:00 there is TEN."""


@pytest.mark.parametrize(
    ("known", "now", "until", "words"),
    [
        (False, 0, None, "the calendar has not been read yet: try again in a moment"),
        (True, 30, None, "there is no meeting to skip: none runs, and none is ahead in the next days"),
        (True, 30, 45, "there is no meeting to skip until 10:45:00 CET"),
        (True, 30, 1440, "there is no meeting to skip until 2026-11-24 10:00:00 CET"),
    ],
)
def test_why_nothing_is_skipped_in_words(now: int, until: int | None, words: str, *, known: bool) -> None:
    """By the agent's clock, with the date where it is another day's."""
    timeline = build([Event("a", TEN, TEN + 20 * MINUTE)], Rules()) if known else None
    at = None if until is None else TEN + until * MINUTE

    with pytest.raises(WishError) as error:
        skip(NOTHING, timeline, TEN + now * MINUTE, at, PARIS)
    assert words == str(error.value)


@pytest.mark.parametrize(
    ("now", "end", "until", "words"),
    [
        (15, 20, 20, "it would change nothing: meetings run until 10:20:00 CET anyway"),
        (15, 1440, 20, "it would change nothing: meetings run until 2026-11-24 10:00:00 CET anyway"),
        (15, 20, 20 + 721, "an extension goes 12 hours beyond the meeting at most"),
    ],
)
def test_why_nothing_is_extended_in_words(now: int, end: int, until: int, words: str) -> None:
    """By the agent's clock, with the date where it is another day's."""
    timeline = build([Event("a", TEN, TEN + end * MINUTE)], Rules())

    with pytest.raises(WishError) as error:
        extend(NOTHING, timeline, TEN + now * MINUTE, until=TEN + until * MINUTE, zone=PARIS)
    assert words == str(error.value)


def test_an_extension_by_nothing_changes_nothing_and_one_by_twelve_hours_is_the_longest() -> None:
    """Beyond the end of what runs."""
    timeline = build(minutes(("a", 10, 20)), Rules())

    with pytest.raises(WishError):
        extend(NOTHING, timeline, 15 * MINUTE)
    longest = extend(NOTHING, timeline, 15 * MINUTE, length=LONGEST_SECONDS)
    assert longest.extension == Extension(15 * MINUTE, 20 * MINUTE + 12 * HOUR)


@pytest.mark.parametrize(("lag", "first"), [(0.0, 5), (0.0, 15), (300.0, 3), (300.0, 7), (300.0, 15), (300.0, 22)])
def test_skipping_twice_skips_nothing_more(lag: float, first: float) -> None:
    """Before the meeting, in it, or in its lag; what comes behind it counts."""
    events, rules = minutes(("a", 10, 20), ("b", 40, 50)), Rules(lag=lag, lead=lag)
    once, _ = skip(NOTHING, build(events, rules), first * MINUTE)
    twice, meant = skip(once, build(events, rules, once), (first + 1) * MINUTE)

    assert (twice, [one.event for one in meant]) == (once, ["a"])


def test_nothing_to_skip_is_said() -> None:
    """No meeting, none in the time named, or a calendar that is not known."""
    timeline = build(minutes(("a", 10, 20)), Rules())

    for known, now, until in ((timeline, 30.0, None), (timeline, 0.0, 5.0), (Timeline(), 0.0, None), (None, 0.0, None)):
        with pytest.raises(WishError):
            skip(NOTHING, known, now * MINUTE, until)


def test_what_lies_outside_of_working_hours_is_not_meant() -> None:
    """It takes nobody off; an extension does, whatever the hours."""
    rules = Rules(working_hours=WorkingHours(frozenset(range(7)), 9 * 3600, 17 * 3600, "UTC"))
    early = minutes(("a", 6 * 60, 7 * 60))

    with pytest.raises(WishError):
        skip(NOTHING, build(early, rules), 6.5 * HOUR)
    both = [*early, *minutes(("b", 8 * 60, 10 * 60))]
    assert skipped(both, rules, 6.5 * 60) == skipped(both, rules, 8.5 * 60) == ["b"]


def test_an_extension_does_not_follow_what_lies_outside_of_working_hours() -> None:
    """From what holds, not from a meeting that holds nobody; an instant in that meeting changes something."""
    rules = Rules(working_hours=WorkingHours(frozenset(range(7)), 9 * 3600, 17 * 3600, "UTC"))
    late = minutes(("a", 16 * 60, 18 * 60), ("b", 19.5 * 60, 21 * 60))
    timeline = build(late, rules)
    by_hand = extend(NOTHING, timeline, 20 * HOUR, length=900.0)

    def ends(now: float, length: float | None = None, until: float | None = None) -> float:
        extension = extend(NOTHING, timeline, now * HOUR, length=length, until=until).extension
        assert extension is not None
        return extension.until

    assert ends(20, length=900.0) == build(late, rules, by_hand).stretch_end(20 * HOUR) == 20.25 * HOUR
    assert ends(20, until=20.5 * HOUR) == 20.5 * HOUR
    assert ends(17.5, length=900.0) == 18.25 * HOUR
    assert build(late, rules, by_hand).running_until(20 * HOUR) == 20.25 * HOUR


def test_a_skipped_meeting_stays_so_when_its_end_moves_and_counts_when_it_goes_elsewhere() -> None:
    """Overrun, shortened, moved a little, deleted: skipped. Moved behind what was said: another meeting."""
    by_hand, _ = skip(NOTHING, build(minutes(("a", 10, 20)), Rules()), 12 * MINUTE)

    for start, end in ((10, 90), (10, 15), (5, 15), (15, 25)):
        assert build(minutes(("a", start, end)), Rules(), by_hand).spans == ()
    assert build([], Rules(), by_hand) == Timeline()
    for start, end in ((20, 30), (200, 210)):
        assert len(build(minutes(("a", start, end)), Rules(), by_hand).spans) == 1


def test_an_extension_follows_what_runs_with_its_reason() -> None:
    """With lag, with the reason of the meeting, and without another boundary."""
    rules = Rules(lag=60.0, substatus="in_training")
    events = minutes(("a", 10, 20))

    by_hand = extend(NOTHING, build(events, rules), 15 * MINUTE, length=900.0, substatus="other")
    timeline = build(events, rules, by_hand)

    assert by_hand.extension == Extension(15 * MINUTE, 36 * MINUTE, "in_training")
    assert timeline.next_change(15 * MINUTE) == timeline.stretch_end(15 * MINUTE) == 36 * MINUTE
    assert timeline.extension_at(30 * MINUTE) is not None
    assert timeline.is_away(15 * MINUTE)
    assert timeline.extension_at(36 * MINUTE) is None


def test_an_extension_of_nothing_begins_now_and_another_adds_to_it() -> None:
    """Also without a calendar, and outside of all meetings."""
    first = extend(NOTHING, None, 100.0, length=900.0, substatus="other")
    again = extend(first, build([], Rules(), first), 400.0, length=600.0, substatus="in_training")

    assert first.extension == Extension(100.0, 1000.0, "other")
    assert again.extension == Extension(400.0, 1600.0, "other")


def test_an_extension_until_an_instant_may_end_sooner_than_the_last() -> None:
    """But not before what runs ends anyway, and not twelve hours behind it."""
    events = minutes(("a", 10, 20))
    long = extend(NOTHING, build(events, Rules()), 15 * MINUTE, length=HOUR)

    shorter = extend(long, build(events, Rules(), long), 16 * MINUTE, until=30 * MINUTE)

    assert shorter.extension == Extension(16 * MINUTE, 30 * MINUTE)
    for until in (20 * MINUTE, 10 * MINUTE, 20 * MINUTE + 12 * HOUR + 1):
        with pytest.raises(WishError):
            extend(NOTHING, build(events, Rules()), 15 * MINUTE, until=until)


def test_a_skip_ends_an_extension_and_means_no_meeting_behind_it() -> None:
    """Who is only kept by the extension is available; the next meeting counts."""
    events = minutes(("a", 10, 20), ("b", 40, 50))
    by_hand = extend(NOTHING, build(events, Rules()), 15 * MINUTE, length=600.0)

    after, meant = skip(by_hand, build(events, Rules(), by_hand), 25 * MINUTE)

    assert (after, meant) == (NOTHING, [])
    in_both, meant = skip(by_hand, build(events, Rules(), by_hand), 16 * MINUTE)
    assert (in_both.extension, [one.event for one in meant]) == (None, ["a"])


def test_a_skip_ends_an_extension_that_the_timeline_does_not_know_yet() -> None:
    """Said a moment ago; and the next meeting is not meant, as it would not be once the timeline knows."""
    timeline = build(minutes(("b", 40, 50)), Rules())
    extended = extend(NOTHING, timeline, 20 * MINUTE, length=600.0)

    assert (NOTHING, []) == skip(extended, timeline, 21 * MINUTE)
    with pytest.raises(WishError):
        skip(extended, timeline, 30 * MINUTE, until=40 * MINUTE)
    later, meant = skip(extended, timeline, 30 * MINUTE)
    assert (extended.extension, ["b"]) == (later.extension, [one.event for one in meant])


def test_a_skip_ends_an_extension_that_only_the_timeline_still_knows() -> None:
    """It was taken back a moment ago: what ends now is not the next meeting."""
    events = minutes(("b", 40, 50))
    extended = build(events, Rules(), ByHand(extension=Extension(20 * MINUTE, 30 * MINUTE)))

    assert (NOTHING, []) == skip(NOTHING, extended, 21 * MINUTE)


def test_a_meeting_that_is_skipped_again_is_remembered_until_its_later_end() -> None:
    """It was shortened, and may be prolonged again."""
    long, short = (build(minutes(("a", 10, end)), Rules()) for end in (40, 20))
    once, _ = skip(NOTHING, long, 15 * MINUTE)
    twice, _ = skip(once, short, 15 * MINUTE)
    longer, _ = skip(ByHand((("a", 20 * MINUTE),)), long, 15 * MINUTE)

    assert (("a", 40 * MINUTE),) == once.skipped == twice.skipped == longer.skipped


def test_a_meeting_that_was_skipped_and_begins_now_is_not_the_next() -> None:
    """That is the one behind it, which runs already or begins later."""
    events = minutes(("a", 10, 20), ("b", 30, 40))
    once, _ = skip(NOTHING, build(events, Rules()), 5 * MINUTE)

    _, meant = skip(once, build(events, Rules(), once), 10 * MINUTE)
    assert ["a"] == [one.event for one in meant]
    _, meant = skip(once, build(events, Rules(), once), 20 * MINUTE)
    assert ["b"] == [one.event for one in meant]


def test_words_are_forgotten_a_day_after_they_are_over() -> None:
    """And not before: what happened today can still be told."""
    by_hand = ByHand((("a", 100.0), ("b", 200.0)), Extension(50.0, 150.0))

    assert remembered(by_hand, 99.0 + REMEMBERED_SECONDS) == by_hand
    assert remembered(by_hand, 100.0 + REMEMBERED_SECONDS) == ByHand((("b", 200.0),), by_hand.extension)
    assert remembered(by_hand, 150.0 + REMEMBERED_SECONDS) == ByHand((("b", 200.0),))
    assert remembered(by_hand, 200.0 + REMEMBERED_SECONDS) == NOTHING


@pytest.mark.parametrize(
    ("why", "since", "moot"),
    [("override", 1000.0, True), ("override", 1300.0, False), ("left_alone", 1000.0, False)],
)
def test_the_later_word_counts(why: str, since: float, *, moot: bool) -> None:
    """An extension ends the standing back from a change by hand before it; whose own choice it was stays so."""
    events = minutes(("a", 10, 40))
    by_hand = extend(NOTHING, build(events, Rules()), 1200.0, length=600.0)
    stance = StandingBack("override" if why == "override" else "left_alone", since, 2400.0)

    decision = decide(stance, Orders(build(events, Rules(), by_hand)), Facts(), 1400.0)

    assert isinstance(decision.action, Look) == moot
    assert decision.stance == (FREE if moot else stance)


drawn = st.lists(
    st.builds(
        lambda name, start, length: Event(f"e{name}", start, start + length),
        st.integers(0, 9),
        st.integers(0, 100),
        st.integers(1, 40),
    ),
    max_size=6,
    unique_by=lambda event: event.id,
)
drawn_rules = st.builds(
    Rules, lead=st.sampled_from([0.0, 5.0]), lag=st.sampled_from([0.0, 5.0]), bridge=st.sampled_from([0.0, 8.0, 30.0])
)


@settings(deadline=None, max_examples=300)
@given(events=drawn, rules=drawn_rules, now=st.integers(0, 140))
def test_whoever_is_skipped_now_is_available_and_nothing_else_changes(
    events: list[Event], rules: Rules, now: int
) -> None:
    """Whatever the calendar: available at once, nobody becomes unavailable by it, and again changes nothing."""
    before = build(events, rules)
    try:
        by_hand, meant = skip(NOTHING, before, now)
    except WishError:
        assert before.span_at(now) is None
        assert before.next_start(now) is None
        return
    after = build(events, rules, by_hand)

    running = [one for one in meant if one.start <= now < one.end]
    assert after.span_at(now) is None or not running
    assert running == meant or not running
    for second in range(-10, 160):
        assert after.span_at(second) is None or before.span_at(second) is not None
    assert skip(by_hand, after, now) == (by_hand, meant)


@settings(deadline=None, max_examples=300)
@given(events=drawn, rules=drawn_rules, now=st.integers(0, 140), length=st.integers(1, 60))
def test_whoever_is_extended_is_unavailable_for_so_much_longer(
    events: list[Event], rules: Rules, now: int, length: int
) -> None:
    """From now to so long behind what runs, and nothing else changes but what a bridge joins to it."""
    before = build(events, rules)
    by_hand = extend(NOTHING, before, now, length=length)
    after = build(events, rules, by_hand)

    end = (before.running_until(now) or now) + length
    assert by_hand.extension is not None
    assert (by_hand.extension.since, by_hand.extension.until) == (now, end)
    assert (after.stretch_end(now) or 0) >= end
    for second in range(-10, now):
        assert (after.span_at(second) is None) == (before.span_at(second) is None) or rules.bridge
    assert {span.event for span in after.padded} - {span.event for span in before.padded} == {EXTENSION}
    assert all(span.setting == Setting("unavailable") for span in after.spans)


def test_what_is_in_force_is_not_over_yet() -> None:
    """A skip to its meeting's end, an extension to its own."""
    skip_only = ByHand((("a", 100.0), ("b", 200.0)))
    extension = ByHand(extension=Extension(0.0, 150.0))

    assert [True, True, False] == [in_force(skip_only, at) for at in (100.0, 199.9, 200.0)]
    assert [True, False] == [in_force(extension, at) for at in (149.9, 150.0)]
    assert not in_force(NOTHING, 0.0)


def test_what_has_been_over_for_long_is_forgotten() -> None:
    """Each for itself, once it has been over for the time that it is remembered for."""
    by_hand = ByHand((("a", 100.0), ("b", 200.0)), Extension(0.0, 150.0))

    assert by_hand == remembered(by_hand, 99.9 + REMEMBERED_SECONDS)
    assert ByHand((("b", 200.0),), Extension(0.0, 150.0)) == remembered(by_hand, 100.0 + REMEMBERED_SECONDS)
    assert ByHand((("b", 200.0),)) == remembered(by_hand, 150.0 + REMEMBERED_SECONDS)
    assert ByHand() == remembered(by_hand, 200.0 + REMEMBERED_SECONDS)
