"""What is said by hand, with the real store: it counts when it is said, and with a new database too."""

from __future__ import annotations

from pathlib import Path

from calsyncd.core.byhand import ByHand, Extension
from calsyncd.errors import Unavailable

from .diary import AMY, Diary, lost

HOUR = 3600.0


async def test_it_counts_once_it_was_told_and_through_what_google_says_later(tmp_path: Path) -> None:
    """Skipped without a fetch; an edit of the meeting changes nothing; taken back, it counts again."""
    async with Diary(tmp_path) as diary:
        diary.event("primary", "m1", -60, HOUR)
        diary.follow(AMY)
        await diary.a_while(5)
        before, fetched = diary.busy(), len(diary.google.lists)
        diary.said[AMY] = ByHand((("m1", diary.clock.now() + HOUR),))
        told = await diary.syncer.retold(AMY)
        skipped, asked = diary.busy(), len(diary.google.lists) - fetched
        diary.event("primary", "m1", -30, 2 * HOUR)
        await diary.a_while(HOUR + 600)
        edited = diary.busy()
        diary.said.clear()
        await diary.syncer.retold(AMY)

        assert (before, told, skipped, asked, edited) == (True, True, False, 0, False)
        assert diary.busy()


async def test_it_counts_with_a_new_database(tmp_path: Path) -> None:
    """All that is asked is what was said: nobody is told of the meeting first."""
    async with Diary(tmp_path) as diary:
        diary.said[AMY] = ByHand((("m1", diary.clock.now() + HOUR),))
        diary.event("primary", "m1", -60, HOUR)
        diary.follow(AMY)
        await diary.a_while(5)

        timeline = diary.told[AMY][0]
        assert timeline is not None
        assert (timeline.spans, [one.event for one in timeline.skipped], diary.tellings) == ((), ["m1"], 1)


async def test_an_extension_needs_no_calendar(tmp_path: Path) -> None:
    """While Google does not answer after a start, who is to stay unavailable does, to the end of the extension."""
    async with Diary(tmp_path) as diary:
        now = diary.clock.now()
        diary.said[AMY] = ByHand(extension=Extension(now, now + 900.0))
        diary.google.fault = lambda *_: lost()
        diary.follow(AMY)
        await diary.a_while(30)
        during, complete = diary.busy(), diary.told[AMY][1]
        await diary.a_while(900)

        assert (during, complete, diary.busy()) == (True, False, False)


async def test_while_the_database_does_not_answer_it_is_said_that_it_does_not_count_yet(tmp_path: Path) -> None:
    """What was told stays in force, and the next fetch tells the rest."""
    async with Diary(tmp_path) as diary:
        diary.event("primary", "m1", -60, HOUR)
        diary.follow(AMY)
        await diary.a_while(5)
        diary.said[AMY] = ByHand((("m1", diary.clock.now() + HOUR),))
        events = diary.shelf.events

        async def fails(*_: object) -> list[object]:
            raise Unavailable("locked", service="calsyncd", code="store")

        diary.shelf.events = fails  # type: ignore[assignment]
        told, still = await diary.syncer.retold(AMY), diary.busy()
        diary.shelf.events = events  # type: ignore[method-assign]
        await diary.a_while(600)

        assert (told, still, diary.busy()) == (False, True, False)
