"""Addresses of hosts when the system's resolver fails, hangs, or changes its mind."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from calsyncd import resolver as resolver_module
from calsyncd.errors import Unavailable
from calsyncd.http import Http
from calsyncd.resolver import Resolver
from tests.conftest import Nobody
from tests.test_http import Far, get, listening, ok, put


@dataclass
class Names:
    """The system's resolver: an address for each name, None for a name that nobody knows; some hang until let go."""

    addresses: dict[str, str | None] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)

    def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked.append(host)
        if host in self.hanging:
            self.let_go.wait(30)
        address = self.addresses.get(host)
        if address is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Names]:
    """It, asked in place of the system's; patience is short."""
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    monkeypatch.setattr(resolver_module, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(resolver_module, "PATIENCE_SECONDS", 0.1)
    yield made
    made.let_go.set()


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    """A service on loopback."""
    made = Far()
    async with listening(made.serve) as made.port:
        yield made


def moments(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> None:
    """What takes long takes no time."""
    for name, value in seconds.items():
        monkeypatch.setattr(resolver_module, f"{name.upper()}_SECONDS", value)


async def test_a_look_up_that_hangs_is_not_waited_for(names: Names, http: Http) -> None:
    """Nothing landed, and it is said that it is DNS."""
    names.hanging = {"api.test"}

    with pytest.raises(Unavailable) as caught:
        await put(http, "http://api.test/")

    assert (caught.value.code, caught.value.landed) == ("unreachable", False)
    assert str(caught.value) == "aircall cannot be reached: DNS does not answer"


async def test_a_name_that_nobody_knows_is_told(names: Names, http: Http) -> None:
    """In the system's words."""
    with pytest.raises(Unavailable) as caught:
        await put(http, "http://api.test/")

    assert (caught.value.code, caught.value.landed) == ("unreachable", False)
    assert "Name or service not known" in str(caught.value)


@pytest.mark.parametrize("fault", ["hangs", "unknown"])
async def test_a_known_address_serves_while_dns_fails(
    names: Names, http: Http, far: Far, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """However it fails, requests go on to where they went; DNS is asked again only in a while."""
    moments(monkeypatch, fresh=0.0)
    names.addresses = {"api.test": "127.0.0.1"}
    far.replies = [ok()] * 5
    url = f"http://api.test:{far.port}/"
    await get(http, url)
    names.hanging, names.addresses = ({"api.test"}, names.addresses) if fault == "hangs" else (set(), {})

    async with Http(Nobody(), {}) as fresh_connections:
        fresh_connections._session.connector._resolver = http._session.connector._resolver  # type: ignore[union-attr]
        answers = [await get(fresh_connections, url) for _ in range(3)]
    names.addresses = {"api.test": "127.0.0.1"}
    names.let_go.set()

    assert all(answer.ok for answer in answers)
    assert len(names.asked) == 2


async def test_a_known_address_is_not_used_for_ever(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """By then somebody else may have it."""
    moments(monkeypatch, fresh=0.0, again=0.0, stale=0.05)
    names.addresses = {"api.test": "127.0.0.1"}
    resolver = Resolver()
    await resolver.resolve("api.test", 1)
    names.addresses = {}

    assert [one["host"] for one in await resolver.resolve("api.test", 1)] == ["127.0.0.1"]
    await asyncio.sleep(0.06)
    with pytest.raises(OSError, match="not known"):
        await resolver.resolve("api.test", 1)


async def test_a_service_that_moves_is_followed(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known serves for a while without asking, and then what is told anew."""
    moments(monkeypatch, fresh=0.05)
    resolver = Resolver()
    told = []
    for address in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
        names.addresses = {"api.test": address}
        told.append((await resolver.resolve("api.test", 1))[0]["host"])
        if address == "127.0.0.2":
            await asyncio.sleep(0.06)

    assert told == ["127.0.0.1", "127.0.0.1", "127.0.0.3"]


async def test_an_address_that_leads_nowhere_is_asked_for_anew(
    names: Names, http: Http, far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS was wrong, or is by now: a connection that cannot be made is a reason to ask again, not every time."""
    moments(monkeypatch, doubt=0.0)
    names.addresses = {"api.test": "127.0.0.2"}
    far.replies = [ok(), ok()]
    url = f"http://api.test:{far.port}/"
    with pytest.raises(Unavailable):
        await get(http, url)
    names.addresses = {"api.test": "127.0.0.1"}

    answers = [await get(http, url) for _ in range(2)]

    assert all(answer.ok for answer in answers)
    assert len(names.asked) == 2


async def test_dns_is_not_stormed_because_a_service_is_away(names: Names, http: Http, unused_tcp_port: int) -> None:
    """It is asked once in some seconds, however often that service is tried."""
    names.addresses = {"api.test": "127.0.0.1"}
    for _ in range(20):
        with pytest.raises(Unavailable):
            await get(http, f"http://api.test:{unused_tcp_port}/")

    assert len(names.asked) == 1


async def test_an_answer_that_comes_late_is_kept(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks next has it, though nobody waited for it any more."""
    names.addresses, names.hanging = {"api.test": "127.0.0.1"}, {"api.test"}
    resolver = Resolver()
    with pytest.raises(OSError, match="does not answer"):
        await resolver.resolve("api.test", 1)

    names.let_go.set()
    await asyncio.sleep(0.05)

    assert await resolver.resolve("api.test", 1)
    assert names.asked == ["api.test"]


async def test_hosts_that_hang_keep_nobody_else_waiting(names: Names) -> None:
    """Neither another host, nor what else the process does on threads; each is asked for once at a time."""
    names.hanging = {f"{number}.test" for number in range(40)}
    names.addresses = {"api.test": "127.0.0.1"}
    resolver = Resolver()
    waiting = [asyncio.create_task(resolver.resolve(name, 1)) for name in sorted(names.hanging) * 5]
    await asyncio.sleep(0.05)

    async with asyncio.timeout(0.2):
        assert await resolver.resolve("api.test", 1)
        assert await asyncio.to_thread(lambda: "done") == "done"

    assert all(isinstance(error, OSError) for error in await asyncio.gather(*waiting, return_exceptions=True))
    assert len(names.asked) == 41


async def test_all_addresses_of_a_host_get_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes connections and does not answer is not the first one for ever; IPv6 is as good."""
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 1, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    resolver = Resolver()

    told = [[one["host"] for one in await resolver.resolve("api.test", 1)] for _ in range(3)]

    assert told == [["::1", "127.0.0.1"], ["127.0.0.1", "::1"], ["::1", "127.0.0.1"]]


LEAVE = """
import asyncio, contextlib, socket, time
from calsyncd.http import Http
from tests.conftest import Nobody

socket.getaddrinfo = lambda *_, **__: time.sleep(20)

async def main():
    async with Http(Nobody(), {}) as http:
        asking = asyncio.create_task(http.request("google", "r", "GET", "http://api.test/"))
        await asyncio.sleep(0.2)
        asking.cancel()

asyncio.run(main())
"""


def test_a_look_up_that_hangs_keeps_no_process_alive() -> None:
    """A stop in the middle of it ends the process."""
    subprocess.run([sys.executable, "-c", LEAVE], check=True, timeout=10)
