"""The rules against an oracle that walks second by second, beside every kind of change of the clock.

CI plays a few hundred worlds. For more:

    CALSYNCD_RULES_EXAMPLES=20000 pytest tests/core/test_rules_walked.py tests/core/test_titles.py --timeout=0
"""

from __future__ import annotations

import math
import os
import random
from bisect import bisect_left
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from calsyncd.core.byhand import ByHand, Extension
from calsyncd.core.hours import WorkingHours
from calsyncd.core.model import Setting
from calsyncd.core.rules import Rules
from calsyncd.core.sync import parse_event
from calsyncd.core.timeline import Timeline, build, verdict

from .walked import Item, Walked, Window, World, clock, instant, opened, walk

EXAMPLES = int(os.environ.get("CALSYNCD_RULES_EXAMPLES", "0")) or 250
QUARTER, DAY = 900, 86400

ANCHORS = {
    "America/Sao_Paulo": ("2018-11-04", "2018-02-18", "2019-06-01"),  # midnight is skipped, repeated, left alone
    "Europe/Berlin": ("2026-03-29", "2026-10-25", "2026-07-01"),
    "Europe/London": ("2039-03-27", "2039-10-30"),
    "Europe/Dublin": ("2026-03-29", "1969-12-31"),  # winter time is what is saved; and a summer's clock all year
    "Africa/Cairo": ("2026-04-24", "2026-10-30", "2014-07-31"),
    "Africa/Casablanca": ("2026-02-15", "2026-03-22"),  # put back for Ramadan
    "Australia/Lord_Howe": ("2026-04-05", "2026-10-04"),  # by half an hour
    "Pacific/Apia": ("2011-12-30", "2011-09-24", "2012-04-01"),  # a day that never was
    "America/Havana": ("2026-03-08", "2026-11-01"),
    "Asia/Kathmandu": ("1986-01-01", "2026-05-16"),
    "Antarctica/Troll": ("2026-03-29", "2026-10-25"),  # by two hours
    "America/New_York": ("2040-03-11", "2040-11-04"),
    "UTC": ("2026-03-29", "1970-01-01"),
}
"""Days beside which worlds are drawn: most have 23 or 25 hours, or fewer."""

TITLES = (None, "", "Lunch", "late LUNCH, room 4", "Training day", "1:1 Bo", "#phone callbacks", "stand-up")
PATTERNS = ("lunch", "TRAIN", "#phone", "1:1", "/^1:1 [A-Z]/", "/day$/i", "/^$/", "/Lunch|stand/", "nothing of it")
REASONS = (None, "out_for_lunch", "on_a_break", "in_training", "doing_back_office", "other")


@lru_cache(maxsize=256)
def changes(zone: str, day: str) -> tuple[int, ...]:
    """Every quarter of an hour, within two days of `day`, at which the clock's distance from UTC becomes another."""
    noon = int(datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp())
    own = ZoneInfo(zone)
    offsets = [
        (at, datetime.fromtimestamp(at, own).utcoffset()) for at in range(noon - 2 * DAY, noon + 2 * DAY, QUARTER)
    ]
    return tuple(at for (_, before), (at, after) in pairwise(offsets) if before != after) or (noon,)


