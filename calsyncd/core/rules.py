"""Which events count: an event counts exactly when Google shows the agent as busy."""

from __future__ import annotations

from dataclasses import dataclass

from calsyncd.core.model import UNAVAILABLE, Event, Setting

OUT_OF_OFFICE = "outOfOffice"
"""Google's type of an event in which the person is not there at all."""

NEVER_BUSY = frozenset({"workingLocation", "birthday"})
"""Event types that Google never shows as busy."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What one agent's settings say; durations in seconds. `enforce`: a change by hand in a meeting does not stand."""

    lead: float = 0.0
    lag: float = 0.0
    bridge: float = 0.0
    substatus: str | None = None
    enforce: bool = False

    @property
    def setting(self) -> Setting:
        """What is wanted during an event that counts."""
        return Setting(UNAVAILABLE, self.substatus)


def why_not(event: Event) -> str | None:
    """Why `event` does not make the agent busy, in words for the team lead; None if it does."""
    if event.end <= event.start:
        return "has no length"
    if event.transparent:
        return "shown as free"
    if event.response == "declined":
        return "declined"
    if event.kind in NEVER_BUSY:
        return "a working location" if event.kind == "workingLocation" else "a birthday"
    return None
