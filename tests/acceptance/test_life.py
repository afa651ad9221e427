"""What the daemon does through its life: start, stop, reload, release, and losing what it had stored."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sqlite3
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from calsyncd.core.plan import LOST_LAST_LOOK_SECONDS
from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.world import Sandbox
from tests.acceptance.conftest import Launch
from tests.acceptance.running import START_SECONDS, Running, command, free_port

AMY, BOB = "amy@example.com", "bob@example.com"
TITLE = "Redundancies"


def meeting(sandbox: Sandbox, who: str, start: float, end: float) -> str:
    """A meeting from `start` to `end` seconds from now."""
    now = time.time()
    event = sandbox.google.insert(
        who,
        {
            "summary": TITLE,
            "start": {"dateTime": second(now + start)},
            "end": {"dateTime": second(now + end)},
        },
    )
    return str(event["id"])


def statuses(sandbox: Sandbox, user: int) -> list[tuple[str, str]]:
    """(by whom, to what) of every change of a phone."""
    return [(entry.by, entry.after.status) for entry in sandbox.aircall.log if entry.user == user]


async def test_custom_stays_custom(sandbox: Sandbox, launch: Launch) -> None:
    """An agent on Auto comes back to Auto."""
    sandbox.add_agent(AMY, user_id=1, status="custom")
    meeting(sandbox, AMY, -60, 4)

    daemon = await launch([AMY])
    held = await daemon.until(AMY, state="held")
    await daemon.until(AMY, state="idle")

    assert {"availability_status": "custom", "substatus": None} == held["hold"]["back"]
    assert [("api", "unavailable"), ("api", "custom")] == statuses(sandbox, 1)


async def test_override(sandbox: Sandbox, launch: Launch) -> None:
    """An agent who changes the setting during a hold is left alone to the meeting's end and after it."""
    sandbox.add_agent(AMY, user_id=1)
    meeting(sandbox, AMY, -60, 16)
    daemon = await launch([AMY])
    await daemon.until(AMY, state="held")

    await asyncio.sleep(5.2)
    sandbox.aircall.set_by_hand(1, "available")
    overridden = await daemon.until(AMY, state="overridden")
    await daemon.until(AMY, state="idle")

    assert overridden["override"]["until"] is not None
    assert [("api", "unavailable"), ("hand", "available")] == statuses(sandbox, 1)


async def test_sigint_keeps_the_stance(sandbox: Sandbox, launch: Launch) -> None:
    """Ctrl-C in a meeting ends with 0 and leaves the agent held; the next start brings them back."""
    sandbox.add_agent(AMY, user_id=1)
    meeting(sandbox, AMY, -60, 6)
    daemon = await launch([AMY])
    await daemon.until(AMY, state="held")

    status = await daemon.stop(signal.SIGINT)
    held_while_down = sandbox.aircall.setting(1).status
    await daemon.start()
    await daemon.until(AMY, state="idle")

    assert (0, "unavailable") == (status, held_while_down)
    assert [("api", "unavailable"), ("api", "available")] == statuses(sandbox, 1)


async def test_deleted_database(sandbox: Sandbox, launch: Launch) -> None:
    """The database deleted during a meeting: the ledger brings the agent back, and lost channels are stopped."""
    sandbox.add_agent(AMY, user_id=1, status="custom")
    meeting(sandbox, AMY, -60, 7)
    daemon = await launch([AMY])
    await daemon.until(AMY, state="held")
    await daemon.logged("channel_opened")
    await sandbox.settle()
    lost = sandbox.google.push.live()
    await daemon.kill()
    for file in (daemon.config.parent / "state").glob("calsyncd.db*"):
        file.unlink()

    await daemon.start()
    await daemon.until(AMY, state="idle")
    meeting(sandbox, AMY, 3600, 3700)
    await daemon.logged("orphan_stopped")
    async with asyncio.timeout(5):
        while lost[0].id in {channel.id for channel in sandbox.google.push.live()}:
            await asyncio.sleep(0.05)

    assert [("api", "unavailable"), ("api", "custom")] == statuses(sandbox, 1)


async def test_damaged_database(sandbox: Sandbox, launch: Launch) -> None:
    """A scribbled database is moved aside and made anew, without an operator."""
    sandbox.add_agent(AMY, user_id=1)
    meeting(sandbox, AMY, -60, 8)
    daemon = await launch([AMY])
    await daemon.until(AMY, state="held")
    await daemon.kill()
    database = daemon.config.parent / "state" / "calsyncd.db"
    database.write_bytes(random.Random(1).randbytes(20_000))

    await daemon.start()
    await daemon.until(AMY, state="idle")

    assert "database_moved_aside" in {line.get("action") for line in daemon.lines}
    assert [("api", "unavailable"), ("api", "available")] == statuses(sandbox, 1)


