"""Where Aircall differs from what we believe, and which of it is ours to mend.

Ours is what we put and nothing shows undone. A hold that is not there is looked at again, and then put or left, as the
stance table says. An `unavailable` that history tells of last as ours, while no debt is written down for it, was left
behind: its debt is taken up again, so that it is put back as any other, and only while it is still there. Whatever else
differs is somebody's own change: it is told, and stays. An `unavailable` is that only once a live state has shown that
no call is behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from calsyncd.core.model import AVAILABLE, CUSTOM, UNAVAILABLE, HistoryRow, Observation, Setting
from calsyncd.core.plan import BACK_AGE_SECONDS, SETTLE_SECONDS, Facts, Held, Stance, is_doubtful

Kind = Literal["hold_missing", "hold_left", "changed"]


@dataclass(frozen=True, slots=True)
class Left:
    """An `unavailable` of `at` that we set for `user`, who was `back` before; no debt for it is written down."""

    user: int
    back: str
    at: float
    event: str | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """A difference that was found at `since` and lasts."""

    kind: Kind
    since: float


def left_behind(user: int, last: HistoryRow, written_at: float | None, seen: Observation | None) -> Left | None:
    """What `last`, the last change that history has of an agent, says was left behind; None for nothing.

    `written_at` is when the ledger was last told of `user`: what it was told later than the change counts.
    `seen` is what the user was last seen to be: it says that the change was this user's, and not that of another one
    whom the agent had then.
    """
    ours = (last.outcome, last.actor, last.to) == ("done", "calsyncd", UNAVAILABLE)
    if not ours or last.from_ not in (AVAILABLE, CUSTOM) or (written_at is not None and written_at >= last.at):
        return None
    if seen is None or seen.at < last.at - BACK_AGE_SECONDS:
        return None
    expected = last.from_ if seen.at < last.at else UNAVAILABLE
    return Left(user, last.from_, last.at, last.event) if seen.status == expected else None


def found(
    stance: Stance, facts: Facts, left: Left | None, known: str | None, seen: Observation, *, wanted: bool
) -> Kind | None:
    """What an observation says against what we believe; None where it agrees, or may lag behind our own update.

    `known` is the status that history tells of last, `wanted` whether the agent is to be unavailable now.
    """
    if seen.at < facts.acted_at + SETTLE_SECONDS:
        return None
    if isinstance(stance, Held):
        return "hold_missing" if wanted and seen.status != stance.put.availability_status else None
    if seen.status == UNAVAILABLE and left is not None:
        return "hold_left"
    if known is None or seen.status == known or is_doubtful(seen) is not False:
        return None
    return "changed"


def taken_up(left: Left, seen: Observation) -> Held:
    """The debt for what was left behind: as if its hold had been confirmed by this look, and had to end with it."""
    return Held(
        put=Setting(UNAVAILABLE),
        back=Setting(left.back),
        since=left.at,
        effective=left.at,
        until=seen.as_of,
        event=left.event,
        confirmed_at=seen.at,
    )
