"""An oracle for the rules: an agent's day walked step by step, by what the manual says and nothing of the program's.

It reads Google's items itself: a date is the steps at which the calendar's clock shows that day, a time without offset
is the step at which its clock shows it. Patterns are compared by Python's own engine. A step is as long as divides all
that can change: a second beside a change of the clock, a quarter of an hour over days.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from calsyncd.core.byhand import NOTHING, ByHand
from calsyncd.core.rules import Rules

Item = dict[str, Any]
LAST = 10**12


@dataclass(frozen=True)
class Window:
    """Steps of `step` seconds from `begin` on."""

    begin: int
    step: int
    steps: int

    @property
    def end(self) -> int:
        """Where the walk ends."""
        return self.begin + self.step * self.steps

    @property
    def instants(self) -> range:
        """The beginning of each step."""
        return range(self.begin, self.end, self.step)


@lru_cache(maxsize=4096)
def clock(zone: str, window: Window) -> tuple[datetime, ...]:
    """What the clock shows at each step."""
    own = ZoneInfo(zone)
    return tuple(datetime.fromtimestamp(at, own).replace(tzinfo=None) for at in window.instants)


@dataclass(frozen=True)
class World:
    """What a calendar holds, and under which rules."""

    window: Window
    zone: str
    items: tuple[Item, ...]
    rules: Rules
    by_hand: ByHand = NOTHING


@dataclass(frozen=True)
class Body:
    """An item with its bounds."""

    item: Item
    start: int
    end: int

    @property
    def id(self) -> str:
        """Google's."""
        return str(self.item["id"])


@dataclass
class Walked:
    """What is wanted at each step: None, or a substatus and the event that gives it; and why items do not count."""

    wanted: list[tuple[str | None, str] | None]
    refused: dict[str, str | None] = field(default_factory=dict)
    counted: list[Body] = field(default_factory=list)
    outside: set[str] = field(default_factory=set)


