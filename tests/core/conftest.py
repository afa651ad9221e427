"""How deep the properties of core/ are tried where each test runs thousands of times."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import Phase, settings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """CALSYNCD_EXAMPLES caps the examples, the same ones in each run; `make coverage` and `make mutate` set it."""
    cap = int(os.environ.get("CALSYNCD_EXAMPLES", "0"))
    if not cap:
        return
    done: set[int] = set()
    for item in items:
        made: Any = getattr(item, "obj", None)
        inner = getattr(made, "__func__", made)
        holder, name = inner, "_hypothesis_internal_use_settings"
        if not hasattr(inner, name):
            holder, name = getattr(item, "cls", None), "settings"
        given = getattr(holder, name, None)
        if isinstance(given, settings) and id(holder) not in done:
            done.add(id(holder))
            setattr(holder, name, _capped(given, cap))


def _capped(given: settings, cap: int) -> settings:
    # What fails is not shrunk: that it fails is all that is asked.
    return settings(
        given,
        max_examples=min(given.max_examples, cap),
        stateful_step_count=min(given.stateful_step_count, cap),
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=(*given.suppress_health_check,),
    )