@pytest.mark.timeout(400)
async def test_kill_at_any_instant(tmp_path: Path) -> None:
    """Killed at random instants around its boundaries, it never strands the agent nor sends in vain."""
    folders = [tmp_path / str(seed) for seed in range(4)]
    for folder in folders:
        folder.mkdir()
    await asyncio.gather(*(kill_often(folder, seed) for seed, folder in enumerate(folders)))


async def kill_often(folder: Path, seed: int) -> None:
    """Kill a daemon of its own twice."""
    chance = random.Random(20261121 + seed)
    public, admin = free_port(), free_port()
    async with Sandbox() as sandbox:
        sandbox.add_agent(AMY, user_id=1, status="custom")
        sandbox.deliver_to = f"http://127.0.0.1:{public}"
        config = sandbox.write_config(
            folder, [AMY], listen=f"127.0.0.1:{public}", admin_listen=f"127.0.0.1:{admin}", extra={}
        )
        daemon = Running(config, f"http://127.0.0.1:{admin}")
        await daemon.start()
        for _ in range(2):
            meeting(sandbox, AMY, 1.2, 2.4)
            await asyncio.sleep(1.0 + chance.random() * 1.6)
            await daemon.kill()
            await daemon.start()
            # Killed where an update may have left, it looks for a minute before it lets the debt go.
            await daemon.until(AMY, within=LOST_LAST_LOOK_SECONDS + START_SECONDS, state="idle")
        await daemon.stop()

        by_api = statuses(sandbox, 1)
        print(by_api)
        assert sandbox.aircall.setting(1).status == "custom"
        assert all(first != following for first, following in pairwise(by_api))


async def test_release_through_the_daemon(sandbox: Sandbox, launch: Launch) -> None:
    """`release --all` puts everybody back through the running daemon and leaves them paused; `resume` follows again."""
    sandbox.add_agent(AMY, user_id=1)
    meeting(sandbox, AMY, -60, 3600)
    daemon = await launch([AMY])
    await daemon.until(AMY, state="held")

    status, out, _ = await command("release", "--all", "--config", str(daemon.config))
    paused = (await daemon.agents())[AMY]
    released = sandbox.aircall.setting(1).status
    await daemon.kill()
    await daemon.start()
    still = await daemon.until(AMY, state="paused")
    resumed, _, _ = await command("resume", AMY, "--config", str(daemon.config))
    await daemon.until(AMY, state="held")

    assert (0, "paused", "available") == (status, paused["state"], released)
    assert f"{AMY}: put back" in out
    assert still["paused_until"] is not None
    assert resumed == 0


async def test_release_without_a_daemon(sandbox: Sandbox, launch: Launch) -> None:
    """`release --all` puts everybody back when no daemon runs, and the next start leaves them paused."""
    sandbox.add_agent(AMY, user_id=1, status="custom")
    sandbox.add_agent(BOB, user_id=2)
    meeting(sandbox, AMY, -60, 3600)
    daemon = await launch([AMY, BOB])
    await daemon.until(AMY, state="held")
    await daemon.kill()

    status, out, err = await command("release", "--all", "--config", str(daemon.config))
    await daemon.start()
    agents = {email: (await daemon.until(email, state="paused"))["state"] for email in (AMY, BOB)}

    assert (0, "") == (status, err)
    assert f"{AMY}: put back" in out
    assert [("api", "unavailable"), ("api", "custom")] == statuses(sandbox, 1)
    assert {AMY: "paused", BOB: "paused"} == agents


async def test_reload(sandbox: Sandbox, launch: Launch) -> None:
    """SIGHUP: a faulty file changes nothing and is named; an agent who was removed is released."""
    sandbox.add_agent(AMY, user_id=1)
    sandbox.add_agent(BOB, user_id=2)
    meeting(sandbox, AMY, -60, 3600)
    meeting(sandbox, BOB, -60, 3600)
    daemon = await launch([AMY, BOB])
    await daemon.until(AMY, state="held")
    await daemon.until(BOB, state="held")
    assert daemon.process is not None
    good = daemon.config.read_text()

    daemon.config.write_text(good + "surprise: 1\n")
    daemon.process.send_signal(signal.SIGHUP)
    refused = await daemon.logged("reload_refused")
    settings = yaml.safe_load(good)
    settings["agents"] = [agent for agent in settings["agents"] if agent["email"] == AMY]
    daemon.config.write_text(yaml.safe_dump(settings))
    daemon.process.send_signal(signal.SIGHUP)
    await daemon.logged("reloaded")
    await daemon.logged("released", agent=BOB)
    agents = await daemon.agents()

    assert "surprise" in refused["event"]
    assert [AMY] == list(agents)
    assert agents[AMY]["state"] == "held"
    assert ("unavailable", "available") == (sandbox.aircall.setting(1).status, sandbox.aircall.setting(2).status)


