"""Growth and flame graphs, from made-up findings; a quiet day, from the daemon's own rooms."""

from __future__ import annotations

import itertools
import math

import pytest

from benchmarks import growth_picture, quiet_day
from benchmarks.flame import costs, draw, tree
from benchmarks.growth_picture import fitted, power
from benchmarks.metrics import Lags
from tests.benchmarks.findings import parsed

SVG = "{http://www.w3.org/2000/svg}"
SQUARE = {100: 1.0, 1000: 100.0, 10_000: 10_000.0}
FLAT = {100: 2.0, 1000: 2.0, 10_000: 2.0}


def test_the_power_of_a_growth() -> None:
    """What is in proportion to n squared has 2, what stays has 0; n log n is where the goal says."""
    assert fitted(SQUARE) == power(SQUARE) == pytest.approx(2.0)
    assert fitted(FLAT) == power(FLAT) == pytest.approx(0.0)
    assert power({n: n * math.log(n) for n in (100, 1000, 10_000)}) == pytest.approx(1.125, abs=0.001)
    # What is the same for all hides less of it at the end.
    assert power({100: 50.01, 1000: 51.0, 10_000: 150.0}) > fitted({100: 50.01, 1000: 51.0, 10_000: 150.0})


def test_the_picture_of_growth_is_whole() -> None:
    """Well-formed and described, a curve for each figure and one for n log n, within its frame."""
    root = parsed(growth_picture.draw({"memory, MB": FLAT, "a <square>, s": SQUARE}))

    _, _, width, height = map(float, root.attrib["viewBox"].split())
    assert "a <square> with n to the power of 2.00" in str(root.findtext(f"{SVG}desc"))
    curves = [one.attrib["d"] for one in root.iter(f"{SVG}path") if one.attrib["class"] in ("curve", "limit")]
    for curve in (one for one in curves if "L" in one):
        for point in curve.removeprefix("M").split("L"):
            x, y = map(float, point.split())
            assert 0 <= x <= width
            assert 0 <= y <= height
    assert sum("L" in curve for curve in curves) == 3


def test_names_in_the_picture_of_growth_do_not_cover_each_other() -> None:
    """Each stands at the end of its curve, or as near as there is room."""
    root = parsed(growth_picture.draw(dict.fromkeys(("one, s", "two, s", "three, s"), FLAT) | {"four, s": SQUARE}))

    texts = {str(one.text): float(one.attrib["y"]) for one in root.iter(f"{SVG}text")}
    heights = sorted(texts[name] for name in ("one, n^0.00", "two, n^0.00", "three, n^0.00", "four, n^2.00", "n log n"))
    assert min(after - before for before, after in itertools.pairwise(heights)) >= 12.0
    assert heights[-1] <= float(root.attrib["viewBox"].split()[-1])
    assert texts["four, n^2.00"] == heights[0]


def test_a_flame_graph_leaves_idleness_out() -> None:
    """Threads that wait are no cost; lines of one function are one frame."""
    folded = [
        "run (calsyncd/daemon.py:3);build (calsyncd/core/timeline.py:10) 30",
        "run (calsyncd/daemon.py:3);build (calsyncd/core/timeline.py:12);<listcomp> (other.py:1) 10",
        "run (calsyncd/daemon.py:4);select (selectors.py:468) 500",
        "run (calsyncd/daemon.py:4);EpollSelector.select (selectors.py:468) 500",
    ]

    root = tree(folded)
    svg = parsed(draw(root, "A title"))

    assert root.samples == 40
    assert costs(folded) == [("build (calsyncd/core/timeline.py)", 40), ("run (calsyncd/daemon.py)", 40)]
    widths = [float(one.attrib["width"]) for one in svg.iter(f"{SVG}rect")]
    assert widths == [1200.0, 1200.0, 300.0]


def test_the_bound_of_a_part() -> None:
    """Of a histogram's buckets the first that holds the part."""
    before = Lags({0.001: 5.0, 0.01: 5.0}, 0.002)
    after = Lags({0.001: 100.0, 0.01: 104.0, float("inf"): 105.0}, 0.202)

    assert after.less(before).bound(0.9) == 0.001
    assert after.bound(0.99) == 0.01
    assert after.bound(1.0) == float("inf")
    assert after.less(before).mean == pytest.approx(0.2 / 105)
    assert before.less(before).mean == 0.0


def test_a_quiet_day_is_polled_every_five_minutes() -> None:
    """Ten calendars behind healthy push: twelve deltas an hour each, and hardly anything else."""
    found = quiet_day.requests(10, 4 * 3600.0)

    assert 450 <= found["deltas"] <= 500
    assert found["baselines"] + found["channels"] <= 12
