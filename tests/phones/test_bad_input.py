"""Whatever Aircall and its webhooks may say: no owed update is lost, and nobody shares another's fate.

In each case user 1 is hit in the meeting that user 2 has too, or at its ends: user 2 must be held and put back on time,
and user 1 be right as soon as it can be known. That a body is read right is tested where it is read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from calsyncd.core.model import Observation, Setting
from calsyncd.core.plan import FREE, Held
from calsyncd.errors import RateLimited, Refused, ServiceError

from .company import HOUR, ModelAircall, Office, team

ONE, TWO = "a1@x", "a2@x"
START, END = 60.0, 900.0
YEAR = 365 * 86400.0


class OddAircall(ModelAircall):
    """`answers` says what an update of user 1 shows, or why it fails; None: as it should be. `odd_live` is theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: Callable[[], Setting | ServiceError | None] = lambda: None
        self.odd_live: str | None = None

    async def update(self, user: int, setting: Setting) -> Setting:
        """Write a setting."""
        odd = self.answers() if user == 1 else None
        if odd is None:
            return await super().update(user, setting)
        before = self.settings[user]
        await super().update(user, setting)
        self.settings[user] = before
        if isinstance(odd, ServiceError):
            raise odd
        return odd

    async def live_state(self, user: int) -> str:
        """The user's live state."""
        live = await super().live_state(user)
        return self.odd_live or live if user == 1 else live


Case = Callable[[Office, OddAircall], Awaitable[None]]


async def unknown_setting(office: Office, aircall: OddAircall) -> None:
    """A setting that nobody knows, before the meeting: it could not be put back, so it is left."""
    await office.until(30)
    aircall.settings[1] = Setting("astral_projection")
    await office.until(END + 60)
    assert [one.user for one in aircall.of("update")] == [2, 2]
    assert aircall.status(1) == "astral_projection"


async def unknown_setting_in_a_meeting(office: Office, aircall: OddAircall) -> None:
    """It is not ours, so it is the agent's."""
    await office.until(300)
    aircall.settings[1] = Setting("astral_projection")
    await office.until(END + 60)
    assert aircall.status(1) == "astral_projection"


async def unknown_live_state(office: Office, aircall: OddAircall) -> None:
    """Of somebody who is unavailable before the meeting: no call that is known, so their own choice."""
    await office.until(30)
    aircall.settings[1], aircall.odd_live = Setting("unavailable"), "teleporting"
    await office.until(END + 60)
    assert aircall.status(1) == "unavailable"
    assert office[ONE].stance == FREE


async def vanished(office: Office, aircall: OddAircall) -> None:
    """Gone in the meeting and back after it: what was owed is paid."""
    await office.until(300)
    aircall.removed.add(1)
    await office.until(END + 60)
    aircall.removed.clear()
    await office.until(HOUR)
    assert aircall.status(1) == "available"


async def vanished_for_hours(office: Office, aircall: OddAircall) -> None:
    """The debt was closed with the user; it is taken up again when they come back as they were."""
    await office.until(300)
    aircall.removed.add(1)
    await office.until(2 * HOUR)
    closed = office[ONE].stance
    aircall.removed.clear()
    await office.until(3 * HOUR)
    assert closed == FREE
    assert aircall.status(1) == "available"


async def shows_something_else(office: Office, aircall: OddAircall) -> None:
    """A 200 that shows what was not asked, at both ends: put again, and no agent's choice."""
    shown = [Setting("custom"), Setting("available")]
    aircall.answers = lambda: shown.pop() if shown else None
    await office.until(START + 60)
    held = aircall.status(1)
    shown += [Setting("unavailable"), Setting("custom")]
    await office.until(END + 60)
    assert (held, aircall.status(1)) == ("unavailable", "available")


async def refused_for_its_state(office: Office, aircall: OddAircall) -> None:
    """A 405 at both ends passes: tried again within seconds, by the minute at most."""
    refused = Refused("405", service="aircall", code="refused", status=405)
    aircall.answers = lambda: refused if START <= office.time < 200 or END <= office.time < 1000 else None
    await office.until(270)
    held = aircall.status(1)
    await office.until(1070)
    assert (held, aircall.status(1)) == ("unavailable", "available")
    assert len([one for one in aircall.of("update", START) if one.user == 1]) < 30


async def refused_as_wrong(office: Office, aircall: OddAircall) -> None:
    """A 422, as of a sub-status that the client could not do without: slowly, but it is never given up."""
    refused = Refused("422", service="aircall", code="refused", status=422)
    aircall.answers = lambda: refused if START <= office.time < 200 or END <= office.time < 1000 else None
    await office.until(END - 1)
    held, trouble = aircall.status(1), office.trouble(ONE)
    await office.until(1130)
    assert (held, trouble, aircall.status(1)) == ("unavailable", None, "available")


async def webhooks_of_strangers(office: Office, aircall: OddAircall) -> None:
    """Of users whom nobody follows, or who do not exist, each second."""
    while office.time < END + 60:
        for user in (77, 2**62):
            office.phones.told(user, "unavailable")
        await office.a_while(1)
    assert len(aircall.of("look")) <= 4
    assert aircall.status(1) == "available"


