"""Which Google account belongs to which Aircall user; and of whoever has no counterpart, the likely reason.

Addresses are compared as the settings have them: whole, in lower case. Whoever is followed has the very same address on
both sides, or is bound by the settings; all that is only near is a suggestion for people, and comes from those who have
no counterpart either.

Theory. To compare everybody with everybody would be millions of comparisons in a big company, in the loop. So only
those are compared who share a key: the mailbox, the local part, the local part without one letter (two strings that are
one slip apart share such a key), a whole word of it, or the letters of a person's name. A key that many share says
little and is passed over, so that the work grows with the number of people.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Code = Literal[
    "alias",
    "typo",
    "name",
    "other_domain",
    "no_email",
    "same_address",
    "taken",
    "no_such_user",
    "not_listed",
    "not_connected",
    "unknown_to_google",
    "nobody_near",
]
"""Why somebody has no counterpart."""

MOST_SHARING = 32
"""A key that more than so many share is passed over."""

MOST_NAMED = 5
_SHORTEST_SLIP = 5
_TWO_SLIPS_FROM = 8
_WORD = 4
_GMAIL = frozenset({"gmail.com", "googlemail.com"})
_NO_DIGITS = re.compile(r"\D")
_WORDS = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Person:
    """An Aircall user: id, e-mail in lower case ("" for none), and their name there."""

    id: int
    email: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """A Google account, and the Aircall user (id or e-mail) that the settings bind it to; None: the same e-mail."""

    email: str
    user: int | str | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why somebody likely has no counterpart, in words, and what to do.

    `suggestion` is the address (of an Aircall user without one the id) that is likely meant; `ties` are more that are
    just as near.
    """

    code: Code
    words: str
    do: str
    suggestion: str | None = None
    ties: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Matching:
    """(e-mail, Aircall user) of who is followed; the users and the accounts without a counterpart; all in order."""

    followed: tuple[tuple[str, int], ...] = ()
    users: tuple[tuple[Person, Reason], ...] = ()
    accounts: tuple[tuple[Account, Reason], ...] = ()

    @property
    def missed(self) -> tuple[tuple[Person, Reason], ...]:
        """The users that somebody may miss: without those whom the settings just do not name."""
        return tuple(one for one in self.users if one[1].code != "not_listed")


def match(
    users: Iterable[Person], accounts: Iterable[Account], otherwise: Literal["not_listed", "not_connected"]
) -> Matching:
    """Match users with these accounts; `otherwise` is why a user has none to whom no account is near."""
    people = _people(users)
    known = [account for _, account in sorted({account.email: account for account in _in_order(accounts)}.items())]
    by_email = _first_by_email(people)
    by_id = {one.id: one for one in people}
    taken: dict[int, str] = {}
    alone: list[Account] = []
    for account in known:
        user = _named(account, by_id, by_email)
        if user is None or taken.setdefault(user.id, account.email) != account.email:
            alone.append(account)
    free = [one for one in people if one.id not in taken]
    free_accounts = _Near(
        ((account.email, account.email, {_letters(account.email)}) for account in alone),
        {domain(account.email) for account in known},
        "Google account",
    )
    free_users = _Near(
        ((one.email or str(one.id), one.email, _initials(one.name)) for one in (free if alone else ())),
        {domain(one.email) for one in people},
        "Aircall user",
    )
    return Matching(
        tuple(sorted((email, user) for user, email in taken.items())),
        tuple((one, _why_user(one, by_email, free_accounts, otherwise)) for one in free),
        tuple((one, _why_account(one, _named(one, by_id, by_email), free_users)) for one in alone),
    )


def match_known(users: Iterable[Person], unknown: Collection[str]) -> Matching:
    """Match users with the accounts of the same addresses, where any may be asked; `unknown` are those without one."""
    people = _people(users)
    by_email = _first_by_email(people)
    followed = [one for email, one in by_email.items() if email not in unknown]
    homes = Counter(domain(one.email) for one in followed)
    taken = {one.email for one in followed}
    ids = {one.id for one in followed}
    return Matching(
        tuple(sorted((one.email, one.id) for one in followed)),
        tuple((one, _why_unknown(one, by_email, homes, taken)) for one in people if one.id not in ids),
    )


