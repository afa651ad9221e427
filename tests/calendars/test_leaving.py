"""Whoever took back what they granted: nothing of their calendar counts, whatever of it is known here."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from calsyncd.errors import Unavailable

from .diary import AMY, BOB, Diary

HOUR = 3600.0


async def test_nothing_is_wanted_of_who_leaves(tmp_path: Path) -> None:
    """The channel is closed, and what was read is forgotten."""
    async with Diary(tmp_path, push=True) as diary:
        diary.event("primary", "m1", -60, HOUR)
        diary.follow(AMY)
        await diary.a_while(5)
        before = diary.busy()
        leaving = asyncio.create_task(diary.syncer.let_go(AMY))
        await diary.a_while(5)
        await leaving

        assert (before, diary.busy(), diary.google.living) == (True, False, {})


async def test_nothing_is_wanted_of_who_was_leaving_already_at_the_start(tmp_path: Path) -> None:
    """A start follows no calendar of theirs; who is held from before must hear all the same that it is over."""
    async with Diary(tmp_path) as diary:
        diary.follow(BOB)
        await diary.syncer.let_go(AMY)

        timeline, complete = diary.told[AMY]
        assert timeline is not None
        assert (timeline.spans, complete) == ((), True)


async def test_a_database_that_does_not_answer_keeps_nobody_held(tmp_path: Path) -> None:
    """What is wanted is told before what was read is forgotten."""
    async with Diary(tmp_path) as diary:
        diary.event("primary", "m1", -60, HOUR)
        diary.follow(AMY)
        await diary.a_while(5)

        async def fails(*_: object) -> None:
            raise Unavailable("locked", service="calsyncd", code="store")

        diary.shelf.forget_calendars = fails  # type: ignore[assignment]
        with pytest.raises(Unavailable):
            await diary.syncer.let_go(AMY)

        assert not diary.busy()
