"""From a history to what was so at one instant, and to the sentences that tell it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calsyncd.core.byhand import EXTENSION, ByHand, Extension
from calsyncd.core.explain import Considered, Stance, Story, parts_of, run_start
from calsyncd.core.model import Event, HistoryRow, Observation, Setting, Span, Trouble
from calsyncd.core.rules import Rules, judge
from calsyncd.core.timeline import Timeline, build
from calsyncd.core.wording import sentences

from .explaining import FIRST, MEETING, MINUTE, TEN, explained, held, released, row, said

# -- what was so -------------------------------------------------------------------------------------------------------


def test_what_was_set_is_sure_but_while_it_changes() -> None:
    """Until the update left, and from its answer on; between them it is one of the two."""
    story = Story([FIRST, held(), released()])

    assert story.at(TEN - 4000).possible == {None, "custom"}
    assert (story.at(TEN).status, story.at(TEN + 0.1).status) == ("custom", "custom")
    assert story.at(TEN + 0.15).status is None
    assert story.at(TEN + 0.15).possible == {"custom", "unavailable"}
    assert story.at(TEN + 0.2).status == "unavailable"
    assert story.at(TEN + 86400).status == "custom"


def test_a_change_by_hand_is_somewhere_since_the_last_look() -> None:
    """The look that shows it says by when at the latest, the one before it since when at the earliest."""
    change = row(TEN + 600, "seen", "unavailable", "available", why="changed in Aircall", actor="aircall")
    story = Story([FIRST, held(), replace(change, after=TEN + 60)])

    assert [story.at(TEN + at).status for at in (60, 61, 599, 600)] == ["unavailable", None, None, "available"]


@pytest.mark.parametrize("landed", [True, False])
def test_a_lost_answer_leaves_it_open_until_somebody_looks(landed: bool) -> None:
    """From when the update left, though its loss was noticed ten seconds later."""
    lost = row(TEN + 10, "lost", "custom", "unavailable", after=TEN, until=TEN + 1800, event=MEETING)
    shown = row(TEN + 15, "seen", "custom", "unavailable", why="an update of ours whose answer was lost", after=TEN - 2)
    story = Story([FIRST, lost, shown if landed else row(TEN + 70, "closed")])

    assert story.at(TEN).status == (None if landed else "custom")
    assert story.at(TEN + 5).possible == {"custom", "unavailable"}
    after = story.at(TEN + 80)
    assert (after.status, after.stance) == (("unavailable", "held") if landed else ("custom", "free"))
    if landed:
        assert (after.back, after.until, after.hold and after.hold.event) == ("custom", TEN + 1800, MEETING)


def test_what_was_owed_is_told_by_the_update_that_came_late() -> None:
    """From the boundary to the answer."""
    story = Story([FIRST, held(TEN + 300, late_ms=300_000)])

    assert [story.at(TEN + at).owed_since(TEN + at) for at in (-1, 0, 299, 300)] == [None, TEN, TEN, None]


def test_each_stance_begins_and_ends() -> None:
    """By its own rows, or by the end that it had."""
    until = TEN + 1800
    rows = [
        row(TEN, "override", "available", until=until),
        row(until + 10, "left_alone", "unavailable", until=until + 500),
        row(until + 20, "over"),
        row(until + 30, "kept", "available", until=until + 500),
        row(until + 40, "over"),
        row(until + 50, "observed", "available", "unavailable", until=until + 500),
        row(until + 60, "observed", "unavailable", "available"),
        row(until + 70, "paused", until=until + 100, actor="Dana"),
        row(until + 110, "paused", until=float("inf")),
        row(until + 120, "resumed"),
        row(until + 130, "removed"),
        row(until + 140, "followed"),
        released(until + 150, late_ms=-5000, until=until + 158),
    ]
    story = Story(rows)

    assert [story.at(until + at).stance for at in range(-5, 160, 10)] == [
        *("override", "free", "left_alone", "free", "kept", "free", "observed", "free", "paused", "paused"),
        *("paused", "free", "paused", "free", "unfollowed", "free", "early_end"),
    ]


def test_an_end_that_moves_is_told_as_it_was_known() -> None:
    """Before the calendar changed, and after it."""
    story = Story([FIRST, held(), row(TEN + 600, "moved", until=TEN + 3600), released(TEN + 3600)])

    assert [story.at(TEN + at).until for at in (599, 600, 3601)] == [TEN + 1800, TEN + 3600, None]


def test_what_would_be_held_ends_when_it_would() -> None:
    """By the calendar as it was known last, where nothing else tells of it: the agent may be acted on by then."""
    would = row(TEN, "observed", "custom", "unavailable", until=TEN + 1800)
    story = Story([FIRST, would, row(TEN + 600, "moved", until=TEN + 3600)])

    assert [story.at(TEN + at).stance for at in (0, 1800, 3599, 3600)] == ["observed", "observed", "observed", "free"]


def test_a_history_from_before_the_bounds_were_kept() -> None:
    """What was done came with its answer; what was seen may have come at any time before."""
    old = [replace(one, after=None, until=None, begins=None, ends=None) for one in (FIRST, held(), released())]
    seen = row(TEN + 4000, "seen", "custom", "available", actor="aircall")
    story = Story([*old, seen])

    assert story.at(TEN + 60).status == "unavailable"
    assert story.at(TEN + 3000).possible == {"custom", "available"}
    assert said([*old, seen], TEN + 60, TEN + 100).startswith(
        "At 10:01:00: unavailable since 10:00:00 (0.2 s after it was due, in a meeting, event …x7f)."
    )


changes = st.lists(
    st.tuples(
        st.sampled_from(["done", "seen", "lost", "failed", "override", "closed", "moved", "kept", "over", "paused"]),
        st.floats(0, 50),
        st.sampled_from(["available", "custom", "unavailable"]),
        st.one_of(st.none(), st.floats(0, 60)),
    ),
    max_size=12,
)


@given(changes, st.floats(-10, 700))
def test_nothing_is_claimed_that_may_be_otherwise(told: list[tuple[str, float, str, float | None]], at: float) -> None:
    """What is sure is the only possible setting, whatever the history holds; and it can always be said."""
    rows, clock, status = [], 0.0, "available"
    for outcome, seconds, to, back in told:
        clock += seconds
        ends = clock + (back or 0.0)
        changed = outcome in ("done", "seen", "lost")
        after = clock - back if back is not None and changed else None
        rows.append(row(TEN + clock, outcome, status, to if changed else None, after=after and TEN + after, until=ends))
        status = to if outcome in ("done", "seen") else status
    then = Story(rows).at(TEN + at)

    if then.sure:
        assert then.possible == {then.status}
        last = [one for one in rows if one.at <= TEN + at and one.outcome in ("done", "seen")]
        assert then.status == last[-1].to
    assert sentences(explained(rows, TEN + at, TEN + at + 5))
    assert sentences(explained(rows, TEN + at))


# -- in words ----------------------------------------------------------------------------------------------------------


def test_now_in_words() -> None:
    """Since when and why, what was not counted and why not, what was there before and when it comes back."""
    seen = Observation(Setting("unavailable"), TEN + 600)

    assert sentences(explained([FIRST, held()], TEN + 900, seen=seen)) == (
        "Unavailable since 10:00:00 (0.2 s after the start of a meeting, 10:00\N{EN DASH}10:30, event …x7f).",
        "Two events were not counted: all day, shown as free; 10:15 declined.",
        "Before: Auto. Back to Auto at 10:30, unless Amy changes it.",
        "Last seen in Aircall 5 min ago: unavailable.",
    )


ORIGINS = {"lag": "team support", "bridge": "company"}


def lasting(
    meetings: list[tuple[float, float]],
    at: float,
    rules: Rules = Rules(),  # noqa: B008 - immutable
    extended: float | None = None,
) -> str:
    """Of who is held since 10:00 for the meeting to 10:30: what is said of `at`, by what the calendar says now.

    Meetings are in minutes since 10:00, the first the one that began it; so is `at`.
    """
    named = [MEETING, *(f"event{n:03}" for n in range(1, len(meetings)))]
    spans = zip(named, meetings, strict=True)
    events = [Event(name, TEN + start * MINUTE, TEN + end * MINUTE) for name, (start, end) in spans]
    by_hand = ByHand(extension=Extension(TEN + MINUTE, TEN + extended * MINUTE) if extended is not None else None)
    timeline, now = build(events, rules, by_hand), TEN + at * MINUTE
    found = explained([FIRST, held()], now, span=timeline.span_at(now))
    return "\n".join(
        sentences(
            replace(
                found,
                stance=replace(found.stance, until=timeline.stretch_end(now)),
                considered=tuple(Considered(one, "primary", judge(one, rules)) for one in events),
                parts=parts_of(timeline, rules, now),
                rules=rules,
                origins=ORIGINS,
            )
        )
    )


@pytest.mark.parametrize(
    ("meetings", "at", "rules", "extended", "words"),
    [
        ([(10, 50)], 20, Rules(), None, "Until then: a meeting, 10:10-10:50 (…x7f)."),
        ([(0, 30)], 5, Rules(), 45, "Until then: a meeting, 10:00-10:30 (…x7f), extended by hand to 10:45."),
        ([(0, 30)], 40, Rules(), 45, "Until then: extended by hand to 10:45."),
        ([(0, 30)], 5, Rules(lag=120), None, "a meeting, 10:00-10:30 (…x7f), lag 2 min (team support)."),
        ([(0, 30)], 31, Rules(lag=120), None, "a meeting, 10:00-10:30 (…x7f), lag 2 min (team support)."),
        (
            [(0, 30), (40, 60)],
            35,
            Rules(lag=120, lead=60, bridge=1200),
            None,
            "Until then: bridged to 10:39 (company), a meeting, 10:40-11:00 (…001), lag 2 min (team support).",
        ),
        (
            [(0, 30), (40, 60), (45, 50)],
            5,
            Rules(lag=120, bridge=1200),
            None,
            "(…x7f), lag 2 min (team support), bridged to 10:40 (company), a meeting, 10:40-11:00 (…001), lag 2 min",
        ),
    ],
)
def test_what_makes_the_end_in_words(
    meetings: list[tuple[float, float]], at: float, rules: Rules, extended: float | None, words: str
) -> None:
    """The events by their times as they are now, lag and bridge with where they stand, and what was said by hand."""
    text = lasting(meetings, at, rules, extended)

    assert words.replace("-1", "\N{EN DASH}1") in text
    told = text[text.index("Until then") :]
    assert "(…x7f)" not in told.partition("\n")[2]
    assert "(…001)" not in told.partition("\n")[2]


def test_the_end_of_the_meeting_that_was_named_needs_no_words() -> None:
    """It is at its end."""
    text = lasting([(0, 30)], 5)

    assert "Back to Auto at 10:30" in text
    assert "Until then" not in text


def test_a_hold_that_is_about_to_be_due_is_not_over() -> None:
    """Where many begin at once, some are held before their meeting begins."""
    early = held(TEN - 3, late_ms=-3000)
    ahead = Span(TEN, TEN + 30 * MINUTE, Setting("unavailable"), MEETING)
    text = said([FIRST, early], TEN - 1, span=None, ahead=ahead)

    assert "Back to Auto at 10:30" in text
    assert "over" not in text


def test_who_changes_it_is_made_unavailable_again_where_the_rules_say_so() -> None:
    """Now and in the future."""
    enforced = Rules(enforce=True)
    now = said([FIRST, held()], TEN + 900, rules=enforced)
    future = said([FIRST], TEN + 900, TEN - 3600, rules=enforced)

    assert "Back to Auto at 10:30; changed before by Amy, it is put again." in now
    assert "Not if Amy is unavailable by their own choice then; changed meanwhile, it is put again." in future


def test_the_past_in_words() -> None:
    """As it was known then, and what came of it; with the date, since it is not today's."""
    told = sentences(explained([FIRST, held(), released()], TEN + 900, TEN + 86400 - 60))

    cause = "0.2 s after the start of a meeting, 10:00\N{EN DASH}10:30, event …x7f"
    assert told[0] == f"At Mon 23 Nov 10:15:00: unavailable since 10:00:00 ({cause})."
    assert told[1] == "Before: Auto. It was to go back to Auto at 10:30, as known then."
    assert told[2] == "Then Auto from 10:30:00 (put back by calsyncd 0.1 s after the end of the meeting)."
    ignored = "all day, shown as free; 10:15 declined"
    assert told[3:] == (f"As the calendar is stored now, two events were not counted: {ignored}.",)


