"""`python -m benchmarks.flame`: where the busiest minute of a large company goes, as a flame graph.

That minute begins with a start from a filled store: the settings, the database, everybody's timeline, and a read of
each calendar. py-spy samples the daemon from outside; what it found is drawn here, small enough for the manual.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

import click

from benchmarks.figures import MeasureError
from benchmarks.filled import HOUR, addresses, entries, fill
from benchmarks.processes import ROOT, daemon, free_addresses
from calsyncd.sandbox.limits import Window
from calsyncd.sandbox.world import Sandbox

RATE = 100
WIDTH, ROW = 1200, 17
LEAST_PART = 0.006
"""Of what takes less than this part of all samples, nothing is drawn."""

LETTER_WIDTH = 6.2
_LINE = re.compile(r":\d+\)")
# Methods have their class's name before theirs.
_IDLE = ("select (selectors.py", "_worker (concurrent", "_connection_worker_thread (aiosqlite", "wait (threading.py")

STYLE = """
text { font: 11px ui-monospace, "DejaVu Sans Mono", monospace; fill: #1f2328; pointer-events: none; }
.title { font: 600 14px -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; }
rect { stroke: #ffffff; stroke-width: .5; } .ours { fill: #54aeff; } .other { fill: #d1d9e0; }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc; } rect { stroke: #0d1117; } .ours { fill: #1f6feb; } .other { fill: #3d444d; }
}
"""


@dataclass(slots=True)
class Frame:
    """A function with what it called, and in how many samples it was seen."""

    name: str
    samples: int = 0
    called: dict[str, Frame] = field(default_factory=dict)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--agents", type=click.IntRange(min=1), default=10_000, show_default=True)
@click.option("--seconds", type=click.IntRange(min=1), default=60, show_default=True)
@click.option("--py-spy", "spy", type=click.Path(path_type=Path, exists=True), required=True, help="The program.")
@click.option("--into", type=click.Path(path_type=Path, dir_okay=False), default=ROOT / "docs" / "flame.svg")
@click.option("--disk", type=click.Path(path_type=Path, file_okay=False), default=ROOT / "build")
def main(agents: int, seconds: int, spy: Path, into: Path, disk: Path) -> None:
    """Sample the busiest minute, and draw where it goes."""
    disk.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=disk) as folder:
        try:
            folded = asyncio.run(_sample(agents, seconds, spy, Path(folder)))
        except MeasureError as error:
            raise click.ClickException(str(error)) from error
    root = tree(folded)
    title = f"The first {seconds} seconds of {agents:,} agents: where the processor's time goes"
    into.write_text(draw(root, title), encoding="utf-8")
    for name, number in costs(folded)[:12]:
        click.echo(f"{number / max(1, root.samples):6.1%}  {name}")
    click.echo(f"Written: {into}")


async def _sample(agents: int, seconds: int, spy: Path, folder: Path) -> list[str]:
    """The stacks that were seen, each with its number."""
    emails = addresses(agents)
    async with Sandbox() as sandbox:
        sandbox.aircall.switches.budget = Window(1_000_000)
        sandbox.google.quotas.per_project = Window(10_000_000)
        first = time.time() + HOUR
        await fill(sandbox, folder / "state", emails, [first + at % 30 * HOUR / 30 for at in range(agents)])
        listen, admin = free_addresses(2)
        config = sandbox.write_config(folder, entries(emails), listen=listen, admin_listen=admin)
        async with daemon(config) as running:
            found = folder / "stacks"
            sampling = await asyncio.create_subprocess_exec(
                *(str(spy), "record", "--rate", str(RATE), "--duration", str(seconds), "--format", "raw"),
                *("--output", str(found), "--pid", str(running.process.pid)),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            _, said = await sampling.communicate()
            if not found.exists():
                raise MeasureError(f"py-spy found nothing: {said.decode(errors='replace').strip()}")
            return found.read_text(encoding="utf-8").splitlines()


def stacks(folded: Iterable[str]) -> Iterable[tuple[list[str], int]]:
    """Each stack that does something, outermost first, without numbers of lines."""
    for line in folded:
        text, _, number = line.rpartition(" ")
        frames = [_LINE.sub(")", frame.strip()) for frame in text.split(";")]
        if frames and not any(idle in frames[-1] for idle in _IDLE):
            yield frames, int(number)


def tree(folded: Iterable[str]) -> Frame:
    """All stacks in one."""
    root = Frame("all")
    for frames, number in stacks(folded):
        at = root
        at.samples += number
        for name in frames:
            at = at.called.setdefault(name, Frame(name))
            at.samples += number
    return root


def costs(folded: Iterable[str]) -> list[tuple[str, int]]:
    """The functions of ours in most samples, themselves or what they called."""
    seen: Counter[str] = Counter()
    for frames, number in stacks(folded):
        for name in {frame for frame in frames if "(calsyncd/" in frame}:
            seen[name] += number
    return sorted(seen.items(), key=lambda one: (-one[1], one[0]))


def draw(root: Frame, title: str) -> str:
    """The tree, the outermost call at the top; calls of ours stand out."""
    rects: list[str] = []
    total = max(1, root.samples)

    def place(frame: Frame, left: float, depth: int) -> int:
        deepest = depth
        for called in sorted(frame.called.values(), key=lambda one: -one.samples):
            part = called.samples / total
            if part < LEAST_PART:
                continue
            width, y = part * WIDTH, 28 + depth * ROW
            kind = "ours" if "(calsyncd/" in called.name else "other"
            rects.append(
                f'<g><rect class="{kind}" x="{left:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 1}"/>'
                f"<title>{escape(called.name)}: {part:.1%}</title>{_label(called.name, left, y, width)}</g>"
            )
            deepest = max(deepest, place(called, left, depth + 1))
            left += width
        return deepest

    height = 40 + place(root, 0.0, 0) * ROW
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"',
            f'width="{WIDTH}" height="{height}" aria-labelledby="title">',
            f'<title id="title">{escape(title)}</title>',
            f"<style>{STYLE}</style>",
            f'<text x="0" y="16" class="title">{escape(title)}</text>',
            *rects,
            "</svg>",
            "",
        )
    )


def _label(name: str, left: float, y: float, width: float) -> str:
    letters = int((width - 6) / LETTER_WIDTH)
    short = name.partition(" (")[0]
    if letters < min(4, len(short)):
        return ""
    return f'<text x="{left + 3:.1f}" y="{y + 12}">{escape(short[:letters])}</text>'


if __name__ == "__main__":
    main()
