"""Commands that run something: the daemon, its demo, the sandbox, a day under given rules."""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import sys
from pathlib import Path

import click

from calsyncd.cli.common import commands, config_option, load_settings, settings_if_any, wait_for, zone_name


@commands.command(short_help="Run the daemon in the foreground.")
@config_option
def run(config_path: Path | None) -> None:
    """Run the daemon in the foreground, until SIGTERM or SIGINT."""
    from calsyncd import garbage

    garbage.hold()
    _open_standard_streams()
    faulthandler.enable()
    # A core dump would hold every credential.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    from calsyncd.store import DATABASE, Ahead
    from calsyncd.whereabouts import find, is_same_folder, likely_state_dir

    # Before the settings are understood and the rest of the program is loaded: all of it takes its time.
    likely = likely_state_dir(find(config_path, os.environ), os.environ)
    begun = Ahead(likely / DATABASE) if likely is not None else None

    settings, path = load_settings(config_path)
    # Never two for one file: either would let go of the other's locks.
    is_it = likely is not None and is_same_folder(likely, settings.state_dir)
    ahead = begun if begun is not None and is_it else Ahead(settings.state_dir / DATABASE)

    from calsyncd import daemon, logs

    secrets = [secret.reveal() for secret in settings.secrets]
    logs.configure(settings.log.level, settings.log.format, secrets, waits=False)
    wait_for(daemon.run(settings, path, os.environ, ahead.is_sound))


def _open_standard_streams() -> None:
    """Lead those that are closed nowhere: a file or a socket would get their numbers, and what is written to them."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w", closefd=False))


@commands.command(short_help="Show all faults of the settings; asks no network.")
@config_option
def check(config_path: Path | None) -> None:
    """Show all faults of the settings; asks no network."""
    settings, path = load_settings(config_path)
    number = len(settings.agents)
    who = "everybody" if settings.everybody else f"{number} agent{'' if number == 1 else 's'}"
    click.echo(f"{path}: good, {who}")


@commands.command(short_help="Show what a day of events would do under the rules.")
@click.option(
    "--events", type=click.Path(path_type=Path), metavar="FILE", help="What events.list answered, or an .ics."
)
@click.option("--fetch", is_flag=True, help="Instead of a file: read the agent's calendars from Google now.")
@click.option("--day", default="today", metavar="D", help="A date, today, tomorrow or yesterday.", show_default=True)
@click.option(
    "--agent", metavar="EMAIL", help="Whose rules of the settings, whose calendars, whose answers in an .ics."
)
@click.option(
    "--rules",
    multiple=True,
    metavar="FILE",
    help="Rules as under `rules:`, instead of those in force; `settings` are those. Twice: side by side.",
)
@click.option("--zone", callback=zone_name, metavar="NAME", help="The zone of the day; default: the calendar's.")
@click.option("--titles", is_flag=True, help="Show the titles of the events.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@config_option
def simulate(
    events: Path | None,
    day: str,
    *,
    agent: str | None,
    rules: tuple[str, ...],
    zone: str | None,
    config_path: Path | None,
    fetch: bool,
    titles: bool,
    as_json: bool,
) -> None:
    """Show what a day of events would do under the rules, or under two sets of them. Sends nothing; needs no daemon."""
    from calsyncd import config
    from calsyncd import simulate as room
    from calsyncd.clock import SystemClock

    if (events is not None) == fetch:
        raise click.UsageError("give --events FILE, or --fetch with --agent EMAIL")
    if fetch and agent is None:
        raise click.UsageError("--fetch needs --agent EMAIL: whose calendars to read")
    if len(rules) > 2:
        raise click.UsageError("--rules can be given twice: two sets stand side by side")
    wish = room.Wish(day, events, agent, rules, zone, titles=titles)
    try:
        outcome = room.simulated(wish, lambda: settings_if_any(config_path), os.environ, SystemClock().now())
    except config.ConfigError as error:
        click.echo(str(error))
        sys.exit(error.exit_code)
    if as_json:
        click.echo(json.dumps(room.as_json(outcome), indent=2))
    else:
        click.echo(room.as_text(outcome), nl=False)


@commands.command(short_help="Run the daemon against the built-in sandbox.")
@click.option("--seconds", type=click.FloatRange(min=1), metavar="N", help="End by itself after so many seconds.")
def demo(seconds: float | None) -> None:
    """Run the daemon against the built-in sandbox, with eight agents whose day is packed into minutes."""
    from calsyncd.demo import show

    sys.exit(wait_for(show.demo(seconds)))


@commands.command(short_help="Run the sandbox alone: a Google and an Aircall.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("sandbox"),
    show_default=True,
    help="Where the settings and the credentials are written.",
)
@click.option(
    "--doubt",
    "doubts",
    multiple=True,
    metavar="POINT=WAY",
    help="Let a doubtful point of the services turn out so, such as v1_users=410; docs/doubtful.md has them all.",
)
def sandbox(folder: Path, doubts: tuple[str, ...]) -> None:
    """Run the sandbox alone: a Google and an Aircall on this machine, and settings that point at them."""
    from calsyncd.demo import show

    try:
        sys.exit(wait_for(show.serve(folder, doubts=doubts)))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
