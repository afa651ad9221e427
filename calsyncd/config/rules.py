"""The rules of the settings, for the company, a team or an agent, and how they are laid over each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from calsyncd.config import fields
from calsyncd.config.faults import Problem
from calsyncd.config.section import Section
from calsyncd.core import hours
from calsyncd.core import rules as core


class WorkingHours(Section):
    """When a hold may begin."""

    timezone: fields.ZoneName = None
    """Their zone, such as Europe/Paris; left out: the Aircall user's own, else the calendar's."""
    days: fields.Days = Field(default="mon-fri", validate_default=True)
    """The days on which they open: mon-fri, or a list such as [mon, wed, sat]."""
    opens: fields.ClockTime = Field(alias="from")
    """When they open, such as "09:00"."""
    closes: fields.ClosingTime = Field(alias="to")
    """When they close, 24:00 at the latest; where that is not later than `from`, on the day after."""

    @field_validator("closes")
    @classmethod
    def _some_time(cls, value: int, info: ValidationInfo) -> int:
        if value == info.data.get("opens"):
            raise Problem("the same as from; leave working_hours out where a hold may begin at any time")
        return value

    def in_force(self) -> hours.WorkingHours:
        """These hours as decisions are made by them."""
        return hours.WorkingHours(frozenset(self.days), self.opens, self.closes, self.timezone)


class Rules(Section):
    """What a meeting does to an agent's availability.

    An agent's rules are complete here; `model_fields_set` are those that were given in this place.
    """

    tentative: fields.YesOrNo = True
    """Whether events answered "maybe" count."""
    unanswered: fields.YesOrNo = True
    """Whether invitations that were not answered count."""
    all_day: fields.YesOrNo = True
    """Whether all-day events marked busy count."""
    out_of_office: fields.YesOrNo = True
    """Whether out-of-office events count."""
    focus_time: fields.FocusTime = True
    """Whether focus time counts: true, false, or do_not_disturb: only with chats muted."""
    minimum_duration: fields.Duration = 0.0
    """Shorter events do not count, measured before lead and lag."""
    ignore_titles: fields.Patterns = ()
    """Events with such a title do not count: texts that it contains, or /regex/."""
    only_titles: fields.Patterns = ()
    """If not empty, only events with such a title count."""
    ignore_colors: fields.Colors = ()
    """Events of these colours do not count: lavender, sage, grape, flamingo, banana, tangerine, peacock and so on."""
    only_colors: fields.Colors = ()
    """If not empty, only events of these colours count."""
    ignore_labels: fields.Labels = ()
    """Events with one of these label ids do not count."""
    only_labels: fields.Labels = ()
    """If not empty, only events with one of these label ids count."""
    minimum_guests: fields.Guests = 0
    """Events with fewer guests, the agent and rooms not counted, do not count: 0 to 100."""
    only_with_conference: fields.YesOrNo = False
    """Whether only events with a conference link count."""
    lead: fields.Padding = 0.0
    """Unavailable this long before a meeting: 12h at most."""
    lag: fields.Padding = 0.0
    """And this long after it: 12h at most."""
    bridge: fields.Padding = 0.0
    """A gap between meetings shorter than this is not worth coming back for."""
    working_hours: WorkingHours | None = None
    """When a hold may begin; it ends whenever its meetings do. null: at any time."""
    substatus: fields.Substatus = None
    """The reason that Aircall shows: out_for_lunch, on_a_break, in_training, doing_back_office, other, or null."""
    substatus_by_title: fields.SubstatusByTitle = Field(default_factory=dict)
    """Another reason by title, such as {lunch: out_for_lunch}; what stands first goes first."""
    substatus_by_type: fields.SubstatusByType = Field(default_factory=dict)
    """Another reason by type: out_of_office, focus_time or all_day; a title's reason goes before it."""
    on_manual_change: fields.OnManualChange = "respect"
    """Who changes their setting in a meeting keeps it (respect), or is made unavailable again (enforce)."""

    def in_force(self) -> core.Rules:
        """These rules as decisions are made by them."""
        hours = self.working_hours
        return core.Rules(
            lead=self.lead,
            lag=self.lag,
            bridge=self.bridge,
            substatus=self.substatus,
            enforce=self.on_manual_change == "enforce",
            tentative=self.tentative,
            unanswered=self.unanswered,
            all_day=self.all_day,
            out_of_office=self.out_of_office,
            focus_time=self.focus_time,
            minimum_duration=self.minimum_duration,
            ignore_titles=self.ignore_titles,
            only_titles=self.only_titles,
            ignore_colors=tuple(core.COLOURS[name] for name in self.ignore_colors),
            only_colors=tuple(core.COLOURS[name] for name in self.only_colors),
            ignore_labels=self.ignore_labels,
            only_labels=self.only_labels,
            minimum_guests=self.minimum_guests,
            only_with_conference=self.only_with_conference,
            working_hours=hours.in_force() if hours is not None else None,
            substatus_by_title=tuple(self.substatus_by_title.items()),
            substatus_by_type=tuple(self.substatus_by_type.items()),
        )


def laid_over(layers: Iterable[Rules]) -> Rules:
    """All of `layers` in one, key by key: what a later one was given goes before what an earlier one was.

    Its `model_fields_set` are those that the last layer was given.
    """
    given: dict[str, Any] = {}
    last: set[str] = set()
    for layer in layers:
        last = layer.model_fields_set
        given |= {key: getattr(layer, key) for key in last}
    return Rules.model_construct(_fields_set=set(last), **given)
