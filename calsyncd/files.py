"""Files that a crash leaves whole: written to the disk before they count, and put in the place of others at once."""

from __future__ import annotations

import os
from pathlib import Path


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it, in as many pieces as the system takes; OSError if not."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_whole(path: Path, data: bytes) -> None:
    """Make or overwrite a file that only its owner reads; its content is on disk when this returns. OSError if not."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` in the place of what `path` holds: at every instant it holds the one or the other. OSError if not."""
    fresh = path.with_name(f"{path.name}.new")
    write_whole(fresh, data)
    fresh.replace(path)


def sync_folder(folder: Path) -> None:
    """Which files are in the folder is on disk when this returns; OSError if not."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
