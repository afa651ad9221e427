"""A meeting as the commands tell of it afterwards."""

from __future__ import annotations

import asyncio
import csv
import json

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.conftest import Launch
from tests.acceptance.running import command
from tests.acceptance.test_life import AMY, BOB, TITLE, meeting


async def test_a_meeting_is_told_in_every_way(sandbox: Sandbox, launch: Launch) -> None:
    """As a table, as JSON lines, as intervals and as a day; never with its title."""
    for user, email in ((1, AMY), (2, BOB)):
        sandbox.add_agent(email, user_id=user, zone="Europe/Paris")
    meeting(sandbox, AMY, -60, 3600)
    daemon = await launch([AMY, BOB])
    await daemon.until(AMY, state="held")
    where = ("--config", str(daemon.config))

    table, records, intervals, day, unknown, wrong = await asyncio.gather(
        command("history", *where),
        command("history", AMY, "--json", "--since", "2h", "--outcome", "done", *where),
        command("history", "--csv", "--since", "yesterday", *where),
        command("timeline", AMY, *where),
        command("history", "nobody@example.com", *where),
        command("history", "--since", "soon", *where),
    )

    assert [one[0] for one in (table, records, intervals, day, unknown, wrong)] == [0, 0, 0, 0, 1, 2]
    assert "available → unavailable  done" in table[1]
    (record,) = map(json.loads, records[1].splitlines())
    assert (record["agent"], record["from"], record["to"], record["actor"]) == (
        AMY,
        "available",
        "unavailable",
        "calsyncd",
    )
    heading, *rows = csv.reader(intervals[1].splitlines())
    assert heading == ["agent", "from", "to", "state", "reason"]
    assert [(row[0], row[3], row[4]) for row in rows] == [
        (AMY, "available", "seen for the first time"),
        (AMY, "unavailable", "a meeting"),
        (BOB, "available", "seen for the first time"),
    ]
    assert rows[0][2] == rows[1][1]
    assert all(row[1][-6:] in {"+01:00", "+02:00"} for row in rows)
    assert "Europe/Paris" in day[1].splitlines()[0]
    assert "unavailable  by calsyncd: a meeting" in day[1]
    assert "there is no agent nobody@example.com" in unknown[2]
    assert "expected a time such as" in wrong[2]
    assert not any(TITLE in text for told in (table, records, intervals, day) for text in told[1:])
