"""What a spectator can do to the scripted day: as an agent, or as somebody who changes an agent's calendar."""

from __future__ import annotations

import math
from dataclasses import dataclass

from calsyncd.sandbox.aircall_users import User
from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.world import Sandbox

MEETING_SECONDS = 20.0
MOVE_SECONDS = 15.0
STATUSES = ("available", "custom", "unavailable")
ACTS = ("meet", "move", "cancel", "decline", *STATUSES)
"""What can be done to an agent's calendar, and the settings that an agent can choose."""


class NotPossible(Exception):
    """What was asked cannot be done now; the message is for the spectator."""


@dataclass(frozen=True, slots=True)
class Target:
    """The meeting that the buttons act on: the one that runs, or else the next one."""

    event: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Echo:
    """What came of an act: when it was done, and the seconds until push had told of it, and until Aircall was updated.

    Each is None while it has not happened; an act that changes nothing for the phone leads to no update.
    """

    what: str
    at: float
    told: float | None
    updated: float | None


class Hands:
    """Acts on the sandbox's Google and Aircall; the daemon learns of it as it would of anybody's doing."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._last: dict[str, tuple[str, float]] = {}

    def target(self, email: str, now: float) -> Target | None:
        """The agent's meeting that makes them busy now, or else the next one that will."""
        busy: dict[str, tuple[tuple[float, float], ...]] = {}
        for revision in self._sandbox.google.calendars[email].revisions:
            busy[revision.event] = revision.busy
        ahead = [Target(event, *span) for event, spans in busy.items() for span in spans if span[1] > now + 1]
        return min(ahead, key=lambda one: (one.start, one.end), default=None)

    def act(self, email: str, what: str, now: float) -> None:
        """Do one of `ACTS` to the agent; NotPossible if that cannot be."""
        if what in STATUSES:
            user = self._user(email).id
            self._last[email] = (what, now)
            self._sandbox.aircall.set_by_hand(user, what)
        else:
            if what != "meet":
                self._known_target(email, now)
            self._last[email] = (what, now)
            {"meet": self._meet, "move": self._move, "cancel": self._cancel, "decline": self._decline}[what](email, now)

    def _meet(self, email: str, now: float) -> None:
        """Put a meeting that starts now into the agent's calendar, with somebody else as the organiser."""
        self._sandbox.google.insert(
            email,
            {
                "summary": "A word, please",
                "start": {"dateTime": second(math.floor(now))},
                "end": {"dateTime": second(now + MEETING_SECONDS)},
                "attendees": [
                    {"email": "host@example.com", "organizer": True, "responseStatus": "accepted"},
                    {"email": email, "responseStatus": "needsAction"},
                ],
            },
        )

    def _move(self, email: str, now: float) -> None:
        """Move the meeting to a little later."""
        target = self._known_target(email, now)
        start, end = target.start + MOVE_SECONDS, target.end + MOVE_SECONDS
        times = {"start": {"dateTime": second(start)}, "end": {"dateTime": second(end)}}
        self._sandbox.google.patch(email, target.event, times)

    def _cancel(self, email: str, now: float) -> None:
        """Cancel the meeting."""
        self._sandbox.google.delete(email, self._known_target(email, now).event)

    def _decline(self, email: str, now: float) -> None:
        """Let the agent decline the meeting."""
        self._sandbox.google.respond(email, self._known_target(email, now).event, "declined")

    def echo(self, email: str) -> Echo | None:
        """What came of the last act on this agent, by the sandbox's own records; None if there was none."""
        if email not in self._last:
            return None
        what, at = self._last[email]
        user = self._user(email).id
        if what in STATUSES:
            hooks = self._sandbox.aircall.webhooks.deliveries
            told = [one.at for one in hooks if (one.user, one.status) == (user, 200)]
        else:
            pushed = self._sandbox.google.push.notifications
            told = [one.at for one in pushed if (one.calendar, one.status) == (email, 200)]
        updated = [one.at for one in self._sandbox.aircall.log if (one.user, one.by) == (user, "api")]
        first = (min((one - at for one in found if one >= at), default=None) for found in (told, updated))
        return Echo(what, at, *first)

    def status(self, email: str) -> str:
        """What the agent's setting is in Aircall."""
        return self._user(email).setting.status

    def _user(self, email: str) -> User:
        user = self._sandbox.aircall.users.find(email, by_email=True)
        if user is None:
            raise NotPossible(f"{email} has no Aircall user")
        return user

    def _known_target(self, email: str, now: float) -> Target:
        target = self.target(email, now)
        if target is None:
            raise NotPossible("there is no meeting ahead")
        return target
