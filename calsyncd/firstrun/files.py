"""The files that a first run leaves: settings, and secrets beside them that only their owner reads."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from calsyncd import config
from calsyncd.config import ConfigError
from calsyncd.config.faults import Problem

HEADER = "# Made by `calsyncd init`. config.example.yaml explains every key; `calsyncd check` shows every fault.\n"


@dataclass(slots=True)
class Outcome:
    """What is to be written: the settings, and the secrets by the name of the file beside them that holds each."""

    path: Path
    settings: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)

    def in_the_way(self) -> list[Path]:
        """Files for secrets that are there already and hold something else."""
        wanted = {self.path.parent / name: content for name, content in self.secrets.items()}
        return [place for place, content in wanted.items() if os.path.lexists(place) and _content(place) != content]

    def write(self) -> None:
        """Write all of it, the settings last, and only if they are good: nothing is replaced otherwise.

        Raises:
            Problem: the folder cannot be written to, or the settings are faulty after all.
        """
        folder = self.path.parent
        try:
            if not folder.exists():
                folder.mkdir(parents=True)
                folder.chmod(0o755)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".calsyncd-init-") as name:  # mode 0700
                stage = Path(name)
                for secret, content in self.secrets.items():
                    _put(stage / secret, content, 0o600)
                # The service's own user reads it too; there is no secret in it.
                _put(stage / self.path.name, (HEADER + self._text()).encode(), 0o644)
                config.load(stage / self.path.name, {})
                for file in (*self.secrets, self.path.name):
                    (stage / file).replace(folder / file)
        except ConfigError as error:
            raise Problem("; ".join(f"{fault.key}: {fault.message}" for fault in error.faults)) from None
        except OSError as error:
            raise Problem(f"{error.filename or folder}: cannot be written ({error.strerror})") from None

    def credential_lines(self) -> list[str]:
        """The unit's lines that hand the secrets to the service."""
        return [f"LoadCredential={name}:{self.path.parent / name}" for name in self.secrets]

    def _text(self) -> str:
        return yaml.safe_dump(self.settings, sort_keys=False, allow_unicode=True, default_flow_style=False)


def writable(path: Path) -> None:
    """The file could be made, with its folders.

    Raises:
        Problem: otherwise.
    """
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if path.is_dir() or not folder.is_dir():
        raise Problem("is a directory, or lies below what is none; give the path of a file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Problem(f"{folder} cannot be written to; run this with sudo, or give another path")


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _put(path: Path, content: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
        os.fchmod(out.fileno(), mode)
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
