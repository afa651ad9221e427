"""What the phones do when Aircall, the list or the disk misbehave, and when the settings change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from calsyncd.core.plan import Held, StandingBack
from calsyncd.errors import USER_GONE, Refused, ServiceError, Unavailable
from calsyncd.phones import Agent
from tests.phones.office import START, Office

AMY, BOB = "amy@example.com", "bob@example.com"
HOUR = 3600.0

Open = Callable[..., Office]


@pytest.fixture
async def office() -> AsyncIterator[Open]:
    """Open an office; it is closed at the end."""
    opened: list[Office] = []

    def make(agents: list[Agent], per_minute: int = 100) -> Office:
        opened.append(Office(agents, per_minute))
        return opened[-1]

    yield make
    for one in opened:
        await one.close()


def not_found(*kinds: str) -> Callable[[str, int], ServiceError | None]:
    """404 to these kinds of requests."""

    def fault(kind: str, user: int) -> ServiceError | None:
        del user
        if kind.split(maxsplit=1)[0] not in kinds:
            return None
        return Refused("404", service="aircall", code=USER_GONE, status=404)

    return fault


def down(kind: str, user: int) -> ServiceError:
    """503 to everything."""
    del kind, user
    return Unavailable("503", service="aircall", code="server", status=503)


async def test_two_requests_a_window(office: Open) -> None:
    """Held at the start, back at the end, and nothing else is written."""
    world = office([Agent(AMY, 1)])
    world.meetings(AMY, (60, 120))

    await world.until(300)

    assert world.aircall.puts == [(1, "unavailable"), (1, "available")]


def in_a_call(kind: str, user: int) -> ServiceError | None:
    """405 to every update: the user's state does not allow it."""
    del user
    return Refused("405", service="aircall", code="refused", status=405) if kind.startswith("put") else None


async def test_a_state_that_refuses_updates_passes(office: Open) -> None:
    """An update that a call forbids is tried again soon, then ever less often; it is not a trouble at once."""
    world = office([Agent(AMY, 1)])
    world.meetings(AMY, (60, 600))
    await world.until(55)
    world.aircall.fault = in_a_call

    await world.until(61.5)
    early = world.roster.agents[AMY].trouble
    await world.until(360)
    tries, late = len(world.aircall.puts), world.roster.agents[AMY].trouble
    world.aircall.fault = lambda _kind, _user: None
    await world.until(420)
    held = dict(world.aircall.settings)
    world.aircall.fault = in_a_call
    await world.until(603)
    world.aircall.fault = lambda _kind, _user: None
    await world.until(606)

    assert (early, late is not None and late.code) == (None, "update_refused")
    assert 6 <= tries <= 12
    assert held == {1: "unavailable"}
    assert world.aircall.settings == {1: "available"}
    assert world.roster.agents[AMY].trouble is None


@pytest.mark.parametrize("kind", ["look", "put"])
async def test_one_404_closes_no_debt(office: Open, kind: str) -> None:
    """Aircall knows nothing of the agent for a moment: the debt stays, and is paid when it knows them again."""
    world = office([Agent(AMY, 1)])
    world.meetings(AMY, (60, 300))
    await world.until(200)

    world.aircall.fault = not_found(kind)
    await world.until(310)
    trouble = world.roster.agents[AMY].trouble
    owed = world.disk.owed()
    world.aircall.fault = lambda _kind, _user: None
    await world.until(900)

    assert trouble is not None
    assert (trouble.code, owed) == ("aircall_user_gone", {1: True})
    assert world.aircall.settings == {1: "available"}


async def test_one_404_costs_no_meeting(office: Open) -> None:
    """A look that failed with 404 just before a meeting is soon tried again."""
    world = office([Agent(AMY, 1)])
    world.meetings(AMY, (60, 3000))
    await world.until(55)

    world.aircall.fault = not_found("look")
    await world.until(59)
    world.aircall.fault = lambda _kind, _user: None
    await world.until(240)

    assert world.aircall.settings == {1: "unavailable"}
    assert world.roster.agents[AMY].trouble is None