def nearest(email: str, known: Iterable[str]) -> str | None:
    """The one of the `known` addresses that is likely meant by one that somebody wrote; None if none is near.

    What is only asked back ("did you mean") may be a slip in a short name too.
    """
    among = sorted({one for one in known if one})
    near = _Near(((one, one, {_letters(one)}) for one in among), {domain(one) for one in among}, "")
    found = near.of(email, {_letters(email)})
    if found is not None:
        return found[1][0]
    return next((one for one in among if distance(email, one, 1) == 1), None)


def domain(email: str) -> str:
    """What follows the last @."""
    return email.rpartition("@")[2]


def _in_order(accounts: Iterable[Account]) -> list[Account]:
    return sorted(accounts, key=lambda one: (one.email, str(one.user)), reverse=True)


def _people(users: Iterable[Person]) -> list[Person]:
    unique = {one.id: one for one in sorted(users, key=lambda one: (one.email, one.name), reverse=True)}
    return sorted(unique.values(), key=lambda one: (one.email, one.id))


def _first_by_email(people: Iterable[Person]) -> dict[str, Person]:
    found: dict[str, Person] = {}
    for one in people:
        if one.email:
            found.setdefault(one.email, one)
    return found


def _named(account: Account, by_id: dict[int, Person], by_email: dict[str, Person]) -> Person | None:
    if isinstance(account.user, int):
        return by_id.get(account.user)
    return by_email.get(account.user or account.email)


# -- why ---------------------------------------------------------------------------------------------------------------


def _why_user(one: Person, by_email: dict[str, Person], near: _Near, otherwise: Code) -> Reason:
    if one.email and by_email[one.email].id != one.id:
        return _same_address(by_email[one.email])
    found = near.of(one.email, _initials(one.name))
    if not one.email:
        return _no_email(found[1] if found is not None else [])
    if found is not None:
        code, likely = found
        return _reason(code, near.side, one.email, likely, _correct_address(likely))
    if otherwise == "not_listed":
        return Reason(otherwise, "the settings do not name this user", "add them under agents, if they are to follow")
    if domain(one.email) not in near.homes and near.homes:
        return _reason("other_domain", near.side, one.email, [], f"{_INVITE} {one.email}, or correct the address")
    return Reason(otherwise, f"nobody has connected the Google account {one.email}", f"{_INVITE} {one.email}")


_INVITE = "send them the link that `calsyncd connect` prints for"


def _why_account(account: Account, user: Person | None, near: _Near) -> Reason:
    if user is not None:
        return Reason(
            "taken",
            f"another account is bound to Aircall user {user.id} already",
            "give each agent an aircall_user of their own",
        )
    sought = account.user if isinstance(account.user, str) else account.email
    found = near.of(sought, {_letters(sought)})
    if isinstance(account.user, int) or (found is None and sought != account.email):
        likely = found[1] if found is not None else []
        do = "correct aircall_user in the settings" + (f": {_listed(likely)}?" if likely else "")
        return Reason("no_such_user", f"Aircall has no user {account.user}", do, *_split(likely))
    if found is not None:
        code, likely = found
        return _reason(code, near.side, sought, likely, f"set aircall_user of {account.email}, or correct the address")
    if domain(sought) not in near.homes and near.homes:
        return _reason("other_domain", near.side, sought, [], f"invite {sought} to Aircall, or correct the address")
    return Reason("nobody_near", f"Aircall has no user {sought}, and none with an address near it", "invite them there")


