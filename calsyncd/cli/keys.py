"""Commands that see to the vault's key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from calsyncd.cli.common import commands, config_option, load_settings
from calsyncd.errors import UserError

CREDENTIALS = Path("/run/credentials")
"""Where systemd puts the credentials of services."""

OF_SYSTEMD = """\
A systemd credential cannot change while the service runs, and calsyncd cannot write the file that it comes from.
Put a new key above the old one in that file, here /etc/calsyncd/vault-key, and restart; the service encrypts
everything with the first line when it starts:

    umask 077
    { head -c 32 /dev/urandom | base64 | tr '+/' '-_'; cat /etc/calsyncd/vault-key; } > /etc/calsyncd/vault-key.new
    mv /etc/calsyncd/vault-key.new /etc/calsyncd/vault-key
    systemctl restart calsyncd

Once `calsyncd doctor` finds the vault in order, delete the lines below the first and restart again."""


@commands.command("rotate-key", short_help="Encrypt what was granted with a new key.")
@config_option
def rotate_key(config_path: Path | None) -> None:
    """Encrypt what agents and Aircall granted with a new key, and drop the old one. A running daemon goes on."""
    from calsyncd.vault import Vault, is_there, read_keys

    settings, _ = load_settings(config_path)
    folder, key_file = settings.credentials, settings.vault_key_file
    _refuse_credential(key_file, os.environ)
    if not is_there(key_file):
        _refuse_missing(folder, key_file)
    count = Vault.open(folder, key_file).rotate()
    named = f"{count} credential{'' if count == 1 else 's'}"
    click.echo(f"{named} encrypted with a new key ({read_keys(key_file).newest}); the old one is dropped.")
    click.echo("A running calsyncd works with it from now on. Keep a copy of the new key, apart from the backups of")
    click.echo(f"{settings.state_dir}: {key_file}")


def _refuse_credential(key_file: Path, environ: Any) -> None:
    given = environ.get("CREDENTIALS_DIRECTORY")
    if key_file.is_relative_to(CREDENTIALS) or (given and key_file.is_relative_to(given)):
        raise UserError(f"{key_file}: nothing was changed. {OF_SYSTEMD}", exit_code=1)


def _refuse_missing(folder: Path, key_file: Path) -> None:
    """UserError that says why there is no key here."""
    from calsyncd.vault import holds_credentials

    if not holds_credentials(folder):
        raise UserError(
            f"{key_file}: there is no key yet, and nothing that it would open: both are made when the first agent"
            " connects",
            exit_code=1,
        )
    raise UserError(
        f"{key_file}: no such file, and {folder} holds credentials: put the key back from where you keep it, or name"
        " its place as vault_key_file; nothing was changed.\nIf the service has its key by LoadCredential=vault-key:"
        f" {OF_SYSTEMD}"
    )
