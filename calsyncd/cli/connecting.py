"""Invitations: the links by which an agent connects the calendar, and an Aircall admin installs the app."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from calsyncd.cli.common import commands, config_option, load_settings
from calsyncd.core.matching import nearest
from calsyncd.errors import UserError
from calsyncd.routes import AIRCALL_INSTALL, GOOGLE_CONNECT


@commands.command(short_help="Print the link by which a calendar or Aircall is connected.")
@click.argument("email", required=False)
@click.option("--aircall", is_flag=True, help="The link by which an Aircall admin installs the app, for seven days.")
@config_option
def connect(email: str | None, *, aircall: bool, config_path: Path | None) -> None:
    """Print the link by which this agent connects the calendar, which holds no secret, or an Aircall admin installs."""
    if aircall == (email is not None):
        raise click.UsageError("give an agent's e-mail address, or --aircall")
    settings, path = load_settings(config_path)
    click.echo(_install_link(settings, path) if email is None else _connect_link(email, settings, path))
    if aircall:
        click.echo(_install_advice(settings), err=True)


def _connect_link(email: str, settings: Any, path: Path) -> str:
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
        near = nearest(wanted, known)
        meant = f"did you mean {near}?" if near else "add them under agents: first"
        raise UserError(f"{email} is no agent in {path}: {meant}", exit_code=1)
    return f"{settings.server.public_url}{GOOGLE_CONNECT}?email={quote(wanted, safe='@')}"


def _install_link(settings: Any, path: Path) -> str:
    from calsyncd.clock import SystemClock
    from calsyncd.state import invitation

    if settings.aircall.oauth is None:
        raise UserError(f"{path}: aircall.api_id is set, so nobody installs an app; the link is for aircall.oauth")
    link = f"{settings.server.public_url}{AIRCALL_INSTALL}"
    if settings.aircall.oauth.company is not None:
        return link
    return f"{link}?key={invitation(settings.state_dir, SystemClock().now())}"


def _install_advice(settings: Any) -> str:
    company = settings.aircall.oauth.company
    if company is not None:
        return f"Only company {company} can install the app: aircall.oauth.company says so. The link holds no secret."
    return (
        "Send it to an Aircall admin of your company, by a way that nobody else reads: for seven days, the company of\n"
        "whoever opens it first becomes the one whose agents are followed."
    )
