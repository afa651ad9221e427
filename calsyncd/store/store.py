"""The database: one connection, and one piece of work for its thread for each public method.

aiosqlite shares a connection's transaction between all tasks, and runs a cancelled statement to its end: hence
a transaction is one journey to the connection's thread, with BEGIN IMMEDIATE and a rollback that cancellation cannot
interrupt. The thread takes one piece after the other, so that none stands within another's; who comes meanwhile waits
there, and it need not be woken for each. What is written is put together there, too: the event loop turns meanwhile.
The database is a cache: a damaged one is moved aside and the services are asked again; debts live in the ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, TypeVar

from calsyncd.core.channels import Channel
from calsyncd.core.model import Event, HistoryRow, Observation, Setting
from calsyncd.core.names import naming
from calsyncd.core.past import Filter
from calsyncd.core.sync import Bookmark, Changes, Stored
from calsyncd.errors import Unavailable, UserError, exit_code_of
from calsyncd.store.ahead import EARLIEST, LATEST, NONSENSE, has_nonsense, is_whole
from calsyncd.store.connection import Connection, Work, insert
from calsyncd.store.migrations import MIGRATIONS

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5000
KEEP_DAMAGED = 3
REWRITTEN_BYTES = 200_000_000
"""A larger file of an older calsyncd is not written anew at the start, which somebody may wait for."""

LOG_BYTES = 8_000_000
"""A write-ahead log that SQLite keeps short by itself has half of that; a larger one stays as large as it once was."""

_INCREMENTAL = 2
AT_ONCE = 1000
"""So many old records go in a transaction, and so many free pages: nobody waits for long."""
HIGHEST_VERSION = 999
_EVENT_COLUMNS = (
    'id, start, "end", series, all_day, kind, transparent, response, updated, chat, mark, titles, color, label, guests,'
    " conference, told"
)
_DELETE_OLD = "DELETE FROM history WHERE number IN (SELECT number FROM history WHERE at < ? ORDER BY at LIMIT ?)"
_HISTORY_COLUMNS = 'at, agent, "from", "to", outcome, why, event, late_ms, actor, after, until, begins, ends, substatus'


_PASSING_CODES = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_DAMAGE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class StoreUnavailableError(UserError):
    """The disk is full or broken, or somebody locks the file: that may pass, and nobody is to wait for it."""


class Store:
    """Open it with `Store.open`; use it from one event loop. `lasts` unless it is gone with the process.

    `damaged` is set once the file turns out to be damaged while it is used: it is moved aside when it is closed.
    `log_bytes` is how large its write-ahead log was when it was last asked whether it lives.
    """

    def __init__(
        self, connection: Connection, *, moved_aside: Path | None, lasts: bool = True, log: Path | None = None
    ) -> None:
        self._connection = connection
        self.moved_aside = moved_aside
        self.lasts = lasts
        self.damaged = asyncio.Event()
        self.log_bytes = 0
        self._log = log

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, path: Path, is_sound: Callable[[], bool] = lambda: False) -> AsyncIterator[Store]:
        """The database in `path`, made if missing, migrated if older, moved aside if damaged.

        `is_sound` tells, and may wait for it, whether the whole file was just found sound; else it is checked here.
        UserError if it is newer than this program, or cannot be written; StoreUnavailableError if that may pass.
        """
        moved_aside = await asyncio.to_thread(_prepare, path, is_sound)
        async with Connection(path) as connection:
            await _configure(connection)
            store = cls(connection, moved_aside=moved_aside, log=path.with_name(path.name + "-wal"))
            try:
                yield store
            finally:
                await connection.close()
                if store.damaged.is_set():
                    # Not every damage that stands in the way is found by the next start. What cannot be done is.
                    with contextlib.suppress(OSError):
                        await asyncio.to_thread(_move_aside, path)

    @classmethod
    @contextlib.asynccontextmanager
    async def in_memory(cls) -> AsyncIterator[Store]:
        """An empty database that is gone with the process: what it would hold can be read again."""
        async with Connection(":memory:") as connection:
            for step in MIGRATIONS:
                await connection.executescript(step)
            await _configure(connection)
            yield cls(connection, moved_aside=None, lasts=False)

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OverflowError, ValueError) as error:
            if _code(error) in _DAMAGE_CODES:
                self.damaged.set()
            # The latter two: a number or a text that SQLite cannot hold.
            raise Unavailable(
                f"the database does not answer: {error}", service="store", code="store", landed=False
            ) from error

    async def _write(self, work: Work) -> None:
        """One transaction: all of `work`, or nothing."""
        with self._answering():
            await self._connection.transaction(work)

    async def _read(self, statement: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """All rows of one statement."""
        with self._answering():
            return list(await self._connection.execute_fetchall(statement, values))

    async def _do(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """What `job` returns, done without a transaction."""
        with self._answering():
            return await self._connection.do(job)

    async def _execute(self, statement: str, values: tuple[Any, ...]) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.execute(statement, values)

        await self._write(work)

    async def ping(self) -> None:
        """Return if the database can be read, and nobody else keeps it locked; a full disk is not asked about."""
        with self._answering():
            await self._connection.probe()
        self.log_bytes = await asyncio.to_thread(self._log_size)

    async def calendars(self) -> dict[str, Stored]:
        """Every calendar that was ever read, by key."""
        rows = await self._read("SELECT key, token, fingerprint, time_zone, baseline_at, synced_at FROM calendars")
        return {row[0]: Stored(Bookmark(*row[1:5]), row[5]) for row in rows}

    async def apply(self, key: str, agent: str, changes: Changes, now: float) -> None:
        """Put a finished fetch in force: the changes and the bookmark together, or neither."""
        mark = changes.bookmark

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO calendars VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET"
                " agent = excluded.agent, token = excluded.token, fingerprint = excluded.fingerprint,"
                " time_zone = excluded.time_zone, baseline_at = excluded.baseline_at, synced_at = excluded.synced_at",
                (key, agent, mark.token, mark.fingerprint, mark.time_zone, mark.baseline_at, now),
            )
            if changes.baseline:
                db.execute("DELETE FROM events WHERE calendar = ?", (key,))
            elif changes.gone:
                db.executemany(
                    "DELETE FROM events WHERE calendar = ? AND (id = ? OR series = ?)",
                    [(key, gone, gone) for gone in changes.gone],
                )
            insert(db, "INSERT OR REPLACE INTO events", (event_row(key, agent, event) for event in changes.events))

        await self._write(work)

    async def touch_calendar(self, key: str, bookmark: Bookmark, now: float) -> None:
        """A delta said that nothing changed."""
        await self._execute("UPDATE calendars SET token = ?, synced_at = ? WHERE key = ?", (bookmark.token, now, key))

    async def events(self, agent: str, calendars: Iterable[str], after: float, before: float) -> list[Event]:
        """The agent's events of these calendars that end later than `after` and start earlier than `before`."""
        wanted = set(calendars)
        rows = await self._read(
            f"SELECT {_EVENT_COLUMNS}, calendar FROM events"  # noqa: S608 - ours
            ' WHERE agent = ? AND start < ? AND "end" > ?',
            (agent, before, after),
        )
        return [_event(row) for row in rows if row[-1] in wanted and EARLIEST <= row[1] <= row[2] <= LATEST]

    async def all_events(
        self, after: float, before: float, agent: str | None = None
    ) -> dict[str, list[tuple[str, Event]]]:
        """By agent, each event that ends later than `after` and starts earlier than `before`, with its calendar."""
        rows = await self._read(
            f"SELECT {_EVENT_COLUMNS}, calendar, agent"  # noqa: S608 - ours
            ' FROM events WHERE start < ?1 AND "end" > ?2 AND (?3 IS NULL OR agent = ?3) ORDER BY start, "end", id',
            (before, after, agent),
        )
        found: dict[str, list[tuple[str, Event]]] = {}
        for row in rows:
            if EARLIEST <= row[1] <= row[2] <= LATEST:
                found.setdefault(row[-1], []).append((row[-2], _event(row)))
        return found

    async def count_events(self, key: str, after: float) -> int:
        """How many events of a calendar end later than `after`."""
        rows = await self._read('SELECT count(*) FROM events WHERE calendar = ? AND "end" > ?', (key, after))
        return int(next(iter(rows))[0])

    async def forget_calendars(self, keep: Iterable[str]) -> None:
        """Forget every calendar, with its events, but those of `keep`."""
        wanted = set(keep)

        def work(db: sqlite3.Connection) -> None:
            gone = [row for row in db.execute("SELECT key FROM calendars") if row[0] not in wanted]
            db.executemany("DELETE FROM calendars WHERE key = ?", gone)

        await self._write(work)

    async def channels(self) -> list[Channel]:
        """Every channel that may still deliver, as far as is known."""
        rows = await self._read(
            "SELECT id, calendar, address, created_at, resource, expires_at, renew_at, verified_at FROM channels"
        )
        return [Channel(*row) for row in rows]

    async def save_channel(self, channel: Channel) -> None:
        """Keep `channel` as it now is."""
        await self._execute("INSERT OR REPLACE INTO channels VALUES (?, ?, ?, ?, ?, ?, ?, ?)", astuple(channel))

    async def forget_channel(self, channel_id: str) -> None:
        """Forget a channel that has ended."""
        await self._execute("DELETE FROM channels WHERE id = ?", (channel_id,))

    async def observe(self, seen: Sequence[tuple[int, Observation]]) -> None:
        """Keep what looks showed, by Aircall user."""
        rows = [(user, at.setting.availability_status, at.setting.substatus, at.live, at.at) for user, at in seen]
        await self._write(lambda db: insert(db, "INSERT OR REPLACE INTO observations", rows))

    async def observations(self) -> dict[int, Observation]:
        """The last observation of each Aircall user."""
        rows = await self._read("SELECT user, status, substatus, live, at FROM observations")
        return {row[0]: Observation(Setting(row[1], row[2]), row[4], row[3]) for row in rows}

    async def save_directory(self, emails: dict[int, str], zones: dict[int, str]) -> None:
        """Keep the company's Aircall users: e-mail by user, and their zone, "" for none."""
        listed = [(user, email, zones.get(user)) for user, email in emails.items()]

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM directory")
            insert(db, "INSERT INTO directory", listed)

        await self._write(work)

    async def directory(self) -> dict[int, str]:
        """The company's Aircall users, as last listed."""
        rows = await self._read("SELECT user, email FROM directory")
        return {row[0]: row[1] for row in rows}

    async def zones(self) -> dict[int, str]:
        """The zones of the company's Aircall users, as last listed."""
        rows = await self._read("SELECT user, time_zone FROM directory WHERE time_zone IS NOT NULL")
        return {row[0]: row[1] for row in rows}

    async def record(self, rows: Sequence[HistoryRow], forget_before: float) -> None:
        """Add to the history, and let go of some of what is older than `forget_before`."""
        columns = f"({_HISTORY_COLUMNS})"

        def work(db: sqlite3.Connection) -> None:
            insert(db, f"INSERT INTO history {columns}", map(astuple, rows))
            db.execute(_DELETE_OLD, (forget_before, AT_ONCE))

        await self._write(work)

    async def tidy(self, forget_before: float) -> bool:
        """Let go of history that is older, and of free space, a piece at a time; whether there is more."""
        gone = 0

        def work(db: sqlite3.Connection) -> None:
            nonlocal gone
            gone = db.execute(_DELETE_OLD, (forget_before, AT_ONCE)).rowcount

        await self._write(work)
        before, left = await self._do(_give_back_pages)
        if await asyncio.to_thread(self._log_size) > LOG_BYTES:
            await self._do(_shorten_log)
        return gone == AT_ONCE or 0 < left < before

    def _log_size(self) -> int:
        try:
            return self._log.stat().st_size if self._log is not None else 0
        except OSError:
            return 0

    async def users_of(self, email: str) -> list[int]:
        """The Aircall users who had this address when they were listed last."""
        rows = await self._read("SELECT user FROM directory WHERE email = ?", (email,))
        return [row[0] for row in rows]

    async def forget(self, email: str, users: Iterable[int]) -> dict[str, int]:
        """Erase what is kept of an agent, with what was seen of these Aircall users; how many rows of what.

        Channels are to be stopped before. What was erased is still in the file until `scrub`.
        """
        erased: dict[str, int] = {}
        name = naming(email)
        own = "(agent = ?1 OR substr(agent, 1, length(?1) + 15) = ?1 || ' (Aircall user ')"

        def work(db: sqlite3.Connection) -> None:
            erased["events"] = db.execute("DELETE FROM events WHERE agent = ?1", (email,)).rowcount
            erased["calendars"] = db.execute("DELETE FROM calendars WHERE agent = ?1", (email,)).rowcount
            erased["push channels"] = db.execute(
                "DELETE FROM channels WHERE substr(calendar, 1, length(?1) + 1) = ?1 || '/'", (email,)
            ).rowcount
            erased["records of history"] = db.execute(f"DELETE FROM history WHERE {own}", (email,)).rowcount  # noqa: S608
            # As the one who asked, or in what somebody gave as the reason.
            db.execute("UPDATE history SET actor = 'somebody' WHERE lower(actor) = ?", (email,))
            told = db.execute("SELECT number, why FROM history WHERE instr(lower(why), ?)", (email,)).fetchall()
            without = [(name.sub("somebody", why), number) for number, why in told]
            db.executemany("UPDATE history SET why = ? WHERE number = ?", without)
            erased["observations"] = sum(
                db.execute("DELETE FROM observations WHERE user = ?", (user,)).rowcount for user in users
            )
            erased["rows of the list of users"] = db.execute("DELETE FROM directory WHERE email = ?", (email,)).rowcount

        await self._write(work)
        return erased

    async def scrub(self) -> bool:
        """Leave nothing in the file of what was erased, ever; False while another program reads it and keeps the log.

        Unavailable where there is no room: the file is written anew.
        """
        if not self.lasts:
            return True
        return await self._do(_write_anew)

    async def history(self, agent: str | None = None, since: float = 0.0) -> list[HistoryRow]:
        """What was done since `since`, in order, for one agent or for all."""
        return await self._history("at >= ?2", agent, since)

    async def changes_before(self, agent: str | None, at: float) -> list[HistoryRow]:
        """The last change of a setting before `at`, for one agent or for each, in order."""
        # One step of the index by agent leads to each agent, and one to their last change: whatever the history's size.
        rows = await self._read(
            "WITH RECURSIVE who(name) AS ("  # noqa: S608 - ours
            " SELECT coalesce(?1, (SELECT min(agent) FROM history)) UNION ALL"
            " SELECT (SELECT min(agent) FROM history WHERE agent > who.name) FROM who"
            " WHERE ?1 IS NULL AND who.name IS NOT NULL)"
            f" SELECT {_HISTORY_COLUMNS} FROM who JOIN history ON number = ("
            "  SELECT number FROM history WHERE agent = who.name AND at < ?2 AND outcome IN ('done', 'seen')"
            "  ORDER BY at DESC, number DESC LIMIT 1)"
            " ORDER BY at, number",
            (agent, at),
        )
        return [HistoryRow(*row) for row in rows]

    async def page(self, which: Filter, limit: int) -> list[HistoryRow]:
        """The first `limit` records that are asked for, in order."""
        outcomes = sorted(which.outcomes)
        among = f" AND outcome IN ({', '.join('?' * len(outcomes))})" if outcomes else ""
        return await self._history(
            f"at >= ?2 AND at < ?3 AND (?4 IS NULL OR actor = ?4){among}",
            which.agent,
            *(which.since, which.until, which.actor, *outcomes),
            limit=limit,
        )

    async def _history(self, which: str, agent: str | None, *values: Any, limit: int = -1) -> list[HistoryRow]:
        # Told apart here, since a condition on "this agent or any" would keep SQLite from using an index.
        whose = "?1 IS NULL" if agent is None else "agent = ?1"
        rows = await self._read(
            f"SELECT {_HISTORY_COLUMNS} FROM history"  # noqa: S608 - ours
            f" WHERE {whose} AND {which} ORDER BY at, number LIMIT {limit}",
            (agent, *values),
        )
        return [HistoryRow(*row) for row in rows]


