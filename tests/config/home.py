"""A directory with good secret files, and a way to write config.yaml into it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calsyncd.config import ConfigError, Settings, load

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


def furnish(path: Path, account: dict[str, str]) -> Home:
    """A directory with the two secret files that GOOD names."""
    home = Home(path, account)
    home.write("google.json", json.dumps(account))
    home.write("aircall-token", TOKEN + "\n")
    return home
