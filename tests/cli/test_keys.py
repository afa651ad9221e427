"""`calsyncd rotate-key`, on real files."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from calsyncd.cli import commands
from calsyncd.cli.keys import OF_SYSTEMD
from calsyncd.vault import Vault, read_keys
from tests.config.home import GOOD, furnish


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A good config.yaml; its state directory is `state` beside it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    account = {
        "type": "service_account",
        "private_key_id": "key1",
        "private_key": pem.decode(),
        "client_email": "calsync@example.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return furnish(tmp_path, json.loads(json.dumps(account))).write("config.yaml", GOOD)


def rotate(settings: Path, status: int, **environ: str | None) -> str:
    """What the command prints, which ends with `status`."""
    result = CliRunner().invoke(commands, ["rotate-key", "--config", str(settings)], env=environ)
    said = result.output + (str(result.exception) if result.exception else "")

    assert (result.exit_code if isinstance(result.exception, SystemExit | None) else "raised") in (status, "raised")
    assert getattr(result.exception, "exit_code", status) == status
    return said


def test_a_rotation_beside_a_running_daemon(settings: Path) -> None:
    """All is encrypted with a new key; a vault that was open goes on; the command says where the key is."""
    key = settings.parent / "state-key" / "vault.key"
    running = Vault.open(settings.parent / "state" / "credentials", key)
    running.put("google:amy@example.com", {"refresh_token": "1//secret"})
    old = read_keys(key).newest

    said = rotate(settings, 0)

    assert read_keys(key).names == {read_keys(key).newest}
    assert read_keys(key).newest != old
    assert f"1 credential encrypted with a new key ({read_keys(key).newest})" in said
    assert str(key) in said
    assert key.read_text().strip() not in said
    assert running.get("google:amy@example.com") == {"refresh_token": "1//secret"}


def test_nothing_to_rotate(settings: Path) -> None:
    """Before the first grant there is no key, and none is made."""
    assert "there is no key yet" in rotate(settings, 1)
    assert not (settings.parent / "state-key").exists()


def test_a_key_that_is_not_there(settings: Path) -> None:
    """It may have been lost, or be systemd's, which this command cannot see: both ways are told."""
    key = settings.parent / "state-key" / "vault.key"
    Vault.open(settings.parent / "state" / "credentials", key).put("aircall", {})
    key.unlink()

    said = rotate(settings, 78)

    assert f"{key}: no such file" in said
    assert "put the key back" in said
    assert OF_SYSTEMD in said


def test_a_systemd_credential(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left alone, and the command says what to do instead."""
    folder = settings.parent / "state-key"
    Vault.open(settings.parent / "state" / "credentials", folder / "vault.key").put("aircall", {})
    before = (folder / "vault.key").read_bytes()

    said = rotate(settings, 1, CREDENTIALS_DIRECTORY=str(folder))

    assert "nothing was changed" in said
    assert "systemctl restart calsyncd" in said
    assert (folder / "vault.key").read_bytes() == before


def test_what_is_said_of_systemd_works(tmp_path: Path) -> None:
    """The commands that are printed put a key above the old one, and the service's start does the rest."""
    key, folder = tmp_path / "vault-key", tmp_path / "credentials"
    Vault.open(folder, key).put("aircall", {"access_token": "secret"})
    old = read_keys(key).newest
    printed = [line.strip() for line in OF_SYSTEMD.splitlines() if line.startswith("    ")]
    script = "\n".join(line for line in printed if not line.startswith("systemctl"))

    subprocess.run(["sh", "-euc", script.replace("/etc/calsyncd/vault-key", str(key))], check=True)

    vault = Vault.open(folder, key)
    assert vault.renew() == 1
    assert len(read_keys(key).texts) == 2
    key.write_bytes(read_keys(key).texts[0])
    assert read_keys(key).newest != old
    assert Vault.open(folder, key).get("aircall") == {"access_token": "secret"}