def replayed_webhooks(when: str, at: Callable[[float], float | None]) -> Case:
    """What was once true of user 1, again and again, of a time that `at` says: looked at, and nothing is done."""

    async def replay(office: Office, aircall: OddAircall) -> None:
        while office.time < END + 60:
            for status in ("available", "unavailable", "custom", "astral_projection", None):
                office.phones.told(1, status, at(office.clock.now()))
            await office.a_while(1)
        assert [one.status for one in aircall.of("update") if one.user == 1] == ["unavailable", "available"]
        assert aircall.status(1) == "available"

    replay.__name__ = f"webhooks_replayed_{when}"
    return replay


CASES: list[Case] = [
    unknown_setting,
    unknown_setting_in_a_meeting,
    unknown_live_state,
    vanished,
    vanished_for_hours,
    shows_something_else,
    refused_for_its_state,
    refused_as_wrong,
    webhooks_of_strangers,
    replayed_webhooks("without_a_time", lambda _: None),
    replayed_webhooks("of_long_ago", lambda now: now - YEAR),
    replayed_webhooks("of_a_minute_ago", lambda now: now - 60),
    replayed_webhooks("of_now", lambda now: now),
    replayed_webhooks("of_next_year", lambda now: now + YEAR),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_one_users_oddness_is_their_own(case: Case) -> None:
    """What it is for user 1 stands in the case; user 2 is served within a second, and owed nothing."""
    aircall = OddAircall()
    async with Office(team(4), aircall=aircall) as office:
        for email in (ONE, TWO):
            office.meet(email, (START, END))
        for email in ("a3@x", "a4@x"):
            office.meet(email)
        await case(office, aircall)
        await office.until(max(office.time, END + 60))

        theirs = [(one.status, one.ended) for one in aircall.of("update") if one.user == 2]
        assert [status for status, _ in theirs] == ["unavailable", "available"]
        assert [at is not None and due <= at <= due + 1 for (_, at), due in zip(theirs, (START, END), strict=True)] == [
            True
        ] * 2
        assert office[TWO].stance == FREE
        assert office.trouble(TWO) is None
        assert not isinstance(office[ONE].stance, Held)
        assert not isinstance(office.ledger.entries.get(1, office.ledger.entries[2]).stance, Held)


@pytest.mark.parametrize("age", [None, YEAR, END - 100, 1.0, -YEAR])
async def test_a_replayed_webhook_and_a_read_that_lags_hide_nobody_from_the_next_meeting(age: float | None) -> None:
    """It tells of an `unavailable` before our way back, or of none that has been yet: the read shows only our own."""
    async with Office(team(1)) as office:
        office.meet(ONE, (START, END), (END + 3, END + 300))
        await office.until(END + 0.5)
        at = None if age is None else office.clock.now() - age
        office.aircall.lagging = 4
        while office.time < END + 5:
            office.phones.told(1, "unavailable", at)
            await office.a_while(0.5)
        during = office.aircall.status(1)
        await office.until(END + 400)

        assert (during, office.aircall.status(1)) == ("unavailable", "available")
        assert len(office.aircall.of("update")) == 4


@pytest.mark.parametrize("ahead", [30.0, -30.0, -YEAR, YEAR, float("inf"), float("nan")])
@pytest.mark.parametrize("scale", [1.0, 1000.0], ids=["seconds", "milliseconds"])
@pytest.mark.parametrize("boundary", [START, END])
async def test_no_reset_that_aircall_may_name_loses_an_update(ahead: float, scale: float, boundary: float) -> None:
    """In milliseconds, in the past, a year ahead: a 429 is waited for, for two minutes at most, and all is done."""
    async with Office(team(2)) as office:
        for email in (ONE, TWO):
            office.meet(email, (START, END))
        await office.until(boundary - 0.5)
        reset = (office.clock.now() + ahead) * scale
        office.aircall.all_fail(RateLimited("429", service="aircall", reset=reset))
        await office.until(boundary + 3)
        office.aircall.all_fail(None)
        await office.until(boundary + 130)

        expected = "unavailable" if boundary == START else "available"
        assert [office.aircall.status(user) for user in (1, 2)] == [expected] * 2
        assert [office.trouble(email) for email in (ONE, TWO)] == [None, None]


async def test_an_odd_answer_to_a_look_is_an_observation_like_any_other() -> None:
    """An empty status and reasons of any kind neither end the process nor anybody's hold."""
    async with Office(team(2)) as office:
        office.meet(ONE, (START, END))
        await office.until(300)
        for shown in (
            Setting("unavailable", "always_closed"),
            Setting("unavailable", ""),
            Setting("unavailable", "x" * 99),
        ):
            office.aircall.settings[1] = shown
            office["a1@x"].facts = office["a1@x"].facts.looked(Observation(shown, office.clock.now()))
            office.phones.touch(ONE)
            await office.a_while(30)
        held = office.held(ONE)
        await office.until(END + 5)

        assert held
        assert office.aircall.status(1) == "available"
