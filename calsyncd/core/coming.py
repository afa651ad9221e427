"""The boundaries that are ahead, of everybody, by minute: the known queue.

An agent's boundaries are replaced whole when their calendar or stance changes; what has passed is dropped as time goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from calsyncd.core.prices import NOBODY, Counts, minute_of
from calsyncd.core.timeline import Timeline


@dataclass(frozen=True, slots=True, order=True)
class Boundary:
    """At `at` a stretch of `agent` starts, or ends."""

    at: float
    agent: str
    starts: bool


def boundaries(agent: str, timeline: Timeline, after: float, before: float) -> Iterator[Boundary]:
    """The starts and ends of the agent's stretches later than `after` and earlier than `before`, in order."""
    at = after
    while True:
        end = timeline.stretch_end(at)
        if end is not None:
            if end >= before:
                return
            yield Boundary(end, agent, starts=False)
            at = end
        start = timeline.next_start(at)
        if start is None or start >= before:
            return
        yield Boundary(start, agent, starts=True)
        at = start


class Coming:
    """Everybody's boundaries ahead. `version` changes whenever they do."""

    def __init__(self) -> None:
        self.version = 0
        self._own: dict[str, tuple[Boundary, ...]] = {}
        self._minutes: dict[int, set[Boundary]] = {}
        self._counts: dict[int, Counts] = {}
        self._current = 0

    def replace(self, agent: str, boundaries: Iterable[Boundary]) -> None:
        """These are the agent's boundaries now, and no others."""
        fresh, known = tuple(boundaries), self._own.get(agent, ())
        if fresh == known:
            return
        self.version += 1
        for boundary in known:
            minute = self._minutes.get(minute_of(boundary.at))
            if minute is not None and boundary in minute:
                minute.remove(boundary)
                self._count(boundary, -1)
        for boundary in fresh:
            self._minutes.setdefault(minute_of(boundary.at), set()).add(boundary)
            self._count(boundary, 1)
        if fresh:
            self._own[agent] = fresh
        else:
            self._own.pop(agent, None)

    def _count(self, boundary: Boundary, by: int) -> None:
        minute = minute_of(boundary.at)
        known = self._counts.get(minute, NOBODY)
        counts = Counts(known.starts + by, known.ends) if boundary.starts else Counts(known.starts, known.ends + by)
        if counts == NOBODY:
            del self._counts[minute]
        else:
            self._counts[minute] = counts

    def served(self, boundary: Boundary) -> None:
        """This one is served before its time."""
        self.replace(boundary.agent, [one for one in self._own.get(boundary.agent, ()) if one != boundary])

    def passed(self, now: float) -> None:
        """What was due by `now` is not ahead any more."""
        current = minute_of(now)
        if current != self._current:
            self._current = current
            for minute in [minute for minute in self._minutes if minute < current]:
                del self._minutes[minute]
                self._counts.pop(minute, None)
        for boundary in [one for one in self._minutes.get(current, ()) if one.at <= now]:
            self._minutes[current].remove(boundary)
            self._count(boundary, -1)

    def counts(self) -> dict[int, Counts]:
        """How many start and end in each minute."""
        return self._counts

    def number_in(self, minute: int) -> int:
        """How many start or end in a minute."""
        counts = self._counts.get(minute, NOBODY)
        return counts.starts + counts.ends

    def in_minute(self, minute: int) -> list[Boundary]:
        """What is due in a minute, in order."""
        return sorted(self._minutes.get(minute, ()))
