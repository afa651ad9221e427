"""Both services at once, with the credentials and the configuration that lead a daemon to them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from calsyncd.sandbox.aircall import AircallSandbox
from calsyncd.sandbox.aircall_users import User
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN, Postman
from calsyncd.sandbox.google import GoogleSandbox


@dataclass(frozen=True, slots=True)
class Credentials:
    """The files that hold the daemon's secrets."""

    google: Path
    aircall: Path
    client: Path
    app: Path


class Sandbox:
    """Google and Aircall on 127.0.0.1, from `async with` on; both ports are free ones unless given.

    What they post to `https://demo.calsyncd.test` arrives at `deliver_to`.
    """

    def __init__(self, *, google_port: int = 0, aircall_port: int = 0, now: Callable[[], float] = time.time) -> None:
        self.postman = Postman()
        self.google = GoogleSandbox(now, self.postman)
        self.aircall = AircallSandbox(now, self.postman)
        self._ports = (google_port, aircall_port)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.postman)
            stack.push_async_callback(self.google.stop)
            await self.google.start(self._ports[0])
            stack.push_async_callback(self.aircall.stop)
            await self.aircall.start(self._ports[1])
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def google_url(self) -> str:
        """The setting `google.api_url`."""
        return self.google.api_url

    @property
    def aircall_url(self) -> str:
        """The setting `aircall.api_url`."""
        return self.aircall.origin

    @property
    def token_uri(self) -> str:
        """Google's token endpoint."""
        return self.google.token_uri

    @property
    def deliver_to(self) -> str | None:
        """Where what is sent to `https://demo.calsyncd.test` arrives: an http URL on loopback."""
        return self.postman.deliver_to

    @deliver_to.setter
    def deliver_to(self, base: str | None) -> None:
        self.postman.deliver_to = base

    def add_agent(
        self,
        email: str,
        *,
        name: str | None = None,
        zone: str = "UTC",
        status: str = "available",
        user_id: int | None = None,
    ) -> User:
        """A person with a Google account and an Aircall user; returns the latter."""
        self.google.add_user(email, zone=zone)
        return self.aircall.add_user(email, name=name, status=status, time_zone=zone, user_id=user_id)

    async def settle(self) -> None:
        """Wait until no notification or webhook is on its way."""
        await self.google.push.settle()
        await self.aircall.webhooks.settle()

    def write_credentials(self, directory: Path) -> Credentials:
        """Write `google.json`, `aircall-token`, the OAuth client's `client.json` and the app's `aircall-secret`.

        Their owner alone can read them.
        """
        names = ("google.json", "aircall-token", "client.json", "aircall-secret")
        found = Credentials(*(directory / name for name in names))
        _write_secret(found.google, json.dumps(self.google.key_file(), indent=2))
        _write_secret(found.aircall, self.aircall.api_token + "\n")
        _write_secret(found.client, json.dumps(self.google.client_file(), indent=2))
        _write_secret(found.app, self.aircall.install.client_secret + "\n")
        return found

    def write_config(
        self,
        directory: Path,
        agents: Sequence[str | Mapping[str, Any]] | str,
        *,
        listen: str = "127.0.0.1:8770",
        admin_listen: str = "127.0.0.1:8771",
        public_url: str | None = PUBLIC_ORIGIN,
        consent: bool = False,
        app: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write the credentials and a `config.yaml` for the daemon; `extra` is merged into it, key by key.

        `agents` is a list of e-mail addresses or of whole entries, or "all". With `consent` each agent connects on
        their own, instead of a service account that speaks for them; Google then leads browsers back to `public_url`.
        With `app` an admin installs the Aircall app, instead of a key; so does Aircall then.
        Pushes are led to `listen` if that is an address with a port.
        """
        if public_url is not None:
            self.google.consent.lead_back_to(f"{public_url}/google/callback")
            self.aircall.install.redirect_uris = (f"{public_url}/aircall/oauth/callback",)
        self.write_credentials(directory)
        google = {"service_account_file": "./google.json"}
        if consent:
            google = {"oauth_client_file": "./client.json", "revoke_url": self.google.revoke_url}
        aircall: dict[str, Any] = {"api_id": self.aircall.api_id, "api_token_file": "./aircall-token"}
        if app:
            oauth = {"client_id": self.aircall.install.client_id, "client_secret_file": "./aircall-secret"}
            aircall = {"oauth": oauth, "dashboard_url": self.aircall.origin}
        config: dict[str, Any] = {
            "server": {"listen": listen, "admin_listen": admin_listen},
            "state_dir": "state",
            "google": {**google, "api_url": self.google_url},
            "aircall": {**aircall, "api_url": self.aircall_url},
            "agents": agents if isinstance(agents, str) else [_entry(agent) for agent in agents],
        }
        if public_url is not None:
            config["server"]["public_url"] = public_url
            if not listen.startswith("unix:"):
                self.deliver_to = f"http://{listen}"
        path = directory / "config.yaml"
        path.write_text(yaml.safe_dump(_merged(config, extra or {}), sort_keys=False), encoding="utf-8")
        return path


def _entry(agent: str | Mapping[str, Any]) -> dict[str, Any]:
    return {"email": agent, "calendars": ["primary"]} if isinstance(agent, str) else dict(agent)


def _merged(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in extra.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def _write_secret(path: Path, content: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(content, encoding="utf-8")
