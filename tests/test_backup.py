"""Backups of state directories, beside whoever writes to them; and state directories from backups."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import random
import sqlite3
import stat
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from calsyncd import backup
from calsyncd.backup import back_up, restore, stream
from calsyncd.core.model import HistoryRow, Setting
from calsyncd.core.plan import FREE, Entry, Held
from calsyncd.errors import UserError
from calsyncd.ledger import Ledger, parse
from calsyncd.state import locked
from calsyncd.store import Store
from calsyncd.vault import Vault

NOW = 1_763_750_000.123456


def held(since: float = NOW) -> Held:
    """A hold."""
    return Held(
        put=Setting("unavailable"),
        back=Setting("custom"),
        since=since,
        effective=since,
        until=since + 60,
        event="e1",
        confirmed_at=since,
    )


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    """What a daemon leaves: Amy held, a record of history, a push key, a credential."""
    folder = tmp_path / "state"
    folder.mkdir()
    ledger = Ledger(folder / "ledger")
    ledger.load()
    await ledger.record(Entry(456, "amy@example.com", held(), NOW))
    await ledger.record(Entry(457, "bob@example.com", FREE, NOW))
    await ledger.close()
    async with Store.open(folder / "calsyncd.db") as store:
        await store.record(
            [HistoryRow(NOW, "amy@example.com", "custom", "unavailable", "done", "busy", "e1", 5, "x")], 0
        )
    (folder / "push.key").write_bytes(b"k" * 32)
    (folder / "lock").write_text("1\n")
    vault = Vault.open(folder / "credentials", tmp_path / "key" / "vault.key")
    vault.put("google:amy@example.com", {"refresh_token": "1//secret"})
    return folder


def members(file: Path) -> dict[str, bytes]:
    """What is in the tar, by name."""
    with tarfile.open(file) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


async def test_there_and_back(state: Path, tmp_path: Path) -> None:
    """One file, the owner's alone, with all but the lock and the key; restored elsewhere it is what it was."""
    made = back_up(state, tmp_path / "b.tar.gz", NOW)

    held_members = members(tmp_path / "b.tar.gz")
    manifest = json.loads(held_members["manifest.json"])
    assert stat.S_IMODE((tmp_path / "b.tar.gz").stat().st_mode) == 0o600
    assert (manifest["format"], manifest["made_at"]) == (1, "2025-11-21T18:33:20+00:00")
    assert (made.lines, made.damaged, made.held, made.credentials) == (2, 0, 1, 1)
    assert sorted(held_members) == sorted(["manifest.json", *made.files])
    assert {"ledger", "calsyncd.db", "push.key"} < set(made.files)
    key = (tmp_path / "key" / "vault.key").read_bytes().strip()
    assert not any(key in content or b"1//secret" in content for content in held_members.values())

    other = tmp_path / "other"
    with (tmp_path / "b.tar.gz").open("rb") as archive:
        assert restore(archive, other) == made

    assert (other / "ledger").read_bytes() == (state / "ledger").read_bytes()
    assert {stat.S_IMODE(path.stat().st_mode) for path in other.rglob("*") if path.is_file()} == {0o600}
    assert not (other / ".restoring").exists()
    async with Store.open(other / "calsyncd.db") as store:
        assert [row.at for row in await store.history()] == [NOW]
    vault = Vault.open(other / "credentials", tmp_path / "key" / "vault.key")
    assert vault.get("google:amy@example.com") == {"refresh_token": "1//secret"}


