"""`agents: all` from list to list, on the virtual clock: the real phones, a model Aircall, a Google that knows some."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from calsyncd.core.matching import Account, Person
from calsyncd.core.model import Setting
from calsyncd.errors import Refused, ServiceError, Unavailable
from calsyncd.everybody import DOUBT_SECONDS, TRIES_PER_SECOND, Everybody, Pairs
from calsyncd.phones import Agent
from calsyncd.view import matching_view
from tests.phones.company import HOUR, MINUTE, Office, down

AMY, BOB, EVE = "amy@example.com", "bob@example.com", "eve@example.com"


class ModelGoogle:
    """Knows these addresses; `fault` may be raised instead of an answer."""

    def __init__(self, office: Office) -> None:
        self.known: set[str] = set()
        self.fault: ServiceError | None = None
        self.asked: list[tuple[float, str]] = []
        self._office = office

    async def knows(self, email: str) -> bool:
        """Whether it is one of them."""
        self.asked.append((self._office.time, email))
        await self._office.clock.sleep(0.1)
        if self.fault is not None:
            raise self.fault
        return email in self.known


class Company:
    """An office in which everybody is followed; `consented` None: a service account speaks for all."""

    def __init__(self, consented: set[str] | None = None) -> None:
        self.office = Office([])
        self.google = ModelGoogle(self.office)
        self.followings: list[Pairs] = []
        roster = self.office.roster
        self.everybody = Everybody(
            self.office.scheduler,
            follow=self._follow,
            accounts=None if consented is None else lambda _: consented,
            knows=self.google.knows,
        )
        self.everybody.begin()
        roster.heard = lambda: self.everybody.heard(
            Person(user, email, roster.names.get(user, "")) for user, email in roster.directory.items()
        )

    def _follow(self, pairs: Pairs) -> None:
        self.followings.append(pairs)
        self.office.phones.follow((Agent(email, user) for email, user in pairs), listed=True)

    def join(self, user: int, email: str, *, known: bool = True) -> None:
        """Somebody gets an Aircall user, and with `known` has a calendar."""
        self.office.aircall.settings[user] = Setting("available")
        self.office.aircall.emails[user] = email
        if known:
            self.google.known.add(email)

    @property
    def followed(self) -> dict[str, int | None]:
        """Who is, with which user."""
        return {email: one.user for email, one in self.office.roster.agents.items() if one.configured}

    @property
    def unmatched(self) -> dict[int, str]:
        """Who of Aircall's users is not, and why."""
        return {one.id: why.code for one, why in self.everybody.matching.users}


@pytest.fixture
def company() -> Company:
    """Amy and Bob have calendars; user 3 has none."""
    made = Company()
    made.join(1, AMY)
    made.join(2, BOB)
    made.join(3, "eve@exmaple.com", known=False)
    return made


@contextmanager
def said() -> Iterator[Callable[[], list[dict[str, object]]]]:
    """What is logged of who is not matched."""
    with capture_logs() as logs:
        yield lambda: [dict(one) for one in logs if one.get("action") == "unmatched"]


async def test_everybody_with_a_calendar_is_followed(company: Company) -> None:
    """And whom Google does not know is no agent in trouble, but not matched: said once, tried again daily."""
    with said() as logged:
        async with company.office as office:
            company.everybody.configure(None)
            await office.a_while(30)

            assert company.followed == {AMY: 1, BOB: 2}
            assert company.unmatched == {3: "typo"}
            assert [one["users"] for one in logged()] == [1]
            assert "eve@exmaple.com" in str(logged()[0]["event"])

            await office.a_while(20 * HOUR)
            assert [one for _, one in company.google.asked].count("eve@exmaple.com") == 1

            company.google.known.add("eve@exmaple.com")
            await office.a_while(5 * HOUR)
            assert company.followed == {AMY: 1, BOB: 2, "eve@exmaple.com": 3}
            assert [one["users"] for one in logged()] == [1, 0]


async def test_who_joins_is_followed_soon_after_the_webhook(company: Company) -> None:
    """Within seconds, with the setting that the same list has shown; the list is not read once more for it."""
    async with company.office as office:
        company.everybody.configure(None)
        await office.a_while(5 * MINUTE)
        lists = len(office.aircall.of("list"))

        company.join(4, EVE)
        office.phones.users_changed()
        await office.a_while(15)

        assert company.followed == {AMY: 1, BOB: 2, EVE: 4}
        assert len(office.aircall.of("list")) == lists + 1


