"""Skip and extend on virtual time: put back at once, kept for longer, over a restart, and the later word counts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from calsyncd.core.byhand import EXTENSION, NOTHING
from calsyncd.core.guard import Floor
from calsyncd.core.model import Event, Setting
from calsyncd.core.rules import Rules
from calsyncd.core.timeline import build
from calsyncd.errors import UserError
from calsyncd.phones import Agent, Record, Wishes
from calsyncd.view import agent_view, time_out

from .company import HOUR, Office, amy, team

AMY = "amy@x"


class Counter:
    """An office whose calendars stand in memory, and where people say what is to be done by hand."""

    def __init__(self, office: Office, rules: Rules = Rules()) -> None:  # noqa: B008 - immutable
        self.office = office
        self.rules = rules
        self.events: dict[str, list[Event]] = {}
        self.answers = True
        self.complete = True
        self.wishes = Wishes(
            office.clock,
            roster=office.roster,
            record=Record(office.ledger, office.journal, office.clock),
            retell=self.retell,
        )

    async def retell(self, email: str) -> bool:
        """As the calendars' room does it."""
        if self.answers:
            timeline = build(self.events.get(email, ()), self.rules, self.office.roster.by_hand(email))
            self.office.phones.known(email, timeline, self.office.clock.now(), complete=self.complete)
        return self.answers

    async def meet(self, email: str, *meetings: tuple[float, float]) -> None:
        """The agent's calendar says exactly these meetings, in seconds since the opening."""
        opened = self.office.opened
        self.events[email] = [Event(f"m{n}", opened + start, opened + end) for n, (start, end) in enumerate(meetings)]
        await self.retell(email)

    async def skip(self, email: str = AMY, until: float | None = None) -> None:
        """Lena says it."""
        at = None if until is None else self.office.opened + until
        await self.wishes.skip(email, at, "lena", "all hands")

    async def extend(self, length: float, email: str = AMY) -> None:
        """Lena says it."""
        await self.wishes.extend(email, length, None, "lena", "it overruns")

    def view(self, email: str = AMY) -> dict[str, Any]:
        """What operators see."""
        return agent_view(self.office[email], [], None, self.office.clock.now())

    def said(self) -> list[tuple[str, str, str]]:
        """What people have said, by the history."""
        rows = self.office.journal.rows
        return [(row.outcome, row.actor, row.why) for row in rows if row.actor == "lena"]

    def puts(self) -> list[tuple[int, str | None]]:
        """When what was put, in whole seconds."""
        return [(round(one.at), one.status) for one in self.office.aircall.of("update")]


def stamp(office: Office, seconds: float) -> str | None:
    """An instant as the API shows it."""
    return time_out(office.opened + seconds)


async def test_a_meeting_is_skipped_while_it_runs() -> None:
    """Put back at once, available to its end and through an edit of it; the next one back to back counts."""
    async with Office([amy()]) as office:
        counter = Counter(office)
        await counter.meet(AMY, (60, 600), (600, 900))
        await office.until(100)
        await counter.skip()
        await office.until(101)
        back, view = office.aircall.status(1), counter.view()
        await counter.skip()
        await counter.meet(AMY, (60, 600), (600, 900), (0, 0))
        await office.until(598)
        puts = counter.puts()
        await office.until(1000)

        assert back == "available"
        assert (view["state"], view["hold"], view["extended_until"]) == ("idle", None, None)
        assert view["skipped"] == [{"event": "m0", "start": stamp(office, 60), "end": stamp(office, 600)}]
        assert view["reason"] == (
            "The meeting until 08:10:00 UTC is skipped by hand. No other meeting until 08:10:00 UTC."
        )
        assert puts == [(60, "unavailable"), (100, "available")]
        assert counter.puts()[2:] == [(600, "unavailable"), (900, "available")]
        assert [row.why for row in office.journal.rows if row.outcome == "done"][1] == "skipped by hand"
        assert [row.late_ms for row in office.journal.rows if row.outcome == "done"][1] in range(100)
        said = counter.said()
        assert [one[:2] for one in said] == [("skipped", "lena")] * 2
        assert said[0][2] == "skipped: 08:01:00 UTC to 08:10:00 UTC: all hands"


