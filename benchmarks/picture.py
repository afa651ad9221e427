"""The figures as a picture: an SVG that reads in light and in dark, drawn by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from benchmarks.figures import Figure, Measured
from benchmarks.report import spelt

Height = Callable[[float], float]
WIDTH, HEIGHT = 880, 580
PANEL_WIDTH = 420
PLOT_TOP, PLOT_HEIGHT = 66.0, 200.0
BARS_TOP = 340.0
NAMES_WIDTH = 100
STEPS = (1, 2, 5)
LETTER_WIDTH = 6

STYLE = """
text { font: 12px -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; fill: #59636e; }
.title { font-size: 14px; font-weight: 600; fill: #1f2328; }
.value { fill: #1f2328; }
.grid { stroke: #d1d9e0; stroke-width: 1; fill: none; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
.ours { stroke: #0969da; } .limit { stroke: #bc4c00; } .least { stroke: #818b98; }
.bar { fill: #0969da; } .rest { fill: #d1d9e0; opacity: .5; }
.mark { stroke: #bc4c00; stroke-width: 2; } .goal { fill: #1a7f37; stroke: #ffffff; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
text { fill: #9198a1; } .title, .value { fill: #f0f6fc; } .grid { stroke: #3d444d; } .rest { fill: #3d444d; }
.ours { stroke: #4493f8; } .bar { fill: #4493f8; } .limit { stroke: #f0883e; } .least { stroke: #9198a1; }
.mark { stroke: #f0883e; } .goal { fill: #3fb950; stroke: #0d1117; }
}
"""


def draw(measured: Sequence[Measured]) -> str:
    """The picture of a whole run."""
    by_name = {one.name: one for one in measured}
    parts = [
        *_curves(by_name["boundaries"], 0),
        *_curves(by_name["notifications"], WIDTH - PANEL_WIDTH),
        *_shares([*by_name["webhooks"].figures, *by_name["writes"].figures], 0),
        *_allowed(by_name["company"], WIDTH - PANEL_WIDTH),
    ]
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"',
            f'width="{WIDTH}" height="{HEIGHT}" aria-labelledby="title description">',
            '<title id="title">The figures of calsyncd beside their limits</title>',
            f'<desc id="description">{escape(in_words(measured))}</desc>',
            f"<style>{STYLE}</style>",
            *parts,
            "</svg>",
            "",
        )
    )


def in_words(measured: Sequence[Measured]) -> str:
    """What the picture shows, for who does not see it."""
    sentences = []
    for one in measured:
        figures = [
            f"{figure.name} {spelt(figure.value, figure.unit)} beside {spelt(figure.limit, figure.unit)}"
            for figure in one.figures
            if figure.goal is not None
        ]
        sentences.append(f"{one.title}: {', '.join(figures)}.")
    return " ".join(sentences)


# -- how samples are spread ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Axis:
    """Milliseconds on a logarithmic axis between two places."""

    low: float
    high: float
    left: float
    right: float

    def at(self, value: float) -> float:
        """The place of a value; what lies beyond the axis stands at its end."""
        inside = min(max(value, self.low), self.high)
        return self.left + (self.right - self.left) * math.log(inside / self.low) / math.log(self.high / self.low)

    @classmethod
    def around(cls, values: Iterable[float], left: float, right: float) -> _Axis:
        """An axis that begins and ends with a round number."""
        positive = [value for value in values if value > 0] or [1.0]
        return cls(_round(min(positive), up=False), _round(max(positive), up=True), left, right)

    @property
    def ticks(self) -> list[float]:
        """The round numbers on it: 1, 2 and 5 of each decade, or 1 alone where there are many."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = STEPS if self.high / self.low < 2000 else STEPS[:1]
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        return [tick for tick in ticks if self.low * 0.999 <= tick <= self.high * 1.001]


def _round(value: float, *, up: bool) -> float:
    """The next 1, 2 or 5 of a decade."""
    decade = 10.0 ** math.floor(math.log10(value))
    around = [step * decade for step in (*STEPS, 10)]
    return next(one for one in around if one >= value) if up else max(one for one in around if one <= value)


def _curves(measured: Measured, left: float) -> list[str]:
    """For each kind of sample, which part of them was not later than so many milliseconds."""
    goals = [figure for figure in measured.figures if figure.goal is not None and figure.name.startswith("p")]
    samples = {name: sorted(one * 1e3 for one in found) for name, found in measured.samples.items()}
    bounds = [figure.goal.bound for figure in goals if figure.goal is not None]
    every = [value for found in samples.values() for value in found]
    axis = _Axis.around([*every, *bounds], left + 44, left + PANEL_WIDTH - 16)
    top, bottom = PLOT_TOP, PLOT_TOP + PLOT_HEIGHT
    legend = left

    def height(part: float) -> float:
        return bottom - (bottom - top) * part

    lines = [_text(left, 18, measured.title, "title")]
    for percent in (0, 50, 100):
        lines.append(_line(axis.left, height(percent / 100), axis.right, height(percent / 100), "grid"))
        lines.append(_text(axis.left - 6, height(percent / 100) + 4, f"{percent} %", anchor="end"))
    for tick in axis.ticks:
        lines.append(_line(axis.at(tick), bottom, axis.at(tick), bottom + 4, "grid"))
        lines.append(_text(axis.at(tick), bottom + 18, f"{tick:g}", anchor="middle"))
    lines.append(_text(axis.right, bottom + 34, "not later than, in ms", anchor="end"))
    for (name, found), kind in zip(samples.items(), ("ours", "limit", "least"), strict=False):
        lines.append(f'<path class="curve {kind}" d="{_steps(found, axis, height)}"/>')
        lines.append(_line(legend, 34, legend + 16, 34, f"curve {kind}"))
        lines.append(_text(legend + 21, 38, name))
        legend += 38 + LETTER_WIDTH * len(name)
    for figure in goals:
        assert figure.goal is not None  # noqa: S101 - only those with goals are here
        x, y = axis.at(figure.goal.bound), height(int(figure.name[1:]) / 100)
        lines.append(_diamond(x, y))
        right = x < axis.right - 80
        label = f"goal: {figure.name} ≤ {figure.goal.bound:g} ms"
        lines.append(_text(x + 9 if right else x - 9, y - 7, label, anchor="start" if right else "end"))
    return lines


def _steps(found: Sequence[float], axis: _Axis, height: Height) -> str:
    path = [f"M{axis.at(found[0]):.1f} {height(0):.1f}"]
    for number, value in enumerate(found, 1):
        path.append(f"H{axis.at(value):.1f}V{height(number / len(found)):.1f}")
    return "".join([*path, f"H{axis.right:.1f}"])


# -- bars ---------------------------------------------------------------------------------------------------------


def _shares(figures: Sequence[Figure], left: float) -> list[str]:
    """Rates as a share of their limits."""
    rates = [figure for figure in figures if figure.goal is not None and figure.goal.of == "share"]
    begin = left + NAMES_WIDTH
    scale = (PANEL_WIDTH - NAMES_WIDTH - 60) / max(1.0, *(figure.share for figure in rates))
    lines = [_text(left, BARS_TOP, "Rates, as a share of the limit", "title")]
    for number, figure in enumerate(rates):
        assert figure.goal is not None  # noqa: S101 - only those with goals are here
        y = BARS_TOP + 20 + 30 * number
        lines += [
            _text(begin - 8, y + 13, figure.short, anchor="end"),
            _bar(begin, y, scale, "rest"),
            _bar(begin, y, figure.share * scale, "bar"),
            _line(begin + scale, y - 3, begin + scale, y + 21, "mark"),
            _diamond(begin + figure.goal.bound * scale, y + 9),
            _text(begin + 8 + max(figure.share, 1.0) * scale, y + 13, f"{figure.share:.2f}", "value"),
        ]
    return [*lines, *_legend(begin, BARS_TOP + 28 + 30 * len(rates), "the limit", "goal, at least")]


def _allowed(measured: Measured, left: float) -> list[str]:
    """What a company takes, as a share of what is allowed."""
    rows = [figure for figure in measured.figures if figure.goal is not None]
    parts: Mapping[str, float] = {
        figure.name: figure.value / figure.goal.bound for figure in rows if figure.goal is not None
    }
    begin = left + NAMES_WIDTH
    scale = (PANEL_WIDTH - NAMES_WIDTH - 100) / max(1.0, *parts.values())
    lines = [_text(left, BARS_TOP, measured.title, "title")]
    for number, figure in enumerate(rows):
        assert figure.goal is not None  # noqa: S101 - only those with goals are here
        y = BARS_TOP + 20 + 30 * number
        limit = begin + figure.limit / figure.goal.bound * scale
        lines += [
            _text(begin - 8, y + 13, figure.short, anchor="end"),
            _bar(begin, y, scale, "rest"),
            _bar(begin, y, parts[figure.name] * scale, "bar"),
            _line(limit, y - 3, limit, y + 21, "mark"),
            _diamond(begin + scale, y + 9),
            _text(
                begin + 10 + max(1.0, parts[figure.name]) * scale,
                y + 13,
                f"{spelt(figure.value, figure.unit)} of {figure.goal.bound:g}",
                "value",
            ),
        ]
    return [*lines, *_legend(begin, BARS_TOP + 28 + 30 * len(rows), rows[0].beside, "goal, at most")]


def _legend(x: float, y: float, limit: str, goal: str) -> list[str]:
    return [
        _line(x, y, x, y + 14, "mark"),
        _text(x + 8, y + 12, limit),
        _diamond(x + 134, y + 8),
        _text(x + 144, y + 12, goal),
    ]


def _diamond(x: float, y: float) -> str:
    """What marks a goal."""
    return f'<path class="goal" d="M{x:.1f} {y - 7:.1f}l7 7l-7 7l-7-7z"/>'


def _bar(x: float, y: float, width: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="18" rx="2"/>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str = "", *, anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
