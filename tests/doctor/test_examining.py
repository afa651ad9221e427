"""What the doctor finds, against the sandbox with each fault switched on, and a public side that really listens."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner
from cryptography.fernet import Fernet

from calsyncd.cli import commands
from calsyncd.config import load
from calsyncd.doctor import Finding, Outcome, examine, opened
from calsyncd.sandbox.world import Sandbox
from calsyncd.state import nonce_proof, push_key
from calsyncd.vault import Vault
from calsyncd.web.server import serve


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def left_in(folder: Path) -> list[Path]:
    """The files there."""
    return list(folder.iterdir())


async def found(path: Path) -> dict[str, list[Finding]]:
    """What each check finds by these settings."""
    async with opened(load(path, {}), path, {}) as examined:
        return {check.name: findings async for check, findings in examine(examined, lambda _: None)}


def wrong(report: dict[str, list[Finding]]) -> dict[str, list[str]]:
    """Of each check that fails: code, agent and what to do, as one text a finding."""
    said = {
        name: [
            f"{one.code} {one.agent} {one.what} -> {one.owner}: {one.do}" for one in findings if one.outcome == "failed"
        ]
        for name, findings in report.items()
    }
    return {name: lines for name, lines in said.items() if lines}


@pytest.fixture
async def world(sandbox: Sandbox) -> Sandbox:
    """Amy and Bob."""
    sandbox.add_agent("bob@example.com", user_id=457)
    return sandbox


def settings(world: Sandbox, folder: Path, **extra: Any) -> Path:
    """Settings for both, without a public URL."""
    (folder / "state").mkdir(mode=0o700, exist_ok=True)
    return world.write_config(folder, ["amy@example.com", "bob@example.com"], public_url=None, extra=extra)


async def test_all_is_well(world: Sandbox, tmp_path: Path) -> None:
    """Nothing to mend, and each check says what it saw."""
    report = await found(settings(world, tmp_path))

    assert wrong(report) == {}
    assert list(report) == [
        *("disk", "vault", "clock", "aircall", "users", "webhooks", "google", "calendars", "public_url"),
    ]
    assert [one.agent for one in report["calendars"]] == ["amy@example.com", "bob@example.com"]
    assert left_in(tmp_path / "state") == []


async def test_a_wrong_aircall_key(world: Sandbox, tmp_path: Path) -> None:
    """One line says so, and what hangs on it is not tried; Google's are not concerned."""
    path = settings(world, tmp_path)
    world.aircall.api_token = "another"

    whole = await found(path)
    report = wrong(whole)

    assert set(report) == {"aircall"}
    for name in ("users", "webhooks"):
        assert [one.what for one in whole[name]] == ["not tried: first Aircall's credentials are to be mended"]
    assert whole["calendars"][0].outcome is Outcome.GOOD
    assert report["aircall"][0].startswith("aircall_credentials None Aircall refuses the API key")


async def test_delegation_off(world: Sandbox, tmp_path: Path) -> None:
    """It is one line for all, and the Workspace admin's turn; the key itself is good."""
    path = settings(world, tmp_path)
    world.google.tokens.delegated = False

    whole = await found(path)
    report = wrong(whole)

    assert whole["google"][0].what.startswith("Google knows them; whether the Calendar API is on")
    assert set(report) == {"calendars"}
    assert len(report["calendars"]) == 1
    assert report["calendars"][0].startswith("delegation None for all 2 calendars")
    assert "Google Workspace admin" in report["calendars"][0]


async def test_the_api_disabled(world: Sandbox, tmp_path: Path) -> None:
    """It is the project's fault, and the console is where to mend it."""
    path = settings(world, tmp_path)
    world.google.api_enabled = False

    report = wrong(await found(path))

    assert report["google"][0].startswith("api_disabled None")
    assert "Google Cloud console" in report["google"][0]


async def test_a_service_account_without_its_key(world: Sandbox, tmp_path: Path) -> None:
    """Google refuses it for everybody."""
    path = settings(world, tmp_path)
    world.google.fail("POST /token", times=None, status=401, body={"error": "invalid_client"})

    assert wrong(await found(path))["google"][0].startswith("service_account None")


