"""A directory with good secret files, and a way to write config.yaml into it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calsyncd.config import ConfigError, ServiceAccount, Settings, load

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "canary0token0of0aircall"

GOOD = """\
google:
  service_account_file: google.json
aircall:
  api_id: someid
  api_token_file: aircall-token
agents:
  - email: Amy@Example.com
"""

BY_CONSENT = (
    GOOD.replace("service_account_file: google.json", "oauth_client_file: client.json")
    + "server: {public_url: https://calsync.example.com}\n"
)
"""Settings by which each agent consents; `furnish_ways` writes their file."""
BY_APP = (
    GOOD.replace("  api_id: someid\n", "").replace(
        "  api_token_file: aircall-token", "  oauth: {client_id: app, client_secret_file: aircall-secret}"
    )
    + "server: {public_url: https://calsync.example.com}\n"
)
"""Settings by which an Aircall app is installed; `furnish_ways` writes their file."""

CLIENT_SECRET = "GOCSPX-canary0of0google"
APP_SECRET = "canary0of0the0app"

CLIENT = {
    "client_id": "104-x.apps.googleusercontent.com",
    "project_id": "example",
    "auth_uri": "https://accounts.google.com/o/oauth2/auth",
    "token_uri": "https://oauth2.googleapis.com/token",
    "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
    "client_secret": CLIENT_SECRET,
    "redirect_uris": ["https://calsync.example.com/google/callback"],
}
"""What stands under "web" in an OAuth client's JSON as Google gives it out."""


@dataclass
class Home:
    """The directory in which a config.yaml lives, and the environment it is read in."""

    path: Path
    account: dict[str, str]
    env: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, content: str | bytes, mode: int = 0o600) -> Path:
        path = self.path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    def load(self, content: str | bytes) -> Settings:
        return load(self.write("config.yaml", content), self.env)

    def faults(self, content: str | bytes) -> list[str]:
        """Each fault without the file's path; none if the settings are good."""
        try:
            self.load(content)
        except ConfigError as err:
            prefix = f"{self.path / 'config.yaml'}:"
            return [line.removeprefix(prefix).replace(str(self.path), "DIR") for line in err.lines()]
        return []


def token_of(settings: Settings) -> str:
    """The API token that they hold."""
    assert settings.aircall.api_token is not None
    return settings.aircall.api_token.reveal()


def account_of(settings: Settings) -> ServiceAccount:
    """The service account that they hold."""
    assert settings.google.service_account is not None
    return settings.google.service_account


def furnish(path: Path, account: dict[str, str]) -> Home:
    """A directory with the two secret files that GOOD names."""
    home = Home(path, account)
    home.write("google.json", json.dumps(account))
    home.write("aircall-token", TOKEN + "\n")
    return home


def furnish_ways(home: Home) -> None:
    """Adds the secret files that BY_CONSENT and BY_APP name."""
    home.write("client.json", json.dumps({"web": CLIENT}))
    home.write("aircall-secret", APP_SECRET + "\n")
