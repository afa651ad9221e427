"""`make audit`: whether anything that is locked has a known vulnerability, and whether that could be looked up at all.

pip-audit says "no known vulnerabilities" and ends with 0 where it could look nothing up. So a version that is known to
be vulnerable is asked about first: only if it is found does silence about the others mean anything.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CANARY = "jinja2==2.4.1"
"""Known to be vulnerable since 2014 (CVE-2014-1402)."""

LOCKS = ("requirements/run.txt", "requirements/test.txt")
GOOD, VULNERABLE, UNKNOWN = 0, 1, 2


def main(auditor: list[str], locks: list[Path]) -> int:
    """Ask and print; 0: nothing is known, 1: something is vulnerable, 2: it could not be looked up."""
    with tempfile.TemporaryDirectory() as folder:
        canary = Path(folder) / "canary.txt"
        canary.write_text(CANARY + "\n", encoding="utf-8")
        if not vulnerable(_asked(auditor, canary, "--no-deps")):
            print(f"COULD NOT LOOK: not even {CANARY} is found vulnerable, which it is: nothing is known of the others")
            return UNKNOWN
    outcome = GOOD
    for lock in locks:
        answer = _asked(auditor, lock, "--require-hashes")
        found, unknown = vulnerable(answer), skipped(answer)
        for name, version, identifier, mended in found:
            print(f"{lock}: {name} {version}: {identifier}, mended in {mended or 'no version yet'}")
        if answer is None or unknown:
            print(f"COULD NOT LOOK: {lock}: {', '.join(unknown) or 'no answer'}")
        if found:
            outcome = VULNERABLE
        elif outcome == GOOD and (answer is None or unknown):
            outcome = UNKNOWN
        if answer is not None and not found and not unknown:
            print(f"{lock}: {len(answer['dependencies'])} packages, none with a known vulnerability")
    return outcome


def vulnerable(answer: Any) -> list[tuple[str, str, str, str]]:
    """(package, version, the vulnerability's name, the versions in which it is mended) of pip-audit's answer."""
    return [
        (one["name"], one["version"], known["id"], ", ".join(known["fix_versions"]))
        for one in (answer or {}).get("dependencies", [])
        for known in one.get("vulns", [])
    ]


def skipped(answer: Any) -> list[str]:
    """The packages of which pip-audit could learn nothing."""
    return [one["name"] for one in (answer or {}).get("dependencies", []) if "skip_reason" in one]


def _asked(auditor: list[str], lock: Path, *more: str) -> Any:
    """pip-audit's answer, parsed; None where it gave none. `--strict` would give none where one package is unknown."""
    command = [*auditor, "--disable-pip", "--format", "json", "--progress-spinner", "off", "-r", str(lock), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the Makefile's own
    try:
        return json.loads(done.stdout)
    except ValueError:
        print(done.stderr.strip().rpartition("\n")[2], file=sys.stderr)
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], [Path(lock) for lock in LOCKS]))
