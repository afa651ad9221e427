"""From what the user asks for to the simulated day: which rules, whose events, which day of which zone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, tzinfo
from pathlib import Path

from calsyncd.config import Agent, Settings, load_rules
from calsyncd.core.hours import zone_of
from calsyncd.core.rules import Reads, Rules
from calsyncd.core.simulate import NEIGHBOURS_SECONDS, Simulated, bounds, day_named, reads_of, simulate
from calsyncd.errors import UserError
from calsyncd.simulate.afresh import take_afresh
from calsyncd.simulate.events import Taken, take_export

SETTINGS = "settings"
"""Named as rules: those in force in the settings."""

ZONES_SECONDS = 86400.0
"""No zone is further from UTC."""

Load = Callable[[], tuple[Settings, Path] | None]
"""The settings and where they stand, if there are any."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be simulated: a file's events, or else the agent's, read afresh; under `rules`, at most two files."""

    day: str
    events: Path | None = None
    agent: str | None = None
    rules: tuple[str, ...] = ()
    zone: str | None = None
    titles: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The day under each set of rules, by the set's name."""

    day: date
    zone: str
    source: str
    sets: tuple[tuple[str, Simulated], ...]
    unreadable: tuple[str, ...]
    titles: Mapping[str, str] | None


def simulated(wish: Wish, load: Load, environ: Mapping[str, str], now: float) -> Outcome:
    """The day that is wished for; `load` is asked for the settings only if they are needed.

    Raises:
        UserError: the day is none, the file, the settings or the rules are faulty, or Google does not answer.
    """
    try:
        window = _around(day_named(wish.day, UTC, now))
    except ValueError as error:
        raise UserError(f"--day: {error}", exit_code=2) from None
    loaded = load() if wish.events is None or not wish.rules or SETTINGS in wish.rules else None
    named = _rule_sets(wish, loaded)
    hours = next((rules.working_hours.zone for _, rules in named if rules.working_hours is not None), None)
    reads = reads_of(rules for _, rules in named)
    if wish.events is None:
        taken, source = _afresh(wish, loaded, window, reads, environ)
    else:
        source = str(wish.events)
        fallback = _first_known(wish.zone, hours)[0]
        taken = take_export(wish.events, window, reads, zone=fallback, agent=wish.agent, titles=wish.titles)
    name, zone = _first_known(wish.zone, taken.zone, hours)
    day = day_named(wish.day, zone, now)
    sets = tuple((of, simulate(taken.events, rules.at_home_in(name), bounds(day, zone))) for of, rules in named)
    return Outcome(day, name, source, sets, tuple(taken.unreadable), taken.titles if wish.titles else None)


def _rule_sets(wish: Wish, loaded: tuple[Settings, Path] | None) -> list[tuple[str, Rules]]:
    if not wish.rules:
        return [_in_force(wish.agent, loaded) if loaded is not None else ("the defaults: no settings found", Rules())]
    sets = []
    for name in wish.rules:
        if name == SETTINGS:
            sets.append(_in_force(wish.agent, _there(loaded)))
        else:
            sets.append((name, load_rules(Path(name)).in_force()))
    return sets


def _in_force(email: str | None, loaded: tuple[Settings, Path]) -> tuple[str, Rules]:
    settings, path = loaded
    if email is None:
        return f"{path}, of the company", settings.rules.in_force()
    return f"{path}, of {email}", _agent(email, loaded).rules.in_force()


def _there(loaded: tuple[Settings, Path] | None) -> tuple[Settings, Path]:
    if loaded is None:
        raise UserError("no settings found; name them with --config")
    return loaded


def _agent(email: str, loaded: tuple[Settings, Path]) -> Agent:
    settings, path = loaded
    if settings.everybody and "@" in email:
        return settings.agent_of(email, email)
    for agent in settings.agents:
        if agent.email == email.lower():
            return agent
    raise UserError(f"{path}: no agent has the e-mail address {email}: see `agents` there", exit_code=1)


def _afresh(
    wish: Wish,
    loaded: tuple[Settings, Path] | None,
    window: tuple[float, float],
    reads: Reads,
    environ: Mapping[str, str],
) -> tuple[Taken, str]:
    there = _there(loaded)
    agent = _agent(wish.agent or "", there)
    taken = asyncio.run(take_afresh(there[0], agent, window, reads, environ, titles=wish.titles))
    return taken, f"{agent.email}, read from Google now"


def _around(day: date) -> tuple[float, float]:
    low, high = bounds(day, UTC)
    return low - ZONES_SECONDS - NEIGHBOURS_SECONDS, high + ZONES_SECONDS + NEIGHBOURS_SECONDS


def _first_known(*zones: str | None) -> tuple[str, tzinfo]:
    for name in zones:
        zone = zone_of(name)
        if name is not None and zone is not None:
            return name, zone
    return "UTC", UTC
