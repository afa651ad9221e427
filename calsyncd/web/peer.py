"""Who asks: the other end of the connection, or whom a proxy that is trusted names in its place.

Anybody can send `X-Forwarded-For`. It is read only from a peer whose address is in `server.trusted_proxies`, and from
its right end: each proxy writes there who came to it, so that what stands left of the first address that is not
trusted was written by a stranger. `X-Forwarded-Proto` and `X-Forwarded-Host` are never read: `server.public_url` says
how we are reached.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal

from aiohttp import web

UNIX = "unix"
"""A peer at a Unix socket: whoever may open that is on this machine."""

Trusted = IPv4Network | IPv6Network | Literal["unix"]

TRUSTED: web.AppKey[Sequence[Trusted]] = web.AppKey("trusted_proxies", Sequence)
"""Where the application keeps whose `X-Forwarded-For` is believed; without it nobody's is."""

_HEADER = "X-Forwarded-For"


def peer_of(request: web.Request) -> str:
    """The address of whoever sent the request, in its shortest form; UNIX for one on this machine without an address.

    Through trusted proxies it is the last address that is not one of theirs, or the first of all if all are. Where a
    trusted proxy says nothing or something that is no address, it is the proxy's own: nobody gets out of a limit so.
    """
    name = request.transport.get_extra_info("peername") if request.transport is not None else None
    peer = _address(str(name[0])) if isinstance(name, tuple) and name else None
    trusted = request.app.get(TRUSTED, ())
    named = str(peer) if peer is not None else UNIX
    if not _is_trusted(peer, trusted):
        return named
    hop = None
    for said in reversed(",".join(request.headers.getall(_HEADER, [])).split(",")):
        hop = _address(said.strip())
        if hop is None:
            return named
        if not _is_trusted(hop, trusted):
            break
    return str(hop)


def _is_trusted(address: IPv4Address | IPv6Address | None, trusted: Sequence[Trusted]) -> bool:
    if address is None:
        return UNIX in trusted
    return any(address in network for network in trusted if not isinstance(network, str))


def _address(spelt: str) -> IPv4Address | IPv6Address | None:
    """The address, an IPv4 one also where it is written as IPv6; None for anything else."""
    try:
        address = ipaddress.ip_address(spelt.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
