"""`calsyncd init` without a terminal: flags answer, and all that is wrong is told at once."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
import yaml
from click.testing import CliRunner

from calsyncd import config
from calsyncd.cli import commands
from calsyncd.firstrun import Given, Incomplete, first_run
from calsyncd.sandbox.google_consent import Client
from calsyncd.web.gate import Gate
from tests.acceptance.running import free_port
from tests.web.test_admin import Desk
from tests.web.test_gate import listening

if TYPE_CHECKING:
    from pathlib import Path

    from calsyncd.sandbox.world import Sandbox

AMY = "amy@example.com"


@dataclass
class Newcomer:
    """Somebody with a sandbox for Google and Aircall, their files, and the flags of a good first run."""

    sandbox: Sandbox
    folder: Path
    given: Given
    said: list[str] = field(default_factory=list)

    async def run(self, **changes: str | bool | None) -> list[str]:
        """The faults, with the folder's name cut short."""
        given = replace(self.given, **changes)  # type: ignore[arg-type]
        self.said.clear()
        try:
            await asyncio.to_thread(first_run, given, None, self.said.append, {})
        except Incomplete as error:
            return [fault.replace(str(self.folder), "DIR") for fault in error.faults]
        return []

    @property
    def settings(self) -> Path:
        """Where they are written."""
        return self.folder / "etc" / "config.yaml"


@pytest.fixture
def newcomer(sandbox: Sandbox, tmp_path: Path) -> Newcomer:
    """Their files are as downloaded: others can read them."""
    for name in (AMY, "bob@example.com"):
        sandbox.add_agent(name, zone="Europe/Paris")
    sandbox.aircall.add_user("carl@example.com")
    for path in (found := sandbox.write_credentials(tmp_path)).google, found.aircall:
        path.chmod(0o644)
    (tmp_path / "client.json").write_text(json.dumps(sandbox.google.consent.client.file(sandbox.google.origin)))
    given = Given(
        config=str(tmp_path / "etc" / "config.yaml"),
        google_file=str(found.google),
        aircall_id=sandbox.aircall.api_id,
        aircall_token_file=str(found.aircall),
        listen="127.0.0.1:0",
        admin_listen="localhost:0",
        agents=f"{AMY.upper()}, bob@example.com",
        google_api_url=sandbox.google_url,
        aircall_api_url=sandbox.aircall_url,
    )
    return Newcomer(sandbox, tmp_path, given)


async def test_service_account_and_key(newcomer: Newcomer) -> None:
    """What is written loads, secrets are their owner's, and what comes next is said."""
    assert await newcomer.run() == []

    settings = config.load(newcomer.settings, {})
    assert [agent.email for agent in settings.agents] == [AMY, "bob@example.com"]
    assert settings.google.service_account is not None
    assert settings.aircall.api_token is not None
    assert settings.aircall.api_token.reveal() == newcomer.sandbox.aircall.api_token
    folder = newcomer.settings.parent
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"config.yaml": 0o644, "google.json": 0o600, "aircall-token": 0o600}
    said = "\n".join(newcomer.said)
    assert f"  good: the calendar of {AMY} can be read (Europe/Paris)" in newcomer.said
    assert f"  LoadCredential=google.json:{folder}/google.json" in newcomer.said
    assert f"  LoadCredential=aircall-token:{folder}/aircall-token" in newcomer.said
    assert f"  calsyncd check --config {newcomer.settings}" in newcomer.said
    assert newcomer.sandbox.aircall.api_token not in said


async def test_everybody_by_consent(newcomer: Newcomer) -> None:
    """An OAuth client is told by its content; it needs a public URL, and all may be followed."""
    file = str(newcomer.folder / "client.json")
    url = "https://demo.calsyncd.test"

    assert await newcomer.run(google_file=file, agents="all", public_url=url, mode="observe") == []

    settings = config.load(newcomer.settings, {})
    assert (settings.everybody, settings.mode, settings.server.public_url) == (True, "observe", url)
    assert settings.google.oauth_client is not None
    assert f"  Each agent opens {url}/google/connect" in newcomer.said