class Draw:
    """Draws a world."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        zones = sorted(ANCHORS)
        self.zone = chance.choice(zones)
        self.hours_zone = self.zone if chance.random() < 0.7 else chance.choice(zones)
        self.middle = chance.choice(changes(self.zone, chance.choice(ANCHORS[self.zone])))
        self.step = chance.choice((1, 60, QUARTER, QUARTER))
        # Over days an all-day event is as long as the window allows; a shorter step sees less.
        steps = 7 * 96 if self.step == QUARTER else 420
        self.window = Window(self.middle - self.step * steps // 2, self.step, steps)

    def chosen(self, share: float) -> bool:
        """Whether, by chance."""
        return self.chance.random() < share

    def several(self, of: tuple[str, ...], share: float) -> tuple[str, ...]:
        """A few, or none."""
        return tuple(self.chance.sample(of, self.chance.randint(1, 2))) if self.chosen(share) else ()

    def hours(self) -> WorkingHours:
        """That open and close beside what happens."""
        unit = max(self.step, 60)
        shown = clock(self.hours_zone, Window(self.middle, 60, 1))[0]
        near = (shown.hour * 3600 + shown.minute * 60 + self.chance.randint(-6, 6) * unit) % DAY // 60 * 60
        if self.step == QUARTER and self.chosen(0.6):
            near = self.chance.randrange(0, DAY, QUARTER)
        far = (near + self.chance.choice((-8, -1, 1, 2, 8, 20, 32)) * unit) % DAY
        opens, closes = self.chance.choice(((near, far), (far, near)))
        days = frozenset(self.chance.sample(range(7), self.chance.randint(1, 7)))
        return WorkingHours(days, opens, closes, self.hours_zone)

    def rules(self) -> Rules:
        """Few at a time, so that something is left to happen."""
        rare = 0.08
        padding = [float(self.chance.randint(0, 6) * self.step) if self.chosen(0.5) else 0.0 for _ in range(3)]
        by_title = {one: self.chance.choice(REASONS[1:]) for one in self.several(PATTERNS, 0.5)}
        by_type = {
            one: self.chance.choice(REASONS[1:])
            for one in self.several(("out_of_office", "focus_time", "all_day"), 0.5)
        }
        return Rules(
            lead=padding[0],
            lag=padding[1],
            bridge=padding[2] * self.chance.choice((1, 1, 5)),
            substatus=self.chance.choice(REASONS),
            tentative=not self.chosen(rare),
            unanswered=not self.chosen(rare),
            all_day=not self.chosen(rare),
            out_of_office=not self.chosen(rare),
            focus_time=self.chance.choice((True, True, True, False, "do_not_disturb")),
            minimum_duration=float(self.chance.randint(0, 8) * self.step) if self.chosen(rare) else 0.0,
            ignore_titles=self.several(PATTERNS, rare),
            only_titles=self.several(PATTERNS, rare),
            ignore_colors=self.several(("1", "5", "11"), rare),
            only_colors=self.several(("1", "5", "11"), rare / 3),
            ignore_labels=self.several(("a", "b"), rare),
            only_labels=self.several(("a", "b"), rare / 3),
            minimum_guests=self.chance.randint(0, 3) if self.chosen(rare) else 0,
            only_with_conference=self.chosen(rare / 3),
            working_hours=self.hours() if self.chosen(0.6) else None,
            substatus_by_title=tuple(by_title.items()),
            substatus_by_type=tuple(by_type.items()),  # type: ignore[arg-type]
        )

    def moment(self, index: int) -> dict[str, str]:
        """A step, as an instant or as what a clock shows; of what it shows twice the first is meant."""
        at = self.window.begin + index * self.step
        if self.chosen(0.75):
            return {"dateTime": instant(at)}
        zone = self.zone if self.chosen(0.5) else "UTC"
        if clock(zone, self.window)[index] <= clock(zone, self.window)[0]:
            return {"dateTime": instant(at)}  # The clock was put back, and showed this before the window too.
        if self.chosen(0.15) and self.step == QUARTER:
            skipped = clock(zone, self.window)[index] + timedelta(hours=1)
            return {"dateTime": skipped.isoformat(), "timeZone": zone}
        return {"dateTime": clock(zone, self.window)[index].isoformat()} | ({"timeZone": zone} if zone == "UTC" else {})

    def times(self) -> dict[str, dict[str, str]]:
        """Of an event that lies well inside of the window."""
        middle = self.window.steps // 2
        if self.step == QUARTER and self.chosen(0.2):
            first = clock(self.zone, self.window)[middle].date() + timedelta(days=self.chance.randint(-2, 1))
            last = first + timedelta(days=self.chance.choice((0, 1, 1, 1, 2)))
            return {"start": {"date": first.isoformat()}, "end": {"date": last.isoformat()}}
        reach = 60 if self.step == QUARTER else 90
        start = middle + self.chance.randint(-reach, reach)
        length = self.chance.choice((0, -1, 1, 2, 3, 4, 6, 8, 12, 20, 40))
        return {"start": self.moment(start), "end": self.moment(start + length)}

    def item(self, name: int) -> Item:
        """Mostly busy."""
        chance = self.chance
        item: Item = {"id": f"e{name}", "status": "confirmed", **self.times()}
        title = chance.choice(TITLES)
        if title is not None:
            item["summary"] = title
        if self.chosen(0.3):
            item["eventType"] = chance.choice(("outOfOffice", "focusTime", "workingLocation", "new2027", "fromGmail"))
            if self.chosen(0.5):
                item["focusTimeProperties"] = {"chatStatus": chance.choice(("doNotDisturb", "available"))}
        if self.chosen(0.4):
            people: list[Item] = [{"responseStatus": "declined"} for _ in range(chance.randint(0, 3))]
            people += [{"resource": True, "responseStatus": "accepted"}] * chance.randint(0, 1)
            if self.chosen(0.7):
                answer = chance.choice(("accepted", "accepted", "tentative", "needsAction", "declined"))
                people.append({"self": True, "responseStatus": answer})
            item["attendees"] = people
        for share, fields in (
            (0.05, {"transparency": "transparent"}),
            (0.05, {"attendeesOmitted": True}),
            (0.3, {"colorId": chance.choice(("1", "5", "11", "77"))}),
            (0.3, {"eventLabelId": chance.choice("abc")}),
            (0.2, {"hangoutLink": "https://meet.example/abc"}),
            (0.1, {"conferenceData": {"entryPoints": [{"entryPointType": "phone"}]}}),
            (0.08, {"extendedProperties": {"private": {"calsyncd": chance.choice(("ignore", "busy", "else"))}}}),
        ):
            if self.chosen(share):
                item |= fields
        return item

    def by_hand(self) -> ByHand:
        """Sometimes a meeting is skipped, or goes on."""
        over = math.inf if self.chosen(0.7) else self.middle + self.chance.randint(-30, 30) * self.step
        skipped = (("e1", over),) if self.chosen(0.2) else ()
        extension = None
        if self.chosen(0.15):
            since = self.middle + self.chance.randint(-30, 30) * self.step
            extension = Extension(since, since + self.chance.randint(1, 20) * self.step, self.chance.choice(REASONS))
        return ByHand(skipped, extension)

    def world(self) -> World:
        """All of it."""
        items = tuple(self.item(number) for number in range(self.chance.randint(1, 6)))
        return World(self.window, self.zone, items, self.rules(), self.by_hand())


def built(world: World) -> Timeline:
    """As the program does it, from Google's items on."""
    events = [parse_event(item, world.zone, world.rules.reads) for item in world.items]
    return build(events, world.rules, world.by_hand)


