"""Which events count, and with which setting: the settings' rules, one event at a time.

Without a rule an event counts exactly when Google shows the agent as busy. A rule can only take events away, but for
the mark `busy`, which a program may have put on an event. Each refusal says which rule it was, in a team lead's words.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from calsyncd.core.hours import WorkingHours, zone_of
from calsyncd.core.model import UNAVAILABLE, Event, Setting

OUT_OF_OFFICE = "outOfOffice"
"""Google's type of an event in which the person is not there at all."""

FOCUS_TIME = "focusTime"

NEVER_BUSY = {"workingLocation": "a working location", "birthday": "a birthday"}
"""Event types that Google never shows as busy."""

IGNORE, BUSY = "ignore", "busy"
"""What a program may write into an event's private property `calsyncd`."""

FocusTime = bool | Literal["do_not_disturb"]
EventType = Literal["out_of_office", "focus_time", "all_day"]

MOST_GUESTS = 200
"""So many guests are asked for where a rule counts them; of more only the agent is told."""

COLOURS = {
    "lavender": "1",
    "sage": "2",
    "grape": "3",
    "flamingo": "4",
    "banana": "5",
    "tangerine": "6",
    "peacock": "7",
    "graphite": "8",
    "blueberry": "9",
    "basil": "10",
    "tomato": "11",
}
"""Google's ids of an event's colours, by the names that its calendar shows."""

_COLOUR_NAMES = {number: name for name, number in COLOURS.items()}


