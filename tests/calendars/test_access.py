"""Access to calendars is lost for hours and comes back: what is asked meanwhile, what counts, and what is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from calsyncd.core.access import REACH, SHARED
from calsyncd.core.troubles import needs_human, trouble
from calsyncd.errors import Refused, Unavailable

from .diary import AMY, BOB, Diary

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
KEY = f"{AMY}/primary"


def refused(code: str) -> Refused:
    """A no that only a human can change."""
    return Refused("no", service="google", code=code, status=403)


@pytest.mark.parametrize("code", sorted(REACH))
async def test_from_cause_to_recovery(tmp_path: Path, code: str) -> None:
    """It is asked seldom, what was read counts for a day, it is said, and it comes back by itself."""
    # Google says of a delta that it is a bad request also where only its token is: then all is asked for.
    requests = 2 if code == "bad_request" else 1
    async with Diary(tmp_path, push=True) as diary:
        diary.event("primary", "today", 23 * HOUR, 27 * HOUR)
        diary.follow(AMY)
        await diary.a_while(MINUTE)
        calendar, began, watched = diary.syncer.calendars[KEY], len(diary.google.lists), len(diary.google.watches)
        diary.google.fault = lambda *_: refused(code)

        await diary.a_while(9 * MINUTE)
        assert calendar.suspended == (code == "not_connected")
        await diary.a_while(11 * MINUTE)
        assert calendar.suspended
        assert calendar.trouble is not None
        assert calendar.trouble == trouble(code, calendar.trouble.since)
        assert needs_human(code)
        assert diary.syncer.losses.counts()[code] == 1
        assert len(diary.google.lists) - began <= 9 * requests
        asked = len(diary.google.lists)
        await diary.a_while(22.8 * HOUR)

        assert diary.busy()
        assert 22.8 * 3 <= (len(diary.google.lists) - asked) / requests <= 22.8 * 5.4
        await diary.a_while(0.9 * HOUR)
        assert diary.told[AMY] == (None, False)
        assert len(diary.google.watches) == watched

        diary.google.fault = lambda *_: None
        await diary.a_while(19 * MINUTE)
        assert diary.syncer.losses.counts() == {}
        assert diary.syncer.calendars[KEY].trouble is None
        assert diary.busy()
        assert diary.told[AMY][1]


async def test_who_never_connected_has_lost_nothing(tmp_path: Path) -> None:
    """One calm line for all, and one more when they are fewer; no word of lost access, none of its coming back."""
    emails = [f"a{number}@example.com" for number in range(7)]
    connected: set[str] = set()
    async with Diary(tmp_path) as diary:
        diary.google.shut_out = lambda subject: None if subject in connected else refused("not_connected")
        with capture_logs() as lines:
            diary.follow(*emails)
            await diary.a_while(20 * MINUTE)
            connected.add(emails[0])
            diary.syncer.fetch(emails[0])
            await diary.a_while(20 * MINUTE)

    said = [line for line in lines if line["action"] in ("not_connected", "access_lost", "access_back")]
    assert [(line["action"], line["log_level"], line["agents"]) for line in said] == [
        ("not_connected", "info", 7),
        ("not_connected", "info", 6),
    ]
    assert said[0]["among"] == ", ".join(emails[:5])
    assert said[0]["event"] == "7 agents have not connected their Google account yet"


async def test_what_cannot_be_read_is_not_watched(tmp_path: Path) -> None:
    """No channel is renewed or opened, nor asked for, until the calendar is read again: then at once."""
    async with Diary(tmp_path, push=True) as diary:
        diary.follow(AMY)
        await diary.a_while(MINUTE)
        for channel in list(diary.google.living):
            diary.push.notify(diary.message(channel))
        watched = len(diary.google.watches)
        diary.google.fault = lambda *_: refused("no_access")
        await diary.a_while(8 * DAY)
        assert len(diary.google.watches) == watched
        assert diary.push.health(diary.syncer.calendars[KEY], diary.clock.now()) == "expired"

        diary.google.fault = lambda *_: None
        diary.syncer.losses.probe()
        await diary.a_while(5)
        assert len(diary.google.watches) == watched + 1


async def test_a_restart_while_access_is_lost(tmp_path: Path) -> None:
    """What was read before it counts on, for as long as it would have; few are asked for."""
    emails = [AMY, BOB, *(f"a{number}@example.com" for number in range(30))]
    async with Diary(tmp_path) as former:
        former.event("primary", "e", -60, 30 * HOUR)
        former.follow(*emails)
        await former.a_while(MINUTE)
        passed = former.clock.now() + 20 * HOUR
    async with Diary(tmp_path, push=True) as diary:
        diary.clock.jump(passed - diary.clock.now())
        await diary.a_while(1)
        diary.google.shut_out = lambda _: refused("service_account")
        diary.follow(*emails)
        diary.syncer.restore(await diary.shelf.store.calendars(), [])
        await diary.a_while(30 * MINUTE)
        assert diary.busy()
        assert diary.told[AMY][1]
        assert len(diary.google.lists) <= 20
        assert diary.syncer.calendars[KEY].suspended
        assert diary.google.watches == []
        await diary.a_while(3.6 * HOUR)
        assert diary.told[AMY] == diary.told[BOB] == (None, False)


async def test_a_lost_calendar_hides_no_other_that_grows_old(tmp_path: Path) -> None:
    """The age of those that should be read is told, and how many are lost by number."""
    async with Diary(tmp_path) as diary:
        diary.follow(AMY, BOB)
        await diary.a_while(MINUTE)
        out = {AMY}
        diary.google.shut_out = lambda email: refused("no_access") if email in out else None
        await diary.a_while(4 * HOUR)

        def told(name: str) -> float:
            diary.syncer.measure(diary.clock.now())
            value = diary.metrics.registry.get_sample_value(name, {"code": "no_access"} if "suspended" in name else {})
            assert value is not None
            return value

        assert told("calsyncd_suspended_calendars") == 1
        assert told("calsyncd_calendar_age_seconds") <= HOUR
        diary.google.shut_out = lambda email: (
            refused("no_access") if email in out else Unavailable("503", service="google", code="server", status=503)
        )
        await diary.a_while(3 * HOUR)
        assert told("calsyncd_suspended_calendars") == 1
        assert 3 * HOUR <= told("calsyncd_calendar_age_seconds") <= 4 * HOUR

        out.clear()
        diary.google.shut_out = lambda _: None
        await diary.a_while(HOUR)
        assert told("calsyncd_suspended_calendars") == 0
        assert told("calsyncd_calendar_age_seconds") <= HOUR


async def test_the_one_who_was_to_ask_for_all_is_dropped(tmp_path: Path) -> None:
    """In the middle of the probe: the next one asks."""
    async with Diary(tmp_path) as diary:
        diary.google.seconds = 5.0
        diary.google.shut_out = lambda _: refused("service_account")
        emails = [f"a{number}@example.com" for number in range(20)]
        diary.follow(*emails)
        await diary.a_while(HOUR)
        asked = len(diary.google.asked)
        diary.syncer.losses.probe()
        await diary.a_while(1)
        asking = diary.google.asked[asked]
        diary.google.shut_out = lambda _: None
        diary.follow(*(email for email in emails if email != asking))
        await diary.a_while(20 * MINUTE)

        assert all(one.fresh for one in diary.syncer.calendars.values())


async def test_one_refusal_is_no_loss(tmp_path: Path) -> None:
    """A 404 that was a mistake is asked about within a minute, and nothing has happened."""
    async with Diary(tmp_path) as diary:
        diary.event("primary", "e", -60, 5 * HOUR)
        diary.follow(AMY)
        await diary.a_while(MINUTE)
        diary.google.fault = lambda *_: refused("calendar_gone")
        await diary.a_while(2 * MINUTE)
        assert diary.syncer.calendars[KEY].trouble is not None
        diary.google.fault = lambda *_: None
        await diary.a_while(2 * MINUTE)

        assert diary.syncer.calendars[KEY].trouble is None
        assert diary.busy()


async def test_what_was_read_counts_for_a_day_to_the_second(tmp_path: Path) -> None:
    """Whether it is asked for just then or not: what begins before counts, what begins after does not."""
    async with Diary(tmp_path) as diary:
        diary.follow(AMY, BOB)
        await diary.a_while(MINUTE)
        read = [one.synced_at for one in diary.syncer.calendars.values()]
        diary.google.fault = lambda *_: refused("api_disabled")
        newest = max(at for at in read if at is not None)
        await diary.a_while(newest + DAY - 130 - diary.clock.now())
        read = [one.synced_at for one in diary.syncer.calendars.values()]
        diary.google.fault = lambda *_: refused("api_disabled")

        for email, at in zip((AMY, BOB), read, strict=True):
            assert at is not None
            assert diary.told[email][0] is not None, email
        await diary.a_while(140)
        assert [diary.told[email] for email in (AMY, BOB)] == [(None, False)] * 2


@pytest.mark.parametrize("code", sorted(SHARED))
async def test_a_company_is_asked_for_by_one(tmp_path: Path, code: str) -> None:
    """Three hundred calendars of one cause cost as much as one, also after a restart, and all come back at once."""
    emails = [f"a{number}@example.com" for number in range(300)]
    async with Diary(tmp_path) as diary:
        diary.google.seconds = 0.02
        diary.google.shut_out = lambda _: refused(code)
        diary.follow(*emails)
        await diary.a_while(20 * MINUTE)
        first = len(diary.google.lists)
        assert first <= 30
        assert diary.syncer.losses.counts()[code] == 300
        assert {one.trouble.code for one in diary.syncer.calendars.values() if one.trouble} == {code}
        await diary.a_while(3 * HOUR)
        assert 9 <= len(diary.google.lists) - first <= 17

        diary.google.shut_out = lambda _: None
        diary.syncer.losses.probe()
        asked = len(diary.google.lists)
        await diary.a_while(15)

        assert all(one.fresh and one.trouble is None for one in diary.syncer.calendars.values())
        assert len(diary.google.lists) - asked == 300


async def test_who_still_has_a_token_is_read_while_it_lasts(tmp_path: Path) -> None:
    """A deleted key shuts out whoever needs a new token: each asks for one once, then one asks for all."""
    emails = [f"a{number:02}@example.com" for number in range(60)]
    async with Diary(tmp_path) as diary:
        diary.follow(*emails)
        await diary.a_while(MINUTE)
        began, first = diary.time, len(diary.google.lists)
        ends = {email: began + number * MINUTE for number, email in enumerate(emails)}
        diary.google.shut_out = lambda email: refused("service_account") if diary.time >= ends[email] else None
        last = diary.syncer.calendars[f"{emails[-1]}/primary"]
        await diary.a_while(50 * MINUTE)
        assert last.trouble is None
        assert last.synced_at is not None
        assert diary.clock.now() - last.synced_at < 3 * MINUTE

        await diary.a_while(20 * MINUTE)
        refusals = len(diary.google.lists) - first
        assert diary.syncer.losses.counts()["service_account"] == 60
        await diary.a_while(2 * HOUR)

        assert len(diary.google.lists) - first - refusals <= 12


async def test_a_domain_that_is_shut_out_leaves_the_others_alone(tmp_path: Path) -> None:
    """Delegation is a domain's: the other domain's agents are read as before."""
    inside = [f"a{number}@example.com" for number in range(20)]
    async with Diary(tmp_path) as diary:
        diary.google.shut_out = lambda email: refused("delegation") if email.endswith("@example.com") else None
        diary.follow(*inside, "zoe@other.example")
        await diary.a_while(HOUR)

        other = diary.syncer.calendars["zoe@other.example/primary"]
        assert other.trouble is None
        assert other.synced_at is not None
        assert diary.clock.now() - other.synced_at < 3 * MINUTE
        assert diary.syncer.losses.counts()["delegation"] == 20


async def test_agents_who_are_shut_out_alone_keep_nobody_waiting(tmp_path: Path) -> None:
    """Two of a domain: the others are read at once, and each of the two comes back when it is their time."""
    emails = [f"a{number}@example.com" for number in range(20)]
    out = set(emails[:2])
    async with Diary(tmp_path) as diary:
        diary.google.shut_out = lambda email: refused("delegation") if email in out else None
        diary.follow(*emails)
        await diary.a_while(10)
        assert sum(one.fresh for one in diary.syncer.calendars.values()) == 18
        await diary.a_while(HOUR)
        assert diary.syncer.losses.counts()["delegation"] == 2

        # Another's refusal that was a mistake does not wait for theirs.
        out.add(emails[5])
        while diary.syncer.calendars[f"{emails[5]}/primary"].trouble is None:
            await diary.a_while(5)
        out.discard(emails[5])
        await diary.a_while(MINUTE)
        assert diary.syncer.calendars[f"{emails[5]}/primary"].trouble is None
        await diary.a_while(HOUR)
        assert diary.syncer.losses.counts()["delegation"] == 2

        out.discard(emails[1])
        await diary.a_while(40 * MINUTE)
        assert diary.syncer.calendars[f"{emails[1]}/primary"].trouble is None
        assert diary.syncer.calendars[f"{emails[0]}/primary"].suspended
        out.clear()
        await diary.a_while(40 * MINUTE)
        assert diary.syncer.calendars[f"{emails[0]}/primary"].trouble is None


async def test_access_that_comes_back_by_and_by(tmp_path: Path) -> None:
    """An API that was switched on answers some and refuses others for minutes: nobody is left behind."""
    emails = [f"a{number}@example.com" for number in range(60)]
    async with Diary(tmp_path) as diary:
        diary.google.shut_out = lambda _: refused("api_disabled")
        diary.follow(*emails)
        await diary.a_while(30 * MINUTE)
        turns = iter(range(10**6))
        diary.google.shut_out = lambda _: refused("api_disabled") if next(turns) % 3 else None
        asked = len(diary.google.lists)
        diary.syncer.losses.probe()
        await diary.a_while(5 * MINUTE)
        diary.google.shut_out = lambda _: None
        await diary.a_while(5 * MINUTE)

        assert all(one.trouble is None for one in diary.syncer.calendars.values())
        # Three times what polls every two minutes ask for anyway, where two of three are refused.
        assert len(diary.google.lists) - asked <= 3 * 60 * 5


async def test_another_reason_takes_the_place_of_the_first(tmp_path: Path) -> None:
    """A new key without delegation: everybody's trouble says so within a minute of the probe."""
    emails = [f"a{number}@example.com" for number in range(30)]
    async with Diary(tmp_path) as diary:
        code = "service_account"
        diary.google.shut_out = lambda _: refused(code)
        diary.follow(*emails)
        await diary.a_while(20 * MINUTE)
        code = "delegation"
        diary.syncer.losses.probe()
        await diary.a_while(MINUTE)

        assert {one.trouble.code for one in diary.syncer.calendars.values() if one.trouble} == {"delegation"}
        await diary.a_while(20 * MINUTE)
        assert diary.syncer.losses.counts() == {"delegation": 30}


