"""`python -m tests.drill [NAME…]`: run the drills, print the table; all of them write docs/drills.md.

Ends with 0 if all went well, 1 if a drill failed, 77 (as skipped tests do) where this machine can start no guest.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks.machine import describe
from tests.drill import DRILLS
from tests.drill.findings import Bench, Findings
from tests.drill.guest import accelerator
from tests.drill.image import CACHE, ROOT, SUITE, CannotDrill, build

SKIPPED = 77
DRILL_SECONDS = 1500.0

_MEANS = {"kvm": "by KVM", "tcg": "emulated (tcg), about ten times slower than the machine itself"}

_PAGE = """\
# Drills

Written by `make drill` on {date}; `make drill ONLY=name` runs one of them and writes nothing. What no test in a
container can try: the shipped units under a real systemd, in a virtual machine (QEMU, Debian 12) whose clock, sleep and
power are the drill's. Google and Aircall are the [sandbox](contributing.md#tests) on the machine around it, which
outlives the guest. Which faults are proven by them stands in `tests/faults/catalogue`.

Machine: {machine}, with a load of {load:.0f} in its last quarter of an hour. The guest: 2 processors, 1 GiB, {guest}.

| drill | expected | seen | |
|---|---|---|---|
{rows}

{summary}
"""


@dataclass(frozen=True, slots=True)
class Drilled:
    """What became of one drill, which took so many seconds."""

    name: str
    about: str
    findings: Findings
    seconds: float


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=click.Choice(list(DRILLS)))
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False), help="Where the page goes, with NAME too.")
def main(names: tuple[str, ...], page: Path | None) -> None:
    """Drill the shipped units in a virtual machine: all, or those that are named."""
    # Told to end, it ends what it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        image = build()
        how = _MEANS[accelerator(image)]
    except CannotDrill as reason:
        click.echo(f"NOTHING IS DRILLED: this machine can start no guest: {reason}", err=True)
        sys.exit(SKIPPED)
    click.echo(f"drill: the guest is run {how}")
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        drilled = asyncio.run(_all(Bench(image, Path(folder)), list(names or DRILLS)))
    failed = [one.name for one in drilled if not one.findings.good]
    total = sum(one.seconds for one in drilled)
    summary = f"{len(drilled) - len(failed)} of {len(drilled)} drills passed, in {total / 60:.0f} minutes."
    click.echo(f"\n{summary}{f' Failed: {chr(44).join(failed)}.' if failed else ''}")
    if page is None and not names:
        page = ROOT / "docs" / "drills.md"
    if page is not None:
        page.write_text(_page(drilled, summary, how), encoding="utf-8")
        click.echo(f"Written: {page}")
    sys.exit(1 if failed else 0)


async def _all(bench: Bench, names: list[str]) -> list[Drilled]:
    drilled = []
    try:
        for name in names:
            about = (DRILLS[name].__doc__ or "").strip().splitlines()[0]
            print(f"\n{name}: {about}", flush=True)
            findings, began = Findings(), time.monotonic()
            try:
                async with asyncio.timeout(DRILL_SECONDS):
                    await DRILLS[name](bench, findings)
            except Exception as error:  # noqa: BLE001 - one drill that breaks is a failure of it, not of those after it
                findings.check("the drill comes to its end", f"{type(error).__name__}: {error}"[:3000], good=False)
            if not findings.good:
                with contextlib.suppress(OSError, TimeoutError, ValueError):
                    print(await bench.told())
                await bench.close()
            drilled.append(Drilled(name, about, findings, time.monotonic() - began))
            print(f"  {drilled[-1].seconds:.0f} s", flush=True)
    finally:
        await bench.close()
    return drilled


def _page(drilled: list[Drilled], summary: str, how: str) -> str:
    rows = []
    for one in drilled:
        rows.append(
            f"| **{one.name}** | {one.about} | {one.seconds:.0f} s | {'pass' if one.findings.good else '**FAIL**'} |"
        )
        for row in one.findings.rows:
            cells = [" ".join(cell.split()).replace("|", "\\|") for cell in ("", row.expected, row.seen)]
            rows.append(f"| {' | '.join(cells)} | {'ok' if row.good else '**FAIL**'} |")
    machine = describe(CACHE)
    return _PAGE.format(
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        machine=", ".join(machine[name] for name in ("program", "processor", "memory", "system")),
        load=os.getloadavg()[2],
        guest=f"Debian {SUITE} with its cloud kernel, {how}",
        rows="\n".join(rows),
        summary=summary,
    )


if __name__ == "__main__":
    main()
