"""The dead man's release: the daemon is gone for good, and whoever it held comes back as their meeting ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner

from calsyncd import config, deadman
from calsyncd.cli import commands
from calsyncd.clock import SystemClock
from calsyncd.core.model import Setting
from calsyncd.core.plan import FREE, Entry, Held, Pause
from calsyncd.errors import UserError
from calsyncd.ledger import Ledger
from calsyncd.sandbox.world import Sandbox
from calsyncd.state import Alive, locked
from tests.acceptance.running import Running, command, free_port
from tests.acceptance.test_life import AMY, BOB, meeting, statuses
from tests.faults.depth import rounds

CAROL, DAVE = "carol@example.com", "dave@example.com"
PEOPLE = {AMY: 1, BOB: 2, CAROL: 3, DAVE: 4}


@dataclass
class Company:
    """A company whose daemon is dead, what it left on disk, and the alarms that were told."""

    world: Sandbox
    config: Path
    state: Path
    admin: str
    told: list[dict[str, Any]] = field(default_factory=list)

    async def left(self, **until: float) -> None:
        """The daemon had set these unavailable until so many seconds from now, and died."""
        now = time.time()
        self.state.mkdir(mode=0o700, exist_ok=True)
        ledger = Ledger(self.state / "ledger")
        ledger.load()
        for name, seconds in until.items():
            user = PEOPLE[f"{name}@example.com"]
            held = Held(
                Setting("unavailable"), Setting("available"), now - 3600, now - 3600, now + seconds, "e", now - 3599
            )
            await ledger.record(Entry(user, f"{name}@example.com", held, now - 3599))
            self.world.aircall.set_by_hand(user, "unavailable")
            self.world.aircall.log.clear()
        await ledger.close()
        self.died()

    def died(self, seconds: float = 700.0) -> None:
        """The daemon was last alive so many seconds ago."""
        Alive(self.state).mark(time.time() - seconds)

    async def released(self, clock: SystemClock | None = None) -> deadman.Outcome:
        """A run of the timer."""
        return await deadman.release_stale(config.load(self.config, os.environ), self.config, os.environ, clock)

    def owed(self) -> set[int]:
        """Whom the ledger tells of as held."""
        ledger = Ledger(self.state / "ledger")
        ledger.load()
        return {user for user, entry in ledger.entries.items() if isinstance(entry.stance, Held)}

    def puts(self) -> list[tuple[int, str]]:
        """What was set through the API, in order."""
        return [(entry.user, entry.after.status) for entry in self.world.aircall.log if entry.by == "api"]


@pytest.fixture
async def company(tmp_path: Path) -> AsyncIterator[Company]:
    """Four agents, and somebody who takes alarms."""
    async with Sandbox() as world, contextlib.AsyncExitStack() as stack:
        for email, user in PEOPLE.items():
            world.add_agent(email, user_id=user)
        told: list[dict[str, Any]] = []

        async def take(request: web.Request) -> web.Response:
            told.append(await request.json())
            return web.Response(text="ok")

        app = web.Application()
        app.router.add_post("/alarms", take)
        runner = web.AppRunner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        hook = tmp_path / "hook"
        hook.write_text(f"http://127.0.0.1:{runner.addresses[0][1]}/alarms")
        hook.chmod(0o600)
        public, admin = free_port(), free_port()
        path = world.write_config(
            tmp_path,
            list(PEOPLE),
            listen=f"127.0.0.1:{public}",
            admin_listen=f"127.0.0.1:{admin}",
            public_url=None,
            extra={"alerts": {"url_file": str(hook)}},
        )
        yield Company(world, path, tmp_path / "state", f"http://127.0.0.1:{admin}", told)


class Later(SystemClock):
    """The machine's clock, two hours ahead."""

    def now(self) -> float:
        return super().now() + 7200.0


async def test_puts_back_whoever_is_past_the_end(company: Company) -> None:
    """Killed while it held three: the meeting of one goes on, and one changed their setting. It carries on from there.

    Who is unavailable by their own choice is not touched.
    """
    world = company.world
    for email in (AMY, CAROL):
        meeting(world, email, -60, 3600)
    bobs = meeting(world, BOB, -60, 3 * 3600)
    daemon = Running(company.config, company.admin)
    await daemon.start()
    for email in (AMY, BOB, CAROL):
        await daemon.until(email, state="held")
    await daemon.kill()
    world.aircall.set_by_hand(3, "custom")
    world.aircall.set_by_hand(4, "unavailable")

    young = await company.released()
    outcome = await company.released(Later())

    assert young.alive is not None
    assert (outcome.released, outcome.left, outcome.still, outcome.held) == ((AMY,), (CAROL,), (), 1)
    assert statuses(world, 1) == [("api", "unavailable"), ("api", "available")]
    assert statuses(world, 2) == [("api", "unavailable")]
    assert statuses(world, 3) == [("api", "unavailable"), ("hand", "custom")]
    assert statuses(world, 4) == [("hand", "unavailable")]
    assert [(one["kind"], one["code"], one["who"]) for one in company.told] == [("raised", "daemon_dead", "company")]

    world.google.delete(BOB, bobs)
    await daemon.start()
    assert [one["code"] for one in (await daemon.get("alarms"))["alarms"]] == ["daemon_dead"]
    await daemon.until(BOB, state="idle")
    await daemon.stop()
    assert statuses(world, 2) == [("api", "unavailable"), ("api", "available")]
    assert not any("Traceback" in line for line in daemon.raw)


