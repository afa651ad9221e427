"""The catalogue of faults is whole, what it names exists, and the manual's page says what it says."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tests.faults.catalogue import SECTIONS
from tools import reliability

ROOT = Path(__file__).parent.parent.parent
KNOWN = {
    "Process": ("P", 15),
    "Clock": ("C", 13),
    "Disk and database": ("D", 13),
    "Network": ("N", 14),
    "Google": ("G", 18),
    "Aircall": ("A", 10),
    "Webhooks": ("W", 15),
    "Secrets and settings": ("S", 10),
}
FAULTS = [fault for faults in SECTIONS.values() for fault in faults]
PROOFS = [(fault.code, proof) for fault in FAULTS for proof in fault.proofs]


def test_no_fault_is_left_out() -> None:
    """Each has a row of its own, in order, in its section."""
    told = {title: [fault.code for fault in faults] for title, faults in SECTIONS.items()}

    assert told == {title: [f"{letter}{n + 1}" for n in range(count)] for title, (letter, count) in KNOWN.items()}


def test_each_fault_is_told_and_proven() -> None:
    """In words, and by a test or a drill at least."""
    assert [] == [fault.code for fault in FAULTS if not (fault.fault and fault.what_happens and fault.proofs)]


def test_each_test_that_is_named_exists() -> None:
    """By its file and its name."""
    named = {proof for _, proof in PROOFS if not proof.startswith("drill: ")}

    assert set() == {proof for proof in named if proof.partition("::")[2] not in _tests_in(proof.partition("::")[0])}


def test_each_drill_that_is_named_exists() -> None:
    """Under its name in `DRILLS`."""
    assert {proof.removeprefix("drill: ") for _, proof in PROOFS if proof.startswith("drill: ")} <= _drills()


def test_the_page_is_current() -> None:
    """`make reliability` was run after the last change of the catalogue, and after the last long run."""
    assert (ROOT / reliability.PAGE).read_text(encoding="utf-8") == reliability.page()


@cache
def _tests_in(path: str) -> frozenset[str]:
    """What pytest collects in a file, without parameters; nothing where there is no such file."""
    if not (ROOT / path).is_file():
        return frozenset()
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    found = _tests_of(body)
    for node in body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{name}" for name in _tests_of(node.body)}
        elif isinstance(node, ast.Assign):
            # Hypothesis' machines are tests by assignment: `TestMachine = Machine.TestCase`.
            found |= {target.id for target in node.targets if isinstance(target, ast.Name) if "Test" in target.id}
    return frozenset(found)


def _tests_of(body: list[ast.stmt]) -> set[str]:
    functions = [node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {function.name for function in functions if function.name.startswith("test_")}


def _drills() -> set[str]:
    """The keys of `DRILLS`, read and not run: a drill needs a machine."""
    found = set[str]()
    for path in (ROOT / "tests" / "drill").glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            value = getattr(node, "value", None)
            if "DRILLS" in names and isinstance(value, ast.Dict):
                found |= {str(key.value) for key in value.keys if isinstance(key, ast.Constant)}
    return found
