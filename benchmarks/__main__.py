"""`python -m benchmarks`: measure, print the table, write the page; 1 if a goal is missed."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from benchmarks import boundaries, company, growth, growth_picture, notifications, picture, report, webhooks, writes
from benchmarks.figures import FULL, QUICK, Bench, Measured, MeasureError, Scale
from benchmarks.machine import describe
from benchmarks.processes import ROOT

MEASURES: dict[str, Callable[[Bench], Awaitable[Measured]]] = {
    "boundaries": boundaries.measure,
    "notifications": notifications.measure,
    "webhooks": webhooks.measure,
    "writes": writes.measure,
    "company": company.measure,
    "growth": growth.measure,
    "google": growth.measure_quiet,
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--only", type=click.Choice(list(MEASURES)), multiple=True, help="Measure this alone; writes no page.")
@click.option("--quick", is_flag=True, help="Few samples, to see that all of it works: the figures mean nothing.")
@click.option(
    "--docs",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the page and its picture go; default: docs/, and nowhere with --quick.",
)
@click.option(
    "--disk",
    type=click.Path(path_type=Path, file_okay=False),
    default=ROOT / "build",
    help="A folder on the disk that is meant; default: build/.",
)
def main(only: tuple[str, ...], docs: Path | None, disk: Path, *, quick: bool) -> None:
    """Measure calsyncd beside its limits."""
    # Told to end, it ends what it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console()
    disk.mkdir(parents=True, exist_ok=True)
    wanted = [name for name in MEASURES if not only or name in only]
    machine = describe(disk)
    console.print(", ".join(machine.values()))
    try:
        measured = [asyncio.run(_measure(name, QUICK if quick else FULL, disk, console)) for name in wanted]
    except MeasureError as error:
        raise click.ClickException(str(error)) from error
    if docs is None and not quick and not only:
        docs = ROOT / "docs"
    if docs is not None and not only:
        _write(docs, measured, machine)
        console.print(f"\nWritten: {docs / 'performance.md'}, and performance.svg and growth.svg beside it")
    for name in report.missed(measured):
        console.print(f"[bold red]The goal is missed:[/] {name}")
    sys.exit(1 if report.missed(measured) else 0)


async def _measure(name: str, scale: Scale, disk: Path, console: Console) -> Measured:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=disk) as folder:
        found = await MEASURES[name](Bench(Path(folder), scale))
    report.on_terminal(found, console)
    console.print(f"[dim]{time.monotonic() - began:.0f} s[/]")
    return found


def _write(docs: Path, measured: list[Measured], machine: dict[str, str]) -> None:
    docs.mkdir(parents=True, exist_ok=True)
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    page = report.page(measured, machine, date, picture.in_words(measured))
    (docs / "performance.md").write_text(page, encoding="utf-8")
    (docs / "performance.svg").write_text(picture.draw(measured), encoding="utf-8")
    (docs / "growth.svg").write_text(growth_picture.draw(growth_picture.together(measured)), encoding="utf-8")


if __name__ == "__main__":
    main()
