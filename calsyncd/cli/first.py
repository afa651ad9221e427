"""`calsyncd init`: the first run."""

from __future__ import annotations

import os
import re
import sys

import click

from calsyncd.cli.common import commands
from calsyncd.terminal.paper import Paper

_TO_COPY = re.compile(r"  (calsyncd |systemctl |\w+=)")
"""Commands, and lines of a unit."""


class _Terminal:
    """The terminal that the command was called in."""

    def ask(self, question: str, default: str | None, *, hidden: bool) -> str:
        """Ask once: what is typed, or the default, or nothing; Ctrl-D and Ctrl-C end the command."""
        text = question if default is None else f"{question} [{default}]"
        text = _paper().wrapped(text, rest="  ")
        return str(click.prompt(text, default=default or "", show_default=False, hide_input=hidden)).strip()

    def say(self, line: str) -> None:
        """Print a line."""
        _say(line)


def _paper() -> Paper:
    return Paper.of(sys.stdout, os.environ)


def _say(line: str) -> None:
    """Print a line, broken between words unless it is there to be copied."""
    indent = " " * (len(line) - len(line.lstrip()))
    click.echo(line if _TO_COPY.match(line) else _paper().wrapped(line.lstrip(), indent, indent))


@commands.command(short_help="Ask a few questions; write settings and secrets.")
@click.option("--config", metavar="FILE", help="Where to write the settings.")
@click.option(
    "--google-file", metavar="FILE", help="A service account's key or an OAuth client, as Google gives it out."
)
@click.option("--aircall-by", metavar="key|app", help="By an API key, or an app that an admin installs.")
@click.option("--aircall-id", metavar="ID", help="The API id of the key, or the client id of the app.")
@click.option("--aircall-token-file", metavar="FILE", help="Holds the key's API token.")
@click.option("--aircall-secret-file", metavar="FILE", help="Holds the app's client secret.")
@click.option("--aircall-company", metavar="ID", help="Aircall's id of the only company that may install the app.")
@click.option(
    "--public-url", metavar="URL", help="How Google and Aircall reach this machine; none: calendars are polled."
)
@click.option("--listen", metavar="HOST:PORT", help="Where to listen for them.")
@click.option("--admin-listen", metavar="HOST:PORT", help="Where to show the page for operators.")
@click.option("--agents", metavar="EMAILS", help="Whose availability follows: addresses with commas between, or all.")
@click.option("--mode", metavar="act|observe", help="Change availability, or only show what would be.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there already.")
@click.option("--google-api-url", metavar="URL", help="Another Google Calendar, such as the sandbox's.")
@click.option("--aircall-api-url", metavar="URL", help="Another Aircall, such as the sandbox's.")
@click.option("--google-revoke-url", metavar="URL", help="Where such a Google takes back what agents granted.")
@click.option("--aircall-dashboard-url", metavar="URL", help="Where such an Aircall has its page for admins.")
def init(**flags: str | bool | None) -> None:
    """Ask a few questions, test each answer, and write settings and secrets. Without a terminal, flags answer."""
    from calsyncd.firstrun import Given, Incomplete, first_run

    given = Given(**{name: value for name, value in flags.items() if value is not None})  # type: ignore[arg-type]
    terminal = _Terminal() if sys.stdin.isatty() else None
    try:
        first_run(given, terminal, _say, os.environ)
    except Incomplete as error:
        for fault in error.faults:
            click.echo(fault)
        sys.exit(1)
