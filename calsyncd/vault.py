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

import base64
import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from calsyncd.errors import UserError, exit_code_of

MAX_FILE_BYTES = 64 * 1024

_HEADER = "calsyncd credential, key "
_NAME = re.compile(r"[0-9a-f]{32}")
_UNCHANGED = "nothing was overwritten"


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
        with _said(folder, "the folder of the credentials cannot be used"):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _give(folder, folder.parent.stat())
        if not is_there(key_file):
            with _locked(folder):
                if not is_there(key_file):
                    _refuse_new_key(folder, key_file)
                    _make_key(key_file)
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

    # -- credentials -----------------------------------------------------------------------------------------------

    def put(self, context: str, credential: Mapping[str, Any]) -> None:
        """Keep this credential, in the place of the former one; on disk when this returns.

        Refused where the former one cannot be read: with another key it might be.
        """
        with _locked(self._folder):
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
        with _locked(self._folder), _said(path, "cannot be deleted"):
            path.unlink(missing_ok=True)
            _sync_folder(self._folder)

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

    # -- keys ------------------------------------------------------------------------------------------------------

    def rotate(self) -> int:
        """Encrypt everything with a new key and drop the others; how many files there are.

        A crash at any point leaves all readable, and the next rotation ends what it began: the new key stands in the
        key file before anything is encrypted with it, and the old ones until the last file is.
        UserError: a file cannot be read, and no key was made; 75 while another process rotates.
        """
        with _locked(self._folder, "rotation.lock", wait=False):
            with _locked(self._folder):
                old = read_keys(self._keys.path)
                for path in self._files():
                    self._read(path, old)
                fresh = Fernet.generate_key()
                both = Keys(old.path, (fresh, *old.texts))
                _write_keys(both)
                self._keys = both
            self.renew()
            with _locked(self._folder):
                # A file that came meanwhile, from a backup perhaps, is looked at too: its key must not go.
                self._demand_newest()
                alone = Keys(old.path, (fresh,))
                _write_keys(alone)
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
            with _locked(self._folder):
                found = self._read(path)
                if found is not None and _key_of(path, _bytes_of(path)) != self._keys.newest:
                    self._write(path, *found)
                    count += 1
        return count

    def outdated(self) -> int:
        """How many credentials an older key encrypts."""
        keys, count = read_keys(self._keys.path), 0
        for path in self._files():
            with contextlib.suppress(UserError, FileNotFoundError):
                count += _key_of(path, _bytes_of(path)) in keys.names - {keys.newest}
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
                    stack.enter_context(_locked(self._folder))
                fresh = read_keys(self._keys.path)
                found = self._read(path, fresh)
            # Only keys that open something take the place of those that did.
            self._keys = fresh
            return found

    def _read(self, path: Path, keys: Keys | None = None) -> tuple[str, dict[str, Any]] | None:
        """The context and the credential in a file, by `keys` or ours; None if there is no such file."""
        keys = keys or self._keys
        try:
            raw = _bytes_of(path)
        except FileNotFoundError:
            return None
        key = _key_of(path, raw)
        if key not in keys.names:
            raise WrongKeyError(
                f"{path}: opens only with key {key}, and {keys.path} holds {_listed(keys.names)}: add the line of that"
                f" key to {keys.path} from where you keep it; if it is lost, delete the credential's file and connect"
                f" anew; {_UNCHANGED}"
            )
        try:
            inside = json.loads(keys.fernet().decrypt(raw.split(b"\n", 1)[1].strip()))
            context, credential = inside["context"], inside["credential"]
        except (InvalidToken, ValueError, TypeError, KeyError, RecursionError):
            raise UserError(
                f"{path}: damaged: it is not what was written; put it back from a backup, or delete it and connect"
                f" anew; {_UNCHANGED}"
            ) from None
        if name_of(context) != path.name:
            raise UserError(
                f"{path}: holds another credential than its name says ({context}, whose file is {name_of(context)}):"
                f" rename it if you copied it, else delete it and connect anew; {_UNCHANGED}"
            )
        return context, credential

    def _write(self, path: Path, context: str, credential: Mapping[str, Any]) -> None:
        inside = json.dumps({"context": context, "credential": dict(credential)}, separators=(",", ":"))
        token = self._keys.fernet().encrypt_at_time(inside.encode(), int(self._now()))
        raw = f"{_HEADER}{self._keys.newest}\n".encode() + token + b"\n"
        if len(raw) > MAX_FILE_BYTES:
            raise UserError(f"{path}: the credential is larger than {MAX_FILE_BYTES // 1024} KB; {_UNCHANGED}")
        with _said(path, "cannot be written"):
            _replace(path, raw, self._folder.stat(), 0o600)

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
        with _said(self._folder, "what a crash has left there cannot be deleted"):
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


def is_there(path: Path) -> bool:
    """Whether there is anything of this name; UserError if that cannot be seen."""
    with _said(path, "cannot be looked at", "run this as root, or as the user as whom calsyncd runs"):
        try:
            os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
    return True


def fingerprint(key: bytes) -> str:
    """A key's name: nothing of the key can be learned from it."""
    return hashlib.sha256(b"calsyncd vault key " + key).hexdigest()[:8]


