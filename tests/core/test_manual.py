"""docs/rules.md: each rule has an example there, and each example is played."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from calsyncd.config.rules import Rules as Typed
from calsyncd.core.rules import COLOURS, Rules
from calsyncd.core.sync import constant_parameters

from .driver import MINUTE, Driver
from .told import Item, Told, rules_of, tell

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
ZONE = "Europe/Berlin"
MONDAY = datetime(2026, 5, 18, tzinfo=ZoneInfo(ZONE))
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MARK = "extendedProperties.private.calsyncd"

SECTIONS: dict[str, str] = dict(re.findall(r"^### `([^`]+)`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def me(answer: str) -> Item:
    """The agent's own answer."""
    return {"self": True, "responseStatus": answer}


WORDS: dict[str, Item] = {
    "accepted": {"attendees": [me("accepted")]},
    "answered maybe": {"attendees": [me("tentative")]},
    "not answered": {"attendees": [me("needsAction")]},
    "declined": {"attendees": [me("declined")]},
    "invited as a group": {"attendees": [{"responseStatus": "needsAction"}]},
    "shown as free": {"transparency": "transparent"},
    "out of office": {"eventType": "outOfOffice"},
    "focus time": {"eventType": "focusTime"},
    "chats muted": {"focusTimeProperties": {"chatStatus": "doNotDisturb"}},
    "working location": {"eventType": "workingLocation"},
    "a room": {"attendees": [{"resource": True}]},
    "1 guest": {"attendees": [{}]},
    "2 guests": {"attendees": [{}, {}]},
    "a conference link": {"hangoutLink": "https://meet.example/abc"},
    "label lbl-private": {"eventLabelId": "lbl-private"},
    "label lbl-work": {"eventLabelId": "lbl-work"},
    "label lbl-client": {"eventLabelId": "lbl-client"},
    "marked ignore": {"extendedProperties": {"private": {"calsyncd": "ignore"}}},
    "marked busy": {"extendedProperties": {"private": {"calsyncd": "busy"}}},
    **{f"colour {name}": {"colorId": number} for name, number in COLOURS.items()},
}
"""What Google tells for what the manual says of an event."""


def moment(text: str) -> datetime:
    """`10:00`, or `Sun 10:00`."""
    *day, clock = text.split()
    hour, minute = clock.split(":")
    return MONDAY + timedelta(days=DAYS.index(day[0]) if day else 0, hours=int(hour), minutes=int(minute))


def item(text: str) -> Item:
    """An event of the manual as Google tells it; its id is its time."""
    read = re.fullmatch(r'(all day|[A-Za-z ]*\d\d:\d\d-\d\d:\d\d)(?: "([^"]*)")?(?:, (.*))?', text)
    assert read, text
    when, title, words = read.groups()
    if when == "all day":
        times: Item = {"start": {"date": "2026-05-18"}, "end": {"date": "2026-05-19"}}
    else:
        start, end = when.split("-")
        day = start.rpartition(" ")[0]
        times = {
            "start": {"dateTime": moment(start).isoformat()},
            "end": {"dateTime": moment(f"{day} {end}".strip()).isoformat()},
        }
    made: Item = {"id": when, "status": "confirmed", **times}
    if title is not None:
        made["summary"] = title
    for word in words.split(", ") if words else ():
        for key, value in WORDS[word].items():
            made[key] = made[key] + value if isinstance(made.get(key), list) else value
    return made


def unavailable(told: Told) -> list[str]:
    """The spans as the manual writes them: what has one reason is one."""
    joined: list[list[Any]] = []
    for start, end, reason, _ in told.spans:
        if joined and joined[-1][1:] == [start, reason]:
            joined[-1][1] = end
        else:
            joined.append([start, end, reason])
    zone = ZoneInfo(ZONE)
    return [
        f"{datetime.fromtimestamp(start, zone):%H:%M}-{datetime.fromtimestamp(end, zone):%H:%M} {reason or ''}".strip()
        for start, end, reason in joined
    ]


def updates(told: Told, rules: Rules, by_hand: str) -> list[str]:
    """What is put, when the agent changes their setting so in the app, which its webhook tells."""
    clock, status = by_hand.split()
    at = moment(clock).timestamp()
    world = Driver(now=MONDAY.timestamp(), timeline=told.timeline, enforce=rules.enforce, live="available")
    world.run(at)
    world.choose(status, at)
    world.hint(status, at)
    world.run(at + 8 * 60 * MINUTE)
    return [
        f"{datetime.fromtimestamp(sent.at, ZoneInfo(ZONE)):%H:%M} {sent.setting.availability_status}"
        for sent in world.sendings
    ]


