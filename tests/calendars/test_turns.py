"""What a start and a flood of messages cost the loop."""

from __future__ import annotations

from pathlib import Path

from calsyncd.core.channels import Verdict

from .diary import AMY, Diary


async def test_calendars_are_first_read_in_the_order_of_the_settings(tmp_path: Path) -> None:
    """Who stands first is judged first, at every start alike."""
    names = [f"calendar {number}" for number in range(40)]
    async with Diary(tmp_path) as diary:
        diary.follow(AMY, calendars=names)
        await diary.a_while(5)

        assert [calendar for _, calendar, _ in diary.google.lists] == names


async def test_messages_that_tell_nothing_new_cost_no_turns(tmp_path: Path) -> None:
    """The calendar is to be read already: a thousand more change nothing, and lead to one read."""
    async with Diary(tmp_path, push=True) as diary:
        diary.follow(AMY)
        await diary.a_while(10)
        (channel,) = diary.google.living
        for _ in range(2):
            diary.push.notify(diary.message(channel))
            await diary.a_while(0.5)
        turns, lists = diary.scheduler.turns, len(diary.google.lists)

        for _ in range(1000):
            assert diary.push.notify(diary.message(channel)) is Verdict.GENUINE
            await diary.clock.settle()

        assert diary.scheduler.turns == turns
        await diary.a_while(10)
        assert len(diary.google.lists) == lists + 1
