"""Which events count, from Google's item to the sentence that says why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from calsyncd.core.hours import WorkingHours
from calsyncd.core.model import Event, Setting
from calsyncd.core.rules import Reads, Rules, judge, spell
from calsyncd.core.sync import constant_parameters, fingerprint, parse_event, tells

TIMES = {"start": {"dateTime": "2026-05-16T09:00:00+02:00"}, "end": {"dateTime": "2026-05-16T09:30:00+02:00"}}
DATES = {"start": {"date": "2026-05-16"}, "end": {"date": "2026-05-17"}}


def item(**fields: Any) -> dict[str, Any]:
    """A plain item of half an hour, with `fields`."""
    return {"id": "evt1", "status": "confirmed", **TIMES, **fields}


def me(response: object) -> list[dict[str, Any]]:
    """The attendees, of whom the agent answered `response`."""
    return [{"email": "other@example.com", "responseStatus": "declined"}, {"self": True, "responseStatus": response}]


@pytest.mark.parametrize(
    "counted",
    [
        pytest.param(item(), id="no attendees: one's own event"),
        pytest.param(item(attendees=me("accepted")), id="accepted"),
        pytest.param(item(attendees=me("tentative")), id="answered maybe"),
        pytest.param(item(attendees=me("needsAction")), id="not answered"),
        pytest.param(item(attendees=me("newAnswer2027")), id="an answer that is new"),
        pytest.param(item(attendees=me(None)), id="an answer that is none"),
        pytest.param(item(attendees=[{"email": "group@example.com", "responseStatus": "declined"}]), id="no self"),
        pytest.param(item(attendees=[{"self": False, "responseStatus": "declined"}]), id="somebody else declined"),
        pytest.param(item(attendees=[]), id="empty attendees"),
        pytest.param(item(attendees=None), id="null attendees"),
        pytest.param(item(attendees=[None, "me", 3]), id="attendees that are none"),
        pytest.param(item(status="tentative"), id="the event's own status is tentative"),
        pytest.param(item(status="newStatus2027"), id="a status that is new"),
        pytest.param({"id": "evt1", **TIMES}, id="no status"),
        pytest.param(item(transparency="opaque"), id="opaque"),
        pytest.param(item(transparency=None), id="null transparency"),
        pytest.param(item(transparency="newTransparency2027"), id="a transparency that is new"),
        pytest.param(item(eventType="default"), id="default"),
        pytest.param(item(eventType="outOfOffice"), id="out of office"),
        pytest.param(item(eventType="focusTime", focusTimeProperties={"chatStatus": "available"}), id="focus time"),
        pytest.param(item(eventType="fromGmail", endTimeUnspecified=True), id="from Gmail, end unspecified"),
        pytest.param(item(eventType="newGoogleType2027"), id="a type that is new"),
        pytest.param(item(eventType=7), id="a type that is none"),
        pytest.param(item(visibility="private"), id="free/busy access only"),
        pytest.param({"id": "evt1", **DATES}, id="all day and busy"),
    ],
)
def test_an_event_counts_when_google_shows_the_agent_as_busy(counted: dict[str, Any]) -> None:
    """When in doubt a meeting is a meeting."""
    assert judge(parse_event(counted, "Europe/Berlin"), Rules()).counts


@pytest.mark.parametrize(
    ("not_counted", "expected"),
    [
        pytest.param(item(attendees=me("declined")), "declined", id="declined"),
        pytest.param(item(transparency="transparent"), "shown as free", id="free"),
        pytest.param({"id": "evt1", **DATES, "transparency": "transparent"}, "shown as free", id="all day and free"),
        pytest.param(item(eventType="workingLocation"), "a working location", id="working location"),
        pytest.param({"id": "evt1", **DATES, "eventType": "birthday"}, "a birthday", id="birthday"),
        pytest.param(item(end=TIMES["start"]), "has no length", id="no length"),
        pytest.param(item(start=TIMES["end"], end=TIMES["start"]), "has no length", id="ends before it starts"),
    ],
)
def test_an_event_does_not_count_and_says_why(not_counted: dict[str, Any], expected: str) -> None:
    """In words for the team lead."""
    assert expected == judge(parse_event(not_counted, "Europe/Berlin"), Rules()).words


def test_what_is_wanted_is_unavailable_with_the_reason_of_the_settings() -> None:
    """A sub-status only where one is set."""
    assert Setting("unavailable") == Rules().setting
    assert Setting("unavailable", "in_training") == Rules(substatus="in_training").setting


def test_an_event_of_a_moment_counts() -> None:
    """Any length is a length."""
    assert judge(Event("evt1", 10.0, 10.5), Rules()).counts


# -- what has to be read for rules -------------------------------------------------------------------------------------

BY_TITLE = Rules(
    ignore_titles=("lunch", "/x/"), only_titles=("meeting", "lunch"), substatus_by_title=(("training", "in_training"),)
)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param(Rules(), Reads(), id="none"),
        pytest.param(
            Rules(
                lead=60.0,
                lag=60.0,
                bridge=60.0,
                substatus="other",
                enforce=True,
                tentative=False,
                unanswered=False,
                all_day=False,
                out_of_office=False,
                focus_time="do_not_disturb",
                minimum_duration=60.0,
                working_hours=WorkingHours(frozenset({0}), 0, 3600),
                substatus_by_type=(("all_day", "other"),),
            ),
            Reads(),
            id="rules that need nothing more",
        ),
        pytest.param(BY_TITLE, Reads(titles=("/x/", "lunch", "meeting", "training")), id="each pattern once"),
        pytest.param(Rules(minimum_guests=1), Reads(guests=True), id="guests"),
        pytest.param(Rules(only_with_conference=True), Reads(conference=True), id="conference"),
        pytest.param(Rules(ignore_colors=("1",)), Reads(colors=True), id="colours that are ignored"),
        pytest.param(Rules(only_colors=("1",)), Reads(colors=True), id="colours that count"),
        pytest.param(Rules(ignore_labels=("a",)), Reads(labels=True), id="labels that are ignored"),
        pytest.param(Rules(only_labels=("a",)), Reads(labels=True), id="labels that count"),
    ],
)
def test_no_more_is_read_than_a_rule_needs(rules: Rules, expected: Reads) -> None:
    """Titles above all."""
    assert expected == rules.reads


NEEDS = [
    Reads(titles=("a",)),
    Reads(titles=("a", "b")),
    Reads(titles=("a,b",)),
    Reads(titles=("b",)),
    Reads(guests=True),
    Reads(conference=True),
    Reads(colors=True),
    Reads(labels=True),
    Reads(guests=True, labels=True),
]


def test_what_was_read_tells_only_what_it_was_read_for() -> None:
    """So new patterns are not asked of events whose titles were compared with others."""
    marks = [fingerprint("q", 1.0, reads) for reads in (Reads(), *NEEDS)]

    assert len(set(marks)) == len(marks)
    for read, mark in zip((Reads(), *NEEDS), marks, strict=True):
        assert [need for need in NEEDS if tells(mark, need)] == [need for need in NEEDS if need | read == read]


def test_rules_that_need_nothing_more_can_be_asked_of_all_that_was_read() -> None:
    """Whatever it was read for, by whatever version of the program."""
    assert all(tells(mark, Reads()) for mark in ("", "abc", *(fingerprint("q", 1.0, reads) for reads in NEEDS)))
    assert not tells("abc", NEEDS[0])


@pytest.mark.parametrize(
    "rules",
    [
        Rules(only_titles=("a",)),
        Rules(only_colors=("1",)),
        Rules(only_labels=("l",)),
        Rules(minimum_guests=1),
        Rules(only_with_conference=True),
    ],
)
def test_what_cannot_be_known_takes_no_event_away(rules: Rules) -> None:
    """Who may see no more than free and busy is told no title, colour, guest or link: unknown is not free."""
    seen = parse_event(item(), "UTC", rules.reads, "freeBusyReader")

    assert judge(seen, rules).counts
    assert not judge(parse_event(item(), "UTC", rules.reads, "owner"), rules).counts
    assert not judge(replace(seen, response="declined"), rules).counts


def test_the_order_of_patterns_asks_for_no_new_reading() -> None:
    """They are compared with each title anyway."""
    turned = replace(
        BY_TITLE,
        ignore_titles=("/x/", "lunch"),
        only_titles=("lunch",),
        substatus_by_title=(("meeting", "other"), ("training", "other")),
    )

    assert tells(fingerprint("q", 1.0, BY_TITLE.reads), turned.reads)


def test_what_is_read_is_asked_for() -> None:
    """Of everything, what each need stands for."""
    asked = constant_parameters("q", Reads(("a",), guests=True, conference=True, colors=True, labels=True))
    plain = constant_parameters("q")

    assert ("200", "1") == (asked["maxAttendees"], plain["maxAttendees"])
    names = ("summary", "attendeesOmitted", "hangoutLink", "conferenceData", "colorId", "eventLabelId", "resource")
    assert all(name in asked["fields"] for name in names)
    assert not any(name in plain["fields"] for name in names)


HOURS = WorkingHours(frozenset({0}), 9 * 3600, 17 * 3600)


@pytest.mark.parametrize(
    ("own", "zones", "expected"),
    [
        pytest.param("Europe/Paris", ["Asia/Tokyo", "UTC"], "Europe/Paris", id="the settings' own"),
        pytest.param(None, ["Asia/Tokyo", "Europe/Paris"], "Asia/Tokyo", id="the agent's"),
        pytest.param(None, ["", "Asia/Tokyo"], "Asia/Tokyo", id="the agent has none"),
        pytest.param(
            None,
            ["Mars/Olympus_Mons", "", "Europe", "../x", "a\0b", "x" * 5000, "Asia/Tokyo"],
            "Asia/Tokyo",
            id="names of none",
        ),
        pytest.param(None, ["", "Mars/Olympus_Mons"], "UTC", id="none"),
        pytest.param(None, [None, "Asia/Tokyo"], None, id="the agent's is not known yet"),
    ],
)
def test_working_hours_without_a_zone_are_at_home_in_the_first_that_is_known(
    own: str | None, zones: list[Any], expected: str | None
) -> None:
    """The agent's, then their calendars'."""
    found = Rules(working_hours=replace(HOURS, zone=own)).at_home_in(*zones)

    assert Rules(working_hours=replace(HOURS, zone=expected)) == found


def test_rules_without_hours_are_at_home_anywhere() -> None:
    """Nothing changes."""
    assert Rules() == Rules().at_home_in("Asia/Tokyo")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.5, "0.5 s"),
        (59.0, "59 s"),
        (60.0, "1 min"),
        (90.0, "90 s"),
        (3600.0, "1 h"),
        (5400.0, "90 min"),
        (172800.0, "48 h"),
    ],
)
def test_durations_are_spelt_as_people_say_them(seconds: float, expected: str) -> None:
    """In the largest unit that is whole."""
    assert expected == spell(seconds)
