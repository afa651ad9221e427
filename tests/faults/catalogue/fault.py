"""A fault of the world, and what proves that it is borne."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """`proofs` are tests (path::name, as pytest names them, without parameters) or drills ("drill: name")."""

    code: str
    fault: str
    what_happens: str
    proofs: tuple[str, ...]