async def test_a_suspended_user(world: Sandbox, tmp_path: Path) -> None:
    """That agent's line, and no other."""
    path = settings(world, tmp_path)
    world.google.tokens.suspended.add("bob@example.com")

    report = wrong(await found(path))

    assert set(report) == {"calendars"}
    assert [line[:30] for line in report["calendars"]] == ["invalid_grant bob@example.com "]


async def test_a_calendar_that_is_gone(world: Sandbox, tmp_path: Path) -> None:
    """The line names agent and calendar."""
    (tmp_path / "state").mkdir(mode=0o700)
    agent = {"email": "amy@example.com", "calendars": ["primary", "team@group.calendar.google.com"]}
    path = world.write_config(tmp_path, [agent], public_url=None)

    report = wrong(await found(path))

    assert [line[:50] for line in report["calendars"]] == ["calendar_gone amy@example.com the calendar is gone"]
    assert "team@group.calendar.google.com" in report["calendars"][0]


@pytest.mark.parametrize(("skew", "said"), [(90.0, "90 s behind"), (-40.0, "40 s ahead of")])
async def test_a_clock_that_is_off(world: Sandbox, tmp_path: Path, skew: float, said: str) -> None:
    """Both services agree that it is ours, and which way."""
    world.google.clock_skew = world.aircall.clock_skew = skew

    report = wrong(await found(settings(world, tmp_path)))

    assert said in report["clock"][0]
    assert "timedatectl" in report["clock"][0]


async def test_clocks_that_disagree(world: Sandbox, tmp_path: Path) -> None:
    """Ours is not judged by services that differ."""
    world.google.clock_skew = 90.0

    report = await found(settings(world, tmp_path))

    assert "clock" not in wrong(report)
    assert "differ" in report["clock"][0].what


async def test_an_unknown_aircall_user(world: Sandbox, tmp_path: Path) -> None:
    """With the nearest one that there is."""
    world.aircall.remove_user(457)
    world.aircall.add_user("bobb@example.com")

    report = wrong(await found(settings(world, tmp_path)))

    assert set(report) == {"users"}
    assert report["users"][0].startswith(
        "aircall_user_unknown bob@example.com there is no Aircall user bob@example.com (did you mean bobb@example.com?)"
    )


async def test_services_that_do_not_answer(world: Sandbox, tmp_path: Path) -> None:
    """Every check ends, and each service's first says where to look."""
    path = settings(world, tmp_path)
    await world.google.stop()
    await world.aircall.stop()

    whole = await found(path)
    report = wrong(whole)

    assert set(report) == {"clock", "aircall", "google"}
    assert all(whole[name][0].what.startswith("not tried: ") for name in ("users", "webhooks", "calendars"))
    assert all("HTTPS_PROXY" in report[name][0] for name in report)


# -- the machine -------------------------------------------------------------------------------------------------------


async def test_a_state_directory_that_others_can_enter(world: Sandbox, tmp_path: Path) -> None:
    """The mode is told, and the command that mends it."""
    path = settings(world, tmp_path)
    (tmp_path / "state").chmod(0o755)

    assert "chmod 0700" in wrong(await found(path))["disk"][0]


async def test_a_state_directory_that_cannot_be_looked_at(world: Sandbox, tmp_path: Path) -> None:
    """Every check ends all the same."""
    report = wrong(await found(settings(world, tmp_path, state_dir="s" * 300)))

    assert set(report) == {"disk", "vault"}
    assert all("cannot be looked at (File name too long)" in lines[0] for lines in report.values())


async def test_a_full_disk(world: Sandbox, tiny_disk: Path, tmp_path: Path) -> None:
    """Little space is told before it is none."""
    state = tiny_disk / "state"
    state.mkdir(mode=0o700)

    assert "free space" in wrong(await found(settings(world, tmp_path, state_dir=str(state))))["disk"][0]


async def test_before_the_first_start_nothing_is_made(world: Sandbox, tmp_path: Path) -> None:
    """Neither state directory nor key: both belong to the service's user, who makes them."""
    path = world.write_config(tmp_path, ["amy@example.com"], consent=True)
    before = left_in(tmp_path)
    report = wrong(await found(path))

    assert left_in(tmp_path) == before
    assert report["calendars"][0].startswith("not_connected amy@example.com")


