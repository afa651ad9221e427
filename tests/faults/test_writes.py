"""The process killed at each call that changes the disk: of the database and of the ledger, nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import secrets
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from calsyncd.core.plan import Entry, StandingBack
from calsyncd.ledger import Ledger
from tests.faults import writer
from tests.faults.conftest import Reached
from tests.faults.depth import rounds
from tests.faults.killing import integrity
from tests.faults.tampering import arguments

WRITES = 5
"""So often the writer writes; its first run makes both files."""

CALLS = ("pwrite64", "fdatasync", "fsync", "write", "rename", "ftruncate")
"""What is killed at; SQLite writes by the first two, the ledger syncs by the second and writes by the fourth."""

PATHS = ("calsyncd.db", "calsyncd.db-wal", "ledger", "ledger.new")
"""Of these files alone; else it would also be killed when it tells."""

FEW = (("pwrite64", False), ("fdatasync", False), ("write", False))
"""What is tried among all tests, once each."""


@pytest.mark.timeout(1200)
def test_at_every_write_of_a_transaction(tmp_path: Path, strace: str, reached: Reached) -> None:
    """At each call that changes the disk: the database is whole, all or nothing of a fetch, nothing is forgotten."""
    chance = random.Random(secrets.randbelow(10**6))
    made = tmp_path / "made"
    made.mkdir()
    _write(made, [])
    tried = 0
    # Where there is nothing yet, the kills fall into the making of the files.
    for call, is_new in itertools.product(CALLS, (False, True)) if rounds(0, 1) else FEW:
        for n in itertools.count(1) if rounds(0, 1) else (chance.randrange(1, 6),):
            folder = tmp_path / f"{call}-{is_new}-{n}"
            if is_new:
                folder.mkdir()
            else:
                shutil.copytree(made, folder)
            survived, told = _write(
                folder, arguments(strace, call, f"signal=KILL:when={n}", [folder / p for p in PATHS])
            )
            _check_written(folder, told, least=0 if is_new else WRITES)
            again, more = _write(folder, [])
            assert again
            _check_written(folder, [*told, *more])
            shutil.rmtree(folder)
            tried += 1
            if survived:
                break
    reached("kill -9 at each write, sync and rename of database and ledger, nothing lost", tried, tried)


def _write(folder: Path, tampering: list[str]) -> tuple[bool, list[tuple[str, int]]]:
    """Let the writer write: (whether it came to its end, what it told)."""
    done = subprocess.run(
        [*tampering, sys.executable, "-m", "tests.faults.writer", str(folder), str(WRITES)],
        cwd=Path(__file__).parent.parent.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in done.stderr, done.stderr
    told = [line.split() for line in done.stdout.splitlines(keepends=True) if line.endswith("\n")]
    return done.returncode == 0, [(what, int(number)) for what, number in told]


def _check_written(folder: Path, told: list[tuple[str, int]], *, least: int = 0) -> None:
    """What was told stands, and at most what came next beside it."""
    last = {what: max((n for name, n in told if name == what), default=least) for what in ("store", "ledger")}
    assert integrity(folder / "calsyncd.db") == ["ok"]
    stored = 0
    with (
        contextlib.closing(sqlite3.connect(folder / "calsyncd.db")) as db,
        contextlib.suppress(sqlite3.OperationalError),
    ):
        # Before its first transaction it has no tables.
        rows = db.execute("SELECT updated, count(*) FROM events GROUP BY updated").fetchall()
        assert len(rows) <= 1
        stored = int(rows[0][0]) if rows else 0
        assert rows in ([], [(f"{stored:06}", writer.EVENTS)])
    assert last["store"] <= stored <= last["store"] + 1
    ledger = Ledger(folder / "ledger")
    ledger.load()
    assert ledger.damaged == 0
    entry = ledger.entries.get(1, Entry(1, writer.AGENT, StandingBack("override", 1.0, 0.0), 1.0))
    assert isinstance(entry.stance, StandingBack)
    assert last["ledger"] <= entry.stance.until <= last["ledger"] + 1
    asyncio.run(ledger.close())
