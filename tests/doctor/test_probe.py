"""The probe against every doubtful way of the sandbox's Aircall: it tells them apart, and puts the user back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner

from calsyncd.cli import commands
from calsyncd.config import load
from calsyncd.core.model import Setting as Written
from calsyncd.doctor import opened
from calsyncd.doctor.left import NAME as NOTE
from calsyncd.doctor.left import Left, notes
from calsyncd.doctor.probe import Hands, Probe, Result
from calsyncd.doctor.testuser import find
from calsyncd.doctor.undoing import undo
from calsyncd.errors import UserError
from calsyncd.sandbox.aircall_users import Setting
from calsyncd.sandbox.doubts import POINTS, turn_out, usual_ways
from calsyncd.sandbox.world import Sandbox
from calsyncd.web.server import serve

EMAIL, NAME, USER = "amy.test@example.com", "Amy Zebedee", 918_273_645
AIRCALL = list(POINTS)[: list(POINTS).index("window_sticks")]
WAYS = [(point, way) for point in AIRCALL for way in POINTS[point]]


class JumpingClock:
    """Shows the machine's time, and jumps ahead instead of sleeping; what is on its way arrives first."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self.steps = 4

    def now(self) -> float:
        """Epoch seconds."""
        return time.time() + self._ahead

    async def sleep(self, seconds: float) -> None:
        """Jump, in steps."""
        for _ in range(self.steps):
            await asyncio.sleep(0.005 if seconds > 1.0 else 0)
            self._ahead += seconds / self.steps


