"""One log line for what strangers can make happen as often as they like."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Tally:
    """Logs the first occurrence at once, then at most one line in `seconds`, saying how often it happened."""

    __slots__ = ("_action", "_count", "_fields", "_say", "_seconds", "_sentence", "_timer")

    def __init__(self, say: Callable[..., Any], sentence: str, *, action: str, seconds: float = 10.0) -> None:
        self._say = say
        self._sentence = sentence
        self._action = action
        self._seconds = seconds
        self._count = 0
        self._fields: dict[str, Any] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, **fields: Any) -> None:
        """Count one more; of several, the last one's fields are logged."""
        self._count += 1
        self._fields = fields
        if self._timer is None:
            self._tell()

    def _tell(self) -> None:
        self._timer = None
        if self._count:
            self._say(self._sentence, action=self._action, times=self._count, **self._fields)
            self._count = 0
            self._fields = {}
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._tell)
