"""How far a loss of access reaches, when it is believed, and how often it is asked about."""

from __future__ import annotations

from pathlib import Path

import pytest

from calsyncd.core import access
from calsyncd.core.access import OF_AIRCALL, REACH
from calsyncd.core.troubles import KINDS, needs_human

TESTS = Path(__file__).parent.parent
AMY, BOB, ZOE = "amy@example.com", "bob@example.com", "zoe@other.example"

PROVED_BY = {
    **dict.fromkeys(REACH, "calendars/test_access.py::test_from_cause_to_recovery"),
    **dict.fromkeys(OF_AIRCALL, "phones/test_access.py::test_the_company_is_shut_out"),
    "aircall_company": "phones/test_troubled_world.py::test_another_companys_key_closes_no_debt",
    "aircall_user_gone": "phones/test_access.py::test_a_user_who_is_gone_and_comes_back",
    "aircall_user_unknown": "phones/test_access.py::test_a_user_who_is_gone_and_comes_back",
}
"""The test that follows each loss from its cause to the recovery."""


def test_each_loss_is_followed_to_its_recovery() -> None:
    """A test proves of each, from the cause on, that it is told, waits for somebody, and comes back by itself."""
    assert {code for code, kind in KINDS.items() if kind.lost} == set(PROVED_BY)
    for code, proof in PROVED_BY.items():
        assert needs_human(code)
        file, _, name = proof.partition("::")
        assert f"async def {name}(" in (TESTS / file).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("code", "together"),
    [
        ("api_disabled", {f"{AMY}/x", f"{AMY}/y", f"{BOB}/x", f"{ZOE}/x"}),
        ("delegation", {f"{AMY}/x", f"{AMY}/y", f"{BOB}/x"}),
        ("consent_withdrawn", {f"{AMY}/x", f"{AMY}/y"}),
        ("calendar_gone", {f"{AMY}/x"}),
    ],
)
def test_who_shares_a_cause(code: str, together: set[str]) -> None:
    """With Amy's first calendar: the company's, the domain's, her own, or none: one of them is asked for all."""
    calendars = {f"{AMY}/x": AMY, f"{AMY}/y": AMY, f"{BOB}/x": BOB, f"{ZOE}/x": ZOE}
    grounds = {key: access.ground(code, email, key) for key, email in calendars.items()}

    assert {key for key in calendars if grounds[key] == grounds[f"{AMY}/x"]} == together


def test_alone_is_by_oneself_but_for_the_company() -> None:
    """Where others of a domain are well, a calendar's refusal is its own; the company's key is nobody's own."""
    assert access.ground("delegation", AMY, "a/x", alone=True) != access.ground("delegation", AMY, "a/y", alone=True)
    assert access.ground("api_disabled", AMY, "a/x", alone=True) == access.ground("api_disabled", ZOE, "z/x")


@pytest.mark.parametrize(
    ("refusals", "lasted", "known", "expected"),
    [
        (1, 3600.0, True, False),
        (2, 3600.0, True, False),
        (3, 599.0, True, False),
        (3, 600.0, True, True),
        (2, 0.0, False, False),
        (3, 0.0, False, True),
    ],
)
def test_when_a_loss_is_believed(refusals: int, lasted: float, *, known: bool, expected: bool) -> None:
    """Three times over ten minutes; where nothing was ever read, three times."""
    assert expected == access.is_confirmed("calendar_gone", refusals, lasted, known=known)
    assert access.is_confirmed("not_connected", 1, 0.0, known=known)


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_first_quickly_then_slowly(chance: float) -> None:
    """Half a minute at first, ten minutes are over within eight tries, then a quarter of an hour, more or less."""
    tries = [access.next_probe(number, chance, confirmed=False) for number in range(1, 9)]

    assert 15 <= tries[0] <= 30
    assert sum(tries) >= access.CONFIRM_SECONDS
    assert max(tries) <= access.CONFIRM_CAP_SECONDS
    assert 11 * 60 <= access.next_probe(50, chance, confirmed=True) <= 19 * 60


def test_few_of_a_domain_are_not_all_of_it() -> None:
    """Three of the company are enough, ten of a domain, and no number of agents or calendars."""
    assert [access.is_everybodys("service_account", number) for number in (2, 3)] == [False, True]
    assert [access.is_everybodys("delegation", number) for number in (9, 10)] == [False, True]
    assert not access.is_everybodys("calendar_gone", 1000)


@pytest.mark.parametrize(
    ("code", "alone", "read", "expected"),
    [
        ("service_account", False, False, False),
        ("service_account", False, True, True),
        ("service_account", True, False, False),
        ("api_disabled", True, True, False),
        ("delegation", True, False, True),
        ("delegation", False, False, False),
    ],
)
def test_who_is_asked_for_all_the_same(code: str, *, alone: bool, read: bool, expected: bool) -> None:
    """Who may still have a token, and who of a domain has a reason of their own."""
    assert expected == access.may_differ(code, alone=alone, read=read)