async def test_beside_whoever_writes(tmp_path: Path) -> None:
    """While the ledger is appended to and compacted and history is written, each backup is whole and loses nothing."""
    state = tmp_path / "state"
    state.mkdir()
    ledger = Ledger(state / "ledger")
    ledger.load()
    written = 0
    over = threading.Event()

    async def write() -> None:
        nonlocal written
        async with Store.open(state / "calsyncd.db") as store:
            while not over.is_set():
                await asyncio.gather(
                    *(ledger.record(Entry(user, f"a{user}@x", held(written + 1), written + 1)) for user in range(50))
                )
                written += 1
                await store.record([HistoryRow(NOW, "a", None, None, "done", "w", None, None, "x")] * 20, 0)
                if written % 7 == 0:
                    await ledger.compact(float("inf"))

    writing = asyncio.create_task(write())
    while not written:
        await asyncio.sleep(0.01)
    try:
        for number in range(4):
            before = written
            made = await asyncio.to_thread(back_up, state, tmp_path / f"{number}.tar.gz", NOW)
            lines, damaged, torn = parse(members(tmp_path / f"{number}.tar.gz")["ledger"])
            last = {line.user: line.at for line in lines if isinstance(line, Entry)}
            assert (damaged, torn, made.schema is not None) == (0, False, True)
            assert made.held == 50
            # Whatever was acknowledged before it began is in it.
            assert min(last.values()) >= before
    finally:
        over.set()
        await writing
        await ledger.close()
    assert written > 4


def test_a_torn_tail_is_left_out(state: Path, tmp_path: Path) -> None:
    """Of a line that is just being written nothing is copied."""
    with (state / "ledger").open("ab") as ledger:
        ledger.write(b'0badc0de {"user": 45')
    made = back_up(state, tmp_path / "b.tar.gz", NOW)

    assert (made.lines, made.damaged) == (2, 0)
    assert members(tmp_path / "b.tar.gz")["ledger"].endswith(b"}\n")


@pytest.mark.parametrize("how", ["scribbled", "missing"])
def test_without_a_good_database(state: Path, tmp_path: Path, how: str) -> None:
    """The ledger is what matters: it is there, and why the database is not."""
    if how == "missing":
        (state / "calsyncd.db").unlink()
    else:
        (state / "calsyncd.db").write_bytes(b"scribble" * 1000)
    made = back_up(state, tmp_path / "b.tar.gz", NOW)

    assert made.schema is None
    assert made.why_no_database is not None
    assert {"scribbled": "damaged", "missing": "none"}[how] in made.why_no_database
    assert "calsyncd.db" not in made.files
    with (tmp_path / "b.tar.gz").open("rb") as archive:
        restore(archive, tmp_path / "other")
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == ["credentials", "ledger", "lock", "push.key"]


