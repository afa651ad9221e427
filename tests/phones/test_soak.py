"""Random days in which everything fails now and then: once the world is well again, every phone is right."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from calsyncd.core.rules import Rules
from calsyncd.phones import Agent

from .company import HOUR, MINUTE, Office, bad_key, down, gone, most_in_a_minute

TEAM = 5


def employee(user: int, name: str) -> Agent:
    """Some changes in a meeting stand, others do not."""
    return Agent(name, user, Rules(enforce=user % 2 == 0))


class Day:
    """One random day: what happens, and what the settings and the calendars say at its end."""

    def __init__(self, office: Office, seed: int) -> None:
        self.office = office
        self.chance = random.Random(seed)
        self.names = {number: f"a{number}@x" for number in range(1, TEAM + 1)}

    async def go_wrong(self) -> None:
        """Something happens."""
        things: list[Callable[[], None]] = [self.calendar] * 6
        things += [self.slow, self.fail, self.recover, self.disk, self.rename, self.leave, self.jump, self.refuse]
        things += [self.by_hand, self.hooks, self.rumours]
        self.chance.choice(things)()
        await self.office.a_while(self.chance.choice([0.01, 0.5, 3.0, 20.0, 90.0]))

    def calendar(self) -> None:
        name = self.chance.choice(list(self.names.values()))
        start = self.office.clock.now() - self.office.opened + self.chance.uniform(-60, 60)
        meetings = [(start, start + self.chance.uniform(1, 300))] if self.chance.random() < 0.7 else []
        self.office.meet(name, *meetings, complete=self.chance.random() < 0.8)

    def slow(self) -> None:
        self.office.aircall.all_latencies(self.chance.choice([0.05, 1.0, 6.0, 12.0]))

    def fail(self) -> None:
        kind = self.chance.choice(list(self.office.aircall.errors))
        self.office.aircall.errors[kind] = self.chance.choice([down, gone, bad_key])()

    def recover(self) -> None:
        self.office.aircall.all_fail(None)

    def disk(self) -> None:
        ledger = self.office.ledger
        ledger.answers()
        ledger.full, ledger.hangs = self.chance.choice([(True, False), (False, True), (False, False)])

    def rename(self) -> None:
        number = self.chance.randint(1, TEAM)
        self.names[number] = f"b{number}.{self.chance.randint(1, 99)}@x"
        self.follow()

    def leave(self) -> None:
        """Somebody is not named for a moment."""
        number = self.chance.randint(1, TEAM)
        self.office.phones.follow([employee(user, name) for user, name in self.names.items() if user != number])
        if self.chance.random() < 0.5:
            self.follow()

    def follow(self) -> None:
        self.office.phones.follow([employee(user, name) for user, name in self.names.items()])

    def jump(self) -> None:
        self.office.clock.jump(self.chance.choice([-HOUR, -10.0, 10.0, HOUR]))

    def refuse(self) -> None:
        self.office.budget.refused(self.office.clock.now() + 45)

    def by_hand(self) -> None:
        self.office.aircall.by_hand(self.chance.randint(1, TEAM), self.chance.choice(["available", "custom"]))

    def hooks(self) -> None:
        """Webhooks are silent from now on, or tell of everything at once, or twice."""
        times = self.chance.choice([0, 1, 2])

        def tell(user: int, status: str) -> None:
            for _ in range(times):
                self.office.phones.told(user, status, float(int(self.office.clock.now())))

        self.office.aircall.tell = tell

    def rumours(self) -> None:
        """Messages that are late, or not true at all."""
        for _ in range(self.chance.randint(1, 20)):
            status = self.chance.choice(["available", "custom", "unavailable", "new", None])
            at = self.office.clock.now() - self.chance.choice([7200.0, 600.0])
            self.office.phones.told(self.chance.randint(1, TEAM + 1), status, at)
        if self.chance.random() < 0.3:
            self.office.phones.users_changed()

    def mend(self) -> None:
        """The world is well again."""
        self.office.aircall.all_latencies(0.1)
        self.recover()
        self.office.ledger.answers()
        self.follow()


@pytest.mark.parametrize("seed", range(60))
async def test_after_a_bad_day_every_phone_is_right(seed: int) -> None:
    """Whatever happened: hours after it ended, all are free again, then a meeting holds all and lets all go.

    Hours, because an override by a clock that was set back later lasts by that clock.
    """
    async with Office([employee(number, f"a{number}@x") for number in range(1, TEAM + 1)]) as office:
        day = Day(office, seed)
        for _ in range(120):
            await day.go_wrong()
        day.mend()
        for name in day.names.values():
            office.meet(name)
        await office.a_while(HOUR + 10 * MINUTE)
        assert office.phones.held() == []
        await office.a_while(12 * HOUR)
        before = dict(office.aircall.settings)
        assert {setting.availability_status for setting in before.values()} <= {"available", "custom"}
        assert sorted(office.roster.agents) == sorted(day.names.values())
        start = office.clock.now() - office.opened + 60
        for name in day.names.values():
            office.meet(name, (start, start + 300))
        await office.a_while(75)
        assert {setting.availability_status for setting in office.aircall.settings.values()} == {"unavailable"}
        assert {
            user for user, entry in office.ledger.entries.items() if entry.stance == office[entry.email].stance
        } == set(day.names)
        await office.a_while(300)
        assert office.aircall.settings == before
        assert office.phones.held() == []
        assert most_in_a_minute(office.aircall.requests) <= 100
        assert [office.trouble(name) for name in day.names.values()] == [None] * TEAM