async def test_what_is_said_by_hand_is_told_by_the_agents_clock() -> None:
    """To the person, in the history, and in the agent's reason; another day with its date."""
    paris = ZoneInfo("Europe/Paris")
    async with Office([amy()]) as office:
        counter = Counter(office)
        now = office.clock.now()
        await counter.meet(AMY, (60, 600))
        await office.until(100)
        await counter.wishes.skip(AMY, None, "lena", "", zone=paris)
        await counter.wishes.extend(AMY, 600, None, "lena", "", zone=paris)
        await counter.wishes.extend(AMY, None, now + 12 * HOUR, "lena", "late", zone=ZoneInfo("Asia/Tokyo"))
        await office.until(102)
        view = agent_view(office[AMY], [], None, office.clock.now(), paris)
        with pytest.raises(UserError, match=r"until 09:01:42 CET anyway"):
            await counter.wishes.extend(AMY, None, now + 50, "lena", "", zone=paris)

        assert [one[2] for one in counter.said()] == [
            "skipped: 09:01:00 CET to 09:10:00 CET",
            "extended until 09:11:40 CET",
            "extended until 2027-01-16 05:00:00 JST: late",
        ]
        assert [row.until for row in office.journal.rows if row.outcome == "extended"] == [now + 700, now + 12 * HOUR]
        assert (view["zone"], view["reason"].partition(";")[0]) == (
            "Europe/Paris",
            "Unavailable by an operator's word until 21:00:00 CET",
        )


async def test_a_meeting_ahead_is_skipped_and_taken_back() -> None:
    """Nothing is sent for it; taken back in its middle, the agent is made unavailable, and that is not late."""
    async with Office([amy()]) as office:
        counter = Counter(office)
        await counter.meet(AMY, (60, 600))
        await counter.skip()
        skipped = counter.view()["reason"]
        await office.until(300)
        puts = counter.puts()
        await counter.wishes.take_back(AMY, "lena", "a mistake")
        await office.until(301)
        held = office.aircall.status(1)
        await counter.wishes.take_back(AMY, "lena", "again")

        assert skipped.startswith("The meeting at 08:01:00 UTC is skipped by hand.")
        assert puts == []
        assert held == "unavailable"
        assert next(row.late_ms for row in office.journal.rows if row.outcome == "done") in range(300)
        assert counter.said()[1:] == [("resumed", "lena", "what was skipped or extended is taken back: a mistake")]
        assert office.ledger.said[AMY].by_hand == NOTHING


async def test_an_extension_over_the_end_sends_nothing_more() -> None:
    """Still the one hold, with its reason, until the extension ends; then back."""
    async with Office([amy()]) as office:
        counter = Counter(office, Rules(substatus="in_training"))
        await counter.meet(AMY, (60, 600))
        await office.until(500)
        await counter.extend(300)
        view = counter.view()
        await office.until(800)
        late = counter.view()["reason"]
        before = counter.puts()
        await office.until(1000)

        assert view["extended_until"] == view["until"] == stamp(office, 900)
        assert view["reason"] == "In a meeting until 08:15:00 UTC, extended by hand; then back to available."
        assert late == "Unavailable by an operator's word until 08:15:00 UTC; then back to available."
        assert office.aircall.settings[1].availability_status == "available"
        assert (before, counter.puts()[1:]) == ([(60, "unavailable")], [(900, "available")])
        assert [row.late_ms for row in office.journal.rows if row.outcome == "done"][-1] in range(100)


