"""When what is wrong becomes an alarm, whose, and when that is over."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest

from calsyncd.core.alarms import (
    AWAY_SECONDS,
    COMPANY,
    Alarm,
    Alarms,
    Pending,
    Wrong,
    is_everybodys,
    lasts,
)
from calsyncd.core.troubles import CODES, CONNECTS_SECONDS, LASTS_SECONDS, PASSES_SECONDS, trouble

NOW = 1_800_000_000.0
STEP = 5.0
AMY = "amy@example.com"


class Days:
    """Shows the same every five seconds, and collects what changes."""

    def __init__(self, agents: int = 10, raised: list[Alarm] | None = None) -> None:
        self.alarms = Alarms(raised or [])
        self.agents = agents
        self.now = NOW
        self.said: list[tuple[str, str, str]] = []
        self.doubted: dict[str, Collection[str]] = {}

    def show(self, seconds: float, *wrong: Wrong) -> list[tuple[str, str, str]]:
        """What was said while this was so."""
        before = len(self.said)
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            for change in self.alarms.show(
                wrong, self.now, agents=self.agents, doubted=lambda code: self.doubted.get(code, ())
            ):
                self.said.append((change.kind, change.alarm.code, change.alarm.who))
        return self.said[before:]

    @property
    def messages(self) -> list[str]:
        """What is raised, in words."""
        return [alarm.message for alarm in self.alarms.raised.values()]


def of(code: str, *numbers: int) -> list[Wrong]:
    """These agents have this trouble."""
    return [Wrong(code, f"a{number}@example.com", NOW, f"a{number}@example.com") for number in numbers]


@pytest.mark.parametrize("code", CODES)
def test_each_code_has_its_time_and_its_words(code: str) -> None:
    """Nothing is raised before its time, all is after it; in the words of the trouble, since it began."""
    days = Days()
    wrong = Wrong(code, COMPANY if is_everybodys(code) else AMY, NOW - 7.0, None if is_everybodys(code) else AMY)
    early = days.show(max(lasts(code), STEP) - STEP, wrong) if lasts(code) else []

    assert early == []
    # The first show is where the time begins.
    assert days.show(2 * STEP, wrong) == [("raised", code, wrong.who)]
    (alarm,) = days.alarms.raised.values()
    words = trouble(code, 0.0)
    assert (alarm.message, alarm.do, alarm.owner) == (words.message, words.do, words.owner)
    assert alarm.since == NOW - 7.0
    assert days.show(10 * STEP, wrong) == []


def test_the_times() -> None:
    """A human at once, a minute, five minutes, a day."""
    assert [lasts(code) for code in ("aircall_credentials", "delegation", "google_failing", "not_connected")] == [
        *(0.0, LASTS_SECONDS, PASSES_SECONDS, CONNECTS_SECONDS)
    ]


def test_a_blip_raises_nothing() -> None:
    """Nor do two of them, far apart."""
    days = Days()

    for _ in range(20):
        days.show(LASTS_SECONDS - STEP, *of("delegation", 1))
        days.show(AWAY_SECONDS + STEP)

    assert days.said == []


def test_what_comes_and_goes_is_one_alarm() -> None:
    """Raised once it has been there for its time in all, cleared once it stays away, and not before."""
    days = Days()

    for _ in range(30):
        days.show(20.0, *of("delegation", 1))
        days.show(AWAY_SECONDS - STEP)

    assert days.said == [("raised", "delegation", "a1@example.com")]
    assert days.show(2 * STEP) == [("cleared", "delegation", "a1@example.com")]
    assert days.show(2 * AWAY_SECONDS) == []


def test_a_clock_that_is_set_raises_and_clears_nothing() -> None:
    """An hour that never passed is no time in which a trouble lasted."""
    days = Days()
    days.show(2 * STEP, *of("google_failing", 1))
    days.now += 3600.0
    days.show(STEP, *of("google_failing", 1))
    days.now -= 7200.0
    days.show(STEP, *of("google_failing", 1))
    assert days.said == []

    days.show(PASSES_SECONDS, *of("google_failing", 1))
    assert len(days.said) == 1
    days.show(STEP)
    days.now += 3600.0
    days.show(STEP)
    assert len(days.said) == 1


@pytest.mark.parametrize(
    ("agents", "troubled", "whose"),
    [
        (1, 1, "one by one"),
        (2, 2, "one by one"),
        (3, 2, "one by one"),
        (3, 3, "the company's"),
        (8, 4, "one by one"),
        (8, 5, "the company's"),
        (1000, 10, "one by one"),
        (1000, 11, "the company's"),
        (1000, 1000, "the company's"),
    ],
)
def test_one_cause_is_one_alarm(agents: int, troubled: int, whose: str) -> None:
    """More than half of them, or more than somebody reads one by one."""
    days = Days(agents)

    said = days.show(LASTS_SECONDS + 2 * STEP, *of("delegation", *range(troubled)))

    if whose == "the company's":
        assert said == [("raised", "delegation", COMPANY)]
        assert days.messages == [
            f"{troubled} of {agents} agents: Google does not let the service account read this calendar"
        ]
    else:
        assert sorted(said) == sorted(("raised", one.code, one.who) for one in of("delegation", *range(troubled)))


def test_two_calendars_of_one_agent_are_one_agents() -> None:
    """The company's are counted by agents."""
    days = Days(3)
    wrong = [Wrong("no_access", f"{AMY}/{name}", NOW, AMY) for name in "abc"]

    said = days.show(LASTS_SECONDS + 2 * STEP, *wrong)

    assert sorted(said) == [("raised", "no_access", f"{AMY}/{name}") for name in "abc"]


