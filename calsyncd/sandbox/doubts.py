"""What is not established about the two services, as data: each doubtful point with the ways it can turn out.

A way sets the sandbox's switches, and whoever runs against it must be right under every one. The first way of a point
is how the sandbox is without being told. docs/doubtful.md says of each point what calsyncd does about it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping

from calsyncd.sandbox.limits import Window
from calsyncd.sandbox.world import Sandbox

Way = Callable[[Sandbox], None]

SMALL_MINUTE = 90
"""The company's requests in the minutes whose kind is in doubt: few enough to be felt."""

ALWAYS = 1_000_000


def _aircall(**values: object) -> Way:
    return lambda sandbox: _set(sandbox.aircall.switches, values)


def _webhooks(**values: object) -> Way:
    return lambda sandbox: _set(sandbox.aircall.notify, values)


def _lists(**values: object) -> Way:
    return lambda sandbox: _set(sandbox.google.lists, values)


def _push(**values: object) -> Way:
    return lambda sandbox: _set(sandbox.google.notify, values)


def _set(switches: object, values: Mapping[str, object]) -> None:
    for name, value in values.items():
        if not hasattr(switches, name):
            raise AttributeError(f"{type(switches).__name__} has no switch {name}")
        setattr(switches, name, value)


def _minute(make: Callable[[], Window]) -> Way:
    # A window counts: each sandbox gets its own.
    return lambda sandbox: _set(sandbox.aircall.switches, {"budget": make()})


