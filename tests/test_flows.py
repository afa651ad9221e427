"""Flows through a browser: whose cookie, whose answer, how often."""

from __future__ import annotations

from pathlib import Path

import pytest

from calsyncd import flows
from calsyncd.flows import MAX_USED, Flows, unguessable
from calsyncd.vault import Vault
from calsyncd.web.cookies import FLOW_SECONDS

NOW = 1_800_000_000.0


class Time:
    """A clock that is moved by hand."""

    at = NOW

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Time:
    """When it is."""
    return Time()


@pytest.fixture
def ours(tmp_path: Path, clock: Time) -> Flows:
    """One company's."""
    return Flows(Vault.open(tmp_path / "credentials", tmp_path / "key", clock), clock)


def test_what_was_begun_is_found_by_its_cookie_and_state(ours: Flows) -> None:
    """With its facts; the cookie shows none of them."""
    state, cookie = ours.begin("a", email="amy@example.com")

    assert ours.find("a", cookie, state) == {"email": "amy@example.com"}
    assert "amy" not in cookie
    assert state not in cookie


@pytest.mark.parametrize("state", ["", "x", "é", "\ud800", "{state}x", "{other}"])
def test_another_state_finds_nothing(ours: Flows, state: str) -> None:
    """Not even that of another flow of this browser."""
    mine, cookie = ours.begin("a")
    other, _ = ours.begin("a")

    assert ours.find("a", cookie, state.format(state=mine, other=other)) is None


@pytest.mark.parametrize("cookie", ["", "x", "gAAAAA", "{cookie}x", "{head}"])
def test_a_cookie_that_is_not_whole_finds_nothing(ours: Flows, cookie: str) -> None:
    """Nor one that nobody made."""
    state, mine = ours.begin("a")

    assert ours.find("a", cookie.format(cookie=mine, head=mine[:-4]), state) is None


def test_a_flow_for_something_else_or_of_another_company_counts_for_nothing(
    ours: Flows, tmp_path: Path, clock: Time
) -> None:
    """The same vault serves Google's and Aircall's; another vault is another company's."""
    state, cookie = ours.begin("aircall app1 https://a")
    neighbour = Flows(Vault.open(tmp_path / "other", tmp_path / "other.key", clock), clock)

    assert ours.find("google app1 https://a", cookie, state) is None
    assert ours.find("aircall app2 https://a", cookie, state) is None
    assert neighbour.find("aircall app1 https://a", cookie, state) is None
    assert ours.find("aircall app1 https://a", cookie, state) == {}


@pytest.mark.parametrize("content", [b"null", b"[]", b"{}", b'{"state": "s"}', b'{"company": "a", "flows": []}'])
def test_the_vaults_other_boxes_are_no_flows(tmp_path: Path, clock: Time, content: bytes) -> None:
    """Nor what an older version has put into a cookie."""
    vault = Vault.open(tmp_path / "credentials", tmp_path / "key", clock)

    assert Flows(vault, clock).find("a", vault.box(content).decode().rstrip("="), "s") is None


def test_a_flow_lasts_ten_minutes(ours: Flows, clock: Time) -> None:
    """However long the browser keeps the cookie."""
    state, cookie = ours.begin("a")
    clock.at += FLOW_SECONDS
    assert ours.find("a", cookie, state) == {}
    clock.at += 1
    assert ours.find("a", cookie, state) is None


def test_what_was_used_is_remembered_for_longer_than_its_cookie_counts(
    ours: Flows, clock: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And then forgotten, as is the oldest of too much."""
    ours.use("one")
    clock.at += 2 * FLOW_SECONDS
    ours.use("two")
    assert (ours.is_used("one"), ours.is_used("two"), ours.is_used("three")) == (True, True, False)
    clock.at += 1
    ours.use("three")
    assert (ours.is_used("one"), ours.is_used("two")) == (False, True)
    monkeypatch.setattr(flows, "MAX_USED", 2)
    ours.use("four")
    assert [ours.is_used(state) for state in ("two", "three", "four")] == [False, True, True]
    assert MAX_USED > 2


def test_nobody_guesses() -> None:
    """256 bits, as text that an address and a cookie's name take: RFC 7636 4.1 asks for 43 to 128 of these."""
    made = {unguessable() for _ in range(100)}

    assert len(made) == 100
    assert {len(one) for one in made} == {43}
    assert all(one.replace("-", "").replace("_", "").isalnum() and one.isascii() for one in made)
