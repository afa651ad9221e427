"""The ledger: what we owe to whom, on disk before it is owed.

One append-only file of lines, each `<crc32> <json>`, synced at every write, compacted when most lines are old,
readable by eye. The last line counts of an Aircall user's stance, of an agent's pause, and of what was said by hand of
an agent's meetings. A torn tail is what a crash in the middle of a write leaves: the write had not been acknowledged,
so it is dropped. Any other damaged line is passed over and reported, and so is a whole one of a kind that only a newer
calsyncd writes.

Beside it lies its twin, to which the same lines are written: a file that is lost, cut, damaged, or an old copy in its
place costs nothing as long as the other one has the lines. Each line has a number that only rises; of what both files
say, the line with the higher number counts. The twin is not synced line by line: after a power cut the ledger is whole,
and after anything else the twin is too. A line without a number is an older calsyncd's, which knows no twin: then the
ledger alone counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calsyncd.core.byhand import NOTHING, ByHand, Extension
from calsyncd.core.model import Setting
from calsyncd.core.plan import FREE, Entry, Free, Held, Line, Pause, Said, Stance, StandingBack
from calsyncd.files import replace_file, sync_folder, write_all, write_whole

COMPACT_BEYOND_LINES = 1000
COMPACT_FACTOR = 4
TWIN = ".twin"


@dataclass(slots=True)
class Ledger:
    """The ledger in `path`. Open it with `load`; only one process may hold it.

    `damaged` lines were passed over when it was read, of which `newer` are whole and of a kind that is not known here;
    `mended` is whether the twin had what the ledger lacked, and all of what is damaged. `writable` is whether the last
    write came to the disk, None before the first.
    """

    path: Path
    entries: dict[int, Entry] = field(default_factory=dict)
    pauses: dict[str, Pause] = field(default_factory=dict)
    said: dict[str, Said] = field(default_factory=dict)
    damaged: int = 0
    newer: int = 0
    mended: bool = False
    writable: bool | None = None
    _file: int = -1
    _twin: int = -1
    _number: int = 0
    _lines: int = 0
    _good_size: int | None = None
    _writer: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "ledger"))
    _waiting: list[tuple[tuple[Line, ...], asyncio.Future[None]]] = field(default_factory=list)
    _flushing: asyncio.Task[None] | None = None
    _closed: bool = False

    def load(self) -> None:
        """Read the file and make it whole again; OSError if it cannot be read or written."""
        raw, of_twin = _read(self.path), _read_twin(self._twin_path)
        own, damaged, torn = _numbered(raw or b"")
        more, twin_damaged, _ = _numbered(of_twin or b"")
        older = any(number is None for number, _ in own)
        if older:
            more = []
        self._take(_merged(own, more))
        known = {number for number, _ in own}
        lacked = any(number not in known for number, _ in more)
        self.damaged, self.newer = damaged, unknown_lines(raw or b"") if damaged else 0
        # A twin with as many lines of a newer calsyncd has no more of them that this one understands.
        whole_twin = of_twin is not None and not older and not twin_damaged - unknown_lines(of_twin)
        self.mended = whole_twin and (damaged > self.newer or (lacked and _is_older(own, more)))
        self._number = max((number for number, _ in (*own, *more) if number is not None), default=0)
        if damaged:
            # Kept for a human's eye: a damaged line may have been somebody's debt.
            write_whole(self.path.with_name(self.path.name + ".damaged"), raw or b"")
        if torn or damaged or raw is None or lacked or len(own) > self._many():
            self._rewrite()
            return
        self._open(len(own))
        if older:
            # Without the room for it the next start tries again.
            with contextlib.suppress(OSError):
                self._rewrite()
        elif raw != of_twin:
            self._renew_twin()
        else:
            self._open_twin()

    async def record(self, *lines: Line) -> None:
        """Return once all of `lines` are on disk; OSError if they cannot be put there. Many callers share one sync."""
        if self._closed:
            raise OSError("the ledger is closed")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((lines, future))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush(), name="ledger")
        await asyncio.shield(future)

    async def forget(self, email: str) -> int:
        """Take every line that names this agent out of the file, and say how many; OSError if that failed.

        ValueError while they are held: that line is what brings them back.
        """
        if any(isinstance(entry.stance, Held) and is_of(entry.email, email) for entry in self.entries.values()):
            raise ValueError(f"{email} is held")
        while self._flushing is not None:
            await asyncio.shield(self._flushing)
        self.entries = {user: entry for user, entry in self.entries.items() if not is_of(entry.email, email)}
        self.pauses = {name: pause for name, pause in self.pauses.items() if not is_of(name, email)}
        self.said = {name: said for name, said in self.said.items() if not is_of(name, email)}
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._without, email)

    async def keep(self) -> bool:
        """See that the files are where they were written; whether they were not, and are again. OSError if that failed.

        A file that somebody has deleted, replaced or cut goes on in memory only: a crash would lose it.
        """
        while self._flushing is not None:
            await asyncio.shield(self._flushing)
        if self._closed:
            return False
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._keep)

    async def compact(self, before: float) -> None:
        """Drop what does not count any more, if the oldest line is of before that time. OSError if that failed."""
        while self._flushing is not None:
            await asyncio.shield(self._flushing)
        await asyncio.get_running_loop().run_in_executor(self._writer, self._drop_old, before)

    def _without(self, email: str) -> int:
        lines, _, _ = parse(self.path.read_bytes())
        of_twin, _, _ = parse(_read_twin(self._twin_path) or b"")
        named = sum(is_of(line.email, email) for line in lines)
        if named or any(is_of(line.email, email) for line in of_twin):
            self._rewrite()
            if self._twin < 0 and self._twin_path.exists():
                raise OSError(errno.EIO, "it cannot be written", str(self._twin_path))
        return named

    def _keep(self) -> bool:
        if self._file < 0 or self._good_size is None:
            return False
        if not _is_there(self.path, self._file, self._good_size):
            self._rewrite()
            return True
        if self._twin >= 0 and not _is_there(self._twin_path, self._twin, self._good_size):
            self._renew_twin()
            return True
        return False

    def _drop_old(self, before: float) -> None:
        lines, _, _ = parse(self.path.read_bytes())
        if lines and lines[0].at < before and len(lines) > len(self.entries) + len(self.pauses) + len(self.said):
            self._rewrite()

    async def close(self) -> None:
        """Finish what was asked for and let go of the file."""
        self._closed = True
        if self._flushing is not None:
            await self._flushing
        self._writer.shutdown(wait=True)
        self._let_go()
        self._let_go_of_twin()

    def _take(self, lines: Iterable[Line]) -> None:
        for line in lines:
            match line:
                case Entry():
                    self.entries[line.user] = line
                case Pause():
                    self.pauses[line.email] = line
                case Said():
                    self.said[line.email] = line

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                fresh = [line for lines, _ in batch for line in lines]
                try:
                    await loop.run_in_executor(self._writer, self._append, fresh)
                except OSError as error:
                    self.writable = False
                    for _, future in batch:
                        _settle(future, error)
                else:
                    self.writable = True
                    self._take(fresh)
                    for _, future in batch:
                        _settle(future, None)
        finally:
            self._flushing = None

    def _append(self, entries: list[Line]) -> None:
        data = b"".join(_line_out(entry, number) for number, entry in enumerate(entries, self._number + 1))
        try:
            if self._file < 0:
                self._open(self._lines)
            write_all(self._file, data)
            os.fdatasync(self._file)
        except OSError:
            # After a failed write or sync the page cache cannot be trusted: cut back and open anew next time.
            self._drop_tail()
            raise
        self._good_size = (self._good_size or 0) + len(data)
        self._lines += len(entries)
        self._number += len(entries)
        self._tell_twin(data)
        if self._lines > self._many() + len(entries):
            # An old line too many is no reason to fail a write that is on disk.
            with contextlib.suppress(OSError):
                self._rewrite(entries)

    def _drop_tail(self) -> None:
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, self._good_size or 0)
        with contextlib.suppress(OSError):
            self._let_go()

    def _let_go(self) -> None:
        descriptor, self._file = self._file, -1
        if descriptor >= 0:
            os.close(descriptor)

    # -- the twin --------------------------------------------------------------------------------------------------

    @property
    def _twin_path(self) -> Path:
        return self.path.with_name(self.path.name + TWIN)

    def _tell_twin(self, data: bytes) -> None:
        if self._twin < 0:
            self._renew_twin()
            return
        try:
            write_all(self._twin, data)
        except OSError:
            self._let_go_of_twin()

    def _renew_twin(self) -> None:
        """Make the twin as the ledger is; what fails is tried again with the next line."""
        self._let_go_of_twin()
        try:
            replace_file(self._twin_path, self.path.read_bytes())
        except OSError:
            # An old one would still hold people of whom the ledger, written anew, says nothing any more.
            with contextlib.suppress(OSError):
                self._twin_path.unlink(missing_ok=True)
            return
        self._open_twin()

    def _open_twin(self) -> None:
        with contextlib.suppress(OSError):
            self._twin = os.open(self._twin_path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def _let_go_of_twin(self) -> None:
        descriptor, self._twin = self._twin, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    # -- the file --------------------------------------------------------------------------------------------------

    def _many(self) -> int:
        return COMPACT_BEYOND_LINES + COMPACT_FACTOR * (len(self.entries) + len(self.pauses) + len(self.said))

    def _rewrite(self, newer: Iterable[Line] = ()) -> None:
        """Write what counts to a new file and put it in the old one's place."""
        whole: dict[tuple[type[Line], int | str], Line] = {}
        for line in (*self.entries.values(), *self.pauses.values(), *self.said.values(), *newer):
            whole[type(line), line.user if isinstance(line, Entry) else line.email] = line
        kept = [line for line in whole.values() if _tells(line)]
        # Numbered anew, beyond all that there were: whatever the twin still says is older.
        data = b"".join(_line_out(entry, number) for number, entry in enumerate(kept, self._number + 1))
        replace_file(self.path, data)
        # The file that is open lies nowhere any more: whatever fails below, the next write opens the new one.
        self._let_go()
        self._good_size, self._lines = len(data), len(kept)
        self._number += len(kept)
        self._renew_twin()
        sync_folder(self.path.parent)
        self._open(len(kept))

    def _open(self, lines: int) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self.path, flags, 0o600)
        size = os.fstat(self._file).st_size
        if self._good_size is not None and size > self._good_size:
            os.ftruncate(self._file, self._good_size)
            size = self._good_size
        self._good_size = size
        self._lines = lines