def _event(row: Sequence[Any]) -> Event:
    """The event of a row that begins with `_EVENT_COLUMNS`."""
    return Event(
        id=row[0],
        start=row[1],
        end=row[2],
        series=row[3],
        all_day=bool(row[4]),
        kind=row[5],
        transparent=bool(row[6]),
        response=row[7],
        updated=row[8],
        chat=row[9],
        mark=row[10],
        titles=tuple(row[11].split("\n")) if row[11] else (),
        color=row[12],
        label=row[13],
        guests=row[14],
        conference=None if row[15] is None else bool(row[15]),
        told=bool(row[16]),
    )


def event_row(key: str, agent: str, event: Event) -> tuple[Any, ...]:
    """The row of an event in a calendar, as wide as the table."""
    return (
        key,
        event.id,
        agent,
        event.start,
        event.end,
        event.series,
        event.all_day,
        event.kind,
        event.transparent,
        event.response,
        event.updated,
        event.chat,
        event.mark,
        "\n".join(event.titles),
        event.color,
        event.label,
        event.guests,
        event.conference,
        event.told,
    )


def _prepare(path: Path, is_sound: Callable[[], bool] = lambda: False) -> Path | None:
    """Check and migrate before anything is served; the place of a damaged file that was moved aside, if any."""
    try:
        _migrate(path, is_sound)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if not _is_damage(path, error):
            raise _not_usable(path, error) from error
    except OSError as error:
        raise _not_usable(path, error) from error
    else:
        return None
    try:
        aside = _move_aside(path)
        _migrate(path, lambda: False)
    except (sqlite3.DatabaseError, OSError) as error:
        raise _not_usable(path, error) from error
    return aside


