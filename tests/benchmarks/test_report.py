"""The page and its picture."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import picture, report
from benchmarks.figures import Figure
from tests.benchmarks.findings import parsed, rows, whole_run

ROOT = Path(__file__).parent.parent.parent
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("value", "unit", "wanted"),
    [
        (0.3124, "ms", "0.31 ms"),
        (12.345, "ms", "12.3 ms"),
        (1234.5, "ms", "1,234 ms"),
        (-0.5, "ms", "-0.50 ms"),
        (98.6, "MB", "99 MB"),
        (213_456.7, "/s", "213,457/s"),
        (1.2, "s", "1.20 s"),
    ],
)
def test_numbers_have_about_three_digits(value: float, unit: str, wanted: str) -> None:
    """More would be noise."""
    assert report.spelt(value, unit) == wanted


def test_the_page_has_every_figure_beside_its_limit() -> None:
    """With its goal and whether it is reached; each measure is explained below."""
    measured = whole_run(memory=151.0)

    page = report.page(measured, {"processor": "a | b"}, "2026-11-21", "in words")

    found = rows(page)
    assert [row[0] for row in found] == [
        name for one in measured for name in (f"**{one.title}**", *(figure.name for figure in one.figures))
    ]
    assert ["memory", "151 MB", "60 MB, the libraries", "2.52", "≤ 150 MB", "no"] in found
    assert ["webhooks", "6,000/s", "10,000/s, a bare one", "0.60", "share ≥ 0.5", "yes"] in found
    assert "| processor | a / b |" in page
    assert "![in words](performance.svg)" in page
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert headings == [*(one.title for one in measured), "The largest costs, removed"]
    assert max(map(len, page.split("\n## ", 1)[1].splitlines())) <= 120


def test_what_is_missed_is_named() -> None:
    """A request before its boundary, memory above its bound."""
    assert report.missed(whole_run()) == []
    assert report.missed(whole_run(early=-0.1, memory=151.0)) == ["Boundary: the earliest", "A company: memory"]


def test_the_terminal_has_room() -> None:
    """Every figure in one line of eighty columns, with a word on its goal."""
    console = Console(width=80, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as captured:
        for one in whole_run():
            report.on_terminal(one, console)

    lines = captured.get().splitlines()
    for figure in [figure for one in whole_run() for figure in one.figures]:
        assert [line for line in lines if line.startswith(f"{figure.name} ") and _says(line, figure)]


def _says(line: str, figure: Figure) -> bool:
    return report.spelt(figure.value, figure.unit) in line and report.goal_of(figure) in line


def test_the_picture_is_whole() -> None:
    """Well-formed, named and described, everything within its frame, whatever the samples are."""
    root = parsed(picture.draw(whole_run(early=-3.0)))

    _, _, width, height = map(float, root.attrib["viewBox"].split())
    described = (root.findtext(f"{SVG}title"), root.findtext(f"{SVG}desc"))
    assert root.attrib["aria-labelledby"] == "title description"
    assert described[0]
    assert "p99 9.00 ms beside 0.50 ms" in str(described[1])
    assert "prefers-color-scheme: dark" in str(root.findtext(f"{SVG}style"))
    for element in root.iter():
        for name, bound in (("x", width), ("x1", width), ("x2", width), ("y", height), ("y1", height), ("y2", height)):
            assert 0 <= float(element.attrib.get(name, 0)) <= bound
        if element.tag == f"{SVG}rect":
            assert float(element.attrib["x"]) + float(element.attrib["width"]) <= width
        for value in re.findall(r"[MH](-?[\d.]+)", element.attrib.get("d", "")):
            assert 0 <= float(value) <= width
    texts = {element.text for element in root.iter(f"{SVG}text")}
    assert {"Boundary", "a <limit>", "goal: p99 ≤ 10 ms", "0.60", "1.30", "100 MB of 150"} <= texts


def test_a_curve_reaches_from_none_to_all() -> None:
    """Each kind of sample has one, ending at the right edge at a hundred per cent."""
    root = parsed(picture.draw(whole_run()))

    curves = [element.attrib["d"] for element in root.iter(f"{SVG}path") if "curve" in element.attrib["class"]]
    assert len(curves) == 4
    for curve in curves:
        heights = [float(value) for value in re.findall(r"V(-?[\d.]+)", curve)]
        assert heights == sorted(heights, reverse=True)
        assert heights[-1] == picture.PLOT_TOP


def test_the_manual_is_what_a_run_writes() -> None:
    """docs/performance.md and its picture are of a whole run, with every goal."""
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    root = parsed((ROOT / "docs" / "performance.svg").read_text(encoding="utf-8"))

    found = rows(page)
    assert page.startswith("<!-- Written by `make bench`")
    assert "A company of 1,000 agents" in page
    assert {row[4] for row in found} - {""} == {
        *("≤ 2 ms", "≤ 10 ms", "≥ 0 ms", "≤ 50 ms", "share ≥ 0.6", "share ≥ 0.7", "≤ 150 MB", "≤ 3 s"),
        *("≤ 350 MB", "≤ 5 s", "≤ 100 ms", "≤ 1000 ms", "≤ 1.125", "≤ 31000", "≤ 500000", "≤ 7"),
    }
    assert str(root.findtext(f"{SVG}desc")) in page
    grown = parsed((ROOT / "docs" / "growth.svg").read_text(encoding="utf-8"))
    assert str(grown.findtext(f"{SVG}desc")) in page
