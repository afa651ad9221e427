"""The limit of a start: an interpreter that loads the libraries calsyncd uses, and does nothing.

Run by `benchmarks.company`; says so when they are loaded, and stays until its input ends.
"""

from __future__ import annotations

import importlib
import sys

from benchmarks.processes import say

LIBRARIES = (
    *("aiohttp.web", "aiosqlite", "click", "cryptography.hazmat.primitives.asymmetric.rsa", "google.auth.crypt"),
    *("prometheus_client", "pydantic", "structlog", "yaml"),
)


def main() -> None:
    """Load them, say so, wait."""
    for name in LIBRARIES:
        importlib.import_module(name)
    say("loaded")
    sys.stdin.read()


if __name__ == "__main__":
    main()
