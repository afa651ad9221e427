"""Push channels over weeks: never more than two, lost answers, silent ones, orphans."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from calsyncd.core.channels import Verdict
from calsyncd.errors import Unavailable

from .diary import AMY, Diary, lost

DAY = 86400.0


async def test_two_channels_at_most_while_they_are_renewed(tmp_path: Path) -> None:
    """Each is verified and renewed in time: push never rests, and never has more than two living channels."""
    async with Diary(tmp_path, push=True) as diary:
        diary.follow(AMY)
        for _ in range(12 * 8):
            await diary.a_while(DAY / 8)
            for channel in list(diary.google.living):
                diary.push.notify(diary.message(channel))
            assert len(diary.google.living) >= 1
        assert diary.google.most_living == 2
        assert len(await diary.shelf.store.channels()) <= 2


async def test_two_channels_at_most_while_none_is_ever_verified(tmp_path: Path) -> None:
    """Messages that never arrive lead to new channels and stopped old ones, not to a heap of them."""
    async with Diary(tmp_path, push=True) as diary:
        diary.follow(AMY)
        for _ in range(24):
            await diary.a_while(DAY / 24)
            assert len(diary.google.living) <= 2
        assert diary.google.most_living <= 2
        assert diary.push.health(diary.syncer.calendars[f"{AMY}/primary"], diary.clock.now()) == "unverified"


async def test_where_a_calendar_may_have_one_channel_only_another_follows_its_end(tmp_path: Path) -> None:
    """The successor is refused while the old one lives: push rests for seconds, not for the rest of a long pause."""
    async with Diary(tmp_path, push=True) as diary:
        diary.google.most_channels = 1
        diary.follow(AMY)
        await diary.a_while(7 * DAY - 60)
        (old,) = diary.google.living
        await diary.a_while(70)
        (new,) = diary.google.living

        assert old != new


async def test_a_lost_answer_whose_channel_speaks(tmp_path: Path) -> None:
    """The channel exists though nobody was told: its first message makes it a channel like any other."""
    async with Diary(tmp_path, push=True) as diary:
        diary.google.watch_fault = lost()
        diary.follow(AMY)
        await diary.a_while(2)
        (channel,) = diary.google.living
        assert diary.push.notify(diary.message(channel)) is Verdict.GENUINE
        diary.google.watch_fault = None
        await diary.a_while(5)
        calendar = diary.syncer.calendars[f"{AMY}/primary"]
        assert diary.push.health(calendar, diary.clock.now()) == "healthy"
        assert calendar.channels[channel].resource == "resource"
        await diary.a_while(DAY)
        assert len(diary.google.living) <= 2


async def test_an_orphan_is_stopped_once_a_minute(tmp_path: Path) -> None:
    """A channel that nobody knows any more and that keeps talking is stopped again, but not at every word."""
    async with Diary(tmp_path, push=True) as diary:
        diary.follow(AMY)
        await diary.a_while(10)
        for _ in range(180):
            assert diary.push.notify(diary.message("orphan")) is Verdict.GENUINE
            await diary.a_while(1)
        assert [channel for _, channel in diary.google.stopped] == ["orphan"] * 3


async def test_a_dropped_calendar_stops_its_channel(tmp_path: Path) -> None:
    """Also when it is dropped while the channel is being opened."""
    async with Diary(tmp_path, push=True) as diary:
        diary.google.seconds = 3.0
        diary.follow(AMY)
        while not diary.google.living:
            await diary.a_while(0.5)
        diary.follow()
        await diary.a_while(60)
        assert diary.google.living == {}
        assert await diary.shelf.store.channels() == []


async def let_go(diary: Diary) -> None:
    """Let go of Amy, however long that takes."""
    letting = asyncio.create_task(diary.syncer.let_go(AMY))
    while not letting.done():
        await diary.a_while(1)
    await letting


async def test_who_takes_it_back_is_not_held_while_google_is_away(tmp_path: Path) -> None:
    """They are free at once and nothing is read; the channel is remembered until Google was told to stop it."""
    async with Diary(tmp_path, push=True) as diary:
        diary.event("primary", "review", -600, 7200)
        diary.follow(AMY)
        await diary.a_while(5)
        assert diary.busy()
        (channel,) = diary.google.living
        diary.google.stop_fault = lost()
        with pytest.raises(Unavailable):
            await let_go(diary)
        read = len(diary.google.lists)
        diary.push.notify(diary.message(channel))
        diary.syncer.retell(AMY)
        await diary.a_while(3600)
        trouble = diary.syncer.parted(AMY)
        assert not diary.busy()
        assert len(diary.google.lists) == read
        assert [one.id for one in await diary.shelf.store.channels()] == [channel]
        assert trouble is not None
        assert trouble.code == "not_connected"

        diary.google.stop_fault = None
        await let_go(diary)
        assert diary.google.living == {}
        assert await diary.shelf.store.channels() == []
        assert await diary.shelf.store.calendars() == {}

        diary.follow(AMY)
        await diary.a_while(5)
        assert diary.busy()
        assert diary.syncer.parted(AMY) is None


async def test_who_takes_it_back_is_free_though_nobody_follows_them(tmp_path: Path) -> None:
    """A process that took over only their hold knows nothing of their calendars."""
    async with Diary(tmp_path) as diary:
        await let_go(diary)
        assert diary.told[AMY][1]
        assert not diary.busy()


async def test_where_no_message_can_arrive_calendars_are_polled_soon(tmp_path: Path) -> None:
    """Open channels count for nothing then, and no poll waits for its time; once it is over, push is trusted."""
    async with Diary(tmp_path, push=True) as diary:
        diary.follow(AMY)
        await diary.a_while(1)
        for channel in list(diary.google.living):
            diary.push.notify(diary.message(channel))
        await diary.a_while(60)
        calendar = diary.syncer.calendars[f"{AMY}/primary"]
        assert diary.push.health(calendar, diary.clock.now()) == "healthy"
        due, now = diary.scheduler.due_at("sync", calendar.key), diary.clock.now()
        assert due is not None
        assert due - now > 160
        diary.push.unreachable = lambda: True
        diary.syncer.hasten()
        read = len(diary.google.lists)
        await diary.a_while(160)
        assert len(diary.google.lists) > read
        assert diary.push.health(calendar, diary.clock.now()) == "silent"
        assert len(diary.google.living) == 1
        diary.push.unreachable = lambda: False
        assert diary.push.health(calendar, diary.clock.now()) == "healthy"
