"""How often a fault is tried: a few times among all tests, as often as promised by `make faults`."""

from __future__ import annotations

import os


def rounds(few: int, all_: int) -> int:
    """`all_` where CALSYNCD_FULL is set, else `few`."""
    return all_ if os.environ.get("CALSYNCD_FULL") else few
