"""What a TCP connection may suffer between two programs of this machine, by the kernel's own means."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import socket
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.test_http import listening, reset

SO_ATTACH_FILTER = 26
_ACCEPT = 0x0FFFFFFF


class _Statement(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("statements", ctypes.POINTER(_Statement)))


def vanish(end: socket.socket, *, larger_than: int = 0) -> None:
    """From now on this end's kernel throws away every packet that arrives for it, or only those with more bytes.

    Nobody is told: neither a reset nor an acknowledgement leaves. That is how a machine without power, a forgotten
    entry of a NAT, or a network that swallows large packets looks from the other end. See bpf(2), packet(7).
    """
    # Drop all; or load the packet's length, and drop what is larger.
    code = [(0x06, 0, 0, 0)]
    if larger_than:
        code = [(0x80, 0, 0, 0), (0x25, 0, 1, larger_than), (0x06, 0, 0, 0), (0x06, 0, 0, _ACCEPT)]
    statements = (_Statement * len(code))(*(_Statement(*one) for one in code))
    program = _Program(len(code), statements)
    end.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, bytes(program))


Fate = Literal[
    "passes",
    "not sent",
    "unanswered",
    "first bytes",
    "half a head",
    "half a body",
    "all but a byte",
    "closed",
    "told and reset",
    "stalls",
]
"""What becomes of a request and its answer; but for `closed`, `stalls` and what passes, the connection is reset."""


@dataclass
class Wire:
    """Leads requests to a server on this machine, one by one, and does to each what `fate` says of its first line."""

    port: int
    fate: Callable[[str], Fate] = lambda _: "passes"
    met: list[tuple[str, Fate]] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def laid(self) -> AsyncIterator[int]:
        """The port at which it begins."""
        async with listening(self._serve) as port:
            yield port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        further, back = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            await self._lead(reader, writer, further, back)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            back.close()

    async def _lead(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        further: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        while True:
            head, body = await _message(reader)
            line = head.partition(b"\r\n")[0].decode()
            fate = self.fate(line)
            self.met.append((line, fate))
            if fate == "not sent":
                await reset(writer)
                break
            back.write(head + body)
            told_head, told_body = await _message(further)
            told = told_head + told_body
            if fate == "passes":
                writer.write(told)
                await writer.drain()
                continue
            much = {
                "unanswered": 0,
                "first bytes": 9,
                "half a head": len(told_head) // 2,
                "half a body": len(told_head) + len(told_body) // 2,
                "closed": len(told_head) + len(told_body) // 2,
                "stalls": len(told_head) + len(told_body) // 2,
                "all but a byte": len(told) - 1,
                "told and reset": len(told),
            }[fate]
            writer.write(told[:much])
            await writer.drain()
            await asyncio.sleep(0.02)
            if fate == "stalls":
                await reader.read()
            elif fate != "closed":
                await reset(writer)
            break


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """A head and its body of a told length."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head, await reader.readexactly(int(line.partition(b":")[2]))
    return head, b""


class Nameserver(asyncio.DatagramProtocol):
    """Tells one address for every name: none (silence), "" (no such name), or an IPv4 address. See RFC 1035, 4.1."""

    def __init__(self) -> None:
        self.address: str | None = None
        self.asked = 0
        self._transport: asyncio.DatagramTransport | None = None

    @contextlib.asynccontextmanager
    async def listening(self, address: str) -> AsyncIterator[None]:
        """At port 53 of this address."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(address, 53))
        yield
        transport.close()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked += 1
        if self.address is None or self._transport is None:
            return
        end = data.index(b"\0", 12) + 5
        question, kind = data[12:end], struct.unpack("!H", data[end - 4 : end - 2])[0]
        answer = b""
        if self.address and kind == 1:
            answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 1, 4) + socket.inet_aton(self.address)
        flags = 0x8180 if self.address else 0x8183
        head = data[:2] + struct.pack("!HHHHH", flags, 1, bool(answer), 0, 0)
        self._transport.sendto(head + question + answer, addr)
