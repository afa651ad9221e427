"""How many requests may go, and when: in every kind of minute, with others, and whatever is answered."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calsyncd.core.budget import Budget, ClockMinute, Shown, wait_after_429
from calsyncd.sandbox.limits import Kind, Window

from .far_end import FarEnd, Way, most_in_a_minute

NOW = 1_800_000_000.0
YEAR = 365 * 86400.0

KINDS = st.sampled_from(["sliding", "fixed", "leaky", "leaky, a small burst"])
WAYS = st.lists(
    st.builds(Way, st.sampled_from([0.0, 0.05, 0.4, 3.0, 14.0]), st.sampled_from([0.0, 0.5, 1.0])),
    min_size=1,
    max_size=4,
)


def window_of(kind: str, limit: int) -> Window:
    """A service that grants `limit` a minute."""
    if kind == "leaky, a small burst":
        return Window(limit, kind="leaky", burst=max(1, limit // 8))
    plain: dict[str, Kind] = {"sliding": "sliding", "fixed": "fixed", "leaky": "leaky"}
    return Window(limit, kind=plain[kind])


CROWDS = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, 7.0, 29.0, 58.0, 60.0, 61.0, 400.0]), st.integers(1, 25)),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=150)
@given(
    kind=KINDS,
    per_minute=st.integers(1, 16),
    limit=st.integers(2, 20),
    crowds=CROWDS,
    others=CROWDS,
    ways=WAYS,
    headers=st.booleans(),
)
def test_whatever_the_minute_is(
    kind: str,
    per_minute: int,
    limit: int,
    crowds: list[tuple[float, int]],
    others: list[tuple[float, int]],
    ways: list[Way],
    headers: bool,
) -> None:
    """No sixty seconds see more than the settings allow, nothing goes during a wait, and everything goes in the end."""
    far = FarEnd(Budget(per_minute), window_of(kind, limit), NOW, ways, headers=headers)
    for at, (pause, number) in zip(_sums(crowds), crowds, strict=True):
        far.want(at, number)
    for at, (pause, number) in zip(_sums(others), others, strict=True):
        far.others(at, number)
    wanted = sum(number for _, number in crowds)

    far.run(NOW + 24 * 3600)

    if kind != "fixed":
        assert most_in_a_minute(far.counted) <= per_minute
    assert not [at for at in far.sent for begin, end in far.waits if begin < at < end]
    assert wanted == len(far.passed)


def _sums(pauses: list[tuple[float, int]]) -> list[float]:
    at, found = NOW, []
    for pause, _ in pauses:
        at += pause
        found.append(at)
    return found
