BEGIN TRANSACTION;
CREATE TABLE calendars (
        key         TEXT PRIMARY KEY,
        agent       TEXT NOT NULL,
        token       TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        time_zone   TEXT NOT NULL,
        baseline_at REAL NOT NULL,
        synced_at   REAL NOT NULL
    ) STRICT;
INSERT INTO "calendars" VALUES('amy@example.com/primary','amy@example.com','token-1','fingerprint-1','Europe/Paris',1800000000.0,1800000060.0);
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
INSERT INTO "channels" VALUES('c1','amy@example.com/primary','https://calsync.example.com/webhooks/google/notifications',1800000000.0,'r1',1800604800.0,1800500000.0,1800000001.0);
CREATE TABLE directory (
        user        INTEGER PRIMARY KEY,
        email       TEXT NOT NULL
    , time_zone TEXT) STRICT;
INSERT INTO "directory" VALUES(456,'amy@example.com','Europe/Paris');
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
        updated     TEXT NOT NULL, chat TEXT, mark TEXT, titles TEXT NOT NULL DEFAULT '', color TEXT, label TEXT, guests INTEGER, conference INTEGER CHECK (conference IN (0, 1)), told INTEGER NOT NULL DEFAULT 1 CHECK (told IN (0, 1)),
        PRIMARY KEY (calendar, id)
    ) STRICT, WITHOUT ROWID;
INSERT INTO "events" VALUES('amy@example.com/primary','e1','amy@example.com',1800000000.0,1800001800.0,'s1',0,'default',0,'accepted','2027-01-15T08:00:00Z','doNotDisturb','busy','lunch
training','5','sales',3,1,1);
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
    , after REAL, until REAL, begins REAL, ends REAL, substatus TEXT) STRICT;
INSERT INTO "history" VALUES(1,1800000005.0,'amy@example.com','custom','unavailable','done','a meeting','e1',7,'calsyncd',1800000004.0,1800001800.0,1800000005.0,1800001800.0,'in_training');
CREATE TABLE observations (
        user        INTEGER PRIMARY KEY,
        status      TEXT NOT NULL,
        substatus   TEXT,
        live        TEXT,
        at          REAL NOT NULL
    ) STRICT;
INSERT INTO "observations" VALUES(456,'custom',NULL,'available',1800000000.0);
CREATE INDEX events_by_time ON events (agent, start, "end");
CREATE INDEX events_by_series ON events (calendar, series) WHERE series IS NOT NULL;
CREATE INDEX history_by_agent ON history (agent, at);
CREATE INDEX history_by_time ON history (at);
COMMIT;
PRAGMA user_version = 3;
