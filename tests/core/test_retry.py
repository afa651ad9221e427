"""How long is waited after a failure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calsyncd.core.retry import backoff, spread

chances = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("failures", "expected"), [(0, 1), (1, 1), (2, 2), (3, 4), (6, 32), (7, 64), (8, 64), (10_000_000, 64)]
)
def test_backoff_doubles_up_to_its_cap(failures: int, expected: float) -> None:
    """The longest that chance can make it."""
    assert expected == pytest.approx(backoff(failures, 1.0))


@pytest.mark.parametrize(("failures", "expected"), [(1, 30), (2, 60), (9, 900)])
def test_backoff_begins_and_ends_where_it_is_told(failures: int, expected: float) -> None:
    """Each service has its own pace."""
    assert expected == pytest.approx(backoff(failures, 1.0, first=30.0, cap=900.0))


@given(failures=st.integers(-5, 1000), chance=chances)
def test_backoff_is_jittered_by_up_to_half(failures: int, chance: float) -> None:
    """Two hundred calendars do not come back in the same second."""
    longest = backoff(failures, 1.0)

    assert longest / 2 <= backoff(failures, chance) <= longest


@given(seconds=st.floats(0.1, 1e6), chance=chances)
def test_spread_is_a_quarter_more_or_less(seconds: float, chance: float) -> None:
    """Periodic work does not march in step."""
    assert 0.75 * seconds <= spread(seconds, chance) <= 1.25 * seconds