def test_what_spreads_slowly_is_one_alarm() -> None:
    """1,000 agents find out one after the other, within their polls, that the delegation is gone."""
    days = Days(1000)

    for troubled in range(0, 1000, 20):
        days.show(STEP, *of("delegation", *range(troubled)))

    assert days.said == [("raised", "delegation", COMPANY)]


def test_what_was_raised_singly_stays_and_is_cleared_singly() -> None:
    """A few were raised when it became everybody's: their counterparts come, each once."""
    days = Days(100)
    few, all_of_them = of("delegation", 1, 2), of("delegation", *range(100))
    days.show(LASTS_SECONDS + 2 * STEP, *few)
    days.show(LASTS_SECONDS + 2 * STEP, *all_of_them)
    assert [who for _, _, who in days.said] == ["a1@example.com", "a2@example.com", COMPANY]

    days.show(AWAY_SECONDS + 2 * STEP)

    assert sorted(days.said[3:]) == sorted(("cleared", code, who) for _, code, who in days.said[:3])


def test_the_companys_falls_apart_only_when_few_are_left() -> None:
    """Around the limit nothing is said; far below it those who are left are told one by one."""
    days = Days(20)
    days.show(LASTS_SECONDS + 2 * STEP, *of("delegation", *range(12)))
    for _ in range(5):
        days.show(AWAY_SECONDS + STEP, *of("delegation", *range(8)))
        days.show(AWAY_SECONDS + STEP, *of("delegation", *range(12)))
    assert days.said == [("raised", "delegation", COMPANY)]

    days.show(2 * AWAY_SECONDS, *of("delegation", 1, 2))

    assert sorted(days.said[1:]) == [
        ("cleared", "delegation", COMPANY),
        ("raised", "delegation", "a1@example.com"),
        ("raised", "delegation", "a2@example.com"),
    ]


def test_everybodys_by_nature_is_one_alarm_of_a_small_company_too() -> None:
    """Each calendar finds out by itself that the API is switched off."""
    days = Days(2)

    days.show(LASTS_SECONDS + 2 * STEP, *of("api_disabled", 0, 1))

    assert days.said == [("raised", "api_disabled", COMPANY)]
    assert not days.messages[0].startswith("2 of")


def test_a_restart_neither_repeats_nor_forgets() -> None:
    """What is raised already is not raised again; what vanished meanwhile is cleared."""
    days = Days()
    days.show(2 * LASTS_SECONDS, *of("delegation", 1, 2))
    after = Days(raised=list(days.alarms.raised.values()))

    assert after.show(2 * AWAY_SECONDS, *of("delegation", 1)) == [("cleared", "delegation", "a2@example.com")]


@pytest.mark.parametrize("numbers", [(1,), range(1, 8)])
def test_what_has_a_day_is_raised_through_restarts(numbers: Collection[int]) -> None:
    """What was counted before counts on, also the company's; and nothing does once it was away."""
    wrong = of("not_connected", *numbers)
    who = wrong[0].who if len(wrong) == 1 else COMPANY
    days = Days()
    assert days.show(CONNECTS_SECONDS - 60.0, *wrong) == []
    pending = days.alarms.pending
    assert list(pending) == [Pending("not_connected", who, CONNECTS_SECONDS - 60.0 - STEP)]

    days.alarms = Alarms((), pending)
    # Nothing was read yet: nobody knows.
    days.doubted["not_connected"] = [f"a{number}@example.com" for number in range(1, 11)]
    assert days.show(2 * AWAY_SECONDS) == []
    assert days.alarms.pending == pending
    days.doubted.clear()
    assert days.show(80.0, *wrong) == [("raised", "not_connected", who)]
    assert not days.alarms.pending

    over = Days()
    over.alarms = Alarms((), pending)
    over.show(2 * AWAY_SECONDS)
    assert not over.alarms.pending


