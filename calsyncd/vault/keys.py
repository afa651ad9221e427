"""The keys of the vault: a file with one Fernet key a line, the newest first."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet, MultiFernet

from calsyncd.errors import UserError, exit_code_of
from calsyncd.files import sync_folder
from calsyncd.vault.files import UNCHANGED, bytes_of, replace, said_of, write_synced


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a key file, the newest first."""

    path: Path
    texts: tuple[bytes, ...]

    @property
    def newest(self) -> str:
        """The fingerprint of the key that encrypts."""
        return fingerprint(self.texts[0])

    @property
    def names(self) -> frozenset[str]:
        """All fingerprints."""
        return frozenset(fingerprint(text) for text in self.texts)

    def fernet(self, purpose: bytes = b"") -> MultiFernet:
        """What encrypts and decrypts; what was made for one purpose is worth nothing for another."""
        return MultiFernet([Fernet(_for_purpose(text, purpose) if purpose else text) for text in self.texts])

    def __repr__(self) -> str:
        return f"Keys({self.path}, {', '.join(sorted(self.names))})"


def fingerprint(key: bytes) -> str:
    """A key's name: nothing of the key can be learned from it."""
    return hashlib.sha256(b"calsyncd vault key " + key).hexdigest()[:8]


def read_keys(path: Path) -> Keys:
    """The keys in this file; UserError if it cannot be read, others can read it, or a line is no key."""
    try:
        raw = bytes_of(path)
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; it held the key of the vault: put it back from where you keep it; {UNCHANGED}"
        ) from None
    except OSError as error:
        raise UserError(
            f"{path}: the key of the vault cannot be read ({error.strerror}): check its owner and mode",
            exit_code=exit_code_of(error),
        ) from error
    if mode & 0o007:
        raise UserError(f"{path}: others can read the key of the vault (mode {mode:04o}): chmod o= it, e.g. to 0600")
    lines = [(number, line.strip()) for number, line in enumerate(raw.splitlines(), 1) if line.strip()]
    for number, line in lines:
        if not _is_key(line):
            raise UserError(
                f"{path}:{number}: not a key of the vault, which is 32 bytes in base64, one a line: put the file back"
                f" from where you keep it; {UNCHANGED}"
            )
    if not lines:
        raise UserError(f"{path}: empty; put the key of the vault back from where you keep it; {UNCHANGED}")
    return Keys(path, tuple(line for _, line in lines))


def _is_key(line: bytes) -> bool:
    try:
        Fernet(line)
    except ValueError:
        return False
    return True


def _for_purpose(key: bytes, purpose: bytes) -> bytes:
    return base64.urlsafe_b64encode(hmac.digest(base64.urlsafe_b64decode(key), b"calsyncd " + purpose, "sha256"))


def make_key(path: Path) -> None:
    """A key file with a new key, unless another process makes it first; UserError if it cannot be made."""
    with said_of(
        path, "the key of the vault cannot be made", f"make a folder {path.parent} that only this user can enter"
    ):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            write_synced(fresh, Fernet.generate_key() + b"\n", path.parent.stat(), 0o600)
            # A link, not a rename: whoever else makes this file at the same time is not overwritten.
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
        sync_folder(path.parent)


def write_keys(keys: Keys) -> None:
    """The key file holds these keys from now on, and keeps its owner and mode; UserError if it cannot be written."""
    with said_of(keys.path, "the key of the vault cannot be replaced", "check that this user can write to its folder"):
        # Where it is a link, what it leads to is replaced.
        path = keys.path.resolve(strict=True)
        former = path.stat()
        replace(path, b"\n".join(keys.texts) + b"\n", former, stat.S_IMODE(former.st_mode))