async def test_installed_app(newcomer: Newcomer) -> None:
    """An app has no key to try yet: its secret is kept, and the link for its admin is said."""
    (newcomer.folder / "secret").write_text("app-secret-1\n")
    flags = {"aircall_token_file": None, "aircall_secret_file": str(newcomer.folder / "secret")}

    assert await newcomer.run(**flags, public_url="https://demo.calsyncd.test") == []

    oauth = config.load(newcomer.settings, {}).aircall.oauth
    assert oauth is not None
    assert (oauth.client_id, oauth.client_secret.reveal()) == (newcomer.sandbox.aircall.api_id, "app-secret-1")
    assert (
        f"  An Aircall admin opens the link of: calsyncd connect --aircall --config {newcomer.settings}"
        in newcomer.said
    )


async def test_an_app_for_one_company_only(newcomer: Newcomer) -> None:
    """By a flag, for whoever knows Aircall's id of it; anything but an id is told."""
    (newcomer.folder / "secret").write_text("app-secret-1\n")
    flags = {"aircall_token_file": None, "aircall_secret_file": str(newcomer.folder / "secret")}
    flags["public_url"] = "https://demo.calsyncd.test"

    for wrong in ("acme", "0", "-1", "1" * 16):
        [fault] = await newcomer.run(**flags, aircall_company=wrong)
        assert "--aircall-company" in fault
    assert await newcomer.run(**flags, aircall_company="12345") == []

    oauth = config.load(newcomer.settings, {}).aircall.oauth
    assert oauth is not None
    assert oauth.company == 12345


async def test_all_faults_at_once(newcomer: Newcomer) -> None:
    """Nothing is written, and each wrong answer is told by its flag."""
    (newcomer.folder / "wrong-token").write_text("wrong")
    (newcomer.folder / "none.json").write_text("{}")
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        faults = await newcomer.run(
            config=str(newcomer.folder),
            google_file=str(newcomer.folder / "none.json"),
            aircall_token_file=str(newcomer.folder / "wrong-token"),
            public_url="http://calsync.example.com",
            listen=f"127.0.0.1:{port}",
            admin_listen="0.0.0.0:0",
            agents="amy",
            mode="watch",
        )

    assert [fault.split(": ")[0] for fault in faults] == [
        "--config",
        "--google-file",
        "--aircall-id, --aircall-token-file",
        "--public-url",
        "--listen",
        "--admin-listen",
        "--agents",
        "--mode",
    ]
    assert 'not a service account\'s key ("type" is not "service_account")' in faults[1]
    assert "Aircall refuses this API id and token" in faults[2]
    assert "must begin with https://" in faults[3]
    assert f"port {port} cannot be listened on (Address already in use)" in faults[4]
    assert not newcomer.settings.parent.exists()


async def test_beside_a_running_calsyncd(newcomer: Newcomer) -> None:
    """Its ports are good for the one that will take its place, and it is said that it has to go."""
    async with listening(Desk(), "127.0.0.1:0", Gate()) as running:
        assert await newcomer.run(admin_listen=running) == []

    assert f"  a calsyncd listens at {running} now: end it before this one is started" in newcomer.said


async def test_the_services_other_addresses(newcomer: Newcomer) -> None:
    """Given by flags they stand in the settings; one that is none is a fault before anything is written."""
    urls = {"google_revoke_url": newcomer.sandbox.google.revoke_url, "aircall_dashboard_url": "http://127.0.0.1:1"}

    assert await newcomer.run(**urls | {"google_revoke_url": "revoke"}) == [
        "--google-revoke-url: expected a URL such as https://calsync.example.com",
    ]
    assert not newcomer.settings.exists()
    assert await newcomer.run(**urls) == []
    written = yaml.safe_load(newcomer.settings.read_text())
    assert written["google"]["revoke_url"] == urls["google_revoke_url"]
    assert written["aircall"]["dashboard_url"] == urls["aircall_dashboard_url"]


async def test_missing_flags(newcomer: Newcomer) -> None:
    """What has no usual answer must be given."""
    faults = await newcomer.run(google_file=None, aircall_id=None, aircall_token_file=None, agents=None)

    assert [fault.split(": is missing")[0] for fault in faults] == [
        "--google-file",
        "--aircall-id",
        "--aircall-token-file",
        "--agents",
    ]


