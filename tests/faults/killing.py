"""A daemon that is killed again and again in the middle of its work, and what each time must stand."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sqlite3
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from calsyncd.core.model import Setting
from calsyncd.core.plan import Entry, Held
from calsyncd.ledger import parse
from tests.acceptance.running import Running
from tests.faults.busy import Company

RIGHT_SECONDS = 10.0
"""After a start, or a change, everybody's phone is right within this, on a machine that others use too."""

PATIENCE = 5
"""So many times is a start waited for that takes too long."""

SETTLE_EVERY = 5
"""After so many kills all meetings are deleted, and everybody must be back."""

BUSY_SECONDS = 1.5
START_SECONDS = 0.6
"""Kills come within so long of a start, or of the instant at which everybody is right."""


@dataclass
class Killing:
    """Kills `daemon`, which serves `company`; `faults` is what did not stand."""

    company: Company
    daemon: Running
    kills: int = 0
    recovered: int = 0
    worst: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def state(self) -> Path:
        """The state directory."""
        return self.daemon.config.parent / "state"

    async def kill_often(self, times: int) -> None:
        """Kill it so often, and let everybody come back now and then."""
        chance = self.company.chance
        self.company.fill()
        await self._begin()
        while self.kills < times:
            before = len(self.faults)
            if chance.random() < 0.3:
                # Killed while it takes up its debts and reads the calendars.
                await self._start(chance.random() * START_SECONDS)
            else:
                await self._be_busy(chance.random() * BUSY_SECONDS)
                await self.daemon.kill()
            self._examine()
            self.kills += 1
            await self._begin()
            await self.become_right()
            self.recovered += len(self.faults) == before
            if self.kills % SETTLE_EVERY == 0 or self.kills == times:
                await self._settle()
        status = await self.daemon.stop(signal.SIGTERM)
        self.faults += [f"it ended with {status}"] * (status != 0)
        self._read_log()

    async def _begin(self) -> None:
        """Start it, however long that takes on this machine; that it ends instead is a failure."""
        seen = len(self.daemon.lines)
        for attempt in range(PATIENCE):
            try:
                await (self.daemon.logged("started", since=seen) if attempt else self.daemon.start())
            except AssertionError:
                process = self.daemon.process
                if attempt == PATIENCE - 1 or process is None or process.returncode is not None:
                    raise
            else:
                return

    async def _start(self, seconds: float) -> None:
        """Restart it, and kill it so soon that it may not have got far."""
        await self.daemon.kill()
        starting = asyncio.create_task(self.daemon.start())
        await asyncio.sleep(0)
        while self.daemon.process is None or self.daemon.process.returncode is not None:
            await asyncio.sleep(0.001)
        self.company.edit()
        await asyncio.sleep(seconds)
        starting.cancel()
        await self.daemon.kill()

    async def _be_busy(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.company.fill()
            self.company.edit()
            await asyncio.sleep(min(left, self.company.chance.random() * 0.4))

    async def become_right(self) -> None:
        """Wait until everybody's phone is right; who is not in time is a fault."""
        self.company.fill()
        began = time.monotonic()
        while (wrong := self.company.wrong()) and time.monotonic() < began + RIGHT_SECONDS:
            await asyncio.sleep(0.01)
        self.worst = max(self.worst, time.monotonic() - began)
        self.faults += [f"kill {self.kills}: {who} shows {how}" for who, how in wrong.items()]

    async def _settle(self) -> None:
        self.company.clear()
        before = self.faults[:]
        await self.become_right_empty()
        if self.faults != before:
            self.recovered -= 1

    async def become_right_empty(self) -> None:
        """Without a meeting: everybody is back as they were."""
        until = time.monotonic() + RIGHT_SECONDS
        while (wrong := self.company.wrong()) and time.monotonic() < until:
            await asyncio.sleep(0.01)
        self.faults += [f"kill {self.kills}: {who} is stranded: {how}" for who, how in wrong.items()]

    def _examine(self) -> None:
        """What the dead daemon has left: whoever it has set is owed, nobody else was touched, the database is whole."""
        lines, damaged, _ = parse((self.state / "ledger").read_bytes()) if self.kills or self.daemon.raw else ([], 0, 0)
        stances = {line.user: line.stance for line in lines if isinstance(line, Entry)}
        for user, status in self.company.last_by_us().items():
            if status == "unavailable" and not isinstance(stances.get(user), Held):
                self.faults.append(f"kill {self.kills}: user {user} is set and not owed")
        self.faults += [f"kill {self.kills}: {damaged} damaged lines in the ledger"] * bool(damaged)
        touched = {user for user in self.company.last_by_us() if user in self.company.strangers}
        self.faults += [f"kill {self.kills}: stranger {user} was touched" for user in touched]
        self.faults += [f"kill {self.kills}: {line}" for line in integrity(self.state / "calsyncd.db") if line != "ok"]

    def _read_log(self) -> None:
        for line in self.daemon.lines:
            if line.get("action") == "ledger_failed" and line.get("why") == "it hangs":
                # The machine's disk is slow, and that is said.
                continue
            if line.get("action") is None or line.get("level") in {"error", "critical"} or "exception" in line:
                self.faults.append(f"the log says {line}")


def integrity(database: Path) -> list[str]:
    """What SQLite finds in a copy of a database that a kill has left; the file itself stays as it was left."""
    if not database.exists():
        return ["ok"]
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("", "-wal"):
            if (found := database.with_name(database.name + suffix)).exists():
                shutil.copy(found, folder)
        with contextlib.closing(sqlite3.connect(Path(folder) / database.name)) as opened:
            return [str(row[0]) for row in opened.execute("PRAGMA integrity_check")]


def owed(state: Path) -> dict[int, Setting]:
    """By user, the setting that the ledger promises them back."""
    lines, _, _ = parse((state / "ledger").read_bytes())
    stances = {line.user: line.stance for line in lines if isinstance(line, Entry)}
    return {user: stance.back for user, stance in stances.items() if isinstance(stance, Held)}
