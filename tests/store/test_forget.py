"""What is erased of somebody in the database."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from calsyncd.core.channels import Channel
from calsyncd.core.model import Event, HistoryRow, Observation, Setting
from calsyncd.core.sync import Bookmark, Changes
from calsyncd.store import Store

AMY, BOB, AMYS_NAMESAKE = "amy@example.com", "bob@example.com", "tamy@example.com"
T = 1.8e9


def row(agent: str, why: str = "w", actor: str = "calsyncd") -> HistoryRow:
    """A record of history."""
    return HistoryRow(T, agent, None, None, "seen", why, None, None, actor)


def names_amy(folder: Path) -> list[str]:
    """The files in which she is still named."""
    files = {path.name: path.read_bytes().lower().replace(AMYS_NAMESAKE.encode(), b"") for path in folder.iterdir()}
    return [name for name, content in files.items() if AMY.encode() in content]


async def test_all_of_one_and_nothing_of_others(tmp_path: Path) -> None:
    """Whoever has a name like it keeps everything; what was deleted before is not in the file either."""
    path = tmp_path / "calsyncd.db"
    mark = Bookmark("m", "f", "UTC", T)
    async with Store.open(path) as store:
        for number, email in enumerate((AMY, BOB, AMYS_NAMESAKE)):
            events = tuple(Event(f"e{one}", T, T + 60, updated="") for one in range(3))
            changes = Changes(baseline=True, events=events, gone=frozenset(), skipped=(), bookmark=mark)
            await store.apply(f"{email}/primary", email, changes, T)
            await store.save_channel(Channel(f"c{number}", f"{email}/primary", "https://x", T))
            await store.observe([(number, Observation(Setting("available"), T))])
        await store.save_directory({0: AMY, 1: BOB, 2: AMYS_NAMESAKE}, {})
        rows = [row(AMY), row(f"{AMY} (Aircall user 9)"), row(AMYS_NAMESAKE)]
        await store.record([*rows, row(BOB, f"for Amy@Example.com, and {AMY}.", AMY)], 0.0)
        # As an agent who was taken out of the settings leaves it.
        await store.record([row(AMY, "x" * 200)] * 200, 0.0)

        erased = await store.forget(AMY, [0])
        assert await store.scrub()

        assert erased == {
            "events": 3,
            "calendars": 1,
            "push channels": 1,
            "records of history": 202,
            "observations": 1,
            "rows of the list of users": 1,
        }
        assert set(await store.calendars()) == {f"{BOB}/primary", f"{AMYS_NAMESAKE}/primary"}
        assert {channel.id for channel in await store.channels()} == {"c1", "c2"}
        assert set(await store.observations()) == {1, 2}
        assert [(one.agent, one.why, one.actor) for one in await store.history()] == [
            (AMYS_NAMESAKE, "w", "calsyncd"),
            (BOB, "for somebody, and somebody.", "somebody"),
        ]
        assert not any((await store.forget(AMY, [0])).values())
        assert not names_amy(tmp_path)


async def test_another_reader_is_told_of(tmp_path: Path) -> None:
    """A program that reads the database all the time keeps its log from being emptied: that is said, and no fault."""
    path = tmp_path / "calsyncd.db"
    async with Store.open(path) as store:
        await store.record([row(AMY)], 0.0)
        await store._connection.execute_fetchall("PRAGMA busy_timeout = 50")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM history").fetchall()
            await store.forget(AMY, [])

            assert not await store.scrub()
        assert await store.scrub()
