"""What can be wrong with the settings, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from calsyncd.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing to mend: where it stands (counted from 1), the dotted key or "", what is wrong and what would be right.

    The message never holds a value of the file: a secret pasted into the wrong place must not be repeated.
    """

    line: int
    column: int
    key: str
    message: str


class ConfigError(UserError):
    """The settings are faulty: every fault, in the order of the file. As text: one line for each."""

    def __init__(self, path: Path, faults: Iterable[Fault]) -> None:
        self.path = path
        self.faults = tuple(sorted(set(faults)))
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """Each fault as `file:line:column: key: message`; without the key where it concerns the whole file."""
        return [
            f"{self.path}:{fault.line}:{fault.column}: {fault.key}{': ' if fault.key else ''}{fault.message}"
            for fault in self.faults
        ]


class Problem(ValueError):
    """What is wrong with one value; where it stands is known further up."""


class Absent(Problem):
    """What is wrong is that a value is not there; `instead` are keys of the same section that would do as well."""

    def __init__(self, message: str, instead: tuple[str, ...]) -> None:
        super().__init__(message)
        self.instead = instead
