"""The commands. Exit codes are sysexits': 0 done, 1 failed, 2 usage, 69 no daemon, 75 taken, 78 configuration."""

from __future__ import annotations

import sys

import click

from calsyncd.cli import asking, connecting, deeds, doctor, examples, first, keeping, keys, logs, running
from calsyncd.cli.common import commands
from calsyncd.errors import UserError

__all__ = [
    "asking",
    "commands",
    "connecting",
    "deeds",
    "doctor",
    "examples",
    "first",
    "keeping",
    "keys",
    "logs",
    "main",
    "running",
]

examples.show(commands)


def main() -> None:
    """The entry point of the `calsyncd` command."""
    try:
        commands(prog_name="calsyncd")
    except UserError as error:
        click.echo(f"calsyncd: {error}", err=True)
        sys.exit(error.exit_code)
