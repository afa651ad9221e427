"""One agent as this process knows them."""

from __future__ import annotations

from dataclasses import dataclass, field

from calsyncd.core.model import Trouble
from calsyncd.core.plan import FREE, Decision, Facts, Put, Stance
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import Timeline

FOREVER = float("inf")


@dataclass(slots=True)
class Agent:
    """One agent as this process knows them.

    `bound_to` is what the settings say: an Aircall id or an e-mail; `configured` whether they name the agent.
    `ready` once the calendars were read: nobody is judged before. `known_at` is when what is wanted was learned.
    `look_alone` when the list of everybody did not show them. `unwritten` while the ledger lacks the stance.
    """

    email: str
    bound_to: int | str
    rules: Rules = field(default_factory=Rules)
    configured: bool = True
    user: int | None = None
    stance: Stance = FREE
    facts: Facts = field(default_factory=Facts)
    paused_until: float | None = None
    timeline: Timeline | None = None
    complete: bool = False
    ready: bool = False
    known_at: float = 0.0
    busy: bool = False
    failures: int = 0
    waiting: Decision | None = None
    look_alone: bool = False
    updating: bool = False
    trouble: Trouble | None = None
    unwritten: bool = False

    @property
    def owed(self) -> bool:
        """Whether an update is owed to this agent now: it waits, or it is under way."""
        return self.updating or (self.waiting is not None and isinstance(self.waiting.action, Put))
