"""Which changes a reload can make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from calsyncd.config import restart_needed

from .home import GOOD

if TYPE_CHECKING:
    from .home import Home


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", []),
        ("  - email: bob@example.com\n", []),
        ("rules: {lead: 5m}\n", []),
        ("log: {level: debug}\n", []),
        ("mode: observe\n", []),
        ("teams: {a: {agents: [amy@example.com]}}\ndispatch: {early: 0, keep_available: {a: 1}}\n", []),
        ("log: {level: debug, format: console}\n", ["log.format"]),
        ("server: {listen: unix:/x, admin_listen: unix:/y}\n", ["server.listen", "server.admin_listen"]),
        ("server: {public_url: https://a.example}\nstate_dir: x\n", ["server.public_url", "state_dir"]),
        ("history: {keep: 7d}\n", ["history.keep"]),
    ],
)
def test_restart_needed(home: Home, typed: str, expected: list[str]) -> None:
    """Agents, teams, rules, modes, dispatch, credentials and the log's level change live; all else is named."""
    old = home.load(GOOD)

    assert restart_needed(old, home.load(GOOD + typed)) == expected


def test_changed_credential(home: Home) -> None:
    """A credential is what its file holds now, though its name is the same: a reload takes it up."""
    old = home.load(GOOD)
    home.write("aircall-token", "another")
    new = home.load(GOOD)

    assert old.aircall.api_token != new.aircall.api_token
    assert restart_needed(old, new) == []
