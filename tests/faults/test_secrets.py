"""Secrets are planted, all at once, and looked for wherever a daemon writes, answers, falls, or can be looked into."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp

from calsyncd.sandbox.google_times import second
from calsyncd.sandbox.world import Sandbox
from tests.acceptance.browsing import told
from tests.acceptance.conftest import prepare, sandbox  # noqa: F401 - fixtures
from tests.acceptance.running import Running

ROOT = Path(__file__).parents[2]
AMY = "amy@example.com"
ADMIN_TOKEN = "planted-admin-token-4711"
ALERTS_URL = "https://127.0.0.1:9/services/T0PLANTED/alerts-are-secret"
PROXY_PASSWORD = "planted-proxy-password-4711"


def plant(path: Path, content: str) -> None:
    """A secret's file, its owner's alone."""
    path.touch(mode=0o600)
    path.write_text(content + "\n", encoding="utf-8")


async def answers(daemon: Running) -> dict[str, bytes]:
    """Everything that can be asked for without changing anything, by path, with the token and without."""
    found = {}
    for who, headers in (("nobody", {}), ("operator", {"Authorization": f"Bearer {ADMIN_TOKEN}"})):
        async with aiohttp.ClientSession(daemon.admin, headers=headers) as session:
            async with session.get("/api/v1/openapi.json") as answer:
                raw = await answer.read()
            if answer.status == 200:
                paths = [path for path, methods in json.loads(raw)["paths"].items() if "get" in methods]
            else:
                paths = ["/", "/metrics", "/api/v1/agents"]
            for path in paths:
                if path.endswith("/stream"):
                    continue
                async with session.get(path.replace("{email}", AMY), params={"at": second(time.time())}) as answer:
                    found[f"{who}: {path}"] = json.dumps(dict(answer.headers)).encode() + await answer.read()
    assert len(found) > 20
    return found


def files(*folders: Path) -> dict[str, bytes]:
    """Every file in these folders but the keys themselves."""
    return {
        str(path): path.read_bytes()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.name not in {"push.key", "vault.key"}
    }


def cores(*folders: Path) -> list[Path]:
    """What a crash has left."""
    return [path for folder in folders for path in folder.glob("core*") if path.is_file()]


def used(world: Sandbox) -> set[str]:
    """What the daemon has shown the services, and they it: credentials, tokens of access, tokens of channels."""
    found = {request.headers.get("Authorization", "") for request in world.aircall.requests}
    for request in world.google.requests:
        found |= {value.removeprefix("Bearer ") for name, value in request.headers.items() if name == "Authorization"}
        if request.path.endswith("/watch"):
            found.add(json.loads(request.body)["token"])
        if request.path.endswith("/token"):
            found.add(json.loads(request.answer).get("access_token", ""))
            found.add(request.body.decode().partition("assertion=")[2])
    return {one.removeprefix("Basic ") for one in found if one}


async def test_a_planted_secret_is_nowhere(
    sandbox: Sandbox,  # noqa: F811
    prepare: Callable[..., Running],  # noqa: F811
    tmp_path: Path,
) -> None:
    """Neither in log, traceback, API, page, metrics, database, temporary files, nor command line.

    No core dump may be written, and every file of the state directory is its owner's alone.
    """
    sandbox.add_agent(AMY, user_id=1)
    now = time.time()
    sandbox.google.insert(
        AMY, {"start": {"dateTime": second(now - 60)}, "end": {"dateTime": second(now + 3600)}, "summary": "x"}
    )
    plant(tmp_path / "admin-token", ADMIN_TOKEN)
    plant(tmp_path / "alerts-url", ALERTS_URL)
    daemon = prepare(
        [AMY, "nobody@example.com"],
        server={"admin_token_file": "./admin-token"},
        alerts={"url_file": "./alerts-url"},
        log={"level": "debug", "format": "json"},
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    daemon.environ = {
        **os.environ,
        "TMPDIR": str(scratch),
        "HTTPS_PROXY": f"http://me:{PROXY_PASSWORD}@127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
    }
    limits_here = resource.getrlimit(resource.RLIMIT_CORE)
    assert limits_here[1] != 0, "none can be written here anyway"
    resource.setrlimit(resource.RLIMIT_CORE, (limits_here[1], limits_here[1]))
    await daemon.start()
    resource.setrlimit(resource.RLIMIT_CORE, limits_here)
    await daemon.logged("held", agent=AMY)
    await daemon.logged("channel_opened")
    sandbox.aircall.fail("PUT", status=401, times=1)
    sandbox.google.fail("/events", status=401, times=1)
    sandbox.google.insert(
        AMY, {"start": {"dateTime": second(now - 60)}, "end": {"dateTime": second(now + 9)}, "summary": "y"}
    )
    await asyncio.sleep(1.0)
    said = await answers(daemon)
    assert daemon.process is not None
    proc = Path(f"/proc/{daemon.process.pid}")
    seen_by_others = {"cmdline": (proc / "cmdline").read_bytes(), "status": (proc / "status").read_bytes()}
    environ = {"environ": (proc / "environ").read_bytes()}
    limits = (proc / "limits").read_text(encoding="ascii").splitlines()
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").rglob("*")}
    daemon.process.send_signal(signal.SIGABRT)
    async with asyncio.timeout(10):
        await daemon.process.wait()
    await asyncio.sleep(0.2)

    key = json.loads((tmp_path / "google.json").read_text(encoding="utf-8"))["private_key"]
    push_key = (tmp_path / "state" / "push.key").read_bytes()
    given = {sandbox.aircall.api_token, ADMIN_TOKEN, ALERTS_URL, *key.splitlines()[1:-1]}
    learned = used(sandbox)
    secrets = given | learned | {PROXY_PASSWORD, push_key.hex()}
    assert {"eyJ", "ya2", "c1."} <= {one[:3] for one in learned}
    assert told({"all": "\n".join(secrets).encode()}, secrets) == ["all"]
    assert "Fatal Python error" in "".join(daemon.raw)
    assert told({"log": "".join(daemon.raw).encode()}, secrets) == []
    assert told(said, secrets) == []
    assert told(files(tmp_path / "state", scratch), secrets) == []
    assert [name for name, content in files(tmp_path / "state", scratch).items() if push_key in content] == []
    assert told(seen_by_others, secrets) == []
    # The proxy's password is in the environment because the operator put it there; nothing else is.
    assert told(environ, secrets - {PROXY_PASSWORD}) == []
    assert [line.split()[4:6] for line in limits if line.startswith("Max core file size")] == [["0", "0"]]
    assert cores(tmp_path, ROOT) == []
    assert modes
    assert {path.name: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}