async def test_one_port_for_both(newcomer: Newcomer) -> None:
    """The page is not where Google and Aircall come in, unless the system chooses both ports."""
    port = f"127.0.0.1:{free_port()}"

    assert await newcomer.run(listen=port, admin_listen=port) == [
        "--admin-listen: the same as --listen; choose another port"
    ]
    assert await newcomer.run(listen="127.0.0.1:0", admin_listen="127.0.0.1:0") == []


async def test_stranger(newcomer: Newcomer) -> None:
    """Somebody without an Aircall user is named, with the nearest who has one."""
    assert await newcomer.run(agents="ammy@example.com bob@example.com") == [
        "--agents: no Aircall user has the e-mail address ammy@example.com (did you mean amy@example.com?)"
    ]


async def test_delegation_is_tried(newcomer: Newcomer) -> None:
    """A key that may not speak for the first agent is found out now, with who can mend it."""
    newcomer.sandbox.google.tokens.delegated = False

    [fault] = await newcomer.run()

    assert fault.startswith(f"--agents: {AMY}: Google does not let the service account read this calendar; ")
    assert fault.endswith("(this is up to: Google Workspace admin)")


async def test_odd_addresses_are_left_out(newcomer: Newcomer) -> None:
    """What is no e-mail address cannot be offered, least of all what would write into the terminal."""
    for odd in ("bell\x07@example.com", "nobody"):
        newcomer.sandbox.aircall.add_user(odd)

    assert await newcomer.run() == []
    assert "  good: Aircall answers, and has 3 users with an e-mail address" in newcomer.said


async def test_everybody_passes_over_strangers(newcomer: Newcomer) -> None:
    """With all, an Aircall user without a Google account does not stand in the way."""
    newcomer.sandbox.aircall.add_user("aaron@elsewhere.example")

    assert await newcomer.run(agents="all") == []
    assert f"  good: the calendar of {AMY} can be read (Europe/Paris)" in newcomer.said


async def test_wrong_client_secret(newcomer: Newcomer) -> None:
    """Google is asked whether it knows the client."""
    other = Client(secret="another")
    (newcomer.folder / "client.json").write_text(json.dumps(other.file(newcomer.sandbox.google.origin)))

    faults = await newcomer.run(
        google_file=str(newcomer.folder / "client.json"), public_url="https://demo.calsyncd.test"
    )

    assert len(faults) == 1
    assert faults[0].startswith("--google-file: DIR/client.json: Google does not know this client or its secret; ")


async def test_consent_needs_an_address(newcomer: Newcomer) -> None:
    """Without a public URL nobody could consent; one that the client does not list would be refused by Google."""
    file = str(newcomer.folder / "client.json")

    [missing] = await newcomer.run(google_file=file)
    [other] = await newcomer.run(google_file=file, public_url="https://other.example")

    assert missing.startswith("--public-url: is missing")
    assert "does not list https://other.example/google/callback" in other


async def test_nothing_is_overwritten(newcomer: Newcomer) -> None:
    """Settings and secrets that are there stay, unless the flag allows it."""
    assert await newcomer.run() == []
    first = newcomer.settings.read_text()
    there = "is there already: name another file, or give --overwrite to replace it"

    assert await newcomer.run(agents=AMY) == [f"--config: DIR/etc/config.yaml {there}"]
    newcomer.settings.unlink()
    (newcomer.settings.parent / "aircall-token").write_text("mine")
    assert await newcomer.run(agents=AMY) == [f"--config: DIR/etc/aircall-token {there}"]
    assert not newcomer.settings.exists()
    assert (newcomer.settings.parent / "aircall-token").read_text() == "mine"

    assert await newcomer.run(agents=AMY, overwrite=True) == []
    assert yaml.safe_load(newcomer.settings.read_text())["agents"] == [{"email": AMY}]
    assert first != newcomer.settings.read_text()


def test_exit_status(tmp_path: Path) -> None:
    """The command ends with 1 and a line for each flag, a mistyped word among them; nothing is written."""
    path = tmp_path / "config.yaml"
    flags = ["--config", str(path), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--mode", "watch"]

    ended = CliRunner().invoke(commands, ["init", *flags])

    assert ended.exit_code == 1
    assert [line.split(": ")[0] for line in ended.stdout.splitlines()] == [
        *("--google-file", "--aircall-id", "--aircall-token-file", "--agents", "--mode"),
    ]
    assert not path.exists()
