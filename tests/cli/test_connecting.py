"""`calsyncd connect`, on real files."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from calsyncd.cli import commands
from calsyncd.clock import SystemClock
from calsyncd.errors import UserError
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.world import Sandbox
from calsyncd.state import is_invitation, push_key

AGENTS = ["amy@example.com", "Amy+Calls@example.com"]


async def settings(folder: Path, agents: list[str] | str = AGENTS, *, consent: bool = True) -> Path:
    """The settings of a company whose agents consent, or of one with a service account."""
    async with Sandbox() as sandbox:
        path = sandbox.write_config(folder, agents)
    if consent:
        config = yaml.safe_load(path.read_text())
        del config["google"]["service_account_file"]
        config["google"]["oauth_client_file"] = "./client.json"
        path.write_text(yaml.safe_dump(config))
    return path


def connect(path: Path, email: str) -> tuple[int, str]:
    """What the command ends with and says."""
    result = CliRunner().invoke(commands, ["connect", email, "--config", str(path)])
    if isinstance(result.exception, UserError):
        return result.exception.exit_code, str(result.exception)
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("email", "query"),
    [
        ("amy@example.com", "amy@example.com"),
        (" AMY@example.com", "amy@example.com"),
        ("amy+calls@example.com", "amy%2Bcalls@example.com"),
    ],
)
async def test_the_link_names_the_agent(tmp_path: Path, email: str, query: str) -> None:
    """One line, for a mail or a script."""
    path = await settings(tmp_path)

    assert connect(path, email) == (0, f"{PUBLIC_ORIGIN}/google/connect?email={query}\n")


async def test_who_is_no_agent_is_refused_by_name(tmp_path: Path) -> None:
    """With the nearest one, if there is a near one."""
    path = await settings(tmp_path)
    near, far = connect(path, "ami@example.com"), connect(path, "zoe@elsewhere.org")

    assert near == (1, f"ami@example.com is no agent in {path}: did you mean amy@example.com?")
    assert far == (1, f"zoe@elsewhere.org is no agent in {path}: add them under agents: first")


async def test_everybody_may_be_invited_where_everybody_is_followed(tmp_path: Path) -> None:
    """Who that is stands in Aircall, not in the settings; but it must be an address."""
    path = await settings(tmp_path, "all")

    assert connect(path, "zoe@example.com")[0] == 0
    assert connect(path, "zoe") == (1, "zoe is no e-mail address")


async def test_a_service_account_needs_no_consent(tmp_path: Path) -> None:
    """The settings are named, and what they would need."""
    path = await settings(tmp_path, consent=False)
    status, said = connect(path, "amy@example.com")

    assert status == 78
    assert str(path) in said
    assert "google.service_account_file" in said
    assert "google.oauth_client_file" in said


async def app_settings(folder: Path, company: int | None = None) -> Path:
    """The settings of a company at which an app is to be installed."""
    async with Sandbox() as sandbox:
        path = sandbox.write_config(folder, AGENTS)
    config = yaml.safe_load(path.read_text())
    (folder / "app-secret").touch(mode=0o600)
    (folder / "app-secret").write_text("secret-of-the-app")
    pin = {} if company is None else {"company": company}
    oauth = {"client_id": "app", "client_secret_file": "./app-secret", **pin}
    config["aircall"] = {"oauth": oauth}
    config["state_dir"] = str(folder / "state")
    path.write_text(yaml.safe_dump(config))
    return path


async def test_the_install_link_is_one_that_the_daemon_knows(tmp_path: Path) -> None:
    """The link alone stands on standard output; what to do with it, beside it. The daemon must have run before."""
    path = await app_settings(tmp_path)
    early = connect(path, "--aircall")
    (tmp_path / "state").mkdir()
    key = push_key(tmp_path / "state")
    result = CliRunner().invoke(commands, ["connect", "--aircall", "--config", str(path)])
    page, _, word = result.stdout.strip().partition("?key=")
    now = SystemClock().now()

    assert early[0] == 78
    assert "start calsyncd first" in early[1]
    assert result.exit_code == 0
    assert page == f"{PUBLIC_ORIGIN}/aircall/oauth/install"
    assert is_invitation(key, word, now)
    assert is_invitation(key, word, now + 7 * 86400 - 60)
    assert not is_invitation(key, word, now + 7 * 86400 + 1)
    assert "for seven days" in result.stderr
    assert key.hex() not in result.output


async def test_a_pinned_company_needs_no_key(tmp_path: Path) -> None:
    """The plain page begins then."""
    path = await app_settings(tmp_path, company=12345)
    result = CliRunner().invoke(commands, ["connect", "--aircall", "--config", str(path)])

    assert result.stdout == f"{PUBLIC_ORIGIN}/aircall/oauth/install\n"
    assert "Only company 12345" in result.stderr


async def test_an_api_key_needs_no_installation(tmp_path: Path) -> None:
    """The settings are named; and neither nobody nor both can be meant."""
    path = await settings(tmp_path)
    status, said = connect(path, "--aircall")
    both = CliRunner().invoke(commands, ["connect", "amy@example.com", "--aircall", "--config", str(path)])
    nobody = CliRunner().invoke(commands, ["connect", "--config", str(path)])

    assert status == 78
    assert "aircall.oauth" in said
    assert [both.exit_code, nobody.exit_code] == [2, 2]
    assert "give an agent's e-mail address, or --aircall" in nobody.output
