"""`python -m benchmarks.agents`: what one process costs by its number of agents, printed, and put into the manual."""

from __future__ import annotations

import asyncio
import re
import signal
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import click

from benchmarks.company import first_start
from benchmarks.figures import MeasureError
from benchmarks.filled import DAYS, EVENTS_A_DAY, HOUR, put_days
from benchmarks.machine import describe
from benchmarks.processes import ROOT, daemon, free_addresses, until
from calsyncd.sandbox.limits import Window
from calsyncd.sandbox.world import Sandbox

PAGE = ROOT / "docs" / "living.md"
BEGIN, END = "<!-- agents a process, by make bench-agents -->", "<!-- end of agents a process -->"
READ_SECONDS = 600.0
IDLE_SECONDS = 30.0

HOW = f"""\
Each agent has {DAYS} days of {EVENTS_A_DAY} events and one push channel. The first start reads everything from Google
and opens every channel; the others begin with the database that it left. The loop's lag is how late a timer ran, a
second each: while all calendars were read after such a start, and in the {IDLE_SECONDS:.0f} seconds after that."""


COLUMNS = (
    *("agents", "acts after", "all calendars read after", "the very first start", "resident", "highest", "database"),
    *("the loop's lag while it reads", "and then"),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What so many agents cost; seconds and MB. `busy` and `idle` are bounds that no lag was above."""

    agents: int
    first: float
    acts: float
    read: float
    resident: float
    highest: float
    database: float
    busy: str
    idle: str


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--agents", type=click.IntRange(min=1), multiple=True, default=(1000, 3000), show_default=True)
@click.option("--docs", is_flag=True, help="Put the table into docs/living.md.")
@click.option(
    "--disk",
    type=click.Path(path_type=Path, file_okay=False),
    default=ROOT / "build",
    help="A folder on the disk that is meant; default: build/.",
)
def main(agents: tuple[int, ...], disk: Path, *, docs: bool) -> None:
    """Measure what one process costs by the number of its agents."""
    # Told to end, it ends what it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    disk.mkdir(parents=True, exist_ok=True)
    costs = []
    for count in agents:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=disk) as folder:
            try:
                costs.append(asyncio.run(measure(count, Path(folder))))
            except MeasureError as error:
                raise click.ClickException(str(error)) from error
    text = page(costs, describe(disk), datetime.now(UTC).strftime("%Y-%m-%d"))
    click.echo(text)
    if docs:
        put(PAGE, text)
        click.echo(f"Written: {PAGE.relative_to(ROOT)}")


async def measure(count: int, folder: Path) -> Cost:
    """Fill a store by a first start, then start from it."""
    emails = [f"agent{number:05}@example.com" for number in range(count)]
    async with Sandbox() as sandbox:
        sandbox.aircall.switches.budget = Window(100_000)
        sandbox.google.quotas.per_project = Window(1_000_000)
        began = time.time()
        for number, email in enumerate(emails):
            sandbox.add_agent(email)
            put_days(sandbox, email, began + (1 + number % 30 / 30) * HOUR)
        listen, admin = free_addresses(2)
        config = sandbox.write_config(folder, emails, listen=listen, admin_listen=admin)
        first = await first_start(sandbox, config, emails)
        sandbox.google.requests.clear()
        async with daemon(config) as running:
            await running.started()
            acts = time.time() - running.began

            def reads() -> int:
                return sum(one.path.endswith("/events") for one in sandbox.google.requests)

            await until(lambda: reads() >= count, "a read of each calendar", READ_SECONDS)
            read = time.time() - running.began
            busy = await _lags(admin)
            await asyncio.sleep(IDLE_SECONDS)
            after = await _lags(admin)
            return Cost(
                agents=count,
                first=first,
                acts=acts,
                read=read,
                resident=running.memory(),
                highest=running.memory("VmHWM"),
                database=(folder / "state" / "calsyncd.db").stat().st_size / 1e6,
                busy=highest(busy),
                idle=highest({bound: number - busy.get(bound, 0.0) for bound, number in after.items()}),
            )


async def _lags(admin: str) -> dict[float, float]:
    """How many timers were at most so many seconds late, by that bound."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{admin}/metrics") as answer:
        text = await answer.text()
    found = re.findall(r'^calsyncd_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)$', text, re.MULTILINE)
    return {float(bound): float(number) for bound, number in found}


def highest(counts: dict[float, float]) -> str:
    """The least bound of a histogram that holds all that was counted, in words."""
    total = max(counts.values(), default=0.0)
    if not total:
        return "too short to tell"
    bound = min((bound for bound, number in counts.items() if number >= total), default=float("inf"))
    return "over the highest bound" if bound == float("inf") else f"≤ {bound * 1000:g} ms"


def page(costs: list[Cost], machine: dict[str, str], date: str) -> str:
    """The table, as the manual has it."""
    rows = [
        f"| {one.agents:,} | {one.acts:.1f} s | {one.read:.1f} s | {one.first:.0f} s | {one.resident:.0f} MB"
        f" | {one.highest:.0f} MB | {one.database:.0f} MB | {one.busy} | {one.idle} |"
        for one in costs
    ]
    return "\n".join(
        [
            f"| {' | '.join(COLUMNS)} |",
            "|---" * len(COLUMNS) + "|",
            *rows,
            "",
            HOW,
            f"Measured on {date} with {', '.join(machine.values())}.",
        ]
    )


def put(page_file: Path, text: str) -> None:
    """Put the table between its marks."""
    before, found, rest = page_file.read_text(encoding="utf-8").partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise click.ClickException(f"{page_file.name} has no place for it: {BEGIN} … {END}")
    page_file.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
