"""Which changes a reload can make."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from calsyncd.config import restart_needed

from .home import BY_APP, BY_CONSENT, GOOD, furnish_ways

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


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("alerts: {command: 'true'}\n", []),
        ("vault_key_file: elsewhere/key\n", ["vault_key_file"]),
    ],
)
def test_new_keys(home: Home, typed: str, expected: list[str]) -> None:
    """Who is told of alarms changes live; where the vault's key is does not."""
    assert restart_needed(home.load(GOOD), home.load(GOOD + typed)) == expected


def test_addresses(home: Home) -> None:
    """The services' addresses are read once."""
    moved = GOOD.replace("google:", "google:\n  revoke_url: https://a.example").replace(
        "aircall:", "aircall:\n  dashboard_url: https://b.example"
    )

    assert restart_needed(home.load(GOOD), home.load(moved)) == ["google.revoke_url", "aircall.dashboard_url"]


def test_changed_credentials(home: Home) -> None:
    """Other content under the same names is another value, and needs no restart."""
    old = home.load(GOOD)
    home.write("aircall-token", "another")
    home.write("google.json", json.dumps(home.account | {"private_key_id": "key2"}))
    new = home.load(GOOD.replace("someid", "otherid"))

    assert restart_needed(old, new) == []
    assert new.aircall.api_token != old.aircall.api_token
    assert new.google.service_account != old.google.service_account


def test_changed_client(home: Home) -> None:
    """So it is with an OAuth client and an app."""
    furnish_ways(home)
    old = home.load(BY_CONSENT), home.load(BY_APP)
    home.write("client.json", (home.path / "client.json").read_text().replace("GOCSPX", "other"))
    home.write("aircall-secret", "another")
    new = home.load(BY_CONSENT), home.load(BY_APP)

    assert [restart_needed(was, now) for was, now in zip(old, new, strict=True)] == [[], []]
    assert [was == now for was, now in zip(old, new, strict=True)] == [False, False]


def test_the_admin_token(home: Home) -> None:
    """Another one is taken up live, none or a first one by a restart: who may listen depends on it."""
    guarded = GOOD + "server: {admin_listen: '0.0.0.0:8771', admin_token_file: ./admin-token}\n"
    home.write("admin-token", "canary0token0of0operators")
    old = home.load(guarded)
    home.write("admin-token", "another0token0of0operators")
    new = home.load(guarded)

    assert restart_needed(old, new) == []
    assert new.server.admin_token != old.server.admin_token
    assert new.server.admin_token in new.secrets
    assert restart_needed(old, home.load(GOOD)) == ["server.admin_token_file", "server.admin_listen"]


def test_an_admin_token_that_can_be_guessed(home: Home) -> None:
    """It is refused, as is an address of the network without one."""
    home.write("admin-token", "short")
    faults = home.faults(GOOD + "server: {admin_listen: '0.0.0.0:8771', admin_token_file: ./admin-token}\n")

    assert [fault.split(": ")[1] for fault in faults] == ["server.admin_token_file"]
    assert "too short" in faults[0]


def test_another_way_in(home: Home) -> None:
    """Another kind of credential is taken up by a restart."""
    furnish_ways(home)

    assert restart_needed(home.load(GOOD), home.load(BY_CONSENT)) == [
        "server.public_url",
        "google.service_account_file",
        "google.oauth_client_file",
    ]
    assert restart_needed(home.load(GOOD), home.load(BY_APP)) == [
        "server.public_url",
        "aircall.api_id",
        "aircall.api_token_file",
        "aircall.oauth",
    ]


def test_everybody_is_live(home: Home) -> None:
    """From a list to everybody and back without a restart."""
    listed, everybody = home.load(GOOD), home.load(f"{GOOD.split('agents')[0]}agents: all\n")

    assert restart_needed(listed, everybody) == restart_needed(everybody, listed) == []