def test_events_that_are_not_kept_any_more() -> None:
    """It is said that they are not."""
    text = said([FIRST, held(), released()], TEN + 900, TEN + 5 * 86400)

    assert "The events of then are not kept any more: they are since Fri 27 Nov 10:00." in text
    assert "declined" not in text


def test_a_meeting_of_which_the_history_has_nothing() -> None:
    """It is not made up why nothing was done; an update that failed is told until the end of what it was for."""
    assert "a meeting was on from 10:00 to 10:30, event …x7f: the history has nothing of it." in said(
        [FIRST], TEN + 900, TEN + 4000
    )
    failed = row(
        TEN + 5, "failed", "custom", "unavailable", why="Aircall did not take an update: 503", until=TEN + 1800
    )
    assert ["503" in said([FIRST, failed], TEN + at) for at in (900, 1900)] == [True, False]


def test_the_future_in_words() -> None:
    """As far as the calendar says now; and what nobody can know yet."""
    text = said([FIRST], TEN + 900, TEN - 3600, stance=Stance("free", back="custom"))

    assert text.startswith(
        "At 10:15: will be unavailable from 10:00 to 10:30 because of a meeting, event …x7f,"
        " as far as the calendar says now. Then back to Auto."
    )
    assert "Two events do not count" in text
    far = said([FIRST], TEN + 900, TEN - 4 * 86400)
    assert "Nothing later than Sun 22 Nov 10:00 is planned yet" in far
    assert "nothing is known of" in said([FIRST], TEN + 900, TEN - 15 * 86400)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            held(TEN - 119.5, begins=TEN, late_ms=500),
            "0.5 s after it was due, 2 min ahead of a meeting, 10:00\N{EN DASH}10:30",
        ),
        (
            held(TEN - 3, late_ms=-3000),
            "3.0 s before it was due, since many begin at once: a meeting, 10:00\N{EN DASH}10:30",
        ),
        (held(TEN + 600, late_ms=40), "40 ms after it was due, in a meeting, 10:00\N{EN DASH}10:30, event …x7f"),
        (
            held(why="changed by hand in a meeting, which the settings do not let stand"),
            "(changed by hand in a meeting",
        ),
        (held(substatus="out_for_lunch"), "Unavailable (out for lunch) since 10:00:00"),
        (released(TEN + 10, why="paused"), "Auto since 10:00:10 (put back by calsyncd 0.1 s after it was due: paused)"),
        (
            released(TEN + 1920.1, begins=TEN, ends=TEN + 1800),
            "put back by calsyncd 0.1 s after it was due, 2 min behind the meeting",
        ),
        (released(begins=TEN, ends=TEN + 1800), "put back by calsyncd 0.1 s after the end of the meeting"),
        (
            released(TEN + 10, why="the meeting was moved"),
            "put back by calsyncd 0.1 s after it was due: the meeting was moved",
        ),
        (
            held(why="extended by hand", event=EXTENSION, begins=TEN - 60, ends=TEN + 600),
            "Unavailable since 10:00:00 (extended by hand, 09:59\N{EN DASH}10:10).",
        ),
        (released(TEN + 10, late_ms=-2000), "put back by calsyncd 2.0 s early, since many meetings end at once"),
        (
            row(TEN + 10, "seen", "custom", "available", why="changed in Aircall", actor="aircall", after=TEN - 60),
            "Available since 10:00:10 at the latest (changed in Aircall, not by calsyncd, later than 09:59:00)",
        ),
    ],
)
def test_each_cause_in_words(change: HistoryRow, words: str) -> None:
    """How late, before or after what, and by whom."""
    assert words in said([FIRST, change], max(TEN + 1200, change.at))


