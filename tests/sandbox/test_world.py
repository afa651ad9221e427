"""The sandbox as a whole: credentials, settings, addresses."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import yaml
from google.oauth2 import service_account

from calsyncd.sandbox.world import Sandbox

from .clients import AMY


async def test_credentials_are_files_for_their_owner(sandbox: Sandbox, tmp_path: Path) -> None:
    """A key file that Google's own library reads, and Aircall's token; mode 0600."""
    found = sandbox.write_credentials(tmp_path)
    key = json.loads(found.google.read_text())

    assert key["token_uri"] == sandbox.token_uri
    assert service_account.Credentials.from_service_account_file(found.google) is not None  # type: ignore[no-untyped-call]
    assert found.aircall.read_text().strip() == sandbox.aircall.api_token
    assert {stat.S_IMODE(path.stat().st_mode) for path in (found.google, found.aircall, found.client)} == {0o600}


async def test_settings_lead_to_the_sandbox(sandbox: Sandbox, tmp_path: Path) -> None:
    """The addresses are the sandbox's, extra keys are merged in, pushes are led to the daemon."""
    path = sandbox.write_config(
        tmp_path,
        [AMY, {"email": "ben@example.com", "aircall_user": 7}],
        listen="127.0.0.1:9999",
        extra={"google": {"horizon": "2d"}, "rules": {"lead": "1s"}},
    )
    config = yaml.safe_load(path.read_text())

    assert config["google"] == {
        "service_account_file": "./google.json",
        "api_url": sandbox.google_url,
        "horizon": "2d",
    }
    assert config["aircall"]["api_url"] == sandbox.aircall_url
    assert config["agents"][1] == {"email": "ben@example.com", "aircall_user": 7}
    assert config["rules"] == {"lead": "1s"}
    assert config["server"]["public_url"] == "https://demo.calsyncd.test"
    assert sandbox.deliver_to == "http://127.0.0.1:9999"


async def test_agents_can_connect_on_their_own(sandbox: Sandbox, tmp_path: Path) -> None:
    """With the client's file, which names where browsers are led back to."""
    path = sandbox.write_config(tmp_path, [AMY], public_url="http://127.0.0.1:9999", consent=True)
    config = yaml.safe_load(path.read_text())
    client = json.loads((tmp_path / "client.json").read_text())["web"]

    assert config["google"] == {
        "oauth_client_file": "./client.json",
        "api_url": sandbox.google_url,
        "revoke_url": sandbox.google.revoke_url,
    }
    assert client["redirect_uris"] == ["http://127.0.0.1:9999/google/callback"]
    assert (client["token_uri"], client["auth_uri"]) == (
        sandbox.token_uri,
        sandbox.google.origin + "/o/oauth2/v2/auth",
    )


async def test_without_public_url_there_is_no_push(sandbox: Sandbox, tmp_path: Path) -> None:
    """The setting is left out, and nothing is delivered."""
    path = sandbox.write_config(tmp_path, "all", public_url=None)

    assert "public_url" not in yaml.safe_load(path.read_text())["server"]
    assert sandbox.deliver_to is None


async def test_only_loopback_is_bound(sandbox: Sandbox) -> None:
    """Both services are on 127.0.0.1."""
    assert sandbox.google_url.startswith("http://127.0.0.1:")
    assert sandbox.aircall_url.startswith("http://127.0.0.1:")


async def test_a_taken_port_is_an_error_that_leaves_nothing_open(sandbox: Sandbox) -> None:
    """The second sandbox on the same port fails at its start."""
    port = int(sandbox.aircall_url.rpartition(":")[2])

    with pytest.raises(OSError, match="address already in use"):
        async with Sandbox(aircall_port=port):
            pass
