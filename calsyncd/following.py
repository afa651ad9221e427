"""Whom we follow: the agents whom the settings name, or everybody; whose calendars are read, and whose no more."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from typing import Any

from calsyncd import config
from calsyncd.calendars import Others, Syncer, key_of
from calsyncd.config import Settings
from calsyncd.core.matching import Account, Matching, Person
from calsyncd.core.rules import Rules
from calsyncd.errors import Unavailable
from calsyncd.everybody import Everybody, Pairs
from calsyncd.phones import Agent, Phones, Roster
from calsyncd.scheduler import Scheduler
from calsyncd.view import matching_view


class Following:
    """Keeps phones and calendars in step with the settings, Aircall's users, and who has consented.

    `accounts` tells who has, given the users' addresses, and is None where nobody is asked; `leaving` those who take it
    back, and `forget` drops an account's access token. `knows` says whether Google has a calendar of an
    address, `connected` whose grants are kept. Before `serve` no calendar is read.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        settings: Settings,
        *,
        roster: Roster,
        phones: Phones,
        syncer: Syncer,
        others: Others,
        accounts: Callable[[Collection[str]], Collection[str]] | None,
        leaving: Callable[[], Iterable[str]],
        forget: Callable[[str], None],
        knows: Callable[[str], Awaitable[bool]],
        connected: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self.who: list[config.Agent] = []
        self._settings = settings
        self._roster = roster
        self._phones = phones
        self._syncer = syncer
        self._others = others
        self._leaving = leaving
        self._forget = forget
        self._connected = connected
        self._everybody = Everybody(scheduler, follow=self._follow_everybody, accounts=accounts, knows=knows)
        self._serving = False
        self._made: dict[tuple[str, int], config.Agent] = {}
        roster.heard = self._heard

    def recall(self, held: dict[int, str], read: Iterable[str]) -> None:
        """Take up who was there before: whoever is held must not be put back because the list is still to be read.

        `held` has the e-mail of each user who is held, `read` the keys of the calendars of which something is known.
        """
        keys, people = set(read), held | self._roster.directory
        known = {email for email in people.values() if key_of(email, "primary") in keys} | set(held.values())
        self._everybody.restore((Person(user, email) for user, email in people.items()), known)

    def follow(self, settings: Settings) -> None:
        """Follow whom these settings name, or everybody."""
        self._settings = settings
        self._made.clear()
        if settings.everybody:
            self._everybody.configure(None)
            self._phones.users_changed()
            return
        self.who = list(settings.agents)
        self._phones.follow(_agents(self.who))
        self._follow_calendars()
        self._everybody.configure(Account(agent.email, agent.aircall_user) for agent in self.who)

    def serve(self) -> None:
        """From now on calendars are read; those who were leaving are followed until they were let go of."""
        self._serving = True
        self._follow_calendars(parting=True)

    def begin(self) -> None:
        """From now on Google is asked whom it knows."""
        self._everybody.begin()

    def matching(self) -> dict[str, Any]:
        """Who has no counterpart, in the API's shape; that is nobody before Aircall's users were listed."""
        found = self._everybody.matching if self._everybody.listed else Matching()
        return matching_view(
            found,
            everybody=self._settings.everybody,
            untried=self._everybody.untried,
            unlisted=self._unlisted(),
        )

    def _unlisted(self) -> list[str]:
        """Who is connected and not followed: kept here and at Google, and read by nobody."""
        if self._settings.everybody and not self._everybody.listed:
            return []
        followed = {agent.email for agent in self.who}
        return sorted(email for email in self._connected() if email not in followed)

    # -- what was granted ------------------------------------------------------------------------------------------

    def is_agent(self, email: str) -> bool:
        """Whether this account may be connected; Unavailable while that is not known."""
        if self._settings.everybody:
            known = self._everybody.is_user(email)
            if not known and not self._everybody.listed:
                raise Unavailable("Aircall's users are not known yet", service="aircall", code="not_listed")
            return known
        return any(agent.email == email for agent in self._settings.agents)

    async def connected(self, email: str) -> None:
        """An agent has consented, perhaps anew: read their calendars now."""
        self._forget(email)
        await self._everybody.refresh_together()
        # To follow anew takes as long as there are agents: not for each of a crowd that connects.
        if not self._syncer.of_agent(email) or self._syncer.parted(email) is not None:
            self._follow_calendars()
        self._syncer.fetch(email)

    async def let_go(self, email: str) -> None:
        """An agent has taken it back: nothing of their calendars counts from now on."""
        await self._syncer.let_go(email)
        self._everybody.refresh()
        self._follow_calendars()
        self._forget(email)

    def regranted(self, gone: Collection[str]) -> None:
        """What was granted is not what it was: somebody has seen to the vault's files, and these accounts are gone."""
        self._everybody.refresh()
        self._follow_calendars()
        for email in gone:
            # Of whoever is followed no more the token that is left stops the channels.
            if self._syncer.of_agent(email):
                self._forget(email)
                self._syncer.fetch(email)

    def left(self, _: str) -> None:
        """Nothing is left of what an agent had granted."""
        self._follow_calendars()

    # -- in step ---------------------------------------------------------------------------------------------------

    def _follow_everybody(self, pairs: Pairs) -> None:
        made = self._made
        self._made = {}
        for pair in pairs:
            # An address that the settings would refuse is nobody's calendar.
            with contextlib.suppress(ValueError):
                # To lay the rules over each other takes longer than all the rest: not again for whoever was there.
                self._made[pair] = made.get(pair) or self._settings.agent_of(*pair)
        self.who = list(self._made.values())
        self._phones.follow(_agents(self.who), listed=True)
        self._follow_calendars()

    def _follow_calendars(self, *, parting: bool = False) -> None:
        """Read the calendars of all but those who are leaving: theirs, or with `parting` all, wait to be let go of."""
        if not self._serving:
            return
        leaving = list(self._leaving())
        read = [agent for agent in self.who if agent.email not in leaving]
        waiting = [email for email in leaving if parting or self._syncer.of_agent(email)]
        self._syncer.follow(_calendars([*read, *self._parting(waiting)]))
        self._others.follow(agent.email for agent in read)
        for email in leaving:
            self._syncer.part(email)

    def _parting(self, leaving: Iterable[str]) -> Iterator[config.Agent]:
        """As whom those are followed who are leaving."""
        users = {email: user for user, email in self._roster.directory.items()}
        for email in leaving:
            with contextlib.suppress(ValueError):
                yield self._settings.agent_of(email, users.get(email, email))

    def _heard(self) -> None:
        """Aircall's users were listed whole."""
        names = self._roster.names
        listed = self._roster.directory.items()
        self._everybody.heard(Person(user, email, names.get(user, "")) for user, email in listed)


def _agents(agents: Iterable[config.Agent]) -> list[Agent]:
    return [
        Agent(agent.email, agent.aircall_user, rules, observe=agent.mode == "observe")
        for agent, rules in _with_rules(agents)
    ]


def _calendars(agents: Iterable[config.Agent]) -> dict[str, tuple[tuple[str, ...], Rules]]:
    return {agent.email: (agent.calendars, rules) for agent, rules in _with_rules(agents)}


def _with_rules(agents: Iterable[config.Agent]) -> Iterator[tuple[config.Agent, Rules]]:
    """Each with the rules in force, which are one and the same for all who share them in the settings."""
    made: dict[int, Rules] = {}
    for agent in agents:
        key = id(agent.rules)
        if key not in made:
            made[key] = agent.rules.in_force()
        yield agent, made[key]
