"""What docs/living.md says: backup and restore, word by word; Litestream; several companies on one host."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.conftest import Launch
from tests.acceptance.newuser import ROOT
from tests.acceptance.running import Running, free_port
from tests.acceptance.test_life import AMY, BOB, meeting, statuses

PAGE = (ROOT / "docs" / "living.md").read_text(encoding="utf-8")
CAROL = "carol@example.com"


def block(heading: str, number: int = 0) -> str:
    """The commands that stand under a heading of the page."""
    _, found, rest = PAGE.partition(f"\n## {heading}\n")
    assert found, heading
    return str(re.findall(r"```sh\n(.*?)```", rest.split("\n## ")[0], re.DOTALL)[number])


async def follow(commands: str, daemon: Running, root: Path, environ: Mapping[str, str] = os.environ) -> str:
    """Run these commands as somebody would whose machine is `root`; what they print."""
    said = ""
    bin_folder = root / "bin"
    bin_folder.mkdir(exist_ok=True)
    program = bin_folder / "calsyncd"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m calsyncd "$@"\n')
    program.chmod(0o700)
    environ = {**environ, "PATH": f"{bin_folder}:{environ['PATH']}", "CALSYNCD_CONFIG": str(daemon.config)}
    for line in commands.splitlines():
        if line in ("systemctl stop calsyncd", "systemctl disable --now calsyncd"):
            if daemon.process is not None and daemon.process.returncode is None:
                await daemon.stop()
        elif line == "systemctl disable --now calsyncd-release.timer":
            continue
        elif line == "systemctl start calsyncd":
            await daemon.start()
        else:
            process = await asyncio.create_subprocess_exec(
                *("sh", "-euc", re.sub(r"/(var|etc)/", rf"{root}/\1/", line)),
                env=environ,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            out, _ = await process.communicate()
            said += out.decode()
            assert process.returncode == 0, f"{line}\n{said}"
    return said


def moved(daemon: Running, folder: Path, **server: str) -> Running:
    """The same company with another state directory, as on another host."""
    settings = yaml.safe_load(daemon.config.read_text())
    settings["state_dir"] = str(folder)
    settings["server"] |= server
    config = daemon.config.with_name("moved.yaml")
    config.write_text(yaml.safe_dump(settings))
    return Running(config, daemon.admin)


async def test_the_drill(sandbox: Sandbox, launch: Launch, tmp_path: Path) -> None:
    """Held at the backup; the machine is lost; restored on another, all are right, and no channel is twice or gone.

    Amy's meeting has ended meanwhile, Bob's goes on, Carol made herself available during hers.
    """
    ends = {}
    for user, email, status in ((1, AMY, "custom"), (2, BOB, "available"), (3, CAROL, "available")):
        sandbox.add_agent(email, user_id=user, status=status)
        ends[email] = meeting(sandbox, email, -60, 3600)
    old = await launch([AMY, BOB, CAROL], state_dir=str(tmp_path / "var/lib/calsyncd"))
    for email in (AMY, BOB, CAROL):
        await old.until(email, state="held")
        await old.logged("channel_opened", calendar=f"{email}/primary")
    await sandbox.settle()
    await asyncio.sleep(0.5)
    channels = {channel.id for channel in sandbox.google.push.live()}

    (tmp_path / "var/backups").mkdir()
    said = await follow(block("Backup"), old, tmp_path)
    assert "3 agents held" in said
    assert "read back and in order" in said
    await old.kill()
    for gone in (tmp_path / "var/lib/calsyncd", tmp_path / "var/lib/calsyncd-key"):
        shutil.rmtree(gone, ignore_errors=True)
    sandbox.google.delete(AMY, ends[AMY])
    sandbox.aircall.set_by_hand(3, "available")

    new = moved(old, tmp_path / "var/lib/calsyncd")
    said = await follow(block("Restore"), new, tmp_path)
    try:
        assert "restored from the backup of 20" in said
        await new.until(AMY, state="idle")
        await new.until(BOB, state="held")
        await new.until(CAROL, state="overridden", within=40)
        assert [status for _, status in statuses(sandbox, 1)] == ["unavailable", "custom"]
        assert [status for _, status in statuses(sandbox, 2)] == ["unavailable"]
        assert statuses(sandbox, 3)[-1] == ("hand", "available")
        await sandbox.settle()
        assert {channel.id for channel in sandbox.google.push.live()} == channels
        meeting(sandbox, AMY, -5, 3600)
        await new.until(AMY, state="held")
        await back_and_out(sandbox, new, tmp_path)
    finally:
        await new.stop()


async def back_and_out(sandbox: Sandbox, daemon: Running, root: Path) -> None:
    """From a newer calsyncd's database back to ours, and away altogether; nobody is stranded by either."""
    await daemon.stop()
    with contextlib.closing(sqlite3.connect(root / "var/lib/calsyncd/calsyncd.db")) as db:
        db.execute("PRAGMA user_version = 99")
    await follow(block("Going back"), daemon, root)
    for email in (AMY, BOB):
        await daemon.until(email, state="held")
    assert [status for _, status in statuses(sandbox, 2)] == ["unavailable"]

    said = await follow(block("Taking it away"), daemon, root)
    assert f"{AMY}: put back" in said
    assert [sandbox.aircall.setting(user).status for user in (1, 2, 3)] == ["custom", "available", "available"]
    assert not sandbox.aircall.webhooks.by_id