def test_nobodys_place_is_taken(state: Path, tmp_path: Path) -> None:
    """A file that is there stays unless --force is given; one inside of the state directory is refused; no leavings."""
    file = tmp_path / "b.tar.gz"
    file.write_text("mine")
    with pytest.raises(UserError, match="is there already") as refused:
        back_up(state, file, NOW)
    with pytest.raises(UserError, match="lost with it"):
        back_up(state, state / "b.tar.gz", NOW)
    with pytest.raises(UserError, match="no calsyncd ever ran"):
        back_up(tmp_path, tmp_path.parent / "b.tar.gz", NOW)
    with pytest.raises(UserError, match="No such file"):
        back_up(state, tmp_path / "missing" / "b.tar.gz", NOW)

    assert refused.value.exit_code == 1
    assert file.read_text() == "mine"
    back_up(state, file, NOW, force=True)
    assert "ledger" in members(file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar.gz", "key", "state"]


def test_through_a_pipe(state: Path, tmp_path: Path) -> None:
    """A stream needs no place to seek in."""
    out = io.BytesIO()
    made = stream(state, out, NOW)

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    assert restore(Pipe(out.getvalue()), tmp_path / "other") == made


def test_a_full_disk(state: Path, tiny_disk: Path) -> None:
    """It is said, and nothing is left of the attempt."""
    (state / "alarms.json").write_bytes(random.Random(7).randbytes(1_000_000))
    with pytest.raises(UserError, match="space"):
        back_up(state, tiny_disk / "b.tar.gz", NOW)

    assert list(tiny_disk.iterdir()) == []


def changed(file: Path, **to: bytes | None) -> io.BytesIO:
    """The backup with these members changed, or left out."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in (members(file) | to).items():
            if content is not None:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    out.seek(0)
    return out


def test_what_is_damaged_is_refused_and_changes_nothing(state: Path, tmp_path: Path) -> None:
    """A lost or changed byte, a file that is missing or too much, no backup at all; a newer one is named as such."""
    file = tmp_path / "b.tar.gz"
    back_up(state, file, NOW)
    raw, other = file.read_bytes(), tmp_path / "other"
    manifest = json.loads(members(file)["manifest.json"])

    def told(**fields: Any) -> bytes:
        return json.dumps({**manifest, **fields}).encode()

    attempts = [
        (io.BytesIO(raw[: len(raw) // 2]), "damaged"),
        (io.BytesIO(b"no backup"), "damaged"),
        (io.BytesIO(gzip.compress(b"no tar")), "damaged"),
        (changed(file, **{"push.key": b"K" * 32}), "push.key is not what the manifest tells"),
        (changed(file, ledger=None), "ledger is missing"),
        (changed(file, passwd=b"x"), "'passwd' is not what the manifest tells"),
        (changed(file, **{"manifest.json": told(files={**manifest["files"], "../x": [1, "0"]})}), "cannot be read"),
        (changed(file, **{"manifest.json": told(format=2, calsyncd="9.0")}), "format 2, of calsyncd 9.0"),
        (changed(file, **{"manifest.json": told(lines=7)}), "other lines"),
    ]
    for archive, why in attempts:
        with pytest.raises(UserError, match=why):
            restore(archive, other)
        assert [path.name for path in other.iterdir()] == ["lock"]
    assert not (tmp_path / "x").exists()


def test_where_something_is_it_stays(state: Path, tmp_path: Path) -> None:
    """Into a state directory that is in use or not empty nothing is restored; after a crash in the middle it is."""
    file = tmp_path / "b.tar.gz"
    back_up(state, file, NOW)
    other = tmp_path / "other"
    with locked(other), file.open("rb") as archive, pytest.raises(UserError) as in_use:
        restore(archive, other)
    assert in_use.value.exit_code == 75
    (other / "ledger").touch()
    with file.open("rb") as archive, pytest.raises(UserError, match="is not empty \\(ledger\\)"):
        restore(archive, other)
    (other / "ledger").unlink()
    (other / ".restoring").mkdir()
    (other / ".restoring" / "ledger").write_text("half")
    with file.open("rb") as archive:
        restore(archive, other)
    assert (other / "ledger").read_bytes() == (state / "ledger").read_bytes()


def test_a_newer_database_is_refused_or_left_out(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With words; --without-database loses the history alone."""
    file = tmp_path / "b.tar.gz"
    with sqlite3.connect(state / "calsyncd.db") as db:
        db.execute("PRAGMA user_version = 99")
    back_up(state, file, NOW)
    with file.open("rb") as archive, pytest.raises(UserError, match=r"version 99.*--without-database"):
        restore(archive, tmp_path / "other")
    with file.open("rb") as archive:
        restore(archive, tmp_path / "other", without_database=True)

    assert not (tmp_path / "other" / "calsyncd.db").exists()
    assert (tmp_path / "other" / "ledger").exists()


def test_what_is_read_back_otherwise_is_no_backup(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that keeps other bytes than it was given is found out before the file has its name."""
    pack = backup._pack

    def scribbling(*arguments: Any) -> None:
        pack(*arguments)
        made = arguments[2]
        made.write_bytes(made.read_bytes()[:-200] + bytes(200))

    monkeypatch.setattr(backup, "_pack", scribbling)
    with pytest.raises(UserError, match="damaged"):
        back_up(state, tmp_path / "b.tar.gz", NOW)

    assert not (tmp_path / "b.tar.gz").exists()
