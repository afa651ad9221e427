"""Recurring series: the instances of a master with a simple DAILY or WEEKLY rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from calsyncd.sandbox.google_times import moment, shifted

MOST_INSTANCES = 730
"""An endless series is expanded this far; Google's own limit for such a series is of this size."""

_DAYS = {"MO": 0, "TU": 1, "WE": 2, "TH": 3, "FR": 4, "SA": 5, "SU": 6}
_KEYS = frozenset({"FREQ", "COUNT", "UNTIL", "INTERVAL", "BYDAY", "WKST"})


class UnsupportedRuleError(ValueError):
    """The rule is wrong, or one which the sandbox does not expand."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One occurrence of a series, as the rule has it."""

    id: str
    original: dict[str, Any]
    start: dict[str, Any]
    end: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """A parsed RRULE."""

    weekly: bool
    interval: int
    count: int | None
    until: datetime | None
    weekdays: tuple[int, ...]


def parse_rule(lines: object) -> Rule:
    """The rule of a `recurrence` list; raises `UnsupportedRuleError` for what is not expanded."""
    if not isinstance(lines, list) or len(lines) != 1 or not str(lines[0]).startswith("RRULE:"):
        raise UnsupportedRuleError("exactly one RRULE is supported")
    pairs = [part.partition("=") for part in str(lines[0]).removeprefix("RRULE:").split(";")]
    fields = {key: value for key, _, value in pairs}
    if set(fields) - _KEYS or fields.get("FREQ") not in {"DAILY", "WEEKLY"} or {"COUNT", "UNTIL"} <= set(fields):
        raise UnsupportedRuleError(f"unsupported rule {lines[0]}")
    try:
        return Rule(
            weekly=fields["FREQ"] == "WEEKLY",
            interval=int(fields.get("INTERVAL", "1")),
            count=int(fields["COUNT"]) if "COUNT" in fields else None,
            until=_until(fields["UNTIL"]) if "UNTIL" in fields else None,
            weekdays=tuple(sorted(_DAYS[day] for day in fields["BYDAY"].split(","))) if "BYDAY" in fields else (),
        )
    except (KeyError, ValueError) as err:
        raise UnsupportedRuleError(f"unsupported rule {lines[0]}") from err


def instances(master: Mapping[str, Any], zone: str) -> list[Instance]:
    """Every instance of a master on a calendar in `zone`, in order."""
    start, end = moment(master.get("start"), zone), moment(master.get("end"), zone)
    if start is None or end is None:
        return []
    rule = parse_rule(master["recurrence"])
    own = master["start"]
    local = start if "date" in own else start.astimezone(ZoneInfo(str(own.get("timeZone") or zone)))
    length = end - start
    whole_days = (end.date() - start.date()).days
    found = []
    for begin in _starts(rule, local):
        until = begin + timedelta(days=whole_days) if "date" in own else _later(begin, length)
        original = shifted(own, begin, zone)
        found.append(
            Instance(
                id=f"{master['id']}_{_suffix(begin, all_day='date' in own)}",
                original=original,
                start=original,
                end=shifted(master["end"], until, zone),
            )
        )
    return found


def _starts(rule: Rule, first: datetime) -> Iterator[datetime]:
    for day in islice(_days(rule, first), rule.count or MOST_INSTANCES):
        begin = first + timedelta(days=day)
        if rule.until is not None and begin.astimezone(UTC) > rule.until:
            return
        yield begin


def _days(rule: Rule, first: datetime) -> Iterator[int]:
    step = rule.interval * (7 if rule.weekly else 1)
    week = [day - first.weekday() for day in rule.weekdays] if rule.weekly and rule.weekdays else [0]
    base = 0
    while True:
        for offset in week:
            if base + offset >= 0 and (rule.weekly or not rule.weekdays or _is_on(rule, first, base)):
                yield base + offset
        base += step
        if base > 40 * MOST_INSTANCES:
            return


def _is_on(rule: Rule, first: datetime, day: int) -> bool:
    return (first + timedelta(days=day)).weekday() in rule.weekdays


def _later(begin: datetime, length: timedelta) -> datetime:
    return (begin.astimezone(UTC) + length).astimezone(begin.tzinfo)


def _suffix(begin: datetime, *, all_day: bool) -> str:
    return begin.strftime("%Y%m%d") if all_day else begin.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _until(text: str) -> datetime:
    if len(text) == 8:
        return datetime.strptime(text + "235959", "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