async def test_an_extension_of_who_is_free_and_a_skip_that_ends_it() -> None:
    """Unavailable from now on, known since now; a skip puts back at once, and the next meeting counts."""
    async with Office([amy()]) as office:
        counter = Counter(office)
        await counter.meet(AMY, (2000, 3000))
        await office.until(100)
        await counter.extend(900)
        await office.until(101)
        held = office.aircall.status(1)
        await office.until(300)
        await counter.skip()
        await office.until(2001)

        assert held == "unavailable"
        assert counter.puts() == [(100, "unavailable"), (300, "available"), (2000, "unavailable")]
        assert [row.why for row in office.journal.rows if row.to == "unavailable"] == ["extended by hand", "a meeting"]
        assert counter.said()[1] == ("skipped", "lena", "the extension is over: all hands")


async def test_the_operators_later_word_counts() -> None:
    """Back by hand in the meeting, then extended: unavailable again, after a look. By hand again: that stands."""
    async with Office([amy()]) as office:
        office.aircall.tell = office.phones.told
        counter = Counter(office)
        await counter.meet(AMY, (60, 2000))
        await office.until(200)
        office.aircall.by_hand(1, "available")
        await office.until(300)
        state = counter.view()["state"]
        looks = len(office.aircall.of("look"))
        await counter.extend(300)
        await office.until(302)
        again, looked = office.aircall.status(1), len(office.aircall.of("look")) - looks
        office.aircall.by_hand(1, "available")
        await office.until(1900)
        later = counter.view()
        await office.until(2400)

        assert (state, again, looked) == ("overridden", "unavailable", 1)
        assert (later["state"], later["override"]["until"]) == ("overridden", stamp(office, 2300))
        assert office.aircall.status(1) == "available"
        done = [row for row in office.journal.rows if row.outcome == "done"][1]
        assert done.late_ms in range(300)
        assert (done.why, done.event) == ("extended by hand", EXTENSION)
        assert (done.begins, done.ends) == (office.opened + 300, office.opened + 2300)


@pytest.mark.parametrize("observe", [False, True])
async def test_the_history_says_what_gave_a_hold_another_end(*, observe: bool) -> None:
    """An extension, its end by hand, and the calendar are three; and an extension that ends is no end of a pause."""
    async with Office([replace(amy(), observe=observe)]) as office:
        counter = Counter(office)
        await counter.meet(AMY, (60, 2000))
        await office.until(100)
        await counter.extend(600)
        await office.until(200)
        await office.phones.resume(AMY, "lena")
        await counter.wishes.take_back(AMY, "lena", "")
        await office.until(300)
        await counter.meet(AMY, (60, 2500))
        await office.until(400)

        told = [(row.why, row.until) for row in office.journal.rows if row.outcome == "moved"]
        assert told == [
            ("extended by hand", office.opened + 2600),
            ("not extended any more", office.opened + 2000),
            ("the calendar says another end", office.opened + 2500),
        ]
        resumed = [row.why for row in office.journal.rows if row.outcome == "resumed"]
        assert resumed == ["what was skipped or extended is taken back"]


@pytest.mark.parametrize("deed", ["skip", "resume"])
@pytest.mark.parametrize("runs", [False, True])
async def test_a_change_by_hand_in_an_extension_ends_with_what_is_left_of_it(deed: str, *, runs: bool) -> None:
    """Extended for an hour, back by hand, taken back: nothing but the meeting that ran then is left alone."""
    async with Office([amy()]) as office:
        office.aircall.tell = office.phones.told
        counter = Counter(office)
        await counter.meet(AMY, *([(60, 400)] if runs else []), (600, 900))
        await office.until(100)
        await counter.extend(HOUR)
        await office.until(200)
        office.aircall.by_hand(1, "available")
        await office.until(300)
        state = counter.view()["state"]
        if deed == "skip":
            await counter.skip()
        else:
            await counter.wishes.take_back(AMY, "lena", "")
        await office.until(301)
        after = counter.view()
        await office.until(1000)

        assert (state, after["state"]) == ("overridden", "overridden" if runs else "idle")
        assert (after["override"] or {}).get("until") == (stamp(office, 400) if runs else None)
        told = [(row.outcome, row.until) for row in office.journal.rows if row.outcome in ("override", "over")]
        assert told == [
            ("override", office.opened + (4000 if runs else 3700)),
            ("override", office.opened + 400) if runs else ("over", None),
        ]
        assert office.metrics.registry.get_sample_value("calsyncd_overrides_total") == 1
        assert counter.puts()[1:] == [(600, "unavailable"), (900, "available")]


