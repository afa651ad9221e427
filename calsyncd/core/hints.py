"""What Aircall's webhooks are good for: they say when to look, never what is so.

Theory. A webhook has a token and no signature; it may be late, lost, doubled or out of order, and it may tell of our
own update. So what it tells is only compared. A message that tells what is known already is nothing; any other makes
what was seen stale, and is a hint: open until a look shows what it told. A read may lag behind a change, so a look
that shows something else is followed by one more, and then what is there is believed. However many messages come, an
agent is looked at once, then at most once in `PAUSE_SECONDS`, and the last look is sent after the last message.

Fact: what is said of a user by an update's answer or a message is the `availability_status`; messages come when it
turns to or from `unavailable`, not when it goes from `available` to `custom` (not established: no code hangs on it).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from calsyncd.core.model import AVAILABLE, CUSTOM, UNAVAILABLE, Observation

PAUSE_SECONDS = 5.0
"""For so long a look is fresh to any update: in this time messages make nothing stale that was just seen."""

LAG_SECONDS = 5.0

_WORDS = frozenset({AVAILABLE, CUSTOM, UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Hint:
    """That messages told of something unknown, the newest of them at `at`: a look is wanted from `due` on.

    `told` are the statuses they named, None for one that said nothing comparable; `missed` that a look sent since has
    not shown them all.
    """

    at: float
    due: float
    told: frozenset[str | None]
    missed: bool = False


@dataclass(frozen=True, slots=True)
class Hints:
    """What messages have told of one agent, and what looks have made of it.

    `looked_at` is when the last look was answered that an open hint waited for.
    """

    open: Hint | None = None
    looked_at: float = 0.0

    @property
    def due(self) -> float | None:
        """From when on a look is wanted; None where nothing is open."""
        return None if self.open is None else self.open.due

    def told(self, status: str | None, known: Observation | None, now: float) -> Hints:
        """These hints after a message that named `status`, or none. `known` is what the setting is known to be."""
        if status is not None and known is not None and status == known.status:
            return self
        before: frozenset[str | None] = self.open.told if self.open is not None else frozenset()
        word = status if status in _WORDS else None
        return replace(self, open=Hint(now, max(now, self.looked_at + PAUSE_SECONDS), before | {word}))

    def answered(self, status: str) -> Hints:
        """These hints after an update of ours whose answer showed `status`: a message that told it was its echo."""
        if self.open is None:
            return self
        told = self.open.told - {status}
        return replace(self, open=replace(self.open, told=told) if told else None)

    def looked(self, known: Observation | None, seen: Observation) -> Hints:
        """These hints after a look. `known` is what was known before it."""
        turned = known is not None and seen.status != known.status
        hint = self.open
        if hint is None:
            return self
        left = hint.told - {seen.status} - (frozenset({None}) if turned else frozenset())
        if not left:
            return replace(self, open=None, looked_at=seen.as_of)
        if seen.at < hint.at:
            after: Hint | None = replace(hint, due=max(hint.due, seen.as_of + PAUSE_SECONDS))
        else:
            after = None if hint.missed else replace(hint, due=seen.as_of + LAG_SECONDS, missed=True)
        return replace(self, open=after, looked_at=seen.as_of)
