"""A simulated day as text for a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo
from typing import Any

from calsyncd.core.hours import zone_of
from calsyncd.core.model import Event, Setting
from calsyncd.core.rules import Verdict
from calsyncd.core.simulate import KeptOut, Simulated, differences, otherwise
from calsyncd.core.wording import status_word
from calsyncd.simulate.command import Outcome
from calsyncd.view import time_out

LETTERS = "AB"
MOST_UNREADABLE = 20


def as_text(outcome: Outcome) -> str:
    """The day in lines: of two sets of rules their differences first, then each by itself."""
    writer = _Writer(outcome)
    return "\n".join(line.rstrip() for line in writer.lines()) + "\n"


class _Writer:
    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._zone: tzinfo | None = zone_of(outcome.zone)
        first = outcome.sets[0][1]
        self._low, self._high = first.low, first.high

    def lines(self) -> Iterator[str]:
        outcome = self._outcome
        events = len(outcome.sets[0][1].judged)
        yield (
            f"{outcome.day:%A, %Y-%m-%d}, {outcome.zone} ({length(self._high - self._low)}):"
            f" {_count(events, 'event')} in {outcome.source}"
        )
        if outcome.unreadable:
            yield f"Left out, since they cannot be read: {_count(len(outcome.unreadable), 'event')}"
            yield from (f"  {_printable(words)}" for words in outcome.unreadable[:MOST_UNREADABLE])
            if len(outcome.unreadable) > MOST_UNREADABLE:
                yield "  ..."
        if len(outcome.sets) == 1:
            name, day = outcome.sets[0]
            yield f"Rules: {name}"
            yield from self._day(day)
            return
        yield from self._compared()
        for letter, (name, day) in zip(LETTERS, outcome.sets, strict=True):
            yield ""
            yield f"Under {letter}, {name}"
            yield from self._day(day)

    def _compared(self) -> Iterator[str]:
        days = [day for _, day in self._outcome.sets]
        for letter, (name, _) in zip(LETTERS, self._outcome.sets, strict=True):
            yield f"Rules {letter}: {name}"
        rows = [
            ("", "A", "B"),
            ("updates", *(str(day.updates) for day in days)),
            ("unavailable", *(length(day.unavailable_seconds) for day in days)),
            ("events that count", *(str(sum(one.verdict.counts for one in day.judged)) for day in days)),
        ]
        yield ""
        yield from _columns(rows)
        found = differences(*days)
        yield ""
        if not found:
            yield "No minute of the day differs."
        else:
            yield "Where they differ"
            yield from _columns(
                (
                    self._times(one.start, one.end),
                    length(one.end - one.start),
                    f"A {_word(one.first)}",
                    f"B {_word(one.second)}",
                )
                for one in found
            )
        judged = otherwise(*days)
        if judged:
            yield ""
            yield "Events that count under one of them only"
            yield from _columns(
                (self._span(event), f"A: {_verdict(first)}", f"B: {_verdict(second)}", self._title(event))
                for event, first, second in judged
            )

    def _day(self, day: Simulated) -> Iterator[str]:
        yield ""
        yield f"{_count(day.updates, 'update')}, {length(day.unavailable_seconds)} unavailable"
        yield from _columns(
            (self._times(span.start, span.end), self._inside(span.start, span.end), _word(span.setting))
            for span in day.holds
        )
        counted = [one.event for one in day.judged if one.verdict.counts]
        if counted:
            yield ""
            yield f"{_count(len(counted), 'event')} count{'s' if len(counted) == 1 else ''}"
            yield from _columns((self._span(event), self._title(event)) for event in counted)
        for kept in day.kept_out:
            yield ""
            yield f"{_why(kept)}: {_count(kept.events, 'event')}, {length(kept.seconds)}"
            yield from _columns(
                (self._span(one.event), one.verdict.words if kept.rule else "", self._title(one.event))
                for one in day.judged
                if not one.verdict.counts and (one.verdict.rule or one.verdict.words) == (kept.rule or kept.words)
            )

    def _span(self, event: Event) -> str:
        whole = event.all_day and event.start <= self._low and event.end >= self._high
        return "all day" if whole else self._times(event.start, event.end)

    def _times(self, start: float, end: float) -> str:
        first, last = self._time(start), self._time(end)
        return f"{first}-{last}" if "-" not in first + last else f"{first} - {last}"

    def _time(self, at: float) -> str:
        """The time by the clock; with its day where that is another one."""
        local = datetime.fromtimestamp(at, self._zone)
        clock = local.strftime("%H:%M:%S" if local.second else "%H:%M")
        if at == self._high:
            return "24:00"
        if self._low <= at < self._high:
            twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
            return clock + (local.strftime("%z") if twice else "")
        return f"{local:%Y-%m-%d} {clock}"

    def _inside(self, start: float, end: float) -> str:
        return length(min(end, self._high) - max(start, self._low))

    def _title(self, event: Event) -> str:
        return _printable((self._outcome.titles or {}).get(event.id, ""))


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The day for programs; times as the API writes them."""
    days = [day for _, day in outcome.sets]
    body: dict[str, Any] = {
        "day": outcome.day.isoformat(),
        "zone": outcome.zone,
        "from": time_out(days[0].low),
        "to": time_out(days[0].high),
        "unreadable": list(outcome.unreadable),
        "sets": [_set_out(name, day, outcome) for name, day in outcome.sets],
    }
    if len(days) == 2:
        body["differences"] = [
            {
                "start": time_out(one.start),
                "end": time_out(one.end),
                "wanted": [_setting_out(one.first), _setting_out(one.second)],
            }
            for one in differences(*days)
        ]
    return body


def _set_out(name: str, day: Simulated, outcome: Outcome) -> dict[str, Any]:
    return {
        "rules": name,
        "updates": day.updates,
        "unavailable_seconds": day.unavailable_seconds,
        "spans": [
            {
                "start": time_out(span.start),
                "end": time_out(span.end),
                "wanted": _setting_out(span.setting),
                "event": span.event,
            }
            for span in day.spans
        ],
        "kept_out": [
            {"rule": one.rule, "why_not": _why(one), "events": one.events, "seconds": one.seconds}
            for one in day.kept_out
        ],
        "events": [
            {
                "id": one.event.id,
                "start": time_out(one.event.start),
                "end": time_out(one.event.end),
                "all_day": one.event.all_day,
                "why_not": None if one.verdict.counts else one.verdict.words,
                "rule": one.verdict.rule,
                **({"title": outcome.titles.get(one.event.id)} if outcome.titles is not None else {}),
            }
            for one in day.judged
        ],
    }


def _setting_out(setting: Setting | None) -> dict[str, str | None] | None:
    if setting is None:
        return None
    return {"availability_status": setting.availability_status, "substatus": setting.substatus}


def length(seconds: float) -> str:
    """A duration in hours, minutes and seconds, as far as they are there."""
    whole = round(seconds)
    parts = [(whole // 3600, "h"), (whole % 3600 // 60, "min"), (whole % 60, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 min"


def _why(kept: KeptOut) -> str:
    return kept.rule or kept.words


def _verdict(said: Verdict) -> str:
    return "counts" if said.counts else said.words


def _word(setting: Setting | None) -> str:
    if setting is None:
        return "free"
    word = status_word(setting.availability_status)
    return f"{word} ({setting.substatus})" if setting.substatus else word


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _printable(text: str) -> str:
    """The text without what could move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _columns(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Rows whose cells stand below each other."""
    known = list(rows)
    widths = [max(len(row[column]) for row in known) for column in range(len(known[0]))] if known else []
    for row in known:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
