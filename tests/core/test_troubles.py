"""What keeps an agent or a calendar from being right, in words."""

from __future__ import annotations

import pytest

from calsyncd.core.model import Trouble
from calsyncd.core.troubles import KINDS, needs_human, trouble

NOW = 1_800_000_000.0


@pytest.mark.parametrize("code", sorted(KINDS))
def test_a_known_trouble_says_what_what_to_do_and_whose_turn_it_is(code: str) -> None:
    """In sentences without a stop, since when."""
    found = trouble(code, NOW, "what a server said")

    assert (code, NOW) == (found.code, found.since)
    assert "what a server said" not in found.message
    assert all(text and not text.endswith(".") for text in (found.message, found.do, found.owner))


@pytest.mark.parametrize(
    ("code", "owner"),
    [
        ("not_connected", "the agent"),
        ("consent_withdrawn", "the agent"),
        ("scope_missing", "the agent"),
        ("oauth_client", "operator"),
    ],
)
def test_a_consent_is_the_agents_and_the_client_the_operators(code: str, owner: str) -> None:
    """Only they can mend it."""
    assert trouble(code, NOW).owner == owner


def test_an_unknown_trouble_is_passing_and_explains_itself() -> None:
    """Nobody has to do anything."""
    expected = Trouble(
        "timeout", "aircall did not answer in time", "wait: it is retried by itself", "nobody: it is retried", NOW
    )

    assert expected == trouble("timeout", NOW, "aircall did not answer in time")
    assert "timeout" == trouble("timeout", NOW).message


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("delegation", True),
        ("calendar_gone", True),
        ("not_connected", True),
        ("consent_withdrawn", True),
        ("oauth_client", True),
        ("aircall_user_gone", True),
        ("not_taken", True),
        ("quota", False),
        ("ledger", False),
        ("internal", False),
        ("timeout", False),
    ],
)
def test_what_passes_by_itself_needs_no_human(code: str, *, expected: bool) -> None:
    """A human is called for what waiting cannot mend."""
    assert expected == needs_human(code)


@pytest.mark.parametrize("note", ["not_taken", "call_without_end"])
def test_the_plans_notes_are_known_troubles(note: str) -> None:
    """The plan says the code; the words are here."""
    assert note in KINDS
