"""`python -m tests.drill [NAME…]`: run the drills, print what is seen, and write docs/drills.md.

Ends with 0 if all went well, 1 if a drill failed, 77 (as skipped tests do) where this machine can start no guest.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks.machine import describe
from tests.drill import DRILLS
from tests.drill.findings import Bench, Drill, Finding, Findings
from tests.drill.guest import accelerator
from tests.drill.image import CACHE, ROOT, SUITE, CannotDrill, build
from tests.drill.power import CUT_SECONDS, CUTS

SKIPPED = 77
DRILL_SECONDS = 1500.0
SEEN = Path(__file__).with_name("seen")
"""What was seen last of each drill, for the rows of those that do not run."""

_MEANS = {"kvm": "by KVM", "tcg": "emulated (tcg)"}

_PAGE = """\
# Drills

Written by `make drill`; `make drill ONLY=name` runs one of them, and its rows are written anew. What no test in a
container can try: the shipped units under a real systemd, in a virtual machine (QEMU, Debian 12) whose clock, sleep and
power are the drill's. Google and Aircall are the [sandbox](contributing.md#tests) on the machine around it, which
outlives the guest. Which faults are proven by them stands in `tests/faults/catalogue`.

Machine: {machine}. The guest: 2 processors, 1 GiB, Debian {suite} with its cloud kernel.

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
    when: str


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=click.Choice(list(DRILLS)))
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    default=ROOT / "docs" / "drills.md",
    help="Where the page goes; default: docs/drills.md.",
)
def main(names: tuple[str, ...], page: Path) -> None:
    """Drill the shipped units in a virtual machine: all, or those that are named."""
    # Told to end, it ends what it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with _alone():
        try:
            image = build()
            how = _MEANS[accelerator(image)]
        except CannotDrill as reason:
            click.echo(f"NOTHING IS DRILLED: this machine can start no guest: {reason}", err=True)
            sys.exit(SKIPPED)
        click.echo(f"drill: the guest runs {how}")
        with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
            drilled = asyncio.run(_all(Bench(image, Path(folder)), list(names or DRILLS), how))
        failed = [one.name for one in drilled if not one.findings.good]
        click.echo(f"\n{_summary(drilled)}{f' Failed: {chr(44).join(failed)}.' if failed else ''}")
        page.write_text(_page(_remembered(drilled)), encoding="utf-8")
        click.echo(f"Written: {page}")
    sys.exit(1 if failed else 0)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One run in a checkout at a time: a second would make the image anew under the guest of the first."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.ClickException("another drill runs in this checkout: wait for its end") from None
        yield


def _summary(drilled: list[Drilled]) -> str:
    good = sum(one.findings.good for one in drilled)
    return f"{good} of {len(DRILLS)} drills passed, in {sum(one.seconds for one in drilled) / 60:.0f} minutes."


def _remembered(drilled: list[Drilled]) -> list[Drilled]:
    """What was seen last of each drill, now or in a former run, in their order."""
    SEEN.mkdir(exist_ok=True)
    for one in drilled:
        (SEEN / f"{one.name}.json").write_text(json.dumps(asdict(one), indent=1) + "\n", encoding="utf-8")
    found = []
    for name in DRILLS:
        path = SEEN / f"{name}.json"
        if path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            findings = Findings([Finding(**row) for row in kept.pop("findings")["rows"]])
            found.append(Drilled(**kept, findings=findings))
    return found


async def _all(bench: Bench, names: list[str], how: str) -> list[Drilled]:
    drilled = []
    try:
        for name in names:
            about = _about(DRILLS[name])
            print(f"\n{name}: {about}", flush=True)
            findings, began = Findings(), time.monotonic()
            try:
                async with asyncio.timeout(DRILL_SECONDS + (CUTS * CUT_SECONDS if name == "power-cuts" else 0.0)):
                    await DRILLS[name](bench, findings)
            except Exception as error:  # noqa: BLE001 - one drill that breaks is a failure of it, not of those after it
                findings.check("the drill comes to its end", f"{type(error).__name__}: {error}"[:3000], good=False)
            if not findings.good:
                with contextlib.suppress(OSError, TimeoutError, ValueError):
                    print(await bench.told())
                await bench.close()
            when = f"{datetime.now(UTC):%Y-%m-%d}, {how}, under a load of {os.getloadavg()[1]:.0f}"
            drilled.append(Drilled(name, about, findings, time.monotonic() - began, when))
            print(f"  {drilled[-1].seconds:.0f} s", flush=True)
    finally:
        await bench.close()
    return drilled


def _about(drill: Drill) -> str:
    return (drill.__doc__ or "").strip().splitlines()[0]


def _page(drilled: list[Drilled]) -> str:
    known = {one.name: one for one in drilled}
    rows = []
    for name, drill in DRILLS.items():
        if name not in known:
            rows.append(f"| **{name}** | {_about(drill)} | not run yet | |")
            continue
        one = known[name]
        outcome = "pass" if one.findings.good else "**FAIL**"
        rows.append(f"| **{one.name}** | {one.about} | {one.when}: {one.seconds:.0f} s | {outcome} |")
        for row in one.findings.rows:
            cells = [" ".join(cell.split()).replace("|", "\\|")[:300] for cell in ("", row.expected, row.seen)]
            rows.append(f"| {' | '.join(cells)} | {'ok' if row.good else '**FAIL**'} |")
    machine = describe(CACHE)
    return _PAGE.format(
        machine=", ".join(machine[name] for name in ("program", "processor", "memory", "system")),
        suite=SUITE,
        rows="\n".join(rows),
        summary=_summary(drilled),
    )


if __name__ == "__main__":
    main()