def has_run(state: Path) -> bool:
    """Whether a calsyncd ever ran with this state directory: it then has a ledger, or what is left of one."""
    return any((state / name).exists() for name in ("ledger", f"ledger{TWIN}"))


def parse(raw: bytes) -> tuple[list[Line], int, bool]:
    """(the lines in order, how many lines are damaged, whether the tail is torn)."""
    lines, damaged, torn = _numbered(raw)
    return [line for _, line in lines], damaged, torn


def _numbered(raw: bytes) -> tuple[list[tuple[int | None, Line]], int, bool]:
    """As `parse`, each line with its number, None if it has none."""
    lines = raw.split(b"\n")
    torn = bool(lines.pop())
    entries: list[tuple[int | None, Line]] = []
    damaged = 0
    for line in lines:
        checksum, _, body = line.partition(b" ")
        try:
            if int(checksum, 16) != zlib.crc32(body):
                raise ValueError("checksum")  # noqa: TRY301 - one place says what damaged means
            told = json.loads(body)
            number = told.get("n")
            entries.append((None if number is None else int(number), _line_in(told)))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            damaged += 1
    return entries, damaged, torn


def _merged(own: list[tuple[int | None, Line]], more: list[tuple[int | None, Line]]) -> list[Line]:
    """The lines of both files in the order in which they were written; `own` alone where there is nothing to add."""
    if not more:
        return [line for _, line in own]
    return [line for _, line in sorted((*more, *own), key=lambda one: one[0] or 0)]


