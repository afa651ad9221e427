"""How much strangers may ask: by address, and all of them together.

A reverse proxy on another machine has one address for everybody, and so has an office: an address is granted enough for
a company that connects within a minute. Peers on this machine are proxies, and count only towards the whole.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

BURST = 3000
PER_SECOND = 200.0
PEER_BURST = 600
PEER_PER_SECOND = 50.0
MAX_PEERS = 4096
FAILURES, FAILURES_PER_SECOND = 30, 0.5
IPV6_NETWORK = 64
"""Whoever has an IPv6 address has as many as they like within such a network."""


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float

    def fill(self, now: float, burst: int, per_second: float) -> float:
        self.level = min(float(burst), self.level + max(0.0, now - self.at) * per_second)
        self.at = now
        return self.level

    def take(self, now: float, burst: int, per_second: float) -> bool:
        if self.fill(now, burst, per_second) < 1.0:
            return False
        self.level -= 1.0
        return True


class Allowance:
    """Grants `burst` requests at once and `per_second` in the long run, and less to each address."""

    def __init__(
        self,
        burst: int = BURST,
        per_second: float = PER_SECOND,
        peer_burst: int = PEER_BURST,
        peer_per_second: float = PEER_PER_SECOND,
    ) -> None:
        self._burst, self._per_second = burst, per_second
        self._peer_burst, self._peer_per_second = peer_burst, peer_per_second
        self._all = _Bucket(float(burst), 0.0)
        self._peers: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, peer: str | None, now: float) -> bool:
        """Count one request of the peer's address (None: it has none) at `now`, in seconds; False: it is too many.

        What is refused to an address does not count towards the whole, so that one address cannot use that up.
        """
        key = _network(peer)
        if key is not None:
            bucket = self._peers.pop(key, None) or _Bucket(float(self._peer_burst), now)
            self._peers[key] = bucket
            if len(self._peers) > MAX_PEERS:
                self._peers.popitem(last=False)
            if not bucket.take(now, self._peer_burst, self._peer_per_second):
                return False
        return self._all.take(now, self._burst, self._per_second)


class Failures:
    """How often an address may fail: `burst` times at once, and `per_second` in the long run.

    What fails is known only when it has ended: what more have failed at once than were granted is owed. Peers on this
    machine are not counted: one of them could keep out all who come by the same proxy.
    """

    def __init__(self, burst: int = FAILURES, per_second: float = FAILURES_PER_SECOND) -> None:
        self._burst, self._per_second = burst, per_second
        self._peers: OrderedDict[str, _Bucket] = OrderedDict()

    def may(self, peer: str | None, now: float) -> bool:
        """Whether whoever has this address may try once more at `now`, in seconds."""
        bucket = self._peers.get(_network(peer) or "")
        return bucket is None or bucket.fill(now, self._burst, self._per_second) >= 1.0

    def add(self, peer: str | None, now: float) -> None:
        """Somebody with this address has failed at `now`."""
        key = _network(peer)
        if key is None:
            return
        bucket = self._peers.pop(key, None) or _Bucket(float(self._burst), now)
        bucket.fill(now, self._burst, self._per_second)
        bucket.level -= 1.0
        self._peers[key] = bucket
        if len(self._peers) > MAX_PEERS:
            self._peers.popitem(last=False)


def _network(peer: str | None) -> str | None:
    """What is counted as one address; None for this machine's own."""
    if peer is None:
        return None
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, IPV6_NETWORK), strict=False))
    return str(address)
