"""What the checks look at: the settings, and the two services through the same clients as the daemon's."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from calsyncd import services
from calsyncd.aircall.client import AircallApi
from calsyncd.clock import SystemClock
from calsyncd.config import Settings
from calsyncd.core.model import User
from calsyncd.google.calendar import CalendarApi
from calsyncd.http import Http


@dataclass(slots=True)
class Dates:
    """By how many seconds each service's clock is ahead of ours: told of every answer."""

    clock: SystemClock
    ahead: dict[str, float] = field(default_factory=dict)

    def request_done(self, service: str, route: str, status: int | None, seconds: float) -> None:
        """A request ended."""

    def date_seen(self, service: str, date: float) -> None:
        """An answer carried this `Date`, which has whole seconds."""
        self.ahead[service] = date + 0.5 - self.clock.now()


@dataclass(slots=True)
class Examined:
    """One company's calsyncd. `users` are Aircall's, once a check has read them."""

    settings: Settings
    path: Path
    environ: Mapping[str, str]
    clock: SystemClock
    http: Http
    dates: Dates
    google: CalendarApi
    aircall: AircallApi
    authorization: str = field(repr=False)
    users: list[User] | None = None

    @property
    def state_dir(self) -> Path:
        """The state directory."""
        return self.settings.state_dir

    @property
    def everybody(self) -> bool:
        """Whether `agents: all` is set."""
        return self.settings.everybody

    @property
    def key_file(self) -> Path:
        """Where the vault's key is."""
        return self.settings.vault_key_file


@contextlib.asynccontextmanager
async def opened(settings: Settings, path: Path, environ: Mapping[str, str]) -> AsyncIterator[Examined]:
    """What there is to look at, by these settings."""
    clock = SystemClock()
    dates = Dates(clock)
    try:
        vault = services.open_vault(settings, clock.now, reads_only=True)
        authorization = services.authorization(settings, vault)
        async with Http(dates, environ) as http:
            yield Examined(
                settings,
                path,
                environ,
                clock,
                http,
                dates,
                services.google_api(settings, http, clock, vault),
                services.aircall_api(settings, authorization, http, clock.now),
                authorization.header() or "",
            )
    finally:
        clock.close()