def read_keys(path: Path) -> Keys:
    """The keys in this file; UserError if it cannot be read, others can read it, or a line is no key."""
    try:
        raw = _bytes_of(path)
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; it held the key of the vault: put it back from where you keep it; {_UNCHANGED}"
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
                f" from where you keep it; {_UNCHANGED}"
            )
    if not lines:
        raise UserError(f"{path}: empty; put the key of the vault back from where you keep it; {_UNCHANGED}")
    return Keys(path, tuple(line for _, line in lines))


def _is_key(line: bytes) -> bool:
    try:
        Fernet(line)
    except ValueError:
        return False
    return True


def _for_purpose(key: bytes, purpose: bytes) -> bytes:
    return base64.urlsafe_b64encode(hmac.digest(base64.urlsafe_b64decode(key), b"calsyncd " + purpose, "sha256"))


def _key_of(path: Path, raw: bytes) -> str:
    """The fingerprint that a credential's file names."""
    found = re.match(re.escape(_HEADER.encode()) + rb"([0-9a-f]{8})\n", raw)
    if found is None:
        raise UserError(
            f"{path}: not a credential of calsyncd, or a damaged one: put it back from a backup, or delete it and"
            f" connect anew; {_UNCHANGED}"
        )
    return found[1].decode()


def is_credential(name: str) -> bool:
    """Whether a file of this name in the folder of the credentials is one."""
    return _NAME.fullmatch(name) is not None


def credential_files(folder: Path) -> list[Path]:
    """The files of the credentials in this folder, none where it is not there; UserError if it cannot be read."""
    if not is_there(folder):
        return []
    with _said(folder, "the folder of the credentials cannot be read"):
        return sorted(path for path in folder.iterdir() if is_credential(path.name))


def _bytes_of(path: Path) -> bytes:
    """FileNotFoundError if it is not there; UserError if it is there and cannot be read."""
    try:
        # O_NONBLOCK: a FIFO without a writer would block the open.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UserError(f"{path}: not a regular file: move it away; {_UNCHANGED}")
            raw = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}): check its owner and mode; {_UNCHANGED}",
            exit_code=exit_code_of(error),
        ) from error
    if len(raw) > MAX_FILE_BYTES:
        raise UserError(f"{path}: larger than {MAX_FILE_BYTES // 1024} KB: not a file of calsyncd; {_UNCHANGED}")
    return raw


def _refuse_new_key(folder: Path, key_file: Path) -> None:
    """UserError where credentials exist, which a new key would not open."""
    files = credential_files(folder)
    if not files:
        return
    names = set()
    for path in files:
        with contextlib.suppress(UserError, FileNotFoundError):
            names.add(_key_of(path, _bytes_of(path)))
    raise UserError(
        f"{key_file}: no such file, and the {len(files)} credentials in {folder} open only with the key that it held"
        f" (key {_listed(names) or 'unknown'}): put it back from where you keep it, or name its place as"
        " vault_key_file; a systemd credential (LoadCredential=vault-key:...) is seen by the service only. If the key"
        f" is lost, move {folder} away and connect everybody anew; {_UNCHANGED}"
    )


def _make_key(path: Path) -> None:
    with _said(
        path, "the key of the vault cannot be made", f"make a folder {path.parent} that only this user can enter"
    ):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            _write_synced(fresh, Fernet.generate_key() + b"\n", path.parent.stat(), 0o600)
            # A link, not a rename: whoever else makes this file at the same time is not overwritten.
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
        _sync_folder(path.parent)


def _write_keys(keys: Keys) -> None:
    with _said(keys.path, "the key of the vault cannot be replaced", "check that this user can write to its folder"):
        # Where it is a link, what it leads to is replaced.
        path = keys.path.resolve(strict=True)
        former = path.stat()
        _replace(path, b"\n".join(keys.texts) + b"\n", former, stat.S_IMODE(former.st_mode))


def _replace(path: Path, raw: bytes, like: os.stat_result, mode: int) -> None:
    fresh = path.with_name(f"{path.name}.new")
    try:
        _write_synced(fresh, raw, like, mode)
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _write_synced(path: Path, raw: bytes, like: os.stat_result, mode: int) -> None:
    """A new file with this content, on disk, that belongs to whom `like` belongs, as far as this user may say so."""
    # One that a crash has left is nobody's any more.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)
        file.flush()
        if (os.geteuid(), os.getegid()) != (like.st_uid, like.st_gid):
            # Made by root for the service, which must be able to read it.
            os.fchown(descriptor, like.st_uid if os.geteuid() == 0 else -1, like.st_gid)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _give(path: Path | int, like: os.stat_result) -> None:
    """What root has made for the service belongs to whom `like` belongs to."""
    if os.geteuid() == 0:
        os.chown(path, like.st_uid, like.st_gid)


@contextlib.contextmanager
def _locked(folder: Path, name: str = "lock", *, wait: bool = True) -> Iterator[None]:
    """Hold this lock in the folder against other processes and vaults; the kernel lets go when the process ends."""
    path = folder / name
    with _said(path, "cannot be used"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with _said(path, "cannot be given to the folder's owner"):
            _give(descriptor, folder.stat())
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{path}: another process is rotating the key: wait for its end", exit_code=75) from None
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _said(path: Path, what: str, do: str = "check its owner, its mode and the space") -> Iterator[None]:
    """OSError becomes UserError that names the file."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: {what} ({error.strerror}): {do}; {_UNCHANGED}", exit_code=exit_code_of(error)
        ) from error


def _listed(names: frozenset[str] | set[str]) -> str:
    return ", ".join(sorted(names))
