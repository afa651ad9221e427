"""Daemons whose ways to both services break: real processes, played side by side.

Each scene has a sandbox and a daemon of its own. Most of their time is waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import aiohttp
import pytest

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.running import Running, free_port
from tests.acceptance.test_life import AMY, meeting, statuses
from tests.acceptance.test_way_out import HOST, with_tls
from tests.authority import Authority
from tests.faults.depth import rounds
from tests.faults.wire import Fate, Nameserver, Wire
from tests.test_http import Proxy, _pipe, listening


@dataclass
class Scene:
    """A sandbox, and a daemon that is not started yet."""

    sandbox: Sandbox
    folder: Path
    daemons: list[Running]

    def daemon(self, agents: list[Any], *, aircall: str | None = None, **environ: str) -> Running:
        """A daemon for these agents; `aircall` is where it asks instead of at the sandbox."""
        public, admin = free_port(), free_port()
        config = self.sandbox.write_config(
            self.folder,
            agents,
            listen=f"127.0.0.1:{public}",
            admin_listen=f"127.0.0.1:{admin}",
            public_url=None,
            extra={"aircall": {"api_url": aircall}} if aircall else None,
        )
        self.daemons.append(Running(config, f"http://127.0.0.1:{admin}", {**os.environ, **environ}))
        return self.daemons[-1]

    async def at(self, moment: float) -> None:
        """Return at this instant."""
        await asyncio.sleep(moment - time.time())


# -- connections that break in every way ------------------------------------------------------------------------------

STALLING = rounds(0, 1)
FATES: list[Fate] = [fate for fate in get_args(Fate) if fate not in ("passes", "stalls")] + ["stalls"] * STALLING
"""A stall takes ten seconds to be noticed."""


async def resets(scene: Scene) -> None:
    """Each agent's update meets another fate, at the beginning and (at full depth) at the end; all are right soon."""
    sandbox = scene.sandbox
    agents = [f"a{number}@example.com" for number in range(1, len(FATES) + 1)]
    for number, agent in enumerate(agents, 1):
        sandbox.add_agent(agent, user_id=number)
    wire = Wire(urlsplit(sandbox.aircall_url).port or 0)
    left: dict[str, Fate] = {}

    def fate(line: str) -> Fate:
        method, path, _ = line.split()
        return left.pop(path.rpartition("/")[2], "passes") if method == "PUT" else "passes"

    wire.fate = fate
    async with wire.laid() as port:
        daemon = scene.daemon(agents, aircall=f"http://127.0.0.1:{port}")
        await daemon.start()
        for agent in agents:
            await daemon.until(agent, state="idle")
        now = time.time()
        patience = 20.0 if STALLING else 8.0
        left |= {str(number): fate for number, fate in enumerate(FATES, 1)}
        for agent in agents:
            meeting(sandbox, agent, -60, 2 * patience)
        await sync(daemon)
        await scene.at(now + patience)
        in_meeting = [sandbox.aircall.setting(number).status for number in range(1, len(agents) + 1)]
        if STALLING:
            left |= {str(number): fate for number, fate in enumerate(FATES, 1)}
            await scene.at(now + 3 * patience)
            for number, agent in enumerate(agents, 1):
                assert sandbox.aircall.setting(number).status == "available", FATES[number - 1]
                assert statuses(sandbox, number)[-1] == ("api", "available"), agent

    assert in_meeting == ["unavailable"] * len(agents)
    assert Counter(fate for _, fate in wire.met if fate != "passes") == {
        fate: FATES.count(fate) * (1 + STALLING) for fate in FATES
    }
    for number in range(1, len(agents) + 1):
        changes = [entry for entry in sandbox.aircall.log if entry.user == number and entry.is_change]
        assert len(changes) == 1 + STALLING, FATES[number - 1]