async def test_the_command_of_the_timer(company: Company) -> None:
    """Who was put back, and status 1; --all and --stale exclude each other, and one of them is to be given."""
    await company.left(amy=-60, bob=3600, carol=-60)
    company.world.aircall.set_by_hand(3, "custom")
    asked = ("release", "--stale", "--config", str(company.config))

    status, out, err = await command(*asked)

    assert status == 1, err
    assert out.splitlines()[1:] == [
        f"{AMY}: put back, the meeting is over",
        f"{CAROL}: not ours any more, left as they are",
        "1 held whose meetings go on: a later run puts them back.",
    ]
    assert '"action": "daemon_dead"' in err
    assert "Traceback" not in err
    for wrong in ((*asked, "--all"), ("release",)):
        assert "give --all, or --stale" in CliRunner().invoke(commands, wrong).output


@pytest.mark.parametrize("fault", ["agnets: []\n", "rules: [\n", None], ids=["a wrong key", "no YAML", "no file"])
async def test_faulty_settings_of_which_the_daemon_died(company: Company, fault: str | None) -> None:
    """It does not start with them; the release goes by those with which it last ran, and says what is wrong."""
    meeting(company.world, AMY, -60, 3600)
    daemon = Running(company.config, company.admin)
    await daemon.start()
    await daemon.until(AMY, state="held")
    await daemon.kill()
    company.died()
    await company.left(amy=-60)
    if fault is None:
        company.config.unlink()
    else:
        company.config.write_text(company.config.read_text() + fault)

    status, out, err = await command("release", "--stale", "--config", str(company.config))

    assert status == 1, err
    assert out.splitlines()[1:] == [f"{AMY}: put back, the meeting is over"]
    assert str(company.config) in err
    assert f"those with which calsyncd last ran are used: {company.state / 'settings.yaml'}" in err
    assert [one["code"] for one in company.told] == ["daemon_dead"]


async def test_a_reload_is_what_it_last_ran_with(company: Company) -> None:
    """The copy follows each reload that counted, and none that did not."""
    daemon = Running(company.config, company.admin)
    await daemon.start()
    assert daemon.process is not None
    copy = company.state / "settings.yaml"
    good = company.config.read_bytes() + b"history: {keep: 30d}\n"
    company.config.write_bytes(good)
    daemon.process.send_signal(signal.SIGHUP)
    await daemon.logged("reloaded")
    company.config.write_bytes(b"nonsense: 1\n")
    daemon.process.send_signal(signal.SIGHUP)
    await daemon.logged("reload_refused")
    await daemon.stop()

    assert copy.read_bytes() == good
    assert copy.stat().st_mode & 0o777 == 0o600


async def test_faulty_settings_and_none_before(company: Company) -> None:
    """Where no daemon ever ran with good ones the faults are said, with their status."""
    await company.left(amy=-60)
    company.config.write_text("nonsense: 1\n")

    status, _, err = await command("release", "--stale", "--config", str(company.config))

    assert status == 78
    assert "nonsense" in err
    assert company.puts() == []


async def test_a_second_run_does_nothing(company: Company) -> None:
    """Neither an update nor an alarm, as often as the timer comes; a third death is told again only once it is over."""
    await company.left(amy=-60, bob=3600)

    first = await company.released()
    requests = len(company.world.aircall.log)
    second, third = await company.released(), await company.released()

    assert (first.released, first.held) == ((AMY,), 1)
    assert (second.released, second.left, second.still, second.held) == ((), (), (), 1)
    assert third == second
    assert len(company.world.aircall.log) == requests
    assert company.owed() == {2}
    assert len(company.told) == 1