async def test_whose_own_choice_it_is_stays_so() -> None:
    """Unavailable before the meeting: left alone through the extension too, and nothing is put back behind it."""
    async with Office([amy()]) as office:
        counter = Counter(office)
        office.aircall.settings[1] = Setting("unavailable")
        await counter.meet(AMY, (60, 600))
        await office.until(200)
        await counter.extend(300)
        await office.until(2000)

        assert counter.puts() == []
        assert office.aircall.status(1) == "unavailable"


@pytest.mark.parametrize("deed", ["skip", "extend"])
async def test_after_a_crash_with_the_ledger_alone(deed: str) -> None:
    """The next process knows it from the ledger; there may be no database."""
    async with Office([amy()]) as office:
        counter = Counter(office)
        await counter.meet(AMY, (60, 600))
        await office.until(100)
        await (counter.skip() if deed == "skip" else counter.extend(600))

    async with Office([amy()], aircall=office.aircall, after=150.0) as restarted:
        restarted.restore(office)
        counter = Counter(restarted)
        await counter.meet(AMY, (60 - 150, 600 - 150))
        await restarted.until(60)
        soon, view = restarted.aircall.status(1), counter.view()
        await restarted.until(700 - 150)
        later = restarted.aircall.status(1)
        await restarted.until(1300 - 150)

        if deed == "skip":
            assert (soon, later, [one["event"] for one in view["skipped"]]) == ("available", "available", ["m0"])
        else:
            assert (soon, later, view["extended_until"]) == ("unavailable", "unavailable", stamp(restarted, 1050))
        assert restarted.aircall.status(1) == "available"


@pytest.mark.parametrize(
    ("deed", "why"),
    [
        ("cancel", "the meeting was cancelled or does not count any more"),
        ("move", "the meeting was moved"),
        ("shorten", "the calendar says an earlier end now"),
        ("end", "the meeting is over"),
        ("skip", "skipped by hand"),
        ("take back", "the extension was taken back"),
        ("skip what is extended", "the extension was taken back"),
        ("end what is extended", "the extension is over"),
    ],
)
async def test_why_the_setting_came_back(deed: str, why: str) -> None:
    """The meeting is over only where its time is: else its calendar, or a person, has ended the hold."""
    async with Office([amy()]) as office:
        counter = Counter(office)
        await counter.meet(AMY, *([] if "extended" in deed or deed == "take back" else [(60, 600)]))
        await office.until(80)
        if "extended" in deed or deed == "take back":
            await counter.extend(400)
        await office.until(300)
        match deed:
            case "cancel":
                await counter.meet(AMY)
            case "move":
                await counter.meet(AMY, (2000, 2600))
            case "shorten":
                await counter.meet(AMY, (60, 200))
            case "skip" | "skip what is extended":
                await counter.skip()
            case "take back":
                await counter.wishes.take_back(AMY, "lena", "")
            case _:
                await office.until(700)
        await office.until(702)

        assert [row.why for row in office.journal.rows if row.outcome == "done"][1:] == [why]


async def test_with_nothing_to_skip_nothing_is_done() -> None:
    """It is said in words, and neither written nor told."""
    async with Office([amy()]) as office:
        counter = Counter(office)
        with pytest.raises(UserError, match="not been read"):
            await counter.skip()
        await counter.meet(AMY)
        with pytest.raises(UserError, match="amy@x: there is no meeting to skip"):
            await counter.skip()
        with pytest.raises(UserError, match="12 hours"):
            await counter.extend(12 * HOUR + 1)

        assert (counter.said(), office.ledger.said) == ([], {})


