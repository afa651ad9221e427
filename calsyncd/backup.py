"""Backups: the database, the ledger and what belongs to them in one file, and a state directory made from one.

A backup is a compressed tar: a manifest first, then each file as it was. The ledger is what matters: it holds who is
owed what. The database is a cache and is left out where it is damaged. The vault's key is never in it, so that whoever
finds a backup can read no credential.

Each file is whole by itself: the database is copied by SQLite, the credentials are only ever replaced whole, and the
ledger is read up to its last whole line. Together they are of nearly one time, the ledger the latest.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from calsyncd import __version__, ledger
from calsyncd.core.plan import Entry, Held, Line
from calsyncd.errors import UserError
from calsyncd.files import sync_folder
from calsyncd.state import locked
from calsyncd.store import DATABASE
from calsyncd.store.migrations import MIGRATIONS
from calsyncd.vault import credential_files, is_credential

FORMAT = 1
MANIFEST, LEDGER, CREDENTIALS = "manifest.json", "ledger", "credentials"
SMALL = ("push.key", "alarms.json", "alive")
"""What else is the daemon's memory. Its lock, and copies of what was damaged, are not."""

READS_OF_LEDGER = 5
BETWEEN_READS_SECONDS = 0.05
MAX_MANIFEST_BYTES = 16 * 1024 * 1024
_RESTORING = ".restoring"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds; `schema` is None where there is no database in it, and `why_no_database` says why.

    `made_at` is epoch seconds; `files` has (bytes, SHA-256) by name; `held` are the agents who are owed a way back.
    """

    calsyncd: str
    made_at: float
    schema: int | None
    why_no_database: str | None
    lines: int
    damaged: int
    held: int
    files: dict[str, tuple[int, str]]

    @property
    def credentials(self) -> int:
        """How many encrypted credentials are in it."""
        return sum(name.startswith(f"{CREDENTIALS}/") for name in self.files)


# -- making one ----------------------------------------------------------------------------------------------------


def back_up(state: Path, file: Path, now: float, *, force: bool = False) -> Manifest:
    """Copy what is in `state` into `file`, mode 0600, which is there whole and read back, or not at all.

    It works beside a daemon and without one. UserError: nothing to back up, `file` exists and not `force`, no room.
    """
    file = file.absolute()
    if file.parent.resolve().is_relative_to(state.resolve()):
        raise UserError(f"{file}: lies in the state directory, and would be lost with it: name another place")
    if not force and _is_there(file):
        raise _exists(file)
    with _said(file), _folder_beside(file) as folder:
        made = folder / "made"
        manifest = _make(state, folder, made, now)
        _put(made, file, force=force)
        return manifest


def stream(state: Path, out: IO[bytes], now: float) -> Manifest:
    """As `back_up`, into a stream; nothing is written to it before the whole was read back."""
    with _said(Path("-")), tempfile.TemporaryDirectory(prefix="calsyncd-backup-") as name:
        folder = Path(name)
        manifest = _make(state, folder, folder / "made", now)
        with (folder / "made").open("rb") as made:
            shutil.copyfileobj(made, out)
        out.flush()
        return manifest


def _make(state: Path, folder: Path, made: Path, now: float) -> Manifest:
    copies = folder / "copies"
    copies.mkdir(mode=0o700)
    if not (state / LEDGER).exists():
        raise UserError(
            f"{state}: holds no ledger: no calsyncd ever ran with this state directory; if the service has another"
            " one, name it as state_dir in the settings, or in $STATE_DIRECTORY"
        )
    schema, why = _copy_database(state / DATABASE, copies / DATABASE)
    for name in SMALL:
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(state / name, copies / name)
    (copies / CREDENTIALS).mkdir()
    for path in credential_files(state / CREDENTIALS):
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(path, copies / CREDENTIALS / path.name)
    raw = _whole_ledger(state / LEDGER)
    (copies / LEDGER).write_bytes(raw)
    lines, damaged, _ = ledger.parse(raw)
    names = [LEDGER, *(path.relative_to(copies).as_posix() for path in sorted(copies.rglob("*")) if path.is_file())]
    files = {name: _summed(copies / name) for name in names}
    manifest = Manifest(__version__, float(int(now)), schema, why, len(lines), damaged, _held(lines), files)
    _pack(manifest, copies, made)
    check = folder / "check"
    with made.open("rb") as written:
        if unpack(written, check) != manifest:
            raise UserError(f"{made}: what was written reads otherwise: is the disk in order?", exit_code=1)
    return manifest


def _copy_database(source: Path, copy: Path) -> tuple[int | None, str | None]:
    """(its schema's version, None), or (None, why there is no copy)."""
    if not source.exists():
        return None, "there is none"
    try:
        # Not read-only: a database in WAL mode that was left by a crash is then put in order by SQLite.
        with (
            contextlib.closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True)) as live,
            contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as target,
        ):
            live.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
            version = _schema_of(target)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        copy.unlink(missing_ok=True)
        return None, f"it is damaged ({error})"
    return version, None


