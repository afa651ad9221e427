"""Everybody in Aircall who has a Google calendar: who that is, from list to list.

The list of Aircall's users is the one that the phones read anyway: at the start, at least hourly, and soon after a
webhook told that somebody joined or left. A list that failed or broke off is not heard of here. Pages shift while they
are read, so whoever was there is believed gone only at the second list that lacks them; and where a list lacks most of
those who are followed it looks like another company's, and changes nobody for a day.

Where a service account may speak for anybody, nobody tells which accounts there are. So each address of which nothing
was ever read is tried once, a few a second, before it is followed, and daily while Google does not know it. While
Google knows none at all it is not the addresses that are wrong: all are followed then, and show what is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import replace

from calsyncd.core.matching import Account, Matching, Person, match, match_known
from calsyncd.errors import ServiceError
from calsyncd.logs import get_logger
from calsyncd.scheduler import Scheduler

TRIES_PER_SECOND = 20
"""Each is a token and a request, and for whom it succeeds a baseline and a channel: half of what Google grants."""

FOLLOW_EVERY_SECONDS = 5.0
UNKNOWN_RETRY_SECONDS = 86400.0
TROUBLED_RETRY_SECONDS = 15 * 60.0
DOUBT_SECONDS = 86400.0
LEAST_DOUBTED = 2
MOST_SAID = 5
GATHER_SECONDS = 0.5
"""Those who consent within so short a time are taken up together: each time takes as long as there are people."""

Pairs = Sequence[tuple[str, int]]

log = get_logger(__name__)


class Everybody:
    """Keeps who is followed in step with Aircall's users, if the settings say so, and knows who is not matched.

    `follow` is called with (e-mail, Aircall user) of exactly those who are to be followed, whenever they change.
    `accounts` tells the Google accounts that have consented, given the users' addresses; None: a service account speaks
    for anybody, and `knows` asks whether Google knows a calendar of an address (ServiceError: it could not be told).
    """

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        follow: Callable[[Pairs], None],
        accounts: Callable[[Collection[str]], Collection[str]] | None,
        knows: Callable[[str], Awaitable[bool]],
    ) -> None:
        self.matching = Matching()
        self._scheduler = scheduler
        self._clock = scheduler.clock
        self._follow = follow
        self._accounts = accounts
        self._knows = knows
        self._named: tuple[Account, ...] | None = ()
        self._people: dict[int, Person] = {}
        self._lacking: set[int] = set()
        self._doubted_at: float | None = None
        self._heard = self._begun = False
        self._known: set[str] = set()
        self._again: dict[str, float] = {}
        self._unknown: set[str] = set()
        self._trying = False
        self._followed: Pairs | None = None
        self._said: tuple[object, ...] = ()
        self._refreshed_at: float | None = None
        self._gathering: asyncio.Task[None] | None = None
        scheduler.handle("everybody", lambda *_: self._consider())
        scheduler.when_stepped(lambda now, _: self._stepped(now))

    @property
    def listed(self) -> bool:
        """Whether Aircall's users were listed since the start: before that nobody is known to be without one."""
        return self._heard

    @property
    def untried(self) -> int:
        """How many addresses are still to be tried for the first time."""
        if self._named is not None or self._accounts is not None:
            return 0
        return sum(1 for email in self._addresses() if email not in self._known and email not in self._again)

    def restore(self, people: Iterable[Person], known: Iterable[str]) -> None:
        """Take up who was there when the process before this one ended, and of whom something was `known`."""
        self._people = {one.id: one for one in people}
        self._known = set(known)

    def begin(self) -> None:
        """From now on ask Google."""
        self._begun = True
        self._consider()

    def configure(self, named: Iterable[Account] | None) -> None:
        """Only match these accounts, which the settings name; or, if None, follow everybody who has an account."""
        # Whom the settings have named until now is not tried anew: nobody is to be put back for that.
        self._known |= {account.email for account in self._named or ()}
        self._named = None if named is None else tuple(named)
        # Whatever was done for them, it was done now.
        self._try_again()
        self._followed = None
        self._consider()

    def refresh(self) -> None:
        """Who has consented may have changed."""
        self._refreshed_at = self._clock.monotonic()
        self._consider()

    async def refresh_together(self) -> None:
        """As `refresh`, at once or within GATHER_SECONDS, and once for all who ask meanwhile."""
        if self._gathering is None:
            since = self._refreshed_at
            wait = 0.0 if since is None else since + GATHER_SECONDS - self._clock.monotonic()
            if wait <= 0.0:
                self.refresh()
                return
            self._gathering = asyncio.create_task(self._refresh_in(wait), name="consents")
        await asyncio.shield(self._gathering)

    async def _refresh_in(self, seconds: float) -> None:
        try:
            await self._clock.sleep(seconds)
        finally:
            self._gathering = None
        self.refresh()

    def is_user(self, email: str) -> bool:
        """Whether this is the address of an Aircall user."""
        return email in self._addresses()

    def heard(self, people: Iterable[Person]) -> None:
        """Aircall's users were listed whole."""
        listed = {one.id: one for one in people}
        now = self._clock.now()
        if self._is_doubtful(listed):
            self._doubted_at = self._doubted_at if self._doubted_at is not None else now
            if now < self._doubted_at + DOUBT_SECONDS:
                return
        else:
            self._doubted_at = None
        # An address that is left out is as likely a slip of Aircall's as a user that is.
        lacking = {user for user, one in self._people.items() if one.email and not _email_of(listed.get(user))}
        kept = {user: self._people[user] for user in lacking - self._lacking}
        self._people, self._lacking, self._heard = {**listed, **kept}, set(kept), True
        self._consider()

    def _is_doubtful(self, listed: Collection[int]) -> bool:
        """Whether the list looks like another company's: it lacks most of those who are followed."""
        followed = [user for _, user in self._followed or ()]
        gone = sum(1 for user in followed if user not in listed)
        return gone >= LEAST_DOUBTED and gone * 2 > len(followed)

    # -- matching --------------------------------------------------------------------------------------------------

    def _consider(self) -> None:
        people = self._people.values()
        if self._named is not None:
            self.matching = match(people, self._named, "not_listed")
        elif self._accounts is not None:
            self.matching = match(people, map(Account, self._accounts(self._addresses())), "not_connected")
        else:
            self.matching = self._match_tried()
        if self._named is None and self.matching.followed != self._followed:
            self._followed = self.matching.followed
            self._follow(self._followed)
        if not self._trying:
            self._say()

    def _match_tried(self) -> Matching:
        """Whom nobody has been asked for yet is not followed yet."""
        addresses = self._addresses()
        self._again = {email: at for email, at in self._again.items() if email in addresses}
        self._unknown &= self._again.keys()
        if self._begun and not self._trying:
            due = self._due(self._clock.now())
            if due:
                self._trying = True
                self._scheduler.start(self._try_all(due), "everybody")
            else:
                self._scheduler.at("everybody", "", min(self._again.values(), default=None))
        followed = {user: email for email, user in self._followed or ()}
        people = []
        for one in self._people.values():
            if not one.email or one.email in self._known or one.email in self._again:
                people.append(one)
            elif one.id in followed:
                # Under a new address, which is being tried: until then nobody puts them back.
                people.append(replace(one, email=followed[one.id]))
        sure = self._trying or bool(self._known & addresses)
        return match_known(people, self._unknown if sure else ())

    def _addresses(self) -> set[str]:
        return {one.email for one in self._people.values() if one.email}

    def _say(self) -> None:
        """Say who is not matched, when somebody is new among them; before the first list there is nothing to say."""
        users = self.matching.missed
        said = (*(one.id for one, _ in users), *(one.email for one, _ in self.matching.accounts))
        if not self._heard or said == self._said:
            return
        fewer, self._said = bool(said) and set(said) < set(self._said), said
        if fewer:
            return
        accounts = [one.email for one, _ in self.matching.accounts]
        if not said:
            log.info("Every Aircall user is matched", action="unmatched", users=0, accounts=0)
            return
        shown = [one.email or f"user {one.id}" for one, _ in users] or accounts
        more = f" and {len(shown) - MOST_SAID} more" if len(shown) > MOST_SAID else ""
        what = "No Google calendar here for Aircall users" if users else "No Aircall user for Google accounts"
        log.warning(
            f"{what} ({len(shown)}): {', '.join(shown[:MOST_SAID])}{more}",
            action="unmatched",
            users=len(users),
            accounts=len(accounts),
        )

    # -- whether Google knows them -----------------------------------------------------------------------------------

    def _try_again(self) -> None:
        self._again = dict.fromkeys(self._again, self._clock.now())

    def _stepped(self, now: float) -> None:
        if self._again:
            self._try_again()
            self._scheduler.at("everybody", "", now)

    def _due(self, now: float) -> list[str]:
        return sorted(
            email for email in self._addresses() if email not in self._known and self._again.get(email, now) <= now
        )

    async def _try_all(self, due: list[str]) -> None:
        considered_at = self._clock.monotonic()
        for first in range(0, len(due), TRIES_PER_SECOND):
            began = self._clock.monotonic()
            await asyncio.gather(*map(self._try, due[first : first + TRIES_PER_SECOND]))
            if began >= considered_at + FOLLOW_EVERY_SECONDS:
                considered_at = began
                self._consider()
            await self._clock.sleep(max(0.0, began + 1.0 - self._clock.monotonic()))
        self._trying = False
        if not self._known:
            # It is mended for all at once, so that nobody is to wait for a day.
            soon = self._clock.now() + TROUBLED_RETRY_SECONDS
            self._again = {email: min(at, soon) for email, at in self._again.items()}
        self._consider()

    async def _try(self, email: str) -> None:
        try:
            known = await self._knows(email)
        except ServiceError:
            # That says nothing of the address: one tried for the first time is followed, and shows what is wrong.
            self._again[email] = self._clock.now() + TROUBLED_RETRY_SECONDS
            return
        if known:
            self._known.add(email)
            self._unknown.discard(email)
            self._again.pop(email, None)
        else:
            self._unknown.add(email)
            self._again[email] = self._clock.now() + UNKNOWN_RETRY_SECONDS


def _email_of(one: Person | None) -> str:
    return one.email if one is not None else ""
