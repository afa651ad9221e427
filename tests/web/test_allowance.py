from __future__ import annotations

import pytest

from calsyncd.web.allowance import MAX_PEERS, Allowance, Failures


def taken(allowance: Allowance, peer: str | None, times: int, now: float) -> int:
    """How many of so many requests at once are granted."""
    return sum(allowance.take(peer, now) for _ in range(times))


def test_an_address_has_its_burst_and_then_its_pace() -> None:
    """Beyond it that address waits, and no other one does."""
    allowance = Allowance(burst=1000, per_second=100.0, peer_burst=10, peer_per_second=2.0)

    assert taken(allowance, "192.0.2.1", 50, 100.0) == 10
    assert taken(allowance, "192.0.2.1", 50, 103.0) == 6
    assert taken(allowance, "192.0.2.2", 5, 103.0) == 5
    assert taken(allowance, "192.0.2.1", 50, 10_000.0) == 10


def test_all_together_have_theirs() -> None:
    """However many addresses somebody has; what one of them was refused costs the others nothing."""
    allowance = Allowance(burst=20, per_second=1.0, peer_burst=3, peer_per_second=1.0)

    assert taken(allowance, "192.0.2.1", 1000, 0.0) == 3
    assert sum(taken(allowance, f"198.51.100.{number}", 1, 0.0) for number in range(100)) == 17
    assert taken(allowance, None, 100, 5.0) == 5


@pytest.mark.parametrize("peer", [None, "127.0.0.1", "::1", "::ffff:127.0.0.1", "unix", ""])
def test_a_proxy_of_this_machine_is_everybody(peer: str | None) -> None:
    """Only the whole is limited."""
    allowance = Allowance(burst=50, per_second=1.0, peer_burst=1, peer_per_second=1.0)

    assert taken(allowance, peer, 100, 0.0) == 50


def test_a_network_of_ipv6_is_one_address() -> None:
    """Whoever has one has 2**64 of them; mapped ones are what they map."""
    allowance = Allowance(burst=1000, per_second=1.0, peer_burst=4, peer_per_second=1.0)

    assert sum(taken(allowance, f"2001:db8::{number:x}", 1, 0.0) for number in range(1, 100)) == 4
    assert taken(allowance, "2001:db8:0:1::1%eth0", 9, 0.0) == 4
    assert taken(allowance, "192.0.2.1", 9, 0.0) + taken(allowance, "::ffff:192.0.2.1", 9, 0.0) == 4


def test_what_is_remembered_is_bounded() -> None:
    """Strangers cannot fill the memory; a clock that goes back grants nothing."""
    allowance = Allowance(burst=10**6, peer_burst=1)
    for number in range(MAX_PEERS + 50):
        allowance.take(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 100.0)

    assert len(allowance._peers) == MAX_PEERS
    assert not allowance.take("10.0.16.40", 50.0)


def test_who_fails_too_often_waits() -> None:
    """What was tried at once before it failed is owed; others are not hurt, and a proxy of this machine never."""
    failures = Failures(burst=3, per_second=0.5)
    for peer in ("192.0.2.1", "127.0.0.1"):
        assert failures.may(peer, 10.0)
        for _ in range(5):
            failures.add(peer, 10.0)

    assert [failures.may("192.0.2.1", at) for at in (10.0, 15.0, 16.0)] == [False, False, True]
    assert failures.may("192.0.2.2", 10.0)
    assert failures.may("127.0.0.1", 10.0)
    assert failures.may(None, 10.0)


def test_of_failures_as_many_are_remembered() -> None:
    """Strangers cost no memory."""
    failures = Failures(burst=1, per_second=0.001)
    for number in range(MAX_PEERS + 100):
        failures.add(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)

    assert len(failures._peers) == MAX_PEERS
    assert failures.may("10.0.0.0", 1.0)
    assert not failures.may("10.0.16.0", 1.0)
