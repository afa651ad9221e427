"""The request budget, and the windows it can be kept in."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calsyncd.sandbox.limits import Kind, Window
from calsyncd.sandbox.world import Sandbox

from .clients import AircallClient


@pytest.mark.parametrize(
    ("signal", "headers"),
    [
        ("retry_after", {"Retry-After"}),
        ("reset_seconds", {"X-AircallApi-Limit", "X-AircallApi-Remaining", "X-AircallApi-Reset"}),
        ("reset_milliseconds", {"X-AircallApi-Limit", "X-AircallApi-Remaining", "X-AircallApi-Reset"}),
        ("none", set()),
    ],
)
async def test_a_429_says_as_much_as_the_switch_lets_it(
    sandbox: Sandbox, aircall: AircallClient, signal: Any, headers: set[str]
) -> None:
    """The wait comes in one of four ways; the body is the one that was seen."""
    sandbox.aircall.switches.budget = Window(2)
    sandbox.aircall.switches.rate_signal = signal
    answers = [await aircall.call("GET", "/v1/ping") for _ in range(3)]
    last = answers[-1]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert last.json == {"error": "Too Many Requests"}
    assert {name for name in last.headers if name.startswith(("X-Aircall", "Retry"))} == headers
    if "Retry-After" in headers:
        assert 55 <= int(last.headers["Retry-After"]) <= 61
    elif headers:
        scale = 1000 if signal == "reset_milliseconds" else 1
        assert int(last.headers["X-AircallApi-Reset"]) / scale - time.time() == pytest.approx(60, abs=3)


async def test_the_budget_can_be_told_always(sandbox: Sandbox, aircall: AircallClient) -> None:
    """With the switch each answer counts down."""
    sandbox.aircall.switches.rate_headers = True
    answers = [await aircall.call("GET", "/v1/ping") for _ in range(2)]

    assert [answer.headers["X-AircallApi-Remaining"] for answer in answers] == ["119", "118"]
    assert answers[0].headers["X-AircallApi-Limit"] == "120"


async def test_requests_without_credentials_cost_nothing(sandbox: Sandbox, aircall: AircallClient) -> None:
    """The budget is the company's."""
    sandbox.aircall.switches.budget = Window(1)
    await aircall.call("GET", "/v1/ping", headers={"Content-Type": "application/json"})

    assert (await aircall.call("GET", "/v1/ping")).status == 200


def test_windows_open_in_their_own_ways() -> None:
    """Sliding: when the oldest is a minute old; fixed: at the minute; leaky: bit by bit."""
    opens = {}
    for kind in ("sliding", "fixed", "leaky"):
        window = Window(2, 60.0, kind)
        assert [window.take(at) for at in (90.0, 100.0, 110.0)] == [True, True, False]
        opens[kind] = window.reset_at(110.0)

    assert opens == {"sliding": 150.0, "fixed": 120.0, "leaky": pytest.approx(120.0)}


def test_what_is_counted_at_a_mark_belongs_to_the_minute_that_begins_there() -> None:
    """By epoch seconds too, of which a float tells no more than some ten millionths."""
    window = Window(2, 60.0, "fixed")
    mark = 1_800_000_000.0

    assert [window.take(mark) for _ in range(3)] == [True, True, False]
    assert (0, mark + 60) == (window.remaining(mark + 59), window.reset_at(mark + 59))


@given(
    st.sampled_from(["sliding", "fixed", "leaky"]),
    st.integers(1, 5),
    st.lists(st.floats(0.0, 40.0), max_size=40),
)
def test_a_window_opens_when_it_says(kind: Kind, limit: int, gaps: list[float]) -> None:
    """A refused request passes at `reset_at`, and no sliding minute ever holds more than the limit."""
    window, now = Window(limit, 60.0, kind), 1000.0
    passed: list[float] = []
    for gap in gaps:
        now += gap
        if window.take(now):
            passed.append(now)
        else:
            now = window.reset_at(now) + 1e-6
            assert window.take(now)
            passed.append(now)

    if kind == "sliding":
        assert all(later - earlier >= 60.0 for earlier, later in zip(passed, passed[limit:], strict=False))
