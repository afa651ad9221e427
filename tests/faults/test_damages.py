"""Whatever becomes of the files while agents are held: nobody stays stranded, nothing is raised, nobody has to act.

A company is brought to where somebody is held; what is on disk then is what a crash leaves. Each round lays that down
again, damages it, and starts the daemon on it: it must come right by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import shutil
import sqlite3
import time
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from calsyncd import config
from calsyncd import daemon as daemon_module
from calsyncd.core.plan import Held
from calsyncd.daemon import Daemon
from calsyncd.errors import UserError
from calsyncd.sandbox.world import Sandbox
from calsyncd.store import Ahead
from tests.acceptance.running import free_port
from tests.acceptance.test_life import AMY, BOB, meeting
from tests.faults.conftest import Reached
from tests.faults.depth import rounds

CAROL, DAVE, EVE = "carol@example.com", "dave@example.com", "eve@example.com"
PEOPLE = {AMY: 1, BOB: 2, CAROL: 3, DAVE: 4, EVE: 5}
RIGHT = {1: "available", 2: "unavailable", 3: "unavailable", 4: "available", 5: "custom"}
"""Amy's meeting is over, and so is Eve's, Bob's goes on, Carol is unavailable by her own choice, Dave is paused."""

WITHIN_SECONDS = 15.0
DATABASE, LOG, INDEX, LEDGER, TWIN = "calsyncd.db", "calsyncd.db-wal", "calsyncd.db-shm", "ledger", "ledger.twin"

Damage = Callable[[Path, Path, random.Random], None]


def deleted(file: Path, _: Path, chance: random.Random) -> None:
    """Gone."""
    del chance
    file.unlink(missing_ok=True)


def empty(file: Path, _: Path, chance: random.Random) -> None:
    """Of no length."""
    del chance
    file.write_bytes(b"")


def cut(file: Path, _: Path, chance: random.Random) -> None:
    """Shorter than it was."""
    os.truncate(file, chance.randrange(file.stat().st_size + 1) if file.exists() else 0)


def scribbled(file: Path, _: Path, chance: random.Random) -> None:
    """A few bytes are others, or many."""
    raw = bytearray(file.read_bytes())
    for _number in range(chance.choice((1, 3, 50, 500))):
        at = chance.randrange(len(raw))
        # Where the database has its version, a small one would be a newer calsyncd's, which is refused.
        if not (file.name == DATABASE and 60 <= at <= 63):
            raw[at] = chance.randrange(256)
    file.write_bytes(raw)


def a_block(file: Path, _: Path, chance: random.Random) -> None:
    """A block of the disk reads as nulls."""
    raw = bytearray(file.read_bytes())
    at = chance.randrange(0, len(raw), 512)
    end = min(at + chance.choice((512, 4096)), len(raw))
    if file.name != DATABASE or at >= 512:
        raw[at:end] = bytes(end - at)
    file.write_bytes(raw)


def from_yesterday(file: Path, older: Path, chance: random.Random) -> None:
    """As it was before anybody was held, put back by somebody."""
    del chance
    if (older / file.name).exists():
        shutil.copyfile(older / file.name, file)
    else:
        file.unlink(missing_ok=True)


def torn(file: Path, _: Path, chance: random.Random) -> None:
    """The last line came to the disk in part."""
    raw = file.read_bytes().rstrip(b"\n")
    file.write_bytes(raw[: raw.rindex(b"\n") + 1 + chance.randrange(20)] if b"\n" in raw else raw)


def newer(file: Path, _: Path, chance: random.Random) -> None:
    """Of a calsyncd to come: a line among the others that nobody understands here, or all of them."""
    lines = file.read_bytes().splitlines()
    for number in range(len(lines)) if chance.random() < 0.5 else [chance.randrange(len(lines))]:
        text = lines[number].partition(b" ")[2].replace(b'"stance"', b'"pose"').replace(b'"until"', b'"end"')
        lines[number] = b"%08x %s" % (zlib.crc32(text), text)
    file.write_bytes(b"\n".join(lines) + b"\n")


ANYTHING: tuple[Damage, ...] = (deleted, empty, cut, scribbled, a_block, from_yesterday)
OF_LINES: tuple[Damage, ...] = (*ANYTHING, torn, newer)

BOTH = "ledger and twin"
"""History knows whom we held, and nobody knows of Dave's pause, perhaps."""