async def sync(daemon: Running) -> None:
    """Everybody's calendars are read now."""
    async with aiohttp.ClientSession() as session, session.post(f"{daemon.admin}/api/v1/sync", json={}) as answer:
        assert answer.status == 200, await answer.text()


# -- names that lead nowhere ------------------------------------------------------------------------------------------


async def names(scene: Scene) -> None:
    """Aircall's name: DNS is silent, does not know it, leads elsewhere, and is right; a stop waits for none of it."""
    sandbox, nameserver = scene.sandbox, Nameserver()
    sandbox.add_agent(AMY, user_id=1)
    authority = Authority(scene.folder)
    # Nobody else on this machine has this address of loopback.
    own = f"127.{os.getpid() // 256 % 256}.{os.getpid() % 256}.53"
    (scene.folder / "resolv.conf").write_text(f"nameserver {own}\n")
    strangers: list[bytes] = []

    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        strangers.append(await reader.read())
        writer.close()

    async with (
        nameserver.listening(own),
        with_tls(sandbox.aircall_url, authority) as port,
        await asyncio.start_server(stranger, "127.0.0.2", port, ssl=authority.context("other.test")),
    ):
        daemon = scene.daemon(
            [{"email": AMY, "aircall_user": 1}],
            aircall=f"https://{HOST}:{port}",
            SSL_CERT_FILE=str(authority.file),
            NO_PROXY="*",
        )
        bind = f'mount --bind {shlex.quote(str(scene.folder / "resolv.conf"))} /etc/resolv.conf && exec "$@"'
        daemon.within = ("unshare", "--mount", "sh", "-c", bind, "sh")
        meeting(sandbox, AMY, -60, 3600)
        await daemon.start()
        silent = await daemon.logged("look_failed")
        agent = (await daemon.agents())[AMY]
        asked, stopping = nameserver.asked, len(daemon.lines)
        assert await daemon.stop() == 0
        left = await daemon.logged("stopped", since=stopping)

        nameserver.address, seen = "", len(daemon.lines)
        await daemon.start()
        unknown = await daemon.logged("look_failed", since=seen)
        nameserver.address = "127.0.0.2"
        wrong = await daemon.logged("look_failed", code="certificate")
        nameserver.address = "127.0.0.1"
        await daemon.until(AMY, state="held")

    assert asked
    assert silent["why"] == "aircall cannot be reached: DNS does not answer"
    assert agent["calendars"][0]["synced_at"] is not None, "Google is asked as ever"
    assert left["owed"] == 0
    assert "Name or service not known" in unknown["why"]
    assert HOST in wrong["why"]
    assert "not valid for" in wrong["why"]
    assert set(strangers) <= {b""}
    assert sandbox.aircall.setting(1).status == "unavailable"


# -- the only way out dies --------------------------------------------------------------------------------------------


async def way_out(scene: Scene) -> None:
    """The proxy is gone when a meeting begins, and comes back: it is said, and the agent is held soon after that."""
    sandbox, proxy, authority = scene.sandbox, Proxy(), Authority(scene.folder)
    sandbox.add_agent(AMY, user_id=1)
    at = free_port()
    async with with_tls(sandbox.aircall_url, authority) as proxy.places[HOST]:
        address = f"http://127.0.0.1:{at}"
        ways = {"HTTPS_PROXY": address, "NO_PROXY": "127.0.0.1", "SSL_CERT_FILE": str(authority.file)}
        daemon = scene.daemon([AMY], aircall=f"https://{HOST}", **ways)
        async with _listening_at(at, proxy):
            await daemon.start()
            await daemon.until(AMY, state="idle")
        meeting(sandbox, AMY, -60, 3600)
        await sync(daemon)
        failed = await daemon.logged("look_failed", agent=AMY)
        async with _listening_at(at, proxy):
            came_back = time.time()
            await daemon.until(AMY, state="held")
            held_after = time.time() - came_back

    assert failed["why"] == "aircall cannot be reached: the proxy in HTTPS_PROXY: Connection refused"
    assert held_after < 10


