"""What the settings say of pace, floors and limits, in the words of the rooms that keep to them."""

from __future__ import annotations

from calsyncd.calendars import Pace
from calsyncd.config import Settings
from calsyncd.core.guard import Floor, StormLimits
from calsyncd.core.prices import Weights
from calsyncd.phones import Spending


def pace(settings: Settings) -> Pace:
    """How often calendars are read, and how far ahead."""
    interval = settings.google.poll_interval
    return Pace(
        horizon=settings.google.horizon,
        with_push=None if interval == "auto" else interval,
        without_push=settings.google.poll_interval_without_push,
        requests_per_day=settings.google.requests_per_day,
    )


def floors(settings: Settings) -> list[Floor]:
    """How many are kept available, of all and of teams."""
    return [
        Floor(name, least, frozenset(settings.teams[name].agents) if name in settings.teams else None)
        for name, least in settings.dispatch.keep_available.items()
    ]


def spending(settings: Settings) -> Spending:
    """How requests are spent in a crowd."""
    crowd = settings.dispatch
    return Spending(crowd.early, Weights(crowd.cost_ringing, crowd.cost_unreachable))


def storm_limits(settings: Settings) -> StormLimits:
    """When changes are too many to be believed at once."""
    limits = settings.dispatch.storm_guard
    return StormLimits(limits.share, limits.at_least)
