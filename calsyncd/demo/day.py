"""A scripted working day of eight agents, packed into a few minutes.

The script is data: eight hours from `MINUTES`' zero, in minutes; `Day` maps them onto the seconds that it has.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.world import Sandbox

MINUTES = 480.0
"""How long the scripted day is."""

DEFAULT_SECONDS = 180.0
"""How long it takes by default."""

NEXT_AT = 360.0
"""At this minute the calendars hold the next day too: there is always something ahead."""


@dataclass(frozen=True, slots=True)
class Person:
    """One of the day's agents: how the day finds them, and what their case shows."""

    email: str
    name: str
    case: str
    status: str = "available"
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Meeting:
    """At minute `at` an event from `start` to `end` enters the agent's calendar."""

    agent: str
    key: str
    start: float
    end: float
    at: float = 0.0
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Move:
    """At minute `at` an event gets other times."""

    agent: str
    key: str
    start: float
    end: float
    at: float


@dataclass(frozen=True, slots=True)
class Cancel:
    """At minute `at` an event is deleted."""

    agent: str
    key: str
    at: float


@dataclass(frozen=True, slots=True)
class Answer:
    """At minute `at` the agent answers an invitation."""

    agent: str
    key: str
    answer: Literal["accepted", "declined", "tentative"]
    at: float


Step = Meeting | Move | Cancel | Answer

PEOPLE = (
    Person("amy@example.com", "Amy Rudd", "back-to-back"),
    Person("ben@example.com", "Ben Okafor", "nested"),
    Person("chloe@example.com", "Chloé Martin", "declined", zone="Europe/Paris"),
    Person("dan@example.com", "Dan Weiss", "marked free", zone="Europe/Berlin"),
    Person("eve@example.com", "Eve Lindqvist", "out of office", zone="Europe/Stockholm"),
    Person("finn@example.com", "Finn Byrne", "moved, cancelled"),
    Person("grace@example.com", "Grace Kim", "own choice", "unavailable"),
    Person("henri@example.com", "Henri Petit", "Auto hours", "custom", "Europe/Paris"),
)


def _invitation(email: str, answer: str) -> dict[str, Any]:
    return {
        "attendees": [
            {"email": "host@example.com", "organizer": True, "responseStatus": "accepted"},
            {"email": email, "responseStatus": answer},
        ]
    }


STEPS: tuple[Step, ...] = (
    Meeting("amy@example.com", "standup", 24, 48),
    Meeting("amy@example.com", "planning", 48, 80),
    Meeting("amy@example.com", "interview", 280, 340),
    Move("amy@example.com", "interview", 280, 400, at=310),
    Meeting("ben@example.com", "workshop", 64, 200),
    Meeting("ben@example.com", "one-to-one", 96, 136),
    Meeting("ben@example.com", "handover", 436, 472),
    Meeting("chloe@example.com", "newsletter", 40, 120, extra=_invitation("chloe@example.com", "declined")),
    Meeting("chloe@example.com", "review", 160, 220, extra=_invitation("chloe@example.com", "accepted")),
    Meeting("chloe@example.com", "retrospective", 300, 420, extra=_invitation("chloe@example.com", "needsAction")),
    Answer("chloe@example.com", "retrospective", "declined", at=360),
    Meeting("dan@example.com", "birthday cake", 56, 150, extra={"transparency": "transparent"}),
    Meeting("dan@example.com", "sales call", 180, 240, extra={"status": "tentative"}),
    Meeting("dan@example.com", "follow-up", 408, 448),
    Meeting("eve@example.com", "dentist", 110, 290, extra={"eventType": "outOfOffice"}),
    Meeting("eve@example.com", "budget", 140, 180),
    Meeting("finn@example.com", "escalation", 90, 190, at=110),
    Move("finn@example.com", "escalation", 90, 240, at=160),
    Meeting("finn@example.com", "training", 320, 440),
    Cancel("finn@example.com", "training", at=380),
    Meeting("grace@example.com", "supplier", 100, 160),
    Meeting("henri@example.com", "coaching", 130, 210),
    Meeting("henri@example.com", "feedback", 424, 462),
)


@dataclass(slots=True)
class Day:
    """One run of the script, opened at an instant and over `seconds` later."""

    sandbox: Sandbox
    opened: float
    seconds: float = DEFAULT_SECONDS
    steps: tuple[Step, ...] = STEPS
    ids: dict[tuple[str, str], str] = field(default_factory=dict)

    def instant(self, minute: float) -> float:
        """The instant that a minute of the script stands for."""
        return self.opened + minute / MINUTES * self.seconds

    @property
    def closed(self) -> float:
        """When the day is over."""
        return self.instant(MINUTES)

    def perform(self, step: Step) -> None:
        """Do one step through the sandbox's Google; a meeting that a spectator has cancelled stays so."""
        google, key = self.sandbox.google, (step.agent, step.key)
        if key in self.ids and google.get(step.agent, self.ids[key]).get("status") == "cancelled":
            return
        if isinstance(step, Meeting):
            event = {"summary": step.key.capitalize(), **self._times(step.start, step.end), **step.extra}
            self.ids[key] = str(google.insert(step.agent, event)["id"])
        elif isinstance(step, Move):
            google.patch(step.agent, self.ids[key], self._times(step.start, step.end))
        elif isinstance(step, Cancel):
            google.delete(step.agent, self.ids[key])
        else:
            google.respond(step.agent, self.ids[key], step.answer)

    def perform_early(self) -> None:
        """Do what the calendars hold before the day begins."""
        for step in self.steps:
            if step.at <= 0:
                self.perform(step)

    async def run(
        self, now: Callable[[], float] = time.time, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> Day:
        """Do the rest of the steps when their time comes; at the end of the day, the next one, whose early are done."""
        following = replace(self, opened=self.closed, ids={})
        deeds: list[tuple[float, Callable[[], None]]] = [(NEXT_AT, following.perform_early)]
        deeds += [(step.at, partial(self.perform, step)) for step in self.steps if step.at > 0]
        for at, do in sorted(deeds, key=lambda deed: deed[0]):
            await sleep(max(0.0, self.instant(at) - now()))
            do()
        await sleep(max(0.0, self.closed - now()))
        return following

    def _times(self, start: float, end: float) -> dict[str, Any]:
        return {"start": {"dateTime": second(self.instant(start))}, "end": {"dateTime": second(self.instant(end))}}


def add_people(sandbox: Sandbox, people: tuple[Person, ...] = PEOPLE) -> None:
    """Give the day's agents their calendars and Aircall users."""
    for person in people:
        sandbox.add_agent(person.email, name=person.name, zone=person.zone, status=person.status)
