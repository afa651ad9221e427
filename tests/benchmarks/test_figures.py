"""How samples become figures, and when a goal is reached."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Figure, Goal, percentile


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=300), st.integers(1, 99))
def test_a_percentile_divides_the_samples(samples: list[int], percent: int) -> None:
    """So many of a hundred are not above it, the others not below; it lies among them."""
    found = percentile(samples, percent)

    below = sum(one < found - 1e-9 for one in samples)
    above = sum(one > found + 1e-9 for one in samples)
    assert min(samples) - 1e-9 <= found <= max(samples) + 1e-9
    assert below <= percent / 100 * len(samples) + 1
    assert above <= (1 - percent / 100) * len(samples) + 1


def test_the_fiftieth_is_the_median() -> None:
    """Of an odd number the middle one, of an even number between the middle two; of one, that one."""
    assert percentile([5.0, 1.0, 3.0], 50) == 3.0
    assert percentile([4.0, 1.0, 3.0, 2.0], 50) == statistics.median([4.0, 1.0, 3.0, 2.0])
    assert percentile([7.0], 99) == 7.0


@pytest.mark.parametrize(
    ("goal", "value", "median_share", "reached"),
    [
        (None, 1.0, None, None),
        (Goal("value", "at most", 2.0), 2.0, None, True),
        (Goal("value", "at most", 2.0), 2.1, None, False),
        (Goal("value", "at least", 0.0), -0.1, None, False),
        (Goal("share", "at least", 0.5), 2.0, None, True),
        (Goal("share", "at least", 0.5), 2.0, 0.4, False),
        (Goal("value", "at most", 2.0), math.nan, None, False),
    ],
)
def test_when_a_goal_is_reached(
    goal: Goal | None, value: float, median_share: float | None, reached: bool | None
) -> None:
    """By the figure itself or by its share of the limit; a median of shares counts before the share of medians."""
    figure = Figure("x", "x", value, "ms", 4.0, "a limit", goal, median_share)

    assert figure.reached is reached


def test_a_share_of_nothing_is_no_number() -> None:
    """And reaches no goal."""
    figure = Figure("x", "x", 1.0, "ms", 0.0, "a limit", Goal("share", "at most", 5.0))

    assert math.isnan(figure.share)
    assert figure.reached is False