async def test_a_lost_vault_key_is_a_finding(world: Sandbox, tmp_path: Path) -> None:
    """Told as any other fault, also to programs; nothing is made in its place."""
    path = world.write_config(tmp_path, ["amy@example.com"], consent=True, extra={"vault_key_file": "./vault.key"})
    Vault.open(tmp_path / "state" / "credentials", tmp_path / "vault.key").put("google:amy@example.com", {})
    (tmp_path / "vault.key").unlink()
    result = await asyncio.to_thread(CliRunner().invoke, commands, ["doctor", "--json", "--config", str(path)])
    checks = json.loads(result.stdout)["checks"]

    assert result.exit_code == 1
    assert [(one["check"], one["findings"][0]["outcome"]) for one in checks] == [
        ("settings", "good"),
        ("vault", "failed"),
    ]
    assert "vault.key: no such file" in checks[1]["findings"][0]["what"]
    assert not (tmp_path / "vault.key").exists()


async def test_the_vault(world: Sandbox, tmp_path: Path) -> None:
    """A key that is another, a file that is damaged, and one that holds to an older key."""
    path, folder, key = (
        settings(world, tmp_path),
        tmp_path / "state" / "credentials",
        tmp_path / "state-key" / "vault.key",
    )
    made = Vault.open(folder, key)
    made.put("google:amy@example.com", {})
    made.put("aircall", {})
    assert "vault" not in wrong(await found(path))

    key.write_bytes(Fernet.generate_key() + b"\n" + key.read_bytes())
    assert "2 credentials hold to an older key" in wrong(await found(path))["vault"][0]

    made.renew()
    next(folder.glob("[0-9a-f]*")).write_bytes(b"scribbled")
    assert len(wrong(await found(path))["vault"]) == 1

    key.write_bytes(Fernet.generate_key())
    before = {file: file.read_bytes() for file in folder.iterdir()}
    assert "opens only with key" in wrong(await found(path))["vault"][0]
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


# -- the public URL ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def listening(port: int, text: str | bytes | None, status: int = 200, healthy: int = 0) -> AsyncIterator[None]:
    """Who answers /healthz with `text`, or with the HMAC by a push key; push is `healthy` for so many calendars."""

    async def healthz(request: web.Request) -> web.Response:
        body = nonce_proof(text, request.query["nonce"]) if isinstance(text, bytes) else text
        return web.Response(status=status, text=body or "ok\n")

    async def overview(_: web.Request) -> web.Response:
        return web.json_response({"push": {"healthy": healthy}})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/api/v1/overview", overview)
    async with serve(app, f"127.0.0.1:{port}"):
        yield


class Public:
    """Settings whose public URL leads to a port of this machine, and whose daemon listens at another one."""

    def __init__(self, world: Sandbox, folder: Path) -> None:
        (folder / "state").mkdir(mode=0o700)
        self.key = push_key(folder / "state")
        self.port, self.admin = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.path = world.write_config(
            folder,
            ["amy@example.com"],
            admin_listen=f"127.0.0.1:{self.admin}",
            public_url=self.url,
            extra={"aircall": {"webhooks": False}},
        )

    async def told(self) -> Finding:
        """What the check says."""
        return (await found(self.path))["public_url"][0]


@pytest.fixture
def public(world: Sandbox, tmp_path: Path) -> Public:
    """Nobody listens yet."""
    return Public(world, tmp_path)


async def test_the_url_leads_to_the_daemon(public: Public) -> None:
    """Only the daemon of this state directory answers a nonce so; one that is not well is told too."""
    async with listening(public.port, public.key):
        assert (await public.told()).outcome is Outcome.GOOD
    async with listening(public.port, public.key, 503):
        assert "not well" in (await public.told()).what


async def test_no_daemon_runs(public: Public) -> None:
    """It is said, and is no fault of the URL."""
    first = await public.told()
    async with listening(public.port, "Bad Gateway", 502):
        second = await public.told()

    assert (first.outcome, second.outcome) == (Outcome.NOTE, Outcome.NOTE)
    assert "no daemon runs" in first.what
    assert "it answers 502" in second.what


