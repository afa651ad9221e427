"""How long a refusal takes tells nothing of what is known."""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from math import sqrt
from types import FrameType
from typing import Any, cast
from uuid import UUID

import pytest

from calsyncd.calendars.calendar import Calendar, key_of
from calsyncd.calendars.push import Cache, Google, Push
from calsyncd.clock import SystemClock
from calsyncd.core.channels import Channel, Notification, Verdict, token_of
from calsyncd.core.webhooks import Tokens, Webhook
from calsyncd.scheduler import Scheduler
from tests.faults.depth import rounds

KEY = bytes(range(32))
CHANNELS = [str(UUID(bytes=random.Random(7).randbytes(16 * 2000)[at : at + 16])) for at in range(0, 32_000, 16)]
KNOWN, UNKNOWN = CHANNELS[::2], CHANNELS[1::2]
"""Many of each: where a string lies in memory costs some nanoseconds, too."""

AMY = "amy@example.com"
SAMPLES = 1000, 20_000
LEAK = 4.5
"""Welch's t beyond which two classes are told apart: as in leakage assessment of cryptographic code."""


def push() -> Push:
    """The real one, that knows half of the channels; nobody is asked anything."""
    made = Push(
        Scheduler(SystemClock()),
        google=cast("Google", None),
        cache=cast("Cache", None),
        address="https://calsync.example/webhooks/google/notifications",
        key=KEY,
        chance=lambda: 0.5,
    )
    made.accepting = True
    calendar = Calendar(key_of(AMY, AMY), AMY, AMY)
    known = [Channel(one, calendar.key, "", 0.0, verified_at=1.0, resource="r") for one in KNOWN]
    made.restore(known, {calendar.key: calendar})
    return made


def said(channel: str, token: str) -> Notification:
    """A notification by this channel with this token."""
    return Notification(channel, token, "exists")


def near(token: str, at: int) -> str:
    """The token with another character there."""
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]


WAYS: dict[str, Callable[[str], str]] = {
    "nothing right": lambda token: near(token[::-1], 0),
    "all but the first": lambda token: near(token, 0),
    "all but the last": lambda token: near(token, len(token) - 1),
}
REFUSED = {
    f"{what} channel, {how}": [said(one, change(token_of(KEY, one))) for one in channels]
    for what, channels in (("a known", KNOWN), ("an unknown", UNKNOWN))
    for how, change in WAYS.items()
}
"""Each in many copies."""


def called(work: Callable[[], object]) -> list[str]:
    """The functions that it calls, Python's and C's, in order."""
    calls: list[str] = []

    def note(frame: FrameType, event: str, function: Any) -> None:
        if event == "call":
            calls.append(frame.f_code.co_qualname if hasattr(frame.f_code, "co_qualname") else frame.f_code.co_name)
        elif event == "c_call":
            calls.append(function.__name__)

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def test_every_refusal_does_the_same() -> None:
    """The same calls in the same order, one comparison of two digests among them, whatever is known or right."""
    there = push()
    paths = {name: called(lambda one=some[0]: there.notify(one)) for name, some in REFUSED.items()}  # type: ignore[misc]
    first = next(iter(paths.values()))

    assert {name: path for name, path in paths.items() if path != first} == {}
    assert first.count("compare_digest") == 1
    assert first.count("openssl_sha256") == 2
    assert there.notify(said(KNOWN[0], token_of(KEY, KNOWN[0]))) is Verdict.GENUINE


@pytest.mark.parametrize("count", [1, 3])
def test_every_token_of_aircall_is_compared(count: int) -> None:
    """As many comparisons as there are webhooks, whether the first is right, the last, or none."""
    tokens = Tokens()
    names = [f"{number}-token-of-a-webhook" for number in range(count)]
    tokens.replace([Webhook(name, "", active=True, events=None, token=name) for name in names])
    paths = [called(lambda one=one: tokens.includes(one)) for one in (*names, near(names[0], 5), "none at all")]  # type: ignore[misc]

    assert all(path == paths[0] for path in paths)
    assert paths[0].count("compare_digest") == count


def measured(
    notify: Callable[[Notification], object], kinds: Sequence[Sequence[Notification]], samples: int
) -> list[list[float]]:
    """How long each kind takes, so many times, in turns by chance: in nanoseconds, without the slower half."""
    chance = random.Random(7)
    order = list(range(len(kinds)))
    taken: list[list[int]] = [[] for _ in kinds]
    for number in range(samples):
        chance.shuffle(order)
        for which in order:
            one = kinds[which][number % len(kinds[which])]
            began = time.perf_counter_ns()
            notify(one)
            taken[which].append(time.perf_counter_ns() - began)
    limit = statistics.median([one for each in taken for one in each])
    return [[float(one) for one in each if one <= limit] for each in taken]


def welch(one: Sequence[float], other: Sequence[float]) -> float:
    """Welch's t of two classes."""
    spread = statistics.variance(one) / len(one) + statistics.variance(other) / len(other)
    return (statistics.fmean(one) - statistics.fmean(other)) / sqrt(spread)


@pytest.mark.alone
@pytest.mark.timeout(120)
def test_the_time_of_a_refusal_tells_nothing() -> None:
    """Twenty thousand of each kind cannot be told apart; one that looked the channel up first could be, at once."""
    there = push()
    taken = measured(there.notify, list(REFUSED.values()), rounds(*SAMPLES))
    medians = [statistics.median(each) for each in taken]
    told = {name: welch(one, taken[-1]) for name, one in zip(REFUSED, taken[:-1], strict=False)}
    known = set(KNOWN)

    def leaky(notification: Notification) -> Verdict:
        return there.notify(notification) if notification.channel_id in known else Verdict.UNKNOWN

    control = measured(leaky, list(REFUSED.values()), 200)
    print(f"t against an unknown channel, all but the last: {told}; medians {medians} ns")

    # What is known takes longer there, and so it is not among the quicker half.
    assert sum(map(len, control[:3])) < sum(map(len, control[3:])) / 4
    # Of what takes longer there would be less in the quicker half of all.
    assert min(map(len, taken)) > 0.8 * max(map(len, taken))
    # With few samples on a machine that does much else, only what is plain.
    assert max(medians) / min(medians) < 1.5
    if rounds(0, 1):
        assert {name: t for name, t in told.items() if abs(t) >= LEAK} == {}
