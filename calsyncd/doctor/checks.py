"""What a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from calsyncd.core.troubles import trouble
from calsyncd.doctor.examined import Examined
from calsyncd.errors import ServiceError


class Outcome(StrEnum):
    """How a finding counts: only `failed` makes the command fail."""

    GOOD = "good"
    NOTE = "note"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what is so, of whom if it is one agent's, and, unless it is good, what to do and whose turn it is."""

    outcome: Outcome
    what: str
    do: str = ""
    owner: str = ""
    agent: str | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """`name` never changes; `title` is for the progress line, `many` for that many agents of whom all is good.

    `look` may raise ServiceError where a service does not answer. What the check that it `needs` found wrong, it would
    find again: then it is not tried. Of a `rare` one nothing is said unless it finds something.
    """

    name: str
    title: str
    look: Callable[[Examined], Awaitable[list[Finding]]]
    many: str = "{} in order"
    needs: str = ""
    rare: bool = False


OPERATOR = "operator"


def good(what: str, agent: str | None = None) -> Finding:
    """Nothing to do."""
    return Finding(Outcome.GOOD, what, agent=agent)


def note(what: str, do: str = "", owner: str = OPERATOR) -> Finding:
    """Worth knowing, or not to be told now."""
    return Finding(Outcome.NOTE, what, do, owner if do else "")


def failed(what: str, do: str, owner: str = OPERATOR, *, agent: str | None = None, code: str = "") -> Finding:
    """Something to mend."""
    return Finding(Outcome.FAILED, what, do, owner, agent, code)


def refused(error: ServiceError, agent: str | None = None, code: str | None = None) -> Finding:
    """What a service's refusal means, in the words in which the daemon tells its troubles."""
    known = trouble(code or error.code, 0.0, str(error))
    do = known.do
    if known.owner.startswith("nobody"):
        do = "try again; if it stays so: is this machine allowed out, and is HTTPS_PROXY needed?"
    owner = OPERATOR if known.owner.startswith("nobody") else known.owner
    return Finding(Outcome.FAILED, known.message, do, owner, agent, known.code)
