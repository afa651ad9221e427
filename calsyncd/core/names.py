"""People's addresses in texts."""

from __future__ import annotations

import re


def naming(email: str) -> re.Pattern[str]:
    """Matches this address in a text, in small letters or others, and not a longer one that contains it."""
    return re.compile(rf"(?<![\w.+-]){re.escape(email)}(?![\w-]|\.\w)", re.IGNORECASE)
