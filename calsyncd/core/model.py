"""The words of calsyncd, one for each thing.

agent       a person: a Google account and an Aircall user
calendar    one of Google's calendars of an agent; event, instance, channel and sync token are Google's words too
baseline    a full fetch of a calendar's window; a delta is a fetch by sync token
span        half-open `[start, end)` with what is wanted in it
timeline    an agent's spans: padded, united, bridged, ordered, disjoint
stretch     an unbroken run of spans, whatever their reasons
boundary    an instant at which what is wanted changes
setting     Aircall's `availability_status` and `substatus`
live state  Aircall's read-only `availability`: in_call, offline ...
hint        a webhook's word that an agent's setting may have changed: a reason to look, no observation
look        a read of an agent's setting; an observation is what it showed, and when
stance      where we stand with an agent: free, held, standing back
ledger      the file of stances: our debts, older than any database
override    the agent's own change while held: we stand back
update      one PUT to Aircall
budget      the requests that Aircall grants the company in a minute
agenda      the one priority queue of (due, key)

Every instant is a float of epoch seconds, UTC; every duration is in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

AVAILABLE = "available"
CUSTOM = "custom"
UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Setting:
    """What Aircall calls `availability_status` and `substatus`; both are open sets when read."""

    availability_status: str
    substatus: str | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What a look showed. `at` is when the look was sent, `answered_at` when its answer came, if that is known.

    The setting was so at some instant between the two: `at` orders looks and updates, `as_of` says how fresh it is,
    so that a slow service's answers are not stale before they come. `live` is the live state, or None when it was
    not asked for or could not be read.
    """

    setting: Setting
    at: float
    live: str | None = None
    answered_at: float | None = None

    @property
    def as_of(self) -> float:
        """The latest instant at which the setting can have been so."""
        return self.at if self.answered_at is None else self.answered_at

    @property
    def status(self) -> str:
        """The observed `availability_status`."""
        return self.setting.availability_status


@dataclass(frozen=True, slots=True)
class Event:
    """What a decision may need of one Google event; never its title.

    `start` and `end` are instants: an all-day event was read in its calendar's zone.
    `response` is the agent's own answer, or None when the agent is not among the attendees. `chat` is how a focus time
    shows in chats. `mark` is what a program wrote into the event's private property `calsyncd`: ignore or busy.
    What follows is known only while a rule needs it: `titles` are the patterns of the settings that its title matched,
    `color` and `label` are Google's ids, `guests` counts those invited beside the agent and rooms, `conference` says
    whether there is a link to one. Where they cannot be known the event is not `told`, and no rule about them takes it
    away.
    """

    id: str
    start: float
    end: float
    series: str | None = None
    all_day: bool = False
    kind: str = "default"
    transparent: bool = False
    response: str | None = None
    updated: str = ""
    chat: str | None = None
    mark: str | None = None
    titles: tuple[str, ...] = ()
    color: str | None = None
    label: str | None = None
    guests: int | None = None
    conference: bool | None = None
    told: bool = True


@dataclass(frozen=True, slots=True)
class Span:
    """`[start, end)` during which `setting` is wanted, because of `event`."""

    start: float
    end: float
    setting: Setting
    event: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that keeps one agent or calendar from being right: what, what to do, whose turn."""

    code: str
    message: str
    do: str
    owner: str
    since: float = field(default=0.0)


@dataclass(frozen=True, slots=True)
class Listed:
    """A calendar in a Google user's list: its id, whether it is their primary one, and their access, as Google says."""

    id: str
    primary: bool
    access: str


@dataclass(frozen=True, slots=True)
class User:
    """An Aircall user: id, e-mail in lower case, and what the answer showed of setting, zone and name, if it did."""

    id: int
    email: str
    observation: Observation | None
    time_zone: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One change that was made, or left alone.

    What follows `actor` makes the answer to "why?" exact; None where it does not apply or was not recorded. The change
    came later than `after`, when the former setting was last known to be so, and not later than `at`. `until` is when
    what begins here was to end, as known then; `begins` and `ends` are the times that `event` had then. `substatus` is
    the reason that was put.
    """

    at: float
    agent: str
    from_: str | None
    to: str | None
    outcome: str
    why: str
    event: str | None
    late_ms: int | None
    actor: str
    after: float | None = None
    until: float | None = None
    begins: float | None = None
    ends: float | None = None
    substatus: str | None = None
