"""Who is followed with which Aircall user, and the likely reason where nobody is."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calsyncd.core.matching import Account, Matching, Person, distance, match, match_known, nearest


def alone(user: Person, *accounts: str) -> tuple[str, str | None, tuple[str, ...]]:
    """Why the one user has no account among these and Zoe's, who has one."""
    zoe = Person(99, "zoe@example.com")
    found = match([user, zoe], [Account("zoe@example.com"), *map(Account, accounts)], "not_connected")
    assert found.followed == (("zoe@example.com", 99),)
    ((who, reason),) = found.users
    assert who == user
    return reason.code, reason.suggestion, reason.ties


@pytest.mark.parametrize(
    ("email", "accounts", "expected"),
    [
        pytest.param("amy@example.fr", ["amy@example.com", "bob@example.fr"], "alias", id="another domain of ours"),
        pytest.param("amy+phone@example.com", ["amy@example.com"], "alias", id="plus"),
        pytest.param("a.my@gmail.com", ["amy@googlemail.com"], "alias", id="dots at Gmail"),
        pytest.param("a.my@example.com", ["amy@example.com"], "not_connected", id="dots elsewhere are letters"),
        pytest.param("amy@agency.net", ["amy@example.com"], "other_domain", id="same name at a foreign domain"),
        pytest.param("amy@exmaple.com", ["amy@example.com"], "typo", id="a slip in the domain"),
        pytest.param("amy.adms@example.com", ["amy.adams@example.com"], "typo", id="a letter missed"),
        pytest.param("amy.admas@example.com", ["amy.adams@example.com"], "typo", id="two letters swapped"),
        pytest.param("kathrin.meyer@example.com", ["cathrine.meyer@example.com"], "typo", id="two slips"),
        pytest.param("andré@example.com", ["andre@example.com"], "typo", id="an accent"),
        pytest.param("tim@example.com", ["jim@example.com"], "not_connected", id="short names are not slips"),
        pytest.param("agent17@example.com", ["agent18@example.com"], "not_connected", id="numbers are not slips"),
        pytest.param("amy.adms@example.com", ["amy.adams@example.fr"], "not_connected", id="a slip and another domain"),
    ],
)
def test_the_likely_reason(email: str, accounts: list[str], expected: str) -> None:
    """Each kind of nearness is told apart, and names who is near."""
    code, suggestion, ties = alone(Person(1, email), *accounts)

    assert code == expected
    assert suggestion == (None if expected == "not_connected" else accounts[0])
    assert ties == ()


def test_a_name_tells_who_it_is() -> None:
    """An address that spells the user's name, accents or not."""
    assert alone(Person(1, "support3@example.com", "Zoë Müller"), "zmuller@example.com")[:2] == (
        "name",
        "zmuller@example.com",
    )


def test_a_domain_that_nobody_has() -> None:
    """Nobody is near, and the domain is foreign."""
    assert alone(Person(1, "amy@agency.net"), "bob@example.com") == ("other_domain", None, ())


def test_ties_are_named() -> None:
    """Two that are just as near are both told, in order."""
    found = alone(Person(1, "amy.adams@example.fr"), "amy.adams@example.org", "amy.adams@example.net")

    assert found == ("other_domain", "amy.adams@example.net", ("amy.adams@example.org",))


def test_the_nearer_one_wins() -> None:
    """One slip is nearer than two."""
    found = alone(Person(1, "katharina@example.com"), "catharina@example.com", "catarina@example.com")

    assert found == ("typo", "catharina@example.com", ())


def test_only_who_is_alone_is_suggested() -> None:
    """An account that has its user already is nobody else's."""
    found = match(
        [Person(1, "amyadams@example.com"), Person(2, "amyadam@example.com")],
        [Account("amyadams@example.com")],
        "not_connected",
    )

    assert found.followed == (("amyadams@example.com", 1),)
    assert [(who.id, why.code) for who, why in found.users] == [(2, "not_connected")]


def test_an_account_without_a_user() -> None:
    """The other way round: what an agent has no Aircall user for."""
    found = match(
        [Person(5, "amy@example.fr"), Person(6, "eve@example.com")],
        [
            Account("amy@example.com"),
            Account("bob@example.com", 404),
            Account("cid@example.com", "evee@example.org"),
            Account("dora@example.com"),
            Account("eve@example.com"),
            Account("frank@example.com", 6),
        ],
        "not_listed",
    )

    assert found.followed == (("eve@example.com", 6),)
    assert {one.email: (why.code, why.suggestion) for one, why in found.accounts} == {
        "amy@example.com": ("alias", "amy@example.fr"),
        "bob@example.com": ("no_such_user", None),
        "cid@example.com": ("no_such_user", None),
        "dora@example.com": ("nobody_near", None),
        "frank@example.com": ("taken", None),
    }
    assert [(who.id, why.code) for who, why in found.missed] == [(5, "other_domain")]


def test_who_is_not_named_is_not_missed() -> None:
    """A list of agents leaves others out on purpose."""
    found = match(
        [Person(1, "amy@example.com"), Person(2, "bob@example.com")], [Account("amy@example.com")], "not_listed"
    )

    assert [why.code for _, why in found.users] == ["not_listed"]
    assert found.missed == ()


