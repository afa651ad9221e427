"""The vault: credentials that were granted to calsyncd, encrypted on disk.

One file each, outside of the database, which may be deleted at any time. The keys are in a file of their own, one
Fernet key a line, the newest first: the first encrypts, any of them decrypts. A credential's file names the key that
opens it by a fingerprint, so that a wrong key is told apart from damage. Inside stands the context, whose credential
it is: a file under another one's name is refused.

A file is replaced whole or not at all, and only if what it held could be read. Several processes may use a vault:
whoever writes holds its lock and reads the keys afresh, and whoever meets a key that they do not know does too. So a
rotation in one process is followed by all others without being told.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from calsyncd.errors import UserError
from calsyncd.files import sync_folder
from calsyncd.vault.files import (
    MAX_FILE_BYTES,
    UNCHANGED,
    bytes_of,
    give,
    is_there,
    locked,
    replace,
    said_of,
)
from calsyncd.vault.keys import Keys, make_key, read_keys, write_keys

_HEADER = "calsyncd credential, key "
_NAME = re.compile(r"[0-9a-f]{32}")


class WrongKeyError(UserError):
    """None of the keys in the key file opens this credential."""


class Vault:
    """The credentials in a folder. Made by `open`; what a method raises is UserError: which file, and what to do."""

    def __init__(self, folder: Path, keys: Keys, now: Callable[[], float]) -> None:
        self._folder = folder
        self._keys = keys
        self._now = now

    @classmethod
    def open(cls, folder: Path, key_file: Path, now: Callable[[], float] = time.time) -> Vault:
        """The vault in `folder`, which is made if need be; so is the key, while there is nothing that one would open.

        `now` gives epoch seconds; it dates what is made by `box`.
        UserError: the key is missing while credentials exist, is no key, others can read it, or it is the key of
        none of the credentials. Single files that are damaged are no hindrance: see `faults`.
        """
        with said_of(folder, "the folder of the credentials cannot be used"):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                give(folder, folder.parent.stat())
        if not is_there(key_file):
            with locked(folder):
                if not is_there(key_file):
                    _refuse_new_key(folder, key_file)
                    make_key(key_file)
        vault = cls(folder, read_keys(key_file), now)
        vault._refuse_wrong(vault._keys)
        return vault

    @classmethod
    def look(cls, folder: Path, key_file: Path, now: Callable[[], float] = time.time) -> Vault:
        """As `open`, for whoever only reads: neither the folder nor the key is made."""
        if is_there(key_file):
            keys = read_keys(key_file)
        else:
            if is_there(folder):
                _refuse_new_key(folder, key_file)
            keys = Keys(key_file, (Fernet.generate_key(),))
        vault = cls(folder, keys, now)
        vault._refuse_wrong(keys)
        return vault

    @classmethod
    def shut(cls, folder: Path, key_file: Path, now: Callable[[], float] = time.time) -> Vault:
        """One whose key is lost: for whoever can do without all that was granted. Nothing can be kept in it."""
        return cls(folder, Keys(key_file, (Fernet.generate_key(),)), now)

    @property
    def folder(self) -> Path:
        """Where the credentials lie."""
        return self._folder

    @property
    def key_file(self) -> Path:
        """Where their key lies."""
        return self._keys.path

    # -- credentials -----------------------------------------------------------------------------------------------

    def put(self, context: str, credential: Mapping[str, Any]) -> None:
        """Keep this credential, in the place of the former one; on disk when this returns.

        Refused where the former one cannot be read: with another key it might be.
        """
        with locked(self._folder):
            self._read_keys()
            path = self._path(context)
            self._read(path)
            self._write(path, context, credential)

    def get(self, context: str) -> dict[str, Any] | None:
        """The credential of this context; None if there is none."""
        found = self._read_afresh(self._path(context))
        return found[1] if found is not None else None

    def remove(self, context: str) -> None:
        """Delete the credential of this context, readable or not; deleted on disk when this returns."""
        path = self._path(context)
        with locked(self._folder), said_of(path, "cannot be deleted"):
            path.unlink(missing_ok=True)
            sync_folder(self._folder)

    def contexts(self) -> list[str]:
        """Whose credentials are here and can be read, sorted. For the others see `faults`."""
        return sorted(context for context, _ in self._readable())

    def faults(self) -> dict[str, str]:
        """Of each file that cannot be read, by its name: which, why, what to do. `name_of` a context is its file's."""
        said = {}
        for path in self._files():
            try:
                self._read_afresh(path)
            except UserError as error:
                said[path.name] = str(error)
        return said

    def demand_folder(self) -> None:
        """UserError if the folder, which `open` has made, is not there any more."""
        if not is_there(self._folder):
            raise UserError(
                f"{self._folder}: is not there any more: put the folder of the credentials back, or restart calsyncd"
                " and connect everybody anew"
            )

    # -- keys ------------------------------------------------------------------------------------------------------

    def fault_of_key(self) -> str | None:
        """What is wrong with the key file, which the next start will need, and what to do; None if nothing is."""
        try:
            # A rotation by another process changes both: with its lock they fit together.
            with contextlib.ExitStack() as stack:
                with contextlib.suppress(UserError):
                    stack.enter_context(locked(self._folder))
                fresh = read_keys(self._keys.path)
                if fresh != self._keys:
                    self._refuse_wrong(fresh)
        except UserError as error:
            return str(error)
        return None

    def rotate(self) -> int:
        """Encrypt everything with a new key and drop the others; how many files there are.

        A crash at any point leaves all readable, and the next rotation ends what it began: the new key stands in the
        key file before anything is encrypted with it, and the old ones until the last file is.
        UserError: a file cannot be read, and no key was made; 75 while another process rotates.
        """
        with locked(self._folder, "rotation.lock", wait=False):
            with locked(self._folder):
                old = read_keys(self._keys.path)
                for path in self._files():
                    self._read(path, old)
                fresh = Fernet.generate_key()
                both = Keys(old.path, (fresh, *old.texts))
                write_keys(both)
                self._keys = both
            self.renew()
            with locked(self._folder):
                # A file that came meanwhile, from a backup perhaps, is looked at too: its key must not go.
                self._demand_newest()
                alone = Keys(old.path, (fresh,))
                write_keys(alone)
                self._keys = alone
                self._sweep()
                return len(self._files())

    def renew(self) -> int:
        """Encrypt with the newest key what an older one encrypts; how many files were. Drops no key.

        For a key file that somebody else puts in place, with the new key above the old one: a systemd credential.
        """
        self._read_keys()
        count = 0
        for path in self._files():
            with locked(self._folder):
                found = self._read(path)
                if found is not None and _key_of(path, bytes_of(path)) != self._keys.newest:
                    self._write(path, *found)
                    count += 1
        return count

    def outdated(self) -> int:
        """How many credentials an older key encrypts."""
        keys, count = read_keys(self._keys.path), 0
        for path in self._files():
            with contextlib.suppress(UserError, FileNotFoundError):
                count += _key_of(path, bytes_of(path)) in keys.names - {keys.newest}
        return count

    # -- short-lived state -----------------------------------------------------------------------------------------

    def box(self, content: bytes) -> bytes:
        """`content`, encrypted and dated, as text that fits into a cookie."""
        return self._keys.fernet(b"box").encrypt_at_time(content, int(self._now()))

    def unbox(self, boxed: bytes, seconds: float) -> bytes | None:
        """What `box` was given, at most so many seconds ago; None for anything else."""
        known = [self._keys]
        with contextlib.suppress(UserError):
            # A rotation by another process: what was boxed with its new key is ours too.
            known.append(read_keys(self._keys.path))
        for keys in known:
            with contextlib.suppress(InvalidToken, TypeError, ValueError):
                return keys.fernet(b"box").decrypt_at_time(boxed, int(seconds), int(self._now()))
        return None

    # -- files -----------------------------------------------------------------------------------------------------

    def _path(self, context: str) -> Path:
        return self._folder / name_of(context)

    def _files(self) -> list[Path]:
        return credential_files(self._folder)

    def _readable(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for path in self._files():
            with contextlib.suppress(UserError):
                found = self._read_afresh(path)
                if found is not None:
                    yield found

    def _read_afresh(self, path: Path) -> tuple[str, dict[str, Any]] | None:
        """As `_read`, with the keys of the key file as it is now if those known do not open it."""
        try:
            return self._read(path)
        except WrongKeyError:
            # Another process may be in the middle of a rotation: with its lock, file and keys fit together.
            with contextlib.ExitStack() as stack:
                with contextlib.suppress(UserError):
                    stack.enter_context(locked(self._folder))
                fresh = read_keys(self._keys.path)
                found = self._read(path, fresh)
            # Only keys that open something take the place of those that did.
            self._keys = fresh
            return found

    def _read(self, path: Path, keys: Keys | None = None) -> tuple[str, dict[str, Any]] | None:
        """The context and the credential in a file, by `keys` or ours; None if there is no such file."""
        keys = keys or self._keys
        try:
            raw = bytes_of(path)
        except FileNotFoundError:
            return None
        key = _key_of(path, raw)
        if key not in keys.names:
            raise WrongKeyError(
                f"{path}: opens only with key {key}, and {keys.path} holds {_listed(keys.names)}: add the line of that"
                f" key to {keys.path} from where you keep it; if it is lost, delete the credential's file and connect"
                f" anew; {UNCHANGED}"
            )
        try:
            inside = json.loads(keys.fernet().decrypt(raw.split(b"\n", 1)[1].strip()))
            context, credential = inside["context"], inside["credential"]
        except (InvalidToken, ValueError, TypeError, KeyError, RecursionError):
            raise UserError(
                f"{path}: damaged: it is not what was written; put it back from a backup, or delete it and connect"
                f" anew; {UNCHANGED}"
            ) from None
        if name_of(context) != path.name:
            raise UserError(
                f"{path}: holds another credential than its name says ({context}, whose file is {name_of(context)}):"
                f" rename it if you copied it, else delete it and connect anew; {UNCHANGED}"
            )
        return context, credential

    def _write(self, path: Path, context: str, credential: Mapping[str, Any]) -> None:
        inside = json.dumps({"context": context, "credential": dict(credential)}, separators=(",", ":"))
        token = self._keys.fernet().encrypt_at_time(inside.encode(), int(self._now()))
        raw = f"{_HEADER}{self._keys.newest}\n".encode() + token + b"\n"
        if len(raw) > MAX_FILE_BYTES:
            raise UserError(f"{path}: the credential is larger than {MAX_FILE_BYTES // 1024} KB; {UNCHANGED}")
        with said_of(path, "cannot be written"):
            replace(path, raw, self._folder.stat(), 0o600)

    def _read_keys(self) -> None:
        """Take up the key file as it is now; UserError if it cannot be read, or is that of none of the credentials."""
        fresh = read_keys(self._keys.path)
        if fresh != self._keys:
            self._refuse_wrong(fresh)
            self._keys = fresh

    def _refuse_wrong(self, keys: Keys) -> None:
        """UserError if these keys are those of none of the credentials."""
        wrong: UserError | None = None
        for path in self._files():
            try:
                self._read(path, keys)
            except WrongKeyError as error:
                wrong = wrong or error
            except UserError:
                continue
            else:
                return
        if wrong is not None:
            raise wrong

    def _sweep(self) -> None:
        """Delete what crashes have left half-written: it may be encrypted with a key that somebody knows."""
        with said_of(self._folder, "what a crash has left there cannot be deleted"):
            for path in self._folder.glob("*.new"):
                path.unlink(missing_ok=True)

    def _demand_newest(self) -> None:
        newest = Keys(self._keys.path, self._keys.texts[:1])
        for path in self._files():
            try:
                self._read(path, newest)
            except UserError as error:
                raise UserError(f"{error}; the old keys stay in {self._keys.path}: rotate again then") from None


def name_of(context: str) -> str:
    """The file name of a context's credential, which tells nobody whose it is."""
    return hashlib.sha256(str(context).encode()).hexdigest()[:32]


def holds_credentials(folder: Path) -> bool:
    """Whether there is anything in this folder that a key would open; UserError if it cannot be read."""
    return is_there(folder) and bool(credential_files(folder))


def _key_of(path: Path, raw: bytes) -> str:
    """The fingerprint that a credential's file names."""
    found = re.match(re.escape(_HEADER.encode()) + rb"([0-9a-f]{8})\n", raw)
    if found is None:
        raise UserError(
            f"{path}: not a credential of calsyncd, or a damaged one: put it back from a backup, or delete it and"
            f" connect anew; {UNCHANGED}"
        )
    return found[1].decode()


def is_credential(name: str) -> bool:
    """Whether a file of this name in the folder of the credentials is one."""
    return _NAME.fullmatch(name) is not None


def credential_files(folder: Path) -> list[Path]:
    """The files of the credentials in this folder, none where it is not there; UserError if it cannot be read."""
    if not is_there(folder):
        return []
    with said_of(folder, "the folder of the credentials cannot be read"):
        return sorted(path for path in folder.iterdir() if is_credential(path.name))


def _refuse_new_key(folder: Path, key_file: Path) -> None:
    """UserError where credentials exist, which a new key would not open."""
    files = credential_files(folder)
    if not files:
        return
    names = set()
    for path in files:
        with contextlib.suppress(UserError, FileNotFoundError):
            names.add(_key_of(path, bytes_of(path)))
    raise UserError(
        f"{key_file}: no such file, and the {len(files)} credentials in {folder} open only with the key that it held"
        f" (key {_listed(names) or 'unknown'}): put it back from where you keep it, or name its place as"
        " vault_key_file; a systemd credential (LoadCredential=vault-key:...) is seen by the service only. If the key"
        f" is lost, move {folder} away and connect everybody anew; {UNCHANGED}"
    )


def _listed(names: frozenset[str] | set[str]) -> str:
    return ", ".join(sorted(names))