def test_what_lasts_for_minutes_begins_anew_at_a_restart() -> None:
    """And whoever is forgotten is in no file."""
    days = Days()
    days.show(30.0, *of("delegation", 1), *of("not_connected", 2))
    assert [one.key for one in days.alarms.pending] == [("not_connected", "a2@example.com")]
    assert days.alarms.forget("a2@example.com") == 0
    assert not days.alarms.pending
    assert not Alarms((), [Pending("delegation", AMY, 50.0)]).pending


def test_what_is_not_known_stays_as_it_is() -> None:
    """Unread is not mended; the time away begins when it is known."""
    days = Days()
    days.show(2 * LASTS_SECONDS, *of("delegation", 1, 2))
    after = Days(raised=list(days.alarms.raised.values()))
    after.doubted["delegation"] = {"a1@example.com", "a2@example.com"}

    assert after.show(3600.0) == []
    after.doubted["delegation"] = {"a1@example.com"}
    assert after.show(AWAY_SECONDS) == []
    assert after.show(STEP) == [("cleared", "delegation", "a2@example.com")]


def test_the_companys_waits_for_all_who_are_not_known() -> None:
    """After a restart nobody's calendar was read: it is everybody's still, and nobody's own."""
    days = Days(100)
    days.show(2 * LASTS_SECONDS, *of("delegation", *range(100)))
    after = Days(100, list(days.alarms.raised.values()))
    after.doubted["delegation"] = {one.who for one in of("delegation", *range(100))}
    after.show(3600.0)
    after.doubted["delegation"] = {one.who for one in of("delegation", *range(50))}
    after.show(3600.0)
    after.doubted["delegation"] = set()
    after.show(600.0, *of("delegation", *range(60)))
    assert after.said == []

    assert after.show(2 * AWAY_SECONDS) == [("cleared", "delegation", COMPANY)]


def test_an_alarm_of_a_code_that_is_no_more_is_cleared() -> None:
    """A newer version may have renamed it."""
    alarm = Alarm("old", AMY, NOW, "message", "do", "operator", NOW)

    assert Days(raised=[alarm]).show(2 * AWAY_SECONDS) == [("cleared", "old", AMY)]


def test_what_was_seen_is_told_with_what_to_do_about_it() -> None:
    """In place of what is to be done in general; where nothing was seen, the general words stand."""
    days = Days()
    days.show(LASTS_SECONDS + STEP, Wrong("public_url", COMPANY, NOW, None, "https://x answers 502", "start it"))
    (alarm,) = days.alarms.raised.values()

    assert alarm.message == "no message can arrive through the public URL: calendars are polled: https://x answers 502"
    assert alarm.do == "start it"
    assert Days().show(LASTS_SECONDS + STEP, Wrong("public_url", COMPANY, NOW)) == [("raised", "public_url", COMPANY)]


def test_what_was_seen_and_what_to_do_about_it_stay_together_in_the_companys() -> None:
    """Of one of those who have it, whole: the first of whom more is known than the trouble's own words."""
    days = Days(4)
    seen = [("", ""), ("amy.age is no credential", "put amy.age back"), ("bob.age is empty", "put bob.age back")]
    wrong = [Wrong("vault", f"a{number}", NOW, f"a{number}", *more) for number, more in enumerate(seen)]

    days.show(LASTS_SECONDS + 2 * STEP, *wrong)

    (alarm,) = days.alarms.raised.values()
    assert alarm.who == COMPANY
    assert alarm.message.endswith("cannot be read: amy.age is no credential")
    assert alarm.do == "put amy.age back"


def test_an_alarm_is_as_old_as_the_oldest_of_its_troubles_and_tells_what_was_seen_first() -> None:
    """One without a word of its own leaves another's."""
    alarms = Alarms()
    wrong = [
        Wrong("aircall_credentials", COMPANY, NOW - 5.0, "a@x"),
        Wrong("aircall_credentials", COMPANY, NOW - 9.0, "b@x", "the key was refused", "make another"),
        Wrong("aircall_credentials", COMPANY, NOW - 7.0, None, "something else", "do another thing"),
    ]

    (change,) = alarms.show(wrong, NOW, agents=10)

    assert (change.kind, change.at, change.alarm.since) == ("raised", NOW, NOW - 9.0)
    assert change.alarm.message == f"{trouble('aircall_credentials', 0.0).message}: the key was refused"
    assert change.alarm.do == "make another"