async def test_another_companys_key_closes_no_debt(office: Open) -> None:
    """A list that lacks most agents is another company's: every debt stays, for as long as that lasts."""
    world = office([Agent(AMY, 1), Agent(BOB, 2)])
    world.meetings(AMY, (60, 600))
    world.meetings(BOB, (60, 600))
    await world.until(100)
    users = dict(world.aircall.settings)

    world.aircall.settings = {77: "available"}
    world.aircall.fault = not_found("look", "put")
    await world.until(2 * HOUR)
    company = world.roster.company_trouble
    owed = world.disk.owed()
    world.aircall.settings, world.aircall.fault = users, lambda _kind, _user: None
    await world.until(3 * HOUR)

    assert company is not None
    assert (company.code, owed) == ("aircall_company", {1: True, 2: True})
    assert world.aircall.settings == {1: "available", 2: "available"}


async def test_a_user_who_is_gone_for_good(office: Open) -> None:
    """Two whole lists in a row lack the user, and the others are there: the stance is closed."""
    world = office([Agent(AMY, 1), Agent(BOB, 2), Agent("cleo@example.com", 3)])
    world.meetings(AMY, (60, HOUR))
    await world.until(100)

    del world.aircall.settings[1]
    world.aircall.fault = lambda kind, user: not_found("look", "put")(kind, user) if user == 1 else None
    await world.until(2 * HOUR)

    assert world.disk.owed()[1] is False
    assert world.roster.agents[AMY].user is None


async def test_missing_from_one_list(office: Open) -> None:
    """Pages shift while they are read: who is missing from one list is still followed."""
    world = office([Agent(AMY, 1), Agent(BOB, 2), Agent("cleo@example.com", 3)])
    await world.until(10)
    setting = world.aircall.settings.pop(1)
    await world.until(620)
    missing, user = world.roster.agents[AMY].missing, world.roster.agents[AMY].user
    world.aircall.settings[1] = setting
    await world.until(700)

    assert (missing, user) == (1, 1)
    assert (world.roster.agents[AMY].missing, world.roster.agents[AMY].trouble) == (0, None)


async def test_slow_answers(office: Open) -> None:
    """Each answer takes six seconds: agents are held and come back all the same."""
    world = office([Agent(AMY, 1)])
    world.aircall.slow = 6.0
    world.meetings(AMY, (60, 300))

    await world.until(90)
    held = world.aircall.settings[1]
    await world.until(330)

    assert (held, world.aircall.settings[1]) == ("unavailable", "available")
    assert len(world.aircall.requests) <= 8


async def test_a_slow_list_keeps_nobody_waiting_long(office: Open) -> None:
    """A list of four pages of two seconds each serves ten agents once, and is not waited for again."""
    agents = [Agent(f"a{number}@example.com", number) for number in range(1, 11)]
    world = office(agents)
    world.aircall.settings |= dict.fromkeys(range(11, 181), "available")
    for agent in agents:
        world.meetings(agent.email, (60, 300))
    await world.until(30)
    world.aircall.slow = 2.0

    await world.until(80)
    held = sum(world.aircall.settings[number] == "unavailable" for number in range(1, 11))
    await world.until(325)
    back = sum(world.aircall.settings[number] == "available" for number in range(1, 11))

    assert (held, back) == (10, 10)
    assert world.aircall.count("list") <= 16


async def test_a_list_beyond_the_budget(office: Open) -> None:
    """A list with more pages than a minute's budget starves nobody."""
    agents = [Agent(f"a{number}@example.com", number) for number in range(1, 21)]
    world = office(agents, per_minute=10)
    world.aircall.per_page = 2
    world.aircall.settings |= dict.fromkeys(range(21, 61), "available")
    for agent in agents:
        world.meetings(agent.email, (600, 2 * HOUR))

    await world.until(HOUR)

    assert [world.aircall.settings[number] for number in range(1, 21)] == ["unavailable"] * 20


