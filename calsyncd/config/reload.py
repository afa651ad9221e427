"""Which changes of the settings take effect on SIGHUP, and which at the next start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calsyncd.config.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calsyncd.config.models import Settings

LIVE = ("mode", "teams", "agents", "rules", "dispatch", "log.level")
"""What a reload changes; everything else is read once, credentials and their files' contents too."""


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
