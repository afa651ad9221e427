"""What Google does over many starts: channels do not pile up."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from calsyncd.core.channels import Verdict
from tests.calendars.diary import AMY, Diary, ModelGoogle, lost
from tests.faults.depth import rounds

RESTARTS = rounds(25, 500)


class Street:
    """One Google for all the processes of a calsyncd that dies again and again, on one clock that goes on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.passed = 0.0
        self.google: ModelGoogle | None = None

    def next_process(self) -> Diary:
        """The next process, at the time at which the last one died."""
        diary = Diary(self.folder, push=True)
        diary.clock.jump(self.passed)
        diary.clock.step()
        if self.google is not None:
            self.google._clock = diary.clock
            diary.google = self.google
        self.google = diary.google
        return diary

    async def live(self, diary: Diary, seconds: float) -> None:
        """Follow Amy, with what the store knows; then so many seconds pass."""
        known = await diary.shelf.store.channels()
        diary.follow(AMY)
        diary.syncer.restore(await diary.shelf.store.calendars(), known)
        await self.pass_by(diary, seconds)

    async def pass_by(self, diary: Diary, seconds: float) -> None:
        """Seconds pass."""
        await diary.a_while(seconds)
        self.passed += seconds

    async def edited(self, diary: Diary) -> None:
        """Somebody edits the calendar: whatever channel lives says so."""
        for channel in list(diary.google.living):
            assert diary.push.notify(diary.message(channel)) is Verdict.GENUINE
        await self.pass_by(diary, 5.0)


async def test_restarts_leave_no_heap_of_channels(tmp_path: Path) -> None:
    """Killed hundreds of times within seconds, also while one is being opened, and some answers are lost.

    A channel whose answer was lost cannot be stopped before it speaks.
    """
    chance, street, lives = random.Random(7), Street(tmp_path), Counter[int]()
    for number in range(RESTARTS):
        diary = street.next_process()
        diary.google.watch_fault = lost() if number % 7 == 3 else None
        async with diary:
            await street.live(diary, chance.choice([0.05, 0.15, 0.25, 1.0, 20.0, 600.0]))
            if number % 3 == 1:
                await street.edited(diary)
                lives[len(diary.google.living)] += 1

    assert lives.keys() <= {0, 1, 2}
    assert lives[0] <= lives.total() // 3


async def test_channels_of_lost_databases_are_stopped_at_their_first_word(tmp_path: Path) -> None:
    """The database is deleted before each start; the first change stops all channels that nobody knows any more."""
    street = Street(tmp_path)
    for _ in range(8):
        (tmp_path / "calsyncd.db").unlink(missing_ok=True)
        async with street.next_process() as diary:
            await street.live(diary, 5.0)
            piled_up = len(diary.google.living)
    async with street.next_process() as diary:
        await street.live(diary, 5.0)
        await street.edited(diary)
        left = len(diary.google.living)

    assert piled_up == 8
    assert left <= 2
