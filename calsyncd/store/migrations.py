"""The database's shape, as the ordered list of steps that lead to it. A step, once released, never changes."""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE calendars (
        key         TEXT PRIMARY KEY,
        agent       TEXT NOT NULL,
        token       TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        time_zone   TEXT NOT NULL,
        baseline_at REAL NOT NULL,
        synced_at   REAL NOT NULL
    ) STRICT;
    CREATE TABLE events (
        calendar    TEXT NOT NULL REFERENCES calendars (key) ON DELETE CASCADE,
        id          TEXT NOT NULL CHECK (id <> ''),
        agent       TEXT NOT NULL,
        start       REAL NOT NULL,
        "end"       REAL NOT NULL,
        series      TEXT,
        all_day     INTEGER NOT NULL CHECK (all_day IN (0, 1)),
        kind        TEXT NOT NULL,
        transparent INTEGER NOT NULL CHECK (transparent IN (0, 1)),
        response    TEXT,
        updated     TEXT NOT NULL,
        PRIMARY KEY (calendar, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX events_by_time ON events (agent, start, "end");
    CREATE INDEX events_by_series ON events (calendar, series) WHERE series IS NOT NULL;
    CREATE TABLE channels (
        id          TEXT PRIMARY KEY,
        calendar    TEXT NOT NULL,
        address     TEXT NOT NULL,
        created_at  REAL NOT NULL,
        resource    TEXT,
        expires_at  REAL,
        renew_at    REAL,
        verified_at REAL
    ) STRICT;
    CREATE TABLE observations (
        user        INTEGER PRIMARY KEY,
        status      TEXT NOT NULL,
        substatus   TEXT,
        live        TEXT,
        at          REAL NOT NULL
    ) STRICT;
    CREATE TABLE directory (
        user        INTEGER PRIMARY KEY,
        email       TEXT NOT NULL
    ) STRICT;
    CREATE TABLE history (
        number      INTEGER PRIMARY KEY,
        at          REAL NOT NULL,
        agent       TEXT NOT NULL,
        "from"      TEXT,
        "to"        TEXT,
        outcome     TEXT NOT NULL,
        why         TEXT NOT NULL,
        event       TEXT,
        late_ms     INTEGER,
        actor       TEXT NOT NULL
    ) STRICT;
    CREATE INDEX history_by_agent ON history (agent, at);
    CREATE INDEX history_by_time ON history (at);
    """,
    """
    ALTER TABLE events ADD COLUMN chat TEXT;
    ALTER TABLE events ADD COLUMN mark TEXT;
    ALTER TABLE events ADD COLUMN titles TEXT NOT NULL DEFAULT '';
    ALTER TABLE events ADD COLUMN color TEXT;
    ALTER TABLE events ADD COLUMN label TEXT;
    ALTER TABLE events ADD COLUMN guests INTEGER;
    ALTER TABLE events ADD COLUMN conference INTEGER CHECK (conference IN (0, 1));
    ALTER TABLE events ADD COLUMN told INTEGER NOT NULL DEFAULT 1 CHECK (told IN (0, 1));
    ALTER TABLE directory ADD COLUMN time_zone TEXT;
    """,
    """
    ALTER TABLE history ADD COLUMN after REAL;
    ALTER TABLE history ADD COLUMN until REAL;
    ALTER TABLE history ADD COLUMN begins REAL;
    ALTER TABLE history ADD COLUMN ends REAL;
    ALTER TABLE history ADD COLUMN substatus TEXT;
    """,
)