@pytest.mark.parametrize("observe", [False, True])
@pytest.mark.parametrize("deed", ["skip", "skip what is extended", "take back what is extended"])
async def test_a_word_is_enough_while_a_calendar_is_not_read(deed: str, *, observe: bool) -> None:
    """What was read too long ago keeps nobody in a meeting that a person has ended."""
    async with Office([Agent(AMY, 1, observe=observe)]) as office:
        counter = Counter(office)
        counter.complete = False
        await counter.meet(AMY, *([(60, 2000)] if deed == "skip" else []))
        await office.until(50)
        if deed != "skip":
            await counter.extend(2000)
        await office.until(100)
        held = office[AMY].would is not None if observe else office.held(AMY)
        await (counter.wishes.take_back(AMY, "lena", "") if deed.startswith("take") else counter.skip())
        await office.until(101)

        assert held
        assert (office[AMY].would, office.held(AMY), office.aircall.status(1)) == (None, False, "available")


async def test_all_meetings_of_a_time() -> None:
    """Those that touch it, and no other."""
    async with Office([amy()]) as office:
        counter = Counter(office)
        await counter.meet(AMY, (60, 600), (700, 900), (1000, 1100), (1300, 1400))
        await office.until(100)
        await counter.skip(until=1001)
        await office.until(1350)

        assert counter.puts() == [(60, "unavailable"), (100, "available"), (1300, "unavailable")]


async def test_paused_and_observed_agents() -> None:
    """A pause goes before an extension, which counts when the pause is over; who is only observed would be held."""
    watched = Agent("a2@x", 2, observe=True)
    async with Office([amy(), watched]) as office:
        counter = Counter(office)
        await counter.meet(AMY)
        await counter.meet("a2@x")
        await office.until(10)
        await office.phones.pause(AMY, office.clock.now() + 300)
        await counter.extend(900)
        await counter.extend(900, "a2@x")
        await office.until(100)
        view, seen = counter.view(), counter.view("a2@x")
        await office.until(320)

        assert (view["state"], view["wanted"]) == ("paused", None)
        assert "would be unavailable until 08:15:10 UTC" in seen["reason"]
        assert [(one.user, one.status) for one in office.aircall.of("update")] == [(1, "unavailable")]


async def test_an_extension_beats_the_floor() -> None:
    """Who is kept in a meeting goes when somebody wants it; who is not asked for stays."""
    async with Office(team(2)) as office:
        office.phones.keep_available([Floor("all", 2)])
        await office.until(10)
        counter = Counter(office)
        for email in ("a1@x", "a2@x"):
            await counter.meet(email, (60, 2000))
        await office.until(100)
        kept = [office.aircall.status(user) for user in (1, 2)]
        await counter.extend(60, "a1@x")
        await office.until(102)

        assert kept == ["available"] * 2
        assert [office.aircall.status(user) for user in (1, 2)] == ["unavailable", "available"]


async def test_on_a_disk_that_is_full_or_hangs_it_counts_at_once() -> None:
    """It is said that it was not written; asked again, it is."""
    async with Office([amy()]) as office:
        counter = Counter(office)
        await counter.meet(AMY, (60, 6000))
        await office.until(100)
        office.ledger.full = True
        with pytest.raises(OSError, match="No space"):
            await counter.skip()
        office.ledger.full, office.ledger.hangs = False, True
        asked = asyncio.create_task(counter.extend(300))
        await office.a_while(20)
        hung, until = asked.exception(), counter.view()["extended_until"]
        office.ledger.answers()
        await counter.skip()

        assert (isinstance(hung, OSError), until) == (True, stamp(office, 400))
        assert [event for event, _ in office.ledger.said[AMY].by_hand.skipped] == ["m0"]


async def test_while_the_database_does_not_answer_it_is_written_and_said_so() -> None:
    """It counts from the next time that the timeline can be worked out."""
    async with Office([amy()]) as office:
        counter = Counter(office)
        await counter.meet(AMY, (60, 6000))
        await office.until(100)
        counter.answers = False
        with pytest.raises(UserError, match="as soon as the database answers"):
            await counter.skip()
        counter.answers = True
        await counter.retell(AMY)
        await office.until(101)

        assert office.aircall.status(1) == "available"