async def test_messages_and_rules_ask_for_nothing_that_is_lost(tmp_path: Path) -> None:
    """Old channels go on speaking; a hand may ask all the same, and gets an answer."""
    async with Diary(tmp_path, push=True) as diary:
        diary.follow(AMY)
        await diary.a_while(MINUTE)
        diary.google.fault = lambda *_: refused("no_access")
        await diary.a_while(30 * MINUTE)
        asked = len(diary.google.lists)
        for _ in range(20):
            for channel in list(diary.google.living):
                diary.push.notify(diary.message(channel))
            diary.push.notify(diary.message("orphan"))
            await diary.a_while(10)
        assert len(diary.google.lists) - asked <= 1
        assert diary.google.stopped == []

        asked = len(diary.google.lists)
        diary.scheduler.start(diary.syncer.sync(AMY), "by hand")
        await diary.a_while(1)
        assert len(diary.google.lists) == asked + 1
        diary.google.fault = lambda *_: None
        await diary.a_while(20 * MINUTE)
        assert diary.syncer.calendars[KEY].trouble is None


async def test_an_outage_in_a_loss_ends_nothing(tmp_path: Path) -> None:
    """A 503 says nothing of the access: the probe is made again, and the calendar stays suspended until it is read."""
    async with Diary(tmp_path) as diary:
        diary.follow(AMY)
        await diary.a_while(MINUTE)
        diary.google.fault = lambda *_: refused("no_access")
        await diary.a_while(30 * MINUTE)
        diary.google.fault = lambda *_: Unavailable("503", service="google", code="server", status=503)
        await diary.a_while(30 * MINUTE)
        calendar = diary.syncer.calendars[KEY]
        assert calendar.suspended
        diary.google.fault = lambda *_: None
        await diary.a_while(2 * MINUTE)
        assert calendar.trouble is None


async def test_a_clock_that_was_set_is_a_reason_to_ask(tmp_path: Path) -> None:
    """Google refuses what a wrong clock signs: setting it mends that at once."""
    async with Diary(tmp_path) as diary:
        diary.google.fault = lambda *_: refused("clock")
        diary.follow(AMY)
        await diary.a_while(2 * HOUR)
        diary.google.fault = lambda *_: None
        diary.clock.jump(-40 * DAY)
        await diary.a_while(5)

        assert diary.syncer.calendars[KEY].trouble is None


async def test_a_calendar_that_is_dropped_in_a_loss(tmp_path: Path) -> None:
    """Nobody is left to ask for: nothing is asked, and who follows later begins anew."""
    async with Diary(tmp_path) as diary:
        diary.google.fault = lambda *_: refused("no_access")
        diary.follow(AMY)
        await diary.a_while(20 * MINUTE)
        diary.follow(BOB)
        asked = diary.google.asked.count(AMY)
        diary.google.fault = lambda *_: None
        await diary.a_while(HOUR)

        assert diary.google.asked.count(AMY) == asked
        assert diary.syncer.losses.counts() == {}
        assert diary.syncer.calendars[f"{BOB}/primary"].trouble is None
