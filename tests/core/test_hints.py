"""What messages of Aircall's webhook make of what is known: when to look, how often, and when that is settled."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calsyncd.core.hints import LAG_SECONDS, PAUSE_SECONDS, Hints
from calsyncd.core.model import AVAILABLE, CUSTOM, UNAVAILABLE, Observation, Setting

NOW = 1_800_000_000.0


def seen(status: str, after: float = 0.0, seconds: float = 0.0) -> Observation:
    """What a look showed that was sent so long after NOW, and answered so much later."""
    return Observation(Setting(status), NOW + after, answered_at=NOW + after + seconds)


KNOWN = seen(AVAILABLE, -60)


def told(status: str | None = UNAVAILABLE, known: Observation | None = KNOWN) -> Hints:
    """One message."""
    return Hints().told(status, known, NOW)


@pytest.mark.parametrize("status", [AVAILABLE, CUSTOM, UNAVAILABLE, "something_new"])
def test_what_is_known_already_is_nothing(status: str) -> None:
    """An echo, a double, an agent who logs in as they were."""
    assert Hints() == told(status, seen(status, -60))


@pytest.mark.parametrize("status", [UNAVAILABLE, CUSTOM, "something_new", None])
@pytest.mark.parametrize("known", [seen(AVAILABLE, -60), None])
def test_anything_else_wants_a_look_at_once(status: str | None, known: Observation | None) -> None:
    """Also when the message says nothing that can be compared, or when nothing is known."""
    assert NOW == told(status, known).due


def test_a_look_that_shows_what_was_told_settles_it() -> None:
    """One look for one change."""
    hints = told().looked(seen(AVAILABLE, -60), seen(UNAVAILABLE, 0.1))

    assert hints.due is None


def test_a_look_that_was_under_way_may_settle_it_too() -> None:
    """It was sent before the message came, and shows the change: it need not be asked again."""
    assert told().looked(seen(AVAILABLE, -60), seen(UNAVAILABLE, -0.1, 0.3)).due is None


def test_a_look_that_was_under_way_and_shows_nothing_is_followed_by_one_sent_since() -> None:
    """What it showed may be from before the change."""
    known = seen(AVAILABLE, -60)

    hints = told(known=known).looked(known, seen(AVAILABLE, -0.1, 0.3))

    assert NOW + 0.2 + PAUSE_SECONDS == pytest.approx(hints.due, abs=0.01)
    assert hints.looked(known, seen(UNAVAILABLE, 3.3)).due is None


def test_a_look_that_does_not_show_it_is_followed_by_one_more() -> None:
    """A read may lag; then what is there is believed."""
    known = seen(AVAILABLE, -60)

    once = told(known=known).looked(known, seen(AVAILABLE, 0.1, 0.2))
    twice = once.looked(known, seen(AVAILABLE, 5.5))

    assert NOW + 0.3 + LAG_SECONDS == pytest.approx(once.due, abs=0.01)
    assert twice.due is None


def test_without_a_status_a_change_settles_it() -> None:
    """Nothing else can be compared; no change is followed by one more look."""
    known = seen(AVAILABLE, -60)

    changed = told(None, known).looked(known, seen(CUSTOM, 0.1))
    unchanged = told(None, known).looked(known, seen(AVAILABLE, 0.1))

    assert changed.due is None
    assert NOW + 0.1 + LAG_SECONDS == pytest.approx(unchanged.due, abs=0.01)


def test_one_look_at_once_then_one_in_a_while() -> None:
    """However many messages come, and the last look is sent after the last of them."""
    known = seen(AVAILABLE, -60)
    hints = told(known=known).looked(known, seen(UNAVAILABLE, 0.0, 0.2))

    flood = hints
    for step in range(1, 21):
        flood = flood.told(AVAILABLE, seen(UNAVAILABLE, 0.0, 0.2), NOW + step / 10)

    assert NOW + 0.2 + PAUSE_SECONDS == pytest.approx(flood.due, abs=0.01)


def test_two_statuses_told_and_one_shown() -> None:
    """Twice changed, or told out of order: what is shown may be the older, so there is one more look."""
    known = seen(CUSTOM, -60)
    hints = told(UNAVAILABLE, known).told(AVAILABLE, known, NOW + 0.1)

    shown = hints.looked(known, seen(UNAVAILABLE, 0.2))

    assert NOW + 0.2 + LAG_SECONDS == pytest.approx(shown.due, abs=0.01)
    assert shown.looked(seen(UNAVAILABLE, 0.2), seen(UNAVAILABLE, 5.3)).due is None


def test_a_message_that_tells_what_is_known_takes_no_other_back() -> None:
    """Messages come out of order: the older one must not hide the newer."""
    known = seen(AVAILABLE, -60)

    assert NOW == told(UNAVAILABLE, known).told(AVAILABLE, known, NOW + 1).due


def test_our_own_echo_before_the_answer_needs_no_look() -> None:
    """The message overtook the answer of the update that it tells of."""
    assert told(UNAVAILABLE, None).answered(UNAVAILABLE).due is None


def test_an_answer_that_shows_something_else_leaves_the_hint() -> None:
    """Told of twice while our update was under way: one was its echo, the other was not."""
    both = told(UNAVAILABLE, None).told(AVAILABLE, None, NOW + 0.1)

    assert both.answered(UNAVAILABLE).open is not None
    assert both.answered(CUSTOM).open == both.open
    assert Hints() == Hints().answered(AVAILABLE)


def test_the_first_look_finds_no_change() -> None:
    """Nothing was known before."""
    assert Hints() == Hints().looked(None, seen(UNAVAILABLE))


_status = st.sampled_from([AVAILABLE, CUSTOM, UNAVAILABLE, "new", None])


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0.01, 3.0),
            st.one_of(st.none(), _status.map(lambda status: (status,))),
            st.sampled_from([AVAILABLE, CUSTOM, UNAVAILABLE]),
        ),
        max_size=60,
    ),
    st.floats(0.01, 8.0),
)
def test_looks_are_few_and_the_last_comes_after_the_last_message(
    steps: list[tuple[float, tuple[str | None] | None, str]], latency: float
) -> None:
    """Played with whoever looks as soon as a look is due: never two within the pause, and never for ever."""
    now, hints, known = NOW, Hints(), seen(AVAILABLE, -60)
    looks: list[tuple[float, float]] = []

    def look_if_due(until: float, status: str) -> None:
        nonlocal now, hints, known
        while hints.due is not None and max(now, hints.due) <= until:
            now = max(now, hints.due)
            shown = Observation(Setting(status), now, answered_at=now + latency)
            looks.append((now, now + latency))
            now += latency
            hints, known = hints.looked(known, shown), shown

    last = NOW
    for pause, message, status in steps:
        look_if_due(now + pause, status)
        now += pause
        if message is not None:
            before = hints
            hints, last = hints.told(message[0], known, now), now
            if hints == before and hints.open is None:
                last = NOW
    messages_over = len(looks)
    look_if_due(now + 3600, AVAILABLE)

    assert hints.due is None
    assert len(looks) - messages_over <= 2
    assert all(later[0] - sooner[1] >= PAUSE_SECONDS - 1e-6 for sooner, later in pairwise(looks))
    assert last == NOW or looks[-1][1] >= last