class World:
    """A sandbox whose time is the probe's, with a test user who is on Auto."""

    def __init__(self, sandbox: Sandbox, clock: JumpingClock, folder: Path) -> None:
        self.sandbox, self.clock, self.folder = sandbox, clock, folder
        sandbox.aircall.add_user(EMAIL, user_id=USER, name=NAME, status="custom")
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        self.path = sandbox.write_config(folder, [EMAIL], listen=f"127.0.0.1:{port}", admin_listen="127.0.0.1:9")
        self.said: list[str] = []
        self.patience = 0.005
        self.when: dict[str, Callable[[], None]] = {}

    def is_as_before(self, result: Result, before: Setting | None = None) -> None:
        """The user is put back, and no webhook is left."""
        assert result.put_back
        assert self.sandbox.aircall.setting(USER) == (before or Setting("custom"))
        assert self.sandbox.aircall.webhooks.by_id == {}

    async def probe(self, *, spend: bool = False, calls: bool = False, after: str = "") -> Result:
        """A whole run; `after` interrupts it when that was said."""
        aircall = self.sandbox.aircall

        async def begun() -> bool:
            aircall.set_live(USER, "in_call")
            return True

        async def ended() -> bool:
            aircall.set_live(USER, None)
            return True

        async with opened(load(self.path, {}), self.path, {}) as examined:
            hands = Hands(begun, ended) if calls else None

            def say(sentence: str) -> None:
                self.said.append(sentence)
                for words in [words for words in self.when if sentence.startswith(words)]:
                    self.when.pop(words)()
                if after and sentence.startswith(after):
                    asyncio.get_running_loop().call_later(self.patience, probe.interrupt)

            probe = Probe(examined, USER, say, hands, self.clock)
            return await probe.run(spend=spend)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A world with nothing turned out otherwise."""
    clock = JumpingClock()
    async with Sandbox(now=clock.now) as sandbox:
        yield World(sandbox, clock, tmp_path)
        assert sandbox.aircall.crashes == []


TOGETHER = (
    *("v1_users", "custom_live", "list_meta", "rate_headers", "in_call", "read_lag"),
    *("minute", "rate_signal", "rate_body"),
)
"""Points of which none keeps another from being told."""

ALONE = [(point, way) for point, way in WAYS if point not in TOGETHER and way != next(iter(POINTS[point]))]
NAMED = {"sliding_120": "sliding", "leaky_burst": "leaky"}


async def test_the_usual_ways(world: World) -> None:
    """Every point is told in one run."""
    result = await world.probe(spend=True, calls=True)

    assert result.found == {point: NAMED.get(way, way) for point, way in usual_ways().items() if point in AIRCALL}
    assert result.open == {}
    world.is_as_before(result)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
async def test_ways_together(world: World, number: int) -> None:
    """What turned out so is reported so, of many points in one run, and the user is as before."""
    ways = {point: list(POINTS[point])[number % len(POINTS[point])] for point in TOGETHER}
    turn_out(world.sandbox, ways)

    result = await world.probe(spend=True, calls=True)

    told = {point: result.found.get(point) for point in ways}
    assert told == {point: NAMED.get(way, way) for point, way in ways.items()}
    world.is_as_before(result)


@pytest.mark.parametrize(("point", "way"), ALONE)
async def test_each_way_is_told(world: World, point: str, way: str) -> None:
    """What turned out so is reported so, and the user is as before."""
    turn_out(world.sandbox, {point: way})
    if way == "late":
        # The sandbox's delay is real time, of which the clock makes a hundredfold.
        world.sandbox.aircall.notify.delay = 0.03
        world.clock.steps = 10

    result = await world.probe(calls=point == "call_reads")

    assert result.found[point] == way
    world.is_as_before(result)


@pytest.mark.parametrize(
    "before", [Setting("available"), Setting("unavailable", "in_training"), Setting("unavailable")]
)
async def test_whatever_was_there_is_put_back(world: World, before: Setting) -> None:
    """An absence with its reason too; everything is found out all the same."""
    world.sandbox.aircall.set_by_hand(USER, before.status, before.substatus)

    result = await world.probe()

    assert result.found["v2_update"] == "works"
    assert result.found["echo"] == "yes"
    world.is_as_before(result, before)


@pytest.mark.parametrize("after", ["writing by v2", "Auto", "a sub-status", "writing by v1", "reading"])
async def test_an_interruption_puts_the_user_back(world: World, after: str) -> None:
    """Wherever it comes, also where updates are slow to show; the webhook goes too."""
    turn_out(world.sandbox, {"read_lag": "1s", "v1_users": "works"})
    # Each step begins with a write, which is under way when it comes.
    world.sandbox.aircall.fail("PUT ", times=None, delay=0.1)
    world.patience = 0.03

    result = await world.probe(after=after)

    assert result.interrupted
    world.is_as_before(result)


async def test_an_interruption_while_the_webhook_is_made(world: World) -> None:
    """The one that is made all the same is deleted."""
    world.sandbox.aircall.fail("POST /v1/webhooks", delay=0.3)
    world.patience = 0.15

    result = await world.probe(after="reading")

    assert result.interrupted
    assert [request.status for request in world.sandbox.aircall.requests if request.method == "DELETE"] == [204]
    world.is_as_before(result)


async def test_a_way_back_that_is_refused_for_a_while(world: World) -> None:
    """It is tried again."""
    aircall = world.sandbox.aircall
    world.when["a sub-status"] = lambda: aircall.fail("PUT ", times=9, status=503)

    result = await world.probe()

    world.is_as_before(result)


async def test_a_way_back_that_fails(world: World) -> None:
    """It is said what to set by hand."""
    aircall = world.sandbox.aircall
    world.when["a sub-status"] = lambda: aircall.fail("PUT ", times=None, status=503)

    result = await world.probe()

    assert not result.put_back
    assert "set them to Auto in Aircall by hand" in world.said[-1]


async def test_a_user_in_a_call_is_left_alone(world: World) -> None:
    """Nothing is written."""
    world.sandbox.aircall.set_live(USER, "in_call")

    with pytest.raises(UserError, match="in a call"):
        await world.probe()

    assert world.sandbox.aircall.log == []


async def test_the_report_names_nobody(world: World) -> None:
    """No address, name, id, token or company, wherever an answer may have them; statuses and words stay."""
    aircall = world.sandbox.aircall
    world.sandbox.aircall.users.by_id[USER].extra = {"Amy's field": 1, "substatus": f"with {EMAIL}"}
    aircall.fail("PUT /v2", times=2, status=400, body={"error": f"{NAME} is {EMAIL}", "id": USER})

    result = await world.probe(calls=True)
    text = result.report([EMAIL, str(USER)])

    assert json.loads(text)["found"] == result.found
    assert "availability_status" in text
    for secret in (
        EMAIL,
        "amy",
        "Zebedee",
        str(USER),
        aircall.api_token,
        aircall.company,
        "127.0.0.1",
        "calsyncd.test",
    ):
        assert secret.lower() not in text.lower()


# -- the command -------------------------------------------------------------------------------------------------------


async def run(world: World, *arguments: str, interrupt: bytes = b"") -> tuple[int, str, str]:
    """What the command prints; it gets SIGINT, twice, after a line that begins so."""
    command = [sys.executable, "-m", "calsyncd", "doctor", "--config", str(world.path), *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=world.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    err = b""
    assert process.stderr is not None
    while interrupt and (line := await process.stderr.readline()):
        err += line
        if line.startswith(interrupt):
            process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.05)
            process.send_signal(signal.SIGINT)
            break
    out, rest = await process.communicate()
    return process.returncode or 0, out.decode(), (err + rest).decode()


async def test_with_a_call(world: World) -> None:
    """Somebody at a terminal agrees, calls, and hangs up; each is asked for."""
    world.path.write_text(world.path.read_text().replace("  public_url: https://demo.calsyncd.test\n", ""))
    ours, theirs = os.openpty()
    live = {b"Call the test user": "in_call", b"Hang up now": None}
    command = [sys.executable, "-m", "calsyncd", "doctor", "--config", str(world.path), "--probe", EMAIL]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=world.folder, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    os.close(theirs)
    assert process.stderr is not None
    os.write(ours, b"y\n")
    while line := await process.stderr.readline():
        for words in [words for words in live if line.startswith(words)]:
            world.sandbox.aircall.set_live(USER, live.pop(words))
            os.write(ours, b"\n")
    out, _ = await process.communicate()
    os.close(ours)

    assert process.returncode == 0
    assert b"in_call         taken\n" in out
    assert b"echo            open: server.public_url is not set\n" in out
    assert world.sandbox.aircall.setting(USER) == Setting("custom")


async def test_ctrl_c(world: World) -> None:
    """Twice: the user is put back, the report says that it is not whole, exit status 1."""
    world.sandbox.aircall.fail("PUT ", times=None, delay=0.2)

    status, _, err = await run(world, "--probe", EMAIL, "--yes", interrupt=b"Auto")

    assert status == 1
    assert "putting the user back to Auto" in err
    assert "Traceback" not in err
    assert world.sandbox.aircall.setting(USER) == Setting("custom")
    assert world.sandbox.aircall.webhooks.by_id == {}
    report = json.loads((world.folder / "calsyncd-probe.json").read_text())
    assert (report["interrupted"], report["put_back"]) == (True, True)
    assert EMAIL not in json.dumps(report)


async def killed(world: World, word: str) -> None:
    """A probe that is killed for good as soon as the user is set so."""
    # Slow looks, too: once the user is set so, nothing else is under way that would land after the kill.
    world.sandbox.aircall.fail("PUT ", times=None, delay=0.2)
    world.sandbox.aircall.fail("GET ", times=None, delay=0.2)
    command = [sys.executable, "-m", "calsyncd", "doctor", "--config", str(world.path), "--probe", EMAIL, "--yes"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=world.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    async with asyncio.timeout(10):
        while world.sandbox.aircall.setting(USER).status != word:
            await asyncio.sleep(0.01)
    process.kill()
    assert await process.wait() == -signal.SIGKILL
    world.sandbox.aircall.faults.clear()


async def undone(world: World, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What the next run says of it, and how that counts."""
    monkeypatch.chdir(world.folder)
    async with opened(load(world.path, {}), world.path, {}) as examined:
        return [(one.outcome.value, one.what) for one in await undo(examined)]


