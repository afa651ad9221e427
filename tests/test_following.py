"""What it costs that a crowd connects where everybody is followed: real rooms, real settings, a clock that is ours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from calsyncd.calendars import Others, Syncer
from calsyncd.config import Settings
from calsyncd.core.model import Listed, Setting
from calsyncd.everybody import GATHER_SECONDS
from calsyncd.following import Following
from tests.alarms.test_watch import Company
from tests.config.home import BY_CONSENT, furnish, furnish_ways

CROWD = 200
EVERYBODY = f"{BY_CONSENT.split('agents')[0]}agents: all\nserver: {{public_url: https://calsync.example.com}}\n"


class NoLists:
    """Consent to events alone shows nobody's list of calendars."""

    async def calendars(self, subject: str) -> tuple[Listed, ...] | None:
        """None."""
        del subject
        return None


async def never_asked(email: str) -> bool:
    """Whoever consents has an account."""
    raise AssertionError(email)


@pytest.mark.parametrize("seconds", [0.0, 4.0])
async def test_a_crowd_that_connects_costs_as_much_as_it_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Each one's rules are laid once; all are followed anew once in half a second, not once for each who connects."""
    laid: list[str] = []
    rounds: list[int] = []
    agent_of, follow = Settings.agent_of, Syncer.follow

    def counted_agent_of(self: Settings, email: str, aircall_user: int | str) -> Any:
        laid.append(email)
        return agent_of(self, email, aircall_user)

    def counted_follow(self: Syncer, agents: Any) -> None:
        rounds.append(len(agents))
        follow(self, agents)

    home = furnish(tmp_path, {})
    furnish_ways(home)
    settings = home.load(EVERYBODY)
    people = [f"agent{number}@example.com" for number in range(1, CROWD + 1)]
    consented: set[str] = set()
    async with Company(tmp_path, 0) as company:
        office = company.office
        for user, email in enumerate(people, 1):
            office.aircall.settings[user] = Setting("available")
            office.aircall.emails[user] = email
        following = Following(
            company.scheduler,
            settings,
            roster=office.roster,
            phones=office.phones,
            syncer=company.syncer,
            others=Others(company.scheduler, NoLists(), alike=False),
            accounts=lambda _: consented,
            leaving=tuple,
            forget=lambda _: None,
            knows=never_asked,
        )
        await company.begin()
        following.follow(settings)
        following.serve()
        following.begin()
        await company.a_while(60)
        assert following.matching()["users"]
        began = company.clock.now()
        monkeypatch.setattr(Settings, "agent_of", counted_agent_of)
        monkeypatch.setattr(Syncer, "follow", counted_follow)

        connecting: list[Awaitable[None]] = []
        for email in people:
            consented.add(email)
            connecting.append(asyncio.create_task(following.connected(email)))
            await company.a_while(seconds / CROWD)
        await company.a_while(2 * GATHER_SECONDS)
        await asyncio.gather(*connecting)

        assert sorted(laid) == sorted(people)
        assert len(rounds) <= 2 * (seconds / GATHER_SECONDS + 3)
        assert {agent.email for agent in following.who} == set(people)
        await company.a_while(120)
        assert all(company.syncer.is_read(email, began) for email in people)
        assert following.matching()["users"] == []
