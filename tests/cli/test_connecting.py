"""`calsyncd connect`, on real files."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from calsyncd.cli import commands
from calsyncd.errors import UserError
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.world import Sandbox

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
