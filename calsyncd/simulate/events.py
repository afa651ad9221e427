"""The events of a day, from a file or afresh from Google, taken in by the very code that the daemon reads with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from calsyncd.core.hours import zone_of
from calsyncd.core.model import Event
from calsyncd.core.rules import Reads
from calsyncd.core.sync import WINDOW_BEFORE_SECONDS, Changes, Fetch, MalformedAnswerError
from calsyncd.errors import UserError
from calsyncd.exports import ExportError
from calsyncd.exports import read as read_export

ANY_TITLE = "/^/"
"""A pattern that every title matches: with it titles are asked for."""


@dataclass(slots=True)
class Taken:
    """What was read. `zone` is the calendar's, if it told one; `titles` by event id, only when they are to be shown."""

    zone: str | None = None
    events: list[Event] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)

    def take(self, changes: Changes) -> None:
        """Add what one calendar says."""
        self.events += changes.events
        self.unreadable += [f"event {one.id or '(without id)'}: {one.why}" for one in changes.skipped]

    def hear(self, page: object) -> None:
        """Keep the titles of a page."""
        items = page.get("items") if isinstance(page, Mapping) else None
        for item in items if isinstance(items, list) else ():
            if isinstance(item, Mapping) and isinstance(item.get("summary"), str):
                self.titles[str(item.get("id"))] = item["summary"]


def fetch_over(window: tuple[float, float], quota_user: str, reads: Reads) -> Fetch:
    """A baseline of just this window."""
    low, high = window
    now = low + WINDOW_BEFORE_SECONDS
    return Fetch(now, high - now, quota_user, None, reads)


def with_titles(reads: Reads) -> Reads:
    """The same, with titles read whether or not a rule needs them."""
    return replace(reads, titles=reads.titles or (ANY_TITLE,))


def take_export(
    file: Path, window: tuple[float, float], reads: Reads, *, zone: str, agent: str | None, titles: bool
) -> Taken:
    """What the file holds of the window; `zone` is meant where it tells none. UserError 1 where it cannot be read."""
    name, export = str(file), read_export(file)
    try:
        read = export.pages(window, zone, agent)
    except ExportError as error:
        raise UserError(f"{name}{error.place}: {error}", exit_code=1) from None
    taken = Taken(export.zone if zone_of(export.zone) is not None else None, unreadable=list(read.unreadable))
    fetch = fetch_over(window, "", reads)
    for page in _as_answers(read.pages):
        if titles:
            taken.hear(page)
        try:
            changes = fetch.feed(page)
        except MalformedAnswerError as error:
            raise UserError(f"{name}: {error}", exit_code=1) from None
        if changes is not None:
            taken.take(changes)
    return taken


def _as_answers(pages: tuple[tuple[str, tuple[Any, ...]], ...]) -> Iterable[dict[str, Any]]:
    """The pages as Google would answer them, one after another."""
    for number, (zone, items) in enumerate(pages or (("", ()),), 1):
        last = number >= len(pages)
        token = {"nextSyncToken": "whole"} if last else {"nextPageToken": str(number)}
        yield {"items": list(items), "timeZone": zone, **token}
