"""Which changes of the settings take effect on SIGHUP, and which at the next start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calsyncd.config.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calsyncd.config.models import Settings

CREDENTIALS = ("google.service_account_file", "aircall.api_id", "aircall.api_token_file")
LIVE = ("mode", "teams", "agents", "rules", "dispatch", "log.level", *CREDENTIALS)
"""What a reload changes, the contents of credentials' files included; everything else is read once."""


def restart_needed(old: Settings, new: Settings) -> list[str]:
    """The changed keys that only a restart applies, in the order of the settings."""
    return [key for key in _changed(old, new) if key not in LIVE]


def _changed(old: Section, new: Section, prefix: str = "") -> Iterator[str]:
    for name in type(old).model_fields:
        was, now = getattr(old, name), getattr(new, name)
        if was == now:
            continue
        key = f"{prefix}{name}"
        if isinstance(was, Section) and isinstance(now, Section) and key not in LIVE:
            yield from _changed(was, now, f"{key}.")
        else:
            yield key