def _schema_of(db: sqlite3.Connection) -> int:
    found = db.execute("PRAGMA integrity_check").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError("its check failed")
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _whole_ledger(path: Path) -> bytes:
    """Its bytes up to the last whole line. What is written meanwhile may be in them, or not.

    A compaction puts another file in its place: the open one stays whole. Where a write has failed, the daemon cuts
    the file back while it is read, which looks like damage: only damage that stays is on the disk.
    """
    for left in range(READS_OF_LEDGER - 1, -1, -1):
        raw = path.read_bytes()
        raw = raw[: raw.rfind(b"\n") + 1]
        if not left or not ledger.parse(raw)[1]:
            break
        time.sleep(BETWEEN_READS_SECONDS)
    return raw


def _held(lines: list[Line]) -> int:
    last = {line.user: line.stance for line in lines if isinstance(line, Entry)}
    return sum(isinstance(stance, Held) for stance in last.values())


def _pack(manifest: Manifest, copies: Path, made: Path) -> None:
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        with tarfile.open(fileobj=out, mode="w:gz", compresslevel=6) as tar:
            body = json.dumps({"format": FORMAT, **asdict(manifest), "made_at": _time_out(manifest.made_at)}, indent=1)
            _add(tar, MANIFEST, io.BytesIO(body.encode()), len(body.encode()), manifest.made_at)
            for name, (size, _) in manifest.files.items():
                with (copies / name).open("rb") as content:
                    _add(tar, name, content, size, manifest.made_at)
        out.flush()
        os.fsync(out.fileno())


def _add(tar: tarfile.TarFile, name: str, content: IO[bytes], size: int, at: float) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, int(at)
    tar.addfile(member, content)


def _put(made: Path, file: Path, *, force: bool) -> None:
    if force:
        made.replace(file)
    else:
        try:
            # A link, unlike a rename, takes nobody's place.
            os.link(made, file)
        except FileExistsError:
            raise _exists(file) from None
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                raise
            if _is_there(file):
                raise _exists(file) from None
            made.replace(file)
    sync_folder(file.parent)


# -- reading one ---------------------------------------------------------------------------------------------------


