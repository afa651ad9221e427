"""The clock: it wakes in time, never early, never spins, and believes services only when two agree."""

from __future__ import annotations

import asyncio
import os
import random
import select
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from calsyncd import clock as clock_module
from calsyncd.clock import CORRECT_FROM_SECONDS, NOT_BEFORE, SAMPLE_LIFE_SECONDS, SLICE_SECONDS, Skew, SystemClock


@pytest.fixture(params=["timerfd", "slices"])
async def clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SystemClock]:
    """The machine's clock, with its timer and as it is where there is none."""
    if request.param == "slices":
        monkeypatch.setattr(sys, "platform", "darwin")
    made = SystemClock()
    if request.param == "timerfd" and made._timer is None:
        pytest.skip("this system has no timerfd")
    assert (made._timer is None) == (request.param == "slices")
    yield made
    made.close()


async def test_a_wait_ends_at_its_target(clock: SystemClock) -> None:
    """Never before it, by so much as would need a second look; not long after it."""
    early, late = [], []
    for _ in range(40):
        target = clock.now() + random.uniform(0.002, 0.03)
        await clock.wait(target, asyncio.Event())
        early.append(target - clock.now())
        late.append(clock.now() - target)

    assert max(early) <= 0.001
    assert sorted(late)[len(late) // 2] < 0.05


async def test_a_waiter_is_woken(clock: SystemClock) -> None:
    """An event that is set ends the wait at once; one that was set before does not let it begin."""
    wake = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, wake.set)
    began = clock.monotonic()

    await clock.wait(clock.now() + 20, wake)
    await clock.wait(None, wake)

    assert clock.monotonic() - began < 5


async def test_nothing_is_left_behind(clock: SystemClock) -> None:
    """After waits that ended in every way, the same clock still keeps its targets and no task is left."""
    for _ in range(5):
        woken = asyncio.Event()
        waiting = asyncio.create_task(clock.wait(clock.now() + 20, woken))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        woken.set()
        await clock.wait(None, woken)
    began = clock.monotonic()

    await clock.wait(clock.now() + 0.05, asyncio.Event())

    assert clock.monotonic() - began >= 0.049
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("offset", [0.0, -1e-9, -1.0, -1e9, float("-inf")])
async def test_a_target_in_the_past_does_not_spin(clock: SystemClock, offset: float) -> None:
    """A loop that is owed something it cannot do yet turns at most a thousand times a second."""
    turns = 0
    began = clock.monotonic()
    while clock.monotonic() - began < 0.1:
        await clock.wait(clock.now() + offset, asyncio.Event())
        turns += 1

    assert turns <= 110


@pytest.mark.parametrize("until", [None, float("inf"), 1e18, "year 9999"])
async def test_a_wait_is_a_slice_at_most(
    clock: SystemClock, monkeypatch: pytest.MonkeyPatch, until: float | str | None
) -> None:
    """However far the target, the caller looks at the clock again soon."""
    monkeypatch.setattr(clock_module, "SLICE_SECONDS", 0.05)
    began = clock.monotonic()

    await clock.wait(253402300799.0 if isinstance(until, str) else until, asyncio.Event())

    assert SLICE_SECONDS == 30.0
    assert 0.045 <= clock.monotonic() - began < 5


