"""What the commands share: options, the settings, and how they end."""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from calsyncd import __version__
from calsyncd.errors import UserError

NOBODY = "command line"
"""Stands for who asks where the machine does not know."""

T = TypeVar("T")


config_option = click.option(
    "--config",
    "config_path",
    # Whoever may not read them has faulty settings (78), not a faulty command (2), which systemd would try for ever.
    type=click.Path(path_type=Path, readable=False),
    help="The settings; else $CALSYNCD_CONFIG, ./config.yaml, /etc/calsyncd/config.yaml.",
)
admin_option = click.option("--admin", help="Where the daemon's admin API listens; default: from the settings.")
reason_option = click.option("--reason", default="", metavar="TEXT", help="Why, for the history and the log.")


def login() -> str:
    """Who sits there: whoever called sudo, else the login name."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return NOBODY


actor_option = click.option(
    "--actor", default=login, metavar="WHO", help="Who asks, for the history and the log; default: the login name."
)


def duration(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """A duration as the API takes it: `90s`, `15m`, `2h`, `7d` or seconds."""
    del context, option
    if value is not None and not re.fullmatch(r"[0-9]{1,9}[smhdw]?", value):
        raise click.BadParameter("expected a duration such as 90s, 15m, 2h, 7d, or seconds")
    return value


def zone_name(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """The name of a zone that is known."""
    from calsyncd.core.hours import zone_of

    del context, option
    if value is not None and zone_of(value) is None:
        raise click.BadParameter("expected a zone such as Europe/Paris")
    return value


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="calsyncd")
def commands() -> None:
    """Keep call-centre agents' Aircall availability in step with their Google Calendar."""


def load_settings(config_path: Path | None) -> tuple[Any, Path]:
    """The settings and their file; prints all faults and ends if there are any."""
    from calsyncd import config

    path = config.find(config_path, os.environ)
    try:
        return config.load(path, os.environ), path
    except config.ConfigError as error:
        click.echo(str(error))
        sys.exit(error.exit_code)


def settings_if_any(config_path: Path | None) -> tuple[Any, Path] | None:
    """The settings, or None where none are named and none are found."""
    from calsyncd import config

    try:
        config.find(config_path, os.environ)
    except UserError:
        return None
    return load_settings(config_path)


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run this to its end; an interruption by hand ends the command."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        sys.exit(130)
