"""The admin API of a real daemon: as it describes itself, to whoever has the token, and live."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import yaml

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.conftest import Launch
from tests.acceptance.running import Running, command, free_port
from tests.acceptance.test_life import AMY, BOB, meeting

HERE = Path(__file__).parent
CAROL, DAVE = "carol@example.com", "dave@example.com"
TOKEN = "0123456789abcdef0123456789abcdef"
SCHEMATHESIS_SECONDS = 90.0

Event = tuple[str, dict[str, Any]]


async def guarded(sandbox: Sandbox, launch: Launch, folder: Path) -> Running:
    """A daemon on every address, with a token: Amy is held, Bob paused, Carol and Dave are in trouble."""
    for user, email in enumerate((AMY, BOB, CAROL), 456):
        sandbox.add_agent(email, user_id=user)
        meeting(sandbox, email, -60, 3600)
    sandbox.google.add_user(DAVE)
    sandbox.google.add_calendar("team@group.example.com", owner=AMY)
    write_token(folder, TOKEN)
    port = free_port()
    daemon = await launch(
        [AMY, BOB, {"email": CAROL, "calendars": ["primary", "team@group.example.com"]}, DAVE],
        server={"admin_listen": f"0.0.0.0:{port}", "admin_token_file": "./admin-token"},
    )
    daemon.admin = f"http://127.0.0.1:{port}"
    await daemon.logged("held", agent=AMY)
    return daemon


def write_token(folder: Path, token: str) -> None:
    """Write the token where the settings name it."""
    path = folder / "admin-token"
    path.touch(mode=0o600)
    path.write_text(token + "\n")


@asynccontextmanager
async def client(daemon: Running, token: str = TOKEN) -> AsyncIterator[aiohttp.ClientSession]:
    """Somebody who has the token."""
    async with aiohttp.ClientSession(daemon.admin, headers={"Authorization": f"Bearer {token}"}) as session:
        yield session


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """The events of a stream."""
    name = ""
    async for line in answer.content:
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


async def until_told(heard: AsyncIterator[Event], seen: list[Event], state: str) -> None:
    """Take events until an agent is told in this state."""
    async with asyncio.timeout(10):
        async for event in heard:
            seen.append(event)
            if any(one["state"] == state for one in event[1].get("agents", ())):
                return


async def get(session: aiohttp.ClientSession, path: str) -> Any:
    """The answer's JSON."""
    async with session.get(path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def schemathesis(daemon: Running, *more: str) -> tuple[int, str]:
    """What schemathesis finds: its exit status, and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(HERE / "schemathesis.toml"), "run"),
        *(f"{daemon.admin}/api/v1/openapi.json", *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "CALSYNCD_TEST_TOKEN": TOKEN, "PYTHONPATH": str(HERE.parent.parent)},
        cwd=daemon.config.parent,
    )
    async with asyncio.timeout(SCHEMATHESIS_SECONDS):
        out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_it_is_as_it_describes_itself(sandbox: Sandbox, launch: Launch, tmp_path: Path) -> None:
    """Every answer about agents of every kind has the shape that is described, and schemathesis finds nothing."""
    daemon = await guarded(sandbox, launch, tmp_path)
    async with client(daemon) as session:
        async with session.post(f"/api/v1/agents/{BOB}/pause", json={"for": "2h"}) as answer:
            assert answer.status == 200
        await daemon.logged("released", agent=BOB)
        described = await get(session, "/api/v1/openapi.json")
        answers = [
            (path, await get(session, path.replace("{email}", email)))
            for path, operations in described["paths"].items()
            if path.startswith("/api/v1/") and "get" in operations and not path.endswith("/stream")
            for email in (AMY, BOB, CAROL, DAVE)
        ]
        for path, said in answers:
            schema = described["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            jsonschema.validate(said, {**schema, "components": described["components"]})
        agents = {one["email"]: one for one in (await get(session, "/api/v1/agents"))["agents"]}

    assert [agents[email]["state"] for email in (AMY, BOB, DAVE)] == ["held", "paused", "suspended"]
    assert agents[CAROL]["trouble"] is not None
    jsonschema.Draft202012Validator.check_schema(described["components"]["schemas"]["Agent"])

    status, found = await schemathesis(daemon, "--max-examples", "10", "--seed", "1")

    assert status == 0, found
    assert not [line for line in daemon.lines if line["action"] in {"release_all", "request_failed"}]


async def test_the_token_opens_it(sandbox: Sandbox, launch: Launch, tmp_path: Path) -> None:
    """From any address, to browsers and commands too; a reload takes another one; without it nothing is told."""
    daemon = await guarded(sandbox, launch, tmp_path)
    config = ("--config", str(daemon.config))
    async with aiohttp.ClientSession(daemon.admin) as stranger:
        for path in ("/", "/api/v1/agents", "/api/v1/stream", "/api/v1/openapi.json", "/metrics", "/static/page.js"):
            async with stranger.get(path, headers={"Host": "calsync.example.com"}) as answer:
                assert (answer.status, answer.headers["WWW-Authenticate"][:5]) == (401, "Basic"), path
        async with stranger.get("/", headers={"Authorization": aiohttp.encode_basic_auth("lena", TOKEN)}) as answer:
            assert answer.status == 200
    status, table, _ = await command("status", *config)
    named = await command("status", *config, "--admin", daemon.admin)
    settings = yaml.safe_load(daemon.config.read_text())
    del settings["server"]["admin_token_file"], settings["server"]["admin_listen"]
    (tmp_path / "without.yaml").write_text(yaml.safe_dump(settings))
    refused = await command("status", "--config", str(tmp_path / "without.yaml"), "--admin", daemon.admin)

    assert (status, AMY in table) == (0, True)
    assert (named[0], AMY in named[1]) == (0, True)
    assert refused[0] == 1
    assert "server.admin_token_file" in refused[2]

    write_token(tmp_path, TOKEN[::-1])
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)
    reloaded = await daemon.logged("reloaded")
    async with client(daemon) as old, client(daemon, TOKEN[::-1]) as new:
        async with old.get("/api/v1/agents") as answer:
            assert answer.status == 401
        await get(new, "/api/v1/agents")

    assert reloaded["credentials"] == "admin"
    assert not [line for line in daemon.raw if TOKEN in line or TOKEN[::-1] in line]


async def test_a_change_is_told_within_a_second(sandbox: Sandbox, launch: Launch) -> None:
    """To every listener: greeted first, told of agents, timelines and the whole; SIGTERM ends streams at once."""
    for user, email in ((456, AMY), (457, BOB)):
        sandbox.add_agent(email, user_id=user)
    daemon = await launch([AMY, BOB])
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(daemon.admin) as session:
        schemas = (await get(session, "/api/v1/openapi.json"))["components"]
        async with session.get("/api/v1/stream") as answer:
            heard = events(answer)
            hello = await anext(heard)
            # What was under way at the start is told first.
            await asyncio.sleep(1.5)
            meeting(sandbox, AMY, -60, 3600)
            seen = [hello]
            await until_told(heard, seen, "held")
            pressed = loop.time()
            async with session.post(f"/api/v1/agents/{BOB}/pause", json={"for": "1h"}) as paused:
                assert paused.status == 200
            await until_told(heard, seen, "paused")
            told = loop.time() - pressed
            stopping = loop.time()
            assert daemon.process is not None
            daemon.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(1.0):
                left = [event async for event in heard]
            ended = loop.time() - stopping

    shapes = {"hello": "Hello", "agents": "ChangedAgents", "timelines": "ChangedTimelines", "overview": "Overview"}
    for name, said in [*seen, *left]:
        jsonschema.validate(said, {"$ref": f"#/components/schemas/{shapes[name]}", "components": schemas})
    assert {name for name, _ in seen} == set(shapes)
    assert told < 1.0
    assert ended < 1.0