@pytest.mark.parametrize("clock", ["timerfd"], indirect=True)
async def test_a_step_that_cancels_the_timer_only_means_another_look(
    clock: SystemClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the kernel refuses to set a timer after a step, the wait is short and the next one right."""
    with monkeypatch.context() as patch:
        patch.setattr(clock_module, "_arm", lambda *_: False)
        began = clock.monotonic()
        await clock.wait(clock.now() + 20, asyncio.Event())
        assert 0.0005 <= clock.monotonic() - began < 5

    target = clock.now() + 0.02
    await clock.wait(target, asyncio.Event())
    assert clock.now() >= target - 0.001


async def test_a_step_voids_what_was_known_of_the_skew(clock: SystemClock) -> None:
    """After the wall clock has moved against the monotonic one, the services are asked anew."""
    _both_say(clock, +3600)
    clock.step()
    clock._offset += 3600  # as if the wall clock had been an hour ahead when it was last asked

    jumped = clock.step()

    assert jumped == pytest.approx(-3600, abs=2)
    assert clock.skew.correction == 0.0
    assert not clock.skew._offsets


async def test_a_jump_is_told_once(clock: SystemClock) -> None:
    """Of the machine's clock or by a correction, either way; the passing of time and small steps are none."""
    assert clock.step() == 0.0
    await clock.sleep(0.01)
    assert clock.step() == 0.0

    _both_say(clock, -120)

    assert clock.step() == pytest.approx(-120, abs=2)
    assert clock.step() == 0.0


def test_a_correction_does_not_tremble() -> None:
    """`Date` has whole seconds: what is right to a second or two stays, what is not is put right."""
    skew = Skew()
    for offset in (3600.0, 3601.0, 3599.5):
        for service in ("google", "aircall"):
            skew.observe(service, 1000.0 + offset, 1000.0, 5.0)
    assert skew.correction == 3600.5

    for service in ("google", "aircall"):
        skew.observe(service, 1000.0 + 3605.0, 1000.0, 5.0)

    assert skew.correction == 3605.5


def test_who_has_heard_of_one_service_has_not_judged() -> None:
    """Nor who has heard of none since the clock was stepped."""
    skew = Skew()
    judged = [skew.judged]
    for service in ("google", "aircall"):
        skew.observe(service, 1000.0, 1000.0, 5.0)
        judged.append(skew.judged)
    skew.forget()

    assert [*judged, skew.judged] == [False, False, True, False]


@pytest.mark.parametrize("ago", [0.02, 0.5, 1.75])
def test_the_timer_fires_at_the_instant_itself(ago: float) -> None:
    """Armed on the wall clock with its fraction of a second: not before, and readable then."""
    timer = clock_module._open_timer()
    if timer is None:
        pytest.skip("this system has no timerfd")
    try:
        target = time.time() + ago / 10
        assert clock_module._arm(timer, target)
        assert select.select([timer], [], [], 5)[0] == [timer]
        assert time.time() >= target
        clock_module._drain(timer)
        assert select.select([timer], [], [], 0)[0] == []
    finally:
        os.close(timer)


@pytest.mark.parametrize("target", [-5.0, 0.0, 1e-12, 1_800_000_000.9999999999])
def test_every_target_can_be_armed(target: float) -> None:
    """No instant is refused by the kernel: the epoch, before it, and the last nanosecond of a second."""
    timer = clock_module._open_timer()
    if timer is None:
        pytest.skip("this system has no timerfd")
    try:
        assert clock_module._arm(timer, target)
    finally:
        os.close(timer)


async def test_a_sleep_lasts(clock: SystemClock) -> None:
    """`sleep` is for durations."""
    began = clock.monotonic()

    await clock.sleep(0.02)

    assert 0.019 <= clock.monotonic() - began < 5


async def test_the_correction_moves_the_time_and_the_waits(clock: SystemClock) -> None:
    """Decisions see the corrected time, and a wait ends when it is reached."""
    _both_say(clock, -120)
    assert clock.now() == pytest.approx(time.time() - 120, abs=2)
    began = clock.monotonic()
    target = clock.now() + 0.05

    await clock.wait(target, asyncio.Event())

    assert clock.now() >= target - 0.001
    assert clock.monotonic() - began < 5


async def test_a_clock_that_lost_its_time_is_not_credible(clock: SystemClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """1970 is not believed, unless two services tell the right time."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - NOT_BEFORE)
    assert not clock.credible()

    _both_say(clock, NOT_BEFORE)

    assert clock.credible()


def _both_say(clock: SystemClock, offset: float) -> None:
    for service in ("google", "aircall"):
        clock.observe_date(service, time.time() + offset)


@pytest.mark.parametrize(
    ("said", "correction"),
    [
        pytest.param([("google", 3600)], 0.0, id="one alone"),
        pytest.param([("google", 3600), ("google", 3600)], 0.0, id="one twice"),
        pytest.param([("google", 3600), ("aircall", 3600)], 3600.5, id="two agree"),
        pytest.param([("google", -3600), ("aircall", -3601)], -3600.0, id="two agree within their whole seconds"),
        pytest.param([("google", 3600), ("aircall", 3604)], 0.0, id="two disagree"),
        pytest.param([("google", 0), ("aircall", 3600)], 0.0, id="one is right"),
        pytest.param([("google", 29), ("aircall", 29)], 0.0, id="too little to matter"),
        pytest.param([("google", 31), ("aircall", 31)], 31.5, id="just enough"),
        pytest.param([("google", 60), ("aircall", 60), ("google", 0), ("aircall", 0)], 0.0, id="over again"),
        pytest.param([("google", 60), ("aircall", 60), ("aircall", 9e9)], 60.5, id="one goes mad"),
    ],
)
def test_only_two_services_that_agree_are_believed(said: list[tuple[str, float]], correction: float) -> None:
    """A single `Date` may be a cache's; two that agree on over half a minute are right."""
    skew = Skew()

    for service, offset in said:
        skew.observe(service, 1000.0 + offset, 1000.0, 5.0)

    assert skew.correction == correction


def test_an_old_sample_does_not_count() -> None:
    """Two services that spoke at different times do not agree."""
    skew = Skew()
    skew.observe("google", 4600.0, 1000.0, 0.0)

    skew.observe("aircall", 4600.0 + SAMPLE_LIFE_SECONDS, 1001.0 + SAMPLE_LIFE_SECONDS, 1.0 + SAMPLE_LIFE_SECONDS)

    assert skew.correction == 0.0


@example([("google", 8.98846567431158e307, 0.0, 0.0), ("aircall", 8.98846567431158e307, 0.0, 0.0)])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["google", "aircall", "public"]),
            st.floats(allow_nan=True),
            st.floats(-1e9, 1e9),
            st.floats(0, 1e6),
        ),
        max_size=20,
    )
)
def test_garbage_never_makes_a_wild_clock(said: list[tuple[str, float, float, float]]) -> None:
    """Whatever is said, the correction is none or a number beyond half a minute that two agreed on."""
    skew = Skew()

    for service, date, now, monotonic in said:
        skew.observe(service, date, now, monotonic)

    assert skew.correction == 0.0 or CORRECT_FROM_SECONDS < abs(skew.correction) < float("inf")


def test_a_small_difference_is_told_and_not_corrected() -> None:
    """What two services agree on is known below the half minute from which decisions go by it; a step makes it void."""
    skew = Skew()
    for service in ("google", "aircall"):
        skew.observe(service, 1_800_000_010.0, 1_800_000_000.0, 5.0)

    assert (skew.agreed, skew.correction) == (10.5, 0.0)
    skew.forget()
    assert skew.agreed == 0.0


async def test_many_waits_keep_no_descriptor(clock: SystemClock) -> None:
    """A clock costs one descriptor for its life, and gives it back."""
    before = _descriptors()

    for _ in range(50):
        await clock.wait(clock.now(), asyncio.Event())

    assert _descriptors() == before
    had = clock._timer is not None
    clock.close()
    clock.close()
    assert _descriptors() == before - had


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