@contextlib.asynccontextmanager
async def _listening_at(port: int, proxy: Proxy) -> AsyncIterator[None]:
    """The proxy at this port; its connections die with it."""
    async with listening(proxy.serve) as somewhere:
        wire: set[asyncio.StreamWriter] = set()

        async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            further, back = await asyncio.open_connection("127.0.0.1", somewhere)
            wire.update((writer, back))
            await asyncio.gather(_pipe(reader, back), _pipe(further, writer))

        async with await asyncio.start_server(lead, "127.0.0.1", port):
            yield
            for writer in wire:
                writer.transport.abort()


# -- nobody is there at the start -------------------------------------------------------------------------------------


async def nobody(scene: Scene) -> None:
    """Both services are away at a start: it starts, what was read before is in force, and Aircall alone is enough."""
    sandbox = scene.sandbox
    sandbox.add_agent(AMY, user_id=1)
    daemon = scene.daemon([AMY])
    await daemon.start()
    await daemon.until(AMY, state="idle")
    begins = int(time.time()) + 6
    meeting(sandbox, AMY, 6, 3600)
    await sync(daemon)
    assert await daemon.stop() == 0
    before = sandbox.aircall.setting(1).status
    await sandbox.google.stop()
    await sandbox.aircall.stop()

    seen = len(daemon.lines)
    await daemon.start()
    await daemon.logged("sweep_failed", since=seen)
    failed = await daemon.logged("sync_failed", since=seen)
    await daemon.logged("look_failed", since=seen)
    await scene.at(begins + 0.5)
    await sandbox.aircall.start()
    held = await daemon.until(AMY, state="held")

    assert failed["code"] == "unreachable"
    assert before == "available"
    assert held["calendars"][0]["trouble"]["code"] == "unreachable"
    assert sandbox.aircall.setting(1).status == "unavailable"


SCENES: Mapping[str, Callable[[Scene], Awaitable[None]]] = {
    "resets": resets,
    "names": names,
    "way_out": way_out,
    "nobody": nobody,
}


async def _play(name: str, folder: Path) -> Exception | None:
    async with Sandbox() as sandbox:
        scene = Scene(sandbox, folder, [])
        try:
            async with asyncio.timeout(90):
                await SCENES[name](scene)
        except Exception as error:  # noqa: BLE001 - it is raised where the scene is asked for
            error.add_note("".join(line for daemon in scene.daemons for line in daemon.raw)[-6000:])
            return error
        finally:
            for daemon in scene.daemons:
                if daemon.process is not None and daemon.process.returncode is None:
                    await daemon.kill()
    return None


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exception | None]:
    """How each scene that was asked for went."""

    async def play_all(wanted: list[str]) -> list[Exception | None]:
        found = await asyncio.gather(*(_play(name, tmp_path_factory.mktemp(name)) for name in wanted))
        # What was closed is gone before the loop ends.
        await asyncio.sleep(0.1)
        return found

    asked = [
        item.callspec.params
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    ]
    wanted = [name for name in SCENES if {"scene": name} in asked]
    return dict(zip(wanted, asyncio.run(play_all(wanted)), strict=True))


@pytest.mark.parametrize("scene", [name for name in SCENES if name != "names"])
def test_it_is_borne(scene: str, outcomes: dict[str, Exception | None]) -> None:
    """As the scene's own words say."""
    if (error := outcomes[scene]) is not None:
        raise error


@pytest.mark.skipif(
    shutil.which("unshare") is None or os.geteuid() != 0,
    reason="DNS IS NOT TESTED WITH A REAL RESOLVER: only root can mount another resolv.conf",
)
@pytest.mark.parametrize("scene", ["names"])
def test_names_that_lead_nowhere_are_borne(scene: str, outcomes: dict[str, Exception | None]) -> None:
    """As the scene's own words say."""
    if (error := outcomes[scene]) is not None:
        raise error
