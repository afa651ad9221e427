"""Values of the formats that the description names, for schemathesis: such as the daemon of the test knows.

Schemathesis loads it in its own process; schemathesis.toml beside it says so.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import schemathesis
from hypothesis import strategies

_NOW = datetime.now(UTC)
_AGENTS = ("amy@example.com", "bob@example.com", "carol@example.com", "dave@example.com", "nobody@example.com")

schemathesis.openapi.format("email", strategies.sampled_from(_AGENTS))
schemathesis.openapi.format(
    "date-time",
    strategies.integers(1, 11 * 60).map(lambda minutes: (_NOW + timedelta(minutes=minutes)).isoformat()),
)
schemathesis.openapi.format("date", strategies.dates(_NOW.date(), _NOW.date() + timedelta(7)).map(str))
schemathesis.openapi.format("moment", strategies.sampled_from(["2h", "7d", "today", "10:00", "2026-11-21T10:00:00Z"]))
schemathesis.openapi.format("cursor", strategies.sampled_from(["WyJhbXlAZXhhbXBsZS5jb20iXQ", "1795255200.0-1"]))


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """Leave out what would release everybody and stop the service; what must be refused is sent there too."""
    if (case.method, case.path) != ("POST", "/api/v1/release"):
        return True
    modes = {where.value: part.mode for where, part in case.meta.components.items()} if case.meta is not None else {}
    return modes.get("body") is schemathesis.GenerationMode.NEGATIVE
