"""The running daemon, asked over its admin API."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from calsyncd.cli.common import load_settings, wait_for
from calsyncd.errors import UserError

USAGE = 2
NO_DAEMON = 69
ADMIN_SECONDS = 120.0
PAGE = 500


class NoDaemonError(UserError):
    """No daemon listens where one was asked."""

    def __init__(self, where: str) -> None:
        super().__init__(f"no daemon answers at {where}: is `calsyncd run` running?", exit_code=NO_DAEMON)


def escaped(email: str) -> str:
    """The address as a part of a path."""
    return quote(email, safe="@")


def query(values: list[tuple[str, str]]) -> str:
    """The query of these values."""
    return urlencode(values)


@dataclass(frozen=True, slots=True)
class Admin:
    """Where a daemon's admin API listens, and the token that it may want."""

    listen: str
    token: str | None = field(default=None, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}


def where_it_listens(config_path: Path | None, admin: str | None) -> Admin:
    """Where the daemon's admin API listens, with the token of the settings, as far as they can be read."""
    if admin is None:
        server = load_settings(config_path)[0].server
        return Admin(str(server.admin_listen), _token(server))
    from calsyncd import config

    try:
        # Whoever names the daemon needs no settings: it may want no token.
        return Admin(admin, _token(config.load(config.find(config_path, os.environ), os.environ).server))
    except UserError:
        return Admin(admin)


def _token(server: Any) -> str | None:
    return server.admin_token.reveal() if server.admin_token is not None else None


def ask(config_path: Path | None, admin: str | None, method: str, path: str, body: Any = None) -> Any:
    """What the daemon of the settings answers; UserError with its words if it refuses."""
    return send(where_it_listens(config_path, admin), method, path, body)


def send(where: Admin, method: str, path: str, body: Any = None) -> Any:
    """What the daemon that listens there answers; UserError with its words if it refuses.

    NoDaemonError where none listens, or somebody else does; UserError 2 where that is no address.
    """
    return wait_for(_request(where, method, path, body))


def pages(where: Admin, path: str, asked: list[tuple[str, str]]) -> Iterator[Any]:
    """A long list, page by page."""
    cursor: list[tuple[str, str]] = []
    while True:
        page = send(where, "GET", f"{path}?{query([*asked, *cursor, ('limit', str(PAGE))])}")
        yield page
        if page["cursor"] is None:
            return
        cursor = [("cursor", page["cursor"])]


async def _request(admin: Admin, method: str, path: str, body: Any) -> Any:
    import aiohttp

    where = admin.listen
    connector: aiohttp.BaseConnector | None = None
    base = where.rstrip("/") if "://" in where else f"http://{where.rstrip('/')}"
    if where.startswith("unix:"):
        connector, base = aiohttp.UnixConnector(where.removeprefix("unix:")), "http://localhost"
    timeout = aiohttp.ClientTimeout(total=ADMIN_SECONDS, connect=5.0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        try:
            async with session.request(method, base + path, json=body, headers=admin.headers) as answer:
                data = await answer.json(content_type=None)
                if not isinstance(data, dict):
                    raise NoDaemonError(where)
                if answer.status == 401:
                    raise UserError(_unauthorized(admin), exit_code=1)
                if answer.status >= 400:
                    message = _message(data)
                    raise UserError(message or f"the daemon answered {answer.status}", exit_code=1)
                return data
        except aiohttp.ClientConnectionError:
            raise NoDaemonError(where) from None
        except TimeoutError:
            raise UserError(f"the daemon at {where} did not answer in {ADMIN_SECONDS:.0f} s", exit_code=1) from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise UserError(f"{where}: expected HOST:PORT, a URL with http, or unix:PATH", exit_code=USAGE) from None
        except (aiohttp.ClientError, OSError, ValueError):
            # Nobody listens, or somebody who is not ours: an answer that is no HTTP, or no JSON.
            raise NoDaemonError(where) from None


def _unauthorized(admin: Admin) -> str:
    wanted = "another token than that of" if admin.token is not None else "a token, and there is none in"
    return (
        f"the daemon at {admin.listen} wants {wanted} the settings that this command reads: name its file in"
        " server.admin_token_file, in a file given with --config"
    )


def _message(data: dict[str, Any]) -> str | None:
    error = data.get("error")
    return error.get("message") if isinstance(error, dict) else None
