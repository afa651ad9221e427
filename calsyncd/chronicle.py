"""What was done, and what was set when: the history, asked for by operators."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import Any, Protocol

from calsyncd.clock import Clock
from calsyncd.core.model import HistoryRow
from calsyncd.core.moments import Moment
from calsyncd.core.past import CHANGES, Cursor, Filter, Query, stretches
from calsyncd.view import history_view, settings_view, time_out

PIECE = 250
"""So many records are read before others have their turn."""
EMPTY = "until must be later than since"


class Archive(Protocol):
    """What is kept."""

    async def changes_before(self, agent: str | None, at: float) -> list[HistoryRow]:
        """The last change of a setting before `at`, for one agent or for each."""
        ...


class Annals(Protocol):
    """What was done; also what is still to be written."""

    async def history(self, agent: str | None = None, since: float = 0.0) -> list[HistoryRow]:
        """What was done since `since`, in order."""
        ...

    async def page(self, which: Filter, cursor: Cursor, limit: int) -> list[HistoryRow]:
        """The next records that are asked for, in order, `limit` at most."""
        ...


class Chronicle:
    """`zone` is an agent's, or what holds for whoever has none; `settings` what is set now of each who is followed."""

    def __init__(
        self,
        clock: Clock,
        archive: Archive,
        annals: Annals,
        *,
        zone: Callable[[str | None], tzinfo],
        settings: Callable[[], Mapping[str, str | None]],
    ) -> None:
        self._clock = clock
        self._archive = archive
        self._annals = annals
        self._zone = zone
        self._settings = settings

    async def history(self, query: Query, most: int) -> dict[str, Any] | None:
        """The next records that are asked for, at most so many, and the cursor of what is left, if anything is.

        Times without an offset are by each agent's own clock. None if nothing is known of the agent asked for.
        ValueError if `until` is not later than `since`.
        """
        now = self._clock.now()
        if query.agent is not None and not await self._is_known(query.agent):
            return None
        windows: dict[str | None, tuple[float, float]] = {}
        for email in [query.agent] if query.agent is not None else [None, *self._settings()]:
            zone = self._zone(email)
            since = query.since.at(zone, now) if query.since is not None else 0.0
            windows[email] = since, query.until.at(zone, now) if query.until is not None else math.inf
        if all(low >= high for low, high in windows.values()):
            raise ValueError(EMPTY)
        which = Filter(
            agent=query.agent,
            since=min(low for low, _ in windows.values()),
            until=max(high for _, high in windows.values()),
            outcomes=query.outcomes,
            actor=query.actor,
        )
        found: list[dict[str, Any]] = []
        cursor, left = query.cursor, True
        while left:
            rows = await self._annals.page(which, cursor, PIECE)
            left = len(rows) == PIECE
            for row in rows:
                low, high = windows[row.agent if row.agent in windows else None]
                if low <= row.at < high:
                    if len(found) == most:
                        return self._page(found, cursor)
                    found.append(history_view(row))
                cursor = cursor.past(row)
        return self._page(found, None)

    def _page(self, found: list[dict[str, Any]], cursor: Cursor | None) -> dict[str, Any]:
        return {
            "history": found,
            "zones": {email: str(self._zone(email)) for email in sorted({one["agent"] for one in found})},
            "cursor": None if cursor is None else str(cursor),
        }

    async def settings(self, email: str, since: Moment | None, until: Moment | None) -> dict[str, Any] | None:
        """What was really set from `since` (else as long as it is known) until `until`, or now; None of a stranger.

        ValueError if `until` is not later than `since`.
        """
        if not await self._is_known(email):
            return None
        now = self._clock.now()
        zone = self._zone(email)
        low = since.at(zone, now) if since is not None else 0.0
        high = until.at(zone, now) if until is not None else math.inf
        if low >= high:
            raise ValueError(EMPTY)
        high = min(high, now)
        low = min(low, high)
        before = await self._archive.changes_before(email, low)
        rows = [*before, *await self._annals.history(email, low)]
        if not before and (since is None or any(row.outcome in CHANGES for row in rows)):
            # What was set before the first change that is kept, and since when, nobody knows.
            low = min((row.at for row in rows if row.outcome in CHANGES and row.at < high), default=high)
        return {
            "email": email,
            "zone": str(zone),
            "from": time_out(low),
            "to": time_out(high),
            "set": settings_view(stretches(rows, self._settings().get(email), low, high)) if low < high else [],
        }

    async def _is_known(self, email: str) -> bool:
        """Whether the agent is followed, or the history tells of them."""
        return email in self._settings() or bool(await self._annals.page(Filter(agent=email), Cursor(), 1))
