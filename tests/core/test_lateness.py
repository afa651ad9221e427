from __future__ import annotations

import random

import pytest

from calsyncd.core.lateness import MAX_OF_MINUTE, Latenesses, percentile

NOON = 1_795_262_400.0


def test_a_minute_and_the_hour() -> None:
    """Each minute with updates, and all of them together, by what was really measured."""
    late = Latenesses()
    for at, seconds in ((NOON, 0.5), (NOON + 59.9, 0.1), (NOON + 30, 0.2), (NOON + 125, 3.0)):
        late.add(at, seconds)

    first, second = late.minutes(NOON + 130)
    hour = late.hour(NOON + 130)

    assert (first.at, first.count, first.p50, first.max) == (NOON, 3, 0.2, 0.5)
    assert (second.at, second.count, second.p50, second.max) == (NOON + 120, 1, 3.0, 3.0)
    assert hour is not None
    assert (hour.at, hour.count, hour.p50, hour.p99, hour.max) == (NOON, 4, 0.2, 3.0, 3.0)


def test_what_is_over_an_hour_old_is_forgotten() -> None:
    """The minute that runs is the sixtieth; nothing is left of an hour without updates."""
    late = Latenesses()
    late.add(NOON, 1.0)

    assert len(late.minutes(NOON + 59 * 60 + 59)) == 1
    assert late.minutes(NOON + 60 * 60) == []
    assert late.hour(NOON + 60 * 60) is None


def test_after_a_clock_was_set_back_nothing_is_ahead_of_it() -> None:
    """What was measured in minutes to come was never."""
    late = Latenesses()
    late.add(NOON + 7200, 9.0)
    late.add(NOON, 1.0)

    assert [one.max for one in late.minutes(NOON)] == [1.0]


def test_memory_is_bounded() -> None:
    """A fault that reports without end fills no memory; early is not late."""
    late = Latenesses()
    for _ in range(MAX_OF_MINUTE + 10):
        late.add(NOON, -1.0)
    hour = late.hour(NOON)

    assert hour is not None
    assert (hour.count, hour.max) == (MAX_OF_MINUTE, 0.0)


@pytest.mark.parametrize("share", [0.5, 0.99])
@pytest.mark.parametrize("number", [1, 2, 99, 100, 101, 1000])
def test_a_percentile_is_what_it_says(share: float, number: int) -> None:
    """The least measured value than which that share of them is no greater."""
    values = sorted(random.Random(number).random() for _ in range(number))
    found = percentile(values, share)

    assert sum(one <= found for one in values) >= share * number
    assert all(sum(one <= less for one in values) < share * number for less in values if less < found)
