"""What calendars say over hours and days: stale data, empty answers, pages, and one agent's bad data."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from calsyncd.core.model import Event
from calsyncd.errors import Refused, Unavailable

from .diary import AMY, BOB, Diary

HOUR = 3600.0


def down() -> Unavailable:
    """A 503."""
    return Unavailable("503", service="google", code="server", status=503)


async def test_pages_count_together_or_not_at_all(tmp_path: Path) -> None:
    """A baseline of three pages whose last one fails changes nothing; when it works, all of it counts."""
    async with Diary(tmp_path) as diary:
        diary.google.page_size = 2
        for number in range(6):
            diary.event("primary", f"e{number}", -60 + number, HOUR)
        diary.google.fault = lambda _, query: down() if query.get("pageToken") == "4" else None
        diary.follow(AMY)
        await diary.a_while(60)
        assert not diary.busy()
        assert await diary.shelf.store.count_events(f"{AMY}/primary", 0.0) == 0
        diary.google.fault = lambda *_: None
        await diary.a_while(120)
        assert diary.busy()
        assert await diary.shelf.store.count_events(f"{AMY}/primary", 0.0) == 6


async def test_old_data_begin_nothing(tmp_path: Path) -> None:
    """While Google is away for a day, what was read stays in force; beyond a day nothing of it is used."""
    async with Diary(tmp_path) as diary:
        diary.event("primary", "today", 23 * HOUR, 24 * HOUR)
        diary.event("primary", "tomorrow", 26 * HOUR, 28 * HOUR)
        diary.follow(AMY)
        await diary.a_while(60)
        assert diary.told[AMY][1]
        diary.google.fault = lambda *_: down()
        await diary.a_while(23.5 * HOUR)
        assert diary.busy()
        await diary.a_while(3 * HOUR)
        assert diary.told[AMY] == (None, False)
        diary.google.fault = lambda *_: None
        await diary.a_while(300)
        assert diary.busy()
        assert diary.told[AMY][1]


async def test_an_empty_calendar_is_doubted_and_then_believed(tmp_path: Path) -> None:
    """A baseline that has lost every event is asked for again before anybody is let go, a minute later."""
    async with Diary(tmp_path) as diary:
        diary.event("primary", "e", -60, 5 * HOUR)
        diary.follow(AMY)
        await diary.a_while(60)
        diary.google.events.clear()
        diary.google.fault = lambda _, query: (
            Refused("410", service="google", code="sync_token_gone", status=410) if "syncToken" in query else None
        )
        before = diary.tellings
        while not diary.syncer.calendars[f"{AMY}/primary"].confirm_empty_at:
            await diary.a_while(1)
        assert diary.busy()
        await diary.a_while(50)
        assert diary.busy()
        assert diary.tellings == before
        await diary.a_while(20)
        assert not diary.busy()


async def test_an_empty_answer_that_was_a_mistake_changes_nothing(tmp_path: Path) -> None:
    """The events are there again when it is asked again: nobody was let go meanwhile."""
    async with Diary(tmp_path) as diary:
        diary.event("primary", "e", -60, 5 * HOUR)
        diary.follow(AMY)
        await diary.a_while(60)
        events, diary.google.events = diary.google.events, {}
        diary.google.fault = lambda _, query: (
            Refused("410", service="google", code="sync_token_gone", status=410) if "syncToken" in query else None
        )
        while not diary.syncer.calendars[f"{AMY}/primary"].confirm_empty_at:
            await diary.a_while(1)
        diary.google.events = events
        for _ in range(100):
            await diary.a_while(3)
            assert diary.busy()


async def test_a_cancelled_meeting_beside_a_calendar_that_is_never_readable(tmp_path: Path) -> None:
    """Once only a human can mend the other calendar, the readable one's cancellation is the whole truth."""
    async with Diary(tmp_path) as diary:
        diary.google.fault = lambda calendar, _: (
            Refused("404", service="google", code="calendar_gone", status=404) if calendar == "team" else None
        )
        diary.event("primary", "e", -60, 5 * HOUR)
        diary.follow(AMY, calendars=["primary", "team"])
        await diary.a_while(10)
        assert diary.busy()
        assert not diary.told[AMY][1]
        await diary.a_while(0.5 * HOUR)
        assert diary.syncer.calendars[f"{AMY}/team"].suspended
        diary.cancel("primary", "e")
        await diary.a_while(300)
        assert not diary.busy()
        assert diary.told[AMY][1]


async def test_one_agents_bad_data_stop_nobody_else(tmp_path: Path) -> None:
    """A timeline that cannot be built keeps what was known of that agent; others are told, the process lives."""
    async with Diary(tmp_path) as diary:
        for calendar in ("primary",):
            diary.event(calendar, "e", -60, HOUR)
        diary.follow(AMY, BOB)
        await diary.a_while(10)
        assert diary.busy(AMY)
        diary.shelf.poison = Event("bad", "yesterday", None)  # type: ignore[arg-type]
        diary.cancel("primary", "e")
        await diary.a_while(300)
        assert diary.busy(AMY)
        assert not diary.busy(BOB)
        diary.shelf.poison = None
        diary.event("primary", "other", -30, 10)
        await diary.a_while(300)
        assert not diary.busy(AMY)


async def test_at_most_one_fetch_in_two_seconds(tmp_path: Path) -> None:
    """A minute of messages, ten a second: one fetch at once, then one every two seconds, and a trailing one."""
    async with Diary(tmp_path, push=True) as diary:
        diary.follow(AMY)
        await diary.a_while(60)
        (channel,) = diary.google.living
        before = len(diary.google.lists)
        for _ in range(600):
            diary.push.notify(diary.message(channel))
            await diary.a_while(0.1)
        diary.event("primary", "e", -60, HOUR)
        diary.push.notify(diary.message(channel))
        await diary.a_while(2.5)
        times = [at for at, _, _ in diary.google.lists[before:]]
        assert 25 <= len(times) <= 33
        assert min(later - earlier for earlier, later in pairwise(times)) > 1.999
        assert diary.busy()


async def test_a_clock_that_jumps_in_a_fetch_has_the_calendar_read_again(tmp_path: Path) -> None:
    """The fetch asked for the window of the former time; its end is followed by another at once."""
    async with Diary(tmp_path) as diary:
        diary.google.seconds = 5.0
        diary.follow(AMY)
        await diary.a_while(2)
        assert len(diary.google.lists) == 1

        diary.clock.jump(6 * HOUR)
        await diary.a_while(9)

        assert len(diary.google.lists) == 2