async def test_removed_while_down(sandbox: Sandbox, launch: Launch) -> None:
    """A hold whose agent is no longer in the settings is released at the next start."""
    sandbox.add_agent(AMY, user_id=1)
    sandbox.add_agent(BOB, user_id=2)
    meeting(sandbox, BOB, -60, 3600)
    daemon = await launch([AMY, BOB])
    await daemon.until(BOB, state="held")
    await daemon.kill()
    settings = yaml.safe_load(daemon.config.read_text())
    settings["agents"] = settings["agents"][:1]
    daemon.config.write_text(yaml.safe_dump(settings))

    await daemon.start()
    await daemon.logged("released", agent=BOB)

    assert sandbox.aircall.setting(2).status == "available"


async def test_second_daemon(sandbox: Sandbox, launch: Launch) -> None:
    """A second daemon on the same state directory exits 75 and names the first one."""
    sandbox.add_agent(AMY, user_id=1)
    daemon = await launch([AMY])
    assert daemon.process is not None

    status, _, err = await command("run", "--config", str(daemon.config))

    assert status == 75
    assert str(daemon.process.pid) in err


async def test_faulty_settings(tmp_path: Path) -> None:
    """All faults of a file are printed at once on standard output, with exit status 78."""
    config = tmp_path / "config.yaml"
    config.write_text("modus: act\naircall: {api_id: 1, api_id: 2}\n")

    checked = await command("check", "--config", str(config))
    ran = await command("run", "--config", str(config))

    assert (78, 78) == (checked[0], ran[0])
    assert checked[1] == ran[1]
    assert f"{config}:1:1: modus:" in checked[1]
    assert f"{config}:2:" in checked[1]


async def test_no_daemon(sandbox: Sandbox, prepare: Callable[..., Running]) -> None:
    """A command that asks the daemon exits 69 when none answers."""
    sandbox.add_agent(AMY, user_id=1)
    daemon = prepare([AMY])

    status, _, err = await command("status", "--config", str(daemon.config))

    assert status == 69
    assert "no daemon answers" in err


async def test_nothing_private_is_kept(sandbox: Sandbox, launch: Launch) -> None:
    """No title, token or key is in the log or the state directory."""
    sandbox.add_agent(AMY, user_id=1)
    meeting(sandbox, AMY, -60, 3)
    daemon = await launch([AMY], log={"level": "debug"})
    await daemon.logged("released")
    await daemon.stop()
    state = daemon.config.parent / "state"
    with sqlite3.connect(state / "calsyncd.db") as database:
        tables = "\n".join(database.iterdump())

    kept = "".join(daemon.raw) + tables + (state / "ledger").read_text()
    assert TITLE not in kept
    assert sandbox.aircall.api_token not in kept
    assert "PRIVATE KEY" not in kept


async def test_stop_lets_an_update_end(sandbox: Sandbox, launch: Launch) -> None:
    """SIGTERM while an update is under way: its answer is awaited and written down, and the exit is prompt."""
    sandbox.add_agent(AMY, user_id=1)
    daemon = await launch([AMY])
    await daemon.until(AMY, state="idle")
    sandbox.aircall.fail("PUT", delay=1.5)
    meeting(sandbox, AMY, -60, 3600)
    await daemon.until(AMY, state="pending")

    began = time.monotonic()
    status = await daemon.stop()
    seconds = time.monotonic() - began
    *_, last = (daemon.config.parent / "state" / "ledger").read_text().splitlines()

    assert status == 0
    assert seconds < 5
    assert '"lost_at":null' in last
    assert sandbox.aircall.setting(1).status == "unavailable"


