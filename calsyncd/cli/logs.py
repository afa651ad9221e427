"""`calsyncd logs`: the daemon's JSON lines, for people."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import click

from calsyncd.cli.common import commands
from calsyncd.core.moments import Moment
from calsyncd.terminal.tail import LEVELS, Tail, Wanted

_SIGNED_OFF = 130
"""The exit status of who was ended by Ctrl-C."""


def _known(context: click.Context, option: click.Parameter, value: tuple[str, ...]) -> frozenset[str]:
    from calsyncd.logs import ACTIONS

    del context, option
    for name in value:
        if name not in ACTIONS:
            near = difflib.get_close_matches(name.lower().replace("-", "_"), ACTIONS, 1)
            hint = f"; did you mean {near[0]}?" if near else "; docs/operations.md lists them"
            raise click.BadParameter(f"there is no action {name!r}{hint}")
    return frozenset(value)


def _emails(context: click.Context, option: click.Parameter, value: tuple[str, ...]) -> frozenset[str]:
    del context, option
    for email in value:
        if "@" not in email:
            raise click.BadParameter(f"expected an e-mail address such as amy@example.com, not {email!r}")
    return frozenset(email.lower() for email in value)


def _moment(context: click.Context, option: click.Parameter, value: str | None) -> Moment | None:
    del context, option
    try:
        return Moment.parse(value) if value is not None else None
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@commands.command(short_help="Show the JSON lines of the log for people.")
@click.argument("files", nargs=-1, type=click.File("rb"), metavar="[FILE]...")
@click.option("--agent", "agents", multiple=True, callback=_emails, metavar="EMAIL", help="Of this agent. Repeatable.")
@click.option(
    "--action", "actions", multiple=True, callback=_known, metavar="NAME", help="With this `action`. Repeatable."
)
@click.option("--level", type=click.Choice(LEVELS), default=LEVELS[0], help="At least as grave.", show_default=True)
@click.option("--since", callback=_moment, metavar="TIME", help="From then on: 10:00, yesterday, 2026-11-21T10:00, 2h.")
@click.option("--until", callback=_moment, metavar="TIME", help="Before then.")
@click.option("--utc", is_flag=True, help="Show and take times in UTC; else by this machine's zone.")
@click.option("--json", "as_json", is_flag=True, help="Pass the lines on as they are; what is no JSON on stderr.")
def logs(
    files: tuple[BinaryIO, ...],
    *,
    agents: frozenset[str],
    actions: frozenset[str],
    level: str,
    since: Moment | None,
    until: Moment | None,
    utc: bool,
    as_json: bool,
) -> None:
    """Show JSON lines of the log as `log.format: console` writes them, as they come; from files or standard input.

    Lines that are not the daemon's, such as a traceback, are shown as they are; --agent and --action leave them out.
    """
    from calsyncd.clock import SystemClock
    from calsyncd.story import Story, colours

    now = SystemClock().now()
    wanted = Wanted(agents, actions, level, _at(since, now, utc=utc), _at(until, now, utc=utc))
    today = datetime.fromtimestamp(now, UTC) if utc else _here(now)
    tail = Tail(wanted, Story(colours=colours(sys.stdout, os.environ), utc=utc, today=today.date()), as_json)
    if not files and sys.stdin.isatty():
        click.echo("Reading lines of the log here. Usually: journalctl -u calsyncd -o cat -f | calsyncd logs", err=True)
    try:
        for stream in files or (sys.stdin.buffer,):
            for text, is_ours in tail.read(stream):
                out = sys.stdout.buffer if is_ours or not as_json else sys.stderr.buffer
                out.write(text)
                out.flush()
    except BrokenPipeError:
        # Whoever read has seen enough; the interpreter's last flush goes nowhere.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.exit(_SIGNED_OFF)


def _at(moment: Moment | None, now: float, *, utc: bool) -> float | None:
    if moment is None:
        return None
    if utc or not moment.is_local:
        return moment.at(UTC, now)
    # A time without a zone is this machine's, by its rules of that day.
    day = _here(now).date() + timedelta(days=moment.days or 0)
    return (moment.local or datetime.combine(day, moment.clock)).timestamp()


def _here(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone()
