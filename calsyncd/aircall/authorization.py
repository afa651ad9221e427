"""By what right Aircall is asked: the company's API key, or the token of the app that an admin has installed.

Both are asked for their header with each request, so that one that is replaced counts from the next request on.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from calsyncd.errors import CREDENTIALS, NOT_INSTALLED, UNINSTALLED, UNREADABLE, UserError

CONTEXT = "aircall"
"""Under this name the vault keeps the installation."""


class Authorization(Protocol):
    """What an `AircallApi` sends as credentials."""

    def header(self) -> str | None:
        """The value of the Authorization header, a secret; None: there are no credentials."""
        ...

    @property
    def refused(self) -> str:
        """The error code of a request that Aircall refuses because of them, or that cannot be made without."""
        ...


class Safe(Protocol):
    """What is asked of the vault."""

    def put(self, context: str, credential: Mapping[str, Any]) -> None:
        """Keep this credential; on disk when it returns."""
        ...

    def get(self, context: str) -> dict[str, Any] | None:
        """The credential of this context."""
        ...


class ApiKey:
    """The company's API key: Basic authentication. `learned` is told each header, a secret."""

    def __init__(self, api_id: str, token: str, learned: Callable[[str], None] = lambda _: None) -> None:
        self._learned = learned
        self._header = ""
        self.replace(api_id, token)

    def replace(self, api_id: str, token: str) -> bool:
        """Use this key from the next request on; whether it is another one."""
        header = "Basic " + base64.b64encode(f"{api_id}:{token}".encode()).decode()
        is_other, self._header = header != self._header, header
        self._learned(header)
        return is_other

    def header(self) -> str:
        """Basic authentication's."""
        return self._header

    @property
    def refused(self) -> str:
        """Somebody has to mend the settings."""
        return CREDENTIALS


@dataclass(frozen=True, slots=True)
class Installation:
    """The app at one company. `token` is None once Aircall has said that the app was removed.

    `company` is Aircall's id of the company; None where Aircall did not tell it. Times are epoch seconds, UTC.
    `enabled`: Aircall has taken note that the installation is complete.
    """

    token: str | None = field(repr=False)
    company: int | None
    installed_at: float
    enabled: bool = False
    removed_at: float | None = None


class Installed:
    """The installed app, whose token the vault keeps: Bearer authentication.

    What the vault holds is read once; from then on every change of it is made here. `learned` is told each token.
    """

    def __init__(self, vault: Safe, learned: Callable[[str], None] = lambda _: None) -> None:
        self._vault = vault
        self._learned = learned
        self._current: Installation | None = None
        self._is_unread = False
        self.reread()

    def reread(self) -> bool:
        """Take up what the vault holds, while nothing is known; whether something is now."""
        self._is_unread = False
        if self._current is None:
            try:
                self._current = _read(self._vault.get(CONTEXT))
            except UserError:
                # As if it were not there, but that nothing can take its place before the file is out of the way.
                self._is_unread = True
        self._learn()
        return self._current is not None

    def blocks(self) -> bool:
        """Whether there is an installation's file that cannot be read now: `keep` would be refused."""
        try:
            self._vault.get(CONTEXT)
        except UserError:
            return True
        return False

    @property
    def current(self) -> Installation | None:
        """The installation; None where there never was one."""
        return self._current

    def header(self) -> str | None:
        """Bearer authentication's; None while the app is not installed."""
        token = self._current.token if self._current is not None else None
        return None if token is None else bearer(token)

    @property
    def refused(self) -> str:
        """It is told apart whether the app was never installed, was removed, or the vault's file cannot be read."""
        if self._current is not None:
            return UNINSTALLED
        return UNREADABLE if self._is_unread else NOT_INSTALLED

    async def keep(self, installation: Installation) -> None:
        """This is the installation from now on; on disk when this returns. Raises what the vault raises."""
        credential = {
            "token": installation.token,
            "company": installation.company,
            "installed_at": installation.installed_at,
            "enabled": installation.enabled,
            "removed_at": installation.removed_at,
        }
        await asyncio.to_thread(self._vault.put, CONTEXT, credential)
        self._current, self._is_unread = installation, False
        self._learn()

    def _learn(self) -> None:
        if self._current is not None and self._current.token is not None:
            self._learned(self._current.token)


def bearer(token: str) -> str:
    """The header of Bearer authentication."""
    return f"Bearer {token}"


def _read(credential: Mapping[str, Any] | None) -> Installation | None:
    if credential is None:
        return None
    token, company = credential.get("token"), credential.get("company")
    installed_at, removed_at = credential.get("installed_at"), credential.get("removed_at")
    return Installation(
        token if isinstance(token, str) and token else None,
        company if isinstance(company, int) else None,
        float(installed_at) if isinstance(installed_at, int | float) else 0.0,
        enabled=credential.get("enabled") is True,
        removed_at=float(removed_at) if isinstance(removed_at, int | float) else None,
    )