async def test_litestream(sandbox: Sandbox, launch: Launch, tmp_path: Path) -> None:
    """The machine is lost with its ledger; from Litestream's copy of the database everybody comes right."""
    litestream = shutil.which("litestream", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if litestream is None:
        pytest.skip("LITESTREAM IS NOT TESTED: it is not installed")
    for user, email, status in ((1, AMY, "custom"), (2, BOB, "available")):
        sandbox.add_agent(email, user_id=user, status=status)
    state, etc = tmp_path / "var/lib/calsyncd", tmp_path / "etc/calsyncd"
    for folder in (tmp_path / "var/backups", etc):
        folder.mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "litestream.yml", etc)
    environ = {**os.environ, "CALSYNCD_STATE": str(state), "CALSYNCD_REPLICA": str(tmp_path / "replica")}
    daemon = await launch([AMY, BOB], state_dir=str(state))
    copying = await asyncio.create_subprocess_exec(
        *(litestream, "replicate", "-config", str(etc / "litestream.yml")),
        env=environ,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        for email in (AMY, BOB):
            await daemon.logged("channel_opened", calendar=f"{email}/primary")
        await follow(block("Backup"), daemon, tmp_path)
        ended = meeting(sandbox, AMY, -60, 3600)
        meeting(sandbox, BOB, -60, 3600)
        for email in (AMY, BOB):
            await daemon.until(email, state="held")
        await sandbox.settle()
        channels = {channel.id for channel in sandbox.google.push.live()}
        await asyncio.sleep(2.0)
        await daemon.kill()
    finally:
        copying.send_signal(signal.SIGKILL)
        await copying.wait()
    shutil.rmtree(state)
    sandbox.google.delete(AMY, ended)

    new = moved(daemon, state)
    await follow(
        block("Litestream"),
        new,
        tmp_path,
        environ={**environ, "PATH": f"{Path(litestream).parent}:{os.environ['PATH']}"},
    )
    try:
        await new.until(BOB, state="held", within=60)
        async with asyncio.timeout(30):
            while sandbox.aircall.setting(1).status != "custom":
                await asyncio.sleep(0.1)
        await new.until(AMY, state="idle")
        await sandbox.settle()

        assert [status for _, status in statuses(sandbox, 1)] == ["unavailable", "custom"]
        assert [status for _, status in statuses(sandbox, 2)] == ["unavailable"]
        assert {channel.id for channel in sandbox.google.push.live()} == channels
    finally:
        await new.stop()


async def test_two_companies_on_one_host(sandbox: Sandbox, launch: Launch, tmp_path: Path) -> None:
    """Each has its settings, ports and state: what happens to the one does not touch the other, nor does old age."""
    async with Sandbox() as theirs:
        for world in (sandbox, theirs):
            world.add_agent(AMY, user_id=1)
            meeting(world, AMY, -60, 3600)
        ours = await launch([AMY])
        folder = tmp_path / "theirs"
        folder.mkdir()
        admin = free_port()
        config = theirs.write_config(
            folder, [AMY], listen=f"127.0.0.1:{free_port()}", admin_listen=f"127.0.0.1:{admin}"
        )
        other = Running(config, f"http://127.0.0.1:{admin}")
        await other.start()
        try:
            for daemon in (ours, other):
                await daemon.until(AMY, state="held")
            await other.kill()
            assert (await ours.agents())[AMY]["state"] == "held"
            ledger = folder / "state" / "ledger"
            ledger.write_bytes(b"".join(_old_line(number) for number in range(3)) + ledger.read_bytes())
            with contextlib.closing(sqlite3.connect(folder / "state" / "calsyncd.db", isolation_level=None)) as db:
                db.execute("INSERT INTO history (at, agent, outcome, why, actor) VALUES (1, ?, 'seen', '', '')", (BOB,))
            await other.start()
            await other.until(AMY, state="held")
            # What is older than history.keep goes, from both.
            async with asyncio.timeout(10):
                while BOB.encode() in ledger.read_bytes() or (await other.get(f"history?agent={BOB}")).get("history"):
                    await asyncio.sleep(0.05)
            assert [status for _, status in statuses(sandbox, 1)] == ["unavailable"]
            assert [status for _, status in statuses(theirs, 1)] == ["unavailable"]
        finally:
            await other.stop()


def _old_line(at: int) -> bytes:
    """A line of the ledger that counts no more, of an agent who was there in 1970."""
    body = json.dumps({"user": 99, "email": BOB, "at": at, "stance": {"is": "free"}}).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)