async def test_channels_are_renewed_with_overlap(sandbox: Sandbox, launch: Launch) -> None:
    """A channel's successor opens before its end; the old one is stopped once the new one has spoken."""
    sandbox.add_agent(AMY, user_id=1)
    sandbox.google.notify.most_life = 6.0
    daemon = await launch([AMY])
    await daemon.logged("channel_opened")
    live = []
    for _ in range(110):
        await asyncio.sleep(0.1)
        live.append(len(sandbox.google.push.live(AMY)))
    meeting(sandbox, AMY, -60, 3600)
    await daemon.logged("held")

    opened = len(sandbox.google.push.channels)
    assert opened >= 3
    assert max(live) <= 2
    assert 0 not in live
    assert (await daemon.agents())[AMY]["calendars"][0]["push"] == "healthy"


async def test_wrong_clock(sandbox: Sandbox, launch: Launch) -> None:
    """A clock that is an hour slow by what both services say is corrected, and corrected back when it is right."""
    ahead = 3600.0
    sandbox.add_agent(AMY, user_id=1)
    sandbox.add_agent(BOB, user_id=2)
    meeting(sandbox, AMY, ahead - 30, ahead + 600)
    sandbox.google.clock_skew = sandbox.aircall.clock_skew = ahead
    sandbox.google.tokens._now = lambda: time.time() + sandbox.google.clock_skew

    daemon = await launch([AMY, BOB])
    await daemon.logged("clock_skewed")
    await daemon.logged("held", agent=AMY)
    corrected = sandbox.aircall.setting(1).status
    sandbox.google.clock_skew = sandbox.aircall.clock_skew = 0.0
    meeting(sandbox, BOB, ahead - 30, ahead + 600)
    await command("sync", "--config", str(daemon.config))
    await daemon.logged("clock_agrees")
    await daemon.logged("released", agent=AMY)
    await daemon.until(AMY, state="idle")
    await daemon.until(BOB, state="idle")
    before = len(sandbox.aircall.requests)
    await asyncio.sleep(3)

    assert corrected == "unavailable"
    assert (sandbox.aircall.setting(1).status, sandbox.aircall.setting(2).status) == ("available", "available")
    assert len(sandbox.aircall.requests) - before <= 2


async def test_calendar_removed_by_reload(sandbox: Sandbox, launch: Launch) -> None:
    """A calendar that the settings name no more stops counting at once."""
    team = "team@group.example.com"
    sandbox.add_agent(AMY, user_id=1)
    sandbox.google.add_calendar(team, owner=AMY)
    meeting(sandbox, team, -60, 3600)
    daemon = await launch([{"email": AMY, "calendars": ["primary", team]}])
    await daemon.until(AMY, state="held")
    assert daemon.process is not None

    settings = yaml.safe_load(daemon.config.read_text())
    settings["agents"][0]["calendars"] = ["primary"]
    daemon.config.write_text(yaml.safe_dump(settings))
    daemon.process.send_signal(signal.SIGHUP)
    await daemon.logged("released")

    assert sandbox.aircall.setting(1).status == "available"


def fill(disk: Path) -> None:
    """Leave not a byte of a small disk."""
    with contextlib.suppress(OSError), (disk / "ballast").open("ab", buffering=0) as ballast:
        while True:
            ballast.write(b"x" * 512)


async def test_full_disk(sandbox: Sandbox, launch: Launch, tiny_disk: Path) -> None:
    """On a full disk, also over a restart: whoever is held goes back, and `release --all` works."""
    sandbox.add_agent(AMY, user_id=1)
    sandbox.add_agent(BOB, user_id=2)
    meeting(sandbox, AMY, -60, 9)
    meeting(sandbox, BOB, -60, 3600)
    daemon = await launch([AMY, BOB], state_dir=str(tiny_disk))
    await daemon.until(AMY, state="held")
    await daemon.until(BOB, state="held")
    await daemon.kill()
    fill(tiny_disk)

    await daemon.start()
    # Opening the database anew has given its log's space back.
    fill(tiny_disk)
    await daemon.logged("released", agent=AMY)
    await daemon.logged("store_failed")
    _, out, _ = await command("release", "--all", "--config", str(daemon.config))

    assert [sandbox.aircall.setting(user).status for user in (1, 2)] == ["available"] * 2
    assert f"{BOB}: put back" in out


async def test_release_from_another_state_directory(sandbox: Sandbox, prepare: Callable[..., Running]) -> None:
    """Without a daemon, a state directory that never was one is refused by name instead of releasing nobody."""
    sandbox.add_agent(AMY, user_id=1)
    daemon = prepare([AMY])

    status, _, err = await command("release", "--all", "--config", str(daemon.config))

    assert status == 78
    assert str(daemon.config.parent / "state") in err
    assert not (daemon.config.parent / "state").exists()