async def test_the_budget_is_kept(office: Open) -> None:
    """No sixty seconds see more requests than the budget, lists included."""
    agents = [Agent(f"a{number}@example.com", number) for number in range(1, 41)]
    world = office(agents, per_minute=15)
    world.aircall.per_page = 5
    for agent in agents:
        world.meetings(agent.email, (100, 900), (1200, 1500))

    await world.until(HOUR)

    times = [at for at, _, _ in world.aircall.requests]
    assert max(sum(at <= other < at + 60 for other in times) for at in times) <= 15
    assert set(world.aircall.settings.values()) == {"available"}


async def test_an_endless_list(office: Open) -> None:
    """Pages that show nobody new are refused, cost no storm, and count as no whole list."""
    world = office([Agent(AMY, 1)])
    world.aircall.endless = True
    world.meetings(AMY, (60, 120))

    await world.until(300)

    assert not world.roster.listed
    assert world.aircall.count("list") <= 30
    assert world.aircall.puts == [(1, "unavailable"), (1, "available")]


async def test_a_full_disk(office: Open) -> None:
    """Starts wait and say why; ends go all the same."""
    world = office([Agent(AMY, 1), Agent(BOB, 2)])
    world.meetings(AMY, (60, 300))
    world.meetings(BOB, (200, 400))
    await world.until(100)

    world.disk.full = True
    await world.until(320)
    trouble = world.roster.agents[BOB].trouble
    settings = dict(world.aircall.settings)
    world.disk.full = False
    await world.until(350)

    assert settings == {1: "available", 2: "available"}
    assert trouble is not None
    assert trouble.code == "ledger"
    assert world.aircall.settings[2] == "unavailable"


async def test_a_disk_that_hangs(office: Open) -> None:
    """A write that does not return holds a release up for a second, and lets nobody new be held."""
    world = office([Agent(AMY, 1), Agent(BOB, 2)])
    world.meetings(AMY, (60, 300))
    world.meetings(BOB, (310, 400))
    await world.until(100)

    world.disk.hangs = True
    await world.until(302)
    released = world.aircall.settings[1]
    await world.until(340)

    assert released == "available"
    assert world.aircall.settings[2] == "available"


async def test_what_is_owed_is_seen(office: Open) -> None:
    """Through an outage, back-off included, an owed release is named, and it goes when the outage is over."""
    world = office([Agent(AMY, 1)])
    world.meetings(AMY, (60, 300))
    await world.until(200)

    world.aircall.fault = down
    await world.until(298)
    seen = []
    for second in range(430, 900, 7):
        await world.until(second)
        seen.append((world.phones.owed_since(START + second - 120), world.roster.agents[AMY].owed))
    world.aircall.fault = lambda _kind, _user: None
    await world.until(940)

    assert all(pair == ([AMY], True) for pair in seen)
    assert world.aircall.settings[1] == "available"
    assert world.phones.owed_since(START + 940) == []


async def test_broken_data_of_one_agent(office: Open) -> None:
    """An agent whose timeline cannot be judged is set aside; the others go on."""
    world = office([Agent(AMY, 1), Agent(BOB, 2)])
    world.phones.known(AMY, "no timeline", START, complete=True)  # type: ignore[arg-type]
    world.meetings(BOB, (60, 120))

    await world.until(200)

    trouble = world.roster.agents[AMY].trouble
    assert trouble is not None
    assert trouble.code == "internal"
    assert world.aircall.puts == [(2, "unavailable"), (2, "available")]


async def test_another_name_for_the_same_user(office: Open) -> None:
    """A new e-mail address for the same Aircall user takes the debt along, also while a request is under way."""
    world = office([Agent(AMY, 1)])
    world.meetings(AMY, (60, 300))
    await world.until(100)
    world.aircall.slow = 3.0
    world.meetings(AMY)
    await world.until(101)

    world.phones.follow([Agent("amy.new@example.com", 1)])
    world.meetings("amy.new@example.com", (60, 300))
    await world.until(150)
    held = world.aircall.settings[1]
    await world.until(400)

    assert (held, world.aircall.settings[1]) == ("unavailable", "available")
    assert list(world.roster.agents) == ["amy.new@example.com"]


