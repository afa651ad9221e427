"""`make soak`: live agent-days, and say what broke."""

from __future__ import annotations

import argparse
import sys

from .script import drawn
from .soak import describe, enter, keep, least_failing, machine, next_seed, soak, total
from .world import played


def main() -> int:
    """Run what the arguments ask for; 1 if an invariant broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--days", type=float, default=10_000, help="run seeds until so many agent-days were lived")
    parser.add_argument("--depth", choices=("cut", "http"), default="cut")
    parser.add_argument("--seed", type=int, help="run this seed alone, and print its story")
    parser.add_argument("--first", type=int, help="begin with this seed; default: the first that was not run yet")
    parser.add_argument("--seconds", type=float, help="stop after so many seconds, whatever was lived")
    parser.add_argument("--no-ledger", action="store_true", help="do not add the runs to the ledger of seeds")
    options = parser.parse_args()
    if options.seed is not None:
        return _one(options.seed, options.depth)
    first = options.first if options.first is not None else next_seed(options.depth)
    run = soak(options.depth, first, options.days, lambda line: print(line, flush=True), seconds=options.seconds)
    entry = run.entry
    print(f"\n{machine()}")
    print(f"{entry.version}, depth {entry.depth}, seeds {entry.first} to {entry.last}")
    per_day = 1000 * entry.seconds / max(entry.agent_days, 1.0)
    print(f"{entry.agent_days:,.0f} agent-days in {entry.seconds:,.0f} s of one core: {per_day:.1f} ms each")
    print("invariants checked: " + ", ".join(f"{name} {count:,}" for name, count in sorted(run.checked.items())))
    print("met: " + ", ".join(f"{name} {count:,}" for name, count in sorted(run.counts.items())))
    if not options.no_ledger:
        enter(entry)
        print(f"so far, depth {entry.depth}: {total(options.depth):,.0f} agent-days with nothing broken", flush=True)
    # Last, since it may take longer than all the rest.
    for outcome in run.failures:
        script = least_failing(outcome)
        print(f"\nseed {outcome.script.company.seed} fails: {outcome.broken[0]}\n{describe(script)}")
        print(f"kept in {keep(script)}")
    return 1 if run.failures else 0


def _one(seed: int, depth: str) -> int:
    outcome = played(drawn(seed, "http" if depth == "http" else "cut"), story=True)
    sys.stdout.writelines(outcome.story)
    print(f"{outcome.trace}: {outcome.agent_days:,.0f} agent-days in {outcome.seconds:.1f} s")
    for one in outcome.broken:
        print(one)
    return 1 if outcome.broken else 0


if __name__ == "__main__":
    sys.exit(main())
