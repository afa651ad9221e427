"""Commands that see to what the daemon keeps: back it up, restore it, forget somebody."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from calsyncd.cli.api import NoDaemonError, ask, escaped
from calsyncd.cli.common import (
    actor_option,
    admin_option,
    commands,
    config_option,
    load_settings,
    reason_option,
    wait_for,
)
from calsyncd.errors import UserError

if TYPE_CHECKING:
    from calsyncd.backup import Manifest


@commands.command(short_help="Copy database, ledger and credentials into a file.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@config_option
def backup(file: Path, config_path: Path | None, *, force: bool) -> None:
    """Copy database, ledger and credentials into FILE, beside a running daemon or without one; `-` is standard output.

    The vault's key is not in it: keep a copy of that elsewhere.
    """
    from calsyncd import backup as room
    from calsyncd.clock import SystemClock

    settings, _ = load_settings(config_path)
    now = SystemClock().now()
    if str(file) == "-":
        if sys.stdout.isatty():
            raise UserError("a backup is no text for a terminal: name a file, or pipe it on", exit_code=2)
        manifest = room.stream(settings.state_dir, sys.stdout.buffer, now)
    else:
        manifest = room.back_up(settings.state_dir, file, now, force=force)
        click.echo(f"{file}: {_told(manifest)}; read back and in order.")
    if manifest.why_no_database is not None:
        click.echo(
            f"The database is not in it: {manifest.why_no_database}. It is a cache: without it the history is lost, and"
            " nobody's way back.",
            err=True,
        )
    if manifest.damaged:
        click.echo(
            f"{manifest.damaged} lines of the ledger are damaged, or of a newer calsyncd; they are in it as they are.",
            err=True,
        )


@commands.command(short_help="Fill the empty state directory from a backup.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--without-database", is_flag=True, help="Leave the database out: the history is lost, nothing else.")
@config_option
def restore(file: Path, config_path: Path | None, *, without_database: bool) -> None:
    """Fill the empty state directory from a backup; `-` is standard input. No daemon may run on it."""
    from calsyncd import backup as room
    from calsyncd.state import give_to_owner
    from calsyncd.vault import is_there

    settings, _ = load_settings(config_path)
    state = settings.state_dir
    try:
        with sys.stdin.buffer if str(file) == "-" else file.open("rb") as archive:
            manifest = room.restore(archive, state, without_database=without_database)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})", exit_code=1) from error
    give_to_owner(state)
    at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(manifest.made_at))
    left_out = " (the database was left out)" if without_database and manifest.schema is not None else ""
    click.echo(f"{state}: restored from the backup of {at}: {_told(manifest)}{left_out}.")
    if manifest.credentials and not is_there(settings.vault_key_file):
        click.echo(f"Put the vault's key back before you start: {settings.vault_key_file}", err=True)
    click.echo("Start calsyncd now. It must not run anywhere else with what this backup was made from.")


@commands.command(short_help="Erase all that is kept of somebody who is no agent.")
@click.argument("email")
@reason_option
@actor_option
@config_option
@admin_option
def forget(email: str, *, reason: str, actor: str, config_path: Path | None, admin: str | None) -> None:
    """Erase all that is kept of somebody who is no agent any more. Works with and without a running daemon."""
    try:
        path = f"/api/v1/agents/{escaped(email)}/forget"
        outcome = ask(config_path, admin, "POST", path, {"actor": actor, "reason": reason})
    except NoDaemonError:
        from calsyncd import logs, offline

        settings, file = load_settings(config_path)
        secrets = [secret.reveal() for secret in settings.secrets]
        logs.configure("error", settings.log.format, secrets, sys.stderr)
        work = offline.forget_without_daemon(settings, file, os.environ, email, actor=actor, reason=reason)
        outcome = wait_for(work)
    erased = ", ".join(_of_many(number, what) for what, number in outcome["erased"].items() if number)
    click.echo(f"{outcome['email']}: {f'erased: {erased}' if erased else 'nothing is kept of them here'}.")
    for sentence in outcome["left"]:
        click.echo(f"Not erased: {sentence}")


def _told(manifest: Manifest) -> str:
    parts = [f"the ledger ({_number(manifest.lines, 'line')}, {_number(manifest.held, 'agent')} held)"]
    if manifest.schema is not None:
        parts.append(f"the database (version {manifest.schema})")
    if manifest.credentials:
        parts.append(_number(manifest.credentials, "encrypted credential"))
    return ", ".join(parts)


def _number(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _of_many(number: int, what: str) -> str:
    """So many, of what the API names in the plural."""
    if number != 1:
        return f"{number} {what}"
    noun, of, rest = what.partition(" of ")
    return f"1 {f'{noun[:-3]}y' if noun.endswith('ies') else noun[:-1]}{of}{rest}"