def test_two_users_with_one_address() -> None:
    """The older one is followed, whatever the order; and one without an address is nobody's."""
    users = [Person(7, "amy@example.com"), Person(3, "amy@example.com"), Person(9, "")]

    for order in (users, users[::-1]):
        found = match_known(order, ())
        assert found.followed == (("amy@example.com", 3),)
        assert [(who.id, why.code) for who, why in found.users] == [(9, "no_email"), (7, "same_address")]


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (Person(1, "amy@example.com"), ("unknown_to_google", None)),
        (Person(1, "amy+phone@example.com"), ("alias", "amy@example.com")),
        (Person(1, "bob+phone@example.com"), ("unknown_to_google", None)),
        (Person(1, "amy@exmaple.com"), ("typo", "amy@example.com")),
        (Person(1, "amy@agency.net"), ("other_domain", "amy@example.com")),
        (Person(1, "bob@agency.net"), ("other_domain", None)),
        (Person(1, "amy.adms@example.com", "Amy Adams"), ("typo", "amy.adams@example.com")),
    ],
)
def test_whom_google_does_not_know(user: Person, expected: tuple[str, str | None]) -> None:
    """Where any account may be asked, the addresses of the others tell what may be meant; never one that is taken."""
    found = match_known([user, Person(2, "bob@example.com"), Person(3, "cid@example.com")], {user.email})

    assert [(why.code, why.suggestion) for _, why in found.users] == [expected]
    assert [user for _, user in found.followed] == [2, 3]


LOCALS = st.sampled_from(
    ["amy", "amy.adams", "amy.adms", "a.my", "amy+x", "bob.baker", "bob.bakr", "andré", "andre", ""]
)
DOMAINS = st.sampled_from(["example.com", "example.fr", "exmaple.com", "gmail.com", "googlemail.com"])
EMAILS = st.builds(lambda local, home: f"{local}@{home}" if local else "", LOCALS, DOMAINS)
NAMES = st.sampled_from(["", "Amy", "Amy Adams", "Bob Baker"])
PEOPLE = st.lists(st.builds(Person, st.integers(1, 30), EMAILS, NAMES), max_size=12, unique_by=lambda one: one.id)
BOUND = st.one_of(st.none(), st.integers(1, 30), EMAILS.filter(bool))
ACCOUNTS = st.lists(st.builds(Account, EMAILS.filter(bool), BOUND), max_size=12, unique_by=lambda one: one.email)


def is_whole(found: Matching, people: list[Person], accounts: list[Account]) -> bool:
    """Whether everybody stands in exactly one place."""
    users = [user for _, user in found.followed] + [who.id for who, _ in found.users]
    emails = [email for email, _ in found.followed] + [one.email for one, _ in found.accounts]
    return sorted(users) == sorted(one.id for one in people) and sorted(emails) == sorted(one.email for one in accounts)


@settings(max_examples=150, deadline=None)
@given(people=PEOPLE, accounts=ACCOUNTS, data=st.data())
def test_everybody_is_in_one_place_whatever_the_order(
    people: list[Person], accounts: list[Account], data: st.DataObject
) -> None:
    """Each user and each account is followed or alone, once; the order of the input changes nothing."""
    found = match(people, accounts, "not_connected")

    assert is_whole(found, people, accounts)
    assert found == match(data.draw(st.permutations(people)), data.draw(st.permutations(accounts)), "not_connected")
    free = {one.email for one, _ in found.accounts}
    assert all({why.suggestion, *why.ties} - {None} <= free for _, why in found.users)


@settings(max_examples=100, deadline=None)
@given(people=PEOPLE, unknown=st.sets(EMAILS), data=st.data())
def test_the_same_without_a_list_of_accounts(people: list[Person], unknown: set[str], data: st.DataObject) -> None:
    """Nobody whom Google does not know is followed."""
    found = match_known(people, unknown)

    assert is_whole(found, people, [Account(email) for email, _ in found.followed])
    assert found == match_known(data.draw(st.permutations(people)), unknown)
    assert not {email for email, _ in found.followed} & unknown


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("amy", "amy", 0), ("amy", "may", 1), ("amy", "am", 1), ("abcd", "wxyz", 3), ("ca", "abc", 3), ("", "ab", 2)],
)
def test_distance(one: str, other: str, expected: int) -> None:
    """Missed, added, changed or swapped letters; beyond the bound they are not counted on."""
    assert distance(one, other, 2) == distance(other, one, 2) == expected


def test_a_big_company_of_strangers() -> None:
    """Two thousand on each side, alike and none the same: about linear, so that the loop goes on."""
    people = [Person(n + 1, f"first{n % 40}.last{n:04}x@example.com", f"First{n} Last") for n in range(2000)]
    accounts = [Account(f"first{n % 40}.last{n:04}y@example.com") for n in range(2000)]

    began = time.process_time()
    found = match(people, accounts, "not_connected")

    assert time.process_time() - began < 5.0
    assert {why.code for _, why in found.users} == {"typo"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("amy.adms@example.com", "amy.adams@example.com"),
        ("amy.adams+phone@example.com", "amy.adams@example.com"),
        ("amy.adams@exmaple.com", "amy.adams@example.com"),
        ("bob@example.com", "bobb@example.com"),
        ("zoe@example.com", None),
        ("", None),
    ],
)
def test_the_address_that_was_meant(written: str, expected: str | None) -> None:
    """Found as for whoever has no counterpart; in a short name one slip is enough to ask back."""
    assert expected == nearest(written, ["amy.adams@example.com", "bobb@example.com", ""])