def test_what_waits_alone_waits_on_as_the_companys_from_where_it_was() -> None:
    """Once many have it, it is as old as the oldest of them; what is pending for nobody else is forgotten."""
    days = Days()
    assert [] == days.show(LASTS_SECONDS - 3 * STEP, *of("delegation", 1))
    said = days.show(5 * STEP, *of("delegation", 1, 2, 3, 4, 5, 6, 7, 8))

    assert said == [("raised", "delegation", COMPANY)]
    assert days.messages == [f"8 of 10 agents: {trouble('delegation', 0.0).message}"]


def test_whoever_is_forgotten_is_in_no_alarm() -> None:
    """Neither raised nor pending, nor named in another's words; how many were raised is told."""
    days = Days()
    days.show(LASTS_SECONDS + 2 * STEP, *of("delegation", 1, 2))
    days.show(2 * STEP, *of("delegation", 1, 2), *of("no_access", 1, 2))
    assert 2 == len(days.alarms.raised)

    days.show(STEP)
    assert 1 == days.alarms.forget("a1@example.com")

    assert ["a2@example.com"] == [alarm.who for alarm in days.alarms.raised.values()]
    assert 0 == days.alarms.forget("a1@example.com")
    assert all(one.who != "a1@example.com" for one in days.alarms.pending)
    assert [] == days.show(STEP, *of("delegation", 2))


def test_of_troubles_that_last_long_only_the_presence_is_kept() -> None:
    """Sorted, by code and name, with the seconds for which it was there."""
    days = Days()
    days.show(11 * STEP, *of("not_connected", 2, 1), *of("delegation", 3))

    assert days.alarms.pending == tuple(
        Pending("not_connected", f"a{number}@example.com", 10 * STEP) for number in (1, 2)
    )


def test_a_trouble_of_a_newer_version_is_one_agents_and_lasts_a_minute() -> None:
    """What was written down by it is still understood."""
    assert (is_everybodys("something_new"), lasts("something_new")) == (False, LASTS_SECONDS)


def test_what_is_the_companys_since_many_have_it_stays_so_until_few_do() -> None:
    """More than half of them; then while more than two and a half of ten, or a quarter, have it."""
    days = Days()
    days.show(LASTS_SECONDS + 2 * STEP, *of("delegation", 1, 2, 3, 4, 5, 6))
    assert ["6 of 10 agents"] == [message.partition(":")[0] for message in days.messages]

    for number in (5, 4, 3):
        days.show(STEP, *of("delegation", *range(number)))
        assert [COMPANY] == [alarm.who for alarm in days.alarms.raised.values()], number
    alarm = days.alarms.raised["delegation", COMPANY]
    assert (alarm.since, alarm.raised_at) == (NOW, NOW + LASTS_SECONDS + STEP)


def test_a_change_is_dated() -> None:
    """When it was raised, and when it was cleared."""
    alarms = Alarms()
    (raised,) = alarms.show([Wrong("aircall_credentials", COMPANY, NOW - 5.0, None)], NOW, agents=10)
    assert (raised.kind, raised.at, raised.alarm.raised_at, raised.alarm.since) == ("raised", NOW, NOW, NOW - 5.0)

    assert [] == alarms.show([], NOW + STEP, agents=10)
    cleared = NOW + STEP + AWAY_SECONDS
    assert [] == alarms.show([], NOW + 2 * STEP, agents=10)
    changes = [change for step in range(3, 40) for change in alarms.show([], NOW + step * STEP, agents=10)]
    assert [("cleared", cleared)] == [(change.kind, change.at) for change in changes]


def test_one_whose_words_name_who_is_forgotten_goes_too() -> None:
    """Whoever has it."""
    alarms = Alarms()
    alarms.show([Wrong("aircall_credentials", COMPANY, NOW, None, "amy@example.com was refused")], NOW, agents=10)

    assert (0, 1, 0) == tuple(alarms.forget(who) for who in ("bob@example.com", AMY, AMY))