@pytest.mark.parametrize("block", BLOCKS)
def test_an_example_is_as_the_page_says(block: str) -> None:
    """Unavailable then and with that reason; not counted for that reason."""
    example = yaml.safe_load(block)
    layers = [example.pop(name) for name in ("rules", "company", "team", "agent") if name in example]
    rules = rules_of(layers)
    told = tell([item(text) for text in example.pop("events")], ZONE, rules)

    assert example.pop("unavailable") == unavailable(told)
    assert example.pop("not counted", {}) == told.refused
    if "by hand" in example:
        assert example.pop("updates") == updates(told, rules, example.pop("by hand"))
    assert not example


def test_each_rule_has_one_example() -> None:
    """That sets it, and all its values are possible ones."""
    assert {*Typed.keys(), MARK} == set(SECTIONS)
    for key, text in SECTIONS.items():
        (block,) = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        assert key == MARK or key in yaml.safe_load(block)["rules"]


@pytest.mark.parametrize("key", sorted(set(SECTIONS) - {MARK}))
def test_the_default_is_as_the_page_says(key: str) -> None:
    """In the words of the settings."""
    (said,) = re.findall(r"[Dd]efault: `([^`]+)`", SECTIONS[key])

    assert getattr(rules_of([{key: yaml.safe_load(said)}]), "enforce" if key == "on_manual_change" else key) == getattr(
        Rules(), "enforce" if key == "on_manual_change" else key
    )


ORDERED: dict[str, tuple[dict[str, Any], Item]] = {
    MARK: ({}, WORDS["marked ignore"]),
    "free": ({}, WORDS["shown as free"]),
    "tentative": ({"tentative": False}, WORDS["answered maybe"]),
    "unanswered": ({"unanswered": False}, WORDS["not answered"]),
    "all_day": ({"all_day": False}, {"start": {"date": "2026-05-18"}, "end": {"date": "2026-05-19"}}),
    "out_of_office": ({"out_of_office": False}, WORDS["out of office"]),
    "focus_time": ({"focus_time": False}, WORDS["focus time"]),
    "minimum_duration": ({"minimum_duration": "7d"}, {}),
    "ignore_titles": ({"ignore_titles": ["lunch"]}, {"summary": "Lunch"}),
    "only_titles": ({"only_titles": ["training"]}, {}),
    "ignore_colors": ({"ignore_colors": ["sage"]}, WORDS["colour sage"]),
    "only_colors": ({"only_colors": ["grape"]}, {}),
    "ignore_labels": ({"ignore_labels": ["lbl-work"]}, WORDS["label lbl-work"]),
    "only_labels": ({"only_labels": ["lbl-client"]}, {}),
    "minimum_guests": ({"minimum_guests": 2}, {}),
    "only_with_conference": ({"only_with_conference": True}, {}),
}
"""For each step of the order rules and what is told of an event so that it decides."""

APART = {frozenset({"tentative", "unanswered"}), frozenset({"out_of_office", "focus_time"})}
"""No event can be both."""


def test_rules_are_asked_in_the_order_of_the_page() -> None:
    """Of any two that apply the one that stands first is told."""
    _, _, rest = PAGE.partition("## In which order rules are asked")
    listed = re.findall(r"^\d+\. (?:`([^`]+)`|(Shown as free))", rest, re.MULTILINE)
    order = [key or "free" for key, _ in listed]
    assert set(ORDERED) == set(order)
    plain = item("10:00-10:30")

    for first, second in combinations(order, 2):
        if frozenset({first, second}) in APART:
            continue
        (rules, of_first), (more, of_second) = ORDERED[first], ORDERED[second]
        told = tell([{**plain, **of_first, **of_second}], ZONE, rules_of([{**rules, **more}]))
        said = told.refused[plain["id"]]
        assert said == "shown as free" if first == "free" else said.endswith(f"({first})"), (first, second)


def fields(rules: Rules) -> set[str]:
    """What Google is asked for of each event, in single names."""
    mask = constant_parameters("q", rules.reads)["fields"]
    items = re.sub(
        r"attendees\(([^)]*)\)", lambda found: ",".join(f"attendees({one})" for one in found[1].split(",")), mask
    )
    return set(items.partition("items(")[2].removesuffix(")").split(","))


def test_what_is_read_from_google_is_as_the_page_says() -> None:
    """Nothing but what a rule needs; and no other rule needs anything."""
    rows = re.findall(r"^\| ((?:`\w+` ?)+) \| (.*) \|$", PAGE.partition("## What is read from Google")[2], re.MULTILINE)
    said = {key: set(re.findall("`([^`]+)`", names)) for keys, names in rows for key in re.findall(r"`(\w+)`", keys)}
    always = fields(Rules())
    for key in set(SECTIONS) - {MARK}:
        (block,) = re.findall(r"^```yaml\n(.*?)^```", SECTIONS[key], re.MULTILINE | re.DOTALL)
        own = {name: value for name, value in yaml.safe_load(block)["rules"].items() if name == key}
        assert said.get(key, set()) == fields(rules_of([own])) - always, key
