"""The machine, as far as it matters to a figure: no names, no paths."""

from __future__ import annotations

import os
import platform
import sqlite3
from pathlib import Path

import aiohttp

import calsyncd


def describe(folder: Path) -> dict[str, str]:
    """What measured, by name; the disk is that of `folder`."""
    return {
        "program": f"calsyncd {calsyncd.__version__}",
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"Linux {platform.release().split('-')[0]}, {_system()}",
        "disk": _disk(folder),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "libraries": f"SQLite {sqlite3.sqlite_version}, aiohttp {aiohttp.__version__}",
    }


def _processor() -> str:
    """The processor's model, as Linux tells it."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "Model"}:
            return value.strip()
    return platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def _disk(folder: Path) -> str:
    """The kind of file system and of disk that holds `folder`."""
    kind, device = "unknown", ""
    deepest = -1
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        head, _, tail = line.partition(" - ")
        place = Path(head.split()[4])
        if folder.resolve().is_relative_to(place) and len(place.parts) >= deepest:
            deepest, kind, device = len(place.parts), tail.split()[0], head.split()[2]
    return f"{kind} on {_drive(device)}"


def _drive(device: str) -> str:
    """What kind of disk a device number of Linux's is."""
    node = Path(f"/sys/dev/block/{device}")
    if not node.exists():
        return "no disk of its own"
    for place in (node.resolve(), node.resolve().parent):
        turns = place / "queue" / "rotational"
        if place.name.startswith(("vd", "xvd")):
            return "a virtual disk"
        if turns.exists():
            return "a rotating disk" if turns.read_text(encoding="ascii").strip() == "1" else "flash"
    return "a disk of unknown kind"
