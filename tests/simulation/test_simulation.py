"""Weeks of a company's life, the same each time; whatever happens in them, nothing of what is promised breaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .script import Script, drawn
from .soak import REGRESSIONS, Entry, enter, entries, least_failing, next_seed, total
from .world import World, played

ROOT = Path(__file__).parents[2]
HASHED = "from tests.simulation.world import played; from tests.simulation.script import drawn; import sys\n"
IN_CI_CUT = (8, 17, 38, 71, 227, 285)
"""Small companies in which much happens, and large ones in which agent-days are lived."""

IN_CI_HTTP = (1, 3, 5, 7, 8, 10)

pytestmark = pytest.mark.filterwarnings(
    # Who is killed has opened what nobody closes, and begun what nobody awaits.
    "ignore::ResourceWarning",
    "ignore:coroutine .* was never awaited",
)


def trace_in_another_process(depth: str, hash_seed: int) -> str:
    """The hash of a run, in a process in which sets have another order."""
    code = f"{HASHED}print(played(drawn(17, {depth!r}, days=1, agents=4)).trace)"
    environ = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("depth", ["cut", "http"])
def test_one_seed_is_one_run_is_one_trace(depth: str) -> None:
    """Here twice, and in another process: each request, answer, write and line of the log, at the same instants."""
    script = drawn(17, "http" if depth == "http" else "cut", days=1, agents=4)
    first = played(script)
    assert first.trace == played(script).trace
    assert first.trace == trace_in_another_process(depth, 1)
    other = drawn(18, script.company.depth, days=1, agents=4)
    assert first.trace != played(other).trace


@pytest.mark.parametrize("seed", IN_CI_CUT)
def test_days_with_the_far_end_cut_break_nothing(seed: int) -> None:
    """`make soak` runs more of them."""
    outcome = played(drawn(seed))
    assert [str(one) for one in outcome.broken] == []
    assert outcome.checked["right"]


@pytest.mark.parametrize("seed", IN_CI_HTTP)
def test_days_through_real_sockets_break_nothing(seed: int) -> None:
    """The same through aiohttp on loopback."""
    outcome = played(drawn(seed, "http"))
    assert [str(one) for one in outcome.broken] == []
    assert outcome.checked["right"]


def test_what_is_promised_of_the_seeds_of_ci() -> None:
    """Together they are lived for so long, and hold crashes, troubles, clocks that are set, and disks that fail."""
    scripts = [drawn(seed) for seed in IN_CI_CUT] + [drawn(seed, "http") for seed in IN_CI_HTTP]
    assert sum(one.company.agents * one.company.days for one in scripts) >= 2000
    things = {action["do"] for script in scripts for action in script.actions}
    assert things >= {"crash", "stop", "reload", "settings", "keys gone", "trouble", "clock", "suspend", "disk", "post"}
    assert things >= {"channels die", "pages"}


@pytest.mark.parametrize("path", sorted(REGRESSIONS.glob("*.json")), ids=lambda path: path.stem)
def test_what_once_failed_does_not_again(path: Path) -> None:
    """Scripts that once broke something."""
    outcome = played(Script.read(path.read_text(encoding="utf-8")))
    assert [str(one) for one in outcome.broken] == []


def test_a_script_survives_its_file() -> None:
    """It is read as it was written."""
    script = drawn(3, days=1, agents=2)
    assert Script.read(script.dumped()) == Script.read(json.dumps(json.loads(script.dumped())))
    assert len(Script.read(script.dumped()).actions) == len(script.actions)


def test_a_failing_script_is_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is what it fails by, and that all becomes quiet."""
    real = World._do_choose

    def choose(world: World, action: dict[str, object]) -> None:
        real(world, action)
        if action["status"] == "custom":
            world.watch.wrong("alive", "nobody may choose this")

    monkeypatch.setattr(World, "_do_choose", choose)
    outcome = next(one for one in (played(drawn(seed, days=1, agents=8)) for seed in range(50)) if one.broken)
    assert len(outcome.script.actions) > 15
    left = [one["do"] for one in least_failing(outcome).actions if one["do"] != "calm"]
    assert left == ["choose"]


def test_runs_are_entered_once(tmp_path: Path) -> None:
    """Soaks of the same code that follow each other are one line."""
    path = tmp_path / "ledger.jsonl"
    for first, last, failed in ((1000, 1009, []), (1010, 1019, [1012])):
        enter(Entry("cut", first, last, 100.0, 5.0, list(failed), "1.0+abc", "2026-01-01"), path)
    enter(Entry("http", 1000, 1001, 10.0, 5.0, [], "1.0+abc", "2026-01-01"), path)
    joined, other = entries(path)
    assert (joined.first, joined.last, joined.failed, other.first) == (1000, 1019, [1012], 1000)
    assert (total("cut", path), total("http", path)) == (200.0, 10.0)
    assert (next_seed("cut", path), next_seed("http", path)) == (1020, 1002)
