"""Pausing by command and by API, with a real daemon: released at once, told, kept over a crash, followed again."""

from __future__ import annotations

import asyncio
import sqlite3
import time

from calsyncd.cli.common import login
from calsyncd.core.sync import rfc3339
from calsyncd.sandbox.world import Sandbox
from tests.acceptance.conftest import Launch
from tests.acceptance.running import Running, command
from tests.acceptance.test_life import AMY, BOB, meeting
from tests.acceptance.test_timelines import ask


async def both_held(sandbox: Sandbox, launch: Launch) -> Running:
    """A daemon, and two agents in a meeting of an hour."""
    for user, email in ((1, AMY), (2, BOB)):
        sandbox.add_agent(email, user_id=user)
        meeting(sandbox, email, -60, 3600)
    daemon = await launch([AMY, BOB])
    for email in (AMY, BOB):
        await daemon.until(email, state="held")
    return daemon


def window() -> str:
    """An hour ago to tomorrow, as the API takes it."""
    instants = (rfc3339(time.time() + seconds) for seconds in (-3600, 86400))
    return "from={}&to={}".format(*instants)


async def test_the_incident_switch_and_back(sandbox: Sandbox, launch: Launch) -> None:
    """One command puts everybody back and leaves them alone, also after `kill -9`; another follows them again.

    What was said of one of them before stands after it.
    """
    daemon = await both_held(sandbox, launch)
    where = ("--config", str(daemon.config))
    await command("extend", BOB, "--for", "15m", *where)
    extended = (await daemon.until(BOB, state="held"))["extended_until"]
    status, out, _ = await command("pause", "--all", "--for", "2h", "--reason", "outage", "--actor", "lena", *where)
    for email in (AMY, BOB):
        await daemon.until(email, state="paused")
    released = [sandbox.aircall.setting(user).status for user in (1, 2)]
    line = await daemon.logged("paused")
    # The history is written a moment later; the pause is on disk already.
    await asyncio.sleep(0.6)
    await daemon.kill()
    await daemon.start()
    paused = await daemon.until(AMY, state="paused")
    resumed = await command("resume", "--all", *where)
    await daemon.until(AMY, state="held")
    bob = await daemon.until(BOB, state="held")

    assert extended is not None
    assert bob["extended_until"] == extended
    assert status == 0
    assert f"{AMY}: paused until 20" in out
    assert released == ["available"] * 2
    assert (line["actor"], line["why"]) == ("lena", "outage")
    assert line["until"].endswith("Z")
    assert paused["paused_until"] == line["until"]
    assert (resumed[0], sorted(resumed[1].splitlines())) == (0, [f"{AMY}: followed again", f"{BOB}: followed again"])
    await daemon.stop()
    with sqlite3.connect(daemon.config.parent / "state" / "calsyncd.db") as db:
        rows = db.execute("SELECT outcome, actor, why FROM history WHERE agent = ? ORDER BY number", (AMY,))
        said = [row for row in rows if row[0] in ("paused", "resumed")]
    assert [row[:2] for row in said] == [("paused", "lena"), ("resumed", login())]
    assert said[0][2].endswith("Z: outage")


async def test_one_agent_and_what_cannot_be_meant(sandbox: Sandbox, launch: Launch) -> None:
    """The others are followed on; a wrong command does nothing and says so by its exit status."""
    daemon = await both_held(sandbox, launch)
    where = ("--config", str(daemon.config))

    wrong = [
        (await command("pause", *arguments, *where))[0]
        for arguments in ((), (AMY, "--all"), (AMY, "--for", "soon"), (AMY, "--for", "0s"), ("nobody@example.com",))
    ]
    untouched = [agent["state"] for agent in (await daemon.agents()).values()]
    status, out, _ = await command("pause", AMY, *where)
    await daemon.until(AMY, state="paused")
    bob = (await daemon.agents())[BOB]["state"]
    await daemon.stop()
    nobody, _, err = await command("pause", AMY, *where)

    assert wrong == [2, 2, 2, 1, 1]
    assert untouched == ["held", "held"]
    assert (status, out.startswith(f"{AMY}: paused until resumed"), bob) == (0, True, "held")
    assert (nobody, "no daemon answers" in err) == (69, True)


async def test_skipped_and_extended_over_a_crash_that_costs_the_database(sandbox: Sandbox, launch: Launch) -> None:
    """A command each; after `kill -9` and without the database both still count, until they are taken back."""
    daemon = await both_held(sandbox, launch)
    where = ("--config", str(daemon.config))

    skipped = await command("skip", AMY, "--reason", "all hands", *where)
    await daemon.until(AMY, state="idle")
    extended = await command("extend", BOB, "--for", "30m", *where)
    line = await daemon.logged("skipped")
    before = (await daemon.agents())[BOB]["extended_until"]
    await daemon.kill()
    for file in (daemon.config.parent / "state").glob("calsyncd.db*"):
        file.unlink()
    await daemon.start()
    amy = await daemon.until(AMY, state="idle")
    bob = await daemon.until(BOB, state="held")
    (event,) = (await ask(daemon, f"/api/v1/agents/{AMY}/timeline?{window()}"))["events"]
    (span, more) = (await ask(daemon, f"/api/v1/agents/{BOB}/timeline?{window()}"))["spans"]
    nothing = await command("skip", BOB, "--for", "90h", *where)
    await command("resume", AMY, *where)
    await daemon.until(AMY, state="held")

    assert (skipped[0], skipped[1].startswith(f"{AMY}: skipped ")) == (0, True)
    assert (extended[0], extended[1].startswith(f"{BOB}: unavailable until ")) == (0, True)
    assert (line["actor"], line["why"]) == (login(), "all hands")
    assert "is skipped by hand. No meeting ahead." in amy["reason"]
    assert (bob["extended_until"], len(amy["skipped"])) == (before, 1)
    assert (event["why_not"], event["rule"]) == ("skipped by hand", "skip")
    assert (more["event"], more["start"], more["end"]) == ("extension", span["end"], before)
    assert (nothing[0], "12 hours" in nothing[2]) == (1, True)
    assert sandbox.aircall.setting(1).status == "unavailable"
