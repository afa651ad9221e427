"""What people said of one agent's meetings: which are skipped, and until when an extension holds."""

from __future__ import annotations

from dataclasses import dataclass

from calsyncd.core.model import Event

EXTENSION = "extension"
"""Stands where an event's id does; no id of Google's has an x."""


@dataclass(frozen=True, slots=True)
class Extension:
    """Unavailable in `[since, until)`, with the reason of the meeting that goes on."""

    since: float
    until: float
    substatus: str | None = None


@dataclass(frozen=True, slots=True)
class ByHand:
    """`skipped` are ids of events that do not count, each with when it was to be over when that was said."""

    skipped: tuple[tuple[str, float], ...] = ()
    extension: Extension | None = None

    def skips(self, event: Event) -> bool:
        """Whether this event is skipped: to its end, wherever that is moved; moved to later as a whole it counts."""
        return any(event.id == one and event.start < end for one, end in self.skipped)


NOTHING = ByHand()
