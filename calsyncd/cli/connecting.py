"""Invitations: the link by which an agent connects the calendar."""

from __future__ import annotations

import difflib
from pathlib import Path
from urllib.parse import quote

import click

from calsyncd.cli.common import commands, config_option, load_settings
from calsyncd.errors import UserError
from calsyncd.routes import GOOGLE_CONNECT


@commands.command()
@click.argument("email")
@config_option
def connect(email: str, config_path: Path | None) -> None:
    """Print the link by which this agent connects the calendar. Send it to them; it holds no secret."""
    settings, path = load_settings(config_path)
    if settings.google.oauth_client is None:
        raise UserError(
            f"{path}: google.service_account_file is set, so calendars are read by delegation and nobody connects;"
            " links are for google.oauth_client_file"
        )
    wanted = email.strip().lower()
    if "@" not in wanted:
        raise UserError(f"{email} is no e-mail address", exit_code=1)
    known = [agent.email.lower() for agent in settings.agents]
    if not settings.everybody and wanted not in known:
        near = difflib.get_close_matches(wanted, known, 1)
        meant = f"did you mean {near[0]}?" if near else "add them under agents: first"
        raise UserError(f"{email} is no agent in {path}: {meant}", exit_code=1)
    click.echo(f"{settings.server.public_url}{GOOGLE_CONNECT}?email={quote(wanted, safe='@')}")