def _is_older(own: list[tuple[int | None, Line]], more: list[tuple[int | None, Line]]) -> bool:
    """Whether the ledger ends before the twin does: it never does so by itself, since it is written first."""
    return max((number or 0 for number, _ in own), default=0) < max((number or 0 for number, _ in more), default=0)


def unknown_lines(raw: bytes) -> int:
    """How many lines are whole, by their checksum, and yet say nothing that this calsyncd understands."""
    count = 0
    for line in raw.split(b"\n")[:-1]:
        checksum, _, body = line.partition(b" ")
        with contextlib.suppress(ValueError):
            if int(checksum, 16) == zlib.crc32(body):
                count += parse(line + b"\n")[1]
    return count


def is_of(name: str, email: str) -> bool:
    """Whether this is the name of the agent with this address, or of what is owed to a former Aircall user of theirs.

    Such a name is the address with the user behind it.
    """
    return name == email or name.startswith(f"{email} (Aircall user ")


def _tells(line: Line) -> bool:
    """Whether it says more than that there is nothing."""
    match line:
        case Entry():
            return line.stance != FREE
        case Pause():
            return line.until is not None
        case Said():
            return line.by_hand != NOTHING


def _line_out(line: Line, number: int) -> bytes:
    body: dict[str, Any]
    match line:
        case Entry():
            body = {"user": line.user, "email": line.email, "at": line.at, "stance": _stance_out(line.stance)}
        case Pause():
            body = {"pause": line.email, "at": line.at, "until": _forever_out(line.until)}
        case Said():
            body = {"by_hand": line.email, "at": line.at, **_by_hand_out(line.by_hand)}
    text = json.dumps({**body, "n": number}, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _line_in(body: dict[str, Any]) -> Line:
    if "pause" in body:
        until = body["until"]
        ends = None if until is None else float("inf") if until == "forever" else float(until)
        return Pause(str(body["pause"]), ends, float(body["at"]))
    if "by_hand" in body:
        return Said(str(body["by_hand"]), _by_hand_in(body), float(body["at"]))
    return Entry(int(body["user"]), str(body["email"]), _stance_in(body["stance"]), float(body["at"]))


def _by_hand_out(by_hand: ByHand) -> dict[str, Any]:
    extension = by_hand.extension
    return {
        "skipped": [[event, end] for event, end in by_hand.skipped],
        "extension": None if extension is None else [extension.since, extension.until, extension.substatus],
    }


def _by_hand_in(body: dict[str, Any]) -> ByHand:
    extension = None
    if body["extension"] is not None:
        since, until, substatus = body["extension"]
        extension = Extension(float(since), float(until), None if substatus is None else str(substatus))
    return ByHand(tuple((str(event), float(end)) for event, end in body["skipped"]), extension)


def _forever_out(at: float | None) -> float | str | None:
    return "forever" if at == float("inf") else at


def _stance_out(stance: Stance) -> dict[str, Any]:
    match stance:
        case Free():
            return {"is": "free"}
        case StandingBack():
            return {
                "is": "standing_back",
                "why": stance.why,
                "since": stance.since,
                "until": stance.until,
                "unextended": stance.unextended,
            }
        case Held():
            return {
                "is": "held",
                "put": [stance.put.availability_status, stance.put.substatus],
                "back": [stance.back.availability_status, stance.back.substatus],
                "since": stance.since,
                "effective": stance.effective,
                "until": stance.until,
                "event": stance.event,
                "confirmed_at": stance.confirmed_at,
                "lost_at": stance.lost_at,
            }


def _stance_in(body: dict[str, Any]) -> Stance:
    match body["is"]:
        case "free":
            return FREE
        case "standing_back":
            why = body["why"]
            if why not in ("override", "left_alone", "early_end"):
                raise ValueError(why)
            unextended = body.get("unextended")
            ends = None if unextended is None else float(unextended)
            return StandingBack(why, float(body["since"]), float(body["until"]), ends)
        case "held":
            return Held(
                put=Setting(*body["put"]),
                back=Setting(*body["back"]),
                since=float(body["since"]),
                effective=float(body["effective"]),
                until=float(body["until"]),
                event=body["event"],
                confirmed_at=body["confirmed_at"],
                lost_at=body["lost_at"],
            )
        case other:
            raise ValueError(other)


def _settle(future: asyncio.Future[None], error: OSError | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _read(path: Path) -> bytes | None:
    """What is in the file; None if there is none."""
    return path.read_bytes() if path.exists() else None


def _read_twin(path: Path) -> bytes | None:
    """The same; what cannot be read is as good as none."""
    try:
        return _read(path)
    except OSError:
        return None


def _is_there(path: Path, descriptor: int, size: int) -> bool:
    """Whether the file of this name is the one that is open, and has what was written to it."""
    opened = os.fstat(descriptor)
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    return (named.st_dev, named.st_ino, named.st_size) == (opened.st_dev, opened.st_ino, size)
