"""A clock for tokens, which live for an hour."""

from __future__ import annotations

import time


class Time:
    """A clock that can be moved, beside the real one."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.wrong = 0.0

    def __call__(self) -> float:
        return self.right() + self.wrong

    def right(self) -> float:
        return time.time() + self.ahead
