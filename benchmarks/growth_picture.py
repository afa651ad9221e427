"""How fast figures grow with the number of agents: numbers, and an SVG that reads in light and in dark."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from xml.sax.saxutils import escape

from benchmarks.figures import Measured

Growth = Mapping[str, Mapping[int, float]]
WIDTH, HEIGHT = 880, 430
LEFT, RIGHT, TOP, BOTTOM = 60.0, 190.0, 44.0, 50.0
LINE = 18.0
LEAST = 1e-9
COLOURS = ("#0969da", "#8250df", "#1a7f37", "#bf3989", "#9a6700", "#0a7ea4", "#57606a", "#cf222e")
LIMIT = "#bc4c00"

STYLE = """
text { font: 12px -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; fill: #59636e; }
.title { font-size: 14px; font-weight: 600; fill: #1f2328; }
.grid { stroke: #d1d9e0; stroke-width: 1; fill: none; }
.limit { stroke-width: 2; stroke-dasharray: 5 4; fill: none; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
.leader { fill: none; stroke-width: 1; }
@media (prefers-color-scheme: dark) {
text { fill: #9198a1; } .title { fill: #f0f6fc; } .grid { stroke: #3d444d; }
.curve, .limit, .leader { filter: brightness(1.5); }
}
"""


def together(measured: Iterable[Measured]) -> Growth:
    """All that grows, of all that was measured."""
    return {name: values for one in measured for name, values in one.growth.items()}


def power(values: Mapping[int, float]) -> float:
    """The power of the number of agents with which a figure grows between the two largest companies."""
    (fewer, less), (more, most) = sorted(values.items())[-2:]
    return math.log(max(most, LEAST) / max(less, LEAST)) / math.log(more / fewer)


def fitted(values: Mapping[int, float]) -> float:
    """The same over companies of all sizes: the slope of the line through the logarithms."""
    points = [(math.log(agents), math.log(max(value, LEAST))) for agents, value in values.items()]
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def in_words(growth: Growth) -> str:
    """What the picture shows, for who does not see it."""
    told = (
        f"{name.rpartition(', ')[0]} with n to the power of {fitted(values):.2f}" for name, values in growth.items()
    )
    return f"How figures grow with the number of agents n: {'; '.join(told)}."


def draw(growth: Growth) -> str:
    """Each figure as a multiple of what it is in the smallest company; both axes are logarithmic."""
    sizes = sorted({agents for values in growth.values() for agents in values})
    first, last = sizes[0], sizes[-1]
    limit = {agents: agents * math.log(agents) / (first * math.log(first)) for agents in sizes}
    parts = {
        name: {at: max(one, LEAST) / max(values[first], LEAST) for at, one in values.items()}
        for name, values in growth.items()
    }
    high = max(limit[last], *(one for values in parts.values() for one in values.values()))
    low = min(1.0, *(one for values in parts.values() for one in values.values()))

    def x(agents: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(agents / first) / math.log(last / first)

    def y(part: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * math.log(part / low) / math.log(high / low)

    def path(values: Mapping[int, float]) -> str:
        return "M" + "L".join(f"{x(agents):.1f} {y(part):.1f}" for agents, part in sorted(values.items()))

    lines = [_text(0, 18, "Growth with the number of agents, beside n log n", "title")]
    for agents in sizes:
        lines.append(f'<path class="grid" d="M{x(agents):.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        lines.append(_text(x(agents), HEIGHT - BOTTOM + 18, f"{agents:,}", anchor="middle"))
    for decade in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1):
        lines.append(f'<path class="grid" d="M{LEFT} {y(10.0**decade):.1f}H{WIDTH - RIGHT}"/>')
        lines.append(_text(LEFT - 6, y(10.0**decade) + 4, f"{10.0**decade:g} times", anchor="end"))
    lines.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "agents", anchor="middle"))
    lines.append(f'<path class="limit" stroke="{LIMIT}" d="{path(limit)}"/>')
    ends = [(y(limit[last]), "n log n", LIMIT)]
    for colour, (name, values) in zip(itertools.cycle(COLOURS), parts.items()):
        lines.append(f'<path class="curve" stroke="{colour}" d="{path(values)}"/>')
        ends.append((y(values[last]), f"{name.rpartition(', ')[0]}, n^{fitted(growth[name]):.2f}", colour))
    ends.sort()
    edge = WIDTH - RIGHT
    for at, (end, told, colour) in zip(_apart([end for end, *_ in ends]), ends, strict=True):
        lines.append(f'<path class="leader" stroke="{colour}" d="M{edge:.1f} {end:.1f}L{edge + 18:.1f} {at:.1f}"/>')
        lines.append(_text(edge + 24, at + 4, told))
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"',
            f'width="{WIDTH}" height="{HEIGHT}" aria-labelledby="title description">',
            '<title id="title">How figures grow with the number of agents</title>',
            f'<desc id="description">{escape(in_words(growth))}</desc>',
            f"<style>{STYLE}</style>",
            *lines,
            "</svg>",
            "",
        )
    )


def _apart(heights: Sequence[float]) -> list[float]:
    """These heights, which rise, as near to themselves as they can be with room for a line of text each."""
    apart: list[float] = []
    for height in heights:
        apart.append(max(height, apart[-1] + LINE) if apart else height)
    low = HEIGHT - BOTTOM
    for number in reversed(range(len(apart))):
        apart[number] = min(apart[number], low)
        low = apart[number] - LINE
    return apart


def _text(x: float, y: float, text: str, kind: str = "", *, anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
