"""Seeds run one after the other, until so many agent-days have been lived; what was run goes into a ledger of seeds."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import calsyncd

from .script import Depth, Script, drawn
from .shrink import shrunk, told
from .world import Outcome, played

HERE = Path(__file__).parent
LEDGER = HERE / "ledger.jsonl"
REGRESSIONS = HERE / "regressions"

Say = Callable[[str], None]


@dataclass(slots=True)
class Entry:
    """Seeds from `first` to `last` of a depth, run with the code `version`."""

    depth: Depth
    first: int
    last: int
    agent_days: float
    seconds: float
    failed: list[int]
    version: str
    on: str


@dataclass(slots=True)
class Soak:
    """What a soak has run so far."""

    entry: Entry
    checked: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """One more run; a failed one's days do not count."""
        entry, seed = self.entry, outcome.script.company.seed
        entry.last = seed
        entry.seconds += outcome.seconds
        if outcome.broken:
            entry.failed.append(seed)
            self.failures.append(outcome)
        else:
            entry.agent_days += outcome.agent_days
        self.checked.update(outcome.checked)
        self.counts.update(outcome.counts)


def soak(depth: Depth, first: int, agent_days: float, say: Say, *, seconds: float | None = None) -> Soak:
    """Run seeds from `first` on, for so many agent-days or `seconds` of the wall's clock; each failure is told."""
    run = Soak(Entry(depth, first, first - 1, 0.0, 0.0, [], version(), datetime.now(UTC).date().isoformat()))
    began = said = time.monotonic()
    for seed in _seeds(first):
        if run.entry.agent_days >= agent_days or (seconds is not None and time.monotonic() - began > seconds):
            break
        outcome = played(drawn(seed, depth))
        run.add(outcome)
        if outcome.broken:
            say(f"seed {seed} fails: {outcome.broken[0]}")
        if time.monotonic() - said > 10:
            said = time.monotonic()
            say(f"  {run.entry.agent_days:,.0f} agent-days, seed {seed}, {len(run.failures)} failed")
    return run


def _seeds(first: int) -> Iterator[int]:
    while True:
        yield first
        first += 1


def least_failing(outcome: Outcome) -> Script:
    """The failing run's script without what it fails without."""
    which = outcome.broken[0].which
    return shrunk(outcome.script, lambda script: any(one.which == which for one in played(script).broken))


def keep(script: Script, folder: Path = REGRESSIONS) -> Path:
    """Keep a script among those that the tests run."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{script.company.depth}-{script.company.seed}.json"
    path.write_text(script.dumped() + "\n", encoding="utf-8")
    return path


def describe(script: Script) -> str:
    """A shrunk script for people."""
    lines = [f"  {name}={value}" for name, value in asdict(script.company).items()]
    return "\n".join([*lines, *(f"  {line}" for line in told(script.actions))])


# -- the ledger of seeds -----------------------------------------------------------------------------------------------


def version() -> str:
    """The package's version and a hash of its code, without which a seed says little."""
    digest = hashlib.sha256()
    root = Path(calsyncd.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{calsyncd.__version__}+{digest.hexdigest()[:8]}"


def entries(path: Path = LEDGER) -> list[Entry]:
    """What was run so far."""
    if not path.exists():
        return []
    return [Entry(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line]


def next_seed(depth: Depth, path: Path = LEDGER) -> int:
    """The first seed of a depth that was not run yet."""
    return max((one.last for one in entries(path) if one.depth == depth), default=999) + 1


def enter(entry: Entry, path: Path = LEDGER) -> None:
    """Add a soak; runs of the same code that follow each other are one line."""
    known = entries(path)
    if known and (known[-1].depth, known[-1].version, known[-1].last + 1) == (entry.depth, entry.version, entry.first):
        last = known.pop()
        entry = Entry(
            entry.depth,
            last.first,
            entry.last,
            last.agent_days + entry.agent_days,
            last.seconds + entry.seconds,
            [*last.failed, *entry.failed],
            entry.version,
            entry.on,
        )
    entry.agent_days, entry.seconds = round(entry.agent_days, 1), round(entry.seconds, 1)
    lines = [json.dumps(asdict(one), separators=(", ", ": ")) for one in [*known, entry]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def total(depth: Depth, path: Path = LEDGER) -> float:
    """Agent-days without an invariant broken, of all entries."""
    return sum(one.agent_days for one in entries(path) if one.depth == depth)


def machine() -> str:
    """What it ran on."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model n")]
        name = f"{len(found)} x {found[0]}" if found else name
    return f"{name}, {platform.system()} {platform.release()}, Python {platform.python_version()}"
