"""An agent's day: as a picture for a terminal, and as lines for everything else.

The picture's smallest unit is half a column, and an hour is a whole number of units, so that what begins with the hour
stands at the hour's mark. Whatever has any length is at least a unit long.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from itertools import chain, groupby, repeat
from textwrap import wrap
from typing import Any

from calsyncd.core.wording import status_word
from calsyncd.terminal.paper import EN_DASH, Paper
from calsyncd.terminal.times import clock, local, spelt, zone_of

UNAVAILABLE = "unavailable"
OURS = "calsyncd"
HOUR = 3600.0
STEPS = (1, 2, 3, 4, 6, 12, 24)
CLEARANCE = 4
"""Two figures of an hour and as much air."""


@dataclass(frozen=True, slots=True)
class Ink:
    """How something is drawn: in Unicode, where that is not shown in ASCII, and in which colour.

    A `solid` is drawn in half columns too.
    """

    means: str
    unicode: str
    ascii: str
    colour: str | None = None
    dim: bool = False
    solid: bool = False


COUNTS = Ink("count", "█", "#", "cyan", solid=True)
NOT_COUNTED = Ink("do not count", "░", ":", dim=True)
WANTED = Ink("wanted", "█", "#", "yellow", solid=True)
PUT = Ink("unavailable by calsyncd", "█", "#", "blue", solid=True)
BY_HAND = Ink("unavailable by others", "▓", "%", "magenta")
ON = Ink("available or Auto", "─", "-", "green")


def lines(body: dict[str, Any], paper: Paper) -> list[str]:
    """The timeline that the API told, one line for each event, span and setting; plain text that programs can read."""
    day = _Day.of(body)
    facts: list[tuple[str, str, str]] = []
    for one in body["events"]:
        whole = "all day" if one["all_day"] else day.between(one)
        what = "counts" if one["why_not"] is None else f"does not count: {one['why_not']}"
        facts.append(("event", whole, f"{what}  (event {one['id']} of {one['calendar']})"))
    if not facts:
        facts.append(("event", "none", ""))
    facts += [("wanted", day.between(one), _setting(one["wanted"])) for one in body["spans"]]
    for one in body["set"]:
        by = f"  by {one['actor']}" if one["actor"] else ""
        why = f": {one['why']}" if by and one.get("why") else ""
        facts.append(("set", day.between(one), f"{status_word(one['availability_status'])}{by}{why}"))
    if day.is_today:
        facts.append(("now", clock(day.now), ""))
    kind, when = (max((len(fact[column]) for fact in facts), default=0) for column in (0, 1))
    return [
        ", ".join([body["email"], *day.title()]),
        *(paper.text(f"{fact[0]:{kind}}  {fact[1]:{when}}  {fact[2]}".rstrip()) for fact in facts),
    ]


def picture(body: dict[str, Any], paper: Paper) -> list[str]:
    """The timeline that the API told, drawn: the events, what is wanted, what was really set, and now."""
    day = _Day.of(body)
    labels = [day.label(one, paper) for one in body["events"]]
    margin = max([len("wanted"), *map(len, labels)])
    scale = _Scale.of(day, paper.width - margin - 3)
    drawn = [
        *_heading(body["email"], day.title(), paper),
        "",
        *_ruler(scale, paper, " " * (margin + 3)),
    ]

    def add(label: str, row: _Row) -> None:
        drawn.extend(
            f" {paper.ink(name.ljust(margin), dim=True)}  {text}".rstrip()
            for name, text in zip(chain([label], repeat("")), row.texts(paper), strict=False)
        )

    for label, one in zip(labels, body["events"], strict=True):
        counts = one["why_not"] is None
        row = _Row(scale, day.is_today)
        row.draw(one, COUNTS if counts else NOT_COUNTED)
        if not counts:
            row.say(paper.text(one["why_not"]), one)
        add(label, row)
    if not body["events"]:
        row = _Row(scale, day.is_today)
        row.words("no events", 0)
        add("", row)
    wanted = _Row(scale, day.is_today)
    for one in body["spans"]:
        wanted.draw(one, WANTED)
    if body["events"]:
        add("wanted", wanted)
    really = _Row(scale, day.is_today)
    # Last what matters most: a unit that several share shows it.
    for one in sorted(body["set"], key=_importance):
        ink = _ink_of(one)
        if ink is not None:
            really.draw(one, ink)
    if not body["set"]:
        really.words("nothing yet" if day.low > day.now.timestamp() else "not known", 0)
    add("set", really)
    if day.is_today:
        drawn.append(_now(scale, day, paper, " " * (margin + 3)))
    drawn += ["", *_legend(body, paper, margin)] if body["events"] or body["set"] else []
    return drawn


@dataclass(frozen=True, slots=True)
class _Day:
    """The window that is told of, in the agent's zone."""

    zone: tzinfo
    name: str
    low: float
    high: float
    now: datetime

    @classmethod
    def of(cls, body: dict[str, Any]) -> _Day:
        zone = zone_of(body["zone"])
        return cls(zone, body["zone"], _at(body["from"]), _at(body["to"]), local(body["now"], zone))

    @property
    def is_today(self) -> bool:
        return self.low <= self.now.timestamp() < self.high

    def title(self) -> list[str]:
        """The date, the zone, and how long the day is where that is not 24 hours."""
        hours = (self.high - self.low) / HOUR
        length = [] if hours == 24 else [f"a day of {hours:g} hours"]
        return [spelt(datetime.fromtimestamp(self.low, self.zone).date()), self.name, *length]

    def label(self, one: dict[str, Any], paper: Paper) -> str:
        """When an event is, as short as can be: what lies outside of the day is left out."""
        if one["all_day"]:
            return "all day"
        start, end = local(one["start"], self.zone), local(one["end"], self.zone)
        more = paper.sign("…", "..")
        before = clock(start) if self.low <= start.timestamp() < self.high else more
        after = more if end.timestamp() > self.high else self._end(end)
        return f"{before}{paper.sign(EN_DASH, '-')}{after}"

    def between(self, one: dict[str, Any]) -> str:
        """`10:00-10:30`; with its date where that is another."""
        start, end = local(one["start"], self.zone), local(one["end"], self.zone)
        dates = ["" if self._is_inside(at) else f"{at:%Y-%m-%d} " for at in (start, end)]
        return f"{dates[0]}{clock(start)}-{dates[1]}{self._end(end)}"

    def _is_inside(self, at: datetime) -> bool:
        return self.low <= at.timestamp() <= self.high

    def _end(self, end: datetime) -> str:
        return "24:00" if end.timestamp() == self.high else clock(end)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where an instant stands: in units, of which an hour has `per_hour`, and of which two are a column.

    `room` is how many columns there are for words.
    """

    day: _Day
    per_hour: int
    units: int
    room: int

    @classmethod
    def of(cls, day: _Day, columns: int) -> _Scale:
        hours = (day.high - day.low) / HOUR
        per_hour = max(2, int(2 * columns / hours))
        if per_hour > 8:
            per_hour -= per_hour % 2
        return cls(day, per_hour, math.ceil(hours * per_hour), columns)

    @property
    def columns(self) -> int:
        return (self.units + 1) // 2

    def unit(self, at: float) -> int:
        """The unit that begins nearest to an instant."""
        return round((at - self.day.low) / HOUR * self.per_hour)

    def column(self, at: float) -> int:
        """The column that an instant falls into."""
        return min(self.columns - 1, int((at - self.day.low) / HOUR * self.per_hour) // 2)

    def stretch(self, one: dict[str, Any]) -> range:
        """The units of something that has a start and an end."""
        start = min(max(self.unit(_at(one["start"])), 0), self.units - 1)
        return range(start, max(min(self.unit(_at(one["end"])), self.units), start + 1))

    def marks(self) -> dict[int, str]:
        """The columns of whole hours by the zone's clock, as many as there is room for, and their figures."""
        wide = (step for step in STEPS if step * self.per_hour >= 2 * CLEARANCE and step * self.per_hour % 2 == 0)
        step = next(wide, STEPS[-1])
        found: dict[int, str] = {}
        at = math.ceil(self.day.low / (HOUR / 4)) * HOUR / 4
        while at < self.day.high:
            shown = datetime.fromtimestamp(at, self.day.zone)
            column = self.unit(at) // 2
            # Where the clock is set, the marks before and after may come too close.
            if shown.minute == 0 and shown.hour % step == 0 and column >= max(found, default=-3) + 3:
                found[column] = f"{shown:%H}"
            at += HOUR / 4
        return found


