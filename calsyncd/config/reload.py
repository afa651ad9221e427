"""Which changes of the settings take effect on SIGHUP, and which at the next start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calsyncd.config.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calsyncd.config.models import Settings

LIVE = ("mode", "teams", "agents", "rules", "dispatch", "alerts", "log.level")
"""What a reload changes; everything else but CREDENTIALS is read once."""
CREDENTIALS = (
    "server.admin_token_file",
    "google.service_account_file",
    "google.oauth_client_file",
    "aircall.api_id",
    "aircall.api_token_file",
    "aircall.oauth.client_id",
    "aircall.oauth.client_secret_file",
)
"""What a reload replaces by another of its kind, their files' contents too; the kind itself is chosen at the start."""


def restart_needed(old: Settings, new: Settings) -> list[str]:
    """The changed keys that only a restart applies, in the order of the settings."""
    return [key for key, replaced in _changed(old, new) if key not in LIVE and not (replaced and key in CREDENTIALS)]


def _changed(old: Section, new: Section, prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Each changed key, and whether it had a value before and has one now; what follows from another is not told."""
    for name in type(old).model_fields:
        was, now = getattr(old, name), getattr(new, name)
        if was == now or name not in old.model_fields_set | new.model_fields_set:
            continue
        key = f"{prefix}{name}"
        if isinstance(was, Section) and isinstance(now, Section) and key not in LIVE:
            yield from _changed(was, now, f"{key}.")
        else:
            yield key, was is not None and now is not None