@pytest.mark.parametrize(
    ("outcome", "why", "more", "words"),
    [
        ("extended", "extended until 2026-11-23T09:45:00Z: client", {}, "extended until 10:45: client."),
        ("extended", "extended until 2026-11-23T09:45:00.250Z", {}, "extended until 10:45."),
        ("extended", "extended: client: late", {"until": TEN + 2700}, "extended until 10:45: client: late."),
        ("extended", "extended", {"until": TEN + 2700}, "extended until 10:45."),
        (
            "extended",
            "extended until 2026-11-23T09:45:00Z: at 2026-11-23T09:45:00Z",
            {"until": TEN + 2700},
            "extended until 10:45: at 2026-11-23T09:45:00Z.",
        ),
        ("skipped", "skipped: all hands", {"begins": TEN, "ends": TEN + 1800}, "skipped, 10:00-10:30: all hands."),
        (
            "skipped",
            "skipped: 2026-11-23T09:00:00Z to 2026-11-23T09:30:00Z, 2026-11-23T10:00:00Z to 2026-11-23T10:30:00Z: ill",
            {},
            "skipped, 10:00-10:30, 11:00-11:30: ill.",
        ),
        (
            "skipped",
            "skipped: 2026-11-23T08:58:00Z to 2026-11-23T09:32:00Z",
            {"begins": TEN, "ends": TEN + 1800},
            "skipped, 10:00-10:30.",
        ),
        ("skipped", "the extension is over: a mistake", {}, "the extension is over: a mistake."),
    ],
)
def test_words_by_hand_are_told_by_the_agents_clock(outcome: str, why: str, more: dict[str, Any], words: str) -> None:
    """By the instants of the row, or by those in the words of an older one; the reason stays as it was typed."""
    text = said([FIRST, row(TEN + 5, outcome, actor="Dana", why=why, **more)], TEN + 600)

    assert f"By Dana, at 10:00:05: {words}".replace("0-1", "0\N{EN DASH}1") in text


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (row(TEN + 5, "override", until=TEN + 1800), "Changed by hand in a meeting: left alone until 10:30."),
        (row(TEN + 5, "left_alone", until=TEN + 1800), "Unavailable by their own choice: left alone until 10:30."),
        (
            row(TEN + 5, "paused", until=float("inf"), actor="Dana", why="paused until resumed: headset"),
            "Paused by Dana since 10:00:05, until resumed: headset. The calendar is not followed.",
        ),
        (
            row(TEN + 5, "kept", until=TEN + 1800, why="amy@example.com is kept available: at least 2 are to stay"),
            "In a meeting until 10:30, and kept available: at least 2 are to stay.",
        ),
        (
            row(TEN + 5, "observed", "custom", "unavailable", until=TEN + 1800),
            "Only observed: would be unavailable until 10:30, then back to Auto.",
        ),
        (
            row(TEN + 5, "failed", why="Aircall did not take an update: 503"),
            "At 10:00:05 Aircall did not take an update",
        ),
        (row(TEN + 5, "extended", actor="Dana", why="extended until later: client"), "By Dana, at 10:00:05: extended"),
        (
            row(TEN + 10, "lost", "custom", "unavailable", after=TEN),
            "Not known for sure: an update to unavailable was sent at 10:00:00 and its answer was lost; Auto before",
        ),
    ],
)
def test_each_stance_in_words(last: HistoryRow, words: str) -> None:
    """Who, since when, until when and why."""
    assert words in said([FIRST, last], TEN + 600)