@dataclass(frozen=True, slots=True)
class Reads:
    """What is read of events because a rule needs it: patterns that titles are compared with, and more fields."""

    titles: tuple[str, ...] = ()
    guests: bool = False
    conference: bool = False
    colors: bool = False
    labels: bool = False

    @property
    def parts(self) -> frozenset[str]:
        """A short name for each of them: what was read with all of these names tells all that this needs."""
        titles = {hashlib.sha256(pattern.encode()).hexdigest()[:12] for pattern in self.titles}
        flags = ("guests", "conference", "colors", "labels")
        return frozenset(titles | {flag for flag in flags if getattr(self, flag)})

    def __or__(self, other: Reads) -> Reads:
        return Reads(
            tuple(sorted({*self.titles, *other.titles})),
            guests=self.guests or other.guests,
            conference=self.conference or other.conference,
            colors=self.colors or other.colors,
            labels=self.labels or other.labels,
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an event counts; why not, in words; and the key of the rule that decided, None for Google's own."""

    counts: bool
    words: str
    rule: str | None = None


COUNTS = Verdict(counts=True, words="busy")


@dataclass(frozen=True, slots=True)
class Rules:
    """What one agent's settings say; durations in seconds. `enforce`: a change by hand in a meeting does not stand.

    Named as the keys of the settings. Patterns, colours (Google's ids) and labels are any of which one suffices.
    """

    lead: float = 0.0
    lag: float = 0.0
    bridge: float = 0.0
    substatus: str | None = None
    enforce: bool = False
    tentative: bool = True
    unanswered: bool = True
    all_day: bool = True
    out_of_office: bool = True
    focus_time: FocusTime = True
    minimum_duration: float = 0.0
    ignore_titles: tuple[str, ...] = ()
    only_titles: tuple[str, ...] = ()
    ignore_colors: tuple[str, ...] = ()
    only_colors: tuple[str, ...] = ()
    ignore_labels: tuple[str, ...] = ()
    only_labels: tuple[str, ...] = ()
    minimum_guests: int = 0
    only_with_conference: bool = False
    working_hours: WorkingHours | None = None
    substatus_by_title: tuple[tuple[str, str], ...] = ()
    substatus_by_type: tuple[tuple[EventType, str], ...] = ()

    @property
    def setting(self) -> Setting:
        """What is wanted during an event of which nothing more special is said."""
        return _unavailable(self.substatus)

    @property
    def reads(self) -> Reads:
        """What has to be read of events beside what every event tells."""
        titles = [*self.ignore_titles, *self.only_titles, *(pattern for pattern, _ in self.substatus_by_title)]
        return Reads(
            titles=tuple(sorted(set(titles))),
            guests=self.minimum_guests > 0,
            conference=self.only_with_conference,
            colors=bool(self.ignore_colors or self.only_colors),
            labels=bool(self.ignore_labels or self.only_labels),
        )

    def at_home_in(self, own: str | None, *others: str) -> Rules:
        """These rules, with working hours that name no zone in the agent's own, or else in the first of `others`.

        `own` is "" where the agent has none; while it is None it is not known, and the hours stay without a zone.
        """
        hours = self.working_hours
        if hours is None or hours.zone is not None or own is None:
            return self
        known = next((zone for zone in (own, *others) if zone_of(zone) is not None), "UTC")
        return replace(self, working_hours=replace(hours, zone=known))


def wanted(event: Event, rules: Rules) -> tuple[Setting, int]:
    """What is wanted during an event that counts, and its rank among overlapping ones: the lower goes first.

    A reason by title goes before one by type, and that before the general one; of each kind what stands first in the
    settings.
    """
    for rank, (pattern, substatus) in enumerate(rules.substatus_by_title):
        if pattern in event.titles:
            return _unavailable(substatus), rank
    types = {name for name, is_so in (*_types(event), ("all_day", event.all_day)) if is_so}
    titles = len(rules.substatus_by_title)
    for rank, (name, substatus) in enumerate(rules.substatus_by_type, titles):
        if name in types:
            return _unavailable(substatus), rank
    return rules.setting, titles + len(rules.substatus_by_type)


@lru_cache(maxsize=64)
def _unavailable(substatus: str | None) -> Setting:
    """One and the same for all who are kept in memory."""
    return Setting(UNAVAILABLE, substatus)


def _types(event: Event) -> tuple[tuple[str, bool], ...]:
    return ("out_of_office", event.kind == OUT_OF_OFFICE), ("focus_time", event.kind == FOCUS_TIME)


def judge(event: Event, rules: Rules) -> Verdict:
    """Whether `event` makes the agent busy, and why not."""
    if event.end <= event.start:
        return Verdict(counts=False, words="has no length")
    if event.mark == IGNORE:
        return Verdict(counts=False, words="marked to be ignored", rule="extendedProperties.private.calsyncd")
    if event.mark == BUSY:
        return Verdict(counts=True, words="marked as busy", rule="extendedProperties.private.calsyncd")
    refused = _free_in_google(event) or _answered_otherwise(event, rules) or _of_a_kind(event, rules)
    if refused is None and event.told:
        refused = _by_title(event, rules) or _by_look(event, rules) or _by_company(event, rules)
    return refused or COUNTS


def _no(words: str, rule: str | None = None) -> Verdict:
    return Verdict(counts=False, words=words, rule=rule)


def _free_in_google(event: Event) -> Verdict | None:
    if event.transparent:
        return _no("shown as free")
    if event.response == "declined":
        return _no("declined")
    never = NEVER_BUSY.get(event.kind)
    return _no(never) if never is not None else None


def _answered_otherwise(event: Event, rules: Rules) -> Verdict | None:
    if event.response == "tentative" and not rules.tentative:
        return _no("answered maybe", "tentative")
    if event.response == "needsAction" and not rules.unanswered:
        return _no("not answered", "unanswered")
    return None


def _of_a_kind(event: Event, rules: Rules) -> Verdict | None:
    if event.all_day and not rules.all_day:
        return _no("all day", "all_day")
    if event.kind == OUT_OF_OFFICE and not rules.out_of_office:
        return _no("out of office", "out_of_office")
    if event.kind == FOCUS_TIME and rules.focus_time is False:
        return _no("focus time", "focus_time")
    if event.kind == FOCUS_TIME and rules.focus_time == "do_not_disturb" and event.chat != "doNotDisturb":
        return _no("focus time without do not disturb", "focus_time")
    if event.end - event.start < rules.minimum_duration:
        return _no(f"shorter than {spell(rules.minimum_duration)}", "minimum_duration")
    return None


def _by_title(event: Event, rules: Rules) -> Verdict | None:
    ignored = next((pattern for pattern in rules.ignore_titles if pattern in event.titles), None)
    if ignored is not None:
        return _no(f"its title matches {ignored}", "ignore_titles")
    if rules.only_titles and not set(rules.only_titles) & set(event.titles):
        return _no("its title matches nothing that counts", "only_titles")
    return None


def _by_look(event: Event, rules: Rules) -> Verdict | None:
    if event.color in rules.ignore_colors:
        return _no(f"its colour is {_colour(event)}", "ignore_colors")
    if rules.only_colors and event.color not in rules.only_colors:
        return _no(f"its colour is {_colour(event)}", "only_colors")
    if event.label in rules.ignore_labels:
        return _no(f"its label is {event.label}", "ignore_labels")
    if rules.only_labels and event.label not in rules.only_labels:
        return _no("it has no label that counts", "only_labels")
    return None


def _by_company(event: Event, rules: Rules) -> Verdict | None:
    if (event.guests or 0) < rules.minimum_guests:
        guests = "1 guest" if rules.minimum_guests == 1 else f"{rules.minimum_guests} guests"
        return _no(f"fewer than {guests}", "minimum_guests")
    if rules.only_with_conference and not event.conference:
        return _no("has no conference link", "only_with_conference")
    return None


def _colour(event: Event) -> str:
    return _COLOUR_NAMES.get(event.color or "", event.color or "the calendar's")


def spell(seconds: float) -> str:
    """A duration as a person says it."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{int(seconds // length)} {unit}"
    return f"{seconds:g} s"
