"""The one priority queue of everything that is due at some time.

Theory: a key has at most one due time. Setting it again replaces it; an entry of the heap that no longer
matches its key's due time is stale and is passed over when it surfaces. Nothing is ever searched for.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import Generic, TypeVar

Key = TypeVar("Key")


class Agenda(Generic[Key]):
    """Keys by due time."""

    def __init__(self) -> None:
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._order = count()

    def set(self, key: Key, due: float | None) -> None:
        """Make `key` due at `due`, and at no other time; None takes it off."""
        if due is None:
            self._due.pop(key, None)
            return
        if self._due.get(key) == due:
            return
        self._due[key] = due
        heapq.heappush(self._heap, (due, next(self._order), key))
        if len(self._heap) > 64 + 4 * len(self._due):
            self._heap = [entry for entry in self._heap if self._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)

    def due_at(self, key: Key) -> float | None:
        """When `key` is due, if it is on the agenda."""
        return self._due.get(key)

    def next_due(self) -> float | None:
        """The earliest due time."""
        while self._heap:
            due, _, key = self._heap[0]
            if self._due.get(key) == due:
                return due
            heapq.heappop(self._heap)
        return None

    def pop_due(self, now: float) -> list[Key]:
        """Take off and return every key that is due at `now`, the longest due first."""
        keys: list[Key] = []
        while (due := self.next_due()) is not None and due <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._due[key]
            keys.append(key)
        return keys
