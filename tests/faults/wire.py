"""What a TCP connection may suffer between two programs of this machine, by the kernel's own means."""

from __future__ import annotations

import ctypes
import socket

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
