"""Who is followed and why the others are not, to the letter: matching.txt has what is said of each company."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from calsyncd.core.matching import Account, Matching, Person, distance, match, match_known, nearest

ZOE = Person(99, "zoe@example.com")


def _two(*users: Person, accounts: tuple[Account | str, ...] = (), otherwise: str = "not_connected") -> Matching:
    """These users beside Zoe, who is followed, and these accounts beside hers."""
    found = [one if isinstance(one, Account) else Account(one) for one in ("zoe@example.com", *accounts)]
    return match([ZOE, *users], found, otherwise)  # type: ignore[arg-type]


def _one(email: str, *accounts: Account | str, name: str = "", otherwise: str = "not_connected") -> Matching:
    return _two(Person(1, email, name), accounts=accounts, otherwise=otherwise)


def _unknown(*emails: str, name: str = "") -> Matching:
    """Without a list of accounts: Google knows none of these addresses, but Zoe's and Bo's."""
    users = [Person(number, email, name) for number, email in enumerate(emails, 1)]
    return match_known([ZOE, Person(98, "bo.lee@example.org"), *users], set(emails))


CASES: dict[str, Callable[[], Matching]] = {
    "nobody near": lambda: _one("amy@example.com", "bob@example.com"),
    "not listed": lambda: _one("amy@example.com", otherwise="not_listed"),
    "not listed, at a foreign domain": lambda: _one("amy@foreign.net", otherwise="not_listed"),
    "at a foreign domain": lambda: _one("amy@foreign.net", "bob@example.com"),
    "no account at all": lambda: match([Person(1, "amy@example.com")], [], "not_connected"),
    "an alias by a plus": lambda: _one("amy+phone@example.com", "amy@example.com"),
    "an alias by its own plus": lambda: _one("+amy@example.com", "+amy+x@example.com"),
    "aliases at Gmail": lambda: _one("a.my@gmail.com", "amy@googlemail.com", "am.y@gmail.com", "a.m.y@gmail.com"),
    "the same name at another domain of ours": lambda: _one("amy@example.fr", "amy@example.com", "bob@example.fr"),
    "the same name at many domains": lambda: _one("amy@foreign.net", "amy@example.com", "amy@example.fr", "amy@a.org"),
    "a slip in the domain": lambda: _one("amy@exmaple.com", "amy@example.com"),
    "two slips in the domain": lambda: _one("amy@exmapel.com", "amy@example.com"),
    "three slips in the domain": lambda: _one("amy@exmpel.com", "amy@example.com"),
    "another top of the domain": lambda: _one("amy@example.net", "amy@example.com"),
    "a slip in a domain of three parts": lambda: _one("amy@mail.exmaple.com", "amy@mail.example.com"),
    "a slip": lambda: _one("amy.adms@example.com", "amy.adams@example.com"),
    "a slip in five letters": lambda: _one("maria@example.com", "marja@example.com"),
    "a slip in four letters": lambda: _one("mary@example.com", "mark@example.com"),
    "two slips in seven letters": lambda: _one("johnson@example.com", "jahnsen@example.com"),
    "two slips in eight letters": lambda: _one("johnsons@example.com", "jahnsens@example.com"),
    "two slips in ten letters": lambda: _one("katharinas@example.com", "catharines@example.com"),
    "three slips": lambda: _one("kathrin.meyer@example.com", "cathrime.mayer@example.com"),
    "the nearer of two slips": lambda: _one(
        "kathrin.meyer@example.com", "cathrine.meyer@example.com", "kathrin.meyar@example.com"
    ),
    "two that are as near": lambda: _one("amy.adms@example.com", "amy.adams@example.com", "amy.adems@example.com"),
    "other digits": lambda: _one("agent17x@example.com", "agent18x@example.com"),
    "the same digits": lambda: _one("agent17x@example.com", "agent17y@example.com"),
    "a word in common": lambda: _one("support.mueller@example.com", "support.miller@example.com"),
    "the same name": lambda: _one("support3@example.com", "zmuller@example.com", name="Zoë Müller"),
    "the same name, first first": lambda: _one(
        "support3@example.com", "zoe.muller@example.com", name="Zoë Middle Müller"
    ),
    "the same name, last first": lambda: _one("support3@example.com", "mullerzoe+x@example.com", name="Zoë Müller"),
    "one name alone": lambda: _one("support3@example.com", "zoem@example.com", name="Zoem"),
    "no address": lambda: _one("", "bob@example.com"),
    "no address, the same name": lambda: _one("", "amy.lee@example.com", name="Amy Lee"),
    "no address, the same name of many": lambda: _one(
        "", "amy.lee@example.com", "alee@example.com", "leeamy@example.com", "amylee@a.org", name="Amy Lee"
    ),
    "no address, twice": lambda: _two(Person(1, ""), Person(2, "")),
    "the same address": lambda: _two(
        Person(1, "amy@example.com"), Person(2, "amy@example.com"), accounts=("amy@example.com",)
    ),
    "the same user twice": lambda: _two(
        Person(1, "amy@example.com"), Person(1, "bob@example.com"), accounts=("bob@example.com",)
    ),
    "no name before the @": lambda: _two(
        Person(1, "@example.com"), Person(2, "amy.adms@example.com"), accounts=("@a.org", "amy.adams@example.com")
    ),
    "two @": lambda: _one('"amy@home"@example.com', '"amy@home"@example.org', "amy@example.com"),
    "bound by its number": lambda: _one("amy@example.com", Account("bob@example.com", 1)),
    "bound to who is not there": lambda: _one("amy@example.com", Account("bob@example.com", 7)),
    "bound to who is not there, with one near": lambda: _one("bob.lees@example.com", Account("bob.lee@example.com", 7)),
    "bound by an address": lambda: _one("amy@example.com", Account("bob@example.com", "amy@example.com")),
    "bound to an address that is not there": lambda: _one(
        "amy@example.com", Account("bob@example.com", "eve@example.com")
    ),
    "bound to an address with one near": lambda: _one(
        "amy.adams@example.com", Account("bob@example.com", "amy.adms@example.com")
    ),
    "two bound to one": lambda: _one("amy@example.com", Account("amy@example.com"), Account("bob@example.com", 1)),
    "one account twice": lambda: _one("amy@example.com", Account("bob@example.com", 1), Account("bob@example.com", 7)),
    "an account at a foreign domain": lambda: _one("amy@example.com", "bob@foreign.net"),
    "an account of nobody": lambda: match([], [Account("bob@example.com")], "not_connected"),
    "an account of whom no address is told": lambda: _one("", "amy.lee@example.com", "bob@example.com", name="Amy Lee"),
    "unknown": lambda: _unknown("amy@example.com"),
    "unknown, no address": lambda: _unknown(""),
    "unknown, the same address as one who is followed": lambda: match_known([ZOE, Person(1, "zoe@example.com")], set()),
    "unknown, an alias": lambda: _unknown("amy+phone@example.com"),
    "unknown, an alias of who is followed": lambda: _unknown("zoe+phone@example.com"),
    "unknown, a slip in the domain": lambda: _unknown("amy@exmaple.com"),
    "unknown, slips in the domain": lambda: _unknown("amy@exmapel.com"),
    "unknown, at a foreign domain": lambda: _unknown("amy@foreign.net"),
    "unknown, whose name is at ours": lambda: _unknown("zoe@foreign.net", "bo.lee@foreign.net"),
    "unknown, a slip in the name": lambda: _unknown("amy.adms@example.com", name="Amy Adams"),
    "unknown, a slip in the longer name": lambda: _unknown("amy.adms@example.com", name="Amy Eve Adams"),
    "unknown, one name": lambda: _unknown("adms@example.com", name="Adams"),
    "unknown, another name": lambda: _unknown("support@example.com", name="Amy Adams"),
    "unknown, nobody is known": lambda: match_known([Person(1, "amy@example.com")], {"amy@example.com"}),
}


def told(found: Matching) -> list[str]:
    """All of it, a line for each."""
    return [
        *(f"followed: {email} with {user}" for email, user in found.followed),
        *(f"user {one.id} {one.email}: {reason}" for one, reason in found.users),
        *(f"account {one.email}: {reason}" for one, reason in found.accounts),
    ]


def _expected() -> dict[str, list[str]]:
    """By the name of the case: the lines under it."""
    found: dict[str, list[str]] = {}
    for line in (Path(__file__).parent / "matching.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            lines = found.setdefault(line[2:], [])
        elif line:
            lines.append(line)
    return found


EXPECTED = _expected()


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_of_a_company(name: str) -> None:
    """Each reason with its words, what to do, and who is near."""
    assert EXPECTED[name] == told(CASES[name]())


def test_there_is_no_company_without_its_words() -> None:
    """Nor the other way round."""
    assert list(CASES) == list(EXPECTED)


@pytest.mark.parametrize(
    ("one", "other", "most", "expected"),
    [
        ("", "", 0, 0),
        ("amy", "amy", 2, 0),
        ("amy", "any", 2, 1),
        ("amy", "ay", 2, 1),
        ("amy", "aimy", 2, 1),
        ("amy", "may", 2, 1),
        ("amy", "mya", 2, 2),
        ("abcd", "badc", 2, 2),
        ("abcd", "badc", 1, 2),
        ("amy", "bob", 1, 2),
        ("amy", "bob", 5, 3),
        ("amy", "", 3, 3),
        ("amy", "", 2, 3),
        ("xamyx", "xbobx", 2, 3),
        ("abcdef", "acbdfe", 2, 2),
        ("abc", "ca", 5, 3),
    ],
)
def test_how_many_letters_are_otherwise(one: str, other: str, most: int, expected: int) -> None:
    """Missed, added, changed or swapped; no more than one more than is asked for."""
    assert expected == distance(one, other, most) == distance(other, one, most)


@pytest.mark.parametrize(
    ("email", "meant"),
    [
        ("amy@example.com", "amy@example.com"),
        ("any@example.com", "amy@example.com"),
        ("ani@example.com", None),
        ("bob+x@example.com", "bob@example.com"),
        ("", None),
    ],
)
def test_who_is_likely_meant(email: str, meant: str | None) -> None:
    """One slip in a short name is enough to ask back."""
    assert meant == nearest(email, ["bob@example.com", "amy@example.com", ""])
