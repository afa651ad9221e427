"""One agent as this process knows them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from calsyncd.core.dispatch import is_spare
from calsyncd.core.drift import Drift, Left
from calsyncd.core.guard import Kept
from calsyncd.core.model import Trouble
from calsyncd.core.plan import FREE, Decision, Facts, Held, Sent, Stance
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import Timeline
from calsyncd.metrics import Wrong

FOREVER = float("inf")

_AS_USUAL, _NOTHING_SEEN = Rules(), Facts()


@dataclass(slots=True)
class Foreseen:
    """The stance of this Aircall user that the boundary at `due` will need written down.

    `on_disk` once the ledger holds it; `over` once it is to be taken back.
    """

    user: int
    stance: Held
    due: float
    on_disk: bool = False
    over: bool = False

    def is_for(self, stance: Stance) -> bool:
        """Whether this stance is the one foreseen: when it was decided makes no difference."""
        if not isinstance(stance, Held):
            return False
        return replace(stance, since=0.0, lost_at=None) == replace(self.stance, since=0.0, lost_at=None)


@dataclass(slots=True)
class Agent:
    """One agent as this process knows them.

    `bound_to` is what the settings say: an Aircall id or an e-mail; `configured` whether they name the agent.
    `ready` once the calendars were read: nobody is judged before. `known_at` is when what is wanted was learned.
    `hinting` while the request under way is a look that only a hint asked for; `updating` from when an update is
    written down until what became of it is, `putting` while the answer to the update `sent` is out.
    `look_alone` once the list of everybody was waited for in vain. `unwritten` while the ledger lacks the stance.
    `failures` counts the looks in a row that failed; `failed_updates` the updates, however many looks were answered
    between.
    `owes_since` is the boundary that is due and not served, `owes_kind` how they are wrong meanwhile, which was counted
    until `wrong_until`; for `rationed` seconds, and since `rationed_at`, they waited for the budget.
    `missing` is how many whole lists in a row lacked the user.
    `writing` counts the writes of the stance that are under way beside requests.
    `status` is the `availability_status` that the history has last, `status_at` when it was last known to be so.
    `foreseen` is what the ledger holds already of the update that the next boundary needs. `indexed` says for what and
    until when their boundaries are in the queue ahead.
    `left` is an `unavailable` of ours without a debt, if history tells of one; `drift` what the list showed otherwise
    than we believe, while it lasts.
    `observe` while nothing is put for this agent; `would` is then the hold that would be. `kept` is why the coverage
    floor keeps the agent. `unextended` is when an extension by hand would have ended that the last word by
    hand took back or replaced.
    """

    email: str
    bound_to: int | str
    rules: Rules = _AS_USUAL
    configured: bool = True
    user: int | None = None
    stance: Stance = FREE
    facts: Facts = _NOTHING_SEEN
    paused_until: float | None = None
    timeline: Timeline | None = None
    complete: bool = False
    ready: bool = False
    known_at: float = 0.0
    busy: bool = False
    hinting: bool = False
    failures: int = 0
    failed_updates: int = 0
    waiting: Decision | None = None
    look_alone: bool = False
    updating: bool = False
    putting: bool = False
    sent: Sent | None = None
    trouble: Trouble | None = None
    unwritten: bool = False
    owes_since: float | None = None
    owes_kind: Wrong | None = None
    wrong_until: float = 0.0
    rationed: float = 0.0
    rationed_at: float | None = None
    missing: int = 0
    status: str | None = None
    status_at: float | None = None
    foreseen: Foreseen | None = None
    writing: int = 0
    indexed: tuple[Timeline, Stance, float] | None = None
    left: Left | None = None
    drift: Drift | None = None
    observe: bool = False
    would: Held | None = None
    kept: Kept | None = None
    unextended: float | None = None

    def why_moved(self, before: Held, after: Held, now: float) -> str:
        """What gave a hold another end: somebody's word, or the calendar."""
        extension = self.timeline.extension_at(now) if self.timeline is not None else None
        if extension is not None and (after.until == extension.end or before.until < extension.end <= after.until):
            return "extended by hand"
        if self.unextended is not None and after.until < self.unextended <= before.until:
            return "not extended any more"
        return "the calendar says another end"

    @property
    def serving(self) -> bool:
        """Whether a request that serves a boundary is under way, or waits for its turn."""
        waits = self.waiting is not None and not is_spare(self.waiting.action)
        return waits or (self.busy and not self.hinting)

    @property
    def owed(self) -> bool:
        """Whether an update is owed to this agent now: it is under way, or what it needs is due and not done."""
        return self.updating or self.owes_since is not None
