"""Which events count, from Google's item to the sentence that says why not."""

from __future__ import annotations

from typing import Any

import pytest

from calsyncd.core.model import Event, Setting
from calsyncd.core.rules import Rules, judge
from calsyncd.core.sync import parse_event

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
