"""What people said of one agent's meetings: which are skipped, and until when an extension holds."""

from __future__ import annotations

from dataclasses import dataclass

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
    """`skipped` are ids of events that do not count, each with when it is over."""

    skipped: tuple[tuple[str, float], ...] = ()
    extension: Extension | None = None

    def skips(self, event: str) -> bool:
        """Whether this event is skipped."""
        return any(event == one for one, _ in self.skipped)


NOTHING = ByHand()
