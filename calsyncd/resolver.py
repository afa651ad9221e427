"""Addresses of hosts: a look-up that hangs holds up nobody else, and what was known serves while DNS fails.

The system's `getaddrinfo` blocks its thread for as long as the resolver is patient: half a minute where no nameserver
answers. On asyncio's threads, which are few and shared, some such look-ups would hold up all that runs there, and the
end of the process. So each look-up has a thread of its own that nobody waits for at the end, and there is one look-up
a host at most. A known address that is used beyond its time may be somebody else's by then: TLS finds that out, before
anything is sent (compare RFC 8767, serving stale data).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from dataclasses import dataclass

from aiohttp.abc import AbstractResolver, ResolveResult

FRESH_SECONDS = 60.0
"""So long an address is used without asking: a service that moves is followed within a minute."""

STALE_SECONDS = 86400.0
"""So old an address may be at most while DNS fails."""

AGAIN_SECONDS = 30.0
"""So long after it has failed DNS is not asked for a known host again."""

DOUBT_SECONDS = 5.0
"""So old an address is at least before it is asked for anew because it leads nowhere."""

WAIT_SECONDS = 4.5
"""So long an answer is waited for; less than the whole connection may take."""

PATIENCE_SECONDS = 1.0
"""So long where an address is known."""

_Key = tuple[str, int, int]


@dataclass(slots=True)
class _Known:
    addresses: list[ResolveResult]
    told_at: float
    until: float


class Resolver(AbstractResolver):
    """Addresses by the system's resolver. Raises `OSError` where a host has none, or none that came in time."""

    def __init__(self) -> None:
        self._known: dict[_Key, _Known] = {}
        self._asked: dict[_Key, asyncio.Future[list[ResolveResult]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The host's addresses; of several each is the first in its turn."""
        key = (host, port, int(family))
        loop = asyncio.get_running_loop()
        known = self._known.get(key)
        if known is not None and loop.time() < known.until:
            return _in_turn(known)
        usable = known is not None and loop.time() < known.told_at + STALE_SECONDS
        try:
            async with asyncio.timeout(PATIENCE_SECONDS if usable else WAIT_SECONDS):
                await asyncio.shield(self._asked.get(key) or self._ask(key))
        except OSError as error:
            if known is None or not usable:
                late = isinstance(error, TimeoutError)
                raise socket.gaierror(socket.EAI_AGAIN, "DNS does not answer") if late else error from None
            known.until = loop.time() + AGAIN_SECONDS
            return _in_turn(known)
        return _in_turn(self._known[key])

    def doubt(self) -> None:
        """A connection could not be made: an address may be wrong, or its host elsewhere by now."""
        now = asyncio.get_running_loop().time()
        for known in self._known.values():
            known.until = min(known.until, max(now, known.told_at + DOUBT_SECONDS))

    async def close(self) -> None:
        """Nothing is to be closed: look-ups end by themselves."""

    def _ask(self, key: _Key) -> asyncio.Future[list[ResolveResult]]:
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[list[ResolveResult]] = loop.create_future()

        def ask() -> None:
            found: list[ResolveResult] | Exception
            try:
                found = _look_up(*key)
            except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
                found = error
            # The loop may have ended meanwhile.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._answered, key, asked, found)

        try:
            threading.Thread(target=ask, name="dns", daemon=True).start()
        except RuntimeError as error:
            raise OSError(str(error)) from None
        self._asked[key] = asked
        return asked

    def _answered(
        self, key: _Key, asked: asyncio.Future[list[ResolveResult]], found: list[ResolveResult] | Exception
    ) -> None:
        del self._asked[key]
        if isinstance(found, Exception):
            asked.set_exception(found)
            asked.exception()  # Perhaps nobody waits for it any more.
            return
        now = asyncio.get_running_loop().time()
        self._known[key] = _Known(found, now, now + FRESH_SECONDS)
        asked.set_result(found)


def _in_turn(known: _Known) -> list[ResolveResult]:
    addresses = known.addresses
    known.addresses = [*addresses[1:], *addresses[:1]]
    return addresses


def _look_up(host: str, port: int, family: int) -> list[ResolveResult]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
    numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    return [
        ResolveResult(
            hostname=host,
            host=socket.getnameinfo(address, numeric)[0],
            port=port,
            family=kind,
            proto=proto,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for kind, _, proto, _, address in found
    ]