def test_a_rule_is_told_with_where_it_stands() -> None:
    """The pattern and the layer of the settings; and what troubles the agent, with whose turn it is."""
    event = Event("lunch1", TEN, TEN + 60, titles=("lunch",))
    considered = Considered(event, "primary", judge(event, Rules(ignore_titles=("lunch",))), "team support")
    trouble = Trouble("ledger", "the ledger cannot be written", "free disk space", "operator")
    text = said([FIRST], TEN + 30, considered=(considered,), trouble=trouble, span=None)

    assert "One event was not counted: 10:00 its title matches lunch (ignore_titles of team support)." in text
    assert "Trouble: the ledger cannot be written. To do (operator): free disk space." in text


def test_ids_are_shortened_and_long_lists_cut() -> None:
    """Six events are named, and how many more there are."""
    events = [Event(f"secret-id-{n:03}", TEN, TEN + 60) for n in range(10)]
    considered = tuple(Considered(event, "primary", judge(event, Rules())) for event in events)
    text = said([FIRST], TEN + 30, considered=considered, span=Span(TEN, TEN + 60, Setting("unavailable"), "x"))

    assert "secret-id" not in text
    assert "(…005), and 4 more." in text


def test_by_the_agents_clock_on_the_day_that_it_is_set_back() -> None:
    """The offset of each instant, not of the day."""
    at = datetime(2026, 10, 25, 1, 30, tzinfo=UTC).timestamp()
    start = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
    text = said([FIRST, held(start, late_ms=0, begins=start, ends=at + 60)], at)

    assert "02:30\N{EN DASH}02:31" in text


