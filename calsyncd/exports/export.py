"""What an export tells, whatever its form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


class ExportError(ValueError):
    """The file is no export, or not a whole one; `line` and `column` count from 1, 0 where the place is not known."""

    def __init__(self, message: str, *, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.place = f":{line}{f':{column}' if column else ''}" if line else ""


@dataclass(frozen=True, slots=True)
class Pages:
    """Google's items, each list with the zone in which its dates are read; and of what could not be read, why."""

    pages: tuple[tuple[str, tuple[Any, ...]], ...]
    unreadable: tuple[str, ...] = ()


class Export(Protocol):
    """The events of one calendar."""

    @property
    def zone(self) -> str | None:
        """The calendar's zone, if it is told."""
        ...

    def pages(self, window: tuple[float, float], zone: str, agent: str | None) -> Pages:
        """Every event that touches the window, and maybe more; `zone` is meant where none is told.

        `agent` is the e-mail address of whose answers to invitations count.
        """
        ...
