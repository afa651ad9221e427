"""`make bench` from end to end, with few samples: what it finds means nothing, that it finds it does."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.benchmarks.findings import parsed, rows

pytestmark = pytest.mark.alone
ROOT = Path(__file__).parent.parent.parent


def bench(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The bench as a process; it writes into `folder` only."""
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "benchmarks",
            "--quick",
            "--docs",
            folder / "docs",
            "--disk",
            folder / "disk",
            *arguments,
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def named(page: str) -> list[str]:
    """The first column of the page's table of figures, each once for all numbers of agents."""
    return list(dict.fromkeys(re.sub(r"of [\d,]+ agents", "of agents", row[0]) for row in rows(page)))


@pytest.mark.timeout(240)
def test_every_measure_finds_its_figures(tmp_path: Path) -> None:
    """Each figure of the manual is measured, nothing is left behind, and the status says whether a goal is missed."""
    with bench(tmp_path) as process:
        output, _ = process.communicate()

    print(output)
    page = (tmp_path / "docs" / "performance.md").read_text(encoding="utf-8")
    parsed((tmp_path / "docs" / "performance.svg").read_text(encoding="utf-8"))
    assert named(page) == named((ROOT / "docs" / "performance.md").read_text(encoding="utf-8"))
    assert process.returncode == (1 if "The goal is missed" in output else 0)
    assert list((tmp_path / "disk").iterdir()) == []
    assert "nan" not in page


def test_one_measure_alone_writes_no_page(tmp_path: Path) -> None:
    """`--only` prints its table and nothing else."""
    with bench(tmp_path, "--only", "writes") as process:
        output, _ = process.communicate()

    assert "5,000 events a batch" in output
    assert "Boundary" not in output
    assert not (tmp_path / "docs").exists()


def test_told_to_end_it_leaves_nothing(tmp_path: Path) -> None:
    """Neither a daemon nor a folder, in the middle of a measure."""
    with bench(tmp_path, "--only", "boundaries") as process:
        locks: list[Path] = []
        until = time.monotonic() + 30
        while not (locks and list(locks[0].parent.glob("ledger"))) and time.monotonic() < until:
            locks = list((tmp_path / "disk").glob("bench-*/state/lock"))
            time.sleep(0.05)
        daemon = int(locks[0].read_text())
        process.terminate()
        process.communicate()

    assert process.returncode != 0
    assert list((tmp_path / "disk").iterdir()) == []
    assert not Path(f"/proc/{daemon}").exists()