def _migrate(path: Path, is_sound: Callable[[], bool]) -> None:
    # Asked before the file is opened here, which may change it.
    sound = is_sound()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if not 0 <= version <= HIGHEST_VERSION:
            raise sqlite3.DatabaseError("no calsyncd has this version")
        if version > len(MIGRATIONS):
            raise UserError(
                f"{path}: the database is version {version}, this calsyncd knows {len(MIGRATIONS)}: use the newer"
                " calsyncd, or move this file and those beside it whose names begin with its name away. It is a cache"
                " and is made anew: the history is lost, and nobody who is held, since that is in the ledger"
            )
        if not sound and not is_whole(db):
            raise sqlite3.DatabaseError("integrity_check failed")
        _let_it_shrink(db)
        db.execute("PRAGMA journal_mode = WAL")
        _step(db, version)
        if not _right_shape() <= _shape(db):
            raise sqlite3.DatabaseError("the tables are not ours")
        if not sound:
            _doubt_nonsense(db)
        # A damaged header can say that the file is read-only: only a write finds out.
        db.executescript(f"BEGIN IMMEDIATE; PRAGMA user_version = {len(MIGRATIONS)}; ROLLBACK;")
    path.chmod(0o600)


def _doubt_nonsense(db: sqlite3.Connection) -> None:
    """Have calendars read anew of which a row has times that no calendar has: somebody has edited it."""
    if has_nonsense(db):
        db.execute("BEGIN IMMEDIATE")
        db.execute(f"DELETE FROM calendars WHERE key IN ({NONSENSE})", (EARLIEST, LATEST))  # noqa: S608 - ours
        db.execute("DELETE FROM events WHERE calendar NOT IN (SELECT key FROM calendars)")
        db.execute("COMMIT")


