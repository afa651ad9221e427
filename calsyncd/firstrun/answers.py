"""What is asked: flags, a terminal, and how an answer is taken, refused, or asked for again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from calsyncd.config.faults import Problem
from calsyncd.errors import ServiceError

T = TypeVar("T")


class Asker(Protocol):
    """A terminal with somebody before it."""

    def ask(self, question: str, default: str | None, *, hidden: bool) -> str:
        """Their answer, without spaces around it; the default where they only press Enter."""
        ...

    def say(self, line: str) -> None:
        """A line for them."""
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """The answers that flags gave; None: not given. `overwrite` allows files to be replaced."""

    config: str | None = None
    google_file: str | None = None
    aircall_by: str | None = None
    aircall_id: str | None = None
    aircall_token_file: str | None = None
    aircall_secret_file: str | None = None
    aircall_company: str | None = None
    public_url: str | None = None
    listen: str | None = None
    admin_listen: str | None = None
    agents: str | None = None
    mode: str | None = None
    overwrite: bool = False
    google_api_url: str = "https://www.googleapis.com/calendar/v3"
    aircall_api_url: str = "https://api.aircall.io"
    google_revoke_url: str | None = None
    aircall_dashboard_url: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """`flag` gives the same answer without a terminal; without a default there must be one. `hidden` is not echoed."""

    flag: str
    text: str
    default: str | None = None
    hidden: bool = False


class Incomplete(Exception):
    """Nothing was written: every answer that is wrong or missing, by the flag that gives it."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Answers:
    """Takes answers: in a terminal a wrong one is explained and asked for again, otherwise it is noted as a fault."""

    def __init__(self, asker: Asker | None, say: Callable[[str], None]) -> None:
        self.asker = asker
        self.say = say
        self.faults: list[str] = []

    def take(self, question: Question, given: str | None, accept: Callable[[str], T]) -> T | None:
        """What `accept` makes of the answer; None where it stays wrong. `accept` raises Problem or ServiceError."""
        text = given
        while True:
            if text is None and self.asker is not None:
                text = self.asker.ask(question.text, question.default, hidden=question.hidden)
            elif text is None and question.default is not None:
                text = question.default
            elif text is None:
                self.faults.append(f"{question.flag}: is missing ({question.text})")
                return None
            if self.asker is not None and not text and question.default is None:
                self.say("  an answer is required")
                text = None
                continue
            try:
                return accept(text)
            except (Problem, ServiceError) as error:
                if self.asker is None:
                    self.faults.append(f"{question.flag}: {error}")
                    return None
                self.say(f"  {error}")
                text = None

    def may_replace(self, path: Path, *, allowed: bool) -> None:
        """Return if the file may be replaced: the flag allows it, or they do.

        Raises:
            Problem: it may not.
        """
        if allowed:
            return
        if self.asker is None:
            raise Problem(f"{path} is there already: name another file, or give --overwrite to replace it")
        said = self.asker.ask(f"{path} is there already. Replace it? (yes or no)", "no", hidden=False)
        if said.lower() not in ("y", "yes"):
            raise Problem(f"{path} stays as it is; name another file")

    def finish(self) -> None:
        """Raises Incomplete where anything is wrong or missing."""
        if self.faults:
            raise Incomplete(self.faults)


def path_of(text: str) -> Path:
    """A path as one types it in a shell."""
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise Problem("there is no such home folder") from None
    if not text.strip() or not text.isprintable():
        raise Problem("expected the path of a file")
    return Path.cwd() / path