def _why_unknown(one: Person, by_email: dict[str, Person], homes: Counter[str], taken: Collection[str]) -> Reason:
    """Without a list of accounts there is only what the addresses of the others suggest."""
    if not one.email:
        return _no_email([])
    if by_email[one.email].id != one.id:
        return _same_address(by_email[one.email])
    local, _, own = one.email.rpartition("@")
    code: Code
    for code, likely in _guesses(local, own, one, homes):
        free = [guess for guess in likely if guess not in taken and guess != one.email]
        if free:
            return Reason(
                code, f"{_GUESSED[code].format(own)}: {_listed(free)} may be meant", _guessed(free), *_split(free)
            )
    if own not in homes and homes:
        return Reason("other_domain", _GUESSED["other_domain"].format(own), _IN_WORKSPACE)
    return Reason("unknown_to_google", f"Google knows no calendar of {one.email}", _IN_WORKSPACE)


_GUESSED: dict[Code, str] = {
    "alias": "Google knows no calendar of this address, likely an alias",
    "typo": "Google knows no calendar of this address, likely a typing slip",
    "other_domain": "{} is not a domain of any Google account here",
}
_IN_WORKSPACE = (
    "check the user in Google Workspace: the address is to be the primary one, the user not suspended, and Calendar on"
)


def _guesses(local: str, own: str, one: Person, homes: Counter[str]) -> Iterator[tuple[Code, list[str]]]:
    yield "alias", [_mailbox(one.email)]
    if own not in homes:
        yield "typo", [f"{local}@{home}" for home in _slips(own, homes, 1) or _slips(own, homes, 2)]
        most = max(homes.values(), default=0)
        yield "other_domain", [f"{local}@{home}" for home in sorted(homes) if homes[home] == most]
    words = _WORDS.findall(_folded(one.name))
    if len(words) > 1:
        whole = f"{words[0]}.{words[-1]}"
        if _slips_apart(_folded(local), whole) is not None:
            yield "typo", [f"{whole}@{own}"]


def _slips(own: str, homes: Iterable[str], most: int) -> list[str]:
    """Which of the domains this one likely is, mistyped: example.fr beside example.com is no slip."""
    name, _, top = own.rpartition(".")
    apart = ((home, *home.rpartition(".")[::2]) for home in homes)
    return sorted(
        home
        for home, other, end in apart
        if end == top and min(len(name), len(other)) >= _SHORTEST_SLIP and distance(name, other, most) <= most
    )


def _same_address(other: Person) -> Reason:
    return Reason(
        "same_address",
        f"Aircall user {other.id} has the same address, and is the one who is followed",
        "give each Aircall user an address of their own",
    )


def _no_email(likely: list[str]) -> Reason:
    do = "give the user an address in Aircall's dashboard"
    return Reason(
        "no_email",
        "Aircall tells no e-mail address of this user",
        f"{do}: {_listed(likely)}?" if likely else do,
        *_split(likely),
    )


def _guessed(likely: list[str]) -> str:
    return f"if that is their account, give the Aircall user the address {_listed(likely)}"


def _correct_address(likely: list[str]) -> str:
    return f"give the Aircall user the address {_listed(likely)}, or list the agents, each with its aircall_user"


def _reason(code: Code, side: str, email: str, likely: list[str], do: str) -> Reason:
    shown = _listed(likely)
    words = {
        "alias": f"likely an alias: the same name at the {side} {shown}",
        "typo": f"likely a typing slip: there is the {side} {shown}",
        "name": f"likely the same person: the {side} {shown} has the same name",
        "other_domain": f"{domain(email)} is not a domain of any {side} here"
        + (f"; the same name is at {shown}" if likely else ""),
    }[code]
    return Reason(code, words, do, *_split(likely))


def _split(likely: list[str]) -> tuple[str | None, tuple[str, ...]]:
    return (likely[0], tuple(likely[1:MOST_NAMED])) if likely else (None, ())


def _listed(likely: list[str]) -> str:
    shown = likely[:MOST_NAMED]
    return " or ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


# -- who is near -------------------------------------------------------------------------------------------------------


