"""The further calendars in agents' lists: which there are, so that people see what could be followed; none counts.

The list needs a scope beside the least one. Where it was not granted there is nothing to show, and nothing is said.
Titles of calendars are not asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Protocol

from calsyncd.core.model import Listed
from calsyncd.errors import ServiceError
from calsyncd.logs import get_logger
from calsyncd.scheduler import Scheduler

FIRST_SECONDS = 60.0
SPREAD_SECONDS = 3600.0
AGAIN_SECONDS = 86400.0
SCOPE = "calendar.calendarlist.readonly"

log = get_logger(__name__)


class Google(Protocol):
    """What is asked of Google."""

    async def calendars(self, subject: str) -> tuple[Listed, ...] | None:
        """The user's list of calendars; None where it may not be read."""
        ...


class Others:
    """The lists of all agents' calendars, each read daily; `alike` where one's refusal is everybody's."""

    def __init__(self, scheduler: Scheduler, google: Google, *, alike: bool) -> None:
        self._scheduler = scheduler
        self._clock = scheduler.clock
        self._google = google
        self._alike = alike
        self._listed: dict[str, tuple[Listed, ...] | None] = {}
        self._refused: set[str] = set()
        self._refused_until = 0.0
        scheduler.handle("others", self._due)
        scheduler.when_stepped(lambda now, _: self._stepped(now))

    def follow(self, emails: Iterable[str]) -> None:
        """Read the lists of exactly these."""
        wanted = set(emails)
        for email in self._listed.keys() - wanted:
            del self._listed[email]
            self._refused.discard(email)
            self._scheduler.at("others", email, None)
        for email in sorted(wanted - self._listed.keys()):
            self._listed[email] = None
            self._plan(email, self._clock.now() + FIRST_SECONDS)

    def of(self, email: str, followed: Iterable[str]) -> tuple[Listed, ...] | None:
        """The agent's calendars beside those followed; None where they are not known."""
        listed = self._listed.get(email)
        if listed is None:
            return None
        names = set(followed)
        return tuple(one for one in listed if one.id not in names and not (one.primary and "primary" in names))

    def why_not(self, email: str) -> str | None:
        """Why the agent's list is not known, in words; None if it is."""
        if self._listed.get(email) is not None:
            return None
        if email not in self._refused:
            return "not read yet"
        if self._alike:
            return f"it needs the scope {SCOPE} beside calendar.events.readonly, at domain-wide delegation"
        return "agents consent to their events alone, which does not show the list of their calendars"

    def _plan(self, email: str, earliest: float) -> None:
        """Each at another time, which is the agent's own."""
        share = int.from_bytes(hashlib.sha256(email.encode()).digest()[:4]) / 2**32
        self._scheduler.at("others", email, earliest + share * SPREAD_SECONDS)

    def _stepped(self, now: float) -> None:
        self._refused_until = 0.0
        for email in self._listed:
            self._plan(email, now)

    def _due(self, email: str, now: float) -> None:
        if email not in self._listed:
            return
        if now < self._refused_until:
            self._refused.add(email)
            self._plan(email, self._refused_until)
        else:
            self._scheduler.start(self._read(email), f"calendars of {email}")

    async def _read(self, email: str) -> None:
        try:
            listed = await self._google.calendars(email)
        except ServiceError as error:
            # What was known stays: nothing is done by it.
            log.debug("A list of calendars could not be read", action="others_failed", agent=email, why=str(error))
            listed = self._listed.get(email)
        else:
            (self._refused.add if listed is None else self._refused.discard)(email)
            if listed is None and self._alike:
                self._refused_until = self._clock.now() + AGAIN_SECONDS
        if email in self._listed:
            self._listed[email] = listed
            self._plan(email, self._clock.now() + AGAIN_SECONDS - SPREAD_SECONDS / 2)