@pytest.mark.parametrize("begun", [True, False], ids=["after the first start", "before it"])
async def test_a_probe_that_is_killed(world: World, monkeypatch: pytest.MonkeyPatch, *, begun: bool) -> None:
    """With SIGKILL in the middle the user stays changed, and the next run puts them back and says so; once.

    The webhook goes too.
    """
    before = set(world.folder.iterdir())
    if begun:
        load(world.path, {}).state_dir.mkdir()
    await killed(world, "unavailable")
    assert world.sandbox.aircall.setting(USER).status == "unavailable"
    assert len(world.sandbox.aircall.webhooks.by_id) == 1

    ((outcome, what),) = await undone(world, monkeypatch)

    assert outcome == "note"
    assert world.sandbox.aircall.webhooks.by_id == {}
    assert what.startswith("the probe of 20")
    assert what.endswith(f" was killed and left {EMAIL} changed: they are back at Auto")
    assert world.sandbox.aircall.setting(USER) == Setting("custom")
    assert await undone(world, monkeypatch) == []
    assert set(world.folder.iterdir()) - before <= {load(world.path, {}).state_dir}


async def test_what_a_killed_probe_has_left_and_others_have_changed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe under way is left alone; whoever was set otherwise since stays so; a note that is none is said."""
    monkeypatch.chdir(world.folder)
    (note,) = notes(world.folder / "none")
    note.begin(Left(EMAIL, USER, Written("available"), 0.0))
    note.about_to_write(Written("unavailable"))
    with note.held():
        assert await undone(world, monkeypatch) == [("failed", "another probe is under way: wait for its end")]
    ((outcome, what),) = await undone(world, monkeypatch)
    assert (outcome, "somebody has set them otherwise since" in what) == ("note", True)
    assert world.sandbox.aircall.setting(USER) == Setting("custom")
    assert note.read() is None

    note.about_to_write(Written("custom"))
    world.sandbox.aircall.fail("PUT ", times=None, status=403)
    monkeypatch.setattr("calsyncd.doctor.probe.TRIES_BACK", 1)
    ((outcome, what),) = await undone(world, monkeypatch)
    assert (outcome, "does not take the way back" in what) == ("failed", True)
    (world.folder / NOTE).write_text("{}")
    ((outcome, what),) = await undone(world, monkeypatch)
    assert (outcome, "cannot be read" in what) == ("failed", True)


async def test_whom_it_is_not_tried_with(world: World) -> None:
    """Nobody whom Aircall does not know, nobody who was not agreed with; a report is not overwritten."""
    report = world.folder / "old.json"
    report.write_text("{}")
    command = ["doctor", "--config", str(world.path), "--probe", EMAIL]

    unasked = CliRunner().invoke(commands, [*command, "--report", str(world.folder / "new.json")], input="n\n")
    there = CliRunner().invoke(commands, [*command, "--yes", "--report", str(report)])
    async with opened(load(world.path, {}), world.path, {}) as examined:
        with pytest.raises(UserError, match=r"there is no Aircall user nobody@example\.com"):
            await find(examined, "nobody@example.com")

    assert (unasked.exit_code, there.exit_code) == (1, 2)
    assert "Has this person agreed" in unasked.output
    assert "is there already" in there.output
    assert report.read_text() == "{}"
    assert world.sandbox.aircall.log == []


async def test_an_agent_whom_a_daemon_follows(world: World) -> None:
    """The two would disturb each other; paused, the agent may be tried with."""
    state = "idle"

    async def agent(_: web.Request) -> web.Response:
        return web.json_response({"email": EMAIL, "state": state})

    app = web.Application()
    app.router.add_get(f"/api/v1/agents/{EMAIL}", agent)
    async with serve(app, "127.0.0.1:0") as (where,), opened(load(world.path, {}), world.path, {}) as examined:
        server = examined.settings.server.model_copy(update={"admin_listen": where})
        examined.settings = examined.settings.model_copy(update={"server": server})
        with pytest.raises(UserError, match=f"calsyncd pause {EMAIL}"):
            await find(examined, EMAIL)
        state = "paused"

        assert (await find(examined, EMAIL)).id == USER