class _Near:
    """Finds among those of one side who is near to an address; `homes` are the domains of all of that side."""

    def __init__(self, entries: Iterable[tuple[str, str, Iterable[str]]], homes: set[str], side: str) -> None:
        self.homes = homes - {""}
        self.side = side
        self._locals: dict[str, str] = {}
        self._by: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
        for shown, email, names in entries:
            for name in names:
                self._by["name", name].append(shown)
            local, _, own = email.rpartition("@")
            if not local:
                continue
            self._locals[shown] = _folded(local)
            self._by["mailbox", _mailbox(email)].append(shown)
            self._by["local", local].append(shown)
            for key in _slip_keys(_folded(local)):
                self._by[own, key].append(shown)

    def of(self, email: str, names: Iterable[str]) -> tuple[Code, list[str]] | None:
        """The likeliest reason, and all who are nearest by it, in order; None if nobody is near."""
        if not self._by:
            return None
        local, _, own = email.rpartition("@")
        if local:
            mailbox = self._by.get(("mailbox", _mailbox(email)), [])
            if mailbox:
                return "alias", sorted(mailbox)
            same = sorted(self._by.get(("local", local), []))
            if same:
                return self._elsewhere(own, same)
            slips = self._slips(local, own)
            if slips:
                return "typo", slips
        alike = {shown for name in names for shown in self._sharing(("name", name))}
        return ("name", sorted(alike)) if alike else None

    def _elsewhere(self, own: str, same: list[str]) -> tuple[Code, list[str]]:
        """The same local part, at other domains."""
        if own not in self.homes:
            for most in (1, 2):
                slips = [one for one in same[:MOST_SHARING] if _slips(own, [domain(one)], most)]
                if slips:
                    return "typo", slips
            return "other_domain", same
        return "alias", same

    def _slips(self, local: str, own: str) -> list[str]:
        local = _folded(local)
        shared = {shown for key in _slip_keys(local) for shown in self._sharing((own, key))}
        apart = ((_slips_apart(local, self._locals[shown]), shown) for shown in shared)
        near = sorted((slips, shown) for slips, shown in apart if slips is not None)
        return [shown for slips, shown in near if slips == near[0][0]]

    def _sharing(self, key: tuple[str, ...]) -> list[str]:
        found = self._by.get(key, [])
        return found if len(found) <= MOST_SHARING else []


def _mailbox(email: str) -> str:
    """The address under which mail for this one arrives: without what follows a plus; dots mean nothing at Gmail."""
    local, _, own = email.rpartition("@")
    local = local.partition("+")[0] or local
    return f"{local.replace('.', '')}@gmail.com" if own in _GMAIL else f"{local}@{own}"


def _slip_keys(folded: str) -> set[str]:
    keys = {folded, *(folded[:at] + folded[at + 1 :] for at in range(len(folded)))}
    words = _WORDS.findall(folded)
    return keys | {f" {word}" for word in words if len(words) > 1 and len(word) >= _WORD}


def _slips_apart(one: str, other: str) -> int | None:
    """By how many slips one is likely the other, mistyped: one, or two in a long one, and the same digits; else None.

    Both are folded.
    """
    length = min(len(one), len(other))
    if length < _SHORTEST_SLIP or _NO_DIGITS.sub("", one) != _NO_DIGITS.sub("", other):
        return None
    most = 2 if length >= _TWO_SLIPS_FROM else 1
    slips = distance(one, other, most)
    return slips if slips <= most else None


def distance(one: str, other: str, most: int) -> int:
    """How many letters were missed, added, changed or swapped with their neighbour; more than `most` is `most` + 1."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    while one and other and one[0] == other[0]:
        one, other = one[1:], other[1:]
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, row, last = row, [i, *[0] * len(other)], before
        for j, mine in enumerate(other, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != mine))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == mine:
                row[j] = min(row[j], last[j - 2] + 1)
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)


def _folded(text: str) -> str:
    """Without case and accents."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def _letters(email: str) -> str:
    """The letters and digits of the local part."""
    return "".join(_WORDS.findall(_folded(email.rpartition("@")[0].partition("+")[0])))


def _initials(name: str) -> set[str]:
    """How a local part may spell this name."""
    words = _WORDS.findall(_folded(name))
    if len(words) < 2:
        return set()
    first, last = words[0], words[-1]
    return {first + last, last + first, first[0] + last}
