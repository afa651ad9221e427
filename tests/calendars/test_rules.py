"""Rules that change: what they need is read before they count, and nobody is freed meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from calsyncd.core.hours import WorkingHours
from calsyncd.core.rules import Rules
from calsyncd.core.sync import Bookmark, Changes, Stored, constant_parameters, fingerprint, parse_event, quota_user
from calsyncd.errors import Unavailable
from tests.calendars.diary import AMY, WEEK, Diary

KEY = f"{AMY}/primary"


def follow(diary: Diary, rules: Rules, calendars: Iterable[str] = ("primary",)) -> None:
    """Follow Amy under these rules."""
    diary.syncer.follow({AMY: (list(calendars), rules)})


async def test_rules_that_need_titles_count_once_they_were_read(tmp_path: Path) -> None:
    """Until then the former rules hold, however long that takes; then a baseline is taken, with titles."""
    async with Diary(tmp_path) as diary:
        diary.event("primary", "talk", -100, 6000)
        diary.google.events["primary"]["talk"]["summary"] = "Sales talk"
        follow(diary, Rules())
        await diary.a_while(5)
        assert diary.busy()
        assert "summary" not in diary.google.lists[-1][2]["fields"]

        diary.google.fault = lambda _calendar, _query: Unavailable("503", service="google", code="server", status=503)
        asked = len(diary.google.lists)
        fresh = Rules(only_titles=("sales",), lead=60.0)
        follow(diary, fresh)
        await diary.a_while(1)
        assert len(diary.google.lists) > asked
        await diary.a_while(600)
        assert diary.busy()
        assert diary.syncer.rules(AMY) == Rules()

        diary.google.fault = lambda _calendar, _query: None
        await diary.a_while(120)
        assert diary.busy()
        assert diary.syncer.rules(AMY) == fresh
        query = diary.google.lists[-1][2]
        assert "summary" in query["fields"]
        timeline = diary.told[AMY][0]
        assert timeline is not None
        assert timeline.spans[0].end - timeline.spans[0].start == 6160

        follow(diary, Rules(ignore_titles=("SALES",)))
        await diary.a_while(3)
        assert not diary.busy()


async def test_new_rules_wait_for_the_last_calendar(tmp_path: Path) -> None:
    """Until then the former ones hold for all of them, also for what was read anew: that tells what both need."""
    async with Diary(tmp_path) as diary:
        for calendar in ("primary", "second"):
            diary.event(calendar, f"talk-{calendar}", -100, 6000)
            diary.google.events[calendar][f"talk-{calendar}"]["summary"] = "Lunch"
        diary.event("primary", "phone", 7000, 8000)
        diary.google.events["primary"]["phone"]["summary"] = "#phone"
        follow(diary, Rules(ignore_titles=("#phone",)), ("primary", "second"))
        await diary.a_while(5)
        fault = Unavailable("503", service="google", code="server", status=503)
        diary.google.fault = lambda calendar, _query: fault if calendar == "second" else None

        follow(diary, Rules(ignore_titles=("lunch",)), ("primary", "second"))
        await diary.a_while(5)

        def spans() -> list[tuple[str, float]]:
            timeline, complete = diary.told[AMY]
            assert timeline is not None
            assert complete
            return [(span.event, span.end - span.start) for span in timeline.spans]

        assert "summary" in diary.google.lists[-1][2]["fields"]
        assert spans() == [("talk-primary", 6100)]

        diary.google.fault = lambda _calendar, _query: None
        await diary.a_while(120)
        assert spans() == [("phone", 1000)]


async def test_what_was_read_for_other_rules_counts_until_it_was_read_for_these(tmp_path: Path) -> None:
    """After a restart with new titles in the settings what is stored tells nothing of them: unknown is not free."""
    async with Diary(tmp_path) as diary:
        diary.event("primary", "talk", -100, 6000)
        item = diary.google.events["primary"]["talk"]
        item["summary"] = "Lunch"
        bookmark = Bookmark("t", fingerprint(quota_user(AMY), WEEK), "UTC", diary.clock.now())
        event = parse_event(item, "UTC")
        changes = Changes(baseline=True, events=(event,), gone=frozenset(), skipped=(), bookmark=bookmark)
        await diary.shelf.apply(KEY, AMY, changes, diary.clock.now())
        diary.google.seconds = 30.0

        follow(diary, Rules(ignore_titles=("lunch",)))
        diary.syncer.restore({KEY: Stored(bookmark, diary.clock.now())}, [])
        await diary.a_while(10)
        assert diary.busy()
        assert diary.syncer.untold(AMY) == {KEY}

        await diary.a_while(30)
        assert not diary.busy()
        assert diary.syncer.untold(AMY) == frozenset()


async def test_what_needs_no_reading_counts_at_once(tmp_path: Path) -> None:
    """What every event tells is there: nothing is read anew for it."""
    async with Diary(tmp_path) as diary:
        diary.event("primary", "talk", -100, 600)
        follow(diary, Rules())
        await diary.a_while(5)
        asked = len(diary.google.lists)

        follow(diary, Rules(minimum_duration=3600.0))
        await diary.a_while(1)

        assert not diary.busy()
        assert len(diary.google.lists) == asked


async def test_the_agents_own_zone_is_that_of_the_hours(tmp_path: Path) -> None:
    """Aircall's zone of the agent goes before the calendar's; when it changes, the timeline is told anew."""
    async with Diary(tmp_path) as diary:
        hours = WorkingHours(frozenset(range(7)), 0, 86340)
        follow(diary, Rules(working_hours=hours))
        await diary.a_while(5)
        assert diary.syncer.rules(AMY) == Rules(working_hours=replace(hours, zone="UTC"))
        tellings = diary.tellings

        diary.zones[AMY] = None
        diary.syncer.retell(AMY)
        await diary.a_while(1)
        assert diary.told[AMY] == (None, False), "while Aircall's word is missing nothing begins or ends by the hours"

        diary.zones[AMY] = "Europe/Paris"
        diary.syncer.retell(AMY)
        await diary.a_while(1)

        assert diary.tellings == tellings + 2
        assert diary.syncer.rules(AMY) == Rules(working_hours=replace(hours, zone="Europe/Paris"))
        diary.zones[AMY] = "Eastern Time (US & Canada)"
        assert diary.syncer.rules(AMY) == Rules(working_hours=replace(hours, zone="UTC"))


def test_no_more_is_asked_for_than_the_rules_need() -> None:
    """Titles, guests, conferences, colours and labels each only for a rule of theirs."""
    fields = {
        rules: constant_parameters("u", rules.reads)
        for rules in (
            Rules(),
            Rules(ignore_titles=("a",)),
            Rules(only_titles=("a",)),
            Rules(substatus_by_title=(("a", "other"),)),
            Rules(minimum_guests=1),
            Rules(only_with_conference=True),
            Rules(ignore_colors=("1",)),
            Rules(only_labels=("l",)),
            Rules(tentative=False, focus_time="do_not_disturb", minimum_duration=60.0),
        )
    }
    plain = fields[Rules()]

    for word, rules in (
        ("summary", {"ignore_titles", "only_titles", "substatus_by_title"}),
        ("attendeesOmitted", {"minimum_guests"}),
        ("hangoutLink", {"only_with_conference"}),
        ("colorId", {"ignore_colors"}),
        ("eventLabelId", {"only_labels"}),
    ):
        for one, query in fields.items():
            needs = any(getattr(one, name) for name in rules)
            assert (word in query["fields"]) is needs, (word, one)
    assert [query["maxAttendees"] for query in fields.values()] == ["1"] * 4 + ["200"] + ["1"] * 4
    assert fields[Rules(tentative=False, focus_time="do_not_disturb", minimum_duration=60.0)] == plain