async def test_while_somebody_holds_the_lock_nothing_is_done(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon whose disk takes no mark any more lives all the same; nor is anything written."""
    await company.left(amy=-60)
    before = {file.name: file.read_bytes() for file in company.state.iterdir() if file.name != "lock"}

    monkeypatch.setattr(deadman, "LOCK_SECONDS", 0.3)
    with locked(company.state):
        outcome = await company.released()

    assert outcome.alive == "a calsyncd holds the state directory, so it lives"
    assert company.puts() == []
    assert company.told == []
    assert {file.name: file.read_bytes() for file in company.state.iterdir() if file.name != "lock"} == before


async def test_a_daemon_that_dies_again_and_again_is_dead(company: Company) -> None:
    """It holds the lock most of the time, and never lives long enough to mark that it does: a gap is enough."""
    await company.left(amy=-60)

    async def dies() -> None:
        with locked(company.state):
            await asyncio.sleep(0.5)

    dying = asyncio.create_task(dies())
    await asyncio.sleep(0)
    outcome = await company.released()
    await dying

    assert outcome.released == (AMY,)


@pytest.mark.parametrize(
    ("mark", "dead"),
    [(590.0, False), (610.0, True), (-3.0, False), (-7200.0, True), (None, True)],
    ids=["just alive", "dead", "a little ahead", "far ahead", "no mark"],
)
async def test_when_it_counts_as_dead(company: Company, mark: float | None, *, dead: bool) -> None:
    """By its mark, over ten minutes old; a clock that was set back, or a lost mark, makes nobody immortal."""
    await company.left(amy=-60)
    if mark is None:
        (company.state / "alive").unlink()
        for name in ("ledger", "ledger.twin"):
            os.utime(company.state / name, (time.time() - 700, time.time() - 700))
    else:
        company.died(mark)

    outcome = await company.released()

    assert (outcome.alive is None, outcome.released) == (dead, (AMY,) if dead else ())


async def test_where_no_daemon_ever_ran_there_is_nothing_to_do(company: Company) -> None:
    """The timer may be switched on before the daemon; the folder is not even made."""
    outcome = await company.released()

    assert outcome.alive is not None
    assert "no calsyncd ever ran" in outcome.alive
    assert not company.state.exists()


async def test_by_a_clock_that_cannot_be_nobody_is_put_back(company: Company) -> None:
    """A dead battery shows 1970: it is refused, in a sentence."""

    class Dead(SystemClock):
        def now(self) -> float:
            return 1000.0

    await company.left(amy=-60)

    with pytest.raises(UserError, match="cannot be") as caught:
        await company.released(Dead())

    assert caught.value.exit_code == 1
    assert company.puts() == []


async def test_a_pause_and_removed_agents_and_those_only_observed(company: Company) -> None:
    """Who was paused just before the death is put back at once; the others at their end, whatever the settings say."""
    await company.left(amy=3600, bob=-60, carol=3600, dave=-60)
    ledger = Ledger(company.state / "ledger")
    ledger.load()
    await ledger.record(Pause(AMY, float("inf"), time.time()))
    await ledger.close()
    text = company.config.read_text()
    company.config.write_text(text.replace(f"- email: {BOB}\n  calendars:\n  - primary\n", "") + "mode: observe\n")
    assert BOB not in company.config.read_text()

    outcome = await company.released()

    assert (set(outcome.released), outcome.held) == ({AMY, BOB, DAVE}, 1)
    ledger.load()
    assert ledger.pauses[AMY].until == float("inf")
    assert ledger.entries[1].stance == FREE
    assert company.owed() == {3}


async def test_an_answer_that_is_lost_is_settled_by_looking(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """Aircall has put Amy back and did not say so: she is set once, and stays written down until that is sure."""
    await company.left(amy=-60)
    seconds = rounds(1, 90)
    monkeypatch.setattr(deadman, "RELEASE_SECONDS", float(seconds))
    company.world.aircall.faults.fail(r"PUT ", cut=True, landed=True)

    outcome = await company.released()

    assert company.puts() == [(1, "available")]
    # For a minute it might still come to be: until then it is owed, and the next run looks again.
    assert (outcome.still, company.owed()) == (((), set()) if seconds > 60 else ((AMY,), {1}))


async def test_killed_in_the_midst_the_next_run_ends_it(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """While an update is on its way to Aircall: both are right at once, and a minute later for sure."""
    await company.left(amy=-60, bob=-60)
    seconds = rounds(1, 90)
    monkeypatch.setattr(deadman, "RELEASE_SECONDS", float(seconds))
    arrived = asyncio.Event()

    def updates(line: str) -> bool:
        if line.startswith("PUT "):
            arrived.set()
        return line.startswith("PUT ")

    company.world.aircall.faults.fail(updates, times=None, delay=30.0)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "calsyncd", "release", "--stale", "--config", str(company.config)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(20):
        await arrived.wait()
    process.send_signal(signal.SIGKILL)
    await process.wait()
    company.world.aircall.faults.clear()
    assert company.owed() == {1, 2}

    outcome = await company.released()

    assert {*outcome.released, *outcome.still} == {AMY, BOB}
    assert company.owed() == (set() if seconds > 60 else {1, 2})
    assert [company.world.aircall.setting(user).status for user in (1, 2)] == ["available"] * 2


async def test_an_alarm_that_nobody_took_is_sent_by_the_next_run(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver is down: it waits on disk, and is sent once."""
    await company.left(bob=3600)
    monkeypatch.setattr(deadman, "ALARM_SECONDS", 0.5)
    hook = company.config.with_name("hook")
    there = hook.read_text()
    hook.write_text(f"http://127.0.0.1:{free_port()}/alarms")
    await company.released()
    assert company.told == []
    hook.write_text(there)

    await company.released()
    await company.released()

    assert [one["code"] for one in company.told] == ["daemon_dead"]