def bound(moment: dict[str, Any], zone: str, window: Window) -> int:
    """The instant that Google's `start` or `end` names."""
    if "dateTime" in moment and re.search(r"(Z|[+-]\d\d:\d\d)$", moment["dateTime"]):
        return int(datetime.strptime(moment["dateTime"], "%Y-%m-%dT%H:%M:%S%z").timestamp())
    if "dateTime" in moment:
        wanted = datetime.strptime(moment["dateTime"], "%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007 - what a clock shows
        zone = moment.get("timeZone", zone)
    else:
        wanted = datetime.combine(date.fromisoformat(moment["date"]), datetime.min.time())
    shown = clock(zone, window)
    for index in range(1, len(shown)):
        if shown[index - 1] < wanted <= shown[index]:
            if shown[index] == wanted or "date" in moment:
                return window.begin + index * window.step
            # The clock never shows it: it was put forward. What is meant is counted from before.
            return window.begin + (index - 1) * window.step + int((wanted - shown[index - 1]).total_seconds())
    raise AssertionError("the window is too small")


def matches(pattern: str, title: str) -> bool:
    """Of titles and patterns in plain letters only."""
    if pattern.startswith("/"):
        body, _, flag = pattern[1:].rpartition("/")
        return re.search(body, title, re.IGNORECASE if flag else 0) is not None
    return pattern.lower() in title.lower()


def refusal(item: Item, length: int, rules: Rules) -> tuple[bool, str | None]:
    """Whether an item counts, and the key of the rule that decided, asked in the manual's order."""
    title, kind = item.get("summary", ""), item.get("eventType", "default")
    me = [one for one in item.get("attendees", []) if one.get("self")]
    answer = me[0]["responseStatus"] if me else "accepted"
    mark = item.get("extendedProperties", {}).get("private", {}).get("calsyncd")
    colour, label = item.get("colorId"), item.get("eventLabelId")
    guests = sum(not one.get("self") and not one.get("resource") for one in item.get("attendees", []))
    by_mark = "extendedProperties.private.calsyncd"
    chat = item.get("focusTimeProperties", {}).get("chatStatus")
    table: list[tuple[bool, bool, str | None]] = [
        (length <= 0, False, None),
        (mark == "ignore", False, by_mark),
        (mark == "busy", True, by_mark),
        (item.get("transparency") == "transparent", False, None),
        (answer == "declined", False, None),
        (kind in {"workingLocation", "birthday"}, False, None),
        (answer == "tentative" and not rules.tentative, False, "tentative"),
        (answer == "needsAction" and not rules.unanswered, False, "unanswered"),
        ("date" in item["start"] and not rules.all_day, False, "all_day"),
        (kind == "outOfOffice" and not rules.out_of_office, False, "out_of_office"),
        (kind == "focusTime" and rules.focus_time is False, False, "focus_time"),
        (
            kind == "focusTime" and rules.focus_time == "do_not_disturb" and chat != "doNotDisturb",
            False,
            "focus_time",
        ),
        (length < rules.minimum_duration, False, "minimum_duration"),
        (any(matches(one, title) for one in rules.ignore_titles), False, "ignore_titles"),
        (
            bool(rules.only_titles) and not any(matches(one, title) for one in rules.only_titles),
            False,
            "only_titles",
        ),
        (colour in rules.ignore_colors, False, "ignore_colors"),
        (bool(rules.only_colors) and colour not in rules.only_colors, False, "only_colors"),
        (label in rules.ignore_labels, False, "ignore_labels"),
        (bool(rules.only_labels) and label not in rules.only_labels, False, "only_labels"),
        (guests < rules.minimum_guests and not item.get("attendeesOmitted"), False, "minimum_guests"),
        (
            rules.only_with_conference and "hangoutLink" not in item and "conferenceData" not in item,
            False,
            "only_with_conference",
        ),
    ]
    return next(((counts, key) for applies, counts, key in table if applies), (True, None))


def priority(item: Item, rules: Rules) -> tuple[int, str | None]:
    """The place among the settings' reasons of the first that fits, and that reason."""
    fits = [matches(pattern, item.get("summary", "")) for pattern, _ in rules.substatus_by_title]
    types = {
        "out_of_office": item.get("eventType") == "outOfOffice",
        "focus_time": item.get("eventType") == "focusTime",
        "all_day": "date" in item["start"],
    }
    fits += [types[name] for name, _ in rules.substatus_by_type]
    reasons = [reason for _, reason in (*rules.substatus_by_title, *rules.substatus_by_type)]
    for place, fit in enumerate(fits):
        if fit:
            return place, reasons[place]
    return len(fits), rules.substatus


def opened(rules: Rules, window: Window) -> list[bool]:
    """Whether the hours' clock shows a time of theirs, at each step."""
    hours = rules.working_hours
    if hours is None:
        return [True] * window.steps
    overnight = hours.closes <= hours.opens
    found = []
    for shown in clock(hours.zone or "UTC", window):
        of_day = (shown - datetime.combine(shown.date(), datetime.min.time())).total_seconds()
        today = shown.weekday() in hours.days
        yesterday = (shown - timedelta(days=1)).weekday() in hours.days
        if overnight:
            found.append((today and of_day >= hours.opens) or (yesterday and of_day < hours.closes))
        else:
            found.append(today and hours.opens <= of_day < hours.closes)
    return found


def walk(world: World) -> Walked:
    """The whole window."""
    rules, window = world.rules, world.window
    walked = Walked([None] * window.steps)
    skips = dict(world.by_hand.skipped)
    skipped: list[Body] = []
    for item in world.items:
        body = Body(item, bound(item["start"], world.zone, window), bound(item["end"], world.zone, window))
        counts, key = refusal(item, body.end - body.start, rules)
        if body.start < skips.get(body.id, -math.inf):
            skipped += [body] if counts else []
            walked.refused[body.id] = "skip"
        elif counts:
            walked.counted.append(body)
        else:
            walked.refused[body.id] = key
    held = False
    inside = opened(rules, window)
    reason: tuple[str | None, str] | None = None
    extension = world.by_hand.extension
    counted = walked.counted
    if extension is not None:
        # What holds nobody without it holds nobody with it.
        walked.outside = walk(replace(world, by_hand=replace(world.by_hand, extension=None))).outside
        counted = [body for body in counted if body.id not in walked.outside]
    strongest = list(_strongest(counted, world))
    following = [LAST] * (window.steps + 1)
    for index in reversed(range(window.steps)):
        following[index] = window.begin + index * window.step if strongest[index] else following[index + 1]
    went = window.begin
    for index, at in enumerate(window.instants):
        if strongest[index] is not None:
            by_hand = extension is not None and extension.since <= at < extension.until
            held = held or inside[index] or by_hand
            reason, went = strongest[index], at + window.step
        elif held:
            meets_skipped = any(
                one.start - rules.lead < following[index] and went < one.end + rules.lag for one in skipped
            )
            held = following[index] - went < rules.bridge and not meets_skipped
        if held:
            walked.wanted[index] = reason
    for body in walked.counted if extension is None else ():
        low = max(0, int(body.start - rules.lead - window.begin) // window.step)
        high = int(body.end + rules.lag - window.begin) // window.step
        if all(one is None for one in walked.wanted[low:high]):
            walked.outside.add(body.id)
    return walked


def _strongest(counted: list[Body], world: World) -> Iterator[tuple[str | None, str] | None]:
    rules, extension = world.rules, world.by_hand.extension
    ranked = [(body, *priority(body.item, rules)) for body in counted]
    for at in world.window.instants:
        running: list[tuple[tuple[bool, int, float, float, str], str | None]] = [
            ((not body.start <= at < body.end, place, body.start, body.end, body.id), substatus)
            for body, place, substatus in ranked
            if body.start - rules.lead <= at < body.end + rules.lag
        ]
        if extension is not None and extension.since <= at < extension.until:
            running.append(((False, LAST, extension.since, extension.until, "extension"), extension.substatus))
        best = min(running, key=lambda one: one[0], default=None)
        yield None if best is None else (best[1], best[0][4])


def instant(at: int) -> str:
    """As Google writes it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