def differences(world: World) -> list[str]:
    """Where the program and the walk say otherwise."""
    walked, timeline = walk(world), built(world)
    found = []
    for item in world.items:
        event = parse_event(item, world.zone, world.rules.reads)
        said = verdict(event, world.rules, world.by_hand)
        expected = walked.refused.get(event.id, "counts")
        if said.counts != (expected == "counts") or (not said.counts and said.rule != expected):
            found.append(f"{event.id}: {said} and not {expected}")
    if world.rules.working_hours is not None and timeline.outside != walked.outside:
        found.append(f"outside: {timeline.outside} and not {walked.outside}")
    return found + [
        f"{datetime.fromtimestamp(at, UTC)}: {given} and not {expected}"
        for at, given, expected in zip(
            world.window.instants, _answers(world, timeline), _expected(world, walked), strict=True
        )
        if given != expected
    ]


Answer = tuple[tuple[Setting, str] | None, float | None, float | None, float | None, bool, float | None]


def _answers(world: World, timeline: Timeline) -> list[Answer]:
    found: list[Answer] = []
    for at in world.window.instants:
        span = timeline.span_at(at)
        found.append(
            (
                None if span is None else (span.setting, span.event),
                timeline.stretch_end(at),
                timeline.next_change(at),
                timeline.next_start(at),
                timeline.is_away(at),
                timeline.running_until(at),
            )
        )
    return found


