"""A line of the log as people read it: when, how grave, whom it is about, what happened; then what else is known.

`log.format: console` and `calsyncd logs` write the same, since both write it here, from the JSON line's fields.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, TextIO

DETAILS_AT = 56
"""Where what else is known begins, behind a sentence that is shorter."""

_SIGNS = {"debug": "·", "info": " ", "warning": "!", "error": "✗", "critical": "✗"}
_COLOURS = {"debug": "\x1b[2m", "info": "", "warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31;1m"}
_LATEST = 1e12
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
_HEAD = ("timestamp", "level", "event", "action")
_INSTANT = re.compile(r"(?<![\w.:-])[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z(?![\w-])")
_YEARS = range(1971, 9000)
"""Those that have a time in every zone."""

_BARE = re.compile(r"[^\s\"=]+")


def colours(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether colours are wanted on `stream`: on a terminal only, and not where NO_COLOR or TERM=dumb say so."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def instant(text: object) -> datetime | None:
    """The time that a line of the log has; None if this is none, or has no offset."""
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None and at.year in _YEARS else None


def about(line: Mapping[str, Any]) -> str:
    """Whose line it is: the agent's e-mail, of the agent or of the calendar (`amy@example.com/primary`); else empty."""
    for name in ("agent", "calendar"):
        value = line.get(name)
        if isinstance(value, str) and "@" in value:
            return value.partition("/")[0] if name == "calendar" else value
    return ""


def printable(text: str) -> str:
    """`text` with each character escaped that could move or colour a terminal, or end the line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


class Story:
    """Tells lines in their order, by the machine's zone or in UTC.

    Each time has its offset. Where a line is of another day than the one before, a line with the day precedes it; the
    first one is compared with `today`, if that is given.
    """

    def __init__(self, *, colours: bool = False, utc: bool = False, today: date | None = None) -> None:
        self._colours = colours
        self._utc = utc
        self._day = today

    def tell(self, line: Mapping[str, Any]) -> str:
        """The line, without its end; `timestamp` must be one that `instant` reads."""
        at = instant(line["timestamp"])
        if at is None:
            raise ValueError("a line of the log begins with its time")
        at = self._local(at)
        level = str(line.get("level", ""))
        who, sentence = about(line), str(line.get("event", ""))
        told = sentence if who in sentence else f"{who}: {sentence}"
        details = "  ".join(self._details(line, told, who, at.date()))
        told = printable(self._shortened(told, at.date()))
        sign, colour = _SIGNS.get(level, "?"), _COLOURS.get(level, "") if self._colours else ""
        when = self._faint(f"{at:%H:%M:%S}.{at.microsecond // 1000:03}{_offset(at)}")
        text = f"{when} {colour}{sign} {told}{_PLAIN if colour else ''}"
        if details:
            text += f"{' ' * max(2, DETAILS_AT - len(told))}{self._faint(details)}"
        exception = line.get("exception")
        if exception is not None:
            text += "".join(f"\n    {printable(one)}" for one in str(exception).splitlines())
        before, self._day = self._day, at.date()
        if before in (None, at.date()):
            return text
        return self._faint(f"-- {at:%A}, {at.day} {at:%B} {at.year} --") + "\n" + text

    def _details(self, line: Mapping[str, Any], told: str, who: str, day: date) -> list[str]:
        details: list[str] = []
        for name, value in line.items():
            if value is None or name in (*_HEAD, "exception") or _is_told(value, told):
                continue
            if name == "late_ms" and type(value) in (int, float) and abs(value) < _LATEST:
                details.insert(0, _lateness(value))
                continue
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            if name == "calendar" and who:
                text = text.removeprefix(f"{who}/")
            text = self._shortened(text, day)
            if isinstance(value, str) and not _BARE.fullmatch(text):
                text = json.dumps(text, ensure_ascii=False)
            details.append(f"{printable(name)}={printable(text)}")
        return details

    def _shortened(self, text: str, day: date) -> str:
        """Instants by the zone's clock, without the day if it is the line's."""

        def short(match: re.Match[str]) -> str:
            try:
                at = self._local(datetime.fromisoformat(match[0]))
            except (ValueError, OverflowError):
                return match[0]
            clock = f"{at:%H:%M:%S}{_offset(at)}"
            return clock if at.date() == day else f"{at.date()} {clock}"

        return _INSTANT.sub(short, text)

    def _local(self, at: datetime) -> datetime:
        return at.astimezone(UTC) if self._utc else at.astimezone()

    def _faint(self, text: str) -> str:
        return f"{_DIM}{text}{_PLAIN}" if self._colours else text


def _offset(at: datetime) -> str:
    offset = at.isoformat()[-6:]
    return "Z" if offset == "+00:00" else offset


def _is_told(value: object, told: str) -> bool:
    if isinstance(value, str):
        return value in told
    if isinstance(value, int) and not isinstance(value, bool):
        return re.search(rf"(?<![\w.:+-]){value}(?![\w.:-])", told) is not None
    return False


def _lateness(ms: float) -> str:
    word = "late" if ms >= 0 else "early"
    ms = abs(ms)
    if ms < 1000:
        return f"{ms:.0f} ms {word}"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s {word}"
    minutes, seconds = divmod(round(ms / 1000), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s {word}"
    return f"{minutes // 60} h {minutes % 60} min {word}"