async def test_a_url_that_leads_elsewhere(public: Public) -> None:
    """While the daemon runs: to nobody, to another program, to another calsyncd, to one that redirects."""
    async with listening(public.admin, None):
        nobody = await public.told()
        async with listening(public.port, "<html>", 200):
            other = await public.told()
        async with listening(public.port, b"k" * 32):
            sibling = await public.told()

    assert [one.outcome for one in (nobody, other, sibling)] == [Outcome.FAILED] * 3
    assert "cannot be reached" in nobody.what
    assert "does not lead to this daemon: 200" in other.what
    assert "another calsyncd" in sibling.what


async def test_a_network_that_cannot_reach_its_own_address(public: Public) -> None:
    """Nobody answers from here, and yet Google's messages arrive: nothing is to be mended."""
    async with listening(public.admin, None, healthy=1):
        told = await public.told()

    assert (told.outcome, told.do) == (Outcome.NOTE, "")
    assert "Google's messages arrive" in told.what


async def test_an_address_for_tests(public: Public) -> None:
    """A name under .test leads nowhere by its nature."""
    public.path.write_text(public.path.read_text().replace(public.url, "https://demo.calsyncd.test"))

    assert (await public.told()).outcome is Outcome.NOTE


async def test_webhooks(public: Public, world: Sandbox) -> None:
    """Ours is missed, switched off, short of events, or in order."""
    text = public.path.read_text().replace("webhooks: false", "webhooks: true").replace(public.url, "https://d.example")
    public.path.write_text(text)
    webhooks = world.aircall.webhooks

    async def told() -> Finding:
        return (await found(public.path))["webhooks"][0]

    assert (await told()).outcome is Outcome.NOTE
    async with listening(public.admin, None):
        assert "ours is not there" in (await told()).what
    ours = webhooks.add({"url": "https://d.example/webhooks/aircall"})
    assert (await told()).outcome is Outcome.GOOD
    ours.events = ("user.opened.v2",)
    assert "lacks events" in (await told()).what
    ours.active = False
    assert "switched ours off" in (await told()).what


# -- the command -------------------------------------------------------------------------------------------------------


async def test_the_command(world: Sandbox, tmp_path: Path) -> None:
    """Lines with what to do, a progress line for each check, exit status 1; as JSON the same."""
    path = settings(world, tmp_path)
    world.google.tokens.suspended.add("bob@example.com")

    async def run(*arguments: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "calsyncd", "doctor", "--config", str(path), *arguments]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()

    (status, out, err), (json_status, as_json, _) = await asyncio.gather(run(), run("--json"))

    assert (status, json_status) == (1, 1)
    assert "calendars   FAIL  bob@example.com: Google does not know this user" in out
    assert "                  -> operator: check the e-mail address" in out
    assert "users       good  2 agents have an Aircall user" in out
    assert out.endswith("\n1 to mend.\n")
    assert err.count("looking at ") == 10
    body = json.loads(as_json)
    assert body["ok"] is False
    failed = [one for check in body["checks"] for one in check["findings"] if one["outcome"] == "failed"]
    assert [(one["agent"], one["code"]) for one in failed] == [("bob@example.com", "invalid_grant")]
    assert all(secret not in out + as_json + err for secret in (world.aircall.api_token, "PRIVATE KEY"))


async def test_a_note_that_asks_for_something_is_not_all_well(public: Public) -> None:
    """The last line does not say the contrary of one above it."""
    run = await asyncio.to_thread(CliRunner().invoke, commands, ["doctor", "--config", str(public.path)])

    assert run.exit_code == 0
    assert "-> operator: start calsyncd" in run.stdout
    assert run.stdout.endswith("\nNothing to mend; see the notes above.\n")


def test_faulty_settings(tmp_path: Path) -> None:
    """Each fault is a line; nothing else is looked at."""
    path = tmp_path / "config.yaml"
    path.write_text("googel: {}\n")

    done = CliRunner().invoke(commands, ["doctor", "--config", str(path)])

    assert done.exit_code == 1
    assert f"settings    FAIL  {path}:1:1: googel: unknown key" in done.stdout
    assert "aircall     " not in done.stdout
