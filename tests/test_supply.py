"""What is installed with calsyncd is listed, and an audit that could not look does not say that all is well."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tools.audit import CANARY, GOOD, UNKNOWN, VULNERABLE, main

ROOT = Path(__file__).parent.parent
KNOWN_BAD = {"id": "PYSEC-2014-8", "fix_versions": ["2.7.2"], "aliases": ["CVE-2014-1402"]}

STAND_IN = """#!{python}
import json, pathlib, sys
lock = sys.argv[sys.argv.index("-r") + 1]
name = "canary" if pathlib.Path(lock).read_text() == {canary!r} else "lock"
answer = {answers!r}[name]
print(answer if isinstance(answer, str) else json.dumps(answer))
"""
"""Answers as pip-audit 2.10 does where its index knows no vulnerabilities, or does."""


def locked(file: Path) -> set[tuple[str, str]]:
    """(name, version) of what a lock puts on this machine, in lower case."""
    lines = file.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    wanted = [Requirement(line.partition("--hash")[0].strip()) for line in lines if line.strip()]
    return {
        (re.sub(r"[-_.]+", "-", one.name).lower(), str(one.specifier).removeprefix("=="))
        for one in wanted
        if one.marker is None or one.marker.evaluate()
    }


def test_the_bill_of_materials_is_the_lock() -> None:
    """requirements/sbom.cdx.json names what requirements/run.txt installs, with licences; `make sbom` makes it anew."""
    bill = json.loads((ROOT / "requirements" / "sbom.cdx.json").read_text(encoding="utf-8"))
    named = {(re.sub(r"[-_.]+", "-", one["name"]).lower(), one["version"]) for one in bill["components"]}

    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "calsyncd"
    assert named == locked(ROOT / "requirements" / "run.txt")
    assert [one["name"] for one in bill["components"] if not one.get("licenses")] == []


def audited(tmp_path: Path, capsys: pytest.CaptureFixture[str], canary: Any, lock: Any) -> tuple[int, str]:
    """(exit status, what is printed) where pip-audit answers so."""
    program = tmp_path / "pip-audit"
    answers = {"canary": canary, "lock": lock}
    program.write_text(STAND_IN.format(python=sys.executable, canary=CANARY + "\n", answers=answers), encoding="utf-8")
    (tmp_path / "run.txt").write_text("one==1\n", encoding="utf-8")
    status = main([sys.executable, str(program)], [tmp_path / "run.txt"])
    return status, capsys.readouterr().out


def answer(vulns: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """pip-audit's answer about one package."""
    return {"dependencies": [{"name": "one", "version": "1", "vulns": vulns, **more}], "fixes": []}


BAD = answer([KNOWN_BAD])
SKIPPED = {"dependencies": [{"name": "one", "skip_reason": "Dependency not found on PyPI"}], "fixes": []}


@pytest.mark.parametrize(
    ("canary", "lock", "status", "says"),
    [
        (BAD, answer([]), GOOD, "1 packages, none with a known vulnerability"),
        (BAD, BAD, VULNERABLE, "one 1: PYSEC-2014-8, mended in 2.7.2"),
        (SKIPPED, answer([]), UNKNOWN, f"COULD NOT LOOK: not even {CANARY}"),
        (answer([]), answer([]), UNKNOWN, f"COULD NOT LOOK: not even {CANARY}"),
        ("", "", UNKNOWN, f"COULD NOT LOOK: not even {CANARY}"),
        (BAD, SKIPPED, UNKNOWN, "run.txt: one"),
        (BAD, "", UNKNOWN, "run.txt: no answer"),
    ],
)
def test_silence_is_not_good_news(  # noqa: PLR0917 - two of them are fixtures
    tmp_path: Path, capsys: pytest.CaptureFixture[str], canary: Any, lock: Any, status: int, says: str
) -> None:
    """Only who finds a version that is known to be vulnerable is believed of the others."""
    found, printed = audited(tmp_path, capsys, canary, lock)

    assert found == status
    assert says in printed
