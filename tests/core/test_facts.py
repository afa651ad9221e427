"""What is remembered of an agent beside the stance, at each of its bounds, and what an answer makes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calsyncd.core.byhand import ByHand, Extension
from calsyncd.core.hints import Hint, Hints
from calsyncd.core.model import Observation, Setting, Span
from calsyncd.core.plan import (
    FREE,
    Doubt,
    Facts,
    Held,
    Look,
    Orders,
    Put,
    Sent,
    Stance,
    StandingBack,
    answered,
    decide,
    lost,
    not_landed,
    restored,
    stepped,
    under_way_at_step,
)
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import Timeline, build

from .driver import MINUTE, NOON, day, meeting

AVAILABLE = Setting("available")
CUSTOM = Setting("custom")
UNAVAILABLE = Setting("unavailable")
START = NOON + 10 * MINUTE
END = NOON + 40 * MINUTE
DURING = START + 5 * MINUTE
MEETING = Orders(day(meeting(10, 40)))
CROWD = replace(MEETING, fresh_seconds=2700.0)
HOLD = Held(UNAVAILABLE, AVAILABLE, START, START, END, "meeting", START + 1)
WRITTEN = replace(HOLD, confirmed_at=None, lost_at=NOON)


def seen(setting: Setting, at: float, live: str | None = None, **more: object) -> Facts:
    """Facts of which the last look is this."""
    return replace(Facts(), seen=Observation(setting, at, live), **more)  # type: ignore[arg-type]


# -- what counts as seen -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("closed_at", "due"), [(0.0, NOON + 5), (NOON, NOON + 5), (NOON + 0.1, NOON + 1)])
def test_a_hint_waits_for_our_own_put_to_show_but_not_for_one_that_came_later(closed_at: float, due: float) -> None:
    """Of one instant with our update, it may be its echo."""
    facts = replace(Facts(), acted_at=NOON, closed_at=closed_at, hints=Hints(Hint(NOON, NOON + 1, frozenset())))

    assert due == facts.hint_due
    assert [False, True, True] == [facts.is_stale(at) for at in (due - 0.1, due, due + 0.1)]


def test_without_a_hint_nothing_is_stale() -> None:
    """However late it is."""
    assert Facts(acted_at=NOON).hint_due is None
    assert not Facts(acted_at=NOON).is_stale(END)


@pytest.mark.parametrize(
    ("status", "before", "at", "closed"),
    [
        ("unavailable", 0.0, NOON, NOON),
        ("unavailable", 0.0, NOON + 9, NOON + 9),
        ("unavailable", 0.0, NOON + 9.1, 0.0),
        ("unavailable", NOON + 1, NOON, NOON + 1),
        ("unavailable", 0.0, None, 0.0),
        ("available", 0.0, NOON, 0.0),
    ],
)
def test_when_a_message_says_that_the_agent_closed(status: str, before: float, at: float | None, closed: float) -> None:
    """The latest that is told, and none that is told of the future."""
    facts = Facts(closed_at=before).hinted(status, NOON + 9, putting=False, at=at)

    assert closed == facts.closed_at


def test_a_message_of_what_is_known_is_a_hint_only_while_we_are_putting() -> None:
    """What was seen is compared with, unless an update is out."""
    facts = seen(AVAILABLE, NOON)

    assert [None, NOON + 9] == [facts.hinted("available", NOON + 9, putting=now).hints.due for now in (False, True)]


@pytest.mark.parametrize(("acted_at", "known"), [(NOON, True), (NOON + 0.1, False)])
def test_what_was_seen_is_known_unless_a_put_is_unanswered_since(acted_at: float, *, known: bool) -> None:
    """The answer of a PUT shows what is known at the instant that it comes."""
    facts = seen(AVAILABLE, NOON, acted_at=acted_at)

    assert (facts.seen if known else None) == facts.known
    assert Facts().known is None


@pytest.mark.parametrize(
    ("change", "way_back"),
    [
        ({}, CUSTOM),
        ({"asked": "available"}, AVAILABLE),
        ({"asked": "unavailable"}, None),
        ({"asked": None}, None),
        ({"mismatches": 1}, None),
        ({"closed_at": NOON}, CUSTOM),
        ({"closed_at": NOON + 0.1}, None),
        ({"seen": None}, None),
        ({"seen": Observation(UNAVAILABLE, NOON + 4.9)}, CUSTOM),
        ({"seen": Observation(UNAVAILABLE, NOON + 5)}, None),
        ({"seen": Observation(AVAILABLE, NOON + 1)}, None),
    ],
)
def test_what_we_put_back_while_a_read_may_lag_behind_it(change: dict[str, object], way_back: Setting | None) -> None:
    """For five seconds, where Aircall took it and no message tells of a later `unavailable`."""
    facts = replace(seen(UNAVAILABLE, NOON + 1, acted_at=NOON, asked="custom"), **change)  # type: ignore[arg-type]

    assert way_back == facts.way_back


@pytest.mark.parametrize(
    ("facts", "alone", "in_crowd"),
    [
        (Facts(), False, False),
        (seen(AVAILABLE, NOON), True, True),
        (seen(AVAILABLE, NOON, acted_at=NOON, asked="available"), False, True),
        (seen(AVAILABLE, NOON, acted_at=NOON, asked="custom"), False, False),
        (seen(AVAILABLE, NOON, acted_at=NOON, asked="available", mismatches=1), False, False),
        (seen(AVAILABLE, NOON, acted_at=NOON + 0.1, asked="available"), False, False),
        (seen(AVAILABLE, NOON, acted_at=NOON - 0.1, asked="custom", mismatches=1), True, True),
    ],
)
def test_what_is_a_look(facts: Facts, *, alone: bool, in_crowd: bool) -> None:
    """What came since our last PUT; where looks may be old, the answer that shows what was asked for is one too."""
    assert (alone, in_crowd) == (facts.is_looked_at(MEETING), facts.is_looked_at(CROWD))
    assert alone == facts.is_looked_at(replace(MEETING, fresh_seconds=5.0))


@pytest.mark.parametrize(
    ("mismatches", "asked", "after", "differs"),
    [
        (1, "custom", 4.9, True),
        (1, "custom", 5.0, False),
        (1, "available", 4.9, False),
        (0, "custom", 4.9, False),
        (0, "custom", 5.1, False),
    ],
)
def test_when_our_last_put_may_still_take(mismatches: int, asked: str, after: float, *, differs: bool) -> None:
    """For five seconds after an answer that did not show it."""
    facts = Facts(acted_at=NOON, mismatches=mismatches, asked=asked)

    assert differs == facts.may_differ(AVAILABLE, NOON + after)


# -- what a look makes of it -------------------------------------------------------------------------------------------


def test_of_two_looks_of_one_instant_the_later_answer_counts() -> None:
    """An older one changes nothing."""
    facts = Facts().looked(Observation(AVAILABLE, NOON))

    assert facts.looked(Observation(CUSTOM, NOON)).seen == Observation(CUSTOM, NOON)
    assert facts.looked(Observation(CUSTOM, NOON - 0.1)) == facts


@pytest.mark.parametrize(
    ("setting", "live", "undoubted", "since"),
    [
        (UNAVAILABLE, "in_call", NOON - 60, NOON),
        (UNAVAILABLE, "offline", NOON, None),
        (UNAVAILABLE, None, NOON - 60, None),
        (AVAILABLE, None, NOON, None),
    ],
)
def test_since_when_an_unavailable_is_doubtful(
    setting: Setting, live: str | None, undoubted: float, since: float | None
) -> None:
    """From the first look that shows it, until one shows something else or that no call is behind it."""
    before = Facts().looked(Observation(AVAILABLE, NOON - 60))
    facts = before.looked(Observation(setting, NOON, live))

    assert (undoubted, since) == (facts.undoubted and facts.undoubted.at, facts.doubtful_since)
    again = replace(before, doubtful_since=NOON - 30).looked(Observation(setting, NOON, live))
    assert again.doubtful_since == (NOON - 30 if setting == UNAVAILABLE and live != "offline" else None)


def test_a_look_is_compared_with_what_was_known() -> None:
    """A hint that named nothing is settled by a look that shows a change, and by no other."""
    facts = replace(seen(AVAILABLE, NOON), hints=Hints(Hint(NOON + 1, NOON + 1, frozenset({None}))))

    assert facts.looked(Observation(CUSTOM, NOON + 2)).hints.due is None
    assert facts.looked(Observation(AVAILABLE, NOON + 2)).hints.due == NOON + 7


def test_a_doubt_lasts_through_a_look_that_could_not_end_it() -> None:
    """One without the live state, of an `unavailable`."""
    facts = Facts(doubt=Doubt(NOON, listed=True, untold=False), looks_fail_since=NOON - 9)
    looked = [facts.looked(Observation(one, NOON, live)) for one, live in ((UNAVAILABLE, None), (AVAILABLE, None))]

    assert [facts.doubt, None] == [one.doubt for one in looked]
    assert [None, None] == [one.looks_fail_since for one in looked]
    assert facts.looked(Observation(UNAVAILABLE, NOON, "in_call")).doubt is None


@pytest.mark.parametrize(
    ("setting", "at", "acted_at", "earlier", "since"),
    [
        (AVAILABLE, DURING, START, None, DURING),
        (AVAILABLE, DURING, START, DURING - 3, DURING - 3),
        (AVAILABLE, DURING, START, START, DURING),
        (AVAILABLE, DURING, START, START - 1, DURING),
        (AVAILABLE, DURING, DURING, DURING - 3, None),
        (AVAILABLE, DURING, DURING + 1, DURING - 3, None),
        (UNAVAILABLE, DURING, START, DURING - 3, None),
    ],
)
def test_since_when_the_agent_was_seen_back(
    setting: Setting, at: float, acted_at: float, earlier: float | None, since: float | None
) -> None:
    """The first look in a row that was sent after our last PUT ended."""
    facts = Facts(acted_at=acted_at, back_since=earlier).looked(Observation(setting, at))

    assert since == facts.back_since


def test_the_first_failed_look_of_a_row_counts() -> None:
    """Not the last."""
    assert NOON == Facts().look_failed(NOON).look_failed(NOON + 9).looks_fail_since


# -- what is unread ----------------------------------------------------------------------------------------------------


def test_what_is_skipped_by_hand_ends_a_hold_though_a_calendar_is_unread() -> None:
    """It is asked of the instant; of what is not skipped, the unread calendar may want it."""
    skipped = Timeline(skipped=(Span(START, END, UNAVAILABLE, "meeting"),))
    orders = replace(MEETING, timeline=skipped, complete=False)
    hold = replace(HOLD, until=END + 60)

    assert [False, True] == [orders.outlasts(hold, at) for at in (DURING, END)]
    assert [True, False] == [replace(orders, timeline=Timeline()).outlasts(hold, at) for at in (END + 59.9, END + 60)]


@pytest.mark.parametrize(("early", "asked"), [(None, NOON), (NOON - 1, NOON), (NOON + 60, NOON + 60)])
def test_a_boundary_that_is_served_early_is_asked_for(early: float | None, asked: float) -> None:
    """Unless it is past."""
    assert asked == replace(MEETING, early=early).asked_at(NOON)


def test_a_pause_lasts_up_to_its_end() -> None:
    """And not at it."""
    orders = replace(MEETING, paused_until=NOON)

    assert [True, False] == [orders.paused(at) for at in (NOON - 0.1, NOON)]


# -- what an answer makes of it ----------------------------------------------------------------------------------------

TO_HOLD = Put(UNAVAILABLE, START, releases=False)
TO_RELEASE = Put(AVAILABLE, END, releases=True)


def test_an_answer_is_remembered_as_what_was_shown() -> None:
    """When, what was asked for, and that it was taken; a doubt is over, since the setting is ours."""
    before = Facts(doubt=Doubt(NOON, listed=True, untold=True), enforced_at=NOON, mismatches=2, asked="available")
    _, facts = answered(Sent(FREE, WRITTEN, TO_HOLD), UNAVAILABLE, before, DURING)

    assert replace(Facts(), seen=Observation(UNAVAILABLE, DURING), acted_at=DURING, asked="unavailable") == replace(
        facts, enforced_at=None
    )
    assert facts.enforced_at == NOON


def test_an_update_that_undoes_a_change_is_remembered_as_such() -> None:
    """Whether it was answered or not: the next one waits for a minute from then on."""
    sent = Sent(HOLD, WRITTEN, replace(TO_HOLD, enforces=True))

    assert DURING == answered(sent, UNAVAILABLE, Facts(enforced_at=NOON), DURING)[1].enforced_at
    assert DURING == lost(sent, Facts(enforced_at=NOON), DURING)[1].enforced_at
    assert NOON == lost(Sent(HOLD, WRITTEN, TO_HOLD), Facts(enforced_at=NOON), DURING)[1].enforced_at


def test_answers_that_show_something_else_are_counted_by_what_was_asked_for() -> None:
    """In a row, and anew for another status."""
    sent = Sent(FREE, WRITTEN, TO_HOLD)
    stance, facts = answered(sent, AVAILABLE, Facts(mismatches=1, asked="unavailable"), DURING)
    _, anew = answered(sent, AVAILABLE, Facts(mismatches=1, asked="available"), DURING)

    assert (2, 1) == (facts.mismatches, anew.mismatches)
    assert replace(WRITTEN, lost_at=None) == stance


@pytest.mark.parametrize(
    ("before", "put", "shown", "stance"),
    [
        (FREE, TO_HOLD, UNAVAILABLE, replace(WRITTEN, lost_at=None, confirmed_at=DURING)),
        (HOLD, TO_HOLD, UNAVAILABLE, replace(WRITTEN, lost_at=None, confirmed_at=DURING)),
        (replace(HOLD, lost_at=START), TO_HOLD, UNAVAILABLE, replace(WRITTEN, lost_at=START, confirmed_at=DURING)),
        (HOLD, TO_RELEASE, AVAILABLE, StandingBack("early_end", DURING, END)),
        (HOLD, replace(TO_RELEASE, due=DURING), AVAILABLE, FREE),
        (HOLD, TO_RELEASE, UNAVAILABLE, replace(WRITTEN, lost_at=None)),
        (replace(HOLD, lost_at=START), TO_RELEASE, AVAILABLE, replace(WRITTEN, lost_at=START)),
    ],
)
def test_where_an_answer_leaves_us(before: Stance, put: Put, shown: Setting, stance: Stance) -> None:
    """A hold is confirmed and a debt is paid only where the status is shown; an older lost PUT stays open."""
    assert stance == answered(Sent(before, WRITTEN, put), shown, Facts(), DURING)[0]


def test_an_update_for_no_hold_leaves_what_was_written_down() -> None:
    """Whatever its answer is."""
    sent = Sent(HOLD, FREE, TO_RELEASE)

    assert FREE == answered(sent, AVAILABLE, Facts(), DURING)[0]
    assert FREE == lost(sent, Facts(), DURING)[0]
    assert (HOLD, Facts(acted_at=NOON)) == not_landed(sent, Facts(acted_at=NOON))


def test_a_lost_answer_is_dated_and_ends_a_doubt() -> None:
    """What was seen before says nothing any more."""
    stance, facts = lost(Sent(FREE, WRITTEN, TO_HOLD), Facts(doubt=Doubt(NOON, listed=True, untold=True)), DURING)

    assert (replace(WRITTEN, lost_at=DURING), Facts(acted_at=DURING)) == (stance, facts)


# -- a clock that is set -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("confirmed", "lost_at", "anew"),
    [
        (None, None, (None, None)),
        (DURING - 1, None, (DURING - 1, None)),
        (END, None, (DURING, None)),
        (None, START, (None, DURING)),
        (END, END, (DURING, DURING)),
    ],
)
def test_a_hold_is_timed_anew(
    confirmed: float | None, lost_at: float | None, anew: tuple[float | None, float | None]
) -> None:
    """Nothing in it is later than now, and a PUT without an answer was just now: read, stepped, or under way."""
    hold = replace(HOLD, confirmed_at=confirmed, lost_at=lost_at)
    expected = replace(HOLD, confirmed_at=anew[0], lost_at=anew[1])
    facts = replace(seen(AVAILABLE, NOON), mismatches=2, asked="custom", acted_at=START, closed_at=START)

    assert expected == restored(hold, DURING)
    assert (expected, Facts(mismatches=2, asked="custom")) == stepped(hold, facts, DURING)
    assert Sent(FREE, expected, TO_HOLD) == under_way_at_step(Sent(FREE, hold, TO_HOLD), DURING)
    assert Sent(expected, FREE, TO_RELEASE) == under_way_at_step(Sent(hold, FREE, TO_RELEASE), DURING)


# -- what is owed, and when it is asked again --------------------------------------------------------------------------


@pytest.mark.parametrize(("now", "owes"), [(START - 1, None), (START, START), (DURING, START)])
def test_what_waits_owes_its_boundary_once_that_is_past(now: float, owes: float | None) -> None:
    """Whether it is about to be done or held back by an answer."""
    facts = Facts()
    waiting = replace(facts, retry_at=DURING + 60)

    assert owes == decide(FREE, MEETING, facts, now).owes
    held_back = decide(FREE, MEETING, waiting, now)
    assert (owes, None) == (held_back.owes, held_back.action)
    assert [START, END][now >= START] == held_back.change


def test_nothing_to_do_owes_nothing_and_tells_the_next_boundary() -> None:
    """As does who is left alone."""
    decision = decide(HOLD, MEETING, replace(seen(UNAVAILABLE, DURING), acted_at=START), DURING)

    assert (None, None, END, END - 2) == (decision.action, decision.owes, decision.change, decision.again)
    aside = decide(StandingBack("override", DURING, END), MEETING, Facts(), DURING)
    assert (None, None, END, END) == (aside.action, aside.owes, aside.change, aside.again)


# -- an extension that is taken back -----------------------------------------------------------------------------------


def test_who_changed_it_in_an_extension_is_left_alone_to_the_meetings_end_once_it_is_taken_back() -> None:
    """And over the bridge behind it, which shows only then; while the extension holds, to its end."""
    events = [meeting(10, 40), meeting(45, 60, "next")]
    extended = StandingBack("override", DURING, NOON + 50 * MINUTE, unextended=END)
    with_it = build(events, Rules(), ByHand(extension=Extension(START, NOON + 50 * MINUTE)))
    bridged = day(*events, bridge=6 * MINUTE)

    assert decide(extended, Orders(with_it), Facts(), DURING).stance == extended
    assert decide(extended, replace(MEETING, timeline=None), Facts(), DURING).stance == extended
    taken_back = replace(extended, until=END, unextended=None)
    assert decide(extended, Orders(day(*events)), Facts(), DURING).stance == taken_back
    over_bridge = replace(extended, until=NOON + 45 * MINUTE, unextended=None)
    assert decide(extended, Orders(bridged), Facts(), DURING).stance == over_bridge
    shorter = replace(extended, until=END - 60)
    assert decide(shorter, Orders(day(*events)), Facts(), DURING).stance == replace(shorter, unextended=None)
    plain = StandingBack("override", DURING, NOON + 50 * MINUTE)
    assert decide(plain, Orders(day(*events)), Facts(), DURING).stance == plain


@pytest.mark.parametrize(("since", "moot"), [(DURING - 1, True), (DURING, False), (DURING + 1, False)])
def test_an_extension_is_a_later_word_than_the_change_before_it(since: float, *, moot: bool) -> None:
    """Whoever says that they stay away means more than whoever came back before."""
    extended = build([meeting(10, 40)], Rules(), ByHand(extension=Extension(DURING, END)))
    stance = StandingBack("override", since, END)
    decision = decide(stance, Orders(extended), Facts(), DURING + 2)

    assert (FREE if moot else stance) == decision.stance


def test_a_look_that_no_action_waits_for_is_asked_again_at_its_start() -> None:
    """Shortly before a meeting, where nothing is known: the look is for the start."""
    decision = decide(FREE, MEETING, replace(Facts(), retry_at=START + 60), START - 1)

    assert (None, START, START) == (decision.action, decision.again, decision.change)
    assert Look(START) == decide(FREE, MEETING, Facts(), START - 2).action
    assert decide(FREE, MEETING, Facts(), START - 2.1).action is None