def test_the_run_begins_where_its_first_meeting_does() -> None:
    """Back to back; and where none is, at the instant itself."""
    timeline = build([Event("a", 0, 10), Event("b", 10, 20), Event("c", 30, 40)], Rules())

    assert [0, 0, 25, 30, 40] == [run_start(timeline, at) for at in (5, 15, 25, 35, 40)]


def test_what_nothing_is_known_to_fill_has_no_part() -> None:
    """A run of which no meeting is known is told by its end alone."""
    bare = Timeline(spans=(Span(0, 20, Setting("unavailable"), "a"),))

    assert () == parts_of(bare, Rules(), 5)
    assert () == parts_of(bare, Rules(), 20)


def test_a_row_of_a_kind_that_is_not_known_changes_nothing() -> None:
    """A newer version may have written it."""
    known = Story([FIRST, held()])
    newer = Story([FIRST, held(), row(TEN + 5, "something_new", to="available")])

    assert replace(known.at(TEN + 60), following=None) == replace(newer.at(TEN + 60), following=None)


def test_a_lost_way_back_that_a_look_shows_has_landed_is_told_as_ours() -> None:
    """With the event and the times for which it was sent; the hold is over."""
    of = {"event": MEETING, "begins": TEN, "ends": TEN + 1800}
    lost = row(TEN + 1800, "lost", "unavailable", "custom", after=TEN + 1800, **of)
    shown = row(TEN + 1810, "seen", "unavailable", "custom", after=TEN + 1795, why="an update of ours")
    then = Story([FIRST, held(), lost, shown]).at(TEN + 1900)

    assert (then.status, then.stance, then.hold, then.back) == ("custom", "free", None, None)
    assert then.change is not None
    assert (then.change.event, then.change.begins, then.change.ends) == (MEETING, TEN, TEN + 1800)

    theirs = Story([FIRST, held(), lost, replace(shown, actor="aircall")]).at(TEN + 1900)
    assert (theirs.change and theirs.change.event, theirs.stance) == (None, "held")