POINTS: Mapping[str, Mapping[str, Way]] = {
    # -- Aircall: users ------------------------------------------------------------------------------------------------
    "v1_users": {
        "404": _aircall(v1_users=404),
        "405": _aircall(v1_users=405),
        "410": _aircall(v1_users=410),
        "works": _aircall(v1_users=None),
    },
    "v2_update": {
        "works": _aircall(v2_update=None, v2_ignores=False),
        # Where v2 takes no update, v1 is still there: with neither there would be nothing to be right about.
        "404": _aircall(v2_update=404, v1_users=None),
        "405": _aircall(v2_update=405, v1_users=None),
        "410": _aircall(v2_update=410, v1_users=None),
        "400": _aircall(v2_update=400, v1_users=None),
        "422": _aircall(v2_update=422, v1_users=None),
        "ignores": _aircall(v2_ignores=True, v1_users=None),
    },
    "state_error": {"never": _aircall(state_errors=0), "once": _aircall(state_errors=1)},
    "substatus": {
        "taken": _aircall(substatus_refused=False),
        "refused_400": _aircall(substatus_refused=True, refusal_status=400),
        "refused_422": _aircall(substatus_refused=True, refusal_status=422),
    },
    "old_substatus": {"cleared": _aircall(old_substatus_stays=False), "stays": _aircall(old_substatus_stays=True)},
    "reason_in": {
        "substatus": _aircall(reason_in="substatus"),
        "state": _aircall(reason_in="state"),
        "neither": _aircall(reason_in="neither"),
    },
    "custom_live": {
        "available": _aircall(custom_live="available"),
        "offline": _aircall(custom_live="offline"),
        "do_not_disturb": _aircall(custom_live="do_not_disturb"),
    },
    "call_reads": {
        "setting": _aircall(calls_read_unavailable=False),
        "unavailable": _aircall(calls_read_unavailable=True),
    },
    "in_call": {
        "taken": _aircall(in_call="taken"),
        "refused": _aircall(in_call="refused"),
        "deferred": _aircall(in_call="deferred"),
    },
    "read_lag": {
        "none": _aircall(read_lag=0.0, answers_lag=False),
        "1s": _aircall(read_lag=1.0, answers_lag=False),
        "3s": _aircall(read_lag=3.0, answers_lag=False),
        "answers": _aircall(read_lag=1.0, answers_lag=True),
    },
    "list_meta": {
        "full": _aircall(list_meta="full"),
        "without_links": _aircall(list_meta="without_links"),
        "none": _aircall(list_meta="none"),
    },
    # -- Aircall: the budget -------------------------------------------------------------------------------------------
    "minute": {
        "sliding_120": _minute(lambda: Window(120)),
        "sliding": _minute(lambda: Window(SMALL_MINUTE)),
        "fixed": _minute(lambda: Window(SMALL_MINUTE, kind="fixed")),
        "leaky": _minute(lambda: Window(SMALL_MINUTE, kind="leaky")),
        "leaky_burst": _minute(lambda: Window(SMALL_MINUTE, kind="leaky", burst=8)),
    },
    "rate_signal": {
        "reset_seconds": _aircall(rate_signal="reset_seconds"),
        "reset_milliseconds": _aircall(rate_signal="reset_milliseconds"),
        "retry_after": _aircall(rate_signal="retry_after"),
        "retry_after_date": _aircall(rate_signal="retry_after_date"),
        "none": _aircall(rate_signal="none"),
    },
    "rate_headers": {"limited": _aircall(rate_headers=False), "always": _aircall(rate_headers=True)},
    "rate_body": {
        "error": _aircall(rate_body="error"),
        "message": _aircall(rate_body="message"),
        "html": _aircall(rate_body="html"),
        "empty": _aircall(rate_body="empty"),
    },
    # -- Aircall: webhooks ---------------------------------------------------------------------------------------------
    "echo": {"yes": _aircall(echo=True), "no": _aircall(echo=False)},
    "closed_twice": {"no": _aircall(substatuses_on=False), "yes": _aircall(substatuses_on=True)},
    "webhooks": {
        "prompt": _webhooks(delay=0.0, duplicate=0),
        "late": _webhooks(delay=3.0),
        "twice": _webhooks(duplicate=ALWAYS),
    },
    # -- Google: lists -------------------------------------------------------------------------------------------------
    "window_sticks": {"no": _lists(window_sticks=False), "yes": _lists(window_sticks=True)},
    "deleted_series": {
        "both": _lists(deleted_series="both"),
        "master": _lists(deleted_series="master"),
        "instances": _lists(deleted_series="instances"),
    },
    "instance_ids": {"telling": _lists(opaque_instance_ids=False), "opaque": _lists(opaque_instance_ids=True)},
    "empty_items": {"omitted": _lists(omit_empty_items=True), "given": _lists(omit_empty_items=False)},
    "pages": {
        "whole": _lists(most_per_page=None, empty_first=False),
        "short": _lists(most_per_page=2),
        "empty_first": _lists(empty_first=True),
    },
    "repeats": {"no": _lists(repeat_over_pages=False), "yes": _lists(repeat_over_pages=True, most_per_page=2)},
    "token_life": {"forever": _lists(sync_token_life=None), "10s": _lists(sync_token_life=10.0)},
    # -- Google: push --------------------------------------------------------------------------------------------------
    "channel_life": {
        "30d": _push(most_life=30 * 86_400.0),
        "1h": _push(most_life=3600.0),
        "24s": _push(most_life=24.0),
    },
    "channel_limit": {"none": _push(most_channels=None), "one": _push(most_channels=1)},
    "sync_message": {"after": _push(sync_first=False), "before": _push(sync_first=True)},
    "copies": {"one": _push(copies=1, duplicate=0), "three": _push(copies=3), "repeated": _push(duplicate=ALWAYS)},
    "push_delay": {"none": _push(delay=0.0), "2s": _push(delay=2.0)},
    "push_retry": {
        "never": _push(nobody_there=None),
        "soon": _push(nobody_there=502),
        "late": _push(nobody_there=502, retry_delays=(15.0,)),
    },
    "push_patience": {"10s": _push(seconds=10.0), "2s": _push(seconds=2.0)},
    "after_stop": {"silent": _push(after_stop=0), "speaks": _push(after_stop=20)},
    "stop_again": {"404": _push(stop_again=404), "410": _push(stop_again=410), "204": _push(stop_again=204)},
}
"""Each doubtful point with its ways, in the order in which they are set."""


def usual_ways() -> dict[str, str]:
    """How the sandbox is without being told: the first way of each point."""
    return {point: next(iter(ways)) for point, ways in POINTS.items()}


def random_ways(seed: int) -> dict[str, str]:
    """One way of each point, by chance; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - worlds to test in need no cryptography
    drawn = {point: chance.choice(list(ways)) for point, ways in POINTS.items()}
    if drawn["v2_update"] != "works":
        drawn["v1_users"] = "works"
    return drawn


def turn_out(sandbox: Sandbox, ways: Mapping[str, str]) -> None:
    """Let these points turn out in these ways; ValueError says which are known. The other points are left alone."""
    for point, way in ways.items():
        if point not in POINTS:
            raise ValueError(f"{point} is no doubtful point: {', '.join(POINTS)}")
        if way not in POINTS[point]:
            raise ValueError(f"{point} does not turn out as {way}: {', '.join(POINTS[point])}")
    for point in POINTS:
        if point in ways:
            POINTS[point][ways[point]](sandbox)


def read_ways(given: Iterable[str]) -> dict[str, str]:
    """Points and ways from texts such as `v1_users=410`; ValueError for other texts."""
    ways = {}
    for text in given:
        point, sign, way = text.partition("=")
        if not sign:
            raise ValueError(f"{text} is not of the form point=way, such as v1_users=410")
        ways[point] = way
    return ways
