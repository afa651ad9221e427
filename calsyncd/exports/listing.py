"""The body of Google's events.list, as its API explorer or a script saves it: an object, a list of them, or items."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from calsyncd.exports.export import ExportError, Pages

_EXPECTED = "expected what events.list answers, an object with `items`, or a list of events"


class Listing:
    """Items that were listed."""

    def __init__(self, text: str) -> None:
        self._items = [(zone, item) for zone, items in _pages(_parsed(text)) for item in items]

    @property
    def zone(self) -> str | None:
        """The first zone that is told."""
        return next((zone for zone, _ in self._items if zone), None)

    def pages(self, window: tuple[float, float], zone: str, agent: str | None) -> Pages:
        """All of it, but of series what touches the window; Google says itself which answer is the agent's.

        Raises:
            ExportError: the rule of a series cannot be spelled out in reasonable time.
        """
        del agent
        known = [(told or self.zone or zone, item) for told, item in self._items]
        pages: list[tuple[str, tuple[Any, ...]]] = []
        unreadable: list[str] = []
        for name, group in groupby(known, key=lambda one: one[0]):
            items = [item for _, item in group]
            if any("recurrence" in item for item in items if isinstance(item, Mapping)):
                # Lists are mostly made with singleEvents=true, and what reads rules takes a while to load.
                from calsyncd.exports.recurring import single_events  # noqa: PLC0415

                items, more = single_events(items, window, name)
                unreadable += more
            pages.append((name, tuple(items)))
        return Pages(tuple(pages), tuple(unreadable))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ExportError(
            "is neither JSON nor iCalendar here: save it again, maybe it is cut off",
            line=error.lineno,
            column=error.colno,
        ) from None
    except (ValueError, RecursionError):
        raise ExportError("holds numbers or nested lists that no export has") from None


def _pages(data: Any) -> list[tuple[str | None, list[Any]]]:
    """Each page's zone and items."""
    if isinstance(data, list):
        if any(isinstance(one, Mapping) and "items" in one for one in data):
            return [_page(one, f"page {number}") for number, one in enumerate(data, 1)]
        if any(not isinstance(one, Mapping) or "id" not in one for one in data):
            raise ExportError(f"a list whose parts are no events, with an `id` each: {_EXPECTED}")
        return [(None, data)]
    if isinstance(data, Mapping) and "items" not in data and "id" in data and "start" in data:
        return [(None, [data])]
    return [_page(data, "the file")]


def _page(page: Any, name: str) -> tuple[str | None, list[Any]]:
    if isinstance(page, Mapping) and "error" in page:
        raise ExportError(f"{name} holds an error that Google answered, and no events: ask it again")
    items = page.get("items") if isinstance(page, Mapping) else None
    if not isinstance(items, list):
        raise ExportError(f"{name} has no list `items`: {_EXPECTED}")
    zone = page.get("timeZone")
    return (zone if isinstance(zone, str) and zone else None), items
