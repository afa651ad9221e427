"""Values for schemathesis of formats that it does not know, and of those of which ours are fewer.

It is loaded by schemathesis itself, in its own process: see schemathesis.toml.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import schemathesis
from hypothesis import strategies

_NOW = datetime.now(UTC)

schemathesis.openapi.format(
    "date-time",
    strategies.integers(1, 11 * 60).map(lambda minutes: (_NOW + timedelta(minutes=minutes)).isoformat()),
)
schemathesis.openapi.format("date", strategies.dates(_NOW.date(), _NOW.date() + timedelta(7)).map(str))
schemathesis.openapi.format("moment", strategies.sampled_from(["2h", "7d", "today", "10:00", "2026-11-21T10:00:00Z"]))
schemathesis.openapi.format("cursor", strategies.sampled_from(["WyJhbXlAZXhhbXBsZS5jb20iXQ", "1795255200.0-1"]))
