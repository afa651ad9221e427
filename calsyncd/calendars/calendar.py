"""One calendar of one agent as this process knows it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal

from calsyncd.core.channels import Channel
from calsyncd.core.model import Trouble
from calsyncd.core.sync import Bookmark

Cause = Literal["start", "push", "poll", "hand", "confirm", "rules", "probe", "regained"]


@dataclass(slots=True)
class Calendar:
    """`id` is Google's name for it, as the agent sees it; `key` is ours.

    `fresh` once it was read by this process, `tried` once that was attempted. `dirty` asks for a fetch, for
    `cause`; `running` while one is under way, which began at `began_at`. `confirm_empty_at` is when a baseline that
    came back empty may be believed, `confirm` while nothing but a baseline is. `heard_at` is when push last spoke,
    `missed_at` when a poll last found what push had not told; `push_refused` when Google has none for this calendar.
    `loss` is why it cannot be read, if only a human can mend that; `alone` the code of one that was over for others.
    """

    key: str
    agent: str
    id: str
    bookmark: Bookmark | None = None
    synced_at: float | None = None
    fresh: bool = False
    tried: bool = False
    dirty: bool = True
    running: bool = False
    cause: Cause = "start"
    began_at: float = 0.0
    failures: int = 0
    failing_since: float | None = None
    confirm_empty_at: float | None = None
    confirm: bool = False
    trouble: Trouble | None = None
    removed: bool = False
    read: asyncio.Event = field(default_factory=asyncio.Event)
    channels: dict[str, Channel] = field(default_factory=dict)
    keeping: bool = False
    heard_at: float = 0.0
    missed_at: float | None = None
    push_refused: bool = False
    push_failures: int = 0
    push_trouble: Trouble | None = None
    loss: Loss | None = None
    alone: str | None = None

    @property
    def suspended(self) -> bool:
        """Whether it is believed that only a human can bring it back."""
        return self.loss is not None and self.loss.suspended


@dataclass(slots=True, eq=False)
class Loss:
    """Access that was lost at `since`, for one reason, to all of `members`, by key and in the order of their turns.

    `refusals` followed one another; `refused` counts the calendars that were really asked for.
    """

    code: str
    ground: str
    since: float
    refusals: int = 1
    refused: int = 0
    suspended: bool = False
    members: OrderedDict[str, Calendar] = field(default_factory=OrderedDict)


def key_of(email: str, calendar: str) -> str:
    """The name of an agent's calendar in the store and the logs."""
    return f"{email}/{calendar}"