async def test_renamed_while_waiting_for_the_budget(office: Open) -> None:
    """Whoever waited under a former name waits under the new one."""
    world = office([Agent(AMY, 1), Agent(BOB, 2)], per_minute=3)
    world.meetings(AMY, (10, HOUR))
    world.meetings(BOB, (10, HOUR))
    await world.until(20)

    world.phones.follow([Agent("amy.new@example.com", 1), Agent("bob.new@example.com", 2)])
    world.meetings("amy.new@example.com", (10, HOUR))
    world.meetings("bob.new@example.com", (10, HOUR))
    await world.until(600)

    assert world.aircall.settings == {1: "unavailable", 2: "unavailable"}


async def test_the_same_user_by_another_word(office: Open) -> None:
    """From an e-mail address to the id of the same user: an override stands, and nothing is sent."""
    world = office([Agent(AMY, AMY)])
    world.aircall.settings[1] = "available"
    world.aircall.emails[1] = AMY
    world.meetings(AMY, (60, HOUR))
    await world.until(100)
    world.aircall.settings[1] = "available"
    await world.until(700)
    before = world.roster.agents[AMY].stance

    world.phones.follow([Agent(AMY, 1)])
    await world.until(900)

    assert isinstance(before, StandingBack)
    assert world.roster.agents[AMY].stance == before
    assert world.aircall.puts == [(1, "unavailable")]


async def test_another_user_for_the_same_name(office: Open) -> None:
    """The former Aircall user is released, the new one held."""
    world = office([Agent(AMY, 1)])
    world.aircall.settings[2] = "available"
    world.meetings(AMY, (60, HOUR))
    await world.until(100)

    world.phones.follow([Agent(AMY, 2)])
    await world.until(200)

    assert world.aircall.settings == {1: "available", 2: "unavailable"}


async def test_a_pause_outlives_a_removal(office: Open) -> None:
    """Paused, removed, named again: paused still, as a restart would say."""
    world = office([Agent(AMY, 1), Agent(BOB, 2)])
    world.meetings(BOB, (60, HOUR))
    await world.phones.pause(BOB, None)
    world.phones.follow([Agent(AMY, 1)])
    await world.until(50)

    world.phones.follow([Agent(AMY, 1), Agent(BOB, 2)])
    world.meetings(BOB, (60, HOUR))
    await world.until(100)
    paused = world.aircall.settings[2]
    await world.phones.resume(BOB)
    await world.until(110)

    assert (paused, world.aircall.settings[2]) == ("available", "unavailable")


async def test_everybody_is_released_on_a_full_disk(office: Open) -> None:
    """The incident switch puts everybody back, also when no pause can be written."""
    world = office([Agent(AMY, 1), Agent(BOB, 2)])
    world.meetings(AMY, (60, HOUR))
    world.meetings(BOB, (60, HOUR))
    await world.until(100)

    world.disk.full = True
    with pytest.raises(OSError, match="No space"):
        await world.phones.pause_all()
    await world.until(110)

    assert world.aircall.settings == {1: "available", 2: "available"}


@pytest.mark.parametrize("jump", [-HOUR, +HOUR])
async def test_the_clock_jumps(office: Open, jump: float) -> None:
    """Held, and the clock is set: what is wanted then is done within seconds, without a storm."""
    world = office([Agent(AMY, 1)])
    world.meetings(AMY, (60, 1800))
    await world.until(100)
    before = len(world.aircall.requests)

    world.clock.t += jump
    world.clock.jump = jump
    world.scheduler.touch()
    await world.until(100 + jump + 20)

    assert world.aircall.settings[1] == "available"
    assert not isinstance(world.roster.agents[AMY].stance, Held)
    assert len(world.aircall.requests) - before <= 6
