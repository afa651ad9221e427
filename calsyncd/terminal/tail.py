"""A stream of the daemon's log: which of its lines are wanted, and how they look."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from calsyncd.story import Story, about, instant, printable

LEVELS = ("debug", "info", "warning", "error", "critical")
LONGEST_LINE = 1_000_000
"""Bytes. The daemon's own are far shorter; what is longer comes in pieces."""

_BEGINS = '{"timestamp":'


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: of one of the `agents`, with one of the `actions`, at least as grave as `level`, in the time.

    What is empty or None asks for nothing. `since` and `until` are epoch seconds.
    """

    agents: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()
    level: str = LEVELS[0]
    since: float | None = None
    until: float | None = None

    def takes(self, line: Mapping[str, Any]) -> bool:
        """Whether a line of the daemon's is wanted; one whose level is not known is grave enough."""
        level = line.get("level")
        grave = level not in LEVELS or LEVELS.index(level) >= LEVELS.index(self.level)
        return (
            grave
            and self.is_then(line)
            and (not self.actions or line.get("action") in self.actions)
            and (not self.agents or bool(self.agents & _people(line)))
        )

    def takes_plain(self) -> bool:
        """Whether a line that is not the daemon's, such as a crash's traceback, may be wanted: it is nobody's."""
        return not self.agents and not self.actions

    def is_then(self, line: Mapping[str, Any]) -> bool:
        """Whether the line is of the time that is asked for."""
        at = instant(line.get("timestamp"))
        if at is None:
            return True
        moment = at.timestamp()
        return (self.since is None or self.since <= moment) and (self.until is None or moment < self.until)


def _people(line: Mapping[str, Any]) -> set[str]:
    named = {about(line)}
    for name in ("agents", "who"):
        value = line.get(name)
        named |= {one.partition("/")[0] for one in (value if isinstance(value, list) else [value]) if type(one) is str}
    return {one.lower() for one in named if one}


def parsed(text: str) -> dict[str, Any] | None:
    """The fields of a line of the daemon's, whatever a collector of logs put before it; None if it is none."""
    begin = text.find(_BEGINS)
    if begin < 0:
        return None
    try:
        line = json.loads(text[begin:])
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) and instant(line.get("timestamp")) is not None and "event" in line else None


@dataclass(slots=True)
class Tail:
    """Reads lines and says what to write of each, at once."""

    wanted: Wanted
    story: Story
    as_json: bool = False
    _then: bool = field(default=True, init=False)

    def read(self, stream: BinaryIO) -> Iterator[tuple[bytes, bool]]:
        """What to write, line by line, as soon as each is there; the second is whether it is the daemon's.

        Lines that are not are shown as they are, but for what would move a terminal; where a time is asked for, with
        the line before them. With `as_json` all lines are what they were.
        """
        while raw := stream.readline(LONGEST_LINE):
            text = raw.decode(errors="backslashreplace").rstrip("\r\n")
            line = parsed(text)
            if line is None:
                if self._then and self.wanted.takes_plain():
                    yield raw if self.as_json else _encoded(printable(text.expandtabs())), False
                continue
            self._then = self.wanted.is_then(line)
            if self.wanted.takes(line):
                yield raw if self.as_json else _encoded(self.story.tell(line)), True


def _encoded(text: str) -> bytes:
    return f"{text}\n".encode(errors="backslashreplace")