def _expected(world: World, walked: Walked) -> list[Answer]:
    """The same answers, each by going on along the walk."""
    window, wanted = world.window, walked.wanted
    padded = [(one.start - world.rules.lead, one.end + world.rules.lag) for one in walked.counted]
    away = [
        bounds for bounds, one in zip(padded, walked.counted, strict=True) if one.item.get("eventType") == "outOfOffice"
    ]
    padded = [bounds for bounds, one in zip(padded, walked.counted, strict=True) if one.id not in walked.outside]
    if world.by_hand.extension is not None:
        bounds = world.by_hand.extension.since, world.by_hand.extension.until
        padded.append(bounds)
        away.append(bounds)
    freed = [index for index, one in enumerate(wanted) if one is None]
    begins = [index for index, one in enumerate(wanted) if one is not None and (not index or wanted[index - 1] != one)]
    changed = [index for index in range(1, len(wanted)) if (wanted[index] or (0,))[0] != (wanted[index - 1] or (0,))[0]]

    def instant_of(found: list[int], after: int) -> float | None:
        at = bisect_left(found, after)
        return window.begin + found[at] * window.step if at < len(found) else None

    answers: list[Answer] = []
    for index, at in enumerate(window.instants):
        now = wanted[index]
        running = [end for start, end in padded if start <= at < end]
        until: float | None = max(running, default=at)
        assert until is not None
        if not any(start <= until < end for start, end in padded):
            behind = min(int(until - window.begin) // window.step, len(wanted) - 1)
            nobody = behind
            while wanted[nobody] is not None and not any(
                start <= window.begin + nobody * window.step < end for start, end in padded
            ):
                nobody += 1
            if nobody > behind:
                until = window.begin + nobody * window.step
            elif not running:
                until = None
        answers.append(
            (
                None if now is None else (Setting("unavailable", now[0]), now[1]),
                None if now is None else instant_of(freed, index),
                instant_of(changed, index + 1),
                instant_of(begins, index + 1),
                any(start <= at < end for start, end in away),
                until,
            )
        )
    return answers


def smallest(world: World) -> World:
    """The same difference with the fewest events and rules, for the person who reads it."""
    for item in world.items:
        fewer = replace(world, items=tuple(one for one in world.items if one is not item))
        if differences(fewer):
            return smallest(fewer)
    default = Rules()
    for name in Rules.__slots__:
        simpler = replace(world, rules=replace(world.rules, **{name: getattr(default, name)}))
        if simpler != world and differences(simpler):
            return smallest(simpler)
    return world


@settings(deadline=None, max_examples=EXAMPLES)
@given(seed=st.integers(0, 2**48))
def test_every_step_is_as_the_walk_says(seed: int) -> None:
    """What is wanted and why, why events do not count, and what comes next."""
    world = Draw(random.Random(seed)).world()
    found = differences(world)
    if found:
        least = smallest(world)
        raise AssertionError("\n".join([str(least), *differences(least)[:10]]))


def _beside(draw: Draw) -> WorkingHours:
    """Hours of an hour at most, on one day of the week, just before what the clock shows once it was changed."""
    shown = clock(draw.zone, Window(draw.middle, 60, 1))[0]
    closes = shown.hour * 3600 + shown.minute * 60
    opens = (closes - draw.chance.randint(1, 4) * QUARTER) % DAY
    return WorkingHours(frozenset({shown.weekday()}), opens, closes, draw.zone)


@settings(deadline=None, max_examples=EXAMPLES)
@given(seed=st.integers(0, 2**48))
def test_the_hours_open_when_the_walk_says(seed: int) -> None:
    """first_inside and inside, from any step on; over six weeks too, in which a change may skip an only opening."""
    draw = Draw(random.Random(seed))
    hours = draw.hours()
    window = draw.window
    if draw.step == QUARTER and draw.chosen(0.5):
        window = Window(draw.middle - 21 * DAY, QUARTER, 42 * 96)
        hours = _beside(draw)
    inside = opened(Rules(working_hours=hours), window)
    at = list(window.instants)

    for index in draw.chance.sample(range(window.steps), 200):
        assert hours.inside(at[index]) == inside[index]
    for _ in range(8):
        low, high = sorted(draw.chance.choices(range(window.steps), k=2))
        expected = next((at[index] for index in range(low, high) if inside[index]), None)
        assert expected == hours.first_inside(at[low], at[high]), (hours, at[low], at[high])
