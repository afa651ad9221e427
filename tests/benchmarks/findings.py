"""Made-up findings of every measure, as a whole run gives them; and how a page and its picture are read."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from benchmarks.figures import Figure, Goal, Measured


def rows(page: str) -> list[list[str]]:
    """The cells of the page's table of figures, without its head."""
    _, _, table = page.partition("|  | measured |")
    lines = table.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def parsed(svg: str) -> ET.Element:
    """The root of a picture."""
    return ET.fromstring(svg)  # noqa: S314 - our own


def latency(name: str, value: float, most: float | None = None) -> Figure:
    """A time in ms, with a goal if `most` says so."""
    return Figure(name, name, value, "ms", 0.5, "a limit", Goal("value", "at most", most) if most else None)


def rate(name: str, share: float, least: float = 0.5) -> Figure:
    """A rate whose limit is 10,000 a second."""
    return Figure(name, name, 10_000 * share, "/s", 10_000, "a bare one", Goal("share", "at least", least), share)


def whole_run(*, early: float = 0.2, memory: float = 100.0) -> list[Measured]:
    """One of each; `early` and `memory` may miss their goals."""
    spread = {"calsyncd": [0.001, 0.002, 0.144], "a <limit>": [0.0002, 0.0001, -0.00001]}
    earliest = Figure("the earliest", "earliest", early, "ms", 0.1, "a limit", Goal("value", "at least", 0.0))
    return [
        Measured(
            "boundaries", "Boundary", "From *it*.", (latency("p50", 1.5, 2), latency("p99", 9, 10), earliest), spread
        ),
        Measured("notifications", "Notification", "How.", (latency("p50", 5), latency("p99", 9, 50)), spread),
        Measured("webhooks", "Webhooks", "How.", (rate("webhooks", 0.6),), notes=("A note. " * 30,)),
        Measured("writes", "Writes", "How.", (rate("1 a batch", 0.7), rate("5,000 a batch", 1.3))),
        Measured(
            "company",
            "A company",
            "How.",
            (
                Figure("memory", "memory", memory, "MB", 60, "the libraries", Goal("value", "at most", 150.0)),
                Figure("start", "start", 1.25, "s", 0.5, "the libraries", Goal("value", "at most", 3.0)),
            ),
        ),
    ]