@dataclass(slots=True)
class _Row:
    """A line of the picture while it is drawn."""

    scale: _Scale
    shows_now: bool
    units: dict[int, Ink] = field(default_factory=dict)
    letters: dict[int, str] = field(default_factory=dict)
    below: list[str] = field(default_factory=list)

    def draw(self, one: dict[str, Any], ink: Ink) -> None:
        """Draw what has a start and an end over what is there."""
        self.units.update(dict.fromkeys(self.scale.stretch(one), ink))

    def words(self, text: str, column: int) -> None:
        """Write over what is there."""
        self.letters.update(enumerate(text, column))

    def say(self, text: str, one: dict[str, Any]) -> None:
        """Write where there is room: behind what was drawn, before it, in it, or else in a line of its own below."""
        bar = self.scale.stretch(one)
        first, last, room = bar.start // 2, (bar.stop - 1) // 2, self.scale.columns
        size = len(text)
        if last + 2 + size <= room:
            self.words(f" {text} "[: room - last - 1], last + 1)
        elif size + 1 <= first:
            self.words(f" {text} "[-first:], max(0, first - 2 - size))
        elif size + 4 <= last - first + 1:
            self.words(f" {text} ", (first + last + 1 - size) // 2 - 1)
        else:
            self.below = wrap(text, self.scale.room)
            if len(self.below) == 1:
                self.below = [" " * max(0, min(first, self.scale.room - size)) + text]

    def texts(self, paper: Paper) -> list[str]:
        """The finished line, and what stands below it."""
        marks = self.scale.marks()
        now = self.scale.column(self.scale.day.now.timestamp()) if self.shows_now else -1
        cells = [self._cell(column, column in marks, column == now, paper) for column in range(self.scale.columns)]
        while cells and cells[-1][0] == " ":
            cells.pop()
        runs = groupby(cells, key=lambda cell: cell[1:])
        text = "".join(paper.ink("".join(cell[0] for cell in run), colour, dim=dim) for (colour, dim), run in runs)
        return [text, *(paper.ink(line, dim=True) for line in self.below)]

    def _cell(self, column: int, mark: bool, now: bool, paper: Paper) -> tuple[str, str | None, bool]:
        if column in self.letters:
            return self.letters[column], None, True
        left, right = self.units.get(2 * column), self.units.get(2 * column + 1)
        ink = right if right is not None and (left is None or right.solid) else left
        if ink is None:
            sign = paper.sign("│", "|") if now else paper.sign("·", ".") if mark else " "
            return sign, None, not now
        sign = paper.sign(ink.unicode, ink.ascii)
        if paper.unicode and ink.solid and left is not right:
            both = left is not None and right is not None and left.solid and right.solid
            sign = "█" if both else "▐" if ink is right else "▌"
        return sign, ink.colour, ink.dim


def _heading(email: str, title: list[str], paper: Paper) -> list[str]:
    """Whose day it is and which, in as many lines as it takes."""
    dash = paper.sign(" · ", " | ")
    found, size = [f" {paper.ink(paper.text(email), bold=True)}"], 1 + len(email)
    for part in title:
        if size + len(dash) + len(part) > paper.width:
            found, size = [*found, f" {part}"], 1 + len(part)
        else:
            found[-1], size = f"{found[-1]}{dash}{part}", size + len(dash) + len(part)
    return found


def _ruler(scale: _Scale, paper: Paper, margin: str) -> Iterable[str]:
    figures, ticks = [" "] * (scale.columns + 2), [" "] * scale.columns
    for column, figure in scale.marks().items():
        figures[column : column + 2] = figure
        ticks[column] = paper.sign("╷", "'")
    yield (margin + paper.ink("".join(figures).rstrip(), dim=True)).rstrip()
    if not scale.day.is_today:
        yield margin + paper.ink("".join(ticks).rstrip(), dim=True)
        return
    now = scale.column(scale.day.now.timestamp())
    before, after = "".join(ticks[:now]), "".join(ticks[now + 1 :]).rstrip()
    sign = paper.ink(paper.sign("▼", "v"), bold=True)
    yield margin + paper.ink(before, dim=True) + sign + paper.ink(after, dim=True)


def _now(scale: _Scale, day: _Day, paper: Paper, margin: str) -> str:
    column, sign = scale.column(day.now.timestamp()), paper.sign("▲", "^")
    words = f"now {clock(day.now)}"
    if column + 2 + len(words) <= scale.columns:
        return margin + " " * column + paper.ink(f"{sign} {words}", bold=True)
    return margin + " " * (column - len(words) - 1) + paper.ink(f"{words} {sign}", bold=True)


def _legend(body: dict[str, Any], paper: Paper, margin: int) -> Iterable[str]:
    """What the signs mean that were used."""
    counts = {one["why_not"] is None for one in body["events"]}
    inks = {_ink_of(one) for one in body["set"]}
    for label, used in (
        ("events", [ink for ink in (COUNTS, NOT_COUNTED) if (ink is COUNTS) in counts]),
        ("set", [ink for ink in (PUT, BY_HAND, ON) if ink in inks]),
    ):
        line, size = f" {paper.ink(label.ljust(margin), dim=True)}", margin + 1
        for ink in used:
            sign = paper.sign(ink.unicode, ink.ascii)
            more = len(sign) + len(ink.means) + 3
            if size + more > paper.width and size > margin + 1:
                yield line
                line, size = " " * (margin + 1), margin + 1
            line += f"  {paper.ink(sign, ink.colour, dim=ink.dim)} {paper.ink(ink.means, dim=True)}"
            size += more
        if used:
            yield line


def _ink_of(one: dict[str, Any]) -> Ink | None:
    status = one["availability_status"]
    if status != UNAVAILABLE:
        return None if status is None else ON
    return PUT if one["actor"] == OURS else BY_HAND


def _importance(one: dict[str, Any]) -> int:
    return [None, ON, BY_HAND, PUT].index(_ink_of(one))


def _setting(setting: dict[str, Any]) -> str:
    substatus = setting["substatus"]
    word = status_word(setting["availability_status"])
    return f"{word} ({substatus})" if substatus else word


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
