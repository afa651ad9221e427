"""A company that is busy every second, and what its phones should show."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.limits import Window
from calsyncd.sandbox.world import Sandbox

AHEAD_SECONDS = 9.0
"""So far each calendar is filled."""

LENGTHS = (1, 2, 2, 3, 4, 10)
"""Of meetings and of the time between two, in seconds."""

REQUESTS_PER_MINUTE = 600
"""The most that the settings allow: enough for every boundary."""

Spans = dict[str, tuple[float, float]]


@dataclass
class Company:
    """Agents with short meetings, which are changed by chance, and users who are none of the daemon's business."""

    sandbox: Sandbox
    chance: random.Random
    usual: dict[str, str] = field(default_factory=dict)
    users: dict[str, int] = field(default_factory=dict)
    strangers: list[int] = field(default_factory=list)
    spans: dict[str, Spans] = field(default_factory=dict)
    edited_at: dict[str, float] = field(default_factory=dict)

    def populate(self, agents: int = 8, strangers: int = 4) -> list[str]:
        """Make them all; the agents' addresses."""
        self.sandbox.aircall.switches.budget = Window(100_000)
        for number in range(1, agents + strangers + 1):
            who = f"agent{number}@example.com"
            status = self.chance.choice(("available", "custom"))
            self.sandbox.add_agent(who, user_id=number, status=status)
            if number > agents:
                self.strangers.append(number)
            else:
                self.usual[who], self.users[who], self.spans[who], self.edited_at[who] = status, number, {}, 0.0
        return list(self.usual)

    def fill(self) -> None:
        """Give everybody meetings for the next seconds."""
        now = time.time()
        for who, spans in self.spans.items():
            last = max((end for _, end in spans.values()), default=now - 5)
            while last < now + AHEAD_SECONDS:
                start = last + self.chance.choice(LENGTHS)
                last = start + self.chance.choice(LENGTHS)
                self._add(who, start, last)

    def edit(self) -> None:
        """One person changes one meeting: moves it, deletes it, or makes a new one that may have begun already."""
        who = self.chance.choice(list(self.spans))
        now, spans = time.time(), self.spans[who]
        coming = [event for event, (_, end) in spans.items() if end > now]
        match self.chance.choice(("move", "delete", "new")):
            case "move" if coming:
                event = self.chance.choice(coming)
                start = round(now) + self.chance.choice((-1, 0, 1, 3))
                end = start + self.chance.choice(LENGTHS)
                self.sandbox.google.patch(who, event, _times(start, end))
                spans[event] = (float(start), float(end))
            case "delete" if coming:
                self._delete(who, self.chance.choice(coming))
            case _:
                start = round(now) + self.chance.choice((-1, 0, 2))
                self._add(who, start, start + self.chance.choice(LENGTHS))
        self.edited_at[who] = now

    def clear(self) -> None:
        """Every meeting that has not ended is deleted."""
        now = time.time()
        for who, spans in self.spans.items():
            for event in [event for event, (_, end) in spans.items() if end > now]:
                self._delete(who, event)
            self.edited_at[who] = now

    def wrong(self) -> dict[str, str]:
        """Whose phone shows another setting than it should now, and how."""
        now = time.time()
        found = {}
        for who, spans in self.spans.items():
            wanted = "unavailable" if any(start <= now < end for start, end in spans.values()) else self.usual[who]
            shown = self.sandbox.aircall.setting(self.users[who]).status
            if shown != wanted:
                found[who] = f"{shown} instead of {wanted}"
        return found

    def last_by_us(self) -> dict[int, str]:
        """The status of each user's last update through the API."""
        return {entry.user: entry.after.status for entry in self.sandbox.aircall.log if entry.by == "api"}

    def _add(self, who: str, start: float, end: float) -> None:
        start, end = round(start), round(end)
        event = self.sandbox.google.insert(who, {"summary": "Busy", **_times(start, end)})
        self.spans[who][str(event["id"])] = (start, end)

    def _delete(self, who: str, event: str) -> None:
        self.sandbox.google.delete(who, event)
        del self.spans[who][event]


def _times(start: float, end: float) -> dict[str, dict[str, str]]:
    return {"start": {"dateTime": second(start)}, "end": {"dateTime": second(end)}}