async def test_a_deleted_user_leaves_and_what_is_owed_is_closed(
    company: Company, capsys: pytest.CaptureFixture[str]
) -> None:
    """Held in a meeting and deleted: gone at the second list, with nothing owed; the others go on."""
    async with company.office as office:
        company.everybody.configure(None)
        await office.a_while(5 * MINUTE)
        office.meet(AMY, (office.time, office.time + HOUR))
        await office.a_while(5)
        assert office.held(AMY)

        office.aircall.removed.add(1)
        office.phones.users_changed()
        await office.a_while(2 * MINUTE)

        assert company.followed == {BOB: 2}
        assert AMY not in office.phones.held()
        assert "aircall_user_unknown" not in capsys.readouterr().out
        await office.a_while(HOUR)
        assert AMY not in office.roster.agents
        assert [row.why for row in office.journal.rows if row.outcome == "removed"] == [
            "no Aircall user has this address any more"
        ]


async def test_a_user_whose_address_changes(company: Company) -> None:
    """The same person under another name: what is owed goes along, and nobody is put back in between."""
    async with company.office as office:
        company.everybody.configure(None)
        await office.a_while(5 * MINUTE)
        office.meet(AMY, (office.time, office.time + HOUR))
        await office.a_while(5)

        company.join(1, "amy.adams@example.com")
        office.aircall.by_hand(1, "unavailable")
        office.phones.users_changed()
        await office.a_while(2 * MINUTE)

        assert company.followed == {"amy.adams@example.com": 1, BOB: 2}
        assert office.phones.held() == ["amy.adams@example.com"]
        assert office.aircall.status(1) == "unavailable"


async def test_one_list_that_lacks_somebody_drops_nobody(company: Company) -> None:
    """Pages shift while they are read."""
    async with company.office as office:
        company.everybody.configure(None)
        await office.a_while(5 * MINUTE)
        company.followings.clear()

        office.aircall.unlisted.add(1)
        office.phones.users_changed()
        await office.a_while(11)
        assert office.roster.directory.keys() == {2, 3}
        office.aircall.unlisted.clear()
        await office.a_while(HOUR)

        assert company.followings == []
        assert company.followed == {AMY: 1, BOB: 2}


async def test_lists_that_fail_change_nobody(company: Company) -> None:
    """Nor does one that breaks off in the middle."""
    async with company.office as office:
        office.aircall.per_page = 2
        company.everybody.configure(None)
        await office.a_while(5 * MINUTE)
        company.followings.clear()

        office.aircall.errors["list"] = down()
        office.aircall.removed.add(1)
        await office.a_while(3 * HOUR)

        assert company.followings == []
        assert company.followed == {AMY: 1, BOB: 2}


async def test_another_companys_users_change_nobody_for_a_day(company: Company) -> None:
    """A list that lacks most of those who are followed is as likely a wrong key."""
    async with company.office as office:
        company.everybody.configure(None)
        await office.a_while(5 * MINUTE)

        for user in (1, 2, 3):
            office.aircall.removed.add(user)
        company.join(9, EVE)
        await office.a_while(12 * HOUR)
        assert company.followed.keys() == {AMY, BOB}
        assert office.roster.company_trouble is not None

        await office.a_while(DOUBT_SECONDS)
        assert company.followed == {EVE: 9}
        assert office.roster.company_trouble is None


async def test_while_google_knows_nobody_all_are_followed(company: Company) -> None:
    """It is the credentials or the clock then; once one is known the others are told apart, without a day's wait."""
    async with company.office as office:
        known, company.google.known = company.google.known, set()
        company.everybody.configure(None)
        await office.a_while(MINUTE)
        assert company.followed.keys() == {AMY, BOB, "eve@exmaple.com"}

        company.google.known = known
        await office.a_while(20 * MINUTE)
        assert company.followed.keys() == {AMY, BOB}
        assert company.unmatched == {3: "typo"}


@pytest.mark.parametrize(
    "fault",
    [Unavailable("503", service="google", code="server"), Refused("401", service="google", code="delegation")],
)
async def test_a_failure_says_nothing_of_the_address(company: Company, fault: ServiceError) -> None:
    """All are followed, and show what is wrong; who is unknown is found out when Google answers."""
    async with company.office as office:
        company.google.fault = fault
        company.everybody.configure(None)
        await office.a_while(MINUTE)
        assert company.followed.keys() == {AMY, BOB, "eve@exmaple.com"}

        company.google.fault = None
        await office.a_while(20 * MINUTE)
        assert company.followed.keys() == {AMY, BOB}


async def test_a_restart_goes_on_where_it_was(company: Company) -> None:
    """Who was followed before is so before the first list, without being tried again."""
    company.everybody.restore([Person(1, AMY), Person(2, BOB)], {AMY, BOB})
    async with company.office as office:
        company.everybody.configure(None)

        assert company.followed == {AMY: 1, BOB: 2}
        await office.a_while(MINUTE)
        assert {email for _, email in company.google.asked} == {"eve@exmaple.com"}


