"""Spending Aircall's requests: how many may go, which goes first, how long a 429 lasts."""

from __future__ import annotations

import pytest

from calsyncd.core.dispatch import Candidate, order
from calsyncd.core.model import Setting
from calsyncd.core.plan import Look, Put
from calsyncd.core.prices import Weights

NOW = 1_800_000_000.0
YEAR = 365 * 86400.0
AVAILABLE = Setting("available")
UNAVAILABLE = Setting("unavailable")


# -- who goes first ----------------------------------------------------------------------------------------------------


def put(agent: str, ago: float, *, releases: bool = False) -> Candidate:
    """An update that has been due for `ago` seconds."""
    setting = AVAILABLE if releases else UNAVAILABLE
    return Candidate(agent, Put(setting, NOW - ago, releases=releases), releases)


def look(agent: str, ago: float, *, holding: bool = False) -> Candidate:
    """A look that has been due for `ago` seconds."""
    return Candidate(agent, Look(NOW - ago), holding)


def hinted(agent: str, ago: float) -> Candidate:
    """A look that only a hint has asked for, so long ago."""
    return Candidate(agent, Look(NOW - ago, "hint"), holding=True)


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        pytest.param([], "", id="nobody"),
        pytest.param([hinted("b", 500), look("a", -2)], "ab", id="what nobody waits for goes last, however long"),
        pytest.param([hinted("b", 1), hinted("a", 5)], "ab", id="of those the longest due"),
        pytest.param(
            [put("b", 5, releases=True), put("a", 1)], "ab", id="ringing in a meeting costs more than unreachable"
        ),
        pytest.param([put("b", 1), put("a", 5)], "ab", id="of two alike the longest due"),
        pytest.param([look("b", 5, holding=True), look("a", 1)], "ab", id="a look costs what it stands for"),
        pytest.param([put("b", 1), look("a", 5)], "ab", id="looks stand in the same queue"),
        pytest.param([put("b", 899), put("a", 900, releases=True)], "ab", id="who waited a minute goes before all"),
        pytest.param(
            [put("b", 910), put("a", 920, releases=True)], "ab", id="of those who waited a minute the longest due"
        ),
        pytest.param([put("b", -2), put("a", 1)], "ab", id="what is not due yet comes later"),
        pytest.param([put("a", 1), put("b", 1)], "ab", id="of two equal the first"),
    ],
)
def test_order(candidates: list[Candidate], expected: str) -> None:
    """Those first whose wrong state costs most; nobody waits for ever."""
    assert list(expected) == [candidate.agent for candidate in order(candidates, NOW, Weights())]
