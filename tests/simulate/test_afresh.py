"""An agent's calendars read afresh, from the sandbox over HTTP, by the rules of the settings."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from calsyncd.config import Settings, load
from calsyncd.errors import UserError
from calsyncd.sandbox.world import Sandbox
from calsyncd.simulate import Wish, as_text, simulated

AMY = "amy@example.com"
NOW = datetime(2026, 11, 18, 9, 30, tzinfo=UTC).timestamp()
RULES = {"ignore_titles": ["#phone"], "lead": "5m"}


def meeting(name: str, start: str, end: str, **fields: Any) -> dict[str, Any]:
    """An event of 18 November 2026, UTC."""
    times = {side: {"dateTime": f"2026-11-18T{clock}:00Z"} for side, clock in (("start", start), ("end", end))}
    return {"id": name, "summary": f"Planted {name}", **times, **fields}


@pytest.fixture
def settings(sandbox: Sandbox, tmp_path: Path) -> tuple[Settings, Path]:
    """Settings that lead to the sandbox, where Amy has four meetings, of which one is of another day."""
    for event in (
        meeting("aaaaa", "10:00", "11:00"),
        meeting("bbbbb", "14:00", "15:00", summary="Planted #Phone"),
        meeting("ccccc", "16:00", "17:00", transparency="transparent"),
        meeting("ddddd", "10:00", "11:00")
        | {
            "start": {"dateTime": "2026-11-20T10:00:00Z"},
            "end": {"dateTime": "2026-11-20T11:00:00Z"},
        },
    ):
        sandbox.google.insert(AMY, event)
    path = sandbox.write_config(tmp_path, [{"email": AMY, "rules": RULES}], extra={"rules": {"lag": "1m"}})
    return load(path, {}), path


async def text(settings: tuple[Settings, Path], **wish: Any) -> str:
    """What is printed of today."""
    asked = Wish("today", agent=AMY, zone="UTC", **wish)
    return as_text(await asyncio.to_thread(simulated, asked, lambda: settings, {}, NOW))


async def test_under_the_agents_own_rules(sandbox: Sandbox, settings: tuple[Settings, Path]) -> None:
    """Company's and agent's rules are merged; Aircall is asked nothing, and titles stay away."""
    said = await text(settings)

    assert "Wednesday, 2026-11-18, UTC (24 h): 3 events in amy@example.com, read from Google now\n" in said
    assert f"Rules: {settings[1]}, of {AMY}\n" in said
    assert "2 updates, 1 h 6 min unavailable\n  09:55-11:01" in said
    assert "ignore_titles: 1 event, 1 h\n  14:00-15:00" in said
    assert "shown as free: 1 event, 1 h\n  16:00-17:00" in said
    assert "Planted" not in said
    assert [] == sandbox.aircall.requests


async def test_beside_new_rules(settings: tuple[Settings, Path], tmp_path: Path) -> None:
    """What is in force and what is to be tried; titles are read for either, and shown when they are asked for."""
    (tmp_path / "new.yaml").write_text("only_titles: [phone]\n")

    said = await text(settings, rules=("settings", str(tmp_path / "new.yaml")), titles=True)

    lines = [line.split("  ") for line in said.splitlines()]
    assert ["10:00-11:00", "A: counts", "B: its title matches nothing that counts", "Planted aaaaa"] in [
        [cell.strip() for cell in line if cell] for line in lines
    ]


async def test_titles_that_no_rule_needs(settings: tuple[Settings, Path], tmp_path: Path) -> None:
    """Google is asked for titles only where they are shown or a rule needs them."""
    (tmp_path / "plain.yaml").write_text("{}\n")

    said = await text(settings, rules=(str(tmp_path / "plain.yaml"),), titles=True)

    assert "  10:00-11:00  Planted aaaaa\n" in said


async def test_what_google_refuses(sandbox: Sandbox, settings: tuple[Settings, Path], tmp_path: Path) -> None:
    """Its trouble is told in the words of `calsyncd status`, with what to do."""
    path = sandbox.write_config(tmp_path, [{"email": AMY, "calendars": ["primary", "gone@example.com"]}])
    refused = (load(path, {}), path)

    with pytest.raises(UserError) as raised:
        await text(refused)

    assert str(raised.value) == (
        "amy@example.com: gone@example.com: the calendar is gone or is not visible to the agent"
        " (check the calendar id in the settings; if it is right, its owner shares it with the agent again"
        " (Settings and sharing > Shared with))"
    )
    assert raised.value.exit_code == 1


async def test_nobodys_rules(settings: tuple[Settings, Path]) -> None:
    """Somebody whom the settings do not name has none there."""
    with pytest.raises(UserError, match=r"no agent has the e-mail address bob@example\.com") as raised:
        await asyncio.to_thread(simulated, Wish("today", agent="bob@example.com"), lambda: settings, {}, NOW)

    assert raised.value.exit_code == 1
