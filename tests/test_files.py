"""Files that a crash leaves whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from calsyncd.files import replace_file, sync_folder, write_whole


def test_what_is_replaced_is_the_old_or_the_new(tmp_path: Path) -> None:
    """Whoever has opened it goes on reading the old; the new one is its owner's alone, and nothing else is left."""
    path = tmp_path / "kept"
    path.write_bytes(b"old")
    path.chmod(0o644)
    with path.open("rb") as opened:
        replace_file(path, b"new")
        assert opened.read() == b"old"
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_where_the_disk_is_full_the_old_stays(tiny_disk: Path) -> None:
    """And whoever wants to write it is told, though the system has taken a part."""
    path = tiny_disk / "kept"
    replace_file(path, b"old")
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, os.urandom(2_000_000))
    assert path.read_bytes() == b"old"


def test_a_file_is_written_over_as_a_whole(tmp_path: Path) -> None:
    """Of what was longer nothing stays."""
    path = tmp_path / "kept"
    write_whole(path, b"longer")
    write_whole(path, b"short")
    assert path.read_bytes() == b"short"


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """It is no folder that can be relied on."""
    sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "gone")
