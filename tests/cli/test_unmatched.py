"""What `calsyncd status` says below its table."""

from __future__ import annotations

from typing import Any

import pytest

from calsyncd.cli.agents import print_unmatched
from calsyncd.core.matching import Account, Matching, Person, match, match_known
from calsyncd.view import matching_view


def shown(matching: Matching, capsys: pytest.CaptureFixture[str], untried: int = 0) -> str:
    """The lines for this matching."""
    body: dict[str, Any] = matching_view(matching, everybody=True, untried=untried)
    print_unmatched(body)
    return capsys.readouterr().out


def test_who_has_no_calendar(capsys: pytest.CaptureFixture[str]) -> None:
    """The first few, each with who is likely meant."""
    people = [Person(1, "amy@example.com"), Person(2, "bob@exmaple.com"), Person(3, "")]
    people += [Person(10 + n, f"x{n}@example.com") for n in range(6)]

    text = shown(match_known(people, {one.email for one in people[1:]}), capsys, untried=7)

    assert text == (
        "8 Aircall users have no Google calendar here: user 3, bob@exmaple.com (bob@example.com?), x0@example.com, "
        "x1@example.com, x2@example.com and 3 more\n"
        "7 more Aircall users are being tried\n"
    )


def test_agents_without_a_user(capsys: pytest.CaptureFixture[str]) -> None:
    """And who is not listed on purpose is not named."""
    people = [Person(1, "amy@example.fr"), Person(2, "bob@example.com")]

    text = shown(match(people, [Account("amy@example.com")], "not_listed"), capsys)

    assert text == (
        "1 Aircall user has no Google calendar here: amy@example.fr (amy@example.com?)\n"
        "1 Google account has no Aircall user: amy@example.com (amy@example.fr?)\n"
    )


def test_nobody_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    """Then nothing is said."""
    assert shown(match_known([Person(1, "amy@example.com")], ()), capsys) == ""


@pytest.mark.parametrize(
    ("everybody", "again"), [(True, "invite them to Aircall again"), (False, "list them again")], ids=["all", "listed"]
)
def test_who_is_connected_and_no_agent(capsys: pytest.CaptureFixture[str], *, everybody: bool, again: str) -> None:
    """Once, with both ways on; whoever lacks an Aircall user is not named a second time for that."""
    matching = match([], [Account("amy@example.com")], "not_connected")
    body = matching_view(matching, everybody=everybody, untried=0, unlisted=["amy@example.com"])

    print_unmatched(body)

    assert capsys.readouterr().out == (
        "1 connected account is no agent: amy@example.com;"
        f" `calsyncd forget EMAIL` takes the permission back, or {again}\n"
    )
    (entry,) = body["unlisted"]
    assert entry["email"] == "amy@example.com"
    assert entry["do"].startswith("`calsyncd forget amy@example.com`")