@pytest.mark.parametrize(
    ("agents", "left", "stays"),
    [
        (100, 5, False),
        (100, 6, True),
        (9, 2, False),
        (8, 2, False),
        (7, 2, True),
        (3, 1, False),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_what_is_left_of_the_companys(agents: int, left: int, *, stays: bool, known: bool) -> None:
    """More than five, or more than a quarter and not one alone; whether they have it, or nobody knows if they do."""
    days = Days(agents)
    days.show(LASTS_SECONDS + 2 * STEP, *of("delegation", *range(agents)))
    assert [("raised", "delegation", COMPANY)] == days.said

    few = of("delegation", *range(left))
    if not known:
        days.doubted["delegation"] = {one.who for one in few}
    days.show(LASTS_SECONDS + AWAY_SECONDS + 2 * STEP, *(few if known else ()))

    changes = set(days.said[1:])
    assert stays == (("cleared", "delegation", COMPANY) not in changes)
    raised = {("raised", "delegation", one.who) for one in few}
    assert changes - {("cleared", "delegation", COMPANY)} == (raised if known and not stays else set())


def test_singles_are_singles_after_a_restart() -> None:
    """Two of three agents are not the company."""
    days = Days(3)
    days.show(LASTS_SECONDS + 2 * STEP, *of("delegation", 1, 2))
    after = Days(3, list(days.alarms.raised.values()))

    assert [] == after.show(LASTS_SECONDS + 2 * STEP, *of("delegation", 1, 2))
    assert 2 == len(after.messages)


@pytest.mark.parametrize(
    ("first", "told"), [(("seen", ""), "seen"), (("", "mend it"), ""), (("", ""), "other")], ids=["seen", "do", "none"]
)
@pytest.mark.parametrize("shared", [True, False])
def test_one_word_more_than_the_troubles_own_is_enough_to_be_told(
    first: tuple[str, str], told: str, *, shared: bool
) -> None:
    """What was seen without a remedy, or a remedy alone: never completed by another's."""
    code = "vault" if shared else "service_account"
    words = trouble(code, 0.0)
    wrong = [Wrong(code, "a", NOW, "a", *first), Wrong(code, "b", NOW, "b", "other", "mend the other")]
    wrong += [Wrong(code, "c", NOW, "c")]
    days = Days(4)

    days.show(LASTS_SECONDS + 2 * STEP, *wrong)

    (alarm,) = days.alarms.raised.values()
    assert alarm.who == COMPANY
    message = alarm.message.removeprefix("3 of 4 agents: ")
    assert message == (f"{words.message}: {told}" if told else words.message)
    assert alarm.do == {"seen": words.do, "": "mend it", "other": "mend the other"}[told]


def test_presence_is_counted_by_what_passes_between_two_shows_of_one_process() -> None:
    """The time of a restart is none of it, nor is that by which the clock was set back."""
    wrong = [Wrong("not_connected", AMY, NOW, AMY)]
    alarms = Alarms((), [Pending("not_connected", AMY, 100.0)])
    counted = []

    for at in (0.0, 5.0, -300.0, -290.0, 500.0):
        alarms.show(wrong, NOW + at, agents=10)
        counted += [one.seconds for one in alarms.pending]

    assert [100.0, 105.0, 105.0, 115.0, 145.0] == counted


def test_what_is_pending_is_forgotten_once_it_was_away_for_its_time() -> None:
    """Counted from where it was last seen."""
    days = Days()
    days.show(2 * STEP, *of("not_connected", 1))

    for left, seconds in ((1, AWAY_SECONDS - STEP), (0, STEP)):
        days.show(seconds)
        assert left == len(days.alarms.pending)


def test_what_was_raised_before_a_restart_is_not_pending_beside() -> None:
    """Nor does what lasts for minutes count on."""
    days = Days()
    days.show(LASTS_SECONDS + 2 * STEP, *of("no_access", 1))
    (alarm,) = days.alarms.raised.values()
    pending = [Pending("not_connected", AMY, 50.0), Pending("delegation", AMY, LASTS_SECONDS - STEP)]
    known = replace(alarm, code="not_connected", who=AMY)
    after = Days()
    after.alarms = Alarms([known], pending)

    assert () == after.alarms.pending
    assert [] == after.show(LASTS_SECONDS, Wrong("delegation", AMY, NOW, AMY), Wrong("not_connected", AMY, NOW, AMY))
    assert [("raised", "delegation", AMY)] == after.show(STEP, Wrong("delegation", AMY, NOW, AMY))


def test_what_waits_of_others_is_kept_when_one_is_forgotten() -> None:
    """Presence and absence: an alarm that is about to be cleared is cleared at its time."""
    days = Days()
    days.show(11 * STEP, *of("not_connected", 1, 2))
    days.show(LASTS_SECONDS + 2 * STEP, *of("delegation", 1, 2))
    days.show(AWAY_SECONDS)
    days.alarms.forget("a1@example.com")

    assert [("cleared", "delegation", "a2@example.com")] == days.show(STEP)
    days.show(2 * STEP, *of("not_connected", 1, 2))
    days.alarms.forget("a1@example.com")
    assert ["a2@example.com"] == [one.who for one in days.alarms.pending]