CASES: tuple[tuple[str, tuple[tuple[str, tuple[Damage, ...]], ...]], ...] = (
    ("database", ((DATABASE, ANYTHING),)),
    ("ledger", ((LEDGER, OF_LINES),)),
    ("write-ahead log", ((LOG, ANYTHING),)),
    ("ledger and database", ((LEDGER, OF_LINES), (DATABASE, ANYTHING))),
    ("twin", ((TWIN, OF_LINES),)),
    ("database without its log", ((LOG, (deleted,)), (INDEX, (deleted,)))),
    (
        "ledger, database and log deleted",
        ((LEDGER, (deleted,)), *((one, (deleted,)) for one in (DATABASE, LOG, INDEX))),
    ),
    ("database and log", ((DATABASE, ANYTHING), (LOG, ANYTHING))),
    ("twin and database", ((TWIN, OF_LINES), (DATABASE, ANYTHING))),
    ("yesterday's database", tuple((one, (from_yesterday,)) for one in (DATABASE, LOG, INDEX))),
    ("yesterday's ledger", ((LEDGER, (from_yesterday,)), (DATABASE, (deleted,)))),
    ("ledger and twin torn", ((LEDGER, (torn,)), (TWIN, (torn,)))),
    (BOTH, ((LEDGER, OF_LINES), (TWIN, OF_LINES))),
)


@dataclass
class Company:
    """What a crash leaves (`crashed`), what was there before (`older`), and where the next daemon starts (`state`)."""

    world: Sandbox
    config: Path
    state: Path
    crashed: Path
    older: Path
    settings: dict[int, str] = field(default_factory=dict)

    def lay_down(self) -> None:
        """All is as it was at the crash; whose meeting was to end has ended meanwhile."""
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.copytree(self.crashed, self.state)
        for user, status in self.settings.items():
            self.world.aircall.set_by_hand(user, status)
        self.world.aircall.log.clear()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Daemon]:
        """The daemon on that state; it must not raise, nor end by itself but for another start, which it has once."""
        daemons = [self._daemon()]

        async def supervised() -> None:
            try:
                await daemons[0].run()
            except UserError as error:
                if error.exit_code != 1 or not daemons[0].store.damaged.is_set():
                    raise
                daemons.append(self._daemon())
                await daemons[-1].run()

        task = asyncio.create_task(supervised())
        try:
            while not (hasattr(daemons[0], "push") and daemons[0].push.accepting) and not task.done():
                await asyncio.sleep(0.01)
            yield daemons[0]
        finally:
            daemons[-1]._stop.set()
            await task

    def _daemon(self) -> Daemon:
        is_sound = Ahead(self.state / "calsyncd.db").is_sound
        return Daemon(config.load(self.config, os.environ), self.config, os.environ, is_sound=is_sound)

    async def comes_right(self, wanted: dict[int, str]) -> dict[int, str]:
        """What Aircall shows as soon as it is that, or after a while."""
        deadline = time.monotonic() + WITHIN_SECONDS
        while (shown := {user: self.shown()[user] for user in wanted}) != wanted and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        return shown

    def shown(self) -> dict[int, str]:
        """Everybody's setting at Aircall."""
        return {user: self.world.aircall.setting(user).status for user in PEOPLE.values()}


@pytest.fixture
async def company(tmp_path: Path) -> AsyncIterator[Company]:
    """Amy, Bob and Eve are held; then Amy's and Eve's meetings are over, without the daemon."""
    async with Sandbox() as world:
        for email, user in PEOPLE.items():
            world.add_agent(email, user_id=user, status="custom" if email == EVE else "available")
        path = world.write_config(
            tmp_path,
            list(PEOPLE),
            listen=f"127.0.0.1:{free_port()}",
            admin_listen=f"127.0.0.1:{free_port()}",
            public_url=None,
            extra={"aircall": {"requests_per_minute": 119}},
        )
        made = Company(world, path, tmp_path / "state", tmp_path / "crashed", tmp_path / "older")
        world.aircall.set_by_hand(3, "unavailable")
        async with made.running() as daemon:
            await daemon.control.pause(DAVE, None, "test", "")
            await asyncio.sleep(1.0)
            shutil.copytree(made.state, made.older)
            over = [(email, meeting(world, email, -60, 3600)) for email in (AMY, EVE)]
            for email in PEOPLE:
                # A calendar that comes back empty where events were known is read twice, a minute apart.
                meeting(world, email, 86400, 90000)
            meeting(world, BOB, -60, 3600)
            meeting(world, DAVE, -60, 3600)
            await daemon.control.sync(None)
            async with asyncio.timeout(WITHIN_SECONDS):
                while len(daemon.phones.held()) < 3 or any(agent.busy for agent in daemon.roster.agents.values()):
                    await asyncio.sleep(0.02)
            await asyncio.sleep(1.0)
            shutil.copytree(made.state, made.crashed)
        made.settings = made.shown()
        assert [user for user, status in made.settings.items() if status == "unavailable"] == [1, 2, 3, 5]
        for email, event in over:
            world.google.delete(email, event)
        # Its budget is no part of this: hundreds of starts in a minute are.
        world.aircall.switches.budget.limit = 10**9
        unheard: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
        yield made
        gc.collect()
        assert unheard == []


def wrong_words(said: list[Any]) -> list[Any]:
    """What must never be in the log: tracebacks, and whatever was stumbled over."""
    return [line for line in said if line.get("exc_info") or "quarantined" in line["action"]]