def _let_it_shrink(db: sqlite3.Connection) -> None:
    """Have the file give back what history no longer needs; an old file is written anew for that, once."""
    if db.execute("PRAGMA auto_vacuum").fetchone()[0] == _INCREMENTAL:
        return
    db.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
    pages, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    if 0 < pages * size <= REWRITTEN_BYTES:
        # Without the room for it the file stays as it is, and its free space is used again.
        with contextlib.suppress(sqlite3.OperationalError):
            db.execute("VACUUM")


def _step(db: sqlite3.Connection, version: int) -> None:
    for number, step in enumerate(MIGRATIONS[version:], version + 1):
        # executescript commits what is open first: the transaction belongs inside the text.
        db.executescript(f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT;")


def _shape(db: sqlite3.Connection) -> set[tuple[str, str]]:
    return set(db.execute("SELECT name, sql FROM sqlite_schema"))


def _right_shape() -> set[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        _step(db, 0)
        return _shape(db)


def _give_back_pages(db: sqlite3.Connection) -> tuple[int, int]:
    """Some of the free pages go; how many were free before, and are left."""
    before: int = db.execute("PRAGMA freelist_count").fetchone()[0]
    db.execute(f"PRAGMA incremental_vacuum({AT_ONCE})").fetchall()
    return before, db.execute("PRAGMA freelist_count").fetchone()[0]


def _shorten_log(db: sqlite3.Connection) -> None:
    """Give back the log's space, unless somebody reads what is in it: the next time will do."""
    try:
        db.execute("PRAGMA busy_timeout = 0")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")


def _write_anew(db: sqlite3.Connection) -> bool:
    """The whole file; False while another program keeps the log."""
    # Not in memory: the whole file passes through what is temporary.
    db.execute("PRAGMA temp_store = FILE")
    try:
        db.execute("VACUUM")
    finally:
        db.execute("PRAGMA temp_store = MEMORY")
    return not db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]


async def _configure(connection: Connection) -> None:
    # Text that a bad disk has changed is wrong text, not a reason to answer nothing.
    connection.text_factory = lambda text: text.decode(errors="replace")
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "synchronous = FULL",
        "foreign_keys = ON",
        "temp_store = MEMORY",
    ):
        await connection.execute(f"PRAGMA {pragma}")


def _is_damage(path: Path, error: Exception) -> bool:
    """Whether the file itself is bad, rather than the disk, its rights or somebody's lock."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return True
    if code == sqlite3.SQLITE_READONLY:
        # The header says so, not the disk.
        return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    return code & 0xFF in _DAMAGE_CODES | {sqlite3.SQLITE_ERROR}


def _code(error: Exception) -> int:
    """SQLite's own, without what is more to it; 0 where it has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _move_aside(path: Path) -> Path:
    older = sorted(path.parent.glob(f"{path.name}.corrupt-[0-9][0-9][0-9][0-9]"))
    number = 1 + max((int(old.name[-4:]) for old in older), default=0)
    for old in older[: max(0, len(older) - KEEP_DAMAGED + 1)]:
        old.unlink(missing_ok=True)
    aside = path.with_name(f"{path.name}.corrupt-{number:04}")
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return aside


def _not_usable(path: Path, error: Exception) -> UserError:
    message = f"{path}: the database cannot be used ({error}): is the state directory writable, the disk full?"
    passing = exit_code_of(error) == 1 if isinstance(error, OSError) else _code(error) in _PASSING_CODES
    return StoreUnavailableError(message, exit_code=1) if passing else UserError(message)
