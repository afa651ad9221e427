"""The boundaries that are ahead, of everybody, by minute: the known queue.

An agent's boundaries are replaced whole when their calendar or stance changes; what has passed is dropped as time goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from calsyncd.core.prices import Group, minute_of
from calsyncd.core.timeline import Timeline

NEVER = float("inf")


@dataclass(frozen=True, slots=True, order=True)
class Boundary:
    """At `at` a stretch of `agent` starts, or ends; the opposite is known to come at `until`."""

    at: float
    agent: str
    starts: bool
    until: float = NEVER

    @property
    def group(self) -> Group:
        """Whom it is counted with."""
        return group_of(self.at, self.until, starts=self.starts)


def group_of(at: float, until: float | None, *, starts: bool) -> Group:
    """Whom an update that is due at `at` is counted with."""
    known = until is not None and until != NEVER
    return Group(minute_of(at), minute_of(until) if known and until is not None else None, starts)


def boundaries(agent: str, timeline: Timeline, after: float, before: float) -> list[Boundary]:
    """The starts and ends of the agent's stretches later than `after` and earlier than `before`, in order."""
    found: list[tuple[float, bool]] = []
    at = after
    while True:
        end = timeline.stretch_end(at)
        if end is not None:
            found.append((end, False))
            at = end
        start = timeline.next_start(at)
        if start is not None:
            found.append((start, True))
            at = start
        if start is None or at >= before:
            break
    untils = [*(later for later, _ in found[1:]), NEVER]
    return [
        Boundary(at, agent, starts, until)
        for (at, starts), until in zip(found, untils, strict=False)
        if after < at < before
    ]


class Coming:
    """Everybody's boundaries ahead. `version` changes whenever they are replaced by others."""

    def __init__(self) -> None:
        self.version = 0
        self._own: dict[str, tuple[Boundary, ...]] = {}
        self._minutes: dict[int, set[Boundary]] = {}
        self._groups: dict[int, dict[Group, int]] = {}
        self._current = 0

    def replace(self, agent: str, boundaries: Iterable[Boundary]) -> None:
        """These are the agent's boundaries now, and no others."""
        fresh, known = tuple(boundaries), self._own.get(agent, ())
        if fresh == known:
            return
        self.version += 1
        for boundary in known:
            self._minutes[minute_of(boundary.at)].remove(boundary)
            self._count(boundary, -1)
        for boundary in fresh:
            self._minutes.setdefault(minute_of(boundary.at), set()).add(boundary)
            self._count(boundary, 1)
        if fresh:
            self._own[agent] = fresh
        else:
            self._own.pop(agent, None)

    def _count(self, boundary: Boundary, by: int) -> None:
        group = boundary.group
        groups = self._groups.setdefault(group.minute, {})
        number = groups.get(group, 0) + by
        if number:
            groups[group] = number
        else:
            del groups[group]

    def served(self, boundary: Boundary) -> None:
        """This one is served before its time."""
        self.replace(boundary.agent, [one for one in self._own.get(boundary.agent, ()) if one != boundary])

    def passed(self, now: float) -> None:
        """What was due by `now` is not ahead any more."""
        current = minute_of(now)
        gone = [one for one in self._minutes.get(current, ()) if one.at <= now]
        if current != self._current:
            self._current = current
            for minute in [minute for minute in self._minutes if minute < current]:
                gone += self._minutes.pop(minute)
                del self._groups[minute]
        for boundary in gone:
            if minute_of(boundary.at) == current:
                self._minutes[current].remove(boundary)
                self._count(boundary, -1)
        for agent in {boundary.agent for boundary in gone}:
            self._own[agent] = tuple(one for one in self._own[agent] if one.at > now)

    def groups(self) -> dict[Group, int]:
        """How many updates of each group are ahead."""
        return {group: number for groups in self._groups.values() for group, number in groups.items()}

    def numbers(self) -> dict[int, int]:
        """How many updates are due in each minute."""
        return {minute: sum(groups.values()) for minute, groups in self._groups.items()}

    def number_in(self, minute: int) -> int:
        """How many updates are due in a minute."""
        return sum(self._groups.get(minute, {}).values())

    def starts_in(self, minute: int) -> int:
        """How many of those in a minute make somebody unavailable."""
        return sum(number for group, number in self._groups.get(minute, {}).items() if group.starts)

    def number_before(self, at: float) -> int:
        """How many updates are due until the end of the minute of `at`."""
        last = minute_of(at)
        return sum(sum(groups.values()) for minute, groups in self._groups.items() if minute <= last)

    def number_until(self, at: float) -> int:
        """How many updates are due until `at` itself."""
        last = minute_of(at)
        return self.number_before(at) - sum(one.at > at for one in self._minutes.get(last, ()))

    def agents_in(self, minute: int) -> Iterator[str]:
        """Whose updates are due in a minute, in any order; twice whoever has two."""
        return (one.agent for one in self._minutes.get(minute, ()))

    def in_minute(self, minute: int) -> list[Boundary]:
        """What is due in a minute, in order."""
        return sorted(self._minutes.get(minute, ()))
