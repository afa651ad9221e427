"""How long to wait after a failure. Chance comes in as an argument: a float in [0, 1)."""

from __future__ import annotations


def backoff(failures: int, chance: float, *, first: float = 1.0, cap: float = 64.0) -> float:
    """Seconds until the next try after `failures` failures in a row: doubling, capped, jittered by up to half."""
    doubled = min(cap, first * 2.0 ** min(max(failures, 1) - 1, 30))
    return doubled * (0.5 + chance / 2)


def spread(seconds: float, chance: float) -> float:
    """`seconds`, a quarter more or less, so that periodic work does not march in step."""
    return seconds * (0.75 + chance / 2)