def unpack(archive: IO[bytes], folder: Path) -> Manifest:
    """Put a backup's files into `folder`, which is made, and check each. UserError: damaged, newer, or no backup."""
    folder.mkdir(mode=0o700)
    (folder / CREDENTIALS).mkdir(mode=0o700)
    try:
        with tarfile.open(fileobj=archive, mode="r|gz") as tar:
            members = iter(tar)
            manifest = _manifest(tar, next(members, None))
            found = {}
            for member in members:
                content = tar.extractfile(member) if member.isfile() else None
                if content is None or member.name not in manifest.files or member.name in found:
                    raise _damaged(f"{member.name[:100]!r} is not what the manifest tells")
                found[member.name] = _write(folder / member.name, content)
    except (tarfile.TarError, EOFError, OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _damaged(f"it cannot be read ({type(error).__name__})") from error
    for name, told in manifest.files.items():
        if found.get(name) != told:
            raise _damaged(f"{name} is {'missing' if name not in found else 'not what the manifest tells'}")
    _check(folder, manifest)
    return manifest


def _manifest(tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> Manifest:
    content = tar.extractfile(member) if member is not None and member.name == MANIFEST else None
    if content is None or member is None or member.size > MAX_MANIFEST_BYTES:
        raise _damaged("it does not begin with a manifest")
    body = json.loads(content.read())
    if not isinstance(body["format"], int) or body["format"] < 1:
        raise ValueError("format")
    if body["format"] > FORMAT:
        raise UserError(
            f"the backup has format {body['format']}, of calsyncd {str(body.get('calsyncd'))[:40]}, and this calsyncd"
            f" {__version__} knows {FORMAT}: restore it with that calsyncd or a newer one",
            exit_code=1,
        )
    files = {str(name): (int(size), str(digest)) for name, (size, digest) in body["files"].items()}
    if LEDGER not in files or not all(map(_is_ours, files)):
        raise ValueError("files")
    return Manifest(
        calsyncd=str(body["calsyncd"]),
        made_at=datetime.fromisoformat(body["made_at"]).timestamp(),
        schema=None if body["schema"] is None else int(body["schema"]),
        why_no_database=None if body["why_no_database"] is None else str(body["why_no_database"]),
        lines=int(body["lines"]),
        damaged=int(body["damaged"]),
        held=int(body["held"]),
        files=files,
    )


def _is_ours(name: str) -> bool:
    """Whether a backup may hold a file of this name: no other is ever written to."""
    folder, _, credential = name.rpartition("/")
    return name in (LEDGER, DATABASE, *SMALL) or (folder == CREDENTIALS and is_credential(credential))


def _check(folder: Path, manifest: Manifest) -> None:
    lines, damaged, torn = ledger.parse((folder / LEDGER).read_bytes())
    if (len(lines), damaged, torn) != (manifest.lines, manifest.damaged, False):
        raise _damaged("the ledger holds other lines than the manifest tells")
    if manifest.schema is not None:
        try:
            with contextlib.closing(sqlite3.connect(folder / DATABASE)) as db:
                version = _schema_of(db)
        except sqlite3.Error as error:
            raise _damaged(f"the database in it cannot be used ({error})") from error
        if version != manifest.schema:
            raise _damaged("the database has another version than the manifest tells")


def restore(archive: IO[bytes], state: Path, *, without_database: bool = False) -> Manifest:
    """Fill `state`, which must be empty and held by no daemon, from a backup that was checked first.

    UserError: 75 a daemon holds it, 1 it is not empty or the backup is damaged or newer; then nothing was changed.
    """
    with locked(state), _said(state):
        staged = state / _RESTORING
        shutil.rmtree(staged, ignore_errors=True)
        there = sorted(path.name for path in state.iterdir() if path.name != "lock" and not _is_empty_folder(path))
        if there:
            raise UserError(
                f"{state}: is not empty ({', '.join(there[:5])}{', …' if len(there) > 5 else ''}), and what is there"
                " may be newer than the backup: move it away first; nothing was changed",
                exit_code=1,
            )
        try:
            manifest = unpack(archive, staged)
            if manifest.schema is not None and manifest.schema > len(MIGRATIONS) and not without_database:
                raise UserError(
                    f"the backup's database has version {manifest.schema}, of calsyncd {manifest.calsyncd}, and this"
                    f" calsyncd {__version__} knows {len(MIGRATIONS)}: restore it with that calsyncd or a newer one,"
                    " or with --without-database, which loses the history and nothing else",
                    exit_code=1,
                )
            if without_database:
                (staged / DATABASE).unlink(missing_ok=True)
            _move(staged, state)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        return manifest


def _move(staged: Path, state: Path) -> None:
    """The ledger comes last: without one nobody takes the folder for a whole state directory."""
    for name in (*SMALL, DATABASE, CREDENTIALS, LEDGER):
        source = staged / name
        if source.is_dir():
            if not any(source.iterdir()):
                continue
            sync_folder(source)
        if source.exists():
            source.replace(state / name)
            sync_folder(state)


def _write(path: Path, content: IO[bytes]) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        while piece := content.read(1 << 20):
            out.write(piece)
            digest.update(piece)
            size += len(piece)
        out.flush()
        os.fsync(out.fileno())
    return size, digest.hexdigest()


def _summed(path: Path) -> tuple[int, str]:
    with path.open("rb") as content:
        return path.stat().st_size, hashlib.file_digest(content, "sha256").hexdigest()


# -- files ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _folder_beside(file: Path) -> Iterator[Path]:
    """A folder of ours on the same disk, gone at the end."""
    with tempfile.TemporaryDirectory(prefix=".calsyncd-backup-", dir=file.parent) as name:
        yield Path(name)


@contextlib.contextmanager
def _said(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise UserError(
            f"{where}: {error.strerror or error}: check that the folder is there, its owner, and the disk's space",
            exit_code=1,
        ) from error


def _exists(file: Path) -> UserError:
    return UserError(f"{file}: is there already: name another file, or give --force", exit_code=1)


def _damaged(why: str) -> UserError:
    return UserError(f"this is no backup of calsyncd, or it is damaged: {why}; nothing was changed", exit_code=1)


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())


def _time_out(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