async def test_a_big_company_is_tried_at_a_pace() -> None:
    """A thousand: so many a second, and followed a hundred at a time."""
    company = Company()
    for user in range(1, 1001):
        company.join(user, f"a{user}@example.com", known=user % 10 != 0)
    async with company.office as office:
        company.everybody.configure(None)
        await office.a_while(3 * MINUTE)

        assert len(company.followed) == 900
        times = [at for at, _ in company.google.asked]
        assert len(times) == 1000
        assert max(sum(1 for at in times if second <= at < second + 1) for second in times) <= TRIES_PER_SECOND
        assert len(company.followings) <= 15


async def test_who_has_consented_is_followed() -> None:
    """The others are not connected; an account without an Aircall user is told."""
    consented = {AMY, "zed@example.com"}
    company = Company(consented)
    company.join(1, AMY)
    company.join(2, BOB)
    async with company.office as office:
        company.everybody.configure(None)
        await office.a_while(MINUTE)

        assert company.followed == {AMY: 1}
        assert company.unmatched == {2: "not_connected"}
        assert [one.email for one, _ in company.everybody.matching.accounts] == ["zed@example.com"]
        assert company.everybody.is_user(BOB)
        assert not company.everybody.is_user("zed@example.com")

        consented.add(BOB)
        company.everybody.refresh()
        assert company.followed == {AMY: 1, BOB: 2}
        assert company.google.asked == []


async def test_listed_agents_are_only_matched(company: Company) -> None:
    """A list of agents is followed as it stands; who is near to one of them is told, others are not missed."""
    company.join(4, "support@example.com")
    async with company.office as office:
        office.phones.follow([Agent(AMY, AMY), Agent("eve@example.com", "eve@example.com")])
        company.everybody.configure([Account(AMY), Account("eve@example.com")])
        await office.a_while(MINUTE)

        assert company.followings == []
        shown = matching_view(company.everybody.matching, everybody=False, untried=company.everybody.untried)
        assert {one["id"]: (one["code"], one["suggestion"]) for one in shown["users"]} == {
            2: ("not_listed", None),
            3: ("typo", "eve@example.com"),
            4: ("not_listed", None),
        }
        assert [(one["email"], one["suggestion"]) for one in shown["accounts"]] == [
            ("eve@example.com", "eve@exmaple.com")
        ]
        assert (shown["missed"], shown["followed"], shown["untried"]) == (1, 1, 0)


async def test_from_a_list_to_everybody(company: Company) -> None:
    """Who was followed stays so without a break; the others join."""
    async with company.office as office:
        office.phones.follow([Agent(AMY, AMY)])
        company.everybody.configure([Account(AMY)])
        await office.a_while(5 * MINUTE)
        office.meet(AMY, (office.time, office.time + HOUR))
        await office.a_while(5)

        company.everybody.configure(None)
        assert company.followed == {AMY: 1}
        await office.a_while(MINUTE)

        assert company.followed == {AMY: 1, BOB: 2}
        assert [one.status for one in office.aircall.of("update")] == ["unavailable"]


async def test_a_crowd_that_connects_is_no_news() -> None:
    """Who was said to be unmatched and is no more is not told one by one; the last of them is."""
    consented: set[str] = set()
    company = Company(consented)
    for user, email in ((1, AMY), (2, BOB), (3, EVE)):
        company.join(user, email)
    with said() as logged:
        async with company.office as office:
            company.everybody.configure(None)
            await office.a_while(MINUTE)
            for email in (AMY, BOB, EVE):
                consented.add(email)
                company.everybody.refresh()
            consented.discard(BOB)
            company.everybody.refresh()

    assert [one["users"] for one in logged()] == [3, 0, 1]


async def test_a_crowd_is_taken_up_together() -> None:
    """The first at once, those who come meanwhile half a second later: it takes as long as there are people."""
    consented: set[str] = set()
    company = Company(consented)
    people = [f"agent{user}@example.com" for user in range(1, 101)]
    for user, email in enumerate(people, 1):
        company.join(user, email)
    async with company.office as office:
        company.everybody.configure(None)
        await office.a_while(MINUTE)
        before, connecting = len(company.followings), []
        for number, email in enumerate(people):
            consented.add(email)
            connecting.append(asyncio.create_task(company.everybody.refresh_together()))
            if number == 0:
                await connecting[0]
                assert company.followed == {email: 1}
            elif number % 50 == 0:
                await office.a_while(1.0)
        await office.a_while(1.0)

        assert all(one.done() for one in connecting)
        assert len(company.followed) == len(people)
        assert len(company.followings) - before == 3
