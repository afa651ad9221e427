"""An agent's calendars, read from Google now: nothing is kept, and no sync token of the daemon's is touched."""

from __future__ import annotations

from collections.abc import Mapping

from calsyncd import services
from calsyncd.clock import SystemClock
from calsyncd.config import Agent, Settings
from calsyncd.core.hours import zone_of
from calsyncd.core.rules import Reads
from calsyncd.core.sync import Fetch, MalformedAnswerError, quota_user
from calsyncd.core.troubles import trouble
from calsyncd.errors import ServiceError, UserError
from calsyncd.google.calendar import CalendarApi
from calsyncd.http import Http
from calsyncd.simulate.events import Taken, fetch_over, with_titles


class _Nobody:
    """Is told of requests and counts none."""

    def request_done(self, service: str, route: str, status: int | None, seconds: float) -> None:
        """A request ended."""

    def date_seen(self, service: str, date: float) -> None:
        """An answer carried a date."""


async def take_afresh(
    settings: Settings,
    agent: Agent,
    window: tuple[float, float],
    reads: Reads,
    environ: Mapping[str, str],
    *,
    titles: bool,
) -> Taken:
    """What the agent's calendars hold of the window; UserError 1 where one of them cannot be read."""
    taken = Taken()
    needed = with_titles(reads) if titles else reads
    clock = SystemClock()
    try:
        async with Http(_Nobody(), environ) as http:
            vault = services.open_vault(settings, clock.now, reads_only=True)
            google = services.google_api(settings, http, clock, vault)
            for calendar in agent.calendars:
                fetch = fetch_over(window, quota_user(agent.email), needed)
                await _read(google, (agent.email, calendar), fetch, taken, titles=titles)
    finally:
        clock.close()
    return taken


async def _read(google: CalendarApi, whose: tuple[str, str], fetch: Fetch, taken: Taken, *, titles: bool) -> None:
    email, calendar = whose
    changes = None
    while changes is None:
        try:
            page = await google.list_events(email, calendar, fetch.request())
            changes = fetch.feed(page)
        except ServiceError as error:
            known = trouble(error.code, 0.0, str(error))
            raise UserError(f"{email}: {calendar}: {known.message} ({known.do})", exit_code=1) from None
        except MalformedAnswerError as error:
            raise UserError(f"{email}: {calendar}: Google's answer is malformed: {error}", exit_code=1) from None
        if titles:
            taken.hear(page)
    if taken.zone is None and zone_of(changes.bookmark.time_zone) is not None:
        taken.zone = changes.bookmark.time_zone
    taken.take(changes)