@pytest.mark.timeout(rounds(120, 3600))
async def test_random_damages_strand_nobody(company: Company, reached: Reached) -> None:
    """Each case again and again, each time damaged otherwise: everybody comes right, Carol and Dave are not touched."""
    tries = rounds(len(CASES), 500)
    for number in range(tries):
        name, damages = CASES[number % len(CASES)]
        chance = random.Random(number)
        company.lay_down()
        done = []
        for file, kinds in damages:
            kind = chance.choice(kinds)
            if (company.state / file).exists():
                kind(company.state / file, company.older, chance)
                done.append(f"{file} {kind.__name__}")
        with capture_logs() as said:
            async with company.running():
                wanted = RIGHT if name != BOTH else {user: RIGHT[user] for user in (1, 2, 3, 5)}
                shown = await company.comes_right(wanted)

        what = f"round {number}, {name}: {', '.join(done)}"
        assert shown == wanted, what
        assert wrong_words(said) == [], what
        touched = {entry.user for entry in company.world.aircall.log if entry.by == "api"}
        assert touched - ({4} if name == BOTH else set()) == {1, 5}, what

    reached("random damages of the state directory while agents are held, nobody stranded", tries, tries)


@pytest.mark.parametrize("damage", [deleted, empty])
async def test_with_both_ledgers_lost_history_tells_whom_we_held(company: Company, damage: Damage) -> None:
    """Amy and Eve are put back, Bob stays; the pause is forgotten, and Dave's meeting counts."""
    company.lay_down()
    for name in (LEDGER, TWIN):
        damage(company.state / name, company.older, random.Random(1))

    wanted = RIGHT | {4: "unavailable"}
    with capture_logs() as said:
        async with company.running():
            assert await company.comes_right(wanted) == wanted

    assert wrong_words(said) == []


EDITS = (
    'UPDATE events SET start = 1e300, "end" = 1e308',
    "UPDATE events SET start = -1e300, \"end\" = -1e299, updated = '', kind = '?'",
    "UPDATE events SET \"end\" = start - 1, response = '?', titles = char(10)",
    "UPDATE observations SET status = 'astral', live = '', at = 1e300",
    "UPDATE observations SET status = 'unavailable', at = -1e300",
    "UPDATE calendars SET token = 'no such', fingerprint = '', time_zone = 'Nowhere/Land', synced_at = 1e300",
    "UPDATE calendars SET baseline_at = -1e300, synced_at = -1e300",
    "UPDATE history SET at = 1e300, why = char(10)",
    "UPDATE history SET at = -1e300, \"to\" = 'astral', \"from\" = NULL, outcome = '?', until = 1e300",
    "UPDATE directory SET email = '', time_zone = 'Nowhere/Land'",
    "DELETE FROM calendars",
)


@pytest.mark.timeout(rounds(120, 600))
async def test_rows_that_cannot_be_hurt_nobody_else(company: Company) -> None:
    """Edited by hand to what the tables take and no calsyncd ever wrote: debts are paid, and calendars read anew."""
    for edits in [EDITS[::2], *((one,) for one in EDITS[: rounds(0, len(EDITS))])]:
        company.lay_down()
        with contextlib.closing(sqlite3.connect(company.state / DATABASE, isolation_level=None)) as db:
            for statement in edits:
                db.execute(statement)
        with capture_logs() as said:
            async with company.running():
                shown = await company.comes_right(RIGHT)

        assert shown == RIGHT, edits
        assert wrong_words(said) == [], edits


async def test_files_that_are_taken_away_while_it_runs(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them at once; then it is killed. The debts were written anew, so that the next start pays them."""
    monkeypatch.setattr(daemon_module, "PULSE_SECONDS", 0.1)
    company.lay_down()
    (company.state / LEDGER).unlink()
    held = RIGHT | {1: "unavailable", 5: "unavailable"}
    events = [(email, meeting(company.world, email, -60, 3600)) for email in (AMY, EVE)]
    with capture_logs() as said:
        async with company.running() as daemon:
            await asyncio.sleep(0.5)
            for file in company.state.iterdir():
                if file.is_file():
                    file.unlink()
            async with asyncio.timeout(WITHIN_SECONDS):
                while not (company.state / LEDGER).exists():
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.3)
            killed = company.state.with_name("killed")
            shutil.copytree(company.state, killed)
            assert company.shown() == held
            assert {entry.user for entry in daemon.ledger.entries.values() if isinstance(entry.stance, Held)} == {
                1,
                2,
                5,
            }
    shutil.rmtree(company.state)
    killed.rename(company.state)
    for email, event in events:
        company.world.google.delete(email, event)

    async with company.running():
        shown = await company.comes_right(RIGHT)

    assert shown == RIGHT
    assert [line["action"] for line in said if line["action"].startswith("ledger_m")] == ["ledger_mended"] * 2
